/* Which process listens on a TCP port of this machine, for a message about a port that is taken. Reads
 * /proc(5); blocks. */
#ifndef HP_OS_PORT_OWNER_H
#define HP_OS_PORT_OWNER_H

#include <stdbool.h>
#include <stdint.h>

#define HP_PORT_OWNER_SIZE 96

/* "nginx (process 812)". False when it is not known: nobody listens, or the process is another user's. */
bool hp_port_owner(uint16_t port, char out[HP_PORT_OWNER_SIZE]);

#endif
