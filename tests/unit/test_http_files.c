// libs: http pool secure identity path os base
/* Replies that send files: whole and in parts, cold and warm, limited, and files that change meanwhile. */
#include "test_http.h"

#include <sys/mman.h>
#include <sys/stat.h>

#include "os/pages.h"

#define MIB (1024 * 1024)

static char folder[] = "/tmp/hostpair-test-XXXXXX";
static char path[64];
static char *content; /* of the file */
static size_t size;
static hp_send_limit_t limit;
static hp_http_file_t file; /* what the handler answers with; fd is opened anew each time */

static void on_request(void *arg, hp_http_request_t *request)
{
    (void)arg;
    hp_http_file_t answer = file;
    if (strcmp(hp_http_path(request), "/small") == 0) {
        hp_http_reply(request, 200, "text/plain", "small", 5);
        return;
    }
    answer.fd = open(path, O_RDONLY | O_CLOEXEC);
    if (answer.stat.st_size == 0)
        assert_int_equal(fstat(answer.fd, &answer.stat), 0);
    hp_http_reply_file(request, &answer);
}

static void make_file(size_t length)
{
    free(content);
    size = length;
    content = hp_alloc(length);
    uint32_t x = 1;
    for (size_t i = 0; i < length; i++) {
        x = x * 1664525 + 1013904223;
        content[i] = (char)(x >> 24);
    }
    int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    assert_true(fd >= 0);
    assert_int_equal(write(fd, content, length), (ssize_t)length);
    assert_int_equal(fsync(fd), 0);
    close(fd);
}

/* Takes the file out of the page cache; whether that worked. */
static bool make_cold(void)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    posix_fadvise(fd, 0, 0, POSIX_FADV_DONTNEED);
    bool cold = hp_pages_kind(fd) == HP_PAGES_PROBE && hp_pages_cached(fd, 0, size) < size;
    close(fd);
    return cold;
}

static int set_up_file(void **state)
{
    snprintf(path, sizeof path, "%s/file", folder);
    file = (hp_http_file_t){.content_type = "text/plain", .etag = "\"tag\""};
    int rc = set_up(state);
    hp_send_limit_init(&limit);
    listen_with((hp_http_options_t){.handler = on_request, .limit = &limit});
    return rc;
}

static int tear_down_file(void **state)
{
    free(content);
    content = NULL;
    unlink(path);
    return tear_down(state);
}

static void assert_same(const char *body, size_t first, size_t length)
{
    if (memcmp(body, content + first, length) != 0)
        fail_msg("the bytes from %zu on, %zu of them, are others", first, length);
}

static void fetch_whole(client_t *c)
{
    const char *body;
    client_send(c, "GET /f HTTP/1.1\r\nHost: h\r\n\r\n");
    assert_int_equal(status_of(client_reply(c, &body)), 200);
    assert_same(body, 0, size);
}

static void files_of_every_size_arrive_whole(void **state)
{
    (void)state;
    static const size_t sizes[] = {1,      4096,   65535,  65536,   65537,
                                   131072, 131073, 147457, MIB + 1, 5 * MIB + 3};
    client_t *c = client_open();
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
        make_file(sizes[i]);
        fetch_whole(c);
        fetch_whole(c);
    }
    hp_http_connection_t seen;
    assert_int_equal(hp_http_connections(listener, &seen, 1), 1);
    uint64_t sum = 0;
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++)
        sum += 2 * sizes[i];
    assert_int_equal(seen.bytes_sent, sum);
    assert_int_equal(hp_http_bytes_sent(listener), sum);
}

static void an_empty_file_has_no_body(void **state)
{
    (void)state;
    make_file(0);
    client_t *c = client_open();
    client_send(c, "GET /f HTTP/1.1\r\nHost: h\r\nRange: bytes=0-\r\n\r\nGET /f HTTP/1.1\r\nHost: h\r\n\r\n");
    assert_int_equal(status_of(client_reply(c, NULL)), 416);
    const char *reply = client_reply(c, NULL);
    assert_int_equal(status_of(reply), 200);
    assert_has(reply, "Content-Length: 0\r\n");
}

static void cold_files_arrive_whole(void **state)
{
    (void)state;
    static const size_t sizes[] = {1, 60000, 3 * MIB, 17 * MIB + 5};
    client_t *c = client_open();
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
        make_file(sizes[i]);
        if (!make_cold()) {
            print_message("this file system does not let go of pages\n");
            skip();
        }
        fetch_whole(c);
    }
}

static void a_file_with_cold_holes_arrives_whole(void **state)
{
    (void)state;
    make_file(12 * MIB);
    if (!make_cold())
        skip();
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    assert_int_equal(hp_pages_warm(fd, 0, 2 * MIB, 0), 0);
    assert_int_equal(hp_pages_warm(fd, 5 * MIB, 6 * MIB, 0), 0);
    assert_int_equal(hp_pages_cached(fd, 0, 2 * MIB), 2 * MIB);
    close(fd);
    client_t *c = client_open();
    fetch_whole(c);
}

static void a_file_in_memory_arrives_whole(void **state)
{
    (void)state;
    snprintf(path, sizeof path, "/dev/shm/hostpair-test-%d", (int)getpid());
    make_file(3 * MIB + 1);
    client_t *c = client_open();
    fetch_whole(c);
}

/* A file system that cannot say what is cached: everything is read by the pool. */
static void a_file_system_that_cannot_tell_is_read_in_the_pool(void **state)
{
    (void)state;
    static const char kernel[] = "/sys/kernel/btf/vmlinux";
    int fd = open(kernel, O_RDONLY | O_CLOEXEC);
    struct stat stat;
    if (fd < 0 || fstat(fd, &stat) != 0 || stat.st_size < MIB || hp_pages_kind(fd) != HP_PAGES_UNKNOWN) {
        print_message("there is no %s\n", kernel);
        if (fd >= 0)
            close(fd);
        skip();
    }
    size = (size_t)stat.st_size;
    content = hp_alloc(size);
    for (size_t done = 0; done < size;) {
        ssize_t n = pread(fd, content + done, size - done, (off_t)done);
        assert_true(n > 0);
        done += (size_t)n;
    }
    close(fd);
    snprintf(path, sizeof path, "%s", kernel);
    client_t *c = client_open();
    fetch_whole(c);
    const char *body;
    client_send(c, "GET /f HTTP/1.1\r\nHost: h\r\nRange: bytes=1000001-1300000\r\n\r\n");
    assert_int_equal(status_of(client_reply(c, &body)), 206);
    assert_same(body, 1000001, 300000);
    snprintf(path, sizeof path, "%s/file", folder);
}

static void ranges_are_exact_at_every_edge(void **state)
{
    (void)state;
    make_file(2 * MIB + 7);
    const struct {
        const char *range;
        size_t first, length;
    } cases[] = {
        {"0-0", 0, 1},
        {"0-65535", 0, 65536},
        {"1-65537", 1, 65537},
        {"4095-1052671", 4095, 1048577},
        {"2097158-", 2097158, 1},
        {"1000000-99999999", 1000000, 2 * MIB + 7 - 1000000},
        {"-100000", 2 * MIB + 7 - 100000, 100000},
    };
    client_t *c = client_open();
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        char text[200];
        const char *body;
        sprintf(text, "GET /f HTTP/1.1\r\nHost: h\r\nRange: bytes=%s\r\nIf-Range: \"tag\"\r\n\r\n",
                cases[i].range);
        client_send(c, text);
        const char *reply = client_reply(c, &body);
        assert_int_equal(status_of(reply), 206);
        sprintf(text, "Content-Range: bytes %zu-%zu/%zu\r\n", cases[i].first,
                cases[i].first + cases[i].length - 1, size);
        assert_has(reply, text);
        sprintf(text, "Content-Length: %zu\r\n", cases[i].length);
        assert_has(reply, text);
        assert_same(body, cases[i].first, cases[i].length);
    }
}

static void several_large_ranges_come_as_parts(void **state)
{
    (void)state;
    make_file(4 * MIB);
    client_t *c = client_open();
    const char *body;
    client_send(c, "GET /f HTTP/1.1\r\nHost: h\r\nRange: bytes=3145728-4194303,0-1000000,5-5\r\n\r\n");
    const char *reply = client_reply(c, &body);
    assert_int_equal(status_of(reply), 206);
    const struct {
        size_t first, length;
    } parts[] = {{3145728, 1048576}, {0, 1000001}, {5, 1}};
    char boundary[100];
    assert_int_equal(sscanf(strcasestr(reply, "boundary=") + 9, "%99[^\r]", boundary), 1);
    for (int i = 0; i < 3; i++) {
        char head[300];
        sprintf(head, "%s--%s\r\nContent-Type: text/plain\r\nContent-Range: bytes %zu-%zu/4194304\r\n\r\n",
                i > 0 ? "\r\n" : "", boundary, parts[i].first, parts[i].first + parts[i].length - 1);
        assert_memory_equal(body, head, strlen(head));
        body += strlen(head);
        assert_same(body, parts[i].first, parts[i].length);
        body += parts[i].length;
    }
    char end[200];
    sprintf(end, "\r\n--%s--\r\n", boundary);
    assert_string_equal(body, end);
}

/* Asks for the file, lets the socket fill, then changes the file and reads the rest: the client must see that
 * it is not whole. */
static void change_in_the_middle(void (*change)(int fd))
{
    make_file(24 * MIB);
    client_t *c = client_open();
    uint64_t before = hp_http_bytes_sent(listener);
    c->reads = false;
    client_send(c, "GET /f HTTP/1.1\r\nHost: h\r\n\r\n");
    wait_until(hp_http_bytes_sent(listener) - before > 100000);
    run_for(50);
    assert_true(hp_http_bytes_sent(listener) - before < size);
    int fd = open(path, O_WRONLY | O_CLOEXEC);
    change(fd);
    close(fd);
    c->reads = true;
    wait_until(c->ended);
    char *body = strstr(c->data, "\r\n\r\n") + 4;
    assert_true(c->length - (size_t)(body - c->data) < size);
}

static void truncate_it(int fd)
{
    assert_int_equal(ftruncate(fd, 5 * MIB), 0);
}

static void overwrite_it(int fd)
{
    assert_int_equal(pwrite(fd, "x", 1, 23 * MIB), 1);
}

static void lengthen_it(int fd)
{
    assert_int_equal(pwrite(fd, "x", 1, 30 * MIB), 1);
}

static void a_file_that_becomes_shorter_cuts_the_reply(void **state)
{
    (void)state;
    change_in_the_middle(truncate_it);
}

static void a_file_that_is_overwritten_cuts_the_reply(void **state)
{
    (void)state;
    change_in_the_middle(overwrite_it);
}

static void a_file_that_becomes_longer_cuts_the_reply(void **state)
{
    (void)state;
    change_in_the_middle(lengthen_it);
}

/* What was sent already. */
static void overwrite_its_start(int fd)
{
    assert_int_equal(pwrite(fd, "\xff\xff\xff\xff", 4, 10), 4);
}

static void append_and_overwrite_it(int fd)
{
    lengthen_it(fd);
    overwrite_its_start(fd);
}

static void rewrite_it_longer(int fd)
{
    assert_int_equal(ftruncate(fd, 0), 0);
    lengthen_it(fd);
}

static void a_file_that_may_grow_is_cut_where_it_becomes_another(void **state)
{
    (void)state;
    void (*const changes[])(int) = {truncate_it, overwrite_its_start, append_and_overwrite_it,
                                    rewrite_it_longer};
    for (size_t i = 0; i < HP_COUNT(changes); i++) {
        file.may_grow = true;
        change_in_the_middle(changes[i]);
    }
}

static void a_file_that_may_grow_is_sent_as_it_was(void **state)
{
    (void)state;
    make_file(24 * MIB);
    file.may_grow = true;
    client_t *c = client_open();
    const char *body;
    c->reads = false;
    client_send(c, "GET /f HTTP/1.1\r\nHost: h\r\n\r\n");
    wait_until(hp_http_bytes_sent(listener) > 100000);
    int fd = open(path, O_WRONLY | O_CLOEXEC);
    lengthen_it(fd);
    close(fd);
    c->reads = true;
    assert_int_equal(status_of(client_reply(c, &body)), 200);
    assert_same(body, 0, 24 * MIB);
}

static void a_small_file_that_changed_after_it_was_opened_is_not_sent(void **state)
{
    (void)state;
    make_file(100);
    assert_int_equal(stat(path, &file.stat), 0);
    file.stat.st_mtim.tv_nsec ^= 1;
    client_t *c = client_ask("GET /f HTTP/1.1\r\nHost: h\r\n\r\n");
    wait_until(c->ended);
    assert_null(memmem(c->data, c->length, content, 20));
}

static uint64_t available;

static size_t allowance(void *arg, uint64_t offset, size_t want)
{
    (void)arg;
    return offset >= available ? 0 : (size_t)HP_MIN((uint64_t)want, available - offset);
}

static void a_growing_file_is_sent_as_far_as_allowed(void **state)
{
    (void)state;
    make_file(3 * MIB);
    file.growing = true;
    file.allowance = allowance;
    assert_int_equal(stat(path, &file.stat), 0);
    available = 0;
    client_t *c = client_ask("GET /f HTTP/1.1\r\nHost: h\r\n\r\n");
    static const size_t steps[] = {1, 70000, 500000, 2 * MIB, 3 * MIB};
    for (int i = 0; i < 5; i++) {
        int fd = open(path, O_WRONLY | O_CLOEXEC); /* its times change; that is expected */
        assert_int_equal(pwrite(fd, content, 1, 0), 1);
        close(fd);
        available = steps[i];
        char *head;
        wait_until((head = strstr(c->data, "\r\n\r\n")) != NULL &&
                   c->length - (size_t)(head + 4 - c->data) == steps[i]);
    }
    const char *body;
    assert_int_equal(status_of(client_reply(c, &body)), 200);
    assert_same(body, 0, size);
}

static void the_limit_holds_and_is_shared(void **state)
{
    (void)state;
    make_file(MIB);
    hp_send_limit_set(&limit, MIB);
    uint64_t begun = hp_clock_ms();
    client_t *a = client_ask("GET /f HTTP/1.1\r\nHost: h\r\n\r\n"),
             *b = client_ask("GET /f HTTP/1.1\r\nHost: h\r\n\r\n");
    wait_until(a->length > size / 4 * 3 || b->length > size / 4 * 3);
    /* Neither is further ahead than what a late loop makes up in one go. */
    assert_true(a->length > size / 4 && b->length > size / 4);
    client_t *small = client_ask("GET /small HTTP/1.1\r\nHost: h\r\n\r\n");
    client_reply(small, NULL);
    wait_until(a->length > size && b->length > size);
    uint64_t took = hp_clock_ms() - begun;
    if (took < 1600 || took > 4000)
        fail_msg("2 MiB at 1 MiB/s took %llu ms", (unsigned long long)took);
    hp_send_limit_set(&limit, 0);
    const char *body;
    client_reply(a, &body);
    assert_same(body, 0, size);
    client_reply(b, &body);
    assert_same(body, 0, size);
}

static void what_a_late_loop_missed_is_made_up(void **state)
{
    (void)state;
    const uint64_t rate = MIB;
    make_file(4 * MIB);
    hp_send_limit_set(&limit, rate);
    client_t *c = client_ask("GET /f HTTP/1.1\r\nHost: h\r\n\r\n");
    wait_until(c->length > 0);
    size_t before = c->length;
    uint64_t due = 0, last = hp_clock_ms();
    for (int i = 0; i < 5; i++) {
        usleep(200000);
        uint64_t now = hp_clock_ms();
        due += rate * HP_MIN(now - last, (uint64_t)200) / 1000;
        last = now;
        for (int k = 0; k < 20; k++)
            turn();
    }
    if (c->length - before < due / 10 * 9)
        fail_msg("%zu bytes instead of %llu", c->length - before, (unsigned long long)due);
    hp_send_limit_set(&limit, 0);
    const char *body;
    assert_int_equal(status_of(client_reply(c, &body)), 200);
    assert_same(body, 0, size);
}

static void a_limit_that_nobody_reaches_slows_nobody(void **state)
{
    (void)state;
    make_file(8 * MIB);
    hp_send_limit_set(&limit, UINT64_C(1) << 62); /* the settings take up to 2^63 - 1 */
    client_t *c = client_ask("GET /f HTTP/1.1\r\nHost: h\r\n\r\n");
    const char *body;
    assert_int_equal(status_of(client_reply(c, &body)), 200);
    assert_same(body, 0, size);
    hp_send_limit_set(&limit, 0);
}

static void a_fast_client_leaves_others_their_turn(void **state)
{
    (void)state;
    make_file(32 * MIB);
    client_t *fast[4], *small = client_open();
    for (int i = 0; i < 4; i++)
        fast[i] = client_ask("GET /f HTTP/1.1\r\nHost: h\r\n\r\n");
    size_t asked = 0;
    while (fast[0]->length < size || fast[1]->length < size || fast[2]->length < size ||
           fast[3]->length < size) {
        client_send(small, "GET /small HTTP/1.1\r\nHost: h\r\n\r\n");
        uint64_t begun = hp_clock_ms();
        client_reply(small, NULL);
        assert_true(hp_clock_ms() - begun < 2000);
        asked++;
    }
    assert_true(asked > 3);
    for (int i = 0; i < 4; i++) {
        const char *body;
        client_reply(fast[i], &body);
        assert_same(body, 0, size);
    }
}

static void clients_that_vanish_leave_nothing_behind(void **state)
{
    (void)state;
    make_file(24 * MIB);
    for (int i = 0; i < 20; i++) {
        make_cold();
        client_t *c = client_open_with(i % 2 == 0 ? 4096 : 0);
        client_send(c, "GET /f HTTP/1.1\r\nHost: h\r\n\r\n");
        for (int k = 0; k < i / 2; k++)
            turn();
        if (i % 4 < 2)
            client_reset(c);
        else
            client_close(c);
    }
    wait_until(hp_http_connections(listener, NULL, 0) == 0);
}

static void the_end_comes_in_the_middle_of_files(void **state)
{
    (void)state;
    make_file(24 * MIB);
    make_cold();
    for (int i = 0; i < 8; i++) {
        client_t *c = client_open_with(i % 2 == 0 ? 4096 : 0);
        c->reads = i % 2 == 1;
        client_send(c, "GET /f HTTP/1.1\r\nHost: h\r\n\r\n");
    }
    wait_until(hp_http_bytes_sent(listener) > 100000);
    hp_send_limit_set(&limit, 1000);
    client_ask("GET /f HTTP/1.1\r\nHost: h\r\n\r\n");
    uint64_t begun = hp_clock_ms();
    destroy_listener();
    assert_true(hp_clock_ms() - begun < 2000);
}

static void a_download_has_its_name(void **state)
{
    (void)state;
    make_file(10);
    file.attachment = true;
    client_t *c = client_open();
    client_send(c, "HEAD /f HTTP/1.0\r\nConnection: keep-alive\r\n\r\n");
    wait_until(strstr(c->data, "\r\n\r\n") != NULL);
    assert_has(c->data, "Content-Disposition: attachment\r\n");
    c->taken = c->length;
    file.file_name = "a \"b\" \xe2\x82\xac.txt";
    client_send(c, "GET /f HTTP/1.1\r\nHost: h\r\n\r\n");
    assert_has(client_reply(c, NULL), "Content-Disposition: attachment; filename=\"a _b_ ___.txt\"; "
                                      "filename*=UTF-8''a%20%22b%22%20%E2%82%AC.txt\r\n");
}

int main(void)
{
    if (mkdtemp(folder) == NULL)
        return 1;
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up_file, tear_down_file)
    const struct CMUnitTest tests[] = {
        TEST(files_of_every_size_arrive_whole),
        TEST(an_empty_file_has_no_body),
        TEST(cold_files_arrive_whole),
        TEST(a_file_with_cold_holes_arrives_whole),
        TEST(a_file_in_memory_arrives_whole),
        TEST(a_file_system_that_cannot_tell_is_read_in_the_pool),
        TEST(ranges_are_exact_at_every_edge),
        TEST(several_large_ranges_come_as_parts),
        TEST(a_file_that_becomes_shorter_cuts_the_reply),
        TEST(a_file_that_is_overwritten_cuts_the_reply),
        TEST(a_file_that_becomes_longer_cuts_the_reply),
        TEST(a_file_that_may_grow_is_cut_where_it_becomes_another),
        TEST(a_file_that_may_grow_is_sent_as_it_was),
        TEST(a_small_file_that_changed_after_it_was_opened_is_not_sent),
        TEST(a_growing_file_is_sent_as_far_as_allowed),
        TEST(the_limit_holds_and_is_shared),
        TEST(what_a_late_loop_missed_is_made_up),
        TEST(a_limit_that_nobody_reaches_slows_nobody),
        TEST(a_fast_client_leaves_others_their_turn),
        TEST(clients_that_vanish_leave_nothing_behind),
        TEST(the_end_comes_in_the_middle_of_files),
        TEST(a_download_has_its_name),
    };
    int rc = cmocka_run_group_tests(tests, NULL, NULL);
    rmdir(folder);
    return rc;
}
