#include "settings/settings.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "db/setting.h"

typedef struct {
    char *text; /* of a text row */
    int64_t number;
} value_t;

struct hp_settings {
    uv_loop_t *loop;
    hp_store_t *store;
    const hp_options_t *options;
    hp_settings_parts_t parts;
    value_t *values; /* one a row of the table */
    bool stopped;
    unsigned references; /* one for the owner, one for each change */
    void (*on_change)(void *arg);
    void *on_change_arg;
};

struct hp_settings_change {
    hp_settings_t *settings;
    value_t *values;
    bool *given;   /* the rows that get a value */
    bool *tried;   /* those of them whose value is tried in the pool */
    char **stored; /* the values of the given ones, as text */
    size_t begun;  /* rows before this one have begun, if they had to */
    hp_settings_changed_fn done;
    void *arg;
    uv_work_t work;
    int status;
    hp_err_t err;
};

/* ---- values ---- */

static size_t index_of(const char *name)
{
    const hp_setting_t *row = hp_setting_find(name);
    if (row == NULL) {
        hp_log(HP_LOG_ERROR, "there is no setting %s", name);
        abort();
    }
    return (size_t)(row - hp_settings_table);
}

static const value_t *read_value(const hp_settings_t *self, const char *name, bool text)
{
    size_t i = index_of(name);
    if (hp_setting_is_text(&hp_settings_table[i]) != text) {
        hp_log(HP_LOG_ERROR, "the setting %s is of another type", name);
        abort();
    }
    return &self->values[i];
}

const char *hp_settings_text(const hp_settings_t *self, const char *name)
{
    return read_value(self, name, true)->text;
}

int64_t hp_settings_number(const hp_settings_t *self, const char *name)
{
    return read_value(self, name, false)->number;
}

bool hp_settings_flag(const hp_settings_t *self, const char *name)
{
    return hp_settings_number(self, name) != 0;
}

static void set_text(value_t *value, char *text)
{
    free(value->text);
    value->text = text;
}

static int set_from_text(const hp_setting_t *row, value_t *value, const char *text, hp_err_t *err)
{
    if (!hp_setting_is_text(row))
        return hp_setting_parse_number(row, text, &value->number, err);
    int rc = hp_setting_check_text(row, text, err);
    if (rc == 0)
        set_text(value, hp_strdup(text));
    return rc;
}

static char *to_text(const hp_setting_t *row, const value_t *value)
{
    if (hp_setting_is_text(row))
        return hp_strdup(value->text);
    if (row->type == HP_SETTING_SWITCH)
        return hp_strdup(value->number != 0 ? "true" : "false");
    return hp_sprintf("%lld", (long long)value->number);
}

static void free_values(value_t *values)
{
    for (size_t i = 0; i < hp_settings_count; i++)
        free(values[i].text);
    free(values);
}

/* ---- the start ---- */

static const char *option_text(const hp_options_t *options, const hp_setting_t *row)
{
    return *(char *const *)(const void *)((const char *)options + row->option_value);
}

static bool option_flag(const hp_options_t *options, size_t offset)
{
    return *(const bool *)((const char *)options + offset);
}

static bool is_forbidden(const hp_options_t *options, const hp_setting_t *row)
{
    return row->type == HP_SETTING_SWITCH && row->option != NULL && option_flag(options, row->option_value);
}

static void set_default(hp_settings_t *self, size_t i)
{
    const hp_setting_t *row = &hp_settings_table[i];
    hp_err_t err;
    if (row->fallback != NULL) {
        if (set_from_text(row, &self->values[i], row->fallback, &err) != 0) {
            hp_log(HP_LOG_ERROR, "the default of a setting is not valid: %s", hp_err_text(&err));
            abort();
        }
    } else {
        set_text(&self->values[i], row->find_default != NULL ? row->find_default()
                                                             : hp_strdup(option_text(self->options, row)));
    }
}

/* A value that is not valid any more (another version stored it) is passed over. */
static void on_stored_value(void *arg, const char *name, const char *text)
{
    hp_settings_t *self = arg;
    const hp_setting_t *row = hp_setting_find(name);
    hp_err_t err;
    if (row != NULL && set_from_text(row, &self->values[row - hp_settings_table], text, &err) != 0)
        hp_log(HP_LOG_WARN, "the stored setting is not used: %s", hp_err_text(&err));
}

static int read_stored(hp_db_t *db, void *arg, hp_err_t *err)
{
    return hp_db_setting_each(db, on_stored_value, arg, err);
}

static void set_options(hp_settings_t *self)
{
    for (size_t i = 0; i < hp_settings_count; i++) {
        const hp_setting_t *row = &hp_settings_table[i];
        if (is_forbidden(self->options, row))
            self->values[i].number = 0;
        else if (row->option != NULL && hp_setting_is_text(row) &&
                 option_flag(self->options, row->option_given))
            set_text(&self->values[i], hp_strdup(option_text(self->options, row)));
    }
}

static void release(hp_settings_t *self)
{
    if (--self->references > 0)
        return;
    free_values(self->values);
    free(self);
}

int hp_settings_create(hp_settings_t **out, uv_loop_t *loop, hp_store_t *store, const hp_options_t *options,
                       hp_err_t *err)
{
    hp_settings_t *self = hp_alloc(sizeof *self);
    *self = (hp_settings_t){.loop = loop, .store = store, .options = options, .references = 1};
    self->values = hp_alloc_array(hp_settings_count, sizeof *self->values);
    for (size_t i = 0; i < hp_settings_count; i++)
        set_default(self, i);
    int rc = hp_store_run_now(store, HP_STORE_READ, read_stored, self, err);
    if (rc == 0)
        set_options(self);
    *out = rc == 0 ? self : NULL;
    if (rc != 0)
        release(self);
    return rc;
}

/* Runs each hook of the rows once. The first failure is returned, after all have run. */
static int apply(hp_settings_t *self, const bool *rows, hp_err_t *err)
{
    int first = 0;
    for (size_t i = 0; i < hp_settings_count; i++) {
        const hp_setting_t *row = &hp_settings_table[i];
        bool ran = row->apply == NULL || (rows != NULL && !rows[i]);
        for (size_t k = 0; k < i && !ran; k++)
            ran = hp_settings_table[k].apply == row->apply && (rows == NULL || rows[k]);
        int rc = ran ? 0 : row->apply(self, &self->parts, first == 0 ? err : NULL);
        first = first == 0 ? rc : first;
    }
    return first;
}

int hp_settings_start(hp_settings_t *self, const hp_settings_parts_t *parts, hp_err_t *err)
{
    self->parts = *parts;
    return apply(self, NULL, err);
}

void hp_settings_on_change(hp_settings_t *self, void (*fn)(void *arg), void *arg)
{
    self->on_change = fn;
    self->on_change_arg = arg;
}

void hp_settings_stop(hp_settings_t *self)
{
    self->stopped = true;
}

void hp_settings_destroy(hp_settings_t *self)
{
    release(self);
}

/* ---- a change: tried in the pool, begun, stored, in effect ---- */

hp_settings_change_t *hp_settings_change_create(hp_settings_t *settings)
{
    hp_settings_change_t *change = hp_alloc(sizeof *change);
    *change = (hp_settings_change_t){.settings = settings};
    change->values = hp_alloc_array(hp_settings_count, sizeof *change->values);
    change->given = hp_alloc_array(hp_settings_count, sizeof *change->given);
    change->tried = hp_alloc_array(hp_settings_count, sizeof *change->tried);
    change->stored = hp_alloc_array(hp_settings_count, sizeof *change->stored);
    change->work.data = change;
    settings->references++;
    return change;
}

void hp_settings_change_destroy(hp_settings_change_t *change)
{
    hp_settings_t *settings = change->settings;
    for (size_t i = 0; i < hp_settings_count; i++)
        free(change->stored[i]);
    free_values(change->values);
    free(change->given);
    free(change->tried);
    free(change->stored);
    free(change);
    release(settings);
}

int hp_settings_change_text(hp_settings_change_t *change, const hp_setting_t *row, const char *text,
                            hp_err_t *err)
{
    size_t i = (size_t)(row - hp_settings_table);
    int rc = hp_setting_check_text(row, text, err);
    if (rc != 0)
        return rc;
    set_text(&change->values[i], hp_strdup(text));
    change->given[i] = true;
    return 0;
}

int hp_settings_change_number(hp_settings_change_t *change, const hp_setting_t *row, int64_t number,
                              hp_err_t *err)
{
    size_t i = (size_t)(row - hp_settings_table);
    int rc = hp_setting_check_number(row, number, err);
    if (rc == 0 && number != 0 && is_forbidden(change->settings->options, row))
        rc = hp_err_set(err, HP_E_CONFLICT, "%s: hostpair was started with --%s", row->name, row->option);
    if (rc != 0)
        return rc;
    change->values[i].number = number;
    change->given[i] = true;
    return 0;
}

static bool is_new_text(const hp_settings_change_t *change, size_t i)
{
    return change->given[i] && hp_setting_is_text(&hp_settings_table[i]) &&
           strcmp(change->values[i].text, change->settings->values[i].text) != 0;
}

static void end(hp_settings_change_t *change, int status)
{
    change->done(change->arg, status, &change->err);
    hp_settings_change_destroy(change);
}

/* Store thread. */
static int store_values(hp_db_t *db, void *arg, hp_err_t *err)
{
    hp_settings_change_t *change = arg;
    int rc = 0;
    for (size_t i = 0; rc == 0 && i < hp_settings_count; i++)
        if (change->given[i])
            rc = hp_db_setting_set(db, hp_settings_table[i].name, change->stored[i], err);
    return rc;
}

static void take_back(hp_settings_change_t *change)
{
    hp_settings_t *self = change->settings;
    for (size_t i = 0; i < change->begun; i++)
        if (hp_settings_table[i].begin != NULL && is_new_text(change, i))
            (void)hp_settings_table[i].begin(&self->parts, self->values[i].text, NULL, NULL);
}

static void on_values_stored(void *arg, int status, const hp_err_t *err)
{
    hp_settings_change_t *change = arg;
    hp_settings_t *self = change->settings;
    if (status != 0)
        hp_err_set(&change->err, status, "the change cannot be stored: %s", hp_err_text(err));
    if (self->stopped) {
        end(change, status != 0 ? status : HP_E_BUSY);
        return;
    }
    if (status != 0) {
        take_back(change);
        end(change, status);
        return;
    }
    for (size_t i = 0; i < hp_settings_count; i++) {
        if (!change->given[i])
            continue;
        value_t old = self->values[i];
        self->values[i] = change->values[i];
        change->values[i] = old;
    }
    status = apply(self, change->given, &change->err);
    if (self->on_change != NULL)
        self->on_change(self->on_change_arg);
    end(change, status);
}

static void begin_next(hp_settings_change_t *change);

static void on_begun(void *arg, int status, const hp_err_t *err)
{
    hp_settings_change_t *change = arg;
    if (status == UV_ECANCELED || change->settings->stopped) {
        end(change, HP_E_BUSY);
    } else if (status != 0) {
        status = hp_err_set(&change->err, HP_E_INVALID, "%s: %s", hp_settings_table[change->begun].name,
                            hp_err_text(err));
        take_back(change);
        end(change, status);
    } else {
        change->begun++;
        begin_next(change);
    }
}

static void begin_next(hp_settings_change_t *change)
{
    hp_settings_t *self = change->settings;
    for (; change->begun < hp_settings_count; change->begun++) {
        const hp_setting_t *row = &hp_settings_table[change->begun];
        if (row->begin == NULL || !is_new_text(change, change->begun))
            continue;
        int rc = row->begin(&self->parts, change->values[change->begun].text, on_begun, change);
        if (rc == 0)
            return;
        hp_err_set(&change->err, rc, "%s: another change is under way", row->name);
        take_back(change);
        end(change, rc);
        return;
    }
    for (size_t i = 0; i < hp_settings_count; i++)
        if (change->given[i])
            change->stored[i] = to_text(&hp_settings_table[i], &change->values[i]);
    hp_store_post(self->store, HP_STORE_WRITE_SYNCED, store_values, on_values_stored, change);
}

/* Pool. The table and the options do not change, and the change is not touched meanwhile. */
static void try_values(uv_work_t *work)
{
    hp_settings_change_t *change = work->data;
    for (size_t i = 0; i < hp_settings_count && change->status == 0; i++) {
        const hp_setting_t *row = &hp_settings_table[i];
        if (!change->tried[i])
            continue;
        change->status = row->try_value(change->values[i].text, change->settings->options, &change->err);
        if (change->status != 0)
            hp_err_prefix(&change->err, "%s: ", row->name);
    }
}

static void on_tried(uv_work_t *work, int canceled)
{
    hp_settings_change_t *change = work->data;
    int status = canceled != 0 ? canceled : change->status;
    if (status == 0 && change->settings->stopped)
        status = HP_E_BUSY;
    if (status != 0)
        end(change, status);
    else
        begin_next(change);
}

void hp_settings_change_commit(hp_settings_change_t *change, hp_settings_changed_fn done, void *arg)
{
    bool any = false;
    change->done = done;
    change->arg = arg;
    for (size_t i = 0; i < hp_settings_count; i++)
        any |= change->tried[i] = hp_settings_table[i].try_value != NULL && change->given[i];
    if (!any) {
        begin_next(change);
        return;
    }
    int rc = uv_queue_work(change->settings->loop, &change->work, try_values, on_tried);
    if (rc != 0)
        end(change, rc);
}
