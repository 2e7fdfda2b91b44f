/* The beacon: a small UDP datagram that tells the network that we are here, and hears of others. A hint,
 * never an identity: what it says is only used to decide which address is probed. Loop thread; the parsing is
 * pure.
 *
 * Sent from every interface to the multicast group, to the broadcast address and to the IPv6 group: at 0, 0.5
 * and 2 s, then every 30 s, and again from the start when the interfaces change. A new id or instance is
 * answered at once, to it alone; while it is new (5 s), each of its beacons is, in case an answer was lost.
 * When other files are offered it is sent soon, out of turn, with the tag of the list: a host that knows the
 * list by another tag asks for it. A few times in a row that is done every 3 s, in the long run every 30 s.
 *
 * At most HP_BEACON_PER_SOURCE datagrams a second are looked at from one address, and HP_BEACON_PER_SECOND in
 * all: the rest is read and dropped. All tables are bounded. */
#ifndef HP_DISCOVERY_BEACON_H
#define HP_DISCOVERY_BEACON_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <uv.h>

#include "discovery/hosts.h"
#include "discovery/interfaces.h"
#include "discovery/tally.h"

#define HP_BEACON_MAX        1200 /* bytes of a datagram */
#define HP_BEACON_PORT       9000
#define HP_BEACON_GROUP4     "239.192.90.0"
#define HP_BEACON_GROUP6     "ff12::9000"
#define HP_BEACON_PER_SOURCE 10
#define HP_BEACON_PER_SECOND 100

typedef struct hp_beacon_message {
    char id[HP_HOST_ID_SIZE];
    char name[HP_HOST_NAME_SIZE];
    char instance[33];
    char address[64];            /* to be probed instead of the sender's; "" none */
    char list[HP_LIST_TAG_SIZE]; /* what its list of files is called now; "" not told */
    uint16_t port;
    bool reply;
} hp_beacon_message_t;

/* Reads a datagram: one JSON object with "hostpair": 1, id, name, port, instance and reply as they should be,
 * perhaps "address" and "list", and whatever else a newer version adds. 0 or HP_E_INVALID. */
int hp_beacon_parse(const uint8_t *data, size_t length, hp_beacon_message_t *out);

/* Writes a datagram; the name is cut if it must be. Its length, at most HP_BEACON_MAX. */
size_t hp_beacon_format(const hp_beacon_message_t *message, char out[HP_BEACON_MAX + 1]);

/* Whether a datagram from this address may be looked at now: at most HP_BEACON_PER_SOURCE a second for each,
 * HP_BEACON_PER_SECOND in all. */
typedef struct hp_beacon_limit hp_beacon_limit_t;
hp_beacon_limit_t *hp_beacon_limit_create(void);
void hp_beacon_limit_destroy(hp_beacon_limit_t *limit);
bool hp_beacon_limit_allow(hp_beacon_limit_t *limit, const uint8_t address[16], uint64_t now_ms);

typedef struct hp_beacon hp_beacon_t;

/* advertise_address "" and advertise_port 0 where there is nothing to override. What is sent and heard is
 * counted in tally, which outlives the beacon. */
hp_beacon_t *hp_beacon_create(uv_loop_t *loop, hp_hosts_t *hosts, const hp_self_t *self,
                              const char *advertise_address, uint16_t advertise_port, hp_tally_t *tally);
void hp_beacon_destroy(hp_beacon_t *beacon, void (*closed)(void *arg), void *arg);

/* Opens the sockets if need be, joins the groups on these interfaces and announces from the start. What does
 * not work is logged, and tried again at the next call. */
void hp_beacon_start(hp_beacon_t *beacon, const hp_interface_t *interfaces, size_t count);
/* The tag of our list from now on. soon: others are told out of turn. */
void hp_beacon_set_list(hp_beacon_t *beacon, const char *list, bool soon);
/* Closes the sockets; start opens them again. */
void hp_beacon_stop(hp_beacon_t *beacon);

#endif
