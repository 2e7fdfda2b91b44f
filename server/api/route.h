/* Finding the handler of a request: a table of methods and patterns, and the matching of a path against it. A
 * pattern's segment is literal text, {id} (one segment, decoded) or, at its end, {path...} (the rest,
 * decoded, with its slashes). A pattern has at most one of the two. Literal segments win over {id} by
 * standing first in the table. */
#ifndef HP_API_ROUTE_H
#define HP_API_ROUTE_H

#include <stddef.h>

#include "base/path.h"
#include "http/http.h"

typedef struct hp_api hp_api_t;

/* arg: what stands at the place of {id} or {path...}, "" for a pattern without. Valid during the call. */
typedef void (*hp_api_handler_fn)(hp_api_t *api, hp_http_request_t *request, const char *arg);

typedef struct hp_route {
    const char *method, *pattern;
    hp_api_handler_fn handler;
} hp_route_t;

/* The calls of the dashboard's API, as they are served and as openapi.yaml describes them. */
extern const hp_route_t hp_api_routes[];
extern const size_t hp_api_routes_count;

typedef struct hp_route_match {
    const hp_route_t *route;
    char arg[HP_PATH_MAX + 1];
    char allow[64]; /* with HP_E_METHOD: the methods that the path takes, as Allow lists them */
} hp_route_match_t;

/* path is percent-encoded, without a query. HEAD is taken where GET is. 0; HP_E_NOT_FOUND; HP_E_METHOD;
 * HP_E_BAD_REQUEST where the path cannot be decoded. */
int hp_route_find(const hp_route_t *routes, size_t count, const char *method, const char *path,
                  hp_route_match_t *match);

#endif
