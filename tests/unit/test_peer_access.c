// libs: peer inbox message discovery http fetch share store db secure identity path os base
/* Who is let in, by the access setting: guests in plain and over TLS, hosts, and those that people trust. */
#include "test_http.h"

#include <ftw.h>

#include "peer/peer.h"

#define MIB ((size_t)1024 * 1024)

static const hp_self_t self = {.id = "0123456789abcdef0123456789abcdef", .name = "attic"};
static char *folder;
static hp_store_t *store;
static hp_share_t *share;
static hp_peer_t *peer;
static host_t stranger, friend;
static SSL_CTX *stranger_context, *friend_context;

static bool is_friend(void *arg, const char *id)
{
    (void)arg;
    return friend.identity != NULL && strcmp(id, hp_identity_id(friend.identity)) == 0;
}

static int remove_one(const char *path, const struct stat *st, int kind, struct FTW *ftw)
{
    (void)st, (void)kind, (void)ftw;
    return remove(path);
}

static void write_file(const char *shared, const char *name, size_t size)
{
    char *path = hp_sprintf("%s/%s", shared, name);
    FILE *file = fopen(path, "w");
    assert_non_null(file);
    assert_int_equal(ftruncate(fileno(file), (off_t)size), 0);
    fclose(file);
    free(path);
}

static SSL_CTX *host_context(const host_t *host)
{
    SSL_CTX *context = SSL_CTX_new(TLS_client_method());
    assert_int_equal(hp_secure_prepare_client(host->secure, context), 0);
    return context;
}

static int open_peer(void **state)
{
    hp_err_t err = {0};
    set_up(state);
    hp_peer_options_t options = {.address = "127.0.0.1", .secure = secure_server(), .is_trusted = is_friend};
    host_make(&stranger);
    host_make(&friend);
    stranger_context = host_context(&stranger);
    friend_context = host_context(&friend);
    folder = hp_strdup("/tmp/hostpair-access-XXXXXX");
    assert_non_null(mkdtemp(folder));
    char *data = hp_sprintf("%s/data", folder), *shared = hp_sprintf("%s/shared", folder);
    int rc = hp_store_create(&store, &loop, data, &err);
    if (rc == 0)
        rc = hp_share_create(&share, &loop, store, shared, &err);
    write_file(shared, "small", 5);
    write_file(shared, "large", 64 * MIB);
    if (rc == 0)
        rc = hp_peer_create(&peer, &loop, &options, share, &self, &err);
    if (rc != 0)
        fail_msg("%s", hp_err_text(&err));
    hp_share_start(share);
    listener = hp_peer_listener(peer);
    free(data);
    free(shared);
    return 0;
}

static int close_peer(void **state)
{
    bool gone = false;
    listener = NULL;
    hp_peer_destroy(peer, on_listener_gone, &gone);
    wait_until(gone);
    gone = false;
    hp_share_destroy(share, on_listener_gone, &gone);
    wait_until(gone);
    gone = false;
    hp_store_destroy(store, on_listener_gone, &gone);
    wait_until(gone);
    SSL_CTX_free(stranger_context);
    SSL_CTX_free(friend_context);
    host_dispose(&stranger);
    host_dispose(&friend);
    nftw(folder, remove_one, 16, FTW_DEPTH | FTW_PHYS);
    free(folder);
    return tear_down(state);
}

/* Who asks, in the order of how much they prove. */
enum { PLAIN, ANONYMOUS, STRANGER, FRIEND, KINDS };
static const char *const kinds[] = {"in plain", "without a certificate", "a stranger", "a friend"};

static client_t *client_of(int kind)
{
    SSL_CTX *contexts[] = {NULL, client_context, stranger_context, friend_context};
    client_t *c = client_connect(0);
    if (contexts[kind] != NULL) {
        client_use_tls(c, contexts[kind]);
        client_shake_hands(c);
    }
    return c;
}

static int ask(int kind, const char *method, const char *path, const char **body)
{
    char request[300];
    client_t *c = client_of(kind);
    snprintf(request, sizeof request, "%s %s HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n", method, path);
    client_send(c, request);
    if (strcmp(method, "HEAD") != 0)
        return status_of(client_reply(c, body));
    wait_until(c->ended);
    return status_of(c->data);
}

/* first: the kinds from here on are let in. */
static void check(int first)
{
    static const struct {
        const char *method, *path;
        int status;
    } asked[] = {{"GET", "/", 200},           {"GET", "/list", 200},
                 {"GET", "/small", 200},      {"GET", "/files/small", 200},
                 {"HEAD", "/small", 200},     {"GET", "/nothing", 404},
                 {"GET", "/manifest/x", 404}, {"PROPFIND", "/files/small", 207},
                 {"OPTIONS", "/files/", 200}, {"PUT", "/files/new", 405},
                 {"POST", "/message", 405},   {"GET", "/hostpair/have/x", 404}};
    for (int kind = 0; kind < KINDS; kind++) {
        for (size_t i = 0; i < HP_COUNT(asked); i++) {
            int status = ask(kind, asked[i].method, asked[i].path, NULL);
            int expected = kind >= first ? asked[i].status : 403;
            if (status != expected)
                fail_msg("%s %s, %s: %d instead of %d", asked[i].method, asked[i].path, kinds[kind], status,
                         expected);
        }
        assert_int_equal(ask(kind, "GET", "/hostpair", NULL), 200);
        assert_int_equal(ask(kind, "HEAD", "/%68ostpair", NULL), 200);
    }
}

static void everyone_is_let_in_at_first(void **state)
{
    (void)state;
    check(PLAIN);
}

static void hosts_alone_are_let_in(void **state)
{
    (void)state;
    hp_peer_set_access(peer, HP_ACCESS_HOSTS);
    check(STRANGER);
    hp_peer_set_access(peer, HP_ACCESS_EVERYONE);
    check(PLAIN);
}

static void paired_hosts_alone_are_let_in(void **state)
{
    (void)state;
    hp_peer_set_access(peer, HP_ACCESS_PAIRED);
    check(FRIEND);
    /* To pair, one must be able to ask for it. */
    assert_int_equal(ask(STRANGER, "GET", "/hostpair/pair", NULL), 404);
    assert_int_equal(ask(ANONYMOUS, "GET", "/hostpair/pair", NULL), 403);
}

static void who_is_shut_out_is_told_why(void **state)
{
    (void)state;
    const char *body;
    hp_peer_set_access(peer, HP_ACCESS_PAIRED);
    assert_int_equal(ask(STRANGER, "GET", "/list", &body), 403);
    assert_has(body, "paired with only");
    assert_int_equal(ask(PLAIN, "GET", "/", &body), 403);
    assert_has(body, "<h1>Files of attic</h1>");
    assert_has(body, "not with browsers");
    assert_has_not(body, "small");
    hp_peer_set_access(peer, HP_ACCESS_HOSTS);
    assert_int_equal(ask(PLAIN, "GET", "/list", &body), 403);
    assert_has(body, "prove who they are");
}

/* One that comes through a hub's relay, under a key of its own. */
static client_t *client_from_afar(SSL_CTX *context)
{
    client_t *c = serve_pair(&(hp_who_t){.way = HP_WAY_RELAYED, .address = "203.0.113.7"}, 0);
    client_use_tls(c, context);
    client_shake_hands(c);
    return c;
}

static int ask_from_afar(SSL_CTX *context, const char *path, const char **body)
{
    char request[300];
    client_t *c = client_from_afar(context);
    snprintf(request, sizeof request, "GET %s HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n", path);
    client_send(c, request);
    return status_of(client_reply(c, body));
}

/* A relay connects whomever its hub likes, and who has stolen a token: everyone is everyone in this network.
 */
static void from_afar_only_friends_come_in(void **state)
{
    (void)state;
    const char *body;
    for (int access = HP_ACCESS_EVERYONE; access <= HP_ACCESS_PAIRED; access++) {
        hp_peer_set_access(peer, (hp_access_t)access);
        assert_int_equal(ask_from_afar(stranger_context, "/small", &body), 403);
        assert_has(body, "members of its groups only");
        assert_int_equal(ask_from_afar(stranger_context, "/hostpair", NULL), 403);
        assert_int_equal(ask_from_afar(stranger_context, "/hostpair/pair", NULL), 403);
        assert_int_equal(ask_from_afar(friend_context, "/small", NULL), 200);
    }
}

static size_t connection_count(void)
{
    return hp_http_connections(listener, NULL, 0);
}

static void a_change_cuts_what_runs(void **state)
{
    (void)state;
    client_t *clients_of[KINDS];
    for (int kind = 0; kind < KINDS; kind++) {
        clients_of[kind] = client_of(kind);
        clients_of[kind]->reads = false;
        client_send(clients_of[kind], "GET /large HTTP/1.1\r\nHost: h\r\n\r\n");
    }
    wait_until(connection_count() == 4 && hp_http_bytes_sent(listener) > MIB);
    hp_peer_set_access(peer, HP_ACCESS_HOSTS);
    wait_until(connection_count() == 2);
    clients_of[PLAIN]->reads = clients_of[ANONYMOUS]->reads = true;
    wait_until(clients_of[PLAIN]->ended && clients_of[ANONYMOUS]->ended);
    assert_true(clients_of[PLAIN]->length < 64 * MIB);
    assert_true(clients_of[ANONYMOUS]->length < 64 * MIB);
    hp_peer_set_access(peer, HP_ACCESS_PAIRED);
    wait_until(connection_count() == 1);
    clients_of[FRIEND]->reads = true;
    wait_until(clients_of[FRIEND]->length > 64 * MIB);
    /* It is trusted no more. */
    hp_identity_t *identity = friend.identity;
    friend.identity = NULL;
    hp_peer_check_access(peer);
    wait_until(connection_count() == 0);
    friend.identity = identity;
}

static void who_is_a_friend_no_more_is_cut_off_from_afar(void **state)
{
    (void)state;
    client_t *c = client_from_afar(friend_context);
    client_t *near = client_of(FRIEND);
    c->reads = false;
    client_send(c, "GET /large HTTP/1.1\r\nHost: h\r\n\r\n");
    client_send(near, "GET /small HTTP/1.1\r\nHost: h\r\n\r\n");
    wait_until(connection_count() == 2 && hp_http_bytes_sent(listener) > MIB / 4);
    hp_identity_t *identity = friend.identity;
    friend.identity = NULL;
    hp_peer_check_access(peer);
    wait_until(connection_count() == 1); /* everyone may come in from here */
    c->reads = true;
    wait_until(c->ended);
    assert_true(c->length < 64 * MIB);
    friend.identity = identity;
}

/* The reply to a request for a file; plain: it says that its sender wants content in plain. */
static const char *ask_content_by(client_t *c, bool plain)
{
    const char *body;
    client_send(c, "GET /small HTTP/1.1\r\nHost: h\r\nConnection: close\r\n");
    client_send(c, plain ? "Hostpair-Content: plain\r\n\r\n" : "\r\n");
    client_reply(c, &body);
    return c->data;
}

static const char *ask_content(int kind, bool plain)
{
    return ask_content_by(client_of(kind), plain);
}

static void check_offers(bool to_hosts)
{
    for (int kind = PLAIN; kind < KINDS; kind++) {
        bool offered = strcasestr(ask_content(kind, false), "\r\nHostpair-Content: plain\r\n") != NULL;
        if (offered != (to_hosts && kind >= STRANGER))
            fail_msg("content in plain is %soffered to %s", offered ? "" : "not ", kinds[kind]);
    }
    assert_has_not(ask_content_by(client_from_afar(friend_context), false), "Hostpair-Content");
}

static void content_in_plain_is_offered_to_proven_hosts_where_everyone_is_let_in(void **state)
{
    (void)state;
    check_offers(false);
    hp_peer_set_plain_content(peer, true);
    check_offers(true);
    assert_int_equal(status_of(ask_content(PLAIN, true)), 200);
    hp_peer_set_access(peer, HP_ACCESS_HOSTS);
    assert_has_not(ask_content(FRIEND, false), "Hostpair-Content");
    assert_int_equal(status_of(ask_content(PLAIN, true)), 403);
    hp_peer_set_access(peer, HP_ACCESS_EVERYONE);
    hp_peer_set_plain_content(peer, false);
    assert_int_equal(status_of(ask_content(PLAIN, true)), 403);
    assert_int_equal(status_of(ask_content(FRIEND, true)), 200); /* over TLS the field means nothing */
}

static bool all_are_served(size_t count)
{
    hp_http_connection_t connections[3];
    bool all = hp_http_connections(listener, connections, HP_COUNT(connections)) == count;
    for (size_t i = 0; i < count && all; i++)
        all = connections[i].requests > 0;
    return all;
}

static void an_offer_of_plain_content_that_ends_cuts_what_it_let_begin(void **state)
{
    (void)state;
    client_t *guest = client_of(PLAIN), *host = client_of(PLAIN), *secret = client_of(FRIEND);
    hp_peer_set_plain_content(peer, true);
    guest->reads = host->reads = secret->reads = false;
    client_send(guest, "GET /large HTTP/1.1\r\nHost: h\r\n\r\n");
    client_send(host, "GET /large HTTP/1.1\r\nHost: h\r\nHostpair-Content: plain\r\n\r\n");
    client_send(secret, "GET /large HTTP/1.1\r\nHost: h\r\nHostpair-Content: plain\r\n\r\n");
    wait_until(all_are_served(3) && hp_http_bytes_sent(listener) > MIB);
    hp_peer_set_plain_content(peer, false);
    wait_until(connection_count() == 2);
    guest->reads = host->reads = secret->reads = true;
    wait_until(host->ended && guest->length > 64 * MIB && secret->length > 64 * MIB);
    assert_true(host->length < 64 * MIB);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, open_peer, close_peer)
    const struct CMUnitTest tests[] = {
        TEST(everyone_is_let_in_at_first),
        TEST(hosts_alone_are_let_in),
        TEST(paired_hosts_alone_are_let_in),
        TEST(who_is_shut_out_is_told_why),
        TEST(a_change_cuts_what_runs),
        TEST(from_afar_only_friends_come_in),
        TEST(who_is_a_friend_no_more_is_cut_off_from_afar),
        TEST(content_in_plain_is_offered_to_proven_hosts_where_everyone_is_let_in),
        TEST(an_offer_of_plain_content_that_ends_cuts_what_it_let_begin),
    };
    return cmocka_run_group_tests_name("peer_access", tests, NULL, NULL);
}
