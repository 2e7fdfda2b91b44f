/* POST /message: what another host's people write. */
#include <stdio.h>

#include "internal.h"

static void on_accepted(void *arg, int status, unsigned retry_after_s, const hp_err_t *err)
{
    hp_http_request_t *request = arg;
    if (retry_after_s > 0) {
        char seconds[16];
        snprintf(seconds, sizeof seconds, "%u", retry_after_s);
        hp_http_set_header(request, "Retry-After", seconds);
    }
    if (status == 0)
        hp_http_reply_empty(request, 202);
    else
        hp_http_reply_text_error(request, status, hp_err_text(err));
    hp_http_release(request);
}

/* Browsers say Origin with every POST: a page that somebody looks at on another host could else speak in that
 * host's name. Hosts say none. */
static bool is_from_a_page(hp_http_request_t *request)
{
    return hp_http_header(request, "Origin") != NULL || hp_http_header(request, "Sec-Fetch-Site") != NULL;
}

void hp_peer_message(hp_peer_t *peer, hp_http_request_t *request)
{
    hp_message_post_t post = {.who = hp_http_who(request), .port = hp_peer_sender_port(request)};
    if (is_from_a_page(request)) {
        hp_http_reply_text_error(request, HP_E_FORBIDDEN, "a page may not send messages");
        return;
    }
    post.data = hp_http_body(request, &post.length);
    hp_http_addref(request);
    hp_messages_accept(peer->messages, &post, on_accepted, request);
}
