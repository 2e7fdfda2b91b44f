#include "writer.h"

#include <archive.h>
#include <archive_entry.h>
#include <locale.h>
#include <stdlib.h>
#include <string.h>
#include <zlib.h>

#include "base/mem.h"
#include "base/path.h"

#define DEFLATE_LEVEL "1"                 /* the network is not to wait for the processor */
#define LOOK_BYTES    ((size_t)32 * 1024) /* of a file, to see whether it shrinks */
#define LOOK_MIN      ((size_t)128)       /* bytes; less is stored */
#define LOOK_EIGHTHS  7u                  /* stored when more than so many are left */
#define ENTRY_MEMORY  ((size_t)128)       /* of an entry in a zip's directory, besides its name */

struct hp_archive_writer {
    struct archive *archive;
    struct archive_entry *entry;
    locale_t locale; /* libarchive takes names to be in the thread's character set */
    hp_archive_format_t format;
    char *data; /* what waits to be taken */
    size_t length, capacity;
    size_t memory;
    bool closing; /* what is still written is not wanted */
};

static const struct {
    const char *name, *media_type;
} formats[] = {
    [HP_ARCHIVE_TAR] = {"tar", "application/x-tar"},
    [HP_ARCHIVE_ZIP] = {"zip", "application/zip"},
    [HP_ARCHIVE_LEAN_TAR] = {NULL, "application/x-tar"},
};

bool hp_archive_format_of(const char *name, hp_archive_format_t *format)
{
    for (size_t i = 0; i < HP_COUNT(formats); i++)
        if (formats[i].name != NULL && strcmp(name, formats[i].name) == 0) {
            *format = (hp_archive_format_t)i;
            return true;
        }
    return false;
}

const char *hp_archive_media_type(hp_archive_format_t format)
{
    return formats[format].media_type;
}

/* ---- what is worth deflating ---- */

static bool begins_with(const char *text, const char *start)
{
    return strncmp(text, start, strlen(start)) == 0;
}

static bool is_compressed_type(const char *type)
{
    static const char *const archives[] = {
        "application/x-7z-compressed",
        "application/vnd.android.package-archive",
        "application/x-bzip2",
        "application/vnd.debian.binary-package",
        "application/gzip",
        "application/vnd.rar",
        "application/x-rpm",
        "application/x-xz",
        "application/zip",
        "application/zstd",
    };
    if (begins_with(type, "image/") || begins_with(type, "video/") || begins_with(type, "audio/"))
        return strcmp(type, "image/svg+xml") != 0;
    for (size_t i = 0; i < HP_COUNT(archives); i++)
        if (strcmp(type, archives[i]) == 0)
            return true;
    return false;
}

bool hp_archive_stores(const char *name, const void *head, size_t length)
{
    if (length < LOOK_MIN || is_compressed_type(hp_path_media_type(hp_path_name(name))))
        return true;
    uLong from = (uLong)HP_MIN(length, LOOK_BYTES);
    uLongf to = from / 8 * LOOK_EIGHTHS;
    void *room = hp_alloc(to);
    int rc = compress2(room, &to, head, from, Z_BEST_SPEED);
    free(room);
    return rc == Z_BUF_ERROR;
}

/* ---- libarchive ---- */

static la_ssize_t on_write(struct archive *archive, void *arg, const void *data, size_t length)
{
    hp_archive_writer_t *self = arg;
    if (self->closing) {
        archive_set_error(archive, ARCHIVE_FAILED, "nobody wants the rest");
        return -1;
    }
    if (length > self->capacity - self->length) {
        self->capacity = HP_MAX(self->capacity * 2, self->length + length);
        self->data = hp_realloc(self->data, self->capacity);
    }
    memcpy(self->data + self->length, data, length);
    self->length += length;
    return (la_ssize_t)length;
}

static int failed(hp_archive_writer_t *self, hp_err_t *err)
{
    const char *why = archive_error_string(self->archive);
    return hp_err_set(err, HP_E_INTERNAL, "writing the archive: %s", why != NULL ? why : "no reason given");
}

static int set_up(hp_archive_writer_t *self)
{
    struct archive *a = self->archive;
    if (self->format == HP_ARCHIVE_TAR)
        return archive_write_set_format_pax(a);
    if (self->format == HP_ARCHIVE_LEAN_TAR)
        return archive_write_set_format_pax_restricted(a);
    if (archive_write_set_format_zip(a) != ARCHIVE_OK ||
        archive_write_set_format_option(a, "zip", "hdrcharset", "UTF-8") != ARCHIVE_OK)
        return ARCHIVE_FATAL;
    return archive_write_set_format_option(a, "zip", "compression-level", DEFLATE_LEVEL);
}

int hp_archive_writer_create(hp_archive_writer_t **writer, hp_archive_format_t format, hp_err_t *err)
{
    *writer = NULL;
    locale_t locale = newlocale(LC_CTYPE_MASK, "C.UTF-8", (locale_t)0);
    if (locale == (locale_t)0)
        return hp_err_set(err, HP_E_INTERNAL, "this system has no locale C.UTF-8, which archives need");
    hp_archive_writer_t *self = hp_alloc(sizeof *self);
    self->locale = locale;
    self->format = format;
    self->archive = archive_write_new();
    self->entry = archive_entry_new();
    locale_t before = uselocale(locale);
    int rc = 0;
    /* Bytes go out as they are given, without blocks that are filled up. */
    if (set_up(self) != ARCHIVE_OK || archive_write_add_filter_none(self->archive) != ARCHIVE_OK ||
        archive_write_set_bytes_per_block(self->archive, 0) != ARCHIVE_OK ||
        archive_write_open(self->archive, self, NULL, on_write, NULL) != ARCHIVE_OK)
        rc = failed(self, err);
    uselocale(before);
    if (rc != 0)
        hp_archive_writer_destroy(self);
    else
        *writer = self;
    return rc;
}

void hp_archive_writer_destroy(hp_archive_writer_t *self)
{
    if (self == NULL)
        return;
    archive_entry_free(self->entry);
    self->closing = true; /* freeing it may write its end */
    archive_write_free(self->archive);
    freelocale(self->locale);
    free(self->data);
    free(self);
}

static void fill_entry(hp_archive_writer_t *self, const hp_archive_entry_t *from)
{
    struct archive_entry *entry = self->entry;
    archive_entry_clear(entry);
    archive_entry_copy_pathname(entry, from->name);
    archive_entry_set_filetype(entry, from->is_folder ? AE_IFDIR : AE_IFREG);
    archive_entry_set_perm(entry, from->is_folder || from->is_executable ? 0755 : 0644);
    archive_entry_set_size(entry, from->is_folder ? 0 : (la_int64_t)from->size);
    archive_entry_set_mtime(entry, from->mtime_s, (long)from->mtime_ns);
}

int hp_archive_writer_begin(hp_archive_writer_t *self, const hp_archive_entry_t *entry, hp_err_t *err)
{
    locale_t before = uselocale(self->locale);
    int rc = ARCHIVE_OK;
    fill_entry(self, entry);
    if (self->format == HP_ARCHIVE_ZIP) {
        rc = hp_archive_stores(entry->name, entry->head, entry->head_length)
                 ? archive_write_zip_set_compression_store(self->archive)
                 : archive_write_zip_set_compression_deflate(self->archive);
        self->memory += ENTRY_MEMORY + strlen(entry->name);
    }
    /* A warning is about a name that could not be written as it is. */
    if (rc == ARCHIVE_OK)
        rc = archive_write_header(self->archive, self->entry);
    uselocale(before);
    return rc == ARCHIVE_OK ? 0 : failed(self, err);
}

int hp_archive_writer_add(hp_archive_writer_t *self, const void *data, size_t length, hp_err_t *err)
{
    while (length > 0) {
        la_ssize_t n = archive_write_data(self->archive, data, length);
        if (n <= 0)
            return n < 0 ? failed(self, err)
                         : hp_err_set(err, HP_E_INTERNAL, "writing the archive: a file is longer than said");
        data = (const char *)data + n;
        length -= (size_t)n;
    }
    return 0;
}

int hp_archive_writer_end(hp_archive_writer_t *self, hp_err_t *err)
{
    locale_t before = uselocale(self->locale);
    int rc = archive_write_close(self->archive);
    uselocale(before);
    return rc == ARCHIVE_OK ? 0 : failed(self, err);
}

size_t hp_archive_writer_length(const hp_archive_writer_t *self)
{
    return self->length;
}

void *hp_archive_writer_take(hp_archive_writer_t *self, size_t *length)
{
    void *data = self->data;
    *length = self->length;
    self->data = NULL;
    self->length = self->capacity = 0;
    return data;
}

size_t hp_archive_writer_memory(const hp_archive_writer_t *self)
{
    return self->memory;
}
