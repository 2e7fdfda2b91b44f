/* Pushes to hostpair hosts: an offer that names paths, and looks at how it goes. A host that is away is tried
 * again until it is back, first at each of its addresses, then after a pause:
 *
 *   CONNECTING        it has not answered the offer
 *   ASKING, SENDING   it has, and is asked how it goes
 *
 * An offer whose answer was lost is made once more with the same token, so that nobody there is asked twice.
 */
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/mem.h"
#include "base/path.h"
#include "push/internal.h"

#define INBOX_PATH    "/hostpair/inbox"
#define CONNECT_MS    5000
#define OFFER_MS      20000
#define WAIT_MS       45000 /* for an answer that may be held for 30 s */
#define REPLY_MAX     ((uint64_t)2 * 1024 * 1024)
#define ADDRESSES_MAX 4
#define TOKEN_BYTES   16   /* random */
#define POLL_MS       1500 /* between two looks at how it goes */

typedef struct {
    char token[HP_PUSH_TOKEN_SIZE]; /* ours, until it gives another */
    bool offered;                   /* it has answered the offer */
} offer_t;

static int check(const hp_pushes_t *owner, const char *id, hp_err_t *err)
{
    const hp_host_t *host = hp_hosts_find(owner->hosts, id);
    if (host == NULL)
        return HP_E_NOT_FOUND;
    if (!host->proven || host->blocked)
        return hp_err_set(err, HP_E_CONFLICT, "%s: %s", host->name,
                          host->blocked ? "the host is blocked" : "the host takes no files: it has no key");
    return 0;
}

/* ---- requests ---- */

/* About the offer, or, with a body, the offer itself. NULL: no address of the host is known. Else it holds
 * the push until done. */
static hp_fetch_t *ask(hp_push_t *self, const char *method, const char *body, bool waits,
                       hp_fetch_reply_fn done)
{
    const offer_t *offer = self->work;
    bool named = body == NULL;
    const hp_host_t *host = hp_hosts_find(self->owner->hosts, self->host);
    if (host == NULL || host->address_count == 0)
        return NULL;
    char path[sizeof INBOX_PATH + HP_PUSH_TOKEN_SIZE + 1];
    snprintf(path, sizeof path, "%s%s%s", INBOX_PATH, named ? "/" : "", named ? offer->token : "");
    hp_hosts_question_t question = {.method = method,
                                    .path = path,
                                    .body = body,
                                    .header = waits ? "Prefer: wait=20" : NULL,
                                    .address = self->address,
                                    .reply_max = REPLY_MAX,
                                    .connect_ms = CONNECT_MS,
                                    .stall_ms = WAIT_MS,
                                    .total_ms = waits ? WAIT_MS : OFFER_MS};
    hp_push_hold(self);
    return hp_hosts_ask(self->owner->hosts, host, &question, done, self);
}

/* What the other host says is wrong: text of a stranger. */
static void refused(hp_push_t *self, const hp_fetch_reply_t *reply)
{
    const offer_t *offer = self->work;
    int status = reply->head.status;
    char reason[200];
    json_t *json = json_loadb(reply->body, reply->length, 0, NULL);
    const char *detail = json_string_value(json_object_get(json, "detail"));
    if (status == 404 || status == 405)
        detail = offer->offered ? "The other host does not know of the offer any more"
                                : "The other host takes no files: it runs an older hostpair";
    if (detail == NULL) {
        snprintf(reason, sizeof reason, "The other host refused (%d)", status);
        detail = reason;
    }
    hp_push_fail(self, status == 401 ? HP_E_PIN : status == 429 ? HP_E_TOO_MANY : HP_E_STATUS, detail);
    json_decref(json);
}

/* Bytes that it has; an older hostpair says it of each file only. */
static uint64_t read_received(const json_t *json)
{
    const json_t *all = json_object_get(json, "received"), *files = json_object_get(json, "files");
    uint64_t sum = (uint64_t)HP_MAX(json_integer_value(all), 0);
    for (size_t i = 0; !json_is_integer(all) && i < json_array_size(files); i++) {
        json_int_t n = json_integer_value(json_object_get(json_array_get(files, i), "received"));
        sum += n > 0 && sum <= INT64_MAX ? (uint64_t)n : 0;
    }
    return sum;
}

/* The file that the host calls so; hosts name them in the order of the offer. */
static hp_push_file_t *find_file(hp_push_t *self, size_t index, const char *id)
{
    if (index < self->files.count && strcmp(self->files.items[index].path, id) == 0)
        return &self->files.items[index];
    for (size_t i = 0; i < self->files.count; i++)
        if (strcmp(self->files.items[i].path, id) == 0)
            return &self->files.items[i];
    return NULL;
}

/* Which files are taken. Of an offer that is over not all are named, but an older hostpair does not say how
 * many there are: what it has not named counts as it did before. */
static void read_taken(hp_push_t *self, const json_t *json)
{
    const json_t *files = json_object_get(json, "files"), *all = json_object_get(json, "wanted");
    size_t taken = 0;
    for (size_t i = 0; i < HP_MIN(json_array_size(files), self->files.count); i++) {
        const json_t *one = json_array_get(files, i), *wanted = json_object_get(one, "wanted");
        const char *id = json_string_value(json_object_get(one, "id"));
        hp_push_file_t *file = id != NULL ? find_file(self, i, id) : NULL;
        if (file != NULL && json_is_boolean(wanted))
            file->wanted = json_is_true(wanted);
    }
    for (size_t i = 0; i < self->files.count; i++)
        taken += self->files.items[i].wanted;
    if (json_is_integer(all))
        taken = (size_t)HP_MIN(HP_MAX(json_integer_value(all), 0), (json_int_t)self->files.count);
    hp_push_set_taken(self, taken);
}

/* What it says of the offer. */
static void take_state(hp_push_t *self, const json_t *json)
{
    const char *state = json_string_value(json_object_get(json, "state"));
    const char *reason = json_string_value(json_object_get(json, "reason"));
    const hp_host_t *host = hp_hosts_find(self->owner->hosts, self->host);
    state = state != NULL ? state : "";
    reason = reason != NULL ? reason : "";
    hp_push_set_done(self, read_received(json));
    if (strcmp(state, "receiving") == 0 || strcmp(state, "done") == 0)
        read_taken(self, json);
    if (strcmp(state, "asking") == 0)
        hp_push_set_state(self, HP_PUSH_ASKING, "");
    else if (strcmp(state, "receiving") == 0)
        hp_push_set_state(self, HP_PUSH_SENDING, reason);
    else if (strcmp(state, "done") == 0)
        hp_push_set_state(self, HP_PUSH_DONE, "");
    else if (strcmp(state, "declined") == 0)
        hp_push_set_state(self, HP_PUSH_DECLINED, reason);
    else if (strcmp(state, "cancelled") == 0)
        hp_push_cancelled_there(self, host != NULL ? host->name : self->host);
    else
        hp_push_set_state(self, HP_PUSH_FAILED, reason);
    if (!hp_push_is_over(self))
        hp_push_later(self, self->state == HP_PUSH_ASKING ? 0 : POLL_MS);
}

static void take_reply(hp_push_t *self, const hp_fetch_reply_t *reply)
{
    offer_t *offer = self->work;
    json_t *json = json_loadb(reply->body, reply->length, 0, NULL);
    const char *token = json_string_value(json_object_get(json, "id"));
    bool named = token != NULL && token[0] != '\0' && strlen(token) < sizeof offer->token &&
                 strspn(token, "0123456789abcdef") == strlen(token);
    hp_retry_reset(&self->retry);
    if (reply->head.status / 100 != 2) {
        refused(self, reply);
    } else if (!json_is_object(json) || !named) {
        hp_push_fail(self, HP_E_PROTOCOL, "The other host's answer cannot be understood");
    } else {
        snprintf(offer->token, sizeof offer->token, "%s", token);
        offer->offered = true;
        take_state(self, json);
    }
    json_decref(json);
}

/* ---- while it is away ---- */

static void look(hp_push_t *self);
static void send_offer(hp_push_t *self);

static void go_on(hp_push_t *self)
{
    const offer_t *offer = self->work;
    const hp_host_t *host = hp_hosts_find(self->owner->hosts, self->host);
    if (host == NULL)
        hp_push_fail(self, HP_E_NOT_FOUND, "The host is not known any more");
    else if (host->blocked)
        hp_push_fail(self, HP_E_CONFLICT, "The host is blocked");
    else if (offer->offered)
        look(self);
    else
        send_offer(self);
}

static void wait_for_it(hp_push_t *self, const char *why)
{
    char *reason = hp_sprintf("It is away (%s)", why);
    self->address = 0;
    hp_push_set_state(self, self->state, reason);
    hp_push_wait(self);
    free(reason);
}

/* It has answered, and the answer is no use: the next one would be none either. */
static bool is_answer(int status)
{
    return status == HP_E_PROTOCOL || status == HP_E_TOO_LARGE || status == HP_E_REDIRECT ||
           status == HP_E_INVALID;
}

static void on_failed(hp_push_t *self, int status, const hp_err_t *err)
{
    const hp_host_t *host = hp_hosts_find(self->owner->hosts, self->host);
    if (is_answer(status))
        hp_push_fail(self, status, hp_err_text(err));
    else if (host != NULL && ++self->address < HP_MIN(host->address_count, (size_t)ADDRESSES_MAX))
        go_on(self);
    else
        wait_for_it(self, hp_err_text(err));
}

static void on_answer(void *arg, int status, const hp_fetch_reply_t *reply, const hp_err_t *err)
{
    hp_push_t *self = arg;
    self->fetch = NULL;
    if (hp_push_is_idle(self))
        ;
    else if (status == 0)
        take_reply(self, reply);
    else
        on_failed(self, status, err);
    hp_push_drop(self);
}

static void look(hp_push_t *self)
{
    self->fetch = ask(self, "GET", NULL, self->state == HP_PUSH_ASKING, on_answer);
    if (self->fetch == NULL)
        wait_for_it(self, "none of its addresses is known");
}

/* ---- the offer ---- */

static void send_offer(hp_push_t *self)
{
    const offer_t *offer = self->work;
    json_t *json = json_object(), *files = json_array();
    json_object_set_new(json, "token", json_string(offer->token));
    if (self->pin != NULL)
        json_object_set_new(json, "pin", json_string(self->pin));
    for (size_t i = 0; i < self->files.count; i++) {
        const hp_push_file_t *one = &self->files.items[i];
        json_t *file = json_object();
        json_object_set_new(file, "id", json_string(one->path));
        json_object_set_new(file, "name", json_string(one->name));
        json_object_set_new(file, "size", json_integer((json_int_t)one->size));
        if (one->folder)
            json_object_set_new(file, "folder", json_true());
        json_array_append_new(files, file);
    }
    json_object_set_new(json, "files", files);
    char *body = json_dumps(json, JSON_COMPACT);
    json_decref(json);
    self->fetch = ask(self, "POST", body, false, on_answer);
    free(body);
    if (self->fetch == NULL)
        wait_for_it(self, "none of its addresses is known");
}

static void begin(hp_push_t *self)
{
    offer_t *offer = hp_alloc(sizeof *offer);
    uint8_t random[TOKEN_BYTES];
    self->work = offer;
    int rc = uv_random(NULL, NULL, random, sizeof random, 0, NULL);
    if (rc != 0) {
        hp_push_fail(self, rc, hp_err_sentence(rc));
        return;
    }
    hp_hex_encode(random, sizeof random, offer->token);
    go_on(self);
}

/* ---- the end ---- */

/* An offer whose answer has not come may be there as well; at an older hostpair, which has not taken the
 * token, it ends by itself, unanswered. */
static void cancel(hp_push_t *self)
{
    if (self->work != NULL)
        self->telling = ask(self, "DELETE", NULL, false, hp_push_on_told);
}

static void dispose(hp_push_t *self)
{
    free(self->work);
}

const hp_push_kind_t hp_push_offer = {.takes_folders = true,
                                      .check = check,
                                      .begin = begin,
                                      .go_on = go_on,
                                      .cancel = cancel,
                                      .dispose = dispose};
