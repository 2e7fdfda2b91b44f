/* The inbox's life, its list, and what is decided about each transfer. */
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "inbox/internal.h"
#include "pool/pool.h"
#include "transfer/part.h"

#define LOOK_MS 500 /* between looks at what waits */

/* ---- items ---- */

void hp_inbox_file_dispose(hp_inbox_file_t *file)
{
    free(file->id);
    free(file->name);
    free(file->type);
    free(file->sha256);
    free(file->path);
    free(file->part);
}

hp_inbox_item_t *hp_inbox_item_find(const hp_inbox_t *self, int64_t id)
{
    HP_LIST_EACH (link, &self->items) {
        hp_inbox_item_t *item = HP_CONTAINER(link, hp_inbox_item_t, link);
        if (item->id == id)
            return item;
    }
    return NULL;
}

hp_inbox_item_t *hp_inbox_item_add(hp_inbox_t *self, int64_t id, const char *token)
{
    hp_inbox_item_t *item = hp_alloc(sizeof *item);
    item->inbox = self;
    item->id = id;
    self->last_id = HP_MAX(self->last_id, id);
    memcpy(item->token, token, strnlen(token, sizeof item->token - 1));
    item->base = hp_strdup("");
    item->folder = hp_strdup("");
    item->reason = hp_strdup("");
    hp_list_add_first(&self->items, &item->link);
    self->count++;
    return item;
}

static void trim(hp_inbox_item_t *item, size_t keep)
{
    while (item->files.count > keep)
        hp_inbox_file_dispose(&item->files.items[--item->files.count]);
}

void hp_inbox_item_free(hp_inbox_item_t *item)
{
    trim(item, 0);
    hp_array_dispose(&item->files);
    free(item->name);
    free(item->address);
    free(item->host);
    free(item->base);
    free(item->folder);
    free(item->reason);
    free(item);
}

void hp_inbox_item_drop(hp_inbox_item_t *item)
{
    if (--item->jobs > 0)
        return;
    if (!hp_link_is_linked(&item->link))
        hp_inbox_item_free(item);
    else if (hp_incoming_is_over(item->state))
        trim(item, HP_INBOX_KEPT_FILES);
}

/* Forgets the oldest that are over. */
static void prune(hp_inbox_t *self)
{
    size_t over = 0;
    HP_LIST_EACH (link, &self->items) {
        hp_inbox_item_t *item = HP_CONTAINER(link, hp_inbox_item_t, link);
        if (!hp_incoming_is_over(item->state) || ++over <= HP_INBOX_KEPT)
            continue;
        hp_link_remove(&item->link);
        self->count--;
        item->jobs++;
        hp_inbox_changed(item);
        hp_inbox_item_drop(item);
    }
}

/* ---- states ---- */

void hp_inbox_changed(hp_inbox_item_t *item)
{
    hp_signal_emit(&item->inbox->event, item->id);
}

void hp_inbox_set_reason(hp_inbox_item_t *item, const char *reason)
{
    char *copy = hp_strdup(reason);
    free(item->reason);
    item->reason = copy;
}

void hp_inbox_set_state(hp_inbox_item_t *item, hp_incoming_state_t state, const char *reason)
{
    hp_inbox_t *self = item->inbox;
    bool stored = item->base[0] != '\0';
    hp_log(HP_LOG_INFO, "inbox: transfer %lld: %s -> %s%s%s", (long long)item->id,
           hp_incoming_state_name(item->state), hp_incoming_state_name(state), reason[0] != '\0' ? ": " : "",
           reason);
    item->state = state;
    hp_inbox_set_reason(item, reason);
    item->jobs++;
    if (hp_incoming_is_over(state)) {
        item->finished_at = hp_clock_wall_ms();
        if (!stored)
            trim(item, HP_INBOX_KEPT_FILES);
        hp_inbox_store(item, !stored, NULL, NULL);
        hp_inbox_remove_parts(item);
        if (state == HP_INCOMING_CANCELLED)
            hp_inbox_drop_downloads(item);
    }
    hp_inbox_changed(item);
    hp_inbox_item_drop(item);
    if (hp_incoming_is_over(state))
        prune(self);
}

void hp_inbox_check_done(hp_inbox_item_t *item)
{
    if (item->state != HP_INCOMING_RECEIVING || item->more)
        return;
    for (size_t i = 0; i < item->files.count; i++)
        if (item->files.items[i].wanted && !item->files.items[i].done)
            return;
    hp_inbox_set_state(item, HP_INCOMING_DONE, "");
}

int hp_inbox_no_more(hp_inbox_t *self, int64_t id, hp_err_t *err)
{
    hp_inbox_item_t *item = hp_inbox_item_find(self, id);
    if (item == NULL)
        return hp_err_set(err, HP_E_NOT_FOUND, "there is no such transfer");
    if (item->state != HP_INCOMING_RECEIVING)
        return hp_err_set(err, HP_E_CONFLICT, "the transfer is %s", hp_incoming_state_name(item->state));
    item->more = false;
    hp_inbox_check_done(item);
    return 0;
}

/* A form that was being read when hostpair ended: nobody brings the rest. */
static bool is_broken_off(const hp_inbox_item_t *item)
{
    for (size_t i = 0; i < item->files.count; i++)
        if (item->files.items[i].size == HP_INBOX_ANY_SIZE && item->kind != HP_SENDER_HOSTPAIR)
            return true;
    return false;
}

/* ---- time ---- */

static void on_timer(uv_timer_t *timer);

static void keep_looking(hp_inbox_t *self)
{
    if (!self->closing && !uv_is_active((uv_handle_t *)&self->timer))
        uv_timer_start(&self->timer, on_timer, LOOK_MS, LOOK_MS);
}

/* One at a time: an end may remove others from the list. */
static bool end_one(hp_inbox_t *self, uint64_t now)
{
    unsigned ask_ms = self->deps.ask_ms != 0 ? self->deps.ask_ms : HP_INBOX_ASK_MS;
    HP_LIST_EACH (link, &self->items) {
        hp_inbox_item_t *item = HP_CONTAINER(link, hp_inbox_item_t, link);
        if (item->state == HP_INCOMING_ASKING && !item->deciding && now - item->asked_ms >= ask_ms) {
            hp_inbox_set_state(item, HP_INCOMING_DECLINED, "Nobody answered");
            return true;
        }
        if (item->state == HP_INCOMING_RECEIVING && now - item->moved_ms >= HP_INBOX_GIVE_UP_MS &&
            item->kind != HP_SENDER_HOSTPAIR) {
            hp_inbox_set_state(item, HP_INCOMING_FAILED, "The sender did not come back within a day");
            return true;
        }
    }
    return false;
}

static void on_timer(uv_timer_t *timer)
{
    hp_inbox_t *self = timer->data;
    bool waiting = false;
    while (end_one(self, hp_clock_ms()))
        ;
    HP_LIST_EACH (link, &self->items)
        waiting |= !hp_incoming_is_over(HP_CONTAINER(link, hp_inbox_item_t, link)->state);
    if (!waiting)
        uv_timer_stop(timer);
}

/* ---- a person's decision ---- */

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

static uint64_t wanted_size(const hp_inbox_item_t *item)
{
    uint64_t size = 0;
    for (size_t i = 0; i < item->files.count; i++) {
        const hp_inbox_file_t *file = &item->files.items[i];
        if (file->wanted && file->size != HP_INBOX_ANY_SIZE && size <= INT64_MAX / 2)
            size += file->size;
    }
    return size;
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
        .size = wanted_size(item),
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

/* ---- what everybody sees ---- */

static void fill(const hp_inbox_item_t *item, hp_incoming_t *info)
{
    *info = (hp_incoming_t){
        .id = item->id,
        .token = item->token,
        .kind = item->kind,
        .name = item->name,
        .address = item->address,
        .host = item->host,
        .state = item->state,
        .reason = item->reason,
        .base = item->base,
        .folder = item->folder,
        .created_at = item->created_at,
        .finished_at = item->finished_at,
        .file_count = item->file_count,
        .known_count = item->files.count,
        .size = wanted_size(item),
    };
    for (size_t i = 0; i < item->files.count; i++) {
        const hp_inbox_file_t *file = &item->files.items[i];
        info->wanted_count += file->wanted;
        info->done_count += file->done;
        info->done_bytes += file->received;
    }
}

size_t hp_inbox_count(const hp_inbox_t *self)
{
    return self->count;
}

void hp_inbox_at(const hp_inbox_t *self, size_t index, hp_incoming_t *info)
{
    HP_LIST_EACH (link, &self->items)
        if (index-- == 0) {
            fill(HP_CONTAINER(link, hp_inbox_item_t, link), info);
            return;
        }
    abort();
}

bool hp_inbox_get(const hp_inbox_t *self, int64_t id, hp_incoming_t *info)
{
    const hp_inbox_item_t *item = hp_inbox_item_find(self, id);
    if (item != NULL)
        fill(item, info);
    return item != NULL;
}

bool hp_inbox_by_token(const hp_inbox_t *self, const char *token, hp_incoming_t *info)
{
    HP_LIST_EACH (link, &self->items) {
        const hp_inbox_item_t *item = HP_CONTAINER(link, hp_inbox_item_t, link);
        if (strcmp(item->token, token) == 0) {
            fill(item, info);
            return true;
        }
    }
    return false;
}

bool hp_inbox_file_at(const hp_inbox_t *self, int64_t id, size_t index, hp_incoming_file_t *info)
{
    const hp_inbox_item_t *item = hp_inbox_item_find(self, id);
    if (item == NULL || index >= item->files.count)
        return false;
    const hp_inbox_file_t *file = &item->files.items[index];
    *info = (hp_incoming_file_t){
        .id = file->id,
        .name = file->name,
        .type = file->type,
        .size = file->size,
        .received = file->received,
        .wanted = file->wanted,
        .done = file->done,
        .path = file->path != NULL ? file->path : "",
    };
    return true;
}

size_t hp_inbox_file_find(const hp_inbox_t *self, int64_t id, const char *file)
{
    const hp_inbox_item_t *item = hp_inbox_item_find(self, id);
    for (size_t i = 0; item != NULL && i < item->files.count; i++)
        if (strcmp(item->files.items[i].id, file) == 0)
            return i;
    return SIZE_MAX;
}

void hp_inbox_on_event(hp_inbox_t *self, hp_inbox_event_fn *fn, void *arg)
{
    hp_signal_add(&self->event, fn, arg);
}

void hp_inbox_off_event(hp_inbox_t *self, hp_inbox_event_fn *fn, void *arg)
{
    hp_signal_remove(&self->event, fn, arg);
}

/* ---- life ---- */

void hp_inbox_set(hp_inbox_t *self, const hp_inbox_settings_t *settings)
{
    char *pin = hp_strdup(settings->pin), *folder = hp_strdup(settings->downloads_folder);
    free(self->pin);
    free(self->downloads_folder);
    self->pin = pin;
    self->downloads_folder = folder;
    self->receive = settings->receive;
}

bool hp_inbox_takes(const hp_inbox_t *self)
{
    return self->receive != HP_RECEIVE_OFF;
}

bool hp_inbox_wants_pin(const hp_inbox_t *self)
{
    return self->pin[0] != '\0';
}

/* The event loop's timer runs while something waits. */
static void on_own_event(void *arg, int64_t id)
{
    (void)id;
    keep_looking(arg);
}

static void dispose(hp_inbox_t *self)
{
    for (hp_link_t *link; (link = hp_list_take_first(&self->items)) != NULL;)
        hp_inbox_item_free(HP_CONTAINER(link, hp_inbox_item_t, link));
    hp_signal_dispose(&self->event);
    free(self->pin);
    free(self->downloads_folder);
    free(self);
}

int hp_inbox_create(hp_inbox_t **inbox, const hp_inbox_deps_t *deps, const hp_inbox_settings_t *settings,
                    hp_err_t *err)
{
    hp_inbox_t *self = hp_alloc(sizeof *self);
    self->deps = *deps;
    hp_list_init(&self->items);
    hp_list_init(&self->ordering);
    hp_inbox_set(self, settings);
    int rc = hp_inbox_load(self, err);
    if (rc != 0) {
        dispose(self);
        return rc;
    }
    uv_timer_init(deps->loop, &self->timer);
    self->timer.data = self;
    hp_signal_add(&self->event, on_own_event, self);
    HP_LIST_EACH (link, &self->items) {
        hp_inbox_item_t *item = HP_CONTAINER(link, hp_inbox_item_t, link);
        if (hp_incoming_is_over(item->state)) /* a crash may have come before that */
            hp_inbox_remove_parts(item);
        else if (is_broken_off(item))
            hp_inbox_set_state(item, HP_INCOMING_FAILED, "hostpair was ended in the middle");
        else {
            hp_inbox_check_done(item);
            keep_looking(self);
        }
    }
    *inbox = self;
    return 0;
}

static void on_none(void *arg)
{
    hp_inbox_t *self = arg;
    void (*closed)(void *arg) = self->closed;
    void *closed_arg = self->closed_arg;
    dispose(self);
    closed(closed_arg);
}

static void on_timer_closed(uv_handle_t *handle)
{
    hp_inbox_t *self = handle->data;
    hp_pending_drop(&self->pending);
}

void hp_inbox_destroy(hp_inbox_t *self, void (*closed)(void *arg), void *arg)
{
    self->closing = true;
    self->closed = closed;
    self->closed_arg = arg;
    hp_inbox_forget_orders(self);
    hp_pending_add(&self->pending);
    uv_close((uv_handle_t *)&self->timer, on_timer_closed);
    hp_pending_when_none(&self->pending, on_none, self);
}
