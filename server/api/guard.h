/* Who may call the dashboard: the Host, Origin and Sec-Fetch-Site rules that keep other web sites' pages out,
 * and the token. Nothing here knows HTTP beyond the text of those fields. Loop thread. */
#ifndef HP_API_GUARD_H
#define HP_API_GUARD_H

#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"
#include "base/options.h"

typedef struct hp_guard {
    const char *listen;              /* the address that the dashboard listens on */
    const hp_strings_t *allow_hosts; /* names besides the loopback ones */
    bool has_token;
    uint8_t token_digest[32];
    char cookie_name[32]; /* carries the port, since browsers do not keep cookies of two ports apart */
    char cookie_value[65];
} hp_guard_t;

/* The fields of a request; NULL where one is missing. */
typedef struct hp_guard_request {
    const char *method, *host, *origin, *fetch_site, *authorization, *cookie;
    bool open; /* needs no token: the page itself, and the call that hands one in */
} hp_guard_request_t;

/* Keeps pointers to listen and allow_hosts. token NULL: none is asked for. */
void hp_guard_init(hp_guard_t *self, const char *listen, uint16_t port, const hp_strings_t *allow_hosts,
                   const char *token);

/* 0; HP_E_FORBIDDEN for Host, Origin or Sec-Fetch-Site; HP_E_UNAUTHORIZED for the token. The words in err. */
int hp_guard_check(const hp_guard_t *self, const hp_guard_request_t *request, hp_err_t *err);

/* Compares in a time that does not depend on where the two differ. True when no token is asked for. */
bool hp_guard_token_matches(const hp_guard_t *self, const char *token);

/* The value of Set-Cookie by which a browser is let in from now on. */
#define HP_GUARD_COOKIE_SIZE 192
char *hp_guard_set_cookie(const hp_guard_t *self, char out[HP_GUARD_COOKIE_SIZE]);

#endif
