#include "db/hub.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "db/statement.h"

enum {
    GROUP_GET,
    GROUP_ADD,
    GROUP_COUNT,
    MEMBER_COUNT,
    MEMBER_GET,
    MEMBER_PUT,
    MEMBER_EACH,
    MEMBER_REMOVE,
    MEMBER_PRUNE,
    GROUP_PRUNE,
    GROUP_CLOSE,
    COUNT_GROUPS,
    COUNT_MEMBERS
};

static const hp_sql_t sql[] = {
    [GROUP_GET] = {"hub_group.get", "SELECT credential FROM hub_group WHERE id = :gid"},
    [GROUP_ADD] = {"hub_group.add", "INSERT INTO hub_group (id, credential, creator, created_at)"
                                    " VALUES (:gid, :credential, :creator, :now)"},
    [GROUP_COUNT] = {"hub_group.count", "SELECT count(*) FROM hub_group WHERE creator = :creator"},
    [MEMBER_COUNT] = {"hub_member.count", "SELECT count(*) FROM hub_member WHERE gid = :gid"},
    [MEMBER_GET] = {"hub_member.get", "SELECT 1 FROM hub_member WHERE gid = :gid AND host = :host"},
    [MEMBER_PUT] = {"hub_member.put",
                    "INSERT INTO hub_member (gid, host, fingerprint, name, proof, seen_at)"
                    " VALUES (:gid, :host, :fingerprint, :name, :proof, :now)"
                    " ON CONFLICT (gid, host) DO UPDATE SET fingerprint = excluded.fingerprint,"
                    " name = excluded.name, proof = excluded.proof, seen_at = excluded.seen_at"},
    [MEMBER_EACH] = {"hub_member.each",
                     "SELECT host, fingerprint, name, proof, seen_at, list_etag, list_size FROM hub_member"
                     " WHERE gid = :gid ORDER BY host"},
    [MEMBER_REMOVE] = {"hub_member.remove", "DELETE FROM hub_member WHERE gid = :gid AND host = :host"},
    [MEMBER_PRUNE] = {"hub_member.prune", "DELETE FROM hub_member WHERE seen_at < :before"},
    [GROUP_PRUNE] = {"hub_group.prune", "DELETE FROM hub_group WHERE NOT EXISTS"
                                        " (SELECT 1 FROM hub_member WHERE hub_member.gid = hub_group.id)"},
    [GROUP_CLOSE] = {"hub_group.close", "DELETE FROM hub_group WHERE id = :gid AND NOT EXISTS"
                                        " (SELECT 1 FROM hub_member WHERE hub_member.gid = :gid)"},
    [COUNT_GROUPS] = {"hub_group.count_all", "SELECT count(*) FROM hub_group"},
    [COUNT_MEMBERS] = {"hub_member.count_all",
                       "SELECT count(*), coalesce(sum(list_size), 0) FROM hub_member"},
};
HP_SQL_LIST(hub, sql);

/* ---- joining and leaving ---- */

static int count(hp_db_t *db, const hp_sql_t *statement, const char *parameter, const void *blob,
                 const char *text, uint64_t *out, hp_err_t *err)
{
    HP_QUERY(q, db, statement);
    if (blob != NULL)
        hp_query_bind_blob(&q, parameter, blob, 16);
    else if (text != NULL)
        hp_query_bind_text(&q, parameter, text);
    int rc = hp_query_one(&q, err);
    *out = rc == 0 ? (uint64_t)hp_query_int(&q, 0) : 0;
    return rc;
}

static int create_group(hp_db_t *db, const hp_db_hub_join_t *join, hp_err_t *err)
{
    uint64_t groups;
    if (!join->may_create)
        return hp_err_set(err, HP_E_NOT_FOUND, "this hub has no such group");
    int rc = count(db, &sql[GROUP_COUNT], ":creator", NULL, join->creator, &groups, err);
    if (rc == 0 && groups >= join->groups_max)
        rc = hp_err_set(err, HP_E_TOO_MANY, "this hub keeps at most %u groups of one address",
                        join->groups_max);
    if (rc != 0)
        return rc;
    HP_QUERY(q, db, &sql[GROUP_ADD]);
    hp_query_bind_blob(&q, ":gid", join->gid, sizeof join->gid);
    hp_query_bind_blob(&q, ":credential", join->credential, sizeof join->credential);
    hp_query_bind_text(&q, ":creator", join->creator);
    hp_query_bind_int(&q, ":now", join->now);
    return hp_query_run(&q, err);
}

/* 0 where the group is there and takes the credential. */
static int check_group(hp_db_t *db, const hp_db_hub_join_t *join, hp_err_t *err)
{
    HP_QUERY(q, db, &sql[GROUP_GET]);
    hp_query_bind_blob(&q, ":gid", join->gid, sizeof join->gid);
    int rc = hp_query_one(&q, err);
    if (rc != 0)
        return rc;
    size_t length;
    const void *known = hp_query_blob(&q, 0, &length);
    if (length == sizeof join->credential && memcmp(known, join->credential, length) == 0)
        return 0;
    return hp_err_set(err, HP_E_FORBIDDEN, "the credential is not this group's");
}

static int check_room(hp_db_t *db, const hp_db_hub_join_t *join, hp_err_t *err)
{
    HP_QUERY(q, db, &sql[MEMBER_GET]);
    hp_query_bind_blob(&q, ":gid", join->gid, sizeof join->gid);
    hp_query_bind_text(&q, ":host", join->member.host);
    int rc = hp_query_one(&q, err);
    if (rc != HP_E_NOT_FOUND)
        return rc;
    uint64_t members;
    rc = count(db, &sql[MEMBER_COUNT], ":gid", join->gid, NULL, &members, err);
    if (rc == 0 && members >= join->members_max)
        rc = hp_err_set(err, HP_E_TOO_MANY, "a group has at most %u members", join->members_max);
    return rc;
}

int hp_db_hub_join(hp_db_t *db, const hp_db_hub_join_t *join, hp_err_t *err)
{
    int rc = check_group(db, join, err);
    if (rc == HP_E_NOT_FOUND)
        rc = create_group(db, join, err);
    if (rc == 0)
        rc = check_room(db, join, err);
    if (rc != 0)
        return rc;
    HP_QUERY(q, db, &sql[MEMBER_PUT]);
    hp_query_bind_blob(&q, ":gid", join->gid, sizeof join->gid);
    hp_query_bind_text(&q, ":host", join->member.host);
    hp_query_bind_blob(&q, ":fingerprint", join->member.fingerprint, sizeof join->member.fingerprint);
    hp_query_bind_text(&q, ":name", join->member.name);
    hp_query_bind_blob(&q, ":proof", join->member.proof, sizeof join->member.proof);
    hp_query_bind_int(&q, ":now", join->now);
    return hp_query_run(&q, err);
}

static int copy_blob(hp_query_t *q, int column, uint8_t *to, size_t size)
{
    size_t length;
    const void *blob = hp_query_blob(q, column, &length);
    if (blob == NULL || length != size)
        return HP_E_DB;
    memcpy(to, blob, size);
    return 0;
}

int hp_db_hub_members(hp_db_t *db, const uint8_t gid[16],
                      void (*fn)(void *arg, const hp_db_hub_member_t *member), void *arg, hp_err_t *err)
{
    HP_QUERY(q, db, &sql[MEMBER_EACH]);
    hp_query_bind_blob(&q, ":gid", gid, 16);
    while (hp_query_row(&q)) {
        hp_db_hub_member_t row = {.seen_at = hp_query_int(&q, 4),
                                  .list_size = (uint64_t)hp_query_count(&q, 6)};
        snprintf(row.host, sizeof row.host, "%s", hp_query_string(&q, 0));
        snprintf(row.name, sizeof row.name, "%s", hp_query_string(&q, 2));
        snprintf(row.list_etag, sizeof row.list_etag, "%s", hp_query_string(&q, 5));
        if (copy_blob(&q, 1, row.fingerprint, 32) != 0 || copy_blob(&q, 3, row.proof, 32) != 0)
            return hp_err_set(err, HP_E_DB, "hub_member: the row of %s is damaged", row.host);
        fn(arg, &row);
    }
    return hp_query_end(&q, err);
}

int hp_db_hub_leave(hp_db_t *db, const uint8_t gid[16], const char *host, hp_err_t *err)
{
    HP_QUERY(q, db, &sql[MEMBER_REMOVE]);
    hp_query_bind_blob(&q, ":gid", gid, 16);
    hp_query_bind_text(&q, ":host", host);
    int rc = hp_query_run(&q, err);
    if (rc == 0 && hp_db_changes(db) == 0)
        return hp_err_set(err, HP_E_NOT_FOUND, "this hub has no such member of that group");
    if (rc != 0)
        return rc;
    HP_QUERY(close, db, &sql[GROUP_CLOSE]);
    hp_query_bind_blob(&close, ":gid", gid, 16);
    return hp_query_run(&close, err);
}

static int prune_groups(hp_db_t *db, hp_err_t *err)
{
    HP_QUERY(q, db, &sql[GROUP_PRUNE]);
    return hp_query_run(&q, err);
}

int hp_db_hub_prune(hp_db_t *db, int64_t before, hp_err_t *err)
{
    HP_QUERY(q, db, &sql[MEMBER_PRUNE]);
    hp_query_bind_int(&q, ":before", before);
    int rc = hp_query_run(&q, err);
    return rc == 0 ? prune_groups(db, err) : rc;
}

int hp_db_hub_counts(hp_db_t *db, hp_db_hub_counts_t *counts, hp_err_t *err)
{
    int rc = count(db, &sql[COUNT_GROUPS], NULL, NULL, NULL, &counts->groups, err);
    if (rc != 0)
        return rc;
    HP_QUERY(q, db, &sql[COUNT_MEMBERS]);
    rc = hp_query_one(&q, err);
    if (rc == 0) {
        counts->members = (uint64_t)hp_query_int(&q, 0);
        counts->list_bytes = (uint64_t)hp_query_int(&q, 1);
    }
    return rc;
}
