#include "api/hub.h"

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

/* A thing that was told less than HP_HUB_SPACING_MS ago. */
typedef struct thing {
    struct thing *in_bucket, *next;
    uint64_t told_at;
    hp_topic_t topic;
    bool changed;
    char key[HP_HUB_KEY_SIZE];
} thing_t;

struct hp_hub_listener {
    hp_hub_listener_t *next;
    hp_hub_send_fn send;
    void *arg;
};

struct hp_hub {
    hp_hub_render_fn render;
    void *render_arg;
    hp_hub_listener_t *listeners;
    size_t listener_count;
    uint64_t left_at; /* when the last listener went; 0 never */
    uint64_t next_id;
    bool gap;                  /* the id before next_id was left out, and nobody has seen it */
    event_t kept[HP_HUB_KEPT]; /* event n stands at n % HP_HUB_KEPT; kept_count of them up to next_id */
    size_t kept_count, kept_bytes;
    thing_t *buckets[BUCKETS];
    thing_t *first, **last; /* all things, the one that was told longest ago first */
};

hp_hub_t *hp_hub_create(uint64_t first_id, hp_hub_render_fn render, void *arg)
{
    hp_hub_t *hub = hp_alloc(sizeof *hub);
    hub->render = render;
    hub->render_arg = arg;
    hub->next_id = first_id;
    hub->gap = true;
    hub->last = &hub->first;
    return hub;
}

static void drop_oldest(hp_hub_t *hub)
{
    event_t *event = &hub->kept[(hub->next_id - hub->kept_count) % HP_HUB_KEPT];
    hub->kept_bytes -= event->length;
    hub->kept_count--;
    free(event->data);
    event->data = NULL;
}

void hp_hub_destroy(hp_hub_t *hub)
{
    while (hub->kept_count > 0)
        drop_oldest(hub);
    for (thing_t *thing = hub->first, *next; thing != NULL; thing = next) {
        next = thing->next;
        free(thing);
    }
    for (hp_hub_listener_t *listener = hub->listeners, *next; listener != NULL; listener = next) {
        next = listener->next;
        free(listener);
    }
    free(hub);
}

bool hp_hub_awake(const hp_hub_t *hub, uint64_t now)
{
    return hub->listeners != NULL || (hub->left_at != 0 && now - hub->left_at < HP_HUB_IDLE_MS);
}

/* ---- events ---- */

/* Keeps the event and tells it to all. Takes data. */
static void emit(hp_hub_t *hub, hp_topic_t topic, char *data)
{
    size_t length = strlen(data);
    while (hub->kept_count == HP_HUB_KEPT ||
           (hub->kept_count > 0 && hub->kept_bytes + length > HP_HUB_KEPT_BYTES))
        drop_oldest(hub);
    event_t event = {.id = hub->next_id++, .topic = topic, .data = data, .length = length};
    hub->kept[event.id % HP_HUB_KEPT] = event;
    hub->kept_count++;
    hub->kept_bytes += length;
    for (hp_hub_listener_t *listener = hub->listeners; listener != NULL; listener = listener->next)
        listener->send(listener->arg, event.id, topic_names[topic], data);
}

static void render(hp_hub_t *hub, hp_topic_t topic, const char *key)
{
    char *data = hub->render(hub->render_arg, topic, key);
    if (data != NULL)
        emit(hub, topic, data);
}

/* While nobody is there events are lost, so nothing from before may be taken for a complete replay: an id is
 * left out once. */
static void forget(hp_hub_t *hub)
{
    while (hub->kept_count > 0)
        drop_oldest(hub);
    if (!hub->gap)
        hub->next_id++;
    hub->gap = true;
}

/* ---- things ---- */

static size_t bucket_of(hp_topic_t topic, const char *key)
{
    uint32_t hash = 2166136261u ^ (uint32_t)topic; /* FNV-1a */
    for (const unsigned char *p = (const unsigned char *)key; *p != '\0'; p++)
        hash = (hash ^ *p) * 16777619u;
    return (hash ^ (hash >> 15)) % BUCKETS;
}

static thing_t *find(hp_hub_t *hub, hp_topic_t topic, const char *key)
{
    thing_t *thing = hub->buckets[bucket_of(topic, key)];
    while (thing != NULL && (thing->topic != topic || strncmp(thing->key, key, sizeof thing->key - 1) != 0))
        thing = thing->in_bucket;
    return thing;
}

static void append(hp_hub_t *hub, thing_t *thing)
{
    thing->next = NULL;
    *hub->last = thing;
    hub->last = &thing->next;
}

static thing_t *add(hp_hub_t *hub, hp_topic_t topic, const char *key, uint64_t now)
{
    thing_t *thing = hp_alloc(sizeof *thing), **bucket = &hub->buckets[bucket_of(topic, key)];
    thing->topic = topic;
    thing->told_at = now;
    snprintf(thing->key, sizeof thing->key, "%s", key);
    thing->in_bucket = *bucket;
    *bucket = thing;
    append(hub, thing);
    return thing;
}

static void take_out(hp_hub_t *hub, thing_t *thing)
{
    thing_t **link = &hub->buckets[bucket_of(thing->topic, thing->key)];
    while (*link != thing)
        link = &(*link)->in_bucket;
    *link = thing->in_bucket;
    free(thing);
}

void hp_hub_touch(hp_hub_t *hub, hp_topic_t topic, const char *key, uint64_t now)
{
    if (!hp_hub_awake(hub, now)) {
        forget(hub);
        return;
    }
    thing_t *thing = find(hub, topic, key);
    if (thing != NULL) {
        thing->changed = true;
        return;
    }
    add(hub, topic, key, now);
    render(hub, topic, key);
}

void hp_hub_publish(hp_hub_t *hub, hp_topic_t topic, const char *key, const char *data, uint64_t now)
{
    if (!hp_hub_awake(hub, now)) {
        forget(hub);
        return;
    }
    thing_t *thing = find(hub, topic, key);
    if (thing != NULL)
        thing->changed = false;
    emit(hub, topic, hp_strdup(data));
}

bool hp_hub_tick(hp_hub_t *hub, uint64_t now)
{
    bool awake = hp_hub_awake(hub, now);
    thing_t *end = NULL; /* the first one that was told in this call */
    while (hub->first != NULL && hub->first != end && now - hub->first->told_at >= HP_HUB_SPACING_MS) {
        thing_t *thing = hub->first;
        hub->first = thing->next;
        if (hub->first == NULL)
            hub->last = &hub->first;
        if (!thing->changed || !awake) {
            take_out(hub, thing);
            continue;
        }
        thing->changed = false;
        thing->told_at = now;
        append(hub, thing);
        if (end == NULL)
            end = thing;
        render(hub, thing->topic, thing->key);
    }
    return hub->first != NULL;
}

/* ---- listeners ---- */

static void replay(hp_hub_t *hub, const char *last_id, hp_hub_listener_t *listener)
{
    char *end;
    errno = 0;
    uint64_t last = strtoull(last_id, &end, 10), newest = hub->next_id - 1;
    bool known = last_id[0] >= '0' && last_id[0] <= '9' && *end == '\0' && errno == 0 && last <= newest &&
                 newest - last <= hub->kept_count;
    size_t bytes = 0;
    for (uint64_t id = last + 1; known && id <= newest; id++)
        bytes += hub->kept[id % HP_HUB_KEPT].length;
    if (!known || bytes > HP_HUB_REPLAYED) {
        listener->send(listener->arg, newest, "reset", "{}");
        return;
    }
    for (uint64_t id = last + 1; id <= newest; id++) {
        const event_t *event = &hub->kept[id % HP_HUB_KEPT];
        listener->send(listener->arg, id, topic_names[event->topic], event->data);
    }
}

hp_hub_listener_t *hp_hub_listen(hp_hub_t *hub, const char *last_id, hp_hub_send_fn send, void *arg,
                                 uint64_t now)
{
    if (!hp_hub_awake(hub, now))
        forget(hub);
    hp_hub_listener_t *listener = hp_alloc(sizeof *listener);
    *listener = (hp_hub_listener_t){.next = hub->listeners, .send = send, .arg = arg};
    if (last_id != NULL)
        replay(hub, last_id, listener);
    hub->listeners = listener;
    hub->listener_count++;
    hub->gap = false;
    return listener;
}

void hp_hub_leave(hp_hub_t *hub, hp_hub_listener_t *listener, uint64_t now)
{
    hp_hub_listener_t **link = &hub->listeners;
    while (*link != listener)
        link = &(*link)->next;
    *link = listener->next;
    free(listener);
    hub->listener_count--;
    if (hub->listeners == NULL)
        hub->left_at = now;
}

size_t hp_hub_listeners(const hp_hub_t *hub)
{
    return hub->listener_count;
}
