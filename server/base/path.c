#include "base/path.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/err.h"
#include "base/mem.h"
#include "base/utf8.h"

#define PART_SUFFIX     ".hostpair-part"
#define PART_NAME_BYTES 200 /* of the final name, kept in the part file's */
#define EXTENSION_MAX   20  /* bytes after the dot; what is longer is no extension but a sentence */

int hp_path_check(const char *path, size_t length, hp_err_t *err)
{
    if (length == 0)
        return hp_err_set(err, HP_E_BAD_NAME, "the name is empty");
    if (length > HP_PATH_MAX)
        return hp_err_set(err, HP_E_BAD_NAME, "the path is longer than %d bytes", HP_PATH_MAX);
    if (!hp_utf8_valid(path, length))
        return hp_err_set(err, HP_E_BAD_NAME, "the name is not valid UTF-8");
    if (hp_utf8_has_control(path, length))
        return hp_err_set(err, HP_E_BAD_NAME, "the name holds a control character");
    if (path[0] == '/')
        return hp_err_set(err, HP_E_BAD_NAME, "the path is absolute");
    for (size_t i = 0; i <= length;) {
        const char *slash = memchr(path + i, '/', length - i);
        size_t n = slash != NULL ? (size_t)(slash - path) - i : length - i;
        const char *segment = path + i;
        if (n == 0)
            return hp_err_set(err, HP_E_BAD_NAME, "the path has an empty part");
        if (n <= 2 && strncmp(segment, "..", n) == 0)
            return hp_err_set(err, HP_E_BAD_NAME, "the path has a part \"%.*s\"", (int)n, segment);
        if (n > HP_NAME_MAX)
            return hp_err_set(err, HP_E_BAD_NAME, "a name is longer than %d bytes", HP_NAME_MAX);
        i += n + 1;
    }
    return 0;
}

const char *hp_path_name(const char *path)
{
    const char *slash = strrchr(path, '/');
    return slash != NULL ? slash + 1 : path;
}

bool hp_path_is_part(const char *path)
{
    const char *name = hp_path_name(path);
    size_t length = strlen(name), suffix = strlen(PART_SUFFIX);
    if (name[0] != '.' || length <= suffix || strcmp(name + length - suffix, PART_SUFFIX) != 0)
        return false;
    size_t digits_end = length - suffix, i = digits_end;
    while (i > 0 && name[i - 1] >= '0' && name[i - 1] <= '9')
        i--;
    /* "." + at least one byte + "." + digits */
    return i < digits_end && i >= 3 && name[i - 1] == '.';
}

void hp_path_part_name(const char *name, int64_t download_id, char out[HP_NAME_MAX + 1])
{
    size_t kept = hp_utf8_prefix(name, strlen(name), PART_NAME_BYTES);
    snprintf(out, HP_NAME_MAX + 1, ".%.*s.%lld%s", (int)kept, name, (long long)download_id, PART_SUFFIX);
}

/* Where the extension starts (at its dot), or the length when there is none. */
static size_t extension_start(const char *name, size_t length)
{
    const char *dot = strrchr(name, '.');
    if (dot == NULL || dot == name || dot[1] == '\0' || strlen(dot + 1) > EXTENSION_MAX ||
        strchr(dot, ' ') != NULL)
        return length;
    if (dot - name > 4 && strncasecmp(dot - 4, ".tar", 4) == 0)
        dot -= 4;
    return (size_t)(dot - name);
}

void hp_path_candidate(const char *name, unsigned n, char out[HP_NAME_MAX + 1])
{
    size_t length = strlen(name);
    size_t stem = extension_start(name, length);
    char number[16] = "";
    size_t taken = length - stem;
    if (n > 0)
        taken += (size_t)snprintf(number, sizeof number, " (%u)", n);
    snprintf(out, HP_NAME_MAX + 1, "%.*s%s%s", (int)hp_utf8_prefix(name, stem, HP_NAME_MAX - taken), name,
             number, name + stem);
}

/* Whether name, up to its first dot, is that of a device: CON, PRN, AUX, NUL, COM1 to COM9, LPT1 to LPT9. */
static bool is_device(const char *name)
{
    static const char *const devices[] = {"CON", "PRN", "AUX", "NUL"};
    size_t stem = strcspn(name, ".");
    for (size_t i = 0; i < HP_COUNT(devices); i++)
        if (stem == 3 && strncasecmp(name, devices[i], 3) == 0)
            return true;
    return stem == 4 && (strncasecmp(name, "COM", 3) == 0 || strncasecmp(name, "LPT", 3) == 0) &&
           name[3] >= '1' && name[3] <= '9';
}

bool hp_path_portable(const char *name, char out[HP_NAME_MAX + 1])
{
    size_t stem = is_device(name) ? strcspn(name, ".") : 0;
    int room = HP_NAME_MAX - (stem > 0);
    int length =
        snprintf(out, HP_NAME_MAX + 1, "%.*s%s%.*s", (int)stem, name, stem > 0 ? "_" : "",
                 (int)hp_utf8_prefix(name + stem, strlen(name + stem), (size_t)room - stem), name + stem);
    for (char *p = out; *p != '\0'; p++)
        if (strchr("<>:\"\\|?*", *p) != NULL)
            *p = '_';
    for (char *end = out + length; end > out && (end[-1] == '.' || end[-1] == ' '); end--)
        end[-1] = '_';
    return strcmp(name, out) != 0;
}

static bool unreserved(unsigned char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' ||
           c == '.' || c == '_' || c == '~';
}

char *hp_path_encode(const char *text, size_t length, bool keep_slash)
{
    static const char digits[] = "0123456789ABCDEF";
    char *out = hp_alloc_array(length + 1, 3), *p = out;
    for (size_t i = 0; i < length; i++) {
        unsigned char c = (unsigned char)text[i];
        if (unreserved(c) || (keep_slash && c == '/')) {
            *p++ = (char)c;
        } else {
            *p++ = '%';
            *p++ = digits[c >> 4];
            *p++ = digits[c & 15];
        }
    }
    *p = '\0';
    return out;
}

static int hex_value(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    if (c >= 'a' && c <= 'f')
        return c - 'a' + 10;
    if (c >= 'A' && c <= 'F')
        return c - 'A' + 10;
    return -1;
}

int hp_path_decode(const char *text, size_t length, char *out, size_t size, size_t *out_length)
{
    size_t used = 0;
    for (size_t i = 0; i < length; i++) {
        int c = (unsigned char)text[i];
        if (c == '%') {
            if (length - i < 3 || hex_value(text[i + 1]) < 0 || hex_value(text[i + 2]) < 0)
                return HP_E_INVALID;
            c = hex_value(text[i + 1]) * 16 + hex_value(text[i + 2]);
            i += 2;
        }
        if (c == 0)
            return HP_E_INVALID;
        if (used + 1 >= size)
            return HP_E_TOO_LARGE;
        out[used++] = (char)c;
    }
    if (size == 0)
        return HP_E_TOO_LARGE;
    out[used] = '\0';
    *out_length = used;
    return 0;
}

void hp_hex_encode(const uint8_t *data, size_t length, char *out)
{
    static const char digits[] = "0123456789abcdef";
    for (size_t i = 0; i < length; i++) {
        *out++ = digits[data[i] >> 4];
        *out++ = digits[data[i] & 15];
    }
    *out = '\0';
}

int hp_hex_decode(const char *text, uint8_t *out, size_t length)
{
    for (size_t i = 0; i < length; i++) {
        int high = hex_value(text[2 * i]), low = high < 0 ? -1 : hex_value(text[2 * i + 1]);
        if (low < 0)
            return HP_E_INVALID;
        out[i] = (uint8_t)(high * 16 + low);
    }
    return text[2 * length] == '\0' ? 0 : HP_E_INVALID;
}

/* Sorted by extension. Text types carry no charset: nobody knows it. */
static const struct {
    const char *extension, *type;
} media_types[] = {
    {"7z", "application/x-7z-compressed"},
    {"aac", "audio/aac"},
    {"apk", "application/vnd.android.package-archive"},
    {"avi", "video/x-msvideo"},
    {"avif", "image/avif"},
    {"bmp", "image/bmp"},
    {"bz2", "application/x-bzip2"},
    {"c", "text/plain"},
    {"conf", "text/plain"},
    {"css", "text/css"},
    {"csv", "text/csv"},
    {"deb", "application/vnd.debian.binary-package"},
    {"doc", "application/msword"},
    {"docx", "application/vnd.openxmlformats-officedocument.wordprocessingml.document"},
    {"epub", "application/epub+zip"},
    {"flac", "audio/flac"},
    {"gif", "image/gif"},
    {"gz", "application/gzip"},
    {"h", "text/plain"},
    {"heic", "image/heic"},
    {"htm", "text/html"},
    {"html", "text/html"},
    {"ico", "image/vnd.microsoft.icon"},
    {"ini", "text/plain"},
    {"iso", "application/x-iso9660-image"},
    {"jpeg", "image/jpeg"},
    {"jpg", "image/jpeg"},
    {"js", "text/javascript"},
    {"json", "application/json"},
    {"jxl", "image/jxl"},
    {"log", "text/plain"},
    {"m4a", "audio/mp4"},
    {"m4v", "video/mp4"},
    {"md", "text/markdown"},
    {"mid", "audio/midi"},
    {"mjs", "text/javascript"},
    {"mka", "audio/x-matroska"},
    {"mkv", "video/x-matroska"},
    {"mov", "video/quicktime"},
    {"mp3", "audio/mpeg"},
    {"mp4", "video/mp4"},
    {"mpeg", "video/mpeg"},
    {"mpg", "video/mpeg"},
    {"odp", "application/vnd.oasis.opendocument.presentation"},
    {"ods", "application/vnd.oasis.opendocument.spreadsheet"},
    {"odt", "application/vnd.oasis.opendocument.text"},
    {"oga", "audio/ogg"},
    {"ogg", "audio/ogg"},
    {"ogv", "video/ogg"},
    {"opus", "audio/ogg"},
    {"pdf", "application/pdf"},
    {"png", "image/png"},
    {"ppt", "application/vnd.ms-powerpoint"},
    {"pptx", "application/vnd.openxmlformats-officedocument.presentationml.presentation"},
    {"py", "text/x-python"},
    {"rar", "application/vnd.rar"},
    {"rpm", "application/x-rpm"},
    {"rtf", "application/rtf"},
    {"sh", "application/x-sh"},
    {"srt", "application/x-subrip"},
    {"svg", "image/svg+xml"},
    {"tar", "application/x-tar"},
    {"tgz", "application/gzip"},
    {"tif", "image/tiff"},
    {"tiff", "image/tiff"},
    {"toml", "application/toml"},
    {"torrent", "application/x-bittorrent"},
    {"ts", "video/mp2t"},
    {"tsv", "text/tab-separated-values"},
    {"ttf", "font/ttf"},
    {"txt", "text/plain"},
    {"vtt", "text/vtt"},
    {"wasm", "application/wasm"},
    {"wav", "audio/wav"},
    {"weba", "audio/webm"},
    {"webm", "video/webm"},
    {"webp", "image/webp"},
    {"woff", "font/woff"},
    {"woff2", "font/woff2"},
    {"xls", "application/vnd.ms-excel"},
    {"xlsx", "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"},
    {"xml", "application/xml"},
    {"xz", "application/x-xz"},
    {"yaml", "application/yaml"},
    {"yml", "application/yaml"},
    {"zip", "application/zip"},
    {"zst", "application/zstd"},
};

const char *hp_path_media_type(const char *name)
{
    const char *file = hp_path_name(name), *dot = strrchr(file, '.');
    size_t low = 0, high = dot != NULL && dot != file ? HP_COUNT(media_types) : 0;
    while (low < high) {
        size_t middle = (low + high) / 2;
        int order = strcasecmp(dot + 1, media_types[middle].extension);
        if (order == 0)
            return media_types[middle].type;
        if (order < 0)
            high = middle;
        else
            low = middle + 1;
    }
    return "application/octet-stream";
}
