/* The header section of a request as the client sent it (RFC 9112 sections 2 to 5): request line, fields, and
 * the parts of the target. Nothing is decoded or normalised. Pure; any thread. */
#ifndef HP_HTTP_HEAD_H
#define HP_HTTP_HEAD_H

#include <stdbool.h>
#include <stddef.h>

#define HP_HEAD_MAX   ((size_t)64 * 1024) /* bytes of the whole section: 431 */
#define HP_TARGET_MAX ((size_t)16 * 1024) /* bytes of the request target: 414 */

typedef struct hp_head {
    char *text;      /* a copy, owned */
    char *authority; /* owned: of an absolute-form target, which outranks Host (RFC 9112 section 3.2.2); else
                        NULL */
    const char *method;
    const char *path;  /* still percent-encoded, starts with "/" */
    const char *query; /* what follows "?", NULL without one */
    const char *fields, *end;
    int minor;     /* of the HTTP version */
    bool has_body; /* framed by Content-Length or Transfer-Encoding */
    size_t length; /* of the whole section, with the empty line that ends it */
} hp_head_t;

/* Reads the section at the start of bytes, which the HTTP server has parsed already, and checks what it did
 * not: the section's and the target's size, folded lines, Host, and fields that disagree on where the body
 * ends. A body in chunks is not taken (411). 0, or the status to refuse with (400, 411, 414, 431); the head
 * is then still safe to use and to dispose, with the path "/". */
int hp_head_init(hp_head_t *self, const char *bytes, size_t length);
void hp_head_dispose(hp_head_t *self);

/* A field's value without the white space around it; several fields of one name joined with ", ". The caller
 * frees; NULL when missing. */
char *hp_head_field(const hp_head_t *self, const char *name);

/* A query parameter, decoded, "+" as a space. The caller frees; NULL when missing or badly encoded. */
char *hp_head_query(const hp_head_t *self, const char *name);

/* Whether the value of an Accept field names the media type literally, with a q above 0 (RFC 9110
 * section 12.5.1). */
bool hp_accept_names(const char *accept, const char *media_type);

#endif
