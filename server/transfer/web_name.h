/* The name that a file from a web server gets. Pure; any thread. */
#ifndef HP_TRANSFER_WEB_NAME_H
#define HP_TRANSFER_WEB_NAME_H

#include <stdbool.h>

#include "base/path.h"

/* The last segment of the URL's path, decoded; "download" and false when there is none that can be a name. A
 * long one is cut before its extension. */
bool hp_web_name_of_url(const char *url, char out[HP_NAME_MAX + 1]);

/* The file name of a Content-Disposition field (RFC 6266): "filename*" (RFC 8187: UTF-8 or ISO-8859-1) before
 * "filename", without folders. False when it has none that can be a name; out is unchanged then. */
bool hp_web_name_of_disposition(const char *field, char out[HP_NAME_MAX + 1]);

/* Whether the field says "attachment". */
bool hp_web_is_attachment(const char *field);

/* Whether a page of this media type is what somebody who asked for this name wants. */
bool hp_web_is_page(const char *content_type, const char *name);

/* Scheme, host and port of a URL, without the user and the password that may stand there. */
void hp_web_origin(const char *url, char *out, size_t size);

#endif
