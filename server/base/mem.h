/* Memory: out of memory aborts, loudly, here and nowhere else, so callers never check. Any thread. */
#ifndef HP_BASE_MEM_H
#define HP_BASE_MEM_H

#include <stddef.h>

/* Zeroed memory; hp_alloc_array checks the product. Never NULL (n == 0 gives a pointer that free() takes). */
void *hp_alloc(size_t size);
void *hp_alloc_array(size_t count, size_t size);
void *hp_realloc(void *memory, size_t size);
/* Not zeroed; at an address that is a multiple of alignment, a power of two. */
void *hp_alloc_aligned(size_t alignment, size_t size);
char *hp_strdup(const char *text);
char *hp_strndup(const char *text, size_t length);
char *hp_sprintf(const char *format, ...) __attribute__((format(printf, 1, 2)));

/* The struct that holds this member: HP_CONTAINER(handle, hp_thing_t, timer). */
#define HP_CONTAINER(pointer, type, member) ((type *)((char *)(pointer)-offsetof(type, member)))

#define HP_MIN(a, b)    ((a) < (b) ? (a) : (b))
#define HP_MAX(a, b)    ((a) > (b) ? (a) : (b))
#define HP_COUNT(array) (sizeof(array) / sizeof((array)[0]))

#endif
