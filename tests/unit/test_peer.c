// libs: peer inbox message discovery http fetch share store db secure identity path os base
/* The peer listener as a whole, on a share of its own. */
#include "test_http.h"

#include <ftw.h>

#include "peer/peer.h"

#define ZIP_MEMORY ((size_t)400 * 1024) /* bytes: of some 2,500 files with names as here */

static const hp_self_t self = {.id = "0123456789abcdef0123456789abcdef", .name = "test"};
static char *folder;
static hp_store_t *store;
static hp_share_t *share;
static hp_peer_t *peer;

static int remove_one(const char *path, const struct stat *st, int kind, struct FTW *ftw)
{
    (void)st, (void)kind, (void)ftw;
    return remove(path);
}

/* The share is not started: nobody has looked into the folder yet. */
static int open_peer(void **state)
{
    hp_err_t err = {0};
    const char *tmp = getenv("TMPDIR");
    hp_peer_options_t options = {.address = "127.0.0.1", .zip_memory = ZIP_MEMORY};
    set_up(state);
    folder = hp_sprintf("%s/hostpair-peer-XXXXXX", tmp != NULL ? tmp : "/tmp");
    assert_non_null(mkdtemp(folder));
    char *data = hp_sprintf("%s/data", folder), *shared = hp_sprintf("%s/shared", folder);
    int rc = hp_store_create(&store, &loop, data, &err);
    if (rc == 0)
        rc = hp_share_create(&share, &loop, store, shared, &err);
    if (rc == 0)
        rc = hp_peer_create(&peer, &loop, &options, share, &self, &err);
    if (rc != 0)
        fail_msg("%s", hp_err_text(&err));
    listener = hp_peer_listener(peer);
    free(data);
    free(shared);
    return 0;
}

static int close_peer(void **state)
{
    bool gone = false;
    listener = NULL;
    hp_peer_destroy(peer, on_listener_gone, &gone);
    wait_until(gone);
    gone = false;
    hp_share_destroy(share, on_listener_gone, &gone);
    wait_until(gone);
    gone = false;
    hp_store_destroy(store, on_listener_gone, &gone);
    wait_until(gone);
    nftw(folder, remove_one, 16, FTW_DEPTH | FTW_PHYS);
    free(folder);
    return tear_down(state);
}

static void who_waits_for_the_first_walk_keeps_no_other_waiting(void **state)
{
    (void)state;
    for (int i = 0; i < 20; i++)
        client_ask(i % 2 == 0 ? "GET /list HTTP/1.1\r\nHost: h\r\nAccept: application/x-ndjson\r\n\r\n"
                              : "GET / HTTP/1.1\r\nHost: h\r\n\r\n");
    client_t *c = client_ask("GET /manifest/0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"
                             "?chunk=16384 HTTP/1.1\r\nHost: h\r\n\r\n");
    assert_int_equal(status_of(client_reply(c, NULL)), 404);
    hp_share_start(share);
    for (const client_t *waiting = c->next; waiting != NULL; waiting = waiting->next)
        wait_until(strncmp(waiting->data, "HTTP/1.1 200 ", 13) == 0);
}

static void an_end_before_the_first_walk_answers_nobody(void **state)
{
    (void)state;
    for (int i = 0; i < 20; i++)
        client_ask("GET /list HTTP/1.1\r\nHost: h\r\nAccept: application/x-ndjson\r\n\r\n");
    hp_http_connection_t connections[20];
    wait_until(hp_http_connections(listener, connections, 20) == 20);
    bool all = false;
    while (!all) {
        turn();
        hp_http_connections(listener, connections, 20);
        all = true;
        for (size_t i = 0; i < 20; i++)
            all &= connections[i].requests == 1;
    }
}

static void make_files(size_t from, size_t to)
{
    for (size_t i = from; i < to; i++) {
        char *path = hp_sprintf("%s/shared/many/file-%06zu.txt", folder, i);
        int fd = open(path, O_CREAT | O_WRONLY | O_CLOEXEC, 0600);
        assert_true(fd >= 0);
        close(fd);
        free(path);
    }
}

/* Asks for the folder as a zip. Whether it came to its end. */
static bool zip_comes(void)
{
    size_t length;
    client_t *c = client_ask("GET /files/many/?archive=zip HTTP/1.0\r\nHost: h\r\n\r\n");
    wait_until(c->ended);
    assert_int_equal(status_of(client_reply(c, NULL)), 200);
    length = c->length;
    return length > 22 && memcmp(c->data + length - 22, "PK\5\6", 4) == 0;
}

static void a_zip_with_too_many_files_for_its_memory_ends_without_looking_whole(void **state)
{
    (void)state;
    char *path = hp_sprintf("%s/shared/many", folder);
    assert_int_equal(mkdir(path, 0700), 0);
    free(path);
    hp_share_start(share);
    make_files(0, 1000);
    assert_true(zip_comes());
    make_files(1000, 6000);
    assert_false(zip_comes());
    client_t *c = client_ask("GET /files/many/?archive=tar HTTP/1.0\r\nHost: h\r\n\r\n");
    wait_until(c->ended);
    assert_true(c->length > 6000 * 512); /* a tar has no directory */
    for (size_t i = 1000; i < 6000; i++) {
        path = hp_sprintf("%s/shared/many/file-%06zu.txt", folder, i);
        assert_int_equal(unlink(path), 0);
        free(path);
    }
    assert_true(zip_comes()); /* what the one that ended had is given back */
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, open_peer, close_peer)
    const struct CMUnitTest tests[] = {
        TEST(who_waits_for_the_first_walk_keeps_no_other_waiting),
        TEST(an_end_before_the_first_walk_answers_nobody),
        TEST(a_zip_with_too_many_files_for_its_memory_ends_without_looking_whole),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
