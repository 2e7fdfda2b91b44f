/* What a PROPFIND asks for (RFC 4918 sections 9.1 and 14.20): the properties of WebDAV that files and folders
 * have here, and others that a client may name.
 *
 * The body is read with expat, and nothing but the body: no entity is ever expanded, no address or file of a
 * document type opened, whoever declares one is refused. Sizes are bounded whatever the body holds. Pure; any
 * thread. */
#ifndef HP_PEER_PROPFIND_H
#define HP_PEER_PROPFIND_H

#include <stdbool.h>
#include <stddef.h>

#include "base/array.h"
#include "base/err.h"

/* name, whether files have it, whether folders have it */
#define HP_DAV_PROPERTIES(X)                                                                                 \
    X(resourcetype, true, true)                                                                              \
    X(displayname, true, true)                                                                               \
    X(getlastmodified, true, true)                                                                           \
    X(getcontentlength, true, false)                                                                         \
    X(getcontenttype, true, false)                                                                           \
    X(getetag, true, false)                                                                                  \
    X(supportedlock, true, true)

typedef enum {
#define X(name, file, folder) HP_DAV_##name,
    HP_DAV_PROPERTIES(X)
#undef X
        HP_DAV_COUNT
} hp_dav_property_t;

#define HP_PROPFIND_BODY_MAX     ((size_t)32 * 1024) /* bytes, as of all bodies that come whole */
#define HP_PROPFIND_OTHERS_MAX   64                  /* properties that nothing has here */
#define HP_PROPFIND_OTHERS_BYTES ((size_t)4096)      /* of all their names: each is written for every file */

typedef enum {
    HP_PROPFIND_ALL,   /* what there is; and the others */
    HP_PROPFIND_NAMES, /* what there is, by name alone */
    HP_PROPFIND_SOME,
} hp_propfind_kind_t;

typedef struct hp_propfind_other {
    char *space; /* its namespace, "" for none */
    char *name;
} hp_propfind_other_t;

typedef struct hp_propfind {
    hp_propfind_kind_t kind;
    bool some[HP_DAV_COUNT]; /* of HP_PROPFIND_SOME */
    HP_ARRAY(hp_propfind_other_t) others;
    size_t other_bytes;
} hp_propfind_t;

/* 0 with *out to be disposed of, or a code with nothing in it: HP_E_BAD_REQUEST no XML, no propfind element
 * or not exactly one question in it; HP_E_TOO_LARGE; HP_E_FORBIDDEN it refers to something outside of itself
 * (the precondition "no-external-entities"). An empty body asks for all. */
int hp_propfind_parse(hp_propfind_t *out, const void *body, size_t length, hp_err_t *err);
void hp_propfind_dispose(hp_propfind_t *self);

#endif
