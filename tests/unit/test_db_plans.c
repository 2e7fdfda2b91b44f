// libs: db base
/* That no statement reads a whole table, or sorts what it could read in order, but those that are named here
 * with their reason. */
#include "test_db_help.h"

#include "base/buf.h"
#include "db/db.h"
#include "db/statement.h"

static const hp_sql_list_t *const lists[] = {
#define X(table) &hp_sql_##table,
    HP_SQL_LISTS(X)
#undef X
};

static const struct {
    const char *statement, *step;
    const char *reason; /* for whoever reads this */
} exceptions[] = {
    {"setting.each", "SCAN setting", "there are as many as the settings page has"},
    {"message.prune", "SCAN message", "from the newest to the number that is kept"},
    {"message.prune", "SCAN message_delivery USING INDEX message_delivery_queued", "the few that wait"},
    {"message.read", "SCAN message USING INDEX message_unread", "the few that are unread"},
    {"message.unread", "SCAN message USING INDEX message_unread", "the few that are unread"},
    {"download.unfinished", "USE TEMP B-TREE FOR ORDER BY", "the few that are under way, of four states"},
    {"download.counts", "SCAN download USING COVERING INDEX download_state",
     "once at start; a byte or two a download"},
    {"download.counts", "SCAN download USING COVERING INDEX download_kept", "the few that a person kept"},
    {"download.kept", "SCAN d USING INDEX download_kept", "the few that a person kept"},
    {"download.find_kept", "SCAN d USING INDEX download_kept", "the few that a person kept"},
    {"download.path_known", "SCAN download", "only while a folder of this name stands where an order lands"},
    {"download.find_root", "USE TEMP B-TREE FOR ORDER BY", "the few with one root"},
    {"download_source.each", "USE TEMP B-TREE FOR ORDER BY", "the few of one file"},
    {"incoming.each", "SCAN incoming", "wants all of them, at start"},
    {"incoming.prune", "SCAN incoming USING INDEX incoming_ended",
     "from the newest to the number that is kept"},
    {"host.all", "SCAN host", "wants all of them, at start"},
    {"host_alias.each", "SCAN host_alias", "wants all of them, at start"},
    {"group.each", "SCAN member_group", "wants all of them, at start"},
    {"hub_group.prune", "SCAN hub_group USING COVERING INDEX hub_group_creator", "once an hour, at a hub"},
    {"hub_group.count_all", "SCAN hub_group USING COVERING INDEX hub_group_creator", "every 15 s, at a hub"},
    {"hub_member.count_all", "SCAN hub_member", "every 15 s, at a hub"},
    {"host.addresses", "USE TEMP B-TREE FOR ORDER BY", "the few of one host"},
    {"remote_file.size_by_root", "USE TEMP B-TREE FOR GROUP BY", "the few with one root"},
    {"remote_file.size_by_root", "USE TEMP B-TREE FOR ORDER BY", "the few sizes of one root"},
    {"share.load", "SCAN share", "has one row"},
    {"share.commit", "SCAN share", "has one row"},
    {"shared_place.list", "SCAN shared_place", "a person has named each of them"},
    {"shared_file.page_first", "SCAN shared_file USING INDEX sqlite_autoindex_shared_file_1",
     "stops at its limit"},
    {"shared_file.newest", "SCAN shared_file USING INDEX shared_file_newest", "stops at its limit"},
    {"shared_file.newest", "SCAN (subquery-1)", "the rows of the line above"},
    {"shared_file.smallest", "SCAN (subquery-1)", "stops at its limit"},
    {"shared_file.find_largest", "USE TEMP B-TREE FOR ORDER BY", "the few with one root"},
};

/* Releases of SQLite differ in which plan is "COVERING". */
static bool same_step(const char *a, const char *b)
{
    static const char word[] = "COVERING ";
    size_t n = strlen(word);
    while (*a != '\0' || *b != '\0') {
        a += strncmp(a, word, n) == 0 ? n : 0;
        b += strncmp(b, word, n) == 0 ? n : 0;
        if (*a != *b)
            return false;
        if (*a != '\0')
            a++, b++;
    }
    return true;
}

static bool is_excepted(const char *statement, const char *step, bool used[])
{
    for (size_t i = 0; i < sizeof exceptions / sizeof *exceptions; i++)
        if (strcmp(exceptions[i].statement, statement) == 0 && same_step(exceptions[i].step, step)) {
            used[i] = true;
            return true;
        }
    return false;
}

static void no_statement_reads_a_whole_table(void **state)
{
    (void)state;
    hp_db_t *db;
    hp_buf_t found;
    bool used[sizeof exceptions / sizeof *exceptions] = {false};
    hp_buf_init(&found, 1 << 20);
    hp_buf_add_text(&found, "");
    assert_int_equal(hp_db_open_memory(&db, NULL), 0);
    for (size_t i = 0; i < sizeof lists / sizeof *lists; i++) {
        for (size_t k = 0; k < lists[i]->count; k++) {
            char query[4000];
            sqlite3_stmt *stmt;
            const hp_sql_t *sql = &lists[i]->items[k];
            assert_in_range(snprintf(query, sizeof query, "EXPLAIN QUERY PLAN %s", sql->text), 1,
                            sizeof query - 1);
            assert_int_equal(sqlite3_prepare_v2(hp_db_handle(db), query, -1, &stmt, NULL), SQLITE_OK);
            while (sqlite3_step(stmt) == SQLITE_ROW) {
                const char *step = (const char *)sqlite3_column_text(stmt, 3);
                bool scans = strstr(step, "SCAN") != NULL && strcmp(step, "SCAN CONSTANT ROW") != 0;
                if ((scans || strstr(step, "TEMP B-TREE") != NULL) && !is_excepted(sql->name, step, used))
                    hp_buf_printf(&found, "{\"%s\", \"%s\"},\n", sql->name, step);
            }
            sqlite3_finalize(stmt);
        }
    }
    for (size_t i = 0; i < sizeof exceptions / sizeof *exceptions; i++)
        if (!used[i])
            hp_buf_printf(&found, "%s: the exception \"%s\" is not needed\n", exceptions[i].statement,
                          exceptions[i].step);
    hp_db_close(db);
    if (found.length > 0)
        print_error("%s", found.data);
    assert_int_equal(found.length, 0);
    hp_buf_dispose(&found);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(no_statement_reads_a_whole_table)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
