#include "base/user_dirs.h"

#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"

/* The length without slashes at the end. */
static size_t trimmed(const char *path)
{
    size_t n = strlen(path);
    while (n > 0 && path[n - 1] == '/')
        n--;
    return n;
}

static char *unless_home(const char *home, char *path)
{
    size_t n = trimmed(path);
    if (n > 0 && (n != trimmed(home) || memcmp(path, home, n) != 0))
        return path;
    free(path);
    return NULL;
}

/* What stands between the quotes, "\" taken out; NULL when the closing one is missing. Changes text. */
static char *unquote(char *text)
{
    char *out = text;
    for (char *p = text; *p != '\0'; p++) {
        if (*p == '"') {
            *out = '\0';
            return text;
        }
        if (*p == '\\' && p[1] != '\0')
            p++;
        *out++ = *p;
    }
    return NULL;
}

/* The path in a line XDG_<name>_DIR="$HOME/sub" or ="/sub"; NULL for any other line. */
static char *read_line(char *line, const char *home, const char *variable)
{
    static const char from_home[] = "$HOME";
    line += strspn(line, " \t");
    size_t n = strlen(variable);
    if (strncmp(line, variable, n) != 0)
        return NULL;
    line += n;
    line += strspn(line, " \t");
    if (*line++ != '=')
        return NULL;
    line += strspn(line, " \t");
    if (*line++ != '"')
        return NULL;
    bool below_home = strncmp(line, from_home, strlen(from_home)) == 0;
    if (below_home)
        line += strlen(from_home);
    if (*line != '/' && !(below_home && *line == '"'))
        return NULL;
    char *rest = unquote(line);
    return rest == NULL ? NULL : hp_sprintf("%s%s", below_home ? home : "", rest);
}

char *hp_user_dir(const char *home, const char *name)
{
    char *variable = hp_sprintf("XDG_%s_DIR", name);
    const char *config = getenv("XDG_CONFIG_HOME");
    char *file_path = config != NULL && config[0] == '/' ? hp_sprintf("%s/user-dirs.dirs", config)
                                                         : hp_sprintf("%s/.config/user-dirs.dirs", home);
    FILE *file = fopen(file_path, "re");
    char *found = NULL, *line = NULL;
    size_t room = 0;
    while (file != NULL && getline(&line, &room, file) >= 0) {
        char *path = read_line(line, home, variable);
        if (path == NULL)
            continue;
        free(found); /* the last one counts, as in the shell */
        found = path;
    }
    free(line);
    if (file != NULL)
        fclose(file);
    const char *given = getenv(variable);
    if (found == NULL && given != NULL && given[0] == '/')
        found = hp_strdup(given);
    free(file_path);
    free(variable);
    return found == NULL ? NULL : unless_home(home, found);
}
