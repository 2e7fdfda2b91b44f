#include "api/event_feed.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"

#define BUCKETS 1024 /* of things that are spaced just now; a power of two */

static const char *const topic_names[] = {
#define X(name, text) text,
    HP_TOPICS(X)
#undef X
};

typedef struct {
    uint64_t id;
    hp_topic_t topic;
    char *data;
    size_t length;
} event_t;

/* A thing that was told less than HP_EVENT_FEED_SPACING_MS ago. */
typedef struct thing {
    struct thing *in_bucket, *next;
    uint64_t sent_at;
    hp_topic_t topic;
    bool changed;
    char key[HP_EVENT_FEED_KEY_SIZE];
} thing_t;

struct hp_event_feed_listener {
    hp_event_feed_listener_t *next;
    hp_event_feed_send_fn send;
    void *arg;
};

struct hp_event_feed {
    hp_event_feed_render_fn render;
    void *render_arg;
    hp_event_feed_listener_t *listeners;
    size_t listener_count;
    uint64_t left_at; /* when the last listener went; 0 never */
    uint64_t next_id;
    bool gap;                         /* the id before next_id was left out: no listener has seen it */
    event_t kept[HP_EVENT_FEED_KEPT]; /* event n stands at n % HP_EVENT_FEED_KEPT; kept_count of them up to
                                         next_id */
    size_t kept_count, kept_bytes;
    thing_t *buckets[BUCKETS];
    thing_t *first, **last; /* all things, the one that was told longest ago first */
};

hp_event_feed_t *hp_event_feed_create(uint64_t first_id, hp_event_feed_render_fn render, void *arg)
{
    hp_event_feed_t *feed = hp_alloc(sizeof *feed);
    feed->render = render;
    feed->render_arg = arg;
    feed->next_id = first_id;
    feed->gap = true;
    feed->last = &feed->first;
    return feed;
}

static void drop_oldest(hp_event_feed_t *feed)
{
    event_t *event = &feed->kept[(feed->next_id - feed->kept_count) % HP_EVENT_FEED_KEPT];
    feed->kept_bytes -= event->length;
    feed->kept_count--;
    free(event->data);
    event->data = NULL;
}

void hp_event_feed_destroy(hp_event_feed_t *feed)
{
    while (feed->kept_count > 0)
        drop_oldest(feed);
    for (thing_t *thing = feed->first, *next; thing != NULL; thing = next) {
        next = thing->next;
        free(thing);
    }
    for (hp_event_feed_listener_t *listener = feed->listeners, *next; listener != NULL; listener = next) {
        next = listener->next;
        free(listener);
    }
    free(feed);
}

bool hp_event_feed_awake(const hp_event_feed_t *feed, uint64_t now)
{
    return feed->listeners != NULL || (feed->left_at != 0 && now - feed->left_at < HP_EVENT_FEED_IDLE_MS);
}

/* ---- events ---- */

/* Keeps the event and tells it to all. Takes data. */
static void emit(hp_event_feed_t *feed, hp_topic_t topic, char *data)
{
    size_t length = strlen(data);
    while (feed->kept_count == HP_EVENT_FEED_KEPT ||
           (feed->kept_count > 0 && feed->kept_bytes + length > HP_EVENT_FEED_KEPT_BYTES))
        drop_oldest(feed);
    event_t event = {.id = feed->next_id++, .topic = topic, .data = data, .length = length};
    feed->kept[event.id % HP_EVENT_FEED_KEPT] = event;
    feed->kept_count++;
    feed->kept_bytes += length;
    for (hp_event_feed_listener_t *listener = feed->listeners; listener != NULL; listener = listener->next)
        listener->send(listener->arg, event.id, topic_names[topic], data);
}

static void render(hp_event_feed_t *feed, hp_topic_t topic, const char *key)
{
    char *data = feed->render(feed->render_arg, topic, key);
    if (data != NULL)
        emit(feed, topic, data);
}

/* Events are lost while there is no listener, so nothing from before may be taken for a complete replay: an
 * id is left out once. */
static void forget(hp_event_feed_t *feed)
{
    while (feed->kept_count > 0)
        drop_oldest(feed);
    if (!feed->gap)
        feed->next_id++;
    feed->gap = true;
}

/* ---- things ---- */

static size_t bucket_of(hp_topic_t topic, const char *key)
{
    uint32_t hash = 2166136261u ^ (uint32_t)topic; /* FNV-1a */
    for (const unsigned char *p = (const unsigned char *)key; *p != '\0'; p++)
        hash = (hash ^ *p) * 16777619u;
    return (hash ^ (hash >> 15)) % BUCKETS;
}

static thing_t *find(hp_event_feed_t *feed, hp_topic_t topic, const char *key)
{
    thing_t *thing = feed->buckets[bucket_of(topic, key)];
    while (thing != NULL && (thing->topic != topic || strncmp(thing->key, key, sizeof thing->key - 1) != 0))
        thing = thing->in_bucket;
    return thing;
}

static void append(hp_event_feed_t *feed, thing_t *thing)
{
    thing->next = NULL;
    *feed->last = thing;
    feed->last = &thing->next;
}

static thing_t *add(hp_event_feed_t *feed, hp_topic_t topic, const char *key, uint64_t now)
{
    thing_t *thing = hp_alloc(sizeof *thing), **bucket = &feed->buckets[bucket_of(topic, key)];
    thing->topic = topic;
    thing->sent_at = now;
    snprintf(thing->key, sizeof thing->key, "%s", key);
    thing->in_bucket = *bucket;
    *bucket = thing;
    append(feed, thing);
    return thing;
}

static void remove_thing(hp_event_feed_t *feed, thing_t *thing)
{
    thing_t **link = &feed->buckets[bucket_of(thing->topic, thing->key)];
    while (*link != thing)
        link = &(*link)->in_bucket;
    *link = thing->in_bucket;
    free(thing);
}

void hp_event_feed_touch(hp_event_feed_t *feed, hp_topic_t topic, const char *key, uint64_t now)
{
    if (!hp_event_feed_awake(feed, now)) {
        forget(feed);
        return;
    }
    thing_t *thing = find(feed, topic, key);
    if (thing != NULL) {
        thing->changed = true;
        return;
    }
    add(feed, topic, key, now);
    render(feed, topic, key);
}

void hp_event_feed_publish(hp_event_feed_t *feed, hp_topic_t topic, const char *key, const char *data,
                           uint64_t now)
{
    if (!hp_event_feed_awake(feed, now)) {
        forget(feed);
        return;
    }
    thing_t *thing = find(feed, topic, key);
    if (thing != NULL)
        thing->changed = false;
    emit(feed, topic, hp_strdup(data));
}

bool hp_event_feed_tick(hp_event_feed_t *feed, uint64_t now)
{
    bool awake = hp_event_feed_awake(feed, now);
    thing_t *end = NULL; /* the first one that was told in this call */
    while (feed->first != NULL && feed->first != end &&
           now - feed->first->sent_at >= HP_EVENT_FEED_SPACING_MS) {
        thing_t *thing = feed->first;
        feed->first = thing->next;
        if (feed->first == NULL)
            feed->last = &feed->first;
        if (!thing->changed || !awake) {
            remove_thing(feed, thing);
            continue;
        }
        thing->changed = false;
        thing->sent_at = now;
        append(feed, thing);
        if (end == NULL)
            end = thing;
        render(feed, thing->topic, thing->key);
    }
    return feed->first != NULL;
}

/* ---- listeners ---- */

static void replay(hp_event_feed_t *feed, const char *last_id, hp_event_feed_listener_t *listener)
{
    char *end;
    errno = 0;
    uint64_t last = strtoull(last_id, &end, 10), newest = feed->next_id - 1;
    bool known = last_id[0] >= '0' && last_id[0] <= '9' && *end == '\0' && errno == 0 && last <= newest &&
                 newest - last <= feed->kept_count;
    size_t bytes = 0;
    for (uint64_t id = last + 1; known && id <= newest; id++)
        bytes += feed->kept[id % HP_EVENT_FEED_KEPT].length;
    if (!known || bytes > HP_EVENT_FEED_REPLAYED) {
        listener->send(listener->arg, newest, "reset", "{}");
        return;
    }
    for (uint64_t id = last + 1; id <= newest; id++) {
        const event_t *event = &feed->kept[id % HP_EVENT_FEED_KEPT];
        listener->send(listener->arg, id, topic_names[event->topic], event->data);
    }
}

hp_event_feed_listener_t *hp_event_feed_listen(hp_event_feed_t *feed, const char *last_id,
                                               hp_event_feed_send_fn send, void *arg, uint64_t now)
{
    if (!hp_event_feed_awake(feed, now))
        forget(feed);
    hp_event_feed_listener_t *listener = hp_alloc(sizeof *listener);
    *listener = (hp_event_feed_listener_t){.next = feed->listeners, .send = send, .arg = arg};
    if (last_id != NULL)
        replay(feed, last_id, listener);
    feed->listeners = listener;
    feed->listener_count++;
    feed->gap = false;
    return listener;
}

void hp_event_feed_leave(hp_event_feed_t *feed, hp_event_feed_listener_t *listener, uint64_t now)
{
    hp_event_feed_listener_t **link = &feed->listeners;
    while (*link != listener)
        link = &(*link)->next;
    *link = listener->next;
    free(listener);
    feed->listener_count--;
    if (feed->listeners == NULL)
        feed->left_at = now;
}

size_t hp_event_feed_listeners(const hp_event_feed_t *feed)
{
    return feed->listener_count;
}
