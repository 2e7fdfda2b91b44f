/* Wrong PINs: who has to wait. After HP_PIN_WRONG_MAX wrong ones an address is refused for HP_PIN_WAIT_MS,
 * even with the right one; after HP_PIN_WRONG_ALL within that time every address is, until it is over: a PIN
 * is short, and addresses are cheap. Addresses are told apart as hp_address_client does. Pure; one thread. */
#ifndef HP_INBOX_GUESSES_H
#define HP_INBOX_GUESSES_H

#include <stdint.h>

#include "base/address.h"

#define HP_PIN_WRONG_MAX 3
#define HP_PIN_WRONG_ALL 20
#define HP_PIN_WAIT_MS   (5 * 60 * 1000)
#define HP_PIN_ADDRESSES 256 /* that are remembered; the one that tried least recently makes room */

typedef struct hp_inbox_guesses {
    struct {
        char client[HP_ADDRESS_CLIENT_SIZE];
        unsigned count;
        uint64_t at; /* of the last one, monotonic ms */
    } addresses[HP_PIN_ADDRESSES];
    uint64_t since; /* when the first of those that count for all came, and */
    unsigned count; /* how many that are */
} hp_inbox_guesses_t;

/* Seconds that the numeric address has to wait; 0: it may try. */
unsigned hp_inbox_guesses_wait(const hp_inbox_guesses_t *self, const char *address, uint64_t now);
void hp_inbox_guesses_add(hp_inbox_guesses_t *self, const char *address, uint64_t now);
/* The right one came. */
void hp_inbox_guesses_forget(hp_inbox_guesses_t *self, const char *address);

#endif
