/* The inbox's life, its list, and the states of its transfers. */
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "inbox/internal.h"

#define LOOK_MS         500  /* between looks at what waits */
#define REFUSED_CLIENTS 1024 /* whose offers are counted; more than HP_INBOX_REFUSED_ALL */

/* ---- items ---- */

void hp_inbox_file_dispose(hp_inbox_file_t *file)
{
    free(file->id);
    free(file->name);
    free(file->type);
    free(file->sha256);
    free(file->preview);
    free(file->picture);
    free(file->path);
    free(file->part);
    free(file->unrecorded);
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
    while (item->files.count > keep) {
        hp_inbox_file_t *file = &item->files.items[--item->files.count];
        item->rest.wanted += file->wanted;
        item->rest.done += file->done;
        item->rest.received += file->received;
        if (file->wanted && file->size != HP_INBOX_ANY_SIZE && item->rest.size <= INT64_MAX / 2)
            item->rest.size += file->size;
        hp_inbox_file_dispose(file);
    }
}

void hp_inbox_item_trim(hp_inbox_item_t *item)
{
    size_t keep = 0, bytes = 0;
    while (keep < HP_MIN(item->files.count, (size_t)HP_INBOX_KEPT_FILES)) {
        const hp_inbox_file_t *file = &item->files.items[keep];
        bytes += strlen(file->id) + strlen(file->name) + strlen(file->type) +
                 (file->path != NULL ? strlen(file->path) : 0);
        if (bytes > HP_INBOX_KEPT_BYTES)
            break;
        keep++;
    }
    trim(item, keep);
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
        hp_inbox_item_trim(item);
}

/* Where it lands is settled when it is accepted. */
bool hp_inbox_was_accepted(const hp_inbox_item_t *item)
{
    return item->base[0] != '\0';
}

/* Forgets the oldest that are over. */
static void prune(hp_inbox_t *self)
{
    size_t accepted = 0, others = 0;
    HP_LIST_EACH (link, &self->items) {
        hp_inbox_item_t *item = HP_CONTAINER(link, hp_inbox_item_t, link);
        if (!hp_incoming_is_over(item->state) ||
            (hp_inbox_was_accepted(item) ? ++accepted <= HP_INBOX_KEPT : ++others <= HP_INBOX_KEPT_ASKED))
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
    bool stored = hp_inbox_was_accepted(item);
    hp_log(HP_LOG_INFO, "inbox: transfer %lld: %s -> %s%s%s", (long long)item->id,
           hp_incoming_state_name(item->state), hp_incoming_state_name(state), reason[0] != '\0' ? ": " : "",
           reason);
    item->state = state;
    hp_inbox_set_reason(item, reason);
    hp_inbox_drop_previews(item);
    item->jobs++;
    if (hp_incoming_is_over(state)) {
        item->finished_at = hp_clock_wall_ms();
        if (!stored) {
            hp_inbox_item_trim(item);
            hp_inbox_count_refused(item);
        }
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
    hp_rate_destroy(self->refused);
    hp_rate_destroy(self->refused_all);
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
    self->refused = hp_rate_create(HP_INBOX_REFUSED_OF, HP_INBOX_REFUSED_MS, REFUSED_CLIENTS);
    self->refused_all = hp_rate_create(HP_INBOX_REFUSED_ALL, HP_INBOX_REFUSED_MS, 1);
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
