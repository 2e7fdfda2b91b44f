#include "os/splice.h"

#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

enum {
    PIPE_SIZE = 1 << 18, /* bytes; as much as the kernel's limit allows */
    ROUNDS = 16,         /* before others have their turn */
};

int hp_splice_open(hp_splice_t *self)
{
    *self = (hp_splice_t){.pipe = {-1, -1}};
    if (pipe2(self->pipe, O_NONBLOCK | O_CLOEXEC) != 0)
        return -errno;
    fcntl(self->pipe[1], F_SETPIPE_SZ, PIPE_SIZE);
    return 0;
}

void hp_splice_close(hp_splice_t *self)
{
    for (int i = 0; i < 2; i++) {
        if (self->pipe[i] >= 0)
            close(self->pipe[i]);
        self->pipe[i] = -1;
    }
}

/* Bytes, 0 at the end, or a negative errno. */
static ssize_t move(int from, int to, size_t length)
{
    ssize_t moved;
    do
        moved = splice(from, NULL, to, NULL, length, SPLICE_F_NONBLOCK | SPLICE_F_MOVE);
    while (moved < 0 && errno == EINTR);
    return moved < 0 ? -errno : moved;
}

hp_splice_state_t hp_splice_move(hp_splice_t *self, int source, int sink)
{
    for (int i = 0; i < ROUNDS; i++) {
        if (self->inside == 0 && !self->end) {
            ssize_t taken = move(source, self->pipe[1], PIPE_SIZE);
            if (taken == -EAGAIN)
                return HP_SPLICE_WAIT_SOURCE;
            if (taken < 0)
                return HP_SPLICE_BROKEN;
            self->inside = (size_t)taken;
            self->end = taken == 0;
        }
        if (self->inside == 0)
            return HP_SPLICE_DONE;
        ssize_t put = move(self->pipe[0], sink, self->inside);
        if (put == -EAGAIN)
            return HP_SPLICE_WAIT_SINK;
        if (put <= 0)
            return HP_SPLICE_BROKEN;
        self->inside -= (size_t)put;
    }
    return self->inside > 0 ? HP_SPLICE_WAIT_SINK : HP_SPLICE_WAIT_SOURCE;
}
