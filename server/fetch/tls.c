/* TLS to other hosts. Curl makes the connection, with OpenSSL; what a connection to a host has to be is set
 * on its context by secure, and who was reached is judged here before the request leaves. */
#include <string.h>

#include "base/mem.h"
#include "base/path.h"
#include "fetch/internal.h"
#include "secure/secure.h"

/* Parts of curl's and OpenSSL's words for what comes of a greeting that is not understood. */
static const char *const not_tls[] = {
    "wrong version number", "unexpected eof",     "SSL_ERROR_SYSCALL", "packet length too long",
    "Connection reset",     "unexpected message", "http request",      "record layer failure",
    "bad record type",      "Broken pipe",
};

static CURLcode on_context(CURL *easy, void *context, void *arg)
{
    const hp_fetcher_t *fetcher = arg;
    char *private = NULL;
    curl_easy_getinfo(easy, CURLINFO_PRIVATE, &private);
    ((hp_fetch_t *)(void *)private)->greeted = true;
    return hp_secure_prepare_client(fetcher->secure, context) == 0 ? CURLE_OK : CURLE_SSL_CERTPROBLEM;
}

void hp_fetch_tls_set_up(hp_fetcher_t *fetcher, CURL *easy)
{
    curl_easy_setopt(easy, CURLOPT_SSL_CTX_FUNCTION, on_context);
    curl_easy_setopt(easy, CURLOPT_SSL_CTX_DATA, fetcher);
    curl_easy_setopt(easy, CURLOPT_SSL_VERIFYPEER, 0L); /* no authority knows hosts */
    curl_easy_setopt(easy, CURLOPT_SSL_VERIFYHOST, 0L);
    curl_easy_setopt(easy, CURLOPT_SSL_SESSIONID_CACHE, 0L);
    curl_easy_setopt(easy, CURLOPT_CAINFO, NULL); /* loading those takes longer than the connection */
    curl_easy_setopt(easy, CURLOPT_CAPATH, NULL);
}

static CURLcode on_web_context(CURL *easy, void *context, void *arg)
{
    char *private = NULL;
    (void)arg;
    curl_easy_getinfo(easy, CURLINFO_PRIVATE, &private);
    hp_secure_watch_certificate(context, &((hp_fetch_t *)(void *)private)->seen);
    return CURLE_OK;
}

void hp_fetch_tls_watch(CURL *easy)
{
    curl_easy_setopt(easy, CURLOPT_SSL_CTX_FUNCTION, on_web_context);
    curl_easy_setopt(easy, CURLOPT_SSL_SESSIONID_CACHE, 0L); /* a session that is resumed shows none */
}

int hp_fetch_tls_distrust(hp_fetch_t *fetch, const char *words)
{
    char hex[65];
    if (!fetch->seen.known)
        return hp_err_set(&fetch->err, HP_E_TLS, "%s: %s", fetch->where, words);
    hp_hex_encode(fetch->seen.digest, sizeof fetch->seen.digest, hex);
    return hp_err_set(&fetch->err, fetch->left ? HP_E_TLS : HP_E_CERTIFICATE,
                      "%.100s: %.160s; the SHA-256 of the certificate is %s", fetch->where, words, hex);
}

static bool expects_whole(const hp_endpoint_t *endpoint)
{
    static const uint8_t none[HP_FINGERPRINT_SIZE];
    return endpoint->id[0] != '\0' && memcmp(endpoint->fingerprint, none, sizeof none) != 0;
}

void hp_fetch_tls_set_expected(hp_fetch_t *fetch)
{
    char pin[HP_SECURE_PIN_SIZE];
    bool pinned = expects_whole(&fetch->endpoint);
    curl_easy_setopt(fetch->easy, CURLOPT_PINNEDPUBLICKEY,
                     pinned ? hp_secure_pin(fetch->endpoint.fingerprint, pin) : NULL);
}

static bool is_expected(const hp_endpoint_t *endpoint, const uint8_t fingerprint[HP_FINGERPRINT_SIZE])
{
    char id[HP_PEER_ID_SIZE];
    if (endpoint->id[0] == '\0')
        return true;
    if (expects_whole(endpoint) && memcmp(endpoint->fingerprint, fingerprint, HP_FINGERPRINT_SIZE) != 0)
        return false;
    return strcmp(endpoint->id, hp_identity_id_of(fingerprint, id)) == 0;
}

static int wrong_key(hp_fetch_t *fetch)
{
    char id[HP_PEER_ID_SIZE];
    if (!fetch->proven)
        return hp_err_set(&fetch->err, HP_E_WRONG_KEY, "another host answers at this address");
    return hp_err_set(&fetch->err, HP_E_WRONG_KEY,
                      "another host answers at this address: %.8s instead of %.8s",
                      hp_identity_id_of(fetch->fingerprint, id), fetch->endpoint.id);
}

int hp_fetch_tls_check(hp_fetch_t *fetch)
{
    struct curl_tlssessioninfo *info = NULL;
    if (curl_easy_getinfo(fetch->easy, CURLINFO_TLS_SSL_PTR, &info) != CURLE_OK || info == NULL ||
        info->backend != CURLSSLBACKEND_OPENSSL || info->internals == NULL)
        return hp_err_set(&fetch->err, HP_E_TLS, "libcurl does not tell who answered");
    if (!fetch->new_socket && hp_secure_has_pending(info->internals))
        return HP_FETCH_TLS_ANOTHER;
    fetch->proven = hp_secure_proven(info->internals, fetch->fingerprint);
    if (!fetch->proven)
        return hp_err_set(&fetch->err, HP_E_TLS, "what answers there is no host: it has another kind of key");
    if (is_expected(&fetch->endpoint, fetch->fingerprint))
        return 0;
    return fetch->new_socket ? wrong_key(fetch) : HP_FETCH_TLS_ANOTHER;
}

int hp_fetch_tls_check_certificate(hp_fetch_t *fetch)
{
    struct curl_tlssessioninfo *info = NULL;
    uint8_t digest[32];
    char hex[65];
    if (curl_easy_getinfo(fetch->easy, CURLINFO_TLS_SSL_PTR, &info) != CURLE_OK || info == NULL ||
        info->backend != CURLSSLBACKEND_OPENSSL || info->internals == NULL ||
        !hp_secure_certificate_digest(info->internals, digest))
        return hp_err_set(&fetch->err, HP_E_TLS, "the server's certificate cannot be read");
    if (memcmp(digest, fetch->certificate, sizeof digest) == 0)
        return 0;
    hp_hex_encode(digest, sizeof digest, hex);
    return hp_err_set(&fetch->err, HP_E_TLS, "the server shows another certificate, with the SHA-256 %s",
                      hex);
}

int hp_fetch_tls_judge(hp_fetch_t *fetch, CURLcode code)
{
    hp_err_t *err = &fetch->err;
    const char *where = fetch->where,
               *words = fetch->curl_words[0] != '\0' ? fetch->curl_words : curl_easy_strerror(code);
    if (code == CURLE_SSL_PINNEDPUBKEYNOTMATCH) {
        wrong_key(fetch);
        hp_err_prefix(err, "%s: ", where);
        return HP_E_WRONG_KEY;
    }
    if (code == CURLE_OPERATION_TIMEDOUT && !fetch->greeted)
        return hp_err_set(err, HP_E_UNREACHABLE, "%s: no answer within %u ms", where, fetch->connect_ms);
    if (code == CURLE_OPERATION_TIMEDOUT)
        return hp_err_set(err, HP_E_NOT_TLS, "%s: it takes the connection, but no TLS came within %u ms",
                          where, fetch->connect_ms);
    if (fetch->endpoint.scheme == HP_SCHEME_MEMBER)
        return hp_err_set(err, HP_E_UNREACHABLE, "%s: the relayed connection ended before it was up", where);
    for (size_t i = 0; i < HP_COUNT(not_tls); i++)
        if (strstr(words, not_tls[i]) != NULL)
            return hp_err_set(err, HP_E_NOT_TLS, "%s: what answers there does not speak TLS", where);
    return hp_err_set(err, HP_E_TLS, "%s: %s", where, words);
}
