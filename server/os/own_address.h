/* The addresses that this machine has. */
#ifndef HP_OS_OWN_ADDRESS_H
#define HP_OS_OWN_ADDRESS_H

#include <stdbool.h>

/* Whether the own address of a connected socket is none of this machine's any more, so that nothing ever
 * comes to it. False for a socket that has no such address. Any thread. */
bool hp_own_address_is_lost(int fd);

#endif
