/* A folder that was fetched is ordered again (update.c). */
#ifndef HP_TRANSFER_UPDATE_H
#define HP_TRANSFER_UPDATE_H

#include "db/download.h"
#include "db/remote_file.h"
#include "transfer/transfer.h"

/* Store thread. Whether a file that was fetched stands where it landed, as it was then; and its st_mtim, 0
 * when it does not stand there. */
int hp_order_look(const hp_download_row_t *download, const hp_download_file_row_t *file, bool *same,
                  int64_t *mtime_ns, hp_err_t *err);
/* Store thread. The done or failed download of this folder, or the failed one of this file, goes on with what
 * is new or has changed at the host: 0 with its id; updated: there is something, or it failed. HP_E_NOT_FOUND
 * when there is none, or it lies elsewhere. never_runs: as in the order. */
int hp_order_update(hp_db_t *db, const char *base, const char *host, const char *path, bool folder,
                    const char *to, bool never_runs, int64_t *id, bool *updated, hp_err_t *err);
/* The same of one that was kept and goes on: its list is that of now, and what had failed is tried again. */
int hp_order_update_kept(hp_db_t *db, int64_t id, const char *host, const char *path, hp_err_t *err);
/* Loop. Such a one, as its row says now, is queued again. */
void hp_download_update(hp_transfer_t *transfer, const hp_download_row_t *row);

/* Store thread. Whether a file of this size stands at path, which hashing tells to be the one with this root
 * (NULL or "": not known; an empty file has none) or another. */
bool hp_order_may_stand(const char *base, const char *path, int64_t size, const char *root);
/* Whether the host still lists what was fetched. Where one of them is not hashed, its time tells. */
bool hp_order_is_version(const hp_download_row_t *download, const hp_download_file_row_t *file,
                         const hp_remote_file_t *listed);
/* Store thread. The newest done download of this file of a host, or of this URL (the others NULL), which
 * stands as it was fetched; and is the version that is listed, unless that is NULL. 0 with its id, and the
 * validator of its source in etag (NULL: not wanted; left as it is where there is none; the caller's to
 * free), or HP_E_NOT_FOUND. */
int hp_order_find_done(hp_db_t *db, const char *host, const char *path, const char *url,
                       const hp_remote_file_t *listed, int64_t *id, char **etag, hp_err_t *err);
/* A row for a file that is to be fetched; listed: NULL when nobody lists it. may_stand: as above. never_runs:
 * as in the order. */
int hp_order_insert_file(hp_db_t *db, int64_t download, const char *path, const char *source_path,
                         const hp_remote_file_t *listed, bool may_stand, bool never_runs, hp_err_t *err);
/* Whether a file is to be executable here: one that is at a host that has proven who it is. */
bool hp_order_lets_run(const hp_remote_file_t *listed);

#endif
