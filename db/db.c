/* Opening is where a database can be ruined, so the first write comes after the last refusal.
 *
 * First: a missing file is made, empty. SQLite opens it, which reads nothing but the header and takes no
 * lock.
 *
 * Second: the header is looked at directly. The application id is written in the same transaction as the
 * first tables, before the journal becomes a WAL, so the id in the header is final. The version there may be
 * older than the one in the WAL, never newer.
 *
 * Third: a statement reads the version through the journal, which may play back what a crash left. Closing
 * after a refusal leaves the WAL as it is.
 *
 * Fourth: an empty file gets all tables (rollback journal, one synced transaction) and then its WAL; one of
 * an older version is migrated.
 *
 * Last: the settings of the connection; all statements are prepared.
 */
#include "db/db.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/log.h"
#include "base/mem.h"
#include "db/download.h"
#include "db/schema.h"
#include "db/statement.h"
#include "os/disk.h"

#define CACHE_KIB       8192     /* pages kept in memory */
#define JOURNAL_LIMIT   16777216 /* bytes that the WAL keeps on disk after a checkpoint */
#define TIDY_PAGES      1000     /* pages in the WAL (4 KiB each) at which it goes back into the file */
#define TIDY_PAGES_BUSY 8000     /* the same while others wait */
#define BUSY_MS         5000     /* how long to wait for a person's sqlite3 that holds the database */
#define BUSY_STEP_MS    10

struct hp_db {
    sqlite3 *handle;
    hp_prepared_t *prepared[HP_SQL_LIST_COUNT];
    int journal_pages;  /* in the WAL after the last commit */
    int tidied_pages;   /* in the WAL at the last attempt to tidy it; 0 since it began anew */
    const char *remote; /* the name of its file system where other machines have it too; NULL */
    hp_db_wait_fn wait; /* NULL: for BUSY_MS */
    void *wait_arg;
};

sqlite3 *hp_db_handle(const hp_db_t *db)
{
    return db->handle;
}

hp_prepared_t **hp_db_prepared(hp_db_t *db)
{
    return db->prepared;
}

int64_t hp_db_changes(const hp_db_t *db)
{
    return sqlite3_changes64(db->handle);
}

int64_t hp_db_total_changes(const hp_db_t *db)
{
    return sqlite3_total_changes64(db->handle);
}

int64_t hp_db_last_id(const hp_db_t *db)
{
    return sqlite3_last_insert_rowid(db->handle);
}

/* The journal's file; NULL while there is none. */
static sqlite3_file *journal_of(const hp_db_t *db)
{
    sqlite3_file *journal = NULL;
    int rc = sqlite3_file_control(db->handle, "main", SQLITE_FCNTL_JOURNAL_POINTER, &journal);
    return rc == SQLITE_OK && journal != NULL && journal->pMethods != NULL ? journal : NULL;
}

/* What the kernel said. SQLite passes it on for statements, but not for COMMIT: there it stands in the
 * journal's file. */
static int kernel_error(const hp_db_t *db, int primary)
{
    if (primary != SQLITE_IOERR && primary != SQLITE_CANTOPEN)
        return 0;
    int number = sqlite3_system_errno(db->handle);
    sqlite3_file *journal = journal_of(db);
    if (number == 0 && journal != NULL)
        journal->pMethods->xFileControl(journal, SQLITE_FCNTL_LAST_ERRNO, &number);
    return number;
}

int hp_db_fail(const hp_db_t *db, int result, const char *what, hp_err_t *err)
{
    int primary = result & 0xff;
    if (primary == SQLITE_NOMEM || result == SQLITE_IOERR_NOMEM) {
        fputs("hostpair: out of memory\n", stderr);
        abort();
    }
    const char *words =
        sqlite3_extended_errcode(db->handle) == result ? sqlite3_errmsg(db->handle) : sqlite3_errstr(result);
    int number = kernel_error(db, primary);
    int code = HP_E_DB;
    if (primary == SQLITE_FULL || number == ENOSPC || number == EDQUOT)
        code = HP_E_NO_SPACE;
    else if (primary == SQLITE_CORRUPT || primary == SQLITE_NOTADB)
        code = HP_E_DB_DAMAGED;
    else if (primary == SQLITE_BUSY)
        code = HP_E_BUSY;
    if (number != 0)
        return hp_err_set(err, code, "%s: %s (%s)", what, words, hp_err_sentence(-number));
    return hp_err_set(err, code, "%s: %s", what, words);
}

int hp_db_script(hp_db_t *db, const char *sql, const char *what, hp_err_t *err)
{
    int rc = sqlite3_exec(db->handle, sql, NULL, NULL, NULL);
    return rc == SQLITE_OK ? 0 : hp_db_fail(db, rc, what, err);
}

/* ---- opening ---- */

static int pragma_int(hp_db_t *db, const char *sql, int64_t *value, hp_err_t *err)
{
    sqlite3_stmt *stmt = NULL;
    int rc = sqlite3_prepare_v2(db->handle, sql, -1, &stmt, NULL);
    if (rc == SQLITE_OK)
        rc = sqlite3_step(stmt);
    if (rc == SQLITE_ROW)
        *value = sqlite3_column_int64(stmt, 0);
    int result =
        rc == SQLITE_ROW ? 0 : hp_db_fail(db, rc == SQLITE_DONE ? SQLITE_ERROR : rc, "reading it", err);
    sqlite3_finalize(stmt);
    return result;
}

static int check_identity(int64_t application, int64_t version, const hp_schema_t *schema, hp_err_t *err)
{
    if (application != HP_DB_APPLICATION_ID)
        return hp_err_set(err, HP_E_DB_FOREIGN, "it belongs to another program (application id %lld)",
                          (long long)application);
    if (version > schema->version)
        return hp_err_set(err, HP_E_DB_NEWER,
                          "a newer hostpair wrote it: it has version %lld, this hostpair (" HP_VERSION
                          ") knows up to version %d",
                          (long long)version, schema->version);
    if (version < 1)
        return hp_err_set(err, HP_E_DB_DAMAGED, "it is damaged: its version is %lld", (long long)version);
    return 0;
}

static uint32_t big_endian(const unsigned char *p)
{
    return (uint32_t)p[0] << 24 | (uint32_t)p[1] << 16 | (uint32_t)p[2] << 8 | p[3];
}

/* The second step: https://www.sqlite.org/fileformat2.html#the_database_header. Through SQLite's own
 * descriptor, as closing another one of the same file would drop its locks. */
static int check_header(hp_db_t *db, const hp_schema_t *schema, hp_err_t *err)
{
    sqlite3_file *file = NULL;
    sqlite3_int64 size = 0;
    unsigned char header[100];
    int rc = sqlite3_file_control(db->handle, "main", SQLITE_FCNTL_FILE_POINTER, &file);
    if (rc == SQLITE_OK)
        rc = file->pMethods->xFileSize(file, &size);
    if (rc == SQLITE_OK && size >= (sqlite3_int64)sizeof header)
        rc = file->pMethods->xRead(file, header, sizeof header, 0);
    if (rc != SQLITE_OK)
        return hp_db_fail(db, rc, "reading it", err);
    if (size < (sqlite3_int64)sizeof header || memcmp(header, "SQLite format 3", 16) != 0)
        return 0; /* empty, or the third step says that it is no database */
    return check_identity((int32_t)big_endian(header + 68), (int32_t)big_endian(header + 60), schema, err);
}

static int on_commit(void *arg, sqlite3 *handle, const char *name, int pages)
{
    hp_db_t *db = arg;
    (void)handle, (void)name;
    if (pages < db->journal_pages)
        db->tidied_pages = 0;
    db->journal_pages = pages;
    return SQLITE_OK;
}

static int configure(hp_db_t *db, hp_err_t *err)
{
    char sql[600];
    snprintf(sql, sizeof sql,
             "PRAGMA foreign_keys = ON;"
             "PRAGMA synchronous = NORMAL;"
             "PRAGMA temp_store = MEMORY;"
             "PRAGMA cache_size = -%d;"
             "PRAGMA journal_size_limit = %d;",
             CACHE_KIB, JOURNAL_LIMIT);
    sqlite3_wal_hook(db->handle, on_commit,
                     db); /* in place of SQLite's checkpoint, which is a part of the commit */
    return hp_db_script(db, sql, "setting it up", err);
}

/* The index of a WAL lies in memory that all programs share which have the database open, and other machines
 * cannot. Where they have the file too, it is kept by this program alone: its lock stands from here to the
 * end, and the index is in its own memory (https://sqlite.org/wal.html#noshm). Before the first look at the
 * file, as a descriptor of it that is closed later takes the lock with it (fcntl(2)). */
static int keep_alone(hp_db_t *db, hp_err_t *err)
{
    if (db->remote == NULL)
        return 0;
    hp_log(HP_LOG_INFO, "the database is on %s: no other program can read it meanwhile", db->remote);
    return hp_db_script(db, "PRAGMA locking_mode = EXCLUSIVE", "setting it up", err);
}

static const char *remote_name_of(const char *path)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    const char *name = fd >= 0 ? hp_disk_remote_name(fd) : NULL;
    if (fd >= 0)
        close(fd);
    return name;
}

static int switch_to_wal(hp_db_t *db, hp_err_t *err)
{
    sqlite3_stmt *stmt = NULL;
    int rc = sqlite3_prepare_v2(db->handle, "PRAGMA journal_mode = WAL", -1, &stmt, NULL), result = 0;
    if (rc == SQLITE_OK)
        rc = sqlite3_step(stmt);
    if (rc != SQLITE_ROW)
        result = hp_db_fail(db, rc, "switching it to WAL", err);
    else if (strcmp((const char *)sqlite3_column_text(stmt, 0), "wal") != 0)
        result = hp_err_set(err, HP_E_DB, "its file system cannot hold a write-ahead log");
    sqlite3_finalize(stmt);
    return result;
}

/* The second to the fourth step. */
static int take_file(hp_db_t *db, const hp_schema_t *schema, hp_err_t *err)
{
    int rc = check_header(db, schema, err);
    if (rc != 0)
        return rc;
    if (sqlite3_db_readonly(db->handle, "main") == 1) /* immutable, or its rights have changed just now */
        return hp_err_set(err, HP_E_DB, "it cannot be written");

    int64_t pages = 0, application = 0, version = 0;
    sqlite3_db_config(db->handle, SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 1, NULL);
    rc = pragma_int(db, "PRAGMA page_count", &pages, err);
    if (rc == 0 && pages > 0)
        rc = pragma_int(db, "PRAGMA application_id", &application, err);
    if (rc == 0 && pages > 0)
        rc = pragma_int(db, "PRAGMA user_version", &version, err);
    if (rc == 0 && pages > 0)
        rc = check_identity(application, version, schema, err);
    if (rc != 0)
        return rc;
    sqlite3_db_config(db->handle, SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 0, NULL);

    rc = pages == 0 ? hp_schema_create(db, schema, err) : 0;
    if (rc == 0)
        rc = switch_to_wal(db, err);
    if (rc == 0 && pages > 0)
        rc = hp_schema_migrate(db, schema, (int)version, err);
    return rc;
}

/* Takes away what rights others have to a file of ours: there are secrets in it. A file of somebody else's
 * stays as it is, its owner reads it anyway. */
static void make_private(const char *path, const char *ending)
{
    struct stat st;
    char *name = hp_sprintf("%s%s", path, ending);
    int fd = open(name, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
    if (fd >= 0 && fstat(fd, &st) == 0 && S_ISREG(st.st_mode) && (st.st_mode & 077) != 0 &&
        st.st_uid == geteuid() && fchmod(fd, st.st_mode & 0700) != 0)
        hp_log(HP_LOG_WARN, "others may read %s: its mode cannot be changed (%s)", name,
               hp_err_sentence(-errno));
    if (fd >= 0)
        close(fd);
    free(name);
}

/* Makes a missing file, so that nobody else may read it: SQLite gives its journals the same mode. And says
 * what is missing: SQLite's own words for that say less, or the wrong thing. The journals need the folder as
 * well. */
static int prepare_file(const char *path, hp_err_t *err)
{
    const char *slash = strrchr(path, '/');
    char *folder = slash != NULL ? hp_strndup(path, (size_t)(slash - path) + 1) : hp_strdup(".");
    bool usable = faccessat(AT_FDCWD, folder, W_OK | X_OK, AT_EACCESS) == 0;
    free(folder);
    if (!usable)
        return hp_err_set(err, HP_E_DB, "its folder cannot be written (%s)", hp_err_sentence(-errno));
    int fd = open(path, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    if (fd >= 0)
        close(fd);
    else if (errno == ENOSPC || errno == EDQUOT)
        return hp_err_set(err, HP_E_NO_SPACE, "making it: %s", hp_err_sentence(-errno));
    bool found = fd < 0;
    if (faccessat(AT_FDCWD, path, R_OK | W_OK, AT_EACCESS) != 0)
        return hp_err_set(err, HP_E_DB, "it cannot be read and written (%s)", hp_err_sentence(-errno));
    struct stat st, journal;
    char *wal = hp_sprintf("%s-wal", path);
    bool emptied = stat(path, &st) == 0 && st.st_size == 0 && stat(wal, &journal) == 0 && journal.st_size > 0;
    free(wal);
    if (emptied) /* SQLite would delete the journal */
        return hp_err_set(err, HP_E_DB_DAMAGED, "it is damaged: it is empty, but has a journal");
    if (found && stat(path, &st) == 0 && st.st_size == 0)
        hp_log(HP_LOG_WARN, "the database %s is empty: a new one is made in it", path);
    make_private(path, "");
    make_private(path, "-wal");
    make_private(path, "-shm");
    return 0;
}

/* SQLite counts its memory under a lock that every allocation takes; nobody asks for the count. */
static void count_nothing(void)
{
    (void)sqlite3_config(SQLITE_CONFIG_MEMSTATUS, 0);
}

static int open_connection(const char *path, hp_db_t **result, hp_err_t *err)
{
    static pthread_once_t configured = PTHREAD_ONCE_INIT;
    (void)pthread_once(&configured, count_nothing);
    hp_db_t *db = hp_alloc(sizeof *db);
    int flags = SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE | SQLITE_OPEN_NOMUTEX | SQLITE_OPEN_EXRESCODE;
    int rc = sqlite3_open_v2(path, &db->handle, flags, NULL);
    if (db->handle == NULL) { /* only when memory is short */
        fputs("hostpair: out of memory\n", stderr);
        abort();
    }
    *result = db;
    if (rc != SQLITE_OK)
        return hp_db_fail(db, rc, "opening it", err);
    sqlite3_busy_timeout(db->handle, BUSY_MS);
    /* Text in double quotes is a name and nothing else; the schema in the file cannot call what it should
     * not. */
    sqlite3_db_config(db->handle, SQLITE_DBCONFIG_DQS_DML, 0, NULL);
    sqlite3_db_config(db->handle, SQLITE_DBCONFIG_DQS_DDL, 0, NULL);
    sqlite3_db_config(db->handle, SQLITE_DBCONFIG_TRUSTED_SCHEMA, 0, NULL);
    sqlite3_db_config(db->handle, SQLITE_DBCONFIG_DEFENSIVE, 1, NULL);
    /* Some distributions overwrite deleted rows with zeros, which costs writes; migrations want the keys off.
     */
    return hp_db_script(db, "PRAGMA secure_delete = OFF; PRAGMA foreign_keys = OFF", "setting it up", err);
}

int hp_db_open_schema(const char *path, const hp_schema_t *schema, hp_db_t **db, hp_err_t *err)
{
    *db = NULL;
    int rc = prepare_file(path, err);
    const char *remote = rc == 0 ? remote_name_of(path) : NULL;
    if (rc == 0)
        rc = open_connection(path, db, err);
    if (rc == 0) {
        (*db)->remote = remote;
        rc = keep_alone(*db, err);
    }
    if (rc == 0)
        rc = take_file(*db, schema, err);
    if (rc == 0)
        rc = configure(*db, err);
    if (rc == 0)
        return 0;
    hp_db_close(*db);
    *db = NULL;
    if (remote != NULL)
        hp_err_prefix(err,
                      "the database %s on %s, which has to lock files (--data names another folder): ", path,
                      remote);
    else
        hp_err_prefix(err, "the database %s: ", path);
    return rc;
}

static void pass_over_row(void *arg, const hp_download_row_t *row)
{
    (void)arg, (void)row;
}

static void pass_over_count(void *arg, const char *state, int64_t count)
{
    (void)arg, (void)state, (void)count;
}

static int check_table(hp_db_t *db, const char *table, hp_err_t *err)
{
    char sql[100];
    sqlite3_stmt *stmt = NULL;
    snprintf(sql, sizeof sql, "PRAGMA quick_check('%s')", table);
    int rc = sqlite3_prepare_v2(db->handle, sql, -1, &stmt, NULL), result = 0;
    if (rc == SQLITE_OK)
        rc = sqlite3_step(stmt);
    if (rc != SQLITE_ROW)
        result = hp_db_fail(db, rc, "checking it", err);
    else if (strcmp((const char *)sqlite3_column_text(stmt, 0), "ok") != 0)
        result = hp_err_set(err, HP_E_DB_DAMAGED, "it is damaged: %s: %s", table,
                            (const char *)sqlite3_column_text(stmt, 0));
    sqlite3_finalize(stmt);
    return result;
}

/* Looks whether small tables hold together that cannot be fetched or made again, and whether of the large one
 * that grows for years (download) can be read what a start reads: damage is better found now than by the
 * person whose messages it hides. 20 ms at 100,000 downloads. */
static int check_tables(hp_db_t *db, hp_err_t *err)
{
    static const char *const tables[] = {"self",    "setting",     "host",         "host_address",
                                         "message", "host_alias",  "member_group", "message_delivery",
                                         "share",   "group_member"};
    int rc = 0;
    for (size_t i = 0; rc == 0 && i < sizeof tables / sizeof *tables; i++)
        rc = check_table(db, tables[i], err);
    if (rc == 0)
        rc = hp_db_download_unfinished(db, pass_over_row, NULL, err);
    return rc == 0 ? hp_db_download_counts(db, pass_over_count, NULL, err) : rc;
}

int hp_db_open(const char *path, hp_db_t **db, hp_err_t *err)
{
    int rc = hp_db_open_schema(path, &hp_schema_latest, db, err);
    if (rc != 0)
        return rc;
    rc = hp_statements_prepare(*db, err);
    if (rc == HP_E_DB) { /* a table or a column is missing */
        rc = HP_E_DB_DAMAGED;
        if (err != NULL)
            err->code = rc;
    }
    if (rc == 0)
        rc = check_tables(*db, err);
    if (rc == 0)
        return 0;
    hp_db_abandon(*db); /* what is damaged stays as it is */
    *db = NULL;
    hp_err_prefix(err, "the database %s: ", path);
    return rc;
}

int hp_db_open_memory(hp_db_t **db, hp_err_t *err)
{
    int rc = open_connection(":memory:", db, err);
    if (rc == 0)
        rc = hp_schema_create(*db, &hp_schema_latest, err);
    if (rc == 0)
        rc = configure(*db, err);
    if (rc == 0)
        rc = hp_statements_prepare(*db, err);
    if (rc == 0)
        return 0;
    hp_db_close(*db);
    *db = NULL;
    return rc;
}

void hp_db_unlink(const char *path)
{
    static const char *const endings[] = {"", "-wal", "-shm", "-journal"};
    for (size_t i = 0; i < sizeof endings / sizeof *endings; i++) {
        char *name = hp_sprintf("%s%s", path, endings[i]);
        unlink(name);
        free(name);
    }
}

int hp_db_copy(hp_db_t *db, const char *path, hp_err_t *err)
{
    char *sql = sqlite3_mprintf("VACUUM INTO %Q", path);
    int rc = hp_db_script(db, sql, "copying it", err);
    sqlite3_free(sql);
    return rc;
}

int hp_db_space(hp_db_t *db, int64_t *used, int64_t *unused, hp_err_t *err)
{
    int64_t size = 0, pages = 0, free_pages = 0;
    int rc = pragma_int(db, "PRAGMA page_size", &size, err);
    if (rc == 0)
        rc = pragma_int(db, "PRAGMA page_count", &pages, err);
    if (rc == 0)
        rc = pragma_int(db, "PRAGMA freelist_count", &free_pages, err);
    *unused = free_pages * size;
    *used = (pages - free_pages) * size;
    return rc;
}

void hp_db_abandon(hp_db_t *db)
{
    if (db == NULL)
        return;
    sqlite3_db_config(db->handle, SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 1, NULL);
    hp_db_close(db);
}

void hp_db_close(hp_db_t *db)
{
    if (db == NULL)
        return;
    hp_statements_finalize(db);
    hp_db_rollback(db);
    if (sqlite3_close(db->handle) != SQLITE_OK) {
        fprintf(stderr, "hostpair: closing the database: %s\n", sqlite3_errmsg(db->handle));
        abort(); /* a statement that somebody forgot: a mistake in the code */
    }
    free(db);
}

static int on_busy(void *arg, int count)
{
    hp_db_t *db = arg;
    unsigned waited = (unsigned)count * BUSY_STEP_MS;
    if (!db->wait(db->wait_arg, waited))
        return 0;
    sqlite3_sleep(BUSY_STEP_MS);
    return 1;
}

void hp_db_on_busy(hp_db_t *db, hp_db_wait_fn wait, void *arg)
{
    db->wait = wait;
    db->wait_arg = arg;
    sqlite3_busy_handler(db->handle, on_busy, db);
}

/* ---- transactions ---- */

int hp_db_begin(hp_db_t *db, hp_err_t *err)
{
    return hp_db_script(db, "BEGIN IMMEDIATE", "begin", err);
}

int hp_db_commit(hp_db_t *db, hp_err_t *err)
{
    return hp_db_script(db, "COMMIT", "commit", err);
}

int hp_db_sync(hp_db_t *db, hp_err_t *err)
{
    sqlite3_file *journal = journal_of(db);
    int rc = journal != NULL ? journal->pMethods->xSync(journal, SQLITE_SYNC_NORMAL) : SQLITE_OK;
    return rc == SQLITE_OK ? 0 : hp_db_fail(db, rc, "sync", err);
}

void hp_db_rollback(hp_db_t *db)
{
    /* It fails only where SQLite has rolled back already; the pages in memory are gone in any case. */
    if (hp_db_in_transaction(db))
        sqlite3_exec(db->handle, "ROLLBACK", NULL, NULL, NULL);
}

bool hp_db_in_transaction(const hp_db_t *db)
{
    return sqlite3_get_autocommit(db->handle) == 0;
}

int hp_db_savepoint(hp_db_t *db, hp_err_t *err)
{
    return hp_db_script(db, "SAVEPOINT part", "savepoint", err);
}

int hp_db_release(hp_db_t *db, hp_err_t *err)
{
    return hp_db_script(db, "RELEASE part", "release", err);
}

void hp_db_revert(hp_db_t *db)
{
    /* Nothing to take back where SQLite has rolled back the whole transaction. */
    if (hp_db_in_transaction(db))
        sqlite3_exec(db->handle, "ROLLBACK TO part; RELEASE part", NULL, NULL, NULL);
}

int hp_db_tidy(hp_db_t *db, bool busy, hp_err_t *err)
{
    /* Where it did not succeed (full disk, a reader of another process) it is not tried again at every
     * commit. */
    if (db->journal_pages - db->tidied_pages < (busy ? TIDY_PAGES_BUSY : TIDY_PAGES))
        return 0;
    db->tidied_pages = db->journal_pages;
    int rc = sqlite3_wal_checkpoint_v2(db->handle, "main", SQLITE_CHECKPOINT_PASSIVE, NULL, NULL);
    return rc == SQLITE_OK ? 0 : hp_db_fail(db, rc, "checkpoint", err);
}

int hp_db_checkpoint(hp_db_t *db, hp_err_t *err)
{
    int rc = sqlite3_wal_checkpoint_v2(db->handle, "main", SQLITE_CHECKPOINT_TRUNCATE, NULL, NULL);
    return rc == SQLITE_OK ? 0 : hp_db_fail(db, rc, "checkpoint", err);
}
