#include "gate.h"

#include <stdlib.h>

#include "base/mem.h"

typedef struct visitor {
    struct visitor *next, **link;
    hp_gate_t *gate;
    hp_http_request_t *request;
    hp_gate_turn_fn turn;
    void *arg;
} visitor_t;

struct hp_gate {
    hp_share_t *share;
    unsigned references, inside;
    visitor_t *first, **last; /* who waits */
};

hp_gate_t *hp_gate_create(hp_share_t *share)
{
    hp_gate_t *gate = hp_alloc(sizeof *gate);
    *gate = (hp_gate_t){.share = share, .references = 1, .last = &gate->first};
    return gate;
}

/* Nobody waits then: every connection has ended. */
void hp_gate_release(hp_gate_t *gate)
{
    if (--gate->references == 0)
        free(gate);
}

/* Out of the queue, for its turn or for good. */
static void call(visitor_t *visitor, int status)
{
    hp_gate_t *gate = visitor->gate;
    hp_gate_turn_fn turn = visitor->turn;
    void *arg = visitor->arg;
    *visitor->link = visitor->next;
    if (visitor->next != NULL)
        visitor->next->link = visitor->link;
    else
        gate->last = visitor->link;
    free(visitor);
    turn(arg, status);
}

static void on_gone(void *arg)
{
    call(arg, UV_ECANCELED);
}

static void call_next(hp_gate_t *gate)
{
    while (gate->first != NULL && gate->inside < HP_GATE_WIDTH) {
        hp_http_on_gone(gate->first->request, NULL, NULL);
        gate->inside++;
        gate->references++;
        call(gate->first, 0);
    }
}

void hp_gate_enter(hp_gate_t *gate, hp_http_request_t *request, hp_gate_turn_fn turn, void *arg)
{
    visitor_t *visitor = hp_alloc(sizeof *visitor);
    *visitor = (visitor_t){.link = gate->last, .gate = gate, .request = request, .turn = turn, .arg = arg};
    *gate->last = visitor;
    gate->last = &visitor->next;
    hp_http_on_gone(request, on_gone, visitor);
    call_next(gate);
}

void hp_gate_leave(hp_gate_t *gate)
{
    gate->inside--;
    call_next(gate);
    hp_gate_release(gate);
}

/* ---- rows ---- */

typedef struct {
    hp_gate_t *gate;
    bool folders;
    char *after;
    size_t limit;
    hp_share_rows_fn done;
    void *arg;
} reader_t;

static void end(reader_t *reader, int status, const hp_share_row_t *rows, size_t count)
{
    reader->done(reader->arg, status, rows, count);
    free(reader->after);
    free(reader);
}

static void on_rows(void *arg, int status, const hp_share_row_t *rows, size_t count)
{
    reader_t *reader = arg;
    hp_gate_t *gate = reader->gate;
    end(reader, status, rows, count);
    hp_gate_leave(gate);
}

static void on_turn(void *arg, int status)
{
    reader_t *reader = arg;
    if (status == 0)
        (reader->folders ? hp_share_folders : hp_share_rows)(reader->gate->share, reader->after,
                                                             reader->limit, on_rows, reader);
    else
        end(reader, status, NULL, 0);
}

void hp_gate_rows(hp_gate_t *gate, hp_http_request_t *request, bool folders, const char *after, size_t limit,
                  hp_share_rows_fn done, void *arg)
{
    reader_t *reader = hp_alloc(sizeof *reader);
    *reader = (reader_t){.gate = gate,
                         .folders = folders,
                         .after = after != NULL ? hp_strdup(after) : NULL,
                         .limit = limit,
                         .done = done,
                         .arg = arg};
    hp_gate_enter(gate, request, on_turn, reader);
}
