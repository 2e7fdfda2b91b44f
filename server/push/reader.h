/* The bytes of a file for the body of a request, read ahead in the pool: one block is being sent while the
 * next is read. They are handed out no faster than the limit lets them go. Loop thread. */
#ifndef HP_PUSH_READER_H
#define HP_PUSH_READER_H

#include <stddef.h>
#include <stdint.h>
#include <uv.h>

#include "base/pending.h"
#include "base/send_limit.h"

#define HP_PUSH_BLOCK ((size_t)512 * 1024) /* bytes, twice in memory */

typedef struct hp_push_reader hp_push_reader_t;

/* Takes fd. Reads size bytes from its start. limit: NULL for none. ready: there are bytes where there were
 * none, or it has failed. pending and limit outlive what is under way. */
hp_push_reader_t *hp_push_reader_create(uv_loop_t *loop, hp_pending_t *pending, hp_send_limit_t *limit,
                                        int fd, uint64_t size, void (*ready)(void *arg), void *arg);
/* ready is not called any more. */
void hp_push_reader_destroy(hp_push_reader_t *self);

/* Copies at most size bytes to into: how many; 0: none may go yet; SIZE_MAX: the file cannot be read, or is
 * shorter now (hp_fetch_options_t.send). */
size_t hp_push_reader_take(hp_push_reader_t *self, void *into, size_t size);
/* Bytes that were taken. */
uint64_t hp_push_reader_taken(const hp_push_reader_t *self);

#endif
