/* Files that are set aside for one host: a person gives them to it without sharing them. They lie in the data
 * folder, below "hostpair.aside/<id>/", and are in no list, no index, no count and no archive. Their paths
 * begin with the id of their set, 32 hex digits that nobody guesses, and only the host that they are for is
 * given them.
 *
 * A set is begun, its files are put into it (put.h), and a push names them. When the last push that holds it
 * lets go of it, it is removed from the disk; also when the disk is full while a file is put into it, and
 * when nobody has used it for an hour. Sets are known in memory only: what an earlier run has left is removed
 * at the start. Folders have mode 0700, files 0600. Loop thread; disk work happens in the pool. */
#ifndef HP_SHARE_ASIDE_H
#define HP_SHARE_ASIDE_H

#include "share/put.h"
#include "share/share.h"

#define HP_ASIDE_ID_SIZE  33 /* 32 hex digits */
#define HP_ASIDE_SETS_MAX 64

/* Begins a set for the host of this id. 0 with the set's id; HP_E_TOO_MANY; HP_E_BUSY: what an earlier run
 * has left is still being removed; HP_E_CONFLICT: there is no data folder; HP_E_INTERNAL: no random numbers.
 */
int hp_aside_begin(hp_share_t *share, const char *host, char id[HP_ASIDE_ID_SIZE], hp_err_t *err);

/* As hp_share_put; path: that of the file with the set's id before it. Also HP_E_NOT_FOUND: no such set;
 * HP_E_CONFLICT: a push has begun with it. */
void hp_aside_put(hp_share_t *share, const char *path, const hp_share_piece_t *piece, hp_share_put_fn done,
                  void *arg);

/* Removes a set that no push holds. 0, HP_E_NOT_FOUND, HP_E_CONFLICT. */
int hp_aside_end(hp_share_t *share, const char *id, hp_err_t *err);

/* Whether the path lies in a set; and in one for this host. */
bool hp_aside_has(const hp_share_t *share, const char *path);
bool hp_aside_is_for(const hp_share_t *share, const char *path, const char *host);

/* A push holds the set that the path lies in, until it drops it: once for each hold. keep: the last one
 * leaves it there, for a while, as it may be tried again. A path in no set is left alone. */
void hp_aside_hold(hp_share_t *share, const char *path);
void hp_aside_drop(hp_share_t *share, const char *path, bool keep);

/* As hp_share_open, for the host of this id; HP_E_NOT_FOUND also for any other, and for a folder. The root is
 * never known. */
void hp_aside_open(hp_share_t *share, const char *path, const char *host, hp_share_open_fn done, void *arg);

#endif
