#include "cli/table.h"

#include <stdlib.h>
#include <string.h>

#include "base/array.h"
#include "base/mem.h"
#include "cli/text.h"

#define GAP         2 /* columns of the terminal between two of the table */
#define COLUMNS_MAX 12

typedef struct {
    char *text; /* cleaned */
    int width;
    hp_colour_t colour;
} cell_t;

struct hp_table {
    const hp_column_t *columns;
    size_t count;
    hp_term_t term;
    HP_ARRAY(cell_t) cells;
};

hp_table_t *hp_table_create(const hp_column_t *columns, size_t count, const hp_term_t *term)
{
    hp_table_t *self = hp_alloc(sizeof *self);
    self->columns = columns;
    self->count = HP_MIN(count, (size_t)COLUMNS_MAX);
    self->term = *term;
    return self;
}

void hp_table_destroy(hp_table_t *self)
{
    for (size_t i = 0; i < self->cells.count; i++)
        free(self->cells.items[i].text);
    hp_array_dispose(&self->cells);
    free(self);
}

void hp_table_coloured(hp_table_t *self, const char *text, hp_colour_t colour)
{
    cell_t *cell = hp_array_add(&self->cells);
    cell->text = hp_text_clean(text != NULL ? text : "");
    cell->width = hp_text_width(cell->text);
    cell->colour = colour;
}

void hp_table_text(hp_table_t *self, const char *text)
{
    hp_table_coloured(self, text, HP_PLAIN);
}

void hp_table_either(hp_table_t *self, const char *shown, const char *plain)
{
    hp_table_text(self, self->term.columns > 0 ? shown : plain);
}

static void add_number(hp_table_t *self, int64_t value, char *(*words)(int64_t, char *))
{
    char text[HP_TEXT_SIZE] = "";
    if (self->term.columns > 0 && words != NULL)
        words(value, text);
    else if (value >= 0)
        snprintf(text, sizeof text, "%lld", (long long)value);
    hp_table_text(self, text);
}

void hp_table_count(hp_table_t *self, int64_t value)
{
    add_number(self, value, NULL);
}

void hp_table_bytes(hp_table_t *self, int64_t value)
{
    add_number(self, value, hp_text_bytes);
}

void hp_table_speed(hp_table_t *self, int64_t value)
{
    add_number(self, value, hp_text_speed);
}

/* ---- layout ---- */

typedef struct {
    int widths[COLUMNS_MAX];
    bool shown[COLUMNS_MAX];
} layout_t;

static int total(const hp_table_t *self, const layout_t *layout, bool smallest)
{
    int sum = -GAP;
    for (size_t c = 0; c < self->count; c++) {
        int width = layout->widths[c], min = self->columns[c].min;
        if (layout->shown[c])
            sum += GAP + (smallest && min > 0 ? HP_MIN(width, min) : width);
    }
    return sum;
}

/* Hides the column that may go first; false when none may. */
static bool drop_one(const hp_table_t *self, layout_t *layout)
{
    size_t found = self->count;
    for (size_t c = 0; c < self->count; c++)
        if (layout->shown[c] && self->columns[c].drop > 0 &&
            (found == self->count || self->columns[c].drop > self->columns[found].drop))
            found = c;
    if (found < self->count)
        layout->shown[found] = false;
    return found < self->count;
}

/* Cuts the widest that may be cut by one; false when none may. */
static bool shrink_one(const hp_table_t *self, layout_t *layout)
{
    size_t found = self->count;
    for (size_t c = 0; c < self->count; c++)
        if (layout->shown[c] && self->columns[c].min > 0 && layout->widths[c] > self->columns[c].min &&
            (found == self->count || layout->widths[c] > layout->widths[found]))
            found = c;
    if (found < self->count)
        layout->widths[found]--;
    return found < self->count;
}

static void lay_out(const hp_table_t *self, layout_t *layout)
{
    *layout = (layout_t){0};
    for (size_t i = 0; i < self->cells.count; i++) {
        int *width = &layout->widths[i % self->count];
        *width = HP_MAX(*width, self->cells.items[i].width);
    }
    for (size_t c = 0; c < self->count; c++) {
        layout->shown[c] = layout->widths[c] > 0; /* nothing in it: no column */
        layout->widths[c] = HP_MAX(layout->widths[c], hp_text_width(self->columns[c].title));
    }
    while (total(self, layout, true) > self->term.columns && drop_one(self, layout))
        ;
    while (total(self, layout, false) > self->term.columns && shrink_one(self, layout))
        ;
}

/* ---- printing ---- */

static const char *const colours[] = {
    [HP_PLAIN] = "",        [HP_GREEN] = "\033[32m", [HP_YELLOW] = "\033[33m", [HP_RED] = "\033[31m",
    [HP_BLUE] = "\033[34m", [HP_DIM] = "\033[2m",    [HP_BOLD] = "\033[1m",
};

const char *hp_colour_start(const hp_term_t *term, hp_colour_t colour)
{
    return term->colour ? colours[colour] : "";
}

const char *hp_colour_end(const hp_term_t *term, hp_colour_t colour)
{
    return term->colour && colour != HP_PLAIN ? "\033[0m" : "";
}

static void print_cell(const hp_table_t *self, const cell_t *cell, bool right, int width, bool last,
                       FILE *out)
{
    char *text = hp_text_fit(cell->text, width);
    int space = HP_MAX(width - hp_text_width(text), 0);
    fprintf(out, "%*s%s%s%s", right ? space : 0, "", hp_colour_start(&self->term, cell->colour), text,
            hp_colour_end(&self->term, cell->colour));
    if (!last)
        fprintf(out, "%*s", (right ? 0 : space) + GAP, "");
    free(text);
}

static void print_row(const hp_table_t *self, const layout_t *layout, const cell_t *cells, FILE *out)
{
    size_t last = 0;
    for (size_t c = 0; c < self->count; c++)
        if (layout->shown[c] && cells[c].text[0] != '\0')
            last = c;
    for (size_t c = 0; c <= last; c++)
        if (layout->shown[c])
            print_cell(self, &cells[c], self->columns[c].right, layout->widths[c], c == last, out);
    fputc('\n', out);
}

static void print_plain(const hp_table_t *self, FILE *out)
{
    for (size_t i = 0; i < self->cells.count; i++) {
        bool last = (i + 1) % self->count == 0;
        fprintf(out, "%s%c", self->cells.items[i].text, last ? '\n' : '\t');
    }
}

void hp_table_print(const hp_table_t *self, FILE *out)
{
    layout_t layout;
    cell_t titles[COLUMNS_MAX] = {0};
    if (self->term.columns == 0) {
        print_plain(self, out);
        return;
    }
    lay_out(self, &layout);
    for (size_t c = 0; c < self->count; c++)
        titles[c] = (cell_t){.text = (char *)self->columns[c].title, .colour = HP_DIM};
    if (self->cells.count > 0)
        print_row(self, &layout, titles, out);
    for (size_t i = 0; i + self->count <= self->cells.count; i += self->count)
        print_row(self, &layout, self->cells.items + i, out);
}
