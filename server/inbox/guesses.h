/* Wrong PINs: which addresses have to wait. After HP_PIN_WRONG_MAX wrong ones an address is refused for
 * HP_PIN_WAIT_MS, even with the right one. Pure; one thread. */
#ifndef HP_INBOX_GUESSES_H
#define HP_INBOX_GUESSES_H

#include <stdint.h>

#define HP_PIN_WRONG_MAX 3
#define HP_PIN_WAIT_MS   (5 * 60 * 1000)
#define HP_PIN_ADDRESSES 256 /* that are remembered; the one that tried least recently makes room */

typedef struct hp_inbox_guesses {
    struct {
        char address[64];
        unsigned count;
        uint64_t at; /* of the last one, monotonic ms */
    } addresses[HP_PIN_ADDRESSES];
} hp_inbox_guesses_t;

/* Seconds that the address has to wait; 0: it may try. */
unsigned hp_inbox_guesses_wait(const hp_inbox_guesses_t *self, const char *address, uint64_t now);
void hp_inbox_guesses_add(hp_inbox_guesses_t *self, const char *address, uint64_t now);
/* The right one came. */
void hp_inbox_guesses_forget(hp_inbox_guesses_t *self, const char *address);

#endif
