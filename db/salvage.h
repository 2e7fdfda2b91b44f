/* What can be read of a damaged database, in a new one. */
#ifndef HP_DB_SALVAGE_H
#define HP_DB_SALVAGE_H

#include "db/db.h"

/* Makes the database `fresh` (which does not exist; mode 0600), of the version of the damaged one as far as
 * that can be read, and copies every row that can be read and that keeps the rules of its table. Lists of
 * other hosts are left out: they are fetched again. The damaged one stays as it is. *rows: how many were
 * copied. 0, or an error of the new one, which is then removed. */
int hp_db_salvage(const char *damaged, const char *fresh, int64_t *rows, hp_err_t *err);

#endif
