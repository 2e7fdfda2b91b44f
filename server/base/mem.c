#include "base/mem.h"

#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void *checked(void *memory)
{
    if (memory == NULL) {
        fputs("hostpair: out of memory\n", stderr);
        abort();
    }
    return memory;
}

void *hp_alloc(size_t size)
{
    return checked(calloc(1, size > 0 ? size : 1));
}

void *hp_alloc_array(size_t count, size_t size)
{
    return checked(calloc(count > 0 ? count : 1, size > 0 ? size : 1));
}

void *hp_alloc_aligned(size_t alignment, size_t size)
{
    void *memory = NULL;
    return checked(posix_memalign(&memory, alignment, size) == 0 ? memory : NULL);
}

void *hp_realloc(void *memory, size_t size)
{
    return checked(realloc(memory, size > 0 ? size : 1));
}

char *hp_strdup(const char *text)
{
    return checked(strdup(text));
}

char *hp_strndup(const char *text, size_t length)
{
    return checked(strndup(text, length));
}

char *hp_sprintf(const char *format, ...)
{
    char *text = NULL;
    va_list args;
    va_start(args, format);
    int n = vasprintf(&text, format, args);
    va_end(args);
    return checked(n < 0 ? NULL : text);
}
