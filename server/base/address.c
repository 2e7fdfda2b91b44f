#include "base/address.h"

#include <arpa/inet.h>
#include <ctype.h>
#include <net/if.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/mem.h"
#include "base/utf8.h"

#define NAME_MAX_BYTES 253 /* of a name, and */
#define LABEL_MAX      63  /* between two dots (RFC 1035 section 2.3.4) */
#define BLANKS         " \t\r\n"

/* Copies a numeric address in its usual form; an IPv6 address may carry a zone. */
static int canonical(const char *text, size_t length, char address[64])
{
    char host[64];
    if (length >= sizeof host)
        return HP_E_INVALID;
    memcpy(host, text, length);
    host[length] = '\0';
    struct in_addr v4;
    if (inet_pton(AF_INET, host, &v4) == 1)
        return inet_ntop(AF_INET, &v4, address, 64) != NULL ? 0 : HP_E_INVALID;
    char *zone = strchr(host, '%');
    if (zone != NULL)
        *zone++ = '\0';
    struct in6_addr v6;
    if (inet_pton(AF_INET6, host, &v6) != 1 || inet_ntop(AF_INET6, &v6, address, INET6_ADDRSTRLEN) == NULL)
        return HP_E_INVALID;
    if (zone == NULL)
        return 0;
    size_t zone_length = strlen(zone), used = strlen(address);
    if (zone_length == 0 || zone_length >= IF_NAMESIZE || strpbrk(zone, "%/ []:") != NULL ||
        hp_utf8_has_control(zone, zone_length) || used + 1 + zone_length >= 64)
        return HP_E_INVALID;
    snprintf(address + used, 64 - used, "%%%s", zone);
    return 0;
}

int hp_address_parse(const char *text, uint16_t default_port, char address[64], uint16_t *port, hp_err_t *err)
{
    const char *host = text, *host_end, *after;
    if (text[0] == '[') {
        host = text + 1;
        host_end = strchr(host, ']');
        after = host_end != NULL ? host_end + 1 : NULL;
    } else {
        const char *colon = strchr(text, ':');
        bool bare_v6 = colon != NULL && strchr(colon + 1, ':') != NULL;
        host_end = colon == NULL || bare_v6 ? text + strlen(text) : colon;
        after = host_end;
    }
    if (host_end == NULL || canonical(host, (size_t)(host_end - host), address) != 0 ||
        (text[0] == '[' && strchr(address, ':') == NULL))
        return hp_err_set(err, HP_E_INVALID,
                          "\"%s\" is not an address; write 192.168.1.20 or 192.168.1.20:9000", text);
    *port = default_port;
    if (*after == '\0')
        return 0;
    unsigned value = 0;
    const char *digit = after + 1;
    for (; *digit >= '0' && *digit <= '9' && value <= 65535; digit++)
        value = value * 10 + (unsigned)(*digit - '0');
    if (*after != ':' || digit == after + 1 || *digit != '\0' || value > 65535)
        return hp_err_set(err, HP_E_INVALID, "the port in \"%s\" is not a number from 0 to 65535", text);
    *port = (uint16_t)value;
    return 0;
}

int hp_address_parse_url(const char *text, uint16_t default_port, char address[64], uint16_t *port,
                         hp_err_t *err)
{
    size_t skip = strncasecmp(text, "http://", 7) == 0 ? 7 : strncasecmp(text, "https://", 8) == 0 ? 8 : 0;
    if (skip == 0)
        return hp_address_parse(text, default_port, address, port, err);
    char *plain = hp_strdup(text + skip);
    size_t length = strlen(plain);
    if (length > 0 && plain[length - 1] == '/')
        plain[length - 1] = '\0';
    char *zone = strstr(plain, "%25"); /* how a URL writes the sign before an interface */
    if (zone != NULL)
        memmove(zone + 1, zone + 3, strlen(zone + 3) + 1);
    int rc = hp_address_parse(plain, default_port, address, port, err);
    free(plain);
    return rc;
}

/* Letters, digits, "-", "_" and what is no ASCII in labels; not digits and dots alone, which is a mistyped
 * address. */
static bool is_name(const char *text)
{
    size_t label = 0;
    bool letter = false;
    for (const char *p = text; *p != '\0'; p++) {
        unsigned char c = (unsigned char)*p;
        if (c == '.' && label == 0)
            return false;
        letter |= isalpha(c) || c >= 0x80;
        if (c != '.' && !isalnum(c) && c != '-' && c != '_' && c < 0x80)
            return false;
        label = c == '.' ? 0 : label + 1;
        if (label > LABEL_MAX)
            return false;
    }
    return letter && text[0] != '-' && hp_utf8_valid(text, strlen(text)) &&
           !hp_utf8_has_control(text, strlen(text));
}

static bool read_port(const char *text, uint16_t *port)
{
    char *end;
    unsigned long number = isdigit((unsigned char)text[0]) ? strtoul(text, &end, 10) : 0;
    if (number == 0 || number > 65535 || *end != '\0')
        return false;
    *port = (uint16_t)number;
    return true;
}

/* Where the host and its port stand in what a person wrote. */
static const char *place_in(const char *text, size_t *length)
{
    const char *from = text + strspn(text, BLANKS);
    *length = strlen(from);
    while (*length > 0 && strchr(BLANKS, from[*length - 1]) != NULL)
        --*length;
    size_t skip = strncasecmp(from, "http://", 7) == 0 ? 7 : strncasecmp(from, "https://", 8) == 0 ? 8 : 0;
    if (skip > 0)
        *length = HP_MIN(*length - skip, strcspn(from + skip, "/?#"));
    return from + skip;
}

int hp_address_parse_any(const char *text, uint16_t default_port, char name[HP_ADDRESS_NAME_SIZE],
                         uint16_t *port, bool *numeric, hp_err_t *err)
{
    char cut[HP_ADDRESS_NAME_SIZE + 8], address[64];
    size_t length;
    const char *from = place_in(text, &length);
    *port = default_port;
    if (length > 0 && length < sizeof cut) {
        memcpy(cut, from, length);
        cut[length] = '\0';
        *numeric = hp_address_parse_url(cut, default_port, address, port, NULL) == 0;
        if (*numeric) {
            snprintf(name, HP_ADDRESS_NAME_SIZE, "%s", address);
            return *port == 0 ? hp_err_set(err, HP_E_INVALID, "\"%s\" has port 0", text) : 0;
        }
        char *colon = strchr(cut, ':');
        bool good = colon == NULL || read_port(colon + 1, port);
        if (colon != NULL)
            *colon = '\0';
        if (good && strlen(cut) <= NAME_MAX_BYTES && is_name(cut)) {
            snprintf(name, HP_ADDRESS_NAME_SIZE, "%s", cut);
            return 0;
        }
    }
    return hp_err_set(err, HP_E_INVALID,
                      "\"%.100s\" is no address and no name of a host; write 192.168.1.20, attic.local, or "
                      "either with a port: 192.168.1.20:9000",
                      text);
}

char *hp_address_format(const char *address, uint16_t port, char out[HP_ADDRESS_SIZE])
{
    bool v6 = strchr(address, ':') != NULL;
    snprintf(out, HP_ADDRESS_SIZE, "%s%s%s:%u", v6 ? "[" : "", address, v6 ? "]" : "", port);
    return out;
}

char *hp_address_client(const char *address, char out[HP_ADDRESS_CLIENT_SIZE])
{
    char plain[HP_ADDRESS_CLIENT_SIZE];
    struct in6_addr v6;
    snprintf(out, HP_ADDRESS_CLIENT_SIZE, "%s", address);
    snprintf(plain, sizeof plain, "%.*s", (int)strcspn(address, "%"), address);
    if (inet_pton(AF_INET6, plain, &v6) != 1)
        return out;
    if (IN6_IS_ADDR_V4MAPPED(&v6)) {
        inet_ntop(AF_INET, v6.s6_addr + 12, out, HP_ADDRESS_CLIENT_SIZE);
    } else {
        memset(v6.s6_addr + 8, 0, 8);
        inet_ntop(AF_INET6, &v6, out, HP_ADDRESS_CLIENT_SIZE);
    }
    return out;
}

bool hp_address_same_client(const char *a, const char *b)
{
    char client_a[HP_ADDRESS_CLIENT_SIZE], client_b[HP_ADDRESS_CLIENT_SIZE];
    return strcmp(hp_address_client(a, client_a), hp_address_client(b, client_b)) == 0;
}
