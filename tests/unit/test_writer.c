// libs: transfer fetch share store db path os base
/* Chunks on their way to the disk: checked, written where they belong, past the page cache and through it. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/mem.h"
#include "share/merkle.h"
#include "transfer/part.h"
#include "transfer/writer.h"

#define CHUNK 1048576u
#define TAIL  12345u

typedef struct fixture {
    uv_loop_t loop;
    hp_writer_t *writer;
    hp_file_writes_t writes;
    char path[64];
    int fd, rooms, done;
} fixture_t;

typedef struct chunk {
    hp_chunk_job_t job;
    fixture_t *fixture;
} chunk_t;

static void on_room(void *arg)
{
    ((fixture_t *)arg)->rooms++;
}

static int set_up(void **state)
{
    static fixture_t f;
    memset(&f, 0, sizeof f);
    /* Not /tmp, which is often in memory only. */
    snprintf(f.path, sizeof f.path, "/var/tmp/hostpair-writer-XXXXXX");
    f.fd = mkstemp(f.path);
    uv_loop_init(&f.loop);
    f.writer = hp_writer_create(&f.loop, on_room, &f);
    hp_file_writes_init(&f.writes);
    *state = &f;
    return f.fd >= 0 ? 0 : -1;
}

static int tear_down(void **state)
{
    fixture_t *f = *state;
    hp_file_writes_dispose(&f->writes);
    hp_writer_destroy(f->writer);
    close(f->fd);
    unlink(f->path);
    return uv_loop_close(&f->loop);
}

static void on_done(hp_chunk_job_t *job)
{
    HP_CONTAINER(job, chunk_t, job)->fixture->done++;
}

static void put(fixture_t *f, chunk_t *chunk, uint64_t offset, size_t length, char byte, uint64_t file_size)
{
    hp_chunk_buffer_t *buffer = hp_writer_take(f->writer, CHUNK);
    assert_int_equal((uintptr_t)buffer->data % HP_WRITER_ALIGN, 0);
    memset(buffer->data, byte, length);
    buffer->length = length;
    chunk->fixture = f;
    chunk->job.buffer = buffer;
    chunk->job.fd = f->fd;
    chunk->job.writes = &f->writes;
    chunk->job.offset = offset;
    chunk->job.chunk_size = CHUNK;
    chunk->job.file_size = file_size;
    chunk->job.done = on_done;
    hp_writer_put(f->writer, &chunk->job);
}

static void assert_bytes(const fixture_t *f, uint64_t offset, size_t length, char byte)
{
    char *data = hp_alloc(length);
    assert_int_equal(pread(f->fd, data, length, (off_t)offset), length);
    for (size_t i = 0; i < length; i++)
        if (data[i] != byte)
            fail_msg("byte %zu is %d, not %d", (size_t)offset + i, data[i], byte);
    free(data);
}

/* Sixteen chunks and a short one, in any order, each to its place. */
static void write_a_file(fixture_t *f, bool cached)
{
    enum { COUNT = 17 };
    static chunk_t chunks[COUNT];
    memset(chunks, 0, sizeof chunks);
    uint64_t size = (COUNT - 1) * (uint64_t)CHUNK + TAIL;
    uint64_t reserved;
    assert_int_equal(hp_part_reserve(f->fd, size, 0, &reserved, NULL), 0);
    for (int i = 0; i < COUNT; i++) {
        int n = i * 5 % COUNT;
        chunks[n].job.cached = cached;
        put(f, &chunks[n], n * (uint64_t)CHUNK, n == COUNT - 1 ? TAIL : CHUNK, (char)('a' + n), size);
    }
    uv_run(&f->loop, UV_RUN_DEFAULT);
    assert_int_equal(f->done, COUNT);
    assert_int_equal(f->rooms, COUNT);
    for (int n = 0; n < COUNT; n++) {
        assert_int_equal(chunks[n].job.status, 0);
        assert_bytes(f, n * (uint64_t)CHUNK, n == COUNT - 1 ? TAIL : CHUNK, (char)('a' + n));
    }
}

static void a_file_is_written_through_the_page_cache(void **state)
{
    write_a_file(*state, false); /* there is no other descriptor */
}

static void a_large_file_is_written_past_the_page_cache(void **state)
{
    fixture_t *f = *state;
    int direct = hp_part_open_direct(f->fd, HP_PART_DIRECT_MIN);
    if (direct < 0)
        skip();
    hp_file_writes_set(&f->writes, direct);
    write_a_file(f, false);
    assert_true((fcntl(f->writes.direct_fd, F_GETFL) & O_DIRECT) != 0);
    assert_true(f->writes.unsent <= TAIL);
}

static void what_is_read_soon_stays_in_the_page_cache(void **state)
{
    fixture_t *f = *state;
    int direct = open("/dev/full", O_WRONLY | O_CLOEXEC); /* nothing must go there */
    assert_true(direct >= 0);
    hp_file_writes_set(&f->writes, direct);
    write_a_file(f, true);
}

static void a_small_file_is_left_to_the_page_cache(void **state)
{
    fixture_t *f = *state;
    assert_int_equal(hp_part_open_direct(f->fd, HP_PART_DIRECT_MIN - 1), -1);
}

static void a_full_disk_is_told(void **state)
{
    fixture_t *f = *state;
    chunk_t chunk = {0};
    hp_file_writes_set(&f->writes, open("/dev/full", O_WRONLY | O_CLOEXEC));
    put(f, &chunk, 0, CHUNK, 'x', CHUNK);
    uv_run(&f->loop, UV_RUN_DEFAULT);
    assert_int_equal(chunk.job.status, -ENOSPC);
}

static void a_wrong_chunk_is_not_written(void **state)
{
    fixture_t *f = *state;
    chunk_t chunk = {0};
    uint8_t expected[HP_SHA256_SIZE] = {1};
    chunk.job.expected = expected;
    put(f, &chunk, 0, CHUNK, 'x', CHUNK);
    uv_run(&f->loop, UV_RUN_DEFAULT);
    assert_int_equal(chunk.job.status, HP_E_WRONG_DIGEST);
    assert_int_equal(lseek(f->fd, 0, SEEK_END), 0);
}

int main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        T(a_file_is_written_through_the_page_cache),
        T(a_large_file_is_written_past_the_page_cache),
        T(what_is_read_soon_stays_in_the_page_cache),
        T(a_small_file_is_left_to_the_page_cache),
        T(a_full_disk_is_told),
        T(a_wrong_chunk_is_not_written),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
