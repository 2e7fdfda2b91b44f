/* Content in plain: hosts that are let in as guests are, and want no encryption, may fetch the bytes of files
 * in plain HTTP. The offer goes over TLS, to a proven host of this network; a request that takes it up says
 * so, since it must not be answered any more when the offer has ended. */
#include "internal.h"

#include <string.h>

#define FIELD "Hostpair-Content"

static bool is_offered(const hp_peer_t *peer)
{
    return peer->plain_content && peer->access == HP_ACCESS_EVERYONE;
}

void hp_peer_offer_plain(const hp_peer_t *peer, hp_http_request_t *request)
{
    const hp_who_t *who = hp_http_who(request);
    if (is_offered(peer) && who->id[0] != '\0' && who->way == HP_WAY_LAN)
        hp_http_set_header(request, FIELD, "plain");
}

bool hp_peer_takes_plain(const hp_peer_t *peer, hp_http_request_t *request)
{
    const char *content = hp_http_header(request, FIELD);
    if (hp_http_who(request)->encrypted || content == NULL || strcmp(content, "plain") != 0)
        return true;
    if (is_offered(peer)) {
        hp_http_mark(request);
        return true;
    }
    hp_http_reply_text_error(request, HP_E_FORBIDDEN, "This host gives content to hosts over TLS alone");
    return false;
}

void hp_peer_set_plain_content(hp_peer_t *self, bool plain)
{
    self->plain_content = plain;
    if (!plain)
        hp_http_disconnect_marked(self->listener);
}
