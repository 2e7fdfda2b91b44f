/* The fetcher: requests in, requests out. See internal.h for why nothing happens inside the calls. */
#include "fetch/fetch.h"

#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "fetch/internal.h"

/* ---- the to-do list ---- */

static void on_idle(uv_idle_t *idle);

void hp_fetcher_kick(hp_fetcher_t *self)
{
    uv_idle_start(&self->idle, on_idle);
}

static void queue(hp_fetch_t *fetch)
{
    hp_fetcher_t *self = fetch->fetcher;
    hp_fetcher_kick(self);
    if (fetch->queued)
        return;
    fetch->queued = true;
    fetch->todo_next = NULL;
    if (self->todo_last != NULL)
        self->todo_last->todo_next = fetch;
    else
        self->todo_first = fetch;
    self->todo_last = fetch;
}

static void unqueue(hp_fetch_t *fetch)
{
    hp_fetcher_t *self = fetch->fetcher;
    if (!fetch->queued)
        return;
    hp_fetch_t *before = NULL;
    for (hp_fetch_t *f = self->todo_first; f != fetch; f = f->todo_next)
        before = f;
    if (before != NULL)
        before->todo_next = fetch->todo_next;
    else
        self->todo_first = fetch->todo_next;
    if (self->todo_last == fetch)
        self->todo_last = before;
    fetch->queued = false;
}

/* ---- time-outs ---- */

static unsigned patience(const hp_fetch_t *fetch)
{
    return fetch->parser.bytes == 0 ? fetch->first_ms : fetch->stall_ms;
}

static uint64_t deadline(const hp_fetch_t *fetch)
{
    uint64_t at = UINT64_MAX;
    if (fetch->total_ms != 0)
        at = fetch->started_ms + fetch->total_ms;
    if (fetch->connected && !fetch->held && !fetch->resting)
        at = HP_MIN(at, fetch->heard_ms + patience(fetch));
    return at;
}

/* The loop has looked at its sockets since the stall clock ran out. */
static void on_polled(uv_check_t *check)
{
    hp_fetcher_t *self = HP_CONTAINER(check, hp_fetcher_t, check);
    uv_check_stop(check);
    for (hp_fetch_t *fetch = self->first, *next; fetch != NULL; fetch = next) {
        next = fetch->next;
        if (fetch->silent && !fetch->cancel_wanted)
            hp_fetch_finish(fetch, hp_err_set(&fetch->err, HP_E_STALLED, "%s: nothing came for %u ms",
                                              fetch->where, patience(fetch)));
        else
            hp_fetcher_watch(self, fetch);
    }
}

/* When the loop itself was late, what it missed waits in the sockets: whether a request is silent is judged
 * after they were read. */
static void on_watch(uv_timer_t *timer)
{
    hp_fetcher_t *self = HP_CONTAINER(timer, hp_fetcher_t, watch_timer);
    uint64_t now = uv_now(self->loop);
    bool silent = false;
    self->watch_at = UINT64_MAX;
    for (hp_fetch_t *fetch = self->first, *next; fetch != NULL; fetch = next) {
        next = fetch->next;
        if (fetch->cancel_wanted)
            continue;
        if (deadline(fetch) > now)
            hp_fetcher_watch(self, fetch);
        else if (fetch->total_ms != 0 && now >= fetch->started_ms + fetch->total_ms)
            hp_fetch_finish(fetch, hp_err_set(&fetch->err, HP_E_TIMEOUT, "%s: not finished within %u ms",
                                              fetch->where, fetch->total_ms));
        else
            fetch->silent = silent = true;
    }
    if (silent) {
        uv_check_start(&self->check, on_polled);
        self->watch_at = now + 1; /* do not wait for the sockets, look at them */
        uv_timer_start(timer, on_watch, 1, 0);
    }
}

void hp_fetcher_watch(hp_fetcher_t *self, hp_fetch_t *fetch)
{
    uint64_t at = deadline(fetch),
             now = uv_now(self->loop); /* the clock of hp_clock_ms(), as of this turn's start */
    if (at >= self->watch_at || self->destroying)
        return;
    self->watch_at = at;
    uv_timer_start(&self->watch_timer, on_watch, at > now ? at - now : 0, 0);
}

/* ---- a request's way ---- */

static void put_easy(hp_fetcher_t *self, CURL *easy, bool tls)
{
    curl_easy_setopt(easy, CURLOPT_HTTPHEADER, NULL);
    curl_easy_setopt(easy, CURLOPT_POSTFIELDS, NULL);
    curl_easy_setopt(easy, CURLOPT_ERRORBUFFER, NULL);
    curl_easy_setopt(easy, CURLOPT_USERNAME, NULL);
    curl_easy_setopt(easy, CURLOPT_PASSWORD, NULL);
    curl_easy_setopt(easy, CURLOPT_COOKIELIST, "ALL");
    if (self->easy_count[tls] < HP_FETCH_EASY_KEPT && !self->destroying)
        self->easies[tls][self->easy_count[tls]++] = easy;
    else
        curl_easy_cleanup(easy);
}

void hp_fetch_finish(hp_fetch_t *fetch, int status)
{
    hp_fetcher_t *self = fetch->fetcher;
    hp_fetch_unchoose(fetch);
    if (fetch->added)
        curl_multi_remove_handle(self->multi, fetch->easy);
    if (fetch->easy != NULL)
        put_easy(self, fetch->easy, fetch->tls);
    unqueue(fetch);
    if (fetch->previous != NULL)
        fetch->previous->next = fetch->next;
    else
        self->first = fetch->next;
    if (fetch->next != NULL)
        fetch->next->previous = fetch->previous;
    else
        self->last = fetch->previous;
    if (fetch->err.code != status)
        fetch->err = (hp_err_t){.code = status};
    fetch->callbacks->on_done(fetch->arg, status, &fetch->err);
    hp_fetch_dispose(fetch);
    free(fetch);
}

void hp_fetcher_collect(hp_fetcher_t *self)
{
    CURLMsg *message;
    int left = 0, status = 0;
    while ((message = curl_multi_info_read(self->multi, &left)) != NULL) {
        char *fetch = NULL;
        CURLcode code = message->data.result;
        if (message->msg != CURLMSG_DONE)
            continue;
        curl_easy_getinfo(message->easy_handle, CURLINFO_PRIVATE, &fetch);
        if (!hp_fetch_ended((hp_fetch_t *)(void *)fetch, code, &status))
            hp_fetch_finish((hp_fetch_t *)(void *)fetch, status);
    }
}

void hp_fetcher_act(hp_fetcher_t *self, curl_socket_t fd, int flags)
{
    int running = 0;
    self->calls++;
    curl_multi_socket_action(self->multi, fd, flags, &running);
    hp_fetcher_collect(self);
}

/* Curl delivers what it kept meanwhile; on_data may hold again. */
static void go_on(hp_fetch_t *fetch)
{
    fetch->heard_ms = hp_clock_ms();
    fetch->fetcher->calls++;
    CURLcode code = curl_easy_pause(fetch->easy, CURLPAUSE_CONT);
    if (code != CURLE_OK) {
        int status = 0;
        if (!hp_fetch_ended(fetch, code, &status))
            hp_fetch_finish(fetch, status);
        return;
    }
    hp_fetcher_watch(fetch->fetcher, fetch);
}

static void work_off(hp_fetch_t *fetch)
{
    if (fetch->cancel_wanted) {
        hp_fetch_finish(fetch, UV_ECANCELED);
        return;
    }
    if (fetch->start_wanted && fetch->status == 0 && fetch->endpoint.scheme == HP_SCHEME_MEMBER &&
        !fetch->way_chosen) {
        fetch->start_wanted = false;
        hp_fetch_choose(fetch);
        hp_fetcher_watch(fetch->fetcher, fetch);
        return;
    }
    if (fetch->start_wanted) {
        fetch->start_wanted = false;
        int rc = fetch->status != 0 ? fetch->status : hp_fetch_send(fetch);
        if (rc != 0) {
            hp_fetch_finish(fetch, rc);
            return;
        }
        hp_fetcher_watch(fetch->fetcher, fetch);
    }
    bool again = fetch->resting || (fetch->held && fetch->resume_wanted);
    fetch->resume_wanted = false;
    if (again) {
        fetch->held = fetch->resting = false;
        go_on(fetch);
    }
}

hp_fetch_t *hp_fetch_start(hp_fetcher_t *fetcher, const hp_fetch_options_t *options,
                           const hp_fetch_callbacks_t *callbacks, void *arg)
{
    hp_fetch_t *fetch = hp_alloc(sizeof *fetch);
    fetch->fetcher = fetcher;
    fetch->callbacks = callbacks;
    fetch->arg = arg;
    fetch->started_ms = hp_clock_ms();
    fetch->status = hp_fetch_prepare(fetch, options);
    fetch->start_wanted = true;
    fetch->previous = fetcher->last;
    if (fetcher->last != NULL)
        fetcher->last->next = fetch;
    else
        fetcher->first = fetch;
    fetcher->last = fetch;
    queue(fetch);
    return fetch;
}

void hp_fetch_start_now(hp_fetch_t *fetch)
{
    fetch->start_wanted = true;
    queue(fetch);
}

void hp_fetch_cancel(hp_fetch_t *fetch)
{
    fetch->cancel_wanted = true;
    queue(fetch);
}

void hp_fetch_rest(hp_fetch_t *fetch)
{
    fetch->resting = true;
    queue(fetch);
}

void hp_fetch_resume(hp_fetch_t *fetch)
{
    fetch->resume_wanted = true;
    queue(fetch);
}

/* ---- the fetcher's life ---- */

int hp_fetcher_create(hp_fetcher_t **fetcher, uv_loop_t *loop, hp_err_t *err)
{
    if (curl_global_init(CURL_GLOBAL_DEFAULT) != CURLE_OK)
        return hp_err_set(err, HP_E_INTERNAL, "libcurl cannot be started");
    hp_fetcher_t *self = hp_alloc(sizeof *self);
    self->multi = curl_multi_init();
    if (self->multi == NULL)
        abort();
    self->loop = loop;
    self->watch_at = UINT64_MAX;
    uv_timer_init(loop, &self->curl_timer);
    uv_timer_init(loop, &self->watch_timer);
    uv_idle_init(loop, &self->idle);
    uv_check_init(loop, &self->check);
    curl_multi_setopt(self->multi, CURLMOPT_MAXCONNECTS, (long)HP_FETCH_KEPT);
    curl_multi_setopt(self->multi, CURLMOPT_PIPELINING, (long)CURLPIPE_NOTHING);
    hp_fetch_sockets_init(self);
    *fetcher = self;
    return 0;
}

void hp_fetcher_set_secure(hp_fetcher_t *self, const hp_secure_t *secure)
{
    self->secure = secure;
}

static void finish(void *arg)
{
    hp_fetcher_t *self = arg;
    void (*closed)(void *arg) = self->closed;
    void *closed_arg = self->closed_arg;
    free(self->sockets);
    free(self);
    curl_global_cleanup();
    closed(closed_arg);
}

static void on_handle_closed(uv_handle_t *handle)
{
    hp_fetcher_t *self = handle->data;
    hp_pending_drop(&self->pending);
}

static void tear_down(hp_fetcher_t *self)
{
    hp_fetch_t *last = self->last;
    for (hp_fetch_t *fetch = self->first, *next; fetch != NULL; fetch = next) {
        next = fetch != last ? fetch->next : NULL;
        hp_fetch_finish(fetch, UV_ECANCELED);
    }
    if (self->first != NULL) { /* started by the last on_done calls */
        hp_fetcher_kick(self);
        return;
    }
    for (int tls = 0; tls < 2; tls++)
        while (self->easy_count[tls] > 0)
            curl_easy_cleanup(self->easies[tls][--self->easy_count[tls]]);
    curl_multi_setopt(self->multi, CURLMOPT_TIMERFUNCTION, NULL);
    curl_multi_cleanup(self->multi); /* closes the connections */
    self->multi = NULL;
    hp_fetch_sockets_dispose(self);
    hp_fetch_members_dispose(self);
    uv_handle_t *const handles[] = {(uv_handle_t *)&self->curl_timer, (uv_handle_t *)&self->watch_timer,
                                    (uv_handle_t *)&self->idle, (uv_handle_t *)&self->check};
    for (size_t i = 0; i < HP_COUNT(handles); i++) {
        handles[i]->data = self;
        hp_pending_add(&self->pending);
        uv_close(handles[i], on_handle_closed);
    }
    hp_pending_when_none(&self->pending, finish, self);
}

static void on_idle(uv_idle_t *idle)
{
    hp_fetcher_t *self = HP_CONTAINER(idle, hp_fetcher_t, idle);
    uv_idle_stop(idle);
    if (self->destroying) {
        tear_down(self);
        return;
    }
    /* What is queued from here on is for the next turn. */
    hp_fetch_t *last = self->todo_last;
    bool more = self->todo_first != NULL;
    while (more && self->todo_first != NULL) {
        hp_fetch_t *fetch = self->todo_first;
        more = fetch != last;
        unqueue(fetch);
        work_off(fetch);
    }
    if (self->timer_due) {
        self->timer_due = false;
        hp_fetcher_act(self, CURL_SOCKET_TIMEOUT, 0);
    } else {
        hp_fetcher_collect(self);
    }
}

void hp_fetcher_destroy(hp_fetcher_t *fetcher, void (*closed)(void *arg), void *arg)
{
    fetcher->destroying = true;
    fetcher->closed = closed;
    fetcher->closed_arg = arg;
    uv_timer_stop(&fetcher->watch_timer);
    uv_check_stop(&fetcher->check);
    hp_fetcher_kick(fetcher);
}

uint64_t hp_fetcher_bytes(const hp_fetcher_t *fetcher)
{
    return fetcher->bytes;
}

/* ---- small replies ---- */

typedef struct hp_fetch_getter {
    hp_fetch_t *fetch;
    hp_buf_t body;
    hp_fetch_reply_fn done;
    void *arg;
} hp_fetch_getter_t;

static int on_small_data(void *arg, const uint8_t *data, size_t length)
{
    hp_fetch_getter_t *getter = arg;
    return hp_buf_add(&getter->body, data, length);
}

static void on_small_done(void *arg, int status, const hp_err_t *err)
{
    hp_fetch_getter_t *getter = arg;
    hp_fetch_reply_t reply = {
        .head = getter->fetch->parser.head,
        .body = getter->body.data != NULL ? getter->body.data : "",
        .length = getter->body.length,
    };
    getter->done(getter->arg, status, status == 0 ? &reply : NULL, err);
    hp_buf_dispose(&getter->body);
    free(getter);
}

hp_fetch_t *hp_fetch_get(hp_fetcher_t *fetcher, const hp_fetch_options_t *options, hp_fetch_reply_fn done,
                         void *arg)
{
    static const hp_fetch_callbacks_t callbacks = {.on_data = on_small_data, .on_done = on_small_done};
    hp_fetch_getter_t *getter = hp_alloc(sizeof *getter);
    getter->done = done;
    getter->arg = arg;
    hp_buf_init(&getter->body, (size_t)options->body_max);
    getter->fetch = hp_fetch_start(fetcher, options, &callbacks, getter);
    if (options->body_max == 0 && getter->fetch->status == 0)
        getter->fetch->status =
            hp_err_set(&getter->fetch->err, HP_E_INVALID, "the longest reply to be taken is not given");
    return getter->fetch;
}
