/* Wrong dashboard tokens: how many came from each address within a minute, and which addresses have to wait.
 *
 * A client that has sent HP_GUESSES_MAX different wrong values is refused for the rest of the minute, even
 * with the right one; so are all clients once HP_GUESSES_ALL came in all. The same wrong value again does not
 * count: a page with an old cookie is no attack. IPv6 clients are told apart by their first 64 bits. Loop
 * thread. */
#ifndef HP_API_GUESSES_H
#define HP_API_GUESSES_H

#include <stdint.h>

#include "base/address.h"

#define HP_GUESSES_MAX     10
#define HP_GUESSES_ALL     100
#define HP_GUESSES_MS      60000
#define HP_GUESSES_CLIENTS 64 /* that are remembered; the oldest one makes room */

typedef struct hp_guesses {
    struct {
        char key[HP_ADDRESS_CLIENT_SIZE];
        uint64_t since; /* monotonic ms */
        unsigned count; /* 0: unused */
        uint64_t values[HP_GUESSES_MAX];
    } clients[HP_GUESSES_CLIENTS];
    uint64_t since;
    unsigned count; /* of all clients, since then */
} hp_guesses_t;

/* Seconds that the client at this numeric address has to wait; 0: it may try. */
unsigned hp_guesses_wait(const hp_guesses_t *self, const char *client, uint64_t now_ms);

/* The client sent a wrong value; digest: of the value. Logs the first one, and the one too many. */
void hp_guesses_add(hp_guesses_t *self, const char *client, const uint8_t digest[32], uint64_t now_ms);

#endif
