#include "settings/table.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/mem.h"
#include "base/path.h"
#include "base/utf8.h"
#include "settings/hooks.h"
#include "share/ignore.h"

#define OPTION(member) offsetof(hp_options_t, member)

#define LANGUAGE_MAX 35 /* bytes, as BCP 47 advises */

static const char *const accesses[] = {"everyone", "hosts", "paired", NULL};
static const char *const receives[] = {"ask", "paired", "everyone", "off", NULL};
static const char *const themes[] = {"auto", "light", "dark", NULL};

const hp_setting_t hp_settings_table[] = {
    {.name = "name",
     .type = HP_SETTING_NAME,
     .find_default = hp_settings_machine_name,
     .help = "what other hosts call this one",
     .option = "name",
     .option_value = OPTION(name),
     .option_given = OPTION(name_given),
     .apply = hp_settings_apply_name},
    {.name = "share_folder",
     .type = HP_SETTING_FOLDER,
     .help = "the folder offered to other hosts",
     .option = "share",
     .option_value = OPTION(share),
     .option_given = OPTION(share_given),
     .try_value = hp_settings_try_share,
     .begin = hp_settings_begin_share},
    {.name = "share_ignore",
     .type = HP_SETTING_PATTERNS,
     .fallback = HP_IGNORE_DEFAULT,
     .help = "names of files and folders that are not offered: patterns with * and ?, between blanks",
     .apply = hp_settings_apply_ignored},
    {.name = "share_dotfiles",
     .type = HP_SETTING_SWITCH,
     .fallback = "true",
     .help = "offer files and folders whose names begin with a dot",
     .apply = hp_settings_apply_ignored},
    {.name = "downloads_folder",
     .type = HP_SETTING_FOLDER,
     .help = "the folder that downloads land in",
     .option = "downloads",
     .option_value = OPTION(downloads),
     .option_given = OPTION(downloads_given),
     .try_value = hp_settings_try_downloads,
     .apply = hp_settings_apply_downloads},
    {.name = "down_limit_bps",
     .type = HP_SETTING_NUMBER,
     .max = INT64_MAX,
     .unit = "bytes/s",
     .fallback = "0",
     .help = "the speed that all downloads together may reach; 0: no limit",
     .apply = hp_settings_apply_transfer},
    {.name = "up_limit_bps",
     .type = HP_SETTING_NUMBER,
     .max = INT64_MAX,
     .unit = "bytes/s",
     .fallback = "0",
     .help = "the speed at which files may leave for all others together; 0: no limit",
     .apply = hp_settings_apply_up_limit},
    {.name = "running_downloads",
     .type = HP_SETTING_NUMBER,
     .min = 1,
     .max = 100,
     .fallback = "3",
     .help = "downloads that run at a time; the others wait in the queue",
     .apply = hp_settings_apply_transfer},
    {.name = "connections_per_source",
     .type = HP_SETTING_NUMBER,
     .min = 1,
     .max = 16,
     .fallback = "4",
     .help = "connections of one download to one host",
     .apply = hp_settings_apply_transfer},
    {.name = "scan",
     .type = HP_SETTING_SWITCH,
     .fallback = "true",
     .help = "look for hosts in the local networks from time to time",
     .option = "no-scan",
     .option_value = OPTION(no_scan),
     .apply = hp_settings_apply_discovery},
    {.name = "beacon",
     .type = HP_SETTING_SWITCH,
     .fallback = "true",
     .help = "announce this host by UDP, and hear the others",
     .option = "no-beacon",
     .option_value = OPTION(no_beacon),
     .apply = hp_settings_apply_discovery},
    {.name = "access",
     .type = HP_SETTING_WORD,
     .words = accesses,
     .fallback = "everyone",
     .help = "who may see and download what is shared: everyone (browsers, too), hosts that prove who they "
             "are, or paired ones",
     .apply = hp_settings_apply_access},
    {.name = "encrypt_content",
     .type = HP_SETTING_SWITCH,
     .fallback = "true",
     .help = "encrypt the content of files; off on both hosts, while access is everyone: large files go in "
             "plain, which is faster",
     .apply = hp_settings_apply_content},
    {.name = "keep_executable",
     .type = HP_SETTING_SWITCH,
     .fallback = "true",
     .help = "files that may be run at a host that has proven who it is may be run here once they are "
             "downloaded, of what was sent here only those of paired hosts; off: none of them",
     .apply = hp_settings_apply_transfer},
    {.name = "receive",
     .type = HP_SETTING_WORD,
     .words = receives,
     .fallback = "ask",
     .help = "what happens when somebody wants to send files here: a person is asked; paired hosts need not "
             "ask; everyone may; or nobody",
     .apply = hp_settings_apply_inbox},
    {.name = "receive_pin",
     .type = HP_SETTING_PIN,
     .fallback = "",
     .help = "4 to 12 digits that whoever sends files here has to know, but for paired hosts; empty: none",
     .apply = hp_settings_apply_inbox},
    {.name = "localsend",
     .type = HP_SETTING_SWITCH,
     .fallback = "true",
     .help = "let LocalSend devices of this network find this host and send files to it",
     .option = "no-localsend",
     .option_value = OPTION(no_localsend),
     .apply = hp_settings_apply_localsend},
    {.name = "language", .type = HP_SETTING_LANGUAGE, .fallback = "auto", .help = "the dashboard's language"},
    {.name = "theme",
     .type = HP_SETTING_WORD,
     .words = themes,
     .fallback = "auto",
     .help = "the dashboard's colours"},
};
const size_t hp_settings_count = HP_COUNT(hp_settings_table);

const hp_setting_t *hp_setting_find(const char *name)
{
    for (size_t i = 0; i < hp_settings_count; i++)
        if (strcmp(hp_settings_table[i].name, name) == 0)
            return &hp_settings_table[i];
    return NULL;
}

/* ---- which values are allowed ---- */

static int check_name(const char *name, const char *text, hp_err_t *err)
{
    size_t length = strlen(text);
    if (length == 0 || length > HP_NAME_MAX || strspn(text, " ") == length)
        return hp_err_set(err, HP_E_INVALID, "%s: must have 1 to %d bytes", name, HP_NAME_MAX);
    if (!hp_utf8_valid(text, length) || hp_utf8_has_control(text, length))
        return hp_err_set(err, HP_E_INVALID, "%s: must not contain control characters", name);
    return 0;
}

static int check_word(const hp_setting_t *row, const char *text, hp_err_t *err)
{
    char all[256] = "";
    for (const char *const *word = row->words; *word != NULL; word++) {
        size_t used = strlen(all);
        if (strcmp(*word, text) == 0)
            return 0;
        snprintf(all + used, sizeof all - used, "%s%s", used > 0 ? ", " : "", *word);
    }
    return hp_err_set(err, HP_E_INVALID, "%s: must be one of %s", row->name, all);
}

/* The tag of a language as BCP 47 builds it; which languages there are is the dashboard's business. */
static int check_language(const char *name, const char *text, hp_err_t *err)
{
    static const char subtag[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789";
    size_t length = strspn(text, subtag);
    bool valid = length >= 2 && length <= 3 && strlen(text) <= LANGUAGE_MAX;
    for (const char *rest = text + length; valid && *rest != '\0'; rest += length + 1) {
        length = strspn(rest + 1, subtag);
        valid = *rest == '-' && length >= 1 && length <= 8;
    }
    if (valid || strcmp(text, "auto") == 0)
        return 0;
    return hp_err_set(err, HP_E_INVALID, "%s: must be auto or the tag of a language, such as en or zh-CN",
                      name);
}

static int check_pin(const char *name, const char *text, hp_err_t *err)
{
    size_t length = strlen(text);
    if (length == 0 || (length >= 4 && length <= 12 && strspn(text, "0123456789") == length))
        return 0;
    return hp_err_set(err, HP_E_INVALID, "%s: must have 4 to 12 digits, or be empty", name);
}

static int check_patterns(const char *name, const char *text, hp_err_t *err)
{
    int rc = hp_ignore_check(text, err);
    if (rc != 0)
        hp_err_prefix(err, "%s: ", name);
    return rc;
}

int hp_setting_check_text(const hp_setting_t *row, const char *text, hp_err_t *err)
{
    if (row->type == HP_SETTING_NAME)
        return check_name(row->name, text, err);
    if (row->type == HP_SETTING_WORD)
        return check_word(row, text, err);
    if (row->type == HP_SETTING_LANGUAGE)
        return check_language(row->name, text, err);
    if (row->type == HP_SETTING_PIN)
        return check_pin(row->name, text, err);
    if (row->type == HP_SETTING_PATTERNS)
        return check_patterns(row->name, text, err);
    if (text[0] != '/' || strlen(text) > HP_PATH_MAX)
        return hp_err_set(err, HP_E_INVALID, "%s: must be an absolute path", row->name);
    return 0;
}

int hp_setting_check_number(const hp_setting_t *row, int64_t number, hp_err_t *err)
{
    if (row->type == HP_SETTING_SWITCH || (number >= row->min && number <= row->max))
        return 0;
    if (row->max == INT64_MAX)
        return hp_err_set(err, HP_E_INVALID, "%s: must be a whole number of at least %lld", row->name,
                          (long long)row->min);
    return hp_err_set(err, HP_E_INVALID, "%s: must be a whole number from %lld to %lld", row->name,
                      (long long)row->min, (long long)row->max);
}

static int parse_switch(const hp_setting_t *row, const char *text, int64_t *number, hp_err_t *err)
{
    static const char *const on[] = {"true", "on", "yes", "1"}, *const off[] = {"false", "off", "no", "0"};
    for (size_t i = 0; i < HP_COUNT(on); i++) {
        *number = strcasecmp(text, on[i]) == 0;
        if (*number == 1 || strcasecmp(text, off[i]) == 0)
            return 0;
    }
    return hp_err_set(err, HP_E_INVALID, "%s: must be true or false", row->name);
}

int hp_setting_parse_number(const hp_setting_t *row, const char *text, int64_t *number, hp_err_t *err)
{
    char *end;
    if (row->type == HP_SETTING_SWITCH)
        return parse_switch(row, text, number, err);
    errno = 0;
    long long value = strtoll(text, &end, 10);
    if (errno != 0 || end == text || *end != '\0')
        return hp_err_set(err, HP_E_INVALID, "%s: must be a whole number", row->name);
    *number = value;
    return hp_setting_check_number(row, value, err);
}
