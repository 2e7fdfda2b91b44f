// libs: peer path os base
/* The body of a PROPFIND: whatever is taken keeps its bounds, and names properties so that the answer that
 * names them again can be read. */
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "base/utf8.h"
#include "peer/multistatus.h"
#include "peer/propfind.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* The answer names what it does not have as a question that is no other than this one. */
static void ask_again(const hp_propfind_t *wanted)
{
    static const char head[] = "<D:propfind xmlns:D=\"DAV:\"><D:prop>", tail[] = "</D:prop></D:propfind>";
    const struct stat st = {.st_mtim = {.tv_sec = 1}};
    hp_propfind_t again, others = *wanted;
    hp_buf_t out;
    hp_err_t err;
    others.kind = HP_PROPFIND_SOME;
    memset(others.some, 0, sizeof others.some);
    hp_buf_init(&out, 200000);
    hp_dav_resource_t resource = {.href = "/", .name = "n", .is_folder = true, .stat = &st};
    if (hp_multistatus_add(&out, &resource, &others) != 0)
        abort();
    char *from = strstr(out.data, "<D:prop>"), *to = strstr(out.data, "</D:prop>");
    if (from == NULL || to == NULL)
        abort();
    char *body = hp_sprintf("%s%.*s%s", head, (int)(to - from) - 8, from + 8, tail);
    if (hp_propfind_parse(&again, body, strlen(body), &err) != 0 ||
        again.others.count != wanted->others.count)
        abort();
    for (size_t i = 0; i < again.others.count; i++)
        if (strcmp(again.others.items[i].space, wanted->others.items[i].space) != 0 ||
            strcmp(again.others.items[i].name, wanted->others.items[i].name) != 0)
            abort();
    hp_propfind_dispose(&again);
    hp_buf_dispose(&out);
    free(body);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    hp_propfind_t wanted;
    hp_err_t err;
    if (hp_propfind_parse(&wanted, data, size, &err) != 0)
        return 0;
    if (wanted.others.count > HP_PROPFIND_OTHERS_MAX || wanted.other_bytes > HP_PROPFIND_OTHERS_BYTES)
        abort();
    for (size_t i = 0; i < wanted.others.count; i++)
        if (!hp_utf8_valid(wanted.others.items[i].name, strlen(wanted.others.items[i].name)) ||
            !hp_utf8_valid(wanted.others.items[i].space, strlen(wanted.others.items[i].space)))
            abort();
    if (wanted.others.count > 0)
        ask_again(&wanted);
    hp_propfind_dispose(&wanted);
    return 0;
}
