/* Time: monotonic for all waiting and measuring, wall clock only for what people and other hosts read. Any
 * thread. */
#ifndef HP_BASE_CLOCK_H
#define HP_BASE_CLOCK_H

#include <stdint.h>

/* Monotonic time since some fixed point (CLOCK_MONOTONIC). */
uint64_t hp_clock_ms(void);
uint64_t hp_clock_ns(void);

/* Wall clock: milliseconds since 1970 UTC. All times in the database and in structs named *_at are these. */
int64_t hp_clock_wall_ms(void);

/* RFC 3339, UTC, milliseconds: "2026-11-21T03:56:15.123Z". out takes HP_RFC3339_SIZE bytes. Returns out. */
#define HP_RFC3339_SIZE 32
char *hp_clock_rfc3339(int64_t wall_ms, char *out);

/* Reads RFC 3339 with any fraction and offset. 0 or HP_E_INVALID. */
int hp_clock_parse_rfc3339(const char *text, int64_t *wall_ms);

/* IMF-fixdate (RFC 9110 section 5.6.7): "Sat, 21 Nov 2026 03:56:15 GMT"; parse takes the two obsolete forms
 * as well. Seconds since 1970. */
#define HP_HTTP_DATE_SIZE 32
char *hp_clock_http_date(int64_t seconds, char *out);
int hp_clock_parse_http_date(const char *text, int64_t *seconds);

#endif
