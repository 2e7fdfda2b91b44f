// libs: peer path os base
/* What is read of the body of a PROPFIND, and what the answer says of a file and a folder. */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/mem.h"
#include "peer/multistatus.h"
#include "peer/propfind.h"

#define XML "<?xml version=\"1.0\" encoding=\"utf-8\"?>"

static int parse(const char *body, hp_propfind_t *out, hp_err_t *err)
{
    return hp_propfind_parse(out, body, strlen(body), err);
}

static void gives(const char *body, int status)
{
    hp_propfind_t wanted;
    hp_err_t err = {0};
    int rc = parse(body, &wanted, &err);
    if (rc != status || (status != 0) != (err.detail[0] != '\0'))
        fail_msg("%.200s: %d instead of %d (%s)", body, rc, status, err.detail);
    if (rc == 0)
        hp_propfind_dispose(&wanted);
}

static void each_question_is_understood(void **state)
{
    (void)state;
    hp_propfind_t wanted;
    hp_err_t err = {0};
    assert_int_equal(parse("", &wanted, &err), 0);
    assert_int_equal(wanted.kind, HP_PROPFIND_ALL);
    hp_propfind_dispose(&wanted);
    assert_int_equal(parse(XML "<a:propfind xmlns:a='DAV:'><a:propname/></a:propfind>", &wanted, &err), 0);
    assert_int_equal(wanted.kind, HP_PROPFIND_NAMES);
    hp_propfind_dispose(&wanted);
    assert_int_equal(parse("<propfind xmlns='DAV:'><allprop/><include><getetag/><x xmlns='urn:x'/></include>"
                           "</propfind>",
                           &wanted, &err),
                     0);
    assert_int_equal(wanted.kind, HP_PROPFIND_ALL);
    assert_int_equal(wanted.others.count, 1);
    hp_propfind_dispose(&wanted);
    assert_int_equal(parse("<propfind xmlns='DAV:'><!-- it --><prop><getetag/><q>text</q><n xmlns=''/>"
                           "<x xmlns='urn:x'/><x xmlns='urn:x'/><x xmlns='urn:y'/><getetag/></prop>"
                           "<later><prop/></later></propfind>",
                           &wanted, &err),
                     0);
    assert_int_equal(wanted.kind, HP_PROPFIND_SOME);
    assert_true(wanted.some[HP_DAV_getetag]);
    assert_false(wanted.some[HP_DAV_displayname]);
    assert_int_equal(wanted.others.count, 4);
    assert_string_equal(wanted.others.items[0].space, "DAV:");
    assert_string_equal(wanted.others.items[0].name, "q");
    assert_string_equal(wanted.others.items[1].space, "");
    assert_string_equal(wanted.others.items[1].name, "n");
    assert_string_equal(wanted.others.items[3].space, "urn:y");
    hp_propfind_dispose(&wanted);
}

static void what_is_no_question_is_refused(void **state)
{
    (void)state;
    gives("x", HP_E_BAD_REQUEST);
    gives("<propfind xmlns='DAV:'>", HP_E_BAD_REQUEST);
    gives("<propfind xmlns='DAV:'/>", HP_E_BAD_REQUEST);
    gives("<propfind><allprop/></propfind>", HP_E_BAD_REQUEST);
    gives("<lockinfo xmlns='DAV:'><allprop/></lockinfo>", HP_E_BAD_REQUEST);
    gives("<propfind xmlns='DAV:'><allprop/><propname/></propfind>", HP_E_BAD_REQUEST);
    gives("<propfind xmlns='DAV:'><prop><bar:foo xmlns:bar=''/></prop></propfind>", HP_E_BAD_REQUEST);
    gives("<propfind xmlns='DAV:'><prop><b:foo/></prop></propfind>", HP_E_BAD_REQUEST);
    gives("<?xml version='1.0' encoding='ebcdic'?><propfind xmlns='DAV:'><allprop/></propfind>",
          HP_E_BAD_REQUEST);
    gives("<propfind xmlns='DAV:'><allprop/></propfind>more", HP_E_BAD_REQUEST);
}

static void no_entity_is_declared_and_nothing_outside_is_read(void **state)
{
    (void)state;
    static const char question[] = "<propfind xmlns='DAV:'><prop>&c;</prop></propfind>";
    char body[1000];
    snprintf(body, sizeof body,
             "<!DOCTYPE propfind [<!ENTITY a 'aaaaaaaaaa'><!ENTITY b '&a;&a;&a;'><!ENTITY c '&b;&b;'>]>%s",
             question);
    gives(body, HP_E_BAD_REQUEST);
    snprintf(body, sizeof body, "<!DOCTYPE propfind [<!ENTITY c SYSTEM 'file:///etc/passwd'>]>%s", question);
    gives(body, HP_E_FORBIDDEN);
    snprintf(body, sizeof body, "<!DOCTYPE propfind [<!ENTITY %% c SYSTEM 'http://127.0.0.1/'>%%c;]>%s",
             question);
    gives(body, HP_E_FORBIDDEN);
    snprintf(body, sizeof body, "<!DOCTYPE propfind SYSTEM 'http://127.0.0.1/x.dtd'>%s", question);
    gives(body, HP_E_FORBIDDEN);
    gives("<!DOCTYPE propfind><propfind xmlns='DAV:'><allprop/></propfind>", HP_E_BAD_REQUEST);
}

/* A question with so many elements in it: before, the number in so many digits, after. */
static void gives_many(const char *before, int digits, const char *after, int count, int status)
{
    hp_buf_t body;
    hp_buf_init(&body, 1000000);
    assert_int_equal(hp_buf_add_text(&body, "<propfind xmlns='DAV:'><prop xmlns:u='urn:u'>"), 0);
    for (int i = 0; i < count; i++)
        assert_int_equal(hp_buf_printf(&body, "%s%0*d%s", before, digits, i, after), 0);
    assert_int_equal(hp_buf_add_text(&body, "</prop></propfind>"), 0);
    gives(body.data, status);
    hp_buf_dispose(&body);
}

static void sizes_are_bounded(void **state)
{
    (void)state;
    gives_many("<u:p", 1, "/>", 64, 0);
    gives_many("<u:p", 1, "/>", 65, HP_E_TOO_LARGE);
    gives_many("<u:p", 400, "/>", 11, HP_E_TOO_LARGE);
    gives_many("<getetag><!--", 1, "--></getetag>", 1000, 0);
    gives_many("<getetag><!--", 1, "--></getetag>", 1500, HP_E_TOO_LARGE);
    gives_many("<getetag>", 1, "", 40, HP_E_TOO_LARGE);
}

/* ---- the answer ---- */

static const struct stat file_stat = {.st_size = 5000000000, .st_mtim = {.tv_sec = 1000000000}};

static void says(const hp_dav_resource_t *resource, const char *body, const char *expected)
{
    hp_propfind_t wanted;
    hp_err_t err = {0};
    hp_buf_t out;
    assert_int_equal(parse(body, &wanted, &err), 0);
    hp_buf_init(&out, 10000);
    assert_int_equal(hp_multistatus_add(&out, resource, &wanted), 0);
    assert_string_equal(out.data, expected);
    hp_buf_dispose(&out);
    hp_propfind_dispose(&wanted);
}

static void a_file_and_a_folder_are_described(void **state)
{
    (void)state;
    const hp_dav_resource_t file = {
        .href = "/files/a%26b.txt", .name = "a&<\"b\xef\xbf\xbf.txt", .stat = &file_stat, .etag = "\"tag\""};
    const hp_dav_resource_t folder = {
        .href = "/files/f/", .name = "f", .is_folder = true, .stat = &file_stat};
    says(&file, "",
         "<D:response><D:href>/files/a%26b.txt</D:href><D:propstat><D:prop><D:resourcetype></D:resourcetype>"
         "<D:displayname>a&#38;&#60;&#34;b\xef\xbf\xbd.txt</D:displayname>"
         "<D:getlastmodified>Sun, 09 Sep 2001 01:46:40 GMT</D:getlastmodified>"
         "<D:getcontentlength>5000000000</D:getcontentlength><D:getcontenttype>text/plain</D:getcontenttype>"
         "<D:getetag>&#34;tag&#34;</D:getetag><D:supportedlock></D:supportedlock></D:prop>"
         "<D:status>HTTP/1.1 200 OK</D:status></D:propstat></D:response>\n");
    says(&folder,
         "<propfind xmlns='DAV:'><prop><getetag/><x xmlns='a\"&amp;&#9;b'/><y xmlns=''/></prop></propfind>",
         "<D:response><D:href>/files/f/</D:href><D:propstat><D:prop><D:getetag/>"
         "<x:x xmlns:x=\"a&#34;&#38;&#9;b\"/><y/></D:prop>"
         "<D:status>HTTP/1.1 404 Not Found</D:status></D:propstat></D:response>\n");
    says(&folder, "<propfind xmlns='DAV:'><propname/></propfind>",
         "<D:response><D:href>/files/f/</D:href><D:propstat><D:prop><D:resourcetype/><D:displayname/>"
         "<D:getlastmodified/><D:supportedlock/></D:prop><D:status>HTTP/1.1 200 OK</D:status></D:propstat>"
         "</D:response>\n");
    says(&folder, "<propfind xmlns='DAV:'><prop><resourcetype/><getcontentlength/></prop></propfind>",
         "<D:response><D:href>/files/f/</D:href><D:propstat><D:prop>"
         "<D:resourcetype><D:collection/></D:resourcetype></D:prop><D:status>HTTP/1.1 200 OK</D:status>"
         "</D:propstat><D:propstat><D:prop><D:getcontentlength/></D:prop>"
         "<D:status>HTTP/1.1 404 Not Found</D:status></D:propstat></D:response>\n");
    says(&file, "<propfind xmlns='DAV:'><prop/></propfind>",
         "<D:response><D:href>/files/a%26b.txt</D:href><D:propstat><D:prop></D:prop>"
         "<D:status>HTTP/1.1 200 OK</D:status></D:propstat></D:response>\n");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_question_is_understood),
        cmocka_unit_test(what_is_no_question_is_refused),
        cmocka_unit_test(no_entity_is_declared_and_nothing_outside_is_read),
        cmocka_unit_test(sizes_are_bounded),
        cmocka_unit_test(a_file_and_a_folder_are_described),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
