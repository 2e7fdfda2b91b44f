/* A pipe of the kernel from one stream socket to another: bytes pass without a copy through the process. */
#ifndef HP_OS_SPLICE_H
#define HP_OS_SPLICE_H

#include <stddef.h>
#include <sys/types.h>

#define HP_SPLICE_SIZE ((size_t)256 * 1024) /* bytes of a pipe, where the kernel grants them */

typedef struct hp_splice {
    int pipe[2];   /* -1 while closed */
    size_t inside; /* bytes taken and not yet put */
} hp_splice_t;

/* 0 or a negative errno. */
int hp_splice_open(hp_splice_t *self);
void hp_splice_close(hp_splice_t *self);

/* Takes at most so many bytes from a non-blocking socket. How many; 0: the source is at its end; -EAGAIN: it
 * has nothing now, or the pipe is full, which it can be of pages before it is of bytes: only the first while
 * nothing is inside; else another negative errno. */
ssize_t hp_splice_take(hp_splice_t *self, int source, size_t most);

/* Puts what is inside into a non-blocking socket. How many bytes; -EAGAIN: the sink takes no more now, or
 * another negative errno. Not while nothing is inside. */
ssize_t hp_splice_put(hp_splice_t *self, int sink);

#endif
