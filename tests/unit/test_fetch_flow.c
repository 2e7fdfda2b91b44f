// libs: fetch path os base
/* Connections that are used again, and transfers that are held. */
#include "test_fetch.h"

#include <sys/resource.h>

/* ---- reuse ---- */

static void a_thousand_small_requests_share_a_connection(void **state)
{
    (void)state;
    server_t server;
    client_t client;
    server_start(&server, serve_pattern, NULL);
    client_start(&client);
    for (int i = 0; i < 1000; i++) {
        outcome_t outcome;
        char path[32];
        outcome_init(&outcome);
        snprintf(path, sizeof path, "/%d", i);
        hp_fetch_options_t options = {.endpoint = at(&server), .path = path};
        ask(&client, &options, &outcome);
        assert_pattern(&outcome, (size_t)i);
        assert_int_equal(outcome.head.reused, i > 0);
        outcome_dispose(&outcome);
    }
    assert_int_equal(server.requests, 1000);
    assert_int_equal(server.connections, 1);
    client_stop(&client);
    server_stop(&server);
}

typedef struct crowd {
    client_t *client;
    server_t *server;
    outcome_t outcomes[1000];
    int started, wanted, done;
} crowd_t;

static void begin_next(crowd_t *crowd);

static void on_crowd_done(void *arg, int status, const hp_err_t *err)
{
    crowd_t *crowd = ((outcome_t *)arg)->hold_arg;
    on_outcome_done(arg, status, err);
    assert_pattern(arg, 4096);
    outcome_dispose(arg);
    crowd->done++;
    begin_next(crowd);
}

static void begin_next(crowd_t *crowd)
{
    static const hp_fetch_callbacks_t callbacks = {on_outcome_head, on_outcome_data, on_crowd_done};
    if (crowd->started == crowd->wanted)
        return;
    outcome_t *outcome = &crowd->outcomes[crowd->started];
    outcome_init(outcome);
    outcome->hold_arg = crowd;
    hp_fetch_options_t options = {.endpoint = at(crowd->server), .path = "/4096"};
    crowd->started++;
    hp_fetch_start(crowd->client->fetcher, &options, &callbacks, outcome);
}

static bool crowd_is_done(void *arg)
{
    return ((crowd_t *)arg)->done == ((crowd_t *)arg)->wanted;
}

static void requests_started_from_callbacks_share_few_connections(void **state)
{
    (void)state;
    server_t server;
    client_t client;
    server_start(&server, serve_pattern, NULL);
    client_start(&client);
    static crowd_t crowd;
    crowd = (crowd_t){.client = &client, .server = &server, .wanted = 1000};
    for (int i = 0; i < 8; i++)
        begin_next(&crowd);
    assert_true(run_until(&client, crowd_is_done, &crowd));
    assert_int_equal(server.requests, 1000);
    assert_int_equal(server.connections, 8);
    client_stop(&client);
    server_stop(&server);
}

static void a_fresh_request_takes_no_kept_connection(void **state)
{
    (void)state;
    server_t server;
    client_t client;
    server_start(&server, serve_pattern, NULL);
    client_start(&client);
    for (int i = 0; i < 3; i++) {
        outcome_t outcome;
        outcome_init(&outcome);
        hp_fetch_options_t options = {.endpoint = at(&server), .path = "/10", .fresh = true};
        ask(&client, &options, &outcome);
        assert_pattern(&outcome, 10);
        assert_false(outcome.head.reused);
        outcome_dispose(&outcome);
    }
    assert_int_equal(server.connections, 3);
    client_stop(&client);
    server_stop(&server);
}

/* Serves one request a connection, promises more, and closes or resets after the second request came in. */
static void serve_and_die(server_t *server, int fd, int number)
{
    char request[8192];
    const bool *reset = server->script;
    (void)number;
    if (!read_request(server, fd, request, sizeof request) ||
        !send_text(fd, OK "Content-Length: 5\r\n\r\nhello"))
        return;
    read_request(server, fd, request, sizeof request);
    if (*reset)
        reset_on_close(fd);
}

static void a_kept_connection_that_dies_is_replaced(void **state)
{
    (void)state;
    for (int way = 0; way < 4; way++) {
        server_t server;
        client_t client;
        bool reset = way % 2 != 0;
        server_start(&server, serve_and_die, &reset);
        client_start(&client);
        for (int i = 0; i < 5; i++) {
            outcome_t outcome;
            outcome_init(&outcome);
            hp_fetch_options_t options = {.endpoint = at(&server),
                                          .path = "/x",
                                          .method = way < 2 ? "GET" : "POST",
                                          .body = "body",
                                          .body_length = 4};
            ask(&client, &options, &outcome);
            if (outcome.status != 0)
                fail_msg("way %d, request %d: %s", way, i, hp_err_text(&outcome.err));
            assert_int_equal(outcome.length, 5);
            assert_int_equal(outcome.heads, 1);
            outcome_dispose(&outcome);
        }
        client_stop(&client);
        server_stop(&server);
    }
}

/* Answers the first request and sends a second reply that nobody asked for; says so on the pipe. */
static void serve_unasked(server_t *server, int fd, int number)
{
    char request[8192];
    const int *pipe_fd = server->script;
    if (!read_request(server, fd, request, sizeof request) ||
        !send_text(fd, OK "Content-Length: 5\r\n\r\nhello"))
        return;
    if (number == 0) {
        usleep(20000); /* so that the reply is taken before the rest comes; either order must do */
        send_text(fd, OK "Content-Length: 4\r\n\r\nevil");
        assert_int_equal(write(*pipe_fd, "x", 1), 1);
    }
    while (read_request(server, fd, request, sizeof request))
        if (!send_text(fd, OK "Content-Length: 5\r\n\r\nhello"))
            return;
}

static void unasked_bytes_never_answer_the_next_request(void **state)
{
    (void)state;
    server_t server;
    client_t client;
    int ends[2];
    char byte;
    assert_int_equal(pipe(ends), 0);
    server_start(&server, serve_unasked, &ends[1]);
    client_start(&client);
    for (int i = 0; i < 3; i++) {
        outcome_t outcome;
        outcome_init(&outcome);
        hp_fetch_options_t options = {.endpoint = at(&server), .path = "/x"};
        ask(&client, &options, &outcome);
        assert_int_equal(outcome.status, 0);
        assert_int_equal(outcome.length, 5);
        assert_memory_equal(outcome.body, "hello", 5);
        outcome_dispose(&outcome);
        if (i == 0) {
            assert_int_equal(read(ends[0], &byte, 1), 1);
            uv_update_time(&client.loop);
        }
    }
    assert_int_equal(server.connections, 2);
    client_stop(&client);
    server_stop(&server);
    close(ends[0]);
    close(ends[1]);
}

/* Closes as soon as it has answered. */
static void serve_once(server_t *server, int fd, int number)
{
    char request[8192];
    (void)number;
    if (read_request(server, fd, request, sizeof request))
        send_text(fd, OK "Content-Length: 5\r\n\r\nhello");
}

static void idle_connections_that_were_closed_cost_nothing(void **state)
{
    (void)state;
    server_t server;
    client_t client;
    server_start(&server, serve_once, NULL);
    client_start(&client);
    for (int i = 0; i < 20; i++) {
        outcome_t outcome;
        outcome_init(&outcome);
        hp_fetch_options_t options = {.endpoint = at(&server), .path = "/x"};
        ask(&client, &options, &outcome);
        assert_int_equal(outcome.status, 0);
        outcome_dispose(&outcome);
    }
    assert_int_equal(server.requests, 20);
    /* Nothing is under way: the loop must not spin on the dead connection. */
    uv_timer_t timer;
    bool over = false;
    uv_timer_init(&client.loop, &timer);
    timer.data = &over;
    uv_timer_start(&timer, on_patience_over, 200, 0);
    int turns = 0;
    while (!over) {
        uv_run(&client.loop, UV_RUN_ONCE);
        turns++;
    }
    assert_in_range(turns, 1, 20);
    uv_close((uv_handle_t *)&timer, NULL);
    client_stop(&client);
    server_stop(&server);
}

/* ---- hold and resume ---- */

typedef struct holder {
    client_t *client;
    uint32_t random;
    unsigned percent; /* how often it holds */
    int holds, resumes;
    uv_timer_t timer;
    outcome_t *outcome;
    bool at_once; /* resume inside on_data already */
} holder_t;

static uint32_t next_random(holder_t *holder)
{
    holder->random = holder->random * 1664525 + 1013904223;
    return holder->random >> 8;
}

static bool holds_at_random(void *arg)
{
    holder_t *holder = arg;
    return next_random(holder) % 100 < holder->percent;
}

static void resume_now(holder_t *holder)
{
    holder->resumes++;
    holder->outcome->holding = false;
    hp_fetch_resume(holder->outcome->fetch);
}

static void on_resume_due(uv_timer_t *timer)
{
    resume_now(HP_CONTAINER(timer, holder_t, timer));
}

static void on_held(outcome_t *outcome)
{
    holder_t *holder = outcome->hold_arg;
    holder->holds++;
    if (holder->at_once)
        resume_now(holder);
    else
        uv_timer_start(&holder->timer, on_resume_due, next_random(holder) % 3, 0);
}

static void held_transfers_lose_and_double_nothing(void **state)
{
    (void)state;
    static const char *const paths[] = {"/3000017", "/c3000017", "/16384", "/16385", "/524288", "/1", "/c1"};
    server_t server;
    client_t client;
    server_start(&server, serve_pattern, NULL);
    client_start(&client);
    for (size_t i = 0; i < HP_COUNT(paths) * 4; i++) {
        const char *path = paths[i % HP_COUNT(paths)];
        outcome_t outcome;
        holder_t holder = {.client = &client,
                           .random = (uint32_t)i * 977 + 5,
                           .percent = i % 3 == 0 ? 70 : 20,
                           .at_once = i % 5 == 4,
                           .outcome = &outcome};
        outcome_init(&outcome);
        outcome.hold = holds_at_random;
        outcome.hold_arg = &holder;
        outcome.held = on_held;
        uv_timer_init(&client.loop, &holder.timer);
        hp_fetch_options_t options = {.endpoint = at(&server), .path = path};
        ask(&client, &options, &outcome);
        assert_pattern(&outcome, strtoul(path + (path[1] == 'c' ? 2 : 1), NULL, 10));
        assert_int_equal(holder.holds, holder.resumes);
        outcome_dispose(&outcome);
        uv_close((uv_handle_t *)&holder.timer, NULL);
        uv_run(&client.loop, UV_RUN_NOWAIT);
    }
    client_stop(&client);
    server_stop(&server);
}

static void several_held_transfers_keep_apart(void **state)
{
    (void)state;
    enum { COUNT = 12 };
    server_t server;
    client_t client;
    static outcome_t outcomes[COUNT];
    static holder_t holders[COUNT];
    server_start(&server, serve_pattern, NULL);
    client_start(&client);
    for (int i = 0; i < COUNT; i++) {
        holders[i] = (holder_t){
            .client = &client, .random = (uint32_t)i * 31 + 7, .percent = 30, .outcome = &outcomes[i]};
        outcome_init(&outcomes[i]);
        outcomes[i].hold = holds_at_random;
        outcomes[i].hold_arg = &holders[i];
        outcomes[i].held = on_held;
        uv_timer_init(&client.loop, &holders[i].timer);
        hp_fetch_options_t options = {.endpoint = at(&server), .path = i % 2 != 0 ? "/c1500000" : "/1500000"};
        begin(&client, &options, &outcomes[i]);
    }
    for (int i = 0; i < COUNT; i++) {
        finish(&client, &outcomes[i]);
        assert_pattern(&outcomes[i], 1500000);
        outcome_dispose(&outcomes[i]);
        uv_close((uv_handle_t *)&holders[i].timer, NULL);
    }
    assert_int_equal(hp_fetcher_bytes(client.fetcher), COUNT * 1500000);
    client_stop(&client);
    server_stop(&server);
}

static bool holds_once(void *arg)
{
    int *calls = arg;
    return (*calls)++ == 0;
}

static void a_held_transfer_does_not_stall_and_reads_nothing(void **state)
{
    (void)state;
    server_t server;
    client_t client;
    outcome_t outcome;
    int calls = 0;
    server_start(&server, serve_pattern, NULL);
    client_start(&client);
    outcome_init(&outcome);
    outcome.hold = holds_once;
    outcome.hold_arg = &calls;
    hp_fetch_options_t options = {.endpoint = at(&server), .path = "/20000000", .stall_ms = 1000};
    begin(&client, &options, &outcome);
    assert_true(run_until(&client, is_holding, &outcome));
    struct rusage before, after;
    getrusage(RUSAGE_THREAD, &before);
    run_for(&client, 1500);
    getrusage(RUSAGE_THREAD, &after);
    assert_int_equal(outcome.dones, 0);
    assert_int_equal(outcome.length, 0);
    assert_int_equal(calls, 1);
    long used = (after.ru_utime.tv_sec - before.ru_utime.tv_sec) * 1000000 + after.ru_utime.tv_usec -
                before.ru_utime.tv_usec + (after.ru_stime.tv_sec - before.ru_stime.tv_sec) * 1000000 +
                after.ru_stime.tv_usec - before.ru_stime.tv_usec;
    assert_in_range(used, 0, 100000); /* it waits, it does not spin */
    outcome.holding = false;
    hp_fetch_resume(outcome.fetch);
    assert_int_equal(outcome.length, 0); /* not inside the call */
    finish(&client, &outcome);
    assert_pattern(&outcome, 20000000);
    outcome_dispose(&outcome);
    client_stop(&client);
    server_stop(&server);
}

typedef struct turn {
    size_t bytes, most; /* in the present turn of the loop; the most in any */
    outcome_t outcome;
} turn_t;

static void on_turn(uv_prepare_t *prepare)
{
    turn_t *turn = prepare->data;
    turn->bytes = 0;
}

static int on_turn_head(void *arg, const hp_fetch_head_t *head)
{
    usleep(200000); /* meanwhile the socket's buffer fills */
    return on_outcome_head(&((turn_t *)arg)->outcome, head);
}

static int on_turn_data(void *arg, const uint8_t *data, size_t length)
{
    turn_t *turn = arg;
    turn->bytes += length;
    turn->most = HP_MAX(turn->most, turn->bytes);
    return on_outcome_data(&turn->outcome, data, length);
}

static void on_turn_done(void *arg, int status, const hp_err_t *err)
{
    on_outcome_done(&((turn_t *)arg)->outcome, status, err);
}

static void a_fast_source_leaves_the_loop_to_others(void **state)
{
    (void)state;
    static const hp_fetch_callbacks_t callbacks = {on_turn_head, on_turn_data, on_turn_done};
    server_t server;
    client_t client;
    turn_t turn = {0};
    uv_prepare_t prepare;
    server_start(&server, serve_pattern, NULL);
    client_start(&client);
    outcome_init(&turn.outcome);
    uv_prepare_init(&client.loop, &prepare);
    prepare.data = &turn;
    uv_prepare_start(&prepare, on_turn);
    hp_fetch_options_t options = {.endpoint = at(&server), .path = "/50000000"};
    turn.outcome.fetch = hp_fetch_start(client.fetcher, &options, &callbacks, &turn);
    finish(&client, &turn.outcome);
    assert_pattern(&turn.outcome, 50000000);
    assert_in_range(turn.most, 1, 2 * (HP_FETCH_BURST + HP_FETCH_BUFFER));
    outcome_dispose(&turn.outcome);
    uv_close((uv_handle_t *)&prepare, NULL);
    client_stop(&client);
    server_stop(&server);
}

static void a_resume_that_nobody_needs_changes_nothing(void **state)
{
    (void)state;
    server_t server;
    client_t client;
    outcome_t outcome;
    server_start(&server, serve_pattern, NULL);
    client_start(&client);
    outcome_init(&outcome);
    hp_fetch_options_t options = {.endpoint = at(&server), .path = "/300000"};
    begin(&client, &options, &outcome);
    hp_fetch_resume(outcome.fetch);
    hp_fetch_resume(outcome.fetch);
    finish(&client, &outcome);
    assert_pattern(&outcome, 300000);
    outcome_dispose(&outcome);
    client_stop(&client);
    server_stop(&server);
}

/* The reply is complete and the connection closed before the transfer goes on. */
static void a_transfer_held_past_its_end_is_whole(void **state)
{
    (void)state;
    server_t server;
    client_t client;
    outcome_t outcome;
    int calls = 0;
    server_start(&server, serve_once, NULL);
    client_start(&client);
    outcome_init(&outcome);
    outcome.hold = holds_once;
    outcome.hold_arg = &calls;
    hp_fetch_options_t options = {.endpoint = at(&server), .path = "/x"};
    begin(&client, &options, &outcome);
    assert_true(run_until(&client, is_holding, &outcome));
    run_for(&client, 50);
    assert_int_equal(outcome.dones, 0);
    outcome.holding = false;
    hp_fetch_resume(outcome.fetch);
    finish(&client, &outcome);
    assert_int_equal(outcome.status, 0);
    assert_int_equal(outcome.length, 5);
    outcome_dispose(&outcome);
    client_stop(&client);
    server_stop(&server);
}

static void an_error_after_a_hold_ends_the_request(void **state)
{
    (void)state;
    server_t server;
    client_t client;
    outcome_t outcome;
    int calls = 0;
    server_start(&server, serve_pattern, NULL);
    client_start(&client);
    outcome_init(&outcome);
    outcome.hold = holds_once;
    outcome.hold_arg = &calls;
    outcome.fail_at = 1;
    hp_fetch_options_t options = {.endpoint = at(&server), .path = "/3000000"};
    begin(&client, &options, &outcome);
    assert_true(run_until(&client, is_holding, &outcome));
    outcome.holding = false;
    hp_fetch_resume(outcome.fetch);
    finish(&client, &outcome);
    assert_int_equal(outcome.status, HP_E_DISK);
    outcome_dispose(&outcome);
    client_stop(&client);
    server_stop(&server);
}

/* ---- the caller's word ---- */

static void the_caller_ends_a_request_with_a_code(void **state)
{
    (void)state;
    server_t server;
    client_t client;
    outcome_t outcome;
    server_start(&server, serve_pattern, NULL);
    client_start(&client);
    outcome_init(&outcome);
    outcome.head_answer = HP_E_OTHER_VERSION;
    hp_fetch_options_t options = {.endpoint = at(&server), .path = "/3000000"};
    ask(&client, &options, &outcome);
    assert_int_equal(outcome.status, HP_E_OTHER_VERSION);
    assert_int_equal(outcome.length, 0);
    outcome_init(&outcome);
    outcome.fail_at = 1000000;
    ask(&client, &options, &outcome);
    assert_int_equal(outcome.status, HP_E_DISK);
    assert_in_range(outcome.length, 1000000, 1016384);
    outcome_dispose(&outcome);
    /* the connections of both were given up: the rest of their bodies was on them */
    outcome_init(&outcome);
    options.path = "/5";
    ask(&client, &options, &outcome);
    assert_pattern(&outcome, 5);
    assert_int_equal(server.connections, 3);
    outcome_dispose(&outcome);
    client_stop(&client);
    server_stop(&server);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_thousand_small_requests_share_a_connection),
        cmocka_unit_test(requests_started_from_callbacks_share_few_connections),
        cmocka_unit_test(a_fresh_request_takes_no_kept_connection),
        cmocka_unit_test(a_kept_connection_that_dies_is_replaced),
        cmocka_unit_test(unasked_bytes_never_answer_the_next_request),
        cmocka_unit_test(idle_connections_that_were_closed_cost_nothing),
        cmocka_unit_test(held_transfers_lose_and_double_nothing),
        cmocka_unit_test(several_held_transfers_keep_apart),
        cmocka_unit_test(a_held_transfer_does_not_stall_and_reads_nothing),
        cmocka_unit_test(a_fast_source_leaves_the_loop_to_others),
        cmocka_unit_test(a_resume_that_nobody_needs_changes_nothing),
        cmocka_unit_test(a_transfer_held_past_its_end_is_whole),
        cmocka_unit_test(an_error_after_a_hold_ends_the_request),
        cmocka_unit_test(the_caller_ends_a_request_with_a_code),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
