/* What LocalSend programs say to one another (protocol 2.1, https://github.com/localsend/protocol): JSON read
 * and written. All text that is read is bounded, valid UTF-8 and still untrusted. Pure; any thread. */
#ifndef HP_LOCALSEND_MESSAGE_H
#define HP_LOCALSEND_MESSAGE_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/array.h"
#include "base/err.h"
#include "inbox/inbox.h"

#define HP_LOCALSEND_PORT         53317 /* TCP and UDP */
#define HP_LOCALSEND_GROUP        "224.0.0.167"
#define HP_LOCALSEND_VERSION      "2.1"
#define HP_LOCALSEND_DATAGRAM_MAX 2048 /* bytes; a longer one is none of LocalSend's */

#define HP_LOCALSEND_TYPE_SIZE 12

/* A device, as it describes itself. */
typedef struct hp_localsend_device {
    char alias[HP_INBOX_TEXT_MAX + 1];       /* printable, cut */
    char fingerprint[HP_INBOX_TEXT_MAX + 1]; /* "": none given */
    char type[HP_LOCALSEND_TYPE_SIZE];       /* one that the protocol names; "" */
    char model[HP_INBOX_TEXT_MAX + 1];       /* printable, cut; "" */
    uint16_t port;                           /* 0: none given */
    bool https;
    bool announces; /* it wants answers */
} hp_localsend_device_t;

/* A datagram, or the body of a register. 0, or HP_E_BAD_JSON or HP_E_INVALID with the words in err. */
int hp_localsend_read_device(hp_localsend_device_t *out, const void *data, size_t length, hp_err_t *err);

/* The body of a prepare-upload. */
typedef struct hp_localsend_offer {
    hp_localsend_device_t from;
    HP_ARRAY(hp_inbox_offer_file_t) files; /* their texts belong to json */
    json_t *json;
} hp_localsend_offer_t;

/* 0 with *out to be disposed of, or a code as above with nothing in it; HP_E_TOO_LARGE for more than
 * HP_INBOX_FILES_MAX files. Names are the inbox's to judge. */
int hp_localsend_read_offer(hp_localsend_offer_t *out, const void *data, size_t length, hp_err_t *err);
void hp_localsend_offer_dispose(hp_localsend_offer_t *self);

/* The answer to a prepare-upload that is accepted: the session, and a token for each file that is wanted. */
typedef struct hp_localsend_accepted {
    char session[HP_INBOX_TEXT_MAX + 1];
    json_t *json;
} hp_localsend_accepted_t;

/* 0 with *out to be disposed of; HP_E_BAD_JSON or HP_E_INVALID with nothing in it. */
int hp_localsend_read_accepted(hp_localsend_accepted_t *out, const void *data, size_t length, hp_err_t *err);
/* NULL: the file of this id is not wanted. Of 1 to HP_INBOX_TEXT_MAX bytes. */
const char *hp_localsend_token(const hp_localsend_accepted_t *self, const char *id);
void hp_localsend_accepted_dispose(hp_localsend_accepted_t *self);

/* This host. */
typedef struct hp_localsend_self {
    const char *alias;
    const char *fingerprint;
    uint16_t port;
} hp_localsend_self_t;

typedef enum {
    HP_LOCALSEND_INFO,     /* the answer to info and register */
    HP_LOCALSEND_ANNOUNCE, /* a datagram that asks for answers */
    HP_LOCALSEND_ANSWER,   /* a datagram that is one */
} hp_localsend_say_t;
json_t *hp_localsend_describe(const hp_localsend_self_t *self, hp_localsend_say_t say);

#endif
