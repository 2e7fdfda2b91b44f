/* The event feed: tells any number of listeners what happened; a listener may come back later and get what it
 * missed.
 *
 * A thing (a download, a host, the scan) is told at most 4 times a second: while it must wait, further
 * changes only mark it, and it is rendered when its turn has come, so that an event always shows the present
 * state. The last HP_EVENT_FEED_KEPT events stay in memory for listeners that come back with the id of the
 * last one that they saw.
 *
 * Invariants
 * 1. One thread. No call blocks, none calls back into the feed's owner but render and send.
 * 2. Ids go up by one from the start id. Nothing is skipped for one listener that another one gets.
 * 3. When there was no listener for HP_EVENT_FEED_IDLE_MS, nothing is rendered or kept; a listener that comes
 * later gets a reset.
 */
#ifndef HP_API_EVENT_FEED_H
#define HP_API_EVENT_FEED_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define HP_EVENT_FEED_KEPT       1000
#define HP_EVENT_FEED_KEPT_BYTES ((size_t)4 * 1024 * 1024) /* of kept events, whatever their number */
#define HP_EVENT_FEED_REPLAYED                                                                               \
    ((size_t)128 * 1024)             /* bytes that a replay may have; a longer one is a reset */
#define HP_EVENT_FEED_SPACING_MS 250 /* between two events of one thing */
#define HP_EVENT_FEED_IDLE_MS    60000
#define HP_EVENT_FEED_KEY_SIZE   96

/* topic, the event's name */
#define HP_TOPICS(X)                                                                                         \
    X(STATUS, "status")                                                                                      \
    X(HOST, "host")                                                                                          \
    X(GROUP, "group")                                                                                        \
    X(SCAN, "scan")                                                                                          \
    X(DOWNLOAD, "download")                                                                                  \
    X(SHARE, "share")                                                                                        \
    X(CONNECTION, "connection")                                                                              \
    X(PAIRING, "pairing")                                                                                    \
    X(INBOX, "inbox")                                                                                        \
    X(DOCTOR, "doctor")                                                                                      \
    X(PUSH, "push")                                                                                          \
    X(MESSAGE, "message")                                                                                    \
    X(SETTINGS, "settings")                                                                                  \
    X(LOG, "log")
typedef enum {
#define X(name, text) HP_TOPIC_##name,
    HP_TOPICS(X)
#undef X
} hp_topic_t;

typedef struct hp_event_feed hp_event_feed_t;
typedef struct hp_event_feed_listener hp_event_feed_listener_t;

/* The thing as JSON text, malloced; NULL when there is nothing to tell. */
typedef char *(*hp_event_feed_render_fn)(void *arg, hp_topic_t topic, const char *key);

/* One event for one listener. event is the topic's name, or "reset". It may not call hp_event_feed_leave. */
typedef void (*hp_event_feed_send_fn)(void *arg, uint64_t id, const char *event, const char *data);

/* first_id: of the first event, above every id of an earlier run. */
hp_event_feed_t *hp_event_feed_create(uint64_t first_id, hp_event_feed_render_fn render, void *arg);
void hp_event_feed_destroy(hp_event_feed_t *feed);

/* The thing changed: told at once, or when it may be again. now is monotonic milliseconds. */
void hp_event_feed_touch(hp_event_feed_t *feed, hp_topic_t topic, const char *key, uint64_t now);

/* Tells this, at once and not merged with anything (a thing's end, a log line); what waits for the same thing
 * is dropped. */
void hp_event_feed_publish(hp_event_feed_t *feed, hp_topic_t topic, const char *key, const char *data,
                           uint64_t now);

/* Sends what waited long enough. Whether anything still waits or is spaced: call again soon. */
bool hp_event_feed_tick(hp_event_feed_t *feed, uint64_t now);

/* last_id: the id that the listener saw last, as text; NULL for a new one. What it missed is sent inside the
 * call, or one reset. */
hp_event_feed_listener_t *hp_event_feed_listen(hp_event_feed_t *feed, const char *last_id,
                                               hp_event_feed_send_fn send, void *arg, uint64_t now);
void hp_event_feed_leave(hp_event_feed_t *feed, hp_event_feed_listener_t *listener, uint64_t now);
size_t hp_event_feed_listeners(const hp_event_feed_t *feed);

/* Whether anybody listens, or did not long ago: what is not seen need not be looked for. */
bool hp_event_feed_awake(const hp_event_feed_t *feed, uint64_t now);

#endif
