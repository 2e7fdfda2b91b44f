#include "rendezvous/invite.h"

#include <arpa/inet.h>
#include <ctype.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <zlib.h>

#include "base/mem.h"

#define PREFIX  "hostpair://join/"
#define VERSION 1
#define BYTES   35 /* version, secret, half a fingerprint, check */
#define LETTERS 56

static const char alphabet[] = "abcdefghijklmnopqrstuvwxyz234567";

static void encode(const uint8_t bytes[BYTES], char out[LETTERS + 1])
{
    for (size_t i = 0; i < LETTERS; i++) {
        size_t bit = i * 5;
        unsigned pair = (unsigned)bytes[bit / 8] << 8 | (bit / 8 + 1 < BYTES ? bytes[bit / 8 + 1] : 0);
        out[i] = alphabet[pair >> (11 - bit % 8) & 31];
    }
    out[LETTERS] = '\0';
}

static int decode(const char *letters, uint8_t bytes[BYTES])
{
    memset(bytes, 0, BYTES);
    for (size_t i = 0; i < LETTERS; i++) {
        const char *at = strchr(alphabet, tolower((unsigned char)letters[i]));
        if (at == NULL || *at == '\0')
            return HP_E_INVALID;
        unsigned value = (unsigned)(at - alphabet) << (11 - i * 5 % 8);
        bytes[i * 5 / 8] |= (uint8_t)(value >> 8);
        if (i * 5 / 8 + 1 < BYTES)
            bytes[i * 5 / 8 + 1] |= (uint8_t)value;
    }
    return 0;
}

static void make_check(const char *hub, const uint8_t *bytes, uint8_t check[2])
{
    uLong sum = crc32(0, (const Bytef *)hub, (uInt)strlen(hub));
    sum = crc32(sum, bytes, BYTES - 2);
    check[0] = (uint8_t)(sum >> 8);
    check[1] = (uint8_t)sum;
}

void hp_invite_write(const hp_invite_t *invite, char text[HP_INVITE_SIZE])
{
    uint8_t bytes[BYTES] = {VERSION};
    char letters[LETTERS + 1];
    memcpy(bytes + 1, invite->secret, 16);
    memcpy(bytes + 17, invite->hub_fingerprint, 16);
    make_check(invite->hub, bytes, bytes + BYTES - 2);
    encode(bytes, letters);
    snprintf(text, HP_INVITE_SIZE, PREFIX "%s/%s", invite->hub, letters);
}

/* ---- the hub's address ---- */

static bool is_name(const char *host)
{
    size_t length = strlen(host), label = 0;
    if (length == 0 || length > 253)
        return false;
    for (const char *p = host; *p != '\0'; p++) {
        if (*p == '.') {
            if (label == 0 || p[-1] == '-')
                return false;
            label = 0;
        } else if (isalnum((unsigned char)*p) || *p == '_' || (*p == '-' && label > 0)) {
            if (++label > 63)
                return false;
        } else {
            return false;
        }
    }
    return host[length - 1] != '-';
}

static int bad_hub(const char *text, hp_err_t *err)
{
    return hp_err_set(err, HP_E_INVALID,
                      "\"%.80s\" is not the address of a hub; write hub.example.org or "
                      "hub.example.org:%d",
                      text, HP_HUB_DEFAULT_PORT);
}

/* Digits from 1 to 65535, nothing else. */
static bool parse_port(const char *text, unsigned *port)
{
    size_t length = strlen(text);
    if (length == 0 || length > 5 || strspn(text, "0123456789") != length)
        return false;
    *port = (unsigned)strtoul(text, NULL, 10);
    return *port > 0 && *port <= 65535;
}

int hp_invite_hub_parse(const char *text, char hub[HP_INVITE_HUB_SIZE], hp_err_t *err)
{
    char host[HP_INVITE_HUB_SIZE];
    struct in6_addr v6;
    unsigned port = HP_HUB_DEFAULT_PORT;
    if (strlen(text) >= sizeof host)
        return bad_hub(text, err);
    bool bracketed = text[0] == '[';
    snprintf(host, sizeof host, "%s", text + bracketed);
    char *end = bracketed ? strchr(host, ']') : strchr(host, ':');
    bool bare_v6 = !bracketed && inet_pton(AF_INET6, host, &v6) == 1;
    if (bracketed && end == NULL)
        return bad_hub(text, err);
    if (end != NULL && !bare_v6) {
        const char *rest = end + (bracketed ? 1 : 0);
        if (*rest == ':' ? !parse_port(rest + 1, &port) : *rest != '\0')
            return bad_hub(text, err);
        *end = '\0';
    }
    for (char *p = host; *p != '\0'; p++)
        *p = (char)tolower((unsigned char)*p);
    bool is_v6 = bracketed || bare_v6;
    if (is_v6 ? inet_pton(AF_INET6, host, &v6) != 1 : !is_name(host))
        return bad_hub(text, err);
    snprintf(hub, HP_INVITE_HUB_SIZE, is_v6 ? "[%.255s]:%u" : "%.255s:%u", host, port);
    return 0;
}

void hp_invite_hub_split(const char *hub, char host[HP_INVITE_HUB_SIZE], uint16_t *port)
{
    const char *colon = strrchr(hub, ':');
    size_t length = (size_t)(colon - hub);
    bool bracketed = hub[0] == '[';
    snprintf(host, HP_INVITE_HUB_SIZE, "%.*s", (int)(length - (bracketed ? 2 : 0)), hub + bracketed);
    *port = (uint16_t)strtoul(colon + 1, NULL, 10);
}

/* ---- reading ---- */

static int mistyped(hp_err_t *err)
{
    return hp_err_set(err, HP_E_INVALID,
                      "the invite is incomplete or mistyped; copy all of it, from %s to the end", PREFIX);
}

int hp_invite_read(const char *text, hp_invite_t *invite, hp_err_t *err)
{
    char packed[HP_INVITE_SIZE];
    size_t length = 0;
    for (; *text != '\0'; text++) {
        if (isspace((unsigned char)*text))
            continue;
        if (length == sizeof packed - 1)
            return hp_err_set(err, HP_E_INVALID, "that is too long to be an invite");
        packed[length++] = *text;
    }
    packed[length] = '\0';
    if (strncasecmp(packed, PREFIX, strlen(PREFIX)) != 0)
        return hp_err_set(err, HP_E_INVALID, "that is no invite; an invite begins with %s", PREFIX);
    char *hub = packed + strlen(PREFIX), *slash = strchr(hub, '/');
    uint8_t bytes[BYTES], check[2];
    if (slash == NULL)
        return mistyped(err);
    *slash = '\0';
    if (hp_invite_hub_parse(hub, invite->hub, NULL) != 0 || strcasecmp(hub, invite->hub) != 0 ||
        strlen(slash + 1) != LETTERS || decode(slash + 1, bytes) != 0)
        return mistyped(err);
    make_check(invite->hub, bytes, check);
    if (memcmp(check, bytes + BYTES - 2, 2) != 0)
        return mistyped(err);
    if (bytes[0] != VERSION)
        return hp_err_set(err, HP_E_INVALID,
                          "the invite was made by a newer hostpair; bring this one up to date");
    memcpy(invite->secret, bytes + 1, 16);
    memcpy(invite->hub_fingerprint, bytes + 17, 16);
    return 0;
}
