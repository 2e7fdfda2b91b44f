#include "gate.h"

#include <stdlib.h>

#include "base/mem.h"

typedef struct reader {
    struct reader *next, **link; /* while it waits */
    hp_gate_t *gate;
    hp_http_request_t *request;
    char *after;
    size_t limit;
    hp_share_rows_fn done;
    void *arg;
} reader_t;

struct hp_gate {
    hp_share_t *share;
    unsigned references, reading;
    reader_t *first, **last;
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

static void reader_destroy(reader_t *reader)
{
    free(reader->after);
    free(reader);
}

static void leave_queue(reader_t *reader)
{
    hp_gate_t *gate = reader->gate;
    *reader->link = reader->next;
    if (reader->next != NULL)
        reader->next->link = reader->link;
    else
        gate->last = reader->link;
}

static void on_gone(void *arg)
{
    reader_t *reader = arg;
    leave_queue(reader);
    reader->done(reader->arg, UV_ECANCELED, NULL, 0);
    reader_destroy(reader);
}

static void start_next(hp_gate_t *gate);

static void on_rows(void *arg, int status, const hp_share_row_t *rows, size_t count)
{
    reader_t *reader = arg;
    hp_gate_t *gate = reader->gate;
    gate->reading--;
    reader->done(reader->arg, status, rows, count);
    reader_destroy(reader);
    start_next(gate);
    hp_gate_release(gate);
}

static void start_next(hp_gate_t *gate)
{
    while (gate->first != NULL && gate->reading < HP_GATE_READS) {
        reader_t *reader = gate->first;
        leave_queue(reader);
        hp_http_on_gone(reader->request, NULL, NULL);
        gate->reading++;
        gate->references++;
        hp_share_rows(gate->share, reader->after, reader->limit, on_rows, reader);
    }
}

void hp_gate_rows(hp_gate_t *gate, hp_http_request_t *request, const char *after, size_t limit,
                  hp_share_rows_fn done, void *arg)
{
    reader_t *reader = hp_alloc(sizeof *reader);
    *reader = (reader_t){.link = gate->last,
                         .gate = gate,
                         .request = request,
                         .after = after != NULL ? hp_strdup(after) : NULL,
                         .limit = limit,
                         .done = done,
                         .arg = arg};
    *gate->last = reader;
    gate->last = &reader->next;
    hp_http_on_gone(request, on_gone, reader);
    start_next(gate);
}
