/* Bytes from one stream socket to another without a copy through the process. */
#ifndef HP_OS_SPLICE_H
#define HP_OS_SPLICE_H

#include <stdbool.h>
#include <stddef.h>

/* One direction. */
typedef struct hp_splice {
    int pipe[2];   /* -1 while closed */
    size_t inside; /* bytes taken and not yet put */
    bool end;      /* the source came to its end */
} hp_splice_t;

/* 0 or a negative errno. */
int hp_splice_open(hp_splice_t *self);
void hp_splice_close(hp_splice_t *self);

typedef enum {
    HP_SPLICE_WAIT_SOURCE, /* there is nothing to take */
    HP_SPLICE_WAIT_SINK,   /* the sink takes no more */
    HP_SPLICE_DONE,        /* all is put, the source is at its end */
    HP_SPLICE_BROKEN,      /* one of them has failed */
} hp_splice_state_t;

/* Moves what can be moved now, at most some MiB; never waits. */
hp_splice_state_t hp_splice_move(hp_splice_t *self, int source, int sink);

#endif
