#include "cli/bar.h"

#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/clock.h"
#include "base/mem.h"
#include "cli/text.h"
#include "cli/words.h"

#define LINE_EVERY_MS 3000 /* where there is no terminal */
#define PLAIN_WIDTH   120  /* columns of such a line */
#define GAP           2
#define NAME_MIN      8
#define NAME_MAX      40
#define BAR_MIN       8
#define BAR_MAX       40
#define SPEED_WIDTH   9  /* "99.9 MB/s" */
#define ETA_WIDTH     16 /* "23 h 59 min left" */
#define LINE_MAX      4096

/* How the line is divided; 0: the part is not shown. */
typedef struct {
    int name, bar, percent, speed, eta, sources, note;
} layout_t;

static void add_cell(hp_buf_t *out, const char *text, int width, bool right)
{
    char *clean = hp_text_clean(text), *fit = hp_text_fit(clean, width);
    int space = HP_MAX(width - hp_text_width(fit), 0);
    hp_buf_printf(out, "%s%*s%s%*s", out->length > 0 ? "  " : "", right ? space : 0, "", fit,
                  right ? 0 : space, "");
    free(fit);
    free(clean);
}

static void add_bar(hp_buf_t *out, const hp_progress_t *p, int width, bool glyphs)
{
    double share = p->total > 0 ? (double)HP_MIN(p->done, p->total) / (double)p->total : 1;
    int inside = glyphs ? width : width - 2, full = (int)(share * inside);
    hp_buf_printf(out, "%s%s", out->length > 0 ? "  " : "", glyphs ? "" : "[");
    for (int i = 0; i < inside; i++)
        hp_buf_add_text(out, glyphs ? i < full ? "━" : "─" : i < full ? "#" : "-");
    hp_buf_add_text(out, glyphs ? "" : "]");
}

/* Takes a part's room off what is left, if it is there. */
static int take(int *room, int width)
{
    if (*room < width + GAP)
        return 0;
    *room -= width + GAP;
    return width;
}

static void lay_out(const hp_progress_t *p, const char *name, int columns, layout_t *layout)
{
    int wanted = hp_text_width(name), room = columns;
    bool known = p->total >= 0;
    *layout = (layout_t){.name = HP_MIN(wanted, NAME_MIN)};
    room -= layout->name;
    layout->percent = take(&room, known ? 5 : 8);
    layout->bar = known ? take(&room, BAR_MIN) : 0;
    if (p->note != NULL) {
        layout->note = take(&room, HP_MIN(hp_text_width(p->note), HP_MAX(room - GAP, 0)));
    } else {
        layout->speed = p->speed_bps >= 0 ? take(&room, SPEED_WIDTH) : 0;
        layout->eta = known && p->speed_bps >= 0 ? take(&room, ETA_WIDTH) : 0;
        layout->sources = p->sources > 0 ? take(&room, (int)sizeof "3 sources") : 0;
    }
    int more = HP_MIN(room / 2, HP_MIN(wanted, NAME_MAX) - layout->name);
    layout->name += HP_MAX(more, 0);
    room -= HP_MAX(more, 0);
    if (layout->bar > 0) {
        more = HP_MIN(room, BAR_MAX - layout->bar);
        layout->bar += more;
        room -= more;
    }
    layout->name += HP_MIN(room, HP_MAX(wanted - layout->name, 0));
}

char *hp_bar_text(const hp_progress_t *p, int columns, bool glyphs)
{
    hp_buf_t out;
    layout_t layout;
    char text[HP_TEXT_SIZE + 8];
    char *name = hp_text_clean(p->name);
    hp_buf_init(&out, LINE_MAX);
    lay_out(p, name, columns, &layout);
    add_cell(&out, name, layout.name, false);
    free(name);
    if (layout.bar > 0)
        add_bar(&out, p, layout.bar, glyphs);
    if (layout.percent > 0)
        add_cell(&out,
                 p->total >= 0 ? hp_text_percent(p->done, p->total, text) : hp_text_bytes(p->done, text),
                 layout.percent, true);
    if (layout.speed > 0)
        add_cell(&out, hp_text_speed(p->speed_bps, text), layout.speed, true);
    if (layout.sources > 0) {
        snprintf(text, sizeof text, p->sources == 1 ? hp_word("%d source") : hp_word("%d sources"),
                 p->sources);
        add_cell(&out, text, layout.sources, false);
    }
    if (layout.eta > 0) {
        char time[HP_TEXT_SIZE];
        snprintf(text, sizeof text, hp_word("%.40s left"), hp_text_duration(p->eta_s, time));
        add_cell(&out, p->eta_s >= 0 && p->done < p->total ? text : "", layout.eta, false);
    }
    if (layout.note > 0)
        add_cell(&out, p->note, layout.note, false);
    while (out.length > 0 && out.data[out.length - 1] == ' ')
        out.data[--out.length] = '\0';
    return hp_buf_take(&out);
}

void hp_bar_init(hp_bar_t *self, FILE *out, bool utf8)
{
    *self = (hp_bar_t){.out = out, .utf8 = utf8, .next_ms = hp_clock_ms() + LINE_EVERY_MS};
}

void hp_bar_show(hp_bar_t *self, const hp_progress_t *progress, bool now)
{
    hp_term_t term = hp_term_of(self->out, self->utf8);
    if (!term.draws) {
        if (!now && hp_clock_ms() < self->next_ms)
            return;
        char *text = hp_bar_text(progress, term.columns > 0 ? term.columns - 1 : PLAIN_WIDTH, false);
        fprintf(self->out, "%s\n", text);
        free(text);
        self->next_ms = hp_clock_ms() + LINE_EVERY_MS;
    } else {
        /* The last column stays free: some terminals wrap as soon as it is written to. */
        char *text = hp_bar_text(progress, term.columns - 1, term.glyphs);
        fprintf(self->out, "\r%s\033[K", text);
        free(text);
        self->drawn = true;
    }
    fflush(self->out);
}

void hp_bar_end(hp_bar_t *self)
{
    if (self->drawn)
        fputc('\n', self->out);
    self->drawn = false;
}

void hp_bar_clear(hp_bar_t *self)
{
    if (self->drawn)
        fputs("\r\033[K", self->out);
    fflush(self->out);
    self->drawn = false;
}
