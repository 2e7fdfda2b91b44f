// libs: peer base
/* A form with files: the first byte says in which pieces it comes; the events are the same for any pieces. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "peer/multipart.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* A sum over the events that does not depend on how data was cut. */
static uint64_t read_form(const uint8_t *data, size_t size, size_t piece)
{
    hp_multipart_t form;
    uint64_t sum = 1469598103934665603u, bytes = 0;
    hp_multipart_event_t event = HP_MULTIPART_MORE;
    if (hp_multipart_init(&form, "multipart/form-data; boundary=x", NULL) != 0)
        abort();
    for (size_t at = 0; at < size && event == HP_MULTIPART_MORE;) {
        size_t n = size - at < piece ? size - at : piece;
        hp_multipart_feed(&form, data + at, n);
        at += n;
        while ((event = hp_multipart_next(&form)) != HP_MULTIPART_MORE) {
            if (event == HP_MULTIPART_OVER || event == HP_MULTIPART_BAD)
                break;
            if (event == HP_MULTIPART_DATA) {
                for (size_t i = 0; i < form.length; i++)
                    sum = (sum ^ (uint8_t)form.data[i]) * 1099511628211u;
                bytes += form.length;
                continue;
            }
            if (event == HP_MULTIPART_PART && form.name == NULL)
                abort();
            sum = (sum ^ event ^ bytes) * 1099511628211u;
        }
    }
    hp_multipart_dispose(&form);
    if (bytes > size)
        abort();
    return event == HP_MULTIPART_BAD || event == HP_MULTIPART_OVER ? sum ^ event : 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size == 0)
        return 0;
    size_t piece = data[0] % 64 + 1;
    if (read_form(data + 1, size - 1, piece) != read_form(data + 1, size - 1, size))
        abort();
    return 0;
}
