/* GET /files/<folder>/?archive=tar|zip: a folder with everything below it, as one file that is made while it
 * is sent (pieces.h). With "&name=a&name=b" only what is called so in the folder; POST /hostpair/archive
 * takes the names from a form, for as many as no URL can hold.
 *
 * What cannot be read as it was announced (a file that has become shorter or has changed, an error of the
 * disk) ends the connection in the middle: an archive that looks whole is whole. */
#include "internal.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/mem.h"
#include "base/path.h"
#include "os/disk.h"
#include "share/tree.h"
#include "chosen.h"
#include "url_path.h"

#define BODY_MAX   ((size_t)1024 * 1024) /* bytes of a form */
#define READ_BYTES ((size_t)128 * 1024)  /* of a file at a time */

typedef struct {
    char *folder, *file_name;
    hp_buf_t choice; /* the query or the form that names what is wanted; empty: all of the folder */
    hp_tree_t *tree;
    int fd; /* of the file in the middle of which the last job stopped; -1 */
    struct stat stat;
    uint64_t left; /* bytes of it that are still to be read */
    char *path;    /* of it, for the log */
    uint8_t *buffer;
} archive_t;

/* ---- the pool ---- */

static int read_piece(archive_t *self, size_t *length, hp_err_t *err)
{
    size_t want = (size_t)HP_MIN(self->left, (uint64_t)READ_BYTES), got = 0;
    off_t at = self->stat.st_size - (off_t)self->left;
    while (got < want) {
        ssize_t n = pread(self->fd, self->buffer + got, want - got, at + (off_t)got);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return hp_err_set(err, -errno, "reading %s: %s", self->path, hp_err_sentence(-errno));
        if (n == 0)
            return hp_err_set(err, HP_E_OTHER_VERSION, "%s has become shorter", self->path);
        got += (size_t)n;
    }
    self->left -= got;
    *length = got;
    return 0;
}

static int close_file(archive_t *self, hp_err_t *err)
{
    bool unchanged = hp_disk_is_unchanged(self->fd, &self->stat);
    close(self->fd);
    self->fd = -1;
    return unchanged ? 0 : hp_err_set(err, HP_E_OTHER_VERSION, "%s has changed", self->path);
}

/* The next entry, and the first bytes of a file. 1; 0: there is none; or a code. */
static int begin_entry(archive_t *self, hp_archive_writer_t *writer, size_t *length, hp_err_t *err)
{
    hp_tree_entry_t found;
    int rc = hp_tree_next(self->tree, &found);
    if (rc <= 0)
        return rc == 0 ? 0 : hp_err_set(err, rc, "reading the folder: %s", hp_err_sentence(rc));
    free(self->path);
    self->path = hp_strdup(found.name);
    self->fd = found.fd;
    self->stat = found.stat;
    self->left = found.is_folder ? 0 : (uint64_t)found.stat.st_size;
    hp_archive_entry_t entry = {
        .name = self->path,
        .is_folder = found.is_folder,
        .is_executable = !found.is_folder && (found.stat.st_mode & S_IXUSR) != 0,
        .size = self->left,
        .mtime_s = (int64_t)found.stat.st_mtim.tv_sec,
        .mtime_ns = (uint32_t)found.stat.st_mtim.tv_nsec,
        .head = self->buffer,
    };
    rc = read_piece(self, length, err);
    entry.head_length = *length;
    if (rc == 0)
        rc = hp_archive_writer_begin(writer, &entry, err);
    return rc == 0 ? 1 : rc;
}

/* The next bytes of the present file, or the next entry and the first bytes of it. 1; 0: there is none; or a
 * code. */
static int add_some(archive_t *self, hp_archive_writer_t *writer, size_t *length, hp_err_t *err)
{
    int rc = self->fd >= 0 ? read_piece(self, length, err) : begin_entry(self, writer, length, err);
    if (self->fd < 0 && rc <= 0)
        return rc;
    if (rc >= 0)
        rc = hp_archive_writer_add(writer, self->buffer, *length, err);
    if (rc == 0 && self->fd >= 0 && self->left == 0)
        rc = close_file(self, err);
    return rc == 0 ? 1 : rc;
}

static int fill(void *arg, hp_archive_writer_t *writer, hp_err_t *err)
{
    archive_t *self = arg;
    size_t done = 0;
    for (unsigned steps = 0;
         steps < HP_PIECE_STEPS && done < HP_PIECE_READ && hp_archive_writer_length(writer) < HP_PIECE_BYTES;
         steps++) {
        size_t length = 0;
        int rc = add_some(self, writer, &length, err);
        if (rc < 0)
            return rc;
        if (rc == 0)
            return hp_archive_writer_end(writer, err);
        done += length;
    }
    return 1;
}

static int open_tree(void *arg, hp_err_t *err)
{
    archive_t *self = arg;
    hp_chosen_t chosen = {0};
    int rc = 0;
    if (self->choice.length > 0)
        rc = hp_chosen_read(&chosen, self->choice.data, self->choice.length, err);
    if (chosen.count > 0)
        hp_tree_choose(self->tree, chosen.names, chosen.count);
    hp_chosen_dispose(&chosen);
    hp_buf_dispose(&self->choice);
    return rc == 0 ? hp_tree_open(self->tree, err) : rc;
}

/* ---- the reply ---- */

static void begin(void *arg, hp_http_request_t *request)
{
    archive_t *self = arg;
    hp_http_set_attachment(request, self->file_name);
    hp_http_set_header(request, "Cache-Control", "no-cache");
    self->buffer = hp_realloc(NULL, READ_BYTES);
}

static void dispose(void *arg)
{
    archive_t *self = arg;
    if (self->fd >= 0)
        close(self->fd);
    hp_tree_destroy(self->tree);
    hp_buf_dispose(&self->choice);
    free(self->buffer);
    free(self->path);
    free(self->folder);
    free(self->file_name);
    free(self);
}

/* Without a slash at its end, "" for all that is shared; false when it is none. */
static bool is_folder(char *folder)
{
    size_t length = strlen(folder);
    if (length > 0 && folder[length - 1] == '/')
        folder[--length] = '\0';
    return length == 0 || hp_path_check(folder, length, NULL) == 0;
}

/* Takes folder. NULL when it is answered. */
static hp_pieces_t *prepare(hp_peer_t *peer, hp_http_request_t *request, char *folder, archive_t **out)
{
    static const hp_pieces_kind_t kinds[] = {
        [HP_ARCHIVE_TAR] = {open_tree, begin, fill, dispose, "tar"},
        [HP_ARCHIVE_ZIP] = {open_tree, begin, fill, dispose, "zip"},
    };
    const char *wanted = hp_http_query(request, "archive");
    hp_archive_format_t format;
    bool known = wanted != NULL && hp_archive_format_of(wanted, &format);
    if (!known || folder == NULL || !is_folder(folder)) {
        if (!known)
            hp_http_reply_text_error(request, HP_E_BAD_REQUEST, "archive has to be tar or zip");
        else
            hp_peer_refuse(request, HP_E_NOT_FOUND);
        free(folder);
        return NULL;
    }
    archive_t *self = hp_alloc(sizeof *self);
    *self = (archive_t){.folder = folder, .fd = -1};
    hp_buf_init(&self->choice, BODY_MAX);
    self->file_name =
        hp_sprintf("%s.%s", folder[0] != '\0' ? hp_path_name(folder) : peer->self->name, wanted);
    self->tree = hp_tree_create(peer->share, folder);
    *out = self;
    return hp_pieces_create(peer->pieces, request, format, &kinds[format], self, folder);
}

void hp_peer_archive(hp_peer_t *peer, hp_http_request_t *request, const char *encoded)
{
    archive_t *self;
    hp_pieces_t *pieces = prepare(peer, request, hp_url_path_decode(encoded), &self);
    if (pieces == NULL)
        return;
    /* No target is as long as a form may be. */
    (void)hp_buf_add_text(&self->choice, hp_http_query_text(request));
    hp_pieces_start(pieces);
}

void hp_peer_archive_form(hp_peer_t *peer, hp_http_request_t *request)
{
    const char *folder = hp_http_query(request, "folder");
    archive_t *self;
    hp_pieces_t *pieces = prepare(peer, request, hp_strdup(folder != NULL ? folder : ""), &self);
    if (pieces != NULL)
        hp_pieces_start_with_body(pieces, &self->choice);
}
