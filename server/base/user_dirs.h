/* The folders that a desktop gives its user, such as the one for downloads, by the rules of xdg-user-dir(1).
 * Any thread; blocks. */
#ifndef HP_BASE_USER_DIRS_H
#define HP_BASE_USER_DIRS_H

/* The absolute path, malloced, of the user's folder called `name` ("DOWNLOAD", "PUBLICSHARE"): what
 * $XDG_CONFIG_HOME/user-dirs.dirs says (~/.config where that is not set), else the environment's
 * XDG_<name>_DIR. NULL when neither names a folder, or names the home folder itself, which stands for none.
 */
char *hp_user_dir(const char *home, const char *name);

#endif
