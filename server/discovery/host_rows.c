/* What is kept of hosts over restarts: each is written as it changes and read at the start. Blocking is here
 * as well, because a person who blocks a host is promised that it stays blocked. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "base/mem.h"
#include "base/utf8.h"
#include "db/remote_file.h"
#include "db/rename.h"
#include "discovery/internal.h"

/* ---- writing ---- */

typedef struct save_job {
    hp_hosts_t *hosts;
    bool remove, blocks;
    void (*done)(void *arg, int status, const hp_err_t *err); /* or NULL */
    void *arg;
    hp_host_row_t row;
} save_job_t;

static int work_save(hp_db_t *db, void *arg, hp_err_t *err)
{
    save_job_t *job = arg;
    if (!job->remove)
        return hp_host_save(db, &job->row, err);
    int rc = hp_remote_list_forget(db, job->row.id, err);
    return rc != 0 ? rc : hp_host_remove(db, job->row.id, err);
}

static void set_blocked(hp_hosts_t *hosts, hp_host_entry_t *host, bool blocked)
{
    if (host->pub.blocked == blocked)
        return;
    host->pub.blocked = blocked;
    if (blocked)
        hosts->blocked++;
    else
        hosts->blocked--;
    hp_hosts_emit(hosts, blocked ? HP_HOST_BLOCKED : HP_HOST_CHANGED, host);
}

/* A person's order that could not be stored does not hold: it would end with this process, unseen. */
static void settle_blocked(hp_hosts_t *hosts, const save_job_t *job, int status)
{
    hp_host_entry_t *host = hp_hosts_entry(hosts, job->row.id);
    if (host == NULL || job->remove)
        return;
    if (status == 0)
        host->stored_blocked = job->row.blocked;
    if (!job->blocks || host->block_orders == 0) /* another host by that id since */
        return;
    host->block_orders--;
    if (status != 0 && host->block_orders == 0)
        set_blocked(hosts, host, host->stored_blocked);
}

static void on_saved(void *arg, int status, const hp_err_t *err)
{
    save_job_t *job = arg;
    hp_hosts_t *hosts = job->hosts;
    settle_blocked(hosts, job, status);
    if (status != 0) {
        char id[160];
        hp_log(HP_LOG_ERROR, "what is known of host %s could not be %s: %s",
               hp_utf8_printable(job->row.id, strlen(job->row.id), id, sizeof id),
               job->remove ? "removed" : "written", hp_err_text(err));
    } else if (job->remove) {
        hp_lists_sweep(hosts);
    }
    if (job->done != NULL)
        job->done(job->arg, status, err);
    free(job);
}

static void post_save(hp_hosts_t *hosts, save_job_t *job)
{
    job->hosts = hosts;
    bool asked = job->remove || job->done != NULL; /* by a person */
    hp_store_post_counted(hosts->store, &hosts->pending, asked ? HP_STORE_WRITE_SYNCED : HP_STORE_WRITE_LAZY,
                          work_save, on_saved, job);
}

static void add_address_row(hp_host_row_t *row, const hp_host_address_t *address)
{
    if (row->address_count == HP_HOST_ROW_ADDRESSES || address->endpoint.scheme == HP_SCHEME_MEMBER)
        return;
    hp_host_row_address_t *out = &row->addresses[row->address_count++];
    hp_endpoint_address(&address->endpoint, out->address);
    out->port = address->endpoint.port;
    out->answered_at = address->answered_at;
}

static save_job_t *make_save(hp_host_entry_t *host)
{
    host->dirty = false;
    const hp_host_t *pub = &host->pub;
    save_job_t *job = hp_alloc(sizeof *job);
    hp_host_row_t *row = &job->row;
    snprintf(row->id, sizeof row->id, "%s", pub->id);
    snprintf(row->name, sizeof row->name, "%s", pub->name);
    snprintf(row->instance, sizeof row->instance, "%s", pub->instance);
    snprintf(row->found_by, sizeof row->found_by, "%s", hp_found_by_name(pub->found_by));
    snprintf(row->added_as, sizeof row->added_as, "%s", pub->added_as);
    row->protocol = pub->protocol;
    row->files = pub->files;
    row->bytes = pub->bytes;
    row->first_seen = host->first_seen;
    row->last_seen = pub->last_seen;
    row->blocked = pub->blocked;
    row->has_fingerprint = pub->pinned;
    row->proven = pub->proven;
    memcpy(row->fingerprint, pub->fingerprint, sizeof row->fingerprint);
    for (size_t i = 0; i < pub->address_count; i++)
        add_address_row(row, &host->addresses[i]);
    for (size_t i = 0; i < host->former_count; i++)
        add_address_row(row, &host->former[i]);
    return job;
}

void hp_hosts_save(hp_hosts_t *hosts, hp_host_entry_t *host)
{
    post_save(hosts, make_save(host));
}

typedef struct move_job {
    char old[HP_HOST_ID_SIZE], id[HP_HOST_ID_SIZE];
} move_job_t;

static int work_move(hp_db_t *db, void *arg, hp_err_t *err)
{
    const move_job_t *job = arg;
    return hp_db_host_rename(db, job->old, job->id, err);
}

static void on_moved(void *arg, int status, const hp_err_t *err)
{
    const move_job_t *job = arg;
    if (status != 0)
        hp_log(HP_LOG_ERROR, "what is kept of host %.8s could not be moved to %.8s: %s", job->old, job->id,
               hp_err_text(err));
    free(arg);
}

void hp_hosts_move_rows(hp_hosts_t *hosts, const char *old, const char *id)
{
    move_job_t *job = hp_alloc(sizeof *job);
    snprintf(job->old, sizeof job->old, "%s", old);
    snprintf(job->id, sizeof job->id, "%s", id);
    hp_store_post_counted(hosts->store, &hosts->pending, HP_STORE_WRITE, work_move, on_moved, job);
}

void hp_hosts_forget(hp_hosts_t *hosts, const hp_host_entry_t *host)
{
    save_job_t *job = hp_alloc(sizeof *job);
    job->remove = true;
    memcpy(job->row.id, host->pub.id, sizeof job->row.id);
    post_save(hosts, job);
}

/* ---- blocking ---- */

int hp_hosts_set_blocked(hp_hosts_t *hosts, const char *id, bool blocked,
                         void (*done)(void *arg, int status, const hp_err_t *err), void *arg)
{
    hp_host_entry_t *host = hp_hosts_entry(hosts, id);
    if (host == NULL)
        return HP_E_NOT_FOUND;
    set_blocked(hosts, host, blocked);
    host->block_orders++;
    save_job_t *job = make_save(host);
    job->blocks = true;
    job->done = done;
    job->arg = arg;
    post_save(hosts, job);
    return 0;
}

static bool has_address(const hp_host_entry_t *host, const char *address)
{
    char text[HP_ENDPOINT_ADDRESS_SIZE];
    for (size_t i = 0; i < host->pub.address_count; i++)
        if (strcmp(hp_endpoint_address(&host->addresses[i].endpoint, text), address) == 0)
            return true;
    return false;
}

bool hp_hosts_is_blocked(const hp_hosts_t *hosts, const hp_who_t *who)
{
    if (hosts->blocked == 0)
        return false;
    const hp_host_entry_t *host = who->id[0] != '\0' ? hp_hosts_entry(hosts, who->id) : NULL;
    if (who->id[0] != '\0')
        return host != NULL && host->pub.blocked;
    for (size_t i = 0; i < hosts->count; i++)
        if (hosts->items[i]->pub.blocked && has_address(hosts->items[i], who->address))
            return true;
    return false;
}

/* ---- reading ---- */

static hp_found_by_t found_by_of(const char *name)
{
#define X(by, text)                                                                                          \
    if (strcmp(name, text) == 0)                                                                             \
        return HP_FOUND_##by;
    HP_FOUND_BY(X)
#undef X
    return HP_FOUND_HAND;
}

typedef struct load_job {
    hp_host_row_t *rows;
    size_t count;
    bool *listed;
} load_job_t;

static int work_load(hp_db_t *db, void *arg, hp_err_t *err)
{
    load_job_t *job = arg;
    int rc = hp_remote_list_recover(db, err);
    if (rc == 0)
        rc = hp_host_load(db, &job->rows, &job->count, err);
    if (rc != 0)
        return rc;
    job->listed = hp_alloc_array(job->count, sizeof *job->listed);
    for (size_t i = 0; rc == 0 && i < job->count; i++) {
        hp_remote_list_t list;
        rc = hp_remote_list_get(db, job->rows[i].id, &list, err);
        job->listed[i] = rc == 0;
        if (rc == HP_E_NOT_FOUND)
            rc = 0;
    }
    return rc;
}

/* Where two hosts were at one place, the later one has it, and the other one is asked there again. */
static void add_loaded_address(hp_hosts_t *hosts, hp_host_entry_t *host, const hp_host_row_address_t *address)
{
    hp_endpoint_t at;
    size_t index;
    if (hp_endpoint_make(&at, HP_SCHEME_PLAIN, address->address, address->port) != 0)
        return;
    hp_host_entry_t *owner = hp_hosts_entry_at(hosts, &at, &index);
    bool is_later = owner == NULL || owner->addresses[index].answered_at < address->answered_at;
    if (owner != NULL && is_later)
        hp_hosts_lose_address(owner, index);
    index = hp_hosts_add_address(host, &at);
    host->addresses[index].answered_at = address->answered_at;
    if (!is_later)
        hp_hosts_lose_address(host, index);
}

static void add_loaded(hp_hosts_t *hosts, const hp_host_row_t *row, bool listed)
{
    hp_host_entry_t *host = hp_hosts_make_entry(hosts, row->id, row->name);
    snprintf(host->pub.instance, sizeof host->pub.instance, "%s", row->instance);
    snprintf(host->pub.added_as, sizeof host->pub.added_as, "%s", row->added_as);
    host->pub.found_by = found_by_of(row->found_by);
    host->pub.protocol = row->protocol;
    host->pub.files = row->files;
    host->pub.bytes = row->bytes;
    host->pub.last_seen = row->last_seen;
    host->pub.blocked = host->stored_blocked = row->blocked;
    hosts->blocked += row->blocked;
    host->pub.listed = listed;
    host->first_seen = row->first_seen;
    host->pub.proven = row->proven;
    host->pub.paired = row->paired_at != 0;
    host->pub.unpaired = row->unpaired_at != 0;
    if (row->has_fingerprint)
        hp_hosts_pin(host, row->fingerprint);
    for (size_t i = 0; i < row->address_count; i++)
        add_loaded_address(hosts, host, &row->addresses[i]);
    host->dirty = false;
}

int hp_hosts_load(hp_hosts_t *hosts, hp_err_t *err)
{
    load_job_t job = {0};
    int rc = hp_store_run_now(hosts->store, HP_STORE_WRITE, work_load, &job, err);
    if (rc != 0)
        hp_err_prefix(err, "reading the known hosts: ");
    for (size_t i = 0; rc == 0 && i < job.count; i++)
        if (strcmp(job.rows[i].id, hosts->self->id) != 0)
            add_loaded(hosts, &job.rows[i], job.listed[i]);
    free(job.rows);
    free(job.listed);
    return rc;
}
