/* Which hosts are paired, and which have still to hear that they are not any more. A person was promised
 * both: they are stored and synced before anybody is told. */
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "discovery/internal.h"

typedef struct pair_job {
    hp_hosts_t *hosts;
    char id[HP_HOST_ID_SIZE];
    hp_pair_t pair;
    bool was_paired;
    int64_t now;
    void (*done)(void *arg, int status, const hp_err_t *err); /* or NULL */
    void *arg;
} pair_job_t;

static int work_pair(hp_db_t *db, void *arg, hp_err_t *err)
{
    const pair_job_t *job = arg;
    if (job->pair == HP_PAIR_ENDED)
        return hp_host_set_unpaired(db, job->id, job->now, err);
    return hp_host_set_paired(db, job->id, job->pair == HP_PAIR_PAIRED ? job->now : 0, err);
}

static void set(hp_hosts_t *hosts, hp_host_entry_t *host, bool paired, bool unpaired)
{
    bool differs = host->pub.paired != paired;
    host->pub.paired = paired;
    host->pub.unpaired = unpaired;
    if (differs)
        hp_hosts_emit(hosts, paired ? HP_HOST_CHANGED : HP_HOST_UNPAIRED, host);
}

static void on_stored(void *arg, int status, const hp_err_t *err)
{
    pair_job_t *job = arg;
    hp_hosts_t *hosts = job->hosts;
    hp_host_entry_t *host = hp_hosts_entry(hosts, job->id);
    if (host != NULL && status == 0)
        set(hosts, host, job->pair == HP_PAIR_PAIRED, job->pair == HP_PAIR_ENDED);
    else if (host != NULL && job->pair == HP_PAIR_ENDED &&
             job->was_paired) /* what could not be stored does not hold */
        set(hosts, host, true, false);
    if (status != 0)
        hp_log(HP_LOG_ERROR, "whether host %.8s is paired cannot be stored: %s", job->id, hp_err_text(err));
    if (job->done != NULL)
        job->done(job->arg, status, err);
    free(job);
}

int hp_hosts_set_pair(hp_hosts_t *hosts, const char *id, hp_pair_t pair,
                      void (*done)(void *arg, int status, const hp_err_t *err), void *arg)
{
    hp_host_entry_t *host = hp_hosts_entry(hosts, id);
    if (host == NULL)
        return HP_E_NOT_FOUND;
    pair_job_t *job = hp_alloc(sizeof *job);
    *job = (pair_job_t){.hosts = hosts,
                        .pair = pair,
                        .was_paired = host->pub.paired,
                        .now = hp_clock_wall_ms(),
                        .done = done,
                        .arg = arg};
    memcpy(job->id, host->pub.id, sizeof job->id);
    hp_hosts_save(hosts, host); /* its row may be missing */
    if (pair == HP_PAIR_ENDED)
        set(hosts, host, false, true);
    hp_store_post_counted(hosts->store, &hosts->pending, HP_STORE_WRITE_SYNCED, work_pair, on_stored, job);
    return 0;
}

bool hp_hosts_is_paired(const hp_hosts_t *hosts, const char *id)
{
    const hp_host_entry_t *host = hp_hosts_entry(hosts, id);
    return host != NULL && host->pub.paired;
}
