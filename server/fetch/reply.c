/* What comes: curl's callbacks, from the connection to the last byte of the body. No call of curl in here. */
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "base/clock.h"
#include "base/mem.h"
#include "fetch/internal.h"

/* A longer body of a redirect is not read to its end: its connection is given up. */
#define REDIRECT_BODY_MAX 65536

static int end_with(hp_fetch_t *fetch, int status)
{
    fetch->status = status;
    return status;
}

static void heard(hp_fetch_t *fetch)
{
    fetch->heard_ms = hp_clock_ms(); /* not uv_now(): one call of curl may read for a while */
    fetch->silent = false;
}

int hp_fetch_on_connected(void *arg, char *remote, char *local, int remote_port, int local_port)
{
    hp_fetch_t *fetch = arg;
    (void)local;
    fetch->connected = true;
    snprintf(fetch->address, sizeof fetch->address, "%s", remote);
    fetch->port = (uint16_t)remote_port;
    heard(fetch);
    hp_fetcher_watch(fetch->fetcher, fetch);
    fetch->asked_ns = uv_hrtime();
    /* A web server may send session tickets after the handshake at any time; other hosts never do. */
    bool quiet = fetch->tls || strncasecmp(fetch->url, "http:", 5) == 0;
    bool stale =
        hp_fetch_socket_is_stale(fetch->fetcher, fetch->new_socket, remote, remote_port, local_port) && quiet;
    int rc = fetch->tls && !stale ? hp_fetch_tls_check(fetch) : 0;
    if (fetch->has_certificate && !quiet)
        rc = hp_fetch_tls_check_certificate(fetch);
    if (fetch->way_chosen && !fetch->tls) { /* the tunnel has proven who is at its end */
        fetch->proven = true;
        memcpy(fetch->fingerprint, fetch->endpoint.fingerprint, sizeof fetch->fingerprint);
    }
    fetch->stale = stale || rc == HP_FETCH_TLS_ANOTHER;
    if (rc < 0)
        end_with(fetch, rc);
    return fetch->stale || rc < 0 ? CURL_PREREQFUNC_ABORT : CURL_PREREQFUNC_OK;
}

size_t hp_fetch_on_send(char *into, size_t size, size_t count, void *arg)
{
    hp_fetch_t *fetch = arg;
    if (fetch->cancel_wanted || fetch->status != 0)
        return CURL_READFUNC_ABORT;
    heard(fetch);
    size_t n = fetch->send(fetch->send_arg, into, size * count);
    fetch->sends = true;
    if (n == HP_FETCH_SEND_FAILED) {
        end_with(fetch, hp_err_set(&fetch->err, HP_E_DISK, "what is to be sent cannot be read"));
        return CURL_READFUNC_ABORT;
    }
    if (n > 0)
        return n;
    fetch->held = true;
    return CURL_READFUNC_PAUSE;
}

static bool is_followed(const hp_fetch_t *fetch)
{
    int status = fetch->parser.head.status;
    return !fetch->peer && !fetch->direct && fetch->body == NULL && fetch->send == NULL &&
           fetch->parser.location[0] != '\0' &&
           (status == 301 || status == 302 || status == 303 || status == 307 || status == 308);
}

static int got_head(hp_fetch_t *fetch)
{
    hp_fetch_head_t *head = &fetch->parser.head;
    head->url = fetch->url;
    if (!fetch->way_chosen) { /* through a tunnel or a relay curl is connected to this process itself */
        head->address = fetch->address;
        head->port = fetch->port;
    }
    head->proven = fetch->proven;
    memcpy(head->fingerprint, fetch->fingerprint, sizeof head->fingerprint);
    head->wait_us = fetch->wait_us;
    head->reused = !fetch->new_socket;
    if (is_followed(fetch)) {
        fetch->redirected = true;
        return 0;
    }
    if (fetch->body_max != 0 && fetch->parser.body == HP_FETCH_BODY_LENGTH &&
        fetch->parser.body_length > fetch->body_max)
        return hp_err_set(&fetch->err, HP_E_TOO_LARGE, "the reply has %llu bytes, at most %llu are taken",
                          (unsigned long long)fetch->parser.body_length, (unsigned long long)fetch->body_max);
    return fetch->callbacks->on_head != NULL ? fetch->callbacks->on_head(fetch->arg, head) : 0;
}

size_t hp_fetch_on_header(char *line, size_t size, size_t count, void *arg)
{
    hp_fetch_t *fetch = arg;
    size_t length = size * count;
    if (fetch->cancel_wanted || fetch->status != 0)
        return CURL_WRITEFUNC_ERROR;
    heard(fetch);
    if (fetch->parser.bytes == 0)
        fetch->wait_us = (uint32_t)HP_MIN((uv_hrtime() - fetch->asked_ns) / 1000, (uint64_t)UINT32_MAX);
    int rc = hp_fetch_parser_line(&fetch->parser, line, length, &fetch->err);
    if (rc == HP_FETCH_PARSER_HEAD)
        rc = got_head(fetch);
    if (rc < 0 || fetch->cancel_wanted) {
        end_with(fetch, rc < 0 ? rc : UV_ECANCELED);
        return CURL_WRITEFUNC_ERROR;
    }
    return length;
}

/* Curl reads up to a hundred buffers in one call while the socket has more: a fast source would keep
 * everything else waiting. */
static bool is_over_its_share(hp_fetch_t *fetch, size_t length)
{
    if (fetch->burst_call != fetch->fetcher->calls) {
        fetch->burst_call = fetch->fetcher->calls;
        fetch->burst = 0;
    }
    fetch->burst += length;
    return fetch->burst > HP_FETCH_BURST;
}

size_t hp_fetch_on_body(char *data, size_t size, size_t count, void *arg)
{
    hp_fetch_t *fetch = arg;
    size_t length = size * count;
    if (fetch->cancel_wanted || fetch->status != 0)
        return CURL_WRITEFUNC_ERROR;
    heard(fetch);
    if (fetch->redirected) {
        fetch->skipped += length;
        return fetch->skipped <= REDIRECT_BODY_MAX ? length : CURL_WRITEFUNC_ERROR;
    }
    if (!fetch->parser.complete || length > fetch->parser.body_length - fetch->received) {
        end_with(fetch, hp_err_set(&fetch->err, HP_E_PROTOCOL, "the reply has a body where none belongs"));
        return CURL_WRITEFUNC_ERROR;
    }
    if (fetch->body_max != 0 && length > fetch->body_max - fetch->received) {
        end_with(fetch, hp_err_set(&fetch->err, HP_E_TOO_LARGE, "the reply is longer than %llu bytes",
                                   (unsigned long long)fetch->body_max));
        return CURL_WRITEFUNC_ERROR;
    }
    if (is_over_its_share(fetch, length)) {
        hp_fetch_rest(fetch);
        return CURL_WRITEFUNC_PAUSE;
    }
    int rc = fetch->callbacks->on_data != NULL
                 ? fetch->callbacks->on_data(fetch->arg, (const uint8_t *)data, length)
                 : 0;
    if (rc < 0 || fetch->cancel_wanted) {
        end_with(fetch, rc < 0 ? rc : UV_ECANCELED);
        return CURL_WRITEFUNC_ERROR;
    }
    if (rc == HP_FETCH_HOLD) {
        fetch->held = true;
        return CURL_WRITEFUNC_PAUSE;
    }
    fetch->received += length;
    fetch->fetcher->bytes += length;
    return length;
}
