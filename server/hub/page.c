/* GET /, /healthz and /metrics: the state of the hub for people and programs. No names, no ids of groups or
 * hosts. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/clock.h"
#include "base/mem.h"
#include "hub/internal.h"

#define COUNTS_MS 15000

void hp_hub_get_health(hp_hub_t *hub, hp_http_request_t *request, const uint8_t gid[16], const char *rest)
{
    (void)hub, (void)gid, (void)rest;
    hp_http_reply(request, 200, "text/plain; charset=utf-8", "ok\n", 3);
}

/* Counting looks at every row of the backend, so it is done at most every COUNTS_MS, whoever asks how often.
 */
typedef struct {
    hp_hub_op_t *op;
    hp_hub_counts_fn done;
} count_t;

static void on_counted(void *arg, int status, const hp_db_hub_counts_t *counts, const hp_err_t *err)
{
    count_t *asked = arg;
    hp_hub_t *hub = asked->op->hub;
    if (status == 0) {
        hub->counts = *counts;
        hub->counted_at = uv_now(hub->loop);
    }
    asked->done(asked->op, status, counts, err);
    free(asked);
}

static void count(hp_hub_t *hub, hp_hub_counts_fn done, hp_hub_op_t *op)
{
    static const hp_err_t none = {0};
    if (hub->counted_at != 0 && uv_now(hub->loop) - hub->counted_at < COUNTS_MS) {
        done(op, 0, &hub->counts, &none);
        return;
    }
    count_t *asked = hp_alloc(sizeof *asked);
    *asked = (count_t){op, done};
    hub->backend->counts(hub->backend, on_counted, asked);
}

/* ---- metrics ---- */

static void add_metric(hp_buf_t *out, const char *name, const char *type, const char *help, uint64_t value)
{
    hp_buf_printf(out, "# HELP hostpair_hub_%s %s\n# TYPE hostpair_hub_%s %s\nhostpair_hub_%s %" PRIu64 "\n",
                  name, help, name, type, name, value);
}

static void on_metrics(void *arg, int status, const hp_db_hub_counts_t *counts, const hp_err_t *err)
{
    hp_hub_op_t *op = arg;
    hp_hub_t *hub = op->hub;
    hp_hub_relay_counts_t relay = hp_hub_relay_counts(hub->relay);
    hp_stun_counts_t stun = hp_stun_server_counts(hub->stun);
    if (!hp_hub_refused(op->request, status, err)) {
        hp_buf_t out;
        hp_buf_init(&out, 16384);
        add_metric(&out, "groups", "gauge", "Groups that are stored.", counts->groups);
        add_metric(&out, "members", "gauge", "Members of all groups, present or away.", counts->members);
        add_metric(&out, "hosts_online", "gauge", "Hosts with an event stream.",
                   hp_presence_online(hub->presence));
        add_metric(&out, "list_bytes", "gauge", "Bytes of sealed file lists.", counts->list_bytes);
        add_metric(&out, "relays_running", "gauge", "Relayed connections.", relay.running);
        add_metric(&out, "relays_total", "counter", "Relayed connections since the start.", relay.pairs);
        add_metric(&out, "relay_bytes_total", "counter", "Bytes relayed since the start, both ways.",
                   relay.bytes);
        add_metric(&out, "stun_answers_total", "counter", "STUN answers since the start.", stun.answered);
        add_metric(&out, "stun_refused_total", "counter", "Datagrams that got no answer.", stun.refused);
        hp_http_reply(op->request, 200, "text/plain; version=0.0.4", out.data, out.length);
        hp_buf_dispose(&out);
    }
    hp_hub_op_destroy(op);
}

void hp_hub_get_metrics(hp_hub_t *hub, hp_http_request_t *request, const uint8_t gid[16], const char *rest)
{
    (void)gid, (void)rest;
    count(hub, on_metrics, hp_hub_op_create(sizeof(hp_hub_op_t), hub, request));
}

/* ---- the page ---- */

static void add_row(hp_buf_t *out, const char *what, const char *value)
{
    hp_buf_printf(out, "<tr><th scope=\"row\">%s</th><td>%s</td></tr>\n", what, value);
}

static void add_number(hp_buf_t *out, const char *what, uint64_t number)
{
    char text[32];
    snprintf(text, sizeof text, "%" PRIu64, number);
    add_row(out, what, text);
}

static void add_uptime(hp_buf_t *out, int64_t ms)
{
    char text[48];
    int64_t minutes = ms / 60000;
    snprintf(text, sizeof text, "%" PRId64 " d %" PRId64 " h %" PRId64 " min", minutes / 1440,
             minutes / 60 % 24, minutes % 60);
    add_row(out, "Running for", text);
}

static void on_page(void *arg, int status, const hp_db_hub_counts_t *counts, const hp_err_t *err)
{
    hp_hub_op_t *op = arg;
    hp_hub_t *hub = op->hub;
    hp_hub_relay_counts_t relay = hp_hub_relay_counts(hub->relay);
    if (!hp_hub_refused(op->request, status, err)) {
        hp_buf_t out;
        char relayed[64];
        hp_buf_init(&out, 16384);
        hp_buf_add_text(
            &out, "<!doctype html>\n<html lang=\"en\">\n<meta charset=\"utf-8\">\n"
                  "<meta name=\"viewport\" content=\"width=device-width\">\n<title>hostpair hub</title>\n"
                  "<style>body{font:16px/1.5 system-ui,sans-serif;max-width:40rem;margin:2rem auto;padding:0 "
                  "1rem;color-scheme:light dark}th{text-align:left;padding-right:2rem;font-weight:normal}"
                  "code{overflow-wrap:anywhere}</style>\n<h1>hostpair hub</h1>\n"
                  "<p>Hosts of one group find each other here. What they send each other is encrypted "
                  "between them; this hub cannot read it.</p>\n<table>\n");
        add_row(&out, "Version", HP_VERSION);
        add_uptime(&out, hp_clock_wall_ms() - hub->started_at);
        add_number(&out, "Groups", counts->groups);
        add_number(&out, "Members", counts->members);
        add_number(&out, "Hosts that are here now", hp_presence_online(hub->presence));
        add_number(&out, "Relayed connections now", relay.running);
        snprintf(relayed, sizeof relayed, "%.1f GB", (double)relay.bytes / 1e9);
        add_row(&out, "Relayed since the start", hub->options.relay ? relayed : "this hub relays nothing");
        hp_buf_printf(&out, "</table>\n<p>Fingerprint: <code>%s</code></p>\n</html>\n", hub->fingerprint);
        hp_http_set_header(op->request, "Content-Security-Policy",
                           "default-src 'none'; style-src 'unsafe-inline'");
        hp_http_reply(op->request, 200, "text/html; charset=utf-8", out.data, out.length);
        hp_buf_dispose(&out);
    }
    hp_hub_op_destroy(op);
}

void hp_hub_get_page(hp_hub_t *hub, hp_http_request_t *request, const uint8_t gid[16], const char *rest)
{
    (void)gid, (void)rest;
    count(hub, on_page, hp_hub_op_create(sizeof(hp_hub_op_t), hub, request));
}
