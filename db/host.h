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
    bool has_fingerprint;
    uint8_t fingerprint[32]; /* SHA-256 of its public key, where has_fingerprint */
    bool proven;             /* it has proven that key in a handshake */
    int64_t paired_at;       /* wall ms; 0: not paired; read only, see hp_host_set_paired */
    char added_as[264];      /* "name:port" by which a person added it; "" none, takes nothing away */
    int64_t unpaired_at;     /* wall ms, when that ended here and it has not been told yet; 0; read only */
    hp_host_row_address_t addresses[HP_HOST_ROW_ADDRESSES]; /* the one that answered last comes first */
    size_t address_count;
} hp_host_row_t;

/* All hosts, for the caller to free(). A row without an id is named in the log and passed over. */
int hp_host_load(hp_db_t *db, hp_host_row_t **rows, size_t *count, hp_err_t *err);

/* Writes a host and exactly these addresses. Of a known host first_seen, its fingerprint and that it has
 * proven it stay: a row without them takes nothing away. HP_E_CONFLICT for another fingerprint than the known
 * one: that is another host. */
int hp_host_save(hp_db_t *db, const hp_host_row_t *row, hp_err_t *err);

/* People on both sides have compared the digits at this time (wall ms), or (0) one of them has ended it.
 * HP_E_NOT_FOUND; HP_E_DB for a host that has not proven its key. */
int hp_host_set_paired(hp_db_t *db, const char *id, int64_t paired_at, hp_err_t *err);

/* A pairing has ended here at this time (wall ms), and the other host has still to be told. HP_E_NOT_FOUND.
 * hp_host_set_paired takes it back, also with 0. */
int hp_host_set_unpaired(hp_db_t *db, const char *id, int64_t unpaired_at, hp_err_t *err);

/* Removes a host and its addresses. 0 also when there is none. */
int hp_host_remove(hp_db_t *db, const char *id, hp_err_t *err);

#endif
