/* Curl's sockets and time-outs on the libuv loop.
 *
 * A connection outlives its requests, and so does its poll handle: it is closed when curl closes the socket.
 * Between two requests it stays armed for reading, which saves the system calls of taking it out of epoll and
 * putting it in again for every small request. When it becomes readable while curl does not want it (the
 * other side closed it, or sent what nobody asked for, or the transfer is held), only its end is watched for
 * until curl wants it again. When the other side has ended it, this side's end is told too: curl notices
 * when it would use the connection again, and until then a hub would keep a relayed one.
 *
 * That holds once a request was sent on it. Before that (and for the sockets by which its resolver threads
 * report) curl closes descriptors without a word to hp_fetch_socket_close(), so that the poll handle goes as
 * soon as curl does not want it. The number may even come back for the next attempt to connect before curl
 * has said so: curl then believes that it is still watched. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/log.h"
#include "base/mem.h"
#include "fetch/internal.h"
#include "os/own_address.h"

/* How TCP asks for a sign of life: every so many s, so many times. */
enum { ALIVE_INTERVAL_S = 5, ALIVE_TRIES = 3 };

struct hp_fetch_socket {
    uv_poll_t poll;
    hp_fetcher_t *fetcher;
    hp_fetch_socket_t *next, *previous; /* among all */
    curl_socket_t fd;
    int wanted, armed; /* UV_READABLE, UV_WRITABLE; armed: or UV_DISCONNECT */
    int local_port;    /* 0 until the first request */
    int remote_port;
    char remote[64];
};

static hp_fetch_socket_t *find(hp_fetcher_t *self, curl_socket_t fd)
{
    return fd >= 0 && (size_t)fd < self->socket_slots ? self->sockets[fd] : NULL;
}

static hp_fetch_socket_t *make(hp_fetcher_t *self, curl_socket_t fd)
{
    if ((size_t)fd >= self->socket_slots) {
        size_t slots = HP_MAX(self->socket_slots * 2, (size_t)fd + 64);
        self->sockets = hp_realloc(self->sockets, slots * sizeof(hp_fetch_socket_t *));
        memset(self->sockets + self->socket_slots, 0,
               (slots - self->socket_slots) * sizeof(hp_fetch_socket_t *));
        self->socket_slots = slots;
    }
    hp_fetch_socket_t *socket = hp_alloc(sizeof *socket);
    socket->fetcher = self;
    socket->fd = fd;
    int rc = uv_poll_init(self->loop, &socket->poll, fd);
    if (rc != 0) {
        hp_log(HP_LOG_ERROR, "watching a socket: %s", uv_strerror(rc));
        free(socket);
        return NULL;
    }
    hp_pending_add(&self->pending);
    self->sockets[fd] = socket;
    socket->next = self->all_sockets;
    if (socket->next != NULL)
        socket->next->previous = socket;
    self->all_sockets = socket;
    return socket;
}

static void on_poll_closed(uv_handle_t *handle)
{
    hp_fetch_socket_t *socket = HP_CONTAINER(handle, hp_fetch_socket_t, poll);
    hp_fetcher_t *fetcher = socket->fetcher;
    free(socket);
    hp_pending_drop(&fetcher->pending);
}

/* Takes the descriptor out of epoll at once: curl closes it next. */
static void drop(hp_fetch_socket_t *socket)
{
    hp_fetcher_t *self = socket->fetcher;
    self->sockets[socket->fd] = NULL;
    if (socket->previous != NULL)
        socket->previous->next = socket->next;
    else
        self->all_sockets = socket->next;
    if (socket->next != NULL)
        socket->next->previous = socket->previous;
    uv_close((uv_handle_t *)&socket->poll, on_poll_closed);
}

static void on_poll(uv_poll_t *handle, int status, int events);

static void arm(hp_fetch_socket_t *socket, int events)
{
    if (socket->armed == events)
        return;
    int rc = events != 0 ? uv_poll_start(&socket->poll, events, on_poll) : uv_poll_stop(&socket->poll);
    socket->armed = rc == 0 ? events : 0;
    if (rc != 0) /* the request on it ends by its stall clock */
        hp_log(HP_LOG_ERROR, "watching a socket: %s", uv_strerror(rc));
}

static void on_poll(uv_poll_t *handle, int status, int events)
{
    hp_fetch_socket_t *socket = HP_CONTAINER(handle, hp_fetch_socket_t, poll);
    hp_fetcher_t *self = socket->fetcher;
    curl_socket_t fd = socket->fd;
    if (status < 0) {
        /* An error is pending on the socket, and libuv has stopped watching it. Curl shall read what came
         * before the error. */
        socket->armed = 0;
        events = socket->wanted;
    }
    if ((events & UV_DISCONNECT) != 0 && socket->wanted == 0) {
        shutdown(fd, SHUT_WR);
        arm(socket, 0);
        return;
    }
    events &= socket->wanted;
    if (events == 0) {
        arm(socket, socket->wanted == 0 && socket->local_port != 0 && status >= 0 ? UV_DISCONNECT : 0);
        return;
    }
    int flags = ((events & UV_READABLE) != 0 ? CURL_CSELECT_IN : 0) |
                ((events & UV_WRITABLE) != 0 ? CURL_CSELECT_OUT : 0);
    hp_fetcher_act(self, fd, flags);
    if (find(self, fd) == socket && socket->wanted != 0 && socket->armed == 0)
        arm(socket, socket->wanted);
}

static int on_curl_socket(CURL *easy, curl_socket_t fd, int what, void *arg, void *socket_arg)
{
    (void)easy;
    (void)socket_arg;
    hp_fetcher_t *self = arg;
    hp_fetch_socket_t *socket = find(self, fd);
    if (what == CURL_POLL_REMOVE) {
        if (socket == NULL)
            return 0;
        socket->wanted = 0;
        if (socket->local_port == 0)
            drop(socket);
        else if (socket->armed != UV_READABLE)
            arm(socket, 0);
        return 0;
    }
    if (socket == NULL)
        socket = make(self, fd);
    if (socket == NULL)
        return 0;
    socket->wanted =
        ((what & CURL_POLL_IN) != 0 ? UV_READABLE : 0) | ((what & CURL_POLL_OUT) != 0 ? UV_WRITABLE : 0);
    arm(socket, socket->wanted);
    return 0;
}

static void on_curl_timer_due(uv_timer_t *timer)
{
    hp_fetcher_act(HP_CONTAINER(timer, hp_fetcher_t, curl_timer), CURL_SOCKET_TIMEOUT, 0);
}

static int on_curl_timer(CURLM *multi, long ms, void *arg)
{
    (void)multi;
    hp_fetcher_t *self = arg;
    self->timer_due = false;
    if (ms == 0) {
        uv_timer_stop(&self->curl_timer);
        self->timer_due = true;
        hp_fetcher_kick(self);
    } else if (ms > 0) {
        uv_timer_start(&self->curl_timer, on_curl_timer_due, (uint64_t)ms, 0);
    } else {
        uv_timer_stop(&self->curl_timer);
    }
    return 0;
}

void hp_fetch_sockets_dispose(hp_fetcher_t *self)
{
    while (self->all_sockets != NULL)
        drop(self->all_sockets);
}

void hp_fetch_sockets_init(hp_fetcher_t *self)
{
    curl_multi_setopt(self->multi, CURLMOPT_SOCKETFUNCTION, on_curl_socket);
    curl_multi_setopt(self->multi, CURLMOPT_SOCKETDATA, self);
    curl_multi_setopt(self->multi, CURLMOPT_TIMERFUNCTION, on_curl_timer);
    curl_multi_setopt(self->multi, CURLMOPT_TIMERDATA, self);
}

static void keep_alive(int fd, unsigned seconds)
{
    int on = 1, idle = (int)seconds, interval = ALIVE_INTERVAL_S, count = ALIVE_TRIES;
    setsockopt(fd, SOL_SOCKET, SO_KEEPALIVE, &on, sizeof on);
    setsockopt(fd, IPPROTO_TCP, TCP_KEEPIDLE, &idle, sizeof idle);
    setsockopt(fd, IPPROTO_TCP, TCP_KEEPINTVL, &interval, sizeof interval);
    setsockopt(fd, IPPROTO_TCP, TCP_KEEPCNT, &count, sizeof count);
}

curl_socket_t hp_fetch_socket_open(void *arg, curlsocktype purpose, struct curl_sockaddr *address)
{
    hp_fetch_t *fetch = arg;
    hp_fetcher_t *self = fetch->fetcher;
    if (purpose != CURLSOCKTYPE_IPCXN)
        return CURL_SOCKET_BAD;
    bool member = fetch->peer && fetch->endpoint.scheme == HP_SCHEME_MEMBER;
    int fd =
        member ? hp_fetch_member_socket(fetch, address)
               : socket(address->family, address->socktype | SOCK_CLOEXEC | SOCK_NONBLOCK, address->protocol);
    if (fd < 0) {
        hp_log(HP_LOG_WARN, "opening a connection to %s: %s", fetch->where, strerror(errno));
        return CURL_SOCKET_BAD;
    }
    if (fetch->alive_s > 0 && !member)
        keep_alive(fd, fetch->alive_s);
    fetch->new_socket = true;
    fetch->connected = fetch->greeted = fetch->proven = false; /* curl may replace a kept one by itself */
    hp_fetch_socket_t *closed = find(self, fd);
    if (closed != NULL) {
        int wanted = closed->wanted;
        drop(closed);
        hp_fetch_socket_t *socket = make(self, fd);
        if (socket != NULL) {
            socket->wanted = wanted;
            arm(socket, wanted);
        }
    }
    return fd;
}

/* Curl meets the end of the connection, now or before it would use it again. */
void hp_fetcher_network_changed(hp_fetcher_t *self)
{
    for (const hp_fetch_socket_t *at = self->all_sockets; at != NULL; at = at->next)
        if (hp_own_address_is_lost(at->fd))
            shutdown(at->fd, SHUT_RDWR);
}

int hp_fetch_socket_close(void *arg, curl_socket_t fd)
{
    hp_fetch_socket_t *socket = find(arg, fd);
    if (socket != NULL)
        drop(socket);
    return close(fd);
}

static int local_port_of(curl_socket_t fd)
{
    struct sockaddr_storage storage = {0};
    socklen_t length = sizeof storage;
    if (getsockname(fd, (struct sockaddr *)&storage, &length) != 0)
        return 0;
    if (storage.ss_family == AF_INET)
        return ntohs(((struct sockaddr_in *)(void *)&storage)->sin_port);
    if (storage.ss_family == AF_INET6)
        return ntohs(((struct sockaddr_in6 *)(void *)&storage)->sin6_port);
    return 0;
}

bool hp_fetch_socket_is_stale(hp_fetcher_t *self, bool is_new, const char *remote, int remote_port,
                              int local_port)
{
    for (hp_fetch_socket_t *socket = self->all_sockets; socket != NULL; socket = socket->next) {
        if (is_new) { /* curl does not say which descriptor it is, only the ports of its two ends */
            if (socket->local_port == 0 && local_port_of(socket->fd) == local_port) {
                socket->local_port = local_port;
                socket->remote_port = remote_port;
                snprintf(socket->remote, sizeof socket->remote, "%s", remote);
                return false;
            }
        } else if (socket->local_port == local_port && socket->remote_port == remote_port &&
                   strcmp(socket->remote, remote) == 0) {
            char byte;
            return recv(socket->fd, &byte, 1, MSG_PEEK | MSG_DONTWAIT) > 0;
        }
    }
    return false;
}
