// libs: discovery fetch store db path base
/* Lines of a file list, JSON and text: a path that is taken can be used below a folder. */
#include <stdlib.h>
#include <string.h>

#include "base/path.h"
#include "discovery/file_list.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check(const hp_remote_entry_t *entry)
{
    if (hp_path_check(entry->path, strlen(entry->path), NULL) != 0 || hp_path_is_part(entry->path))
        abort();
    if (entry->size < HP_REMOTE_NO_SIZE)
        abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static char path[HP_PATH_MAX + 1];
    hp_remote_entry_t entry;
    hp_err_t err = {0};
    if (hp_file_list_parse_json((const char *)data, size, path, &entry, &err) == 0)
        check(&entry);
    if (hp_file_list_parse_text((const char *)data, size, path, &entry, &err) == 0) {
        check(&entry);
        if (strchr(entry.path, '/') != NULL)
            abort();
    }
    return 0;
}
