/* One machine of the tunnel's lab, without the rest of hostpair: a host that serves and fetches a known
 * pattern through its tunnel, or a hub's STUN ports and relay. What a hub passes on between hosts goes over a
 * Unix socket to the test, which plays the hub; Unix sockets do not care for network namespaces.
 *
 *   tunnel_lab host SOCKET DATA_FOLDER STUN_ADDRESS[,ADDRESS...] STUN_PORT [OPTION...]
 *   tunnel_lab hub PORT ADDRESS...
 *
 * Host: lines of JSON both ways; "do" from the test, "ev" to it; see the functions do_* below. */
#include <errno.h>
#include <jansson.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>
#include <uv.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "identity/identity.h"
#include "lab.h"
#include "path/address.h"
#include "tunnel/remote.h"

enum { PATTERN = 1048573, RETRY_MS = 100, FETCH_MAX_TRIES = 60, INPUT_MAX = 65536 };

static uv_loop_t loop;
static uint8_t pattern[2 * PATTERN];

static void fill_pattern(void)
{
    uint32_t state = 1;
    for (size_t i = 0; i < PATTERN; i++)
        pattern[i] = pattern[i + PATTERN] = (uint8_t)((state = state * 1664525 + 1013904223) >> 24);
}

void must(int rc, const char *what)
{
    if (rc >= 0)
        return;
    fprintf(stderr, "tunnel_lab: %s: %s\n", what, hp_err_sentence(rc));
    exit(1);
}

/* ---- the line to the test ---- */

static struct {
    int fd;
    uv_poll_t poll;
    char in[INPUT_MAX];
    size_t have;
} line;

static void tell(json_t *event)
{
    char *text = json_dumps(event, JSON_COMPACT);
    size_t length = strlen(text);
    text = hp_realloc(text, length + 2);
    text[length++] = '\n';
    for (size_t at = 0; at < length;) {
        ssize_t put = send(line.fd, text + at, length - at, MSG_NOSIGNAL);
        if (put < 0 && errno == EAGAIN)
            continue;
        if (put <= 0)
            exit(0); /* the test is over */
        at += (size_t)put;
    }
    free(text);
    json_decref(event);
}

/* ---- signalling ---- */

static struct {
    hp_tunnel_t *tunnel;
    hp_identity_t *identity;
    hp_sockaddr_t stun[2 * HP_STUN_PORTS];
    size_t stun_count;
    bool online, slow;
} host;

static json_t *offer_to_json(const hp_offer_t *offer)
{
    json_t *candidates = json_array();
    for (size_t i = 0; i < offer->count; i++) {
        char address[HP_ADDRESS_TEXT];
        uint16_t port;
        hp_address_from_sockaddr(&offer->candidates[i].address, address, &port);
        json_array_append_new(candidates,
                              json_pack("{sssssi}", "kind", hp_candidate_kind_name(offer->candidates[i].kind),
                                        "address", address, "port", port));
    }
    return json_pack("{ssssso}", "session", offer->session, "mapping", hp_mapping_name(offer->mapping),
                     "candidates", candidates);
}

static void offer_from_json(json_t *json, hp_offer_t *offer)
{
    const char *session = "", *mapping = "unknown";
    json_t *candidates = NULL, *each;
    size_t i;
    *offer = (hp_offer_t){0};
    json_unpack(json, "{ssssso}", "session", &session, "mapping", &mapping, "candidates", &candidates);
    snprintf(offer->session, sizeof offer->session, "%s", session);
    must(hp_mapping_parse(mapping, &offer->mapping), mapping);
    json_array_foreach(candidates, i, each)
    {
        const char *kind = "", *address = "";
        int port = 0;
        json_unpack(each, "{sssssi}", "kind", &kind, "address", &address, "port", &port);
        hp_candidate_t *candidate = &offer->candidates[offer->count++];
        must(hp_candidate_kind_parse(kind, &candidate->kind), kind);
        must(hp_address_to_sockaddr(address, (uint16_t)port, &candidate->address), address);
    }
}

static bool is_online(void *arg)
{
    (void)arg;
    return host.online;
}

static size_t stun_servers(void *arg, hp_sockaddr_t out[2 * HP_STUN_PORTS])
{
    (void)arg;
    memcpy(out, host.stun, sizeof host.stun);
    return host.stun_count;
}

static int send_offer(void *arg, const char *id, const hp_offer_t *offer)
{
    (void)arg;
    tell(json_pack("{ssssso}", "ev", "offer", "to", id, "offer", offer_to_json(offer)));
    return 0;
}

static int ask_relay(void *arg, const char *id, uint64_t request)
{
    (void)arg;
    tell(json_pack("{sssssI}", "ev", "relay", "to", id, "request", (json_int_t)request));
    return 0;
}

static const hp_signalling_t signalling = {
    .online = is_online, .stun = stun_servers, .offer = send_offer, .relay = ask_relay};

/* ---- serving: "GET OFFSET LENGTH\n" ---- */

typedef struct serving {
    uv_poll_t poll;
    int fd;
    char line[64];
    size_t have;
    uint64_t at, end;
} serving_t;

static void free_serving(uv_handle_t *handle)
{
    free(HP_CONTAINER((uv_poll_t *)handle, serving_t, poll));
}

static void end_serving(serving_t *self)
{
    uv_close((uv_handle_t *)&self->poll, free_serving);
    close(self->fd);
}

static void on_servable(uv_poll_t *poll, int status, int events)
{
    serving_t *self = HP_CONTAINER(poll, serving_t, poll);
    (void)status;
    (void)events;
    while (self->end == 0) {
        ssize_t got = recv(self->fd, self->line + self->have, sizeof self->line - 1 - self->have, 0);
        if (got < 0 && errno == EAGAIN)
            return;
        if (got <= 0) {
            end_serving(self);
            return;
        }
        unsigned long long from, length;
        self->have += (size_t)got;
        if (memchr(self->line, '\n', self->have) == NULL)
            continue;
        if (sscanf(self->line, "GET %llu %llu", &from, &length) != 2 || length == 0) {
            end_serving(self);
            return;
        }
        self->at = from;
        self->end = from + length;
        uv_poll_start(poll, UV_WRITABLE, on_servable);
    }
    for (int i = 0; i < 8 && self->at < self->end; i++) {
        ssize_t put = send(self->fd, pattern + self->at % PATTERN,
                           HP_MIN((uint64_t)262144, self->end - self->at), MSG_NOSIGNAL | MSG_DONTWAIT);
        if (put < 0 && errno == EAGAIN)
            return;
        if (put <= 0) {
            end_serving(self);
            return;
        }
        self->at += (uint64_t)put;
    }
    if (self->at == self->end)
        end_serving(self);
}

static void on_stream(void *arg, int fd, const hp_who_t *who)
{
    serving_t *self = hp_alloc(sizeof *self);
    static const char *const ways[] = {"lan", "direct", "relayed"};
    (void)arg;
    self->fd = fd;
    fcntl(fd, F_SETFL, fcntl(fd, F_GETFL) | O_NONBLOCK);
    must(uv_poll_init(&loop, &self->poll, fd), "poll");
    uv_poll_start(&self->poll, UV_READABLE, on_servable);
    tell(json_pack("{sssssssssi}", "ev", "stream", "id", who->id, "way", ways[who->way], "address",
                   who->address, "port", who->port));
}

static void on_path(void *arg, hp_remote_t *remote)
{
    static const char *const paths[] = {"none", "lan", "direct", "relayed"};
    const char *reason;
    hp_path_t path = hp_remote_path(remote, &reason);
    (void)arg;
    tell(json_pack("{sssssssssf}", "ev", "path", "id", hp_remote_id(remote), "path", paths[path], "reason",
                   reason, "at", (double)hp_clock_ns() / 1e6));
}

/* ---- fetching ---- */

typedef struct fetch {
    uv_poll_t poll;
    uv_timer_t timer;
    char id[HP_PEER_ID_SIZE];
    int fd;
    int tag;
    bool polled, verify, wrong, over;
    uint64_t bytes, got, lost; /* lost: bytes asked for and not had when a connection broke */
    uint64_t started, first_at;
    int tries;
    char ways[512];
    char error[300];
} fetch_t;

static void begin_fetch(fetch_t *self);

static void free_fetch(uv_handle_t *handle)
{
    free(HP_CONTAINER((uv_timer_t *)handle, fetch_t, timer));
}

static void end_fetch(fetch_t *self, bool ok)
{
    double ms = (double)(hp_clock_ns() - self->started) / 1e6;
    double first = self->first_at == 0 ? -1 : (double)(self->first_at - self->started) / 1e6;
    self->over = true;
    tell(json_pack("{sssisbsIsfsfsisssssb}", "ev", "fetched", "tag", self->tag, "ok", ok && !self->wrong,
                   "bytes", (json_int_t)self->got, "ms", ms, "first_ms", first, "tries", self->tries, "ways",
                   self->ways, "error", self->error, "wrong", self->wrong));
    uv_close((uv_handle_t *)&self->timer, free_fetch);
}

static void on_retry(uv_timer_t *timer)
{
    begin_fetch(HP_CONTAINER(timer, fetch_t, timer));
}

static void on_fetch_poll_closed(uv_handle_t *handle)
{
    fetch_t *self = HP_CONTAINER((uv_poll_t *)handle, fetch_t, poll);
    self->polled = false;
    if (self->wrong || self->got == self->bytes)
        end_fetch(self, true);
    else if (self->tries >= FETCH_MAX_TRIES)
        end_fetch(self, false);
    else
        uv_timer_start(&self->timer, on_retry, RETRY_MS, 0);
}

static void close_fetch(fetch_t *self)
{
    uv_close((uv_handle_t *)&self->poll, on_fetch_poll_closed);
    close(self->fd);
}

static void on_fetchable(uv_poll_t *poll, int status, int events)
{
    static uint8_t data[262144];
    fetch_t *self = HP_CONTAINER(poll, fetch_t, poll);
    (void)status;
    (void)events;
    for (int i = 0; i < 8; i++) {
        ssize_t got = recv(self->fd, data, sizeof data, MSG_DONTWAIT);
        if (got < 0 && errno == EAGAIN)
            return;
        if (got <= 0 || self->wrong) {
            close_fetch(self);
            return;
        }
        if (self->first_at == 0)
            self->first_at = hp_clock_ns();
        if (self->verify && memcmp(data, pattern + self->got % PATTERN, (size_t)got) != 0)
            self->wrong = true;
        self->got += (uint64_t)got;
        if (self->got == self->bytes) {
            close_fetch(self);
            return;
        }
        if (host.slow)
            return;
    }
}

static void note_error(fetch_t *self, const hp_err_t *err)
{
    snprintf(self->error, sizeof self->error, "%s", hp_err_text(err));
}

static void on_dialled(void *arg, const hp_err_t *err)
{
    if (err != NULL)
        note_error(arg, err); /* the other end of the pair is closed, which the poll meets */
}

static void on_chosen(void *arg, hp_way_t way, const hp_err_t *err)
{
    static const char *const ways[] = {"lan", "direct", "relayed"};
    fetch_t *self = arg;
    char request[64];
    int pair[2];
    hp_remote_t *remote = hp_tunnel_find(host.tunnel, self->id);
    if (err != NULL || remote == NULL) {
        if (err != NULL)
            note_error(self, err);
        if (self->tries >= FETCH_MAX_TRIES || remote == NULL)
            end_fetch(self, false);
        else
            uv_timer_start(&self->timer, on_retry, RETRY_MS, 0);
        return;
    }
    size_t used = strlen(self->ways);
    snprintf(self->ways + used, sizeof self->ways - used, "%s%s", used > 0 ? " " : "", ways[way]);
    must(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, pair), "socketpair");
    hp_remote_dial(remote, way, pair[0], on_dialled, self);
    self->fd = pair[1];
    int length = snprintf(request, sizeof request, "GET %llu %llu\n", (unsigned long long)self->got,
                          (unsigned long long)(self->bytes - self->got));
    if (send(self->fd, request, (size_t)length, MSG_NOSIGNAL) != length)
        must(-errno, "send");
    must(uv_poll_init(&loop, &self->poll, self->fd), "poll");
    self->polled = true;
    uv_poll_start(&self->poll, UV_READABLE, on_fetchable);
}

static void begin_fetch(fetch_t *self)
{
    hp_remote_t *remote = hp_tunnel_find(host.tunnel, self->id);
    self->tries++;
    if (remote == NULL)
        end_fetch(self, false);
    else
        hp_remote_choose(remote, on_chosen, self);
}

/* ---- commands ---- */

static void do_remote(json_t *json)
{
    const char *hex = "";
    uint8_t fingerprint[HP_FINGERPRINT_SIZE];
    json_unpack(json, "{ss}", "fingerprint", &hex);
    for (size_t i = 0; i < sizeof fingerprint; i++) {
        unsigned byte = 0;
        sscanf(hex + 2 * i, "%2x", &byte);
        fingerprint[i] = (uint8_t)byte;
    }
    hp_tunnel_remote(host.tunnel, fingerprint, &signalling);
}

static void do_fetch(json_t *json)
{
    fetch_t *self = hp_alloc(sizeof *self);
    const char *id = "";
    json_int_t bytes = 0;
    int verify = 1;
    json_unpack(json, "{sssIsi}", "id", &id, "bytes", &bytes, "tag", &self->tag);
    json_unpack(json, "{sb}", "verify", &verify);
    snprintf(self->id, sizeof self->id, "%s", id);
    self->bytes = (uint64_t)bytes;
    self->verify = verify != 0;
    self->started = hp_clock_ns();
    uv_timer_init(&loop, &self->timer);
    begin_fetch(self);
}

static void do_offered(json_t *json)
{
    const char *from = "";
    json_t *offer = NULL;
    hp_offer_t value;
    json_unpack(json, "{ssso}", "from", &from, "offer", &offer);
    offer_from_json(offer, &value);
    hp_tunnel_offered(host.tunnel, from, &value);
}

static void do_go(json_t *json)
{
    const char *from = "", *key = "";
    json_t *peer = NULL;
    int wait = 0;
    hp_go_t go = {0};
    json_unpack(json, "{sssosssi}", "from", &from, "peer", &peer, "key", &key, "wait_ms", &wait);
    offer_from_json(peer, &go.peer);
    for (size_t i = 0; i < sizeof go.key; i++) {
        unsigned byte = 0;
        sscanf(key + 2 * i, "%2x", &byte);
        go.key[i] = (uint8_t)byte;
    }
    go.wait_ms = (uint32_t)wait;
    hp_tunnel_go(host.tunnel, from, &go);
}

static bool relay_from_json(json_t *json, hp_relay_at_t *at)
{
    const char *address = NULL, *token = "";
    int port = 0;
    if (json_unpack(json, "{sssiss}", "address", &address, "port", &port, "token", &token) != 0)
        return false;
    must(hp_address_to_sockaddr(address, (uint16_t)port, &at->address), address);
    at->elsewhere = !hp_sockaddr_same_host(&at->address, &host.stun[0]);
    snprintf(at->token, sizeof at->token, "%s", token);
    return true;
}

static void do_relay_answer(json_t *json)
{
    json_int_t request = 0;
    const char *error = "";
    hp_relay_at_t at = {0};
    hp_err_t err = {0};
    json_unpack(json, "{sI}", "request", &request);
    json_unpack(json, "{ss}", "error", &error);
    bool given = relay_from_json(json, &at);
    hp_err_set(&err, HP_E_TOO_MANY, "%s", error);
    hp_tunnel_relay_answer(host.tunnel, (uint64_t)request, given ? &at : NULL, &err);
}

static void do_relay_asked(json_t *json)
{
    const char *from = "";
    hp_relay_at_t at = {0};
    json_unpack(json, "{ss}", "from", &from);
    if (relay_from_json(json, &at))
        hp_tunnel_relay_asked(host.tunnel, from, &at);
}

static void do_online(json_t *json)
{
    host.online = json_is_true(json_object_get(json, "online"));
    hp_tunnel_signalling_changed(host.tunnel);
}

static void do_network(json_t *json)
{
    (void)json;
    hp_tunnel_network_changed(host.tunnel);
}

static void do_forget(json_t *json)
{
    hp_tunnel_forget(host.tunnel, json_string_value(json_object_get(json, "id")));
}

static void do_usage(json_t *json)
{
    struct rusage usage;
    (void)json;
    getrusage(RUSAGE_SELF, &usage);
    double cpu = (double)(usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) +
                 (double)(usage.ru_utime.tv_usec + usage.ru_stime.tv_usec) / 1e6;
    tell(json_pack("{sssfsI}", "ev", "usage", "cpu", cpu, "rss_kb", (json_int_t)usage.ru_maxrss));
}

static void on_closed(void *arg)
{
    (void)arg;
    hp_identity_destroy(host.identity);
    tell(json_pack("{ss}", "ev", "closed"));
    close(line.fd);
}

static void do_close(json_t *json)
{
    (void)json;
    uv_close((uv_handle_t *)&line.poll, NULL);
    hp_tunnel_destroy(host.tunnel, on_closed, NULL);
}

static void obey(const char *text)
{
    static const struct {
        const char *name;
        void (*fn)(json_t *json);
    } commands[] = {{"remote", do_remote},
                    {"fetch", do_fetch},
                    {"offered", do_offered},
                    {"go", do_go},
                    {"relay_answer", do_relay_answer},
                    {"relay_asked", do_relay_asked},
                    {"online", do_online},
                    {"network", do_network},
                    {"forget", do_forget},
                    {"usage", do_usage},
                    {"close", do_close}};
    json_t *json = json_loads(text, 0, NULL);
    const char *name = json_string_value(json_object_get(json, "do"));
    for (size_t i = 0; i < HP_COUNT(commands); i++)
        if (name != NULL && strcmp(name, commands[i].name) == 0)
            commands[i].fn(json);
    json_decref(json);
}

static void on_line(uv_poll_t *poll, int status, int events)
{
    ssize_t got = recv(line.fd, line.in + line.have, sizeof line.in - 1 - line.have, MSG_DONTWAIT);
    (void)poll;
    (void)status;
    (void)events;
    if (got < 0 && errno == EAGAIN)
        return;
    if (got <= 0)
        exit(0);
    line.have += (size_t)got;
    line.in[line.have] = '\0';
    for (char *end; (end = strchr(line.in, '\n')) != NULL;) {
        char *text = hp_strndup(line.in, (size_t)(end - line.in));
        line.have -= (size_t)(end + 1 - line.in);
        memmove(line.in, end + 1, line.have + 1);
        obey(text);
        free(text);
    }
}

static int run_host(int argc, char **argv)
{
    hp_err_t err = {0};
    hp_tunnel_options_t options = {.on_stream = on_stream, .on_path = on_path};
    struct sockaddr_un at = {.sun_family = AF_UNIX};
    char hex[HP_FINGERPRINT_TEXT_SIZE];
    char *save = NULL;
    uint16_t stun_port = (uint16_t)atoi(argv[5]);
    for (char *one = strtok_r(argv[4], ",", &save); one != NULL; one = strtok_r(NULL, ",", &save))
        for (uint16_t i = 0; i < HP_STUN_PORTS; i++)
            must(hp_address_to_sockaddr(one, (uint16_t)(stun_port + i), &host.stun[host.stun_count++]), one);
    for (int i = 6; i < argc; i++) {
        if (strcmp(argv[i], "--port") == 0 && i + 1 < argc)
            options.port = (uint16_t)atoi(argv[++i]);
        else if (strcmp(argv[i], "--idle") == 0 && i + 1 < argc)
            options.idle_ms = (uint32_t)atoi(argv[++i]);
        else if (strcmp(argv[i], "--map") == 0)
            options.map_port = true;
        else if (strcmp(argv[i], "--slow") == 0)
            host.slow = true;
    }
    must(hp_identity_open(&host.identity, argv[3], &err), hp_err_text(&err));
    options.identity = host.identity;
    must(hp_tunnel_create(&host.tunnel, &loop, &options, &err), hp_err_text(&err));
    host.online = true;
    snprintf(at.sun_path, sizeof at.sun_path, "%s", argv[2]);
    line.fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (connect(line.fd, (struct sockaddr *)&at, sizeof at) != 0)
        must(-errno, argv[2]);
    must(uv_poll_init(&loop, &line.poll, line.fd), "poll");
    uv_poll_start(&line.poll, UV_READABLE, on_line);
    tell(json_pack("{ssssss}", "ev", "hello", "id", hp_identity_id(host.identity), "fingerprint",
                   hp_identity_fingerprint_text(hp_identity_fingerprint(host.identity), hex)));
    return uv_run(&loop, UV_RUN_DEFAULT);
}

int main(int argc, char **argv)
{
    signal(SIGPIPE, SIG_IGN);
    fill_pattern();
    uv_loop_init(&loop);
    if (getenv("HP_LAB_DEBUG") != NULL)
        hp_log_set_level(HP_LOG_DEBUG);
    if (argc >= 6 && strcmp(argv[1], "host") == 0)
        return run_host(argc, argv);
    if (argc >= 4 && strcmp(argv[1], "hub") == 0)
        return run_hub(&loop, argc, argv);
    fprintf(stderr, "usage: tunnel_lab host SOCKET DATA_FOLDER STUN_ADDRESS[,ADDRESS] STUN_PORT [OPTION...]\n"
                    "       tunnel_lab hub PORT ADDRESS...\n");
    return 2;
}
