/* Asks the hostpair that runs with the same options whether it answers: what --check does, for containers and
 * service managers. Blocking, for a process that does nothing else. */
#ifndef HP_CHECK_H
#define HP_CHECK_H

#include "base/options.h"

/* GET /api/v1/status at the dashboard's address, with the token if there is one; from --port-file, when it is
 * given, comes the port. Prints one line. 0 when the answer is 200, else 1: the exit code. */
int hp_check_run(const hp_options_t *options);

#endif
