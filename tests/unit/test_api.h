/* A whole hostpair without scan and beacon, running on a thread of its own, and a client that calls its
 * dashboard: for tests of calls that need the parts behind them. Stopping it asserts that every handle of the
 * loop was closed. */
#ifndef HP_TEST_API_H
#define HP_TEST_API_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <curl/curl.h>
#include <ftw.h>
#include <jansson.h>
#include <sys/stat.h>
#include <unistd.h>

#include "api/api.h"
#include "base/buf.h"
#include "base/file.h"
#include "base/mem.h"
#include "base/path.h"
#include "settings/hooks.h"

/* libh2o keeps freed buffers in lists of its thread, which end with the thread. */
__attribute__((visibility("default"))) const char *__lsan_default_suppressions(void);
const char *__lsan_default_suppressions(void)
{
    return "leak:h2o_mem_alloc_recycle\n";
}

#define WAIT_MS 10000 /* for any condition; a test that gets there has failed */

typedef struct {
    char root[64]; /* holds share, downloads, data */
    hp_options_t options;
    hp_settings_t *settings;
    hp_self_t self;
    uv_loop_t loop;
    uv_async_t stop;
    uv_thread_t thread;
    hp_store_t *store;
    hp_fetcher_t *fetcher;
    hp_share_t *share;
    hp_transfer_t *transfer;
    hp_hosts_t *hosts;
    hp_messages_t *messages;
    hp_inbox_t *inbox;
    hp_pushes_t *pushes;
    hp_devices_t *devices;
    hp_pairings_t *pairings;
    hp_traffic_t *traffic;
    hp_discovery_t *discovery;
    hp_doctor_t *doctor;
    hp_http_listener_t *peer;
    hp_api_t *api;
    int closed; /* what uv_loop_close said */
} server_t;

typedef struct {
    long status;
    char *body; /* with NUL */
    size_t length;
    char *headers; /* as received */
    json_t *json;  /* NULL when the body is none */
} reply_t;

static server_t server;

/* ---- the server ---- */

static inline void on_closed(void *arg)
{
    server_t *self = arg;
#define CLOSE(part, destroy)                                                                                 \
    if (self->part != NULL) {                                                                                \
        void *part = self->part;                                                                             \
        self->part = NULL;                                                                                   \
        destroy(part, on_closed, self);                                                                      \
        return;                                                                                              \
    }
    CLOSE(api, hp_api_destroy)
    CLOSE(traffic, hp_traffic_destroy)
    CLOSE(peer, hp_http_destroy)
    CLOSE(doctor, hp_doctor_destroy)
    CLOSE(pairings, hp_pairings_destroy)
    CLOSE(pushes, hp_pushes_destroy)
    CLOSE(devices, hp_devices_destroy)
    CLOSE(inbox, hp_inbox_destroy)
    CLOSE(messages, hp_messages_destroy)
    CLOSE(discovery, hp_discovery_destroy)
    CLOSE(transfer, hp_transfer_destroy)
    CLOSE(hosts, hp_hosts_destroy)
    CLOSE(share, hp_share_destroy)
    CLOSE(fetcher, hp_fetcher_destroy)
    CLOSE(store, hp_store_destroy)
#undef CLOSE
    uv_close((uv_handle_t *)&self->stop, NULL);
}

static inline bool nobody_is_paired(void *arg, const char *host)
{
    (void)arg, (void)host;
    return false;
}

static inline uint64_t count_received(void *arg)
{
    return hp_transfer_bytes(((server_t *)arg)->transfer);
}

static inline uint64_t count_sent(void *arg)
{
    return hp_http_bytes_sent(((server_t *)arg)->peer);
}

static inline void on_stop(uv_async_t *async)
{
    hp_settings_stop(server.settings);
    on_closed(async->data);
}

static inline void on_peer_request(void *arg, hp_http_request_t *request)
{
    (void)arg;
    hp_http_reply_text_error(request, HP_E_NOT_FOUND, "no files here");
}

static inline void on_api_share_change(void *arg)
{
    hp_api_share_changed(((server_t *)arg)->api);
}

static inline void run_server(void *arg)
{
    server_t *self = arg;
    uv_run(&self->loop, UV_RUN_DEFAULT);
    self->closed = uv_loop_close(&self->loop);
}

__attribute__((format(printf, 1, 2))) static inline char *path_in(const char *format, ...)
{
    static char paths[8][512];
    static int next;
    char *path = paths[next++ % 8];
    va_list args;
    size_t used = (size_t)snprintf(path, sizeof paths[0], "%s/", server.root);
    va_start(args, format);
    vsnprintf(path + used, sizeof paths[0] - used, format, args);
    va_end(args);
    return path;
}

/* Further arguments end with NULL. */
static inline void start_server(char **more)
{
    hp_err_t err = {0};
    char *argv[32] = {(char[]){"hostpair"}, (char[]){"--no-scan"},   (char[]){"--no-beacon"},
                      (char[]){"--share"},  path_in("share"),        (char[]){"--data"},
                      path_in("data"),      (char[]){"--downloads"}, path_in("downloads"),
                      (char[]){"--name"},   (char[]){"test"}};
    int argc = 11;
    for (; more != NULL && *more != NULL; more++)
        argv[argc++] = *more;
    server_t *s = &server;
    assert_int_equal(hp_options_read(&s->options, argc, argv, &err), 0);
    assert_int_equal(uv_loop_init(&s->loop), 0);
    assert_int_equal(uv_async_init(&s->loop, &s->stop, on_stop), 0);
    s->stop.data = s;
    int rc = hp_store_create(&s->store, &s->loop, s->options.data, &err);
    rc = rc != 0 ? rc : hp_settings_create(&s->settings, &s->loop, s->store, &s->options, &err);
    snprintf(s->self.id, sizeof s->self.id, "00112233445566778899aabbccddeeff");
    rc = rc != 0 ? rc : hp_fetcher_create(&s->fetcher, &s->loop, &err);
    rc = rc != 0 ? rc
                 : hp_share_create(&s->share, &s->loop, s->store,
                                   hp_settings_text(s->settings, "share_folder"), &err);
    rc = rc != 0 ? rc : hp_hosts_create(&s->hosts, &s->loop, s->store, s->fetcher, &s->self, &err);
    rc = rc != 0 ? rc
                 : hp_messages_create(&s->messages, &s->loop, s->store, s->fetcher, s->hosts, &s->self, &err);
    hp_inbox_deps_t inbox = {.loop = &s->loop, .store = s->store, .is_paired = nobody_is_paired};
    if (rc == 0) {
        hp_inbox_settings_t settings = hp_settings_for_inbox(s->settings);
        rc = hp_inbox_create(&s->inbox, &inbox, &settings, &err);
    }
    if (rc == 0)
        s->devices = hp_devices_create(&s->loop, s->fetcher, &s->self, (const uint8_t *)"test", 4);
    if (rc == 0)
        s->pushes = hp_pushes_create(&s->loop, s->fetcher, s->hosts, s->devices, s->share, NULL);
    if (rc == 0)
        s->pairings = hp_pairings_create(&s->loop, s->fetcher, s->hosts, &s->self);
    hp_transfer_settings_t transfer = {0};
    if (rc == 0)
        transfer = hp_settings_for_transfer(s->settings);
    rc = rc != 0 ? rc : hp_transfer_create(&s->transfer, &s->loop, s->store, s->fetcher, &transfer, &err);
    hp_discovery_options_t discovery = {0};
    rc = rc != 0 ? rc : hp_discovery_create(&s->discovery, &s->loop, s->hosts, &s->self, &discovery, &err);
    hp_doctor_deps_t doctor = {.loop = &s->loop,
                               .fetcher = s->fetcher,
                               .hosts = s->hosts,
                               .discovery = s->discovery,
                               .self = &s->self,
                               .address = "127.0.0.1"};
    if (rc == 0)
        s->doctor = hp_doctor_create(&doctor);
    hp_http_options_t peer = {.name = "peer", .server = "test", .body_max = 1024, .handler = on_peer_request};
    rc = rc != 0 ? rc : hp_http_listen(&s->peer, &s->loop, "127.0.0.1", 0, &peer, &err);
    if (rc == 0)
        s->traffic = hp_traffic_create(
            &s->loop, s->store,
            &(hp_traffic_counters_t){.received = count_received, .sent = count_sent, .arg = s});
    hp_api_deps_t deps = {.loop = &s->loop,
                          .store = s->store,
                          .share = s->share,
                          .discovery = s->discovery,
                          .doctor = s->doctor,
                          .hosts = s->hosts,
                          .transfer = s->transfer,
                          .messages = s->messages,
                          .inbox = s->inbox,
                          .pushes = s->pushes,
                          .devices = s->devices,
                          .pairings = s->pairings,
                          .traffic = s->traffic,
                          .peer = s->peer,
                          .options = &s->options,
                          .settings = s->settings,
                          .self = &s->self};
    hp_settings_parts_t parts = {
        .self = &s->self, .share = s->share, .transfer = s->transfer, .discovery = s->discovery};
    rc = rc != 0 ? rc : hp_settings_start(s->settings, &parts, &err);
    rc = rc != 0 ? rc : hp_api_create(&s->api, &deps, "127.0.0.1", 0, &err);
    if (rc != 0)
        fail_msg("%s", hp_err_text(&err));
    hp_share_on_change(s->share, on_api_share_change, s);
    hp_share_start(s->share);
    hp_transfer_start(s->transfer);
    hp_messages_start(s->messages);
    hp_hosts_start(s->hosts);
    hp_discovery_start(s->discovery);
    assert_int_equal(uv_thread_create(&s->thread, run_server, s), 0);
}

static inline void stop_server(void)
{
    uv_async_send(&server.stop);
    uv_thread_join(&server.thread);
    assert_int_equal(server.closed, 0);
    hp_settings_destroy(server.settings);
    hp_options_dispose(&server.options);
}

static inline int make_root(void **state)
{
    (void)state;
    memset(&server, 0, sizeof server);
    strcpy(server.root, "/tmp/hostpair-test-XXXXXX");
    hp_log_set_level(HP_LOG_WARN);
    return mkdtemp(server.root) != NULL ? hp_make_folder(path_in("share"), 0700) : -1;
}

static inline int remove_one(const char *path, const struct stat *st, int kind, struct FTW *at)
{
    (void)st, (void)kind, (void)at;
    return remove(path);
}

static inline int remove_root(void **state)
{
    (void)state;
    return nftw(server.root, remove_one, 16, FTW_DEPTH | FTW_PHYS);
}

static inline int start_plain(void **state)
{
    int rc = make_root(state);
    if (rc == 0)
        start_server(NULL);
    return rc;
}

static inline int stop_plain(void **state)
{
    stop_server();
    return remove_root(state);
}

static inline void write_file(const char *path, const char *text)
{
    FILE *file = fopen(path, "w");
    assert_non_null(file);
    assert_int_equal(fwrite(text, 1, strlen(text), file), strlen(text));
    assert_int_equal(fclose(file), 0);
}

/* The file's text, malloced; NULL when it is not there. */
static inline char *read_file(const char *path)
{
    FILE *file = fopen(path, "r");
    if (file == NULL)
        return NULL;
    hp_buf_t buf;
    char piece[4096];
    hp_buf_init(&buf, 64 * 1024 * 1024);
    for (size_t n; (n = fread(piece, 1, sizeof piece, file)) > 0;)
        hp_buf_add(&buf, piece, n);
    fclose(file);
    return hp_buf_take(&buf);
}

/* ---- the client ---- */

static inline size_t on_bytes(char *data, size_t size, size_t count, void *arg)
{
    assert_int_equal(hp_buf_add(arg, data, size * count), 0);
    return size * count;
}

/* fields: "Name: value" lines, NULL at the end; NULL none. body NULL: none. */
static inline reply_t call_with(const char *method, const char *path, const char *const *fields,
                                const void *body, size_t length)
{
    reply_t reply = {0};
    hp_buf_t in, head;
    hp_buf_init(&in, 64 * 1024 * 1024);
    hp_buf_init(&head, 65536);
    char *url = hp_sprintf("http://127.0.0.1:%u%s", hp_api_port(server.api), path);
    struct curl_slist *list = curl_slist_append(NULL, "Expect:");
    for (; fields != NULL && *fields != NULL; fields++)
        list = curl_slist_append(list, *fields);
    CURL *curl = curl_easy_init();
    curl_easy_setopt(curl, CURLOPT_URL, url);
    curl_easy_setopt(curl, CURLOPT_PROXY, "");
    curl_easy_setopt(curl, CURLOPT_PATH_AS_IS, 1L);
    curl_easy_setopt(curl, CURLOPT_CUSTOMREQUEST, method);
    curl_easy_setopt(curl, CURLOPT_NOBODY, (long)(strcmp(method, "HEAD") == 0));
    curl_easy_setopt(curl, CURLOPT_HTTPHEADER, list);
    curl_easy_setopt(curl, CURLOPT_WRITEFUNCTION, on_bytes);
    curl_easy_setopt(curl, CURLOPT_WRITEDATA, &in);
    curl_easy_setopt(curl, CURLOPT_HEADERFUNCTION, on_bytes);
    curl_easy_setopt(curl, CURLOPT_HEADERDATA, &head);
    curl_easy_setopt(curl, CURLOPT_TIMEOUT_MS, (long)WAIT_MS);
    if (body != NULL) {
        curl_easy_setopt(curl, CURLOPT_POSTFIELDSIZE, (long)length);
        curl_easy_setopt(curl, CURLOPT_POSTFIELDS, body);
    }
    CURLcode rc = curl_easy_perform(curl);
    if (rc != CURLE_OK)
        fail_msg("%s %s: %s", method, path, curl_easy_strerror(rc));
    curl_easy_getinfo(curl, CURLINFO_RESPONSE_CODE, &reply.status);
    curl_easy_cleanup(curl);
    curl_slist_free_all(list);
    free(url);
    reply.length = in.length;
    reply.body = hp_buf_take(&in);
    reply.headers = hp_buf_take(&head);
    reply.json = json_loadb(reply.body, reply.length, 0, NULL);
    print_message("%s %s: %ld %.300s\n", method, path, reply.status, reply.json != NULL ? reply.body : "");
    return reply;
}

static inline void done(reply_t *reply)
{
    free(reply->body);
    free(reply->headers);
    json_decref(reply->json);
    *reply = (reply_t){0};
}

static inline reply_t call(const char *method, const char *path, const char *body)
{
    return call_with(method, path, NULL, body, body != NULL ? strlen(body) : 0);
}

/* The call, of which only the status matters. */
static inline long status_of(const char *method, const char *path, const char *body)
{
    reply_t reply = call(method, path, body);
    long status = reply.status;
    done(&reply);
    return status;
}

static inline const char *text_of(const reply_t *reply, const char *field)
{
    const char *text = json_string_value(json_object_get(reply->json, field));
    return text != NULL ? text : "";
}

static inline int64_t number_of(const reply_t *reply, const char *field)
{
    return json_integer_value(json_object_get(reply->json, field));
}

/* Calls until the field is the value; for what the server sees only later. */
static inline void wait_for_number(const char *path, const char *field, int64_t value)
{
    uint64_t end = uv_hrtime() + (uint64_t)WAIT_MS * 1000000;
    for (;;) {
        reply_t reply = call("GET", path, NULL);
        int64_t seen = number_of(&reply, field);
        done(&reply);
        if (seen == value)
            return;
        if (uv_hrtime() > end)
            fail_msg("%s of %s is %lld, not %lld", field, path, (long long)seen, (long long)value);
        usleep(10000);
    }
}

#endif
