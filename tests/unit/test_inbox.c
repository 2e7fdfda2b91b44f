// libs: inbox transfer share fetch secure store db identity path pool os base
/* What becomes of offers, and of the bytes that follow: with a store, a disk and a loop, without a network.
 */
#include "test_store.h"

#include <dirent.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/path.h"
#include "inbox/inbox.h"

static fixture_t *f;
static hp_inbox_t *inbox;
static char downloads[PATH_SIZE];
static hp_inbox_settings_t settings;

static bool is_paired(void *arg, const char *host)
{
    (void)arg;
    return strcmp(host, "00112233445566778899aabbccddeeff") == 0;
}

static void open_inbox(unsigned ask_ms)
{
    hp_err_t err = {0};
    hp_inbox_deps_t deps = {.loop = &f->loop, .store = f->store, .is_paired = is_paired, .ask_ms = ask_ms};
    if (hp_inbox_create(&inbox, &deps, &settings, &err) != 0)
        fail_msg("%s", hp_err_text(&err));
}

static int begin(void **state)
{
    if (setup(state) != 0)
        return -1;
    f = *state;
    open_store(f);
    path_in(f->folder, "downloads", downloads);
    settings = (hp_inbox_settings_t){.receive = HP_RECEIVE_ASK, .pin = "", .downloads_folder = downloads};
    open_inbox(0);
    return 0;
}

static void on_inbox_closed(void *arg)
{
    *(bool *)arg = true;
}

static void close_inbox(void)
{
    bool closed = false;
    hp_inbox_destroy(inbox, on_inbox_closed, &closed);
    while (!closed)
        uv_run(&f->loop, UV_RUN_ONCE);
    inbox = NULL;
}

static int end(void **state)
{
    close_inbox();
    return teardown(state);
}

static void wait_until(bool (*reached)(void *arg), void *arg)
{
    uint64_t start = hp_clock_ms();
    while (!reached(arg)) {
        if (hp_clock_ms() - start > GUARD_MS)
            fail_msg("nothing happened");
        uv_run(&f->loop, UV_RUN_NOWAIT);
    }
}

static bool is_settled(void *arg)
{
    hp_incoming_t info;
    return hp_inbox_get(inbox, *(int64_t *)arg, &info) && info.state != HP_INCOMING_ASKING;
}

static hp_inbox_offer_file_t files[] = {{.id = "a", .name = "one.txt", .size = 3},
                                        {.id = "b", .name = "deep/two.txt", .size = 2}};
static hp_inbox_offer_t offer_of(hp_inbox_offer_file_t *list, size_t count)
{
    return (hp_inbox_offer_t){.kind = HP_SENDER_BROWSER,
                              .name = "Anna's phone",
                              .address = "10.0.0.7",
                              .files = list,
                              .count = count};
}

static int64_t make_offer(const hp_inbox_offer_t *offer)
{
    hp_err_t err = {0};
    int64_t id = 0;
    if (hp_inbox_offer(inbox, offer, &id, NULL, &err) != 0)
        fail_msg("%s", hp_err_text(&err));
    return id;
}

static int64_t offered(void)
{
    hp_inbox_offer_t offer = offer_of(files, 2);
    return make_offer(&offer);
}

typedef struct {
    bool called;
    int status;
    hp_err_t err;
    uint64_t received;
    bool done;
    char path[PATH_SIZE];
} result_t;

static bool is_called(void *arg)
{
    return ((result_t *)arg)->called;
}

static void on_result(void *arg, int status, const hp_err_t *err)
{
    result_t *result = arg;
    *result = (result_t){.called = true, .status = status, .err = *err};
}

static void accept_it(int64_t id, const hp_inbox_choice_t *choice, int expected)
{
    result_t result = {0};
    hp_inbox_accept(inbox, id, choice, on_result, &result);
    wait_until(is_called, &result);
    if (result.status != expected)
        fail_msg("%d, not %d: %s", result.status, expected, hp_err_text(&result.err));
}

static void on_piece(void *arg, int status, const hp_incoming_file_t *file, const hp_err_t *err)
{
    result_t *result = arg;
    *result = (result_t){.called = true, .status = status, .err = *err};
    if (file != NULL) {
        result->received = file->received;
        result->done = file->done;
        snprintf(result->path, sizeof result->path, "%s", file->path);
    }
}

static result_t bring(int64_t id, const char *file, const hp_inbox_piece_t *piece)
{
    result_t result = {0};
    hp_inbox_write(inbox, id, hp_inbox_file_find(inbox, id, file), piece, on_piece, &result);
    wait_until(is_called, &result);
    return result;
}

static result_t write_piece(int64_t id, const char *file, uint64_t offset, const char *text, bool last)
{
    hp_inbox_piece_t piece = {
        .data = hp_strdup(text), .length = strlen(text), .offset = offset, .last = last};
    return bring(id, file, &piece);
}

/* So many zeros that how far the file is goes on record. */
#define MUCH ((size_t)8 * 1024 * 1024)

static result_t write_much(int64_t id, const char *file, uint64_t offset)
{
    hp_inbox_piece_t piece = {.data = calloc(1, MUCH), .length = MUCH, .offset = offset};
    return bring(id, file, &piece);
}

static bool is_store_quiet(void *arg)
{
    (void)arg;
    return hp_store_pending(f->store) == 0;
}

static int64_t accepted_large(void)
{
    static hp_inbox_offer_file_t file = {.id = "x", .name = "x.bin", .size = 3 * MUCH};
    hp_inbox_offer_t offer = offer_of(&file, 1);
    int64_t id = make_offer(&offer);
    accept_it(id, &(hp_inbox_choice_t){0}, 0);
    return id;
}

static hp_incoming_t get(int64_t id)
{
    hp_incoming_t info;
    assert_true(hp_inbox_get(inbox, id, &info));
    return info;
}

static void assert_content(const char *path, const char *expected)
{
    char full[PATH_SIZE * 2], content[64] = "";
    snprintf(full, sizeof full, "%s/%s", downloads, path);
    int fd = open(full, O_RDONLY);
    if (fd < 0)
        fail_msg("%s is not there", full);
    assert_true(read(fd, content, sizeof content - 1) >= 0);
    close(fd);
    assert_string_equal(content, expected);
}

static void an_accepted_offer_lands_in_the_folder_of_its_sender(void **state)
{
    (void)state;
    int64_t id = offered();
    assert_int_equal(get(id).state, HP_INCOMING_ASKING);
    assert_int_equal(write_piece(id, "a", 0, "abc", false).status, HP_E_CONFLICT);
    accept_it(id, &(hp_inbox_choice_t){0}, 0);
    assert_int_equal(get(id).state, HP_INCOMING_RECEIVING);
    result_t result = write_piece(id, "a", 0, "abc", false);
    assert_int_equal(result.status, 0);
    assert_true(result.done);
    assert_string_equal(result.path, "Received/Anna's phone/one.txt");
    assert_int_equal(get(id).state, HP_INCOMING_RECEIVING);
    assert_int_equal(write_piece(id, "b", 0, "d", false).received, 1);
    assert_int_equal(write_piece(id, "b", 1, "e", false).status, 0);
    assert_content("Received/Anna's phone/one.txt", "abc");
    assert_content("Received/Anna's phone/deep/two.txt", "de");
    assert_int_equal(get(id).state, HP_INCOMING_DONE);
    assert_int_equal(write_piece(id, "a", 0, "abc", false).status, 0); /* its answer was lost */
}

/* ---- what is fetched ---- */

#define STUDIO "ffeeddccbbaa99887766554433221100"
#define PAIRED "00112233445566778899aabbccddeeff"

/* Downloads as somebody else runs them. The same path is the same download, as long as it is not dropped. */
static struct {
    unsigned orders;
    hp_inbox_order_t last;
    const char *paths[8]; /* of downloads 1 to 7; NULL: none, or dropped */
    int64_t dropped;      /* the last one */
    unsigned drops;
} fetched;

static const char *const fetched_paths[] = {"big.bin", "own.bin", "photo.jpg", "deep/photo.jpg", "photos"};

static void order_download(void *arg, const hp_inbox_order_t *order, hp_inbox_ordered_fn done, void *done_arg)
{
    const hp_err_t none = {0};
    int64_t id = 1;
    (void)arg;
    fetched.orders++;
    fetched.last = *order;
    while (id < 7 && fetched.paths[id] != NULL && strcmp(fetched.paths[id], order->path) != 0)
        id++;
    bool existing = fetched.paths[id] != NULL;
    for (size_t i = 0; i < HP_COUNT(fetched_paths); i++)
        if (strcmp(fetched_paths[i], order->path) == 0)
            fetched.paths[id] = fetched_paths[i];
    done(done_arg, 0, id, existing, &none);
}

static void look_at_download(void *arg, int64_t download)
{
    (void)arg;
    hp_inbox_download(inbox, &(hp_inbox_download_t){.id = download, .state = HP_FETCHING});
}

static void drop_download(void *arg, int64_t download)
{
    (void)arg;
    fetched.drops++;
    fetched.dropped = download;
    fetched.paths[download] = NULL;
}

static void start_fetching(void)
{
    hp_inbox_start(inbox, &(hp_inbox_orders_t){
                              .order = order_download, .look = look_at_download, .drop = drop_download});
}

static int64_t given(const char *host, const char *path, const char *name, uint64_t size)
{
    hp_inbox_offer_file_t file = {.id = path, .name = name, .size = size};
    hp_inbox_offer_t offer = offer_of(&file, 1);
    offer.kind = HP_SENDER_HOSTPAIR;
    offer.host = host;
    int64_t id = make_offer(&offer);
    accept_it(id, &(hp_inbox_choice_t){0}, 0);
    return id;
}

static void begin_fetching(void)
{
    memset(&fetched, 0, sizeof fetched);
    start_fetching();
}

static void what_is_shown_of_a_hosts_file_is_what_is_fetched(void **state)
{
    static const struct {
        const char *path, *name;
        int status;
    } cases[] = {
        {"photo.jpg", "photo.jpg", 0},
        {"deep/photo.jpg", "photo.jpg", 0},
        {"a/deep/photo.jpg", "deep/photo.jpg", 0},
        {"00112233445566778899aabbccddeeff/x.bin", "x.bin", 0},
        {"a/evil.sh", "photo.jpg", HP_E_INVALID},
        {"a/evilphoto.jpg", "photo.jpg", HP_E_INVALID},
        {"photo.jpg", "a/photo.jpg", HP_E_INVALID},
        {"photo.jpg/evil.sh", "photo.jpg", HP_E_INVALID},
    };
    (void)state;
    for (size_t i = 0; i < HP_COUNT(cases); i++) {
        hp_inbox_offer_file_t file = {
            .id = cases[i].path, .name = cases[i].name, .type = "image/x-lie", .size = 3};
        hp_inbox_offer_t offer = offer_of(&file, 1);
        hp_incoming_file_t shown;
        hp_err_t err = {0};
        int64_t id;
        offer.kind = HP_SENDER_HOSTPAIR;
        offer.host = STUDIO;
        int rc = hp_inbox_offer(inbox, &offer, &id, NULL, &err);
        if (rc != cases[i].status)
            fail_msg("%s as %s: %d, %s", cases[i].path, cases[i].name, rc, hp_err_text(&err));
        if (rc != 0) {
            assert_non_null(strstr(err.detail, "does not end in this name"));
            continue;
        }
        assert_true(hp_inbox_file_at(inbox, id, 0, &shown));
        assert_string_equal(shown.type, hp_path_media_type(cases[i].name));
        hp_inbox_decline(inbox, id, NULL);
    }
}

static void no_more_is_fetched_than_was_offered(void **state)
{
    (void)state;
    begin_fetching();
    int64_t id = given(STUDIO, "deep/photo.jpg", "photo.jpg", 3);
    assert_int_equal(fetched.last.most, 3);
    assert_false(fetched.last.may_run);
    assert_int_equal(hp_inbox_download_most(inbox, 1), 3);
    close_inbox(); /* also after a restart */
    open_inbox(0);
    start_fetching();
    assert_int_equal(hp_inbox_download_most(inbox, 1), 3);
    hp_inbox_download(inbox,
                      &(hp_inbox_download_t){.id = 1, .state = HP_FETCHING, .size_known = true, .size = 4});
    assert_int_equal(get(id).state, HP_INCOMING_FAILED);
    assert_string_equal(get(id).reason, "photo.jpg: The file has 4 bytes, and 3 were offered");
    assert_int_equal(fetched.dropped, 1);

    id = given(PAIRED, "photo.jpg", "photo.jpg", 3);
    assert_true(fetched.last.may_run);
    hp_inbox_download(inbox,
                      &(hp_inbox_download_t){
                          .id = 1, .state = HP_FETCHED, .size_known = true, .size = 2, .path = "photo.jpg"});
    assert_int_equal(get(id).state, HP_INCOMING_DONE);
}

static void a_transfer_drops_only_what_it_ordered_itself(void **state)
{
    (void)state;
    begin_fetching();
    fetched.paths[1] = "own.bin"; /* a person's */
    int64_t id = given(STUDIO, "own.bin", "own.bin", 100);
    assert_int_equal(hp_inbox_download_most(inbox, 1), UINT64_MAX);
    close_inbox();
    open_inbox(0);
    start_fetching();
    assert_int_equal(hp_inbox_cancel(inbox, id, "", NULL), 0);
    assert_int_equal(fetched.drops, 0);

    id = given(STUDIO, "big.bin", "big.bin", 100);
    assert_int_equal(hp_inbox_cancel(inbox, id, "", NULL), 0);
    assert_int_equal(fetched.dropped, 2);

    id = given(STUDIO, "big.bin", "big.bin", 100);
    hp_inbox_download_wanted(inbox, 2); /* a person orders the same */
    assert_int_equal(hp_inbox_download_most(inbox, 2), UINT64_MAX);
    assert_int_equal(hp_inbox_cancel(inbox, id, "", NULL), 0);
    assert_int_equal(fetched.drops, 1);
}

static void all_transfers_that_wait_for_a_download_hear_of_it(void **state)
{
    hp_inbox_download_t done = {
        .id = 1, .state = HP_FETCHED, .size_known = true, .size = 100, .path = "big.bin"};
    (void)state;
    begin_fetching();
    int64_t first = given(STUDIO, "big.bin", "big.bin", 100),
            second = given(STUDIO, "big.bin", "big.bin", 100);
    int64_t small = given(STUDIO, "big.bin", "big.bin", 5);
    assert_int_equal(fetched.orders, 3);
    assert_int_equal(hp_inbox_download_most(inbox, 1), 100);
    close_inbox();
    open_inbox(0);
    start_fetching();
    hp_inbox_download(inbox, &done);
    assert_int_equal(get(first).state, HP_INCOMING_DONE);
    assert_int_equal(get(second).state, HP_INCOMING_DONE);
    assert_int_equal(get(small).state, HP_INCOMING_FAILED);
    assert_int_equal(fetched.drops, 0);
}

static void a_download_that_two_wait_for_goes_with_the_last_of_them(void **state)
{
    (void)state;
    begin_fetching();
    for (int turn = 0; turn < 2; turn++) { /* whichever ordered it */
        int64_t ids[] = {given(STUDIO, "big.bin", "big.bin", 100), given(STUDIO, "big.bin", "big.bin", 100)};
        assert_int_equal(hp_inbox_cancel(inbox, ids[turn], "", NULL), 0);
        assert_int_equal(fetched.drops, turn);
        close_inbox();
        open_inbox(0);
        start_fetching();
        assert_int_equal(get(ids[!turn]).state, HP_INCOMING_RECEIVING);
        assert_int_equal(hp_inbox_cancel(inbox, ids[!turn], "", NULL), 0);
        assert_int_equal(fetched.drops, turn + 1);
    }
}

static void a_piece_may_overlap_but_leaves_no_gap_and_brings_no_more_than_was_offered(void **state)
{
    (void)state;
    hp_inbox_offer_file_t file = {.id = "x", .name = "x.bin", .size = 6};
    hp_inbox_offer_t offer = offer_of(&file, 1);
    int64_t id = make_offer(&offer);
    accept_it(id, &(hp_inbox_choice_t){0}, 0);
    assert_int_equal(write_piece(id, "x", 2, "cd", false).status, HP_E_CONFLICT);
    assert_int_equal(write_piece(id, "x", 0, "abc", false).received, 3);
    result_t gap = write_piece(id, "x", 4, "ef", false);
    assert_int_equal(gap.status, HP_E_CONFLICT);
    assert_non_null(strstr(gap.err.detail, "go on at byte 3"));
    assert_int_equal(write_piece(id, "x", 3, "defg", false).status, HP_E_TOO_LARGE);
    assert_int_equal(write_piece(id, "x", 1, "bcd", false).received, 4);
    assert_true(write_piece(id, "x", 4, "ef", false).done);
    assert_content("Received/Anna's phone/x.bin", "abcdef");
}

static void a_file_of_unknown_size_ends_with_its_last_piece(void **state)
{
    (void)state;
    hp_inbox_offer_file_t file = {.id = "x", .name = "x.bin", .size = HP_INBOX_ANY_SIZE};
    hp_inbox_offer_t offer = offer_of(&file, 1);
    offer.more = true;
    int64_t id = make_offer(&offer);
    accept_it(id, &(hp_inbox_choice_t){0}, 0);
    assert_int_equal(write_piece(id, "x", 0, "abc", false).received, 3);
    hp_inbox_offer_file_t more = {.id = "y", .name = "y.bin", .size = HP_INBOX_ANY_SIZE};
    size_t index;
    assert_int_equal(hp_inbox_add_file(inbox, id, &more, &index, NULL), 0);
    assert_true(write_piece(id, "x", 3, "d", true).done);
    assert_true(write_piece(id, "y", 0, "", true).done);
    assert_content("Received/Anna's phone/x.bin", "abcd");
    assert_content("Received/Anna's phone/y.bin", "");
    assert_int_equal(get(id).state, HP_INCOMING_RECEIVING);
    assert_int_equal(hp_inbox_no_more(inbox, id, NULL), 0);
    assert_int_equal(get(id).state, HP_INCOMING_DONE);
}

static void wrong_bytes_get_no_name_and_may_come_again(void **state)
{
    (void)state;
    hp_inbox_offer_file_t file = {.id = "x",
                                  .name = "x.txt",
                                  .size = 3,
                                  .sha256 =
                                      "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"};
    hp_inbox_offer_t offer = offer_of(&file, 1);
    int64_t id = make_offer(&offer);
    accept_it(id, &(hp_inbox_choice_t){0}, 0);
    assert_int_equal(write_piece(id, "x", 0, "abd", false).status, HP_E_WRONG_DIGEST);
    assert_int_equal(write_piece(id, "x", 0, "a", false).status, 0);
    result_t wrong = write_piece(id, "x", 1, "bd", false);
    assert_int_equal(wrong.status, HP_E_WRONG_DIGEST);
    assert_int_equal(wrong.received, 0);
    assert_int_equal(get(id).state, HP_INCOMING_RECEIVING);
    assert_int_equal(write_piece(id, "x", 0, "ab", false).status, 0);
    assert_true(write_piece(id, "x", 2, "c", false).done);
    assert_content("Received/Anna's phone/x.txt", "abc");
}

static int run_sql(hp_db_t *db, void *arg, hp_err_t *err)
{
    (void)err;
    return sqlite3_exec(hp_db_handle(db), arg, NULL, NULL, NULL) == SQLITE_OK ? 0 : -EIO;
}

static void in_database(const char *sql)
{
    assert_int_equal(hp_store_run_now(f->store, HP_STORE_WRITE, run_sql, (void *)(uintptr_t)sql, NULL), 0);
}

static void a_file_that_cannot_be_put_on_record_is_so_later_and_lands_once(void **state)
{
    (void)state;
    int64_t id = offered();
    accept_it(id, &(hp_inbox_choice_t){0}, 0);
    in_database("CREATE TEMP TRIGGER full BEFORE UPDATE ON incoming_file WHEN new.done"
                " BEGIN SELECT raise(FAIL, 'no room'); END");
    result_t small = write_piece(id, "a", 0, "abc", false);
    assert_int_not_equal(small.status, 0);
    assert_int_equal(small.received, 2); /* so that the sender brings something */
    assert_false(small.done);
    assert_int_equal(write_piece(id, "b", 0, "d", false).received, 1);
    result_t large = write_piece(id, "b", 1, "e", false);
    assert_int_not_equal(large.status, 0);
    assert_int_equal(large.received, 1);
    assert_string_not_equal(get(id).reason, "");
    assert_int_not_equal(write_piece(id, "a", 2, "c", false).status, 0); /* as long as there is no room */

    in_database("DROP TRIGGER full");
    assert_true(write_piece(id, "a", 2, "c", false).done);
    assert_true(write_piece(id, "b", 1, "e", false).done);
    assert_int_equal(get(id).state, HP_INCOMING_DONE);
    assert_string_equal(get(id).reason, "");
    assert_content("Received/Anna's phone/one.txt", "abc");
    assert_content("Received/Anna's phone/deep/two.txt", "de");
    char again[PATH_SIZE * 2];
    snprintf(again, sizeof again, "%s/Received/Anna's phone/one (1).txt", downloads);
    assert_int_equal(access(again, F_OK), -1);
}

static uint64_t received_of(int64_t id)
{
    hp_incoming_file_t info;
    assert_true(hp_inbox_file_at(inbox, id, 0, &info));
    return info.received;
}

static int hold_store(hp_db_t *db, void *arg, hp_err_t *err)
{
    (void)db;
    (void)err;
    uv_sem_wait(arg);
    return 0;
}

static void pieces_wait_for_the_record_only_where_a_crash_would_take_too_much(void **state)
{
    (void)state;
    int64_t id = accepted_large();
    uv_sem_t held;
    assert_int_equal(uv_sem_init(&held, 0), 0);
    assert_int_equal(write_piece(id, "x", 0, "a", false).status, 0); /* the part file is on record */
    hp_store_post(f->store, HP_STORE_READ, hold_store, NULL, &held);
    result_t first = {0}, result = {0};
    hp_inbox_piece_t piece = {.data = calloc(1, MUCH), .length = MUCH, .offset = 1};
    hp_inbox_write(inbox, id, 0, &piece, on_piece, &first);
    for (uint64_t start = hp_clock_ms(); hp_clock_ms() - start < GUARD_MS && !first.called;)
        uv_run(&f->loop, UV_RUN_NOWAIT);
    bool went_on = first.called;
    piece = (hp_inbox_piece_t){.data = calloc(1, MUCH), .length = MUCH, .offset = MUCH + 1};
    hp_inbox_write(inbox, id, 0, &piece, on_piece, &result);
    for (uint64_t start = hp_clock_ms(); hp_clock_ms() - start < 500;)
        uv_run(&f->loop, UV_RUN_NOWAIT);
    bool waited = !result.called;
    uv_sem_post(&held); /* before anything may fail: the end waits for the store */
    assert_true(went_on);
    assert_true(waited);
    wait_until(is_called, &result);
    assert_int_equal(result.status, 0);
    assert_int_equal(result.received, 2 * MUCH + 1);
    wait_until(is_store_quiet, NULL);
    uv_sem_destroy(&held);
    close_inbox();
    open_inbox(0);
    assert_in_range(received_of(id), MUCH, 2 * MUCH + 1);
    assert_int_equal(write_much(id, "x", received_of(id)).status, 0);
}

static void the_sender_is_told_when_it_cannot_be_put_on_record_how_far_the_file_is(void **state)
{
    (void)state;
    int64_t id = accepted_large();
    in_database("CREATE TEMP TRIGGER full BEFORE UPDATE ON incoming_file WHEN new.received > 0"
                " BEGIN SELECT raise(FAIL, 'no room'); END");
    assert_int_equal(write_much(id, "x", 0).status, 0);
    wait_until(is_store_quiet, NULL);
    result_t next = write_piece(id, "x", MUCH, "abc", false);
    assert_int_not_equal(next.status, 0);
    assert_int_equal(next.received, MUCH + 3);
    assert_string_not_equal(get(id).reason, "");
    wait_until(is_store_quiet, NULL);

    in_database("DROP TRIGGER full");
    assert_int_not_equal(write_piece(id, "x", MUCH + 3, "d", false).status,
                         0); /* as it was tried once more */
    assert_int_equal(write_piece(id, "x", MUCH + 4, "e", false).status, 0);
    assert_string_equal(get(id).reason, "");
    wait_until(is_store_quiet, NULL);
    close_inbox();
    open_inbox(0);
    assert_in_range(received_of(id), MUCH, MUCH + 5);
}

static void names_that_leave_the_folder_are_refused_and_named(void **state)
{
    static const char *const bad[] = {"../x",
                                      "/etc/passwd",
                                      "a/../b",
                                      "a//b",
                                      "",
                                      ".",
                                      "a\x01b",
                                      ".x.5.hostpair-part",
                                      "a/.x.5.hostpair-part/b"};
    (void)state;
    for (size_t i = 0; i < HP_COUNT(bad); i++) {
        hp_inbox_offer_file_t file = {.id = "x", .name = bad[i], .size = 3};
        hp_inbox_offer_t offer = offer_of(&file, 1);
        hp_err_t err = {0};
        int64_t id;
        if (hp_inbox_offer(inbox, &offer, &id, NULL, &err) != HP_E_BAD_NAME)
            fail_msg("\"%s\" was not refused", bad[i]);
        assert_non_null(strstr(err.detail, "the file name"));
    }
    char longest[400];
    memset(longest, 'n', sizeof longest - 1);
    longest[sizeof longest - 1] = '\0';
    hp_inbox_offer_file_t file = {.id = "x", .name = longest, .size = 3};
    hp_inbox_offer_t offer = offer_of(&file, 1);
    int64_t id;
    assert_int_equal(hp_inbox_offer(inbox, &offer, &id, NULL, NULL), HP_E_BAD_NAME);
    hp_inbox_offer_file_t twice[] = {{.id = "x", .name = "a", .size = 1},
                                     {.id = "x", .name = "b", .size = 1}};
    offer = offer_of(twice, 2);
    assert_int_equal(hp_inbox_offer(inbox, &offer, &id, NULL, NULL), HP_E_INVALID);
    assert_int_equal(hp_inbox_count(inbox), 0);
}

static void the_same_name_twice_gets_a_number(void **state)
{
    (void)state;
    hp_inbox_offer_file_t twice[] = {{.id = "x", .name = "a.txt", .size = 1},
                                     {.id = "y", .name = "a.txt", .size = 1}};
    hp_inbox_offer_t offer = offer_of(twice, 2);
    int64_t id = make_offer(&offer);
    accept_it(id, &(hp_inbox_choice_t){0}, 0);
    assert_string_equal(write_piece(id, "x", 0, "1", false).path, "Received/Anna's phone/a.txt");
    assert_string_equal(write_piece(id, "y", 0, "2", false).path, "Received/Anna's phone/a (1).txt");
    assert_content("Received/Anna's phone/a.txt", "1");
    assert_content("Received/Anna's phone/a (1).txt", "2");
}

static void a_person_takes_some_files_into_another_folder(void **state)
{
    (void)state;
    int64_t id = offered();
    const char *wanted[] = {"b"}, *unknown[] = {"z"};
    accept_it(id, &(hp_inbox_choice_t){.files = unknown, .count = 1}, HP_E_INVALID);
    accept_it(id, &(hp_inbox_choice_t){.files = wanted, .count = 0}, HP_E_INVALID);
    accept_it(id, &(hp_inbox_choice_t){.to = "../x"}, HP_E_BAD_NAME);
    assert_int_equal(get(id).state, HP_INCOMING_ASKING);
    accept_it(id, &(hp_inbox_choice_t){.files = wanted, .count = 1, .to = "from phone"}, 0);
    assert_int_equal(write_piece(id, "a", 0, "abc", false).status, HP_E_CONFLICT);
    assert_string_equal(write_piece(id, "b", 0, "de", false).path, "from phone/deep/two.txt");
    assert_int_equal(get(id).state, HP_INCOMING_DONE);
    accept_it(id, &(hp_inbox_choice_t){0}, HP_E_CONFLICT);
}

static void offers_end_declined_cancelled_or_unanswered(void **state)
{
    (void)state;
    close_inbox();
    open_inbox(200);
    int64_t unanswered = offered(), declined = offered();
    assert_int_equal(hp_inbox_decline(inbox, declined, NULL), 0);
    assert_int_equal(hp_inbox_decline(inbox, declined, NULL), HP_E_CONFLICT);
    int64_t cancelled = offered();
    assert_int_equal(hp_inbox_cancel(inbox, cancelled, "The sender has cancelled", NULL), 0);
    assert_int_equal(get(cancelled).state, HP_INCOMING_CANCELLED);
    wait_until(is_settled, &unanswered);
    assert_int_equal(get(unanswered).state, HP_INCOMING_DECLINED);
    assert_string_equal(get(unanswered).reason, "Nobody answered");
    close_inbox();
    open_inbox(0);
    assert_int_equal(hp_inbox_count(inbox), 3);
    assert_int_equal(get(declined).state, HP_INCOMING_DECLINED);
    assert_true(offered() > cancelled);
}

static void an_offer_that_comes_again_with_its_token_is_the_same(void **state)
{
    (void)state;
    static const char token[] = "0123456789abcdef0123456789abcdef";
    hp_err_t err = {0};
    int64_t id = 0;
    hp_inbox_offer_file_t given[] = {{.id = "one.txt", .name = "one.txt", .size = 3},
                                     {.id = "a/two.txt", .name = "two.txt", .size = 2}};
    hp_inbox_offer_t offer = offer_of(given, 2), other = offer_of(given, 1);
    offer.kind = other.kind = HP_SENDER_HOSTPAIR;
    offer.host = "aa";
    other.host = "bb";
    offer.token = other.token = token;
    int64_t first = make_offer(&offer);
    assert_string_equal(get(first).token, token);
    assert_int_equal(make_offer(&offer), first);
    assert_int_equal(hp_inbox_decline(inbox, first, NULL), 0);
    assert_int_equal(make_offer(&offer), first);
    close_inbox();
    open_inbox(0);
    assert_int_equal(make_offer(&offer), first);
    assert_int_equal(hp_inbox_count(inbox), 1);
    assert_int_equal(hp_inbox_offer(inbox, &other, &id, NULL, &err), HP_E_CONFLICT);
    offer.token = NULL;
    assert_true(make_offer(&offer) > first);
}

static size_t count_entries(const char *folder)
{
    char full[PATH_SIZE * 2];
    snprintf(full, sizeof full, "%s/%s", downloads, folder);
    DIR *dir = opendir(full);
    size_t count = 0;
    for (struct dirent *entry; dir != NULL && (entry = readdir(dir)) != NULL;)
        count += strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0;
    if (dir != NULL)
        closedir(dir);
    return count;
}

static bool is_empty(void *arg)
{
    return count_entries(arg) == 0;
}

static void cancelling_removes_the_part_and_keeps_what_is_finished(void **state)
{
    (void)state;
    int64_t id = offered();
    accept_it(id, &(hp_inbox_choice_t){.to = "x"}, 0);
    assert_int_equal(write_piece(id, "b", 0, "d", false).received, 1);
    assert_int_equal(count_entries("x/deep"), 1);
    assert_true(write_piece(id, "a", 0, "abc", false).done);
    assert_int_equal(hp_inbox_cancel(inbox, id, "", NULL), 0);
    wait_until(is_empty, "x/deep");
    assert_content("x/one.txt", "abc");
    assert_int_equal(write_piece(id, "b", 1, "e", false).status, HP_E_CONFLICT);
}

static void what_was_accepted_goes_on_after_a_restart(void **state)
{
    (void)state;
    hp_incoming_t info;
    char token[HP_INBOX_TOKEN_SIZE];
    int64_t id = offered(), waiting = offered();
    accept_it(id, &(hp_inbox_choice_t){0}, 0);
    assert_true(write_piece(id, "a", 0, "abc", false).done);
    assert_int_equal(write_piece(id, "b", 0, "d", false).received, 1);
    memcpy(token, get(id).token, sizeof token);
    close_inbox();
    open_inbox(0);
    assert_false(hp_inbox_get(inbox, waiting, &info));
    assert_true(hp_inbox_by_token(inbox, token, &info));
    assert_int_equal(info.state, HP_INCOMING_RECEIVING);
    assert_int_equal(info.done_count, 1);
    hp_incoming_file_t file;
    assert_true(hp_inbox_file_at(inbox, info.id, 1, &file));
    assert_int_equal(file.received, 0); /* it was not synced */
    assert_int_equal(write_piece(info.id, "b", 0, "d", false).received, 1);
    assert_true(write_piece(info.id, "b", 1, "e", false).done);
    assert_content("Received/Anna's phone/deep/two.txt", "de");
    assert_int_equal(count_entries("Received/Anna's phone/deep"), 1);
}

static void a_part_file_that_somebody_removed_begins_again(void **state)
{
    (void)state;
    int64_t id = offered();
    accept_it(id, &(hp_inbox_choice_t){.to = "x"}, 0);
    assert_int_equal(write_piece(id, "b", 0, "d", false).received, 1);
    char command[PATH_SIZE * 2];
    snprintf(command, sizeof command, "rm -rf '%s/x'", downloads);
    assert_int_equal(system(command), 0);
    result_t gone = write_piece(id, "b", 1, "e", false);
    assert_int_equal(gone.status, HP_E_CONFLICT);
    assert_int_equal(gone.received, 0);
    assert_int_equal(write_piece(id, "b", 0, "d", false).status, 0);
    assert_true(write_piece(id, "b", 1, "e", false).done);
    assert_content("x/deep/two.txt", "de");
}

static void two_offers_of_one_sender_and_twenty_of_all_may_wait(void **state)
{
    (void)state;
    hp_inbox_offer_t offer = offer_of(files, 2);
    char address[32];
    int64_t id;
    unsigned wait = 0;
    for (unsigned i = 0; i < HP_INBOX_WAITING_MAX; i++) {
        snprintf(address, sizeof address, "10.0.1.%u", i / 2);
        offer.address = address;
        make_offer(&offer);
    }
    offer.address = "10.0.1.3";
    assert_int_equal(hp_inbox_offer(inbox, &offer, &id, &wait, NULL), HP_E_TOO_MANY);
    assert_int_equal(wait, 60);
    offer.address = "10.0.2.1";
    assert_int_equal(hp_inbox_offer(inbox, &offer, &id, NULL, NULL), HP_E_TOO_MANY);
    assert_int_equal(hp_inbox_count(inbox), HP_INBOX_WAITING_MAX);
}

static void the_setting_says_who_is_asked_about(void **state)
{
    (void)state;
    hp_inbox_offer_t offer = offer_of(files, 2);
    int64_t id;
    settings.receive = HP_RECEIVE_OFF;
    hp_inbox_set(inbox, &settings);
    assert_int_equal(hp_inbox_offer(inbox, &offer, &id, NULL, NULL), HP_E_FORBIDDEN);
    settings.receive = HP_RECEIVE_PAIRED;
    hp_inbox_set(inbox, &settings);
    offer.host = "ffeeddccbbaa99887766554433221100";
    id = make_offer(&offer);
    uv_run(&f->loop, UV_RUN_NOWAIT);
    assert_int_equal(get(id).state, HP_INCOMING_ASKING);
    offer.host = "00112233445566778899aabbccddeeff";
    id = make_offer(&offer);
    wait_until(is_settled, &id);
    assert_int_equal(get(id).state, HP_INCOMING_RECEIVING);
    settings.receive = HP_RECEIVE_EVERYONE;
    hp_inbox_set(inbox, &settings);
    id = offered();
    wait_until(is_settled, &id);
    assert_int_equal(get(id).state, HP_INCOMING_RECEIVING);
}

static void three_wrong_pins_shut_an_address_out(void **state)
{
    (void)state;
    hp_inbox_offer_t offer = offer_of(files, 2);
    int64_t id;
    unsigned wait = 0;
    settings.pin = "4711";
    hp_inbox_set(inbox, &settings);
    assert_int_equal(hp_inbox_offer(inbox, &offer, &id, NULL, NULL), HP_E_PIN);
    offer.pin = "4712";
    for (int i = 0; i < 3; i++)
        assert_int_equal(hp_inbox_offer(inbox, &offer, &id, NULL, NULL), HP_E_PIN);
    offer.pin = "4711";
    assert_int_equal(hp_inbox_offer(inbox, &offer, &id, &wait, NULL), HP_E_TOO_MANY);
    assert_true(wait > 290 && wait <= 300);
    offer.address = "10.0.0.8";
    make_offer(&offer);
    offer.host = "00112233445566778899aabbccddeeff"; /* paired: needs none */
    offer.pin = NULL;
    make_offer(&offer);
}

static int guess(const char *address, const char *pin)
{
    hp_inbox_offer_t offer = offer_of(files, 2);
    int64_t id;
    offer.address = address;
    offer.pin = pin;
    return hp_inbox_offer(inbox, &offer, &id, NULL, NULL);
}

static void wrong_pins_count_for_a_network_of_ipv6_and_for_all(void **state)
{
    (void)state;
    char address[64];
    unsigned wait = 0;
    settings.pin = "4711";
    hp_inbox_set(inbox, &settings);
    assert_int_equal(guess("2001:db8:0:1::1", "0001"), HP_E_PIN);
    assert_int_equal(guess("2001:db8:0:1:ffff::2", "0002"), HP_E_PIN);
    assert_int_equal(guess("2001:db8:0:1::3", "0003"), HP_E_PIN);
    assert_int_equal(guess("2001:db8:0:1::4", "4711"), HP_E_TOO_MANY);
    assert_int_equal(guess("2001:db8:0:2::1", "4711"), 0);
    for (unsigned i = 3; i < 20; i++) {
        snprintf(address, sizeof address, "10.1.%u.%u", i / 256, i % 256);
        assert_int_equal(guess(address, "0004"), HP_E_PIN);
    }
    assert_int_equal(guess("10.2.0.1", "4711"), HP_E_TOO_MANY);
    assert_int_equal(hp_inbox_check_pin(inbox, "10.2.0.2", "4711", &wait, NULL), HP_E_TOO_MANY);
    assert_true(wait > 290 && wait <= 300);
    hp_inbox_offer_t offer = offer_of(files, 2); /* paired: needs none */
    offer.host = "00112233445566778899aabbccddeeff";
    make_offer(&offer);
}

static void a_full_disk_is_told_before_anything_is_accepted(void **state)
{
    (void)state;
    hp_inbox_offer_file_t file = {.id = "x", .name = "x.bin", .size = (uint64_t)1 << 60};
    hp_inbox_offer_t offer = offer_of(&file, 1);
    int64_t id = make_offer(&offer);
    accept_it(id, &(hp_inbox_choice_t){0}, HP_E_NO_SPACE);
    assert_int_equal(get(id).state, HP_INCOMING_ASKING);
    hp_inbox_decline(inbox, id, NULL);
    settings.receive = HP_RECEIVE_EVERYONE;
    hp_inbox_set(inbox, &settings);
    id = make_offer(&offer);
    wait_until(is_settled, &id);
    assert_int_equal(get(id).state, HP_INCOMING_DECLINED);
    assert_non_null(strstr(get(id).reason, "are free"));
}

static int64_t offered_from(const char *address)
{
    hp_inbox_offer_t offer = offer_of(files, 2);
    offer.address = address;
    return make_offer(&offer);
}

static int64_t cancelled_after_acceptance(void)
{
    int64_t id = offered();
    accept_it(id, &(hp_inbox_choice_t){0}, 0);
    hp_inbox_cancel(inbox, id, "", NULL);
    return id;
}

static void the_history_is_bounded(void **state)
{
    (void)state;
    int64_t first = cancelled_after_acceptance(), last = 0;
    hp_incoming_t info;
    for (unsigned i = 0; i < HP_INBOX_KEPT; i++)
        last = cancelled_after_acceptance();
    assert_int_equal(hp_inbox_count(inbox), HP_INBOX_KEPT);
    assert_false(hp_inbox_get(inbox, first, &info));
    close_inbox();
    open_inbox(0);
    assert_int_equal(hp_inbox_count(inbox), HP_INBOX_KEPT);
    hp_inbox_at(inbox, 0, &info);
    assert_int_equal(info.id, last);
}

static void what_nobody_accepted_pushes_out_nothing_that_was(void **state)
{
    (void)state;
    int64_t accepted = cancelled_after_acceptance(), first = 0, last = 0;
    hp_incoming_t info;
    char address[32];
    for (unsigned i = 0; i <= HP_INBOX_KEPT_ASKED; i++) {
        snprintf(address, sizeof address, "10.0.1.%u", i);
        last = offered_from(address);
        first = first != 0 ? first : last;
        hp_inbox_decline(inbox, last, NULL);
    }
    for (int restarts = 0; restarts < 2; restarts++) {
        assert_int_equal(hp_inbox_count(inbox), 1 + HP_INBOX_KEPT_ASKED);
        assert_int_equal(get(accepted).state, HP_INCOMING_CANCELLED);
        assert_int_equal(get(last).state, HP_INCOMING_DECLINED);
        assert_false(hp_inbox_get(inbox, first, &info));
        close_inbox();
        open_inbox(0);
    }
}

static void names_of_what_is_over_are_bounded(void **state)
{
    enum { COUNT = 50, LENGTH = 4000 };
    static char names[COUNT][LENGTH + 1], ids[COUNT][8];
    hp_inbox_offer_file_t list[COUNT];
    (void)state;
    for (size_t i = 0; i < COUNT; i++) {
        for (size_t k = 0; k < LENGTH; k++)
            names[i][k] = k % 200 == 100 ? '/' : 'x';
        snprintf(ids[i], sizeof ids[i], "%zu", i);
        list[i] = (hp_inbox_offer_file_t){.id = ids[i], .name = names[i], .size = 10};
    }
    hp_inbox_offer_t offer = offer_of(list, COUNT);
    int64_t declined = make_offer(&offer), taken = make_offer(&offer);
    hp_inbox_decline(inbox, declined, NULL);
    accept_it(taken, &(hp_inbox_choice_t){0}, 0);
    hp_inbox_cancel(inbox, taken, "", NULL);
    wait_until(is_store_quiet, NULL);
    for (int restarts = 0; restarts < 2; restarts++) {
        close_inbox();
        open_inbox(0);
        const int64_t both[] = {declined, taken};
        for (size_t i = 0; i < 2; i++) {
            hp_incoming_t info = get(both[i]);
            assert_true(info.known_count > 0 && info.known_count * LENGTH <= HP_INBOX_KEPT_BYTES);
            assert_int_equal(info.file_count, COUNT);
        }
        assert_int_equal(get(taken).size, 10 * COUNT);
    }
}

/* 0, or the seconds that the next offer from the address has to wait. */
static unsigned refused_from(const char *address)
{
    hp_inbox_offer_t offer = offer_of(files, 2);
    unsigned wait = 0;
    int64_t id;
    offer.address = address;
    if (hp_inbox_offer(inbox, &offer, &id, &wait, NULL) == 0)
        hp_inbox_cancel(inbox, id, "The sender has cancelled", NULL);
    return wait;
}

static void who_offers_what_nobody_accepts_has_to_wait(void **state)
{
    (void)state;
    char address[32];
    for (unsigned i = 0; i < 3 * HP_INBOX_REFUSED_OF; i++)
        cancelled_after_acceptance(); /* what was accepted does not count */
    for (unsigned i = 0; i < HP_INBOX_REFUSED_OF - 1; i++)
        assert_int_equal(refused_from("10.0.0.7"), 0);
    cancelled_after_acceptance(); /* and ends the counting */
    for (unsigned i = 0; i < HP_INBOX_REFUSED_OF; i++)
        assert_int_equal(refused_from("10.0.0.7"), 0);
    unsigned wait = refused_from("10.0.0.7");
    assert_true(wait > 590 && wait <= 600);
    hp_inbox_offer_t offer = offer_of(files, 2); /* a host with a new key from there */
    int64_t id;
    offer.host = "ffeeddccbbaa99887766554433221100";
    assert_int_equal(hp_inbox_offer(inbox, &offer, &id, NULL, NULL), HP_E_TOO_MANY);
    unsigned others = 0;
    for (wait = 0; wait == 0 && others < 100; others++) {
        snprintf(address, sizeof address, "10.3.0.%u", others);
        wait = refused_from(address);
    }
    assert_true(wait > 590 && wait <= 600);
    assert_in_range(others, 30, HP_INBOX_REFUSED_ALL);
    offer.host = "00112233445566778899aabbccddeeff"; /* paired */
    for (unsigned i = 0; i < 2 * HP_INBOX_REFUSED_OF; i++)
        hp_inbox_decline(inbox, make_offer(&offer), NULL);
}

static void a_name_that_reads_as_another_lands_without_what_turns_it(void **state)
{
    (void)state;
    hp_inbox_offer_file_t file = {.id = "x", .name = "a\u2066b/photo\u202egpj.exe", .size = 6};
    hp_inbox_offer_t offer = offer_of(&file, 1);
    hp_incoming_file_t info;
    int64_t id = make_offer(&offer);
    accept_it(id, &(hp_inbox_choice_t){.to = "x"}, 0);
    assert_false(write_piece(id, "x", 0, "abc", false).done);
    result_t result = write_piece(id, "x", 3, "def", true);
    assert_true(result.done);
    assert_string_equal(result.path, "x/a_b/photo_gpj.exe");
    assert_content("x/a_b/photo_gpj.exe", "abcdef");
    assert_true(hp_inbox_file_at(inbox, id, 0, &info));
    assert_string_equal(info.name, "a\u2066b/photo\u202egpj.exe");
    id = make_offer(&offer);
    accept_it(id, &(hp_inbox_choice_t){.to = "y"}, 0);
    assert_false(write_piece(id, "x", 0, "abc", false).done);
    assert_int_equal(count_entries("y/a_b"), 1);
    hp_inbox_cancel(inbox, id, "", NULL);
    wait_until(is_empty, "y/a_b");
}

static void the_folder_of_a_sender_is_one_harmless_name(void **state)
{
    static const struct {
        const char *name, *folder;
    } cases[] = {
        {"../..", "_"}, {"..", "somebody"}, {" a/b\\c ", "a_b_c"}, {".hidden", "hidden"}, {"Küche", "Küche"}};
    (void)state;
    for (size_t i = 0; i < HP_COUNT(cases); i++) {
        hp_inbox_offer_t offer = offer_of(files, 2);
        char expected[PATH_SIZE];
        offer.name = cases[i].name;
        int64_t id = make_offer(&offer);
        accept_it(id, &(hp_inbox_choice_t){0}, 0);
        snprintf(expected, sizeof expected, "Received/%s", cases[i].folder);
        assert_string_equal(get(id).folder, expected);
    }
}

static void pictures_of_an_offer_are_few_and_gone_with_the_answer(void **state)
{
    static const char picture[] = "data:image/jpeg;base64,/9j/wAAICAAKAAoB";
    hp_inbox_offer_file_t list[HP_INBOX_PICTURES + 5];
    char ids[HP_COUNT(list)][8];
    size_t pictures = 0;
    hp_incoming_file_t file;
    hp_err_t err = {0};
    (void)state;
    for (size_t i = 0; i < HP_COUNT(list); i++) {
        snprintf(ids[i], sizeof ids[i], "%zu", i);
        list[i] =
            (hp_inbox_offer_file_t){.id = ids[i], .name = ids[i], .type = "image/png", .preview = picture};
    }
    list[0].preview = "data:image/png;base64,iVBORw0KGgo=";
    list[1].type = "application/pdf";
    list[2].type = "text/plain";
    list[3].type = "video/mp4";
    hp_inbox_offer_t offer = offer_of(list, HP_COUNT(list));
    int64_t id = make_offer(&offer);
    for (size_t i = 0; i < HP_COUNT(list); i++) {
        assert_true(hp_inbox_file_at(inbox, id, i, &file));
        assert_string_equal(file.preview, i == 2 ? picture : "");
        assert_string_equal(file.picture, i > 2 && pictures < HP_INBOX_PICTURES ? picture : "");
        pictures += file.picture[0] != '\0';
    }
    assert_int_equal(pictures, HP_INBOX_PICTURES);

    assert_int_equal(hp_inbox_decline(inbox, id, &err), 0);
    for (size_t i = 0; i < HP_COUNT(list); i++) {
        assert_true(hp_inbox_file_at(inbox, id, i, &file));
        assert_string_equal(file.preview, "");
        assert_string_equal(file.picture, "");
    }
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, begin, end)
    const struct CMUnitTest tests[] = {
        TEST(an_accepted_offer_lands_in_the_folder_of_its_sender),
        TEST(a_piece_may_overlap_but_leaves_no_gap_and_brings_no_more_than_was_offered),
        TEST(a_file_of_unknown_size_ends_with_its_last_piece),
        TEST(wrong_bytes_get_no_name_and_may_come_again),
        TEST(a_file_that_cannot_be_put_on_record_is_so_later_and_lands_once),
        TEST(pieces_wait_for_the_record_only_where_a_crash_would_take_too_much),
        TEST(the_sender_is_told_when_it_cannot_be_put_on_record_how_far_the_file_is),
        TEST(names_that_leave_the_folder_are_refused_and_named),
        TEST(the_same_name_twice_gets_a_number),
        TEST(a_person_takes_some_files_into_another_folder),
        TEST(offers_end_declined_cancelled_or_unanswered),
        TEST(an_offer_that_comes_again_with_its_token_is_the_same),
        TEST(cancelling_removes_the_part_and_keeps_what_is_finished),
        TEST(what_was_accepted_goes_on_after_a_restart),
        TEST(a_part_file_that_somebody_removed_begins_again),
        TEST(two_offers_of_one_sender_and_twenty_of_all_may_wait),
        TEST(the_setting_says_who_is_asked_about),
        TEST(three_wrong_pins_shut_an_address_out),
        TEST(wrong_pins_count_for_a_network_of_ipv6_and_for_all),
        TEST(a_full_disk_is_told_before_anything_is_accepted),
        TEST(the_history_is_bounded),
        TEST(what_nobody_accepted_pushes_out_nothing_that_was),
        TEST(names_of_what_is_over_are_bounded),
        TEST(who_offers_what_nobody_accepts_has_to_wait),
        TEST(a_name_that_reads_as_another_lands_without_what_turns_it),
        TEST(the_folder_of_a_sender_is_one_harmless_name),
        TEST(what_is_shown_of_a_hosts_file_is_what_is_fetched),
        TEST(no_more_is_fetched_than_was_offered),
        TEST(a_transfer_drops_only_what_it_ordered_itself),
        TEST(all_transfers_that_wait_for_a_download_hear_of_it),
        TEST(a_download_that_two_wait_for_goes_with_the_last_of_them),
        TEST(pictures_of_an_offer_are_few_and_gone_with_the_answer),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
