/* A probe: GET /hostpair at one place, and what the answer says. Loop thread; the parsing is pure.
 *
 * TLS comes first: a host that answers there is the one whose key the handshake proved. Only where TLS is not
 * spoken, and where the caller allows it, the same is asked in plain HTTP. What answers there is a host by
 * its address alone. Three kinds of plain answer make one: JSON (hostpair 0.1); an empty body with
 * Hostpair-Id; an empty body and nothing else, the oldest protocol.
 *
 * HP_E_UNREACHABLE: no answer. HP_E_NOT_TLS: what answers does not speak TLS, and was not asked otherwise, or
 * it says in plain HTTP that it could. HP_E_TLS: it has no key of a host. HP_E_WRONG_KEY: it says that it is
 * another host than the one of its key. Everything else is HP_E_NOT_A_HOST. Each comes with a sentence. */
#ifndef HP_DISCOVERY_PROBE_H
#define HP_DISCOVERY_PROBE_H

#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "discovery/hosts.h"
#include "fetch/fetch.h"

typedef struct hp_probe_answer {
    char id[HP_HOST_ID_SIZE];                 /* of its key; "addr-<ip>-<port>" unless proven */
    char claimed_id[HP_PEER_ID_SIZE];         /* what it says of itself; "" nothing */
    bool proven;                              /* over TLS */
    uint8_t fingerprint[HP_FINGERPRINT_SIZE]; /* zero unless proven */
    bool tls_hangs;               /* it took the connection and let TLS time out, now or when last asked */
    char name[HP_HOST_NAME_SIZE]; /* "" when it gave none */
    char instance[33];            /* "" when it gave none */
    int protocol;
    int64_t files, bytes;        /* -1 unknown */
    int64_t hashed_bytes;        /* of the bytes, those whose roots its list shows; -1 unknown */
    char list[HP_LIST_TAG_SIZE]; /* the tag of its list; "" when it gave none, as older hosts do */
    int64_t time;                /* its clock, wall ms; -1 unknown */
    double rtt_ms;
    int64_t clock_offset_ms; /* theirs minus ours; valid when clock_uncertainty_ms >= 0 */
    int64_t clock_uncertainty_ms;
} hp_probe_answer_t;

#define HP_PROBE_BODY_MAX ((size_t)64 * 1024)

/* Reads the body (with NUL) and the two headers of a 200, as a host that has proven nothing. Sets neither the
 * round trip nor the clock's offset. 0 or HP_E_NOT_A_HOST. */
int hp_probe_parse(const char *body, size_t length, const char *id_header, const char *name_header,
                   const hp_endpoint_t *at, hp_probe_answer_t *answer, hp_err_t *err);

/* A name as it may be shown: valid UTF-8, cut at 255 bytes, control characters and those that turn the text's
 * direction replaced by U+FFFD. */
void hp_probe_clean_name(const char *text, size_t length, char out[HP_HOST_NAME_SIZE]);

/* 32 lower-case hex digits. */
bool hp_probe_is_id(const char *text);

typedef enum {
    HP_PROBE_TLS,  /* never in plain */
    HP_PROBE_ANY,  /* in plain where TLS is not spoken */
    HP_PROBE_PLAIN /* at once: TLS let us wait there before */
} hp_probe_mode_t;

/* at: the place; what it expects does not matter. own_port: where we listen, told to the other side; 0: not
 * told. done runs once, never inside the call; answer is NULL unless status is 0 or HP_E_WRONG_KEY. */
typedef void (*hp_probe_fn)(void *arg, int status, const hp_probe_answer_t *answer, const hp_err_t *err);
typedef struct hp_probe hp_probe_t;
hp_probe_t *hp_probe_start(hp_fetcher_t *fetcher, const hp_endpoint_t *at, hp_probe_mode_t mode,
                           uint16_t own_port, hp_probe_fn done, void *arg);

/* done runs with UV_ECANCELED. */
void hp_probe_cancel(hp_probe_t *probe);

#endif
