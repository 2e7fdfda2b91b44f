/* When the doctor asks others whether they can connect here. The timer and what lies on the network are
 * played. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <uv.h>

static uint64_t due_ms; /* what the timer was started with */
static int play_timer_start(uv_timer_t *timer, uv_timer_cb on_time, uint64_t ms, uint64_t repeat);
#define uv_timer_start play_timer_start
#include "../../server/doctor/watch.c"
#undef uv_timer_start

#define MINUTE ((uint64_t)60000)

static uv_timer_cb callback;
static hp_host_t hosts[2];
static hp_host_address_t places[2];
static size_t host_count;
static hp_ask_fn asked_done;
static void *asked_arg;

static int play_timer_start(uv_timer_t *timer, uv_timer_cb on_time_cb, uint64_t ms, uint64_t repeat)
{
    (void)timer;
    assert_int_equal(repeat, 0);
    callback = on_time_cb;
    due_ms = ms;
    return 0;
}

size_t hp_hosts_count(const hp_hosts_t *self)
{
    (void)self;
    return host_count;
}

const hp_host_t *hp_hosts_at(const hp_hosts_t *self, size_t index)
{
    (void)self;
    return &hosts[index];
}

hp_discovery_view_t hp_discovery_view(const hp_discovery_t *self)
{
    (void)self;
    return (hp_discovery_view_t){.everywhere = true};
}

void hp_discovery_was_reached(hp_discovery_t *self)
{
    (void)self;
}

hp_ask_t *hp_ask_start(hp_doctor_t *doctor, const hp_endpoint_t *at, hp_ask_fn done, void *arg)
{
    (void)doctor;
    (void)at;
    asked_done = done;
    asked_arg = arg;
    return (hp_ask_t *)&asked_done;
}

void hp_ask_cancel(hp_ask_t *ask)
{
    (void)ask;
}

static void set_up(hp_doctor_t *self, size_t count)
{
    *self = (hp_doctor_t){0};
    self->watch.timer.data = self;
    host_count = count;
    for (size_t i = 0; i < count; i++) {
        hosts[i] = (hp_host_t){.online = true, .proven = true, .addresses = &places[i], .address_count = 1};
        snprintf(hosts[i].name, sizeof hosts[i].name, "host %zu", i);
        assert_int_equal(hp_endpoint_make(&places[i].endpoint, HP_SCHEME_TLS, "192.168.1.20", 9000), 0);
    }
    hp_doctor_watch_start(self);
}

/* The time has come; the host that is asked says this. */
static void pass_time(hp_doctor_t *self, hp_back_t back)
{
    asked_done = NULL;
    callback(&self->watch.timer);
    assert_non_null(asked_done);
    due_ms = UINT64_MAX;
    asked_done(asked_arg, &(hp_back_answer_t){.back = back});
}

static void others_are_asked_again_half_an_hour_after_they_could_connect(void **state)
{
    (void)state;
    hp_doctor_t self;
    set_up(&self, 2);
    assert_int_equal(due_ms, 8000);
    for (int i = 0; i < 3; i++) {
        pass_time(&self, HP_BACK_REACHED);
        assert_in_range(due_ms, 27 * MINUTE, 33 * MINUTE);
        assert_string_equal(hp_doctor_blocked(&self), "");
    }
    /* A firewall was switched on: one host that cannot connect may have one of its own, two say it. */
    pass_time(&self, HP_BACK_BLOCKED);
    assert_string_equal(hp_doctor_blocked(&self), "");
    assert_int_equal(due_ms, 0);
    pass_time(&self, HP_BACK_BLOCKED);
    assert_string_not_equal(hp_doctor_blocked(&self), "");
    assert_int_equal(due_ms, 5 * MINUTE);
    pass_time(&self, HP_BACK_REACHED);
    assert_string_equal(hp_doctor_blocked(&self), "");
    assert_in_range(due_ms, 27 * MINUTE, 33 * MINUTE);
}

static void nobody_there_is_waited_for(void **state)
{
    (void)state;
    hp_doctor_t self;
    set_up(&self, 0);
    callback(&self.watch.timer);
    assert_int_equal(due_ms, MINUTE);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(others_are_asked_again_half_an_hour_after_they_could_connect),
        cmocka_unit_test(nobody_there_is_waited_for),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
