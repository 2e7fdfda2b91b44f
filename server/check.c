#include "check.h"

#include <errno.h>
#include <netdb.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

#include "base/mem.h"

#define WAIT_S 3 /* seconds for the connection, and for each part of the answer */

/* The port that the running hostpair wrote down: a free one, or the next of one that was taken. */
static int read_port_file(const char *path, uint16_t *port, hp_err_t *err)
{
    unsigned peer = 0, dashboard = 0;
    FILE *file = fopen(path, "re");
    if (file == NULL)
        return hp_err_set(err, -errno, "%s: %s", path, strerror(errno));
    int found = fscanf(file, "{\"peer\":%5u,\"dashboard\":%5u}", &peer, &dashboard);
    fclose(file);
    if (found != 2 || dashboard == 0 || dashboard > UINT16_MAX)
        return hp_err_set(err, HP_E_INVALID, "%s is not a port file of hostpair", path);
    *port = (uint16_t)dashboard;
    return 0;
}

/* Who listens everywhere is asked over loopback. */
static const char *reachable(const char *address)
{
    if (strcmp(address, "0.0.0.0") == 0)
        return "127.0.0.1";
    return strcmp(address, "::") == 0 ? "::1" : address;
}

/* A connected socket whose every call ends within WAIT_S, or a negative code. */
static int connect_to(const char *address, uint16_t port, hp_err_t *err)
{
    char service[8];
    struct addrinfo hints = {.ai_flags = AI_NUMERICHOST | AI_NUMERICSERV, .ai_socktype = SOCK_STREAM}, *found;
    struct timeval wait = {.tv_sec = WAIT_S};
    snprintf(service, sizeof service, "%u", port);
    int rc = getaddrinfo(address, service, &hints, &found);
    if (rc != 0)
        return hp_err_set(err, HP_E_INVALID, "%s", gai_strerror(rc));
    int fd = socket(found->ai_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd < 0 || setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &wait, sizeof wait) != 0 ||
        setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &wait, sizeof wait) != 0 ||
        connect(fd, found->ai_addr, found->ai_addrlen) != 0) {
        rc = -errno;
        hp_err_set(err, rc, "%s", rc == -EINPROGRESS ? "no answer" : strerror(-rc));
        if (fd >= 0)
            close(fd);
        fd = rc;
    }
    freeaddrinfo(found);
    return fd;
}

static int send_request(int fd, const char *host, const char *token, hp_err_t *err)
{
    char *text = hp_sprintf("GET /api/v1/status HTTP/1.1\r\nHost: %s\r\nConnection: close\r\n%s%s%s\r\n",
                            host, token != NULL ? "Authorization: Bearer " : "", token != NULL ? token : "",
                            token != NULL ? "\r\n" : "");
    ssize_t length = (ssize_t)strlen(text), sent = send(fd, text, (size_t)length, MSG_NOSIGNAL);
    int code = errno;
    free(text);
    if (sent == length)
        return 0;
    return hp_err_set(err, HP_E_TIMEOUT, "the request cannot be sent (%s)",
                      sent < 0 ? strerror(code) : "no room");
}

/* Reads as much as the status line needs; 0 when it says 200. */
static int read_answer(int fd, hp_err_t *err)
{
    static const char start[] = "HTTP/1.1 ";
    char text[sizeof start + 3];
    size_t length = 0, wanted = sizeof text - 1;
    while (length < wanted) {
        ssize_t n = recv(fd, text + length, wanted - length, 0);
        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            return hp_err_set(err, HP_E_TIMEOUT, "%s",
                              n == 0 || errno != EAGAIN ? "the connection was closed without an answer"
                                                        : "no answer");
        length += (size_t)n;
    }
    text[length] = '\0';
    int status = strncmp(text, start, strlen(start)) == 0 ? atoi(text + strlen(start)) : 0;
    if (status == 401)
        return hp_err_set(err, HP_E_UNAUTHORIZED, "it requires its token; see --dashboard-token-file");
    if (status == 0)
        return hp_err_set(err, HP_E_NOT_A_HOST, "the program that answers there is not hostpair");
    return status == 200 ? 0 : hp_err_set(err, HP_E_STATUS, "it answers with status %d", status);
}

int hp_check_run(const hp_options_t *options)
{
    hp_err_t err = {0};
    const char *address = reachable(options->dashboard_listen.address);
    uint16_t port = options->dashboard_listen.port;
    char host[HP_ADDRESS_SIZE];
    int rc = options->port_file != NULL ? read_port_file(options->port_file, &port, &err) : 0;
    if (rc != 0) {
        fprintf(stderr, "hostpair: %s\n", hp_err_text(&err));
        return 1;
    }
    hp_address_format(address, port, host);
    int fd = connect_to(address, port, &err);
    if (fd < 0) {
        rc = fd;
    } else {
        rc = send_request(fd, host, options->dashboard_token, &err);
        if (rc == 0)
            rc = read_answer(fd, &err);
        close(fd);
    }
    if (rc == 0)
        printf("the dashboard at %s answers\n", host);
    else
        fprintf(stderr, "hostpair: the dashboard at %s: %s\n", host, hp_err_text(&err));
    return rc == 0 ? 0 : 1;
}
