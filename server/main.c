/* hostpair: reads the options, builds the parts, lets the loop run until a signal ends it; or runs a command.
 */
#include <locale.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "app.h"
#include "base/mem.h"
#include "check.h"
#include "cli/cli.h"
#include "hub/hub.h"
#include "os/port_owner.h"
#include "os/sandbox.h"
#include "os/thread.h"

#define POOL_MIN      4u
#define POOL_MAX      16u
#define OTHER_THREADS 2u /* the store and the hasher */
#define QUIT_MS       1900 /* then what has not ended is left to the kernel; progress is committed as it comes */

typedef struct process {
    uv_loop_t loop;
    uv_signal_t signals[2];
    uv_timer_t quit_timer;
    hp_options_t options;
    hp_app_t app;
    bool quitting;
    bool failed; /* the start */
} process_t;

static void on_app_closed(void *arg)
{
    process_t *self = arg;
    uv_close((uv_handle_t *)&self->quit_timer, NULL);
    for (size_t i = 0; i < HP_COUNT(self->signals); i++)
        uv_close((uv_handle_t *)&self->signals[i], NULL);
}

static void on_quit_late(uv_timer_t *timer)
{
    const process_t *self = timer->data;
    hp_log(HP_LOG_WARN, "the disk or the network does not answer (%s); leaving without waiting for it",
           self->app.ending != NULL ? self->app.ending : "start");
    _exit(self->failed ? 1 : 0);
}

static void quit(process_t *self)
{
    if (self->quitting)
        return;
    self->quitting = true;
    uv_timer_start(&self->quit_timer, on_quit_late, QUIT_MS, 0);
    hp_app_destroy(&self->app, on_app_closed, self);
}

static void on_signal(uv_signal_t *handle, int number)
{
    process_t *self = handle->data;
    hp_log(HP_LOG_INFO, "%s: ending", number == SIGINT ? "SIGINT" : "SIGTERM");
    quit(self);
}

/* libuv ends the process without a word when its pool gets no thread, so all are asked for before. */
static int size_pool(hp_err_t *err)
{
    char count[16];
    unsigned cores = uv_available_parallelism();
    unsigned pool = HP_MIN(HP_MAX(cores * 2, POOL_MIN), POOL_MAX);
    snprintf(count, sizeof count, "%u", pool);
    setenv("UV_THREADPOOL_SIZE", count, 0);
    int rc = hp_thread_try(pool + OTHER_THREADS);
    if (rc != 0)
        hp_err_set(
            err, rc,
            "%u threads are needed and not to be had (ulimit -u, or the container's limit of processes): %s",
            pool + OTHER_THREADS, hp_err_sentence(rc));
    return rc;
}

static void enter_sandbox(const hp_options_t *options)
{
    const char *const own[] = {options->share, options->downloads, options->data, options->port_file};
    const hp_strings_t *others = &options->folders;
    hp_sandbox_t sandbox;
    if (options->no_sandbox)
        return;
    const char **folders = hp_alloc_array(others->count + HP_COUNT(own) + 1, sizeof *folders);
    for (size_t i = 0; i < others->count; i++)
        folders[i] = strchr(others->items[i], '/');
    for (size_t i = 0, n = others->count; i < HP_COUNT(own); i++)
        if (own[i] != NULL)
            folders[n++] = own[i];
    hp_port_owner_note(options->peer_listen.port, HP_APP_PORT_TRIES);
    hp_port_owner_note(options->dashboard_listen.port, HP_APP_PORT_TRIES);
    hp_sandbox_enter(folders, &sandbox);
    free(folders);
}

int main(int argc, char **argv)
{
    static process_t self;
    hp_err_t err = {0};
    setlocale(LC_CTYPE, "C.UTF-8"); /* host names of URLs are read in it */
    signal(SIGXFSZ, SIG_IGN);       /* past "ulimit -f" a write fails and does not end the process */
    if (argc > 1 && strcmp(argv[1], "hub") == 0)
        return hp_hub_main(argc - 1, argv + 1);
    if (hp_options_read(&self.options, argc, argv, &err) != 0) {
        fprintf(stderr, "hostpair: %s\n", hp_err_text(&err));
        return 2;
    }
    if (self.options.help || self.options.version) {
        if (self.options.help)
            hp_cli_print_help(stdout);
        else
            printf("hostpair %s\n", HP_VERSION);
        hp_options_dispose(&self.options);
        return 0;
    }
    if (self.options.check) {
        int answer = hp_check_run(&self.options);
        hp_options_dispose(&self.options);
        return answer;
    }
    if (self.options.command != 0) {
        int code = hp_cli_run(&self.options, argc, argv);
        hp_options_dispose(&self.options);
        return code;
    }
    hp_log_set_level(self.options.log);
    if (self.options.token_file_open)
        hp_log(HP_LOG_WARN,
               "--dashboard-token-file: users other than its owner may open %s; to change that: chmod 600 %s",
               self.options.token_file, self.options.token_file);
    for (size_t i = 0; i < HP_COUNT(self.options.left) && self.options.left[i] != NULL; i++)
        hp_log(
            HP_LOG_WARN,
            "files lie in %s, which is part of a git checkout and not used any more; to use them, move them "
            "to %s or %s, or name their folder with --share or --downloads",
            self.options.left[i], self.options.share, self.options.downloads);
    if (geteuid() == 0)
        hp_log(HP_LOG_WARN, "running as root; hostpair needs no rights but its user's own");
    enter_sandbox(&self.options);
    if (size_pool(&err) != 0) {
        fprintf(stderr, "hostpair: %s\n", hp_err_text(&err));
        hp_options_dispose(&self.options);
        return 1;
    }
    uv_loop_init(&self.loop);
    uv_timer_init(&self.loop, &self.quit_timer);
    self.quit_timer.data = &self;
    for (size_t i = 0; i < HP_COUNT(self.signals); i++) {
        uv_signal_init(&self.loop, &self.signals[i]);
        self.signals[i].data = &self;
        uv_signal_start(&self.signals[i], on_signal, i == 0 ? SIGTERM : SIGINT);
    }
    self.app.loop = &self.loop;
    self.app.options = &self.options;
    int rc = hp_app_build(&self.app, &err);
    if (rc == 0) {
        hp_app_start(&self.app);
    } else {
        fprintf(stderr, "hostpair: %s\n", hp_err_text(&err));
        self.failed = true;
        quit(&self);
    }
    uv_run(&self.loop, UV_RUN_DEFAULT);
    uv_loop_close(&self.loop);
    hp_options_dispose(&self.options);
    uv_library_shutdown();
    return self.failed ? 1 : 0;
}
