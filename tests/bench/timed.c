/* timed COMMAND...: runs a command and writes what it took to descriptor 3, as one line of JSON:
 * {"seconds","cpu","memory","status"}: wall clock, CPU seconds of it and its children, peak resident bytes of
 * the largest of them, exit code. */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

static double now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static double seconds_of(struct timeval t)
{
    return (double)t.tv_sec + (double)t.tv_usec / 1e6;
}

int main(int argc, char **argv)
{
    if (argc < 2)
        return 2;
    double start = now();
    pid_t pid = fork();
    if (pid == 0) {
        close(3);
        execvp(argv[1], argv + 1);
        fprintf(stderr, "timed: %s: %s\n", argv[1], strerror(errno));
        _exit(127);
    }
    int status = 0;
    struct rusage usage;
    if (pid < 0 || wait4(pid, &status, 0, &usage) != pid)
        return 1;
    double seconds = now() - start;
    dprintf(3, "{\"seconds\":%.6f,\"cpu\":%.6f,\"memory\":%ld,\"status\":%d}\n", seconds,
            seconds_of(usage.ru_utime) + seconds_of(usage.ru_stime), usage.ru_maxrss * 1024L,
            WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status));
    return 0;
}
