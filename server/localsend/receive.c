/* The calls of a device that sends: prepare-upload asks and is answered when a person has decided, upload
 * brings one file, cancel ends it. The session's id, which is the token of each of its files, is the inbox's
 * token: nobody else can know it. Beside it the address has to be the same, as the protocol wants it. */
#include "internal.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "base/range.h"
#include "identity/digest.h"

typedef struct {
    hp_link_t link;
    hp_localsend_t *owner;
    hp_http_request_t *request;
    int64_t id;
} offer_t;

/* 400 for what is wrong with the request itself. */
static int status_of(int rc)
{
    switch (rc) {
    case HP_E_PIN:
    case HP_E_FORBIDDEN:
    case HP_E_TOO_MANY:
    case HP_E_TOO_LARGE:
    case HP_E_CONFLICT:
        return hp_err_status(rc);
    case HP_E_NOT_FOUND:
        return 403;
    case HP_E_INVALID:
    case HP_E_BAD_NAME:
    case HP_E_BAD_JSON:
    case HP_E_BAD_REQUEST:
        return 400;
    default:
        return 500;
    }
}

/* ---- prepare-upload ---- */

/* The inbox does not hear of it: whoever calls has told it, or it knows. */
static void end_offer(offer_t *self)
{
    hp_localsend_t *owner = self->owner;
    hp_link_remove(&self->link);
    hp_http_on_gone(self->request, NULL, NULL);
    hp_http_release(self->request);
    free(self);
    hp_pending_drop(&owner->pending);
}

static void on_gone(void *arg)
{
    offer_t *self = arg;
    hp_inbox_t *inbox = self->owner->deps.inbox;
    int64_t id = self->id;
    end_offer(self);
    hp_inbox_cancel(inbox, id, "The sender has gone", NULL);
}

static void reply_accepted(hp_localsend_t *owner, hp_http_request_t *request, const hp_incoming_t *info)
{
    json_t *files = json_object();
    for (size_t i = 0; i < info->known_count; i++) {
        hp_incoming_file_t file;
        if (hp_inbox_file_at(owner->deps.inbox, info->id, i, &file) && file.wanted && !file.done)
            json_object_set_new(files, file.id, json_string(info->token));
    }
    if (json_object_size(files) == 0) {
        json_decref(files);
        hp_http_reply_empty(request, 204);
        return;
    }
    hp_localsend_upload_began(owner, info->id); /* the time of quiet begins */
    hp_localsend_upload_ended(owner, info->id);
    hp_http_reply_json(request, 200, json_pack("{s:s, s:o}", "sessionId", info->token, "files", files));
}

/* Whether a person, or a setting, has decided; then the offer is answered. */
static void look(offer_t *self)
{
    hp_incoming_t info;
    bool known = hp_inbox_get(self->owner->deps.inbox, self->id, &info);
    if (known && info.state == HP_INCOMING_ASKING)
        return;
    if (known && (info.state == HP_INCOMING_RECEIVING || info.state == HP_INCOMING_DONE))
        reply_accepted(self->owner, self->request, &info);
    else if (known && info.state == HP_INCOMING_FAILED)
        hp_localsend_reply(self->request, 500, info.reason);
    else
        hp_localsend_reply(self->request, 403, "The files are not wanted");
    end_offer(self);
}

void hp_localsend_on_incoming(void *arg, int64_t id)
{
    hp_localsend_t *self = arg;
    HP_LIST_EACH (link, &self->offers) {
        offer_t *offer = HP_CONTAINER(link, offer_t, link);
        if (offer->id == id)
            look(offer);
    }
}

void hp_localsend_refuse(hp_http_request_t *request, int rc, unsigned retry_after_s, const hp_err_t *err)
{
    if (retry_after_s > 0) {
        char seconds[16];
        snprintf(seconds, sizeof seconds, "%u", retry_after_s);
        hp_http_set_header(request, "Retry-After", seconds);
    }
    hp_localsend_reply(request, status_of(rc), hp_err_text(err));
}

void hp_localsend_prepare_upload(hp_localsend_t *self, hp_http_request_t *request)
{
    hp_localsend_offer_t read;
    hp_err_t err = {0};
    unsigned retry_after_s = 0;
    int64_t id;
    size_t length;
    const void *body = hp_http_body(request, &length);
    int rc = hp_localsend_read_offer(&read, body, length, &err);
    if (rc != 0) {
        hp_localsend_refuse(request, rc, 0, &err);
        return;
    }
    hp_inbox_offer_t offer = {.kind = HP_SENDER_LOCALSEND,
                              .name = read.from.alias,
                              .address = hp_http_who(request)->address,
                              .pin = hp_http_query(request, "pin"),
                              .files = read.files.items,
                              .count = read.files.count};
    rc = hp_inbox_offer(self->deps.inbox, &offer, &id, &retry_after_s, &err);
    hp_localsend_offer_dispose(&read);
    if (rc != 0) {
        hp_localsend_refuse(request, rc, retry_after_s, &err);
        return;
    }
    offer_t *asked = hp_alloc(sizeof *asked);
    *asked = (offer_t){.owner = self, .request = request, .id = id};
    hp_http_addref(request);
    hp_pending_add(&self->pending);
    hp_list_add(&self->offers, &asked->link);
    hp_http_on_gone(request, on_gone, asked);
    look(asked);
}

/* ---- upload ---- */

typedef struct {
    hp_localsend_t *owner;
    hp_http_request_t *request;
    int64_t id;
    size_t file;
    uint64_t offset;
    bool last, writing, gone;
} upload_t;

static void end_upload(upload_t *self)
{
    hp_localsend_t *owner = self->owner;
    hp_localsend_upload_ended(owner, self->id);
    hp_http_on_gone(self->request, NULL, NULL);
    hp_http_release(self->request);
    free(self);
    hp_pending_drop(&owner->pending);
}

static void on_piece(void *arg, void *data, size_t length, bool last);

static void on_written(void *arg, int status, const hp_incoming_file_t *file, const hp_err_t *err)
{
    upload_t *self = arg;
    (void)file;
    self->writing = false;
    if (status == 0 && !self->last && !self->gone) {
        hp_http_body_next(self->request, on_piece, self);
        return;
    }
    if (status == 0)
        hp_http_reply_empty(self->request, 200);
    else
        hp_localsend_refuse(self->request, status, 0, err);
    end_upload(self);
}

static void on_piece(void *arg, void *data, size_t length, bool last)
{
    upload_t *self = arg;
    hp_inbox_piece_t piece = {.data = data, .length = length, .offset = self->offset};
    self->offset += length;
    self->last = last;
    self->writing = true;
    hp_inbox_write(self->owner->deps.inbox, self->id, self->file, &piece, on_written, self);
}

static void on_upload_gone(void *arg)
{
    upload_t *self = arg;
    self->gone = true;
    if (!self->writing)
        end_upload(self);
}

/* The transfer of this token, from this address; else the request is answered. */
static bool find_session(hp_localsend_t *self, hp_http_request_t *request, const char *session,
                         hp_incoming_t *info)
{
    if (hp_inbox_by_token(self->deps.inbox, session, info) && info->kind == HP_SENDER_LOCALSEND &&
        strcmp(info->address, hp_http_who(request)->address) == 0)
        return true;
    hp_localsend_reply(request, 403, "There is no such session for this address");
    return false;
}

/* Some programs bring a large file in several requests. */
static int read_range(hp_http_request_t *request, const hp_incoming_file_t *file, uint64_t *offset,
                      hp_err_t *err)
{
    hp_body_range_t range;
    int rc = hp_range_of_body(hp_http_header(request, "X-Content-Range"), hp_http_body_length(request),
                              &range, err);
    if (rc != 0 || range.asks)
        return hp_err_set(err, HP_E_BAD_REQUEST, "X-Content-Range: does not fit the body");
    if (range.total != file->size)
        return hp_err_set(err, HP_E_BAD_REQUEST, "%llu bytes were offered, and %llu come",
                          (unsigned long long)file->size, (unsigned long long)range.total);
    *offset = range.first;
    return 0;
}

void hp_localsend_upload(hp_localsend_t *self, hp_http_request_t *request)
{
    const char *session = hp_http_query(request, "sessionId"), *id = hp_http_query(request, "fileId"),
               *token = hp_http_query(request, "token");
    hp_incoming_t info;
    hp_incoming_file_t file;
    hp_err_t err = {0};
    uint64_t offset = 0;
    if (session == NULL || id == NULL || token == NULL) {
        hp_localsend_reply(request, 400, "sessionId, fileId and token are needed");
        return;
    }
    if (!find_session(self, request, session, &info))
        return;
    size_t index = hp_inbox_file_find(self->deps.inbox, info.id, id);
    if (!hp_digest_text_equal(token, info.token) ||
        !hp_inbox_file_at(self->deps.inbox, info.id, index, &file) || !file.wanted) {
        hp_localsend_reply(request, 403, "The token is not that of this file");
        return;
    }
    int rc = read_range(request, &file, &offset, &err);
    if (rc != 0) {
        hp_localsend_refuse(request, rc, 0, &err);
        return;
    }
    upload_t *upload = hp_alloc(sizeof *upload);
    *upload = (upload_t){.owner = self, .request = request, .id = info.id, .file = index, .offset = offset};
    hp_http_addref(request);
    hp_pending_add(&self->pending);
    hp_localsend_upload_began(self, info.id);
    hp_http_on_gone(request, on_upload_gone, upload);
    hp_http_body_next(request, on_piece, upload);
}

/* ---- cancel ---- */

/* Before it is answered a sender has no session: what its address asks for is meant. */
static void cancel_asking(hp_localsend_t *self, hp_http_request_t *request)
{
    const char *address = hp_http_who(request)->address;
    HP_LIST_EACH (link, &self->offers) {
        offer_t *offer = HP_CONTAINER(link, offer_t, link);
        if (strcmp(hp_http_who(offer->request)->address, address) == 0) {
            hp_inbox_cancel(self->deps.inbox, offer->id, "The sender has cancelled it", NULL);
            break; /* its end may have answered others as well; two at most wait */
        }
    }
    hp_http_reply_empty(request, 200);
}

void hp_localsend_cancel(hp_localsend_t *self, hp_http_request_t *request)
{
    const char *session = hp_http_query(request, "sessionId");
    hp_incoming_t info;
    if (session == NULL || session[0] == '\0') {
        cancel_asking(self, request);
        return;
    }
    /* A device that receives cancels at the sender in the same way. */
    if (self->deps.cancelled != NULL &&
        self->deps.cancelled(self->deps.arg, session, hp_http_who(request)->address)) {
        hp_http_reply_empty(request, 200);
        return;
    }
    if (!find_session(self, request, session, &info))
        return;
    hp_inbox_cancel(self->deps.inbox, info.id, "The sender has cancelled it", NULL);
    hp_http_reply_empty(request, 200);
}
