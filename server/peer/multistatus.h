/* Writes the answer to a PROPFIND (RFC 4918 sections 13 and 14.16): one response element a file or folder.
 * Pure; any thread. */
#ifndef HP_PEER_MULTISTATUS_H
#define HP_PEER_MULTISTATUS_H

#include <stdbool.h>
#include <sys/stat.h>

#include "base/buf.h"
#include "etag.h"
#include "propfind.h"

#define HP_MULTISTATUS_TYPE  "application/xml; charset=utf-8"
#define HP_MULTISTATUS_BEGIN "<?xml version=\"1.0\" encoding=\"utf-8\"?>\n<D:multistatus xmlns:D=\"DAV:\">"
#define HP_MULTISTATUS_END   "</D:multistatus>\n"

typedef struct hp_dav_resource {
    const char *href; /* percent-encoded, a folder's with a slash at its end */
    const char *name; /* to be shown */
    bool is_folder;
    const struct stat *stat;
    char etag[HP_ETAG_SIZE]; /* of a file; "": not known now */
} hp_dav_resource_t;

/* 0, or HP_E_TOO_LARGE: out is full. */
int hp_multistatus_add(hp_buf_t *out, const hp_dav_resource_t *resource, const hp_propfind_t *wanted);

#endif
