#include "os/sandbox.h"

#include <errno.h>
#include <string.h>
#include <sys/prctl.h>
#include <unistd.h>

#include "base/err.h"
#include "base/log.h"
#include "base/mem.h"
#include "os/linux/sandbox.h"

void hp_sandbox_enter(const char *const *folders, hp_sandbox_t *out)
{
    *out = (hp_sandbox_t){0};
    if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0) {
        hp_log(HP_LOG_WARN, "sandbox: this system has none: %s", strerror(errno));
        return;
    }
    out->no_new_privileges = true;
    /* The rules for files come first: the filter does not have to let their calls through. */
    int files = hp_sandbox_restrict_files(folders);
    out->files = HP_MAX(files, 0);
    if (files > 0 && geteuid() == 0)
        hp_err_explain_no_access(
            "Permission denied: it is a folder of the system, or on a disk that was mounted "
            "on a folder like /mnt after hostpair's start; start hostpair again, or with "
            "--no-sandbox");
    int calls = hp_sandbox_refuse_calls();
    out->calls = calls == 0;
    if (files < 0)
        hp_log(HP_LOG_INFO,
               "sandbox: no rules for files: the kernel has no Landlock, or forbids it here (%s)",
               strerror(-files));
    if (calls < 0)
        hp_log(HP_LOG_INFO,
               "sandbox: system calls are not limited: the kernel has no seccomp, or forbids it here (%s)",
               strerror(-calls));
    hp_log(HP_LOG_DEBUG, "sandbox: system calls %s, Landlock %d", out->calls ? "limited" : "not limited",
           out->files);
}
