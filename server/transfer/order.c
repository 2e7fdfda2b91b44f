/* What a person ordered, on the loop: checked, looked up and put on record (order_rows.c), with what has to
 * be looked at first on the disk or at a server, and taken up as a download. */
#include "transfer/order.h"

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "transfer/update.h"
#include "transfer/url_order.h"

#define UNCHANGED_MS 5000 /* a server is not waited for longer that is asked whether a file is the same */

static void order_free(order_t *self)
{
    char *texts[] = {self->host, self->path, self->folder,  self->root,        self->url, self->to,
                     self->base, self->note, self->headers, self->certificate, self->etag};
    for (size_t i = 0; i < HP_COUNT(texts); i++)
        free(texts[i]);
    hp_download_row_dispose(&self->row);
    hp_standing_dispose(&self->standing);
    free(self);
}

static int parse_state(const char *name, hp_download_state_t *state)
{
    for (int i = HP_DOWNLOAD_QUEUED; i <= HP_DOWNLOAD_CANCELLED; i++)
        if (strcmp(name, hp_download_state_name((hp_download_state_t)i)) == 0) {
            *state = (hp_download_state_t)i;
            return 0;
        }
    return HP_E_INVALID;
}

static char *copy(const char *text)
{
    return text != NULL ? hp_strdup(text) : NULL;
}

void hp_download_copy_row(const hp_download_row_t *from, hp_download_row_t *to)
{
    *to = *from;
    char **texts[] = {
        &to->base,      &to->path,          &to->order_host,       &to->order_path,   &to->order_root,
        &to->order_url, &to->state,         &to->reason,           &to->error_detail, &to->root,
        &to->note,      &to->order_headers, &to->order_certificate};
    for (size_t i = 0; i < HP_COUNT(texts); i++)
        *texts[i] = copy(*texts[i]);
}

download_t *hp_download_make(hp_transfer_t *transfer, const hp_download_row_t *row)
{
    download_t *self = hp_alloc(sizeof *self);
    self->transfer = transfer;
    hp_download_copy_row(row, &self->row);
    self->name = hp_strdup(hp_path_name(row->path));
    self->header_lines = hp_url_split_headers(row->order_headers);
    if (parse_state(row->state, &self->state) != 0)
        self->state = HP_DOWNLOAD_PAUSED;
    /* What ran when the process ended goes on by itself. */
    if (hp_download_is_running(self))
        self->state = HP_DOWNLOAD_QUEUED;
    hp_bucket_set(&self->bucket, (uint64_t)row->limit_bps);
    return self;
}

download_t *hp_download_from_row(hp_transfer_t *transfer, const hp_download_row_t *row)
{
    download_t *self = hp_download_make(transfer, row);
    download_t **link = &transfer->downloads; /* newest first */
    while (*link != NULL && (*link)->row.id > row->id)
        link = &(*link)->next;
    self->next = *link;
    *link = self;
    transfer->count++;
    transfer->cursor = NULL;
    if (!hp_download_has_ended(self))
        transfer->counts[self->state]++; /* ended ones are counted already */
    hp_transfer_activate(transfer, self);
    return self;
}

bool hp_transfer_is_being_removed(const hp_transfer_t *transfer, int64_t id)
{
    for (const download_t *d = transfer->downloads; d != NULL; d = d->next)
        if (d->row.id == id)
            return d->removing;
    return false;
}

static void post_order(order_t *self);

static void on_asked(void *arg, int status, const hp_fetch_reply_t *reply, const hp_err_t *err)
{
    order_t *self = arg;
    hp_transfer_t *transfer = self->transfer;
    (void)err; /* what nobody can tell is fetched */
    self->unchanged =
        status == 0 && (reply->head.status == 304 || (reply->head.status == 200 && reply->head.etag_strong &&
                                                      strcmp(reply->head.etag, self->etag) == 0));
    post_order(self);
    hp_pending_drop(&transfer->pending);
}

/* Whether the file at the URL is still the one that was fetched. */
static void ask_whether_unchanged(order_t *self)
{
    hp_transfer_t *transfer = self->transfer;
    const char **headers = hp_url_split_headers(self->headers);
    const hp_fetch_options_t options = {.method = "HEAD",
                                        .url = self->url,
                                        .headers = headers,
                                        .certificate = self->certificate,
                                        .if_none_match = self->etag,
                                        .body_max = 1,
                                        .total_ms = UNCHANGED_MS};
    self->asked = true;
    hp_pending_add(&transfer->pending);
    hp_fetch_get(transfer->fetcher, &options, on_asked, self);
    free(headers);
}

static void on_looked(void *arg, int status, bool same, const hp_err_t *err)
{
    order_t *self = arg;
    hp_transfer_t *transfer = self->transfer;
    if (status == 0) {
        self->looked = true;
        self->adopts = same;
        post_order(self);
        return;
    }
    hp_err_t stops = {0};
    if (status == UV_ECANCELED)
        hp_err_set(&stops, status, "hostpair is stopping");
    if (self->done != NULL)
        self->done(self->arg, status, 0, false, status == UV_ECANCELED ? &stops : err);
    order_free(self);
    hp_transfer_wake(transfer);
}

static void on_ordered(void *arg, int status, const hp_err_t *err)
{
    order_t *self = arg;
    hp_transfer_t *transfer = self->transfer;
    if (status == 0 && self->standing.count > 0) {
        hp_standing_look(transfer, self->base, &self->standing, on_looked, self);
        return;
    }
    if (status == 0 && self->etag != NULL && !self->asked) {
        ask_whether_unchanged(self);
        return;
    }
    if (status == 0 && self->existing && !transfer->stopping &&
        hp_transfer_is_being_removed(transfer, self->id)) {
        /* What was found goes: asked again, until it has gone. */
        self->existing = false;
        hp_download_row_dispose(&self->row);
        post_order(self);
        return;
    }
    if (status == 0 && self->updated)
        hp_download_update(transfer, &self->row);
    if (status == 0 && hp_transfer_find(transfer, self->id) == NULL) {
        download_t *download = hp_download_from_row(transfer, &self->row);
        if (!self->existing)
            hp_log(HP_LOG_INFO, "download %lld (%s): ordered", (long long)self->id, download->name);
        hp_download_changed(download);
    }
    if (status == 0 && self->existing && !self->given && transfer->hooks.wanted != NULL)
        transfer->hooks.wanted(transfer->hooks.arg, self->id);
    if (self->done != NULL)
        self->done(self->arg, status, self->id, self->existing, err);
    order_free(self);
    hp_transfer_wake(transfer);
}

static void post_order(order_t *self)
{
    hp_store_post_counted(self->transfer->store, &self->transfer->pending, HP_STORE_WRITE_SYNCED,
                          hp_order_work, on_ordered, self);
}

/* What the link leads to at a host, as its page shows it: the path of a file, or with a slash at its end that
 * of a folder. after: the link from the slash after the host on. False: something else. */
static bool read_host_link(const char *after, char decoded[HP_PATH_MAX + 1])
{
    static const char page[] = "/?folder=", always[] = "/files/";
    size_t used = 0, length;
    if (strncmp(after, page, strlen(page)) == 0) {
        after += strlen(page);
        length = strcspn(after, "&#");
        if (hp_path_decode(after, length, decoded, HP_PATH_MAX, &used) != 0 || used == 0)
            return false;
        if (decoded[used - 1] != '/')
            memcpy(decoded + used++, "/", 2);
    } else {
        bool reserved = after[0] == '/' && strncmp(after, always, strlen(always)) != 0 &&
                        hp_source_is_reserved(after + 1, strcspn(after + 1, "/"));
        if (after[0] != '/' || strpbrk(after, "?#") != NULL || reserved)
            return false;
        after += strncmp(after, always, strlen(always)) == 0 ? strlen(always) : 1;
        if (hp_path_decode(after, strlen(after), decoded, HP_PATH_MAX + 1, &used) != 0 || used == 0)
            return false;
    }
    size_t named = decoded[used - 1] == '/' ? used - 1 : used;
    return strlen(decoded) == used && hp_path_check(decoded, named, NULL) == 0 && !hp_path_is_part(decoded);
}

/* Whether people reach the host by this "address:port" or "name:port". */
static bool is_place_of(const known_host_t *host, const char *place, size_t length)
{
    if (strlen(host->added_as) == length && strncasecmp(host->added_as, place, length) == 0)
        return true;
    for (size_t i = 0; i < host->endpoint_count; i++) {
        char text[HP_ENDPOINT_URL_SIZE];
        const char *own = strstr(hp_endpoint_url(&host->endpoints[i], text), "://");
        if (own != NULL && strlen(own + 3) == length && strncasecmp(own + 3, place, length) == 0)
            return true;
    }
    return false;
}

/* A link to a host that is known is an order of the file or folder there: with its other addresses, hash
 * trees and other hosts' copies. */
static void take_host_link(order_t *self)
{
    const char *place = strstr(self->url, "://") + 3;
    size_t length = strcspn(place, "/?#");
    char path[HP_PATH_MAX + 1];
    if (!read_host_link(place + length, path))
        return;
    const known_host_t *host = self->transfer->hosts;
    while (host != NULL && !is_place_of(host, place, length))
        host = host->next;
    if (host == NULL)
        return;
    char *end = path + strlen(path) - 1;
    bool folder = *end == '/';
    if (folder)
        *end = '\0';
    self->host = hp_strdup(host->id);
    *(folder ? &self->folder : &self->path) = hp_strdup(path);
    free(self->url);
    self->url = NULL;
}

/* For failures that need no store: told from the loop's own turn, never inside the call. */
typedef struct refusal {
    uv_timer_t timer;
    hp_transfer_t *transfer;
    hp_download_fn done;
    void *arg;
    hp_err_t err;
} refusal_t;

static void on_refusal_closed(uv_handle_t *handle)
{
    refusal_t *self = HP_CONTAINER((uv_timer_t *)handle, refusal_t, timer);
    hp_transfer_t *transfer = self->transfer;
    hp_pending_drop(&transfer->pending);
    hp_transfer_wake(transfer);
    free(self);
}

static void on_refusal(uv_timer_t *timer)
{
    refusal_t *self = HP_CONTAINER(timer, refusal_t, timer);
    self->done(self->arg, self->err.code, 0, false, &self->err);
    uv_close((uv_handle_t *)timer, on_refusal_closed);
}

void hp_transfer_refuse(hp_transfer_t *transfer, const hp_err_t *err, hp_download_fn done, void *arg)
{
    if (done == NULL)
        return;
    refusal_t *self = hp_alloc(sizeof *self);
    *self = (refusal_t){.transfer = transfer, .done = done, .arg = arg, .err = *err};
    hp_pending_add(&transfer->pending);
    uv_timer_init(transfer->loop, &self->timer);
    uv_timer_start(&self->timer, on_refusal, 0, 0);
}

int hp_order_check_url(const char *url, hp_err_t *err)
{
    size_t scheme = strncasecmp(url, "http://", 7) == 0 ? 7 : strncasecmp(url, "https://", 8) == 0 ? 8 : 0;
    if (scheme == 0)
        return hp_err_set(err, HP_E_INVALID, "url: only http:// and https:// can be downloaded");
    if (url[scheme] == '\0' || url[scheme] == '/' || strlen(url) > 8000)
        return hp_err_set(err, HP_E_INVALID, "url: there is no host in it, or it is too long");
    for (const char *p = url; *p != '\0'; p++)
        if ((unsigned char)*p <= ' ' || *p == 0x7f)
            return hp_err_set(err, HP_E_INVALID, "url: there is a space or a control character in it");
    return 0;
}

static int check_url_extras(const hp_download_order_t *order, hp_err_t *err)
{
    char hex[65];
    if (order->url == NULL && (order->headers != NULL || order->certificate != NULL))
        return hp_err_set(err, HP_E_INVALID, "%s: stands only beside url",
                          order->headers != NULL ? "headers" : "certificate");
    int rc = order->headers != NULL ? hp_url_check_headers(order->headers, err) : 0;
    if (rc == 0 && order->certificate != NULL)
        rc = hp_url_read_certificate(order->certificate, hex, err);
    if (rc == 0 && order->certificate != NULL && strncasecmp(order->url, "https://", 8) != 0)
        rc = hp_err_set(err, HP_E_INVALID, "certificate: stands only beside an https:// url");
    return rc;
}

static int check_order(const hp_transfer_t *transfer, const hp_download_order_t *order, hp_err_t *err)
{
    int wanted =
        (order->path != NULL) + (order->folder != NULL) + (order->root != NULL) + (order->url != NULL);
    if (wanted != 1)
        return hp_err_set(err, HP_E_INVALID,
                          "Give exactly one of path (with host), folder (with host), root, url");
    if ((order->path != NULL || order->folder != NULL) && order->host == NULL)
        return hp_err_set(err, HP_E_INVALID, "host: missing");
    if (order->host != NULL && hp_transfer_known(transfer, order->host) == NULL)
        return hp_err_set(err, HP_E_NOT_FOUND, "host: no host with the id %s is known", order->host);
    if (order->priority < -1 || order->priority > 1)
        return hp_err_set(err, HP_E_INVALID, "priority: -1, 0 or 1");
    if (order->size > INT64_MAX || (order->size != 0 && order->root == NULL))
        return hp_err_set(err, HP_E_INVALID, "size: stands only beside root");
    if (order->limit_bps > INT64_MAX)
        return hp_err_set(err, HP_E_INVALID, "limit_bps: too large");
    uint8_t root[HP_SHA256_SIZE];
    int rc = 0;
    if (order->root != NULL &&
        (strlen(order->root) != 64 || hp_hex_decode(order->root, root, sizeof root) != 0))
        return hp_err_set(err, HP_E_INVALID, "root: 64 hex digits");
    if (order->url != NULL)
        rc = hp_order_check_url(order->url, err);
    if (rc == 0)
        rc = check_url_extras(order, err);
    if (rc == 0 && order->path != NULL && (rc = hp_path_check(order->path, strlen(order->path), err)) != 0)
        hp_err_prefix(err, "path: ");
    if (rc == 0 && order->path != NULL && hp_path_is_part(order->path))
        rc = hp_err_set(err, HP_E_BAD_NAME, "path: part files of downloads are not shared");
    if (rc == 0 && order->folder != NULL && order->folder[0] != '\0' &&
        (rc = hp_path_check(order->folder, strlen(order->folder), err)) != 0)
        hp_err_prefix(err, "folder: ");
    if (rc == 0 && order->to != NULL && order->to[0] != '\0' &&
        (rc = hp_path_check(order->to, strlen(order->to), err)) != 0)
        hp_err_prefix(err, "to: ");
    return rc;
}

void hp_transfer_add(hp_transfer_t *transfer, const hp_download_order_t *order, hp_download_fn done,
                     void *arg)
{
    hp_err_t err = {0};
    if (check_order(transfer, order, &err) != 0) {
        hp_transfer_refuse(transfer, &err, done, arg);
        return;
    }
    order_t *self = hp_alloc(sizeof *self);
    *self = (order_t){
        .transfer = transfer,
        .done = done,
        .arg = arg,
        .host = copy(order->host),
        .path = copy(order->path),
        .folder = copy(order->folder),
        .root = copy(order->root),
        .url = copy(order->url),
        .headers = order->headers != NULL && order->headers[0] != '\0' ? hp_strdup(order->headers) : NULL,
        .to = order->to != NULL && order->to[0] != '\0' ? hp_strdup(order->to) : NULL,
        .base = hp_strdup(transfer->folder),
        .copy = order->copy,
        .given = order->given,
        .never_runs = order->given && order->never_runs,
        .most = order->given ? order->most : UINT64_MAX,
        .priority = order->priority,
        .limit_bps = (int64_t)order->limit_bps,
        .size = order->size != 0 ? (int64_t)order->size : HP_DB_SIZE_UNKNOWN,
    };
    for (char *p = self->root; p != NULL && *p != '\0'; p++)
        *p = (char)tolower((unsigned char)*p);
    if (order->certificate != NULL) {
        self->certificate = hp_alloc(65);
        hp_url_read_certificate(order->certificate, self->certificate, NULL); /* checked above */
    }
    if (self->url != NULL && self->headers == NULL && self->certificate == NULL)
        take_host_link(self);
    post_order(self);
}
