/* multipart/form-data as a browser sends it (RFC 7578, RFC 2046 section 5.1), read as it comes: bytes are fed
 * in, events are taken out. Nothing is held but what may be the beginning of a boundary, and a part's header.
 * Pure; any thread. */
#ifndef HP_PEER_MULTIPART_H
#define HP_PEER_MULTIPART_H

#include <stdbool.h>
#include <stddef.h>

#include "base/buf.h"
#include "base/err.h"

#define HP_MULTIPART_HEADER_MAX ((size_t)16 * 1024) /* bytes of a part's header */

typedef enum {
    HP_MULTIPART_MORE, /* everything so far was taken: feed more */
    HP_MULTIPART_PART, /* a part begins: name, file_name, type are set */
    HP_MULTIPART_DATA, /* data and length are bytes of it, valid until the next call */
    HP_MULTIPART_END,  /* the part is over */
    HP_MULTIPART_OVER, /* the form is over; what follows is ignored */
    HP_MULTIPART_BAD,  /* it is no such form */
} hp_multipart_event_t;

typedef struct hp_multipart {
    char *name;      /* of the field; "" */
    char *file_name; /* NULL: no file */
    char *type;      /* NULL: not said */
    const char *data;
    size_t length;
    /* multipart.c's */
    char delimiter[80]; /* CRLF, two dashes, the boundary */
    size_t delimiter_length;
    hp_buf_t in;
    size_t at;    /* in `in`: what comes next */
    size_t taken; /* from there, by the last event */
    int state;
} hp_multipart_t;

/* content_type: the request's field. HP_E_BAD_REQUEST when it names no boundary. The caller disposes of it in
 * any case. */
int hp_multipart_init(hp_multipart_t *self, const char *content_type, hp_err_t *err);
void hp_multipart_dispose(hp_multipart_t *self);

/* Copies; only after MORE. */
void hp_multipart_feed(hp_multipart_t *self, const void *data, size_t length);
hp_multipart_event_t hp_multipart_next(hp_multipart_t *self);

#endif
