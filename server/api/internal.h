/* What the files of this folder share: the API's state, the handlers of the route table, and how an answer
 * that comes later holds on to its request. */
#ifndef HP_API_INTERNAL_H
#define HP_API_INTERNAL_H

#include "api/api.h"
#include "api/guard.h"
#include "api/event_feed.h"
#include "api/json.h"
#include "api/route.h"
#include "base/pending.h"
#include "share/digest.h"

typedef struct hp_events hp_events_t;             /* events.c */
typedef struct hp_message_feed hp_message_feed_t; /* messages.c: events of messages */

struct hp_api {
    hp_api_deps_t deps;
    hp_http_listener_t *listener;
    hp_guard_t guard;
    int owner_asker; /* os/socket_owner.h; a negative errno: the kernel has none to give */
    hp_events_t *events;
    hp_digests_t *digests;
    hp_message_feed_t *message_feed;
    int64_t started_at; /* wall ms */
    uint64_t started_ms;
    unsigned references; /* one for the owner, one for every answer under way */
    bool closing;
    hp_pending_t pending; /* parts that still have to close */
    void (*on_closed)(void *arg);
    void *on_closed_arg;
};

/* ---- answers that come later ---- */

/* The first member of the struct that goes with a job, a pool work or a module's callback: keeps the API and
 * the request until it is destroyed. */
typedef struct hp_api_op {
    hp_api_t *api;
    hp_http_request_t *request;
} hp_api_op_t;

/* Zeroed memory of size bytes that starts with an hp_api_op_t. request may be NULL. */
void *hp_api_op_create(size_t size, hp_api_t *api, hp_http_request_t *request);
void hp_api_op_destroy(void *op); /* frees it too */
/* The end of an operation without a result: answers 204, or the error, and destroys the op. Where a module's
 * callback has this type it is the callback. */
void hp_api_op_reply_empty(void *op, int status, const hp_err_t *err);

/* What becomes of a status that comes back: HP_E_BUSY in place of 0 once the parts may not be asked any more.
 */
int hp_api_op_status(const void *op, int status);

/* The parts of the API may not be asked any more. */
bool hp_api_is_closing(const hp_api_t *api);

/* ---- replies ---- */

/* The policy that goes with a file's bytes. They are a stranger's: shown in a browser they may run nothing
 * and reach nothing. */
#define HP_CONTENT_POLICY                                                                                    \
    "sandbox; default-src 'none'; img-src 'self' data:; media-src 'self'; style-src 'unsafe-inline'"

/* The media type by which a file's bytes are served here. A script or a style sheet would act on the page
 * that includes it, whatever the policy above: it is plain text. */
const char *hp_api_content_type(const char *name);

/* A 200 or other status with JSON text, malloced, which is taken. */
void hp_api_reply_text(hp_http_request_t *request, int status, char *json);

/* The number of a download, a message or a connection in a path. One that nothing can have is answered here,
 * and gives false. */
bool hp_api_read_number(hp_http_request_t *request, const char *arg, int64_t *id);

/* ---- parts ---- */

hp_events_t *hp_events_create(hp_api_t *api);
void hp_events_destroy(hp_events_t *events, void (*closed)(void *arg), void *arg);
void hp_events_touch(hp_events_t *events, hp_topic_t topic, const char *key);
void hp_events_removed(hp_events_t *events, hp_topic_t topic, const char *key, json_t *id);
/* Tells this at once, as it is given. Takes the reference. */
void hp_events_publish(hp_events_t *events, hp_topic_t topic, const char *key, json_t *json);
/* Whether anybody listens, or did not long ago: what is not seen need not be looked for. */
bool hp_events_awake(const hp_events_t *events);
size_t hp_events_listeners(const hp_events_t *events);

/* Tells what changed among the connections since the last look. It is done once a second as well. */
void hp_events_look_at_connections(hp_events_t *events);
/* Connections that are listed and told of; there may be more. */
#define HP_API_CONNECTIONS_MAX 1000

/* Tells of new and changed messages. */
hp_message_feed_t *hp_message_feed_create(hp_api_t *api);
void hp_message_feed_destroy(hp_message_feed_t *message_feed, void (*closed)(void *arg), void *arg);

/* Answers with the digest of the open file, or 202 while it is computed. Takes fd. */
void hp_api_reply_digest(hp_api_t *api, hp_http_request_t *request, int fd, const struct stat *st,
                         int algorithm);
int hp_api_read_algorithm(hp_http_request_t *request, int *algorithm, hp_err_t *err);

/* ---- things as JSON that need more than one module ---- */

json_t *hp_api_status_json(hp_api_t *api);
/* Bytes of file contents that come in a second: of downloads and of the inbox. */
uint64_t hp_api_received_bps(const hp_api_t *api);
json_t *hp_api_scan_json(hp_api_t *api);
json_t *hp_api_share_json(hp_api_t *api);
json_t *hp_api_shared_folders_json(hp_api_t *api);
json_t *hp_api_settings_json(hp_api_t *api);
json_t *hp_api_host_json(hp_api_t *api, const char *id);      /* a device's as well; NULL: there is none */
json_t *hp_api_pairing_json(hp_api_t *api, const char *host); /* NULL: there is none */
json_t *hp_api_incoming_json(hp_api_t *api, int64_t id);      /* NULL: there is none */
json_t *hp_api_push_json(hp_api_t *api, int64_t id);          /* NULL: there is none */
json_t *hp_api_doctor_json(hp_api_t *api, int64_t id);        /* NULL: there is no such look */
json_t *hp_api_group_json(hp_api_t *api, int64_t id);         /* NULL: there is none */
void hp_api_settings_changed(void *api);                      /* tells every open page */
/* The id of the host that a connection comes from: the one that it has proven, else the one at its address.
 * NULL: no known one, or several share the address. */
const char *hp_api_host_of(hp_api_t *api, const hp_http_connection_t *connection);

/* ---- what is not in the table: the page's own files ---- */

void hp_api_serve_asset(hp_api_t *api, hp_http_request_t *request);

/* Calls the handler for the download whose number arg is, after it was read from the store where it is not in
 * memory; 404 where there is none. */
void hp_api_with_download(hp_api_t *api, hp_http_request_t *request, const char *arg,
                          void (*handler)(hp_api_t *api, hp_http_request_t *request, const char *arg));

/* ---- handlers, one file a resource ---- */

#define HP_HANDLER(name) void hp_api_##name(hp_api_t *api, hp_http_request_t *request, const char *arg)
HP_HANDLER(get_status);
HP_HANDLER(post_session);
HP_HANDLER(get_hosts);
HP_HANDLER(post_hosts);
HP_HANDLER(get_host);
HP_HANDLER(patch_host);
HP_HANDLER(delete_host);
HP_HANDLER(get_pairings);
HP_HANDLER(post_host_pair);
HP_HANDLER(post_host_pair_confirm);
HP_HANDLER(delete_host_pair);
HP_HANDLER(post_host_push);
HP_HANDLER(get_pushes);
HP_HANDLER(delete_push);
HP_HANDLER(post_host_aside);
HP_HANDLER(put_aside);
HP_HANDLER(delete_aside);
HP_HANDLER(get_doctor);
HP_HANDLER(post_doctor);
HP_HANDLER(get_look);
HP_HANDLER(get_inbox);
HP_HANDLER(get_incoming);
HP_HANDLER(get_incoming_content);
HP_HANDLER(post_incoming_accept);
HP_HANDLER(post_incoming_decline);
HP_HANDLER(post_incoming_cancel);
HP_HANDLER(post_scan);
HP_HANDLER(get_host_files);
HP_HANDLER(post_host_files_refresh);
HP_HANDLER(get_search);
HP_HANDLER(get_groups);
HP_HANDLER(post_groups);
HP_HANDLER(get_group);
HP_HANDLER(patch_group);
HP_HANDLER(delete_group);
HP_HANDLER(get_group_invite);
HP_HANDLER(post_group_renew);
HP_HANDLER(get_downloads);
HP_HANDLER(get_kept);
HP_HANDLER(delete_kept);
HP_HANDLER(post_downloads);
HP_HANDLER(post_downloads_pause);
HP_HANDLER(post_downloads_resume);
HP_HANDLER(get_download);
HP_HANDLER(patch_download);
HP_HANDLER(delete_downloads);
HP_HANDLER(delete_download);
HP_HANDLER(post_download_retry);
HP_HANDLER(post_download_recheck);
HP_HANDLER(get_download_chunks);
HP_HANDLER(get_download_sources);
HP_HANDLER(get_download_content);
HP_HANDLER(get_download_digest);
HP_HANDLER(get_share_files);
HP_HANDLER(put_share_file);
HP_HANDLER(delete_share_file);
HP_HANDLER(get_share_folders);
HP_HANDLER(post_share_folders);
HP_HANDLER(delete_share_folder);
HP_HANDLER(get_share_content);
HP_HANDLER(get_share_digest);
HP_HANDLER(get_messages);
HP_HANDLER(post_messages);
HP_HANDLER(post_messages_read);
HP_HANDLER(get_message);
HP_HANDLER(delete_message);
HP_HANDLER(post_message_retry);
HP_HANDLER(get_connections);
HP_HANDLER(delete_connection);
HP_HANDLER(get_settings);
HP_HANDLER(patch_settings);
HP_HANDLER(get_traffic);
HP_HANDLER(get_events);
HP_HANDLER(get_log);
HP_HANDLER(get_openapi);
HP_HANDLER(get_metrics);

/* stream.c: the content of a download that is still running. */
void hp_api_stream_content(hp_api_t *api, hp_http_request_t *request, int64_t id);

#endif
