/* Files put into the shared folder and taken out of it: PUT and DELETE /api/v1/share/files/{path...}.
 *
 * A file arrives in pieces, each a request with Content-Range, from the start to the end. They are collected
 * in a part file beside the target, whose name holds the file's total size: pieces of another size never
 * meet. The last piece syncs it and renames it over the target in one step, so nobody ever sees half a file.
 * A piece at 0 starts over; one that overlaps what is there already (its answer was lost) is written again;
 * one that would leave a gap is refused (409). "bytes * /TOTAL" (without the space) asks how much is there;
 * never all of it, as it takes a piece to make the file.
 * "If-None-Match: *" refuses each of these (412) when a file of that name stands there already.
 *
 * A folder with files in it is removed only when "recursive=true" says so: what asks a person first is the
 * page's. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "api/internal.h"
#include "api/remove_tree.h"
#include "base/file.h"
#include "base/mem.h"
#include "base/range.h"
#include "base/utf8.h"
#include "os/beneath.h"
#include "os/disk.h"

/* Ids in the names of part files: far above those of downloads, which may land in the same folder. */
#define UPLOAD_ID (INT64_C(1) << 62)
#define TOTAL_MAX (UPLOAD_ID - 1)

typedef struct upload {
    hp_api_op_t op;
    struct upload *next; /* all that run now */
    uv_work_t work;
    char *path, *parent, *share_folder;
    const char *name; /* inside path */
    const uint8_t *body;
    size_t length;
    uint64_t first, total;
    bool ask;      /* only how much is there */
    bool is_new;   /* no file may stand there already */
    bool tree;     /* a folder goes with everything in it */
    char *keep[2]; /* folders that stay */

    int status;
    hp_err_t err;
    bool finished, existed;
    uint64_t received;
    struct stat stat; /* of the finished file */
} upload_t;

/* ---- in the pool ---- */

/* Puts the path before what the kernel says. */
static int disk_error(hp_err_t *err, int code, const char *path)
{
    if (code == -ELOOP || code == -EXDEV)
        return hp_err_set(err, HP_E_BAD_NAME, "%s: leads through a link", path);
    if (code == -ENOTDIR || code == -EISDIR)
        return hp_err_set(err, HP_E_CONFLICT, "%s: a file and a folder are in each other's way", path);
    if (code == -EEXIST)
        return hp_err_set(err, HP_E_PRECONDITION, "%s: there is something of that name already", path);
    if (code == -EACCES || code == -EPERM || code == -EROFS)
        return hp_err_set(err, HP_E_FORBIDDEN, "%s: %s", path, hp_err_sentence(code));
    return hp_err_set(err, code, "%s: %s", path, hp_err_sentence(code));
}

static bool exists(int parent, const char *name)
{
    struct stat st;
    return fstatat(parent, name, &st, AT_SYMLINK_NOFOLLOW) == 0;
}

/* Gives the part its name, in place of what has it unless nothing may. 0 or -1 with errno. */
static int take_name(const upload_t *upload, int parent, const char *part_name)
{
    if (!upload->is_new)
        return renameat(parent, part_name, parent, upload->name);
    int rc = hp_disk_rename_new(parent, part_name, upload->name);
    errno = -rc;
    return rc == 0 ? 0 : -1;
}

/* The part is whole: makes it the file. */
static int finish(upload_t *upload, int parent, int part, const char *part_name)
{
    struct stat old;
    if (fdatasync(part) != 0)
        return -errno;
    upload->existed = fstatat(parent, upload->name, &old, AT_SYMLINK_NOFOLLOW) == 0;
    if (upload->existed && S_ISDIR(old.st_mode))
        return -EISDIR;
    if (take_name(upload, parent, part_name) != 0 || fsync(parent) != 0 || fstat(part, &upload->stat) != 0)
        return -errno;
    upload->finished = true;
    return 0;
}

/* A last piece that is sent again because its answer was lost: the file stands there with these bytes. */
static bool is_finished_already(upload_t *upload, int parent)
{
    uint8_t there[16384];
    int fd = hp_beneath_open(parent, upload->name, O_RDONLY | O_NONBLOCK, 0, HP_BENEATH_NO_LINKS);
    if (fd < 0)
        return false;
    bool same = fstat(fd, &upload->stat) == 0 && S_ISREG(upload->stat.st_mode) &&
                (uint64_t)upload->stat.st_size == upload->total &&
                upload->first + upload->length == upload->total;
    for (size_t at = 0; same && at < upload->length;) {
        ssize_t n = pread(fd, there, HP_MIN(sizeof there, upload->length - at), (off_t)(upload->first + at));
        same = n > 0 && memcmp(there, upload->body + at, (size_t)n) == 0;
        at += same ? (size_t)n : 0;
    }
    close(fd);
    upload->finished = upload->existed = same;
    return same;
}

static int take_piece(upload_t *upload, int parent)
{
    char part_name[HP_NAME_MAX + 1];
    struct stat st;
    hp_path_part_name(upload->name, UPLOAD_ID | (int64_t)upload->total, part_name);
    if (upload->is_new && exists(parent, upload->name))
        return disk_error(&upload->err, -EEXIST, upload->path);
    int flags = upload->ask || upload->first > 0 ? O_RDWR : O_RDWR | O_CREAT | O_TRUNC;
    int part = hp_beneath_open(parent, part_name, flags, 0666, HP_BENEATH_NO_LINKS);
    if (part == -ENOENT) {
        if (upload->ask || is_finished_already(upload, parent))
            return 0;
        return hp_err_set(&upload->err, HP_E_CONFLICT, "nothing of this file is here yet: begin at byte 0");
    }
    if (part < 0)
        return disk_error(&upload->err, part, upload->path);
    int rc = fstat(part, &st) == 0 ? 0 : -errno;
    upload->received = rc == 0 ? (uint64_t)st.st_size : 0;
    if (upload->ask && upload->received >= upload->total)
        upload->received = upload->total - 1; /* hostpair was ended before it could make it the file */
    if (rc == 0 && !upload->ask && upload->first > upload->received) {
        rc = hp_err_set(&upload->err, HP_E_CONFLICT, "%llu bytes of this file are here: go on at byte %llu",
                        (unsigned long long)upload->received, (unsigned long long)upload->received);
    } else if (rc == 0 && !upload->ask) {
        rc = hp_write_all_at(part, upload->body, upload->length, upload->first);
        upload->received = HP_MAX(upload->received, upload->first + upload->length);
        if (rc == 0 && upload->received == upload->total)
            rc = finish(upload, parent, part, part_name);
        if (rc != 0)
            rc = disk_error(&upload->err, rc, upload->path);
    }
    close(part);
    return rc;
}

static void do_upload(uv_work_t *work)
{
    upload_t *upload = work->data;
    int folder = open(upload->share_folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (folder < 0) {
        upload->status = disk_error(&upload->err, -errno, upload->share_folder);
        return;
    }
    int parent = upload->ask
                     ? hp_beneath_open(folder, upload->parent, O_RDONLY | O_DIRECTORY, 0, HP_BENEATH_NO_LINKS)
                     : hp_beneath_make_folders(folder, upload->parent, 0777);
    if (parent >= 0) {
        upload->status = take_piece(upload, parent);
        close(parent);
    } else if (!(upload->ask && parent == -ENOENT)) {
        upload->status = disk_error(&upload->err, parent, upload->path);
    }
    close(folder);
}

/* Removes the parts of an upload of this name that was not finished. Whether there was any. */
static bool remove_parts(int parent, const char *name)
{
    char part_name[HP_NAME_MAX + 1];
    bool any = false;
    hp_path_part_name(name, UPLOAD_ID, part_name);
    size_t prefix = hp_utf8_prefix(name, strlen(name), 200) + 2; /* ".", the name, "." */
    int copy = dup(parent);
    DIR *stream = copy >= 0 ? fdopendir(copy) : NULL;
    if (stream == NULL) {
        if (copy >= 0)
            close(copy);
        return false;
    }
    for (struct dirent *entry; (entry = readdir(stream)) != NULL;)
        if (strncmp(entry->d_name, part_name, prefix) == 0 && hp_path_is_part(entry->d_name) &&
            strtoll(entry->d_name + prefix, NULL, 10) >= UPLOAD_ID)
            any |= unlinkat(parent, entry->d_name, 0) == 0;
    closedir(stream);
    return any;
}

static void do_remove(uv_work_t *work)
{
    upload_t *removal = work->data;
    int folder = open(removal->share_folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    int parent = folder < 0
                     ? -errno
                     : hp_beneath_open(folder, removal->parent, O_RDONLY | O_DIRECTORY, 0, HP_BENEATH_LINKS);
    int rc = parent < 0 ? parent : 0;
    if (rc == 0) {
        bool parts = remove_parts(parent, removal->name);
        rc = unlinkat(parent, removal->name, 0) == 0 ? 0 : -errno;
        if (rc == -EISDIR)
            rc = unlinkat(parent, removal->name, AT_REMOVEDIR) == 0 ? 0 : -errno;
        if (rc == -ENOENT && parts)
            rc = 0;
        if (removal->tree && (rc == -ENOTEMPTY || rc == -EEXIST)) {
            hp_tree_guard_t guard = {.folders = {removal->keep[0], removal->keep[1]},
                                     .parts_from = UPLOAD_ID,
                                     .cancelled = &removal->op.api->cancelled};
            removal->status = hp_remove_tree(parent, removal->name, removal->path, &guard, &removal->err);
            close(parent);
            close(folder);
            return;
        }
        close(parent);
    }
    if (folder >= 0)
        close(folder);
    if (rc == -ENOENT || rc == -ENOTDIR || rc == -EXDEV)
        rc = hp_err_set(&removal->err, HP_E_NOT_FOUND, "there is no file %s", removal->path);
    else if (rc == -ENOTEMPTY || rc == -EEXIST)
        rc = hp_err_set(&removal->err, HP_E_CONFLICT,
                        "%s is a folder with files in it: recursive=true removes them, too", removal->path);
    else if (rc != 0)
        rc = disk_error(&removal->err, rc, removal->path);
    removal->status = rc;
}

/* ---- on the loop ---- */

static void upload_destroy(upload_t *upload)
{
    for (upload_t **link = &upload->op.api->uploads; *link != NULL; link = &(*link)->next) {
        if (*link == upload) {
            *link = upload->next;
            break;
        }
    }
    free(upload->path);
    free(upload->parent);
    free(upload->share_folder);
    for (size_t i = 0; i < HP_COUNT(upload->keep); i++)
        free(upload->keep[i]);
    hp_api_op_destroy(upload);
}

static json_t *received_json(const upload_t *upload)
{
    json_t *json = json_object();
    json_object_set_new(json, "path", hp_json_text(upload->path));
    json_object_set_new(json, "received", hp_json_count(upload->received));
    json_object_set_new(json, "total", hp_json_count(upload->total));
    return json;
}

static json_t *file_json(const upload_t *upload)
{
    json_t *json = json_object();
    json_object_set_new(json, "path", hp_json_text(upload->path));
    json_object_set_new(json, "name", hp_json_text(upload->name));
    json_object_set_new(json, "size", hp_json_count(upload->total));
    json_object_set_new(
        json, "mtime",
        hp_json_time((int64_t)upload->stat.st_mtim.tv_sec * 1000 + upload->stat.st_mtim.tv_nsec / 1000000));
    json_object_set_new(json, "type", json_string(hp_path_media_type(upload->name)));
    json_object_set_new(json, "root", json_null());
    json_object_set_new(json, "local", json_null());
    return json;
}

static void on_uploaded(uv_work_t *work, int canceled)
{
    upload_t *upload = work->data;
    int status = canceled != 0 ? canceled : upload->status;
    if (status != 0)
        hp_http_reply_problem(upload->op.request, status, &upload->err);
    else if (upload->finished)
        hp_http_reply_json(upload->op.request, upload->existed ? 200 : 201, file_json(upload));
    else
        hp_http_reply_json(upload->op.request, 202, received_json(upload));
    upload_destroy(upload);
}

static void on_removed(uv_work_t *work, int canceled)
{
    upload_t *removal = work->data;
    int status = canceled != 0 ? canceled : removal->status;
    if (status == 0)
        hp_http_reply_empty(removal->op.request, 204);
    else
        hp_http_reply_problem(removal->op.request, status, &removal->err);
    upload_destroy(removal);
}

/* Which piece of what the request holds. */
static int read_piece(upload_t *upload, hp_err_t *err)
{
    const char *field = hp_http_header(upload->op.request, "Content-Range");
    const char *match = hp_http_header(upload->op.request, "If-None-Match");
    hp_range_t range;
    upload->is_new = match != NULL && strcmp(match, "*") == 0;
    upload->body = hp_http_body(upload->op.request, &upload->length);
    if (field == NULL) {
        upload->total = upload->length;
        return 0;
    }
    if (hp_range_parse_content(field, strlen(field), &range, &upload->total) != 0 ||
        upload->total > TOTAL_MAX)
        return hp_err_set(err, HP_E_BAD_REQUEST, "Content-Range: is not \"bytes FIRST-LAST/TOTAL\"");
    uint64_t expected = range.first == HP_RANGE_UNKNOWN ? 0 : range.end - range.first;
    if (upload->length != expected)
        return hp_err_set(err, HP_E_BAD_REQUEST, "Content-Range: promises %llu bytes, the body has %zu",
                          (unsigned long long)expected, upload->length);
    upload->first = range.first == HP_RANGE_UNKNOWN ? 0 : range.first;
    upload->ask = range.first == HP_RANGE_UNKNOWN && upload->total > 0;
    return 0;
}

static int read_removal(upload_t *removal, hp_err_t *err)
{
    static const char *const words[] = {"false", "true", NULL};
    const hp_api_deps_t *deps = &removal->op.api->deps;
    int word = 0;
    int rc = hp_param_get_word(removal->op.request, "recursive", words, &word, err);
    removal->tree = word == 1;
    removal->keep[0] = hp_strdup(deps->options->data);
    removal->keep[1] = hp_strdup(hp_settings_text(deps->settings, "downloads_folder"));
    return rc;
}

static int check_path(const char *path, hp_err_t *err)
{
    int rc = hp_path_check(path, strlen(path), err);
    if (rc == 0 && hp_path_is_part(path))
        rc = hp_err_set(err, HP_E_BAD_NAME, "that name is kept for unfinished files");
    return rc;
}

/* Whether two requests cannot run at a time: for the same file, or one for a folder and one for what is in
 * it. */
static bool collide(const upload_t *a, const upload_t *b)
{
    size_t n = strlen(a->path), m = strlen(b->path);
    if (strncmp(a->path, b->path, HP_MIN(n, m)) != 0)
        return false;
    return n == m || (n < m && a->tree && b->path[n] == '/') || (m < n && b->tree && a->path[m] == '/');
}

/* NULL when the request is answered already. */
static upload_t *upload_create(hp_api_t *api, hp_http_request_t *request, const char *path, bool piece)
{
    hp_err_t err = {0};
    upload_t *upload = hp_api_op_create(sizeof *upload, api, request);
    upload->path = hp_strdup(path);
    upload->name = hp_path_name(upload->path);
    upload->parent =
        hp_strndup(path, upload->name == upload->path ? 0 : (size_t)(upload->name - upload->path) - 1);
    upload->share_folder = hp_strdup(hp_share_folder(api->deps.share));
    upload->work.data = upload;
    int rc = check_path(path, &err);
    if (rc == 0 && piece)
        rc = read_piece(upload, &err);
    else if (rc == 0)
        rc = read_removal(upload, &err);
    for (const upload_t *other = api->uploads; rc == 0 && other != NULL; other = other->next)
        if (collide(upload, other))
            rc = hp_err_set(&err, HP_E_CONFLICT, "it is being written or removed just now");
    if (rc != 0) {
        hp_http_reply_problem(request, rc, &err);
        upload_destroy(upload);
        return NULL;
    }
    upload->next = api->uploads;
    api->uploads = upload;
    return upload;
}

static void start(upload_t *upload, uv_work_cb work, uv_after_work_cb done)
{
    int rc = uv_queue_work(upload->op.api->deps.loop, &upload->work, work, done);
    if (rc != 0)
        done(&upload->work, rc);
}

void hp_api_put_share_file(hp_api_t *api, hp_http_request_t *request, const char *arg)
{
    upload_t *upload = upload_create(api, request, arg, true);
    if (upload != NULL)
        start(upload, do_upload, on_uploaded);
}

void hp_api_delete_share_file(hp_api_t *api, hp_http_request_t *request, const char *arg)
{
    upload_t *removal = upload_create(api, request, arg, false);
    if (removal != NULL)
        start(removal, do_remove, on_removed);
}
