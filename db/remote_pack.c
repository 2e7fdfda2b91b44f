#include "db/remote_pack.h"

#include <endian.h>
#include <stdio.h>
#include <string.h>

#include "base/mem.h"
#include "base/path.h"

void hp_remote_key_put(uint8_t out[HP_REMOTE_KEY_SIZE], const hp_remote_key_t *key)
{
    uint32_t folder = htole32(key->folder), kind = htole32(key->is_folder);
    uint64_t size = htole64((uint64_t)key->size), mtime = htole64((uint64_t)key->mtime);
    memcpy(out, &folder, 4);
    memcpy(out + 4, &kind, 4);
    memcpy(out + 8, &size, 8);
    memcpy(out + 16, &mtime, 8);
}

void hp_remote_key_get(const uint8_t in[HP_REMOTE_KEY_SIZE], hp_remote_key_t *key)
{
    uint32_t folder, kind;
    uint64_t size, mtime;
    memcpy(&folder, in, 4);
    memcpy(&kind, in + 4, 4);
    memcpy(&size, in + 8, 8);
    memcpy(&mtime, in + 16, 8);
    *key = (hp_remote_key_t){.folder = le32toh(folder),
                             .is_folder = kind != 0,
                             .size = (int64_t)le64toh(size),
                             .mtime = (int64_t)le64toh(mtime)};
}

/* The lower-case form of a code point below U+0800 whose form has as many bytes; others stay. */
static unsigned lower(unsigned c)
{
    if ((c >= 0xc0 && c <= 0xde && c != 0xd7) || (c >= 0x391 && c <= 0x3ab && c != 0x3a2) ||
        (c >= 0x410 && c <= 0x42f))
        return c + 0x20;
    if (c >= 0x400 && c <= 0x40f)
        return c + 0x50;
    bool even_is_upper = (c >= 0x100 && c <= 0x137 && c != 0x130 && c != 0x131) ||
                         (c >= 0x14a && c <= 0x177) || (c >= 0x460 && c <= 0x481) ||
                         (c >= 0x48a && c <= 0x4bf) || (c >= 0x4d0 && c <= 0x52f);
    if (even_is_upper)
        return c | 1;
    bool odd_is_upper = (c >= 0x139 && c <= 0x148) || (c >= 0x179 && c <= 0x17e);
    if (odd_is_upper)
        return c + (c & 1);
    return c;
}

void hp_remote_fold(const char *text, size_t length, char *out)
{
    for (size_t i = 0; i < length; i++) {
        unsigned char c = (unsigned char)text[i];
        if (c < 0x80) {
            out[i] = (char)(c >= 'A' && c <= 'Z' ? c + 0x20 : c);
        } else if (c >= 0xc2 && c <= 0xdf && i + 1 < length && ((unsigned char)text[i + 1] & 0xc0) == 0x80) {
            unsigned folded = lower((c & 0x1fu) << 6 | ((unsigned char)text[i + 1] & 0x3fu));
            out[i] = (char)(0xc0 | folded >> 6);
            out[i + 1] = (char)(0x80 | (folded & 0x3f));
            i++;
        } else {
            out[i] = (char)c;
        }
    }
}

int64_t hp_remote_root_prefix(const uint8_t root[32])
{
    uint64_t prefix;
    memcpy(&prefix, root, 8);
    return (int64_t)be64toh(prefix);
}

static char *join_path(const char *folder, const char *name)
{
    return folder[0] == '\0' ? hp_strdup(name) : hp_sprintf("%s/%s", folder, name);
}

static const char *text_or_empty(hp_query_t *q, int column)
{
    const char *text = hp_query_text(q, column);
    return text != NULL ? text : "";
}

void hp_remote_file_from_row(hp_query_t *q, int first, hp_remote_file_t *file)
{
    *file = (hp_remote_file_t){.size = HP_REMOTE_NO_SIZE, .mtime = HP_REMOTE_NO_TIME};
    snprintf(file->host, sizeof file->host, "%s", text_or_empty(q, first));
    file->path = join_path(text_or_empty(q, first + 1), text_or_empty(q, first + 2));
    file->name = hp_path_name(file->path);
    if (!hp_query_is_null(q, first + 3))
        file->size = HP_MAX(hp_query_int(q, first + 3), (int64_t)HP_REMOTE_NO_SIZE);
    if (!hp_query_is_null(q, first + 4))
        file->mtime = hp_query_int(q, first + 4);
    size_t length = 0;
    const uint8_t *root = hp_query_blob(q, first + 5, &length);
    if (root != NULL && length == 32)
        hp_hex_encode(root, 32, file->root);
    file->executable = hp_query_int(q, first + 6) != 0;
}

void hp_remote_folder_from_row(hp_query_t *q, int first, hp_remote_folder_t *folder)
{
    folder->path = hp_strdup(text_or_empty(q, first));
    folder->name = hp_path_name(folder->path);
    folder->files = hp_query_count(q, first + 1);
    folder->bytes = hp_query_count(q, first + 2);
}
