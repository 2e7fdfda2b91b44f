/* Replies that send a file: what the request's conditions and ranges ask for, and the fields that say so. How
 * the bytes travel is send.c's. */
#include "internal.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/mem.h"
#include "base/path.h"
#include "conditions.h"
#include "send.h"

/* RFC 6266: a plain name for old clients and the exact one. */
void hp_http_set_attachment(hp_http_request_t *request, const char *name)
{
    if (name == NULL) {
        hp_http_set_header(request, "Content-Disposition", "attachment");
        return;
    }
    char *plain = hp_strdup(name), *exact = hp_path_encode(name, strlen(name), false);
    for (char *p = plain; *p != '\0'; p++)
        if ((unsigned char)*p < ' ' || (unsigned char)*p >= 0x7f || strchr("\"\\%/", *p) != NULL)
            *p = '_';
    char *value = hp_sprintf("attachment; filename=\"%s\"; filename*=UTF-8''%s", plain, exact);
    hp_http_set_header(request, "Content-Disposition", value);
    free(value);
    free(exact);
    free(plain);
}

/* A later date than now says nothing (RFC 9110 section 8.8.2.1). */
static int64_t modified(const struct stat *stat)
{
    return HP_MIN((int64_t)stat->st_mtim.tv_sec, hp_clock_wall_ms() / 1000);
}

static void set_fields(hp_http_request_t *request, const hp_http_file_t *file)
{
    hp_http_set_header(request, "Accept-Ranges", "bytes");
    if (file->etag != NULL)
        hp_http_set_header(request, "ETag", file->etag);
    if (!file->growing) {
        char date[HP_HTTP_DATE_SIZE];
        hp_http_set_header(request, "Last-Modified", hp_clock_http_date(modified(&file->stat), date));
    }
    if (file->attachment)
        hp_http_set_attachment(request, file->file_name);
}

static void random_boundary(char out[HP_BOUNDARY_SIZE])
{
    uint8_t bytes[16];
    if (getrandom(bytes, sizeof bytes, GRND_NONBLOCK) != sizeof bytes) {
        uint64_t now[2] = {hp_clock_ns(), (uint64_t)hp_clock_wall_ms()};
        memcpy(bytes, now, sizeof bytes);
    }
    hp_hex_encode(bytes, sizeof bytes, out);
}

static void send_ranges(hp_http_request_t *request, const hp_http_file_t *file, const hp_range_t *ranges,
                        size_t count)
{
    uint64_t size = (uint64_t)file->stat.st_size;
    hp_plan_t plan;
    if (count == 1) {
        hp_plan_init(&plan, ranges[0]);
        char where[80];
        snprintf(where, sizeof where, "bytes %" PRIu64 "-%" PRIu64 "/%" PRIu64, ranges[0].first,
                 ranges[0].end - 1, size);
        hp_http_set_header(request, "Content-Range", where);
        hp_send_file(request, 206, file->content_type, file, &plan);
        return;
    }
    char boundary[HP_BOUNDARY_SIZE], type[HP_BOUNDARY_SIZE + 40];
    random_boundary(boundary);
    snprintf(type, sizeof type, "multipart/byteranges; boundary=%s", boundary);
    hp_plan_init_multipart(&plan, ranges, count, size, file->content_type, boundary);
    hp_send_file(request, 206, type, file, &plan);
}

static void refuse(hp_http_request_t *request, const hp_http_file_t *file, int status)
{
    static const char other[] = "The file is another version.\n",
                      outside[] = "The range lies outside the file.\n";
    const char *text = status == 416 ? outside : other;
    if (status == 416) {
        char where[40];
        snprintf(where, sizeof where, "bytes */%" PRIu64, (uint64_t)file->stat.st_size);
        hp_http_set_header(request, "Content-Range", where);
    }
    if (request->connection->listener->options.problem_json)
        hp_http_reply_problem(request, status == 416 ? HP_E_BAD_RANGE : HP_E_PRECONDITION, NULL);
    else
        hp_reply_static(request, status, "text/plain; charset=utf-8", text, strlen(text));
}

static hp_outcome_t evaluate(hp_http_request_t *request, const hp_http_file_t *file,
                             hp_range_t ranges[HP_RANGES_MAX], size_t *count)
{
    hp_conditions_t conditions = {
        .if_match = hp_http_header(request, "If-Match"),
        .if_unmodified_since = hp_http_header(request, "If-Unmodified-Since"),
        .if_none_match = hp_http_header(request, "If-None-Match"),
        .if_modified_since = hp_http_header(request, "If-Modified-Since"),
        .if_range = hp_http_header(request, "If-Range"),
        .range = hp_http_header(request, "Range"),
    };
    hp_representation_t what = {file->etag, modified(&file->stat), (uint64_t)file->stat.st_size};
    return hp_conditions_evaluate(&conditions, request->is_head, &what, ranges, count);
}

void hp_http_reply_file(hp_http_request_t *request, const hp_http_file_t *file)
{
    hp_range_t ranges[HP_RANGES_MAX];
    size_t count;
    if (request->req == NULL || request->replied) {
        close(file->fd);
        return;
    }
    hp_outcome_t outcome = evaluate(request, file, ranges, &count);
    set_fields(request, file);
    if (outcome == HP_OUTCOME_RANGES) {
        send_ranges(request, file, ranges, count);
        return;
    }
    uint64_t size = (uint64_t)file->stat.st_size;
    if (outcome == HP_OUTCOME_WHOLE && !request->is_head && size > 0) {
        hp_plan_t plan;
        hp_plan_init(&plan, (hp_range_t){0, size});
        hp_send_file(request, 200, file->content_type, file, &plan);
        return;
    }
    close(file->fd);
    if (outcome == HP_OUTCOME_WHOLE)
        hp_reply_static(request, 200, file->content_type, NULL, size);
    else if (outcome == HP_OUTCOME_NOT_MODIFIED)
        hp_http_reply_empty(request, 304);
    else
        refuse(request, file, outcome == HP_OUTCOME_UNSATISFIABLE ? 416 : 412);
}
