// libs: discovery fetch store db path os base
/* Datagrams of the beacon, and how many of them are looked at. */
#include "base/err.h"
#include "base/mem.h"
#include "discovery/beacon.h"
#include "test_db_help.h"

#define ID       "0123456789abcdef0123456789abcdef"
#define INSTANCE "fedcba9876543210fedcba9876543210"
#define BEFORE                                                                                               \
    "{\"hostpair\":1,\"id\":\"" ID "\",\"name\":\"n\",\"port\":9000,\"instance\":\"" INSTANCE                \
    "\",\"reply\":false"

static hp_beacon_message_t message;

static int parse(const char *text)
{
    return hp_beacon_parse((const uint8_t *)text, strlen(text), &message);
}

static void what_is_written_can_be_read(void **state)
{
    (void)state;
    char out[HP_BEACON_MAX + 1];
    hp_beacon_message_t in = {
        .id = ID, .name = "Büro <b>\"x\"</b>", .instance = INSTANCE, .port = 65535, .reply = true};
    size_t length = hp_beacon_format(&in, out);
    assert_in_range(length, 100, HP_BEACON_MAX);
    assert_int_equal(parse(out), 0);
    assert_string_equal(message.id, ID);
    assert_string_equal(message.instance, INSTANCE);
    assert_string_equal(message.name, in.name);
    assert_int_equal(message.port, 65535);
    assert_true(message.reply);
    assert_string_equal(message.address, "");
    strcpy(in.address, "192.0.2.7");
    in.reply = false;
    hp_beacon_format(&in, out);
    assert_int_equal(parse(out), 0);
    assert_string_equal(message.address, "192.0.2.7");
    assert_false(message.reply);
    assert_string_equal(message.list, "");
    strcpy(in.list, ID "-12");
    hp_beacon_format(&in, out);
    assert_int_equal(parse(out), 0);
    assert_string_equal(message.list, ID "-12");
}

static void the_tag_of_a_list_is_printable_or_not_told(void **state)
{
    static const char *const tags[] = {"7", "null", "[]", "\"a b\"", "\"a\\\"b\"", "\"\\u00e4\""};
    (void)state;
    for (size_t i = 0; i < HP_COUNT(tags); i++) {
        char text[600];
        snprintf(text, sizeof text, BEFORE ",\"list\":%s}", tags[i]);
        print_message("%s\n", text);
        assert_int_equal(parse(text), 0);
        assert_string_equal(message.list, "");
    }
    char text[900], long_one[HP_LIST_TAG_SIZE + 1];
    memset(long_one, 'x', HP_LIST_TAG_SIZE);
    long_one[HP_LIST_TAG_SIZE] = '\0';
    snprintf(text, sizeof text, BEFORE ",\"list\":\"%s\"}", long_one);
    assert_int_equal(parse(text), 0);
    assert_string_equal(message.list, "");
    snprintf(text, sizeof text, BEFORE ",\"list\":\"%s\"}", long_one + 1);
    assert_int_equal(parse(text), 0);
    assert_string_equal(message.list, long_one + 1);
}

static void a_long_name_is_cut_until_it_fits(void **state)
{
    (void)state;
    char out[HP_BEACON_MAX + 1];
    hp_beacon_message_t in = {.id = ID, .instance = INSTANCE, .port = 1};
    memset(in.name, 1, 255); /* six bytes each in JSON */
    size_t length = hp_beacon_format(&in, out);
    assert_in_range(length, 100, HP_BEACON_MAX);
    assert_int_equal(parse(out), 0);
    memset(in.name, 'x', 255);
    hp_beacon_format(&in, out);
    assert_int_equal(parse(out), 0);
    assert_int_equal(strlen(message.name), 255);
}

static void fields_of_newer_versions_do_no_harm(void **state)
{
    (void)state;
    assert_int_equal(parse(BEFORE "}"), 0);
    assert_int_equal(parse(BEFORE ",\"more\":{\"x\":[1,2]}}"), 0);
}

static void everything_else_is_refused(void **state)
{
    static const char *const texts[] = {
        "",
        "x",
        "{}",
        "[]",
        "null",
        BEFORE,
        BEFORE "} ",
        BEFORE ",\"port\":9001}",
        BEFORE ",\"address\":1}",
        BEFORE ",\"address\":\"example.org\"}",
        BEFORE ",\"address\":\"255.255.255.255\"}",
        BEFORE ",\"address\":\"239.192.90.0\"}",
        "{\"hostpair\":2,\"id\":\"" ID "\",\"name\":\"n\",\"port\":9000,\"instance\":\"" INSTANCE
        "\",\"reply\":false}",
        "{\"hostpair\":\"1\",\"id\":\"" ID "\",\"name\":\"n\",\"port\":9000,\"instance\":\"" INSTANCE
        "\",\"reply\":false}",
        "{\"hostpair\":1,\"id\":\"short\",\"name\":\"n\",\"port\":9000,\"instance\":\"" INSTANCE
        "\",\"reply\":false}",
        "{\"hostpair\":1,\"id\":\"" ID "0\",\"name\":\"n\",\"port\":9000,\"instance\":\"" INSTANCE
        "\",\"reply\":false}",
        "{\"hostpair\":1,\"id\":\"0123456789ABCDEF0123456789abcdef\",\"name\":\"n\",\"port\":1,\"instance\":"
        "\"" INSTANCE "\",\"reply\":false}",
        "{\"hostpair\":1,\"id\":\"" ID "\",\"name\":\"n\",\"port\":0,\"instance\":\"" INSTANCE
        "\",\"reply\":false}",
        "{\"hostpair\":1,\"id\":\"" ID "\",\"name\":\"n\",\"port\":65536,\"instance\":\"" INSTANCE
        "\",\"reply\":false}",
        "{\"hostpair\":1,\"id\":\"" ID "\",\"name\":\"n\",\"port\":1.5,\"instance\":\"" INSTANCE
        "\",\"reply\":false}",
        "{\"hostpair\":1,\"id\":\"" ID "\",\"name\":7,\"port\":9000,\"instance\":\"" INSTANCE
        "\",\"reply\":false}",
        "{\"hostpair\":1,\"id\":\"" ID "\",\"name\":\"a\\u0000b\",\"port\":9000,\"instance\":\"" INSTANCE
        "\",\"reply\":false}",
        "{\"hostpair\":1,\"id\":\"" ID "\",\"name\":\"\xff\",\"port\":9000,\"instance\":\"" INSTANCE
        "\",\"reply\":false}",
        "{\"hostpair\":1,\"id\":\"" ID "\",\"name\":\"n\",\"port\":9000,\"instance\":\"" INSTANCE
        "\",\"reply\":0}",
        "{\"hostpair\":1,\"id\":\"" ID "\",\"name\":\"n\",\"port\":9000,\"instance\":\"" INSTANCE "\"}",
        "{\"hostpair\":1,\"id\":\"" ID "\",\"name\":\"n\",\"port\":9000,\"reply\":false}",
    };
    (void)state;
    for (size_t i = 0; i < HP_COUNT(texts); i++) {
        bool trailing_space = strcmp(texts[i], BEFORE "} ") == 0; /* JSON allows it */
        if ((parse(texts[i]) == 0) != trailing_space)
            fail_msg("%zu: %s", i, texts[i]);
    }
    char *large = hp_alloc(HP_BEACON_MAX + 200);
    snprintf(large, HP_BEACON_MAX + 200, "%s,\"pad\":\"%0*d\"}", BEFORE, HP_BEACON_MAX, 0);
    assert_int_equal(parse(large), HP_E_INVALID);
    free(large);
    char name[700];
    snprintf(name, sizeof name,
             "{\"hostpair\":1,\"id\":\"" ID "\",\"name\":\"%0*d\",\"port\":9000,\"instance\":\"" INSTANCE
             "\",\"reply\":false}",
             256, 0);
    assert_int_equal(parse(name), HP_E_INVALID);
}

static unsigned allowed(hp_beacon_limit_t *limit, uint8_t source, unsigned datagrams, uint64_t from,
                        uint64_t to)
{
    uint8_t address[16] = {10, 0, 0, source};
    unsigned count = 0;
    for (unsigned i = 0; i < datagrams; i++)
        count += hp_beacon_limit_allow(limit, address, from + (to - from) * i / datagrams);
    return count;
}

static void a_flood_from_one_address_is_cut_to_ten_a_second(void **state)
{
    (void)state;
    hp_beacon_limit_t *limit = hp_beacon_limit_create();
    unsigned count = allowed(limit, 1, 100000, 1000, 11000);
    assert_in_range(count, 100, 110);                        /* ten seconds, and the full bucket */
    assert_int_equal(allowed(limit, 2, 5, 11000, 11001), 5); /* somebody else is still heard */
    assert_int_equal(allowed(limit, 1, 100, 13000, 13001), 10);
    hp_beacon_limit_destroy(limit);
}

static void a_flood_from_many_addresses_is_cut_to_a_hundred_a_second(void **state)
{
    (void)state;
    hp_beacon_limit_t *limit = hp_beacon_limit_create();
    unsigned count = 0;
    for (unsigned i = 0; i < 100000; i++) {
        uint8_t address[16] = {10, (uint8_t)(i >> 16), (uint8_t)(i >> 8), (uint8_t)i};
        count += hp_beacon_limit_allow(limit, address, 1000 + i / 10);
    }
    assert_in_range(count, 1000, 1110);
    hp_beacon_limit_destroy(limit);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_written_can_be_read),
        cmocka_unit_test(the_tag_of_a_list_is_printable_or_not_told),
        cmocka_unit_test(a_long_name_is_cut_until_it_fits),
        cmocka_unit_test(fields_of_newer_versions_do_no_harm),
        cmocka_unit_test(everything_else_is_refused),
        cmocka_unit_test(a_flood_from_one_address_is_cut_to_ten_a_second),
        cmocka_unit_test(a_flood_from_many_addresses_is_cut_to_a_hundred_a_second),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
