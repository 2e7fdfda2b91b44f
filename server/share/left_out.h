/* What lies in the shared folders and is not offered, though a person may think that it is: how much of it
 * there is, by the reason, and the first names. What hostpair or a setting hides on purpose is not meant.
 *
 * A walk of everything finds all of it; a look at some paths changes what is known of those. Only the first
 * HP_LEFT_KEPT paths are kept; what is beyond them is counted, and stays so until everything is walked again:
 * then the counts may be too high after a look. Not shared between threads. */
#ifndef HP_SHARE_LEFT_OUT_H
#define HP_SHARE_LEFT_OUT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/array.h"

/* The reason, its name in the API, and what is said of several of them in the log. */
#define HP_LEFT_REASONS(X)                                                                                   \
    X(NAME, "name", "with a name that is not UTF-8, holds control characters or is too long")                \
    X(UNREADABLE, "unreadable", "that may not be read")                                                      \
    X(LINK, "link", "that are links out of the folder, to a folder or to nothing")                           \
    X(SPECIAL, "special", "that are sockets, pipes or devices")                                              \
    X(DEEP, "deep", "in too many folders inside one another")                                                \
    X(TAKEN, "taken", "with the name of another shared folder")

typedef enum {
#define HP_LEFT_ENUM(name, slug, words) HP_LEFT_##name,
    HP_LEFT_REASONS(HP_LEFT_ENUM)
#undef HP_LEFT_ENUM
        HP_LEFT_COUNT
} hp_left_reason_t;

#define HP_LEFT_KEPT  10000
#define HP_LEFT_FIRST 3 /* names of each reason that are told */

typedef struct hp_left_entry {
    char *path; /* any bytes but NUL; "" the folder itself */
    hp_left_reason_t reason;
} hp_left_entry_t;

typedef struct hp_left_out {
    uint64_t counts[HP_LEFT_COUNT];
    HP_ARRAY(hp_left_entry_t) kept;
} hp_left_out_t;

void hp_left_out_dispose(hp_left_out_t *self); /* may be used again: it is empty */

void hp_left_out_add(hp_left_out_t *self, hp_left_reason_t reason, const char *path);

/* Nothing is known any more of a path and of what is below it. */
void hp_left_out_forget(hp_left_out_t *self, const char *path);

/* Moves what is in `from` to the end of this one. */
void hp_left_out_join(hp_left_out_t *self, hp_left_out_t *from);

/* Whether there is more than the kept paths. */
bool hp_left_out_is_cut(const hp_left_out_t *self);

uint64_t hp_left_out_total(const hp_left_out_t *self);

/* How the API names a reason. Static. */
const char *hp_left_out_slug(hp_left_reason_t reason);

/* The first names of a reason, fit to be shown, each ended by NUL in names. How many there are. */
#define HP_LEFT_NAME_SIZE 256
size_t hp_left_out_first(const hp_left_out_t *self, hp_left_reason_t reason,
                         char names[HP_LEFT_FIRST][HP_LEFT_NAME_SIZE]);

/* One sentence for the log, malloced: how many of which kind, and their first names. */
char *hp_left_out_sentence(const hp_left_out_t *self);

#endif
