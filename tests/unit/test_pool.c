// libs: pool base
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "pool/pool.h"

typedef struct owner {
    uv_loop_t loop;
    uv_thread_t loop_thread;
    hp_pending_t pending;
    unsigned ran, ended, failed, told, ended_when_told;
    uv_mutex_t mutex;
} owner_t;

static int work(void *arg, hp_err_t *err)
{
    owner_t *self = arg;
    uv_thread_t here = uv_thread_self();
    uv_mutex_lock(&self->mutex);
    unsigned number = self->ran++;
    uv_mutex_unlock(&self->mutex);
    if (uv_thread_equal(&here, &self->loop_thread))
        return hp_err_set(err, -EINVAL, "ran on the loop");
    return number % 4 == 3 ? hp_err_set(err, -EIO, "the fourth") : 0;
}

static void on_done(void *arg, int status, const hp_err_t *err)
{
    owner_t *self = arg;
    uv_thread_t here = uv_thread_self();
    assert_true(uv_thread_equal(&here, &self->loop_thread));
    assert_int_equal(err->code, status);
    self->ended++;
    if (status == 0)
        return;
    assert_int_equal(status, -EIO);
    assert_string_equal(hp_err_text(err), "the fourth");
    self->failed++;
}

static void on_none(void *arg)
{
    owner_t *self = arg;
    self->told++;
    self->ended_when_told = self->ended;
}

static void begin(owner_t *self)
{
    *self = (owner_t){.loop_thread = uv_thread_self()};
    assert_int_equal(uv_loop_init(&self->loop), 0);
    assert_int_equal(uv_mutex_init(&self->mutex), 0);
}

static void end(owner_t *self)
{
    assert_int_equal(uv_run(&self->loop, UV_RUN_DEFAULT), 0);
    uv_mutex_destroy(&self->mutex);
    assert_int_equal(uv_loop_close(&self->loop), 0);
}

static void an_owner_is_told_once_when_the_last_job_has_ended(void **state)
{
    (void)state;
    owner_t self;
    begin(&self);
    for (int i = 0; i < 40; i++)
        hp_pool_post(&self.loop, &self.pending, work, on_done, &self);
    assert_int_equal(self.pending.count, 40);
    assert_int_equal(self.ended, 0);
    hp_pending_when_none(&self.pending, on_none, &self);
    assert_int_equal(self.told, 0);
    end(&self);
    assert_int_equal(self.ran, 40);
    assert_int_equal(self.ended, 40);
    assert_int_equal(self.failed, 10);
    assert_int_equal(self.told, 1);
    assert_int_equal(self.ended_when_told, 40);
    assert_int_equal(self.pending.count, 0);
}

static void on_done_and_another(void *arg, int status, const hp_err_t *err)
{
    owner_t *self = arg;
    on_done(arg, status, err);
    if (self->ended < 3)
        hp_pool_post(&self->loop, &self->pending, work, on_done_and_another, self);
}

static void a_job_that_the_last_one_posts_is_waited_for(void **state)
{
    (void)state;
    owner_t self;
    begin(&self);
    hp_pool_post(&self.loop, &self.pending, work, on_done_and_another, &self);
    hp_pending_when_none(&self.pending, on_none, &self);
    end(&self);
    assert_int_equal(self.ended, 3);
    assert_int_equal(self.told, 1);
    assert_int_equal(self.ended_when_told, 3);
}

static void an_owner_without_jobs_is_told_at_once(void **state)
{
    (void)state;
    owner_t self;
    begin(&self);
    hp_pending_when_none(&self.pending, on_none, &self);
    assert_int_equal(self.told, 1);
    hp_pending_add(&self.pending);
    hp_pending_drop(&self.pending); /* nobody waits any more */
    assert_int_equal(self.told, 1);
    hp_pool_post(&self.loop, NULL, work, NULL, &self); /* neither counted nor waited for */
    end(&self);
    assert_int_equal(self.ran, 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_owner_is_told_once_when_the_last_job_has_ended),
        cmocka_unit_test(a_job_that_the_last_one_posts_is_waited_for),
        cmocka_unit_test(an_owner_without_jobs_is_told_at_once),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
