#include "base/log.h"

#include <errno.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/err.h"
#include "base/utf8.h"

enum { GATE_MS = 60000 };

static const char *const level_names[] = {
#define X(name, text) text,
    HP_LOG_LEVELS(X)
#undef X
};

static atomic_int highest_level = HP_LOG_INFO;

/* The ring: line number n stands at (n - 1) % HP_LOG_KEPT. */
static pthread_mutex_t ring_lock = PTHREAD_MUTEX_INITIALIZER;
static hp_log_entry_t ring[HP_LOG_KEPT];
static uint64_t last_number;

/* Held while the listener runs, so that hp_log_set_listener(NULL) returns only when no thread is inside the
 * old one. */
static pthread_mutex_t listener_lock = PTHREAD_MUTEX_INITIALIZER;
static void (*listener)(void *arg);
static void *listener_arg;

static void print_line(const hp_log_entry_t *entry)
{
    char line[HP_LOG_LINE + HP_RFC3339_SIZE + 16], at[HP_RFC3339_SIZE];
    int n = snprintf(line, sizeof line, "%s %-5s %s\n", hp_clock_rfc3339(entry->at, at),
                     level_names[entry->level], entry->text);
    for (int sent = 0; sent < n;) {
        ssize_t wrote = write(STDERR_FILENO, line + sent, (size_t)(n - sent));
        if (wrote < 0 && errno == EINTR)
            continue;
        if (wrote <= 0)
            return; /* nobody reads standard error: the line is still kept in memory */
        sent += (int)wrote;
    }
}

static bool is_heard(hp_log_level_t level)
{
    return (int)level <= atomic_load_explicit(&highest_level, memory_order_relaxed);
}

static void log_args(hp_log_level_t level, const char *format, va_list args)
{
    int saved_errno = errno;
    char raw[2 * HP_LOG_LINE];
    vsnprintf(raw, sizeof raw, format, args);
    hp_utf8_cut(raw);
    hp_log_entry_t entry = {.at = hp_clock_wall_ms(), .level = level};
    hp_utf8_printable(raw, strlen(raw), entry.text, sizeof entry.text);

    pthread_mutex_lock(&ring_lock);
    entry.number = ++last_number;
    ring[(entry.number - 1) % HP_LOG_KEPT] = entry;
    print_line(&entry); /* inside the lock, so that the lines stand in the order of their numbers */
    pthread_mutex_unlock(&ring_lock);

    pthread_mutex_lock(&listener_lock);
    if (listener != NULL)
        listener(listener_arg);
    pthread_mutex_unlock(&listener_lock);
    errno = saved_errno;
}

void hp_log(hp_log_level_t level, const char *format, ...)
{
    va_list args;
    if (!is_heard(level))
        return;
    va_start(args, format);
    log_args(level, format, args);
    va_end(args);
}

void hp_log_gated(hp_log_gate_t *gate, hp_log_level_t level, const char *format, ...)
{
    uint64_t now = hp_clock_ms();
    va_list args;
    if (!is_heard(level))
        return;
    if (gate->begun_at == 0 || now - gate->begun_at >= GATE_MS)
        *gate = (hp_log_gate_t){.begun_at = now};
    if (gate->lines > HP_LOG_GATE_LINES)
        return;
    if (gate->lines++ == HP_LOG_GATE_LINES) {
        hp_log(level, "more lines like the ones before are left out for up to a minute");
        return;
    }
    va_start(args, format);
    log_args(level, format, args);
    va_end(args);
}

void hp_log_set_level(hp_log_level_t level)
{
    atomic_store_explicit(&highest_level, (int)level, memory_order_relaxed);
}

const char *hp_log_level_name(hp_log_level_t level)
{
    return level_names[level];
}

int hp_log_level_parse(const char *name, hp_log_level_t *level)
{
    for (size_t i = 0; i < sizeof level_names / sizeof *level_names; i++) {
        if (strcmp(name, level_names[i]) == 0) {
            *level = (hp_log_level_t)i;
            return 0;
        }
    }
    return HP_E_INVALID;
}

int hp_log_read(uint64_t after, hp_log_entry_t *out, int max)
{
    int count = 0;
    pthread_mutex_lock(&ring_lock);
    uint64_t oldest = last_number > HP_LOG_KEPT ? last_number - HP_LOG_KEPT + 1 : 1;
    for (uint64_t n = after >= oldest ? after + 1 : oldest; n <= last_number && n > after && count < max; n++)
        out[count++] = ring[(n - 1) % HP_LOG_KEPT];
    pthread_mutex_unlock(&ring_lock);
    return count;
}

void hp_log_set_listener(void (*fn)(void *arg), void *arg)
{
    pthread_mutex_lock(&listener_lock);
    listener = fn;
    listener_arg = arg;
    pthread_mutex_unlock(&listener_lock);
}
