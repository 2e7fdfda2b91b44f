#include "doctor/doctor.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/options.h"
#include "doctor/internal.h"

#define SENDERS_MAX 256 /* that ask to be called back, remembered */

/* ---- one look ---- */

static void tell(hp_doctor_t *self, int64_t id)
{
    if (self->event != NULL && !self->closing)
        self->event(self->event_arg, id);
}

void hp_look_changed(hp_look_t *look)
{
    tell(look->doctor, look->id);
}

static bool is_running(const hp_look_t *look)
{
    return look->machine || look->check != NULL;
}

static void free_look(hp_look_t *look)
{
    hp_link_remove(&look->link);
    look->doctor->count--;
    hp_findings_dispose(&look->findings);
    free(look);
}

static void prune(hp_doctor_t *self)
{
    size_t over = 0;
    HP_LIST_EACH (link, &self->looks) {
        hp_look_t *look = HP_CONTAINER(link, hp_look_t, link);
        if (!is_running(look) && ++over > HP_DOCTOR_KEPT)
            free_look(look);
    }
}

static void on_part_done(hp_look_t *look)
{
    if (is_running(look))
        return;
    look->finished_at = hp_clock_wall_ms();
    hp_look_changed(look);
    prune(look->doctor);
}

static void on_checked(hp_look_t *look)
{
    look->check = NULL;
    on_part_done(look);
}

typedef struct {
    hp_host_name_t name;
    const hp_host_t *host;
} wanted_t;

static int read_host(hp_doctor_t *self, const char *text, wanted_t *wanted, hp_err_t *err)
{
    *wanted = (wanted_t){.host = hp_hosts_find(self->deps.hosts, text)};
    return wanted->host != NULL ? 0 : hp_host_name_parse(text, HP_DEFAULT_PEER_PORT, &wanted->name, err);
}

/* This machine's part is known by now: whether a way back is blocked here can be told with the command. */
static void on_machine(hp_look_t *look)
{
    wanted_t wanted;
    hp_doctor_t *self = look->doctor;
    if (look->host[0] != '\0' && !self->closing && read_host(self, look->host, &wanted, NULL) == 0)
        look->check = hp_check_begin(look, &wanted.name, wanted.host, on_checked);
    hp_look_changed(look);
    on_part_done(look);
}

int hp_doctor_begin(hp_doctor_t *self, const char *host, int64_t *id, hp_err_t *err)
{
    unsigned open = 0;
    wanted_t wanted;
    HP_LIST_EACH (link, &self->looks)
        open += is_running(HP_CONTAINER(link, hp_look_t, link));
    if (open >= HP_DOCTOR_OPEN)
        return hp_err_set(err, HP_E_TOO_MANY, "%u looks are under way; wait until one is over", open);
    host = host != NULL ? host : "";
    if (strlen(host) >= HP_HOST_NAME_TEXT_SIZE)
        return hp_err_set(err, HP_E_INVALID, "host: is too long");
    int rc = host[0] != '\0' ? read_host(self, host, &wanted, err) : 0;
    if (rc != 0) {
        hp_err_prefix(err, "host: ");
        return rc;
    }
    hp_look_t *look = hp_alloc(sizeof *look);
    look->doctor = self;
    look->id = *id = ++self->last_id;
    look->started_at = hp_clock_wall_ms();
    snprintf(look->host, sizeof look->host, "%s", host);
    hp_list_add_first(&self->looks, &look->link);
    self->count++;
    hp_machine_begin(look, on_machine);
    hp_look_changed(look);
    return 0;
}

static void view(const hp_look_t *look, hp_doctor_look_t *out)
{
    *out = (hp_doctor_look_t){.id = look->id,
                              .host = look->host,
                              .running = look->finished_at == 0,
                              .started_at = look->started_at,
                              .finished_at = look->finished_at,
                              .findings = &look->findings};
}

size_t hp_doctor_count(const hp_doctor_t *self)
{
    return self->count;
}

void hp_doctor_at(const hp_doctor_t *self, size_t index, hp_doctor_look_t *out)
{
    const hp_link_t *link = self->looks.head.next;
    for (size_t i = 0; i < index; i++)
        link = link->next;
    view(HP_CONTAINER(link, hp_look_t, link), out);
}

bool hp_doctor_get(const hp_doctor_t *self, int64_t id, hp_doctor_look_t *out)
{
    for (const hp_link_t *link = self->looks.head.next; link != &self->looks.head; link = link->next) {
        const hp_look_t *look = HP_CONTAINER(link, hp_look_t, link);
        if (look->id != id)
            continue;
        view(look, out);
        return true;
    }
    return false;
}

/* ---- the doctor ---- */

void hp_doctor_on_event(hp_doctor_t *self, void (*fn)(void *arg, int64_t id), void *arg)
{
    self->event = fn;
    self->event_arg = arg;
}

hp_doctor_t *hp_doctor_create(const hp_doctor_deps_t *deps)
{
    hp_doctor_t *self = hp_alloc(sizeof *self);
    self->deps = *deps;
    self->lookups = hp_lookups_create(deps->loop);
    self->rate = hp_rate_create(HP_CALLBACK_TIMES, 60000, SENDERS_MAX);
    hp_list_init(&self->looks);
    hp_list_init(&self->called);
    hp_pending_add(&self->pending); /* the look-ups */
    hp_doctor_watch_create(self);
    return self;
}

void hp_doctor_start(hp_doctor_t *self)
{
    hp_doctor_watch_start(self);
}

static void on_lookups_closed(void *arg)
{
    hp_doctor_t *self = arg;
    hp_pending_drop(&self->pending);
}

static void finish(void *arg)
{
    hp_doctor_t *self = arg;
    void (*closed)(void *arg) = self->closed;
    void *closed_arg = self->closed_arg;
    HP_LIST_EACH (link, &self->looks)
        free_look(HP_CONTAINER(link, hp_look_t, link));
    hp_rate_destroy(self->rate);
    free(self);
    closed(closed_arg);
}

void hp_doctor_destroy(hp_doctor_t *self, void (*closed)(void *arg), void *arg)
{
    self->closing = true;
    self->closed = closed;
    self->closed_arg = arg;
    hp_doctor_watch_stop(self);
    hp_callbacks_stop(self);
    HP_LIST_EACH (link, &self->looks) {
        hp_look_t *look = HP_CONTAINER(link, hp_look_t, link);
        if (look->check != NULL)
            hp_check_cancel(look->check);
    }
    hp_lookups_destroy(self->lookups, on_lookups_closed, self);
    hp_pending_when_none(&self->pending, finish, self);
}
