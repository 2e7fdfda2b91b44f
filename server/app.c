#include "app.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/file.h"
#include "base/mem.h"
#include "base/path.h"
#include "os/home.h"
#include "os/port_owner.h"
#include "cli/running.h"
#include "db/rename.h"
#include "db/self.h"
#include "gifts.h"
#include "secure/secure.h"
#include "settings/hooks.h"
#include "share/folders.h"

/* What the listeners have of the descriptors for connections. Others can crowd the one, and a person has to
 * reach the other all the same. */
#define PEER_PERCENT      70
#define DASHBOARD_PERCENT 25
#define LOCALSEND_PERCENT 5

/* ---- what one part tells another ---- */

static void on_host(void *arg, hp_host_event_t event, const hp_host_t *host)
{
    hp_app_t *app = arg;
    if (event == HP_HOST_UNPAIRED && app->peer != NULL)
        hp_peer_check_access(app->peer);
    if (app->transfer == NULL) /* at the end it goes before the hosts */
        return;
    if (event == HP_HOST_REMOVED) {
        hp_transfer_host_removed(app->transfer, host->id);
        return;
    }
    if (event == HP_HOST_RENAMED)
        hp_transfer_host_renamed(app->transfer, host->former_id, host->id);
    size_t count = HP_MIN(host->address_count, (size_t)16);
    hp_endpoint_t endpoints[16];
    for (size_t i = 0; i < count; i++)
        endpoints[i] = host->addresses[i].endpoint;
    hp_transfer_host(app->transfer, host->id, host->name, host->added_as, endpoints, count,
                     host->protocol > 0, host->online);
    if (event == HP_HOST_LISTED)
        hp_transfer_host_listed(app->transfer, host->id);
}

static void on_waiting(void *arg, const char *host, bool waiting)
{
    hp_hosts_set_waiting(((hp_app_t *)arg)->hosts, host, HP_WAIT_DOWNLOAD, waiting);
}

static void on_seen(void *arg, const char *host, bool alive)
{
    hp_hosts_report(((hp_app_t *)arg)->hosts, host, alive);
}

static void on_relist(void *arg, const char *host)
{
    hp_hosts_refresh(((hp_app_t *)arg)->hosts, host, true, NULL, NULL);
}

/* ---- downloads ---- */

static void on_changed(void *arg, int64_t id)
{
    hp_app_t *app = arg;
    hp_api_download_changed(app->api, id);
    hp_gift_changed(app, id);
}

static void on_removed(void *arg, int64_t id)
{
    hp_app_t *app = arg;
    hp_api_download_removed(app->api, id);
    hp_gift_removed(app, id);
}

static void on_wanted(void *arg, int64_t id)
{
    hp_gift_wanted(arg, id);
}

static uint64_t on_size(void *arg, int64_t id)
{
    return hp_gift_most(arg, id);
}

static void on_group_changed(void *arg, int64_t id)
{
    hp_api_group_changed(((hp_app_t *)arg)->api, id);
}

static void on_group_removed(void *arg, int64_t id)
{
    hp_api_group_removed(((hp_app_t *)arg)->api, id);
}

static void on_name_changed(void *arg)
{
    const hp_app_t *app = arg;
    if (app->across != NULL)
        hp_across_name_changed(app->across);
}

static void on_member_gone(void *arg)
{
    hp_app_t *app = arg;
    if (app->peer != NULL)
        hp_peer_check_access(app->peer);
}

static void on_network_changed(void *arg)
{
    hp_app_t *app = arg;
    hp_across_network_changed(app->across);
    if (app->doctor != NULL) /* at the end it goes before the networks */
        hp_doctor_network_changed(app->doctor);
}

static void on_share_change(void *arg)
{
    hp_app_t *app = arg;
    hp_api_share_changed(app->api);
    if (app->discovery == NULL || app->peer == NULL)
        return;
    hp_share_stats_t stats;
    char tag[HP_PEER_TAG_SIZE];
    hp_share_get_stats(app->share, &stats);
    hp_peer_list_tag(app->peer, tag);
    hp_across_list_changed(app->across);
    hp_discovery_set_offer(app->discovery, stats.files, stats.bytes, tag);
}

static uint64_t count_received(void *arg)
{
    const hp_app_t *app = arg;
    return hp_transfer_bytes(app->transfer) + hp_inbox_bytes(app->inbox);
}

static uint64_t count_sent(void *arg)
{
    const hp_app_t *app = arg;
    return hp_http_bytes_sent(hp_peer_listener(app->peer)) + hp_pushes_bytes_sent(app->pushes);
}

/* ---- the end: each part when the one above it is closed ---- */

static void on_closed(void *arg)
{
    hp_app_t *app = arg;
#define CLOSE(part, destroy)                                                                                 \
    if (app->part != NULL) {                                                                                 \
        void *part = app->part;                                                                              \
        app->part = NULL;                                                                                    \
        app->ending = #part;                                                                                 \
        destroy(part, on_closed, app);                                                                       \
        return;                                                                                              \
    }
    CLOSE(api, hp_api_destroy)
    CLOSE(traffic, hp_traffic_destroy)
    if (app->across != NULL)
        hp_across_stop(app->across);
    CLOSE(peer, hp_peer_destroy)
    CLOSE(localsend, hp_localsend_destroy)
    CLOSE(across, hp_across_destroy)
    CLOSE(pairings, hp_pairings_destroy)
    CLOSE(messages, hp_messages_destroy)
    CLOSE(doctor, hp_doctor_destroy)
    CLOSE(discovery, hp_discovery_destroy)
    CLOSE(pushes, hp_pushes_destroy)
    CLOSE(devices, hp_devices_destroy)
    CLOSE(inbox, hp_inbox_destroy)
    CLOSE(transfer, hp_transfer_destroy)
    CLOSE(hosts, hp_hosts_destroy)
    CLOSE(share, hp_share_destroy)
    CLOSE(fetcher, hp_fetcher_destroy)
    CLOSE(store, hp_store_destroy)
#undef CLOSE
    hp_secure_destroy(app->secure);
    hp_identity_destroy(app->identity);
    if (app->settings != NULL)
        hp_settings_destroy(app->settings);
    app->closed(app->closed_arg);
}

/* ---- the start ---- */

static int work_self(hp_db_t *db, void *arg, hp_err_t *err)
{
    hp_db_self_t *self = arg, wanted = *self;
    int rc = hp_db_self_load(db, &wanted, self, err);
    if (rc != 0 || strcmp(self->id, wanted.id) == 0)
        return rc;
    rc = hp_db_self_rename(db, wanted.id, err);
    return rc == 0 ? hp_db_self_load(db, &wanted, self, err) : rc;
}

/* The id is that of the key; what was stored under another follows. */
static int load_self(hp_app_t *app, hp_err_t *err)
{
    uint8_t random[16];
    hp_db_self_t self = {.created_at = hp_clock_wall_ms()};
    int rc = uv_random(NULL, NULL, random, sizeof random, 0, NULL);
    if (rc != 0)
        return hp_err_set(err, rc, "no random numbers: %s", uv_strerror(rc));
    hp_hex_encode(random, 16, app->self.instance);
    snprintf(self.id, sizeof self.id, "%s", hp_identity_id(app->identity));
    rc = hp_store_run_now(app->store, HP_STORE_WRITE_SYNCED, work_self, &self, err);
    snprintf(app->self.id, sizeof app->self.id, "%s", self.id);
    if (rc == 0 && self.former_id[0] != '\0')
        hp_log(HP_LOG_INFO, "this host is %.8s, and was %.8s before", self.id, self.former_id);
    return rc;
}

/* The store holds the lock of the data folder by now. */
static int load_identity(hp_app_t *app, hp_err_t *err)
{
    int rc = hp_identity_open(&app->identity, app->options->data, err);
    return rc == 0 ? hp_secure_create(&app->secure, app->identity, err) : rc;
}

static int create_fetcher(hp_app_t *app, hp_err_t *err)
{
    int rc = hp_fetcher_create(&app->fetcher, app->loop, err);
    if (rc == 0)
        hp_fetcher_set_secure(app->fetcher, app->secure);
    return rc;
}

static void name_owner(uint16_t port, hp_err_t *err)
{
    char owner[HP_PORT_OWNER_SIZE];
    hp_err_t bare = *err;
    if (hp_port_owner(port, owner))
        hp_err_set(err, bare.code, "%s; %s listens there", bare.detail, owner);
}

/* Listens on a port; one that was not asked for may give way to one of the next. */
static int listen_near(hp_app_t *app, const hp_listen_t *where,
                       int (*listen)(hp_app_t *, const char *, uint16_t, hp_err_t *), hp_err_t *err)
{
    int rc = UV_EADDRINUSE;
    for (unsigned i = 0; i < HP_APP_PORT_TRIES && rc == UV_EADDRINUSE; i++) {
        uint16_t port = (uint16_t)(where->port + i);
        rc = listen(app, where->address, port, err);
        if (rc == UV_EADDRINUSE)
            name_owner(port, err);
        if (where->given || where->port == 0)
            break;
        if (rc == UV_EADDRINUSE)
            hp_log(HP_LOG_WARN, "%s; trying the next port", hp_err_text(err));
    }
    return rc;
}

/* Paired hosts, and members of own groups. */
static bool is_trusted(void *arg, const char *id)
{
    const hp_host_t *host = hp_hosts_find(((hp_app_t *)arg)->hosts, id);
    bool trusted = host != NULL && host->paired;
    for (size_t i = 0; host != NULL && !trusted && i < host->address_count; i++)
        trusted = host->addresses[i].endpoint.scheme == HP_SCHEME_MEMBER;
    return trusted;
}

static bool is_paired(void *arg, const char *id)
{
    const hp_host_t *host = hp_hosts_find(((hp_app_t *)arg)->hosts, id);
    return host != NULL && host->paired;
}

static int create_inbox(hp_app_t *app, hp_err_t *err)
{
    hp_inbox_deps_t deps = {.loop = app->loop, .store = app->store, .is_paired = is_paired, .arg = app};
    hp_inbox_settings_t settings = hp_settings_for_inbox(app->settings);
    return hp_inbox_create(&app->inbox, &deps, &settings, err);
}

static bool is_everywhere(const char *address)
{
    return strcmp(address, "::") == 0 || strcmp(address, "0.0.0.0") == 0;
}

static void create_pushes(hp_app_t *app)
{
    size_t length;
    const uint8_t *certificate = hp_identity_certificate(app->identity, &length);
    app->devices = hp_devices_create(app->loop, app->fetcher, &app->self, certificate, length);
    app->pushes =
        hp_pushes_create(app->loop, app->fetcher, app->hosts, app->devices, app->share, &app->send_limit);
}

static bool on_device_cancelled(void *arg, const char *session, const char *address)
{
    return hp_pushes_cancelled_there(((hp_app_t *)arg)->pushes, session, address);
}

static bool is_open(void *arg)
{
    return strcmp(hp_settings_text(((hp_app_t *)arg)->settings, "access"), "everyone") == 0;
}

static bool looks_for_devices(void *arg)
{
    const hp_app_t *app = arg;
    return app->localsend != NULL && hp_localsend_looks(app->localsend);
}

static void on_device_port(void *arg, const char *address)
{
    const hp_app_t *app = arg;
    if (app->localsend != NULL)
        hp_localsend_try(app->localsend, address);
}

static void create_localsend(hp_app_t *app)
{
    const char *address = app->options->peer_listen.address;
    hp_localsend_deps_t deps = {.loop = app->loop,
                                .hosts = app->hosts,
                                .inbox = app->inbox,
                                .devices = app->devices,
                                .fetcher = app->fetcher,
                                .share = app->share,
                                .secure = app->secure,
                                .limit = &app->send_limit,
                                .address = address,
                                .announces = is_everywhere(address),
                                .descriptor_percent = LOCALSEND_PERCENT,
                                .cancelled = on_device_cancelled,
                                .is_open = is_open,
                                .arg = app};
    app->localsend = hp_localsend_create(&deps);
    hp_discovery_scan_also(app->discovery, &(hp_discovery_also_t){.port = HP_LOCALSEND_PORT,
                                                                  .wanted = looks_for_devices,
                                                                  .opened = on_device_port,
                                                                  .arg = app});
}

static void create_doctor(hp_app_t *app)
{
    hp_doctor_deps_t deps = {.loop = app->loop,
                             .fetcher = app->fetcher,
                             .hosts = app->hosts,
                             .discovery = app->discovery,
                             .self = &app->self,
                             .address = app->options->peer_listen.address};
    app->doctor = hp_doctor_create(&deps);
}

static int listen_peer(hp_app_t *app, const char *address, uint16_t port, hp_err_t *err)
{
    hp_peer_options_t options = {.address = address,
                                 .port = port,
                                 .descriptor_percent = PEER_PERCENT,
                                 .secure = app->secure,
                                 .limit = &app->send_limit,
                                 .hosts = app->hosts,
                                 .messages = app->messages,
                                 .pairings = app->pairings,
                                 .inbox = app->inbox,
                                 .doctor = app->doctor,
                                 .allow_hosts = &app->options->allow_hosts,
                                 .is_trusted = is_trusted,
                                 .is_trusted_arg = app};
    return hp_peer_create(&app->peer, app->loop, &options, app->share, &app->self, err);
}

static int listen_dashboard(hp_app_t *app, const char *address, uint16_t port, hp_err_t *err)
{
    hp_api_deps_t deps = {.loop = app->loop,
                          .store = app->store,
                          .share = app->share,
                          .discovery = app->discovery,
                          .hosts = app->hosts,
                          .transfer = app->transfer,
                          .messages = app->messages,
                          .rendezvous = hp_across_rendezvous(app->across),
                          .pairings = app->pairings,
                          .inbox = app->inbox,
                          .pushes = app->pushes,
                          .devices = app->devices,
                          .localsend = app->localsend,
                          .doctor = app->doctor,
                          .traffic = app->traffic,
                          .peer = hp_peer_listener(app->peer),
                          .options = app->options,
                          .settings = app->settings,
                          .self = &app->self,
                          .descriptor_percent = DASHBOARD_PERCENT};
    return hp_api_create(&app->api, &deps, address, port, err);
}

static int write_port_file(const hp_app_t *app, hp_err_t *err)
{
    const char *path = app->options->port_file;
    if (path == NULL)
        return 0;
    char *text = hp_sprintf("{\"peer\":%u,\"dashboard\":%u}\n", app->self.peer_port, hp_api_port(app->api));
    int rc = hp_replace_file(path, text, strlen(text), 0644);
    free(text);
    return rc == 0 ? 0 : hp_err_set(err, rc, "--port-file %s: %s", path, hp_err_sentence(rc));
}

static int start_settings(hp_app_t *app, hp_err_t *err)
{
    hp_settings_parts_t parts = {.self = &app->self,
                                 .share = app->share,
                                 .transfer = app->transfer,
                                 .discovery = app->discovery,
                                 .send_limit = &app->send_limit,
                                 .peer = app->peer,
                                 .inbox = app->inbox,
                                 .localsend = app->localsend,
                                 .name_changed = on_name_changed,
                                 .arg = app};
    return hp_settings_start(app->settings, &parts, err);
}

static int create_across(hp_app_t *app, hp_err_t *err)
{
    hp_across_deps_t deps = {.loop = app->loop,
                             .store = app->store,
                             .fetcher = app->fetcher,
                             .hosts = app->hosts,
                             .share = app->share,
                             .identity = app->identity,
                             .self = &app->self,
                             .map_port = !app->options->no_port_mapping,
                             .changed = on_group_changed,
                             .removed = on_group_removed,
                             .member_gone = on_member_gone,
                             .arg = app};
    return hp_across_create(&app->across, &deps, err);
}

/* The folders of --share-folder. */
static int lend_folders(const hp_app_t *app, hp_err_t *err)
{
    const hp_strings_t *folders = &app->options->folders;
    int rc = 0;
    for (size_t i = 0; i < folders->count && rc == 0; i++) {
        const char *path = strchr(folders->items[i], '/');
        char *name = hp_strndup(folders->items[i], (size_t)(path - folders->items[i]) - 1);
        rc = hp_share_lend_folder(app->share, name, path, err);
        if (rc != 0)
            hp_err_prefix(err, "--share-folder: ");
        free(name);
    }
    return rc;
}

int hp_app_build(hp_app_t *app, hp_err_t *err)
{
    hp_send_limit_init(&app->send_limit);
    int rc = hp_store_create(&app->store, app->loop, app->options->data, err);
    if (rc == 0)
        hp_home_init(app->options->data);
    if (rc == 0)
        rc = hp_settings_create(&app->settings, app->loop, app->store, app->options, err);
    if (rc == 0)
        rc = load_identity(app, err);
    if (rc == 0)
        rc = load_self(app, err);
    if (rc == 0)
        rc = create_fetcher(app, err);
    if (rc == 0)
        rc = hp_share_create(&app->share, app->loop, app->store,
                             hp_settings_text(app->settings, "share_folder"), err);
    if (rc == 0)
        rc = lend_folders(app, err);
    if (rc == 0)
        rc = hp_hosts_create(&app->hosts, app->loop, app->store, app->fetcher, &app->self, err);
    if (rc == 0)
        rc = hp_messages_create(&app->messages, app->loop, app->store, app->fetcher, app->hosts, &app->self,
                                err);
    if (rc == 0)
        app->pairings = hp_pairings_create(app->loop, app->fetcher, app->hosts, &app->self);
    if (rc == 0) {
        hp_transfer_settings_t transfer = hp_settings_for_transfer(app->settings);
        rc = hp_transfer_create(&app->transfer, app->loop, app->store, app->fetcher, &transfer, err);
    }
    if (rc == 0)
        rc = create_inbox(app, err);
    if (rc == 0)
        create_pushes(app);
    hp_discovery_options_t discovery = {.advertise = app->options->advertise,
                                        .everywhere = is_everywhere(app->options->peer_listen.address),
                                        .hosts = &app->options->hosts};
    if (rc == 0)
        rc = hp_discovery_create(&app->discovery, app->loop, app->hosts, &app->self, &discovery, err);
    if (rc == 0)
        create_doctor(app);
    if (rc == 0)
        rc = create_across(app, err);
    if (rc == 0)
        rc = listen_near(app, &app->options->peer_listen, listen_peer, err);
    if (rc == 0) {
        app->self.peer_port = hp_http_port(hp_peer_listener(app->peer));
        create_localsend(app);
        rc = start_settings(app, err);
    }
    if (rc == 0) {
        hp_traffic_counters_t counters = {.received = count_received, .sent = count_sent, .arg = app};
        app->traffic = hp_traffic_create(app->loop, app->store, &counters);
        rc = listen_near(app, &app->options->dashboard_listen, listen_dashboard, err);
    }
    if (rc != 0)
        return rc;
    /* Before the port file: who has waited for that may run commands. Those that do not find the note ask at
     * the default address. */
    app->noted = hp_running_write(app->options->data, app->options->dashboard_listen.address,
                                  app->self.peer_port, hp_api_port(app->api), err) == 0;
    if (!app->noted)
        hp_log(HP_LOG_WARN, "the note for commands cannot be written: %s", hp_err_text(err));
    return write_port_file(app, err);
}

void hp_app_start(hp_app_t *app)
{
    hp_transfer_set_hooks(app->transfer, &(hp_transfer_hooks_t){.waiting = on_waiting,
                                                                .seen = on_seen,
                                                                .relist = on_relist,
                                                                .changed = on_changed,
                                                                .removed = on_removed,
                                                                .wanted = on_wanted,
                                                                .most = on_size,
                                                                .arg = app});
    hp_hosts_on_event(app->hosts, on_host, app);
    for (size_t i = 0; i < hp_hosts_count(app->hosts); i++)
        on_host(app, HP_HOST_ADDED, hp_hosts_at(app->hosts, i));
    hp_share_on_change(app->share, on_share_change, app);
    on_share_change(app);
    hp_share_start(app->share);
    hp_transfer_start(app->transfer);
    hp_gifts_start(app);
    hp_messages_start(app->messages);
    hp_pairings_start(app->pairings);
    hp_hosts_start(app->hosts);
    hp_discovery_on_network(app->discovery, on_network_changed, app);
    hp_discovery_start(app->discovery);
    hp_doctor_start(app->doctor);
    hp_across_start(app->across, hp_peer_listener(app->peer));
    hp_log(HP_LOG_INFO, "hostpair %s: %s shares %s on port %u; dashboard at http://localhost:%u", HP_VERSION,
           app->self.name, hp_share_folder(app->share), app->self.peer_port, hp_api_port(app->api));
}

void hp_app_destroy(hp_app_t *app, void (*closed)(void *arg), void *arg)
{
    app->closed = closed;
    app->closed_arg = arg;
    if (app->settings != NULL)
        hp_settings_stop(app->settings);
    if (app->noted)
        hp_running_remove(app->options->data);
    on_closed(app);
}
