// libs: base
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/mem.h"

static void memory_comes_zeroed(void **state)
{
    (void)state;
    unsigned char *memory = hp_alloc(1000);
    for (int i = 0; i < 1000; i++)
        assert_int_equal(memory[i], 0);
    free(memory);
}

static void nothing_still_gives_a_pointer_to_free(void **state)
{
    (void)state;
    void *a = hp_alloc(0), *b = hp_alloc_array(0, 8), *c = hp_realloc(NULL, 0);
    assert_non_null(a);
    assert_non_null(b);
    assert_non_null(c);
    free(a);
    free(b);
    free(c);
}

static void text_is_copied(void **state)
{
    (void)state;
    char *a = hp_strdup("text"), *b = hp_strndup("text", 2), *c = hp_sprintf("%d-%s", 7, "x");
    assert_string_equal(a, "text");
    assert_string_equal(b, "te");
    assert_string_equal(c, "7-x");
    free(a);
    free(b);
    free(c);
}

static void an_array_whose_size_overflows_aborts_with_a_word(void **state)
{
    (void)state;
    int pipe_fds[2];
    assert_int_equal(pipe(pipe_fds), 0);
    pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        signal(SIGABRT, SIG_DFL);
        dup2(pipe_fds[1], STDERR_FILENO);
        volatile size_t count = SIZE_MAX / 2;
        void *memory = hp_alloc_array(count, 16);
        _exit(memory != NULL ? 1 : 2);
    }
    close(pipe_fds[1]);
    char said[8192] = "";
    size_t used = 0;
    for (ssize_t n;
         used + 1 < sizeof said && (n = read(pipe_fds[0], said + used, sizeof said - 1 - used)) > 0;)
        used += (size_t)n;
    close(pipe_fds[0]);
    assert_int_equal(waitpid(child, NULL, 0), child);
    /* AddressSanitizer refuses the product before calloc returns; without it the abort is ours. */
    assert_true(strstr(said, "hostpair: out of memory") != NULL || strstr(said, "calloc-overflow") != NULL);
}

static void a_member_leads_back_to_its_struct(void **state)
{
    (void)state;
    struct thing {
        int first, second;
    } thing;
    assert_ptr_equal(HP_CONTAINER(&thing.second, struct thing, second), &thing);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(memory_comes_zeroed),
        cmocka_unit_test(nothing_still_gives_a_pointer_to_free),
        cmocka_unit_test(text_is_copied),
        cmocka_unit_test(an_array_whose_size_overflows_aborts_with_a_word),
        cmocka_unit_test(a_member_leads_back_to_its_struct),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
