#include "across.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/mem.h"
#include "share/row_json.h"

#define ROWS     250                        /* of the own list that are read at a time */
#define LIST_MAX ((size_t)64 * 1024 * 1024) /* bytes of the own list; a longer one is not left at hubs */

struct hp_across {
    hp_across_deps_t deps;
    hp_tunnel_t *tunnel;
    hp_rendezvous_t *rendezvous;
    hp_http_listener_t *listener; /* NULL: there is none now */
    void (*closed)(void *arg);
    void *closed_arg;
};

/* ---- from the tunnel ---- */

static void on_stream(void *arg, int fd, const hp_who_t *who)
{
    hp_across_t *self = arg;
    if (self->listener != NULL)
        hp_http_serve_fd(self->listener, fd, who);
    else
        close(fd);
}

static void on_path(void *arg, hp_remote_t *remote)
{
    hp_across_t *self = arg;
    const char *reason;
    hp_path_t path = hp_remote_path(remote, &reason);
    hp_way_t way = path == HP_PATH_RELAYED ? HP_WAY_RELAYED
                   : path == HP_PATH_LAN   ? HP_WAY_LAN
                                           : HP_WAY_DIRECT;
    hp_hosts_set_way(self->deps.hosts, hp_remote_id(remote), way, reason,
                     path == HP_PATH_LAN || path == HP_PATH_DIRECT);
}

/* ---- from the HTTP client ---- */

static int choose(void *arg, const char *id, hp_connector_chosen_fn chosen, void *chosen_arg)
{
    hp_across_t *self = arg;
    hp_remote_t *remote = hp_tunnel_find(self->tunnel, id);
    if (remote == NULL)
        return HP_E_NOT_FOUND;
    hp_remote_choose(remote, chosen, chosen_arg);
    return 0;
}

static void on_dialled(void *arg, const hp_err_t *err)
{
    /* The request on the other end sees its connection end; why a way is not there is told by the path. */
    (void)arg, (void)err;
}

static void dial(void *arg, const char *id, hp_way_t way, int fd)
{
    hp_across_t *self = arg;
    hp_remote_t *remote = hp_tunnel_find(self->tunnel, id);
    if (remote != NULL)
        hp_remote_dial(remote, way, fd, on_dialled, self);
    else
        close(fd);
}

/* ---- from the groups ---- */

static void on_member(void *arg, const uint8_t fingerprint[HP_FINGERPRINT_SIZE], const char *name,
                      bool online)
{
    hp_across_t *self = arg;
    hp_hosts_member(self->deps.hosts, fingerprint, name, online);
}

static void on_member_gone(void *arg, const char *id)
{
    hp_across_t *self = arg;
    hp_hosts_member_gone(self->deps.hosts, id);
    self->deps.member_gone(self->deps.arg);
}

static void on_group_changed(void *arg, int64_t group)
{
    hp_across_t *self = arg;
    self->deps.changed(self->deps.arg, group);
}

static void on_group_removed(void *arg, int64_t group)
{
    hp_across_t *self = arg;
    self->deps.removed(self->deps.arg, group);
}

/* ---- the own list, as text ---- */

typedef struct {
    hp_across_t *self;
    hp_buf_t text;
    char *after; /* the last path that was read */
    void (*ready)(void *arg, char *text, size_t length);
    void *arg;
} own_list_t;

static void end_own_list(own_list_t *list, bool whole)
{
    size_t length = list->text.length;
    if (whole)
        list->ready(list->arg, hp_buf_take(&list->text), length);
    else
        list->ready(list->arg, NULL, 0);
    hp_buf_dispose(&list->text);
    free(list->after);
    free(list);
}

static void on_rows(void *arg, int status, const hp_share_row_t *rows, size_t count)
{
    own_list_t *list = arg;
    int rc = status;
    for (size_t i = 0; i < count && rc == 0; i++)
        rc = hp_share_row_add_json(&list->text, &rows[i]);
    if (rc != 0 || count < ROWS) {
        end_own_list(list, rc == 0);
        return;
    }
    free(list->after);
    list->after = hp_strdup(rows[count - 1].path);
    hp_share_rows(list->self->deps.share, list->after, ROWS, on_rows, list);
}

static void give_own_list(void *arg, void (*ready)(void *ready_arg, char *text, size_t length),
                          void *ready_arg)
{
    hp_across_t *self = arg;
    own_list_t *list = hp_alloc(sizeof *list);
    list->self = self;
    list->ready = ready;
    list->arg = ready_arg;
    hp_buf_init(&list->text, LIST_MAX);
    hp_share_rows(self->deps.share, NULL, ROWS, on_rows, list);
}

static void take_list(void *arg, const char *id, char *text, size_t length,
                      void (*taken)(void *taken_arg, int status, const hp_err_t *err), void *taken_arg)
{
    hp_across_t *self = arg;
    hp_hosts_take_list(self->deps.hosts, id, text, length, taken, taken_arg);
}

/* ---- life ---- */

int hp_across_create(hp_across_t **across, const hp_across_deps_t *deps, hp_err_t *err)
{
    hp_across_t *self = hp_alloc(sizeof *self);
    hp_tunnel_options_t options = {.identity = deps->identity,
                                   .port = HP_TUNNEL_PORT,
                                   .map_port = deps->map_port,
                                   .on_stream = on_stream,
                                   .on_path = on_path,
                                   .arg = self};
    hp_connector_t connector = {.choose = choose, .dial = dial, .arg = self};
    self->deps = *deps;
    int rc = hp_tunnel_create(&self->tunnel, deps->loop, &options, err);
    hp_rendezvous_deps_t rendezvous = {.loop = deps->loop,
                                       .store = deps->store,
                                       .fetcher = deps->fetcher,
                                       .tunnel = self->tunnel,
                                       .identity = deps->identity,
                                       .name = deps->self->name};
    if (rc == 0)
        rc = hp_rendezvous_create(&self->rendezvous, &rendezvous, err);
    if (rc == 0)
        rc = hp_fetcher_set_connector(deps->fetcher, &connector, err);
    *across = self; /* what is there of it is destroyed all the same */
    return rc;
}

hp_rendezvous_t *hp_across_rendezvous(const hp_across_t *self)
{
    return self->rendezvous;
}

void hp_across_start(hp_across_t *self, hp_http_listener_t *listener)
{
    hp_rendezvous_hooks_t hooks = {.member = on_member,
                                   .member_gone = on_member_gone,
                                   .changed = on_group_changed,
                                   .removed = on_group_removed,
                                   .own_list = give_own_list,
                                   .list = take_list,
                                   .arg = self};
    self->listener = listener;
    hp_rendezvous_start(self->rendezvous, &hooks);
}

void hp_across_stop(hp_across_t *self)
{
    self->listener = NULL;
}

void hp_across_network_changed(hp_across_t *self)
{
    hp_fetcher_network_changed(self->deps.fetcher);
    hp_rendezvous_network_changed(self->rendezvous);
    hp_tunnel_network_changed(self->tunnel);
}

void hp_across_name_changed(hp_across_t *self)
{
    hp_rendezvous_name_changed(self->rendezvous);
}

void hp_across_list_changed(hp_across_t *self)
{
    hp_rendezvous_list_changed(self->rendezvous);
}

static void on_part_closed(void *arg)
{
    hp_across_t *self = arg;
    hp_fetcher_drop_connector(self->deps.fetcher);
    if (self->rendezvous != NULL) {
        hp_rendezvous_t *rendezvous = self->rendezvous;
        self->rendezvous = NULL;
        hp_rendezvous_destroy(rendezvous, on_part_closed, self);
        return;
    }
    if (self->tunnel != NULL) {
        hp_tunnel_t *tunnel = self->tunnel;
        self->tunnel = NULL;
        hp_tunnel_destroy(tunnel, on_part_closed, self);
        return;
    }
    void (*closed)(void *arg) = self->closed;
    void *closed_arg = self->closed_arg;
    free(self);
    closed(closed_arg);
}

void hp_across_destroy(hp_across_t *self, void (*closed)(void *arg), void *arg)
{
    self->closed = closed;
    self->closed_arg = arg;
    on_part_closed(self);
}
