/* GET /<path> and /files/<path>: the file itself. */
#include "internal.h"

#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "base/mem.h"
#include "base/path.h"
#include "etag.h"
#include "share/aside.h"

typedef struct {
    hp_peer_t *peer;
    hp_http_request_t *request;
    char *path;
    bool as_folder; /* the URL ends with "/" */
    bool again;     /* it was opened before and had just changed */
    bool aside;     /* it is not shared, but set aside for one host */
    int64_t asked_at;
    uv_timer_t timer;
} open_t;

static void destroy(open_t *self)
{
    hp_http_release(self->request);
    free(self->path);
    free(self);
}

static void refuse(open_t *self, int status)
{
    hp_peer_refuse(self->request, status);
    destroy(self);
}

/* Types that a browser would run as a page of this host: shown without their scripts, and cut off from the
 * rest of it. */
static bool is_active(const char *type)
{
    static const char *const active[] = {"text/html", "application/xhtml+xml", "image/svg+xml",
                                         "application/xml", "text/xml"};
    for (size_t i = 0; i < HP_COUNT(active); i++)
        if (strcmp(type, active[i]) == 0)
            return true;
    return false;
}

/* The caller wants the bytes that the file has now, whatever is appended to it meanwhile. */
static bool may_grow(const open_t *self)
{
    const char *value = hp_http_header(self->request, "Hostpair-Growing");
    return value != NULL && strcmp(value, "1") == 0 && hp_http_header(self->request, "Range") == NULL;
}

static void reply(open_t *self, const hp_share_file_t *file, bool settled)
{
    bool grows = may_grow(self), strong = settled && !grows;
    char etag[HP_ETAG_SIZE];
    hp_etag_of(&file->stat, strong, etag);
    const char *type = hp_path_media_type(hp_path_name(self->path));
    if (file->root[0] != '\0')
        hp_http_set_header(self->request, "Hostpair-Root", file->root);
    if (!self->aside)
        hp_peer_offer_plain(self->peer, self->request);
    if (is_active(type))
        hp_http_set_header(self->request, "Content-Security-Policy", "sandbox");
    hp_http_set_header(self->request, "Cache-Control", "no-cache");
    hp_http_reply_file(self->request, &(hp_http_file_t){.fd = file->fd,
                                                        .stat = file->stat,
                                                        .content_type = type,
                                                        .etag = etag,
                                                        .loose = !strong && !grows,
                                                        .may_grow = grows});
    destroy(self);
}

static void ask(open_t *self);

static void on_timer_closed(uv_handle_t *handle)
{
    open_t *self = HP_CONTAINER(handle, open_t, timer);
    hp_peer_t *peer = self->peer;
    if (hp_http_gone(self->request))
        destroy(self);
    else
        ask(self);
    hp_peer_timer_closed(peer);
}

static void on_timer(uv_timer_t *timer)
{
    uv_close((uv_handle_t *)timer, on_timer_closed);
}

static void ask_later(open_t *self)
{
    self->again = true;
    hp_peer_timer_opened(self->peer);
    uv_timer_init(self->peer->loop, &self->timer);
    uv_timer_start(&self->timer, on_timer, HP_ETAG_TICK_MS + 5, 0);
}

/* After the client has gone the peer may have, too. */
static void on_opened(void *arg, int status, const hp_share_file_t *file)
{
    open_t *self = arg;
    if (status == 0 && (hp_http_gone(self->request) || self->as_folder)) {
        close(file->fd);
        status = HP_E_NOT_FOUND;
    }
    if (status != 0) {
        refuse(self, status);
        return;
    }
    hp_etag_age_t age = hp_etag_age(&file->stat, self->asked_at);
    if (age == HP_ETAG_RECENT && !self->again) {
        close(file->fd);
        ask_later(self);
        return;
    }
    /* Still changing, or no way to tell: the tag is weak, so nobody resumes from it. */
    reply(self, file, age == HP_ETAG_SETTLED);
}

static void ask(open_t *self)
{
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    self->asked_at = (int64_t)now.tv_sec * 1000000000 + now.tv_nsec;
    self->aside = hp_aside_has(self->peer->share, self->path);
    if (self->aside)
        hp_aside_open(self->peer->share, self->path, hp_http_who(self->request)->id, on_opened, self);
    else
        hp_share_open(self->peer->share, self->path, on_opened, self);
}

void hp_peer_file(hp_peer_t *peer, hp_http_request_t *request, const char *encoded)
{
    bool as_folder;
    char *path = hp_peer_takes_plain(peer, request) ? hp_peer_take_path(request, encoded, &as_folder) : NULL;
    if (path == NULL)
        return;
    open_t *self = hp_alloc(sizeof *self);
    self->peer = peer;
    self->request = request;
    self->path = path;
    self->as_folder = as_folder;
    hp_http_addref(request);
    ask(self);
}
