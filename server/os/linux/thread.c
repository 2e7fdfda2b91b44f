#include "os/thread.h"

#include <pthread.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/mem.h"

/* linux/ioprio.h is not everywhere: class 3 is "idle", for one thread. */
#define IOPRIO_WHO_THREAD 1
#define IOPRIO_IDLE       (3 << 13)

#define TRY_MAX 64u

/* Waits until all have been started: the lock is held until then. */
static void *run_nothing(void *arg)
{
    pthread_mutex_lock(arg);
    pthread_mutex_unlock(arg);
    return NULL;
}

int hp_thread_try(unsigned count)
{
    pthread_mutex_t all = PTHREAD_MUTEX_INITIALIZER;
    pthread_t threads[TRY_MAX];
    unsigned started = 0;
    int rc = 0;
    pthread_mutex_lock(&all);
    while (rc == 0 && started < HP_MIN(count, TRY_MAX)) {
        rc = pthread_create(&threads[started], NULL, run_nothing, &all);
        started += rc == 0;
    }
    pthread_mutex_unlock(&all);
    for (unsigned i = 0; i < started; i++)
        pthread_join(threads[i], NULL);
    pthread_mutex_destroy(&all);
    return -rc;
}

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
