#include "traffic/traffic.h"

#include <stdlib.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "db/traffic.h"

#define SAMPLE_MS 1000
#define SAMPLES   5 /* the speed is that of the last 5 s */
#define MINUTE_MS 60000

struct hp_traffic {
    uv_loop_t *loop;
    hp_store_t *store;
    hp_traffic_counters_t counters;
    uv_timer_t timer;
    uint64_t sent[SAMPLES + 1], at[SAMPLES + 1]; /* bytes since the start, and when (ns); a ring */
    size_t next, count;
    uint64_t received_stored, sent_stored; /* bytes that are in rows already */
    int64_t minute;                        /* that is being counted */
    void (*closed)(void *arg);
    void *closed_arg;
};

/* ---- counting ---- */

typedef struct {
    hp_db_traffic_t row;
    bool prune;
} row_job_t;

static int store_row(hp_db_t *db, void *arg, hp_err_t *err)
{
    row_job_t *job = arg;
    int rc = 0;
    if (job->row.down_bytes > 0 || job->row.up_bytes > 0)
        rc = hp_db_traffic_add(db, &job->row, err);
    if (rc == 0 && job->prune)
        rc = hp_db_traffic_prune(db, job->row.minute - HP_TRAFFIC_MINUTES_MAX, err);
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
    uint64_t received = self->counters.received(self->counters.arg),
             sent = self->counters.sent(self->counters.arg);
    if (received == self->received_stored && sent == self->sent_stored && !prune)
        return;
    row_job_t *job = hp_alloc(sizeof *job);
    *job = (row_job_t){
        .row = {.minute = self->minute,
                .down_bytes = received - self->received_stored,
                .up_bytes = sent - self->sent_stored},
        .prune = prune,
    };
    self->received_stored = received;
    self->sent_stored = sent;
    hp_store_post(self->store, HP_STORE_WRITE_LAZY, store_row, on_row_stored, job);
}

static void on_sample(uv_timer_t *timer)
{
    hp_traffic_t *self = timer->data;
    self->sent[self->next] = self->counters.sent(self->counters.arg);
    self->at[self->next] = hp_clock_ns();
    self->next = (self->next + 1) % HP_COUNT(self->sent);
    self->count = HP_MIN(self->count + 1, HP_COUNT(self->sent));
    int64_t minute = hp_clock_wall_ms() / MINUTE_MS;
    if (minute != self->minute) {
        flush(self, minute / 60 != self->minute / 60);
        self->minute = minute;
    }
}

uint64_t hp_traffic_sent_bps(const hp_traffic_t *self)
{
    if (self->count < 2)
        return 0;
    size_t newest = (self->next + HP_COUNT(self->sent) - 1) % HP_COUNT(self->sent);
    size_t oldest = (self->next + HP_COUNT(self->sent) - self->count) % HP_COUNT(self->sent);
    double seconds = (double)(self->at[newest] - self->at[oldest]) / 1e9;
    return seconds > 0 ? (uint64_t)((double)(self->sent[newest] - self->sent[oldest]) / seconds) : 0;
}

/* ---- reading ---- */

typedef struct {
    int64_t since; /* minute */
    hp_traffic_minute_fn show;
    hp_traffic_done_fn done;
    void *arg;
} read_job_t;

static void show_row(void *arg, const hp_db_traffic_t *row)
{
    const read_job_t *job = arg;
    job->show(job->arg, &(hp_traffic_minute_t){.at = row->minute * MINUTE_MS,
                                               .received = row->down_bytes,
                                               .sent = row->up_bytes});
}

static int read_rows(hp_db_t *db, void *arg, hp_err_t *err)
{
    read_job_t *job = arg;
    return hp_db_traffic_each(db, job->since, show_row, job, err);
}

static void on_rows(void *arg, int status, const hp_err_t *err)
{
    read_job_t *job = arg;
    job->done(job->arg, status, err);
    free(job);
}

void hp_traffic_read(hp_traffic_t *self, int64_t since, hp_traffic_minute_fn show, hp_traffic_done_fn done,
                     void *arg)
{
    flush(self, false);
    read_job_t *job = hp_alloc(sizeof *job);
    *job = (read_job_t){.since = since / MINUTE_MS, .show = show, .done = done, .arg = arg};
    hp_store_post(self->store, HP_STORE_READ, read_rows, on_rows, job);
}

/* ---- life ---- */

hp_traffic_t *hp_traffic_create(uv_loop_t *loop, hp_store_t *store, const hp_traffic_counters_t *counters)
{
    hp_traffic_t *self = hp_alloc(sizeof *self);
    self->loop = loop;
    self->store = store;
    self->counters = *counters;
    self->minute = hp_clock_wall_ms() / MINUTE_MS;
    self->received_stored = counters->received(counters->arg);
    self->sent_stored = counters->sent(counters->arg);
    uv_timer_init(loop, &self->timer);
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
