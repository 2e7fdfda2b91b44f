/* Hosts that a person added by their name. The name is kept with the host that answered, and looked up again
 * when none of its addresses answers: on most networks addresses change, names do not. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "base/mem.h"
#include "discovery/internal.h"
#include "discovery/lookup.h"

/* ---- by hand ---- */

typedef struct add_name {
    hp_hosts_t *hosts;
    hp_host_name_t name;
    hp_hosts_add_fn done;
    void *arg;
    hp_endpoint_t places[HP_LOOKUP_ADDRESSES];
    size_t count, next;
    hp_err_t err; /* of the last place that did not answer */
} add_name_t;

static void finish(add_name_t *self, int status, const hp_host_t *host, bool is_new, const hp_err_t *err)
{
    self->done(self->arg, status, host, is_new, err);
    hp_pending_t *pending = &self->hosts->pending;
    free(self);
    hp_pending_drop(pending);
}

static void on_tried(void *arg, int status, hp_host_entry_t *host, bool is_new, const hp_err_t *err);

static void try_next(add_name_t *self)
{
    hp_hosts_try(self->hosts, &self->places[self->next++], HP_FOUND_HAND, on_tried, self);
}

static void on_tried(void *arg, int status, hp_host_entry_t *host, bool is_new, const hp_err_t *err)
{
    add_name_t *self = arg;
    if (status != 0 && status != UV_ECANCELED && self->next < self->count) {
        try_next(self);
        return;
    }
    if (status == 0 && host != NULL) {
        hp_host_name_format(&self->name, host->pub.added_as);
        hp_hosts_save(self->hosts, host);
        hp_hosts_emit(self->hosts, HP_HOST_CHANGED, host);
        finish(self, 0, &host->pub, is_new, err);
        return;
    }
    hp_err_t named = *err;
    if (status != 0)
        hp_err_prefix(&named, "%s: ", self->name.name);
    finish(self, status, NULL, is_new, &named);
}

static void on_looked_up(void *arg, int status, const hp_sockaddr_t *addresses, size_t count,
                         const hp_err_t *err)
{
    add_name_t *self = arg;
    for (size_t i = 0; i < count; i++)
        if (hp_endpoint_from_sockaddr(&self->places[self->count], &addresses[i]) == 0)
            self->count++;
    hp_err_t none = *err;
    if (status == 0 && self->hosts->closing)
        status = UV_ECANCELED;
    if (status == 0 && self->count == 0)
        status = hp_err_set(&none, HP_E_NO_NAME, "no address of %s is that of a host", self->name.name);
    if (status != 0)
        finish(self, status, NULL, false, &none);
    else
        try_next(self);
}

void hp_hosts_add_name(hp_hosts_t *hosts, const hp_host_name_t *name, hp_hosts_add_fn done, void *arg)
{
    if (name->name[0] == '\0') {
        hp_hosts_add(hosts, &name->numeric, done, arg);
        return;
    }
    add_name_t *self = hp_alloc(sizeof *self);
    *self = (add_name_t){.hosts = hosts, .name = *name, .done = done, .arg = arg};
    hp_pending_add(&hosts->pending);
    hp_lookup(hosts->lookups, name->name, name->port, on_looked_up, self);
}

/* ---- again ---- */

typedef struct find_again {
    hp_hosts_t *hosts;
    char id[HP_HOST_ID_SIZE];
} find_again_t;

static void on_found_again(void *arg, int status, const hp_sockaddr_t *addresses, size_t count,
                           const hp_err_t *err)
{
    find_again_t *self = arg;
    hp_hosts_t *hosts = self->hosts;
    hp_host_entry_t *host = hosts->closing ? NULL : hp_hosts_entry(hosts, self->id);
    if (host != NULL)
        host->name_looked_up = false;
    if (status != 0 && host != NULL)
        hp_log(HP_LOG_INFO, "host %.8s: %s", self->id, hp_err_text(err));
    for (size_t i = 0; i < count && host != NULL && !host->pub.online; i++) {
        hp_endpoint_t at;
        size_t index;
        if (hp_endpoint_from_sockaddr(&at, &addresses[i]) == 0 &&
            hp_hosts_entry_at(hosts, &at, &index) != host)
            hp_hosts_try(hosts, &at, HP_FOUND_HAND, hp_tries_ignore, NULL);
    }
    free(self);
    hp_pending_drop(&hosts->pending);
}

void hp_names_look_again(hp_hosts_t *hosts, hp_host_entry_t *host)
{
    hp_host_name_t name;
    if (host->pub.added_as[0] == '\0' || host->name_looked_up || hosts->closing ||
        hp_host_name_parse(host->pub.added_as, 1, &name, NULL) != 0 || name.name[0] == '\0')
        return;
    find_again_t *self = hp_alloc(sizeof *self);
    *self = (find_again_t){.hosts = hosts};
    memcpy(self->id, host->pub.id, sizeof self->id);
    host->name_looked_up = true;
    hp_pending_add(&hosts->pending);
    hp_lookup(hosts->lookups, name.name, name.port, on_found_again, self);
}
