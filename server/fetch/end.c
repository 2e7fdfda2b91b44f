/* What the end of a transfer means: done, once more, another address, or an error in our words. */
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/mem.h"
#include "fetch/internal.h"

#define REDIRECTS_MAX 10

/* Where a redirect leads (RFC 9110 section 10.2.2): *url for the caller to free. */
static int next_url(const hp_fetch_t *fetch, char **url, hp_err_t *err)
{
    char *target = NULL, *scheme = NULL;
    CURLU *parts = curl_url();
    CURLUcode rc = curl_url_set(parts, CURLUPART_URL, fetch->url, CURLU_PATH_AS_IS);
    if (rc == CURLUE_OK)
        rc = curl_url_set(parts, CURLUPART_URL, fetch->parser.location, CURLU_NON_SUPPORT_SCHEME);
    if (rc == CURLUE_OK)
        rc = curl_url_set(parts, CURLUPART_FRAGMENT, NULL, 0);
    if (rc == CURLUE_OK)
        rc = curl_url_get(parts, CURLUPART_SCHEME, &scheme, 0);
    if (rc == CURLUE_OK)
        rc = curl_url_get(parts, CURLUPART_URL, &target, 0);
    int status = 0;
    if (rc != CURLUE_OK)
        status = hp_err_set(err, HP_E_REDIRECT, "%s: redirects to something that is no URL", fetch->where);
    else if (strcmp(scheme, "http") != 0 && strcmp(scheme, "https") != 0)
        status = hp_err_set(err, HP_E_REDIRECT, "%s: redirects to %.20s, only http and https are followed",
                            fetch->where, scheme);
    else if (strncasecmp(fetch->url, "https:", 6) == 0 && strcmp(scheme, "http") == 0)
        status = hp_err_set(err, HP_E_REDIRECT, "%s: redirects from https to http", fetch->where);
    if (status == 0)
        *url = hp_strdup(target);
    curl_free(target);
    curl_free(scheme);
    curl_url_cleanup(parts);
    return status;
}

static bool follow(hp_fetch_t *fetch, int *status)
{
    char *url = NULL;
    if (++fetch->redirects > REDIRECTS_MAX) {
        *status =
            hp_err_set(&fetch->err, HP_E_REDIRECT, "%s: more than %d redirects", fetch->where, REDIRECTS_MAX);
        return false;
    }
    *status = next_url(fetch, &url, &fetch->err);
    if (*status == 0)
        *status = hp_fetch_set_url(fetch, url);
    free(url);
    return *status == 0 && hp_fetch_send_again(fetch, status);
}

/* Curl's verdict in our codes. */
static int judge_curl(hp_fetch_t *fetch, CURLcode code)
{
    hp_err_t *err = &fetch->err;
    const char *where = fetch->where,
               *words = fetch->curl_words[0] != '\0' ? fetch->curl_words : curl_easy_strerror(code);
    long os_error = 0;
    curl_easy_getinfo(fetch->easy, CURLINFO_OS_ERRNO, &os_error);
    if (fetch->tls && !fetch->connected && code != CURLE_COULDNT_CONNECT)
        return hp_fetch_tls_judge(fetch, code);
    switch (code) {
    case CURLE_COULDNT_RESOLVE_HOST:
    case CURLE_COULDNT_RESOLVE_PROXY:
        return hp_err_set(err, fetch->peer ? HP_E_UNREACHABLE : HP_E_NO_NAME,
                          "%s: no host of that name is found", where);
    case CURLE_COULDNT_CONNECT:
        return os_error != 0 ? hp_err_set(err, HP_E_UNREACHABLE, "%s: %s", where, strerror((int)os_error))
                             : hp_err_set(err, HP_E_UNREACHABLE, "%s: cannot be connected to", where);
    case CURLE_OPERATION_TIMEDOUT:
        return hp_err_set(err, HP_E_UNREACHABLE, "%s: no answer within %u ms", where, fetch->connect_ms);
    case CURLE_URL_MALFORMAT:
        return hp_err_set(err, HP_E_INVALID, "%s: %s", where, words);
    case CURLE_PEER_FAILED_VERIFICATION:
        return hp_fetch_tls_distrust(fetch, words);
    case CURLE_SSL_CONNECT_ERROR:
    case CURLE_SSL_ENGINE_NOTFOUND:
    case CURLE_SSL_ENGINE_SETFAILED:
    case CURLE_SSL_CERTPROBLEM:
    case CURLE_SSL_CIPHER:
    case CURLE_SSL_CACERT_BADFILE:
    case CURLE_SSL_CRL_BADFILE:
    case CURLE_SSL_ISSUER_ERROR:
    case CURLE_SSL_INVALIDCERTSTATUS:
        return hp_err_set(err, HP_E_TLS, "%s: %s", where, words);
    case CURLE_PARTIAL_FILE:
    case CURLE_RECV_ERROR:
    case CURLE_SEND_ERROR:
    case CURLE_SEND_FAIL_REWIND:
    case CURLE_GOT_NOTHING:
        if (fetch->parser.complete && fetch->parser.body == HP_FETCH_BODY_CHUNKED &&
            strstr(words, "chunk") != NULL)
            return hp_err_set(err, HP_E_PROTOCOL, "%s: %s", where, words);
        if (fetch->parser.complete && fetch->parser.body == HP_FETCH_BODY_LENGTH)
            return hp_err_set(err, UV_ECONNRESET, "%s: the connection ended after %llu of %llu bytes", where,
                              (unsigned long long)fetch->received,
                              (unsigned long long)fetch->parser.body_length);
        return hp_err_set(err, UV_ECONNRESET, "%s: the connection ended before the reply did", where);
    case CURLE_OUT_OF_MEMORY: /* so curl says when a header line is longer than it takes */
    case CURLE_UNSUPPORTED_PROTOCOL:
    case CURLE_WEIRD_SERVER_REPLY:
        return hp_err_set(err, HP_E_PROTOCOL, "%s: %s", where, words);
    default:
        return hp_err_set(err, fetch->connected ? HP_E_PROTOCOL : HP_E_UNREACHABLE, "%s: %s", where, words);
    }
}

/* Curl calls a reply complete whose header section was cut; and it is not asked alone about the length. */
static int judge_complete(hp_fetch_t *fetch)
{
    if (!fetch->parser.complete)
        return hp_err_set(&fetch->err, UV_ECONNRESET, "%s: the connection ended inside the header section",
                          fetch->where);
    if (fetch->parser.body_length != HP_RANGE_UNKNOWN && fetch->received != fetch->parser.body_length)
        return hp_err_set(&fetch->err, UV_ECONNRESET, "%s: the connection ended after %llu of %llu bytes",
                          fetch->where, (unsigned long long)fetch->received,
                          (unsigned long long)fetch->parser.body_length);
    return 0;
}

/* Whether what came first on a kept connection died with it, or is no reply: then it is the rest of an
 * earlier one (a body after HEAD or 304), and the request deserves a connection of its own. */
static bool is_leftover(const hp_fetch_t *fetch, CURLcode code)
{
    bool died = code == CURLE_SEND_ERROR || code == CURLE_RECV_ERROR || code == CURLE_GOT_NOTHING;
    bool no_reply = code == CURLE_UNSUPPORTED_PROTOCOL || code == CURLE_WEIRD_SERVER_REPLY ||
                    fetch->status == HP_E_PROTOCOL;
    if (fetch->new_socket || fetch->retried || !fetch->connected || fetch->sends)
        return false;
    return (died && fetch->parser.bytes == 0) ||
           (no_reply && fetch->body == NULL && !fetch->parser.in_section && !fetch->parser.complete);
}

/* A server that takes no HTTP/1.1 ends the handshake (RFC 7301 section 3.2), or says so in HTTP/1.1 or 2. */
static bool speaks_http2_alone(const hp_fetch_t *fetch, CURLcode code)
{
    if (fetch->peer || fetch->direct || fetch->http2 || strncasecmp(fetch->url, "https:", 6) != 0)
        return false;
    bool refused =
        code == CURLE_SSL_CONNECT_ERROR && strstr(fetch->curl_words, "application protocol") != NULL;
    bool other =
        fetch->connected && fetch->parser.bytes == 0 &&
        (code == CURLE_UNSUPPORTED_PROTOCOL || code == CURLE_WEIRD_SERVER_REPLY || code == CURLE_HTTP2);
    return refused || other;
}

bool hp_fetch_ended(hp_fetch_t *fetch, CURLcode code, int *status)
{
    if (fetch->cancel_wanted) {
        *status = UV_ECANCELED;
        return false;
    }
    if (fetch->stale) {
        fetch->stale_tries++;
        return hp_fetch_send_again(fetch, status);
    }
    if (is_leftover(fetch, code)) {
        fetch->retried = true;
        return hp_fetch_send_again(fetch, status);
    }
    if (speaks_http2_alone(fetch, code)) {
        fetch->http2 = true;
        return hp_fetch_send_again(fetch, status);
    }
    if (fetch->status != 0) {
        *status = fetch->status;
        if (fetch->err.code != 0)
            hp_err_prefix(&fetch->err, "%s: ", fetch->where);
        return false;
    }
    if (fetch->redirected && (code == CURLE_OK || code == CURLE_WRITE_ERROR))
        return follow(fetch, status);
    *status = code == CURLE_OK ? judge_complete(fetch) : judge_curl(fetch, code);
    return false;
}
