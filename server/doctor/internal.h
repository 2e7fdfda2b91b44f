/* What the files of this room share: doctor.c (the looks), machine.c (this machine), check.c (one other
 * host), callback.c (being asked, and asking), watch.c (whether others can connect here). */
#ifndef HP_DOCTOR_INTERNAL_H
#define HP_DOCTOR_INTERNAL_H

#include "base/list.h"
#include "base/pending.h"
#include "base/rate.h"
#include "discovery/lookup.h"
#include "discovery/probe.h"
#include "doctor/doctor.h"
#include "doctor/filter.h"
#include "doctor/tcp_check.h"
#include "path/host_name.h"

typedef struct hp_check hp_check_t;
typedef struct hp_ask hp_ask_t;

typedef struct hp_look {
    hp_link_t link;
    hp_doctor_t *doctor;
    int64_t id, started_at, finished_at;
    char host[HP_HOST_NAME_TEXT_SIZE];
    hp_findings_t findings;
    hp_check_t *check;                 /* of the other host, under way; NULL */
    bool machine;                      /* this machine's part is under way */
    char open[HP_DOCTOR_COMMAND_SIZE]; /* the command that opens the port where it is closed, or may be; "" */
} hp_look_t;

typedef struct hp_watch {
    uv_timer_t timer;
    hp_ask_t *ask;  /* under way; NULL */
    size_t next;    /* host to ask, of those that are online */
    unsigned asked; /* in this round */
    char blocked[HP_HOST_NAME_SIZE];
} hp_watch_t;

struct hp_doctor {
    hp_doctor_deps_t deps;
    hp_lookups_t *lookups;
    hp_list_t looks; /* newest first */
    size_t count;
    int64_t last_id;
    void (*event)(void *arg, int64_t id);
    void *event_arg;
    hp_watch_t watch;
    hp_rate_t *rate;      /* of those that ask to be called back */
    unsigned callbacks;   /* under way */
    hp_list_t called;     /* the same */
    hp_pending_t pending; /* jobs, handles, requests */
    bool closing;
    void (*closed)(void *arg);
    void *closed_arg;
};

void hp_look_changed(hp_look_t *look);

/* ---- interfaces.c ---- */

/* The finding of one, of which nothing has been counted; the caller adds to its text. */
hp_finding_t *hp_interface_finding(hp_findings_t *findings, const hp_interface_t *interface,
                                   const hp_tally_row_t *row, bool beacon);

/* ---- machine.c ---- */

/* What is known here at once; then what the pool has to find out: look->machine until that is done, and then
 * done is called. */
void hp_machine_begin(hp_look_t *look, void (*done)(hp_look_t *look));

/* Whether the clocks are so far apart that a person should know; uncertainty_ms < 0: it is not known. */
bool hp_clock_is_apart(int64_t offset_ms, int64_t uncertainty_ms);
hp_finding_t *hp_clock_finding(hp_findings_t *findings, const char *name, int64_t offset_ms);

/* ---- check.c: ends by itself or with hp_check_cancel; done is called once. ---- */

/* name: an address or a name; host: a known one, or NULL. Whichever is given. */
hp_check_t *hp_check_begin(hp_look_t *look, const hp_host_name_t *name, const hp_host_t *host,
                           void (*done)(hp_look_t *look));
void hp_check_cancel(hp_check_t *check);

/* ---- callback.c ---- */

/* What a host says that was asked to connect here. */
typedef enum {
    HP_BACK_REACHED, /* and this host answered there */
    HP_BACK_BLOCKED, /* it could not connect */
    HP_BACK_OTHER,   /* something else answered there */
    HP_BACK_TOO_OLD,
    HP_BACK_REFUSED, /* it does not do that for us now */
    HP_BACK_FAILED,  /* no answer */
} hp_back_t;
typedef struct hp_back_answer {
    hp_back_t back;
    char reason[24];  /* of BLOCKED: "refused", "timeout", "unreachable" */
    char address[64]; /* at which it tried; "" not told */
    char detail[200]; /* of REFUSED and FAILED: a sentence */
    uint16_t port;    /* at which it tried */
} hp_back_answer_t;
typedef void (*hp_ask_fn)(void *arg, const hp_back_answer_t *answer); /* NULL: canceled */
hp_ask_t *hp_ask_start(hp_doctor_t *doctor, const hp_endpoint_t *at, hp_ask_fn done, void *arg);
void hp_ask_cancel(hp_ask_t *ask);

void hp_callbacks_stop(hp_doctor_t *doctor);

/* ---- watch.c ---- */

void hp_doctor_watch_create(hp_doctor_t *doctor);
void hp_doctor_watch_start(hp_doctor_t *doctor);
void hp_doctor_watch_stop(hp_doctor_t *doctor);
/* What a host said that somebody asked. */
void hp_doctor_watch_heard(hp_doctor_t *doctor, const char *name, const hp_back_answer_t *answer);

#endif
