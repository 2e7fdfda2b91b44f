/* Which process listens on a TCP port of this machine, for a message about a port that is taken. Reads
 * /proc(5); blocks. */
#ifndef HP_OS_PORT_OWNER_H
#define HP_OS_PORT_OWNER_H

#include <stdbool.h>
#include <stdint.h>

#define HP_PORT_OWNER_SIZE 96

/* Remembers who has those of the ports first to first + count - 1 that are taken, for hp_port_owner(): in the
 * sandbox (os/sandbox.h) the descriptors of other processes are not to be seen. For the process, before its
 * first thread. */
void hp_port_owner_note(uint16_t first, unsigned count);

/* "nginx (process 812)". False when it is not known: nobody listens, or the process is another user's. */
bool hp_port_owner(uint16_t port, char out[HP_PORT_OWNER_SIZE]);

#endif
