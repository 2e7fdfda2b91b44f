/*
 * The dashboard's files, embedded in the binary. web/web.cmake generates the table at build time from web/src.
 *
 * Every entry lives as long as the process and is never written, so any thread may read it without a lock.
 * Each file is stored only as gzip; `size` is its length once decoded. The first entry is always "/", the page itself.
 */
#ifndef WEB_ASSETS_H
#define WEB_ASSETS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef struct {
    const char *path;    /* what follows the origin in a URL: "/", "/app-3f2a9c1e.js" */
    const char *type;    /* media type, with its charset where the file is text */
    const char *etag;    /* strong validator with its quotes, made from the content */
    const uint8_t *gzip; /* the file, gzip-coded */
    size_t gzip_size;    /* bytes at `gzip` */
    size_t size;         /* bytes of the decoded file */
    bool immutable;      /* the name holds a hash of the content, so a cache may keep it for ever */
} hp_asset_t;

/* The table, and how many entries it has. */
extern const hp_asset_t hp_assets[];
extern const size_t hp_assets_count;

#endif
