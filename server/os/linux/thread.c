#include "os/thread.h"

#include <pthread.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

/* linux/ioprio.h is not everywhere: class 3 is "idle", for one thread. */
#define IOPRIO_WHO_THREAD 1
#define IOPRIO_IDLE       (3 << 13)

void hp_thread_set_name(const char *name)
{
    pthread_setname_np(pthread_self(), name);
}

bool hp_thread_set_idle(void)
{
    pid_t thread = (pid_t)syscall(SYS_gettid);
    bool processor = setpriority(PRIO_PROCESS, (id_t)thread, 19) == 0;
    bool disk = syscall(SYS_ioprio_set, IOPRIO_WHO_THREAD, thread, IOPRIO_IDLE) == 0;
    return processor && disk;
}
