/* The share, for a device that asks for it (protocol 2.1, section 5: the reverse transfer): prepare-download
 * lists its first OFFERED_MAX files in the order of their paths, download brings one. Whoever may fetch the
 * share with a browser may fetch it so, with the PIN of this host where there is one. */
#include "internal.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/mem.h"
#include "base/path.h"
#include "identity/digest.h"

#define OFFERED_MAX 1000

typedef struct {
    hp_localsend_t *owner;
    hp_http_request_t *request;
    char *path; /* of a file; NULL */
} asked_t;

static asked_t *hold(hp_localsend_t *self, hp_http_request_t *request, const char *path)
{
    asked_t *asked = hp_alloc(sizeof *asked);
    *asked = (asked_t){.owner = self, .request = request, .path = path != NULL ? hp_strdup(path) : NULL};
    hp_http_addref(request);
    hp_pending_add(&self->pending);
    return asked;
}

static void let_go(asked_t *self)
{
    hp_localsend_t *owner = self->owner;
    hp_http_release(self->request);
    free(self->path);
    free(self);
    hp_pending_drop(&owner->pending);
}

bool hp_localsend_offers(const hp_localsend_t *self)
{
    return self->deps.share != NULL && self->deps.is_open(self->deps.arg);
}

/* A session is a token for an address; that of an address that asks again is replaced, and the oldest of too
 * many. */
static int make_session(hp_localsend_t *self, const char *address, char token[33])
{
    uint8_t random[16];
    size_t index = self->next_reader;
    if (uv_random(NULL, NULL, random, sizeof random, 0, NULL) != 0)
        return HP_E_INTERNAL;
    hp_hex_encode(random, sizeof random, token);
    for (size_t i = 0; i < HP_LOCALSEND_READERS; i++)
        if (strcmp(self->readers[i].address, address) == 0)
            index = i;
    if (index == self->next_reader)
        self->next_reader = (index + 1) % HP_LOCALSEND_READERS;
    snprintf(self->readers[index].address, sizeof self->readers[index].address, "%s", address);
    memcpy(self->readers[index].token, token, 33);
    return 0;
}

static bool has_session(const hp_localsend_t *self, const char *address, const char *token)
{
    for (size_t i = 0; i < HP_LOCALSEND_READERS; i++)
        if (self->readers[i].address[0] != '\0' && strcmp(self->readers[i].address, address) == 0)
            return hp_digest_text_equal(token, self->readers[i].token);
    return false;
}

/* ---- prepare-download ---- */

static void on_rows(void *arg, int status, const hp_share_row_t *rows, size_t count)
{
    asked_t *self = arg;
    char token[33];
    if (status == 0)
        status = make_session(self->owner, hp_http_who(self->request)->address, token);
    if (status != 0) {
        hp_localsend_reply(self->request, 500, hp_err_sentence(status));
        let_go(self);
        return;
    }
    json_t *files = json_object(), *json = json_object();
    for (size_t i = 0; i < count; i++) {
        const char *path = rows[i].path;
        json_object_set_new(files, path,
                            json_pack("{s:s, s:s, s:I, s:s}", "id", path, "fileName", path, "size",
                                      (json_int_t)rows[i].size, "fileType", hp_path_media_type(path)));
    }
    json_object_set_new(json, "info", hp_localsend_info(self->owner));
    json_object_set_new(json, "sessionId", json_string(token));
    json_object_set_new(json, "files", files);
    hp_http_reply_json(self->request, 200, json);
    let_go(self);
}

void hp_localsend_prepare_download(hp_localsend_t *self, hp_http_request_t *request)
{
    const char *address = hp_http_who(request)->address, *session = hp_http_query(request, "sessionId");
    unsigned retry_after_s = 0;
    hp_err_t err = {0};
    if (!hp_localsend_offers(self)) {
        hp_localsend_reply(request, 403, "This host shares its files with hosts that prove who they are");
        return;
    }
    bool goes_on = session != NULL && has_session(self, address, session);
    int rc = goes_on ? 0
                     : hp_inbox_check_pin(self->deps.inbox, address, hp_http_query(request, "pin"),
                                          &retry_after_s, &err);
    if (rc != 0) {
        hp_localsend_refuse(request, rc, retry_after_s, &err);
        return;
    }
    hp_share_rows(self->deps.share, NULL, OFFERED_MAX, on_rows, hold(self, request, NULL));
}

/* ---- download ---- */

static void on_opened(void *arg, int status, const hp_share_file_t *file)
{
    asked_t *self = arg;
    const char *name = hp_path_name(self->path);
    if (status != 0)
        hp_localsend_reply(self->request, 404, "There is no such file");
    else
        hp_http_reply_file(self->request, &(hp_http_file_t){.fd = file->fd,
                                                            .stat = file->stat,
                                                            .content_type = hp_path_media_type(name),
                                                            .attachment = true,
                                                            .file_name = name});
    let_go(self);
}

void hp_localsend_download(hp_localsend_t *self, hp_http_request_t *request)
{
    const char *session = hp_http_query(request, "sessionId"), *id = hp_http_query(request, "fileId");
    if (session == NULL || id == NULL)
        hp_localsend_reply(request, 400, "sessionId and fileId are needed");
    else if (!hp_localsend_offers(self) || !has_session(self, hp_http_who(request)->address, session))
        hp_localsend_reply(request, 403, "There is no such session for this address");
    else
        hp_share_open(self->deps.share, id, on_opened, hold(self, request, id));
}
