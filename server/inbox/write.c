/* The bytes of one file, piece by piece, and the way from the part file to the file's name.
 *
 * A piece that is a whole small file is written in one step (hp_part_write_small). Others go
 *
 *   open     pool    the part file is made, or the one on record is taken up again, and written to at once
 *   record   store   a new part file's name and inode, before it holds a byte
 *   write    pool    room is reserved, the piece is written; what has come since is synced every SYNC_BYTES;
 *                    the last piece compares the SHA-256, syncs, and gives the file its name
 *   commit   store   how far it is, while the next pieces come, as long as no more than BEHIND_MAX bytes are
 *                    not on record; or that it is done
 *
 * A crash after the name was given and before the commit: the next piece's open finds the file under its
 * name.
 *
 * Where the last step fails, one byte fewer is said to be here: so the sender brings it once more, and the
 * step is tried again.
 */
#include <errno.h>
#include <fcntl.h>
#include <openssl/evp.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/file.h"
#include "base/landing.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/utf8.h"
#include "inbox/internal.h"
#include "os/disk.h"
#include "pool/pool.h"
#include "transfer/part.h"

#define SMALL_MAX  ((size_t)1024 * 1024)        /* a file that comes in one piece of at most so many bytes */
#define SYNC_BYTES ((uint64_t)8 * 1024 * 1024)  /* written before they are synced and put on record */
#define BEHIND_MAX ((uint64_t)16 * 1024 * 1024) /* of a file, that a crash may take */
#define READ_BYTES ((size_t)256 * 1024)

/* Ids in the names of part files: apart from those of downloads and of uploads into the share. */
#define PART_ID ((int64_t)1 << 61)

typedef struct hp_inbox_write {
    hp_inbox_item_t *item;
    size_t index;
    hp_inbox_piece_t piece;
    hp_inbox_written_fn done;
    void *arg;
    int status;
    hp_err_t err;
    /* for the pool */
    char *base, *path; /* where it is to land */
    char part[HP_NAME_MAX + 1];
    hp_part_identity_t identity;
    int64_t part_id;
    uint64_t size, received, synced, reserved;
    int64_t modified_ms;
    char sha256[65]; /* "" none */
    int fd;
    bool made, taken_up, finished, restarted;
    char final_name[HP_NAME_MAX + 1];
} write_t;

static hp_inbox_file_t *file_of(const write_t *self)
{
    return &self->item->files.items[self->index];
}

/* Below base; a name must not read as another one in the folder. Malloced. */
static char *landing_of(const hp_inbox_item_t *item, const hp_inbox_file_t *file)
{
    char *path = hp_sprintf("%s/%s", item->folder, file->name);
    hp_utf8_straighten(path + strlen(item->folder) + 1);
    return path;
}

static uint64_t all_but_one(uint64_t size)
{
    return size > 0 ? size - 1 : 0;
}

/* ---- in the pool ---- */

static int compare_digest(const unsigned char *digest, const char *expected, hp_err_t *err)
{
    char hex[65];
    hp_hex_encode(digest, 32, hex);
    return strcasecmp(hex, expected) == 0
               ? 0
               : hp_err_set(err, HP_E_WRONG_DIGEST,
                            "the bytes do not agree with the SHA-256 that was offered");
}

/* The file as it is on the disk, not as it came. */
static int check_digest(int fd, uint64_t size, const char *expected, hp_err_t *err)
{
    unsigned char digest[EVP_MAX_MD_SIZE];
    uint8_t *block = hp_alloc(READ_BYTES);
    EVP_MD_CTX *context = EVP_MD_CTX_new();
    int rc = context != NULL && EVP_DigestInit_ex(context, EVP_sha256(), NULL) == 1 ? 0 : -ENOMEM;
    for (uint64_t at = 0; rc == 0 && at < size;) {
        ssize_t n = pread(fd, block, HP_MIN(READ_BYTES, size - at), (off_t)at);
        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            rc = n < 0 ? -errno : -EIO;
        else if (EVP_DigestUpdate(context, block, (size_t)n) != 1)
            rc = -ENOMEM;
        at += n > 0 ? (uint64_t)n : 0;
    }
    if (rc == 0 && EVP_DigestFinal_ex(context, digest, NULL) != 1)
        rc = -ENOMEM;
    EVP_MD_CTX_free(context);
    free(block);
    if (rc != 0)
        return hp_err_set(err, rc, "reading what was received: %s", hp_err_sentence(rc));
    return compare_digest(digest, expected, err);
}

/* 0, or -EOPNOTSUPP where it takes the long way. */
static int write_small(write_t *self, hp_err_t *err)
{
    unsigned char digest[EVP_MAX_MD_SIZE];
    if (self->sha256[0] != '\0') {
        EVP_Digest(self->piece.data, self->piece.length, digest, NULL, EVP_sha256(), NULL);
        int rc = compare_digest(digest, self->sha256, err);
        if (rc != 0)
            return rc;
    }
    hp_part_small_t small = {.base = self->base,
                             .path = self->path,
                             .data = self->piece.data,
                             .length = self->piece.length,
                             .mtime_ms = self->modified_ms};
    hp_part_write_small(&small, 1);
    if (small.status == 0) {
        self->finished = true;
        self->received = self->synced = self->size = self->piece.length;
        memcpy(self->final_name, small.name, sizeof self->final_name);
    } else if (err != NULL) {
        *err = small.err;
    }
    return small.status;
}

static int make_part(write_t *self, hp_err_t *err)
{
    self->received = self->synced = self->reserved = 0;
    self->fd = hp_part_create(self->base, self->path, self->part_id, self->part, &self->identity, err);
    self->made = self->fd >= 0;
    return self->made ? 0 : self->fd;
}

static int work_write(void *arg, hp_err_t *err);

/* A name that the disk does not take gives way to the nearest one, each time to the same. */
static void land(const char *base, char **path)
{
    char landing[HP_PATH_MAX + 1];
    if (!hp_landing_path(base, *path, landing))
        return;
    free(*path);
    *path = hp_strdup(landing);
}

static int work_open(void *arg, hp_err_t *err)
{
    write_t *self = arg;
    land(self->base, &self->path);
    bool whole = self->piece.offset == 0 && self->piece.length <= SMALL_MAX &&
                 (self->piece.length == self->size || (self->size == HP_INBOX_ANY_SIZE && self->piece.last));
    if (self->part[0] == '\0' && whole) {
        int rc = write_small(self, err);
        if (rc != -EOPNOTSUPP)
            return rc;
        *err = (hp_err_t){0};
    }
    if (self->part[0] == '\0')
        return make_part(self, err);
    hp_part_found_t found;
    bool sized = self->size != HP_INBOX_ANY_SIZE;
    int rc = hp_part_open(self->base, self->path, self->part, &self->identity, self->size,
                          sized && self->received > 0, &found, &self->fd, self->final_name, err);
    if (rc != 0)
        return rc;
    if (found == HP_PART_FINAL) {
        self->finished = true;
        self->received = self->synced = self->size;
        return 0;
    }
    if (found == HP_PART_OPENED) {
        self->taken_up = true;
        return work_write(self, err);
    }
    rc = make_part(self, err);
    if (rc == 0 && self->piece.offset > 0)
        rc = hp_err_set(err, HP_E_CONFLICT, "the part file is gone: begin at byte 0");
    self->restarted = true;
    return rc;
}

static int reserve(write_t *self, uint64_t end, hp_err_t *err)
{
    if (self->size == HP_INBOX_ANY_SIZE || self->reserved >= self->size ||
        (self->reserved > 0 && end <= self->reserved / 2))
        return 0;
    uint64_t reserved;
    int rc = hp_part_reserve(self->fd, self->size, end, &reserved, err);
    if (rc == 0)
        self->reserved = reserved;
    return rc;
}

/* All of it is there: its name is the last thing that it gets. */
static int finish(write_t *self, hp_err_t *err)
{
    int rc = self->sha256[0] != '\0' ? check_digest(self->fd, self->size, self->sha256, err) : 0;
    if (rc == HP_E_WRONG_DIGEST)
        self->received = self->synced = 0;
    if (rc == 0)
        hp_part_set_marks(self->fd, self->modified_ms, false);
    if (rc == 0)
        rc = hp_part_finish(self->fd, self->base, self->path, self->part, self->size, self->final_name, err);
    self->finished = rc == 0;
    if (rc == 0)
        self->synced = self->received;
    else
        self->received = HP_MIN(self->received, all_but_one(self->size));
    return rc;
}

static int work_write(void *arg, hp_err_t *err)
{
    write_t *self = arg;
    uint64_t end = self->piece.offset + self->piece.length;
    int rc = reserve(self, end, err);
    if (rc == 0) {
        rc = hp_write_all_at(self->fd, self->piece.data, self->piece.length, self->piece.offset);
        if (rc != 0)
            hp_err_set(err, rc == -ENOSPC || rc == -EDQUOT ? HP_E_NO_SPACE : rc, "writing %s: %s", self->path,
                       hp_err_sentence(rc));
    }
    if (rc != 0)
        return err->code;
    self->received = HP_MAX(self->received, end);
    if (self->size == HP_INBOX_ANY_SIZE && self->piece.last) {
        self->size = self->received;
        rc = hp_part_shorten(self->fd, self->size);
        if (rc != 0)
            return hp_err_set(err, rc, "writing %s: %s", self->path, hp_err_sentence(rc));
    }
    if (self->received == self->size)
        return finish(self, err);
    if (self->received - self->synced < SYNC_BYTES) {
        hp_disk_begin_sync(self->fd);
        return 0;
    }
    rc = hp_disk_sync_data(self->fd);
    if (rc != 0)
        return hp_err_set(err, rc, "writing %s: %s", self->path, hp_err_sentence(rc));
    self->synced = self->received;
    return 0;
}

/* ---- on the loop ---- */

/* Lets go of the part file and of the bytes, before done brings the next piece. */
static void let_go(write_t *self)
{
    if (self->fd >= 0)
        close(self->fd);
    self->fd = -1;
    free(self->piece.data);
    self->piece.data = NULL;
}

static void destroy(write_t *self)
{
    let_go(self);
    free(self->base);
    free(self->path);
    free(self);
}

static void fail(write_t *self, int status, const hp_err_t *err)
{
    self->status = status;
    self->err = *err;
    if (self->err.code == 0)
        hp_err_set(&self->err, status, "%s", hp_err_sentence(status));
    hp_log(HP_LOG_DEBUG, "inbox: transfer %lld, %s: %s", (long long)self->item->id, self->path,
           hp_err_text(&self->err));
}

static void end(write_t *self)
{
    hp_inbox_item_t *item = self->item;
    hp_inbox_file_t *file = file_of(self);
    hp_incoming_file_t info;
    file->busy = false;
    let_go(self);
    if (self->status == 0 && file->unrecorded != NULL && !file->done)
        fail(self, file->unrecorded->code, file->unrecorded);
    free(file->unrecorded);
    file->unrecorded = NULL;
    if (self->status == 0 && item->reason[0] != '\0' && item->state == HP_INCOMING_RECEIVING)
        hp_inbox_set_reason(item, "");
    else if (self->status != 0 && self->status != HP_E_CONFLICT && item->state == HP_INCOMING_RECEIVING)
        hp_inbox_set_reason(item, hp_err_text(&self->err));
    if (self->status == 0 && hp_incoming_is_over(item->state) && !file->done)
        self->status =
            hp_err_set(&self->err, HP_E_CONFLICT, "the transfer is %s", hp_incoming_state_name(item->state));
    hp_inbox_file_at(item->inbox, item->id, self->index, &info);
    self->done(self->arg, self->status, &info, &self->err);
    if (hp_incoming_is_over(item->state))
        hp_inbox_remove_parts(item);
    hp_inbox_changed(item);
    hp_inbox_check_done(item);
    destroy(self);
    hp_inbox_item_drop(item);
}

static void on_committed(hp_inbox_item_t *item, void *arg, int status, const hp_err_t *err)
{
    write_t *self = arg;
    hp_inbox_file_t *file = file_of(self);
    (void)item;
    if (status != 0 && self->status == 0) {
        self->status = status;
        self->err = *err;
        file->done = false;
        file->landed = self->finished;
        file->received = HP_MIN(file->received, all_but_one(file->size));
    }
    end(self);
}

typedef struct {
    size_t index;
    uint64_t synced;
} progress_t;

/* What could not be put on record is so with the next piece. */
static void on_progress_stored(hp_inbox_item_t *item, void *arg, int status, const hp_err_t *err)
{
    progress_t *self = arg;
    hp_inbox_file_t *file = &item->files.items[self->index];
    write_t *behind = file->behind;
    file->recording = false;
    file->behind = NULL;
    if (status == 0) {
        file->recorded = self->synced;
    } else {
        if (file->unrecorded == NULL)
            file->unrecorded = hp_alloc(sizeof *file->unrecorded);
        *file->unrecorded = *err;
        file->unrecorded->code = status;
    }
    free(self);
    if (behind != NULL)
        end(behind);
}

/* Puts down how much of the file the disk has. The write under way waits for that only where too much is not
 * on record. */
static void record(write_t *self)
{
    hp_inbox_file_t *file = file_of(self);
    if (file->synced != file->recorded && !file->recording) {
        progress_t *progress = hp_alloc(sizeof *progress);
        *progress = (progress_t){.index = self->index, .synced = file->synced};
        file->recording = true;
        hp_inbox_store_file(self->item, self->index, HP_STORE_WRITE, on_progress_stored, progress);
    }
    if (file->recording && file->received >= file->recorded + BEHIND_MAX)
        file->behind = self;
    else
        end(self);
}

static void commit(write_t *self)
{
    hp_inbox_file_t *file = file_of(self);
    file->received = self->received;
    file->synced = self->synced;
    file->reserved = self->reserved;
    if (!self->finished) {
        record(self);
        return;
    }
    const char *name = hp_path_name(self->path);
    file->size = self->size;
    file->done = true;
    free(file->path);
    file->path = hp_sprintf("%.*s%s", (int)(name - self->path), self->path, self->final_name);
    hp_inbox_store_file(self->item, self->index, HP_STORE_WRITE_SYNCED, on_committed, self);
}

static void on_written(void *arg, int status, const hp_err_t *err)
{
    write_t *self = arg;
    if (status != 0)
        fail(self, status, err);
    commit(self);
}

static void start_write(write_t *self)
{
    hp_inbox_t *inbox = self->item->inbox;
    hp_pool_post(inbox->deps.loop, &inbox->pending, work_write, on_written, self);
}

static void on_recorded(hp_inbox_item_t *item, void *arg, int status, const hp_err_t *err)
{
    write_t *self = arg;
    if (status == 0)
        file_of(self)->recorded = 0;
    if (status == 0 && !hp_incoming_is_over(item->state) && self->status == 0) {
        start_write(self);
        return;
    }
    if (status != 0)
        fail(self, status, err);
    end(self);
}

static void on_opened(void *arg, int status, const hp_err_t *err)
{
    write_t *self = arg;
    hp_inbox_file_t *file = file_of(self);
    if (self->taken_up) {
        on_written(self, status, err);
        return;
    }
    if (status != 0)
        fail(self, status, err);
    if (self->made) {
        free(file->part);
        file->part = hp_strdup(self->part);
        file->inode = self->identity.inode;
        file->received = file->synced = file->reserved = 0;
        hp_inbox_store_file(self->item, self->index, HP_STORE_WRITE, on_recorded, self);
    } else if (status != 0) {
        end(self);
    } else {
        commit(self);
    }
}

static int check(hp_inbox_t *inbox, hp_inbox_item_t *item, size_t index, const hp_inbox_piece_t *piece,
                 hp_err_t *err)
{
    if (inbox->closing)
        return UV_ECANCELED;
    if (item == NULL || index >= item->files.count)
        return hp_err_set(err, HP_E_NOT_FOUND, "there is no such file in this transfer");
    const hp_inbox_file_t *file = &item->files.items[index];
    if (file->done && file->wanted)
        return 0;
    if (item->state != HP_INCOMING_RECEIVING)
        return hp_err_set(err, HP_E_CONFLICT, "the transfer is %s", hp_incoming_state_name(item->state));
    if (!file->wanted || item->kind == HP_SENDER_HOSTPAIR)
        return hp_err_set(err, HP_E_CONFLICT, "%s is not wanted", file->name);
    if (file->busy)
        return hp_err_set(err, HP_E_CONFLICT, "%s is being written by another request", file->name);
    if (piece->offset > file->received)
        return hp_err_set(err, HP_E_CONFLICT, "%llu bytes of %s are here: go on at byte %llu",
                          (unsigned long long)file->received, file->name, (unsigned long long)file->received);
    if (file->size != HP_INBOX_ANY_SIZE && piece->offset + piece->length > file->size)
        return hp_err_set(err, HP_E_TOO_LARGE, "%s: %llu bytes were offered, not more", file->name,
                          (unsigned long long)file->size);
    return 0;
}

void hp_inbox_write(hp_inbox_t *inbox, int64_t id, size_t index, const hp_inbox_piece_t *piece,
                    hp_inbox_written_fn done, void *arg)
{
    hp_inbox_item_t *item = hp_inbox_item_find(inbox, id);
    hp_err_t err = {0};
    hp_incoming_file_t info = {0};
    int rc = check(inbox, item, index, piece, &err);
    bool known = hp_inbox_file_at(inbox, id, index, &info);
    if (rc != 0 || info.done) {
        done(arg, rc, known ? &info : NULL, &err);
        free(piece->data);
        return;
    }
    hp_inbox_file_t *file = &item->files.items[index];
    write_t *self = hp_alloc(sizeof *self);
    *self = (write_t){
        .item = item,
        .index = index,
        .piece = *piece,
        .done = done,
        .arg = arg,
        .base = hp_strdup(item->base),
        .path = landing_of(item, file),
        .identity = {.inode = file->inode},
        .part_id = PART_ID | (item->id << 14) | (int64_t)index,
        .size = file->size,
        .modified_ms = file->modified_ms,
        .received = file->received,
        .synced = file->synced,
        .reserved = file->reserved,
        .fd = -1,
    };
    snprintf(self->part, sizeof self->part, "%s", file->part != NULL ? file->part : "");
    snprintf(self->sha256, sizeof self->sha256, "%s", file->sha256 != NULL ? file->sha256 : "");
    file->busy = true;
    item->jobs++;
    item->moved_ms = hp_clock_ms();
    inbox->bytes += piece->length;
    hp_meter_add(&inbox->meter, piece->length, item->moved_ms);
    if (file->landed) {
        self->finished = true;
        self->received = self->synced = file->size;
        free(self->path);
        self->path = hp_strdup(file->path);
        snprintf(self->final_name, sizeof self->final_name, "%s", hp_path_name(file->path));
        commit(self);
        return;
    }
    hp_pool_post(inbox->deps.loop, &inbox->pending, work_open, on_opened, self);
}

/* ---- parts that are not wanted any more ---- */

typedef struct {
    hp_inbox_item_t *item;
    struct {
        char *path, *part;
        uint64_t inode;
    } * parts;
    size_t count;
} removal_t;

static int work_remove(void *arg, hp_err_t *err)
{
    removal_t *self = arg;
    int rc = 0;
    for (size_t i = 0; i < self->count; i++) {
        hp_part_identity_t identity = {.inode = self->parts[i].inode};
        land(self->item->base, &self->parts[i].path);
        int failed =
            hp_part_remove(self->item->base, self->parts[i].path, self->parts[i].part, &identity, err);
        rc = rc == 0 ? failed : rc;
    }
    return rc;
}

static void on_removed(void *arg, int status, const hp_err_t *err)
{
    removal_t *self = arg;
    if (status != 0)
        hp_log(HP_LOG_WARN, "inbox: %s", hp_err_text(err));
    for (size_t i = 0; i < self->count; i++) {
        free(self->parts[i].path);
        free(self->parts[i].part);
    }
    free(self->parts);
    hp_inbox_item_drop(self->item);
    free(self);
}

void hp_inbox_remove_parts(hp_inbox_item_t *item)
{
    removal_t *self = hp_alloc(sizeof *self);
    self->item = item;
    self->parts = hp_alloc_array(item->files.count, sizeof *self->parts);
    for (size_t i = 0; i < item->files.count; i++) {
        hp_inbox_file_t *file = &item->files.items[i];
        if (file->part == NULL || file->done || file->busy)
            continue;
        self->parts[self->count].path = landing_of(item, file);
        self->parts[self->count].part = file->part;
        self->parts[self->count++].inode = file->inode;
        file->part = NULL;
    }
    item->jobs++;
    if (self->count == 0)
        on_removed(self, 0, NULL);
    else
        hp_pool_post(item->inbox->deps.loop, &item->inbox->pending, work_remove, on_removed, self);
}
