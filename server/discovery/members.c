/* Members of groups among the hosts. A member is known by its key before it has answered anywhere: the group
 * says so. It has one more place, the MEMBER endpoint, at which the HTTP client reaches it through a tunnel
 * or a relay; an address of the own network is preferred to it. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "discovery/internal.h"
#include "discovery/probe.h"

#define TOLD_PROBES 6 /* of a host that is here by a hub's word and does not answer: at the shorter pause */

static size_t member_place(const hp_host_entry_t *host)
{
    size_t i = 0;
    while (i < host->pub.address_count && host->addresses[i].endpoint.scheme != HP_SCHEME_MEMBER)
        i++;
    return i;
}

static bool is_reached_as_member(const hp_host_entry_t *host)
{
    return host->pub.address_count > 0 && host->addresses[0].endpoint.scheme == HP_SCHEME_MEMBER;
}

void hp_hosts_member(hp_hosts_t *hosts, const uint8_t fingerprint[HP_FINGERPRINT_SIZE], const char *name,
                     bool online)
{
    hp_endpoint_t at;
    char clean[HP_HOST_NAME_SIZE];
    hp_endpoint_member(&at, fingerprint);
    hp_host_entry_t *host = hp_hosts_entry(hosts, at.id);
    if (hosts->closing || strcmp(at.id, hosts->self->id) == 0)
        return;
    hp_probe_clean_name(name, strlen(name), clean);
    bool is_new = host == NULL;
    if (is_new) {
        host = hp_hosts_make_entry(hosts, at.id, clean);
        host->pub.found_by = HP_FOUND_GROUP;
        host->pub.protocol = HP_PROTOCOL;
        host->first_seen = hp_clock_wall_ms();
    }
    hp_hosts_pin(host, fingerprint);
    hp_hosts_add_address(host, &at);
    if (!host->pub.online && strcmp(host->pub.name, clean) != 0)
        hp_hosts_rename(hosts, host, clean);
    hp_hosts_save(hosts, host);
    hp_hosts_emit(hosts, is_new ? HP_HOST_ADDED : HP_HOST_CHANGED, host);
    host->told_here = online ? TOLD_PROBES : 0;
    /* It came: it is asked. It went: it is asked whether that is so, as the hub may be wrong. */
    if (online != host->pub.online && (online || is_reached_as_member(host)))
        hp_watch_round(hosts, host, !online);
}

void hp_hosts_member_gone(hp_hosts_t *hosts, const char *id)
{
    hp_host_entry_t *host = hp_hosts_entry(hosts, id);
    size_t place = host != NULL ? member_place(host) : 0;
    if (hosts->closing || host == NULL || place == host->pub.address_count)
        return;
    hp_hosts_drop_address(host, place);
    host->pub.way_reason[0] = '\0';
    if (host->pub.address_count == 0 && host->former_count == 0 && !host->pub.blocked) {
        hp_hosts_remove_entry(hosts, host);
        return;
    }
    hp_hosts_save(hosts, host);
    hp_hosts_emit(hosts, HP_HOST_CHANGED, host);
    if (host->pub.online && place == 0)
        hp_watch_round(hosts, host, true);
}

void hp_hosts_set_way(hp_hosts_t *hosts, const char *id, hp_way_t way, const char *reason, bool proven)
{
    hp_host_entry_t *host = hp_hosts_entry(hosts, id);
    if (host == NULL || hosts->closing)
        return;
    host->member_way = way;
    if (proven)
        host->way_at = hp_clock_ms();
    if (proven && !host->pub.online) {
        hp_watch_round(hosts, host, false);
        hp_hosts_schedule(hosts);
    }
    if (host->pub.online && !is_reached_as_member(host))
        return;
    snprintf(host->pub.way_reason, sizeof host->pub.way_reason, "%s", reason);
    host->pub.way = way;
    hp_hosts_emit(hosts, HP_HOST_CHANGED, host);
}

void hp_member_note_way(hp_host_entry_t *host, size_t index)
{
    bool member = host->addresses[index].endpoint.scheme == HP_SCHEME_MEMBER;
    host->pub.way = member ? host->member_way : HP_WAY_LAN;
    if (!member)
        host->pub.way_reason[0] = '\0';
}
