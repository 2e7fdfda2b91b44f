/* A 200 whose body is a layer of a hash tree with something before and after it, made as the client takes it:
 * neither a huge file nor many clients take memory. Loop thread. */
#ifndef HP_PEER_LAYER_REPLY_H
#define HP_PEER_LAYER_REPLY_H

#include <stddef.h>
#include <stdint.h>

#include "http/http.h"
#include "share/share.h"

#define HP_DIGEST_SIZE 32

typedef struct hp_layer_reply {
    hp_http_request_t *request;
    hp_layer_t *layer; /* at its start; taken */
    uint64_t count;    /* of its digests */
    const char *type;  /* static */
    char *head, *tail; /* malloced and taken, or NULL */
    size_t head_length, tail_length;
    /* Runs once, when the first piece of the layer is there or is not: with 0 the reply begins after it, so
     * it sets the header fields; with anything else it has to answer. */
    void (*ready)(void *arg, int status);
    void *arg;
} hp_layer_reply_t;

/* If the file changes later on, the reply is cut. */
void hp_layer_reply(const hp_layer_reply_t *reply);

#endif
