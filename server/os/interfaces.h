/* Network interfaces: what getifaddrs(3) does not tell. */
#ifndef HP_OS_INTERFACES_H
#define HP_OS_INTERFACES_H

#include <stdbool.h>

/* A descriptor that is readable when an interface or an address has come, changed or gone; the caller closes
 * it. A negative errno where the kernel cannot be asked. */
int hp_interface_changes_open(void);

/* Reads what has changed, without telling what: whoever wants to know reads the whole list again. */
void hp_interface_changes_read(int fd);

/* Whether the interface is one end of a virtual cable, as containers have. */
bool hp_interface_is_virtual_cable(const char *name);

#endif
