/* A file's entity tag (RFC 9110 section 8.8.3). Pure; any thread. */
#ifndef HP_PEER_ETAG_H
#define HP_PEER_ETAG_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/stat.h>

#define HP_ETAG_SIZE 40

/* Made of device, inode, size, mtime and ctime (ns), hashed so that none of them is shown. Strong, or with
 * "W/" in front. */
void hp_etag_of(const struct stat *stat, bool strong, char out[HP_ETAG_SIZE]);

typedef enum {
    HP_ETAG_SETTLED, /* any write after asked_at gives the file another ctime, so the tag names its bytes:
                        strong */
    HP_ETAG_RECENT,  /* changed so short before asked_at that the next write could get the same ctime: ask
                        again later */
    HP_ETAG_COARSE,  /* the same, on a file system that keeps whole seconds: waiting would take too long */
} hp_etag_age_t;

#define HP_ETAG_TICK_MS 20 /* the kernel stamps files with a clock that goes by ticks of at most 10 ms */

/* asked_at: the wall clock in ns, read before the stat was taken. */
hp_etag_age_t hp_etag_age(const struct stat *stat, int64_t asked_at);

#endif
