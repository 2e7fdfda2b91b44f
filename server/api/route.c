#include "api/route.h"

#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include "base/err.h"

static int take(const char *text, size_t length, hp_route_match_t *match)
{
    size_t decoded;
    if (length == 0)
        return HP_E_NOT_FOUND;
    int rc = hp_path_decode(text, length, match->arg, sizeof match->arg, &decoded);
    return rc == 0 ? 0 : HP_E_BAD_REQUEST;
}

/* 0, HP_E_NOT_FOUND or HP_E_BAD_REQUEST. */
static int match_pattern(const char *pattern, const char *path, hp_route_match_t *match)
{
    match->arg[0] = '\0';
    while (*pattern == '/' && *path == '/') {
        pattern++;
        path++;
        size_t in_pattern = strcspn(pattern, "/"), in_path = strcspn(path, "/");
        int rc = 0;
        if (strcmp(pattern, "{path...}") == 0)
            return take(path, strlen(path), match);
        if (pattern[0] == '{')
            rc = take(path, in_path, match);
        else if (in_pattern != in_path || memcmp(pattern, path, in_path) != 0)
            rc = HP_E_NOT_FOUND;
        if (rc != 0)
            return rc;
        pattern += in_pattern;
        path += in_path;
    }
    return *pattern == '\0' && *path == '\0' ? 0 : HP_E_NOT_FOUND;
}

static bool takes(const hp_route_t *route, const char *method)
{
    return strcmp(route->method, method) == 0 ||
           (strcmp(method, "HEAD") == 0 && strcmp(route->method, "GET") == 0);
}

static void allow_method(hp_route_match_t *match, const char *method)
{
    size_t used = strlen(match->allow);
    snprintf(match->allow + used, sizeof match->allow - used, "%s%s%s", used > 0 ? ", " : "", method,
             strcmp(method, "GET") == 0 ? ", HEAD" : "");
}

int hp_route_find(const hp_route_t *routes, size_t count, const char *method, const char *path,
                  hp_route_match_t *match)
{
    const char *found = NULL;
    match->allow[0] = '\0';
    for (size_t i = 0; i < count; i++) {
        const hp_route_t *route = &routes[i];
        if (found != NULL) {
            if (strcmp(found, route->pattern) != 0)
                continue;
        } else {
            int rc = match_pattern(route->pattern, path, match);
            if (rc == HP_E_NOT_FOUND)
                continue;
            if (rc != 0)
                return rc;
            found = route->pattern;
        }
        if (takes(route, method)) {
            match->route = route;
            return 0;
        }
        allow_method(match, route->method);
    }
    return found != NULL ? HP_E_METHOD : HP_E_NOT_FOUND;
}
