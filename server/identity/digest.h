/* SHA-256 of small things, and comparisons that do not tell by their time how much is right. Any thread. */
#ifndef HP_IDENTITY_DIGEST_H
#define HP_IDENTITY_DIGEST_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

void hp_digest_sha256(const void *data, size_t length, uint8_t out[32]);

/* SHA-256 of what comes piece by piece. The caller destroys it. */
typedef struct hp_digest hp_digest_t;
hp_digest_t *hp_digest_create(void);
void hp_digest_destroy(hp_digest_t *self); /* NULL: nothing */
void hp_digest_add(hp_digest_t *self, const void *data, size_t length);
/* Of all that was added; nothing can be added afterwards. */
void hp_digest_end(hp_digest_t *self, uint8_t out[32]);

/* Whether two texts are the same. The time depends on their lengths alone. */
bool hp_digest_text_equal(const char *a, const char *b);

#endif
