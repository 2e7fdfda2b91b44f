#include "share/aside.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/path.h"
#include "base/remove_tree.h"
#include "os/beneath.h"
#include "pool/pool.h"
#include "share/state.h"

#define FOLDER "hostpair.aside" /* in the data folder; the share hides what begins so (place.c) */

struct hp_aside {
    hp_aside_t *next;
    char id[HP_ASIDE_ID_SIZE];
    char *host;
    unsigned holds, puts; /* pushes; pieces that are being written */
    bool over;            /* it is not found any more, and goes with the last piece */
    uint64_t used_ms;
};

/* ---- sets ---- */

/* The set with these digits, which a slash or the end follows; NULL. */
static hp_aside_t *find(const hp_share_t *share, const char *path)
{
    size_t length = strcspn(path, "/");
    for (hp_aside_t *set = share->asides; length == HP_ASIDE_ID_SIZE - 1 && set != NULL; set = set->next)
        if (!set->over && memcmp(set->id, path, length) == 0)
            return set;
    return NULL;
}

/* The path below its set; NULL when it is the set itself. */
static const char *below(const char *path)
{
    return path[HP_ASIDE_ID_SIZE - 1] == '/' ? path + HP_ASIDE_ID_SIZE : NULL;
}

/* The data folder's path with a slash at its end, then `rest`; malloced. */
static char *data_path(const hp_share_t *share, const char *rest)
{
    size_t length = (size_t)(hp_path_name(share->database) - share->database);
    return hp_sprintf("%.*s%s", (int)length, share->database, rest);
}

static char *folder_of(const hp_share_t *share, const hp_aside_t *set)
{
    char name[sizeof FOLDER + HP_ASIDE_ID_SIZE];
    snprintf(name, sizeof name, FOLDER "/%s", set->id);
    return data_path(share, name);
}

/* ---- removing ---- */

typedef struct {
    hp_share_t *share;
    char *parent; /* absolute */
    char name[sizeof FOLDER + HP_ASIDE_ID_SIZE];
    bool cleans; /* what an earlier run has left */
} removal_t;

/* Pool. */
static int remove_work(void *arg, hp_err_t *err)
{
    const removal_t *self = arg;
    const hp_tree_guard_t guard = {.cancelled = &self->share->cancelled};
    struct stat st;
    int parent = open(self->parent, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    int rc = parent < 0 ? hp_err_set(err, -errno, "%s: %s", self->parent, hp_err_sentence(-errno)) : 0;
    if (rc == 0 && fstatat(parent, self->name, &st, AT_SYMLINK_NOFOLLOW) == 0)
        rc = hp_remove_tree(parent, self->name, self->name, &guard, err);
    if (parent >= 0)
        close(parent);
    return rc == -ENOENT || rc == HP_E_NOT_FOUND ? 0 : rc;
}

static void on_removed(void *arg, int status, const hp_err_t *err)
{
    removal_t *self = arg;
    if (status != 0 && status != UV_ECANCELED && !self->share->closing)
        hp_log(HP_LOG_WARN, "share: what was set aside for a host cannot be removed: %s", hp_err_text(err));
    if (self->cleans)
        self->share->aside_cleaning = false;
    free(self->parent);
    free(self);
}

static void post_removal(hp_share_t *share, const char *parent, const char *name, bool cleans)
{
    removal_t *self = hp_alloc(sizeof *self);
    self->share = share;
    self->parent = data_path(share, parent);
    snprintf(self->name, sizeof self->name, "%s", name);
    self->cleans = cleans;
    hp_pool_post(share->loop, &share->pending, remove_work, on_removed, self);
}

static void free_set(hp_aside_t *set)
{
    free(set->host);
    free(set);
}

/* Now, or when the last piece is written. */
static void remove_set(hp_share_t *share, hp_aside_t *set)
{
    set->over = true;
    if (set->puts > 0)
        return;
    for (hp_aside_t **link = &share->asides; *link != NULL; link = &(*link)->next)
        if (*link == set) {
            *link = set->next;
            break;
        }
    post_removal(share, FOLDER, set->id, false);
    free_set(set);
}

static void on_look(uv_timer_t *timer)
{
    hp_share_t *share = timer->data;
    uint64_t now = hp_clock_ms();
    for (hp_aside_t *set = share->asides, *next; set != NULL; set = next) {
        next = set->next;
        if (set->holds == 0 && set->puts == 0 && now - set->used_ms >= share->tuning.aside_idle)
            remove_set(share, set);
    }
    if (share->asides == NULL)
        uv_timer_stop(timer);
}

/* ---- life ---- */

void hp_aside_start(hp_share_t *share)
{
    if (share->database == NULL)
        return;
    share->aside_cleaning = true;
    post_removal(share, "", FOLDER, true);
}

void hp_aside_free(hp_share_t *share)
{
    while (share->asides != NULL) {
        hp_aside_t *set = share->asides;
        share->asides = set->next;
        free_set(set);
    }
}

int hp_aside_begin(hp_share_t *share, const char *host, char id[HP_ASIDE_ID_SIZE], hp_err_t *err)
{
    uint8_t bytes[(HP_ASIDE_ID_SIZE - 1) / 2];
    size_t count = 0;
    for (const hp_aside_t *set = share->asides; set != NULL; set = set->next)
        count++;
    if (share->closing || share->aside_cleaning)
        return hp_err_set(err, HP_E_BUSY, "hostpair is not ready yet: try again");
    if (share->database == NULL)
        return hp_err_set(err, HP_E_CONFLICT, "there is no data folder");
    if (count >= HP_ASIDE_SETS_MAX)
        return hp_err_set(err, HP_E_TOO_MANY, "files for %d offers wait already", HP_ASIDE_SETS_MAX);
    if (getrandom(bytes, sizeof bytes, GRND_NONBLOCK) != sizeof bytes)
        return hp_err_set(err, HP_E_INTERNAL, "the system has no random numbers yet");
    hp_aside_t *set = hp_alloc(sizeof *set);
    hp_hex_encode(bytes, sizeof bytes, set->id);
    set->host = hp_strdup(host);
    set->used_ms = hp_clock_ms();
    set->next = share->asides;
    share->asides = set;
    memcpy(id, set->id, sizeof set->id);
    if (!uv_is_active((uv_handle_t *)&share->aside_timer))
        uv_timer_start(&share->aside_timer, on_look, share->tuning.aside_look, share->tuning.aside_look);
    return 0;
}

int hp_aside_end(hp_share_t *share, const char *id, hp_err_t *err)
{
    hp_aside_t *set = strchr(id, '/') == NULL ? find(share, id) : NULL;
    if (set == NULL)
        return hp_err_set(err, HP_E_NOT_FOUND, "nothing of that name is set aside");
    if (set->holds > 0)
        return hp_err_set(err, HP_E_CONFLICT, "it is offered right now: take the offer back instead");
    remove_set(share, set);
    return 0;
}

/* ---- files into a set ---- */

typedef struct {
    hp_share_t *share;
    hp_aside_t *set;
    hp_share_put_fn done;
    void *arg;
} put_t;

static void on_put(void *arg, int status, const hp_share_stored_t *stored, const hp_err_t *err)
{
    put_t *self = arg;
    hp_aside_t *set = self->set;
    bool full = status == -ENOSPC || status == -EDQUOT;
    self->done(self->arg, status, stored, err);
    set->puts--;
    set->used_ms = hp_clock_ms();
    if (set->over || (full && set->holds == 0))
        remove_set(self->share, set);
    free(self);
}

void hp_aside_put(hp_share_t *share, const char *path, const hp_share_piece_t *piece, hp_share_put_fn done,
                  void *arg)
{
    static const hp_share_stored_t nothing;
    hp_err_t err = {0};
    hp_aside_t *set = find(share, path);
    int rc = 0;
    if (set == NULL || below(path) == NULL)
        rc = hp_err_set(&err, HP_E_NOT_FOUND, "what it belongs to is not set aside any more");
    else if (set->holds > 0)
        rc = hp_err_set(&err, HP_E_CONFLICT, "these files are offered already");
    if (rc != 0) {
        done(arg, rc, &nothing, &err);
        return;
    }
    put_t *self = hp_alloc(sizeof *self);
    *self = (put_t){.share = share, .set = set, .done = done, .arg = arg};
    set->puts++;
    char *folder = folder_of(share, set);
    hp_share_put_private(share, folder, below(path), piece, on_put, self);
    free(folder);
}

/* ---- pushes ---- */

bool hp_aside_has(const hp_share_t *share, const char *path)
{
    return find(share, path) != NULL;
}

bool hp_aside_is_for(const hp_share_t *share, const char *path, const char *host)
{
    const hp_aside_t *set = find(share, path);
    return set != NULL && host[0] != '\0' && strcmp(set->host, host) == 0;
}

void hp_aside_hold(hp_share_t *share, const char *path)
{
    hp_aside_t *set = find(share, path);
    if (set != NULL)
        set->holds++;
}

void hp_aside_drop(hp_share_t *share, const char *path, bool keep)
{
    hp_aside_t *set = find(share, path);
    if (set == NULL || set->holds == 0)
        return;
    set->used_ms = hp_clock_ms();
    if (--set->holds == 0 && !keep)
        remove_set(share, set);
}

/* ---- serving ---- */

typedef struct {
    hp_share_t *share;
    char *folder; /* NULL: there is none for them */
    char *path;   /* in the folder */
    hp_share_file_t file;
    hp_share_open_fn done;
    void *arg;
} opening_t;

/* Pool. */
static int open_work(void *arg, hp_err_t *err)
{
    opening_t *self = arg;
    (void)err; /* the code says it all */
    if (self->folder == NULL)
        return HP_E_NOT_FOUND;
    int folder = open(self->folder, O_PATH | O_DIRECTORY | O_CLOEXEC);
    int fd = folder < 0 ? -errno
                        : hp_beneath_open(folder, self->path, O_RDONLY | O_NONBLOCK, 0, HP_BENEATH_NO_LINKS);
    if (folder >= 0)
        close(folder);
    if (fd < 0)
        return hp_place_is_limit(fd) ? fd : HP_E_NOT_FOUND;
    if (fstat(fd, &self->file.stat) != 0 || !S_ISREG(self->file.stat.st_mode)) {
        close(fd);
        return HP_E_NOT_FOUND;
    }
    self->file.fd = fd;
    return 0;
}

static void on_opened(void *arg, int status, const hp_err_t *err)
{
    opening_t *self = arg;
    (void)err;
    if (status == 0 && self->share->closing) {
        close(self->file.fd);
        status = UV_ECANCELED;
    }
    self->done(self->arg, status, status == 0 ? &self->file : NULL);
    free(self->folder);
    free(self->path);
    free(self);
}

void hp_aside_open(hp_share_t *share, const char *path, const char *host, hp_share_open_fn done, void *arg)
{
    const char *name = hp_aside_is_for(share, path, host) ? below(path) : NULL;
    opening_t *self = hp_alloc(sizeof *self);
    *self = (opening_t){.share = share, .done = done, .arg = arg};
    if (name != NULL && hp_path_check(name, strlen(name), NULL) == 0 &&
        !hp_path_is_part(hp_path_name(name))) {
        self->folder = folder_of(share, find(share, path));
        self->path = hp_strdup(name);
    }
    hp_pool_post(share->loop, &share->pending, open_work, on_opened, self);
}
