/* What the members of a hub's groups offer: sealed lists in pieces, and tags of contents. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "db/hub.h"
#include "db/statement.h"

enum {
    PIECE_NEXT,
    PIECE_PUT,
    PIECE_DROP,
    LIST_SET,
    LIST_GET,
    PIECE_GET,
    TAG_ADD,
    TAG_REMOVE,
    TAG_RESET,
    TAG_COUNT,
    TAG_FIND
};

static const hp_sql_t sql[] = {
    [PIECE_NEXT] = {"hub_list_piece.next",
                    "SELECT offset + length(data) FROM hub_list_piece"
                    " WHERE gid = :gid AND host = :host AND etag = :etag ORDER BY offset DESC LIMIT 1"},
    [PIECE_PUT] = {"hub_list_piece.put", "INSERT INTO hub_list_piece (gid, host, etag, offset, data)"
                                         " VALUES (:gid, :host, :etag, :offset, :data)"},
    [PIECE_DROP] = {"hub_list_piece.drop", "DELETE FROM hub_list_piece WHERE gid = :gid AND host = :host"
                                           " AND etag <> :keep"},
    [LIST_SET] = {"hub_member.set_list", "UPDATE hub_member SET list_etag = :etag, list_size = :size"
                                         " WHERE gid = :gid AND host = :host"},
    [LIST_GET] = {"hub_member.get_list",
                  "SELECT list_etag, list_size FROM hub_member WHERE gid = :gid AND host = :host"},
    [PIECE_GET] = {"hub_list_piece.get",
                   "SELECT data FROM hub_list_piece"
                   " WHERE gid = :gid AND host = :host AND etag = :etag AND offset = :offset"},
    [TAG_ADD] = {"hub_tag.add", "INSERT INTO hub_tag (gid, tag, host) VALUES (:gid, :tag, :host)"
                                " ON CONFLICT (gid, tag, host) DO NOTHING"},
    [TAG_REMOVE] = {"hub_tag.remove", "DELETE FROM hub_tag WHERE gid = :gid AND tag = :tag AND host = :host"},
    [TAG_RESET] = {"hub_tag.reset", "DELETE FROM hub_tag WHERE gid = :gid AND host = :host"},
    [TAG_COUNT] = {"hub_tag.count", "SELECT count(*) FROM hub_tag WHERE gid = :gid AND host = :host"},
    [TAG_FIND] = {"hub_tag.find", "SELECT host FROM hub_tag WHERE gid = :gid AND tag = :tag LIMIT :limit"},
};
HP_SQL_LIST(hub_list, sql);

static void bind_member(hp_query_t *q, const uint8_t gid[16], const char *host)
{
    hp_query_bind_blob(q, ":gid", gid, 16);
    hp_query_bind_text(q, ":host", host);
}

/* ---- lists ---- */

/* The etag and size of the member's list. HP_E_NOT_FOUND: there is no such member. */
static int get_list(hp_db_t *db, const uint8_t gid[16], const char *host, char etag[HP_DB_HUB_ETAG_SIZE],
                    uint64_t *size, hp_err_t *err)
{
    HP_QUERY(q, db, &sql[LIST_GET]);
    bind_member(&q, gid, host);
    int rc = hp_query_one(&q, err);
    if (rc != 0)
        return rc == HP_E_NOT_FOUND ? hp_err_set(err, rc, "this hub has no such member of that group") : rc;
    snprintf(etag, HP_DB_HUB_ETAG_SIZE, "%s", hp_query_string(&q, 0));
    *size = (uint64_t)hp_query_count(&q, 1);
    return 0;
}

/* Removes the pieces of every list of the member but one. */
static int drop_pieces(hp_db_t *db, const uint8_t gid[16], const char *host, const char *keep, hp_err_t *err)
{
    HP_QUERY(q, db, &sql[PIECE_DROP]);
    bind_member(&q, gid, host);
    hp_query_bind_text(&q, ":keep", keep);
    return hp_query_run(&q, err);
}

static int check_offset(hp_db_t *db, const hp_db_hub_piece_t *piece, hp_err_t *err)
{
    uint64_t next = 0;
    HP_QUERY(q, db, &sql[PIECE_NEXT]);
    bind_member(&q, piece->gid, piece->host);
    hp_query_bind_text(&q, ":etag", piece->etag);
    int rc = hp_query_one(&q, err);
    if (rc == 0)
        next = (uint64_t)hp_query_int(&q, 0);
    else if (rc != HP_E_NOT_FOUND)
        return rc;
    if (next == piece->offset)
        return 0;
    return hp_err_set(err, HP_E_CONFLICT, "the next byte of this list is number %llu",
                      (unsigned long long)next);
}

static int set_list(hp_db_t *db, const uint8_t gid[16], const char *host, const char *etag, uint64_t size,
                    hp_err_t *err)
{
    HP_QUERY(q, db, &sql[LIST_SET]);
    bind_member(&q, gid, host);
    hp_query_bind_text(&q, ":etag", etag);
    hp_query_bind_int(&q, ":size", (int64_t)size);
    return hp_query_run(&q, err);
}

int hp_db_hub_list_put(hp_db_t *db, const hp_db_hub_piece_t *piece, hp_err_t *err)
{
    char present[HP_DB_HUB_ETAG_SIZE];
    uint64_t size;
    int rc = get_list(db, piece->gid, piece->host, present, &size, err);
    if (rc != 0 || strcmp(present, piece->etag) == 0) /* that list is here already */
        return rc;
    if (piece->offset == 0)
        rc = drop_pieces(db, piece->gid, piece->host, present, err);
    if (rc == 0)
        rc = check_offset(db, piece, err);
    if (rc != 0)
        return rc;
    HP_QUERY(q, db, &sql[PIECE_PUT]);
    bind_member(&q, piece->gid, piece->host);
    hp_query_bind_text(&q, ":etag", piece->etag);
    hp_query_bind_int(&q, ":offset", (int64_t)piece->offset);
    hp_query_bind_blob(&q, ":data", piece->data, piece->length);
    rc = hp_query_run(&q, err);
    if (rc != 0 || piece->offset + piece->length < piece->total)
        return rc;
    rc = set_list(db, piece->gid, piece->host, piece->etag, piece->total, err);
    return rc == 0 ? drop_pieces(db, piece->gid, piece->host, piece->etag, err) : rc;
}

int hp_db_hub_list_remove(hp_db_t *db, const uint8_t gid[16], const char *host, hp_err_t *err)
{
    int rc = set_list(db, gid, host, "", 0, err);
    return rc == 0 ? drop_pieces(db, gid, host, "", err) : rc;
}

int hp_db_hub_list_piece(hp_db_t *db, const uint8_t gid[16], const char *host, char etag[HP_DB_HUB_ETAG_SIZE],
                         uint64_t offset, uint64_t *total, void **data, size_t *length, hp_err_t *err)
{
    char present[HP_DB_HUB_ETAG_SIZE];
    int rc = get_list(db, gid, host, present, total, err);
    if (rc == 0 && (present[0] == '\0' || (etag[0] != '\0' && strcmp(etag, present) != 0)))
        rc = hp_err_set(err, HP_E_NOT_FOUND,
                        present[0] == '\0' ? "this member has left no list" : "the list has changed");
    if (rc != 0)
        return rc;
    memcpy(etag, present, sizeof present);
    HP_QUERY(q, db, &sql[PIECE_GET]);
    bind_member(&q, gid, host);
    hp_query_bind_text(&q, ":etag", present);
    hp_query_bind_int(&q, ":offset", (int64_t)offset);
    rc = hp_query_one(&q, err);
    if (rc == HP_E_NOT_FOUND)
        return hp_err_set(err, HP_E_DB, "hub_list_piece: the list of %s has a hole at byte %llu", host,
                          (unsigned long long)offset);
    if (rc != 0)
        return rc;
    const void *blob = hp_query_blob(&q, 0, length);
    if (blob == NULL || *length > *total || offset > *total - *length)
        return hp_err_set(err, HP_E_DB,
                          "the database is damaged: the list of %s has a wrong piece at byte %llu", host,
                          (unsigned long long)offset);
    *data = memcpy(hp_alloc(*length), blob, *length);
    return 0;
}

/* ---- tags ---- */

static int change_tag(hp_db_t *db, const hp_sql_t *statement, const hp_db_hub_tags_t *tags,
                      const uint8_t *tag, hp_err_t *err)
{
    HP_QUERY(q, db, statement);
    bind_member(&q, tags->gid, tags->host);
    hp_query_bind_blob(&q, ":tag", tag, HP_DB_HUB_TAG);
    return hp_query_run(&q, err);
}

static int reset_tags(hp_db_t *db, const hp_db_hub_tags_t *tags, hp_err_t *err)
{
    HP_QUERY(q, db, &sql[TAG_RESET]);
    bind_member(&q, tags->gid, tags->host);
    return hp_query_run(&q, err);
}

static int check_tag_count(hp_db_t *db, const hp_db_hub_tags_t *tags, hp_err_t *err)
{
    HP_QUERY(q, db, &sql[TAG_COUNT]);
    bind_member(&q, tags->gid, tags->host);
    int rc = hp_query_one(&q, err);
    if (rc == 0 && (uint64_t)hp_query_int(&q, 0) > tags->max)
        rc = hp_err_set(err, HP_E_TOO_MANY, "this hub keeps at most %llu tags of a member",
                        (unsigned long long)tags->max);
    return rc;
}

int hp_db_hub_tags(hp_db_t *db, const hp_db_hub_tags_t *tags, hp_err_t *err)
{
    char etag[HP_DB_HUB_ETAG_SIZE];
    uint64_t size;
    int rc = get_list(db, tags->gid, tags->host, etag, &size, err);
    if (rc == 0 && tags->reset)
        rc = reset_tags(db, tags, err);
    for (size_t i = 0; rc == 0 && i < tags->remove_count; i++)
        rc = change_tag(db, &sql[TAG_REMOVE], tags, tags->remove + i * HP_DB_HUB_TAG, err);
    for (size_t i = 0; rc == 0 && i < tags->add_count; i++)
        rc = change_tag(db, &sql[TAG_ADD], tags, tags->add + i * HP_DB_HUB_TAG, err);
    return rc == 0 ? check_tag_count(db, tags, err) : rc;
}

int hp_db_hub_have(hp_db_t *db, const uint8_t gid[16], const uint8_t tag[16], unsigned limit,
                   void (*fn)(void *arg, const char *host), void *arg, hp_err_t *err)
{
    HP_QUERY(q, db, &sql[TAG_FIND]);
    hp_query_bind_blob(&q, ":gid", gid, 16);
    hp_query_bind_blob(&q, ":tag", tag, 16);
    hp_query_bind_int(&q, ":limit", limit);
    while (hp_query_row(&q))
        fn(arg, hp_query_string(&q, 0));
    return hp_query_end(&q, err);
}
