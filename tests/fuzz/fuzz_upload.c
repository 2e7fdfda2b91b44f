// libs: share store db pool path os base
/* Files that are put into the share in pieces: where the body of a PUT belongs, and what becomes of the file
 * when pieces come in any order, overlap, leave gaps, change their mind about the size, or come again. Half a
 * file is never there, and a whole one has exactly the bytes that were sent for it. (fuzz_range has the value
 * of Content-Range alone.)
 *
 * Each input is a row of requests for one file: a byte that says what kind it is, two numbers, and the length
 * of the body or the text of the field. */
#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <inttypes.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/log.h"
#include "base/mem.h"
#include "base/range.h"
#include "share/put.h"
#include "store/store.h"

#include "promise.h"

#define PATH         "folder/file.bin"
#define FILE_MAX     64 /* bytes of a file here */
#define REQUESTS_MAX 24

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* ---- the share ---- */

static uv_loop_t loop;
static hp_share_t *share;
static char top[] = "/dev/shm/hostpair-fuzz-XXXXXX";

static int remove_one(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
    (void)st, (void)type, (void)ftw;
    return remove(path);
}

static void clean_up(void)
{
    nftw(top, remove_one, 16, FTW_DEPTH | FTW_PHYS);
}

static void set_up(void)
{
    hp_store_t *store = NULL;
    hp_err_t err = {0};
    char folder[64], data[64];
    hp_log_set_level(HP_LOG_ERROR);
    promise(mkdtemp(top) != NULL && atexit(clean_up) == 0 && uv_loop_init(&loop) == 0);
    snprintf(folder, sizeof folder, "%s/share", top);
    snprintf(data, sizeof data, "%s/data", top);
    promise(hp_store_create(&store, &loop, data, &err) == 0);
    promise(hp_share_create(&share, &loop, store, folder, &err) == 0);
}

/* ---- the file as it should be ---- */

typedef struct {
    bool there;
    size_t length;
    uint8_t bytes[FILE_MAX];
} content_t;

static content_t file;                /* what others see */
static content_t parts[FILE_MAX + 1]; /* what there is of one of that size */

static void check_disk(void)
{
    uint8_t bytes[FILE_MAX + 1];
    char path[100];
    snprintf(path, sizeof path, "%s/share/%s", top, PATH);
    int fd = open(path, O_RDONLY);
    promise((fd >= 0) == file.there);
    if (fd < 0)
        return;
    ssize_t n = read(fd, bytes, sizeof bytes);
    close(fd);
    promise(n == (ssize_t)file.length && memcmp(bytes, file.bytes, file.length) == 0);
}

/* What a piece should do. */
static int expect_piece(const hp_share_piece_t *piece, hp_share_stored_t *stored)
{
    content_t *part = &parts[piece->total];
    if (piece->is_new && file.there)
        return HP_E_PRECONDITION;
    if (piece->ask) {
        stored->received = HP_MIN(part->length, piece->total - 1);
        return 0;
    }
    if (!part->there && piece->first > 0) {
        stored->finished = file.there && file.length == piece->total &&
                           piece->first + piece->length == piece->total &&
                           memcmp(file.bytes + piece->first, piece->data, piece->length) == 0;
        stored->existed = stored->finished;
        return stored->finished ? 0 : HP_E_CONFLICT;
    }
    if (piece->first == 0)
        *part = (content_t){.there = true};
    if (piece->first > part->length)
        return HP_E_CONFLICT;
    memcpy(part->bytes + piece->first, piece->data, piece->length);
    part->length = HP_MAX(part->length, piece->first + piece->length);
    stored->received = part->length;
    if (part->length == piece->total) {
        stored->finished = true;
        stored->existed = file.there;
        file = *part;
        part->there = false;
        part->length = 0;
    }
    return 0;
}

/* ---- requests ---- */

typedef struct {
    bool done;
    int status;
    hp_share_stored_t stored;
} outcome_t;

static void on_put(void *arg, int status, const hp_share_stored_t *stored, const hp_err_t *err)
{
    outcome_t *outcome = arg;
    promise(!outcome->done && (status == 0 || hp_err_text(err)[0] != '\0'));
    *outcome = (outcome_t){true, status, *stored};
}

static void on_removed(void *arg, int status, const hp_err_t *err)
{
    outcome_t *outcome = arg;
    (void)err;
    *outcome = (outcome_t){.done = true, .status = status};
}

static void wait_for(outcome_t *outcome)
{
    while (!outcome->done)
        uv_run(&loop, UV_RUN_ONCE);
}

static void put(const hp_share_piece_t *piece)
{
    outcome_t outcome = {.done = false};
    hp_share_stored_t stored = {.finished = false};
    int status = expect_piece(piece, &stored);
    hp_share_put(share, PATH, piece, on_put, &outcome);
    wait_for(&outcome);
    promise(outcome.status == status);
    promise(outcome.stored.finished == stored.finished && outcome.stored.existed == stored.existed);
    promise(status != 0 || stored.finished || outcome.stored.received == stored.received);
    promise(!outcome.stored.finished || (uint64_t)outcome.stored.stat.st_size == piece->total);
    check_disk();
}

/* The file and what was begun of it. */
static void remove_all(void)
{
    outcome_t outcome = {.done = false};
    hp_share_removal_t removal = {.tree = false};
    bool any = file.there;
    for (size_t i = 0; i < HP_COUNT(parts); i++) {
        any |= parts[i].there;
        parts[i] = (content_t){.there = false};
    }
    file.there = false;
    hp_share_remove(share, PATH, &removal, on_removed, &outcome);
    wait_for(&outcome);
    promise(outcome.status == (any ? 0 : HP_E_NOT_FOUND));
    check_disk();
}

/* The request as the API takes it (api/upload.c). */
static void request(const char *field, const uint8_t *body, size_t length, bool is_new)
{
    hp_body_range_t range;
    hp_err_t err = {0};
    int rc = hp_range_of_body(field, length, &range, &err);
    promise(rc == 0 || (rc == HP_E_BAD_REQUEST && err.detail[0] != '\0'));
    promise(rc == 0 || field != NULL); /* a whole file needs no field */
    if (rc != 0)
        return;
    promise(!range.asks || (length == 0 && range.first == 0));
    promise(range.asks || range.total == HP_RANGE_UNKNOWN || range.first + length <= range.total);
    promise(range.first <= HP_RANGE_UNKNOWN - length);
    if (range.total > FILE_MAX)
        return;
    put(&(hp_share_piece_t){.data = body,
                            .length = length,
                            .first = range.first,
                            .total = range.total,
                            .ask = range.asks && range.total > 0,
                            .is_new = is_new});
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (share == NULL)
        set_up();
    remove_all();
    for (int i = 0; i < REQUESTS_MAX && size >= 4; i++) {
        uint8_t kind = data[0], first = data[1] % FILE_MAX, total = data[2] % (FILE_MAX + 1), body[FILE_MAX];
        size_t length = data[3] % (FILE_MAX + 1), text = 0;
        char field[256];
        memset(body, kind ^ i, sizeof body);
        body[first] = data[3];
        switch (kind & 7) {
        case 0: /* a whole file */
            request(NULL, body, length, kind & 8);
            break;
        case 1: /* how much is there? */
            snprintf(field, sizeof field, "bytes */%u", total);
            request(field, body, kind & 16 ? length : 0, kind & 8);
            break;
        case 2: /* as it stands in the input */
            text = HP_MIN(size - 4, HP_MIN((size_t)data[1], sizeof field - 1));
            memcpy(field, data + 4, text);
            field[text] = '\0';
            request(field, body, length, kind & 8);
            break;
        case 3:
            remove_all();
            break;
        default: /* a piece; the body has another length now and then */
            snprintf(field, sizeof field, "bytes %u-%zu/%u", first, first + length - 1, total);
            request(field, body, (kind & 0xf0) == 0xf0 ? total : length, kind & 8);
        }
        data += 4 + text;
        size -= 4 + text;
    }
    return 0;
}
