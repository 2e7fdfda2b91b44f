/* What two hosts compute when they pair: the commitment to a nonce, and the six digits that two people
 * compare (see "Pairing" in server/peer/PROTOCOL.md). Pure functions but for hp_pairing_nonce, any thread. */
#ifndef HP_IDENTITY_PAIRING_CODE_H
#define HP_IDENTITY_PAIRING_CODE_H

#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"

#define HP_PAIRING_NONCE_SIZE 32 /* bytes; as many as a commitment has */
#define HP_PAIRING_DIGITS     6
#define HP_PAIRING_CODE_SIZE  (HP_PAIRING_DIGITS + 1)
#define HP_PAIRING_HEX_SIZE   (2 * HP_PAIRING_NONCE_SIZE + 1) /* a nonce or a commitment as text */

/* A new nonce, from the kernel's random numbers. 0 or a system code with the words in err. */
int hp_pairing_nonce(uint8_t out[HP_PAIRING_NONCE_SIZE], hp_err_t *err);

/* The SHA-256 of a nonce. */
void hp_pairing_commit(const uint8_t nonce[HP_PAIRING_NONCE_SIZE], uint8_t out[HP_PAIRING_NONCE_SIZE]);

/* Whether the commitment was made for this nonce. */
bool hp_pairing_fits(const uint8_t commitment[HP_PAIRING_NONCE_SIZE],
                     const uint8_t nonce[HP_PAIRING_NONCE_SIZE]);

/* The digits, the same on both sides. The ids may stand in either order; first is the nonce of the host that
 * began, second the other one's. HP_E_INVALID for an id that is not 32 hex digits. */
int hp_pairing_code(const char *id, const char *other_id, const uint8_t first[HP_PAIRING_NONCE_SIZE],
                    const uint8_t second[HP_PAIRING_NONCE_SIZE], char out[HP_PAIRING_CODE_SIZE]);

#endif
