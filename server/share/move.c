/* Another folder takes the place of the one that is shared: its place is made in the pool, the index and the
 * hashing come to rest, the store notes which folder the rows describe from now on, and all goes on there as
 * at a start. The rows of the old folder stay until the first walk of the new one is over, so what was moved
 * finds its roots again. Whatever fails on the way leaves everything as it was. */
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "base/mem.h"
#include "share/state.h"

struct hp_move {
    hp_share_t *share;
    uv_work_t work;
    char *folder;
    hp_place_t *place; /* the new one */
    hp_share_totals_t totals;
    unsigned restless; /* parts that have not come to rest */
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
    hp_share_let_go(share);
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

static void on_quiet(void *arg)
{
    hp_move_t *self = arg;
    if (--self->restless > 0)
        return;
    hp_store_post(self->share->store, HP_STORE_WRITE, note_work, on_noted, self);
}

static void make_place(uv_work_t *work)
{
    hp_move_t *self = work->data;
    self->status = hp_place_create(&self->place, self->folder, self->share->database, &self->err);
}

static void on_made(uv_work_t *work, int status)
{
    hp_move_t *self = work->data;
    hp_share_t *share = self->share;
    if (status != 0)
        self->status = status;
    if (self->status != 0 || share->closing || strcmp(self->folder, share->place->folder) == 0) {
        end(self);
        return;
    }
    atomic_store(&share->halted, true);
    self->restless = 3; /* one is this function, so that nothing comes to rest before both were asked */
    hp_index_pause(share->index, on_quiet, self);
    hp_hashing_pause(share->hashing, on_quiet, self);
    on_quiet(self);
}

int hp_share_set_folder(hp_share_t *share, const char *folder, hp_share_moved_fn done, void *arg)
{
    if (share->move != NULL || share->closing)
        return HP_E_BUSY;
    hp_move_t *self = hp_alloc(sizeof *self);
    self->share = share;
    self->work.data = self;
    self->folder = hp_strdup(folder);
    self->done = done;
    self->arg = arg;
    share->move = self;
    hp_share_hold(share);
    uv_queue_work(share->loop, &self->work, make_place, on_made);
    return 0;
}
