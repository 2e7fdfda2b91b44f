// libs: base
/* Range and Content-Range: what is served lies inside the file. The first 8 bytes are the file's size. */
#include <stdlib.h>
#include <string.h>

#include "base/range.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    uint64_t file, total;
    hp_range_t ranges[HP_RANGES_MAX], range;
    size_t count = 0;
    if (size < sizeof file)
        return 0;
    memcpy(&file, data, sizeof file);
    file >>= data[0] & 63; /* small files as well */
    const char *value = (const char *)data + sizeof file;
    size_t length = size - sizeof file;
    if (hp_range_parse(value, length, file, ranges, &count) == HP_RANGE_OK) {
        if (count == 0 || count > HP_RANGES_MAX)
            abort();
        for (size_t i = 0; i < count; i++)
            if (ranges[i].first >= ranges[i].end || ranges[i].end > file)
                abort();
    }
    if (hp_range_parse_content(value, length, &range, &total) == 0 && range.first != HP_RANGE_UNKNOWN &&
        (range.first >= range.end || (total != HP_RANGE_UNKNOWN && range.end > total)))
        abort();
    hp_etag_is_strong(value, length);
    hp_etag_list_matches(value, length, "\"abc\"", true);
    hp_etag_list_matches(value, length, "\"abc\"", false);
    return 0;
}
