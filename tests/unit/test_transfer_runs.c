// libs: transfer fetch share store db path pool os base
/* Runs of chunks: which connection gets which, how long they are, and what their loss counts for. */
#include "test_transfer.h"

#include "transfer/reader.h"

static void set_connections(fixture_t *f, unsigned connections)
{
    hp_transfer_settings_t settings = {
        .downloads_folder = f->downloads, .running_downloads = 1, .connections_per_source = connections};
    assert_int_equal(hp_transfer_set(f->transfer, &settings, NULL), 0);
}

static bool has_60_mib(fixture_t *f)
{
    return info_of(f, f->id).done_bytes == (uint64_t)60 << 20;
}

static void a_run_whose_tail_was_taken_over_does_not_get_it_back(void **state)
{
    fixture_t *f = *state;
    served_file_t file;
    serve(&file, (uint64_t)64 << 20, 1, false);
    start(f, 1);
    order_url(f, file.url);
    wait_until(f,
               has_60_mib); /* the other connection has taken over all but the last four chunks of the run */
    assert_int_equal(file.script.waiting, 1);
    uv_sem_post(&file.script.go_on);
    wait_until(f, has_finished);
    assert_int_equal(hp_transfer_bytes(f->transfer), (uint64_t)64 << 20); /* nothing came twice */
    serve_no_more(f, &file);
}

static bool eight_are_waiting(fixture_t *f)
{
    (void)f;
    return watched->script.waiting == 8;
}

static bool a_ninth_has_come(fixture_t *f)
{
    (void)f;
    return watched->script.heads > 8;
}

static void connections_that_are_lost_together_count_as_one_failure(void **state)
{
    fixture_t *f = *state;
    served_file_t file;
    serve(&file, (uint64_t)64 << 20, 8, true);
    start(f, 1);
    set_connections(f, 8);
    order_url(f, file.url);
    wait_until(f, eight_are_waiting);
    uint64_t before = hp_clock_ms();
    for (int i = 0; i < 8; i++)
        uv_sem_post(&file.script.go_on);
    wait_until(f, a_ninth_has_come);
    assert_in_range(hp_clock_ms() - before, 400, 10000); /* 0.5 s, and not the 30 s of eight in a row */
    serve_no_more(f, &file);
}

/* ---- readers ---- */

static void on_no_read(void *arg, int status, const void *data, size_t length)
{
    (void)data, (void)length;
    *(int *)arg = status;
}

static bool two_are_waiting(fixture_t *f)
{
    (void)f;
    return watched->script.waiting == 2;
}

static bool is_settled(fixture_t *f)
{
    return watched->script.waiting == 0 && watched->script.heads >= 4 && info_of(f, f->id).chunks_done > 8;
}

static void runs_are_long_again_when_nobody_reads_along_any_more(void **state)
{
    fixture_t *f = *state;
    served_file_t file;
    serve(&file, (uint64_t)256 << 20, 2, true);
    start(f, 1);
    int64_t id = order_url(f, file.url);
    wait_until(f, two_are_waiting);
    hp_reader_t *content;
    hp_reader_info_t info;
    int status = 0;
    assert_int_equal(hp_reader_open(f->transfer, id, &content, &info, NULL), 0);
    hp_reader_read(content, (uint64_t)200 << 20, 4096, on_no_read, &status);
    uv_run(&f->loop, UV_RUN_NOWAIT); /* it is wanted from now on */
    uv_run(&f->loop, UV_RUN_NOWAIT);
    hp_reader_close(content);
    assert_int_equal(status, UV_ECANCELED);
    uv_sem_post(&file.script.go_on);
    uv_sem_post(&file.script.go_on);
    wait_until(f, is_settled);
    assert_true(file.script.longest > (uint64_t)8 << 20);
    serve_no_more(f, &file);
}

int main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        T(a_run_whose_tail_was_taken_over_does_not_get_it_back),
        T(connections_that_are_lost_together_count_as_one_failure),
        T(runs_are_long_again_when_nobody_reads_along_any_more),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
