#include "share/share.h"

#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "base/mem.h"
#include "base/path.h"
#include "db/shared_place.h"
#include "share/away.h"
#include "share/state.h"

static const hp_share_tuning_t tuning = {
    .debounce = 100,
    .walk = 3600000,
    .walk_blind = 60000,
    .recount = 60000,
    .check = 5000,
    .retry = 30000,
    .change = 250,
    .settle = 50,
    .settle_coarse = 2500,
    .again_least = 10000,
    .again_most = 3600000,
    .again_error = 600000,
    .aside_idle = 3600000,
    .aside_look = 60000,
    .watches = SIZE_MAX,
};

#define LOAD_SPAN 2000 /* rows looked at in one job while the roots are loaded */
#define NS_PER_MS 1000000

/* ---- life ---- */

static void free_share(void *self)
{
    hp_share_t *share = self;
    void (*closed)(void *arg) = share->closed;
    void *arg = share->closed_arg;
    hp_index_free(share->index);
    hp_hashing_free(share->hashing);
    hp_layers_free(share->layers);
    hp_names_free(share->names);
    hp_roots_dispose(&share->roots);
    hp_place_release(share->place);
    hp_signal_dispose(&share->on_change);
    hp_left_out_dispose(&share->left_out);
    hp_aside_free(share);
    free(share->database);
    free(share->ignore);
    free(share);
    if (closed != NULL)
        closed(arg);
}

typedef struct load {
    const char *folder;
    char *database;
    hp_shared_state_t state;
    hp_shared_places_t folders; /* besides the main one */
    bool other;                 /* the index describes another folder, or none */
} load_t;

static int load_work(hp_db_t *db, void *arg, hp_err_t *err)
{
    load_t *load = arg;
    load->database = hp_shared_database(db);
    int rc = hp_shared_state_load(db, &load->state, err);
    if (rc != 0 && rc != HP_E_NOT_FOUND)
        return rc;
    rc = rc == HP_E_NOT_FOUND ? rc : hp_shared_place_list(db, &load->folders, err);
    if (rc != 0 && rc != HP_E_NOT_FOUND)
        return rc;
    load->other = rc == HP_E_NOT_FOUND || strcmp(load->state.folder, load->folder) != 0;
    if (!load->other)
        return 0;
    /* Rows of the other folder stay until the first walk of this one is over: a moved folder finds its
     * hashes. */
    rc = hp_shared_state_save(db, load->folder, 0, false, err);
    if (rc != 0)
        return rc;
    hp_shared_state_dispose(&load->state);
    return hp_shared_state_load(db, &load->state, err);
}

int hp_share_create(hp_share_t **result, uv_loop_t *loop, hp_store_t *store, const char *folder,
                    hp_err_t *err)
{
    load_t load = {.folder = folder};
    hp_share_t *share = hp_alloc(sizeof *share);
    *result = NULL;
    int rc = hp_store_run_now(store, HP_STORE_WRITE, load_work, &load, err);
    if (rc != 0)
        hp_err_prefix(err, "reading the index of the shared folder: ");
    else
        rc = hp_place_create(&share->place, folder, load.database, err);
    if (rc == 0) {
        for (size_t i = 0; i < load.folders.count; i++) {
            const hp_shared_place_t *other = &load.folders.items[i];
            hp_place_add_known(share->place, other->name, other->path, load.database);
            share->folders[hp_place_named(share->place, other->name)].device = other->device;
        }
        share->ignore = hp_strdup("");
        share->dotfiles = true;
        share->loop = loop;
        share->store = store;
        share->tuning = tuning;
        share->totals = (hp_share_totals_t){.revision = load.state.revision,
                                            .files = load.state.files,
                                            .bytes = load.state.bytes,
                                            .hashed_bytes = load.state.hashed_bytes};
        share->folders[0].device = load.state.device;
        share->complete = load.state.complete;
        share->scanning = true;
        share->database = load.database;
        load.database = NULL;
        hp_roots_init(&share->roots);
        uv_timer_init(loop, &share->change_timer);
        share->change_timer.data = share;
        uv_timer_init(loop, &share->aside_timer);
        share->aside_timer.data = share;
        share->index = hp_index_create(share);
        share->hashing = hp_hashing_create(share);
        share->layers = hp_layers_create();
        share->names = hp_names_create(share);
        *result = share;
    } else {
        free(share);
    }
    hp_shared_state_dispose(&load.state);
    hp_shared_places_dispose(&load.folders);
    free(load.database);
    return rc;
}

/* ---- roots that are known from before ---- */

typedef struct roots_load {
    hp_share_t *share;
    int64_t before;
    hp_shared_rows_t rows;
} roots_load_t;

static int roots_work(hp_db_t *db, void *arg, hp_err_t *err)
{
    roots_load_t *load = arg;
    return hp_shared_latest(db, &load->before, LOAD_SPAN, &load->rows, err);
}

static void on_roots(void *arg, int status, const hp_err_t *err)
{
    roots_load_t *load = arg;
    hp_share_t *share = load->share;
    if (status != 0)
        hp_log(HP_LOG_WARN, "share: known hashes cannot be read: %s", hp_err_text(err));
    for (size_t i = 0; i < load->rows.count; i++)
        hp_roots_add(&share->roots, &load->rows.items[i].identity, load->rows.items[i].root);
    hp_shared_rows_dispose(&load->rows);
    bool full = share->roots.young.count + share->roots.old.count + LOAD_SPAN > HP_ROOTS_MAX;
    if (status == 0 && load->before > 0 && !full && !share->closing) {
        hp_store_post(share->store, HP_STORE_READ, roots_work, on_roots, load);
        return;
    }
    share->roots.forgot = share->roots.forgot || full || status != 0;
    share->roots_loaded = true;
    free(load);
    hp_pending_drop(&share->pending);
}

void hp_share_start(hp_share_t *share)
{
    share->started = true;
    roots_load_t *load = hp_alloc(sizeof *load);
    load->share = share;
    load->before = INT64_MAX;
    hp_pending_add(&share->pending);
    hp_store_post(share->store, HP_STORE_READ, roots_work, on_roots, load);
    hp_index_start(share->index);
    hp_hashing_wake(share->hashing);
    hp_aside_start(share);
}

static void on_timer_closed(uv_handle_t *handle)
{
    hp_pending_drop(&((hp_share_t *)handle->data)->pending);
}

void hp_share_destroy(hp_share_t *share, void (*closed)(void *arg), void *arg)
{
    share->closing = true;
    atomic_store(&share->cancelled, true);
    atomic_store(&share->halted, true);
    share->closed = closed;
    share->closed_arg = arg;
    hp_share_serve_rows(share);
    hp_pending_add(&share->pending);
    uv_close((uv_handle_t *)&share->change_timer, on_timer_closed);
    hp_pending_add(&share->pending);
    uv_close((uv_handle_t *)&share->aside_timer, on_timer_closed);
    hp_index_stop(share->index);
    hp_hashing_stop(share->hashing);
    hp_pending_when_none(&share->pending, free_share, share);
}

/* ---- totals and changes ---- */

const char *hp_share_folder(const hp_share_t *share)
{
    return share->place->folders[0].path;
}

void hp_share_get_stats(const hp_share_t *share, hp_share_stats_t *stats)
{
    *stats = (hp_share_stats_t){.scanning = share->scanning, .missing = share->folders[0].missing};
    if (share->missing)
        return;
    const hp_share_totals_t *all = &share->totals, *away = &share->away;
    stats->files = all->files - HP_MIN(all->files, away->files);
    stats->bytes = all->bytes - HP_MIN(all->bytes, away->bytes);
    stats->hashed_bytes = all->hashed_bytes - HP_MIN(all->hashed_bytes, away->hashed_bytes);
}

const hp_left_out_t *hp_share_left_out(const hp_share_t *share)
{
    static const hp_left_out_t none = {0};
    return share->missing ? &none : &share->left_out;
}

uint64_t hp_share_revision(const hp_share_t *share)
{
    return share->totals.revision;
}

void hp_share_on_change(hp_share_t *share, hp_share_change_fn *fn, void *arg)
{
    hp_signal_add(&share->on_change, fn, arg);
}

static void on_change_timer(uv_timer_t *timer)
{
    hp_share_t *share = timer->data;
    if (!share->change_due)
        return;
    share->change_due = false;
    uv_timer_start(timer, on_change_timer, share->tuning.change, 0);
    hp_signal_emit(&share->on_change);
}

void hp_share_changed(hp_share_t *share)
{
    share->change_due = true;
    if (!share->closing && !uv_is_active((uv_handle_t *)&share->change_timer))
        uv_timer_start(&share->change_timer, on_change_timer, 0, 0);
}

int hp_share_read_totals(hp_db_t *db, hp_share_totals_t *totals, hp_err_t *err)
{
    hp_shared_state_t state = {0};
    int rc = hp_shared_state_load(db, &state, err);
    *totals = (hp_share_totals_t){.revision = state.revision,
                                  .files = state.files,
                                  .bytes = state.bytes,
                                  .hashed_bytes = state.hashed_bytes};
    hp_shared_state_dispose(&state);
    return rc;
}

void hp_share_set_totals(hp_share_t *share, const hp_share_totals_t *totals)
{
    bool news = totals->revision != share->totals.revision;
    share->totals = *totals;
    if (news)
        hp_share_changed(share);
}

/* ---- rows ---- */

struct hp_rows_request {
    hp_rows_request_t *next;
    hp_share_t *share;
    char *after;
    size_t limit, count;
    hp_share_rows_fn done;
    void *arg;
    bool folders;
    bool none; /* all folders are missing */
    hp_away_t away;
    hp_share_row_t *rows;
};

static int64_t milliseconds(int64_t ns)
{
    return ns / NS_PER_MS - (ns % NS_PER_MS < 0);
}

static void take_row(hp_rows_request_t *self, hp_shared_row_t *from)
{
    hp_share_row_t *to = &self->rows[self->count++];
    to->path = from->path;
    from->path = NULL;
    to->size = from->identity.size;
    to->mtime_ms = milliseconds(from->identity.mtime_ns);
    to->executable = from->executable;
    to->is_folder = self->folders;
    if (from->rooted)
        hp_hex_encode(from->root, HP_SHARED_ROOT_SIZE, to->root);
}

static int rows_work(hp_db_t *db, void *arg, hp_err_t *err)
{
    hp_rows_request_t *self = arg;
    self->rows = hp_alloc_array(self->limit, sizeof *self->rows);
    bool more = !self->none;
    char *after = self->after != NULL ? hp_strdup(self->after) : NULL;
    int rc = 0;
    while (more && self->count < self->limit && rc == 0) { /* each turn but the last skips a folder */
        hp_shared_rows_t found = {0};
        size_t wanted = self->limit - self->count;
        char *skip = NULL;
        rc = (self->folders ? hp_shared_folder_page : hp_shared_page)(db, after, wanted, &found, err);
        for (size_t i = 0; i < found.count && skip == NULL; i++) {
            skip = hp_away_skip(&self->away, found.items[i].path, false);
            if (skip == NULL)
                take_row(self, &found.items[i]);
        }
        more = skip != NULL;
        free(after);
        after = skip;
        hp_shared_rows_dispose(&found);
    }
    free(after);
    return rc;
}

static void on_rows(void *arg, int status, const hp_err_t *err)
{
    hp_rows_request_t *self = arg;
    hp_share_t *share = self->share;
    (void)err; /* the caller gets the code */
    if (share->closing)
        status = UV_ECANCELED;
    self->done(self->arg, status, status == 0 ? self->rows : NULL, status == 0 ? self->count : 0);
    for (size_t i = 0; i < self->count; i++)
        free(self->rows[i].path);
    hp_away_dispose(&self->away);
    free(self->rows);
    free(self->after);
    free(self);
    hp_pending_drop(&share->pending);
}

void hp_share_serve_rows(hp_share_t *share)
{
    while (share->rows_first != NULL && (share->complete || share->folders[0].missing || share->closing)) {
        hp_rows_request_t *request = share->rows_first;
        share->rows_first = request->next;
        if (share->rows_first == NULL)
            share->rows_last = NULL;
        request->none = share->missing || share->closing;
        hp_away_init(&request->away, share);
        hp_store_post(share->store, HP_STORE_READ, rows_work, on_rows, request);
    }
}

static void ask(hp_share_t *share, bool folders, const char *after, size_t limit, hp_share_rows_fn done,
                void *arg)
{
    hp_rows_request_t *request = hp_alloc(sizeof *request);
    request->share = share;
    request->folders = folders;
    request->after = after != NULL ? hp_strdup(after) : NULL;
    request->limit = limit;
    request->done = done;
    request->arg = arg;
    if (share->rows_last != NULL)
        share->rows_last->next = request;
    else
        share->rows_first = request;
    share->rows_last = request;
    hp_pending_add(&share->pending);
    hp_share_serve_rows(share);
}

void hp_share_rows(hp_share_t *share, const char *after, size_t limit, hp_share_rows_fn done, void *arg)
{
    ask(share, false, after, limit, done, arg);
}

void hp_share_folders(hp_share_t *share, const char *after, size_t limit, hp_share_rows_fn done, void *arg)
{
    ask(share, true, after, limit, done, arg);
}
