// libs: identity base
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/mem.h"
#include "identity/group_key.h"

static const uint8_t secret[16] = {1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16};
static const uint8_t mine[32] = {7}, other[32] = {8};

static void hex(const uint8_t *bytes, size_t length, char *out)
{
    for (size_t i = 0; i < length; i++)
        sprintf(out + 2 * i, "%02x", bytes[i]);
}

/* Values made with Python's hmac and hashlib: another implementation must come to the same. */
static void derives_what_the_protocol_says(void **state)
{
    (void)state;
    hp_group_keys_t keys;
    char text[65];
    hp_group_keys_derive(secret, &keys);
    hex(keys.gid, 16, text);
    assert_string_equal(text, "21f371e2d60ffc0d97714da6bfb68922");
    hex(keys.credential, 32, text);
    assert_string_equal(text, "d23c5f38f65ab41a7fb811a35c285ad62dea22596a20a6c84d14be662a3ea8db");
    uint8_t proof[32];
    hp_group_proof_make(&keys, mine, proof);
    hex(proof, 32, text);
    assert_string_equal(text, "550599daca806df99e74c6fabc60a37baa5c682005b1777cb98d2b631abce7fb");
}

static void proves_membership(void **state)
{
    (void)state;
    hp_group_keys_t keys, others;
    uint8_t another[16] = {0}, proof[32];
    hp_group_keys_derive(secret, &keys);
    hp_group_keys_derive(another, &others);
    hp_group_proof_make(&keys, mine, proof);
    assert_true(hp_group_proof_holds(&keys, mine, proof));
    assert_false(hp_group_proof_holds(&keys, other, proof));  /* swapped fingerprints */
    assert_false(hp_group_proof_holds(&others, mine, proof)); /* another group */
    proof[31] ^= 1;
    assert_false(hp_group_proof_holds(&keys, mine, proof));
}

static void opens_what_it_sealed(void **state)
{
    (void)state;
    hp_group_keys_t keys;
    hp_group_keys_derive(secret, &keys);
    size_t sizes[] = {0, 1, 100, 1000000};
    for (size_t i = 0; i < HP_COUNT(sizes); i++) {
        char *text = hp_alloc(sizes[i] + 1), *back;
        memset(text, 'x', sizes[i]);
        void *sealed;
        size_t length, back_length;
        uint64_t revision;
        assert_int_equal(
            hp_group_seal(&keys, mine, 77, text, sizes[i], HP_GROUP_SEALED_MAX, &sealed, &length, NULL), 0);
        assert_int_equal(hp_group_sealed_revision(sealed, length), 77);
        assert_int_equal(
            hp_group_open(&keys, mine, sealed, length, sizes[i] + 1, &revision, &back, &back_length, NULL),
            0);
        assert_int_equal(revision, 77);
        assert_int_equal(back_length, sizes[i]);
        assert_memory_equal(back, text, sizes[i]);
        free(back);
        free(sealed);
        free(text);
    }
}

static void refuses_every_change(void **state)
{
    (void)state;
    hp_group_keys_t keys, others;
    uint8_t another[16] = {0};
    char *back = NULL;
    uint8_t *sealed;
    size_t length, back_length;
    uint64_t revision;
    hp_group_keys_derive(secret, &keys);
    hp_group_keys_derive(another, &others);
    assert_int_equal(
        hp_group_seal(&keys, mine, 5, "a list", 6, HP_GROUP_SEALED_MAX, (void **)&sealed, &length, NULL), 0);
    for (size_t i = 0; i < length; i++) {
        sealed[i] ^= 1;
        assert_int_equal(
            hp_group_open(&keys, mine, sealed, length, 100, &revision, &back, &back_length, NULL),
            HP_E_PROTOCOL);
        sealed[i] ^= 1;
    }
    for (size_t i = 0; i < length; i++)
        assert_int_equal(hp_group_open(&keys, mine, sealed, i, 100, &revision, &back, &back_length, NULL),
                         HP_E_PROTOCOL);
    assert_int_equal(hp_group_open(&keys, other, sealed, length, 100, &revision, &back, &back_length, NULL),
                     HP_E_PROTOCOL);
    assert_int_equal(hp_group_open(&others, mine, sealed, length, 100, &revision, &back, &back_length, NULL),
                     HP_E_PROTOCOL);
    free(sealed);
}

/* A member's list that would fill the memory: 100 MB of one letter are 100 KB. */
static void bounds_what_it_unpacks(void **state)
{
    (void)state;
    hp_group_keys_t keys;
    size_t size = 100000000, length, back_length;
    char *text = hp_alloc(size), *back = NULL;
    void *sealed;
    uint64_t revision;
    hp_err_t err = {0};
    hp_group_keys_derive(secret, &keys);
    assert_int_equal(hp_group_seal(&keys, mine, 1, text, size, HP_GROUP_SEALED_MAX, &sealed, &length, NULL),
                     0);
    assert_int_equal(
        hp_group_open(&keys, mine, sealed, length, 1000000, &revision, &back, &back_length, &err),
        HP_E_TOO_LARGE);
    assert_null(back);
    free(sealed);
    assert_int_equal(hp_group_seal(&keys, mine, 1, text, size, 1000, &sealed, &length, &err), HP_E_TOO_LARGE);
    free(text);
}

static void makes_secrets_that_differ(void **state)
{
    (void)state;
    uint8_t a[16], b[16];
    assert_int_equal(hp_group_secret_make(a, NULL), 0);
    assert_int_equal(hp_group_secret_make(b, NULL), 0);
    assert_memory_not_equal(a, b, 16);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(derives_what_the_protocol_says), cmocka_unit_test(proves_membership),
        cmocka_unit_test(opens_what_it_sealed),           cmocka_unit_test(refuses_every_change),
        cmocka_unit_test(bounds_what_it_unpacks),         cmocka_unit_test(makes_secrets_that_differ),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
