/* Folders, files and child processes for the tests of the database and the store. */
#ifndef TEST_DB_HELP_H
#define TEST_DB_HELP_H

#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <signal.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#define PATH_SIZE 300

static inline int remove_entry(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
    (void)st, (void)type, (void)ftw;
    return remove(path);
}

static inline int make_folder(void **state)
{
    char path[] = "/tmp/hostpair-test-XXXXXX";
    if (mkdtemp(path) == NULL)
        return -1;
    *state = strdup(path);
    return *state == NULL ? -1 : 0;
}

static inline int remove_folder(void **state)
{
    int rc = nftw(*state, remove_entry, 16, FTW_DEPTH | FTW_PHYS);
    free(*state);
    return rc;
}

static inline char *path_in(const char *folder, const char *name, char out[PATH_SIZE])
{
    assert_in_range(snprintf(out, PATH_SIZE, "%s/%s", folder, name), 0, PATH_SIZE - 1);
    return out;
}

/* The bytes of a file, for the caller to free; NULL when it is missing. */
static inline char *read_whole(const char *path, size_t *size)
{
    FILE *file = fopen(path, "rb");
    *size = 0;
    if (file == NULL)
        return NULL;
    size_t capacity = 1 << 16, length = 0;
    char *data = malloc(capacity);
    assert_non_null(data);
    while (true) {
        length += fread(data + length, 1, capacity - length, file);
        if (length < capacity)
            break;
        data = realloc(data, capacity *= 2);
        assert_non_null(data);
    }
    fclose(file);
    *size = length;
    return data;
}

static inline void write_whole(const char *path, const void *data, size_t size)
{
    FILE *file = fopen(path, "wb");
    assert_non_null(file);
    assert_int_equal(fwrite(data, 1, size, file), size);
    assert_int_equal(fclose(file), 0);
}

static inline void copy_file(const char *from, const char *to)
{
    size_t size;
    char *data = read_whole(from, &size);
    assert_non_null(data);
    write_whole(to, data, size);
    free(data);
}

static inline bool file_exists(const char *path)
{
    struct stat st;
    return lstat(path, &st) == 0;
}

/* Runs fn in a child process; returns what waitpid says of it. Standard error of the child goes to the file
 * errors, unless NULL. */
static inline int in_child(int (*fn)(void *arg), void *arg, const char *errors)
{
    fflush(NULL);
    pid_t pid = fork();
    assert_true(pid >= 0);
    if (pid == 0) {
        int fd = errors != NULL ? open(errors, O_WRONLY | O_CREAT | O_TRUNC, 0600) : -1;
        if (fd >= 0)
            dup2(fd, STDERR_FILENO);
        /* A failed assertion ends the child; it must not go on with the next test there. */
        setenv("CMOCKA_TEST_ABORT", "1", 1);
        signal(SIGABRT, SIG_DFL);
        signal(SIGSEGV, SIG_DFL);
        _exit(fn(arg));
    }
    int status;
    assert_int_equal(waitpid(pid, &status, 0), pid);
    return status;
}

#define assert_contains(text, part)                                                                          \
    do {                                                                                                     \
        if (strstr((text), (part)) == NULL)                                                                  \
            fail_msg("\"%s\" does not say \"%s\"", (text), (part));                                          \
    } while (0)

#endif
