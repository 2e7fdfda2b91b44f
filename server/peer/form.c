/* The form of the guest page, where the browser runs no script: POST /hostpair/inbox as multipart/form-data.
 *
 * The body holds the files, so it is read only as far as somebody wants them: up to the first file's header,
 * which makes the offer; then nothing until it is decided; then to its end. A form does not say how long its
 * files are, nor which ones follow, and cannot go on after an interruption. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "base/utf8.h"
#include "inbox.h"
#include "multipart.h"

#define FIELD_MAX ((size_t)1024) /* bytes of a field that is no file */
#define BLOCK_MAX HP_HTTP_PIECE  /* of a file, before they are written */
#define WAIT_MS   (HP_INBOX_ASK_MS + 10000)

typedef enum { NO_PART, FIELD, FILE_PART, SKIPPED } part_t;

/* May outlive the peer while a write is under way, and does nothing with it then: the client is gone. */
typedef struct {
    hp_peer_t *peer;
    hp_inbox_t *inbox;
    hp_http_request_t *request;
    hp_multipart_t form;
    part_t part;
    hp_buf_t block; /* of the part */
    char *name, *pin;
    int64_t id; /* 0: no offer yet */
    size_t file, files;
    uint64_t offset;
    bool last;    /* all of the body was fed */
    bool writing; /* the inbox calls back */
    bool gone;
} form_t;

static void step(form_t *self);

static void destroy(form_t *self)
{
    hp_http_on_gone(self->request, NULL, NULL);
    hp_http_release(self->request);
    hp_multipart_dispose(&self->form);
    hp_buf_dispose(&self->block);
    free(self->name);
    free(self->pin);
    free(self);
}

/* Answers with a page. What was offered and is not done ends. */
static void end_with(form_t *self, int status, hp_guest_view_t *view)
{
    hp_guest_note_t note = view->note;
    const char *detail = view->detail;
    if (self->id != 0 && note != HP_GUEST_SENT)
        hp_inbox_fail(self->inbox, self->id, detail != NULL ? detail : "The form has ended", NULL);
    if (!self->gone) {
        view->host = self->peer->self->name;
        view->folder = "";
        view->first = true;
        hp_peer_guest_send(self->request, status, view);
    }
    destroy(self);
}

static void end(form_t *self, int status, hp_guest_note_t note, const char *detail)
{
    hp_guest_view_t view = {.note = note, .detail = detail};
    end_with(self, status, &view);
}

static void fail(form_t *self, int status, const hp_err_t *err)
{
    hp_err_t words = *err;
    words.code = status;
    hp_guest_view_t view = {
        .note = HP_GUEST_FAILED, .detail = hp_err_text(&words), .problem = hp_err_slug(status)};
    end_with(self, hp_err_status(status), &view);
}

static void on_gone(void *arg)
{
    form_t *self = arg;
    self->gone = true;
    if (self->writing)
        return;
    end(self, 0, HP_GUEST_FAILED, "The browser has gone");
}

/* ---- the offer ---- */

static void on_decided(void *arg, int status)
{
    form_t *self = arg;
    hp_incoming_t info = {.reason = ""};
    if (status != 0) {
        self->gone = true;
        end(self, 0, HP_GUEST_FAILED, "The browser has gone");
        return;
    }
    hp_http_on_gone(self->request, on_gone, self);
    if (!hp_inbox_get(self->inbox, self->id, &info) || info.state != HP_INCOMING_RECEIVING) {
        bool unanswered = info.state == HP_INCOMING_DECLINED && info.reason[0] != '\0';
        end(self, 403, unanswered ? HP_GUEST_NOBODY : HP_GUEST_DECLINED, NULL);
        return;
    }
    step(self);
}

/* Names of files as browsers give them: some old ones with a path of their machine. */
static const char *bare_name(const char *name)
{
    const char *back = strrchr(name, '\\');
    return back != NULL && (strncmp(name + 1, ":\\", 2) == 0 || strncmp(name, "\\\\", 2) == 0) ? back + 1
                                                                                               : name;
}

/* A file's part begins. Whether to go on at once. */
static bool begin_file(form_t *self)
{
    char id[24];
    hp_err_t err = {0};
    snprintf(id, sizeof id, "%zu", self->files);
    const char *type = self->form.type;
    hp_inbox_offer_file_t file = {.id = id,
                                  .name = bare_name(self->form.file_name),
                                  .type = type != NULL && strlen(type) <= HP_INBOX_TEXT_MAX ? type : NULL,
                                  .size = HP_INBOX_ANY_SIZE};
    self->part = FILE_PART;
    self->offset = 0;
    if (self->files > 0) {
        int rc = hp_inbox_add_file(self->inbox, self->id, &file, &self->file, &err);
        self->files++;
        if (rc != 0)
            fail(self, rc, &err);
        return rc == 0;
    }
    hp_inbox_offer_t offer = {.name = self->name, .pin = self->pin, .files = &file, .count = 1, .more = true};
    int rc = hp_peer_inbox_offer(self->peer, self->request, &offer, &self->id, &err);
    if (rc != 0) {
        self->id = 0;
        fail(self, rc, &err);
        return false;
    }
    self->files = 1;
    self->file = 0;
    hp_peer_inbox_wait(self->peer, self->request, self->id, HP_INCOMING_ASKING, WAIT_MS, on_decided, self);
    return false;
}

/* ---- bytes ---- */

static void on_written(void *arg, int status, const hp_incoming_file_t *file, const hp_err_t *err)
{
    form_t *self = arg;
    (void)file;
    self->writing = false;
    if (self->gone)
        end(self, 0, HP_GUEST_FAILED, "The browser has gone");
    else if (status != 0)
        fail(self, status, err);
    else
        step(self);
}

static void write_block(form_t *self, bool last)
{
    size_t length = self->block.length;
    hp_inbox_piece_t piece = {.data = length > 0 ? hp_buf_take(&self->block) : NULL,
                              .length = length,
                              .offset = self->offset,
                              .last = last};
    self->offset += length;
    self->writing = true;
    hp_inbox_write(self->inbox, self->id, self->file, &piece, on_written, self);
}

static char *take_field(form_t *self)
{
    char *text = hp_buf_take(&self->block);
    if (hp_utf8_valid(text, strlen(text)))
        return text;
    free(text);
    return NULL;
}

/* ---- events ---- */

static void begin_part(form_t *self)
{
    hp_buf_clear(&self->block);
    if (self->form.file_name == NULL)
        self->part = FIELD;
    else
        self->part = SKIPPED; /* nothing was chosen */
}

static void end_field(form_t *self)
{
    char **field = strcmp(self->form.name, "name") == 0  ? &self->name
                   : strcmp(self->form.name, "pin") == 0 ? &self->pin
                                                         : NULL;
    if (field != NULL) {
        free(*field);
        *field = take_field(self);
    }
}

static void on_piece(void *arg, void *data, size_t length, bool last)
{
    form_t *self = arg;
    self->last = last;
    hp_multipart_feed(&self->form, data, length);
    free(data);
    step(self);
}

static void end_form(form_t *self)
{
    hp_err_t err = {0};
    if (self->files == 0)
        end(self, 422, HP_GUEST_NOTHING, NULL);
    else if (hp_inbox_no_more(self->inbox, self->id, &err) != 0)
        fail(self, err.code, &err);
    else
        end(self, 200, HP_GUEST_SENT, NULL);
}

/* One event. Whether to go on at once. */
static bool take_event(form_t *self, hp_multipart_event_t event)
{
    hp_err_t err = {0};
    switch (event) {
    case HP_MULTIPART_PART:
        begin_part(self);
        if (self->part == SKIPPED && self->form.file_name[0] != '\0')
            return begin_file(self);
        return true;
    case HP_MULTIPART_DATA:
        if (self->part == FILE_PART ||
            (self->part == FIELD && self->block.length + self->form.length <= FIELD_MAX))
            hp_buf_add(&self->block, self->form.data, self->form.length);
        if (self->part != FILE_PART || self->block.length < BLOCK_MAX)
            return true;
        write_block(self, false);
        return false;
    case HP_MULTIPART_END:
        if (self->part == FIELD)
            end_field(self);
        if (self->part != FILE_PART)
            return true;
        self->part = NO_PART;
        write_block(self, true);
        return false;
    case HP_MULTIPART_OVER:
        end_form(self);
        return false;
    case HP_MULTIPART_MORE:
        if (!self->last) {
            hp_http_body_next(self->request, on_piece, self);
            return false;
        }
        hp_err_set(&err, HP_E_BAD_REQUEST, "the form ends in the middle");
        fail(self, HP_E_BAD_REQUEST, &err);
        return false;
    case HP_MULTIPART_BAD:
        break;
    }
    hp_err_set(&err, HP_E_BAD_REQUEST, "the form cannot be read");
    fail(self, HP_E_BAD_REQUEST, &err);
    return false;
}

static void step(form_t *self)
{
    while (take_event(self, hp_multipart_next(&self->form)))
        ;
}

void hp_peer_inbox_form(hp_peer_t *peer, hp_http_request_t *request)
{
    hp_err_t err = {0};
    form_t *self = hp_alloc(sizeof *self);
    *self = (form_t){.peer = peer, .inbox = peer->inbox, .request = request};
    hp_buf_init(&self->block, 2 * BLOCK_MAX);
    hp_http_addref(request);
    int rc = hp_multipart_init(&self->form, hp_http_header(request, "Content-Type"), &err);
    if (rc != 0) {
        fail(self, rc, &err);
        return;
    }
    hp_http_on_gone(request, on_gone, self);
    hp_http_body_next(request, on_piece, self);
}
