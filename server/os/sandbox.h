/* What this process gives up for good at its start, so that a fault in it, or in a library, is worth less to
 * whoever finds it. What it runs inherits all of it. decisions/sandbox.md tells what is refused, and why not
 * more. */
#ifndef HP_OS_SANDBOX_H
#define HP_OS_SANDBOX_H

#include <stdbool.h>

typedef struct hp_sandbox {
    bool no_new_privileges; /* programs that it runs get no rights by set-user-ID or capabilities of files */
    bool calls;             /* system calls that hostpair never makes come back with EPERM */
    int files; /* the version of the kernel's rules for files (Landlock) that is in force; 0: there are none
                */
} hp_sandbox_t;

/* For the process, before its first thread. `folders`, up to a NULL, are the folders that it will write to,
 * and files whose folders those are: all of them stay writable, wherever they lie. What the system does not
 * have, or does not let this process do, is left out, and one line of the log names it; `out` tells what is
 * in force. */
void hp_sandbox_enter(const char *const *folders, hp_sandbox_t *out);

#endif
