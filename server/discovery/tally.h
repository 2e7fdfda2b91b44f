/* What was sent and heard on each network interface since the start, for whoever wants to know why a host is
 * missing. Counted by the beacon and the scan, read by anybody. Loop thread; never fails: where there is no
 * room for one more interface it is not counted. */
#ifndef HP_DISCOVERY_TALLY_H
#define HP_DISCOVERY_TALLY_H

#include <stddef.h>
#include <stdint.h>

#include "base/sockaddr.h"
#include "discovery/interfaces.h"

#define HP_TALLY_ROWS 64

typedef struct hp_tally_count {
    uint64_t count;
    int64_t at; /* the last one, wall ms; 0: none */
} hp_tally_count_t;

typedef struct hp_tally_row {
    unsigned index; /* of the interface; 0: the row is free */
    hp_tally_count_t beacons_sent, beacons_heard, scan_answers;
} hp_tally_row_t;

typedef struct hp_tally {
    const hp_interfaces_t *interfaces; /* by which an address is put to an interface */
    hp_tally_row_t rows[HP_TALLY_ROWS];
} hp_tally_t;

typedef enum { HP_TALLY_SENT, HP_TALLY_HEARD, HP_TALLY_ANSWERED } hp_tally_kind_t;

void hp_tally_add(hp_tally_t *tally, unsigned index, hp_tally_kind_t kind);

/* The same for what came from an address, on the interface whose network it belongs to. */
void hp_tally_add_from(hp_tally_t *tally, const hp_sockaddr_t *from, hp_tally_kind_t kind);

/* The row of an interface; one of zeros where nothing was counted. */
hp_tally_row_t hp_tally_of(const hp_tally_t *tally, unsigned index);

#endif
