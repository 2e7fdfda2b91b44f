// libs: http path os base
/* The head of a request, its query, and what its conditions and ranges make of a file: whatever the fields
 * say, the plan lies inside the file. The first 8 bytes are the file's size, the rest is the head. */
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "http/conditions.h"
#include "http/head.h"
#include "http/plan.h"

#include "promise.h"

#define TAG      "\"tag\""
#define MODIFIED 1795233375 /* Sat, 21 Nov 2026 03:56:15 GMT */
#define BOUNDARY "0123456789abcdef0123456789abcdef"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* ---- the head ---- */

static size_t count_fields(const hp_head_t *head, const char *name)
{
    size_t count = 0, length = strlen(name);
    for (const char *at = head->fields; at < head->end;) {
        const char *eol = memchr(at, '\n', (size_t)(head->end - at));
        if ((size_t)(head->end - at) > length && strncasecmp(at, name, length) == 0 && at[length] == ':')
            count++;
        at = eol != NULL ? eol + 1 : head->end;
    }
    return count;
}

/* A head that is taken can be read in one way only. */
static void check_head(const hp_head_t *head, size_t size)
{
    size_t lengths = count_fields(head, "content-length"), hosts = count_fields(head, "host");
    promise(head->length <= size && head->length <= HP_HEAD_MAX + 2);
    promise(head->path[0] == '/' && strchr(head->path, '?') == NULL && strlen(head->path) <= HP_TARGET_MAX);
    promise(lengths <= 1 && hosts <= 1 && (hosts == 1 || head->minor == 0));
    promise(count_fields(head, "transfer-encoding") == 0);
    promise(head->has_body == (lengths == 1));
    promise(strchr(head->method, ' ') == NULL && strchr(head->method, '\n') == NULL);
    for (const char *at = head->fields; at < head->end; at++) /* none is folded, none is without a name */
        promise(at[0] != '\n' || at + 1 == head->end || (at[1] != ' ' && at[1] != '\t'));
    char *host = hp_head_field(head, "Host");
    promise((host != NULL) == (hosts == 1));
    promise(host == NULL || strpbrk(host, " /?#@\\") == NULL);
    free(host);
}

static void check_query(const hp_head_t *head)
{
    static const char *const names[] = {"q", "path", "limit", ""};
    for (size_t i = 0; i < HP_COUNT(names); i++) {
        char *value = hp_head_query(head, names[i]);
        promise(value == NULL || (head->query != NULL && strlen(value) <= strlen(head->query)));
        free(value);
    }
}

/* ---- the plan ---- */

/* The text before a part says which part follows. */
static void check_text(const hp_piece_t *text, const hp_piece_t *part, uint64_t size)
{
    hp_range_t range;
    uint64_t total;
    const char *field = strstr(text->text, "\r\nContent-Range: "), *end;
    promise(text->first == 0 && text->end == strlen(text->text));
    promise(strstr(text->text, "--" BOUNDARY "\r\n") != NULL && field != NULL);
    field += strlen("\r\nContent-Range: ");
    end = strstr(field, "\r\n\r\n");
    promise(end != NULL && end[4] == '\0');
    promise(hp_range_parse_content(field, (size_t)(end - field), &range, &total) == 0);
    promise(total == size && range.first == part->first && range.end == part->end);
}

static void check_plan(const hp_range_t *ranges, size_t count, uint64_t size)
{
    hp_plan_t plan;
    uint64_t length = 0, parts = 0;
    promise(count >= 1 && count <= HP_RANGES_MAX);
    if (count == 1)
        hp_plan_init(&plan, ranges[0]);
    else
        hp_plan_init_multipart(&plan, ranges, count, size, "text/plain", BOUNDARY);
    promise(plan.count == (count == 1 ? 1 : 2 * count + 1));
    for (size_t i = 0; i < plan.count; i++) {
        const hp_piece_t *piece = &plan.pieces[i];
        promise(piece->first < piece->end);
        promise(!__builtin_add_overflow(length, piece->end - piece->first, &length));
        if (piece->text != NULL)
            continue;
        promise(piece->end <= size);
        promise(piece->first == ranges[parts].first && piece->end == ranges[parts].end);
        if (count > 1)
            check_text(&plan.pieces[i - 1], piece, size);
        parts++;
    }
    promise(parts == count && length == plan.length && length <= INT64_MAX);
    hp_plan_dispose(&plan);
}

static void check_conditions(const hp_head_t *head, uint64_t size)
{
    char *fields[] = {hp_head_field(head, "If-Match"),      hp_head_field(head, "If-Unmodified-Since"),
                      hp_head_field(head, "If-None-Match"), hp_head_field(head, "If-Modified-Since"),
                      hp_head_field(head, "If-Range"),      hp_head_field(head, "Range")};
    hp_conditions_t asked = {fields[0], fields[1], fields[2], fields[3], fields[4], fields[5]};
    hp_representation_t file = {TAG, MODIFIED, size}, weak = {"W/" TAG, MODIFIED, size};
    hp_range_t ranges[HP_RANGES_MAX];
    size_t count;
    hp_outcome_t outcome = hp_conditions_evaluate(&asked, false, &file, ranges, &count);
    if (outcome == HP_OUTCOME_RANGES)
        check_plan(ranges, count, size);
    promise(outcome != HP_OUTCOME_RANGES || asked.if_range == NULL || strcmp(asked.if_range, TAG) == 0);
    promise(outcome != HP_OUTCOME_UNSATISFIABLE || asked.range != NULL);
    promise(outcome != HP_OUTCOME_FAILED || asked.if_match != NULL || asked.if_unmodified_since != NULL);
    promise(outcome != HP_OUTCOME_NOT_MODIFIED || asked.if_none_match != NULL ||
            asked.if_modified_since != NULL);
    outcome = hp_conditions_evaluate(&asked, true, &file, ranges, &count);
    promise(outcome != HP_OUTCOME_RANGES && outcome != HP_OUTCOME_UNSATISFIABLE); /* HEAD */
    outcome = hp_conditions_evaluate(&asked, false, &weak, ranges, &count);
    promise(outcome != HP_OUTCOME_RANGES || asked.if_range == NULL); /* two versions are never mixed */
    for (size_t i = 0; i < HP_COUNT(fields); i++)
        free(fields[i]);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    uint64_t file;
    hp_head_t head;
    if (size < sizeof file)
        return 0;
    memcpy(&file, data, sizeof file);
    file = (file & INT64_MAX) >> (data[0] & 63); /* small files as well */
    size -= sizeof file;
    int refused = hp_head_init(&head, (const char *)data + sizeof file, size);
    if (refused == 0) {
        check_head(&head, size);
        check_query(&head);
        check_conditions(&head, file);
        char *accept = hp_head_field(&head, "Accept");
        if (accept != NULL && hp_accept_names(accept, "text/event-stream"))
            promise(strcasestr(accept, "text/event-stream") != NULL);
        free(accept);
    } else {
        promise(refused == 400 || refused == 411 || refused == 414 || refused == 431);
        promise(strcmp(head.path, "/") == 0 && head.query == NULL);
    }
    hp_head_dispose(&head);
    return 0;
}
