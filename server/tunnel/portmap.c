#include "tunnel/portmap.h"

#include <arpa/inet.h>
#include <gnutls/crypto.h>
#include <miniupnpc/miniupnpc.h>
#include <miniupnpc/upnpcommands.h>
#include <miniupnpc/upnperrors.h>
#include <natpmp.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/err.h"
#include "base/log.h"
#include "base/mem.h"
#include "pool/pool.h"
#include "tunnel/pcp.h"

enum {
    PCP_TRIES = 3,       /* 250, 500, 1000 ms */
    NATPMP_MS = 1500,    /* for one answer */
    NATPMP_END_MS = 300, /* at the end */
    UPNP_SEARCH_MS = 1000,
    UPNP_PERMANENT_ONLY = 725, /* errors of IGD */
    UPNP_CONFLICT = 718,
    UPNP_PORTS_TRIED = 4,
};

typedef enum { BY_NONE, BY_PCP, BY_NATPMP, BY_UPNP } by_t;
static const char *const by_names[] = {"", "PCP", "NAT-PMP", "UPnP"};

/* Touched by a job in the pool while one runs, by the loop otherwise. */
struct hp_portmap {
    uv_loop_t *loop;
    hp_pending_t *pending;
    void (*opened)(void *arg);
    void *arg;
    uv_timer_t timer;
    bool running, dying; /* dying is looked at by the job as well, which then comes to its end soon */
    uint16_t port;
    bool open; /* what the loop knows of the latest job */
    hp_sockaddr_t address;
    by_t by;
    hp_sockaddr_t external;
    uint32_t lifetime_s; /* 0: for ever */
    hp_pcp_t pcp;
    struct UPNPUrls urls; /* while by is BY_UPNP */
    struct IGDdatas igd;
    char lan_address[64];
};

static bool is_dying(const hp_portmap_t *self)
{
    return __atomic_load_n(&self->dying, __ATOMIC_RELAXED);
}

static void set_external(hp_portmap_t *self, by_t by, struct in_addr address, uint16_t port,
                         uint32_t lifetime_s)
{
    self->by = by;
    self->external = (hp_sockaddr_t){0};
    self->external.v4.sin_family = AF_INET;
    self->external.v4.sin_addr = address;
    self->external.v4.sin_port = htons(port);
    self->lifetime_s = lifetime_s;
}

/* ---- PCP ---- */

/* A socket to the router's port, and the address from which it leaves; negative when there is none. */
static int open_pcp(struct in_addr gateway, struct in_addr *own)
{
    struct sockaddr_in to = {.sin_family = AF_INET, .sin_port = htons(HP_PCP_PORT), .sin_addr = gateway};
    struct sockaddr_in from;
    socklen_t length = sizeof from;
    int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    if (fd < 0)
        return -1;
    if (connect(fd, (struct sockaddr *)&to, sizeof to) != 0 ||
        getsockname(fd, (struct sockaddr *)&from, &length) != 0) {
        close(fd);
        return -1;
    }
    *own = from.sin_addr;
    return fd;
}

/* Whether the router answered. */
static bool ask_pcp(hp_portmap_t *self, struct in_addr gateway, uint32_t lifetime_s, hp_pcp_answer_t *answer)
{
    uint8_t out[HP_PCP_MESSAGE], in[1100];
    bool answered = false;
    uint16_t suggested = self->by == BY_PCP ? ntohs(self->external.v4.sin_port) : self->port;
    int fd = open_pcp(gateway, &self->pcp.client);
    if (fd < 0)
        return false;
    self->pcp.port = self->port;
    self->pcp.lifetime_s = lifetime_s;
    hp_pcp_write(&self->pcp, suggested, out);
    for (int i = 0; i < PCP_TRIES && !answered && (i == 0 || !is_dying(self)); i++) {
        struct pollfd wait = {.fd = fd, .events = POLLIN};
        uint64_t end = hp_clock_ms() + (250u << i);
        if (send(fd, out, sizeof out, MSG_NOSIGNAL) < 0)
            break; /* nobody listens there */
        for (uint64_t now;
             !answered && (now = hp_clock_ms()) < end && poll(&wait, 1, (int)(end - now)) > 0;) {
            ssize_t got = recv(fd, in, sizeof in, MSG_DONTWAIT);
            if (got < 0)
                break;
            answered = hp_pcp_read(&self->pcp, in, (size_t)got, answer) == 0;
        }
    }
    close(fd);
    return answered;
}

static bool map_pcp(hp_portmap_t *self, struct in_addr gateway)
{
    hp_pcp_answer_t answer;
    if (self->by != BY_PCP)
        gnutls_rnd(GNUTLS_RND_NONCE, self->pcp.nonce, sizeof self->pcp.nonce);
    if (!ask_pcp(self, gateway, HP_PORTMAP_LEASE_S, &answer) || answer.result != 0)
        return false;
    set_external(self, BY_PCP, answer.external, answer.external_port, answer.lifetime_s);
    return true;
}

/* ---- NAT-PMP ---- */

static bool await_natpmp(const hp_portmap_t *self, natpmp_t *natpmp, natpmpresp_t *answer)
{
    uint64_t end = hp_clock_ms() + (is_dying(self) ? NATPMP_END_MS : NATPMP_MS);
    int rc;
    while ((rc = readnatpmpresponseorretry(natpmp, answer)) == NATPMP_TRYAGAIN && hp_clock_ms() < end) {
        struct timeval left;
        struct pollfd wait = {.fd = natpmp->s, .events = POLLIN};
        getnatpmprequesttimeout(natpmp, &left);
        poll(&wait, 1, (int)HP_MIN((long)250, HP_MAX(left.tv_sec * 1000 + left.tv_usec / 1000 + 1, 1L)));
    }
    return rc == 0;
}

static bool map_natpmp(hp_portmap_t *self, natpmp_t *natpmp)
{
    natpmpresp_t answer;
    struct in_addr address;
    uint16_t wanted = self->by == BY_NATPMP ? ntohs(self->external.v4.sin_port) : self->port;
    if (sendpublicaddressrequest(natpmp) < 0 || !await_natpmp(self, natpmp, &answer) ||
        answer.type != NATPMP_RESPTYPE_PUBLICADDRESS)
        return false;
    address = answer.pnu.publicaddress.addr;
    if (sendnewportmappingrequest(natpmp, NATPMP_PROTOCOL_UDP, self->port, wanted, HP_PORTMAP_LEASE_S) < 0 ||
        !await_natpmp(self, natpmp, &answer) || answer.type != NATPMP_RESPTYPE_UDPPORTMAPPING)
        return false;
    set_external(self, BY_NATPMP, address, answer.pnu.newportmapping.mappedpublicport,
                 answer.pnu.newportmapping.lifetime);
    return true;
}

/* ---- UPnP ---- */

static bool find_router(hp_portmap_t *self)
{
    int error = 0;
    struct UPNPDev *devices = upnpDiscover(UPNP_SEARCH_MS, NULL, NULL, UPNP_LOCAL_PORT_ANY, 0, 2, &error);
    if (devices == NULL)
        return false;
#if MINIUPNPC_API_VERSION >= 18
    char wan[64];
    int found = UPNP_GetValidIGD(devices, &self->urls, &self->igd, self->lan_address,
                                 sizeof self->lan_address, wan, sizeof wan);
#else
    int found =
        UPNP_GetValidIGD(devices, &self->urls, &self->igd, self->lan_address, sizeof self->lan_address);
#endif
    freeUPNPDevlist(devices);
    if (found > 1)
        FreeUPNPUrls(&self->urls); /* not connected, or not a router */
    return found == 1;
}

/* IGD's error, 0: done. */
static int add_upnp(const hp_portmap_t *self, uint16_t external, uint32_t lifetime_s)
{
    char out[8], in[8], lease[16];
    snprintf(out, sizeof out, "%u", external);
    snprintf(in, sizeof in, "%u", self->port);
    snprintf(lease, sizeof lease, "%u", lifetime_s);
    return UPNP_AddPortMapping(self->urls.controlURL, self->igd.first.servicetype, out, in, self->lan_address,
                               "hostpair", "UDP", NULL, lease);
}

static bool map_upnp(hp_portmap_t *self)
{
    char text[64] = "";
    struct in_addr address;
    uint32_t lifetime_s = HP_PORTMAP_LEASE_S;
    uint16_t port = self->by == BY_UPNP ? ntohs(self->external.v4.sin_port) : self->port;
    if (self->by != BY_UPNP && !find_router(self))
        return false;
    int rc = add_upnp(self, port, lifetime_s);
    for (int i = 0; i < UPNP_PORTS_TRIED && rc != 0; i++) {
        if (rc == UPNP_PERMANENT_ONLY && lifetime_s > 0)
            lifetime_s = 0;
        else if (rc == UPNP_CONFLICT)
            port = (uint16_t)(20000 + (port + 7919u) % 40000);
        else
            break;
        rc = add_upnp(self, port, lifetime_s);
    }
    if (rc != 0 || UPNP_GetExternalIPAddress(self->urls.controlURL, self->igd.first.servicetype, text) != 0 ||
        inet_pton(AF_INET, text, &address) != 1) {
        FreeUPNPUrls(&self->urls);
        return false;
    }
    set_external(self, BY_UPNP, address, port, lifetime_s);
    return true;
}

/* ---- jobs ---- */

static int map_job(void *arg, hp_err_t *err)
{
    hp_portmap_t *self = arg;
    natpmp_t natpmp;
    bool mapped = false, router = initnatpmp(&natpmp, 0, 0) == 0;
    (void)err;
    if (router && self->by != BY_UPNP) {
        struct in_addr gateway = {.s_addr = natpmp.gateway};
        mapped = map_pcp(self, gateway) || map_natpmp(self, &natpmp);
    }
    if (router)
        closenatpmp(&natpmp);
    if (!mapped && !is_dying(self))
        mapped = map_upnp(self);
    if (!mapped)
        self->by = BY_NONE;
    return 0;
}

static int unmap_job(void *arg, hp_err_t *err)
{
    hp_portmap_t *self = arg;
    natpmp_t natpmp;
    char out[8];
    (void)err;
    if (self->by == BY_UPNP) {
        snprintf(out, sizeof out, "%u", ntohs(self->external.v4.sin_port));
        UPNP_DeletePortMapping(self->urls.controlURL, self->igd.first.servicetype, out, "UDP", NULL);
        FreeUPNPUrls(&self->urls);
    } else if (self->by != BY_NONE && initnatpmp(&natpmp, 0, 0) == 0) {
        hp_pcp_answer_t answer;
        natpmpresp_t response;
        if (self->by == BY_PCP)
            ask_pcp(self, (struct in_addr){.s_addr = natpmp.gateway}, 0, &answer);
        else if (sendnewportmappingrequest(&natpmp, NATPMP_PROTOCOL_UDP, self->port, 0, 0) > 0)
            await_natpmp(self, &natpmp, &response);
        closenatpmp(&natpmp);
    }
    self->by = BY_NONE;
    return 0;
}

/* ---- the loop's side ---- */

static void start_job(hp_portmap_t *self);

static void on_time(uv_timer_t *timer)
{
    start_job(timer->data);
}

static void on_closed(uv_handle_t *handle)
{
    hp_portmap_t *self = handle->data;
    hp_pending_t *pending = self->pending;
    free(self);
    hp_pending_drop(pending);
}

static void on_unmapped(void *arg, int status, const hp_err_t *err)
{
    hp_portmap_t *self = arg;
    (void)status;
    (void)err;
    uv_close((uv_handle_t *)&self->timer, on_closed);
}

static void on_mapped(void *arg, int status, const hp_err_t *err)
{
    hp_portmap_t *self = arg;
    char text[INET_ADDRSTRLEN];
    (void)status;
    (void)err;
    self->running = false;
    bool same = self->open && hp_sockaddr_equal(&self->address, &self->external);
    self->open = self->by != BY_NONE;
    self->address = self->external;
    if (self->dying) {
        hp_pool_post(self->loop, NULL, unmap_job, on_unmapped, self);
        return;
    }
    if (self->by == BY_NONE) {
        hp_log(HP_LOG_DEBUG, "tunnel: the router opens no port");
        uv_timer_start(&self->timer, on_time, HP_PORTMAP_AGAIN_MS, 0);
        return;
    }
    inet_ntop(AF_INET, &self->external.v4.sin_addr, text, sizeof text);
    hp_log(HP_LOG_DEBUG, "tunnel: the router opened %s port %u (%s)", text, ntohs(self->external.v4.sin_port),
           by_names[self->by]);
    if (!same)
        self->opened(self->arg);
    if (self->lifetime_s > 0) /* half of it, and never in a hurry */
        uv_timer_start(&self->timer, on_time, HP_MAX((uint64_t)self->lifetime_s * 500, (uint64_t)30000), 0);
}

static void start_job(hp_portmap_t *self)
{
    self->running = true;
    hp_pool_post(self->loop, NULL, map_job, on_mapped, self);
}

hp_portmap_t *hp_portmap_create(uv_loop_t *loop, uint16_t port, void (*opened)(void *arg), void *arg,
                                hp_pending_t *pending)
{
    hp_portmap_t *self = hp_alloc(sizeof *self);
    self->loop = loop;
    self->pending = pending;
    self->port = port;
    self->opened = opened;
    self->arg = arg;
    hp_pending_add(pending);
    uv_timer_init(loop, &self->timer);
    self->timer.data = self;
    start_job(self);
    return self;
}

void hp_portmap_destroy(hp_portmap_t *self)
{
    uv_timer_stop(&self->timer);
    __atomic_store_n(&self->dying, true, __ATOMIC_RELAXED);
    if (!self->running)
        hp_pool_post(self->loop, NULL, unmap_job, on_unmapped, self);
}

bool hp_portmap_address(const hp_portmap_t *self, hp_sockaddr_t *out)
{
    *out = self->address;
    return self->open;
}
