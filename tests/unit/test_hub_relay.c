// libs: hub http store db tunnel secure identity path os base
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/mem.h"
#include "hub/relay.h"

static const uint8_t gid[16] = {1};

typedef struct {
    uv_loop_t loop;
    hp_hub_relay_t *relay;
    int listener;
    bool closed;
} bench_t;

static void on_closed(void *arg)
{
    ((bench_t *)arg)->closed = true;
}

static void begin(bench_t *b, const hp_hub_relay_limits_t *limits)
{
    struct sockaddr_in any = {.sin_family = AF_INET, .sin_addr = {htonl(INADDR_LOOPBACK)}};
    memset(b, 0, sizeof *b);
    uv_loop_init(&b->loop);
    b->relay = hp_hub_relay_create(&b->loop, limits);
    b->listener = socket(AF_INET, SOCK_STREAM, 0);
    assert_int_equal(bind(b->listener, (struct sockaddr *)&any, sizeof any), 0);
    assert_int_equal(listen(b->listener, 16), 0);
}

static void end(bench_t *b)
{
    hp_hub_relay_destroy(b->relay, on_closed, b);
    while (!b->closed)
        uv_run(&b->loop, UV_RUN_ONCE);
    uv_run(&b->loop, UV_RUN_DEFAULT);
    assert_int_equal(uv_loop_close(&b->loop), 0);
    close(b->listener);
}

static void turn(bench_t *b, int ms)
{
    uint64_t until = hp_clock_ms() + (uint64_t)ms;
    do {
        uv_run(&b->loop, UV_RUN_NOWAIT);
        usleep(500);
    } while (hp_clock_ms() < until);
}

/* A client's connection that the relay has accepted. Non-blocking on both ends. */
static int connect_client(bench_t *b)
{
    struct sockaddr_in where;
    socklen_t length = sizeof where;
    getsockname(b->listener, (struct sockaddr *)&where, &length);
    int client = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
    connect(client, (struct sockaddr *)&where, sizeof where);
    int accepted = accept4(b->listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
    assert_true(accepted >= 0);
    hp_hub_relay_accept(b->relay, accepted);
    return client;
}

static void say(int fd, const char *text)
{
    assert_int_equal(send(fd, text, strlen(text), MSG_NOSIGNAL), strlen(text));
}

static int greet(bench_t *b, const char *token)
{
    char line[80];
    int client = connect_client(b);
    snprintf(line, sizeof line, "HOSTPAIR-RELAY/1 %s\r\n", token);
    say(client, line);
    return client;
}

/* What has come by now, "" nothing; -1 at the end of the connection. */
static ssize_t hear(int fd, char *out, size_t size)
{
    ssize_t n = recv(fd, out, size - 1, 0);
    out[n > 0 ? n : 0] = '\0';
    if (n < 0 && errno == EAGAIN)
        return 0;
    return n <= 0 ? -1 : n;
}

static void joins_two_and_carries_both_ways(void **state)
{
    (void)state;
    bench_t b;
    char tokens[2][HP_HUB_RELAY_TOKEN_SIZE], text[100];
    begin(&b, &(hp_hub_relay_limits_t){0});
    assert_int_equal(hp_hub_relay_open(b.relay, gid, tokens, NULL), 0);
    assert_string_not_equal(tokens[0], tokens[1]);
    int one = greet(&b, tokens[0]);
    turn(&b, 20);
    assert_int_equal(hear(one, text, sizeof text), 0); /* the other is not there */
    int two = greet(&b, tokens[1]);
    turn(&b, 20);
    assert_int_equal(hear(one, text, sizeof text), 4);
    assert_string_equal(text, "OK\r\n");
    assert_int_equal(hear(two, text, sizeof text), 4);
    say(one, "ping");
    say(two, "pong!");
    turn(&b, 20);
    assert_int_equal(hear(two, text, sizeof text), 4);
    assert_string_equal(text, "ping");
    assert_int_equal(hear(one, text, sizeof text), 5);
    assert_string_equal(text, "pong!");
    /* A half-closed connection still brings the rest of the other half. */
    shutdown(one, SHUT_WR);
    turn(&b, 20);
    assert_int_equal(hear(two, text, sizeof text), -1);
    say(two, "rest");
    turn(&b, 20);
    assert_int_equal(hear(one, text, sizeof text), 4);
    close(two);
    turn(&b, 20);
    assert_int_equal(hear(one, text, sizeof text), -1);
    assert_int_equal(hp_hub_relay_counts(b.relay).running, 0);
    assert_int_equal(hp_hub_relay_counts(b.relay).bytes, 4 + 5 + 4);
    close(one);
    end(&b);
}

static void lets_nobody_in_with_a_wrong_token(void **state)
{
    (void)state;
    bench_t b;
    char tokens[2][HP_HUB_RELAY_TOKEN_SIZE], text[100];
    begin(&b, &(hp_hub_relay_limits_t){0});
    assert_int_equal(hp_hub_relay_open(b.relay, gid, tokens, NULL), 0);
    int guess = greet(&b, "00000000000000000000000000000000");
    int one = greet(&b, tokens[0]);
    turn(&b, 20);
    int again = greet(&b, tokens[0]); /* stolen: it counts once */
    turn(&b, 20);
    assert_int_equal(hear(guess, text, sizeof text), -1);
    assert_int_equal(hear(again, text, sizeof text), -1);
    int two = greet(&b, tokens[1]);
    turn(&b, 20);
    assert_int_equal(hear(one, text, sizeof text), 4);
    int late = greet(&b, tokens[1]);
    turn(&b, 20);
    assert_int_equal(hear(late, text, sizeof text), -1);
    int wrong = connect_client(&b);
    say(wrong, "HOSTPAIR-RELAY/2 00000000000000000000000000000000\r\n");
    int half = connect_client(&b);
    say(half, "HOSTPAIR-RELAY/1 0000");
    shutdown(half, SHUT_WR);
    turn(&b, 30);
    assert_int_equal(hear(wrong, text, sizeof text), -1);
    assert_int_equal(hear(half, text, sizeof text), -1);
    int fds[] = {guess, one, again, two, late, wrong, half};
    for (size_t i = 0; i < HP_COUNT(fds); i++)
        close(fds[i]);
    end(&b);
}

static void takes_a_line_byte_by_byte_and_nothing_behind_it(void **state)
{
    (void)state;
    bench_t b;
    char tokens[2][HP_HUB_RELAY_TOKEN_SIZE], text[100], line[80];
    begin(&b, &(hp_hub_relay_limits_t){0});
    assert_int_equal(hp_hub_relay_open(b.relay, gid, tokens, NULL), 0);
    int one = connect_client(&b), two = greet(&b, tokens[1]);
    snprintf(line, sizeof line, "HOSTPAIR-RELAY/1 %s\r\nfirst", tokens[0]);
    for (const char *p = line; *p != '\0'; p++) {
        send(one, p, 1, MSG_NOSIGNAL);
        turn(&b, 0);
    }
    turn(&b, 30);
    assert_int_equal(hear(two, text, sizeof text), 9);
    assert_string_equal(text, "OK\r\nfirst");
    close(one);
    close(two);
    end(&b);
}

/* 32 MiB one way while the other side reads slowly: every byte arrives, in order. */
static void carries_much_to_a_slow_reader(void **state)
{
    (void)state;
    bench_t b;
    char tokens[2][HP_HUB_RELAY_TOKEN_SIZE];
    static uint8_t out[65536], in[65536];
    begin(&b, &(hp_hub_relay_limits_t){0});
    assert_int_equal(hp_hub_relay_open(b.relay, gid, tokens, NULL), 0);
    int one = greet(&b, tokens[0]), two = greet(&b, tokens[1]);
    turn(&b, 20);
    assert_int_equal(recv(one, in, 4, 0), 4);
    assert_int_equal(recv(two, in, 4, 0), 4);
    uint64_t sent = 0, got = 0, total = (uint64_t)32 << 20;
    while (got < total) {
        size_t length = (size_t)HP_MIN(total - sent, (uint64_t)sizeof out);
        for (size_t i = 0; i < length; i++)
            out[i] = (uint8_t)((sent + i) * 31 >> 3);
        ssize_t n = length > 0 ? send(one, out, length, MSG_NOSIGNAL) : 0;
        sent += n > 0 ? (uint64_t)n : 0;
        uv_run(&b.loop, UV_RUN_NOWAIT);
        n = recv(two, in, sizeof in, 0);
        for (ssize_t i = 0; i < n; i++)
            if (in[i] != (uint8_t)((got + (uint64_t)i) * 31 >> 3))
                fail_msg("byte %llu is wrong", (unsigned long long)(got + (uint64_t)i));
        got += n > 0 ? (uint64_t)n : 0;
    }
    assert_int_equal(hp_hub_relay_counts(b.relay).bytes, total);
    close(one);
    close(two);
    end(&b);
}

static void keeps_its_limit(void **state)
{
    (void)state;
    bench_t b;
    char tokens[2][HP_HUB_RELAY_TOKEN_SIZE];
    static uint8_t out[65536], in[65536];
    begin(&b, &(hp_hub_relay_limits_t){.group_bps = 2000000});
    assert_int_equal(hp_hub_relay_open(b.relay, gid, tokens, NULL), 0);
    int one = greet(&b, tokens[0]), two = greet(&b, tokens[1]);
    turn(&b, 20);
    assert_int_equal(recv(one, in, 4, 0), 4);
    assert_int_equal(recv(two, in, 4, 0), 4);
    uint64_t got = 0, begun = hp_clock_ms();
    while (hp_clock_ms() - begun < 1500) {
        send(one, out, sizeof out, MSG_NOSIGNAL);
        uv_run(&b.loop, UV_RUN_NOWAIT);
        ssize_t n = recv(two, in, sizeof in, 0);
        got += n > 0 ? (uint64_t)n : 0;
        usleep(200);
    }
    printf("%.2f MB/s with a limit of 2 MB/s\n", (double)got / (double)(hp_clock_ms() - begun) / 1000);
    assert_in_range(got, 1500000, 3700000);
    close(one);
    close(two);
    end(&b);
}

static void has_a_limit_of_pairs(void **state)
{
    (void)state;
    bench_t b;
    char tokens[2][HP_HUB_RELAY_TOKEN_SIZE];
    hp_err_t err = {0};
    begin(&b, &(hp_hub_relay_limits_t){.pairs_max = 3});
    for (int i = 0; i < 3; i++)
        assert_int_equal(hp_hub_relay_open(b.relay, gid, tokens, NULL), 0);
    assert_int_equal(hp_hub_relay_open(b.relay, gid, tokens, &err), HP_E_TOO_MANY);
    assert_true(err.detail[0] != '\0');
    end(&b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(joins_two_and_carries_both_ways),
        cmocka_unit_test(lets_nobody_in_with_a_wrong_token),
        cmocka_unit_test(takes_a_line_byte_by_byte_and_nothing_behind_it),
        cmocka_unit_test(carries_much_to_a_slow_reader),
        cmocka_unit_test(keeps_its_limit),
        cmocka_unit_test(has_a_limit_of_pairs),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
