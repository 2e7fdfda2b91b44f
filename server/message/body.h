/* The body of POST /message, read and written. What is read comes from a stranger: every field is checked and
 * bounded here, and nowhere else. Any thread. */
#ifndef HP_MESSAGE_BODY_H
#define HP_MESSAGE_BODY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"

#define HP_MESSAGE_TEXT_MAX  4000 /* code points */
#define HP_MESSAGE_UID_MAX   128  /* bytes */
#define HP_MESSAGE_NAME_SIZE 256

/* A file that the sender offers: it is downloaded like any other one of that host. */
typedef struct hp_message_offer {
    char *path;    /* in the sender's share */
    int64_t size;  /* bytes */
    char root[65]; /* 64 hex digits; "" unknown */
} hp_message_offer_t;

typedef struct hp_message_body {
    char uid[HP_MESSAGE_UID_MAX + 1]; /* `id`: printable ASCII, given by the sender */
    char from[33];                    /* the sending host's id */
    char to[33];                      /* the id of the host that it is meant for; "" when not said */
    char name[HP_MESSAGE_NAME_SIZE];  /* the sender's name, cleaned; "" when not said */
    char *text;                       /* valid UTF-8 without NUL, not empty unless there is an offer */
    int64_t sent_at;                  /* wall ms by the sender's clock, in the years 0 to 9999 */
    bool has_offer;
    hp_message_offer_t offer;
} hp_message_body_t;

/* Reads a body. 0 with the fields for hp_message_body_dispose; HP_E_BAD_JSON; HP_E_INVALID naming the field
 * that is missing or wrong, with nothing to dispose. Fields that it does not know are passed over. */
int hp_message_body_parse(const char *data, size_t length, hp_message_body_t *body, hp_err_t *err);

/* The JSON of a body, malloced. */
char *hp_message_body_format(const hp_message_body_t *body);

void hp_message_body_dispose(hp_message_body_t *body);

/* Whether a text may be sent: HP_E_INVALID naming the field `text`. */
int hp_message_check_text(const char *text, size_t length, bool has_offer, hp_err_t *err);

#endif
