/* The bodies of POST /hostpair/pair (see "Pairing" in server/peer/PROTOCOL.md). Any thread. */
#ifndef HP_PAIRING_WIRE_H
#define HP_PAIRING_WIRE_H

#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "identity/pairing_code.h"

/* A step's body: value is the commitment of step 1, the nonce of step 2, NULL for step 3. The caller frees.
 */
char *hp_pairing_wire_step(int step, const uint8_t value[HP_PAIRING_NONCE_SIZE]);

/* Reads one. HP_E_BAD_JSON; HP_E_INVALID names the field. */
int hp_pairing_wire_read_step(const void *data, size_t length, int *step,
                              uint8_t value[HP_PAIRING_NONCE_SIZE], hp_err_t *err);

/* Reads the answer to step 1. */
int hp_pairing_wire_read_nonce(const void *data, size_t length, uint8_t nonce[HP_PAIRING_NONCE_SIZE],
                               hp_err_t *err);

#endif
