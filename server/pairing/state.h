/* How far an attempt to pair has come; session.h says how one state follows another. Any thread. */
#ifndef HP_PAIRING_STATE_H
#define HP_PAIRING_STATE_H

/* state, its name in the log, its name in the API */
#define HP_PAIRING_STATES(X)                                                                                 \
    X(IDLE, "idle", "waiting")                                                                               \
    X(ASKED, "asked", "waiting")                                                                             \
    X(WAITING, "waiting", "waiting")                                                                         \
    X(CONFIRM, "confirm", "confirm")                                                                         \
    X(CONFIRMED, "confirmed", "confirmed")                                                                   \
    X(PAIRED, "paired", "paired")                                                                            \
    X(REFUSED, "refused", "refused")                                                                         \
    X(EXPIRED, "expired", "expired")                                                                         \
    X(FAILED, "failed", "failed")
typedef enum {
#define X(name, text, api) HP_PAIRING_##name,
    HP_PAIRING_STATES(X)
#undef X
} hp_pairing_state_t;

/* As the API calls the state. */
const char *hp_pairing_state_name(hp_pairing_state_t state);

#endif
