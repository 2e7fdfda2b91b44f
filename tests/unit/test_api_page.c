// libs: all web_assets
#include <strings.h>

#include "test_api.h"

#include "web/assets.h"

/* The value of a field, in a static buffer; "" when it is missing. */
static const char *field_of(const reply_t *reply, const char *name)
{
    static char values[4][1024];
    static int next;
    char *value = values[next++ % 4];
    size_t length = strlen(name);
    value[0] = '\0';
    for (const char *line = reply->headers; line != NULL && *line != '\0'; line = strchr(line, '\n')) {
        line += *line == '\n';
        if (strncasecmp(line, name, length) == 0 && line[length] == ':')
            snprintf(value, 1024, "%.*s", (int)strcspn(line + length + 2, "\r"), line + length + 2);
    }
    return value;
}

static reply_t get(const char *path, const char *field)
{
    return call_with("GET", path, (const char *const[]){field, NULL}, NULL, 0);
}

static void the_page_is_sent_as_it_is_stored_to_who_takes_gzip(void **state)
{
    (void)state;
    for (size_t i = 0; i < hp_assets_count; i++) {
        reply_t reply = get(hp_assets[i].path, "Accept-Encoding: br, gzip");
        assert_int_equal(reply.status, 200);
        assert_string_equal(field_of(&reply, "Content-Encoding"), "gzip");
        assert_string_equal(field_of(&reply, "Content-Type"), hp_assets[i].type);
        assert_string_equal(field_of(&reply, "ETag"), hp_assets[i].etag);
        assert_int_equal(reply.length, hp_assets[i].gzip_size);
        assert_memory_equal(reply.body, hp_assets[i].gzip, reply.length);
        done(&reply);
    }
}

static void the_page_is_decoded_for_who_does_not(void **state)
{
    (void)state;
    const char *const fields[] = {"X: y", "Accept-Encoding: br", "Accept-Encoding: gzip;q=0",
                                  "Accept-Encoding: gzip; q=0.0, *", "Accept-Encoding: *;q=0"};
    for (size_t i = 0; i < HP_COUNT(fields); i++) {
        reply_t reply = get("/", fields[i]);
        assert_int_equal(reply.status, 200);
        assert_string_equal(field_of(&reply, "Content-Encoding"), "");
        assert_string_equal(field_of(&reply, "Vary"), "Accept-Encoding");
        assert_int_equal(reply.length, hp_assets[0].size);
        assert_non_null(strstr(reply.body, "<!doctype html>"));
        done(&reply);
    }
}

static void a_page_that_did_not_change_is_not_sent_again(void **state)
{
    (void)state;
    char field[128];
    snprintf(field, sizeof field, "If-None-Match: \"x\", %s", hp_assets[0].etag);
    reply_t reply = get("/", field);
    assert_int_equal(reply.status, 304);
    assert_int_equal(reply.length, 0);
    assert_string_equal(field_of(&reply, "ETag"), hp_assets[0].etag);
    done(&reply);
    reply = get("/", "If-None-Match: \"x\"");
    assert_int_equal(reply.status, 200);
    done(&reply);
}

static void only_names_with_a_hash_are_kept_for_ever(void **state)
{
    (void)state;
    for (size_t i = 0; i < hp_assets_count; i++) {
        reply_t reply = get(hp_assets[i].path, "X: y");
        assert_string_equal(field_of(&reply, "Cache-Control"),
                            hp_assets[i].immutable ? "public, max-age=31536000, immutable" : "no-cache");
        done(&reply);
    }
    assert_false(hp_assets[0].immutable);
}

static void the_page_runs_only_its_own_scripts_in_no_frame(void **state)
{
    (void)state;
    reply_t reply = get("/", "X: y");
    const char *policy = field_of(&reply, "Content-Security-Policy");
    assert_non_null(strstr(policy, "default-src 'none'"));
    assert_non_null(strstr(policy, "script-src 'self';"));
    assert_non_null(strstr(policy, "frame-ancestors 'none'"));
    assert_string_equal(field_of(&reply, "X-Content-Type-Options"), "nosniff");
    done(&reply);
}

static void what_is_not_there_is_a_problem_document(void **state)
{
    (void)state;
    const struct {
        const char *method, *path;
        long status;
        const char *code;
    } cases[] = {{"GET", "/nothing.js", 404, "not-found"},
                 {"GET", "/api", 404, "not-found"},
                 {"GET", "/api/v1", 404, "not-found"},
                 {"GET", "/api/v1/nothing", 404, "not-found"},
                 {"POST", "/", 405, "method-not-allowed"},
                 {"DELETE", "/api/v1/status", 405, "method-not-allowed"},
                 {"GET", "/api/v1/hosts/%zz", 400, "bad-request"}};
    for (size_t i = 0; i < HP_COUNT(cases); i++) {
        reply_t reply = call(cases[i].method, cases[i].path, NULL);
        assert_int_equal(reply.status, cases[i].status);
        assert_string_equal(field_of(&reply, "Content-Type"), "application/problem+json");
        assert_string_equal(text_of(&reply, "code"), cases[i].code);
        assert_int_equal(number_of(&reply, "status"), cases[i].status);
        if (cases[i].status == 405)
            assert_string_equal(field_of(&reply, "Allow"), "GET, HEAD");
        done(&reply);
    }
}

static void head_has_the_fields_of_get_and_no_body(void **state)
{
    (void)state;
    const char *const paths[] = {"/", "/api/v1/status", "/api/v1/openapi.yaml", "/api/v1/downloads",
                                 "/metrics"};
    for (size_t i = 0; i < HP_COUNT(paths); i++) {
        reply_t head = call("HEAD", paths[i], NULL), whole = call("GET", paths[i], NULL);
        assert_int_equal(head.status, 200);
        assert_int_equal(head.length, 0);
        assert_string_equal(field_of(&head, "Content-Type"), field_of(&whole, "Content-Type"));
        done(&head);
        done(&whole);
    }
}

static void the_api_is_never_kept_by_a_cache(void **state)
{
    (void)state;
    reply_t reply = call("GET", "/api/v1/status", NULL);
    assert_string_equal(field_of(&reply, "Cache-Control"), "no-store");
    done(&reply);
}

static void an_unknown_field_is_refused_naming_it(void **state)
{
    (void)state;
    const char *const calls[][3] = {{"PATCH", "/api/v1/settings", "{\"colour\":1}"},
                                    {"POST", "/api/v1/hosts", "{\"colour\":1}"},
                                    {"POST", "/api/v1/downloads", "{\"colour\":1}"},
                                    {"POST", "/api/v1/session", "{\"colour\":1}"}};
    for (size_t i = 0; i < HP_COUNT(calls); i++) {
        reply_t reply = call(calls[i][0], calls[i][1], calls[i][2]);
        assert_int_equal(reply.status, 422);
        assert_int_equal(strncmp(text_of(&reply, "detail"), "colour: ", 8), 0);
        done(&reply);
        assert_int_equal(status_of(calls[i][0], calls[i][1], "[]"), 422);
        assert_int_equal(status_of(calls[i][0], calls[i][1], "{"), 400);
    }
}

static void settings_take_effect_at_once_and_stay(void **state)
{
    assert_int_equal(make_root(state), 0);
    start_server(NULL);
    char body[512];
    snprintf(body, sizeof body, "{\"name\":\"other\",\"language\":\"zh-CN\",\"downloads_folder\":\"%s\"}",
             path_in("new/place"));
    assert_int_equal(status_of("PATCH", "/api/v1/settings", body), 200);
    reply_t reply = call("GET", "/api/v1/status", NULL);
    assert_string_equal(text_of(&reply, "name"), "other");
    assert_string_equal(text_of(&reply, "downloads_folder"), path_in("new/place"));
    assert_int_equal(access(path_in("new/place"), W_OK), 0);
    done(&reply);
    stop_server();
    char root[64];
    strcpy(root, server.root);
    memset(&server, 0, sizeof server);
    strcpy(server.root, root);
    start_server(NULL);
    reply = call("GET", "/api/v1/settings", NULL);
    assert_string_equal(text_of(&reply, "language"), "zh-CN");
    assert_string_equal(text_of(&reply, "name"), "test"); /* --name wins at the start */
    done(&reply);
    assert_int_equal(stop_plain(state), 0);
}

static void the_network_stays_off_where_it_was_forbidden(void **state)
{
    (void)state;
    assert_int_equal(status_of("PATCH", "/api/v1/settings", "{\"scan\":true}"), 409);
    assert_int_equal(status_of("PATCH", "/api/v1/settings", "{\"beacon\":true}"), 409);
    assert_int_equal(status_of("PATCH", "/api/v1/settings", "{\"scan\":false,\"beacon\":false}"), 200);
}

static void the_database_is_never_put_into_the_shared_folder(void **state)
{
    (void)state;
    char body[512];
    snprintf(body, sizeof body, "{\"share_folder\":\"%s\"}", server.root);
    reply_t reply = call("PATCH", "/api/v1/settings", body);
    assert_int_equal(reply.status, 422);
    assert_int_equal(strncmp(text_of(&reply, "detail"), "share_folder: ", 14), 0);
    done(&reply);
}

/* ---- with options of their own ---- */

static void files_come_from_the_web_root_as_they_are_now(void **state)
{
    assert_int_equal(make_root(state), 0);
    assert_int_equal(hp_make_folder(path_in("web/sub"), 0700), 0);
    write_file(path_in("web/index.html"), "<p>one");
    write_file(path_in("web/sub/a.js"), "x");
    assert_int_equal(symlink("../data", path_in("web/out")), 0);
    char *more[] = {(char[]){"--web-root"}, path_in("web"), NULL};
    start_server(more);
    for (int i = 0; i < 2; i++) {
        reply_t reply = call("GET", "/", NULL);
        assert_int_equal(reply.status, 200);
        assert_string_equal(reply.body, i == 0 ? "<p>one" : "<p>other");
        assert_string_equal(field_of(&reply, "Content-Type"), "text/html; charset=utf-8");
        assert_string_equal(field_of(&reply, "Cache-Control"), "no-cache");
        assert_non_null(strstr(field_of(&reply, "Content-Security-Policy"), "script-src 'self'"));
        done(&reply);
        write_file(path_in("web/index.html"), "<p>other");
    }
    assert_int_equal(status_of("GET", "/sub/a.js", NULL), 200);
    const char *const none[] = {"/none",
                                "/sub",
                                "/sub/",
                                "/../data/hostpair.db",
                                "/out/hostpair.db",
                                "/%2e%2e/data/hostpair.db",
                                "/a%00b",
                                "//index.html"};
    for (size_t i = 0; i < HP_COUNT(none); i++)
        assert_int_equal(status_of("GET", none[i], NULL), 404);
    assert_int_equal(stop_plain(state), 0);
}

static void the_token_opens_the_api_and_the_page_needs_none(void **state)
{
    assert_int_equal(make_root(state), 0);
    char *more[] = {(char[]){"--dashboard-token"}, (char[]){"s3cret-token"}, NULL};
    start_server(more);
    reply_t reply = call("GET", "/api/v1/status", NULL);
    assert_int_equal(reply.status, 401);
    assert_string_equal(field_of(&reply, "WWW-Authenticate"), "Bearer");
    assert_string_equal(text_of(&reply, "code"), "unauthorized");
    done(&reply);
    assert_int_equal(status_of("GET", "/", NULL), 200);
    assert_int_equal(status_of("GET", "/metrics", NULL), 401);
    assert_int_equal(status_of("GET", "/api/v1/nothing", NULL), 401);
    assert_int_equal(status_of("POST", "/api/v1/session", "{\"token\":\"wrong\"}"), 401);
    assert_int_equal(status_of("POST", "/api/v1/session", "{}"), 422);
    reply = call("POST", "/api/v1/session", "{\"token\":\"s3cret-token\"}");
    assert_int_equal(reply.status, 204);
    char cookie[256];
    const char *set = field_of(&reply, "Set-Cookie");
    snprintf(cookie, sizeof cookie, "Cookie: %.*s", (int)strcspn(set, ";"), set);
    done(&reply);
    reply = get("/api/v1/status", cookie);
    assert_int_equal(reply.status, 200);
    done(&reply);
    reply = get("/api/v1/status", "Authorization: Bearer s3cret-token");
    assert_int_equal(reply.status, 200);
    done(&reply);
    assert_int_equal(stop_plain(state), 0);
}

/* ---- events ---- */

typedef struct {
    CURL *curl;
    char *url, text[65536];
    size_t length;
    uv_thread_t thread;
    uv_mutex_t lock;
} stream_t;

static size_t on_stream(char *data, size_t size, size_t count, void *arg)
{
    stream_t *stream = arg;
    uv_mutex_lock(&stream->lock);
    size_t n = HP_MIN(size * count, sizeof stream->text - 1 - stream->length);
    memcpy(stream->text + stream->length, data, n);
    stream->length += n;
    stream->text[stream->length] = '\0';
    uv_mutex_unlock(&stream->lock);
    return size * count;
}

static void run_stream(void *arg)
{
    stream_t *stream = arg;
    curl_easy_perform(stream->curl);
}

static stream_t *open_stream(const char *last_id)
{
    stream_t *stream = hp_alloc(sizeof *stream);
    char field[64];
    snprintf(field, sizeof field, "Last-Event-ID: %s", last_id != NULL ? last_id : "");
    struct curl_slist *list = last_id != NULL ? curl_slist_append(NULL, field) : NULL;
    uv_mutex_init(&stream->lock);
    stream->url = hp_sprintf("http://127.0.0.1:%u/api/v1/events", hp_api_port(server.api));
    stream->curl = curl_easy_init();
    curl_easy_setopt(stream->curl, CURLOPT_URL, stream->url);
    curl_easy_setopt(stream->curl, CURLOPT_PROXY, "");
    curl_easy_setopt(stream->curl, CURLOPT_NOSIGNAL, 1L);
    curl_easy_setopt(stream->curl, CURLOPT_HTTPHEADER, list);
    curl_easy_setopt(stream->curl, CURLOPT_WRITEFUNCTION, on_stream);
    curl_easy_setopt(stream->curl, CURLOPT_WRITEDATA, stream);
    curl_easy_setopt(stream->curl, CURLOPT_TIMEOUT_MS, (long)WAIT_MS);
    curl_easy_setopt(stream->curl, CURLOPT_PRIVATE, list);
    assert_int_equal(uv_thread_create(&stream->thread, run_stream, stream), 0);
    return stream;
}

static bool holds(stream_t *stream, const char *text)
{
    uv_mutex_lock(&stream->lock);
    bool found = strstr(stream->text, text) != NULL;
    uv_mutex_unlock(&stream->lock);
    return found;
}

static void wait_for(stream_t *stream, const char *text)
{
    uint64_t end = uv_hrtime() + (uint64_t)WAIT_MS * 1000000;
    while (!holds(stream, text)) {
        if (uv_hrtime() > end)
            fail_msg("no %s in %s", text, stream->text);
        usleep(5000);
    }
}

/* After the server has gone, which ends it. */
static void close_stream(stream_t *stream)
{
    struct curl_slist *list = NULL;
    uv_thread_join(&stream->thread);
    curl_easy_getinfo(stream->curl, CURLINFO_PRIVATE, (char **)&list);
    curl_slist_free_all(list);
    curl_easy_cleanup(stream->curl);
    uv_mutex_destroy(&stream->lock);
    free(stream->url);
    free(stream);
}

static void events_are_told_and_their_streams_end_with_the_process(void **state)
{
    assert_int_equal(start_plain(state), 0);
    stream_t *first = open_stream(NULL);
    wait_for(first, ":");
    assert_int_equal(status_of("PATCH", "/api/v1/settings", "{\"name\":\"other\"}"), 200);
    wait_for(first, "event: status\n");
    wait_for(first, "\"name\":\"other\"");
    hp_log(HP_LOG_WARN, "something is odd");
    wait_for(first, "event: log\n");
    wait_for(first, "something is odd");
    write_file(path_in("share/new"), "x");
    wait_for(first, "event: share\n");
    stream_t *second = open_stream("5");
    wait_for(second, "event: reset\n");
    stop_server();
    close_stream(first);
    close_stream(second);
    assert_int_equal(remove_root(state), 0);
}

int main(void)
{
    curl_global_init(CURL_GLOBAL_DEFAULT);
#define TEST(name) cmocka_unit_test_setup_teardown(name, start_plain, stop_plain)
    const struct CMUnitTest tests[] = {
        TEST(the_page_is_sent_as_it_is_stored_to_who_takes_gzip),
        TEST(the_page_is_decoded_for_who_does_not),
        TEST(a_page_that_did_not_change_is_not_sent_again),
        TEST(only_names_with_a_hash_are_kept_for_ever),
        TEST(the_page_runs_only_its_own_scripts_in_no_frame),
        TEST(what_is_not_there_is_a_problem_document),
        TEST(head_has_the_fields_of_get_and_no_body),
        TEST(the_api_is_never_kept_by_a_cache),
        TEST(an_unknown_field_is_refused_naming_it),
        TEST(the_network_stays_off_where_it_was_forbidden),
        TEST(the_database_is_never_put_into_the_shared_folder),
        cmocka_unit_test(settings_take_effect_at_once_and_stay),
        cmocka_unit_test(files_come_from_the_web_root_as_they_are_now),
        cmocka_unit_test(the_token_opens_the_api_and_the_page_needs_none),
        cmocka_unit_test(events_are_told_and_their_streams_end_with_the_process),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
