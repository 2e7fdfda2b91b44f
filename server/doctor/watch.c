/* Whether others can connect here. A host on the network that answers us is asked to connect back; where it
 * cannot, so is another one, since one alone may sit behind a filter of its own. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "base/random.h"
#include "doctor/internal.h"
#include "path/address.h"

#define FIRST_MS  8000    /* after the start or a change of the networks: hosts are found meanwhile */
#define AGAIN_MS  300000  /* while it is blocked: whoever opens the port sees it soon */
#define NOBODY_MS 60000   /* while there is nobody to ask */
#define FINE_MS   1800000 /* after others could connect, give or take a tenth */
#define ASK_MAX   2       /* hosts in a round */

static void on_time(uv_timer_t *timer);

static void later(hp_doctor_t *self, uint64_t ms)
{
    if (!self->closing)
        uv_timer_start(&self->watch.timer, on_time, ms, 0);
}

static void after_fine(hp_doctor_t *self)
{
    self->watch.asked = 0;
    later(self, FINE_MS - FINE_MS / 10 + hp_random_below(FINE_MS / 5));
}

static void set_blocked(hp_doctor_t *self, const char *name)
{
    if (strcmp(self->watch.blocked, name) == 0)
        return;
    if (name[0] != '\0')
        hp_log(HP_LOG_WARN, "other hosts answer, but %s cannot connect here: \"hostpair doctor\" tells more",
               name);
    else
        hp_log(HP_LOG_INFO, "other hosts can connect here");
    snprintf(self->watch.blocked, sizeof self->watch.blocked, "%s", name);
    if (self->event != NULL)
        self->event(self->event_arg, 0);
}

/* What was found in another network says nothing about this one. */
static void forget_blocked(hp_doctor_t *self)
{
    if (self->watch.blocked[0] == '\0')
        return;
    self->watch.blocked[0] = '\0';
    if (self->event != NULL)
        self->event(self->event_arg, 0);
}

void hp_doctor_watch_heard(hp_doctor_t *self, const char *name, const hp_back_answer_t *answer)
{
    if (answer->back == HP_BACK_REACHED) {
        hp_discovery_was_reached(self->deps.discovery);
        set_blocked(self, "");
        after_fine(self);
    } else if (answer->back == HP_BACK_BLOCKED) {
        set_blocked(self, name);
        later(self, AGAIN_MS);
    }
}

/* Where a host on another machine answers that has proven its key; NULL. */
static const hp_endpoint_t *place_of(const hp_host_t *host)
{
    char text[HP_ENDPOINT_ADDRESS_SIZE];
    if (!host->online || !host->proven || host->blocked || host->address_count == 0)
        return NULL;
    const hp_endpoint_t *at = &host->addresses[0].endpoint;
    hp_sockaddr_t address;
    if (at->scheme != HP_SCHEME_TLS ||
        hp_address_to_sockaddr(hp_endpoint_address(at, text), at->port, &address) != 0)
        return NULL;
    return hp_address_scope(&address) == HP_SCOPE_MACHINE ? NULL : at;
}

static const hp_host_t *next_host(hp_doctor_t *self, const hp_endpoint_t **at)
{
    size_t count = hp_hosts_count(self->deps.hosts);
    for (size_t i = 0; i < count; i++) {
        const hp_host_t *host = hp_hosts_at(self->deps.hosts, (self->watch.next + i) % count);
        *at = place_of(host);
        if (*at != NULL) {
            self->watch.next = (self->watch.next + i + 1) % count;
            return host;
        }
    }
    return NULL;
}

typedef struct {
    hp_doctor_t *doctor;
    char name[HP_HOST_NAME_SIZE];
} asked_t;

static void on_asked(void *arg, const hp_back_answer_t *answer)
{
    asked_t *asked = arg;
    hp_doctor_t *self = asked->doctor;
    self->watch.ask = NULL;
    if (answer != NULL) {
        bool done = answer->back == HP_BACK_REACHED || self->watch.asked >= ASK_MAX;
        if (answer->back != HP_BACK_BLOCKED || done || hp_hosts_count(self->deps.hosts) == 1)
            hp_doctor_watch_heard(self, asked->name, answer);
        if (!done)
            later(self, 0);
        else if (answer->back != HP_BACK_REACHED)
            later(self, AGAIN_MS);
    }
    free(asked);
}

static void on_time(uv_timer_t *timer)
{
    hp_doctor_t *self = timer->data;
    const hp_endpoint_t *at;
    if (self->watch.ask != NULL)
        return;
    const hp_host_t *host = next_host(self, &at);
    if (host == NULL) {
        self->watch.asked = 0;
        later(self, NOBODY_MS);
        return;
    }
    asked_t *asked = hp_alloc(sizeof *asked);
    asked->doctor = self;
    snprintf(asked->name, sizeof asked->name, "%s", host->name);
    self->watch.asked = self->watch.asked >= ASK_MAX ? 1 : self->watch.asked + 1;
    self->watch.ask = hp_ask_start(self, at, on_asked, asked);
}

void hp_doctor_watch_create(hp_doctor_t *self)
{
    hp_pending_add(&self->pending);
    uv_timer_init(self->deps.loop, &self->watch.timer);
    self->watch.timer.data = self;
}

void hp_doctor_watch_start(hp_doctor_t *self)
{
    if (hp_discovery_view(self->deps.discovery).everywhere)
        later(self, FIRST_MS);
}

void hp_doctor_network_changed(hp_doctor_t *self)
{
    forget_blocked(self);
    self->watch.asked = 0;
    hp_doctor_watch_start(self);
}

static void on_closed(uv_handle_t *handle)
{
    hp_doctor_t *self = handle->data;
    hp_pending_drop(&self->pending);
}

void hp_doctor_watch_stop(hp_doctor_t *self)
{
    if (self->watch.ask != NULL)
        hp_ask_cancel(self->watch.ask);
    uv_close((uv_handle_t *)&self->watch.timer, on_closed);
}

const char *hp_doctor_blocked(const hp_doctor_t *self)
{
    return self->watch.blocked;
}
