// libs: db base
/* Groups and their members as they stand in the database. */
#include "test_db_help.h"

#include "base/buf.h"
#include "db/db.h"
#include "db/group.h"

static hp_buf_t text;

static int open_memory(void **state)
{
    hp_buf_init(&text, 1 << 16);
    hp_buf_add_text(&text, "");
    return hp_db_open_memory((hp_db_t **)state, NULL);
}

static int close_memory(void **state)
{
    hp_db_close(*state);
    hp_buf_dispose(&text);
    return 0;
}

#define assert_ok(call)                                                                                      \
    do {                                                                                                     \
        hp_err_t err = {0};                                                                                  \
        int result = (call);                                                                                 \
        if (result != 0)                                                                                     \
            fail_msg("%s: %d %s", #call, result, hp_err_text(&err));                                         \
    } while (0)

static void assert_written(const char *expected)
{
    assert_string_equal(text.data, expected);
    hp_buf_clear(&text);
    hp_buf_add_text(&text, "");
}

static hp_db_group_t make_group(uint8_t byte, const char *name)
{
    hp_db_group_t group = {.hub = "hub.example.org:9010",
                           .hub_pin_length = 16,
                           .publish = true,
                           .created_at = 1700000000000 + byte};
    memset(group.gid, byte, sizeof group.gid);
    memset(group.secret, byte + 100, sizeof group.secret);
    memset(group.hub_pin, 200, 16);
    snprintf(group.name, sizeof group.name, "%s", name);
    return group;
}

static hp_db_group_member_t make_member(int64_t group, uint8_t byte, const char *name)
{
    hp_db_group_member_t member = {.group = group, .seen_at = 1};
    memset(member.fingerprint, byte, sizeof member.fingerprint);
    memset(member.proof, byte + 1, sizeof member.proof);
    for (int i = 0; i < 16; i++)
        snprintf(member.host + 2 * i, 3, "%02x", byte);
    snprintf(member.name, sizeof member.name, "%s", name);
    return member;
}

static void add_group(void *arg, const hp_db_group_t *g)
{
    (void)arg;
    hp_buf_printf(&text, "%lld %s %s %s%s, ", (long long)g->id, g->name, g->hub,
                  g->publish ? "published" : "hidden", g->leaving ? " leaving" : "");
}

static void add_member(void *arg, const hp_db_group_member_t *m)
{
    (void)arg;
    hp_buf_printf(&text, "%lld %.4s %s %lld %s, ", (long long)m->group, m->host, m->name,
                  (long long)m->list_revision, m->list_etag);
}

static void groups_are_kept_with_their_keys(void **state)
{
    hp_db_t *db = *state;
    hp_db_group_t family = make_group(1, "Family"), club = make_group(2, "Club"), read;
    assert_ok(hp_db_group_insert(db, &family, &err));
    assert_ok(hp_db_group_insert(db, &club, &err));
    assert_int_equal(family.id, 1);
    hp_db_group_t again = make_group(1, "Family once more");
    hp_err_t known = {0};
    assert_int_equal(hp_db_group_insert(db, &again, &known), HP_E_EXISTS);
    assert_contains(hp_err_text(&known), "already");

    assert_ok(hp_db_group_get(db, 1, &read, &err));
    assert_memory_equal(&read, &family, sizeof read);
    /* The hub has shown its whole fingerprint. */
    memset(read.hub_pin, 200, 32);
    read.hub_pin_length = 32;
    read.publish = false;
    read.leaving = true;
    read.list_revision = 7;
    snprintf(read.name, sizeof read.name, "Familie");
    assert_ok(hp_db_group_update(db, &read, &err));
    hp_db_group_t changed;
    assert_ok(hp_db_group_get(db, 1, &changed, &err));
    assert_memory_equal(&changed, &read, sizeof changed);
    assert_ok(hp_db_group_each(db, add_group, NULL, &err));
    assert_written("1 Familie hub.example.org:9010 hidden leaving, 2 Club hub.example.org:9010 published, ");
    assert_ok(hp_db_group_remove(db, 1, &err));
    assert_int_equal(hp_db_group_remove(db, 1, NULL), HP_E_NOT_FOUND);
    assert_int_equal(hp_db_group_update(db, &read, NULL), HP_E_NOT_FOUND);
    assert_int_equal(hp_db_group_get(db, 1, &read, NULL), HP_E_NOT_FOUND);
    family = make_group(1, "Family");
    assert_ok(hp_db_group_insert(db, &family, &err));
    assert_true(family.id > 2); /* an id is never used again */
}

static void members_come_and_go_and_their_lists_only_become_newer(void **state)
{
    hp_db_t *db = *state;
    hp_db_group_t family = make_group(1, "Family"), club = make_group(2, "Club");
    assert_ok(hp_db_group_insert(db, &family, &err));
    assert_ok(hp_db_group_insert(db, &club, &err));
    hp_db_group_member_t anna = make_member(1, 0xaa, "Anna"), bert = make_member(1, 0xbb, "Bert");
    hp_db_group_member_t anna_too = make_member(2, 0xaa, "Anna");
    assert_ok(hp_db_group_member_put(db, &anna, &err));
    assert_ok(hp_db_group_member_put(db, &bert, &err));
    assert_ok(hp_db_group_member_put(db, &anna_too, &err));
    assert_ok(hp_db_group_member_listed(db, 1, anna.fingerprint, 5, "\"e5\"", &err));
    assert_ok(hp_db_group_member_listed(db, 1, anna.fingerprint, 5, "\"e5b\"", &err));
    hp_err_t old = {0};
    assert_int_equal(hp_db_group_member_listed(db, 1, anna.fingerprint, 4, "\"e4\"", &old), HP_E_CONFLICT);
    assert_contains(hp_err_text(&old), "revision 4 after 5");
    assert_int_equal(hp_db_group_member_listed(db, 2, bert.fingerprint, 4, "", NULL), HP_E_NOT_FOUND);
    snprintf(anna.name, sizeof anna.name, "Anna's new laptop");
    assert_ok(hp_db_group_member_put(db, &anna, &err)); /* keeps what was read of it */
    assert_ok(hp_db_group_member_each(db, 1, add_member, NULL, &err));
    assert_written("1 aaaa Anna's new laptop 5 \"e5b\", 1 bbbb Bert 0 , ");
    assert_ok(hp_db_group_member_each_of(db, anna.host, add_member, NULL, &err));
    assert_written("1 aaaa Anna's new laptop 5 \"e5b\", 2 aaaa Anna 0 , ");
    assert_ok(hp_db_group_member_remove(db, 1, bert.fingerprint, &err));
    assert_ok(hp_db_group_member_remove(db, 1, bert.fingerprint, &err));
    assert_ok(hp_db_group_remove(db, 2, &err));
    assert_ok(hp_db_group_member_each_of(db, anna.host, add_member, NULL, &err));
    assert_written("1 aaaa Anna's new laptop 5 \"e5b\", ");
}

static void a_new_secret_forgets_who_was_proven_by_the_old_one(void **state)
{
    hp_db_t *db = *state;
    hp_db_group_t family = make_group(1, "Family"), club = make_group(2, "Club"), read;
    assert_ok(hp_db_group_insert(db, &family, &err));
    assert_ok(hp_db_group_insert(db, &club, &err));
    hp_db_group_member_t anna = make_member(1, 0xaa, "Anna");
    assert_ok(hp_db_group_member_put(db, &anna, &err));
    /* With what another group has: nothing happens. */
    assert_int_equal(hp_db_group_renew(db, 1, club.gid, club.secret, NULL), HP_E_EXISTS);
    assert_int_equal(hp_db_group_renew(db, 9, club.gid, club.secret, NULL), HP_E_NOT_FOUND);
    assert_ok(hp_db_group_member_each(db, 1, add_member, NULL, &err));
    assert_written("1 aaaa Anna 0 , ");
    hp_db_group_t renewed = make_group(3, "Family");
    assert_ok(hp_db_group_renew(db, 1, renewed.gid, renewed.secret, &err));
    assert_ok(hp_db_group_get(db, 1, &read, &err));
    assert_memory_equal(read.gid, renewed.gid, sizeof read.gid);
    assert_memory_equal(read.secret, renewed.secret, sizeof read.secret);
    assert_ok(hp_db_group_member_each(db, 1, add_member, NULL, &err));
    assert_written("");
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, open_memory, close_memory)
    const struct CMUnitTest tests[] = {
        TEST(groups_are_kept_with_their_keys),
        TEST(members_come_and_go_and_their_lists_only_become_newer),
        TEST(a_new_secret_forgets_who_was_proven_by_the_old_one),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
