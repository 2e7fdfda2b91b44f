/* The registry: every host that was ever found, with its addresses, whether it is online, and its stored file
 * list. The three ways to find hosts (scan, beacon, by hand) all end here: hp_hosts_hint() makes a candidate,
 * and a host exists once GET /hostpair at its address has answered.
 *
 * Invariants
 * 1. Loop thread only. Host pointers are valid until the next return to the loop.
 * 2. One id is one host, whatever the number of its addresses. A host has the id of a key only when a TLS
 *    handshake proved that key; its whole fingerprint is kept, and every endpoint of it expects that key. A
 *    host that speaks plain HTTP alone has the id "addr-<ip>-<port>", whatever it says.
 * 3. A host that has proven its key is never asked in plain HTTP again, and what another host says or does
 *    changes nothing of it but its addresses and its `problem`.
 * 4. A host that is kept under an id that it did not prove (a random one of hostpair 0.1, or its address)
 *    becomes the host that proves a key at its address under its name: once, with all that was kept of it.
 *    Listeners hear of it as HP_HOST_RENAMED before anything else.
 * 5. All text of other hosts in here is bounded, valid UTF-8 and still untrusted.
 */
#ifndef HP_DISCOVERY_HOSTS_H
#define HP_DISCOVERY_HOSTS_H

#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"
#include "fetch/fetch.h"
#include "path/endpoint.h"
#include "path/host_name.h"
#include "path/who.h"
#include "store/store.h"

#define HP_HOST_ID_SIZE   80 /* 32 hex digits, or "addr-..." */
#define HP_HOST_NAME_SIZE 256
#define HP_LIST_TAG_SIZE  256 /* what GET /hostpair calls "list" */

#define HP_PROTOCOL     2 /* between hosts; 1 is hostpair 0.1's */
#define HP_PROTOCOL_TLS 2 /* hosts speak TLS since then */

typedef struct hp_hosts hp_hosts_t;

/* Who this host is: the id of its key. */
typedef struct hp_self {
    char id[HP_HOST_ID_SIZE];
    char name[HP_HOST_NAME_SIZE];
    char instance[33]; /* new at every start */
    uint16_t peer_port;
} hp_self_t;

/* how it was found the first time, its name in the API and the database */
#define HP_FOUND_BY(X)                                                                                       \
    X(SCAN, "scan") X(BEACON, "beacon") X(HAND, "hand") X(MESSAGE, "message") X(GROUP, "group")
typedef enum {
#define X(name, text) HP_FOUND_##name,
    HP_FOUND_BY(X)
#undef X
} hp_found_by_t;
const char *hp_found_by_name(hp_found_by_t by);

typedef struct hp_host_address {
    hp_endpoint_t endpoint;
    int64_t answered_at; /* wall ms, 0 never */
} hp_host_address_t;

typedef struct hp_host {
    char id[HP_HOST_ID_SIZE];
    char name[HP_HOST_NAME_SIZE];
    char instance[33];
    bool pinned;                              /* its key is known: fingerprint */
    bool proven;                              /* it has proven that key */
    uint8_t fingerprint[HP_FINGERPRINT_SIZE]; /* zero unless pinned */
    char former_id[HP_HOST_ID_SIZE];          /* the last id that it had before this one; "" none */
    hp_way_t way;                             /* by which it is reached while it is online */
    char way_reason[200];                     /* why by no better one, a sentence; "" */
    hp_host_address_t *addresses;             /* the one that answered last comes first */
    size_t address_count;
    char added_as[HP_HOST_NAME_TEXT_SIZE]; /* "name:port" by which a person added it; "" none */
    bool online;
    double rtt_ms;                /* smallest of the last probes; < 0 unknown */
    int64_t clock_offset_ms;      /* theirs minus ours */
    int64_t clock_uncertainty_ms; /* half the round trip; < 0 when the offset is unknown */
    int64_t files, bytes;         /* what it says it offers; -1 unknown */
    hp_found_by_t found_by;
    int64_t last_seen; /* wall ms */
    bool blocked;      /* a person shut it out of the peer listener */
    bool paired;       /* people here and there have compared the digits (see pairing/pairing.h) */
    bool unpaired;     /* that has ended here, and the host has still to be told */
    int protocol; /* 2; 1 for hostpair 0.1; 0 for a plain web server that knows only /hostpair and /list */
    bool listed;  /* its file list is in the store */
    bool listing; /* being fetched now */
    char list_error[200]; /* why the last fetch of it failed; "" */
    char problem[400];    /* what is wrong with it, a sentence: another host answers at its address; "" */
} hp_host_t;

/* A new host is ADDED and then ONLINE. UNPAIRED: people have ended its pairing. BLOCKED comes when a host is
 * being blocked, and when a blocked one is found at a further address. RENAMED: what was known as former_id
 * is known as id from now on; if both were known, they are one now. An event is sent after the host has
 * changed. */
typedef enum {
    HP_HOST_ADDED,
    HP_HOST_CHANGED,
    HP_HOST_ONLINE,
    HP_HOST_OFFLINE,
    HP_HOST_LISTED,
    HP_HOST_REMOVED,
    HP_HOST_BLOCKED,
    HP_HOST_UNPAIRED,
    HP_HOST_RENAMED
} hp_host_event_t;

/* Loads the known hosts from the store (blocks; start-up); they are offline until they answer. self is read
 * at every use and must outlive the registry. */
int hp_hosts_create(hp_hosts_t **hosts, uv_loop_t *loop, hp_store_t *store, hp_fetcher_t *fetcher,
                    const hp_self_t *self, hp_err_t *err);
void hp_hosts_start(hp_hosts_t *hosts); /* probes the known ones and keeps probing */
/* Gives up what is under way (done functions run with UV_ECANCELED), writes what changed, then calls closed.
 * The store and the fetcher must outlive this. */
void hp_hosts_destroy(hp_hosts_t *hosts, void (*closed)(void *arg), void *arg);

/* Any number of listeners, called in the order in which they were added. */
typedef void hp_host_event_fn(void *arg, hp_host_event_t event, const hp_host_t *host);
void hp_hosts_on_event(hp_hosts_t *hosts, hp_host_event_fn *fn, void *arg);
/* The listener is not called any more. */
void hp_hosts_off_event(hp_hosts_t *hosts, hp_host_event_fn *fn, void *arg);

size_t hp_hosts_count(const hp_hosts_t *hosts);
const hp_host_t *hp_hosts_at(const hp_hosts_t *hosts, size_t index);     /* sorted by name, then id */
const hp_host_t *hp_hosts_find(const hp_hosts_t *hosts, const char *id); /* NULL unknown */

/* Something (beacon, scan, message) says that there may be a host at an endpoint: it is probed, unless it was
 * just now, or belongs to a host that answered lately. Where a beacon came from, a probe that gets no answer
 * is repeated up to three times. */
void hp_hosts_hint(hp_hosts_t *hosts, const hp_endpoint_t *at, hp_found_by_t by);

/* The same when there is reason to think that something changed there (a beacon with a new id or instance):
 * only a probe of the last two seconds holds it back. */
void hp_hosts_hint_changed(hp_hosts_t *hosts, const hp_endpoint_t *at, hp_found_by_t by);

/* As hp_hosts_hint, with done called once when it is over (never inside the call): status of the probe, 0
 * also when none was needed. */
typedef void (*hp_hosts_checked_fn)(void *arg, int status);
void hp_hosts_check(hp_hosts_t *hosts, const hp_endpoint_t *at, hp_found_by_t by, hp_hosts_checked_fn done,
                    void *arg);

/* Probes an endpoint whatever is known of it. done as above; the host that answered has the address then. */
void hp_hosts_verify(hp_hosts_t *hosts, const hp_endpoint_t *at, hp_found_by_t by, hp_hosts_checked_fn done,
                     void *arg);

/* Probes every known host now. person: a person asked, so one failed probe shows a host offline. */
void hp_hosts_probe_all(hp_hosts_t *hosts, bool person);

/* By hand. done runs once: 0 with the host and whether it is new; HP_E_UNREACHABLE or HP_E_NOT_A_HOST with
 * the words in err; HP_E_INVALID for our own address. */
typedef void (*hp_hosts_add_fn)(void *arg, int status, const hp_host_t *host, bool is_new,
                                const hp_err_t *err);
void hp_hosts_add(hp_hosts_t *hosts, const hp_endpoint_t *at, hp_hosts_add_fn done, void *arg);
/* The same by a name, whose addresses are tried one after the other, or by a numeric place. HP_E_NO_NAME too.
 * The name is kept with the host, and looked up again when its addresses stop answering. */
void hp_hosts_add_name(hp_hosts_t *hosts, const hp_host_name_t *name, hp_hosts_add_fn done, void *arg);

/* Forgets a host, its addresses and its file list. 0 or HP_E_NOT_FOUND; HP_E_CONFLICT when it is blocked or
 * paired: it would come back as one that is not. */
int hp_hosts_remove(hp_hosts_t *hosts, const char *id);

/* Shuts a host out, or lets it in again; at once, and kept over restarts. A blocked host is never forgotten
 * by itself. HP_E_NOT_FOUND at once, with done not called; else done once: 0 when it is in the database, or
 * why it cannot be stored, and then the host is as it was before. */
int hp_hosts_set_blocked(hp_hosts_t *hosts, const char *id, bool blocked,
                         void (*done)(void *arg, int status, const hp_err_t *err), void *arg);

/* What is wrong with a host, for programs: "same-key" (another process has its key), "other-answer"
 * (something else answers at its address), "claims" (something elsewhere says that it is this host); ""
 * nothing. */
const char *hp_hosts_problem_kind(const hp_hosts_t *hosts, const char *id);

/* Where a host with this one's own key was met last; "" nowhere. */
const char *hp_hosts_own_copy(const hp_hosts_t *hosts);

/* Whether the host with this id is paired. */
bool hp_hosts_is_paired(const hp_hosts_t *hosts, const char *id);

/* People have paired the host, or ended that; stored and synced. It holds once it is stored; ENDED holds at
 * once, unless it cannot be stored. HP_E_NOT_FOUND at once, with done not called; else done (or
 * NULL) once: 0, or why it cannot be stored. */
typedef enum {
    HP_PAIR_NONE,
    HP_PAIR_PAIRED,
    HP_PAIR_ENDED, /* none, and the host has still to be told */
} hp_pair_t;
int hp_hosts_set_pair(hp_hosts_t *hosts, const char *id, hp_pair_t pair,
                      void (*done)(void *arg, int status, const hp_err_t *err), void *arg);

/* Whether the sender of a request is blocked: by its proven id, wherever it comes from; without one, when its
 * address is one of a blocked host. */
bool hp_hosts_is_blocked(const hp_hosts_t *hosts, const hp_who_t *who);

/* Fetches the file list now (with If-None-Match unless force). done once; 0, HP_E_NOT_FOUND or why not. */
void hp_hosts_refresh(hp_hosts_t *hosts, const char *id, bool force,
                      void (*done)(void *arg, int status, const hp_err_t *err), void *arg);

/* ---- members of groups ---- */

/* A group says that the host with this key is a member of it; online: its hub has it connected. It is a host
 * from now on, which is reached through the group where no address of it answers. Called again when name or
 * online change. */
void hp_hosts_member(hp_hosts_t *hosts, const uint8_t fingerprint[HP_FINGERPRINT_SIZE], const char *name,
                     bool online);
/* It is in no group any more. */
void hp_hosts_member_gone(hp_hosts_t *hosts, const char *id);
/* By which way a member is reached through the group now, and why by no better one (a sentence, or "").
 * proven: a connection to it stands; one that was taken for offline is asked at once. */
void hp_hosts_set_way(hp_hosts_t *hosts, const char *id, hp_way_t way, const char *reason, bool proven);
/* A list that the host left for others while it is away, as GET /list gives it in JSON lines; text is freed.
 * Where a list of the host is being fetched, it waits for the end of that. done is called once, perhaps
 * inside the call: 0 when the list is kept; HP_E_NOT_FOUND; HP_E_BUSY when the host is there. */
void hp_hosts_take_list(hp_hosts_t *hosts, const char *id, char *text, size_t length,
                        void (*done)(void *arg, int status, const hp_err_t *err), void *arg);

/* Something waits for this host: while it is offline it is probed every 10 s instead of every 60 s. Counted
 * by kind: each caller's last word holds. */
typedef enum { HP_WAIT_DOWNLOAD, HP_WAIT_MESSAGE } hp_wait_kind_t;
void hp_hosts_set_waiting(hp_hosts_t *hosts, const char *id, hp_wait_kind_t kind, bool waiting);

/* There may be something new at a host that is online, or a person looks at it: it is probed now, or when
 * times.again has passed since it was last, and its list fetched if it is another one. */
void hp_hosts_look(hp_hosts_t *hosts, const char *id);

/* A host told that its list is called so now (see HP_LIST_TAG_SIZE): looked at when it is another one than it
 * was when the host was last asked. Only a hint, and one about the addresses that are known. */
void hp_hosts_heard_list(hp_hosts_t *hosts, const char *id, const char *list);

/* Another part talked to the host just now and it answered (true) or did not (false): counts as a sign of
 * life, or makes a probe due. */
void hp_hosts_report(hp_hosts_t *hosts, const char *id, bool alive);

/* The port that probes say we listen on, so that the other side gets to know us, too; 0, as at first: they do
 * not say. */
#define HP_PROBE_PORT_HEADER "Hostpair-Port"
void hp_hosts_set_announce(hp_hosts_t *hosts, uint16_t port);

/* The port at which other hosts reach this one, when it is not self->peer_port; 0: it is. */
void hp_hosts_set_port(hp_hosts_t *hosts, uint16_t port);
uint16_t hp_hosts_port(const hp_hosts_t *hosts);

/* A question to a host, which hears at which port this one is reached. The times are those of
 * hp_fetch_options_t. */
typedef struct hp_hosts_question {
    const char *method, *path;
    const char *body;   /* JSON; NULL: none */
    const char *header; /* a further "Name: value"; NULL */
    unsigned address;   /* at which of the host's addresses, counted round */
    uint64_t reply_max; /* bytes */
    unsigned connect_ms, stall_ms, total_ms;
} hp_hosts_question_t;
/* host has an address. done as of hp_fetch_get; the registry may end meanwhile. */
hp_fetch_t *hp_hosts_ask(hp_hosts_t *hosts, const hp_host_t *host, const hp_hosts_question_t *question,
                         hp_fetch_reply_fn done, void *arg);

/* How long things take, ms. Tests set shorter ones before start. */
typedef struct hp_hosts_times {
    unsigned silent;  /* an online host is probed after so long without a sign of life: 90 s */
    unsigned retry;   /* between the two failed probes that show it offline: 2 s */
    unsigned offline; /* between probes of an offline host: 60 s */
    unsigned waiting; /* the same when something waits for it: 10 s */
    unsigned again; /* a hint about an address is heeded once in: 2 s, where nothing answered 10 s (five times
                       as long) */
    unsigned list;  /* between looks whether an online host's file list is still right: 300 s */
    unsigned list_long;       /* a list that takes longer makes room for another host's: 5 s */
    unsigned hashing;         /* between probes of a host that is hashing its files, and at least between two
                                 fetches of its list when only roots became known: 30 s */
    unsigned hashing_waiting; /* the same when something waits for it: 10 s */
} hp_hosts_times_t;
void hp_hosts_set_times(hp_hosts_t *hosts, const hp_hosts_times_t *times);

#endif
