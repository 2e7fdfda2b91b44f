/* Which names are left out of what is shared because a person does not want to offer them: a list of patterns
 * (fnmatch(3)), and names that begin with a dot.
 *
 * The patterns are separated by blanks; a blank in a name is matched by "?". Each is compared with one name,
 * never with a path: a folder that matches is left out with everything in it. Constant once made; any thread.
 */
#ifndef HP_SHARE_IGNORE_H
#define HP_SHARE_IGNORE_H

#include <stdbool.h>
#include <stddef.h>

#include "base/err.h"

#define HP_IGNORE_MAX 100 /* patterns */

/* What systems and editors leave behind. */
#define HP_IGNORE_DEFAULT                                                                                    \
    ".DS_Store ._* Thumbs.db desktop.ini .nfs* .fuse_hidden* *.swp *.swo ?*~ .#* #*# .~lock.*# ~$*"

typedef struct hp_ignore hp_ignore_t;

/* 0, or HP_E_INVALID, saying which pattern is wrong and why. */
int hp_ignore_check(const char *patterns, hp_err_t *err);

/* Of patterns that passed the check; others are left out. dotfiles: names with a dot are offered. */
hp_ignore_t *hp_ignore_create(const char *patterns, bool dotfiles);
void hp_ignore_destroy(hp_ignore_t *self); /* or NULL */

/* Whether it was made of these; NULL is made of none, with dotfiles. */
bool hp_ignore_is(const hp_ignore_t *self, const char *patterns, bool dotfiles);

/* Whether a name is ignored; and whether any name of a path is. self may be NULL: nothing is. */
bool hp_ignore_has(const hp_ignore_t *self, const char *name);
bool hp_ignore_has_path(const hp_ignore_t *self, const char *path);

#endif
