/* Connections that somebody here wants: which way they go, and the relayed ones. */
#include "tunnel/remote.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"
#include "path/address.h"
#include "tunnel/pump.h"

enum {
    CHOOSE_MS = 10000,       /* for any way to be found */
    RELAY_ANSWER_MS = 10000, /* for the hub to give a relay */
    RELAY_AGAIN_MS = 35000,  /* after it refused one */
    RELAY_FULL_MS = 2000,    /* after it had no more of them just then */
    ASKED_MAX = 64,          /* relays that other hosts may ask for at once */
};

/* A callback that is due, in tunnel->answers. */
typedef struct answer {
    hp_link_t link;
    hp_remote_chosen_fn chosen; /* either this */
    hp_way_t way;
    hp_remote_dialled_fn dialled; /* or that */
    void *arg;
    hp_err_t err; /* code 0: none */
} answer_t;

typedef struct chooser {
    hp_link_t link;
    hp_remote_chosen_fn chosen;
    void *arg;
    uint64_t relay_at, end; /* ms */
} chooser_t;

/* A connection that waits for the hub to give a relay, in remote->dials, or for the relay, in remote->relays,
 * or that runs, in remote->relayed. */
typedef struct dial {
    hp_link_t link;
    hp_remote_t *remote; /* NULL: given up while it ran */
    hp_relay_t *relay;   /* NULL: the hub has not answered yet */
    hp_pump_t *pump;     /* NULL: it does not run yet */
    uint64_t request, end;
    int fd;
    hp_remote_dialled_fn dialled;
    void *arg;
} dial_t;

static answer_t *add_answer(hp_tunnel_t *self, void *arg, const hp_err_t *err)
{
    answer_t *answer = hp_alloc(sizeof *answer);
    answer->arg = arg;
    if (err != NULL)
        answer->err = *err;
    hp_list_add(&self->answers, &answer->link);
    return answer;
}

static void answer_dial(hp_tunnel_t *self, hp_remote_dialled_fn dialled, void *arg, const hp_err_t *err)
{
    add_answer(self, arg, err)->dialled = dialled;
}

static void answer_chooser(hp_tunnel_t *self, chooser_t *chooser, hp_way_t way, const hp_err_t *err)
{
    answer_t *answer = add_answer(self, chooser->arg, err);
    answer->chosen = chooser->chosen;
    answer->way = way;
    hp_link_remove(&chooser->link);
    free(chooser);
}

void hp_tunnel_answer(hp_tunnel_t *self)
{
    HP_LIST_EACH (at, &self->answers) {
        answer_t *answer = HP_CONTAINER(at, answer_t, link);
        const hp_err_t *err = answer->err.code != 0 ? &answer->err : NULL;
        hp_link_remove(at);
        if (answer->chosen != NULL)
            answer->chosen(answer->arg, answer->way, err);
        else
            answer->dialled(answer->arg, err);
        free(answer);
    }
}

/* ---- choosing ---- */

/* Whether the hub may be asked for another relay. */
static bool may_ask_hub(const hp_remote_t *self, uint64_t now)
{
    return self->signalling.online(self->signalling.arg) && now >= self->relay_again_at;
}

/* What is relayed already can carry another request. */
bool hp_remote_can_relay(const hp_remote_t *self, uint64_t now)
{
    return !hp_list_is_empty(&self->relayed) || may_ask_hub(self, now);
}

void hp_remote_choose(hp_remote_t *self, hp_remote_chosen_fn chosen, void *arg)
{
    uint64_t now = hp_clock_ms();
    chooser_t *chooser = hp_alloc(sizeof *chooser);
    *chooser = (chooser_t){
        .chosen = chosen, .arg = arg, .relay_at = now + HP_REMOTE_PATIENCE_MS, .end = now + CHOOSE_MS};
    hp_list_add(&self->choosers, &chooser->link);
    self->wanted_at = now;
    hp_reach_want(&self->reach, now);
    hp_remote_serve_choosers(self, now);
    hp_tunnel_arm(self->tunnel);
}

/* Whether one got its answer. */
static bool serve_chooser(hp_remote_t *self, chooser_t *chooser, uint64_t now)
{
    hp_err_t err = {0};
    const char *reason;
    bool promising = hp_reach_is_promising(&self->reach);
    if (hp_remote_direct(self) != NULL) {
        answer_chooser(self->tunnel, chooser, self->near ? HP_WAY_LAN : HP_WAY_DIRECT, NULL);
        return true;
    }
    if ((!promising || now >= chooser->relay_at) && hp_remote_can_relay(self, now)) {
        answer_chooser(self->tunnel, chooser, HP_WAY_RELAYED, NULL);
        return true;
    }
    bool under_way = self->reach.state >= HP_REACH_GATHER && self->reach.state <= HP_REACH_HANDSHAKE;
    if (under_way && now < chooser->end)
        return false;
    hp_remote_path(self, &reason);
    hp_err_set(&err, HP_E_UNREACHABLE, "%s",
               reason[0] != '\0' ? reason : "there is neither a direct way nor a relay to this host");
    answer_chooser(self->tunnel, chooser, HP_WAY_RELAYED, &err);
    return true;
}

/* A hub may never answer. */
static void end_late_dials(hp_remote_t *self, uint64_t now)
{
    HP_LIST_EACH (at, &self->dials) {
        dial_t *dial = HP_CONTAINER(at, dial_t, link);
        hp_err_t err = {0};
        if (now < dial->end)
            continue;
        hp_err_set(&err, HP_E_TIMEOUT, "the hub does not answer the wish for a relay");
        answer_dial(self->tunnel, dial->dialled, dial->arg, &err);
        close(dial->fd);
        hp_link_remove(at);
        free(dial);
    }
}

void hp_remote_serve_choosers(hp_remote_t *self, uint64_t now)
{
    HP_LIST_EACH (at, &self->choosers)
        serve_chooser(self, HP_CONTAINER(at, chooser_t, link), now);
    end_late_dials(self, now);
}

uint64_t hp_remote_choosers_due(const hp_remote_t *self)
{
    uint64_t due = UINT64_MAX, now = hp_clock_ms();
    HP_LIST_EACH (at, &self->choosers) {
        const chooser_t *chooser = HP_CONTAINER(at, chooser_t, link);
        due = HP_MIN(due, now < chooser->relay_at ? chooser->relay_at : HP_MIN(chooser->end, now + 100));
    }
    HP_LIST_EACH (at, &self->dials)
        due = HP_MIN(due, HP_CONTAINER(at, dial_t, link)->end);
    return due;
}

/* ---- dialling ---- */

static void on_pump_ended(void *arg)
{
    dial_t *dial = arg;
    hp_link_remove(&dial->link);
    if (dial->remote != NULL) {
        dial->remote->wanted_at = hp_clock_ms();
        hp_tunnel_arm(dial->remote->tunnel);
    }
    free(dial);
}

/* Whether a hub may make this host connect to where it says that a relay is; else the reason in err. */
static bool may_connect(hp_tunnel_t *self, const hp_relay_at_t *at, hp_err_t *err)
{
    char address[HP_ADDRESS_TEXT];
    uint16_t port;
    if (!at->elsewhere || hp_unproven_connection(self->unproven, &at->address, hp_clock_ms()))
        return true;
    hp_address_from_sockaddr(&at->address, address, &port);
    hp_err_set(err, HP_E_TOO_MANY, "the hub leads to relays that do not answer, at last to %s port %u",
               address, port);
    return false;
}

static void on_relay(void *arg, const hp_relay_t *relay, int fd, const hp_err_t *err)
{
    dial_t *dial = arg;
    hp_remote_t *self = dial->remote;
    hp_err_t failed = {0};
    hp_link_remove(&dial->link);
    if (fd >= 0)
        hp_unproven_relay(self->tunnel->unproven, &relay->address);
    if (fd < 0) {
        failed = *err;
        close(dial->fd);
    } else {
        const int fds[2] = {dial->fd, fd};
        const hp_pump_hooks_t hooks = {.ended = on_pump_ended, .arg = dial};
        int rc = hp_pump_create(&dial->pump, self->tunnel->loop, fds, &hooks, &self->tunnel->pending);
        if (rc != 0)
            hp_err_set(&failed, rc, "a relayed connection cannot be joined: %s", hp_err_sentence(rc));
    }
    answer_dial(self->tunnel, dial->dialled, dial->arg, failed.code != 0 ? &failed : NULL);
    if (dial->pump != NULL)
        hp_list_add(&self->relayed, &dial->link);
    else
        free(dial);
    hp_tunnel_arm(self->tunnel);
}

static void refuse_dial(hp_remote_t *self, int fd, hp_remote_dialled_fn dialled, void *arg,
                        const char *reason)
{
    hp_err_t err = {0};
    hp_err_set(&err, HP_E_UNREACHABLE, "%s", reason);
    close(fd);
    answer_dial(self->tunnel, dialled, arg, &err);
}

static void dial_relayed(hp_remote_t *self, int fd, hp_remote_dialled_fn dialled, void *arg)
{
    uint64_t request = ++self->tunnel->next_request;
    if (!may_ask_hub(self, hp_clock_ms())) {
        refuse_dial(self, fd, dialled, arg,
                    self->relay_reason[0] != '\0' ? self->relay_reason : "the hub cannot be reached");
        return;
    }
    dial_t *dial = hp_alloc(sizeof *dial);
    *dial = (dial_t){.remote = self,
                     .request = request,
                     .end = hp_clock_ms() + RELAY_ANSWER_MS,
                     .fd = fd,
                     .dialled = dialled,
                     .arg = arg};
    hp_list_add(&self->dials, &dial->link);
    if (self->signalling.relay(self->signalling.arg, self->id, request) != 0) {
        hp_link_remove(&dial->link);
        free(dial);
        refuse_dial(self, fd, dialled, arg, "the hub cannot be asked for a relay");
    }
}

void hp_remote_dial(hp_remote_t *self, hp_way_t way, int fd, hp_remote_dialled_fn dialled, void *arg)
{
    uint64_t now = hp_clock_ms();
    self->wanted_at = now;
    hp_reach_want(&self->reach, now);
    if (way == HP_WAY_RELAYED) {
        dial_relayed(self, fd, dialled, arg);
    } else if (hp_remote_direct(self) != NULL) {
        hp_quic_open(hp_remote_direct(self), fd);
        answer_dial(self->tunnel, dialled, arg, NULL);
    } else {
        refuse_dial(self, fd, dialled, arg, "the direct way to this host is gone");
    }
    hp_tunnel_arm(self->tunnel);
}

static dial_t *find_dial(hp_tunnel_t *self, uint64_t request)
{
    HP_LIST_EACH (at, &self->remotes) {
        hp_remote_t *remote = HP_CONTAINER(at, hp_remote_t, link);
        HP_LIST_EACH (each, &remote->dials)
            if (HP_CONTAINER(each, dial_t, link)->request == request)
                return HP_CONTAINER(each, dial_t, link);
    }
    return NULL;
}

void hp_tunnel_relay_answer(hp_tunnel_t *self, uint64_t request, const hp_relay_at_t *at, const hp_err_t *err)
{
    dial_t *dial = find_dial(self, request);
    if (dial == NULL)
        return; /* given up meanwhile */
    hp_remote_t *remote = dial->remote;
    hp_err_t refused = {0};
    hp_link_remove(&dial->link);
    if (at != NULL && !may_connect(self, at, &refused)) {
        at = NULL;
        err = &refused;
    }
    if (at != NULL) {
        hp_list_add(&remote->relays, &dial->link);
        dial->relay = hp_relay_dial(self->loop, at, on_relay, dial, &self->pending);
        return;
    }
    remote->relay_again_at = hp_clock_ms() + (err->code == HP_E_TOO_MANY ? RELAY_FULL_MS : RELAY_AGAIN_MS);
    if (strcmp(remote->relay_reason, hp_err_text(err)) != 0)
        hp_log_gated(&self->log, HP_LOG_INFO, "host %.8s: no relayed connection: %s", remote->id,
                     hp_err_text(err));
    snprintf(remote->relay_reason, sizeof remote->relay_reason, "%s", hp_err_text(err));
    answer_dial(self, dial->dialled, dial->arg, err);
    close(dial->fd);
    free(dial);
    hp_tunnel_arm(self);
}

static void end_dials(hp_tunnel_t *self, hp_list_t *dials, const hp_err_t *err)
{
    HP_LIST_EACH (at, dials) {
        dial_t *dial = HP_CONTAINER(at, dial_t, link);
        if (dial->relay != NULL)
            hp_relay_cancel(dial->relay);
        close(dial->fd);
        answer_dial(self, dial->dialled, dial->arg, err);
        hp_link_remove(at);
        free(dial);
    }
}

void hp_remote_end_dials(hp_remote_t *self)
{
    hp_err_t err = {0};
    hp_err_set(&err, UV_ECANCELED, "the connection to this host was given up");
    HP_LIST_EACH (at, &self->choosers)
        answer_chooser(self->tunnel, HP_CONTAINER(at, chooser_t, link), HP_WAY_RELAYED, &err);
    end_dials(self->tunnel, &self->dials, &err);
    end_dials(self->tunnel, &self->relays, &err);
    HP_LIST_EACH (at, &self->relayed) {
        dial_t *dial = HP_CONTAINER(at, dial_t, link);
        hp_link_remove(at);
        dial->remote = NULL;
        hp_pump_cut(dial->pump);
    }
}

void hp_remote_end_lost(hp_remote_t *self)
{
    HP_LIST_EACH (at, &self->relayed) {
        dial_t *dial = HP_CONTAINER(at, dial_t, link);
        if (hp_pump_is_lost(dial->pump))
            hp_pump_cut(dial->pump);
    }
}

/* ---- relays that another host asked for ---- */

static void on_asked_relay(void *arg, const hp_relay_t *relay, int fd, const hp_err_t *err)
{
    hp_tunnel_t *self = arg;
    hp_who_t who = {.way = HP_WAY_RELAYED};
    if (fd < 0) {
        hp_log_gated(&self->log, HP_LOG_INFO, "a relayed connection of another host came to nothing: %s",
                     hp_err_text(err));
        return;
    }
    hp_unproven_relay(self->unproven, &relay->address);
    hp_address_from_sockaddr(&relay->address, who.address, &who.port);
    self->options.on_stream(self->options.arg, fd, &who);
}

void hp_tunnel_relay_asked(hp_tunnel_t *self, const char *from, const hp_relay_at_t *at)
{
    size_t count = 0;
    hp_err_t err = {0};
    HP_LIST_EACH (each, &self->asked)
        count++;
    if (self->closing || hp_tunnel_find(self, from) == NULL)
        return;
    if (count >= ASKED_MAX) {
        hp_log_gated(&self->log, HP_LOG_WARN,
                     "host %.8s asks for more relayed connections than are taken at once", from);
        return;
    }
    if (!may_connect(self, at, &err)) {
        hp_log_gated(&self->log, HP_LOG_WARN, "host %.8s: no relayed connection: %s", from,
                     hp_err_text(&err));
        return;
    }
    hp_relay_t *relay = hp_relay_dial(self->loop, at, on_asked_relay, self, &self->pending);
    hp_list_add(&self->asked, &relay->link);
}

void hp_tunnel_end_asked(hp_tunnel_t *self)
{
    HP_LIST_EACH (at, &self->asked)
        hp_relay_cancel(HP_CONTAINER(at, hp_relay_t, link));
}
