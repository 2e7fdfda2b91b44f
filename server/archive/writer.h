/* Writes a tar or zip archive piece by piece into memory, from where whoever made it takes the bytes.
 *
 * Invariants
 * 1. One thread at a time, any thread. Nothing is read from or written to a disk.
 * 2. tar is pax (POSIX.1-2001), with times to the nanosecond. zip has UTF-8 names, and zip64 fields where
 * something does not fit the old ones. Files belong to user and group 0; their mode is 0755 or 0644.
 * 3. Each piece that goes in is out before the call returns, but for what deflate holds back. So memory is
 * that of the pieces; in a zip besides some 100 bytes and the name for each entry, as its directory comes
 * last.
 * 4. After an error the archive is worth nothing: it is to be destroyed.
 */
#ifndef HP_ARCHIVE_WRITER_H
#define HP_ARCHIVE_WRITER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"

typedef enum {
    HP_ARCHIVE_TAR,
    HP_ARCHIVE_ZIP,
    HP_ARCHIVE_LEAN_TAR, /* a tar with extended headers only where a name or a size needs them */
} hp_archive_format_t;

typedef struct hp_archive_entry {
    const char *name; /* UTF-8, "/" between segments, none at the end */
    bool is_folder, is_executable;
    uint64_t size; /* of a file: exactly so many bytes follow */
    int64_t mtime_s;
    uint32_t mtime_ns;
    const void *head; /* the first bytes of a file, for a look at how well it shrinks. They are added later,
                         with the others */
    size_t head_length;
} hp_archive_entry_t;

typedef struct hp_archive_writer hp_archive_writer_t;

/* "tar" or "zip", as people ask for them. False for anything else. */
bool hp_archive_format_of(const char *name, hp_archive_format_t *format);
/* Of the whole. Static. */
const char *hp_archive_media_type(hp_archive_format_t format);

/* HP_E_INTERNAL when the C library has no UTF-8 locale. */
int hp_archive_writer_create(hp_archive_writer_t **writer, hp_archive_format_t format, hp_err_t *err);
void hp_archive_writer_destroy(hp_archive_writer_t *writer); /* or NULL */

/* Begins an entry; the one before has all its bytes. */
int hp_archive_writer_begin(hp_archive_writer_t *writer, const hp_archive_entry_t *entry, hp_err_t *err);
/* The next bytes of the file that was begun. */
int hp_archive_writer_add(hp_archive_writer_t *writer, const void *data, size_t length, hp_err_t *err);
/* After the last entry. */
int hp_archive_writer_end(hp_archive_writer_t *writer, hp_err_t *err);

/* How many bytes wait to be taken. */
size_t hp_archive_writer_length(const hp_archive_writer_t *writer);
/* All of them, for the caller to free(). */
void *hp_archive_writer_take(hp_archive_writer_t *writer, size_t *length);
/* What the directory at the end of a zip takes of the memory so far. */
size_t hp_archive_writer_memory(const hp_archive_writer_t *writer);

/* Whether a file is stored as it is in a zip: its type is one of those that are compressed in themselves
 * (pictures, films, sound, archives), or its first bytes hardly shrink. */
bool hp_archive_stores(const char *name, const void *head, size_t length);

#endif
