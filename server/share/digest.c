/* Reading happens in the pool, SLICE bytes a turn, so that a large file never keeps a thread from the
 * downloads. What was computed is remembered with the identity of the bytes. */
#include "share/digest.h"

#include <errno.h>
#include <openssl/evp.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/log.h"
#include "base/mem.h"
#include "base/path.h"

#define SLICE       ((size_t)8 * 1024 * 1024) /* bytes read in one turn */
#define READ_BYTES  ((size_t)256 * 1024)
#define WAITED_FOR  ((uint64_t)8 * 1024 * 1024) /* files up to this size are answered once they are read */
#define RUNNING_MAX 2                           /* files read at a time */
#define WAITING_MAX 64
#define REMEMBERED  256

const char *const hp_digest_names[] = {"md5", "sha-1", "sha-256", NULL};

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
    hp_digests_t *digests;
    struct job *next;
    uv_work_t work;
    identity_t identity;
    int fd;
    EVP_MD_CTX *context;
    uint64_t done_bytes; /* the pool's while it reads, as whole, status and hex */
    uint64_t told_bytes; /* the loop's: done_bytes when the pool was through with it last */
    bool running, whole;
    int status;
    char hex[65];
    hp_digest_fn done; /* of the caller that waits for it; NULL: there is none */
    void *arg;
} job_t;

struct hp_digests {
    uv_loop_t *loop;
    known_t known[REMEMBERED];
    size_t next; /* is overwritten next */
    job_t *jobs;
    unsigned running, count;
    bool stopped;
    unsigned references; /* one for the owner, one for each job */
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

static void start_next(hp_digests_t *self);

static void release(hp_digests_t *self)
{
    if (--self->references == 0)
        free(self);
}

static void remember(hp_digests_t *self, const job_t *job)
{
    known_t *known = &self->known[self->next++ % REMEMBERED];
    known->identity = job->identity;
    memcpy(known->hex, job->hex, sizeof known->hex);
}

static void answer(job_t *job, int status)
{
    hp_err_t err = {0};
    hp_digest_t digest = {.size = (uint64_t)job->identity.size};
    memcpy(digest.hex, job->hex, sizeof digest.hex);
    if (status == HP_E_CONFLICT)
        hp_err_set(&err, status, "the file changed while it was read");
    if (job->done != NULL)
        job->done(job->arg, status, &digest, &err);
    else if (status != 0 && !job->digests->stopped)
        hp_log(HP_LOG_WARN, "a digest cannot be computed: %s", hp_err_sentence(status));
}

static void job_end(job_t *job, int status)
{
    hp_digests_t *self = job->digests;
    for (job_t **link = &self->jobs; *link != NULL; link = &(*link)->next) {
        if (*link == job) {
            *link = job->next;
            self->count--;
            self->running -= job->running;
            break;
        }
    }
    if (status == 0)
        remember(self, job);
    answer(job, status);
    close(job->fd);
    EVP_MD_CTX_free(job->context);
    free(job);
    if (!self->stopped)
        start_next(self);
    release(self);
}

static void on_slice(uv_work_t *work, int canceled)
{
    job_t *job = work->data;
    int status = canceled != 0 ? canceled : job->status;
    job->told_bytes = job->done_bytes;
    if (status == 0 && job->digests->stopped)
        status = UV_ECANCELED;
    bool goes_on = status == 0 && !job->whole;
    if (goes_on)
        status = uv_queue_work(job->digests->loop, &job->work, read_slice, on_slice);
    if (!goes_on || status != 0)
        job_end(job, status);
}

static void start_next(hp_digests_t *self)
{
    for (job_t *job = self->jobs; job != NULL && self->running < RUNNING_MAX; job = job->next) {
        if (job->running)
            continue;
        job->running = true;
        self->running++;
        int rc = uv_queue_work(self->loop, &job->work, read_slice, on_slice);
        if (rc != 0) {
            job_end(job, rc);
            return;
        }
    }
}

static const char *find_known(const hp_digests_t *self, const identity_t *identity)
{
    for (size_t i = 0; i < REMEMBERED; i++)
        if (self->known[i].hex[0] != '\0' && same(&self->known[i].identity, identity))
            return self->known[i].hex;
    return NULL;
}

static job_t *find_job(const hp_digests_t *self, const identity_t *identity)
{
    job_t *job = self->jobs;
    while (job != NULL && !same(&job->identity, identity))
        job = job->next;
    return job;
}

/* Takes fd. 0 or HP_E_INTERNAL. */
static int job_create(hp_digests_t *self, int fd, const identity_t *identity, hp_digest_fn done, void *arg)
{
    static const EVP_MD *(*const functions[])(void) = {EVP_md5, EVP_sha1, EVP_sha256};
    EVP_MD_CTX *context = EVP_MD_CTX_new();
    if (context == NULL || EVP_DigestInit_ex(context, functions[identity->algorithm](), NULL) != 1) {
        EVP_MD_CTX_free(context);
        close(fd);
        return HP_E_INTERNAL;
    }
    job_t *job = hp_alloc(sizeof *job), **last = &self->jobs;
    *job = (job_t){
        .digests = self, .identity = *identity, .fd = fd, .context = context, .done = done, .arg = arg};
    job->work.data = job;
    while (*last != NULL)
        last = &(*last)->next;
    *last = job;
    self->count++;
    self->references++;
    start_next(self);
    return 0;
}

void hp_digests_get(hp_digests_t *self, int fd, const struct stat *st, int algorithm, hp_digest_fn done,
                    void *arg)
{
    hp_err_t err = {0};
    hp_digest_t digest = {.size = (uint64_t)st->st_size};
    identity_t identity = identity_of(st, algorithm);
    const char *known = find_known(self, &identity);
    const job_t *job = known == NULL ? find_job(self, &identity) : NULL;
    int rc = 0;
    if (known != NULL)
        snprintf(digest.hex, sizeof digest.hex, "%s", known);
    else if (job != NULL)
        digest.done_bytes = job->told_bytes;
    if (known != NULL || job != NULL) {
        close(fd);
    } else if (self->stopped || self->count >= WAITING_MAX) {
        close(fd);
        rc = hp_err_set(&err, HP_E_TOO_MANY, "%d files already wait for their digests", WAITING_MAX);
    } else {
        bool waited_for = digest.size <= WAITED_FOR;
        rc = job_create(self, fd, &identity, waited_for ? done : NULL, arg);
        if (rc == 0 && waited_for)
            return;
        if (rc != 0)
            hp_err_set(&err, rc, "this machine's libcrypto has no %s", hp_digest_names[algorithm]);
    }
    done(arg, rc, &digest, &err);
}

hp_digests_t *hp_digests_create(uv_loop_t *loop)
{
    hp_digests_t *self = hp_alloc(sizeof *self);
    self->loop = loop;
    self->references = 1;
    return self;
}

void hp_digests_stop(hp_digests_t *self)
{
    self->stopped = true;
    for (job_t *job = self->jobs, *next; job != NULL; job = next) {
        next = job->next;
        if (!job->running)
            job_end(job, UV_ECANCELED);
    }
}

void hp_digests_destroy(hp_digests_t *self)
{
    release(self);
}
