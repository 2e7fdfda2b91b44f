/* A large network does not fit the kernel's neighbour table: an address without a host stays in
 * it for the three seconds of its ARP requests, and Linux keeps 1024 unless told otherwise. A connection
 * whose address found no place is silently not tried at all. So after each handful of connections of a large
 * scan the table is read, and those that are missing from it are put back for later (verify()); a process
 * that may do so takes out the entries that the scan is done with. A /20 therefore takes about 13 s without
 * that right, and 7 s with it. */
#include "discovery/scan.h"
#include "discovery/far_ends.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include "base/array.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/pending.h"
#include "os/neighbours.h"
#include "path/address.h"

#define TICK_MS        20
#define BEGIN_PER_TURN 64 /* connections begun without letting the loop do something else */
#define NEIGHBOURS_MAX 8192
#define FIRST_MAX      1024 /* neighbours that are tried before the rest */
#define CROWD          512  /* a scan of more addresses than this may overflow the neighbour table */
#define TABLE_LEAST                                                                                          \
    64 /* a table with fewer entries is not full: addresses are missing because of a router                  \
        */
#define PAUSE_MS     100   /* when it is full */
#define RETRY_FOR_MS 30000 /* then what finds no place in it is taken for tried */
#define STARVED_MS   5000  /* without a free descriptor: given up */
#define SPARE_FILES  64    /* descriptors that a scan leaves to the rest of the process, at least */

/* One connection attempt. Freed in its close callback. */
typedef struct attempt {
    uv_poll_t poll;
    hp_scan_t *scan;
    int fd;
    hp_sockaddr_t address;
    uint64_t deadline;
    struct attempt *next; /* begun after this one */
} attempt_t;

/* A probe that the registry makes for us; it may outlive the scan. */
typedef struct check {
    hp_scan_t *scan; /* NULL: the scan has gone */
    hp_sockaddr_t address;
    struct check *next;
} check_t;

struct hp_scan {
    uv_loop_t *loop;
    hp_hosts_t *hosts;
    uint16_t port;
    hp_tally_t *tally;
    void (*finished)(void *arg);
    void (*opened)(void *arg, const hp_sockaddr_t *address); /* NULL: hosts are looked for */
    void *arg;
    uv_timer_t timer;
    bool running;
    hp_pending_t pending; /* handles: the timer's, those of attempts */
    void (*closed)(void *arg);
    void *closed_arg;

    hp_sockaddr_t *first; /* neighbours */
    size_t first_count, first_next;
    HP_ARRAY(uint32_t) later; /* put back: a stack */
    hp_neighbour_t *table;
    uint64_t pause_until;
    hp_subnet_t ranges[HP_INTERFACES_MAX + HP_FAR_ENDS_MAX];
    size_t range_count, range_next;
    uint32_t next; /* in ranges[range_next] */
    uint32_t own[HP_INTERFACES_MAX];
    size_t own_count;

    attempt_t *oldest, *newest; /* under way, by deadline */
    unsigned flight, flight_max;
    check_t *checks;
    unsigned starved; /* ticks without a single free descriptor */
    size_t done, total;
    uint64_t began;
};

static void go_on(hp_scan_t *self);

/* ---- one connection ---- */

static void on_attempt_closed(uv_handle_t *handle)
{
    attempt_t *attempt = handle->data;
    hp_scan_t *self = attempt->scan;
    free(attempt);
    hp_pending_drop(&self->pending);
}

static void end_attempt(attempt_t *attempt)
{
    hp_scan_t *self = attempt->scan;
    attempt_t *before = NULL;
    for (attempt_t *a = self->oldest; a != attempt; a = a->next)
        before = a;
    if (before != NULL)
        before->next = attempt->next;
    else
        self->oldest = attempt->next;
    if (self->newest == attempt)
        self->newest = before;
    self->flight--;
    self->done++;
    uv_close((uv_handle_t *)&attempt->poll, on_attempt_closed);
    close(attempt->fd);
}

static void on_checked(void *arg, int status)
{
    check_t *check = arg;
    hp_scan_t *self = check->scan;
    if (self != NULL) {
        if (status == 0) /* the registry has told who needs to know */
            hp_tally_add_from(self->tally, &check->address, HP_TALLY_ANSWERED);
        check_t **at = &self->checks;
        while (*at != check)
            at = &(*at)->next;
        *at = check->next;
        go_on(self);
    }
    free(check);
}

static void check_host(hp_scan_t *self, const hp_sockaddr_t *address)
{
    hp_endpoint_t at;
    if (hp_endpoint_from_sockaddr(&at, address) != 0)
        return;
    check_t *check = hp_alloc(sizeof *check);
    check->scan = self;
    check->address = *address;
    check->next = self->checks;
    self->checks = check;
    hp_hosts_check(self->hosts, &at, HP_FOUND_SCAN, on_checked, check);
}

static void on_writable(uv_poll_t *poll, int status, int events)
{
    attempt_t *attempt = poll->data;
    hp_scan_t *self = attempt->scan;
    (void)status, (void)events;
    int error = 0;
    socklen_t size = sizeof error;
    bool accepted = getsockopt(attempt->fd, SOL_SOCKET, SO_ERROR, &error, &size) == 0 && error == 0;
    hp_sockaddr_t address = attempt->address;
    end_attempt(attempt);
    if (accepted && self->opened != NULL)
        self->opened(self->arg, &address);
    else if (accepted)
        check_host(self, &address);
    go_on(self);
}

/* 0; -1: not now, there is no descriptor left; 1: no host can be there. */
static int begin_attempt(hp_scan_t *self, const hp_sockaddr_t *address)
{
    int fd = socket(address->any.sa_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd < 0)
        return errno == EMFILE || errno == ENFILE || errno == ENOBUFS || errno == ENOMEM ? -1 : 1;
    /* A connection that was only to be tried leaves no TIME_WAIT behind: closing it resets it. */
    struct linger reset = {.l_onoff = 1, .l_linger = 0};
    setsockopt(fd, SOL_SOCKET, SO_LINGER, &reset, sizeof reset);
    if (connect(fd, &address->any, hp_sockaddr_length(address)) != 0 && errno != EINPROGRESS) {
        close(fd);
        return 1;
    }
    attempt_t *attempt = hp_alloc(sizeof *attempt);
    attempt->scan = self;
    attempt->fd = fd;
    attempt->address = *address;
    attempt->deadline = hp_clock_ms() + HP_SCAN_CONNECT_MS;
    attempt->poll.data = attempt;
    uv_poll_init(self->loop, &attempt->poll, fd);
    uv_poll_start(&attempt->poll, UV_WRITABLE, on_writable);
    if (self->newest != NULL)
        self->newest->next = attempt;
    else
        self->oldest = attempt;
    self->newest = attempt;
    self->flight++;
    hp_pending_add(&self->pending);
    return 0;
}

/* ---- which address is next ---- */

static bool is_own(const hp_scan_t *self, uint32_t address)
{
    for (size_t i = 0; i < self->own_count; i++)
        if (self->own[i] == address)
            return true;
    return false;
}

static bool was_first(const hp_scan_t *self, uint32_t address)
{
    for (size_t i = 0; i < self->first_count; i++)
        if (self->first[i].any.sa_family == AF_INET && ntohl(self->first[i].v4.sin_addr.s_addr) == address)
            return true;
    return false;
}

/* The address that is to be tried now; advance() goes on to the one after it. */
static bool peek(hp_scan_t *self, hp_sockaddr_t *address)
{
    if (self->first_next < self->first_count) {
        *address = self->first[self->first_next];
        return true;
    }
    if (self->range_next == self->range_count && self->later.count == 0)
        return false;
    uint32_t ip =
        self->range_next < self->range_count ? self->next : self->later.items[self->later.count - 1];
    *address = (hp_sockaddr_t){0};
    address->v4.sin_family = AF_INET;
    address->v4.sin_addr.s_addr = htonl(ip);
    address->v4.sin_port = htons(self->port);
    return true;
}

static void advance(hp_scan_t *self)
{
    if (self->first_next < self->first_count) {
        self->first_next++;
    } else if (self->range_next == self->range_count) {
        self->later.count--;
    } else if (self->next == self->ranges[self->range_next].last) {
        self->range_next++;
        if (self->range_next < self->range_count)
            self->next = self->ranges[self->range_next].first;
    } else {
        self->next++;
    }
}

static bool to_be_skipped(const hp_scan_t *self, const hp_sockaddr_t *address)
{
    if (self->first_next < self->first_count || self->range_next == self->range_count)
        return false;
    uint32_t ip = ntohl(address->v4.sin_addr.s_addr);
    return is_own(self, ip) || was_first(self, ip);
}

/* ---- the run ---- */

static void end(hp_scan_t *self)
{
    self->running = false;
    uv_timer_stop(&self->timer);
    free(self->first);
    hp_array_dispose(&self->later);
    free(self->table);
    self->first = NULL;
    self->table = NULL;
    self->first_count = self->first_next = 0;
    hp_log(HP_LOG_DEBUG, "scanned %zu addresses at port %u in %llu ms", self->total, (unsigned)self->port,
           (unsigned long long)(hp_clock_ms() - self->began));
    if (self->finished != NULL)
        self->finished(self->arg);
}

static int by_address(const void *a, const void *b)
{
    const hp_neighbour_t *x = a, *y = b;
    uint32_t p = ntohl(x->address.v4.sin_addr.s_addr), q = ntohl(y->address.v4.sin_addr.s_addr);
    return p < q ? -1 : p > q;
}

/* The IPv4 entries of the table, sorted. */
static size_t read_table(hp_scan_t *self)
{
    if (self->table == NULL)
        self->table = hp_alloc_array(NEIGHBOURS_MAX, sizeof *self->table);
    size_t all = hp_neighbours_read(self->table, NEIGHBOURS_MAX), count = 0;
    for (size_t i = 0; i < all; i++)
        if (self->table[i].address.any.sa_family == AF_INET)
            self->table[count++] = self->table[i];
    qsort(self->table, count, sizeof *self->table, by_address);
    return count;
}

static void put_back(hp_scan_t *self, attempt_t *attempt)
{
    *hp_array_add(&self->later) = ntohl(attempt->address.v4.sin_addr.s_addr);
    end_attempt(attempt);
    self->done--;
}

/* Entries that are only waited for and that no connection needs any more. */
static void forget_silent(hp_scan_t *self, size_t count)
{
    size_t silent = 0;
    for (attempt_t *attempt = self->oldest; attempt != NULL; attempt = attempt->next) {
        hp_neighbour_t key = {.address = attempt->address};
        hp_neighbour_t *entry = attempt->address.any.sa_family != AF_INET
                                    ? NULL
                                    : bsearch(&key, self->table, count, sizeof key, by_address);
        if (entry != NULL)
            entry->waiting = false; /* still needed */
    }
    for (size_t i = 0; i < count; i++) {
        uint32_t ip = ntohl(self->table[i].address.v4.sin_addr.s_addr);
        bool ours = false;
        for (size_t k = 0; k < self->range_count && !ours; k++)
            ours = ip >= self->ranges[k].first && ip <= self->ranges[k].last;
        if (ours && self->table[i].waiting)
            self->table[silent++] = self->table[i];
    }
    hp_neighbours_forget(self->table, silent);
}

/* Whether the connections from `first` on found a place in the neighbour table; those that did not are put
 * back. */
static void verify(hp_scan_t *self, attempt_t *first)
{
    uint64_t now = hp_clock_ms();
    size_t count = read_table(self);
    bool full = false;
    if (count < TABLE_LEAST || now - self->began >= RETRY_FOR_MS)
        return;
    for (attempt_t *attempt = first, *next; attempt != NULL; attempt = next) {
        hp_neighbour_t key = {.address = attempt->address};
        next = attempt->next;
        if (attempt->address.any.sa_family != AF_INET ||
            bsearch(&key, self->table, count, sizeof key, by_address) != NULL)
            continue;
        put_back(self, attempt);
        full = true;
    }
    if (!full)
        return;
    self->pause_until = now + PAUSE_MS;
    forget_silent(self, count);
}

static void go_on(hp_scan_t *self)
{
    hp_sockaddr_t address;
    attempt_t *last = self->newest;
    if (hp_clock_ms() < self->pause_until)
        return;
    for (unsigned begun = 0; self->running && self->flight < self->flight_max && begun < BEGIN_PER_TURN;
         begun++) {
        if (!peek(self, &address))
            break;
        int rc = to_be_skipped(self, &address) ? 1 : begin_attempt(self, &address);
        if (rc == 0)
            self->starved = 0;
        if (rc < 0) {
            self->flight_max = HP_MAX(self->flight / 2, 1u);
            break;
        }
        advance(self);
        self->done += rc > 0;
    }
    attempt_t *first = last != NULL ? last->next : self->oldest;
    if (self->running && self->total > CROWD && first != NULL)
        verify(self, first);
}

static void on_tick(uv_timer_t *timer)
{
    hp_scan_t *self = timer->data;
    hp_sockaddr_t address;
    uint64_t now = hp_clock_ms();
    while (self->oldest != NULL && self->oldest->deadline <= now)
        end_attempt(self->oldest);
    go_on(self);
    if (self->flight > 0 || self->checks != NULL)
        return;
    if (!peek(self, &address)) {
        end(self);
    } else if (hp_clock_ms() >= self->pause_until && ++self->starved * TICK_MS >= STARVED_MS) {
        hp_log(HP_LOG_WARN, "the scan is stopped: no file descriptors are free");
        end(self);
    }
}

static void add_range(hp_scan_t *self, hp_subnet_t range)
{
    if (range.first > range.last || self->range_count == HP_COUNT(self->ranges))
        return;
    for (size_t i = 0; i < self->range_count; i++)
        if (self->ranges[i].first == range.first && self->ranges[i].last == range.last)
            return; /* two addresses in one network */
    self->ranges[self->range_count++] = range;
    self->total += range.last - range.first + 1;
}

/* What the scan may use of the descriptors that are left. */
static unsigned flight_of(void)
{
    struct rlimit limit;
    if (getrlimit(RLIMIT_NOFILE, &limit) != 0 || limit.rlim_cur >= (rlim_t)4 * HP_SCAN_FLIGHT)
        return HP_SCAN_FLIGHT;
    return limit.rlim_cur > (rlim_t)2 * SPARE_FILES
               ? (unsigned)HP_MIN(limit.rlim_cur / 2, (rlim_t)HP_SCAN_FLIGHT)
               : SPARE_FILES / 2;
}

static void take_neighbours(hp_scan_t *self)
{
    hp_neighbour_t *all = hp_alloc_array(NEIGHBOURS_MAX, sizeof *all);
    size_t count = hp_neighbours_read(all, NEIGHBOURS_MAX);
    self->first = hp_alloc_array(FIRST_MAX, sizeof *self->first);
    self->first_count = self->first_next = 0;
    for (size_t i = 0; i < count && self->first_count < FIRST_MAX; i++) {
        if (!all[i].usable)
            continue;
        hp_sockaddr_t *address = &self->first[self->first_count++];
        *address = all[i].address;
        if (address->any.sa_family == AF_INET)
            address->v4.sin_port = htons(self->port);
        else
            address->v6.sin6_port = htons(self->port);
    }
    free(all);
}

void hp_scan_begin(hp_scan_t *self, const hp_interface_t *interfaces, size_t count, bool person)
{
    if (self->hosts != NULL)
        hp_hosts_probe_all(self->hosts, person);
    self->running = true;
    self->began = hp_clock_ms();
    self->done = self->total = 0;
    self->starved = 0;
    self->pause_until = 0;
    self->range_count = self->range_next = self->own_count = 0;
    self->flight_max = flight_of();
    for (size_t i = 0; i < count && i < HP_INTERFACES_MAX; i++) {
        if (interfaces[i].v6)
            continue;
        self->own[self->own_count++] = interfaces[i].address;
        if (!interfaces[i].point_to_point && self->opened == NULL)
            add_range(self, hp_subnet_hosts(interfaces[i].address, interfaces[i].mask, false));
    }
    hp_subnet_t far[HP_FAR_ENDS_MAX];
    size_t far_count = hp_far_ends(interfaces, count, far);
    for (size_t i = 0; i < far_count; i++)
        add_range(self, far[i]);
    if (self->range_count > 0)
        self->next = self->ranges[0].first;
    take_neighbours(self);
    self->total += self->first_count;
    go_on(self);
    uv_timer_start(&self->timer, on_tick, TICK_MS, TICK_MS);
}

bool hp_scan_running(const hp_scan_t *scan)
{
    return scan->running;
}

hp_scan_progress_t hp_scan_progress(const hp_scan_t *scan)
{
    return (hp_scan_progress_t){.running = scan->running, .done = scan->done, .total = scan->total};
}

hp_scan_t *hp_scan_create(uv_loop_t *loop, hp_hosts_t *hosts, uint16_t port, hp_tally_t *tally,
                          void (*finished)(void *arg), void *arg)
{
    hp_scan_t *self = hp_alloc(sizeof *self);
    self->loop = loop;
    self->hosts = hosts;
    self->port = port;
    self->tally = tally;
    self->finished = finished;
    self->arg = arg;
    uv_timer_init(loop, &self->timer);
    self->timer.data = self;
    hp_pending_add(&self->pending);
    return self;
}

hp_scan_t *hp_scan_create_for(uv_loop_t *loop, uint16_t port,
                              void (*opened)(void *arg, const hp_sockaddr_t *address), void *arg)
{
    hp_scan_t *self = hp_scan_create(loop, NULL, port, NULL, NULL, arg);
    self->opened = opened;
    return self;
}

static void on_timer_closed(uv_handle_t *handle)
{
    hp_scan_t *self = handle->data;
    hp_pending_drop(&self->pending);
}

static void finish(void *arg)
{
    hp_scan_t *self = arg;
    void (*closed)(void *arg) = self->closed;
    void *closed_arg = self->closed_arg;
    free(self->first);
    hp_array_dispose(&self->later);
    free(self->table);
    free(self);
    closed(closed_arg);
}

void hp_scan_destroy(hp_scan_t *self, void (*closed)(void *arg), void *arg)
{
    self->running = false;
    self->closed = closed;
    self->closed_arg = arg;
    while (self->oldest != NULL)
        end_attempt(self->oldest);
    for (; self->checks != NULL; self->checks = self->checks->next)
        self->checks->scan = NULL;
    uv_close((uv_handle_t *)&self->timer, on_timer_closed);
    hp_pending_when_none(&self->pending, finish, self);
}
