#include "cli/man.h"

#include <string.h>

#include "cli/internal.h"
#include "settings/table.h"

/* Text as roff takes it: nothing in it is a command, and a dash is the one that is typed. */
static void text(FILE *out, const char *words)
{
    bool line_start = true;
    for (const char *p = words; *p != '\0'; p++) {
        if (line_start && (*p == '.' || *p == '\''))
            fputs("\\&", out);
        line_start = *p == '\n';
        if (*p == '\\')
            fputs("\\e", out);
        else if (*p == '-')
            fputs("\\-", out);
        else
            fputc(*p, out);
    }
}

/* "A clause" becomes "A clause.". */
static void sentence(FILE *out, const char *clause)
{
    char first[2] = {clause[0], '\0'};
    if (first[0] >= 'a' && first[0] <= 'z')
        first[0] = (char)(first[0] - 'a' + 'A');
    text(out, first);
    text(out, clause + 1);
    fputs(".\n", out);
}

static void tagged(FILE *out, const char *before, const char *name, const char *value)
{
    fputs(".TP\n\\fB", out);
    text(out, before);
    text(out, name);
    fputs("\\fR", out);
    if (value != NULL) {
        fputs(" \\fI", out);
        text(out, value);
        fputs("\\fR", out);
    }
    fputc('\n', out);
}

static void option(void *arg, const hp_option_help_t *help)
{
    FILE *out = arg;
    tagged(out, "--", help->name, help->value);
    sentence(out, help->help);
    if (help->fallback != NULL) {
        fputs("Default: ", out);
        text(out, help->fallback);
        fputs(".\n", out);
    }
    if (help->variable != NULL) {
        fputs("Environment: ", out);
        text(out, help->variable);
        fputs(".\n", out);
    }
}

static void flag(void *arg, const char *name, const char *value, const char *help)
{
    FILE *out = arg;
    tagged(out, "--", name, value);
    sentence(out, help);
}

static void command(FILE *out, const hp_command_t *row)
{
    fputs(".SS \"", out);
    text(out, row->name);
    if (row->arguments != NULL) {
        fputc(' ', out);
        text(out, row->arguments);
    }
    fputs("\"\n", out);
    sentence(out, row->sentence);
    if (row->more != NULL)
        text(out, row->more);
    hp_cli_each_flag(row, flag, out);
}

static void setting(FILE *out, const hp_setting_t *row)
{
    tagged(out, "", row->name, row->unit);
    sentence(out, row->help);
    if (row->type == HP_SETTING_SWITCH)
        fputs("Values: true, false.\n", out);
    if (row->type == HP_SETTING_NUMBER && row->max < INT64_MAX)
        fprintf(out, "Values: %lld to %lld.\n", (long long)row->min, (long long)row->max);
    if (row->type == HP_SETTING_WORD) {
        fputs("Values: ", out);
        for (const char *const *word = row->words; *word != NULL; word++) {
            text(out, *word);
            fputs(word[1] != NULL ? ", " : ".\n", out);
        }
    }
    if (row->fallback != NULL) {
        fputs("Default: ", out);
        text(out, row->fallback);
        fputs(".\n", out);
    }
}

void hp_man_print(FILE *out)
{
    fputs(".TH HOSTPAIR 1 \"\" \"hostpair " HP_VERSION "\" \"User commands\"\n"
          ".SH NAME\nhostpair \\- share files with the other hosts of the network\n"
          ".SH SYNOPSIS\n\\fBhostpair\\fR [\\fIOPTION\\fR]...\n.br\n"
          "\\fBhostpair\\fR \\fICOMMAND\\fR [\\fIARGUMENT\\fR]...\n"
          ".SH DESCRIPTION\n"
          "Without a command, hostpair shares a folder with the other hosts of the network, finds them, "
          "downloads "
          "from them, and serves a dashboard for a browser on this machine. A command asks the hostpair that "
          "runs "
          "already.\n"
          ".SH OPTIONS\n"
          "The command line wins over the environment. A repeatable option takes several values between "
          "commas in "
          "the environment, and one without a value takes 1 or 0.\n",
          out);
    hp_options_each(option, out);
    fputs(".SH COMMANDS\nA command also takes the options that tell where the running hostpair is: "
          "\\fB\\-\\-dashboard\\-listen\\fR, \\fB\\-\\-data\\fR, \\fB\\-\\-dashboard\\-token\\fR and "
          "\\fB\\-\\-dashboard\\-token\\-file\\fR.\n",
          out);
    for (const hp_command_t *row = hp_commands; row->name != NULL; row++)
        command(out, row);
    fputs(".SH SETTINGS\nThey are changed on the dashboard or with \\fBhostpair settings\\fR, take effect at "
          "once and "
          "stay over a restart.\n",
          out);
    for (size_t i = 0; i < hp_settings_count; i++)
        setting(out, &hp_settings_table[i]);
    fputs(".SH EXIT STATUS\n.TP\n0\nIt is done.\n.TP\n1\nIt failed; the reason is printed.\n.TP\n2\nWrong "
          "use.\n.TP\n"
          "3\nNo hostpair runs.\n.TP\n130\nCtrl\\-C.\n",
          out);
}
