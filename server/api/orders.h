/* What the bodies of requests ask for, read and checked as a whole before anything is done. Each takes a JSON
 * object; what is read points into it. 0, or HP_E_INVALID with words that begin with the field. Pure. */
#ifndef HP_API_ORDERS_H
#define HP_API_ORDERS_H

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"
#include "path/host_name.h"
#include "settings/settings.h"
#include "transfer/transfer.h"

/* ---- POST /downloads ---- */

typedef struct hp_api_download {
    hp_download_order_t order;
    char *headers; /* owned: order's */
    char *url;     /* owned: order's, with user and password; NULL: as in the body */
} hp_api_download_t;

/* Empty where it fails. */
int hp_api_read_download(const json_t *body, hp_api_download_t *out, hp_err_t *err);
void hp_api_download_dispose(hp_api_download_t *download);

/* ---- PATCH /downloads/{id} ---- */

typedef struct hp_api_download_change {
    enum { HP_API_STATE_AS_IT_IS, HP_API_STATE_PAUSED, HP_API_STATE_QUEUED } state;
    const char *url, *certificate; /* NULL: the same */
    char *headers;                 /* owned; NULL: the same */
    bool has_priority, has_limit;
    int priority;
    uint64_t limit_bps;
} hp_api_download_change_t;

/* To be disposed also where it fails. */
int hp_api_read_download_change(const json_t *body, hp_api_download_change_t *out, hp_err_t *err);
void hp_api_download_change_dispose(hp_api_download_change_t *change);

/* ---- POST /groups: hub and name, or invite ---- */

typedef struct hp_api_group {
    const char *hub, *name, *invite, *token; /* NULL: not given */
} hp_api_group_t;

int hp_api_read_group(const json_t *body, hp_api_group_t *out, hp_err_t *err);

/* ---- POST /hosts ---- */

int hp_api_read_host(const json_t *body, hp_host_name_t *out, hp_err_t *err);

/* ---- PATCH /settings (settings.c) ---- */

/* HP_E_CONFLICT as well: an option forbids the value. */
int hp_api_read_settings(json_t *body, hp_settings_change_t *change, hp_err_t *err);

#endif
