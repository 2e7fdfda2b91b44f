// libs: pairing discovery fetch store db identity path base
/* The bodies of POST /hostpair/pair and of its answer: whatever is taken is a step of the protocol, and is
 * read again the same after it was written. */
#include <stdlib.h>
#include <string.h>

#include "pairing/wire.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    uint8_t value[HP_PAIRING_NONCE_SIZE] = {0}, again[HP_PAIRING_NONCE_SIZE] = {0};
    int step, step_again;
    hp_err_t err;
    (void)hp_pairing_wire_read_nonce(data, size, value, &err);
    if (hp_pairing_wire_read_step(data, size, &step, value, &err) != 0)
        return 0;
    if (step < 1 || step > 3)
        abort();
    char *text = hp_pairing_wire_step(step, step == 3 ? NULL : value);
    if (hp_pairing_wire_read_step(text, strlen(text), &step_again, again, &err) != 0 || step_again != step ||
        (step != 3 && memcmp(value, again, sizeof value) != 0))
        abort();
    free(text);
    return 0;
}
