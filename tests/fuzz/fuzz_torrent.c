// libs: peer share path os base
/* The metainfo file of a shared file: whatever its name, size and root and the client's Host field are, what
 * is written is bencoding in its one canonical form, and says these things when it is read back. The first 8
 * bytes are the size, the next 32 the root; then come the Host field, a NUL, and the path. */
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "base/path.h"
#include "peer/metainfo.h"

#include "promise.h"

#define LAYER_MAX                                                                                            \
    ((uint64_t)4096) /* digests that are put in; of larger layers only the length is written                 \
                      */

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* ---- a reader of bencoding (BEP 3), which takes nothing but the canonical form ---- */

typedef struct {
    const uint8_t *p, *end;
} reader_t;

typedef struct {
    const uint8_t *bytes;
    uint64_t length;
} string_t;

static void read_char(reader_t *in, char c)
{
    promise(in->p < in->end && *in->p == (uint8_t)c);
    in->p++;
}

static uint64_t read_digits(reader_t *in)
{
    const uint8_t *start = in->p;
    uint64_t n = 0;
    for (; in->p < in->end && *in->p >= '0' && *in->p <= '9'; in->p++)
        promise(!__builtin_mul_overflow(n, 10u, &n) &&
                !__builtin_add_overflow(n, (uint64_t)(*in->p - '0'), &n));
    promise(in->p > start && (in->p == start + 1 || *start != '0'));
    return n;
}

static uint64_t read_number(reader_t *in)
{
    read_char(in, 'i');
    uint64_t n = read_digits(in);
    read_char(in, 'e');
    promise(n <= INT64_MAX);
    return n;
}

static string_t read_string(reader_t *in)
{
    string_t s = {.length = read_digits(in)};
    read_char(in, ':');
    promise(s.length <= (uint64_t)(in->end - in->p));
    s.bytes = in->p;
    in->p += s.length;
    return s;
}

static void read_text(reader_t *in, const char *text)
{
    string_t s = read_string(in);
    promise(s.length == strlen(text) && memcmp(s.bytes, text, s.length) == 0);
}

static void read_bytes(reader_t *in, const uint8_t *bytes, size_t length)
{
    string_t s = read_string(in);
    promise(s.length == length && memcmp(s.bytes, bytes, length) == 0);
}

/* Whatever value it is: keys go up, and nothing is nested without end. */
static void skip_value(reader_t *in, unsigned depth)
{
    promise(in->p < in->end && depth < 8);
    if (*in->p == 'i') {
        read_number(in);
        return;
    }
    if (*in->p != 'd') {
        read_string(in);
        return;
    }
    string_t last = {0};
    for (read_char(in, 'd'); in->p < in->end && *in->p != 'e';) {
        string_t key = read_string(in);
        uint64_t common = HP_MIN(key.length, last.length);
        int order = common > 0 ? memcmp(key.bytes, last.bytes, common) : 0;
        promise(last.bytes == NULL || order > 0 || (order == 0 && key.length > last.length));
        last = key;
        skip_value(in, depth + 1);
    }
    read_char(in, 'e');
}

/* ---- what is written ---- */

static void read_info(reader_t *in, const hp_metainfo_t *what)
{
    const char *name = hp_path_name(what->path);
    read_char(in, 'd');
    read_text(in, "file tree");
    read_char(in, 'd');
    read_text(in, name);
    read_char(in, 'd');
    read_text(in, "");
    read_char(in, 'd');
    read_text(in, "length");
    promise(read_number(in) == what->size);
    if (what->size > 0) {
        read_text(in, "pieces root");
        read_bytes(in, what->root, HP_SHA256_SIZE);
    }
    read_char(in, 'e');
    read_char(in, 'e');
    read_char(in, 'e');
    read_text(in, "meta version");
    promise(read_number(in) == 2);
    read_text(in, "name");
    read_text(in, name);
    read_text(in, "piece length");
    promise(read_number(in) == what->piece);
    read_char(in, 'e');
}

/* The web seed leads to the file's folder, at this host and nowhere else. */
static void check_url(string_t url, const hp_metainfo_t *what)
{
    char *text = hp_strndup((const char *)url.bytes, url.length), folder[HP_PATH_MAX + 1];
    char *start = hp_sprintf("http://%s/files/", what->authority);
    size_t length = strlen(start), decoded, wanted = (size_t)(hp_path_name(what->path) - what->path);
    promise(strlen(text) == url.length && strncmp(text, start, length) == 0 && text[url.length - 1] == '/');
    promise(strpbrk(text + strlen("http://"), "?#@\\ \"<>") == NULL);
    promise(hp_path_decode(text + length, url.length - length, folder, sizeof folder, &decoded) == 0);
    promise(decoded == wanted && memcmp(folder, what->path, wanted) == 0);
    free(start);
    free(text);
}

static void check_file(const uint8_t *file, size_t length, const hp_metainfo_t *what, const uint8_t *layer)
{
    reader_t all = {file, file + length}, in = all;
    skip_value(&all, 0);
    promise(all.p == all.end);
    read_char(&in, 'd');
    read_text(&in, "info");
    read_info(&in, what);
    read_text(&in, "piece layers");
    read_char(&in, 'd');
    if (what->layer_count > 0) {
        read_bytes(&in, what->root, HP_SHA256_SIZE);
        read_bytes(&in, layer, what->layer_count * HP_SHA256_SIZE);
    }
    read_char(&in, 'e');
    read_text(&in, "url-list");
    check_url(read_string(&in), what);
    read_char(&in, 'e');
    promise(in.p == in.end);
}

static void check_metainfo(const hp_metainfo_t *what)
{
    hp_buf_t text;
    size_t split, layer_length = what->layer_count * HP_SHA256_SIZE;
    hp_buf_init(&text, HP_METAINFO_MAX);
    promise(hp_metainfo_write(what, &text, &split) == 0 && split <= text.length);
    if (what->layer_count <= LAYER_MAX) {
        uint8_t *layer = hp_alloc(layer_length), *file = hp_alloc(text.length + layer_length);
        for (size_t i = 0; i < layer_length; i++)
            layer[i] = (uint8_t)(i * 31 + 'd');
        memcpy(file, text.data, split);
        memcpy(file + split, layer, layer_length);
        memcpy(file + split + layer_length, text.data + split, text.length - split);
        check_file(file, text.length + layer_length, what, layer);
        free(file);
        free(layer);
    }
    hp_buf_dispose(&text);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    hp_metainfo_t what = {.root = data + sizeof what.size};
    const uint8_t *host = what.root + HP_SHA256_SIZE, *end = data + size;
    if (size <= sizeof what.size + HP_SHA256_SIZE)
        return 0;
    memcpy(&what.size, data, sizeof what.size);
    what.size = (what.size & INT64_MAX) >> (data[0] & 63); /* small files as well */
    const uint8_t *nul = memchr(host, '\0', (size_t)(end - host));
    if (nul == NULL)
        return 0;
    size_t length = (size_t)(end - nul) - 1;
    if (!hp_metainfo_is_authority((const char *)host) ||
        hp_path_check((const char *)nul + 1, length, NULL) != 0)
        return 0;
    char *path = hp_strndup((const char *)nul + 1, length);
    what.authority = (const char *)host;
    what.path = path;
    what.piece = hp_chunk_size_for(what.size);
    what.layer_count = what.size > what.piece ? hp_merkle_layer_count(what.size, what.piece) : 0;
    check_metainfo(&what);
    free(path);
    return 0;
}
