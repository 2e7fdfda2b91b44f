// libs: api settings transfer fetch store db path os base
/* The bodies of the dashboard's API: what is taken of one is complete and within its limits, and a refusal
 * says why. Each body is read as an order for a download, a change of one, a group, a host and a change of
 * settings. */
#include <ftw.h>
#include <jansson.h>
#include <string.h>

#include "api/orders.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/path.h"
#include "base/utf8.h"

#include "promise.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_refusal(int rc, const hp_err_t *err)
{
    promise(rc < 0 && err->code == rc && err->detail[0] != '\0');
}

/* ---- downloads ---- */

/* Lines "Name: value", and none in the middle of another. */
static void check_headers(const json_t *body, const char *lines)
{
    size_t count = json_object_size(json_object_get(body, "headers")), found = 0;
    for (const char *at = lines; lines[0] != '\0' && at != NULL; found++) {
        size_t length = strcspn(at, "\n");
        promise(memchr(at, ':', length) != NULL && memchr(at, '\r', length) == NULL);
        at = at[length] != '\0' ? at + length + 1 : NULL;
    }
    promise(found == count);
}

/* User and password stand in the URL, and lead nowhere else. */
static void check_login(const json_t *body, const char *url)
{
    const char *given = json_string_value(json_object_get(body, "url"));
    const char *from = strstr(given, "://"), *to = strstr(url, "://");
    promise(from != NULL && to != NULL && from - given == to - url);
    from += 3, to += 3;
    const char *old = memchr(from, '@', strcspn(from, "/?#"));
    size_t authority = strcspn(to, "/?#");
    const char *at = memchr(to, '@', authority);
    promise(at != NULL && strcmp(at + 1, old != NULL ? old + 1 : from) == 0);
    promise(memchr(to, ':', (size_t)(at - to)) != NULL && strncmp(given, url, (size_t)(to - url)) == 0);
}

static void check_download(const json_t *body)
{
    hp_api_download_t download;
    hp_err_t err = {0};
    int rc = hp_api_read_download(body, &download, &err);
    if (rc != 0) {
        check_refusal(rc, &err);
        promise(download.headers == NULL && download.url == NULL);
        return;
    }
    const hp_download_order_t *order = &download.order;
    uint8_t root[32];
    promise((order->path != NULL) + (order->folder != NULL) + (order->root != NULL) + (order->url != NULL) ==
            1);
    promise((order->host != NULL) == (order->path != NULL || order->folder != NULL));
    promise(order->root == NULL || hp_hex_decode(order->root, root, sizeof root) == 0);
    promise(order->size == 0 || (order->root != NULL && order->size <= INT64_MAX));
    promise(order->to == NULL || hp_path_check(order->to, strlen(order->to), NULL) == 0);
    promise(order->priority >= -1 && order->priority <= 1 && order->limit_bps <= INT64_MAX);
    promise(order->headers == download.headers);
    if (order->headers != NULL)
        check_headers(body, order->headers);
    if (download.url != NULL)
        check_login(body, order->url);
    hp_api_download_dispose(&download);
}

static void check_change(const json_t *body)
{
    hp_api_download_change_t change;
    hp_err_t err = {0};
    int rc = hp_api_read_download_change(body, &change, &err);
    if (rc != 0) {
        check_refusal(rc, &err);
        return;
    }
    promise(change.priority >= -1 && change.priority <= 1 && change.limit_bps <= INT64_MAX);
    promise(change.has_priority == json_is_integer(json_object_get(body, "priority")));
    promise(change.has_limit == json_is_integer(json_object_get(body, "limit_bps")));
    promise((change.state != HP_API_STATE_AS_IT_IS) == json_is_string(json_object_get(body, "state")));
}

/* ---- groups and hosts ---- */

static void check_group(const json_t *body)
{
    hp_api_group_t group;
    hp_err_t err = {0};
    int rc = hp_api_read_group(body, &group, &err);
    if (rc != 0)
        check_refusal(rc, &err);
    else
        promise((group.hub != NULL) != (group.invite != NULL) && (group.hub == NULL || group.name != NULL));
}

static void check_host(const json_t *body)
{
    hp_host_name_t host, again;
    hp_err_t err = {0};
    char text[HP_HOST_NAME_TEXT_SIZE], numeric[HP_ENDPOINT_TEXT_SIZE];
    int rc = hp_api_read_host(body, &host, &err);
    if (rc != 0) {
        check_refusal(rc, &err);
        return;
    }
    bool named = host.name[0] != '\0';
    const char *shown = named ? hp_host_name_format(&host, text) : hp_endpoint_format(&host.numeric, numeric);
    promise((named ? host.port : host.numeric.port) != 0);
    promise(hp_host_name_parse(shown, 1, &again, NULL) == 0 && strcmp(again.name, host.name) == 0);
    promise(named ? again.port == host.port : hp_endpoint_equal(&again.numeric, &host.numeric));
}

/* ---- settings ---- */

static uv_loop_t loop;
static hp_settings_t *settings;
static char folder[] = "/dev/shm/hostpair-fuzz-XXXXXX";

static int remove_one(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
    (void)st, (void)type, (void)ftw;
    return remove(path);
}

static void clean_up(void)
{
    nftw(folder, remove_one, 16, FTW_DEPTH | FTW_PHYS);
}

static void set_up(void)
{
    static hp_options_t options = {.name = "attic", .share = "/srv/share", .downloads = "/srv/downloads"};
    hp_store_t *store = NULL;
    hp_log_set_level(HP_LOG_ERROR);
    promise(mkdtemp(folder) != NULL && atexit(clean_up) == 0 && uv_loop_init(&loop) == 0);
    promise(hp_store_create(&store, &loop, folder, NULL) == 0);
    promise(hp_settings_create(&settings, &loop, store, &options, NULL) == 0);
}

/* What is taken is in the table and within its limits, as it is when it is read from the database. */
static void check_setting(const char *name, const json_t *value)
{
    const hp_setting_t *row = hp_setting_find(name);
    promise(row != NULL);
    if (hp_setting_is_text(row)) {
        const char *text = json_string_value(value);
        promise(text != NULL && hp_setting_check_text(row, text, NULL) == 0);
        promise(row->type != HP_SETTING_FOLDER || (text[0] == '/' && strlen(text) <= HP_PATH_MAX));
        promise(row->type != HP_SETTING_NAME || !hp_utf8_has_control(text, strlen(text)));
    } else if (row->type == HP_SETTING_SWITCH) {
        promise(json_is_boolean(value));
    } else {
        int64_t number = json_integer_value(value), again;
        char *text = hp_sprintf("%lld", (long long)number);
        promise(json_is_integer(value) && number >= row->min && number <= row->max);
        promise(hp_setting_parse_number(row, text, &again, NULL) == 0 && again == number);
        free(text);
    }
}

static void check_settings(json_t *body)
{
    hp_settings_change_t *change = hp_settings_change_create(settings);
    hp_err_t err = {0};
    const char *name;
    json_t *value;
    int rc = hp_api_read_settings(body, change, &err);
    if (rc != 0)
        check_refusal(rc, &err);
    else
        json_object_foreach(body, name, value) check_setting(name, value);
    hp_settings_change_destroy(change);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (settings == NULL)
        set_up();
    /* As hp_http_json has it. */
    json_t *body =
        json_loadb((const char *)data, size, JSON_DECODE_ANY | JSON_REJECT_DUPLICATES | JSON_ALLOW_NUL, NULL);
    if (json_is_object(body)) {
        check_download(body);
        check_change(body);
        check_group(body);
        check_host(body);
        check_settings(body);
    }
    json_decref(body);
    return 0;
}
