#include "share/row_json.h"

#include <inttypes.h>
#include <string.h>

#include "base/clock.h"
#include "base/path.h"

/* Paths are valid UTF-8 without control characters (hp_path_check), so two characters are left to escape. */
static int add_string(hp_buf_t *out, const char *text)
{
    int rc = hp_buf_add(out, "\"", 1);
    while (rc == 0) {
        size_t plain = strcspn(text, "\"\\");
        rc = hp_buf_add(out, text, plain);
        text += plain;
        if (rc != 0 || *text == '\0')
            break;
        rc = hp_buf_printf(out, "\\%c", *text++);
    }
    return rc == 0 ? hp_buf_add(out, "\"", 1) : rc;
}

int hp_share_row_add_json(hp_buf_t *out, const hp_share_row_t *row)
{
    char time[HP_RFC3339_SIZE];
    int rc = hp_buf_add_text(out, row->is_folder ? "{\"folder\":" : "{\"path\":");
    if (rc == 0)
        rc = add_string(out, row->path);
    if (rc == 0 && row->is_folder)
        return hp_buf_add_text(out, "}\n");
    if (rc == 0)
        rc =
            hp_buf_printf(out, ",\"size\":%" PRIu64 ",\"mtime\":\"%s\",\"type\":\"%s\",", row->size,
                          hp_clock_rfc3339(row->mtime_ms, time), hp_path_media_type(hp_path_name(row->path)));
    if (rc == 0 && row->executable)
        rc = hp_buf_add_text(out, "\"executable\":true,");
    if (rc == 0)
        rc = hp_buf_add_text(out, "\"root\":");
    if (rc != 0)
        return rc;
    return row->root[0] != '\0' ? hp_buf_printf(out, "\"%s\"}\n", row->root)
                                : hp_buf_add_text(out, "null}\n");
}
