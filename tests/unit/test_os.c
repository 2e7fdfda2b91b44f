// libs: os base
#include <stdlib.h>
#include <string.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "os/boot.h"

static void the_boot_id_has_36_characters_and_the_environment_replaces_it(void **state)
{
    (void)state;
    char id[HP_BOOT_ID_SIZE];
    unsetenv("HOSTPAIR_BOOT_ID");
    assert_int_equal(hp_boot_id(id), 0);
    assert_int_equal(strlen(id), 36);
    setenv("HOSTPAIR_BOOT_ID", "another-boot", 1);
    assert_int_equal(hp_boot_id(id), 0);
    assert_string_equal(id, "another-boot");
    unsetenv("HOSTPAIR_BOOT_ID");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_boot_id_has_36_characters_and_the_environment_replaces_it),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
