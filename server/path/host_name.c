#include "path/host_name.h"

#include <stdio.h>

#include "base/address.h"

int hp_host_name_parse(const char *text, uint16_t default_port, hp_host_name_t *out, hp_err_t *err)
{
    char name[HP_ADDRESS_NAME_SIZE];
    bool numeric = false;
    *out = (hp_host_name_t){.port = default_port};
    int rc = hp_address_parse_any(text, default_port, name, &out->port, &numeric, err);
    if (rc != 0)
        return rc;
    if (!numeric)
        snprintf(out->name, sizeof out->name, "%s", name);
    else if (hp_endpoint_make(&out->numeric, HP_SCHEME_PLAIN, name, out->port) != 0)
        return hp_err_set(err, HP_E_INVALID, "\"%s\" is not the address and port of a host", text);
    return 0;
}

char *hp_host_name_format(const hp_host_name_t *name, char out[HP_HOST_NAME_TEXT_SIZE])
{
    snprintf(out, HP_HOST_NAME_TEXT_SIZE, "%s:%u", name->name, name->port);
    return out;
}
