/* How a row of shared_file is bound and read. For db/shared_*.c alone. */
#ifndef HP_DB_SHARED_ROW_H
#define HP_DB_SHARED_ROW_H

#include "db/shared_file.h"
#include "db/statement.h"

#define HP_SHARED_LAYER_OVER 1048576 /* contents up to this size have no layer but their root */

/* What hp_shared_read_row reads. */
#define HP_SHARED_COLUMNS "path, device, inode, size, mtime_ns, ctime_ns, root, executable"
/* Condition on what hp_shared_bind_identity binds. */
#define HP_SHARED_SAME_BYTES                                                                                 \
    "inode = :inode AND device = :device AND size = :size AND mtime_ns = :mtime AND ctime_ns = :ctime"

void hp_shared_bind_identity(hp_query_t *q, const hp_shared_identity_t *identity);
void hp_shared_read_identity(hp_query_t *q, int column, hp_shared_identity_t *identity);

void hp_shared_bind_root(hp_query_t *q, const uint8_t *root);
/* Whether there was a root. The schema holds its length. */
bool hp_shared_read_root(hp_query_t *q, int column, uint8_t root[HP_SHARED_ROOT_SIZE]);

void hp_shared_read_row(hp_query_t *q, hp_shared_row_t *row);
/* Adds what the query gives to the rows, as far as their room goes. */
int hp_shared_read_rows(hp_query_t *q, hp_shared_rows_t *rows, size_t room, hp_err_t *err);

#endif
