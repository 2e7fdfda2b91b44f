/* Messages: sending one, printing the newest, waiting for more. */
#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/path.h"
#include "base/utf8.h"
#include "cli/internal.h"
#include "cli/words.h"

#define COUNT_DEFAULT 20
#define COUNT_MAX     1000
#define TEXT_MAX      ((size_t)64 * 1024) /* bytes; hostpair says how many characters it takes */
#define DELIVERY_MS   3000                /* a message to a host that is there is delivered within this */
#define DELIVERY_POLL 50

/* ---- hostpair send ---- */

static int read_input(hp_buf_t *text, hp_err_t *err)
{
    char part[4096];
    ssize_t n;
    while ((n = read(STDIN_FILENO, part, sizeof part)) != 0) {
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return hp_err_set(err, HP_E_INVALID, "standard input: %s", strerror(errno));
        if (hp_buf_add(text, part, (size_t)n) != 0)
            return hp_err_set(err, HP_E_INVALID, "the text is too long");
    }
    while (text->length > 0 && text->data[text->length - 1] == '\n')
        text->data[--text->length] = '\0';
    if (text->length > 0 &&
        (memchr(text->data, '\0', text->length) != NULL || !hp_utf8_valid(text->data, text->length)))
        return hp_err_set(err, HP_E_INVALID, "standard input is not UTF-8 text");
    return 0;
}

static int read_text(const hp_cli_t *cli, char **out, hp_err_t *err)
{
    hp_buf_t text;
    int rc = 0;
    hp_buf_init(&text, TEXT_MAX);
    if (cli->count == 2 && strcmp(cli->args[1], "-") == 0)
        rc = read_input(&text, err);
    else
        for (size_t i = 1; i < cli->count && rc == 0; i++)
            if (hp_buf_printf(&text, "%s%s", i > 1 ? " " : "", cli->args[i]) != 0)
                rc = hp_err_set(err, HP_E_INVALID, "the text is too long");
    if (rc == 0)
        *out = hp_buf_take(&text);
    hp_buf_dispose(&text);
    return rc;
}

static const json_t *find_host(const json_t *hosts, const char *id)
{
    for (size_t i = 0; i < json_array_size(hosts); i++)
        if (strcmp(hp_client_text(json_array_get(hosts, i), "id"), id) == 0)
            return json_array_get(hosts, i);
    return NULL;
}

/* The host's name, else its id. */
static const char *name_of(const json_t *hosts, const char *id)
{
    const char *name = hp_client_text(find_host(hosts, id), "name");
    return name[0] != '\0' ? name : id;
}

/* Whether it has still to go to a host that is there, as far as is known, and was not tried in vain yet. */
static bool is_under_way(const json_t *message, const json_t *hosts)
{
    const json_t *deliveries = json_object_get(message, "deliveries");
    for (size_t i = 0; i < json_array_size(deliveries); i++) {
        const json_t *delivery = json_array_get(deliveries, i);
        const json_t *host = find_host(hosts, hp_client_text(delivery, "host"));
        if (strcmp(hp_client_text(delivery, "state"), "queued") == 0 &&
            hp_client_text(delivery, "reason")[0] == '\0' &&
            strcmp(hp_client_text(host, "state"), "online") == 0)
            return true;
    }
    return false;
}

/* Gives hosts that are there the time to take it. */
static int wait_for_delivery(hp_cli_t *cli, const json_t *hosts, json_t **message, hp_err_t *err)
{
    char *path = hp_sprintf("/messages/%lld", (long long)hp_client_number(*message, "id", 0));
    int rc = 0;
    for (int waited = 0; rc == 0 && is_under_way(*message, hosts) && waited < DELIVERY_MS;
         waited += DELIVERY_POLL) {
        json_t *now = NULL;
        hp_term_wait(DELIVERY_POLL);
        rc = hp_client_call(cli->client, "GET", path, NULL, &now, err);
        if (rc == 0) {
            json_decref(*message);
            *message = now;
        }
    }
    free(path);
    return rc;
}

/* One line a host. Whether any failed. */
static bool tell_deliveries(const json_t *message, const json_t *hosts)
{
    bool failed = false;
    const json_t *deliveries = json_object_get(message, "deliveries");
    for (size_t i = 0; i < json_array_size(deliveries); i++) {
        const json_t *delivery = json_array_get(deliveries, i);
        const char *state = hp_client_text(delivery, "state"), *reason = hp_client_text(delivery, "reason");
        const char *name = name_of(hosts, hp_client_text(delivery, "host"));
        bool bad = strcmp(state, "failed") == 0;
        failed |= bad;
        if (strcmp(state, "delivered") == 0)
            hp_say(stdout, hp_word("%s: delivered"), name);
        else if (bad)
            hp_say(stderr, hp_word("hostpair: %s: not delivered%s%s"), name, reason[0] != '\0' ? ": " : "",
                   reason);
        else
            hp_say(stdout, hp_word("%s: queued%s%s; it is delivered when the host is there"), name,
                   reason[0] != '\0' ? ": " : "", reason);
    }
    return failed;
}

static int load_hosts(hp_cli_t *cli, json_t **hosts, hp_err_t *err)
{
    json_t *answer = NULL;
    int rc = hp_client_call(cli->client, "GET", "/hosts", NULL, &answer, err);
    *hosts = json_incref(json_object_get(answer, "hosts"));
    json_decref(answer);
    return rc;
}

/* Sends it and gives hosts that are there the time to take it. */
static int post(hp_cli_t *cli, const json_t *hosts, const char *to, const char *text, json_t **message,
                hp_err_t *err)
{
    int rc = hp_client_call(cli->client, "POST", "/messages", json_pack("{s:s, s:s}", "to", to, "text", text),
                            message, err);
    return rc == 0 ? wait_for_delivery(cli, hosts, message, err) : rc;
}

static int check_receivers(const json_t *message, hp_err_t *err)
{
    return json_array_size(json_object_get(message, "deliveries")) > 0
               ? 0
               : hp_err_set(err, HP_E_NOT_FOUND, "no host is known that it could go to");
}

int hp_cli_send_text(hp_cli_t *self, const char *to, const char *text, bool *failed, hp_err_t *err)
{
    json_t *hosts = NULL, *message = NULL;
    int rc = load_hosts(self, &hosts, err);
    if (rc == 0)
        rc = post(self, hosts, to, text, &message, err);
    *failed = rc != 0 || tell_deliveries(message, hosts);
    if (rc == 0)
        rc = check_receivers(message, err);
    json_decref(message);
    json_decref(hosts);
    return rc;
}

int hp_cli_send(hp_cli_t *cli)
{
    hp_err_t err = {0};
    json_t *host = NULL, *hosts = NULL, *message = NULL;
    char *text = NULL;
    const char *to = "everyone";
    bool failed = false;
    int rc = 0;
    if (strcmp(cli->args[0], "everyone") != 0) {
        rc = hp_cli_find_host(cli, cli->args[0], &host, &err);
        to = hp_client_text(host, "id");
    }
    if (rc == 0)
        rc = read_text(cli, &text, &err);
    if (rc == 0 && !cli->flags.json) {
        rc = hp_cli_send_text(cli, to, text, &failed, &err);
    } else if (rc == 0) {
        rc = load_hosts(cli, &hosts, &err);
        if (rc == 0)
            rc = post(cli, hosts, to, text, &message, &err);
        if (rc == 0)
            hp_say_json(stdout, message);
        if (rc == 0)
            rc = check_receivers(message, &err);
    }
    free(text);
    json_decref(host);
    json_decref(hosts);
    json_decref(message);
    if (rc != 0)
        return hp_cli_fail(cli, &err);
    return failed ? HP_EXIT_FAILED : 0;
}

/* ---- hostpair messages ---- */

typedef struct {
    hp_cli_t *cli;
    json_t *hosts;
    char *with;   /* a host's id or "everyone"; NULL: all */
    int64_t last; /* the newest that was printed */
    bool marks;   /* what is printed is read from then on */
    hp_err_t err;
} reader_t;

/* The state of a sent one: the worst of its deliveries. */
static const char *state_of(const json_t *message)
{
    static const char *const order[] = {"failed", "queued", "delivered"};
    const json_t *deliveries = json_object_get(message, "deliveries");
    for (size_t k = 0; k < HP_COUNT(order); k++)
        for (size_t i = 0; i < json_array_size(deliveries); i++)
            if (strcmp(hp_client_text(json_array_get(deliveries, i), "state"), order[k]) == 0)
                return order[k];
    return "";
}

/* The lines of a text, each behind a margin: no line of a text can look like another message. */
static void print_text(const char *text)
{
    for (const char *p = text; *p != '\0';) {
        size_t n = strcspn(p, "\n");
        char *line = hp_strndup(p, n > 0 && p[n - 1] == '\r' ? n - 1 : n);
        hp_say(stdout, "    %s", line);
        free(line);
        p += n + (p[n] == '\n');
    }
}

static void print_message(reader_t *self, const json_t *message)
{
    const hp_term_t *term = &self->cli->out;
    bool incoming = json_is_true(json_object_get(message, "incoming"));
    bool unread = json_is_true(json_object_get(message, "unread"));
    const json_t *offer = json_object_get(message, "offer");
    const char *to = hp_client_text(message, "to"), *from = hp_client_text(message, "from_name");
    const char *state = incoming ? "" : state_of(message);
    char time[HP_TEXT_SIZE], size[HP_TEXT_SIZE], who[600];
    bool everyone = strcmp(to, "everyone") == 0;
    if (incoming)
        snprintf(who, sizeof who, "%s",
                 from[0] != '\0' ? from : name_of(self->hosts, hp_client_text(message, "from")));
    else
        snprintf(who, sizeof who, "to %s", everyone ? "everyone" : name_of(self->hosts, to));
    char *clean = hp_text_clean(who);
    hp_colour_t colour = unread ? HP_BOLD : HP_PLAIN;
    printf("%s%c %s  %s%s%s%s%s\n", hp_colour_start(term, colour), unread ? '*' : ' ',
           hp_text_time(hp_client_text(message, "received_at"), time), clean, state[0] != '\0' ? " (" : "",
           state, state[0] != '\0' ? ")" : "", hp_colour_end(term, colour));
    free(clean);
    print_text(hp_client_text(message, "text"));
    if (json_is_object(offer)) {
        char *host = hp_text_quote(incoming ? hp_client_text(message, "from") : "");
        char *path = hp_text_quote(hp_client_text(offer, "path"));
        hp_text_bytes(hp_client_number(offer, "size", -1), size);
        if (incoming)
            hp_say(stdout, "    offers %s (%s): hostpair get %s %s", hp_client_text(offer, "path"), size,
                   host, path);
        else
            hp_say(stdout, "    offers %s (%s)", hp_client_text(offer, "path"), size);
        free(path);
        free(host);
    }
    self->last = HP_MAX(self->last, hp_client_number(message, "id", 0));
}

static int mark_read(reader_t *self)
{
    if (!self->marks || self->last == 0)
        return 0;
    json_t *body = json_pack("{s:I}", "up_to", (json_int_t)self->last);
    if (self->with != NULL)
        json_object_set_new(body, "with", json_string(self->with));
    return hp_client_call(self->cli->client, "POST", "/messages/read", body, NULL, &self->err);
}

static bool is_wanted(const reader_t *self, const json_t *message)
{
    const json_t *deliveries = json_object_get(message, "deliveries");
    if (self->with == NULL || strcmp(hp_client_text(message, "from"), self->with) == 0 ||
        strcmp(hp_client_text(message, "to"), self->with) == 0)
        return true;
    for (size_t i = 0; i < json_array_size(deliveries); i++)
        if (strcmp(hp_client_text(json_array_get(deliveries, i), "host"), self->with) == 0)
            return true;
    return false;
}

static void print_one(reader_t *self, const json_t *message)
{
    if (self->cli->flags.json && self->cli->flags.follow) {
        /* One object a line, for programs that read a stream. */
        char *dump = json_dumps(message, JSON_COMPACT | JSON_REAL_PRECISION(15)),
             *safe = hp_text_json(dump != NULL ? dump : "null");
        printf("%s\n", safe);
        free(safe);
        free(dump);
        self->last = HP_MAX(self->last, hp_client_number(message, "id", 0));
    } else {
        print_message(self, message);
    }
}

/* What a terminal has shown is read, unless there are unread ones before it that were not shown. */
static void decide_marks(reader_t *self, const json_t *page, int64_t shown)
{
    bool everyone = self->with != NULL && strcmp(self->with, "everyone") == 0;
    int64_t unread = self->with == NULL
                         ? hp_client_number(page, "unread", 0)
                         : hp_client_number(json_object_get(page, "unread_by_host"), self->with, 0);
    self->marks = self->cli->out.columns > 0 && !everyone && unread <= shown;
    if (!everyone && unread > shown)
        hp_say(stderr, "Unread and not shown: %lld; --count N shows more.", (long long)(unread - shown));
}

/* The newest `count`, of those that were not printed yet. */
static int print_newest(reader_t *self, long count)
{
    json_t *page = NULL;
    int64_t shown = 0, after = self->last;
    char *with = self->with != NULL ? hp_path_encode(self->with, strlen(self->with), false) : NULL;
    char *path =
        hp_sprintf("/messages?limit=%ld%s%s", count, with != NULL ? "&with=" : "", with != NULL ? with : "");
    int rc = hp_client_call(self->cli->client, "GET", path, NULL, &page, &self->err);
    free(path);
    free(with);
    const json_t *messages = json_object_get(page, "messages");
    if (rc == 0 && self->cli->flags.json && !self->cli->flags.follow) {
        hp_say_json(stdout, page);
    } else if (rc == 0) {
        for (size_t i = 0; i < json_array_size(messages); i++) {
            const json_t *message = json_array_get(messages, i);
            if (hp_client_number(message, "id", 0) <= after)
                continue;
            print_one(self, message);
            shown += json_is_true(json_object_get(message, "unread"));
        }
        fflush(stdout);
        if (after == 0)
            decide_marks(self, page, shown);
        if (json_array_size(messages) == 0 && !self->cli->flags.follow)
            hp_say(stderr, "There are no messages.");
        rc = mark_read(self);
    }
    json_decref(page);
    return rc;
}

/* An event: one that is new is printed. A change of an old one (it was delivered) is not told again. */
static int on_event(void *arg, const char *name, const json_t *data)
{
    reader_t *self = arg;
    /* What came between the list and the stream. */
    if (strcmp(name, "open") == 0)
        return print_newest(self, COUNT_MAX);
    bool message = strcmp(name, "message") == 0 && json_is_string(json_object_get(data, "text"));
    if (!message || hp_client_number(data, "id", 0) <= self->last || !is_wanted(self, data))
        return 0;
    int rc = 0;
    if (!json_is_true(json_object_get(data, "incoming")) &&
        find_host(self->hosts, hp_client_text(data, "to")) == NULL) {
        json_decref(self->hosts);
        rc = load_hosts(self->cli, &self->hosts, &self->err);
    }
    if (rc == 0) {
        print_one(self, data);
        if (fflush(stdout) != 0)
            return hp_err_set(&self->err, HP_E_DISK, "standard output cannot be written");
        rc = mark_read(self);
    }
    return rc;
}

int hp_cli_messages(hp_cli_t *cli)
{
    reader_t self = {.cli = cli};
    json_t *host = NULL;
    char *end = NULL;
    long count = cli->flags.count != NULL ? strtol(cli->flags.count, &end, 10) : COUNT_DEFAULT;
    if (count < 1 || count > COUNT_MAX || (end != NULL && *end != '\0'))
        return hp_cli_usage(cli, "--count is a number from 1 to 1000");
    int rc = load_hosts(cli, &self.hosts, &self.err);
    if (rc == 0 && cli->count > 0 && strcmp(cli->args[0], "everyone") != 0) {
        rc = hp_cli_find_host(cli, cli->args[0], &host, &self.err);
        self.with = hp_strdup(hp_client_text(host, "id"));
    } else if (cli->count > 0) {
        self.with = hp_strdup("everyone");
    }
    if (rc == 0)
        rc = print_newest(&self, count);
    if (rc == 0 && cli->flags.follow)
        rc = hp_client_events(cli->client, on_event, &self, &self.err);
    json_decref(host);
    json_decref(self.hosts);
    free(self.with);
    return rc == 0 ? 0 : hp_cli_fail(cli, &self.err);
}
