/* The hosts, and what there is to do with one. */
#include <string.h>

#include "base/path.h"
#include "cli/menu.h"

static const hp_column_t columns[] = {
    {.title = "NAME", .min = 10},
    {.title = "STATE"},
    {.title = "FILES", .right = true, .drop = 2},
    {.title = "SIZE", .right = true, .drop = 1},
};

char *hp_menu_host_path(const char *host, const char *rest)
{
    char *id = hp_path_encode(host, strlen(host), false), *path = hp_sprintf("/hosts/%s%s", id, rest);
    free(id);
    return path;
}

static const char *shown_name(const json_t *host)
{
    const char *name = hp_client_text(host, "name");
    return name[0] != '\0' ? name : hp_client_text(host, "id");
}

const char *hp_menu_host_name(const json_t *hosts, const char *id)
{
    for (size_t i = 0; i < json_array_size(hosts); i++)
        if (strcmp(hp_client_text(json_array_get(hosts, i), "id"), id) == 0)
            return shown_name(json_array_get(hosts, i));
    return id;
}

/* One with LocalSend: it has no files to show, and takes no messages. */
static bool is_device(const json_t *host)
{
    return strcmp(hp_client_text(host, "kind"), "localsend") == 0;
}

static void add_row(hp_table_t *table, const json_t *host, size_t number)
{
    bool online = strcmp(hp_client_text(host, "state"), "online") == 0;
    bool blocked = json_is_true(json_object_get(host, "blocked"));
    const char *state = blocked ? "blocked" : hp_client_text(host, "state");
    hp_table_count(table, (int64_t)number);
    hp_table_text(table, shown_name(host));
    hp_table_coloured(table, hp_word(state), blocked ? HP_RED : online ? HP_GREEN : HP_DIM);
    if (is_device(host))
        hp_table_text(table, "LocalSend");
    else
        hp_table_count(table, hp_client_number(host, "files", -1));
    hp_table_bytes(table, hp_client_number(host, "bytes", -1));
}

/* The rows of the page that it is at. */
static void print_hosts(hp_menu_t *self, const json_t *hosts, const hp_menu_pages_t *pages)
{
    hp_table_t *table = hp_menu_table(self, columns, HP_COUNT(columns));
    size_t from = hp_menu_offset(pages), rows = hp_menu_rows(self);
    for (size_t i = from; i < json_array_size(hosts) && i < from + rows; i++)
        add_row(table, json_array_get(hosts, i), i - from + 1);
    hp_menu_print_table(self, table);
}

/* ---- one host ---- */

static void print_host(hp_menu_t *self, const json_t *host)
{
    char size[HP_TEXT_SIZE];
    const char *address = json_string_value(json_array_get(json_object_get(host, "addresses"), 0));
    const char *problem = hp_client_text(host, "problem");
    hp_menu_title(self, "%s (%s)", shown_name(host), hp_word(hp_client_text(host, "state")));
    hp_menu_say(self, 0, HP_PLAIN, hp_word("Address: %s"), address != NULL ? address : "-");
    if (hp_client_number(host, "files", -1) >= 0)
        hp_menu_say(self, 0, HP_PLAIN, hp_word("Offers: %lld files, %s"),
                    (long long)hp_client_number(host, "files", 0),
                    hp_text_bytes(hp_client_number(host, "bytes", -1), size));
    if (json_is_true(json_object_get(host, "paired")))
        hp_menu_say(self, 0, HP_GREEN, "%s", hp_word("It is paired."));
    if (problem[0] != '\0')
        hp_menu_say(self, 0, HP_RED, "%s", problem);
}

static void one_device(hp_menu_t *self, const json_t *chosen)
{
    char *path = hp_menu_host_path(hp_client_text(chosen, "id"), "");
    json_t *device = NULL;
    int answer = HP_MENU_AGAIN;
    while (answer != 0 && hp_menu_call(self, "GET", path, NULL, &device) == 0) {
        print_host(self, device);
        hp_menu_say(self, 0, HP_PLAIN, "%s",
                    hp_word("It has LocalSend: it can be sent files, shows none and takes no messages."));
        hp_menu_say(self, 0, HP_PLAIN, "%s", hp_word("To send it something, leave the menu and type:"));
        hp_menu_say(self, 2, HP_PLAIN, "hostpair push %.18s PATH...", hp_client_text(device, "id"));
        hp_menu_item(self, 0, "%s", hp_word("Back"));
        json_decref(device);
        answer = hp_menu_choose(self, 0, NULL);
    }
    free(path);
}

static void one_host(hp_menu_t *self, const json_t *chosen)
{
    if (is_device(chosen)) {
        one_device(self, chosen);
        return;
    }
    char *id = hp_strdup(hp_client_text(chosen, "id")), *name = hp_strdup(shown_name(chosen));
    char *path = hp_menu_host_path(id, "");
    json_t *host = NULL;
    int answer = HP_MENU_AGAIN;
    hp_menu_enter_host(self, chosen);
    while (answer != 0 && hp_menu_call(self, "GET", path, NULL, &host) == 0) {
        hp_menu_enter_host(self, host);
        print_host(self, host);
        hp_menu_item(self, 1, "%s", hp_word("Files"));
        hp_menu_item(self, 2, "%s", hp_word("Search its files"));
        hp_menu_item(self, 3, "%s", hp_word("Read messages"));
        hp_menu_item(self, 4, "%s", hp_word("Write a message"));
        hp_menu_item(self, 0, "%s", hp_word("Back"));
        json_decref(host);
        answer = hp_menu_choose(self, 4, NULL);
        if (answer == 1)
            hp_menu_files(self, id, name);
        else if (answer == 2)
            hp_menu_search(self, id, name, "");
        else if (answer == 3)
            hp_menu_messages(self, id);
        else if (answer == 4)
            hp_menu_write(self, id);
    }
    hp_menu_enter_host(self, NULL);
    free(path);
    free(name);
    free(id);
}

/* ---- the list ---- */

static void look_for_hosts(hp_menu_t *self)
{
    if (hp_menu_call(self, "POST", "/scan", NULL, NULL) == 0)
        hp_menu_say(
            self, 0, HP_PLAIN, "%s",
            hp_word("The network is being searched. Press Enter in a few seconds to see who is there."));
}

static void add_host(hp_menu_t *self)
{
    json_t *host = NULL;
    char *address = hp_menu_ask(self, hp_word("Its name or address (empty: none): "));
    if (address != NULL && address[0] != '\0' &&
        hp_menu_call(self, "POST", "/hosts", json_pack("{s:s}", "address", address), &host) == 0) {
        one_host(self, host);
        json_decref(host);
    }
    free(address);
}

void hp_menu_hosts(hp_menu_t *self)
{
    hp_menu_pages_t pages = {0};
    json_t *answer = NULL;
    int choice = HP_MENU_AGAIN;
    while (choice != 0 && hp_menu_call(self, "GET", "/hosts", NULL, &answer) == 0) {
        const json_t *hosts = json_object_get(answer, "hosts");
        hp_menu_title(self, "%s", hp_word("Hosts"));
        if (json_array_size(hosts) == 0)
            hp_menu_say(self, 0, HP_PLAIN, "%s",
                        hp_word("No host is known yet. They are found by themselves, or by their address."));
        print_hosts(self, hosts, &pages);
        choice = hp_menu_choose_index(self, &pages, json_array_size(hosts),
                                      hp_word("s: search the network   a: add one by its address"), "sa");
        if (choice == -'s')
            look_for_hosts(self);
        else if (choice == -'a')
            add_host(self);
        else if (choice > 0)
            one_host(self, json_array_get(hosts, (size_t)choice - 1));
        json_decref(answer);
    }
    hp_menu_first_page(&pages);
}

/* Those that take messages. */
static json_t *only_hosts(const json_t *hosts)
{
    json_t *list = json_array();
    for (size_t i = 0; i < json_array_size(hosts); i++)
        if (!is_device(json_array_get(hosts, i)))
            json_array_append(list, json_array_get(hosts, i));
    return list;
}

char *hp_menu_choose_host(hp_menu_t *self, bool everyone)
{
    hp_menu_pages_t pages = {0};
    json_t *answer = NULL;
    char *id = NULL;
    int choice = HP_MENU_AGAIN;
    while (choice == HP_MENU_AGAIN && hp_menu_call(self, "GET", "/hosts", NULL, &answer) == 0) {
        json_t *hosts = only_hosts(json_object_get(answer, "hosts"));
        hp_menu_title(self, "%s", hp_word("To whom?"));
        print_hosts(self, hosts, &pages);
        choice = hp_menu_choose_index(self, &pages, json_array_size(hosts),
                                      everyone ? hp_word("e: to everyone") : NULL, everyone ? "e" : NULL);
        if (choice == -'e')
            id = hp_strdup("everyone");
        else if (choice > 0)
            id = hp_strdup(hp_client_text(json_array_get(hosts, (size_t)choice - 1), "id"));
        json_decref(hosts);
        json_decref(answer);
    }
    hp_menu_first_page(&pages);
    return id;
}
