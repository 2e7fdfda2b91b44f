#include "cli/term.h"

#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <termios.h>
#include <unistd.h>

#define COLUMNS_DEFAULT 80 /* of a terminal that does not tell its size */

static volatile sig_atomic_t interrupted;

hp_term_t hp_term_of(FILE *stream, bool utf8)
{
    hp_term_t term = {0};
    struct winsize size = {0};
    const char *type = getenv("TERM"), *no_colour = getenv("NO_COLOR");
    if (!isatty(fileno(stream)))
        return term;
    bool told = ioctl(fileno(stream), TIOCGWINSZ, &size) == 0 && size.ws_col > 0;
    bool dumb = type == NULL || type[0] == '\0' || strcmp(type, "dumb") == 0;
    term.columns = told ? size.ws_col : COLUMNS_DEFAULT;
    term.rows = told ? size.ws_row : 0;
    term.draws = !dumb;
    term.colour = !dumb && (no_colour == NULL || no_colour[0] == '\0');
    term.glyphs = utf8 && !dumb && strcmp(type, "linux") != 0;
    return term;
}

static void on_interrupt(int number)
{
    (void)number;
    interrupted = 1;
}

/* Does nothing; that it is called at all ends a wait. */
static void on_resize(int number)
{
    (void)number;
}

void hp_term_catch(void)
{
    struct sigaction interrupt = {.sa_handler = on_interrupt, .sa_flags = (int)SA_RESETHAND};
    struct sigaction resize = {.sa_handler = on_resize};
    sigaction(SIGINT, &interrupt, NULL);
    sigaction(SIGWINCH, &resize, NULL);
}

bool hp_term_interrupted(void)
{
    return interrupted != 0;
}

void hp_term_wait(int ms)
{
    if (!interrupted)
        poll(NULL, 0, ms);
}

int hp_term_ask_secret(const char *question, char *answer, size_t size)
{
    struct termios shown, hidden;
    if (!isatty(STDIN_FILENO) || tcgetattr(STDIN_FILENO, &shown) != 0)
        return -1;
    hidden = shown;
    hidden.c_lflag &= ~(tcflag_t)ECHO;
    fputs(question, stderr);
    fflush(stderr);
    tcsetattr(STDIN_FILENO, TCSAFLUSH, &hidden);
    bool got = fgets(answer, (int)size, stdin) != NULL;
    tcsetattr(STDIN_FILENO, TCSAFLUSH, &shown);
    fputc('\n', stderr);
    size_t length = got ? strlen(answer) : 0;
    if (length == 0 || answer[length - 1] != '\n')
        return -1;
    answer[length - 1] = '\0';
    return 0;
}

void hp_term_end_interrupted(void)
{
    signal(SIGINT, SIG_DFL);
    raise(SIGINT);
}
