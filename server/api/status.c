/* GET /api/v1/status, and the parts of it that are events of their own. */
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>

#include "api/internal.h"
#include "base/clock.h"
#include "base/mem.h"
#include "inbox/inbox.h"
#include "share/folders.h"

/* Addresses that others cannot use: loopback, and link-local ones, which mean another thing on every host. */
static bool is_useful(const uv_interface_address_t *interface)
{
    if (interface->is_internal)
        return false;
    if (interface->address.address4.sin_family == AF_INET)
        return (ntohl(interface->address.address4.sin_addr.s_addr) >> 16) != 0xa9fe;
    return !IN6_IS_ADDR_LINKLOCAL(&interface->address.address6.sin6_addr);
}

static void add_address(json_t *list, const char *address, uint16_t port)
{
    char text[HP_ADDRESS_SIZE];
    json_array_append_new(list, hp_json_text(hp_address_format(address, port, text)));
}

/* Where other hosts reach this one, the most likely one first. */
static json_t *addresses_json(hp_api_t *api)
{
    const hp_options_t *options = api->deps.options;
    uint16_t port = hp_http_port(api->deps.peer);
    json_t *list = json_array();
    if (options->advertise != NULL) {
        char address[64];
        if (hp_address_parse(options->advertise, port, address, &port, NULL) == 0)
            add_address(list, address, port);
        return list;
    }
    const char *listen = options->peer_listen.address;
    if (strcmp(listen, "::") != 0 && strcmp(listen, "0.0.0.0") != 0) {
        add_address(list, listen, port);
        return list;
    }
    uv_interface_address_t *interfaces;
    int count;
    if (uv_interface_addresses(&interfaces, &count) != 0)
        return list;
    for (int v6 = 0; v6 < 2; v6++) {
        for (int i = 0; i < count; i++) {
            char address[64];
            bool is_v6 = interfaces[i].address.address4.sin_family == AF_INET6;
            if (is_v6 != (v6 == 1) || !is_useful(&interfaces[i]) || (is_v6 && strcmp(listen, "0.0.0.0") == 0))
                continue;
            int rc = is_v6 ? uv_ip6_name(&interfaces[i].address.address6, address, sizeof address)
                           : uv_ip4_name(&interfaces[i].address.address4, address, sizeof address);
            if (rc == 0)
                add_address(list, address, port);
        }
    }
    uv_free_interface_addresses(interfaces, count);
    return list;
}

/* What is not offered, a row for each reason. */
static json_t *left_out_json(const hp_left_out_t *left)
{
    json_t *list = json_array();
    for (size_t reason = 0; reason < HP_LEFT_COUNT; reason++) {
        char names[HP_LEFT_FIRST][HP_LEFT_NAME_SIZE];
        if (left->counts[reason] == 0)
            continue;
        size_t count = hp_left_out_first(left, (hp_left_reason_t)reason, names);
        json_t *row = json_object(), *first = json_array();
        for (size_t i = 0; i < count; i++)
            json_array_append_new(first, hp_json_text(names[i]));
        json_object_set_new(row, "reason", json_string(hp_left_out_slug((hp_left_reason_t)reason)));
        json_object_set_new(row, "count", hp_json_count(left->counts[reason]));
        json_object_set_new(row, "first", first);
        json_array_append_new(list, row);
    }
    return list;
}

json_t *hp_api_share_json(hp_api_t *api)
{
    hp_share_stats_t stats;
    hp_share_get_stats(api->deps.share, &stats);
    json_t *json = json_object();
    json_object_set_new(json, "folder", hp_json_text(hp_share_folder(api->deps.share)));
    json_object_set_new(json, "files", hp_json_count(stats.files));
    json_object_set_new(json, "bytes", hp_json_count(stats.bytes));
    json_object_set_new(json, "hashed_bytes", hp_json_count(stats.hashed_bytes));
    json_object_set_new(json, "scanning", json_boolean(stats.scanning));
    json_object_set_new(json, "missing", json_boolean(stats.missing));
    json_object_set_new(json, "folders", hp_api_shared_folders_json(api));
    json_object_set_new(json, "left_out", left_out_json(hp_share_left_out(api->deps.share)));
    return json;
}

static void add_notice(json_t *list, const char *code, const char *text)
{
    json_t *notice = json_object();
    json_object_set_new(notice, "code", json_string(code));
    json_object_set_new(notice, "text", hp_json_text(text));
    json_array_append_new(list, notice);
}

static void add_missing(void *list, const hp_share_folder_t *folder)
{
    if (!folder->missing)
        return;
    char *text = hp_sprintf("The shared folder %s (%s) is not there (is its disk mounted?). Nothing in it is "
                            "offered until it is back.",
                            folder->name, folder->path);
    add_notice(list, "share_folder_missing", text);
    free(text);
}

/* What a person should know about this host's set-up. */
static json_t *notices_json(hp_api_t *api)
{
    json_t *list = json_array();
    hp_share_stats_t stats;
    hp_share_get_stats(api->deps.share, &stats);
    const char *unreachable = hp_discovery_unreachable(api->deps.discovery);
    if (unreachable[0] != '\0')
        add_notice(list, "unreachable_address", unreachable);
    if (hp_doctor_blocked(api->deps.doctor)[0] != '\0') {
        char *text =
            hp_sprintf("%s answers this host, but cannot connect to it: others do not see what is shared "
                       "here. \"hostpair doctor\" tells what to do.",
                       hp_doctor_blocked(api->deps.doctor));
        add_notice(list, "not_reached", text);
        free(text);
    }
    const hp_localsend_t *localsend = api->deps.localsend;
    if (localsend != NULL && hp_localsend_trouble(localsend)[0] != '\0')
        add_notice(list, "localsend_port", hp_localsend_trouble(localsend));
    if (stats.missing)
        add_notice(list, "share_missing",
                   "The shared folder is not there (is its disk mounted?). Nothing in it is offered until it "
                   "is back.");
    hp_share_list_folders(api->deps.share, add_missing, list);
    if (hp_transfer_disk_is_away(api->deps.transfer))
        add_notice(
            list, "downloads_disk_missing",
            "The disk of the downloads folder is not there. Downloads wait for it. If it will not come back, "
            "choose another folder in the settings, or the same one anew with "
            "\"hostpair settings downloads_folder\".");
    return list;
}

uint64_t hp_api_received_bps(const hp_api_t *api)
{
    return hp_transfer_speed_bps(api->deps.transfer) + hp_inbox_speed_bps(api->deps.inbox);
}

json_t *hp_api_status_json(hp_api_t *api)
{
    json_t *json = json_object(), *speed = json_object();
    json_object_set_new(speed, "down_bps", hp_json_count(hp_api_received_bps(api)));
    json_object_set_new(speed, "up_bps", hp_json_count(hp_traffic_sent_bps(api->deps.traffic)));
    json_object_set_new(json, "id", hp_json_text(api->deps.self->id));
    json_object_set_new(json, "name", hp_json_text(api->deps.self->name));
    json_object_set_new(json, "version", json_string(HP_VERSION));
    json_object_set_new(json, "time", hp_json_time(hp_clock_wall_ms()));
    json_object_set_new(json, "uptime_s", hp_json_count((hp_clock_ms() - api->started_ms) / 1000));
    json_object_set_new(json, "peer_port", json_integer(hp_http_port(api->deps.peer)));
    json_object_set_new(json, "dashboard_port", json_integer(hp_http_port(api->listener)));
    json_object_set_new(json, "addresses", addresses_json(api));
    json_object_set_new(json, "share", hp_api_share_json(api));
    json_object_set_new(json, "downloads_folder",
                        hp_json_text(hp_settings_text(api->deps.settings, "downloads_folder")));
    json_object_set_new(json, "speed", speed);
    json_object_set_new(json, "free_bytes", hp_json_count(hp_transfer_free_bytes(api->deps.transfer)));
    json_object_set_new(json, "scan", hp_api_scan_json(api));
    json_object_set_new(json, "notices", notices_json(api));
    json_object_set_new(json, "messages",
                        json_pack("{s:o}", "unread", hp_json_count(hp_messages_unread(api->deps.messages))));
    return json;
}

void hp_api_get_status(hp_api_t *api, hp_http_request_t *request, const char *arg)
{
    (void)arg;
    hp_http_reply_json(request, 200, hp_api_status_json(api));
}
