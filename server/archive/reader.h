/* Reads a tar that lies in memory, made by whoever: plain files, one after another, and nothing else.
 *
 * Invariants
 * 1. One thread at a time, any thread. Nothing is read from or written to a disk; nothing is copied.
 * 2. Given are regular files alone: a folder, a link of either kind, a device, a sparse file, a compressed
 * archive, or one that cannot be understood is an error, after which nothing more is given.
 * 3. Memory is that of the bytes it is given, whatever they say.
 */
#ifndef HP_ARCHIVE_READER_H
#define HP_ARCHIVE_READER_H

#include <stddef.h>
#include <stdint.h>

#include "base/err.h"

typedef struct hp_archive_reader hp_archive_reader_t;

typedef struct hp_archive_file {
    const char
        *name; /* UTF-8, as the archive says it: to be compared, not believed; valid until the next call */
    uint64_t size;
} hp_archive_file_t;

/* data stays the caller's, and valid. HP_E_INTERNAL when the C library has no UTF-8 locale; HP_E_PROTOCOL
 * when it is no tar. */
int hp_archive_reader_create(hp_archive_reader_t **reader, const void *data, size_t length, hp_err_t *err);
void hp_archive_reader_destroy(hp_archive_reader_t *reader); /* or NULL */

/* 1: file is the next one; 0: there is none; or HP_E_PROTOCOL. */
int hp_archive_reader_next(hp_archive_reader_t *reader, hp_archive_file_t *file, hp_err_t *err);

/* All bytes of that file, in the memory that was given: 0, or HP_E_PROTOCOL when they are not all there. Not
 * for an empty file. */
int hp_archive_reader_bytes(hp_archive_reader_t *reader, const hp_archive_file_t *file, const void **bytes,
                            hp_err_t *err);

#endif
