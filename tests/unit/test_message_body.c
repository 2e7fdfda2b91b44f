// libs: message discovery fetch secure identity store db path os base
/* Messages: what is read of a stranger's body. */
#include "base/clock.h"
#include "base/mem.h"
#include "message/body.h"
#include "test_db_help.h"

static int parse(const char *text, hp_message_body_t *body, hp_err_t *err)
{
    *err = (hp_err_t){0};
    return hp_message_body_parse(text, strlen(text), body, err);
}

#define SENDER   "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
#define RECEIVER "bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb"

static void a_body_is_read_with_all_its_fields(void **state)
{
    (void)state;
    hp_message_body_t body;
    hp_err_t err;
    assert_int_equal(parse("{\"id\":\"m 1\",\"from\":\"" SENDER "\",\"to\":\"" RECEIVER
                           "\",\"name\":\"An\\u202ena\","
                           "\"text\":\"a\\nb \\ud83d\\ude00\",\"sent_at\":\"2026-11-21T03:56:15.123+01:00\","
                           "\"offer\":{\"path\":\"films/a.mkv\",\"size\":9007199254740992,\"root\":null,"
                           "\"more\":1},\"later\":{\"x\":[]}}",
                           &body, &err),
                     0);
    assert_string_equal(body.uid, "m 1");
    assert_string_equal(body.from, SENDER);
    assert_string_equal(body.to, RECEIVER);
    assert_string_equal(body.name, "An\xef\xbf\xbdna");
    assert_string_equal(body.text, "a\nb \xf0\x9f\x98\x80");
    assert_int_equal(body.sent_at, 1795229775123);
    assert_true(body.has_offer);
    assert_string_equal(body.offer.path, "films/a.mkv");
    assert_int_equal(body.offer.size, (int64_t)1 << 53);
    assert_string_equal(body.offer.root, "");
    hp_message_body_dispose(&body);
    assert_int_equal(parse("{\"id\":\"1\",\"from\":\"" SENDER "\",\"sent_at\":\"2026-11-21T03:56:15Z\","
                           "\"offer\":{\"path\":\"a\",\"size\":0}}",
                           &body, &err),
                     0);
    assert_string_equal(body.text, "");
    hp_message_body_dispose(&body);
}

static void what_is_wrong_in_a_body_is_named(void **state)
{
    (void)state;
#define GOOD "\"id\":\"1\",\"from\":\"" SENDER "\",\"text\":\"x\",\"sent_at\":\"2026-11-21T03:56:15Z\""
#define REST "\"text\":\"x\",\"sent_at\":\"2026-11-21T03:56:15Z\"}"
    static const struct {
        const char *body, *words;
        int code;
    } cases[] = {
        {"", "not JSON", HP_E_BAD_JSON},
        {"{", "not JSON", HP_E_BAD_JSON},
        {"{\"text\":\"\xff\"}", "not JSON", HP_E_BAD_JSON},
        {"{\"text\":\"\\ud800\"}", "not JSON", HP_E_BAD_JSON},
        {"{\"id\":\"1\",\"id\":\"2\"}", "not JSON", HP_E_BAD_JSON},
        {"{\"id\":1e999}", "not JSON", HP_E_BAD_JSON},
        {"[]", "not a JSON object", HP_E_INVALID},
        {"17", "not a JSON object", HP_E_INVALID},
        {"{}", "id: is missing", HP_E_INVALID},
        {"{\"id\":7}", "id: must be text", HP_E_INVALID},
        {"{\"id\":\"\"}", "id: is missing", HP_E_INVALID},
        {"{\"id\":\"a\\u0000b\"}", "id: must not contain a NUL", HP_E_INVALID},
        {"{\"id\":\"a\\nb\"}", "id: must be printable ASCII", HP_E_INVALID},
        {"{\"id\":\"\\u00e9\"}", "id: must be printable ASCII", HP_E_INVALID},
        {"{\"id\":\"1\",\"text\":\"x\"}", "from: is missing", HP_E_INVALID},
        {"{\"id\":\"1\",\"from\":\"anna\"," REST, "from: is not a host id", HP_E_INVALID},
        {"{\"id\":\"1\",\"from\":\"AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA\"," REST, "from: is not", HP_E_INVALID},
        {"{" GOOD ",\"to\":\"everyone\"}", "to: is not a host id", HP_E_INVALID},
        {"{" GOOD ",\"name\":{}}", "name: must be text", HP_E_INVALID},
        {"{\"id\":\"1\",\"from\":\"" SENDER "\",\"text\":\"\",\"sent_at\":\"2026-11-21T03:56:15Z\"}",
         "text: is missing", HP_E_INVALID},
        {"{\"id\":\"1\",\"from\":\"" SENDER "\",\"text\":[\"x\"]}", "text: must be text", HP_E_INVALID},
        {"{\"id\":\"1\",\"from\":\"" SENDER "\",\"text\":\"a\\u0000\"}", "text: must not contain a NUL",
         HP_E_INVALID},
        {"{\"id\":\"1\",\"from\":\"" SENDER "\",\"text\":\"x\"}", "sent_at: is missing", HP_E_INVALID},
        {"{\"id\":\"1\",\"from\":\"" SENDER "\",\"text\":\"x\",\"sent_at\":1700000000}",
         "sent_at: must be text", HP_E_INVALID},
        {"{\"id\":\"1\",\"from\":\"" SENDER "\",\"text\":\"x\",\"sent_at\":\"yesterday\"}",
         "sent_at: must be a time", HP_E_INVALID},
        {"{" GOOD ",\"offer\":[]}", "offer: must be an object", HP_E_INVALID},
        {"{" GOOD ",\"offer\":{\"size\":1}}", "offer.path: is missing", HP_E_INVALID},
        {"{" GOOD ",\"offer\":{\"path\":\"../a\",\"size\":1}}", "offer.path: ", HP_E_INVALID},
        {"{" GOOD ",\"offer\":{\"path\":\"/a\",\"size\":1}}", "offer.path: ", HP_E_INVALID},
        {"{" GOOD ",\"offer\":{\"path\":\"a\"}}", "offer.size: is not a number", HP_E_INVALID},
        {"{" GOOD ",\"offer\":{\"path\":\"a\",\"size\":1.5}}", "offer.size: is not a number", HP_E_INVALID},
        {"{" GOOD ",\"offer\":{\"path\":\"a\",\"size\":-1}}", "offer.size: is not a number", HP_E_INVALID},
        {"{" GOOD ",\"offer\":{\"path\":\"a\",\"size\":9007199254740993}}", "offer.size: is not a number",
         HP_E_INVALID},
        {"{" GOOD ",\"offer\":{\"path\":\"a\",\"size\":1,\"root\":\"abc\"}}", "offer.root: is not 64",
         HP_E_INVALID},
    };
    hp_message_body_t body;
    hp_err_t err;
    for (size_t i = 0; i < HP_COUNT(cases); i++) {
        int rc = parse(cases[i].body, &body, &err);
        if (rc != cases[i].code || strstr(hp_err_text(&err), cases[i].words) == NULL)
            fail_msg("%s: %d \"%s\", not %d \"%s\"", cases[i].body, rc, hp_err_text(&err), cases[i].code,
                     cases[i].words);
    }
}

static void lengths_are_counted_in_characters_and_bytes_as_told(void **state)
{
    (void)state;
    char *json = hp_alloc(40000), *at;
    hp_message_body_t body;
    hp_err_t err;
    for (int extra = 0; extra < 2; extra++) {
        at =
            json + sprintf(json, "{\"id\":\"1\",\"from\":\"" SENDER "\",\"sent_at\":\"2026-11-21T03:56:15Z\","
                                 "\"text\":\"");
        for (int i = 0; i < 4000 + extra; i++)
            at += sprintf(at, "\xf0\x9f\x98\x80");
        strcpy(at, "\"}");
        assert_int_equal(parse(json, &body, &err), extra == 0 ? 0 : HP_E_INVALID);
        if (extra == 0)
            assert_int_equal(strlen(body.text), 16000);
        else
            assert_contains(err.detail, "text: is longer than 4000 characters");
        hp_message_body_dispose(&body);
    }
    for (int extra = 0; extra < 2; extra++) {
        sprintf(json,
                "{\"id\":\"%0*d\",\"from\":\"" SENDER
                "\",\"text\":\"x\",\"sent_at\":\"2026-11-21T03:56:15Z\"}",
                128 + extra, 0);
        assert_int_equal(parse(json, &body, &err), extra == 0 ? 0 : HP_E_INVALID);
        hp_message_body_dispose(&body);
    }
    memset(json, '[', 30000);
    json[30000] = '\0';
    assert_int_equal(parse(json, &body, &err), HP_E_BAD_JSON);
    free(json);
}

static void times_far_off_can_be_written_again(void **state)
{
    (void)state;
    static const struct {
        const char *sent_at, *kept;
    } cases[] = {
        {"9999-12-31T23:59:59.999-23:59", "9999-12-31T23:59:59.999Z"},
        {"0000-01-01T00:00:00+23:59", "0000-01-01T00:00:00.000Z"},
        {"1969-12-31T23:59:59.5Z", "1969-12-31T23:59:59.500Z"},
        {"9999-12-31T23:59:59.999999999999999999Z", "9999-12-31T23:59:59.999Z"},
    };
    for (size_t i = 0; i < HP_COUNT(cases); i++) {
        char json[400], time[HP_RFC3339_SIZE];
        hp_message_body_t body, again;
        hp_err_t err;
        snprintf(json, sizeof json,
                 "{\"id\":\"1\",\"from\":\"" SENDER "\",\"text\":\"x\",\"sent_at\":\"%s\"}",
                 cases[i].sent_at);
        assert_int_equal(parse(json, &body, &err), 0);
        assert_string_equal(hp_clock_rfc3339(body.sent_at, time), cases[i].kept);
        char *written = hp_message_body_format(&body);
        assert_int_equal(parse(written, &again, &err), 0);
        assert_int_equal(again.sent_at, body.sent_at);
        free(written);
        hp_message_body_dispose(&body);
        hp_message_body_dispose(&again);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_body_is_read_with_all_its_fields),
        cmocka_unit_test(what_is_wrong_in_a_body_is_named),
        cmocka_unit_test(lengths_are_counted_in_characters_and_bytes_as_told),
        cmocka_unit_test(times_far_off_can_be_written_again),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
