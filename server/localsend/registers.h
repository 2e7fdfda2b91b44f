/* Registers this host at addresses where something accepts connections at LocalSend's port (protocol 2.1,
 * section 3.2, the "legacy mode" for networks without multicast): over TLS, and where that is not spoken over
 * plain HTTP. What answers is a hint like an announcement (devices.h), and is asked once more by that room.
 *
 * Invariants
 * 1. Loop thread.
 * 2. At most 4 addresses are asked at a time and 256 wait; what is too much is passed over.
 * 3. An address is told what announcements tell everybody, whatever certificate it shows. */
#ifndef HP_LOCALSEND_REGISTERS_H
#define HP_LOCALSEND_REGISTERS_H

#include "localsend/devices.h"

typedef struct hp_registers hp_registers_t;

/* The fetcher and the devices outlive it. describe: this host, a new object each time. */
hp_registers_t *hp_registers_create(hp_fetcher_t *fetcher, hp_devices_t *devices,
                                    json_t *(*describe)(void *arg), void *arg);
void hp_registers_destroy(hp_registers_t *self, void (*closed)(void *arg), void *arg);

/* A numeric address. One where a device is known and online is passed over. */
void hp_registers_try(hp_registers_t *self, const char *address);
/* Forgets what waits, and ends what is under way. */
void hp_registers_clear(hp_registers_t *self);

#endif
