/* What the files of server/inbox share: a transfer, its files, and the owner of all. */
#ifndef HP_INBOX_INTERNAL_H
#define HP_INBOX_INTERNAL_H

#include "base/array.h"
#include "base/list.h"
#include "base/path.h"
#include "base/pending.h"
#include "base/rate.h"
#include "base/signal.h"
#include "db/incoming.h"
#include "inbox/guesses.h"
#include "inbox/inbox.h"
#include "transfer/meter.h"

typedef struct hp_inbox_item hp_inbox_item_t;

typedef struct hp_inbox_file {
    char *id, *name, *type;
    char *sha256;            /* NULL */
    char *preview, *picture; /* NULL; gone when the offer is answered */
    char *path;              /* NULL until it is done */
    char *part;              /* name of the part file; NULL */
    uint64_t inode, size;
    int64_t modified_ms;           /* at the sender; 0 unknown, as after a restart: it is on no record */
    uint64_t received;             /* bytes in the part file; below size until it is done */
    uint64_t synced;               /* of them, that are on the disk */
    uint64_t recorded;             /* of them, that are on record */
    uint64_t reserved;             /* as hp_part_reserve says; 0: not asked since the start */
    struct hp_inbox_write *behind; /* a write that waits until more is on record; NULL */
    hp_err_t *unrecorded; /* why more could not be put on record, for whoever brings the next piece; NULL */
    bool recording;       /* `synced` is being put on record */
    bool wanted, done, folder;
    bool busy;   /* a write or an order is under way */
    bool landed; /* it is under its name, and that could not be put on record: the next piece tries again */
    bool failed; /* its download has */
    int64_t download;
    bool shared;     /* the download is not (only) this transfer's */
    uint64_t agreed; /* bytes of a download, as they were offered; HP_INBOX_ANY_SIZE */
} hp_inbox_file_t;

struct hp_inbox_item {
    hp_link_t link;
    hp_inbox_t *inbox;
    int64_t id;
    char token[HP_INBOX_TOKEN_SIZE];
    hp_sender_kind_t kind;
    char *name, *address, *host; /* host: "" */
    char *base, *folder;         /* "" */
    hp_incoming_state_t state;
    char *reason;
    int64_t created_at, finished_at;
    size_t file_count; /* in the offer */
    HP_ARRAY(hp_inbox_file_t) files;
    hp_db_incoming_sums_t rest;  /* of the files that are not kept any more: it is over */
    uint64_t asked_ms, moved_ms; /* hp_clock_ms: when it was offered, when a byte came last */
    bool deciding;               /* accepted, and not committed yet */
    bool more;                   /* files may follow */
    unsigned jobs;               /* writes and others that hold a pointer to it */
};

struct hp_inbox {
    hp_inbox_deps_t deps;
    hp_inbox_orders_t orders;
    hp_receive_t receive;
    char *pin, *downloads_folder;
    hp_list_t items; /* newest first */
    size_t count;
    int64_t last_id;
    hp_inbox_guesses_t guesses;
    hp_rate_t *refused, *refused_all; /* offers that ended without being accepted: of each client, of all */
    uint64_t bytes;                   /* of pieces that came */
    hp_meter_t meter;
    uv_timer_t timer;
    HP_SIGNAL(hp_inbox_event_fn) event;
    hp_list_t ordering;   /* fetched.c: orders that are not answered yet */
    hp_pending_t pending; /* jobs and the timer */
    bool closing;
    void (*closed)(void *arg);
    void *closed_arg;
};

/* ---- inbox.c ---- */

hp_inbox_item_t *hp_inbox_item_find(const hp_inbox_t *self, int64_t id);
/* A new one, in no state but asking, first in the list. */
hp_inbox_item_t *hp_inbox_item_add(hp_inbox_t *self, int64_t id, const char *token);
void hp_inbox_item_free(hp_inbox_item_t *item);
/* Forgets all but the first files of what is over. */
void hp_inbox_item_trim(hp_inbox_item_t *item);
/* Whether somebody has accepted it; also of what is over. */
bool hp_inbox_was_accepted(const hp_inbox_item_t *item);
/* The only writer of a state: logs it, tells it, and sees to what follows. */
void hp_inbox_set_state(hp_inbox_item_t *item, hp_incoming_state_t state, const char *reason);
void hp_inbox_set_reason(hp_inbox_item_t *item, const char *reason);
void hp_inbox_changed(hp_inbox_item_t *item);
/* A job that held it is over: frees it if it is not in the list any more. */
void hp_inbox_item_drop(hp_inbox_item_t *item);
/* Ends it once every wanted file is done. */
void hp_inbox_check_done(hp_inbox_item_t *item);
void hp_inbox_file_dispose(hp_inbox_file_t *file);

/* ---- view.c ---- */

/* Bytes of the files that are wanted, as far as their sizes are known. */
uint64_t hp_inbox_wanted_size(const hp_inbox_item_t *item);

/* ---- offer.c ---- */

/* 0, or the first thing that is wrong with an offer's file. */
int hp_inbox_check_file(const hp_inbox_offer_file_t *file, hp_sender_kind_t kind, hp_err_t *err);
void hp_inbox_copy_file(hp_inbox_file_t *copy, const hp_inbox_offer_file_t *file, hp_sender_kind_t kind);
/* Counts that it ended without being accepted; or that somebody accepted it, for whom then nothing counts. */
void hp_inbox_count_refused(const hp_inbox_item_t *item);
void hp_inbox_count_accepted(const hp_inbox_item_t *item);
/* The offer is answered: nobody looks at them any more. */
void hp_inbox_drop_previews(hp_inbox_item_t *item);
/* The folder that a sender of this name gets: one segment that is allowed. Malloced. */
char *hp_inbox_folder_of(const char *name);

/* ---- rows.c ---- */

int hp_inbox_load(hp_inbox_t *self, hp_err_t *err);
/* Stores the transfer as it is now; all: with its files. done may be NULL; it holds the item until then. */
typedef void (*hp_inbox_stored_fn)(hp_inbox_item_t *item, void *arg, int status, const hp_err_t *err);
void hp_inbox_store(hp_inbox_item_t *item, bool all, hp_inbox_stored_fn done, void *arg);
/* Stores one file as it is now. */
void hp_inbox_store_file(hp_inbox_item_t *item, size_t index, hp_store_kind_t kind, hp_inbox_stored_fn done,
                         void *arg);

/* ---- fetched.c ---- */

/* Orders what is wanted of another host and not ordered yet. */
void hp_inbox_fetch(hp_inbox_item_t *item);
/* Nobody waits for the answers to orders any more. */
void hp_inbox_forget_orders(hp_inbox_t *self);
/* Gives up what is not done. */
void hp_inbox_drop_downloads(hp_inbox_item_t *item);

/* ---- write.c ---- */

/* Removes the part files of what is over. */
void hp_inbox_remove_parts(hp_inbox_item_t *item);

#endif
