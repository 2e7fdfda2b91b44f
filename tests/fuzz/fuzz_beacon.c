// libs: discovery fetch store db path base
/* A datagram of the beacon: what is read must be written and read again the same. */
#include <stdlib.h>
#include <string.h>

#include "discovery/beacon.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    hp_beacon_message_t message, again;
    char out[HP_BEACON_MAX + 1];
    if (hp_beacon_parse(data, size, &message) != 0)
        return 0;
    if (message.port == 0 || strlen(message.id) != 32 || strlen(message.instance) != 32 ||
        strlen(message.name) > 255)
        abort();
    size_t length = hp_beacon_format(&message, out);
    if (length == 0 || hp_beacon_parse((const uint8_t *)out, length, &again) != 0)
        abort();
    if (strcmp(message.id, again.id) != 0 || message.port != again.port || message.reply != again.reply ||
        strncmp(message.name, again.name, strlen(again.name)) != 0)
        abort();
    return 0;
}
