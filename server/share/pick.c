#include "share/pick.h"

#include <stdlib.h>
#include <unistd.h>

#include "base/mem.h"
#include "share/state.h"

struct hp_pick {
    hp_share_t *share;
    hp_place_t *place;
    int folder_fd; /* of the share; -1 until it is needed */
};

hp_pick_t *hp_pick_create(hp_share_t *share)
{
    hp_pick_t *self = hp_alloc(sizeof *self);
    *self = (hp_pick_t){.share = share, .place = hp_place_addref(share->place), .folder_fd = -1};
    hp_pending_add(&share->pending);
    return self;
}

void hp_pick_destroy(hp_pick_t *self)
{
    hp_share_t *share = self->share;
    if (self->folder_fd >= 0)
        close(self->folder_fd);
    hp_place_release(self->place);
    free(self);
    hp_pending_drop(&share->pending);
}

int hp_pick_open(hp_pick_t *self, const char *path, int *fd, struct stat *st)
{
    if (atomic_load_explicit(&self->share->cancelled, memory_order_relaxed))
        return UV_ECANCELED;
    if (self->folder_fd < 0)
        self->folder_fd = hp_place_open(self->place);
    if (self->folder_fd < 0)
        return hp_place_is_limit(self->folder_fd) ? self->folder_fd : HP_E_NOT_FOUND;
    return hp_place_open_file(self->place, self->folder_fd, path, fd, st);
}
