/* What the files of server/localsend share. */
#ifndef HP_LOCALSEND_INTERNAL_H
#define HP_LOCALSEND_INTERNAL_H

#include "base/array.h"
#include "base/list.h"
#include "base/pending.h"
#include "http/http.h"
#include "localsend/announce.h"
#include "localsend/localsend.h"
#include "localsend/message.h"
#include "localsend/registers.h"

#define HP_LOCALSEND_READERS 64

/* A transfer that is being received. */
typedef struct hp_localsend_session {
    int64_t id;
    unsigned uploads;     /* requests that bring bytes now */
    uint64_t quiet_since; /* loop ms; while there is none */
} hp_localsend_session_t;

struct hp_localsend {
    hp_localsend_deps_t deps;
    hp_http_listener_t *listener;
    hp_announce_t *announce;
    hp_registers_t *registers;
    bool wanted;
    hp_err_t trouble; /* why it does not listen although it is wanted; code 0: it does */
    unsigned closing; /* of listener and announce: so many are on their way out */
    uv_timer_t sweep; /* looks after the sessions, and for the port while another program has it */
    struct {
        char address[64], token[33]; /* address "": free */
    } readers[HP_LOCALSEND_READERS]; /* who may download */
    size_t next_reader;
    hp_list_t offers; /* requests that wait for a person's answer */
    HP_ARRAY(hp_localsend_session_t) sessions;
    hp_pending_t pending;      /* offers, uploads, handles that are being closed */
    void (*closed)(void *arg); /* not NULL: it ends */
    void *closed_arg;
};

/* {"message"} with this status. message NULL: no body. */
void hp_localsend_reply(hp_http_request_t *request, int status, const char *message);

/* What is wrong, in the protocol's status. */
void hp_localsend_refuse(hp_http_request_t *request, int rc, unsigned retry_after_s, const hp_err_t *err);
/* This host, as it describes itself. */
json_t *hp_localsend_info(hp_localsend_t *self);

/* offered.c: the share for whoever asks. */
void hp_localsend_prepare_download(hp_localsend_t *self, hp_http_request_t *request);
void hp_localsend_download(hp_localsend_t *self, hp_http_request_t *request);
/* Whether anybody may have it. */
bool hp_localsend_offers(const hp_localsend_t *self);

/* receive.c: the calls of a sender. */
void hp_localsend_prepare_upload(hp_localsend_t *self, hp_http_request_t *request);
void hp_localsend_upload(hp_localsend_t *self, hp_http_request_t *request);
void hp_localsend_cancel(hp_localsend_t *self, hp_http_request_t *request);
/* The inbox's event. arg: hp_localsend_t. */
void hp_localsend_on_incoming(void *arg, int64_t id);

/* sessions.c: ends transfers whose device has gone. */
void hp_localsend_sweep(hp_localsend_t *self);
void hp_localsend_upload_began(hp_localsend_t *self, int64_t id);
void hp_localsend_upload_ended(hp_localsend_t *self, int64_t id);

#endif
