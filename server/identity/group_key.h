/* The keys of a group, all made from its one secret, and what is done with them. Members of a group know the
 * secret; its hub knows the group id and the SHA-256 of the credential, from which nothing else can be made.
 *
 * HKDF-SHA256 (RFC 5869), no salt, with the info "hostpair group 1 <use>": id, credential, member, content.
 *
 * Any thread; pure functions but for random bytes. */
#ifndef HP_IDENTITY_GROUP_KEY_H
#define HP_IDENTITY_GROUP_KEY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"

#define HP_GROUP_SECRET 16
#define HP_GROUP_ID     16
#define HP_GROUP_TAG    16

typedef struct hp_group_keys {
    uint8_t gid[HP_GROUP_ID];
    uint8_t credential[32]; /* shown to the hub, which keeps its SHA-256 */
    uint8_t member[32];     /* proves membership to the other members */
    uint8_t content[32];    /* seals lists, makes tags */
} hp_group_keys_t;

/* 0, or HP_E_INTERNAL when there are no random numbers. */
int hp_group_secret_make(uint8_t secret[HP_GROUP_SECRET], hp_err_t *err);

void hp_group_keys_derive(const uint8_t secret[HP_GROUP_SECRET], hp_group_keys_t *keys);

/* HMAC-SHA256(member key, fingerprint): whoever knows the secret has taken the host with this fingerprint in.
 */
void hp_group_proof_make(const hp_group_keys_t *keys, const uint8_t fingerprint[32], uint8_t proof[32]);
bool hp_group_proof_holds(const hp_group_keys_t *keys, const uint8_t fingerprint[32],
                          const uint8_t proof[32]);

/* The first 16 bytes of HMAC-SHA256(content key, root): names a content to the hub without telling which it
 * is. */
void hp_group_tag_make(const hp_group_keys_t *keys, const uint8_t root[32], uint8_t tag[HP_GROUP_TAG]);

/* A list as it is left at the hub: "HPL1", 8 bytes of revision (big-endian), 12 bytes of nonce, AES-256-GCM
 * of the zlib-compressed text, 16 bytes of tag. Authenticated with it: the first 12 bytes and the fingerprint
 * of the member whose list it is, so that the hub can neither swap lists of two members nor change a
 * revision. *sealed is the caller's to free. HP_E_TOO_LARGE when the result would be longer than max. */
#define HP_GROUP_SEALED_MAX ((size_t)16 * 1024 * 1024)
int hp_group_seal(const hp_group_keys_t *keys, const uint8_t fingerprint[32], uint64_t revision,
                  const void *text, size_t length, size_t max, void **sealed, size_t *sealed_length,
                  hp_err_t *err);

/* The text (with a NUL behind it, the caller's to free) and its revision. HP_E_PROTOCOL: not sealed by a
 * member for this fingerprint. HP_E_TOO_LARGE: the text would be longer than max. */
int hp_group_open(const hp_group_keys_t *keys, const uint8_t fingerprint[32], const void *sealed,
                  size_t sealed_length, size_t max, uint64_t *revision, char **text, size_t *length,
                  hp_err_t *err);

/* The revision that a sealed list claims, without opening it; 0 when it is no sealed list. */
uint64_t hp_group_sealed_revision(const void *sealed, size_t length);

#endif
