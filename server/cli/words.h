/* What the menus say, in the language of the person's locale. The English text itself is the key, as with
 * gettext; one table in words.c has the Chinese for it, and what is missing there stays English. The other
 * commands stay English, as programs read them: only the menu calls hp_words_init. One thread. */
#ifndef HP_CLI_WORDS_H
#define HP_CLI_WORDS_H

#include <stdbool.h>
#include <stddef.h>

/* Chosen by the first of LC_ALL, LC_MESSAGES and LANG that is set: Chinese when it starts with "zh" and names
 * no other encoding than UTF-8, else English. The text console of Linux has no Chinese characters: English.
 */
void hp_words_init(void);

/* The text in that language. It may be a format: both have the same conversions in the same order. */
const char *hp_word(const char *english) __attribute__((format_arg(1)));

/* For the test that holds the table against the sources. */
typedef struct hp_word {
    const char *english, *chinese;
} hp_word_t;
extern const hp_word_t hp_words[];
extern const size_t hp_words_count;

#endif
