/* Whether a folder that is on no record belongs to the one that is ordered: its download was taken off the
 * list or cancelled, or it was copied here. A folder that has nothing in common with the host's is left
 * alone. */
#include "transfer/standing.h"

#include <stdlib.h>
#include <string.h>

#include "db/remote_file.h"
#include "transfer/internal.h"
#include "transfer/same.h"
#include "transfer/update.h"

#define PAGE 1000

void hp_standing_dispose(hp_standing_t *self)
{
    for (size_t i = 0; i < self->count; i++)
        free(self->files[i].path);
    self->count = 0;
}

/* Takes path. */
static void add(hp_standing_t *self, char *path, const hp_remote_file_t *listed)
{
    if (self->count == HP_STANDING_FILES)
        free(self->files[--self->count].path);
    size_t at = self->count++;
    for (; at > 0 && self->files[at - 1].size > listed->size; at--)
        self->files[at] = self->files[at - 1];
    self->files[at] = (hp_standing_file_t){.path = path, .size = listed->size};
    memcpy(self->files[at].root, listed->root, sizeof listed->root);
}

static void offer(hp_standing_t *self, const char *base, const char *path, const char *below,
                  const hp_remote_file_t *listed)
{
    bool full = self->count == HP_STANDING_FILES;
    if (listed->size <= 0 || (full && listed->size >= self->files[self->count - 1].size))
        return;
    char *there = hp_sprintf("%s/%s", path, below);
    if (hp_path_check(there, strlen(there), NULL) == 0 &&
        hp_order_may_stand(base, there, listed->size, listed->root))
        add(self, there, listed);
    else
        free(there);
}

int hp_standing_find(hp_db_t *db, const char *base, const char *path, const char *host, const char *folder,
                     hp_standing_t *to, hp_err_t *err)
{
    size_t skip = folder[0] != '\0' ? strlen(folder) + 1 : 0, count;
    char *after = NULL;
    int rc;
    do {
        hp_remote_files_t files = {0};
        rc = hp_remote_file_below(db, host, folder, after, PAGE, &files, err);
        count = files.count;
        for (size_t i = 0; rc == 0 && i < count; i++)
            offer(to, base, path, files.items[i].path + skip, &files.items[i]);
        free(after);
        after = rc == 0 && count > 0 ? hp_strdup(files.items[count - 1].path) : NULL;
        hp_remote_files_dispose(&files);
    } while (rc == 0 && count == PAGE);
    free(after);
    return rc;
}

/* ---- loop ---- */

typedef struct look {
    hp_transfer_t *transfer;
    char *base;
    hp_standing_t files;
    size_t next;
    void (*done)(void *arg, int status, bool same, const hp_err_t *err);
    void *arg;
} look_t;

static void look_at_next(look_t *self);

static bool goes_on(void *arg)
{
    const look_t *self = arg;
    return !self->transfer->stopping;
}

static void on_looked(void *arg, int status, bool same, const uint8_t *layer, uint64_t count,
                      const hp_err_t *err)
{
    look_t *self = arg;
    (void)layer, (void)count;
    if (status == 0 && !same && self->next < self->files.count && goes_on(self)) {
        look_at_next(self);
        return;
    }
    self->done(self->arg, status == 0 && !same && !goes_on(self) ? UV_ECANCELED : status, same, err);
    hp_standing_dispose(&self->files);
    free(self->base);
    free(self);
}

static void look_at_next(look_t *self)
{
    const hp_standing_file_t *next = &self->files.files[self->next++];
    const hp_same_file_t file = {
        .base = self->base, .path = next->path, .root = next->root, .size = next->size};
    hp_same_start(self->transfer, &self->transfer->pending, &file, goes_on, on_looked, self);
}

void hp_standing_look(hp_transfer_t *transfer, const char *base, hp_standing_t *files,
                      void (*done)(void *arg, int status, bool same, const hp_err_t *err), void *arg)
{
    look_t *self = hp_alloc(sizeof *self);
    *self =
        (look_t){.transfer = transfer, .base = hp_strdup(base), .files = *files, .done = done, .arg = arg};
    files->count = 0;
    look_at_next(self);
}
