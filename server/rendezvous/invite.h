/* An invite: what one member hands to somebody who is to join the group.
 *
 *     hostpair://join/<host:port>/<56 characters>
 *
 * The characters are base32 (RFC 4648, lower case, without padding) of 35 bytes: version (1), the group's
 * secret (16), the first 16 bytes of the hub's fingerprint, and a check (the last 2 bytes of the CRC-32 of
 * everything before it, host:port included) that finds a mistyped character. Whoever has an invite is a
 * member. Any thread; pure functions. */
#ifndef HP_RENDEZVOUS_INVITE_H
#define HP_RENDEZVOUS_INVITE_H

#include <stdint.h>

#include "base/err.h"

#define HP_INVITE_SIZE     360 /* of the text, with NUL */
#define HP_INVITE_HUB_SIZE 272 /* host:port, with NUL */

typedef struct hp_invite {
    char hub[HP_INVITE_HUB_SIZE]; /* "hub.example.org:9010", "[2001:db8::1]:9010" */
    uint8_t secret[16];
    uint8_t hub_fingerprint[16]; /* the first half of it */
} hp_invite_t;

#define HP_HUB_DEFAULT_PORT 9010

void hp_invite_write(const hp_invite_t *invite, char text[HP_INVITE_SIZE]);

/* Blanks around and line breaks within the text are ignored, letters may be upper case. HP_E_INVALID saying
 * what is wrong: no invite, of a newer version, or mistyped. */
int hp_invite_read(const char *text, hp_invite_t *invite, hp_err_t *err);

/* "HOST[:PORT]" as a person writes a hub's address, in the form that an invite has it. HP_E_INVALID. */
int hp_invite_hub_parse(const char *text, char hub[HP_INVITE_HUB_SIZE], hp_err_t *err);

/* The parts of what hp_invite_hub_parse made: the host without brackets, and the port. */
void hp_invite_hub_split(const char *hub, char host[HP_INVITE_HUB_SIZE], uint16_t *port);

#endif
