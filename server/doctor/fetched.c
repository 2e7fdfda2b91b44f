/* What a host shares, and how fast it comes. */
#include <inttypes.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/path.h"
#include "doctor/check.h"

#define CONNECT_MS   5000
#define LIST_MS      60000
#define SAMPLE_MS    30000
#define SAMPLE_LEAST ((uint64_t)64 * 1024) /* a smaller file says nothing of the speed */
#define REFUSAL_MAX  200
#define SLOW                                                                                                 \
    "Transfers work, and take their time. A weak wireless signal, a VPN, a limit in the settings of the "    \
    "host "                                                                                                  \
    "or other transfers at the same time make it slow."

static double rate_since(uint64_t began_ns, uint64_t bytes)
{
    return (double)bytes * 1e9 / (double)HP_MAX(hp_clock_ns() - began_ns, (uint64_t)1);
}

/* ---- how fast ---- */

/* Bytes came until the time was over: nothing is in the way, it only takes longer. */
static void add_slow(hp_check_t *self)
{
    double rate = rate_since(self->sample_began, self->sample_got);
    char text[200];
    snprintf(text, sizeof text, "Files come slowly: %.1f KiB of one came within %d s, at %.1f kB/s.",
             (double)self->sample_got / 1024, SAMPLE_MS / 1000, rate / 1e3);
    hp_finding_t *finding = hp_check_add(self, HP_FINDING_NOTE, "speed-slow", text);
    hp_finding_number(finding, "bytes", (int64_t)self->sample_got);
    hp_finding_number(finding, "bps", (int64_t)rate);
    hp_finding_todo(finding, SLOW);
}

static int on_sample_head(void *arg, const hp_fetch_head_t *head)
{
    hp_check_t *self = arg;
    self->status = head->status;
    self->sample_began = hp_clock_ns();
    return head->status == 206 || head->status == 200 ? 0 : HP_E_STATUS;
}

static int on_sample_data(void *arg, const uint8_t *data, size_t length)
{
    hp_check_t *self = arg;
    (void)data;
    self->sample_got += length;
    return 0;
}

static void on_sample_done(void *arg, int status, const hp_err_t *err)
{
    hp_check_t *self = arg;
    char text[400];
    self->fetch = NULL;
    if (self->cancelled || status == UV_ECANCELED) {
        hp_check_end(self);
        return;
    }
    if (status == HP_E_TIMEOUT && self->sample_got > 0) {
        add_slow(self);
    } else if (status != 0) {
        snprintf(text, sizeof text, "The list comes, but a file does not: %.250s.",
                 status == HP_E_STATUS ? "it is refused" : hp_err_text(err));
        hp_finding_t *finding = hp_check_add(self, HP_FINDING_PROBLEM, "file-fails", text);
        hp_finding_text(finding, "detail", hp_err_text(err));
        hp_finding_todo(
            finding,
            "Small packets pass and large ones do not: a VPN or a router with a smaller MTU does that. "
            "Or the host has become busy: try again.");
    } else {
        double rate = rate_since(self->sample_began, self->sample_got);
        snprintf(text, sizeof text, "%.1f MiB of a file came at %.1f MB/s%s.",
                 (double)self->sample_got / 1048576, rate / 1e6,
                 self->sample_got < HP_CHECK_SAMPLE ? " (it shares nothing larger, so this is a rough figure)"
                                                    : "");
        hp_finding_t *finding = hp_check_add(
            self, HP_FINDING_OK, self->sample_got < HP_CHECK_SAMPLE ? "speed-rough" : "speed", text);
        hp_finding_number(finding, "bytes", (int64_t)self->sample_got);
        hp_finding_number(finding, "bps", (int64_t)rate);
    }
    hp_check_way_back(self);
}

static const hp_fetch_callbacks_t sample_callbacks = {
    .on_head = on_sample_head, .on_data = on_sample_data, .on_done = on_sample_done};

static void fetch_sample(hp_check_t *self)
{
    if (self->sample_path == NULL || self->sample_size < SAMPLE_LEAST) {
        hp_check_add(self, HP_FINDING_OK, "speed-none",
                     "How fast it is cannot be told: it shares no file of 64 KiB or more.");
        hp_check_way_back(self);
        return;
    }
    char *encoded = hp_path_encode(self->sample_path, strlen(self->sample_path), true);
    char *path = hp_sprintf("/files/%s", encoded);
    hp_fetch_options_t options = {.endpoint = &self->at,
                                  .path = path,
                                  .ranged = true,
                                  .range = {.first = 0, .end = HP_MIN(self->sample_size, HP_CHECK_SAMPLE)},
                                  .connect_ms = CONNECT_MS,
                                  .total_ms = SAMPLE_MS};
    self->fetch = hp_fetch_start(self->look->doctor->deps.fetcher, &options, &sample_callbacks, self);
    free(encoded);
    free(path);
}

/* ---- the list ---- */

static void take_line(hp_check_t *self)
{
    json_t *json = json_loadb(self->line, self->line_length, 0, NULL);
    const char *path = json_string_value(json_object_get(json, "path"));
    json_int_t size = json_integer_value(json_object_get(json, "size"));
    if (path != NULL && size >= 0) {
        self->files++;
        self->bytes += (uint64_t)size;
        if (self->sample_size < HP_CHECK_SAMPLE && (uint64_t)size > self->sample_size) {
            free(self->sample_path);
            self->sample_path = hp_strdup(path);
            self->sample_size = (uint64_t)size;
        }
    }
    json_decref(json);
}

static int on_list_head(void *arg, const hp_fetch_head_t *head)
{
    hp_check_t *self = arg;
    self->status = head->status;
    self->list_began = hp_clock_ns();
    return head->status == 200 ? 0 : HP_E_STATUS;
}

static int on_list_data(void *arg, const uint8_t *data, size_t length)
{
    hp_check_t *self = arg;
    self->list_got += length;
    for (size_t i = 0; i < length; i++) {
        if (data[i] == '\n') {
            if (!self->line_too_long)
                take_line(self);
            self->line_length = 0;
            self->line_too_long = false;
        } else if (self->line_length < sizeof self->line) {
            self->line[self->line_length++] = (char)data[i];
        } else {
            self->line_too_long = true;
        }
    }
    return 0;
}

static void add_no_list(hp_check_t *self, int status, const hp_err_t *err)
{
    char text[500];
    hp_finding_t *finding;
    if (status == HP_E_STATUS && self->status == 403) {
        finding = hp_check_add(
            self, HP_FINDING_PROBLEM, "list-refused",
            "It does not show this host its list: it lets in paired hosts only, or has blocked this one.");
        hp_finding_todo(
            finding,
            "Ask the person there to pair with this host, to let it in again, or to change \"access\" in "
            "the settings.");
        return;
    }
    snprintf(text, sizeof text, "Its list does not come: %.300s%s.",
             status == HP_E_STATUS ? "it answers with an error" : hp_err_text(err),
             status == HP_E_STATUS && self->status == 503 ? " (it is busy)" : "");
    finding = hp_check_add(self, HP_FINDING_PROBLEM, "list-fails", text);
    hp_finding_text(finding, "detail", status == HP_E_STATUS ? "" : hp_err_text(err));
    hp_finding_number(finding, "status", status == HP_E_STATUS ? self->status : 0);
    hp_finding_todo(
        finding,
        "Try again in a minute. If small answers come and long ones do not, a VPN or a router with a "
        "smaller MTU is in the way.");
}

/* As add_slow. */
static void add_slow_list(hp_check_t *self)
{
    double rate = rate_since(self->list_began, self->list_got);
    char text[200];
    snprintf(text, sizeof text,
             "Its list was not whole within %d s: %" PRIu64 " files of it came, at %.1f kB/s.",
             LIST_MS / 1000, self->files, rate / 1e3);
    hp_finding_t *finding = hp_check_add(self, HP_FINDING_NOTE, "list-slow", text);
    hp_finding_number(finding, "files", (int64_t)self->files);
    hp_finding_number(finding, "bps", (int64_t)rate);
    hp_finding_todo(finding, SLOW);
}

static void on_list_done(void *arg, int status, const hp_err_t *err)
{
    hp_check_t *self = arg;
    char text[300];
    self->fetch = NULL;
    if (self->cancelled || status == UV_ECANCELED) {
        hp_check_end(self);
        return;
    }
    if (status == HP_E_TIMEOUT && self->list_got > 0) {
        add_slow_list(self);
        hp_look_changed(self->look);
        if (self->sample_size >= SAMPLE_LEAST)
            fetch_sample(self);
        else
            hp_check_way_back(self); /* what else it shares is not known */
        return;
    }
    if (status != 0) {
        add_no_list(self, status, err);
        hp_check_way_back(self);
        return;
    }
    snprintf(text, sizeof text, "Its list came: %" PRIu64 " files, %.1f MB.", self->files,
             (double)self->bytes / 1e6);
    hp_finding_t *finding = hp_check_add(self, HP_FINDING_OK, "list", text);
    hp_finding_number(finding, "files", (int64_t)self->files);
    hp_finding_number(finding, "bytes", (int64_t)self->bytes);
    hp_look_changed(self->look);
    fetch_sample(self);
}

static const hp_fetch_callbacks_t list_callbacks = {
    .on_head = on_list_head, .on_data = on_list_data, .on_done = on_list_done};

void hp_check_list(hp_check_t *self)
{
    hp_fetch_options_t options = {.endpoint = &self->at,
                                  .path = "/list",
                                  .accept = "application/x-ndjson",
                                  .connect_ms = CONNECT_MS,
                                  .total_ms = LIST_MS};
    self->fetch = hp_fetch_start(self->look->doctor->deps.fetcher, &options, &list_callbacks, self);
}
