/* Bytes of file contents over time: the speed of the last seconds, a row a minute in the database, and GET
 * /api/v1/traffic. */
#include <stdlib.h>

#include "api/internal.h"
#include "base/buf.h"
#include "base/clock.h"
#include "base/mem.h"
#include "db/traffic.h"

#define SAMPLE_MS     1000
#define SAMPLES       5                       /* the speed is that of the last 5 s */
#define KEPT_MINUTES  ((int64_t)31 * 24 * 60) /* rows older than that are forgotten */
#define SHOWN_MINUTES (24 * 60)               /* when nobody says since when */

struct hp_traffic {
    hp_api_t *api;
    uv_timer_t timer;
    uint64_t up[SAMPLES + 1], at[SAMPLES + 1]; /* bytes sent since the start, and when (ns); a ring */
    size_t next, count;
    uint64_t down_stored, up_stored; /* bytes that are in rows already */
    int64_t minute;                  /* that is being counted */
    void (*closed)(void *arg);
    void *closed_arg;
};

typedef struct {
    hp_db_traffic_t row;
    bool prune;
} row_job_t;

/* ---- counting ---- */

static int store_row(hp_db_t *db, void *arg, hp_err_t *err)
{
    row_job_t *job = arg;
    int rc = 0;
    if (job->row.down_bytes > 0 || job->row.up_bytes > 0)
        rc = hp_db_traffic_add(db, &job->row, err);
    if (rc == 0 && job->prune)
        rc = hp_db_traffic_prune(db, job->row.minute - KEPT_MINUTES, err);
    return rc;
}

static void on_row_stored(void *arg, int status, const hp_err_t *err)
{
    if (status != 0)
        hp_log(HP_LOG_WARN, "a minute of traffic is not recorded: %s", hp_err_text(err));
    free(arg);
}

/* Puts what was counted since the last time into the present minute's row. */
static void flush(hp_traffic_t *self, bool prune)
{
    uint64_t down = hp_transfer_bytes(self->api->deps.transfer),
             up = hp_http_bytes_sent(self->api->deps.peer);
    if (down == self->down_stored && up == self->up_stored && !prune)
        return;
    row_job_t *job = hp_alloc(sizeof *job);
    *job = (row_job_t){
        .row = {.minute = self->minute,
                .down_bytes = down - self->down_stored,
                .up_bytes = up - self->up_stored},
        .prune = prune,
    };
    self->down_stored = down;
    self->up_stored = up;
    hp_store_post(self->api->deps.store, HP_STORE_WRITE_LAZY, store_row, on_row_stored, job);
}

static void on_sample(uv_timer_t *timer)
{
    hp_traffic_t *self = timer->data;
    self->up[self->next] = hp_http_bytes_sent(self->api->deps.peer);
    self->at[self->next] = hp_clock_ns();
    self->next = (self->next + 1) % HP_COUNT(self->up);
    self->count = HP_MIN(self->count + 1, HP_COUNT(self->up));
    int64_t minute = hp_clock_wall_ms() / 60000;
    if (minute != self->minute) {
        flush(self, minute / 60 != self->minute / 60);
        self->minute = minute;
    }
}

uint64_t hp_traffic_up_bps(const hp_traffic_t *self)
{
    if (self->count < 2)
        return 0;
    size_t newest = (self->next + HP_COUNT(self->up) - 1) % HP_COUNT(self->up);
    size_t oldest = (self->next + HP_COUNT(self->up) - self->count) % HP_COUNT(self->up);
    double seconds = (double)(self->at[newest] - self->at[oldest]) / 1e9;
    return seconds > 0 ? (uint64_t)((double)(self->up[newest] - self->up[oldest]) / seconds) : 0;
}

/* ---- reading ---- */

typedef struct {
    hp_api_op_t op;
    int64_t since;
    hp_buf_t json;
} read_op_t;

static void add_minute(void *arg, const hp_db_traffic_t *row)
{
    read_op_t *op = arg;
    char at[HP_RFC3339_SIZE];
    hp_buf_printf(&op->json, "%s{\"at\":\"%s\",\"down_bytes\":%llu,\"up_bytes\":%llu}",
                  op->json.data[op->json.length - 1] == '[' ? "" : ",",
                  hp_clock_rfc3339(row->minute * 60000, at), (unsigned long long)row->down_bytes,
                  (unsigned long long)row->up_bytes);
}

/* Store thread. */
static int read_minutes(hp_db_t *db, void *arg, hp_err_t *err)
{
    read_op_t *op = arg;
    hp_buf_add_text(&op->json, "{\"minutes\":[");
    int rc = hp_db_traffic_each(db, op->since, add_minute, op, err);
    hp_buf_add_text(&op->json, "]}");
    return rc;
}

static void on_minutes(void *arg, int status, const hp_err_t *err)
{
    read_op_t *op = arg;
    if (status == 0)
        hp_api_reply_text(op->op.request, 200, hp_buf_take(&op->json));
    else
        hp_http_reply_problem(op->op.request, status, err);
    hp_buf_dispose(&op->json);
    hp_api_op_destroy(op);
}

void hp_api_get_traffic(hp_api_t *api, hp_http_request_t *request, const char *arg)
{
    (void)arg;
    hp_err_t err = {0};
    const char *text = NULL;
    int64_t since = hp_clock_wall_ms() - (int64_t)SHOWN_MINUTES * 60000;
    int rc = hp_param_get_text(request, "since", &text, &err);
    if (rc == 0 && text != NULL && hp_clock_parse_rfc3339(text, &since) != 0)
        rc = hp_err_set(&err, HP_E_INVALID, "since: is not a time as RFC 3339 writes it");
    if (rc != 0) {
        hp_http_reply_problem(request, rc, &err);
        return;
    }
    flush(api->traffic, false);
    read_op_t *op = hp_api_op_create(sizeof *op, api, request);
    op->since = since / 60000;
    hp_buf_init(&op->json, (size_t)KEPT_MINUTES * 2 * 100);
    hp_store_post(api->deps.store, HP_STORE_READ, read_minutes, on_minutes, op);
}

/* ---- life ---- */

hp_traffic_t *hp_traffic_create(hp_api_t *api)
{
    hp_traffic_t *self = hp_alloc(sizeof *self);
    self->api = api;
    self->minute = hp_clock_wall_ms() / 60000;
    self->down_stored = hp_transfer_bytes(api->deps.transfer);
    self->up_stored = hp_http_bytes_sent(api->deps.peer);
    uv_timer_init(api->deps.loop, &self->timer);
    self->timer.data = self;
    uv_timer_start(&self->timer, on_sample, 0, SAMPLE_MS);
    return self;
}

static void on_timer_closed(uv_handle_t *handle)
{
    hp_traffic_t *self = handle->data;
    void (*closed)(void *) = self->closed;
    void *arg = self->closed_arg;
    free(self);
    closed(arg);
}

void hp_traffic_destroy(hp_traffic_t *self, void (*closed)(void *arg), void *arg)
{
    flush(self, false);
    self->closed = closed;
    self->closed_arg = arg;
    uv_close((uv_handle_t *)&self->timer, on_timer_closed);
}
