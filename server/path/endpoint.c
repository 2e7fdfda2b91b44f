#include "path/endpoint.h"

#include <stdio.h>
#include <string.h>

#include "base/address.h"

int hp_endpoint_make(hp_endpoint_t *out, hp_scheme_t scheme, const char *address, uint16_t port)
{
    char text[HP_ADDRESS_TEXT];
    *out = (hp_endpoint_t){.scheme = scheme, .port = port};
    if (port == 0 || hp_address_canonical(address, text) != 0)
        return HP_E_INVALID;
    const char *zone = strchr(text, '%');
    size_t length = zone != NULL ? (size_t)(zone - text) : strlen(text);
    if (length >= sizeof out->host || (zone != NULL && strlen(zone + 1) >= sizeof out->zone))
        return HP_E_INVALID;
    memcpy(out->host, text, length);
    if (zone != NULL)
        memcpy(out->zone, zone + 1, strlen(zone + 1));
    return 0;
}

int hp_endpoint_from_sockaddr(hp_endpoint_t *out, const hp_sockaddr_t *address)
{
    char text[HP_ADDRESS_TEXT];
    uint16_t port;
    hp_address_from_sockaddr(address, text, &port);
    return hp_endpoint_make(out, HP_SCHEME_PLAIN, text, port);
}

static int make_parsed(hp_endpoint_t *out, const char *text, const char *address, uint16_t port,
                       hp_err_t *err)
{
    if (hp_endpoint_make(out, HP_SCHEME_PLAIN, address, port) != 0)
        return hp_err_set(err, HP_E_INVALID, "\"%s\" is not the address and port of a host", text);
    return 0;
}

int hp_endpoint_parse(const char *text, uint16_t default_port, hp_endpoint_t *out, hp_err_t *err)
{
    char address[HP_ADDRESS_TEXT];
    uint16_t port;
    *out = (hp_endpoint_t){.scheme = HP_SCHEME_PLAIN};
    int rc = hp_address_parse(text, default_port, address, &port, err);
    return rc != 0 ? rc : make_parsed(out, text, address, port, err);
}

int hp_endpoint_parse_url(const char *text, uint16_t default_port, hp_endpoint_t *out, hp_err_t *err)
{
    char address[HP_ADDRESS_TEXT];
    uint16_t port;
    *out = (hp_endpoint_t){.scheme = HP_SCHEME_PLAIN};
    int rc = hp_address_parse_url(text, default_port, address, &port, err);
    return rc != 0 ? rc : make_parsed(out, text, address, port, err);
}

void hp_endpoint_expect(hp_endpoint_t *endpoint, const uint8_t fingerprint[HP_FINGERPRINT_SIZE])
{
    if (endpoint->scheme == HP_SCHEME_PLAIN)
        endpoint->scheme = HP_SCHEME_TLS;
    memcpy(endpoint->fingerprint, fingerprint, HP_FINGERPRINT_SIZE);
    for (size_t i = 0; i < (HP_PEER_ID_SIZE - 1) / 2; i++)
        snprintf(endpoint->id + 2 * i, 3, "%02x", fingerprint[i]);
}

void hp_endpoint_in_plain(hp_endpoint_t *endpoint)
{
    endpoint->scheme = HP_SCHEME_PLAIN;
    endpoint->id[0] = '\0';
    memset(endpoint->fingerprint, 0, sizeof endpoint->fingerprint);
}

void hp_endpoint_member(hp_endpoint_t *out, const uint8_t fingerprint[HP_FINGERPRINT_SIZE])
{
    *out = (hp_endpoint_t){.scheme = HP_SCHEME_MEMBER};
    hp_endpoint_expect(out, fingerprint);
}

bool hp_endpoint_equal(const hp_endpoint_t *a, const hp_endpoint_t *b)
{
    return a->scheme == b->scheme && strcmp(a->host, b->host) == 0 && strcmp(a->zone, b->zone) == 0 &&
           a->port == b->port && strcmp(a->id, b->id) == 0 &&
           memcmp(a->fingerprint, b->fingerprint, sizeof a->fingerprint) == 0;
}

bool hp_endpoint_same_place(const hp_endpoint_t *a, const hp_endpoint_t *b)
{
    if (a->scheme == HP_SCHEME_MEMBER || b->scheme == HP_SCHEME_MEMBER)
        return a->scheme == b->scheme && strcmp(a->id, b->id) == 0;
    return a->port == b->port && hp_endpoint_same_host(a, b);
}

bool hp_endpoint_same_host(const hp_endpoint_t *a, const hp_endpoint_t *b)
{
    return a->scheme != HP_SCHEME_MEMBER && b->scheme != HP_SCHEME_MEMBER && strcmp(a->host, b->host) == 0 &&
           strcmp(a->zone, b->zone) == 0;
}

char *hp_endpoint_address(const hp_endpoint_t *endpoint, char out[HP_ENDPOINT_ADDRESS_SIZE])
{
    snprintf(out, HP_ENDPOINT_ADDRESS_SIZE, "%s%s%s", endpoint->host, endpoint->zone[0] != '\0' ? "%" : "",
             endpoint->zone);
    return out;
}

char *hp_endpoint_format(const hp_endpoint_t *endpoint, char out[HP_ENDPOINT_TEXT_SIZE])
{
    char address[HP_ENDPOINT_ADDRESS_SIZE];
    if (endpoint->scheme == HP_SCHEME_MEMBER)
        snprintf(out, HP_ENDPOINT_TEXT_SIZE, "member %.8s", endpoint->id);
    else
        hp_address_format(hp_endpoint_address(endpoint, address), endpoint->port, out);
    return out;
}

char *hp_endpoint_url(const hp_endpoint_t *endpoint, char out[HP_ENDPOINT_URL_SIZE])
{
    bool v6 = strchr(endpoint->host, ':') != NULL;
    out[0] = '\0';
    if (endpoint->scheme == HP_SCHEME_MEMBER)
        return out;
    snprintf(out, HP_ENDPOINT_URL_SIZE, "%s://%s%s%s%s%s:%u",
             endpoint->scheme == HP_SCHEME_TLS ? "https" : "http", v6 ? "[" : "", endpoint->host,
             endpoint->zone[0] != '\0' ? "%25" : "", endpoint->zone, v6 ? "]" : "", endpoint->port);
    return out;
}
