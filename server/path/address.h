/* Numeric addresses: text, kernel form, and the arithmetic of subnets. Pure functions, any thread. */
#ifndef HP_PATH_ADDRESS_H
#define HP_PATH_ADDRESS_H

#include <netinet/in.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/socket.h>

#include "base/sockaddr.h"

#define HP_ADDRESS_TEXT 64 /* with NUL, room for "%interface" */

/* Numeric text as one address has it everywhere in hostpair: shortest form, "::ffff:1.2.3.4" as "1.2.3.4",
 * "%interface" on link-local IPv6 only. 0; HP_E_INVALID for a name, an unspecified, a multicast or the
 * broadcast address. */
int hp_address_canonical(const char *text, char out[HP_ADDRESS_TEXT]);

/* 0, or HP_E_INVALID when text is not numeric or its interface does not exist. */
int hp_address_to_sockaddr(const char *text, uint16_t port, hp_sockaddr_t *out);

/* The canonical text and the port of a kernel address. */
void hp_address_from_sockaddr(const hp_sockaddr_t *address, char out[HP_ADDRESS_TEXT], uint16_t *port);

/* From where an address is reached; a later one is more public. */
typedef enum {
    HP_SCOPE_MACHINE, /* loopback */
    HP_SCOPE_LINK,    /* link-local */
    HP_SCOPE_PRIVATE, /* the own network: RFC 1918, RFC 6598, RFC 4193 */
    HP_SCOPE_GLOBAL,
} hp_address_scope_t;
hp_address_scope_t hp_address_scope(const hp_sockaddr_t *address);

/* The host addresses of an IPv4 subnet, in host byte order: network + 1 to broadcast - 1, both included. */
typedef struct hp_subnet {
    uint32_t first, last; /* first > last: none (/31 and /32) */
} hp_subnet_t;

#define HP_SCAN_PREFIX 20 /* larger networks are scanned as the /20 around the own address */

/* own and mask in host byte order. whole: do not cut a large network. */
hp_subnet_t hp_subnet_hosts(uint32_t own, uint32_t mask, bool whole);

#endif
