#include "push/push.h"

#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/list.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/path.h"
#include "base/pending.h"
#include "base/retry.h"
#include "base/signal.h"
#include "base/utf8.h"

#define INBOX_PATH    "/hostpair/inbox"
#define CONNECT_MS    5000
#define OFFER_MS      20000
#define WAIT_MS       45000 /* for an answer that may be held for 30 s */
#define REPLY_MAX     ((uint64_t)2 * 1024 * 1024)
#define ADDRESSES_MAX 4
#define POLL_MS       1500 /* between two looks at how it goes */
#define FAILURES_MAX  20   /* in a row: the host is given up */

static const hp_retry_policy_t policy = {.first_ms = 1000, .max_ms = 30000, .jitter = HP_RETRY_JITTER};

typedef struct {
    char *path;
    uint64_t size;
    bool folder;
} thing_t;

typedef struct {
    hp_link_t link;
    hp_pushes_t *owner;
    int64_t id;
    char host[HP_HOST_ID_SIZE];
    char token[HP_PUSH_TOKEN_SIZE]; /* "": not offered yet */
    char *pin;                      /* NULL */
    thing_t *things;
    const char **paths;
    size_t count, looked;
    hp_push_state_t state;
    char reason[200];
    uint64_t done_bytes;
    int64_t created_at, finished_at;
    unsigned address;
    hp_retry_t retry;
    uv_timer_t timer;
    hp_fetch_t *fetch; /* under way; NULL */
    unsigned jobs;     /* that hold it: the timer, a request, a look at the share */
    bool forgotten;
} push_t;

struct hp_pushes {
    uv_loop_t *loop;
    hp_fetcher_t *fetcher;
    hp_hosts_t *hosts;
    hp_share_t *share;
    hp_list_t pushes; /* newest first */
    size_t count;
    int64_t last_id;
    HP_SIGNAL(hp_push_event_fn) event;
    hp_pending_t pending;
    bool closing;
    void (*closed)(void *arg);
    void *closed_arg;
};

static const char *const names[] = {
#define X(name, text) [HP_PUSH_##name] = text,
    HP_PUSH_STATES(X)
#undef X
};

const char *hp_push_state_name(hp_push_state_t state)
{
    return names[state];
}

static bool is_over(const push_t *push)
{
    return push->state >= HP_PUSH_DONE;
}

/* ---- life of one ---- */

static void drop(push_t *push)
{
    hp_pushes_t *self = push->owner;
    if (--push->jobs > 0)
        return;
    for (size_t i = 0; i < push->count; i++)
        free(push->things[i].path);
    free(push->things);
    free(push->paths);
    free(push->pin);
    free(push);
    hp_pending_drop(&self->pending);
}

static void on_timer_closed(uv_handle_t *handle)
{
    drop(handle->data);
}

static void forget(push_t *push)
{
    hp_link_remove(&push->link);
    push->owner->count--;
    push->forgotten = true;
    if (push->fetch != NULL)
        hp_fetch_cancel(push->fetch);
    uv_close((uv_handle_t *)&push->timer, on_timer_closed);
}

static void tell(push_t *push)
{
    if (!push->owner->closing)
        hp_signal_emit(&push->owner->event, push->id);
}

static void prune(hp_pushes_t *self)
{
    size_t over = 0;
    HP_LIST_EACH (link, &self->pushes) {
        push_t *push = HP_CONTAINER(link, push_t, link);
        if (!is_over(push) || ++over <= HP_PUSHES_KEPT)
            continue;
        int64_t id = push->id;
        forget(push);
        hp_signal_emit(&self->event, id);
    }
}

/* The only writer of a state. */
static void set_state(push_t *push, hp_push_state_t state, const char *reason)
{
    hp_pushes_t *self = push->owner;
    if (is_over(push) || (push->state == state && strcmp(push->reason, reason) == 0))
        return;
    hp_log(HP_LOG_INFO, "push: %lld: %s -> %s%s%s", (long long)push->id, names[push->state], names[state],
           reason[0] != '\0' ? ": " : "", reason);
    push->state = state;
    hp_utf8_printable(reason, strlen(reason), push->reason, sizeof push->reason);
    if (is_over(push)) {
        push->finished_at = hp_clock_wall_ms();
        uv_timer_stop(&push->timer);
    }
    tell(push);
    if (is_over(push))
        prune(self);
}

/* ---- requests ---- */

static hp_fetch_t *ask(push_t *push, const char *method, const char *body, bool waits, hp_fetch_reply_fn done)
{
    hp_pushes_t *self = push->owner;
    const hp_host_t *host = hp_hosts_find(self->hosts, push->host);
    if (host == NULL || host->address_count == 0)
        return NULL;
    char path[sizeof INBOX_PATH + HP_PUSH_TOKEN_SIZE + 1], port[40];
    snprintf(path, sizeof path, "%s%s%s", INBOX_PATH, push->token[0] != '\0' ? "/" : "", push->token);
    snprintf(port, sizeof port, HP_PROBE_PORT_HEADER ": %u", hp_hosts_port(self->hosts));
    const char *headers[] = {port, waits ? "Prefer: wait=20" : NULL, NULL};
    hp_fetch_options_t options = {.endpoint = &host->addresses[push->address % host->address_count].endpoint,
                                  .path = path,
                                  .method = method,
                                  .body = body,
                                  .body_length = body != NULL ? strlen(body) : 0,
                                  .content_type = body != NULL ? "application/json" : NULL,
                                  .body_max = REPLY_MAX,
                                  .connect_ms = CONNECT_MS,
                                  .stall_ms = WAIT_MS,
                                  .total_ms = waits ? WAIT_MS : OFFER_MS,
                                  .headers = headers};
    push->jobs++;
    return hp_fetch_get(self->fetcher, &options, done, push);
}

/* What the other host says is wrong: text of a stranger. */
static void refused(push_t *push, const hp_fetch_reply_t *reply)
{
    int status = reply->head.status;
    char reason[200];
    json_t *json = json_loadb(reply->body, reply->length, 0, NULL);
    const char *detail = json_string_value(json_object_get(json, "detail"));
    if (status == 404 || status == 405)
        detail = push->token[0] != '\0' ? "The other host does not know of the offer any more"
                                        : "The other host takes no files: it runs an older hostpair";
    if (detail == NULL) {
        snprintf(reason, sizeof reason, "The other host refused (%d)", status);
        detail = reason;
    }
    set_state(push, HP_PUSH_FAILED, detail);
    json_decref(json);
}

static void look_later(push_t *push, uint64_t ms);

/* What it says of the offer. */
static void take_state(push_t *push, const json_t *json)
{
    const char *state = json_string_value(json_object_get(json, "state"));
    const char *reason = json_string_value(json_object_get(json, "reason"));
    const json_t *files = json_object_get(json, "files");
    uint64_t done = 0;
    for (size_t i = 0; i < json_array_size(files); i++) {
        json_int_t n = json_integer_value(json_object_get(json_array_get(files, i), "received"));
        done += n > 0 ? (uint64_t)n : 0;
    }
    state = state != NULL ? state : "";
    reason = reason != NULL ? reason : "";
    bool moved = done != push->done_bytes;
    push->done_bytes = done;
    if (strcmp(state, "asking") == 0)
        set_state(push, HP_PUSH_ASKING, "");
    else if (strcmp(state, "receiving") == 0)
        set_state(push, HP_PUSH_SENDING, reason);
    else if (strcmp(state, "done") == 0)
        set_state(push, HP_PUSH_DONE, "");
    else if (strcmp(state, "declined") == 0)
        set_state(push, HP_PUSH_DECLINED, reason);
    else if (strcmp(state, "cancelled") == 0)
        set_state(push, HP_PUSH_CANCELLED, reason);
    else
        set_state(push, HP_PUSH_FAILED, reason);
    if (moved)
        tell(push);
    if (!is_over(push))
        look_later(push, push->state == HP_PUSH_ASKING ? 0 : POLL_MS);
}

static void take_reply(push_t *push, const hp_fetch_reply_t *reply)
{
    json_t *json = json_loadb(reply->body, reply->length, 0, NULL);
    const char *token = json_string_value(json_object_get(json, "id"));
    bool named = token != NULL && token[0] != '\0' && strlen(token) < sizeof push->token &&
                 strspn(token, "0123456789abcdef") == strlen(token);
    push->retry = (hp_retry_t){0};
    if (reply->head.status / 100 != 2) {
        refused(push, reply);
    } else if (!json_is_object(json) || !named) {
        set_state(push, HP_PUSH_FAILED, "The other host's answer cannot be understood");
    } else {
        snprintf(push->token, sizeof push->token, "%s", token);
        take_state(push, json);
    }
    json_decref(json);
}

static void on_looked(void *arg, int status, const hp_fetch_reply_t *reply, const hp_err_t *err)
{
    push_t *push = arg;
    push->fetch = NULL;
    if (status == 0 && !push->forgotten && !is_over(push)) {
        take_reply(push, reply);
    } else if (!push->forgotten && !is_over(push)) {
        push->address++;
        uint64_t now = hp_clock_ms(), at = hp_retry_failed(&push->retry, &policy, now);
        if (push->retry.failures >= FAILURES_MAX)
            set_state(push, HP_PUSH_FAILED, hp_err_text(err));
        else
            look_later(push, at - now);
    }
    drop(push);
}

static void on_look(uv_timer_t *timer)
{
    push_t *push = timer->data;
    if (push->fetch != NULL || is_over(push))
        return;
    push->fetch = ask(push, "GET", NULL, push->state == HP_PUSH_ASKING, on_looked);
    if (push->fetch == NULL)
        set_state(push, HP_PUSH_FAILED, "The host is not known any more");
}

static void look_later(push_t *push, uint64_t ms)
{
    uv_timer_start(&push->timer, on_look, ms, 0);
}

/* ---- the offer ---- */

static void offer(push_t *push);

static void on_offered(void *arg, int status, const hp_fetch_reply_t *reply, const hp_err_t *err)
{
    push_t *push = arg;
    const hp_host_t *host = hp_hosts_find(push->owner->hosts, push->host);
    push->fetch = NULL;
    if (push->forgotten || is_over(push))
        ;
    else if (status == 0)
        take_reply(push, reply);
    else if (host != NULL && ++push->address < HP_MIN(host->address_count, (size_t)ADDRESSES_MAX))
        offer(push);
    else
        set_state(push, HP_PUSH_FAILED, hp_err_text(err));
    drop(push);
}

static void offer(push_t *push)
{
    json_t *json = json_object(), *files = json_array();
    if (push->pin != NULL)
        json_object_set_new(json, "pin", json_string(push->pin));
    for (size_t i = 0; i < push->count; i++) {
        const thing_t *thing = &push->things[i];
        json_t *file = json_object();
        json_object_set_new(file, "id", json_string(thing->path));
        json_object_set_new(file, "name", json_string(hp_path_name(thing->path)));
        json_object_set_new(file, "size", json_integer((json_int_t)thing->size));
        if (thing->folder)
            json_object_set_new(file, "folder", json_true());
        json_array_append_new(files, file);
    }
    json_object_set_new(json, "files", files);
    char *body = json_dumps(json, JSON_COMPACT);
    json_decref(json);
    push->fetch = ask(push, "POST", body, false, on_offered);
    free(body);
    if (push->fetch == NULL)
        set_state(push, HP_PUSH_FAILED, "No address of the host is known");
}

/* ---- what is shared ---- */

static void look_at_share(push_t *push);

static void on_opened(void *arg, int status, const hp_share_file_t *file)
{
    push_t *push = arg;
    thing_t *thing = &push->things[push->looked];
    if (status == 0) {
        thing->size = (uint64_t)file->stat.st_size;
        close(file->fd);
    }
    thing->folder = status == HP_E_FORBIDDEN;
    if (push->forgotten || is_over(push)) {
        ;
    } else if (status != 0 && !thing->folder) {
        char reason[200];
        snprintf(reason, sizeof reason, "%.120s is not shared", thing->path);
        set_state(push, HP_PUSH_FAILED, status == HP_E_NOT_FOUND ? reason : hp_err_sentence(status));
    } else if (++push->looked < push->count) {
        look_at_share(push);
    } else {
        offer(push);
    }
    drop(push);
}

static void look_at_share(push_t *push)
{
    push->jobs++;
    hp_share_open(push->owner->share, push->things[push->looked].path, on_opened, push);
}

/* ---- what a person does ---- */

static int check(hp_pushes_t *self, const char *id, const char *const *paths, size_t count, hp_err_t *err)
{
    const hp_host_t *host = hp_hosts_find(self->hosts, id);
    size_t open = 0;
    if (host == NULL)
        return hp_err_set(err, HP_E_NOT_FOUND, "there is no host %.40s", id);
    if (!host->proven || host->blocked)
        return hp_err_set(err, HP_E_CONFLICT, "%s: %s", host->name,
                          host->blocked ? "the host is blocked" : "the host takes no files: it has no key");
    if (count == 0 || count > HP_PUSH_PATHS_MAX)
        return hp_err_set(err, HP_E_INVALID, "paths: must be 1 to %d", HP_PUSH_PATHS_MAX);
    for (size_t i = 0; i < count; i++) {
        int rc = hp_path_check(paths[i], strlen(paths[i]), err);
        if (rc != 0) {
            hp_err_prefix(err, "paths: ");
            return rc;
        }
    }
    HP_LIST_EACH (link, &self->pushes)
        open += !is_over(HP_CONTAINER(link, push_t, link));
    if (open >= HP_PUSHES_OPEN)
        return hp_err_set(err, HP_E_TOO_MANY, "%d are under way already", HP_PUSHES_OPEN);
    return 0;
}

int hp_pushes_begin(hp_pushes_t *self, const char *host, const char *const *paths, size_t count,
                    const char *pin, int64_t *id, hp_err_t *err)
{
    int rc = self->closing ? UV_ECANCELED : check(self, host, paths, count, err);
    if (rc != 0)
        return rc;
    push_t *push = hp_alloc(sizeof *push);
    push->owner = self;
    push->id = *id = ++self->last_id;
    snprintf(push->host, sizeof push->host, "%s", host);
    push->pin = pin != NULL && pin[0] != '\0' ? hp_strdup(pin) : NULL;
    push->things = hp_alloc_array(count, sizeof *push->things);
    push->paths = hp_alloc_array(count, sizeof *push->paths);
    push->count = count;
    for (size_t i = 0; i < count; i++)
        push->paths[i] = push->things[i].path = hp_strdup(paths[i]);
    push->created_at = hp_clock_wall_ms();
    hp_pending_add(&self->pending);
    uv_timer_init(self->loop, &push->timer);
    push->timer.data = push;
    push->jobs = 1;
    hp_list_add_first(&self->pushes, &push->link);
    self->count++;
    look_at_share(push);
    tell(push);
    return 0;
}

static push_t *find(const hp_pushes_t *self, int64_t id)
{
    HP_LIST_EACH (link, &self->pushes) {
        push_t *push = HP_CONTAINER(link, push_t, link);
        if (push->id == id)
            return push;
    }
    return NULL;
}

static void on_told(void *arg, int status, const hp_fetch_reply_t *reply, const hp_err_t *err)
{
    (void)status;
    (void)reply;
    (void)err;
    drop(arg);
}

int hp_pushes_cancel(hp_pushes_t *self, int64_t id, hp_err_t *err)
{
    push_t *push = find(self, id);
    if (push == NULL)
        return hp_err_set(err, HP_E_NOT_FOUND, "there is no push %lld", (long long)id);
    if (is_over(push))
        return hp_err_set(err, HP_E_CONFLICT, "it is %s already", names[push->state]);
    if (push->fetch != NULL)
        hp_fetch_cancel(push->fetch);
    /* An offer whose answer has not come yet ends there by itself, unanswered. */
    if (push->token[0] != '\0')
        ask(push, "DELETE", NULL, false, on_told);
    set_state(push, HP_PUSH_CANCELLED, "It was cancelled here");
    return 0;
}

/* ---- what people see ---- */

static void fill(const push_t *push, hp_push_info_t *info)
{
    *info = (hp_push_info_t){
        .id = push->id,
        .host = push->host,
        .paths = push->paths,
        .count = push->count,
        .state = push->state,
        .reason = push->reason,
        .done_bytes = push->done_bytes,
        .created_at = push->created_at,
        .finished_at = push->finished_at,
    };
    for (size_t i = 0; i < push->count; i++)
        info->size += push->things[i].size;
}

size_t hp_pushes_count(const hp_pushes_t *self)
{
    return self->count;
}

void hp_pushes_at(const hp_pushes_t *self, size_t index, hp_push_info_t *info)
{
    HP_LIST_EACH (link, &self->pushes)
        if (index-- == 0) {
            fill(HP_CONTAINER(link, push_t, link), info);
            return;
        }
    abort();
}

bool hp_pushes_get(const hp_pushes_t *self, int64_t id, hp_push_info_t *info)
{
    const push_t *push = find(self, id);
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

hp_pushes_t *hp_pushes_create(uv_loop_t *loop, hp_fetcher_t *fetcher, hp_hosts_t *hosts, hp_share_t *share)
{
    hp_pushes_t *self = hp_alloc(sizeof *self);
    self->loop = loop;
    self->fetcher = fetcher;
    self->hosts = hosts;
    self->share = share;
    self->last_id = hp_clock_wall_ms() / 1000; /* above those of earlier runs, which a page may still show */
    hp_list_init(&self->pushes);
    return self;
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
    self->closed = closed;
    self->closed_arg = arg;
    HP_LIST_EACH (link, &self->pushes)
        forget(HP_CONTAINER(link, push_t, link));
    hp_pending_when_none(&self->pending, on_none, self);
}
