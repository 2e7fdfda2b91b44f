/* UTF-8 as file names and text from other hosts need it: valid or not, cut at a character, safe to print. Any
 * thread. */
#ifndef HP_BASE_UTF8_H
#define HP_BASE_UTF8_H

#include <stdbool.h>
#include <stddef.h>

/* Whether the bytes are well-formed UTF-8 (RFC 3629: no overlong form, no surrogate, at most U+10FFFF). */
bool hp_utf8_valid(const char *text, size_t length);

/* Whether there is a C0 control, DEL or C1 control character in well-formed UTF-8. */
bool hp_utf8_has_control(const char *text, size_t length);

/* Number of code points in well-formed UTF-8. */
size_t hp_utf8_count(const char *text, size_t length);

/* Removes an incomplete character from the end of a string that was cut. */
void hp_utf8_cut(char *text);

/* Length of the longest prefix of at most max bytes that ends at a character. */
size_t hp_utf8_prefix(const char *text, size_t length, size_t max);

/* Puts "_" in the place of each character that reorders what stands round it (bidirectional embeddings,
 * overrides and isolates, line and paragraph separators): with one of them "photo<U+202E>gpj.exe" reads as
 * "photoexe.jpg". In well-formed UTF-8; the text gets no longer. */
void hp_utf8_straighten(char *text);

/* Copies text so that a terminal or a log can show it: control characters, bidirectional overrides and bytes
 * that are no UTF-8 become \xNN; cut at a character when out is full. Always ends with NUL. Returns out. */
char *hp_utf8_printable(const char *text, size_t length, char *out, size_t size);

#endif
