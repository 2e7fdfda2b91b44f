// libs: base
#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/mem.h"
#include "base/options.h"

static hp_options_t options;
static hp_err_t err;

static const char *const variables[] = {"HOSTPAIR_PEER_LISTEN", "HOSTPAIR_SHARE",          "HOSTPAIR_HOST",
                                        "HOSTPAIR_NO_SCAN",     "HOSTPAIR_NAME",           "HOSTPAIR_LOG",
                                        "HOSTPAIR_HELP",        "HOSTPAIR_DASHBOARD_TOKEN"};

static int set_up(void **state)
{
    (void)state;
    for (size_t i = 0; i < HP_COUNT(variables); i++)
        unsetenv(variables[i]);
    unsetenv("XDG_STATE_HOME");
    unsetenv("XDG_CONFIG_HOME");
    unsetenv("XDG_DOWNLOAD_DIR");
    unsetenv("XDG_PUBLICSHARE_DIR");
    setenv("HOME", "/home/anna", 1);
    options = (hp_options_t){0};
    err = (hp_err_t){0};
    return chdir("/");
}

static int tear_down(void **state)
{
    (void)state;
    hp_options_dispose(&options);
    return 0;
}

/* Reads the arguments up to NULL. */
#define READ(...) read_all((char *[]){(char[]){"hostpair"}, __VA_ARGS__ NULL})
static int read_all(char **argv)
{
    int argc = 0;
    while (argv[argc] != NULL)
        argc++;
    hp_options_dispose(&options);
    return hp_options_read(&options, argc, argv, &err);
}

static void nothing_given_gives_the_defaults(void **state)
{
    (void)state;
    assert_int_equal(READ(), 0);
    assert_string_equal(options.peer_listen.address, "::");
    assert_int_equal(options.peer_listen.port, HP_DEFAULT_PEER_PORT);
    assert_false(options.peer_listen.given);
    assert_string_equal(options.dashboard_listen.address, "127.0.0.1");
    assert_int_equal(options.dashboard_listen.port, HP_DEFAULT_DASHBOARD_PORT);
    assert_string_equal(options.share, "/home/anna/Public/hostpair");
    assert_string_equal(options.downloads, "/home/anna/Downloads/hostpair");
    assert_string_equal(options.data, "/home/anna/.local/state/hostpair");
    assert_false(options.share_given || options.downloads_given || options.name_given);
    assert_null(options.name);
    assert_null(options.dashboard_token);
    assert_int_equal(options.log, HP_LOG_INFO);
    assert_int_equal(options.hosts.count, 0);
    assert_false(options.no_scan || options.no_beacon || options.no_localsend || options.help ||
                 options.version);
    assert_int_equal(READ("--no-localsend", ), 0);
    assert_true(options.no_localsend && !options.no_beacon);
    assert_int_equal(READ("--no-beacon", ), 0);
    assert_true(options.no_localsend);
}

static void a_value_may_follow_or_stand_after_an_equals_sign(void **state)
{
    (void)state;
    assert_int_equal(READ("--name", "Anna's laptop", "--log=debug", "--peer-listen=127.0.0.1:0", ), 0);
    assert_string_equal(options.name, "Anna's laptop");
    assert_true(options.name_given);
    assert_int_equal(options.log, HP_LOG_DEBUG);
    assert_int_equal(options.peer_listen.port, 0);
    assert_true(options.peer_listen.given);
}

static void the_environment_gives_what_the_command_line_does_not(void **state)
{
    (void)state;
    setenv("HOSTPAIR_NAME", "from env", 1);
    setenv("HOSTPAIR_LOG", "warn", 1);
    setenv("HOSTPAIR_NO_SCAN", "1", 1);
    setenv("HOSTPAIR_SHARE", "/srv/share", 1);
    assert_int_equal(READ("--name=from line", ), 0);
    assert_string_equal(options.name, "from line");
    assert_int_equal(options.log, HP_LOG_WARN);
    assert_true(options.no_scan);
    assert_true(options.share_given);
    assert_string_equal(options.share, "/srv/share");
}

static void an_empty_variable_counts_as_none(void **state)
{
    (void)state;
    setenv("HOSTPAIR_NAME", "", 1);
    setenv("HOSTPAIR_NO_SCAN", "", 1);
    assert_int_equal(READ(), 0);
    assert_false(options.name_given);
    assert_false(options.no_scan);
}

static void the_environment_cannot_ask_for_help(void **state)
{
    (void)state;
    setenv("HOSTPAIR_HELP", "1", 1);
    assert_int_equal(READ(), 0);
    assert_false(options.help);
}

static void a_repeatable_option_collects_and_the_command_line_replaces_the_environment(void **state)
{
    (void)state;
    setenv("HOSTPAIR_HOST", "10.0.0.1, [fe80::1%eth0]:80 10.0.0.2:9", 1);
    assert_int_equal(READ(), 0);
    assert_int_equal(options.hosts.count, 3);
    assert_string_equal(options.hosts.items[1], "[fe80::1%eth0]:80");
    assert_int_equal(READ("--host", "127.0.0.1", "--host=127.0.0.2:80", ), 0);
    assert_int_equal(options.hosts.count, 2);
    assert_string_equal(options.hosts.items[0], "127.0.0.1");
    assert_string_equal(options.hosts.items[1], "127.0.0.2:80");
}

static void paths_become_absolute_and_tidy(void **state)
{
    (void)state;
    assert_int_equal(chdir("/usr"), 0);
    assert_int_equal(READ("--share", "bin/./x//", "--downloads=~/in", "--data", "/a/../b", ), 0);
    assert_string_equal(options.share, "/usr/bin/x");
    assert_string_equal(options.downloads, "/home/anna/in");
    assert_string_equal(options.data, "/a/../b");
}

static void the_data_folder_follows_xdg_when_that_is_absolute(void **state)
{
    (void)state;
    setenv("XDG_STATE_HOME", "/var/state", 1);
    assert_int_equal(READ(), 0);
    assert_string_equal(options.data, "/var/state/hostpair");
    setenv("XDG_STATE_HOME", "relative", 1);
    assert_int_equal(READ(), 0);
    assert_string_equal(options.data, "/home/anna/.local/state/hostpair");
}

/* A home folder of this process, in `home`, with .config in it. */
static char home[64];
static void remove_home(void)
{
    char *command = hp_sprintf("rm -rf %s", home);
    assert_int_equal(system(command), 0);
    free(command);
}

static void make_home(void)
{
    snprintf(home, sizeof home, "/tmp/hostpair-options-%d", (int)getpid());
    remove_home();
    char *config = hp_sprintf("%s/.config", home);
    assert_int_equal(mkdir(home, 0755), 0);
    assert_int_equal(mkdir(config, 0755), 0);
    free(config);
    setenv("HOME", home, 1);
}

static void write_below_home(const char *path, const char *text)
{
    char *full = hp_sprintf("%s/%s", home, path);
    FILE *file = fopen(full, "w");
    assert_non_null(file);
    fputs(text, file);
    fclose(file);
    free(full);
}

static void make_below_home(const char *path)
{
    char *full = hp_sprintf("%s/%s", home, path);
    assert_int_equal(mkdir(full, 0755), 0);
    free(full);
}

#define assert_below_home(path, rest)                                                                        \
    do {                                                                                                     \
        char *full = hp_sprintf("%s/%s", home, rest);                                                        \
        assert_string_equal(path, full);                                                                     \
        free(full);                                                                                          \
    } while (0)

static void the_user_s_own_folders_are_found_as_xdg_user_dir_does(void **state)
{
    (void)state;
    make_home();
    write_below_home(".config/user-dirs.dirs",
                     "# XDG_DOWNLOAD_DIR=\"$HOME/no\"\n"
                     "XDG_DOWNLOAD_DIR=\"$HOME/first\"\n"
                     "  XDG_DOWNLOAD_DIR = \"$HOME/T\303\251l\303\251 \\\"x\\\"/\"\n"
                     "XDG_PUBLICSHARE_DIR=\"/srv/public\"\n"
                     "XDG_PUBLICSHARE_DIR=\"relative\"\n"
                     "XDG_PUBLICSHARE_DIR=\"/unclosed\n"
                     "XDG_PUBLICSHARE_DIR=\"$HOMEsick\"\n");
    setenv("XDG_PUBLICSHARE_DIR", "/from/environment", 1);
    assert_int_equal(READ(), 0);
    assert_below_home(options.downloads, "T\303\251l\303\251 \"x\"/hostpair");
    assert_string_equal(options.share, "/srv/public/hostpair");

    /* The home folder itself stands for none; so does no file, but then the environment counts. */
    write_below_home(".config/user-dirs.dirs", "XDG_DOWNLOAD_DIR=\"$HOME/\"\n");
    assert_int_equal(READ(), 0);
    assert_below_home(options.downloads, "Downloads/hostpair");
    assert_string_equal(options.share, "/from/environment/hostpair");

    setenv("XDG_CONFIG_HOME", home, 1);
    write_below_home("user-dirs.dirs", "XDG_DOWNLOAD_DIR=\"$HOME/elsewhere\"\n");
    assert_int_equal(READ(), 0);
    assert_below_home(options.downloads, "elsewhere/hostpair");
    remove_home();
}

static void folders_of_earlier_releases_are_used_where_files_lie_in_them(void **state)
{
    (void)state;
    make_home();
    make_below_home("hostpair");
    make_below_home("hostpair/shared");
    make_below_home("hostpair/downloads");
    write_below_home("hostpair/downloads/.film.1.hostpair-part", "");
    assert_int_equal(READ(), 0);
    assert_below_home(options.downloads, "hostpair/downloads");
    assert_below_home(options.share, "Public/hostpair");
    assert_null(options.left[0]);

    /* In a checkout they are not, which is told. */
    make_below_home("hostpair/.git");
    write_below_home("hostpair/shared/film", "");
    assert_int_equal(READ(), 0);
    assert_below_home(options.downloads, "Downloads/hostpair");
    assert_below_home(options.share, "Public/hostpair");
    assert_string_equal(options.left[0], "~/hostpair/shared");
    assert_string_equal(options.left[1], "~/hostpair/downloads");

    /* A folder that is given needs no default. */
    assert_int_equal(READ("--share", "/srv", ), 0);
    assert_string_equal(options.share, "/srv");
    assert_string_equal(options.left[0], "~/hostpair/downloads");
    assert_null(options.left[1]);
    remove_home();
}

static void without_home_the_passwd_entry_is_used(void **state)
{
    (void)state;
    unsetenv("HOME");
    const struct passwd *entry = getpwuid(getuid());
    assert_non_null(entry);
    char expected[512];
    snprintf(expected, sizeof expected, "%s/Public/hostpair",
             strcmp(entry->pw_dir, "/") == 0 ? "" : entry->pw_dir);
    assert_int_equal(READ(), 0);
    assert_string_equal(options.share, expected);
}

/* The arguments are refused with one line that names the option. */
#define REFUSED(named, ...)                                                                                  \
    do {                                                                                                     \
        assert_int_equal(READ(__VA_ARGS__), HP_E_INVALID);                                                   \
        print_message("%s\n", err.detail);                                                                   \
        assert_non_null(strstr(err.detail, named));                                                          \
        assert_null(strchr(err.detail, '\n'));                                                               \
    } while (0)

static void shared_folders_have_names_and_absolute_paths(void **state)
{
    (void)state;
    assert_int_equal(chdir("/usr"), 0);
    setenv("HOSTPAIR_SHARE_FOLDER", "/srv/with blanks/,b=/srv/c,", 1);
    assert_int_equal(READ(), 0);
    assert_int_equal(options.folders.count, 2);
    assert_string_equal(options.folders.items[0], "with blanks=/srv/with blanks");
    assert_string_equal(options.folders.items[1], "b=/srv/c");
    assert_int_equal(READ("--share-folder", "/srv/a=b", "--share-folder=My photos=x/y,z", ), 0);
    assert_int_equal(options.folders.count, 2);
    assert_string_equal(options.folders.items[0], "a=b=/srv/a=b");
    assert_string_equal(options.folders.items[1], "My photos=/usr/x/y,z");
    unsetenv("HOSTPAIR_SHARE_FOLDER");
}

static void a_bad_value_is_refused_naming_the_option(void **state)
{
    (void)state;
    REFUSED("--peer-listen", "--peer-listen", "nonsense", );
    REFUSED("--peer-listen", "--peer-listen", "1.2.3.4", );
    REFUSED("--peer-listen", "--peer-listen", "1.2.3.4:65536", );
    REFUSED("--peer-listen", "--peer-listen", "::1:80", );
    REFUSED("--dashboard-listen", "--dashboard-listen=localhost:80", );
    REFUSED("--host", "--host", "1.2.3", );
    REFUSED("--host", "--host", "1.2.3.4:0", );
    REFUSED("--advertise", "--advertise", "x:1", );
    REFUSED("--log", "--log", "loud", );
    REFUSED("--name", "--name", "a\nb", );
    REFUSED("--name", "--name=", );
    REFUSED("--no-scan", "--no-scan=perhaps", );
    REFUSED("--share", "--share", );
    REFUSED("--share", "--share", "--no-scan", );
    REFUSED("--share-folder", "--share-folder", "/", );
    REFUSED("--share-folder", "--share-folder", "=/srv/a", );
    REFUSED("--share-folder", "--share-folder", "", );
    REFUSED("--allow-host", "--allow-host", "a/b", );
    REFUSED("--dashboard-token", "--dashboard-token", "two words", );
    REFUSED("--web-root", "--web-root", "/no/such/folder", );
    REFUSED("--colour", "--colour", );
    REFUSED("--", "--", );
}

static void a_command_ends_the_options(void **state)
{
    (void)state;
    assert_int_equal(READ("--data", "/srv/data", "hosts", "--json", "--log", "loud", ), 0);
    assert_int_equal(options.command, 3);
    assert_string_equal(options.data, "/srv/data");
    assert_true(options.data_given);
    assert_int_equal(READ("--name", "hosts", ), 0);
    assert_int_equal(options.command, 0);
    assert_false(options.data_given);
    /* What only a server needs is not asked of a command. */
    assert_int_equal(READ("--dashboard-listen", "0.0.0.0:9001", "hosts", ), 0);
    assert_int_equal(options.command, 3);
    REFUSED("--log", "--log", "loud", "hosts", );
}

static void a_command_takes_the_options_that_find_hostpair(void **state)
{
    (void)state;
    char *words[] = {(char[]){"hostpair"},          (char[]){"ls"},           (char[]){"--data=/srv/d"},
                     (char[]){"--dashboard-token"}, (char[]){"s3cret-token"}, (char[]){"--share"},
                     (char[]){"--dashboard-listen"}};
    int index = 2, count = (int)HP_COUNT(words);
    assert_int_equal(READ("ls", ), 0);
    assert_int_equal(hp_options_read_client(&options, count, words, &index, &err), 0);
    assert_string_equal(options.data, "/srv/d");
    assert_int_equal(index, 2);
    index = 3;
    assert_int_equal(hp_options_read_client(&options, count, words, &index, &err), 0);
    assert_string_equal(options.dashboard_token, "s3cret-token");
    assert_int_equal(index, 4);
    index = 5;
    assert_int_equal(hp_options_read_client(&options, count, words, &index, &err), HP_E_NOT_FOUND);
    index = 6;
    assert_int_equal(hp_options_read_client(&options, count, words, &index, &err), HP_E_INVALID);
    assert_non_null(strstr(err.detail, "--dashboard-listen"));
}

static void a_bad_variable_is_named_with_its_option(void **state)
{
    (void)state;
    setenv("HOSTPAIR_LOG", "loud", 1);
    assert_int_equal(READ(), HP_E_INVALID);
    assert_non_null(strstr(err.detail, "--log (from HOSTPAIR_LOG)"));
}

static void listening_beyond_loopback_needs_a_token(void **state)
{
    (void)state;
    REFUSED("--dashboard-listen", "--dashboard-listen", "0.0.0.0:9001", );
    REFUSED("--dashboard-token", "--dashboard-listen", "[::]:9001", );
    assert_int_equal(READ("--dashboard-listen", "0.0.0.0:9001", "--dashboard-token", "s3cret-token", ), 0);
    const char *const loopback[] = {"127.0.0.1:0", "127.9.9.9:0", "[::1]:0", "[::ffff:127.0.0.1]:0"};
    for (size_t i = 0; i < HP_COUNT(loopback); i++)
        assert_int_equal(READ("--dashboard-listen", (char *)(uintptr_t)loopback[i], ), 0);
}

static void a_token_is_long_enough_and_may_stand_in_a_file(void **state)
{
    (void)state;
    char path[] = "/tmp/hostpair-token-XXXXXX", option[64];
    int fd = mkstemp(path); /* mode 0600 */
    assert_true(fd >= 0);
    snprintf(option, sizeof option, "--dashboard-token-file=%s", path);
    REFUSED("--dashboard-token", "--dashboard-token", "1234567", );
    REFUSED("--dashboard-token-file", option, ); /* empty */
    assert_int_equal(write(fd, "short\n", 6), 6);
    REFUSED("has at least 8 characters", option, );
    assert_int_equal(pwrite(fd, "from-the-file \r\n", 16, 0), 16);
    assert_int_equal(READ(option, "--dashboard-listen", "0.0.0.0:9001", ), 0);
    assert_string_equal(options.dashboard_token, "from-the-file");
    assert_false(options.token_file_open);
    assert_int_equal(fchmod(fd, 0640), 0);
    assert_int_equal(READ(option, ), 0);
    assert_true(options.token_file_open);
    assert_int_equal(READ(option, "--dashboard-token", "12345678", ), 0); /* the last one counts */
    assert_string_equal(options.dashboard_token, "12345678");
    setenv("HOSTPAIR_DASHBOARD_TOKEN_FILE", path, 1);
    assert_int_equal(READ(), 0);
    assert_string_equal(options.dashboard_token, "from-the-file");
    unsetenv("HOSTPAIR_DASHBOARD_TOKEN_FILE");
    for (int i = 0; i < 100; i++)
        assert_int_equal(write(fd, "0123456789abcdef", 16), 16);
    REFUSED("too long", option, );
    unlink(path);
    REFUSED("--dashboard-token-file", option, );
    close(fd);
}

static void the_database_never_lies_in_the_shared_folder(void **state)
{
    (void)state;
    REFUSED("--data", "--share", "/srv", "--data", "/srv/data", );
    REFUSED("--data", "--share", "/srv", "--data", "/srv/", );
    assert_int_equal(READ("--share", "/srv", "--data", "/srv2", ), 0);
}

static void help_and_version_need_nothing_else_to_be_right(void **state)
{
    (void)state;
    assert_int_equal(READ("--help", "--dashboard-listen", "0.0.0.0:9001", ), 0);
    assert_true(options.help);
    assert_int_equal(READ("-h", ), 0);
    assert_true(options.help);
    assert_int_equal(READ("--version", ), 0);
    assert_true(options.version);
    assert_int_equal(READ("--check", "--dashboard-listen", "0.0.0.0:9001", ), 0);
    assert_true(options.check);
}

static void addresses_are_read_in_every_form(void **state)
{
    (void)state;
    const struct {
        const char *text, *address;
        int port;
    } cases[] = {{"1.2.3.4", "1.2.3.4", 7},
                 {"1.2.3.4:80", "1.2.3.4", 80},
                 {"::1", "::1", 7},
                 {"[::1]", "::1", 7},
                 {"[::1]:80", "::1", 80},
                 {"fe80::1%eth0", "fe80::1%eth0", 7},
                 {"[FE80:0::1%eth0]:65535", "fe80::1%eth0", 65535},
                 {"1.2.3.4:0", "1.2.3.4", 0}};
    for (size_t i = 0; i < HP_COUNT(cases); i++) {
        char address[64];
        uint16_t port;
        assert_int_equal(hp_address_parse(cases[i].text, 7, address, &port, NULL), 0);
        assert_string_equal(address, cases[i].address);
        assert_int_equal(port, cases[i].port);
    }
    const char *const bad[] = {"",
                               ":",
                               ":80",
                               "1.2.3.4:",
                               "1.2.3.4:x",
                               "1.2.3.4:-1",
                               "1.2.3.4:80x",
                               "[::1",
                               "[::1]80",
                               "[1.2.3.4]:80",
                               "host",
                               "256.1.1.1",
                               "fe80::1%",
                               "[]:1",
                               "1.2.3.4:99999999999999999999",
                               "fe80::1%name-that-is-too-long-for-linux"};
    for (size_t i = 0; i < HP_COUNT(bad); i++) {
        char address[64];
        uint16_t port;
        print_message("%s\n", bad[i]);
        assert_int_equal(hp_address_parse(bad[i], 7, address, &port, NULL), HP_E_INVALID);
    }
}

static void an_address_may_be_a_url(void **state)
{
    (void)state;
    const struct {
        const char *text, *address;
        int port;
    } cases[] = {{"http://1.2.3.4:80", "1.2.3.4", 80},
                 {"HTTP://1.2.3.4/", "1.2.3.4", 7},
                 {"http://[fe80::1%25eth0]:9/", "fe80::1%eth0", 9},
                 {"https://1.2.3.4:80/", "1.2.3.4", 80},
                 {"1.2.3.4:80", "1.2.3.4", 80}};
    for (size_t i = 0; i < HP_COUNT(cases); i++) {
        char address[64];
        uint16_t port;
        assert_int_equal(hp_address_parse_url(cases[i].text, 7, address, &port, NULL), 0);
        assert_string_equal(address, cases[i].address);
        assert_int_equal(port, cases[i].port);
    }
    const char *const bad[] = {"http://", "http:///", "ftp://1.2.3.4", "http://1.2.3.4/films", "http://host"};
    for (size_t i = 0; i < HP_COUNT(bad); i++) {
        char address[64];
        uint16_t port;
        print_message("%s\n", bad[i]);
        assert_int_equal(hp_address_parse_url(bad[i], 7, address, &port, NULL), HP_E_INVALID);
    }
}

static void addresses_are_written_with_brackets_where_needed(void **state)
{
    (void)state;
    char out[HP_ADDRESS_SIZE];
    assert_string_equal(hp_address_format("1.2.3.4", 80, out), "1.2.3.4:80");
    assert_string_equal(hp_address_format("fe80::1%eth0", 9000, out), "[fe80::1%eth0]:9000");
}

static void limits_count_an_ipv4_address_and_a_network_of_ipv6(void **state)
{
    static const struct {
        const char *address, *client;
    } cases[] = {
        {"192.168.1.2", "192.168.1.2"},
        {"::ffff:192.168.1.2", "192.168.1.2"},
        {"2001:db8:0:1:2:3:4:5", "2001:db8:0:1::"},
        {"fe80::1%eth0", "fe80::"},
        {"", ""},
        {"attic", "attic"},
    };
    char out[HP_ADDRESS_CLIENT_SIZE];
    (void)state;
    for (size_t i = 0; i < HP_COUNT(cases); i++)
        assert_string_equal(hp_address_client(cases[i].address, out), cases[i].client);
    assert_true(hp_address_same_client("2001:db8::1", "2001:db8::ffff:2"));
    assert_false(hp_address_same_client("2001:db8::1", "2001:db8:0:1::1"));
    assert_false(hp_address_same_client("10.0.0.1", "10.0.0.2"));
}

static char *read_text(FILE *file)
{
    assert_int_equal(fseek(file, 0, SEEK_END), 0);
    long size = ftell(file);
    assert_true(size > 0);
    rewind(file);
    char *text = malloc((size_t)size + 1);
    assert_non_null(text);
    assert_int_equal(fread(text, 1, (size_t)size, file), size);
    text[size] = '\0';
    return text;
}

/* README's table has a row "| `--name VALUE` | default | what it does |" for every line of --help, and no
 * other. */
static void the_readme_lists_the_options_as_help_does(void **state)
{
    (void)state;
    FILE *readme = fopen(HP_SOURCE_DIR "/README.md", "r"), *printed = tmpfile();
    assert_non_null(readme);
    assert_non_null(printed);
    hp_options_print_help(printed);
    char *table = read_text(readme), *help = read_text(printed), *rest = NULL;
    fclose(readme);
    fclose(printed);
    size_t in_help = 0, in_readme = 0;
    for (char *line = strtok_r(help, "\n", &rest); line != NULL; line = strtok_r(NULL, "\n", &rest)) {
        if (strncmp(line, "  --", 4) != 0)
            continue;
        char option[64] = "", row[80], *text = line + 2;
        size_t length = strcspn(text, " ");
        if (text[length + 1] != ' ')
            length += 1 + strcspn(text + length + 1, " ");
        snprintf(option, sizeof option, "%.*s", (int)length, text);
        snprintf(row, sizeof row, "| `%s` |", option);
        print_message("%s\n", row);
        const char *found = strstr(table, row);
        assert_non_null(found);
        char *fallback = strstr(text, " (default ");
        if (fallback != NULL) {
            char value[128], *end = strchr(found, '\n');
            snprintf(value, sizeof value, "`%.*s`", (int)strcspn(fallback + 10, ")"), fallback + 10);
            const char *there = strstr(found, value);
            assert_true(there != NULL && (end == NULL || there < end));
        }
        in_help++;
    }
    for (const char *p = table; (p = strstr(p, "\n| `--")) != NULL; p++)
        in_readme++;
    assert_int_equal(in_readme, in_help);
    free(table);
    free(help);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        TEST(nothing_given_gives_the_defaults),
        TEST(a_value_may_follow_or_stand_after_an_equals_sign),
        TEST(the_environment_gives_what_the_command_line_does_not),
        TEST(an_empty_variable_counts_as_none),
        TEST(the_environment_cannot_ask_for_help),
        TEST(a_repeatable_option_collects_and_the_command_line_replaces_the_environment),
        TEST(paths_become_absolute_and_tidy),
        TEST(the_data_folder_follows_xdg_when_that_is_absolute),
        TEST(the_user_s_own_folders_are_found_as_xdg_user_dir_does),
        TEST(folders_of_earlier_releases_are_used_where_files_lie_in_them),
        TEST(without_home_the_passwd_entry_is_used),
        TEST(shared_folders_have_names_and_absolute_paths),
        TEST(a_bad_value_is_refused_naming_the_option),
        TEST(a_command_ends_the_options),
        TEST(a_command_takes_the_options_that_find_hostpair),
        TEST(a_bad_variable_is_named_with_its_option),
        TEST(listening_beyond_loopback_needs_a_token),
        TEST(a_token_is_long_enough_and_may_stand_in_a_file),
        TEST(the_database_never_lies_in_the_shared_folder),
        TEST(help_and_version_need_nothing_else_to_be_right),
        TEST(addresses_are_read_in_every_form),
        TEST(an_address_may_be_a_url),
        TEST(addresses_are_written_with_brackets_where_needed),
        TEST(limits_count_an_ipv4_address_and_a_network_of_ipv6),
        TEST(the_readme_lists_the_options_as_help_does),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
