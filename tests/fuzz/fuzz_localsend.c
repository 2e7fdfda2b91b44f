// libs: localsend inbox store db path pool os base
/* LocalSend's JSON: whatever is taken is bounded and can be shown; what this host says of a device of that
 * name is read again the same. */
#include <stdlib.h>
#include <string.h>

#include "base/utf8.h"
#include "localsend/message.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_text(const char *text)
{
    size_t length = strlen(text);
    if (length > HP_INBOX_TEXT_MAX || !hp_utf8_valid(text, length) || hp_utf8_has_control(text, length))
        abort();
}

static void check_device(const hp_localsend_device_t *device)
{
    check_text(device->alias);
    check_text(device->fingerprint);
    if (device->alias[0] == '\0')
        abort();
    const hp_localsend_self_t self = {
        .alias = device->alias, .fingerprint = device->fingerprint, .port = device->port};
    hp_localsend_device_t again;
    json_t *json = hp_localsend_describe(&self, HP_LOCALSEND_ANNOUNCE);
    char *text = json_dumps(json, JSON_COMPACT);
    if (text == NULL || hp_localsend_read_device(&again, text, strlen(text), NULL) != 0 ||
        strcmp(again.alias, device->alias) != 0 || strcmp(again.fingerprint, device->fingerprint) != 0 ||
        again.port != device->port)
        abort();
    free(text);
    json_decref(json);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    hp_localsend_device_t device;
    hp_localsend_offer_t offer;
    hp_localsend_accepted_t accepted;
    hp_err_t err;
    if (hp_localsend_read_accepted(&accepted, data, size, &err) == 0) {
        const char *token = hp_localsend_token(&accepted, "0");
        if (accepted.session[0] == '\0' || (token != NULL && strlen(token) > HP_INBOX_TEXT_MAX))
            abort();
        hp_localsend_accepted_dispose(&accepted);
    }
    if (hp_localsend_read_device(&device, data, size, &err) == 0)
        check_device(&device);
    if (hp_localsend_read_offer(&offer, data, size, &err) != 0)
        return 0;
    check_device(&offer.from);
    if (offer.files.count == 0 || offer.files.count > HP_INBOX_FILES_MAX)
        abort();
    for (size_t i = 0; i < offer.files.count; i++) {
        const hp_inbox_offer_file_t *file = &offer.files.items[i];
        if (file->id == NULL || file->name == NULL || file->size > INT64_MAX ||
            (file->sha256 != NULL &&
             (strlen(file->sha256) != 64 || strspn(file->sha256, "0123456789abcdef") != 64)))
            abort();
    }
    hp_localsend_offer_dispose(&offer);
    return 0;
}
