// libs: archive base
/* A bundle as another host may send it: only plain files come out, with names and bytes that lie in what was
 * given, and reading ends. */
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "archive/reader.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void must(bool holds)
{
    if (!holds)
        abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    hp_archive_reader_t *reader = NULL;
    hp_archive_file_t file;
    hp_err_t err = {0};
    int rc = hp_archive_reader_create(&reader, data, size, &err);
    must((rc == 0) == (reader != NULL) && (rc == 0 || err.detail[0] != '\0'));
    size_t sum = 0, files = 0;
    while (rc == 0 && (rc = hp_archive_reader_next(reader, &file, &err)) > 0) {
        const void *bytes = NULL;
        must(file.name != NULL && strlen(file.name) <= size && ++files <= size / 512);
        rc = 0;
        if (file.size == 0 || files % 3 == 0) /* some are passed over */
            continue;
        rc = hp_archive_reader_bytes(reader, &file, &bytes, &err);
        if (rc == 0) {
            const uint8_t *at = bytes;
            must(at >= data && file.size <= size && at + file.size <= data + size);
            sum += at[0] + (size_t)at[file.size - 1];
        }
    }
    must(rc == 0 || (rc == HP_E_PROTOCOL && err.code == rc && err.detail[0] != '\0'));
    hp_archive_reader_destroy(reader);
    return sum == SIZE_MAX; /* never; the bytes were looked at */
}
