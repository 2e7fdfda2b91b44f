/* What to hash next, and what became of it. The store says what is unhashed, newest and smallest first; a few
 * files at a time go to the hasher's thread; the results go back into the store together. Nothing is kept
 * here that a restart would lose. */
#include <stdlib.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "share/hasher.h"
#include "share/state.h"

#define FILES_AT_ONCE 64    /* asked of the store */
#define STORE_WAIT_MS 10000 /* after the store failed */
#define LARGE_WAIT_MS 250   /* while all that the store has is being hashed: others may settle meanwhile */
#define NS_PER_MS     1000000

struct hp_hashing {
    hp_share_t *share;
    hp_hasher_t *hasher; /* NULL before the start */
    uv_timer_t timer;
    bool asking, saving; /* a job is in the store */
    bool woken;          /* there may be news since the store was asked */
    bool exhausted;      /* the store had nothing that is not being hashed */
    unsigned ending;     /* hashers that were given up and have not ended */
    bool paused;
    void (*idle)(void *arg); /* to be called when nothing is under way any more; NULL */
    void *idle_arg;
};

static void go_on(hp_hashing_t *self);
static void check_quiet(hp_hashing_t *self);

/* ---- asking ---- */

typedef struct ask {
    hp_hashing_t *hashing;
    int64_t settle_ns, settle_coarse_ns;
    hp_shared_rows_t rows;
    int64_t wait_ms;
} ask_t;

static int ask_work(hp_db_t *db, void *arg, hp_err_t *err)
{
    ask_t *ask = arg;
    return hp_shared_unhashed(db, FILES_AT_ONCE, hp_clock_wall_ms() * NS_PER_MS, ask->settle_ns,
                              ask->settle_coarse_ns, &ask->rows, &ask->wait_ms, err);
}

static void on_timer(uv_timer_t *timer)
{
    hp_hashing_t *self = timer->data;
    self->woken = true;
    go_on(self);
}

static void on_asked(void *arg, int status, const hp_err_t *err)
{
    ask_t *ask = arg;
    hp_hashing_t *self = ask->hashing;
    hp_share_t *share = self->share;
    self->asking = false;
    if (share->closing || self->paused) {
        hp_shared_rows_dispose(&ask->rows);
    } else if (status != 0) {
        hp_log(HP_LOG_WARN, "share: what is to be hashed is unknown: %s", hp_err_text(err));
        uv_timer_start(&self->timer, on_timer, STORE_WAIT_MS, 0);
    } else {
        bool found = ask->rows.count > 0;
        self->exhausted = !(found && hp_hasher_give(self->hasher, &ask->rows));
        if (found)
            ask->wait_ms = LARGE_WAIT_MS;
        /* After news the store is asked again at once. */
        if (self->exhausted && !self->woken && ask->wait_ms >= 0)
            uv_timer_start(&self->timer, on_timer, (uint64_t)ask->wait_ms, 0);
    }
    hp_shared_rows_dispose(&ask->rows);
    free(ask);
    go_on(self);
    hp_pending_drop(&share->pending);
}

static void ask_store(hp_hashing_t *self)
{
    const hp_share_tuning_t *tuning = &self->share->tuning;
    ask_t *ask = hp_alloc(sizeof *ask);
    ask->hashing = self;
    ask->settle_ns = (int64_t)tuning->settle * NS_PER_MS;
    ask->settle_coarse_ns = (int64_t)tuning->settle_coarse * NS_PER_MS;
    self->asking = true;
    self->woken = false;
    hp_pending_add(&self->share->pending);
    /* It wakes files whose time has come, which is a write. */
    hp_store_post(self->share->store, HP_STORE_WRITE, ask_work, on_asked, ask);
}

/* ---- saving ---- */

typedef struct save {
    hp_hashing_t *hashing;
    hp_hash_result_t *results;
    size_t count;
    int64_t *later; /* for each: not before this time; 0: hashed */
    hp_share_totals_t totals;
} save_t;

static int save_work(hp_db_t *db, void *arg, hp_err_t *err)
{
    save_t *save = arg;
    hp_shared_change_t change = {0};
    int rc = 0;
    for (size_t i = 0; i < save->count && rc == 0; i++) {
        const hp_hash_result_t *result = &save->results[i];
        if (save->later[i] != 0)
            rc = hp_shared_set_later(db, result->path, &result->identity, save->later[i], err);
        else
            rc = hp_shared_set_root(db, &result->identity, result->root, result->chunk_size, result->digests,
                                    result->count, &change, err);
    }
    if (rc == 0)
        rc = hp_shared_commit(db, &change, err);
    return rc == 0 ? hp_share_read_totals(db, &save->totals, err) : rc;
}

static void on_saved(void *arg, int status, const hp_err_t *err)
{
    save_t *save = arg;
    hp_hashing_t *self = save->hashing;
    hp_share_t *share = self->share;
    self->saving = false;
    if (status != 0 && !share->closing) {
        hp_log(HP_LOG_WARN, "share: hashes cannot be kept: %s", hp_err_text(err));
        if (!self->paused)
            uv_timer_start(&self->timer, on_timer, STORE_WAIT_MS, 0);
    }
    for (size_t i = 0; i < save->count; i++) {
        if (status == 0 && save->later[i] == 0)
            hp_roots_add(&share->roots, &save->results[i].identity, save->results[i].root);
        hp_hash_result_dispose(&save->results[i]);
    }
    if (status == 0)
        hp_share_set_totals(share, &save->totals);
    free(save->results);
    free(save->later);
    free(save);
    go_on(self);
    hp_pending_drop(&share->pending);
}

/* When a file that could not be hashed is to be tried again (wall ms); 0 when it was hashed. */
static int64_t try_later(hp_hashing_t *self, const hp_hash_result_t *result)
{
    const hp_share_tuning_t *tuning = &self->share->tuning;
    int64_t now = hp_clock_wall_ms();
    if (result->status == 0)
        return 0;
    if (hp_place_is_limit(result->status))
        return now + tuning->again_least;
    if (result->status != HP_E_OTHER_VERSION && result->status != HP_E_NOT_FOUND) {
        hp_log(HP_LOG_WARN, "share: %s cannot be hashed: %s", result->path, hp_err_sentence(result->status));
        return now + tuning->again_error;
    }
    const char *below;
    if (self->share->folders[hp_place_find(self->share->place, result->path, &below)].missing)
        return now + tuning->again_error;
    hp_index_look(self->share->index, result->path, false); /* the index is behind */
    uint64_t delay = HP_MAX(10 * result->ms, tuning->again_least);
    return now + (int64_t)HP_MIN(delay, tuning->again_most);
}

static void save_results(hp_hashing_t *self, hp_hash_result_t *results, size_t count)
{
    save_t *save = hp_alloc(sizeof *save);
    save->hashing = self;
    save->results = results;
    save->count = count;
    save->later = hp_alloc_array(count, sizeof *save->later);
    for (size_t i = 0; i < count; i++)
        save->later[i] = try_later(self, &results[i]);
    self->saving = true;
    hp_pending_add(&self->share->pending);
    hp_store_post(self->share->store, HP_STORE_WRITE, save_work, on_saved, save);
}

/* ---- both ---- */

/* Results first: only what is saved is not asked for again. */
static void go_on(hp_hashing_t *self)
{
    check_quiet(self);
    if (self->hasher == NULL || self->share->closing || self->paused || self->asking || self->saving)
        return;
    size_t count;
    hp_hash_result_t *results = hp_hasher_take(self->hasher, &count);
    if (count > 0)
        save_results(self, results, count);
    else if (!self->share->missing && !uv_is_active((uv_handle_t *)&self->timer) &&
             (self->woken || (!self->exhausted && hp_hasher_is_hungry(self->hasher))))
        ask_store(self);
}

static void on_ready(void *arg)
{
    go_on(arg);
}

void hp_hashing_wake(hp_hashing_t *self)
{
    if (self->share->closing)
        return;
    self->woken = true;
    if (self->paused)
        return;
    uv_timer_stop(&self->timer);
    if (self->hasher == NULL &&
        hp_hasher_create(&self->hasher, self->share->loop, self->share->place, on_ready, self) != 0)
        abort(); /* no descriptors right at the start */
    go_on(self);
}

hp_hashing_t *hp_hashing_create(hp_share_t *share)
{
    hp_hashing_t *self = hp_alloc(sizeof *self);
    self->share = share;
    uv_timer_init(share->loop, &self->timer);
    self->timer.data = self;
    return self;
}

static void on_hasher_closed(void *arg)
{
    hp_pending_drop(&((hp_share_t *)arg)->pending);
}

static void on_timer_closed(uv_handle_t *handle)
{
    hp_hashing_t *self = handle->data;
    hp_pending_drop(&self->share->pending);
}

void hp_hashing_stop(hp_hashing_t *self)
{
    hp_pending_add(&self->share->pending);
    uv_close((uv_handle_t *)&self->timer, on_timer_closed);
    if (self->hasher == NULL)
        return;
    hp_pending_add(&self->share->pending);
    hp_hasher_destroy(self->hasher, on_hasher_closed, self->share);
}

/* ---- pauses ---- */

static void check_quiet(hp_hashing_t *self)
{
    if (self->idle == NULL || self->asking || self->saving || self->ending > 0)
        return;
    void (*idle)(void *arg) = self->idle;
    self->idle = NULL;
    idle(self->idle_arg);
}

static void on_paused_hasher_closed(void *arg)
{
    hp_hashing_t *self = arg;
    hp_share_t *share = self->share;
    self->ending--;
    check_quiet(self);
    hp_pending_drop(&share->pending);
}

void hp_hashing_pause(hp_hashing_t *self, void (*idle)(void *arg), void *arg)
{
    self->paused = true;
    self->idle = idle;
    self->idle_arg = arg;
    uv_timer_stop(&self->timer);
    if (self->hasher != NULL) {
        hp_pending_add(&self->share->pending);
        self->ending++;
        hp_hasher_destroy(self->hasher, on_paused_hasher_closed, self);
        self->hasher = NULL;
    }
    check_quiet(self);
}

void hp_hashing_resume(hp_hashing_t *self)
{
    self->paused = self->exhausted = false;
    hp_hashing_wake(self);
}

void hp_hashing_free(hp_hashing_t *self)
{
    free(self);
}
