/* What another host gives is fetched as downloads: the inbox's orders go to the transfer, and how these
 * downloads stand goes back to the inbox. Loop thread. */
#ifndef HP_GIFTS_H
#define HP_GIFTS_H

#include "app.h"

/* Goes on with what was accepted earlier, and orders what is accepted from now on. */
void hp_gifts_start(hp_app_t *app);

/* A download has changed, or is gone: the inbox hears of it where it ordered it. */
void hp_gift_changed(hp_app_t *app, int64_t download);
void hp_gift_removed(hp_app_t *app, int64_t download);
/* A person has ordered what there is a download of already: it is not only the inbox's any more. */
void hp_gift_wanted(hp_app_t *app, int64_t download);
/* Bytes that a download may have, where the inbox ordered it; UINT64_MAX: any number. */
uint64_t hp_gift_most(const hp_app_t *app, int64_t download);

#endif
