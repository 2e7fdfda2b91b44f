// libs: message discovery fetch store db path base
/* The body of POST /message: whatever is taken keeps its promises, and is read again the same after it was
 * written. */
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/path.h"
#include "base/utf8.h"
#include "discovery/probe.h"
#include "message/body.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check(const hp_message_body_t *body)
{
    size_t length = strlen(body->text);
    if (body->uid[0] == '\0' || strlen(body->uid) > HP_MESSAGE_UID_MAX ||
        hp_utf8_has_control(body->uid, strlen(body->uid)))
        abort();
    if (!hp_probe_is_id(body->from) || (body->to[0] != '\0' && !hp_probe_is_id(body->to)))
        abort();
    if (!hp_utf8_valid(body->name, strlen(body->name)) || hp_utf8_has_control(body->name, strlen(body->name)))
        abort();
    if (!hp_utf8_valid(body->text, length) || hp_utf8_count(body->text, length) > HP_MESSAGE_TEXT_MAX ||
        (length == 0 && !body->has_offer))
        abort();
    if (body->has_offer &&
        (hp_path_check(body->offer.path, strlen(body->offer.path), NULL) != 0 || body->offer.size < 0))
        abort();
}

static int differ(const hp_message_body_t *a, const hp_message_body_t *b)
{
    return strcmp(a->uid, b->uid) != 0 || strcmp(a->from, b->from) != 0 || strcmp(a->to, b->to) != 0 ||
           strcmp(a->name, b->name) != 0 || strcmp(a->text, b->text) != 0 || a->sent_at != b->sent_at ||
           a->has_offer != b->has_offer ||
           (a->has_offer && (strcmp(a->offer.path, b->offer.path) != 0 || a->offer.size != b->offer.size ||
                             strcmp(a->offer.root, b->offer.root) != 0));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    hp_message_body_t body, again;
    hp_err_t err;
    if (hp_message_body_parse((const char *)data, size, &body, &err) != 0)
        return 0;
    check(&body);
    char *written = hp_message_body_format(&body);
    if (hp_message_body_parse(written, strlen(written), &again, &err) != 0 || differ(&body, &again))
        abort();
    free(written);
    hp_message_body_dispose(&body);
    hp_message_body_dispose(&again);
    return 0;
}
