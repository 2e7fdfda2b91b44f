// libs: identity path os base
/* The digits of a pairing, against values that another implementation (Python's hashlib) has computed. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "base/path.h"
#include "identity/pairing_code.h"

#define ID_A "00112233445566778899aabbccddeeff"
#define ID_B "f0e1d2c3b4a5968778695a4b3c2d1e0f"

static uint8_t up[HP_PAIRING_NONCE_SIZE], down[HP_PAIRING_NONCE_SIZE], threes[HP_PAIRING_NONCE_SIZE];

static int make_nonces(void **state)
{
    (void)state;
    for (unsigned i = 0; i < HP_PAIRING_NONCE_SIZE; i++) {
        up[i] = (uint8_t)i;
        down[i] = (uint8_t)(255 - i);
        threes[i] = 3;
    }
    return 0;
}

static void both_sides_compute_the_known_digits(void **state)
{
    (void)state;
    char code[HP_PAIRING_CODE_SIZE];
    assert_int_equal(hp_pairing_code(ID_A, ID_B, up, down, code), 0);
    assert_string_equal(code, "479778");
    assert_int_equal(hp_pairing_code(ID_B, ID_A, up, down, code), 0);
    assert_string_equal(code, "479778");
    assert_int_equal(hp_pairing_code(ID_A, ID_B, down, up, code), 0);
    assert_string_equal(code, "838780"); /* the other one began */
}

static void digits_keep_their_zeros_in_front(void **state)
{
    (void)state;
    char code[HP_PAIRING_CODE_SIZE];
    assert_int_equal(hp_pairing_code(ID_A, ID_B, up, threes, code), 0);
    assert_string_equal(code, "019307");
}

static void an_id_that_no_key_has_gives_no_digits(void **state)
{
    (void)state;
    char code[HP_PAIRING_CODE_SIZE];
    assert_int_equal(hp_pairing_code(ID_A, "addr-127.0.0.1-9000", up, down, code), HP_E_INVALID);
    assert_int_equal(hp_pairing_code("", ID_B, up, down, code), HP_E_INVALID);
}

static void a_commitment_fits_its_nonce_alone(void **state)
{
    (void)state;
    uint8_t commitment[HP_PAIRING_NONCE_SIZE];
    char hex[HP_PAIRING_HEX_SIZE];
    hp_pairing_commit(up, commitment);
    hp_hex_encode(commitment, sizeof commitment, hex);
    assert_string_equal(hex, "630dcd2966c4336691125448bbb25b4ff412a49c732db2c8abc1b8581bd710dd");
    assert_true(hp_pairing_fits(commitment, up));
    assert_false(hp_pairing_fits(commitment, down));
}

static void nonces_differ(void **state)
{
    (void)state;
    uint8_t a[HP_PAIRING_NONCE_SIZE], b[HP_PAIRING_NONCE_SIZE];
    assert_int_equal(hp_pairing_nonce(a, NULL), 0);
    assert_int_equal(hp_pairing_nonce(b, NULL), 0);
    assert_memory_not_equal(a, b, sizeof a);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(both_sides_compute_the_known_digits),
        cmocka_unit_test(digits_keep_their_zeros_in_front),
        cmocka_unit_test(an_id_that_no_key_has_gives_no_digits),
        cmocka_unit_test(a_commitment_fits_its_nonce_alone),
        cmocka_unit_test(nonces_differ),
    };
    return cmocka_run_group_tests(tests, make_nonces, NULL);
}
