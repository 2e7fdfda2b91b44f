/* Text as a terminal shows it: its width in columns, cut to fit, numbers as people read them. Text of other
 * hosts is made harmless here and nowhere else: what hp_say, hp_text_clean and hp_text_json put out holds no
 * control character. One thread. */
#ifndef HP_CLI_TEXT_H
#define HP_CLI_TEXT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <jansson.h>

/* Takes the person's locale for the widths of characters, or one that knows UTF-8 where theirs does not.
 * Whether theirs does. */
bool hp_text_init(void);

/* Columns that UTF-8 text without control characters takes. */
int hp_text_width(const char *text);

/* The text with everything escaped that a terminal would obey (see hp_utf8_printable). The caller frees. */
char *hp_text_clean(const char *text);

/* The longest part that fits into so many columns, with "…" at the cut; the whole when it fits. The caller
 * frees. */
char *hp_text_fit(const char *text, int columns);

/* One line, made harmless, with its line end. */
void hp_say(FILE *out, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* The value as indented JSON with a line end, made harmless by JSON's own escapes. */
void hp_say_json(FILE *out, const json_t *json);

/* Escapes, in JSON text, what jansson leaves as it is and a terminal might obey. The caller frees. */
char *hp_text_json(const char *dump);

#define HP_TEXT_SIZE 48

/* 1530000: "1.5 MB", decimal units; below 0: "–". */
char *hp_text_bytes(int64_t bytes, char out[HP_TEXT_SIZE]);

/* "1.5 MB/s"; "5 min 3 s"; never "100 %" before all is there. */
char *hp_text_speed(int64_t bps, char out[HP_TEXT_SIZE]);
char *hp_text_duration(int64_t seconds, char out[HP_TEXT_SIZE]);
char *hp_text_percent(int64_t part, int64_t whole, char out[HP_TEXT_SIZE]);

/* RFC 3339 as local date and time, "2026-11-21 04:56"; and as the time since then: "now", "5 min ago". "–"
 * when text is none. */
char *hp_text_time(const char *rfc3339, char out[HP_TEXT_SIZE]);
char *hp_text_ago(const char *rfc3339, int64_t now_ms, char out[HP_TEXT_SIZE]);

/* "500k", "1.5M", "2 MiB/s": bytes. 0, or HP_E_INVALID. */
int hp_text_parse_rate(const char *text, uint64_t *rate);

/* The word as a shell reads it again, quoted where that is needed. The caller frees. */
char *hp_text_quote(const char *word);

#endif
