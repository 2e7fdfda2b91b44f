#include "share/pick.h"

#include <stdlib.h>
#include <unistd.h>

#include "base/mem.h"
#include "share/state.h"

struct hp_pick {
    hp_share_t *share;
    hp_place_t *place;
    hp_place_at_t at;
};

hp_pick_t *hp_pick_create(hp_share_t *share)
{
    hp_pick_t *self = hp_alloc(sizeof *self);
    *self = (hp_pick_t){.share = share, .place = hp_place_addref(share->place), .at = HP_PLACE_NOWHERE};
    hp_pending_add(&share->pending);
    return self;
}

void hp_pick_destroy(hp_pick_t *self)
{
    hp_share_t *share = self->share;
    hp_place_leave(&self->at);
    hp_place_release(self->place);
    free(self);
    hp_pending_drop(&share->pending);
}

int hp_pick_open(hp_pick_t *self, const char *path, int *fd, struct stat *st)
{
    if (atomic_load_explicit(&self->share->cancelled, memory_order_relaxed))
        return UV_ECANCELED;
    return hp_place_open_file(self->place, &self->at, path, fd, st);
}
