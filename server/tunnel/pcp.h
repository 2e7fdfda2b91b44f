/* PCP MAP messages for a UDP port (RFC 6887 section 11): written and read. Pure functions, any thread. */
#ifndef HP_TUNNEL_PCP_H
#define HP_TUNNEL_PCP_H

#include <netinet/in.h>
#include <stddef.h>
#include <stdint.h>

#define HP_PCP_MESSAGE 60 /* bytes of a request, and of an answer at least */
#define HP_PCP_NONCE   12
#define HP_PCP_PORT    5351

typedef struct hp_pcp {
    uint8_t nonce[HP_PCP_NONCE]; /* the same for every message about one mapping */
    struct in_addr client;       /* the address that the router sees */
    uint16_t port;               /* to open, host byte order */
    uint32_t lifetime_s;         /* asked for; 0 closes it */
} hp_pcp_t;

void hp_pcp_write(const hp_pcp_t *self, uint16_t suggested, uint8_t out[HP_PCP_MESSAGE]);

typedef struct hp_pcp_answer {
    int result; /* 0: done; 1: the router speaks another version, NAT-PMP as a rule; others: refused */
    struct in_addr external;
    uint16_t external_port;
    uint32_t lifetime_s;
} hp_pcp_answer_t;

/* 0, or HP_E_INVALID for what is no answer to this request. */
int hp_pcp_read(const hp_pcp_t *self, const uint8_t *data, size_t length, hp_pcp_answer_t *out);

#endif
