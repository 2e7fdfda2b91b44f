/* Reads server-sent events (HTML Living Standard section 9.2.6) as they come in pieces of any size. Comments
 * are passed over; ids and retry times are not kept. Pure; not shared between threads. */
#ifndef HP_RENDEZVOUS_SSE_H
#define HP_RENDEZVOUS_SSE_H

#include <stdbool.h>
#include <stddef.h>

#include "base/buf.h"

#define HP_SSE_MAX ((size_t)256 * 1024) /* bytes of one event */

typedef struct hp_sse {
    hp_buf_t line, data;
    char event[64];
    bool after_cr;
    void (*on_event)(void *arg, const char *event,
                     const char *data); /* data: its lines, joined by line feeds */
    void *arg;
} hp_sse_t;

void hp_sse_init(hp_sse_t *self, void (*on_event)(void *arg, const char *event, const char *data), void *arg);
void hp_sse_dispose(hp_sse_t *self);

/* 0, or HP_E_TOO_LARGE: an event is longer than HP_SSE_MAX. on_event must not dispose of self. */
int hp_sse_feed(hp_sse_t *self, const void *data, size_t length);

#endif
