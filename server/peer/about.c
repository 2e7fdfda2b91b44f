/* GET /hostpair: who this is. */
#include "internal.h"

#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/path.h"

uint16_t hp_peer_sender_port(hp_http_request_t *request)
{
    const char *text = hp_http_header(request, HP_PROBE_PORT_HEADER);
    if (text == NULL || text[0] < '0' || text[0] > '9')
        return 0;
    char *end;
    unsigned long port = strtoul(text, &end, 10);
    return *end == '\0' && port <= UINT16_MAX ? (uint16_t)port : 0;
}

/* A host that looks for others says where it listens: then both know of each other after one scan. It is only
 * a hint: the address is probed. */
static void note_asker(hp_peer_t *peer, hp_http_request_t *request)
{
    const hp_who_t *who = hp_http_who(request);
    hp_endpoint_t at;
    if (peer->hosts != NULL && who->way == HP_WAY_LAN &&
        hp_endpoint_make(&at, HP_SCHEME_PLAIN, who->address, hp_peer_sender_port(request)) == 0)
        hp_hosts_hint(peer->hosts, &at, HP_FOUND_SCAN);
}

void hp_peer_about(hp_peer_t *peer, hp_http_request_t *request)
{
    const hp_self_t *self = peer->self;
    note_asker(peer, request);
    char *name = hp_path_encode(self->name, strlen(self->name), false);
    hp_http_set_header(request, "Hostpair-Id", self->id);
    hp_http_set_header(request, "Hostpair-Name", name);
    hp_http_set_header(request, "Vary", "Accept");
    hp_http_set_header(request, "Cache-Control", "no-store");
    free(name);
    if (!hp_http_accepts(request, "application/json")) {
        hp_http_reply_empty(request, 200);
        return;
    }
    hp_share_stats_t stats;
    char time[HP_RFC3339_SIZE], list[HP_PEER_TAG_SIZE];
    hp_share_get_stats(peer->share, &stats);
    hp_peer_list_tag(peer, list);
    hp_http_reply_json(request, 200,
                       json_pack("{s:s, s:s, s:s, s:s, s:i, s:s, s:I, s:I, s:I, s:s}", "id", self->id, "name",
                                 self->name, "instance", self->instance, "version", HP_VERSION, "protocol",
                                 HP_PROTOCOL, "time", hp_clock_rfc3339(hp_clock_wall_ms(), time), "files",
                                 (json_int_t)stats.files, "bytes", (json_int_t)stats.bytes, "hashed_bytes",
                                 (json_int_t)stats.hashed_bytes, "list", list));
}
