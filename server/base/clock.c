#include "base/clock.h"

#include <stdio.h>
#include <string.h>
#include <time.h>

#include "base/err.h"

uint64_t hp_clock_ns(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

uint64_t hp_clock_ms(void)
{
    return hp_clock_ns() / 1000000u;
}

int64_t hp_clock_wall_ms(void)
{
    struct timespec t;
    clock_gettime(CLOCK_REALTIME, &t);
    return (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

char *hp_clock_rfc3339(int64_t wall_ms, char *out)
{
    int64_t ms = wall_ms % 1000;
    time_t seconds = (time_t)(wall_ms / 1000);
    if (ms < 0) {
        ms += 1000;
        seconds--;
    }
    struct tm tm;
    if (gmtime_r(&seconds, &tm) == NULL || tm.tm_year > 8099 || tm.tm_year < -1900) {
        /* Outside the four-digit years that RFC 3339 knows. */
        snprintf(out, HP_RFC3339_SIZE, "%s",
                 wall_ms < 0 ? "0000-01-01T00:00:00.000Z" : "9999-12-31T23:59:59.999Z");
        return out;
    }
    /* By hand: strftime does not pad years below 1000. The casts tell the compiler that it all fits. */
    snprintf(out, HP_RFC3339_SIZE, "%04u-%02u-%02uT%02u:%02u:%02u.%03uZ",
             (unsigned)(tm.tm_year + 1900) % 10000, (unsigned)(tm.tm_mon + 1) % 100,
             (unsigned)tm.tm_mday % 100, (unsigned)tm.tm_hour % 100, (unsigned)tm.tm_min % 100,
             (unsigned)tm.tm_sec % 100, (unsigned)ms % 1000);
    return out;
}

static int digits(const char **p, int count, int *value)
{
    int v = 0;
    for (int i = 0; i < count; i++, (*p)++) {
        if (**p < '0' || **p > '9')
            return HP_E_INVALID;
        v = v * 10 + (**p - '0');
    }
    *value = v;
    return 0;
}

static int offset_minutes(const char **p, int *minutes)
{
    *minutes = 0;
    if (**p == 'Z' || **p == 'z') {
        (*p)++;
        return 0;
    }
    int sign = **p == '+' ? 1 : **p == '-' ? -1 : 0, h, m;
    if (sign == 0)
        return HP_E_INVALID;
    (*p)++;
    if (digits(p, 2, &h) != 0 || *(*p)++ != ':' || digits(p, 2, &m) != 0 || h > 23 || m > 59)
        return HP_E_INVALID;
    *minutes = sign * (h * 60 + m);
    return 0;
}

int hp_clock_parse_rfc3339(const char *text, int64_t *wall_ms)
{
    const char *p = text;
    struct tm tm = {0};
    if (digits(&p, 4, &tm.tm_year) != 0 || *p++ != '-' || digits(&p, 2, &tm.tm_mon) != 0 || *p++ != '-' ||
        digits(&p, 2, &tm.tm_mday) != 0 || (*p != 'T' && *p != 't' && *p != ' '))
        return HP_E_INVALID;
    p++;
    if (digits(&p, 2, &tm.tm_hour) != 0 || *p++ != ':' || digits(&p, 2, &tm.tm_min) != 0 || *p++ != ':' ||
        digits(&p, 2, &tm.tm_sec) != 0)
        return HP_E_INVALID;
    if (tm.tm_mon < 1 || tm.tm_mon > 12 || tm.tm_mday < 1 || tm.tm_mday > 31 || tm.tm_hour > 23 ||
        tm.tm_min > 59 || tm.tm_sec > 60)
        return HP_E_INVALID;
    int ms = 0;
    if (*p == '.') {
        int scale = 100;
        if (*++p < '0' || *p > '9')
            return HP_E_INVALID;
        for (; *p >= '0' && *p <= '9'; p++, scale /= 10)
            ms += (*p - '0') * scale;
    }
    int minutes;
    if (offset_minutes(&p, &minutes) != 0 || *p != '\0')
        return HP_E_INVALID;
    tm.tm_year -= 1900;
    tm.tm_mon -= 1;
    *wall_ms = ((int64_t)timegm(&tm) - (int64_t)minutes * 60) * 1000 + ms;
    return 0;
}

static const char days[7][4] = {"Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat"};
static const char months[12][4] = {"Jan", "Feb", "Mar", "Apr", "May", "Jun",
                                   "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"};

char *hp_clock_http_date(int64_t seconds, char *out)
{
    time_t t = (time_t)seconds;
    struct tm tm;
    if (gmtime_r(&t, &tm) == NULL || tm.tm_year < -900 || tm.tm_year > 8099)
        gmtime_r(&(time_t){0}, &tm);
    /* %a and %b would follow the locale. */
    strftime(out, HP_HTTP_DATE_SIZE, "day, %d mon %Y %H:%M:%S GMT", &tm);
    memcpy(out, days[tm.tm_wday], 3);
    memcpy(out + strlen("day, 00 "), months[tm.tm_mon], 3);
    return out;
}

static int month_number(const char *name)
{
    for (int i = 0; i < 12; i++)
        if (strncmp(name, months[i], 3) == 0)
            return i;
    return -1;
}

int hp_clock_parse_http_date(const char *text, int64_t *seconds)
{
    struct tm tm = {0};
    char mon[4] = "", tail[4] = "";
    int used = 0;
    if (sscanf(text, "%*3[A-Za-z], %2d %3[A-Za-z] %4d %2d:%2d:%2d %3[A-Z]%n", &tm.tm_mday, mon, &tm.tm_year,
               &tm.tm_hour, &tm.tm_min, &tm.tm_sec, tail, &used) == 7 &&
        strcmp(tail, "GMT") == 0) {
        tm.tm_year -= 1900;
    } else if (sscanf(text, "%*9[A-Za-z], %2d-%3[A-Za-z]-%2d %2d:%2d:%2d %3[A-Z]%n", &tm.tm_mday, mon,
                      &tm.tm_year, &tm.tm_hour, &tm.tm_min, &tm.tm_sec, tail, &used) == 7 &&
               strcmp(tail, "GMT") == 0) {
        tm.tm_year += tm.tm_year < 70 ? 100 : 0; /* RFC 850 form, two digits */
    } else if (sscanf(text, "%*3[A-Za-z] %3[A-Za-z] %2d %2d:%2d:%2d %4d%n", mon, &tm.tm_mday, &tm.tm_hour,
                      &tm.tm_min, &tm.tm_sec, &tm.tm_year, &used) == 6) {
        tm.tm_year -= 1900; /* asctime form */
    } else {
        return HP_E_INVALID;
    }
    tm.tm_mon = month_number(mon);
    if (text[used] != '\0' || tm.tm_mon < 0 || tm.tm_mday < 1 || tm.tm_mday > 31 || tm.tm_hour < 0 ||
        tm.tm_hour > 23 || tm.tm_min < 0 || tm.tm_min > 59 || tm.tm_sec < 0 || tm.tm_sec > 60)
        return HP_E_INVALID;
    *seconds = timegm(&tm);
    return 0;
}
