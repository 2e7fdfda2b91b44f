/* What a hub says, read from its JSON into values; and what it is sent. A hub is not trusted: everything is
 * bounded and checked here, and whether a member is one is checked with its proof. Pure functions. */
#ifndef HP_RENDEZVOUS_WIRE_H
#define HP_RENDEZVOUS_WIRE_H

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"
#include "path/endpoint.h"
#include "rendezvous/invite.h"
#include "tunnel/signalling.h"

#define HP_MEMBER_NAME_SIZE 256
#define HP_LIST_ETAG_SIZE   72

typedef struct hp_wire_member {
    char id[HP_PEER_ID_SIZE]; /* of the fingerprint */
    uint8_t fingerprint[HP_FINGERPRINT_SIZE];
    char name[HP_MEMBER_NAME_SIZE]; /* printable */
    uint8_t proof[32];
    bool online;
    char list_etag[HP_LIST_ETAG_SIZE]; /* "": it has left no list */
    uint64_t list_size;
} hp_wire_member_t;

/* One member. HP_E_PROTOCOL naming the field; also when its id is not that of its fingerprint. */
int hp_wire_member(const json_t *json, hp_wire_member_t *out, hp_err_t *err);

/* The group that an event is about; 0 or HP_E_PROTOCOL. */
int hp_wire_group(const json_t *json, uint8_t gid[16], hp_err_t *err);
/* A field that holds a host's id. */
int hp_wire_id(const json_t *json, const char *field, char id[HP_PEER_ID_SIZE], hp_err_t *err);

/* "list": {"etag","size"} or null, of a member or of an event. */
int hp_wire_list(const json_t *json, char etag[HP_LIST_ETAG_SIZE], uint64_t *size, hp_err_t *err);

/* The session, mapping and candidates of an `offer` or `go` event. Candidates beyond HP_CANDIDATES_MAX and
 * those of a kind that is not known are left out. */
int hp_wire_offer(const json_t *json, hp_offer_t *out, hp_err_t *err);
int hp_wire_go(const json_t *json, hp_go_t *out, hp_err_t *err);

/* The body of POST .../links; the caller json_decref()s. */
json_t *hp_wire_offer_json(const char *to, const hp_offer_t *offer);

/* A relay's token, and its address as "HOST:PORT", "" when it is the hub's own. */
int hp_wire_relay(const json_t *json, char token[HP_RELAY_TOKEN + 1], char address[HP_INVITE_HUB_SIZE],
                  hp_err_t *err);

#endif
