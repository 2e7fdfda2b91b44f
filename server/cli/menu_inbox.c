/* What others want to give to this host: looking at an offer, and answering it. */
#include <string.h>

#include "cli/menu.h"

#define FILES_SHOWN   10
#define PREVIEW_LINES 5

static const hp_column_t columns[] = {
    {.title = "FROM", .min = 8},
    {.title = "STATE"},
    {.title = "FILES", .right = true, .drop = 2},
    {.title = "SIZE", .right = true, .drop = 1},
    {.title = "WHEN", .drop = 3},
};

static bool is_in(const json_t *incoming, const char *state)
{
    return strcmp(hp_client_text(incoming, "state"), state) == 0;
}

static void add_row(hp_table_t *table, const json_t *incoming, size_t number)
{
    char time[HP_TEXT_SIZE];
    hp_table_count(table, (int64_t)number);
    hp_table_text(table, hp_client_text(json_object_get(incoming, "from"), "name"));
    hp_table_coloured(table, hp_word(hp_client_text(incoming, "state")),
                      is_in(incoming, "asking")   ? HP_YELLOW
                      : is_in(incoming, "done")   ? HP_GREEN
                      : is_in(incoming, "failed") ? HP_RED
                                                  : HP_PLAIN);
    hp_table_count(table, hp_client_number(incoming, "files_total", -1));
    hp_table_bytes(table, hp_client_number(incoming, "size", -1));
    hp_table_text(table, hp_text_time(hp_client_text(incoming, "created_at"), time));
}

/* ---- one ---- */

/* What the sender says that is in a text: words of a stranger, so many lines of them, each made harmless and
 * set in. */
static void print_preview(hp_menu_t *self, const char *text)
{
    for (int i = 0; i < PREVIEW_LINES && text[0] != '\0'; i++) {
        size_t length = strcspn(text, "\r\n");
        if (length > 0)
            hp_menu_say(self, 4, HP_DIM, "\"%.*s\"", (int)length, text);
        text += length;
        text += strspn(text, "\r\n");
    }
    if (text[0] != '\0')
        hp_menu_say(self, 4, HP_DIM, "...");
}

static void print_files(hp_menu_t *self, const json_t *incoming)
{
    const json_t *files = json_object_get(incoming, "files");
    int64_t total = hp_client_number(incoming, "files_total", 0);
    size_t shown = HP_MIN(json_array_size(files), (size_t)FILES_SHOWN);
    char size[HP_TEXT_SIZE];
    for (size_t i = 0; i < shown; i++) {
        const json_t *file = json_array_get(files, i);
        hp_menu_say(self, 2, HP_PLAIN, "%s%s (%s)", hp_client_text(file, "name"),
                    json_is_true(json_object_get(file, "folder")) ? "/" : "",
                    hp_text_bytes(hp_client_number(file, "size", -1), size));
        print_preview(self, hp_client_text(file, "preview"));
    }
    if (total > (int64_t)shown)
        hp_menu_say(self, 2, HP_DIM, hp_word("and %lld more"), (long long)(total - (int64_t)shown));
}

static void print_one(hp_menu_t *self, const json_t *incoming)
{
    const json_t *from = json_object_get(incoming, "from");
    const char *folder = hp_client_text(incoming, "folder"), *reason = hp_client_text(incoming, "reason");
    char done[HP_TEXT_SIZE], size[HP_TEXT_SIZE];
    hp_menu_title(self, hp_word("From %s (%s)"), hp_client_text(from, "name"),
                  hp_client_text(from, "address"));
    hp_menu_say(self, 0, HP_PLAIN, hp_word("State: %s"), hp_word(hp_client_text(incoming, "state")));
    hp_menu_say(self, 0, HP_PLAIN, hp_word("Here: %s of %s"),
                hp_text_bytes(hp_client_number(incoming, "done_bytes", 0), done),
                hp_text_bytes(hp_client_number(incoming, "size", -1), size));
    if (folder[0] != '\0')
        hp_menu_say(self, 0, HP_PLAIN, hp_word("Place: %s/%s"),
                    hp_client_text(hp_client_status(self->cli->client), "downloads_folder"), folder);
    if (reason[0] != '\0')
        hp_menu_say(self, 0, HP_YELLOW, hp_word("Reason: %s"), reason);
    print_files(self, incoming);
}

static void answer(hp_menu_t *self, int64_t id, const char *action, const char *said)
{
    char *path = hp_sprintf("/inbox/%lld/%s", (long long)id, action);
    if (hp_menu_call(self, "POST", path, NULL, NULL) == 0)
        hp_menu_say(self, 0, HP_GREEN, "%s", said);
    free(path);
}

static int offer_answers(hp_menu_t *self, const json_t *incoming)
{
    if (is_in(incoming, "asking")) {
        hp_menu_item(self, 1, "%s", hp_word("Accept"));
        hp_menu_item(self, 2, "%s", hp_word("Decline"));
    } else if (is_in(incoming, "receiving")) {
        hp_menu_item(self, 1, "%s", hp_word("Cancel: what is not complete is removed"));
    }
    hp_menu_item(self, 0, "%s", hp_word("Back"));
    return hp_menu_choose(self, is_in(incoming, "asking") ? 2 : is_in(incoming, "receiving") ? 1 : 0, NULL);
}

static void one_incoming(hp_menu_t *self, int64_t id)
{
    json_t *incoming = NULL;
    char *path = hp_sprintf("/inbox/%lld", (long long)id);
    int choice = HP_MENU_AGAIN;
    while (choice != 0 && hp_menu_call(self, "GET", path, NULL, &incoming) == 0) {
        print_one(self, incoming);
        choice = offer_answers(self, incoming);
        if (choice == 1 && is_in(incoming, "asking"))
            answer(self, id, "accept",
                   hp_word("Accepted. The files are coming; Enter shows how far they are."));
        else if (choice == 1)
            answer(self, id, "cancel", hp_word("Cancelled."));
        else if (choice == 2)
            answer(self, id, "decline", hp_word("Declined."));
        json_decref(incoming);
    }
    free(path);
}

/* ---- the list ---- */

void hp_menu_inbox(hp_menu_t *self)
{
    hp_menu_pages_t pages = {0};
    json_t *all = NULL;
    int choice = HP_MENU_AGAIN;
    while (choice != 0 && hp_menu_call(self, "GET", "/inbox", NULL, &all) == 0) {
        const json_t *list = json_object_get(all, "incoming");
        size_t from = hp_menu_offset(&pages);
        hp_menu_title(self, "%s", hp_word("Offers: files that others want to give you"));
        if (json_array_size(list) == 0)
            hp_menu_say(self, 0, HP_PLAIN, "%s", hp_word("Nobody has sent anything."));
        hp_table_t *table = hp_menu_table(self, columns, HP_COUNT(columns));
        for (size_t i = 0; i < json_array_size(list); i++) {
            const json_t *incoming = json_array_get(list, i);
            self->newest_offer = HP_MAX(self->newest_offer, hp_client_number(incoming, "id", 0));
            if (i >= from && i < from + hp_menu_rows(self))
                add_row(table, incoming, i - from + 1);
        }
        hp_menu_print_table(self, table);
        choice = hp_menu_choose_index(self, &pages, json_array_size(list), NULL, NULL);
        if (choice > 0)
            one_incoming(self, hp_client_number(json_array_get(list, (size_t)choice - 1), "id", 0));
        json_decref(all);
    }
    hp_menu_first_page(&pages);
}
