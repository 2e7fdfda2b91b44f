/* GET /: the page for people without hostpair, one folder at a time.
 *
 * The index knows files only, in byte order of their paths. What lies directly in a folder is found by
 * reading rows behind "folder/" and, once a row lies in a folder below, going on behind all of that one
 * ("folder/below/" + the last code point). */
#include "internal.h"

#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "base/path.h"
#include "base/utf8.h"
#include "guest_page.h"
#include "inbox.h"

#define PAGE_ENTRIES 500
#define PAGE_BYTES   ((size_t)16 * 1024 * 1024) /* above PAGE_ENTRIES of the longest names */
#define READ_ROWS    256
#define LAST_CHAR    "\xf4\x8f\xbf\xbf" /* sorts behind every character that names are made of */

typedef struct {
    hp_peer_t *peer;
    hp_http_request_t *request;
    char *folder; /* "" or "a/b" */
    char *prefix; /* "" or "a/b/" */
    char *after;  /* where the next rows start, NULL: at the start */
    bool first;
    size_t count;
    hp_guest_entry_t entries[PAGE_ENTRIES];
} guest_t;

static void destroy(guest_t *self)
{
    hp_http_release(self->request);
    for (size_t i = 0; i < self->count; i++)
        free(self->entries[i].name);
    free(self->folder);
    free(self->prefix);
    free(self->after);
    free(self);
}

void hp_peer_guest_send(hp_http_request_t *request, int status, hp_guest_view_t *view)
{
    const char *language = hp_http_header(request, "Accept-Language");
    hp_buf_t page;
    hp_buf_init(&page, PAGE_BYTES);
    view->version = HP_VERSION;
    view->chinese = language != NULL && hp_guest_prefers_chinese(language);
    if (hp_guest_write(view, &page) != 0) {
        hp_peer_refuse(request, HP_E_TOO_LARGE);
    } else {
        hp_http_set_header(request, "Content-Security-Policy", hp_guest_csp);
        hp_http_set_header(request, "Referrer-Policy", "same-origin");
        hp_http_set_header(request, "Cache-Control", "no-cache");
        hp_http_set_header(request, "Vary",
                           view->note == HP_GUEST_FILES ? "Accept-Language" : "Accept, Accept-Language");
        hp_http_reply(request, status, "text/html; charset=utf-8", page.data, page.length);
    }
    hp_buf_dispose(&page);
}

/* A browser that would show the answer to a person. */
static bool shows_pages(hp_http_request_t *request)
{
    const char *method = hp_http_method(request);
    return (strcmp(method, "GET") == 0 || strcmp(method, "HEAD") == 0) &&
           hp_http_who(request)->id[0] == '\0' && hp_http_accepts(request, "text/html");
}

bool hp_peer_guest_closed(hp_peer_t *peer, hp_http_request_t *request, bool front)
{
    if (!front && !shows_pages(request))
        return false;
    hp_guest_view_t view = {.host = peer->self->name, .folder = "", .first = true, .closed = true};
    hp_peer_guest_send(request, hp_err_status(HP_E_FORBIDDEN), &view);
    return true;
}

bool hp_peer_guest_other_name(const hp_peer_t *peer, hp_http_request_t *request, const char *name)
{
    hp_guest_view_t view = {
        .host = peer->self->name, .folder = "", .first = true, .note = HP_GUEST_NAME, .detail = name};
    if (!shows_pages(request))
        return false;
    hp_peer_guest_send(request, hp_err_status(HP_E_FORBIDDEN), &view);
    return true;
}

bool hp_peer_guest_note(const hp_peer_t *peer, hp_http_request_t *request, int status)
{
    hp_guest_view_t view = {.host = peer->self->name, .folder = "", .first = true};
    switch (status) {
    case HP_E_NOT_FOUND:
        view.note = HP_GUEST_MISSING;
        break;
    case HP_E_FORBIDDEN:
        view.note = HP_GUEST_REFUSED;
        break;
    case HP_E_BLOCKED:
        view.note = HP_GUEST_BLOCKED;
        break;
    default:
        return false;
    }
    if (!shows_pages(request))
        return false;
    hp_peer_guest_send(request, hp_err_status(status), &view);
    return true;
}

static void reply(guest_t *self, bool more)
{
    if (self->count == 0 && self->folder[0] != '\0' && self->first) {
        hp_peer_refuse(self->request, HP_E_NOT_FOUND);
        destroy(self);
        return;
    }
    const char *host = hp_http_header(self->request, "Host");
    const char *scheme = hp_http_who(self->request)->encrypted ? "https" : "http";
    char *origin = host != NULL && host[0] != '\0' ? hp_sprintf("%s://%s", scheme, host) : NULL;
    hp_guest_view_t view = {
        .host = self->peer->self->name,
        .origin = origin,
        .folder = self->folder,
        .next = more ? self->after : NULL,
        .first = self->first,
        .send = self->peer->inbox != NULL && hp_inbox_takes(self->peer->inbox),
        .pin = self->peer->inbox != NULL && hp_inbox_wants_pin(self->peer->inbox),
        .entries = self->entries,
        .count = self->count,
    };
    hp_peer_guest_send(self->request, 200, &view);
    free(origin);
    destroy(self);
}

static void set_after(guest_t *self, char *after)
{
    free(self->after);
    self->after = after;
}

/* Whether the row was taken, or belongs to the entry before it. False when the page is full. */
static bool take_row(guest_t *self, const hp_share_row_t *row)
{
    const char *name = row->path + strlen(self->prefix);
    size_t length = strcspn(name, "/");
    bool folder = name[length] == '/';
    hp_guest_entry_t *last = self->count > 0 ? &self->entries[self->count - 1] : NULL;
    if (folder && last != NULL && last->folder && strlen(last->name) == length &&
        strncmp(last->name, name, length) == 0)
        return true;
    if (self->count == PAGE_ENTRIES)
        return false;
    self->entries[self->count++] = (hp_guest_entry_t){
        .name = hp_strndup(name, length), .folder = folder, .size = row->size, .mtime_ms = row->mtime_ms};
    set_after(self, folder ? hp_sprintf("%s%.*s/" LAST_CHAR, self->prefix, (int)length, name)
                           : hp_strdup(row->path));
    return true;
}

static void read_rows(guest_t *self);

static void on_rows(void *arg, int status, const hp_share_row_t *rows, size_t count)
{
    guest_t *self = arg;
    if (hp_http_gone(self->request)) {
        destroy(self);
        return;
    }
    if (status != 0) {
        hp_peer_refuse(self->request, status);
        destroy(self);
        return;
    }
    for (size_t i = 0; i < count; i++) {
        if (strncmp(rows[i].path, self->prefix, strlen(self->prefix)) != 0) {
            reply(self, false);
            return;
        }
        if (!take_row(self, &rows[i])) {
            reply(self, true);
            return;
        }
    }
    if (count < READ_ROWS)
        reply(self, false);
    else
        read_rows(self);
}

static void read_rows(guest_t *self)
{
    hp_gate_rows(self->peer->index, self->request, false, self->after, READ_ROWS, on_rows, self);
}

void hp_peer_guest(hp_peer_t *peer, hp_http_request_t *request)
{
    const char *folder = hp_http_query(request, "folder"), *after = hp_http_query(request, "after");
    folder = folder != NULL ? folder : "";
    if (folder[0] != '\0' && hp_path_check(folder, strlen(folder), NULL) != 0) {
        hp_peer_refuse(request, HP_E_NOT_FOUND);
        return;
    }
    guest_t *self = hp_alloc(sizeof *self);
    self->peer = peer;
    self->request = request;
    self->folder = hp_strdup(folder);
    self->prefix = folder[0] != '\0' ? hp_sprintf("%s/", folder) : hp_strdup("");
    bool valid = after != NULL && strncmp(after, self->prefix, strlen(self->prefix)) == 0 &&
                 strlen(after) <= HP_PATH_MAX + sizeof LAST_CHAR && hp_utf8_valid(after, strlen(after));
    self->first = !valid;
    if (valid)
        self->after = hp_strdup(after);
    else if (folder[0] != '\0')
        self->after = hp_strdup(self->prefix);
    hp_http_addref(request);
    read_rows(self);
}
