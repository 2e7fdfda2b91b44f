/* The table of settings: what a person may change on the settings page, with "hostpair settings" or with
 * PATCH /api/v1/settings. Start-up, the API and the command all go by it: a new setting is one row in table.c
 * and, where a change has to reach a module, one hook in hooks.c.
 *
 * A value is text or a number (a switch is 0 or 1). In the database it is text. Nothing here changes after
 * the start; any thread. */
#ifndef HP_SETTINGS_TABLE_H
#define HP_SETTINGS_TABLE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "base/options.h"

typedef struct hp_settings hp_settings_t;

/* The parts of hostpair that hooks reach. All outlive hp_settings_stop(). */
typedef struct hp_settings_parts {
    struct hp_self *self;
    struct hp_share *share;
    struct hp_transfer *transfer;
    struct hp_discovery *discovery;
    struct hp_send_limit *send_limit; /* NULL: nobody asks it */
    struct hp_peer *peer;             /* NULL: nothing is served to other hosts */
    struct hp_inbox *inbox;           /* NULL: nothing is taken from others */
    struct hp_localsend *localsend;   /* NULL: LocalSend has no part in it */
    void (*name_changed)(void *arg);  /* self has another name now; NULL: nobody cares */
    void *arg;
} hp_settings_parts_t;

typedef enum {
    HP_SETTING_NAME,   /* 1 to HP_NAME_MAX bytes of printable text */
    HP_SETTING_FOLDER, /* an absolute path */
    HP_SETTING_NUMBER, /* min to max */
    HP_SETTING_SWITCH,
    HP_SETTING_WORD,     /* one of words */
    HP_SETTING_LANGUAGE, /* "auto" or the tag of a language */
    HP_SETTING_PIN,      /* "" or 4 to 12 digits */
    HP_SETTING_PATTERNS, /* of names (share/ignore.h) */
} hp_setting_type_t;

#define HP_SETTING_NO_OPTION SIZE_MAX

typedef void (*hp_setting_begun_fn)(void *arg, int status, const hp_err_t *err);

typedef struct hp_setting {
    const char *name; /* in the API, in the database and on the command line */
    hp_setting_type_t type;
    int64_t min, max;         /* of a number */
    const char *unit;         /* of a number, for people; NULL: a count */
    const char *const *words; /* NULL at the end */
    const char *fallback;     /* the default as text; NULL: find_default, or the option's own default */
    const char *help;         /* a clause without a full stop, as in --help */

    /* The option of the same meaning. A text option that was given wins over what is stored, until the next
     * change. A switch option that was given ("no-scan") keeps the setting off for as long as hostpair runs.
     */
    const char *option;          /* without the dashes; NULL: there is none */
    size_t option_value;         /* offset in hp_options_t of its text, or of the switch's flag */
    size_t option_given;         /* offset of the flag that says that a text was given */
    char *(*find_default)(void); /* malloced */

    /* Pool. Whether this value can be used: 0, or a code with the words in err. NULL: it always can. */
    int (*try_value)(const char *value, const hp_options_t *options, hp_err_t *err);

    /* Loop. Puts a value into effect before it is stored, since that may fail: begun is called later with the
     * outcome, unless begin itself returns a code. Called again with the old value and begun NULL when the
     * new one cannot be stored. NULL: there is nothing to do before. */
    int (*begin)(const hp_settings_parts_t *parts, const char *value, hp_setting_begun_fn begun, void *arg);

    /* Loop. Puts the present value into effect, at the start and after each change. Rows that share a hook
     * have it called once for all of them. NULL: the setting is read at each use. */
    int (*apply)(const hp_settings_t *settings, const hp_settings_parts_t *parts, hp_err_t *err);
} hp_setting_t;

extern const hp_setting_t hp_settings_table[];
extern const size_t hp_settings_count;

/* The row; NULL when there is no setting of that name. */
const hp_setting_t *hp_setting_find(const char *name);

static inline bool hp_setting_is_text(const hp_setting_t *row)
{
    return row->type == HP_SETTING_NAME || row->type == HP_SETTING_FOLDER || row->type == HP_SETTING_WORD ||
           row->type == HP_SETTING_LANGUAGE || row->type == HP_SETTING_PIN ||
           row->type == HP_SETTING_PATTERNS;
}

/* Whether the value is one that the row allows. 0, or HP_E_INVALID with words that begin with the setting's
 * name. */
int hp_setting_check_text(const hp_setting_t *row, const char *text, hp_err_t *err);
int hp_setting_check_number(const hp_setting_t *row, int64_t number, hp_err_t *err);

/* The number or switch (true, false; people may also write on, off, yes, no, 1, 0) that text stands for. 0,
 * or HP_E_INVALID as above. */
int hp_setting_parse_number(const hp_setting_t *row, const char *text, int64_t *number, hp_err_t *err);

#endif
