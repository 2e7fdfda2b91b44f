#include "base/random.h"

#include <stdbool.h>
#include <unistd.h>

#include "base/clock.h"

static _Thread_local uint64_t state;
static _Thread_local bool seeded;

/* SplitMix64 (Steele, Lea, Flood 2014). */
static uint64_t next(void)
{
    uint64_t z = state += 0x9e3779b97f4a7c15u;
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
    return z ^ (z >> 31);
}

void hp_random_seed(uint64_t seed)
{
    state = seed;
    seeded = true;
}

uint64_t hp_random_below(uint64_t bound)
{
    uint64_t seed;
    if (!seeded) /* without the kernel's numbers the clock and the thread's address have to do */
        hp_random_seed(getentropy(&seed, sizeof seed) == 0 ? seed
                                                           : hp_clock_ns() ^ (uint64_t)(uintptr_t)&state);
    if (bound == 0)
        return 0;
    uint64_t uneven = -bound % bound, value; /* numbers below it would make small results likelier */
    do
        value = next();
    while (value < uneven);
    return value % bound;
}
