#include "discovery/interfaces.h"

#include <errno.h>
#include <ifaddrs.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/log.h"
#include "base/mem.h"
#include "base/pending.h"
#include "os/interfaces.h"

#define SETTLE_MS 200  /* an interface that comes up changes several times */
#define AGAIN_MS  5000 /* after the list could not be read */

struct hp_interfaces {
    uv_poll_t poll;
    uv_timer_t timer;
    int fd;
    hp_pending_t pending; /* handles */
    void (*changed)(void *arg);
    void *arg;
    void (*closed)(void *arg);
    void *closed_arg;
    hp_interface_t list[HP_INTERFACES_MAX];
    size_t count;
};

static uint32_t v4_of(const struct sockaddr *address)
{
    return address != NULL ? ntohl(((const struct sockaddr_in *)address)->sin_addr.s_addr) : 0;
}

static bool take(const struct ifaddrs *entry, hp_interface_t *out)
{
    if (entry->ifa_addr == NULL || (entry->ifa_flags & IFF_LOOPBACK) != 0 ||
        (entry->ifa_flags & IFF_UP) == 0 || (entry->ifa_flags & IFF_RUNNING) == 0)
        return false;
    *out = (hp_interface_t){.index = if_nametoindex(entry->ifa_name),
                            .multicast = (entry->ifa_flags & IFF_MULTICAST) != 0,
                            .point_to_point = (entry->ifa_flags & IFF_POINTOPOINT) != 0};
    snprintf(out->name, sizeof out->name, "%s", entry->ifa_name);
    if (out->index == 0)
        return false; /* it has just gone */
    if (entry->ifa_addr->sa_family == AF_INET) {
        out->address = v4_of(entry->ifa_addr);
        out->mask = v4_of(entry->ifa_netmask);
        if (entry->ifa_dstaddr != NULL && entry->ifa_dstaddr->sa_family == AF_INET &&
            (out->point_to_point || out->mask == 0xffffffff))
            out->peer = v4_of(entry->ifa_dstaddr);
        if ((entry->ifa_flags & IFF_BROADCAST) != 0 && !out->point_to_point)
            out->broadcast = v4_of(entry->ifa_broadaddr);
        return out->address != 0;
    }
    if (entry->ifa_addr->sa_family != AF_INET6)
        return false;
    out->v6 = true;
    out->address6 = ((const struct sockaddr_in6 *)entry->ifa_addr)->sin6_addr;
    return IN6_IS_ADDR_LINKLOCAL(&out->address6);
}

static bool read_list(hp_interface_t *list, size_t *count)
{
    struct ifaddrs *all = NULL;
    *count = 0;
    if (getifaddrs(&all) != 0) {
        hp_log(HP_LOG_WARN, "the network interfaces cannot be read: %s", strerror(errno));
        return false;
    }
    for (const struct ifaddrs *entry = all; entry != NULL && *count < HP_INTERFACES_MAX;
         entry = entry->ifa_next)
        *count += take(entry, &list[*count]);
    freeifaddrs(all);
    return true;
}

static void on_settled(uv_timer_t *timer)
{
    hp_interfaces_t *self = timer->data;
    hp_interface_t *list = hp_alloc_array(HP_INTERFACES_MAX, sizeof *list);
    size_t count;
    bool known = read_list(list, &count);
    bool same = count == self->count && memcmp(list, self->list, count * sizeof *list) == 0;
    if (known) {
        memcpy(self->list, list, count * sizeof *list);
        self->count = count;
    } else { /* no descriptors, perhaps: the list stays as it was */
        uv_timer_start(timer, on_settled, AGAIN_MS, 0);
    }
    free(list);
    if (known && !same)
        self->changed(self->arg);
}

static void on_message(uv_poll_t *poll, int status, int events)
{
    hp_interfaces_t *self = poll->data;
    (void)events;
    /* What changed does not matter: the whole list is read again. A lost message (ENOBUFS) is a change, too;
     * libuv takes it for an error of the socket, after which it looks no more. */
    hp_interface_changes_read(self->fd);
    if (status != 0)
        uv_poll_start(poll, UV_READABLE, on_message);
    if (!uv_is_active((uv_handle_t *)&self->timer))
        uv_timer_start(&self->timer, on_settled, SETTLE_MS, 0);
}

int hp_interfaces_create(hp_interfaces_t **out, uv_loop_t *loop, void (*changed)(void *arg), void *arg,
                         hp_err_t *err)
{
    *out = NULL;
    int fd = hp_interface_changes_open();
    if (fd < 0)
        return hp_err_set(err, fd, "the network interfaces cannot be watched: %s", hp_err_sentence(fd));
    hp_interfaces_t *self = hp_alloc(sizeof *self);
    self->fd = fd;
    self->changed = changed;
    self->arg = arg;
    hp_pending_add(&self->pending);
    hp_pending_add(&self->pending);
    self->poll.data = self->timer.data = self;
    uv_timer_init(loop, &self->timer);
    if (!read_list(self->list, &self->count))
        uv_timer_start(&self->timer, on_settled, AGAIN_MS, 0);
    uv_poll_init(loop, &self->poll, fd);
    uv_poll_start(&self->poll, UV_READABLE, on_message);
    *out = self;
    return 0;
}

const hp_interface_t *hp_interfaces_list(const hp_interfaces_t *interfaces, size_t *count)
{
    *count = interfaces->count;
    return interfaces->list;
}

static void on_closed(uv_handle_t *handle)
{
    hp_interfaces_t *self = handle->data;
    hp_pending_drop(&self->pending);
}

static void finish(void *arg)
{
    hp_interfaces_t *self = arg;
    void (*closed)(void *arg) = self->closed;
    void *closed_arg = self->closed_arg;
    free(self);
    closed(closed_arg);
}

void hp_interfaces_destroy(hp_interfaces_t *self, void (*closed)(void *arg), void *arg)
{
    self->closed = closed;
    self->closed_arg = arg;
    uv_close((uv_handle_t *)&self->poll, on_closed);
    uv_close((uv_handle_t *)&self->timer, on_closed);
    close(self->fd);
    hp_pending_when_none(&self->pending, finish, self);
}
