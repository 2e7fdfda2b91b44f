/* Who may send next. Replies that have more to send wait in one line; in each turn of the loop they are
 * served from its head until TURN_MS are over or the line is done, each one piece, and go to its tail. So no
 * client, however fast, holds up another, the dashboard's calls, or the rest of the loop for longer than one
 * piece. */
#include "internal.h"

#include "base/clock.h"
#include "base/mem.h"
#include "secured.h"

#define TURN_NS 2000000 /* of one loop turn, for all replies together */

static void on_turn(uv_idle_t *idle)
{
    hp_http_listener_t *self = idle->data;
    uint64_t end = hp_clock_ns() + TURN_NS;
    h2o_linklist_t now;
    bool more = hp_secured_turn(self, end - TURN_NS / 2);
    h2o_linklist_init_anchor(&now);
    h2o_linklist_insert_list(&now, &self->turns);
    while (!h2o_linklist_is_empty(&now)) {
        hp_http_request_t *request = H2O_STRUCT_FROM_MEMBER(hp_http_request_t, link, now.next);
        h2o_linklist_unlink(&request->link);
        if (!request->writing)
            request->type->turn(request);
        if (hp_clock_ns() >= end)
            break;
    }
    /* Who had no turn comes before who had one. */
    h2o_linklist_insert_list(self->turns.next, &now);
    if (h2o_linklist_is_empty(&self->turns) && !more && h2o_linklist_is_empty(&self->handshakes))
        uv_idle_stop(&self->idle);
}

static void on_throttle(uv_timer_t *timer)
{
    hp_http_listener_t *self = timer->data;
    while (!h2o_linklist_is_empty(&self->waiting)) {
        hp_http_request_t *request = H2O_STRUCT_FROM_MEMBER(hp_http_request_t, link, self->waiting.next);
        h2o_linklist_unlink(&request->link);
        hp_turns_queue(request);
    }
}

void hp_turns_init(hp_http_listener_t *self)
{
    h2o_linklist_init_anchor(&self->turns);
    h2o_linklist_init_anchor(&self->waiting);
    h2o_linklist_init_anchor(&self->handshakes);
}

void hp_turns_wake(hp_http_listener_t *self)
{
    if (!self->closing)
        uv_idle_start(&self->idle, on_turn);
}

void hp_turns_queue(hp_http_request_t *request)
{
    hp_http_listener_t *self = request->connection->listener;
    if (h2o_linklist_is_linked(&request->link))
        return;
    h2o_linklist_insert(&self->turns, &request->link);
    hp_turns_wake(self);
}

void hp_turns_wait(hp_http_request_t *request)
{
    hp_http_listener_t *self = request->connection->listener;
    bool first = h2o_linklist_is_empty(&self->waiting);
    h2o_linklist_insert(&self->waiting, &request->link);
    if (first)
        uv_timer_start(&self->throttle, on_throttle, HP_SEND_LIMIT_RETRY_MS, 0);
}

void hp_turns_forget(hp_http_request_t *request)
{
    if (h2o_linklist_is_linked(&request->link))
        h2o_linklist_unlink(&request->link);
}
