/* Reading a file while it is downloaded: what is there is read from the part file, what is missing is fetched
 * first and waited for. A reader survives the end of the download: it goes on in the finished file.
 *
 * Loop thread only; disk work in the pool. done runs exactly once for every read, never inside the call, also
 * when the transfer ends. One read at a time a reader. */
#ifndef HP_TRANSFER_READER_H
#define HP_TRANSFER_READER_H

#include "transfer/transfer.h"

#define HP_READER_PIECE (256u * 1024) /* bytes of one read at most */

typedef struct hp_reader hp_reader_t;

typedef struct hp_reader_info {
    const char *name; /* valid until the next return to the loop */
    uint64_t size;
    char etag[64]; /* quoted, strong; the same while it is downloaded and afterwards */
} hp_reader_info_t;

/* HP_E_NOT_FOUND: no such download. HP_E_CONFLICT: a folder, or it is not running (a finished one is an
 * ordinary file). HP_E_BUSY: it has only begun, nobody has said yet how long it is. */
int hp_reader_open(hp_transfer_t *transfer, int64_t id, hp_reader_t **reader, hp_reader_info_t *info,
                   hp_err_t *err);

/* The tag of a download's bytes, for the finished file as well: a rename does not change the inode. Returns
 * out. */
char *hp_reader_etag(int64_t id, uint64_t inode, uint64_t size, char out[64]);

/* 1 to HP_READER_PIECE bytes from offset on, which lies inside the file; data is valid during the call of
 * done only. HP_E_CONFLICT when the download stopped, or is another version now; system codes of the disk. */
typedef void (*hp_reader_fn)(void *arg, int status, const void *data, size_t length);
void hp_reader_read(hp_reader_t *reader, uint64_t offset, size_t max, hp_reader_fn done, void *arg);

/* A read under way is told UV_ECANCELED first. */
void hp_reader_close(hp_reader_t *reader);

#endif
