/* One request for many small files, shared by its two halves: bundle.c asks and takes what comes, landing it
 * is bundle_write.c's. Loop thread but for the pool job. */
#ifndef HP_TRANSFER_BUNDLE_H
#define HP_TRANSFER_BUNDLE_H

#include "transfer/internal.h"

typedef struct bundle_file {
    hp_download_file_row_t row;
    bool executable;
    bool done;  /* under its name, synced */
    char *path; /* done, if it is another than the row's */
    char *root; /* of what came, where the row has none: nobody has told it yet */
} bundle_file_t;

struct bundle {
    bundle_t *next; /* of the download's */
    bundle_t *next_arrived;
    download_t *download;
    source_host_t *host;
    hp_fetch_t *fetch;
    hp_chunk_buffer_t *buffer; /* NULL until the first bytes */
    size_t bound;              /* bytes of the reply, at most */
    uint64_t weight;           /* counted in the download's leased */
    bool accepted, held, cancelled;
    bool cut; /* the reply did not come to its end */
    int refusal, retry_after_s;
    hp_err_t err; /* of the refusal; in the pool: why it is no bundle */
    char *base;
    size_t count;
    bundle_file_t files[];
};

/* Gives up what it holds; its rows as well. */
void hp_bundle_destroy(bundle_t *self);
/* The file is asked for in another bundle, or by itself. Takes its row. */
void hp_bundle_ask_again(bundle_t *self, bundle_file_t *file);
/* What the host sends is no bundle (err): it is not asked for any more in this download. */
void hp_bundle_spoil(bundle_t *self);
/* All that comes of it is in its buffer: read, checked, written and on record by and by; ends it. */
void hp_bundle_arrive(bundle_t *self);

#endif
