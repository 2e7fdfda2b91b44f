/* A folder that stands where an order of a folder wants to land, and is of no download on the list. */
#ifndef HP_TRANSFER_STANDING_H
#define HP_TRANSFER_STANDING_H

#include "db/db.h"
#include "transfer/types.h"

#define HP_STANDING_FILES 8

typedef struct hp_standing_file {
    char *path;    /* below base */
    char root[65]; /* as the host lists it */
    int64_t size;
} hp_standing_file_t;

typedef struct hp_standing {
    size_t count;
    hp_standing_file_t files[HP_STANDING_FILES]; /* the smallest first */
} hp_standing_t;

/* Store thread. Files of the host's folder that stand below path with the size that is listed, empty ones
 * left out: the smallest. 0 or a database error; to is the caller's to dispose. */
int hp_standing_find(hp_db_t *db, const char *base, const char *path, const char *host, const char *folder,
                     hp_standing_t *to, hp_err_t *err);
void hp_standing_dispose(hp_standing_t *self);

/* Loop. same: one of them is what the host lists, by its root: the folder was fetched from there once, or is
 * a copy. status: 0; UV_ECANCELED when the transfer stops; a code of the disk that passes by itself. Takes
 * what is in files; done is called once, never in here. */
void hp_standing_look(hp_transfer_t *transfer, const char *base, hp_standing_t *files,
                      void (*done)(void *arg, int status, bool same, const hp_err_t *err), void *arg);

#endif
