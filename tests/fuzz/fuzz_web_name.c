// libs: transfer base
/* What a web server says of a file's name: whatever it says, what comes out is a name. */
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "transfer/web_name.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check(const char *name)
{
    if (hp_path_check(name, strlen(name), NULL) != 0 || strchr(name, '/') != NULL)
        abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char name[HP_NAME_MAX + 1], origin[80];
    char *text = hp_strndup((const char *)data, size);
    hp_web_name_of_url(text, name);
    check(name);
    if (hp_web_name_of_disposition(text, name))
        check(name);
    hp_web_is_attachment(text);
    hp_web_is_page(text, text);
    hp_web_origin(text, origin, sizeof origin);
    free(text);
    return 0;
}
