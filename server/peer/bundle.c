/* POST /hostpair/bundle: many small files in one reply, a tar that is made while it is sent (pieces.h).
 *
 * Each file is read whole before its header is written. So what is missing, cannot be read, is not small, or
 * changes while it is read is left out, and what is in the bundle is a file as it was at one moment. */
#include "internal.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/mem.h"
#include "os/disk.h"
#include "share/pick.h"

#define BODY_MAX  ((size_t)1024 * 1024) /* bytes of all paths */
#define PATHS_MAX 4096u
#define FILE_MAX  ((size_t)128 * 1024) /* bytes; a longer file is left out */

typedef struct {
    hp_pick_t *pick;
    hp_buf_t body;
    char *paths; /* one after another, each with its NUL */
    size_t left; /* so many of them are still to come */
    const char *next;
    uint8_t *buffer;
} bundle_t;

/* ---- the pool ---- */

static int copy_paths(bundle_t *self, const json_t *paths, hp_err_t *err)
{
    if (!json_is_array(paths))
        return hp_err_set(err, HP_E_INVALID, "paths: has to be an array of texts");
    if (json_array_size(paths) > PATHS_MAX)
        return hp_err_set(err, HP_E_INVALID, "paths: has %zu of them, at most %u can be asked for",
                          json_array_size(paths), PATHS_MAX);
    size_t bytes = 0, i;
    const json_t *path;
    json_array_foreach((json_t *)paths, i, path)
    {
        if (!json_is_string(path))
            return hp_err_set(err, HP_E_INVALID, "paths: number %zu is no text", i + 1);
        bytes += json_string_length(path) + 1;
    }
    char *to = self->paths = hp_realloc(NULL, HP_MAX(bytes, (size_t)1));
    json_array_foreach((json_t *)paths, i, path)
    {
        memcpy(to, json_string_value(path), json_string_length(path) + 1);
        to += json_string_length(path) + 1;
    }
    self->left = json_array_size(paths);
    self->next = self->paths;
    return 0;
}

static int read_paths(void *arg, hp_err_t *err)
{
    bundle_t *self = arg;
    json_error_t where;
    json_t *json = json_loadb(self->body.length > 0 ? self->body.data : "", self->body.length,
                              JSON_REJECT_DUPLICATES, &where);
    hp_buf_dispose(&self->body);
    if (json == NULL)
        return hp_err_set(err, HP_E_BAD_JSON, "the body is not JSON: line %d, column %d", where.line,
                          where.column);
    int rc = copy_paths(self, json_object_get(json, "paths"), err);
    json_decref(json);
    return rc;
}

/* Whether all of the file is in the buffer, and it is still the one that was opened. */
static bool read_whole(bundle_t *self, int fd, const struct stat *st)
{
    size_t size = (size_t)st->st_size, got = 0;
    while (got < size) {
        ssize_t n = pread(fd, self->buffer + got, size - got, (off_t)got);
        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            return false;
        got += (size_t)n;
    }
    return hp_disk_is_unchanged(fd, st);
}

/* 0 also when the file is left out; done: the bytes that were read. */
static int add_file(bundle_t *self, hp_archive_writer_t *writer, const char *path, size_t *done,
                    hp_err_t *err)
{
    int fd;
    struct stat st;
    int rc = hp_pick_open(self->pick, path, &fd, &st);
    if (rc == HP_E_NOT_FOUND || rc == HP_E_FORBIDDEN || rc == -EIO)
        return 0;
    if (rc != 0)
        return hp_err_set(err, rc, "opening %s: %s", path, hp_err_sentence(rc));
    bool whole = (uint64_t)st.st_size <= FILE_MAX && read_whole(self, fd, &st);
    close(fd);
    if (!whole)
        return 0;
    hp_archive_entry_t entry = {
        .name = path,
        .is_executable = (st.st_mode & S_IXUSR) != 0,
        .size = (uint64_t)st.st_size,
        .mtime_s = (int64_t)st.st_mtim.tv_sec,
    };
    *done += (size_t)st.st_size;
    rc = hp_archive_writer_begin(writer, &entry, err);
    return rc == 0 ? hp_archive_writer_add(writer, self->buffer, (size_t)st.st_size, err) : rc;
}

static int fill(void *arg, hp_archive_writer_t *writer, hp_err_t *err)
{
    bundle_t *self = arg;
    size_t done = 0;
    if (self->buffer == NULL)
        self->buffer = hp_realloc(NULL, FILE_MAX);
    for (unsigned steps = 0;
         steps < HP_PIECE_STEPS && done < HP_PIECE_READ && hp_archive_writer_length(writer) < HP_PIECE_BYTES;
         steps++) {
        if (self->left == 0)
            return hp_archive_writer_end(writer, err);
        const char *path = self->next;
        self->next += strlen(path) + 1;
        self->left--;
        int rc = add_file(self, writer, path, &done, err);
        if (rc != 0)
            return rc;
    }
    return 1;
}

/* ---- the loop ---- */

static void begin(void *arg, hp_http_request_t *request)
{
    (void)arg;
    hp_http_set_header(request, "Cache-Control", "no-store");
}

static void dispose(void *arg)
{
    bundle_t *self = arg;
    hp_pick_destroy(self->pick);
    hp_buf_dispose(&self->body);
    free(self->paths);
    free(self->buffer);
    free(self);
}

void hp_peer_bundle(hp_peer_t *peer, hp_http_request_t *request)
{
    static const hp_pieces_kind_t kind = {read_paths, begin, fill, dispose, "bundle"};
    bundle_t *self = hp_alloc(sizeof *self);
    self->pick = hp_pick_create(peer->share);
    hp_buf_init(&self->body, BODY_MAX);
    hp_pieces_t *pieces =
        hp_pieces_create(peer->pieces, request, HP_ARCHIVE_LEAN_TAR, &kind, self, "small files");
    if (pieces != NULL)
        hp_pieces_start_with_body(pieces, &self->body);
}
