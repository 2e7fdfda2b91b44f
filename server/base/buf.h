/* A growing byte buffer that declares its maximum when it is made (curl's dynbuf): what comes from the
 * network can never take more than that. The bytes are always followed by a NUL that does not count. Not
 * shared between threads. */
#ifndef HP_BASE_BUF_H
#define HP_BASE_BUF_H

#include <stddef.h>

typedef struct hp_buf {
    char *data; /* NULL while nothing was added */
    size_t length, capacity, max;
} hp_buf_t;

void hp_buf_init(hp_buf_t *self, size_t max);
void hp_buf_dispose(hp_buf_t *self); /* frees; may be used again after init */

/* 0, or HP_E_TOO_LARGE with nothing added. */
int hp_buf_add(hp_buf_t *self, const void *data, size_t length);
int hp_buf_add_text(hp_buf_t *self, const char *text);
int hp_buf_printf(hp_buf_t *self, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* Drops the first bytes, keeping the rest; forgets all but keeps the memory. */
void hp_buf_consume(hp_buf_t *self, size_t length);
void hp_buf_clear(hp_buf_t *self);

/* The bytes with their NUL, which the caller frees; the buffer is empty afterwards. Never NULL. */
char *hp_buf_take(hp_buf_t *self);

#endif
