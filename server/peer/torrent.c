/* GET /torrent/<path>: a BitTorrent v2 metainfo file (BEP 52) of one shared file, with this host as its web
 * seed (BEP 19), so that any BitTorrent program can download and verify it.
 *
 * A piece is a chunk of hostpair's own downloads, so the piece layer is the one that stands in the store. The
 * web seed is the address of the file's folder, ended by a slash: a client appends the torrent's name, which
 * is the file's. Its host is the one that the client used itself, taken from the request. An empty file has
 * no root and no piece (BEP 52), which makes a valid metainfo file that has nothing to download. */
#include "internal.h"

#include <arpa/inet.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/mem.h"
#include "base/path.h"
#include "bencode.h"
#include "layer_reply.h"
#include "share/merkle.h"

#define TORRENT_MAX     ((size_t)64 * 1024) /* bytes without the layer: a path of 12 KiB when encoded, twice */
#define HASHED_A_SECOND ((uint64_t)256 * 1024 * 1024) /* bytes; a guess for Retry-After */
#define RETRY_MAX       60                            /* seconds */
#define AUTHORITY_MAX   261                           /* characters of a host name, ":" and a port */

static const char torrent_type[] = "application/x-bittorrent";

typedef struct {
    hp_peer_t *peer;
    hp_http_request_t *request;
    hp_gate_t *gate; /* to be left at the end; NULL while outside */
    char *path;
    bool as_folder; /* the URL ends with "/" */
    uint64_t size, piece;
    uint8_t root[HP_SHA256_SIZE];
} torrent_t;

static void destroy(torrent_t *self)
{
    hp_gate_t *gate = self->gate;
    hp_http_release(self->request);
    free(self->path);
    free(self);
    if (gate != NULL)
        hp_gate_leave(gate);
}

/* ---- the address in the request ---- */

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

/* Whether a Host field is "host" or "host:port" and nothing else (RFC 3986 section 3.2, without what no
 * address of a hostpair has: user names, escapes, zones, an empty port). It goes into the torrent as it
 * stands. */
static bool is_authority(const char *host)
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
static char *folder_url(hp_http_request_t *request, const char *path)
{
    char *folder = hp_path_encode(path, (size_t)(hp_path_name(path) - path), true);
    char *url = hp_sprintf("http://%s/files/%s", hp_http_header(request, "Host"), folder);
    free(folder);
    return url;
}

/* ---- the metainfo ---- */

static void add_info(hp_bencode_t *out, const torrent_t *self)
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
        hp_bencode_bytes(out, self->root, sizeof self->root);
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

/* Without the bytes of the layer, which belong at *split; count 0 for a file of at most one piece. */
static int write_torrent(const torrent_t *self, uint64_t count, hp_buf_t *text, size_t *split)
{
    hp_bencode_t out;
    char *url = folder_url(self->request, self->path);
    hp_bencode_init(&out, text);
    hp_bencode_dict(&out);
    hp_bencode_text_key(&out, "info");
    add_info(&out, self);
    hp_bencode_text_key(&out, "piece layers");
    hp_bencode_dict(&out);
    if (count > 0) {
        hp_bencode_key(&out, self->root, sizeof self->root);
        hp_bencode_bytes_later(&out, count * HP_SHA256_SIZE);
    }
    *split = text->length;
    hp_bencode_end(&out);
    hp_bencode_text_key(&out, "url-list");
    hp_bencode_text(&out, url);
    hp_bencode_end(&out);
    free(url);
    return hp_bencode_finish(&out);
}

static void set_fields(const torrent_t *self)
{
    char *name = hp_sprintf("%s.torrent", hp_path_name(self->path));
    hp_http_set_attachment(self->request, name);
    hp_http_set_header(self->request, "Cache-Control", "no-cache");
    free(name);
}

/* ---- the request's way ---- */

static void refuse(torrent_t *self, int status)
{
    hp_peer_refuse(self->request, status);
    destroy(self);
}

/* The root of these bytes is not known yet. */
static void refuse_unhashed(torrent_t *self)
{
    char seconds[16];
    snprintf(seconds, sizeof seconds, "%u",
             (unsigned)HP_MIN(1 + self->size / HASHED_A_SECOND, (uint64_t)RETRY_MAX));
    hp_http_set_header(self->request, "Retry-After", seconds);
    hp_http_reply_text_error(self->request, HP_E_BUSY, "The file is still being hashed");
    destroy(self);
}

/* The first piece of the layer is there, or is not. */
static void on_ready(void *arg, int status)
{
    torrent_t *self = arg;
    if (status == HP_E_NOT_FOUND) {
        refuse_unhashed(self); /* it has changed since it was opened */
    } else if (status != 0) {
        refuse(self, status);
    } else {
        set_fields(self);
        destroy(self);
    }
}

static char *copy(const char *data, size_t length)
{
    return memcpy(hp_alloc(length), data, length);
}

static void reply_layer(torrent_t *self, hp_layer_t *layer, uint64_t count)
{
    hp_buf_t text;
    size_t split;
    hp_buf_init(&text, TORRENT_MAX);
    int rc = write_torrent(self, count, &text, &split);
    if (rc != 0) {
        hp_layer_close(layer);
        refuse(self, rc == HP_E_TOO_LARGE ? rc : HP_E_INTERNAL);
    } else {
        hp_layer_reply(&(hp_layer_reply_t){.request = self->request,
                                           .layer = layer,
                                           .count = count,
                                           .type = torrent_type,
                                           .head = copy(text.data, split),
                                           .head_length = split,
                                           .tail = copy(text.data + split, text.length - split),
                                           .tail_length = text.length - split,
                                           .ready = on_ready,
                                           .arg = self});
    }
    hp_buf_dispose(&text);
}

static void on_layer(void *arg, int status, hp_layer_t *layer, uint64_t count)
{
    torrent_t *self = arg;
    if (status == 0 && hp_http_gone(self->request)) {
        hp_layer_close(layer);
        destroy(self);
    } else if (status == HP_E_NOT_FOUND) {
        refuse_unhashed(self); /* it has changed since it was opened */
    } else if (status != 0) {
        refuse(self, status == HP_E_INVALID ? HP_E_INTERNAL : status);
    } else {
        reply_layer(self, layer, count);
    }
}

/* A file of at most one piece. */
static void reply_small(torrent_t *self)
{
    hp_buf_t text;
    size_t split;
    hp_buf_init(&text, TORRENT_MAX);
    int rc = write_torrent(self, 0, &text, &split);
    if (rc != 0) {
        hp_peer_refuse(self->request, rc == HP_E_TOO_LARGE ? rc : HP_E_INTERNAL);
    } else {
        set_fields(self);
        hp_http_reply(self->request, 200, torrent_type, text.data, text.length);
    }
    hp_buf_dispose(&text);
    destroy(self);
}

static void on_turn(void *arg, int status)
{
    torrent_t *self = arg;
    char root[2 * HP_SHA256_SIZE + 1];
    if (status != 0) { /* the client has gone */
        destroy(self);
        return;
    }
    self->gate = self->peer->trees;
    hp_hex_encode(self->root, sizeof self->root, root);
    hp_layer_open(self->peer->share, root, self->size, self->piece, on_layer, self);
}

/* After the client has gone the peer may have, too. */
static void on_opened(void *arg, int status, const hp_share_file_t *file)
{
    torrent_t *self = arg;
    if (status == 0) {
        close(file->fd);
        if (hp_http_gone(self->request) || self->as_folder)
            status = HP_E_NOT_FOUND;
    }
    if (status != 0) {
        refuse(self, status);
        return;
    }
    self->size = (uint64_t)file->stat.st_size;
    self->piece = hp_chunk_size_for(self->size);
    if (self->size > 0 && hp_hex_decode(file->root, self->root, sizeof self->root) != 0)
        refuse_unhashed(self);
    else if (self->size <= self->piece)
        reply_small(self);
    else
        hp_gate_enter(self->peer->trees, self->request, on_turn, self);
}

void hp_peer_torrent(hp_peer_t *peer, hp_http_request_t *request, const char *encoded)
{
    if (!is_authority(hp_http_header(request, "Host"))) {
        hp_http_reply_text_error(request, HP_E_BAD_REQUEST,
                                 "Host has to be a host name or address, and a port");
        return;
    }
    bool as_folder;
    char *path = hp_peer_take_path(request, encoded, &as_folder);
    if (path == NULL)
        return;
    torrent_t *self = hp_alloc(sizeof *self);
    self->peer = peer;
    self->request = request;
    self->path = path;
    self->as_folder = as_folder;
    hp_http_addref(request);
    hp_share_open(peer->share, self->path, on_opened, self);
}
