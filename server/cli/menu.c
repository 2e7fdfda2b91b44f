/* The first menu, and its beginning and end. */
#include "cli/menu.h"

#include <string.h>
#include <unistd.h>

#define COLUMNS_DEFAULT 80
#define INPUT_MAX       ((size_t)1024 * 1024) /* of what was typed ahead, or stands in a pipe */

/* What is behind the entries, as far as it is worth a look. */
typedef struct {
    char name[256];
    int64_t hosts, online, active, unread, asking, connected;
} overview_t;

static int64_t count_in(const json_t *list, const char *state)
{
    int64_t count = 0;
    for (size_t i = 0; i < json_array_size(list); i++)
        count += strcmp(hp_client_text(json_array_get(list, i), "state"), state) == 0;
    return count;
}

static int look(hp_menu_t *self, overview_t *view)
{
    json_t *status = NULL, *hosts = NULL, *running = NULL, *inbox = NULL, *connections = NULL;
    int rc = hp_menu_call(self, "GET", "/status", NULL, &status);
    if (rc == 0)
        rc = hp_menu_call(self, "GET", "/hosts", NULL, &hosts);
    if (rc == 0)
        rc = hp_menu_call(self, "GET", "/downloads?state=running", NULL, &running);
    if (rc == 0)
        rc = hp_menu_call(self, "GET", "/inbox", NULL, &inbox);
    if (rc == 0)
        rc = hp_menu_call(self, "GET", "/connections", NULL, &connections);
    const json_t *known = json_object_get(hosts, "hosts");
    *view = (overview_t){
        .hosts = (int64_t)json_array_size(known),
        .online = count_in(known, "online"),
        .active = (int64_t)json_array_size(json_object_get(running, "downloads")),
        .unread = hp_client_number(json_object_get(status, "messages"), "unread", 0),
        .asking = count_in(json_object_get(inbox, "incoming"), "asking"),
        .connected = hp_client_number(connections, "total", 0),
    };
    snprintf(view->name, sizeof view->name, "%s", hp_client_text(status, "name"));
    json_decref(status);
    json_decref(hosts);
    json_decref(running);
    json_decref(inbox);
    json_decref(connections);
    return rc;
}

static void print_main(hp_menu_t *self, const overview_t *view)
{
    hp_menu_title(self, hp_word("hostpair on %s"), view->name);
    hp_menu_item(self, 1, hp_word("Hosts and their files (online: %lld of %lld)"), (long long)view->online,
                 (long long)view->hosts);
    hp_menu_item(self, 2, hp_word("Downloads (running: %lld)"), (long long)view->active);
    hp_menu_item(self, 3, hp_word("Messages (unread: %lld)"), (long long)view->unread);
    hp_menu_item(self, 4, hp_word("Offers from others (waiting for an answer: %lld)"),
                 (long long)view->asking);
    hp_menu_item(self, 5, hp_word("Who is connected (%lld)"), (long long)view->connected);
    hp_menu_item(self, 6, "%s", hp_word("This host: its name and clock"));
    hp_menu_item(self, 0, "%s", hp_word("Exit"));
}

static void run(hp_menu_t *self)
{
    overview_t view;
    int choice = HP_MENU_AGAIN;
    hp_menu_news(self); /* what is there at the start is no news */
    hp_menu_say(self, 0, HP_DIM, "%s",
                hp_word("Type the number of what you want, and press Enter. Enter alone shows it again."));
    while (choice != 0 && !self->ended && look(self, &view) == 0) {
        print_main(self, &view);
        choice = hp_menu_choose(self, 6, NULL);
        if (choice == 1)
            hp_menu_hosts(self);
        else if (choice == 2)
            hp_menu_downloads(self);
        else if (choice == 3)
            hp_menu_messages(self, NULL);
        else if (choice == 4)
            hp_menu_inbox(self);
        else if (choice == 5)
            hp_menu_connections(self);
        else if (choice == 6)
            hp_menu_self(self);
    }
}

/* The hostpair that runs; where none does, how to start it. */
static int connect_client(hp_cli_t *cli)
{
    hp_err_t err = {0};
    if (hp_client_create(&cli->client, cli->options, &err) == 0)
        return 0;
    hp_say(stderr, "hostpair: %s", hp_err_text(&err));
    if (err.code == HP_E_UNREACHABLE)
        hp_say(stderr, "%s", hp_word("No hostpair runs here. Start it with: hostpair"));
    return HP_EXIT_FAILED;
}

int hp_cli_menu(hp_cli_t *cli)
{
    hp_menu_t self = {.cli = cli, .screen = cli->out, .unread = -1, .newest_offer = -1};
    hp_words_init();
    if (connect_client(cli) != 0)
        return HP_EXIT_FAILED;
    if (self.screen.columns == 0)
        self.screen.columns = COLUMNS_DEFAULT;
    self.typed = isatty(STDIN_FILENO);
    hp_buf_init(&self.input, INPUT_MAX);
    hp_term_catch();
    run(&self);
    hp_menu_enter_host(&self, NULL);
    hp_buf_dispose(&self.input);
    return self.code;
}
