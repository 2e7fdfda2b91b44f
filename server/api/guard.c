#include "api/guard.h"

#include <arpa/inet.h>
#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/mem.h"
#include "base/path.h"

#define DAY_S    ((int64_t)24 * 3600)
#define COOKIE_S (HP_GUARD_COOKIE_DAYS * DAY_S)

static void digest(const char *text, uint8_t out[32])
{
    if (EVP_Digest(text, strlen(text), out, NULL, EVP_sha256(), NULL) != 1)
        abort(); /* a libcrypto without SHA-256 */
}

void hp_guard_init(hp_guard_t *self, const char *listen, uint16_t port, const hp_strings_t *allow_hosts,
                   const char *token)
{
    *self = (hp_guard_t){.listen = listen, .allow_hosts = allow_hosts, .has_token = token != NULL};
    snprintf(self->cookie_name, sizeof self->cookie_name, "hostpair_%u", port);
    if (token == NULL)
        return;
    char *text = hp_sprintf("hostpair dashboard cookie: %s", token);
    digest(token, self->token_digest);
    digest(text, self->cookie_key);
    OPENSSL_cleanse(text, strlen(text));
    free(text);
}

/* ---- Host ---- */

/* The name or address in a Host field, without brackets, port and a final dot; false when it is malformed. */
static bool read_host(const char *field, char *out, size_t size)
{
    const char *start = field, *end;
    if (*field == '[') {
        start++;
        end = strchr(start, ']');
        if (end == NULL)
            return false;
    } else {
        end = start + strcspn(start, ":");
    }
    const char *port = *end == ']' ? end + 1 : end;
    if (*port != '\0' && (*port != ':' || strspn(port + 1, "0123456789") != strlen(port + 1)))
        return false;
    size_t length = (size_t)(end - start);
    if (*field != '[' && length > 1 && start[length - 1] == '.')
        length--;
    if (length == 0 || length >= size)
        return false;
    memcpy(out, start, length);
    out[length] = '\0';
    return true;
}

static bool is_loopback(const char *host)
{
    struct in_addr v4;
    struct in6_addr v6;
    if (strcasecmp(host, "localhost") == 0)
        return true;
    if (inet_pton(AF_INET, host, &v4) == 1)
        return (ntohl(v4.s_addr) >> 24) == 127;
    return inet_pton(AF_INET6, host, &v6) == 1 && IN6_IS_ADDR_LOOPBACK(&v6);
}

static bool is_address(const char *host)
{
    struct in_addr v4;
    struct in6_addr v6;
    return inet_pton(AF_INET, host, &v4) == 1 || inet_pton(AF_INET6, host, &v6) == 1;
}

/* Given with --allow-host, whose port does not matter. */
static bool is_configured(const hp_guard_t *self, const char *host)
{
    for (size_t i = 0; i < self->allow_hosts->count; i++) {
        char allowed[256];
        if (read_host(self->allow_hosts->items[i], allowed, sizeof allowed) && strcasecmp(host, allowed) == 0)
            return true;
    }
    return false;
}

/* DNS rebinding needs a name. A dashboard that listens on all addresses may be called by each of them. */
static bool host_allowed(const hp_guard_t *self, const char *host)
{
    bool everywhere = strcmp(self->listen, "0.0.0.0") == 0 || strcmp(self->listen, "::") == 0;
    return is_loopback(host) || strcasecmp(host, self->listen) == 0 || (everywhere && is_address(host)) ||
           is_configured(self, host);
}

static int check_host(const hp_guard_t *self, const char *field, hp_err_t *err)
{
    char host[256];
    if (field == NULL || !read_host(field, host, sizeof host))
        return hp_err_set(err, HP_E_FORBIDDEN, "the request has no valid Host field");
    if (!host_allowed(self, host))
        return hp_err_set(err, HP_E_FORBIDDEN, "the dashboard does not accept the name %s; see --allow-host",
                          host);
    return 0;
}

/* ---- Origin and Sec-Fetch-Site ---- */

static bool changes(const char *method)
{
    return strcmp(method, "GET") != 0 && strcmp(method, "HEAD") != 0;
}

/* The origin's host and port are the ones that the request names. https comes from a proxy in between, which
 * calls the dashboard by a name that was configured. */
static bool same_origin(const hp_guard_t *self, const char *origin, const char *host)
{
    if (strncasecmp(origin, "http://", 7) == 0)
        return strcasecmp(origin + 7, host) == 0;
    char name[256];
    return strncasecmp(origin, "https://", 8) == 0 && strcasecmp(origin + 8, host) == 0 &&
           read_host(host, name, sizeof name) && is_configured(self, name);
}

static int check_origin(const hp_guard_t *self, const hp_guard_request_t *request, hp_err_t *err)
{
    if (request->origin != NULL && !same_origin(self, request->origin, request->host))
        return hp_err_set(err, HP_E_FORBIDDEN, "pages of other web sites may not change anything here");
    if (request->fetch_site != NULL && strcmp(request->fetch_site, "same-origin") != 0 &&
        strcmp(request->fetch_site, "none") != 0)
        return hp_err_set(err, HP_E_FORBIDDEN, "pages of other web sites may not change anything here");
    return 0;
}

/* ---- token and cookie ---- */

static int refuse_for_now(unsigned seconds, hp_err_t *err)
{
    return hp_err_set(err, HP_E_TOO_MANY, "too many wrong tokens; try again in %u seconds", seconds);
}

int hp_guard_try_token(hp_guard_t *self, const char *client, uint64_t now_ms, const char *token,
                       hp_err_t *err)
{
    uint8_t given[32];
    if (!self->has_token)
        return 0;
    unsigned seconds = hp_guesses_wait(&self->guesses, client, now_ms);
    if (seconds > 0)
        return refuse_for_now(seconds, err);
    digest(token, given);
    if (CRYPTO_memcmp(given, self->token_digest, sizeof given) == 0)
        return 0;
    hp_guesses_add(&self->guesses, client, given, now_ms);
    return hp_err_set(err, HP_E_UNAUTHORIZED, "that is not the token that hostpair was started with");
}

#define VALUE_SIZE 128 /* of a cookie: the second it expires, in hexadecimal, a full stop, 64 hex digits */

static void make_value(const hp_guard_t *self, int64_t expires_s, char out[VALUE_SIZE])
{
    uint8_t mac[32];
    char hex[65], text[32];
    int length = snprintf(text, sizeof text, "%llx", (unsigned long long)expires_s);
    if (HMAC(EVP_sha256(), self->cookie_key, sizeof self->cookie_key, (const uint8_t *)text, (size_t)length,
             mac, NULL) == NULL)
        abort(); /* a libcrypto without SHA-256 */
    hp_hex_encode(mac, sizeof mac, hex);
    snprintf(out, VALUE_SIZE, "%s.%s", text, hex);
}

char *hp_guard_set_cookie(const hp_guard_t *self, int64_t wall_ms, char out[HP_GUARD_COOKIE_SIZE])
{
    char value[VALUE_SIZE];
    make_value(self, wall_ms / 1000 + COOKIE_S, value);
    snprintf(out, HP_GUARD_COOKIE_SIZE, "%s=%s; Path=/; Max-Age=%lld; HttpOnly; SameSite=Strict",
             self->cookie_name, value, (long long)COOKIE_S);
    return out;
}

/* The seconds that a cookie's value is still good for; 0 and below: it has expired. False when it is not one
 * that was made here. */
static bool read_value(const hp_guard_t *self, const char *value, size_t length, int64_t wall_ms,
                       int64_t *left_s)
{
    char given[VALUE_SIZE], made[VALUE_SIZE];
    if (length >= sizeof given)
        return false;
    memcpy(given, value, length);
    given[length] = '\0';
    int64_t expires_s = (int64_t)strtoull(given, NULL, 16);
    make_value(self, expires_s, made);
    if (strlen(made) != length || CRYPTO_memcmp(made, given, length) != 0)
        return false;
    *left_s = expires_s - wall_ms / 1000;
    return true;
}

/* The best of the cookies of our name. wrong: gets the digest of one that was not made here. */
typedef struct {
    int64_t left_s; /* 0: none is good */
    bool any_wrong;
    uint8_t wrong[32];
} cookie_t;

static cookie_t read_cookie(const hp_guard_t *self, const char *field, int64_t wall_ms)
{
    size_t name = strlen(self->cookie_name);
    cookie_t cookie = {0};
    for (const char *p = field; p != NULL && *p != '\0';) {
        p += strspn(p, " ;,"); /* several Cookie fields arrive joined by a comma */
        size_t length = strcspn(p, ";,");
        const char *next = p + length;
        while (length > 0 && p[length - 1] == ' ')
            length--;
        if (length > name && strncmp(p, self->cookie_name, name) == 0 && p[name] == '=') {
            int64_t left_s = 0;
            const char *value = p + name + 1;
            if (read_value(self, value, length - name - 1, wall_ms, &left_s)) {
                cookie.left_s = HP_MAX(cookie.left_s, left_s);
            } else {
                char *text = hp_strndup(value, length - name - 1);
                digest(text, cookie.wrong);
                free(text);
                cookie.any_wrong = true;
            }
        }
        p = next;
    }
    return cookie;
}

bool hp_guard_cookie_is_old(const hp_guard_t *self, const hp_guard_request_t *request)
{
    if (!self->has_token)
        return false;
    cookie_t cookie = read_cookie(self, request->cookie, request->wall_ms);
    return cookie.left_s > 0 && cookie.left_s < COOKIE_S - DAY_S;
}

static int check_token(hp_guard_t *self, const hp_guard_request_t *request, hp_err_t *err)
{
    cookie_t cookie = read_cookie(self, request->cookie, request->wall_ms);
    if (cookie.left_s > 0)
        return 0;
    if (request->authorization != NULL && strncasecmp(request->authorization, "Bearer ", 7) == 0) {
        const char *token = request->authorization + 7;
        return hp_guard_try_token(self, request->client, request->now_ms, token + strspn(token, " "), err);
    }
    unsigned seconds =
        cookie.any_wrong ? hp_guesses_wait(&self->guesses, request->client, request->now_ms) : 0;
    if (seconds > 0)
        return refuse_for_now(seconds, err);
    if (cookie.any_wrong)
        hp_guesses_add(&self->guesses, request->client, cookie.wrong, request->now_ms);
    return hp_err_set(err, HP_E_UNAUTHORIZED, "this dashboard requires its token");
}

int hp_guard_check(hp_guard_t *self, const hp_guard_request_t *request, hp_err_t *err)
{
    int rc = check_host(self, request->host, err);
    if (rc == 0 && changes(request->method))
        rc = check_origin(self, request, err);
    if (rc != 0 || !self->has_token || request->open)
        return rc;
    return check_token(self, request, err);
}
