/* A library to preload (LD_PRELOAD): makes chosen system calls fail, or do less than they were asked to, or
 * ends the process before them.
 *
 * HP_FAULTS names a file of slots, one a kind of call, laid out by faults.mjs. Each slot counts the
 * calls of its kind; those with a number from `first` to `last` fail with `error`, or, with SHORT, transfer
 * half of the bytes (calls that transfer some), or, with KILL, are never made: the process is killed. The
 * test reads and writes the slots while the program runs (faults.mjs). Without HP_FAULTS every call passes.
 *
 * Left alone: descriptors that are neither files nor sockets (libuv ends the process when its eventfd fails).
 * Calls on hostpair's database have kinds of their own. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/inotify.h>
#include <sys/mman.h>
#include <sys/sendfile.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

#define SHORT    (-1)
#define KILL     (-2)
#define FD_LIMIT 4096

/* clang-format off */
#define KINDS(X)                                                                                             \
    X(open) X(openat2) X(read) X(write) X(pread) X(pwrite) X(fsync) X(fdatasync) X(syncfs) X(fallocate)      \
    X(ftruncate) X(linkat) X(renameat2) X(mkdirat) X(unlinkat) X(flock) X(statx) X(accept4) X(socket) X(connect)      \
    X(sendfile) X(send) X(inotify_add_watch) X(pthread_create)                                               \
    X(db_open) X(db_read) X(db_write) X(db_sync) X(db_truncate)
/* clang-format on */

#define NAME(kind) K_##kind,
enum { KINDS(NAME) SLOTS };
#undef NAME
#define NAME(kind) #kind,
static const char *const names[SLOTS] = {KINDS(NAME)};
#undef NAME

typedef struct slot {
    char name[24];
    _Atomic uint32_t count, first, last;
    _Atomic int32_t error;
    _Atomic uint32_t hits;
    uint32_t unused;
} slot_t;

static slot_t *slots; /* NULL: nothing fails */
static _Atomic bool is_database[FD_LIMIT];

__attribute__((constructor)) static void begin(void)
{
    const char *path = getenv("HP_FAULTS");
    if (path == NULL)
        return;
    int fd = (int)syscall(SYS_openat, AT_FDCWD, path, O_RDWR | O_CLOEXEC, 0);
    struct stat st;
    if (fd < 0 || fstat(fd, &st) != 0 || st.st_size < (off_t)(SLOTS * sizeof *slots))
        _exit(125);
    slots = mmap(NULL, SLOTS * sizeof *slots, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    if (slots == MAP_FAILED)
        _exit(125);
    for (int i = 0; i < SLOTS; i++)
        if (strcmp(slots[i].name, names[i]) != 0)
            _exit(125);
    syscall(SYS_close, fd);
}

/* Counts the call. 0: it may pass; an errno; or SHORT. */
static int fault(int kind)
{
    if (slots == NULL)
        return 0;
    slot_t *slot = &slots[kind];
    uint32_t number = atomic_fetch_add(&slot->count, 1) + 1;
    if (number < atomic_load(&slot->first) || number > atomic_load(&slot->last))
        return 0;
    atomic_fetch_add(&slot->hits, 1);
    int error = atomic_load(&slot->error);
    if (error == KILL)
        raise(SIGKILL);
    return error;
}

static bool is_db(int fd)
{
    return fd >= 0 && fd < FD_LIMIT && atomic_load(&is_database[fd]);
}

static bool is_file_or_socket(int fd)
{
    struct stat st;
    int before = errno;
    bool is = fstat(fd, &st) == 0 && (S_ISREG(st.st_mode) || S_ISSOCK(st.st_mode));
    errno = before;
    return is;
}

static int opened(int fd, const char *path)
{
    if (fd >= 0 && fd < FD_LIMIT)
        atomic_store(&is_database[fd], strstr(path, "hostpair.db") != NULL);
    return fd;
}

#define REAL(name)                                                                                           \
    static __typeof__(&name) real;                                                                           \
    if (real == NULL) {                                                                                      \
        void *found = dlsym(RTLD_NEXT, #name);                                                               \
        memcpy(&real, &found, sizeof real);                                                                  \
    }

#define FAIL_IF(kind)                                                                                        \
    int error = fault(kind);                                                                                 \
    if (error != 0) {                                                                                        \
        errno = error;                                                                                       \
        return -1;                                                                                           \
    }

static mode_t mode_of(int flags, va_list list)
{
    return (flags & O_CREAT) != 0 || (flags & O_TMPFILE) == O_TMPFILE ? (mode_t)va_arg(list, int) : 0;
}

#define OPEN(name, head, ...)                                                                                \
    int name head                                                                                            \
    {                                                                                                        \
        REAL(name)                                                                                           \
        va_list list;                                                                                        \
        va_start(list, flags);                                                                               \
        mode_t mode = mode_of(flags, list);                                                                  \
        va_end(list);                                                                                        \
        FAIL_IF(strstr(path, "hostpair.db") != NULL ? K_db_open : K_open)                                    \
        return opened(real(__VA_ARGS__, flags, mode), path);                                                 \
    }

OPEN(open, (const char *path, int flags, ...), path)
OPEN(open64, (const char *path, int flags, ...), path)
OPEN(openat, (int folder, const char *path, int flags, ...), folder, path)
OPEN(openat64, (int folder, const char *path, int flags, ...), folder, path)

/* glibc has no function for openat2(2). */
long syscall(long number, ...)
{
    REAL(syscall)
    long a[6];
    va_list list;
    va_start(list, number);
    for (int i = 0; i < 6; i++)
        a[i] = va_arg(list, long);
    va_end(list);
    if (number == SYS_openat2) {
        FAIL_IF(K_openat2)
        return opened((int)real(number, a[0], a[1], a[2], a[3], a[4], a[5]), (const char *)a[1]);
    }
    return real(number, a[0], a[1], a[2], a[3], a[4], a[5]);
}

/* Bytes from or to one buffer: SHORT halves it. */
#define TRANSFER(name, kind, db_kind, head, size, ...)                                                       \
    ssize_t name head                                                                                        \
    {                                                                                                        \
        REAL(name)                                                                                           \
        if (slots != NULL && is_file_or_socket(fd)) {                                                        \
            int error = fault(is_db(fd) ? (db_kind) : (kind));                                               \
            if (error == SHORT && size > 1)                                                                  \
                size /= 2;                                                                                   \
            else if (error > 0) {                                                                            \
                errno = error;                                                                               \
                return -1;                                                                                   \
            }                                                                                                \
        }                                                                                                    \
        return real(__VA_ARGS__);                                                                            \
    }

TRANSFER(read, K_read, K_db_read, (int fd, void *data, size_t size), size, fd, data, size)
TRANSFER(write, K_write, K_db_write, (int fd, const void *data, size_t size), size, fd, data, size)
TRANSFER(pread, K_pread, K_db_read, (int fd, void *data, size_t size, off_t at), size, fd, data, size, at)
TRANSFER(pread64, K_pread, K_db_read, (int fd, void *data, size_t size, off64_t at), size, fd, data, size, at)
TRANSFER(pwrite, K_pwrite, K_db_write, (int fd, const void *data, size_t size, off_t at), size, fd, data,
         size, at)
TRANSFER(pwrite64, K_pwrite, K_db_write, (int fd, const void *data, size_t size, off64_t at), size, fd, data,
         size, at)
TRANSFER(send, K_send, K_send, (int fd, const void *data, size_t size, int flags), size, fd, data, size,
         flags)
TRANSFER(recv, K_read, K_read, (int fd, void *data, size_t size, int flags), size, fd, data, size, flags)

/* Bytes from or to several buffers: SHORT leaves all but the first out. */
#define VECTOR(name, kind, db_kind, head, ...)                                                               \
    ssize_t name head                                                                                        \
    {                                                                                                        \
        REAL(name)                                                                                           \
        if (slots != NULL && is_file_or_socket(fd)) {                                                        \
            int error = fault(is_db(fd) ? (db_kind) : (kind));                                               \
            if (error == SHORT && count > 1)                                                                 \
                count = 1;                                                                                   \
            else if (error > 0) {                                                                            \
                errno = error;                                                                               \
                return -1;                                                                                   \
            }                                                                                                \
        }                                                                                                    \
        return real(__VA_ARGS__);                                                                            \
    }

VECTOR(readv, K_read, K_db_read, (int fd, const struct iovec *data, int count), fd, data, count)
VECTOR(writev, K_write, K_db_write, (int fd, const struct iovec *data, int count), fd, data, count)
VECTOR(preadv2, K_pread, K_db_read, (int fd, const struct iovec *data, int count, off_t at, int flags), fd,
       data, count, at, flags)
VECTOR(preadv64v2, K_pread, K_db_read, (int fd, const struct iovec *data, int count, off64_t at, int flags),
       fd, data, count, at, flags)
VECTOR(pwritev2, K_pwrite, K_db_write, (int fd, const struct iovec *data, int count, off_t at, int flags), fd,
       data, count, at, flags)
VECTOR(pwritev64v2, K_pwrite, K_db_write,
       (int fd, const struct iovec *data, int count, off64_t at, int flags), fd, data, count, at, flags)

#define CALL(name, kind, head, ...)                                                                          \
    int name head                                                                                            \
    {                                                                                                        \
        REAL(name)                                                                                           \
        FAIL_IF(kind)                                                                                        \
        return real(__VA_ARGS__);                                                                            \
    }

CALL(fsync, is_db(fd) ? K_db_sync : K_fsync, (int fd), fd)
CALL(fdatasync, is_db(fd) ? K_db_sync : K_fdatasync, (int fd), fd)
CALL(syncfs, K_syncfs, (int fd), fd)
CALL(fallocate, K_fallocate, (int fd, int mode, off_t at, off_t size), fd, mode, at, size)
CALL(fallocate64, K_fallocate, (int fd, int mode, off64_t at, off64_t size), fd, mode, at, size)
CALL(ftruncate, is_db(fd) ? K_db_truncate : K_ftruncate, (int fd, off_t size), fd, size)
CALL(ftruncate64, is_db(fd) ? K_db_truncate : K_ftruncate, (int fd, off64_t size), fd, size)
CALL(linkat, K_linkat, (int from_at, const char *from, int to_at, const char *to, int flags), from_at, from,
     to_at, to, flags)
CALL(renameat2, K_renameat2, (int from_at, const char *from, int to_at, const char *to, unsigned flags),
     from_at, from, to_at, to, flags)
CALL(mkdirat, K_mkdirat, (int at, const char *path, mode_t mode), at, path, mode)
CALL(unlinkat, K_unlinkat, (int at, const char *path, int flags), at, path, flags)
CALL(flock, K_flock, (int fd, int operation), fd, operation)
CALL(statx, K_statx,
     (int at, const char *restrict path, int flags, unsigned mask, struct statx *restrict out), at, path,
     flags, mask, out)
CALL(accept4, K_accept4, (int fd, struct sockaddr *restrict address, socklen_t *restrict length, int flags),
     fd, address, length, flags)
CALL(socket, K_socket, (int domain, int type, int protocol), domain, type, protocol)
CALL(connect, K_connect, (int fd, const struct sockaddr *address, socklen_t length), fd, address, length)
CALL(inotify_add_watch, K_inotify_add_watch, (int fd, const char *path, uint32_t mask), fd, path, mask)

TRANSFER(sendfile, K_sendfile, K_sendfile, (int fd, int from, off_t *at, size_t size), size, fd, from, at,
         size)
TRANSFER(sendfile64, K_sendfile, K_sendfile, (int fd, int from, off64_t *at, size_t size), size, fd, from, at,
         size)

int pthread_create(pthread_t *restrict thread, const pthread_attr_t *restrict attributes,
                   void *(*run)(void *), void *restrict arg)
{
    REAL(pthread_create)
    int error = fault(K_pthread_create);
    return error > 0 ? error : real(thread, attributes, run, arg);
}

int close(int fd)
{
    REAL(close)
    if (fd >= 0 && fd < FD_LIMIT)
        atomic_store(&is_database[fd], false);
    return real(fd);
}
