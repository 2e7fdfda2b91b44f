/* Table setting: what a person has set on the settings page, as text by name. What the names and values mean
 * is the caller's. */
#ifndef HP_DB_SETTING_H
#define HP_DB_SETTING_H

#include "db/db.h"

/* 0 with the value, which the caller frees; HP_E_NOT_FOUND when it has its default. */
int hp_db_setting_get(hp_db_t *db, const char *name, char **value, hp_err_t *err);

/* NULL removes the setting: it has its default again. */
int hp_db_setting_set(hp_db_t *db, const char *name, const char *value, hp_err_t *err);

/* All that are set, by name. The text is valid during the call of fn. */
int hp_db_setting_each(hp_db_t *db, void (*fn)(void *arg, const char *name, const char *value), void *arg,
                       hp_err_t *err);

#endif
