/* The filter for system calls: a list of what is refused. A list of what is allowed would have to follow
 * every release of ten libraries, on every architecture, and break the program of whoever has a newer one. */
#include <errno.h>
#include <sched.h>
#include <seccomp.h>
#include <sys/ioctl.h>
#include <sys/socket.h>

#include "base/mem.h"
#include "os/linux/sandbox.h"

/* LeakSanitizer stops the threads of its own process by ptrace(2). */
#if defined(__SANITIZE_ADDRESS__)
#define STOPS_ITS_OWN_THREADS 1
#else
#define STOPS_ITS_OWN_THREADS 0
#endif

/* Neither hostpair nor a library of it makes these. Names that this architecture or libseccomp does not know
 * are passed over. */
static const char *const refused[] = {
    /* other processes */
    "process_vm_readv", "process_vm_writev", "kcmp", "pidfd_getfd", "process_madvise",
    /* what is mounted where, and other namespaces */
    "mount", "umount", "umount2", "pivot_root", "chroot", "move_mount", "open_tree", "fsopen", "fsconfig",
    "fsmount", "fspick", "mount_setattr", "setns", "unshare", "open_by_handle_at",
    /* the kernel and the machine */
    "kexec_load", "kexec_file_load", "init_module", "finit_module", "delete_module", "bpf", "perf_event_open",
    "userfaultfd", "reboot", "swapon", "swapoff", "acct", "quotactl", "quotactl_fd", "syslog", "iopl",
    "ioperm", "modify_ldt", "vm86", "vm86old", "uselib", "lookup_dcookie", "nfsservctl", "_sysctl", "sysfs",
    "vhangup", "personality", "fanotify_init",
    /* the clock and the names of the machine */
    "settimeofday", "clock_settime", "clock_adjtime", "adjtimex", "stime", "sethostname", "setdomainname",
    /* keys that the kernel holds for others */
    "keyctl", "add_key", "request_key",
    /* calls by a way that this filter does not see; libuv does without */
    "io_uring_setup", "io_uring_enter", "io_uring_register"};

static const int namespaces[] = {CLONE_NEWUSER, CLONE_NEWNS,  CLONE_NEWNET,   CLONE_NEWPID,
                                 CLONE_NEWIPC,  CLONE_NEWUTS, CLONE_NEWCGROUP};

static const unsigned long typing[] = {TIOCSTI, 0x541c /* TIOCLINUX: input and selection of a console */};

static int refuse(scmp_filter_ctx filter, const char *name, uint32_t how, unsigned conditions,
                  struct scmp_arg_cmp condition)
{
    int number = seccomp_syscall_resolve_name(name);
    if (number == __NR_SCMP_ERROR)
        return 0;
    int rc = seccomp_rule_add_array(filter, how, number, conditions, &condition);
    return rc == -EDOM || rc == -EEXIST ? 0 : rc; /* not on this architecture; twice */
}

/* Sockets: the four families that are used (local, both of IP, netlink), and none of those that few have ever
 * read. */
static int refuse_families(scmp_filter_ctx filter)
{
    int rc = refuse(filter, "socket", SCMP_ACT_ERRNO(EAFNOSUPPORT), 1, SCMP_A0(SCMP_CMP_GT, AF_NETLINK, 0));
    for (scmp_datum_t family = 0; rc == 0 && family < AF_NETLINK; family++)
        if (family != AF_UNSPEC && family != AF_UNIX && family != AF_INET && family != AF_INET6)
            rc = refuse(filter, "socket", SCMP_ACT_ERRNO(EAFNOSUPPORT), 1, SCMP_A0(SCMP_CMP_EQ, family, 0));
    return rc;
}

/* A filter does not see the flags of clone3(2); without that call the C library takes clone(2). */
static int refuse_namespaces(scmp_filter_ctx filter)
{
    int rc = refuse(filter, "clone3", SCMP_ACT_ERRNO(ENOSYS), 0, SCMP_A0(SCMP_CMP_EQ, 0, 0));
    for (size_t i = 0; rc == 0 && i < HP_COUNT(namespaces); i++) {
        scmp_datum_t flag = (scmp_datum_t)namespaces[i];
        rc = refuse(filter, "clone", SCMP_ACT_ERRNO(EPERM), 1, SCMP_A0(SCMP_CMP_MASKED_EQ, flag, flag));
    }
    return rc;
}

static int fill(scmp_filter_ctx filter)
{
    const struct scmp_arg_cmp none = SCMP_A0(SCMP_CMP_EQ, 0, 0);
    int rc = 0;
    for (size_t i = 0; rc == 0 && i < HP_COUNT(refused); i++)
        rc = refuse(filter, refused[i], SCMP_ACT_ERRNO(EPERM), 0, none);
    if (rc == 0 && !STOPS_ITS_OWN_THREADS)
        rc = refuse(filter, "ptrace", SCMP_ACT_ERRNO(EPERM), 0, none);
    for (size_t i = 0; rc == 0 && i < HP_COUNT(typing); i++)
        rc = refuse(filter, "ioctl", SCMP_ACT_ERRNO(EPERM), 1,
                    SCMP_A1(SCMP_CMP_MASKED_EQ, 0xffffffff, typing[i]));
    if (rc == 0)
        rc = refuse_families(filter);
    if (rc == 0)
        rc = refuse_namespaces(filter);
    return rc;
}

int hp_sandbox_refuse_calls(void)
{
    scmp_filter_ctx filter = seccomp_init(SCMP_ACT_ALLOW);
    if (filter == NULL)
        return -ENOMEM;
    /* The numbers of another architecture's calls mean other calls. */
    seccomp_attr_set(filter, SCMP_FLTATR_ACT_BADARCH, SCMP_ACT_ERRNO(ENOSYS));
    seccomp_attr_set(filter, SCMP_FLTATR_CTL_OPTIMIZE, 2); /* a tree; older releases of the library: a line */
    int rc = fill(filter);
    if (rc == 0)
        rc = seccomp_load(filter);
    seccomp_release(filter);
    return rc;
}
