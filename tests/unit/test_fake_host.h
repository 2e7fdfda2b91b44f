/* Keys, and hosts made of one loopback socket that says what a test tells it to say. */
#ifndef TEST_FAKE_HOST_H
#define TEST_FAKE_HOST_H

#include <arpa/inet.h>
#include <jansson.h>

#include "base/clock.h"
#include "base/mem.h"
#include "secure/channel.h"
#include "secure/secure.h"
#include "test_db_help.h"

#define OWN_ID       key_id(0)
#define OWN_INSTANCE "0000000000000000000000000000000a"
#define ID_A         key_id(1)
#define ID_B         key_id(2)
#define ID_C         key_id(3)
#define INSTANCE_1   "11111111111111111111111111111111"
#define INSTANCE_2   "22222222222222222222222222222222"
#define OLD_ID       "cccccccccccccccccccccccccccccccc" /* as hostpair 0.1 made them: of no key */

/* ---- keys, made once a program ---- */

typedef struct test_key {
    hp_identity_t *identity;
    hp_secure_t *secure;
} test_key_t;

enum { KEYS = 64 };
static test_key_t test_keys[KEYS];

static inline void make_key(test_key_t *key)
{
    hp_err_t err = {0};
    char folder[] = "/tmp/hostpair-key-XXXXXX", *file;
    assert_non_null(mkdtemp(folder));
    if (hp_identity_open(&key->identity, folder, &err) != 0 ||
        hp_secure_create(&key->secure, key->identity, &err) != 0)
        fail_msg("%s", hp_err_text(&err));
    file = hp_sprintf("%s/" HP_IDENTITY_FILE, folder);
    unlink(file);
    free(file);
    rmdir(folder);
}

static inline int by_key_id(const void *a, const void *b)
{
    const test_key_t *x = a, *y = b;
    return strcmp(hp_identity_id(x->identity), hp_identity_id(y->identity));
}

/* Those of the hosts A, B and C have ids in this order. */
static inline const test_key_t *key_of(size_t index)
{
    assert_true(index < KEYS);
    if (test_keys[1].identity == NULL) {
        for (size_t i = 1; i <= 3; i++)
            make_key(&test_keys[i]);
        qsort(&test_keys[1], 3, sizeof test_keys[1], by_key_id);
    }
    if (test_keys[index].identity == NULL)
        make_key(&test_keys[index]);
    return &test_keys[index];
}

static inline const char *key_id(size_t index)
{
    return hp_identity_id(key_of(index)->identity);
}

/* An id for the eye: "aaaa" is host A, else its first digits. */
static inline const char *short_id(const char *id)
{
    static char out[8];
    static const char *const names[] = {"aaaa", "bbbb", "cccc"};
    for (size_t i = 0; i < HP_COUNT(names); i++)
        if (strcmp(id, key_id(1 + i)) == 0)
            return names[i];
    snprintf(out, sizeof out, "%.4s", id);
    return out;
}

/* ---- a host of the network ---- */

struct fake_client;
typedef struct fake {
    /* Answers a POST whose head has come: false when the body has not come whole yet. NULL: there is none. */
    bool (*on_post)(struct fake *fake, struct fake_client *client);
    uv_tcp_t listener;
    char address[64];
    uint16_t port;
    const char *id; /* what it says; its key is the one of this id, unless it is told another one */
    const test_key_t *key;
    bool plain; /* has no key, and hangs up on TLS, as hostpair 0.1 does */
    const char *name, *instance;
    int64_t files, bytes, clock_ahead_ms;
    const char *raw;      /* the whole reply to /hostpair, instead of JSON */
    const char *list;     /* body of /list; NULL: 404 */
    size_t list_length;   /* 0: strlen */
    size_t list_promised; /* Content-Length, if another one */
    const char *list_type, *list_etag;
    const char *tag;      /* "list" of the reply to /hostpair; NULL: an older host */
    int64_t hashed_bytes; /* with a tag */
    bool mute;            /* accepts, and never answers */
    bool hangs_on_tls;    /* waits for the end of what it takes for a request */
    bool list_hangs;      /* never answers GET /list */
    int probes, lists, unchanged;
    int greetings, plain_requests; /* of TLS; without it */
    unsigned open;
} fake_t;

typedef struct fake_client {
    uv_tcp_t tcp;
    fake_t *fake;
    void *tag;             /* itself */
    hp_channel_t *channel; /* TLS; NULL: plain */
    hp_channel_sink_t sink;
    bool begun;
    char raw[17000]; /* as it comes from the wire */
    char request[8192];
    size_t length;
} fake_client_t;

static inline void on_fake_client_closed(uv_handle_t *handle)
{
    fake_client_t *client = handle->data;
    client->fake->open--;
    if (client->channel != NULL)
        hp_channel_destroy(client->channel);
    free(client->sink.data);
    free(client);
}

static inline void fake_close_client(fake_client_t *client)
{
    if (!uv_is_closing((uv_handle_t *)&client->tcp))
        uv_close((uv_handle_t *)&client->tcp, on_fake_client_closed);
}

static inline void on_fake_alloc(uv_handle_t *handle, size_t size, uv_buf_t *buf)
{
    fake_client_t *client = handle->data;
    (void)size;
    *buf = uv_buf_init(client->raw, sizeof client->raw);
}

typedef struct fake_write {
    uv_write_t write;
    fake_client_t *client;
    char *data;
    bool close;
} fake_write_t;

static inline void on_fake_written(uv_write_t *write, int status)
{
    fake_write_t *self = write->data;
    if (self->close || status != 0)
        fake_close_client(self->client);
    free(self->data);
    free(self);
}

/* Takes data. */
static inline void fake_send_raw(fake_client_t *client, char *data, size_t length, bool close)
{
    fake_write_t *self = hp_alloc(sizeof *self);
    self->data = data;
    self->client = client;
    self->close = close;
    self->write.data = self;
    uv_buf_t buf = uv_buf_init(self->data, (unsigned)length);
    assert_int_equal(uv_write(&self->write, (uv_stream_t *)&client->tcp, &buf, 1, on_fake_written), 0);
}

/* What TLS has for the other side. */
static inline void fake_flush(fake_client_t *client, bool close)
{
    if (client->sink.length == 0)
        return;
    char *data = hp_alloc(client->sink.length);
    memcpy(data, client->sink.data, client->sink.length);
    fake_send_raw(client, data, client->sink.length, close);
    client->sink.length = 0;
}

static inline void fake_send(fake_client_t *client, const char *head, const char *body, size_t length,
                             bool close)
{
    size_t head_length = strlen(head);
    char *data = hp_alloc(head_length + length + 1);
    memcpy(data, head, head_length);
    memcpy(data + head_length, body, length);
    if (client->channel == NULL) {
        fake_send_raw(client, data, head_length + length, close);
        return;
    }
    assert_int_equal(hp_channel_write(client->channel, data, head_length + length), 0);
    fake_flush(client, close);
    free(data);
}

static inline void fake_answer_probe(fake_t *fake, fake_client_t *client)
{
    fake->probes++;
    if (fake->raw != NULL) {
        fake_send(client, fake->raw, "", 0, true);
        return;
    }
    char now[HP_RFC3339_SIZE], head[200];
    json_t *json = json_pack("{s:s,s:s,s:s,s:i,s:s,s:I,s:I}", "id", fake->id, "name",
                             fake->name != NULL ? fake->name : "a host", "version", "0.1.0", "protocol",
                             fake->key != NULL ? 2 : 1, "time",
                             hp_clock_rfc3339(hp_clock_wall_ms() + fake->clock_ahead_ms, now), "files",
                             (json_int_t)fake->files, "bytes", (json_int_t)fake->bytes);
    assert_non_null(json);
    if (fake->instance != NULL)
        json_object_set_new(json, "instance", json_string(fake->instance));
    if (fake->tag != NULL) {
        json_object_set_new(json, "list", json_string(fake->tag));
        json_object_set_new(json, "hashed_bytes", json_integer(fake->hashed_bytes));
    }
    char *body = json_dumps(json, JSON_COMPACT);
    json_decref(json);
    snprintf(head, sizeof head,
             "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %zu\r\n\r\n",
             strlen(body));
    fake_send(client, head, body, strlen(body), false);
    free(body);
}

static inline void fake_answer_list(fake_t *fake, fake_client_t *client)
{
    char head[400], tag[128];
    fake->lists++;
    if (fake->list_hangs)
        return;
    snprintf(tag, sizeof tag, "If-None-Match: %s\r\n", fake->list_etag != NULL ? fake->list_etag : "-");
    if (fake->list == NULL) {
        fake_send(client, "HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n", "", 0, false);
    } else if (fake->list_etag != NULL && strcasestr(client->request, tag) != NULL) {
        fake->unchanged++;
        fake_send(client, "HTTP/1.1 304 Not Modified\r\n\r\n", "", 0, false);
    } else {
        size_t length = fake->list_length != 0 ? fake->list_length : strlen(fake->list);
        bool broken = fake->list_promised != 0;
        snprintf(head, sizeof head,
                 "HTTP/1.1 200 OK\r\nContent-Type: %s\r\nContent-Length: %zu\r\n%s%s%s\r\n",
                 fake->list_type != NULL ? fake->list_type : "application/x-ndjson",
                 broken ? fake->list_promised : length, fake->list_etag != NULL ? "ETag: " : "",
                 fake->list_etag != NULL ? fake->list_etag : "", fake->list_etag != NULL ? "\r\n" : "");
        fake_send(client, head, fake->list, length, broken);
    }
}

/* What came joins the request. False: the connection ends. */
static inline bool fake_take(fake_client_t *client, size_t count)
{
    fake_t *fake = client->fake;
    bool greets = !client->begun && count > 0 && client->raw[0] == 0x16;
    client->begun |= count > 0;
    fake->greetings += greets;
    if (greets && (fake->mute || fake->hangs_on_tls))
        return true;
    if (greets && fake->key == NULL)
        return false;
    if (greets)
        client->channel = hp_channel_accept(fake->key->secure, &client->sink);
    if (client->channel == NULL) {
        assert_true(client->length + count < sizeof client->request);
        memcpy(client->request + client->length, client->raw, count);
        client->length += count;
        client->request[client->length] = '\0';
        return true;
    }
    ssize_t got;
    hp_channel_set_input(client->channel, client->raw, count);
    while ((got = hp_channel_read(client->channel, client->request + client->length,
                                  sizeof client->request - 1 - client->length)) > 0)
        client->length += (size_t)got;
    client->request[client->length] = '\0';
    fake_flush(client, false);
    return got == 0;
}

static inline void on_fake_read(uv_stream_t *stream, ssize_t count, const uv_buf_t *buf)
{
    fake_client_t *client = stream->data;
    fake_t *fake = client->fake;
    (void)buf;
    if (count < 0 || !fake_take(client, (size_t)HP_MAX(count, (ssize_t)0))) {
        fake_close_client(client);
        return;
    }
    if (strstr(client->request, "\r\n\r\n") == NULL || fake->mute)
        return;
    fake->plain_requests += client->channel == NULL;
    if (strncmp(client->request, "GET /hostpair ", 14) == 0)
        fake_answer_probe(fake, client);
    else if (strncmp(client->request, "GET /list ", 10) == 0)
        fake_answer_list(fake, client);
    else if (strncmp(client->request, "POST ", 5) == 0 && fake->on_post != NULL) {
        if (!fake->on_post(fake, client))
            return;
    } else
        fail_msg("unexpected request: %s", client->request);
    client->length = 0;
}

static inline void on_fake_connection(uv_stream_t *listener, int status)
{
    fake_t *fake = listener->data;
    if (status != 0)
        return;
    fake_client_t *client = hp_alloc(sizeof *client);
    client->fake = fake;
    client->tag = client;
    uv_tcp_init(listener->loop, &client->tcp);
    client->tcp.data = client;
    fake->open++;
    assert_int_equal(uv_accept(listener, (uv_stream_t *)&client->tcp), 0);
    uv_read_start((uv_stream_t *)&client->tcp, on_fake_alloc, on_fake_read);
}

/* port 0 takes a free one. */
static inline void fake_start(uv_loop_t *loop, fake_t *fake, const char *address, uint16_t port)
{
    struct sockaddr_in at;
    int size = sizeof at;
    snprintf(fake->address, sizeof fake->address, "%s", address);
    for (size_t i = 0; i < KEYS && fake->id != NULL && fake->key == NULL && !fake->plain; i++)
        if (test_keys[i].identity != NULL && strcmp(hp_identity_id(test_keys[i].identity), fake->id) == 0)
            fake->key = &test_keys[i];
    uv_ip4_addr(address, port, &at);
    uv_tcp_init(loop, &fake->listener);
    fake->listener.data = fake;
    assert_int_equal(uv_tcp_bind(&fake->listener, (struct sockaddr *)&at, 0), 0);
    assert_int_equal(uv_listen((uv_stream_t *)&fake->listener, 64, on_fake_connection), 0);
    uv_tcp_getsockname(&fake->listener, (struct sockaddr *)&at, &size);
    fake->port = ntohs(at.sin_port);
}

static inline void close_clients_of(uv_handle_t *handle, void *arg)
{
    fake_client_t *client = handle->data;
    /* Other TCP handles of the loop have no data of this kind: only those that a fake accepted are tagged. */
    if (handle->type == UV_TCP && handle != (uv_handle_t *)&((fake_t *)arg)->listener && client != NULL &&
        client->tag == client && client->fake == arg)
        fake_close_client(client);
}

/* The host leaves the network. */
static inline void fake_stop(fake_t *fake)
{
    uv_loop_t *loop = fake->listener.loop;
    uv_close((uv_handle_t *)&fake->listener, NULL);
    uv_walk(loop, close_clients_of, fake);
    while (fake->open > 0)
        uv_run(loop, UV_RUN_ONCE);
    uv_run(loop, UV_RUN_NOWAIT);
}

#endif
