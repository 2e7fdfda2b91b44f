/* A timer finer than a millisecond, as a descriptor that becomes readable: pacing packets by whole
 * milliseconds costs a third of a fast link. */
#ifndef HP_OS_ALARM_H
#define HP_OS_ALARM_H

#include <stdint.h>

/* The descriptor or a negative errno. close() it. */
int hp_alarm_open(void);

/* Readable from this time of hp_clock_ns() on; UINT64_MAX: never. */
void hp_alarm_set(int fd, uint64_t at_ns);

/* Makes it unreadable again. */
void hp_alarm_clear(int fd);

#endif
