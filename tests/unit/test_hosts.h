/* A registry of hosts with its store and fetcher, and hosts made of one loopback socket, all on one loop. */
#ifndef TEST_HOSTS_H
#define TEST_HOSTS_H

#include <arpa/inet.h>
#include <jansson.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "db/remote_file.h"
#include "discovery/hosts.h"
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

/* ---- the registry ---- */

typedef struct net {
    uv_loop_t loop;
    hp_store_t *store;
    hp_fetcher_t *fetcher;
    hp_hosts_t *hosts;
    hp_self_t self;
    char *folder;
    int events[HP_HOST_RENAMED + 1]; /* by hp_host_event_t */
    char trace[2000];                /* "added online ..." */
    unsigned closed;
} net_t;

#define WAIT_MS 20000

#define wait_until(net, condition)                                                                           \
    do {                                                                                                     \
        uint64_t end_ = hp_clock_ms() + WAIT_MS;                                                             \
        uv_timer_t tick_;                                                                                    \
        uv_timer_init(&(net)->loop, &tick_);                                                                 \
        uv_timer_start(&tick_, on_nothing, 5, 5);                                                            \
        while (!(condition)) {                                                                               \
            if (hp_clock_ms() > end_)                                                                        \
                fail_msg("waited %d ms for %s; events:%s", WAIT_MS, #condition, (net)->trace);               \
            uv_run(&(net)->loop, UV_RUN_ONCE);                                                               \
        }                                                                                                    \
        uv_close((uv_handle_t *)&tick_, NULL);                                                               \
        uv_run(&(net)->loop, UV_RUN_NOWAIT);                                                                 \
    } while (0)

static inline void on_nothing(uv_timer_t *timer)
{
    (void)timer;
}

/* Lets the loop run for a while: for what must not happen. */
static inline void run_for(net_t *net, unsigned ms)
{
    uint64_t end = hp_clock_ms() + ms;
    wait_until(net, hp_clock_ms() >= end);
}

static inline void on_host_event(void *arg, hp_host_event_t event, const hp_host_t *host)
{
    static const char *const names[] = {"added",   "changed", "online",   "offline", "listed",
                                        "removed", "blocked", "unpaired", "renamed"};
    net_t *net = arg;
    net->events[event]++;
    size_t used = strlen(net->trace);
    if (event != HP_HOST_CHANGED)
        snprintf(net->trace + used, sizeof net->trace - used, " %s:%s", names[event], short_id(host->id));
}

static const hp_hosts_times_t quick = {.silent = 200,
                                       .retry = 50,
                                       .offline = 300,
                                       .waiting = 60,
                                       .again = 20,
                                       .list = 60000,
                                       .list_long = 100,
                                       .hashing = 100,
                                       .hashing_waiting = 30};

static inline void net_open(net_t *net)
{
    hp_err_t err = {0};
    if (hp_store_create(&net->store, &net->loop, net->folder, &err) != 0 ||
        hp_fetcher_create(&net->fetcher, &net->loop, &err) != 0 ||
        hp_hosts_create(&net->hosts, &net->loop, net->store, net->fetcher, &net->self, &err) != 0)
        fail_msg("%s", hp_err_text(&err));
    hp_fetcher_set_secure(net->fetcher, key_of(0)->secure);
    hp_hosts_on_event(net->hosts, on_host_event, net);
    hp_hosts_set_times(net->hosts, &quick);
    hp_hosts_start(net->hosts);
}

static inline void on_net_closed(void *arg)
{
    ((net_t *)arg)->closed++;
}

static inline void net_close(net_t *net)
{
    net->closed = 0;
    hp_hosts_destroy(net->hosts, on_net_closed, net);
    wait_until(net, net->closed == 1);
    hp_fetcher_destroy(net->fetcher, on_net_closed, net);
    wait_until(net, net->closed == 2);
    hp_store_destroy(net->store, on_net_closed, net);
    wait_until(net, net->closed == 3);
}

static inline int net_set_up(void **state)
{
    void *folder;
    if (make_folder(&folder) != 0)
        return -1;
    net_t *net = hp_alloc(sizeof *net);
    net->folder = folder;
    hp_log_set_level(getenv("HP_TEST_LOG") != NULL ? HP_LOG_DEBUG : HP_LOG_ERROR);
    uv_loop_init(&net->loop);
    net->self = (hp_self_t){.name = "this host", .instance = OWN_INSTANCE, .peer_port = 9000};
    snprintf(net->self.id, sizeof net->self.id, "%s", OWN_ID);
    net_open(net);
    *state = net;
    return 0;
}

static inline int net_tear_down(void **state)
{
    net_t *net = *state;
    net_close(net);
    /* A test that failed leaves its fakes behind: then the loop does not end. */
    uint64_t end = hp_clock_ms() + 2000;
    while (uv_run(&net->loop, UV_RUN_NOWAIT) != 0 && hp_clock_ms() < end)
        continue;
    int rc = uv_loop_close(&net->loop);
    void *folder = net->folder;
    free(net);
    return rc != 0 ? rc : remove_folder(&folder);
}

/* ---- calls that are waited for ---- */

typedef struct added {
    bool done, is_new;
    int status;
    char id[HP_HOST_ID_SIZE], words[400];
} added_t;

static inline void on_added(void *arg, int status, const hp_host_t *host, bool is_new, const hp_err_t *err)
{
    added_t *added = arg;
    assert_false(added->done);
    *added = (added_t){.done = true, .is_new = is_new, .status = status};
    snprintf(added->words, sizeof added->words, "%s", status != 0 ? hp_err_text(err) : "");
    assert_true((status == 0) == (host != NULL));
    if (host != NULL)
        snprintf(added->id, sizeof added->id, "%s", host->id);
}

/* A place on the network; a few may be in use at a time. */
static inline const hp_endpoint_t *at(const char *address, uint16_t port)
{
    static hp_endpoint_t endpoints[8];
    static size_t next;
    next = (next + 1) % HP_COUNT(endpoints);
    assert_int_equal(hp_endpoint_make(&endpoints[next], HP_SCHEME_PLAIN, address, port), 0);
    return &endpoints[next];
}

static inline added_t add_host(net_t *net, const char *address, uint16_t port)
{
    added_t added = {0};
    hp_hosts_add(net->hosts, at(address, port), on_added, &added);
    assert_false(added.done);
    wait_until(net, added.done);
    return added;
}

typedef struct refreshed {
    bool done;
    int status;
    char words[400];
} refreshed_t;

static inline void on_refreshed(void *arg, int status, const hp_err_t *err)
{
    refreshed_t *refreshed = arg;
    refreshed->done = true;
    refreshed->status = status;
    snprintf(refreshed->words, sizeof refreshed->words, "%s", status != 0 ? hp_err_text(err) : "");
}

static inline refreshed_t refresh(net_t *net, const char *id, bool force)
{
    refreshed_t refreshed = {0};
    hp_hosts_refresh(net->hosts, id, force, on_refreshed, &refreshed);
    wait_until(net, refreshed.done);
    return refreshed;
}

/* ---- what the store holds ---- */

typedef struct page_job {
    hp_remote_query_t query;
    hp_remote_page_t page;
    int status;
    bool done;
} page_job_t;

static inline int work_page(hp_db_t *db, void *arg, hp_err_t *err)
{
    page_job_t *job = arg;
    return job->status = hp_remote_page_read(db, &job->query, &job->page, err);
}

static inline void on_page(void *arg, int status, const hp_err_t *err)
{
    (void)status, (void)err;
    ((page_job_t *)arg)->done = true;
}

/* The names of the top of a host's list, folders first: "folder/ file file"; "-" when there is no list. */
static inline char *listed(net_t *net, const char *host, char out[1000])
{
    page_job_t job = {.query = {.host = host, .limit = 50}};
    hp_store_post(net->store, HP_STORE_READ, work_page, on_page, &job);
    wait_until(net, job.done);
    size_t used = 0;
    out[0] = '\0';
    if (job.status == HP_E_NOT_FOUND)
        return strcpy(out, "-");
    assert_int_equal(job.status, 0);
    for (size_t i = 0; i < job.page.folder_count; i++)
        used +=
            (size_t)snprintf(out + used, 1000 - used, "%s%s/", used > 0 ? " " : "", job.page.folders[i].name);
    for (size_t i = 0; i < job.page.files.count; i++)
        used += (size_t)snprintf(out + used, 1000 - used, "%s%s", used > 0 ? " " : "",
                                 job.page.files.items[i].name);
    hp_remote_page_dispose(&job.page);
    return out;
}

#endif
