/* The database: hostpair.db in the data folder, one SQLite file with everything that outlives the process.
 *
 * Invariants
 * 1. One connection, used by one thread at a time (the store's). No call here takes a lock; every call may
 * block on the disk.
 * 2. Nothing is written before the file is known to be hostpair's and of a version that this program knows.
 * 3. What a commit reported is there after kill -9. After a power cut the commits since the last hp_db_sync
 * or checkpoint may be gone, but never a part of one: commits alone sync nothing (WAL, synchronous=NORMAL).
 * 4. On a file system that other machines have too (NFS and its like) the file is locked as long as it is
 * open: nobody else can read it, not even on this machine.
 * 5. Nobody but the owner reads the file and its journals (mode 0600).
 * 6. Every failure is HP_E_NO_SPACE, HP_E_DB_DAMAGED, HP_E_BUSY (another program holds it) or HP_E_DB with
 * SQLite's words and the name of the statement. Out of memory aborts.
 *
 * The operations on the tables are in db/<table>.h. Times are wall clock milliseconds since 1970, sizes are
 * bytes.
 */
#ifndef HP_DB_DB_H
#define HP_DB_DB_H

#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"

typedef struct hp_db hp_db_t;

#define HP_DB_FILE "hostpair.db"

/* Opens the file, makes it (mode 0600) when it is missing or empty, brings an older version up to date,
 * prepares all statements. HP_E_DB_NEWER (written by a newer hostpair), HP_E_DB_FOREIGN (another program's
 * database): the file is left as it is. HP_E_DB_DAMAGED for what is no database, or one that does not hold
 * together; HP_E_DB for one that cannot be read or written; HP_E_NO_SPACE. *db is NULL on failure. */
int hp_db_open(const char *path, hp_db_t **db, hp_err_t *err);

/* A database in memory with the same tables, for tests. */
int hp_db_open_memory(hp_db_t **db, hp_err_t *err);

/* Asks wait whenever another program holds the database, every 10 ms, whether to go on waiting; in its place
 * 5 s are waited. Where it says no, what was to be done fails with HP_E_BUSY. */
typedef bool (*hp_db_wait_fn)(void *arg, unsigned waited_ms);
void hp_db_on_busy(hp_db_t *db, hp_db_wait_fn wait, void *arg);

/* Removes a database that nobody has open, with its journals. */
void hp_db_unlink(const char *path);

/* Copies everything as it is now into an empty file, without what is free. Outside of a transaction. */
int hp_db_copy(hp_db_t *db, const char *path, hp_err_t *err);

/* Bytes of the file that hold something, and that are free. */
int hp_db_space(hp_db_t *db, int64_t *used, int64_t *unused, hp_err_t *err);

/* Closes a database whose file is gone, without a look at what lies there now. */
void hp_db_abandon(hp_db_t *db);

/* Rolls back an open transaction, writes the journal back into the file and closes it. NULL is allowed. */
void hp_db_close(hp_db_t *db);

/* A transaction that takes the write lock at once. A failed commit leaves it open: roll back. hp_db_rollback
 * does nothing outside of one: SQLite ends a transaction by itself after some failures (a full disk), so ask
 * hp_db_in_transaction before going on in it. */
int hp_db_begin(hp_db_t *db, hp_err_t *err);
int hp_db_commit(hp_db_t *db, hp_err_t *err);
void hp_db_rollback(hp_db_t *db);
/* Syncs the journal: what was committed before survives a power cut as well. Outside of a transaction only.
 */
int hp_db_sync(hp_db_t *db, hp_err_t *err);
bool hp_db_in_transaction(const hp_db_t *db);

/* A part that can be taken back alone; parts nest. release keeps the innermost open one, revert takes it back
 * and closes it. Outside of a transaction the outermost is one. An operation of several statements wraps them
 * in a savepoint. */
int hp_db_savepoint(hp_db_t *db, hp_err_t *err);
int hp_db_release(hp_db_t *db, hp_err_t *err);
void hp_db_revert(hp_db_t *db);

/* Rows that this connection has changed since it was opened: a reader that raises it was no reader. */
int64_t hp_db_total_changes(const hp_db_t *db);

/* Writes the journal back into the file when it has grown to 4 MiB, or while busy to 32 MiB, and syncs both.
 * That may take long on a slow disk, so it is no part of a commit: call it after each one, once what was
 * committed is reported. A failure loses nothing. */
int hp_db_tidy(hp_db_t *db, bool busy, hp_err_t *err);

/* Writes the whole journal back into the file and syncs it. Outside of a transaction only. */
int hp_db_checkpoint(hp_db_t *db, hp_err_t *err);

#endif
