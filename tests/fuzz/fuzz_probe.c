// libs: discovery fetch store db path base
/* The answer to GET /hostpair: id and name are bounded, valid and without control characters. */
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "base/utf8.h"
#include "discovery/probe.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check(const hp_probe_answer_t *answer)
{
    size_t length = strlen(answer->name);
    if (length >= HP_HOST_NAME_SIZE || !hp_utf8_valid(answer->name, length) ||
        hp_utf8_has_control(answer->name, length))
        abort();
    if (!hp_probe_is_id(answer->id) && strncmp(answer->id, "addr-", 5) != 0)
        abort();
    if (answer->files < -1 || answer->bytes < -1 || answer->protocol < 0)
        abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    hp_probe_answer_t answer;
    hp_err_t err = {0};
    char *text = hp_strndup((const char *)data, size); /* ends at a NUL, as a header does */
    char *body = hp_alloc(size + 1);
    memcpy(body, data, size);
    hp_endpoint_t v4, v6;
    if (hp_endpoint_parse("10.0.0.1", 9000, &v4, NULL) != 0 ||
        hp_endpoint_parse("fe80::1%eth0", 9000, &v6, NULL) != 0)
        abort();
    if (hp_probe_parse(body, size, "", "", &v4, &answer, &err) == 0)
        check(&answer);
    if (hp_probe_parse("", 0, text, text, &v6, &answer, &err) == 0)
        check(&answer);
    free(body);
    free(text);
    return 0;
}
