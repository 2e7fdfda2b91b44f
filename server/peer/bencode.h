/* Writes bencoding, the encoding of BitTorrent's metainfo files (BEP 3), piece by piece into a buffer.
 *
 * A dictionary's keys have to come in the order of their bytes, each followed by one value; a call that
 * breaks this writes nothing. The first thing that goes wrong is kept for hp_bencode_finish, and everything
 * after it is ignored. Pure; any thread. */
#ifndef HP_PEER_BENCODE_H
#define HP_PEER_BENCODE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"

#define HP_BENCODE_DEPTH_MAX 8 /* dictionaries in one another */

typedef struct hp_bencode {
    hp_buf_t *out; /* not owned; holds nothing else */
    int status;
    unsigned depth;
    bool whole; /* the outermost value is written */
    struct {
        size_t key, key_length; /* the last one, in out; 0 before the first */
        bool value_due;
    } open[HP_BENCODE_DEPTH_MAX];
} hp_bencode_t;

/* out has to be empty. */
void hp_bencode_init(hp_bencode_t *self, hp_buf_t *out);

/* Values: a number, a string of any bytes, a dictionary up to its end. */
void hp_bencode_number(hp_bencode_t *self, int64_t value);
void hp_bencode_bytes(hp_bencode_t *self, const void *data, size_t length);
void hp_bencode_text(hp_bencode_t *self, const char *text);
/* A string of length bytes that are not written: they belong where out ends after the call. */
void hp_bencode_bytes_later(hp_bencode_t *self, size_t length);
void hp_bencode_dict(hp_bencode_t *self);
void hp_bencode_end(hp_bencode_t *self);

/* The next key of the innermost dictionary. */
void hp_bencode_key(hp_bencode_t *self, const void *key, size_t length);
void hp_bencode_text_key(hp_bencode_t *self, const char *key);

/* 0 when out holds exactly one whole value; else HP_E_TOO_LARGE, or HP_E_INVALID for calls in a wrong order.
 */
int hp_bencode_finish(const hp_bencode_t *self);

#endif
