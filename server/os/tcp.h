/* What the kernel knows about a TCP connection. In a file of its own because linux/tcp.h and netinet/tcp.h
 * exclude each other, and only the first has the counters. */
#ifndef HP_OS_TCP_H
#define HP_OS_TCP_H

#include <stdbool.h>
#include <stdint.h>

typedef struct hp_tcp_state {
    bool known;     /* a TCP socket; else nothing below is set */
    bool dead;      /* the other side has reset the connection */
    bool half;      /* the other side sends no more */
    bool holds;     /* bytes that the other side has not acknowledged */
    uint64_t moved; /* bytes acknowledged and received */
} hp_tcp_state_t;

hp_tcp_state_t hp_tcp_read(int fd);

/* The round trip as the kernel has measured it, microseconds; 0: unknown, or no TCP socket. */
uint32_t hp_tcp_rtt_us(int fd);

#endif
