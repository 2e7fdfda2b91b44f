// libs: base
/* Percent-encoding and the check of paths: what passes the check stays below a folder, what is encoded
 * decodes to itself. */
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "base/path.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const char *text = (const char *)data;
    static char out[HP_PATH_MAX + 1], again[3 * HP_PATH_MAX];
    size_t length = 0;
    if (hp_path_decode(text, size, out, sizeof out, &length) == 0) {
        if (length >= sizeof out || out[length] != '\0' || memchr(out, '\0', length) != NULL)
            abort();
        char *encoded = hp_path_encode(out, length, true);
        size_t back = 0;
        if (hp_path_decode(encoded, strlen(encoded), again, sizeof again, &back) != 0 || back != length ||
            memcmp(out, again, length) != 0)
            abort();
        free(encoded);
    }
    if (hp_path_check(text, size, NULL) == 0) {
        char *path = hp_strndup(text, size);
        if (path[0] == '/' || strstr(path, "//") != NULL || strncmp(path, "../", 3) == 0 ||
            strstr(path, "/../") != NULL || strcmp(path, "..") == 0)
            abort();
        char name[HP_NAME_MAX + 1];
        hp_path_part_name(hp_path_name(path), 7, name);
        if (!hp_path_is_part(name))
            abort();
        hp_path_candidate(hp_path_name(path), 3, name);
        if (hp_path_check(name, strlen(name), NULL) != 0)
            abort();
        free(path);
    }
    return 0;
}
