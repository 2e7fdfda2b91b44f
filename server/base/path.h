/* Names and paths as hostpair exchanges them: relative, "/" between segments, UTF-8; and how they stand in
 * URLs. Everything that comes from another host goes through hp_path_check before it gets near a file system.
 * Any thread. */
#ifndef HP_BASE_PATH_H
#define HP_BASE_PATH_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define HP_NAME_MAX 255  /* bytes of one name */
#define HP_PATH_MAX 4095 /* bytes of a path, without the NUL */

/* 0 when path can be used below a folder: valid UTF-8, no control character, no empty segment, no "." or
 * "..", not absolute, each segment 1 to 255 bytes, at most HP_PATH_MAX in all. Else HP_E_BAD_NAME, saying
 * which part is wrong. */
struct hp_err;
int hp_path_check(const char *path, size_t length, struct hp_err *err);

/* Whether the last segment is one of hostpair's own part files (".<name>.<id>.hostpair-part"): never listed,
 * never served. */
bool hp_path_is_part(const char *path);

/* The last segment, inside path. */
const char *hp_path_name(const char *path);

/* The name of the part file: ".", the first 200 bytes of name cut at a character, ".", id, ".hostpair-part".
 */
void hp_path_part_name(const char *name, int64_t download_id, char out[HP_NAME_MAX + 1]);

/* The n-th free-name candidate: n == 0 gives name, else "stem (n).ext", the stem cut so that it fits
 * HP_NAME_MAX. ".tar.gz" and its like count as one extension; a leading dot is no extension. */
void hp_path_candidate(const char *name, unsigned n, char out[HP_NAME_MAX + 1]);

/* name as every file system takes it: "_" for what Windows refuses in one (the characters < > : " \\ | ? *, a
 * dot or space at the end), and behind the stem of a name that Windows keeps for a device ("aux.txt").
 * Whether it is another one. Two names may become the same. */
bool hp_path_portable(const char *name, char out[HP_NAME_MAX + 1]);

/* Percent-encoding (RFC 3986 section 2.1). encode leaves unreserved characters, and "/" when keep_slash; the
 * result is malloced and the caller's. decode gives 0, HP_E_INVALID for a bad escape or an encoded NUL,
 * HP_E_TOO_LARGE; the result in out with NUL. */
char *hp_path_encode(const char *text, size_t length, bool keep_slash);
int hp_path_decode(const char *text, size_t length, char *out, size_t size, size_t *out_length);

/* Lower-case hex. hp_hex_decode: 0 or HP_E_INVALID unless text is exactly 2 * length hex digits. */
void hp_hex_encode(const uint8_t *data, size_t length, char *out);
int hp_hex_decode(const char *text, uint8_t *out, size_t length);

/* The media type by the name's extension, "application/octet-stream" when unknown; text types carry no
 * charset. Static. */
const char *hp_path_media_type(const char *name);

#endif
