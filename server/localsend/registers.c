#include "localsend/registers.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/array.h"
#include "base/list.h"
#include "base/mem.h"
#include "base/pending.h"

#define RUNNING_MAX 4 /* fewer than the hints that the devices follow at a time */
#define WAITING_MAX 256
#define CONNECT_MS  2000
#define ANSWER_MS   4000
#define ANSWER_MAX  ((uint64_t)16384) /* bytes */

/* One address that is being asked. */
typedef struct {
    hp_link_t link;
    hp_registers_t *owner;
    hp_endpoint_t at;
    bool https;
    hp_fetch_t *fetch;
} asked_t;

struct hp_registers {
    hp_fetcher_t *fetcher;
    hp_devices_t *devices;
    json_t *(*describe)(void *arg);
    void *arg;
    HP_ARRAY(hp_endpoint_t) waiting;
    hp_list_t running;
    size_t count; /* of running */
    hp_pending_t pending;
    void (*closed)(void *arg); /* not NULL: it ends */
    void *closed_arg;
};

static void go_on(hp_registers_t *self);
static void ask(asked_t *asked);

static void let_go(asked_t *asked)
{
    hp_registers_t *self = asked->owner;
    hp_link_remove(&asked->link);
    self->count--;
    free(asked);
    if (self->closed == NULL)
        go_on(self);
    hp_pending_drop(&self->pending);
}

/* What answers says neither its port nor whether it speaks TLS: it was asked there, and so. */
static void take_answer(const asked_t *asked, const hp_fetch_reply_t *reply)
{
    hp_localsend_device_t device;
    char address[HP_ENDPOINT_ADDRESS_SIZE];
    if (hp_localsend_read_device(&device, reply->body, reply->length, NULL) != 0)
        return;
    device.https = asked->https;
    device.port = HP_LOCALSEND_PORT;
    hp_devices_heard(asked->owner->devices, &device, hp_endpoint_address(&asked->at, address));
}

static void on_answer(void *arg, int status, const hp_fetch_reply_t *reply, const hp_err_t *err)
{
    asked_t *asked = arg;
    (void)err;
    if (status == 0 && reply->head.status == 200)
        take_answer(asked, reply);
    if (status != 0 && status != UV_ECANCELED && status != HP_E_UNREACHABLE && asked->https) {
        asked->https = false;
        ask(asked);
    } else {
        let_go(asked);
    }
}

static void ask(asked_t *asked)
{
    static const char *const headers[] = {"Connection: close", NULL};
    hp_registers_t *self = asked->owner;
    json_t *json = self->describe(self->arg);
    hp_localsend_device_t about = {.https = asked->https};
    char *url = hp_device_url(&about, &asked->at, "register"), *body = json_dumps(json, JSON_COMPACT);
    hp_fetch_options_t options = {.url = url,
                                  .method = "POST",
                                  .body = body,
                                  .body_length = strlen(body),
                                  .content_type = "application/json",
                                  .headers = headers,
                                  .direct = true,
                                  .any_certificate = true,
                                  .fresh = true,
                                  .body_max = ANSWER_MAX,
                                  .connect_ms = CONNECT_MS,
                                  .total_ms = ANSWER_MS};
    asked->fetch = hp_fetch_get(self->fetcher, &options, on_answer, asked);
    json_decref(json);
    free(body);
    free(url);
}

static bool is_known(const hp_registers_t *self, const hp_endpoint_t *at)
{
    for (size_t i = 0; i < hp_devices_count(self->devices); i++) {
        const hp_device_t *device = hp_devices_at(self->devices, i);
        if (device->online && hp_endpoint_same_place(&device->at, at))
            return true;
    }
    return false;
}

static void go_on(hp_registers_t *self)
{
    while (self->count < RUNNING_MAX && self->waiting.count > 0) {
        hp_endpoint_t at = self->waiting.items[0];
        hp_array_remove(&self->waiting, 0);
        if (is_known(self, &at))
            continue;
        asked_t *asked = hp_alloc(sizeof *asked);
        *asked = (asked_t){.owner = self, .at = at, .https = true};
        hp_list_add(&self->running, &asked->link);
        self->count++;
        hp_pending_add(&self->pending);
        ask(asked);
    }
}

void hp_registers_try(hp_registers_t *self, const char *address)
{
    hp_endpoint_t at;
    if (self->closed != NULL || self->waiting.count >= WAITING_MAX ||
        hp_endpoint_make(&at, HP_SCHEME_PLAIN, address, HP_LOCALSEND_PORT) != 0)
        return;
    for (size_t i = 0; i < self->waiting.count; i++)
        if (hp_endpoint_same_place(&self->waiting.items[i], &at))
            return;
    *hp_array_add(&self->waiting) = at;
    go_on(self);
}

void hp_registers_clear(hp_registers_t *self)
{
    hp_array_dispose(&self->waiting);
    HP_LIST_EACH (link, &self->running)
        hp_fetch_cancel(HP_CONTAINER(link, asked_t, link)->fetch);
}

hp_registers_t *hp_registers_create(hp_fetcher_t *fetcher, hp_devices_t *devices,
                                    json_t *(*describe)(void *arg), void *arg)
{
    hp_registers_t *self = hp_alloc(sizeof *self);
    *self = (hp_registers_t){.fetcher = fetcher, .devices = devices, .describe = describe, .arg = arg};
    hp_list_init(&self->running);
    return self;
}

static void finish(void *arg)
{
    hp_registers_t *self = arg;
    void (*closed)(void *arg) = self->closed;
    void *closed_arg = self->closed_arg;
    hp_array_dispose(&self->waiting);
    free(self);
    closed(closed_arg);
}

void hp_registers_destroy(hp_registers_t *self, void (*closed)(void *arg), void *arg)
{
    self->closed = closed;
    self->closed_arg = arg;
    hp_registers_clear(self);
    hp_pending_when_none(&self->pending, finish, self);
}
