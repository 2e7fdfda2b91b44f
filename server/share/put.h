/* Files that are put into the shared folder and taken out of it. The index follows as it does for any other
 * change. Only what was put there in this way is taken out, as long as it is unchanged.
 *
 * A file arrives in pieces, from its start to its end. A piece at 0 starts over; one that overlaps what is
 * there already (its answer was lost) is written again; one that would leave a gap is refused. Half a file is
 * never visible. Requests for one file, or for a folder and what is in it, do not run at the same time: the
 * later one gets HP_E_CONFLICT. Loop thread; disk work happens in the pool. */
#ifndef HP_SHARE_PUT_H
#define HP_SHARE_PUT_H

#include "share/share.h"

#define HP_SHARE_PUT_MAX ((UINT64_C(1) << 62) - 1) /* bytes of a file */

typedef struct hp_share_piece {
    const void *data; /* stays valid until done has run */
    size_t length;
    uint64_t first, total; /* where the piece belongs in the file, and the file's size */
    bool ask;              /* there is no piece: only tell how much is there; never all of it, as it takes a
                              piece to make the file */
    bool is_new;           /* no file of that name may be there already */
} hp_share_piece_t;

typedef struct hp_share_stored {
    bool finished;    /* the file is there, whole */
    bool existed;     /* and replaced one of that name */
    const char *path; /* of it: another one where the disk does not take the name (base/landing.h), which then
                         replaces nothing; valid during the call */
    uint64_t received; /* bytes of the unfinished file */
    struct stat stat;  /* of the finished one */
} hp_share_stored_t;

/* status: 0; HP_E_BAD_NAME (not allowed, or the path leads through a link), HP_E_CONFLICT (a gap, another
 * request, a file where a folder should be), HP_E_PRECONDITION (is_new), HP_E_FORBIDDEN (the disk; or it
 * would replace a file that hostpair did not put there, in a folder that is shared in place), HP_E_TOO_LARGE,
 * system codes. done runs once, perhaps inside the call. */
typedef void (*hp_share_put_fn)(void *arg, int status, const hp_share_stored_t *stored, const hp_err_t *err);
void hp_share_put(hp_share_t *share, const char *path, const hp_share_piece_t *piece, hp_share_put_fn done,
                  void *arg);

typedef struct hp_share_removal {
    bool tree;           /* a folder goes with everything in it; else only an empty one goes */
    const char *keep[2]; /* absolute paths of folders that stay: nothing is removed then; NULL: none */
} hp_share_removal_t;

/* Removes a file or folder, and what there is of an unfinished file of that name. status: 0, HP_E_NOT_FOUND,
 * HP_E_CONFLICT (a folder that is not empty; something in it must stay), HP_E_FORBIDDEN (the disk; or
 * hostpair did not put it there, or something in it: nothing is removed), system codes. done runs once,
 * perhaps inside the call. */
typedef void (*hp_share_removed_fn)(void *arg, int status, const hp_err_t *err);
void hp_share_remove(hp_share_t *share, const char *path, const hp_share_removal_t *removal,
                     hp_share_removed_fn done, void *arg);

#endif
