/* Calls of the running hostpair's REST API, one after the other over one connection (libcurl's easy
 * interface). Blocks: for commands, which have nothing else to do. One thread. */
#ifndef HP_CLI_CLIENT_H
#define HP_CLI_CLIENT_H

#include <stdbool.h>
#include <stddef.h>

#include <jansson.h>

#include "base/err.h"
#include "base/options.h"

typedef struct hp_client hp_client_t;

/* Finds the running hostpair: where the options say, else where the note in the data folder says, else at the
 * default address. HP_E_UNREACHABLE when nothing answers there; HP_E_UNAUTHORIZED when it wants a token that
 * the options do not have. The caller destroys. */
int hp_client_create(hp_client_t **client, const hp_options_t *options, hp_err_t *err);
void hp_client_destroy(hp_client_t *self);

/* What GET /api/v1/status said at the start; the client's own. */
const json_t *hp_client_status(const hp_client_t *self);

/* Whether it is this machine's own: a path here means the same there. */
bool hp_client_is_local(const hp_client_t *self);

/* One call below /api/v1. body, which is taken over, may be NULL; so may answer, which gets the JSON of the
 * reply (NULL when there is none) for the caller to free. 0; HP_E_UNREACHABLE: hostpair does not answer; a
 * problem document gives the code of its slug, HP_E_STATUS for one that is not known, with its sentence. */
int hp_client_call(hp_client_t *self, const char *method, const char *path, json_t *body, json_t **answer,
                   hp_err_t *err);

/* Whether the last call made a new thing (201). */
bool hp_client_created(const hp_client_t *self);

/* PUT with bytes as the body and a Content-Range, which may be NULL. is_new: nothing may be replaced. */
int hp_client_put(hp_client_t *self, const char *path, const void *data, size_t length, const char *range,
                  bool is_new, json_t **answer, hp_err_t *err);

/* GET /api/v1/events: each event goes to on_event, after one named "open" without data when the stream has
 * begun, until on_event returns non-zero, which is returned then, or the stream ends: HP_E_UNREACHABLE.
 * on_event may make calls. */
typedef int (*hp_client_event_fn)(void *arg, const char *name, const json_t *data);
int hp_client_events(hp_client_t *self, hp_client_event_fn on_event, void *arg, hp_err_t *err);

/* A field of an object: its text, "" when it is none; its number, or the fallback. */
const char *hp_client_text(const json_t *object, const char *name);
int64_t hp_client_number(const json_t *object, const char *name, int64_t fallback);

#endif
