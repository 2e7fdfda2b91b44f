/* An endpoint: where a host is reached and who must answer there, as a value that is copied and compared.
 *
 * Invariants
 * 1. The host is a numeric address in its canonical form (see address.h), without brackets and without its
 *    zone. Only link-local IPv6 has a zone.
 * 2. MEMBER names a host by its fingerprint alone (a member of a group, reached through a tunnel or a relay):
 * it has neither host nor port.
 * 3. An endpoint that expects a fingerprint is never PLAIN: nobody proves anything without TLS.
 *
 * Pure functions, any thread. */
#ifndef HP_PATH_ENDPOINT_H
#define HP_PATH_ENDPOINT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "path/address.h"

#define HP_PEER_ID_SIZE     33 /* 32 lower-case hex digits: the first 16 bytes of the fingerprint */
#define HP_FINGERPRINT_SIZE 32 /* SHA-256 of the host's public key */

typedef enum {
    HP_SCHEME_PLAIN, /* HTTP over TCP */
    HP_SCHEME_TLS,   /* HTTP over TLS over TCP */
    HP_SCHEME_MEMBER /* whichever way there is to a member of a group */
} hp_scheme_t;

typedef struct hp_endpoint {
    hp_scheme_t scheme;
    char host[46]; /* numeric; "" for MEMBER */
    char zone[16]; /* the interface of a link-local IPv6 address; "" */
    uint16_t port;
    char id[HP_PEER_ID_SIZE];                 /* the host that must answer; "": any */
    uint8_t fingerprint[HP_FINGERPRINT_SIZE]; /* its whole fingerprint; zero where id is "" */
} hp_endpoint_t;

/* "1.2.3.4", "1.2.3.4:9000", "fe80::1%eth0", "[fe80::1%eth0]:9000": numeric addresses only, PLAIN, of any
 * host. 0; HP_E_INVALID with a sentence, also for port 0 and for an address that no host can have. */
int hp_endpoint_parse(const char *text, uint16_t default_port, hp_endpoint_t *out, hp_err_t *err);

/* The same, and "http://ADDR[:PORT]/" or "https://ADDR[:PORT]/": what a page shows of a host and a person
 * copies. */
int hp_endpoint_parse_url(const char *text, uint16_t default_port, hp_endpoint_t *out, hp_err_t *err);

/* The same of an address (with its zone, without brackets) and a port that are apart. 0 or HP_E_INVALID. */
int hp_endpoint_make(hp_endpoint_t *out, hp_scheme_t scheme, const char *address, uint16_t port);

/* The same of a kernel address; PLAIN. */
int hp_endpoint_from_sockaddr(hp_endpoint_t *out, const hp_sockaddr_t *address);

/* The host with this fingerprint must answer; PLAIN becomes TLS. */
void hp_endpoint_expect(hp_endpoint_t *endpoint, const uint8_t fingerprint[HP_FINGERPRINT_SIZE]);

/* The same place in plain HTTP, where nobody proves anything: any host. Not for a MEMBER. */
void hp_endpoint_in_plain(hp_endpoint_t *endpoint);

/* A member of a group, by its fingerprint. */
void hp_endpoint_member(hp_endpoint_t *out, const uint8_t fingerprint[HP_FINGERPRINT_SIZE]);

/* Everything is the same. */
bool hp_endpoint_equal(const hp_endpoint_t *a, const hp_endpoint_t *b);

/* The same place on the network, whatever is spoken there and whoever is expected: host, zone and port; for a
 * MEMBER the id. */
bool hp_endpoint_same_place(const hp_endpoint_t *a, const hp_endpoint_t *b);

/* The same machine's address: host and zone, at any port. False for a MEMBER. */
bool hp_endpoint_same_host(const hp_endpoint_t *a, const hp_endpoint_t *b);

/* The address without its port: "1.2.3.4" or "fe80::1%eth0". */
#define HP_ENDPOINT_ADDRESS_SIZE 64
char *hp_endpoint_address(const hp_endpoint_t *endpoint, char out[HP_ENDPOINT_ADDRESS_SIZE]);

/* For people: "1.2.3.4:9000", "[fe80::1%eth0]:9000"; "member 0123abcd" for a MEMBER. */
#define HP_ENDPOINT_TEXT_SIZE 80
char *hp_endpoint_format(const hp_endpoint_t *endpoint, char out[HP_ENDPOINT_TEXT_SIZE]);

/* For the HTTP client, and for nobody else: "http://1.2.3.4:9000", "https://[fe80::1%25eth0]:9000", without a
 * slash at the end. "" for a MEMBER, which has no URL. */
#define HP_ENDPOINT_URL_SIZE 96
char *hp_endpoint_url(const hp_endpoint_t *endpoint, char out[HP_ENDPOINT_URL_SIZE]);

#endif
