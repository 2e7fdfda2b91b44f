/* The values of options: text as a person gives it, checked and put into a field. */
#ifndef HP_BASE_OPTION_VALUES_H
#define HP_BASE_OPTION_VALUES_H

#include "base/options.h"

typedef enum {
    HP_OPTION_LISTEN,  /* ADDR:PORT */
    HP_OPTION_ADDRESS, /* ADDR[:PORT], kept as text */
    HP_OPTION_ADDRESSES,
    HP_OPTION_NAMES, /* host names, repeatable */
    HP_OPTION_FOLDER,
    HP_OPTION_NAMED_FOLDERS, /* [NAME=]PATH, repeatable; kept as NAME=PATH with the absolute path */
    HP_OPTION_EXISTING_FOLDER,
    HP_OPTION_FILE_PATH,
    HP_OPTION_TEXT,  /* a name for people */
    HP_OPTION_TOKEN, /* visible ASCII */
    HP_OPTION_TOKEN_FILE,
    HP_OPTION_LEVEL,
    HP_OPTION_FLAG,
    HP_OPTION_COMMAND, /* a flag that the environment cannot set: what it does ends the program */
} hp_option_kind_t;

/* Puts the text into a field of the type that the kind has in hp_options_t; what was there is freed. Of a
 * list, several says that the text may hold more than one item. 0, or HP_E_INVALID with the words in err. */
int hp_option_set(hp_option_kind_t kind, void *field, const char *text, bool several, hp_err_t *err);

/* Reads a token from a file, of which it is the only line; is_open: others than its owner may read it. */
int hp_option_read_token(const char *path, char **token, bool *is_open, hp_err_t *err);

/* What a folder that was the default of an earlier release is now. */
typedef enum {
    HP_OLD_FOLDER_UNUSED, /* missing, or empty */
    HP_OLD_FOLDER_FILES,
    HP_OLD_FOLDER_CHECKOUT, /* there are files in it, and it lies in the root of a git checkout */
} hp_old_folder_t;
hp_old_folder_t hp_option_old_folder(const char *text);

void hp_option_clear_strings(hp_strings_t *list);

#endif
