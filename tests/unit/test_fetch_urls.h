/* A server that says hello to everybody, and an environment without proxies. */
#ifndef TEST_FETCH_URLS_H
#define TEST_FETCH_URLS_H

#include "test_fetch.h"

static inline void serve_hello(server_t *server, int fd, int number)
{
    char request[8192];
    (void)number;
    while (read_request(server, fd, request, sizeof request))
        if (!send_text(fd, OK "Content-Length: 5\r\n\r\nhello"))
            return;
}

static inline int forget_proxies(void **state)
{
    (void)state;
    static const char *const names[] = {"http_proxy", "https_proxy", "HTTPS_PROXY", "all_proxy",
                                        "ALL_PROXY",  "no_proxy",    "NO_PROXY",    "SSL_CERT_FILE"};
    for (size_t i = 0; i < HP_COUNT(names); i++)
        unsetenv(names[i]);
    return 0;
}

#endif
