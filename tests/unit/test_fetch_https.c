// libs: fetch path os base
/* TLS to web servers, by openssl's own server: who vouches for it, and where it may send us. */
#include "test_fetch_urls.h"

#include <fcntl.h>
#include <signal.h>
#include <spawn.h>
#include <sys/wait.h>

extern char **environ;

typedef struct tls {
    char folder[64], certificate[100], key[100], reply[100];
    pid_t pid;
    int output;
    unsigned port;
} tls_t;

static int run(char *const arguments[], int output)
{
    posix_spawn_file_actions_t actions;
    pid_t pid = 0;
    int status = 0;
    posix_spawn_file_actions_init(&actions);
    posix_spawn_file_actions_addopen(&actions, 0, "/dev/null", O_RDONLY, 0);
    if (output >= 0)
        posix_spawn_file_actions_adddup2(&actions, output, 1);
    else
        posix_spawn_file_actions_addopen(&actions, 1, "/dev/null", O_WRONLY, 0);
    posix_spawn_file_actions_addopen(&actions, 2, "/dev/null", O_WRONLY, 0);
    int rc = posix_spawnp(&pid, arguments[0], &actions, NULL, arguments, environ);
    posix_spawn_file_actions_destroy(&actions);
    if (rc != 0)
        return -1;
    if (output >= 0)
        return pid;
    return waitpid(pid, &status, 0) == pid && WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

/* A self-signed certificate for 127.0.0.1 and a server that answers every path that is a file's name with
 * that file as the reply. */
static bool tls_start(tls_t *tls, const char *reply)
{
    int ends[2];
    char line[200];
    size_t length = 0;
    *tls = (tls_t){.folder = "/tmp/test-fetch-XXXXXX"};
    assert_non_null(mkdtemp(tls->folder));
    snprintf(tls->certificate, sizeof tls->certificate, "%s/cert.pem", tls->folder);
    snprintf(tls->key, sizeof tls->key, "%s/key.pem", tls->folder);
    snprintf(tls->reply, sizeof tls->reply, "%s/reply", tls->folder);
    FILE *file = fopen(tls->reply, "w");
    assert_non_null(file);
    fputs(reply, file);
    fclose(file);
    char *make[] = {"openssl",
                    "req",
                    "-x509",
                    "-newkey",
                    "ec",
                    "-pkeyopt",
                    "ec_paramgen_curve:prime256v1",
                    "-nodes",
                    "-days",
                    "2",
                    "-subj",
                    "/CN=127.0.0.1",
                    "-addext",
                    "subjectAltName=IP:127.0.0.1",
                    "-keyout",
                    tls->key,
                    "-out",
                    tls->certificate,
                    NULL};
    if (run(make, -1) != 0) {
        print_message("skipped: openssl's program is not here\n");
        return false;
    }
    char *serve[] = {"env",   "-C",   tls->folder, "openssl", "s_server",       "-accept", "127.0.0.1:0",
                     "-HTTP", "-key", tls->key,    "-cert",   tls->certificate, NULL};
    assert_int_equal(pipe(ends), 0);
    tls->pid = run(serve, ends[1]);
    close(ends[1]);
    assert_true(tls->pid > 0);
    tls->output = ends[0];
    while (length < sizeof line - 1 &&
           read(tls->output, line + length, 1) == 1) { /* "ACCEPT 127.0.0.1:12345" */
        if (line[length] != '\n') {
            length++;
            continue;
        }
        line[length] = '\0';
        if (sscanf(line, "ACCEPT 127.0.0.1:%u", &tls->port) == 1)
            return true;
        length = 0;
    }
    fail_msg("openssl's server did not start");
    return false;
}

static void tls_stop(tls_t *tls)
{
    if (tls->pid > 0) {
        kill(tls->pid, SIGKILL);
        waitpid(tls->pid, NULL, 0);
        close(tls->output);
    }
    unlink(tls->certificate);
    unlink(tls->key);
    unlink(tls->reply);
    rmdir(tls->folder);
}

static void a_certificate_that_nobody_vouches_for_is_refused(void **state)
{
    (void)state;
    tls_t tls;
    client_t client;
    outcome_t outcome;
    char url[100];
    if (!tls_start(&tls, OK "Content-Length: 5\r\n\r\nhello")) {
        tls_stop(&tls);
        skip();
    }
    snprintf(url, sizeof url, "https://127.0.0.1:%u/reply", tls.port);
    hp_fetch_options_t options = {.url = url};
    client_start(&client);
    outcome_init(&outcome);
    ask(&client, &options, &outcome);
    if (outcome.status != HP_E_CERTIFICATE)
        fail_msg("%d %s", outcome.status, hp_err_text(&outcome.err));
    assert_int_equal(outcome.heads, 0);
    client_stop(&client);

    /* with the certificate as trusted it is taken */
    setenv("SSL_CERT_FILE", tls.certificate, 1);
    client_start(&client);
    outcome_init(&outcome);
    ask(&client, &options, &outcome);
    if (outcome.status != 0)
        fail_msg("%d %s", outcome.status, hp_err_text(&outcome.err));
    assert_int_equal(outcome.length, 5);
    assert_memory_equal(outcome.body, "hello", 5);
    outcome_dispose(&outcome);
    client_stop(&client); /* openssl's server takes one connection at a time */
    /* but not for another name */
    client_start(&client);
    outcome_init(&outcome);
    snprintf(url, sizeof url, "https://localhost:%u/reply", tls.port);
    ask(&client, &options, &outcome);
    assert_int_equal(outcome.status, HP_E_CERTIFICATE);
    client_stop(&client);
    unsetenv("SSL_CERT_FILE");
    tls_stop(&tls);
}

static void a_redirect_from_https_to_http_is_refused(void **state)
{
    (void)state;
    tls_t tls;
    server_t server;
    client_t client;
    outcome_t outcome;
    char url[100], reply[200];
    server_start(&server, serve_hello, NULL);
    snprintf(reply, sizeof reply, "HTTP/1.1 302 Found\r\nLocation: %s\r\nContent-Length: 0\r\n\r\n",
             url_of(&server, "/x"));
    if (!tls_start(&tls, reply)) {
        tls_stop(&tls);
        server_stop(&server);
        skip();
    }
    setenv("SSL_CERT_FILE", tls.certificate, 1);
    snprintf(url, sizeof url, "https://127.0.0.1:%u/reply", tls.port);
    hp_fetch_options_t options = {.url = url};
    client_start(&client);
    outcome_init(&outcome);
    ask(&client, &options, &outcome);
    assert_int_equal(outcome.status, HP_E_REDIRECT);
    assert_int_equal(server.requests, 0);
    client_stop(&client);
    unsetenv("SSL_CERT_FILE");
    server_stop(&server);
    tls_stop(&tls);
}

static void a_plain_server_is_no_tls_server(void **state)
{
    (void)state;
    server_t server;
    client_t client;
    outcome_t outcome;
    char url[100];
    server_start(&server, serve_hello, NULL);
    client_start(&client);
    outcome_init(&outcome);
    snprintf(url, sizeof url, "https://127.0.0.1:%u/x", server.port);
    hp_fetch_options_t options = {.url = url, .connect_ms = 500};
    ask(&client, &options, &outcome);
    assert_true(outcome.status == HP_E_TLS || outcome.status == HP_E_UNREACHABLE);
    assert_int_equal(server.requests, 0);
    client_stop(&client);
    server_stop(&server);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_certificate_that_nobody_vouches_for_is_refused),
        cmocka_unit_test(a_redirect_from_https_to_http_is_refused),
        cmocka_unit_test(a_plain_server_is_no_tls_server),
    };
    return cmocka_run_group_tests(tests, forget_proxies, NULL);
}
