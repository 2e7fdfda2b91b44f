// libs: http pool secure identity path os base
/* Bodies that the handler takes in pieces: of any length, one ahead of what it asks for, and what ends them.
 */
#include "test_http.h"

#define BODY_BYTES ((size_t)5 * 1024 * 1024 + 123)

static struct {
    hp_http_request_t *request;
    uint64_t length;
    size_t come;
    unsigned pieces;
    bool wrong, last, gone, hold, refuse;
} seen;

static char pattern(size_t at)
{
    return (char)('a' + at % 23);
}

static void on_piece(void *arg, void *data, size_t length, bool last)
{
    (void)arg;
    seen.pieces++;
    for (size_t i = 0; i < length; i++)
        seen.wrong |= ((char *)data)[i] != pattern(seen.come + i);
    free(data);
    seen.come += length;
    seen.last = last;
    if (last) {
        hp_http_reply(seen.request, 201, "text/plain", "thanks", 6);
        hp_http_release(seen.request);
        seen.request = NULL;
    } else if (!seen.hold) {
        hp_http_body_next(seen.request, on_piece, NULL);
    }
}

static void on_gone(void *arg)
{
    (void)arg;
    seen.gone = true;
    hp_http_release(seen.request);
    seen.request = NULL;
}

static void on_request(void *arg, hp_http_request_t *request)
{
    (void)arg;
    seen.length = hp_http_body_length(request);
    if (seen.refuse || strcmp(hp_http_method(request), "PUT") != 0) {
        hp_http_reply_text_error(request, HP_E_CONFLICT, "no");
        return;
    }
    seen.request = request;
    hp_http_addref(request);
    hp_http_on_gone(request, on_gone, NULL);
    hp_http_body_next(request, on_piece, NULL);
}

static bool takes(void *arg, const char *method, const char *path)
{
    (void)arg;
    return strcmp(method, "PUT") == 0 && strcmp(path, "/in") == 0;
}

static void start(void)
{
    memset(&seen, 0, sizeof seen);
    listen_with((hp_http_options_t){.handler = on_request, .takes_pieces = takes, .stuck_ms = 400});
}

static char *body(size_t length)
{
    char *text = hp_alloc(length + 1);
    for (size_t i = 0; i < length; i++)
        text[i] = pattern(i);
    return text;
}

static client_t *announce(size_t length, const char *more)
{
    char head[200];
    snprintf(head, sizeof head, "PUT /in?x=1 HTTP/1.1\r\nHost: h\r\nContent-Length: %zu\r\n%s\r\n", length,
             more);
    return client_ask(head);
}

static void a_long_body_comes_whole_and_in_order(void **state)
{
    (void)state;
    start();
    char *text = body(BODY_BYTES);
    const char *reply;
    client_t *c = announce(BODY_BYTES, "");
    client_send(c, text);
    assert_int_equal(status_of(client_reply(c, &reply)), 201);
    assert_string_equal(reply, "thanks");
    assert_int_equal(seen.length, BODY_BYTES);
    assert_int_equal(seen.come, BODY_BYTES);
    assert_false(seen.wrong);
    assert_true(seen.pieces <= BODY_BYTES / HP_HTTP_PIECE + 1);
    wait_until(c->ended);
    free(text);
}

static void a_short_body_is_one_piece_and_keeps_the_connection(void **state)
{
    (void)state;
    start();
    for (size_t length = 0; length <= 1000; length += 500) {
        memset(&seen, 0, sizeof seen);
        char *text = body(length);
        client_t *c = announce(length, "");
        client_send(c, text);
        assert_int_equal(status_of(client_reply(c, NULL)), 201);
        assert_int_equal(seen.pieces, 1);
        assert_int_equal(seen.come, length);
        assert_false(c->ended);
        free(text);
    }
}

static void no_more_is_read_than_one_piece_ahead(void **state)
{
    (void)state;
    start();
    seen.hold = true;
    char *text = body(2 * 1024 * 1024);
    client_t *c = announce((size_t)1 << 40, "");
    if (c->ssl == NULL) {
        size_t sent = 0;
        for (uint64_t end = hp_clock_ms() + 1000; hp_clock_ms() < end; turn()) {
            ssize_t n = send(c->fd, text, 65536, MSG_DONTWAIT | MSG_NOSIGNAL);
            sent += n > 0 ? (size_t)n : 0;
        }
        assert_true(sent < (size_t)32 * 1024 * 1024); /* what the kernel holds */
    } else {
        client_send(c, text);
    }
    wait_until(seen.pieces == 1);
    run_for(100);
    assert_int_equal(seen.pieces, 1);
    assert_int_equal(seen.come, HP_HTTP_PIECE);
    assert_false(c->ended); /* the handler has its time */
    client_reset(c);
    seen.hold = false;
    hp_http_body_next(seen.request, on_piece, NULL);
    wait_until(seen.gone);
    free(text);
}

static void one_piece_is_read_ahead(void **state)
{
    (void)state;
    start();
    seen.hold = true;
    char *text = body(2 * HP_HTTP_PIECE);
    client_t *c = announce(2 * HP_HTTP_PIECE, "");
    client_send(c, text);
    wait_until(seen.pieces == 1);
    run_for(200);
    assert_int_equal(seen.pieces, 1);
    hp_http_body_next(seen.request, on_piece, NULL);
    assert_int_equal(seen.pieces, 2); /* inside the call */
    assert_int_equal(status_of(client_reply(c, NULL)), 201);
    assert_false(seen.wrong);
    free(text);
}

static void a_client_that_goes_in_the_middle_is_told_to_the_handler(void **state)
{
    (void)state;
    start();
    client_t *c = announce(100000, "");
    wait_until(seen.request != NULL);
    client_send(c, "abc");
    client_close(c);
    wait_until(seen.gone);
    assert_int_equal(seen.pieces, 0);
}

static void a_client_that_sends_no_more_is_cut(void **state)
{
    (void)state;
    start();
    client_t *c = announce(100000, "");
    client_send(c, "abc");
    wait_until(c->ended);
    assert_true(seen.gone);
}

static void a_refusal_reaches_a_client_that_still_sends(void **state)
{
    (void)state;
    start();
    seen.refuse = true;
    client_t *c = announce(10000000, "");
    assert_int_equal(status_of(client_reply(c, NULL)), 409);
    assert_int_equal(seen.length, 10000000);
}

static void leave_is_given_when_the_body_is_asked_for_and_not_before(void **state)
{
    (void)state;
    start();
    char *text = body(4000);
    client_t *c = announce(4000, "Expect: 100-continue\r\n");
    wait_until(strcmp(c->data, "HTTP/1.1 100 Continue\r\n\r\n") == 0);
    c->taken = c->length;
    client_send(c, text);
    assert_int_equal(status_of(client_reply(c, NULL)), 201);
    assert_false(seen.wrong);
    seen.refuse = true;
    c = announce(4000, "Expect: 100-continue\r\n");
    assert_int_equal(status_of(client_reply(c, NULL)), 409);
    free(text);
}

static void other_requests_have_the_limit(void **state)
{
    (void)state;
    start();
    client_t *c = client_ask("PUT /other HTTP/1.1\r\nHost: h\r\nContent-Length: 2000\r\n\r\n");
    assert_int_equal(status_of(client_reply(c, NULL)), 413);
    c = client_ask("POST /in HTTP/1.1\r\nHost: h\r\nContent-Length: 2000\r\n\r\n");
    assert_int_equal(status_of(client_reply(c, NULL)), 413);
    c = client_ask("PUT /in HTTP/1.1\r\nHost: h\r\nContent-Length: 2000\r\nContent-Length: 2000\r\n\r\n");
    assert_int_equal(status_of(client_reply(c, NULL)), 413);
    assert_null(seen.request);
}

static void the_end_of_the_listener_is_the_end_of_a_body(void **state)
{
    (void)state;
    start();
    client_t *c = announce(100000, "");
    wait_until(seen.request != NULL);
    destroy_listener();
    assert_true(seen.gone);
    wait_until(c->ended);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        TEST(a_long_body_comes_whole_and_in_order),
        TEST(a_short_body_is_one_piece_and_keeps_the_connection),
        TEST(no_more_is_read_than_one_piece_ahead),
        TEST(one_piece_is_read_ahead),
        TEST(a_client_that_goes_in_the_middle_is_told_to_the_handler),
        TEST(a_client_that_sends_no_more_is_cut),
        TEST(a_refusal_reaches_a_client_that_still_sends),
        TEST(leave_is_given_when_the_body_is_asked_for_and_not_before),
        TEST(other_requests_have_the_limit),
        TEST(the_end_of_the_listener_is_the_end_of_a_body),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
