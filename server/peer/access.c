/* Who is let in: the access setting, asked for every request and, when it changes, of every connection. */
#include "internal.h"

#include <string.h>

#include "base/log.h"
#include "url_path.h"

static bool is_trusted(const hp_peer_t *peer, const hp_who_t *who)
{
    return who->id[0] != '\0' && peer->is_trusted != NULL && peer->is_trusted(peer->is_trusted_arg, who->id);
}

/* From another network only those come in whom somebody here has let in: a relay leads here whomever its hub
 * likes, under a key of its own. */
static bool is_stranger_from_afar(const hp_peer_t *peer, const hp_who_t *who)
{
    return who->way != HP_WAY_LAN && !is_trusted(peer, who);
}

static bool is_let_in(const hp_peer_t *peer, const hp_who_t *who)
{
    if (is_stranger_from_afar(peer, who))
        return false;
    switch (peer->access) {
    case HP_ACCESS_EVERYONE:
        return true;
    case HP_ACCESS_HOSTS:
        return who->id[0] != '\0';
    case HP_ACCESS_PAIRED:
        return is_trusted(peer, who);
    }
    return false;
}

/* What is answered all the same: who this is, so that hosts find each other; and to hosts the request to
 * pair, without which nobody could become a paired one. */
static bool is_open(const hp_http_request_t *request, const char *path)
{
    char first[16];
    const char *rest;
    if (!hp_url_path_first(path, first, sizeof first, &rest) || strcmp(first, "hostpair") != 0)
        return false;
    return rest == NULL || (strcmp(rest, "pair") == 0 && hp_http_who(request)->id[0] != '\0');
}

bool hp_peer_lets_in(hp_peer_t *peer, hp_http_request_t *request, const char *path)
{
    const hp_who_t *who = hp_http_who(request);
    const char *method = hp_http_method(request);
    bool front = path[0] == '\0' && (strcmp(method, "GET") == 0 || strcmp(method, "HEAD") == 0);
    if (is_stranger_from_afar(peer, who)) {
        hp_log(HP_LOG_WARN,
               "host %s came through a hub's relay, and is neither paired nor in a group: refused", who->id);
        hp_http_reply_text_error(request, HP_E_FORBIDDEN,
                                 "From other networks this host lets in members of its groups only");
        return false;
    }
    if (is_let_in(peer, who) || is_open(request, path))
        return true;
    if (who->id[0] == '\0' && hp_peer_guest_closed(peer, request, front))
        return false;
    if (peer->access == HP_ACCESS_PAIRED)
        hp_http_reply_text_error(request, HP_E_FORBIDDEN,
                                 "This host shares with hosts that it is paired with only");
    else
        hp_http_reply_text_error(request, HP_E_FORBIDDEN,
                                 "This host shares with hosts that prove who they are, and nobody else");
    return false;
}

/* One that comes through a hub and has not proven itself yet is judged when it asks for something. */
static bool is_shut_out(void *arg, const hp_who_t *who)
{
    bool greets = who->way != HP_WAY_LAN && who->id[0] == '\0';
    return !greets && !is_let_in(arg, who);
}

void hp_peer_check_access(hp_peer_t *self)
{
    hp_http_disconnect_if(self->listener, is_shut_out, self);
}

void hp_peer_set_access(hp_peer_t *self, hp_access_t access)
{
    self->access = access;
    hp_peer_check_access(self);
}
