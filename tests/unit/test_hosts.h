/* A registry of hosts with its store and fetcher, on one loop with the hosts of test_fake_host.h. */
#ifndef TEST_HOSTS_H
#define TEST_HOSTS_H

#include <sqlite3.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "db/remote_file.h"
#include "discovery/hosts.h"
#include "test_fake_host.h"

typedef struct net {
    uv_loop_t loop;
    hp_store_t *store;
    hp_fetcher_t *fetcher;
    hp_hosts_t *hosts;
    hp_self_t self;
    char *folder;
    int events[HP_HOST_RENAMED + 1]; /* by hp_host_event_t */
    char trace[2000];                /* "added online ..." */
    unsigned closed;
} net_t;

#define WAIT_MS 20000

#define wait_until(net, condition)                                                                           \
    do {                                                                                                     \
        uint64_t end_ = hp_clock_ms() + WAIT_MS;                                                             \
        uv_timer_t tick_;                                                                                    \
        uv_timer_init(&(net)->loop, &tick_);                                                                 \
        uv_timer_start(&tick_, on_nothing, 5, 5);                                                            \
        while (!(condition)) {                                                                               \
            if (hp_clock_ms() > end_)                                                                        \
                fail_msg("waited %d ms for %s; events:%s", WAIT_MS, #condition, (net)->trace);               \
            uv_run(&(net)->loop, UV_RUN_ONCE);                                                               \
        }                                                                                                    \
        uv_close((uv_handle_t *)&tick_, NULL);                                                               \
        uv_run(&(net)->loop, UV_RUN_NOWAIT);                                                                 \
    } while (0)

static inline void on_nothing(uv_timer_t *timer)
{
    (void)timer;
}

/* Lets the loop run for a while: for what must not happen. */
static inline void run_for(net_t *net, unsigned ms)
{
    uint64_t end = hp_clock_ms() + ms;
    wait_until(net, hp_clock_ms() >= end);
}

static inline void on_host_event(void *arg, hp_host_event_t event, const hp_host_t *host)
{
    static const char *const names[] = {"added",   "changed", "online",   "offline", "listed",
                                        "removed", "blocked", "unpaired", "renamed"};
    net_t *net = arg;
    net->events[event]++;
    size_t used = strlen(net->trace);
    if (event != HP_HOST_CHANGED)
        snprintf(net->trace + used, sizeof net->trace - used, " %s:%s", names[event], short_id(host->id));
}

static const hp_hosts_times_t quick = {.silent = 200,
                                       .retry = 50,
                                       .offline = 300,
                                       .waiting = 60,
                                       .again = 20,
                                       .list = 60000,
                                       .list_long = 100,
                                       .hashing = 100,
                                       .hashing_waiting = 30};

static inline void net_open(net_t *net)
{
    hp_err_t err = {0};
    if (hp_store_create(&net->store, &net->loop, net->folder, &err) != 0 ||
        hp_fetcher_create(&net->fetcher, &net->loop, &err) != 0 ||
        hp_hosts_create(&net->hosts, &net->loop, net->store, net->fetcher, &net->self, &err) != 0)
        fail_msg("%s", hp_err_text(&err));
    hp_fetcher_set_secure(net->fetcher, key_of(0)->secure);
    hp_hosts_on_event(net->hosts, on_host_event, net);
    hp_hosts_set_times(net->hosts, &quick);
    hp_hosts_start(net->hosts);
}

static inline void on_net_closed(void *arg)
{
    ((net_t *)arg)->closed++;
}

static inline void net_close(net_t *net)
{
    net->closed = 0;
    hp_hosts_destroy(net->hosts, on_net_closed, net);
    wait_until(net, net->closed == 1);
    hp_fetcher_destroy(net->fetcher, on_net_closed, net);
    wait_until(net, net->closed == 2);
    hp_store_destroy(net->store, on_net_closed, net);
    wait_until(net, net->closed == 3);
}

static inline int net_set_up(void **state)
{
    void *folder;
    if (make_folder(&folder) != 0)
        return -1;
    net_t *net = hp_alloc(sizeof *net);
    net->folder = folder;
    hp_log_set_level(getenv("HP_TEST_LOG") != NULL ? HP_LOG_DEBUG : HP_LOG_ERROR);
    uv_loop_init(&net->loop);
    net->self = (hp_self_t){.name = "this host", .instance = OWN_INSTANCE, .peer_port = 9000};
    snprintf(net->self.id, sizeof net->self.id, "%s", OWN_ID);
    net_open(net);
    *state = net;
    return 0;
}

static inline int net_tear_down(void **state)
{
    net_t *net = *state;
    net_close(net);
    /* A test that failed leaves its fakes behind: then the loop does not end. */
    uint64_t end = hp_clock_ms() + 2000;
    while (uv_run(&net->loop, UV_RUN_NOWAIT) != 0 && hp_clock_ms() < end)
        continue;
    int rc = uv_loop_close(&net->loop);
    void *folder = net->folder;
    free(net);
    return rc != 0 ? rc : remove_folder(&folder);
}

/* ---- calls that are waited for ---- */

typedef struct added {
    bool done, is_new;
    int status;
    char id[HP_HOST_ID_SIZE], words[400];
} added_t;

static inline void on_added(void *arg, int status, const hp_host_t *host, bool is_new, const hp_err_t *err)
{
    added_t *added = arg;
    assert_false(added->done);
    *added = (added_t){.done = true, .is_new = is_new, .status = status};
    snprintf(added->words, sizeof added->words, "%s", status != 0 ? hp_err_text(err) : "");
    assert_true((status == 0) == (host != NULL));
    if (host != NULL)
        snprintf(added->id, sizeof added->id, "%s", host->id);
}

/* A place on the network; a few may be in use at a time. */
static inline const hp_endpoint_t *at(const char *address, uint16_t port)
{
    static hp_endpoint_t endpoints[8];
    static size_t next;
    next = (next + 1) % HP_COUNT(endpoints);
    assert_int_equal(hp_endpoint_make(&endpoints[next], HP_SCHEME_PLAIN, address, port), 0);
    return &endpoints[next];
}

static inline added_t add_host(net_t *net, const char *address, uint16_t port)
{
    added_t added = {0};
    hp_hosts_add(net->hosts, at(address, port), on_added, &added);
    assert_false(added.done);
    wait_until(net, added.done);
    return added;
}

typedef struct refreshed {
    bool done;
    int status;
    char words[400];
} refreshed_t;

static inline void on_refreshed(void *arg, int status, const hp_err_t *err)
{
    refreshed_t *refreshed = arg;
    refreshed->done = true;
    refreshed->status = status;
    snprintf(refreshed->words, sizeof refreshed->words, "%s", status != 0 ? hp_err_text(err) : "");
}

static inline refreshed_t refresh(net_t *net, const char *id, bool force)
{
    refreshed_t refreshed = {0};
    hp_hosts_refresh(net->hosts, id, force, on_refreshed, &refreshed);
    wait_until(net, refreshed.done);
    return refreshed;
}

/* ---- what the store holds ---- */

typedef struct page_job {
    hp_remote_query_t query;
    hp_remote_page_t page;
    int status;
    bool done;
} page_job_t;

static inline int work_page(hp_db_t *db, void *arg, hp_err_t *err)
{
    page_job_t *job = arg;
    return job->status = hp_remote_page_read(db, &job->query, &job->page, err);
}

static inline void on_page(void *arg, int status, const hp_err_t *err)
{
    (void)status, (void)err;
    ((page_job_t *)arg)->done = true;
}

/* The names of the top of a host's list, folders first: "folder/ file file"; "-" when there is no list. */
static inline char *listed(net_t *net, const char *host, char out[1000])
{
    page_job_t job = {.query = {.host = host, .limit = 50}};
    hp_store_post(net->store, HP_STORE_READ, work_page, on_page, &job);
    wait_until(net, job.done);
    size_t used = 0;
    out[0] = '\0';
    if (job.status == HP_E_NOT_FOUND)
        return strcpy(out, "-");
    assert_int_equal(job.status, 0);
    for (size_t i = 0; i < job.page.folder_count; i++)
        used +=
            (size_t)snprintf(out + used, 1000 - used, "%s%s/", used > 0 ? " " : "", job.page.folders[i].name);
    for (size_t i = 0; i < job.page.files.count; i++)
        used += (size_t)snprintf(out + used, 1000 - used, "%s%s", used > 0 ? " " : "",
                                 job.page.files.items[i].name);
    hp_remote_page_dispose(&job.page);
    return out;
}

/* ---- what a test asks and prepares ---- */

static inline const hp_host_t *host_of(net_t *net, const char *id)
{
    const hp_host_t *host = hp_hosts_find(net->hosts, id);
    if (host == NULL)
        fail_msg("there is no host %s; events:%s", id, net->trace);
    return host;
}

static inline bool is_online(net_t *net, const char *id)
{
    const hp_host_t *host = hp_hosts_find(net->hosts, id);
    return host != NULL && host->online;
}

typedef struct said {
    int count, status;
} said_t;

static inline void on_said(void *arg, int status, const hp_err_t *err)
{
    (void)err;
    said_t *said = arg;
    said->count++;
    said->status = status;
}

static inline bool is_blocked_as(net_t *net, const char *id, const char *address)
{
    hp_who_t who = {.way = HP_WAY_LAN};
    snprintf(who.address, sizeof who.address, "%s", address);
    snprintf(who.id, sizeof who.id, "%s", id);
    return hp_hosts_is_blocked(net->hosts, &who);
}

static inline void run_sql(net_t *net, const char *sql)
{
    char *path = hp_sprintf("%s/hostpair.db", net->folder), *message = NULL;
    sqlite3 *db;
    assert_int_equal(sqlite3_open_v2(path, &db, SQLITE_OPEN_READWRITE, NULL), SQLITE_OK);
    sqlite3_busy_timeout(db, 5000);
    if (sqlite3_exec(db, sql, NULL, NULL, &message) != SQLITE_OK)
        fail_msg("%s", message);
    sqlite3_close(db);
    free(path);
}

#endif
