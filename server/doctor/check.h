/* The check of one other host, as check.c (from the name to who answers, and the way back) and fetched.c (its
 * list, and how fast a file comes) share it. Loop thread. */
#ifndef HP_DOCTOR_CHECK_H
#define HP_DOCTOR_CHECK_H

#include "base/utf8.h"
#include "doctor/internal.h"

#define HP_CHECK_PLACES 4
#define HP_CHECK_SAMPLE ((uint64_t)8 * 1024 * 1024) /* bytes that are fetched to know how fast it is */

struct hp_check {
    hp_look_t *look;
    void (*done)(hp_look_t *look);
    uv_idle_t turn;
    bool cancelled;
    hp_host_name_t asked; /* name "": none to look up */
    hp_endpoint_t places[HP_CHECK_PLACES], at;
    size_t count, next;
    char name[HP_HOST_NAME_SIZE];   /* what it calls itself; "" not known yet */
    char expected[HP_PEER_ID_SIZE]; /* who has to answer; "" anybody */
    bool proven, loopback;
    /* at most one is under way */
    hp_tcp_check_t *reach;
    hp_probe_t *probe;
    hp_fetch_t *fetch;
    hp_ask_t *ask;
    /* the list */
    char line[8192]; /* the one that is being read */
    size_t line_length;
    bool line_too_long;
    int status;
    uint64_t files, bytes;
    uint64_t list_got, list_began;
    char *sample_path; /* the largest file, or the first that is large enough; NULL */
    uint64_t sample_size, sample_got, sample_began;
};

/* A finding about the place that is checked: "address" and "host" are in its data. */
hp_finding_t *hp_check_add(hp_check_t *self, hp_severity_t severity, const char *slug, const char *text);
void hp_check_end(hp_check_t *self);

/* fetched.c: the list, then a file; goes on with the way back. */
void hp_check_list(hp_check_t *self);
/* check.c */
void hp_check_way_back(hp_check_t *self);

#endif
