// libs: http pool secure identity path os base
/* TLS on a listener, by clients that mean no good: what drips, what never ends, what comes after an error. */
#include "test_http.h"

#include <ifaddrs.h>
#include <net/if.h>
#include <sys/resource.h>

#define GET(path) "GET " path " HTTP/1.1\r\nHost: h\r\n\r\n"
#define MIB       ((size_t)1024 * 1024)

static hp_who_t seen; /* who sent the last request */
static size_t body_length;

static void on_request(void *arg, hp_http_request_t *request)
{
    (void)arg;
    seen = *hp_http_who(request);
    hp_http_body(request, &body_length);
    if (strcmp(hp_http_path(request), "/large") == 0) {
        static char body[8 * 1024 * 1024];
        hp_http_reply(request, 200, "text/plain", body, sizeof body);
    } else {
        hp_http_reply(request, 200, "text/plain", hp_http_path(request), strlen(hp_http_path(request)));
    }
}

static hp_http_options_t options(unsigned stuck_ms, unsigned idle_ms)
{
    memset(&seen, 0, sizeof seen);
    return (hp_http_options_t){
        .stuck_ms = stuck_ms, .idle_ms = idle_ms, .handler = on_request, .secure = secure_server()};
}

static size_t connection_count(void)
{
    return hp_http_connections(listener, NULL, 0);
}

static SSL_CTX *context_of(const host_t *host)
{
    SSL_CTX *context = SSL_CTX_new(TLS_client_method());
    assert_int_equal(hp_secure_prepare_client(host->secure, context), 0);
    return context;
}

static client_t *open_tls(SSL_CTX *context)
{
    client_t *c = client_connect(0);
    client_use_tls(c, context);
    client_shake_hands(c);
    return c;
}

/* Whether the listener still does what it should. */
static void check_alive(void)
{
    client_t *c = open_tls(client_context);
    client_send(c, GET("/alive"));
    assert_int_equal(status_of(client_reply(c, NULL)), 200);
    client_close(c);
}

/* ---- the first byte ---- */

static void both_kinds_share_a_port(void **state)
{
    (void)state;
    listen_with(options(0, 0));
    client_t *plain = client_ask(GET("/plain"));
    assert_int_equal(status_of(client_reply(plain, NULL)), 200);
    assert_false(seen.encrypted);
    client_t *tls = open_tls(client_context);
    client_send(tls, GET("/a") GET("/b"));
    assert_int_equal(status_of(client_reply(tls, NULL)), 200);
    assert_int_equal(status_of(client_reply(tls, NULL)), 200);
    assert_true(seen.encrypted);
    assert_string_equal(seen.id, "");
    assert_int_equal(seen.way, HP_WAY_LAN);
    assert_string_equal(seen.address, "127.0.0.1");
}

static void drip(client_t *c)
{
    char byte;
    while (BIO_read(c->out, &byte, 1) == 1) {
        client_send_bytes(c, &byte, 1);
        turn();
    }
}

static void bytes_may_come_one_by_one(void **state)
{
    (void)state;
    listen_with(options(0, 0));
    client_t *plain = client_connect(0);
    for (const char *at = GET("/plain"); *at != '\0'; at++) {
        client_send_bytes(plain, at, 1);
        turn();
    }
    assert_int_equal(status_of(client_reply(plain, NULL)), 200);
    client_t *tls = client_connect(0);
    client_use_tls(tls, client_context);
    SSL_do_handshake(tls->ssl);
    drip(tls);
    wait_until(SSL_is_init_finished(tls->ssl));
    drip(tls);
    assert_int_equal(SSL_write(tls->ssl, GET("/tls"), sizeof GET("/tls") - 1), sizeof GET("/tls") - 1);
    drip(tls);
    assert_int_equal(status_of(client_reply(tls, NULL)), 200);
    assert_true(seen.encrypted);
}

/* ---- who it is ---- */

static void a_host_is_known_by_its_key(void **state)
{
    (void)state;
    host_t host;
    host_make(&host);
    SSL_CTX *context = context_of(&host);
    listen_with(options(0, 0));
    client_t *c = open_tls(context);
    client_send(c, GET("/a"));
    assert_int_equal(status_of(client_reply(c, NULL)), 200);
    assert_string_equal(seen.id, hp_identity_id(host.identity));
    assert_memory_equal(seen.fingerprint, hp_identity_fingerprint(host.identity), 32);
    hp_http_connection_t listed;
    assert_int_equal(hp_http_connections(listener, &listed, 1), 1);
    assert_string_equal(listed.host, seen.id);
    assert_true(listed.encrypted);
    SSL_CTX_free(context);
    host_dispose(&host);
}

/* buffer: of the listener's end; 0: as large as usual */
static client_t *serve_pair(const hp_who_t *who, int buffer)
{
    int pair[2];
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, pair), 0);
    if (buffer > 0)
        setsockopt(pair[0], SOL_SOCKET, SO_SNDBUF, &buffer, sizeof buffer);
    client_t *c = hp_alloc(sizeof *c);
    *c = (client_t){.fd = pair[1], .reads = true, .data = hp_strdup(""), .next = clients};
    clients = c;
    hp_http_serve_fd(listener, pair[0], who);
    return c;
}

static void a_way_that_proves_is_believed(void **state)
{
    (void)state;
    hp_who_t who = {.id = "00112233445566778899aabbccddeeff",
                    .fingerprint = {0, 0x11, 0x22},
                    .way = HP_WAY_DIRECT,
                    .encrypted = true,
                    .address = "203.0.113.7",
                    .port = 99};
    listen_with(options(0, 0));
    client_t *c = serve_pair(&who, 0);
    client_send(c, GET("/a"));
    assert_int_equal(status_of(client_reply(c, NULL)), 200);
    assert_memory_equal(&seen, &who, sizeof who);
}

static void who_comes_through_a_relay_has_to_prove_itself(void **state)
{
    (void)state;
    host_t host;
    host_make(&host);
    SSL_CTX *context = context_of(&host);
    hp_who_t who = {.way = HP_WAY_RELAYED, .address = "203.0.113.7"};
    listen_with(options(0, 0));
    client_t *plain = serve_pair(&who, 0);
    client_send(plain, GET("/plain"));
    wait_until(plain->ended);
    assert_int_equal(plain->length, 0);
    client_t *anonymous = serve_pair(&who, 0);
    client_use_tls(anonymous, client_context);
    SSL_do_handshake(anonymous->ssl);
    client_flush(anonymous);
    wait_until(SSL_is_init_finished(anonymous->ssl));
    SSL_write(anonymous->ssl, GET("/a"), sizeof GET("/a") - 1);
    client_flush(anonymous);
    wait_until(anonymous->ended);
    assert_int_equal(anonymous->length, 0);
    assert_string_equal(seen.address, "");
    client_t *c = serve_pair(&who, 0);
    client_use_tls(c, context);
    client_shake_hands(c);
    client_send(c, GET("/a"));
    assert_int_equal(status_of(client_reply(c, NULL)), 200);
    assert_int_equal(seen.way, HP_WAY_RELAYED);
    assert_string_equal(seen.id, hp_identity_id(host.identity));
    assert_string_equal(seen.address, "203.0.113.7");
    SSL_CTX_free(context);
    host_dispose(&host);
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
        client_use_tls(many[i], client_context);
        SSL_do_handshake(many[i]->ssl);
        char *bytes;
        long length = BIO_get_mem_data(many[i]->out, &bytes);
        assert_int_equal(send(many[i]->fd, bytes, (size_t)length, 0), length);
        (void)BIO_reset(many[i]->out);
        many[i]->reads = false; /* their part takes time of the same thread */
        if (i % 100 == 99)      /* the listener's backlog is not what is tested */
            while (connection_count() < i + 1)
                uv_run(&loop, UV_RUN_NOWAIT);
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

/* ---- what works ---- */

static void bodies_of_every_size_arrive(void **state)
{
    (void)state;
    hp_http_options_t roomy = options(0, 0);
    roomy.body_max = 4 * MIB;
    listen_with(roomy);
    client_t *c = open_tls(client_context);
    static char body[3 * 1024 * 1024 + 1];
    memset(body, 'x', sizeof body - 1);
    for (size_t size = 1; size < sizeof body; size = size * 3 + 1) {
        char head[200];
        snprintf(head, sizeof head, "POST /a HTTP/1.1\r\nHost: h\r\nContent-Length: %zu\r\n\r\n", size);
        client_send(c, head);
        for (size_t at = 0, n; at < size; at += n) {
            char piece[20000];
            n = HP_MIN(size - at, 1 + at * 7919 % 16000);
            memset(piece, 'x', n);
            piece[n] = '\0';
            client_send(c, piece);
        }
        assert_int_equal(status_of(client_reply(c, NULL)), 200);
        assert_int_equal(body_length, size);
    }
}

static void a_client_that_says_its_end_gets_its_reply(void **state)
{
    (void)state;
    listen_with(options(0, 0));
    client_t *c = open_tls(client_context);
    client_send(c, GET("/large"));
    SSL_shutdown(c->ssl);
    client_flush(c);
    shutdown(c->fd, SHUT_WR);
    client_reply(c, NULL);
    wait_until(c->ended);
    assert_int_equal(c->error, 0);
}

/* ---- limits ---- */

static const char *own_address(void)
{
    static char text[INET_ADDRSTRLEN];
    struct ifaddrs *all = NULL;
    if (getifaddrs(&all) != 0)
        return NULL;
    text[0] = '\0';
    for (const struct ifaddrs *at = all; at != NULL && text[0] == '\0'; at = at->ifa_next)
        if (at->ifa_addr != NULL && at->ifa_addr->sa_family == AF_INET && (at->ifa_flags & IFF_LOOPBACK) == 0)
            inet_ntop(AF_INET, &((struct sockaddr_in *)at->ifa_addr)->sin_addr, text, sizeof text);
    freeifaddrs(all);
    return text[0] != '\0' ? text : NULL;
}

static client_t *open_from(const char *address, SSL_CTX *context)
{
    client_t *c = client_connect(0);
    struct sockaddr_in where = {.sin_family = AF_INET, .sin_port = htons(hp_http_port(listener))};
    close(c->fd);
    c->fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_int_equal(inet_pton(AF_INET, address, &where.sin_addr), 1);
    assert_int_equal(connect(c->fd, (struct sockaddr *)&where, sizeof where), 0);
    if (context != NULL) {
        client_use_tls(c, context);
        client_shake_hands(c);
    }
    return c;
}

static bool is_served(client_t *c)
{
    client_send(c, GET("/a"));
    wait_until(c->ended || strstr(c->data, "\r\n\r\n") != NULL);
    return strncmp(c->data, "HTTP/1.1 200", 12) == 0;
}

/* Several hosts behind one address have their own limits; one that makes keys has that of the address. */
static void hosts_behind_one_address_do_not_share_a_limit(void **state)
{
    (void)state;
    const char *address = own_address();
    if (address == NULL)
        skip();
    host_t hosts[3];
    SSL_CTX *contexts[3];
    hp_http_options_t limited = options(0, 0);
    limited.per_address_max = 2;
    limited.name = "test";
    limited.server = "test/1";
    assert_int_equal(hp_http_listen(&listener, &loop, "0.0.0.0", 0, &limited, NULL), 0);
    for (size_t i = 0; i < 3; i++) {
        host_make(&hosts[i]);
        contexts[i] = context_of(&hosts[i]);
    }
    for (size_t i = 0; i < 3; i++) {
        assert_true(is_served(open_from(address, contexts[i])));
        assert_true(is_served(open_from(address, contexts[i])));
        client_t *third = open_from(address, contexts[i]);
        assert_false(is_served(third));
        assert_has(third->data, "503");
        wait_until(connection_count() == 2 * (i + 1));
    }
    assert_true(is_served(open_from(address, NULL)));
    assert_true(is_served(open_from(address, client_context)));
    client_t *guest = open_from(address, NULL);
    wait_until(guest->ended); /* 8 are all that an address may have */
    for (size_t i = 0; i < 3; i++) {
        SSL_CTX_free(contexts[i]);
        host_dispose(&hosts[i]);
    }
}

static void one_too_many_is_told_by_an_alert(void **state)
{
    (void)state;
    hp_http_options_t limited = options(0, 0);
    limited.connections_max = 1;
    listen_with(limited);
    client_t *busy = client_connect(4096);
    client_use_tls(busy, client_context);
    client_shake_hands(busy);
    busy->reads = false;
    client_send(busy, GET("/large"));
    wait_until(seen.encrypted);
    char *bytes;
    client_t *c = client_connect(0);
    client_use_tls(c, client_context);
    SSL_do_handshake(c->ssl);
    long length = BIO_get_mem_data(c->out, &bytes);
    assert_int_equal(send(c->fd, bytes, (size_t)length, 0), length);
    char got[64] = "";
    c->reads = false;
    ssize_t n = 0;
    for (int i = 0; i < 1000 && n <= 0; i++) {
        turn();
        n = recv(c->fd, got, sizeof got, MSG_DONTWAIT);
    }
    assert_int_equal(n, 7);
    assert_int_equal(got[0], 0x15);
    assert_int_equal(got[5], 2);
    assert_int_equal(got[6], 80);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        TEST(both_kinds_share_a_port),
        TEST(bytes_may_come_one_by_one),
        TEST(a_host_is_known_by_its_key),
        TEST(a_way_that_proves_is_believed),
        TEST(who_comes_through_a_relay_has_to_prove_itself),
        TEST(a_handshake_has_its_time_once),
        TEST(who_sends_nothing_is_ended_as_idle),
        TEST(a_greeting_without_end_is_cut),
        TEST(a_thousand_handshakes_at_once_hold_up_nobody),
        TEST(a_broken_record_behind_a_request_is_the_clients_end),
        TEST(what_follows_the_end_is_not_kept),
        TEST(changes_of_keys_without_end_do_not_fill_memory),
        TEST(pipelined_requests_of_a_client_that_does_not_read_are_bounded),
        TEST(bodies_of_every_size_arrive),
        TEST(a_client_that_says_its_end_gets_its_reply),
        TEST(hosts_behind_one_address_do_not_share_a_limit),
        TEST(one_too_many_is_told_by_an_alert),
    };
    return cmocka_run_group_tests_name("http_secured", tests, NULL, NULL);
}
