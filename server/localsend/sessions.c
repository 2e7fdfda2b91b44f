/* A device that goes in the middle of a transfer comes back only within its own session, if a person there
 * tries again. A transfer for which no request came for QUIET_MS is over. */
#include "internal.h"

#define QUIET_MS 120000

static hp_localsend_session_t *find(hp_localsend_t *self, int64_t id)
{
    for (size_t i = 0; i < self->sessions.count; i++)
        if (self->sessions.items[i].id == id)
            return &self->sessions.items[i];
    hp_localsend_session_t *session = hp_array_add(&self->sessions);
    *session = (hp_localsend_session_t){.id = id, .quiet_since = uv_now(self->deps.loop)};
    return session;
}

void hp_localsend_upload_began(hp_localsend_t *self, int64_t id)
{
    find(self, id)->uploads++;
}

void hp_localsend_upload_ended(hp_localsend_t *self, int64_t id)
{
    hp_localsend_session_t *session = find(self, id);
    session->uploads--;
    session->quiet_since = uv_now(self->deps.loop);
}

static bool is_receiving(const hp_localsend_t *self, int64_t id)
{
    hp_incoming_t info;
    return hp_inbox_get(self->deps.inbox, id, &info) && info.state == HP_INCOMING_RECEIVING;
}

/* Those that an earlier process had begun, too. */
static void note_all(hp_localsend_t *self)
{
    size_t count = hp_inbox_count(self->deps.inbox);
    for (size_t i = 0; i < count; i++) {
        hp_incoming_t info;
        hp_inbox_at(self->deps.inbox, i, &info);
        if (info.kind == HP_SENDER_LOCALSEND && info.state == HP_INCOMING_RECEIVING)
            find(self, info.id);
    }
}

void hp_localsend_sweep(hp_localsend_t *self)
{
    uint64_t now = uv_now(self->deps.loop);
    note_all(self);
    for (size_t i = self->sessions.count; i > 0; i--) {
        hp_localsend_session_t session = self->sessions.items[i - 1];
        bool receiving = is_receiving(self, session.id);
        if (session.uploads > 0 || (receiving && now - session.quiet_since < QUIET_MS))
            continue;
        hp_array_remove(&self->sessions, i - 1);
        if (receiving)
            hp_inbox_fail(self->deps.inbox, session.id, "The device sends no more", NULL);
    }
}
