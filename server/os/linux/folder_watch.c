/* inotify(7) */
#include "os/folder_watch.h"

#include <errno.h>
#include <stdio.h>
#include <sys/inotify.h>
#include <unistd.h>

#define READ_SIZE 65536 /* bytes of events read in one go */

/* IN_ATTRIB: a file that may be read from now on, or not any more; it also changes the ctime. */
#define EVENTS                                                                                               \
    (IN_CREATE | IN_DELETE | IN_MOVED_FROM | IN_MOVED_TO | IN_MODIFY | IN_CLOSE_WRITE | IN_ATTRIB |          \
     IN_DELETE_SELF | IN_MOVE_SELF | IN_ONLYDIR | IN_EXCL_UNLINK)

int hp_folder_watch_open(void)
{
    int fd = inotify_init1(IN_NONBLOCK | IN_CLOEXEC);
    return fd >= 0 ? fd : -errno;
}

int hp_folder_watch_add(int watch, int folder_fd)
{
    /* Through the descriptor, so that it is the very folder that is read afterwards, whatever is renamed
     * meanwhile. */
    char link[32];
    snprintf(link, sizeof link, "/proc/self/fd/%d", folder_fd);
    int folder = inotify_add_watch(watch, link, EVENTS);
    return folder >= 0 ? folder : -errno;
}

void hp_folder_watch_remove(int watch, int folder)
{
    inotify_rm_watch(watch, folder); /* fails only when the kernel was faster */
}

bool hp_folder_watch_read(int watch, hp_folder_event_fn fn, void *arg)
{
    _Alignas(struct inotify_event) char buffer[READ_SIZE];
    ssize_t n = read(watch, buffer, sizeof buffer);
    if (n <= 0)
        return false;
    for (const char *p = buffer; p < buffer + n;) {
        const struct inotify_event *event = (const struct inotify_event *)(const void *)p;
        p += sizeof *event + event->len;
        fn(arg, &(hp_folder_event_t){
                    .folder = event->wd,
                    .name = event->len > 0 ? event->name : "",
                    .is_folder = (event->mask & IN_ISDIR) != 0,
                    .is_self = (event->mask & (IN_DELETE_SELF | IN_MOVE_SELF | IN_UNMOUNT)) != 0,
                    .is_unmount = (event->mask & IN_UNMOUNT) != 0,
                    .is_end = (event->mask & IN_IGNORED) != 0,
                    .lost = (event->mask & IN_Q_OVERFLOW) != 0,
                });
    }
    return true;
}
