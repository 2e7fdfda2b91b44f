#include "db/remote_match.h"

#include <string.h>

#include "base/path.h"
#include "db/remote_pack.h"

enum { NAMES_UP, NAMES_DOWN, KEYS };

#define BLOCKS_OF_LIST "id >= :list << 32 AND id < (:list + 1) << 32 "

static const hp_sql_t sql[] = {
    [NAMES_UP] = {"remote_match.names_up",
                  "SELECT id, names FROM remote_names WHERE " BLOCKS_OF_LIST "ORDER BY id"},
    [NAMES_DOWN] = {"remote_match.names_down",
                    "SELECT id, names FROM remote_names WHERE " BLOCKS_OF_LIST "ORDER BY id DESC"},
    [KEYS] = {"remote_match.keys", "SELECT keys FROM remote_keys WHERE id = :id"},
};
HP_SQL_LIST(remote_match, sql);

/* One block of names: calls fn for each that contains needle. */
static int match_block(hp_db_t *db, int64_t first, const char *names, size_t length, const char *needle,
                       size_t needle_length, hp_remote_match_fn fn, void *arg, bool *go_on, hp_err_t *err)
{
    const char *end = names + length, *name = names, *hit = memmem(names, length, needle, needle_length);
    if (hit == NULL)
        return 0;
    HP_QUERY(q, db, &sql[KEYS]);
    hp_query_bind_int(&q, ":id", first);
    int rc = hp_query_one(&q, err);
    if (rc != 0)
        return rc != HP_E_NOT_FOUND ? rc : hp_err_set(err, HP_E_DB, "names of a list have no keys");
    size_t keys_length, index = 0;
    const uint8_t *keys = hp_query_blob(&q, 0, &keys_length);
    while (hit != NULL && *go_on) {
        const char *stop = memchr(name, '\0', (size_t)(end - name));
        while (stop != NULL && stop < hit) {
            name = stop + 1;
            index++;
            stop = memchr(name, '\0', (size_t)(end - name));
        }
        if (stop == NULL || (index + 1) * HP_REMOTE_KEY_SIZE > keys_length)
            return hp_err_set(err, HP_E_DB, "names and keys of a list do not fit each other");
        hp_remote_match_t match = {
            .id = first + (int64_t)index, .name = name, .key = keys + index * HP_REMOTE_KEY_SIZE};
        *go_on = fn(arg, &match);
        name = stop + 1;
        index++;
        hit = memmem(name, (size_t)(end - name), needle, needle_length);
    }
    return hp_query_end(&q, err);
}

int hp_remote_match(hp_db_t *db, int64_t list, const char *q_text, bool descending, hp_remote_match_fn fn,
                    void *arg, hp_err_t *err)
{
    size_t length = strlen(q_text);
    if (length > HP_NAME_MAX)
        return 0;
    char needle[HP_NAME_MAX + 1];
    hp_remote_fold(q_text, length, needle);
    bool go_on = true;
    HP_QUERY(q, db, &sql[descending ? NAMES_DOWN : NAMES_UP]);
    hp_query_bind_int(&q, ":list", list);
    while (go_on && hp_query_row(&q)) {
        size_t size;
        const char *names = hp_query_blob(&q, 1, &size);
        if (names == NULL)
            continue;
        int rc = match_block(db, hp_query_int(&q, 0), names, size, needle, length, fn, arg, &go_on, err);
        if (rc != 0)
            return rc;
    }
    return hp_query_end(&q, err);
}
