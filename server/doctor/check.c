/* One other host, from its name to the speed of a file and the way back. Each step begins when the one before
 * it has ended well; what ends badly says what to do and ends the check. */
#include "doctor/check.h"

#include <arpa/inet.h>
#include <errno.h>
#include <ifaddrs.h>
#include <net/if.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/options.h"
#include "path/address.h"

/* ---- the end ---- */

static void finish(hp_check_t *self)
{
    hp_doctor_t *doctor = self->look->doctor;
    self->done(self->look);
    free(self->sample_path);
    free(self);
    hp_pending_drop(&doctor->pending);
}

hp_finding_t *hp_check_add(hp_check_t *self, hp_severity_t severity, const char *slug, const char *text)
{
    char where[HP_ENDPOINT_TEXT_SIZE];
    hp_endpoint_format(&self->at, where);
    hp_finding_t *finding = hp_findings_add(&self->look->findings, severity, slug, "%s", text);
    hp_finding_text(finding, "address", where);
    hp_finding_text(finding, "host", self->name[0] != '\0' ? self->name : where);
    return finding;
}

void hp_check_end(hp_check_t *self)
{
    if (!self->cancelled)
        hp_look_changed(self->look);
    finish(self);
}

/* ---- the way back ---- */

static void add_blocked(hp_check_t *self, const hp_back_answer_t *answer)
{
    char text[600], where[HP_ADDRESS_SIZE];
    const char *how = strcmp(answer->reason, "refused") == 0   ? "the connection was refused"
                      : strcmp(answer->reason, "timeout") == 0 ? "nothing came back"
                                                               : "there is no way to it";
    hp_address_format(answer->address, answer->port, where);
    snprintf(text, sizeof text, "The way back is blocked: %s could not connect to this host at %s (%s).",
             self->name, where, how);
    hp_finding_t *finding = hp_check_add(self, HP_FINDING_PROBLEM, "back-blocked", text);
    hp_finding_text(finding, "own", where);
    hp_finding_text(finding, "reason", answer->reason);
    if (self->look->open[0] != '\0') {
        hp_finding_todo(
            finding,
            "The block is one-way: this host sees %s, and %s does not see this host. Open the port "
            "on this machine:",
            self->name, self->name);
        hp_finding_command(finding, self->look->open);
    } else {
        hp_finding_todo(
            finding,
            "The block is one-way: this host sees %s, and %s does not see this host. This machine's "
            "own packet filter does not show it: look for a router, an access point or a container's "
            "network between the two.",
            self->name, self->name);
    }
}

static void add_back(hp_check_t *self, const hp_back_answer_t *answer)
{
    char text[600], where[HP_ADDRESS_SIZE];
    hp_address_format(answer->address, answer->port, where);
    switch (answer->back) {
    case HP_BACK_REACHED:
        if (!self->loopback)
            hp_findings_remove(&self->look->findings, "container-hidden"); /* its port is published */
        snprintf(text, sizeof text, "The way back works: %s connected to this host at %s.", self->name,
                 where);
        hp_finding_text(hp_check_add(self, HP_FINDING_OK, "back-works", text), "own", where);
        break;
    case HP_BACK_BLOCKED:
        add_blocked(self, answer);
        break;
    case HP_BACK_OTHER: {
        snprintf(text, sizeof text, "At %s, where %s sees this host, another program answers.", where,
                 self->name);
        hp_finding_t *finding = hp_check_add(self, HP_FINDING_PROBLEM, "back-other", text);
        hp_finding_text(finding, "own", where);
        hp_finding_todo(
            finding, "A router or a container's network leads this port elsewhere. Publish hostpair's port "
                     "there, and name it with --advertise ADDR:PORT.");
        break;
    }
    case HP_BACK_TOO_OLD:
        snprintf(text, sizeof text, "Whether %s can connect here cannot be told: it runs an older hostpair.",
                 self->name);
        hp_finding_todo(hp_check_add(self, HP_FINDING_NOTE, "back-too-old", text), "Bring it up to date.");
        break;
    case HP_BACK_REFUSED:
    case HP_BACK_FAILED:
        snprintf(text, sizeof text, "Whether %s can connect here cannot be told: %s.", self->name,
                 answer->detail[0] != '\0' ? answer->detail : "it did not say");
        hp_finding_text(hp_check_add(self, HP_FINDING_NOTE, "back-unknown", text), "detail", answer->detail);
        break;
    }
}

static void on_asked(void *arg, const hp_back_answer_t *answer)
{
    hp_check_t *self = arg;
    self->ask = NULL;
    if (answer != NULL) {
        add_back(self, answer);
        if (!self->loopback)
            hp_doctor_watch_heard(self->look->doctor, self->name, answer);
    }
    hp_check_end(self);
}

void hp_check_way_back(hp_check_t *self)
{
    if (self->cancelled || !self->proven) {
        hp_check_end(self); /* a host that proves nothing is asked nothing */
        return;
    }
    hp_look_changed(self->look);
    self->ask = hp_ask_start(self->look->doctor, &self->at, on_asked, self);
}

/* ---- who answers ---- */

static void add_answer(hp_check_t *self, const hp_probe_answer_t *answer)
{
    char text[900], where[HP_ENDPOINT_TEXT_SIZE];
    hp_endpoint_format(&self->at, where);
    if (answer->proven)
        snprintf(text, sizeof text, "%s answers over TLS: it is %s (id %.8s).", where, self->name,
                 answer->id);
    else
        snprintf(text, sizeof text, "%s answers in plain HTTP, and proves nothing: it calls itself %s.",
                 where, self->name);
    hp_finding_t *finding = hp_check_add(self, answer->proven ? HP_FINDING_OK : HP_FINDING_NOTE,
                                         answer->proven ? "answers" : "answers-plain", text);
    hp_finding_text(finding, "id", answer->id);
    hp_finding_number(finding, "protocol", answer->protocol);
    if (!answer->proven)
        hp_finding_todo(
            finding, "hostpair 0.1 and programs that know plain HTTP alone answer so: files can be fetched, "
                     "messages and pairing need a newer hostpair there.");
}

/* Whether it is one that can be gone on with. */
static bool judge_answer(hp_check_t *self, const hp_probe_answer_t *answer)
{
    const hp_self_t *own = self->look->doctor->deps.self;
    char text[900], where[HP_ENDPOINT_TEXT_SIZE];
    hp_endpoint_format(&self->at, where);
    if (strcmp(answer->id, own->id) == 0) {
        bool itself = answer->instance[0] == '\0' || strcmp(answer->instance, own->instance) == 0;
        snprintf(text, sizeof text,
                 itself ? "%s is this host itself." : "The host at %s has the same key as this one.", where);
        hp_finding_t *finding = hp_check_add(self, itself ? HP_FINDING_NOTE : HP_FINDING_PROBLEM,
                                             itself ? "itself" : "own-key", text);
        if (!itself) {
            hp_finding_todo(
                finding,
                "One of the two data folders is a copy. Give the host with the copy a key of its own, "
                "there:");
            hp_finding_command(finding, "hostpair identity --new");
        }
        return false;
    }
    if (self->expected[0] != '\0' && strcmp(answer->id, self->expected) != 0) {
        snprintf(text, sizeof text, "At %s another host answers: %s (id %.8s), not the one with id %.8s.",
                 where, answer->name, answer->id, self->expected);
        hp_finding_t *finding = hp_check_add(self, HP_FINDING_PROBLEM, "other-host", text);
        hp_finding_text(finding, "name", answer->name);
        hp_finding_text(finding, "id", answer->id);
        hp_finding_text(finding, "expected", self->expected);
        hp_finding_todo(
            finding, "The address belongs to another machine now, or that host has a new key. Add it by its "
                     "present address or name.");
        return false;
    }
    return true;
}

/* Unless the clock of a known host was told with this machine's part. */
static void add_clock(hp_check_t *self, const hp_probe_answer_t *answer)
{
    const hp_host_t *known = hp_hosts_find(self->look->doctor->deps.hosts, answer->id);
    if (hp_clock_is_apart(answer->clock_offset_ms, answer->clock_uncertainty_ms) &&
        (known == NULL || !hp_clock_is_apart(known->clock_offset_ms, known->clock_uncertainty_ms)))
        hp_clock_finding(&self->look->findings, self->name, answer->clock_offset_ms);
}

static void on_probed(void *arg, int status, const hp_probe_answer_t *answer, const hp_err_t *err)
{
    hp_check_t *self = arg;
    self->probe = NULL;
    if (self->cancelled || status == UV_ECANCELED) {
        hp_check_end(self);
        return;
    }
    if (status != 0) {
        char text[500], clean[400];
        hp_utf8_printable(hp_err_text(err), strlen(hp_err_text(err)), clean, sizeof clean);
        snprintf(text, sizeof text, "The port is open, but no hostpair answers there: %s.", clean);
        hp_finding_t *finding = hp_check_add(self, HP_FINDING_PROBLEM, "no-hostpair", text);
        hp_finding_text(finding, "detail", clean);
        hp_finding_todo(
            finding,
            "Another program has that port, or hostpair listens at another one: \"hostpair\" says at "
            "its start which. Add the host with it: ADDRESS:PORT.");
        hp_check_end(self);
        return;
    }
    snprintf(self->name, sizeof self->name, "%s", answer->name[0] != '\0' ? answer->name : answer->id);
    if (!judge_answer(self, answer)) {
        hp_check_end(self);
        return;
    }
    add_answer(self, answer);
    add_clock(self, answer);
    self->proven = answer->proven;
    if (answer->proven)
        hp_endpoint_expect(&self->at, answer->fingerprint);
    else
        hp_endpoint_in_plain(&self->at);
    hp_look_changed(self->look);
    hp_check_list(self);
}

/* ---- the connection ---- */

/* Whose filter it may be when nothing comes back. */
static void add_unreached(hp_check_t *self, int status)
{
    char text[500], where[HP_ENDPOINT_TEXT_SIZE];
    hp_finding_t *finding;
    hp_endpoint_format(&self->at, where);
    if (status == UV_ECONNREFUSED) {
        snprintf(text, sizeof text,
                 "%s refuses the connection: the machine is there, and nothing listens at that port.", where);
        finding = hp_check_add(self, HP_FINDING_PROBLEM, "connect-refused", text);
        hp_finding_todo(
            finding,
            "Start hostpair there, or add the host with the port at which it listens: ADDRESS:PORT.");
    } else if (status == UV_ETIMEDOUT) {
        snprintf(text, sizeof text,
                 "%s does not answer: packets to it, or what comes back, are dropped on the way.", where);
        finding = hp_check_add(self, HP_FINDING_PROBLEM, "connect-timeout", text);
        hp_finding_todo(
            finding, "Either the machine is off, or a packet filter keeps this host out there (both ways are "
                     "blocked then). On that machine, see what is wrong and how to open its port:");
        hp_finding_command(finding, "sudo hostpair doctor");
    } else {
        snprintf(text, sizeof text, "%s cannot be reached: %s.", where, uv_strerror(status));
        finding = hp_check_add(self, HP_FINDING_PROBLEM, "connect-failed", text);
        hp_finding_text(finding, "detail", uv_strerror(status));
        hp_finding_todo(finding,
                        "Is the machine switched on, on the same network, and is the address still its own?");
    }
}

static void connect_next(hp_check_t *self);

static void on_reached(void *arg, int status, unsigned ms)
{
    hp_check_t *self = arg;
    hp_doctor_t *doctor = self->look->doctor;
    char text[200], where[HP_ENDPOINT_TEXT_SIZE];
    self->reach = NULL;
    if (self->cancelled || status == UV_ECANCELED) {
        hp_check_end(self);
        return;
    }
    if (status != 0) {
        add_unreached(self, status);
        connect_next(self);
        return;
    }
    snprintf(text, sizeof text, "The connection to %s is made, in %u ms.",
             hp_endpoint_format(&self->at, where), ms);
    hp_finding_number(hp_check_add(self, HP_FINDING_OK, "connects", text), "ms", ms);
    hp_look_changed(self->look);
    self->probe = hp_probe_start(doctor->deps.fetcher, &self->at, HP_PROBE_ANY, 0, on_probed, self);
}

/* The address from which this machine would speak to it. False: there is no way. */
static bool own_address(const hp_sockaddr_t *to, hp_sockaddr_t *own)
{
    socklen_t length = sizeof *own;
    int fd = socket(to->any.sa_family, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    bool known = fd >= 0 && connect(fd, &to->any, hp_sockaddr_length(to)) == 0 &&
                 getsockname(fd, &own->any, &length) == 0;
    if (fd >= 0)
        close(fd);
    return known;
}

static void name_interface(const hp_sockaddr_t *own, char name[IF_NAMESIZE])
{
    struct ifaddrs *all = NULL;
    snprintf(name, IF_NAMESIZE, "?");
    if (getifaddrs(&all) != 0)
        return;
    for (const struct ifaddrs *entry = all; entry != NULL; entry = entry->ifa_next) {
        hp_sockaddr_t address = {0};
        int family = entry->ifa_addr != NULL ? entry->ifa_addr->sa_family : AF_UNSPEC;
        if (family != AF_INET && family != AF_INET6)
            continue;
        memcpy(&address, entry->ifa_addr, family == AF_INET6 ? sizeof address.v6 : sizeof address.v4);
        if (hp_sockaddr_same_host(&address, own))
            snprintf(name, IF_NAMESIZE, "%s", entry->ifa_name);
    }
    freeifaddrs(all);
}

static bool add_route(hp_check_t *self)
{
    hp_sockaddr_t to, own = {0};
    char text[300], address[HP_ENDPOINT_ADDRESS_SIZE], from[HP_ADDRESS_TEXT], name[IF_NAMESIZE];
    uint16_t port;
    int rc = hp_address_to_sockaddr(hp_endpoint_address(&self->at, address), self->at.port, &to);
    if (rc != 0 || !own_address(&to, &own)) {
        snprintf(text, sizeof text, "This machine has no way to %s.", address);
        hp_finding_todo(
            hp_check_add(self, HP_FINDING_PROBLEM, "no-route", text),
            "The address belongs to a network that this machine is not on, and no router leads there.");
        return false;
    }
    self->loopback = hp_address_scope(&to) == HP_SCOPE_MACHINE;
    hp_address_from_sockaddr(&own, from, &port);
    name_interface(&own, name);
    snprintf(text, sizeof text, "The way to %s leads out of %s, from %s.", address, name, from);
    hp_finding_t *finding = hp_check_add(self, HP_FINDING_OK, "route", text);
    hp_finding_text(finding, "interface", name);
    hp_finding_text(finding, "own", from);
    return true;
}

static void connect_next(hp_check_t *self)
{
    while (self->next < self->count) {
        self->at = self->places[self->next++];
        if (!add_route(self))
            continue;
        hp_look_changed(self->look);
        self->reach = hp_tcp_check_start(self->look->doctor->deps.loop, &self->at, on_reached, self);
        return;
    }
    hp_check_end(self);
}

/* ---- the name ---- */

static void on_looked_up(void *arg, int status, const hp_sockaddr_t *addresses, size_t count,
                         const hp_err_t *err)
{
    hp_check_t *self = arg;
    char text[700], list[400] = "";
    if (self->cancelled || status == UV_ECANCELED) {
        hp_check_end(self);
        return;
    }
    if (status != 0) {
        snprintf(text, sizeof text, "%s.", hp_err_text(err));
        hp_finding_t *finding =
            hp_findings_add(&self->look->findings, HP_FINDING_PROBLEM, "name-unknown",
                            "The name %s is not known to this machine: %s", self->asked.name, text);
        hp_finding_text(finding, "name", self->asked.name);
        hp_finding_text(finding, "detail", hp_err_text(err));
        hp_finding_todo(
            finding, "Is it written as the machine has it? Names of the network often need \".local\" or the "
                     "router's ending; the address always works.");
        hp_check_end(self);
        return;
    }
    for (size_t i = 0; i < count && self->count < HP_CHECK_PLACES; i++) {
        char address[HP_ENDPOINT_ADDRESS_SIZE];
        if (hp_endpoint_from_sockaddr(&self->places[self->count], &addresses[i]) != 0)
            continue;
        size_t used = strlen(list);
        snprintf(list + used, sizeof list - used, "%s%s", used > 0 ? ", " : "",
                 hp_endpoint_address(&self->places[self->count++], address));
    }
    hp_finding_t *finding = hp_findings_add(&self->look->findings, HP_FINDING_OK, "name-found", "%s is %s.",
                                            self->asked.name, list);
    hp_finding_text(finding, "name", self->asked.name);
    hp_finding_text(finding, "addresses", list);
    connect_next(self);
}

/* ---- begin ---- */

static void take_places(hp_check_t *self, const hp_host_t *host)
{
    for (size_t i = 0; i < host->address_count && self->count < HP_CHECK_PLACES; i++) {
        if (host->addresses[i].endpoint.scheme != HP_SCHEME_MEMBER)
            self->places[self->count++] = host->addresses[i].endpoint;
    }
    snprintf(self->name, sizeof self->name, "%s", host->name);
    if (host->proven)
        snprintf(self->expected, sizeof self->expected, "%.32s", host->id);
    if (self->count > 0)
        return;
    hp_finding_t *finding =
        hp_findings_add(&self->look->findings, HP_FINDING_NOTE, "member-only",
                        "%s is reached through a group only, not on this network.", host->name);
    hp_finding_text(finding, "name", host->name);
    hp_finding_todo(finding, "\"hostpair hosts\" shows by which way, and why by no better one.");
}

/* In a job of its own turn: done is never called inside the begin. */
static void on_begin(uv_handle_t *handle)
{
    hp_check_t *self = handle->data;
    if (self->cancelled)
        hp_check_end(self);
    else if (self->asked.name[0] != '\0')
        hp_lookup(self->look->doctor->lookups, self->asked.name, self->asked.port, on_looked_up, self);
    else
        connect_next(self);
}

hp_check_t *hp_check_begin(hp_look_t *look, const hp_host_name_t *name, const hp_host_t *host,
                           void (*done)(hp_look_t *look))
{
    hp_check_t *self = hp_alloc(sizeof *self);
    *self = (hp_check_t){.look = look, .done = done};
    hp_pending_add(&look->doctor->pending);
    if (host != NULL) {
        take_places(self, host);
    } else if (name->name[0] != '\0') {
        self->asked = *name;
    } else {
        self->places[self->count++] = name->numeric;
    }
    uv_idle_init(look->doctor->deps.loop, &self->turn);
    self->turn.data = self;
    uv_close((uv_handle_t *)&self->turn, on_begin);
    return self;
}

void hp_check_cancel(hp_check_t *self)
{
    self->cancelled = true;
    if (self->reach != NULL)
        hp_tcp_check_cancel(self->reach);
    if (self->probe != NULL)
        hp_probe_cancel(self->probe);
    if (self->fetch != NULL)
        hp_fetch_cancel(self->fetch);
    if (self->ask != NULL)
        hp_ask_cancel(self->ask);
}
