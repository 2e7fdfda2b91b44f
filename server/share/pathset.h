/* A set of paths. Not shared between threads. */
#ifndef HP_SHARE_PATHSET_H
#define HP_SHARE_PATHSET_H

#include <stdbool.h>
#include <stddef.h>

typedef struct hp_pathset {
    char **slots; /* open addressing; NULL: free */
    size_t size, count;
} hp_pathset_t;

void hp_pathset_init(hp_pathset_t *self);
void hp_pathset_dispose(hp_pathset_t *self); /* may be used again: it is empty */

void hp_pathset_add(hp_pathset_t *self, const char *path);
void hp_pathset_remove(hp_pathset_t *self, const char *path);
bool hp_pathset_has(const hp_pathset_t *self, const char *path);

/* Appends copies of all paths to an array (malloced or NULL) of *count paths. */
char **hp_pathset_append(const hp_pathset_t *self, char **paths, size_t *count);

#endif
