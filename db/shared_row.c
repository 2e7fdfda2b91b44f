#include "db/shared_row.h"

#include <stdlib.h>
#include <string.h>

#include "base/mem.h"

void hp_shared_bind_identity(hp_query_t *q, const hp_shared_identity_t *identity)
{
    hp_query_bind_int(q, ":device", (int64_t)identity->device);
    hp_query_bind_int(q, ":inode", (int64_t)identity->inode);
    hp_query_bind_int(q, ":size", (int64_t)identity->size);
    hp_query_bind_int(q, ":mtime", identity->mtime_ns);
    hp_query_bind_int(q, ":ctime", identity->ctime_ns);
}

void hp_shared_read_identity(hp_query_t *q, int column, hp_shared_identity_t *identity)
{
    identity->device = (uint64_t)hp_query_int(q, column);
    identity->inode = (uint64_t)hp_query_int(q, column + 1);
    identity->size = (uint64_t)hp_query_count(q, column + 2);
    identity->mtime_ns = hp_query_int(q, column + 3);
    identity->ctime_ns = hp_query_int(q, column + 4);
}

bool hp_shared_read_root(hp_query_t *q, int column, uint8_t root[HP_SHARED_ROOT_SIZE])
{
    size_t length;
    const void *data = hp_query_blob(q, column, &length);
    if (data == NULL || length != HP_SHARED_ROOT_SIZE)
        return false;
    memcpy(root, data, HP_SHARED_ROOT_SIZE);
    return true;
}

void hp_shared_bind_root(hp_query_t *q, const uint8_t *root)
{
    hp_query_bind_blob(q, ":root", root, HP_SHARED_ROOT_SIZE);
}

void hp_shared_rows_dispose(hp_shared_rows_t *rows)
{
    for (size_t i = 0; i < rows->count; i++)
        free(rows->items[i].path);
    free(rows->items);
    *rows = (hp_shared_rows_t){0};
}

void hp_shared_read_row(hp_query_t *q, hp_shared_row_t *row)
{
    row->path = hp_strdup(hp_query_string(q, 0));
    hp_shared_read_identity(q, 1, &row->identity);
    row->rooted = hp_shared_read_root(q, 6, row->root);
    row->executable = hp_query_int(q, 7) != 0;
}

int hp_shared_read_rows(hp_query_t *q, hp_shared_rows_t *rows, size_t room, hp_err_t *err)
{
    while (rows->count < room && hp_query_row(q))
        hp_shared_read_row(q, &rows->items[rows->count++]);
    return hp_query_end(q, err);
}
