// libs: transfer fetch share store db path pool os base
/* The queue: which downloads run, and what people do to them at awkward moments. */
#include "test_transfer.h"

#include <fcntl.h>

#include "db/download.h"

static bool all_wait(fixture_t *f)
{
    return count_waiting(f) == hp_transfer_count(f->transfer);
}

static bool first_has_a_peer_that_failed(fixture_t *f)
{
    hp_download_info_t info = info_of(f, f->id);
    return info.source_count == 1 && info.sources[0].error[0] != '\0';
}

/* ---- the store's thread, held ---- */

static int work_hold(hp_db_t *db, void *arg, hp_err_t *err)
{
    (void)db, (void)err;
    uv_sem_wait(&((fixture_t *)arg)->hold);
    return 0;
}

static void hold_store(fixture_t *f)
{
    hp_store_post(f->store, HP_STORE_READ, work_hold, NULL, f);
}

/* ---- what people do, one thing after the other, faster than the store answers ---- */

static void a_retry_that_is_resumed_at_once_runs(void **state)
{
    fixture_t *f = *state;
    start(f, 3);
    int64_t id = order_url(f, f->dead_url);
    wait_until(f, all_wait);
    f->answered = 0;
    hold_store(f);
    hp_transfer_retry(f->transfer, id, on_answer, f);
    hp_transfer_resume(f->transfer, id, on_answer, f);
    wait_until(f, first_runs);
    uv_sem_post(&f->hold);
    wait_until(f, is_answered);
    wait_until(f, first_has_a_peer_that_failed); /* it does what a running one does */
    assert_int_equal(info_of(f, id).state, HP_DOWNLOAD_RUNNING);
}

static bool are_both_answered(fixture_t *f)
{
    return f->answered == 2;
}

static void a_retry_that_is_paused_at_once_is_paused(void **state)
{
    fixture_t *f = *state;
    start(f, 3);
    int64_t id = order_url(f, f->dead_url);
    wait_until(f, all_wait);
    f->answered = 0;
    hp_transfer_retry(f->transfer, id, on_answer, f);
    hp_transfer_pause(f->transfer, id, on_answer, f);
    wait_until(f, are_both_answered);
    assert_int_equal(info_of(f, id).state, HP_DOWNLOAD_PAUSED);
}

static int work_insert_done(hp_db_t *db, void *arg, hp_err_t *err)
{
    fixture_t *f = arg;
    hp_download_row_t row = {.base = f->downloads,
                             .path = (char *)"f",
                             .order_root = (char *)ROOT,
                             .state = (char *)"done",
                             .reason = (char *)"",
                             .created_at = 1};
    int rc = hp_db_download_insert(db, &row, err);
    f->id = row.id;
    hp_download_file_row_t file = {.download = row.id,
                                   .path = (char *)"f (1)", /* the stop came before the download's row knew */
                                   .source_path = (char *)"",
                                   .state = (char *)"done",
                                   .size = 1,
                                   .root = (char *)ROOT,
                                   .chunk_size = 1 << 20};
    return rc == 0 ? hp_db_download_file_insert(db, &file, err) : rc;
}

static void put_done(fixture_t *f)
{
    hp_err_t err = {0};
    assert_int_equal(hp_store_run_now(f->store, HP_STORE_WRITE, work_insert_done, f, &err), 0);
}

/* A finished download is in the store alone until somebody asks for it. */
static void load(fixture_t *f, int64_t id)
{
    hp_download_info_t info;
    assert_int_equal(hp_transfer_get(f->transfer, id, &info), HP_E_NOT_FOUND);
    f->answered = 0;
    hp_transfer_load(f->transfer, id, on_answer, f);
    wait_until(f, is_answered);
    assert_int_equal(f->status, 0);
    f->answered = 0;
}

static void a_file_is_where_its_row_says_after_a_crash_between_two_commits(void **state)
{
    fixture_t *f = *state;
    put_done(f);
    start(f, 1);
    load(f, f->id);
    char *path = hp_transfer_final_path(f->transfer, f->id), *expected = hp_sprintf("%s/f (1)", f->downloads);
    assert_string_equal(path, expected);
    free(path);
    free(expected);
}

static void an_order_for_what_is_just_being_removed_does_not_bring_it_back(void **state)
{
    fixture_t *f = *state;
    put_done(f);
    start(f, 1);
    load(f, f->id);
    char *path = hp_transfer_final_path(f->transfer, f->id);
    int fd = open(path, O_CREAT | O_WRONLY | O_CLOEXEC, 0600);
    assert_int_equal(write(fd, "x", 1), 1);
    close(fd);
    free(path);
    hp_transfer_remove(f->transfer, f->id, false, NULL, NULL);
    hp_transfer_add(f->transfer, &(hp_download_order_t){.root = ROOT}, on_answer, f);
    wait_until(f, is_answered);
    assert_int_equal(f->status, HP_E_NOT_FOUND); /* no host has it */
    assert_int_equal(hp_transfer_count(f->transfer), 0);
}

/* ---- places ---- */

static void host_is(fixture_t *f, const char *url, bool online)
{
    hp_endpoint_t endpoint;
    assert_int_equal(hp_endpoint_parse_url(url, 0, &endpoint, NULL), 0);
    hp_transfer_host(f->transfer, HOST, "attic", "", &endpoint, 1, true, online);
}

static void count_states(fixture_t *f, size_t *running, size_t *queued)
{
    hp_download_info_t info;
    *running = *queued = 0;
    for (size_t i = 0; hp_transfer_get_at(f->transfer, i, &info) == 0; i++) {
        *running += info.state == HP_DOWNLOAD_RUNNING && !is_waiting(&info);
        *queued += info.state == HP_DOWNLOAD_QUEUED;
    }
}

static bool none_waits(fixture_t *f)
{
    return count_waiting(f) == 0;
}

static void when_a_host_is_back_no_more_run_than_may(void **state)
{
    fixture_t *f = *state;
    start(f, 2);
    host_is(f, f->dead_url, false);
    for (unsigned i = 0; i < 6; i++) {
        char path[8];
        snprintf(path, sizeof path, "%u", i);
        f->answered = 0;
        hp_download_order_t order = {.host = HOST, .path = path, .priority = i == 4 ? 1 : 0};
        hp_transfer_add(f->transfer, &order, on_answer, f);
        wait_until(f, is_answered);
    }
    wait_until(f, all_wait);
    host_is(f, f->silent_url, true);
    wait_until(f, none_waits);
    size_t running, queued;
    count_states(f, &running, &queued);
    assert_int_equal(running, 2);
    assert_int_equal(queued, 4);
    assert_int_equal(info_of(f, 5).state, HP_DOWNLOAD_RUNNING); /* the most urgent */
    assert_int_equal(info_of(f, 1).state, HP_DOWNLOAD_RUNNING); /* the oldest */
}

int main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        T(a_retry_that_is_resumed_at_once_runs),
        T(a_retry_that_is_paused_at_once_is_paused),
        T(a_file_is_where_its_row_says_after_a_crash_between_two_commits),
        T(an_order_for_what_is_just_being_removed_does_not_bring_it_back),
        T(when_a_host_is_back_no_more_run_than_may),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
