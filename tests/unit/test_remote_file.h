/* A database with two hosts, and lists of files that are imported into it and read again. */
#ifndef TEST_REMOTE_FILE_H
#define TEST_REMOTE_FILE_H

#include "test_db_help.h"

#include "base/err.h"
#include "base/mem.h"
#include "db/remote_file.h"
#include "db/statement.h"

#define HOST  "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
#define OTHER "bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb"

static inline int open_db(void **state)
{
    hp_err_t err = {0};
    hp_db_t *db;
    if (hp_db_open_memory(&db, &err) != 0)
        fail_msg("%s", hp_err_text(&err));
    *state = db;
    return 0;
}

static inline int close_db(void **state)
{
    hp_db_close(*state);
    return 0;
}

#define ok(call)                                                                                             \
    do {                                                                                                     \
        hp_err_t err = {0};                                                                                  \
        int rc_ = (call);                                                                                    \
        if (rc_ != 0)                                                                                        \
            fail_msg("%s: %d %s", #call, rc_, err.detail);                                                   \
    } while (0)

static inline void publish(hp_db_t *db, hp_remote_import_t *import, const char *etag)
{
    for (bool done = false; !done;)
        ok(hp_remote_import_publish(db, import, etag, 1000, &done, &err));
    ok(hp_remote_import_abandon(db, import, &err));
}

static inline void import_all(hp_db_t *db, const char *host, const hp_remote_entry_t *entries, size_t count)
{
    hp_remote_import_t *import;
    ok(hp_remote_import_begin(db, host, HP_REMOTE_FILES_MAX, &import, &err));
    for (size_t i = 0; i < count; i += HP_REMOTE_BATCH)
        ok(hp_remote_import_add(db, import, entries + i, HP_MIN(count - i, (size_t)HP_REMOTE_BATCH), &err));
    publish(db, import, "\"1\"");
}

#define import_list(db, host, ...)                                                                           \
    do {                                                                                                     \
        const hp_remote_entry_t list_[] = {__VA_ARGS__};                                                     \
        import_all(db, host, list_, HP_COUNT(list_));                                                        \
    } while (0)

#define F(path_, size_)                                                                                      \
    {                                                                                                        \
        .path = (path_), .size = (size_), .mtime = 5000                                                      \
    }

/* "folder/(files,bytes) ... file(size) ..." of all pages of a query, walked through with pages of `limit`
 * rows. */
static inline char *walk(hp_db_t *db, hp_remote_query_t query)
{
    char *text = hp_strdup(""), *cursor = NULL;
    for (int pages = 0;; pages++) {
        assert_true(pages < 100000);
        hp_remote_page_t page;
        query.cursor = cursor;
        ok(hp_remote_page_read(db, &query, &page, &err));
        for (size_t i = 0; i < page.folder_count; i++) {
            char *more = hp_sprintf("%s%s/(%lld,%lld) ", text, page.folders[i].path,
                                    (long long)page.folders[i].files, (long long)page.folders[i].bytes);
            free(text);
            text = more;
        }
        for (size_t i = 0; i < page.files.count; i++) {
            assert_string_equal(page.files.items[i].host, query.host);
            char *more = hp_sprintf("%s%s(%lld) ", text, page.files.items[i].path,
                                    (long long)page.files.items[i].size);
            free(text);
            text = more;
        }
        free(cursor);
        cursor = page.next != NULL ? hp_strdup(page.next) : NULL;
        assert_true(cursor == NULL || page.folder_count + page.files.count == query.limit);
        hp_remote_page_dispose(&page);
        if (cursor == NULL)
            return text;
    }
}

#define assert_walk(db, expected, ...)                                                                       \
    do {                                                                                                     \
        for (size_t limit_ = 1; limit_ < 8; limit_++) {                                                      \
            char *text_ = walk(db, (hp_remote_query_t){.host = HOST, .limit = limit_, __VA_ARGS__});         \
            assert_string_equal(text_, expected);                                                            \
            free(text_);                                                                                     \
        }                                                                                                    \
    } while (0)

static inline void set_root(hp_remote_entry_t *entry, unsigned char fill)
{
    entry->rooted = true;
    memset(entry->root, fill, sizeof entry->root);
}

#endif
