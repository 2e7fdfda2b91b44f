/* The note in the data folder by which commands find the running hostpair: where its dashboard listens and
 * under which process id. Only its owner can read it. It goes at a clean end; one that a crash left behind is
 * known by its process, which is gone. Any thread. */
#ifndef HP_CLI_RUNNING_H
#define HP_CLI_RUNNING_H

#include <stdint.h>

#include "base/err.h"

/* Only the process that holds the lock of the data folder writes or removes it. */
int hp_running_write(const char *data_folder, const char *address, uint16_t peer, uint16_t dashboard,
                     hp_err_t *err);
void hp_running_remove(const char *data_folder);

/* 0; HP_E_NOT_FOUND when there is none, it cannot be read, or its process is gone. */
int hp_running_read(const char *data_folder, char address[64], uint16_t *dashboard);

#endif
