/* Pushes to LocalSend devices (protocol 2.1, https://github.com/localsend/protocol, section 4):
 * prepare-upload names the files and waits for the person there, upload brings those that are wanted, one
 * after the other, cancel ends it. The way of one:
 *
 *   CONNECTING  the device is away, or busy with another transfer (409): prepare-upload again after a pause
 *   ASKING      prepare-upload is there and not answered
 *   SENDING     an upload, or a pause after one that was cut: the same file from its start
 */
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/mem.h"
#include "base/path.h"
#include "push/internal.h"
#include "push/reader.h"

#define CONNECT_MS 5000
#define ASK_MS     600000 /* for the person there */
#define STALL_MS   30000  /* an upload without a byte, and the answer to its last one */
#define TELL_MS    5000   /* cancel */
#define ALIVE_S    20
#define ANSWER_MAX ((uint64_t)4 * 1024 * 1024) /* bytes: the tokens of 10,000 files */

typedef struct {
    hp_localsend_accepted_t accepted; /* json NULL: not yet */
    size_t at;                        /* the file that is being sent */
    uint64_t before;                  /* bytes of those that are there */
    hp_push_reader_t *reader;         /* NULL */
    /* The device, as it was when the session began: a session is bound to its address. */
    hp_localsend_device_t about;
    hp_endpoint_t place;
} upload_t;

static int check(const hp_pushes_t *owner, const char *id, hp_err_t *err)
{
    (void)err;
    return hp_devices_find(owner->devices, id) != NULL ? 0 : HP_E_NOT_FOUND;
}

/* ---- requests ---- */

/* POST to the device; it holds the push until done. path: with its query. */
static hp_fetch_t *post(hp_push_t *self, const char *path, hp_fetch_options_t *options,
                        hp_fetch_reply_fn done)
{
    const upload_t *upload = self->work;
    char *url = hp_device_url(&upload->about, &upload->place, path);
    options->method = "POST";
    options->connect_ms = CONNECT_MS;
    options->alive_s = ALIVE_S;
    options->body_max = ANSWER_MAX;
    hp_device_set_options(&upload->about, url, options);
    hp_push_hold(self);
    hp_fetch_t *fetch = hp_fetch_get(self->owner->fetcher, options, done, self);
    free(url);
    return fetch;
}

/* Before the answer there is no session: the device knows by the address what is meant. */
static void cancel(hp_push_t *self)
{
    const upload_t *upload = self->work;
    if (upload == NULL || (self->state != HP_PUSH_ASKING && upload->accepted.json == NULL))
        return;
    char *session = hp_path_encode(upload->accepted.session, strlen(upload->accepted.session), false);
    char *path = session[0] != '\0' ? hp_sprintf("cancel?sessionId=%s", session) : hp_strdup("cancel");
    hp_fetch_options_t options = {.total_ms = TELL_MS};
    self->telling = post(self, path, &options, hp_push_on_told);
    free(path);
    free(session);
}

static void fail(hp_push_t *self, int code, const char *reason)
{
    const upload_t *upload = self->work;
    if (upload->accepted.json != NULL)
        cancel(self); /* else the device would wait */
    hp_push_fail(self, code, reason);
}

/* ---- what goes wrong ---- */

static const struct {
    int status, code;
    const char *without_pin, *with_pin;
} refusals[] = {
    {400, HP_E_STATUS, "The device does not understand the request", NULL},
    {401, HP_E_PIN, "The device asks for a PIN", "The PIN is not the one of the device"},
    {404, HP_E_STATUS, "The device takes no files", NULL},
    {413, HP_E_TOO_LARGE, "These are more files than the device takes at once", NULL},
    {429, HP_E_TOO_MANY, "The device had too many requests from here, or wrong PINs: try again later", NULL},
    {500, HP_E_STATUS, "Something went wrong in the device", NULL},
};

static void refused(hp_push_t *self, int status)
{
    char reason[80];
    for (size_t i = 0; i < HP_COUNT(refusals); i++)
        if (refusals[i].status == status) {
            bool other = self->pin != NULL && refusals[i].with_pin != NULL;
            fail(self, refusals[i].code, other ? refusals[i].with_pin : refusals[i].without_pin);
            return;
        }
    snprintf(reason, sizeof reason, "The device refused the files (%d)", status);
    fail(self, HP_E_STATUS, reason);
}

/* Whether the same may work a while later. */
static bool is_passing(int status)
{
    return status == HP_E_UNREACHABLE || status == UV_ECONNRESET || status == HP_E_STALLED;
}

static void broken(hp_push_t *self, int status, const hp_err_t *err)
{
    if (status == HP_E_TLS || status == HP_E_CERTIFICATE || status == HP_E_NOT_TLS)
        fail(self, status,
             "Another device answers at this address: its certificate is not the one that was announced");
    else if (status == HP_E_DISK)
        fail(self, status, "A file cannot be read any more, or has become shorter");
    else
        fail(self, status, hp_err_text(err));
}

/* ---- the files ---- */

static void next_file(hp_push_t *self);

static const char *token_at(const hp_push_t *self, size_t index)
{
    const upload_t *upload = self->work;
    char id[24];
    snprintf(id, sizeof id, "%zu", index);
    return hp_localsend_token(&upload->accepted, id);
}

static void end_reader(upload_t *upload)
{
    if (upload->reader != NULL)
        hp_push_reader_destroy(upload->reader);
    upload->reader = NULL;
}

static void on_ready(void *arg)
{
    hp_push_t *self = arg;
    if (self->fetch != NULL)
        hp_fetch_resume(self->fetch);
}

static size_t on_send(void *arg, void *into, size_t size)
{
    hp_push_t *self = arg;
    upload_t *upload = self->work;
    size_t n = hp_push_reader_take(upload->reader, into, size);
    if (n != SIZE_MAX && n > 0) {
        self->owner->bytes_sent += n;
        hp_push_set_done(self, upload->before + hp_push_reader_taken(upload->reader));
    }
    return n;
}

static void on_uploaded(void *arg, int status, const hp_fetch_reply_t *reply, const hp_err_t *err)
{
    hp_push_t *self = arg;
    upload_t *upload = self->work;
    self->fetch = NULL;
    end_reader(upload);
    if (hp_push_is_idle(self)) {
        ;
    } else if (status == 0 && reply->head.status / 100 == 2) {
        hp_retry_reset(&self->retry);
        upload->before += self->files.items[upload->at++].size;
        hp_push_set_done(self, upload->before);
        hp_push_set_state(self, HP_PUSH_SENDING, "");
        next_file(self);
    } else if (status == 0 && (reply->head.status == 403 || reply->head.status == 404)) {
        fail(self, HP_E_STATUS, "The device has ended the transfer");
    } else if (status == 0) {
        refused(self, reply->head.status);
    } else if (is_passing(status)) {
        hp_push_set_done(self, upload->before);
        if (hp_push_try_again(self, status, hp_err_text(err)))
            hp_push_set_state(self, HP_PUSH_SENDING, "The connection broke off; it is tried again");
    } else {
        broken(self, status, err);
    }
    hp_push_drop(self);
}

static void send_file(hp_push_t *self, int fd)
{
    upload_t *upload = self->work;
    const hp_push_file_t *file = &self->files.items[upload->at];
    const char *token = token_at(self, upload->at);
    char *session = hp_path_encode(upload->accepted.session, strlen(upload->accepted.session), false);
    char *encoded = hp_path_encode(token, strlen(token), false);
    char *path = hp_sprintf("upload?sessionId=%s&fileId=%zu&token=%s", session, upload->at, encoded);
    upload->reader = hp_push_reader_create(self->owner->loop, &self->owner->pending, self->owner->limit, fd,
                                           file->size, on_ready, self);
    hp_fetch_options_t options = {.body_length = file->size,
                                  .send = on_send,
                                  .send_arg = self,
                                  .content_type = hp_path_media_type(file->name),
                                  .stall_ms = STALL_MS};
    self->fetch = post(self, path, &options, on_uploaded);
    free(path);
    free(encoded);
    free(session);
}

static void on_opened(void *arg, int status, const hp_share_file_t *shared)
{
    hp_push_t *self = arg;
    upload_t *upload = self->work;
    const hp_push_file_t *file = &self->files.items[upload->at];
    bool same = status == 0 && (uint64_t)shared->stat.st_size == file->size;
    char reason[200];
    if (status == 0 && (hp_push_is_idle(self) || !same))
        close(shared->fd);
    if (!hp_push_is_idle(self) && same) {
        send_file(self, shared->fd);
    } else if (!hp_push_is_idle(self)) {
        snprintf(reason, sizeof reason, "%.120s %s", file->path,
                 status == 0 ? "has changed since it was offered" : "is not shared any more");
        fail(self, status == 0 ? HP_E_OTHER_VERSION : status, reason);
    }
    hp_push_drop(self);
}

static void next_file(hp_push_t *self)
{
    upload_t *upload = self->work;
    while (upload->at < self->files.count && token_at(self, upload->at) == NULL)
        upload->at++;
    if (upload->at == self->files.count) {
        hp_push_set_state(self, HP_PUSH_DONE, "");
        return;
    }
    hp_push_hold(self);
    hp_push_open(self, self->files.items[upload->at].path, on_opened);
}

/* ---- the question ---- */

static void took_none(hp_push_t *self)
{
    for (size_t i = 0; i < self->files.count; i++)
        self->files.items[i].wanted = false;
    hp_push_set_taken(self, 0);
    hp_push_set_state(self, HP_PUSH_DONE, "The device wanted none of the files");
}

static void accepted(hp_push_t *self, const hp_fetch_reply_t *reply)
{
    upload_t *upload = self->work;
    if (hp_localsend_read_accepted(&upload->accepted, reply->body, reply->length, NULL) != 0) {
        fail(self, HP_E_PROTOCOL, "The device's answer cannot be understood");
        return;
    }
    size_t taken = 0;
    for (size_t i = 0; i < self->files.count; i++) {
        self->files.items[i].wanted = token_at(self, i) != NULL;
        taken += self->files.items[i].wanted;
    }
    if (taken == 0) {
        took_none(self);
        return;
    }
    hp_push_set_taken(self, taken);
    hp_retry_reset(&self->retry);
    hp_push_set_state(self, HP_PUSH_SENDING, "");
    next_file(self);
}

static void wait_for_it(hp_push_t *self, int code, const char *reason)
{
    if (hp_push_try_again(self, code, reason))
        hp_push_set_state(self, HP_PUSH_CONNECTING, reason);
}

static void on_asked(void *arg, int status, const hp_fetch_reply_t *reply, const hp_err_t *err)
{
    hp_push_t *self = arg;
    int answer = status == 0 ? reply->head.status : 0;
    self->fetch = NULL;
    if (hp_push_is_idle(self))
        ;
    else if (answer == 200)
        accepted(self, reply);
    else if (answer == 204)
        took_none(self);
    else if (answer == 403)
        hp_push_set_state(self, HP_PUSH_DECLINED, "");
    else if (answer == 409)
        wait_for_it(self, HP_E_CONFLICT, "The device is busy with another transfer");
    else if (answer != 0)
        refused(self, answer);
    else if (status == HP_E_UNREACHABLE)
        wait_for_it(self, status, "The device does not answer");
    else if (status == HP_E_STALLED)
        fail(self, status, "Nobody there has answered");
    else
        broken(self, status, err);
    hp_push_drop(self);
}

static char *question(const hp_push_t *self)
{
    json_t *json = json_object(), *files = json_object();
    json_t *info = hp_devices_describe_self(self->owner->devices, HP_LOCALSEND_ANNOUNCE);
    json_object_del(info, "announce");
    json_object_del(info, "announcement");
    for (size_t i = 0; i < self->files.count; i++) {
        const hp_push_file_t *file = &self->files.items[i];
        char id[24];
        snprintf(id, sizeof id, "%zu", i);
        json_object_set_new(files, id,
                            json_pack("{s:s, s:s, s:I, s:s}", "id", id, "fileName", file->name, "size",
                                      (json_int_t)file->size, "fileType", hp_path_media_type(file->name)));
    }
    json_object_set_new(json, "info", info);
    json_object_set_new(json, "files", files);
    char *text = json_dumps(json, JSON_COMPACT);
    json_decref(json);
    return text;
}

static void ask(hp_push_t *self)
{
    upload_t *upload = self->work;
    const hp_device_t *device = hp_devices_find(self->owner->devices, self->host);
    if (device == NULL) {
        hp_push_fail(self, HP_E_NOT_FOUND, "The device is not in this network any more");
        return;
    }
    upload->about = device->about;
    upload->place = device->at;
    char *text = question(self), *pin = NULL, *path = NULL;
    if (self->pin != NULL) {
        pin = hp_path_encode(self->pin, strlen(self->pin), false);
        path = hp_sprintf("prepare-upload?pin=%s", pin);
    }
    hp_fetch_options_t options = {
        .body = text, .body_length = strlen(text), .content_type = "application/json", .stall_ms = ASK_MS};
    self->fetch = post(self, path != NULL ? path : "prepare-upload", &options, on_asked);
    hp_push_set_state(self, HP_PUSH_ASKING, "");
    free(path);
    free(pin);
    free(text);
}

static void begin(hp_push_t *self)
{
    self->work = hp_alloc(sizeof(upload_t));
    ask(self);
}

static void go_on(hp_push_t *self)
{
    const upload_t *upload = self->work;
    if (upload->accepted.json != NULL)
        next_file(self);
    else
        ask(self);
}

/* ---- the end ---- */

static bool is_session(const hp_push_t *self, const char *session, const char *address)
{
    const upload_t *upload = self->work;
    char own[HP_ENDPOINT_ADDRESS_SIZE];
    return upload != NULL && upload->accepted.json != NULL &&
           strcmp(upload->accepted.session, session) == 0 &&
           strcmp(hp_endpoint_address(&upload->place, own), address) == 0;
}

static void dispose(hp_push_t *self)
{
    upload_t *upload = self->work;
    if (upload == NULL)
        return;
    end_reader(upload);
    hp_localsend_accepted_dispose(&upload->accepted);
    free(upload);
}

const hp_push_kind_t hp_push_upload = {.check = check,
                                       .begin = begin,
                                       .go_on = go_on,
                                       .cancel = cancel,
                                       .is_session = is_session,
                                       .dispose = dispose};
