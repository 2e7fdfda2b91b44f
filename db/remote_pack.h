/* How entries of a remote list are numbered and packed (schema/remote_file.sql). For db/remote_*.c alone. Any
 * thread. */
#ifndef HP_DB_REMOTE_PACK_H
#define HP_DB_REMOTE_PACK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "db/remote_file.h"
#include "db/statement.h"

#define HP_REMOTE_ID(list, number) ((int64_t)((uint64_t)(list) << 32 | (uint32_t)(number)))
#define HP_REMOTE_NUMBER(id)       ((uint32_t)((uint64_t)(id)))

/* One entry of remote_keys. */
#define HP_REMOTE_KEY_SIZE 24
typedef struct hp_remote_key {
    uint32_t folder; /* number of the folder that holds it */
    bool is_folder;
    int64_t size, mtime;
} hp_remote_key_t;
void hp_remote_key_put(uint8_t out[HP_REMOTE_KEY_SIZE], const hp_remote_key_t *key);
void hp_remote_key_get(const uint8_t in[HP_REMOTE_KEY_SIZE], hp_remote_key_t *key);

/* Lower case as searching understands it: ASCII, Latin, Greek and Cyrillic letters, byte by byte the same
 * length. out has room for length bytes and may be text. */
void hp_remote_fold(const char *text, size_t length, char *out);

/* The key of remote_root. */
int64_t hp_remote_root_prefix(const uint8_t root[32]);

/* Columns from `first` on: host, folder path, name, size, mtime, root, executable. */
void hp_remote_file_from_row(hp_query_t *q, int first, hp_remote_file_t *file);
/* Columns from `first` on: path, files, bytes. */
void hp_remote_folder_from_row(hp_query_t *q, int first, hp_remote_folder_t *folder);

/* The shown list of a host: 0, HP_E_NOT_FOUND or an error. */
int hp_remote_list_id(hp_db_t *db, const char *host, int64_t *list, hp_err_t *err);

#endif
