/* The hosts: which one a person means, and the list of them. */
#include <string.h>
#include <strings.h>

#include "base/clock.h"
#include "cli/internal.h"

#define PREFIX_MIN 4 /* characters of an id that are enough to name it */
#define ID_SHOWN   8
#define TOLD_MAX   3 /* hosts that an ambiguous word is told to mean */

/* ---- which host is meant ---- */

typedef bool (*match_fn)(const json_t *host, const char *text);

static bool is_id(const json_t *host, const char *text)
{
    return strcmp(hp_client_text(host, "id"), text) == 0;
}

static bool is_name_or_part_of_id(const json_t *host, const char *text)
{
    size_t length = strlen(text);
    return strcmp(hp_client_text(host, "name"), text) == 0 ||
           (length >= PREFIX_MIN && strncmp(hp_client_text(host, "id"), text, length) == 0);
}

static bool is_name_in_any_case(const json_t *host, const char *text)
{
    return strcasecmp(hp_client_text(host, "name"), text) == 0;
}

static size_t address_count(const json_t *host)
{
    return json_array_size(json_object_get(host, "addresses"));
}

/* The i-th address, "ip:port"; "" when there is none. */
static const char *address_at(const json_t *host, size_t i)
{
    const char *text = json_string_value(json_array_get(json_object_get(host, "addresses"), i));
    return text != NULL ? text : "";
}

/* text is "ip:port". */
static bool is_address(const json_t *host, const char *text)
{
    for (size_t i = 0; i < address_count(host); i++)
        if (strcmp(address_at(host, i), text) == 0)
            return true;
    return false;
}

/* text is an ip, as it stands before ":port". */
static bool is_at(const json_t *host, const char *text)
{
    for (size_t i = 0; i < address_count(host); i++) {
        char ip[64];
        uint16_t port;
        if (hp_address_parse(address_at(host, i), 0, ip, &port, NULL) == 0 && strcmp(ip, text) == 0)
            return true;
    }
    return false;
}

static int ambiguous(const json_t *hosts, const char *text, match_fn matches, hp_err_t *err)
{
    char told[256] = "";
    size_t count = 0;
    for (size_t i = 0; i < json_array_size(hosts); i++) {
        const json_t *host = json_array_get(hosts, i);
        size_t used = strlen(told);
        if (matches(host, text) && count++ < TOLD_MAX)
            snprintf(told + used, sizeof told - used, "%s%.30s (id %.*s, %.50s)", used > 0 ? ", " : "",
                     hp_client_text(host, "name"), ID_SHOWN, hp_client_text(host, "id"), address_at(host, 0));
    }
    return hp_err_set(err, HP_E_CONFLICT, "%.60s may be %zu hosts: %s%s; give the id", text, count, told,
                      count > TOLD_MAX ? ", ..." : "");
}

static int match_by(const json_t *hosts, const char *text, match_fn matches, size_t *index, hp_err_t *err)
{
    size_t count = 0;
    for (size_t i = 0; i < json_array_size(hosts); i++) {
        if (matches(json_array_get(hosts, i), text)) {
            *index = i;
            count++;
        }
    }
    return count == 0 ? HP_E_NOT_FOUND : count == 1 ? 0 : ambiguous(hosts, text, matches, err);
}

int hp_host_match(const json_t *hosts, const char *text, size_t *index, hp_err_t *err)
{
    static const match_fn order[] = {is_id, is_name_or_part_of_id, is_name_in_any_case};
    char ip[64], full[HP_ADDRESS_SIZE];
    uint16_t port;
    int rc = HP_E_NOT_FOUND;
    /* What looks like an address is one: no host takes it away by its name. */
    if (hp_address_parse_url(text, HP_DEFAULT_PEER_PORT, ip, &port, NULL) == 0) {
        uint16_t given;
        rc = match_by(hosts, hp_address_format(ip, port, full), is_address, index, err);
        if (rc == HP_E_NOT_FOUND && hp_address_parse_url(text, 0, ip, &given, NULL) == 0 && given == 0)
            rc = match_by(hosts, ip, is_at, index, err);
        return rc;
    }
    for (size_t i = 0; i < HP_COUNT(order) && rc == HP_E_NOT_FOUND; i++)
        rc = match_by(hosts, text, order[i], index, err);
    return rc;
}

static int load(hp_cli_t *self, json_t **answer, hp_err_t *err)
{
    return hp_client_call(self->client, "GET", "/hosts", NULL, answer, err);
}

int hp_cli_find_host(hp_cli_t *self, const char *text, json_t **host, hp_err_t *err)
{
    json_t *answer = NULL;
    size_t index = 0;
    char ip[64];
    uint16_t port;
    *host = NULL;
    int rc = load(self, &answer, err);
    if (rc == 0) {
        const json_t *hosts = json_object_get(answer, "hosts");
        rc = hp_host_match(hosts, text, &index, err);
        if (rc == 0)
            *host = json_incref(json_array_get(hosts, index));
    }
    json_decref(answer);
    if (rc != HP_E_NOT_FOUND)
        return rc;
    if (hp_address_parse_url(text, HP_DEFAULT_PEER_PORT, ip, &port, NULL) != 0)
        return hp_err_set(
            err, HP_E_NOT_FOUND,
            "no host is known by the name %.100s; \"hostpair hosts\" lists them, and an address "
            "makes one known",
            text);
    rc = hp_client_call(self->client, "POST", "/hosts", json_pack("{s:s}", "address", text), host, err);
    if (rc != 0 && rc != HP_E_UNREACHABLE && rc != HP_E_UNAUTHORIZED)
        hp_err_prefix(err, "%.80s: ", text);
    return rc;
}

/* ---- hostpair hosts ---- */

static const hp_column_t columns[] = {
    {.title = "NAME", .min = 12},
    {.title = "STATE"},
    {.title = "ADDRESS", .drop = 1},
    {.title = "FILES", .right = true, .drop = 3},
    {.title = "SIZE", .right = true, .drop = 2},
    {.title = "SEEN", .drop = 6},
    {.title = "ID", .drop = 4},
    {.title = "PATH", .drop = 5},
    {.title = "PAIRED", .drop = 2},
    {.title = "KIND", .drop = 3},
};

/* By which way it is reached; a host that has not proven who it is is reached in plain HTTP. */
static const char *path_text(const json_t *host)
{
    const char *path = hp_client_text(host, "path");
    return path[0] != '\0' && !json_is_true(json_object_get(host, "proven")) ? "plain" : path;
}

static void add_row(hp_table_t *table, const json_t *host)
{
    bool online = strcmp(hp_client_text(host, "state"), "online") == 0;
    bool blocked = json_is_true(json_object_get(host, "blocked"));
    const char *id = hp_client_text(host, "id"), *seen = hp_client_text(host, "last_seen"),
               *kind = hp_client_text(host, "kind");
    char short_id[ID_SHOWN + 1], ago[HP_TEXT_SIZE];
    snprintf(short_id, sizeof short_id, "%.*s", ID_SHOWN, id);
    hp_table_text(table, hp_client_text(host, "name"));
    hp_table_coloured(table, blocked ? "blocked" : hp_client_text(host, "state"),
                      blocked  ? HP_RED
                      : online ? HP_GREEN
                               : HP_DIM);
    hp_table_text(table, address_at(host, 0));
    hp_table_count(table, hp_client_number(host, "files", -1));
    hp_table_bytes(table, hp_client_number(host, "bytes", -1));
    hp_table_either(table, hp_text_ago(seen, hp_clock_wall_ms(), ago), seen);
    bool named = strncmp(id, "addr-", 5) != 0 && strncmp(id, "localsend-", 10) != 0; /* by digits */
    hp_table_either(table, named ? short_id : "", id);
    hp_table_text(table, path_text(host));
    hp_table_coloured(table, json_is_true(json_object_get(host, "paired")) ? "yes" : "", HP_GREEN);
    hp_table_text(table, strcmp(kind, "hostpair") != 0 ? kind : "");
}

int hp_cli_hosts(hp_cli_t *cli)
{
    hp_err_t err = {0};
    json_t *answer = NULL;
    if (load(cli, &answer, &err) != 0)
        return hp_cli_fail(cli, &err);
    const json_t *hosts = json_object_get(answer, "hosts");
    if (cli->flags.json) {
        hp_say_json(stdout, answer);
    } else {
        hp_table_t *table = hp_table_create(columns, HP_COUNT(columns), &cli->out);
        for (size_t i = 0; i < json_array_size(hosts); i++)
            add_row(table, json_array_get(hosts, i));
        hp_table_print(table, stdout);
        hp_table_destroy(table);
        fflush(stdout);
        for (size_t i = 0; i < json_array_size(hosts); i++) {
            const json_t *host = json_array_get(hosts, i);
            if (hp_client_text(host, "problem")[0] != '\0')
                hp_say(stderr, "%s: %s", hp_client_text(host, "name"), hp_client_text(host, "problem"));
        }
        if (json_array_size(hosts) == 0)
            hp_say(stderr, "No host is known yet. They are found by themselves, or by their address: "
                           "hostpair ls 192.168.1.20");
    }
    json_decref(answer);
    return 0;
}
