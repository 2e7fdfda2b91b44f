// libs: share os base
/* SHA-256 of many leaves at once, against OpenSSL's one-shot digest, with every engine that there is here. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <openssl/evp.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "share/sha256.h"

#define LEAVES 70

static uint8_t *bytes;
static const char *forced;

static void expect_digest(const void *data, size_t length, uint8_t *out)
{
    unsigned n = 0;
    assert_int_equal(EVP_Digest(data, length, out, &n, EVP_sha256(), NULL), 1);
    assert_int_equal(n, HP_SHA256_SIZE);
}

static void one_message_has_the_digest_of_the_standard(void **state)
{
    (void)state;
    /* FIPS 180-2, appendix B.1: "abc" */
    static const uint8_t abc[] = {0xba, 0x78, 0x16, 0xbf, 0x8f, 0x01, 0xcf, 0xea, 0x41, 0x41, 0x40,
                                  0xde, 0x5d, 0xae, 0x22, 0x23, 0xb0, 0x03, 0x61, 0xa3, 0x96, 0x17,
                                  0x7a, 0x9c, 0xb4, 0x10, 0xff, 0x61, 0xf2, 0x00, 0x15, 0xad};
    uint8_t out[HP_SHA256_SIZE];
    hp_sha256("abc", 3, out);
    assert_memory_equal(out, abc, sizeof abc);
}

static void every_leaf_has_its_own_digest(void **state)
{
    (void)state;
    static const size_t tails[] = {0, 1, 55, 56, 63, 64, 65, 4096, HP_LEAF_SIZE - 1};
    uint8_t out[LEAVES * HP_SHA256_SIZE], one[HP_SHA256_SIZE];
    for (size_t leaves = 0; leaves < LEAVES; leaves++) {
        for (size_t t = 0; t < sizeof tails / sizeof *tails; t++) {
            size_t length = leaves * HP_LEAF_SIZE + tails[t], count = leaves + (tails[t] > 0);
            memset(out, 0xee, sizeof out);
            hp_sha256_blocks(bytes, length, out);
            for (size_t i = 0; i < count; i++) {
                size_t n = i < leaves ? HP_LEAF_SIZE : tails[t];
                expect_digest(bytes + i * HP_LEAF_SIZE, n, one);
                assert_memory_equal(out + i * HP_SHA256_SIZE, one, HP_SHA256_SIZE);
            }
            for (size_t i = count * HP_SHA256_SIZE; i < sizeof out; i++)
                assert_int_equal(out[i], 0xee);
        }
    }
}

static void the_data_may_lie_at_any_address(void **state)
{
    (void)state;
    uint8_t out[20 * HP_SHA256_SIZE], one[HP_SHA256_SIZE];
    for (size_t shift = 1; shift < 64; shift += 7) {
        hp_sha256_blocks(bytes + shift, (size_t)20 * HP_LEAF_SIZE, out);
        for (size_t i = 0; i < 20; i++) {
            expect_digest(bytes + shift + i * HP_LEAF_SIZE, HP_LEAF_SIZE, one);
            assert_memory_equal(out + i * HP_SHA256_SIZE, one, HP_SHA256_SIZE);
        }
    }
}

static void pairs_are_hashed_in_place_too(void **state)
{
    (void)state;
    uint8_t pairs[9 * 64], out[9 * HP_SHA256_SIZE], one[HP_SHA256_SIZE];
    memcpy(pairs, bytes, sizeof pairs);
    hp_sha256_pairs(pairs, 9, out);
    for (size_t i = 0; i < 9; i++) {
        expect_digest(bytes + i * 64, 64, one);
        assert_memory_equal(out + i * HP_SHA256_SIZE, one, HP_SHA256_SIZE);
    }
    hp_sha256_pairs(pairs, 9, pairs);
    assert_memory_equal(pairs, out, sizeof out);
}

static void *hash_often(void *arg)
{
    uint8_t *out = arg;
    for (int i = 0; i < 50; i++)
        hp_sha256_blocks(bytes, (size_t)33 * HP_LEAF_SIZE + 5, out);
    return NULL;
}

static void threads_hash_side_by_side(void **state)
{
    (void)state;
    enum { THREADS = 4 };
    static uint8_t out[THREADS][34 * HP_SHA256_SIZE];
    pthread_t threads[THREADS];
    uint8_t one[HP_SHA256_SIZE];
    for (int i = 0; i < THREADS; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, hash_often, out[i]), 0);
    for (int i = 0; i < THREADS; i++)
        pthread_join(threads[i], NULL);
    for (int i = 0; i < THREADS; i++)
        assert_memory_equal(out[i], out[0], sizeof out[0]);
    expect_digest(bytes + (size_t)33 * HP_LEAF_SIZE, 5, one);
    assert_memory_equal(out[0] + (size_t)33 * HP_SHA256_SIZE, one, HP_SHA256_SIZE);
}

static void the_environment_forces_an_engine(void **state)
{
    (void)state;
    const char *engine = hp_sha256_engine();
    print_message("HOSTPAIR_SHA256=%s gives %s\n", forced != NULL ? forced : "", engine);
    if (forced != NULL && strcmp(forced, "openssl") == 0)
        assert_string_equal(engine, "openssl");
    else
        assert_true(strcmp(engine, "openssl") == 0 || strcmp(engine, "ipsec-mb") == 0);
}

static int run(const char *engine)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_environment_forces_an_engine),
        cmocka_unit_test(one_message_has_the_digest_of_the_standard),
        cmocka_unit_test(every_leaf_has_its_own_digest),
        cmocka_unit_test(the_data_may_lie_at_any_address),
        cmocka_unit_test(pairs_are_hashed_in_place_too),
        cmocka_unit_test(threads_hash_side_by_side),
    };
    forced = engine;
    if (engine != NULL)
        setenv("HOSTPAIR_SHA256", engine, 1);
    else
        unsetenv("HOSTPAIR_SHA256");
    bytes = malloc((LEAVES + 1) * HP_LEAF_SIZE);
    if (bytes == NULL)
        return 1;
    for (size_t i = 0; i < (LEAVES + 1) * HP_LEAF_SIZE; i++)
        bytes[i] = (uint8_t)((uint32_t)i * 2654435761u >> 24);
    int failed = cmocka_run_group_tests_name(engine != NULL ? engine : "chosen by speed", tests, NULL, NULL);
    free(bytes);
    return failed;
}

/* The engine is chosen once a process, so each gets a process of its own. */
int main(void)
{
    static const char *const engines[] = {"openssl", "ipsec-mb", NULL};
    int failed = 0;
    for (size_t i = 0; i < sizeof engines / sizeof *engines; i++) {
        fflush(NULL);
        pid_t child = fork();
        if (child == 0)
            exit(run(engines[i]) != 0);
        int status = 1;
        if (child < 0 || waitpid(child, &status, 0) != child || status != 0)
            failed = 1;
    }
    return failed;
}
