/* Both sides of POST /hostpair/callback: a host asks another one to connect to it, at the address that it
 * asks from. The one that is asked makes one TCP connection, and one request where that was accepted, so that
 * a port that leads to another program is told from hostpair. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/address.h"
#include "base/clock.h"
#include "base/utf8.h"
#include "doctor/internal.h"

#define CONNECT_MS 5000
#define TOTAL_MS   15000 /* the other one waits for its connection and for the answer there */
#define REPLY_MAX  4096

/* ---- being asked ---- */

typedef struct {
    hp_link_t link;
    hp_doctor_t *doctor;
    hp_endpoint_t at;
    hp_tcp_check_t *reach; /* one of both is under way */
    hp_probe_t *probe;
    hp_called_back_t called;
    char id[HP_HOST_ID_SIZE];
    hp_callback_fn done;
    void *arg;
} call_t;

static void finish_call(call_t *self, int status)
{
    hp_doctor_t *doctor = self->doctor;
    hp_err_t err = {.code = status};
    self->called.id = self->id;
    hp_link_remove(&self->link);
    doctor->callbacks--;
    self->done(self->arg, status, &self->called, &err);
    free(self);
    hp_pending_drop(&doctor->pending);
}

static void on_probed(void *arg, int status, const hp_probe_answer_t *answer, const hp_err_t *err)
{
    call_t *self = arg;
    (void)err;
    self->probe = NULL;
    if (status == 0 && answer->proven)
        snprintf(self->id, sizeof self->id, "%s", answer->id);
    finish_call(self, status == UV_ECANCELED ? status : 0);
}

static void on_reached(void *arg, int status, unsigned ms)
{
    call_t *self = arg;
    hp_doctor_t *doctor = self->doctor;
    self->reach = NULL;
    self->called.result = status;
    self->called.ms = ms;
    if (status == 0 && !doctor->closing)
        self->probe = hp_probe_start(doctor->deps.fetcher, &self->at, HP_PROBE_TLS, 0, on_probed, self);
    else
        finish_call(self, status == UV_ECANCELED || doctor->closing ? UV_ECANCELED : 0);
}

/* Of a host, and of an address whatever keys come from there. 0, or in how many seconds it may ask again. */
static unsigned wait_of(hp_doctor_t *self, const hp_who_t *who)
{
    uint64_t now = hp_clock_ms();
    char client[HP_ADDRESS_CLIENT_SIZE];
    if (self->callbacks >= HP_CALLBACKS_OPEN)
        return 5;
    uint64_t wait = hp_rate_take(self->rate, hp_address_client(who->address, client), now);
    if (wait == 0)
        wait = hp_rate_take(self->rate, who->id, now);
    return (unsigned)((wait + 999) / 1000);
}

void hp_doctor_call_back(hp_doctor_t *self, const hp_who_t *who, int64_t port, hp_callback_fn done, void *arg)
{
    hp_err_t err = {0};
    hp_endpoint_t at;
    hp_called_back_t none = {.id = ""};
    int rc = 0;
    if (who->id[0] == '\0')
        rc = hp_err_set(&err, HP_E_FORBIDDEN, "only a host that proves its key by TLS is called back");
    else if (who->way != HP_WAY_LAN)
        rc = hp_err_set(&err, HP_E_FORBIDDEN, "a host is called back on its own network only");
    else if (port < 1 || port > UINT16_MAX ||
             hp_endpoint_make(&at, HP_SCHEME_TLS, who->address, (uint16_t)port) != 0)
        rc = hp_err_set(&err, HP_E_INVALID, "port: must be a number from 1 to 65535");
    else if (self->closing)
        rc = UV_ECANCELED;
    else if ((none.retry_after_s = wait_of(self, who)) > 0)
        rc = hp_err_set(&err, HP_E_TOO_MANY, "a host is called back %d times a minute at most",
                        HP_CALLBACK_TIMES);
    if (rc != 0) {
        done(arg, rc, &none, &err);
        return;
    }
    call_t *call = hp_alloc(sizeof *call);
    *call = (call_t){.doctor = self, .at = at, .done = done, .arg = arg};
    hp_list_add(&self->called, &call->link);
    self->callbacks++;
    hp_pending_add(&self->pending);
    call->reach = hp_tcp_check_start(self->deps.loop, &call->at, on_reached, call);
}

void hp_callbacks_stop(hp_doctor_t *self)
{
    HP_LIST_EACH (link, &self->called) {
        call_t *call = HP_CONTAINER(link, call_t, link);
        if (call->reach != NULL)
            hp_tcp_check_cancel(call->reach);
        if (call->probe != NULL)
            hp_probe_cancel(call->probe);
    }
}

/* ---- asking ---- */

struct hp_ask {
    hp_doctor_t *doctor;
    hp_fetch_t *fetch;
    hp_ask_fn done;
    void *arg;
    uint16_t port;
};

static void copy_text(const json_t *json, const char *name, char *out, size_t size)
{
    const char *text = json_string_value(json_object_get(json, name));
    if (text != NULL)
        hp_utf8_printable(text, strlen(text), out, size);
}

static void read_called(const hp_doctor_t *self, const json_t *json, hp_back_answer_t *answer)
{
    const char *id = json_string_value(json_object_get(json, "id"));
    const json_t *connected = json_object_get(json, "connected");
    copy_text(json, "reason", answer->reason, sizeof answer->reason);
    copy_text(json, "address", answer->address, sizeof answer->address);
    if (!json_is_boolean(connected)) {
        answer->back = HP_BACK_FAILED;
        snprintf(answer->detail, sizeof answer->detail, "its answer cannot be understood");
    } else if (!json_is_true(connected)) {
        answer->back = HP_BACK_BLOCKED;
    } else {
        answer->back = id != NULL && strcmp(id, self->deps.self->id) == 0 ? HP_BACK_REACHED : HP_BACK_OTHER;
    }
}

static void on_answer(void *arg, int status, const hp_fetch_reply_t *reply, const hp_err_t *err)
{
    hp_ask_t *self = arg;
    hp_doctor_t *doctor = self->doctor;
    hp_back_answer_t answer = {.back = HP_BACK_FAILED, .port = self->port};
    int code = status == 0 ? reply->head.status : 0;
    if (code == 200) {
        json_t *json = json_loadb(reply->body, reply->length, 0, NULL);
        read_called(doctor, json, &answer);
        json_decref(json);
    } else if (code == 404 || code == 405) {
        answer.back = HP_BACK_TOO_OLD;
    } else if (code != 0) {
        answer.back = HP_BACK_REFUSED;
        hp_utf8_printable(reply->body, strcspn(reply->body, "\r\n"), answer.detail, sizeof answer.detail);
    } else {
        snprintf(answer.detail, sizeof answer.detail, "%.190s", hp_err_text(err));
        hp_utf8_cut(answer.detail);
    }
    self->done(self->arg, status == UV_ECANCELED ? NULL : &answer);
    free(self);
    hp_pending_drop(&doctor->pending);
}

hp_ask_t *hp_ask_start(hp_doctor_t *doctor, const hp_endpoint_t *at, hp_ask_fn done, void *arg)
{
    hp_ask_t *self = hp_alloc(sizeof *self);
    char body[40];
    *self = (hp_ask_t){.doctor = doctor, .done = done, .arg = arg, .port = hp_hosts_port(doctor->deps.hosts)};
    snprintf(body, sizeof body, "{\"port\":%u}", self->port);
    hp_fetch_options_t options = {.endpoint = at,
                                  .path = HP_CALLBACK_PATH,
                                  .method = "POST",
                                  .body = body,
                                  .body_length = strlen(body),
                                  .content_type = "application/json",
                                  .body_max = REPLY_MAX,
                                  .connect_ms = CONNECT_MS,
                                  .total_ms = TOTAL_MS};
    hp_pending_add(&doctor->pending);
    self->fetch = hp_fetch_get(doctor->deps.fetcher, &options, on_answer, self);
    return self;
}

void hp_ask_cancel(hp_ask_t *ask)
{
    hp_fetch_cancel(ask->fetch);
}
