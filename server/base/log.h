/* The log: one line an event to standard error, and the last HP_LOG_KEPT lines in memory for the dashboard.
 * Text of other hosts is made printable on its way in; a line is cut at HP_LOG_LINE bytes. Any thread. */
#ifndef HP_BASE_LOG_H
#define HP_BASE_LOG_H

#include <stdint.h>

#define HP_LOG_KEPT 1000
#define HP_LOG_LINE 512

/* level, name */
#define HP_LOG_LEVELS(X) X(ERROR, "error") X(WARN, "warn") X(INFO, "info") X(DEBUG, "debug")

typedef enum {
#define X(name, text) HP_LOG_##name,
    HP_LOG_LEVELS(X)
#undef X
} hp_log_level_t;

typedef struct hp_log_entry {
    uint64_t number; /* counts from 1, without gaps */
    int64_t at;      /* wall clock, ms */
    hp_log_level_t level;
    char text[HP_LOG_LINE];
} hp_log_entry_t;

void hp_log(hp_log_level_t level, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* For lines that somebody else can cause at will: of those that go through one gate, HP_LOG_GATE_LINES a
 * minute are logged, and then a line that says that others are left out. Zeroed at first; not shared between
 * threads. */
#define HP_LOG_GATE_LINES 30
typedef struct hp_log_gate {
    uint64_t begun_at; /* hp_clock_ms; 0: no minute has begun */
    unsigned lines;    /* of this minute */
} hp_log_gate_t;
void hp_log_gated(hp_log_gate_t *gate, hp_log_level_t level, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

/* Lines above this level are neither printed nor kept. INFO at start. */
void hp_log_set_level(hp_log_level_t level);

/* "error" "warn" "info" "debug"; parse gives 0 or HP_E_INVALID. */
const char *hp_log_level_name(hp_log_level_t level);
int hp_log_level_parse(const char *name, hp_log_level_t *level);

/* Copies the kept lines with a number above after, oldest first, at most max; returns how many. */
int hp_log_read(uint64_t after, hp_log_entry_t *out, int max);

/* Called after every kept line, on the thread that logged, outside the log's lock; it must not log. One at a
 * time. */
void hp_log_set_listener(void (*fn)(void *arg), void *arg);

#endif
