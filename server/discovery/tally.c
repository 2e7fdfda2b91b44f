#include "discovery/tally.h"

#include <arpa/inet.h>

#include "base/clock.h"

static hp_tally_row_t *row_of(hp_tally_t *self, unsigned index)
{
    hp_tally_row_t *oldest = &self->rows[0];
    for (size_t i = 0; i < HP_TALLY_ROWS; i++) {
        hp_tally_row_t *row = &self->rows[i];
        if (row->index == index)
            return row;
        if (row->index == 0) {
            row->index = index;
            return row;
        }
        if (row->beacons_sent.at < oldest->beacons_sent.at)
            oldest = row;
    }
    *oldest = (hp_tally_row_t){.index = index}; /* interfaces come and go, with containers for example */
    return oldest;
}

void hp_tally_add(hp_tally_t *self, unsigned index, hp_tally_kind_t kind)
{
    if (index == 0)
        return;
    hp_tally_row_t *row = row_of(self, index);
    hp_tally_count_t *count = kind == HP_TALLY_SENT    ? &row->beacons_sent
                              : kind == HP_TALLY_HEARD ? &row->beacons_heard
                                                       : &row->scan_answers;
    count->count++;
    count->at = hp_clock_wall_ms();
}

static bool holds(const hp_interface_t *interface, const hp_sockaddr_t *from)
{
    if (interface->v6)
        return from->any.sa_family == AF_INET6 && from->v6.sin6_scope_id == interface->index;
    if (from->any.sa_family != AF_INET)
        return false;
    uint32_t address = ntohl(from->v4.sin_addr.s_addr);
    return (address & interface->mask) == (interface->address & interface->mask) ||
           (interface->peer != 0 && address == interface->peer);
}

void hp_tally_add_from(hp_tally_t *self, const hp_sockaddr_t *from, hp_tally_kind_t kind)
{
    size_t count;
    const hp_interface_t *interfaces = hp_interfaces_list(self->interfaces, &count);
    for (size_t i = 0; i < count; i++) {
        if (holds(&interfaces[i], from)) {
            hp_tally_add(self, interfaces[i].index, kind);
            return;
        }
    }
}

hp_tally_row_t hp_tally_of(const hp_tally_t *self, unsigned index)
{
    for (size_t i = 0; i < HP_TALLY_ROWS; i++)
        if (self->rows[i].index == index)
            return self->rows[i];
    return (hp_tally_row_t){.index = index};
}
