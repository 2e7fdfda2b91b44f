#include "etag.h"

#include <stddef.h>
#include <stdio.h>

#define COARSE_NS (2 * INT64_C(1000000000)) /* FAT keeps every second second */
#define SECOND_NS INT64_C(1000000000)
#define AHEAD_NS  (2 * SECOND_NS) /* as hp_shared_unhashed has it */
#define TICK_NS   (HP_ETAG_TICK_MS * INT64_C(1000000))

static uint64_t rotate(uint64_t x, int n)
{
    return x << n | x >> (64 - n);
}

static void round_of(uint64_t v[4])
{
    v[0] += v[1];
    v[2] += v[3];
    v[1] = rotate(v[1], 13) ^ v[0];
    v[3] = rotate(v[3], 16) ^ v[2];
    v[0] = rotate(v[0], 32);
    v[2] += v[1];
    v[0] += v[3];
    v[1] = rotate(v[1], 17) ^ v[2];
    v[3] = rotate(v[3], 21) ^ v[0];
    v[2] = rotate(v[2], 32);
}

/* SipHash-2-4 with 128 bits of output (Aumasson, Bernstein) over whole words, under a fixed key: here it only
 * has to mix well. */
static void siphash(const uint64_t *words, size_t count, uint64_t out[2])
{
    const uint64_t key[2] = {0x686f737470616972, 0x6574616720763120};
    uint64_t v[4] = {key[0] ^ 0x736f6d6570736575, key[1] ^ 0x646f72616e646f6d ^ 0xee,
                     key[0] ^ 0x6c7967656e657261, key[1] ^ 0x7465646279746573};
    for (size_t i = 0; i <= count; i++) {
        uint64_t m = i < count ? words[i] : (uint64_t)(count * 8) << 56;
        v[3] ^= m;
        round_of(v);
        round_of(v);
        v[0] ^= m;
    }
    for (int half = 0; half < 2; half++) {
        v[half == 0 ? 2 : 1] ^= half == 0 ? 0xee : 0xdd;
        for (int i = 0; i < 4; i++)
            round_of(v);
        out[half] = v[0] ^ v[1] ^ v[2] ^ v[3];
    }
}

void hp_etag_of(const struct stat *stat, bool strong, char out[HP_ETAG_SIZE])
{
    uint64_t words[] = {(uint64_t)stat->st_dev,          (uint64_t)stat->st_ino,
                        (uint64_t)stat->st_size,         (uint64_t)stat->st_mtim.tv_sec,
                        (uint64_t)stat->st_mtim.tv_nsec, (uint64_t)stat->st_ctim.tv_sec,
                        (uint64_t)stat->st_ctim.tv_nsec};
    uint64_t hash[2];
    siphash(words, sizeof words / sizeof *words, hash);
    snprintf(out, HP_ETAG_SIZE, "%s\"%016llx%016llx\"", strong ? "" : "W/", (unsigned long long)hash[0],
             (unsigned long long)hash[1]);
}

hp_etag_age_t hp_etag_age(const struct stat *stat, int64_t asked_at)
{
    int64_t age = asked_at - ((int64_t)stat->st_ctim.tv_sec * SECOND_NS + stat->st_ctim.tv_nsec);
    if (age <= -AHEAD_NS)
        return HP_ETAG_SETTLED; /* the clock was set back since: what is written now gets an earlier time */
    if (stat->st_ctim.tv_nsec == 0 && stat->st_mtim.tv_nsec == 0)
        return age >= COARSE_NS ? HP_ETAG_SETTLED : HP_ETAG_COARSE;
    return age >= TICK_NS ? HP_ETAG_SETTLED : HP_ETAG_RECENT;
}
