// libs: fetch secure identity path os base
/* Requests to other hosts over TLS: who answers is proven before a byte of the request leaves. */
#include "test_fetch.h"

#include <signal.h>

#include <openssl/err.h>
#include <openssl/ssl.h>

#include "identity/identity.h"
#include "secure/secure.h"

/* ---- hosts ---- */

typedef struct {
    char folder[64];
    hp_identity_t *identity;
    hp_secure_t *secure;
} host_t;

static void host_make(host_t *host)
{
    strcpy(host->folder, "/tmp/hostpair-tls-XXXXXX");
    assert_non_null(mkdtemp(host->folder));
    assert_int_equal(hp_identity_open(&host->identity, host->folder, NULL), 0);
    assert_int_equal(hp_secure_create(&host->secure, host->identity, NULL), 0);
}

static void host_dispose(host_t *host)
{
    char path[100];
    snprintf(path, sizeof path, "%s/%s", host->folder, HP_IDENTITY_FILE);
    unlink(path);
    rmdir(host->folder);
    hp_secure_destroy(host->secure);
    hp_identity_destroy(host->identity);
}

/* This host, the one that answers, and another. */
typedef struct {
    host_t self, other, third;
    client_t client;
    server_t server;
    outcome_t outcome;
} world_t;

/* How the server behaves. */
typedef struct {
    SSL_CTX *context;
    unsigned per_connection; /* requests; then it closes */
    atomic_int decrypted;    /* bytes of requests */
    uint8_t client[32];      /* who asked */
    atomic_bool proven;
} script_t;

static void serve_tls(server_t *server, int fd, int number)
{
    script_t *script = (script_t *)server->script;
    char request[4096];
    (void)number;
    SSL *ssl = SSL_new(script->context);
    SSL_set_fd(ssl, fd);
    if (SSL_accept(ssl) == 1) {
        script->proven = hp_secure_proven(ssl, script->client);
        for (unsigned i = 0; i < script->per_connection; i++) {
            int n = SSL_read(ssl, request, sizeof request);
            if (n <= 0)
                break;
            script->decrypted += n;
            server->requests++;
            static const char reply[] = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi";
            SSL_write(ssl, reply, sizeof reply - 1);
        }
    }
    SSL_free(ssl);
    ERR_clear_error();
}

static int setup(void **state)
{
    world_t *w = hp_alloc(sizeof *w);
    host_make(&w->self);
    host_make(&w->other);
    host_make(&w->third);
    client_start(&w->client);
    hp_fetcher_set_secure(w->client.fetcher, w->self.secure);
    outcome_init(&w->outcome);
    *state = w;
    return 0;
}

static int teardown(void **state)
{
    world_t *w = *state;
    outcome_dispose(&w->outcome);
    client_stop(&w->client);
    host_dispose(&w->self);
    host_dispose(&w->other);
    host_dispose(&w->third);
    free(w);
    return 0;
}

static hp_endpoint_t endpoint_of(const server_t *server, const host_t *expected)
{
    hp_endpoint_t endpoint;
    assert_int_equal(hp_endpoint_make(&endpoint, HP_SCHEME_TLS, "127.0.0.1", server->port), 0);
    if (expected != NULL)
        hp_endpoint_expect(&endpoint, hp_identity_fingerprint(expected->identity));
    return endpoint;
}

static void ask_again(world_t *w, const hp_endpoint_t *endpoint)
{
    outcome_dispose(&w->outcome);
    outcome_init(&w->outcome);
    ask(&w->client, &(hp_fetch_options_t){.endpoint = endpoint, .path = "/x", .connect_ms = 2000},
        &w->outcome);
}

/* ---- the tests ---- */

static void proves_both_sides(void **state)
{
    world_t *w = *state;
    script_t script = {.context = hp_secure_server(w->other.secure), .per_connection = 10};
    server_start(&w->server, serve_tls, &script);
    hp_endpoint_t endpoint = endpoint_of(&w->server, &w->other);
    ask_again(w, &endpoint);
    assert_int_equal(w->outcome.status, 0);
    assert_memory_equal(w->outcome.body, "hi", 2);
    assert_true(w->outcome.head.proven);
    assert_memory_equal(w->outcome.head.fingerprint, hp_identity_fingerprint(w->other.identity), 32);
    assert_true(script.proven);
    assert_memory_equal(script.client, hp_identity_fingerprint(w->self.identity), 32);
    server_stop(&w->server);
}

static void tells_who_answers_when_nobody_is_expected(void **state)
{
    world_t *w = *state;
    script_t script = {.context = hp_secure_server(w->third.secure), .per_connection = 1};
    server_start(&w->server, serve_tls, &script);
    hp_endpoint_t endpoint = endpoint_of(&w->server, NULL);
    ask_again(w, &endpoint);
    assert_int_equal(w->outcome.status, 0);
    assert_true(w->outcome.head.proven);
    assert_memory_equal(w->outcome.head.fingerprint, hp_identity_fingerprint(w->third.identity), 32);
    server_stop(&w->server);
}

static void says_nothing_to_another_host(void **state)
{
    world_t *w = *state;
    script_t script = {.context = hp_secure_server(w->third.secure), .per_connection = 1};
    server_start(&w->server, serve_tls, &script);
    hp_endpoint_t endpoint = endpoint_of(&w->server, &w->other);
    ask_again(w, &endpoint);
    assert_int_equal(w->outcome.status, HP_E_WRONG_KEY);
    assert_non_null(strstr(w->outcome.err.detail, "another host answers at this address"));
    assert_int_equal(w->outcome.heads, 0);
    /* The same where only the id is known. */
    memset(endpoint.fingerprint, 0, sizeof endpoint.fingerprint);
    ask_again(w, &endpoint);
    assert_int_equal(w->outcome.status, HP_E_WRONG_KEY);
    assert_non_null(strstr(w->outcome.err.detail, " instead of "));
    server_stop(&w->server);
    assert_int_equal(script.decrypted, 0);
}

static void uses_a_connection_again_for_the_same_host_alone(void **state)
{
    world_t *w = *state;
    script_t script = {.context = hp_secure_server(w->other.secure), .per_connection = 10};
    server_start(&w->server, serve_tls, &script);
    hp_endpoint_t right = endpoint_of(&w->server, &w->other), wrong = endpoint_of(&w->server, &w->third);
    ask_again(w, &right);
    ask_again(w, &right);
    assert_int_equal(w->outcome.status, 0);
    assert_true(w->outcome.head.reused);
    assert_true(w->outcome.head.proven);
    assert_int_equal(w->server.connections, 1);
    ask_again(w, &wrong);
    assert_int_equal(w->outcome.status, HP_E_WRONG_KEY);
    assert_int_equal(w->server.requests, 2);
    /* By the id alone: first the right one, on a kept connection as well, then another. */
    hp_endpoint_t by_id = right;
    memset(by_id.fingerprint, 0, sizeof by_id.fingerprint);
    ask_again(w, &by_id);
    assert_int_equal(w->outcome.status, 0);
    ask_again(w, &by_id);
    assert_true(w->outcome.head.reused);
    by_id = wrong;
    memset(by_id.fingerprint, 0, sizeof by_id.fingerprint);
    ask_again(w, &by_id);
    assert_int_equal(w->outcome.status, HP_E_WRONG_KEY);
    assert_int_equal(w->server.requests, 4);
    server_stop(&w->server);
}

/* An address changes hands between two requests. */
static void notices_that_the_host_has_changed(void **state)
{
    world_t *w = *state;
    script_t script = {.context = hp_secure_server(w->other.secure), .per_connection = 1};
    server_start(&w->server, serve_tls, &script);
    hp_endpoint_t endpoint = endpoint_of(&w->server, &w->other);
    ask_again(w, &endpoint);
    assert_int_equal(w->outcome.status, 0);
    script.context = hp_secure_server(w->third.secure);
    ask_again(w, &endpoint);
    assert_int_equal(w->outcome.status, HP_E_WRONG_KEY);
    assert_int_equal(w->server.requests, 1);
    server_stop(&w->server);
}

static void repeats_what_a_closed_connection_swallowed(void **state)
{
    world_t *w = *state;
    script_t script = {.context = hp_secure_server(w->other.secure), .per_connection = 1};
    server_start(&w->server, serve_tls, &script);
    hp_endpoint_t endpoint = endpoint_of(&w->server, &w->other);
    for (int i = 0; i < 5; i++) {
        ask_again(w, &endpoint);
        assert_int_equal(w->outcome.status, 0);
        assert_false(w->outcome.head.reused);
    }
    server_stop(&w->server);
}

static void serve_plain(server_t *server, int fd, int number)
{
    char bytes[4096];
    (void)number;
    if (recv(fd, bytes, sizeof bytes, 0) > 0 && server->script != NULL)
        send_text(fd, server->script);
}

static void serve_silence(server_t *server, int fd, int number)
{
    (void)server;
    (void)number;
    wait_for_end(fd);
}

static void tells_what_speaks_no_tls(void **state)
{
    world_t *w = *state;
    static const char *const replies[] = {
        "HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n",
        "<html>no</html>\r\n",
        "x",
        "SSH-2.0-OpenSSH_9.2\r\n",
        NULL, /* closes at once */
    };
    for (size_t i = 0; i < HP_COUNT(replies); i++) {
        server_start(&w->server, serve_plain, replies[i]);
        hp_endpoint_t endpoint = endpoint_of(&w->server, &w->other);
        ask_again(w, &endpoint);
        if (w->outcome.status != HP_E_NOT_TLS)
            fail_msg("%s: %d: %s", replies[i], w->outcome.status, w->outcome.err.detail);
        server_stop(&w->server);
    }
    server_start(&w->server, serve_silence, NULL);
    hp_endpoint_t endpoint = endpoint_of(&w->server, &w->other);
    outcome_init(&w->outcome);
    ask(&w->client, &(hp_fetch_options_t){.endpoint = &endpoint, .path = "/x", .connect_ms = 300},
        &w->outcome);
    assert_int_equal(w->outcome.status, HP_E_NOT_TLS);
    server_stop(&w->server);
    ask_again(w, &endpoint); /* nobody listens any more */
    assert_int_equal(w->outcome.status, HP_E_UNREACHABLE);
}

static SSL_CTX *web_server(int version)
{
    SSL_CTX *context = SSL_CTX_new(TLS_server_method());
    EVP_PKEY *key = EVP_RSA_gen(2048);
    X509 *certificate = X509_new();
    X509_gmtime_adj(X509_getm_notBefore(certificate), 0);
    X509_gmtime_adj(X509_getm_notAfter(certificate), 3600);
    X509_set_pubkey(certificate, key);
    assert_true(X509_sign(certificate, key, EVP_sha256()) > 0);
    SSL_CTX_use_certificate(context, certificate);
    SSL_CTX_use_PrivateKey(context, key);
    SSL_CTX_set_max_proto_version(context, version);
    X509_free(certificate);
    EVP_PKEY_free(key);
    return context;
}

static void takes_no_web_server_for_a_host(void **state)
{
    world_t *w = *state;
    for (int version = TLS1_2_VERSION; version <= TLS1_3_VERSION; version++) {
        script_t script = {.context = web_server(version), .per_connection = 1};
        server_start(&w->server, serve_tls, &script);
        hp_endpoint_t endpoint = endpoint_of(&w->server, NULL);
        ask_again(w, &endpoint);
        if (w->outcome.status != HP_E_TLS)
            fail_msg("%d: %s", w->outcome.status, w->outcome.err.detail);
        server_stop(&w->server);
        assert_int_equal(script.decrypted, 0);
        SSL_CTX_free(script.context);
    }
}

/* The settings of a request to a host must not stay on the handle of one to the web. */
static void goes_on_verifying_web_servers(void **state)
{
    world_t *w = *state;
    script_t script = {.context = hp_secure_server(w->other.secure), .per_connection = 10};
    server_start(&w->server, serve_tls, &script);
    hp_endpoint_t endpoint = endpoint_of(&w->server, &w->other);
    char url[100];
    snprintf(url, sizeof url, "https://127.0.0.1:%u/x", w->server.port);
    for (int i = 0; i < 3; i++) {
        ask_again(w, &endpoint);
        assert_int_equal(w->outcome.status, 0);
        outcome_dispose(&w->outcome);
        outcome_init(&w->outcome);
        ask(&w->client, &(hp_fetch_options_t){.url = url}, &w->outcome);
        assert_int_equal(w->outcome.status, HP_E_CERTIFICATE);
    }
    assert_int_equal(w->server.requests, 3);
    server_stop(&w->server);
}

static void needs_a_key_of_its_own(void **state)
{
    world_t *w = *state;
    script_t script = {.context = hp_secure_server(w->other.secure), .per_connection = 1};
    server_start(&w->server, serve_tls, &script);
    hp_endpoint_t endpoint = endpoint_of(&w->server, &w->other);
    hp_fetcher_set_secure(w->client.fetcher, NULL);
    ask_again(w, &endpoint);
    assert_int_equal(w->outcome.status, HP_E_TLS);
    server_stop(&w->server);
    assert_int_equal(w->server.connections, 0);
}

static void can_be_cancelled_in_a_handshake(void **state)
{
    world_t *w = *state;
    server_start(&w->server, serve_silence, NULL);
    hp_endpoint_t endpoint = endpoint_of(&w->server, &w->other);
    begin(&w->client, &(hp_fetch_options_t){.endpoint = &endpoint, .path = "/x"}, &w->outcome);
    while (w->server.connections == 0)
        uv_run(&w->client.loop, UV_RUN_NOWAIT);
    hp_fetch_cancel(w->outcome.fetch);
    finish(&w->client, &w->outcome);
    assert_int_equal(w->outcome.status, UV_ECANCELED);
    server_stop(&w->server);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    signal(SIGPIPE, SIG_IGN);
    const struct CMUnitTest tests[] = {
        TEST(proves_both_sides),
        TEST(tells_who_answers_when_nobody_is_expected),
        TEST(says_nothing_to_another_host),
        TEST(uses_a_connection_again_for_the_same_host_alone),
        TEST(notices_that_the_host_has_changed),
        TEST(repeats_what_a_closed_connection_swallowed),
        TEST(tells_what_speaks_no_tls),
        TEST(takes_no_web_server_for_a_host),
        TEST(goes_on_verifying_web_servers),
        TEST(needs_a_key_of_its_own),
        TEST(can_be_cancelled_in_a_handshake),
    };
    return cmocka_run_group_tests_name("fetch_tls", tests, NULL, NULL);
}
