/* The JSON of an offer, as another host or the guest page sends it:
 *
 *     {"name","pin","token","files":[{"id","name","size","type","sha256","folder"}]}
 *
 * Unknown fields are ignored. Pure; any thread. */
#ifndef HP_INBOX_BODY_H
#define HP_INBOX_BODY_H

#include "inbox/inbox.h"

#define HP_INBOX_BODY_MAX ((size_t)4 * 1024 * 1024) /* bytes */

typedef struct hp_inbox_body {
    const char *name, *pin; /* NULL: not given */
    const char *token;      /* HP_INBOX_TOKEN_SIZE - 1 lower-case hex digits; NULL: not given */
    hp_inbox_offer_file_t *files;
    size_t count;
    struct json_t *json; /* holds the texts */
} hp_inbox_body_t;

/* 0, HP_E_BAD_JSON, HP_E_INVALID naming what is wrong, HP_E_TOO_LARGE. What a file may be called is checked
 * by hp_inbox_offer. After 0 the caller disposes of it. */
int hp_inbox_body_parse(const char *data, size_t length, hp_inbox_body_t *body, hp_err_t *err);
void hp_inbox_body_dispose(hp_inbox_body_t *body);

#endif
