/* What the files of filter.h share: the chains that each tool prints, with the fit of a packet to each rule.
 * Pure. */
#ifndef HP_DOCTOR_FILTER_TOOLS_H
#define HP_DOCTOR_FILTER_TOOLS_H

#include "doctor/chains.h"
#include "doctor/filter.h"

/* Names are "family table chain". iptables: what iptables-save (ip6tables-save) printed, or NULL: tables that
 * it has made are left out, since it shows them better itself. False: the text cannot be understood. */
bool hp_filter_nft_chains(const char *text, const hp_packet_t *packet, const char *iptables,
                          hp_chains_t *chains);

/* The table filter; names are those of the chains. */
bool hp_filter_iptables_chains(const char *text, const hp_packet_t *packet, hp_chains_t *chains);

#endif
