/* What a person writes or pastes to name a host: a numeric address, or a name that has to be looked up. Pure,
 * any thread. */
#ifndef HP_PATH_HOST_NAME_H
#define HP_PATH_HOST_NAME_H

#include "base/address.h"
#include "path/endpoint.h"

#define HP_HOST_NAME_TEXT_SIZE 264 /* "name:port" with NUL */

typedef struct hp_host_name {
    char name[HP_ADDRESS_NAME_SIZE]; /* as it is looked up: UTF-8; "" : numeric is the place */
    uint16_t port;
    hp_endpoint_t numeric;
} hp_host_name_t;

/* "192.168.1.20", "attic", "attic.local", "localhost:9000", "[fe80::1%eth0]:9000", and each of these in
 * "http://.../" or "https://.../", whatever follows the host there; blanks around it do not count. 0, or
 * HP_E_INVALID with a sentence that repeats the text. */
int hp_host_name_parse(const char *text, uint16_t default_port, hp_host_name_t *out, hp_err_t *err);

/* "attic:9000" of a name. Returns out. */
char *hp_host_name_format(const hp_host_name_t *name, char out[HP_HOST_NAME_TEXT_SIZE]);

#endif
