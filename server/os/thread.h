/* Threads. */
#ifndef HP_OS_THREAD_H
#define HP_OS_THREAD_H

#include <stdbool.h>

/* Starts so many threads at once and ends them. 0, or the negative errno of the first that was not to be had:
 * -EAGAIN where a limit (RLIMIT_NPROC, a cgroup's pids.max) is reached. */
int hp_thread_try(unsigned count);

/* For the thread that calls: what debuggers and top show; at most 15 bytes. */
void hp_thread_set_name(const char *name);

/* For the thread that calls: lets everything else on the machine go first, with the processor and the disk.
 * False where the system does not allow one of the two. */
bool hp_thread_set_idle(void);

#endif
