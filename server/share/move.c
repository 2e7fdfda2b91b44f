/* Other folders take the place of those that are shared: their place is made in the pool, the index and the
 * hashing come to rest, the store notes what is shared from now on, and all goes on there as at a start. Rows
 * stay until the first walk is over, so what was moved finds its roots again. Whatever fails on the way
 * leaves everything as it was. The same way goes another list of ignored names. */
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/log.h"
#include "base/mem.h"
#include "base/path.h"
#include "db/shared_place.h"
#include "pool/pool.h"
#include "share/away.h"
#include "share/folders.h"

typedef enum { MAIN_FOLDER, ADD_FOLDER, REMOVE_FOLDER, IGNORED } change_t;

struct hp_move {
    hp_share_t *share;
    change_t change;
    char *name, *folder; /* NULL: none is concerned */
    char *ignore;        /* as wanted when it began */
    bool dotfiles;
    hp_place_t *old, *place; /* place: the new one, NULL before it is made */
    hp_share_totals_t totals;
    hp_pending_t working; /* parts that do not rest yet */
    int status;
    hp_err_t err;
    hp_share_moved_fn done;
    void *arg;
};

static void end(hp_move_t *self)
{
    hp_share_t *share = self->share;
    bool settles = self->change != IGNORED || self->status == 0;
    share->move = NULL;
    if (share->closing)
        self->status = hp_err_set(&self->err, UV_ECANCELED, "hostpair is being stopped");
    if (self->done != NULL)
        self->done(self->arg, self->status, &self->err);
    hp_place_release(self->old);
    hp_place_release(self->place);
    free(self->name);
    free(self->folder);
    free(self->ignore);
    free(self);
    if (settles)
        hp_share_settle(share);
    hp_pending_drop(&share->pending);
}

/* What is known of the folders that stay. */
static void keep_states(hp_share_t *share, const hp_place_t *old)
{
    hp_folder_state_t states[HP_PLACE_FOLDERS] = {0};
    const hp_place_t *place = share->place;
    for (size_t i = 0; i < place->count; i++)
        for (size_t j = 0; j < old->count; j++)
            if (strcmp(place->folders[i].name, old->folders[j].name) == 0 &&
                strcmp(place->folders[i].path, old->folders[j].path) == 0)
                states[i] = share->folders[j];
    memcpy(share->folders, states, sizeof states);
    share->missing = share->missing && place->count <= old->count;
}

static void take_over(hp_move_t *self)
{
    hp_share_t *share = self->share;
    hp_place_release(share->place);
    share->place = hp_place_addref(self->place);
    keep_states(share, self->old);
    if (self->change == MAIN_FOLDER)
        share->complete = share->missing = false;
    share->scanning = true;
    hp_share_set_totals(share, &self->totals);
    hp_away_count(share);
    hp_share_changed(share);
    if (self->change == MAIN_FOLDER)
        hp_log(HP_LOG_INFO, "share: %s is shared from now on, instead of %s", self->folder,
               self->old->folders[0].path);
    else if (self->change == ADD_FOLDER)
        hp_log(HP_LOG_INFO, "share: %s is shared from now on, as %s", self->folder, self->name);
    else if (self->change == REMOVE_FOLDER)
        hp_log(HP_LOG_INFO, "share: the folder %s is shared no more; nothing in it was removed", self->name);
}

static void on_noted(void *arg, int status, const hp_err_t *err)
{
    hp_move_t *self = arg;
    hp_share_t *share = self->share;
    self->status = status;
    self->err = *err;
    if (!share->closing) {
        if (status == 0)
            take_over(self);
        atomic_store(&share->halted, false);
        hp_index_resume(share->index);
        hp_hashing_resume(share->hashing);
    }
    end(self);
}

static int note_work(hp_db_t *db, void *arg, hp_err_t *err)
{
    hp_move_t *self = arg;
    int rc = 0;
    if (self->change == MAIN_FOLDER)
        rc = hp_shared_state_save(db, self->folder, 0, false, err);
    else if (self->change == ADD_FOLDER)
        rc = hp_shared_place_add(db, self->name, self->folder, err);
    else if (self->change == REMOVE_FOLDER)
        rc = hp_shared_place_remove(db, self->name, err);
    return rc == 0 ? hp_share_read_totals(db, &self->totals, err) : rc;
}

static void note(void *arg)
{
    hp_move_t *self = arg;
    hp_store_post(self->share->store, HP_STORE_WRITE, note_work, on_noted, self);
}

static void on_idle(void *arg)
{
    hp_move_t *self = arg;
    hp_pending_drop(&self->working);
}

static int make_place(void *arg, hp_err_t *err)
{
    hp_move_t *self = arg;
    const hp_place_t *old = self->old;
    const char *database = self->share->database;
    int rc = 0;
    if (self->change == MAIN_FOLDER)
        rc = hp_place_create(&self->place, self->folder, database, err);
    else
        self->place = hp_place_copy(old, self->change == REMOVE_FOLDER ? self->name : NULL);
    for (size_t i = 1; i < old->count && rc == 0 && self->change == MAIN_FOLDER; i++) {
        const hp_place_folder_t *folder = &old->folders[i];
        if (folder->refused)
            hp_place_add_known(self->place, folder->name, folder->path, database);
        else
            rc = hp_place_add(self->place, folder->name, folder->path, database, err);
    }
    if (rc == 0 && self->change == ADD_FOLDER)
        rc = hp_place_add(self->place, self->name, self->folder, database, err);
    if (rc == 0 && self->change == ADD_FOLDER)
        rc = hp_place_try(self->place, self->name, err);
    if (rc == 0)
        hp_place_ignore(self->place, self->ignore, self->dotfiles);
    return rc;
}

static void on_made(void *arg, int status, const hp_err_t *err)
{
    hp_move_t *self = arg;
    hp_share_t *share = self->share;
    self->status = status;
    self->err = *err;
    bool same = self->change == MAIN_FOLDER && strcmp(self->folder, self->old->folders[0].path) == 0;
    if (self->status != 0 || share->closing || same) {
        end(self);
        return;
    }
    atomic_store(&share->halted, true);
    hp_pending_add(&self->working);
    hp_pending_add(&self->working);
    hp_index_pause(share->index, on_idle, self);
    hp_hashing_pause(share->hashing, on_idle, self);
    hp_pending_when_none(&self->working, note, self);
}

static void start(hp_share_t *share, change_t change, const char *name, const char *folder,
                  hp_share_moved_fn done, void *arg)
{
    hp_move_t *self = hp_alloc(sizeof *self);
    self->share = share;
    self->change = change;
    self->name = name != NULL ? hp_strdup(name) : NULL;
    self->folder = folder != NULL ? hp_strdup(folder) : NULL;
    self->ignore = hp_strdup(share->ignore);
    self->dotfiles = share->dotfiles;
    self->old = hp_place_addref(share->place);
    self->done = done;
    self->arg = arg;
    share->move = self;
    hp_pending_add(&share->pending);
    hp_pool_post(share->loop, &share->pending, make_place, on_made, self);
}

int hp_share_set_folder(hp_share_t *share, const char *folder, hp_share_moved_fn done, void *arg)
{
    if (share->move != NULL || share->closing)
        return HP_E_BUSY;
    start(share, MAIN_FOLDER, NULL, folder, done, arg);
    return 0;
}

/* ---- ignored names ---- */

void hp_share_settle(hp_share_t *share)
{
    if (share->move == NULL && !share->closing &&
        !hp_ignore_is(share->place->ignore, share->ignore, share->dotfiles))
        start(share, IGNORED, NULL, NULL, NULL, NULL);
}

void hp_share_set_ignored(hp_share_t *share, const char *patterns, bool dotfiles)
{
    char *wanted = hp_strdup(patterns);
    free(share->ignore);
    share->ignore = wanted;
    share->dotfiles = dotfiles;
    if (!share->started)
        hp_place_ignore(share->place, patterns, dotfiles);
    else
        hp_share_settle(share);
}

/* ---- folders besides the main one (folders.h) ---- */

void hp_share_list_folders(const hp_share_t *share, void (*fn)(void *arg, const hp_share_folder_t *folder),
                           void *arg)
{
    for (size_t i = 1; i < share->place->count; i++)
        fn(arg, &(hp_share_folder_t){.name = share->place->folders[i].name,
                                     .path = share->place->folders[i].path,
                                     .missing = share->folders[i].missing});
}

char *hp_share_tidy_folder(const char *path)
{
    size_t length = strlen(path);
    while (length > 1 && path[length - 1] == '/')
        length--;
    return hp_strndup(path, length);
}

int hp_share_add_folder(hp_share_t *share, const char *name, const char *path, hp_share_moved_fn done,
                        void *arg, hp_err_t *err)
{
    if (path[0] != '/' || strlen(path) > HP_PATH_MAX)
        return hp_err_set(err, HP_E_INVALID, "path: must be an absolute path");
    if (share->move != NULL || share->closing)
        return hp_err_set(err, HP_E_BUSY, "another change of the shared folders is under way");
    char *folder = hp_share_tidy_folder(path);
    start(share, ADD_FOLDER, name != NULL ? name : hp_path_name(folder), folder, done, arg);
    free(folder);
    return 0;
}

int hp_share_lend_folder(hp_share_t *share, const char *name, const char *path, hp_err_t *err)
{
    hp_place_t *place = share->place;
    size_t known = hp_place_named(place, name);
    if (known != 0 && !place->folders[known].refused && strcmp(place->folders[known].path, path) == 0)
        return 0;
    hp_folder_state_t states[HP_PLACE_FOLDERS];
    int rc = hp_place_add(place, name, path, share->database, err);
    if (rc != 0)
        return rc;
    size_t added = hp_place_named(place, name);
    memcpy(states, share->folders, sizeof states);
    memcpy(share->folders + added + 1, states + added, (HP_PLACE_FOLDERS - added - 1) * sizeof *states);
    share->folders[added] = (hp_folder_state_t){0};
    if (access(path, F_OK) == 0)
        return hp_place_try(place, name, err);
    hp_log(HP_LOG_WARN, "share: there is no folder %s; what is in it is offered as %s once it is there", path,
           name);
    return 0;
}

int hp_share_remove_folder(hp_share_t *share, const char *name, hp_share_moved_fn done, void *arg,
                           hp_err_t *err)
{
    if (hp_place_named(share->place, name) == 0)
        return hp_err_set(err, HP_E_NOT_FOUND, "no folder is shared as %s", name);
    if (share->move != NULL || share->closing)
        return hp_err_set(err, HP_E_BUSY, "another change of the shared folders is under way");
    start(share, REMOVE_FOLDER, name, NULL, done, arg);
    return 0;
}
