#include "test_api.h"

#define FILES "/api/v1/share/files"

static reply_t put(const char *path, const char *range, const char *body)
{
    char url[512], field[128];
    const char *fields[] = {range != NULL ? field : NULL, NULL};
    snprintf(url, sizeof url, FILES "/%s", path);
    snprintf(field, sizeof field, "Content-Range: bytes %s", range != NULL ? range : "");
    return call_with("PUT", url, fields, body, strlen(body));
}

static long put_status(const char *path, const char *range, const char *body)
{
    reply_t reply = put(path, range, body);
    long status = reply.status;
    done(&reply);
    return status;
}

static void assert_shared(const char *path, const char *text)
{
    char *there = read_file(path_in("share/%s", path));
    if (text == NULL) {
        assert_null(there);
    } else {
        assert_non_null(there);
        assert_string_equal(there, text);
    }
    free(there);
}

static void a_small_file_is_put_whole(void **state)
{
    (void)state;
    reply_t reply = put("a%20b.txt", NULL, "hello");
    assert_int_equal(reply.status, 201);
    assert_string_equal(text_of(&reply, "path"), "a b.txt");
    assert_int_equal(number_of(&reply, "size"), 5);
    done(&reply);
    assert_shared("a b.txt", "hello");
    assert_int_equal(put_status("a%20b.txt", NULL, "other"), 200);
    assert_shared("a b.txt", "other");
}

static void a_file_comes_in_pieces_and_appears_with_the_last_one(void **state)
{
    (void)state;
    reply_t reply = put("in/new/f.bin", "0-3/10", "0123");
    assert_int_equal(reply.status, 202);
    assert_int_equal(number_of(&reply, "received"), 4);
    assert_int_equal(number_of(&reply, "total"), 10);
    done(&reply);
    assert_shared("in/new/f.bin", NULL);
    assert_int_equal(put_status("in/new/f.bin", "4-7/10", "4567"), 202);
    assert_shared("in/new/f.bin", NULL);
    assert_int_equal(put_status("in/new/f.bin", "8-9/10", "89"), 201);
    assert_shared("in/new/f.bin", "0123456789");
}

static void an_upload_tells_how_much_is_there_and_goes_on(void **state)
{
    (void)state;
    assert_int_equal(put_status("f.bin", "0-3/10", "0123"), 202);
    reply_t reply = put("f.bin", "*/10", "");
    assert_int_equal(reply.status, 202);
    assert_int_equal(number_of(&reply, "received"), 4);
    done(&reply);
    reply = put("f.bin", "*/11", "");
    assert_int_equal(number_of(&reply, "received"), 0);
    done(&reply);
    reply = put("no/such/folder/f.bin", "*/10", "");
    assert_int_equal(reply.status, 202);
    assert_int_equal(number_of(&reply, "received"), 0);
    done(&reply);
    assert_int_equal(put_status("f.bin", "4-9/10", "456789"), 201);
    assert_shared("f.bin", "0123456789");
}

static void an_upload_that_is_whole_but_no_file_can_be_ended(void **state)
{
    (void)state;
    write_file(path_in("share/.f.bin.4611686018427387914.hostpair-part"), "0123456789");
    reply_t reply = put("f.bin", "*/10", "");
    assert_int_equal(reply.status, 202);
    assert_int_equal(number_of(&reply, "received"), 9);
    done(&reply);
    assert_int_equal(put_status("f.bin", "9-9/10", "9"), 201);
    assert_shared("f.bin", "0123456789");
}

static void a_piece_that_leaves_a_gap_is_refused(void **state)
{
    (void)state;
    assert_int_equal(put_status("f.bin", "4-9/10", "456789"), 409);
    assert_int_equal(put_status("f.bin", "0-3/10", "0123"), 202);
    assert_int_equal(put_status("f.bin", "5-9/10", "56789"), 409);
    assert_int_equal(put_status("f.bin", "4-9/11", "456789"), 409);
    assert_shared("f.bin", NULL);
}

static void a_piece_may_be_sent_again(void **state)
{
    (void)state;
    assert_int_equal(put_status("f.bin", "0-3/10", "0123"), 202);
    assert_int_equal(put_status("f.bin", "4-5/10", "45"), 202);
    assert_int_equal(put_status("f.bin", "4-5/10", "45"), 202);
    assert_int_equal(put_status("f.bin", "6-9/10", "6789"), 201);
    assert_int_equal(put_status("f.bin", "6-9/10", "6789"), 200);
    assert_int_equal(put_status("f.bin", "6-9/10", "6780"), 409);
    assert_shared("f.bin", "0123456789");
}

static void a_piece_at_zero_starts_over(void **state)
{
    (void)state;
    assert_int_equal(put_status("f.bin", "0-5/8", "oldold"), 202);
    assert_int_equal(put_status("f.bin", "0-3/8", "0123"), 202);
    assert_int_equal(put_status("f.bin", "6-7/8", "67"), 409);
    assert_int_equal(put_status("f.bin", "4-7/8", "4567"), 201);
    assert_shared("f.bin", "01234567");
}

static long put_new_status(const char *path, const char *range, const char *body)
{
    char url[512], field[128];
    const char *fields[] = {"If-None-Match: *", field, NULL};
    snprintf(url, sizeof url, FILES "/%s", path);
    snprintf(field, sizeof field, "Content-Range: bytes %s", range);
    reply_t reply = call_with("PUT", url, fields, body, strlen(body));
    long status = reply.status;
    done(&reply);
    return status;
}

static void a_file_that_has_to_be_new_replaces_none(void **state)
{
    (void)state;
    assert_int_equal(put_new_status("f.bin", "0-3/8", "0123"), 202);
    assert_int_equal(put_status("f.bin", NULL, "other"), 201);
    assert_int_equal(put_new_status("f.bin", "4-7/8", "4567"), 412);
    assert_int_equal(put_new_status("f.bin", "*/8", ""), 412);
    assert_int_equal(put_new_status("f.bin", "0-7/8", "01234567"), 412);
    assert_shared("f.bin", "other");
    assert_int_equal(put_new_status("g.bin", "*/8", ""), 202);
    assert_int_equal(put_new_status("g.bin", "0-3/8", "0123"), 202);
    assert_int_equal(put_new_status("g.bin", "4-7/8", "4567"), 201);
    assert_shared("g.bin", "01234567");
    assert_int_equal(put_status("g.bin", NULL, "new"), 200);
    assert_shared("g.bin", "new");
}

static void an_empty_file_is_put(void **state)
{
    (void)state;
    assert_int_equal(put_status("one", "*/0", ""), 201);
    assert_int_equal(put_status("two", NULL, ""), 201);
    assert_shared("one", "");
    assert_shared("two", "");
}

static void a_bad_piece_is_refused(void **state)
{
    (void)state;
    const char *const ranges[] = {
        "0-3/3", "0-3", "x", "0-3/*", "5-4/10", "0-9/10", "0-3/99999999999999999999"};
    for (size_t i = 0; i < HP_COUNT(ranges); i++)
        assert_int_equal(put_status("f.bin", ranges[i], "0123"), 400);
    assert_shared("f.bin", NULL);
}

static void a_name_that_leads_out_or_is_ours_is_refused(void **state)
{
    (void)state;
    assert_int_equal(symlink("..", path_in("share/up")), 0);
    const char *const names[] = {"../f",
                                 "a/../../f",
                                 "a//f",
                                 "%2Fetc%2Ff",
                                 "a/%2e%2e/%2e%2e/f",
                                 "a%0Ab",
                                 "up/f",
                                 ".f.4611686018427387914.hostpair-part",
                                 "%ff"};
    for (size_t i = 0; i < HP_COUNT(names); i++)
        assert_int_equal(put_status(names[i], NULL, "x"), 422);
    assert_int_equal(access(path_in("f"), F_OK), -1);
    assert_int_equal(put_status("a%00b", NULL, "x"), 400);
}

static void a_folder_and_a_file_do_not_replace_each_other(void **state)
{
    (void)state;
    assert_int_equal(put_status("folder/f", NULL, "x"), 201);
    assert_int_equal(put_status("folder", NULL, "x"), 409);
    assert_int_equal(put_status("folder/f/g", NULL, "x"), 409);
    assert_shared("folder/f", "x");
}

static void a_file_is_removed_from_the_disk(void **state)
{
    (void)state;
    assert_int_equal(put_status("folder/f", NULL, "x"), 201);
    assert_int_equal(status_of("DELETE", FILES "/folder", NULL), 409);
    assert_int_equal(status_of("DELETE", FILES "/folder/f", NULL), 204);
    assert_shared("folder/f", NULL);
    assert_int_equal(status_of("DELETE", FILES "/folder/f", NULL), 404);
    assert_int_equal(status_of("DELETE", FILES "/folder", NULL), 204);
    assert_int_equal(status_of("DELETE", FILES "/none/f", NULL), 404);
    assert_int_equal(status_of("DELETE", FILES "/../data", NULL), 422);
}

static void an_unfinished_upload_is_removed_but_no_download(void **state)
{
    (void)state;
    write_file(path_in("share/.f.bin.7.hostpair-part"), "a download's");
    assert_int_equal(put_status("f.bin", "0-3/10", "0123"), 202);
    assert_int_equal(status_of("DELETE", FILES "/f.bin", NULL), 204);
    reply_t reply = put("f.bin", "*/10", "");
    assert_int_equal(number_of(&reply, "received"), 0);
    done(&reply);
    assert_shared(".f.bin.7.hostpair-part", "a download's");
    assert_int_equal(status_of("DELETE", FILES "/f.bin", NULL), 404);
}

/* ---- the list ---- */

static void make_tree(void)
{
    assert_int_equal(hp_make_folder(path_in("share/b/deep"), 0700), 0);
    assert_int_equal(hp_make_folder(path_in("share/b c"), 0700), 0);
    write_file(path_in("share/Alpha.txt"), "1234567");
    write_file(path_in("share/beta.txt"), "12");
    write_file(path_in("share/b/one.txt"), "123");
    write_file(path_in("share/b/deep/two.txt"), "1234");
    write_file(path_in("share/b c/three.txt"), "12345");
    write_file(path_in("share/b.txt"), "1");
    wait_for_number(FILES "?folder=b", "total", 1);
    wait_for_number(FILES "?q=.txt", "total", 6);
}

/* "folder/ folder/ file file" of a page. */
static char *names_of(const reply_t *reply)
{
    static char names[4096];
    size_t i, used = 0;
    json_t *row;
    names[0] = '\0';
    json_array_foreach(json_object_get(reply->json, "folders"), i, row) used += (size_t)snprintf(
        names + used, sizeof names - used, "%s/ ", json_string_value(json_object_get(row, "name")));
    json_array_foreach(json_object_get(reply->json, "files"), i, row) used += (size_t)snprintf(
        names + used, sizeof names - used, "%s ", json_string_value(json_object_get(row, "name")));
    return names;
}

static void assert_page(const char *query, const char *names)
{
    char path[512];
    snprintf(path, sizeof path, FILES "%s", query);
    reply_t reply = call("GET", path, NULL);
    assert_int_equal(reply.status, 200);
    assert_string_equal(names_of(&reply), names);
    done(&reply);
}

static void folders_come_first_with_all_that_is_in_them(void **state)
{
    (void)state;
    make_tree();
    assert_page("", "b/ b c/ Alpha.txt b.txt beta.txt ");
    assert_page("?folder=b", "deep/ one.txt ");
    assert_page("?folder=b%20c", "three.txt ");
    reply_t reply = call("GET", FILES, NULL);
    const json_t *b = json_array_get(json_object_get(reply.json, "folders"), 0);
    assert_int_equal(json_integer_value(json_object_get(b, "files")), 2);
    assert_int_equal(json_integer_value(json_object_get(b, "bytes")), 7);
    assert_int_equal(number_of(&reply, "total"), 3);
    assert_int_equal(number_of(&reply, "folders_total"), 2);
    done(&reply);
    assert_int_equal(status_of("GET", FILES "?folder=none", NULL), 404);
    assert_int_equal(status_of("GET", FILES "?folder=be", NULL), 404);
}

static void files_are_sorted_as_asked(void **state)
{
    (void)state;
    make_tree();
    assert_page("?order=desc", "b c/ b/ beta.txt b.txt Alpha.txt ");
    assert_page("?sort=size", "b/ b c/ b.txt beta.txt Alpha.txt ");
    assert_page("?sort=size&order=desc", "b/ b c/ Alpha.txt beta.txt b.txt ");
    reply_t reply = call("GET", FILES "?sort=mtime", NULL);
    assert_int_equal(json_array_size(json_object_get(reply.json, "files")), 3);
    done(&reply);
}

static void a_filter_finds_files_and_folders_at_any_depth(void **state)
{
    (void)state;
    make_tree();
    assert_page("?q=T", "Alpha.txt b.txt beta.txt one.txt three.txt two.txt ");
    assert_page("?q=two", "two.txt ");
    assert_page("?q=deep", "deep/ ");
    assert_page("?q=o&folder=b", "one.txt two.txt ");
    assert_page("?q=b", "b/ b c/ b.txt beta.txt ");
    assert_page("?q=nothing", "");
}

static void pages_leave_nothing_out_and_repeat_nothing(void **state)
{
    (void)state;
    make_tree();
    for (int i = 0; i < 40; i++)
        write_file(path_in("share/%02d.bin", i), "x");
    wait_for_number(FILES, "total", 43);
    const char *const queries[] = {"sort=name", "sort=name&order=desc", "sort=size", "sort=mtime&order=desc"};
    for (size_t i = 0; i < HP_COUNT(queries); i++) {
        char path[1024], all[8192] = "";
        snprintf(path, sizeof path, FILES "?limit=4&%s", queries[i]);
        int rows = 0;
        for (int pages = 0; pages < 20; pages++) {
            reply_t reply = call("GET", path, NULL);
            assert_int_equal(reply.status, 200);
            size_t now = json_array_size(json_object_get(reply.json, "folders")) +
                         json_array_size(json_object_get(reply.json, "files"));
            assert_true(now <= 4);
            rows += (int)now;
            for (char *rest = NULL, *name = strtok_r(names_of(&reply), " ", &rest); name != NULL;
                 name = strtok_r(NULL, " ", &rest)) {
                char word[64];
                snprintf(word, sizeof word, "|%s|", name);
                if (strcmp(name, "b") != 0 && strcmp(name, "c/") != 0 && strcmp(name, "b/") != 0)
                    assert_null(strstr(all, word));
                strncat(all, word, sizeof all - strlen(all) - 1);
            }
            char *next = hp_strdup(text_of(&reply, "next"));
            done(&reply);
            char *encoded = hp_path_encode(next, strlen(next), false);
            snprintf(path, sizeof path, FILES "?limit=4&%s&cursor=%s", queries[i], encoded);
            bool last = next[0] == '\0';
            free(next);
            free(encoded);
            if (last)
                break;
        }
        assert_int_equal(rows, 45);
    }
}

static void a_bad_question_is_refused_naming_it(void **state)
{
    (void)state;
    const char *const queries[][2] = {{"sort=type", "sort"},     {"order=up", "order"},
                                      {"limit=0", "limit"},      {"limit=1001", "limit"},
                                      {"cursor=x", "cursor"},    {"cursor=d_1_%00", "cursor"},
                                      {"folder=../x", "folder"}, {"q=%ff", "q"}};
    for (size_t i = 0; i < HP_COUNT(queries); i++) {
        char path[128];
        snprintf(path, sizeof path, FILES "?%s", queries[i][0]);
        reply_t reply = call("GET", path, NULL);
        assert_int_equal(reply.status, 422);
        assert_int_equal(strncmp(text_of(&reply, "detail"), queries[i][1], strlen(queries[i][1])), 0);
        done(&reply);
    }
}

/* ---- digests ---- */

static void digests_are_those_of_other_programs(void **state)
{
    (void)state;
    const char *const known[][2] = {
        {"md5", "900150983cd24fb0d6963f7d28e17f72"},
        {"sha-1", "a9993e364706816aba3e25717850c26c9cd0d89d"},
        {"sha-256", "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"},
    };
    write_file(path_in("share/abc"), "abc");
    wait_for_number(FILES, "total", 1);
    for (int twice = 0; twice < 2; twice++) {
        for (size_t i = 0; i < HP_COUNT(known); i++) {
            char path[128];
            snprintf(path, sizeof path, "/api/v1/share/digest?path=abc&algorithm=%s", known[i][0]);
            reply_t reply = call("GET", path, NULL);
            assert_int_equal(reply.status, 200);
            assert_string_equal(text_of(&reply, "hex"), known[i][1]);
            assert_string_equal(text_of(&reply, "algorithm"), known[i][0]);
            done(&reply);
        }
    }
}

static void the_digest_of_a_changed_file_is_a_new_one(void **state)
{
    (void)state;
    write_file(path_in("share/f"), "old");
    wait_for_number(FILES, "total", 1);
    reply_t first = call("GET", "/api/v1/share/digest?path=f&algorithm=md5", NULL);
    assert_int_equal(first.status, 200);
    write_file(path_in("share/f"), "abc");
    reply_t second = call("GET", "/api/v1/share/digest?path=f&algorithm=md5", NULL);
    assert_string_equal(text_of(&second, "hex"), "900150983cd24fb0d6963f7d28e17f72");
    assert_string_not_equal(text_of(&first, "hex"), text_of(&second, "hex"));
    done(&first);
    done(&second);
}

/* A file of this size takes more than one turn of the pool. */
static void a_large_file_is_answered_later(void **state)
{
    (void)state;
    assert_int_equal(truncate(path_in("share/none"), 0), -1);
    write_file(path_in("share/large"), "");
    assert_int_equal(truncate(path_in("share/large"), 20 * 1024 * 1024), 0);
    wait_for_number(FILES, "total", 1);
    reply_t reply = call("GET", "/api/v1/share/digest?path=large&algorithm=md5", NULL);
    assert_int_equal(reply.status, 202);
    for (int i = 0; reply.status == 202 && i < WAIT_MS / 10; i++) {
        done(&reply);
        usleep(10000);
        reply = call("GET", "/api/v1/share/digest?path=large&algorithm=md5", NULL);
    }
    assert_int_equal(reply.status, 200);
    assert_string_equal(text_of(&reply, "hex"), "8f4e33f3dc3e414ff94e5fb6905cba8c");
    done(&reply);
}

static void a_digest_of_nothing_is_refused(void **state)
{
    (void)state;
    assert_int_equal(status_of("GET", "/api/v1/share/digest?path=none&algorithm=md5", NULL), 404);
    assert_int_equal(status_of("GET", "/api/v1/share/digest?path=none&algorithm=crc32", NULL), 422);
    assert_int_equal(status_of("GET", "/api/v1/share/digest?path=none", NULL), 422);
    assert_int_equal(status_of("GET", "/api/v1/share/digest?algorithm=md5", NULL), 422);
    assert_int_equal(
        status_of("GET", "/api/v1/share/digest?path=..%2Fdata%2Fhostpair.db&algorithm=md5", NULL), 404);
}

/* What is under way must not keep the process, nor be touched after its end. */
static void stopping_in_the_middle_of_digests_leaves_nothing_behind(void **state)
{
    assert_int_equal(start_plain(state), 0);
    for (int i = 0; i < 8; i++) {
        write_file(path_in("share/%d", i), "");
        assert_int_equal(truncate(path_in("share/%d", i), 300 * 1024 * 1024 + i), 0);
    }
    wait_for_number(FILES, "total", 8);
    for (int i = 0; i < 8; i++) {
        char path[128];
        snprintf(path, sizeof path, "/api/v1/share/digest?path=%d&algorithm=sha-256", i);
        assert_int_equal(status_of("GET", path, NULL), 202);
    }
    assert_int_equal(stop_plain(state), 0);
}

int main(void)
{
    curl_global_init(CURL_GLOBAL_DEFAULT);
#define TEST(name) cmocka_unit_test_setup_teardown(name, start_plain, stop_plain)
    const struct CMUnitTest tests[] = {
        TEST(a_small_file_is_put_whole),
        TEST(a_file_comes_in_pieces_and_appears_with_the_last_one),
        TEST(an_upload_tells_how_much_is_there_and_goes_on),
        TEST(an_upload_that_is_whole_but_no_file_can_be_ended),
        TEST(a_piece_that_leaves_a_gap_is_refused),
        TEST(a_piece_may_be_sent_again),
        TEST(a_piece_at_zero_starts_over),
        TEST(a_file_that_has_to_be_new_replaces_none),
        TEST(an_empty_file_is_put),
        TEST(a_bad_piece_is_refused),
        TEST(a_name_that_leads_out_or_is_ours_is_refused),
        TEST(a_folder_and_a_file_do_not_replace_each_other),
        TEST(a_file_is_removed_from_the_disk),
        TEST(an_unfinished_upload_is_removed_but_no_download),
        TEST(folders_come_first_with_all_that_is_in_them),
        TEST(files_are_sorted_as_asked),
        TEST(a_filter_finds_files_and_folders_at_any_depth),
        TEST(pages_leave_nothing_out_and_repeat_nothing),
        TEST(a_bad_question_is_refused_naming_it),
        TEST(digests_are_those_of_other_programs),
        TEST(the_digest_of_a_changed_file_is_a_new_one),
        TEST(a_large_file_is_answered_later),
        TEST(a_digest_of_nothing_is_refused),
        cmocka_unit_test(stopping_in_the_middle_of_digests_leaves_nothing_behind),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
