/* Tables member_group and group_member: the groups that this host is in, and who else is. The store's thread.
 *
 * Invariants
 * 1. A group's secret is read and written here and nowhere else; the file is readable by its owner alone
 * (db.h).
 * 2. The revision of a list that was read never goes down: an older list that a hub shows again is known as
 * old. */
#ifndef HP_DB_GROUP_H
#define HP_DB_GROUP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "db/db.h"

#define HP_DB_GID_SIZE       16
#define HP_DB_SECRET_SIZE    16
#define HP_DB_GROUP_NAME     256 /* bytes, with NUL */
#define HP_DB_GROUP_HUB      272 /* HOST:PORT, with NUL */
#define HP_DB_LIST_ETAG_SIZE 72

typedef struct hp_db_group {
    int64_t id; /* given by the database */
    uint8_t gid[HP_DB_GID_SIZE];
    char name[HP_DB_GROUP_NAME];
    char hub[HP_DB_GROUP_HUB];
    uint8_t hub_pin[32];
    size_t hub_pin_length; /* 16: the start of the hub's fingerprint, as an invite has it; 32: all of it */
    uint8_t secret[HP_DB_SECRET_SIZE];
    bool publish;
    bool leaving;          /* the hub is still to be told; it is no group any more for anybody here */
    int64_t list_revision; /* of the own list that was last left at the hub */
    int64_t created_at;    /* wall ms */
} hp_db_group_t;

/* Sets group->id. HP_E_EXISTS when this host is in it already. */
int hp_db_group_insert(hp_db_t *db, hp_db_group_t *group, hp_err_t *err);

/* Writes name, hub, hub_pin, publish, leaving and list_revision. HP_E_NOT_FOUND. */
int hp_db_group_update(hp_db_t *db, const hp_db_group_t *group, hp_err_t *err);

/* Gives the group a new secret and the gid that goes with it, and forgets its members, whose proofs belong to
 * the old one: all or nothing. HP_E_NOT_FOUND, HP_E_EXISTS. */
int hp_db_group_renew(hp_db_t *db, int64_t id, const uint8_t gid[HP_DB_GID_SIZE],
                      const uint8_t secret[HP_DB_SECRET_SIZE], hp_err_t *err);

/* With its members. HP_E_NOT_FOUND. */
int hp_db_group_remove(hp_db_t *db, int64_t id, hp_err_t *err);

/* 0 with the group, or HP_E_NOT_FOUND. */
int hp_db_group_get(hp_db_t *db, int64_t id, hp_db_group_t *group, hp_err_t *err);

/* All groups, oldest first, those that are being left too. */
int hp_db_group_each(hp_db_t *db, void (*fn)(void *arg, const hp_db_group_t *group), void *arg,
                     hp_err_t *err);

typedef struct hp_db_group_member {
    int64_t group;
    uint8_t fingerprint[32];
    char host[33]; /* the id that goes with it */
    uint8_t proof[32];
    char name[HP_DB_GROUP_NAME];
    int64_t list_revision;                /* of its newest list that was read; read only */
    char list_etag[HP_DB_LIST_ETAG_SIZE]; /* its validator; "" none; read only */
    int64_t seen_at;                      /* wall ms, when the hub last named it */
} hp_db_group_member_t;

/* Inserts a member or writes what the hub says of it now. */
int hp_db_group_member_put(hp_db_t *db, const hp_db_group_member_t *member, hp_err_t *err);

/* Notes the list that was read from a member. HP_E_CONFLICT when one with a higher revision was read before;
 * HP_E_NOT_FOUND. */
int hp_db_group_member_listed(hp_db_t *db, int64_t group, const uint8_t fingerprint[32], int64_t revision,
                              const char *etag, hp_err_t *err);

/* 0 also when there is none. */
int hp_db_group_member_remove(hp_db_t *db, int64_t group, const uint8_t fingerprint[32], hp_err_t *err);

/* The members of a group. */
int hp_db_group_member_each(hp_db_t *db, int64_t group,
                            void (*fn)(void *arg, const hp_db_group_member_t *member), void *arg,
                            hp_err_t *err);

/* The groups that a host is in (with its row in each). */
int hp_db_group_member_each_of(hp_db_t *db, const char *host,
                               void (*fn)(void *arg, const hp_db_group_member_t *member), void *arg,
                               hp_err_t *err);

#endif
