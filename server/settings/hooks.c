#include "settings/hooks.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/file.h"
#include "base/mem.h"
#include "base/path.h"
#include "base/utf8.h"
#include "discovery/discovery.h"
#include "http/http.h"
#include "localsend/localsend.h"
#include "os/home.h"
#include "peer/peer.h"
#include "settings/settings.h"
#include "share/share.h"

/* ---- the host's name ---- */

char *hp_settings_machine_name(void)
{
    char machine[256] = "", name[256];
    if (gethostname(machine, sizeof machine - 1) != 0 || machine[0] == '\0')
        snprintf(machine, sizeof machine, "hostpair");
    return hp_strdup(hp_utf8_printable(machine, strlen(machine), name, sizeof name));
}

int hp_settings_apply_name(const hp_settings_t *settings, const hp_settings_parts_t *parts, hp_err_t *err)
{
    (void)err;
    snprintf(parts->self->name, sizeof parts->self->name, "%s", hp_settings_text(settings, "name"));
    if (parts->name_changed != NULL)
        parts->name_changed(parts->arg);
    return 0;
}

/* ---- folders ---- */

/* Makes the folder if it is missing, whatever was there before: a person names it. it must then allow
 * access_mode. */
static int try_folder(const char *path, int access_mode, hp_err_t *err)
{
    int rc = hp_home_adopt(path, 0777);
    if (rc == 0 && access(path, access_mode) != 0)
        rc = -errno;
    return rc == 0 ? 0 : hp_err_set(err, HP_E_INVALID, "%s: %s", path, hp_err_sentence(rc));
}

static bool is_inside(const char *path, const char *folder)
{
    size_t n = strlen(folder);
    return strcmp(folder, "/") == 0 || (strncmp(path, folder, n) == 0 && (path[n] == '/' || path[n] == '\0'));
}

/* The real paths are compared, since a link may lead to the data folder. */
int hp_settings_try_share(const char *folder, const hp_options_t *options, hp_err_t *err)
{
    int rc = try_folder(folder, R_OK | X_OK, err);
    if (rc != 0)
        return rc;
    char *real = realpath(folder, NULL), *real_data = realpath(options->data, NULL);
    if (real != NULL && real_data != NULL && is_inside(real_data, real))
        rc = hp_err_set(err, HP_E_INVALID, "this folder contains hostpair's own data, at %s", options->data);
    free(real);
    free(real_data);
    return rc;
}

int hp_settings_try_downloads(const char *folder, const hp_options_t *options, hp_err_t *err)
{
    (void)options;
    return try_folder(folder, R_OK | W_OK | X_OK, err);
}

int hp_settings_begin_share(const hp_settings_parts_t *parts, const char *folder, hp_setting_begun_fn begun,
                            void *arg)
{
    return hp_share_set_folder(parts->share, folder, begun, arg);
}

int hp_settings_apply_ignored(const hp_settings_t *settings, const hp_settings_parts_t *parts, hp_err_t *err)
{
    (void)err;
    hp_share_set_ignored(parts->share, hp_settings_text(settings, "share_ignore"),
                         hp_settings_flag(settings, "share_dotfiles"));
    return 0;
}

/* ---- transfers ---- */

hp_transfer_settings_t hp_settings_for_transfer(const hp_settings_t *settings)
{
    return (hp_transfer_settings_t){
        .downloads_folder = hp_settings_text(settings, "downloads_folder"),
        .running_downloads = (unsigned)hp_settings_number(settings, "running_downloads"),
        .connections_per_source = (unsigned)hp_settings_number(settings, "connections_per_source"),
        .down_limit_bps = (uint64_t)hp_settings_number(settings, "down_limit_bps"),
        .plain_content = !hp_settings_flag(settings, "encrypt_content"),
        .keeps_executable = hp_settings_flag(settings, "keep_executable"),
    };
}

int hp_settings_apply_transfer(const hp_settings_t *settings, const hp_settings_parts_t *parts, hp_err_t *err)
{
    hp_transfer_settings_t transfer = hp_settings_for_transfer(settings);
    return hp_transfer_set(parts->transfer, &transfer, err);
}

int hp_settings_apply_up_limit(const hp_settings_t *settings, const hp_settings_parts_t *parts, hp_err_t *err)
{
    (void)err;
    if (parts->send_limit != NULL)
        hp_send_limit_set(parts->send_limit, (uint64_t)hp_settings_number(settings, "up_limit_bps"));
    return 0;
}

/* ---- what others send ---- */

hp_inbox_settings_t hp_settings_for_inbox(const hp_settings_t *settings)
{
    const char *receive = hp_settings_text(settings, "receive");
    return (hp_inbox_settings_t){
        .receive = strcmp(receive, "paired") == 0     ? HP_RECEIVE_PAIRED
                   : strcmp(receive, "everyone") == 0 ? HP_RECEIVE_EVERYONE
                   : strcmp(receive, "off") == 0      ? HP_RECEIVE_OFF
                                                      : HP_RECEIVE_ASK,
        .pin = hp_settings_text(settings, "receive_pin"),
        .downloads_folder = hp_settings_text(settings, "downloads_folder"),
    };
}

int hp_settings_apply_inbox(const hp_settings_t *settings, const hp_settings_parts_t *parts, hp_err_t *err)
{
    (void)err;
    if (parts->inbox == NULL)
        return 0;
    hp_inbox_settings_t inbox = hp_settings_for_inbox(settings);
    hp_inbox_set(parts->inbox, &inbox);
    return 0;
}

int hp_settings_apply_localsend(const hp_settings_t *settings, const hp_settings_parts_t *parts,
                                hp_err_t *err)
{
    (void)err;
    if (parts->localsend != NULL)
        hp_localsend_set(parts->localsend, hp_settings_flag(settings, "localsend"));
    return 0;
}

int hp_settings_apply_downloads(const hp_settings_t *settings, const hp_settings_parts_t *parts,
                                hp_err_t *err)
{
    int rc = hp_settings_apply_transfer(settings, parts, err);
    return rc == 0 ? hp_settings_apply_inbox(settings, parts, err) : rc;
}

/* ---- who is let in ---- */

int hp_settings_apply_access(const hp_settings_t *settings, const hp_settings_parts_t *parts, hp_err_t *err)
{
    (void)err;
    const char *access = hp_settings_text(settings, "access");
    if (parts->peer == NULL)
        return 0;
    hp_peer_set_access(parts->peer, strcmp(access, "paired") == 0  ? HP_ACCESS_PAIRED
                                    : strcmp(access, "hosts") == 0 ? HP_ACCESS_HOSTS
                                                                   : HP_ACCESS_EVERYONE);
    return 0;
}

/* ---- content in plain ---- */

int hp_settings_apply_content(const hp_settings_t *settings, const hp_settings_parts_t *parts, hp_err_t *err)
{
    if (parts->peer != NULL)
        hp_peer_set_plain_content(parts->peer, !hp_settings_flag(settings, "encrypt_content"));
    return hp_settings_apply_transfer(settings, parts, err);
}

/* ---- finding hosts ---- */

int hp_settings_apply_discovery(const hp_settings_t *settings, const hp_settings_parts_t *parts,
                                hp_err_t *err)
{
    (void)err;
    hp_discovery_set(parts->discovery, hp_settings_flag(settings, "scan"),
                     hp_settings_flag(settings, "beacon"));
    return 0;
}
