/* The index: this host's file list, sealed, at the hub of every group that it publishes in; and the lists of
 * members that are away, fetched from there. Sealing, opening and making tags run in the pool. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/path.h"
#include "identity/digest.h"
#include "pool/pool.h"
#include "rendezvous/internal.h"

#define TEXT_MAX   ((size_t)64 * 1024 * 1024) /* bytes of a list before it is compressed */
#define PIECE      ((size_t)512 * 1024)       /* bytes of one request, as the hub has it */
#define TAGS       4096                       /* of one request */
#define TAGS_MAX   200000                     /* of one host */
#define AGAIN_MS   2000                       /* while the host is there for this one, and not for the hub */
#define COLLECT_MS 5000 /* changes of the own list within this time are left at the hub together */

/* ---- leaving the own list ---- */

typedef struct upload {
    hp_rendezvous_t *self;
    int64_t group;
    uint8_t gid[16];
    hp_group_keys_t keys;
    uint8_t fingerprint[32];
    uint64_t revision;
    char *text; /* owned */
    size_t length;
    void *sealed; /* owned */
    size_t sealed_length, sent;
    char etag[65];
    HP_ARRAY(uint8_t) tags; /* 16 bytes each */
    size_t tags_sent;       /* bytes */
} upload_t;

/* The group, while the upload is still wanted: it is left and the host is in it. */
static group_t *group_of(const upload_t *upload)
{
    group_t *group = upload->self->closing ? NULL : hp_group_by_gid(upload->self, upload->gid);
    return group != NULL && group->joined && !group->row.leaving ? group : NULL;
}

static void end_upload(upload_t *upload, const hp_err_t *err)
{
    hp_rendezvous_t *self = upload->self;
    group_t *group = self->closing ? NULL : hp_group_by_gid(self, upload->gid);
    if (err != NULL && err->code != UV_ECANCELED)
        hp_log(HP_LOG_WARN, "this host's list is not left at the hub: %s", hp_err_text(err));
    if (group != NULL)
        group->list_busy = false;
    free(upload->text);
    free(upload->sealed);
    hp_array_dispose(&upload->tags);
    free(upload);
    /* What was changed meanwhile goes with the next change or connection: a failure is not repeated at once.
     */
    if (group != NULL && err == NULL)
        hp_group_index_look(group);
    hp_pending_drop(&self->pending);
}

static void send_tags(upload_t *upload);
static void send_piece(upload_t *upload);

static void on_tags_sent(void *arg, int status, const json_t *json, const void *data, size_t length,
                         const hp_err_t *err)
{
    (void)json, (void)data, (void)length;
    upload_t *upload = arg;
    if (status != 0)
        end_upload(upload, err);
    else if (upload->tags_sent < upload->tags.count)
        send_tags(upload);
    else
        end_upload(upload, NULL);
}

static void send_tags(upload_t *upload)
{
    char path[HP_GROUP_PATH_SIZE], hex[33];
    group_t *group = group_of(upload);
    if (group == NULL) {
        end_upload(upload, NULL);
        return;
    }
    json_t *add = json_array();
    bool first = upload->tags_sent == 0;
    for (size_t i = 0; i < TAGS && upload->tags_sent < upload->tags.count;
         i++, upload->tags_sent += HP_GROUP_TAG) {
        hp_hex_encode(upload->tags.items + upload->tags_sent, HP_GROUP_TAG, hex);
        json_array_append_new(add, json_string(hex));
    }
    hp_hub_call_t call = {.method = "POST",
                          .path = hp_group_path(upload->gid, "/have", path),
                          .json = json_pack("{s:b,s:o}", "reset", (int)first, "add", add)};
    hp_hub_client_call(group->hub->client, &call, on_tags_sent, upload);
}

static void on_piece_sent(void *arg, int status, const json_t *json, const void *data, size_t length,
                          const hp_err_t *err)
{
    (void)json, (void)data, (void)length;
    upload_t *upload = arg;
    if (status != 0)
        end_upload(upload, err);
    else if (upload->sent < upload->sealed_length)
        send_piece(upload);
    else
        send_tags(upload);
}

static void send_piece(upload_t *upload)
{
    char path[HP_GROUP_PATH_SIZE], rest[96], range[96];
    group_t *group = group_of(upload);
    if (group == NULL) {
        end_upload(upload, NULL);
        return;
    }
    size_t length = HP_MIN(PIECE, upload->sealed_length - upload->sent);
    snprintf(rest, sizeof rest, "/lists/self?etag=%s", upload->etag);
    snprintf(range, sizeof range, "Content-Range: bytes %zu-%zu/%zu", upload->sent, upload->sent + length - 1,
             upload->sealed_length);
    hp_hub_call_t call = {.method = "PUT",
                          .path = hp_group_path(upload->gid, rest, path),
                          .data = (const char *)upload->sealed + upload->sent,
                          .length = length,
                          .header = range};
    upload->sent += length;
    hp_hub_client_call(group->hub->client, &call, on_piece_sent, upload);
}

/* The revision is on the disk before the list is at the hub, so that it never comes back. */
static int work_save_revision(hp_db_t *db, void *arg, hp_err_t *err)
{
    const upload_t *upload = arg;
    hp_db_group_t row;
    int rc = hp_db_group_get(db, upload->group, &row, err);
    if (rc == 0) {
        row.list_revision = (int64_t)upload->revision;
        rc = hp_db_group_update(db, &row, err);
    }
    return rc;
}

static void on_revision_saved(void *arg, int status, const hp_err_t *err)
{
    upload_t *upload = arg;
    group_t *group = group_of(upload);
    if (status != 0 || group == NULL) {
        end_upload(upload, err);
        return;
    }
    group->row.list_revision = (int64_t)upload->revision;
    send_piece(upload);
}

static void add_tag(upload_t *upload, const char *root_text)
{
    uint8_t root[32];
    if (hp_hex_decode(root_text, root, sizeof root) != 0 ||
        upload->tags.count >= (size_t)TAGS_MAX * HP_GROUP_TAG)
        return;
    hp_array_reserve(&upload->tags, upload->tags.count + HP_GROUP_TAG);
    hp_group_tag_make(&upload->keys, root, upload->tags.items + upload->tags.count);
    upload->tags.count += HP_GROUP_TAG;
}

/* One tag for every file that has a root. A line is one JSON object. */
static void make_tags(upload_t *upload)
{
    const char *at = upload->text, *end = at + upload->length;
    while (at < end) {
        const char *stop = memchr(at, '\n', (size_t)(end - at));
        size_t length = (size_t)((stop != NULL ? stop : end) - at);
        json_t *line = json_loadb(at, length, 0, NULL);
        const char *root = json_string_value(json_object_get(line, "root"));
        if (root != NULL)
            add_tag(upload, root);
        json_decref(line);
        at += length + 1;
    }
}

static int work_seal(void *arg, hp_err_t *err)
{
    upload_t *upload = arg;
    uint8_t digest[32];
    if (upload->length > TEXT_MAX)
        return hp_err_set(err, HP_E_TOO_LARGE, "it is longer than %zu bytes", TEXT_MAX);
    make_tags(upload);
    int rc = hp_group_seal(&upload->keys, upload->fingerprint, upload->revision, upload->text, upload->length,
                           HP_GROUP_SEALED_MAX, &upload->sealed, &upload->sealed_length, err);
    if (rc != 0)
        return rc;
    hp_digest_sha256(upload->sealed, upload->sealed_length, digest);
    hp_hex_encode(digest, 16, upload->etag);
    free(upload->text);
    upload->text = NULL;
    return 0;
}

static void on_sealed(void *arg, int status, const hp_err_t *err)
{
    upload_t *upload = arg;
    if (status != 0)
        end_upload(upload, err);
    else
        hp_store_post(upload->self->deps.store, HP_STORE_WRITE_SYNCED, work_save_revision, on_revision_saved,
                      upload);
}

static void on_own_list(void *arg, char *text, size_t length)
{
    upload_t *upload = arg;
    group_t *group = group_of(upload);
    upload->text = text;
    upload->length = length;
    if (text == NULL || group == NULL) {
        if (group != NULL)
            group->list_due = true; /* until it can be given */
        end_upload(upload, &(hp_err_t){.code = UV_ECANCELED});
        return;
    }
    /* Grows also where the database was lost and the hub still has a newer list than it would begin with. */
    upload->revision = HP_MAX((uint64_t)hp_clock_wall_ms(), (uint64_t)group->row.list_revision + 1);
    hp_pool_post(upload->self->deps.loop, &upload->self->pending, work_seal, on_sealed, upload);
}

static void leave_list(group_t *group)
{
    hp_rendezvous_t *self = group->owner;
    upload_t *upload = hp_alloc(sizeof *upload);
    upload->self = self;
    upload->group = group->row.id;
    upload->keys = group->keys;
    memcpy(upload->gid, group->row.gid, sizeof upload->gid);
    memcpy(upload->fingerprint, hp_identity_fingerprint(self->deps.identity), sizeof upload->fingerprint);
    group->list_busy = true;
    group->list_due = false;
    hp_pending_add(&self->pending);
    self->hooks.own_list(self->hooks.arg, on_own_list, upload);
}

/* A list that is not to be published any more is taken off. */
static void take_list_off(group_t *group)
{
    char path[HP_GROUP_PATH_SIZE];
    group->list_due = false;
    hp_hub_call_t call = {.method = "DELETE", .path = hp_group_path(group->row.gid, "/lists/self", path)};
    hp_hub_client_call(group->hub->client, &call, NULL, NULL);
    hp_hub_call_t tags = {.method = "POST",
                          .path = hp_group_path(group->row.gid, "/have", path),
                          .json = json_pack("{s:b}", "reset", 1)};
    hp_hub_client_call(group->hub->client, &tags, NULL, NULL);
}

/* ---- the lists of members that are away ---- */

typedef struct reading {
    hp_rendezvous_t *self;
    uint8_t gid[16];
    hp_group_keys_t keys;
    char host[HP_PEER_ID_SIZE];
    uint8_t fingerprint[32];
    char etag[HP_LIST_ETAG_SIZE];
    uint64_t known; /* revision of the list that was read last */
    void *sealed;   /* owned */
    size_t sealed_length;
    uint64_t revision;
    char *text; /* owned */
    size_t length;
    int64_t group;
} reading_t;

static void on_again(uv_timer_t *timer)
{
    hp_rendezvous_t *self = timer->data;
    HP_LIST_EACH (at, &self->groups) {
        hp_group_index_look(HP_CONTAINER(at, group_t, link));
    }
}

/* Notes in the member that this list needs no other look. */
static void end_reading(reading_t *reading, const hp_err_t *err)
{
    hp_rendezvous_t *self = reading->self;
    group_t *group = self->closing ? NULL : hp_group_by_gid(self, reading->gid);
    member_t *member = group != NULL ? hp_group_member(group, reading->host) : NULL;
    if (group != NULL && err != NULL && err->code != UV_ECANCELED && err->code != HP_E_BUSY)
        hp_log_gated(&group->hub->log, HP_LOG_WARN, "the list that %s left at the hub is not taken: %s",
                     reading->host, hp_err_text(err));
    bool again = err != NULL && err->code == HP_E_BUSY;
    if (again && !self->closing)
        uv_timer_start(&self->again_timer, on_again, AGAIN_MS, 0);
    if (member != NULL && !again) {
        snprintf(member->list_etag, sizeof member->list_etag, "%s", reading->etag);
        if (err == NULL)
            member->list_revision = (int64_t)reading->revision;
    }
    free(reading->sealed);
    free(reading->text);
    free(reading);
    if (group != NULL) {
        group->fetching = false;
        if (!again)
            hp_group_index_look(group);
    }
    hp_pending_drop(&self->pending);
}

static int work_listed(hp_db_t *db, void *arg, hp_err_t *err)
{
    const reading_t *reading = arg;
    return hp_db_group_member_listed(db, reading->group, reading->fingerprint, (int64_t)reading->revision,
                                     reading->etag, err);
}

static void on_listed(void *arg, int status, const hp_err_t *err)
{
    end_reading(arg, status == 0 ? NULL : err);
}

static void on_taken(void *arg, int status, const hp_err_t *err)
{
    reading_t *reading = arg;
    if (status == 0)
        hp_store_post(reading->self->deps.store, HP_STORE_WRITE, work_listed, on_listed, reading);
    else
        end_reading(reading, err);
}

static int work_open(void *arg, hp_err_t *err)
{
    reading_t *reading = arg;
    int rc = hp_group_open(&reading->keys, reading->fingerprint, reading->sealed, reading->sealed_length,
                           TEXT_MAX, &reading->revision, &reading->text, &reading->length, err);
    if (rc == 0 && reading->revision < reading->known)
        rc =
            hp_err_set(err, HP_E_CONFLICT,
                       "the hub shows an older list than before (revision %" PRIu64 ", known is %" PRIu64 ")",
                       reading->revision, reading->known);
    return rc;
}

static void on_opened(void *arg, int status, const hp_err_t *err)
{
    reading_t *reading = arg;
    hp_rendezvous_t *self = reading->self;
    if (status != 0 || self->closing) {
        end_reading(reading, err);
        return;
    }
    char *text = reading->text;
    reading->text = NULL;
    self->hooks.list(self->hooks.arg, reading->host, text, reading->length, on_taken, reading);
}

static void on_fetched(void *arg, int status, const json_t *json, const void *data, size_t length,
                       const hp_err_t *err)
{
    (void)json;
    reading_t *reading = arg;
    if (status != 0) {
        end_reading(reading, err);
        return;
    }
    if (length == 0) {
        hp_err_t empty = {0};
        hp_err_set(&empty, HP_E_PROTOCOL, "the hub's answer is empty");
        end_reading(reading, &empty);
        return;
    }
    reading->sealed = memcpy(hp_alloc(length), data, length);
    reading->sealed_length = length;
    hp_pool_post(reading->self->deps.loop, &reading->self->pending, work_open, on_opened, reading);
}

static void fetch_list(group_t *group, const member_t *member)
{
    char path[HP_GROUP_PATH_SIZE], rest[64];
    reading_t *reading = hp_alloc(sizeof *reading);
    reading->self = group->owner;
    reading->keys = group->keys;
    reading->group = group->row.id;
    reading->known = (uint64_t)member->list_revision;
    memcpy(reading->gid, group->row.gid, sizeof reading->gid);
    memcpy(reading->host, member->said.id, sizeof reading->host);
    memcpy(reading->fingerprint, member->said.fingerprint, sizeof reading->fingerprint);
    memcpy(reading->etag, member->said.list_etag, sizeof reading->etag);
    snprintf(rest, sizeof rest, "/lists/%s", reading->host);
    hp_hub_call_t call = {.method = "GET",
                          .path = hp_group_path(group->row.gid, rest, path),
                          .answer_max = HP_GROUP_SEALED_MAX,
                          .raw = true};
    group->fetching = true;
    hp_pending_add(&group->owner->pending);
    hp_hub_client_call(group->hub->client, &call, on_fetched, reading);
}

/* One that is there is asked itself. */
static const member_t *next_to_fetch(const group_t *group)
{
    for (size_t i = 0; i < group->members.count; i++) {
        const member_t *member = &group->members.items[i];
        if (!member->said.online && member->said.list_etag[0] != '\0' &&
            strcmp(member->said.list_etag, member->list_etag) != 0)
            return member;
    }
    return NULL;
}

void hp_group_index_look(group_t *group)
{
    if (!group->joined || group->row.leaving || group->owner->closing || !group->owner->started)
        return;
    if (group->list_due && !group->list_busy) {
        if (group->row.publish)
            leave_list(group);
        else
            take_list_off(group);
    }
    const member_t *member = group->fetching ? NULL : next_to_fetch(group);
    if (member != NULL)
        fetch_list(group, member);
}

/* ---- changes of the own list ---- */

static void on_collected(uv_timer_t *timer)
{
    hp_rendezvous_t *self = timer->data;
    HP_LIST_EACH (at, &self->groups) {
        group_t *group = HP_CONTAINER(at, group_t, link);
        group->list_due = group->list_due || group->row.publish;
        hp_group_index_look(group);
    }
}

void hp_rendezvous_list_changed(hp_rendezvous_t *self)
{
    if (!self->closing && !uv_is_active((uv_handle_t *)&self->list_timer))
        uv_timer_start(&self->list_timer, on_collected, COLLECT_MS, 0);
}

void hp_group_index_init(hp_rendezvous_t *self)
{
    uv_timer_t *const timers[] = {&self->list_timer, &self->again_timer};
    for (size_t i = 0; i < HP_COUNT(timers); i++) {
        uv_timer_init(self->deps.loop, timers[i]);
        timers[i]->data = self;
        hp_pending_add(&self->pending);
    }
}

static void on_timer_closed(uv_handle_t *handle)
{
    hp_rendezvous_t *self = handle->data;
    hp_pending_drop(&self->pending);
}

void hp_group_index_close(hp_rendezvous_t *self)
{
    uv_close((uv_handle_t *)&self->list_timer, on_timer_closed);
    uv_close((uv_handle_t *)&self->again_timer, on_timer_closed);
}
