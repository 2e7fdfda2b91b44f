/* TLS between a client and h2o. h2o has TLS of its own, which is not used: in version 2.2.5 a client can make
 * it write after an error, which ends the process, fill its memory after the end of the stream, and lose a
 * connection whose bytes happen to fill a buffer; its alerts never leave, and its records are small.
 *
 * So h2o serves one end of a pair of sockets and knows of no TLS. Here what comes from the client is
 * decrypted and given to h2o directly while h2o reads, through the pair otherwise; what h2o writes is taken
 * from the pair and encrypted. The bytes of files do not pass the pair: they are encrypted where they are
 * sent (send.c), when everything before them has left.
 *
 * Invariants
 * 1. While ciphertext waits for the client to take it, nothing is decrypted, nothing is taken from h2o, and
 *    the client's socket is not read. So a client that does not read holds one piece here and no more.
 * 2. Handshakes are worked off in turns with the replies (turns.c): a thousand at once do not hold up the
 *    loop. One has HP_HANDSHAKE_MS and HANDSHAKE_BYTES_MAX.
 * 3. What ends: h2o closes its end -> the rest is encrypted, a close_notify follows, then the socket is
 *    closed. The client closes -> h2o reads the end. An error on either side -> the connection is cut.
 */
#ifndef HP_HTTP_SECURED_H
#define HP_HTTP_SECURED_H

#include "internal.h"

#define HP_HANDSHAKE_MS 10000u /* from its first byte */

/* Takes a connection whose first bytes begin TLS. */
void hp_secured_start(hp_connection_t *connection, const uint8_t *first, size_t length);

/* Works off handshakes until the time is over (hp_clock_ns); true when some are left. */
bool hp_secured_turn(hp_http_listener_t *listener, uint64_t end_ns);

/* Encrypts what h2o has written since the last time. */
void hp_secured_pump(hp_connection_t *connection);

/* Whether everything so far has left, so that a piece of a file may. If not, the request gets a turn when it
 * has. */
bool hp_secured_is_clear(hp_connection_t *connection);
/* Encrypts a piece and sends it. Only when clear. Whether it is clear for another one; if not, as above, or
 * the connection was cut. */
bool hp_secured_send(hp_connection_t *connection, const void *data, size_t length);

/* Bytes of the client that h2o has not taken; whether ciphertext waits; whether the handshake is over. */
size_t hp_secured_come(const hp_connection_t *connection);
bool hp_secured_is_writing(const hp_connection_t *connection);
bool hp_secured_is_open(const hp_connection_t *connection);

/* Has the rest of what the client sends read and dropped for a moment when the connection ends. */
void hp_secured_linger(hp_connection_t *connection);
/* Makes the end of what is sent so far look like what it is, a cut. */
void hp_secured_make_abrupt(hp_connection_t *connection);

/* Closes the client's side now. h2o's follows by itself. */
void hp_secured_close(hp_connection_t *connection);

/* The last handle has closed. */
void hp_secured_destroy(hp_secured_t *secured);

#endif
