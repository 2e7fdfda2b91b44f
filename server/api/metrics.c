/* GET /metrics: figures in Prometheus' text format (version 0.0.4). */
#include "api/internal.h"
#include "base/buf.h"
#include "base/clock.h"
#include "base/mem.h"
#include "inbox/inbox.h"

#define METRICS_MAX ((size_t)64 * 1024) /* bytes; there are no labels of unbounded number */

static void head(hp_buf_t *out, const char *name, const char *type, const char *help)
{
    hp_buf_printf(out, "# HELP hostpair_%s %s\n# TYPE hostpair_%s %s\n", name, help, name, type);
}

static void metric(hp_buf_t *out, const char *name, const char *type, uint64_t value, const char *help)
{
    head(out, name, type, help);
    hp_buf_printf(out, "hostpair_%s %llu\n", name, (unsigned long long)value);
}

static void add_downloads(hp_buf_t *out, hp_transfer_t *transfer)
{
    static const char *const names[] = {
#define X(name, text) text,
        HP_DOWNLOAD_STATES(X)
#undef X
    };
    head(out, "downloads", "gauge", "Downloads by state.");
    for (size_t i = 0; i < HP_COUNT(names); i++)
        hp_buf_printf(out, "hostpair_downloads{state=\"%s\"} %llu\n", names[i],
                      (unsigned long long)hp_transfer_count_in(transfer, (hp_download_state_t)i));
}

static void add_hosts(hp_buf_t *out, const hp_hosts_t *hosts)
{
    unsigned long long online = 0, count = hp_hosts_count(hosts);
    for (size_t i = 0; i < count; i++)
        online += hp_hosts_at(hosts, i)->online;
    head(out, "hosts", "gauge", "Known hosts by state.");
    hp_buf_printf(out, "hostpair_hosts{state=\"online\"} %llu\nhostpair_hosts{state=\"offline\"} %llu\n",
                  online, count - online);
}

void hp_api_get_metrics(hp_api_t *api, hp_http_request_t *request, const char *arg)
{
    (void)arg;
    hp_share_stats_t share;
    hp_buf_t out;
    hp_buf_init(&out, METRICS_MAX);
    hp_share_get_stats(api->deps.share, &share);
    head(&out, "info", "gauge", "Constant 1, with the version.");
    hp_buf_add_text(&out, "hostpair_info{version=\"" HP_VERSION "\"} 1\n");
    metric(&out, "uptime_seconds", "gauge", (hp_clock_ms() - api->started_ms) / 1000,
           "Time since the start.");
    metric(&out, "received_bytes_total", "counter",
           hp_transfer_bytes(api->deps.transfer) + hp_inbox_bytes(api->deps.inbox),
           "Bytes of file contents received, by downloads and by the inbox.");
    metric(&out, "sent_bytes_total", "counter",
           hp_http_bytes_sent(api->deps.peer) + hp_pushes_bytes_sent(api->deps.pushes),
           "Bytes of replies and uploads sent to other hosts.");
    metric(&out, "receive_bytes_per_second", "gauge", hp_api_received_bps(api),
           "Speed of what is received over the last seconds.");
    metric(&out, "send_bytes_per_second", "gauge", hp_traffic_sent_bps(api->deps.traffic),
           "Speed of uploads over the last seconds.");
    metric(&out, "connections", "gauge", hp_http_connections(api->deps.peer, NULL, 0),
           "Connections to the peer listener.");
    metric(&out, "event_listeners", "gauge", hp_events_listeners(api->events), "Open event streams.");
    add_hosts(&out, api->deps.hosts);
    add_downloads(&out, api->deps.transfer);
    metric(&out, "shared_files", "gauge", share.files, "Files offered.");
    metric(&out, "shared_bytes", "gauge", share.bytes, "Bytes offered.");
    metric(&out, "shared_hashed_bytes", "gauge", share.hashed_bytes, "Bytes offered whose hashes are known.");
    metric(&out, "free_bytes", "gauge", hp_transfer_free_bytes(api->deps.transfer),
           "Free space where downloads land.");
    metric(&out, "store_jobs", "gauge", hp_store_pending(api->deps.store),
           "Database jobs waiting or running.");
    hp_http_reply(request, 200, "text/plain; version=0.0.4; charset=utf-8", out.data, out.length);
    hp_buf_dispose(&out);
}
