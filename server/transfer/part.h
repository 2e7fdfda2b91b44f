/* Part files and final files: the blocking steps that a file goes through on the disk, from its empty part
 * file to its final name. Everything is opened below the downloads folder, through no link.
 *
 * Where the disk of base is not there every step ends with HP_E_NO_DISK and makes nothing (os/home.h).
 *
 * Pool threads only. Each step may be repeated after a crash. Nothing here deletes, truncates or overwrites
 * what is not empty, but for hp_part_remove, which a person asked for.
 *
 *   create   makes the folders and an empty part file, syncs the folder; its identity is then committed
 *   reserve  sets the size: fallocate(2), or a sparse file where the file system has none
 *   open     takes up a part file again, if it is the one on record
 *   finish   fdatasync, zeros become holes, rename to the first free candidate of the final name, folder sync
 */
#ifndef HP_TRANSFER_PART_H
#define HP_TRANSFER_PART_H

#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"
#include "base/path.h"

/* Device numbers may be given anew at each boot: of a file that was seen in another one, device is 0, and not
 * compared. born_ns: when the file was made, as its file system says; 0 unknown, and not compared. A file
 * that got the inode of one that was deleted was made later. */
typedef struct hp_part_identity {
    uint64_t device, inode;
    int64_t born_ns;
} hp_part_identity_t;

/* base: absolute folder, made if missing. path: the final file below it. name gets the part file's name,
 * which stands beside path. An empty file of that name is taken up; one that is not empty is left alone and a
 * numbered name is used. The descriptor for reading and writing, or a negative code. */
int hp_part_create(const char *base, const char *path, int64_t download_id, char name[HP_NAME_MAX + 1],
                   hp_part_identity_t *identity, hp_err_t *err);

/* Sets err to what a person is told of a file that is too long for its file system; gives HP_E_TOO_LARGE. */
int hp_part_too_long(hp_err_t *err, uint64_t size);

/* Whether the file system of base takes a file of so many bytes, as far as can be told before it is written:
 * 0, HP_E_TOO_LARGE, or why base cannot be opened. */
int hp_part_takes(const char *base, uint64_t size, hp_err_t *err);

/* Makes the file size bytes long and reserves room for it: all of it where that is a small part of what is
 * free, else as much as arrived bytes justify, because a source may claim any size. reserved gets how much
 * that is now; when half of it has arrived the next call takes more. 0, HP_E_NO_SPACE (-ENOSPC, -EDQUOT; also
 * when the whole cannot fit), HP_E_TOO_LARGE or another system code; then it is as long as it was, and holds
 * nothing of the disk that it did not hold before. */
int hp_part_reserve(int fd, uint64_t size, uint64_t arrived, uint64_t *reserved, hp_err_t *err);

/* Cuts off what an earlier try of a body of unknown length has left past its end. 0 or a system code. */
int hp_part_shorten(int fd, uint64_t size);

/* A second descriptor of the open part file, for writing past the page cache; -1 where that does not pay (a
 * file smaller than HP_PART_DIRECT_MIN, which is wanted in the cache when somebody opens it) or is not known
 * to work well: a file system that is none of the local ones. */
#define HP_PART_DIRECT_MIN (64u * 1024 * 1024)
int hp_part_open_direct(int fd, uint64_t size);

#define HP_PART_SPARSE_MIN (1024u * 1024) /* bytes of a file whose zeros become holes when it is finished */

typedef enum {
    HP_PART_OPENED,  /* it is the recorded one, with the recorded size */
    HP_PART_MISSING, /* not there, or another file: its map is empty */
    HP_PART_FINAL, /* the part is gone and the recorded file stands under the final name, or a candidate of it
                    */
} hp_part_found_t;

/* Opens the part file beside path. has_chunks: some of it is on record, so it must be of the recorded size;
 * without, a crash may have come before or while that was reserved. OPENED gives *fd; FINAL gives the
 * candidate's name in final_name. 0 or a negative code, when the disk does not answer the question. */
int hp_part_open(const char *base, const char *path, const char *name, const hp_part_identity_t *identity,
                 uint64_t size, bool has_chunks, hp_part_found_t *found, int *fd,
                 char final_name[HP_NAME_MAX + 1], hp_err_t *err);

/* Opens what stands under the name of a part file that hp_part_open did not find: of the recorded size, but
 * another device or inode. It is the one on record if its folder was copied, or its disk is another device
 * now; its bytes tell. The descriptor with its identity, or a negative code; -ENOENT when there is no such
 * file. */
int hp_part_open_alike(const char *base, const char *path, const char *name, uint64_t size,
                       hp_part_identity_t *identity);

/* Whether the part file still stands beside path under its name: 0, or HP_E_CONFLICT with a sentence when it
 * was removed, renamed or replaced, or its folder was; HP_E_NO_DISK when the disk is not there any more. */
#define HP_PART_ANY_SIZE UINT64_MAX
int hp_part_compare(int fd, const char *base, const char *path, const char *name, hp_err_t *err);

/* final_name gets the name that it has now: the last segment of path, or the next free candidate.
 * HP_E_CONFLICT and nothing is done when the file under the part's name is not the open one or is not size
 * bytes long: somebody has changed it. */
int hp_part_finish(int fd, const char *base, const char *path, const char *name, uint64_t size,
                   char final_name[HP_NAME_MAX + 1], hp_err_t *err);

/* The same, but the file at path gives way if it still is the one that was last changed at replaces_ns
 * (st_mtim), as hp_part_look saw it. */
int hp_part_replace(int fd, const char *base, const char *path, const char *name, uint64_t size,
                    int64_t replaces_ns, char final_name[HP_NAME_MAX + 1], hp_err_t *err);

/* Gives the file the time when it was changed at its source, ms since 1970 (0: unknown, it keeps its own),
 * and lets those run it who may read it, but for whom the umask names. A disk that cannot keep either is no
 * error. */
void hp_part_set_marks(int fd, int64_t mtime_ms, bool executable);

/* A file that is written in one step. */
typedef struct hp_part_small {
    const char *base, *path;
    const void *data;
    int64_t mtime_ms; /* as hp_part_set_marks */
    bool executable;
    size_t length; /* 0 makes an empty file */
    /* results */
    int status; /* one that is not 0 before the call is left alone */
    hp_err_t err;
    char name[HP_NAME_MAX + 1]; /* that it has now, as of hp_part_finish */
    /* part.c's */
    int fd, folder;
} hp_part_small_t;

/* Unnamed files are written, synced and linked to their final names, so that a crash leaves nothing of a
 * file, or the whole, which the next call takes for its own. Many at once share the disk's commits and the
 * folders' syncs; each has its own status. -EOPNOTSUPP where the file system has no O_TMPFILE: use the steps
 * above. */
void hp_part_write_small(hp_part_small_t *files, size_t count);

/* Size and st_mtim of the file at path. 0; HP_E_NOT_FOUND when there is none, or something else; a system
 * code. */
int hp_part_look(const char *base, const char *path, uint64_t *size, int64_t *mtime_ns, hp_err_t *err);

/* Whether nothing stands at path below base. Links count as something. */
int hp_part_is_free(const char *base, const char *path, bool *is_free, hp_err_t *err);

/* Makes the folder at path, with all that is missing above it. One that is there is none to complain about.
 */
int hp_part_make_folder(const char *base, const char *path, hp_err_t *err);

/* Removes the part file if it is the recorded one. A missing one is no error. */
int hp_part_remove(const char *base, const char *path, const char *name, const hp_part_identity_t *identity,
                   hp_err_t *err);

/* Opens a finished file for reading; the descriptor or a negative code. */
int hp_part_open_final(const char *base, const char *path, hp_err_t *err);

/* Free bytes on base's file system, for unprivileged users, and its st_dev. base or its nearest existing
 * parent. HP_E_NO_DISK. */
int hp_part_free_bytes(const char *base, uint64_t *bytes, uint64_t *device);

#endif
