// libs: api http path os base
/* The path of a request to the API: it leads to one route of the table, with a decoded and bounded argument,
 * or to none. The first byte is the method, the rest is the path. */
#include <string.h>

#include "api/route.h"
#include "base/err.h"
#include "base/mem.h"

#include "promise.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static bool takes(const hp_route_t *route, const char *method)
{
    return strcmp(route->method, method) == 0 ||
           (strcmp(method, "HEAD") == 0 && strcmp(route->method, "GET") == 0);
}

/* How the pattern looks with this text in place of its argument. */
static char *fill(const char *pattern, const char *arg, bool rest)
{
    const char *open = strchr(pattern, '{'), *shut = open != NULL ? strchr(open, '}') : NULL;
    if (open == NULL)
        return hp_strdup(pattern);
    char *text = hp_path_encode(arg, strlen(arg), rest);
    char *path = hp_sprintf("%.*s%s%s", (int)(open - pattern), pattern, text, shut + 1);
    free(text);
    return path;
}

/* The same path in its one canonical form leads to the same place. */
static void check_match(const char *method, const hp_route_match_t *match)
{
    static hp_route_match_t again;
    const char *pattern = match->route->pattern;
    bool rest = strstr(pattern, "{path...}") != NULL;
    promise(match->route >= hp_api_routes && match->route < hp_api_routes + hp_api_routes_count);
    promise(takes(match->route, method) && match->route->handler != NULL);
    promise(strlen(match->arg) <= HP_PATH_MAX && (match->arg[0] != '\0') == (strchr(pattern, '{') != NULL));
    char *path = fill(pattern, match->arg, rest);
    int rc = hp_route_find(hp_api_routes, hp_api_routes_count, method, path, &again);
    /* An escaped word may be the name of a literal segment, which wins: "%70ause" is "pause". */
    promise(rc == 0 || rc == HP_E_METHOD || rc == HP_E_NOT_FOUND);
    if (rc == 0 && again.route == match->route)
        promise(strcmp(again.arg, match->arg) == 0);
    free(path);
}

static void check_allow(const char *method, const hp_route_match_t *match)
{
    bool some = false;
    promise(match->allow[0] != '\0' && strlen(match->allow) < sizeof match->allow - 1);
    for (const char *at = match->allow; *at != '\0';) {
        size_t length = strcspn(at, ",");
        promise(length >= 3 && (length != strlen(method) || strncmp(at, method, length) != 0));
        some |= strncmp(at, "GET", length) == 0 || strncmp(at, "POST", length) == 0 ||
                strncmp(at, "PUT", length) == 0 || strncmp(at, "DELETE", length) == 0 ||
                strncmp(at, "PATCH", length) == 0;
        at += length;
        at += strspn(at, ", ");
    }
    promise(some);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const char *const methods[] = {"GET", "HEAD", "PUT", "POST", "DELETE", "PATCH", "OPTIONS", "get"};
    static hp_route_match_t match;
    if (size == 0)
        return 0;
    const char *method = methods[data[0] % HP_COUNT(methods)];
    char *path = hp_strndup((const char *)data + 1, size - 1);
    memset(&match, 'x', sizeof match);
    int rc = hp_route_find(hp_api_routes, hp_api_routes_count, method, path, &match);
    promise(rc == 0 || rc == HP_E_NOT_FOUND || rc == HP_E_METHOD || rc == HP_E_BAD_REQUEST);
    promise(rc == HP_E_NOT_FOUND || path[0] == '/');
    if (rc == 0)
        check_match(method, &match);
    else if (rc == HP_E_METHOD)
        check_allow(method, &match);
    free(path);
    return 0;
}
