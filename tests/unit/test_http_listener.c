// libs: http pool secure identity path os base
/* Connections: time-outs, limits, clients that vanish, streams from elsewhere, the end. */
#include "test_http.h"

#include <dirent.h>
#include <sys/resource.h>

#define GET(path) "GET " path " HTTP/1.1\r\nHost: h\r\n\r\n"

static hp_http_request_t *held[64]; /* requests of /later, in their order */
static size_t held_count;
static unsigned gone_count;

static void on_gone(void *arg)
{
    gone_count++;
    (void)arg;
}

static void on_request(void *arg, hp_http_request_t *request)
{
    (void)arg;
    if (strcmp(hp_http_path(request), "/later") == 0) {
        assert_true(held_count < 64);
        hp_http_addref(request);
        hp_http_on_gone(request, on_gone, NULL);
        held[held_count++] = request;
    } else if (strcmp(hp_http_path(request), "/large") == 0) {
        static char body[8 * 1024 * 1024];
        hp_http_reply(request, 200, "text/plain", body, sizeof body);
    } else if (strcmp(hp_http_path(request), "/forgotten") != 0) {
        hp_http_reply(request, 200, "text/plain", hp_http_path(request), strlen(hp_http_path(request)));
    }
}

static void reply_held(void)
{
    for (size_t i = 0; i < held_count; i++) {
        hp_http_reply(held[i], 200, "text/plain", "late", 4);
        hp_http_release(held[i]);
    }
    held_count = 0;
}

static hp_http_options_t options(unsigned stuck_ms, unsigned idle_ms)
{
    held_count = gone_count = 0;
    return (hp_http_options_t){.stuck_ms = stuck_ms, .idle_ms = idle_ms, .handler = on_request};
}

static size_t connection_count(void)
{
    return hp_http_connections(listener, NULL, 0);
}

static void replies_come_in_the_order_of_pipelined_requests(void **state)
{
    (void)state;
    listen_with(options(0, 0));
    client_t *c = client_open();
    char text[100 * 64] = "";
    for (int i = 0; i < 100; i++)
        sprintf(text + strlen(text), "GET /%d HTTP/1.1\r\nHost: h\r\n\r\n", i);
    client_send(c, text);
    for (int i = 0; i < 100; i++) {
        char wanted[16];
        const char *body;
        assert_int_equal(status_of(client_reply(c, &body)), 200);
        sprintf(wanted, "/%d", i);
        assert_string_equal(body, wanted);
    }
    hp_http_connection_t seen[2];
    assert_int_equal(hp_http_connections(listener, seen, 2), 1);
    assert_int_equal(seen[0].requests, 100);
    assert_string_equal(seen[0].path, "/99");
    assert_string_equal(seen[0].address, "127.0.0.1");
    assert_false(seen[0].active);
}

static void an_idle_connection_is_ended_in_order(void **state)
{
    (void)state;
    listen_with(options(5000, 100));
    client_t *fresh = client_open(), *used = client_ask(GET("/a"));
    client_reply(used, NULL);
    uint64_t begun = hp_clock_ms();
    wait_until(fresh->ended && used->ended);
    assert_true(hp_clock_ms() - begun >= 50);
    assert_int_equal(fresh->error, 0);
    assert_int_equal(used->error, 0);
    wait_until(connection_count() == 0);
}

static void the_silence_before_a_request_does_not_count_against_it(void **state)
{
    (void)state;
    listen_with(options(400, 400));
    client_t *c = client_open();
    run_for(250);
    client_send(c, "GET /a HTTP/1.1\r\n");
    run_for(250); /* longer than idle_ms since the accept, shorter than stuck_ms since the first byte */
    client_send(c, "Host: h\r\n\r\n");
    assert_int_equal(status_of(client_reply(c, NULL)), 200);
}

static void a_request_that_stops_coming_is_cut(void **state)
{
    (void)state;
    listen_with(options(150, 60000));
    client_t *head = client_ask("GET /a HT"),
             *body = client_ask("POST /a HTTP/1.1\r\nHost: h\r\nContent-Length: 5\r\n\r\nab");
    wait_until(head->ended && body->ended);
    assert_int_equal(held_count, 0);
}

static void a_header_that_drips_in_is_cut(void **state)
{
    (void)state;
    listen_with(options(200, 60000));
    client_t *c = client_ask("GET /a HTTP/1.1\r\nHost: h\r\nX: ");
    uint64_t begun = hp_clock_ms();
    while (!c->ended && hp_clock_ms() - begun < WAIT_MS) {
        send(c->fd, "x", 1, MSG_DONTWAIT | MSG_NOSIGNAL); /* never silent for long */
        run_for(20);
    }
    assert_true(c->ended);
    assert_true(hp_clock_ms() - begun < 5000);
}

static void a_client_that_takes_no_bytes_is_cut(void **state)
{
    (void)state;
    listen_with(options(200, 60000));
    client_t *stuck = client_open_with(4096), *other = client_open();
    stuck->reads = false;
    wait_until(connection_count() == 2);
    client_send(stuck, GET("/large"));
    wait_until(connection_count() == 1);
    stuck->reads = true;
    wait_until(stuck->ended);
    assert_true(stuck->length < 8 * 1024 * 1024);
    client_send(other, GET("/a")); /* nobody else noticed */
    assert_int_equal(status_of(client_reply(other, NULL)), 200);
}

static void a_slow_client_is_not_cut(void **state)
{
    (void)state;
    listen_with(options(300, 60000));
    client_t *slow = client_open_with(4096);
    slow->reads = false;
    client_send(slow, GET("/large"));
    char piece[65536];
    for (uint64_t end = hp_clock_ms() + 1200; hp_clock_ms() < end;) {
        ssize_t n = recv(slow->fd, piece, sizeof piece, MSG_DONTWAIT);
        if (n == 0 || (n < 0 && errno != EAGAIN))
            fail_msg("cut after all: %s", n < 0 ? strerror(errno) : "end");
        run_for(60);
    }
    assert_int_equal(connection_count(), 1);
}

static void waiting_for_the_handler_is_no_reason_to_cut(void **state)
{
    (void)state;
    listen_with(options(100, 100));
    client_t *c = client_ask(GET("/later"));
    wait_until(held_count == 1);
    run_for(500);
    reply_held();
    const char *body;
    assert_int_equal(status_of(client_reply(c, &body)), 200);
    assert_string_equal(body, "late");
    assert_int_equal(gone_count, 0);
}

static void a_client_that_goes_is_noticed_and_its_reply_dropped(void **state)
{
    (void)state;
    listen_with(options(200, 60000));
    client_t *c = client_ask(GET("/later"));
    wait_until(held_count == 1);
    client_reset(c);
    wait_until(gone_count == 1);
    assert_true(hp_http_gone(held[0]));
    assert_string_equal(hp_http_path(held[0]), "/later");
    assert_string_equal(hp_http_header(held[0], "Host"), "h");
    reply_held();
    assert_int_equal(connection_count(), 0);
    assert_int_equal(gone_count, 1);
}

static void a_half_closed_client_still_gets_its_reply(void **state)
{
    (void)state;
    listen_with(options(100, 60000));
    client_t *c = client_ask(GET("/later"));
    shutdown(c->fd, SHUT_WR);
    wait_until(held_count == 1);
    run_for(300);
    reply_held();
    assert_int_equal(status_of(client_reply(c, NULL)), 200);
    wait_until(c->ended);
}

static void a_request_left_without_a_reply_gets_500(void **state)
{
    (void)state;
    listen_with(options(0, 0));
    hp_log_set_level(HP_LOG_ERROR);
    client_t *c = client_ask(GET("/forgotten"));
    const char *reply = client_reply(c, NULL);
    assert_int_equal(status_of(reply), 500);
    assert_has(reply, "application/problem+json");
    client_send(c, GET("/a"));
    assert_int_equal(status_of(client_reply(c, NULL)), 200);
}

static void at_the_limit_the_longest_idle_connection_makes_room(void **state)
{
    (void)state;
    hp_http_options_t limited = options(0, 0);
    limited.connections_max = 3;
    listen_with(limited);
    client_t *first = client_open();
    wait_until(connection_count() == 1);
    client_t *busy = client_ask(GET("/later"));
    wait_until(held_count == 1);
    client_t *second = client_open();
    wait_until(connection_count() == 3);
    client_t *third = client_ask(GET("/a"));
    assert_int_equal(status_of(client_reply(third, NULL)), 200);
    wait_until(first->ended);
    assert_false(second->ended || busy->ended || third->ended);
    reply_held();
    client_reply(busy, NULL);
}

static void with_all_busy_one_more_is_told_to_come_later(void **state)
{
    (void)state;
    hp_http_options_t limited = options(0, 0);
    limited.connections_max = 2;
    listen_with(limited);
    client_t *a = client_ask(GET("/later")), *b = client_ask(GET("/later"));
    wait_until(held_count == 2);
    client_t *c = client_open();
    if (!with_tls) { /* else it is told by an alert */
        const char *reply = client_reply(c, NULL);
        assert_int_equal(status_of(reply), 503);
        assert_has(reply, "Retry-After:");
    }
    wait_until(c->ended);
    reply_held();
    assert_int_equal(status_of(client_reply(a, NULL)), 200);
    assert_int_equal(status_of(client_reply(b, NULL)), 200);
}

static size_t descriptors(void)
{
    size_t count = 0;
    DIR *all = opendir("/proc/self/fd");
    while (readdir(all) != NULL)
        count++;
    closedir(all);
    return count;
}

static void refused_uploads_hold_few_descriptors(void **state)
{
    enum { MANY = 150, FEW = 64 };
    (void)state;
    listen_with(options(0, 0));
    size_t before = descriptors();
    for (size_t i = 0; i < MANY; i++) {
        client_t *c = client_ask("POST /a HTTP/1.1\r\nHost: h\r\nContent-Length: 5000\r\n\r\n");
        assert_int_equal(status_of(client_reply(c, NULL)), 413);
    }
    wait_until(connection_count() == 0);
    size_t held_now = descriptors() - before - MANY;
    if (held_now > FEW)
        fail_msg("%zu descriptors are held for clients that were refused", held_now);
}

static void a_connection_can_be_ended_by_its_id(void **state)
{
    (void)state;
    listen_with(options(0, 0));
    client_t *idle = client_open(),
             *busy = client_ask("GET /later HTTP/1.1\r\nHost: h\r\nUser-Agent: me\x7f\r\n\r\n");
    client_t *fine = client_ask("GET /later HTTP/1.1\r\nHost: h\r\nUser-Agent: me \xe2\x80\xae\r\n\r\n");
    wait_until(busy->ended && held_count == 1 && connection_count() == 2);
    assert_int_equal(status_of(client_reply(busy, NULL)), 400); /* a control character in a field */
    hp_http_connection_t seen[2];
    hp_http_connections(listener, seen, 2);
    size_t which = seen[0].active ? 0 : 1;
    assert_string_equal(seen[which].path, "/later");
    assert_string_equal(seen[which].user_agent, "me \\xe2\\x80\\xae");
    assert_int_equal(hp_http_disconnect(listener, seen[which].id), 0);
    wait_until(fine->ended && gone_count == 1);
    assert_int_equal(hp_http_disconnect(listener, seen[1 - which].id), 0);
    wait_until(idle->ended);
    assert_int_equal(hp_http_disconnect(listener, 12345), HP_E_NOT_FOUND);
    reply_held();
}

static void a_stream_from_elsewhere_is_served(void **state)
{
    (void)state;
    int pair[2];
    listen_with(options(300, 60000));
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, pair), 0);
    hp_http_serve_fd(listener, pair[0], &(hp_who_t){.way = HP_WAY_LAN});
    client_t *c = hp_alloc(sizeof *c);
    *c = (client_t){.fd = pair[1], .reads = true, .data = hp_strdup(""), .next = clients};
    clients = c;
    client_send(c, GET("/a") GET("/b"));
    assert_int_equal(status_of(client_reply(c, NULL)), 200);
    assert_int_equal(status_of(client_reply(c, NULL)), 200);
    /* It may be stuck as any other. */
    client_send(c, GET("/large"));
    c->reads = false;
    wait_until(connection_count() == 0);
}

static void a_relayed_connection_without_a_request_ends_sooner(void **state)
{
    (void)state;
    const hp_way_t ways[2] = {HP_WAY_RELAYED, HP_WAY_DIRECT};
    client_t *both[2];
    if (with_tls)
        skip(); /* that way come only hosts with a key, which these clients have not */
    listen_with(options(5000, 1200));
    for (size_t i = 0; i < 2; i++) {
        both[i] = serve_pair(&(hp_who_t){.way = ways[i]}, 0);
        client_send(both[i], GET("/a"));
        assert_int_equal(status_of(client_reply(both[i], NULL)), 200);
    }
    wait_until(both[0]->ended);
    assert_false(both[1]->ended);
    wait_until(both[1]->ended);
}

static void a_port_that_is_taken_is_named(void **state)
{
    (void)state;
    listen_with(options(0, 0));
    hp_http_listener_t *second = NULL;
    hp_http_options_t same = options(0, 0);
    same.name = "second";
    same.server = "x";
    hp_err_t err = {0};
    assert_int_equal(hp_http_listen(&second, &loop, "127.0.0.1", hp_http_port(listener), &same, &err),
                     UV_EADDRINUSE);
    assert_has(err.detail, "the second listener cannot use 127.0.0.1 port");
    assert_int_equal(hp_http_listen(&second, &loop, "not an address", 0, &same, &err), UV_EINVAL);
    assert_null(second);
}

static void both_families_reach_one_port(void **state)
{
    (void)state;
    hp_http_options_t both = options(0, 0);
    both.name = "test";
    both.server = "test/1";
    both.secure = with_tls ? secure_server() : NULL;
    assert_int_equal(hp_http_listen(&listener, &loop, "::", 0, &both, NULL), 0);
    client_t *c = client_ask(GET("/a"));
    assert_int_equal(status_of(client_reply(c, NULL)), 200);
    hp_http_connection_t seen;
    hp_http_connections(listener, &seen, 1);
    assert_string_equal(seen.address, "127.0.0.1");
}

/* Idle, half a head, half a body, waiting for the handler, stuck in a reply, told 413 and still sending. */
static void the_end_comes_whatever_is_under_way(void **state)
{
    (void)state;
    listen_with(options(0, 0));
    client_open();
    client_ask("GET /a HT");
    client_ask("POST /a HTTP/1.1\r\nHost: h\r\nContent-Length: 5\r\n\r\nab");
    client_ask(GET("/later"));
    client_t *stuck = client_open_with(4096);
    stuck->reads = false;
    client_send(stuck, GET("/large"));
    client_ask(GET("/later"));
    client_t *large = client_ask("POST /a HTTP/1.1\r\nHost: h\r\nContent-Length: 5000\r\n\r\n");
    assert_int_equal(status_of(client_reply(large, NULL)), 413);
    wait_until(held_count == 2);
    client_t *unread = client_open(); /* its request waits in the kernel when the end comes */
    wait_until(connection_count() == 7);
    assert_int_equal(send(unread->fd, GET("/later"), strlen(GET("/later")), MSG_NOSIGNAL),
                     (int)strlen(GET("/later")));
    uint64_t begun = hp_clock_ms();
    destroy_listener();
    assert_in_range(hp_clock_ms() - begun, 0, 5000); /* far below any of the listener's time-outs */
    assert_int_equal(held_count, 2);
    assert_int_equal(gone_count, 2);
    assert_true(hp_http_gone(held[0]));
    reply_held(); /* a held request outlives the listener */
}

/* The last one: it lowers the limit for good. */
static void requests_leave_descriptors_for_files(void **state)
{
    (void)state;
    if (with_tls) /* which takes the descriptors of three */
        skip();
    struct rlimit low = {80, 80}; /* 20 are kept, a quarter of the others is for files */
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &low), 0);
    listen_with(options(0, 0));
    client_t *busy[16];
    for (size_t i = 0; i < 15; i++) {
        busy[i] = client_ask(GET("/later"));
        wait_until(held_count == i + 1);
    }
    busy[15] = client_ask(GET("/a"));
    const char *reply = client_reply(busy[15], NULL);
    assert_int_equal(status_of(reply), 503);
    assert_has(reply, "Retry-After: 1\r\n");
    reply_held();
    client_reply(busy[0], NULL);
    client_send(busy[15], GET("/a"));
    assert_int_equal(status_of(client_reply(busy[15], NULL)), 200);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        TEST(replies_come_in_the_order_of_pipelined_requests),
        TEST(an_idle_connection_is_ended_in_order),
        TEST(the_silence_before_a_request_does_not_count_against_it),
        TEST(a_request_that_stops_coming_is_cut),
        TEST(a_header_that_drips_in_is_cut),
        TEST(a_client_that_takes_no_bytes_is_cut),
        TEST(a_slow_client_is_not_cut),
        TEST(waiting_for_the_handler_is_no_reason_to_cut),
        TEST(a_client_that_goes_is_noticed_and_its_reply_dropped),
        TEST(a_half_closed_client_still_gets_its_reply),
        TEST(a_request_left_without_a_reply_gets_500),
        TEST(at_the_limit_the_longest_idle_connection_makes_room),
        TEST(with_all_busy_one_more_is_told_to_come_later),
        TEST(refused_uploads_hold_few_descriptors),
        TEST(a_connection_can_be_ended_by_its_id),
        TEST(a_stream_from_elsewhere_is_served),
        TEST(a_relayed_connection_without_a_request_ends_sooner),
        TEST(a_port_that_is_taken_is_named),
        TEST(both_families_reach_one_port),
        TEST(the_end_comes_whatever_is_under_way),
        TEST(requests_leave_descriptors_for_files),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
