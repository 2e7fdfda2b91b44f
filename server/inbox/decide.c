/* What becomes of an offer: a person, or whoever decides for one, accepts it, declines it or ends it.
 *
 * An acceptance is looked at before it counts: whether there is room on the disk, in the pool, and then
 * whether it could be committed. The sender may cancel meanwhile. */
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/mem.h"
#include "inbox/internal.h"
#include "pool/pool.h"
#include "transfer/part.h"

typedef struct {
    hp_inbox_item_t *item;
    char *base, *folder;
    uint64_t size; /* of what is wanted */
    hp_inbox_done_fn done;
    void *arg;
} decision_t;

static void want_all(hp_inbox_item_t *item)
{
    for (size_t i = 0; i < item->files.count; i++)
        item->files.items[i].wanted = true;
}

static void end_decision(decision_t *decision, int status, const hp_err_t *err)
{
    hp_inbox_item_t *item = decision->item;
    if (decision->done != NULL)
        decision->done(decision->arg, status, err);
    free(decision->base);
    free(decision->folder);
    free(decision);
    hp_inbox_item_drop(item);
}

static void on_accepted(hp_inbox_item_t *item, void *arg, int status, const hp_err_t *err)
{
    decision_t *decision = arg;
    hp_err_t over = {0};
    item->deciding = false;
    if (item->state != HP_INCOMING_ASKING) {
        status = hp_err_set(&over, HP_E_CONFLICT, "the sender has cancelled");
        err = &over;
    } else if (status != 0) {
        hp_inbox_set_state(item, HP_INCOMING_FAILED, hp_err_text(err));
    } else {
        item->moved_ms = hp_clock_ms();
        hp_inbox_count_accepted(item);
        hp_inbox_set_state(item, HP_INCOMING_RECEIVING, "");
        if (item->kind == HP_SENDER_HOSTPAIR)
            hp_inbox_fetch(item);
    }
    end_decision(decision, status, err);
}

static int work_room(void *arg, hp_err_t *err)
{
    const decision_t *decision = arg;
    uint64_t available, device;
    if (hp_part_free_bytes(decision->base, &available, &device) == 0 && decision->size > available)
        return hp_err_set(err, HP_E_NO_SPACE, "%llu bytes were offered, and %llu are free",
                          (unsigned long long)decision->size, (unsigned long long)available);
    return 0;
}

static void on_room(void *arg, int status, const hp_err_t *err)
{
    decision_t *decision = arg;
    hp_inbox_item_t *item = decision->item;
    hp_err_t over = {0};
    if (status == 0 && item->state != HP_INCOMING_ASKING) {
        status = hp_err_set(&over, HP_E_CONFLICT, "the sender has cancelled");
        err = &over;
    }
    if (status != 0) {
        item->deciding = false;
        want_all(item);
        if (decision->done == NULL && item->state == HP_INCOMING_ASKING) /* nobody is there to be told */
            hp_inbox_set_state(item, HP_INCOMING_DECLINED, hp_err_text(err));
        end_decision(decision, status, err);
        return;
    }
    free(item->base);
    free(item->folder);
    item->base = decision->base;
    item->folder = decision->folder;
    decision->base = decision->folder = NULL;
    hp_inbox_store(item, true, on_accepted, decision);
}

static int compare_texts(const void *a, const void *b)
{
    return strcmp(*(const char *const *)a, *(const char *const *)b);
}

/* Marks what is wanted. */
static int choose(hp_inbox_item_t *item, const hp_inbox_choice_t *choice, hp_err_t *err)
{
    if (choice->files == NULL)
        return 0;
    if (choice->count == 0)
        return hp_err_set(err, HP_E_INVALID, "files: names no file; to take none, decline");
    size_t found = 0, distinct = 0;
    const char **ids = hp_alloc_array(choice->count, sizeof *ids);
    memcpy(ids, choice->files, choice->count * sizeof *ids);
    qsort(ids, choice->count, sizeof *ids, compare_texts);
    for (size_t i = 0; i < choice->count; i++)
        distinct += i == 0 || strcmp(ids[i], ids[i - 1]) != 0;
    for (size_t i = 0; i < item->files.count; i++) {
        hp_inbox_file_t *file = &item->files.items[i];
        file->wanted = bsearch(&file->id, ids, choice->count, sizeof *ids, compare_texts) != NULL;
        found += file->wanted;
    }
    free(ids);
    if (found == distinct)
        return 0;
    want_all(item);
    return hp_err_set(err, HP_E_INVALID, "files: names a file that is not in the offer");
}

static int check_choice(hp_inbox_t *self, hp_inbox_item_t *item, const hp_inbox_choice_t *choice,
                        hp_err_t *err)
{
    if (self->closing)
        return UV_ECANCELED;
    if (item == NULL)
        return hp_err_set(err, HP_E_NOT_FOUND, "there is no such transfer");
    if (item->state != HP_INCOMING_ASKING || item->deciding)
        return hp_err_set(err, HP_E_CONFLICT, "the transfer is %s already",
                          item->deciding ? "accepted" : hp_incoming_state_name(item->state));
    if (choice->to != NULL) {
        int rc = hp_path_check(choice->to, strlen(choice->to), err);
        if (rc != 0) {
            hp_err_prefix(err, "to: ");
            return rc;
        }
    }
    return choose(item, choice, err);
}

void hp_inbox_accept(hp_inbox_t *self, int64_t id, const hp_inbox_choice_t *choice, hp_inbox_done_fn done,
                     void *arg)
{
    hp_err_t err = {0};
    hp_inbox_item_t *item = hp_inbox_item_find(self, id);
    int rc = check_choice(self, item, choice, &err);
    if (rc != 0) {
        if (done != NULL)
            done(arg, rc, &err);
        return;
    }
    decision_t *decision = hp_alloc(sizeof *decision);
    char *sender = hp_inbox_folder_of(item->name);
    *decision = (decision_t){
        .item = item,
        .base = hp_strdup(self->downloads_folder),
        .folder = choice->to != NULL ? hp_strdup(choice->to) : hp_sprintf("Received/%s", sender),
        .size = hp_inbox_wanted_size(item),
        .done = done,
        .arg = arg,
    };
    free(sender);
    item->deciding = true;
    item->jobs++;
    hp_pool_post(self->deps.loop, &self->pending, work_room, on_room, decision);
}

static int end(hp_inbox_t *self, int64_t id, bool asking, hp_incoming_state_t state, const char *reason,
               hp_err_t *err)
{
    hp_inbox_item_t *item = hp_inbox_item_find(self, id);
    if (item == NULL)
        return hp_err_set(err, HP_E_NOT_FOUND, "there is no such transfer");
    if (hp_incoming_is_over(item->state) || (asking && item->state != HP_INCOMING_ASKING) ||
        (asking && item->deciding))
        return hp_err_set(err, HP_E_CONFLICT, "the transfer is %s already",
                          item->deciding ? "accepted" : hp_incoming_state_name(item->state));
    hp_inbox_set_state(item, state, reason);
    return 0;
}

int hp_inbox_decline(hp_inbox_t *self, int64_t id, hp_err_t *err)
{
    return end(self, id, true, HP_INCOMING_DECLINED, "", err);
}

int hp_inbox_cancel(hp_inbox_t *self, int64_t id, const char *reason, hp_err_t *err)
{
    return end(self, id, false, HP_INCOMING_CANCELLED, reason, err);
}

int hp_inbox_fail(hp_inbox_t *self, int64_t id, const char *reason, hp_err_t *err)
{
    return end(self, id, false, HP_INCOMING_FAILED, reason, err);
}
