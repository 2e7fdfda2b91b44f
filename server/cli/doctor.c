/* hostpair doctor: why hosts are missing. Where no hostpair runs it looks at what can be seen without one. */
#include <errno.h>
#include <netdb.h>
#include <poll.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/address.h"
#include "base/err.h"
#include "cli/internal.h"
#include "doctor/doctor.h"

#define POLL_MS    200
#define CONNECT_MS 3000

/* ---- printing ---- */

static void print_wrapped(const char *mark, hp_colour_t colour, const char *text, const hp_term_t *out)
{
    const char *start = hp_colour_start(out, colour), *end = hp_colour_end(out, colour);
    char *clean = hp_text_clean(text);
    fprintf(stdout, "%s%s%s %s\n", start, mark, end, clean);
    free(clean);
}

static void print_finding(const hp_cli_t *cli, const json_t *finding)
{
    const char *severity = hp_client_text(finding, "severity"), *todo = hp_client_text(finding, "todo");
    const char *command = hp_client_text(finding, "command");
    bool problem = strcmp(severity, "problem") == 0, ok = strcmp(severity, "ok") == 0;
    const char *mark = problem ? (cli->out.glyphs ? "\xe2\x9c\x97" : "!!")
                       : ok    ? (cli->out.glyphs ? "\xe2\x9c\x93" : "ok")
                               : (cli->out.glyphs ? "\xe2\x80\xa2" : "--");
    print_wrapped(mark,
                  problem ? HP_RED
                  : ok    ? HP_GREEN
                          : HP_YELLOW,
                  hp_client_text(finding, "text"), &cli->out);
    if (todo[0] != '\0')
        hp_say(stdout, "    %s", todo);
    if (command[0] != '\0')
        hp_say(stdout, "        %s", command);
}

static bool has_problem(const json_t *findings)
{
    for (size_t i = 0; i < json_array_size(findings); i++)
        if (strcmp(hp_client_text(json_array_get(findings, i), "severity"), "problem") == 0)
            return true;
    return false;
}

/* Takes the findings. */
static int report(const hp_cli_t *cli, json_t *findings, const char *host)
{
    bool problem = has_problem(findings);
    if (cli->flags.json) {
        json_t *json = json_pack("{s:s?, s:O}", "host", host, "findings", findings);
        hp_say_json(stdout, json);
        json_decref(json);
    }
    for (size_t i = 0; !cli->flags.json && i < json_array_size(findings); i++)
        print_finding(cli, json_array_get(findings, i));
    if (!cli->flags.json && !problem)
        hp_say(stdout, "Nothing is wrong as far as can be seen from here.");
    json_decref(findings);
    return problem ? HP_DOCTOR_EXIT_FOUND : 0;
}

/* ---- without a hostpair that runs ---- */

static void add_connection(hp_findings_t *findings, const char *host, const char *port,
                           const struct addrinfo *at)
{
    int fd = socket(at->ai_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0), error = 0;
    socklen_t length = sizeof error;
    char address[NI_MAXHOST] = "?";
    getnameinfo(at->ai_addr, at->ai_addrlen, address, sizeof address, NULL, 0, NI_NUMERICHOST);
    if (fd < 0)
        return;
    if (connect(fd, at->ai_addr, at->ai_addrlen) != 0 && errno != EINPROGRESS) {
        error = errno;
    } else {
        struct pollfd wait = {.fd = fd, .events = POLLOUT};
        if (poll(&wait, 1, CONNECT_MS) <= 0)
            error = ETIMEDOUT;
        else
            getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &length);
    }
    close(fd);
    hp_finding_t *finding;
    if (error == 0) {
        finding = hp_findings_add(findings, HP_FINDING_OK, "connects",
                                  "%s (%s) takes connections at port %s.", host, address, port);
    } else if (error == ECONNREFUSED) {
        finding = hp_findings_add(
            findings, HP_FINDING_PROBLEM, "connect-refused",
            "%s (%s) refuses the connection: the machine is there, and nothing listens at port %s.", host,
            address, port);
        hp_finding_todo(finding, "Start hostpair there.");
    } else {
        finding = hp_findings_add(
            findings, HP_FINDING_PROBLEM, error == ETIMEDOUT ? "connect-timeout" : "connect-failed",
            "%s (%s) cannot be reached at port %s: %s.", host, address, port, strerror(error));
        hp_finding_todo(finding,
                        "Either the machine is off, or a packet filter keeps this host out there. On that "
                        "machine:");
        hp_finding_command(finding, "sudo hostpair doctor");
    }
    hp_finding_text(finding, "address", address);
}

static int look_at_host(hp_findings_t *findings, const char *text, hp_err_t *err)
{
    char name[HP_ADDRESS_NAME_SIZE], port[8];
    uint16_t number;
    bool numeric;
    struct addrinfo *all = NULL, hints = {.ai_socktype = SOCK_STREAM};
    int rc = hp_address_parse_any(text, HP_DEFAULT_PEER_PORT, name, &number, &numeric, err);
    if (rc != 0)
        return rc;
    snprintf(port, sizeof port, "%u", number);
    rc = getaddrinfo(name, port, &hints, &all);
    if (rc != 0) {
        hp_finding_t *finding =
            hp_findings_add(findings, HP_FINDING_PROBLEM, "name-unknown",
                            "The name %s is not known to this machine: %s.", name, gai_strerror(rc));
        hp_finding_text(finding, "name", name);
        hp_finding_text(finding, "detail", gai_strerror(rc));
        hp_finding_todo(finding, "Is it written as the machine has it? The address always works.");
        return 0;
    }
    unsigned tried = 0;
    for (const struct addrinfo *at = all; at != NULL && tried < 4; at = at->ai_next, tried++)
        add_connection(findings, name, port, at);
    freeaddrinfo(all);
    return 0;
}

static int look_alone(hp_cli_t *cli, const hp_err_t *why)
{
    hp_findings_t findings = {0};
    hp_err_t err = {0};
    char open[HP_DOCTOR_COMMAND_SIZE];
    hp_finding_t *finding = hp_findings_add(&findings, HP_FINDING_PROBLEM, "not-running",
                                            "No hostpair runs here: %s.", hp_err_text(why));
    hp_finding_text(finding, "detail", hp_err_text(why));
    hp_finding_todo(finding, "Nothing is shared and nobody is found until it is started:");
    hp_finding_command(finding, "hostpair");
    hp_doctor_look_at_interfaces(&findings);
    hp_doctor_look_at_filter(HP_DEFAULT_PEER_PORT, &findings, open);
    int rc = cli->count > 0 ? look_at_host(&findings, cli->args[0], &err) : 0;
    json_t *json = hp_findings_json(&findings);
    hp_findings_dispose(&findings);
    if (rc == 0)
        return report(cli, json, cli->count > 0 ? cli->args[0] : NULL);
    json_decref(json);
    hp_say(stderr, "hostpair: %s", hp_err_text(&err));
    return HP_DOCTOR_EXIT_COULD_NOT;
}

/* ---- with one ---- */

/* root may read the packet filter where the hostpair that runs may not. Takes the findings. */
static json_t *read_filter_here(const hp_cli_t *cli, json_t *findings)
{
    bool unreadable = false;
    for (size_t i = 0; i < json_array_size(findings); i++)
        unreadable |= strcmp(hp_client_text(json_array_get(findings, i), "slug"), "filter-unreadable") == 0;
    if (!unreadable || geteuid() != 0 || !hp_client_is_local(cli->client))
        return findings;
    hp_findings_t own = {0};
    char open[HP_DOCTOR_COMMAND_SIZE];
    int64_t port = hp_client_number(hp_client_status(cli->client), "peer_port", HP_DEFAULT_PEER_PORT);
    hp_doctor_look_at_filter((uint16_t)port, &own, open);
    json_t *read = hp_findings_json(&own), *all = json_array();
    hp_findings_dispose(&own);
    for (size_t i = 0; i < json_array_size(findings); i++) {
        json_t *finding = json_array_get(findings, i);
        if (strcmp(hp_client_text(finding, "slug"), "filter-unreadable") != 0)
            json_array_append(all, finding);
        else
            json_array_extend(all, read);
    }
    json_decref(read);
    json_decref(findings);
    return all;
}

/* A host by its name here, or what the API makes of it; an address is asked as it is given, not at another
 * one of the host that has it. Never makes a host known. */
static int ask(hp_cli_t *cli, json_t **look, hp_err_t *err)
{
    json_t *body = json_object();
    if (cli->count > 0) {
        const char *host = cli->args[0];
        json_t *answer = NULL;
        char ip[64];
        uint16_t port;
        size_t index;
        if (hp_address_parse_url(host, HP_DEFAULT_PEER_PORT, ip, &port, NULL) != 0 &&
            hp_client_call(cli->client, "GET", "/hosts", NULL, &answer, err) == 0 &&
            hp_host_match(json_object_get(answer, "hosts"), host, &index, NULL) == 0)
            host = hp_client_text(json_array_get(json_object_get(answer, "hosts"), index), "id");
        json_object_set_new(body, "host", json_string(host));
        json_decref(answer);
    }
    return hp_client_call(cli->client, "POST", "/doctor", body, look, err);
}

static int follow(hp_cli_t *cli, hp_err_t *err)
{
    json_t *look = NULL;
    int rc = ask(cli, &look, err);
    char *path = hp_sprintf("/doctor/%lld", (long long)hp_client_number(look, "id", 0));
    hp_term_catch();
    while (rc == 0 && json_is_true(json_object_get(look, "running")) && !hp_term_interrupted()) {
        hp_term_wait(POLL_MS);
        json_decref(look);
        look = NULL;
        rc = hp_client_call(cli->client, "GET", path, NULL, &look, err);
    }
    free(path);
    if (rc != 0)
        return -1;
    int code = HP_EXIT_INTERRUPTED;
    if (!hp_term_interrupted()) {
        json_t *findings = read_filter_here(cli, json_incref(json_object_get(look, "findings")));
        code = report(cli, findings, cli->count > 0 ? cli->args[0] : NULL);
    }
    json_decref(look);
    return code;
}

int hp_cli_doctor(hp_cli_t *cli)
{
    hp_err_t err = {0};
    int rc = hp_client_create(&cli->client, cli->options, &err);
    if (rc == HP_E_UNREACHABLE)
        return look_alone(cli, &err);
    int code = rc == 0 ? follow(cli, &err) : -1;
    if (code >= 0)
        return code;
    hp_say(stderr, "hostpair: %s", hp_err_text(&err));
    return HP_DOCTOR_EXIT_COULD_NOT;
}
