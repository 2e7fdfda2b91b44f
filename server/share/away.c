#include "share/away.h"

#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "base/mem.h"

#define COUNT_ROWS 4000 /* of one job: some milliseconds */

/* Behind every path: no UTF-8 has this byte. */
#define LAST "\xff"

void hp_away_init(hp_away_t *self, const hp_share_t *share)
{
    self->place = hp_place_addref(share->place);
    for (size_t i = 0; i < HP_PLACE_FOLDERS; i++)
        self->missing[i] = share->folders[i].missing;
}

void hp_away_dispose(hp_away_t *self)
{
    hp_place_release(self->place);
    self->place = NULL;
}

char *hp_away_skip(const hp_away_t *self, const char *path, bool missing)
{
    const char *below;
    size_t number = hp_place_find(self->place, path, &below);
    if (self->missing[number] == missing)
        return NULL;
    if (number > 0)
        return hp_sprintf("%s/" LAST, self->place->folders[number].name);
    /* In the main folder: on to the first of the others that is wanted and stands behind this path. */
    char *first = hp_strdup(LAST);
    for (size_t i = 1; i < self->place->count; i++) {
        char *start = hp_sprintf("%s/", self->place->folders[i].name);
        bool nearer = self->missing[i] == missing && strcmp(start, path) > 0 && strcmp(start, first) < 0;
        free(nearer ? first : start);
        if (nearer)
            first = start;
    }
    return first;
}

int hp_away_has_rows(hp_db_t *db, const hp_away_t *self, bool *has, hp_err_t *err)
{
    char *after = NULL;
    int rc;
    do {
        hp_shared_rows_t rows;
        char *skip = NULL;
        rc = hp_shared_page(db, after, 1, &rows, err);
        *has = false;
        if (rc == 0 && rows.count > 0) {
            skip = hp_away_skip(self, rows.items[0].path, true);
            *has = skip == NULL;
        }
        if (rc == 0)
            hp_shared_rows_dispose(&rows);
        free(after);
        after = skip;
    } while (after != NULL);
    return rc;
}

/* ---- counting ---- */

typedef struct count {
    hp_share_t *share;
    hp_away_t away;
    unsigned turn; /* a later count makes this one void */
    char *after;   /* NULL at the start */
    bool done;
    hp_share_totals_t sum;
} count_t;

static int count_work(hp_db_t *db, void *arg, hp_err_t *err)
{
    count_t *self = arg;
    hp_shared_rows_t rows;
    int rc = hp_shared_page(db, self->after, COUNT_ROWS, &rows, err);
    if (rc != 0)
        return rc;
    char *skip = NULL;
    for (size_t i = 0; i < rows.count && skip == NULL; i++) {
        const hp_shared_row_t *row = &rows.items[i];
        skip = hp_away_skip(&self->away, row->path, true);
        if (skip != NULL)
            break;
        self->sum.files++;
        self->sum.bytes += row->identity.size;
        self->sum.hashed_bytes += row->rooted ? row->identity.size : 0;
    }
    self->done = skip == NULL && rows.count < COUNT_ROWS;
    free(self->after);
    self->after = skip != NULL ? skip : rows.count > 0 ? hp_strdup(rows.items[rows.count - 1].path) : NULL;
    hp_shared_rows_dispose(&rows);
    return 0;
}

static void on_counted(void *arg, int status, const hp_err_t *err)
{
    count_t *self = arg;
    hp_share_t *share = self->share;
    bool valid = self->turn == share->away_turn && !share->closing;
    if (status == 0 && !self->done && valid) {
        hp_store_post(share->store, HP_STORE_READ, count_work, on_counted, self);
        return;
    }
    if (status != 0 && !share->closing)
        hp_log(HP_LOG_WARN, "share: missing files cannot be counted: %s", hp_err_text(err));
    if (status == 0 && valid) {
        share->away = self->sum;
        hp_share_changed(share);
    }
    hp_away_dispose(&self->away);
    free(self->after);
    free(self);
    hp_pending_drop(&share->pending);
}

void hp_away_count(hp_share_t *share)
{
    bool some = false;
    share->away_turn++;
    for (size_t i = 0; i < share->place->count; i++)
        some = some || share->folders[i].missing;
    if (!some || share->missing) { /* nothing is missing, or everything is: no rows have to be told apart */
        share->away = (hp_share_totals_t){0};
        hp_share_changed(share);
        return;
    }
    count_t *self = hp_alloc(sizeof *self);
    self->share = share;
    self->turn = share->away_turn;
    hp_away_init(&self->away, share);
    hp_pending_add(&share->pending);
    hp_store_post(share->store, HP_STORE_READ, count_work, on_counted, self);
}
