/* How the menus ask and tell. */
#include "cli/menu.h"

#include <errno.h>
#include <poll.h>
#include <stdarg.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/utf8.h"

#define NEWS_MS 2000 /* how often a waiting prompt looks for news */

/* ---- what goes out ---- */

static char *format_text(const char *format, va_list args)
{
    char *text = NULL, *clean = NULL;
    if (vasprintf(&text, format, args) >= 0)
        clean = hp_text_clean(text);
    free(text);
    return clean != NULL ? clean : hp_strdup("");
}

static size_t char_length(const char *p)
{
    unsigned char first = (unsigned char)*p;
    return first < 0x80 ? 1 : first < 0xe0 ? 2 : first < 0xf0 ? 3 : 4;
}

/* How many bytes go on one line of so many columns: up to a blank or a wide character, else as many as fit.
 */
static size_t line_length(const char *text, int columns)
{
    size_t used = 0, last = 0;
    int width = 0;
    while (text[used] != '\0') {
        char one[5] = "";
        size_t n = char_length(text + used);
        snprintf(one, sizeof one, "%.*s", (int)n, text + used);
        int wide = hp_text_width(one);
        if (text[used] == ' ' || (wide == 2 && width > 0 && width + wide <= columns))
            last = text[used] == ' ' ? used : used + n;
        width += wide;
        if (width > columns)
            return last > 0 ? last : HP_MAX(used, n);
        used += n;
    }
    return used;
}

/* first: what stands before the text in the first line, as wide as the margin; NULL: blanks. */
static void print_wrapped(hp_menu_t *self, const char *first, int margin, hp_colour_t colour,
                          const char *text)
{
    int room = HP_MAX(self->screen.columns - 1 - margin, 8);
    do {
        size_t n = line_length(text, room), shown = n;
        while (shown > 0 && text[shown - 1] == ' ')
            shown--;
        printf("%*s%s%.*s%s\n", margin, first != NULL ? first : "", hp_colour_start(&self->screen, colour),
               (int)shown, text, hp_colour_end(&self->screen, colour));
        first = NULL;
        text += n;
        text += strspn(text, " ");
    } while (*text != '\0');
}

void hp_menu_title(hp_menu_t *self, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    char *text = format_text(format, args);
    va_end(args);
    fputc('\n', stdout);
    /* The window may have another size now. */
    hp_term_t now = hp_term_of(stdout, self->cli->utf8);
    if (now.columns > 0)
        self->screen = now;
    print_wrapped(self, NULL, 0, HP_BOLD, text);
    free(text);
}

void hp_menu_item(hp_menu_t *self, size_t number, const char *format, ...)
{
    char label[16];
    va_list args;
    va_start(args, format);
    char *text = format_text(format, args);
    va_end(args);
    snprintf(label, sizeof label, "%3zu  ", number);
    print_wrapped(self, label, 5, HP_PLAIN, text);
    free(text);
}

void hp_menu_say(hp_menu_t *self, int margin, hp_colour_t colour, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    char *text = format_text(format, args);
    va_end(args);
    print_wrapped(self, NULL, margin, colour, text);
    free(text);
}

/* ---- what comes in ---- */

static void end(hp_menu_t *self, int code)
{
    self->ended = true;
    if (self->code == 0)
        self->code = code;
}

/* Waits for input, below 0 for ever. Whether something came, or the menu has ended. */
static bool fill(hp_menu_t *self, int ms)
{
    char part[4096];
    struct pollfd waiting = {.fd = STDIN_FILENO, .events = POLLIN};
    int ready = hp_term_interrupted() ? -1 : poll(&waiting, 1, ms);
    if (hp_term_interrupted()) {
        end(self, HP_EXIT_INTERRUPTED);
        return true;
    }
    if (ready <= 0)
        return false; /* nothing yet, or another signal */
    ssize_t n = read(STDIN_FILENO, part, sizeof part);
    if (n < 0 && (errno == EINTR || errno == EAGAIN))
        return false;
    if (n <= 0)
        end(self, 0);
    else if (hp_buf_add(&self->input, part, (size_t)n) != 0)
        hp_buf_clear(&self->input);
    return true;
}

/* The first line of what was read, without its end; at the end of input also one that has none. NULL: none.
 */
static char *take_line(hp_menu_t *self)
{
    char *newline = self->input.length > 0 ? memchr(self->input.data, '\n', self->input.length) : NULL;
    if (newline == NULL && (!self->ended || self->input.length == 0))
        return NULL;
    size_t length = newline != NULL ? (size_t)(newline - self->input.data) : self->input.length;
    char *line = hp_strndup(self->input.data, length);
    hp_buf_consume(&self->input, length + (newline != NULL));
    return line;
}

/* Without the blanks around it, in place. */
static char *trim(char *line)
{
    size_t start = strspn(line, " \t\r"), length = strlen(line);
    while (length > start && strchr(" \t\r", line[length - 1]) != NULL)
        length--;
    memmove(line, line + start, length - start);
    line[length - start] = '\0';
    return line;
}

static void show_prompt(const char *prompt)
{
    char *clean = hp_text_clean(prompt);
    printf("%s", clean);
    fflush(stdout);
    free(clean);
}

/* NULL once the menu has ended. */
static char *read_line(hp_menu_t *self, const char *prompt)
{
    char *line;
    show_prompt(prompt);
    while ((line = take_line(self)) == NULL && !self->ended) {
        bool news = self->typed && self->cli->out.columns > 0;
        if (!fill(self, news ? NEWS_MS : -1) && news && hp_menu_news(self))
            show_prompt(prompt);
    }
    if (line == NULL || self->code != 0) {
        free(line);
        fputc('\n', stdout);
        return NULL;
    }
    if (!self->typed) { /* so that what is written can be read: a terminal has shown it already */
        char *clean = hp_text_clean(line);
        printf("%s\n", clean);
        free(clean);
    }
    return line;
}

char *hp_menu_ask(hp_menu_t *self, const char *prompt)
{
    while (!self->ended || self->input.length > 0) {
        char *line = read_line(self, prompt);
        if (line == NULL)
            return NULL;
        trim(line);
        if (hp_utf8_valid(line, strlen(line)) && !hp_utf8_has_control(line, strlen(line)))
            return line;
        hp_menu_say(
            self, 0, HP_YELLOW, "%s",
            hp_word("There was something in it that is no text, such as an arrow key. Type it again."));
        free(line);
    }
    return NULL;
}

/* HP_MENU_AGAIN - 1: it is no answer. */
static int meaning_of(const char *line, size_t count, const char *letters)
{
    if (line[0] == '\0')
        return HP_MENU_AGAIN;
    if (strspn(line, "0123456789") == strlen(line) && strlen(line) < 9) {
        unsigned long number = strtoul(line, NULL, 10);
        return number <= count ? (int)number : HP_MENU_AGAIN - 1;
    }
    char letter = line[0] >= 'A' && line[0] <= 'Z' ? (char)(line[0] - 'A' + 'a') : line[0];
    return line[1] == '\0' && letters != NULL && letter >= 'a' && letter <= 'z' &&
                   strchr(letters, letter) != NULL
               ? -letter
               : HP_MENU_AGAIN - 1;
}

int hp_menu_choose(hp_menu_t *self, size_t count, const char *letters)
{
    for (;;) {
        char *line = hp_menu_ask(self, hp_word("Number: "));
        if (line == NULL)
            return 0;
        int answer = meaning_of(line, count, letters);
        if (answer != HP_MENU_AGAIN - 1) {
            free(line);
            return answer;
        }
        char *fit = hp_text_fit(line, 20);
        if (count > 0)
            hp_menu_say(self, 0, HP_YELLOW, hp_word("There is no %s here. Type a number from 0 to %zu."), fit,
                        count);
        else
            hp_menu_say(self, 0, HP_YELLOW, hp_word("There is no %s here. 0 goes back."), fit);
        free(fit);
        free(line);
    }
}

bool hp_menu_confirm(hp_menu_t *self, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    char *text = format_text(format, args);
    va_end(args);
    hp_menu_title(self, "%s", text);
    free(text);
    hp_menu_item(self, 1, "%s", hp_word("Yes"));
    hp_menu_item(self, 0, "%s", hp_word("No"));
    int answer;
    while ((answer = hp_menu_choose(self, 1, NULL)) == HP_MENU_AGAIN)
        ;
    return answer == 1;
}

bool hp_menu_pressed(hp_menu_t *self, int ms)
{
    if (!self->typed) {
        hp_term_wait(ms);
        if (hp_term_interrupted())
            end(self, HP_EXIT_INTERRUPTED);
        return self->code != 0;
    }
    fill(self, ms);
    char *line = take_line(self);
    bool pressed = line != NULL || self->ended;
    free(line);
    return pressed;
}

/* ---- calls ---- */

int hp_menu_fail(hp_menu_t *self, const hp_err_t *err)
{
    hp_menu_say(self, 0, HP_RED, hp_word("That did not work: %s"), hp_err_text(err));
    if (err->code == HP_E_UNREACHABLE) {
        hp_menu_say(self, 0, HP_PLAIN, "%s", hp_word("Start hostpair again with: hostpair"));
        end(self, HP_EXIT_FAILED);
        hp_buf_clear(&self->input);
    }
    return err->code;
}

int hp_menu_call(hp_menu_t *self, const char *method, const char *path, json_t *body, json_t **answer)
{
    hp_err_t err = {0};
    int rc = hp_client_call(self->cli->client, method, path, body, answer, &err);
    return rc == 0 ? 0 : hp_menu_fail(self, &err);
}
