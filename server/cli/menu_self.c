/* Who is connected, and what this host is: its name and its clock. */
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "cli/menu.h"

#define CLOCK_WRONG_MS 5000 /* two clocks that differ by more than this are told of */

/* ---- who is connected ---- */

static const hp_column_t columns[] = {
    {.title = "WHO", .min = 12},
    {.title = "SPEED", .right = true},
    {.title = "SENT", .right = true, .drop = 1},
    {.title = "SINCE", .drop = 3},
    {.title = "FILE", .min = 12, .drop = 2},
};

static void add_row(hp_table_t *table, const json_t *connection, const json_t *hosts, size_t number)
{
    const char *host = hp_client_text(connection, "host");
    char ago[HP_TEXT_SIZE];
    hp_table_count(table, (int64_t)number);
    hp_table_text(table,
                  host[0] != '\0' ? hp_menu_host_name(hosts, host) : hp_client_text(connection, "address"));
    hp_table_speed(table, hp_client_number(connection, "speed_bps", 0));
    hp_table_bytes(table, hp_client_number(connection, "bytes_sent", 0));
    hp_table_text(table, hp_text_ago(hp_client_text(connection, "since"), hp_clock_wall_ms(), ago));
    hp_table_text(table, hp_client_text(connection, "path"));
}

static void print_connections(hp_menu_t *self, const json_t *list, const json_t *hosts,
                              const hp_menu_pages_t *pages)
{
    size_t from = hp_menu_offset(pages), rows = hp_menu_rows(self);
    hp_menu_title(self, "%s", hp_word("Who is connected to this host"));
    if (json_array_size(list) == 0)
        hp_menu_say(self, 0, HP_PLAIN, "%s", hp_word("Nobody, at this moment."));
    hp_table_t *table = hp_menu_table(self, columns, HP_COUNT(columns));
    for (size_t i = from; i < json_array_size(list) && i < from + rows; i++)
        add_row(table, json_array_get(list, i), hosts, i - from + 1);
    hp_menu_print_table(self, table);
}

static void print_connection(hp_menu_t *self, const json_t *connection, const json_t *hosts)
{
    const char *host = hp_client_text(connection, "host"), *agent = hp_client_text(connection, "user_agent");
    char time[HP_TEXT_SIZE];
    hp_menu_title(self, "%s",
                  host[0] != '\0' ? hp_menu_host_name(hosts, host) : hp_client_text(connection, "address"));
    hp_menu_say(self, 0, HP_PLAIN, hp_word("Address: %s"), hp_client_text(connection, "address"));
    hp_menu_say(self, 0, HP_PLAIN, hp_word("Connected since: %s"),
                hp_text_time(hp_client_text(connection, "since"), time));
    hp_menu_say(self, 0, HP_PLAIN, hp_word("File: %s"), hp_client_text(connection, "path"));
    if (agent[0] != '\0')
        hp_menu_say(self, 0, HP_PLAIN, hp_word("Program: %s"), agent);
    hp_menu_say(self, 0, HP_PLAIN, "%s",
                json_is_true(json_object_get(connection, "encrypted")) ? hp_word("Encrypted: yes")
                                                                       : hp_word("Encrypted: no"));
}

void hp_menu_connections(hp_menu_t *self)
{
    hp_menu_pages_t pages = {0};
    json_t *answer = NULL, *known = NULL;
    int choice = HP_MENU_AGAIN;
    while (choice != 0 && hp_menu_call(self, "GET", "/connections", NULL, &answer) == 0) {
        const json_t *list = json_object_get(answer, "connections");
        if (hp_menu_call(self, "GET", "/hosts", NULL, &known) == 0) {
            const json_t *hosts = json_object_get(known, "hosts");
            print_connections(self, list, hosts, &pages);
            choice =
                hp_menu_choose_index(self, &pages, json_array_size(list), hp_word("Enter: look again"), NULL);
            if (choice > 0)
                print_connection(self, json_array_get(list, (size_t)choice - 1), hosts);
            json_decref(known);
        } else {
            choice = 0;
        }
        json_decref(answer);
    }
    hp_menu_first_page(&pages);
}

/* ---- this host ---- */

static void print_clocks(hp_menu_t *self, const json_t *status)
{
    json_t *answer = NULL;
    char time[HP_TEXT_SIZE], apart[HP_TEXT_SIZE];
    hp_menu_say(self, 0, HP_PLAIN, hp_word("Its clock: %s"),
                hp_text_time(hp_client_text(status, "time"), time));
    if (hp_menu_call(self, "GET", "/hosts", NULL, &answer) != 0)
        return;
    const json_t *hosts = json_object_get(answer, "hosts");
    bool wrong = false;
    for (size_t i = 0; i < json_array_size(hosts); i++) {
        const json_t *host = json_array_get(hosts, i);
        const json_t *offset = json_object_get(host, "clock_offset_ms");
        int64_t ms = json_integer_value(offset);
        bool online = strcmp(hp_client_text(host, "state"), "online") == 0;
        if (!online || !json_is_integer(offset) || llabs(ms) < CLOCK_WRONG_MS)
            continue;
        wrong = true;
        hp_text_duration(llabs(ms) / 1000, apart);
        hp_menu_say(self, 0, HP_YELLOW,
                    ms > 0 ? hp_word("The clock of %s is ahead by %s.")
                           : hp_word("The clock of %s is behind by %s."),
                    hp_client_text(host, "name"), apart);
    }
    if (!wrong && json_array_size(hosts) > 0)
        hp_menu_say(self, 0, HP_PLAIN, "%s", hp_word("No other host has a clock that differs much."));
    json_decref(answer);
}

static void print_self(hp_menu_t *self, const json_t *status)
{
    const json_t *addresses = json_object_get(status, "addresses"), *share = json_object_get(status, "share");
    char bytes[HP_TEXT_SIZE], uptime[HP_TEXT_SIZE];
    hp_menu_title(self, hp_word("This host: %s"), hp_client_text(status, "name"));
    hp_menu_say(self, 0, HP_PLAIN, "hostpair %s", hp_client_text(status, "version"));
    hp_menu_say(self, 0, HP_PLAIN, hp_word("Running for: %s"),
                hp_text_duration(hp_client_number(status, "uptime_s", 0), uptime));
    for (size_t i = 0; i < json_array_size(addresses); i++)
        hp_menu_say(self, 0, HP_PLAIN, hp_word("Address: %s"),
                    json_string_value(json_array_get(addresses, i)));
    hp_menu_say(self, 0, HP_PLAIN, hp_word("Shares: %s"), hp_client_text(share, "folder"));
    hp_menu_say(self, 0, HP_PLAIN, hp_word("Downloads land in: %s"),
                hp_client_text(status, "downloads_folder"));
    hp_menu_say(self, 0, HP_PLAIN, hp_word("Free on the disk: %s"),
                hp_text_bytes(hp_client_number(status, "free_bytes", -1), bytes));
    print_clocks(self, status);
    const json_t *notices = json_object_get(status, "notices");
    for (size_t i = 0; i < json_array_size(notices); i++)
        hp_menu_say(self, 0, HP_YELLOW, "! %s", hp_client_text(json_array_get(notices, i), "text"));
}

static void rename_self(hp_menu_t *self)
{
    char *name = hp_menu_ask(self, hp_word("New name (empty: it stays): "));
    if (name != NULL && name[0] != '\0' &&
        hp_menu_call(self, "PATCH", "/settings", json_pack("{s:s}", "name", name), NULL) == 0)
        hp_menu_say(self, 0, HP_GREEN, "%s", hp_word("Done."));
    free(name);
}

void hp_menu_self(hp_menu_t *self)
{
    json_t *status = NULL;
    int choice = HP_MENU_AGAIN;
    while (choice != 0 && hp_menu_call(self, "GET", "/status", NULL, &status) == 0) {
        print_self(self, status);
        json_decref(status);
        hp_menu_item(self, 1, "%s", hp_word("Change the name"));
        hp_menu_item(self, 0, "%s", hp_word("Back"));
        choice = hp_menu_choose(self, 1, NULL);
        if (choice == 1)
            rename_self(self);
    }
}
