/* Rows of shared folders that are not there: they are kept for when those are back, and neither listed nor
 * counted meanwhile. Made and disposed of on the loop; hp_away_skip in any thread. */
#ifndef HP_SHARE_AWAY_H
#define HP_SHARE_AWAY_H

#include "share/state.h"

/* Which folders are missing at one moment. */
typedef struct hp_away {
    hp_place_t *place; /* referenced */
    bool missing[HP_PLACE_FOLDERS];
} hp_away_t;

void hp_away_init(hp_away_t *self, const hp_share_t *share);
void hp_away_dispose(hp_away_t *self);

/* For going through the rows in byte order of their paths and meeting only those of folders that are there
 * (missing: only those of missing ones): NULL when the path is one of them; else what to go on after,
 * malloced.
 */
char *hp_away_skip(const hp_away_t *self, const char *path, bool missing);

/* Store thread: whether a row lies in one of the missing folders. */
int hp_away_has_rows(hp_db_t *db, const hp_away_t *self, bool *has, hp_err_t *err);

/* Which folders are missing has changed: counts what is in them anew. */
void hp_away_count(hp_share_t *share);

#endif
