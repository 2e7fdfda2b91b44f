// libs: fetch secure identity path os base
/* Requests to members of groups, which a connector reaches: here it joins each connection to the test's
 * server. */
#include "test_fetch.h"

#include <fcntl.h>

static const uint8_t fingerprint[32] = {0xab, 0xcd, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15};

/* ---- the connector ---- */

typedef struct {
    server_t server;
    client_t client;
    outcome_t outcome;
    hp_way_t way;
    int error;    /* of choose; 0: it finds a way */
    bool refuse;  /* to dial */
    bool never;   /* choose does not answer */
    bool unknown; /* the host is no member */
    unsigned chosen, dialled;
    char id[33];
    hp_connector_chosen_fn answer;
    void *answer_arg;
    uv_timer_t timer;
} world_t;

static void on_timer(uv_timer_t *timer)
{
    world_t *w = timer->data;
    hp_err_t err;
    w->chosen++;
    if (w->error != 0)
        hp_err_set(&err, w->error, "both networks change ports on every connection");
    w->answer(w->answer_arg, w->way, w->error != 0 ? &err : NULL);
}

static int choose(void *arg, const char *id, hp_connector_chosen_fn chosen, void *chosen_arg)
{
    world_t *w = arg;
    snprintf(w->id, sizeof w->id, "%s", id);
    w->answer = chosen;
    w->answer_arg = chosen_arg;
    if (!w->never && !w->unknown)
        uv_timer_start(&w->timer, on_timer, 5, 0);
    return w->unknown ? HP_E_NOT_FOUND : 0;
}

typedef struct {
    int from, to;
} copy_t;

static void *copy(void *arg)
{
    copy_t *ends = arg;
    char buffer[65536];
    ssize_t n;
    while ((n = read(ends->from, buffer, sizeof buffer)) > 0)
        if (send(ends->to, buffer, (size_t)n, MSG_NOSIGNAL) != n)
            break;
    shutdown(ends->to, SHUT_RDWR);
    shutdown(ends->from, SHUT_RDWR);
    return NULL;
}

static void *carry(void *arg)
{
    copy_t *there = arg, back = {there->to, there->from};
    pthread_t thread;
    pthread_create(&thread, NULL, copy, &back);
    copy(there);
    pthread_join(thread, NULL);
    close(there->from);
    close(there->to);
    free(there);
    return NULL;
}

static void dial(void *arg, const char *id, hp_way_t way, int fd)
{
    world_t *w = arg;
    assert_string_equal(id, w->id);
    assert_int_equal(way, w->way);
    w->dialled++;
    if (w->refuse) {
        close(fd);
        return;
    }
    struct sockaddr_in where = {
        .sin_family = AF_INET, .sin_port = htons(w->server.port), .sin_addr = {htonl(INADDR_LOOPBACK)}};
    copy_t *ends = malloc(sizeof *ends);
    pthread_t thread;
    fcntl(fd, F_SETFL, 0);
    *ends = (copy_t){fd, socket(AF_INET, SOCK_STREAM, 0)};
    assert_int_equal(connect(ends->to, (struct sockaddr *)&where, sizeof where), 0);
    pthread_create(&thread, NULL, carry, ends);
    pthread_detach(thread);
}

static int setup(void **state)
{
    world_t *w = hp_alloc(sizeof *w);
    hp_connector_t connector = {.choose = choose, .dial = dial, .arg = w};
    server_start(&w->server, serve_pattern, NULL);
    client_start(&w->client);
    uv_timer_init(&w->client.loop, &w->timer);
    w->timer.data = w;
    w->way = HP_WAY_DIRECT;
    assert_int_equal(hp_fetcher_set_connector(w->client.fetcher, &connector, NULL), 0);
    outcome_init(&w->outcome);
    *state = w;
    return 0;
}

static int teardown(void **state)
{
    world_t *w = *state;
    outcome_dispose(&w->outcome);
    uv_close((uv_handle_t *)&w->timer, NULL);
    client_stop(&w->client);
    server_stop(&w->server);
    free(w);
    return 0;
}

static void ask_member(world_t *w, const char *path)
{
    hp_endpoint_t endpoint;
    hp_endpoint_member(&endpoint, fingerprint);
    outcome_dispose(&w->outcome);
    outcome_init(&w->outcome);
    ask(&w->client, &(hp_fetch_options_t){.endpoint = &endpoint, .path = path, .connect_ms = 2000},
        &w->outcome);
}

/* ---- tests ---- */

static void a_member_is_asked_through_the_connector(void **state)
{
    world_t *w = *state;
    ask_member(w, "/1000000");
    assert_pattern(&w->outcome, 1000000);
    assert_string_equal(w->id, "abcd0102030405060708090a0b0c0d0e");
    assert_true(w->outcome.head.proven);
    assert_memory_equal(w->outcome.head.fingerprint, fingerprint, 32);
}

static void a_connection_is_kept_for_the_next_request(void **state)
{
    world_t *w = *state;
    for (int i = 0; i < 5; i++) {
        ask_member(w, "/100");
        assert_pattern(&w->outcome, 100);
    }
    assert_int_equal(w->chosen, 5);
    assert_int_equal(w->dialled, 1);
}

static void why_there_is_no_way_is_told(void **state)
{
    world_t *w = *state;
    w->error = HP_E_UNREACHABLE;
    ask_member(w, "/100");
    assert_int_equal(w->outcome.status, HP_E_UNREACHABLE);
    assert_non_null(strstr(w->outcome.err.detail, "both networks change ports"));
    assert_int_equal(w->dialled, 0);
}

static void a_host_that_is_no_member_cannot_be_reached(void **state)
{
    world_t *w = *state;
    w->unknown = true;
    ask_member(w, "/100");
    assert_int_equal(w->outcome.status, HP_E_UNREACHABLE);
    assert_non_null(strstr(w->outcome.err.detail, "member of no group"));
}

static void a_way_that_has_gone_ends_the_request(void **state)
{
    world_t *w = *state;
    w->refuse = true;
    ask_member(w, "/100");
    assert_true(w->outcome.status != 0);
    w->refuse = false;
    ask_member(w, "/100");
    assert_pattern(&w->outcome, 100);
}

static void a_relayed_way_is_never_plain(void **state)
{
    world_t *w = *state;
    w->way = HP_WAY_RELAYED; /* and there is no key to speak TLS with */
    ask_member(w, "/100");
    assert_int_equal(w->outcome.status, HP_E_TLS);
    assert_int_equal(w->server.requests, 0);
}

static void a_request_can_be_cancelled_while_a_way_is_looked_for(void **state)
{
    world_t *w = *state;
    hp_endpoint_t endpoint;
    hp_endpoint_member(&endpoint, fingerprint);
    w->never = true;
    outcome_dispose(&w->outcome);
    outcome_init(&w->outcome);
    begin(&w->client, &(hp_fetch_options_t){.endpoint = &endpoint, .path = "/1"}, &w->outcome);
    for (int i = 0; i < 5; i++)
        uv_run(&w->client.loop, UV_RUN_NOWAIT);
    hp_fetch_cancel(w->outcome.fetch);
    while (w->outcome.dones == 0)
        uv_run(&w->client.loop, UV_RUN_ONCE);
    assert_int_equal(w->outcome.status, UV_ECANCELED);
    on_timer(&w->timer); /* the answer comes late and finds nobody */
}

int main(void)
{
    const struct CMUnitTest tests[] = {
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
        TEST(a_member_is_asked_through_the_connector),
        TEST(a_connection_is_kept_for_the_next_request),
        TEST(why_there_is_no_way_is_told),
        TEST(a_host_that_is_no_member_cannot_be_reached),
        TEST(a_way_that_has_gone_ends_the_request),
        TEST(a_relayed_way_is_never_plain),
        TEST(a_request_can_be_cancelled_while_a_way_is_looked_for),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
