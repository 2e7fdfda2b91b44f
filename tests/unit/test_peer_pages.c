// libs: peer path os base
/* The pure parts of the peer: paths of URLs, entity tags, the guest page. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <openssl/evp.h>

#include "peer/called.h"
#include "peer/etag.h"
#include "peer/guest_page.h"
#include "peer/url_path.h"

static void paths_are_decoded_once_and_never_normalised(void **state)
{
    (void)state;
    const struct {
        const char *encoded, *path;
    } cases[] = {
        {"a.txt", "a.txt"},
        {"a%20b/c%23%3f", "a b/c#?"},
        {"%E2%82%AC", "\xe2\x82\xac"},
        {"%252e%252e/x", "%2e%2e/x"},
        {"a//b", "a//b"},
        {"a/./../b", "a/./../b"},
        {"%2e%2e/b", "../b"},
        {"a+b", "a+b"},
        {"", ""},
        {"a%2fb", NULL},
        {"a%2Fb", NULL},
        {"..%2f..%2fetc", NULL},
        {"a%00b", NULL},
        {"a%", NULL},
        {"a%4", NULL},
        {"a%zz", NULL},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        char *path = hp_url_path_decode(cases[i].encoded);
        if (cases[i].path != NULL) {
            assert_non_null(path);
            assert_string_equal(path, cases[i].path);
        } else {
            assert_null(path);
        }
        free(path);
    }
}

static void a_path_may_be_as_long_as_the_file_system_takes(void **state)
{
    (void)state;
    char longest[3 * 4096 + 1] = "";
    for (int i = 0; i < 4095; i++)
        memcpy(longest + 3 * i, i % 2 == 0 ? "%61" : "%62", 4);
    char *path = hp_url_path_decode(longest);
    assert_non_null(path);
    assert_int_equal(strlen(path), 4095);
    free(path);
    memcpy(longest + 3 * 4095, "%61", 4);
    assert_null(hp_url_path_decode(longest));
    memset(longest, 'a', 4095);
    strcpy(longest + 4095, "/b");
    assert_null(hp_url_path_decode(longest));
}

static void the_first_segment_is_compared_decoded(void **state)
{
    (void)state;
    char first[16];
    const char *rest;
    assert_true(hp_url_path_first("%6cist", first, sizeof first, &rest));
    assert_string_equal(first, "list");
    assert_null(rest);
    assert_true(hp_url_path_first("files/a%2fb", first, sizeof first, &rest));
    assert_string_equal(first, "files");
    assert_string_equal(rest, "a%2fb");
    assert_true(hp_url_path_first("list/", first, sizeof first, &rest));
    assert_string_equal(rest, "");
    assert_false(hp_url_path_first("%zz", first, sizeof first, &rest));
    assert_false(hp_url_path_first("longer-than-any-word", first, sizeof first, &rest));
}

static struct stat a_stat(void)
{
    return (struct stat){.st_dev = 1, .st_ino = 2, .st_size = 3, .st_mtim = {1000, 5}, .st_ctim = {2000, 6}};
}

static void a_tag_changes_with_each_part_of_the_identity(void **state)
{
    (void)state;
    char tags[8][HP_ETAG_SIZE];
    struct stat stats[7];
    for (int i = 0; i < 7; i++)
        stats[i] = a_stat();
    stats[1].st_dev++;
    stats[2].st_ino++;
    stats[3].st_size++;
    stats[4].st_mtim.tv_nsec++;
    stats[5].st_ctim.tv_nsec++;
    stats[6].st_ctim.tv_sec++;
    for (int i = 0; i < 7; i++) {
        hp_etag_of(&stats[i], true, tags[i]);
        assert_int_equal(strlen(tags[i]), 34);
        assert_int_equal(strspn(tags[i] + 1, "0123456789abcdef"), 32);
        for (int j = 0; j < i; j++)
            assert_string_not_equal(tags[i], tags[j]);
    }
    struct stat same = a_stat();
    same.st_atim.tv_sec = 7;
    hp_etag_of(&same, false, tags[7]);
    assert_int_equal(strncmp(tags[7], "W/", 2), 0);
    assert_string_equal(tags[7] + 2, tags[0]);
}

static void a_tag_is_strong_once_no_write_can_share_its_ctime(void **state)
{
    (void)state;
    const int64_t second = 1000000000, changed = 2000 * second + 6;
    struct stat stat = a_stat();
    assert_int_equal(hp_etag_age(&stat, changed + 20000000), HP_ETAG_SETTLED);
    assert_int_equal(hp_etag_age(&stat, changed + 19999999), HP_ETAG_RECENT);
    assert_int_equal(hp_etag_age(&stat, changed - second), HP_ETAG_RECENT);
    assert_int_equal(hp_etag_age(&stat, changed - 2 * second), HP_ETAG_SETTLED); /* the clock was set back */
    stat.st_mtim.tv_nsec = stat.st_ctim.tv_nsec = 0;
    assert_int_equal(hp_etag_age(&stat, 2000 * second + second), HP_ETAG_COARSE);
    assert_int_equal(hp_etag_age(&stat, 2002 * second), HP_ETAG_SETTLED);
    assert_int_equal(hp_etag_age(&stat, 1998 * second), HP_ETAG_SETTLED);
}

static char *page_of(const hp_guest_view_t *view)
{
    hp_buf_t out;
    hp_buf_init(&out, 1024 * 1024);
    assert_int_equal(hp_guest_write(view, &out), 0);
    return hp_buf_take(&out);
}

static void names_on_the_page_are_escaped(void **state)
{
    (void)state;
    hp_guest_entry_t entries[] = {
        {.name = "<script>alert(1)</script>.txt", .size = 1234567},
        {.name = "\"><img src=x onerror='y'>.png", .size = 5},
        {.name = "a&b %41?#.mp3", .size = 0},
        {.name = "in \"ner\"", .folder = true},
    };
    hp_guest_view_t view = {.host = "<b>host</b>",
                            .version = "1",
                            .folder = "x<y/z&",
                            .next = "x<y/z&/\"q",
                            .entries = entries,
                            .count = 4};
    char *page = page_of(&view);
    assert_null(strstr(page, "<script>alert"));
    assert_null(strstr(page, "<b>"));
    assert_null(strstr(page, "onerror='"));
    assert_non_null(strstr(page, ">&#60;script&#62;alert(1)&#60;/script&#62;.txt</a>"));
    assert_non_null(strstr(page, "href=\"/files/x%3Cy/z%26/a%26b%20%2541%3F%23.mp3\""));
    assert_non_null(
        strstr(page, "<audio controls preload=\"none\" src=\"/files/x%3Cy/z%26/a%26b%20%2541%3F%23.mp3\">"));
    assert_non_null(strstr(page,
                           "<img loading=\"lazy\" "
                           "src=\"/files/x%3Cy/z%26/%22%3E%3Cimg%20src%3Dx%20onerror%3D%27y%27%3E.png\" "
                           "alt=\"&#34;&#62;&#60;img src=x onerror=&#39;y&#39;&#62;.png\">"));
    assert_non_null(strstr(page, "href=\"/?folder=x%3Cy/z%26/in%20%22ner%22\">in &#34;ner&#34;</a>"));
    assert_non_null(strstr(page, "href=\"/?folder=x%3Cy/z%26&amp;after=x%3Cy/z%26/%22q\">"));
    assert_non_null(strstr(page, "<a href=\"/?folder=x%3Cy\">x&#60;y</a> / z&#38;</nav>"));
    assert_non_null(strstr(page, "1.2 MB"));
    free(page);
}

static void a_name_cannot_turn_around_what_follows_it(void **state)
{
    (void)state;
    hp_guest_entry_t entries[] = {{.name = "photo\xe2\x80\xaegpj.exe", .size = 5}};
    hp_guest_view_t view = {
        .host = "a\xe2\x81\xa7 host", .version = "1", .folder = "", .entries = entries, .count = 1};
    char *page = page_of(&view);
    assert_null(strstr(page, "\xe2\x80\xae"));
    assert_null(strstr(page, "\xe2\x81\xa7"));
    assert_non_null(strstr(page, ">photo\\xe2\\x80\\xaegpj.exe</a>"));
    assert_non_null(strstr(page, "href=\"/files/photo%E2%80%AEgpj.exe\"")); /* the file is not lost */
    assert_non_null(strstr(page, "value=\"photo&#8238;gpj.exe\""));
    free(page);
}

static void folders_come_first_and_an_empty_page_says_so(void **state)
{
    (void)state;
    hp_guest_entry_t entries[] = {{.name = "a.txt"}, {.name = "folder", .folder = true}};
    hp_guest_view_t view = {
        .host = "h", .version = "1", .folder = "", .first = true, .entries = entries, .count = 2};
    char *page = page_of(&view);
    assert_true(strstr(page, ">folder</a>") < strstr(page, ">a.txt</a>"));
    assert_null(strstr(page, "<nav>"));
    assert_null(strstr(page, "rel=\"next\""));
    assert_non_null(strstr(page, "href=\"/files/?archive=zip\">Download all as zip</a>"));
    assert_non_null(
        strstr(page, "<form method=\"post\" action=\"/hostpair/archive?archive=zip&amp;folder=\">"));
    assert_non_null(strstr(page, "aria-label=\"Choose a.txt\" value=\"a.txt\">"));
    free(page);
    view.folder = "a b/\"<";
    page = page_of(&view);
    assert_non_null(strstr(page, "href=\"/files/a%20b/%22%3C/?archive=tar\">as tar</a>"));
    assert_non_null(
        strstr(page, "formaction=\"/hostpair/archive?archive=tar&amp;folder=a%20b/%22%3C\">as tar</button>"));
    free(page);
    view.count = 0;
    page = page_of(&view);
    assert_non_null(strstr(page, "There is nothing here."));
    assert_null(strstr(page, "archive="));
    free(page);
    view.chinese = true;
    page = page_of(&view);
    assert_non_null(strstr(page, "lang=\"zh-Hans\""));
    free(page);
}

static void assert_policy_names(const char *directive, const char *text)
{
    uint8_t digest[32];
    char base64[48], wanted[80];
    assert_int_equal(EVP_Digest(text, strlen(text), digest, NULL, EVP_sha256(), NULL), 1);
    EVP_EncodeBlock((unsigned char *)base64, digest, sizeof digest);
    snprintf(wanted, sizeof wanted, "%s 'sha256-%s';", directive, base64);
    if (strstr(hp_guest_csp, wanted) == NULL)
        fail_msg("the policy should say %s", wanted);
}

static void the_policy_allows_exactly_the_page_s_style_and_script(void **state)
{
    (void)state;
    assert_policy_names("style-src", hp_guest_style);
    assert_policy_names("script-src", hp_guest_script);
    assert_null(strpbrk(hp_guest_style, "<&"));
    assert_null(strstr(hp_guest_script, "</script"));
    assert_null(strstr(hp_guest_script, "<!--"));
}

static void a_guest_may_send_where_files_are_taken(void **state)
{
    (void)state;
    hp_guest_view_t view = {.host = "h", .version = "1", .folder = "", .first = true};
    char *page = page_of(&view);
    assert_null(strstr(page, "<form"));
    assert_null(strstr(page, "<script"));
    free(page);
    view.send = true;
    page = page_of(&view);
    assert_non_null(strstr(page, "action=\"/hostpair/inbox\" enctype=\"multipart/form-data\""));
    assert_non_null(strstr(page, "<script>"));
    assert_null(strstr(page, "name=\"pin\""));
    free(page);
    view.pin = true;
    page = page_of(&view);
    assert_true(strstr(page, "name=\"pin\"") < strstr(page, "name=\"files\"")); /* it is known before */
    free(page);
    view.note = HP_GUEST_FAILED;
    view.detail = "<b> is not allowed";
    page = page_of(&view);
    assert_non_null(strstr(page, "&#60;b&#62; is not allowed"));
    assert_null(strstr(page, "<form"));
    free(page);
    view.chinese = true;
    view.detail = "the file name \"<b>\" is not allowed";
    view.problem = "bad-name";
    page = page_of(&view);
    assert_non_null(strstr(page, "文件名不被允许： &#60;b&#62;</p>"));
    free(page);
    view.problem = "database"; /* no guest's business */
    page = page_of(&view);
    assert_non_null(strstr(page, "对方出现错误。</p>"));
    free(page);
}

static void the_language_follows_the_browser(void **state)
{
    (void)state;
    assert_true(hp_guest_prefers_chinese("zh-CN,zh;q=0.9,en;q=0.8"));
    assert_true(hp_guest_prefers_chinese("de, zh"));
    assert_true(hp_guest_prefers_chinese("en;q=0.2, zh;q=0.5"));
    assert_false(hp_guest_prefers_chinese("en-US,en;q=0.9,zh;q=0.8"));
    assert_false(hp_guest_prefers_chinese("de,fr"));
    assert_false(hp_guest_prefers_chinese("zha"));
    assert_false(hp_guest_prefers_chinese(""));
}

static void names_of_networks_are_told_from_those_of_sites(void **state)
{
    (void)state;
    const char *near[] = {"attic",        "attic.local", "ATTIC.LAN", "a.b.home.arpa",
                          "nas.internal", "attic.home",  "localhost"};
    const char *far[] = {"evil.example", "local.evil.example", "evillan.com", "nas.example.org",
                         "attic.xlan"};
    for (size_t i = 0; i < sizeof near / sizeof near[0]; i++)
        if (!hp_called_is_near(near[i]))
            fail_msg("%s is near", near[i]);
    for (size_t i = 0; i < sizeof far / sizeof far[0]; i++)
        if (hp_called_is_near(far[i]))
            fail_msg("%s is far", far[i]);
}

static void the_domains_that_are_searched_are_the_network_s_own(void **state)
{
    (void)state;
    const char *resolv =
        "# search evil.example\nnameserver 192.168.1.1\n\nsearch\tfritz.box  .Example.org.\r\n"
        "options ndots:1\ndomain house.example";
    assert_true(hp_called_is_searched("attic.fritz.box", resolv));
    assert_true(hp_called_is_searched("nas.example.org", resolv));
    assert_true(hp_called_is_searched("example.org", resolv));
    assert_true(hp_called_is_searched("a.house.example", resolv));
    assert_false(hp_called_is_searched("evil.example", resolv));
    assert_false(hp_called_is_searched("badexample.org", resolv));
    assert_false(hp_called_is_searched("x.ndots:1", resolv));
    assert_false(hp_called_is_searched("a.evil.example", "search .\n"));
    assert_false(hp_called_is_searched("a.evil.example", "search"));
    assert_false(hp_called_is_searched("a.evil.example", ""));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(paths_are_decoded_once_and_never_normalised),
        cmocka_unit_test(a_path_may_be_as_long_as_the_file_system_takes),
        cmocka_unit_test(the_first_segment_is_compared_decoded),
        cmocka_unit_test(a_tag_changes_with_each_part_of_the_identity),
        cmocka_unit_test(a_tag_is_strong_once_no_write_can_share_its_ctime),
        cmocka_unit_test(names_on_the_page_are_escaped),
        cmocka_unit_test(a_name_cannot_turn_around_what_follows_it),
        cmocka_unit_test(folders_come_first_and_an_empty_page_says_so),
        cmocka_unit_test(the_policy_allows_exactly_the_page_s_style_and_script),
        cmocka_unit_test(a_guest_may_send_where_files_are_taken),
        cmocka_unit_test(the_language_follows_the_browser),
        cmocka_unit_test(names_of_networks_are_told_from_those_of_sites),
        cmocka_unit_test(the_domains_that_are_searched_are_the_network_s_own),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
