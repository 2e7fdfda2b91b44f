/* Downloads that have ended, however many there ever were, stay in the store. In memory are those that have
 * not ended, and the few that ended last or were asked for: an ended one is read when somebody wants it, and
 * a list is merged page by page from the store and from memory. */
#include "transfer/internal.h"

#include <stdlib.h>
#include <string.h>

#include "base/array.h"

#define ENDED_KEPT 256 /* ended downloads in memory */

bool hp_download_has_ended(const download_t *self)
{
    return self->state == HP_DOWNLOAD_DONE || self->state == HP_DOWNLOAD_FAILED ||
           self->state == HP_DOWNLOAD_CANCELLED;
}

/* ---- what is not needed in memory ---- */

static bool is_read(const hp_transfer_t *self, int64_t id)
{
    for (const hp_reader_t *reader = self->readers; reader != NULL; reader = hp_reader_next(reader))
        if (hp_reader_download(reader) == id)
            return true;
    return false;
}

void hp_transfer_drop_ended(hp_transfer_t *self)
{
    size_t kept = 0;
    for (download_t *d = self->downloads, *next; d != NULL && self->count > ENDED_KEPT; d = next) {
        next = d->next;
        if (!hp_download_has_ended(d) || d->active || d->removing || !hp_pending_is_none(&d->pending) ||
            d->items != NULL || is_read(self, d->row.id))
            continue;
        if (++kept <= ENDED_KEPT)
            continue;
        hp_transfer_unlink(self, d);
        hp_download_free(d);
    }
}

/* ---- one download ---- */

typedef struct load {
    hp_transfer_t *transfer;
    int64_t id;
    hp_download_row_t row;
    hp_download_fn done;
    void *arg;
} load_t;

static int work_load(hp_db_t *db, void *arg, hp_err_t *err)
{
    load_t *job = arg;
    return hp_db_download_get(db, job->id, &job->row, err);
}

static void on_loaded(void *arg, int status, const hp_err_t *err)
{
    load_t *job = arg;
    hp_transfer_t *self = job->transfer;
    /* One that is being removed is not found, and does not come back. */
    if (status == 0 && !hp_transfer_is_being_removed(self, job->id) &&
        hp_transfer_find(self, job->id) == NULL)
        hp_download_from_row(self, &job->row);
    if (status == 0)
        hp_download_row_dispose(&job->row);
    job->done(job->arg, status, job->id, true, err);
    hp_transfer_wake(self);
    free(job);
}

bool hp_transfer_has(const hp_transfer_t *self, int64_t id)
{
    return hp_transfer_find(self, id) != NULL;
}

void hp_transfer_load(hp_transfer_t *self, int64_t id, hp_download_fn done, void *arg)
{
    load_t *job = hp_alloc(sizeof *job);
    *job = (load_t){.transfer = self, .id = id, .done = done, .arg = arg};
    hp_store_post_counted(self->store, &self->pending, HP_STORE_READ, work_load, on_loaded, job);
}

/* ---- a page of all ---- */

typedef struct page {
    hp_transfer_t *transfer;
    hp_transfer_page_t query;
    HP_ARRAY(hp_download_row_t) rows; /* of ended ones, newest first; their texts are owned */
    void (*each)(void *arg, const hp_download_info_t *info);
    void (*done)(void *arg, int status, bool more, int64_t last, const hp_err_t *err);
    void *arg;
} page_t;

static void add_row(void *arg, const hp_download_row_t *row)
{
    page_t *job = arg;
    hp_download_copy_row(row, hp_array_add(&job->rows));
}

static int work_page(hp_db_t *db, void *arg, hp_err_t *err)
{
    page_t *job = arg;
    const hp_transfer_page_t *query = &job->query;
    bool unfinished = query->one_state && query->state < HP_DOWNLOAD_DONE;
    if (unfinished)
        return 0; /* all of them are in memory */
    return hp_db_download_ended(db, query->one_state ? hp_download_state_name(query->state) : NULL,
                                query->before, query->limit, add_row, job, err);
}

static bool is_wanted(const hp_transfer_page_t *query, const download_t *download)
{
    return !download->removing && (!query->one_state || download->state == query->state);
}

static void show_row(page_t *job, const hp_download_row_t *row)
{
    download_t *shown = hp_download_make(job->transfer, row);
    hp_download_info_t info;
    hp_download_fill(shown, &info);
    if (is_wanted(&job->query, shown))
        job->each(job->arg, &info);
    hp_download_free(shown);
}

static const download_t *in_memory(const hp_transfer_t *self, int64_t id)
{
    for (const download_t *d = self->downloads; d != NULL && d->row.id >= id; d = d->next)
        if (d->row.id == id)
            return d;
    return NULL;
}

/* Ids fall: whichever of the two comes next. What stands in memory is newer than its row. Below the last row
 * of a full page the store may have others, which come before what is in memory there. */
static size_t merge(page_t *job, int64_t *last)
{
    const hp_transfer_page_t *query = &job->query;
    bool full = job->rows.count == query->limit;
    download_t *d = job->transfer->downloads;
    while (d != NULL && query->before != 0 && d->row.id >= query->before)
        d = d->next;
    size_t shown = 0, i = 0;
    while (shown < query->limit && (d != NULL || i < job->rows.count)) {
        const hp_download_row_t *row = i < job->rows.count ? &job->rows.items[i] : NULL;
        if (row == NULL && full)
            break;
        if (d != NULL && (row == NULL || d->row.id >= row->id)) {
            if (row != NULL && row->id == d->row.id)
                i++;
            if (is_wanted(query, d)) {
                hp_download_info_t info;
                hp_download_fill(d, &info);
                job->each(job->arg, &info);
                shown++;
            }
            *last = d->row.id;
            d = d->next;
            continue;
        }
        i++;
        if (in_memory(job->transfer, row->id) == NULL) {
            show_row(job, row);
            shown++;
        }
        *last = row->id;
    }
    return shown;
}

static void on_page(void *arg, int status, const hp_err_t *err)
{
    page_t *job = arg;
    hp_transfer_t *self = job->transfer;
    int64_t last = 0;
    bool more = false;
    if (status == 0) {
        size_t shown = merge(job, &last);
        more = shown == job->query.limit || job->rows.count == job->query.limit;
    }
    for (size_t i = 0; i < job->rows.count; i++)
        hp_download_row_dispose(&job->rows.items[i]);
    hp_array_dispose(&job->rows);
    job->done(job->arg, status, more, last, err);
    free(job);
    hp_transfer_wake(self);
}

void hp_transfer_list(hp_transfer_t *self, const hp_transfer_page_t *query,
                      void (*each)(void *arg, const hp_download_info_t *info),
                      void (*done)(void *arg, int status, bool more, int64_t last, const hp_err_t *err),
                      void *arg)
{
    page_t *job = hp_alloc(sizeof *job);
    *job = (page_t){.transfer = self, .query = *query, .each = each, .done = done, .arg = arg};
    hp_store_post_counted(self->store, &self->pending, HP_STORE_READ, work_page, on_page, job);
}

/* ---- removing all that are done ---- */

#define REMOVED_AT_ONCE 200

typedef struct clear {
    hp_transfer_t *transfer;
    int64_t before;
    HP_ARRAY(hp_download_row_t) rows;
    hp_pending_t removals; /* of the page */
    size_t page;           /* its rows */
    uint64_t removed;
    int status; /* of the first that could not be removed */
    hp_err_t err;
    void (*done)(void *arg, int status, uint64_t removed, const hp_err_t *err);
    void *arg;
} clear_t;

static void next_clear(clear_t *job);

static void add_done(void *arg, const hp_download_row_t *row)
{
    hp_download_copy_row(row, hp_array_add(&((clear_t *)arg)->rows));
}

static int work_clear(hp_db_t *db, void *arg, hp_err_t *err)
{
    clear_t *job = arg;
    return hp_db_download_ended(db, hp_download_state_name(HP_DOWNLOAD_DONE), job->before, REMOVED_AT_ONCE,
                                add_done, job, err);
}

static void end_clear(clear_t *job)
{
    job->done(job->arg, job->status, job->removed, &job->err);
    free(job);
}

static void on_page_removed(void *arg)
{
    clear_t *job = arg;
    if (job->page < REMOVED_AT_ONCE || job->status != 0 || job->transfer->stopping)
        end_clear(job);
    else
        next_clear(job);
}

static void on_one_removed(void *arg, int status, int64_t id, bool existing, const hp_err_t *err)
{
    clear_t *job = arg;
    (void)id, (void)existing;
    if (status == 0) {
        job->removed++;
    } else if (status != HP_E_NOT_FOUND && job->status == 0) {
        job->status = status;
        job->err = *err;
    }
    hp_pending_drop(&job->removals);
}

static void on_clear(void *arg, int status, const hp_err_t *err)
{
    clear_t *job = arg;
    hp_transfer_t *self = job->transfer;
    if (status != 0) {
        job->status = status;
        job->err = *err;
    }
    job->page = job->rows.count;
    for (size_t i = 0; i < job->rows.count; i++) {
        hp_download_row_t *row = &job->rows.items[i];
        job->before = row->id;
        download_t *download = hp_transfer_find(self, row->id);
        if (download == NULL && !hp_transfer_is_being_removed(self, row->id) && !self->stopping)
            download = hp_download_from_row(self, row);
        if (download != NULL && download->state == HP_DOWNLOAD_DONE && !self->stopping) {
            hp_pending_add(&job->removals);
            hp_transfer_remove(self, row->id, true, on_one_removed, job);
        }
        hp_download_row_dispose(row);
    }
    hp_array_dispose(&job->rows);
    hp_pending_when_none(&job->removals, on_page_removed, job);
    hp_transfer_wake(self);
}

static void next_clear(clear_t *job)
{
    hp_store_post_counted(job->transfer->store, &job->transfer->pending, HP_STORE_READ, work_clear, on_clear,
                          job);
}

void hp_transfer_remove_done(hp_transfer_t *self,
                             void (*done)(void *arg, int status, uint64_t removed, const hp_err_t *err),
                             void *arg)
{
    clear_t *job = hp_alloc(sizeof *job);
    *job = (clear_t){.transfer = self, .done = done, .arg = arg};
    next_clear(job);
}

/* ---- how many ---- */

uint64_t hp_transfer_count_in(const hp_transfer_t *self, hp_download_state_t state)
{
    return self->counts[state];
}

void hp_transfer_count_loaded(hp_transfer_t *self, const char *state, int64_t count)
{
    for (int i = HP_DOWNLOAD_DONE; i <= HP_DOWNLOAD_CANCELLED; i++)
        if (strcmp(state, hp_download_state_name((hp_download_state_t)i)) == 0)
            self->counts[i] = (uint64_t)count;
}
