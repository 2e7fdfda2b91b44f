#include "localsend/announce.h"

#include <arpa/inet.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/log.h"
#include "base/mem.h"
#include "base/pending.h"
#include "base/sockaddr.h"
#include "discovery/interfaces.h"

#define ANSWER_MS 100 /* so long after the first of those who ask; one answer serves all */
#define REST_MS   500 /* between two answers */
#define READS     32  /* datagrams in one turn of the loop */

/* When it begins; a datagram may be lost, and a device that has just woken hears the later ones. */
static const uint64_t burst_ms[] = {100, 500, 2000};

struct hp_announce {
    uv_loop_t *loop;
    hp_announcer_t who;
    hp_interfaces_t *interfaces;
    int fd;
    uv_poll_t poll;
    uv_timer_t burst, answer;
    size_t sent; /* of the burst */
    uint64_t answered_at;
    bool has_answered;
    hp_pending_t pending;
    void (*closed)(void *arg);
    void *closed_arg;
};

/* ---- sending ---- */

static void send_from(const hp_announce_t *self, const hp_interface_t *from, const char *text)
{
    struct sockaddr_in to = {.sin_family = AF_INET, .sin_port = htons(HP_LOCALSEND_PORT)};
    struct ip_mreqn interface = {.imr_ifindex = (int)from->index, .imr_address.s_addr = htonl(from->address)};
    inet_pton(AF_INET, HP_LOCALSEND_GROUP, &to.sin_addr);
    if (setsockopt(self->fd, IPPROTO_IP, IP_MULTICAST_IF, &interface, sizeof interface) == 0)
        sendto(self->fd, text, strlen(text), MSG_DONTWAIT | MSG_NOSIGNAL, (struct sockaddr *)&to, sizeof to);
}

static void say(const hp_announce_t *self, hp_localsend_say_t what)
{
    size_t count;
    json_t *json = self->who.describe(self->who.arg, what);
    char *text = json_dumps(json, JSON_COMPACT);
    json_decref(json);
    if (text == NULL)
        return;
    const hp_interface_t *interfaces = hp_interfaces_list(self->interfaces, &count);
    for (size_t i = 0; i < count; i++)
        if (!interfaces[i].v6 && interfaces[i].multicast)
            send_from(self, &interfaces[i], text);
    free(text);
}

static void on_burst(uv_timer_t *timer)
{
    hp_announce_t *self = timer->data;
    say(self, HP_LOCALSEND_ANNOUNCE);
    if (++self->sent < HP_COUNT(burst_ms))
        uv_timer_start(&self->burst, on_burst, burst_ms[self->sent] - burst_ms[self->sent - 1], 0);
}

static void on_answer(uv_timer_t *timer)
{
    hp_announce_t *self = timer->data;
    self->answered_at = uv_now(self->loop);
    self->has_answered = true;
    say(self, HP_LOCALSEND_ANSWER);
}

/* ---- receiving ---- */

static bool is_near(const hp_announce_t *self, const struct sockaddr_in *from)
{
    size_t count;
    const hp_interface_t *interfaces = hp_interfaces_list(self->interfaces, &count);
    for (size_t i = 0; i < count; i++)
        if (!interfaces[i].v6 &&
            ((ntohl(from->sin_addr.s_addr) ^ interfaces[i].address) & interfaces[i].mask) == 0)
            return true;
    return false;
}

static void take(hp_announce_t *self, const char *data, size_t length, const struct sockaddr_in *from)
{
    hp_localsend_device_t device;
    char address[INET_ADDRSTRLEN];
    if (length > HP_LOCALSEND_DATAGRAM_MAX || hp_localsend_read_device(&device, data, length, NULL) != 0 ||
        strcasecmp(device.fingerprint, self->who.fingerprint) == 0)
        return;
    if (is_near(self, from) && inet_ntop(AF_INET, &from->sin_addr, address, sizeof address) != NULL)
        self->who.heard(self->who.arg, &device, address);
    if (!device.announces || uv_is_active((uv_handle_t *)&self->answer))
        return;
    uint64_t now = uv_now(self->loop), wait = ANSWER_MS;
    if (self->has_answered && self->answered_at + REST_MS > now)
        wait = HP_MAX(wait, self->answered_at + REST_MS - now);
    uv_timer_start(&self->answer, on_answer, wait, 0);
}

static void on_readable(uv_poll_t *poll, int status, int events)
{
    hp_announce_t *self = poll->data;
    char data[HP_LOCALSEND_DATAGRAM_MAX + 1]; /* one byte more, to tell one that is too long */
    (void)status, (void)events;
    for (int i = 0; i < READS; i++) {
        struct sockaddr_in from = {0};
        socklen_t size = sizeof from;
        ssize_t n = recvfrom(self->fd, data, sizeof data, MSG_DONTWAIT, (struct sockaddr *)&from, &size);
        if (n < 0)
            return;
        take(self, data, (size_t)n, &from);
    }
}

/* ---- life ---- */

void hp_announce_again(hp_announce_t *self)
{
    self->sent = 0;
    uv_timer_start(&self->burst, on_burst, burst_ms[0], 0);
}

static void join(hp_announce_t *self)
{
    size_t count;
    const hp_interface_t *interfaces = hp_interfaces_list(self->interfaces, &count);
    for (size_t i = 0; i < count; i++) {
        struct ip_mreqn group = {.imr_ifindex = (int)interfaces[i].index};
        inet_pton(AF_INET, HP_LOCALSEND_GROUP, &group.imr_multiaddr);
        if (interfaces[i].v6 || !interfaces[i].multicast)
            continue;
        if (setsockopt(self->fd, IPPROTO_IP, IP_ADD_MEMBERSHIP, &group, sizeof group) != 0 &&
            errno != EADDRINUSE) /* joined before */
            hp_log(HP_LOG_DEBUG, "LocalSend's group cannot be joined on %s: %s", interfaces[i].name,
                   strerror(errno));
    }
    hp_announce_again(self);
}

static void on_interfaces_changed(void *arg)
{
    join(arg);
}

static int open_socket(void)
{
    struct sockaddr_in any = {.sin_family = AF_INET, .sin_port = htons(HP_LOCALSEND_PORT)};
    int fd = socket(AF_INET, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0), on = 1, off = 0, hops = 1;
    if (fd < 0)
        return -errno;
    setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
    setsockopt(fd, IPPROTO_IP, IP_MULTICAST_TTL, &hops, sizeof hops);
    setsockopt(fd, IPPROTO_IP, IP_MULTICAST_ALL, &off, sizeof off);
    if (bind(fd, (struct sockaddr *)&any, sizeof any) == 0)
        return fd;
    int rc = -errno;
    close(fd);
    return rc;
}

int hp_announce_create(hp_announce_t **announce, uv_loop_t *loop, const hp_announcer_t *announcer,
                       hp_err_t *err)
{
    hp_announce_t *self = hp_alloc(sizeof *self);
    *self = (hp_announce_t){.loop = loop, .who = *announcer, .fd = open_socket()};
    int rc = self->fd < 0
                 ? hp_err_set(err, self->fd, "UDP port %d: %s", HP_LOCALSEND_PORT, strerror(-self->fd))
                 : hp_interfaces_create(&self->interfaces, loop, on_interfaces_changed, self, err);
    if (rc != 0) {
        if (self->fd >= 0)
            close(self->fd);
        free(self);
        return rc;
    }
    self->poll.data = self->burst.data = self->answer.data = self;
    uv_timer_init(loop, &self->burst);
    uv_timer_init(loop, &self->answer);
    uv_poll_init(loop, &self->poll, self->fd);
    uv_poll_start(&self->poll, UV_READABLE, on_readable);
    join(self);
    *announce = self;
    return 0;
}

static void finish(void *arg)
{
    hp_announce_t *self = arg;
    void (*closed)(void *arg) = self->closed;
    void *closed_arg = self->closed_arg;
    free(self);
    closed(closed_arg);
}

static void on_handle_closed(uv_handle_t *handle)
{
    hp_announce_t *self = handle->data;
    hp_pending_drop(&self->pending);
}

static void on_interfaces_closed(void *arg)
{
    hp_announce_t *self = arg;
    hp_pending_drop(&self->pending);
}

void hp_announce_destroy(hp_announce_t *self, void (*closed)(void *arg), void *arg)
{
    uv_handle_t *handles[] = {(uv_handle_t *)&self->poll, (uv_handle_t *)&self->burst,
                              (uv_handle_t *)&self->answer};
    self->closed = closed;
    self->closed_arg = arg;
    hp_pending_add(&self->pending);
    hp_interfaces_destroy(self->interfaces, on_interfaces_closed, self);
    for (size_t i = 0; i < HP_COUNT(handles); i++) {
        hp_pending_add(&self->pending);
        uv_close(handles[i], on_handle_closed);
    }
    close(self->fd);
    hp_pending_when_none(&self->pending, finish, self);
}
