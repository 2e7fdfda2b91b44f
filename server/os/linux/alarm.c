#include "os/alarm.h"

#include <errno.h>
#include <sys/timerfd.h>
#include <time.h>
#include <unistd.h>

#include "base/mem.h"

int hp_alarm_open(void)
{
    int fd = timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK | TFD_CLOEXEC);
    return fd < 0 ? -errno : fd;
}

void hp_alarm_set(int fd, uint64_t at_ns)
{
    struct itimerspec when = {0};
    if (at_ns != UINT64_MAX) {
        at_ns = HP_MAX(at_ns, (uint64_t)1); /* zero would switch it off */
        when.it_value.tv_sec = (time_t)(at_ns / 1000000000u);
        when.it_value.tv_nsec = (long)(at_ns % 1000000000u);
    }
    timerfd_settime(fd, TFD_TIMER_ABSTIME, &when, NULL);
}

void hp_alarm_clear(int fd)
{
    uint64_t times;
    while (read(fd, &times, sizeof times) < 0 && errno == EINTR)
        ;
}
