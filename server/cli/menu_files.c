/* The files of a host: walking through its folders, searching them, getting something. */
#include <string.h>

#include "base/path.h"
#include "cli/menu.h"

static const hp_column_t columns[] = {
    {.title = "NAME", .min = 16},
    {.title = "SIZE", .right = true},
    {.title = "CHANGED", .drop = 2},
    {.title = "HERE", .drop = 1},
};

/* What is shown of a host. */
typedef struct {
    hp_menu_t *menu;
    const char *host, *name;
    char *folder;
    char *part; /* what names must contain; NULL: it is no search */
    hp_menu_pages_t pages;
} walk_t;

/* Where a row of a page lies. The caller frees. */
static char *path_of(const walk_t *self, const json_t *row)
{
    const char *path = hp_client_text(row, "path"), *name = hp_client_text(row, "name");
    if (path[0] != '\0')
        return hp_strdup(path);
    return hp_sprintf("%s%s%s", self->folder, self->folder[0] != '\0' ? "/" : "", name);
}

/* A search finds things in many folders: there the path is shown, as far as it is below this one. */
static void add_name(const walk_t *self, hp_table_t *table, const json_t *row, bool folder)
{
    char *path = path_of(self, row);
    size_t skip = self->folder[0] != '\0' ? strlen(self->folder) + 1 : 0;
    const char *name = self->part != NULL && strlen(path) > skip ? path + skip : hp_client_text(row, "name");
    char *shown = hp_sprintf("%s%s", name, folder ? "/" : "");
    hp_table_coloured(table, shown, folder ? HP_BLUE : HP_PLAIN);
    free(shown);
    free(path);
}

static size_t print_page(const walk_t *self, const json_t *page)
{
    const json_t *folders = json_object_get(page, "folders"), *files = json_object_get(page, "files");
    hp_table_t *table = hp_menu_table(self->menu, columns, HP_COUNT(columns));
    size_t number = 0;
    for (size_t i = 0; i < json_array_size(folders); i++) {
        const json_t *folder = json_array_get(folders, i);
        char count[HP_TEXT_SIZE];
        long long inside = (long long)hp_client_number(folder, "files", 0);
        snprintf(count, sizeof count, inside == 1 ? hp_word("%lld file") : hp_word("%lld files"), inside);
        hp_table_count(table, (int64_t)++number);
        add_name(self, table, folder, true);
        hp_table_bytes(table, hp_client_number(folder, "bytes", -1));
        hp_table_text(table, count);
        hp_table_text(table, "");
    }
    for (size_t i = 0; i < json_array_size(files); i++) {
        const json_t *file = json_array_get(files, i);
        const char *local = hp_client_text(file, "local"), *changed = hp_client_text(file, "mtime");
        char time[HP_TEXT_SIZE];
        hp_table_count(table, (int64_t)++number);
        add_name(self, table, file, false);
        hp_table_bytes(table, hp_client_number(file, "size", -1));
        hp_table_text(table, changed[0] != '\0' ? hp_text_time(changed, time) : "");
        hp_table_coloured(table, local[0] != '\0' ? hp_word(local) : "",
                          strcmp(local, "done") == 0 ? HP_GREEN : HP_YELLOW);
    }
    hp_menu_print_table(self->menu, table);
    return number;
}

static void print_title(walk_t *self, const json_t *page)
{
    hp_menu_t *menu = self->menu;
    long long files = (long long)hp_client_number(page, "total", 0);
    long long folders = (long long)hp_client_number(page, "folders_total", 0);
    const char *state = menu->host_online ? "" : hp_word(" (offline)");
    hp_menu_title(menu, "%s%s: /%s", self->name, state, self->folder);
    if (self->part != NULL)
        hp_menu_say(menu, 0, HP_PLAIN, hp_word("Found for \"%s\": %lld"), self->part, files + folders);
    else if (files + folders == 0)
        hp_menu_say(menu, 0, HP_PLAIN, "%s", hp_word("There is nothing in it."));
    else if (files + folders > (long long)hp_menu_rows(menu))
        hp_menu_say(menu, 0, HP_PLAIN, hp_word("Folders: %lld, files: %lld"), folders, files);
}

static void get_file(walk_t *self, const json_t *file)
{
    char size[HP_TEXT_SIZE], *path = path_of(self, file);
    bool here = strcmp(hp_client_text(file, "local"), "done") == 0;
    hp_text_bytes(hp_client_number(file, "size", -1), size);
    if (here)
        hp_menu_say(self->menu, 0, HP_PLAIN, "%s", hp_word("This file is here already."));
    if (hp_menu_confirm(self->menu, hp_word("Download %s (%s)?"), hp_client_text(file, "name"), size))
        hp_menu_download(self->menu, self->host, path, false);
    free(path);
}

static void get_folder(walk_t *self)
{
    const char *name = self->folder[0] != '\0' ? hp_path_name(self->folder) : self->name;
    if (hp_menu_confirm(self->menu, hp_word("Download the whole folder %s?"), name))
        hp_menu_download(self->menu, self->host, self->folder, true);
}

static void enter(walk_t *self, char *folder)
{
    free(self->folder);
    free(self->part);
    self->part = NULL;
    self->folder = folder;
    hp_menu_first_page(&self->pages);
}

/* Out of the search, or to the folder around. False at the top. */
static bool leave(walk_t *self)
{
    const char *name = hp_path_name(self->folder);
    if (self->folder[0] == '\0')
        return false;
    enter(self, hp_strndup(self->folder, name > self->folder ? (size_t)(name - self->folder) - 1 : 0));
    return true;
}

static void choose(walk_t *self, const json_t *page, int choice)
{
    const json_t *folders = json_object_get(page, "folders"), *files = json_object_get(page, "files");
    size_t index = (size_t)choice - 1;
    if (index < json_array_size(folders))
        enter(self, path_of(self, json_array_get(folders, index)));
    else
        get_file(self, json_array_get(files, index - json_array_size(folders)));
}

static int show_page(walk_t *self, json_t **page)
{
    char *path = hp_cli_files_path(self->host, self->folder, self->part, (int)hp_menu_rows(self->menu),
                                   hp_menu_cursor(&self->pages));
    int rc = hp_menu_call(self->menu, "GET", path, NULL, page);
    free(path);
    return rc;
}

static void walk(walk_t *self)
{
    json_t *page = NULL;
    bool more = true;
    while (more && (hp_menu_news(self->menu), !self->menu->ended) && show_page(self, &page) == 0) {
        const char *next = hp_client_text(page, "next");
        print_title(self, page);
        size_t rows = print_page(self, page);
        int choice = hp_menu_choose_row(self->menu, &self->pages, next[0] != '\0' ? next : NULL, rows,
                                        self->part == NULL ? hp_word("s: search   d: download this folder")
                                                           : hp_word("s: search"),
                                        self->part == NULL ? "sd" : "s");
        if (choice > 0)
            choose(self, page, choice);
        else if (choice == -'d')
            get_folder(self);
        else if (choice == -'s')
            hp_menu_search(self->menu, self->host, self->name, self->folder);
        else if (choice == 0)
            more = self->part == NULL && leave(self);
        json_decref(page);
    }
    hp_menu_first_page(&self->pages);
    free(self->folder);
    free(self->part);
}

void hp_menu_files(hp_menu_t *self, const char *host, const char *name)
{
    walk(&(walk_t){.menu = self, .host = host, .name = name, .folder = hp_strdup("")});
}

void hp_menu_search(hp_menu_t *self, const char *host, const char *name, const char *folder)
{
    char *part = hp_menu_ask(self, hp_word("Part of the name (empty: none): "));
    if (part != NULL && part[0] != '\0')
        walk(&(walk_t){.menu = self, .host = host, .name = name, .folder = hp_strdup(folder), .part = part});
    else
        free(part);
}
