/* hostpair menu: numbered menus for people who do not know commands. Each screen is a function that prints
 * what there is, asks for a number in one line, and returns to the screen before it on 0. Nothing is drawn
 * over, so that it works on any terminal, and with a pipe at either end; the bar of a download is that of
 * "hostpair get". One thread.
 *
 * End of input and Ctrl-C set `ended`: every screen returns then, whatever it was asked to do. A terminal
 * stays in the mode that it is in, so there is nothing to restore. */
#ifndef HP_CLI_MENU_H
#define HP_CLI_MENU_H

#include "base/array.h"
#include "base/buf.h"
#include "cli/internal.h"
#include "cli/words.h"

#define HP_MENU_COLUMNS 10 /* of a list, at most */

typedef struct hp_menu {
    hp_cli_t *cli;
    hp_term_t screen; /* of standard output; 80 columns where that is no terminal */
    bool typed;       /* standard input is a terminal */
    hp_buf_t input;   /* what was read and not used */
    bool ended;
    int code; /* the exit code, once it has ended */
    hp_column_t columns[HP_MENU_COLUMNS];
    /* What was told already, so that only news is told. */
    char *host, *host_name; /* the host whose screens these are; NULL: none */
    bool host_online;
    int64_t unread, newest_offer;
} hp_menu_t;

/* ---- asking and telling (menu_prompt.c) ---- */

/* A title, behind an empty line. The text is made harmless, as all that goes out here. */
void hp_menu_title(hp_menu_t *self, const char *format, ...) __attribute__((format(printf, 2, 3)));
/* A line of a numbered menu. */
void hp_menu_item(hp_menu_t *self, size_t number, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
/* Text, broken between words where the screen ends, so far from its left edge. */
void hp_menu_say(hp_menu_t *self, int margin, hp_colour_t colour, const char *format, ...)
    __attribute__((format(printf, 4, 5)));

/* The next line, without blanks around it, for the caller to free; NULL once the menu has ended. */
char *hp_menu_ask(hp_menu_t *self, const char *prompt);

/* Asks until there is an answer: a number up to count, 0 (also when the menu has ended), HP_MENU_AGAIN for an
 * empty line, or minus one of these letters. */
#define HP_MENU_AGAIN (-1)
int hp_menu_choose(hp_menu_t *self, size_t count, const char *letters);
/* 1: yes; 0: no. */
bool hp_menu_confirm(hp_menu_t *self, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* Waits so long for a line from a terminal, which is thrown away. Whether there was one, or the menu has
 * ended. Lines of a pipe stay where they are. */
bool hp_menu_pressed(hp_menu_t *self, int ms);

/* A call of the API. What fails is told; 0 or the error. Without hostpair the menu ends. */
int hp_menu_call(hp_menu_t *self, const char *method, const char *path, json_t *body, json_t **answer);
/* Tells an error in the same way. */
int hp_menu_fail(hp_menu_t *self, const hp_err_t *err);

/* ---- news (menu_news.c) ---- */

/* Tells what has changed since it last did: the host of the screens went away or came back, messages and
 * offers came. Whether there was anything. */
bool hp_menu_news(hp_menu_t *self);
/* From now on the screens are of this host; NULL: of none. */
void hp_menu_enter_host(hp_menu_t *self, const json_t *host);

/* ---- lists (menu_list.c) ---- */

/* The pages of a long list: the cursors of those up to this one, as the API or the screen itself gives them.
 */
typedef struct hp_menu_pages {
    HP_ARRAY(char *) cursors; /* the last one is of this page; none: the first page */
} hp_menu_pages_t;

const char *hp_menu_cursor(const hp_menu_pages_t *pages); /* NULL: the first page */
/* The same for a list that is there as a whole: the index of the page's first row. */
size_t hp_menu_offset(const hp_menu_pages_t *pages);
void hp_menu_first_page(hp_menu_pages_t *pages); /* frees all; the pages may be used again */

/* How many rows of a list fit on the screen. */
size_t hp_menu_rows(const hp_menu_t *self);

/* A list whose first column is the number by which a row is chosen; titles are keys of hp_word. */
hp_table_t *hp_menu_table(hp_menu_t *self, const hp_column_t *columns, size_t count);
void hp_menu_print_table(hp_menu_t *self, hp_table_t *table); /* and frees it */

/* Says what can be done here and asks, as hp_menu_choose does. hint: what the letters do, already translated,
 * NULL none. next: the cursor of the next page, NULL on the last one. A turned page is HP_MENU_AGAIN. */
int hp_menu_choose_row(hp_menu_t *self, hp_menu_pages_t *pages, const char *next, size_t rows,
                       const char *hint, const char *letters);
/* The same for a list that is there as a whole and has so many rows: the index of the chosen one plus 1. */
int hp_menu_choose_index(hp_menu_t *self, hp_menu_pages_t *pages, size_t total, const char *hint,
                         const char *letters);

/* ---- the screens ---- */

void hp_menu_hosts(hp_menu_t *self);
/* Lets a person choose one, or everyone where that is offered: its id for the caller to free; NULL: none. */
char *hp_menu_choose_host(hp_menu_t *self, bool everyone);
void hp_menu_files(hp_menu_t *self, const char *host, const char *name);
void hp_menu_search(hp_menu_t *self, const char *host, const char *name, const char *folder);
void hp_menu_downloads(hp_menu_t *self);
/* Orders a file or a folder, and shows how it goes. */
void hp_menu_download(hp_menu_t *self, const char *host, const char *path, bool folder);
/* Shows how a download goes until it ends, or Enter is pressed. */
void hp_menu_watch(hp_menu_t *self, int64_t download);
void hp_menu_messages(hp_menu_t *self, const char *with); /* a host's id; NULL: all */
void hp_menu_write(hp_menu_t *self, const char *to);      /* NULL: asks whom */
void hp_menu_inbox(hp_menu_t *self);
void hp_menu_connections(hp_menu_t *self);
void hp_menu_self(hp_menu_t *self);

/* "/hosts/ID" with what follows; the caller frees. */
char *hp_menu_host_path(const char *host, const char *rest);
/* The name of a host of a list of hosts, else its id. */
const char *hp_menu_host_name(const json_t *hosts, const char *id);

#endif
