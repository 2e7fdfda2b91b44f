/* hostpair: reads the options, builds the parts from the bottom up, lets the loop run, and takes them down in
 * reverse. */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <uv.h>

#include "api/api.h"
#include "base/clock.h"
#include "base/mem.h"
#include "base/options.h"
#include "base/path.h"
#include "db/self.h"
#include "peer/peer.h"

#define POOL_MIN   4u
#define POOL_MAX   16u
#define PORT_TRIES 10   /* a default port that is taken: the next free one of so many in all */
#define QUIT_MS    1900 /* then what has not ended is left to the kernel; progress is committed as it comes */

typedef struct app {
    uv_loop_t loop;
    uv_signal_t signals[2];
    uv_timer_t quit_timer;
    hp_options_t options;
    hp_settings_t settings;
    hp_self_t self;
    hp_store_t *store;
    hp_fetcher_t *fetcher;
    hp_share_t *share;
    hp_transfer_t *transfer;
    hp_hosts_t *hosts;
    hp_discovery_t *discovery;
    hp_peer_t *peer;
    hp_api_t *api;
    bool quitting;
} app_t;

/* ---- what one part tells another ---- */

static void on_host(void *arg, hp_host_event_t event, const hp_host_t *host)
{
    app_t *app = arg;
    if (event == HP_HOST_REMOVED) {
        hp_transfer_host_removed(app->transfer, host->id);
        return;
    }
    size_t count = HP_MIN(host->address_count, (size_t)16);
    char text[16][HP_HOST_URL_SIZE];
    const char *urls[16];
    for (size_t i = 0; i < count; i++)
        urls[i] = hp_host_url(&host->addresses[i], text[i]);
    hp_transfer_host(app->transfer, host->id, host->name, urls, count, host->online);
    if (event == HP_HOST_LISTED)
        hp_transfer_host_listed(app->transfer, host->id);
}

static void on_waiting(void *arg, const char *host, bool waiting)
{
    hp_hosts_set_waiting(((app_t *)arg)->hosts, host, HP_WAIT_DOWNLOAD, waiting);
}

static void on_seen(void *arg, const char *host, bool alive)
{
    hp_hosts_report(((app_t *)arg)->hosts, host, alive);
}

static void on_changed(void *arg, int64_t id)
{
    hp_api_download_changed(((app_t *)arg)->api, id);
}

static void on_removed(void *arg, int64_t id)
{
    hp_api_download_removed(((app_t *)arg)->api, id);
}

/* ---- the end: each part when the one above it is closed ---- */

static void on_closed(void *arg)
{
    app_t *app = arg;
#define CLOSE(part, destroy)                                                                                 \
    if (app->part != NULL) {                                                                                 \
        void *part = app->part;                                                                              \
        app->part = NULL;                                                                                    \
        destroy(part, on_closed, app);                                                                       \
        return;                                                                                              \
    }
    CLOSE(api, hp_api_destroy)
    CLOSE(peer, hp_peer_destroy)
    CLOSE(discovery, hp_discovery_destroy)
    CLOSE(transfer, hp_transfer_destroy)
    CLOSE(hosts, hp_hosts_destroy)
    CLOSE(share, hp_share_destroy)
    CLOSE(fetcher, hp_fetcher_destroy)
    CLOSE(store, hp_store_destroy)
#undef CLOSE
    uv_close((uv_handle_t *)&app->quit_timer, NULL);
    for (size_t i = 0; i < HP_COUNT(app->signals); i++)
        uv_close((uv_handle_t *)&app->signals[i], NULL);
}

static void on_quit_late(uv_timer_t *timer)
{
    (void)timer;
    hp_log(HP_LOG_WARN, "the disk or the network does not answer; leaving without waiting for it");
    _exit(0);
}

static void quit(app_t *app)
{
    if (app->quitting)
        return;
    app->quitting = true;
    uv_timer_start(&app->quit_timer, on_quit_late, QUIT_MS, 0);
    on_closed(app);
}

static void on_signal(uv_signal_t *handle, int number)
{
    app_t *app = handle->data;
    hp_log(HP_LOG_INFO, "%s: ending", number == SIGINT ? "SIGINT" : "SIGTERM");
    quit(app);
}

/* ---- the start ---- */

static void size_pool(void)
{
    char count[16];
    unsigned cores = uv_available_parallelism();
    snprintf(count, sizeof count, "%u", HP_MIN(HP_MAX(cores * 2, POOL_MIN), POOL_MAX));
    setenv("UV_THREADPOOL_SIZE", count, 0);
}

static int work_self(hp_db_t *db, void *arg, hp_err_t *err)
{
    return hp_db_self_load(db, arg, arg, err);
}

static int load_self(app_t *app, hp_err_t *err)
{
    uint8_t random[32];
    hp_db_self_t self = {.created_at = hp_clock_wall_ms()};
    int rc = uv_random(NULL, NULL, random, sizeof random, 0, NULL);
    if (rc != 0)
        return hp_err_set(err, rc, "no random numbers: %s", uv_strerror(rc));
    hp_hex_encode(random, 16, self.id);
    hp_hex_encode(random + 16, 16, app->self.instance);
    rc = hp_store_run_now(app->store, HP_STORE_WRITE, work_self, &self, err);
    snprintf(app->self.id, sizeof app->self.id, "%s", self.id);
    snprintf(app->self.name, sizeof app->self.name, "%s", app->settings.name);
    return rc;
}

/* Listens on a port; one that was not asked for may give way to one of the next. */
static int listen_near(app_t *app, const hp_listen_t *where,
                       int (*listen)(app_t *, const char *, uint16_t, hp_err_t *), hp_err_t *err)
{
    int rc = UV_EADDRINUSE;
    for (unsigned i = 0; i < PORT_TRIES && rc == UV_EADDRINUSE; i++) {
        rc = listen(app, where->address, (uint16_t)(where->port + i), err);
        if (where->given || where->port == 0)
            break;
        if (rc == UV_EADDRINUSE)
            hp_log(HP_LOG_WARN, "%s; trying the next port", hp_err_text(err));
    }
    return rc;
}

static int listen_peer(app_t *app, const char *address, uint16_t port, hp_err_t *err)
{
    hp_peer_options_t options = {.address = address, .port = port};
    return hp_peer_create(&app->peer, &app->loop, &options, app->share, &app->self, err);
}

static int listen_dashboard(app_t *app, const char *address, uint16_t port, hp_err_t *err)
{
    hp_api_deps_t deps = {.loop = &app->loop,
                          .store = app->store,
                          .share = app->share,
                          .discovery = app->discovery,
                          .hosts = app->hosts,
                          .transfer = app->transfer,
                          .peer = hp_peer_listener(app->peer),
                          .options = &app->options,
                          .settings = &app->settings,
                          .self = &app->self};
    return hp_api_create(&app->api, &deps, address, port, err);
}

static int write_port_file(const app_t *app, hp_err_t *err)
{
    const char *path = app->options.port_file;
    if (path == NULL)
        return 0;
    char *temporary = hp_sprintf("%s.new", path);
    FILE *file = fopen(temporary, "we");
    int rc = file == NULL ? -errno : 0;
    if (file != NULL) {
        fprintf(file, "{\"peer\":%u,\"dashboard\":%u}\n", app->self.peer_port, hp_api_port(app->api));
        rc = fclose(file) == 0 && rename(temporary, path) == 0 ? 0 : -errno;
    }
    free(temporary);
    return rc == 0 ? 0 : hp_err_set(err, rc, "--port-file %s: %s", path, hp_err_sentence(rc));
}

static int build(app_t *app, hp_err_t *err)
{
    int rc = hp_store_create(&app->store, &app->loop, app->options.data, err);
    if (rc == 0)
        rc = hp_settings_load(&app->settings, app->store, &app->options, err);
    if (rc == 0)
        rc = load_self(app, err);
    if (rc == 0)
        rc = hp_fetcher_create(&app->fetcher, &app->loop, err);
    if (rc == 0)
        rc = hp_share_create(&app->share, &app->loop, app->store, app->settings.share_folder, err);
    if (rc == 0)
        rc = hp_hosts_create(&app->hosts, &app->loop, app->store, app->fetcher, &app->self, err);
    hp_transfer_settings_t transfer = {.downloads_folder = app->settings.downloads_folder,
                                       .running_downloads = (unsigned)app->settings.running_downloads,
                                       .connections_per_source =
                                           (unsigned)app->settings.connections_per_source,
                                       .down_limit_bps = app->settings.down_limit_bps};
    if (rc == 0)
        rc = hp_transfer_create(&app->transfer, &app->loop, app->store, app->fetcher, app->share, &transfer,
                                err);
    hp_discovery_options_t discovery = {.scan = app->settings.scan,
                                        .beacon = app->settings.beacon,
                                        .advertise = app->options.advertise,
                                        .hosts = &app->options.hosts};
    if (rc == 0)
        rc = hp_discovery_create(&app->discovery, &app->loop, app->hosts, &app->self, &discovery, err);
    if (rc == 0)
        rc = listen_near(app, &app->options.peer_listen, listen_peer, err);
    if (rc == 0) {
        app->self.peer_port = hp_http_port(hp_peer_listener(app->peer));
        rc = listen_near(app, &app->options.dashboard_listen, listen_dashboard, err);
    }
    return rc == 0 ? write_port_file(app, err) : rc;
}

static void start(app_t *app)
{
    hp_transfer_set_hooks(app->transfer, &(hp_transfer_hooks_t){.waiting = on_waiting,
                                                                .seen = on_seen,
                                                                .changed = on_changed,
                                                                .removed = on_removed,
                                                                .arg = app});
    hp_hosts_on_event(app->hosts, on_host, app);
    for (size_t i = 0; i < hp_hosts_count(app->hosts); i++)
        on_host(app, HP_HOST_ADDED, hp_hosts_at(app->hosts, i));
    hp_share_start(app->share);
    hp_transfer_start(app->transfer);
    hp_hosts_start(app->hosts);
    hp_discovery_start(app->discovery);
    hp_log(HP_LOG_INFO, "hostpair %s: %s shares %s on port %u; dashboard at http://localhost:%u", HP_VERSION,
           app->self.name, app->settings.share_folder, app->self.peer_port, hp_api_port(app->api));
}

int main(int argc, char **argv)
{
    static app_t app;
    hp_err_t err = {0};
    if (hp_options_read(&app.options, argc, argv, &err) != 0) {
        fprintf(stderr, "hostpair: %s\n", hp_err_text(&err));
        return 2;
    }
    if (app.options.help || app.options.version) {
        if (app.options.help)
            hp_options_print_help(stdout);
        else
            printf("hostpair %s\n", HP_VERSION);
        hp_options_dispose(&app.options);
        return 0;
    }
    hp_log_set_level(app.options.log);
    size_pool();
    uv_loop_init(&app.loop);
    uv_timer_init(&app.loop, &app.quit_timer);
    for (size_t i = 0; i < HP_COUNT(app.signals); i++) {
        uv_signal_init(&app.loop, &app.signals[i]);
        app.signals[i].data = &app;
        uv_signal_start(&app.signals[i], on_signal, i == 0 ? SIGTERM : SIGINT);
    }
    int rc = build(&app, &err);
    if (rc == 0) {
        start(&app);
    } else {
        fprintf(stderr, "hostpair: %s\n", hp_err_text(&err));
        quit(&app);
    }
    uv_run(&app.loop, UV_RUN_DEFAULT);
    uv_loop_close(&app.loop);
    hp_settings_dispose(&app.settings);
    hp_options_dispose(&app.options);
    uv_library_shutdown();
    return rc == 0 ? 0 : 1;
}
