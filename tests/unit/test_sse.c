// libs: rendezvous base
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/err.h"
#include "base/mem.h"
#include "rendezvous/sse.h"

static char heard[4096];

static void on_event(void *arg, const char *event, const char *data)
{
    (void)arg;
    size_t used = strlen(heard);
    snprintf(heard + used, sizeof heard - used, "<%s|%s>", event, data);
}

static void expect(const char *stream, const char *events)
{
    for (size_t piece = 1; piece <= strlen(stream); piece++) {
        hp_sse_t sse;
        heard[0] = '\0';
        hp_sse_init(&sse, on_event, NULL);
        for (size_t at = 0; at < strlen(stream); at += piece)
            assert_int_equal(hp_sse_feed(&sse, stream + at, HP_MIN(piece, strlen(stream) - at)), 0);
        assert_string_equal(heard, events);
        hp_sse_dispose(&sse);
    }
}

static void reads_events_in_pieces_of_every_size(void **state)
{
    (void)state;
    expect(": comment\n\nid: 3\nevent: member\ndata: {\"a\":1}\n\n", "<member|{\"a\":1}>");
    expect("event: a\r\ndata: 1\r\n\r\nevent: b\r\ndata: 2\r\n\r\n", "<a|1><b|2>");
    expect("event: a\rdata: 1\r\rdata:2\r\r", "<a|1><message|2>");
    expect("data: one\ndata: two\ndata\n\n", "<message|one\ntwo\n>");
    expect("event: nothing\n\ndata: x\n\n", "<message|x>");
    expect("event: a\ndata: never ended\n", "");
}

static void bounds_an_event(void **state)
{
    (void)state;
    hp_sse_t sse;
    char *endless = hp_alloc(HP_SSE_MAX + 1);
    memset(endless, 'x', HP_SSE_MAX + 1);
    hp_sse_init(&sse, on_event, NULL);
    assert_int_equal(hp_sse_feed(&sse, endless, HP_SSE_MAX + 1), HP_E_TOO_LARGE);
    hp_sse_dispose(&sse);
    hp_sse_init(&sse, on_event, NULL);
    int rc = 0;
    for (size_t i = 0; rc == 0 && i < HP_SSE_MAX / 64; i++)
        rc = hp_sse_feed(
            &sse, "data: 0123456789012345678901234567890123456789012345678901234567890123456789\n", 77);
    assert_int_equal(rc, HP_E_TOO_LARGE);
    hp_sse_dispose(&sse);
    free(endless);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(reads_events_in_pieces_of_every_size),
        cmocka_unit_test(bounds_an_event),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
