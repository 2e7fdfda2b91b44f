/* POST and DELETE /hostpair/pair: another host's steps to a pairing, and its end. */
#include <stdio.h>
#include <string.h>

#include "internal.h"

static void on_answer(void *arg, int status, const char *nonce, unsigned retry_after_s, const hp_err_t *err)
{
    hp_http_request_t *request = arg;
    if (retry_after_s > 0) {
        char seconds[16];
        snprintf(seconds, sizeof seconds, "%u", retry_after_s);
        hp_http_set_header(request, "Retry-After", seconds);
    }
    if (status != 0)
        hp_http_reply_text_error(request, status == UV_ECANCELED ? HP_E_BUSY : status, hp_err_text(err));
    else if (nonce != NULL)
        hp_http_reply_json(request, 200, json_pack("{s:s}", "nonce", nonce));
    else
        hp_http_reply_empty(request, 204);
    hp_http_release(request);
}

static void on_end(void *arg, int status, const hp_err_t *err)
{
    on_answer(arg, status, NULL, 0, err);
}

void hp_peer_pair(hp_peer_t *peer, hp_http_request_t *request)
{
    const char *method = hp_http_method(request);
    const hp_who_t *who = hp_http_who(request);
    bool ends = strcmp(method, "DELETE") == 0;
    if (!ends && strcmp(method, "POST") != 0) {
        hp_http_reply_method(request, "POST, DELETE");
        return;
    }
    if (who->id[0] == '\0') {
        hp_http_reply_text_error(request, HP_E_FORBIDDEN,
                                 "only a host that proves its key by TLS can be paired");
        return;
    }
    hp_http_addref(request);
    if (ends) {
        hp_pairings_take_end(peer->pairings, who, on_end, request);
        return;
    }
    hp_pairing_step_t step = {.who = who, .port = hp_peer_sender_port(request)};
    step.data = hp_http_body(request, &step.length);
    hp_pairings_take(peer->pairings, &step, on_answer, request);
}
