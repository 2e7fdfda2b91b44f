/* Prints hostpair(1) while hostpair is built. */
#include "cli/man.h"

int main(void)
{
    hp_man_print(stdout);
    return fflush(stdout) == 0 && !ferror(stdout) ? 0 : 1;
}
