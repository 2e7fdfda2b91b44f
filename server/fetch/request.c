/* One request: from the caller's options to curl's. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/mem.h"
#include "base/path.h"
#include "fetch/internal.h"

#define STALE_TRIES_MAX 2    /* kept connections with unasked bytes, before a new one is made */
#define HEAD_ROOM       4096 /* of a small reply's buffer, for its header section */
#define BUFFER_MIN      16384
#define SEND_BUFFER     262144L /* bytes that leave at a time of a body that comes in pieces */
#define SEND_SMALL      65536L
/* For how long a connection without a request is used again: hostpair closes it after 60 s, a relayed one
 * after 10 s. */
#define KEPT_S         55L
#define KEPT_RELAYED_S 8L

/* ---- the options ---- */

static bool is_line(const char *text)
{
    return text == NULL || strpbrk(text, "\r\n") == NULL;
}

/* Scheme, host and port of a URL, and whether it may be asked at all. */
static int read_url(const char *url, bool peer, char **where, char **origin, hp_err_t *err)
{
    char *scheme = NULL, *host = NULL, *port = NULL;
    const char *slashes = strstr(url, "://");
    if (slashes == NULL || slashes[3] == '/') { /* curl takes one to three slashes */
        hp_err_set(err, HP_E_INVALID, "the URL does not start with http:// or https:// and a host");
        return HP_E_INVALID;
    }
    CURLU *parts = curl_url();
    CURLUcode rc = curl_url_set(parts, CURLUPART_URL, url, peer ? CURLU_DISALLOW_USER : 0);
    if (rc == CURLUE_OK)
        rc = curl_url_get(parts, CURLUPART_SCHEME, &scheme, 0);
    if (rc == CURLUE_OK)
        rc = curl_url_get(parts, CURLUPART_HOST, &host, 0);
    if (rc == CURLUE_OK)
        rc = curl_url_get(parts, CURLUPART_PORT, &port, CURLU_DEFAULT_PORT);
    int status = HP_E_INVALID;
    if (rc == CURLUE_UNSUPPORTED_SCHEME) {
        hp_err_set(err, status, "only http:// and https:// can be fetched");
    } else if (rc != CURLUE_OK) {
        hp_err_set(err, status, "the URL is not valid: %s", curl_url_strerror(rc));
    } else if (strcmp(scheme, "http") != 0 && strcmp(scheme, "https") != 0) {
        hp_err_set(err, status, "only http:// and https:// can be fetched");
    } else {
        status = 0;
        *where = hp_sprintf("%s:%s", host, port);
        *origin = hp_sprintf("%s://%s:%s", scheme, host, port);
    }
    curl_free(scheme);
    curl_free(host);
    curl_free(port);
    curl_url_cleanup(parts);
    return status;
}

/* The URL with every byte of its path and query that is no ASCII percent-encoded (RFC 3987 section 3.1): the
 * host is curl's to write in ASCII. Malloced. */
static char *encode_path(const char *url)
{
    const char *slashes = strstr(url, "://");
    size_t host = slashes != NULL ? (size_t)(slashes + 3 - url) : 0;
    size_t start = host + strcspn(url + host, "/?#"), used = start;
    char *out = hp_alloc_array(strlen(url) + 1, 3);
    memcpy(out, url, start);
    for (const char *p = url + start; *p != '\0'; p++)
        if ((unsigned char)*p < 0x80)
            out[used++] = *p;
        else
            used += (size_t)snprintf(out + used, 4, "%%%02X", (unsigned char)*p);
    out[used] = '\0';
    return out;
}

static void forget_user(hp_fetch_t *fetch)
{
    free(fetch->user);
    free(fetch->password);
    fetch->user = fetch->password = NULL;
}

/* User and password leave the URL: a redirect within the origin keeps them, and no message shows them. */
static void take_user(hp_fetch_t *fetch)
{
    char *user = NULL, *password = NULL, *rest = NULL;
    CURLU *parts = curl_url();
    if (curl_url_set(parts, CURLUPART_URL, fetch->url, CURLU_PATH_AS_IS) == CURLUE_OK &&
        curl_url_get(parts, CURLUPART_USER, &user, CURLU_URLDECODE) == CURLUE_OK) {
        curl_url_get(parts, CURLUPART_PASSWORD, &password, CURLU_URLDECODE);
        curl_url_set(parts, CURLUPART_USER, NULL, 0);
        curl_url_set(parts, CURLUPART_PASSWORD, NULL, 0);
        if (curl_url_get(parts, CURLUPART_URL, &rest, 0) == CURLUE_OK) {
            forget_user(fetch);
            fetch->user = hp_strdup(user);
            fetch->password = hp_strdup(password != NULL ? password : "");
            free(fetch->url);
            fetch->url = hp_strdup(rest);
        }
    }
    curl_free(user);
    curl_free(password);
    curl_free(rest);
    curl_url_cleanup(parts);
}

int hp_fetch_set_url(hp_fetch_t *fetch, const char *url)
{
    char *where = NULL, *origin = NULL;
    int rc = read_url(url, fetch->peer, &where, &origin, &fetch->err);
    if (rc != 0)
        return rc;
    free(fetch->url);
    fetch->url = fetch->peer ? hp_strdup(url) : encode_path(url);
    snprintf(fetch->where, sizeof fetch->where, "%s", where);
    free(where);
    if (fetch->origin != NULL && strcmp(fetch->origin, origin) != 0) {
        curl_slist_free_all(fetch->own_headers);
        fetch->own_headers = NULL;
        forget_user(fetch);
        fetch->http2 = fetch->has_certificate = fetch->any_certificate = false;
        fetch->left = true;
    }
    if (!fetch->peer)
        take_user(fetch);
    free(fetch->origin);
    fetch->origin = origin;
    return 0;
}

static void add_header(struct curl_slist **list, const char *line)
{
    struct curl_slist *longer = curl_slist_append(*list, line);
    if (longer == NULL)
        abort();
    *list = longer;
}

static void add_field(struct curl_slist **list, const char *name, const char *value)
{
    char *line = hp_sprintf("%s: %s", name, value);
    add_header(list, line);
    free(line);
}

static void add_range(struct curl_slist **list, const hp_range_t *range)
{
    char *line = range->end == HP_RANGE_UNKNOWN
                     ? hp_sprintf("Range: bytes=%llu-", (unsigned long long)range->first)
                     : hp_sprintf("Range: bytes=%llu-%llu", (unsigned long long)range->first,
                                  (unsigned long long)(range->end - 1));
    add_header(list, line);
    free(line);
}

static int check_options(const hp_fetch_options_t *options, hp_err_t *err)
{
    const char *method = options->method;
    static const char *const methods[] = {"GET", "HEAD", "POST", "PUT", "DELETE"};
    bool known = method == NULL;
    for (size_t i = 0; i < HP_COUNT(methods) && !known; i++)
        known = strcmp(method, methods[i]) == 0;
    if (!known)
        return hp_err_set(err, HP_E_INVALID, "the method %.20s is not known", method);
    if (options->ranged && options->range.first >= options->range.end)
        return hp_err_set(err, HP_E_INVALID, "the range is empty");
    bool lines = is_line(options->accept) && is_line(options->if_none_match) && is_line(options->if_range) &&
                 is_line(options->content_type);
    for (const char *const *line = options->headers; line != NULL && *line != NULL; line++)
        lines = lines && is_line(*line);
    if (!lines)
        return hp_err_set(err, HP_E_INVALID, "a header field has a line break");
    if (options->endpoint == NULL && options->url == NULL)
        return hp_err_set(err, HP_E_INVALID, "there is no URL");
    return 0;
}

static int set_endpoint(hp_fetch_t *fetch, const hp_endpoint_t *endpoint, const char *path)
{
    char base[HP_ENDPOINT_URL_SIZE], where[HP_ENDPOINT_TEXT_SIZE];
    fetch->peer = true;
    fetch->endpoint = *endpoint;
    hp_endpoint_format(endpoint, where);
    if (path == NULL || path[0] != '/')
        return hp_err_set(&fetch->err, HP_E_INVALID, "%s: the path does not start with a slash", where);
    fetch->path = hp_strdup(path);
    if (endpoint->scheme == HP_SCHEME_MEMBER) {
        snprintf(fetch->where, sizeof fetch->where, "%s", where);
        return fetch->fetcher->members != NULL && endpoint->id[0] != '\0'
                   ? 0
                   : hp_err_set(&fetch->err, HP_E_UNREACHABLE, "%s: there is no way to it", where);
    }
    fetch->tls = endpoint->scheme == HP_SCHEME_TLS;
    if (fetch->tls && fetch->fetcher->secure == NULL)
        return hp_err_set(&fetch->err, HP_E_TLS, "%s: this host has no key", where);
    if (hp_endpoint_url(endpoint, base)[0] == '\0')
        return hp_err_set(&fetch->err, HP_E_UNREACHABLE, "%s: there is no way to it", where);
    char *url = hp_sprintf("%s%s", base, path);
    int rc = hp_fetch_set_url(fetch, url);
    free(url);
    return rc;
}

int hp_fetch_set_member_url(hp_fetch_t *fetch)
{
    char base[HP_ENDPOINT_URL_SIZE], where[HP_ENDPOINT_TEXT_SIZE];
    fetch->tls = fetch->way == HP_WAY_RELAYED;
    if (fetch->tls && fetch->fetcher->secure == NULL)
        return hp_err_set(&fetch->err, HP_E_TLS, "%s: this host has no key", fetch->where);
    char *url = hp_sprintf("%s%s", hp_fetch_member_base(&fetch->endpoint, fetch->way, base), fetch->path);
    int rc = hp_fetch_set_url(fetch, url);
    free(url);
    snprintf(fetch->where, sizeof fetch->where, "%s", hp_endpoint_format(&fetch->endpoint, where));
    return rc;
}

int hp_fetch_prepare(hp_fetch_t *fetch, const hp_fetch_options_t *options)
{
    int rc = check_options(options, &fetch->err);
    if (rc != 0)
        return rc;
    if (options->endpoint != NULL)
        rc = set_endpoint(fetch, options->endpoint, options->path);
    else
        rc = hp_fetch_set_url(fetch, options->url);
    if (rc != 0)
        return rc;
    fetch->has_certificate =
        options->certificate != NULL &&
        hp_hex_decode(options->certificate, fetch->certificate, sizeof fetch->certificate) == 0;
    fetch->any_certificate = options->any_certificate;
    fetch->method = hp_strdup(options->method != NULL ? options->method : "GET");
    fetch->head_request = strcmp(fetch->method, "HEAD") == 0;
    fetch->fresh = options->fresh;
    fetch->direct = options->direct;
    fetch->body_max = options->body_max;
    fetch->connect_ms = options->connect_ms != 0 ? options->connect_ms : HP_FETCH_CONNECT_MS;
    fetch->alive_s = options->alive_s;
    fetch->stall_ms = options->stall_ms != 0 ? options->stall_ms : HP_FETCH_STALL_MS;
    fetch->first_ms = HP_MAX(options->first_ms, fetch->stall_ms);
    fetch->total_ms = options->total_ms;

    add_header(&fetch->headers, "Accept-Encoding: identity");
    add_header(&fetch->headers, "Expect:"); /* none */
    if (options->accept != NULL)
        add_field(&fetch->headers, "Accept", options->accept);
    if (options->if_none_match != NULL)
        add_field(&fetch->headers, "If-None-Match", options->if_none_match);
    if (options->ranged)
        add_range(&fetch->headers, &options->range);
    if (options->ranged && options->if_range != NULL)
        add_field(&fetch->headers, "If-Range", options->if_range);
    if (options->content_type != NULL)
        add_field(&fetch->headers, "Content-Type", options->content_type);
    for (const char *const *line = options->headers; line != NULL && *line != NULL; line++)
        add_header(&fetch->own_headers, *line);
    if (strcmp(fetch->method, "POST") == 0 || strcmp(fetch->method, "PUT") == 0) {
        fetch->body_length = options->body_length;
        fetch->send = options->send;
        fetch->send_arg = options->send_arg;
        if (options->send == NULL) {
            fetch->body = hp_alloc((size_t)options->body_length + 1);
            if (options->body_length > 0)
                memcpy(fetch->body, options->body, (size_t)options->body_length);
        }
    }
    hp_fetch_parser_init(&fetch->parser, fetch->head_request, options->ranged ? &options->range : NULL);
    return 0;
}

void hp_fetch_dispose(hp_fetch_t *fetch)
{
    free(fetch->url);
    free(fetch->path);
    free(fetch->method);
    free(fetch->body);
    free(fetch->origin);
    forget_user(fetch);
    curl_slist_free_all(fetch->headers);
    curl_slist_free_all(fetch->own_headers);
    curl_slist_free_all(fetch->sent);
    hp_fetch_parser_dispose(&fetch->parser);
}

/* ---- curl's options ---- */

/* What is the same for every request; a handle keeps it from one to the next. */
static CURL *make_easy(void)
{
    CURL *easy = curl_easy_init();
    if (easy == NULL)
        abort();
    const char *ca_file = getenv("SSL_CERT_FILE");
    curl_easy_setopt(easy, CURLOPT_NOSIGNAL, 1L);
    curl_easy_setopt(easy, CURLOPT_QUICK_EXIT,
                     1L); /* a cancelled request does not wait for its resolver thread */
    curl_easy_setopt(easy, CURLOPT_HTTP09_ALLOWED, 0L);
    curl_easy_setopt(easy, CURLOPT_PATH_AS_IS, 1L);
    curl_easy_setopt(easy, CURLOPT_SUPPRESS_CONNECT_HEADERS, 1L);
    curl_easy_setopt(easy, CURLOPT_USERAGENT, "hostpair/" HP_VERSION);
    curl_easy_setopt(easy, CURLOPT_WRITEFUNCTION, hp_fetch_on_body);
    curl_easy_setopt(easy, CURLOPT_HEADERFUNCTION, hp_fetch_on_header);
    curl_easy_setopt(easy, CURLOPT_READFUNCTION, hp_fetch_on_send);
    curl_easy_setopt(easy, CURLOPT_PREREQFUNCTION, hp_fetch_on_connected);
    curl_easy_setopt(easy, CURLOPT_OPENSOCKETFUNCTION, hp_fetch_socket_open);
    curl_easy_setopt(easy, CURLOPT_CLOSESOCKETFUNCTION, hp_fetch_socket_close);
    if (ca_file != NULL && ca_file[0] != '\0')
        curl_easy_setopt(easy, CURLOPT_CAINFO, ca_file);
    return easy;
}

static CURL *take_easy(hp_fetcher_t *fetcher, bool tls)
{
    if (fetcher->easy_count[tls] > 0)
        return fetcher->easies[tls][--fetcher->easy_count[tls]];
    CURL *easy = make_easy();
    if (tls)
        hp_fetch_tls_set_up(fetcher, easy);
    else
        hp_fetch_tls_watch(easy);
    return easy;
}

static long buffer_size(const hp_fetch_t *fetch)
{
    uint64_t body = fetch->head_request ? 0 : HP_RANGE_UNKNOWN;
    if (fetch->parser.ranged)
        body = HP_MIN(body, fetch->parser.range.end - fetch->parser.range.first);
    if (fetch->body_max != 0)
        body = HP_MIN(body, fetch->body_max);
    if (body > HP_FETCH_BUFFER - HEAD_ROOM)
        return HP_FETCH_BUFFER;
    return HP_MAX((long)body + HEAD_ROOM, BUFFER_MIN);
}

static void join_headers(hp_fetch_t *fetch)
{
    curl_slist_free_all(fetch->sent);
    fetch->sent = NULL;
    for (const struct curl_slist *line = fetch->headers; line != NULL; line = line->next)
        add_header(&fetch->sent, line->data);
    for (const struct curl_slist *line = fetch->own_headers; line != NULL; line = line->next)
        add_header(&fetch->sent, line->data);
}

static const char *protocols(const hp_fetch_t *fetch)
{
    if (!fetch->peer)
        return "http,https";
    return fetch->tls ? "https" : "http";
}

/* The coding that a file is packed with, by the end of the URL's path; NULL none. */
static const char *coding_of(const char *url)
{
    static const struct {
        const char *end, *coding;
    } ends[] = {{".gz", "gzip"},   {".tgz", "gzip"},   {".svgz", "gzip"}, {".z", "compress"},
                {".bz2", "bzip2"}, {".tbz2", "bzip2"}, {".xz", "xz"},     {".txz", "xz"},
                {".br", "br"},     {".zst", "zstd"}};
    size_t length = strcspn(url, "?#");
    for (size_t i = 0; i < HP_COUNT(ends); i++) {
        size_t n = strlen(ends[i].end);
        if (length > n && strncasecmp(url + length - n, ends[i].end, n) == 0)
            return ends[i].coding;
    }
    return NULL;
}

int hp_fetch_send(hp_fetch_t *fetch)
{
    hp_fetcher_t *fetcher = fetch->fetcher;
    bool begins = fetch->easy == NULL;
    if (begins)
        fetch->easy = take_easy(fetcher, fetch->tls);
    CURL *easy = fetch->easy;
    if (!fetch->tls) {
        bool signed_by_any = fetch->has_certificate || fetch->any_certificate;
        curl_easy_setopt(easy, CURLOPT_SSL_VERIFYPEER, signed_by_any ? 0L : 1L);
        curl_easy_setopt(easy, CURLOPT_SSL_VERIFYHOST, signed_by_any ? 0L : 2L);
    }
    if (begins && !fetch->peer) { /* cookies live as long as a chain of redirects (RFC 6265) */
        curl_easy_setopt(easy, CURLOPT_COOKIEFILE, "");
        curl_easy_setopt(easy, CURLOPT_COOKIELIST, "ALL");
    }
    join_headers(fetch);
    fetch->parser.http2 = fetch->http2;
    fetch->parser.own_coding = fetch->peer ? NULL : coding_of(fetch->url);
    fetch->curl_words[0] = '\0';
    fetch->seen.known = false;
    curl_easy_setopt(easy, CURLOPT_URL, fetch->url);
    curl_easy_setopt(easy, CURLOPT_PROTOCOLS_STR, protocols(fetch));
    curl_easy_setopt(easy, CURLOPT_PROXY,
                     fetch->peer || fetch->direct ? "" : NULL); /* "": none, whatever the environment says */
    curl_easy_setopt(easy, CURLOPT_HTTPHEADER, fetch->sent);
    curl_easy_setopt(easy, CURLOPT_USERNAME, fetch->user);
    curl_easy_setopt(easy, CURLOPT_PASSWORD, fetch->password);
    curl_easy_setopt(easy, CURLOPT_HTTP_VERSION,
                     (long)(fetch->http2 ? CURL_HTTP_VERSION_2TLS : CURL_HTTP_VERSION_1_1));
    curl_easy_setopt(easy, CURLOPT_FRESH_CONNECT,
                     (long)(fetch->fresh || fetch->retried || fetch->stale_tries > STALE_TRIES_MAX));
    curl_easy_setopt(easy, CURLOPT_MAXAGE_CONN, fetch->way == HP_WAY_RELAYED ? KEPT_RELAYED_S : KEPT_S);
    if (fetch->tls)
        hp_fetch_tls_set_expected(fetch);
    curl_easy_setopt(easy, CURLOPT_CONNECTTIMEOUT_MS, (long)fetch->connect_ms);
    curl_easy_setopt(easy, CURLOPT_BUFFERSIZE, buffer_size(fetch));
    curl_easy_setopt(easy, CURLOPT_HTTPGET, 1L); /* also takes back what the handle's last request set */
    if (fetch->head_request)
        curl_easy_setopt(easy, CURLOPT_NOBODY, 1L);
    if (fetch->body != NULL || fetch->send != NULL) {
        curl_easy_setopt(easy, CURLOPT_POST, 1L);
        curl_easy_setopt(easy, CURLOPT_POSTFIELDS, fetch->body);
        curl_easy_setopt(easy, CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)fetch->body_length);
    }
    bool own_method = strcmp(fetch->method, "PUT") == 0 || strcmp(fetch->method, "DELETE") == 0;
    curl_easy_setopt(easy, CURLOPT_CUSTOMREQUEST, own_method ? fetch->method : NULL);
    curl_easy_setopt(easy, CURLOPT_ERRORBUFFER, fetch->curl_words);
    curl_easy_setopt(easy, CURLOPT_PRIVATE, fetch);
    curl_easy_setopt(easy, CURLOPT_WRITEDATA, fetch);
    curl_easy_setopt(easy, CURLOPT_READDATA, fetch);
    curl_easy_setopt(easy, CURLOPT_UPLOAD_BUFFERSIZE, fetch->send != NULL ? SEND_BUFFER : SEND_SMALL);
    curl_easy_setopt(easy, CURLOPT_HEADERDATA, fetch);
    curl_easy_setopt(easy, CURLOPT_PREREQDATA, fetch);
    curl_easy_setopt(easy, CURLOPT_OPENSOCKETDATA, fetch);
    curl_easy_setopt(easy, CURLOPT_CLOSESOCKETDATA, fetcher);
    CURLMcode rc = curl_multi_add_handle(fetcher->multi, easy);
    if (rc != CURLM_OK)
        return hp_err_set(&fetch->err, HP_E_INTERNAL, "%s: %s", fetch->where, curl_multi_strerror(rc));
    fetch->added = true;
    return 0;
}

bool hp_fetch_send_again(hp_fetch_t *fetch, int *status)
{
    curl_multi_remove_handle(fetch->fetcher->multi, fetch->easy);
    fetch->added = fetch->connected = fetch->stale = fetch->new_socket = fetch->redirected = fetch->held =
        false;
    fetch->received = fetch->skipped = 0;
    fetch->greeted = fetch->proven = false;
    memset(fetch->fingerprint, 0, sizeof fetch->fingerprint);
    fetch->status = 0;
    fetch->err = (hp_err_t){0};
    hp_fetch_parser_reset(&fetch->parser);
    *status = hp_fetch_send(fetch);
    return *status == 0;
}
