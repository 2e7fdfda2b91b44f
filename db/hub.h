/* Tables hub_group, hub_member, hub_list_piece and hub_tag: what a hub keeps of the groups that it serves
 * (see schema/hub.sql). Store thread. A gid is 16 bytes, a fingerprint, a proof and a credential 32, a tag
 * 16; a host is its id in 32 hex digits. */
#ifndef HP_DB_HUB_H
#define HP_DB_HUB_H

#include <stdbool.h>

#include "db/db.h"

#define HP_DB_HUB_NAME_SIZE 256
#define HP_DB_HUB_ETAG_SIZE 72
#define HP_DB_HUB_TAG       16

typedef struct hp_db_hub_member {
    char host[33];
    uint8_t fingerprint[32];
    char name[HP_DB_HUB_NAME_SIZE];
    uint8_t proof[32];
    int64_t seen_at;
    char list_etag[HP_DB_HUB_ETAG_SIZE]; /* "" none */
    uint64_t list_size;
} hp_db_hub_member_t;

typedef struct hp_db_hub_join {
    uint8_t gid[16];
    uint8_t credential[32]; /* SHA-256 of what the member showed */
    hp_db_hub_member_t member;
    const char *creator;  /* the member's network address, for the quota */
    bool may_create;      /* a group that is not there is made */
    unsigned groups_max;  /* of one creator */
    unsigned members_max; /* of one group */
    int64_t now;          /* wall ms */
} hp_db_hub_join_t;

/* Adds the member to its group, or renews what is known of it. HP_E_NOT_FOUND: there is no such group and it
 * may not be made. HP_E_FORBIDDEN: another credential. HP_E_TOO_MANY: a quota. */
int hp_db_hub_join(hp_db_t *db, const hp_db_hub_join_t *join, hp_err_t *err);

/* All members of a group, in the order of their ids. */
int hp_db_hub_members(hp_db_t *db, const uint8_t gid[16],
                      void (*fn)(void *arg, const hp_db_hub_member_t *member), void *arg, hp_err_t *err);

/* Removes a member with its list and tags; a group without members goes as well. HP_E_NOT_FOUND. */
int hp_db_hub_leave(hp_db_t *db, const uint8_t gid[16], const char *host, hp_err_t *err);

/* Removes the members that were not seen since `before`, and the groups that are empty then. */
int hp_db_hub_prune(hp_db_t *db, int64_t before, hp_err_t *err);

/* A piece of a list. Pieces come in order: offset 0 begins a new upload, another offset continues the one
 * with this etag (HP_E_CONFLICT where it does not). When offset + length is total, the list is the member's
 * list. */
typedef struct hp_db_hub_piece {
    uint8_t gid[16];
    char host[33];
    char etag[HP_DB_HUB_ETAG_SIZE];
    uint64_t offset, total;
    const void *data;
    size_t length;
} hp_db_hub_piece_t;
int hp_db_hub_list_put(hp_db_t *db, const hp_db_hub_piece_t *piece, hp_err_t *err);

/* Takes a member's list off. */
int hp_db_hub_list_remove(hp_db_t *db, const uint8_t gid[16], const char *host, hp_err_t *err);

/* The piece of a member's present list that begins at offset, in *data for the caller to free; etag "" takes
 * the present one and is filled. HP_E_NOT_FOUND: no list, or the list is another one by now. */
int hp_db_hub_list_piece(hp_db_t *db, const uint8_t gid[16], const char *host, char etag[HP_DB_HUB_ETAG_SIZE],
                         uint64_t offset, uint64_t *total, void **data, size_t *length, hp_err_t *err);

/* Changes the tags of a member; at most max in all (HP_E_TOO_MANY). reset: all that were there go first. */
typedef struct hp_db_hub_tags {
    uint8_t gid[16];
    char host[33];
    bool reset;
    const uint8_t *add, *remove; /* 16 bytes each */
    size_t add_count, remove_count;
    uint64_t max;
} hp_db_hub_tags_t;
int hp_db_hub_tags(hp_db_t *db, const hp_db_hub_tags_t *tags, hp_err_t *err);

/* The members that have a content, at most limit. */
int hp_db_hub_have(hp_db_t *db, const uint8_t gid[16], const uint8_t tag[16], unsigned limit,
                   void (*fn)(void *arg, const char *host), void *arg, hp_err_t *err);

typedef struct hp_db_hub_counts {
    uint64_t groups, members, list_bytes;
} hp_db_hub_counts_t;
/* Looks at every row: not for every request. */
int hp_db_hub_counts(hp_db_t *db, hp_db_hub_counts_t *counts, hp_err_t *err);

#endif
