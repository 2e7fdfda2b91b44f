// libs: pairing discovery fetch secure store db identity path pool os base
/* The states of an attempt to pair, without network and with a clock of the test's own; the bodies. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/log.h"
#include "pairing/session.h"
#include "pairing/wire.h"

#define LOW  "00112233445566778899aabbccddeeff"
#define HIGH "f0e1d2c3b4a5968778695a4b3c2d1e0f"

static uint8_t up[HP_PAIRING_NONCE_SIZE], down[HP_PAIRING_NONCE_SIZE];
static hp_pairing_session_t a, b; /* a begins */

static int set_up(void **state)
{
    (void)state;
    hp_log_set_level(HP_LOG_WARN);
    for (unsigned i = 0; i < HP_PAIRING_NONCE_SIZE; i++) {
        up[i] = (uint8_t)i;
        down[i] = (uint8_t)(255 - i);
    }
    hp_pairing_session_begin(&a, LOW, HIGH, up, 1000);
    hp_pairing_session_accept(&b, HIGH, LOW, down, a.commitment, 1000);
    return 0;
}

static void reach_confirm(void)
{
    assert_int_equal(hp_pairing_session_answered(&a, b.nonce, NULL), 0);
    assert_int_equal(a.state, HP_PAIRING_WAITING);
    assert_int_equal(hp_pairing_session_reveal(&b, a.nonce, NULL), 0);
    assert_int_equal(hp_pairing_session_revealed(&a, NULL), 0);
    assert_int_equal(a.state, HP_PAIRING_CONFIRM);
    assert_int_equal(b.state, HP_PAIRING_CONFIRM);
}

static void both_sides_show_the_same_digits_and_pair_when_both_confirm(void **state)
{
    (void)state;
    assert_false(a.incoming);
    assert_true(b.incoming);
    reach_confirm();
    assert_string_equal(a.code, "479778");
    assert_string_equal(b.code, "479778");
    assert_int_equal(hp_pairing_session_confirm(&a, NULL), 0);
    assert_int_equal(hp_pairing_session_confirmed_there(&b, NULL), 0);
    assert_int_equal(a.state, HP_PAIRING_CONFIRMED);
    assert_int_equal(b.state, HP_PAIRING_CONFIRM);
    assert_false(hp_pairing_session_is_agreed(&a) || hp_pairing_session_is_agreed(&b));
    hp_pairing_session_stored(&a); /* not agreed yet */
    assert_int_equal(a.state, HP_PAIRING_CONFIRMED);
    assert_int_equal(hp_pairing_session_confirm(&b, NULL), 0);
    assert_true(hp_pairing_session_is_agreed(&b));
    assert_int_equal(hp_pairing_session_confirmed_there(&a, NULL), 0);
    assert_true(hp_pairing_session_is_agreed(&a));
    hp_pairing_session_stored(&a);
    hp_pairing_session_stored(&b);
    assert_int_equal(a.state, HP_PAIRING_PAIRED);
    assert_int_equal(b.state, HP_PAIRING_PAIRED);
    assert_int_equal(hp_pairing_session_confirmed_there(&a, NULL), 0); /* its answer got lost: once more */
}

static void a_nonce_that_was_chosen_afterwards_is_found_out(void **state)
{
    (void)state;
    hp_err_t err = {0};
    assert_int_equal(hp_pairing_session_reveal(&b, down, &err), HP_E_FORBIDDEN);
    assert_int_equal(b.state, HP_PAIRING_FAILED);
    assert_string_equal(b.code, "");
    assert_non_null(strstr(b.reason, "committed"));
    assert_int_equal(hp_pairing_session_reveal(&b, up, &err), HP_E_CONFLICT); /* there is no second guess */
}

static void steps_out_of_turn_change_nothing(void **state)
{
    (void)state;
    hp_err_t err = {0};
    assert_int_equal(hp_pairing_session_confirm(&b, &err), HP_E_CONFLICT);
    assert_int_equal(hp_pairing_session_confirmed_there(&b, &err), HP_E_CONFLICT);
    assert_int_equal(hp_pairing_session_revealed(&a, &err), HP_E_CONFLICT);
    assert_int_equal(hp_pairing_session_revealed(&b, &err), HP_E_CONFLICT);
    assert_int_equal(hp_pairing_session_reveal(&a, down, &err), HP_E_CONFLICT);
    assert_int_equal(hp_pairing_session_answered(&b, up, &err), HP_E_CONFLICT);
    assert_int_equal(a.state, HP_PAIRING_ASKED);
    assert_int_equal(b.state, HP_PAIRING_WAITING);
    reach_confirm();
    assert_int_equal(hp_pairing_session_answered(&a, up, &err),
                     HP_E_CONFLICT);                                   /* no other nonce afterwards */
    assert_int_equal(hp_pairing_session_reveal(&b, a.nonce, &err), 0); /* the same one may come again */
    assert_int_equal(hp_pairing_session_reveal(&b, down, &err), HP_E_CONFLICT);
    assert_string_equal(b.code, "479778");
}

static void the_other_person_may_be_faster_than_the_answer_to_the_reveal(void **state)
{
    (void)state;
    assert_int_equal(hp_pairing_session_answered(&a, b.nonce, NULL), 0);
    assert_int_equal(hp_pairing_session_confirmed_there(&a, NULL), 0);
    assert_false(hp_pairing_session_is_agreed(&a));
    assert_int_equal(hp_pairing_session_revealed(&a, NULL), 0);
    assert_int_equal(hp_pairing_session_confirm(&a, NULL), 0);
    assert_true(hp_pairing_session_is_agreed(&a));
}

static void it_expires_after_two_minutes_unless_both_have_confirmed(void **state)
{
    (void)state;
    hp_err_t err = {0};
    reach_confirm();
    assert_false(hp_pairing_session_tick(&a, 1000 + 119999));
    assert_int_equal(hp_pairing_session_confirm(&a, NULL), 0);
    assert_true(hp_pairing_session_tick(&a, 1000 + 120000));
    assert_int_equal(a.state, HP_PAIRING_EXPIRED);
    assert_non_null(strstr(a.reason, "other side did not confirm"));
    assert_true(hp_pairing_session_tick(&b, 1000 + 120000));
    assert_non_null(strstr(b.reason, "not confirmed here"));
    assert_int_equal(hp_pairing_session_confirm(&b, &err), HP_E_CONFLICT);
    assert_string_equal(hp_err_text(&err), "This pairing is over");
    assert_int_equal(hp_pairing_session_confirmed_there(&a, &err), HP_E_CONFLICT);
    assert_false(hp_pairing_session_tick(&a, 1000 + 240000)); /* once */
    set_up(NULL);
    reach_confirm();
    assert_int_equal(hp_pairing_session_confirm(&a, NULL), 0);
    assert_int_equal(hp_pairing_session_confirmed_there(&a, NULL), 0);
    assert_false(hp_pairing_session_tick(&a, 1000 + 240000)); /* it is being stored */
}

static void one_that_is_over_stays_as_it_ended(void **state)
{
    (void)state;
    reach_confirm();
    hp_pairing_session_end(&a, HP_PAIRING_REFUSED, "It was refused here");
    assert_int_equal(a.state, HP_PAIRING_REFUSED);
    hp_pairing_session_end(&a, HP_PAIRING_FAILED, "too late");
    assert_int_equal(a.state, HP_PAIRING_REFUSED);
    assert_string_equal(a.reason, "It was refused here");
    assert_false(hp_pairing_session_is_open(&a));
}

static void of_two_that_begin_the_smaller_id_prevails(void **state)
{
    (void)state;
    hp_pairing_session_t high;
    hp_pairing_session_begin(&high, HIGH, LOW, down, 1000);
    assert_true(hp_pairing_session_prevails(&a));
    assert_false(hp_pairing_session_prevails(&high));
    assert_int_equal(hp_pairing_session_answered(&a, b.nonce, NULL), 0);
    assert_true(hp_pairing_session_prevails(&a)); /* the other one's first step was late */
    assert_int_equal(hp_pairing_session_revealed(&a, NULL), 0);
    assert_false(hp_pairing_session_prevails(&a)); /* the other one has begun anew since */
}

static void states_have_the_names_that_the_api_gives_them(void **state)
{
    (void)state;
    assert_string_equal(hp_pairing_state_name(HP_PAIRING_ASKED), "waiting");
    assert_string_equal(hp_pairing_state_name(HP_PAIRING_WAITING), "waiting");
    assert_string_equal(hp_pairing_state_name(HP_PAIRING_CONFIRM), "confirm");
    assert_string_equal(hp_pairing_state_name(HP_PAIRING_FAILED), "failed");
}

static void bodies_are_read_as_they_are_written(void **state)
{
    (void)state;
    for (int wanted = 1; wanted <= 3; wanted++) {
        uint8_t value[HP_PAIRING_NONCE_SIZE] = {0};
        int step = 0;
        char *text = hp_pairing_wire_step(wanted, wanted < 3 ? up : NULL);
        assert_int_equal(hp_pairing_wire_read_step(text, strlen(text), &step, value, NULL), 0);
        assert_int_equal(step, wanted);
        if (wanted < 3)
            assert_memory_equal(value, up, sizeof up);
        free(text);
    }
}

static void bodies_that_make_no_sense_are_refused(void **state)
{
    (void)state;
    static const char *const bad[] = {
        "",
        "[]",
        "{}",
        "{\"step\":0}",
        "{\"step\":4}",
        "{\"step\":\"1\"}",
        "{\"step\":1}",
        "{\"step\":2,\"nonce\":\"00\"}",
        "{\"step\":1,\"commitment\":7}",
        "{\"step\":3,\"step\":3}",
    };
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        uint8_t value[HP_PAIRING_NONCE_SIZE];
        int step = 0;
        hp_err_t err = {0};
        int rc = hp_pairing_wire_read_step(bad[i], strlen(bad[i]), &step, value, &err);
        assert_true(rc == HP_E_BAD_JSON || rc == HP_E_INVALID);
        assert_int_equal(err.code, rc);
        assert_true(err.detail[0] != '\0');
    }
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup(name, set_up)
    const struct CMUnitTest tests[] = {
        TEST(both_sides_show_the_same_digits_and_pair_when_both_confirm),
        TEST(a_nonce_that_was_chosen_afterwards_is_found_out),
        TEST(steps_out_of_turn_change_nothing),
        TEST(the_other_person_may_be_faster_than_the_answer_to_the_reveal),
        TEST(it_expires_after_two_minutes_unless_both_have_confirmed),
        TEST(one_that_is_over_stays_as_it_ended),
        TEST(of_two_that_begin_the_smaller_id_prevails),
        TEST(states_have_the_names_that_the_api_gives_them),
        TEST(bodies_are_read_as_they_are_written),
        TEST(bodies_that_make_no_sense_are_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
