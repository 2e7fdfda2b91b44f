#include "doctor/command.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/clock.h"
#include "base/mem.h"

#define OUTPUT_MAX ((size_t)16 * 1024 * 1024) /* bytes: a list of a hundred thousand addresses */
#define TIME_MS    5000
#define KILLED_MS  1000 /* for a killed one to end: the kernel may hold it */
#define LOOK_MS    5    /* between two looks whether it has ended */

static const char *const folders[] = {"/usr/sbin", "/usr/bin", "/sbin", "/bin", "/usr/local/sbin"};

static bool find_program(const char *name, char path[128])
{
    for (size_t i = 0; i < HP_COUNT(folders); i++) {
        snprintf(path, 128, "%s/%s", folders[i], name);
        if (access(path, X_OK) == 0)
            return true;
    }
    return false;
}

bool hp_command_is_there(const char *program)
{
    char path[128];
    return find_program(program, path);
}

/* With the ends of two pipes as its standard output and error. 0 or an errno. */
static int start(const char *path, const char *const *words, const int out[2], const int errors[2],
                 pid_t *pid)
{
    static char locale[] = "LC_ALL=C", programs[] = "PATH=/usr/sbin:/usr/bin:/sbin:/bin";
    char *environment[] = {locale, programs, NULL};
    posix_spawn_file_actions_t files;
    posix_spawnattr_t attributes;
    sigset_t none, all;
    sigemptyset(&none);
    sigfillset(&all);
    posix_spawn_file_actions_init(&files);
    posix_spawnattr_init(&attributes);
    posix_spawn_file_actions_addopen(&files, STDIN_FILENO, "/dev/null", O_RDONLY, 0);
    posix_spawn_file_actions_adddup2(&files, out[1], STDOUT_FILENO);
    posix_spawn_file_actions_adddup2(&files, errors[1], STDERR_FILENO);
    posix_spawnattr_setsigmask(&attributes, &none);
    posix_spawnattr_setsigdefault(&attributes, &all);
    posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF);
    int rc = posix_spawn(pid, path, &files, &attributes, (char *const *)(uintptr_t)words, environment);
    posix_spawn_file_actions_destroy(&files);
    posix_spawnattr_destroy(&attributes);
    return rc;
}

/* Until both are at their end. False: it took too long or was too much. */
static bool collect(const int fds[2], uint64_t end, hp_buf_t bufs[2])
{
    struct pollfd polls[2] = {{.fd = fds[0], .events = POLLIN}, {.fd = fds[1], .events = POLLIN}};
    while (polls[0].fd >= 0 || polls[1].fd >= 0) {
        uint64_t now = hp_clock_ms();
        if (now >= end || (poll(polls, 2, (int)(end - now)) < 0 && errno != EINTR))
            return false;
        for (int i = 0; i < 2; i++) {
            char data[16384];
            if (polls[i].fd < 0 || polls[i].revents == 0)
                continue;
            ssize_t length = read(polls[i].fd, data, sizeof data);
            if (length == 0 || (length < 0 && errno != EINTR))
                polls[i].fd = -1;
            else if (length > 0 && hp_buf_add(&bufs[i], data, (size_t)length) != 0)
                return false;
        }
    }
    return true;
}

/* Whether it has ended; *status tells how. */
static bool wait_for(pid_t pid, uint64_t end, int *status)
{
    for (;;) {
        pid_t ended = waitpid(pid, status, WNOHANG);
        if (ended == pid)
            return true;
        if ((ended < 0 && errno != EINTR) || hp_clock_ms() >= end)
            return false;
        poll(NULL, 0, LOOK_MS);
    }
}

/* It may have closed its output long before its end. */
static bool has_ended_well(pid_t pid, const int fds[2], hp_buf_t bufs[2])
{
    uint64_t end = hp_clock_ms() + TIME_MS;
    int status = 0;
    if (collect(fds, end, bufs) && wait_for(pid, end, &status))
        return WIFEXITED(status) && WEXITSTATUS(status) == 0;
    kill(pid, SIGKILL);
    wait_for(pid, hp_clock_ms() + KILLED_MS, &status);
    return false;
}

static bool open_pipes(int pipes[2][2])
{
    if (pipe2(pipes[0], O_CLOEXEC) != 0)
        return false;
    if (pipe2(pipes[1], O_CLOEXEC) == 0)
        return true;
    close(pipes[0][0]);
    close(pipes[0][1]);
    return false;
}

static hp_command_result_t run(const char *path, const char *const *words, hp_buf_t bufs[2])
{
    int pipes[2][2];
    pid_t pid;
    if (!open_pipes(pipes))
        return HP_COMMAND_FAILED;
    int rc = start(path, words, pipes[0], pipes[1], &pid);
    close(pipes[0][1]);
    close(pipes[1][1]);
    const int fds[2] = {pipes[0][0], pipes[1][0]};
    bool done = rc == 0 && has_ended_well(pid, fds, bufs);
    close(pipes[0][0]);
    close(pipes[1][0]);
    return done ? HP_COMMAND_DONE : HP_COMMAND_FAILED;
}

hp_command_result_t hp_command_run(const char *const *words, char **out, char **errors)
{
    char path[128];
    hp_buf_t bufs[2];
    hp_command_result_t result = HP_COMMAND_ABSENT;
    hp_buf_init(&bufs[0], OUTPUT_MAX);
    hp_buf_init(&bufs[1], OUTPUT_MAX);
    if (find_program(words[0], path))
        result = run(path, words, bufs);
    *out = hp_buf_take(&bufs[0]);
    char *said = hp_buf_take(&bufs[1]);
    if (errors != NULL)
        *errors = said;
    else
        free(said);
    return result;
}
