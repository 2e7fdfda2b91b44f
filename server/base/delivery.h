/* How far a message has come on its way to one host: the same words in the database, in the modules and in
 * the API. Any thread. */
#ifndef HP_BASE_DELIVERY_H
#define HP_BASE_DELIVERY_H

/* state, its name in the API and the database */
#define HP_DELIVERY_STATES(X) X(QUEUED, "queued") X(DELIVERED, "delivered") X(FAILED, "failed")
typedef enum {
#define X(name, text) HP_DELIVERY_##name,
    HP_DELIVERY_STATES(X)
#undef X
} hp_delivery_state_t;
const char *hp_delivery_state_name(hp_delivery_state_t state);

/* The recipient of a message to all hosts. */
#define HP_MESSAGE_EVERYONE "everyone"

#endif
