/* What came of a file is not what its host had listed: the file has become another one there, of the same
 * size, and the host has no hash of it yet, or the list that is known here is an old one. The host's list is
 * fetched anew, and when it names another hash now, or none, the file starts over as that one. A host that
 * goes on naming the hash that its bytes do not have is not believed, and the file fails. */
#include "transfer/internal.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "db/remote_file.h"

static const char other_content[] =
    "All bytes have arrived, but they are not the content that was announced (another hash)";

typedef struct look {
    item_t *item;
    source_t *source; /* the item's, which keeps it while something is pending */
    char host[HP_REMOTE_HOST_SIZE];
    char *path;
    hp_remote_file_t file; /* as it is listed now */
} look_t;

static int work_look(hp_db_t *db, void *arg, hp_err_t *err)
{
    look_t *job = arg;
    return hp_remote_file_find(db, job->host, job->path, &job->file, err);
}

static void start_over(item_t *item, source_t *source, const hp_remote_file_t *file)
{
    free(source->set_aside);
    source->set_aside = NULL;
    source->code = 0;
    source->host->banned = false;
    source->host->error[0] = '\0';
    free(item->newer_root);
    item->newer_root = file->root[0] != '\0' ? hp_strdup(file->root) : NULL;
    item->newer_mtime_ms = file->mtime != HP_REMOTE_NO_TIME ? file->mtime : 0;
    item->newer_until = item->newer_look_at = 0;
    hp_source_save(source);
    hp_item_start_over(item, "The file at the source is another one than was listed");
}

static void on_looked(void *arg, int status, const hp_err_t *err)
{
    look_t *job = arg;
    item_t *item = job->item;
    source_t *source = job->source;
    hp_pending_drop(&item->pending);
    if (status != 0 && status != HP_E_NOT_FOUND)
        hp_log(HP_LOG_ERROR, "looking for what %s lists as %s now: %s", job->host, job->path,
               hp_err_text(err));
    bool wanted = item->phase == ITEM_FETCHING && item->restart_why == NULL && item->row.root != NULL &&
                  source->code == HP_E_WRONG_DIGEST;
    if (status == 0 && wanted && strcmp(job->file.root, item->row.root) != 0)
        start_over(item, source, &job->file);
    if (status == 0)
        hp_remote_file_dispose(&job->file);
    free(job->path);
    hp_transfer_wake(item->download->transfer);
    free(job);
}

static void look(item_t *item, source_t *source)
{
    look_t *job = hp_alloc(sizeof *job);
    *job = (look_t){.item = item, .source = source, .path = hp_strdup(source->path)};
    snprintf(job->host, sizeof job->host, "%s", source->host->id);
    hp_pending_add(&item->pending);
    hp_store_post(item->download->transfer->store, HP_STORE_READ, work_look, on_looked, job);
}

/* Its bytes were another content than its list had said. */
static bool was_wrong(const source_t *source)
{
    return source->code == HP_E_WRONG_DIGEST && source->host->kind->hashes_later;
}

bool hp_item_looks_for_newer(item_t *item)
{
    const hp_transfer_hooks_t *hooks = &item->download->transfer->hooks;
    const hp_download_row_t *order = &item->download->row;
    uint64_t now = hp_clock_ms();
    bool wrong = false;
    for (const source_t *s = item->sources; s != NULL; s = s->next)
        wrong |= was_wrong(s);
    if (!wrong || item->row.root == NULL || order->order_root != NULL || order->order_url != NULL)
        return false;
    if (item->newer_until == 0) {
        item->newer_until = now + NEWER_WAIT_MS;
        hp_download_set_reason(item->download, "What the source sent is not what it had listed; its list is "
                                               "fetched anew");
    }
    if (now >= item->newer_until)
        return false;
    if (now >= item->newer_look_at) {
        item->newer_look_at = now + MOVED_LOOK_MS;
        for (source_t *s = item->sources; s != NULL; s = s->next) {
            if (!was_wrong(s))
                continue;
            look(item, s); /* what the last request has brought */
            if (hooks->relist != NULL)
                hooks->relist(hooks->arg, s->host->id);
        }
    }
    return true;
}

/* Where the bytes of a file without a manifest came from: all from one source. */
static source_t *giver_of(const item_t *item)
{
    for (source_t *s = item->sources; s != NULL && item->chunks > 0; s = s->next)
        if (item->chunk_sources[0] == s->mark || (s->id != 0 && item->chunk_sources[0] == s->id))
            return s;
    return NULL;
}

void hp_item_got_other_content(item_t *item)
{
    source_t *source = giver_of(item);
    const hp_download_row_t *order = &item->download->row;
    if (source == NULL || order->order_root != NULL || order->order_url != NULL) {
        hp_item_fail_other_content(item);
        return;
    }
    free(item->row.state);
    item->row.state = hp_strdup("open");
    hp_source_set_aside(source, HP_E_WRONG_DIGEST, other_content);
    hp_item_clear_chunks(item);
    for (source_t *s = item->sources; s != NULL; s = s->next)
        s->asked = false;
    hp_item_set_phase(item, ITEM_FETCHING); /* from another source, or as what the host has now */
}

void hp_item_fail_other_content(item_t *item)
{
    hp_item_fail(item, HP_E_WRONG_DIGEST, other_content);
}
