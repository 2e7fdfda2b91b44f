/* What the parts of the lab's machine share. */
#ifndef HP_LAB_H
#define HP_LAB_H

#include <uv.h>

/* Ends the program with the code's sentence when rc is an error. */
void must(int rc, const char *what);

/* tunnel_lab hub PORT ADDRESS...: STUN, and a relay that knows nobody. The exit code. */
int run_hub(uv_loop_t *loop, int argc, char **argv);

#endif
