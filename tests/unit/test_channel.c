// libs: secure identity path os base
/* TLS between a client of OpenSSL's own and a channel, over memory. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>
#include <openssl/err.h>
#include <openssl/ssl.h>

#include "base/mem.h"
#include "identity/identity.h"
#include "secure/channel.h"
#include "secure/secure.h"

typedef struct {
    char folders[2][64];
    hp_identity_t *server_identity, *client_identity;
    hp_secure_t *server, *client;
    SSL_CTX *context; /* the client's, as hostpair's is */
    SSL *ssl;
    BIO *in, *out; /* the client's wire */
    hp_channel_t *channel;
    hp_channel_sink_t sink;
    ssize_t last; /* what the channel's read returned last */
    char got[65536];
    size_t got_length;
} pair_t;

static void make_identity(char folder[64], hp_identity_t **identity, hp_secure_t **secure)
{
    strcpy(folder, "/tmp/hostpair-channel-XXXXXX");
    assert_non_null(mkdtemp(folder));
    assert_int_equal(hp_identity_open(identity, folder, NULL), 0);
    assert_int_equal(hp_secure_create(secure, *identity, NULL), 0);
}

static int setup(void **state)
{
    pair_t *p = hp_alloc(sizeof *p);
    make_identity(p->folders[0], &p->server_identity, &p->server);
    make_identity(p->folders[1], &p->client_identity, &p->client);
    p->context = SSL_CTX_new(TLS_client_method());
    p->channel = hp_channel_accept(p->server, &p->sink);
    *state = p;
    return 0;
}

static int teardown(void **state)
{
    pair_t *p = *state;
    SSL_free(p->ssl);
    SSL_CTX_free(p->context);
    hp_channel_destroy(p->channel);
    free(p->sink.data);
    hp_secure_destroy(p->server);
    hp_secure_destroy(p->client);
    hp_identity_destroy(p->server_identity);
    hp_identity_destroy(p->client_identity);
    for (int i = 0; i < 2; i++) {
        char path[100];
        snprintf(path, sizeof path, "%s/%s", p->folders[i], HP_IDENTITY_FILE);
        unlink(path);
        rmdir(p->folders[i]);
    }
    free(p);
    return 0;
}

static void connect_client(pair_t *p)
{
    p->ssl = SSL_new(p->context);
    p->in = BIO_new(BIO_s_mem());
    p->out = BIO_new(BIO_s_mem());
    SSL_set_bio(p->ssl, p->in, p->out);
    SSL_set_connect_state(p->ssl);
}

/* Reads until the channel has no more; what it says goes to the client. */
static void read_channel(pair_t *p)
{
    do {
        p->last = hp_channel_read(p->channel, p->got + p->got_length, sizeof p->got - p->got_length);
        if (p->last > 0)
            p->got_length += (size_t)p->last;
    } while (p->last > 0);
    BIO_write(p->in, p->sink.data, (int)p->sink.length);
    p->sink.length = 0;
}

/* Passes what the client has to say to the channel, in pieces of so many bytes, and the answers back. */
static void pass(pair_t *p, size_t piece)
{
    char bytes[32768];
    int n = BIO_read(p->out, bytes, sizeof bytes);
    for (int at = 0; at < n; at += (int)piece) {
        hp_channel_set_input(p->channel, bytes + at, HP_MIN(piece, (size_t)(n - at)));
        read_channel(p);
        assert_true(p->last != 0 || hp_channel_input_left(p->channel) == 0);
    }
}

/* Whether the client's handshake succeeds. */
static bool handshake(pair_t *p, size_t piece)
{
    connect_client(p);
    int rc = 0;
    for (int i = 0; i < 8 && rc != 1; i++) {
        rc = SSL_do_handshake(p->ssl);
        bool failed = rc != 1 && SSL_get_error(p->ssl, rc) != SSL_ERROR_WANT_READ;
        pass(p, piece);
        if (failed)
            break;
    }
    ERR_clear_error();
    return rc == 1;
}

static void as_hostpair(pair_t *p)
{
    assert_int_equal(hp_secure_prepare_client(p->client, p->context), 0);
}

/* ---- the tests ---- */

static void proves_both_sides_to_each_other(void **state)
{
    pair_t *p = *state;
    uint8_t client[32], server[32];
    as_hostpair(p);
    assert_true(handshake(p, 32768));
    assert_true(hp_channel_is_open(p->channel));
    assert_true(hp_channel_proven(p->channel, client));
    assert_memory_equal(client, hp_identity_fingerprint(p->client_identity), 32);
    assert_true(hp_secure_proven(p->ssl, server));
    assert_memory_equal(server, hp_identity_fingerprint(p->server_identity), 32);
    assert_int_equal(SSL_version(p->ssl), TLS1_3_VERSION);
    assert_string_equal(SSL_get_cipher_name(p->ssl), "TLS_AES_128_GCM_SHA256");
}

static void takes_bytes_one_by_one(void **state)
{
    pair_t *p = *state;
    uint8_t client[32];
    char reply[16];
    as_hostpair(p);
    assert_true(handshake(p, 1));
    assert_true(hp_channel_proven(p->channel, client));
    assert_int_equal(SSL_write(p->ssl, "hello", 5), 5);
    pass(p, 1);
    assert_int_equal(p->got_length, 5);
    assert_memory_equal(p->got, "hello", 5);
    assert_int_equal(hp_channel_write(p->channel, "reply", 5), 0);
    read_channel(p);
    assert_int_equal(SSL_read(p->ssl, reply, sizeof reply), 5);
    assert_memory_equal(reply, "reply", 5);
}

static void takes_clients_without_a_certificate_and_of_tls_1_2(void **state)
{
    pair_t *p = *state;
    uint8_t none[32];
    SSL_CTX_set_max_proto_version(p->context, TLS1_2_VERSION);
    assert_true(handshake(p, 32768));
    assert_int_equal(SSL_version(p->ssl), TLS1_2_VERSION);
    assert_true(hp_channel_is_open(p->channel));
    assert_false(hp_channel_proven(p->channel, none));
}

/* A certificate in TLS 1.2 is not an identity. */
static void takes_no_proof_from_tls_1_2(void **state)
{
    pair_t *p = *state;
    uint8_t none[32];
    as_hostpair(p);
    SSL_CTX_set_min_proto_version(p->context, TLS1_2_VERSION);
    SSL_CTX_set_max_proto_version(p->context, TLS1_2_VERSION);
    assert_true(handshake(p, 32768));
    assert_true(hp_channel_is_open(p->channel));
    assert_false(hp_channel_proven(p->channel, none));
}

static void takes_no_proof_from_another_kind_of_key(void **state)
{
    pair_t *p = *state;
    uint8_t none[32];
    EVP_PKEY *key = EVP_RSA_gen(2048);
    X509 *certificate = X509_new();
    X509_set_version(certificate, X509_VERSION_3);
    X509_gmtime_adj(X509_getm_notBefore(certificate), 0);
    X509_gmtime_adj(X509_getm_notAfter(certificate), 3600);
    X509_set_pubkey(certificate, key);
    assert_true(X509_sign(certificate, key, EVP_sha256()) > 0);
    SSL_CTX_use_certificate(p->context, certificate);
    SSL_CTX_use_PrivateKey(p->context, key);
    assert_true(handshake(p, 32768));
    assert_true(hp_channel_is_open(p->channel));
    assert_false(hp_channel_proven(p->channel, none));
    X509_free(certificate);
    EVP_PKEY_free(key);
}

static void refuses_old_versions(void **state)
{
    pair_t *p = *state;
    SSL_CTX_set_security_level(p->context, 0);
    SSL_CTX_set_min_proto_version(p->context, TLS1_VERSION);
    SSL_CTX_set_max_proto_version(p->context, TLS1_1_VERSION);
    assert_false(handshake(p, 32768));
    assert_int_equal(p->last, HP_E_TLS);
    assert_false(hp_channel_is_open(p->channel));
}

static void refuses_weak_suites(void **state)
{
    pair_t *p = *state;
    SSL_CTX_set_security_level(p->context, 0);
    SSL_CTX_set_max_proto_version(p->context, TLS1_2_VERSION);
    assert_int_equal(SSL_CTX_set_cipher_list(p->context, "ECDHE-ECDSA-AES128-SHA:ECDHE-ECDSA-AES128-SHA256:"
                                                         "AES128-GCM-SHA256:eNULL:aNULL"),
                     1);
    assert_false(handshake(p, 32768));
    assert_int_equal(p->last, HP_E_TLS);
}

static void gives_chacha_to_who_prefers_it(void **state)
{
    pair_t *p = *state;
    SSL_CTX_set_ciphersuites(p->context, "TLS_CHACHA20_POLY1305_SHA256:TLS_AES_128_GCM_SHA256");
    assert_true(handshake(p, 32768));
    assert_string_equal(SSL_get_cipher_name(p->ssl), "TLS_CHACHA20_POLY1305_SHA256");
}

static void speaks_http_1_1_alone(void **state)
{
    pair_t *p = *state;
    const uint8_t *chosen;
    unsigned length;
    SSL_CTX_set_alpn_protos(p->context, (const uint8_t *)"\x02h2\x08http/1.1", 12);
    assert_true(handshake(p, 32768));
    SSL_get0_alpn_selected(p->ssl, &chosen, &length);
    assert_int_equal(length, 8);
    assert_memory_equal(chosen, "http/1.1", 8);
}

static void refuses_another_protocol(void **state)
{
    pair_t *p = *state;
    SSL_CTX_set_alpn_protos(p->context,
                            (const uint8_t *)"\x02h2\x03"
                                             "ftp",
                            7);
    assert_false(handshake(p, 32768));
}

/* A browser offers its user the certificates of the named authorities: hostpair's own and no other. */
static void names_an_authority_that_is_its_own(void **state)
{
    pair_t *p = *state;
    char name[100];
    assert_true(handshake(p, 32768));
    const STACK_OF(X509_NAME) *names = SSL_get0_peer_CA_list(p->ssl);
    assert_int_equal(sk_X509_NAME_num(names), 1);
    X509_NAME_oneline(sk_X509_NAME_value(names, 0), name, sizeof name);
    assert_string_equal(name, "/CN=hostpair");
    assert_int_equal(
        X509_NAME_cmp(X509_get_issuer_name(SSL_get0_peer_certificate(p->ssl)), sk_X509_NAME_value(names, 0)),
        0);
}

static void gives_no_tickets_and_resumes_nothing(void **state)
{
    pair_t *p = *state;
    char none[16];
    for (int version = TLS1_2_VERSION; version <= TLS1_3_VERSION; version++) {
        SSL_CTX_set_max_proto_version(p->context, version);
        assert_true(handshake(p, 32768));
        assert_true(SSL_read(p->ssl, none, sizeof none) < 0);
        SSL_SESSION *session = SSL_get1_session(p->ssl);
        assert_false(SSL_SESSION_has_ticket(session));
        SSL_free(p->ssl);
        hp_channel_destroy(p->channel);
        p->channel = hp_channel_accept(p->server, &p->sink);
        connect_client(p);
        SSL_set_session(p->ssl, session);
        SSL_SESSION_free(session);
        for (int i = 0; i < 6; i++) {
            SSL_do_handshake(p->ssl);
            pass(p, 32768);
        }
        assert_true(SSL_is_init_finished(p->ssl));
        assert_false(SSL_session_reused(p->ssl));
        SSL_free(p->ssl);
        p->ssl = NULL;
        hp_channel_destroy(p->channel);
        p->channel = hp_channel_accept(p->server, &p->sink);
    }
}

static void refuses_to_renegotiate(void **state)
{
    pair_t *p = *state;
    char none[16];
    SSL_CTX_set_max_proto_version(p->context, TLS1_2_VERSION);
    assert_true(handshake(p, 32768));
    assert_int_equal(SSL_renegotiate(p->ssl), 1);
    SSL_do_handshake(p->ssl);
    pass(p, 32768);
    assert_true(SSL_read(p->ssl, none, sizeof none) < 0);
    assert_int_equal(ERR_GET_REASON(ERR_peek_last_error()), SSL_R_NO_RENEGOTIATION);
    ERR_clear_error();
}

static void says_why_it_breaks_off(void **state)
{
    pair_t *p = *state;
    char none[16];
    as_hostpair(p);
    assert_true(handshake(p, 32768));
    uint8_t garbage[40] = {0x17, 3, 3, 0, 35};
    hp_channel_set_input(p->channel, garbage, sizeof garbage);
    read_channel(p);
    assert_int_equal(p->last, HP_E_TLS);
    assert_true(SSL_read(p->ssl, none, sizeof none) <= 0);
    assert_int_equal(ERR_GET_REASON(ERR_peek_last_error()), SSL_R_SSLV3_ALERT_BAD_RECORD_MAC);
    ERR_clear_error();
    assert_int_equal(hp_channel_write(p->channel, "x", 1), HP_E_TLS);
    assert_int_equal(p->sink.length, 0);
    assert_int_equal(hp_channel_read(p->channel, none, sizeof none), HP_E_TLS);
}

static void tells_an_end_from_a_cut(void **state)
{
    pair_t *p = *state;
    char reply[16];
    as_hostpair(p);
    assert_true(handshake(p, 32768));
    assert_int_equal(SSL_write(p->ssl, "last", 4), 4);
    SSL_shutdown(p->ssl);
    pass(p, 32768);
    assert_int_equal(p->got_length, 4);
    assert_int_equal(p->last, HP_CHANNEL_END);
    /* The other direction goes on. */
    assert_int_equal(hp_channel_write(p->channel, "reply", 5), 0);
    hp_channel_end(p->channel);
    BIO_write(p->in, p->sink.data, (int)p->sink.length);
    assert_int_equal(SSL_read(p->ssl, reply, sizeof reply), 5);
    assert_int_equal(SSL_read(p->ssl, reply, sizeof reply), 0);
    assert_int_equal(SSL_get_error(p->ssl, 0), SSL_ERROR_ZERO_RETURN);
}

static void answers_a_change_of_keys(void **state)
{
    pair_t *p = *state;
    char reply[16];
    as_hostpair(p);
    assert_true(handshake(p, 32768));
    for (int i = 0; i < 3; i++) {
        assert_int_equal(SSL_key_update(p->ssl, SSL_KEY_UPDATE_REQUESTED), 1);
        assert_int_equal(SSL_write(p->ssl, "again", 5), 5);
        pass(p, 7);
        assert_int_equal(hp_channel_write(p->channel, "reply", 5), 0);
        read_channel(p);
        assert_int_equal(SSL_read(p->ssl, reply, sizeof reply), 5);
    }
    assert_int_equal(p->got_length, 15);
}

static void carries_large_pieces(void **state)
{
    pair_t *p = *state;
    char *sent = hp_alloc(300000), *got = hp_alloc(300000);
    for (size_t i = 0; i < 300000; i++)
        sent[i] = (char)(i * 2654435761u >> 13);
    as_hostpair(p);
    assert_true(handshake(p, 32768));
    assert_int_equal(hp_channel_write(p->channel, sent, 300000), 0);
    assert_true(p->sink.length < 300000 + 19 * 32);
    BIO_write(p->in, p->sink.data, (int)p->sink.length);
    p->sink.length = 0;
    for (int have = 0; have < 300000;) {
        int n = SSL_read(p->ssl, got + have, 300000 - have);
        assert_true(n > 0);
        have += n;
    }
    assert_memory_equal(got, sent, 300000);
    free(sent);
    free(got);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(proves_both_sides_to_each_other),
        TEST(takes_bytes_one_by_one),
        TEST(takes_clients_without_a_certificate_and_of_tls_1_2),
        TEST(takes_no_proof_from_tls_1_2),
        TEST(takes_no_proof_from_another_kind_of_key),
        TEST(refuses_old_versions),
        TEST(refuses_weak_suites),
        TEST(gives_chacha_to_who_prefers_it),
        TEST(speaks_http_1_1_alone),
        TEST(refuses_another_protocol),
        TEST(names_an_authority_that_is_its_own),
        TEST(gives_no_tickets_and_resumes_nothing),
        TEST(refuses_to_renegotiate),
        TEST(says_why_it_breaks_off),
        TEST(tells_an_end_from_a_cut),
        TEST(answers_a_change_of_keys),
        TEST(carries_large_pieces),
    };
    return cmocka_run_group_tests_name("channel", tests, NULL, NULL);
}
