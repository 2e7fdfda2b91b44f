/* What the sources of the registry share: hosts.c (the hosts themselves), tries.c (probes of addresses),
 * answers.c (which host an answer belongs to), watch.c (which hosts are online), lists.c (when file lists are
 * fetched). Loop thread. */
#ifndef HP_DISCOVERY_INTERNAL_H
#define HP_DISCOVERY_INTERNAL_H

#include "base/options.h"
#include "base/retry.h"
#include "base/signal.h"
#include "db/host.h"
#include "path/endpoint.h"
#include "discovery/file_list.h"
#include "discovery/hosts.h"
#include "discovery/probe.h"

#define HP_HOSTS_MAX          1024 /* then the one that has been offline for longest makes room */
#define HP_HOSTS_PER_ADDRESS  16   /* hosts at one address, at different ports */
#define HP_HOST_ADDRESSES_MAX HP_HOST_ROW_ADDRESSES
#define HP_HOST_SAMPLES       8
#define HP_HOST_FORMER        4   /* addresses that another host has taken over, and that are asked again */
#define HP_HOSTS_RECENT       512 /* addresses without a host that were probed lately */
#define HP_HOSTS_TRIES        64  /* probes at a time */
#define HP_HOSTS_TRIES_QUEUED 8192
#define HP_NEVER              UINT64_MAX

/* What answered at one address of a host, and when: two instances that answer in turns are two hosts. Not
 * kept over restarts. */
typedef struct hp_seen {
    char instance[33];
    uint64_t since, last; /* numbers of the first and the last answer of this instance here; 0 none */
    uint64_t at;          /* time of the last one, monotonic ms */
} hp_seen_t;

typedef struct hp_sample {
    double rtt_ms;
    int64_t offset_ms, uncertainty_ms; /* uncertainty < 0: no offset */
} hp_sample_t;

/* What may be wrong with a host. */
typedef enum {
    HP_PROBLEM_NONE,
    HP_PROBLEM_COPY,   /* another process has the same key */
    HP_PROBLEM_ANSWER, /* at its address something answers that is not it */
    HP_PROBLEM_CLAIM   /* something elsewhere says that it is this host, and has another key */
} hp_problem_kind_t;

typedef struct hp_list_waiter {
    void (*done)(void *arg, int status, const hp_err_t *err);
    void *arg;
    struct hp_list_waiter *next;
} hp_list_waiter_t;

typedef struct hp_host_entry {
    hp_host_t pub;
    hp_host_address_t addresses[HP_HOST_ADDRESSES_MAX]; /* pub.addresses */
    hp_seen_t seen[HP_HOST_ADDRESSES_MAX];              /* of the same index */
    hp_host_address_t former[HP_HOST_FORMER];           /* where another host answers now; newest first */
    size_t former_count;
    hp_sample_t samples[HP_HOST_SAMPLES];
    unsigned sample_count, sample_next;
    int64_t first_seen;
    bool name_looked_up; /* just now */
    bool waiting[2];     /* by hp_wait_kind_t */
    unsigned told_here;  /* a hub said that it is here: so many probes more come soon after one another */
    hp_way_t member_way; /* by which its group reaches it now */
    uint64_t way_at;     /* ms, when a direct one was proven last */
    bool dirty;
    bool stored_blocked;   /* pub.blocked as the database has it */
    unsigned block_orders; /* of a person, to block it or not, that are not stored yet */

    /* watching (watch.c, answers.c) */
    uint64_t heard_at;                    /* last sign of life, 0 never */
    uint64_t answered_at;                 /* last answer to a probe, 0 never */
    bool hashing;                         /* it said that some of its files have no root yet */
    uint64_t probe_at;                    /* when the next round is due */
    uint64_t round_at;                    /* when the last round began, 0 never */
    uint64_t round_number, answer_number; /* of the last answer of anybody then, and of this host */
    unsigned failures;                    /* rounds without an answer since the last one with */
    uint64_t failed_at;                   /* when the first of them ended */
    unsigned round_left;                  /* probes of the present round that are under way; 0: no round */
    bool round_person;                    /* a person waits for its result */
    bool maybe_changed;                   /* there may be something that the last answer did not tell */
    bool round_answered;
    bool round_all; /* all addresses are being tried, not only the first */
    struct {
        hp_endpoint_t at;
        char instance[33];
        uint64_t last; /* its last answer; 0: there is none */
    } rival;           /* another host that uses the same key */
    struct {
        hp_problem_kind_t kind;
        hp_endpoint_t at;    /* where it shows */
        uint64_t last;       /* when it was last seen */
    } problem;               /* whose sentence is pub.problem */
    hp_endpoint_t broke_off; /* where the last handshake broke off; port 0: it did not */
    bool tls_hangs;          /* TLS timed out here: asked in plain at once, most often */
    unsigned plain_tries;    /* since then */

    /* the file list (lists.c) */
    hp_file_list_t *list;
    uint64_t list_at; /* when to look again; HP_NEVER */
    uint64_t list_started;
    hp_retry_t list_retry;
    bool list_force;
    bool list_waits;                  /* for a place among those that are fetched */
    int64_t list_files, list_bytes;   /* what the host offered when the list was fetched */
    char list_tag[HP_LIST_TAG_SIZE];  /* of the list that is stored; "" none */
    bool list_seen;                   /* a probe was answered while the list was being fetched */
    char list_told[HP_LIST_TAG_SIZE]; /* what the last probe was told that it is now; "" nothing */
    uint64_t list_took;               /* ms, the last fetch that brought a list */
    hp_list_waiter_t *list_waiters;   /* for the next fetch */
    struct hp_listing *listing;       /* the present one */
} hp_host_entry_t;

typedef void (*hp_try_fn)(void *arg, int status, hp_host_entry_t *host, bool is_new, const hp_err_t *err);

typedef struct hp_try_waiter {
    hp_try_fn done;
    void *arg;
    struct hp_try_waiter *next;
} hp_try_waiter_t;

/* A probe of an endpoint, shared by all that ask for it. */
typedef struct hp_try {
    hp_hosts_t *hosts;
    hp_endpoint_t at;
    hp_found_by_t by;
    hp_probe_t *probe; /* NULL while it waits for its turn */
    bool decided;      /* there is nothing to probe: status is the answer */
    int status;
    hp_err_t err;
    hp_try_waiter_t *waiters;
    struct hp_try *next;
} hp_try_t;

typedef struct hp_recent {
    hp_endpoint_t where; /* port 0: this place is free */
    uint64_t at;
    bool self;         /* it is this host */
    unsigned retries;  /* since the last beacon from there */
    uint64_t retry_at; /* 0: none is due */
} hp_recent_t;

struct hp_hosts {
    uv_loop_t *loop;
    hp_store_t *store;
    hp_fetcher_t *fetcher;
    struct hp_lookups *lookups;
    const hp_self_t *self;
    hp_hosts_times_t times;
    uv_timer_t timer;
    bool started, closing;
    uint16_t announce; /* port; 0: not */
    uint16_t port;     /* where others reach us; 0: self->peer_port */
    void (*closed)(void *arg);
    void *closed_arg;
    hp_pending_t pending; /* jobs of the store, tries, lists that are fetched */

    HP_SIGNAL(hp_host_event_fn) event;

    uint64_t answers;        /* counts them */
    hp_host_entry_t **items; /* sorted by name, then id */
    size_t count, room;
    size_t blocked; /* of them; most often none, which makes every request cheap to judge */
    HP_ARRAY(hp_host_entry_t *) removed; /* freed when the loop comes round */

    hp_try_t *tries; /* under way and waiting, oldest first */
    unsigned try_count, trying;
    hp_recent_t recent[HP_HOSTS_RECENT];
    size_t recent_next;
    uint64_t retry_at;                 /* the earliest of recent, or earlier; HP_NEVER */
    bool decided;                      /* some try is, and waits for the timer */
    char copy_logged[HP_ADDRESS_SIZE]; /* the last host with our own id that was reported */
    bool full_logged;

    unsigned listing; /* lists being fetched */
    bool sweeping;
};

/* ---- hosts.c ---- */

hp_host_entry_t *hp_hosts_entry(const hp_hosts_t *hosts, const char *id);
/* The host that has this address, and where in its list; NULL. */
hp_host_entry_t *hp_hosts_entry_at(const hp_hosts_t *hosts, const hp_endpoint_t *at, size_t *index);
/* A new host without addresses; NULL when there is no room for one more at that address, or in all. */
hp_host_entry_t *hp_hosts_new_entry(hp_hosts_t *hosts, const char *id, const char *name,
                                    const hp_endpoint_t *at);
/* The same without asking for room. */
hp_host_entry_t *hp_hosts_make_entry(hp_hosts_t *hosts, const char *id, const char *name);
void hp_hosts_remove_entry(hp_hosts_t *hosts, hp_host_entry_t *host);
void hp_hosts_rename(hp_hosts_t *hosts, hp_host_entry_t *host, const char *name);
/* Another id: the list stays in order. */
void hp_hosts_set_id(hp_hosts_t *hosts, hp_host_entry_t *host, const char *id);
/* Its key is known from now on: its endpoints expect it. */
void hp_hosts_pin(hp_host_entry_t *host, const uint8_t fingerprint[HP_FINGERPRINT_SIZE]);
/* Takes a host out of the list without a word. It is freed when the loop comes round. */
void hp_hosts_retire(hp_hosts_t *hosts, hp_host_entry_t *host);
void hp_hosts_emit(hp_hosts_t *hosts, hp_host_event_t event, const hp_host_entry_t *host);
/* The index of the address in the host's list, added at the end when it is new (the oldest makes room). */
size_t hp_hosts_add_address(hp_host_entry_t *host, const hp_endpoint_t *at);
void hp_hosts_drop_address(hp_host_entry_t *host, size_t index);
/* Drops the address because another host has it. It is asked there again when it answers nowhere else. */
void hp_hosts_lose_address(hp_host_entry_t *host, size_t index);
void hp_hosts_prefer_address(hp_host_entry_t *host, size_t index);
/* Sets the timer to what is due next. */
void hp_hosts_schedule(hp_hosts_t *hosts);

/* ---- host_rows.c ---- */

void hp_hosts_save(hp_hosts_t *hosts, hp_host_entry_t *host);
/* What is kept of a host is kept under another id from now on, together with what is kept there. */
void hp_hosts_move_rows(hp_hosts_t *hosts, const char *old, const char *id);
/* Removes what is kept of a host, and its list. */
void hp_hosts_forget(hp_hosts_t *hosts, const hp_host_entry_t *host);
/* Makes an entry of every host that is kept. Blocks; start-up. */
int hp_hosts_load(hp_hosts_t *hosts, hp_err_t *err);

/* ---- names.c ---- */

/* None of its addresses answers: the name that it was added by is looked up again. */
void hp_names_look_again(hp_hosts_t *hosts, hp_host_entry_t *host);

/* ---- members.c ---- */

/* It has answered at this place. */
void hp_member_note_way(hp_host_entry_t *host, size_t index);

/* ---- tries.c ---- */

/* An address of a host that is tried by itself. */
typedef struct address_try {
    hp_hosts_t *hosts;
    char id[HP_HOST_ID_SIZE];
    hp_endpoint_t at;
} hp_address_try_t;

/* For the caller to free. */
hp_address_try_t *hp_address_try_make(hp_hosts_t *hosts, const hp_host_entry_t *host,
                                      const hp_endpoint_t *at);

/* Probes an endpoint; waits for the probe that is under way there already. done runs once, never inside the
 * call. */
void hp_hosts_try(hp_hosts_t *hosts, const hp_endpoint_t *at, hp_found_by_t by, hp_try_fn done, void *arg);
/* A done function for when only the registry is to learn from a try. */
void hp_tries_ignore(void *arg, int status, hp_host_entry_t *host, bool is_new, const hp_err_t *err);
/* Tries again what a beacon told of and what did not answer. */
void hp_tries_retry(hp_hosts_t *hosts, uint64_t now);
/* Ends the tries that need no probe. */
void hp_tries_finish_decided(hp_hosts_t *hosts);
/* Cancels the probes; what has not begun is decided: canceled. */
void hp_tries_stop(hp_hosts_t *hosts);

/* An address without a host, among those that were tried lately; NULL. */
hp_recent_t *hp_recent_find(hp_hosts_t *hosts, const hp_endpoint_t *at);
void hp_recent_note(hp_hosts_t *hosts, const hp_endpoint_t *at, bool self);

/* ---- answers.c ---- */

/* Takes what answered at an endpoint. 0 with the host that it is, or why it is none. */
int hp_answer_accept(hp_hosts_t *hosts, const hp_probe_answer_t *answer, const hp_endpoint_t *at,
                     hp_found_by_t by, hp_host_entry_t **out, bool *is_new, hp_err_t *err);
void hp_answer_forget_rival(hp_host_entry_t *host);
void hp_hosts_log(hp_log_level_t level, const hp_host_entry_t *host, const char *what, const char *where);

/* What answers at a place is no host, or not the one that it says: the hosts that this concerns say so. */
void hp_answer_refused(hp_hosts_t *hosts, const hp_endpoint_t *at, int status,
                       const hp_probe_answer_t *answer);
/* How a place may be asked: in plain HTTP only where no host is known that has proven its key. */
hp_probe_mode_t hp_answer_mode(hp_hosts_t *hosts, const hp_endpoint_t *at);

/* ---- problem.c ---- */

/* text: a sentence. */
void hp_problem_set(hp_hosts_t *hosts, hp_host_entry_t *host, hp_problem_kind_t kind, const hp_endpoint_t *at,
                    const char *text);
/* The host has proven itself at a place: whatever else answered there is gone. */
void hp_problem_settle(hp_host_entry_t *host, const hp_endpoint_t *at);
void hp_problem_clear(hp_host_entry_t *host);
/* Forgets what was not seen for long. */
void hp_problem_expire(hp_hosts_t *hosts, hp_host_entry_t *host, uint64_t now);

/* ---- become.c ---- */

/* Whether the host that answered is the one that is kept as `old`, under an id that it never proved. */
bool hp_hosts_is_successor(const hp_host_entry_t *old, const hp_probe_answer_t *answer,
                           const hp_host_entry_t *known);
/* All that is kept of old belongs to the host that answered from now on; known is what is known of that one,
 * or NULL. Returns its entry; old may be gone. */
hp_host_entry_t *hp_hosts_become(hp_hosts_t *hosts, hp_host_entry_t *old, const hp_probe_answer_t *answer,
                                 hp_host_entry_t *known);

/* ---- watch.c ---- */

/* How long to leave a host alone whose list changes all the time because it is hashing. */
uint64_t hp_watch_hashing_pause(const hp_hosts_t *hosts, const hp_host_entry_t *host);
/* When a host that answers is to be asked again. */
uint64_t hp_watch_probe_at(const hp_hosts_t *hosts, const hp_host_entry_t *host);
/* Its list shows that it is hashing: the next probe comes sooner. */
void hp_watch_set_hashing(hp_hosts_t *hosts, hp_host_entry_t *host);
/* Begins a round of probes unless one is under way. */
void hp_watch_round(hp_hosts_t *hosts, hp_host_entry_t *host, bool person);
void hp_watch_tick(hp_hosts_t *hosts, hp_host_entry_t *host, uint64_t now);

/* ---- lists.c ---- */

void hp_lists_tick(hp_hosts_t *hosts, hp_host_entry_t *host, uint64_t now);
/* The host answered a probe. */
void hp_lists_seen(hp_hosts_t *hosts, hp_host_entry_t *host, bool came_online);
/* The host goes: its fetch ends, its waiters are told, its rows are marked. */
void hp_lists_forget(hp_hosts_t *hosts, hp_host_entry_t *host);
void hp_lists_sweep(hp_hosts_t *hosts);
void hp_lists_stop(hp_hosts_t *hosts, hp_host_entry_t *host);

#endif
