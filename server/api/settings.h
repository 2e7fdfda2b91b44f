/* What a person may set on the settings page: kept in the table setting, and in effect at once.
 * At start an option given on the command line or in the environment wins over what is stored, that over the
 * default. What is changed while hostpair runs is stored and takes effect, but for scan and beacon, which
 * stay off for as long as --no-scan and --no-beacon say so. Loop thread. */
#ifndef HP_API_SETTINGS_H
#define HP_API_SETTINGS_H

#include <stdbool.h>
#include <stdint.h>

#include "base/options.h"
#include "store/store.h"

typedef struct hp_settings {
    char *name;
    char *share_folder, *downloads_folder; /* absolute */
    uint64_t down_limit_bps, up_limit_bps; /* 0: none */
    uint64_t running_downloads, connections_per_source;
    bool scan, beacon;
    char *language, *theme; /* "auto", or what the page offers */
} hp_settings_t;

/* Reads them at start-up (blocks). 0 or a database error. The caller disposes. */
int hp_settings_load(hp_settings_t *self, hp_store_t *store, const hp_options_t *options, hp_err_t *err);
void hp_settings_dispose(hp_settings_t *self);

#endif
