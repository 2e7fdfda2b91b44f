/* Messages: the newest ones, older ones a page at a time, and writing one. */
#include <string.h>

#include "base/path.h"
#include "cli/menu.h"

#define MESSAGES_PAGE 8 /* a message has several lines */
#define MARGIN        5

/* Who wrote it, or to whom it went and whether it is there. The caller frees. */
static char *who(const json_t *message, const json_t *hosts)
{
    static const char *const order[] = {"failed", "queued", "delivered"};
    const char *from = hp_client_text(message, "from_name"), *to = hp_client_text(message, "to");
    const json_t *deliveries = json_object_get(message, "deliveries");
    const char *state = "";
    if (json_is_true(json_object_get(message, "incoming")))
        return hp_strdup(from[0] != '\0' ? from : hp_menu_host_name(hosts, hp_client_text(message, "from")));
    for (size_t k = 0; k < HP_COUNT(order) && state[0] == '\0'; k++)
        for (size_t i = 0; i < json_array_size(deliveries) && state[0] == '\0'; i++)
            if (strcmp(hp_client_text(json_array_get(deliveries, i), "state"), order[k]) == 0)
                state = order[k];
    const char *name = strcmp(to, "everyone") == 0 ? hp_word("everyone") : hp_menu_host_name(hosts, to);
    return hp_sprintf(hp_word("to %s (%s)"), name, state[0] != '\0' ? hp_word(state) : "-");
}

/* Each line behind a margin: no line of a text can look like another message. */
static void print_text(hp_menu_t *self, const char *text)
{
    for (const char *p = text; *p != '\0';) {
        size_t n = strcspn(p, "\n");
        char *line = hp_strndup(p, n > 0 && p[n - 1] == '\r' ? n - 1 : n);
        hp_menu_say(self, MARGIN, HP_PLAIN, "%s", line);
        free(line);
        p += n + (p[n] == '\n');
    }
}

static void print_message(hp_menu_t *self, const json_t *message, const json_t *hosts, size_t number)
{
    char time[HP_TEXT_SIZE], size[HP_TEXT_SIZE], *name = who(message, hosts);
    const json_t *offer = json_object_get(message, "offer");
    bool unread = json_is_true(json_object_get(message, "unread"));
    hp_text_time(hp_client_text(message, "received_at"), time);
    hp_menu_say(self, 0, unread ? HP_BOLD : HP_PLAIN, "%s %s  %s", unread ? "*" : " ", time, name);
    print_text(self, hp_client_text(message, "text"));
    if (json_is_object(offer)) {
        hp_text_bytes(hp_client_number(offer, "size", -1), size);
        if (number > 0)
            hp_menu_item(self, number, hp_word("Download %s (%s)"), hp_client_text(offer, "path"), size);
        else
            hp_menu_say(self, MARGIN, HP_PLAIN, hp_word("offers %s (%s)"), hp_client_text(offer, "path"),
                        size);
    }
    free(name);
}

static void mark_read(hp_menu_t *self, const char *with, int64_t up_to)
{
    json_t *answer = NULL, *body = json_pack("{s:I}", "up_to", (json_int_t)up_to);
    if (with != NULL)
        json_object_set_new(body, "with", json_string(with));
    if (hp_menu_call(self, "POST", "/messages/read", body, &answer) == 0)
        self->unread = hp_client_number(answer, "unread", self->unread);
    json_decref(answer);
}

/* Prints them, and marks what is unread among them as read, unless older ones were not shown yet. offers:
 * those that can be chosen by a number. */
static size_t print_page(hp_menu_t *self, const char *with, const json_t *page, const json_t *hosts,
                         const json_t *offers[MESSAGES_PAGE])
{
    const json_t *messages = json_object_get(page, "messages");
    int64_t last = 0, shown = 0, unread = hp_client_number(page, "unread", 0);
    size_t count = 0;
    if (with != NULL)
        unread = hp_client_number(json_object_get(page, "unread_by_host"), with, 0);
    for (size_t i = 0; i < json_array_size(messages); i++) {
        const json_t *message = json_array_get(messages, i);
        bool offered = json_is_object(json_object_get(message, "offer")) && count < MESSAGES_PAGE &&
                       json_is_true(json_object_get(message, "incoming"));
        if (offered)
            offers[count++] = message;
        print_message(self, message, hosts, offered ? count : 0);
        shown += json_is_true(json_object_get(message, "unread"));
        last = HP_MAX(last, hp_client_number(message, "id", 0));
    }
    if (shown > 0 && unread <= shown)
        mark_read(self, with, last);
    else if (unread > shown)
        hp_menu_say(self, 0, HP_YELLOW, hp_word("Unread ones on other pages: %lld"),
                    (long long)(unread - shown));
    if (json_array_size(messages) == 0)
        hp_menu_say(self, 0, HP_PLAIN, "%s", hp_word("There are no messages."));
    return count;
}

static int load(hp_menu_t *self, const char *with, const hp_menu_pages_t *pages, json_t **page)
{
    const char *before = hp_menu_cursor(pages);
    char *id = with != NULL ? hp_path_encode(with, strlen(with), false) : NULL;
    char *path =
        hp_sprintf("/messages?limit=%d%s%s%s%s", MESSAGES_PAGE, id != NULL ? "&with=" : "",
                   id != NULL ? id : "", before != NULL ? "&before=" : "", before != NULL ? before : "");
    int rc = hp_menu_call(self, "GET", path, NULL, page);
    free(path);
    free(id);
    return rc;
}

static void get_offer(hp_menu_t *self, const json_t *message)
{
    const json_t *offer = json_object_get(message, "offer");
    hp_menu_download(self, hp_client_text(message, "from"), hp_client_text(offer, "path"), false);
}

void hp_menu_messages(hp_menu_t *self, const char *with)
{
    hp_menu_pages_t pages = {0};
    json_t *page = NULL, *known = NULL;
    int choice = HP_MENU_AGAIN;
    while (choice != 0 && hp_menu_call(self, "GET", "/hosts", NULL, &known) == 0) {
        const json_t *hosts = json_object_get(known, "hosts"), *offers[MESSAGES_PAGE];
        if (load(self, with, &pages, &page) != 0) {
            choice = 0;
        } else {
            const json_t *messages = json_object_get(page, "messages");
            char next[24];
            bool full = json_array_size(messages) == MESSAGES_PAGE;
            snprintf(next, sizeof next, "%lld",
                     (long long)hp_client_number(json_array_get(messages, 0), "id", 0));
            if (with != NULL)
                hp_menu_title(self, hp_word("Messages with %s"), hp_menu_host_name(hosts, with));
            else
                hp_menu_title(self, "%s", hp_word("Messages"));
            size_t count = print_page(self, with, page, hosts, offers);
            choice = hp_menu_choose_row(self, &pages, full ? next : NULL, count, hp_word("w: write"), "w");
            if (choice == -'w')
                hp_menu_write(self, with);
            else if (choice > 0)
                get_offer(self, offers[choice - 1]);
            json_decref(page);
        }
        json_decref(known);
    }
    hp_menu_first_page(&pages);
}

void hp_menu_write(hp_menu_t *self, const char *to)
{
    hp_err_t err = {0};
    bool failed;
    char *host = to != NULL ? hp_strdup(to) : hp_menu_choose_host(self, true);
    char *text = host != NULL ? hp_menu_ask(self, hp_word("Message (empty: none): ")) : NULL;
    if (text != NULL && text[0] != '\0' && hp_cli_send_text(self->cli, host, text, &failed, &err) != 0)
        hp_menu_fail(self, &err);
    free(text);
    free(host);
}
