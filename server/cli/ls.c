/* The files of a host, as its list has them. */
#include <string.h>

#include "base/path.h"
#include "cli/internal.h"

#define PAGE_ROWS       1000 /* the most that there may be */
#define REFRESH_POLL_MS 30

char *hp_cli_tidy_path(const char *path)
{
    char *tidy = hp_alloc(strlen(path) + 1), *out = tidy;
    for (const char *p = path; *p != '\0';) {
        size_t n = strcspn(p, "/");
        if (n > 0 && !(n == 1 && *p == '.')) {
            if (out != tidy)
                *out++ = '/';
            memcpy(out, p, n);
            out += n;
        }
        p += n;
        p += strspn(p, "/");
    }
    *out = '\0';
    return tidy;
}

/* "&name=value", or "" for NULL; the caller frees. */
static char *parameter(const char *name, const char *value)
{
    char *encoded = value != NULL ? hp_path_encode(value, strlen(value), false) : NULL;
    char *text = encoded != NULL ? hp_sprintf("&%s=%s", name, encoded) : hp_strdup("");
    free(encoded);
    return text;
}

char *hp_cli_files_path(const char *host, const char *folder, const char *part, int limit, const char *cursor)
{
    char *id = host != NULL ? hp_path_encode(host, strlen(host), false) : NULL;
    char *of = id != NULL ? hp_sprintf("/hosts/%s/files", id) : hp_strdup("/share/files");
    char *in = parameter("folder", folder), *q = parameter("q", part), *at = parameter("cursor", cursor);
    char *path = hp_sprintf("%s?limit=%d%s%s%s", of, limit, in, q, at);
    free(of);
    free(at);
    free(q);
    free(in);
    free(id);
    return path;
}

int hp_cli_list(hp_cli_t *self, const char *host, const char *folder, const char *part, unsigned pages,
                json_t **page, hp_err_t *err)
{
    char *cursor = NULL;
    unsigned number = 0;
    int rc;
    *page = NULL;
    do {
        json_t *more = NULL;
        char *path = hp_cli_files_path(host, folder, part, PAGE_ROWS, cursor);
        rc = hp_client_call(self->client, "GET", path, NULL, &more, err);
        free(path);
        free(cursor);
        cursor = NULL;
        if (rc != 0)
            break;
        if (hp_client_text(more, "next")[0] != '\0')
            cursor = hp_strdup(hp_client_text(more, "next"));
        if (*page == NULL) {
            *page = more;
        } else {
            json_array_extend(json_object_get(*page, "folders"), json_object_get(more, "folders"));
            json_array_extend(json_object_get(*page, "files"), json_object_get(more, "files"));
            json_object_set(*page, "next", json_object_get(more, "next"));
            json_decref(more);
        }
    } while (cursor != NULL && (pages == 0 || ++number < pages));
    free(cursor);
    if (rc != 0) {
        json_decref(*page);
        *page = NULL;
    }
    return rc;
}

static const hp_column_t columns[] = {
    {.title = "NAME", .min = 20},
    {.title = "SIZE", .right = true},
    {.title = "CHANGED", .drop = 1},
    {.title = "HERE", .drop = 2},
};

static void add_folder(hp_table_t *table, const json_t *folder)
{
    char name[HP_PATH_MAX + 2], files[HP_TEXT_SIZE];
    long long count = hp_client_number(folder, "files", 0);
    snprintf(name, sizeof name, "%s/", hp_client_text(folder, "name"));
    snprintf(files, sizeof files, "%lld file%s", count, count == 1 ? "" : "s");
    hp_table_coloured(table, name, HP_BLUE);
    hp_table_bytes(table, hp_client_number(folder, "bytes", -1));
    hp_table_either(table, files, "");
    hp_table_text(table, "");
}

static void add_file(hp_table_t *table, const json_t *file)
{
    const char *mtime = hp_client_text(file, "mtime"), *local = hp_client_text(file, "local");
    char time[HP_TEXT_SIZE];
    hp_table_text(table, hp_client_text(file, "name"));
    hp_table_bytes(table, hp_client_number(file, "size", -1));
    hp_table_either(table, hp_text_time(mtime, time), mtime);
    hp_table_coloured(table, local, strcmp(local, "done") == 0 ? HP_GREEN : HP_YELLOW);
}

static void print_page(const hp_cli_t *cli, const json_t *page)
{
    hp_table_t *table = hp_table_create(columns, HP_COUNT(columns), &cli->out);
    const json_t *folders = json_object_get(page, "folders"), *files = json_object_get(page, "files");
    for (size_t i = 0; i < json_array_size(folders); i++)
        add_folder(table, json_array_get(folders, i));
    for (size_t i = 0; i < json_array_size(files); i++)
        add_file(table, json_array_get(files, i));
    hp_table_print(table, stdout);
    hp_table_destroy(table);
    fflush(stdout);
}

/* A path that is no folder: the file of that name, if the folder around it has one. */
static int list_file(hp_cli_t *cli, const char *host, const char *path, json_t *page, hp_err_t *err)
{
    const char *name = hp_path_name(path);
    char *parent = hp_strndup(path, name > path ? (size_t)(name - path) - 1 : 0);
    json_t *around = NULL, *files = json_object_get(page, "files"), *others = NULL;
    int rc = hp_cli_list(cli, host, parent, name, 0, &around, err);
    if (rc == 0)
        others = json_object_get(around, "files");
    for (size_t i = 0; i < json_array_size(others); i++)
        if (strcmp(hp_client_text(json_array_get(others, i), "path"), path) == 0)
            json_array_append(files, json_array_get(others, i));
    json_decref(around);
    free(parent);
    json_object_set_new(page, "total", json_integer((json_int_t)json_array_size(files)));
    return rc == HP_E_NOT_FOUND ? 0 : rc;
}

/* Has the list fetched again and waits for that. */
static int refresh(hp_cli_t *cli, json_t **host, hp_err_t *err)
{
    char *id = hp_path_encode(hp_client_text(*host, "id"), strlen(hp_client_text(*host, "id")), false);
    char *one = hp_sprintf("/hosts/%s", id), *path = hp_sprintf("%s/files/refresh", one);
    json_t *now = NULL;
    int rc = hp_client_call(cli->client, "POST", path, NULL, &now, err);
    while (rc == 0 && json_is_true(json_object_get(now, "listing"))) {
        json_decref(now);
        hp_term_wait(REFRESH_POLL_MS);
        rc = hp_client_call(cli->client, "GET", one, NULL, &now, err);
    }
    if (rc == 0 && hp_client_text(now, "list_error")[0] != '\0')
        rc = hp_err_set(err, HP_E_STATUS, "the list of %.60s: %s", hp_client_text(now, "name"),
                        hp_client_text(now, "list_error"));
    if (rc == 0) {
        json_decref(*host);
        *host = json_incref(now);
    }
    json_decref(now);
    free(path);
    free(one);
    free(id);
    return rc;
}

int hp_cli_ls(hp_cli_t *cli)
{
    hp_err_t err = {0};
    json_t *host = NULL, *page = NULL;
    char *folder = hp_cli_tidy_path(cli->count > 1 ? cli->args[1] : "");
    int rc = hp_cli_find_host(cli, cli->args[0], &host, &err);
    if (rc == 0 && cli->flags.refresh)
        rc = refresh(cli, &host, &err);
    const char *id = hp_client_text(host, "id"), *name = hp_client_text(host, "name");
    if (rc == 0)
        rc = hp_cli_list(cli, id, folder, NULL, 0, &page, &err);
    if (rc == HP_E_NOT_FOUND && host != NULL && folder[0] != '\0') {
        page = json_pack("{s:[], s:[], s:n, s:i, s:i}", "folders", "files", "next", "total", 0,
                         "folders_total", 0);
        rc = 0;
    }
    bool empty = rc == 0 && json_array_size(json_object_get(page, "folders")) == 0 &&
                 json_array_size(json_object_get(page, "files")) == 0;
    if (empty && folder[0] != '\0') {
        rc = list_file(cli, id, folder, page, &err);
        if (rc == 0 && json_array_size(json_object_get(page, "files")) == 0)
            rc = hp_err_set(&err, HP_E_NOT_FOUND, "%.60s offers no %.200s", name, folder);
    }
    if (rc == 0 && cli->flags.json)
        hp_say_json(stdout, page);
    else if (rc == 0)
        print_page(cli, page);
    if (rc == 0 && strcmp(hp_client_text(host, "state"), "offline") == 0)
        hp_say(stderr, "%s is offline; this is its list as it was last known.", name);
    else if (rc == 0 && empty && folder[0] == '\0')
        hp_say(stderr, "%s offers no files.", name);
    json_decref(page);
    json_decref(host);
    free(folder);
    return rc == 0 ? 0 : hp_cli_fail(cli, &err);
}
