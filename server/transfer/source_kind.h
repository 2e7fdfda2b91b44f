/* Kinds of sources: what a download must know of a source is asked through this table, one file a kind.
 *
 *   hostpair   source_hostpair.c   a host that runs hostpair: asked at its addresses; has roots and manifests
 *   plain      source_plain.c      a host with another HTTP server: asked at its addresses
 *   web        source_web.c        a URL: redirects, proxies and TLS as its server wants them
 *
 * A kind has no state of its own: all of it stands in source_t, source_host_t and known_host_t. A function
 * that a kind does not have is NULL. A host reached through a group is a hostpair host with other addresses;
 * a source that has some chunks only adds a question here ("has it this chunk?") that schedule.c asks. Loop
 * thread. */
#ifndef HP_TRANSFER_SOURCE_KIND_H
#define HP_TRANSFER_SOURCE_KIND_H

#include <stdbool.h>

#include "fetch/fetch.h"

struct source;

typedef struct hp_source_kind {
    const char *name;

    /* Whether it can be asked now, failures aside: an address is known, and the host is online. */
    bool (*is_reachable)(const struct source *source);

    /* Fills in where the file is asked. text gets what the options point to, for the caller to free after the
     * request was started. False: there is no address. */
    bool (*ask)(const struct source *source, hp_fetch_options_t *options, char **text);

    /* The same for the manifest of the file's root; the file's size and chunk size are known. NULL: sources
     * of this kind have none. */
    bool (*ask_manifest)(const struct source *source, hp_fetch_options_t *options, char **text);

    /* Whether the reply says that the file is being written right now: its bytes may be of two versions.
     * NULL: replies do not tell. */
    bool (*is_being_written)(const hp_fetch_head_t *head);

    /* ms that the first byte of a reply is waited for at first; 0: as long as for others. */
    unsigned patience;

    /* Whether a server that refuses parts is asked for the whole. */
    bool may_refuse_parts;

    /* Whether a body may end with its connection: nobody can tell then whether all of it came. */
    bool may_end_by_close;

    /* A file without a root gets one when the source has hashed it; a later reply tells. */
    bool hashes_later;

    /* Tells the rest of hostpair whether the host answered. NULL: nobody wants to know. */
    void (*report)(const struct source *source, bool answered);
} hp_source_kind_t;

extern const hp_source_kind_t hp_source_hostpair, hp_source_plain, hp_source_web;

/* What hosts of the registry have in common, whatever runs there: hp_source_plain uses these, and
 * hp_source_hostpair. */
bool hp_source_host_is_reachable(const struct source *source);
bool hp_source_host_ask(const struct source *source, hp_fetch_options_t *options, char **text);
void hp_source_host_report(const struct source *source, bool answered);
/* Whether the first segment of a path is no file's name on a host's peer listener. */
bool hp_source_is_reserved(const char *segment, size_t length);
/* Asks the host for a path that begins with a slash and is percent-encoded. */
bool hp_source_host_ask_path(const struct source *source, const char *path, hp_fetch_options_t *options,
                             char **text);

#endif
