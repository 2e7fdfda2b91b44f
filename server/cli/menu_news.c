/* What changes while a person reads a screen. */
#include <stdarg.h>
#include <string.h>

#include "cli/menu.h"

static void tell(hp_menu_t *self, bool *told, const char *text)
{
    if (!*told)
        fputc('\n', stdout); /* the prompt's line is left as it is */
    *told = true;
    hp_menu_say(self, 0, HP_YELLOW, "! %s", text);
}

/* 0, with NULL where hostpair has no answer to that; HP_E_UNREACHABLE, which is told. */
static int ask(hp_menu_t *self, const char *path, json_t **answer)
{
    hp_err_t err = {0};
    *answer = NULL;
    int rc = hp_client_call(self->cli->client, "GET", path, NULL, answer, &err);
    if (rc != HP_E_UNREACHABLE)
        return 0;
    fputc('\n', stdout);
    return hp_menu_fail(self, &err);
}

static int look_at_host(hp_menu_t *self, bool *told)
{
    json_t *host;
    if (self->host == NULL)
        return 0;
    char *path = hp_menu_host_path(self->host, "");
    int rc = ask(self, path, &host);
    bool online = strcmp(hp_client_text(host, "state"), "online") == 0;
    free(path);
    if (rc == 0 && online != self->host_online) {
        char *text = online
                         ? hp_sprintf(hp_word("%s is back."), self->host_name)
                         : hp_sprintf(hp_word("%s has gone away. Its files can be ordered all the same: they "
                                              "come when it is back."),
                                      self->host_name);
        tell(self, told, text);
        free(text);
        self->host_online = online;
    }
    json_decref(host);
    return rc;
}

static int look_at_messages(hp_menu_t *self, bool *told)
{
    json_t *status;
    int rc = ask(self, "/status", &status);
    int64_t unread = hp_client_number(json_object_get(status, "messages"), "unread", self->unread);
    if (rc == 0 && unread > self->unread && self->unread >= 0) {
        char *text = hp_sprintf(hp_word("A new message is there. Unread: %lld."), (long long)unread);
        tell(self, told, text);
        free(text);
    }
    self->unread = unread;
    json_decref(status);
    return rc;
}

static int look_at_offers(hp_menu_t *self, bool *told)
{
    json_t *answer;
    int rc = ask(self, "/inbox", &answer);
    const json_t *list = json_object_get(answer, "incoming");
    int64_t newest = self->newest_offer;
    for (size_t i = 0; rc == 0 && i < json_array_size(list); i++) {
        const json_t *incoming = json_array_get(list, i);
        int64_t id = hp_client_number(incoming, "id", 0);
        if (self->newest_offer >= 0 && id > self->newest_offer &&
            strcmp(hp_client_text(incoming, "state"), "asking") == 0) {
            char *text = hp_sprintf(hp_word("%s wants to send something: look at the offers."),
                                    hp_client_text(json_object_get(incoming, "from"), "name"));
            tell(self, told, text);
            free(text);
        }
        newest = HP_MAX(newest, id);
    }
    self->newest_offer = HP_MAX(newest, (int64_t)0);
    json_decref(answer);
    return rc;
}

bool hp_menu_news(hp_menu_t *self)
{
    bool told = false;
    if (look_at_host(self, &told) == 0 && look_at_messages(self, &told) == 0)
        look_at_offers(self, &told);
    return told;
}

void hp_menu_enter_host(hp_menu_t *self, const json_t *host)
{
    const char *id = hp_client_text(host, "id"), *name = hp_client_text(host, "name");
    free(self->host);
    free(self->host_name);
    self->host = host != NULL ? hp_strdup(id) : NULL;
    self->host_name = host != NULL ? hp_strdup(name[0] != '\0' ? name : id) : NULL;
    self->host_online = strcmp(hp_client_text(host, "state"), "online") == 0;
}
