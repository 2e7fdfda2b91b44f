#include "path/address.h"

#include <arpa/inet.h>
#include <net/if.h>
#include <stdio.h>
#include <string.h>

#include "base/err.h"

static int parse(const char *text, hp_sockaddr_t *out, char zone[IF_NAMESIZE])
{
    char plain[HP_ADDRESS_TEXT];
    const char *percent = strchr(text, '%');
    size_t length = percent != NULL ? (size_t)(percent - text) : strlen(text);
    if (length >= sizeof plain || (percent != NULL && strlen(percent + 1) >= IF_NAMESIZE))
        return HP_E_INVALID;
    memcpy(plain, text, length);
    plain[length] = '\0';
    snprintf(zone, IF_NAMESIZE, "%s", percent != NULL ? percent + 1 : "");
    *out = (hp_sockaddr_t){0};
    if (percent == NULL && inet_pton(AF_INET, plain, &out->v4.sin_addr) == 1) {
        out->any.sa_family = AF_INET;
        return 0;
    }
    if (inet_pton(AF_INET6, plain, &out->v6.sin6_addr) != 1)
        return HP_E_INVALID;
    out->any.sa_family = AF_INET6;
    if (IN6_IS_ADDR_V4MAPPED(&out->v6.sin6_addr) && percent == NULL) {
        struct in_addr v4;
        memcpy(&v4, &out->v6.sin6_addr.s6_addr[12], sizeof v4);
        *out = (hp_sockaddr_t){0};
        out->v4.sin_family = AF_INET;
        out->v4.sin_addr = v4;
    }
    return 0;
}

static bool is_host(const hp_sockaddr_t *address)
{
    if (address->any.sa_family == AF_INET) {
        uint32_t ip = ntohl(address->v4.sin_addr.s_addr);
        return ip >> 24 != 0 && ip >> 28 < 0xe; /* neither 0.0.0.0/8, multicast nor broadcast */
    }
    const struct in6_addr *ip = &address->v6.sin6_addr;
    return !IN6_IS_ADDR_UNSPECIFIED(ip) && !IN6_IS_ADDR_MULTICAST(ip);
}

int hp_address_canonical(const char *text, char out[HP_ADDRESS_TEXT])
{
    hp_sockaddr_t address;
    char zone[IF_NAMESIZE], plain[INET6_ADDRSTRLEN];
    if (parse(text, &address, zone) != 0 || !is_host(&address))
        return HP_E_INVALID;
    bool v6 = address.any.sa_family == AF_INET6;
    inet_ntop(address.any.sa_family, v6 ? (void *)&address.v6.sin6_addr : (void *)&address.v4.sin_addr, plain,
              sizeof plain);
    bool scoped = v6 && IN6_IS_ADDR_LINKLOCAL(&address.v6.sin6_addr) && zone[0] != '\0';
    for (const char *p = zone; *p != '\0'; p++)
        if (*p <= ' ' || *p >= 0x7f || *p == '/' || *p == '%')
            return HP_E_INVALID;
    snprintf(out, HP_ADDRESS_TEXT, "%s%s%s", plain, scoped ? "%" : "", scoped ? zone : "");
    return 0;
}

int hp_address_to_sockaddr(const char *text, uint16_t port, hp_sockaddr_t *out)
{
    char zone[IF_NAMESIZE];
    if (parse(text, out, zone) != 0)
        return HP_E_INVALID;
    if (out->any.sa_family == AF_INET) {
        out->v4.sin_port = htons(port);
        return 0;
    }
    out->v6.sin6_port = htons(port);
    if (zone[0] != '\0') {
        out->v6.sin6_scope_id = if_nametoindex(zone);
        if (out->v6.sin6_scope_id == 0)
            return HP_E_INVALID;
    }
    return 0;
}

void hp_address_from_sockaddr(const hp_sockaddr_t *address, char out[HP_ADDRESS_TEXT], uint16_t *port)
{
    char plain[INET6_ADDRSTRLEN] = "", zone[IF_NAMESIZE] = "";
    if (address->any.sa_family == AF_INET) {
        inet_ntop(AF_INET, &address->v4.sin_addr, plain, sizeof plain);
        *port = ntohs(address->v4.sin_port);
    } else if (IN6_IS_ADDR_V4MAPPED(&address->v6.sin6_addr)) {
        inet_ntop(AF_INET, &address->v6.sin6_addr.s6_addr[12], plain, sizeof plain);
        *port = ntohs(address->v6.sin6_port);
    } else {
        inet_ntop(AF_INET6, &address->v6.sin6_addr, plain, sizeof plain);
        *port = ntohs(address->v6.sin6_port);
        if (IN6_IS_ADDR_LINKLOCAL(&address->v6.sin6_addr) && address->v6.sin6_scope_id != 0)
            if_indextoname(address->v6.sin6_scope_id, zone);
    }
    snprintf(out, HP_ADDRESS_TEXT, "%s%s%s", plain, zone[0] != '\0' ? "%" : "", zone);
}

hp_subnet_t hp_subnet_hosts(uint32_t own, uint32_t mask, bool whole)
{
    const uint32_t widest = ~0u << (32 - HP_SCAN_PREFIX);
    if (!whole && (mask & widest) != widest)
        mask = widest;
    uint32_t network = own & mask, broadcast = network | ~mask;
    if (broadcast - network < 2)
        return (hp_subnet_t){.first = 1, .last = 0};
    return (hp_subnet_t){.first = network + 1, .last = broadcast - 1};
}

static hp_address_scope_t scope_of_v4(uint32_t ip)
{
    if (ip >> 24 == 127 || ip >> 24 == 0) /* to connect to 0.0.0.0 is to connect to oneself */
        return HP_SCOPE_MACHINE;
    if (ip >> 16 == 0xa9fe) /* RFC 3927 */
        return HP_SCOPE_LINK;
    if (ip >> 24 == 10 || ip >> 20 == 0xac1 || ip >> 16 == 0xc0a8 || ip >> 22 == 0x191)
        return HP_SCOPE_PRIVATE; /* RFC 1918, RFC 6598 */
    return HP_SCOPE_GLOBAL;
}

hp_address_scope_t hp_address_scope(const hp_sockaddr_t *address)
{
    if (address->any.sa_family == AF_INET)
        return scope_of_v4(ntohl(address->v4.sin_addr.s_addr));
    const struct in6_addr *ip = &address->v6.sin6_addr;
    uint32_t v4;
    memcpy(&v4, &ip->s6_addr[12], sizeof v4);
    if (IN6_IS_ADDR_V4MAPPED(ip))
        return scope_of_v4(ntohl(v4));
    if (IN6_IS_ADDR_LOOPBACK(ip) || IN6_IS_ADDR_UNSPECIFIED(ip))
        return HP_SCOPE_MACHINE;
    if (IN6_IS_ADDR_LINKLOCAL(ip))
        return HP_SCOPE_LINK;
    return (ip->s6_addr[0] & 0xfe) == 0xfc ? HP_SCOPE_PRIVATE : HP_SCOPE_GLOBAL; /* RFC 4193 */
}
