// libs: os base
/* Each case enters the sandbox in a process of its own, as there is no way back. */
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/ptrace.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/err.h"
#include "base/mem.h"
#include "os/sandbox.h"

#define OTHER 99 /* an exit status that is no errno of these tests */

static char dir[64];
static hp_sandbox_t here; /* what this kernel has */

/* What fn comes to inside of the sandbox: 0 or an errno. */
static int inside(int (*fn)(void), const char *const *folders)
{
    pid_t child = fork();
    if (child == 0) {
        hp_sandbox_t sandbox;
        hp_sandbox_enter(folders, &sandbox);
        _exit(fn());
    }
    int status = 0;
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFEXITED(status));
    return WEXITSTATUS(status);
}

static int in_sandbox(int (*fn)(void))
{
    return inside(fn, (const char *const[]){dir, NULL});
}

static int result(long rc)
{
    return rc < 0 ? errno : 0;
}

/* A file of the status of this process, such as "Seccomp:". */
static int status_of(const char *field)
{
    char line[256];
    int value = -1;
    FILE *file = fopen("/proc/self/status", "re");
    while (file != NULL && fgets(line, sizeof line, file) != NULL)
        if (strncmp(line, field, strlen(field)) == 0)
            value = atoi(line + strlen(field));
    if (file != NULL)
        fclose(file);
    return value;
}

static int no_new_privileges(void)
{
    return status_of("NoNewPrivs:");
}

static int seccomp_mode(void)
{
    return status_of("Seccomp:");
}

static int do_mount(void)
{
    return result(mount("none", dir, "tmpfs", 0, NULL));
}

static int do_unshare(void)
{
    return result(unshare(CLONE_NEWUSER));
}

static int do_clone(void)
{
    long pid = syscall(SYS_clone, CLONE_NEWUSER | 17 /* SIGCHLD */, NULL, NULL, NULL, 0);
    if (pid == 0)
        _exit(0);
    return result(pid);
}

static int do_bpf(void)
{
    return result(syscall(SYS_bpf, 0, NULL, 0));
}

static int do_module(void)
{
    return result(syscall(SYS_delete_module, "none", 0));
}

static int do_key(void)
{
    return result(syscall(SYS_add_key, "user", "hostpair", "x", 1, -3));
}

static int do_read_other(void)
{
    return result(syscall(SYS_process_vm_readv, getppid(), NULL, 0, NULL, 0, 0));
}

static int do_io_uring(void)
{
    return result(syscall(SYS_io_uring_setup, 0, NULL));
}

static int do_ptrace(void)
{
    return result(ptrace(PTRACE_TRACEME, 0, NULL, NULL));
}

static int open_family(int family)
{
    return result(socket(family, SOCK_DGRAM | SOCK_CLOEXEC, 0));
}

static int do_crypto_socket(void)
{
    return open_family(AF_ALG);
}

static int do_packet_socket(void)
{
    return open_family(AF_PACKET);
}

static int do_old_socket(void)
{
    return open_family(AF_APPLETALK);
}

static int do_used_sockets(void)
{
    int rc = open_family(AF_INET);
    rc = rc == 0 ? open_family(AF_INET6) : rc;
    rc = rc == 0 ? open_family(AF_UNIX) : rc;
    return rc == 0 ? result(socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, 0)) : rc;
}

static void *run_thread(void *arg)
{
    *(int *)arg = 1;
    return NULL;
}

static int do_thread(void)
{
    pthread_t thread;
    int ran = 0;
    int rc = pthread_create(&thread, NULL, run_thread, &ran);
    if (rc == 0)
        rc = pthread_join(thread, NULL);
    return rc != 0 ? rc : ran ? 0 : OTHER;
}

static char *below(const char *name)
{
    static char path[128];
    snprintf(path, sizeof path, "%s/%s", dir, name);
    return path;
}

/* The ways of a file that is downloaded: made without a name, given one, moved into another folder, removed.
 */
static int do_files(void)
{
    char from[128], to[128], link[64];
    int fd = open(dir, O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);
    if (fd < 0)
        return errno == EOPNOTSUPP ? 0 : errno;
    snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
    strcpy(from, below("file"));
    if (mkdir(below("folder"), 0700) != 0)
        return errno;
    strcpy(to, below("folder/file"));
    int rc = result(write(fd, "x", 1) == 1 ? 0 : -1);
    rc = rc == 0 ? result(linkat(AT_FDCWD, link, AT_FDCWD, from, AT_SYMLINK_FOLLOW)) : rc;
    rc = rc == 0 ? result(rename(from, to)) : rc;
    rc = rc == 0 ? result(truncate(to, 0)) : rc;
    rc = rc == 0 ? result(unlink(to)) : rc;
    rc = rc == 0 ? result(rmdir(below("folder"))) : rc;
    return rc == 0 ? result(close(fd)) : rc;
}

static int do_pipe_file(void)
{
    return result(mkfifo(below("fifo"), 0600));
}

static int do_socket_file(void)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    strcpy(address.sun_path, below("socket"));
    return result(
        bind(socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0), (struct sockaddr *)&address, sizeof address));
}

static int run(const char *path)
{
    pid_t child = fork();
    if (child == 0) {
        execl(path, path, (char *)NULL);
        _exit(errno);
    }
    int status = 0;
    return waitpid(child, &status, 0) == child && WIFEXITED(status) ? WEXITSTATUS(status) : OTHER;
}

static int run_true(void)
{
    return run("/bin/true");
}

static int run_what_came(void)
{
    return run(below("program"));
}

static int signal_outside(void)
{
    return result(kill(getppid(), 0));
}

static int write_to_etc(void)
{
    return result(open("/etc/passwd", O_WRONLY | O_APPEND | O_CLOEXEC));
}

/* ---- */

static void its_status_tells_what_is_in_force(void **state)
{
    (void)state;
    assert_true(here.no_new_privileges);
    assert_int_equal(in_sandbox(no_new_privileges), 1);
    if (here.calls)
        assert_int_equal(in_sandbox(seccomp_mode), 2);
}

static void calls_that_are_never_made_are_refused(void **state)
{
    (void)state;
    if (!here.calls)
        skip();
    assert_int_equal(in_sandbox(do_mount), EPERM);
    assert_int_equal(in_sandbox(do_unshare), EPERM);
    assert_int_equal(in_sandbox(do_clone), EPERM);
    assert_int_equal(in_sandbox(do_bpf), EPERM);
    assert_int_equal(in_sandbox(do_module), EPERM);
    assert_int_equal(in_sandbox(do_key), EPERM);
    assert_int_equal(in_sandbox(do_read_other), EPERM);
    assert_int_equal(in_sandbox(do_io_uring), EPERM);
#if !defined(__SANITIZE_ADDRESS__)
    assert_int_equal(in_sandbox(do_ptrace), EPERM);
#else
    (void)do_ptrace;
#endif
}

static void only_sockets_of_the_families_in_use_are_to_be_had(void **state)
{
    (void)state;
    if (!here.calls)
        skip();
    assert_int_equal(in_sandbox(do_used_sockets), 0);
    assert_int_equal(in_sandbox(do_crypto_socket), EAFNOSUPPORT);
    assert_int_equal(in_sandbox(do_packet_socket), EAFNOSUPPORT);
    assert_int_equal(in_sandbox(do_old_socket), EAFNOSUPPORT);
}

static void threads_and_files_work_as_ever(void **state)
{
    (void)state;
    assert_int_equal(in_sandbox(do_thread), 0);
    assert_int_equal(in_sandbox(do_files), 0);
}

static void what_was_downloaded_is_not_run(void **state)
{
    (void)state;
    char command[160];
    snprintf(command, sizeof command, "cp /bin/true %s", below("program"));
    assert_int_equal(system(command), 0);
    assert_int_equal(run_what_came(), 0);
    assert_int_equal(in_sandbox(run_true), 0);
    if (here.files == 0)
        skip();
    assert_int_equal(in_sandbox(run_what_came), EACCES);
}

static void no_pipes_sockets_or_devices_are_made_in_folders(void **state)
{
    (void)state;
    if (here.files == 0)
        skip();
    assert_int_equal(in_sandbox(do_pipe_file), EACCES);
    assert_int_equal(in_sandbox(do_socket_file), EACCES);
}

static void nothing_outside_gets_a_signal(void **state)
{
    (void)state;
    if (here.files < 6)
        skip();
    assert_int_equal(in_sandbox(signal_outside), EPERM);
}

static void root_does_not_write_to_the_folders_of_the_system(void **state)
{
    (void)state;
    if (here.files == 0 || geteuid() != 0)
        skip();
    assert_int_equal(write_to_etc(), 0);
    assert_int_equal(in_sandbox(write_to_etc), EACCES);
    /* But where somebody put a folder of hostpair there. */
    assert_int_equal(inside(write_to_etc, (const char *const[]){"/etc/not/yet/there", NULL}), 0);
    assert_int_equal(inside(write_to_etc, (const char *const[]){"/etc/hostname", NULL}), 0);
}

/* Fails with OTHER where the error does not name the way out. */
static int write_to(const char *path)
{
    int fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
    int rc = result(fd);
    if (rc == EACCES && strstr(hp_err_sentence(-rc), "start hostpair again") == NULL)
        rc = OTHER;
    return fd < 0 ? rc : result(close(fd));
}

static int write_to_mnt(void)
{
    return write_to("/mnt/new");
}

static int write_to_disk(void)
{
    return write_to("/mnt/disk/new");
}

/* A root of its own, which is the current folder. */
static int enter_root(void)
{
    int rc = result(mkdir("mnt", 0700));
    rc = rc == 0 ? result(mkdir("mnt/disk", 0700)) : rc;
    rc = rc == 0 ? result(chroot(".")) : rc;
    return rc == 0 ? result(chdir("/")) : rc;
}

/* What fn comes to in the sandbox, on a disk that was mounted after it was entered. */
static int on_later_disk(const char *disk, int (*fn)(void))
{
    int entered[2], mounted[2], status = 0;
    char byte = 0;
    assert_int_equal(pipe(entered), 0);
    assert_int_equal(pipe(mounted), 0);
    pid_t child = fork();
    if (child == 0) {
        hp_sandbox_t sandbox;
        hp_sandbox_enter((const char *const[]){NULL}, &sandbox);
        if (write(entered[1], "x", 1) != 1 || read(mounted[0], &byte, 1) != 1)
            _exit(OTHER);
        _exit(fn());
    }
    if (read(entered[0], &byte, 1) != 1 || mount("none", disk, "tmpfs", 0, NULL) != 0 ||
        write(mounted[1], "x", 1) != 1)
        return OTHER;
    return waitpid(child, &status, 0) == child && WIFEXITED(status) ? WEXITSTATUS(status) : OTHER;
}

static int on_disk_below_a_folder(void)
{
    int rc = enter_root();
    return rc != 0 ? OTHER : on_later_disk("/mnt/disk", write_to_disk);
}

static int on_disk_on_a_top_folder(void)
{
    int rc = enter_root();
    return rc != 0 ? OTHER : on_later_disk("/mnt", write_to_mnt);
}

/* In a process with mounts of its own. */
static int apart(int (*fn)(void))
{
    pid_t child = fork();
    if (child == 0) {
        char command[160];
        snprintf(command, sizeof command, "rm -rf %s", below("mnt"));
        if (system(command) != 0 || chdir(dir) != 0 || unshare(CLONE_NEWNS) != 0 ||
            mount("none", "/", NULL, MS_REC | MS_PRIVATE, NULL) != 0)
            _exit(OTHER);
        _exit(fn());
    }
    int status = 0;
    assert_int_equal(waitpid(child, &status, 0), child);
    return WIFEXITED(status) ? WEXITSTATUS(status) : OTHER;
}

static void root_writes_to_a_later_disk_below_a_folder_and_is_told_why_not_to_one_on_it(void **state)
{
    (void)state;
    if (here.files == 0 || geteuid() != 0)
        skip();
    assert_int_equal(apart(on_disk_below_a_folder), 0);
    assert_int_equal(apart(on_disk_on_a_top_folder), EACCES);
}

static int set_up(void **state)
{
    (void)state;
    strcpy(dir, "/tmp/hostpair-sandbox-XXXXXX");
    if (mkdtemp(dir) == NULL)
        return -1;
    int ends[2];
    if (pipe(ends) != 0)
        return -1;
    if (fork() == 0) {
        hp_sandbox_enter((const char *const[]){NULL}, &here);
        _exit(write(ends[1], &here, sizeof here) == (ssize_t)sizeof here ? 0 : 1);
    }
    bool known = read(ends[0], &here, sizeof here) == (ssize_t)sizeof here;
    close(ends[0]);
    close(ends[1]);
    wait(NULL);
    print_message("no_new_privileges %d, calls %d, files %d\n", here.no_new_privileges, here.calls,
                  here.files);
    return known ? 0 : -1;
}

static int tear_down(void **state)
{
    (void)state;
    char command[128];
    snprintf(command, sizeof command, "rm -rf %s", dir);
    return system(command);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(its_status_tells_what_is_in_force),
        cmocka_unit_test(calls_that_are_never_made_are_refused),
        cmocka_unit_test(only_sockets_of_the_families_in_use_are_to_be_had),
        cmocka_unit_test(threads_and_files_work_as_ever),
        cmocka_unit_test(what_was_downloaded_is_not_run),
        cmocka_unit_test(no_pipes_sockets_or_devices_are_made_in_folders),
        cmocka_unit_test(nothing_outside_gets_a_signal),
        cmocka_unit_test(root_does_not_write_to_the_folders_of_the_system),
        cmocka_unit_test(root_writes_to_a_later_disk_below_a_folder_and_is_told_why_not_to_one_on_it),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
