/* What a target promises: where it is broken, the line says which promise it was. */
#ifndef HP_FUZZ_PROMISE_H
#define HP_FUZZ_PROMISE_H

#include <stdio.h>
#include <stdlib.h>

#define promise(kept) ((kept) ? (void)0 : promise_broken(#kept, __FILE__, __LINE__))

static inline _Noreturn void promise_broken(const char *text, const char *file, int line)
{
    fprintf(stderr, "%s:%d: a broken promise: %s\n", file, line, text);
    abort();
}

#endif
