// libs: api http path os base
#include <string.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "api/route.h"
#include "base/err.h"
#include "base/mem.h"

#define HANDLER(name)                                                                                        \
    static void name(hp_api_t *api, hp_http_request_t *request, const char *arg)                             \
    {                                                                                                        \
        (void)api, (void)request, (void)arg;                                                                 \
    }
HANDLER(list)
HANDLER(create)
HANDLER(pause_all)
HANDLER(show)
HANDLER(change)
HANDLER(chunks)
HANDLER(file)
HANDLER(put)

static const hp_route_t routes[] = {
    {"GET", "/v1/things", list},
    {"POST", "/v1/things", create},
    {"POST", "/v1/things/pause", pause_all},
    {"GET", "/v1/things/{id}", show},
    {"PATCH", "/v1/things/{id}", change},
    {"GET", "/v1/things/{id}/chunks", chunks},
    {"GET", "/v1/files/{path...}", file},
    {"PUT", "/v1/files/{path...}", put},
};
static hp_route_match_t match;

static int find(const char *method, const char *path)
{
    return hp_route_find(routes, HP_COUNT(routes), method, path, &match);
}

static void assert_found(const char *method, const char *path, hp_api_handler_fn handler, const char *arg)
{
    print_message("%s %s\n", method, path);
    assert_int_equal(find(method, path), 0);
    assert_true(match.route->handler == handler);
    assert_string_equal(match.arg, arg);
}

static void a_path_finds_its_handler_by_method(void **state)
{
    (void)state;
    assert_found("GET", "/v1/things", list, "");
    assert_found("POST", "/v1/things", create, "");
    assert_found("HEAD", "/v1/things", list, "");
}

static void an_id_is_one_decoded_segment(void **state)
{
    (void)state;
    assert_found("GET", "/v1/things/42", show, "42");
    assert_found("PATCH", "/v1/things/a%20b", change, "a b");
    assert_found("GET", "/v1/things/a%2Fb/chunks", chunks, "a/b");
}

static void a_literal_segment_wins_over_an_id(void **state)
{
    (void)state;
    assert_found("POST", "/v1/things/pause", pause_all, "");
}

static void a_path_argument_is_all_the_rest_with_its_slashes(void **state)
{
    (void)state;
    assert_found("GET", "/v1/files/a/b%20c/%C3%A9.txt", file, "a/b c/\u00e9.txt");
    assert_found("PUT", "/v1/files/a%2Fb", put, "a/b");
    assert_found("GET", "/v1/files/../x", file, "../x");
}

static void what_is_not_in_the_table_is_not_found(void **state)
{
    (void)state;
    const char *const paths[] = {
        "/",           "/v1",           "/v1/",           "/v1/thing",          "/v1/things/",
        "/v1/thingsx", "/v1/things/1/", "/v1/things/1/x", "/v1/things//chunks", "/v1/files",
        "/v1/files/",  "/V1/things",    "/v1/%74hings",   "//v1/things"};
    for (size_t i = 0; i < HP_COUNT(paths); i++) {
        print_message("%s\n", paths[i]);
        assert_int_equal(find("GET", paths[i]), HP_E_NOT_FOUND);
    }
}

static void a_wrong_method_tells_the_right_ones(void **state)
{
    (void)state;
    assert_int_equal(find("DELETE", "/v1/things"), HP_E_METHOD);
    assert_string_equal(match.allow, "GET, HEAD, POST");
    assert_int_equal(find("GET", "/v1/things/pause"), HP_E_METHOD);
    assert_string_equal(match.allow, "POST");
    assert_int_equal(find("POST", "/v1/things/1"), HP_E_METHOD);
    assert_string_equal(match.allow, "GET, HEAD, PATCH");
    assert_int_equal(find("OPTIONS", "/v1/files/x"), HP_E_METHOD);
    assert_string_equal(match.allow, "GET, HEAD, PUT");
}

static void what_cannot_be_decoded_is_a_bad_request(void **state)
{
    (void)state;
    const char *const paths[] = {"/v1/things/%", "/v1/things/%zz", "/v1/things/a%00b", "/v1/files/a/%4"};
    for (size_t i = 0; i < HP_COUNT(paths); i++)
        assert_int_equal(find("GET", paths[i]), HP_E_BAD_REQUEST);
}

static void a_path_longer_than_any_file_has_is_a_bad_request(void **state)
{
    (void)state;
    static char path[HP_PATH_MAX + 100];
    memset(path, 'a', sizeof path - 1);
    memcpy(path, "/v1/files/", 10);
    assert_int_equal(find("GET", path), HP_E_BAD_REQUEST);
    path[10 + HP_PATH_MAX] = '\0';
    assert_int_equal(find("GET", path), 0);
    assert_int_equal(strlen(match.arg), HP_PATH_MAX);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_path_finds_its_handler_by_method),
        cmocka_unit_test(an_id_is_one_decoded_segment),
        cmocka_unit_test(a_literal_segment_wins_over_an_id),
        cmocka_unit_test(a_path_argument_is_all_the_rest_with_its_slashes),
        cmocka_unit_test(what_is_not_in_the_table_is_not_found),
        cmocka_unit_test(a_wrong_method_tells_the_right_ones),
        cmocka_unit_test(what_cannot_be_decoded_is_a_bad_request),
        cmocka_unit_test(a_path_longer_than_any_file_has_is_a_bad_request),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
