// libs: db base
#include "test_db_help.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "db/hub.h"

static const uint8_t gid[16] = {1}, credential[32] = {2}, tag_a[16] = {3}, tag_b[16] = {4};

static hp_db_hub_join_t join_of(int number)
{
    hp_db_hub_join_t join = {
        .creator = "192.0.2.1", .may_create = true, .groups_max = 2, .members_max = 3, .now = 1000 + number};
    memcpy(join.gid, gid, sizeof join.gid);
    memcpy(join.credential, credential, sizeof join.credential);
    snprintf(join.member.host, sizeof join.member.host, "%032x", (unsigned)number);
    join.member.fingerprint[0] = (uint8_t)number;
    snprintf(join.member.name, sizeof join.member.name, "host %d", number);
    return join;
}

static void count_member(void *arg, const hp_db_hub_member_t *member)
{
    (void)member;
    ++*(int *)arg;
}

static int members_of(hp_db_t *db, const uint8_t group[16])
{
    int count = 0;
    assert_int_equal(hp_db_hub_members(db, group, count_member, &count, NULL), 0);
    return count;
}

static hp_db_t *open_db(void)
{
    hp_db_t *db;
    assert_int_equal(hp_db_open_memory(&db, NULL), 0);
    return db;
}

static void lets_members_in_by_the_groups_credential(void **state)
{
    (void)state;
    hp_db_t *db = open_db();
    hp_err_t err = {0};
    hp_db_hub_join_t join = join_of(1);
    join.may_create = false;
    assert_int_equal(hp_db_hub_join(db, &join, &err), HP_E_NOT_FOUND);
    join.may_create = true;
    assert_int_equal(hp_db_hub_join(db, &join, &err), 0);
    assert_int_equal(hp_db_hub_join(db, &join, &err), 0); /* again: the same member */
    assert_int_equal(members_of(db, gid), 1);
    join = join_of(2);
    join.credential[0] ^= 1;
    assert_int_equal(hp_db_hub_join(db, &join, &err), HP_E_FORBIDDEN);
    join = join_of(2);
    join.may_create = false; /* a group that is there needs no right to make groups */
    assert_int_equal(hp_db_hub_join(db, &join, &err), 0);
    assert_int_equal(members_of(db, gid), 2);
    hp_db_close(db);
}

static void keeps_its_quotas(void **state)
{
    (void)state;
    hp_db_t *db = open_db();
    hp_err_t err = {0};
    for (int i = 1; i <= 3; i++) {
        hp_db_hub_join_t join = join_of(i);
        assert_int_equal(hp_db_hub_join(db, &join, &err), 0);
    }
    hp_db_hub_join_t join = join_of(4);
    assert_int_equal(hp_db_hub_join(db, &join, &err), HP_E_TOO_MANY);
    join = join_of(3); /* one that is in may come back to a full group */
    assert_int_equal(hp_db_hub_join(db, &join, &err), 0);
    for (uint8_t i = 2; i <= 3; i++) {
        join = join_of(1);
        join.gid[0] = i;
        assert_int_equal(hp_db_hub_join(db, &join, &err), i == 2 ? 0 : HP_E_TOO_MANY);
    }
    join.creator = "192.0.2.2";
    assert_int_equal(hp_db_hub_join(db, &join, &err), 0);
    hp_db_close(db);
}

static void forgets_members_and_empty_groups(void **state)
{
    (void)state;
    hp_db_t *db = open_db();
    hp_db_hub_counts_t counts;
    for (int i = 1; i <= 2; i++) {
        hp_db_hub_join_t join = join_of(i);
        assert_int_equal(hp_db_hub_join(db, &join, NULL), 0);
    }
    assert_int_equal(hp_db_hub_leave(db, gid, join_of(1).member.host, NULL), 0);
    assert_int_equal(hp_db_hub_leave(db, gid, join_of(1).member.host, NULL), HP_E_NOT_FOUND);
    assert_int_equal(hp_db_hub_prune(db, 1002, NULL), 0); /* seen at 1002: stays */
    assert_int_equal(members_of(db, gid), 1);
    assert_int_equal(hp_db_hub_prune(db, 1003, NULL), 0);
    assert_int_equal(hp_db_hub_counts(db, &counts, NULL), 0);
    assert_int_equal(counts.members, 0);
    assert_int_equal(counts.groups, 0);
    hp_db_close(db);
}

static int put(hp_db_t *db, const char *etag, uint64_t offset, uint64_t total, const char *data)
{
    hp_db_hub_piece_t piece = {.offset = offset, .total = total, .data = data, .length = strlen(data)};
    memcpy(piece.gid, gid, sizeof piece.gid);
    snprintf(piece.host, sizeof piece.host, "%s", join_of(1).member.host);
    snprintf(piece.etag, sizeof piece.etag, "%s", etag);
    return hp_db_hub_list_put(db, &piece, NULL);
}

/* The whole list as text; "" none. */
static void get(hp_db_t *db, char *out)
{
    char etag[HP_DB_HUB_ETAG_SIZE] = "";
    uint64_t offset = 0, total = 1;
    out[0] = '\0';
    while (offset < total) {
        void *data;
        size_t length;
        if (hp_db_hub_list_piece(db, gid, join_of(1).member.host, etag, offset, &total, &data, &length,
                                 NULL) != 0)
            return;
        memcpy(out + offset, data, length);
        offset += length;
        out[offset] = '\0';
        free(data);
    }
}

static void keeps_the_old_list_until_the_new_one_is_whole(void **state)
{
    (void)state;
    hp_db_t *db = open_db();
    hp_db_hub_join_t join = join_of(1);
    char text[100];
    assert_int_equal(hp_db_hub_join(db, &join, NULL), 0);
    get(db, text);
    assert_string_equal(text, "");
    assert_int_equal(put(db, "aa", 0, 6, "one"), 0);
    get(db, text);
    assert_string_equal(text, "");
    assert_int_equal(put(db, "aa", 2, 6, "two"), HP_E_CONFLICT);
    assert_int_equal(put(db, "aa", 3, 6, "two"), 0);
    get(db, text);
    assert_string_equal(text, "onetwo");
    assert_int_equal(put(db, "bb", 0, 8, "half"), 0);
    assert_int_equal(put(db, "cc", 4, 8, "half"), HP_E_CONFLICT);
    get(db, text);
    assert_string_equal(text, "onetwo");
    assert_int_equal(put(db, "dd", 0, 3, "new"), 0); /* the half one is dropped */
    assert_int_equal(put(db, "bb", 4, 8, "rest"), HP_E_CONFLICT);
    get(db, text);
    assert_string_equal(text, "new");
    assert_int_equal(hp_db_hub_list_remove(db, gid, join.member.host, NULL), 0);
    get(db, text);
    assert_string_equal(text, "");
    hp_db_close(db);
}

static void note_host(void *arg, const char *host)
{
    strcat(strcat(arg, host + 31), ",");
}

static int tags(hp_db_t *db, int number, bool reset, const uint8_t *add, const uint8_t *remove, uint64_t max)
{
    hp_db_hub_tags_t change = {.reset = reset,
                               .add = add,
                               .remove = remove,
                               .add_count = add != NULL,
                               .remove_count = remove != NULL,
                               .max = max};
    memcpy(change.gid, gid, sizeof change.gid);
    snprintf(change.host, sizeof change.host, "%s", join_of(number).member.host);
    return hp_db_hub_tags(db, &change, NULL);
}

static void tells_who_has_a_content(void **state)
{
    (void)state;
    hp_db_t *db = open_db();
    char hosts[100] = "";
    for (int i = 1; i <= 2; i++) {
        hp_db_hub_join_t join = join_of(i);
        assert_int_equal(hp_db_hub_join(db, &join, NULL), 0);
        assert_int_equal(tags(db, i, false, tag_a, NULL, 10), 0);
    }
    assert_int_equal(tags(db, 1, false, tag_b, tag_a, 10), 0);
    assert_int_equal(hp_db_hub_have(db, gid, tag_a, 10, note_host, hosts, NULL), 0);
    assert_string_equal(hosts, "2,");
    hosts[0] = '\0';
    assert_int_equal(tags(db, 1, true, tag_a, NULL, 10), 0);
    assert_int_equal(hp_db_hub_have(db, gid, tag_b, 10, note_host, hosts, NULL), 0);
    assert_string_equal(hosts, "");
    assert_int_equal(hp_db_hub_have(db, gid, tag_a, 1, note_host, hosts, NULL), 0);
    assert_string_equal(hosts, "1,");
    assert_int_equal(tags(db, 1, false, tag_b, NULL, 1), HP_E_TOO_MANY);
    assert_int_equal(tags(db, 3, false, tag_b, NULL, 1), HP_E_NOT_FOUND);
    hp_db_close(db);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(lets_members_in_by_the_groups_credential),
        cmocka_unit_test(keeps_its_quotas),
        cmocka_unit_test(forgets_members_and_empty_groups),
        cmocka_unit_test(keeps_the_old_list_until_the_new_one_is_whole),
        cmocka_unit_test(tells_who_has_a_content),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
