/* A row of the share as one line of JSON, as GET /list and the lists at hubs have it. Any thread. */
#ifndef HP_SHARE_ROW_JSON_H
#define HP_SHARE_ROW_JSON_H

#include "base/buf.h"
#include "share/share.h"

/* {"path","size","mtime","type","root"} and a line feed. 0, or HP_E_TOO_LARGE with a part of it added. */
int hp_share_row_add_json(hp_buf_t *out, const hp_share_row_t *row);

#endif
