// libs: http pool secure identity path os base
/* TLS on a listener, by clients that mean no good: what drips, what never ends, what comes after an error. */
#include "test_http_secured.h"

#include <sys/resource.h>

/* Whether the listener still does what it should. */
static void check_alive(void)
{
    client_t *c = open_tls(client_context);
    client_send(c, GET("/alive"));
    assert_int_equal(status_of(client_reply(c, NULL)), 200);
    client_close(c);
}

/* ---- handshakes ---- */

static void a_handshake_has_its_time_once(void **state)
{
    (void)state;
    char *bytes;
    listen_with(options(400, 60000));
    client_t *silent = client_connect(0), *half = client_connect(0), *drips = client_connect(0);
    client_use_tls(drips, client_context);
    SSL_do_handshake(drips->ssl);
    long length = BIO_get_mem_data(drips->out, &bytes);
    client_send_bytes(half, bytes, 100);
    uint64_t begin = hp_clock_ms();
    for (long at = 0; at < length && !drips->ended; at++) {
        if (send(drips->fd, bytes + at, 1, MSG_NOSIGNAL) != 1)
            break;
        run_for(20);
    }
    wait_until(drips->ended && half->ended);
    assert_true(hp_clock_ms() - begin < 2500);
    wait_until(connection_count() == 1); /* who has sent nothing is idle, as with plain HTTP */
    assert_false(silent->ended);
    check_alive();
}

static void who_sends_nothing_is_ended_as_idle(void **state)
{
    (void)state;
    listen_with(options(60000, 300));
    client_t *silent = client_connect(0);
    wait_until(silent->ended);
    assert_int_equal(silent->error, 0);
    client_t *after = open_tls(client_context);
    wait_until(after->ended);
    assert_int_equal(after->error, 0);
    assert_int_equal(SSL_get_shutdown(after->ssl) & SSL_RECEIVED_SHUTDOWN, SSL_RECEIVED_SHUTDOWN);
}

static void a_greeting_without_end_is_cut(void **state)
{
    (void)state;
    static char record[16389] = {0x16, 3, 1,    0x40, 0,
                                 1,    0, 0x40, 0}; /* a ClientHello of 16 KiB, in records */
    listen_with(options(0, 0));
    client_t *c = client_connect(0);
    for (int i = 0; i < 20; i++) {
        if (send(c->fd, record, sizeof record, MSG_NOSIGNAL | MSG_DONTWAIT) < 0)
            break;
        turn();
    }
    wait_until(connection_count() == 0);
    check_alive();
}

static uint64_t beats, longest_ms, last_ms;

static void on_beat(uv_timer_t *timer)
{
    uint64_t now = hp_clock_ms();
    (void)timer;
    longest_ms = HP_MAX(longest_ms, now - last_ms);
    last_ms = now;
    beats++;
}

static void raise_descriptors(void)
{
    struct rlimit limit;
    assert_int_equal(getrlimit(RLIMIT_NOFILE, &limit), 0);
    limit.rlim_cur = limit.rlim_max;
    setrlimit(RLIMIT_NOFILE, &limit);
    if (limit.rlim_cur < 8000)
        skip();
}

static void a_thousand_handshakes_at_once_hold_up_nobody(void **state)
{
    (void)state;
    enum { MANY = 1000, SOME = 50 };
    static client_t *many[MANY];
    uv_timer_t beat;
    raise_descriptors();
    listen_with(options(0, 0));
    uv_timer_init(&loop, &beat);
    for (size_t i = 0; i < MANY; i++) {
        many[i] = client_connect(0);
        many[i]->reads = false; /* their part takes time of the same thread */
        if (i % 100 == 99)      /* the listener's backlog is not what is tested */
            while (connection_count() < i + 1)
                uv_run(&loop, UV_RUN_NOWAIT);
    }
    for (size_t i = 0; i < MANY; i++) {
        client_use_tls(many[i], client_context);
        SSL_do_handshake(many[i]->ssl);
        char *bytes;
        long length = BIO_get_mem_data(many[i]->out, &bytes);
        assert_int_equal(send(many[i]->fd, bytes, (size_t)length, 0), length);
        (void)BIO_reset(many[i]->out);
    }
    uv_update_time(&loop);
    last_ms = hp_clock_ms();
    beats = longest_ms = 0;
    uv_timer_start(&beat, on_beat, 1, 1);
    for (size_t answered = 0; answered < MANY;) { /* in any order, but all of them */
        char byte;
        uv_run(&loop, UV_RUN_ONCE);
        while (answered < MANY && recv(many[answered]->fd, &byte, 1, MSG_PEEK | MSG_DONTWAIT) == 1)
            answered++;
    }
    assert_true(beats > 5);
    uv_close((uv_handle_t *)&beat, NULL);
    printf("the loop was held up for %d ms at most\n", (int)longest_ms);
    assert_true(longest_ms <
                150); /* with a sanitizer, on a busy machine; one at a time takes a second or more */
    for (size_t i = 0; i < SOME; i++) { /* the others' part would take this thread too long */
        char bytes[8192], *answer;
        ssize_t n = recv(many[i]->fd, bytes, sizeof bytes, MSG_DONTWAIT);
        assert_true(n > 0);
        BIO_write(many[i]->in, bytes, (int)n);
        assert_int_equal(SSL_do_handshake(many[i]->ssl), 1);
        SSL_write(many[i]->ssl, GET("/a"), sizeof GET("/a") - 1);
        long length = BIO_get_mem_data(many[i]->out, &answer);
        assert_int_equal(send(many[i]->fd, answer, (size_t)length, 0), length);
        (void)BIO_reset(many[i]->out);
        many[i]->reads = true;
    }
    for (size_t i = 0; i < SOME; i++)
        assert_int_equal(status_of(client_reply(many[i], NULL)), 200);
}

/* ---- what comes after an error ---- */

static const char garbage[40] = {0x17, 3, 3, 0, 35, 1, 2, 3};

/* h2o's own TLS would end the process here. */
static void a_broken_record_behind_a_request_is_the_clients_end(void **state)
{
    (void)state;
    static const char *const requests[] = {GET("/a"), "nonsense\r\n\r\n", "GET / HT",
                                           "POST /a HTTP/1.1\r\nHost: h\r\nExpect: 100-continue\r\n"
                                           "Content-Length: 5\r\n\r\n"};
    listen_with(options(0, 0));
    for (size_t i = 0; i < HP_COUNT(requests); i++) {
        for (int early = 0; early < 2; early++) {
            char *bytes;
            client_t *c = client_connect(0);
            client_use_tls(c, client_context);
            SSL_do_handshake(c->ssl);
            client_flush(c);
            wait_until(SSL_is_init_finished(c->ssl));
            if (early == 0)
                client_flush(c);
            SSL_write(c->ssl, requests[i], (int)strlen(requests[i]));
            BIO_write(c->out, garbage, sizeof garbage);
            long length = BIO_get_mem_data(c->out, &bytes);
            assert_int_equal(send(c->fd, bytes, (size_t)length, MSG_NOSIGNAL), length);
            (void)BIO_reset(c->out);
            wait_until(c->ended);
        }
    }
    wait_until(connection_count() == 0);
    check_alive();
}

static long memory_kib(void)
{
    struct rusage usage;
    assert_int_equal(getrusage(RUSAGE_SELF, &usage), 0);
    return usage.ru_maxrss;
}

/* Sends as much as it can; how much went. */
static size_t flood(client_t *c, const char *bytes, size_t length, size_t most)
{
    size_t sent = 0;
    for (int quiet = 0; sent < most && quiet < 300 && !c->ended;) {
        ssize_t n = send(c->fd, bytes, length, MSG_DONTWAIT | MSG_NOSIGNAL);
        quiet = n > 0 ? 0 : quiet + 1;
        sent += n > 0 ? (size_t)n : 0;
        if (n < 0 && errno != EAGAIN)
            break;
        turn();
    }
    return sent;
}

static void what_follows_the_end_is_not_kept(void **state)
{
    (void)state;
    static char bytes[MIB];
    listen_with(options(0, 0));
    client_t *c = open_tls(client_context);
    SSL_shutdown(c->ssl);
    client_flush(c);
    long before = memory_kib();
    size_t sent = flood(c, bytes, sizeof bytes, 256 * MIB);
    printf("%zu MiB went\n", sent / MIB);
    assert_true(sent < 64 * MIB);
    assert_true(memory_kib() - before < 32 * 1024);
    check_alive();
}

/* Each asks for an answer that the client does not read. */
static void changes_of_keys_without_end_do_not_fill_memory(void **state)
{
    (void)state;
    listen_with(options(1000, 60000));
    client_t *c = serve_pair(&(hp_who_t){.way = HP_WAY_LAN}, 4096);
    client_use_tls(c, client_context);
    client_shake_hands(c);
    c->reads = false;
    int taken = 0;
    for (int quiet = 0; taken < 200000 && quiet < 200;) {
        char *bytes;
        assert_int_equal(SSL_key_update(c->ssl, SSL_KEY_UPDATE_REQUESTED), 1);
        SSL_do_handshake(c->ssl);
        long length = BIO_get_mem_data(c->out, &bytes);
        ssize_t n = -1;
        for (; n < 0 && quiet < 200; quiet++) {
            n = send(c->fd, bytes, (size_t)length, MSG_DONTWAIT | MSG_NOSIGNAL);
            turn();
        }
        (void)BIO_reset(c->out);
        quiet = n > 0 ? 0 : quiet;
        taken++;
    }
    printf("%d went\n", taken);
    assert_true(taken < 100000);
    check_alive();
    wait_until(connection_count() == 0); /* it takes no more bytes */
}

static void pipelined_requests_of_a_client_that_does_not_read_are_bounded(void **state)
{
    (void)state;
    listen_with(options(1000, 60000));
    client_t *c = open_tls(client_context);
    char piece[16 * 1024] = "", *bytes;
    while (strlen(piece) + 100 < sizeof piece)
        strcat(piece, GET("/large"));
    c->reads = false;
    long before = memory_kib();
    size_t sent = 0;
    for (int quiet = 0; quiet < 300 && sent < 64 * MIB;) {
        SSL_write(c->ssl, piece, (int)strlen(piece));
        long length = BIO_get_mem_data(c->out, &bytes);
        ssize_t n = 0;
        for (long at = 0; at < length && n >= 0 && quiet<300; at += n> 0 ? n : 0) {
            n = send(c->fd, bytes + at, (size_t)(length - at), MSG_DONTWAIT | MSG_NOSIGNAL);
            quiet = n > 0 ? 0 : quiet + 1;
            n = n < 0 && errno == EAGAIN ? 0 : n;
            turn();
        }
        (void)BIO_reset(c->out);
        sent += (size_t)length;
        if (n < 0)
            break;
    }
    printf("%zu KiB of requests went\n", sent / 1024);
    assert_true(sent < 32 * MIB);
    assert_true(memory_kib() - before < 96 * 1024);
    check_alive();
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        TEST(a_handshake_has_its_time_once),
        TEST(who_sends_nothing_is_ended_as_idle),
        TEST(a_greeting_without_end_is_cut),
        TEST(a_thousand_handshakes_at_once_hold_up_nobody),
        TEST(a_broken_record_behind_a_request_is_the_clients_end),
        TEST(what_follows_the_end_is_not_kept),
        TEST(changes_of_keys_without_end_do_not_fill_memory),
        TEST(pipelined_requests_of_a_client_that_does_not_read_are_bounded),
    };
    return cmocka_run_group_tests_name("http_secured_abuse", tests, NULL, NULL);
}
