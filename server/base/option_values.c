#include "base/option_values.h"

#include <dirent.h>
#include <errno.h>
#include <limits.h>
#include <pwd.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/array.h"
#include "base/mem.h"
#include "base/path.h"
#include "base/user_dirs.h"
#include "base/utf8.h"

/* ---- folders ---- */

static const char *home(void)
{
    const char *given = getenv("HOME");
    if (given != NULL && given[0] == '/')
        return given;
    const struct passwd *entry = getpwuid(getuid());
    return entry != NULL && entry->pw_dir != NULL && entry->pw_dir[0] == '/' ? entry->pw_dir : NULL;
}

/* Takes out "." and empty segments and a slash at the end; ".." stays, since a link may stand before it. */
static void tidy(char *path)
{
    char *out = path;
    for (const char *p = path; *p != '\0';) {
        size_t n = strcspn(p, "/");
        if (n > 0 && !(n == 1 && *p == '.')) {
            *out++ = '/';
            memmove(out, p, n);
            out += n;
        }
        p += n;
        p += strspn(p, "/");
    }
    if (out == path)
        *out++ = '/';
    *out = '\0';
}

/* Folders that a default may begin with. */
static const struct {
    const char *variable;
    const char *user_dir; /* its name for hp_user_dir(); NULL: the variable stands in the environment alone */
    const char *below_home;
} standard[] = {
    {"$XDG_STATE_HOME/", NULL, ".local/state"},
    {"$XDG_DOWNLOAD_DIR/", "DOWNLOAD", "Downloads"},
    {"$XDG_PUBLICSHARE_DIR/", "PUBLICSHARE", "Public"},
};

/* The index of the one that text begins with, or the count. */
static size_t find_standard(const char *text)
{
    size_t i = 0;
    while (i < HP_COUNT(standard) && strncmp(text, standard[i].variable, strlen(standard[i].variable)) != 0)
        i++;
    return i;
}

/* Its path, malloced; NULL when it takes a home folder and there is none. */
static char *standard_folder(size_t i)
{
    char *folder = NULL;
    if (standard[i].user_dir == NULL) {
        char *name = hp_strndup(standard[i].variable + 1, strlen(standard[i].variable) - 2);
        const char *given = getenv(name);
        folder = given != NULL && given[0] == '/' ? hp_strdup(given) : NULL;
        free(name);
    } else if (home() != NULL) {
        folder = hp_user_dir(home(), standard[i].user_dir);
    }
    if (folder == NULL && home() != NULL)
        folder = hp_sprintf("%s/%s", home(), standard[i].below_home);
    return folder;
}

/* The absolute path, malloced, of what a person wrote or a default says; NULL with the words in err. */
static char *absolute(const char *text, hp_err_t *err)
{
    size_t i = find_standard(text);
    bool in_standard = i < HP_COUNT(standard),
         in_home = strncmp(text, "~/", 2) == 0 || strcmp(text, "~") == 0;
    char *path;
    if (text[0] == '/') {
        path = hp_strdup(text);
    } else if (in_standard || in_home) {
        const char *in = home();
        char *folder = in_standard ? standard_folder(i) : in != NULL ? hp_strdup(in) : NULL;
        if (folder == NULL) {
            hp_err_set(err, HP_E_INVALID, "there is no home folder for %s", text);
            return NULL;
        }
        path = hp_sprintf("%s/%s", folder, text + (in_standard ? strlen(standard[i].variable) : 1));
        free(folder);
    } else {
        char *here = getcwd(NULL, 0);
        if (here == NULL) {
            hp_err_set(err, HP_E_INVALID, "the current folder is not known (%s)", strerror(errno));
            return NULL;
        }
        path = hp_sprintf("%s/%s", here, text);
        free(here);
    }
    if (strlen(path) >= PATH_MAX) {
        hp_err_set(err, HP_E_INVALID, "the path is too long");
        free(path);
        return NULL;
    }
    tidy(path);
    return path;
}

static bool has_entries(const char *path)
{
    DIR *dir = opendir(path);
    const struct dirent *entry = NULL;
    while (dir != NULL && (entry = readdir(dir)) != NULL)
        if (strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0)
            break;
    if (dir != NULL)
        closedir(dir);
    return entry != NULL;
}

hp_old_folder_t hp_option_old_folder(const char *text)
{
    char *path = absolute(text, NULL);
    if (path == NULL || !has_entries(path)) {
        free(path);
        return HP_OLD_FOLDER_UNUSED;
    }
    char *slash = strrchr(path, '/');
    char *git = hp_sprintf("%.*s/.git", (int)(slash - path), path);
    struct stat st;
    bool checkout = lstat(git, &st) == 0;
    free(git);
    free(path);
    return checkout ? HP_OLD_FOLDER_CHECKOUT : HP_OLD_FOLDER_FILES;
}

/* ---- values ---- */

static void add_string(hp_strings_t *list, const char *text, size_t length)
{
    *hp_array_add(list) = hp_strndup(text, length);
}

void hp_option_clear_strings(hp_strings_t *list)
{
    for (size_t i = 0; i < list->count; i++)
        free(list->items[i]);
    hp_array_dispose(list);
}

static void replace(char **field, char *text)
{
    free(*field);
    *field = text;
}

static int check_address(const char *text, hp_err_t *err)
{
    char address[64];
    uint16_t port;
    int rc = hp_address_parse_url(text, HP_DEFAULT_PEER_PORT, address, &port, err);
    return rc == 0 && port == 0 ? hp_err_set(err, HP_E_INVALID, "\"%s\" has port 0", text) : rc;
}

static int check_place(const char *text, hp_err_t *err)
{
    char name[HP_ADDRESS_NAME_SIZE];
    uint16_t port;
    bool numeric;
    return hp_address_parse_any(text, HP_DEFAULT_PEER_PORT, name, &port, &numeric, err);
}

static int check_host_name(const char *text, hp_err_t *err)
{
    size_t length = strlen(text);
    if (length == 0 || length > 253)
        return hp_err_set(err, HP_E_INVALID, "\"%s\" is not a host name", text);
    for (size_t i = 0; i < length; i++) {
        unsigned char c = (unsigned char)text[i];
        if (c <= 0x20 || c >= 0x7f || strchr("/\\\"'@?#%,", c) != NULL)
            return hp_err_set(err, HP_E_INVALID, "\"%s\" is not a host name", text);
    }
    return 0;
}

static int check_name(const char *text, hp_err_t *err)
{
    size_t length = strlen(text);
    if (length == 0 || length > HP_NAME_MAX)
        return hp_err_set(err, HP_E_INVALID, "a name has 1 to %d bytes", HP_NAME_MAX);
    if (!hp_utf8_valid(text, length) || hp_utf8_has_control(text, length))
        return hp_err_set(err, HP_E_INVALID, "a name is UTF-8 text without control characters");
    return 0;
}

static int check_token(const char *text, hp_err_t *err)
{
    for (const char *p = text; *p != '\0'; p++)
        if (*p <= 0x20 || *p >= 0x7f)
            return hp_err_set(err, HP_E_INVALID, "a token may contain visible ASCII characters only");
    if (strlen(text) < HP_TOKEN_MIN)
        return hp_err_set(err, HP_E_INVALID, "a token has at least %d characters", HP_TOKEN_MIN);
    return 0;
}

int hp_option_read_token(const char *path, char **token, bool *is_open, hp_err_t *err)
{
    char text[1024];
    struct stat st;
    FILE *file = fopen(path, "re");
    if (file == NULL || fstat(fileno(file), &st) != 0) {
        int rc = hp_err_set(err, HP_E_INVALID, "%s: %s", path, hp_err_sentence(-errno));
        if (file != NULL)
            fclose(file);
        return rc;
    }
    size_t length = fread(text, 1, sizeof text - 1, file);
    bool failed = ferror(file) != 0, more = length == sizeof text - 1;
    fclose(file);
    while (length > 0 && strchr("\r\n \t", text[length - 1]) != NULL)
        length--;
    text[length] = '\0';
    int rc = 0;
    if (failed || more || length == 0)
        rc = hp_err_set(err, HP_E_INVALID, "%s %s", path,
                        failed ? "cannot be read"
                        : more ? "is too long for a token"
                               : "is empty");
    else if ((rc = check_token(text, err)) != 0)
        hp_err_prefix(err, "%s: ", path);
    else
        replace(token, hp_strdup(text));
    explicit_bzero(text, sizeof text);
    *is_open = (st.st_mode & (S_IRWXG | S_IRWXO)) != 0;
    return rc;
}

static int set_listen(hp_listen_t *listen, const char *text, hp_err_t *err)
{
    bool given = listen->given;
    uint16_t no_port = 0;
    const char *colon = strrchr(text, ':'), *bracket = strrchr(text, ']');
    bool has_port = bracket != NULL ? colon > bracket : colon != NULL && strchr(text, ':') == colon;
    hp_listen_t read = {.given = given};
    if (!has_port)
        return hp_err_set(err, HP_E_INVALID, "\"%s\" is not ADDR:PORT", text);
    int rc = hp_address_parse(text, no_port, read.address, &read.port, err);
    if (rc == 0)
        *listen = read;
    return rc;
}

static int set_folder(char **field, const char *text, bool must_exist, hp_err_t *err)
{
    struct stat st;
    char *path = absolute(text, err);
    if (path == NULL)
        return HP_E_INVALID;
    if (must_exist && (stat(path, &st) != 0 || !S_ISDIR(st.st_mode))) {
        hp_err_set(err, HP_E_INVALID, "%s is not a folder", path);
        free(path);
        return HP_E_INVALID;
    }
    replace(field, path);
    return 0;
}

/* Reads a list: one item on the command line, several between commas or spaces in the environment. */
static int add_items(hp_strings_t *list, const char *text, bool several,
                     int (*check)(const char *, hp_err_t *), hp_err_t *err)
{
    for (const char *p = text; *p != '\0';) {
        size_t n = several ? strcspn(p, ", ") : strlen(p);
        if (n > 0) {
            add_string(list, p, n);
            int rc = check(list->items[list->count - 1], err);
            if (rc != 0)
                return rc;
        }
        p += n;
        p += several ? strspn(p, ", ") : 0;
    }
    return 0;
}

/* A "=" that stands behind a "/" belongs to the path. */
static int add_folder(hp_strings_t *list, const char *text, hp_err_t *err)
{
    size_t length = strcspn(text, "=/");
    bool named = text[length] == '=';
    char *path = absolute(named ? text + length + 1 : text, err);
    if (path == NULL)
        return HP_E_INVALID;
    const char *name = hp_path_name(path);
    char *one = named ? hp_sprintf("%.*s=%s", (int)length, text, path) : hp_sprintf("%s=%s", name, path);
    int rc = one[0] != '=' ? 0 : hp_err_set(err, HP_E_INVALID, "%s: give it a name: NAME=%s", text, path);
    if (rc == 0)
        add_string(list, one, strlen(one));
    free(one);
    free(path);
    return rc;
}

static int add_folders(hp_strings_t *list, const char *text, bool several, hp_err_t *err)
{
    int rc = 0;
    for (const char *p = text; rc == 0 && *p != '\0';) {
        size_t n = several ? strcspn(p, ",") : strlen(p);
        char *one = hp_strndup(p, n);
        rc = n > 0 ? add_folder(list, one, err) : 0;
        free(one);
        p += n + (p[n] == ',');
    }
    return rc;
}

static int set_checked(char **field, const char *text, int (*check)(const char *, hp_err_t *), hp_err_t *err)
{
    int rc = check(text, err);
    if (rc == 0)
        replace(field, hp_strdup(text));
    return rc;
}

static int set_flag(bool *field, const char *text, hp_err_t *err)
{
    static const struct {
        const char *word;
        bool value;
    } words[] = {{"1", true},  {"true", true},   {"yes", true}, {"on", true},
                 {"0", false}, {"false", false}, {"no", false}, {"off", false}};
    for (size_t i = 0; i < HP_COUNT(words); i++) {
        if (strcasecmp(text, words[i].word) == 0) {
            *field = words[i].value;
            return 0;
        }
    }
    return hp_err_set(err, HP_E_INVALID, "\"%s\" is neither true nor false", text);
}

int hp_option_set(hp_option_kind_t kind, void *field, const char *text, bool several, hp_err_t *err)
{
    if (text[0] == '\0')
        return hp_err_set(err, HP_E_INVALID, "the value is empty");
    switch (kind) {
    case HP_OPTION_LISTEN:
        return set_listen(field, text, err);
    case HP_OPTION_ADDRESS:
        return set_checked(field, text, check_address, err);
    case HP_OPTION_ADDRESSES:
        return add_items(field, text, several, check_place, err);
    case HP_OPTION_NAMES:
        return add_items(field, text, several, check_host_name, err);
    case HP_OPTION_FOLDER:
    case HP_OPTION_FILE_PATH:
    case HP_OPTION_TOKEN_FILE:
        return set_folder(field, text, false, err);
    case HP_OPTION_NAMED_FOLDERS:
        return add_folders(field, text, several, err);
    case HP_OPTION_EXISTING_FOLDER:
        return set_folder(field, text, true, err);
    case HP_OPTION_TEXT:
        return set_checked(field, text, check_name, err);
    case HP_OPTION_TOKEN:
        return set_checked(field, text, check_token, err);
    case HP_OPTION_LEVEL:
        if (hp_log_level_parse(text, field) != 0)
            return hp_err_set(err, HP_E_INVALID, "\"%s\" is not one of error, warn, info, debug", text);
        return 0;
    case HP_OPTION_FLAG:
    case HP_OPTION_COMMAND:
        return set_flag(field, text, err);
    }
    return HP_E_INVALID;
}
