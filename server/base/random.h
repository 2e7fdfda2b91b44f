/* Random numbers for choices and for jitter. Never for ids, keys or anything that somebody could gain from
 * guessing: those come from the kernel. Each thread has a generator of its own, seeded by the kernel at its
 * first use. */
#ifndef HP_BASE_RANDOM_H
#define HP_BASE_RANDOM_H

#include <stdint.h>

/* 0 to bound - 1, all equally likely; 0 when bound is 0. */
uint64_t hp_random_below(uint64_t bound);

/* Starts this thread's generator at a known place (tests). */
void hp_random_seed(uint64_t seed);

#endif
