// libs: fetch path os base
/* Requests against a server that keeps the protocol, and against one that breaks it in every way. */
#include "test_fetch.h"

/* ---- one scripted reply ---- */

typedef struct script {
    const char *what;
    const char *reply;
    size_t length; /* 0: strlen */
    enum { KEEP, CLOSE, RESET } then;
    bool ranged; /* bytes 100 to 199 are asked for */
    const char *method;
    int expected;
    int heads;        /* how often on_head runs */
    const char *body; /* what on_data gets at most; NULL: nothing */
} script_t;

static void serve_script(server_t *server, int fd, int number)
{
    const script_t *script = server->script;
    char request[8192];
    (void)number;
    while (read_request(server, fd, request, sizeof request)) {
        send_all(fd, script->reply, script->length != 0 ? script->length : strlen(script->reply));
        if (script->then == KEEP)
            continue;
        if (script->then == RESET)
            reset_on_close(fd);
        else
            shutdown(fd, SHUT_WR);
        return;
    }
}

#define RANGE_HEAD "HTTP/1.1 206 Partial Content\r\nContent-Range: bytes 100-199/1000\r\n"
#define HUNDRED                                                                                              \
    "0123456789012345678901234567890123456789012345678901234567890123456789012345678901234567890123456789"

static const script_t scripts[] = {
    /* right */
    {"a body with a length", OK "Content-Length: 5\r\n\r\nhello", 0, KEEP, false, NULL, 0, 1, "hello"},
    {"an empty body", OK "Content-Length: 0\r\n\r\n", 0, KEEP, false, NULL, 0, 1, NULL},
    {"chunks", OK "Transfer-Encoding: chunked\r\n\r\n3\r\nhel\r\n2\r\nlo\r\n0\r\n\r\n", 0, KEEP, false, NULL,
     0, 1, "hello"},
    {"chunks with a trailer that lies",
     OK "Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\nContent-Length: 3\r\n\r\n", 0, KEEP, false,
     NULL, 0, 1, "hello"},
    {"a body up to the close", OK "\r\nhello", 0, CLOSE, false, NULL, 0, 1, "hello"},
    {"HTTP/1.0", "HTTP/1.0 200 OK\r\nContent-Length: 5\r\n\r\nhello", 0, CLOSE, false, NULL, 0, 1, "hello"},
    {"a part", RANGE_HEAD "Content-Length: 100\r\n\r\n" HUNDRED, 0, KEEP, true, NULL, 0, 1, HUNDRED},
    {"interim replies first",
     "HTTP/1.1 102 Processing\r\n\r\nHTTP/1.1 103 Hints\r\nLink: x\r\n\r\n" OK
     "Content-Length: 5\r\n\r\nhello",
     0, KEEP, false, NULL, 0, 1, "hello"},
    {"an error page", "HTTP/1.1 404 Not Found\r\nContent-Length: 4\r\n\r\nnone", 0, KEEP, false, NULL, 0, 1,
     "none"},
    {"an unsatisfiable range", "HTTP/1.1 416 No\r\nContent-Range: bytes */50\r\nContent-Length: 0\r\n\r\n", 0,
     KEEP, true, NULL, 0, 1, NULL},
    {"not modified, with a length", "HTTP/1.1 304 Not Modified\r\nContent-Length: 50\r\n\r\n", 0, KEEP, false,
     NULL, 0, 1, NULL},
    {"HEAD with a length", OK "Content-Length: 50\r\n\r\n", 0, KEEP, false, "HEAD", 0, 1, NULL},
    /* longer than promised: the promised bytes and not one more */
    {"more than promised", OK "Content-Length: 5\r\n\r\nhelloworld", 0, KEEP, false, NULL, 0, 1, "hello"},
    {"more than nothing", OK "Content-Length: 0\r\n\r\nworld", 0, KEEP, false, NULL, 0, 1, NULL},
    {"a body after HEAD", OK "Content-Length: 5\r\n\r\nhello", 0, KEEP, false, "HEAD", 0, 1, NULL},
    {"a body after 304", "HTTP/1.1 304 Not Modified\r\nContent-Length: 5\r\n\r\nhello", 0, KEEP, false, NULL,
     0, 1, NULL},
    {"a body after 204", "HTTP/1.1 204 No Content\r\n\r\nhello", 0, KEEP, false, NULL, 0, 1, NULL},
    {"more after the last chunk", OK "Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\nworld", 0,
     KEEP, false, NULL, 0, 1, "hello"},
    /* shorter than promised */
    {"less than promised", OK "Content-Length: 50\r\n\r\nhello", 0, CLOSE, false, NULL, UV_ECONNRESET, 1,
     "hello"},
    {"a part shorter than promised", RANGE_HEAD "Content-Length: 100\r\n\r\nhello", 0, CLOSE, true, NULL,
     UV_ECONNRESET, 1, "hello"},
    {"nothing of what was promised", OK "Content-Length: 50\r\n\r\n", 0, CLOSE, false, NULL, UV_ECONNRESET, 1,
     NULL},
    {"a reset in the body", OK "Content-Length: 50\r\n\r\nhello", 0, RESET, false, NULL, UV_ECONNRESET, -1,
     "hello"},
    {"a close inside a chunk", OK "Transfer-Encoding: chunked\r\n\r\n50\r\nhello", 0, CLOSE, false, NULL,
     UV_ECONNRESET, 1, "hello"},
    {"a close before the last chunk", OK "Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n", 0, CLOSE, false,
     NULL, UV_ECONNRESET, 1, "hello"},
    {"a close inside the trailer", OK "Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\nX: y\r\n", 0,
     CLOSE, false, NULL, UV_ECONNRESET, 1, "hello"},
    {"a close after the status line", OK, 0, CLOSE, false, NULL, UV_ECONNRESET, 0, NULL},
    {"a close inside the header section", OK "Content-Length: 0\r\n", 0, CLOSE, false, NULL, UV_ECONNRESET, 0,
     NULL},
    {"a close inside a field", OK "Content-Len", 0, CLOSE, false, NULL, UV_ECONNRESET, 0, NULL},
    {"a close after an interim reply", "HTTP/1.1 103 Hints\r\n\r\n", 0, CLOSE, false, NULL, UV_ECONNRESET, 0,
     NULL},
    {"a close without a word", "", 0, CLOSE, false, NULL, UV_ECONNRESET, 0, NULL},
    {"a reset without a word", "", 0, RESET, false, NULL, UV_ECONNRESET, 0, NULL},
    /* broken */
    {"HTTP/0.9", "hello, world\n", 0, CLOSE, false, NULL, HP_E_PROTOCOL, 0, NULL},
    {"HTTP/0.9 that looks like more", "HTTPS is not HTTP\n", 0, CLOSE, false, NULL, HP_E_PROTOCOL, 0, NULL},
    {"HTTP/2 on a plain connection", "HTTP/2 200\r\nContent-Length: 5\r\n\r\nhello", 0, CLOSE, false, NULL,
     HP_E_PROTOCOL, 0, NULL},
    {"an upgrade to HTTP/2",
     "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: h2c\r\n\r\n", 0, CLOSE, false, NULL,
     HP_E_PROTOCOL, 0, NULL},
    {"a NUL in a field", OK "X-A: b\0c\r\nContent-Length: 5\r\n\r\nhello",
     sizeof(OK "X-A: b\0c\r\nContent-Length: 5\r\n\r\nhello") - 1, CLOSE, false, NULL, HP_E_PROTOCOL, 0,
     NULL},
    {"a NUL in the status line", "HTTP/1.1 200 \0\r\nContent-Length: 5\r\n\r\nhello",
     sizeof("HTTP/1.1 200 \0\r\nContent-Length: 5\r\n\r\nhello") - 1, CLOSE, false, NULL, HP_E_PROTOCOL, 0,
     NULL},
    {"a bare CR that ends the section early", OK "\rX-A: b\r\nContent-Length: 5\r\n\r\nhello", 0, CLOSE,
     false, NULL, HP_E_PROTOCOL, 0, NULL},
    {"a folded field", OK "Content-Length: 5\r\n 0\r\n\r\nhello", 0, CLOSE, false, NULL, HP_E_PROTOCOL, 0,
     NULL},
    {"two lengths", OK "Content-Length: 5\r\nContent-Length: 50\r\n\r\nhello", 0, CLOSE, false, NULL,
     HP_E_PROTOCOL, 0, NULL},
    {"a length that is no number", OK "Content-Length: five\r\n\r\nhello", 0, CLOSE, false, NULL,
     HP_E_PROTOCOL, 0, NULL},
    {"a length with something behind it", OK "Content-Length: 5x\r\n\r\nhello", 0, CLOSE, false, NULL,
     HP_E_PROTOCOL, 0, NULL},
    {"a negative length", OK "Content-Length: -5\r\n\r\nhello", 0, CLOSE, false, NULL, HP_E_PROTOCOL, 0,
     NULL},
    {"a length past 2^63", OK "Content-Length: 9223372036854775808\r\n\r\nhello", 0, CLOSE, false, NULL,
     HP_E_PROTOCOL, 0, NULL},
    {"a length with chunks",
     OK "Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n", 0, CLOSE, false,
     NULL, HP_E_PROTOCOL, 0, NULL},
    {"a transfer coding that is not chunked", OK "Transfer-Encoding: gzip\r\n\r\nhello", 0, CLOSE, false,
     NULL, HP_E_PROTOCOL, 0, NULL},
    {"a content coding", OK "Content-Encoding: gzip\r\nContent-Length: 5\r\n\r\nhello", 0, CLOSE, false, NULL,
     HP_E_PROTOCOL, 0, NULL},
    {"a malformed chunk size", OK "Transfer-Encoding: chunked\r\n\r\nhello\r\n", 0, CLOSE, false, NULL,
     HP_E_PROTOCOL, 1, NULL},
    {"a chunk size past 2^63", OK "Transfer-Encoding: chunked\r\n\r\nfffffffffffffffff\r\nhello\r\n", 0,
     CLOSE, false, NULL, HP_E_PROTOCOL, 1, NULL},
    {"a chunk longer than its size", OK "Transfer-Encoding: chunked\r\n\r\n3\r\nhello\r\n0\r\n\r\n", 0, CLOSE,
     false, NULL, HP_E_PROTOCOL, 1, "hel"},
    {"two content ranges",
     RANGE_HEAD "Content-Range: bytes 100-199/1000\r\nContent-Length: 100\r\n\r\n" HUNDRED, 0, CLOSE, true,
     NULL, HP_E_PROTOCOL, 0, NULL},
    {"a part without its range", "HTTP/1.1 206 Partial Content\r\nContent-Length: 100\r\n\r\n" HUNDRED, 0,
     CLOSE, true, NULL, HP_E_PROTOCOL, 0, NULL},
    {"a part in chunks", RANGE_HEAD "Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n", 0, CLOSE, true, NULL,
     HP_E_PROTOCOL, 0, NULL},
    {"a part up to the close", RANGE_HEAD "\r\n" HUNDRED, 0, CLOSE, true, NULL, HP_E_PROTOCOL, 0, NULL},
    {"other bytes than asked",
     "HTTP/1.1 206 P\r\nContent-Range: bytes 0-99/1000\r\nContent-Length: 100\r\n\r\n" HUNDRED, 0, CLOSE,
     true, NULL, HP_E_PROTOCOL, 0, NULL},
    {"a part that nobody asked for", RANGE_HEAD "Content-Length: 100\r\n\r\n" HUNDRED, 0, CLOSE, false, NULL,
     HP_E_PROTOCOL, 0, NULL},
    {"the whole without a length instead of a part", OK "\r\nhello", 0, CLOSE, true, NULL, HP_E_NO_RANGES, 0,
     NULL},
    {"the whole in chunks instead of a part", OK "Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n", 0, CLOSE,
     true, NULL, HP_E_NO_RANGES, 0, NULL},
};

static void every_reply_is_taken_for_what_it_is(void **state)
{
    (void)state;
    for (size_t i = 0; i < HP_COUNT(scripts); i++) {
        const script_t *script = &scripts[i];
        server_t server;
        client_t client;
        outcome_t outcome;
        server_start(&server, serve_script, script);
        client_start(&client);
        outcome_init(&outcome);
        hp_fetch_options_t options = {.endpoint = at(&server),
                                      .path = "/x",
                                      .method = script->method,
                                      .ranged = script->ranged,
                                      .range = {100, 200}};
        ask(&client, &options, &outcome);
        if (outcome.status != script->expected)
            fail_msg("%s: ended with %d (%s), expected %d", script->what, outcome.status,
                     hp_err_text(&outcome.err), script->expected);
        if (script->heads >= 0 && outcome.heads != script->heads)
            fail_msg("%s: on_head ran %d times, expected %d", script->what, outcome.heads, script->heads);
        size_t length = script->body != NULL ? strlen(script->body) : 0;
        if (outcome.length > length || (script->expected == 0 && outcome.length != length) ||
            (outcome.length > 0 && memcmp(outcome.body, script->body, outcome.length) != 0))
            fail_msg("%s: got %zu bytes \"%.*s\"", script->what, outcome.length, (int)outcome.length,
                     outcome.body);
        char address[32];
        snprintf(address, sizeof address, "127.0.0.1:%u", server.port);
        if (script->expected != 0 && strstr(hp_err_text(&outcome.err), address) == NULL)
            fail_msg("%s: \"%s\" does not name %s", script->what, hp_err_text(&outcome.err), address);
        client_stop(&client);
        server_stop(&server);
        outcome_dispose(&outcome);
    }
}

static void every_reply_may_come_a_byte_at_a_time(void **state);

/* ---- the request as it is sent ---- */

static void serve_hello(server_t *server, int fd, int number)
{
    char request[8192];
    (void)number;
    while (read_request(server, fd, request, sizeof request))
        if (!send_text(fd, OK "Content-Length: 5\r\nETag: \"v1\"\r\nHostpair-Id: abc\r\n\r\nhello"))
            return;
}

static void the_request_says_what_was_asked(void **state)
{
    (void)state;
    server_t server;
    client_t client;
    outcome_t outcome;
    server_start(&server, serve_hello, NULL);
    client_start(&client);
    outcome_init(&outcome);
    static const char *const more[] = {"X-One: 1", "X-Two: 2", NULL};
    hp_fetch_options_t options = {
        .endpoint = at(&server),
        .path = "/a/../b%20c?q=1",
        .accept = "application/json",
        .if_none_match = "\"n\"",
        .if_range = "\"r\"",
        .ranged = true,
        .range = {5, 10},
        .headers = more,
    };
    ask(&client, &options, &outcome);
    assert_int_equal(outcome.status, 0);
    const char *request = server.last_request;
    assert_non_null(strstr(request, "GET /a/../b%20c?q=1 HTTP/1.1\r\n"));
    assert_non_null(strstr(request, "\r\nAccept: application/json\r\n"));
    assert_non_null(strstr(request, "\r\nAccept-Encoding: identity\r\n"));
    assert_non_null(strstr(request, "\r\nIf-None-Match: \"n\"\r\n"));
    assert_non_null(strstr(request, "\r\nIf-Range: \"r\"\r\n"));
    assert_non_null(strstr(request, "\r\nRange: bytes=5-9\r\n"));
    assert_non_null(strstr(request, "\r\nX-One: 1\r\n"));
    assert_non_null(strstr(request, "\r\nX-Two: 2\r\n"));
    assert_non_null(strstr(request, "\r\nUser-Agent: hostpair/"));
    assert_string_equal(outcome.address, "127.0.0.1");
    assert_int_equal(outcome.head.port, server.port);
    assert_string_equal(outcome.etag, "\"v1\"");
    assert_string_equal(outcome.id, "abc");
    assert_string_equal(outcome.url, url_of(&server, options.path));
    assert_false(outcome.head.reused);
    assert_true(outcome.head.wait_us > 0 && outcome.head.wait_us < 5000000);

    /* to the end of the file; nothing of the last request is left in the handle */
    outcome_dispose(&outcome);
    outcome_init(&outcome);
    options = (hp_fetch_options_t){
        .endpoint = at(&server), .path = "/z", .ranged = true, .range = {7, HP_RANGE_UNKNOWN}};
    ask(&client, &options, &outcome);
    assert_non_null(strstr(server.last_request, "\r\nRange: bytes=7-\r\n"));
    assert_null(strstr(server.last_request, "X-One"));
    assert_null(strstr(server.last_request, "If-Range"));
    assert_true(outcome.head.reused);

    outcome_dispose(&outcome);
    outcome_init(&outcome);
    options = (hp_fetch_options_t){.endpoint = at(&server),
                                   .path = "/m",
                                   .method = "POST",
                                   .body = "{\"a\":1}",
                                   .body_length = 7,
                                   .content_type = "application/json"};
    ask(&client, &options, &outcome);
    assert_int_equal(outcome.status, 0);
    assert_non_null(strstr(server.last_request, "POST /m HTTP/1.1\r\n"));
    assert_non_null(strstr(server.last_request, "\r\nContent-Type: application/json\r\n"));
    assert_non_null(strstr(server.last_request, "\r\nContent-Length: 7\r\n"));
    assert_non_null(strstr(server.last_request, "\r\n\r\n{\"a\":1}"));
    assert_null(strstr(server.last_request, "Expect"));

    outcome_dispose(&outcome);
    outcome_init(&outcome);
    options = (hp_fetch_options_t){.endpoint = at(&server), .path = "/g"};
    ask(&client, &options, &outcome);
    assert_int_equal(outcome.status, 0);
    assert_non_null(strstr(server.last_request, "GET /g HTTP/1.1\r\n"));
    assert_null(strstr(server.last_request, "Content-"));
    assert_int_equal(server.connections, 1);
    assert_int_equal(hp_fetcher_bytes(client.fetcher), 20);
    client_stop(&client);
    server_stop(&server);
    outcome_dispose(&outcome);
}

/* ---- a byte at a time ---- */

static void serve_slowly(server_t *server, int fd, int number)
{
    const script_t *script = server->script;
    char request[8192];
    (void)number;
    if (!read_request(server, fd, request, sizeof request))
        return;
    size_t length = script->length != 0 ? script->length : strlen(script->reply);
    for (size_t i = 0; i < length; i++) {
        if (!send_all(fd, script->reply + i, 1))
            return;
        usleep(50); /* so that most bytes are read on their own; nothing depends on it */
    }
    if (script->then == RESET)
        reset_on_close(fd);
    else if (script->then == KEEP)
        wait_for_end(fd);
}

static void every_reply_may_come_a_byte_at_a_time(void **state)
{
    (void)state;
    for (size_t i = 0; i < HP_COUNT(scripts); i++) {
        const script_t *script = &scripts[i];
        server_t server;
        client_t client;
        outcome_t outcome;
        if (script->then == RESET)
            continue;
        server_start(&server, serve_slowly, script);
        client_start(&client);
        outcome_init(&outcome);
        hp_fetch_options_t options = {.endpoint = at(&server),
                                      .path = "/x",
                                      .method = script->method,
                                      .ranged = script->ranged,
                                      .range = {100, 200}};
        ask(&client, &options, &outcome);
        if (outcome.status != script->expected)
            fail_msg("%s: ended with %d (%s), expected %d", script->what, outcome.status,
                     hp_err_text(&outcome.err), script->expected);
        size_t length = script->body != NULL ? strlen(script->body) : 0;
        if (outcome.length > length || (script->expected == 0 && outcome.length != length) ||
            (outcome.length > 0 && memcmp(outcome.body, script->body, outcome.length) != 0))
            fail_msg("%s: got %zu bytes \"%.*s\"", script->what, outcome.length, (int)outcome.length,
                     outcome.body);
        client_stop(&client);
        server_stop(&server);
        outcome_dispose(&outcome);
    }
}

/* ---- floods ---- */

static void serve_flood(server_t *server, int fd, int number)
{
    const char *const *texts = server->script;
    char request[8192];
    (void)number;
    if (!read_request(server, fd, request, sizeof request) || !send_text(fd, texts[0]))
        return;
    while (send_text(fd, texts[1]))
        continue;
}

static void floods_end_at_the_limit(void **state)
{
    (void)state;
    static const char *const floods[][2] = {
        {"", "HTTP/1.1 103 Hints\r\n\r\n"},
        {OK, "X-Field: some value or other\r\n"},
        {OK "X-Field: ", "endless "},
        {"HTTP/1.1 200 ", "OK "},
        {OK "Transfer-Encoding: chunked\r\n\r\n0\r\n", "X-Trailer: some value or other\r\n"},
        {OK "Transfer-Encoding: chunked\r\n\r\n0\r\nX-Trailer: ", "endless "},
    };
    for (size_t i = 0; i < HP_COUNT(floods); i++) {
        server_t server;
        client_t client;
        outcome_t outcome;
        server_start(&server, serve_flood, floods[i]);
        client_start(&client);
        outcome_init(&outcome);
        hp_fetch_options_t options = {.endpoint = at(&server), .path = "/x"};
        ask(&client, &options, &outcome);
        if (outcome.status != HP_E_PROTOCOL)
            fail_msg("flood %zu: ended with %d (%s)", i, outcome.status, hp_err_text(&outcome.err));
        assert_int_equal(outcome.length, 0);
        client_stop(&client);
        server_stop(&server);
        outcome_dispose(&outcome);
    }
}

static void an_endless_body_is_stopped_by_the_caller(void **state)
{
    (void)state;
    static const char *const flood[2] = {OK "\r\n", "endless"};
    server_t server;
    client_t client;
    outcome_t outcome;
    server_start(&server, serve_flood, flood);
    client_start(&client);
    outcome_init(&outcome);
    hp_fetch_options_t options = {.endpoint = at(&server), .path = "/x", .body_max = 100000};
    ask(&client, &options, &outcome);
    assert_int_equal(outcome.status, HP_E_TOO_LARGE);
    assert_int_equal(outcome.heads, 1);
    assert_true(outcome.head.ends_by_close);
    assert_true(outcome.length <= 100000);
    client_stop(&client);
    server_stop(&server);
    outcome_dispose(&outcome);
}

/* ---- small replies ---- */

typedef struct got {
    int calls, status, http;
    char body[64], etag[16];
    size_t length;
    bool reply;
} got_t;

static void on_reply(void *arg, int status, const hp_fetch_reply_t *reply, const hp_err_t *err)
{
    got_t *got = arg;
    got->calls++;
    got->status = status;
    got->reply = reply != NULL;
    assert_int_equal(err->code, status);
    if (reply == NULL)
        return;
    got->http = reply->head.status;
    got->length = reply->length;
    snprintf(got->body, sizeof got->body, "%s", reply->body);
    snprintf(got->etag, sizeof got->etag, "%s", reply->head.etag);
}

static bool has_called(void *arg)
{
    return ((got_t *)arg)->calls > 0;
}

static void a_small_reply_comes_in_one_piece(void **state)
{
    (void)state;
    server_t server;
    client_t client;
    server_start(&server, serve_hello, NULL);
    client_start(&client);
    got_t got = {0};
    hp_fetch_options_t options = {.endpoint = at(&server), .path = "/x", .body_max = 5};
    hp_fetch_get(client.fetcher, &options, on_reply, &got);
    assert_int_equal(got.calls, 0);
    assert_true(run_until(&client, has_called, &got));
    assert_int_equal(got.status, 0);
    assert_int_equal(got.http, 200);
    assert_int_equal(got.length, 5);
    assert_string_equal(got.body, "hello");
    assert_string_equal(got.etag, "\"v1\"");

    got = (got_t){0};
    options.body_max = 4;
    hp_fetch_get(client.fetcher, &options, on_reply, &got);
    assert_true(run_until(&client, has_called, &got));
    assert_int_equal(got.status, HP_E_TOO_LARGE);
    assert_false(got.reply);

    got = (got_t){0};
    options.body_max = 0;
    hp_fetch_get(client.fetcher, &options, on_reply, &got);
    assert_true(run_until(&client, has_called, &got));
    assert_int_equal(got.status, HP_E_INVALID);

    got = (got_t){0};
    options.method = "HEAD";
    options.body_max = 5;
    hp_fetch_get(client.fetcher, &options, on_reply, &got);
    assert_true(run_until(&client, has_called, &got));
    assert_int_equal(got.status, 0);
    assert_int_equal(got.length, 0);
    assert_string_equal(got.body, "");
    client_stop(&client);
    server_stop(&server);
}

/* ---- what never reaches a server ---- */

static void bad_requests_end_with_words(void **state)
{
    (void)state;
    static const char *const no_lines[] = {"X: a\r\nY: b", NULL};
    const hp_endpoint_t host = {.host = "127.0.0.1", .port = 1};
    const struct {
        const char *what;
        hp_fetch_options_t options;
    } cases[] = {
        {"no URL", {.url = NULL}},
        {"an empty URL", {.url = ""}},
        {"no scheme", {.url = "127.0.0.1/x"}},
        {"another scheme", {.url = "ftp://127.0.0.1/x"}},
        {"a file", {.url = "file:///etc/passwd"}},
        {"a host without a path", {.endpoint = &host}},
        {"a host and a path without its slash", {.endpoint = &host, .path = "x"}},
        {"a host and a path that would make it another", {.endpoint = &host, .path = "@127.0.0.2/x"}},
        {"a host and a space", {.endpoint = &host, .path = "/a b"}},
        {"a host and a line break", {.endpoint = &host, .path = "/a\r\nX: y"}},
        {"a space", {.url = "http://127.0.0.1/a b"}},
        {"a line break", {.url = "http://127.0.0.1/a\r\nX: y"}},
        {"a bad port", {.url = "http://127.0.0.1:99999/"}},
        {"no host", {.url = "http:///x"}},
        {"a bad address", {.url = "http://[::1/x"}},
        {"another method", {.url = "http://127.0.0.1/", .method = "BREW"}},
        {"an empty range", {.url = "http://127.0.0.1/", .ranged = true, .range = {5, 5}}},
        {"a backward range", {.url = "http://127.0.0.1/", .ranged = true, .range = {6, 5}}},
        {"a line break in a tag", {.url = "http://127.0.0.1/", .if_none_match = "\"a\"\r\nX: y"}},
        {"a line break in a field", {.url = "http://127.0.0.1/", .headers = no_lines}},
    };
    client_t client;
    client_start(&client);
    for (size_t i = 0; i < HP_COUNT(cases); i++) {
        outcome_t outcome;
        outcome_init(&outcome);
        ask(&client, &cases[i].options, &outcome);
        if (outcome.status != HP_E_INVALID || outcome.err.detail[0] == '\0')
            fail_msg("%s: %d (%s)", cases[i].what, outcome.status, hp_err_text(&outcome.err));
        assert_int_equal(outcome.heads, 0);
    }
    client_stop(&client);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_reply_is_taken_for_what_it_is),
        cmocka_unit_test(every_reply_may_come_a_byte_at_a_time),
        cmocka_unit_test(the_request_says_what_was_asked),
        cmocka_unit_test(floods_end_at_the_limit),
        cmocka_unit_test(an_endless_body_is_stopped_by_the_caller),
        cmocka_unit_test(a_small_reply_comes_in_one_piece),
        cmocka_unit_test(bad_requests_end_with_words),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
