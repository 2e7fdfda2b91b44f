#include "hub/relay.h"

#include <errno.h>
#include <search.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/list.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/path.h"
#include "tunnel/pump.h"

#define DESCRIPTORS   8      /* of one pair: two sockets, two pipes, and some to spare */
#define IDLE_MS       600000 /* a pair on which no byte moves for so long is ended */
#define SWEEP_MS      2000
#define REFILL_MS     20   /* how exactly the limits are kept */
#define BURST_MS      200  /* what is saved up of a limit */
#define GREETINGS_MAX 1000 /* connections that have not sent their line yet */

/* What a limit allows: bytes, earned as time passes. */
typedef struct bucket {
    uint64_t bps, bytes, earned_at;
} bucket_t;

typedef struct group {
    uint8_t gid[16]; /* the key in the tree */
    unsigned pairs;
    bucket_t bucket;
} group_t;

typedef struct pair {
    hp_link_t link; /* in waiting or in running */
    hp_hub_relay_t *relay;
    group_t *group;
    char tokens[2][HP_HUB_RELAY_TOKEN_SIZE];
    int fds[2];       /* -1: not there yet */
    uint64_t made_at; /* loop ms */
    hp_pump_t *pump;  /* NULL while waiting */
} pair_t;

/* A connection that has not sent its line yet. */
typedef struct greeting {
    hp_link_t link;
    uv_poll_t poll;
    hp_hub_relay_t *relay;
    int fd;
    uint64_t begun_at;
} greeting_t;

struct hp_relay {
    uv_loop_t *loop;
    hp_hub_relay_limits_t limits;
    uv_timer_t sweep, refill;
    hp_list_t waiting, running, greetings;
    size_t waiting_count, running_count, greeting_count;
    bucket_t bucket;
    void *groups; /* tsearch(3) */
    uint64_t bytes, pairs;
    bool closing;
    hp_pending_t pending; /* timers, greetings and pumps */
    void (*closed)(void *arg);
    void *closed_arg;
};

/* ---- limits ---- */

static size_t bucket_has(bucket_t *bucket, uint64_t now, size_t want)
{
    if (bucket->bps == 0)
        return want;
    uint64_t most = HP_MAX(bucket->bps * BURST_MS / 1000, (uint64_t)16384);
    uint64_t passed = HP_MIN(now - bucket->earned_at, (uint64_t)BURST_MS);
    uint64_t earned = bucket->bps * passed / 1000;
    if (earned > 0) {
        bucket->bytes = HP_MIN(bucket->bytes + earned, most);
        bucket->earned_at = now;
    }
    return (size_t)HP_MIN((uint64_t)want, bucket->bytes);
}

static void bucket_change(bucket_t *bucket, int64_t bytes)
{
    if (bucket->bps > 0)
        bucket->bytes = (uint64_t)((int64_t)bucket->bytes + bytes);
}

static void on_refill(uv_timer_t *timer)
{
    hp_hub_relay_t *self = timer->data;
    bool held = false;
    HP_LIST_EACH (at, &self->running) {
        pair_t *pair = HP_CONTAINER(at, pair_t, link);
        if (!hp_pump_is_held(pair->pump))
            continue;
        hp_pump_go(pair->pump);
        held = true;
    }
    /* Who was held last is first the next time, so that all get their part of a limit. */
    if (held) {
        hp_link_t *first = hp_list_first(&self->running);
        hp_link_remove(first);
        hp_list_add(&self->running, first);
    } else
        uv_timer_stop(timer);
}

static size_t take(void *arg, size_t want)
{
    pair_t *pair = arg;
    hp_hub_relay_t *self = pair->relay;
    uint64_t now = uv_now(self->loop);
    size_t allowed = bucket_has(&self->bucket, now, bucket_has(&pair->group->bucket, now, want));
    bucket_change(&self->bucket, -(int64_t)allowed);
    bucket_change(&pair->group->bucket, -(int64_t)allowed);
    if (allowed == 0 && !uv_is_active((uv_handle_t *)&self->refill))
        uv_timer_start(&self->refill, on_refill, REFILL_MS, REFILL_MS);
    return allowed;
}

static void give_back(void *arg, size_t bytes)
{
    pair_t *pair = arg;
    bucket_change(&pair->relay->bucket, (int64_t)bytes);
    bucket_change(&pair->group->bucket, (int64_t)bytes);
}

static void carried(void *arg, size_t bytes)
{
    ((pair_t *)arg)->relay->bytes += bytes;
}

/* ---- groups ---- */

static int compare_groups(const void *a, const void *b)
{
    return memcmp(((const group_t *)a)->gid, ((const group_t *)b)->gid, 16);
}

static group_t *group_addref(hp_hub_relay_t *self, const uint8_t gid[16])
{
    group_t key;
    memcpy(key.gid, gid, sizeof key.gid);
    group_t **found = tfind(&key, &self->groups, compare_groups), *group = found != NULL ? *found : NULL;
    if (group == NULL) {
        group = hp_alloc(sizeof *group);
        memcpy(group->gid, gid, sizeof group->gid);
        group->bucket = (bucket_t){.bps = self->limits.group_bps, .earned_at = uv_now(self->loop)};
        tsearch(group, &self->groups, compare_groups);
    }
    group->pairs++;
    return group;
}

static void group_release(hp_hub_relay_t *self, group_t *group)
{
    if (--group->pairs > 0)
        return;
    tdelete(group, &self->groups, compare_groups);
    free(group);
}

/* ---- pairs ---- */

static void end_pair(pair_t *pair)
{
    hp_hub_relay_t *self = pair->relay;
    hp_link_remove(&pair->link);
    for (size_t i = 0; i < 2; i++)
        if (pair->fds[i] >= 0)
            close(pair->fds[i]);
    group_release(self, pair->group);
    free(pair);
}

static void on_pump_ended(void *arg)
{
    pair_t *pair = arg;
    hp_hub_relay_t *self = pair->relay;
    self->running_count--;
    end_pair(pair);
}

int hp_hub_relay_open(hp_hub_relay_t *self, const uint8_t gid[16], char tokens[2][HP_HUB_RELAY_TOKEN_SIZE],
                      hp_err_t *err)
{
    uint8_t random[32];
    if (self->waiting_count + self->running_count >= self->limits.pairs_max)
        return hp_err_set(err, HP_E_TOO_MANY, "this hub relays as many connections as it can (%zu)",
                          self->limits.pairs_max);
    int rc = uv_random(NULL, NULL, random, sizeof random, 0, NULL);
    if (rc != 0)
        return hp_err_set(err, rc, "no random numbers: %s", uv_strerror(rc));
    pair_t *pair = hp_alloc(sizeof *pair);
    pair->relay = self;
    pair->group = group_addref(self, gid);
    pair->fds[0] = pair->fds[1] = -1;
    pair->made_at = uv_now(self->loop);
    for (size_t i = 0; i < 2; i++) {
        hp_hex_encode(random + 16 * i, 16, pair->tokens[i]);
        memcpy(tokens[i], pair->tokens[i], HP_HUB_RELAY_TOKEN_SIZE);
    }
    hp_list_add(&self->waiting, &pair->link);
    self->waiting_count++;
    return 0;
}

static void join(pair_t *pair)
{
    static const char ok[] = "OK\r\n";
    hp_hub_relay_t *self = pair->relay;
    int fds[2] = {pair->fds[0], pair->fds[1]};
    hp_pump_hooks_t hooks = {
        .take = take, .give_back = give_back, .carried = carried, .ended = on_pump_ended, .arg = pair};
    bool told = true;
    hp_link_remove(&pair->link);
    self->waiting_count--;
    for (size_t i = 0; i < 2; i++) /* four bytes into an empty socket buffer: they go whole */
        told = told && send(fds[i], ok, sizeof ok - 1, MSG_NOSIGNAL) == (ssize_t)sizeof ok - 1;
    if (!told) {
        end_pair(pair);
        return;
    }
    pair->fds[0] = pair->fds[1] = -1; /* the pump's */
    int rc = hp_pump_create(&pair->pump, self->loop, fds, &hooks, &self->pending);
    if (rc != 0) {
        hp_log(HP_LOG_WARN, "hub: a relayed connection cannot be joined: %s", uv_strerror(rc));
        end_pair(pair);
        return;
    }
    hp_list_add(&self->running, &pair->link);
    self->running_count++;
    self->pairs++;
}

/* How many bytes must be there before the socket counts as readable (socket(7)). */
static void set_wake_up(int fd, int bytes)
{
    setsockopt(fd, SOL_SOCKET, SO_RCVLOWAT, &bytes, sizeof bytes);
}

/* Whether the token is one that waits; it counts only once. */
static bool claim(hp_hub_relay_t *self, const char *token, int fd)
{
    HP_LIST_EACH (at, &self->waiting) {
        pair_t *pair = HP_CONTAINER(at, pair_t, link);
        for (size_t i = 0; i < 2; i++) {
            if (pair->fds[i] >= 0 || strcmp(pair->tokens[i], token) != 0)
                continue;
            set_wake_up(fd, 1);
            pair->fds[i] = fd;
            if (pair->fds[1 - i] >= 0)
                join(pair);
            return true;
        }
    }
    return false;
}

/* ---- connections that have just come ---- */

int hp_hub_relay_line(const char *data, size_t length, char token[HP_HUB_RELAY_TOKEN_SIZE])
{
    const size_t prefix = sizeof HP_HUB_RELAY_PREFIX - 1;
    uint8_t ignored[16];
    if (memcmp(data, HP_HUB_RELAY_PREFIX, HP_MIN(length, prefix)) != 0)
        return HP_E_INVALID;
    if (length < HP_HUB_RELAY_LINE)
        return HP_E_BUSY;
    memcpy(token, data + prefix, 32);
    token[32] = '\0';
    return memcmp(data + prefix + 32, "\r\n", 2) == 0 && hp_hex_decode(token, ignored, 16) == 0
               ? 0
               : HP_E_INVALID;
}

static void on_greeting_closed(uv_handle_t *handle)
{
    greeting_t *greeting = handle->data;
    hp_hub_relay_t *self = greeting->relay;
    if (greeting->fd >= 0)
        close(greeting->fd);
    free(greeting);
    hp_pending_drop(&self->pending);
}

static void end_greeting(greeting_t *greeting)
{
    hp_link_remove(&greeting->link);
    greeting->relay->greeting_count--;
    uv_close((uv_handle_t *)&greeting->poll, on_greeting_closed);
}

/* The line is read only when it is here whole, so that not a byte behind it is taken. */
static void on_readable(uv_poll_t *handle, int status, int events)
{
    greeting_t *greeting = handle->data;
    hp_hub_relay_t *self = greeting->relay;
    char line[HP_HUB_RELAY_LINE], token[HP_HUB_RELAY_TOKEN_SIZE];
    int fd = greeting->fd;
    bool over = status != 0 || (events & UV_DISCONNECT) != 0;
    ssize_t n = !over ? recv(fd, line, sizeof line, MSG_PEEK) : 0;
    if (n < 0 && (errno == EAGAIN || errno == EINTR))
        return;
    int rc = n > 0 ? hp_hub_relay_line(line, (size_t)n, token) : HP_E_INVALID;
    if (rc == HP_E_BUSY)
        return; /* SO_RCVLOWAT: comes again when there is more, or at the end */
    bool whole = rc == 0 && recv(fd, line, sizeof line, 0) == (ssize_t)sizeof line;
    greeting->fd = -1;
    end_greeting(greeting); /* the descriptor is watched no more and can be the pair's */
    if (!whole || !claim(self, token, fd))
        close(fd);
}

void hp_hub_relay_accept(hp_hub_relay_t *self, int fd)
{
    greeting_t *greeting = hp_alloc(sizeof *greeting);
    if (self->closing || self->greeting_count >= GREETINGS_MAX ||
        uv_poll_init(self->loop, &greeting->poll, fd) != 0) {
        close(fd);
        free(greeting);
        return;
    }
    greeting->poll.data = greeting;
    greeting->relay = self;
    greeting->fd = fd;
    greeting->begun_at = uv_now(self->loop);
    hp_list_add(&self->greetings, &greeting->link);
    self->greeting_count++;
    hp_pending_add(&self->pending);
    set_wake_up(fd, (int)HP_HUB_RELAY_LINE);
    uv_poll_start(&greeting->poll, UV_READABLE | UV_DISCONNECT, on_readable);
}

/* ---- life ---- */

static void on_sweep(uv_timer_t *timer)
{
    hp_hub_relay_t *self = timer->data;
    uint64_t now = uv_now(self->loop);
    HP_LIST_EACH (at, &self->waiting) {
        pair_t *pair = HP_CONTAINER(at, pair_t, link);
        if (now - pair->made_at < HP_HUB_RELAY_WAIT_MS)
            continue;
        self->waiting_count--;
        end_pair(pair);
    }
    HP_LIST_EACH (greets, &self->greetings) {
        greeting_t *greeting = HP_CONTAINER(greets, greeting_t, link);
        if (now - greeting->begun_at >= HP_HUB_RELAY_WAIT_MS)
            end_greeting(greeting);
    }
    HP_LIST_EACH (runs, &self->running) {
        pair_t *pair = HP_CONTAINER(runs, pair_t, link);
        if (now - hp_pump_moved_at(pair->pump) >= IDLE_MS)
            hp_pump_cut(pair->pump);
    }
}

static size_t pairs_by_descriptors(void)
{
    struct rlimit limit;
    if (getrlimit(RLIMIT_NOFILE, &limit) != 0 || limit.rlim_cur < 64 * DESCRIPTORS)
        return 8;
    return (size_t)HP_MIN((rlim_t)(limit.rlim_cur / 2 / DESCRIPTORS), (rlim_t)100000);
}

hp_hub_relay_t *hp_hub_relay_create(uv_loop_t *loop, const hp_hub_relay_limits_t *limits)
{
    hp_hub_relay_t *self = hp_alloc(sizeof *self);
    self->loop = loop;
    self->limits = *limits;
    if (self->limits.pairs_max == 0)
        self->limits.pairs_max = pairs_by_descriptors();
    self->bucket = (bucket_t){.bps = limits->bps, .earned_at = uv_now(loop)};
    hp_list_init(&self->waiting);
    hp_list_init(&self->running);
    hp_list_init(&self->greetings);
    uv_timer_init(loop, &self->sweep);
    uv_timer_init(loop, &self->refill);
    self->sweep.data = self->refill.data = self;
    hp_pending_add(&self->pending);
    hp_pending_add(&self->pending);
    uv_timer_start(&self->sweep, on_sweep, SWEEP_MS, SWEEP_MS);
    return self;
}

static void on_timer_closed(uv_handle_t *handle)
{
    hp_hub_relay_t *self = handle->data;
    hp_pending_drop(&self->pending);
}

static void finish(void *arg)
{
    hp_hub_relay_t *self = arg;
    void (*closed)(void *arg) = self->closed;
    void *closed_arg = self->closed_arg;
    free(self);
    closed(closed_arg);
}

void hp_hub_relay_destroy(hp_hub_relay_t *self, void (*closed)(void *arg), void *arg)
{
    self->closing = true;
    self->closed = closed;
    self->closed_arg = arg;
    HP_LIST_EACH (at, &self->waiting) {
        self->waiting_count--;
        end_pair(HP_CONTAINER(at, pair_t, link));
    }
    HP_LIST_EACH (greets, &self->greetings) {
        end_greeting(HP_CONTAINER(greets, greeting_t, link));
    }
    HP_LIST_EACH (runs, &self->running) {
        hp_pump_cut(HP_CONTAINER(runs, pair_t, link)->pump);
    }
    uv_close((uv_handle_t *)&self->sweep, on_timer_closed);
    uv_close((uv_handle_t *)&self->refill, on_timer_closed);
    hp_pending_when_none(&self->pending, finish, self);
}

hp_hub_relay_counts_t hp_hub_relay_counts(const hp_hub_relay_t *self)
{
    return (hp_hub_relay_counts_t){.waiting = self->waiting_count,
                                   .running = self->running_count,
                                   .bytes = self->bytes,
                                   .pairs = self->pairs};
}
