/* WebDAV, class 1 and read-only (RFC 4918), at every path where a file or folder of the share is: OPTIONS,
 * PROPFIND of one file or folder or of what is directly in a folder, and 405 for all that would write.
 *
 * An answer is made in pieces of about PIECE_BYTES, each by one job of the pool, which reads on in the folder
 * where the one before stopped; the client's taking of a piece asks for the next. The first one is made
 * before the answer begins, so that most folders are answered whole, and what is not there with 404. What
 * cannot be read later ends the connection in the middle: a list that looks whole is whole. */
#include "internal.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/log.h"
#include "base/mem.h"
#include "base/path.h"
#include "multistatus.h"
#include "pool/pool.h"
#include "share/tree.h"
#include "url_path.h"

#define ALLOWED     "GET, HEAD, OPTIONS, PROPFIND"
#define PIECE_BYTES ((size_t)64 * 1024)  /* of an answer, at least, but for the last piece */
#define PIECE_MAX   ((size_t)256 * 1024) /* PIECE_BYTES, and one file with the longest of names */
#define JOB_STEPS   1000u                /* files and folders of one job, at most */
/* Lists of folders that are more than a piece, under way: of all clients, and of one; more get 503. */
#define LISTS_MAX            64u
#define LISTS_PER_CLIENT_MAX 16u

/* Counted: the peer holds one reference, every answer under way another. */
struct hp_peer_dav {
    uv_loop_t *loop;
    hp_share_t *share;
    hp_gate_t *gate; /* to the pool, so that others' work there is never far back */
    unsigned references;
    unsigned count;
    hp_list_t lists; /* list_t that are counted */
};

typedef struct {
    hp_link_t link; /* in lists, while counted */
    struct hp_peer_dav *dav;
    hp_http_request_t *request;
    hp_http_stream_t *stream; /* once the reply has begun, when it is one in pieces */
    char *path;               /* in the share, "" for all of it */
    char *prefix;             /* of the URLs: "/" or "/files/", and the path */
    char *name;               /* of all that is shared */
    bool bare;                /* the URLs are those without "files" */
    bool as_folder;           /* the URL ends with "/" */
    bool boundless;           /* of depth infinity, which is for files alone */
    size_t levels;            /* the depth */
    hp_propfind_t wanted;
    hp_tree_t *tree; /* once the first piece is due */
    bool counted;    /* in lists and count */
    bool ready;      /* a piece is made, and was not asked for yet */
    /* the pool's while a job runs, then the loop's */
    bool opened, is_folder, refused;
    hp_buf_t piece;
    hp_http_stream_state_t state;
    hp_err_t err;
} list_t;

struct hp_peer_dav *hp_peer_dav_create(uv_loop_t *loop, hp_share_t *share)
{
    struct hp_peer_dav *self = hp_alloc(sizeof *self);
    *self =
        (struct hp_peer_dav){.loop = loop, .share = share, .gate = hp_gate_create(share), .references = 1};
    hp_list_init(&self->lists);
    return self;
}

void hp_peer_dav_release(struct hp_peer_dav *self)
{
    if (--self->references > 0)
        return;
    hp_gate_release(self->gate);
    free(self);
}

static void destroy(list_t *self)
{
    struct hp_peer_dav *dav = self->dav;
    if (self->counted) {
        dav->count--;
        hp_link_remove(&self->link);
    }
    if (self->tree != NULL)
        hp_tree_destroy(self->tree);
    hp_propfind_dispose(&self->wanted);
    hp_buf_dispose(&self->piece);
    hp_http_release(self->request);
    free(self->path);
    free(self->prefix);
    free(self->name);
    free(self);
    hp_peer_dav_release(dav);
}

/* ---- the pool ---- */

/* Malloced. What is below: its path below the folder, "" for the folder itself. */
static char *href_of(const list_t *self, const hp_tree_entry_t *entry)
{
    bool own = entry->name[0] == '\0';
    bool hidden = self->bare && self->path[0] == '\0' && hp_peer_is_reserved(entry->name);
    char *name = hp_path_encode(entry->name, strlen(entry->name), true);
    size_t length = strlen(self->prefix);
    bool slash = !own && self->prefix[length - 1] != '/';
    bool end = entry->is_folder && (!own || self->prefix[length - 1] != '/');
    char *href =
        hp_sprintf("%s%s%s%s", hidden ? "/files/" : self->prefix, slash ? "/" : "", name, end ? "/" : "");
    free(name);
    return href;
}

static int add_entry(list_t *self, const hp_tree_entry_t *entry)
{
    char *href = href_of(self, entry);
    const char *name = entry->name[0] != '\0' ? entry->name : hp_path_name(self->path);
    hp_dav_resource_t resource = {
        .href = href,
        .name = name[0] != '\0' ? name : self->name,
        .is_folder = entry->is_folder,
        .stat = &entry->stat,
    };
    /* A file that is being written has no tag that GET would give, too. */
    if (!entry->is_folder && hp_etag_age(&entry->stat, entry->looked_at) == HP_ETAG_SETTLED)
        hp_etag_of(&entry->stat, true, resource.etag);
    int rc = hp_multistatus_add(&self->piece, &resource, &self->wanted);
    free(href);
    return rc;
}

/* The file or folder that was asked for. */
static int open_first(list_t *self, const hp_tree_entry_t *entry)
{
    self->opened = true;
    self->is_folder = entry->is_folder;
    if (self->as_folder && !entry->is_folder)
        return HP_E_NOT_FOUND;
    self->refused = self->boundless && entry->is_folder;
    return hp_buf_add_text(&self->piece, HP_MULTISTATUS_BEGIN);
}

/* 1; 0: the list is whole; or a code. */
static int fill(list_t *self)
{
    for (unsigned steps = 0; steps < JOB_STEPS && self->piece.length < PIECE_BYTES; steps++) {
        hp_tree_entry_t entry;
        int rc = hp_tree_next(self->tree, &entry);
        if (rc == 0)
            return hp_buf_add_text(&self->piece, HP_MULTISTATUS_END);
        if (rc > 0)
            rc = self->opened ? 0 : open_first(self, &entry);
        if (rc == 0 && self->refused)
            return 0;
        if (rc == 0)
            rc = add_entry(self, &entry);
        if (rc < 0)
            return rc;
    }
    return 1;
}

static int piece_work(void *arg, hp_err_t *err)
{
    list_t *self = arg;
    int rc = self->opened ? 0 : hp_tree_open(self->tree, NULL);
    if (rc == 0)
        rc = fill(self);
    self->state = rc < 0 ? HP_STREAM_FAILED : rc == 0 ? HP_STREAM_LAST : HP_STREAM_MORE;
    return rc < 0 ? hp_err_set(err, rc, "%s", hp_err_sentence(rc)) : 0;
}

/* ---- pieces for the stream ---- */

static void give_piece(list_t *self)
{
    size_t length = self->piece.length;
    self->ready = false;
    hp_http_stream_send_owned(self->stream, hp_buf_take(&self->piece), length, self->state);
}

static void on_end(void *arg)
{
    destroy(arg);
}

static void make_piece(list_t *self);

static void on_next(void *arg, hp_http_stream_t *stream)
{
    list_t *self = arg;
    self->stream = stream;
    if (self->ready)
        give_piece(self);
    else
        make_piece(self);
}

static void on_later_piece(list_t *self, int status, const hp_err_t *err)
{
    if (status != 0 && !hp_http_gone(self->request))
        hp_log(HP_LOG_WARN, "peer: cut the list of \"%s\" for %s: %s", self->path,
               hp_http_who(self->request)->address, hp_err_text(err));
    give_piece(self);
}

/* ---- the reply ---- */

/* A precondition of RFC 4918 section 16. */
static void refuse_condition(hp_http_request_t *request, const char *condition)
{
    char *text = hp_sprintf("<?xml version=\"1.0\" encoding=\"utf-8\"?>\n"
                            "<D:error xmlns:D=\"DAV:\"><D:%s/></D:error>\n",
                            condition);
    hp_http_reply_owned(request, 403, HP_MULTISTATUS_TYPE, text, strlen(text));
}

static void refuse(list_t *self, int status)
{
    hp_peer_refuse(self->request, status);
    destroy(self);
}

static void begin_stream(list_t *self)
{
    hp_http_stream_t *stream = hp_http_reply_stream(self->request, 207, HP_MULTISTATUS_TYPE, on_next, self);
    if (stream == NULL) {
        destroy(self);
        return;
    }
    self->ready = self->counted = true;
    self->dav->count++;
    hp_list_add(&self->dav->lists, &self->link);
    hp_http_stream_on_end(stream, on_end);
}

/* Whether this client, or all of them, have as many long lists under way as may be. */
static bool is_full(const list_t *self)
{
    const hp_who_t *who = hp_http_who(self->request);
    unsigned own = 0;
    HP_LIST_EACH (link, &self->dav->lists)
        own += hp_who_same(hp_http_who(HP_CONTAINER(link, list_t, link)->request), who);
    return self->dav->count == LISTS_MAX || own >= LISTS_PER_CLIENT_MAX;
}

static void on_first_piece(list_t *self, int status)
{
    if (status == 0 && self->state == HP_STREAM_MORE && is_full(self))
        status = HP_E_BUSY;
    if (status != 0) {
        refuse(self, status);
        return;
    }
    if (self->refused) {
        refuse_condition(self->request, "propfind-finite-depth");
        destroy(self);
        return;
    }
    if (self->is_folder && !self->as_folder && self->path[0] != '\0') {
        char *location = hp_sprintf("%s/", self->prefix); /* RFC 4918 section 5.2 */
        hp_http_set_header(self->request, "Content-Location", location);
        free(location);
    }
    hp_http_set_header(self->request, "Cache-Control", "no-cache");
    if (self->state == HP_STREAM_MORE) {
        begin_stream(self);
        return;
    }
    size_t length = self->piece.length;
    hp_http_reply_owned(self->request, 207, HP_MULTISTATUS_TYPE, hp_buf_take(&self->piece), length);
    destroy(self);
}

static void on_piece(void *arg, int status, const hp_err_t *err)
{
    list_t *self = arg;
    hp_gate_leave(self->dav->gate);
    if (self->stream != NULL)
        on_later_piece(self, status, err);
    else
        on_first_piece(self, status);
}

/* The client may have gone while this one waited. */
static void on_turn(void *arg, int status)
{
    list_t *self = arg;
    if (status == 0) {
        if (self->tree == NULL) {
            self->tree = hp_tree_create(self->dav->share, self->path);
            hp_tree_look(self->tree, self->levels);
        }
        hp_pool_post(self->dav->loop, NULL, piece_work, on_piece, self);
    } else if (self->stream != NULL) {
        self->state = HP_STREAM_FAILED;
        give_piece(self);
    } else {
        destroy(self);
    }
}

static void make_piece(list_t *self)
{
    hp_gate_enter(self->dav->gate, self->request, on_turn, self);
}

/* ---- the request ---- */

/* RFC 4918 section 10.2. False for what it does not know. */
static bool read_depth(hp_http_request_t *request, size_t *levels, bool *boundless)
{
    const char *depth = hp_http_header(request, "Depth");
    *boundless = depth == NULL || strcasecmp(depth, "infinity") == 0;
    *levels = depth != NULL && strcmp(depth, "1") == 0;
    return *boundless || *levels == 1 || strcmp(depth, "0") == 0;
}

/* Its path without a slash at the end, "" for all that is shared; NULL when it names nothing. */
static char *take_path(const char *encoded, bool *as_folder)
{
    char *path = hp_url_path_decode(encoded);
    size_t length = path != NULL ? strlen(path) : 0;
    *as_folder = length > 0 && path[length - 1] == '/';
    if (*as_folder)
        path[--length] = '\0';
    if (length > 0 && hp_path_check(path, length, NULL) != 0) {
        free(path);
        return NULL;
    }
    return path;
}

static void find_properties(hp_peer_t *peer, hp_http_request_t *request, const char *base,
                            const char *encoded)
{
    hp_propfind_t wanted;
    hp_err_t err = {0};
    size_t length, levels;
    bool boundless, as_folder;
    if (!read_depth(request, &levels, &boundless)) {
        hp_http_reply_text_error(request, HP_E_BAD_REQUEST, "Depth has to be 0 or 1");
        return;
    }
    char *path = take_path(encoded, &as_folder);
    if (path == NULL) {
        hp_peer_refuse(request, HP_E_NOT_FOUND);
        return;
    }
    const void *body = hp_http_body(request, &length);
    int rc = hp_propfind_parse(&wanted, body, length, &err);
    if (rc != 0) {
        if (rc == HP_E_FORBIDDEN)
            refuse_condition(request, "no-external-entities");
        else
            hp_http_reply_text_error(request, rc, hp_err_text(&err));
        free(path);
        return;
    }
    list_t *self = hp_alloc(sizeof *self);
    *self = (list_t){.dav = peer->dav,
                     .request = request,
                     .path = path,
                     .name = hp_strdup(peer->self->name),
                     .bare = base[1] == '\0',
                     .as_folder = as_folder,
                     .boundless = boundless,
                     .levels = levels,
                     .wanted = wanted};
    char *again = hp_path_encode(path, strlen(path), true);
    self->prefix = hp_sprintf("%s%s", base, again);
    free(again);
    hp_buf_init(&self->piece, PIECE_MAX);
    peer->dav->references++;
    hp_http_addref(request);
    make_piece(self);
}

void hp_peer_dav(hp_peer_t *peer, hp_http_request_t *request, const char *base, const char *path)
{
    const char *method = hp_http_method(request);
    if (strcmp(method, "PROPFIND") == 0) {
        find_properties(peer, request, base, path);
    } else if (strcmp(method, "OPTIONS") == 0) {
        hp_http_set_header(request, "DAV", "1");
        hp_http_set_header(request, "MS-Author-Via", "DAV");
        hp_http_set_header(request, "Allow", ALLOWED);
        hp_http_reply_empty(request, 200);
    } else {
        hp_http_reply_method(request, ALLOWED);
    }
}
