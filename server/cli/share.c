/* Files and folders offered to the other hosts: copied into the shared folder in pieces, through the API, so
 * that it also works where that folder belongs to another user.
 *
 * Nothing is replaced unless that is asked for. A file of the same name that has the same bytes is no
 * obstacle: so the same command, given again after it was broken off, passes over what it finished and goes
 * on in the middle of the file that it did not. A copy that was begun by an earlier run is compared with the
 * file in the end, as that may have changed since; if it did, it is copied anew. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <openssl/evp.h>

#include "base/array.h"
#include "base/clock.h"
#include "base/path.h"
#include "cli/internal.h"

#define PIECE          ((size_t)8 * 1024 * 1024) /* the most that one request may have */
#define DIGEST_POLL_MS 100
#define DEPTH_MAX      200 /* of folders in folders */

typedef struct {
    char *local, *target;
    int64_t size;
} file_t;

typedef struct {
    hp_cli_t *cli;
    char *share_folder;     /* NULL: not on this machine */
    HP_ARRAY(file_t) files; /* of the present argument */
    size_t skipped;
    int64_t done, total; /* bytes of the present argument */
    uint64_t begun_ms;
    int64_t sent;
    json_t *made; /* what the API said of each */
    uint8_t *piece;
    hp_bar_t bar;
} share_t;

/* ---- which files ---- */

static void add_file(share_t *self, const char *local, const char *target, int64_t size)
{
    *hp_array_add(&self->files) =
        (file_t){.local = hp_strdup(local), .target = hp_strdup(target), .size = size};
    self->total += size;
}

static void clear_files(share_t *self)
{
    for (size_t i = 0; i < self->files.count; i++) {
        free(self->files.items[i].local);
        free(self->files.items[i].target);
    }
    hp_array_clear(&self->files);
    self->skipped = 0;
    self->done = self->total = 0;
}

static int by_target(const void *a, const void *b)
{
    return strcmp(((const file_t *)a)->target, ((const file_t *)b)->target);
}

static int disk_error(const char *path, int code, hp_err_t *err)
{
    return hp_err_set(err, -code, "%.200s: %s", path, strerror(code));
}

/* All regular files below. What is neither file nor folder is passed over and counted; links as well, as they
 * may lead anywhere. */
static int walk(share_t *self, const char *folder, const char *target, unsigned depth, hp_err_t *err)
{
    DIR *stream = depth < DEPTH_MAX ? opendir(folder) : NULL;
    if (stream == NULL)
        return disk_error(folder, depth < DEPTH_MAX ? errno : ELOOP, err);
    int rc = 0;
    for (struct dirent *entry; rc == 0 && (entry = readdir(stream)) != NULL;) {
        struct stat st;
        if (strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0 ||
            hp_path_is_part(entry->d_name))
            continue;
        char *local = hp_sprintf("%s/%s", folder, entry->d_name);
        char *below = hp_sprintf("%s/%s", target, entry->d_name);
        if (lstat(local, &st) != 0)
            rc = errno == ENOENT ? 0 : disk_error(local, errno, err);
        else if (S_ISDIR(st.st_mode))
            rc = walk(self, local, below, depth + 1, err);
        else if (S_ISREG(st.st_mode))
            add_file(self, local, below, st.st_size);
        else
            self->skipped++;
        free(below);
        free(local);
    }
    closedir(stream);
    return rc;
}

/* ---- one file ---- */

/* SHA-256 of a file here, as 64 hex digits. */
static int digest_here(share_t *self, int fd, const char *path, char hex[65], hp_err_t *err)
{
    uint8_t digest[EVP_MAX_MD_SIZE];
    unsigned length = 0;
    off_t at = 0;
    ssize_t n = 0;
    EVP_MD_CTX *context = EVP_MD_CTX_new();
    if (context == NULL || EVP_DigestInit_ex(context, EVP_sha256(), NULL) != 1)
        abort(); /* a libcrypto without SHA-256 */
    while (!hp_term_interrupted() && (n = pread(fd, self->piece, PIECE, at)) > 0) {
        EVP_DigestUpdate(context, self->piece, (size_t)n);
        at += n;
    }
    int code = errno;
    EVP_DigestFinal_ex(context, digest, &length);
    EVP_MD_CTX_free(context);
    hp_hex_encode(digest, 32, hex);
    return n < 0 ? disk_error(path, code, err) : 0;
}

/* Whether the file in the share, at the path `there`, has the bytes of the one here. */
static int is_same(share_t *self, int fd, const file_t *file, const char *there, bool *same, hp_err_t *err)
{
    char hex[65];
    json_t *answer = NULL;
    char *target = hp_path_encode(there, strlen(there), false);
    char *path = hp_sprintf("/share/digest?algorithm=sha-256&path=%s", target);
    *same = false;
    int rc = hp_client_call(self->cli->client, "GET", path, NULL, &answer, err);
    bool sizes = rc == 0 && hp_client_number(answer, "size", file->size) == file->size;
    if (rc == 0 && sizes)
        rc = digest_here(self, fd, file->local, hex, err);
    while (rc == 0 && sizes && !hp_term_interrupted() && json_is_null(json_object_get(answer, "hex"))) {
        json_decref(answer);
        hp_term_wait(DIGEST_POLL_MS);
        rc = hp_client_call(self->cli->client, "GET", path, NULL, &answer, err);
    }
    *same = rc == 0 && sizes && strcmp(hp_client_text(answer, "hex"), hex) == 0;
    json_decref(answer);
    free(path);
    free(target);
    return rc;
}

static void show(share_t *self, const file_t *file, const char *note, bool now)
{
    uint64_t passed = hp_clock_ms() - self->begun_ms;
    int64_t speed = passed > 0 ? self->sent * 1000 / (int64_t)passed : 0;
    hp_progress_t progress = {
        .name = file->target,
        .done = self->done,
        .total = self->total,
        .speed_bps = speed,
        .eta_s = speed > 0 ? (self->total - self->done) / speed : -1,
        .note = note,
    };
    hp_bar_show(&self->bar, &progress, now);
}

/* The file was not written to since `before`. */
static int check_unchanged(int fd, const struct stat *before, const file_t *file, hp_err_t *err)
{
    struct stat now;
    if (fstat(fd, &now) != 0)
        return disk_error(file->local, errno, err);
    if (now.st_size != before->st_size || now.st_mtim.tv_sec != before->st_mtim.tv_sec ||
        now.st_mtim.tv_nsec != before->st_mtim.tv_nsec)
        return hp_err_set(err, HP_E_CONFLICT, "%.200s was changed while it was read", file->local);
    return 0;
}

/* Sends the bytes from `at` on; the last piece makes the file appear. */
static int send_pieces(share_t *self, int fd, const file_t *file, const char *path, int64_t at, bool is_new,
                       hp_err_t *err)
{
    struct stat before;
    if (fstat(fd, &before) != 0)
        return disk_error(file->local, errno, err);
    int rc = before.st_size == file->size
                 ? 0
                 : hp_err_set(err, HP_E_CONFLICT, "%.200s was changed while it was read", file->local);
    do {
        char range[80];
        json_t *answer = NULL;
        size_t wanted = (size_t)HP_MIN(file->size - at, (int64_t)PIECE);
        ssize_t n = rc == 0 ? pread(fd, self->piece, wanted, at) : 0;
        if (rc == 0 && n < 0)
            rc = disk_error(file->local, errno, err);
        if (rc == 0 && at + n == file->size)
            rc = check_unchanged(fd, &before, file, err);
        if (rc == 0 && n == 0 && file->size > 0)
            rc = hp_err_set(err, HP_E_CONFLICT, "%.200s was changed while it was read", file->local);
        snprintf(range, sizeof range, "bytes %lld-%lld/%lld", (long long)at, (long long)(at + n - 1),
                 (long long)file->size);
        if (rc == 0)
            rc = hp_client_put(self->cli->client, path, self->piece, (size_t)n, n > 0 ? range : NULL, is_new,
                               &answer, err);
        if (rc == 0) {
            at += n;
            self->done += n;
            self->sent += n;
            if (at == file->size)
                json_array_append(self->made, answer);
            show(self, file, NULL, false);
        }
        json_decref(answer);
    } while (rc == 0 && at < file->size && !hp_term_interrupted());
    return rc;
}

/* How many bytes of it an earlier, unfinished upload has brought. */
static int ask_received(share_t *self, const file_t *file, const char *path, bool is_new, int64_t *received,
                        hp_err_t *err)
{
    char range[48];
    json_t *answer = NULL;
    snprintf(range, sizeof range, "bytes */%lld", (long long)file->size);
    int rc = hp_client_put(self->cli->client, path, NULL, 0, range, is_new, &answer, err);
    *received = hp_client_number(answer, "received", 0);
    json_decref(answer);
    return rc;
}

static int upload(share_t *self, int fd, const file_t *file, const char *path, hp_err_t *err)
{
    bool is_new = !self->cli->flags.replace, same = false;
    int64_t received = 0, done = self->done;
    /* What is one piece was not begun. */
    int rc = file->size > (int64_t)PIECE ? ask_received(self, file, path, is_new, &received, err) : 0;
    if (rc == 0) {
        self->done += received;
        rc = send_pieces(self, fd, file, path, received, is_new, err);
    }
    if (rc == HP_E_PRECONDITION) {
        const hp_err_t taken = *err;
        show(self, file, "is there already; being compared", false);
        rc = is_same(self, fd, file, file->target, &same, err);
        if (rc == HP_E_NOT_FOUND) { /* what is there has the name that the disk takes instead */
            *err = taken;
            rc = taken.code;
        }
        if (rc == 0 && !same && !hp_term_interrupted())
            rc = hp_err_set(err, HP_E_EXISTS, "%.200s: another file of that name is offered; see --replace",
                            file->target);
        self->done = done + file->size;
        return rc;
    }
    if (rc != 0 || received == 0 || hp_term_interrupted())
        return rc;
    show(self, file, "being compared", false);
    const json_t *made = json_array_get(self->made, json_array_size(self->made) - 1);
    rc = is_same(self, fd, file, hp_client_text(made, "path"), &same, err);
    if (rc == 0 && !same && !hp_term_interrupted()) {
        self->done = done;
        json_array_remove(self->made, json_array_size(self->made) - 1);
        rc = send_pieces(self, fd, file, path, 0, false, err);
    }
    return rc;
}

static int share_file(share_t *self, const file_t *file, hp_err_t *err)
{
    int rc = hp_path_check(file->target, strlen(file->target), err);
    if (rc != 0) {
        hp_err_prefix(err, "%.200s: ", file->local);
        return rc;
    }
    int fd = open(file->local, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    if (fd < 0)
        return disk_error(file->local, errno, err);
    char *target = hp_path_encode(file->target, strlen(file->target), true);
    char *path = hp_sprintf("/share/files/%s", target);
    rc = upload(self, fd, file, path, err);
    free(path);
    free(target);
    close(fd);
    return rc;
}

/* ---- one argument ---- */

static bool is_inside(const char *path, const char *folder)
{
    size_t n = strlen(folder);
    return strncmp(path, folder, n) == 0 && (path[n] == '/' || path[n] == '\0');
}

/* The name that a path gets in the share: its own last segment. */
static char *target_of(const share_t *self, const char *path, const char *real)
{
    char *tidy = hp_cli_tidy_path(path);
    const char *name = hp_path_name(tidy);
    if (name[0] == '\0' || strcmp(name, "..") == 0 || strcmp(name, ".") == 0)
        name = hp_path_name(real);
    char *to = hp_cli_tidy_path(self->cli->flags.to != NULL ? self->cli->flags.to : "");
    char *target = hp_sprintf("%s%s%s", to, to[0] != '\0' ? "/" : "", name);
    free(to);
    free(tidy);
    return target;
}

/* Copies what was found. Goes on with the next after a failure, which is told; whether there was any. */
static bool share_found(share_t *self, int *code)
{
    bool failed = false;
    qsort(self->files.items, self->files.count, sizeof *self->files.items, by_target);
    for (size_t i = 0; i < self->files.count && !hp_term_interrupted(); i++) {
        hp_err_t err = {0};
        int64_t done = self->done;
        int rc = share_file(self, &self->files.items[i], &err);
        if (rc == 0)
            continue;
        hp_bar_clear(&self->bar);
        *code = hp_cli_fail(self->cli, &err);
        failed = true;
        self->done = done + self->files.items[i].size;
        if (rc == HP_E_UNREACHABLE || rc == HP_E_NO_SPACE)
            break;
    }
    return failed;
}

static void tell_end(share_t *self, const char *target, bool folder)
{
    char size[HP_TEXT_SIZE], note[HP_TEXT_SIZE * 2];
    file_t whole = {.target = (char *)(uintptr_t)target};
    hp_text_bytes(self->total, size);
    snprintf(note, sizeof note, "%zu file%s, %s", self->files.count, self->files.count == 1 ? "" : "s", size);
    self->done = self->total;
    show(self, &whole, note, true);
    hp_bar_end(&self->bar);
    if (!self->cli->flags.json)
        hp_say(stdout, "%s%s", target, folder ? "/" : "");
    fflush(stdout);
    if (self->skipped > 0)
        hp_say(stderr, "Passed over in %s, as neither file nor folder: %zu.", target, self->skipped);
}

static int find_files(share_t *self, const char *real, const char *target, bool *folder, hp_err_t *err)
{
    struct stat st;
    int rc = hp_path_check(target, strlen(target), err);
    if (rc != 0) {
        hp_err_prefix(err, "%.200s: ", real);
        return rc;
    }
    if (stat(real, &st) != 0)
        return disk_error(real, errno, err);
    *folder = S_ISDIR(st.st_mode);
    if (*folder && self->share_folder != NULL && is_inside(self->share_folder, real))
        return hp_err_set(err, HP_E_INVALID, "%.200s holds the shared folder %.200s", real,
                          self->share_folder);
    if (*folder)
        return walk(self, real, target, 0, err);
    if (!S_ISREG(st.st_mode))
        return hp_err_set(err, HP_E_INVALID, "%.200s is neither a file nor a folder", real);
    add_file(self, real, target, st.st_size);
    return 0;
}

static int share_one(share_t *self, const char *path)
{
    hp_err_t err = {0};
    int code = 0;
    bool folder = false;
    char *real = realpath(path, NULL);
    if (real == NULL) {
        disk_error(path, errno, &err);
        return hp_cli_fail(self->cli, &err);
    }
    if (self->share_folder != NULL && is_inside(real, self->share_folder)) {
        const char *below = real + strlen(self->share_folder);
        hp_say(stdout, "%s is offered already: it lies in the shared folder",
               below[0] != '\0' ? below + 1 : real);
        free(real);
        return 0;
    }
    char *target = target_of(self, path, real);
    self->begun_ms = hp_clock_ms();
    self->sent = 0;
    if (find_files(self, real, target, &folder, &err) != 0)
        code = hp_cli_fail(self->cli, &err);
    else if (self->files.count == 0)
        hp_say(stderr, "There are no files in %s.", path);
    else if (!share_found(self, &code) && !hp_term_interrupted())
        tell_end(self, target, folder);
    clear_files(self);
    free(target);
    free(real);
    return code;
}

static int worse(int a, int b)
{
    return a > b ? a : b;
}

int hp_cli_share(hp_cli_t *cli)
{
    share_t self = {.cli = cli, .made = json_array(), .piece = hp_alloc(PIECE)};
    const char *folder = hp_client_text(json_object_get(hp_client_status(cli->client), "share"), "folder");
    int code = 0;
    self.share_folder = hp_client_is_local(cli->client) ? realpath(folder, NULL) : NULL;
    hp_bar_init(&self.bar, stderr, cli->utf8);
    hp_term_catch();
    for (size_t i = 0; i < cli->count && !hp_term_interrupted() && code != HP_EXIT_NOT_RUNNING; i++)
        code = worse(code, share_one(&self, cli->args[i]));
    if (hp_term_interrupted()) {
        char *line = hp_cli_command_line(cli);
        hp_bar_end(&self.bar);
        hp_say(stderr, "Stopped. To go on: %s", line);
        free(line);
        code = HP_EXIT_INTERRUPTED;
    }
    if (cli->flags.json) {
        json_t *answer = json_pack("{s:O}", "files", self.made);
        hp_say_json(stdout, answer);
        json_decref(answer);
    }
    json_decref(self.made);
    free(self.share_folder);
    hp_array_dispose(&self.files);
    free(self.piece);
    return code;
}
