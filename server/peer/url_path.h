/* The path of a request, as it names a file: decoded segment by segment. Pure; any thread. */
#ifndef HP_PEER_URL_PATH_H
#define HP_PEER_URL_PATH_H

#include <stdbool.h>
#include <stddef.h>

/* Decodes "a%20b/c" to "a b/c". NULL for a bad escape, an encoded "/" or NUL, or a path longer than
 * HP_PATH_MAX. The caller frees. */
char *hp_url_path_decode(const char *encoded);

/* Splits off and decodes the first segment of a path without its leading "/" into out; *rest is what follows
 * its "/", NULL when there is no
 * "/". False as above, or when the segment is longer than out. */
bool hp_url_path_first(const char *encoded, char *out, size_t size, const char **rest);

#endif
