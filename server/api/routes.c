/* The calls of the API: what is routed, what Allow says, and what a test holds against openapi.yaml. Literal
 * segments stand before {id}. */
#include "api/internal.h"
#include "base/mem.h"

const hp_route_t hp_api_routes[] = {
    {"GET", "/api/v1/status", hp_api_get_status},
    {"POST", "/api/v1/session", hp_api_post_session},

    {"GET", "/api/v1/hosts", hp_api_get_hosts},
    {"POST", "/api/v1/hosts", hp_api_post_hosts},
    {"GET", "/api/v1/hosts/{id}", hp_api_get_host},
    {"PATCH", "/api/v1/hosts/{id}", hp_api_patch_host},
    {"DELETE", "/api/v1/hosts/{id}", hp_api_delete_host},
    {"GET", "/api/v1/hosts/{id}/files", hp_api_get_host_files},
    {"POST", "/api/v1/hosts/{id}/files/refresh", hp_api_post_host_files_refresh},
    {"POST", "/api/v1/hosts/{id}/pair", hp_api_post_host_pair},
    {"DELETE", "/api/v1/hosts/{id}/pair", hp_api_delete_host_pair},
    {"POST", "/api/v1/hosts/{id}/pair/confirm", hp_api_post_host_pair_confirm},
    {"GET", "/api/v1/pairings", hp_api_get_pairings},
    {"POST", "/api/v1/scan", hp_api_post_scan},
    {"GET", "/api/v1/search", hp_api_get_search},

    {"GET", "/api/v1/groups", hp_api_get_groups},
    {"POST", "/api/v1/groups", hp_api_post_groups},
    {"GET", "/api/v1/groups/{id}", hp_api_get_group},
    {"PATCH", "/api/v1/groups/{id}", hp_api_patch_group},
    {"DELETE", "/api/v1/groups/{id}", hp_api_delete_group},
    {"GET", "/api/v1/groups/{id}/invite", hp_api_get_group_invite},
    {"POST", "/api/v1/groups/{id}/renew", hp_api_post_group_renew},

    {"GET", "/api/v1/downloads", hp_api_get_downloads},
    {"POST", "/api/v1/downloads", hp_api_post_downloads},
    {"DELETE", "/api/v1/downloads", hp_api_delete_downloads},
    {"POST", "/api/v1/downloads/pause", hp_api_post_downloads_pause},
    {"POST", "/api/v1/downloads/resume", hp_api_post_downloads_resume},
    {"GET", "/api/v1/downloads/{id}", hp_api_get_download},
    {"PATCH", "/api/v1/downloads/{id}", hp_api_patch_download},
    {"DELETE", "/api/v1/downloads/{id}", hp_api_delete_download},
    {"POST", "/api/v1/downloads/{id}/retry", hp_api_post_download_retry},
    {"POST", "/api/v1/downloads/{id}/recheck", hp_api_post_download_recheck},
    {"GET", "/api/v1/downloads/{id}/chunks", hp_api_get_download_chunks},
    {"GET", "/api/v1/downloads/{id}/sources", hp_api_get_download_sources},
    {"GET", "/api/v1/downloads/{id}/content", hp_api_get_download_content},
    {"GET", "/api/v1/downloads/{id}/digest", hp_api_get_download_digest},

    {"GET", "/api/v1/share/files", hp_api_get_share_files},
    {"PUT", "/api/v1/share/files/{path...}", hp_api_put_share_file},
    {"DELETE", "/api/v1/share/files/{path...}", hp_api_delete_share_file},
    {"GET", "/api/v1/share/content/{path...}", hp_api_get_share_content},
    {"GET", "/api/v1/share/digest", hp_api_get_share_digest},

    {"GET", "/api/v1/messages", hp_api_get_messages},
    {"POST", "/api/v1/messages", hp_api_post_messages},
    {"POST", "/api/v1/messages/read", hp_api_post_messages_read},
    {"GET", "/api/v1/messages/{id}", hp_api_get_message},
    {"DELETE", "/api/v1/messages/{id}", hp_api_delete_message},
    {"POST", "/api/v1/messages/{id}/retry", hp_api_post_message_retry},

    {"GET", "/api/v1/inbox", hp_api_get_inbox},
    {"GET", "/api/v1/inbox/{id}", hp_api_get_incoming},
    {"GET", "/api/v1/inbox/{id}/content", hp_api_get_incoming_content},
    {"POST", "/api/v1/inbox/{id}/accept", hp_api_post_incoming_accept},
    {"POST", "/api/v1/inbox/{id}/decline", hp_api_post_incoming_decline},
    {"POST", "/api/v1/inbox/{id}/cancel", hp_api_post_incoming_cancel},

    {"GET", "/api/v1/connections", hp_api_get_connections},
    {"DELETE", "/api/v1/connections/{id}", hp_api_delete_connection},
    {"GET", "/api/v1/settings", hp_api_get_settings},
    {"PATCH", "/api/v1/settings", hp_api_patch_settings},
    {"GET", "/api/v1/traffic", hp_api_get_traffic},
    {"GET", "/api/v1/events", hp_api_get_events},
    {"GET", "/api/v1/log", hp_api_get_log},
    {"GET", "/api/v1/openapi.yaml", hp_api_get_openapi},
    {"GET", "/metrics", hp_api_get_metrics},
};
const size_t hp_api_routes_count = HP_COUNT(hp_api_routes);
