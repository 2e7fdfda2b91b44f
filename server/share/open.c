/* Files and names for clients. Opening is one trip to the pool; the root of what was opened comes from
 * memory. Only while the roots are being loaded right after the start is the store waited for; when there are
 * more roots than memory keeps, an unknown one is looked up for the next time and this reply goes without it:
 * behind a queue of writes a reply does not wait. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "os/beneath.h"
#include "base/array.h"
#include "base/buf.h"
#include "base/mem.h"
#include "base/path.h"
#include "pool/pool.h"
#include "share/state.h"

#define LOOKUPS_MAX 8        /* roots asked of the store at a time, in the background */
#define NAMES_MAX   67108864 /* bytes of all names in the folder together */

typedef struct opening {
    hp_share_t *share;
    hp_place_t *place;
    char *path;
    hp_share_open_fn done;
    void *arg;
    int status;
    hp_share_file_t file;
} opening_t;

/* A root asked of the store; with an opening that waits for it, or none. */
typedef struct lookup {
    hp_share_t *share;
    opening_t *opening;
    hp_shared_identity_t identity;
    bool found;
    uint8_t root[HP_SHARED_ROOT_SIZE];
} lookup_t;

static void finish(opening_t *self)
{
    hp_share_t *share = self->share;
    if (share->closing) {
        if (self->status == 0)
            close(self->file.fd);
        self->status = UV_ECANCELED;
    }
    self->done(self->arg, self->status, self->status == 0 ? &self->file : NULL);
    hp_place_release(self->place);
    free(self->path);
    free(self);
    hp_pending_drop(&share->pending);
}

static int lookup_work(hp_db_t *db, void *arg, hp_err_t *err)
{
    lookup_t *lookup = arg;
    int rc = hp_shared_root_of(db, &lookup->identity, lookup->root, err);
    lookup->found = rc == 0;
    return rc == HP_E_NOT_FOUND ? 0 : rc;
}

static void on_looked_up(void *arg, int status, const hp_err_t *err)
{
    lookup_t *lookup = arg;
    hp_share_t *share = lookup->share;
    (void)err; /* a reply without a root is as good as one with it */
    share->root_lookups--;
    if (status == 0 && lookup->found) {
        hp_roots_add(&share->roots, &lookup->identity, lookup->root);
        if (lookup->opening != NULL)
            hp_hex_encode(lookup->root, HP_SHARED_ROOT_SIZE, lookup->opening->file.root);
    }
    if (lookup->opening != NULL)
        finish(lookup->opening);
    free(lookup);
    hp_pending_drop(&share->pending);
}

static void look_up(hp_share_t *share, const hp_shared_identity_t *identity, opening_t *opening)
{
    lookup_t *lookup = hp_alloc(sizeof *lookup);
    lookup->share = share;
    lookup->opening = opening;
    lookup->identity = *identity;
    share->root_lookups++;
    hp_pending_add(&share->pending);
    hp_store_post(share->store, HP_STORE_READ, lookup_work, on_looked_up, lookup);
}

static int open_work(void *arg, hp_err_t *err)
{
    opening_t *self = arg;
    (void)err; /* the code says it all */
    hp_place_at_t at = HP_PLACE_NOWHERE;
    self->status = hp_place_open_file(self->place, &at, self->path, &self->file.fd, &self->file.stat);
    hp_place_leave(&at);
    return self->status;
}

static void on_opened(void *arg, int status, const hp_err_t *err)
{
    opening_t *self = arg;
    (void)err;
    hp_share_t *share = self->share;
    self->status = status;
    if (self->status != 0 || share->closing || self->file.stat.st_size == 0) {
        finish(self);
        return;
    }
    hp_shared_identity_t identity = hp_place_identity(&self->file.stat);
    const uint8_t *root = hp_roots_find(&share->roots, &identity);
    if (root != NULL) {
        hp_hex_encode(root, HP_SHARED_ROOT_SIZE, self->file.root);
    } else if (!share->roots_loaded) {
        look_up(share, &identity, self);
        return;
    } else if (share->roots.forgot && share->root_lookups < LOOKUPS_MAX) {
        look_up(share, &identity, NULL);
    }
    finish(self);
}

void hp_share_open(hp_share_t *share, const char *path, hp_share_open_fn done, void *arg)
{
    opening_t *self = hp_alloc(sizeof *self);
    self->share = share;
    self->place = hp_place_addref(share->place);
    self->path = hp_strdup(path);
    self->done = done;
    self->arg = arg;
    hp_pending_add(&share->pending);
    hp_pool_post(share->loop, &share->pending, open_work, on_opened, self);
}

/* ---- names ---- */

typedef struct asker {
    struct asker *next;
    hp_share_names_fn done;
    void *arg;
} asker_t;

/* All who ask while the folder is being read share the next reading. */
struct hp_names {
    hp_share_t *share;
    hp_place_t *place; /* while it is read */
    bool working;
    asker_t *waiting, *served;
    int status;
    hp_buf_t text;
};

static int compare_names(const void *a, const void *b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

/* The names of the files in the open folder, unsorted. 0 or a code. */
typedef HP_ARRAY(char *) names_t;

static int collect(hp_names_t *self, hp_place_at_t *at, DIR *dir, names_t *names)
{
    size_t bytes = 0;
    while (!atomic_load_explicit(&self->share->cancelled, memory_order_relaxed)) {
        errno = 0;
        struct dirent *entry = readdir(dir);
        struct stat st;
        if (entry == NULL)
            return -errno;
        const char *name = entry->d_name;
        if (entry->d_type == DT_DIR || hp_path_check(name, strlen(name), NULL) != 0 ||
            hp_place_hides(self->place, name) || hp_place_named(self->place, name) != 0 ||
            fstatat(dirfd(dir), name, &st, AT_SYMLINK_NOFOLLOW) != 0 ||
            !hp_place_lists(self->place, at, name, &st))
            continue;
        bytes += strlen(entry->d_name) + 2;
        if (bytes > NAMES_MAX)
            return HP_E_TOO_LARGE;
        *hp_array_add(names) = hp_strdup(entry->d_name);
    }
    return UV_ECANCELED;
}

static int names_work(void *arg, hp_err_t *err)
{
    hp_names_t *self = arg;
    (void)err; /* the code says it all */
    names_t names = {0};
    hp_buf_init(&self->text, NAMES_MAX);
    self->status = 0;
    hp_place_at_t at = HP_PLACE_NOWHERE;
    const char *below;
    int rc = hp_place_enter(self->place, &at, "", &below);
    if (rc != 0) { /* the folder is missing: nothing is offered */
        self->status = hp_place_is_limit(rc) ? rc : 0;
        return self->status;
    }
    int fd = hp_beneath_open(at.fd, "", O_RDONLY | O_DIRECTORY, 0, HP_BENEATH_NO_LINKS);
    DIR *dir = fd >= 0 ? fdopendir(fd) : NULL;
    if (dir != NULL) {
        self->status = collect(self, &at, dir, &names);
        closedir(dir);
    } else {
        self->status = fd < 0 ? fd : -errno;
        if (fd >= 0)
            close(fd);
    }
    hp_place_leave(&at);
    if (names.count > 0)
        qsort(names.items, names.count, sizeof *names.items, compare_names);
    for (size_t i = 0; i < names.count; i++) {
        if (self->status == 0)
            self->status = hp_buf_add_text(&self->text, names.items[i]);
        if (self->status == 0)
            self->status = hp_buf_add_text(&self->text, "\r\n");
        free(names.items[i]);
    }
    hp_array_dispose(&names);
    return self->status;
}

static void start_reading(hp_names_t *self);

static void on_names(void *arg, int status, const hp_err_t *err)
{
    hp_names_t *self = arg;
    (void)err;
    hp_share_t *share = self->share;
    self->status = share->closing ? UV_ECANCELED : status;
    size_t length = self->text.length;
    char *text = hp_buf_take(&self->text);
    asker_t *served = self->served;
    self->served = NULL;
    hp_place_release(self->place);
    self->place = NULL;
    while (served != NULL) {
        asker_t *asker = served;
        served = asker->next;
        char *copy = NULL;
        if (self->status == 0) {
            copy = hp_alloc(length + 1);
            memcpy(copy, text, length + 1);
        }
        asker->done(asker->arg, self->status, copy, copy != NULL ? length : 0);
        free(asker);
    }
    free(text);
    hp_buf_dispose(&self->text);
    self->working = false; /* not before: who is answered may ask again at once, and waits */
    if (self->waiting != NULL)
        start_reading(self);
}

static void start_reading(hp_names_t *self)
{
    self->working = true;
    self->place = hp_place_addref(self->share->place);
    self->served = self->waiting;
    self->waiting = NULL;
    hp_pool_post(self->share->loop, &self->share->pending, names_work, on_names, self);
}

void hp_share_names(hp_share_t *share, hp_share_names_fn done, void *arg)
{
    hp_names_t *self = share->names;
    asker_t *asker = hp_alloc(sizeof *asker);
    *asker = (asker_t){.next = self->waiting, .done = done, .arg = arg};
    self->waiting = asker;
    if (!self->working)
        start_reading(self);
}

hp_names_t *hp_names_create(hp_share_t *share)
{
    hp_names_t *self = hp_alloc(sizeof *self);
    self->share = share;
    return self;
}

void hp_names_free(hp_names_t *self)
{
    free(self);
}
