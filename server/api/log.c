/* GET /api/v1/log: the lines that are kept. */
#include <stdlib.h>

#include "api/internal.h"
#include "base/mem.h"

void hp_api_get_log(hp_api_t *api, hp_http_request_t *request, const char *arg)
{
    (void)api, (void)arg;
    hp_log_entry_t *entries = hp_alloc_array(HP_LOG_KEPT, sizeof *entries);
    int count = hp_log_read(0, entries, HP_LOG_KEPT);
    json_t *json = json_object(), *list = json_array();
    for (int i = 0; i < count; i++)
        json_array_append_new(list, hp_json_log_entry(&entries[i]));
    free(entries);
    json_object_set_new(json, "lines", list);
    hp_http_reply_json(request, 200, json);
}
