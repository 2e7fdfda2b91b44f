// libs: fetch base
/* Connections and time: reuse, hold and resume, cancel, time-outs, teardown. */
#include "test_fetch.h"

#include <sys/resource.h>

#define OK "HTTP/1.1 200 OK\r\n"

/* ---- bodies of any size, made of the pattern ---- */

static bool send_pattern(int fd, size_t from, size_t end)
{
    char piece[65536];
    while (from < end) {
        size_t n = HP_MIN(sizeof piece, end - from);
        for (size_t i = 0; i < n; i++)
            piece[i] = (char)pattern(from + i);
        if (!send_all(fd, piece, n))
            return false;
        from += n;
    }
    return true;
}

/* "GET /<size>" gives that many bytes; with "c" before the size in chunks. */
static void serve_pattern(server_t *server, int fd, int number)
{
    char request[8192], head[200];
    (void)number;
    while (read_request(server, fd, request, sizeof request)) {
        bool chunked = strncmp(request, "GET /c", 6) == 0;
        size_t size = strtoul(request + (chunked ? 6 : 5), NULL, 10);
        if (!chunked) {
            snprintf(head, sizeof head, OK "Content-Length: %zu\r\n\r\n", size);
            if (!send_text(fd, head) || !send_pattern(fd, 0, size))
                return;
            continue;
        }
        bool ok = send_text(fd, OK "Transfer-Encoding: chunked\r\n\r\n");
        for (size_t at = 0, n; ok && at < size; at += n) {
            n = HP_MIN((size_t)(1 + (at * 7919) % 70000), size - at);
            snprintf(head, sizeof head, "%zx\r\n", n);
            ok = send_text(fd, head) && send_pattern(fd, at, at + n) && send_text(fd, "\r\n");
        }
        if (!ok || !send_text(fd, "0\r\n\r\n"))
            return;
    }
}

static void assert_pattern(const outcome_t *outcome, size_t size)
{
    assert_int_equal(outcome->status, 0);
    assert_int_equal(outcome->length, size);
    for (size_t i = 0; i < size; i++)
        if ((uint8_t)outcome->body[i] != pattern(i))
            fail_msg("byte %zu is %d, expected %d", i, (uint8_t)outcome->body[i], pattern(i));
}

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
        hp_fetch_options_t options = {.url = url_of(&server, path), .peer = true};
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
    outcome_t outcomes[100];
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
    outcome_t *outcome = &crowd->outcomes[crowd->started % 100];
    outcome_init(outcome);
    outcome->hold_arg = crowd;
    hp_fetch_options_t options = {.url = url_of(crowd->server, "/4096"), .peer = true};
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
        hp_fetch_options_t options = {.url = url_of(&server, "/10"), .peer = true, .fresh = true};
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
            hp_fetch_options_t options = {.url = url_of(&server, "/x"),
                                          .peer = true,
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
        hp_fetch_options_t options = {.url = url_of(&server, "/x"), .peer = true};
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
        hp_fetch_options_t options = {.url = url_of(&server, "/x"), .peer = true};
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
        hp_fetch_options_t options = {.url = url_of(&server, path), .peer = true};
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
        hp_fetch_options_t options = {.url = url_of(&server, i % 2 != 0 ? "/c1500000" : "/1500000"),
                                      .peer = true};
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

static bool is_holding(void *arg)
{
    return ((outcome_t *)arg)->holding;
}

static void run_for(client_t *client, unsigned ms)
{
    bool over = false;
    uv_timer_t timer;
    uv_update_time(&client->loop);
    uv_timer_init(&client->loop, &timer);
    timer.data = &over;
    uv_timer_start(&timer, on_patience_over, ms, 0);
    while (!over)
        uv_run(&client->loop, UV_RUN_ONCE);
    uv_close((uv_handle_t *)&timer, on_patience_closed);
    while (timer.data != NULL)
        uv_run(&client->loop, UV_RUN_NOWAIT);
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
    hp_fetch_options_t options = {.url = url_of(&server, "/20000000"), .peer = true, .stall_ms = 100};
    begin(&client, &options, &outcome);
    assert_true(run_until(&client, is_holding, &outcome));
    struct rusage before, after;
    getrusage(RUSAGE_THREAD, &before);
    run_for(&client, 400);
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

static void a_resume_that_nobody_needs_changes_nothing(void **state)
{
    (void)state;
    server_t server;
    client_t client;
    outcome_t outcome;
    server_start(&server, serve_pattern, NULL);
    client_start(&client);
    outcome_init(&outcome);
    hp_fetch_options_t options = {.url = url_of(&server, "/300000"), .peer = true};
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
    hp_fetch_options_t options = {.url = url_of(&server, "/x"), .peer = true};
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

static bool holds_always(void *arg)
{
    (void)arg;
    return true;
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
    hp_fetch_options_t options = {.url = url_of(&server, "/3000000"), .peer = true};
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
    hp_fetch_options_t options = {.url = url_of(&server, "/3000000"), .peer = true};
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
    options.url = url_of(&server, "/5");
    ask(&client, &options, &outcome);
    assert_pattern(&outcome, 5);
    assert_int_equal(server.connections, 3);
    outcome_dispose(&outcome);
    client_stop(&client);
    server_stop(&server);
}

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
    hp_fetch_options_t options = {.url = url_of(&server, "/x"), .peer = true};
    /* before anything */
    begin(&client, &options, &outcome);
    assert_cancelled(&client, &outcome);
    assert_int_equal(server.requests, 0);
    /* a request that would have failed */
    options.url = "nonsense";
    begin(&client, &options, &outcome);
    assert_cancelled(&client, &outcome);
    /* after every number of turns while it connects and asks */
    options.url = url_of(&server, "/x");
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
        options.url = url_of(&server, "/x");
        begin(&client, &options, &outcome);
        assert_true(i == 0 ? run_until(&client, has_request, &server)
                           : run_until(&client, has_head, &outcome));
        run_for(&client, 10);
        assert_cancelled(&client, &outcome);
        server_stop(&server);
    }

    /* inside on_data, while held, and in the turn in which it ends */
    server_start(&server, serve_pattern, NULL);
    options.url = url_of(&server, "/3000000");
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
    options.url = url_of(&server, "/5");
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
        hp_fetch_options_t options = {.url = url_of(&server, "/x"), .peer = true, .stall_ms = 150};
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
    hp_fetch_options_t options = {
        .url = url_of(&server, "/x"), .peer = true, .stall_ms = 250, .total_ms = 700};
    uint64_t before = uv_hrtime();
    ask(&client, &options, &outcome);
    uint64_t ms = (uv_hrtime() - before) / 1000000;
    if (outcome.status != HP_E_TIMEOUT)
        fail_msg("%s", hp_err_text(&outcome.err));
    assert_in_range(ms, 680, 5000);
    outcome_dispose(&outcome);
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
    char url[100];
    int fd = bound_socket(); /* bound, not listening: refused, and nobody else takes the port meanwhile */
    client_start(&client);
    outcome_init(&outcome);
    snprintf(url, sizeof url, "http://127.0.0.1:%u/", bound_port(fd));
    hp_fetch_options_t options = {.url = url, .peer = true};
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
    char url[100];
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
    snprintf(url, sizeof url, "http://127.0.0.1:%u/", ntohs(address.sin_port));
    hp_fetch_options_t options = {.url = url, .peer = true, .connect_ms = 200};
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

static void on_done_that_starts_another(void *arg, int status, const hp_err_t *err)
{
    crowd_t *crowd = ((outcome_t *)arg)->hold_arg;
    on_outcome_done(arg, status, err);
    assert_int_equal(status, UV_ECANCELED);
    crowd->done++;
    begin_next(crowd);
}

static void on_last_done(void *arg, int status, const hp_err_t *err)
{
    crowd_t *crowd = ((outcome_t *)arg)->hold_arg;
    on_outcome_done(arg, status, err);
    assert_int_equal(status, UV_ECANCELED);
    crowd->done++;
}

static void teardown_cancels_everything_once(void **state)
{
    (void)state;
    static const hp_fetch_callbacks_t stubborn = {on_outcome_head, on_outcome_data,
                                                  on_done_that_starts_another};
    static const hp_fetch_callbacks_t last = {on_outcome_head, on_outcome_data, on_last_done};
    server_t silent, quick;
    client_t client;
    static outcome_t outcomes[40];
    static crowd_t crowd;
    server_start(&silent, serve_nothing, NULL);
    server_start(&quick, serve_pattern, NULL);
    client_start(&client);
    crowd = (crowd_t){.client = &client, .server = &quick, .wanted = 0};
    for (int i = 0; i < 30; i++) {
        outcome_init(&outcomes[i]);
        outcomes[i].hold_arg = &crowd;
        if (i % 3 == 1)
            outcomes[i].hold = holds_always;
        hp_fetch_options_t options = {
            .url = i % 3 == 0 ? url_of(&silent, "/x") : url_of(&quick, "/3000000000"), .peer = true};
        outcomes[i].fetch =
            hp_fetch_start(client.fetcher, &options, i % 2 != 0 ? &stubborn : &last, &outcomes[i]);
    }
    run_for(&client, 30);
    for (int i = 30; i < 40; i++) { /* and some that have not begun */
        outcome_init(&outcomes[i]);
        outcomes[i].hold_arg = &crowd;
        hp_fetch_options_t options = {.url = url_of(&quick, "/5"), .peer = true};
        outcomes[i].fetch = hp_fetch_start(client.fetcher, &options, &last, &outcomes[i]);
    }
    hp_fetch_cancel(outcomes[0].fetch);
    hp_fetch_cancel(outcomes[39].fetch);
    client_stop(&client);
    assert_int_equal(crowd.done, 40);
    for (int i = 0; i < 40; i++) {
        assert_int_equal(outcomes[i].dones, 1);
        outcome_dispose(&outcomes[i]);
    }
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
        hp_fetch_options_t options = {.url = url_of(&server, "/3000000000"), .peer = true};
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

/* ---- sockets of the caller's own ---- */

typedef struct opener {
    int calls;
    bool refuse;
} opener_t;

static int open_counted(void *arg, int family, int type, int protocol)
{
    opener_t *opener = arg;
    opener->calls++;
    if (opener->refuse) {
        errno = EMFILE;
        return -1;
    }
    return socket(family, type | SOCK_CLOEXEC, protocol);
}

static void every_socket_comes_from_the_one_function(void **state)
{
    (void)state;
    server_t server;
    client_t client;
    outcome_t outcome;
    opener_t opener = {0};
    server_start(&server, serve_pattern, NULL);
    client_start(&client);
    hp_fetcher_set_socket_fn(client.fetcher, open_counted, &opener);
    outcome_init(&outcome);
    hp_fetch_options_t options = {.url = url_of(&server, "/100"), .peer = true};
    ask(&client, &options, &outcome);
    assert_pattern(&outcome, 100);
    assert_int_equal(opener.calls, 1);
    outcome_dispose(&outcome);
    outcome_init(&outcome);
    opener.refuse = true;
    options.fresh = true;
    ask(&client, &options, &outcome);
    assert_int_equal(outcome.status, HP_E_UNREACHABLE);
    assert_int_equal(opener.calls, 2);
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
        cmocka_unit_test(a_resume_that_nobody_needs_changes_nothing),
        cmocka_unit_test(a_transfer_held_past_its_end_is_whole),
        cmocka_unit_test(an_error_after_a_hold_ends_the_request),
        cmocka_unit_test(the_caller_ends_a_request_with_a_code),
        cmocka_unit_test(a_request_can_be_cancelled_at_every_stage),
        cmocka_unit_test(silence_ends_a_request),
        cmocka_unit_test(drops_do_not_stall_but_the_total_ends_them),
        cmocka_unit_test(a_closed_port_is_unreachable),
        cmocka_unit_test(a_port_that_does_not_answer_is_unreachable_in_time),
        cmocka_unit_test(teardown_cancels_everything_once),
        cmocka_unit_test(teardown_may_begin_inside_a_callback),
        cmocka_unit_test(an_unused_fetcher_leaves_nothing),
        cmocka_unit_test(every_socket_comes_from_the_one_function),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
