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

/* What an interface leads to, as far as it shows. */
typedef enum {
    HP_INTERFACE_WIRED,
    HP_INTERFACE_WIFI,
    HP_INTERFACE_VPN,       /* a tunnel or a point-to-point line */
    HP_INTERFACE_CONTAINER, /* the bridge or the cable to containers or virtual machines of this one */
    HP_INTERFACE_VIRTUAL,   /* no hardware: one end of a cable in a container, a bridge */
} hp_interface_kind_t;
/* Any thread, the loop as well: it asks the kernel's memory (sysfs and an ioctl), no disk and no device,
 * which takes some 15 microseconds. */
hp_interface_kind_t hp_interface_kind(const char *name);

#endif
