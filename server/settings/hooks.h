/* How settings take effect: the functions that table.c names, and what modules are created with. Loop thread,
 * except for the try functions, which run in the pool and may block. */
#ifndef HP_SETTINGS_HOOKS_H
#define HP_SETTINGS_HOOKS_H

#include "inbox/inbox.h"
#include "settings/table.h"
#include "transfer/transfer.h"

/* What hp_transfer_create() is called with. Its text lives until the next change. */
hp_transfer_settings_t hp_settings_for_transfer(const hp_settings_t *settings);

/* The same for hp_inbox_create(). */
hp_inbox_settings_t hp_settings_for_inbox(const hp_settings_t *settings);

char *hp_settings_machine_name(void);
int hp_settings_try_share(const char *folder, const hp_options_t *options, hp_err_t *err);
int hp_settings_try_downloads(const char *folder, const hp_options_t *options, hp_err_t *err);
int hp_settings_begin_share(const hp_settings_parts_t *parts, const char *folder, hp_setting_begun_fn begun,
                            void *arg);
int hp_settings_apply_ignored(const hp_settings_t *settings, const hp_settings_parts_t *parts, hp_err_t *err);
int hp_settings_apply_name(const hp_settings_t *settings, const hp_settings_parts_t *parts, hp_err_t *err);
int hp_settings_apply_transfer(const hp_settings_t *settings, const hp_settings_parts_t *parts,
                               hp_err_t *err);
int hp_settings_apply_downloads(const hp_settings_t *settings, const hp_settings_parts_t *parts,
                                hp_err_t *err);
int hp_settings_apply_inbox(const hp_settings_t *settings, const hp_settings_parts_t *parts, hp_err_t *err);
int hp_settings_apply_localsend(const hp_settings_t *settings, const hp_settings_parts_t *parts,
                                hp_err_t *err);
int hp_settings_apply_up_limit(const hp_settings_t *settings, const hp_settings_parts_t *parts,
                               hp_err_t *err);
int hp_settings_apply_access(const hp_settings_t *settings, const hp_settings_parts_t *parts, hp_err_t *err);
int hp_settings_apply_content(const hp_settings_t *settings, const hp_settings_parts_t *parts, hp_err_t *err);
int hp_settings_apply_discovery(const hp_settings_t *settings, const hp_settings_parts_t *parts,
                                hp_err_t *err);

#endif
