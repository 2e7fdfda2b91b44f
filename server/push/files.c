/* What is at the paths of a push: one look after the other, those into folders in pages. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/mem.h"
#include "base/path.h"
#include "push/internal.h"

#define PAGE 1000 /* rows of the share's index at a time */

static void add(hp_push_t *self, const char *path, size_t name, uint64_t size, bool folder)
{
    hp_push_file_t *file = hp_array_add(&self->files);
    file->path = hp_strdup(path);
    file->name = file->path + name;
    file->size = size;
    file->folder = folder;
    file->wanted = true;
    self->size += size;
}

static void next(hp_push_t *self)
{
    if (++self->looked < self->count)
        hp_push_look(self);
    else if (self->files.count > HP_PUSH_FILES_MAX)
        hp_push_fail(self, HP_E_TOO_LARGE, "These are more files than a device is sent at once (10000)");
    else
        self->kind->begin(self);
}

/* ---- folders ---- */

typedef struct {
    hp_push_t *push;
    char *folder; /* with a slash at its end */
    size_t name;  /* where the names of its files begin in their paths */
    size_t found;
} folder_t;

static void end_folder(folder_t *self)
{
    free(self->folder);
    free(self);
}

static void on_rows(void *arg, int status, const hp_share_row_t *rows, size_t count)
{
    folder_t *self = arg;
    hp_push_t *push = self->push;
    size_t length = strlen(self->folder), i = 0;
    if (hp_push_is_idle(push)) {
        end_folder(self);
        hp_push_drop(push);
        return;
    }
    for (; status == 0 && i < count && strncmp(rows[i].path, self->folder, length) == 0; i++)
        add(push, rows[i].path, self->name, rows[i].size, false);
    self->found += i;
    if (status == 0 && i == PAGE && push->files.count <= HP_PUSH_FILES_MAX) {
        hp_share_rows(push->owner->share, rows[i - 1].path, PAGE, on_rows, self);
        return;
    }
    if (status != 0) {
        hp_push_fail(push, status, hp_err_sentence(status));
    } else if (self->found == 0) {
        char reason[200];
        snprintf(reason, sizeof reason, "%.120s has no files", push->paths[push->looked]);
        hp_push_fail(push, HP_E_NOT_FOUND, reason);
    } else {
        next(push);
    }
    end_folder(self);
    hp_push_drop(push);
}

static void look_into(hp_push_t *push, const char *path)
{
    folder_t *self = hp_alloc(sizeof *self);
    self->push = push;
    self->folder = hp_sprintf("%s/", path);
    self->name = (size_t)(hp_path_name(path) - path);
    hp_push_hold(push);
    hp_share_rows(push->owner->share, self->folder, PAGE, on_rows, self);
}

/* ---- files ---- */

static void on_opened(void *arg, int status, const hp_share_file_t *file)
{
    hp_push_t *self = arg;
    const char *path = self->paths[self->looked];
    uint64_t size = 0;
    bool folder = status == HP_E_FORBIDDEN;
    if (status == 0) {
        size = (uint64_t)file->stat.st_size;
        close(file->fd);
    }
    if (hp_push_is_idle(self)) {
        ;
    } else if (folder && !self->kind->takes_folders) {
        look_into(self, path);
    } else if (status == 0 || folder) {
        add(self, path, (size_t)(hp_path_name(path) - path), size, folder);
        next(self);
    } else {
        char reason[200];
        snprintf(reason, sizeof reason, "%.120s is not shared", path);
        hp_push_fail(self, status, status == HP_E_NOT_FOUND ? reason : hp_err_sentence(status));
    }
    hp_push_drop(self);
}

void hp_push_open(hp_push_t *self, const char *path, hp_share_open_fn done)
{
    if (hp_aside_has(self->owner->share, path))
        hp_aside_open(self->owner->share, path, self->host, done, self);
    else
        hp_share_open(self->owner->share, path, done, self);
}

void hp_push_look(hp_push_t *self)
{
    hp_push_hold(self);
    hp_push_open(self, self->paths[self->looked], on_opened);
}
