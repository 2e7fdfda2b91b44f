/* SHA-256 of many pieces at once: the leaves and the inner nodes of hash trees.
 *
 * Leaves are independent messages, so on x86-64 they are hashed in parallel lanes by intel-ipsec-mb when it
 * was there at build time and is faster on this CPU than OpenSSL's single stream (both are timed once, at the
 * first use); by OpenSSL everywhere else. Both give the same digests. The environment variable
 * HOSTPAIR_SHA256=openssl or =ipsec-mb forces one of them.
 *
 * Any thread; never on the loop, except for a handful of bytes. */
#ifndef HP_SHARE_SHA256_H
#define HP_SHARE_SHA256_H

#include <stddef.h>
#include <stdint.h>

#define HP_SHA256_SIZE 32
#define HP_LEAF_SIZE   16384

/* The digest of one message. */
void hp_sha256(const void *data, size_t length, uint8_t out[HP_SHA256_SIZE]);

/* The digest of every HP_LEAF_SIZE bytes of data, the last piece being what is left: (length + 16383) / 16384
 * digests, one after the other in digests. Nothing for length 0. */
void hp_sha256_blocks(const void *data, size_t length, uint8_t *digests);

/* The digest of each of count pairs of digests (64 bytes each). out may be pairs. */
void hp_sha256_pairs(const uint8_t *pairs, size_t count, uint8_t *out);

/* What hashes leaves here: "openssl" or "ipsec-mb". Static. */
const char *hp_sha256_engine(void);

#endif
