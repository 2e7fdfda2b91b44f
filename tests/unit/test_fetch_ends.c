// libs: fetch path os base
/* How requests end: cancelled, timed out, torn down with the fetcher. */
#include "test_fetch.h"

/* ---- cancel ---- */

static void serve_nothing(server_t *server, int fd, int number)
{
    char request[8192];
    const char *reply = server->script;
    (void)number;
    while (read_request(server, fd, request, sizeof request))
        if (reply != NULL && !send_text(fd, reply))
            return;
}

static bool has_request(void *arg)
{
    return ((server_t *)arg)->requests > 0;
}

static bool has_head(void *arg)
{
    return ((outcome_t *)arg)->heads > 0;
}

static void assert_cancelled(client_t *client, outcome_t *outcome)
{
    int heads = outcome->heads;
    size_t length = outcome->length;
    hp_fetch_cancel(outcome->fetch);
    assert_int_equal(outcome->dones, 0);
    hp_fetch_cancel(outcome->fetch); /* twice is once */
    hp_fetch_resume(outcome->fetch);
    finish(client, outcome);
    assert_int_equal(outcome->status, UV_ECANCELED);
    assert_int_equal(outcome->heads, heads);
    assert_int_equal(outcome->length, length);
    outcome_dispose(outcome);
    outcome_init(outcome);
}

static void a_request_can_be_cancelled_at_every_stage(void **state)
{
    (void)state;
    server_t server;
    client_t client;
    outcome_t outcome;
    outcome_init(&outcome);
    server_start(&server, serve_nothing, NULL);
    client_start(&client);
    hp_fetch_options_t options = {.endpoint = at(&server), .path = "/x"};
    /* before anything */
    begin(&client, &options, &outcome);
    assert_cancelled(&client, &outcome);
    assert_int_equal(server.requests, 0);
    /* a request that would have failed */
    options.path = "nonsense";
    begin(&client, &options, &outcome);
    assert_cancelled(&client, &outcome);
    /* after every number of turns while it connects and asks */
    options.path = "/x";
    for (int turns = 1; turns < 8; turns++) {
        begin(&client, &options, &outcome);
        for (int i = 0; i < turns; i++)
            uv_run(&client.loop, UV_RUN_NOWAIT);
        assert_cancelled(&client, &outcome);
    }
    /* while it waits for the reply */
    server.requests = 0;
    begin(&client, &options, &outcome);
    assert_true(run_until(&client, has_request, &server));
    assert_cancelled(&client, &outcome);
    server_stop(&server);

    /* inside the header section, after it, inside the body */
    static const char *const replies[] = {OK "Content-Le", OK "Content-Length: 100\r\n\r\n",
                                          OK "Content-Length: 100\r\n\r\nhello"};
    for (size_t i = 0; i < HP_COUNT(replies); i++) {
        server_start(&server, serve_nothing, replies[i]);
        options.endpoint = at(&server);
        options.path = "/x";
        begin(&client, &options, &outcome);
        assert_true(i == 0 ? run_until(&client, has_request, &server)
                           : run_until(&client, has_head, &outcome));
        run_for(&client, 10);
        assert_cancelled(&client, &outcome);
        server_stop(&server);
    }

    /* inside on_data, while held, and in the turn in which it ends */
    server_start(&server, serve_pattern, NULL);
    options.endpoint = at(&server);
    options.path = "/3000000";
    outcome.cancel_at = 500000;
    ask(&client, &options, &outcome);
    assert_int_equal(outcome.status, UV_ECANCELED);
    assert_in_range(outcome.length, 500000, 516384);
    outcome_dispose(&outcome);
    outcome_init(&outcome);
    outcome.hold = holds_always;
    begin(&client, &options, &outcome);
    assert_true(run_until(&client, is_holding, &outcome));
    assert_cancelled(&client, &outcome);
    options.path = "/5";
    outcome.cancel_at = 5;
    ask(&client, &options, &outcome);
    assert_int_equal(outcome.status, UV_ECANCELED);
    assert_int_equal(outcome.length, 5);
    outcome_dispose(&outcome);
    client_stop(&client);
    server_stop(&server);
}

/* ---- time-outs ---- */

static void silence_ends_a_request(void **state)
{
    (void)state;
    static const char *const replies[] = {NULL, OK "Content-Le", OK "Content-Length: 100\r\n\r\n",
                                          OK "Content-Length: 100\r\n\r\nhello"};
    client_t client;
    client_start(&client);
    for (size_t i = 0; i < HP_COUNT(replies); i++) {
        server_t server;
        outcome_t outcome;
        server_start(&server, serve_nothing, replies[i]);
        outcome_init(&outcome);
        hp_fetch_options_t options = {.endpoint = at(&server), .path = "/x", .stall_ms = 150};
        uint64_t before = uv_hrtime();
        ask(&client, &options, &outcome);
        uint64_t ms = (uv_hrtime() - before) / 1000000;
        assert_int_equal(outcome.status, HP_E_STALLED);
        assert_in_range(ms, 130, 5000);
        outcome_dispose(&outcome);
        server_stop(&server);
    }
    client_stop(&client);
}

/* A byte every few milliseconds: never silent, never finished. */
static void serve_drops(server_t *server, int fd, int number)
{
    char request[8192];
    (void)number;
    if (!read_request(server, fd, request, sizeof request) ||
        !send_text(fd, OK "Content-Length: 1000000\r\n\r\n"))
        return;
    while (send_text(fd, "x"))
        usleep(20000);
}

static void drops_do_not_stall_but_the_total_ends_them(void **state)
{
    (void)state;
    server_t server;
    client_t client;
    outcome_t outcome;
    server_start(&server, serve_drops, NULL);
    client_start(&client);
    outcome_init(&outcome);
    hp_fetch_options_t options = {.endpoint = at(&server), .path = "/x", .stall_ms = 1000, .total_ms = 1500};
    uint64_t before = uv_hrtime();
    ask(&client, &options, &outcome);
    uint64_t ms = (uv_hrtime() - before) / 1000000;
    if (outcome.status != HP_E_TIMEOUT)
        fail_msg("%s", hp_err_text(&outcome.err));
    assert_in_range(ms, 1480, 10000);
    outcome_dispose(&outcome);
    client_stop(&client);
    server_stop(&server);
}

static _Atomic int ends_seen;

/* Keeps the connection, then ends its side of it, and waits for the other side's end. */
static void serve_and_leave(server_t *server, int fd, int number)
{
    char request[8192], byte;
    const struct timeval wait = {.tv_sec = 5};
    (void)number;
    if (!read_request(server, fd, request, sizeof request) ||
        !send_text(fd, OK "Content-Length: 2\r\n\r\nok"))
        return;
    usleep(50000);
    if (server->script != NULL) /* as TLS does, before its end */
        send_text(fd, server->script);
    usleep(50000);
    shutdown(fd, SHUT_WR);
    setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &wait, sizeof wait);
    if (recv(fd, &byte, 1, 0) == 0)
        ends_seen++;
}

static bool has_seen_end(void *arg)
{
    (void)arg;
    return ends_seen > 0;
}

static void an_unused_connection_that_the_other_side_ended_is_ended_here(void **state)
{
    (void)state;
    const char *const last[] = {NULL, "a last word"};
    for (size_t i = 0; i < HP_COUNT(last); i++) {
        server_t server;
        client_t client;
        outcome_t outcome;
        ends_seen = 0;
        server_start(&server, serve_and_leave, last[i]);
        client_start(&client);
        outcome_init(&outcome);
        hp_fetch_options_t options = {.endpoint = at(&server), .path = "/x"};
        ask(&client, &options, &outcome);
        assert_int_equal(outcome.status, 0);
        assert_true(run_until(&client, has_seen_end, NULL));
        outcome_dispose(&outcome);
        client_stop(&client);
        server_stop(&server);
    }
}

static bool sleeps_once(void *arg)
{
    int *calls = arg;
    if ((*calls)++ == 0)
        usleep(600000);
    return false;
}

static void a_late_loop_is_not_the_other_sides_silence(void **state)
{
    (void)state;
    server_t server;
    client_t client;
    outcome_t outcome;
    int calls = 0;
    server_start(&server, serve_pattern, NULL);
    client_start(&client);
    outcome_init(&outcome);
    outcome.hold = sleeps_once; /* something else blocks the loop for longer than the stall clock */
    outcome.hold_arg = &calls;
    hp_fetch_options_t options = {.endpoint = at(&server), .path = "/30000000", .stall_ms = 400};
    ask(&client, &options, &outcome);
    assert_pattern(&outcome, 30000000);
    outcome_dispose(&outcome);
    client_stop(&client);
    server_stop(&server);
}

static void a_fast_reply_ends_at_the_total_as_well(void **state)
{
    (void)state;
    server_t server;
    client_t client;
    outcome_t outcome;
    server_start(&server, serve_pattern, NULL);
    client_start(&client);
    outcome_init(&outcome);
    static const hp_fetch_callbacks_t dropping = {on_outcome_head, NULL, on_outcome_done};
    hp_fetch_options_t options = {.endpoint = at(&server), .path = "/9000000000000", .total_ms = 300};
    outcome.fetch = hp_fetch_start(client.fetcher, &options, &dropping, &outcome);
    finish(&client, &outcome);
    assert_int_equal(outcome.status, HP_E_TIMEOUT);
    client_stop(&client);
    server_stop(&server);
}

static uint16_t bound_port(int fd)
{
    struct sockaddr_in address;
    socklen_t length = sizeof address;
    assert_int_equal(getsockname(fd, (struct sockaddr *)&address, &length), 0);
    return ntohs(address.sin_port);
}

static int bound_socket(void)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_int_equal(bind(fd, (struct sockaddr *)&address, sizeof address), 0);
    return fd;
}

static void a_closed_port_is_unreachable(void **state)
{
    (void)state;
    client_t client;
    outcome_t outcome;
    hp_endpoint_t closed;
    int fd = bound_socket(); /* bound, not listening: refused, and nobody else takes the port meanwhile */
    client_start(&client);
    outcome_init(&outcome);
    assert_int_equal(hp_endpoint_make(&closed, HP_SCHEME_PLAIN, "127.0.0.1", bound_port(fd)), 0);
    hp_fetch_options_t options = {.endpoint = &closed, .path = "/"};
    ask(&client, &options, &outcome);
    assert_int_equal(outcome.status, HP_E_UNREACHABLE);
    assert_non_null(strstr(hp_err_text(&outcome.err), "refused"));
    client_stop(&client);
    close(fd);
}

static void a_port_that_does_not_answer_is_unreachable_in_time(void **state)
{
    (void)state;
    client_t client;
    outcome_t outcome;
    hp_endpoint_t busy;
    int full[16], fd = bound_socket();
    struct sockaddr_in address;
    socklen_t length = sizeof address;
    getsockname(fd, (struct sockaddr *)&address, &length);
    assert_int_equal(listen(fd, 0), 0);
    for (size_t i = 0; i < HP_COUNT(full); i++) { /* a full queue: further SYNs are dropped */
        full[i] = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
        connect(full[i], (struct sockaddr *)&address, sizeof address);
    }
    client_start(&client);
    outcome_init(&outcome);
    assert_int_equal(hp_endpoint_make(&busy, HP_SCHEME_PLAIN, "127.0.0.1", ntohs(address.sin_port)), 0);
    hp_fetch_options_t options = {.endpoint = &busy, .path = "/", .connect_ms = 200};
    uint64_t before = uv_hrtime();
    ask(&client, &options, &outcome);
    uint64_t ms = (uv_hrtime() - before) / 1000000;
    if (outcome.status != HP_E_UNREACHABLE)
        fail_msg("%d %s", outcome.status, hp_err_text(&outcome.err));
    assert_in_range(ms, 180, 5000);
    /* and while it connects it can be cancelled */
    outcome_init(&outcome);
    options.connect_ms = 0;
    begin(&client, &options, &outcome);
    run_for(&client, 30);
    assert_cancelled(&client, &outcome);
    client_stop(&client);
    for (size_t i = 0; i < HP_COUNT(full); i++)
        close(full[i]);
    close(fd);
}

/* ---- teardown ---- */

enum { CROWD = 40 };

typedef struct crowd {
    client_t *client;
    outcome_t first[CROWD], second[CROWD];
    int begun_again, done;
} crowd_t;

static void on_cancelled(void *arg, int status, const hp_err_t *err)
{
    crowd_t *crowd = ((outcome_t *)arg)->hold_arg;
    on_outcome_done(arg, status, err);
    assert_int_equal(status, UV_ECANCELED);
    crowd->done++;
}

static const hp_fetch_callbacks_t giving_up = {on_outcome_head, on_outcome_data, on_cancelled};

/* Asks once more from inside on_done. */
static void on_cancelled_stubbornly(void *arg, int status, const hp_err_t *err)
{
    crowd_t *crowd = ((outcome_t *)arg)->hold_arg;
    on_cancelled(arg, status, err);
    outcome_t *again = &crowd->second[crowd->begun_again++];
    outcome_init(again);
    again->hold_arg = crowd;
    hp_endpoint_t nobody;
    assert_int_equal(hp_endpoint_make(&nobody, HP_SCHEME_PLAIN, "127.0.0.1", 1), 0);
    hp_fetch_options_t options = {.endpoint = &nobody, .path = "/x"};
    hp_fetch_start(crowd->client->fetcher, &options, &giving_up, again);
}

static const hp_fetch_callbacks_t stubborn = {on_outcome_head, on_outcome_data, on_cancelled_stubbornly};

static void teardown_cancels_everything_once(void **state)
{
    (void)state;
    server_t silent, quick;
    client_t client;
    static crowd_t crowd;
    server_start(&silent, serve_nothing, NULL);
    server_start(&quick, serve_pattern, NULL);
    client_start(&client);
    crowd = (crowd_t){.client = &client};
    for (int i = 0; i < CROWD; i++) {
        outcome_t *outcome = &crowd.first[i];
        outcome_init(outcome);
        outcome->hold_arg = &crowd;
        if (i % 3 == 1)
            outcome->hold = holds_always;
        hp_fetch_options_t options = {.endpoint = at(i % 3 == 0 ? &silent : &quick),
                                      .path = i % 3 == 0 ? "/x" : "/3000000000"};
        if (i == 30) /* the last ones have not begun when the end comes */
            run_for(&client, 30);
        outcome->fetch =
            hp_fetch_start(client.fetcher, &options, i % 2 != 0 ? &stubborn : &giving_up, outcome);
    }
    hp_fetch_cancel(crowd.first[0].fetch);
    hp_fetch_cancel(crowd.first[39].fetch);
    client_stop(&client);
    assert_int_equal(crowd.begun_again, CROWD / 2);
    assert_int_equal(crowd.done, CROWD + CROWD / 2);
    for (int i = 0; i < CROWD; i++) {
        assert_int_equal(crowd.first[i].dones, 1);
        outcome_dispose(&crowd.first[i]);
    }
    for (int i = 0; i < crowd.begun_again; i++)
        assert_int_equal(crowd.second[i].dones, 1);
    server_stop(&silent);
    server_stop(&quick);
}

typedef struct destroyer {
    client_t *client;
    outcome_t outcome;
    bool in_head;
} destroyer_t;

static int on_head_that_destroys(void *arg, const hp_fetch_head_t *head)
{
    destroyer_t *destroyer = arg;
    int rc = on_outcome_head(&destroyer->outcome, head);
    if (destroyer->in_head)
        hp_fetcher_destroy(destroyer->client->fetcher, on_client_closed, &destroyer->client->closed);
    return rc;
}

static int on_data_that_destroys(void *arg, const uint8_t *data, size_t length)
{
    destroyer_t *destroyer = arg;
    int rc = on_outcome_data(&destroyer->outcome, data, length);
    if (!destroyer->in_head && destroyer->outcome.length == length)
        hp_fetcher_destroy(destroyer->client->fetcher, on_client_closed, &destroyer->client->closed);
    return rc;
}

static void on_destroyer_done(void *arg, int status, const hp_err_t *err)
{
    on_outcome_done(&((destroyer_t *)arg)->outcome, status, err);
}

static void teardown_may_begin_inside_a_callback(void **state)
{
    (void)state;
    static const hp_fetch_callbacks_t callbacks = {on_head_that_destroys, on_data_that_destroys,
                                                   on_destroyer_done};
    for (int in_head = 0; in_head < 2; in_head++) {
        server_t server;
        client_t client;
        server_start(&server, serve_pattern, NULL);
        client_start(&client);
        destroyer_t destroyer = {.client = &client, .in_head = in_head != 0};
        outcome_init(&destroyer.outcome);
        hp_fetch_options_t options = {.endpoint = at(&server), .path = "/3000000000"};
        hp_fetch_start(client.fetcher, &options, &callbacks, &destroyer);
        uv_run(&client.loop, UV_RUN_DEFAULT);
        assert_true(client.closed);
        assert_int_equal(destroyer.outcome.dones, 1);
        assert_int_equal(destroyer.outcome.status, UV_ECANCELED);
        assert_int_equal(uv_loop_close(&client.loop), 0);
        outcome_dispose(&destroyer.outcome);
        server_stop(&server);
    }
}

static void an_unused_fetcher_leaves_nothing(void **state)
{
    (void)state;
    client_t client;
    client_start(&client);
    client_stop(&client);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_request_can_be_cancelled_at_every_stage),
        cmocka_unit_test(silence_ends_a_request),
        cmocka_unit_test(an_unused_connection_that_the_other_side_ended_is_ended_here),
        cmocka_unit_test(drops_do_not_stall_but_the_total_ends_them),
        cmocka_unit_test(a_late_loop_is_not_the_other_sides_silence),
        cmocka_unit_test(a_fast_reply_ends_at_the_total_as_well),
        cmocka_unit_test(a_closed_port_is_unreachable),
        cmocka_unit_test(a_port_that_does_not_answer_is_unreachable_in_time),
        cmocka_unit_test(teardown_cancels_everything_once),
        cmocka_unit_test(teardown_may_begin_inside_a_callback),
        cmocka_unit_test(an_unused_fetcher_leaves_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
