/* Addresses as people write and read them. Pure functions, any thread. */
#ifndef HP_BASE_ADDRESS_H
#define HP_BASE_ADDRESS_H

#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"

/* "ADDR[:PORT]", "[V6]:PORT", "V6": address without brackets and the port, default_port when none is given.
 * Numeric addresses only. 0 or HP_E_INVALID. */
int hp_address_parse(const char *text, uint16_t default_port, char address[64], uint16_t *port,
                     hp_err_t *err);

/* The same, and "http://ADDR[:PORT]/" or "https://ADDR[:PORT]/" as well: what a page shows of a host and a
 * person copies. */
int hp_address_parse_url(const char *text, uint16_t default_port, char address[64], uint16_t *port,
                         hp_err_t *err);

/* What a person writes or pastes to name a host: each of these, and "attic", "attic.local", "localhost:9000"
 * as well; of a URL whatever follows its host does not count, nor do blanks around all of it. numeric: name
 * is an address without brackets, else a name to look up. 0, or HP_E_INVALID with a sentence that repeats
 * text. */
#define HP_ADDRESS_NAME_SIZE 256
int hp_address_parse_any(const char *text, uint16_t default_port, char name[HP_ADDRESS_NAME_SIZE],
                         uint16_t *port, bool *numeric, hp_err_t *err);

/* "1.2.3.4:9000" or "[fe80::1]:9000". */
#define HP_ADDRESS_SIZE 80
char *hp_address_format(const char *address, uint16_t port, char out[HP_ADDRESS_SIZE]);

/* Whom limits count as one behind a numeric address: IPv4 as it is, also where it stands inside an IPv6
 * address; of IPv6 the first 64 bits, without a zone ("2001:db8:0:1::"), since a client may have all of the
 * rest. What is no address stays as it is. Returns out. */
#define HP_ADDRESS_CLIENT_SIZE 64
char *hp_address_client(const char *address, char out[HP_ADDRESS_CLIENT_SIZE]);
bool hp_address_same_client(const char *a, const char *b);

#endif
