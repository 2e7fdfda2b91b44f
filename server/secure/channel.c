#include "secure/channel.h"

#include <limits.h>
#include <openssl/bio.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"

#define RECORD_BYTES ((size_t)SSL3_RT_MAX_PLAIN_LENGTH) /* 16 KiB, the most that one record carries */
#define SINK_MIN     ((size_t)4096)

struct hp_channel {
    SSL *ssl;
    hp_channel_sink_t *sink;
    const uint8_t *input;
    size_t input_length;
    bool broken;
};

/* ---- OpenSSL's view of the wire ---- */

static int on_bio_read(BIO *bio, char *out, size_t size, size_t *taken)
{
    hp_channel_t *self = BIO_get_data(bio);
    BIO_clear_retry_flags(bio);
    *taken = HP_MIN(size, self->input_length);
    if (*taken == 0) {
        BIO_set_retry_read(bio);
        return 0;
    }
    memcpy(out, self->input, *taken);
    self->input += *taken;
    self->input_length -= *taken;
    return 1;
}

static int on_bio_write(BIO *bio, const char *data, size_t length, size_t *written)
{
    hp_channel_t *self = BIO_get_data(bio);
    hp_channel_sink_t *sink = self->sink;
    if (sink->capacity - sink->length < length) {
        sink->capacity = HP_MAX(HP_MAX(sink->capacity * 2, sink->length + length), SINK_MIN);
        sink->data = hp_realloc(sink->data, sink->capacity);
    }
    memcpy(sink->data + sink->length, data, length);
    sink->length += length;
    *written = length;
    return 1;
}

static long on_bio_control(BIO *bio, int command, long number, void *pointer)
{
    (void)bio;
    (void)number;
    (void)pointer;
    return command == BIO_CTRL_FLUSH ? 1 : 0;
}

/* Made once for the process, and never freed. */
static const BIO_METHOD *wire(void)
{
    static BIO_METHOD *method;
    if (method == NULL) {
        method = BIO_meth_new(BIO_get_new_index() | BIO_TYPE_SOURCE_SINK, "hostpair");
        if (method == NULL || BIO_meth_set_read_ex(method, on_bio_read) != 1 ||
            BIO_meth_set_write_ex(method, on_bio_write) != 1 ||
            BIO_meth_set_ctrl(method, on_bio_control) != 1)
            abort(); /* out of memory */
    }
    return method;
}

/* ---- a channel ---- */

hp_channel_t *hp_channel_accept(const hp_secure_t *secure, hp_channel_sink_t *sink)
{
    hp_channel_t *self = hp_alloc(sizeof *self);
    BIO *bio = BIO_new(wire());
    self->ssl = SSL_new(hp_secure_server(secure));
    self->sink = sink;
    if (bio == NULL || self->ssl == NULL)
        abort(); /* out of memory */
    BIO_set_data(bio, self);
    BIO_set_init(bio, 1);
    SSL_set_bio(self->ssl, bio, bio);
    SSL_set_accept_state(self->ssl);
    return self;
}

void hp_channel_destroy(hp_channel_t *self)
{
    if (self == NULL)
        return;
    SSL_free(self->ssl);
    free(self);
}

void hp_channel_set_input(hp_channel_t *self, const void *data, size_t length)
{
    self->input = data;
    self->input_length = length;
}

const uint8_t *hp_channel_input(const hp_channel_t *self)
{
    return self->input;
}

size_t hp_channel_input_left(const hp_channel_t *self)
{
    return self->input_length;
}

static ssize_t judge(hp_channel_t *self, int result)
{
    switch (SSL_get_error(self->ssl, result)) {
    case SSL_ERROR_WANT_READ:
        return 0;
    case SSL_ERROR_ZERO_RETURN:
        return HP_CHANNEL_END;
    default:
        self->broken = true;
        ERR_clear_error();
        return HP_E_TLS;
    }
}

ssize_t hp_channel_read(hp_channel_t *self, void *out, size_t size)
{
    if (self->broken)
        return HP_E_TLS;
    ERR_clear_error();
    if (!SSL_is_init_finished(self->ssl)) {
        int result = SSL_do_handshake(self->ssl);
        if (result != 1)
            return judge(self, result);
    }
    int n = SSL_read(self->ssl, out, (int)HP_MIN(size, (size_t)INT_MAX));
    return n > 0 ? n : judge(self, n);
}

bool hp_channel_is_open(const hp_channel_t *self)
{
    return !self->broken && SSL_is_init_finished(self->ssl);
}

bool hp_channel_proven(const hp_channel_t *self, uint8_t fingerprint[HP_FINGERPRINT_SIZE])
{
    return !self->broken && hp_secure_proven(self->ssl, fingerprint);
}

int hp_channel_write(hp_channel_t *self, const void *data, size_t length)
{
    ERR_clear_error();
    for (const uint8_t *at = data; length > 0 && !self->broken;) {
        size_t part = HP_MIN(length, RECORD_BYTES);
        if (!SSL_is_init_finished(self->ssl) || SSL_write(self->ssl, at, (int)part) != (int)part)
            self->broken = true;
        at += part;
        length -= part;
    }
    if (!self->broken)
        return 0;
    ERR_clear_error();
    return HP_E_TLS;
}

void hp_channel_end(hp_channel_t *self)
{
    if (hp_channel_is_open(self))
        SSL_shutdown(self->ssl);
    ERR_clear_error();
}
