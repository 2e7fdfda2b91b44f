// libs: db os base
/* A database on a file system that other machines have too. Which one it is, the kernel is not asked here:
 * fstatfs(2) below says what a test wants. */
#include "test_db_help.h"

#include <linux/magic.h>
#include <sys/vfs.h>

#include "db/db.h"
#include "db/setting.h"
#include "db/statement.h"
#include "os/disk.h"

static unsigned long magic;

int fstatfs(int fd, struct statfs *out)
{
    (void)fd;
    *out = (struct statfs){.f_type = (__typeof__(out->f_type))magic};
    return 0;
}

static hp_db_t *open_ok(const char *path)
{
    hp_db_t *db;
    hp_err_t err = {0};
    if (hp_db_open(path, &db, &err) != 0)
        fail_msg("%s", hp_err_text(&err));
    return db;
}

static void set(hp_db_t *db, const char *value)
{
    hp_err_t err = {0};
    if (hp_db_setting_set(db, "name", value, &err) != 0)
        fail_msg("%s", hp_err_text(&err));
}

static void assert_set(hp_db_t *db, const char *expected)
{
    char *value = NULL;
    hp_err_t err = {0};
    assert_int_equal(hp_db_setting_get(db, "name", &value, &err), 0);
    assert_string_equal(value, expected);
    free(value);
}

static bool exists(const char *path, const char *ending)
{
    char name[PATH_SIZE + 8];
    struct stat st;
    snprintf(name, sizeof name, "%s%s", path, ending);
    return stat(name, &st) == 0;
}

/* What another program gets that reads it. */
static int read_by_another(const char *path)
{
    int status;
    pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        sqlite3 *other;
        int rc = sqlite3_open_v2(path, &other, SQLITE_OPEN_READWRITE, NULL);
        if (rc == SQLITE_OK)
            rc = sqlite3_exec(other, "SELECT count(*) FROM setting", NULL, NULL, NULL);
        _exit(rc);
    }
    assert_int_equal(waitpid(child, &status, 0), child);
    return WEXITSTATUS(status);
}

static void here_others_read_it_meanwhile(void **state)
{
    char path[PATH_SIZE];
    magic = EXT4_SUPER_MAGIC;
    hp_db_t *db = open_ok(path_in(*state, "here.db", path));
    set(db, "attic");
    assert_true(exists(path, "-wal"));
    assert_true(exists(path, "-shm"));
    assert_int_equal(read_by_another(path), SQLITE_OK);
    hp_db_close(db);
}

static void there_it_is_kept_alone_and_shares_no_memory(void **state)
{
    char path[PATH_SIZE];
    static const unsigned long magics[] = {NFS_SUPER_MAGIC, SMB2_SUPER_MAGIC, FUSE_SUPER_MAGIC, V9FS_MAGIC};
    for (size_t i = 0; i < sizeof magics / sizeof *magics; i++) {
        char name[16], value[16];
        snprintf(name, sizeof name, "there%zu.db", i);
        snprintf(value, sizeof value, "attic %zu", i);
        magic = magics[i];
        hp_db_t *db = open_ok(path_in(*state, name, path));
        set(db, value);
        assert_true(exists(path, "-wal"));
        assert_false(exists(path, "-shm"));
        assert_int_equal(read_by_another(path), SQLITE_BUSY);
        hp_db_close(db);
        assert_int_equal(read_by_another(path), SQLITE_OK);
        db = open_ok(path);
        assert_set(db, value);
        hp_db_close(db);
    }
}

static void there_a_commit_outlives_a_crash(void **state)
{
    char path[PATH_SIZE];
    int status;
    magic = NFS_SUPER_MAGIC;
    path_in(*state, "crash.db", path);
    pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        hp_err_t err = {0};
        hp_db_t *db = open_ok(path);
        set(db, "before the crash");
        _exit(hp_db_sync(db, &err) == 0 ? 7 : 1); /* nothing is closed */
    }
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_int_equal(WEXITSTATUS(status), 7);
    assert_true(exists(path, "-wal"));
    hp_db_t *db = open_ok(path);
    assert_set(db, "before the crash");
    hp_db_close(db);
}

static void one_that_was_here_goes_on_there_and_back(void **state)
{
    char path[PATH_SIZE];
    magic = EXT4_SUPER_MAGIC;
    hp_db_t *db = open_ok(path_in(*state, "moved.db", path));
    set(db, "here");
    hp_db_close(db);
    magic = NFS_SUPER_MAGIC;
    db = open_ok(path);
    assert_set(db, "here");
    set(db, "there");
    hp_db_close(db);
    magic = EXT4_SUPER_MAGIC;
    db = open_ok(path);
    assert_set(db, "there");
    hp_db_close(db);
}

static void what_holds_it_there_is_said(void **state)
{
    char path[PATH_SIZE];
    hp_db_t *db, *second;
    hp_err_t err = {0};
    sqlite3 *other;
    magic = EXT4_SUPER_MAGIC;
    db = open_ok(path_in(*state, "held.db", path));
    hp_db_close(db);
    assert_int_equal(sqlite3_open(path, &other), SQLITE_OK);
    assert_int_equal(sqlite3_exec(other, "PRAGMA locking_mode = EXCLUSIVE; SELECT count(*) FROM setting",
                                  NULL, NULL, NULL),
                     SQLITE_OK);
    magic = NFS_SUPER_MAGIC;
    assert_int_equal(hp_db_open(path, &second, &err), HP_E_BUSY);
    assert_null(second);
    assert_non_null(strstr(hp_err_text(&err), "held.db on NFS, which has to lock files"));
    sqlite3_close(other);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(here_others_read_it_meanwhile),
        cmocka_unit_test(there_it_is_kept_alone_and_shares_no_memory),
        cmocka_unit_test(there_a_commit_outlives_a_crash),
        cmocka_unit_test(one_that_was_here_goes_on_there_and_back),
        cmocka_unit_test(what_holds_it_there_is_said),
    };
    return cmocka_run_group_tests(tests, make_folder, remove_folder);
}
