// libs: tunnel identity path pool os base
/* STUN messages against the examples of RFC 5769 and RFC 8489, and against what a stranger may send. */
#include <stdlib.h>
#include <string.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <arpa/inet.h>
#include <cmocka.h>
#include <gnutls/crypto.h>

#include "base/err.h"
#include "base/mem.h"
#include "tunnel/stun.h"

/* RFC 5769 section 2.1: a request with SOFTWARE, PRIORITY, ICE-CONTROLLED, USERNAME. */
static const uint8_t request[] = {
    0x00, 0x01, 0x00, 0x58, 0x21, 0x12, 0xa4, 0x42, 0xb7, 0xe7, 0xa7, 0x01, 0xbc, 0x34, 0xd6, 0x86,
    0xfa, 0x87, 0xdf, 0xae, 0x80, 0x22, 0x00, 0x10, 0x53, 0x54, 0x55, 0x4e, 0x20, 0x74, 0x65, 0x73,
    0x74, 0x20, 0x63, 0x6c, 0x69, 0x65, 0x6e, 0x74, 0x00, 0x24, 0x00, 0x04, 0x6e, 0x00, 0x01, 0xff,
    0x80, 0x29, 0x00, 0x08, 0x93, 0x2f, 0xf9, 0xb1, 0x51, 0x26, 0x3b, 0x36, 0x00, 0x06, 0x00, 0x09,
    0x65, 0x76, 0x74, 0x6a, 0x3a, 0x68, 0x36, 0x76, 0x59, 0x20, 0x20, 0x20, 0x00, 0x08, 0x00, 0x14,
    0x9a, 0xea, 0xa7, 0x0c, 0xbf, 0xd8, 0xcb, 0x56, 0x78, 0x1e, 0xf2, 0xb5, 0xb2, 0xd3, 0xf2, 0x49,
    0xc1, 0xb5, 0x71, 0xa2, 0x80, 0x28, 0x00, 0x04, 0xe5, 0x7a, 0x3b, 0xcf};

/* Section 2.2: the answer, 192.0.2.1 port 32853. */
static const uint8_t answer4[] = {
    0x01, 0x01, 0x00, 0x3c, 0x21, 0x12, 0xa4, 0x42, 0xb7, 0xe7, 0xa7, 0x01, 0xbc, 0x34, 0xd6, 0x86,
    0xfa, 0x87, 0xdf, 0xae, 0x80, 0x22, 0x00, 0x0b, 0x74, 0x65, 0x73, 0x74, 0x20, 0x76, 0x65, 0x63,
    0x74, 0x6f, 0x72, 0x20, 0x00, 0x20, 0x00, 0x08, 0x00, 0x01, 0xa1, 0x47, 0xe1, 0x12, 0xa6, 0x43,
    0x00, 0x08, 0x00, 0x14, 0x2b, 0x91, 0xf5, 0x99, 0xfd, 0x9e, 0x90, 0xc3, 0x8c, 0x74, 0x89, 0xf9,
    0x2a, 0xf9, 0xba, 0x53, 0xf0, 0x6b, 0xe7, 0xd7, 0x80, 0x28, 0x00, 0x04, 0xc0, 0x7d, 0x4c, 0x96};

/* Section 2.3: the same with 2001:db8:1234:5678:11:2233:4455:6677. */
static const uint8_t answer6[] = {
    0x01, 0x01, 0x00, 0x48, 0x21, 0x12, 0xa4, 0x42, 0xb7, 0xe7, 0xa7, 0x01, 0xbc, 0x34, 0xd6, 0x86,
    0xfa, 0x87, 0xdf, 0xae, 0x80, 0x22, 0x00, 0x0b, 0x74, 0x65, 0x73, 0x74, 0x20, 0x76, 0x65, 0x63,
    0x74, 0x6f, 0x72, 0x20, 0x00, 0x20, 0x00, 0x14, 0x00, 0x02, 0xa1, 0x47, 0x01, 0x13, 0xa9, 0xfa,
    0xa5, 0xd3, 0xf1, 0x79, 0xbc, 0x25, 0xf4, 0xb5, 0xbe, 0xd2, 0xb9, 0xd9, 0x00, 0x08, 0x00, 0x14,
    0xa3, 0x82, 0x95, 0x4e, 0x4b, 0xe6, 0x7b, 0xf1, 0x17, 0x84, 0xc9, 0x7c, 0x82, 0x92, 0xc2, 0x75,
    0xbf, 0xe3, 0xed, 0x41, 0x80, 0x28, 0x00, 0x04, 0xc8, 0xfb, 0x0b, 0x4c};

/* RFC 8489 appendix B.1, as erratum 6268 corrects it: MESSAGE-INTEGRITY-SHA256 over USERHASH, NONCE, REALM
 * and PASSWORD-ALGORITHM. It has no FINGERPRINT: the test adds one. */
static const uint8_t request_sha256[] = {
    0x00, 0x01, 0x00, 0x90, 0x21, 0x12, 0xa4, 0x42, 0x78, 0xad, 0x34, 0x33, 0xc6, 0xad, 0x72, 0xc0, 0x29,
    0xda, 0x41, 0x2e, 0x00, 0x1e, 0x00, 0x20, 0x4a, 0x3c, 0xf3, 0x8f, 0xef, 0x69, 0x92, 0xbd, 0xa9, 0x52,
    0xc6, 0x78, 0x04, 0x17, 0xda, 0x0f, 0x24, 0x81, 0x94, 0x15, 0x56, 0x9e, 0x60, 0xb2, 0x05, 0xc4, 0x6e,
    0x41, 0x40, 0x7f, 0x17, 0x04, 0x00, 0x15, 0x00, 0x29, 0x6f, 0x62, 0x4d, 0x61, 0x74, 0x4a, 0x6f, 0x73,
    0x32, 0x41, 0x41, 0x41, 0x43, 0x66, 0x2f, 0x2f, 0x34, 0x39, 0x39, 0x6b, 0x39, 0x35, 0x34, 0x64, 0x36,
    0x4f, 0x4c, 0x33, 0x34, 0x6f, 0x4c, 0x39, 0x46, 0x53, 0x54, 0x76, 0x79, 0x36, 0x34, 0x73, 0x41, 0x00,
    0x00, 0x00, 0x00, 0x14, 0x00, 0x0b, 0x65, 0x78, 0x61, 0x6d, 0x70, 0x6c, 0x65, 0x2e, 0x6f, 0x72, 0x67,
    0x00, 0x00, 0x1d, 0x00, 0x04, 0x00, 0x02, 0x00, 0x00, 0x00, 0x1c, 0x00, 0x20, 0xb5, 0xc7, 0xbf, 0x00,
    0x5b, 0x6c, 0x52, 0xa2, 0x1c, 0x51, 0xc5, 0xe8, 0x92, 0xf8, 0x19, 0x24, 0x13, 0x62, 0x96, 0xcb, 0x92,
    0x7c, 0x43, 0x14, 0x93, 0x09, 0x27, 0x8c, 0xc6, 0x51, 0x8e, 0x65};

static uint32_t crc32_bitwise(const uint8_t *data, size_t length)
{
    uint32_t crc = 0xffffffff;
    for (size_t i = 0; i < length; i++) {
        crc ^= data[i];
        for (int bit = 0; bit < 8; bit++)
            crc = crc >> 1 ^ (crc & 1 ? 0xedb88320u : 0);
    }
    return ~crc;
}

/* Sets the length and appends FINGERPRINT, by other code than the one under test. */
static size_t finish(uint8_t *data, size_t length)
{
    size_t all = length + 8 - 20;
    data[2] = (uint8_t)(all >> 8);
    data[3] = (uint8_t)all;
    uint32_t crc = htonl(crc32_bitwise(data, length) ^ 0x5354554eu);
    memcpy(data + length, (const uint8_t[]){0x80, 0x28, 0, 4}, 4);
    memcpy(data + length + 4, &crc, 4);
    return length + 8;
}

static hp_sockaddr_t address_of(const char *text, uint16_t port)
{
    hp_sockaddr_t out = {0};
    if (inet_pton(AF_INET, text, &out.v4.sin_addr) == 1) {
        out.v4.sin_family = AF_INET;
        out.v4.sin_port = htons(port);
    } else {
        assert_int_equal(inet_pton(AF_INET6, text, &out.v6.sin6_addr), 1);
        out.v6.sin6_family = AF_INET6;
        out.v6.sin6_port = htons(port);
    }
    return out;
}

static void the_request_of_rfc_5769_is_read(void **state)
{
    (void)state;
    hp_stun_t stun;
    assert_int_equal(hp_stun_parse(&stun, request, sizeof request), 0);
    assert_int_equal(stun.type, HP_STUN_REQUEST);
    assert_string_equal(stun.username, "evtj:h6vY");
    assert_int_equal(stun.unknown_count, 1); /* PRIORITY belongs to ICE */
    assert_int_equal(stun.unknown[0], 0x0024);
    assert_false(hp_stun_verify(&stun, "VOkJxbRl1RmTxUk/WvJxBt", 22)); /* its integrity is by SHA-1 */
}

static void the_answers_of_rfc_5769_tell_their_addresses(void **state)
{
    (void)state;
    hp_stun_t stun;
    char text[64];
    assert_int_equal(hp_stun_parse(&stun, answer4, sizeof answer4), 0);
    assert_int_equal(stun.type, HP_STUN_SUCCESS);
    assert_true(stun.has_mapped);
    assert_string_equal(inet_ntop(AF_INET, &stun.mapped.v4.sin_addr, text, sizeof text), "192.0.2.1");
    assert_int_equal(ntohs(stun.mapped.v4.sin_port), 32853);
    assert_int_equal(hp_stun_parse(&stun, answer6, sizeof answer6), 0);
    assert_string_equal(inet_ntop(AF_INET6, &stun.mapped.v6.sin6_addr, text, sizeof text),
                        "2001:db8:1234:5678:11:2233:4455:6677");
    assert_int_equal(ntohs(stun.mapped.v6.sin6_port), 32853);
}

static void the_integrity_of_rfc_8489_holds(void **state)
{
    (void)state;
    static const char secret[] = "\xe3\x83\x9e\xe3\x83\x88\xe3\x83\xaa\xe3\x83\x83\xe3\x82\xaf\xe3\x82\xb9"
                                 ":example.org:TheMatrIX";
    uint8_t key[32], data[sizeof request_sha256 + 8];
    hp_stun_t stun;
    assert_int_equal(gnutls_hash_fast(GNUTLS_DIG_SHA256, secret, sizeof secret - 1, key), 0);
    memcpy(data, request_sha256, sizeof request_sha256);
    size_t length = finish(data, sizeof request_sha256);
    assert_int_equal(hp_stun_parse(&stun, data, length), 0);
    assert_true(hp_stun_verify(&stun, key, sizeof key));
    key[0] ^= 1;
    assert_false(hp_stun_verify(&stun, key, sizeof key));
    key[0] ^= 1;
    data[30] ^= 1; /* a byte of USERHASH; the fingerprint is made anew, as a forger would */
    length = finish(data, sizeof request_sha256);
    assert_int_equal(hp_stun_parse(&stun, data, length), 0);
    assert_false(hp_stun_verify(&stun, key, sizeof key));
}

static void what_is_written_is_read_back(void **state)
{
    (void)state;
    const hp_sockaddr_t addresses[] = {address_of("198.51.100.7", 9), address_of("2001:db8::9", 65535)};
    const uint8_t transaction[HP_STUN_TRANSACTION] = "abcdefghijkl";
    for (size_t i = 0; i < HP_COUNT(addresses); i++) {
        uint8_t out[HP_STUN_MAX];
        hp_stun_t stun;
        size_t length = hp_stun_write(out, &(hp_stun_message_t){.type = HP_STUN_SUCCESS,
                                                                .transaction = transaction,
                                                                .username = "0123456789abcdef:b",
                                                                .mapped = &addresses[i],
                                                                .key = "key",
                                                                .key_length = 3});
        assert_int_equal(hp_stun_parse(&stun, out, length), 0);
        assert_int_equal(stun.type, HP_STUN_SUCCESS);
        assert_memory_equal(stun.transaction, transaction, sizeof transaction);
        assert_string_equal(stun.username, "0123456789abcdef:b");
        assert_memory_equal(&stun.mapped, &addresses[i], hp_sockaddr_length(&addresses[i]));
        assert_true(hp_stun_verify(&stun, "key", 3));
        assert_false(hp_stun_verify(&stun, "kex", 3));
    }
}

static void a_message_with_any_bit_flipped_is_refused(void **state)
{
    (void)state;
    for (size_t bit = 0; bit < 8 * sizeof answer4; bit++) {
        uint8_t data[sizeof answer4];
        hp_stun_t stun;
        memcpy(data, answer4, sizeof data);
        data[bit / 8] ^= (uint8_t)(1 << bit % 8);
        assert_int_equal(hp_stun_parse(&stun, data, sizeof data), HP_E_INVALID);
    }
}

static void a_message_that_is_cut_or_lengthened_is_refused(void **state)
{
    (void)state;
    uint8_t data[sizeof request + 4] = {0};
    memcpy(data, request, sizeof request);
    hp_stun_t stun;
    for (size_t length = 0; length <= sizeof data; length++)
        assert_int_equal(hp_stun_parse(&stun, data, length), length == sizeof request ? 0 : HP_E_INVALID);
}

static void an_attribute_that_reaches_past_the_end_is_refused(void **state)
{
    (void)state;
    hp_stun_t stun;
    uint8_t data[64] = {0x00, 0x01, 0, 0, 0x21, 0x12, 0xa4, 0x42};
    memcpy(data + 20, (const uint8_t[]){0x80, 0x22, 0x00, 0x05, 'a', 'b', 'c', 'd'},
           8); /* SOFTWARE of 5 bytes */
    assert_int_equal(hp_stun_parse(&stun, data, finish(data, 28)), HP_E_INVALID);
    data[23] = 4;
    assert_int_equal(hp_stun_parse(&stun, data, finish(data, 28)), 0);
}

static void nothing_but_the_fingerprint_counts_after_the_integrity(void **state)
{
    (void)state;
    uint8_t data[HP_STUN_MAX];
    hp_stun_t stun;
    size_t length = hp_stun_write(data, &(hp_stun_message_t){.type = HP_STUN_REQUEST,
                                                             .transaction = (const uint8_t *)"abcdefghijkl",
                                                             .key = "key",
                                                             .key_length = 3}) -
                    8;
    memcpy(data + length, (const uint8_t[]){0x00, 0x06, 0x00, 0x04, 'e', 'v', 'i', 'l'}, 8);
    assert_int_equal(hp_stun_parse(&stun, data, finish(data, length + 8)), 0);
    assert_string_equal(stun.username, "");
    assert_true(hp_stun_verify(&stun, "key", 3));
}

static void a_server_tells_the_address_and_names_what_it_does_not_understand(void **state)
{
    (void)state;
    uint8_t question[HP_STUN_MAX], out[HP_STUN_MAX];
    hp_stun_t stun;
    hp_sockaddr_t client = address_of("203.0.113.5", 4711);
    size_t asked =
        hp_stun_write(question, &(hp_stun_message_t){.type = HP_STUN_REQUEST,
                                                     .transaction = (const uint8_t *)"abcdefghijkl"});
    size_t length = hp_stun_answer(out, question, asked, &client);
    assert_in_range(length, 1, asked + 24);
    assert_int_equal(hp_stun_parse(&stun, out, length), 0);
    assert_int_equal(stun.type, HP_STUN_SUCCESS);
    assert_memory_equal(stun.transaction, "abcdefghijkl", 12);
    assert_memory_equal(&stun.mapped, &client, sizeof client.v4);

    length = hp_stun_answer(out, request, sizeof request, &client);
    assert_int_equal(hp_stun_parse(&stun, out, length), 0);
    assert_int_equal(stun.type, HP_STUN_ERROR);
    assert_int_equal(stun.error, 420);

    assert_int_equal(hp_stun_answer(out, answer4, sizeof answer4, &client), 0); /* an answer gets no answer */
    assert_int_equal(hp_stun_answer(out, request, sizeof request - 1, &client), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_request_of_rfc_5769_is_read),
        cmocka_unit_test(the_answers_of_rfc_5769_tell_their_addresses),
        cmocka_unit_test(the_integrity_of_rfc_8489_holds),
        cmocka_unit_test(what_is_written_is_read_back),
        cmocka_unit_test(a_message_with_any_bit_flipped_is_refused),
        cmocka_unit_test(a_message_that_is_cut_or_lengthened_is_refused),
        cmocka_unit_test(an_attribute_that_reaches_past_the_end_is_refused),
        cmocka_unit_test(nothing_but_the_fingerprint_counts_after_the_integrity),
        cmocka_unit_test(a_server_tells_the_address_and_names_what_it_does_not_understand),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
