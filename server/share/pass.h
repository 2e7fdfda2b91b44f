/* One look at the disk: what is found goes into the index, what is gone goes out of it. Its phases:
 *
 *     WALKING   Pool steps give batches of files; each batch is one store job. At most two jobs are under
 *               way, and none is added while the store has much to do, so a walk of a million files neither
 *               fills memory nor holds up downloads.
 *     SWEEPING  Rows of the folders that were read whole but that the walk did not meet are removed, and
 *               what is at paths that hold nothing now. New rows are all in by then, so a file that was only
 *               moved finds its root again. The rows that were met are one bit each in memory, by the number
 *               of the row; rows that have not changed are not written.
 *     SAVING    A walk of everything notes that the index is complete.
 *     TIDYING   Watches of folders that are gone are removed.
 *
 * A crash in the middle leaves rows that are not there any more, until the walk at the next start. Loop
 * thread. */
#ifndef HP_SHARE_PASS_H
#define HP_SHARE_PASS_H

#include "share/pathset.h"
#include "share/state.h"
#include "share/walk.h"

#define HP_LINKS_MAX 1024 /* more links are not remembered one by one */

typedef struct hp_pass_order {
    char **paths; /* to look at; taken over. "" alone: everything */
    size_t count;
    char **gone_folders; /* of these the watches go when nothing is there now; sorted by strcmp; taken over */
    size_t gone_folder_count;
    bool everything;
    hp_watch_t *watch;                /* or NULL */
    hp_pathset_t *links;              /* kept up to date: links that were met */
    const hp_walk_folder_t *expected; /* the shared folders when everything was walked last; copied */
} hp_pass_order_t;

typedef struct hp_pass_report {
    int status;                     /* 0; UV_ECANCELED; what the store said */
    hp_err_t err;                   /* the words */
    bool missing[HP_PLACE_FOLDERS]; /* a shared folder is not there, or it is another, empty file system:
                                       nothing in it was changed */
    bool away;                      /* all of them: nothing was changed */
    bool replaced; /* some shared folder is another one than in the order: nothing in it was changed,
                      everything has to be walked */
    bool changed;  /* rows changed */
    bool unsure;   /* what is left out may be fewer than counted */
    uint64_t files, ms;
    hp_walk_report_t walk;
} hp_pass_report_t;

typedef struct hp_pass hp_pass_t;
typedef void (*hp_pass_done_fn)(void *arg, const hp_pass_report_t *report);

/* done runs once, never inside the call; UV_ECANCELED soon after share->halted is set. */
void hp_pass_start(hp_share_t *share, const hp_pass_order_t *order, hp_pass_done_fn done, void *arg);

#endif
