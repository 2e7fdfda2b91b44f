#include "transfer/given.h"

#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "transfer/internal.h"

#define AT_ONCE 20000 /* chunks and files of one store job */

typedef struct {
    hp_transfer_t *transfer;
    int64_t id;
    hp_download_given_t at;
    bool more;
    hp_given_t *hosts;
    size_t count;
    hp_given_fn done;
    void *arg;
} given_job_t;

static bool is_host(const hp_given_t *given, const char *host)
{
    return host == NULL || given->host == NULL ? host == given->host : strcmp(given->host, host) == 0;
}

static void add(void *arg, const char *host, int64_t bytes)
{
    given_job_t *job = arg;
    size_t i = 0;
    while (i < job->count && !is_host(&job->hosts[i], host))
        i++;
    if (i == job->count) {
        job->hosts = hp_realloc(job->hosts, ++job->count * sizeof *job->hosts);
        job->hosts[i] = (hp_given_t){.host = host != NULL ? hp_strdup(host) : NULL};
    }
    job->hosts[i].bytes += bytes;
}

/* Store thread. A part at a time: other jobs have their turn in between. */
static int work(hp_db_t *db, void *arg, hp_err_t *err)
{
    given_job_t *job = arg;
    return hp_db_download_given(db, job->id, &job->at, AT_ONCE, &job->more, add, job, err);
}

static int by_bytes(const void *a, const void *b)
{
    const hp_given_t *x = a, *y = b;
    return (x->bytes < y->bytes) - (x->bytes > y->bytes);
}

static void on_read(void *arg, int status, const hp_err_t *err)
{
    given_job_t *job = arg;
    hp_transfer_t *transfer = job->transfer;
    if (status == 0 && job->more && !transfer->stopping) {
        hp_store_post_counted(transfer->store, &transfer->pending, HP_STORE_READ, work, on_read, job);
        return;
    }
    if (status == 0 && job->count > 0)
        qsort(job->hosts, job->count, sizeof *job->hosts, by_bytes);
    job->done(job->arg, status, job->hosts, job->count, err);
    for (size_t i = 0; i < job->count; i++)
        free(job->hosts[i].host);
    free(job->hosts);
    free(job);
    hp_transfer_wake(transfer);
}

void hp_transfer_given(hp_transfer_t *transfer, int64_t id, hp_given_fn done, void *arg)
{
    hp_err_t err = {0};
    if (hp_transfer_find(transfer, id) == NULL) {
        int rc = hp_err_set(&err, HP_E_NOT_FOUND, "there is no download %lld", (long long)id);
        done(arg, rc, NULL, 0, &err);
        return;
    }
    given_job_t *job = hp_alloc(sizeof *job);
    *job = (given_job_t){.transfer = transfer, .id = id, .at = {.number = -1}, .done = done, .arg = arg};
    hp_store_post_counted(transfer->store, &transfer->pending, HP_STORE_READ, work, on_read, job);
}
