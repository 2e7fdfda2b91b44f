/* Digests of whole files as other programs print them: GET /api/v1/share/digest.
 *
 * A file is read in the pool, SLICE bytes a turn, so that a large one never keeps a thread from the
 * downloads. What was computed is remembered with the identity of the bytes. A small file is waited for; of a
 * large one a first call starts the work and answers 202, as do others until it is done. */
#include <errno.h>
#include <fcntl.h>
#include <openssl/evp.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "api/internal.h"
#include "base/mem.h"

#define SLICE       ((size_t)8 * 1024 * 1024) /* bytes read in one turn */
#define READ_BYTES  ((size_t)256 * 1024)
#define WAITED_FOR  ((uint64_t)8 * 1024 * 1024) /* files up to this size are answered once they are read */
#define RUNNING_MAX 2                           /* files read at a time */
#define WAITING_MAX 64
#define REMEMBERED  256

static const char *const algorithms[] = {"md5", "sha-1", "sha-256", NULL};

typedef struct {
    dev_t device;
    ino_t inode;
    off_t size;
    struct timespec mtime, ctime;
    int algorithm;
} identity_t;

typedef struct {
    identity_t identity;
    char hex[65]; /* "" unused */
} known_t;

/* A file that is being read, or waits for its turn. */
typedef struct job {
    hp_api_op_t op; /* request: the one that waits for it, or NULL */
    struct job *next;
    uv_work_t work;
    identity_t identity;
    int fd;
    EVP_MD_CTX *context;
    uint64_t done_bytes;
    bool running, whole;
    int status;
    char hex[65];
} job_t;

struct hp_digests {
    known_t known[REMEMBERED];
    size_t next; /* is overwritten next */
    job_t *jobs;
    unsigned running, count;
};

static identity_t identity_of(const struct stat *st, int algorithm)
{
    return (identity_t){st->st_dev, st->st_ino, st->st_size, st->st_mtim, st->st_ctim, algorithm};
}

static bool same_time(const struct timespec *a, const struct timespec *b)
{
    return a->tv_sec == b->tv_sec && a->tv_nsec == b->tv_nsec;
}

static bool same(const identity_t *a, const identity_t *b)
{
    return a->device == b->device && a->inode == b->inode && a->size == b->size &&
           same_time(&a->mtime, &b->mtime) && same_time(&a->ctime, &b->ctime) && a->algorithm == b->algorithm;
}

static json_t *digest_json(const identity_t *identity, const char *hex, uint64_t done_bytes)
{
    json_t *json = json_object();
    json_object_set_new(json, "algorithm", json_string(algorithms[identity->algorithm]));
    json_object_set_new(json, "hex", hp_json_text_or_null(hex));
    if (hex[0] == '\0') {
        json_object_set_new(json, "done_bytes", hp_json_count(done_bytes));
        json_object_set_new(json, "size", hp_json_count((uint64_t)identity->size));
    }
    return json;
}

/* ---- reading, in the pool ---- */

static int finish(job_t *job)
{
    struct stat now;
    unsigned char digest[EVP_MAX_MD_SIZE];
    unsigned length;
    if (fstat(job->fd, &now) != 0)
        return -errno;
    identity_t identity = identity_of(&now, job->identity.algorithm);
    if (!same(&identity, &job->identity))
        return HP_E_CONFLICT;
    if (EVP_DigestFinal_ex(job->context, digest, &length) != 1)
        return HP_E_INTERNAL;
    hp_hex_encode(digest, length, job->hex);
    job->whole = true;
    return 0;
}

static void read_slice(uv_work_t *work)
{
    job_t *job = work->data;
    uint8_t *buffer = hp_alloc(READ_BYTES);
    for (size_t read_now = 0; read_now < SLICE && job->status == 0 && !job->whole;) {
        ssize_t n = pread(job->fd, buffer, READ_BYTES, (off_t)job->done_bytes);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            job->status = -errno;
        else if (n == 0)
            job->status = finish(job);
        else if (EVP_DigestUpdate(job->context, buffer, (size_t)n) != 1)
            job->status = HP_E_INTERNAL;
        if (n > 0) {
            job->done_bytes += (uint64_t)n;
            read_now += (size_t)n;
        }
    }
    free(buffer);
}

/* ---- jobs ---- */

static void start_next(hp_api_t *api);

static void job_end(job_t *job, int status)
{
    hp_api_t *api = job->op.api;
    hp_digests_t *digests = api->digests;
    hp_err_t err = {0};
    for (job_t **link = &digests->jobs; *link != NULL; link = &(*link)->next) {
        if (*link == job) {
            *link = job->next;
            digests->count--;
            digests->running -= job->running;
            break;
        }
    }
    if (status == 0) {
        known_t *known = &digests->known[digests->next++ % REMEMBERED];
        known->identity = job->identity;
        memcpy(known->hex, job->hex, sizeof known->hex);
    }
    if (job->op.request != NULL && status == 0) {
        hp_http_reply_json(job->op.request, 200, digest_json(&job->identity, job->hex, 0));
    } else if (job->op.request != NULL) {
        if (status == HP_E_CONFLICT)
            hp_err_set(&err, status, "the file changed while it was read");
        hp_http_reply_problem(job->op.request, status, &err);
    } else if (status != 0 && !api->closing) {
        hp_log(HP_LOG_WARN, "a digest cannot be computed: %s", hp_err_sentence(status));
    }
    close(job->fd);
    EVP_MD_CTX_free(job->context);
    if (!api->closing)
        start_next(api);
    hp_api_op_destroy(job);
}

static void on_slice(uv_work_t *work, int canceled)
{
    job_t *job = work->data;
    int status = canceled != 0 ? canceled : job->status;
    if (status == 0 && hp_api_is_closing(job->op.api))
        status = UV_ECANCELED;
    bool goes_on = status == 0 && !job->whole;
    if (goes_on)
        status = uv_queue_work(job->op.api->deps.loop, &job->work, read_slice, on_slice);
    if (!goes_on || status != 0)
        job_end(job, status);
}

static void start_next(hp_api_t *api)
{
    hp_digests_t *digests = api->digests;
    for (job_t *job = digests->jobs; job != NULL && digests->running < RUNNING_MAX; job = job->next) {
        if (job->running)
            continue;
        job->running = true;
        digests->running++;
        int rc = uv_queue_work(api->deps.loop, &job->work, read_slice, on_slice);
        if (rc != 0) {
            job_end(job, rc);
            return;
        }
    }
}

static const char *find_known(const hp_digests_t *digests, const identity_t *identity)
{
    for (size_t i = 0; i < REMEMBERED; i++)
        if (digests->known[i].hex[0] != '\0' && same(&digests->known[i].identity, identity))
            return digests->known[i].hex;
    return NULL;
}

static job_t *find_job(const hp_digests_t *digests, const identity_t *identity)
{
    job_t *job = digests->jobs;
    while (job != NULL && !same(&job->identity, identity))
        job = job->next;
    return job;
}

/* Queues the file at the end. Takes fd; false when nothing can be computed. */
static bool job_create(hp_api_t *api, hp_http_request_t *request, int fd, const identity_t *identity)
{
    static const EVP_MD *(*const functions[])(void) = {EVP_md5, EVP_sha1, EVP_sha256};
    EVP_MD_CTX *context = EVP_MD_CTX_new();
    if (context == NULL || EVP_DigestInit_ex(context, functions[identity->algorithm](), NULL) != 1) {
        EVP_MD_CTX_free(context);
        close(fd);
        return false;
    }
    bool waited_for = (uint64_t)identity->size <= WAITED_FOR;
    job_t *job = hp_api_op_create(sizeof *job, api, waited_for ? request : NULL), **end = &api->digests->jobs;
    job->fd = fd;
    job->identity = *identity;
    job->context = context;
    job->work.data = job;
    while (*end != NULL)
        end = &(*end)->next;
    *end = job;
    api->digests->count++;
    if (!waited_for)
        hp_http_reply_json(request, 202, digest_json(identity, "", 0));
    start_next(api);
    return true;
}

void hp_api_reply_digest(hp_api_t *api, hp_http_request_t *request, int fd, const struct stat *st,
                         int algorithm)
{
    hp_err_t err;
    identity_t identity = identity_of(st, algorithm);
    const char *known = find_known(api->digests, &identity);
    const job_t *job = known == NULL ? find_job(api->digests, &identity) : NULL;
    if (known != NULL || job != NULL) {
        close(fd);
        hp_http_reply_json(
            request, known != NULL ? 200 : 202,
            digest_json(&identity, known != NULL ? known : "", job != NULL ? job->done_bytes : 0));
    } else if (api->digests->count >= WAITING_MAX) {
        close(fd);
        hp_err_set(&err, HP_E_TOO_MANY, "%d files wait for their digests already", WAITING_MAX);
        hp_http_reply_problem(request, HP_E_TOO_MANY, &err);
    } else if (!job_create(api, request, fd, &identity)) {
        hp_err_set(&err, HP_E_INTERNAL, "this machine's libcrypto has no %s", algorithms[algorithm]);
        hp_http_reply_problem(request, HP_E_INTERNAL, &err);
    }
}

int hp_api_read_algorithm(hp_http_request_t *request, int *algorithm, hp_err_t *err)
{
    *algorithm = -1;
    int rc = hp_param_get_word(request, "algorithm", algorithms, algorithm, err);
    return rc == 0 && *algorithm < 0 ? hp_err_set(err, HP_E_INVALID, "algorithm: is missing") : rc;
}

/* ---- GET /api/v1/share/digest ---- */

typedef struct {
    hp_api_op_t op;
    int algorithm;
} open_op_t;

static void on_opened(void *arg, int status, const hp_share_file_t *file)
{
    open_op_t *op = arg;
    if (status == 0 && !hp_api_is_closing(op->op.api)) {
        hp_api_reply_digest(op->op.api, op->op.request, file->fd, &file->stat, op->algorithm);
    } else {
        if (status == 0)
            close(file->fd);
        hp_http_reply_problem(op->op.request, status != 0 ? status : HP_E_BUSY, NULL);
    }
    hp_api_op_destroy(op);
}

void hp_api_get_share_digest(hp_api_t *api, hp_http_request_t *request, const char *arg)
{
    (void)arg;
    hp_err_t err = {0};
    int algorithm;
    const char *path = NULL;
    int rc = hp_api_read_algorithm(request, &algorithm, &err);
    if (rc == 0)
        rc = hp_param_get_text(request, "path", &path, &err);
    if (rc == 0 && path == NULL)
        rc = hp_err_set(&err, HP_E_INVALID, "path: is missing");
    if (rc != 0) {
        hp_http_reply_problem(request, rc, &err);
        return;
    }
    open_op_t *op = hp_api_op_create(sizeof *op, api, request);
    op->algorithm = algorithm;
    hp_share_open(api->deps.share, path, on_opened, op);
}

void hp_digests_stop(hp_digests_t *digests)
{
    for (job_t *job = digests->jobs, *next; job != NULL; job = next) {
        next = job->next;
        if (!job->running)
            job_end(job, UV_ECANCELED);
    }
}

hp_digests_t *hp_digests_create(void)
{
    return hp_alloc(sizeof(hp_digests_t));
}

void hp_digests_destroy(hp_digests_t *digests)
{
    free(digests);
}
