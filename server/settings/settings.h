/* The present values of the settings (table.h): read at start, changed while hostpair runs, stored at once.
 *
 * At the start an option that was given wins over what is stored, and that over the default. A change is
 * checked as a whole, then stored, then put into effect; when a step fails, the values stay as they were.
 *
 * Invariants
 * 1. Loop thread only; folders are tried in the pool, SQL runs in the store's thread.
 * 2. A setting that is read by a name that is not in the table, or as another type, ends the program: that is
 * a mistake of the caller. */
#ifndef HP_SETTINGS_SETTINGS_H
#define HP_SETTINGS_SETTINGS_H

#include "settings/table.h"
#include "store/store.h"

/* Reads the stored values (blocks; start-up). options must outlive the settings. 0 or a database error. */
int hp_settings_create(hp_settings_t **settings, uv_loop_t *loop, hp_store_t *store,
                       const hp_options_t *options, hp_err_t *err);

/* Runs every hook: all modules then go by the settings, now and after each change. parts is copied. */
int hp_settings_start(hp_settings_t *settings, const hp_settings_parts_t *parts, hp_err_t *err);

/* No hook runs any more; a change that is under way ends with HP_E_BUSY. */
void hp_settings_stop(hp_settings_t *settings);

/* After stop. A change that is under way keeps the memory until it has ended. */
void hp_settings_destroy(hp_settings_t *settings);

/* ---- reading ---- */

/* Text is valid until the next return to the loop. */
const char *hp_settings_text(const hp_settings_t *settings, const char *name);
int64_t hp_settings_number(const hp_settings_t *settings, const char *name);
bool hp_settings_flag(const hp_settings_t *settings, const char *name);

/* Called after each change that took effect. One listener; NULL takes it away. */
void hp_settings_on_change(hp_settings_t *settings, void (*fn)(void *arg), void *arg);

/* ---- changing ---- */

typedef struct hp_settings_change hp_settings_change_t;

hp_settings_change_t *hp_settings_change_create(hp_settings_t *settings);
void hp_settings_change_destroy(hp_settings_change_t *change); /* one that is not committed */

/* Each gives one setting its new value: 0, or HP_E_INVALID (HP_E_CONFLICT when an option forbids it) with
 * words that begin with the setting's name. */
int hp_settings_change_text(hp_settings_change_t *change, const hp_setting_t *row, const char *text,
                            hp_err_t *err);
int hp_settings_change_number(hp_settings_change_t *change, const hp_setting_t *row, int64_t number,
                              hp_err_t *err);

/* Takes the change. done runs once, perhaps inside the call: 0 when all of it is stored and in effect. */
typedef void (*hp_settings_changed_fn)(void *arg, int status, const hp_err_t *err);
void hp_settings_change_commit(hp_settings_change_t *change, hp_settings_changed_fn done, void *arg);

#endif
