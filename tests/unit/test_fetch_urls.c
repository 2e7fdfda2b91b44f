// libs: fetch path os base
/* Names, addresses, redirects and proxies. No name is looked up outside this program: getaddrinfo() is
 * replaced below. */
#include "test_fetch_urls.h"

#include <netdb.h>

/* ---- a resolver that can be made to hang ---- */

static pthread_mutex_t resolver_lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t resolver_changed = PTHREAD_COND_INITIALIZER;
static bool resolver_hangs;
static int resolver_inside, resolver_calls;

__attribute__((visibility("default"))) int getaddrinfo(const char *node, const char *service,
                                                       const struct addrinfo *hints, struct addrinfo **result)
{
    (void)node;
    (void)service;
    (void)hints;
    (void)result;
    pthread_mutex_lock(&resolver_lock);
    resolver_calls++;
    resolver_inside++;
    pthread_cond_broadcast(&resolver_changed);
    while (resolver_hangs)
        pthread_cond_wait(&resolver_changed, &resolver_lock);
    resolver_inside--;
    pthread_cond_broadcast(&resolver_changed);
    pthread_mutex_unlock(&resolver_lock);
    return EAI_NONAME;
}

static bool is_resolving(void *arg)
{
    pthread_mutex_lock(&resolver_lock);
    *(bool *)arg = resolver_inside > 0;
    pthread_mutex_unlock(&resolver_lock);
    return *(bool *)arg;
}

static void an_unknown_name_is_told_as_one(void **state)
{
    (void)state;
    client_t client;
    outcome_t outcome;
    client_start(&client);
    outcome_init(&outcome);
    hp_fetch_options_t options = {.url = "http://no-such-host.invalid/x"};
    ask(&client, &options, &outcome);
    assert_int_equal(outcome.status, HP_E_NO_NAME);
    assert_non_null(strstr(hp_err_text(&outcome.err), "no-such-host.invalid"));
    assert_true(resolver_calls > 0);
    client_stop(&client);
}

static void a_resolver_that_hangs_never_blocks_the_loop(void **state)
{
    (void)state;
    for (int way = 0; way < 3; way++) {
        client_t client;
        outcome_t outcome;
        bool inside = false;
        client_start(&client);
        outcome_init(&outcome);
        resolver_hangs = true;
        hp_fetch_options_t options = {.url = "http://slow-name.invalid/x", .connect_ms = way == 1 ? 200 : 0};
        uint64_t before = uv_hrtime();
        begin(&client, &options, &outcome);
        assert_true(run_until(&client, is_resolving, &inside));
        if (way == 0)
            hp_fetch_cancel(outcome.fetch);
        if (way < 2)
            finish(&client, &outcome);
        client_stop(&client);
        uint64_t ms = (uv_hrtime() - before) / 1000000;
        assert_int_equal(outcome.status, way == 1 ? HP_E_UNREACHABLE : UV_ECANCELED);
        assert_in_range(ms, 0, 4000);
        pthread_mutex_lock(&resolver_lock);
        resolver_hangs = false;
        pthread_cond_broadcast(&resolver_changed);
        while (resolver_inside > 0)
            pthread_cond_wait(&resolver_changed, &resolver_lock);
        pthread_mutex_unlock(&resolver_lock);
    }
}

/* ---- addresses ---- */

static void the_second_address_of_a_name_is_tried(void **state)
{
    (void)state;
    server_t server;
    client_t client;
    outcome_t outcome;
    char url[100];
    server_start(&server, serve_hello,
                 NULL); /* on 127.0.0.1; ::1 refuses. curl knows "localhost" by itself */
    client_start(&client);
    snprintf(url, sizeof url, "http://localhost:%u/x", server.port);
    hp_fetch_options_t options = {.url = url, .fresh = true};
    for (int i = 0; i < 10; i++) {
        outcome_init(&outcome);
        ask(&client, &options, &outcome);
        if (outcome.status != 0)
            fail_msg("%s", hp_err_text(&outcome.err));
        assert_string_equal(outcome.address, "127.0.0.1");
        outcome_dispose(&outcome);
    }
    client_stop(&client);
    server_stop(&server);
}

static void an_address_with_a_zone_is_reached(void **state)
{
    (void)state;
    struct sockaddr_in6 address = {.sin6_family = AF_INET6, .sin6_addr = IN6ADDR_LOOPBACK_INIT};
    int probe = socket(AF_INET6, SOCK_STREAM | SOCK_CLOEXEC, 0);
    bool has_ipv6 = probe >= 0 && bind(probe, (struct sockaddr *)&address, sizeof address) == 0;
    if (probe >= 0)
        close(probe);
    if (!has_ipv6) {
        print_message("skipped: no IPv6 here\n");
        skip();
    }
    server_t server;
    client_t client;
    outcome_t outcome;
    char url[100];
    hp_endpoint_t endpoint;
    server_start_on(&server, serve_hello, NULL, (struct sockaddr *)&address, sizeof address);
    client_start(&client);
    static const char *const hosts[] = {"[::1]", "[::1%25lo]", "[::1%251]", NULL};
    for (size_t i = 0; i < HP_COUNT(hosts); i++) {
        hp_fetch_options_t options = {.path = "/x"};
        if (hosts[i] == NULL) {
            assert_int_equal(hp_endpoint_make(&endpoint, HP_SCHEME_PLAIN, "::1", server.port), 0);
            options.endpoint = &endpoint;
        } else {
            snprintf(url, sizeof url, "http://%s:%u/x", hosts[i], server.port);
            options.url = url;
        }
        outcome_init(&outcome);
        ask(&client, &options, &outcome);
        if (outcome.status != 0)
            fail_msg("%s: %s", hosts[i] != NULL ? url : "an endpoint", hp_err_text(&outcome.err));
        assert_string_equal(outcome.address, "::1");
        outcome_dispose(&outcome);
    }
    client_stop(&client);
    server_stop(&server);
}

/* ---- redirects ---- */

typedef struct maze {
    uint16_t other_port;
} maze_t;

static void serve_maze(server_t *server, int fd, int number)
{
    const maze_t *maze = server->script;
    char request[8192], reply[1000], path[200];
    (void)number;
    while (read_request(server, fd, request, sizeof request)) {
        int status = 302;
        const char *location = NULL;
        char absolute[100];
        if (sscanf(request, "%*s /%199s", path) != 1)
            path[0] = '\0';
        if (strcmp(path, "there") == 0 || strncmp(path, "sub/", 4) == 0) {
            if (!send_text(fd, OK "Content-Length: 5\r\nHostpair-Id: there\r\n\r\nhello"))
                return;
            continue;
        }
        if (strcmp(path, "part") == 0) {
            if (!send_text(fd,
                           "HTTP/1.1 206 P\r\nContent-Range: bytes 2-4/5\r\nContent-Length: 3\r\n\r\nllo"))
                return;
            continue;
        }
        if (strcmp(path, "loop") == 0)
            location = "/loop";
        else if (strcmp(path, "relative") == 0)
            location = "there#fragment";
        else if (strcmp(path, "deeper") == 0)
            location = "./sub/x";
        else if (strcmp(path, "query") == 0)
            location = "?q=1";
        else if (strncmp(path, "query?q=1", 9) == 0)
            location = "/there";
        else if (strcmp(path, "host") == 0)
            location = absolute, snprintf(absolute, sizeof absolute, "//127.0.0.1:%u/there", server->port);
        else if (strcmp(path, "other") == 0)
            location = absolute,
            snprintf(absolute, sizeof absolute, "http://127.0.0.1:%u/there", maze->other_port);
        else if (strcmp(path, "file") == 0)
            location = "file:///etc/passwd";
        else if (strcmp(path, "nonsense") == 0)
            location = "http://[::bad/";
        else if (strcmp(path, "to-part") == 0)
            location = "/part";
        else if (strcmp(path, "long") == 0 || strcmp(path, "short-lie") == 0)
            location = "/there";
        else if (sscanf(path, "status%d", &status) == 1)
            location = "/there";
        size_t length = strcmp(path, "long") == 0 ? 10000000 : 7;
        snprintf(reply, sizeof reply, "HTTP/1.1 %d Redirect\r\n%s%s%sContent-Length: %zu\r\n\r\n", status,
                 location != NULL ? "Location: " : "", location != NULL ? location : "",
                 location != NULL ? "\r\n" : "", length);
        if (!send_text(fd, reply))
            return;
        if (strcmp(path, "short-lie") == 0)
            return;
        static const char moved[] = "moved\r\n";
        for (size_t sent = 0; strncmp(request, "HEAD", 4) != 0 && status != 304 && sent < length; sent += 7)
            if (!send_all(fd, moved, HP_MIN((size_t)7, length - sent)))
                return;
    }
}

static void redirects_are_followed_for_other_servers(void **state)
{
    (void)state;
    static const struct {
        const char *path;
        int expected, http;
        const char *end; /* of the effective URL */
    } cases[] = {
        {"/relative", 0, 200, "/there"},      {"/deeper", 0, 200, "/sub/x"},
        {"/query", 0, 200, "/there"},         {"/host", 0, 200, "/there"},
        {"/other", 0, 200, "/there"},         {"/long", 0, 200, "/there"},
        {"/status301", 0, 200, "/there"},     {"/status303", 0, 200, "/there"},
        {"/status307", 0, 200, "/there"},     {"/status308", 0, 200, "/there"},
        {"/status300", 0, 300, "/status300"}, {"/status304", 0, 304, "/status304"},
        {"/nowhere", 0, 302, "/nowhere"}, /* no Location */
        {"/loop", HP_E_REDIRECT, 0, ""},      {"/file", HP_E_REDIRECT, 0, ""},
        {"/nonsense", HP_E_REDIRECT, 0, ""},  {"/short-lie", UV_ECONNRESET, 0, ""},
    };
    static const char *const secret[] = {"X-Secret: 1", NULL};
    server_t server, other;
    client_t client;
    maze_t maze = {0};
    server_start(&other, serve_maze, &maze);
    maze.other_port = other.port;
    server_start(&server, serve_maze, &maze);
    client_start(&client);
    for (size_t i = 0; i < HP_COUNT(cases); i++) {
        for (int head = 0; head < 2; head++) {
            outcome_t outcome;
            if (head != 0 && cases[i].expected == UV_ECONNRESET)
                continue;
            outcome_init(&outcome);
            server.requests = 0;
            hp_fetch_options_t options = {.url = url_of(&server, cases[i].path),
                                          .headers = secret,
                                          .method = head != 0 ? "HEAD" : NULL};
            ask(&client, &options, &outcome);
            if (outcome.status != cases[i].expected)
                fail_msg("%s: %d (%s)", cases[i].path, outcome.status, hp_err_text(&outcome.err));
            assert_int_equal(outcome.heads, cases[i].expected == 0);
            if (outcome.heads > 0)
                assert_int_equal(outcome.head.status, cases[i].http);
            size_t url = strlen(outcome.url), end = strlen(cases[i].end);
            if (url < end || strcmp(outcome.url + url - end, cases[i].end) != 0)
                fail_msg("%s: ended at %s", cases[i].path, outcome.url);
            if (outcome.heads > 0 && cases[i].http == 200 && head == 0)
                assert_int_equal(outcome.length, 5);
            if (strcmp(cases[i].path, "/loop") == 0)
                assert_int_equal(server.requests, 11);
            outcome_dispose(&outcome);
        }
    }
    assert_non_null(strstr(server.last_request, "X-Secret"));
    assert_int_equal(other.requests, 2);
    assert_null(strstr(other.last_request, "X-Secret")); /* another origin */
    /* what was asked is asked again, and checked again */
    outcome_t outcome;
    outcome_init(&outcome);
    hp_fetch_options_t options = {
        .url = url_of(&server, "/to-part"), .ranged = true, .range = {2, 5}, .if_range = "\"r\""};
    ask(&client, &options, &outcome);
    assert_int_equal(outcome.status, 0);
    assert_int_equal(outcome.length, 3);
    assert_true(outcome.head.ranged);
    assert_non_null(strstr(server.last_request, "Range: bytes=2-4"));
    assert_non_null(strstr(server.last_request, "If-Range: \"r\""));
    outcome_dispose(&outcome);
    client_stop(&client);
    server_stop(&server);
    server_stop(&other);
}

static void redirects_are_not_followed_for_peers_and_posts(void **state)
{
    (void)state;
    server_t server;
    client_t client;
    outcome_t outcome;
    maze_t maze = {0};
    server_start(&server, serve_maze, &maze);
    client_start(&client);
    for (int post = 0; post < 2; post++) {
        outcome_init(&outcome);
        server.requests = 0;
        hp_fetch_options_t options = {.endpoint = post == 0 ? at(&server) : NULL,
                                      .path = "/relative",
                                      .url = url_of(&server, "/relative"),
                                      .method = post != 0 ? "POST" : NULL,
                                      .body = "x",
                                      .body_length = 1};
        ask(&client, &options, &outcome);
        assert_int_equal(outcome.status, 0);
        assert_int_equal(outcome.head.status, 302);
        assert_int_equal(outcome.length, 7);
        assert_int_equal(server.requests, 1);
        outcome_dispose(&outcome);
    }
    client_stop(&client);
    server_stop(&server);
}

/* ---- proxies ---- */

static void a_proxy_of_the_environment_never_gets_a_peers_request(void **state)
{
    (void)state;
    server_t server, proxy;
    client_t client;
    outcome_t outcome;
    char text[100];
    server_start(&server, serve_hello, NULL);
    server_start(&proxy, serve_hello, NULL);
    snprintf(text, sizeof text, "http://127.0.0.1:%u", proxy.port);
    static const char *const names[] = {"http_proxy", "all_proxy", "ALL_PROXY"};
    for (size_t i = 0; i < HP_COUNT(names); i++) {
        setenv(names[i], text, 1);
        client_start(&client);
        for (int round = 0; round < 2;
             round++) { /* a handle that went through the proxy is used again, and the other way round */
            outcome_init(&outcome);
            hp_fetch_options_t options = {.url = url_of(&server, "/x")};
            proxy.requests = server.requests = 0;
            ask(&client, &options, &outcome);
            assert_int_equal(outcome.status, 0);
            assert_int_equal(proxy.requests, 1);
            assert_int_equal(server.requests, 0);
            assert_non_null(strstr(proxy.last_request, "GET http://127.0.0.1:"));
            outcome_dispose(&outcome);
            outcome_init(&outcome);
            options = (hp_fetch_options_t){.endpoint = at(&server), .path = "/x"};
            ask(&client, &options, &outcome);
            assert_int_equal(outcome.status, 0);
            assert_int_equal(proxy.requests, 1);
            assert_int_equal(server.requests, 1);
            assert_non_null(strstr(server.last_request, "GET /x"));
            outcome_dispose(&outcome);
        }
        client_stop(&client);
        unsetenv(names[i]);
    }
    server_stop(&server);
    server_stop(&proxy);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_unknown_name_is_told_as_one),
        cmocka_unit_test(a_resolver_that_hangs_never_blocks_the_loop),
        cmocka_unit_test(the_second_address_of_a_name_is_tried),
        cmocka_unit_test(an_address_with_a_zone_is_reached),
        cmocka_unit_test(redirects_are_followed_for_other_servers),
        cmocka_unit_test(redirects_are_not_followed_for_peers_and_posts),
        cmocka_unit_test(a_proxy_of_the_environment_never_gets_a_peers_request),
    };
    return cmocka_run_group_tests(tests, forget_proxies, NULL);
}
