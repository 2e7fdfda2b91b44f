// libs: tunnel identity path pool os base
/* What strangers send to the tunnel's UDP socket, and routers to its question for a port: STUN and QUIC are
 * told apart, no stranger's packet makes a connection, and punching with a known key takes nothing without
 * that key. */
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <uv.h>

#include "identity/identity.h"
#include "tunnel/gather.h"
#include "tunnel/pcp.h"
#include "tunnel/punch.h"
#include "tunnel/quic.h"
#include "tunnel/stun.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static uv_loop_t loop;
static hp_pending_t pending;
static hp_quic_t *quic;
static hp_udp_t *udp;
static hp_identity_t *identity;
static hp_quic_conn_t *conn;

static bool on_accept(void *arg, hp_udp_t *from_udp, const hp_sockaddr_t *from, hp_quic_peer_t *peer)
{
    (void)arg;
    (void)from_udp;
    (void)from;
    (void)peer;
    return false;
}

static void on_made(void *arg, const hp_quic_peer_t *peer, hp_quic_conn_t *made)
{
    (void)arg;
    (void)peer;
    (void)made;
    abort(); /* accept said no */
}

static void on_event(void *arg, hp_quic_conn_t *of)
{
    (void)arg;
    (void)of;
    abort(); /* nobody proved anything */
}

static void on_stream(void *arg, hp_quic_conn_t *of, int fd)
{
    (void)fd;
    on_event(arg, of);
}

static void on_down(void *arg, hp_quic_conn_t *of, hp_quic_end_t end, const hp_err_t *err)
{
    (void)arg;
    (void)of;
    (void)end;
    (void)err;
    conn = NULL;
}

static void on_train(void *arg, hp_udp_t *of, const uint8_t *data, size_t length, size_t segment,
                     const hp_sockaddr_t *from)
{
    (void)arg;
    (void)of;
    (void)data;
    (void)length;
    (void)segment;
    (void)from;
}

static void on_writable(void *arg, hp_udp_t *of)
{
    (void)arg;
    (void)of;
}

static const hp_sockaddr_t stranger = {
    .v4 = {.sin_family = AF_INET, .sin_port = 0x1234, .sin_addr.s_addr = 0x0100007f}};

static void set_up(void)
{
    char folder[] = "/tmp/hp-fuzz-tunnel-XXXXXX";
    hp_err_t err;
    hp_udp_events_t events = {.train = on_train, .writable = on_writable};
    hp_quic_options_t options = {.accept = on_accept, .made = on_made};
    uv_loop_init(&loop);
    if (mkdtemp(folder) == NULL || hp_identity_open(&identity, folder, &err) != 0)
        abort();
    options.identity = identity;
    if (hp_quic_create(&quic, &loop, &options, &pending, &err) != 0 ||
        hp_udp_create(&udp, &loop, AF_INET, 0, &events, &pending) != 0)
        abort();
}

/* A client that shakes hands: its packets are expected, and none of these can be right. */
static void dial(void)
{
    hp_quic_peer_t peer = {
        .events = {.usable = on_event, .up = on_event, .stream = on_stream, .down = on_down}};
    hp_err_t err;
    hp_sockaddr_t to = *hp_udp_local(udp);
    to.v4.sin_addr.s_addr = 0x0100007f;
    if (conn == NULL && hp_quic_dial(quic, udp, &to, &peer, &conn, &err) != 0)
        abort();
}

static void nobody(void *arg, const hp_sockaddr_t *to, const uint8_t *data, size_t length)
{
    (void)arg;
    (void)to;
    (void)data;
    (void)length;
}

static void try_stun(const uint8_t *data, size_t size)
{
    static hp_punch_t punch;
    static hp_gather_t gather;
    hp_stun_t stun;
    if (hp_stun_parse(&stun, data, size) != 0)
        return;
    hp_go_t go = {.peer = {.session = "00112233445566778899aabbccddeeff", .count = 1}};
    go.peer.candidates[0].address = stranger;
    memset(go.key, 9, sizeof go.key);
    hp_punch_init(&punch, &go, true, 1);
    hp_punch_tick(&punch, 1, nobody, NULL);
    if (hp_punch_packet(&punch, 2, &stun, &stranger, nobody, NULL) != HP_PUNCH_FOREIGN)
        abort(); /* it does not know the key */
    hp_gather_init(&gather, &stranger, 1, 1);
    if (hp_gather_packet(&gather, 2, &stun, &stranger))
        abort(); /* nor the transaction */
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    hp_pcp_t pcp = {.nonce = "nonce", .port = 9002};
    hp_pcp_answer_t answer;
    if (quic == NULL)
        set_up();
    dial();
    if (hp_pcp_read(&pcp, data, size, &answer) == 0 && answer.result == 0 && size < HP_PCP_MESSAGE)
        abort();
    if (hp_stun_is(data, size))
        try_stun(data, size);
    else
        hp_quic_datagram(quic, udp, data, size, &stranger, uv_hrtime());
    uv_run(&loop, UV_RUN_NOWAIT);
    return 0;
}
