/* The inbox: files that others want to give to this host. A sender (a browser on the guest page, a LocalSend
 * program, another host) makes an offer; a person, or the settings, accept or decline it; the sender then
 * brings each file in pieces, which land in the downloads folder.
 *
 *   sender   hp_inbox_offer, then hears by hp_inbox_on_event what was decided, hp_inbox_write for each piece,
 *            hp_inbox_cancel
 *   person   hp_inbox_count and hp_inbox_at, hp_inbox_accept, hp_inbox_decline, hp_inbox_cancel
 *
 * Invariants
 * 1. Loop thread only. Disk work runs in the pool, SQL in the store's thread.
 * 2. What was accepted is committed before anybody hears of it. From then on it survives a restart: a sender
 *    that comes back with the token goes on where it stopped.
 * 3. A file has its name only when it is whole, synced, and agrees with the SHA-256 that came with the offer.
 *    Until then it is a part file. No file is overwritten: a taken name gets a number.
 * 4. `received` counts bytes that a restart keeps; what came after the last sync may have to come again.
 * 5. Who makes offers that nobody accepts has to wait before the next one (HP_INBOX_REFUSED_OF), unless it is
 * a paired host; one acceptance ends that. Such offers never push out what was accepted.
 * 6. Part files of a transfer that was cancelled or given up are removed; finished files always stay.
 */
#ifndef HP_INBOX_INBOX_H
#define HP_INBOX_INBOX_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <uv.h>

#include "base/err.h"
#include "base/incoming.h"
#include "store/store.h"

#define HP_INBOX_FILES_MAX   10000 /* of one offer */
#define HP_INBOX_WAITING_MAX 20    /* offers that nobody has answered */
#define HP_INBOX_WAITING_OF  2     /* of one host or address */
#define HP_INBOX_RUNNING_MAX 100   /* transfers that are being received */
#define HP_INBOX_RUNNING_OF  20    /* of one host or address */
#define HP_INBOX_ASK_MS      60000 /* nobody answers: declined */
#define HP_INBOX_REFUSED_OF  10    /* offers of an address that ended without being accepted */
#define HP_INBOX_REFUSED_ALL 60    /* and of all, within HP_INBOX_REFUSED_MS */
#define HP_INBOX_REFUSED_MS  (10 * 60 * 1000)
#define HP_INBOX_KEPT        200                 /* accepted transfers that are over and remembered */
#define HP_INBOX_KEPT_ASKED  20                  /* offers that nobody accepted and that are remembered */
#define HP_INBOX_KEPT_FILES  100                 /* files of each of those */
#define HP_INBOX_KEPT_BYTES  ((size_t)32 * 1024) /* of the names of these files */
#define HP_INBOX_GIVE_UP_MS  (24 * 3600 * 1000)  /* no byte came for so long: failed */
#define HP_INBOX_TOKEN_SIZE  33
#define HP_INBOX_TEXT_MAX    200        /* bytes of a sender's name, of a file's id and type */
#define HP_INBOX_PREVIEW_MAX 500        /* bytes of the preview of a text */
#define HP_INBOX_PICTURES    20         /* previews of pictures that are kept of one offer */
#define HP_INBOX_ANY_SIZE    UINT64_MAX /* the sender does not know how long a file is */

typedef struct hp_inbox hp_inbox_t;

typedef enum {
    HP_RECEIVE_ASK,
    HP_RECEIVE_PAIRED, /* paired hosts at once, others are asked about */
    HP_RECEIVE_EVERYONE,
    HP_RECEIVE_OFF,
} hp_receive_t;

typedef struct hp_inbox_settings {
    hp_receive_t receive;
    const char *pin;              /* "": none is asked for. Paired hosts need none */
    const char *downloads_folder; /* absolute */
} hp_inbox_settings_t;

/* ---- what a sender says ---- */

typedef struct hp_inbox_offer_file {
    const char *id;      /* the sender's, unique in the offer */
    const char *name;    /* may lead through folders: "holiday/1.jpg" */
    const char *type;    /* media type; NULL: by the name, as always of what is fetched from a host */
    const char *sha256;  /* 64 hex digits; NULL */
    const char *preview; /* of a text file: UTF-8, of which HP_INBOX_PREVIEW_MAX bytes are kept; of a picture
                            or a film: see picture.h. What is neither is left out; NULL */
    uint64_t size;       /* bytes, or HP_INBOX_ANY_SIZE */
    int64_t modified_ms; /* wall clock, when it was changed at the sender; 0 unknown */
    bool folder;         /* of a host: a folder with everything below it, size bytes in all */
} hp_inbox_offer_file_t;

typedef struct hp_inbox_offer {
    hp_sender_kind_t kind;
    const char *name;    /* of the sender, as it says; "" or NULL: its address */
    const char *address; /* numeric */
    const char *host;    /* its proven id; NULL */
    const char *pin;     /* NULL: none was given */
    const char *token;   /* of a proven host, that offers again where the answer was lost: as of
                            hp_inbox_body_t. NULL: any */
    const hp_inbox_offer_file_t *files;
    size_t count;
    bool more; /* files may follow by hp_inbox_add_file, until hp_inbox_no_more; it cannot go on after a
                  restart */
} hp_inbox_offer_t;

/* ---- what everybody sees ---- */

typedef struct hp_incoming_file {
    const char *id, *name, *type;
    /* What the sender says that is in it, a stranger's; "": nothing, or the offer was answered. */
    const char *preview; /* of a text */
    const char *picture; /* of a picture or a film: a data URL (picture.h) */
    bool folder;         /* with everything below it */
    uint64_t size;       /* or HP_INBOX_ANY_SIZE */
    uint64_t received;   /* bytes from its start: where the sender goes on */
    bool wanted;         /* true until a person accepts without it */
    bool done;
    const char *path; /* where it landed, below base; "" until then */
} hp_incoming_file_t;

/* Valid until the next return to the loop. */
typedef struct hp_incoming {
    int64_t id;
    const char *token; /* which only the sender knows */
    hp_sender_kind_t kind;
    const char *name, *address;
    const char *host; /* "": not proven */
    hp_incoming_state_t state;
    const char *reason;              /* why it is over, or does not go on; a sentence, "" */
    const char *base, *folder;       /* where it lands; "" while asking */
    int64_t created_at, finished_at; /* wall ms; 0: not over */
    size_t file_count;               /* in the offer; of what is over fewer may be known */
    size_t known_count;              /* that hp_incoming_file_at knows */
    size_t wanted_count, done_count;
    uint64_t size, done_bytes; /* of the wanted files whose size is known; of all */
} hp_incoming_t;

/* ---- life ---- */

/* Loads what is on record (blocks; start-up). `is_paired` says whether a person has paired the host of a
 * proven id. */
typedef struct hp_inbox_deps {
    uv_loop_t *loop;
    hp_store_t *store;
    bool (*is_paired)(void *arg, const char *host);
    void *arg;
    unsigned ask_ms; /* 0: HP_INBOX_ASK_MS */
} hp_inbox_deps_t;
int hp_inbox_create(hp_inbox_t **inbox, const hp_inbox_deps_t *deps, const hp_inbox_settings_t *settings,
                    hp_err_t *err);
/* How this host fetches what another host offers: the files of HP_SENDER_HOSTPAIR are not brought, their ids
 * are paths of that host's share, and end in their names. A file that has more bytes than were offered fails.
 * What lands can be run here only if the host is paired. */
/* existing: there was that download already, by whomever it was ordered. */
typedef void (*hp_inbox_ordered_fn)(void *arg, int status, int64_t download, bool existing,
                                    const hp_err_t *err);
typedef struct hp_inbox_order {
    const char *host, *path;
    const char *to; /* the folder where it lands */
    bool folder;    /* path is one */
    uint64_t most;  /* bytes that were agreed to; HP_INBOX_ANY_SIZE: not said */
    bool may_run;   /* what the host's owner may run may be run here */
} hp_inbox_order_t;
typedef struct hp_inbox_orders {
    /* Orders a download; the texts are copied. done runs once, later or inside the call. */
    void (*order)(void *arg, const hp_inbox_order_t *order, hp_inbox_ordered_fn done, void *done_arg);
    /* hp_inbox_download is to be told how it stands now, later or inside the call. */
    void (*look)(void *arg, int64_t download);
    /* Nobody wants it any more: only of one that the inbox ordered, and that nobody else waits for. */
    void (*drop)(void *arg, int64_t download);
    void *arg;
} hp_inbox_orders_t;
/* Goes on with what was accepted earlier. Without it nothing of another host is fetched. */
void hp_inbox_start(hp_inbox_t *self, const hp_inbox_orders_t *orders);

typedef struct hp_inbox_download {
    int64_t id;
    enum { HP_FETCHING, HP_FETCHED, HP_FETCH_FAILED } state;
    bool size_known;
    uint64_t size, done_bytes;
    const char *path;   /* where it landed, when fetched */
    const char *reason; /* a sentence, when failed */
} hp_inbox_download_t;
/* Whether hp_inbox_download is interested in this one. */
bool hp_inbox_follows(const hp_inbox_t *self, int64_t download);
void hp_inbox_download(hp_inbox_t *self, const hp_inbox_download_t *now);
/* A person here has ordered the same: it stays whatever becomes of a transfer, and has no bound. */
void hp_inbox_download_wanted(hp_inbox_t *self, int64_t download);
/* Bytes that this download may have, as far as the inbox ordered it; UINT64_MAX: any number. */
uint64_t hp_inbox_download_most(const hp_inbox_t *self, int64_t download);

/* Copies the texts. Takes effect for offers from now on. */
void hp_inbox_set(hp_inbox_t *self, const hp_inbox_settings_t *settings);
/* Whether offers are taken at all, and whether those who are not paired have to give a PIN. */
bool hp_inbox_takes(const hp_inbox_t *self);
bool hp_inbox_wants_pin(const hp_inbox_t *self);
/* The PIN of somebody at this address who is not paired: 0; HP_E_PIN; HP_E_TOO_MANY after wrong ones, with
 * the seconds to wait. pin: NULL none. */
int hp_inbox_check_pin(hp_inbox_t *self, const char *address, const char *pin, unsigned *retry_after_s,
                       hp_err_t *err);
/* Every write under way is answered; then calls closed. */
void hp_inbox_destroy(hp_inbox_t *self, void (*closed)(void *arg), void *arg);

/* A transfer has changed: its state, or how much of it is here. It is gone (forgotten) when hp_inbox_get does
 * not find it. */
typedef void hp_inbox_event_fn(void *arg, int64_t id);
void hp_inbox_on_event(hp_inbox_t *self, hp_inbox_event_fn *fn, void *arg);
void hp_inbox_off_event(hp_inbox_t *self, hp_inbox_event_fn *fn, void *arg);

/* Newest first. */
/* Bytes of pieces that came since the start, and the speed over the last seconds. What is fetched from
 * another host is a download's, and not in them. */
uint64_t hp_inbox_bytes(const hp_inbox_t *self);
uint64_t hp_inbox_speed_bps(const hp_inbox_t *self);

size_t hp_inbox_count(const hp_inbox_t *self);
void hp_inbox_at(const hp_inbox_t *self, size_t index, hp_incoming_t *info);
bool hp_inbox_get(const hp_inbox_t *self, int64_t id, hp_incoming_t *info);
bool hp_inbox_by_token(const hp_inbox_t *self, const char *token, hp_incoming_t *info);
/* Files by their place in the offer. false: there is no such file. */
bool hp_inbox_file_at(const hp_inbox_t *self, int64_t id, size_t index, hp_incoming_file_t *info);
/* The index of the file that the sender calls so; SIZE_MAX: none. */
size_t hp_inbox_file_find(const hp_inbox_t *self, int64_t id, const char *file);

/* ---- the sender ---- */

/* 0 with the id: it is asking now; the event tells what becomes of it, also when the settings accept it at
 * once. HP_E_FORBIDDEN: nothing is received (setting "off"); HP_E_PIN: the PIN is missing or wrong;
 * HP_E_TOO_MANY: wrong PINs, too many offers that wait or that nobody accepted (retry_after_s, which may be
 * NULL, says how long to wait); HP_E_INVALID, HP_E_BAD_NAME, HP_E_TOO_LARGE naming the file. Texts are
 * copied. An offer whose token is known is the one that it was, with its id, whatever became of it;
 * HP_E_CONFLICT: it is another host's. */
int hp_inbox_offer(hp_inbox_t *self, const hp_inbox_offer_t *offer, int64_t *id, unsigned *retry_after_s,
                   hp_err_t *err);

/* One more file of a transfer that is being received: a form says what it brings only by and by. 0 with its
 * index; errors as above, HP_E_CONFLICT when it is not being received. */
int hp_inbox_add_file(hp_inbox_t *self, int64_t id, const hp_inbox_offer_file_t *file, size_t *index,
                      hp_err_t *err);

/* The sender has said all; of an offer with `more`. 0, HP_E_NOT_FOUND, HP_E_CONFLICT: it is over. */
int hp_inbox_no_more(hp_inbox_t *self, int64_t id, hp_err_t *err);

typedef struct hp_inbox_piece {
    void *data; /* from malloc, taken, also when the write fails; NULL with length 0 */
    size_t length;
    uint64_t offset; /* where it belongs; at most `received` */
    bool last;       /* of a file of HP_INBOX_ANY_SIZE: ends it */
} hp_inbox_piece_t;

/* Takes a piece; one write a file at a time. The one that makes the file whole finishes it, and the last file
 * the transfer; an empty file is one empty piece. done runs once, perhaps inside the call: 0 with the file as
 * it is now; HP_E_NOT_FOUND; HP_E_CONFLICT: not being received, not wanted, a gap (err says where to go on),
 * or another write; HP_E_TOO_LARGE: more bytes than were offered; HP_E_WRONG_DIGEST: it does not agree with
 * the SHA-256, and begins at byte 0 again; HP_E_NO_SPACE and system codes: the transfer waits, the same piece
 * may come again. */
typedef void (*hp_inbox_written_fn)(void *arg, int status, const hp_incoming_file_t *file,
                                    const hp_err_t *err);
void hp_inbox_write(hp_inbox_t *self, int64_t id, size_t file, const hp_inbox_piece_t *piece,
                    hp_inbox_written_fn done, void *arg);

/* ---- a person; hp_inbox_cancel also the sender ---- */

typedef struct hp_inbox_choice {
    const char *const *files; /* ids of those that are wanted; NULL: all */
    size_t count;
    const char *to; /* a folder below the downloads folder; NULL: "Received/<sender>" */
} hp_inbox_choice_t;

/* done runs once, perhaps inside the call: 0 once it is committed; HP_E_NOT_FOUND; HP_E_CONFLICT: it is not
 * asking any more; HP_E_INVALID: a file that is not in the offer, none at all, a bad folder; HP_E_NO_SPACE:
 * the disk has not room for it, and it goes on asking. */
typedef void (*hp_inbox_done_fn)(void *arg, int status, const hp_err_t *err);
void hp_inbox_accept(hp_inbox_t *self, int64_t id, const hp_inbox_choice_t *choice, hp_inbox_done_fn done,
                     void *arg);
/* 0, HP_E_NOT_FOUND, HP_E_CONFLICT: it is not asking. */
int hp_inbox_decline(hp_inbox_t *self, int64_t id, hp_err_t *err);
/* The reason where a person here cancels. */
#define HP_INBOX_CANCELLED_HERE "It was cancelled here"
/* Ends what is asking or being received. reason: a sentence that says who did. 0, HP_E_NOT_FOUND,
 * HP_E_CONFLICT: it is over. */
int hp_inbox_cancel(hp_inbox_t *self, int64_t id, const char *reason, hp_err_t *err);
/* The same, as failed: the sender cannot go on. */
int hp_inbox_fail(hp_inbox_t *self, int64_t id, const char *reason, hp_err_t *err);

#endif
