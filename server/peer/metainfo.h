/* A BitTorrent v2 metainfo file (BEP 52) of one shared file, with this host as its web seed (BEP 19), so that
 * any BitTorrent program can download and verify it.
 *
 * The web seed is the address of the file's folder, ended by a slash: a client appends the torrent's name,
 * which is the file's. An empty file has no root and no piece (BEP 52), which makes a valid metainfo file
 * that has nothing to download. Pure; any thread. */
#ifndef HP_PEER_METAINFO_H
#define HP_PEER_METAINFO_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "share/merkle.h"

#define HP_METAINFO_MAX                                                                                      \
    ((size_t)64 * 1024) /* bytes without the layer: a path of 12 KiB when encoded, twice */

typedef struct hp_metainfo {
    const char *authority; /* of the web seed: hp_metainfo_is_authority */
    const char *path;      /* of the file, from the top of the share */
    uint64_t size, piece;
    const uint8_t *root;  /* not read for an empty file */
    uint64_t layer_count; /* digests of the piece layer; 0 for a file of at most one piece */
} hp_metainfo_t;

/* Whether a Host field is "host" or "host:port" and nothing else (RFC 3986 section 3.2, without what no
 * address of a hostpair has: user names, escapes, zones, an empty port). It goes into the file as it stands.
 * NULL is none. */
bool hp_metainfo_is_authority(const char *host);

/* Writes all but the bytes of the layer, which belong at *split; text is empty before, with room for
 * HP_METAINFO_MAX. 0, or what hp_bencode_finish says. */
int hp_metainfo_write(const hp_metainfo_t *self, hp_buf_t *text, size_t *split);

#endif
