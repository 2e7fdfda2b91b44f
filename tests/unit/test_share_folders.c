// libs: share store db os base
/* Folders that are shared in place, names that are ignored, and what is left out. */
#include "share/folders.h"
#include "share/ignore.h"
#include "share/listing.h"
#include "share/put.h"
#include "share/tree.h"
#include "test_share.h"

#include <sys/socket.h>
#include <sys/un.h>

typedef struct changed {
    bool done;
    int status;
    char words[400];
} changed_t;

static void on_changed(void *arg, int status, const hp_err_t *err)
{
    changed_t *changed = arg;
    assert_false(changed->done);
    changed->done = true;
    changed->status = status;
    snprintf(changed->words, sizeof changed->words, "%s", status != 0 ? hp_err_text(err) : "");
}

static changed_t add_folder(fixture_t *f, const char *name, const char *path)
{
    changed_t changed = {0};
    hp_err_t err = {0};
    int rc = hp_share_add_folder(f->share, name, path, on_changed, &changed, &err);
    if (rc != 0)
        on_changed(&changed, rc, &err);
    WAIT_FOR(f, changed.done);
    return changed;
}

static changed_t remove_folder(fixture_t *f, const char *name)
{
    changed_t changed = {0};
    hp_err_t err = {0};
    int rc = hp_share_remove_folder(f->share, name, on_changed, &changed, &err);
    if (rc != 0)
        on_changed(&changed, rc, &err);
    WAIT_FOR(f, changed.done);
    return changed;
}

#define ASSERT_REFUSED(changed, code, part)                                                                  \
    do {                                                                                                     \
        changed_t refused_ = (changed);                                                                      \
        assert_int_equal(refused_.status, code);                                                             \
        if (strstr(refused_.words, part) == NULL)                                                            \
            fail_msg("\"%s\" does not say \"%s\"", refused_.words, part);                                    \
    } while (0)

/* A file below the fixture's own folder, beside the shared one. */
static void make_beside(fixture_t *f, const char *path, size_t size, unsigned seed)
{
    char *main_folder = f->folder;
    f->folder = f->top;
    make_file(f, path, size, seed);
    f->folder = main_folder;
}

static char *make_folder_beside(fixture_t *f, const char *name)
{
    char *path = hp_sprintf("%s/%s", f->top, name);
    if (mkdir(path, 0755) != 0)
        fail_msg("mkdir %s: %s", path, strerror(errno));
    return path;
}

static hp_share_stats_t stats_of(fixture_t *f)
{
    hp_share_stats_t stats;
    hp_share_get_stats(f->share, &stats);
    return stats;
}

/* ---- folders ---- */

static void another_folder_is_shared_where_it_is(void **state)
{
    fixture_t *f = *state;
    char *photos = make_folder_beside(f, "photos");
    open_share(f);
    make_file(f, "main", 100, 1);
    make_beside(f, "photos/one", 200, 2);
    start_share(f);
    assert_string_equal(paths(f), "main");
    changed_t added = add_folder(f, NULL, photos);
    if (added.status != 0)
        fail_msg("%s", added.words);
    WAIT_FOR(f, lists(f, "main photos/one"));
    WAIT_FOR(f, all_hashed(f));
    assert_int_equal(stats_of(f).files, 2);
    assert_int_equal(open_file(f, "photos/one").size, 200);
    assert_int_equal(open_status(f, "photos"), HP_E_FORBIDDEN);
    assert_int_equal(open_status(f, "photos/../main"), HP_E_NOT_FOUND);

    make_beside(f, "photos/two", 300, 3); /* it is watched */
    WAIT_FOR(f, lists(f, "main photos/one photos/two"));

    restart_share(f); /* it is remembered */
    assert_string_equal(paths(f), "main photos/one photos/two");
    assert_true(is_hashed(f, "photos/one"));

    assert_int_equal(remove_folder(f, "photos").status, 0);
    WAIT_FOR(f, lists(f, "main"));
    assert_int_equal(open_status(f, "photos/one"), HP_E_NOT_FOUND);
    char *one = hp_sprintf("%s/one", photos);
    assert_int_equal(access(one, F_OK), 0); /* and nothing was removed */
    close_share(f);
    free(one);
    free(photos);
}

static void a_folder_that_cannot_be_shared_beside_the_others_is_refused(void **state)
{
    fixture_t *f = *state;
    char *photos = make_folder_beside(f, "photos"), *below = make_folder_beside(f, "photos/2024");
    char *gone = hp_sprintf("%s/gone", f->top), *link = hp_sprintf("%s/link", f->top);
    assert_int_equal(symlink(photos, link), 0);
    open_share(f);
    make_dir(f, "taken");
    start_share(f);
    ASSERT_REFUSED(add_folder(f, NULL, "photos"), HP_E_INVALID, "absolute");
    ASSERT_REFUSED(add_folder(f, NULL, gone), HP_E_INVALID, "there is no folder");
    ASSERT_REFUSED(add_folder(f, "a/b", photos), HP_E_BAD_NAME, "no \"/\"");
    ASSERT_REFUSED(add_folder(f, "..", photos), HP_E_BAD_NAME, "..");
    ASSERT_REFUSED(add_folder(f, "a\nb", photos), HP_E_BAD_NAME, "control");
    ASSERT_REFUSED(add_folder(f, "taken", photos), HP_E_CONFLICT, "choose another name");
    ASSERT_REFUSED(add_folder(f, NULL, f->folder), HP_E_CONFLICT, "shared already");
    ASSERT_REFUSED(add_folder(f, NULL, at(f, "taken")), HP_E_CONFLICT, "lies in");
    ASSERT_REFUSED(add_folder(f, NULL, f->top), HP_E_CONFLICT, "contains");
    ASSERT_REFUSED(add_folder(f, NULL, f->data), HP_E_CONFLICT, "own data");
    assert_int_equal(add_folder(f, "pictures", link).status, 0);
    ASSERT_REFUSED(add_folder(f, "pictures", below), HP_E_CONFLICT, "shared as pictures already");
    ASSERT_REFUSED(add_folder(f, "again", photos), HP_E_CONFLICT, "shared already");
    ASSERT_REFUSED(add_folder(f, "again", below), HP_E_CONFLICT, "lies in");
    ASSERT_REFUSED(remove_folder(f, "photos"), HP_E_NOT_FOUND, "no folder is shared as photos");
    assert_string_equal(paths(f), "");
    close_share(f);
    free(photos);
    free(below);
    free(gone);
    free(link);
}

static void its_name_hides_what_the_main_folder_gets_later(void **state)
{
    fixture_t *f = *state;
    char *photos = make_folder_beside(f, "photos");
    open_share(f);
    make_beside(f, "photos/one", 200, 2);
    start_share(f);
    assert_int_equal(add_folder(f, NULL, photos).status, 0);
    make_dir(f, "photos");
    make_file(f, "photos/two", 10, 1);
    make_file(f, "photos/one", 10, 1);
    make_file(f, "last", 10, 1);
    WAIT_FOR(f, lists(f, "last photos/one"));
    assert_int_equal(open_file(f, "photos/one").size, 200);
    assert_int_equal(open_status(f, "photos/two"), HP_E_NOT_FOUND);
    hp_index_walk(f->share->index);
    WAIT_FOR(f, hp_share_left_out(f->share)->counts[HP_LEFT_TAKEN] == 1);
    close_share(f);
    free(photos);
}

static void links_do_not_lead_from_one_folder_into_another(void **state)
{
    fixture_t *f = *state;
    char *photos = make_folder_beside(f, "photos"), *inner = hp_sprintf("%s/inner", photos);
    char *out = hp_sprintf("%s/out", photos);
    open_share(f);
    make_file(f, "main", 100, 1);
    make_beside(f, "photos/one", 200, 2);
    assert_int_equal(symlink("one", inner), 0);
    assert_int_equal(symlink("../shared/main", out), 0);
    start_share(f);
    assert_int_equal(add_folder(f, NULL, photos).status, 0);
    WAIT_FOR(f, lists(f, "main photos/inner photos/one"));
    assert_int_equal(open_file(f, "photos/inner").size, 200);
    assert_int_equal(open_status(f, "photos/out"), HP_E_NOT_FOUND);
    WAIT_FOR(f, hp_share_left_out(f->share)->counts[HP_LEFT_LINK] == 1);
    close_share(f);
    free(photos);
    free(inner);
    free(out);
}

static void a_folder_that_is_away_is_neither_listed_nor_forgotten(void **state)
{
    fixture_t *f = *state;
    char *photos = make_folder_beside(f, "photos"), *aside = hp_sprintf("%s/aside", f->top);
    open_share(f);
    make_file(f, "a", 100, 1);
    make_file(f, "z", 100, 2);
    make_beside(f, "photos/one", 200, 3);
    make_beside(f, "photos/two", 300, 4);
    start_share(f);
    assert_int_equal(add_folder(f, NULL, photos).status, 0);
    WAIT_FOR(f, is_hashed(f, "photos/one") && is_hashed(f, "photos/two") && is_hashed(f, "z"));
    f->share->tuning.settle = f->share->tuning.settle_coarse = 3600000; /* nothing is hashed any more */

    uint64_t revision = hp_share_revision(f->share);
    assert_int_equal(rename(photos, aside), 0);
    WAIT_FOR(f, lists(f, "a z"));
    WAIT_FOR(f, stats_of(f).files == 2 && stats_of(f).bytes == 200);
    assert_true(hp_share_revision(f->share) > revision);
    assert_false(stats_of(f).missing);
    make_file(f, "b", 100, 5); /* the rest goes on */
    WAIT_FOR(f, lists(f, "a b z"));
    restart_share(f);
    f->share->tuning.settle = f->share->tuning.settle_coarse = 3600000;
    assert_string_equal(paths(f), "a b z");
    WAIT_FOR(f, stats_of(f).files == 3);

    assert_int_equal(rename(aside, photos), 0);
    WAIT_FOR(f, lists(f, "a b photos/one photos/two z"));
    assert_true(is_hashed(f, "photos/one") && is_hashed(f, "photos/two"));
    WAIT_FOR(f, stats_of(f).files == 5);
    close_share(f);
    free(photos);
    free(aside);
}

static void the_others_stay_while_the_main_folder_is_away(void **state)
{
    fixture_t *f = *state;
    char *photos = make_folder_beside(f, "photos"), *aside = hp_sprintf("%s/aside", f->top);
    open_share(f);
    make_file(f, "a", 100, 1);
    make_file(f, "z", 100, 2);
    make_beside(f, "photos/one", 200, 3);
    start_share(f);
    assert_int_equal(add_folder(f, NULL, photos).status, 0);
    WAIT_FOR(f, is_hashed(f, "a") && is_hashed(f, "z") && is_hashed(f, "photos/one"));
    f->share->tuning.settle = f->share->tuning.settle_coarse = 3600000;
    assert_int_equal(rename(f->folder, aside), 0);
    WAIT_FOR(f, lists(f, "photos/one"));
    WAIT_FOR(f, stats_of(f).files == 1 && stats_of(f).missing);
    assert_int_equal(open_file(f, "photos/one").size, 200);
    assert_int_equal(open_status(f, "a"), HP_E_NOT_FOUND);
    make_beside(f, "photos/two", 10, 4);
    WAIT_FOR(f, lists(f, "photos/one photos/two"));
    assert_int_equal(rename(aside, f->folder), 0);
    WAIT_FOR(f, lists(f, "a photos/one photos/two z"));
    assert_true(is_hashed(f, "a") && is_hashed(f, "z"));
    WAIT_FOR(f, stats_of(f).files == 4 && !stats_of(f).missing);
    close_share(f);
    free(photos);
    free(aside);
}

static int set_device(hp_db_t *db, void *arg, hp_err_t *err)
{
    const fixture_t *f = arg;
    return hp_shared_state_save(db, f->folder, 1, true, err);
}

/* Closes the share, as if its main folder had been walked on another file system. */
static void close_on_another_file_system(fixture_t *f)
{
    close_share(f);
    open_share(f);
    assert_int_equal(hp_store_run_now(f->store, HP_STORE_WRITE, set_device, f, NULL), 0);
    close_share(f);
}

static void files_of_the_others_do_not_make_an_empty_main_folder_missing(void **state)
{
    fixture_t *f = *state;
    char *photos = make_folder_beside(f, "photos"), *aside = hp_sprintf("%s/aside", f->top);
    open_share(f);
    make_beside(f, "photos/one", 200, 3);
    start_share(f);
    assert_int_equal(add_folder(f, NULL, photos).status, 0);
    WAIT_FOR(f, lists(f, "photos/one"));
    close_on_another_file_system(f);
    open_share(f);
    start_share(f);
    assert_string_equal(paths(f), "photos/one");
    assert_false(stats_of(f).missing);

    make_file(f, "z", 100, 2); /* behind the others in the list */
    WAIT_FOR(f, lists(f, "photos/one z"));
    close_on_another_file_system(f);
    assert_int_equal(rename(at(f, "z"), aside), 0);
    open_share(f);
    hp_share_start(f->share);
    WAIT_FOR(f, stats_of(f).missing && lists(f, "photos/one"));
    assert_int_equal(rename(aside, at(f, "z")), 0);
    WAIT_FOR(f, lists(f, "photos/one z") && !stats_of(f).missing);
    close_share(f);
    free(photos);
    free(aside);
}

typedef struct entries {
    fixture_t *f;
    hp_tree_t *tree;
    bool done;
    char text[1000];
} entries_t;

static void read_entries(uv_work_t *work)
{
    entries_t *entries = work->data;
    hp_tree_entry_t entry;
    assert_int_equal(hp_tree_open(entries->tree, NULL), 0);
    while (hp_tree_next(entries->tree, &entry) > 0)
        snprintf(entries->text + strlen(entries->text), sizeof entries->text - strlen(entries->text), "%s%s ",
                 entry.name, entry.is_folder ? "/" : "");
}

static void on_read(uv_work_t *work, int status)
{
    entries_t *entries = work->data;
    assert_int_equal(status, 0);
    entries->done = true;
}

/* What a list of so many levels shows of a folder. */
static const char *tree_of(fixture_t *f, const char *folder, size_t levels)
{
    static entries_t entries;
    uv_work_t work = {.data = &entries};
    entries = (entries_t){.f = f, .tree = hp_tree_create(f->share, folder)};
    hp_tree_look(entries.tree, levels);
    uv_queue_work(&f->loop, &work, read_entries, on_read);
    WAIT_FOR(f, entries.done);
    hp_tree_destroy(entries.tree);
    return entries.text;
}

static void one_tree_shows_all_folders(void **state)
{
    fixture_t *f = *state;
    char *photos = make_folder_beside(f, "photos"), *empty = make_folder_beside(f, "empty");
    open_share(f);
    make_file(f, "a", 100, 1);
    make_beside(f, "photos/one", 200, 3);
    start_share(f);
    assert_int_equal(add_folder(f, NULL, photos).status, 0);
    assert_int_equal(add_folder(f, NULL, empty).status, 0);
    assert_string_equal(tree_of(f, "", 1), "/ a empty/ photos/ ");
    assert_string_equal(tree_of(f, "", 9), "/ a empty/ photos/ photos/one ");
    assert_string_equal(tree_of(f, "photos", 1), "/ one ");
    close_share(f);
    free(photos);
    free(empty);
}

typedef struct put_end {
    bool done;
    int status;
} put_end_t;

static void on_put(void *arg, int status, const hp_share_stored_t *stored, const hp_err_t *err)
{
    (void)stored;
    (void)err;
    *(put_end_t *)arg = (put_end_t){.done = true, .status = status};
}

static void on_removed(void *arg, int status, const hp_err_t *err)
{
    (void)err;
    *(put_end_t *)arg = (put_end_t){.done = true, .status = status};
}

static int put_file(fixture_t *f, const char *path)
{
    put_end_t end = {0};
    hp_share_piece_t piece = {.data = "hello", .length = 5, .total = 5};
    hp_share_put(f->share, path, &piece, on_put, &end);
    WAIT_FOR(f, end.done);
    return end.status;
}

static int remove_file(fixture_t *f, const char *path)
{
    put_end_t end = {0};
    hp_share_removal_t removal = {.tree = true};
    hp_share_remove(f->share, path, &removal, on_removed, &end);
    WAIT_FOR(f, end.done);
    return end.status;
}

static void files_are_put_into_it_and_never_removed(void **state)
{
    fixture_t *f = *state;
    char *photos = make_folder_beside(f, "photos"), *up = hp_sprintf("%s/new/up", photos);
    open_share(f);
    make_beside(f, "photos/one", 200, 3);
    start_share(f);
    assert_int_equal(add_folder(f, NULL, photos).status, 0);
    assert_int_equal(put_file(f, "photos/new/up"), 0);
    assert_int_equal(access(up, F_OK), 0);
    assert_int_equal(put_file(f, "photos"), HP_E_CONFLICT);
    assert_int_equal(put_file(f, "main"), 0);
    WAIT_FOR(f, lists(f, "main photos/new/up photos/one"));
    assert_int_equal(remove_file(f, "photos/one"), HP_E_FORBIDDEN);
    assert_int_equal(remove_file(f, "photos"), HP_E_FORBIDDEN);
    assert_int_equal(remove_file(f, "main"), 0);
    WAIT_FOR(f, lists(f, "photos/new/up photos/one"));
    close_share(f);
    free(photos);
    free(up);
}

/* ---- ignored names ---- */

static void names_that_are_ignored_are_not_there(void **state)
{
    fixture_t *f = *state;
    open_share(f);
    make_file(f, ".DS_Store", 10, 1);
    make_file(f, ".hidden", 10, 1);
    make_file(f, "a.txt", 10, 1);
    make_file(f, "a.txt~", 10, 1);
    make_dir(f, "old~");
    make_file(f, "old~/b", 10, 1);
    assert_int_equal(symlink("a.txt~", at(f, "link")), 0);
    start_share(f);
    assert_string_equal(paths(f), ".DS_Store .hidden a.txt a.txt~ link old~/b");
    hp_share_set_ignored(f->share, HP_IGNORE_DEFAULT, true);
    WAIT_FOR(f, lists(f, ".hidden a.txt"));
    assert_int_equal(open_status(f, "a.txt~"), HP_E_NOT_FOUND);
    assert_int_equal(open_status(f, "old~/b"), HP_E_NOT_FOUND);
    assert_int_equal(open_status(f, "link"), HP_E_NOT_FOUND);
    make_file(f, ".DS_Store", 20, 2); /* nor when it changes */
    make_file(f, "b.txt", 10, 1);
    WAIT_FOR(f, lists(f, ".hidden a.txt b.txt"));
    /* Two changes at once: the last one counts. */
    hp_share_set_ignored(f->share, "", true);
    hp_share_set_ignored(f->share, "b.*", false);
    WAIT_FOR(f, lists(f, "a.txt a.txt~ link old~/b"));
    assert_int_equal(open_status(f, ".hidden"), HP_E_NOT_FOUND);
    hp_share_set_ignored(f->share, "", true);
    WAIT_FOR(f, lists(f, ".DS_Store .hidden a.txt a.txt~ b.txt link old~/b"));
    close_share(f);
}

static void patterns_are_compared_with_names(void **state)
{
    (void)state;
    static const struct {
        const char *pattern, *name;
        bool matches;
    } cases[] = {
        {".DS_Store", ".DS_Store", true},
        {".DS_Store", "a.DS_Store", false},
        {"*.swp", ".a.swp", true},
        {"*.swp", "a.swpx", false},
        {"*~", "~", true},
        {".nfs*", ".nfs0001", true},
        {".nfs*", ".nf", false},
        {".~lock.*#", ".~lock.a.odt#", true},
        {".~lock.*#", ".~lock.a", false},
        {"~$*", "~$report.docx", true},
        {"?.txt", "a.txt", true},
        {"?.txt", "ab.txt", false},
        {"[ab]*", "bus", true},
        {"[!ab]*", "bus", false},
        {"*", "a", false},
        {"a b", "b", true},
        {"a\\*", "a*", true},
        {"a\\*", "ab", false},
    };
    for (size_t i = 0; i < HP_COUNT(cases); i++) {
        hp_ignore_t *ignore = hp_ignore_create(cases[i].pattern, true);
        if (hp_ignore_has(ignore, cases[i].name) != cases[i].matches)
            fail_msg("%s with %s", cases[i].pattern, cases[i].name);
        hp_ignore_destroy(ignore);
    }
}

static void patterns_that_cannot_be_right_are_errors(void **state)
{
    (void)state;
    static const char *const bad[][2] = {{"*", "everything"},       {"a/b", "\"/\""},    {"ok [ab", "\"]\""},
                                         {"a\\", "nothing behind"}, {"a\tb", "control"}, {"\xff", "UTF-8"}};
    hp_err_t err = {0};
    for (size_t i = 0; i < HP_COUNT(bad); i++) {
        assert_int_equal(hp_ignore_check(bad[i][0], &err), HP_E_INVALID);
        if (strstr(hp_err_text(&err), bad[i][1]) == NULL)
            fail_msg("%s: %s", bad[i][0], hp_err_text(&err));
    }
    assert_int_equal(hp_ignore_check(HP_IGNORE_DEFAULT, &err), 0);
    assert_int_equal(hp_ignore_check("", &err), 0);
    assert_int_equal(hp_ignore_check("[]a]* [!]]", &err), 0);
}

/* ---- what is left out ---- */

static uint64_t left(fixture_t *f, hp_left_reason_t reason)
{
    return hp_share_left_out(f->share)->counts[reason];
}

static void what_is_left_out_is_counted_by_its_reason(void **state)
{
    fixture_t *f = *state;
    open_share(f);
    make_dir(f, "d");
    make_file(f, "good", 10, 1);
    make_file(f, "d/bad\xff", 10, 1);
    make_file(f, "tab\there", 10, 1);
    assert_int_equal(symlink("/etc/passwd", at(f, "out")), 0);
    assert_int_equal(symlink("nowhere", at(f, "broken")), 0);
    assert_int_equal(mkfifo(at(f, "pipe"), 0644), 0);
    start_share(f);
    assert_string_equal(paths(f), "good");
    assert_int_equal(left(f, HP_LEFT_NAME), 2);
    assert_int_equal(left(f, HP_LEFT_LINK), 2);
    assert_int_equal(left(f, HP_LEFT_SPECIAL), 1);
    char names[HP_LEFT_FIRST][HP_LEFT_NAME_SIZE];
    const hp_left_out_t *all = hp_share_left_out(f->share);
    assert_int_equal(hp_left_out_first(all, HP_LEFT_NAME, names), 2);
    const char *other = strcmp(names[0], "d/bad\\xff") == 0 ? names[1] : names[0];
    assert_string_equal(other, "tab\\x09here");
    char *sentence = hp_left_out_sentence(all);
    assert_non_null(strstr(sentence, "1 that are sockets, pipes or devices: pipe"));
    assert_null(strpbrk(sentence, "\t\xff"));
    free(sentence);

    /* It follows what happens, without a walk of everything. */
    assert_int_equal(unlink(at(f, "tab\there")), 0);
    assert_int_equal(unlink(at(f, "pipe")), 0);
    make_file(f, "nowhere", 10, 2);
    WAIT_FOR(f, lists(f, "broken good nowhere"));
    WAIT_FOR(f, left(f, HP_LEFT_NAME) == 1 && left(f, HP_LEFT_SPECIAL) == 0 && left(f, HP_LEFT_LINK) == 1);
    make_file(f, "d/bell\a", 10, 1);
    WAIT_FOR(f, left(f, HP_LEFT_NAME) == 2);
    assert_int_equal(rename(at(f, "d"), at(f, "e")), 0);
    make_file(f, "e/x", 10, 1);
    WAIT_FOR(f, lists(f, "broken e/x good nowhere"));
    WAIT_FOR(f, left(f, HP_LEFT_NAME) == 2);
    hp_share_set_ignored(f->share, "bell* out", true); /* a person does not miss these */
    WAIT_FOR(f, left(f, HP_LEFT_NAME) == 1 && left(f, HP_LEFT_LINK) == 0);
    close_share(f);
}

static void folders_and_files_without_the_right_to_read_are_left_out(void **state)
{
    fixture_t *f = *state;
    if (geteuid() == 0 && (setegid(65534) != 0 || chown(f->top, 65534, 65534) != 0 ||
                           chown(f->folder, 65534, 65534) != 0 || seteuid(65534) != 0))
        skip();
    open_share(f);
    make_dir(f, "locked");
    make_file(f, "secret", 10, 1);
    make_file(f, "good", 10, 1);
    assert_int_equal(chmod(at(f, "locked"), 0), 0);
    assert_int_equal(chmod(at(f, "secret"), 0), 0);
    start_share(f);
    bool found = lists(f, "good") && left(f, HP_LEFT_UNREADABLE) == 2;
    uint64_t count = left(f, HP_LEFT_UNREADABLE);
    chmod(at(f, "secret"), 0644);
    WAIT_FOR(f, lists(f, "good secret"));
    WAIT_FOR(f, left(f, HP_LEFT_UNREADABLE) == 1);
    chmod(at(f, "locked"), 0755);
    WAIT_FOR(f, left(f, HP_LEFT_UNREADABLE) == 0);
    close_share(f);
    if (getuid() == 0) {
        assert_int_equal(seteuid(0), 0);
        assert_int_equal(setegid(0), 0);
    }
    if (!found)
        fail_msg("%llu are unreadable", (unsigned long long)count);
}

static void more_than_is_kept_is_counted_all_the_same(void **state)
{
    (void)state;
    hp_left_out_t all = {0}, more = {0};
    char path[32];
    for (int i = 0; i < HP_LEFT_KEPT + 500; i++) {
        snprintf(path, sizeof path, "d%d/x", i % 2);
        hp_left_out_add(i % 3 == 0 ? &more : &all, HP_LEFT_SPECIAL, path);
    }
    hp_left_out_join(&all, &more);
    assert_int_equal(hp_left_out_total(&all), HP_LEFT_KEPT + 500);
    assert_int_equal(all.kept.count, HP_LEFT_KEPT);
    hp_left_out_forget(&all, "d");
    assert_int_equal(all.kept.count, HP_LEFT_KEPT);
    hp_left_out_forget(&all, "d0");
    hp_left_out_forget(&all, "d1/x");
    assert_int_equal(all.kept.count, 0);
    assert_int_equal(hp_left_out_total(&all), 500);
    hp_left_out_dispose(&all);
}

/* Makes pipes in d, which are all left out. */
static void make_pipes(fixture_t *f, int count)
{
    char name[40];
    make_dir(f, "d");
    for (int i = 0; i < count; i++) {
        snprintf(name, sizeof name, "d/pipe-%d", i);
        assert_int_equal(mkfifo(at(f, name), 0644), 0);
    }
}

static void the_count_follows_a_folder_of_many(void **state)
{
    fixture_t *f = *state;
    open_share(f);
    make_pipes(f, 1500);
    start_share(f);
    assert_int_equal(left(f, HP_LEFT_SPECIAL), 1500);
    assert_int_equal(rename(at(f, "d"), at(f, "e")), 0);
    make_file(f, "x", 10, 1);
    WAIT_FOR(f, lists(f, "x"));
    assert_int_equal(left(f, HP_LEFT_SPECIAL), 1500);
    nftw(at(f, "e"), remove_one, 16, FTW_DEPTH | FTW_PHYS);
    WAIT_FOR(f, left(f, HP_LEFT_SPECIAL) == 0);
    close_share(f);
}

static void more_than_is_kept_is_counted_anew_after_a_change(void **state)
{
    fixture_t *f = *state;
    open_share(f);
    f->share->tuning.recount = 20;
    make_pipes(f, HP_LEFT_KEPT + 500);
    start_share(f);
    assert_int_equal(left(f, HP_LEFT_SPECIAL), HP_LEFT_KEPT + 500);
    assert_int_equal(rename(at(f, "d"), at(f, "e")), 0);
    make_file(f, "x", 10, 1);
    WAIT_FOR(f, lists(f, "x"));
    WAIT_FOR(f, left(f, HP_LEFT_SPECIAL) == HP_LEFT_KEPT + 500);
    char names[HP_LEFT_FIRST][HP_LEFT_NAME_SIZE];
    assert_int_equal(hp_left_out_first(hp_share_left_out(f->share), HP_LEFT_SPECIAL, names), HP_LEFT_FIRST);
    close_share(f);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, make_fixture, drop_fixture)
    const struct CMUnitTest tests[] = {
        TEST(another_folder_is_shared_where_it_is),
        TEST(a_folder_that_cannot_be_shared_beside_the_others_is_refused),
        TEST(its_name_hides_what_the_main_folder_gets_later),
        TEST(links_do_not_lead_from_one_folder_into_another),
        TEST(a_folder_that_is_away_is_neither_listed_nor_forgotten),
        TEST(the_others_stay_while_the_main_folder_is_away),
        TEST(files_of_the_others_do_not_make_an_empty_main_folder_missing),
        TEST(one_tree_shows_all_folders),
        TEST(files_are_put_into_it_and_never_removed),
        TEST(names_that_are_ignored_are_not_there),
        cmocka_unit_test(patterns_are_compared_with_names),
        cmocka_unit_test(patterns_that_cannot_be_right_are_errors),
        TEST(what_is_left_out_is_counted_by_its_reason),
        TEST(folders_and_files_without_the_right_to_read_are_left_out),
        cmocka_unit_test(more_than_is_kept_is_counted_all_the_same),
        TEST(the_count_follows_a_folder_of_many),
        TEST(more_than_is_kept_is_counted_anew_after_a_change),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
