/* Settings: what they are, how they are kept as text, and how a change takes effect. GET and PATCH
 * /api/v1/settings. */
#include "api/settings.h"

#include <errno.h>
#include <fcntl.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "api/internal.h"
#include "base/file.h"
#include "base/mem.h"
#include "base/utf8.h"
#include "db/setting.h"

typedef enum { NAME, FOLDER, NUMBER, SWITCH, WORD } kind_t;

typedef struct {
    const char *name; /* in the API and in the database */
    kind_t kind;
    size_t field;
    int64_t min, max;         /* NUMBER */
    const char *fallback;     /* the default, as text; NULL: found out at start */
    const char *const *words; /* WORD */
} setting_t;

static const char *const languages[] = {"auto", "en", "zh-CN", NULL}, *const themes[] = {"auto", "light",
                                                                                         "dark", NULL};

#define FIELD(member) offsetof(hp_settings_t, member)

static const setting_t table[] = {
    {.name = "name", .kind = NAME, .field = FIELD(name)},
    {.name = "share_folder", .kind = FOLDER, .field = FIELD(share_folder)},
    {.name = "downloads_folder", .kind = FOLDER, .field = FIELD(downloads_folder)},
    {.name = "down_limit_bps",
     .kind = NUMBER,
     .field = FIELD(down_limit_bps),
     .max = INT64_MAX,
     .fallback = "0"},
    {.name = "up_limit_bps", .kind = NUMBER, .field = FIELD(up_limit_bps), .max = INT64_MAX, .fallback = "0"},
    {.name = "running_downloads",
     .kind = NUMBER,
     .field = FIELD(running_downloads),
     .min = 1,
     .max = 100,
     .fallback = "3"},
    {.name = "connections_per_source",
     .kind = NUMBER,
     .field = FIELD(connections_per_source),
     .min = 1,
     .max = 16,
     .fallback = "4"},
    {.name = "scan", .kind = SWITCH, .field = FIELD(scan), .fallback = "true"},
    {.name = "beacon", .kind = SWITCH, .field = FIELD(beacon), .fallback = "true"},
    {.name = "language", .kind = WORD, .field = FIELD(language), .fallback = "auto", .words = languages},
    {.name = "theme", .kind = WORD, .field = FIELD(theme), .fallback = "auto", .words = themes},
};
#define COUNT HP_COUNT(table)

static bool is_text(const setting_t *setting)
{
    return setting->kind == NAME || setting->kind == FOLDER || setting->kind == WORD;
}

static char **text_field(hp_settings_t *self, const setting_t *setting)
{
    return (char **)(void *)((char *)self + setting->field);
}

static uint64_t *number_field(hp_settings_t *self, const setting_t *setting)
{
    return (uint64_t *)(void *)((char *)self + setting->field);
}

static bool *switch_field(hp_settings_t *self, const setting_t *setting)
{
    return (bool *)((char *)self + setting->field);
}

/* ---- values as text ---- */

static int check_name(const char *text, hp_err_t *err)
{
    size_t length = strlen(text);
    if (length == 0 || length > HP_NAME_MAX || strspn(text, " ") == length)
        return hp_err_set(err, HP_E_INVALID, "name: has 1 to %d bytes", HP_NAME_MAX);
    if (!hp_utf8_valid(text, length) || hp_utf8_has_control(text, length))
        return hp_err_set(err, HP_E_INVALID, "name: holds a control character");
    return 0;
}

static int check_folder(const setting_t *setting, const char *text, hp_err_t *err)
{
    if (text[0] != '/' || strlen(text) > HP_PATH_MAX)
        return hp_err_set(err, HP_E_INVALID, "%s: is no absolute path", setting->name);
    return 0;
}

static int check_word(const setting_t *setting, const char *text, hp_err_t *err)
{
    for (const char *const *word = setting->words; *word != NULL; word++)
        if (strcmp(*word, text) == 0)
            return 0;
    return hp_err_set(err, HP_E_INVALID, "%s: is none of the known values", setting->name);
}

static int check_text(const setting_t *setting, const char *text, hp_err_t *err)
{
    switch (setting->kind) {
    case NAME:
        return check_name(text, err);
    case FOLDER:
        return check_folder(setting, text, err);
    default:
        return check_word(setting, text, err);
    }
}

/* The value as it is stored, malloced. */
static char *to_text(hp_settings_t *self, const setting_t *setting)
{
    if (is_text(setting))
        return hp_strdup(*text_field(self, setting));
    if (setting->kind == SWITCH)
        return hp_strdup(*switch_field(self, setting) ? "true" : "false");
    return hp_sprintf("%llu", (unsigned long long)*number_field(self, setting));
}

/* Takes a stored value. One that is not valid any more (written by another version) is passed over. */
static int from_text(hp_settings_t *self, const setting_t *setting, const char *text)
{
    char *end;
    if (is_text(setting)) {
        if (check_text(setting, text, NULL) != 0)
            return HP_E_INVALID;
        free(*text_field(self, setting));
        *text_field(self, setting) = hp_strdup(text);
        return 0;
    }
    if (setting->kind == SWITCH) {
        *switch_field(self, setting) = strcmp(text, "true") == 0;
        return 0;
    }
    errno = 0;
    long long value = strtoll(text, &end, 10);
    if (errno != 0 || end == text || *end != '\0' || value < setting->min || value > setting->max)
        return HP_E_INVALID;
    *number_field(self, setting) = (uint64_t)value;
    return 0;
}

/* ---- loading ---- */

static void on_stored(void *arg, const char *name, const char *value)
{
    for (size_t i = 0; i < COUNT; i++)
        if (strcmp(table[i].name, name) == 0 && from_text(arg, &table[i], value) != 0)
            hp_log(HP_LOG_WARN, "the stored setting %s has no valid value: %s", name, value);
}

static int read_stored(hp_db_t *db, void *arg, hp_err_t *err)
{
    return hp_db_setting_each(db, on_stored, arg, err);
}

static void set_text(char **field, const char *text)
{
    free(*field);
    *field = hp_strdup(text);
}

static void set_machine_name(hp_settings_t *self)
{
    char machine[256] = "", name[256];
    if (gethostname(machine, sizeof machine - 1) != 0 || machine[0] == '\0')
        snprintf(machine, sizeof machine, "hostpair");
    set_text(&self->name, hp_utf8_printable(machine, strlen(machine), name, sizeof name));
}

int hp_settings_load(hp_settings_t *self, hp_store_t *store, const hp_options_t *options, hp_err_t *err)
{
    *self = (hp_settings_t){0};
    for (size_t i = 0; i < COUNT; i++)
        if (table[i].fallback != NULL)
            (void)from_text(self, &table[i], table[i].fallback);
    set_machine_name(self);
    set_text(&self->share_folder, options->share);
    set_text(&self->downloads_folder, options->downloads);
    int rc = hp_store_run_now(store, HP_STORE_READ, read_stored, self, err);
    if (rc != 0) {
        hp_settings_dispose(self);
        return rc;
    }
    if (options->name_given)
        set_text(&self->name, options->name);
    if (options->share_given)
        set_text(&self->share_folder, options->share);
    if (options->downloads_given)
        set_text(&self->downloads_folder, options->downloads);
    self->scan &= !options->no_scan;
    self->beacon &= !options->no_beacon;
    return 0;
}

void hp_settings_dispose(hp_settings_t *self)
{
    for (size_t i = 0; i < COUNT; i++)
        if (is_text(&table[i]))
            free(*text_field(self, &table[i]));
    *self = (hp_settings_t){0};
}

static void copy(hp_settings_t *to, hp_settings_t *from)
{
    *to = *from;
    for (size_t i = 0; i < COUNT; i++)
        if (is_text(&table[i]))
            *text_field(to, &table[i]) = hp_strdup(*text_field(from, &table[i]));
}

/* ---- GET ---- */

json_t *hp_api_settings_json(hp_api_t *api)
{
    hp_settings_t *self = api->deps.settings;
    json_t *json = json_object();
    for (size_t i = 0; i < COUNT; i++) {
        json_t *value = is_text(&table[i])        ? hp_json_text(*text_field(self, &table[i]))
                        : table[i].kind == SWITCH ? json_boolean(*switch_field(self, &table[i]))
                                                  : hp_json_count(*number_field(self, &table[i]));
        json_object_set_new(json, table[i].name, value);
    }
    return json;
}

void hp_api_get_settings(hp_api_t *api, hp_http_request_t *request, const char *arg)
{
    (void)arg;
    hp_http_reply_json(request, 200, hp_api_settings_json(api));
}

/* ---- PATCH: read, try the folders in the pool, share the new one, store, take effect ---- */

typedef struct {
    hp_api_op_t op;
    hp_settings_t settings; /* as they are to be */
    bool given[COUNT];
    char *stored[COUNT]; /* as text, of the given ones */
    bool try_share, try_downloads;
    uv_work_t work;
    int status;
    hp_err_t err;
} patch_op_t;

static void patch_end(patch_op_t *patch, int status, const hp_err_t *err)
{
    if (status == 0)
        hp_http_reply_json(patch->op.request, 200, hp_api_settings_json(patch->op.api));
    else
        hp_http_reply_problem(patch->op.request, status, err);
    for (size_t i = 0; i < COUNT; i++)
        free(patch->stored[i]);
    hp_settings_dispose(&patch->settings);
    hp_api_op_destroy(patch);
}

static int read_setting(json_t *body, patch_op_t *patch, size_t index, hp_err_t *err)
{
    const setting_t *setting = &table[index];
    bool *given = &patch->given[index];
    if (setting->kind == SWITCH)
        return hp_json_get_bool(body, setting->name, switch_field(&patch->settings, setting), given, err);
    if (setting->kind == NUMBER) {
        int64_t number = 0;
        int rc = hp_json_get_int(body, setting->name, setting->min, setting->max, &number, given, err);
        if (rc == 0 && *given)
            *number_field(&patch->settings, setting) = (uint64_t)number;
        return rc;
    }
    const char *text = NULL;
    int rc = hp_json_get_text(body, setting->name, &text, err);
    if (rc != 0 || text == NULL)
        return rc;
    rc = check_text(setting, text, err);
    if (rc != 0)
        return rc;
    *given = true;
    set_text(text_field(&patch->settings, setting), text);
    return 0;
}

/* Who forbade the network at the start is not overruled by a page. */
static int check_switches(const hp_options_t *options, const hp_settings_t *settings, hp_err_t *err)
{
    if (settings->scan && options->no_scan)
        return hp_err_set(err, HP_E_CONFLICT, "scan: hostpair was started with --no-scan");
    if (settings->beacon && options->no_beacon)
        return hp_err_set(err, HP_E_CONFLICT, "beacon: hostpair was started with --no-beacon");
    return 0;
}

/* Pool. A folder is made if missing, and has to be one that can be used: written to, for downloads. */
static int try_folder(const char *name, const char *path, int access_mode, hp_err_t *err)
{
    int rc = hp_make_folder(path, 0777);
    if (rc == 0 && access(path, access_mode) != 0)
        rc = -errno;
    return rc == 0 ? 0 : hp_err_set(err, HP_E_INVALID, "%s: %s: %s", name, path, hp_err_sentence(rc));
}

static bool is_inside(const char *path, const char *folder)
{
    size_t n = strlen(folder);
    return strcmp(folder, "/") == 0 || (strncmp(path, folder, n) == 0 && (path[n] == '/' || path[n] == '\0'));
}

/* Pool. The real path, since a link may lead there. */
static int try_share_folder(patch_op_t *patch, hp_err_t *err)
{
    const char *data = patch->op.api->deps.options->data;
    int rc = try_folder("share_folder", patch->settings.share_folder, R_OK | X_OK, err);
    if (rc != 0)
        return rc;
    char *real = realpath(patch->settings.share_folder, NULL), *real_data = realpath(data, NULL);
    if (real != NULL && real_data != NULL && is_inside(real_data, real))
        rc = hp_err_set(err, HP_E_INVALID, "share_folder: hostpair's own data lies in it, at %s", data);
    free(real);
    free(real_data);
    return rc;
}

static void try_folders(uv_work_t *work)
{
    patch_op_t *patch = work->data;
    if (patch->try_share)
        patch->status = try_share_folder(patch, &patch->err);
    if (patch->status == 0 && patch->try_downloads)
        patch->status =
            try_folder("downloads_folder", patch->settings.downloads_folder, R_OK | W_OK | X_OK, &patch->err);
}

/* Store thread. */
static int store_settings(hp_db_t *db, void *arg, hp_err_t *err)
{
    patch_op_t *patch = arg;
    int rc = 0;
    for (size_t i = 0; rc == 0 && i < COUNT; i++)
        if (patch->given[i])
            rc = hp_db_setting_set(db, table[i].name, patch->stored[i], err);
    return rc;
}

/* The given values become the present ones, here and in the parts that go by them. */
static int take_effect(patch_op_t *patch, hp_err_t *err)
{
    const hp_api_deps_t *deps = &patch->op.api->deps;
    hp_settings_t *now = deps->settings;
    for (size_t i = 0; i < COUNT; i++)
        if (patch->given[i])
            (void)from_text(now, &table[i], patch->stored[i]);
    snprintf(deps->self->name, sizeof deps->self->name, "%s", now->name);
    hp_http_set_limit(deps->peer, now->up_limit_bps);
    hp_transfer_settings_t transfer = {
        .downloads_folder = now->downloads_folder,
        .running_downloads = (unsigned)now->running_downloads,
        .connections_per_source = (unsigned)now->connections_per_source,
        .down_limit_bps = now->down_limit_bps,
    };
    int rc = hp_transfer_set(deps->transfer, &transfer, err);
    hp_discovery_set(deps->discovery, now->scan, now->beacon);
    hp_events_touch(patch->op.api->events, HP_TOPIC_STATUS, "");
    hp_events_touch(patch->op.api->events, HP_TOPIC_SETTINGS, "");
    return rc;
}

static void on_stored_settings(void *arg, int status, const hp_err_t *err)
{
    patch_op_t *patch = arg;
    hp_err_t applying = {0};
    if (hp_api_is_closing(patch->op.api)) {
        patch_end(patch, status, err);
        return;
    }
    if (status == 0) {
        status = take_effect(patch, &applying);
        err = &applying;
    } else if (patch->try_share) { /* what cannot be kept shall not be so until the next start either */
        const hp_api_deps_t *deps = &patch->op.api->deps;
        (void)hp_share_set_folder(deps->share, deps->settings->share_folder, NULL, NULL);
    }
    patch_end(patch, status, err);
}

static void store(patch_op_t *patch)
{
    for (size_t i = 0; i < COUNT; i++)
        if (patch->given[i])
            patch->stored[i] = to_text(&patch->settings, &table[i]);
    hp_store_post(patch->op.api->deps.store, HP_STORE_WRITE_SYNCED, store_settings, on_stored_settings,
                  patch);
}

static void on_share_moved(void *arg, int status, const hp_err_t *err)
{
    patch_op_t *patch = arg;
    if (status == UV_ECANCELED || hp_api_is_closing(patch->op.api))
        patch_end(patch, HP_E_BUSY, NULL);
    else if (status != 0)
        patch_end(patch, hp_err_set(&patch->err, HP_E_INVALID, "share_folder: %s", hp_err_text(err)),
                  &patch->err);
    else
        store(patch);
}

static void on_folders_tried(uv_work_t *work, int canceled)
{
    patch_op_t *patch = work->data;
    int status = canceled != 0 ? canceled : patch->status;
    if (status == 0 && hp_api_is_closing(patch->op.api))
        status = HP_E_BUSY;
    if (status != 0) {
        patch_end(patch, status, &patch->err);
        return;
    }
    if (!patch->try_share) {
        store(patch);
        return;
    }
    status =
        hp_share_set_folder(patch->op.api->deps.share, patch->settings.share_folder, on_share_moved, patch);
    if (status != 0)
        patch_end(patch, hp_err_set(&patch->err, status, "share_folder: is being changed already"),
                  &patch->err);
}

void hp_api_patch_settings(hp_api_t *api, hp_http_request_t *request, const char *arg)
{
    (void)arg;
    const char *known[COUNT + 1] = {NULL};
    hp_err_t err = {0};
    json_t *body = NULL;
    patch_op_t *patch = hp_api_op_create(sizeof *patch, api, request);
    copy(&patch->settings, api->deps.settings);
    for (size_t i = 0; i < COUNT; i++)
        known[i] = table[i].name;
    int rc = hp_json_read_body(request, known, &body, &err);
    for (size_t i = 0; rc == 0 && i < COUNT; i++)
        rc = read_setting(body, patch, i, &err);
    json_decref(body);
    if (rc == 0)
        rc = check_switches(api->deps.options, &patch->settings, &err);
    if (rc != 0) {
        patch_end(patch, rc, &err);
        return;
    }
    const hp_settings_t *now = api->deps.settings;
    patch->try_share = strcmp(now->share_folder, patch->settings.share_folder) != 0;
    patch->try_downloads = strcmp(now->downloads_folder, patch->settings.downloads_folder) != 0;
    if (!patch->try_share && !patch->try_downloads) {
        store(patch);
        return;
    }
    patch->work.data = patch;
    rc = uv_queue_work(api->deps.loop, &patch->work, try_folders, on_folders_tried);
    if (rc != 0)
        patch_end(patch, rc, NULL);
}
