/* Downloads that the command waits for.
 *
 * All are ordered first, then watched together: one line shows how far they are. Ctrl-C pauses what this
 * command started or let go on; what was under way before stays under way. The same command finds a paused
 * download again (the order says so) and lets it go on, so running it again is how one resumes. */
#include <string.h>

#include "base/clock.h"
#include "base/path.h"
#include "cli/internal.h"

#define POLL_MS 200

typedef struct {
    char *what;    /* as it was asked for */
    int64_t id;    /* of the download; 0: it could not be ordered */
    bool own;      /* started, or let go on, by this command */
    bool made;     /* started */
    bool finished; /* well or not */
    bool failed;
    int64_t begun_bytes;
    uint64_t begun_ms;
    json_t *now; /* as the API last showed it */
} item_t;

typedef struct {
    hp_cli_t *cli;
    item_t *items;
    size_t count;
    uint64_t limit;
    json_t *web; /* fields of an order by URL besides it; NULL none */
    bool interrupted;
    hp_bar_t bar;
    char note[160];
} get_t;

static char *path_of(const item_t *item, const char *action)
{
    return hp_sprintf("/downloads/%lld%s", (long long)item->id, action);
}

/* ---- ordering ---- */

/* Whether the host's list has a folder of that name. */
static int is_folder(get_t *self, const char *host, const char *path, bool *folder, hp_err_t *err)
{
    json_t *page = NULL;
    char *query = hp_cli_files_path(host, path, NULL, 1, NULL);
    int rc = hp_client_call(self->cli->client, "GET", query, NULL, &page, err);
    *folder = rc == 0 && hp_client_number(page, "total", 0) + hp_client_number(page, "folders_total", 0) > 0;
    json_decref(page);
    free(query);
    /* Without a list the path is asked for as a file. */
    return rc == HP_E_UNREACHABLE ? rc : 0;
}

static json_t *make_order(const get_t *self, const char *host, const char *key, const char *path)
{
    json_t *body = json_object();
    if (host != NULL)
        json_object_set_new(body, "host", json_string(host));
    json_object_set_new(body, key, json_string(path));
    if (self->cli->flags.to != NULL) {
        char *to = hp_cli_tidy_path(self->cli->flags.to);
        json_object_set_new(body, "to", json_string(to));
        free(to);
    }
    if (self->limit > 0)
        json_object_set_new(body, "limit_bps", json_integer((json_int_t)self->limit));
    if (self->cli->flags.copy)
        json_object_set_new(body, "copy", json_true());
    if (self->web != NULL && host == NULL)
        json_object_update(body, self->web);
    return body;
}

/* A download that was there already is let go on, with the limit that was asked for. */
static int take_up(get_t *self, item_t *item, hp_err_t *err)
{
    const char *state = hp_client_text(item->now, "state");
    bool paused = strcmp(state, "paused") == 0, failed = strcmp(state, "failed") == 0;
    const json_t *certificate = json_object_get(self->web, "certificate");
    bool trusts = certificate != NULL && (paused || failed);
    json_t *change = json_object(), *answer = NULL;
    if (trusts)
        json_object_set(change, "certificate", (json_t *)certificate);
    if (self->limit > 0 && strcmp(state, "done") != 0)
        json_object_set_new(change, "limit_bps", json_integer((json_int_t)self->limit));
    if (paused)
        json_object_set_new(change, "state", json_string("queued"));
    int rc = 0;
    char *path = path_of(item, ""), *retry = path_of(item, "/retry");
    if (json_object_size(change) > 0)
        rc = hp_client_call(self->cli->client, "PATCH", path, json_incref(change), &answer, err);
    if (rc == 0 && failed && !trusts) {
        json_decref(answer);
        rc = hp_client_call(self->cli->client, "POST", retry, NULL, &answer, err);
    }
    item->own = rc == 0 && (paused || failed);
    if (rc == 0 && answer != NULL) {
        json_decref(item->now);
        item->now = json_incref(answer);
    }
    json_decref(answer);
    json_decref(change);
    free(retry);
    free(path);
    return rc;
}

/* host NULL: what is a URL. */
static int order(get_t *self, item_t *item, const char *host, hp_err_t *err)
{
    const char *what = item->what;
    size_t length = strlen(what);
    char *path = host != NULL ? hp_cli_tidy_path(what) : hp_strdup(what);
    bool folder = host != NULL && (path[0] == '\0' || what[length - 1] == '/');
    int rc = host != NULL && !folder ? is_folder(self, host, path, &folder, err) : 0;
    const char *key = host == NULL ? "url" : folder ? "folder" : "path";
    if (rc == 0)
        rc = hp_client_call(self->cli->client, "POST", "/downloads", make_order(self, host, key, path),
                            &item->now, err);
    free(path);
    if (rc != 0)
        return rc;
    item->own = item->made = hp_client_created(self->cli->client);
    item->id = hp_client_number(item->now, "id", 0);
    if (!item->own)
        rc = take_up(self, item, err);
    item->begun_bytes = hp_client_number(item->now, "done_bytes", 0);
    item->begun_ms = hp_clock_ms();
    return rc;
}

/* ---- what is shown ---- */

static const char *name_of(const item_t *item)
{
    const char *name = hp_client_text(item->now, "name");
    return name[0] != '\0' ? name : item->what[0] != '\0' ? item->what : "/";
}

static hp_progress_t progress_of_one(const item_t *item)
{
    hp_progress_t progress = hp_cli_progress(item->now);
    progress.name = name_of(item);
    return progress;
}

static hp_progress_t progress_of_all(get_t *self)
{
    hp_progress_t sum = {.name = self->note, .eta_s = -1};
    size_t finished = 0;
    const char *note = NULL;
    for (size_t i = 0; i < self->count; i++) {
        const item_t *item = &self->items[i];
        if (item->id == 0 || item->failed) {
            finished++;
            continue;
        }
        hp_progress_t one = progress_of_one(item);
        sum.done += one.done;
        sum.total = sum.total < 0 || one.total < 0 ? -1 : sum.total + one.total;
        finished += item->finished;
        if (item->finished)
            continue;
        sum.speed_bps += one.speed_bps;
        sum.sources = HP_MAX(sum.sources, one.sources);
        note = note != NULL ? note : one.note;
    }
    if (sum.total >= 0 && sum.speed_bps > 0)
        sum.eta_s = (sum.total - sum.done + sum.speed_bps - 1) / sum.speed_bps;
    sum.note = sum.speed_bps == 0 ? note : NULL;
    snprintf(self->note, sizeof self->note, "%zu of %zu done", finished, self->count);
    return sum;
}

static void show(get_t *self)
{
    hp_progress_t progress = self->count == 1 ? progress_of_one(&self->items[0]) : progress_of_all(self);
    hp_bar_show(&self->bar, &progress, false);
}

/* ---- the end of one ---- */

static void show_done(get_t *self, const item_t *item)
{
    char size[HP_TEXT_SIZE], time[HP_TEXT_SIZE];
    int64_t bytes = hp_client_number(item->now, "done_bytes", 0);
    bool verified = json_is_true(json_object_get(item->now, "verified"));
    hp_progress_t progress = progress_of_one(item);
    hp_text_bytes(bytes - item->begun_bytes, size);
    uint64_t ms = hp_clock_ms() - item->begun_ms;
    if (ms < 10000)
        snprintf(time, sizeof time, "%.1f s", (double)ms / 1000);
    else
        hp_text_duration((int64_t)ms / 1000, time);
    snprintf(self->note, sizeof self->note, "%s in %s%s", size, time, verified ? ", verified" : "");
    if (!item->own && bytes == item->begun_bytes)
        snprintf(self->note, sizeof self->note, "here already");
    progress.total = progress.done;
    progress.note = self->note;
    hp_bar_show(&self->bar, &progress, true);
    hp_bar_end(&self->bar);
}

static void end_done(get_t *self, item_t *item)
{
    item->finished = true;
    show_done(self, item);
    if (hp_client_text(item->now, "note")[0] != '\0')
        hp_say(stderr, "%s.", hp_client_text(item->now, "note"));
    if (!self->cli->flags.json)
        hp_say(stdout, "%s/%s", hp_client_text(hp_client_status(self->cli->client), "downloads_folder"),
               hp_client_text(item->now, "path"));
    fflush(stdout);
}

static void end_failed(get_t *self, item_t *item, const char *why)
{
    item->finished = item->failed = true;
    if (self->count == 1)
        hp_bar_end(&self->bar);
    else
        hp_bar_clear(&self->bar);
    hp_say(stderr, "hostpair: %s: %s", name_of(item), why);
    const json_t *error = json_object_get(item->now, "error");
    const char *certificate = hp_client_text(error, "certificate");
    if (certificate[0] != '\0')
        hp_say(stderr,
               "If the server's own fingerprint is this one, the download works with --certificate %s.",
               certificate);
}

/* A download that this command made and that brought nothing (a name written wrong) does not stay in the
 * list. */
static void forget(get_t *self, const item_t *item)
{
    char *path = path_of(item, "?data=remove");
    if (item->made && hp_client_number(item->now, "done_bytes", 0) == 0)
        hp_client_call(self->cli->client, "DELETE", path, NULL, NULL, NULL);
    free(path);
}

/* Looks at one as it is now. */
static int look(get_t *self, item_t *item, hp_err_t *err)
{
    json_t *now = NULL;
    char *path = path_of(item, "");
    int rc = hp_client_call(self->cli->client, "GET", path, NULL, &now, err);
    free(path);
    if (rc == HP_E_NOT_FOUND) {
        end_failed(self, item, "this download was removed");
        return 0;
    }
    if (rc != 0)
        return rc;
    json_decref(item->now);
    item->now = now;
    const char *state = hp_client_text(now, "state"), *reason = hp_client_text(now, "reason");
    const char *detail = hp_client_text(json_object_get(now, "error"), "detail");
    if (strcmp(state, "done") == 0) {
        end_done(self, item);
    } else if (strcmp(state, "failed") == 0) {
        end_failed(self, item, detail[0] != '\0' ? detail : reason[0] != '\0' ? reason : "it failed");
        forget(self, item);
    } else if (strcmp(state, "cancelled") == 0) {
        end_failed(self, item, "this download was cancelled");
    } else if (strcmp(state, "paused") == 0 && reason[0] == '\0') {
        end_failed(self, item, "this download was paused; the same command resumes it");
    }
    return 0;
}

/* ---- Ctrl-C ---- */

static void pause_one(get_t *self, item_t *item)
{
    hp_err_t err = {0};
    json_t *answer = NULL;
    char percent[HP_TEXT_SIZE], *path = path_of(item, "");
    int rc = hp_client_call(self->cli->client, "PATCH", path, json_pack("{s:s}", "state", "paused"), &answer,
                            &err);
    free(path);
    int64_t done = hp_client_number(answer, "done_bytes", 0), size = hp_client_number(answer, "size", -1);
    if (rc == 0)
        hp_say(stderr, "%s is paused; %s of it is here.", name_of(item),
               size > 0 ? hp_text_percent(done, size, percent) : hp_text_bytes(done, percent));
    else
        hp_say(stderr, "hostpair: %s cannot be paused: %s", name_of(item), hp_err_text(&err));
    json_decref(answer);
}

static void pause_all(get_t *self)
{
    size_t paused = 0;
    hp_bar_end(&self->bar);
    for (size_t i = 0; i < self->count; i++) {
        item_t *item = &self->items[i];
        if (item->finished)
            continue;
        if (item->own) {
            pause_one(self, item);
            paused++;
        } else {
            hp_say(stderr, "%s was under way before, and goes on.", name_of(item));
        }
    }
    if (paused > 0 && self->web != NULL) { /* its secrets are not printed */
        hp_say(stderr, "The same command goes on.");
    } else if (paused > 0) {
        char *line = hp_cli_command_line(self->cli);
        hp_say(stderr, "To go on: %s", line);
        free(line);
    }
}

/* ---- all of it ---- */

static int watch(get_t *self, hp_err_t *err)
{
    size_t left = 1;
    while (left > 0) {
        left = 0;
        for (size_t i = 0; i < self->count; i++) {
            int rc = self->items[i].finished ? 0 : look(self, &self->items[i], err);
            if (rc != 0)
                return rc;
            left += !self->items[i].finished;
        }
        if (left > 0)
            show(self);
        if (left > 0 && !hp_term_interrupted())
            hp_term_wait(POLL_MS);
        if (left > 0 && hp_term_interrupted()) {
            pause_all(self);
            self->interrupted = true;
            return 0;
        }
    }
    hp_bar_clear(&self->bar);
    return 0;
}

static int order_all(get_t *self, hp_err_t *err)
{
    hp_cli_t *cli = self->cli;
    bool urls = strncmp(cli->args[0], "http://", 7) == 0 || strncmp(cli->args[0], "https://", 8) == 0;
    size_t skip = urls ? 0 : 1;
    json_t *host = NULL;
    int rc = urls ? 0 : hp_cli_find_host(cli, cli->args[0], &host, err);
    hp_term_catch();
    self->items = hp_alloc_array(cli->count, sizeof *self->items);
    for (size_t i = skip; rc == 0 && i < cli->count && !hp_term_interrupted(); i++) {
        item_t *item = &self->items[self->count++];
        item->what = cli->args[i];
        rc = order(self, item, urls ? NULL : hp_client_text(host, "id"), err);
        if (rc != 0 && rc != HP_E_UNREACHABLE) {
            end_failed(self, item, hp_err_text(err));
            rc = 0;
        }
    }
    self->interrupted = self->count + skip < cli->count && hp_term_interrupted();
    json_decref(host);
    return rc;
}

/* What was ordered and is left to hostpair. */
static void print_ordered(const get_t *self)
{
    static const hp_column_t columns[] = {
        {.title = "ID", .right = true}, {.title = "STATE"}, {.title = "PATH", .min = 20}};
    hp_table_t *table = hp_table_create(columns, HP_COUNT(columns), &self->cli->out);
    for (size_t i = 0; i < self->count; i++) {
        const json_t *now = self->items[i].now;
        if (now == NULL)
            continue;
        hp_table_count(table, hp_client_number(now, "id", -1));
        hp_table_text(table, hp_client_text(now, "state"));
        hp_table_text(table, hp_client_text(now, "path"));
    }
    hp_table_print(table, stdout);
    hp_table_destroy(table);
}

static void print_json(const get_t *self)
{
    json_t *all = json_object(), *list = json_array();
    for (size_t i = 0; i < self->count; i++)
        if (self->items[i].now != NULL)
            json_array_append(list, self->items[i].now);
    json_object_set_new(all, "downloads", list);
    hp_say_json(stdout, all);
    json_decref(all);
}

int hp_cli_get(hp_cli_t *cli)
{
    hp_err_t err = {0};
    get_t self = {.cli = cli};
    bool url = strstr(cli->args[0], "://") != NULL;
    if (cli->count < 2 && !url)
        return hp_cli_usage(cli, "say which path");
    if (cli->flags.limit != NULL && hp_text_parse_rate(cli->flags.limit, &self.limit) != 0)
        return hp_cli_usage(cli, "--limit is bytes a second, such as 500k or 2M");
    int rc = hp_cli_web_fields(cli, url, &self.web, &err);
    if (rc != 0)
        return hp_cli_usage(cli, hp_err_text(&err));
    hp_bar_init(&self.bar, stderr, cli->utf8);
    int code = 0;
    rc = order_all(&self, &err);
    if (rc == 0 && !cli->flags.no_wait)
        rc = watch(&self, &err);
    for (size_t i = 0; i < self.count; i++)
        code = self.items[i].failed ? HP_EXIT_FAILED : code;
    if (rc != 0) {
        hp_bar_end(&self.bar);
        code = hp_cli_fail(cli, &err);
        if (rc == HP_E_UNREACHABLE && self.count > 0)
            hp_say(stderr, "When hostpair runs again, the downloads go on by themselves.");
    }
    if (cli->flags.json)
        print_json(&self);
    else if (cli->flags.no_wait)
        print_ordered(&self);
    for (size_t i = 0; i < self.count; i++)
        json_decref(self.items[i].now);
    free(self.items);
    json_decref(self.web);
    return self.interrupted ? HP_EXIT_INTERRUPTED : code;
}
