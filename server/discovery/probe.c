#include "discovery/probe.h"

#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/mem.h"
#include "base/options.h"
#include "base/path.h"
#include "base/utf8.h"

#define CONNECT_MS 2000 /* hosts on the same network */
#define TOTAL_MS   5000
#define MEMBER_MS  15000 /* the same where a way through two networks has to be found first */

struct hp_probe {
    hp_fetcher_t *fetcher;
    hp_fetch_t *fetch;
    hp_endpoint_t at;
    hp_probe_mode_t mode;
    hp_scheme_t scheme; /* of the present request, which began at this time */
    uint64_t began;
    bool tls_hangs;
    uint16_t own_port;
    hp_probe_fn done;
    void *arg;
};

bool hp_probe_is_id(const char *text)
{
    return strspn(text, "0123456789abcdef") == 32 && text[32] == '\0';
}

/* Controls, and the characters that change the direction of the text around them (Unicode UAX 9). */
static bool is_unwanted(const unsigned char *p, size_t n)
{
    if (p[0] < 0x20 || p[0] == 0x7f)
        return true;
    if (n == 2)
        return p[0] == 0xc2 && p[1] < 0xa0;
    if (n != 3 || p[0] != 0xe2)
        return false;
    return (p[1] == 0x80 && (p[2] == 0x8e || p[2] == 0x8f || (p[2] >= 0xa8 && p[2] <= 0xae))) ||
           (p[1] == 0x81 && p[2] >= 0xa6 && p[2] <= 0xa9);
}

void hp_probe_clean_name(const char *text, size_t length, char out[HP_HOST_NAME_SIZE])
{
    static const char replacement[] = "\xef\xbf\xbd";
    size_t used = 0;
    for (size_t i = 0; i < length;) {
        size_t n = 1;
        while (n < 4 && i + n < length && ((unsigned char)text[i + n] & 0xc0) == 0x80)
            n++;
        bool keep = hp_utf8_valid(text + i, n) && !is_unwanted((const unsigned char *)text + i, n);
        const char *piece = keep ? text + i : replacement;
        size_t size = keep ? n : 3;
        if (used + size >= HP_HOST_NAME_SIZE)
            break;
        memcpy(out + used, piece, size);
        used += size;
        i += n;
    }
    out[used] = '\0';
}

static bool is_id_string(const json_t *value)
{
    return json_is_string(value) && json_string_length(value) == 32 &&
           hp_probe_is_id(json_string_value(value));
}

static int64_t count_of(const json_t *object, const char *name)
{
    const json_t *value = json_object_get(object, name);
    return json_is_integer(value) && json_integer_value(value) >= 0 ? json_integer_value(value) : -1;
}

static void read_fields(const json_t *object, hp_probe_answer_t *answer)
{
    const json_t *name = json_object_get(object, "name"), *instance = json_object_get(object, "instance");
    const json_t *at = json_object_get(object, "time");
    if (json_is_string(name))
        hp_probe_clean_name(json_string_value(name), json_string_length(name), answer->name);
    if (is_id_string(instance))
        memcpy(answer->instance, json_string_value(instance), sizeof answer->instance);
    if (!json_is_string(at) || hp_clock_parse_rfc3339(json_string_value(at), &answer->time) != 0)
        answer->time = -1;
    answer->files = count_of(object, "files");
    answer->bytes = count_of(object, "bytes");
    answer->hashed_bytes = count_of(object, "hashed_bytes");
    const json_t *list = json_object_get(object, "list");
    if (json_is_string(list) && json_string_length(list) < sizeof answer->list &&
        strlen(json_string_value(list)) == json_string_length(list))
        memcpy(answer->list, json_string_value(list), json_string_length(list) + 1);
}

static int parse_json(const char *body, size_t length, hp_probe_answer_t *answer, hp_err_t *err)
{
    json_t *object = json_loadb(body, length, JSON_REJECT_DUPLICATES | JSON_ALLOW_NUL, NULL);
    const json_t *id = json_object_get(object, "id"), *protocol = json_object_get(object, "protocol");
    int rc = 0;
    if (!json_is_object(object))
        rc = hp_err_set(err, HP_E_NOT_A_HOST, "what it says is neither empty nor JSON");
    else if (!is_id_string(id))
        rc = hp_err_set(err, HP_E_NOT_A_HOST, "its JSON has no host id of 32 hex digits");
    else if (!json_is_integer(protocol) || json_integer_value(protocol) < 1 ||
             json_integer_value(protocol) > 1000000)
        rc = hp_err_set(err, HP_E_NOT_A_HOST, "its JSON names no protocol version");
    if (rc == 0) {
        memcpy(answer->claimed_id, json_string_value(id), sizeof answer->claimed_id);
        answer->protocol = (int)json_integer_value(protocol);
        read_fields(object, answer);
    }
    json_decref(object);
    return rc;
}

int hp_probe_parse(const char *body, size_t length, const char *id_header, const char *name_header,
                   const hp_endpoint_t *at, hp_probe_answer_t *answer, hp_err_t *err)
{
    *answer = (hp_probe_answer_t){
        .files = -1, .bytes = -1, .hashed_bytes = -1, .time = -1, .rtt_ms = -1, .clock_uncertainty_ms = -1};
    char name[3 * HP_HOST_NAME_SIZE], address[HP_ENDPOINT_ADDRESS_SIZE];
    snprintf(answer->id, sizeof answer->id, "addr-%s-%u", hp_endpoint_address(at, address), at->port);
    if (length > 0)
        return parse_json(body, length, answer, err);
    size_t name_length;
    if (hp_path_decode(name_header, strlen(name_header), name, sizeof name, &name_length) == 0)
        hp_probe_clean_name(name, name_length, answer->name);
    if (hp_probe_is_id(id_header))
        memcpy(answer->claimed_id, id_header, sizeof answer->claimed_id);
    return 0;
}

/* The clock's offset from `time` and the round trip: the host read its clock somewhere between the request
 * and the reply. */
static void measure_clock(hp_probe_answer_t *answer, uint32_t wait_us)
{
    answer->rtt_ms = wait_us / 1000.0;
    if (answer->time < 0)
        return;
    int64_t half_ms = (int64_t)(wait_us / 2 + 500) / 1000;
    answer->clock_offset_ms = answer->time - (hp_clock_wall_ms() - half_ms);
    answer->clock_uncertainty_ms = (int64_t)(wait_us / 2 + 999) / 1000;
}

static bool is_silence(int status)
{
    return status > HP_E_BASE || status == HP_E_UNREACHABLE || status == HP_E_STALLED ||
           status == HP_E_TIMEOUT;
}

/* The fetcher's words without the address, which stands before them already. */
static const char *reason_of(const hp_err_t *why, const char *where)
{
    const char *text = hp_err_text(why);
    size_t length = strlen(where);
    return strncmp(text, where, length) == 0 && strncmp(text + length, ": ", 2) == 0 ? text + length + 2
                                                                                     : text;
}

/* What the failure of a request means, in words that name the place. */
static int judge_failure(const hp_probe_t *self, int status, const hp_err_t *why, hp_err_t *err)
{
    char where[HP_ENDPOINT_TEXT_SIZE];
    hp_endpoint_format(&self->at, where);
    if (status == UV_ECANCELED)
        return hp_err_set(err, status, "the probe of %s was given up", where);
    if (is_silence(status))
        return hp_err_set(err, HP_E_UNREACHABLE, "%s does not answer: %s", where, reason_of(why, where));
    if (status == HP_E_NOT_TLS)
        return hp_err_set(err, status, "the program that answers at %s does not speak TLS", where);
    if (status == HP_E_WRONG_KEY)
        return hp_err_set(err, status, "the program that answers at %s is another host: %s", where,
                          reason_of(why, where));
    return hp_err_set(err, status == HP_E_TLS ? status : HP_E_NOT_A_HOST,
                      "the program that answers at %s is not hostpair: %s", where, reason_of(why, where));
}

/* The answer over TLS is that of the host whose key was proven, and of no other. */
static int take_proof(hp_probe_answer_t *answer, const hp_fetch_head_t *head, hp_err_t *err)
{
    if (answer->protocol < 1)
        return hp_err_set(err, HP_E_NOT_A_HOST, "it has a key, and does not say which protocol it speaks");
    hp_endpoint_t own = {.scheme = HP_SCHEME_TLS};
    hp_endpoint_expect(&own, head->fingerprint);
    snprintf(answer->id, sizeof answer->id, "%s", own.id);
    memcpy(answer->fingerprint, head->fingerprint, sizeof answer->fingerprint);
    answer->proven = true;
    if (strcmp(answer->claimed_id, own.id) != 0)
        return hp_err_set(err, HP_E_WRONG_KEY, "it says that it is %.8s, and its key is that of %.8s",
                          answer->claimed_id, own.id);
    return 0;
}

static int judge_reply(const hp_probe_t *self, const hp_fetch_reply_t *reply, hp_probe_answer_t *answer,
                       hp_err_t *err)
{
    char where[HP_ENDPOINT_TEXT_SIZE];
    hp_endpoint_format(&self->at, where);
    if (reply->head.status != 200)
        return hp_err_set(
            err, HP_E_NOT_A_HOST,
            "the program that answers at %s is not hostpair: it answers GET /hostpair with status %d", where,
            reply->head.status);
    int status = hp_probe_parse(reply->body, reply->length, reply->head.hostpair_id,
                                reply->head.hostpair_name, &self->at, answer, err);
    if (status == 0 && reply->head.proven)
        status = take_proof(answer, &reply->head, err);
    else if (status == 0 && answer->protocol >= HP_PROTOCOL_TLS)
        return hp_err_set(err, HP_E_NOT_TLS,
                          "the program that answers at %s says that it speaks TLS, and it does not", where);
    if (status == 0)
        measure_clock(answer, reply->head.wait_us);
    else
        hp_err_prefix(err, "the program that answers at %s is not %s: ", where,
                      status == HP_E_WRONG_KEY ? "the host that it says it is" : "hostpair");
    return status;
}

static void ask(hp_probe_t *self, hp_scheme_t scheme);

static void on_reply(void *arg, int status, const hp_fetch_reply_t *reply, const hp_err_t *why)
{
    hp_probe_t *self = arg;
    hp_probe_answer_t answer = {.protocol = 0};
    hp_err_t err = {0};
    if (status == HP_E_NOT_TLS && self->mode == HP_PROBE_ANY && self->scheme == HP_SCHEME_TLS) {
        self->tls_hangs = hp_clock_ms() - self->began >= CONNECT_MS;
        ask(self, HP_SCHEME_PLAIN);
        return;
    }
    status = status != 0 ? judge_failure(self, status, why, &err) : judge_reply(self, reply, &answer, &err);
    answer.tls_hangs = self->tls_hangs;
    self->done(self->arg, status, status == 0 || status == HP_E_WRONG_KEY ? &answer : NULL, &err);
    free(self);
}

static void ask(hp_probe_t *self, hp_scheme_t scheme)
{
    hp_endpoint_t endpoint = {.scheme = scheme, .port = self->at.port}; /* expects nobody */
    memcpy(endpoint.host, self->at.host, sizeof endpoint.host);
    memcpy(endpoint.zone, self->at.zone, sizeof endpoint.zone);
    if (self->at.scheme == HP_SCHEME_MEMBER)
        endpoint = self->at; /* has no address but its key */
    char own[40];
    snprintf(own, sizeof own, HP_PROBE_PORT_HEADER ": %u", self->own_port);
    bool member = self->at.scheme == HP_SCHEME_MEMBER; /* it finds us through the group, not at our port */
    const char *headers[] = {self->own_port != 0 && !member ? own : NULL, NULL};
    hp_fetch_options_t options = {
        .endpoint = &endpoint,
        .path = "/hostpair",
        .headers = headers,
        .accept = "application/json",
        .fresh = true, /* a connection that was kept says nothing about the address now */
        .body_max = HP_PROBE_BODY_MAX,
        .connect_ms = CONNECT_MS,
        .total_ms = member ? MEMBER_MS : TOTAL_MS};
    self->scheme = scheme;
    self->began = hp_clock_ms();
    self->fetch = hp_fetch_get(self->fetcher, &options, on_reply, self);
}

hp_probe_t *hp_probe_start(hp_fetcher_t *fetcher, const hp_endpoint_t *at, hp_probe_mode_t mode,
                           uint16_t own_port, hp_probe_fn done, void *arg)
{
    hp_probe_t *self = hp_alloc(sizeof *self);
    *self = (hp_probe_t){
        .fetcher = fetcher, .at = *at, .mode = mode, .own_port = own_port, .done = done, .arg = arg};
    self->tls_hangs = mode == HP_PROBE_PLAIN;
    ask(self, mode == HP_PROBE_PLAIN ? HP_SCHEME_PLAIN : HP_SCHEME_TLS);
    return self;
}

void hp_probe_cancel(hp_probe_t *probe)
{
    hp_fetch_cancel(probe->fetch);
}
