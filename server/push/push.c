#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/path.h"
#include "base/utf8.h"
#include "push/internal.h"

static const hp_retry_policy_t policy = {.first_ms = 1000, .max_ms = 30000, .jitter = HP_RETRY_JITTER};

/* Asked in this order whose a host is. */
static const hp_push_kind_t *const kinds[] = {&hp_push_offer, &hp_push_upload};

static const char *const names[] = {
#define X(name, text) [HP_PUSH_##name] = text,
    HP_PUSH_STATES(X)
#undef X
};

const char *hp_push_state_name(hp_push_state_t state)
{
    return names[state];
}

bool hp_push_is_over(const hp_push_t *self)
{
    return self->state >= HP_PUSH_DONE;
}

bool hp_push_is_idle(const hp_push_t *self)
{
    return self->forgotten || hp_push_is_over(self);
}

/* ---- life of one ---- */

void hp_push_hold(hp_push_t *self)
{
    self->jobs++;
}

void hp_push_drop(hp_push_t *push)
{
    hp_pushes_t *self = push->owner;
    if (--push->jobs > 0)
        return;
    for (size_t i = 0; i < push->files.count; i++)
        free(push->files.items[i].path);
    hp_array_dispose(&push->files);
    for (size_t i = 0; i < push->count; i++)
        free((char *)push->paths[i]);
    free(push->paths);
    push->kind->dispose(push);
    free(push->pin);
    free(push);
    hp_pending_drop(&self->pending);
}

static void on_timer_closed(uv_handle_t *handle)
{
    hp_push_drop(handle->data);
}

static void forget(hp_push_t *push)
{
    hp_link_remove(&push->link);
    push->owner->count--;
    push->forgotten = true;
    if (push->fetch != NULL)
        hp_fetch_cancel(push->fetch);
    uv_close((uv_handle_t *)&push->timer, on_timer_closed);
}

static void tell(hp_push_t *push)
{
    if (!push->owner->closing)
        hp_signal_emit(&push->owner->event, push->id);
}

static void prune(hp_pushes_t *self)
{
    size_t over = 0;
    HP_LIST_EACH (link, &self->pushes) {
        hp_push_t *push = HP_CONTAINER(link, hp_push_t, link);
        if (!hp_push_is_over(push) || ++over <= HP_PUSHES_KEPT)
            continue;
        int64_t id = push->id;
        forget(push);
        hp_signal_emit(&self->event, id);
    }
}

/* What was set aside for it is removed; only a missing PIN, which a person may give now, leaves it there. */
static void let_go(hp_push_t *push)
{
    for (size_t i = 0; push->aside && i < push->count; i++)
        hp_aside_drop(push->owner->share, push->paths[i],
                      push->state == HP_PUSH_FAILED && push->code == HP_E_PIN);
}

void hp_push_set_state(hp_push_t *push, hp_push_state_t state, const char *reason)
{
    hp_pushes_t *self = push->owner;
    if (hp_push_is_over(push) || (push->state == state && strcmp(push->reason, reason) == 0))
        return;
    hp_log(HP_LOG_INFO, "push: %lld: %s -> %s%s%s", (long long)push->id, names[push->state], names[state],
           reason[0] != '\0' ? ": " : "", reason);
    push->state = state;
    hp_utf8_printable(reason, strlen(reason), push->reason, sizeof push->reason);
    if (hp_push_is_over(push)) {
        push->finished_at = hp_clock_wall_ms();
        uv_timer_stop(&push->timer);
    }
    tell(push);
    if (hp_push_is_over(push)) {
        let_go(push);
        prune(self);
    }
}

void hp_push_fail(hp_push_t *self, int code, const char *reason)
{
    if (!hp_push_is_over(self))
        self->code = code;
    hp_push_set_state(self, HP_PUSH_FAILED, reason);
}

void hp_push_set_taken(hp_push_t *self, size_t taken)
{
    uint64_t size = 0;
    for (size_t i = 0; i < self->files.count; i++)
        size += self->files.items[i].wanted ? self->files.items[i].size : 0;
    bool news = !self->answered || self->taken != taken || self->size != size;
    self->answered = true;
    self->taken = taken;
    self->size = size;
    if (news)
        tell(self);
}

void hp_push_cancelled_there(hp_push_t *self, const char *name)
{
    char *reason = hp_sprintf("It was cancelled at %s", name);
    hp_push_set_state(self, HP_PUSH_CANCELLED, reason);
    free(reason);
}

void hp_push_set_done(hp_push_t *self, uint64_t bytes)
{
    bool moved = bytes != self->done_bytes;
    self->done_bytes = bytes;
    if (moved)
        tell(self);
}

void hp_push_on_told(void *arg, int status, const hp_fetch_reply_t *reply, const hp_err_t *err)
{
    hp_push_t *self = arg;
    (void)status;
    (void)reply;
    (void)err;
    self->telling = NULL;
    hp_push_drop(self);
}

/* ---- trying again ---- */

static void on_later(uv_timer_t *timer)
{
    hp_push_t *self = timer->data;
    if (self->fetch == NULL && !hp_push_is_over(self))
        self->kind->go_on(self);
}

void hp_push_later(hp_push_t *self, uint64_t ms)
{
    uv_timer_start(&self->timer, on_later, ms, 0);
}

void hp_push_wait(hp_push_t *self)
{
    uint64_t now = hp_clock_ms(), at = hp_retry_failed(&self->retry, &policy, now);
    hp_push_later(self, at - now);
}

bool hp_push_try_again(hp_push_t *self, int code, const char *reason)
{
    if (self->retry.failures + 1 >= HP_PUSH_FAILURES_MAX) {
        hp_push_fail(self, code, reason);
        return false;
    }
    hp_push_wait(self);
    return true;
}

/* A host that is back is not kept waiting for the end of a pause. */
static void on_host(void *arg, hp_host_event_t event, const hp_host_t *host)
{
    hp_pushes_t *self = arg;
    if (event != HP_HOST_ONLINE)
        return;
    HP_LIST_EACH (link, &self->pushes) {
        hp_push_t *push = HP_CONTAINER(link, hp_push_t, link);
        if (strcmp(push->host, host->id) != 0 || push->retry.failures == 0 ||
            !uv_is_active((uv_handle_t *)&push->timer))
            continue;
        push->address = 0; /* the one that answered */
        hp_push_later(push, 0);
    }
}

/* ---- what a person does ---- */

static int find_kind(const hp_pushes_t *self, const char *id, const hp_push_kind_t **kind, hp_err_t *err)
{
    for (size_t i = 0; i < HP_COUNT(kinds); i++) {
        int rc = kinds[i]->check(self, id, err);
        *kind = kinds[i];
        if (rc != HP_E_NOT_FOUND)
            return rc;
    }
    return hp_err_set(err, HP_E_NOT_FOUND, "there is no host %.40s", id);
}

int hp_pushes_check(const hp_pushes_t *self, const char *host, hp_err_t *err)
{
    const hp_push_kind_t *kind;
    return find_kind(self, host, &kind, err);
}

static int check(hp_pushes_t *self, const char *host, const char *const *paths, size_t count, hp_err_t *err)
{
    size_t open = 0;
    if (count == 0 || count > HP_PUSH_PATHS_MAX)
        return hp_err_set(err, HP_E_INVALID, "paths: must be 1 to %d", HP_PUSH_PATHS_MAX);
    for (size_t i = 0; i < count; i++) {
        int rc = hp_path_check(paths[i], strlen(paths[i]), err);
        if (rc != 0) {
            hp_err_prefix(err, "paths: ");
            return rc;
        }
        if (hp_aside_has(self->share, paths[i]) && !hp_aside_is_for(self->share, paths[i], host))
            return hp_err_set(err, HP_E_CONFLICT,
                              "paths: what was set aside for another host is for it alone");
    }
    HP_LIST_EACH (link, &self->pushes)
        open += !hp_push_is_over(HP_CONTAINER(link, hp_push_t, link));
    if (open >= HP_PUSHES_OPEN)
        return hp_err_set(err, HP_E_TOO_MANY, "%d are under way already", HP_PUSHES_OPEN);
    return 0;
}

int hp_pushes_begin(hp_pushes_t *self, const char *host, const char *const *paths, size_t count,
                    const char *pin, int64_t *id, hp_err_t *err)
{
    const hp_push_kind_t *kind = NULL;
    int rc = self->closing ? UV_ECANCELED : find_kind(self, host, &kind, err);
    if (rc == 0)
        rc = check(self, host, paths, count, err);
    if (rc != 0)
        return rc;
    hp_push_t *push = hp_alloc(sizeof *push);
    push->owner = self;
    push->kind = kind;
    push->id = *id = ++self->last_id;
    snprintf(push->host, sizeof push->host, "%s", host);
    push->pin = pin != NULL && pin[0] != '\0' ? hp_strdup(pin) : NULL;
    push->paths = hp_alloc_array(count, sizeof *push->paths);
    push->count = count;
    for (size_t i = 0; i < count; i++)
        push->paths[i] = hp_strdup(paths[i]);
    for (size_t i = 0; i < count; i++) {
        push->aside |= hp_aside_has(self->share, paths[i]);
        hp_aside_hold(self->share, paths[i]);
    }
    push->created_at = hp_clock_wall_ms();
    hp_pending_add(&self->pending);
    uv_timer_init(self->loop, &push->timer);
    push->timer.data = push;
    push->jobs = 1;
    hp_list_add_first(&self->pushes, &push->link);
    self->count++;
    hp_push_look(push);
    tell(push);
    return 0;
}

static hp_push_t *find(const hp_pushes_t *self, int64_t id)
{
    HP_LIST_EACH (link, &self->pushes) {
        hp_push_t *push = HP_CONTAINER(link, hp_push_t, link);
        if (push->id == id)
            return push;
    }
    return NULL;
}

int hp_pushes_cancel(hp_pushes_t *self, int64_t id, hp_err_t *err)
{
    hp_push_t *push = find(self, id);
    if (push == NULL)
        return hp_err_set(err, HP_E_NOT_FOUND, "there is no push %lld", (long long)id);
    if (hp_push_is_over(push))
        return hp_err_set(err, HP_E_CONFLICT, "it is %s already", names[push->state]);
    if (push->fetch != NULL)
        hp_fetch_cancel(push->fetch);
    push->kind->cancel(push);
    hp_push_set_state(push, HP_PUSH_CANCELLED, "It was cancelled here");
    return 0;
}

bool hp_pushes_cancelled_there(hp_pushes_t *self, const char *session, const char *address)
{
    HP_LIST_EACH (link, &self->pushes) {
        hp_push_t *push = HP_CONTAINER(link, hp_push_t, link);
        if (hp_push_is_over(push) || push->kind->is_session == NULL ||
            !push->kind->is_session(push, session, address))
            continue;
        if (push->fetch != NULL)
            hp_fetch_cancel(push->fetch);
        const hp_device_t *device = hp_devices_find(self->devices, push->host);
        hp_push_cancelled_there(push, device != NULL ? device->about.alias : address);
        return true;
    }
    return false;
}

/* ---- what people see ---- */

static void fill(const hp_push_t *push, hp_push_info_t *info)
{
    *info = (hp_push_info_t){
        .id = push->id,
        .host = push->host,
        .paths = push->paths,
        .count = push->count,
        .aside = push->aside,
        .state = push->state,
        .reason = push->reason,
        .code = push->code,
        .offered = push->files.count,
        .answered = push->answered,
        .taken = push->taken,
        .size = push->size,
        .done_bytes = push->done_bytes,
        .created_at = push->created_at,
        .finished_at = push->finished_at,
    };
}

size_t hp_pushes_count(const hp_pushes_t *self)
{
    return self->count;
}

void hp_pushes_at(const hp_pushes_t *self, size_t index, hp_push_info_t *info)
{
    HP_LIST_EACH (link, &self->pushes)
        if (index-- == 0) {
            fill(HP_CONTAINER(link, hp_push_t, link), info);
            return;
        }
    abort();
}

bool hp_pushes_get(const hp_pushes_t *self, int64_t id, hp_push_info_t *info)
{
    const hp_push_t *push = find(self, id);
    if (push != NULL)
        fill(push, info);
    return push != NULL;
}

void hp_pushes_on_event(hp_pushes_t *self, hp_push_event_fn *fn, void *arg)
{
    hp_signal_add(&self->event, fn, arg);
}

void hp_pushes_off_event(hp_pushes_t *self, hp_push_event_fn *fn, void *arg)
{
    hp_signal_remove(&self->event, fn, arg);
}

/* ---- life ---- */

hp_pushes_t *hp_pushes_create(uv_loop_t *loop, hp_fetcher_t *fetcher, hp_hosts_t *hosts,
                              hp_devices_t *devices, hp_share_t *share, hp_send_limit_t *limit)
{
    hp_pushes_t *self = hp_alloc(sizeof *self);
    self->loop = loop;
    self->fetcher = fetcher;
    self->hosts = hosts;
    self->devices = devices;
    self->share = share;
    self->limit = limit;
    self->last_id = hp_clock_wall_ms() / 1000; /* above those of earlier runs, which a page may still show */
    hp_list_init(&self->pushes);
    hp_hosts_on_event(hosts, on_host, self);
    return self;
}

uint64_t hp_pushes_bytes_sent(const hp_pushes_t *self)
{
    return self->bytes_sent;
}

static void on_none(void *arg)
{
    hp_pushes_t *self = arg;
    void (*closed)(void *arg) = self->closed;
    void *closed_arg = self->closed_arg;
    hp_signal_dispose(&self->event);
    free(self);
    closed(closed_arg);
}

void hp_pushes_destroy(hp_pushes_t *self, void (*closed)(void *arg), void *arg)
{
    self->closing = true;
    hp_hosts_off_event(self->hosts, on_host, self);
    self->closed = closed;
    self->closed_arg = arg;
    HP_LIST_EACH (link, &self->pushes) {
        hp_push_t *push = HP_CONTAINER(link, hp_push_t, link);
        if (push->telling != NULL)
            hp_fetch_cancel(push->telling);
        forget(push);
    }
    hp_pending_when_none(&self->pending, on_none, self);
}
