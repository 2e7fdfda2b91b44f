#include "os/splice.h"

#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

int hp_splice_open(hp_splice_t *self)
{
    *self = (hp_splice_t){.pipe = {-1, -1}};
    if (pipe2(self->pipe, O_NONBLOCK | O_CLOEXEC) != 0)
        return -errno;
    /* Beyond the user's allowance for pipes the kernel keeps the size that it gave. */
    fcntl(self->pipe[1], F_SETPIPE_SZ, (int)HP_SPLICE_SIZE);
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

/* Bytes or a negative errno. */
static ssize_t move(int from, int to, size_t length)
{
    ssize_t moved;
    do
        moved = splice(from, NULL, to, NULL, length, SPLICE_F_NONBLOCK | SPLICE_F_MOVE);
    while (moved < 0 && errno == EINTR);
    return moved < 0 ? -errno : moved;
}

ssize_t hp_splice_take(hp_splice_t *self, int source, size_t most)
{
    ssize_t taken = move(source, self->pipe[1], most);
    self->inside += taken > 0 ? (size_t)taken : 0;
    return taken;
}

ssize_t hp_splice_put(hp_splice_t *self, int sink)
{
    ssize_t put = move(self->pipe[0], sink, self->inside);
    self->inside -= put > 0 ? (size_t)put : 0;
    return put != 0 ? put : -EPIPE;
}
