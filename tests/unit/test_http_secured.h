/* A listener with TLS, and clients that speak it. */
#ifndef TEST_HTTP_SECURED_H
#define TEST_HTTP_SECURED_H

#include "test_http.h"

#define GET(path) "GET " path " HTTP/1.1\r\nHost: h\r\n\r\n"
#define MIB       ((size_t)1024 * 1024)

static hp_who_t seen; /* who sent the last request */
static size_t body_length;

static inline void on_request(void *arg, hp_http_request_t *request)
{
    (void)arg;
    seen = *hp_http_who(request);
    hp_http_body(request, &body_length);
    if (strcmp(hp_http_path(request), "/large") == 0) {
        static char body[8 * 1024 * 1024];
        hp_http_reply(request, 200, "text/plain", body, sizeof body);
    } else {
        hp_http_reply(request, 200, "text/plain", hp_http_path(request), strlen(hp_http_path(request)));
    }
}

static inline hp_http_options_t options(unsigned stuck_ms, unsigned idle_ms)
{
    memset(&seen, 0, sizeof seen);
    return (hp_http_options_t){
        .stuck_ms = stuck_ms, .idle_ms = idle_ms, .handler = on_request, .secure = secure_server()};
}

static inline size_t connection_count(void)
{
    return hp_http_connections(listener, NULL, 0);
}

static inline client_t *open_tls(SSL_CTX *context)
{
    client_t *c = client_connect(0);
    client_use_tls(c, context);
    client_shake_hands(c);
    return c;
}

#endif
