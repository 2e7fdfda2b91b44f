#include "url_path.h"

#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "base/path.h"

static bool decode_segment(const char *encoded, size_t length, char *out, size_t size, size_t *used)
{
    return hp_path_decode(encoded, length, out, size, used) == 0 && memchr(out, '/', *used) == NULL;
}

char *hp_url_path_decode(const char *encoded)
{
    size_t size = HP_MIN(strlen(encoded), (size_t)HP_PATH_MAX) + 1, used = 0;
    char *out = hp_alloc(size);
    for (const char *at = encoded;;) {
        size_t length = strcspn(at, "/"), n;
        if (!decode_segment(at, length, out + used, size - used, &n)) {
            free(out);
            return NULL;
        }
        used += n;
        at += length;
        if (*at == '\0')
            return out;
        if (used + 1 >= size) {
            free(out);
            return NULL;
        }
        out[used++] = *at++;
    }
}

bool hp_url_path_first(const char *encoded, char *out, size_t size, const char **rest)
{
    size_t length = strcspn(encoded, "/"), used;
    *rest = encoded[length] == '/' ? encoded + length + 1 : NULL;
    return decode_segment(encoded, length, out, size, &used);
}
