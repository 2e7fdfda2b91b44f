/* The two halves of os/sandbox.h on Linux. Both expect PR_SET_NO_NEW_PRIVS to be set. */
#ifndef HP_OS_LINUX_SANDBOX_H
#define HP_OS_LINUX_SANDBOX_H

/* seccomp(2). 0 or a negative errno. */
int hp_sandbox_refuse_calls(void);

/* landlock(7). The version that is in force, or a negative errno: -ENOSYS or -EOPNOTSUPP where the kernel has
 * none. */
int hp_sandbox_restrict_files(const char *const *folders);

#endif
