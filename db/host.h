/* Hosts that were found, with their addresses: what the registry (server/discovery/hosts.h) keeps over
 * restarts. The store's thread. */
#ifndef HP_DB_HOST_H
#define HP_DB_HOST_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "db/db.h"

#define HP_HOST_ROW_ADDRESSES 16

typedef struct hp_host_row_address {
    char address[64];
    uint16_t port;
    int64_t answered_at; /* wall ms */
} hp_host_row_address_t;

typedef struct hp_host_row {
    char id[80];
    char name[256];
    char instance[33];
    char found_by[12];
    int protocol;
    int64_t files, bytes; /* -1 unknown */
    int64_t first_seen, last_seen;
    bool blocked;
    hp_host_row_address_t addresses[HP_HOST_ROW_ADDRESSES]; /* the one that answered last comes first */
    size_t address_count;
} hp_host_row_t;

/* All hosts, for the caller to free(). */
int hp_host_load(hp_db_t *db, hp_host_row_t **rows, size_t *count, hp_err_t *err);

/* Writes a host and exactly these addresses. first_seen of a known host stays. */
int hp_host_save(hp_db_t *db, const hp_host_row_t *row, hp_err_t *err);

/* Removes a host and its addresses. 0 also when there is none. */
int hp_host_remove(hp_db_t *db, const char *id, hp_err_t *err);

#endif
