// libs: identity path os base
/* Certificates of other hosts, and the file of the own identity: whatever they hold, they are read or
 * refused, and what is read has one fingerprint. */
#include <stdlib.h>
#include <string.h>

#include "identity/certificate.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    uint8_t fingerprint[HP_FINGERPRINT_SIZE], again[HP_FINGERPRINT_SIZE];
    hp_certificate_t certificate;
    hp_err_t err = {0};
    if (hp_identity_fingerprint_of(data, size, fingerprint) == 0 &&
        (hp_identity_fingerprint_of(data, size, again) != 0 || memcmp(fingerprint, again, sizeof again) != 0))
        abort();
    if (hp_certificate_read(&certificate, (const char *)data, size, &err) == 0) {
        if (hp_identity_fingerprint_of(certificate.certificate, certificate.certificate_length,
                                       fingerprint) != 0 ||
            memcmp(fingerprint, certificate.fingerprint, sizeof fingerprint) != 0)
            abort();
        hp_certificate_dispose(&certificate);
    } else if (err.detail[0] == '\0') {
        abort();
    }
    return 0;
}
