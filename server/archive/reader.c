#include "reader.h"

#include <archive.h>
#include <archive_entry.h>
#include <locale.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"

struct hp_archive_reader {
    struct archive *archive;
    /* In the character set of "C" libarchive gives names as they are, with a warning where they are not
     * ASCII; in UTF-8 it would compose the characters that have two forms. */
    locale_t locale;
};

static int failed(hp_archive_reader_t *self, hp_err_t *err)
{
    const char *why = archive_error_string(self->archive);
    return hp_err_set(err, HP_E_PROTOCOL, "it is no tar of files: %.200s",
                      why != NULL ? why : "no reason given");
}

int hp_archive_reader_create(hp_archive_reader_t **reader, const void *data, size_t length, hp_err_t *err)
{
    *reader = NULL;
    locale_t locale = newlocale(LC_CTYPE_MASK, "C", (locale_t)0);
    if (locale == (locale_t)0)
        return hp_err_set(err, HP_E_INTERNAL, "this system has no locale C, which archives need");
    hp_archive_reader_t *self = hp_alloc(sizeof *self);
    self->locale = locale;
    self->archive = archive_read_new();
    int rc = 0;
    locale_t before = uselocale(locale);
    if (archive_read_support_format_tar(self->archive) != ARCHIVE_OK ||
        archive_read_open_memory(self->archive, data, length) != ARCHIVE_OK)
        rc = failed(self, err);
    uselocale(before);
    if (rc != 0)
        hp_archive_reader_destroy(self);
    else
        *reader = self;
    return rc;
}

void hp_archive_reader_destroy(hp_archive_reader_t *self)
{
    if (self == NULL)
        return;
    archive_read_free(self->archive);
    freelocale(self->locale);
    free(self);
}

static const char *kind_of(struct archive_entry *entry)
{
    if (archive_entry_hardlink(entry) != NULL || archive_entry_symlink(entry) != NULL)
        return "a link";
    switch (archive_entry_filetype(entry)) {
    case AE_IFREG:
        return archive_entry_sparse_count(entry) > 0 ? "a sparse file" : NULL;
    case AE_IFDIR:
        return "a folder";
    case AE_IFLNK:
        return "a link";
    default:
        return "a device or the like";
    }
}

int hp_archive_reader_next(hp_archive_reader_t *self, hp_archive_file_t *file, hp_err_t *err)
{
    struct archive_entry *entry;
    locale_t before = uselocale(self->locale);
    int rc = archive_read_next_header(self->archive, &entry);
    const char *kind = NULL;
    bool there = rc == ARCHIVE_OK || rc == ARCHIVE_WARN;
    if (there) {
        kind = kind_of(entry);
        *file = (hp_archive_file_t){.name = archive_entry_pathname(entry),
                                    .size = (uint64_t)archive_entry_size(entry)};
    }
    uselocale(before);
    if (rc == ARCHIVE_EOF)
        return 0;
    if (!there || file->name == NULL || !archive_entry_size_is_set(entry))
        return failed(self, err);
    return kind == NULL ? 1 : hp_err_set(err, HP_E_PROTOCOL, "%s is in it", kind);
}

int hp_archive_reader_bytes(hp_archive_reader_t *self, const hp_archive_file_t *file, const void **bytes,
                            hp_err_t *err)
{
    size_t length = 0;
    la_int64_t offset = 0;
    int rc = archive_read_data_block(self->archive, bytes, &length, &offset);
    if (rc != ARCHIVE_OK || offset != 0 || length != file->size)
        return rc < ARCHIVE_OK ? failed(self, err)
                               : hp_err_set(err, HP_E_PROTOCOL, "a file is not all there");
    return 0;
}
