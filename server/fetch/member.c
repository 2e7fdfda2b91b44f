/* Requests to members of groups, which have no address. The connector says which way there is; then curl is
 * given a connection to a listener of our own on loopback, whose other end the connector joins to the member.
 * (libcurl before 8.7 does not take a socket that is connected already.)
 *
 * Only connections that were opened here are taken there: the port of each is noted before it connects. Curl
 * keeps connections by the name in the URL, so each member has one of its own: a unique local address (RFC
 * 4193) made of its id. */
#include <errno.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/list.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/path.h"
#include "fetch/internal.h"

#define NOTED_MS     10000 /* a connection that was opened and has not come by then never will */
#define PORT_DIRECT  9000  /* in the URL, so that curl keeps connections of the two ways apart */
#define PORT_RELAYED 9001
#define BACKLOG      128

/* A connection that curl is about to open. */
typedef struct note {
    hp_link_t link;
    uint16_t port; /* its own, on loopback */
    char id[HP_PEER_ID_SIZE];
    hp_way_t way;
    uint64_t at; /* loop ms */
} note_t;

struct hp_fetch_members {
    hp_fetcher_t *fetcher;
    hp_connector_t connector;
    uv_poll_t poll;
    int fd;
    struct sockaddr_in address; /* of the listener */
    hp_list_t notes;
};

/* A request that waits for a way. It may end meanwhile. */
struct hp_fetch_choice {
    hp_fetch_t *fetch; /* NULL: it has ended */
};

/* ---- the listener ---- */

static note_t *find_note(hp_fetch_members_t *self, uint16_t port)
{
    HP_LIST_EACH (at, &self->notes) {
        note_t *note = HP_CONTAINER(at, note_t, link);
        if (note->port == port)
            return note;
    }
    return NULL;
}

static void forget(note_t *note)
{
    hp_link_remove(&note->link);
    free(note);
}

static void on_connection(uv_poll_t *poll, int status, int events)
{
    hp_fetch_members_t *self = poll->data;
    struct sockaddr_in from = {0};
    socklen_t length = sizeof from;
    (void)events;
    int fd =
        status == 0 ? accept4(self->fd, (struct sockaddr *)&from, &length, SOCK_CLOEXEC | SOCK_NONBLOCK) : -1;
    if (fd < 0)
        return;
    note_t *note = find_note(self, ntohs(from.sin_port));
    if (note == NULL ||
        self->connector.dial == NULL) { /* some other program; or nobody can be reached any more */
        close(fd);
        return;
    }
    self->connector.dial(self->connector.arg, note->id, note->way, fd);
    forget(note);
}

static int listen_on_loopback(hp_fetch_members_t *self)
{
    socklen_t length = sizeof self->address;
    self->address = (struct sockaddr_in){.sin_family = AF_INET, .sin_addr = {htonl(INADDR_LOOPBACK)}};
    self->fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (self->fd < 0)
        return -errno;
    if (bind(self->fd, (struct sockaddr *)&self->address, sizeof self->address) != 0 ||
        listen(self->fd, BACKLOG) != 0 ||
        getsockname(self->fd, (struct sockaddr *)&self->address, &length) != 0) {
        int rc = -errno;
        close(self->fd);
        return rc;
    }
    return 0;
}

int hp_fetcher_set_connector(hp_fetcher_t *fetcher, const hp_connector_t *connector, hp_err_t *err)
{
    hp_fetch_members_t *self = hp_alloc(sizeof *self);
    int rc = listen_on_loopback(self);
    if (rc == 0 && (rc = uv_poll_init(fetcher->loop, &self->poll, self->fd)) != 0)
        close(self->fd);
    if (rc != 0) {
        free(self);
        return hp_err_set(err, rc, "a socket on loopback cannot be made: %s", uv_strerror(rc));
    }
    self->fetcher = fetcher;
    self->connector = *connector;
    hp_list_init(&self->notes);
    self->poll.data = self;
    uv_poll_start(&self->poll, UV_READABLE, on_connection);
    hp_pending_add(&fetcher->pending);
    fetcher->members = self;
    return 0;
}

void hp_fetcher_drop_connector(hp_fetcher_t *fetcher)
{
    if (fetcher->members != NULL)
        fetcher->members->connector = (hp_connector_t){.choose = NULL};
}

static void on_poll_closed(uv_handle_t *handle)
{
    hp_fetch_members_t *self = handle->data;
    hp_fetcher_t *fetcher = self->fetcher;
    close(self->fd);
    free(self);
    hp_pending_drop(&fetcher->pending);
}

void hp_fetch_members_dispose(hp_fetcher_t *fetcher)
{
    hp_fetch_members_t *self = fetcher->members;
    if (self == NULL)
        return;
    HP_LIST_EACH (at, &self->notes) {
        forget(HP_CONTAINER(at, note_t, link));
    }
    uv_close((uv_handle_t *)&self->poll, on_poll_closed);
}

/* ---- the way ---- */

static void on_chosen(void *arg, hp_way_t way, const hp_err_t *err)
{
    hp_fetch_choice_t *choice = arg;
    hp_fetch_t *fetch = choice->fetch;
    free(choice);
    if (fetch == NULL)
        return;
    fetch->choice = NULL;
    fetch->way = way;
    fetch->way_chosen = true;
    if (err != NULL)
        fetch->status = hp_err_set(&fetch->err, err->code, "%s", hp_err_text(err));
    else
        fetch->status = hp_fetch_set_member_url(fetch);
    hp_fetch_start_now(fetch);
}

void hp_fetch_choose(hp_fetch_t *fetch)
{
    hp_fetch_members_t *self = fetch->fetcher->members;
    hp_fetch_choice_t *choice = hp_alloc(sizeof *choice);
    choice->fetch = fetch;
    fetch->choice = choice;
    int rc = self->connector.choose != NULL
                 ? self->connector.choose(self->connector.arg, fetch->endpoint.id, on_chosen, choice)
                 : HP_E_NOT_FOUND;
    if (rc == 0)
        return;
    hp_fetch_unchoose(fetch);
    free(choice);
    fetch->way_chosen = true;
    fetch->status = hp_err_set(&fetch->err, HP_E_UNREACHABLE, "it is a member of no group of this host");
    hp_fetch_start_now(fetch);
}

void hp_fetch_unchoose(hp_fetch_t *fetch)
{
    if (fetch->choice != NULL)
        fetch->choice->fetch = NULL;
    fetch->choice = NULL;
}

char *hp_fetch_member_base(const hp_endpoint_t *endpoint, hp_way_t way, char out[HP_ENDPOINT_URL_SIZE])
{
    const char *id = endpoint->id;
    bool relayed = way == HP_WAY_RELAYED;
    snprintf(out, HP_ENDPOINT_URL_SIZE, "%s://[fd68:7074:%.4s:%.4s:%.4s:%.4s:%.4s:%.4s]:%d",
             relayed ? "https" : "http", id, id + 4, id + 8, id + 12, id + 16, id + 20,
             relayed ? PORT_RELAYED : PORT_DIRECT);
    return out;
}

/* Notes the port of a socket that will connect to the listener. */
static int note_port(hp_fetch_members_t *self, const hp_fetch_t *fetch, int fd)
{
    struct sockaddr_in own = {.sin_family = AF_INET, .sin_addr = {htonl(INADDR_LOOPBACK)}};
    socklen_t length = sizeof own;
    uint64_t now = uv_now(self->fetcher->loop);
    if (bind(fd, (struct sockaddr *)&own, sizeof own) != 0 ||
        getsockname(fd, (struct sockaddr *)&own, &length) != 0)
        return -errno;
    HP_LIST_EACH (at, &self->notes) {
        note_t *old = HP_CONTAINER(at, note_t, link);
        if (now - old->at > NOTED_MS || old->port == ntohs(own.sin_port))
            forget(old);
    }
    note_t *note = hp_alloc(sizeof *note);
    note->port = ntohs(own.sin_port);
    memcpy(note->id, fetch->endpoint.id, sizeof note->id);
    note->way = fetch->way;
    note->at = now;
    hp_list_add(&self->notes, &note->link);
    return 0;
}

int hp_fetch_member_socket(hp_fetch_t *fetch, struct curl_sockaddr *address)
{
    hp_fetch_members_t *self = fetch->fetcher->members;
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0)
        return -1;
    int rc = note_port(self, fetch, fd);
    if (rc != 0) {
        close(fd);
        errno = -rc;
        return -1;
    }
    address->family = AF_INET;
    address->addrlen = sizeof self->address;
    memcpy(&address->addr, &self->address, sizeof self->address);
    return fd;
}
