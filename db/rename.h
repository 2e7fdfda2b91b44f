/* A host's id changes: from a random one, which anybody could claim, to the one of its key. Everything that
 * names it follows, in one transaction: the host with its addresses and what a person decided of it, its
 * list, downloads and their sources, messages and their deliveries. The store's thread. */
#ifndef HP_DB_RENAME_H
#define HP_DB_RENAME_H

#include "db/db.h"

/* The host known as old is known as new from now on; old becomes an alias. Where new is known already the two
 * become one: the addresses of both, blocked if either was, the earlier first and the later last sight,
 * messages and sources once each; its name, list, fingerprint and pairing are those of new. A fingerprint of
 * old does not count for new. 0 also when nothing is known of old. */
int hp_db_host_rename(hp_db_t *db, const char *old, const char *new, hp_err_t *err);

/* The id that a former one leads to now: 0 with it in host, or HP_E_NOT_FOUND (err untouched). */
int hp_db_host_by_alias(hp_db_t *db, const char *alias, char *host, size_t size, hp_err_t *err);

/* Every former id with the one that it leads to. The texts are valid during the call of fn. */
int hp_db_host_each_alias(hp_db_t *db, void (*fn)(void *arg, const char *alias, const char *host), void *arg,
                          hp_err_t *err);

/* This host's own id is new from now on, the one before becomes its former id; own messages follow. 0 also
 * when it is that already. */
int hp_db_self_rename(hp_db_t *db, const char *new, hp_err_t *err);

#endif
