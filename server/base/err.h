/* What can go wrong, as codes with a stable slug, an HTTP status and a sentence for a person.
 *
 * Functions return 0 or a negative code. Codes of libuv and the kernel (-errno, UV_*) pass through unchanged;
 * hostpair's own start below HP_E_BASE, where libuv has none. Detail for a person (which file, which host,
 * which value) travels beside the code in an hp_err_t that the caller owns and that may be NULL everywhere.
 * Any thread. */
#ifndef HP_BASE_ERR_H
#define HP_BASE_ERR_H

#include <stddef.h>

#define HP_E_BASE (-10000)

/* name, distance from HP_E_BASE, slug (stable, part of the API), HTTP status, sentence */
#define HP_ERRORS(X)                                                                                         \
    X(INVALID, 1, "invalid", 422, "A value is not valid")                                                    \
    X(BAD_JSON, 2, "bad-json", 400, "The request body is not valid JSON")                                    \
    X(BAD_REQUEST, 3, "bad-request", 400, "The request cannot be understood")                                \
    X(UNAUTHORIZED, 4, "unauthorized", 401, "The dashboard token is missing or wrong")                       \
    X(FORBIDDEN, 5, "forbidden", 403, "This is not allowed")                                                 \
    X(NOT_FOUND, 6, "not-found", 404, "Not found")                                                           \
    X(METHOD, 7, "method-not-allowed", 405, "This address does not support that method")                     \
    X(CONFLICT, 8, "conflict", 409, "The request conflicts with the current state")                          \
    X(TOO_LARGE, 9, "too-large", 413, "This is larger than the limit")                                       \
    X(BAD_RANGE, 10, "range-not-satisfiable", 416, "The range lies outside the file")                        \
    X(TOO_MANY, 11, "too-many", 429, "Too many requests")                                                    \
    X(INTERNAL, 12, "internal", 500, "Something went wrong inside hostpair")                                 \
    X(UNREACHABLE, 13, "unreachable", 502, "The other host does not answer")                                 \
    X(NOT_A_HOST, 14, "not-a-host", 502, "The program that answers there is not hostpair")                   \
    X(PROTOCOL, 15, "protocol", 502, "The other side violated the HTTP protocol")                            \
    X(STATUS, 16, "status", 502, "The other side refused the request")                                       \
    X(REDIRECT, 17, "redirect", 502, "The other side answered with a redirect")                              \
    X(OTHER_VERSION, 18, "other-version", 502, "The file at the source has changed")                         \
    X(NO_RANGES, 19, "no-ranges", 502, "The source cannot serve parts of the file")                          \
    X(WRONG_DIGEST, 20, "wrong-digest", 502, "The source sent bytes with a wrong hash")                      \
    X(STALLED, 21, "stalled", 504, "The source sent nothing for too long")                                   \
    X(TIMEOUT, 22, "timeout", 504, "The operation took too long")                                            \
    X(NO_SOURCE, 23, "no-source", 502, "No host that has the file can be reached")                           \
    X(NO_SPACE, 24, "no-space", 507, "The disk is full")                                                     \
    X(DISK, 25, "disk", 500, "The disk reported an error")                                                   \
    X(DB, 26, "database", 500, "The database reported an error")                                             \
    X(DB_NEWER, 27, "database-newer", 500, "The database was written by a newer hostpair")                   \
    X(DB_FOREIGN, 28, "database-foreign", 500, "The database belongs to another program")                    \
    X(LOCKED, 29, "locked", 500, "Another hostpair uses this data folder")                                   \
    X(BUSY, 30, "busy", 503, "hostpair is not ready yet")                                                    \
    X(BAD_NAME, 31, "bad-name", 422, "The file name is not allowed")                                         \
    X(EXISTS, 32, "exists", 409, "It already exists")                                                        \
    X(BLOCKED, 33, "blocked", 403, "This host is blocked")                                                   \
    X(TLS, 34, "tls", 502, "The other side's certificate is not trusted")                                    \
    X(PRECONDITION, 35, "precondition-failed", 412, "A condition in the request headers was not met")        \
    X(MISDIRECTED, 36, "misdirected", 421, "The request is meant for another host")                          \
    X(KEY, 37, "identity", 500, "This host's identity cannot be used")                                       \
    X(WRONG_KEY, 38, "wrong-key", 502, "Another host answers at this address")                               \
    X(NOT_TLS, 39, "not-tls", 502, "What answers there does not speak TLS")                                  \
    X(DB_DAMAGED, 40, "database-damaged", 500, "The database is damaged")                                    \
    X(NO_NAME, 41, "no-such-name", 502, "No host of that name is found")                                     \
    X(WEB_PAGE, 42, "web-page", 502, "The address leads to a web page, not to a file")                       \
    X(NO_DISK, 43, "no-disk", 503, "The disk of this folder is not there")                                   \
    X(PIN, 50, "pin", 401, "A PIN is needed")                                                                \
    X(CERTIFICATE, 52, "certificate", 502, "The server's certificate is not trusted")

enum {
#define X(name, n, slug, status, text) HP_E_##name = HP_E_BASE - (n),
    HP_ERRORS(X)
#undef X
};

typedef struct hp_err {
    int code;         /* 0 or negative */
    char detail[400]; /* a sentence without final full stop, UTF-8, cut at a character; "" when there is
                         nothing to add */
} hp_err_t;

/* Sets code and detail; returns code, so that "return hp_err_set(err, HP_E_X, ...)" works. err may be NULL.
 */
int hp_err_set(hp_err_t *err, int code, const char *format, ...) __attribute__((format(printf, 3, 4)));

/* Puts text before the detail while unwinding: "reading movie.mkv: " + detail. */
void hp_err_prefix(hp_err_t *err, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* The detail if there is one, else the sentence of the code. Never NULL; lives as long as err. */
const char *hp_err_text(const hp_err_t *err);

/* "no-space"; for a kernel or libuv code "system". HTTP status of a code: 500 for a kernel code, 507 for
 * -ENOSPC and -EDQUOT. */
const char *hp_err_slug(int code);
int hp_err_status(int code);

/* The sentence of a code; strerror's words for kernel codes, unless hp_err_explain_no_access gave others.
 * Static or thread-local storage. */
const char *hp_err_sentence(int code);

/* Before the first thread: what -EACCES means for this process, where that is more than the permissions of a
 * file. sentence: static. */
void hp_err_explain_no_access(const char *sentence);

#endif
