/* Who may call the dashboard: the Host, Origin and Sec-Fetch-Site rules that keep other web sites' pages out,
 * and the token. Nothing here knows HTTP beyond the text of those fields. Loop thread.
 *
 * A browser that has signed in holds a cookie with the time at which it expires, HP_GUARD_COOKIE_DAYS ahead,
 * authenticated by a key that comes from the token: another token ends all cookies. A cookie that is in use
 * is replaced once a day, so only one that was not used for that long expires. */
#ifndef HP_API_GUARD_H
#define HP_API_GUARD_H

#include <stdbool.h>
#include <stdint.h>

#include "api/guesses.h"
#include "base/err.h"
#include "base/options.h"

typedef struct hp_guard {
    const char *listen;              /* the address that the dashboard listens on */
    const hp_strings_t *allow_hosts; /* names besides the loopback ones */
    bool has_token;
    uint8_t token_digest[32], cookie_key[32];
    char cookie_name[32]; /* carries the port, since browsers do not keep cookies of two ports apart */
    hp_guesses_t guesses;
} hp_guard_t;

/* The fields of a request; NULL where one is missing. */
typedef struct hp_guard_request {
    const char *method, *host, *origin, *fetch_site, *authorization, *cookie;
    const char *client; /* numeric address */
    int64_t wall_ms;
    uint64_t now_ms; /* monotonic */
    bool open;       /* needs no token: the page itself, and the call that hands one in */
} hp_guard_request_t;

/* Keeps pointers to listen and allow_hosts. token NULL: none is asked for. */
void hp_guard_init(hp_guard_t *self, const char *listen, uint16_t port, const hp_strings_t *allow_hosts,
                   const char *token);

/* 0; HP_E_FORBIDDEN for Host, Origin or Sec-Fetch-Site; HP_E_UNAUTHORIZED for the token; HP_E_TOO_MANY for a
 * client that guesses. The words in err. */
int hp_guard_check(hp_guard_t *self, const hp_guard_request_t *request, hp_err_t *err);

/* A token that a client hands in: 0, HP_E_UNAUTHORIZED, or HP_E_TOO_MANY without looking at the token. 0 when
 * no token is asked for. Compares in a time that does not depend on where the two differ. */
int hp_guard_try_token(hp_guard_t *self, const char *client, uint64_t now_ms, const char *token,
                       hp_err_t *err);

/* The value of Set-Cookie by which a browser is let in from now on. */
#define HP_GUARD_COOKIE_DAYS 30
#define HP_GUARD_COOKIE_SIZE 320
char *hp_guard_set_cookie(const hp_guard_t *self, int64_t wall_ms, char out[HP_GUARD_COOKIE_SIZE]);

/* Whether the request came in by a cookie that is due to be replaced. */
bool hp_guard_cookie_is_old(const hp_guard_t *self, const hp_guard_request_t *request);

#endif
