// libs: localsend inbox store db path pool os base
/* What is read of LocalSend's JSON, and what this host says of itself. */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/mem.h"
#include "localsend/message.h"

static int read_device(const char *text, hp_localsend_device_t *out)
{
    hp_err_t err = {0};
    int rc = hp_localsend_read_device(out, text, strlen(text), &err);
    assert_int_equal(rc != 0, err.detail[0] != '\0');
    return rc;
}

static void a_device_describes_itself(void **state)
{
    (void)state;
    hp_localsend_device_t device;
    assert_int_equal(
        read_device("{\"alias\":\"Nice Orange\",\"version\":\"2.0\",\"deviceModel\":null,\"fingerprint\":"
                    "\"ab\",\"port\":53318,\"protocol\":\"https\",\"announce\":true}",
                    &device),
        0);
    assert_string_equal(device.alias, "Nice Orange");
    assert_string_equal(device.fingerprint, "ab");
    assert_int_equal(device.port, 53318);
    assert_true(device.https && device.announces);
    assert_int_equal(
        read_device("{\"alias\":\"a\\u001b[2J\",\"port\":70000,\"announcement\":false}", &device), 0);
    assert_string_equal(device.alias, "a\\x1b[2J");
    assert_int_equal(device.port, 0);
    assert_false(device.https || device.announces);
    static const char *const bad[] = {
        "", "x", "[]", "{}", "{\"alias\":\"\"}", "{\"alias\":1}", "{\"alias\":\"a\\u0000b\"}"};
    for (size_t i = 0; i < HP_COUNT(bad); i++)
        assert_true(read_device(bad[i], &device) < 0);
}

static int read_offer(const char *files, hp_localsend_offer_t *out)
{
    char text[2000];
    hp_err_t err = {0};
    snprintf(text, sizeof text, "{\"info\":{\"alias\":\"A\"},\"files\":%s}", files);
    int rc = hp_localsend_read_offer(out, text, strlen(text), &err);
    assert_int_equal(rc != 0, err.detail[0] != '\0');
    return rc;
}

static void an_offer_names_its_files(void **state)
{
    (void)state;
    hp_localsend_offer_t offer;
    assert_int_equal(
        read_offer(
            "{\"1\":{\"id\":\"1\",\"fileName\":\"a/b.jpg\",\"size\":5000000000,\"fileType\":\"image/"
            "jpeg\",\"sha256\":\"ABCDEF0123456789ABCDEF0123456789ABCDEF0123456789ABCDEF0123456789\","
            "\"preview\":null,\"metadata\":{\"modified\":\"2015-05-07T08:09:10.250Z\",\"accessed\":null}},"
            "\"2\":{\"fileName\":\"c\",\"size\":0,\"sha256\":\"short\",\"metadata\":{\"modified\":\"x\"}}}",
            &offer),
        0);
    assert_int_equal(offer.files.count, 2);
    assert_string_equal(offer.from.alias, "A");
    assert_string_equal(offer.files.items[0].id, "1");
    assert_string_equal(offer.files.items[0].name, "a/b.jpg");
    assert_true(offer.files.items[0].size == 5000000000);
    assert_string_equal(offer.files.items[0].sha256,
                        "abcdef0123456789abcdef0123456789abcdef0123456789abcdef0123456789");
    assert_int_equal(offer.files.items[0].modified_ms, 1430986150250);
    assert_null(offer.files.items[1].sha256);
    assert_int_equal(offer.files.items[1].modified_ms, 0);
    assert_null(offer.files.items[1].type);
    hp_localsend_offer_dispose(&offer);
    static const char *const bad[] = {
        "null",
        "{}",
        "[]",
        "{\"1\":1}",
        "{\"1\":{\"size\":1}}",
        "{\"1\":{\"fileName\":\"a\"}}",
        "{\"1\":{\"fileName\":\"a\",\"size\":-1}}",
        "{\"1\":{\"fileName\":\"a\",\"size\":1.5}}",
        "{\"1\":{\"fileName\":\"a\",\"size\":1},\"1\":{\"fileName\":\"a\",\"size\":1}}"};
    for (size_t i = 0; i < HP_COUNT(bad); i++)
        if (read_offer(bad[i], &offer) >= 0)
            fail_msg("%s is taken", bad[i]);
}

static void an_answer_has_a_session_and_tokens(void **state)
{
    (void)state;
    static const char *const bad[] = {"",
                                      "[]",
                                      "{}",
                                      "{\"sessionId\":\"\",\"files\":{}}",
                                      "{\"sessionId\":5,\"files\":{}}",
                                      "{\"sessionId\":\"a\",\"files\":[]}"};
    hp_localsend_accepted_t accepted;
    hp_err_t err = {0};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        assert_int_not_equal(hp_localsend_read_accepted(&accepted, bad[i], strlen(bad[i]), &err), 0);
        assert_null(accepted.json);
    }
    const char *good = "{\"sessionId\":\"s\",\"files\":{\"0\":\"t\",\"1\":\"\",\"2\":7},\"more\":1}";
    assert_int_equal(hp_localsend_read_accepted(&accepted, good, strlen(good), &err), 0);
    assert_string_equal(accepted.session, "s");
    assert_string_equal(hp_localsend_token(&accepted, "0"), "t");
    assert_null(hp_localsend_token(&accepted, "1"));
    assert_null(hp_localsend_token(&accepted, "2"));
    assert_null(hp_localsend_token(&accepted, "3"));
    hp_localsend_accepted_dispose(&accepted);
}

static void this_host_says_what_others_read(void **state)
{
    (void)state;
    const hp_localsend_self_t self = {.alias = "Büro \"1\"", .fingerprint = "AB", .port = HP_LOCALSEND_PORT};
    hp_localsend_device_t device;
    json_t *json = hp_localsend_describe(&self, HP_LOCALSEND_ANNOUNCE);
    char *text = json_dumps(json, JSON_COMPACT);
    assert_int_equal(read_device(text, &device), 0);
    assert_string_equal(device.alias, self.alias);
    assert_string_equal(device.fingerprint, "AB");
    assert_int_equal(device.port, HP_LOCALSEND_PORT);
    assert_true(device.https && device.announces);
    free(text);
    json_decref(json);
    json = hp_localsend_describe(&self, HP_LOCALSEND_INFO);
    assert_null(json_object_get(json, "announce"));
    assert_string_equal(json_string_value(json_object_get(json, "version")), "2.1");
    json_decref(json);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_device_describes_itself),
        cmocka_unit_test(an_offer_names_its_files),
        cmocka_unit_test(an_answer_has_a_session_and_tokens),
        cmocka_unit_test(this_host_says_what_others_read),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
