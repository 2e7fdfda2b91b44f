// libs: api path os base
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "api/event_feed.h"
#include "base/mem.h"

/* What a listener got. */
typedef struct {
    size_t count;
    uint64_t ids[3000];
    char names[3000][16];
    char data[3000][64];
} heard_t;

static heard_t heard, other;
static int rendered;
static hp_event_feed_t *feed;

static char *render(void *arg, hp_topic_t topic, const char *key)
{
    (void)arg, (void)topic;
    if (strcmp(key, "gone") == 0)
        return NULL;
    if (strcmp(key, "large") == 0) {
        char *text = hp_alloc(2001);
        memset(text, 'x', 2000);
        return text;
    }
    return hp_sprintf("%s-%d", key, ++rendered);
}

static void on_event(void *arg, uint64_t id, const char *event, const char *data)
{
    heard_t *self = arg;
    assert_true(self->count < HP_COUNT(self->ids));
    self->ids[self->count] = id;
    snprintf(self->names[self->count], 16, "%s", event);
    snprintf(self->data[self->count], 64, "%s", data);
    self->count++;
}

static int set_up(void **state)
{
    (void)state;
    heard.count = other.count = 0;
    rendered = 0;
    feed = hp_event_feed_create(100, render, NULL);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    hp_event_feed_destroy(feed);
    return 0;
}

static void a_change_is_told_at_once(void **state)
{
    (void)state;
    hp_event_feed_listen(feed, NULL, on_event, &heard, 1000);
    assert_int_equal(heard.count, 0);
    hp_event_feed_touch(feed, HP_TOPIC_DOWNLOAD, "7", 1000);
    assert_int_equal(heard.count, 1);
    assert_int_equal(heard.ids[0], 100);
    assert_string_equal(heard.names[0], "download");
    assert_string_equal(heard.data[0], "7-1");
}

static void further_changes_of_a_thing_are_merged_into_one(void **state)
{
    (void)state;
    hp_event_feed_listen(feed, NULL, on_event, &heard, 1000);
    for (int i = 0; i < 100; i++)
        hp_event_feed_touch(feed, HP_TOPIC_DOWNLOAD, "7", 1000 + (uint64_t)i);
    assert_int_equal(heard.count, 1);
    assert_true(hp_event_feed_tick(feed, 1249));
    assert_int_equal(heard.count, 1);
    assert_true(hp_event_feed_tick(feed, 1250));
    assert_int_equal(heard.count, 2);
    assert_false(hp_event_feed_tick(feed, 1500));
    assert_int_equal(heard.count, 2);
}

static void a_thing_is_told_at_most_four_times_in_any_second(void **state)
{
    (void)state;
    uint64_t told_at[200];
    hp_event_feed_listen(feed, NULL, on_event, &heard, 1000);
    for (uint64_t now = 1000; now < 11000; now += 7) {
        size_t before = heard.count;
        hp_event_feed_touch(feed, HP_TOPIC_STATUS, "", now);
        if (now % 3 == 0)
            hp_event_feed_tick(feed, now);
        for (size_t i = before; i < heard.count; i++)
            told_at[i] = now;
    }
    assert_in_range(heard.count, 35, 40);
    for (size_t i = 4; i < heard.count; i++)
        assert_true(told_at[i] - told_at[i - 4] >= 1000);
}

static void things_do_not_wait_for_each_other(void **state)
{
    (void)state;
    hp_event_feed_listen(feed, NULL, on_event, &heard, 1000);
    for (int i = 0; i < 2000; i++) {
        char key[16];
        snprintf(key, sizeof key, "%d", i);
        hp_event_feed_touch(feed, HP_TOPIC_DOWNLOAD, key, 1000);
    }
    assert_int_equal(heard.count, 2000);
    hp_event_feed_touch(feed, HP_TOPIC_HOST, "5", 1000);
    assert_int_equal(heard.count, 2001);
    assert_false(hp_event_feed_tick(feed, 1250));
}

static void what_has_nothing_to_tell_makes_no_event(void **state)
{
    (void)state;
    hp_event_feed_listen(feed, NULL, on_event, &heard, 1000);
    hp_event_feed_touch(feed, HP_TOPIC_DOWNLOAD, "gone", 1000);
    assert_int_equal(heard.count, 0);
}

static void the_end_of_a_thing_is_told_at_once_and_nothing_after_it(void **state)
{
    (void)state;
    hp_event_feed_listen(feed, NULL, on_event, &heard, 1000);
    hp_event_feed_touch(feed, HP_TOPIC_DOWNLOAD, "7", 1000);
    hp_event_feed_touch(feed, HP_TOPIC_DOWNLOAD, "7", 1001);
    hp_event_feed_publish(feed, HP_TOPIC_DOWNLOAD, "7", "end", 1002);
    assert_int_equal(heard.count, 2);
    assert_string_equal(heard.data[1], "end");
    hp_event_feed_tick(feed, 2000);
    assert_int_equal(heard.count, 2);
}

static void every_listener_gets_the_same_events(void **state)
{
    (void)state;
    hp_event_feed_listener_t *first = hp_event_feed_listen(feed, NULL, on_event, &heard, 1000);
    hp_event_feed_listen(feed, NULL, on_event, &other, 1000);
    hp_event_feed_touch(feed, HP_TOPIC_HOST, "a", 1000);
    assert_int_equal(other.count, 1);
    assert_int_equal(other.ids[0], heard.ids[0]);
    hp_event_feed_leave(feed, first, 1000);
    hp_event_feed_touch(feed, HP_TOPIC_HOST, "b", 1000);
    assert_int_equal(other.count, 2);
    assert_int_equal(heard.count, 1);
    assert_int_equal(hp_event_feed_listeners(feed), 1);
}

static void who_comes_back_gets_what_was_missed(void **state)
{
    (void)state;
    hp_event_feed_listener_t *listener = hp_event_feed_listen(feed, NULL, on_event, &heard, 1000);
    hp_event_feed_publish(feed, HP_TOPIC_HOST, "a", "one", 1000);
    hp_event_feed_leave(feed, listener, 1000);
    hp_event_feed_publish(feed, HP_TOPIC_HOST, "a", "two", 1001);
    hp_event_feed_publish(feed, HP_TOPIC_SCAN, "", "three", 1002);
    hp_event_feed_listen(feed, "100", on_event, &other, 2000);
    assert_int_equal(other.count, 2);
    assert_string_equal(other.data[0], "two");
    assert_int_equal(other.ids[1], 102);
    assert_string_equal(other.names[1], "scan");
}

static void who_missed_nothing_gets_nothing(void **state)
{
    (void)state;
    hp_event_feed_listen(feed, NULL, on_event, &heard, 1000);
    hp_event_feed_publish(feed, HP_TOPIC_HOST, "a", "one", 1000);
    hp_event_feed_listen(feed, "100", on_event, &other, 1000);
    assert_int_equal(other.count, 0);
}

static void only_the_last_thousand_are_replayed_else_there_is_one_reset(void **state)
{
    (void)state;
    hp_event_feed_listen(feed, NULL, on_event, &heard, 1000);
    for (int i = 0; i < HP_EVENT_FEED_KEPT + 5; i++)
        hp_event_feed_publish(feed, HP_TOPIC_HOST, "a", "x", 1000);
    hp_event_feed_listen(feed, "104", on_event, &other, 1000);
    assert_int_equal(other.count, HP_EVENT_FEED_KEPT);
    assert_int_equal(other.ids[0], 105);
    other.count = 0;
    hp_event_feed_listen(feed, "103", on_event, &other, 1000);
    assert_int_equal(other.count, 1);
    assert_string_equal(other.names[0], "reset");
    assert_int_equal(other.ids[0], 100 + HP_EVENT_FEED_KEPT + 5 - 1);
}

static void an_id_of_nobody_is_answered_with_a_reset(void **state)
{
    (void)state;
    hp_event_feed_listen(feed, NULL, on_event, &heard, 1000);
    hp_event_feed_publish(feed, HP_TOPIC_HOST, "a", "x", 1000);
    const char *const ids[] = {"", "abc", "-1", "101", "5", "100x", "99999999999999999999999"};
    for (size_t i = 0; i < HP_COUNT(ids); i++) {
        other.count = 0;
        hp_event_feed_listen(feed, ids[i], on_event, &other, 1000);
        assert_int_equal(other.count, 1);
        assert_string_equal(other.names[0], "reset");
    }
}

static void a_replay_longer_than_a_client_could_take_is_a_reset(void **state)
{
    (void)state;
    hp_event_feed_listen(feed, NULL, on_event, &heard, 1000);
    hp_event_feed_publish(feed, HP_TOPIC_HOST, "a", "x", 1000);
    for (uint64_t now = 1000; heard.count <= HP_EVENT_FEED_REPLAYED / 2000 + 1; now += 250) {
        hp_event_feed_touch(feed, HP_TOPIC_HOST, "large", now);
        hp_event_feed_tick(feed, now);
    }
    hp_event_feed_listen(feed, "100", on_event, &other, 1000);
    assert_int_equal(other.count, 1);
    assert_string_equal(other.names[0], "reset");
}

static void nobody_listening_costs_nothing_and_a_late_comer_is_reset(void **state)
{
    (void)state;
    hp_event_feed_touch(feed, HP_TOPIC_HOST, "a", 1000);
    assert_int_equal(rendered, 0);
    hp_event_feed_listener_t *listener = hp_event_feed_listen(feed, NULL, on_event, &heard, 1000);
    hp_event_feed_touch(feed, HP_TOPIC_HOST, "a", 1000);
    hp_event_feed_leave(feed, listener, 1000);
    hp_event_feed_touch(feed, HP_TOPIC_HOST, "b", 1000 + HP_EVENT_FEED_IDLE_MS - 1);
    assert_int_equal(rendered, 2);
    hp_event_feed_touch(feed, HP_TOPIC_HOST, "b", 1000 + HP_EVENT_FEED_IDLE_MS - 1);
    assert_false(hp_event_feed_tick(feed, 2000 + HP_EVENT_FEED_IDLE_MS));
    hp_event_feed_touch(feed, HP_TOPIC_HOST, "c", 2000 + HP_EVENT_FEED_IDLE_MS);
    assert_int_equal(rendered, 2);
    hp_event_feed_listen(feed, "101", on_event, &other, 2000 + HP_EVENT_FEED_IDLE_MS);
    assert_int_equal(other.count, 1);
    assert_string_equal(other.names[0], "reset");
}

static void who_saw_only_a_reset_is_reset_again_after_a_sleep(void **state)
{
    (void)state;
    char id[24];
    uint64_t now = 1000;
    hp_event_feed_listener_t *listener = hp_event_feed_listen(feed, "1", on_event, &heard, now);
    for (int i = 0; i < 3; i++) {
        snprintf(id, sizeof id, "%llu", (unsigned long long)heard.ids[heard.count - 1]);
        hp_event_feed_leave(feed, listener, now);
        now += 2 * HP_EVENT_FEED_IDLE_MS;
        hp_event_feed_touch(feed, HP_TOPIC_HOST, "a", now);
        hp_event_feed_touch(feed, HP_TOPIC_HOST, "b", now);
        listener = hp_event_feed_listen(feed, id, on_event, &heard, now);
        assert_int_equal(heard.count, i + 2);
        assert_string_equal(heard.names[i + 1], "reset");
    }
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        TEST(a_change_is_told_at_once),
        TEST(further_changes_of_a_thing_are_merged_into_one),
        TEST(a_thing_is_told_at_most_four_times_in_any_second),
        TEST(things_do_not_wait_for_each_other),
        TEST(what_has_nothing_to_tell_makes_no_event),
        TEST(the_end_of_a_thing_is_told_at_once_and_nothing_after_it),
        TEST(every_listener_gets_the_same_events),
        TEST(who_comes_back_gets_what_was_missed),
        TEST(who_missed_nothing_gets_nothing),
        TEST(only_the_last_thousand_are_replayed_else_there_is_one_reset),
        TEST(an_id_of_nobody_is_answered_with_a_reset),
        TEST(a_replay_longer_than_a_client_could_take_is_a_reset),
        TEST(nobody_listening_costs_nothing_and_a_late_comer_is_reset),
        TEST(who_saw_only_a_reset_is_reset_again_after_a_sleep),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
