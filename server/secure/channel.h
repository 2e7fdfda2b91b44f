/* One accepted TLS connection, without its socket: what comes from the wire goes in, what is to go there
 * comes out. It knows neither sockets nor time; the caller reads, writes and waits.
 *
 * Invariants
 * 1. Nothing is kept beyond one record (16 KiB) each way: hp_channel_read() takes only as much of the input
 *    as it returns, and what is written is in the sink on return.
 * 2. Every call may put bytes into the sink (a handshake's answer, an alert): the caller takes them before
 *    the next call for any channel of the same sink.
 * 3. After HP_CHANNEL_END or an error nothing more is read; after an error nothing more is written, and the
 *    sink holds the alert that tells the other side why.
 *
 * One thread. */
#ifndef HP_SECURE_CHANNEL_H
#define HP_SECURE_CHANNEL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "secure/secure.h"

typedef struct hp_channel hp_channel_t;

/* Bytes for the wire. Shared by all channels of one listener, so that one buffer is warm instead of many
 * cold. The owner frees data. */
typedef struct hp_channel_sink {
    uint8_t *data;
    size_t length, capacity;
} hp_channel_sink_t;

/* The sink outlives the channel. */
hp_channel_t *hp_channel_accept(const hp_secure_t *secure, hp_channel_sink_t *sink);
void hp_channel_destroy(hp_channel_t *channel);

/* The bytes that hp_channel_read() takes next. They are not copied: they stay where they are until all are
 * taken or others are set. */
void hp_channel_set_input(hp_channel_t *channel, const void *data, size_t length);
/* Those that are not taken yet, and how many they are. */
const uint8_t *hp_channel_input(const hp_channel_t *channel);
size_t hp_channel_input_left(const hp_channel_t *channel);

#define HP_CHANNEL_END (-1) /* the other side has said that it sends no more */
/* Goes on with the handshake, then decrypts: the number of bytes in out (at most size), 0 when more input is
 * needed, HP_CHANNEL_END, or HP_E_TLS. */
ssize_t hp_channel_read(hp_channel_t *channel, void *out, size_t size);

/* Whether the handshake is complete; hp_channel_proven() is final then. */
bool hp_channel_is_open(const hp_channel_t *channel);
/* Whether the client has proven a key: its fingerprint. */
bool hp_channel_proven(const hp_channel_t *channel, uint8_t fingerprint[HP_FINGERPRINT_SIZE]);

/* Encrypts into the sink. Only while open. 0 or HP_E_TLS. */
int hp_channel_write(hp_channel_t *channel, const void *data, size_t length);
/* Says that no more will be sent. */
void hp_channel_end(hp_channel_t *channel);

#endif
