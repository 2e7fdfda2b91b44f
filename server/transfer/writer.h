/* Chunk buffers, and the pool jobs that hash and write them.
 *
 * A chunk's way: hp_writer_take() gives an empty buffer; the lease fills it; hp_writer_put() hands it to a
 * pool thread, which computes the tree node over it, compares it with the expected digest if there is one,
 * writes it (but for blocks of zeros, see 5) and comes back on the loop with the result. The buffer returns
 * to the stock by itself.
 *
 * Invariants
 * 1. Loop thread only. Buffers together take at most HP_WRITER_BYTES, or two of the largest chunk, as long as
 * their users stop reading their sockets when hp_writer_has_room() says no; the room callback runs when a
 * buffer came back.
 * 2. done runs exactly once for every put, also at teardown.
 * 3. A chunk whose digest is wrong is not written.
 * 4. A large file goes to the disk past the page cache (O_DIRECT), several chunks at a time: no copy, no
 *    pages to find, nothing left for the sync at the end. Where that cannot be, and while somebody reads
 *    along, its chunks go through the page cache, one at a time, because the kernel would let the other
 *    writers spin for the inode's lock; and the disk is told to start on them as they come.
 * 5. Blocks of HP_WRITER_ZEROS that are all zeros are told to the disk as such, where it understands that:
 * their room stays reserved until the file is finished, and is given back then (part.h).
 */
#ifndef HP_TRANSFER_WRITER_H
#define HP_TRANSFER_WRITER_H

#include <stdbool.h>
#include <stdint.h>
#include <uv.h>

#include "base/err.h"
#include "share/sha256.h"

#define HP_WRITER_BYTES    (16u * 1024 * 1024)
#define HP_WRITEBACK_BYTES (8u * 1024 * 1024) /* of one file, then the disk is told to start */
#define HP_WRITER_ZEROS    65536u             /* bytes of a block that is looked at for zeros */
#define HP_WRITER_ALIGN    4096u              /* of buffers, and of what is written past the page cache */

typedef struct hp_writer hp_writer_t;

typedef struct hp_chunk_buffer {
    struct hp_chunk_buffer *next; /* in the stock */
    size_t capacity, length;
    uint8_t *data; /* aligned; in the same allocation */
} hp_chunk_buffer_t;

/* How a file is written, and what the pool threads that write it share; embedded in its owner. */
typedef struct hp_file_writes {
    int direct_fd; /* open for O_DIRECT, -1 none; owned */
    uv_mutex_t lock;
    uint64_t unsent; /* bytes written through the page cache since the last writeback began */
    bool sending;    /* a thread is starting a writeback */
} hp_file_writes_t;
void hp_file_writes_init(hp_file_writes_t *writes);
/* Takes direct_fd (or -1) for the file that is being opened; reset lets go of it, when no job is under way.
 */
void hp_file_writes_set(hp_file_writes_t *writes, int direct_fd);
void hp_file_writes_reset(hp_file_writes_t *writes);
void hp_file_writes_dispose(hp_file_writes_t *writes);

typedef struct hp_chunk_job {
    hp_chunk_buffer_t *buffer; /* owned by the writer from put on */
    int fd;                    /* must stay open until done */
    hp_file_writes_t *writes;  /* of the file; must outlive the job */
    bool cached;               /* somebody will read it soon: through the page cache */
    uint64_t offset, chunk_size, file_size;
    const uint8_t *expected; /* the digest from the manifest, valid until done; NULL: none */
    /* results */
    uint8_t digest[HP_SHA256_SIZE];
    int status; /* 0; HP_E_WRONG_DIGEST; a system code of the write */
    void (*done)(struct hp_chunk_job *job);
    /* the writer's */
    hp_writer_t *writer;
    uv_work_t work;
} hp_chunk_job_t;

hp_writer_t *hp_writer_create(uv_loop_t *loop, void (*room)(void *arg), void *arg);
/* When no job is under way. */
void hp_writer_destroy(hp_writer_t *writer);

/* Whether one more buffer may be taken now. Always true while no job is under way, so that nobody waits for
 * ever. */
bool hp_writer_has_room(const hp_writer_t *writer, uint64_t chunk_size);

/* Never NULL; ask for room first. */
hp_chunk_buffer_t *hp_writer_take(hp_writer_t *writer, uint64_t chunk_size);
void hp_writer_give_back(hp_writer_t *writer, hp_chunk_buffer_t *buffer);
/* Frees the buffers that nobody uses, which are there for the next chunks. */
void hp_writer_empty_stock(hp_writer_t *writer);

/* For a pool job that works on a buffer by other means (a small file, which is written in one step). buffer
 * may be NULL. */
void hp_writer_job_begins(hp_writer_t *writer);
void hp_writer_job_ends(hp_writer_t *writer, hp_chunk_buffer_t *buffer);

/* job is the caller's, zeroed but for its first fields; it must live until done. */
void hp_writer_put(hp_writer_t *writer, hp_chunk_job_t *job);

#endif
