/* A little internet in user space, for tests on a kernel without netem: a TUN interface in each of several
 * network namespaces, and packets routed between them by destination, each port with a delay, loss, rate,
 * queue and MTU of its own.
 *
 *   wan [-s SEED] PORT...      PORT: key=value,... of
 *       ns=NAME        network namespace
 *       if=NAME        interface to make there
 *       addr=A/N       address for it, IPv4 or IPv6; may be given several times
 *       to=A/N         what lies behind this port; may be given several times
 *       delay=MS       one way; a path takes the sum of both ports' delays
 *       loss=P         0 to 1, of packets that come from here or go here
 *       rate=MBIT      of packets that go here; 0: no limit
 *       queue=KB       in front of the rate, 1000
 *       mtu=BYTES      1500; longer packets are answered with "packet too big" or lost, as "blackhole=1" says
 *       reorder=P      0 to 1: so many packets that go here are held back by reorder_ms=MS (2)
 *       dup=P          0 to 1: so many arrive twice
 *
 * Commands on standard input, a line each: "set N key=value,..." changes delay, loss, rate, queue, mtu,
 * reorder, dup of the Nth port (from 0) while it runs; "stats" prints a line of JSON. It prints "up" when it
 * is ready, and ends when standard input does. */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/if_tun.h>
#include <net/if.h>
#include <sched.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/timerfd.h>
#include <time.h>
#include <unistd.h>

enum { PORTS_MAX = 16, ROUTES_MAX = 8, PACKET_MAX = 9000, BATCH = 128, TIMER = 100, INPUT = 101 };

typedef struct packet {
    struct packet *next;
    uint64_t due;
    size_t length;
    uint8_t data[PACKET_MAX];
} packet_t;

typedef struct route {
    int family, bits;
    uint8_t net[16];
} route_t;

typedef struct port {
    int fd;
    char ns[64], name[IFNAMSIZ];
    char addresses[4][64];
    int address_count;
    route_t routes[ROUTES_MAX];
    int route_count;
    double delay_ms, loss, rate_mbit, queue_kb, reorder, reorder_ms, dup;
    size_t mtu;
    bool blackhole;
    uint64_t busy_until; /* the link is sending what went before */
    packet_t *first;     /* in order of due */
    packet_t *last;
    uint64_t in, out, lost, dropped, too_big, reordered;
} port_t;

static port_t ports[PORTS_MAX];
static int port_count;
static packet_t *spare;
static uint64_t random_state = 88172645463325252ull;

static void die(const char *what)
{
    fprintf(stderr, "wan: %s: %s\n", what, strerror(errno));
    exit(1);
}

static double chance(void)
{
    random_state ^= random_state << 13;
    random_state ^= random_state >> 7;
    random_state ^= random_state << 17;
    return (double)(random_state >> 11) / 9007199254740992.0;
}

static uint64_t now_ns(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

/* ---- ports ---- */

static void parse_route(route_t *route, const char *text)
{
    char host[64];
    const char *slash = strchr(text, '/');
    snprintf(host, sizeof host, "%.*s", slash != NULL ? (int)(slash - text) : (int)strlen(text), text);
    route->family = strchr(host, ':') != NULL ? AF_INET6 : AF_INET;
    route->bits = slash != NULL ? atoi(slash + 1) : route->family == AF_INET ? 32 : 128;
    if (inet_pton(route->family, host, route->net) != 1) {
        fprintf(stderr, "wan: %s is no network\n", text);
        exit(1);
    }
}

static void set(port_t *port, const char *key, const char *value)
{
    const struct {
        const char *key;
        double *number;
    } numbers[] = {{"delay", &port->delay_ms}, {"loss", &port->loss},       {"rate", &port->rate_mbit},
                   {"queue", &port->queue_kb}, {"reorder", &port->reorder}, {"reorder_ms", &port->reorder_ms},
                   {"dup", &port->dup}};
    for (size_t i = 0; i < sizeof numbers / sizeof numbers[0]; i++)
        if (strcmp(key, numbers[i].key) == 0) {
            *numbers[i].number = atof(value);
            return;
        }
    if (strcmp(key, "ns") == 0)
        snprintf(port->ns, sizeof port->ns, "%s", value);
    else if (strcmp(key, "if") == 0)
        snprintf(port->name, sizeof port->name, "%s", value);
    else if (strcmp(key, "addr") == 0 && port->address_count < 4)
        snprintf(port->addresses[port->address_count++], 64, "%s", value);
    else if (strcmp(key, "to") == 0 && port->route_count < ROUTES_MAX)
        parse_route(&port->routes[port->route_count++], value);
    else if (strcmp(key, "mtu") == 0)
        port->mtu = (size_t)atoi(value);
    else if (strcmp(key, "blackhole") == 0)
        port->blackhole = atoi(value) != 0;
    else {
        fprintf(stderr, "wan: nobody knows %s\n", key);
        exit(1);
    }
}

static void set_all(port_t *port, char *text)
{
    char *save = NULL;
    for (char *part = strtok_r(text, ",\n", &save); part != NULL; part = strtok_r(NULL, ",\n", &save)) {
        char *equals = strchr(part, '=');
        if (equals == NULL)
            continue;
        *equals = '\0';
        set(port, part, equals + 1);
    }
}

static void run(const char *command)
{
    if (system(command) != 0) {
        fprintf(stderr, "wan: %s did not work\n", command);
        exit(1);
    }
}

/* The interface takes whole packets; its own MTU is the largest, so that the path's is met in the middle. */
static void make_interface(port_t *port)
{
    char path[128], command[300];
    struct ifreq request = {.ifr_flags = IFF_TUN | IFF_NO_PI};
    int home = open("/proc/self/ns/net", O_RDONLY);
    snprintf(path, sizeof path, "/var/run/netns/%s", port->ns);
    int ns = open(path, O_RDONLY);
    if (home < 0 || ns < 0 || setns(ns, CLONE_NEWNET) != 0)
        die(path);
    port->fd = open("/dev/net/tun", O_RDWR | O_NONBLOCK | O_CLOEXEC);
    snprintf(request.ifr_name, sizeof request.ifr_name, "%s", port->name);
    if (port->fd < 0 || ioctl(port->fd, TUNSETIFF, &request) != 0)
        die("TUN");
    snprintf(command, sizeof command, "ip link set %s mtu 1500 txqueuelen 4000 up", port->name);
    run(command);
    bool v4 = false, v6 = false;
    for (int i = 0; i < port->address_count; i++) {
        bool is_v6 = strchr(port->addresses[i], ':') != NULL;
        snprintf(command, sizeof command, "ip addr add %s dev %s%s", port->addresses[i], port->name,
                 is_v6 ? " nodad" : "");
        run(command);
        *(is_v6 ? &v6 : &v4) = true;
    }
    snprintf(command, sizeof command, "%s %s", v4 ? "ip route replace default dev" : "true",
             v4 ? port->name : "");
    run(command);
    snprintf(command, sizeof command, "%s %s", v6 ? "ip -6 route replace default dev" : "true",
             v6 ? port->name : "");
    run(command);
    if (setns(home, CLONE_NEWNET) != 0)
        die("setns");
    close(ns);
    close(home);
}

static int match(const route_t *route, int family, const uint8_t *to)
{
    if (route->family != family)
        return -1;
    for (int bit = 0; bit < route->bits; bit++)
        if (((route->net[bit / 8] ^ to[bit / 8]) >> (7 - bit % 8) & 1) != 0)
            return -1;
    return route->bits;
}

static port_t *route_of(const packet_t *packet, const port_t *from)
{
    port_t *best = NULL;
    int best_bits = -1;
    int version = packet->length > 0 ? packet->data[0] >> 4 : 0;
    if ((version == 4 && packet->length < 20) || (version == 6 && packet->length < 40) ||
        (version != 4 && version != 6))
        return NULL;
    const uint8_t *to = packet->data + (version == 4 ? 16 : 24);
    for (int i = 0; i < port_count; i++)
        for (int r = 0; r < ports[i].route_count; r++) {
            int bits = match(&ports[i].routes[r], version == 4 ? AF_INET : AF_INET6, to);
            if (bits > best_bits && &ports[i] != from) {
                best = &ports[i];
                best_bits = bits;
            }
        }
    return best;
}

/* ---- packets ---- */

static packet_t *take(void)
{
    packet_t *packet = spare;
    if (packet == NULL)
        return malloc(sizeof *packet);
    spare = packet->next;
    return packet;
}

static void give(packet_t *packet)
{
    packet->next = spare;
    spare = packet;
}

static void queue(port_t *port, packet_t *packet)
{
    packet->next = NULL;
    if (port->first == NULL) {
        port->first = port->last = packet;
        return;
    }
    if (port->last->due <= packet->due) {
        port->last->next = packet;
        port->last = packet;
        return;
    }
    packet_t **at = &port->first;
    while (*at != NULL && (*at)->due <= packet->due)
        at = &(*at)->next;
    packet->next = *at;
    *at = packet;
}

static uint16_t checksum(const uint8_t *data, size_t length)
{
    uint32_t sum = 0;
    for (size_t i = 0; i + 1 < length; i += 2)
        sum += (uint32_t)(data[i] << 8 | data[i + 1]);
    while (sum >> 16 != 0)
        sum = (sum & 0xffff) + (sum >> 16);
    return (uint16_t)~sum;
}

/* "Fragmentation needed" (RFC 1191), back to where the packet came from. IPv4 only; IPv6 paths of tests are
 * black holes then, which happens out there as well. */
static void answer_too_big(port_t *from, const packet_t *packet, size_t mtu)
{
    uint8_t out[56] = {0x45, 0, 0, 56, 0, 0, 0, 0, 64, 1};
    if (packet->data[0] >> 4 != 4)
        return;
    memcpy(out + 12, packet->data + 16, 4);
    memcpy(out + 16, packet->data + 12, 4);
    uint16_t sum = checksum(out, 20);
    out[10] = (uint8_t)(sum >> 8);
    out[11] = (uint8_t)sum;
    out[20] = 3;
    out[21] = 4;
    out[26] = (uint8_t)(mtu >> 8);
    out[27] = (uint8_t)mtu;
    memcpy(out + 28, packet->data, 28);
    sum = checksum(out + 20, 36);
    out[22] = (uint8_t)(sum >> 8);
    out[23] = (uint8_t)sum;
    if (write(from->fd, out, sizeof out) < 0 && errno != EAGAIN)
        die("write");
}

static void carry(port_t *from, packet_t *packet, uint64_t now)
{
    port_t *to = route_of(packet, from);
    size_t mtu = to == NULL ? 0 : from->mtu < to->mtu ? from->mtu : to->mtu;
    if (to == NULL) {
        give(packet);
        return;
    }
    if (packet->length > mtu) {
        to->too_big++;
        if (!to->blackhole && !from->blackhole)
            answer_too_big(from, packet, mtu);
        give(packet);
        return;
    }
    if (chance() < from->loss || chance() < to->loss) {
        to->lost++;
        give(packet);
        return;
    }
    uint64_t at = now;
    if (to->rate_mbit > 0) {
        double ns_per_byte = 8000.0 / to->rate_mbit;
        if (to->busy_until > now + (uint64_t)(to->queue_kb * 1024 * ns_per_byte)) {
            to->dropped++;
            give(packet);
            return;
        }
        to->busy_until =
            (to->busy_until < now ? now : to->busy_until) + (uint64_t)(ns_per_byte * (double)packet->length);
        at = to->busy_until;
    }
    packet->due = at + (uint64_t)((from->delay_ms + to->delay_ms) * 1e6);
    if (to->reorder > 0 && chance() < to->reorder) {
        packet->due += (uint64_t)(to->reorder_ms * 1e6);
        to->reordered++;
    }
    if (to->dup > 0 && chance() < to->dup) {
        packet_t *again = take();
        memcpy(again->data, packet->data, packet->length);
        again->length = packet->length;
        again->due = packet->due;
        queue(to, again);
    }
    queue(to, packet);
}

static void receive(port_t *port)
{
    uint64_t now = now_ns();
    for (int i = 0; i < BATCH; i++) {
        packet_t *packet = take();
        ssize_t length = read(port->fd, packet->data, sizeof packet->data);
        if (length <= 0) {
            give(packet);
            return;
        }
        packet->length = (size_t)length;
        port->in++;
        carry(port, packet, now);
    }
}

/* Delivers what is due; returns when the next is. */
static uint64_t deliver(void)
{
    uint64_t next = UINT64_MAX, now = now_ns();
    for (int i = 0; i < port_count; i++) {
        port_t *port = &ports[i];
        while (port->first != NULL && port->first->due <= now) {
            packet_t *packet = port->first;
            if (write(port->fd, packet->data, packet->length) < 0 && errno == EAGAIN)
                break;
            port->out++;
            port->first = packet->next;
            give(packet);
        }
        if (port->first != NULL && port->first->due < next)
            next = port->first->due;
    }
    return next;
}

static void print_stats(void)
{
    printf("[");
    for (int i = 0; i < port_count; i++)
        printf("%s{\"in\":%lu,\"out\":%lu,\"lost\":%lu,\"dropped\":%lu,\"tooBig\":%lu,\"reordered\":%lu}",
               i > 0 ? "," : "", ports[i].in, ports[i].out, ports[i].lost, ports[i].dropped, ports[i].too_big,
               ports[i].reordered);
    printf("]\n");
}

/* False: standard input has ended. */
static bool obey(void)
{
    static char text[4096];
    static size_t have;
    ssize_t got = read(0, text + have, sizeof text - 1 - have);
    if (got <= 0)
        return false;
    have += (size_t)got;
    text[have] = '\0';
    for (char *end; (end = strchr(text, '\n')) != NULL;) {
        int which;
        char rest[512] = "";
        *end = '\0';
        if (sscanf(text, "set %d %511[^\n]", &which, rest) == 2 && which >= 0 && which < port_count) {
            set_all(&ports[which], rest);
            printf("set\n");
        } else if (strcmp(text, "stats") == 0) {
            print_stats();
        } else {
            printf("what is %s?\n", text);
        }
        have -= (size_t)(end + 1 - text);
        memmove(text, end + 1, have + 1);
    }
    return true;
}

static void watch(int epoll, int fd, uint32_t which)
{
    struct epoll_event event = {.events = EPOLLIN, .data.u32 = which};
    if (epoll_ctl(epoll, EPOLL_CTL_ADD, fd, &event) != 0)
        die("epoll");
}

int main(int argc, char **argv)
{
    setvbuf(stdout, NULL, _IOLBF, 0);
    for (int i = 1; i < argc; i++) {
        if (strcmp(argv[i], "-s") == 0 && i + 1 < argc) {
            random_state ^= strtoull(argv[++i], NULL, 0) * 2654435761u;
            continue;
        }
        if (port_count == PORTS_MAX)
            die("too many ports");
        port_t *port = &ports[port_count++];
        port->mtu = 1500;
        port->queue_kb = 1000;
        port->reorder_ms = 2;
        set_all(port, argv[i]);
        make_interface(port);
    }
    prctl(PR_SET_TIMERSLACK, 1000);
    int epoll = epoll_create1(EPOLL_CLOEXEC),
        timer = timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK | TFD_CLOEXEC);
    watch(epoll, timer, TIMER);
    watch(epoll, 0, INPUT);
    for (int i = 0; i < port_count; i++)
        watch(epoll, ports[i].fd, (uint32_t)i);
    printf("up\n");
    for (;;) {
        struct epoll_event events[32];
        int count = epoll_wait(epoll, events, 32, -1);
        for (int i = 0; i < count; i++) {
            uint64_t times;
            if (events[i].data.u32 == INPUT) {
                if (!obey())
                    return 0;
            } else if (events[i].data.u32 == TIMER) {
                if (read(timer, &times, sizeof times) < 0 && errno != EAGAIN)
                    die("timer");
            } else {
                receive(&ports[events[i].data.u32]);
            }
        }
        uint64_t next = deliver();
        struct itimerspec when = {0};
        if (next != UINT64_MAX) {
            when.it_value.tv_sec = (time_t)(next / 1000000000u);
            when.it_value.tv_nsec = (long)(next % 1000000000u);
        }
        timerfd_settime(timer, TFD_TIMER_ABSTIME, &when, NULL);
    }
}
