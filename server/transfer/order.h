/* An order between its two halves: order.c checks it and sees it through on the loop, order_rows.c finds or
 * writes its rows in the store. */
#ifndef HP_TRANSFER_ORDER_H
#define HP_TRANSFER_ORDER_H

#include "transfer/internal.h"
#include "transfer/standing.h"

typedef struct order {
    hp_transfer_t *transfer;
    hp_download_fn done;
    void *arg;
    char *host, *path, *folder, *root, *url, *to;
    char *base;
    char *headers, *certificate;
    char *note;   /* that the name is another one; NULL */
    int64_t size; /* of the content that root names; HP_DB_SIZE_UNKNOWN */
    int priority;
    int64_t limit_bps;
    bool copy; /* another one, whatever is there */
    bool given, never_runs;
    uint64_t most; /* bytes of a file; UINT64_MAX: any number */
    bool existing;
    bool resumed;           /* one that was cancelled and kept goes on */
    bool updated;           /* the existing one was done, and goes on with what is new at the host */
    hp_standing_t standing; /* what has to be looked at first, where the folder is to land */
    bool looked;            /* that was done */
    bool adopts;            /* the folder that stands there is taken for this one */
    char *etag;     /* of what was fetched from the URL: whether it is still that is asked first; NULL */
    bool asked;     /* that was done */
    bool unchanged; /* it is */
    int64_t id;
    hp_download_row_t row; /* read back */
} order_t;

/* Store thread; arg: an order_t. 0 with its id and row: of a download that is there already (existing), goes
 * on (resumed, updated), or is new. Or with neither: standing or etag say what has to be looked at first,
 * after which the order comes again. Else a code of the order (transfer.h). */
int hp_order_work(hp_db_t *db, void *arg, hp_err_t *err);

#endif
