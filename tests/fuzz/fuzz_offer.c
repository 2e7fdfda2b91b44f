// libs: inbox transfer share fetch secure store db identity path pool os base
/* The JSON of an offer: whatever is taken keeps its promises. */
#include <stdlib.h>
#include <string.h>

#include "inbox/body.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    hp_inbox_body_t body;
    hp_err_t err = {0};
    int rc = hp_inbox_body_parse((const char *)data, size, &body, &err);
    if (rc != 0) {
        if (err.code != rc || err.detail[0] == '\0' || body.files != NULL)
            abort();
        return 0;
    }
    if (body.count > HP_INBOX_FILES_MAX)
        abort();
    for (size_t i = 0; i < body.count; i++)
        if (body.files[i].id == NULL || body.files[i].name == NULL ||
            (!body.files[i].folder && body.files[i].size > INT64_MAX))
            abort();
    hp_inbox_body_dispose(&body);
    return 0;
}
