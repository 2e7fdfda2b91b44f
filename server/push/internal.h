/* What the files of server/push share: push.c (the list of pushes, their states, what people do), files.c
 * (what is at their paths), and a file for each kind of host that they go to. */
#ifndef HP_PUSH_INTERNAL_H
#define HP_PUSH_INTERNAL_H

#include "base/array.h"
#include "base/list.h"
#include "base/pending.h"
#include "base/retry.h"
#include "base/signal.h"
#include "push/push.h"
#include "share/aside.h"

#define HP_PUSH_FAILURES_MAX 20 /* in a row: the host is given up */

typedef struct hp_push hp_push_t;

typedef struct hp_push_file {
    char *path;       /* in the share, or set aside */
    const char *name; /* inside path: from the last folder on that a person named */
    uint64_t size;
    bool folder;
    bool wanted; /* until the other side has said that it is not */
} hp_push_file_t;

/* One kind of host. All is called on the loop, none inside another. */
typedef struct hp_push_kind {
    bool takes_folders; /* else they are sent as their files */
    /* 0; HP_E_NOT_FOUND when no host of this kind has the id; HP_E_CONFLICT, with the words, when this one
     * cannot be given files. */
    int (*check)(const hp_pushes_t *owner, const char *host, hp_err_t *err);
    /* The files are known. */
    void (*begin)(hp_push_t *self);
    /* The pause that hp_push_later asked for is over; self->fetch is NULL. */
    void (*go_on)(hp_push_t *self);
    /* It is being cancelled here: the other side is told. self->fetch ends by itself. */
    void (*cancel)(hp_push_t *self);
    /* Whether it is this session of a device at this address. NULL: never. */
    bool (*is_session)(const hp_push_t *self, const char *session, const char *address);
    void (*dispose)(hp_push_t *self); /* frees work; nothing is under way */
} hp_push_kind_t;

extern const hp_push_kind_t hp_push_offer, hp_push_upload;

struct hp_push {
    hp_link_t link;
    hp_pushes_t *owner;
    const hp_push_kind_t *kind;
    void *work; /* the kind's own; NULL */
    int64_t id;
    char host[HP_HOST_ID_SIZE];
    char *pin;          /* NULL */
    const char **paths; /* as a person named them */
    size_t count, looked;
    HP_ARRAY(hp_push_file_t) files;
    uint64_t size; /* of those that are wanted */
    size_t taken;  /* how many are, once answered */
    bool answered; /* the other side has said which it takes */
    hp_push_state_t state;
    char reason[200];
    int code;
    uint64_t done_bytes;
    int64_t created_at, finished_at;
    unsigned address; /* of the host, that is tried */
    hp_retry_t retry;
    uv_timer_t timer;
    hp_fetch_t *fetch;   /* under way; NULL */
    hp_fetch_t *telling; /* the other side that it is over; NULL */
    unsigned jobs;       /* that hold it: the timer, requests, looks at the share */
    bool forgotten;
    bool aside; /* some of it is set aside for the host (share/aside.h): held until it is over */
};

struct hp_pushes {
    uv_loop_t *loop;
    hp_fetcher_t *fetcher;
    hp_hosts_t *hosts;
    hp_devices_t *devices;
    hp_share_t *share;
    hp_send_limit_t *limit;
    hp_list_t pushes; /* newest first */
    size_t count;
    int64_t last_id;
    uint64_t bytes_sent;
    HP_SIGNAL(hp_push_event_fn) event;
    hp_pending_t pending;
    bool closing;
    void (*closed)(void *arg);
    void *closed_arg;
};

/* ---- push.c ---- */

bool hp_push_is_over(const hp_push_t *self);
/* It is over, or not wanted any more: what was asked for is only let go. */
bool hp_push_is_idle(const hp_push_t *self);

/* The only writer of a state. */
void hp_push_set_state(hp_push_t *self, hp_push_state_t state, const char *reason);
/* Failed, with a code. */
void hp_push_fail(hp_push_t *self, int code, const char *reason);
/* The other side has said which files it takes: their `wanted` says it, and `taken` how many there are (an
 * answer may name only some of many). Listeners hear of it. */
void hp_push_set_taken(hp_push_t *self, size_t taken);
/* Somebody at the other side, which is called so, has cancelled it. */
void hp_push_cancelled_there(hp_push_t *self, const char *name);
/* The bytes that the other side has; listeners hear of it. */
void hp_push_set_done(hp_push_t *self, uint64_t bytes);

/* Whatever is under way holds it. drop may free it. */
void hp_push_hold(hp_push_t *self);
void hp_push_drop(hp_push_t *self);

/* For the request that is self->telling. Whether it was heard makes no difference. */
void hp_push_on_told(void *arg, int status, const hp_fetch_reply_t *reply, const hp_err_t *err);

void hp_push_later(hp_push_t *self, uint64_t ms);
/* It failed once more: goes on after a pause, however often. */
void hp_push_wait(hp_push_t *self);
/* It failed once more: goes on after a pause, or is over with these words. Whether it goes on. */
bool hp_push_try_again(hp_push_t *self, int code, const char *reason);

/* ---- files.c ---- */

/* As hp_share_open, of what is shared or set aside for the host. It holds nothing. */
void hp_push_open(hp_push_t *self, const char *path, hp_share_open_fn done);
/* Finds out what is at the paths, then begins it; a path that is not shared fails it. */
void hp_push_look(hp_push_t *self);

#endif
