// libs: db os base
#include "test_db_help.h"

#include "base/buf.h"
#include "db/db.h"
#include "db/download.h"
#include "db/message.h"
#include "db/self.h"
#include "db/setting.h"
#include "db/statement.h"
#include "db/traffic.h"

static int open_memory(void **state)
{
    hp_db_t *db;
    hp_err_t err = {0};
    int rc = hp_db_open_memory(&db, &err);
    if (rc != 0)
        print_error("%s\n", hp_err_text(&err));
    *state = db;
    return rc;
}

static int close_memory(void **state)
{
    hp_db_close(*state);
    return 0;
}

#define assert_ok(call)                                                                                      \
    do {                                                                                                     \
        hp_err_t err = {0};                                                                                  \
        int result = (call);                                                                                 \
        if (result != 0)                                                                                     \
            fail_msg("%s: %d %s", #call, result, hp_err_text(&err));                                         \
    } while (0)

/* Rows as text, so that a test compares a whole list at once. */
static hp_buf_t text;

static void begin_text(void)
{
    hp_buf_init(&text, 1 << 20);
    hp_buf_add_text(&text, "");
}

static void assert_text(const char *expected)
{
    char *got = hp_buf_take(&text);
    assert_string_equal(got, expected);
    free(got);
}

/* ---- self ---- */

static void the_id_of_this_host_is_made_once(void **state)
{
    hp_db_t *db = *state;
    hp_db_self_t first = {.id = "00112233445566778899aabbccddeeff", .created_at = 1700000000000}, self;
    assert_ok(hp_db_self_load(db, &first, &self, &err));
    assert_string_equal(self.id, first.id);
    hp_db_self_t second = {.id = "ffffffffffffffffffffffffffffffff", .created_at = 1800000000000};
    assert_ok(hp_db_self_load(db, &second, &self, &err));
    assert_string_equal(self.id, first.id);
    assert_int_equal(self.created_at, first.created_at);
}

/* ---- setting ---- */

static void add_setting(void *arg, const char *name, const char *value)
{
    (void)arg;
    hp_buf_printf(&text, "%s=%s\n", name, value);
}

static void settings_are_set_changed_and_removed(void **state)
{
    hp_db_t *db = *state;
    char *value = NULL;
    hp_err_t kept = {.detail = "untouched"};
    assert_int_equal(hp_db_setting_get(db, "name", &value, &kept), HP_E_NOT_FOUND);
    assert_string_equal(kept.detail, "untouched");
    assert_ok(hp_db_setting_set(db, "theme", "dark", &err));
    assert_ok(hp_db_setting_set(db, "name", "Küche'; DROP TABLE setting; --", &err));
    assert_ok(hp_db_setting_set(db, "scan", "true", &err));
    assert_ok(hp_db_setting_set(db, "theme", "light", &err));
    assert_ok(hp_db_setting_set(db, "scan", NULL, &err));
    assert_ok(hp_db_setting_set(db, "never", NULL, &err));
    assert_ok(hp_db_setting_get(db, "name", &value, &err));
    assert_string_equal(value, "Küche'; DROP TABLE setting; --");
    free(value);
    begin_text();
    assert_ok(hp_db_setting_each(db, add_setting, NULL, &err));
    assert_text("name=Küche'; DROP TABLE setting; --\ntheme=light\n");
}

/* ---- traffic ---- */

static void add_traffic(void *arg, const hp_db_traffic_t *row)
{
    (void)arg;
    hp_buf_printf(&text, "%lld: %llu %llu\n", (long long)row->minute, (unsigned long long)row->down_bytes,
                  (unsigned long long)row->up_bytes);
}

static void traffic_adds_up_by_the_minute(void **state)
{
    hp_db_t *db = *state;
    const hp_db_traffic_t rows[] = {
        {100, 1, 2}, {102, 5, 0}, {100, 10, 20}, {101, 0, 0}, {99, UINT64_C(1) << 40, 0}};
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
        assert_ok(hp_db_traffic_add(db, &rows[i], &err));
    begin_text();
    assert_ok(hp_db_traffic_each(db, 100, add_traffic, NULL, &err));
    assert_text("100: 11 22\n101: 0 0\n102: 5 0\n");
    begin_text();
    assert_ok(hp_db_traffic_prune(db, 101, &err));
    assert_ok(hp_db_traffic_each(db, 0, add_traffic, NULL, &err));
    assert_text("101: 0 0\n102: 5 0\n");
}

/* ---- messages ---- */

#define SELF "00112233445566778899aabbccddeeff"
#define ROOT "00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff"

static int64_t add_message(hp_db_t *db, const char *uid, const char *host, const char *recipient,
                           bool incoming)
{
    hp_db_message_t message = {
        .uid = uid,
        .host = host,
        .name = "name",
        .recipient = recipient,
        .incoming = incoming,
        .text = uid,
        .sent_at = 1000,
        .received_at = 2000,
    };
    bool existing;
    assert_ok(hp_db_message_add(db, &message, &existing, &err));
    assert_false(existing);
    return message.id;
}

static void set_delivery(hp_db_t *db, int64_t message, const char *host, hp_delivery_state_t state,
                         const char *reason)
{
    hp_db_delivery_t delivery = {
        .message = message, .host = host, .state = state, .reason = reason, .at = 3000};
    assert_ok(hp_db_delivery_set(db, &delivery, &err));
}

static void add_uid(void *arg, const hp_db_message_t *message)
{
    (void)arg;
    hp_buf_printf(&text, "%s ", message->uid);
}

static void add_delivery(void *arg, const hp_db_delivery_t *delivery)
{
    (void)arg;
    hp_buf_printf(&text, "%lld %s %s %s\n", (long long)delivery->message, delivery->host,
                  hp_delivery_state_name(delivery->state), delivery->reason);
}

static void add_whole_message(void *arg, const hp_db_message_t *m)
{
    (void)arg;
    hp_buf_printf(&text, "%lld %s %s %s %s %d %s %lld %lld\n", (long long)m->id, m->uid, m->host, m->name,
                  m->recipient, m->incoming, m->text, (long long)m->sent_at, (long long)m->received_at);
}

static void a_message_is_stored_once_per_sender_and_id(void **state)
{
    hp_db_t *db = *state;
    hp_db_message_t message = {
        .uid = "u1",
        .host = "anna",
        .name = "Anna",
        .recipient = SELF,
        .incoming = true,
        .text = "你好",
        .sent_at = -5,
        .received_at = 7,
    };
    bool existing;
    assert_ok(hp_db_message_add(db, &message, &existing, &err));
    assert_false(existing);
    assert_int_equal(message.id, 1);
    message.id = 0;
    message.text = "other words";
    assert_ok(hp_db_message_add(db, &message, &existing, &err));
    assert_true(existing);
    assert_int_equal(message.id, 1);
    message.host = "bert";
    assert_ok(hp_db_message_add(db, &message, &existing, &err));
    assert_false(existing);
    begin_text();
    assert_ok(hp_db_message_get(db, 1, add_whole_message, NULL, &err));
    assert_text("1 u1 anna Anna " SELF " 1 你好 -5 7\n");
    assert_int_equal(hp_db_message_get(db, 99, add_whole_message, NULL, NULL), HP_E_NOT_FOUND);
}

static void messages_are_listed_newest_first_with_a_peer_or_all(void **state)
{
    hp_db_t *db = *state;
    add_message(db, "from-anna", "anna", SELF, true);
    int64_t to_anna = add_message(db, "to-anna", SELF, "anna", false);
    int64_t to_bert = add_message(db, "to-bert", SELF, "bert", false);
    int64_t to_all = add_message(db, "to-all", SELF, HP_MESSAGE_EVERYONE, false);
    add_message(db, "from-bert", "bert", SELF, true);
    set_delivery(db, to_anna, "anna", HP_DELIVERY_DELIVERED, "");
    set_delivery(db, to_bert, "bert", HP_DELIVERY_FAILED, "it is blocked");
    set_delivery(db, to_all, "anna", HP_DELIVERY_QUEUED, "");
    set_delivery(db, to_all, "bert", HP_DELIVERY_QUEUED, "");

    static const struct {
        const char *with, *expected;
        int64_t before;
        size_t limit;
    } lists[] = {
        {NULL, "from-bert to-all to-bert to-anna from-anna ", 0, 100},
        {NULL, "to-bert to-anna ", 4, 2},
        {"anna", "to-all to-anna from-anna ", 0, 100},
        {"anna", "to-anna ", 4, 1},
        {"bert", "from-bert to-all to-bert ", 0, 100},
        {"nobody", "", 0, 100},
        {HP_MESSAGE_EVERYONE, "to-all ", 0, 100},
    };
    for (size_t i = 0; i < sizeof lists / sizeof *lists; i++) {
        begin_text();
        assert_ok(
            hp_db_message_each(db, lists[i].with, lists[i].before, lists[i].limit, add_uid, NULL, &err));
        assert_text(lists[i].expected);
    }
}

static void deliveries_change_their_state(void **state)
{
    hp_db_t *db = *state;
    int64_t one = add_message(db, "one", SELF, HP_MESSAGE_EVERYONE, false);
    int64_t two = add_message(db, "two", SELF, "anna", false);
    set_delivery(db, two, "anna", HP_DELIVERY_QUEUED, "");
    set_delivery(db, one, "bert", HP_DELIVERY_QUEUED, "");
    set_delivery(db, one, "anna", HP_DELIVERY_QUEUED, "");
    begin_text();
    assert_ok(hp_db_delivery_each_queued(db, "anna", add_delivery, NULL, &err));
    assert_text("1 anna queued \n2 anna queued \n");
    int64_t next = 0;
    char host[80] = "";
    assert_ok(hp_db_delivery_next(db, "anna", &next, &err));
    assert_int_equal(next, one);
    assert_int_equal(hp_db_delivery_next(db, "carl", &next, NULL), HP_E_NOT_FOUND);
    assert_ok(hp_db_delivery_next_host(db, "", host, sizeof host, &err));
    assert_string_equal(host, "anna");
    assert_ok(hp_db_delivery_next_host(db, "anna", host, sizeof host, &err));
    assert_string_equal(host, "bert");
    assert_int_equal(hp_db_delivery_next_host(db, "bert", host, sizeof host, NULL), HP_E_NOT_FOUND);
    set_delivery(db, one, "anna", HP_DELIVERY_FAILED, "This host is blocked");
    set_delivery(db, one, "bert", HP_DELIVERY_DELIVERED, "");
    begin_text();
    assert_ok(hp_db_delivery_each(db, one, add_delivery, NULL, &err));
    assert_text("1 anna failed This host is blocked\n1 bert delivered \n");

    hp_db_delivery_t orphan = {.message = 99, .host = "anna", .reason = "", .at = 1};
    hp_err_t err = {0};
    assert_int_equal(hp_db_delivery_set(db, &orphan, &err), HP_E_DB);
    assert_contains(hp_err_text(&err), "message.delivery_set: FOREIGN KEY constraint failed");
}

static void a_delivery_that_was_removed_or_is_over_stays_as_it_is(void **state)
{
    hp_db_t *db = *state;
    int64_t one = add_message(db, "one", SELF, "anna", false), count = 0;
    set_delivery(db, one, "anna", HP_DELIVERY_QUEUED, "");
    hp_db_delivery_t done = {
        .message = one, .host = "anna", .state = HP_DELIVERY_FAILED, .reason = "no", .at = 1};
    assert_ok(hp_db_delivery_finish(db, &done, &err));
    done.state = HP_DELIVERY_DELIVERED;
    assert_int_equal(hp_db_delivery_finish(db, &done, NULL), HP_E_NOT_FOUND);
    begin_text();
    assert_ok(hp_db_delivery_each(db, one, add_delivery, NULL, &err));
    assert_text("1 anna failed no\n");

    assert_ok(hp_db_delivery_retry(db, one, 5, &count, &err));
    assert_int_equal(count, 1);
    assert_ok(hp_db_delivery_retry(db, one, 5, &count, &err));
    assert_int_equal(count, 0);
    begin_text();
    assert_ok(hp_db_delivery_each(db, one, add_delivery, NULL, &err));
    assert_text("1 anna queued \n");

    assert_ok(hp_db_message_remove(db, one, &err));
    assert_int_equal(hp_db_message_remove(db, one, NULL), HP_E_NOT_FOUND);
    assert_int_equal(hp_db_delivery_finish(db, &done, NULL), HP_E_NOT_FOUND);
    begin_text();
    assert_ok(hp_db_delivery_each(db, one, add_delivery, NULL, &err));
    assert_text("");
}

static void add_count(void *arg, const char *host, int64_t count)
{
    (void)arg;
    hp_buf_printf(&text, "%s %lld\n", host, (long long)count);
}

static void add_incoming(hp_db_t *db, const char *uid, const char *host, const char *offer)
{
    hp_db_message_t message = {.uid = uid,
                               .host = host,
                               .name = host,
                               .recipient = SELF,
                               .incoming = true,
                               .unread = true,
                               .text = uid,
                               .offer_path = offer,
                               .offer_size = 17,
                               .offer_root = ROOT};
    bool existing;
    assert_ok(hp_db_message_add(db, &message, &existing, &err));
}

static void what_is_unread_is_counted_by_sender(void **state)
{
    hp_db_t *db = *state;
    add_incoming(db, "1", "anna", NULL);
    add_incoming(db, "2", "bert", NULL);
    add_incoming(db, "3", "anna", NULL);
    add_incoming(db, "4", "anna", NULL);
    begin_text();
    assert_ok(hp_db_message_each_unread(db, add_count, NULL, &err));
    assert_text("anna 3\nbert 1\n");
    assert_ok(hp_db_message_read(db, "anna", 3, &err));
    begin_text();
    assert_ok(hp_db_message_each_unread(db, add_count, NULL, &err));
    assert_text("anna 1\nbert 1\n");
    assert_ok(hp_db_message_read(db, NULL, 0, &err));
    begin_text();
    assert_ok(hp_db_message_each_unread(db, add_count, NULL, &err));
    assert_text("");
}

static void add_offer(void *arg, const hp_db_message_t *m)
{
    (void)arg;
    hp_buf_printf(&text, "%s: %s %lld %s; ", m->uid, m->offer_path != NULL ? m->offer_path : "-",
                  (long long)m->offer_size, m->offer_root != NULL ? m->offer_root : "-");
}

static void a_message_may_offer_a_file(void **state)
{
    hp_db_t *db = *state;
    add_incoming(db, "without", "anna", NULL);
    add_incoming(db, "with", "anna", "films/a.mkv");
    begin_text();
    assert_ok(hp_db_message_each(db, NULL, 0, 10, add_offer, NULL, &err));
    assert_text("with: films/a.mkv 17 " ROOT "; without: - 0 -; ");
}

static void one_sender_does_not_push_out_the_others(void **state)
{
    hp_db_t *db = *state;
    char uid[16];
    add_incoming(db, "bert", "bert", NULL);
    add_message(db, "own", SELF, "anna", false);
    for (int i = 0; i < 6; i++) {
        snprintf(uid, sizeof uid, "anna%d", i);
        add_incoming(db, uid, "anna", NULL);
    }
    assert_ok(hp_db_message_prune_host(db, "anna", 2, &err));
    begin_text();
    assert_ok(hp_db_message_each(db, NULL, 0, 100, add_uid, NULL, &err));
    assert_text("anna5 anna4 own bert ");
}

static void old_messages_are_forgotten_unless_they_wait(void **state)
{
    hp_db_t *db = *state;
    int64_t waits = add_message(db, "waits", SELF, "anna", false);
    int64_t old = add_message(db, "old", SELF, "anna", false);
    add_message(db, "newer", "anna", SELF, true);
    add_message(db, "newest", "anna", SELF, true);
    set_delivery(db, waits, "anna", HP_DELIVERY_QUEUED, "");
    set_delivery(db, old, "anna", HP_DELIVERY_DELIVERED, "");
    assert_ok(hp_db_message_prune(db, 2, &err));
    begin_text();
    assert_ok(hp_db_message_each(db, NULL, 0, 100, add_uid, NULL, &err));
    assert_text("newest newer waits ");
    begin_text();
    assert_ok(hp_db_delivery_each(db, old, add_delivery, NULL, &err));
    assert_text("");
}

/* ---- downloads ---- */

static int64_t given[3]; /* bytes by a, by b, by nobody on record */

static void add_given(void *arg, const char *host, int64_t bytes)
{
    (void)arg;
    given[host == NULL ? 2 : host[0] - 'a'] += bytes;
}

static int64_t add_file(hp_db_t *db, int64_t download, const char *path, int64_t size, int64_t chunk_size)
{
    hp_download_file_row_t row = {.download = download,
                                  .path = (char *)(uintptr_t)path,
                                  .source_path = (char *)(uintptr_t)path,
                                  .state = (char[]){"open"},
                                  .size = size,
                                  .chunk_size = chunk_size};
    assert_ok(hp_db_download_file_insert(db, &row, &err));
    return row.id;
}

static int64_t add_source(hp_db_t *db, int64_t file, const char *host)
{
    hp_download_source_row_t row = {.file = file, .host = (char *)(uintptr_t)host, .path = (char[]){"x"}};
    assert_ok(hp_db_download_source_put(db, &row, &err));
    return row.id;
}

/* Whatever the size of the steps: a file without chunks, a last chunk that is short, a source that nobody
 * knows. */
static void what_each_host_gave_adds_up_in_steps_of_any_size(void **state)
{
    hp_db_t *db = *state;
    int64_t ids[2];
    for (int i = 0; i < 2; i++) {
        hp_download_row_t row = {.base = (char[]){"/d"},
                                 .path = (char[]){"x"},
                                 .folder = true,
                                 .order_host = (char[]){"a"},
                                 .order_path = (char[]){"x"},
                                 .state = (char[]){"running"},
                                 .reason = (char[]){""}};
        assert_ok(hp_db_download_insert(db, &row, &err));
        ids[i] = row.id;
        for (int k = 0; k < 4; k++) {
            char path[] = {'x', '/', (char)('0' + k), '\0'};
            int64_t file = add_file(db, row.id, path, 100 * 7 - 30, 100);
            int64_t sources[] = {add_source(db, file, "a"), add_source(db, file, "b"), 0};
            for (int64_t n = 0; n < 7 && k != 1; n++) {
                hp_chunk_row_t chunk = {.file = file, .number = n, .source = sources[n % 3]};
                assert_ok(hp_db_chunk_add(db, &chunk, &err));
            }
        }
    }
    for (int64_t limit = 2; limit < 30; limit++) {
        hp_download_given_t at = {.number = -1};
        bool more = true;
        memset(given, 0, sizeof given);
        for (int steps = 0; more; steps++) {
            assert_in_range(steps, 0, 40);
            assert_ok(hp_db_download_given(db, ids[1], &at, limit, &more, add_given, NULL, &err));
        }
        assert_int_equal(given[0], 3 * (100 + 100 + 70));
        assert_int_equal(given[1], 3 * 200);
        assert_int_equal(given[2], 3 * 200);
    }
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, open_memory, close_memory)
    const struct CMUnitTest tests[] = {
        TEST(the_id_of_this_host_is_made_once),
        TEST(settings_are_set_changed_and_removed),
        TEST(traffic_adds_up_by_the_minute),
        TEST(a_message_is_stored_once_per_sender_and_id),
        TEST(messages_are_listed_newest_first_with_a_peer_or_all),
        TEST(deliveries_change_their_state),
        TEST(a_delivery_that_was_removed_or_is_over_stays_as_it_is),
        TEST(what_is_unread_is_counted_by_sender),
        TEST(a_message_may_offer_a_file),
        TEST(one_sender_does_not_push_out_the_others),
        TEST(old_messages_are_forgotten_unless_they_wait),
        TEST(what_each_host_gave_adds_up_in_steps_of_any_size),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
