// libs: tunnel identity path pool os base
/* Somebody who sits between two hosts that shake hands, and does to their datagrams what the input says: lets
 * them pass, loses, repeats, cuts or changes them, sends STUN or its own in between. The two may fail to
 * meet; they never meet somebody else, and nothing breaks. Left alone, they do meet. */
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <uv.h>

#include "base/clock.h"
#include "identity/identity.h"
#include "tunnel/quic.h"
#include "tunnel/stun.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { ROUNDS = 400, DATAGRAM = 2048, CONNS_MAX = 4 };

typedef struct side {
    hp_identity_t *identity;
    hp_quic_t *quic;
    hp_udp_t *udp;
    int middle;          /* the socket in the middle that stands for the other side */
    hp_sockaddr_t other; /* its address */
    hp_quic_conn_t *conn;
    bool up;
    unsigned made;
} side_t;

typedef struct script {
    const uint8_t *at, *end;
    bool changed; /* something was not as it had been sent */
} script_t;

static uv_loop_t loop;
static hp_pending_t pending;
static side_t a, b; /* a dials b */
static const uint8_t fingerprint_of_nobody[HP_FINGERPRINT_SIZE];

static void must(bool holds)
{
    if (!holds)
        abort();
}

static void on_usable(void *arg, hp_quic_conn_t *conn)
{
    (void)arg;
    must(hp_quic_is_usable(conn));
}

static void on_up(void *arg, hp_quic_conn_t *conn)
{
    (void)conn;
    ((side_t *)arg)->up = true;
}

static void on_stream(void *arg, hp_quic_conn_t *conn, int fd)
{
    (void)arg;
    (void)conn;
    (void)fd;
    abort(); /* nobody opens one */
}

static void on_down(void *arg, hp_quic_conn_t *conn, hp_quic_end_t end, const hp_err_t *err)
{
    side_t *side = arg;
    (void)err;
    must(end != HP_QUIC_WRONG_KEY); /* nobody can show another key in the place of the right one */
    if (side->conn == conn)
        side->conn = NULL;
}

static hp_quic_peer_t peer_of(side_t *side, const side_t *other)
{
    hp_quic_peer_t peer = {
        .events = {.usable = on_usable, .up = on_up, .stream = on_stream, .down = on_down, .arg = side}};
    memcpy(peer.fingerprint, hp_identity_fingerprint(other->identity), sizeof peer.fingerprint);
    return peer;
}

/* As in remote.c: one connection at a time may begin from an address that has proven itself. */
static bool on_accept(void *arg, hp_udp_t *udp, const hp_sockaddr_t *from, hp_quic_peer_t *peer)
{
    side_t *side = arg;
    (void)udp;
    if (side != &b || side->conn != NULL || side->made >= CONNS_MAX || !hp_sockaddr_equal(from, &side->other))
        return false;
    *peer = peer_of(side, &a);
    return true;
}

static void on_made(void *arg, const hp_quic_peer_t *peer, hp_quic_conn_t *conn)
{
    side_t *side = arg;
    must(memcmp(peer->fingerprint, fingerprint_of_nobody, sizeof peer->fingerprint) != 0);
    side->conn = conn;
    side->made++;
}

static void on_train(void *arg, hp_udp_t *udp, const uint8_t *data, size_t length, size_t segment,
                     const hp_sockaddr_t *from)
{
    (void)arg;
    (void)udp;
    (void)data;
    (void)length;
    (void)segment;
    (void)from; /* everything comes by way of the middle */
}

static void on_writable(void *arg, hp_udp_t *udp)
{
    hp_quic_writable(((side_t *)arg)->quic, udp);
}

static void start(side_t *side)
{
    char folder[] = "/tmp/hp-fuzz-quic-XXXXXX";
    hp_err_t err;
    socklen_t length = sizeof side->other;
    hp_udp_events_t events = {.train = on_train, .writable = on_writable, .arg = side};
    hp_quic_options_t options = {.accept = on_accept, .made = on_made, .arg = side};
    must(mkdtemp(folder) != NULL && hp_identity_open(&side->identity, folder, &err) == 0);
    options.identity = side->identity;
    must(hp_quic_create(&side->quic, &loop, &options, &pending, &err) == 0 &&
         hp_udp_create(&side->udp, &loop, AF_INET, 0, &events, &pending) == 0);
    side->middle = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    side->other.v4 = (struct sockaddr_in){.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    must(bind(side->middle, &side->other.any, sizeof side->other.v4) == 0 &&
         getsockname(side->middle, &side->other.any, &length) == 0);
}

static void deliver(side_t *to, const uint8_t *data, size_t length, const hp_sockaddr_t *from)
{
    hp_stun_t stun;
    if (hp_stun_is(data, length))
        hp_stun_parse(&stun, data, length);
    else
        hp_quic_datagram(to->quic, to->udp, data, length, from, hp_clock_ns());
}

static uint8_t next(script_t *script)
{
    return script->at < script->end ? *script->at++ : 0;
}

/* What becomes of one datagram on its way. */
static void meddle(script_t *script, side_t *to, uint8_t *data, size_t length)
{
    uint8_t what = next(script), own[256];
    hp_sockaddr_t from = to->other;
    script->changed = script->changed || what % 8 != 0;
    switch (what % 8) {
    case 0:
        deliver(to, data, length, &from);
        break;
    case 1:
        break;
    case 2:
        deliver(to, data, length, &from);
        deliver(to, data, length, &from);
        break;
    case 3:
        deliver(to, data, length * next(script) / 256, &from);
        break;
    case 4:
        data[(size_t)next(script) * length / 256] ^= (uint8_t)(next(script) | 1);
        deliver(to, data, length, &from);
        break;
    case 5: /* the first bytes, where all that is not encrypted stands */
        data[next(script) % 48u % length] = next(script);
        deliver(to, data, length, &from);
        break;
    case 6: /* from another place */
        from.v4.sin_port ^= htons(1);
        deliver(to, data, length, &from);
        break;
    default:
        for (size_t i = 0; i < sizeof own; i++)
            own[i] = next(script);
        deliver(to, own, 1 + next(script) % sizeof own, &from);
        deliver(to, data, length, &from);
        break;
    }
}

/* Carries what one side has sent to the other. Whether there was anything. */
static bool carry(script_t *script, side_t *from, side_t *to)
{
    uint8_t data[DATAGRAM];
    ssize_t got = recv(from->middle, data, sizeof data, 0);
    if (got <= 0)
        return false;
    meddle(script, to, data, (size_t)got);
    return true;
}

static void end(side_t *side)
{
    uint8_t data[DATAGRAM];
    if (side->conn != NULL)
        hp_quic_close(side->conn);
    for (int i = 0; i < 4; i++)
        uv_run(&loop, UV_RUN_NOWAIT);
    while (recv(side->middle, data, sizeof data, 0) > 0)
        continue;
    side->conn = NULL;
    side->up = false;
    side->made = 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    hp_err_t err;
    script_t script = {.at = data, .end = data + size};
    if (a.quic == NULL) {
        uv_loop_init(&loop);
        start(&a);
        start(&b);
    }
    hp_quic_peer_t peer = peer_of(&a, &b);
    must(hp_quic_dial(a.quic, a.udp, &a.other, &peer, &a.conn, &err) == 0);
    unsigned quiet = 0;
    for (unsigned i = 0; i < ROUNDS && quiet < 6 && !(a.up && b.up); i++) {
        uv_run(&loop, UV_RUN_NOWAIT);
        quiet = carry(&script, &a, &b) | carry(&script, &b, &a) ? 0 : quiet + 1;
    }
    if (!script.changed)
        must(a.up && b.up);
    end(&a);
    end(&b);
    return 0;
}
