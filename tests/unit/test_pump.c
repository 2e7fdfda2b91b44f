// libs: tunnel identity path pool os base
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <signal.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/mem.h"
#include "tunnel/pump.h"

/* Two clients, and between them a pump that holds the other ends of their connections. */
typedef struct {
    uv_loop_t loop;
    hp_pump_t *pump;
    hp_pending_t pending;
    int clients[2];
    unsigned ended;
    bool limited;
    size_t allowance, taken, given_back, carried;
} bench_t;

static size_t take(void *arg, size_t want)
{
    bench_t *b = arg;
    size_t allowed = b->limited ? HP_MIN(want, b->allowance) : want;
    b->allowance -= b->limited ? allowed : 0;
    b->taken += allowed;
    return allowed;
}

static void give_back(void *arg, size_t bytes)
{
    bench_t *b = arg;
    b->given_back += bytes;
    b->allowance += bytes;
}

static void carried(void *arg, size_t bytes)
{
    ((bench_t *)arg)->carried += bytes;
}

static void on_ended(void *arg)
{
    bench_t *b = arg;
    assert_int_equal(b->pending.count, 1);
    b->ended++;
}

static void connect_unix(int pair[2])
{
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, pair), 0);
}

static void connect_tcp(int pair[2])
{
    struct sockaddr_in where = {.sin_family = AF_INET, .sin_addr = {htonl(INADDR_LOOPBACK)}};
    socklen_t length = sizeof where;
    int listener = socket(AF_INET, SOCK_STREAM, 0);
    assert_int_equal(bind(listener, (struct sockaddr *)&where, sizeof where), 0);
    assert_int_equal(listen(listener, 1), 0);
    getsockname(listener, (struct sockaddr *)&where, &length);
    pair[0] = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
    connect(pair[0], (struct sockaddr *)&where, sizeof where);
    pair[1] = accept4(listener, NULL, NULL, SOCK_NONBLOCK);
    assert_true(pair[1] >= 0);
    close(listener);
}

static void begin(bench_t *b, void (*first)(int pair[2]), void (*second)(int pair[2]))
{
    int one[2], two[2];
    *b = (bench_t){.ended = 0};
    uv_loop_init(&b->loop);
    first(one);
    second(two);
    b->clients[0] = one[0];
    b->clients[1] = two[0];
    const int fds[2] = {one[1], two[1]};
    const hp_pump_hooks_t hooks = {
        .take = take, .give_back = give_back, .carried = carried, .ended = on_ended, .arg = b};
    assert_int_equal(hp_pump_create(&b->pump, &b->loop, fds, &hooks, &b->pending), 0);
    assert_int_equal(b->pending.count, 1);
}

static void turn(bench_t *b)
{
    for (int i = 0; i < 20; i++) {
        uv_run(&b->loop, UV_RUN_NOWAIT);
        usleep(500);
    }
}

/* The pump has ended of itself, once, and nothing of it is left. */
static void end(bench_t *b)
{
    for (int i = 0; i < 2000 && b->ended == 0; i++)
        turn(b);
    assert_int_equal(b->ended, 1);
    assert_int_equal(b->pending.count, 0);
    assert_int_equal(b->taken - b->given_back >= b->carried, 1);
    uv_run(&b->loop, UV_RUN_DEFAULT);
    assert_int_equal(uv_loop_close(&b->loop), 0);
    for (int i = 0; i < 2; i++)
        if (b->clients[i] >= 0)
            close(b->clients[i]);
}

static void leave(bench_t *b, int which)
{
    close(b->clients[which]);
    b->clients[which] = -1;
}

static void say(bench_t *b, int which, const char *text)
{
    assert_int_equal(send(b->clients[which], text, strlen(text), MSG_NOSIGNAL), strlen(text));
}

static void hears(bench_t *b, int which, const char *text)
{
    char got[100] = "";
    turn(b);
    ssize_t n = recv(b->clients[which], got, sizeof got - 1, 0);
    assert_int_equal(n, strlen(text));
    assert_string_equal(got, text);
}

static void hears_the_end(bench_t *b, int which)
{
    char byte;
    turn(b);
    assert_int_equal(recv(b->clients[which], &byte, 1, 0), 0);
}

static void hears_nothing(bench_t *b, int which)
{
    char byte;
    turn(b);
    assert_int_equal(recv(b->clients[which], &byte, 1, 0), -1);
    assert_int_equal(errno, EAGAIN);
}

static void hears_a_reset(bench_t *b, int which)
{
    char byte;
    turn(b);
    assert_int_equal(recv(b->clients[which], &byte, 1, 0), -1);
    assert_int_equal(errno, ECONNRESET);
}

static void it_carries_both_ways_and_ends_when_both_have_ended(void **state)
{
    (void)state;
    bench_t b;
    begin(&b, connect_unix, connect_tcp);
    say(&b, 0, "ping");
    hears(&b, 1, "ping");
    say(&b, 1, "pong!");
    hears(&b, 0, "pong!");
    shutdown(b.clients[0], SHUT_WR);
    hears_the_end(&b, 1);
    say(&b, 1, "the rest");
    hears(&b, 0, "the rest");
    assert_int_equal(b.ended, 0);
    leave(&b, 1);
    hears_the_end(&b, 0);
    end(&b);
    assert_int_equal(b.carried, 4 + 5 + 8);
}

static void what_comes_with_the_end_arrives_before_it(void **state)
{
    (void)state;
    bench_t b;
    begin(&b, connect_tcp, connect_tcp);
    say(&b, 0, "a request");
    shutdown(b.clients[0], SHUT_WR);
    hears(&b, 1, "a request");
    hears_the_end(&b, 1);
    say(&b, 1, "its answer");
    leave(&b, 1);
    hears(&b, 0, "its answer");
    hears_the_end(&b, 0);
    end(&b);
}

/* A client that leaves without reading resets its connection. */
static void what_was_sent_before_a_reset_arrives(void **state)
{
    (void)state;
    void (*const kinds[])(int pair[2]) = {connect_unix, connect_tcp};
    for (size_t i = 0; i < HP_COUNT(kinds); i++) {
        bench_t b;
        begin(&b, kinds[i], connect_unix);
        say(&b, 1, "not read");
        turn(&b);
        say(&b, 0, "last words");
        leave(&b, 0);
        hears(&b, 1, "last words");
        end(&b);
    }
}

/* More than the pipe and the sockets hold at once. */
static void much_that_was_sent_before_a_reset_arrives(void **state)
{
    (void)state;
    static uint8_t out[4096], in[4096];
    bench_t b;
    size_t sent = 0, got = 0;
    begin(&b, connect_unix, connect_unix);
    say(&b, 1, "not read");
    for (unsigned idle = 0; idle < 3; turn(&b), idle++)
        for (ssize_t n; (n = send(b.clients[0], out, sizeof out, MSG_NOSIGNAL)) > 0; idle = 0)
            sent += (size_t)n;
    leave(&b, 0);
    while (b.ended == 0 || got < sent) {
        ssize_t n = recv(b.clients[1], in, sizeof in, 0);
        if (n == 0 || (n < 0 && errno != EAGAIN))
            break;
        got += n > 0 ? (size_t)n : 0;
        uv_run(&b.loop, UV_RUN_NOWAIT);
    }
    assert_int_equal(got, sent);
    end(&b);
}

static void a_reset_reaches_the_other_side(void **state)
{
    (void)state;
    bench_t b;
    begin(&b, connect_unix, connect_tcp);
    say(&b, 1, "not read");
    turn(&b);
    leave(&b, 0);
    hears_a_reset(&b, 1);
    end(&b);
}

static void a_side_that_takes_no_more_ends_it(void **state)
{
    (void)state;
    bench_t b;
    begin(&b, connect_tcp, connect_unix);
    leave(&b, 1);
    hears_the_end(&b, 0);
    assert_int_equal(b.ended, 0);
    say(&b, 0, "for nobody");
    turn(&b);
    assert_int_equal(send(b.clients[0], "more", 4, MSG_NOSIGNAL), -1);
    end(&b);
}

/* Small pieces fill the pages of a pipe long before its bytes; a reader that pauses makes every buffer full.
 */
static void every_byte_arrives_in_order(void **state)
{
    (void)state;
    void (*const kinds[])(int pair[2]) = {connect_unix, connect_tcp};
    static const size_t pieces[] = {1, 100, 5000, 65536};
    for (size_t run = 0; run < 4 * HP_COUNT(pieces); run++) {
        bench_t b;
        static uint8_t out[65536], in[65536];
        size_t piece = pieces[run / 4], total = HP_MIN(piece * 20000, (size_t)16 << 20), sent = 0, got = 0;
        begin(&b, kinds[run % 2], kinds[run / 2 % 2]);
        for (unsigned round = 0; got < total; round++) {
            size_t length = HP_MIN(total - sent, piece);
            for (size_t i = 0; i < length; i++)
                out[i] = (uint8_t)((sent + i) * 31 >> 3);
            ssize_t n = length > 0 ? send(b.clients[0], out, length, MSG_NOSIGNAL) : 0;
            sent += n > 0 ? (size_t)n : 0;
            if (n > 0 && sent < total && round % 8 != 0)
                continue;
            uv_run(&b.loop, UV_RUN_NOWAIT);
            if (n > 0 && sent < total)
                continue; /* reads when nothing more can be sent */
            n = recv(b.clients[1], in, sizeof in, 0);
            for (ssize_t i = 0; i < n; i++)
                if (in[i] != (uint8_t)((got + (size_t)i) * 31 >> 3))
                    fail_msg("pieces of %zu: byte %zu is wrong", piece, got + (size_t)i);
            got += n > 0 ? (size_t)n : 0;
        }
        assert_int_equal(b.carried, total);
        leave(&b, 0);
        hears_the_end(&b, 1);
        leave(&b, 1);
        end(&b);
    }
}

static void it_carries_no_more_than_it_may(void **state)
{
    (void)state;
    bench_t b;
    begin(&b, connect_tcp, connect_tcp);
    b.limited = true;
    b.allowance = 4;
    say(&b, 0, "one two");
    hears(&b, 1, "one ");
    assert_true(hp_pump_is_held(b.pump));
    hears_nothing(&b, 1);
    b.allowance = 100;
    hp_pump_go(b.pump);
    hears(&b, 1, "two");
    assert_false(hp_pump_is_held(b.pump));
    assert_int_equal(b.allowance, 100 - 3);
    assert_int_equal(b.taken - b.given_back, 7);
    leave(&b, 0);
    leave(&b, 1);
    end(&b);
}

static void a_reset_is_met_while_it_is_held(void **state)
{
    (void)state;
    bench_t b;
    begin(&b, connect_unix, connect_unix);
    b.limited = true;
    b.allowance = 4;
    say(&b, 1, "back");
    turn(&b);
    say(&b, 0, "last words");
    turn(&b);
    assert_true(hp_pump_is_held(b.pump));
    leave(&b, 0); /* without reading */
    turn(&b);
    assert_int_equal(b.ended, 0);
    b.allowance = 100;
    hp_pump_go(b.pump);
    hears(&b, 1, "last words");
    end(&b);
}

static void cut_it_resets_both_and_tells_later(void **state)
{
    (void)state;
    bench_t b;
    begin(&b, connect_tcp, connect_tcp);
    say(&b, 0, "ping");
    hears(&b, 1, "ping");
    assert_in_range(hp_pump_moved_at(b.pump), uv_now(&b.loop) - 1000, uv_now(&b.loop));
    hp_pump_cut(b.pump);
    hp_pump_cut(b.pump);
    hp_pump_go(b.pump);
    assert_int_equal(b.ended, 0);
    hears_a_reset(&b, 0);
    hears_a_reset(&b, 1);
    end(&b);
}

static void what_cannot_be_joined_is_closed(void **state)
{
    (void)state;
    bench_t b = {.ended = 0};
    int pair[2], files[2];
    char byte;
    uv_loop_init(&b.loop);
    connect_unix(pair);
    files[0] = pair[1];
    files[1] = open("/dev/null", O_RDWR); /* epoll does not take it */
    const hp_pump_hooks_t hooks = {.ended = on_ended, .arg = &b};
    assert_true(hp_pump_create(&b.pump, &b.loop, files, &hooks, &b.pending) < 0);
    assert_int_equal(recv(pair[0], &byte, 1, 0), 0);
    uv_run(&b.loop, UV_RUN_DEFAULT);
    assert_int_equal(b.pending.count, 0);
    assert_int_equal(b.ended, 0);
    assert_int_equal(uv_loop_close(&b.loop), 0);
    close(pair[0]);
}

int main(void)
{
    signal(SIGPIPE, SIG_IGN);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(it_carries_both_ways_and_ends_when_both_have_ended),
        cmocka_unit_test(what_comes_with_the_end_arrives_before_it),
        cmocka_unit_test(what_was_sent_before_a_reset_arrives),
        cmocka_unit_test(much_that_was_sent_before_a_reset_arrives),
        cmocka_unit_test(a_reset_reaches_the_other_side),
        cmocka_unit_test(a_side_that_takes_no_more_ends_it),
        cmocka_unit_test(every_byte_arrives_in_order),
        cmocka_unit_test(it_carries_no_more_than_it_may),
        cmocka_unit_test(a_reset_is_met_while_it_is_held),
        cmocka_unit_test(cut_it_resets_both_and_tells_later),
        cmocka_unit_test(what_cannot_be_joined_is_closed),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
