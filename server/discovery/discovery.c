#include "discovery/discovery.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "base/mem.h"
#include "base/pending.h"
#include "discovery/beacon.h"
#include "discovery/container.h"
#include "discovery/interfaces.h"
#include "discovery/scan.h"

#define SCAN_EVERY_MS   300000
#define WANTED_EVERY_MS 60000 /* between tries of --host addresses that have not answered yet */

/* A host that was named at the start. */
typedef struct wanted {
    hp_discovery_t *discovery; /* NULL: it has gone, and the one that is under way frees this */
    hp_host_name_t at;
    bool found, under_way;
} wanted_t;

struct hp_discovery {
    void (*network_changed)(void *arg);
    void *network_arg;
    uv_loop_t *loop;
    hp_hosts_t *hosts;
    const hp_self_t *self;
    uint16_t advertise_port; /* 0: our own */
    bool scan_on, beacon_on, started, closing;
    uint64_t offered_files, offered_bytes;
    bool everywhere, advertised;
    hp_tally_t tally;
    bool own_address; /* others are told an address of this machine, whichever they see */
    char unreachable[400], said_unreachable[64]; /* the words; the address that was logged */
    bool scan_wanted, scan_person;               /* when the present one has ended */
    uint64_t networks;                           /* what there was to scan when interfaces changed last */
    hp_interfaces_t *interfaces;
    hp_scan_t *scan;
    hp_scan_t *other_scan; /* for also; NULL */
    hp_discovery_also_t also;
    hp_beacon_t *beacon;
    uv_timer_t scan_timer, wanted_timer;
    wanted_t **wanted;
    size_t wanted_count;
    hp_pending_t pending; /* parts and handles that are being closed */
    void (*closed)(void *arg);
    void *closed_arg;
};

/* ---- the scan ---- */

static void scan_now(hp_discovery_t *self, bool person)
{
    size_t count;
    if (hp_scan_running(self->scan)) {
        self->scan_wanted = true;
        self->scan_person |= person;
        return;
    }
    const hp_interface_t *interfaces = hp_interfaces_list(self->interfaces, &count);
    hp_scan_begin(self->scan, interfaces, count, person);
}

/* Of what the scan has found to be there. */
static void scan_other(hp_discovery_t *self)
{
    size_t count;
    const hp_interface_t *interfaces = hp_interfaces_list(self->interfaces, &count);
    if (self->other_scan != NULL && !hp_scan_running(self->other_scan) && self->also.wanted(self->also.arg))
        hp_scan_begin(self->other_scan, interfaces, count, false);
}

static void on_opened(void *arg, const hp_sockaddr_t *address)
{
    hp_discovery_t *self = arg;
    hp_endpoint_t at;
    char text[HP_ENDPOINT_ADDRESS_SIZE];
    if (hp_endpoint_from_sockaddr(&at, address) == 0)
        self->also.opened(self->also.arg, hp_endpoint_address(&at, text));
}

void hp_discovery_scan_also(hp_discovery_t *discovery, const hp_discovery_also_t *also)
{
    discovery->also = *also;
    discovery->other_scan = hp_scan_create_for(discovery->loop, also->port, on_opened, discovery);
}

static void on_scan_finished(void *arg)
{
    hp_discovery_t *self = arg;
    bool person = self->scan_person;
    if (!self->closing)
        scan_other(self);
    if (!self->scan_wanted || self->closing)
        return;
    self->scan_wanted = self->scan_person = false;
    scan_now(self, person);
}

static void on_scan_time(uv_timer_t *timer)
{
    scan_now(timer->data, false);
}

static void set_scan(hp_discovery_t *self, bool on)
{
    self->scan_on = on;
    if (!on) {
        uv_timer_stop(&self->scan_timer);
        self->scan_wanted = self->scan_person; /* what a person asked for stays */
        return;
    }
    uv_timer_start(&self->scan_timer, on_scan_time, SCAN_EVERY_MS, SCAN_EVERY_MS);
    scan_now(self, false);
}

void hp_discovery_scan(hp_discovery_t *discovery)
{
    if (discovery->started && !discovery->closing)
        scan_now(discovery, true);
}

hp_scan_progress_t hp_discovery_scan_progress(const hp_discovery_t *discovery)
{
    return hp_scan_progress(discovery->scan);
}

/* ---- the beacon ---- */

static void set_beacon(hp_discovery_t *self, bool on)
{
    size_t count;
    self->beacon_on = on;
    if (!on) {
        hp_beacon_stop(self->beacon);
        return;
    }
    const hp_interface_t *interfaces = hp_interfaces_list(self->interfaces, &count);
    hp_beacon_start(self->beacon, interfaces, count);
}

void hp_discovery_set_offer(hp_discovery_t *self, uint64_t files, uint64_t bytes, const char *list)
{
    bool other = files != self->offered_files || bytes != self->offered_bytes;
    self->offered_files = files;
    self->offered_bytes = bytes;
    if (!self->closing)
        hp_beacon_set_list(self->beacon, list, other);
}

/* ---- whether others can reach it ---- */

static void check_address(hp_discovery_t *self)
{
    char address[64];
    self->unreachable[0] = '\0';
    if (!self->own_address || !hp_container_hides(address))
        return;
    snprintf(
        self->unreachable, sizeof self->unreachable,
        "hostpair runs in a container on a network of its own: hosts outside this machine cannot reach it at "
        "%s:%u. Publish its port and tell them where it is with --advertise ADDR:PORT (HOSTPAIR_ADVERTISE), "
        "the "
        "address being this machine's; or give the container the machine's network",
        address, self->self->peer_port);
    if (strcmp(address, self->said_unreachable) != 0)
        hp_log(HP_LOG_WARN, "%s", self->unreachable);
    snprintf(self->said_unreachable, sizeof self->said_unreachable, "%s", address);
}

const char *hp_discovery_unreachable(const hp_discovery_t *discovery)
{
    return discovery->unreachable;
}

void hp_discovery_was_reached(hp_discovery_t *discovery)
{
    discovery->unreachable[0] = '\0';
}

hp_discovery_view_t hp_discovery_view(const hp_discovery_t *self)
{
    hp_discovery_view_t view = {.tally = &self->tally,
                                .scan = self->scan_on,
                                .beacon = self->beacon_on,
                                .everywhere = self->everywhere,
                                .advertised = self->advertised,
                                .own_copy = hp_hosts_own_copy(self->hosts)};
    view.interfaces = hp_interfaces_list(self->interfaces, &view.count);
    return view;
}

/* ---- the network changes ---- */

/* Differs when there are other networks to scan. Interfaces come and go without that, with every container
 * for example, and what is behind them is found by beacon. */
static uint64_t networks_of(const hp_discovery_t *self)
{
    size_t count;
    const hp_interface_t *interfaces = hp_interfaces_list(self->interfaces, &count);
    uint64_t hash = UINT64_C(0xcbf29ce484222325); /* FNV-1a over words */
    for (size_t i = 0; i < count; i++) {
        if (interfaces[i].v6)
            continue;
        hash = (hash ^ interfaces[i].index) * UINT64_C(0x100000001b3);
        hash = (hash ^ interfaces[i].address) * UINT64_C(0x100000001b3);
        hash = (hash ^ interfaces[i].mask) * UINT64_C(0x100000001b3);
        hash = (hash ^ interfaces[i].peer) * UINT64_C(0x100000001b3);
    }
    return hash;
}

static void on_interfaces_changed(void *arg)
{
    hp_discovery_t *self = arg;
    if (!self->started || self->closing)
        return;
    hp_log(HP_LOG_INFO, "the network interfaces have changed");
    check_address(self);
    if (self->network_changed != NULL)
        self->network_changed(self->network_arg);
    uint64_t before = self->networks;
    self->networks = networks_of(self);
    if (self->beacon_on)
        set_beacon(self, true);
    if (self->scan_on && self->networks != before)
        scan_now(self, false); /* probes the known hosts as well */
    else
        hp_hosts_probe_all(self->hosts, false);
}

/* ---- hosts that were named at the start ---- */

static void on_wanted_added(void *arg, int status, const hp_host_t *host, bool is_new, const hp_err_t *err)
{
    wanted_t *wanted = arg;
    (void)host, (void)is_new;
    wanted->under_way = false;
    if (wanted->discovery == NULL) {
        free(wanted);
        return;
    }
    wanted->found = status == 0 || status == HP_E_INVALID;
    if (status != 0 && status != UV_ECANCELED)
        hp_log(HP_LOG_WARN, "--host: %s%s", hp_err_text(err),
               wanted->found ? "" : "; it is tried again every minute");
}

static void on_wanted_time(uv_timer_t *timer)
{
    hp_discovery_t *self = timer->data;
    bool all = true;
    for (size_t i = 0; i < self->wanted_count; i++) {
        wanted_t *wanted = self->wanted[i];
        all &= wanted->found;
        if (wanted->found || wanted->under_way)
            continue;
        wanted->under_way = true;
        hp_hosts_add_name(self->hosts, &wanted->at, on_wanted_added, wanted);
    }
    if (all)
        uv_timer_stop(timer);
}

static void free_wanted(hp_discovery_t *self)
{
    for (size_t i = 0; i < self->wanted_count; i++) {
        self->wanted[i]->discovery = NULL;
        if (!self->wanted[i]->under_way)
            free(self->wanted[i]);
    }
    free(self->wanted);
    self->wanted = NULL;
    self->wanted_count = 0;
}

static int read_wanted(hp_discovery_t *self, const hp_strings_t *texts, hp_err_t *err)
{
    self->wanted = hp_alloc_array(texts->count, sizeof(void *));
    for (size_t i = 0; i < texts->count; i++) {
        wanted_t *wanted = hp_alloc(sizeof *wanted);
        wanted->discovery = self;
        self->wanted[self->wanted_count++] = wanted;
        int rc = hp_host_name_parse(texts->items[i], HP_DEFAULT_PEER_PORT, &wanted->at, err);
        if (rc != 0) {
            hp_err_prefix(err, "--host: ");
            return rc;
        }
    }
    return 0;
}

/* ---- start and end ---- */

int hp_discovery_create(hp_discovery_t **out, uv_loop_t *loop, hp_hosts_t *hosts, const hp_self_t *self,
                        const hp_discovery_options_t *options, hp_err_t *err)
{
    char address[64] = "";
    uint16_t port = 0;
    *out = NULL;
    if (options->advertise != NULL) {
        int rc = hp_address_parse(options->advertise, 0, address, &port, err);
        if (rc != 0) {
            hp_err_prefix(err, "--advertise: ");
            return rc;
        }
    }
    hp_discovery_t *discovery = hp_alloc(sizeof *discovery);
    int rc = options->hosts != NULL ? read_wanted(discovery, options->hosts, err) : 0;
    if (rc == 0)
        rc = hp_interfaces_create(&discovery->interfaces, loop, on_interfaces_changed, discovery, err);
    if (rc != 0) {
        free_wanted(discovery);
        free(discovery);
        return rc;
    }
    discovery->loop = loop;
    discovery->hosts = hosts;
    discovery->self = self;
    discovery->advertise_port = port;
    discovery->everywhere = options->everywhere;
    discovery->advertised = options->advertise != NULL;
    discovery->tally.interfaces = discovery->interfaces;
    discovery->own_address = options->advertise == NULL && options->everywhere;
    hp_hosts_set_port(hosts, port);
    discovery->scan =
        hp_scan_create(loop, hosts, HP_DEFAULT_PEER_PORT, &discovery->tally, on_scan_finished, discovery);
    discovery->beacon = hp_beacon_create(loop, hosts, self, address, port, &discovery->tally);
    uv_timer_init(loop, &discovery->scan_timer);
    uv_timer_init(loop, &discovery->wanted_timer);
    discovery->scan_timer.data = discovery->wanted_timer.data = discovery;
    *out = discovery;
    return 0;
}

/* A host that looks for others is to be found by them; with both switched off it is not. */
static void set_announce(const hp_discovery_t *self)
{
    uint16_t port = self->advertise_port != 0 ? self->advertise_port : self->self->peer_port;
    hp_hosts_set_announce(self->hosts, self->scan_on || self->beacon_on ? port : 0);
}

void hp_discovery_start(hp_discovery_t *discovery)
{
    discovery->started = true;
    discovery->networks = networks_of(discovery);
    check_address(discovery);
    set_announce(discovery);
    if (discovery->beacon_on)
        set_beacon(discovery, true);
    if (discovery->scan_on)
        set_scan(discovery, true);
    if (discovery->wanted_count > 0)
        uv_timer_start(&discovery->wanted_timer, on_wanted_time, 0, WANTED_EVERY_MS);
}

void hp_discovery_set(hp_discovery_t *discovery, bool scan, bool beacon)
{
    if (!discovery->started || discovery->closing) {
        discovery->scan_on = scan;
        discovery->beacon_on = beacon;
        return;
    }
    if (scan != discovery->scan_on)
        set_scan(discovery, scan);
    if (beacon != discovery->beacon_on)
        set_beacon(discovery, beacon);
    set_announce(discovery);
}

static void part_closed(void *arg)
{
    hp_discovery_t *self = arg;
    hp_pending_drop(&self->pending);
}

static void on_handle_closed(uv_handle_t *handle)
{
    part_closed(handle->data);
}

static void finish(void *arg)
{
    hp_discovery_t *self = arg;
    void (*closed)(void *arg) = self->closed;
    void *closed_arg = self->closed_arg;
    free(self);
    if (closed != NULL)
        closed(closed_arg);
}

void hp_discovery_destroy(hp_discovery_t *self, void (*closed)(void *arg), void *arg)
{
    self->closing = true;
    self->closed = closed;
    self->closed_arg = arg;
    free_wanted(self);
    for (int part = 0; part < 5; part++)
        hp_pending_add(&self->pending);
    uv_close((uv_handle_t *)&self->scan_timer, on_handle_closed);
    uv_close((uv_handle_t *)&self->wanted_timer, on_handle_closed);
    hp_scan_destroy(self->scan, part_closed, self);
    if (self->other_scan != NULL) {
        hp_pending_add(&self->pending);
        hp_scan_destroy(self->other_scan, part_closed, self);
    }
    hp_beacon_destroy(self->beacon, part_closed, self);
    hp_interfaces_destroy(self->interfaces, part_closed, self);
    hp_pending_when_none(&self->pending, finish, self);
}

void hp_discovery_on_network(hp_discovery_t *discovery, void (*fn)(void *arg), void *arg)
{
    discovery->network_changed = fn;
    discovery->network_arg = arg;
}
