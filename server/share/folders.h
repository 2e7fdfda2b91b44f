/* The folders that are shared besides the main one: in place, each under a name of its own, which stands at
 * the top of the tree that others see. hostpair writes nothing into them but what a person uploads there, and
 * removes nothing: to stop sharing one leaves every file where it is. Loop thread. */
#ifndef HP_SHARE_FOLDERS_H
#define HP_SHARE_FOLDERS_H

#include "share/share.h"

typedef struct hp_share_folder {
    const char *name, *path;
    bool missing; /* it, or its disk, is not there: nothing in it is offered, nothing about it is forgotten */
} hp_share_folder_t;

/* Calls fn for each, by name. The text is valid during the call. */
void hp_share_list_folders(const hp_share_t *share, void (*fn)(void *arg, const hp_share_folder_t *folder),
                           void *arg);

/* The path without slashes at its end, as the list has it; malloced. */
char *hp_share_tidy_folder(const char *path);

/* Shares a folder that is there, an absolute path, under a name (NULL: its own). done runs once, never inside
 * the call: 0 when it is stored and in effect (a walk follows); HP_E_INVALID (no such folder, no right to
 * read it); HP_E_BAD_NAME; HP_E_CONFLICT (the name is taken, also by something in the main folder; the folder
 * overlaps one that is shared, or hostpair's data); HP_E_TOO_LARGE (too many). Returns 0, or HP_E_INVALID or
 * HP_E_BUSY with the words in err; then done is not called. */
int hp_share_add_folder(hp_share_t *share, const char *name, const char *path, hp_share_moved_fn done,
                        void *arg, hp_err_t *err);

/* Before the start: shares a folder in this run alone, also one that is not there yet. Nothing happens where
 * it is shared under that name already. 0, or a code as above with the words in err. Blocks on the disk. */
int hp_share_lend_folder(hp_share_t *share, const char *name, const char *path, hp_err_t *err);

/* Shares it no more. Returns 0, HP_E_NOT_FOUND or HP_E_BUSY; done as above. */
int hp_share_remove_folder(hp_share_t *share, const char *name, hp_share_moved_fn done, void *arg,
                           hp_err_t *err);

#endif
