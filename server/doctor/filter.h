/* The packet filter of this machine: whether a packet of another host would come through to hostpair, and the
 * command that lets it. It is read by the tools that the machine has for it, and never changed.
 *
 * Judging is pure: what the tools printed, and the packet. Rules that depend on what cannot be known (the
 * sender's port, a rate, a mark) make the answer "some". What is understood: chains of the hooks prerouting
 * and input of nftables (families inet, ip and ip6) and the table filter of iptables and ip6tables, with
 * jumps, verdict maps and sets. ufw is judged by the rules that it has made, firewalld by those or by its
 * zones. */
#ifndef HP_DOCTOR_FILTER_H
#define HP_DOCTOR_FILTER_H

#include <stdbool.h>
#include <stdint.h>

/* The first packet of another host, as it arrives. */
typedef struct hp_packet {
    char interface[16];
    bool udp, v6;
    uint16_t port;                 /* to which it is sent */
    uint32_t first, last;          /* IPv4: the addresses that it may come from, host byte order */
    uint32_t to;                   /* the address of this machine */
    uint8_t first6[16], last6[16]; /* the same of IPv6, network byte order */
    uint8_t to6[16];
} hp_packet_t;

/* The program by which people set the filter up here. */
typedef enum { HP_TOOL_NONE, HP_TOOL_NFT, HP_TOOL_IPTABLES, HP_TOOL_UFW, HP_TOOL_FIREWALLD } hp_filter_tool_t;
const char *hp_filter_tool_name(hp_filter_tool_t tool); /* "nftables", ... */

typedef enum {
    HP_FILTER_UNKNOWN, /* there is a filter, or may be one, and it cannot be read */
    HP_FILTER_OPEN,
    HP_FILTER_SOME, /* open for some senders, or at some times */
    HP_FILTER_CLOSED,
} hp_filter_state_t;

/* What the tools printed; NULL: nothing was to be had. */
typedef struct hp_filter_texts {
    char *nft;             /* nft -j list ruleset */
    char *iptables;        /* iptables-save */
    char *iptables_legacy; /* iptables-legacy-save, where there is the other one besides */
    char *ip6tables;       /* ip6tables-save, and so on: for IPv6 */
    char *ip6tables_legacy;
    char *ufw;           /* ufw status verbose */
    char *ufw_conf;      /* /etc/ufw/ufw.conf, which everybody may read */
    char *zones;         /* firewall-cmd --list-all-zones */
    char *default_zone;  /* firewall-cmd --get-default-zone */
    char *services;      /* firewall-cmd --info-service=NAME of those of the zones, where nft told nothing */
    bool firewalld_runs; /* also where it does not tell us its zones */
    bool has_nft, has_iptables;
} hp_filter_texts_t;

#define HP_FILTER_COMMAND_SIZE 400
typedef struct hp_filter_verdict {
    hp_filter_state_t state;
    hp_filter_tool_t tool;
    char where[120];                   /* the chain or zone that keeps it out: "inet filter input" */
    char open[HP_FILTER_COMMAND_SIZE]; /* the command that lets it in; "" where none is known */
    char look[HP_FILTER_COMMAND_SIZE]; /* the command that shows the filter to a person */
} hp_filter_verdict_t;

/* Blocks. */
void hp_filter_read(hp_filter_texts_t *texts);
void hp_filter_texts_dispose(hp_filter_texts_t *texts);

/* Pure. */
void hp_filter_judge(const hp_filter_texts_t *texts, const hp_packet_t *packet, hp_filter_verdict_t *out);

/* Whether `ufw status` says that it is on, or else its configuration. Pure. */
bool hp_filter_ufw_is_on(const hp_filter_texts_t *texts);

/* The zone of an interface in what firewall-cmd printed, and whether it lets the packet in. services: what
 * --info-service printed of each, one after the other; NULL. Pure. */
hp_filter_state_t hp_filter_zone(const char *zones, const char *default_zone, const char *services,
                                 const hp_packet_t *packet, char zone[64]);

/* The names of services that zones let in: calls fn with each, once. Pure. */
void hp_filter_each_service(const char *zones, void (*fn)(void *arg, const char *name), void *arg);

#endif
