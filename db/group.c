#include "db/group.h"

#include <stdio.h>
#include <string.h>

#include "base/log.h"
#include "db/statement.h"

enum {
    INSERT,
    UPDATE,
    RENEW,
    REMOVE,
    GET,
    EACH,
    MEMBER_PUT,
    MEMBER_LISTED,
    MEMBER_REVISION,
    MEMBER_REMOVE,
    MEMBERS_REMOVE,
    MEMBER_EACH,
    MEMBER_EACH_OF,
};

#define GROUP_COLUMNS  "id, gid, name, hub, hub_pin, secret, publish, state, list_revision, created_at"
#define MEMBER_COLUMNS "group_id, fingerprint, host, proof, name, list_revision, list_etag, seen_at"

static const hp_sql_t sql[] = {
    [INSERT] =
        {"group.insert",
         "INSERT INTO member_group (gid, name, hub, hub_pin, secret, publish, state, list_revision, "
         "created_at)"
         " VALUES (:gid, :name, :hub, :hub_pin, :secret, :publish, :state, :list_revision, :created_at)"
         " ON CONFLICT (gid) DO NOTHING"},
    [UPDATE] = {"group.update",
                "UPDATE member_group SET name = :name, hub = :hub, hub_pin = :hub_pin, publish = :publish,"
                " state = :state, list_revision = :list_revision WHERE id = :id"},
    [RENEW] =
        {"group.renew",
         "UPDATE OR IGNORE member_group SET gid = :gid, secret = :secret, list_revision = 0 WHERE id = :id"},
    [REMOVE] = {"group.remove", "DELETE FROM member_group WHERE id = :id"},
    [GET] = {"group.get", "SELECT " GROUP_COLUMNS " FROM member_group WHERE id = :id"},
    [EACH] = {"group.each", "SELECT " GROUP_COLUMNS " FROM member_group ORDER BY id"},
    [MEMBER_PUT] = {"group_member.put",
                    "INSERT INTO group_member (group_id, fingerprint, host, proof, name, seen_at)"
                    " VALUES (:group, :fingerprint, :host, :proof, :name, :seen_at)"
                    " ON CONFLICT (group_id, fingerprint) DO UPDATE SET host = excluded.host,"
                    " proof = excluded.proof, name = excluded.name, seen_at = excluded.seen_at"},
    [MEMBER_LISTED] =
        {"group_member.listed",
         "UPDATE group_member SET list_revision = :revision, list_etag = :etag"
         " WHERE group_id = :group AND fingerprint = :fingerprint AND list_revision <= :revision"},
    [MEMBER_REVISION] = {"group_member.revision", "SELECT list_revision FROM group_member"
                                                  " WHERE group_id = :group AND fingerprint = :fingerprint"},
    [MEMBER_REMOVE] = {"group_member.remove",
                       "DELETE FROM group_member WHERE group_id = :group AND fingerprint = :fingerprint"},
    [MEMBERS_REMOVE] = {"group_member.remove_all", "DELETE FROM group_member WHERE group_id = :group"},
    [MEMBER_EACH] = {"group_member.each", "SELECT " MEMBER_COLUMNS
                                          " FROM group_member WHERE group_id = :group ORDER BY fingerprint"},
    [MEMBER_EACH_OF] = {"group_member.each_of",
                        "SELECT " MEMBER_COLUMNS " FROM group_member WHERE host = :host ORDER BY group_id"},
};
HP_SQL_LIST(group, sql);

/* ---- groups ---- */

/* What insert and update have in common. */
static void bind_group(hp_query_t *q, const hp_db_group_t *group)
{
    hp_query_bind_text(q, ":name", group->name);
    hp_query_bind_text(q, ":hub", group->hub);
    hp_query_bind_blob(q, ":hub_pin", group->hub_pin, group->hub_pin_length);
    hp_query_bind_int(q, ":publish", group->publish);
    hp_query_bind_text(q, ":state", group->leaving ? "leaving" : "member");
    hp_query_bind_int(q, ":list_revision", group->list_revision);
}

int hp_db_group_insert(hp_db_t *db, hp_db_group_t *group, hp_err_t *err)
{
    HP_QUERY(q, db, &sql[INSERT]);
    hp_query_bind_blob(&q, ":gid", group->gid, sizeof group->gid);
    hp_query_bind_blob(&q, ":secret", group->secret, sizeof group->secret);
    hp_query_bind_int(&q, ":created_at", group->created_at);
    bind_group(&q, group);
    int rc = hp_query_run(&q, err);
    if (rc != 0)
        return rc;
    if (hp_db_changes(db) == 0)
        return hp_err_set(err, HP_E_EXISTS, "this host is in that group already");
    group->id = hp_db_last_id(db);
    return 0;
}

static int not_found(int64_t id, hp_err_t *err)
{
    return hp_err_set(err, HP_E_NOT_FOUND, "there is no group %lld", (long long)id);
}

int hp_db_group_update(hp_db_t *db, const hp_db_group_t *group, hp_err_t *err)
{
    HP_QUERY(q, db, &sql[UPDATE]);
    hp_query_bind_int(&q, ":id", group->id);
    bind_group(&q, group);
    int rc = hp_query_run(&q, err);
    return rc == 0 && hp_db_changes(db) == 0 ? not_found(group->id, err) : rc;
}

static int set_secret(hp_db_t *db, int64_t id, const uint8_t *gid, const uint8_t *secret, hp_err_t *err)
{
    hp_db_group_t group;
    int rc = hp_db_group_get(db, id, &group, err);
    if (rc == HP_E_NOT_FOUND)
        return not_found(id, err);
    if (rc != 0)
        return rc;
    HP_QUERY(q, db, &sql[RENEW]);
    hp_query_bind_int(&q, ":id", id);
    hp_query_bind_blob(&q, ":gid", gid, HP_DB_GID_SIZE);
    hp_query_bind_blob(&q, ":secret", secret, HP_DB_SECRET_SIZE);
    rc = hp_query_run(&q, err);
    if (rc == 0 && hp_db_changes(db) == 0)
        return hp_err_set(err, HP_E_EXISTS, "this host is in the group with that secret already");
    return rc;
}

static int remove_members(hp_db_t *db, int64_t group, hp_err_t *err)
{
    HP_QUERY(q, db, &sql[MEMBERS_REMOVE]);
    hp_query_bind_int(&q, ":group", group);
    return hp_query_run(&q, err);
}

int hp_db_group_renew(hp_db_t *db, int64_t id, const uint8_t gid[HP_DB_GID_SIZE],
                      const uint8_t secret[HP_DB_SECRET_SIZE], hp_err_t *err)
{
    int rc = hp_db_savepoint(db, err);
    if (rc != 0)
        return rc;
    rc = set_secret(db, id, gid, secret, err);
    if (rc == 0)
        rc = remove_members(db, id, err);
    if (rc == 0)
        rc = hp_db_release(db, err);
    if (rc != 0)
        hp_db_revert(db);
    return rc;
}

int hp_db_group_remove(hp_db_t *db, int64_t id, hp_err_t *err)
{
    HP_QUERY(q, db, &sql[REMOVE]);
    hp_query_bind_int(&q, ":id", id);
    int rc = hp_query_run(&q, err);
    return rc == 0 && hp_db_changes(db) == 0 ? not_found(id, err) : rc;
}

/* False unless the column holds between min and size bytes. */
static bool read_bytes(hp_query_t *q, int column, uint8_t *out, size_t min, size_t size, size_t *length)
{
    const void *data = hp_query_blob(q, column, length);
    if (data == NULL || *length < min || *length > size)
        return false;
    memcpy(out, data, *length);
    return true;
}

/* Columns as in GROUP_COLUMNS. */
static int read_group(hp_query_t *q, hp_db_group_t *group, hp_err_t *err)
{
    size_t length;
    *group = (hp_db_group_t){
        .id = hp_query_int(q, 0),
        .publish = hp_query_int(q, 6) != 0,
        .leaving = strcmp(hp_query_string(q, 7), "leaving") == 0,
        .list_revision = hp_query_count(q, 8),
        .created_at = hp_query_int(q, 9),
    };
    snprintf(group->name, sizeof group->name, "%s", hp_query_string(q, 2));
    snprintf(group->hub, sizeof group->hub, "%s", hp_query_string(q, 3));
    if (!read_bytes(q, 1, group->gid, sizeof group->gid, sizeof group->gid, &length) ||
        !read_bytes(q, 4, group->hub_pin, 16, sizeof group->hub_pin, &group->hub_pin_length) ||
        (group->hub_pin_length != 16 && group->hub_pin_length != sizeof group->hub_pin) ||
        !read_bytes(q, 5, group->secret, sizeof group->secret, sizeof group->secret, &length))
        return hp_err_set(err, HP_E_DB, "the database is damaged: group %lld: a key is missing",
                          (long long)group->id);
    return 0;
}

int hp_db_group_get(hp_db_t *db, int64_t id, hp_db_group_t *group, hp_err_t *err)
{
    HP_QUERY(q, db, &sql[GET]);
    hp_query_bind_int(&q, ":id", id);
    int rc = hp_query_one(&q, err);
    return rc == 0 ? read_group(&q, group, err) : rc;
}

int hp_db_group_each(hp_db_t *db, void (*fn)(void *arg, const hp_db_group_t *group), void *arg, hp_err_t *err)
{
    HP_QUERY(q, db, &sql[EACH]);
    while (hp_query_row(&q)) {
        hp_db_group_t group;
        hp_err_t damage = {0};
        if (read_group(&q, &group, &damage) == 0)
            fn(arg, &group);
        else
            hp_log(HP_LOG_ERROR, "%s", hp_err_text(&damage));
    }
    return hp_query_end(&q, err);
}

/* ---- members ---- */

int hp_db_group_member_put(hp_db_t *db, const hp_db_group_member_t *member, hp_err_t *err)
{
    HP_QUERY(q, db, &sql[MEMBER_PUT]);
    hp_query_bind_int(&q, ":group", member->group);
    hp_query_bind_blob(&q, ":fingerprint", member->fingerprint, sizeof member->fingerprint);
    hp_query_bind_text(&q, ":host", member->host);
    hp_query_bind_blob(&q, ":proof", member->proof, sizeof member->proof);
    hp_query_bind_text(&q, ":name", member->name);
    hp_query_bind_int(&q, ":seen_at", member->seen_at);
    return hp_query_run(&q, err);
}

int hp_db_group_member_listed(hp_db_t *db, int64_t group, const uint8_t fingerprint[32], int64_t revision,
                              const char *etag, hp_err_t *err)
{
    {
        HP_QUERY(q, db, &sql[MEMBER_LISTED]);
        hp_query_bind_int(&q, ":group", group);
        hp_query_bind_blob(&q, ":fingerprint", fingerprint, 32);
        hp_query_bind_int(&q, ":revision", revision);
        hp_query_bind_text(&q, ":etag", etag);
        int rc = hp_query_run(&q, err);
        if (rc != 0 || hp_db_changes(db) > 0)
            return rc;
    }
    HP_QUERY(known, db, &sql[MEMBER_REVISION]);
    hp_query_bind_int(&known, ":group", group);
    hp_query_bind_blob(&known, ":fingerprint", fingerprint, 32);
    int rc = hp_query_one(&known, err);
    if (rc != 0)
        return rc;
    return hp_err_set(err, HP_E_CONFLICT,
                      "an older list than one that was read before: revision %lld after %lld",
                      (long long)revision, (long long)hp_query_int(&known, 0));
}

int hp_db_group_member_remove(hp_db_t *db, int64_t group, const uint8_t fingerprint[32], hp_err_t *err)
{
    HP_QUERY(q, db, &sql[MEMBER_REMOVE]);
    hp_query_bind_int(&q, ":group", group);
    hp_query_bind_blob(&q, ":fingerprint", fingerprint, 32);
    return hp_query_run(&q, err);
}

/* Columns as in MEMBER_COLUMNS. */
static int each_member(hp_query_t *q, void (*fn)(void *arg, const hp_db_group_member_t *member), void *arg,
                       hp_err_t *err)
{
    while (hp_query_row(q)) {
        size_t length;
        hp_db_group_member_t member = {.group = hp_query_int(q, 0),
                                       .list_revision = hp_query_count(q, 5),
                                       .seen_at = hp_query_int(q, 7)};
        const char *host = hp_query_string(q, 2);
        snprintf(member.host, sizeof member.host, "%s", host);
        snprintf(member.name, sizeof member.name, "%s", hp_query_string(q, 4));
        snprintf(member.list_etag, sizeof member.list_etag, "%s", hp_query_string(q, 6));
        if (strlen(host) == sizeof member.host - 1 && read_bytes(q, 1, member.fingerprint, 32, 32, &length) &&
            read_bytes(q, 3, member.proof, 32, 32, &length))
            fn(arg, &member);
        else
            hp_log(HP_LOG_ERROR,
                   "the database is damaged: a member of group %lld: its id or a key is missing",
                   (long long)member.group);
    }
    return hp_query_end(q, err);
}

int hp_db_group_member_each(hp_db_t *db, int64_t group,
                            void (*fn)(void *arg, const hp_db_group_member_t *member), void *arg,
                            hp_err_t *err)
{
    HP_QUERY(q, db, &sql[MEMBER_EACH]);
    hp_query_bind_int(&q, ":group", group);
    return each_member(&q, fn, arg, err);
}

int hp_db_group_member_each_of(hp_db_t *db, const char *host,
                               void (*fn)(void *arg, const hp_db_group_member_t *member), void *arg,
                               hp_err_t *err)
{
    HP_QUERY(q, db, &sql[MEMBER_EACH_OF]);
    hp_query_bind_text(&q, ":host", host);
    return each_member(&q, fn, arg, err);
}
