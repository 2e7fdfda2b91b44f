/* The downloads: how they go, and what can be done to one. */
#include <string.h>

#include "cli/menu.h"

#define POLL_MS 200

static const hp_column_t columns[] = {
    {.title = "NAME", .min = 12},
    {.title = "STATE"},
    {.title = "DONE", .right = true},
    {.title = "SIZE", .right = true, .drop = 1},
    {.title = "SPEED", .right = true, .drop = 2},
    {.title = "LEFT", .right = true, .drop = 3},
};

static bool is_in(const json_t *download, const char *state)
{
    return strcmp(hp_client_text(download, "state"), state) == 0;
}

static bool is_over(const json_t *download)
{
    return is_in(download, "done") || is_in(download, "failed") || is_in(download, "cancelled");
}

/* Why it failed or does not go on; "": no reason is known. */
static const char *why(const json_t *download)
{
    const char *detail = hp_client_text(json_object_get(download, "error"), "detail");
    return detail[0] != '\0' ? detail : hp_client_text(download, "reason");
}

/* "photos/" for a folder. The caller frees. */
static char *shown_name(const json_t *download)
{
    const char *name = hp_client_text(download, "name");
    return hp_sprintf("%s%s", name, json_is_true(json_object_get(download, "folder")) ? "/" : "");
}

static char *path_of(int64_t id, const char *rest)
{
    return hp_sprintf("/downloads/%lld%s", (long long)id, rest);
}

/* ---- watching one ---- */

static void tell_end(hp_menu_t *self, const json_t *download)
{
    const char *reason = why(download);
    char *name = shown_name(download);
    if (is_in(download, "done")) {
        const char *note = hp_client_text(download, "note");
        hp_menu_say(self, 0, HP_GREEN, hp_word("%s is here:"), name);
        hp_menu_say(self, 2, HP_PLAIN, "%s/%s",
                    hp_client_text(hp_client_status(self->cli->client), "downloads_folder"),
                    hp_client_text(download, "path"));
        if (note[0] != '\0')
            hp_menu_say(self, 2, HP_YELLOW, "%s", note);
    } else if (is_in(download, "paused")) {
        hp_menu_say(self, 0, HP_YELLOW, hp_word("%s is paused."), name);
    } else if (is_in(download, "cancelled")) {
        hp_menu_say(self, 0, HP_YELLOW, hp_word("%s was cancelled."), name);
    } else {
        hp_menu_say(self, 0, HP_RED, hp_word("%s failed: %s"), name, reason[0] != '\0' ? reason : "-");
    }
    free(name);
}

/* What it waits for is told once, in full: the bar has little room for it. */
static void tell_reason(hp_menu_t *self, hp_bar_t *bar, const json_t *download, char **told)
{
    const char *reason = why(download);
    if (strcmp(reason, *told) == 0)
        return;
    free(*told);
    *told = hp_strdup(reason);
    if (reason[0] != '\0') {
        hp_bar_clear(bar);
        hp_menu_say(self, 0, HP_YELLOW, "! %s", reason);
    }
}

static json_t *look(hp_menu_t *self, hp_bar_t *bar, int64_t id)
{
    json_t *download = NULL;
    hp_err_t err = {0};
    char *path = path_of(id, "");
    if (hp_client_call(self->cli->client, "GET", path, NULL, &download, &err) != 0) {
        hp_bar_end(bar);
        hp_menu_fail(self, &err);
    }
    free(path);
    return download;
}

void hp_menu_watch(hp_menu_t *self, int64_t id)
{
    hp_bar_t bar;
    json_t *download;
    char *told = hp_strdup("");
    bool over = false, left = false;
    hp_bar_init(&bar, stdout, self->cli->utf8);
    if (self->typed)
        hp_menu_say(self, 0, HP_DIM, "%s", hp_word("Enter: back to the menu. The download goes on."));
    while (!over && !left && (download = look(self, &bar, id)) != NULL) {
        over = is_over(download) || (is_in(download, "paused") && why(download)[0] == '\0');
        if (!over)
            tell_reason(self, &bar, download, &told);
        hp_progress_t progress = hp_cli_progress(download);
        if (over)
            progress.speed_bps = -1; /* not of interest any more */
        hp_bar_show(&bar, &progress, over);
        if (over) {
            hp_bar_end(&bar);
            tell_end(self, download);
        } else {
            left = hp_menu_pressed(self, POLL_MS);
        }
        json_decref(download);
    }
    if (self->ended && left)
        hp_bar_end(&bar);
    free(told);
}

/* One that is there already goes on, if it does not. */
static int take_up(hp_menu_t *self, const json_t *download)
{
    int64_t id = hp_client_number(download, "id", 0);
    char *path = path_of(id, is_in(download, "failed") ? "/retry" : "");
    int rc = 0;
    if (is_in(download, "failed"))
        rc = hp_menu_call(self, "POST", path, NULL, NULL);
    else if (is_in(download, "paused"))
        rc = hp_menu_call(self, "PATCH", path, json_pack("{s:s}", "state", "queued"), NULL);
    free(path);
    return rc;
}

void hp_menu_download(hp_menu_t *self, const char *host, const char *path, bool folder)
{
    json_t *download = NULL;
    json_t *order = json_pack("{s:s, s:s}", "host", host, folder ? "folder" : "path", path);
    if (hp_menu_call(self, "POST", "/downloads", order, &download) != 0)
        return;
    bool made = hp_client_created(self->cli->client);
    if (made || take_up(self, download) == 0)
        hp_menu_watch(self, hp_client_number(download, "id", 0));
    json_decref(download);
}

/* ---- one ---- */

typedef enum { WATCH, PAUSE, RESUME, RETRY, CANCEL, CANCEL_KEEP, REMOVE, ACTIONS } action_t;

static const struct {
    const char *title, *method, *rest, *state; /* state: to be set; NULL none */
} actions[ACTIONS] = {
    [WATCH] = {"Watch it", NULL, NULL, NULL},
    [PAUSE] = {"Pause", "PATCH", "", "paused"},
    [RESUME] = {"Go on", "PATCH", "", "queued"},
    [RETRY] = {"Try again", "POST", "/retry", NULL},
    [CANCEL] = {"Cancel, and remove what has come", "DELETE", "?data=remove", NULL},
    [CANCEL_KEEP] = {"Cancel, and keep what has come for another time", "DELETE", "?data=keep", NULL},
    [REMOVE] = {"Take it off the list (a finished file stays)", "DELETE", "?data=remove", NULL},
};

static bool is_possible(action_t action, const json_t *download)
{
    bool over = is_over(download), paused = is_in(download, "paused");
    switch (action) {
    case WATCH:
    case PAUSE:
        return !over && !paused;
    case RESUME:
        return paused;
    case RETRY:
        return is_in(download, "failed");
    case CANCEL:
    case CANCEL_KEEP:
        return !over;
    case REMOVE:
        return over;
    case ACTIONS:
        break;
    }
    return false;
}

static void print_one(hp_menu_t *self, const json_t *download)
{
    char done[HP_TEXT_SIZE], size[HP_TEXT_SIZE], *name = shown_name(download);
    hp_menu_title(self, "%s", name);
    hp_menu_say(self, 0, HP_PLAIN, hp_word("State: %s"), hp_word(hp_client_text(download, "state")));
    hp_menu_say(self, 0, HP_PLAIN, hp_word("Here: %s of %s"),
                hp_text_bytes(hp_client_number(download, "done_bytes", 0), done),
                hp_text_bytes(hp_client_number(download, "size", -1), size));
    hp_menu_say(self, 0, HP_PLAIN, hp_word("Place: %s/%s"),
                hp_client_text(hp_client_status(self->cli->client), "downloads_folder"),
                hp_client_text(download, "path"));
    if (why(download)[0] != '\0')
        hp_menu_say(self, 0, HP_YELLOW, hp_word("Reason: %s"), why(download));
    free(name);
}

/* Whether the screen of this download stays. */
static bool act(hp_menu_t *self, int64_t id, action_t action)
{
    if (action == WATCH) {
        hp_menu_watch(self, id);
        return true;
    }
    char *path = path_of(id, actions[action].rest);
    const char *state = actions[action].state;
    bool removes = strcmp(actions[action].method, "DELETE") == 0;
    if (action == CANCEL && !hp_menu_confirm(self, "%s", hp_word("What has come of it is lost. Cancel?")))
        removes = false;
    else if (hp_menu_call(self, actions[action].method, path,
                          state != NULL ? json_pack("{s:s}", "state", state) : NULL, NULL) == 0)
        hp_menu_say(self, 0, HP_GREEN, "%s", hp_word("Done."));
    free(path);
    return !removes;
}

static void one_download(hp_menu_t *self, int64_t id)
{
    json_t *download = NULL;
    char *path = path_of(id, "");
    bool more = true;
    while (more && hp_menu_call(self, "GET", path, NULL, &download) == 0) {
        action_t offered[ACTIONS];
        size_t count = 0;
        print_one(self, download);
        for (action_t action = 0; action < ACTIONS; action++) {
            if (!is_possible(action, download))
                continue;
            offered[count++] = action;
            hp_menu_item(self, count, "%s", hp_word(actions[action].title));
        }
        hp_menu_item(self, 0, "%s", hp_word("Back"));
        json_decref(download);
        int choice = hp_menu_choose(self, count, NULL);
        more = choice == HP_MENU_AGAIN || (choice > 0 && act(self, id, offered[choice - 1]));
    }
    free(path);
}

/* ---- the list ---- */

static void add_row(hp_table_t *table, const json_t *download, size_t number)
{
    char percent[HP_TEXT_SIZE] = "", left[HP_TEXT_SIZE], speed[HP_TEXT_SIZE], *name = shown_name(download);
    int64_t size = hp_client_number(download, "size", -1), eta = hp_client_number(download, "eta_s", -1);
    bool runs = is_in(download, "running");
    if (size >= 0 && (size > 0 || is_in(download, "done")))
        hp_text_percent(hp_client_number(download, "done_bytes", 0), size, percent);
    hp_table_count(table, (int64_t)number);
    hp_table_text(table, name);
    hp_table_coloured(table, hp_word(hp_client_text(download, "state")),
                      is_in(download, "done")     ? HP_GREEN
                      : is_in(download, "failed") ? HP_RED
                      : is_in(download, "paused") ? HP_YELLOW
                                                  : HP_PLAIN);
    hp_table_text(table, percent);
    hp_table_bytes(table, size);
    hp_table_text(table, runs ? hp_text_speed(hp_client_number(download, "speed_bps", 0), speed) : "");
    hp_table_text(table, runs && eta >= 0 ? hp_text_duration(eta, left) : "");
    free(name);
}

static void act_on_all(hp_menu_t *self, int letter)
{
    int rc = 0;
    if (letter == -'a')
        rc = hp_menu_call(self, "POST", "/downloads/pause", NULL, NULL);
    else if (letter == -'g')
        rc = hp_menu_call(self, "POST", "/downloads/resume", NULL, NULL);
    else
        rc = hp_menu_call(self, "DELETE", "/downloads?state=finished", NULL, NULL);
    if (rc == 0)
        hp_menu_say(self, 0, HP_GREEN, "%s", hp_word("Done."));
}

/* One more than a page, to know whether there are more. */
static int load(hp_menu_t *self, const hp_menu_pages_t *pages, size_t rows, json_t **answer)
{
    const char *before = hp_menu_cursor(pages);
    char *path = hp_sprintf("/downloads?limit=%zu%s%s", rows + 1, before != NULL ? "&before=" : "",
                            before != NULL ? before : "");
    int rc = hp_menu_call(self, "GET", path, NULL, answer);
    free(path);
    return rc;
}

void hp_menu_downloads(hp_menu_t *self)
{
    hp_menu_pages_t pages = {0};
    json_t *answer = NULL;
    int choice = HP_MENU_AGAIN;
    while (choice != 0 && load(self, &pages, hp_menu_rows(self), &answer) == 0) {
        const json_t *list = json_object_get(answer, "downloads");
        size_t count = json_array_size(list), rows = HP_MIN(count, hp_menu_rows(self));
        char next[24];
        hp_menu_title(self, "%s", hp_word("Downloads"));
        if (count == 0)
            hp_menu_say(self, 0, HP_PLAIN, "%s", hp_word("There are no downloads."));
        hp_table_t *table = hp_menu_table(self, columns, HP_COUNT(columns));
        for (size_t i = 0; i < rows; i++)
            add_row(table, json_array_get(list, i), i + 1);
        hp_menu_print_table(self, table);
        snprintf(next, sizeof next, "%lld",
                 (long long)hp_client_number(json_array_get(list, rows > 0 ? rows - 1 : 0), "id", 0));
        choice = hp_menu_choose_row(
            self, &pages, count > rows ? next : NULL, rows,
            count > 0 ? hp_word("a: pause all   g: let all go on   c: clear the finished ones") : NULL,
            count > 0 ? "agc" : NULL);
        if (choice > 0)
            one_download(self, hp_client_number(json_array_get(list, (size_t)choice - 1), "id", 0));
        else if (choice < 0 && choice != HP_MENU_AGAIN)
            act_on_all(self, choice);
        json_decref(answer);
    }
    hp_menu_first_page(&pages);
}
