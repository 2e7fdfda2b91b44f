/* Transfers in the database. */
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "inbox/internal.h"

/* ---- writing ---- */

/* A copy of what is written, so that the item may change meanwhile. */
typedef struct {
    hp_inbox_item_t *item;
    hp_db_incoming_t row;
    bool has_row;
    HP_ARRAY(hp_db_incoming_file_t) files;
    HP_ARRAY(char *) texts; /* of row and files */
    hp_inbox_stored_fn done;
    void *arg;
} job_t;

static const char *keep(job_t *job, const char *text)
{
    return text == NULL ? NULL : (*hp_array_add(&job->texts) = hp_strdup(text));
}

static job_t *create(hp_inbox_item_t *item, hp_inbox_stored_fn done, void *arg)
{
    job_t *job = hp_alloc(sizeof *job);
    *job = (job_t){.item = item, .done = done, .arg = arg};
    item->jobs++;
    return job;
}

static void add_row(job_t *job)
{
    const hp_inbox_item_t *item = job->item;
    job->has_row = true;
    job->row = (hp_db_incoming_t){
        .id = item->id,
        .token = keep(job, item->token),
        .kind = item->kind,
        .name = keep(job, item->name),
        .address = keep(job, item->address),
        .host = keep(job, item->host),
        .base = keep(job, item->base),
        .folder = keep(job, item->folder),
        .state = item->state == HP_INCOMING_ASKING ? HP_INCOMING_RECEIVING : item->state,
        .reason = keep(job, hp_incoming_is_over(item->state) ? item->reason : ""),
        .files = (int64_t)item->file_count,
        .created_at = item->created_at,
        .finished_at = item->finished_at,
    };
}

/* Of one that is being fetched what was agreed to, which is what bounds it, and in place of a part file's
 * inode, which it has not, whether its download is shared. */
static void add_file(job_t *job, size_t index)
{
    const hp_inbox_file_t *file = &job->item->files.items[index];
    uint64_t size = file->download != 0 && !file->done ? file->agreed : file->size;
    *hp_array_add(&job->files) = (hp_db_incoming_file_t){
        .number = (int64_t)index,
        .name = keep(job, file->name),
        .key = keep(job, file->id),
        .type = keep(job, file->type),
        .size = size == HP_INBOX_ANY_SIZE ? -1 : (int64_t)size,
        .sha256 = keep(job, file->sha256),
        .wanted = file->wanted,
        .done = file->done,
        .path = keep(job, file->path != NULL ? file->path : ""),
        .received = (int64_t)file->synced,
        .part = keep(job, file->part != NULL ? file->part : ""),
        .inode = file->download != 0 ? file->shared : (int64_t)file->inode,
        .folder = file->folder,
        .download = file->download,
    };
}

static int work_store(hp_db_t *db, void *arg, hp_err_t *err)
{
    job_t *job = arg;
    int rc = job->has_row ? hp_db_incoming_set(db, &job->row, err) : 0;
    for (size_t i = 0; i < job->files.count && rc == 0; i++)
        rc = hp_db_incoming_file_set(db, job->row.id, &job->files.items[i], err);
    if (rc == 0 && job->has_row && job->row.finished_at > 0)
        rc = hp_db_incoming_prune(db, HP_INBOX_KEPT, HP_INBOX_KEPT_ASKED, err);
    return rc;
}

static void on_stored(void *arg, int status, const hp_err_t *err)
{
    job_t *job = arg;
    if (status != 0)
        hp_log(HP_LOG_WARN, "inbox: transfer %lld cannot be stored: %s", (long long)job->row.id,
               hp_err_text(err));
    if (job->done != NULL)
        job->done(job->item, job->arg, status, err);
    for (size_t i = 0; i < job->texts.count; i++)
        free(job->texts.items[i]);
    hp_array_dispose(&job->texts);
    hp_array_dispose(&job->files);
    hp_inbox_item_drop(job->item);
    free(job);
}

void hp_inbox_store(hp_inbox_item_t *item, bool all, hp_inbox_stored_fn done, void *arg)
{
    hp_inbox_t *self = item->inbox;
    job_t *job = create(item, done, arg);
    add_row(job);
    for (size_t i = 0; all && i < item->files.count; i++)
        add_file(job, i);
    hp_store_post_counted(self->deps.store, &self->pending, HP_STORE_WRITE_SYNCED, work_store, on_stored,
                          job);
}

void hp_inbox_store_file(hp_inbox_item_t *item, size_t index, hp_store_kind_t kind, hp_inbox_stored_fn done,
                         void *arg)
{
    hp_inbox_t *self = item->inbox;
    job_t *job = create(item, done, arg);
    job->row.id = item->id;
    add_file(job, index);
    hp_store_post_counted(self->deps.store, &self->pending, kind, work_store, on_stored, job);
}

/* ---- reading, at start ---- */

static char *copy_or_null(const char *text)
{
    return text != NULL && text[0] != '\0' ? hp_strdup(text) : NULL;
}

static void on_file(void *arg, const hp_db_incoming_file_t *row)
{
    hp_inbox_item_t *item = arg;
    if (row->number != (int64_t)item->files.count) /* a damaged database: its place would be another's */
        return;
    *hp_array_add(&item->files) = (hp_inbox_file_t){
        .id = hp_strdup(row->key),
        .name = hp_strdup(row->name),
        .type = hp_strdup(row->type),
        .sha256 = copy_or_null(row->sha256),
        .path = copy_or_null(row->path),
        .part = copy_or_null(row->part),
        .inode = row->download != 0 ? 0 : (uint64_t)row->inode,
        .shared = row->download != 0 && row->inode != 0,
        .agreed = row->size < 0 ? HP_INBOX_ANY_SIZE : (uint64_t)row->size,
        .size = row->size < 0 ? HP_INBOX_ANY_SIZE : (uint64_t)row->size,
        .received = (uint64_t)HP_MAX(row->received, 0),
        .synced = (uint64_t)HP_MAX(row->received, 0),
        .recorded = (uint64_t)HP_MAX(row->received, 0),
        .wanted = row->wanted,
        .done = row->done,
        .folder = row->folder,
        .download = row->download,
    };
}

static void on_row(void *arg, const hp_db_incoming_t *row)
{
    hp_inbox_t *self = arg;
    hp_inbox_item_t *item = hp_inbox_item_add(self, row->id, row->token);
    item->kind = row->kind;
    item->name = hp_strdup(row->name);
    item->address = hp_strdup(row->address);
    item->host = hp_strdup(row->host);
    free(item->base);
    item->base = hp_strdup(row->base);
    free(item->folder);
    item->folder = hp_strdup(row->folder);
    item->state = row->state;
    free(item->reason);
    item->reason = hp_strdup(row->reason);
    item->created_at = row->created_at;
    item->finished_at = row->finished_at;
    item->file_count = (size_t)row->files;
    item->moved_ms = hp_clock_ms();
}

static int work_load(hp_db_t *db, void *arg, hp_err_t *err)
{
    hp_inbox_t *self = arg;
    int64_t last = 0;
    int rc = hp_db_incoming_each(db, on_row, self, err);
    HP_LIST_EACH (link, &self->items) {
        hp_inbox_item_t *item = HP_CONTAINER(link, hp_inbox_item_t, link);
        size_t limit = hp_incoming_is_over(item->state) ? HP_INBOX_KEPT_FILES : HP_INBOX_FILES_MAX;
        if (rc == 0)
            rc = hp_db_incoming_file_each(db, item->id, limit, on_file, item, err);
        if (rc == 0 && hp_incoming_is_over(item->state))
            rc = hp_db_incoming_file_sums(db, item->id, limit, &item->rest, err);
        if (rc == 0 && hp_incoming_is_over(item->state))
            hp_inbox_item_trim(item);
    }
    if (rc == 0)
        rc = hp_db_incoming_last(db, &last, err);
    /* Offers that nobody accepted have ids, too, which are in no row: time keeps them apart. */
    self->last_id = HP_MAX(last, hp_clock_wall_ms() / 1000);
    return rc;
}

int hp_inbox_load(hp_inbox_t *self, hp_err_t *err)
{
    return hp_store_run_now(self->deps.store, HP_STORE_READ, work_load, self, err);
}
