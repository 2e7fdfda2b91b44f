#include "api/guard.h"

#include <arpa/inet.h>
#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/mem.h"
#include "base/path.h"

#define COOKIE_SECONDS (365 * 24 * 3600)

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
    /* The cookie goes to every port of this machine, so it does not hold the token itself. */
    uint8_t cookie[32];
    char *text = hp_sprintf("hostpair dashboard cookie: %s", token);
    digest(token, self->token_digest);
    digest(text, cookie);
    hp_hex_encode(cookie, sizeof cookie, self->cookie_value);
    OPENSSL_cleanse(text, strlen(text));
    free(text);
}

bool hp_guard_token_matches(const hp_guard_t *self, const char *token)
{
    uint8_t given[32];
    digest(token, given);
    return !self->has_token || CRYPTO_memcmp(given, self->token_digest, sizeof given) == 0;
}

char *hp_guard_set_cookie(const hp_guard_t *self, char out[HP_GUARD_COOKIE_SIZE])
{
    snprintf(out, HP_GUARD_COOKIE_SIZE, "%s=%s; Path=/; Max-Age=%d; HttpOnly; SameSite=Strict",
             self->cookie_name, self->cookie_value, COOKIE_SECONDS);
    return out;
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

/* DNS rebinding needs a name: whoever listens on all addresses may be called by each of them. */
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
        return hp_err_set(err, HP_E_FORBIDDEN, "the request names no host that can be understood");
    if (!host_allowed(self, host))
        return hp_err_set(err, HP_E_FORBIDDEN,
                          "the dashboard may not be called by the name %s; see --allow-host", host);
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
        return hp_err_set(err, HP_E_FORBIDDEN, "a page of another web site may change nothing here");
    if (request->fetch_site != NULL && strcmp(request->fetch_site, "same-origin") != 0 &&
        strcmp(request->fetch_site, "none") != 0)
        return hp_err_set(err, HP_E_FORBIDDEN, "a page of another web site may change nothing here");
    return 0;
}

/* ---- token ---- */

static bool bearer_matches(const hp_guard_t *self, const char *field)
{
    if (field == NULL || strncasecmp(field, "Bearer ", 7) != 0)
        return false;
    const char *token = field + 7;
    return hp_guard_token_matches(self, token + strspn(token, " "));
}

static bool cookie_matches(const hp_guard_t *self, const char *field)
{
    size_t name = strlen(self->cookie_name), value = strlen(self->cookie_value);
    for (const char *p = field; p != NULL && *p != '\0';) {
        p += strspn(p, " ;,"); /* several Cookie fields arrive joined by a comma */
        size_t length = strcspn(p, ";,");
        while (length > 0 && p[length - 1] == ' ')
            length--;
        if (length == name + 1 + value && strncmp(p, self->cookie_name, name) == 0 && p[name] == '=' &&
            CRYPTO_memcmp(p + name + 1, self->cookie_value, value) == 0)
            return true;
        p += strcspn(p, ";,");
    }
    return false;
}

int hp_guard_check(const hp_guard_t *self, const hp_guard_request_t *request, hp_err_t *err)
{
    int rc = check_host(self, request->host, err);
    if (rc == 0 && changes(request->method))
        rc = check_origin(self, request, err);
    if (rc != 0)
        return rc;
    if (!self->has_token || request->open || bearer_matches(self, request->authorization) ||
        cookie_matches(self, request->cookie))
        return 0;
    return hp_err_set(err, HP_E_UNAUTHORIZED, "this dashboard asks for its token");
}
