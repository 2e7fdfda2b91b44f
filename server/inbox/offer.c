/* Offers as they come in: what is allowed, and who has to be asked. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/address.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/utf8.h"
#include "identity/digest.h"
#include "inbox/internal.h"
#include "inbox/picture.h"

#define FOLDER_NAME_MAX 100 /* bytes of the folder that a sender gets */

/* ---- files ---- */

static bool is_text(const char *text)
{
    size_t length = strlen(text);
    return length <= HP_INBOX_TEXT_MAX && hp_utf8_valid(text, length) && !hp_utf8_has_control(text, length);
}

static bool has_part_name(const char *path)
{
    char segment[HP_NAME_MAX + 1];
    for (const char *at = path;; at++) {
        size_t length = strcspn(at, "/");
        memcpy(segment, at, length);
        segment[length] = '\0';
        if (hp_path_is_part(segment))
            return true;
        at += length;
        if (*at == '\0')
            return false;
    }
}

/* What a person is shown is what is fetched: the name is the path, or how it ends. */
static bool is_end_of(const char *path, const char *name)
{
    size_t whole = strlen(path), length = strlen(name);
    return length <= whole && strcmp(path + whole - length, name) == 0 &&
           (length == whole || path[whole - length - 1] == '/');
}

int hp_inbox_check_file(const hp_inbox_offer_file_t *file, hp_sender_kind_t kind, hp_err_t *err)
{
    char shown[128];
    uint8_t digest[32];
    hp_err_t why = {0};
    int rc = hp_path_check(file->name, strlen(file->name), &why);
    hp_utf8_printable(file->name, strlen(file->name), shown, sizeof shown);
    if (rc != 0)
        return hp_err_set(err, rc, "the file name \"%s\" is not allowed: %s", shown, hp_err_text(&why));
    if (has_part_name(file->name))
        return hp_err_set(err, HP_E_BAD_NAME, "the file name \"%s\" is reserved for unfinished files", shown);
    if (kind == HP_SENDER_HOSTPAIR && hp_path_check(file->id, strlen(file->id), &why) != 0)
        return hp_err_set(err, HP_E_BAD_NAME, "%s: its path is not allowed: %s", shown, hp_err_text(&why));
    if (kind == HP_SENDER_HOSTPAIR && !is_end_of(file->id, file->name))
        return hp_err_set(err, HP_E_INVALID, "%s: its path does not end in this name", shown);
    if (kind != HP_SENDER_HOSTPAIR && (file->id[0] == '\0' || !is_text(file->id)))
        return hp_err_set(err, HP_E_INVALID, "%s: the id must have 1 to %d bytes of text", shown,
                          HP_INBOX_TEXT_MAX);
    if (file->type != NULL && !is_text(file->type))
        return hp_err_set(err, HP_E_INVALID, "%s: the type must have at most %d bytes of text", shown,
                          HP_INBOX_TEXT_MAX);
    if (file->size != HP_INBOX_ANY_SIZE && file->size > INT64_MAX / 2)
        return hp_err_set(err, HP_E_TOO_LARGE, "%s: no file is that large", shown);
    if (file->sha256 != NULL && hp_hex_decode(file->sha256, digest, sizeof digest) != 0)
        return hp_err_set(err, HP_E_INVALID, "%s: sha256 must have 64 hex digits", shown);
    return 0;
}

/* What is neither a text's nor a picture's is none. */
static void copy_preview(hp_inbox_file_t *copy, const char *preview)
{
    if (preview == NULL || preview[0] == '\0')
        return;
    if (strncmp(copy->type, "text/", 5) == 0) {
        if (hp_utf8_valid(preview, strlen(preview)))
            copy->preview =
                hp_strndup(preview, hp_utf8_prefix(preview, strlen(preview), HP_INBOX_PREVIEW_MAX));
    } else if (strncmp(copy->type, "image/", 6) == 0 || strncmp(copy->type, "video/", 6) == 0) {
        if (hp_picture_fits(preview))
            copy->picture = hp_strdup(preview);
    }
}

void hp_inbox_copy_file(hp_inbox_file_t *copy, const hp_inbox_offer_file_t *file, hp_sender_kind_t kind)
{
    bool typed = file->type != NULL && file->type[0] != '\0' && kind != HP_SENDER_HOSTPAIR;
    const char *type = typed          ? file->type
                       : file->folder ? "inode/directory"
                                      : hp_path_media_type(hp_path_name(file->name));
    *copy = (hp_inbox_file_t){
        .id = hp_strdup(file->id),
        .name = hp_strdup(file->name),
        .type = hp_strdup(type),
        .sha256 = file->sha256 != NULL ? hp_strdup(file->sha256) : NULL,
        .size = file->size,
        .modified_ms = file->modified_ms,
        .agreed = file->size,
        .folder = file->folder,
        .wanted = true,
    };
    copy_preview(copy, file->preview);
}

void hp_inbox_drop_previews(hp_inbox_item_t *item)
{
    for (size_t i = 0; i < item->files.count; i++) {
        hp_inbox_file_t *file = &item->files.items[i];
        free(file->preview);
        free(file->picture);
        file->preview = file->picture = NULL;
    }
}

static int compare_ids(const void *a, const void *b)
{
    return strcmp(*(const char *const *)a, *(const char *const *)b);
}

static int check_files(const hp_inbox_offer_t *offer, hp_err_t *err)
{
    int rc = 0;
    if (offer->count == 0)
        return hp_err_set(err, HP_E_INVALID, "the offer has no files");
    if (offer->count > HP_INBOX_FILES_MAX)
        return hp_err_set(err, HP_E_TOO_LARGE, "the offer has %zu files; at most %d are taken at once",
                          offer->count, HP_INBOX_FILES_MAX);
    for (size_t i = 0; i < offer->count && rc == 0; i++)
        rc = hp_inbox_check_file(&offer->files[i], offer->kind, err);
    if (rc != 0)
        return rc;
    const char **ids = hp_alloc_array(offer->count, sizeof *ids);
    for (size_t i = 0; i < offer->count; i++)
        ids[i] = offer->files[i].id;
    qsort(ids, offer->count, sizeof *ids, compare_ids);
    for (size_t i = 1; i < offer->count && rc == 0; i++)
        if (strcmp(ids[i], ids[i - 1]) == 0)
            rc = hp_err_set(err, HP_E_INVALID, "two files of the offer have the id \"%s\"", ids[i]);
    free(ids);
    return rc;
}

/* ---- the sender ---- */

char *hp_inbox_folder_of(const char *name)
{
    char shown[4 * FOLDER_NAME_MAX];
    hp_utf8_printable(name, strlen(name), shown, sizeof shown);
    const char *start = shown + strspn(shown, ". ");
    size_t length = hp_utf8_prefix(start, strlen(start), FOLDER_NAME_MAX);
    while (length > 0 && strchr(". ", start[length - 1]) != NULL)
        length--;
    char *folder = hp_strndup(start, length);
    for (char *p = folder; *p != '\0'; p++)
        if (strchr("/\\:*?\"<>|", *p) != NULL) /* also what other systems do not allow */
            *p = '_';
    if (folder[0] != '\0')
        return folder;
    free(folder);
    return hp_strdup("somebody");
}

static bool is_same_sender(const hp_inbox_item_t *item, const hp_inbox_offer_t *offer)
{
    if (item->host[0] != '\0' || offer->host != NULL)
        return offer->host != NULL && strcmp(item->host, offer->host) == 0;
    return hp_address_same_client(item->address, offer->address);
}

static int refuse_many(unsigned *retry_after_s, unsigned wait_s, hp_err_t *err, const char *sentence)
{
    if (retry_after_s != NULL)
        *retry_after_s = wait_s;
    return hp_err_set(err, HP_E_TOO_MANY, "%s", sentence);
}

/* ---- offers that nobody accepts ---- */

static bool is_paired(const hp_inbox_t *self, const char *host)
{
    return host != NULL && host[0] != '\0' && self->deps.is_paired != NULL &&
           self->deps.is_paired(self->deps.arg, host);
}

/* Keys cost nothing: a host that is not paired counts as its address. */
void hp_inbox_count_refused(const hp_inbox_item_t *item)
{
    const hp_inbox_t *self = item->inbox;
    char client[HP_ADDRESS_CLIENT_SIZE];
    uint64_t now = hp_clock_ms();
    if (is_paired(self, item->host))
        return;
    hp_rate_take(self->refused_all, "", now);
    hp_rate_take(self->refused, hp_address_client(item->address, client), now);
    if (hp_rate_wait(self->refused, client, now) > 0)
        hp_log(HP_LOG_WARN, "inbox: %d offers of %s were not accepted; it has to wait before the next one",
               HP_INBOX_REFUSED_OF, client);
}

void hp_inbox_count_accepted(const hp_inbox_item_t *item)
{
    char client[HP_ADDRESS_CLIENT_SIZE];
    hp_rate_forget(item->inbox->refused, hp_address_client(item->address, client));
}

static int check_refused(const hp_inbox_t *self, const hp_inbox_offer_t *offer, unsigned *retry_after_s,
                         hp_err_t *err)
{
    char client[HP_ADDRESS_CLIENT_SIZE];
    uint64_t now = hp_clock_ms();
    if (is_paired(self, offer->host))
        return 0;
    uint64_t wait = hp_rate_wait(self->refused, hp_address_client(offer->address, client), now);
    if (wait > 0)
        return refuse_many(retry_after_s, (unsigned)((wait + 999) / 1000), err,
                           "Many offers of yours were not accepted here: wait before the next one");
    wait = hp_rate_wait(self->refused_all, "", now);
    if (wait > 0)
        return refuse_many(retry_after_s, (unsigned)((wait + 999) / 1000), err,
                           "Many offers were not accepted here: wait before the next one");
    return 0;
}

static int check_room(const hp_inbox_t *self, const hp_inbox_offer_t *offer, unsigned *retry_after_s,
                      hp_err_t *err)
{
    size_t waiting = 0, waiting_of = 0, running = 0, running_of = 0;
    HP_LIST_EACH (link, &self->items) {
        const hp_inbox_item_t *item = HP_CONTAINER(link, hp_inbox_item_t, link);
        bool asking = item->state == HP_INCOMING_ASKING, receiving = item->state == HP_INCOMING_RECEIVING;
        bool same = (asking || receiving) && is_same_sender(item, offer);
        waiting += asking;
        running += receiving;
        waiting_of += asking && same;
        running_of += receiving && same;
    }
    unsigned wait = HP_INBOX_ASK_MS / 1000;
    if (waiting_of >= HP_INBOX_WAITING_OF)
        return refuse_many(retry_after_s, wait, err, "Earlier offers of yours wait for an answer");
    if (waiting >= HP_INBOX_WAITING_MAX)
        return refuse_many(retry_after_s, wait, err, "Too many offers wait for an answer here");
    if (running >= HP_INBOX_RUNNING_MAX || running_of >= HP_INBOX_RUNNING_OF)
        return refuse_many(retry_after_s, wait, err, "Too many files are being received here");
    return check_refused(self, offer, retry_after_s, err);
}

int hp_inbox_check_pin(hp_inbox_t *self, const char *address, const char *pin, unsigned *retry_after_s,
                       hp_err_t *err)
{
    if (self->pin[0] == '\0')
        return 0;
    uint64_t now = hp_clock_ms();
    unsigned wait = hp_inbox_guesses_wait(&self->guesses, address, now);
    if (wait > 0)
        return refuse_many(retry_after_s, wait, err, "Too many wrong PINs came");
    if (pin == NULL || pin[0] == '\0')
        return hp_err_set(err, HP_E_PIN, "This host asks for a PIN");
    if (hp_digest_text_equal(pin, self->pin)) {
        hp_inbox_guesses_forget(&self->guesses, address);
        return 0;
    }
    hp_inbox_guesses_add(&self->guesses, address, now);
    hp_log(HP_LOG_WARN, "inbox: a wrong PIN came from %s", address);
    return hp_err_set(err, HP_E_PIN, "The PIN is wrong");
}

static int make_token(char token[HP_INBOX_TOKEN_SIZE], hp_err_t *err)
{
    uint8_t random[(HP_INBOX_TOKEN_SIZE - 1) / 2];
    int rc = uv_random(NULL, NULL, random, sizeof random, 0, NULL);
    if (rc != 0)
        return hp_err_set(err, rc, "no random numbers: %s", uv_strerror(rc));
    hp_hex_encode(random, sizeof random, token);
    return 0;
}

/* So that offers that wait do not take much memory. */
static void keep_few_pictures(hp_inbox_item_t *item)
{
    size_t kept = 0;
    for (size_t i = 0; i < item->files.count; i++) {
        hp_inbox_file_t *file = &item->files.items[i];
        if (file->picture == NULL || ++kept <= HP_INBOX_PICTURES)
            continue;
        free(file->picture);
        file->picture = NULL;
    }
}

static hp_inbox_item_t *create(hp_inbox_t *self, const hp_inbox_offer_t *offer, const char *token)
{
    char shown[HP_INBOX_TEXT_MAX + 1];
    const char *name =
        offer->name != NULL && offer->name[strspn(offer->name, " ")] != '\0' ? offer->name : offer->address;
    hp_inbox_item_t *item = hp_inbox_item_add(self, self->last_id + 1, token);
    item->kind = offer->kind;
    item->name = hp_strdup(hp_utf8_printable(name, strlen(name), shown, sizeof shown));
    item->address = hp_strdup(offer->address);
    item->host = hp_strdup(offer->host != NULL ? offer->host : "");
    item->created_at = hp_clock_wall_ms();
    item->asked_ms = hp_clock_ms();
    item->file_count = offer->count;
    item->more = offer->more;
    hp_array_reserve(&item->files, offer->count);
    for (size_t i = 0; i < offer->count; i++)
        hp_inbox_copy_file(hp_array_add(&item->files), &offer->files[i], offer->kind);
    keep_few_pictures(item);
    return item;
}

static const hp_inbox_item_t *find_token(const hp_inbox_t *self, const char *token)
{
    HP_LIST_EACH (link, &self->items) {
        const hp_inbox_item_t *item = HP_CONTAINER(link, hp_inbox_item_t, link);
        if (strcmp(item->token, token) == 0)
            return item;
    }
    return NULL;
}

int hp_inbox_offer(hp_inbox_t *self, const hp_inbox_offer_t *offer, int64_t *id, unsigned *retry_after_s,
                   hp_err_t *err)
{
    char token[HP_INBOX_TOKEN_SIZE];
    if (retry_after_s != NULL)
        *retry_after_s = 0;
    if (self->closing)
        return UV_ECANCELED;
    const hp_inbox_item_t *same = offer->token != NULL ? find_token(self, offer->token) : NULL;
    if (same != NULL && !is_same_sender(same, offer))
        return hp_err_set(err, HP_E_CONFLICT, "The offer's token is taken");
    if (same != NULL) {
        *id = same->id;
        return 0;
    }
    if (self->receive == HP_RECEIVE_OFF)
        return hp_err_set(err, HP_E_FORBIDDEN, "This host takes no files");
    bool paired = is_paired(self, offer->host);
    int rc = paired ? 0 : hp_inbox_check_pin(self, offer->address, offer->pin, retry_after_s, err);
    if (rc == 0)
        rc = check_room(self, offer, retry_after_s, err);
    if (rc == 0)
        rc = check_files(offer, err);
    if (rc == 0 && offer->token != NULL)
        snprintf(token, sizeof token, "%s", offer->token);
    else if (rc == 0)
        rc = make_token(token, err);
    if (rc != 0)
        return rc;
    hp_inbox_item_t *item = create(self, offer, token);
    *id = item->id;
    hp_log(HP_LOG_INFO, "inbox: %s at %s offers %zu file%s (%lld)", item->name, item->address, offer->count,
           offer->count == 1 ? "" : "s", (long long)item->id);
    if (self->receive == HP_RECEIVE_EVERYONE || (self->receive == HP_RECEIVE_PAIRED && paired))
        hp_inbox_accept(self, item->id, &(hp_inbox_choice_t){0}, NULL, NULL);
    else
        hp_inbox_changed(item);
    return 0;
}

int hp_inbox_add_file(hp_inbox_t *self, int64_t id, const hp_inbox_offer_file_t *file, size_t *index,
                      hp_err_t *err)
{
    hp_inbox_item_t *item = hp_inbox_item_find(self, id);
    if (item == NULL)
        return hp_err_set(err, HP_E_NOT_FOUND, "there is no such transfer");
    if (item->state != HP_INCOMING_RECEIVING)
        return hp_err_set(err, HP_E_CONFLICT, "the transfer is over");
    if (item->files.count >= HP_INBOX_FILES_MAX)
        return hp_err_set(err, HP_E_TOO_LARGE, "at most %d files are taken at once", HP_INBOX_FILES_MAX);
    int rc = hp_inbox_check_file(file, item->kind, err);
    if (rc == 0 && hp_inbox_file_find(self, id, file->id) != SIZE_MAX)
        rc = hp_err_set(err, HP_E_INVALID, "two files of the offer have the id \"%s\"", file->id);
    if (rc != 0)
        return rc;
    *index = item->files.count;
    hp_inbox_copy_file(hp_array_add(&item->files), file, item->kind);
    item->file_count = item->files.count;
    hp_inbox_store_file(item, *index, HP_STORE_WRITE, NULL, NULL);
    hp_inbox_changed(item);
    return 0;
}
