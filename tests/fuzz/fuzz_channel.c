// libs: secure identity path os base
/* What a client of the TLS listener may send: instead of a handshake, behind one, or a handshake with some of
 * its bytes changed. A client whose bytes were changed is never taken for a host that it is not, and nothing
 * is read from it after an error. */
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/mem.h"
#include "identity/identity.h"
#include "secure/channel.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

typedef struct {
    hp_identity_t *identity;
    hp_secure_t *secure;
} host_t;

static host_t server, client;
static SSL_CTX *context;

static void make(host_t *host)
{
    char folder[] = "/tmp/hostpair-fuzz-XXXXXX", path[100];
    if (mkdtemp(folder) == NULL || hp_identity_open(&host->identity, folder, NULL) != 0 ||
        hp_secure_create(&host->secure, host->identity, NULL) != 0)
        abort();
    snprintf(path, sizeof path, "%s/%s", folder, HP_IDENTITY_FILE);
    unlink(path);
    rmdir(folder);
}

static void set_up(void)
{
    if (context != NULL)
        return;
    make(&server);
    make(&client);
    context = SSL_CTX_new(TLS_client_method());
    if (context == NULL || hp_secure_prepare_client(client.secure, context) != 0)
        abort();
}

typedef struct {
    hp_channel_t *channel;
    hp_channel_sink_t sink;
    bool ended;
} side_t;

/* In pieces of so many bytes. */
static void feed(side_t *side, const uint8_t *bytes, size_t length, size_t piece)
{
    uint8_t plain[16384];
    for (size_t at = 0; at < length && !side->ended; at += piece) {
        ssize_t n;
        hp_channel_set_input(side->channel, bytes + at, HP_MIN(piece, length - at));
        while ((n = hp_channel_read(side->channel, plain, sizeof plain)) > 0)
            continue;
        side->ended = n < 0;
        if (n == 0 && hp_channel_input_left(side->channel) > 0)
            abort();
        if (n == HP_E_TLS &&
            (hp_channel_is_open(side->channel) || hp_channel_write(side->channel, "x", 1) != HP_E_TLS))
            abort();
    }
    hp_channel_set_input(side->channel, NULL, 0);
}

/* The client's next bytes with some changed: pairs of a place and what is done to it. */
static bool pass(side_t *side, SSL *ssl, const uint8_t *changes, size_t count, size_t piece)
{
    uint8_t bytes[16384];
    int n = BIO_read(SSL_get_wbio(ssl), bytes, sizeof bytes);
    bool changed = false;
    for (size_t i = 0; n > 0 && i + 2 < count; i += 3) {
        bytes[(changes[i] << 8 | changes[i + 1]) % n] ^= changes[i + 2];
        changed |= changes[i + 2] != 0;
    }
    if (n > 0)
        feed(side, bytes, (size_t)n, piece);
    BIO_write(SSL_get_rbio(ssl), side->sink.data, (int)side->sink.length);
    side->sink.length = 0;
    return changed && n > 0;
}

static void shake_hands(side_t *side, SSL *ssl, const uint8_t *changes, size_t count, size_t piece)
{
    uint8_t fingerprint[32];
    bool changed = false;
    SSL_set_bio(ssl, BIO_new(BIO_s_mem()), BIO_new(BIO_s_mem()));
    SSL_set_connect_state(ssl);
    for (int i = 0; i < 4; i++) {
        SSL_do_handshake(ssl);
        changed |= pass(side, ssl, i == 0 ? changes : changes + HP_MIN(count, (size_t)30),
                        i == 0 ? HP_MIN(count, (size_t)30) : count - HP_MIN(count, (size_t)30), piece);
    }
    ERR_clear_error();
    if (hp_channel_proven(side->channel, fingerprint) &&
        memcmp(fingerprint, hp_identity_fingerprint(client.identity), 32) != 0)
        abort();
    if (!changed && !hp_channel_is_open(side->channel))
        abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    set_up();
    if (size < 2)
        return 0;
    side_t side = {0};
    size_t piece = data[1] == 0 ? SIZE_MAX / 2 : data[1];
    side.channel = hp_channel_accept(server.secure, &side.sink);
    SSL *ssl = SSL_new(context);
    if (data[0] % 3 == 0) {
        feed(&side, data + 2, size - 2, piece);
    } else if (data[0] % 3 == 1) {
        shake_hands(&side, ssl, data, 0, piece);
        feed(&side, data + 2, size - 2, piece);
    } else {
        shake_hands(&side, ssl, data + 2, size - 2, piece);
    }
    hp_channel_end(side.channel);
    hp_channel_destroy(side.channel);
    SSL_free(ssl);
    free(side.sink.data);
    return 0;
}
