// libs: db os base
/* The file lists of other hosts in the database: what is imported is what is shown, whatever is asked. */
#include "test_remote_file.h"

#include <strings.h>

#include "base/path.h"

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

static void assert_empty_below(hp_db_t *db, const char *folder, const char *expected)
{
    hp_remote_files_t found;
    ok(hp_remote_empty_below(db, HOST, folder, NULL, 100, &found, &err));
    char *text = hp_strdup("");
    for (size_t i = 0; i < found.count; i++) {
        char *more = hp_sprintf("%s%s ", text, found.items[i].path);
        free(text);
        text = more;
    }
    assert_string_equal(text, expected);
    free(text);
    hp_remote_files_dispose(&found);
}

static void empty_folders_are_kept_and_found_below_a_folder(void **state)
{
    hp_db_t *db = *state;
    hp_remote_entry_t program = F("a/run", 1);
    program.executable = true;
    import_list(db, HOST, program, F("a/b/file", 2), {.is_folder = true, .path = "a/b"},
                {.is_folder = true, .path = "a/none/deep"}, {.is_folder = true, .path = "a-none"},
                {.is_folder = true, .path = "a/none/deep"}, {.is_folder = true, .path = "z"});
    assert_empty_below(db, "", "a-none a/none/deep z ");
    assert_empty_below(db, "a", "a/none/deep ");
    assert_empty_below(db, "z", "z ");
    assert_empty_below(db, "a/b", "");
    assert_empty_below(db, "nowhere", "");
    assert_walk(db, "a/(2,3) a-none/(0,0) z/(0,0) ", .folder = "");
    assert_walk(db, "a/b/(1,2) a/none/(0,0) a/run(1) ", .folder = "a");
    hp_remote_file_t file;
    ok(hp_remote_file_find(db, HOST, "a/run", &file, &err));
    assert_true(file.executable);
    hp_remote_file_dispose(&file);
    ok(hp_remote_file_find(db, HOST, "a/b/file", &file, &err));
    assert_false(file.executable);
    hp_remote_file_dispose(&file);
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
        T(empty_folders_are_kept_and_found_below_a_folder),
        T(a_content_is_found_on_every_host_that_has_it),
        T(one_root_with_two_sizes_is_two_contents),
        T(searching_all_hosts_groups_the_same_content),
        T(words_are_found_in_any_order_and_in_the_names_of_folders),
        T(bad_queries_are_refused_with_words),
        T(every_query_gives_what_a_plain_search_gives),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
