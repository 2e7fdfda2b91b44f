/* Findings about the network interfaces of this machine. */
#include <arpa/inet.h>
#include <ifaddrs.h>
#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "discovery/beacon.h"
#include "doctor/internal.h"
#include "os/interfaces.h"
#include "path/address.h"

static const char *const kinds[] = {[HP_INTERFACE_WIRED] = "wired",
                                    [HP_INTERFACE_WIFI] = "wifi",
                                    [HP_INTERFACE_VPN] = "vpn",
                                    [HP_INTERFACE_CONTAINER] = "container",
                                    [HP_INTERFACE_VIRTUAL] = "virtual"};

/* In words, after the interface's name. */
static const char *const shown[] = {[HP_INTERFACE_WIRED] = "",
                                    [HP_INTERFACE_WIFI] = ", Wi-Fi",
                                    [HP_INTERFACE_VPN] = ", a VPN or point-to-point line",
                                    [HP_INTERFACE_CONTAINER] = ", containers of this machine",
                                    [HP_INTERFACE_VIRTUAL] = ", virtual"};

static int prefix_of(uint32_t mask)
{
    return __builtin_popcount(mask);
}

static void write_network(const hp_interface_t *interface, char out[HP_ADDRESS_TEXT + 4])
{
    char text[INET_ADDRSTRLEN];
    struct in_addr address = {.s_addr = htonl(interface->address)};
    inet_ntop(AF_INET, &address, text, sizeof text);
    snprintf(out, HP_ADDRESS_TEXT + 4, "%s/%d", text, prefix_of(interface->mask));
}

static void add_ago(char *out, size_t size, int64_t at)
{
    size_t used = strlen(out);
    int64_t s = (hp_clock_wall_ms() - at) / 1000;
    s = HP_MAX(s, (int64_t)0);
    if (at > 0 && s < 120)
        snprintf(out + used, size - used, " (the last %lld s ago)", (long long)s);
    else if (at > 0)
        snprintf(out + used, size - used, " (the last %lld min ago)", (long long)(s / 60));
}

static void write_counts(const hp_tally_row_t *row, char *out, size_t size)
{
    snprintf(out, size, "%llu beacons sent, %llu heard", (unsigned long long)row->beacons_sent.count,
             (unsigned long long)row->beacons_heard.count);
    add_ago(out, size, row->beacons_heard.at);
    size_t used = strlen(out);
    snprintf(out + used, size - used, ", %llu answers to scans", (unsigned long long)row->scan_answers.count);
    add_ago(out, size, row->scan_answers.at);
}

hp_finding_t *hp_interface_finding(hp_findings_t *findings, const hp_interface_t *interface,
                                   const hp_tally_row_t *row, bool beacon)
{
    char network[HP_ADDRESS_TEXT + 4], counts[240] = "";
    hp_interface_kind_t kind = hp_interface_kind(interface->name);
    write_network(interface, network);
    if (row != NULL)
        write_counts(row, counts, sizeof counts);
    bool silent = row != NULL && beacon && row->beacons_sent.count > 2 && row->beacons_heard.count == 0 &&
                  row->scan_answers.count == 0 && kind != HP_INTERFACE_CONTAINER;
    hp_finding_t *finding = hp_findings_add(findings, silent ? HP_FINDING_NOTE : HP_FINDING_OK,
                                            row == NULL ? "interface-there"
                                            : silent    ? "interface-silent"
                                                        : "interface",
                                            "%s (%s%s)%s%s.", interface->name, network, shown[kind],
                                            counts[0] != '\0' ? ": " : " is up", counts);
    hp_finding_text(finding, "interface", interface->name);
    hp_finding_text(finding, "network", network);
    hp_finding_text(finding, "kind", kinds[kind]);
    if (row != NULL) {
        hp_finding_number(finding, "beacons_sent", (int64_t)row->beacons_sent.count);
        hp_finding_number(finding, "beacons_heard", (int64_t)row->beacons_heard.count);
        hp_finding_number(finding, "heard_at", row->beacons_heard.at);
        hp_finding_number(finding, "scan_answers", (int64_t)row->scan_answers.count);
        hp_finding_number(finding, "answered_at", row->scan_answers.at);
    }
    if (silent)
        hp_finding_todo(
            finding, "No other host was heard on this network. If there is one: is hostpair running there, "
                     "is it on the same network (a guest Wi-Fi keeps its devices apart), and is its port "
                     "open? Ask for it by its address to learn more.");
    return finding;
}

static bool take(const struct ifaddrs *entry, hp_interface_t *out)
{
    if (entry->ifa_addr == NULL || entry->ifa_netmask == NULL || entry->ifa_addr->sa_family != AF_INET ||
        (entry->ifa_flags & IFF_LOOPBACK) != 0 || (entry->ifa_flags & IFF_RUNNING) == 0)
        return false;
    *out = (hp_interface_t){
        .address = ntohl(((const struct sockaddr_in *)(const void *)entry->ifa_addr)->sin_addr.s_addr),
        .mask = ntohl(((const struct sockaddr_in *)(const void *)entry->ifa_netmask)->sin_addr.s_addr)};
    snprintf(out->name, sizeof out->name, "%s", entry->ifa_name);
    return true;
}

void hp_doctor_look_at_interfaces(hp_findings_t *findings)
{
    struct ifaddrs *all = NULL;
    size_t count = 0;
    if (getifaddrs(&all) != 0)
        return;
    for (const struct ifaddrs *entry = all; entry != NULL; entry = entry->ifa_next) {
        hp_interface_t interface;
        if (!take(entry, &interface))
            continue;
        hp_interface_finding(findings, &interface, NULL, false);
        count++;
    }
    freeifaddrs(all);
    if (count == 0)
        hp_finding_todo(hp_findings_add(findings, HP_FINDING_PROBLEM, "no-network",
                                        "This machine is on no network: no interface is up."),
                        "Connect it to the network of the other hosts.");
}

/* ---- the packet filter, an interface at a time ---- */

#define PACKETS_MAX 32

/* From the interface's own network: the addresses that hosts find each other by over IPv6. Beacons come over
 * IPv4 as well, and are judged there. */
static bool take_v6(const struct ifaddrs *entry, uint16_t port, hp_packet_t *packet)
{
    if (entry->ifa_addr == NULL || entry->ifa_addr->sa_family != AF_INET6 ||
        (entry->ifa_flags & IFF_LOOPBACK) != 0 || (entry->ifa_flags & IFF_RUNNING) == 0)
        return false;
    const struct in6_addr *address = &((const struct sockaddr_in6 *)(const void *)entry->ifa_addr)->sin6_addr;
    if (!IN6_IS_ADDR_LINKLOCAL(address))
        return false;
    *packet = (hp_packet_t){.v6 = true, .port = port};
    snprintf(packet->interface, sizeof packet->interface, "%s", entry->ifa_name);
    memcpy(packet->to6, address, 16);
    memcpy(packet->first6, address, 8);
    memcpy(packet->last6, address, 8);
    memset(packet->last6 + 8, 0xff, 8);
    return true;
}

static size_t read_packets(uint16_t port, hp_packet_t *packets)
{
    struct ifaddrs *all = NULL;
    size_t count = 0;
    if (getifaddrs(&all) != 0)
        return 0;
    for (const struct ifaddrs *entry = all; entry != NULL && count + 2 <= PACKETS_MAX;
         entry = entry->ifa_next) {
        hp_interface_t interface;
        hp_packet_t packet;
        if (hp_interface_kind(entry->ifa_name) == HP_INTERFACE_CONTAINER)
            continue;
        if (take_v6(entry, port, &packet))
            packets[count++] = packet;
        if (!take(entry, &interface))
            continue;
        packet = (hp_packet_t){.port = port,
                               .first = interface.address & interface.mask,
                               .last = interface.address | ~interface.mask,
                               .to = interface.address};
        memcpy(packet.interface, interface.name, sizeof packet.interface);
        packets[count++] = packet;
        packet.udp = true;
        packet.port = HP_BEACON_PORT;
        packets[count++] = packet;
    }
    freeifaddrs(all);
    return count;
}

static void describe(hp_finding_t *finding, const hp_packet_t *packet, const hp_filter_verdict_t *verdict)
{
    hp_finding_text(finding, "tool", hp_filter_tool_name(verdict->tool));
    hp_finding_number(finding, "port", packet->port);
    hp_finding_text(finding, "protocol", packet->udp ? "UDP" : "TCP");
    hp_finding_text(finding, "interface", packet->interface);
    hp_finding_text(finding, "where", verdict->where);
    hp_finding_text(finding, "look", verdict->look);
}

static void add_closed(hp_findings_t *findings, const hp_packet_t *packet, const hp_filter_verdict_t *verdict)
{
    const char *tool = hp_filter_tool_name(verdict->tool), *protocol = packet->udp ? "UDP" : "TCP";
    hp_finding_t *finding;
    if (verdict->state == HP_FILTER_SOME) {
        finding = hp_findings_add(
            findings, HP_FINDING_NOTE, packet->udp ? "filter-some-udp" : "filter-some",
            "The packet filter of this machine (%s, %s) lets only some packets in to %s port %u "
            "on %s.",
            tool, verdict->where, protocol, packet->port, packet->interface);
        hp_finding_todo(finding, "Look at its rules with \"%s\". This command lets all of the network in:",
                        verdict->look);
    } else {
        finding = hp_findings_add(
            findings, packet->udp ? HP_FINDING_NOTE : HP_FINDING_PROBLEM,
            packet->udp ? "filter-closed-udp" : "filter-closed",
            "The packet filter of this machine (%s, %s) keeps other hosts out: %s port %u is closed on %s.",
            tool, verdict->where, protocol, packet->port, packet->interface);
        hp_finding_todo(finding, "%sThis command opens the port%s:",
                        packet->udp ? "Beacons of other hosts are not heard here; scans find them later. "
                                    : "",
                        verdict->tool == HP_TOOL_NFT || verdict->tool == HP_TOOL_IPTABLES
                            ? " (until the next start of the machine, unless the rules are saved)"
                            : "");
    }
    describe(finding, packet, verdict);
    hp_finding_command(finding, verdict->open);
}

/* Over IPv6 only; other hosts may still connect over IPv4. */
static void add_closed6(hp_findings_t *findings, const hp_packet_t *packet,
                        const hp_filter_verdict_t *verdict)
{
    const char *tool = hp_filter_tool_name(verdict->tool);
    hp_finding_t *finding;
    if (verdict->state == HP_FILTER_SOME) {
        finding = hp_findings_add(
            findings, HP_FINDING_NOTE, "filter-some-ipv6",
            "The packet filter of this machine (%s, %s) lets only some packets of IPv6 in to TCP port %u on "
            "%s.",
            tool, verdict->where, packet->port, packet->interface);
        hp_finding_todo(finding, "Look at its rules with \"%s\". This command lets all of the network in:",
                        verdict->look);
    } else {
        finding = hp_findings_add(
            findings, HP_FINDING_NOTE, "filter-closed-ipv6",
            "The packet filter of this machine (%s, %s) keeps other hosts out over IPv6: TCP port %u is "
            "closed on %s.",
            tool, verdict->where, packet->port, packet->interface);
        hp_finding_todo(finding,
                        "Hosts that have no IPv4 there cannot connect. This command opens the port:");
    }
    describe(finding, packet, verdict);
    hp_finding_text(finding, "family", "IPv6");
    hp_finding_command(finding, verdict->open);
}

/* IPv6 comes after IPv4: what the command for IPv4 opens as well is not told twice. */
static void look_at_v6(hp_findings_t *findings, const hp_filter_texts_t *texts, const hp_packet_t *packets,
                       size_t count, char open[HP_DOCTOR_COMMAND_SIZE])
{
    for (size_t i = 0; i < count; i++) {
        hp_filter_verdict_t verdict;
        if (!packets[i].v6)
            continue;
        hp_filter_judge(texts, &packets[i], &verdict);
        if (verdict.state != HP_FILTER_SOME && verdict.state != HP_FILTER_CLOSED)
            continue;
        if (open[0] == '\0')
            snprintf(open, HP_DOCTOR_COMMAND_SIZE, "%s", verdict.open);
        if (!hp_findings_have_command(findings, verdict.open))
            add_closed6(findings, &packets[i], &verdict);
    }
}

static void add_unknown(hp_findings_t *findings, const hp_packet_t *packet,
                        const hp_filter_verdict_t *verdict)
{
    const char *tool = verdict->tool == HP_TOOL_NONE ? "" : hp_filter_tool_name(verdict->tool);
    hp_finding_t *finding;
    if (verdict->tool == HP_TOOL_NONE) {
        finding = hp_findings_add(
            findings, HP_FINDING_NOTE, "filter-no-tool",
            "Whether this machine has a packet filter cannot be told: none of the programs that "
            "show it (nft, iptables, ufw, firewall-cmd) is here.");
    } else {
        finding = hp_findings_add(
            findings, HP_FINDING_NOTE, "filter-unreadable",
            "The packet filter of this machine (%s) may be read by root only, so whether port %u "
            "is open cannot be told from here.",
            tool, packet->port);
        hp_finding_todo(
            finding,
            "Look at it with \"%s\", or run \"sudo hostpair doctor\". If the port is closed, this "
            "command opens it:",
            verdict->look);
        hp_finding_command(finding, verdict->open);
    }
    describe(finding, packet, verdict);
}

void hp_doctor_look_at_filter(uint16_t port, hp_findings_t *findings, char open[HP_DOCTOR_COMMAND_SIZE])
{
    hp_packet_t packets[PACKETS_MAX];
    hp_filter_texts_t texts;
    hp_filter_verdict_t verdict = {0};
    size_t count = read_packets(port, packets), told = findings->count;
    open[0] = '\0';
    if (count == 0)
        return;
    hp_filter_read(&texts);
    hp_filter_judge(&texts, &packets[0], &verdict);
    bool unknown = false;
    for (size_t i = 0; i < count && !unknown; i++) {
        if (packets[i].v6)
            continue;
        hp_filter_judge(&texts, &packets[i], &verdict);
        if (verdict.state == HP_FILTER_UNKNOWN) {
            snprintf(open, HP_DOCTOR_COMMAND_SIZE, "%s", verdict.open);
            add_unknown(findings, &packets[i], &verdict);
            unknown = true; /* the same for all */
            continue;
        }
        if (verdict.state == HP_FILTER_OPEN)
            continue;
        if (!packets[i].udp && open[0] == '\0')
            snprintf(open, HP_DOCTOR_COMMAND_SIZE, "%s", verdict.open);
        add_closed(findings, &packets[i], &verdict);
    }
    if (!unknown)
        look_at_v6(findings, &texts, packets, count, open);
    if (findings->count == told) {
        hp_finding_t *finding =
            verdict.tool == HP_TOOL_NONE
                ? hp_findings_add(findings, HP_FINDING_OK, "filter-none",
                                  "This machine has no packet filter that keeps anybody out.")
                : hp_findings_add(findings, HP_FINDING_OK, "filter-open",
                                  "The packet filter of this machine (%s) lets other hosts in at port %u.",
                                  hp_filter_tool_name(verdict.tool), port);
        describe(finding, &packets[0], &verdict);
    }
    hp_filter_texts_dispose(&texts);
}
