#include "cli/client.h"

#include <arpa/inet.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <curl/curl.h>

#include "base/buf.h"
#include "base/mem.h"
#include "cli/running.h"

#define CONNECT_MS 3000
#define ANSWER_S   300 /* a large file that is synced to a slow disk, a long list that is fetched first */
#define SILENCE_S  60  /* of the event stream, which has a comment every 15 s */
#define REPLY_MAX  ((size_t)256 * 1024 * 1024)
#define EVENT_MAX  ((size_t)1024 * 1024)

struct hp_client {
    CURL *curl;
    char *token;
    char at[HP_ADDRESS_SIZE];
    bool local;
    long last; /* status of the last reply */
    json_t *status;
};

/* ---- one request ---- */

static size_t on_bytes(char *data, size_t one, size_t length, void *arg)
{
    return hp_buf_add(arg, data, one * length) == 0 ? length : 0;
}

static struct curl_slist *add_header(struct curl_slist *list, const char *name, const char *value)
{
    char *line = hp_sprintf("%s: %s", name, value);
    struct curl_slist *longer = curl_slist_append(list, line);
    free(line);
    return longer;
}

static struct curl_slist *common_headers(const hp_client_t *self)
{
    struct curl_slist *list = curl_slist_append(NULL, "Expect:");
    char *bearer = self->token != NULL ? hp_sprintf("Bearer %s", self->token) : NULL;
    if (bearer != NULL)
        list = add_header(list, "Authorization", bearer);
    free(bearer);
    return list;
}

static void prepare(const hp_client_t *self, CURL *curl, const char *method, const char *path)
{
    char *url = hp_sprintf("http://%s/api/v1%s", self->at, path);
    curl_easy_reset(curl);
    curl_easy_setopt(curl, CURLOPT_URL, url);
    curl_easy_setopt(curl, CURLOPT_PATH_AS_IS, 1L);
    curl_easy_setopt(curl, CURLOPT_PROXY, "");
    curl_easy_setopt(curl, CURLOPT_NOSIGNAL, 1L);
    curl_easy_setopt(curl, CURLOPT_CONNECTTIMEOUT_MS, (long)CONNECT_MS);
    curl_easy_setopt(curl, CURLOPT_CUSTOMREQUEST, method);
    free(url);
}

static int unreachable(const hp_client_t *self, CURLcode code, hp_err_t *err)
{
    if (code == CURLE_COULDNT_CONNECT)
        return hp_err_set(err, HP_E_UNREACHABLE, "no hostpair is running: nothing answers at %s", self->at);
    if (code == CURLE_WRITE_ERROR)
        return hp_err_set(err, HP_E_TOO_LARGE, "the answer of hostpair at %s is too long", self->at);
    return hp_err_set(err, HP_E_UNREACHABLE, "hostpair at %s does not answer: %s", self->at,
                      curl_easy_strerror(code));
}

/* What a reply with an error status means. */
static int refusal(const hp_client_t *self, long status, const json_t *problem, hp_err_t *err)
{
    const char *slug = hp_client_text(problem, "code"), *detail = hp_client_text(problem, "detail");
    if (status == 401)
        return hp_err_set(err, HP_E_UNAUTHORIZED,
                          "hostpair at %s requires its token: give --dashboard-token-file, or "
                          "HOSTPAIR_DASHBOARD_TOKEN in the environment",
                          self->at);
    if (slug[0] == '\0')
        return hp_err_set(err, HP_E_UNREACHABLE, "the program that answers at %s is not hostpair", self->at);
    if (detail[0] == '\0')
        detail = hp_client_text(problem, "title");
    for (int code = HP_E_BASE - 1; strcmp(hp_err_slug(code), "system") != 0; code--)
        if (strcmp(hp_err_slug(code), slug) == 0 && code != HP_E_UNREACHABLE && code != HP_E_UNAUTHORIZED)
            return hp_err_set(err, code, "%s", detail);
    return hp_err_set(err, HP_E_STATUS, "%s", detail);
}

/* Performs what was prepared; frees headers. */
static int perform(hp_client_t *self, struct curl_slist *headers, json_t **answer, hp_err_t *err)
{
    hp_buf_t body;
    long status = 0;
    json_t *json = NULL;
    hp_buf_init(&body, REPLY_MAX);
    curl_easy_setopt(self->curl, CURLOPT_HTTPHEADER, headers);
    curl_easy_setopt(self->curl, CURLOPT_TIMEOUT, (long)ANSWER_S);
    curl_easy_setopt(self->curl, CURLOPT_WRITEFUNCTION, on_bytes);
    curl_easy_setopt(self->curl, CURLOPT_WRITEDATA, &body);
    CURLcode code = curl_easy_perform(self->curl);
    curl_easy_getinfo(self->curl, CURLINFO_RESPONSE_CODE, &status);
    curl_slist_free_all(headers);
    self->last = status;
    if (code == CURLE_OK && body.length > 0)
        json = json_loadb(body.data, body.length, JSON_DECODE_ANY, NULL);
    int rc = 0;
    if (code != CURLE_OK)
        rc = unreachable(self, code, err);
    else if (status / 100 != 2)
        rc = refusal(self, status, json, err);
    else if (body.length > 0 && json == NULL)
        rc = hp_err_set(err, HP_E_UNREACHABLE, "the program that answers at %s is not hostpair", self->at);
    hp_buf_dispose(&body);
    if (rc == 0 && answer != NULL)
        *answer = json;
    else
        json_decref(json);
    return rc;
}

int hp_client_call(hp_client_t *self, const char *method, const char *path, json_t *body, json_t **answer,
                   hp_err_t *err)
{
    char *text = body != NULL ? json_dumps(body, JSON_COMPACT) : NULL;
    struct curl_slist *headers = common_headers(self);
    json_decref(body);
    if (answer != NULL)
        *answer = NULL;
    prepare(self, self->curl, method, path);
    if (text != NULL) {
        headers = add_header(headers, "Content-Type", "application/json");
        curl_easy_setopt(self->curl, CURLOPT_POSTFIELDS, text);
    } else if (strcmp(method, "POST") == 0) {
        curl_easy_setopt(self->curl, CURLOPT_POSTFIELDS, "");
    }
    int rc = perform(self, headers, answer, err);
    free(text);
    return rc;
}

int hp_client_put(hp_client_t *self, const char *path, const void *data, size_t length, const char *range,
                  bool is_new, json_t **answer, hp_err_t *err)
{
    struct curl_slist *headers = add_header(common_headers(self), "Content-Type", "application/octet-stream");
    if (range != NULL)
        headers = add_header(headers, "Content-Range", range);
    if (is_new)
        headers = add_header(headers, "If-None-Match", "*");
    if (answer != NULL)
        *answer = NULL;
    prepare(self, self->curl, "PUT", path);
    curl_easy_setopt(self->curl, CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)length);
    curl_easy_setopt(self->curl, CURLOPT_POSTFIELDS, length > 0 ? data : "");
    return perform(self, headers, answer, err);
}

bool hp_client_created(const hp_client_t *self)
{
    return self->last == 201;
}

/* ---- the event stream ---- */

typedef struct {
    hp_buf_t rest;
    char name[32];
    hp_client_event_fn fn;
    void *arg;
    int rc;
} stream_t;

static void take_line(stream_t *stream, const char *line, size_t length)
{
    if (length > 7 && strncmp(line, "event: ", 7) == 0) {
        snprintf(stream->name, sizeof stream->name, "%.*s", (int)(length - 7), line + 7);
    } else if (length > 6 && strncmp(line, "data: ", 6) == 0) {
        json_t *data = json_loadb(line + 6, length - 6, JSON_DECODE_ANY, NULL);
        if (data != NULL)
            stream->rc = stream->fn(stream->arg, stream->name, data);
        json_decref(data);
    } else if (length == 0) {
        stream->name[0] = '\0';
    }
}

static size_t on_stream_head(char *data, size_t one, size_t length, void *arg)
{
    stream_t *stream = arg;
    bool last = one * length == 2 && memcmp(data, "\r\n", 2) == 0;
    if (last)
        stream->rc = stream->fn(stream->arg, "open", NULL);
    return stream->rc == 0 ? length : 0;
}

static size_t on_stream(char *data, size_t one, size_t length, void *arg)
{
    stream_t *stream = arg;
    if (hp_buf_add(&stream->rest, data, one * length) != 0) {
        stream->rc = HP_E_TOO_LARGE;
        return 0;
    }
    char *end;
    size_t used = 0;
    while (stream->rc == 0 &&
           (end = memchr(stream->rest.data + used, '\n', stream->rest.length - used)) != NULL) {
        size_t line = (size_t)(end - stream->rest.data) - used, cr = line > 0 && end[-1] == '\r';
        take_line(stream, stream->rest.data + used, line - cr);
        used += line + 1;
    }
    hp_buf_consume(&stream->rest, used);
    return stream->rc == 0 ? length : 0;
}

int hp_client_events(hp_client_t *self, hp_client_event_fn on_event, void *arg, hp_err_t *err)
{
    stream_t stream = {.fn = on_event, .arg = arg};
    CURL *curl = curl_easy_init(); /* its own, as on_event may make calls */
    struct curl_slist *headers = add_header(common_headers(self), "Accept", "text/event-stream");
    hp_buf_init(&stream.rest, EVENT_MAX);
    prepare(self, curl, "GET", "/events");
    curl_easy_setopt(curl, CURLOPT_FAILONERROR, 1L);
    curl_easy_setopt(curl, CURLOPT_HTTPHEADER, headers);
    curl_easy_setopt(curl, CURLOPT_LOW_SPEED_LIMIT, 1L);
    curl_easy_setopt(curl, CURLOPT_LOW_SPEED_TIME, (long)SILENCE_S);
    curl_easy_setopt(curl, CURLOPT_HEADERFUNCTION, on_stream_head);
    curl_easy_setopt(curl, CURLOPT_HEADERDATA, &stream);
    curl_easy_setopt(curl, CURLOPT_WRITEFUNCTION, on_stream);
    curl_easy_setopt(curl, CURLOPT_WRITEDATA, &stream);
    CURLcode code = curl_easy_perform(curl);
    curl_slist_free_all(headers);
    curl_easy_cleanup(curl);
    hp_buf_dispose(&stream.rest);
    if (stream.rc != 0)
        return stream.rc;
    if (code != CURLE_OK)
        return unreachable(self, code, err);
    return hp_err_set(err, HP_E_UNREACHABLE, "hostpair at %s has ended", self->at);
}

/* ---- finding it ---- */

/* A dashboard that listens on all addresses is asked over loopback. */
static const char *reachable(const char *address)
{
    if (strcmp(address, "0.0.0.0") == 0)
        return "127.0.0.1";
    return strcmp(address, "::") == 0 ? "::1" : address;
}

static int read_port_file(const char *path, uint16_t *port, hp_err_t *err)
{
    json_t *json = json_load_file(path, JSON_REJECT_DUPLICATES, NULL);
    json_int_t value = json_integer_value(json_object_get(json, "dashboard"));
    json_decref(json);
    if (value <= 0 || value > UINT16_MAX)
        return hp_err_set(err, HP_E_UNREACHABLE, "no hostpair is running: %s tells no port", path);
    *port = (uint16_t)value;
    return 0;
}

static int try(hp_client_t *self, const char *address, uint16_t port, hp_err_t *err)
{
    const char *host = reachable(address);
    hp_address_format(host, port, self->at);
    self->local = strncmp(host, "127.", 4) == 0 || strcmp(host, "::1") == 0;
    int rc = hp_client_call(self, "GET", "/status", NULL, &self->status, err);
    if (rc == 0 && !json_is_object(self->status))
        rc = hp_err_set(err, HP_E_UNREACHABLE, "the program that answers at %s is not hostpair", self->at);
    return rc;
}

int hp_client_create(hp_client_t **client, const hp_options_t *options, hp_err_t *err)
{
    hp_client_t *self = hp_alloc(sizeof *self);
    const hp_listen_t *listen = &options->dashboard_listen;
    char address[64];
    uint16_t port = listen->port;
    int rc = HP_E_UNREACHABLE;
    curl_global_init(CURL_GLOBAL_DEFAULT);
    self->curl = curl_easy_init();
    self->token = options->dashboard_token != NULL ? hp_strdup(options->dashboard_token) : NULL;
    if (options->port_file != NULL && (!listen->given || port == 0)) {
        rc = read_port_file(options->port_file, &port, err);
        if (rc == 0)
            rc = try(self, listen->address, port, err);
    } else if (listen->given && port != 0) {
        rc = try(self, listen->address, port, err);
    } else {
        hp_err_set(err, rc, "no hostpair is running with the data folder %s",
                   options->data != NULL ? options->data : "that it takes by default");
        if (options->data != NULL && hp_running_read(options->data, address, &port) == 0)
            rc = try(self, address, port, err);
        /* With --data the hostpair at the default address is not meant. */
        if (rc == HP_E_UNREACHABLE && !listen->given && !options->data_given)
            rc = try(self, listen->address, listen->port, err);
    }
    if (rc != 0) {
        hp_client_destroy(self);
        return rc;
    }
    *client = self;
    return 0;
}

void hp_client_destroy(hp_client_t *self)
{
    if (self->curl != NULL)
        curl_easy_cleanup(self->curl);
    curl_global_cleanup();
    json_decref(self->status);
    free(self->token);
    free(self);
}

const json_t *hp_client_status(const hp_client_t *self)
{
    return self->status;
}

bool hp_client_is_local(const hp_client_t *self)
{
    return self->local;
}

const char *hp_client_text(const json_t *object, const char *name)
{
    const char *text = json_string_value(json_object_get(object, name));
    return text != NULL ? text : "";
}

int64_t hp_client_number(const json_t *object, const char *name, int64_t fallback)
{
    const json_t *value = json_object_get(object, name);
    return json_is_integer(value) ? json_integer_value(value) : fallback;
}
