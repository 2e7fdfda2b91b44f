// libs: db os base
/* The file lists of other hosts in the database: what is imported is what is shown, whatever is asked. */
#include <ctype.h>
#include <strings.h>

#include "base/err.h"
#include "base/mem.h"
#include "base/path.h"
#include "db/host.h"
#include "db/remote_file.h"
#include "db/statement.h"
#include "test_db_help.h"

#define HOST  "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
#define OTHER "bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb"

static int open_db(void **state)
{
    hp_err_t err = {0};
    hp_db_t *db;
    if (hp_db_open_memory(&db, &err) != 0)
        fail_msg("%s", hp_err_text(&err));
    *state = db;
    return 0;
}

static int close_db(void **state)
{
    hp_db_close(*state);
    return 0;
}

#define ok(call)                                                                                             \
    do {                                                                                                     \
        hp_err_t err = {0};                                                                                  \
        int rc_ = (call);                                                                                    \
        if (rc_ != 0)                                                                                        \
            fail_msg("%s: %d %s", #call, rc_, err.detail);                                                   \
    } while (0)

static void publish(hp_db_t *db, hp_remote_import_t *import, const char *etag)
{
    for (bool done = false; !done;)
        ok(hp_remote_import_publish(db, import, etag, 1000, &done, &err));
    ok(hp_remote_import_abandon(db, import, &err));
}

static void import_all(hp_db_t *db, const char *host, const hp_remote_entry_t *entries, size_t count)
{
    hp_remote_import_t *import;
    ok(hp_remote_import_begin(db, host, HP_REMOTE_FILES_MAX, &import, &err));
    for (size_t i = 0; i < count; i += HP_REMOTE_BATCH)
        ok(hp_remote_import_add(db, import, entries + i, HP_MIN(count - i, (size_t)HP_REMOTE_BATCH), &err));
    publish(db, import, "\"1\"");
}

#define import_list(db, host, ...)                                                                           \
    do {                                                                                                     \
        const hp_remote_entry_t list_[] = {__VA_ARGS__};                                                     \
        import_all(db, host, list_, HP_COUNT(list_));                                                        \
    } while (0)

#define F(path_, size_)                                                                                      \
    {                                                                                                        \
        .path = (path_), .size = (size_), .mtime = 5000                                                      \
    }

static void sweep_all(hp_db_t *db)
{
    for (bool more = true; more;)
        ok(hp_remote_sweep(db, &more, &err));
}

static int64_t rows_of(hp_db_t *db, const char *table)
{
    char sql[200];
    sqlite3_stmt *stmt;
    snprintf(sql, sizeof sql, "SELECT count(*) FROM %s", table);
    assert_int_equal(sqlite3_prepare_v2(hp_db_handle(db), sql, -1, &stmt, NULL), SQLITE_OK);
    assert_int_equal(sqlite3_step(stmt), SQLITE_ROW);
    int64_t count = sqlite3_column_int64(stmt, 0);
    sqlite3_finalize(stmt);
    return count;
}

/* "folder/(files,bytes) ... file(size) ..." of all pages of a query, walked through with pages of `limit`
 * rows. */
static char *walk(hp_db_t *db, hp_remote_query_t query)
{
    char *text = hp_strdup(""), *cursor = NULL;
    for (int pages = 0;; pages++) {
        assert_true(pages < 100000);
        hp_remote_page_t page;
        query.cursor = cursor;
        ok(hp_remote_page_read(db, &query, &page, &err));
        for (size_t i = 0; i < page.folder_count; i++) {
            char *more = hp_sprintf("%s%s/(%lld,%lld) ", text, page.folders[i].path,
                                    (long long)page.folders[i].files, (long long)page.folders[i].bytes);
            free(text);
            text = more;
        }
        for (size_t i = 0; i < page.files.count; i++) {
            assert_string_equal(page.files.items[i].host, query.host);
            char *more = hp_sprintf("%s%s(%lld) ", text, page.files.items[i].path,
                                    (long long)page.files.items[i].size);
            free(text);
            text = more;
        }
        free(cursor);
        cursor = page.next != NULL ? hp_strdup(page.next) : NULL;
        assert_true(cursor == NULL || page.folder_count + page.files.count == query.limit);
        hp_remote_page_dispose(&page);
        if (cursor == NULL)
            return text;
    }
}

#define assert_walk(db, expected, ...)                                                                       \
    do {                                                                                                     \
        for (size_t limit_ = 1; limit_ < 8; limit_++) {                                                      \
            char *text_ = walk(db, (hp_remote_query_t){.host = HOST, .limit = limit_, __VA_ARGS__});         \
            assert_string_equal(text_, expected);                                                            \
            free(text_);                                                                                     \
        }                                                                                                    \
    } while (0)

static void a_folder_is_shown_page_by_page_in_every_order(void **state)
{
    hp_db_t *db = *state;
    import_list(db, HOST, F("Alpha/one", 10), F("Alpha/two", 20), F("beta/deep/er/x", 1), F("beta/y", 2),
                F("B.txt", 30), F("a.txt", 50), F("c.txt", 40), F("zoo/last", 5));
    assert_walk(db, "Alpha/(2,30) beta/(2,3) zoo/(1,5) a.txt(50) B.txt(30) c.txt(40) ", .folder = "");
    assert_walk(db, "zoo/(1,5) beta/(2,3) Alpha/(2,30) c.txt(40) B.txt(30) a.txt(50) ", .folder = "",
                .descending = true);
    assert_walk(db, "Alpha/(2,30) beta/(2,3) zoo/(1,5) B.txt(30) c.txt(40) a.txt(50) ",
                .sort = HP_REMOTE_BY_SIZE);
    assert_walk(db, "Alpha/(2,30) beta/(2,3) zoo/(1,5) a.txt(50) c.txt(40) B.txt(30) ",
                .sort = HP_REMOTE_BY_SIZE, .descending = true);
    assert_walk(db, "beta/deep/(1,1) beta/y(2) ", .folder = "beta");
    assert_walk(db, "beta/deep/er/x(1) ", .folder = "beta/deep/er");
}

static void totals_count_all_pages(void **state)
{
    hp_db_t *db = *state;
    import_list(db, HOST, F("d/1", 1), F("e/1", 1), F("a", 1), F("b", 1), F("c", 1));
    hp_remote_page_t page;
    ok(hp_remote_page_read(db, &(hp_remote_query_t){.host = HOST, .limit = 1}, &page, &err));
    assert_int_equal(page.folders_total, 2);
    assert_int_equal(page.files_total, 3);
    hp_remote_page_dispose(&page);
    ok(hp_remote_page_read(db, &(hp_remote_query_t){.host = HOST, .limit = 1, .q = "1"}, &page, &err));
    assert_int_equal(page.folders_total, 0);
    assert_int_equal(page.files_total, 2);
    hp_remote_page_dispose(&page);
}

static void names_are_found_whatever_their_case(void **state)
{
    hp_db_t *db = *state;
    import_list(db, HOST, F("Photos/Été 2024/IMG_1.JPG", 1), F("Photos/img_2.jpg", 2),
                F("Музыка/Песня.mp3", 3), F("电影/流浪地球.mkv", 4), F("notes.txt", 5));
    assert_walk(db, "Photos/Été 2024/IMG_1.JPG(1) Photos/img_2.jpg(2) ", .q = "img");
    assert_walk(db, "Photos/img_2.jpg(2) Photos/Été 2024/IMG_1.JPG(1) ", .q = "IMG",
                .sort = HP_REMOTE_BY_SIZE, .descending = true);
    assert_walk(db, "Photos/Été 2024/(1,1) ", .q = "éTÉ");
    assert_walk(db, "Музыка/Песня.mp3(3) ", .q = "ПЕСНЯ");
    assert_walk(db, "电影/流浪地球.mkv(4) ", .q = "地球");
    assert_walk(db, "电影/(1,4) ", .q = "影");
    assert_walk(db, "Photos/Été 2024/IMG_1.JPG(1) Photos/img_2.jpg(2) ", .q = "jpg", .folder = "Photos");
    assert_walk(db, "Photos/Été 2024/IMG_1.JPG(1) ", .q = "jpg", .folder = "Photos/Été 2024");
    assert_walk(db, "", .q = "nowhere");
    assert_walk(db, "", .q = "Photos/img"); /* names, not paths */
    assert_walk(db, "notes.txt(5) ", .q = "S.T");
}

static void like_patterns_and_quotes_are_only_text(void **state)
{
    hp_db_t *db = *state;
    import_list(db, HOST, F("100%.txt", 1), F("1000.txt", 2), F("a_b", 3), F("axb", 4), F("it's \"so\"", 5));
    assert_walk(db, "100%.txt(1) ", .q = "100%");
    assert_walk(db, "a_b(3) ", .q = "a_b");
    assert_walk(db, "it's \"so\"(5) ", .q = "'s \"");
    assert_walk(db, "", .q = "\\");
}

static void a_file_is_found_by_its_exact_path(void **state)
{
    hp_db_t *db = *state;
    hp_err_t why = {0};
    hp_remote_entry_t entries[] = {F("a/B.txt", 7), F("a/b.txt", 8), F("top", HP_REMOTE_NO_SIZE)};
    entries[0].rooted = true;
    memset(entries[0].root, 0xab, 32);
    entries[2].mtime = HP_REMOTE_NO_TIME;
    import_all(db, HOST, entries, 3);
    hp_remote_file_t file;
    ok(hp_remote_file_find(db, HOST, "a/b.txt", &file, &err));
    assert_int_equal(file.size, 8);
    assert_string_equal(file.path, "a/b.txt");
    assert_string_equal(file.name, "b.txt");
    assert_string_equal(file.root, "");
    assert_int_equal(file.mtime, 5000);
    hp_remote_file_dispose(&file);
    ok(hp_remote_file_find(db, HOST, "a/B.txt", &file, &err));
    assert_int_equal(file.size, 7);
    assert_int_equal(strlen(file.root), 64);
    assert_int_equal(strspn(file.root, "ab"), 64);
    hp_remote_file_dispose(&file);
    ok(hp_remote_file_find(db, HOST, "top", &file, &err));
    assert_int_equal(file.size, HP_REMOTE_NO_SIZE);
    assert_true(file.mtime == HP_REMOTE_NO_TIME);
    hp_remote_file_dispose(&file);
    assert_int_equal(hp_remote_file_find(db, HOST, "A/b.txt", &file, &why), HP_E_NOT_FOUND);
    assert_int_equal(hp_remote_file_find(db, HOST, "a", &file, &why), HP_E_NOT_FOUND);
    assert_int_equal(hp_remote_file_find(db, OTHER, "top", &file, &why), HP_E_NOT_FOUND);
    assert_int_equal(why.code, 0);
}

static char *below(hp_db_t *db, const char *folder, size_t limit)
{
    char *text = hp_strdup(""), *after = NULL;
    for (;;) {
        hp_remote_files_t files;
        ok(hp_remote_file_below(db, HOST, folder, after, limit, &files, &err));
        size_t count = files.count;
        for (size_t i = 0; i < count; i++) {
            char *more = hp_sprintf("%s%s ", text, files.items[i].path);
            free(text);
            text = more;
            free(after);
            after = hp_strdup(files.items[i].path);
        }
        hp_remote_files_dispose(&files);
        if (count < limit) {
            free(after);
            return text;
        }
    }
}

static void all_files_below_a_folder_are_listed_once(void **state)
{
    static const struct {
        const char *folder, *expected;
    } cases[] = {
        {"a", "a/1 a/X a/y a/b/2 a/b/c/3 a/d/4 "},
        {"a/b", "a/b/2 a/b/c/3 "},
        {"a-b", "a-b/6 "},
        {"none", ""},
        {"", "top a/1 a/X a/y a-b/6 a.b/5 a/b/2 a/b/c/3 a/d/4 "},
    };
    hp_db_t *db = *state;
    import_list(db, HOST, F("a/1", 1), F("a/y", 1), F("a/X", 1), F("a/b/2", 1), F("a/b/c/3", 1),
                F("a/d/4", 1), F("a.b/5", 1), F("a-b/6", 1), F("top", 1));
    for (size_t i = 0; i < HP_COUNT(cases); i++) {
        for (size_t limit = 1; limit < 12; limit++) {
            char *text = below(db, cases[i].folder, limit);
            assert_string_equal(text, cases[i].expected);
            free(text);
        }
    }
    hp_remote_files_t files;
    ok(hp_remote_file_below(db, OTHER, "", NULL, 10, &files, &err));
    assert_int_equal(files.count, 0);
}

static void set_root(hp_remote_entry_t *entry, unsigned char fill)
{
    entry->rooted = true;
    memset(entry->root, fill, sizeof entry->root);
}

static void a_content_is_found_on_every_host_that_has_it(void **state)
{
    hp_db_t *db = *state;
    hp_remote_entry_t here[] = {F("a/one", 9), F("b", 9), F("plain", 9)},
                      there[] = {F("uno", 9), F("due", 9)};
    char root[65];
    set_root(&here[0], 0x11);
    set_root(&here[1], 0x22);
    set_root(&there[0], 0x11);
    memcpy(there[1].root, here[0].root, 32);
    there[1].rooted = true;
    there[1].root[31] = 0; /* the same beginning, another root */
    import_all(db, HOST, here, HP_COUNT(here));
    import_all(db, OTHER, there, HP_COUNT(there));
    memset(root, '1', 64);
    root[64] = '\0';
    hp_remote_files_t files;
    ok(hp_remote_file_by_root(db, root, HP_REMOTE_NO_SIZE, 10, &files, &err));
    assert_int_equal(files.count, 2);
    assert_string_equal(files.items[0].path, "a/one");
    assert_string_equal(files.items[1].path, "uno");
    assert_string_equal(files.items[1].host, OTHER);
    hp_remote_files_dispose(&files);
    ok(hp_remote_file_by_root(db, root, 9, 1, &files, &err));
    assert_int_equal(files.count, 1);
    hp_remote_files_dispose(&files);
    hp_err_t why = {0};
    assert_int_equal(hp_remote_file_by_root(db, "xyz", 9, 1, &files, &why), HP_E_INVALID);
}

static void one_root_with_two_sizes_is_two_contents(void **state)
{
    hp_db_t *db = *state;
    hp_remote_entry_t here[] = {F("large", 5000000), F("twin", 64), F("copy", 5000000)},
                      there[] = {F("twin there", 64)};
    for (size_t i = 0; i < HP_COUNT(here); i++)
        set_root(&here[i], 0x11);
    set_root(&there[0], 0x11);
    import_all(db, HOST, here, HP_COUNT(here));
    char root[65];
    memset(root, '1', 64);
    root[64] = '\0';
    hp_remote_files_t files;
    ok(hp_remote_file_by_root(db, root, 64, 10, &files, &err));
    assert_int_equal(files.count, 1);
    assert_string_equal(files.items[0].path, "twin");
    hp_remote_files_dispose(&files);
    ok(hp_remote_file_by_root(db, root, 5000000, 10, &files, &err));
    assert_int_equal(files.count, 2);
    hp_remote_files_dispose(&files);
    ok(hp_remote_file_by_root(db, root, 65, 10, &files, &err));
    assert_int_equal(files.count, 0);
    hp_remote_files_dispose(&files);

    int64_t size = 0;
    ok(hp_remote_size_by_root(db, root, &size, &err));
    assert_int_equal(size, 5000000); /* two of three */
    import_all(db, OTHER, there, HP_COUNT(there));
    ok(hp_remote_size_by_root(db, root, &size, &err));
    assert_int_equal(size, 5000000); /* two of four, and the larger */
    memset(root, '2', 64);
    assert_int_equal(hp_remote_size_by_root(db, root, &size, NULL), HP_E_NOT_FOUND);
    assert_int_equal(hp_remote_size_by_root(db, "xyz", &size, NULL), HP_E_INVALID);

    hp_remote_results_t results;
    ok(hp_remote_search(db, "twin", 10, &results, &err));
    assert_int_equal(results.count, 1);
    assert_int_equal(results.items[0].size, 64);
    assert_int_equal(results.items[0].copy_count, 2);
    hp_remote_results_dispose(&results);
}

static void searching_all_hosts_groups_the_same_content(void **state)
{
    hp_db_t *db = *state;
    hp_remote_entry_t here[] = {F("film.mkv", 9), F("x/film.mkv", 8), F("Song film.mp3", 3)};
    hp_remote_entry_t there[] = {F("renamed.mkv", 9), F("deep/film.mkv", 8), F("film.mkv", 7)};
    set_root(&here[0], 0x11);
    set_root(&there[0], 0x11);
    import_all(db, HOST, here, HP_COUNT(here));
    import_all(db, OTHER, there, HP_COUNT(there));
    hp_remote_results_t results;
    ok(hp_remote_search(db, "FILM", 10, &results, &err));
    assert_int_equal(results.count, 4);
    assert_false(results.more);
    int copies_by_size[10] = {0};
    for (size_t i = 0; i < results.count; i++)
        copies_by_size[results.items[i].size] = (int)results.items[i].copy_count;
    assert_int_equal(copies_by_size[9], 2); /* the one that has another name there, too */
    assert_int_equal(copies_by_size[8], 2);
    assert_int_equal(copies_by_size[7], 1);
    assert_int_equal(copies_by_size[3], 1);
    assert_string_equal(results.items[3].name, "Song film.mp3");
    hp_remote_results_dispose(&results);
    ok(hp_remote_search(db, "film", 2, &results, &err));
    assert_int_equal(results.count, 2);
    assert_true(results.more);
    hp_remote_results_dispose(&results);
    hp_err_t why = {0};
    assert_int_equal(hp_remote_search(db, "", 2, &results, &why), HP_E_INVALID);
}

/* "name name ..." of what a search finds, folders with a slash. */
static void assert_found(hp_db_t *db, const char *q, const char *expected)
{
    hp_remote_results_t results;
    char found[512] = "";
    ok(hp_remote_search(db, q, 100, &results, &err));
    for (size_t i = 0; i < results.count; i++) {
        size_t used = strlen(found);
        snprintf(found + used, sizeof found - used, "%s%s ", results.items[i].name,
                 results.items[i].is_folder ? "/" : "");
    }
    hp_remote_results_dispose(&results);
    assert_string_equal(found, expected);
}

static void words_are_found_in_any_order_and_in_the_names_of_folders(void **state)
{
    hp_db_t *db = *state;
    const hp_remote_entry_t files[] = {
        F("Lofoten 2026/day one/boat.jpg", 1), F("Lofoten 2026/day two/fish and boat.jpg", 2),
        F("Lofoten 2026/notes.txt", 3), F("boat-2026.txt", 4), F("lofoten.txt", 5)};
    import_all(db, HOST, files, HP_COUNT(files));
    assert_found(db, "lofoten", "Lofoten 2026/ lofoten.txt ");
    assert_found(db, "2026 lofoten", "Lofoten 2026/ ");
    assert_found(db, "boat 2026", "boat-2026.txt boat.jpg fish and boat.jpg ");
    assert_found(db, "boat  LOFOTEN", "boat.jpg fish and boat.jpg ");
    assert_found(db, "boat fish", "fish and boat.jpg ");
    assert_found(db, "two boat", "fish and boat.jpg ");
    assert_found(db, "day", "day one/ day two/ ");
    assert_found(db, "notes boat", "");

    hp_remote_results_t results;
    hp_err_t why = {0};
    ok(hp_remote_search(db, "lofoten", 1, &results, &why));
    assert_true(results.items[0].is_folder);
    assert_int_equal(results.items[0].size, 6);
    assert_string_equal(results.items[0].copies[0].path, "Lofoten 2026");
    assert_true(results.more);
    hp_remote_results_dispose(&results);
    assert_int_equal(hp_remote_search(db, "  ", 2, &results, &why), HP_E_INVALID);
    assert_int_equal(hp_remote_search(db, "a b c d e f g h i j k l m n o p q", 2, &results, &why),
                     HP_E_INVALID);
}

static void a_new_list_takes_the_place_of_the_old_one_at_once(void **state)
{
    hp_db_t *db = *state;
    hp_remote_import_t *import;
    hp_remote_list_t list;
    import_list(db, HOST, F("old", 1));
    const hp_remote_entry_t fresh[] = {F("new", 2), F("newer", 3)};
    ok(hp_remote_import_begin(db, HOST, HP_REMOTE_FILES_MAX, &import, &err));
    ok(hp_remote_import_add(db, import, fresh, 2, &err));
    assert_walk(db, "old(1) ", .folder = "");
    publish(db, import, "\"2\"");
    assert_walk(db, "new(2) newer(3) ", .folder = "");
    ok(hp_remote_list_get(db, HOST, &list, &err));
    assert_string_equal(list.etag, "\"2\"");
    assert_int_equal(list.files, 2);
    assert_int_equal(list.bytes, 5);
    assert_int_equal(rows_of(db, "remote_file"), 3);
    sweep_all(db);
    assert_int_equal(rows_of(db, "remote_file"), 2);
    assert_int_equal(rows_of(db, "remote_list"), 1);
    assert_walk(db, "new(2) newer(3) ", .folder = "");
}

static void a_list_that_was_not_finished_leaves_the_old_one(void **state)
{
    hp_db_t *db = *state;
    hp_remote_import_t *import;
    import_list(db, HOST, F("old", 1));
    const hp_remote_entry_t fresh[] = {F("new", 2)};
    ok(hp_remote_import_begin(db, HOST, HP_REMOTE_FILES_MAX, &import, &err));
    ok(hp_remote_import_add(db, import, fresh, 1, &err));
    ok(hp_remote_import_abandon(db, import, &err));
    sweep_all(db);
    assert_walk(db, "old(1) ", .folder = "");
    assert_int_equal(rows_of(db, "remote_file"), 1);
    /* One that a crash cut off. */
    ok(hp_remote_import_begin(db, HOST, HP_REMOTE_FILES_MAX, &import, &err));
    ok(hp_remote_import_add(db, import, fresh, 1, &err));
    ok(hp_remote_list_recover(db, &err));
    sweep_all(db);
    assert_walk(db, "old(1) ", .folder = "");
    assert_int_equal(rows_of(db, "remote_file"), 1);
    ok(hp_remote_import_abandon(db, import, &err));
}

/* Adds files one by one until one is refused; how many were taken. */
static int64_t add_until_refused(hp_db_t *db, hp_remote_import_t *import, char *(*path_of)(int number),
                                 int count, hp_err_t *err)
{
    int64_t taken = 0;
    int rc = 0;
    for (int i = 0; i < count && rc == 0; i++) {
        char *path = path_of(i);
        hp_remote_entry_t entry = {.path = path, .size = 1, .mtime = HP_REMOTE_NO_TIME};
        rc = hp_remote_import_add(db, import, &entry, 1, err);
        taken += rc == 0;
        free(path);
    }
    return taken;
}

static char *short_path(int number)
{
    return hp_sprintf("%08d", number);
}

/* 15 folders, each with a long name of its own. */
static char *long_path(int number)
{
    char path[4000] = "";
    for (int i = 0; i < 15; i++) {
        size_t used = strlen(path);
        snprintf(path + used, sizeof path - used, "%08d-%02d-%0*d/", number, i, 230, 0);
    }
    return hp_sprintf("%sx", path);
}

static void a_list_is_given_up_where_it_is_larger_than_it_may_be(void **state)
{
    hp_db_t *db = *state;
    hp_remote_import_t *import;
    hp_err_t many = {0}, text = {0};
    import_list(db, HOST, F("old", 1));
    ok(hp_remote_import_begin(db, HOST, 500, &import, &err));
    assert_int_equal(add_until_refused(db, import, short_path, 1000, &many), 500);
    assert_int_equal(many.code, HP_E_TOO_LARGE);
    assert_non_null(strstr(many.detail, "more than 500 files"));
    ok(hp_remote_import_abandon(db, import, &err));
    /* Few files, but 27 KiB of folder names each. */
    ok(hp_remote_import_begin(db, HOST, 10000, &import, &err));
    int64_t taken = add_until_refused(db, import, long_path, 10000, &text);
    print_message("%lld files with long names\n", (long long)taken);
    assert_in_range(taken, 300, 1000);
    assert_int_equal(text.code, HP_E_TOO_LARGE);
    ok(hp_remote_import_abandon(db, import, &err));
    sweep_all(db);
    assert_walk(db, "old(1) ", .folder = "");
    assert_int_equal(rows_of(db, "remote_folder"), 1);
}

static void a_forgotten_host_leaves_nothing(void **state)
{
    static const char *const tables[] = {"remote_list", "remote_folder", "remote_file",
                                         "remote_root", "remote_names",  "remote_keys"};
    hp_db_t *db = *state;
    enum { COUNT = 7000 };
    hp_remote_entry_t *entries = hp_alloc_array(COUNT, sizeof *entries);
    char(*paths)[40] = hp_alloc_array(COUNT, sizeof *paths);
    for (int i = 0; i < COUNT; i++) {
        snprintf(paths[i], sizeof paths[i], "folder %03d/file %05d", i / 20, i);
        entries[i] = (hp_remote_entry_t)F(paths[i], i);
        set_root(&entries[i], (unsigned char)i);
        memcpy(entries[i].root + 2, &i, sizeof i);
    }
    import_all(db, HOST, entries, COUNT);
    import_list(db, OTHER, F("stays", 1));
    assert_int_equal(rows_of(db, "remote_root"), COUNT);
    assert_int_equal(rows_of(db, "remote_names"), COUNT / HP_REMOTE_BATCH + 1);
    ok(hp_remote_list_forget(db, HOST, &err));
    hp_remote_page_t page;
    hp_err_t why = {0};
    assert_int_equal(hp_remote_page_read(db, &(hp_remote_query_t){.host = HOST, .limit = 1}, &page, &why),
                     HP_E_NOT_FOUND);
    sweep_all(db);
    for (size_t i = 0; i < HP_COUNT(tables); i++)
        if (rows_of(db, tables[i]) != (strcmp(tables[i], "remote_root") != 0))
            fail_msg("%s has %lld rows", tables[i], (long long)rows_of(db, tables[i]));
    free(entries);
    free(paths);
}

static void what_is_listed_twice_or_too_deep_or_too_large_does_no_harm(void **state)
{
    hp_db_t *db = *state;
    char deep[600] = "";
    for (int i = 0; i < 150; i++)
        strcat(deep, "d/");
    strcat(deep, "x");
    import_list(db, HOST, F("b/1", 1), F("a/1", 1), F("b/1", 99), F("a/1", 99), F("b/1", 99), F(deep, 1),
                F("huge1", INT64_C(1) << 61), F("huge2", INT64_C(1) << 61), F("huge3", INT64_C(1) << 61));
    assert_walk(db, "a/(1,1) b/(1,1) huge1(2305843009213693952) huge2(-1) huge3(-1) ", .folder = "");
    assert_int_equal(rows_of(db, "remote_file"), 5);
}

static void bad_queries_are_refused_with_words(void **state)
{
    static const char *const cursors[] = {"",          "x",         "f_",        "f_1_2",
                                          "q_1_2_abc", "f_1_2_%zz", "f_1_2_%00", "f_x_2_a"};
    hp_db_t *db = *state;
    hp_remote_page_t page;
    import_list(db, HOST, F("a", 1));
    for (size_t i = 0; i < HP_COUNT(cursors); i++) {
        hp_err_t err = {0};
        int rc = hp_remote_page_read(db, &(hp_remote_query_t){.host = HOST, .limit = 5, .cursor = cursors[i]},
                                     &page, &err);
        if (rc != HP_E_INVALID || strstr(err.detail, "cursor") == NULL)
            fail_msg("%s: %d %s", cursors[i], rc, err.detail);
    }
    hp_err_t err = {0};
    assert_int_equal(hp_remote_page_read(db, &(hp_remote_query_t){.host = HOST}, &page, &err), HP_E_INVALID);
    assert_int_equal(hp_remote_page_read(db, &(hp_remote_query_t){.host = HOST, .limit = 1001}, &page, &err),
                     HP_E_INVALID);
    assert_int_equal(hp_remote_page_read(db, &(hp_remote_query_t){.host = HOST, .limit = 5, .folder = "none"},
                                         &page, &err),
                     HP_E_NOT_FOUND);
    assert_int_equal(hp_remote_page_read(db, &(hp_remote_query_t){.host = OTHER, .limit = 5}, &page, &err),
                     HP_E_NOT_FOUND);
}

/* ---- against a plain model ---- */

enum { MODEL_FILES = 6000 };
static hp_remote_entry_t model[MODEL_FILES];
static char model_paths[MODEL_FILES][120];
static const hp_remote_query_t *model_query;

static int model_compare(const void *a, const void *b)
{
    const hp_remote_entry_t *x = *(hp_remote_entry_t *const *)a, *y = *(hp_remote_entry_t *const *)b;
    int order = model_query->sort == HP_REMOTE_BY_NAME
                    ? strcasecmp(hp_path_name(x->path), hp_path_name(y->path))
                : model_query->sort == HP_REMOTE_BY_SIZE ? (x->size > y->size) - (x->size < y->size)
                                                         : (x->mtime > y->mtime) - (x->mtime < y->mtime);
    if (order == 0)
        order = (x > y) - (x < y); /* the order of the list */
    return model_query->descending ? -order : order;
}

static bool model_matches(const hp_remote_entry_t *entry, const hp_remote_query_t *query)
{
    size_t length = strlen(query->folder);
    bool below_folder =
        length == 0 || (strncmp(entry->path, query->folder, length) == 0 && entry->path[length] == '/');
    const char *rest = entry->path + (length == 0 ? 0 : length + 1);
    if (!below_folder)
        return false;
    return query->q != NULL ? strcasestr(hp_path_name(entry->path), query->q) != NULL
                            : strchr(rest, '/') == NULL;
}

static void compare_with_model(hp_db_t *db, hp_remote_query_t query)
{
    static const hp_remote_entry_t *expected[MODEL_FILES];
    size_t count = 0, at = 0;
    for (size_t i = 0; i < MODEL_FILES; i++)
        if (model_matches(&model[i], &query))
            expected[count++] = &model[i];
    model_query = &query;
    qsort(expected, count, sizeof *expected, model_compare);
    char *cursor = NULL;
    do {
        hp_remote_page_t page;
        query.cursor = cursor;
        ok(hp_remote_page_read(db, &query, &page, &err));
        assert_int_equal(page.files_total, count);
        for (size_t i = 0; i < page.files.count; i++, at++) {
            assert_true(at < count);
            if (strcmp(page.files.items[i].path, expected[at]->path) != 0)
                fail_msg("row %zu of folder \"%s\" q %s sort %d %s: %s, expected %s", at, query.folder,
                         query.q != NULL ? query.q : "-", query.sort, query.descending ? "down" : "up",
                         page.files.items[i].path, expected[at]->path);
        }
        free(cursor);
        cursor = page.next != NULL ? hp_strdup(page.next) : NULL;
        hp_remote_page_dispose(&page);
    } while (cursor != NULL);
    assert_int_equal(at, count);
}

static void every_query_gives_what_a_plain_search_gives(void **state)
{
    static const char *const words[] = {"alpha", "Beta", "gamma", "DELTA", "x"};
    static const char *const folders[] = {"", "big", "nested", "nested/alpha", "nested/x/Beta"};
    static const char *const texts[] = {NULL, "a", "ta", "alpha 1", "ALPHA 12", "e", "zzz"};
    hp_db_t *db = *state;
    unsigned seed = 7;
    for (int i = 0; i < MODEL_FILES; i++) {
        const char *word = words[rand_r(&seed) % 5], *folder = words[rand_r(&seed) % 5],
                   *sub = words[rand_r(&seed) % 5];
        int kind = rand_r(&seed) % 10;
        if (kind < 8) /* more files than are sorted from their rows */
            snprintf(model_paths[i], sizeof model_paths[i], "big/%s %d", word, i);
        else if (kind == 8)
            snprintf(model_paths[i], sizeof model_paths[i], "nested/%s/%s/%s %d", folder, sub, word, i);
        else
            snprintf(model_paths[i], sizeof model_paths[i], "%s %d", word, i);
        model[i] = (hp_remote_entry_t){
            .path = model_paths[i], .size = rand_r(&seed) % 500, .mtime = rand_r(&seed) % 100};
    }
    import_all(db, HOST, model, MODEL_FILES);
    for (size_t f = 0; f < HP_COUNT(folders); f++)
        for (size_t t = 0; t < HP_COUNT(texts); t++)
            for (int sort = 0; sort < 3; sort++)
                for (int down = 0; down < 2; down++)
                    compare_with_model(db, (hp_remote_query_t){.host = HOST,
                                                               .folder = folders[f],
                                                               .q = texts[t],
                                                               .sort = (hp_remote_sort_t)sort,
                                                               .descending = down,
                                                               .limit = 997});
}

static void sums_of_folders_are_right_for_any_order_of_the_list(void **state)
{
    hp_db_t *db = *state;
    enum { COUNT = 5000 };
    static hp_remote_entry_t entries[COUNT];
    static char paths[COUNT][60];
    unsigned seed = 3;
    int64_t files[700] = {0}, bytes[700] = {0};
    for (int i = 0; i < COUNT; i++) {
        int folder = rand_r(&seed) % 700; /* more than are kept in memory */
        snprintf(paths[i], sizeof paths[i], "f%03d/sub%d/%d", folder, rand_r(&seed) % 3, i);
        entries[i] = (hp_remote_entry_t)F(paths[i], i);
        files[folder]++;
        bytes[folder] += i;
    }
    import_all(db, HOST, entries, COUNT);
    hp_remote_page_t page;
    ok(hp_remote_page_read(db, &(hp_remote_query_t){.host = HOST, .limit = 1000}, &page, &err));
    assert_int_equal(page.next == NULL, true);
    for (size_t i = 0; i < page.folder_count; i++) {
        int folder = atoi(page.folders[i].path + 1);
        assert_int_equal(page.folders[i].files, files[folder]);
        assert_int_equal(page.folders[i].bytes, bytes[folder]);
    }
    hp_remote_page_dispose(&page);
    ok(hp_remote_page_read(db, &(hp_remote_query_t){.host = HOST, .folder = "f000", .limit = 10}, &page,
                           &err));
    assert_int_equal(page.folders_total, page.folder_count);
    hp_remote_page_dispose(&page);
}

static void hosts_are_kept_with_their_addresses(void **state)
{
    hp_db_t *db = *state;
    hp_host_row_t row = {.id = HOST,
                         .name = "näme",
                         .found_by = "scan",
                         .instance = "i",
                         .protocol = 1,
                         .files = -1,
                         .bytes = 7,
                         .first_seen = 1,
                         .last_seen = 2,
                         .address_count = 2};
    row.addresses[0] = (hp_host_row_address_t){.address = "10.0.0.1", .port = 9000, .answered_at = 5};
    row.addresses[1] = (hp_host_row_address_t){.address = "fe80::1%eth0", .port = 65535, .answered_at = 6};
    ok(hp_host_save(db, &row, &err));
    row.first_seen = 99;
    row.last_seen = 3;
    ok(hp_host_save(db, &row, &err));
    hp_host_row_t *rows;
    size_t count;
    ok(hp_host_load(db, &rows, &count, &err));
    assert_int_equal(count, 1);
    assert_string_equal(rows[0].name, "näme");
    assert_int_equal(rows[0].files, -1);
    assert_int_equal(rows[0].bytes, 7);
    assert_int_equal(rows[0].first_seen, 1);
    assert_int_equal(rows[0].last_seen, 3);
    assert_int_equal(rows[0].address_count, 2);
    assert_string_equal(rows[0].addresses[0].address, "fe80::1%eth0"); /* answered last */
    assert_int_equal(rows[0].addresses[0].port, 65535);
    free(rows);
    row.address_count = 1;
    ok(hp_host_save(db, &row, &err));
    assert_int_equal(rows_of(db, "host_address"), 1);
    ok(hp_host_remove(db, HOST, &err));
    assert_int_equal(rows_of(db, "host"), 0);
    assert_int_equal(rows_of(db, "host_address"), 0);
}

int main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(name, open_db, close_db)
    const struct CMUnitTest tests[] = {
        T(a_folder_is_shown_page_by_page_in_every_order),
        T(totals_count_all_pages),
        T(names_are_found_whatever_their_case),
        T(like_patterns_and_quotes_are_only_text),
        T(a_file_is_found_by_its_exact_path),
        T(all_files_below_a_folder_are_listed_once),
        T(a_content_is_found_on_every_host_that_has_it),
        T(one_root_with_two_sizes_is_two_contents),
        T(searching_all_hosts_groups_the_same_content),
        T(words_are_found_in_any_order_and_in_the_names_of_folders),
        T(a_new_list_takes_the_place_of_the_old_one_at_once),
        T(a_list_that_was_not_finished_leaves_the_old_one),
        T(a_list_is_given_up_where_it_is_larger_than_it_may_be),
        T(a_forgotten_host_leaves_nothing),
        T(what_is_listed_twice_or_too_deep_or_too_large_does_no_harm),
        T(bad_queries_are_refused_with_words),
        T(every_query_gives_what_a_plain_search_gives),
        T(sums_of_folders_are_right_for_any_order_of_the_list),
        T(hosts_are_kept_with_their_addresses),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
