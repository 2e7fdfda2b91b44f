/* Long lists, a screen at a time. */
#include <string.h>

#include "cli/menu.h"

#define ROWS_DEFAULT 24 /* of a screen that does not tell its height */
#define ROWS_AROUND                                                                                          \
    9 /* of the screen: empty line, title, headings, what can be done, prompt, what was asked */
#define ROWS_MIN 5
#define ROWS_MAX 40

size_t hp_menu_rows(const hp_menu_t *self)
{
    int rows = self->screen.rows > 0 ? self->screen.rows : ROWS_DEFAULT;
    return (size_t)HP_MIN(HP_MAX(rows - ROWS_AROUND, ROWS_MIN), ROWS_MAX);
}

const char *hp_menu_cursor(const hp_menu_pages_t *pages)
{
    return pages->cursors.count > 0 ? pages->cursors.items[pages->cursors.count - 1] : NULL;
}

size_t hp_menu_offset(const hp_menu_pages_t *pages)
{
    const char *cursor = hp_menu_cursor(pages);
    return cursor != NULL ? strtoul(cursor, NULL, 10) : 0;
}

static void page_back(hp_menu_pages_t *pages)
{
    free(pages->cursors.items[--pages->cursors.count]);
}

void hp_menu_first_page(hp_menu_pages_t *pages)
{
    while (pages->cursors.count > 0)
        page_back(pages);
    hp_array_dispose(&pages->cursors);
}

hp_table_t *hp_menu_table(hp_menu_t *self, const hp_column_t *columns, size_t count)
{
    count = HP_MIN(count, (size_t)HP_MENU_COLUMNS - 1);
    self->columns[0] = (hp_column_t){.title = "", .right = true};
    for (size_t i = 0; i < count; i++) {
        self->columns[i + 1] = columns[i];
        self->columns[i + 1].title = hp_word(columns[i].title);
    }
    hp_term_t narrower = self->screen;
    narrower.columns--; /* some terminals wrap as soon as the last column is written to */
    return hp_table_create(self->columns, count + 1, &narrower);
}

void hp_menu_print_table(hp_menu_t *self, hp_table_t *table)
{
    (void)self;
    hp_table_print(table, stdout);
    hp_table_destroy(table);
}

int hp_menu_choose_row(hp_menu_t *self, hp_menu_pages_t *pages, const char *next, size_t rows,
                       const char *hint, const char *letters)
{
    char keys[16];
    bool before = pages->cursors.count > 0;
    snprintf(keys, sizeof keys, "%s%s%s", letters != NULL ? letters : "", next != NULL ? "n" : "",
             before ? "p" : "");
    hp_menu_say(self, 0, HP_DIM, "%s%s%s%s%s", next != NULL ? hp_word("n: next page   ") : "",
                before ? hp_word("p: page before   ") : "", hint != NULL ? hint : "",
                hint != NULL ? "   " : "", hp_word("0: back"));
    int answer = hp_menu_choose(self, rows, keys);
    if (answer == -'n' && next != NULL)
        *hp_array_add(&pages->cursors) = hp_strdup(next);
    else if (answer == -'p' && before)
        page_back(pages);
    return answer == -'n' || answer == -'p' ? HP_MENU_AGAIN : answer;
}

int hp_menu_choose_index(hp_menu_t *self, hp_menu_pages_t *pages, size_t total, const char *hint,
                         const char *letters)
{
    char next[24];
    size_t from = hp_menu_offset(pages), rows = hp_menu_rows(self);
    size_t shown = total > from ? HP_MIN(rows, total - from) : 0;
    snprintf(next, sizeof next, "%zu", from + shown);
    int answer = hp_menu_choose_row(self, pages, from + shown < total ? next : NULL, shown, hint, letters);
    return answer > 0 ? answer + (int)from : answer;
}
