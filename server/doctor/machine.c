/* This machine's part of a look: what hostpair knows of its networks and of the other hosts, and its packet
 * filter. */
#include <arpa/inet.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "doctor/internal.h"
#include "os/interfaces.h"
#include "path/address.h"
#include "pool/pool.h"

#define CLOCK_APART_MS 60000 /* more than that is told */

/* ---- the networks ---- */

static void add_large(hp_findings_t *findings, const hp_interface_t *interface)
{
    hp_subnet_t all = hp_subnet_hosts(interface->address, interface->mask, true);
    hp_subnet_t part = hp_subnet_hosts(interface->address, interface->mask, false);
    char first[INET_ADDRSTRLEN], last[INET_ADDRSTRLEN];
    struct in_addr from = {.s_addr = htonl(part.first)}, to = {.s_addr = htonl(part.last)};
    if (interface->point_to_point || (all.first == part.first && all.last == part.last))
        return;
    inet_ntop(AF_INET, &from, first, sizeof first);
    inet_ntop(AF_INET, &to, last, sizeof last);
    hp_finding_t *finding =
        hp_findings_add(findings, HP_FINDING_NOTE, "network-large",
                        "The network of %s is too large to be scanned: only %s to %s are tried.",
                        interface->name, first, last);
    hp_finding_text(finding, "interface", interface->name);
    hp_finding_text(finding, "first", first);
    hp_finding_text(finding, "last", last);
    hp_finding_todo(finding,
                    "Hosts at other addresses are found by their beacons, or can be added by their address.");
}

static void add_interfaces(hp_findings_t *findings, const hp_discovery_view_t *view)
{
    size_t count = 0;
    for (size_t i = 0; i < view->count; i++) {
        const hp_interface_t *interface = &view->interfaces[i];
        if (interface->v6)
            continue; /* link-local ones, which every interface has */
        hp_tally_row_t row = hp_tally_of(view->tally, interface->index);
        hp_interface_finding(findings, interface, &row, view->beacon);
        add_large(findings, interface);
        count++;
    }
    if (count == 0)
        hp_finding_todo(hp_findings_add(findings, HP_FINDING_PROBLEM, "no-network",
                                        "This machine is on no network: no interface is up."),
                        "Connect it to the network of the other hosts.");
}

static void add_switches(hp_findings_t *findings, const hp_discovery_view_t *view)
{
    if (!view->scan)
        hp_finding_todo(
            hp_findings_add(findings, HP_FINDING_NOTE, "scan-off",
                            "Scans are switched off: hosts are not looked for by themselves."),
            "Switch them on in the settings, or start hostpair without --no-scan. \"Scan now\" works all "
            "the same.");
    if (!view->beacon)
        hp_finding_todo(
            hp_findings_add(findings, HP_FINDING_NOTE, "beacon-off",
                            "The beacon is switched off: this host neither tells others that it is here nor "
                            "hears of them."),
            "Switch it on in the settings, or start hostpair without --no-beacon.");
}

static bool is_loopback(const char *address)
{
    hp_sockaddr_t at;
    return hp_address_to_sockaddr(address, 1, &at) == 0 && hp_address_scope(&at) == HP_SCOPE_MACHINE;
}

static void add_listener(hp_findings_t *findings, hp_doctor_t *doctor, const hp_discovery_view_t *view)
{
    const char *address = doctor->deps.address;
    if (!view->everywhere && is_loopback(address)) {
        hp_finding_t *finding =
            hp_findings_add(findings, HP_FINDING_NOTE, "listens-loopback",
                            "hostpair listens at %s only: no other machine can connect here.", address);
        hp_finding_text(finding, "address", address);
        hp_finding_todo(
            finding,
            "Start it without --peer-listen, or with the address of the network that it should serve.");
    }
    if (hp_discovery_unreachable(doctor->deps.discovery)[0] != '\0') {
        /* A guess, until a host could not connect: a published port or a bridge to the network works. */
        bool sure = hp_doctor_blocked(doctor)[0] != '\0';
        hp_finding_t *finding = hp_findings_add(
            findings, sure ? HP_FINDING_PROBLEM : HP_FINDING_NOTE, "container-hidden",
            "hostpair runs in a container on a network of its own, and may tell other hosts an address "
            "that they cannot reach.");
        hp_finding_todo(
            finding,
            "Publish its port and tell them where it is with --advertise ADDR:PORT (HOSTPAIR_ADVERTISE), "
            "the address being this machine's; or give the container the machine's network.");
    }
}

/* ---- the other hosts ---- */

/* "90 s", "14 min", "5 h", "3 days" */
static void write_span(int64_t seconds, char out[40])
{
    if (seconds < 120)
        snprintf(out, 40, "%lld s", (long long)seconds);
    else if (seconds < 2 * 3600)
        snprintf(out, 40, "%lld min", (long long)(seconds / 60));
    else if (seconds < 2 * 86400)
        snprintf(out, 40, "%lld h", (long long)(seconds / 3600));
    else
        snprintf(out, 40, "%lld days", (long long)(seconds / 86400));
}

bool hp_clock_is_apart(int64_t offset_ms, int64_t uncertainty_ms)
{
    return uncertainty_ms >= 0 && llabs(offset_ms) - uncertainty_ms >= CLOCK_APART_MS;
}

hp_finding_t *hp_clock_finding(hp_findings_t *findings, const char *name, int64_t offset_ms)
{
    int64_t seconds = (llabs(offset_ms) + 500) / 1000;
    bool ahead = offset_ms > 0;
    char span[40];
    write_span(seconds, span);
    hp_finding_t *finding = hp_findings_add(
        findings, HP_FINDING_PROBLEM, ahead ? "clock-ahead" : "clock-behind",
        "The clock of %s is %s %s this machine's.", name, span, ahead ? "ahead of" : "behind");
    hp_finding_text(finding, "name", name);
    hp_finding_number(finding, "seconds", seconds);
    hp_finding_todo(finding, "One of both is wrong. Where it is, let it be set by the network:");
    hp_finding_command(finding, "sudo timedatectl set-ntp true");
    return finding;
}

static void add_problem(hp_findings_t *findings, const hp_hosts_t *hosts, const hp_host_t *host)
{
    const char *kind = hp_hosts_problem_kind(hosts, host->id);
    if (strcmp(kind, "same-key") == 0) {
        hp_finding_t *finding =
            hp_findings_add(findings, HP_FINDING_PROBLEM, "same-key",
                            "Two hosts have one key, that of %s: %s.", host->name, host->problem);
        hp_finding_text(finding, "name", host->name);
        hp_finding_text(finding, "problem", host->problem);
        hp_finding_todo(
            finding, "One of the two data folders is a copy. Give the host with the copy a key of its own, "
                     "there:");
        hp_finding_command(finding, "hostpair identity --new");
    } else if (kind[0] != '\0') {
        hp_finding_t *finding = hp_findings_add(findings, HP_FINDING_PROBLEM, "host-problem", "%s: %s.",
                                                host->name, host->problem);
        hp_finding_text(finding, "name", host->name);
        hp_finding_text(finding, "problem", host->problem);
    }
}

static void add_hosts(hp_findings_t *findings, const hp_hosts_t *hosts, const char *own_copy)
{
    size_t online = 0, count = hp_hosts_count(hosts);
    for (size_t i = 0; i < count; i++)
        online += hp_hosts_at(hosts, i)->online;
    hp_finding_t *finding = hp_findings_add(findings, count > 0 ? HP_FINDING_OK : HP_FINDING_NOTE, "hosts",
                                            "Hosts: %zu online, %zu known.", online, count);
    hp_finding_number(finding, "online", (int64_t)online);
    hp_finding_number(finding, "known", (int64_t)count);
    if (own_copy[0] != '\0') {
        finding = hp_findings_add(findings, HP_FINDING_PROBLEM, "own-key",
                                  "The host at %s has the same key as this one.", own_copy);
        hp_finding_text(finding, "address", own_copy);
        hp_finding_todo(
            finding, "One of the two data folders is a copy. Give the host with the copy a key of its own, "
                     "there:");
        hp_finding_command(finding, "hostpair identity --new");
    }
    for (size_t i = 0; i < count; i++) {
        const hp_host_t *host = hp_hosts_at(hosts, i);
        add_problem(findings, hosts, host);
        if (hp_clock_is_apart(host->clock_offset_ms, host->clock_uncertainty_ms))
            hp_clock_finding(findings, host->name, host->clock_offset_ms);
    }
}

/* ---- the packet filter ---- */

typedef struct {
    hp_look_t *look;
    void (*done)(hp_look_t *look);
    uint16_t port;
    hp_findings_t findings;
    char open[HP_DOCTOR_COMMAND_SIZE];
} job_t;

static int work(void *arg, hp_err_t *err)
{
    job_t *job = arg;
    (void)err;
    hp_doctor_look_at_filter(job->port, &job->findings, job->open);
    return 0;
}

static void add_blocked(hp_look_t *look)
{
    const char *name = hp_doctor_blocked(look->doctor);
    if (name[0] == '\0')
        return;
    hp_finding_t *finding =
        hp_findings_add(&look->findings, HP_FINDING_PROBLEM, "nobody-connects",
                        "%s answers this host, but it could not connect here when it was asked to.", name);
    hp_finding_text(finding, "name", name);
    if (look->open[0] != '\0') {
        hp_finding_todo(finding, "Other hosts do not see this one. Open the port with this command:");
        hp_finding_command(finding, look->open);
    } else {
        hp_finding_todo(
            finding, "Other hosts do not see this one. Look for what is between: the router's or the access "
                     "point's isolation of devices, or a packet filter on the way.");
    }
}

static void on_worked(void *arg, int status, const hp_err_t *err)
{
    job_t *job = arg;
    hp_look_t *look = job->look;
    void (*done)(hp_look_t *) = job->done;
    (void)status, (void)err;
    hp_findings_take(&look->findings, &job->findings);
    memcpy(look->open, job->open, sizeof look->open);
    free(job);
    look->machine = false;
    if (look->host[0] == '\0')
        add_blocked(look);
    done(look);
}

void hp_machine_begin(hp_look_t *look, void (*done)(hp_look_t *look))
{
    hp_doctor_t *doctor = look->doctor;
    hp_discovery_view_t view = hp_discovery_view(doctor->deps.discovery);
    add_interfaces(&look->findings, &view);
    add_listener(&look->findings, doctor, &view);
    add_switches(&look->findings, &view);
    add_hosts(&look->findings, doctor->deps.hosts, view.own_copy);
    job_t *job = hp_alloc(sizeof *job);
    *job = (job_t){.look = look, .done = done, .port = doctor->deps.self->peer_port};
    look->machine = true;
    hp_pool_post(doctor->deps.loop, &doctor->pending, work, on_worked, job);
}
