// libs: inbox transfer share fetch secure store db identity path pool os base
/* Which small pictures of an offer are shown. */
#include <openssl/evp.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "inbox/picture.h"

#define START "data:image/jpeg;base64,"

static char url[2 * HP_PICTURE_MAX];

static const char *url_of(const uint8_t *data, size_t length)
{
    memcpy(url, START, sizeof START);
    EVP_EncodeBlock((uint8_t *)url + strlen(START), data, (int)length);
    return url;
}

/* SOI, a comment of `comment` bytes, the frame's header, `rest` bytes. */
static size_t make(uint8_t *out, uint8_t frame, unsigned lines, unsigned columns, size_t comment, size_t rest)
{
    size_t at = 0;
    out[at++] = 0xff, out[at++] = 0xd8;
    out[at++] = 0xff, out[at++] = 0xfe;
    out[at++] = (uint8_t)((comment + 2) >> 8), out[at++] = (uint8_t)(comment + 2);
    memset(out + at, 'c', comment);
    at += comment;
    const uint8_t header[] = {0xff,
                              frame,
                              0,
                              8,
                              8,
                              (uint8_t)(lines >> 8),
                              (uint8_t)lines,
                              (uint8_t)(columns >> 8),
                              (uint8_t)columns,
                              1};
    memcpy(out + at, header, sizeof header);
    at += sizeof header;
    memset(out + at, 0x5a, rest);
    return at + rest;
}

static bool fits(uint8_t frame, unsigned lines, unsigned columns, size_t comment, size_t rest)
{
    static uint8_t data[HP_PICTURE_MAX];
    return hp_picture_fits(url_of(data, make(data, frame, lines, columns, comment, rest)));
}

static void small_jpegs_fit(void **state)
{
    (void)state;
    for (unsigned frame = 0xc0; frame <= 0xc2; frame++)
        assert_true(fits((uint8_t)frame, 128, 96, 0, 100));
    assert_true(fits(0xc0, 1, 1, 0, 0));
    assert_true(fits(0xc0, HP_PICTURE_SIDE, HP_PICTURE_SIDE, 3000, 1000));
}

static void what_decodes_to_much_does_not(void **state)
{
    (void)state;
    assert_false(fits(0xc0, HP_PICTURE_SIDE + 1, 10, 0, 100));
    assert_false(fits(0xc0, 10, 65535, 0, 100));
    assert_false(fits(0xc0, 0, 10, 0, 100));  /* the lines come after the scan */
    assert_false(fits(0xc3, 10, 10, 0, 100)); /* lossless */
    assert_false(fits(0xc9, 10, 10, 0, 100)); /* arithmetic coding */
    assert_false(fits(0xd8, 10, 10, 0, 100));
    assert_false(fits(0xda, 10, 10, 0, 100)); /* a scan before the frame */
}

static void other_texts_do_not(void **state)
{
    (void)state;
    static uint8_t data[HP_PICTURE_MAX];
    size_t length = make(data, 0xc0, 10, 10, 0, 0);
    for (size_t cut = 0; cut < length - 1; cut++)
        assert_false(hp_picture_fits(url_of(data, cut)));
    assert_true(hp_picture_fits(url_of(data, length)));

    static const char *const others[] = {
        "",
        "data:",
        START,
        START "=",
        START "====",
        START "/9j/4",
        "data:image/png;base64,iVBORw0KGgo=",
        "data:image/svg+xml;base64,PHN2Zz4=",
        "http://10.0.0.1/track.jpg",
        "javascript:alert(1)",
        START "/9j/ /9j",
    };
    for (size_t i = 0; i < sizeof others / sizeof others[0]; i++)
        assert_false(hp_picture_fits(others[i]));

    size_t most = (HP_PICTURE_MAX - strlen(START)) / 4 * 3;
    memset(data, 0, sizeof data);
    make(data, 0xc0, 10, 10, 0, 0);
    assert_true(hp_picture_fits(url_of(data, most)));
    assert_false(hp_picture_fits(url_of(data, most + 3)));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(small_jpegs_fit),
        cmocka_unit_test(what_decodes_to_much_does_not),
        cmocka_unit_test(other_texts_do_not),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
