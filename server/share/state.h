/* The share's inside, for the sources of this folder. See share.h for what it is.
 *
 *   share.c    life, totals, telling of changes, the rows
 *   place.c    the folders on the disk: what may be seen, how a file is opened      any thread
 *   ignore.c   names that are not offered                                           any thread
 *   walk.c     reading folders                                                      pool
 *   watch.c    inotify                                                              loop
 *   index.c    which paths are to be looked at, and when everything is              loop
 *   pass.c     one look: walk, rows into the store, what is gone out of it          loop
 *   hashing.c  what to hash next, and what became of it                             loop
 *   hasher.c   the thread that hashes
 *   away.c     rows of folders that are not there
 *   move.c     other folders, or ignored names, take the place of these             loop
 *   put.c      files put into the folder and removed from it
 *   aside.c    files that are set aside for one host, and not shared
 *   listing.c  pages of a folder, for people
 *   digest.c   digests as other programs print them; knows only open files
 *   left_out.c what is not offered, and why; knows only paths
 *   open.c     opening files and listing names for clients
 *   tree.c     everything below a folder, for archives                              pool
 *   pick.c     files by their paths, for bundles                                    pool
 *   layer.c    layers of hash trees for clients
 *   roots.c    roots in memory
 *   merkle.c, sha256.c  hash trees
 */
#ifndef HP_SHARE_STATE_H
#define HP_SHARE_STATE_H

#include <stdatomic.h>
#include <uv.h>

#include "base/pending.h"
#include "base/signal.h"
#include "db/db.h"
#include "db/shared_file.h"
#include "share/left_out.h"
#include "share/place.h"
#include "share/put.h"
#include "share/roots.h"
#include "share/share.h"
#include "store/store.h"

/* Numbers that a person may want to tune, in milliseconds. Tests shorten them. */
typedef struct hp_share_tuning {
    unsigned debounce;                /* between the first event and the look at what changed */
    unsigned walk;                    /* between two walks of everything when all folders are watched */
    unsigned walk_blind;              /* when some are not, or others change the files unseen */
    unsigned recount;                 /* after a look that may have miscounted what is left out */
    unsigned check;                   /* between two looks whether the folder is still the same */
    unsigned check_missing;           /* whether it is back */
    unsigned retry;                   /* after a walk that failed */
    unsigned change;                  /* between two calls of the change listener */
    unsigned settle;                  /* a file is hashed when it has not changed for so long */
    unsigned settle_coarse;           /* the same where the file system counts time in large steps */
    unsigned again_least, again_most; /* before a file that changed while it was hashed is tried again: ten
                                         times as long as it took, within these */
    unsigned again_error;             /* before a file that could not be read is tried again */
    unsigned aside_idle;              /* what is set aside and used by nobody is kept so long */
    unsigned aside_look;              /* between two looks for it */
    size_t watches;                   /* at most so many folders are watched */
} hp_share_tuning_t;

typedef struct hp_index hp_index_t;
typedef struct hp_hashing hp_hashing_t;
typedef struct hp_layers hp_layers_t;
typedef struct hp_names hp_names_t;
typedef struct hp_move hp_move_t;
typedef struct hp_put hp_put_t;
typedef struct hp_aside hp_aside_t;

typedef struct hp_share_totals {
    uint64_t revision, files, bytes, hashed_bytes;
} hp_share_totals_t;

/* One of the shared folders. */
typedef struct hp_folder_state {
    bool missing; /* it is not there: nothing in it is listed, nothing is forgotten */
    uint64_t
        device; /* of the folder, as last committed; of one besides the main: when it was last not empty */
} hp_folder_state_t;

typedef struct hp_rows_request hp_rows_request_t;

struct hp_share {
    uv_loop_t *loop;
    hp_store_t *store;
    hp_place_t *place; /* who uses it in the pool holds a reference, as it may become another one */
    hp_share_tuning_t tuning;

    hp_share_totals_t totals;                    /* as last committed */
    hp_folder_state_t folders[HP_PLACE_FOLDERS]; /* as the place numbers them */
    hp_share_totals_t away; /* files, bytes and hashed bytes of those that are missing, unless all are */
    unsigned away_turn;     /* goes up with each count of them */
    bool complete;          /* the index describes the main folder, whole */
    bool missing;           /* no folder is there: nothing is listed, nothing is forgotten */
    bool scanning;

    hp_left_out_t left_out; /* as of the last pass */

    hp_roots_t roots;
    bool roots_loaded; /* every root that the store knows is in roots, unless some were forgotten */
    unsigned root_lookups;
    hp_index_t *index;
    hp_hashing_t *hashing;
    hp_layers_t *layers;
    hp_names_t *names;
    hp_rows_request_t *rows_first, *rows_last; /* wait for the first walk */

    HP_SIGNAL(hp_share_change_fn) on_change;
    uv_timer_t change_timer; /* while it runs, the listener is not called again */
    bool change_due;

    bool started, closing;
    atomic_bool cancelled; /* closing, for pool threads */
    char *database;        /* its path; NULL: in memory */
    hp_put_t *puts;        /* put.c: files being written or removed */
    hp_aside_t *asides;    /* aside.c: sets of files, each for one host */
    bool aside_cleaning;   /* what an earlier run left of them is being removed */
    uv_timer_t aside_timer;
    hp_move_t *move;      /* to other folders, under way; NULL */
    char *ignore;         /* patterns of names that are not offered, as wanted; "" none */
    bool dotfiles;        /* names that begin with a dot are offered, as wanted */
    atomic_bool halted;   /* closing or moving: nothing is walked, for any thread */
    hp_pending_t pending; /* what is under way and needs the share */
    void (*closed)(void *arg);
    void *closed_arg;
};

/* What a store job found the totals to be; for the end of every job that changes rows. */
int hp_share_read_totals(hp_db_t *db, hp_share_totals_t *totals, hp_err_t *err);
/* Takes them over on the loop and tells the listener. */
void hp_share_set_totals(hp_share_t *share, const hp_share_totals_t *totals);
/* Something that people see has changed. */
void hp_share_changed(hp_share_t *share);
/* After the folders or the settings were changed: puts into effect what is wanted and not yet so. */
void hp_share_settle(hp_share_t *share);
/* The index became complete: answers requests that wait for rows. */
void hp_share_serve_rows(hp_share_t *share);

/* ---- index.c ---- */
hp_index_t *hp_index_create(hp_share_t *share);
void hp_index_start(hp_index_t *index);
void hp_index_stop(hp_index_t *index); /* closes its handles, which hold the share until then */
void hp_index_free(hp_index_t *index);
/* Gives up what is under way and watches nothing more, then calls idle, perhaps inside the call.
 * share->halted is set. */
void hp_index_pause(hp_index_t *index, void (*idle)(void *arg), void *arg);
/* Looks at everything in the share's folder, which may be another one now. */
void hp_index_resume(hp_index_t *index);
/* Something may have changed at a path. */
void hp_index_look(hp_index_t *index, const char *path, bool folder);
/* Everything has to be looked at. */
void hp_index_walk(hp_index_t *index);

/* ---- hashing.c ---- */
hp_hashing_t *hp_hashing_create(hp_share_t *share);
void hp_hashing_stop(hp_hashing_t *hashing);
void hp_hashing_free(hp_hashing_t *hashing);
/* As hp_index_pause and hp_index_resume. */
void hp_hashing_pause(hp_hashing_t *hashing, void (*idle)(void *arg), void *arg);
void hp_hashing_resume(hp_hashing_t *hashing);
/* There may be something to hash. */
void hp_hashing_wake(hp_hashing_t *hashing);

/* ---- aside.c ---- */
/* Removes what an earlier run has left. */
void hp_aside_start(hp_share_t *share);
/* Forgets all sets, and leaves their files. */
void hp_aside_free(hp_share_t *share);

/* ---- put.c ---- */
/* As hp_share_put, into a folder (absolute, made if missing) that is not shared; path is the one in it. What
 * is made is its owner's alone. */
void hp_share_put_private(hp_share_t *share, const char *folder, const char *path,
                          const hp_share_piece_t *piece, hp_share_put_fn done, void *arg);

/* ---- open.c, layer.c ---- */
hp_names_t *hp_names_create(hp_share_t *share);
void hp_names_free(hp_names_t *names);
hp_layers_t *hp_layers_create(void);
void hp_layers_free(hp_layers_t *layers);

#endif
