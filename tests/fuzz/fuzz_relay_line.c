// libs: hub tunnel path os base
/* The first line of a relayed connection, at both ends. At the hub: nobody gets a byte of a pair without one
 * of its tokens, and what follows the line is passed on whole. At a member: only "OK" opens the connection,
 * and not a byte behind it is lost. */
#include <arpa/inet.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>
#include <uv.h>

#include "base/mem.h"
#include "hub/relay.h"
#include "tunnel/relay.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { TURNS = 200, BEHIND = 4096 };

static uv_loop_t loop;
static hp_hub_relay_t *hub;
static hp_pending_t pending;
static int listener = -1;
static hp_relay_at_t at = {.token = "00112233445566778899aabbccddeeff"};

static void must(bool holds)
{
    if (!holds)
        abort();
}

static void set_up(void)
{
    socklen_t length = sizeof at.address;
    uv_loop_init(&loop);
    hub = hp_hub_relay_create(&loop, &(hp_hub_relay_limits_t){.pairs_max = 8});
    at.address.v4 = (struct sockaddr_in){.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    must(bind(listener, &at.address.any, hp_sockaddr_length(&at.address)) == 0 && listen(listener, 8) == 0 &&
         getsockname(listener, &at.address.any, &length) == 0);
}

static void turn(unsigned times)
{
    while (times-- > 0)
        uv_run(&loop, UV_RUN_NOWAIT);
}

/* A connection to the hub's relay; the returned end is the caller's. */
static int visit(void)
{
    int pair[2];
    must(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, pair) == 0);
    hp_hub_relay_accept(hub, pair[0]);
    return pair[1];
}

static void say(int fd, const void *data, size_t size)
{
    must(size == 0 || send(fd, data, size, MSG_NOSIGNAL) == (ssize_t)size || errno == EPIPE ||
         errno == ECONNRESET);
}

/* Reads until the end or until there is nothing more. */
static size_t read_all(int fd, char *out, size_t size)
{
    size_t have = 0;
    for (unsigned i = 0; i < TURNS && have < size; i++) {
        ssize_t got = recv(fd, out + have, size - have, MSG_DONTWAIT);
        if (got == 0)
            break;
        have += got > 0 ? (size_t)got : 0;
        turn(1);
    }
    return have;
}

/* A stranger says something while a member waits: the member hears nothing of it. */
static void try_stranger(const uint8_t *data, size_t size, size_t piece)
{
    char tokens[2][HP_HUB_RELAY_TOKEN_SIZE], line[80], heard[64];
    must(hp_hub_relay_open(hub, (const uint8_t *)"a group's number", tokens, NULL) == 0);
    int member = visit(), stranger = visit();
    int length = snprintf(line, sizeof line, "%s%s\r\n", HP_HUB_RELAY_PREFIX, tokens[0]);
    say(member, line, (size_t)length);
    for (size_t from = 0; from < size; from += piece) {
        say(stranger, data + from, HP_MIN(piece, size - from));
        turn(2);
    }
    shutdown(stranger, SHUT_WR);
    must(read_all(stranger, heard, sizeof heard) == 0);
    must(recv(member, heard, sizeof heard, MSG_DONTWAIT) < 0);
    close(stranger);
    /* The other member comes, and behind its line the same bytes: they arrive as they are. */
    int other = visit();
    static char got[4 + BEHIND];
    size_t behind = HP_MIN(size, (size_t)BEHIND);
    length = snprintf(line, sizeof line, "%s%s\r\n", HP_HUB_RELAY_PREFIX, tokens[1]);
    say(other, line, (size_t)length);
    say(other, data, behind);
    must(read_all(member, got, 4 + behind) == 4 + behind);
    must(memcmp(got, "OK\r\n", 4) == 0 && memcmp(got + 4, data, behind) == 0);
    close(member);
    close(other);
    turn(4);
    must(hp_hub_relay_counts(hub).running == 0 && hp_hub_relay_counts(hub).waiting == 0);
}

typedef struct dialled {
    int fd;
    bool done;
} dialled_t;

static void on_done(void *arg, const hp_relay_t *relay, int fd, const hp_err_t *err)
{
    dialled_t *dialled = arg;
    (void)relay;
    must((fd >= 0) == (err == NULL) && (err == NULL || err->detail[0] != '\0'));
    dialled->fd = fd;
    dialled->done = true;
}

/* A hub answers a member with these bytes. */
static void try_member(const uint8_t *data, size_t size, size_t piece)
{
    dialled_t dialled = {.fd = -1};
    char line[128];
    static char got[BEHIND];
    hp_relay_dial(&loop, &at, on_done, &dialled, &pending);
    int peer = accept(listener, NULL, NULL);
    must(peer >= 0);
    size_t have = read_all(peer, line, HP_HUB_RELAY_LINE);
    char token[HP_HUB_RELAY_TOKEN_SIZE];
    must(hp_hub_relay_line(line, have, token) == 0 && strcmp(token, at.token) == 0);
    for (size_t from = 0; from < size; from += piece) {
        say(peer, data + from, HP_MIN(piece, size - from));
        turn(1);
    }
    shutdown(peer, SHUT_WR);
    for (unsigned i = 0; i < TURNS && !dialled.done; i++)
        turn(1);
    bool opens = size >= 4 && memcmp(data, "OK\r\n", 4) == 0;
    must(dialled.done && (dialled.fd >= 0) == opens);
    if (opens) {
        size_t behind = HP_MIN(size - 4, (size_t)BEHIND);
        must(read_all(dialled.fd, got, behind) == behind && memcmp(got, data + 4, behind) == 0);
        close(dialled.fd);
    }
    setsockopt(peer, SOL_SOCKET, SO_LINGER, &(struct linger){1, 0}, sizeof(struct linger));
    close(peer);
    turn(2);
    must(pending.count == 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char token[HP_HUB_RELAY_TOKEN_SIZE];
    if (listener < 0)
        set_up();
    size = HP_MIN(size, (size_t)BEHIND);
    int rc = hp_hub_relay_line((const char *)data, size, token);
    must(rc == 0 || rc == HP_E_BUSY || rc == HP_E_INVALID);
    must(rc != 0 || (strlen(token) == 32 && strspn(token, "0123456789abcdefABCDEF") == 32));
    must(rc != HP_E_BUSY || size < HP_HUB_RELAY_LINE);
    size_t piece = size == 0 ? 1 : 1 + (size_t)data[size - 1] * size / 256;
    try_stranger(data, size, piece);
    try_member(data, size, piece);
    return 0;
}
