/* The page that people without hostpair see: HTML from names that are not to be trusted. Pure; any thread. */
#ifndef HP_PEER_GUEST_PAGE_H
#define HP_PEER_GUEST_PAGE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"

/* A folder or a file directly in the folder that is shown. */
typedef struct hp_guest_entry {
    char *name;
    bool folder;
    uint64_t size;
    int64_t mtime_ms;
} hp_guest_entry_t;

/* A sentence in place of the files. */
typedef enum {
    HP_GUEST_FILES,    /* none: the page of a folder */
    HP_GUEST_SENT,     /* what the guest sent has arrived */
    HP_GUEST_DECLINED, /* nobody wants it */
    HP_GUEST_NOBODY,   /* nobody answered */
    HP_GUEST_NOTHING,  /* there was no file in the form */
    HP_GUEST_FAILED,   /* detail and problem say why */
    HP_GUEST_MISSING,  /* there is no such file or folder */
    HP_GUEST_REFUSED,  /* it is there, and is not to be had in this way */
    HP_GUEST_BLOCKED,  /* whoever asks is not let in */
    HP_GUEST_NAME,     /* no pages under the name that is in detail */
} hp_guest_note_t;

typedef struct hp_guest_view {
    const char *host;    /* its name */
    const char *version; /* of hostpair */
    const char *folder;  /* "" or "a/b", a valid path */
    const char *origin;  /* "http://192.168.1.20:9000": how the guest has reached this host; NULL unknown */
    const char *next;    /* where the next page starts, NULL on the last one */
    bool first;          /* the first page */
    bool chinese;        /* simplified Chinese instead of English */
    bool closed;         /* nobody but hosts is let in: the page says so and shows nothing */
    bool send;           /* the guest may offer files */
    bool pin;            /* and needs a PIN for that */
    hp_guest_note_t note;
    const char *detail;  /* of HP_GUEST_FAILED: a sentence in English; of HP_GUEST_NAME: the name */
    const char *problem; /* the slug of its code (base/err.h), for other languages; NULL */
    const hp_guest_entry_t *entries;
    size_t count;
} hp_guest_view_t;

/* The value of the page's Content-Security-Policy: nothing but its own style and script, requests to and
 * pictures, sound and video of this host. */
extern const char hp_guest_csp[];
/* What stands between <style> and </style>; its digest is in the policy. */
extern const char hp_guest_style[];
/* The same between <script> and </script>: guest.js. */
extern const char hp_guest_script[];

/* Appends the page. 0, or HP_E_TOO_LARGE. */
int hp_guest_write(const hp_guest_view_t *view, hp_buf_t *out);

/* Whether an Accept-Language field prefers Chinese to English. */
bool hp_guest_prefers_chinese(const char *accept_language);

#endif
