#include "discovery/beacon.h"

#include <arpa/inet.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/pending.h"
#include "path/address.h"

#define EVERY_MS       30000
#define CHANGE_MS      250  /* news wait so long for more */
#define CHANGE_REST_MS 3000 /* at least between two that tell news */
#define NEWS_BURST     5    /* as often in a row; in the long run one in EVERY_MS */
#define NEW_MS         5000 /* how long an instance counts as new */
#define KNOWN          1024 /* ids whose instance is remembered */
#define DATAGRAMS      32   /* read with one call */
#define READS_PER_TURN 8

static const unsigned burst_ms[] = {0, 500, 2000}; /* after the start; then every EVERY_MS */

typedef struct known {
    char id[33], instance[33];
    uint64_t since, at; /* first and last beacon of this instance; at 0: free */
} known_t;

typedef struct beacon_socket {
    hp_beacon_t *beacon;
    uv_poll_t *poll; /* NULL: closed */
    int fd, family;
    bool failed; /* logged */
} beacon_socket_t;

struct hp_beacon {
    uv_loop_t *loop;
    hp_hosts_t *hosts;
    const hp_self_t *self;
    char advertise_address[HP_ADDRESS_TEXT];
    uint16_t advertise_port;
    uv_timer_t timer;
    hp_pending_t pending; /* handles */
    void (*closed)(void *arg);
    void *closed_arg;
    beacon_socket_t sockets[2];
    hp_interface_t interfaces[HP_INTERFACES_MAX];
    size_t interface_count;
    char list[HP_LIST_TAG_SIZE];
    size_t burst; /* next of burst_ms */
    uint64_t started_at, next_at;
    bool change_pending; /* waits to be told out of turn */
    uint64_t news_at;    /* when any were last told */
    uint64_t news_paid;  /* with one in EVERY_MS, as many would have been told by then */
    hp_beacon_limit_t *limit;
    hp_tally_t *tally;
    known_t known[KNOWN];
};

/* ---- sending ---- */

static size_t write_datagram(const hp_beacon_t *self, bool reply, char out[HP_BEACON_MAX + 1])
{
    hp_beacon_message_t message = {
        .reply = reply, .port = self->advertise_port != 0 ? self->advertise_port : self->self->peer_port};
    snprintf(message.id, sizeof message.id, "%s", self->self->id);
    snprintf(message.name, sizeof message.name, "%s", self->self->name);
    memcpy(message.instance, self->self->instance, sizeof message.instance);
    memcpy(message.address, self->advertise_address, sizeof message.address);
    memcpy(message.list, self->list, sizeof message.list);
    return hp_beacon_format(&message, out);
}

/* One datagram, from one interface if index is not 0. A network that does not take it is none of our
 * business: there are others, and the next time. */
static void send_from(const beacon_socket_t *socket, const hp_interface_t *from, const hp_sockaddr_t *to,
                      const char *data, size_t length)
{
    union {
        struct cmsghdr header;
        char room[CMSG_SPACE(sizeof(struct in6_pktinfo))];
    } control = {0};
    struct iovec part = {.iov_base = (void *)(uintptr_t)data, .iov_len = length};
    struct msghdr message = {.msg_name = (void *)(uintptr_t)&to->any,
                             .msg_namelen = hp_sockaddr_length(to),
                             .msg_iov = &part,
                             .msg_iovlen = 1};
    if (from != NULL && socket->family == AF_INET) {
        struct in_pktinfo info = {.ipi_ifindex = (int)from->index,
                                  .ipi_spec_dst.s_addr = htonl(from->address)};
        control.header = (struct cmsghdr){
            .cmsg_level = IPPROTO_IP, .cmsg_type = IP_PKTINFO, .cmsg_len = CMSG_LEN(sizeof info)};
        memcpy(CMSG_DATA(&control.header), &info, sizeof info);
        message.msg_control = &control;
        message.msg_controllen = CMSG_SPACE(sizeof info);
    }
    sendmsg(socket->fd, &message, MSG_DONTWAIT | MSG_NOSIGNAL);
}

static void announce(hp_beacon_t *self)
{
    char data[HP_BEACON_MAX + 1];
    size_t length = write_datagram(self, false, data);
    for (size_t i = 0; i < self->interface_count; i++) {
        const hp_interface_t *interface = &self->interfaces[i];
        const beacon_socket_t *socket = &self->sockets[interface->v6];
        hp_sockaddr_t to = {0};
        if (socket->poll == NULL)
            continue;
        if (interface->v6 || interface->multicast || interface->broadcast != 0)
            hp_tally_add(self->tally, interface->index, HP_TALLY_SENT);
        if (interface->v6) {
            hp_address_to_sockaddr(HP_BEACON_GROUP6, HP_BEACON_PORT, &to);
            to.v6.sin6_scope_id = interface->index;
            send_from(socket, interface, &to, data, length);
            continue;
        }
        hp_address_to_sockaddr(HP_BEACON_GROUP4, HP_BEACON_PORT, &to);
        if (interface->multicast)
            send_from(socket, interface, &to, data, length);
        to.v4.sin_addr.s_addr = htonl(interface->broadcast);
        if (interface->broadcast != 0)
            send_from(socket, interface, &to, data, length);
    }
}

static void on_time(uv_timer_t *timer)
{
    hp_beacon_t *self = timer->data;
    announce(self);
    uint64_t now = hp_clock_ms();
    if (self->change_pending) {
        self->change_pending = false;
        self->news_at = now;
        self->news_paid = HP_MAX(self->news_paid, now) + EVERY_MS;
    }
    if (now >= self->next_at) {
        self->burst++;
        self->next_at =
            self->burst < HP_COUNT(burst_ms) ? self->started_at + burst_ms[self->burst] : now + EVERY_MS;
    }
    uv_timer_start(&self->timer, on_time, self->next_at > now ? self->next_at - now : 0, 0);
}

void hp_beacon_set_list(hp_beacon_t *self, const char *list, bool soon)
{
    snprintf(self->list, sizeof self->list, "%s", list);
    if (!soon || self->change_pending || !uv_is_active((uv_handle_t *)&self->timer))
        return;
    uint64_t now = hp_clock_ms(), at = HP_MAX(now + CHANGE_MS, self->news_at + CHANGE_REST_MS);
    if (self->news_paid > (NEWS_BURST - 1) * EVERY_MS)
        at = HP_MAX(at, self->news_paid - (NEWS_BURST - 1) * EVERY_MS);
    self->change_pending = true;
    if (at < self->next_at)
        uv_timer_start(&self->timer, on_time, at - now, 0);
}

/* ---- receiving ---- */

/* Whether this instance of this id has not been there for long. */
static bool note(hp_beacon_t *self, const hp_beacon_message_t *message, uint64_t now, bool *first)
{
    known_t *place = &self->known[0];
    for (size_t i = 0; i < KNOWN; i++) {
        if (strcmp(self->known[i].id, message->id) == 0) {
            place = &self->known[i];
            break;
        }
        if (self->known[i].at < place->at)
            place = &self->known[i];
    }
    *first = strcmp(place->id, message->id) != 0 || strcmp(place->instance, message->instance) != 0;
    if (*first) {
        memcpy(place->id, message->id, sizeof place->id);
        memcpy(place->instance, message->instance, sizeof place->instance);
        place->since = now;
    }
    place->at = now;
    return now - place->since < NEW_MS;
}

static void take(hp_beacon_t *self, const beacon_socket_t *socket, const hp_sockaddr_t *from,
                 const uint8_t *data, size_t length)
{
    hp_beacon_message_t message;
    bool first;
    if (hp_beacon_parse(data, length, &message) != 0)
        return;
    /* Our own, come back. One with our id and another instance is a copy of us: the registry finds out. */
    if (strcmp(message.id, self->self->id) == 0 && strcmp(message.instance, self->self->instance) == 0)
        return;
    bool is_new = note(self, &message, hp_clock_ms(), &first);
    hp_tally_add_from(self->tally, from, HP_TALLY_HEARD);
    if (is_new && !message.reply) {
        char reply[HP_BEACON_MAX + 1];
        size_t reply_length = write_datagram(self, true, reply);
        send_from(socket, NULL, from, reply, reply_length);
    }
    char address[HP_ADDRESS_TEXT];
    uint16_t port;
    hp_address_from_sockaddr(from, address, &port);
    hp_endpoint_t at;
    if (hp_endpoint_make(&at, HP_SCHEME_PLAIN, message.address[0] != '\0' ? message.address : address,
                         message.port) != 0)
        return;
    if (first)
        hp_hosts_hint_changed(self->hosts, &at, HP_FOUND_BEACON);
    else
        hp_hosts_hint(self->hosts, &at, HP_FOUND_BEACON);
    if (message.list[0] != '\0')
        hp_hosts_heard_list(self->hosts, message.id, message.list);
}

static void limit_key(const hp_sockaddr_t *from, uint8_t key[16])
{
    memset(key, 0, 16);
    if (from->any.sa_family == AF_INET)
        memcpy(key, &from->v4.sin_addr, 4);
    else
        memcpy(key, &from->v6.sin6_addr, 16);
}

static void on_readable(uv_poll_t *poll, int status, int events)
{
    const beacon_socket_t *socket = poll->data;
    hp_beacon_t *self = socket->beacon;
    static uint8_t data[DATAGRAMS][HP_BEACON_MAX + 1]; /* one byte more, to tell one that is too long */
    hp_sockaddr_t from[DATAGRAMS];
    struct iovec parts[DATAGRAMS];
    struct mmsghdr messages[DATAGRAMS];
    (void)status, (void)events;
    for (int reads = 0; reads < READS_PER_TURN; reads++) {
        for (int i = 0; i < DATAGRAMS; i++) {
            parts[i] = (struct iovec){.iov_base = data[i], .iov_len = sizeof data[i]};
            messages[i] = (struct mmsghdr){.msg_hdr = {
                                               .msg_name = &from[i],
                                               .msg_namelen = sizeof from[i],
                                               .msg_iov = &parts[i],
                                               .msg_iovlen = 1,
                                           }};
        }
        int count = recvmmsg(socket->fd, messages, DATAGRAMS, MSG_DONTWAIT, NULL);
        uint64_t now = hp_clock_ms();
        for (int i = 0; i < count; i++) {
            uint8_t key[16];
            limit_key(&from[i], key);
            if (hp_beacon_limit_allow(self->limit, key, now))
                take(self, socket, &from[i], data[i], messages[i].msg_len);
        }
        if (count < DATAGRAMS)
            return;
    }
}

/* ---- sockets ---- */

static int open_socket(int family)
{
    int fd = socket(family, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0), on = 1, off = 0, hops = 1;
    if (fd < 0)
        return -errno;
    hp_sockaddr_t any = {0};
    any.any.sa_family = (sa_family_t)family;
    setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on); /* several hostpairs on one machine */
    if (family == AF_INET) {
        any.v4.sin_port = htons(HP_BEACON_PORT);
        setsockopt(fd, SOL_SOCKET, SO_BROADCAST, &on, sizeof on);
        setsockopt(fd, IPPROTO_IP, IP_MULTICAST_TTL, &hops, sizeof hops);
        setsockopt(fd, IPPROTO_IP, IP_MULTICAST_ALL, &off, sizeof off);
    } else {
        any.v6.sin6_port = htons(HP_BEACON_PORT);
        setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &on, sizeof on);
        setsockopt(fd, IPPROTO_IPV6, IPV6_MULTICAST_HOPS, &hops, sizeof hops);
    }
    if (bind(fd, &any.any, hp_sockaddr_length(&any)) != 0) {
        int rc = -errno;
        close(fd);
        return rc;
    }
    return fd;
}

static void start_socket(hp_beacon_t *self, int family)
{
    beacon_socket_t *socket = &self->sockets[family == AF_INET6];
    if (socket->poll != NULL)
        return;
    int fd = open_socket(family);
    if (fd < 0) {
        if (!socket->failed && fd != -EAFNOSUPPORT && fd != -EADDRNOTAVAIL)
            hp_log(HP_LOG_WARN, "no beacon over %s: UDP port %d: %s", family == AF_INET ? "IPv4" : "IPv6",
                   HP_BEACON_PORT, strerror(-fd));
        socket->failed = true;
        return;
    }
    socket->beacon = self;
    socket->family = family;
    socket->fd = fd;
    socket->failed = false;
    socket->poll = hp_alloc(sizeof *socket->poll);
    socket->poll->data = socket;
    hp_pending_add(&self->pending);
    uv_poll_init(self->loop, socket->poll, fd);
    uv_poll_start(socket->poll, UV_READABLE, on_readable);
}

static void join(const hp_beacon_t *self, const hp_interface_t *interface)
{
    const beacon_socket_t *socket = &self->sockets[interface->v6];
    int rc;
    if (socket->poll == NULL || !interface->multicast)
        return;
    if (interface->v6) {
        struct ipv6_mreq group = {.ipv6mr_interface = interface->index};
        inet_pton(AF_INET6, HP_BEACON_GROUP6, &group.ipv6mr_multiaddr);
        rc = setsockopt(socket->fd, IPPROTO_IPV6, IPV6_JOIN_GROUP, &group, sizeof group);
    } else {
        struct ip_mreqn group = {.imr_ifindex = (int)interface->index};
        inet_pton(AF_INET, HP_BEACON_GROUP4, &group.imr_multiaddr);
        rc = setsockopt(socket->fd, IPPROTO_IP, IP_ADD_MEMBERSHIP, &group, sizeof group);
    }
    if (rc != 0 && errno != EADDRINUSE) /* joined before */
        hp_log(HP_LOG_DEBUG, "the beacon's group cannot be joined on %s: %s", interface->name,
               strerror(errno));
}

void hp_beacon_start(hp_beacon_t *self, const hp_interface_t *interfaces, size_t count)
{
    start_socket(self, AF_INET);
    start_socket(self, AF_INET6);
    self->interface_count = HP_MIN(count, (size_t)HP_INTERFACES_MAX);
    memcpy(self->interfaces, interfaces, self->interface_count * sizeof *interfaces);
    for (size_t i = 0; i < self->interface_count; i++)
        join(self, &self->interfaces[i]);
    self->burst = 0;
    self->started_at = self->next_at = hp_clock_ms();
    self->change_pending = false; /* told by the burst */
    uv_timer_start(&self->timer, on_time, burst_ms[0], 0);
}

static void finish(void *arg)
{
    hp_beacon_t *self = arg;
    void (*closed)(void *arg) = self->closed;
    void *closed_arg = self->closed_arg;
    hp_beacon_limit_destroy(self->limit);
    free(self);
    closed(closed_arg);
}

static void on_poll_closed(uv_handle_t *handle)
{
    beacon_socket_t *socket = handle->data;
    hp_beacon_t *self = socket->beacon;
    free(handle);
    hp_pending_drop(&self->pending);
}

static void on_timer_closed(uv_handle_t *handle)
{
    hp_beacon_t *self = handle->data;
    hp_pending_drop(&self->pending);
}

void hp_beacon_stop(hp_beacon_t *self)
{
    uv_timer_stop(&self->timer);
    for (size_t i = 0; i < HP_COUNT(self->sockets); i++) {
        if (self->sockets[i].poll == NULL)
            continue;
        uv_close((uv_handle_t *)self->sockets[i].poll, on_poll_closed);
        close(self->sockets[i].fd);
        self->sockets[i].poll = NULL;
    }
}

hp_beacon_t *hp_beacon_create(uv_loop_t *loop, hp_hosts_t *hosts, const hp_self_t *self,
                              const char *advertise_address, uint16_t advertise_port, hp_tally_t *tally)
{
    hp_beacon_t *beacon = hp_alloc(sizeof *beacon);
    beacon->loop = loop;
    beacon->hosts = hosts;
    beacon->self = self;
    snprintf(beacon->advertise_address, sizeof beacon->advertise_address, "%s", advertise_address);
    beacon->advertise_port = advertise_port;
    beacon->limit = hp_beacon_limit_create();
    beacon->tally = tally;
    hp_pending_add(&beacon->pending);
    uv_timer_init(loop, &beacon->timer);
    beacon->timer.data = beacon;
    return beacon;
}

void hp_beacon_destroy(hp_beacon_t *self, void (*closed)(void *arg), void *arg)
{
    self->closed = closed;
    self->closed_arg = arg;
    hp_beacon_stop(self);
    uv_close((uv_handle_t *)&self->timer, on_timer_closed);
    hp_pending_when_none(&self->pending, finish, self);
}
