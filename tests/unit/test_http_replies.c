// libs: http pool secure identity path os base
/* What a handler can answer: plain replies, JSON, problems, streams, events; and the requests that never
 * reach it. */
#include "test_http.h"

#define GET(path) "GET " path " HTTP/1.1\r\nHost: h\r\n\r\n"
#define OLD(path) "GET " path " HTTP/1.0\r\n\r\n"

static hp_http_stream_t *stream;
static unsigned next_count, end_count;
static hp_http_events_t *events;
static unsigned close_count;
static char seen_host[100];

static void on_next(void *arg, hp_http_stream_t *self)
{
    (void)arg;
    stream = self;
    next_count++;
}

static void on_end(void *arg)
{
    (void)arg;
    end_count++;
    stream = NULL;
}

static void on_close(void *arg)
{
    (void)arg;
    close_count++;
    events = NULL;
}

static void echo_json(hp_http_request_t *request)
{
    json_t *json;
    hp_err_t err = {0};
    int rc = hp_http_json(request, &json, &err);
    if (rc == 0)
        hp_http_reply_json(request, 201, json);
    else
        hp_http_reply_problem(request, rc, &err);
}

static void on_request(void *arg, hp_http_request_t *request)
{
    (void)arg;
    const char *path = hp_http_path(request), *host = hp_http_header(request, "host");
    snprintf(seen_host, sizeof seen_host, "%s", host != NULL ? host : "(none)");
    if (strcmp(path, "/json") == 0) {
        echo_json(request);
    } else if (strcmp(path, "/empty") == 0) {
        hp_http_reply_empty(request, atoi(hp_http_query(request, "status")));
    } else if (strcmp(path, "/method") == 0) {
        hp_http_reply_method(request, "GET, HEAD");
    } else if (strcmp(path, "/text") == 0) {
        hp_http_reply_text_error(request, HP_E_NOT_FOUND, hp_http_query(request, "text"));
    } else if (strcmp(path, "/problem") == 0) {
        hp_err_t err = {0};
        hp_err_set(&err, HP_E_INVALID, "no %s", hp_http_query(request, "text"));
        hp_http_reply_problem(request, HP_E_INVALID, &err);
    } else if (strcmp(path, "/field") == 0) {
        hp_http_set_header(request, "X-Test", "a\r\nSet-Cookie: b");
        hp_http_reply_owned(request, 200, "text/plain", strdup("owned"), 5);
    } else if (strcmp(path, "/twice") == 0) {
        hp_http_reply_empty(request, 200);
        hp_http_reply_empty(request, 404);
    } else if (strcmp(path, "/match") == 0) {
        hp_http_set_header(request, "ETag", "\"1\"");
        hp_http_reply_empty(request, hp_http_not_modified(request, "\"1\"") ? 304 : 200);
    } else if (strcmp(path, "/stream") == 0) {
        hp_http_stream_t *self = hp_http_reply_stream(request, 200, "text/plain", on_next, NULL);
        if (self != NULL)
            hp_http_stream_on_end(self, on_end);
        stream = NULL;
    } else if (strcmp(path, "/events") == 0) {
        events = hp_http_reply_events(request, on_close, NULL);
        if (events != NULL)
            hp_http_events_comment(events);
    } else {
        hp_http_reply(request, 200, "text/plain", path, strlen(path));
    }
}

static void start(bool problem_json)
{
    next_count = end_count = close_count = 0;
    stream = NULL;
    events = NULL;
    listen_with((hp_http_options_t){.handler = on_request, .problem_json = problem_json, .stuck_ms = 2000});
}

static void each_kind_of_reply_leaves_the_connection_usable(void **state)
{
    (void)state;
    start(true);
    client_t *c = client_open();
    const struct {
        const char *request, *has;
        int status;
    } cases[] = {
        {GET("/a"), "\r\n\r\n/a", 200},
        {"HEAD /a HTTP/1.1\r\nHost: h\r\n\r\n", NULL, 200},
        {GET("/empty?status=200"), "Content-Length: 0\r\n", 200},
        {GET("/empty?status=204"), NULL, 204},
        {GET("/empty?status=304"), NULL, 304},
        {GET("/method"), "Allow: GET, HEAD\r\n", 405},
        {GET("/text?text=no+such"), "no such.\n", 404},
        {"POST /json HTTP/1.1\r\nHost: h\r\nContent-Length: 12\r\n\r\n{\"a\": [1,2]}", "{\"a\":[1,2]}", 201},
        {"POST /json HTTP/1.1\r\nHost: h\r\nContent-Length: 2\r\n\r\n{,", "\"code\":\"bad-json\"", 400},
        {"POST /json HTTP/1.1\r\nHost: h\r\n\r\n", "\"code\":\"bad-json\"", 400},
        {GET("/field"), "owned", 200},
        {GET("/problem?text=%22%C3%BC"), "\"detail\":\"no \\\"\xc3\xbc\",\"code\":\"invalid\"", 422},
        {GET("/problem?text=%FF%01"), "\"detail\":\"no \\\\xff\\\\x01\"", 422},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        client_send(c, cases[i].request);
        if (strncmp(cases[i].request, "HEAD", 4) == 0) {
            wait_until(strstr(c->data + c->taken, "\r\n\r\n") != NULL);
            assert_has(c->data + c->taken, "Content-Length: 2\r\n");
            run_for(20);
            c->taken = c->length;
            continue;
        }
        const char *reply = client_reply(c, NULL);
        assert_int_equal(status_of(reply), cases[i].status);
        if (cases[i].has != NULL)
            assert_has(reply, cases[i].has);
        else
            assert_has_not(reply, "Content-Length");
        assert_has(reply, "\r\nDate: ");
        assert_has(reply, "\r\nServer: test/1\r\n");
        assert_has(reply, "\r\nX-Content-Type-Options: nosniff\r\n");
        assert_int_equal(c->length, c->taken);
    }
    assert_false(c->ended);
}

static void no_value_starts_a_field_of_its_own(void **state)
{
    (void)state;
    start(false);
    client_t *c = client_ask(GET("/field"));
    const char *reply = client_reply(c, NULL);
    assert_has(reply, "X-Test: a  Set-Cookie: b\r\n");
    assert_has_not(reply, "\nSet-Cookie");
}

static void a_second_reply_does_nothing(void **state)
{
    (void)state;
    start(false);
    client_t *c = client_ask(GET("/twice") GET("/a"));
    assert_int_equal(status_of(client_reply(c, NULL)), 200);
    assert_int_equal(status_of(client_reply(c, NULL)), 200);
}

static void a_tag_that_the_client_has_is_not_sent_again(void **state)
{
    (void)state;
    start(false);
    client_t *c = client_ask("GET /match HTTP/1.1\r\nHost: h\r\nIf-None-Match: \"0\", W/\"1\"\r\n\r\n"
                             "GET /match HTTP/1.1\r\nHost: h\r\nIf-None-Match: \"2\"\r\n\r\n");
    const char *reply = client_reply(c, NULL);
    assert_int_equal(status_of(reply), 304);
    assert_has(reply, "ETag: \"1\"");
    assert_int_equal(status_of(client_reply(c, NULL)), 200);
}

static void the_host_is_that_of_the_target(void **state)
{
    (void)state;
    start(false);
    client_t *c = client_ask("GET http://real:1/x HTTP/1.1\r\nHost: other\r\n\r\n");
    const char *body;
    client_reply(c, &body);
    assert_string_equal(body, "/x");
    assert_string_equal(seen_host, "real:1");
    client_send(c, "GET /x HTTP/1.0\r\nConnection: keep-alive\r\n\r\n");
    client_reply(c, NULL);
    assert_string_equal(seen_host, "(none)");
}

static void a_body_that_is_too_long_gets_413_while_it_is_still_sent(void **state)
{
    (void)state;
    for (int json = 0; json < 2; json++) {
        start(json == 1);
        client_t *c = client_ask("POST /json HTTP/1.1\r\nHost: h\r\nContent-Length: 1000000\r\n\r\n");
        char piece[1001];
        memset(piece, 'x', 1000);
        piece[1000] = '\0';
        for (int i = 0; i < 1000; i++)
            client_send(c, piece); /* fails the test if it is reset */
        const char *reply = client_reply(c, NULL);
        assert_int_equal(status_of(reply), 413);
        assert_has(reply, "Connection: close\r\n");
        assert_has(reply, json == 1 ? "application/problem+json" : "text/plain");
        assert_has(reply, json == 1 ? "\"code\":\"too-large\"" : "This is larger than the limit: ");
        shutdown(c->fd, SHUT_WR);
        wait_until(c->ended);
        assert_int_equal(c->error, 0);
        destroy_listener();
    }
}

static void what_cannot_be_understood_gets_400_and_the_end(void **state)
{
    (void)state;
    static const char *const requests[] = {
        "nonsense\r\n\r\n",
        "GET /\r\n\r\n",
        "GET / HTTP/2.0\r\nHost: h\r\n\r\n",
        "GET / HTTP/1.1\r\nHost : h\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: h\r\n: x\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: h\r\nX: a\x01\r\n\r\n",
        "GET / HTTP/1.1\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: h\r\nX: a\r\n b\r\n\r\n",
        "GET x HTTP/1.1\r\nHost: h\r\n\r\n",
        "POST / HTTP/1.1\r\nHost: h\r\nContent-Length: x\r\n\r\n",
        "POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nab",
        "POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        "POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: gzip\r\n\r\n",
        "POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
        "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
    };
    start(false);
    for (size_t i = 0; i < sizeof requests / sizeof *requests; i++) {
        client_t *c = client_ask(requests[i]);
        const char *reply = client_reply(c, NULL);
        if (status_of(reply) != 400)
            print_error("for %s", requests[i]);
        assert_int_equal(status_of(reply), 400);
        assert_has(reply, "Connection: close\r\n");
        wait_until(c->ended);
        assert_int_equal(c->taken, c->length);
    }
}

static void a_body_in_chunks_gets_411_and_ends_the_connection(void **state)
{
    (void)state;
    static const char *const sizes[] = {"5", "0x5", "5;x=y"};
    start(false);
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
        char text[256];
        sprintf(
            text,
            "POST /json HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n%s\r\nhello\r\n0\r\n\r\n",
            sizes[i]);
        client_t *c = client_ask(text);
        assert_int_equal(status_of(client_reply(c, NULL)), 411);
        wait_until(c->ended);
        assert_int_equal(c->taken, c->length); /* nothing of it was taken for another request */
    }
}

static void a_long_body_in_chunks_gets_411_as_well(void **state)
{
    (void)state;
    start(false);
    size_t length = 300000;
    char *text = hp_alloc(length + 256);
    int n =
        sprintf(text, "POST /json HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n%zx\r\n", length);
    memset(text + n, 'x', length);
    strcpy(text + n + length, "\r\n0\r\n\r\n");
    client_t *c = client_ask(text);
    const char *body;
    assert_int_equal(status_of(client_reply(c, &body)), 411);
    assert_non_null(strstr(body, "Content-Length"));
    free(text);
}

static void what_is_too_long_gets_414_or_431(void **state)
{
    (void)state;
    start(false);
    char *text = malloc(200000);
    assert_non_null(text);
    sprintf(text, "GET /%0*d HTTP/1.1\r\nHost: h\r\n\r\n", 20000, 0);
    client_t *c = client_ask(text);
    assert_int_equal(status_of(client_reply(c, NULL)), 414);
    wait_until(c->ended);
    sprintf(text, "GET / HTTP/1.1\r\nHost: h\r\nX: %0*d\r\n\r\n", 100000, 0);
    c = client_ask(text);
    assert_int_equal(status_of(client_reply(c, NULL)), 431);
    wait_until(c->ended);
    free(text);
}

static void a_body_that_waits_for_leave_gets_it(void **state)
{
    (void)state;
    start(false);
    client_t *c =
        client_ask("POST /json HTTP/1.1\r\nHost: h\r\nExpect: 100-continue\r\nContent-Length: 1\r\n\r\n");
    wait_until(strcmp(c->data, "HTTP/1.1 100 Continue\r\n\r\n") == 0);
    c->taken = c->length;
    client_send(c, "7");
    const char *body;
    assert_int_equal(status_of(client_reply(c, &body)), 201);
    assert_string_equal(body, "7");
    c = client_ask("POST /json HTTP/1.1\r\nHost: h\r\nExpect: more\r\nContent-Length: 1\r\n\r\n");
    assert_int_equal(status_of(client_reply(c, NULL)), 417);
}

static void an_old_client_gets_what_it_can_read(void **state)
{
    (void)state;
    start(false);
    client_t *c = client_ask(OLD("/a"));
    const char *reply = client_reply(c, NULL);
    assert_has(reply, "Connection: close\r\n");
    assert_has(reply, "Content-Length: 2\r\n");
    wait_until(c->ended);
    c = client_ask(
        "GET /a HTTP/1.0\r\nConnection: keep-alive\r\n\r\nGET /b HTTP/1.0\r\nConnection: Keep-Alive\r\n\r\n");
    assert_has(client_reply(c, NULL), "Connection: keep-alive\r\n");
    assert_has(client_reply(c, NULL), "/b");
    assert_false(c->ended);
}

static void a_stream_is_asked_for_each_piece(void **state)
{
    (void)state;
    start(false);
    client_t *c = client_ask(GET("/stream"));
    wait_until(next_count == 1);
    assert_int_equal(c->length, 0);
    hp_http_stream_send(stream, "one", 3, HP_STREAM_MORE);
    wait_until(next_count == 2 && strstr(c->data, "3\r\none\r\n") != NULL);
    assert_has(c->data, "Transfer-Encoding: chunked\r\n");
    hp_http_stream_send(stream, NULL, 0, HP_STREAM_MORE); /* nothing yet: asked again */
    wait_until(next_count == 3);
    assert_null(strstr(c->data, "\r\n0\r\n\r\n"));
    hp_http_stream_send(stream, "two", 3, HP_STREAM_LAST);
    wait_until(end_count == 1);
    wait_until(strstr(c->data, "3\r\ntwo\r\n0\r\n\r\n") != NULL);
    assert_int_equal(next_count, 3);
    c->taken = c->length;
    client_send(c, GET("/a"));
    assert_int_equal(status_of(client_reply(c, NULL)), 200);
    client_send(c, "HEAD /stream HTTP/1.1\r\nHost: h\r\n\r\n" GET("/a"));
    assert_int_equal(status_of(client_reply(c, NULL)), 200);
    assert_int_equal(status_of(client_reply(c, NULL)), 200);
    assert_int_equal(next_count, 3);
    assert_int_equal(end_count, 1);
}

static void a_stream_to_an_old_client_ends_with_the_connection(void **state)
{
    (void)state;
    start(false);
    client_t *c = client_ask("GET /stream HTTP/1.0\r\nConnection: keep-alive\r\n\r\n");
    wait_until(next_count == 1);
    hp_http_stream_send(stream, "one", 3, HP_STREAM_MORE);
    wait_until(next_count == 2);
    hp_http_stream_send(stream, "two", 3, HP_STREAM_LAST);
    wait_until(c->ended);
    assert_int_equal(c->error, 0);
    assert_has_not(c->data, "chunked");
    assert_has(c->data, "Connection: close\r\n");
    assert_string_equal(strstr(c->data, "\r\n\r\n") + 4, "onetwo");
    assert_int_equal(end_count, 1);
}

static void a_stream_that_fails_looks_incomplete(void **state)
{
    (void)state;
    static const char *const requests[] = {GET("/stream"), OLD("/stream")};
    for (int i = 0; i < 2; i++) {
        start(false);
        client_t *c = client_ask(requests[i]);
        wait_until(next_count == 1);
        hp_http_stream_send(stream, "one", 3, HP_STREAM_MORE);
        wait_until(next_count == 2);
        hp_http_stream_send(stream, "never", 5, HP_STREAM_FAILED);
        wait_until(c->ended);
        assert_null(strstr(c->data, "never"));
        assert_null(strstr(c->data, "\r\n0\r\n\r\n"));
        if (i == 1)
            assert_int_equal(c->error, ECONNRESET);
        assert_int_equal(end_count, 1);
        destroy_listener();
    }
}

static void a_stream_waits_for_its_last_answer_when_the_client_has_gone(void **state)
{
    (void)state;
    start(false);
    client_t *c = client_ask(GET("/stream"));
    wait_until(next_count == 1);
    client_reset(c);
    wait_until(hp_http_connections(listener, NULL, 0) == 0);
    uv_run(&loop, UV_RUN_NOWAIT); /* from libuv 1.45 on, what a timer closes is told one turn later */
    assert_int_equal(end_count, 0);
    hp_http_stream_send(stream, "x", 1, HP_STREAM_MORE);
    assert_int_equal(end_count, 1);
    c = client_ask(GET("/stream"));
    wait_until(next_count == 2);
    destroy_listener();
    assert_int_equal(end_count, 1);
    hp_http_stream_send(stream, "x", 1, HP_STREAM_LAST);
    assert_int_equal(end_count, 2);
}

static void events_have_the_form_of_the_standard(void **state)
{
    (void)state;
    start(false);
    client_t *c = client_ask(GET("/events"));
    wait_until(strstr(c->data, ":\n\n") != NULL); /* the head does not wait for the first event */
    assert_has(c->data, "Content-Type: text/event-stream\r\n");
    assert_has(c->data, "Cache-Control: no-store\r\n");
    hp_http_events_send(events, 7, "host", "{\"a\":1}");
    hp_http_events_send(events, 8, "log", "one\ntwo\r\nthree\rfour");
    hp_http_events_comment(events);
    wait_until(strstr(c->data,
                      "id: 7\nevent: host\ndata: {\"a\":1}\n\n"
                      "id: 8\nevent: log\ndata: one\ndata: two\ndata: three\ndata: four\n\n:\n\n") != NULL);
    run_for(100);
    assert_int_equal(close_count, 0);
    client_close(c);
    wait_until(close_count == 1); /* without anything being sent */
}

static void an_event_client_that_falls_behind_is_cut(void **state)
{
    (void)state;
    start(false);
    client_t *stuck = client_open_with(4096), *fine = client_open();
    stuck->reads = false;
    client_send(stuck, GET("/events"));
    wait_until(events != NULL);
    hp_http_events_t *behind = events;
    client_send(fine, GET("/events"));
    wait_until(events != behind);
    char text[10001];
    memset(text, 'x', 10000);
    text[10000] = '\0';
    hp_http_events_t *kept = events;
    for (unsigned i = 1; close_count == 0; i++) {
        assert_true(i < 5000);
        hp_http_events_send(behind, i, "log", text);
        hp_http_events_send(kept, i, "log", text);
        turn();
    }
    assert_int_equal(close_count, 1);
    hp_http_events_send(kept, 1, "log", "last");
    wait_until(strstr(fine->data + fine->length - 40, "last") != NULL);
    events = kept;
    destroy_listener();
    assert_int_equal(close_count, 2);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        TEST(each_kind_of_reply_leaves_the_connection_usable),
        TEST(no_value_starts_a_field_of_its_own),
        TEST(a_second_reply_does_nothing),
        TEST(a_tag_that_the_client_has_is_not_sent_again),
        TEST(the_host_is_that_of_the_target),
        TEST(a_body_that_is_too_long_gets_413_while_it_is_still_sent),
        TEST(what_cannot_be_understood_gets_400_and_the_end),
        TEST(a_body_in_chunks_gets_411_and_ends_the_connection),
        TEST(a_long_body_in_chunks_gets_411_as_well),
        TEST(what_is_too_long_gets_414_or_431),
        TEST(a_body_that_waits_for_leave_gets_it),
        TEST(an_old_client_gets_what_it_can_read),
        TEST(a_stream_is_asked_for_each_piece),
        TEST(a_stream_to_an_old_client_ends_with_the_connection),
        TEST(a_stream_that_fails_looks_incomplete),
        TEST(a_stream_waits_for_its_last_answer_when_the_client_has_gone),
        TEST(events_have_the_form_of_the_standard),
        TEST(an_event_client_that_falls_behind_is_cut),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
