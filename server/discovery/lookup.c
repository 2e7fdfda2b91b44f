#include "discovery/lookup.h"

#include <netdb.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"

#define LOOKUPS_MAX 16

/* What the threads share with the loop. Counted: by the loop until its end, and by each thread. */
typedef struct mailbox {
    pthread_mutex_t lock;
    unsigned users;
    bool open;
    uv_async_t *async;
    struct lookup *done;
} mailbox_t;

typedef struct lookup {
    struct lookup *next;
    hp_lookups_t *owner;
    mailbox_t *mailbox;
    char name[256], port[6];
    hp_lookup_fn fn;
    void *arg;
    bool told; /* at the end: the thread frees it */
    int status;
    hp_sockaddr_t addresses[HP_LOOKUP_ADDRESSES];
    size_t count;
    hp_err_t err;
} lookup_t;

struct hp_lookups {
    uv_async_t async;
    mailbox_t *mailbox;
    lookup_t *running[LOOKUPS_MAX], *refused; /* told at the next turn */
    void (*closed)(void *arg);
    void *closed_arg;
};

/* With the lock held; gives it back. */
static void leave(mailbox_t *self)
{
    bool last = --self->users == 0;
    pthread_mutex_unlock(&self->lock);
    if (last) {
        pthread_mutex_destroy(&self->lock);
        free(self);
    }
}

static void take_addresses(lookup_t *self, const struct addrinfo *all)
{
    for (; all != NULL && self->count < HP_LOOKUP_ADDRESSES; all = all->ai_next)
        if (all->ai_addrlen <= sizeof self->addresses[0])
            memcpy(&self->addresses[self->count++], all->ai_addr, all->ai_addrlen);
}

static void *run(void *arg)
{
    lookup_t *self = arg;
    mailbox_t *mailbox = self->mailbox;
    struct addrinfo *all = NULL,
                    hints = {.ai_socktype = SOCK_STREAM, .ai_flags = AI_ADDRCONFIG | AI_NUMERICSERV};
#ifdef AI_IDN
    hints.ai_flags |= AI_IDN;
#endif
    int rc = getaddrinfo(self->name, self->port, &hints, &all);
    if (rc != 0 && rc != EAI_NONAME) {
        hints.ai_flags = AI_NUMERICSERV; /* a name of this machine, which has loopback alone */
        rc = getaddrinfo(self->name, self->port, &hints, &all);
    }
    pthread_mutex_lock(&mailbox->lock);
    if (rc == 0)
        take_addresses(self, all);
    if (self->count == 0)
        self->status = hp_err_set(&self->err, HP_E_NO_NAME, "no host of the name %s is found (%s)",
                                  self->name, rc != 0 ? gai_strerror(rc) : "it has no address");
    if (mailbox->open) {
        self->next = mailbox->done;
        mailbox->done = self;
        uv_async_send(mailbox->async);
    } else {
        free(self);
    }
    leave(mailbox);
    if (all != NULL)
        freeaddrinfo(all);
    return NULL;
}

static void tell(lookup_t *self)
{
    self->fn(self->arg, self->status, self->addresses, self->count, &self->err);
    free(self);
}

static void on_async(uv_async_t *async)
{
    hp_lookups_t *self = HP_CONTAINER(async, hp_lookups_t, async);
    pthread_mutex_lock(&self->mailbox->lock);
    lookup_t *done = self->mailbox->done;
    self->mailbox->done = NULL;
    pthread_mutex_unlock(&self->mailbox->lock);
    for (lookup_t *one = done; one != NULL; one = one->next)
        for (size_t i = 0; i < LOOKUPS_MAX; i++)
            if (self->running[i] == one)
                self->running[i] = NULL;
    lookup_t *lists[] = {done, self->refused};
    self->refused = NULL;
    for (size_t i = 0; i < HP_COUNT(lists); i++)
        for (lookup_t *one = lists[i], *next; one != NULL; one = next) {
            next = one->next;
            tell(one); /* may start another one */
        }
}

hp_lookups_t *hp_lookups_create(uv_loop_t *loop)
{
    hp_lookups_t *self = hp_alloc(sizeof *self);
    self->mailbox = hp_alloc(sizeof *self->mailbox);
    *self->mailbox = (mailbox_t){.users = 1, .open = true, .async = &self->async};
    pthread_mutex_init(&self->mailbox->lock, NULL);
    uv_async_init(loop, &self->async, on_async);
    uv_unref((uv_handle_t *)&self->async);
    return self;
}

void hp_lookup(hp_lookups_t *self, const char *name, uint16_t port, hp_lookup_fn done, void *arg)
{
    lookup_t *lookup = hp_alloc(sizeof *lookup);
    *lookup = (lookup_t){.owner = self, .mailbox = self->mailbox, .fn = done, .arg = arg};
    snprintf(lookup->name, sizeof lookup->name, "%s", name);
    snprintf(lookup->port, sizeof lookup->port, "%u", port);
    size_t i = 0;
    while (i < LOOKUPS_MAX && self->running[i] != NULL)
        i++;
    pthread_t thread;
    pthread_mutex_lock(&self->mailbox->lock);
    self->mailbox->users++;
    if (i < LOOKUPS_MAX && pthread_create(&thread, NULL, run, lookup) == 0) {
        self->running[i] = lookup;
        pthread_mutex_unlock(&self->mailbox->lock);
        pthread_detach(thread);
        return;
    }
    leave(self->mailbox);
    lookup->status =
        hp_err_set(&lookup->err, HP_E_TOO_MANY, "too many names are being looked up for %s", name);
    lookup->next = self->refused;
    self->refused = lookup;
    uv_async_send(&self->async);
}

static void on_closed(uv_handle_t *handle)
{
    hp_lookups_t *self = HP_CONTAINER((uv_async_t *)handle, hp_lookups_t, async);
    self->closed(self->closed_arg);
    free(self);
}

void hp_lookups_destroy(hp_lookups_t *self, void (*closed)(void *arg), void *arg)
{
    self->closed = closed;
    self->closed_arg = arg;
    on_async(&self->async);
    hp_err_t err = {0};
    hp_err_set(&err, UV_ECANCELED, "hostpair is being stopped");
    pthread_mutex_lock(&self->mailbox->lock);
    self->mailbox->open = false;
    lookup_t *late = self->mailbox->done;
    self->mailbox->done = NULL;
    struct {
        hp_lookup_fn fn;
        void *arg;
    } waiting[LOOKUPS_MAX];
    size_t count = 0;
    for (size_t i = 0; i < LOOKUPS_MAX; i++)
        if (self->running[i] != NULL) { /* its thread frees it from here on */
            waiting[count].fn = self->running[i]->fn;
            waiting[count++].arg = self->running[i]->arg;
        }
    leave(self->mailbox);
    while (late != NULL) {
        lookup_t *next = late->next;
        free(late);
        late = next;
    }
    for (size_t i = 0; i < count; i++)
        waiting[i].fn(waiting[i].arg, UV_ECANCELED, NULL, 0, &err);
    uv_close((uv_handle_t *)&self->async, on_closed);
}
