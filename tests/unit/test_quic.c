// libs: tunnel identity path pool os base
/* Two QUIC engines on loopback: what one writes into a stream's descriptor the other reads, whatever is lost
 * on the way; nobody with another key gets in. This program's own sendmsg stands before the system's, and
 * loses, cuts and refuses as a test says. */
#include <stdlib.h>
#include <string.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <arpa/inet.h>
#include <cmocka.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/udp.h>
#include <stdbool.h>
#include <stdio.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>
#include <uv.h>

#include "base/clock.h"
#include "base/mem.h"
#include "identity/identity.h"
#include "tunnel/internal.h"
#include "tunnel/stun.h"

/* ---- the network ---- */

static struct {
    bool refuse_trains, dead;
    unsigned lose; /* of 1000 datagrams */
    unsigned trains, single, lost;
    uint64_t seed;
} network;

static bool is_lost(void)
{
    network.seed = network.seed * 6364136223846793005u + 1442695040888963407u;
    return network.dead || (network.seed >> 33) % 1000 < network.lose;
}

ssize_t sendmsg(int fd, const struct msghdr *message, int flags)
{
    if (message->msg_name == NULL) /* a stream */
        return syscall(SYS_sendmsg, fd, message, flags);
    bool train = message->msg_controllen > 0;
    if (train && network.refuse_trains) {
        errno = EIO;
        return -1;
    }
    *(train ? &network.trains : &network.single) += 1;
    if (is_lost()) {
        network.lost++;
        return (ssize_t)message->msg_iov[0].iov_len;
    }
    return syscall(SYS_sendmsg, fd, message, flags);
}

/* ---- two hosts ---- */

typedef struct side {
    char folder[64];
    hp_identity_t *identity;
    hp_quic_t *quic;
    hp_udp_t *udp;
    hp_quic_conn_t *conn;
    hp_quic_peer_t expected; /* what accept() says */
    bool accepts, up;
    unsigned made, accept_calls, down;
    hp_quic_end_t end;
    hp_err_t err;
    int incoming[512];
    size_t incoming_count;
} side_t;

static uv_loop_t loop;
static hp_pending_t pending;
static side_t a, b; /* a dials b */

static void on_usable(void *arg, hp_quic_conn_t *conn)
{
    (void)arg;
    assert_true(hp_quic_is_usable(conn));
}

static void on_up(void *arg, hp_quic_conn_t *conn)
{
    (void)conn;
    ((side_t *)arg)->up = true;
}

static void on_stream(void *arg, hp_quic_conn_t *conn, int fd)
{
    (void)conn;
    side_t *side = arg;
    assert_true(side->incoming_count < HP_COUNT(side->incoming));
    side->incoming[side->incoming_count++] = fd;
}

static void on_down(void *arg, hp_quic_conn_t *conn, hp_quic_end_t end, const hp_err_t *err)
{
    (void)conn;
    side_t *side = arg;
    side->down++;
    side->end = end;
    side->err = *err;
    side->conn = NULL;
}

static bool accept_peer(void *arg, hp_udp_t *udp, const hp_sockaddr_t *from, hp_quic_peer_t *peer)
{
    side_t *side = arg;
    (void)udp;
    (void)from;
    side->accept_calls++;
    *peer = side->expected;
    return side->accepts;
}

static void on_made(void *arg, const hp_quic_peer_t *peer, hp_quic_conn_t *conn)
{
    side_t *side = arg;
    (void)peer;
    side->conn = conn;
    side->made++;
}

static void on_train(void *arg, hp_udp_t *udp, const uint8_t *data, size_t length, size_t segment,
                     const hp_sockaddr_t *from)
{
    for (size_t at = 0; at < length; at += segment)
        hp_quic_datagram(((side_t *)arg)->quic, udp, data + at, HP_MIN(segment, length - at), from,
                         hp_clock_ns());
}

static void on_writable(void *arg, hp_udp_t *udp)
{
    hp_quic_writable(((side_t *)arg)->quic, udp);
}

static void start_side(side_t *side)
{
    hp_err_t err = {0};
    *side = (side_t){.accepts = true};
    snprintf(side->folder, sizeof side->folder, "/tmp/hp-quic-XXXXXX");
    assert_non_null(mkdtemp(side->folder));
    assert_int_equal(hp_identity_open(&side->identity, side->folder, &err), 0);
    hp_quic_options_t options = {
        .identity = side->identity, .accept = accept_peer, .made = on_made, .arg = side};
    assert_int_equal(hp_quic_create(&side->quic, &loop, &options, &pending, &err), 0);
    hp_udp_events_t events = {.train = on_train, .writable = on_writable, .arg = side};
    assert_int_equal(hp_udp_create(&side->udp, &loop, AF_INET, 0, &events, &pending), 0);
    side->expected.events = (hp_quic_events_t){
        .usable = on_usable, .up = on_up, .stream = on_stream, .down = on_down, .arg = side};
}

static int set_up(void **state)
{
    (void)state;
    memset(&network, 0, sizeof network);
    network.seed = 42;
    uv_loop_init(&loop);
    start_side(&a);
    start_side(&b);
    memcpy(a.expected.fingerprint, hp_identity_fingerprint(b.identity), HP_FINGERPRINT_SIZE);
    memcpy(b.expected.fingerprint, hp_identity_fingerprint(a.identity), HP_FINGERPRINT_SIZE);
    return 0;
}

static void stop_side(side_t *side)
{
    char path[128];
    hp_quic_destroy(side->quic);
    hp_udp_release(side->udp);
    hp_identity_destroy(side->identity);
    for (size_t i = 0; i < side->incoming_count; i++)
        if (side->incoming[i] >= 0)
            close(side->incoming[i]);
    snprintf(path, sizeof path, "%s/%s", side->folder, HP_IDENTITY_FILE);
    unlink(path);
    rmdir(side->folder);
}

static int tear_down(void **state)
{
    (void)state;
    stop_side(&a);
    stop_side(&b);
    uv_run(&loop, UV_RUN_DEFAULT);
    assert_int_equal(pending.count, 0);
    assert_int_equal(uv_loop_close(&loop), 0);
    return 0;
}

static void on_tick(uv_timer_t *timer)
{
    (void)timer;
}

/* Runs the loop until the condition holds or the time is up. */
static bool wait_until(bool (*condition)(void), unsigned ms)
{
    uv_timer_t tick;
    uint64_t end = hp_clock_ms() + ms;
    uv_timer_init(&loop, &tick);
    uv_timer_start(&tick, on_tick, 5, 5);
    while (!condition() && hp_clock_ms() < end)
        uv_run(&loop, UV_RUN_ONCE);
    uv_close((uv_handle_t *)&tick, NULL);
    uv_run(&loop, UV_RUN_NOWAIT);
    return condition();
}

static void dial(void)
{
    hp_err_t err = {0};
    hp_sockaddr_t to = *hp_udp_local(b.udp);
    to.v4.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    assert_int_equal(hp_quic_dial(a.quic, a.udp, &to, &a.expected, &a.conn, &err), 0);
}

static bool both_up(void)
{
    return a.up && b.up;
}

static bool both_down(void)
{
    return a.down > 0 && b.down > 0;
}

static bool a_down(void)
{
    return a.down > 0;
}

static bool b_down(void)
{
    return b.down > 0;
}

static void connect_both(void)
{
    dial();
    assert_true(wait_until(both_up, 10000));
}

/* ---- flows: a thread writes or reads one end of a descriptor ---- */

typedef struct flow {
    uv_thread_t thread;
    int fd;
    size_t length;
    uint32_t seed;
    size_t got;
    bool wrong, clean, ended;
} flow_t;

static uint8_t byte_at(uint32_t seed, size_t at)
{
    return (uint8_t)((at * 31 + (at >> 8) + (at >> 16) * 7) ^ seed);
}

static void write_flow(void *arg)
{
    flow_t *flow = arg;
    uint8_t data[8192];
    for (size_t at = 0; at < flow->length;) {
        size_t now = HP_MIN(sizeof data, flow->length - at);
        for (size_t i = 0; i < now; i++)
            data[i] = byte_at(flow->seed, at + i);
        for (size_t put = 0; put < now;) {
            ssize_t rc = send(flow->fd, data + put, now - put, MSG_NOSIGNAL);
            if (rc <= 0)
                return;
            put += (size_t)rc;
        }
        at += now;
    }
    shutdown(flow->fd, SHUT_WR);
}

static void read_flow(void *arg)
{
    flow_t *flow = arg;
    uint8_t data[65536];
    ssize_t rc;
    while ((rc = recv(flow->fd, data, sizeof data, 0)) > 0)
        for (ssize_t i = 0; i < rc; i++)
            flow->wrong = flow->wrong || data[i] != byte_at(flow->seed, flow->got++);
    flow->clean = rc == 0;
    __atomic_store_n(&flow->ended, true, __ATOMIC_SEQ_CST);
}

static void block(int fd)
{
    fcntl(fd, F_SETFL, fcntl(fd, F_GETFL) & ~O_NONBLOCK);
}

static void start_flow(flow_t *flow, void (*fn)(void *arg), int fd, size_t length, uint32_t seed)
{
    *flow = (flow_t){.fd = fd, .length = length, .seed = seed};
    block(fd);
    assert_int_equal(uv_thread_create(&flow->thread, fn, flow), 0);
}

/* Opens a stream from a; returns this side's end. */
static int open_stream(void)
{
    int pair[2];
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair), 0);
    hp_quic_open(a.conn, pair[0]);
    return pair[1];
}

static flow_t there, back, here, home;

static bool flows_ended(void)
{
    return __atomic_load_n(&there.ended, __ATOMIC_SEQ_CST) && __atomic_load_n(&home.ended, __ATOMIC_SEQ_CST);
}

static bool b_has_stream(void)
{
    return b.incoming_count > 0;
}

/* A stream with bytes both ways at once: a writes what there reads, b writes what home reads. */
static void carry(size_t length, unsigned ms)
{
    int fd = open_stream();
    start_flow(&here, write_flow, fd, length, 1);
    start_flow(&home, read_flow, fd, length, 2);
    assert_true(wait_until(b_has_stream, 10000));
    start_flow(&there, read_flow, b.incoming[0], length, 1);
    start_flow(&back, write_flow, b.incoming[0], length, 2);
    bool ended = wait_until(flows_ended, ms);
    if (!ended) { /* let the threads go */
        shutdown(fd, SHUT_RDWR);
        shutdown(b.incoming[0], SHUT_RDWR);
    }
    uv_thread_join(&here.thread);
    uv_thread_join(&there.thread);
    uv_thread_join(&back.thread);
    uv_thread_join(&home.thread);
    close(fd);
    assert_true(ended);
    assert_int_equal(there.got, length);
    assert_int_equal(home.got, length);
    assert_true(there.clean && home.clean);
    assert_false(there.wrong || home.wrong);
}

/* ---- tests ---- */

static void bytes_arrive_in_order_both_ways(void **state)
{
    (void)state;
    connect_both();
    carry((size_t)16 << 20, 60000);
    assert_true(network.trains > 0);
    assert_int_equal(a.quic->out.used + b.quic->out.used, 0);
}

static void bytes_arrive_one_at_a_time_where_trains_are_refused(void **state)
{
    (void)state;
    network.refuse_trains = true;
    connect_both();
    carry((size_t)4 << 20, 60000);
    assert_int_equal(network.trains, 0);
    assert_true(network.single > 1000);
}

static void bytes_arrive_when_packets_are_lost(void **state)
{
    (void)state;
    network.lose = 30;
    network.refuse_trains = true; /* each is lost by itself */
    connect_both();
    carry((size_t)2 << 20, 120000);
    assert_true(network.lost > 20);
}

static void a_host_that_shows_another_key_is_refused(void **state)
{
    (void)state;
    a.expected.fingerprint[0] ^= 1;
    dial();
    assert_true(wait_until(both_down, 10000));
    assert_false(a.up || b.up);
    assert_int_equal(a.end, HP_QUIC_WRONG_KEY);
    assert_string_equal(a.err.detail, "what answers there is another host: it showed another key");
    assert_int_equal(b.end, HP_QUIC_WRONG_KEY);
}

static void a_client_with_another_key_is_refused(void **state)
{
    (void)state;
    b.expected.fingerprint[31] ^= 1;
    dial();
    assert_true(wait_until(both_down, 10000));
    assert_false(a.up || b.up);
    assert_int_equal(b.end, HP_QUIC_WRONG_KEY);
    assert_int_equal(a.end, HP_QUIC_WRONG_KEY);
    assert_int_equal(b.incoming_count, 0);
}

static void a_stranger_makes_no_connection(void **state)
{
    (void)state;
    b.accepts = false;
    dial();
    assert_true(wait_until(a_down, HP_QUIC_HANDSHAKE_MS + 3000));
    assert_int_equal(a.end, HP_QUIC_LOST);
    assert_true(b.accept_calls > 0);
    assert_int_equal(b.made, 0);
    assert_true(hp_list_is_empty(&b.quic->conns));
}

static void a_network_that_goes_dead_is_noticed(void **state)
{
    (void)state;
    connect_both();
    int fd = open_stream();
    assert_int_equal(send(fd, "x", 1, 0), 1);
    assert_true(wait_until(b_has_stream, 5000));
    network.dead = true;
    uint64_t from = hp_clock_ms();
    assert_int_equal(send(fd, "y", 1, 0), 1);
    assert_true(wait_until(a_down, 6000));
    assert_in_range(hp_clock_ms() - from, 1500, 4000);
    assert_int_equal(a.end, HP_QUIC_LOST);
    char byte;
    assert_true(recv(fd, &byte, 1, MSG_DONTWAIT) <= 0);
    close(fd);
}

static void both_sides_learn_that_one_closed(void **state)
{
    (void)state;
    connect_both();
    hp_quic_close(b.conn);
    assert_true(wait_until(both_down, 5000));
    assert_int_equal(a.end, HP_QUIC_CLOSED);
    assert_int_equal(b.end, HP_QUIC_CLOSED);
}

static void a_connection_that_is_closed_while_it_is_used_is_lost(void **state)
{
    (void)state;
    connect_both();
    int fd = open_stream();
    assert_int_equal(send(fd, "x", 1, 0), 1);
    assert_true(wait_until(b_has_stream, 5000));
    hp_quic_close(b.conn);
    assert_true(wait_until(both_down, 5000));
    assert_int_equal(a.end, HP_QUIC_LOST);
    assert_int_equal(b.end, HP_QUIC_CLOSED);
    close(fd);
}

static size_t b_waits; /* streams that b is to have */

static bool b_has_enough(void)
{
    return b.incoming_count >= b_waits;
}

static void more_streams_than_allowed_wait_for_their_turn(void **state)
{
    (void)state;
    enum { STREAMS = 300 };
    static int fds[STREAMS];
    connect_both();
    for (int i = 0; i < STREAMS; i++) {
        fds[i] = open_stream();
        assert_int_equal(send(fds[i], "?", 1, 0), 1);
    }
    b_waits = HP_QUIC_STREAMS;
    assert_true(wait_until(b_has_enough, 5000));
    assert_int_equal(b.incoming_count, HP_QUIC_STREAMS);
    for (size_t done = 0; done < STREAMS; done++) { /* one ends, one begins */
        b_waits = done + 1;
        assert_true(wait_until(b_has_enough, 5000));
        close(b.incoming[done]);
        b.incoming[done] = -1;
        shutdown(fds[done], SHUT_WR);
    }
    for (int i = 0; i < STREAMS; i++)
        close(fds[i]);
}

static bool in_is_full(void)
{
    return b.quic->held > 150000; /* of 256 KiB that a stream may send before it is read */
}

static void a_reader_that_stands_still_holds_the_writer(void **state)
{
    (void)state;
    connect_both();
    int fd = open_stream();
    start_flow(&here, write_flow, fd, (size_t)64 << 20, 1);
    assert_true(wait_until(b_has_stream, 5000));
    assert_true(wait_until(in_is_full, 20000));
    wait_until(a_down, 200);
    assert_in_range(b.quic->held, 150000, HP_QUIC_STREAM_WINDOW);
    assert_in_range(a.quic->out.used, 1, (size_t)3 << 20); /* what is read ahead, and what is under way */
    close(b.incoming[0]);                                  /* the reader goes: the writer must learn it */
    b.incoming[0] = -1;
    assert_true(wait_until(both_up, 1));
    uint64_t end = hp_clock_ms() + 5000;
    while (hp_quic_streams(a.conn) > 0 && hp_clock_ms() < end)
        uv_run(&loop, UV_RUN_ONCE);
    assert_int_equal(hp_quic_streams(a.conn), 0);
    uv_thread_join(&here.thread);
    close(fd);
    assert_int_equal(b.quic->held, 0);
    assert_int_equal(a.quic->out.used, 0);
}

static void a_reader_gets_the_bytes_that_came_before_the_connection_ended(void **state)
{
    (void)state;
    connect_both();
    int fd = open_stream();
    assert_int_equal(send(fd, "whole", 5, 0), 5);
    shutdown(fd, SHUT_WR);
    assert_true(wait_until(b_has_stream, 5000));
    wait_until(b_down, 100);
    hp_quic_close(a.conn);
    assert_true(wait_until(both_down, 5000));
    char text[8] = "";
    block(b.incoming[0]);
    assert_int_equal(recv(b.incoming[0], text, sizeof text, MSG_WAITALL), 5);
    assert_string_equal(text, "whole");
    close(fd);
}

static void garbage_is_dropped(void **state)
{
    (void)state;
    connect_both();
    hp_sockaddr_t from = *hp_udp_local(a.udp);
    from.v4.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    uint8_t data[1500];
    uint32_t seed = 7;
    b.accepts = false;
    for (int i = 0; i < 2000; i++) {
        for (size_t k = 0; k < sizeof data; k++)
            data[k] = (uint8_t)((seed = seed * 1664525 + 1013904223) >> 24);
        hp_quic_datagram(b.quic, b.udp, data, seed % sizeof data, &from, hp_clock_ns());
    }
    assert_int_equal(b.made, 1);
    carry(100000, 20000);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(bytes_arrive_in_order_both_ways, set_up, tear_down),
        cmocka_unit_test_setup_teardown(bytes_arrive_one_at_a_time_where_trains_are_refused, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(bytes_arrive_when_packets_are_lost, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_host_that_shows_another_key_is_refused, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_client_with_another_key_is_refused, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_stranger_makes_no_connection, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_network_that_goes_dead_is_noticed, set_up, tear_down),
        cmocka_unit_test_setup_teardown(both_sides_learn_that_one_closed, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_connection_that_is_closed_while_it_is_used_is_lost, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(more_streams_than_allowed_wait_for_their_turn, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_reader_that_stands_still_holds_the_writer, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_reader_gets_the_bytes_that_came_before_the_connection_ended, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(garbage_is_dropped, set_up, tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
