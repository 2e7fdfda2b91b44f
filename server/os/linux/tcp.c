#include "os/tcp.h"

#include <linux/tcp.h>
#include <netinet/in.h>
#include <stddef.h>
#include <sys/socket.h>

enum { STATE_CLOSE = 7, STATE_CLOSE_WAIT = 8 }; /* tcpi_state; the names are the kernel's own */

hp_tcp_state_t hp_tcp_read(int fd)
{
    struct tcp_info info = {0}; /* an older kernel leaves the end of it alone */
    socklen_t length = sizeof info;
    if (getsockopt(fd, IPPROTO_TCP, TCP_INFO, &info, &length) != 0 ||
        length < offsetof(struct tcp_info, tcpi_segs_out))
        return (hp_tcp_state_t){0};
    return (hp_tcp_state_t){
        .known = true,
        .dead = info.tcpi_state == STATE_CLOSE,
        .half = info.tcpi_state == STATE_CLOSE_WAIT,
        .holds = info.tcpi_unacked > 0 || info.tcpi_notsent_bytes > 0,
        .moved = info.tcpi_bytes_acked + info.tcpi_bytes_received,
    };
}

uint32_t hp_tcp_rtt_us(int fd)
{
    struct tcp_info info = {0};
    socklen_t length = sizeof info;
    return fd >= 0 && getsockopt(fd, IPPROTO_TCP, TCP_INFO, &info, &length) == 0 ? info.tcpi_rtt : 0;
}
