// libs: os base
#include <arpa/inet.h>
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "os/socket_owner.h"

#define OTHER_USER 65534

static hp_sockaddr_t at(const char *text, uint16_t port)
{
    hp_sockaddr_t address = {0};
    if (inet_pton(AF_INET, text, &address.v4.sin_addr) == 1) {
        address.v4.sin_family = AF_INET;
        address.v4.sin_port = htons(port);
    } else {
        assert_int_equal(inet_pton(AF_INET6, text, &address.v6.sin6_addr), 1);
        address.v6.sin6_family = AF_INET6;
        address.v6.sin6_port = htons(port);
    }
    return address;
}

/* A connection from a program of another user, or of this one, to a server of this test. */
typedef struct connection {
    int listener, server, hold; /* hold: closing it ends the client */
    pid_t client;
    hp_sockaddr_t local, remote; /* the client's two ends, as the server sees them */
} connection_t;

static _Noreturn void run_client(const hp_sockaddr_t *server, int hold)
{
    char byte;
    int fd = socket(server->any.sa_family, SOCK_STREAM, 0);
    if (fd < 0 || connect(fd, &server->any, hp_sockaddr_length(server)) != 0)
        _exit(1);
    (void)!read(hold, &byte, 1);
    _exit(0);
}

static void begin(connection_t *self, const char *listen_at, const char *connect_to, uid_t user)
{
    int pair[2], off = 0;
    hp_sockaddr_t address = at(listen_at, 0);
    socklen_t length = sizeof address;
    self->listener = socket(address.any.sa_family, SOCK_STREAM, 0);
    assert_true(self->listener >= 0);
    if (address.any.sa_family == AF_INET6)
        setsockopt(self->listener, IPPROTO_IPV6, IPV6_V6ONLY, &off, sizeof off);
    assert_int_equal(bind(self->listener, &address.any, hp_sockaddr_length(&address)), 0);
    assert_int_equal(listen(self->listener, 4), 0);
    assert_int_equal(getsockname(self->listener, &address.any, &length), 0);
    hp_sockaddr_t server = at(connect_to, ntohs(address.v4.sin_port)); /* both kinds have it there */
    assert_int_equal(pipe(pair), 0);
    self->client = fork();
    if (self->client == 0) {
        close(pair[1]);
        if (user != getuid() && setuid(user) != 0)
            _exit(2);
        run_client(&server, pair[0]);
    }
    close(pair[0]);
    self->hold = pair[1];
    self->server = accept(self->listener, NULL, NULL);
    assert_true(self->server >= 0);
    length = sizeof self->local;
    assert_int_equal(getpeername(self->server, &self->local.any, &length), 0);
    length = sizeof self->remote;
    assert_int_equal(getsockname(self->server, &self->remote.any, &length), 0);
}

static void end_client(connection_t *self)
{
    int status;
    close(self->hold);
    assert_int_equal(waitpid(self->client, &status, 0), self->client);
    assert_int_equal(status, 0);
}

static void end(connection_t *self)
{
    close(self->server);
    close(self->listener);
}

/* where the server listens, and how the client reaches it */
static const struct {
    const char *listen_at, *connect_to;
} ways[] = {
    {"127.0.0.1", "127.0.0.1"},        {"::1", "::1"}, {"::", "127.0.0.1"},
    {"127.0.0.1", "::ffff:127.0.0.1"}, {"::", "::1"},  {"::", "::ffff:127.0.0.2"},
};

static int asker;

static int open_asker(void **state)
{
    (void)state;
    asker = hp_os_socket_owner_open();
    return asker < 0;
}

static int close_asker(void **state)
{
    (void)state;
    return close(asker);
}

static void the_owner_of_a_client_is_told(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof ways / sizeof *ways; i++) {
        connection_t c;
        uid_t uid = 12345;
        begin(&c, ways[i].listen_at, ways[i].connect_to, getuid());
        assert_int_equal(hp_os_socket_owner(asker, &c.local, &c.remote, &uid), 0);
        assert_int_equal(uid, getuid());
        end_client(&c);
        end(&c);
    }
}

static void another_user_is_told_apart(void **state)
{
    (void)state;
    if (getuid() != 0)
        skip();
    for (size_t i = 0; i < sizeof ways / sizeof *ways; i++) {
        connection_t c;
        uid_t uid = 12345;
        begin(&c, ways[i].listen_at, ways[i].connect_to, OTHER_USER);
        assert_int_equal(hp_os_socket_owner(asker, &c.local, &c.remote, &uid), 0);
        assert_int_equal(uid, OTHER_USER);
        assert_int_equal(hp_os_socket_owner(asker, &c.remote, &c.local, &uid), 0); /* the server's side */
        assert_int_equal(uid, 0);
        end_client(&c);
        end(&c);
    }
}

static void a_client_that_has_closed_is_nobody_and_not_root(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof ways / sizeof *ways; i++) {
        connection_t c;
        uid_t uid = 12345;
        begin(&c, ways[i].listen_at, ways[i].connect_to, getuid() == 0 ? OTHER_USER : getuid());
        end_client(&c);
        assert_int_equal(hp_os_socket_owner(asker, &c.local, &c.remote, &uid), -ENOENT); /* FIN_WAIT_2 */
        close(c.server);
        assert_int_equal(hp_os_socket_owner(asker, &c.local, &c.remote, &uid), -ENOENT); /* TIME_WAIT */
        assert_int_equal(uid, 12345);
        close(c.listener);
    }
}

static void a_listener_on_the_clients_port_is_not_the_client(void **state)
{
    (void)state;
    connection_t c;
    uid_t uid = 12345;
    begin(&c, "127.0.0.1", "127.0.0.1", getuid());
    hp_sockaddr_t nobody = at("127.0.0.1", 1);
    assert_int_equal(hp_os_socket_owner(asker, &c.remote, &nobody, &uid), -ENOENT);
    assert_int_equal(hp_os_socket_owner(asker, &c.local, &nobody, &uid), -ENOENT);
    hp_sockaddr_t v6 = at("::1", 1);
    assert_int_equal(hp_os_socket_owner(asker, &c.local, &v6, &uid), -ENOENT);
    end_client(&c);
    end(&c);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_owner_of_a_client_is_told),
        cmocka_unit_test(another_user_is_told_apart),
        cmocka_unit_test(a_client_that_has_closed_is_nobody_and_not_root),
        cmocka_unit_test(a_listener_on_the_clients_port_is_not_the_client),
    };
    return cmocka_run_group_tests(tests, open_asker, close_asker);
}
