/* Another folder takes the place of the one that is shared: its place is made in the pool, the index and the
 * hashing come to rest, the store notes which folder the rows describe from now on, and all goes on there as
 * at a start. The rows of the old folder stay until the first walk of the new one is over, so what was moved
 * finds its roots again. Whatever fails on the way leaves everything as it was. */
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "base/mem.h"
#include "pool/pool.h"
#include "share/state.h"

struct hp_move {
    hp_share_t *share;
    char *folder;
    hp_place_t *place; /* the new one */
    hp_share_totals_t totals;
    hp_pending_t working; /* parts that do not rest yet */
    int status;
    hp_err_t err;
    hp_share_moved_fn done;
    void *arg;
};

static void end(hp_move_t *self)
{
    hp_share_t *share = self->share;
    share->move = NULL;
    if (share->closing)
        self->status = hp_err_set(&self->err, UV_ECANCELED, "hostpair is being stopped");
    if (self->done != NULL)
        self->done(self->arg, self->status, &self->err);
    hp_place_release(self->place);
    free(self->folder);
    free(self);
    hp_pending_drop(&share->pending);
}

static void take_over(hp_move_t *self)
{
    hp_share_t *share = self->share;
    hp_place_t *old = share->place;
    share->place = self->place;
    self->place = old;
    share->device = 0;
    share->complete = share->missing = false;
    share->scanning = true;
    hp_share_set_totals(share, &self->totals);
    hp_share_changed(share);
    hp_log(HP_LOG_INFO, "share: %s is shared from now on, instead of %s", share->place->folder, old->folder);
}

static void on_noted(void *arg, int status, const hp_err_t *err)
{
    hp_move_t *self = arg;
    hp_share_t *share = self->share;
    self->status = status;
    self->err = *err;
    if (!share->closing) {
        if (status == 0)
            take_over(self);
        atomic_store(&share->halted, false);
        hp_index_resume(share->index);
        hp_hashing_resume(share->hashing);
    }
    end(self);
}

static int note_work(hp_db_t *db, void *arg, hp_err_t *err)
{
    hp_move_t *self = arg;
    int rc = hp_shared_state_save(db, self->folder, 0, false, err);
    return rc == 0 ? hp_share_read_totals(db, &self->totals, err) : rc;
}

static void note(void *arg)
{
    hp_move_t *self = arg;
    hp_store_post(self->share->store, HP_STORE_WRITE, note_work, on_noted, self);
}

static void on_idle(void *arg)
{
    hp_move_t *self = arg;
    hp_pending_drop(&self->working);
}

static int make_place(void *arg, hp_err_t *err)
{
    hp_move_t *self = arg;
    return hp_place_create(&self->place, self->folder, self->share->database, err);
}

static void on_made(void *arg, int status, const hp_err_t *err)
{
    hp_move_t *self = arg;
    hp_share_t *share = self->share;
    self->status = status;
    self->err = *err;
    if (self->status != 0 || share->closing || strcmp(self->folder, share->place->folder) == 0) {
        end(self);
        return;
    }
    atomic_store(&share->halted, true);
    hp_pending_add(&self->working);
    hp_pending_add(&self->working);
    hp_index_pause(share->index, on_idle, self);
    hp_hashing_pause(share->hashing, on_idle, self);
    hp_pending_when_none(&self->working, note, self);
}

int hp_share_set_folder(hp_share_t *share, const char *folder, hp_share_moved_fn done, void *arg)
{
    if (share->move != NULL || share->closing)
        return HP_E_BUSY;
    hp_move_t *self = hp_alloc(sizeof *self);
    self->share = share;
    self->folder = hp_strdup(folder);
    self->done = done;
    self->arg = arg;
    share->move = self;
    hp_pending_add(&share->pending);
    hp_pool_post(share->loop, &share->pending, make_place, on_made, self);
    return 0;
}
