// libs: api http path os base
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "api/openapi.h"
#include "api/route.h"
#include "base/mem.h"

/* "GET /api/v1/status" and so on. */
typedef struct {
    char *items[200];
    size_t count;
} calls_t;

static calls_t routed, described;

static void add(calls_t *calls, const char *method, const char *path)
{
    assert_true(calls->count < HP_COUNT(calls->items));
    calls->items[calls->count++] = hp_sprintf("%s %s", method, path);
}

static bool holds(const calls_t *calls, const char *call)
{
    for (size_t i = 0; i < calls->count; i++)
        if (strcmp(calls->items[i], call) == 0)
            return true;
    return false;
}

/* OpenAPI has no word for a parameter with slashes. */
static void read_routes(void)
{
    for (size_t i = 0; i < hp_api_routes_count; i++) {
        char path[128];
        snprintf(path, sizeof path, "%s", hp_api_routes[i].pattern);
        char *dots = strstr(path, "...}");
        if (dots != NULL)
            strcpy(dots, "}");
        add(&routed, hp_api_routes[i].method, path);
    }
}

/* The two levels below "paths:": a path with two spaces before it, a method with four. */
static void read_description(void)
{
    static const char *const methods[] = {"get", "put", "post", "delete", "patch", "head", "options"};
    char *text = hp_strndup((const char *)hp_openapi, hp_openapi_size), *rest = NULL, path[128] = "";
    bool in_paths = false;
    for (char *line = strtok_r(text, "\n", &rest); line != NULL; line = strtok_r(NULL, "\n", &rest)) {
        if (line[0] != ' ' && line[0] != '#')
            in_paths = strcmp(line, "paths:") == 0;
        if (!in_paths || strncmp(line, "  ", 2) != 0)
            continue;
        if (line[2] == '/') {
            snprintf(path, sizeof path, "%s", line + 2);
            path[strcspn(path, ":")] = '\0';
        } else if (strncmp(line, "    ", 4) == 0 && line[4] != ' ') {
            for (size_t i = 0; i < HP_COUNT(methods); i++) {
                size_t n = strlen(methods[i]);
                char method[16] = "";
                if (strncmp(line + 4, methods[i], n) != 0 || strcmp(line + 4 + n, ":") != 0)
                    continue;
                for (size_t k = 0; k < n; k++)
                    method[k] = (char)(methods[i][k] - 'a' + 'A');
                add(&described, method, path);
            }
        }
    }
    free(text);
}

static void every_routed_call_is_described(void **state)
{
    (void)state;
    assert_true(routed.count > 20);
    for (size_t i = 0; i < routed.count; i++) {
        print_message("%s\n", routed.items[i]);
        assert_true(holds(&described, routed.items[i]));
    }
}

static void every_described_call_is_routed(void **state)
{
    (void)state;
    for (size_t i = 0; i < described.count; i++) {
        print_message("%s\n", described.items[i]);
        assert_true(holds(&routed, described.items[i]));
    }
    assert_int_equal(described.count, routed.count);
}

static void every_routed_call_finds_its_own_handler(void **state)
{
    (void)state;
    static hp_route_match_t match;
    for (size_t i = 0; i < hp_api_routes_count; i++) {
        char path[128] = "";
        for (const char *p = hp_api_routes[i].pattern; *p != '\0'; p++) {
            size_t used = strlen(path);
            snprintf(path + used, sizeof path - used, "%c", *p == '{' ? '1' : *p);
            if (*p == '{')
                p += strcspn(p, "}");
        }
        print_message("%s %s\n", hp_api_routes[i].method, path);
        assert_int_equal(
            hp_route_find(hp_api_routes, hp_api_routes_count, hp_api_routes[i].method, path, &match), 0);
        assert_ptr_equal(match.route, &hp_api_routes[i]);
    }
}

static int set_up(void **state)
{
    (void)state;
    read_routes();
    read_description();
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    calls_t *const both[] = {&routed, &described};
    for (size_t k = 0; k < 2; k++)
        for (size_t i = 0; i < both[k]->count; i++)
            free(both[k]->items[i]);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_routed_call_is_described),
        cmocka_unit_test(every_described_call_is_routed),
        cmocka_unit_test(every_routed_call_finds_its_own_handler),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
