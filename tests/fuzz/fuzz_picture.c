// libs: inbox transfer share fetch secure store db identity path pool os base
/* The small picture of an offer: what is shown is a JPEG, and small. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "inbox/picture.h"

#include "promise.h"

#define START "data:image/jpeg;base64,"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    /* Most inputs begin as a picture does; the others are taken as they are. */
    const char *start = size > 0 && data[0] == '!' ? "" : START;
    size_t skipped = *start == '\0' ? 1 : 0, used = strlen(start);
    char *url = malloc(used + size + 1);
    promise(url != NULL);
    memcpy(url, start, used);
    if (size > 0)
        memcpy(url + used, data + HP_MIN(skipped, size), size - HP_MIN(skipped, size));
    url[used + size - HP_MIN(skipped, size)] = '\0';
    if (hp_picture_fits(url)) {
        promise(strncmp(url, START "/9", strlen(START) + 2) == 0);
        promise(strlen(url) <= HP_PICTURE_MAX);
        promise(url[strcspn(url, "<>\"'& \t\r\n")] == '\0'); /* it is safe in an attribute */
    }
    free(url);
    return 0;
}
