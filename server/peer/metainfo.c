#include "metainfo.h"

#include <arpa/inet.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "base/path.h"
#include "bencode.h"

#define AUTHORITY_MAX 261 /* characters of a host name, ":" and a port */

/* ---- the address of the web seed ---- */

/* 1 to 65535 in decimal, without leading zeros. */
static bool is_port(const char *text)
{
    size_t length = strspn(text, "0123456789");
    return length > 0 && length <= 5 && text[length] == '\0' && text[0] != '0' && atoi(text) <= 65535;
}

/* A host name or an IPv4 address: labels of letters, digits, "-" and "_", a dot between them. */
static bool is_name(const char *text, size_t length)
{
    static const char label[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_";
    const char *end = text + length;
    for (const char *at = text;; at++) {
        size_t n = strspn(at, label);
        if (n == 0 || n > 63)
            return false;
        at += n;
        if (at == end || (*at == '.' && at + 1 == end)) /* "host." is written out in full */
            return true;
        if (*at != '.')
            return false;
    }
}

static bool is_ipv6(const char *text, size_t length)
{
    char address[INET6_ADDRSTRLEN];
    struct in6_addr parsed;
    if (length >= sizeof address)
        return false;
    memcpy(address, text, length);
    address[length] = '\0';
    return inet_pton(AF_INET6, address, &parsed) == 1;
}

bool hp_metainfo_is_authority(const char *host)
{
    if (host == NULL || strlen(host) > AUTHORITY_MAX)
        return false;
    const char *rest;
    if (host[0] == '[') {
        size_t length = strcspn(host + 1, "]");
        if (host[1 + length] != ']' || !is_ipv6(host + 1, length))
            return false;
        rest = host + length + 2;
    } else {
        size_t length = strcspn(host, ":");
        if (!is_name(host, length))
            return false;
        rest = host + length;
    }
    return *rest == '\0' || (*rest == ':' && is_port(rest + 1));
}

/* "http://host:port/files/<folder>/", for the caller to free. */
static char *folder_url(const hp_metainfo_t *self)
{
    char *folder = hp_path_encode(self->path, (size_t)(hp_path_name(self->path) - self->path), true);
    char *url = hp_sprintf("http://%s/files/%s", self->authority, folder);
    free(folder);
    return url;
}

/* ---- the file ---- */

static void add_info(hp_bencode_t *out, const hp_metainfo_t *self)
{
    const char *name = hp_path_name(self->path);
    hp_bencode_dict(out);
    hp_bencode_text_key(out, "file tree");
    hp_bencode_dict(out);
    hp_bencode_text_key(out, name);
    hp_bencode_dict(out);
    hp_bencode_text_key(out, "");
    hp_bencode_dict(out);
    hp_bencode_text_key(out, "length");
    hp_bencode_number(out, (int64_t)self->size);
    if (self->size > 0) {
        hp_bencode_text_key(out, "pieces root");
        hp_bencode_bytes(out, self->root, HP_SHA256_SIZE);
    }
    hp_bencode_end(out);
    hp_bencode_end(out);
    hp_bencode_end(out);
    hp_bencode_text_key(out, "meta version");
    hp_bencode_number(out, 2);
    hp_bencode_text_key(out, "name");
    hp_bencode_text(out, name);
    hp_bencode_text_key(out, "piece length");
    hp_bencode_number(out, (int64_t)self->piece);
    hp_bencode_end(out);
}

int hp_metainfo_write(const hp_metainfo_t *self, hp_buf_t *text, size_t *split)
{
    hp_bencode_t out;
    char *url = folder_url(self);
    hp_bencode_init(&out, text);
    hp_bencode_dict(&out);
    hp_bencode_text_key(&out, "info");
    add_info(&out, self);
    hp_bencode_text_key(&out, "piece layers");
    hp_bencode_dict(&out);
    if (self->layer_count > 0) {
        hp_bencode_key(&out, self->root, HP_SHA256_SIZE);
        hp_bencode_bytes_later(&out, self->layer_count * HP_SHA256_SIZE);
    }
    *split = text->length;
    hp_bencode_end(&out);
    hp_bencode_text_key(&out, "url-list");
    hp_bencode_text(&out, url);
    hp_bencode_end(&out);
    free(url);
    return hp_bencode_finish(&out);
}
