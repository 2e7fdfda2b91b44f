// libs: http pool secure identity path os base
/* TLS on a listener: both kinds on one port, who is proven, what arrives, how many are let in. */
#include "test_http_secured.h"

#include <ifaddrs.h>
#include <net/if.h>

static SSL_CTX *context_of(const host_t *host)
{
    SSL_CTX *context = SSL_CTX_new(TLS_client_method());
    assert_int_equal(hp_secure_prepare_client(host->secure, context), 0);
    return context;
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
        TEST(bodies_of_every_size_arrive),
        TEST(a_client_that_says_its_end_gets_its_reply),
        TEST(hosts_behind_one_address_do_not_share_a_limit),
        TEST(one_too_many_is_told_by_an_alert),
    };
    return cmocka_run_group_tests_name("http_secured", tests, NULL, NULL);
}
