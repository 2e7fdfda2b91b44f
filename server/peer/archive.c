/* GET /files/<folder>/?archive=tar|zip: a folder with everything below it, as one file that is made while it
 * is sent.
 *
 * An archive is made in pieces of about PIECE_BYTES, each by one job of the pool: it reads on where the job
 * before stopped and leaves what it wrote for the stream, which asks for the next piece when the client has
 * taken the last one. One piece is made ahead. So no thread ever waits for a client: whoever stops reading
 * holds a piece in memory, an open file and the folders above it, until it is cut for that.
 *
 * What cannot be read as it was announced (a file that has become shorter or has changed, an error of the
 * disk) ends the connection in the middle: an archive that looks whole is whole. */
#include "internal.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "archive/writer.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/path.h"
#include "os/disk.h"
#include "pool/pool.h"
#include "share/tree.h"
#include "url_path.h"

#define PIECE_BYTES  ((size_t)256 * 1024)        /* of the archive, at least, but for the last piece */
#define JOB_BYTES    ((size_t)1024 * 1024)       /* of files, at most, in one job */
#define JOB_STEPS    1000u                       /* of one job, at most: files, folders, reads */
#define READ_BYTES   ((size_t)128 * 1024)        /* of a file at a time */
#define ARCHIVES_MAX 128u                        /* under way; more get 503 */
#define MEMORY_MAX   ((size_t)256 * 1024 * 1024) /* of the directories of all zips; more ends one of them */

/* Counted: the peer holds one reference, every archive under way another. */
struct hp_peer_archives {
    uv_loop_t *loop;
    hp_share_t *share;
    hp_gate_t *gate; /* to the pool, so that others' work there is never far back */
    unsigned references;
    unsigned count;
    size_t memory;
};

typedef struct {
    struct hp_peer_archives *archives;
    hp_http_request_t *request;
    hp_http_stream_t *stream; /* once the reply has begun */
    char *folder, *file_name;
    hp_archive_format_t format;
    hp_tree_t *tree;
    hp_archive_writer_t *writer;
    bool asked;   /* the stream waits for a piece */
    bool working; /* a piece is being made */
    bool ready;   /* a piece is made */
    bool ended;   /* the stream is over */
    size_t memory;
    /* the pool's while a job runs, then the loop's */
    int fd; /* of the file in the middle of which the last job stopped; -1 */
    struct stat stat;
    uint64_t left; /* bytes of it that are still to be read */
    char *path;    /* of it, for the log */
    uint8_t *buffer;
    void *piece;
    size_t length;
    hp_http_stream_state_t state;
    hp_err_t err;
} archive_t;

/* ---- all archives ---- */

struct hp_peer_archives *hp_peer_archives_create(uv_loop_t *loop, hp_share_t *share)
{
    struct hp_peer_archives *self = hp_alloc(sizeof *self);
    *self = (struct hp_peer_archives){
        .loop = loop, .share = share, .gate = hp_gate_create(share), .references = 1};
    return self;
}

void hp_peer_archives_release(struct hp_peer_archives *self)
{
    if (--self->references > 0)
        return;
    hp_gate_release(self->gate);
    free(self);
}

static void destroy(archive_t *self)
{
    struct hp_peer_archives *archives = self->archives;
    archives->count--;
    archives->memory -= self->memory;
    if (self->fd >= 0)
        close(self->fd);
    if (self->tree != NULL)
        hp_tree_destroy(self->tree);
    hp_archive_writer_destroy(self->writer);
    hp_http_release(self->request);
    free(self->piece);
    free(self->buffer);
    free(self->path);
    free(self->folder);
    free(self->file_name);
    free(self);
    hp_peer_archives_release(archives);
}

/* ---- the pool ---- */

static int read_piece(archive_t *self, size_t *length)
{
    size_t want = (size_t)HP_MIN(self->left, (uint64_t)READ_BYTES), got = 0;
    off_t at = self->stat.st_size - (off_t)self->left;
    while (got < want) {
        ssize_t n = pread(self->fd, self->buffer + got, want - got, at + (off_t)got);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return hp_err_set(&self->err, -errno, "reading %s: %s", self->path, hp_err_sentence(-errno));
        if (n == 0)
            return hp_err_set(&self->err, HP_E_OTHER_VERSION, "%s has become shorter", self->path);
        got += (size_t)n;
    }
    self->left -= got;
    *length = got;
    return 0;
}

static int close_file(archive_t *self)
{
    bool unchanged = hp_disk_is_unchanged(self->fd, &self->stat);
    close(self->fd);
    self->fd = -1;
    return unchanged ? 0 : hp_err_set(&self->err, HP_E_OTHER_VERSION, "%s has changed", self->path);
}

/* The next entry, and the first bytes of a file. 1; 0: there is none; or a code. */
static int begin_entry(archive_t *self, size_t *length)
{
    hp_tree_entry_t found;
    int rc = hp_tree_next(self->tree, &found);
    if (rc <= 0)
        return rc == 0 ? 0 : hp_err_set(&self->err, rc, "reading the folder: %s", hp_err_sentence(rc));
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
    rc = read_piece(self, length);
    entry.head_length = *length;
    if (rc == 0)
        rc = hp_archive_writer_begin(self->writer, &entry, &self->err);
    return rc == 0 ? 1 : rc;
}

/* The next bytes of the present file, or the next entry and the first bytes of it. 1; 0: there is none; or a
 * code. */
static int add_some(archive_t *self, size_t *length)
{
    int rc = self->fd >= 0 ? read_piece(self, length) : begin_entry(self, length);
    if (self->fd < 0 && rc <= 0)
        return rc;
    if (rc >= 0)
        rc = hp_archive_writer_add(self->writer, self->buffer, *length, &self->err);
    if (rc == 0 && self->fd >= 0 && self->left == 0)
        rc = close_file(self);
    return rc == 0 ? 1 : rc;
}

/* Adds bytes until there are enough for a piece. 1; 0: the archive is whole; or a code. */
static int fill(archive_t *self)
{
    size_t done = 0;
    for (unsigned steps = 0;
         steps < JOB_STEPS && done < JOB_BYTES && hp_archive_writer_length(self->writer) < PIECE_BYTES;
         steps++) {
        size_t length = 0;
        int rc = add_some(self, &length);
        if (rc < 0)
            return rc;
        if (rc == 0)
            return hp_archive_writer_end(self->writer, &self->err);
        done += length;
    }
    return 1;
}

static int open_work(void *arg, hp_err_t *err)
{
    archive_t *self = arg;
    int rc = hp_tree_open(self->tree);
    return rc != 0 ? rc : hp_archive_writer_create(&self->writer, self->format, err);
}

static int piece_work(void *arg, hp_err_t *err)
{
    archive_t *self = arg;
    (void)err; /* self->err */
    int rc = fill(self);
    self->piece = hp_archive_writer_take(self->writer, &self->length);
    self->state = rc < 0 ? HP_STREAM_FAILED : rc == 0 ? HP_STREAM_LAST : HP_STREAM_MORE;
    return 0;
}

/* ---- pieces for the stream ---- */

static void make_piece(archive_t *self);

/* self may be gone on return. */
static void give_piece(archive_t *self)
{
    hp_http_stream_t *stream = self->stream;
    void *piece = self->piece;
    size_t length = self->length;
    hp_http_stream_state_t state = self->state;
    self->piece = NULL;
    self->ready = self->asked = false;
    if (state == HP_STREAM_MORE && !hp_http_gone(self->request))
        make_piece(self);
    hp_http_stream_send_owned(stream, piece, length, state);
}

static void count_memory(archive_t *self)
{
    struct hp_peer_archives *archives = self->archives;
    size_t memory = hp_archive_writer_memory(self->writer);
    archives->memory += memory - self->memory;
    self->memory = memory;
    if (archives->memory > MEMORY_MAX && self->state == HP_STREAM_MORE) {
        hp_err_set(&self->err, HP_E_TOO_LARGE, "the zips under way have too many files for the memory");
        self->state = HP_STREAM_FAILED;
    }
}

static void on_piece(void *arg, int status, const hp_err_t *err)
{
    archive_t *self = arg;
    (void)err;
    hp_gate_leave(self->archives->gate);
    self->working = false;
    if (self->ended) {
        destroy(self);
        return;
    }
    if (status != 0)
        self->state = HP_STREAM_FAILED;
    count_memory(self);
    if (self->state == HP_STREAM_FAILED && !hp_http_gone(self->request))
        hp_log(HP_LOG_WARN, "peer: cut the %s of \"%s\" for %s: %s",
               self->format == HP_ARCHIVE_TAR ? "tar" : "zip", self->folder,
               hp_http_who(self->request)->address, hp_err_text(&self->err));
    self->ready = true;
    if (self->asked)
        give_piece(self);
}

static void on_turn(void *arg, int status)
{
    archive_t *self = arg;
    struct hp_peer_archives *archives = self->archives;
    if (status == 0) {
        hp_pool_post(archives->loop, NULL, piece_work, on_piece, self);
        return;
    }
    self->working = false;
    self->state = HP_STREAM_FAILED;
    self->ready = true;
    if (self->ended)
        destroy(self);
    else if (self->asked)
        give_piece(self);
}

static void make_piece(archive_t *self)
{
    self->working = true;
    hp_gate_enter(self->archives->gate, self->request, on_turn, self);
}

static void on_next(void *arg, hp_http_stream_t *stream)
{
    archive_t *self = arg;
    self->stream = stream;
    self->asked = true;
    if (self->ready)
        give_piece(self);
    else if (!self->working)
        make_piece(self);
}

static void on_end(void *arg)
{
    archive_t *self = arg;
    self->ended = true;
    if (!self->working)
        destroy(self);
}

/* ---- the reply ---- */

static void on_opened(void *arg, int status, const hp_err_t *err)
{
    archive_t *self = arg;
    hp_http_request_t *request = self->request;
    hp_gate_leave(self->archives->gate);
    if (status != 0) {
        if (status != HP_E_NOT_FOUND && status != UV_ECANCELED)
            hp_log(HP_LOG_WARN, "peer: there is no archive of \"%s\": %s", self->folder, hp_err_text(err));
        hp_peer_refuse(request, status);
        destroy(self);
        return;
    }
    hp_http_set_attachment(request, self->file_name);
    hp_http_set_header(request, "Accept-Ranges", "none");
    hp_http_set_header(request, "Cache-Control", "no-cache");
    self->buffer = hp_realloc(NULL, READ_BYTES);
    hp_http_stream_t *stream =
        hp_http_reply_stream(request, 200, hp_archive_media_type(self->format), on_next, self);
    if (stream == NULL) {
        destroy(self);
        return;
    }
    hp_http_stream_on_end(stream, on_end);
    hp_http_stream_set_limited(stream);
}

static void on_open_turn(void *arg, int status)
{
    archive_t *self = arg;
    if (status == 0)
        hp_pool_post(self->archives->loop, NULL, open_work, on_opened, self);
    else
        destroy(self);
}

/* The folder's path without a slash at its end, "" for all that is shared; NULL when it is none. */
static char *take_folder(const char *encoded)
{
    char *folder = hp_url_path_decode(encoded);
    size_t length = folder != NULL ? strlen(folder) : 0;
    if (length > 0 && folder[length - 1] == '/')
        folder[--length] = '\0';
    if (length > 0 && hp_path_check(folder, length, NULL) != 0) {
        free(folder);
        folder = NULL;
    }
    return folder;
}

void hp_peer_archive(hp_peer_t *peer, hp_http_request_t *request, const char *encoded)
{
    struct hp_peer_archives *archives = peer->archives;
    const char *wanted = hp_http_query(request, "archive");
    hp_archive_format_t format;
    if (wanted == NULL || !hp_archive_format_of(wanted, &format)) {
        hp_http_reply_text_error(request, HP_E_BAD_REQUEST, "archive has to be tar or zip");
        return;
    }
    char *folder = take_folder(encoded);
    if (folder == NULL || archives->count == ARCHIVES_MAX) {
        hp_peer_refuse(request, folder == NULL ? HP_E_NOT_FOUND : HP_E_BUSY);
        free(folder);
        return;
    }
    archive_t *self = hp_alloc(sizeof *self);
    *self = (archive_t){.archives = archives, .request = request, .format = format, .fd = -1};
    self->folder = folder;
    self->file_name =
        hp_sprintf("%s.%s", folder[0] != '\0' ? hp_path_name(folder) : peer->self->name, wanted);
    self->tree = hp_tree_create(archives->share, folder);
    archives->references++;
    archives->count++;
    hp_http_addref(request);
    hp_gate_enter(archives->gate, request, on_open_turn, self);
}
