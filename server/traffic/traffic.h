/* Bytes of file contents over time: the speed of the last seconds, and a row a minute in the database.
 *
 * What is counted comes from two functions, which are called on the loop until the end. Loop thread. */
#ifndef HP_TRAFFIC_TRAFFIC_H
#define HP_TRAFFIC_TRAFFIC_H

#include "store/store.h"

typedef struct hp_traffic hp_traffic_t;

/* Bytes since the start. */
typedef struct hp_traffic_counters {
    uint64_t (*received)(void *arg), (*sent)(void *arg);
    void *arg;
} hp_traffic_counters_t;

hp_traffic_t *hp_traffic_create(uv_loop_t *loop, hp_store_t *store, const hp_traffic_counters_t *counters);

/* Stores what was counted since the last row, then calls closed. */
void hp_traffic_destroy(hp_traffic_t *traffic, void (*closed)(void *arg), void *arg);

/* Bytes sent a second, over the last seconds. */
uint64_t hp_traffic_sent_bps(const hp_traffic_t *traffic);

typedef struct hp_traffic_minute {
    int64_t at; /* wall ms, when the minute began */
    uint64_t received, sent;
} hp_traffic_minute_t;

/* The minutes since then (wall ms) that had traffic, oldest first, up to now. show runs on the store's thread
 * for each of them, before done; done runs on the loop, once, never inside the call. A month is kept. */
#define HP_TRAFFIC_MINUTES_MAX (31 * 24 * 60)
typedef void (*hp_traffic_minute_fn)(void *arg, const hp_traffic_minute_t *minute);
typedef void (*hp_traffic_done_fn)(void *arg, int status, const hp_err_t *err);
void hp_traffic_read(hp_traffic_t *traffic, int64_t since, hp_traffic_minute_fn show, hp_traffic_done_fn done,
                     void *arg);

#endif
