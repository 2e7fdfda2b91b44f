/* What an order by URL may say besides the URL: header fields, and the certificate that its server shows.
 * Pure; any thread. */
#ifndef HP_TRANSFER_URL_ORDER_H
#define HP_TRANSFER_URL_ORDER_H

#include "base/err.h"

/* "Name: value" lines with "\n" between them: 0, or HP_E_INVALID naming the field. Those that hostpair sends
 * itself (Host, Range and their like) are refused. */
int hp_url_check_headers(const char *lines, hp_err_t *err);

/* The lines, NULL-terminated, in one allocation for the caller to free; NULL for NULL. */
const char **hp_url_split_headers(const char *lines);

/* The fingerprint of the certificate that was not trusted, of a failure with this code and these words: a
 * part of them, 64 hex digits. NULL where there is none. */
const char *hp_url_shown_certificate(int code, const char *detail);

/* A SHA-256 as people copy it: 64 hex digits, with colons or blanks between them or not. 0 with lower-case
 * hex, or HP_E_INVALID. */
int hp_url_read_certificate(const char *text, char out[65], hp_err_t *err);

#endif
