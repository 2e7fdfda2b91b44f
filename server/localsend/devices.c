#include "localsend/devices.h"

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/address.h"
#include "base/clock.h"
#include "base/list.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/path.h"
#include "base/pending.h"
#include "base/rate.h"
#include "base/signal.h"
#include "identity/digest.h"

#define BASE          "/api/localsend/v2/"
#define CONNECT_MS    3000
#define ANSWER_MS     5000
#define INFO_MAX      ((uint64_t)16384) /* bytes of an answer */
#define AGAIN_MS      3000              /* after the first question without an answer */
#define AWAY_MS       60000             /* between questions while it is away */
#define TICK_MS       1000
#define HINTS_MAX     8
#define HINTS_SENDERS 256
#define HINTS_TIMES   10
#define HINTS_MS      10000
#define FAILURES_MAX  2

typedef struct {
    hp_device_t pub;
    uint64_t ask_at;   /* loop ms */
    uint64_t heard_at; /* loop ms: the last answer */
    unsigned failures; /* in a row */
    bool asked;        /* a question is under way */
} entry_t;

/* A question under way: to a device that is known, or to what a hint names. */
typedef struct {
    hp_link_t link;
    hp_devices_t *owner;
    hp_fetch_t *fetch;
    char id[HP_HOST_ID_SIZE];
    hp_localsend_device_t about; /* as it was announced */
    hp_endpoint_t at;
    bool hint;
} question_t;

struct hp_devices {
    uv_loop_t *loop;
    hp_fetcher_t *fetcher;
    const hp_self_t *self;
    char fingerprint[65];
    HP_ARRAY(entry_t) entries;
    HP_SIGNAL(hp_device_event_fn) event;
    hp_rate_t *rate;
    hp_list_t questions; /* under way */
    unsigned hints;      /* being followed */
    uv_timer_t tick;
    bool closing;
    hp_pending_t pending;
    void (*closed)(void *arg);
    void *closed_arg;
};

/* ---- who is who ---- */

static bool is_digest(const char *text)
{
    return strlen(text) == 64 && strspn(text, "0123456789abcdefABCDEF") == 64;
}

/* By its certificate where it has one, so that a device keeps its id at another address; else by the place.
 */
static void make_id(const hp_localsend_device_t *about, const hp_endpoint_t *at, char id[HP_HOST_ID_SIZE])
{
    char text[HP_INBOX_TEXT_MAX + HP_ENDPOINT_TEXT_SIZE + 4], place[HP_ENDPOINT_TEXT_SIZE], hex[65];
    uint8_t digest[32];
    if (about->https)
        snprintf(text, sizeof text, "%s", about->fingerprint);
    else
        snprintf(text, sizeof text, "%s|%s", hp_endpoint_format(at, place), about->fingerprint);
    for (char *p = text; *p != '\0'; p++)
        *p = (char)tolower((unsigned char)*p);
    hp_digest_sha256(text, strlen(text), digest);
    hp_hex_encode(digest, sizeof digest, hex);
    snprintf(id, HP_HOST_ID_SIZE, "localsend-%.32s", hex);
}

static entry_t *find(const hp_devices_t *self, const char *id)
{
    for (size_t i = 0; i < self->entries.count; i++)
        if (strcmp(self->entries.items[i].pub.id, id) == 0)
            return &self->entries.items[i];
    return NULL;
}

static void tell(hp_devices_t *self, const char *id)
{
    char copy[HP_HOST_ID_SIZE];
    snprintf(copy, sizeof copy, "%s", id);
    if (!self->closing)
        hp_signal_emit(&self->event, copy);
}

static void drop_entry(hp_devices_t *self, entry_t *entry)
{
    char id[HP_HOST_ID_SIZE];
    snprintf(id, sizeof id, "%s", entry->pub.id);
    hp_array_remove(&self->entries, (size_t)(entry - self->entries.items));
    tell(self, id);
}

/* Makes room by forgetting the one that has been away for longest. NULL: all are here, or too many at this
 * address. */
static entry_t *make_entry(hp_devices_t *self, const hp_endpoint_t *at)
{
    size_t same = 0;
    entry_t *oldest = NULL;
    for (size_t i = 0; i < self->entries.count; i++) {
        entry_t *entry = &self->entries.items[i];
        same += hp_endpoint_same_host(&entry->pub.at, at);
        if (!entry->pub.online && (oldest == NULL || entry->heard_at < oldest->heard_at))
            oldest = entry;
    }
    if (same >= HP_DEVICES_PER_ADDRESS || (self->entries.count >= HP_DEVICES_MAX && oldest == NULL))
        return NULL;
    if (self->entries.count >= HP_DEVICES_MAX)
        drop_entry(self, oldest);
    return hp_array_add(&self->entries);
}

/* ---- answers ---- */

static bool same_words(const hp_localsend_device_t *a, const hp_localsend_device_t *b)
{
    return strcmp(a->alias, b->alias) == 0 && strcmp(a->type, b->type) == 0 &&
           strcmp(a->model, b->model) == 0;
}

/* What it says of itself now, at the place and with the certificate that were asked. */
static void answered(hp_devices_t *self, const question_t *question, const hp_localsend_device_t *says)
{
    entry_t *entry = find(self, question->id);
    bool is_new = entry == NULL;
    if (is_new && (!question->hint || (entry = make_entry(self, &question->at)) == NULL))
        return;
    hp_localsend_device_t about = *says;
    about.https = question->about.https;
    about.port = question->at.port;
    snprintf(about.fingerprint, sizeof about.fingerprint, "%s", question->about.fingerprint);
    if (about.type[0] == '\0')
        memcpy(about.type, question->about.type, sizeof about.type);
    bool changed = is_new || !entry->pub.online || !same_words(&entry->pub.about, &about) ||
                   !hp_endpoint_same_place(&entry->pub.at, &question->at);
    snprintf(entry->pub.id, sizeof entry->pub.id, "%s", question->id);
    entry->pub.about = about;
    entry->pub.at = question->at;
    entry->pub.online = true;
    entry->pub.last_seen = hp_clock_wall_ms();
    entry->failures = 0;
    entry->heard_at = uv_now(self->loop);
    entry->ask_at = entry->heard_at + HP_DEVICE_ASK_MS;
    if (is_new)
        hp_log(HP_LOG_INFO, "LocalSend: %s is at %s", about.alias, question->at.host);
    if (changed)
        tell(self, question->id);
}

/* silent: nothing answered; else something did, and it is another one. */
static void missed(hp_devices_t *self, const question_t *question, bool silent)
{
    entry_t *entry = find(self, question->id);
    if (entry == NULL || question->hint || !hp_endpoint_same_place(&entry->pub.at, &question->at))
        return;
    uint64_t now = uv_now(self->loop);
    bool away = ++entry->failures >= FAILURES_MAX || !silent;
    entry->ask_at = now + (away ? AWAY_MS : AGAIN_MS);
    if (away && now - entry->heard_at >= HP_DEVICE_KEPT_MS) {
        drop_entry(self, entry);
    } else if (away && entry->pub.online) {
        entry->pub.online = false;
        hp_log(HP_LOG_INFO, "LocalSend: %s is away", entry->pub.about.alias);
        tell(self, question->id);
    }
}

static void on_answer(void *arg, int status, const hp_fetch_reply_t *reply, const hp_err_t *err)
{
    question_t *question = arg;
    hp_devices_t *self = question->owner;
    hp_localsend_device_t says;
    entry_t *entry = find(self, question->id);
    (void)err;
    if (question->hint)
        self->hints--;
    else if (entry != NULL)
        entry->asked = false;
    bool same =
        status == 0 && reply->head.status == 200 &&
        hp_localsend_read_device(&says, reply->body, reply->length, NULL) == 0 &&
        (says.fingerprint[0] == '\0' || strcasecmp(says.fingerprint, question->about.fingerprint) == 0);
    if (self->closing)
        ;
    else if (same)
        answered(self, question, &says);
    else
        missed(self, question, status != 0);
    hp_link_remove(&question->link);
    free(question);
    hp_pending_drop(&self->pending);
}

/* ---- questions ---- */

char *hp_device_url(const hp_localsend_device_t *about, const hp_endpoint_t *at, const char *path)
{
    char where[HP_ENDPOINT_URL_SIZE];
    hp_endpoint_t plain = *at;
    plain.scheme = about->https ? HP_SCHEME_TLS : HP_SCHEME_PLAIN;
    return hp_sprintf("%s" BASE "%s", hp_endpoint_url(&plain, where), path);
}

void hp_device_set_options(const hp_localsend_device_t *about, const char *url, hp_fetch_options_t *options)
{
    options->url = url;
    options->direct = true;
    options->certificate = about->https ? about->fingerprint : NULL;
}

static void ask(hp_devices_t *self, const char *id, const hp_localsend_device_t *about,
                const hp_endpoint_t *at, bool hint)
{
    question_t *question = hp_alloc(sizeof *question);
    *question = (question_t){.owner = self, .about = *about, .at = *at, .hint = hint};
    snprintf(question->id, sizeof question->id, "%s", id);
    char *url = hp_device_url(about, at, "info");
    hp_fetch_options_t options = {.body_max = INFO_MAX, .connect_ms = CONNECT_MS, .total_ms = ANSWER_MS};
    hp_device_set_options(&question->about, url, &options);
    hp_pending_add(&self->pending);
    question->fetch = hp_fetch_get(self->fetcher, &options, on_answer, question);
    hp_list_add_first(&self->questions, &question->link);
    free(url);
}

void hp_devices_heard(hp_devices_t *self, const hp_localsend_device_t *about, const char *address)
{
    hp_endpoint_t at;
    char id[HP_HOST_ID_SIZE], client[HP_ADDRESS_CLIENT_SIZE];
    /* Other hostpairs are known as such. */
    bool own =
        strcasecmp(about->fingerprint, self->fingerprint) == 0 || strcmp(about->model, "hostpair") == 0;
    if (self->closing || own || about->port == 0 || (about->https && !is_digest(about->fingerprint)) ||
        hp_endpoint_make(&at, HP_SCHEME_PLAIN, address, about->port) != 0)
        return;
    make_id(about, &at, id);
    entry_t *entry = find(self, id);
    bool known = entry != NULL && entry->pub.online && hp_endpoint_same_place(&entry->pub.at, &at) &&
                 strcmp(entry->pub.about.alias, about->alias) == 0;
    if (known || self->hints >= HINTS_MAX ||
        hp_rate_take(self->rate, hp_address_client(at.host, client), uv_now(self->loop)) != 0)
        return;
    self->hints++;
    ask(self, id, about, &at, true);
}

static void on_tick(uv_timer_t *timer)
{
    hp_devices_t *self = timer->data;
    uint64_t now = uv_now(self->loop);
    for (size_t i = 0; i < self->entries.count; i++) {
        entry_t *entry = &self->entries.items[i];
        if (entry->asked || now < entry->ask_at)
            continue;
        entry->asked = true;
        ask(self, entry->pub.id, &entry->pub.about, &entry->pub.at, false);
    }
}

/* ---- for others ---- */

json_t *hp_devices_describe_self(const hp_devices_t *self, hp_localsend_say_t say)
{
    hp_localsend_self_t host = {
        .alias = self->self->name, .fingerprint = self->fingerprint, .port = HP_LOCALSEND_PORT};
    return hp_localsend_describe(&host, say);
}

const char *hp_devices_own_fingerprint(const hp_devices_t *self)
{
    return self->fingerprint;
}

int hp_devices_forget(hp_devices_t *self, const char *id)
{
    entry_t *entry = find(self, id);
    if (entry == NULL)
        return HP_E_NOT_FOUND;
    drop_entry(self, entry);
    return 0;
}

void hp_devices_clear(hp_devices_t *self)
{
    while (self->entries.count > 0)
        drop_entry(self, &self->entries.items[self->entries.count - 1]);
}

size_t hp_devices_count(const hp_devices_t *self)
{
    return self->entries.count;
}

const hp_device_t *hp_devices_at(const hp_devices_t *self, size_t index)
{
    return &self->entries.items[index].pub;
}

const hp_device_t *hp_devices_find(const hp_devices_t *self, const char *id)
{
    const entry_t *entry = find(self, id);
    return entry != NULL ? &entry->pub : NULL;
}

void hp_devices_on_event(hp_devices_t *self, hp_device_event_fn *fn, void *arg)
{
    hp_signal_add(&self->event, fn, arg);
}

void hp_devices_off_event(hp_devices_t *self, hp_device_event_fn *fn, void *arg)
{
    hp_signal_remove(&self->event, fn, arg);
}

/* ---- life ---- */

hp_devices_t *hp_devices_create(uv_loop_t *loop, hp_fetcher_t *fetcher, const hp_self_t *host,
                                const uint8_t *certificate, size_t length)
{
    hp_devices_t *self = hp_alloc(sizeof *self);
    uint8_t digest[32];
    *self = (hp_devices_t){.loop = loop, .fetcher = fetcher, .self = host};
    hp_digest_sha256(certificate, length, digest);
    hp_hex_encode(digest, sizeof digest, self->fingerprint);
    for (char *p = self->fingerprint; *p != '\0'; p++)
        *p = (char)toupper((unsigned char)*p); /* as the app writes it */
    hp_list_init(&self->questions);
    self->rate = hp_rate_create(HINTS_TIMES, HINTS_MS, HINTS_SENDERS);
    uv_timer_init(loop, &self->tick);
    self->tick.data = self;
    uv_timer_start(&self->tick, on_tick, TICK_MS, TICK_MS);
    return self;
}

static void finish(void *arg)
{
    hp_devices_t *self = arg;
    void (*closed)(void *arg) = self->closed;
    void *closed_arg = self->closed_arg;
    hp_array_dispose(&self->entries);
    hp_signal_dispose(&self->event);
    hp_rate_destroy(self->rate);
    free(self);
    closed(closed_arg);
}

static void on_tick_closed(uv_handle_t *handle)
{
    hp_devices_t *self = handle->data;
    hp_pending_drop(&self->pending);
}

void hp_devices_destroy(hp_devices_t *self, void (*closed)(void *arg), void *arg)
{
    self->closing = true;
    self->closed = closed;
    self->closed_arg = arg;
    hp_pending_add(&self->pending);
    uv_close((uv_handle_t *)&self->tick, on_tick_closed);
    HP_LIST_EACH (link, &self->questions)
        hp_fetch_cancel(HP_CONTAINER(link, question_t, link)->fetch);
    hp_pending_when_none(&self->pending, finish, self);
}
