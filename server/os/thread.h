/* The thread that calls. */
#ifndef HP_OS_THREAD_H
#define HP_OS_THREAD_H

#include <stdbool.h>

/* What debuggers and top show; at most 15 bytes. */
void hp_thread_set_name(const char *name);

/* Lets everything else on the machine go first, with the processor and the disk. False where the system does
 * not allow one of the two. */
bool hp_thread_set_idle(void);

#endif
