// libs: base
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/file.h"

static char folder[64], target[96], victim[96];

static int set_up(void **state)
{
    (void)state;
    strcpy(folder, "/tmp/hostpair-test-XXXXXX");
    if (mkdtemp(folder) == NULL)
        return -1;
    snprintf(target, sizeof target, "%s/target", folder);
    snprintf(victim, sizeof victim, "%s/victim", folder);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    unlink(target);
    unlink(victim);
    return rmdir(folder); /* nothing else is left there */
}

static void assert_holds(const char *path, const char *text)
{
    char read[64] = "";
    FILE *file = fopen(path, "re");
    assert_non_null(file);
    assert_non_null(fgets(read, sizeof read, file));
    fclose(file);
    assert_string_equal(read, text);
}

static void a_file_is_put_in_place_of_another(void **state)
{
    (void)state;
    assert_int_equal(hp_replace_file(target, "one", 3, 0644), 0);
    assert_holds(target, "one");
    assert_int_equal(hp_replace_file(target, "other", 5, 0644), 0);
    assert_holds(target, "other");
}

static void nobody_else_may_write_it_whatever_the_umask(void **state)
{
    (void)state;
    struct stat st;
    mode_t old = umask(0);
    int rc = hp_replace_file(target, "x", 1, 0644);
    umask(077);
    int second = hp_replace_file(victim, "x", 1, 0644);
    umask(old);
    assert_int_equal(rc, 0);
    assert_int_equal(second, 0);
    assert_int_equal(stat(target, &st), 0);
    assert_int_equal(st.st_mode & 0777, 0644);
    assert_int_equal(stat(victim, &st), 0);
    assert_int_equal(st.st_mode & 0777, 0600);
}

static void a_link_that_stands_there_is_replaced_and_not_followed(void **state)
{
    (void)state;
    struct stat st;
    assert_int_equal(hp_replace_file(victim, "mine", 4, 0600), 0);
    assert_int_equal(symlink(victim, target), 0);
    assert_int_equal(hp_replace_file(target, "new", 3, 0644), 0);
    assert_holds(victim, "mine");
    assert_holds(target, "new");
    assert_int_equal(lstat(target, &st), 0);
    assert_true(S_ISREG(st.st_mode));
}

static void a_failure_leaves_nothing_behind(void **state)
{
    (void)state;
    char inside[128];
    snprintf(inside, sizeof inside, "%s/none/target", folder);
    assert_int_equal(hp_replace_file(inside, "x", 1, 0644), -ENOENT);
    assert_int_equal(mkdir(target, 0700), 0);
    assert_int_equal(hp_replace_file(target, "x", 1, 0644), -EISDIR);
    assert_int_equal(rmdir(target), 0);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        TEST(a_file_is_put_in_place_of_another),
        TEST(nobody_else_may_write_it_whatever_the_umask),
        TEST(a_link_that_stands_there_is_replaced_and_not_followed),
        TEST(a_failure_leaves_nothing_behind),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
