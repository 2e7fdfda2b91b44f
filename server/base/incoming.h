/* Where a transfer into the inbox stands, and what kind of sender it comes from: the same words in the
 * database, in the modules and in the API. Any thread. */
#ifndef HP_BASE_INCOMING_H
#define HP_BASE_INCOMING_H

#include <stdbool.h>

/* state, its name in the API and the database. The last four are its end. */
#define HP_INCOMING_STATES(X)                                                                                \
    X(ASKING, "asking")                                                                                      \
    X(RECEIVING, "receiving")                                                                                \
    X(DONE, "done")                                                                                          \
    X(DECLINED, "declined")                                                                                  \
    X(FAILED, "failed")                                                                                      \
    X(CANCELLED, "cancelled")
typedef enum {
#define X(name, text) HP_INCOMING_##name,
    HP_INCOMING_STATES(X)
#undef X
} hp_incoming_state_t;
const char *hp_incoming_state_name(hp_incoming_state_t state);
/* HP_INCOMING_FAILED for a word that is none. */
hp_incoming_state_t hp_incoming_state_of(const char *name);
bool hp_incoming_is_over(hp_incoming_state_t state);

#define HP_SENDER_KINDS(X)                                                                                   \
    X(BROWSER, "browser")                                                                                    \
    X(LOCALSEND, "localsend")                                                                                \
    X(HOSTPAIR, "hostpair")
typedef enum {
#define X(name, text) HP_SENDER_##name,
    HP_SENDER_KINDS(X)
#undef X
} hp_sender_kind_t;
const char *hp_sender_kind_name(hp_sender_kind_t kind);
/* HP_SENDER_BROWSER for a word that is none. */
hp_sender_kind_t hp_sender_kind_of(const char *name);

#endif
