// libs: rendezvous base
/* An invite that somebody pastes, and the address of a hub that somebody writes: what is taken is written
 * back as the same invite, and with one character changed it is no invite any more. */
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "rendezvous/invite.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static bool is_same(const hp_invite_t *a, const hp_invite_t *b)
{
    return strcmp(a->hub, b->hub) == 0 && memcmp(a->secret, b->secret, sizeof a->secret) == 0 &&
           memcmp(a->hub_fingerprint, b->hub_fingerprint, sizeof a->hub_fingerprint) == 0;
}

static void check_hub(const char *hub)
{
    char host[HP_INVITE_HUB_SIZE], again[HP_INVITE_HUB_SIZE];
    uint16_t port;
    hp_invite_hub_split(hub, host, &port);
    if (host[0] == '\0' || port == 0 || hp_invite_hub_parse(hub, again, NULL) != 0 || strcmp(again, hub) != 0)
        abort();
}

/* One of its last 56 characters, which carry the secret, is another one: which, the input says. */
static void change_one(const char *text, uint8_t where, uint8_t what)
{
    static const char letters[] = "abcdefghijklmnopqrstuvwxyz234567";
    char changed[HP_INVITE_SIZE];
    hp_invite_t none;
    hp_err_t err = {0};
    snprintf(changed, sizeof changed, "%s", text);
    char *at = changed + strlen(changed) - 1 - where % 56;
    if (*at == letters[what % 32])
        return;
    *at = letters[what % 32];
    if (hp_invite_read(changed, &none, &err) != HP_E_INVALID || err.detail[0] == '\0')
        abort();
}

static void check(const hp_invite_t *invite, const uint8_t *data, size_t size)
{
    char text[HP_INVITE_SIZE];
    hp_invite_t again;
    hp_invite_write(invite, text);
    if (hp_invite_read(text, &again, NULL) != 0 || !is_same(invite, &again))
        abort();
    check_hub(invite->hub);
    change_one(text, size > 0 ? data[0] : 0, size > 1 ? data[1] : 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    hp_invite_t invite;
    hp_err_t err;
    char *text = hp_alloc(size + 1);
    memcpy(text, data, size);
    if (hp_invite_read(text, &invite, &err) == 0)
        check(&invite, data, size);
    /* The check lets few random inputs pass: take the input as what an invite holds, too. */
    memset(&invite, 0, sizeof invite);
    if (size > 32 && hp_invite_hub_parse(text + 32, invite.hub, &err) == 0) {
        memcpy(invite.secret, data, 16);
        memcpy(invite.hub_fingerprint, data + 16, 16);
        check(&invite, data, size);
    }
    free(text);
    return 0;
}
