/* The file of the database as it lies in the data folder: set aside when it is damaged, written anew when
 * somebody deletes it while hostpair runs.
 *
 * Invariants
 * 1. Nothing is deleted that is not whole somewhere else. A damaged database is renamed, with its journal.
 * 2. A new one takes the place of an old one by a rename, when it is whole and synced ("<path>.restored"): a
 * crash leaves the one or the other, and the next start does what is left to do.
 *
 * One thread at a time, like db.h. */
#ifndef HP_DB_FILE_H
#define HP_DB_FILE_H

#include <sys/types.h>

#include "db/db.h"

/* hp_db_open; a damaged database is set aside as "<path>.damaged-YYYYMMDD-HHMMSS", what can be read of it is
 * copied into a new one, and the log says so. Errors are those of hp_db_open but HP_E_DB_DAMAGED. */
int hp_db_file_open(const char *path, hp_db_t **db, hp_err_t *err);

/* Reading or writing told that the database is damaged: the next start sets it aside, however this process
 * ends. */
void hp_db_file_mark(const char *path);

/* What the name stood for when it was opened. */
typedef struct hp_db_file {
    char *path;
    dev_t device;
    ino_t inode, journal; /* journal: 0 while none was seen */
} hp_db_file_t;
void hp_db_file_init(hp_db_file_t *self, const char *path);
void hp_db_file_dispose(hp_db_file_t *self);

typedef enum {
    HP_DB_FILE_FINE,
    HP_DB_FILE_GONE,  /* it or its journal was deleted, or emptied: what is open still has it */
    HP_DB_FILE_OTHER, /* another file lies there */
} hp_db_file_state_t;

/* Looks whether the file and its journal are still those that are open. Unless it is fine err says what
 * happened. */
hp_db_file_state_t hp_db_file_look(hp_db_file_t *self, hp_err_t *err);

/* Writes the open database, whose file is gone, into a new file in its place, and opens that one in place of
 * *db. Outside of a transaction. On failure *db is the old one, which can be read as far as that goes. */
int hp_db_file_restore(hp_db_file_t *self, hp_db_t **db, hp_err_t *err);

#endif
