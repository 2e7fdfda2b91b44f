/* The functions that the files of server/transfer offer each other, a section a file; what they work on is in
 * types.h. For the sources of server/transfer alone. */
#ifndef HP_TRANSFER_INTERNAL_H
#define HP_TRANSFER_INTERNAL_H

#include "transfer/types.h"

/* ---- transfer.c ---- */
void hp_transfer_wake(hp_transfer_t *self);                           /* schedule in this turn of the loop */
void hp_transfer_activate(hp_transfer_t *self, download_t *download); /* it does something from now on */
download_t *hp_transfer_find(const hp_transfer_t *self, int64_t id);
void hp_transfer_resume_held(hp_transfer_t *self); /* leases that waited for a buffer or a limit */
void hp_transfer_throttle(hp_transfer_t *self);    /* a lease waits for a limit: look again soon */
void hp_transfer_unlink(hp_transfer_t *self, download_t *download); /* the caller frees it */

bool hp_transfer_lets_run(const hp_transfer_t *self, const hp_download_file_row_t *row);

/* ---- source.c ---- */
extern const hp_retry_policy_t hp_transfer_backoff; /* between two tries of a source */

/* ---- hosts.c ---- */
known_host_t *hp_transfer_known(const hp_transfer_t *self, const char *id); /* NULL unknown */
/* The id that a host has now. */
const char *hp_transfer_host_id(const hp_transfer_t *self, const char *id);
void hp_transfer_tell_waiting(hp_transfer_t *self); /* tells the hooks which hosts downloads wait for */
void hp_transfer_free_hosts(hp_transfer_t *self);

/* ---- disk.c ---- */
void hp_transfer_look_at_disks(hp_transfer_t *self); /* measures; resumes what waited for room */
bool hp_download_waits_for_disk(const download_t *self);
/* Pauses the other downloads on the file system of first. */
void hp_transfer_disk_failed(hp_transfer_t *self, const download_t *first, int code, const hp_err_t *err);

/* ---- sums.c ---- */
/* Chunks of the file, and bytes of so many of them; 0 while that is unknown. Any row: nothing overflows. */
int64_t hp_row_chunks(const hp_download_file_row_t *row);
int64_t hp_row_done_bytes(const hp_download_file_row_t *row, int64_t chunks_done);
/* Adds a file with so many chunks on record to the sums of its download; sign -1: takes it away. */
void hp_sums_add(hp_download_row_t *to, const hp_download_file_row_t *file, int64_t chunks_done,
                 int64_t sign);
/* After a write to the store that failed (sums_stale), the sums here are not those of the rows: reads them
 * again when no file is under way. */
void hp_sums_read(download_t *self);

/* ---- folders.c ---- */
/* Makes the empty folders of one that was ordered, as the host lists them now; then folders_made is set. */
void hp_download_make_folders(download_t *self);
/* Store. How many of them are not there. */
int hp_order_count_missing_folders(hp_db_t *db, const hp_download_row_t *row, int64_t *count, hp_err_t *err);

/* ---- listing.c ---- */
bool hp_download_has_ended(const download_t *self); /* DONE, FAILED or CANCELLED */
/* Frees ended downloads beyond those that are kept for being asked for again soon. */
void hp_transfer_drop_ended(hp_transfer_t *self);
/* So many ended ones of this state are in the store. */
void hp_transfer_count_loaded(hp_transfer_t *self, const char *state, int64_t count);

/* ---- view.c ---- */
void hp_download_fill(download_t *self, hp_download_info_t *info);

/* ---- watch.c ---- */
void hp_transfer_look_at_parts(hp_transfer_t *self);

/* ---- order.c ---- */
/* Store. A free name below base, and below the folder `to` there unless that is NULL: neither on the disk nor
 * held by another order; "_" for each character of name that reorders text. path and note (that the disk does
 * not take the name as it is; unchanged where it does): the caller's to free. */
int hp_order_reserve_name(hp_db_t *db, const char *base, const char *to, const char *name, char **path,
                          char **note, hp_err_t *err);
int hp_order_check_url(const char *url, hp_err_t *err);
/* HP_E_TOO_LARGE, in words: a file of so many bytes, of which fewer were offered. Any thread. */
int hp_order_more_than_offered(uint64_t size, uint64_t offered, hp_err_t *err);
void hp_transfer_refuse(hp_transfer_t *transfer, const hp_err_t *err, hp_download_fn done, void *arg);
void hp_download_copy_row(const hp_download_row_t *from, hp_download_row_t *to);
/* A download as its row says, in no list; and one that takes part from now on. */
download_t *hp_download_make(hp_transfer_t *transfer, const hp_download_row_t *row);
bool hp_transfer_is_being_removed(const hp_transfer_t *transfer, int64_t id);
download_t *hp_download_from_row(hp_transfer_t *transfer, const hp_download_row_t *row);

/* ---- download.c ---- */
/* The one place where a state changes; logs, posts the row, tells people. done may be NULL, else runs after
 * the commit. */
void hp_download_set_state(download_t *self, hp_download_state_t state, const char *reason, int error_code,
                           const char *error_detail);
/* The same bookkeeping for a message that is worth keeping over a restart. */
void hp_download_set_reason(download_t *self, const char *reason);
void hp_download_save(download_t *self, hp_download_fn done, void *arg);
/* What is there of it was found in this folder: it lands there. */
void hp_download_moved(download_t *self, const char *base);
/* The disk does not take the path of the item: it lands at this one. */
void hp_download_renamed(download_t *self, item_t *item, const char *path);
/* The words of that, malloced; count: how many files of the download it happened to. */
char *hp_download_renamed_note(const char *wanted, const char *path, unsigned count);
void hp_download_run(download_t *self); /* QUEUED -> RUNNING; its items are gone */
/* When its items and jobs are gone: removes the part files, then the rows, then itself. */
void hp_download_continue_removal(download_t *self);
void hp_download_remove(download_t *self, bool keep_data, hp_download_fn done, void *arg);
void hp_download_schedule(download_t *self); /* takes up files, starts leases */
/* It waits for a source, and one can be asked now. */
bool hp_download_is_back(const download_t *self);
void hp_download_go_on(download_t *self); /* such a one gets a place */
/* To a state in which nothing runs. Its items end in the background. */
void hp_download_stop(download_t *self, hp_download_state_t state, const char *reason, int error_code,
                      const char *error_detail);
void hp_download_settle(
    download_t *self); /* frees items that are through, and goes on with what waited for that */
void hp_download_free(download_t *self);
bool hp_download_is_running(const download_t *self); /* RUNNING or VERIFYING */
void hp_download_changed(download_t *self);
/* Sums over items are kept apart from the rows': the sums of a file leave the row when it is taken up and
 * returns when its item goes. */
/* From items. */
void hp_download_item_done(download_t *self, item_t *item);
void hp_download_item_failed(download_t *self, item_t *item, int code, const char *detail);
/* A person wants failed files tried again: those that have not gone yet are not counted as failed. */
void hp_download_reopen_items(download_t *self);
/* The disk, or another means that comes back by itself, failed: pauses the download, which goes on by itself.
 */
void hp_download_disk_failed(download_t *self, int code, const hp_err_t *err);
/* Whether what the error names passes by itself: a full disk, no descriptors or memory, a disk that fails. */
bool hp_download_trouble_passes(int code);
/* The same of a write to the store: what was summed up here is read again. */
void hp_download_write_failed(download_t *self, int code, const hp_err_t *err);

/* A file of it is taken up by itself; takes the row's texts. */
item_t *hp_download_take_up(download_t *self, hp_download_file_row_t *row);
/* The row of a file that was not taken up by itself has become another one, on record. */
void hp_download_row_changed(download_t *self, const hp_download_file_row_t *before,
                             const hp_download_file_row_t *after);
/* Bytes have come from the host: for limits and speeds. */
void hp_download_count_bytes(download_t *self, source_host_t *host, uint64_t bytes);

/* ---- bundle.c ---- */
/* Whether the file is to come in a bundle: then its row is taken, with its texts. */
bool hp_bundle_takes(download_t *download, hp_download_file_row_t *row);
bool hp_bundle_is_idle(const download_t *download); /* nothing waits, nothing is under way */
/* Asks for bundles; what cannot come so is taken up by itself. Whether there is work going. */
bool hp_bundle_schedule(download_t *download);
void hp_bundle_stop(download_t *download);
void hp_bundle_resume_held(download_t *download);

/* ---- item_rows.c, chunk.c ---- */
/* Removes the chunk rows and the validators; left: a part file that is recorded as left behind, or NULL. */
void hp_item_replace_rows(item_t *self, const left_part_t *left);

/* ---- item.c ---- */
void hp_item_make_map(item_t *self, uint64_t size, uint64_t chunk_size, uint64_t chunks);
void hp_item_know_size(item_t *self, uint64_t size, uint64_t chunk_size);
bool hp_item_is_small(const item_t *self); /* its size is known, and it is one chunk or none */
item_t *hp_item_create(download_t *download, hp_download_file_row_t *row); /* takes the row's texts */
void hp_item_start(item_t *self);
/* Whether the row's part file was last seen before this machine was started. */
bool hp_item_other_boot(const hp_transfer_t *transfer, const hp_download_file_row_t *row);
hp_part_identity_t hp_item_identity(const hp_transfer_t *transfer, const hp_download_file_row_t *row);
void hp_item_stop(item_t *self); /* cancels leases, goes to STOPPED */
void hp_item_free(item_t *self);
void hp_item_close(item_t *self); /* its descriptors; when nothing is being written */
void hp_item_set_phase(item_t *self, item_phase_t phase);
/* A source has told the size. Begins the part file; or fails: it is more than can be, or was agreed to. */
void hp_item_set_size(item_t *self, uint64_t size);
/* The source will not say it: chunks of a fixed size until the end is seen. Fails where only so many bytes
 * were agreed to. */
void hp_item_set_endless(item_t *self);
/* The end of such a body: the lease's last, short chunk is complete. */
void hp_item_end_seen(item_t *self, lease_t *lease);
void hp_item_save(item_t *self, hp_store_kind_t kind);
void hp_item_copy_row(const item_t *self,
                      hp_download_file_row_t *to);      /* for a job to write; its to dispose */
void hp_item_start_over(item_t *self, const char *why); /* another version: a new part file */
void hp_item_chunk_ready(item_t *self, lease_t *lease); /* the lease's buffer is full */
void hp_item_check_complete(item_t *self);
void hp_item_fail(item_t *self, int code, const char *detail);
void hp_item_clear_chunks(item_t *self); /* when nothing is being written */
void hp_item_restart(item_t *self);      /* what start_over asked for, when nothing is being written */
uint64_t hp_item_chunk_bytes(const item_t *self, uint64_t chunk);
/* finish.c, small.c, check.c: steps of an item's life that run in the pool. */
void hp_item_open(item_t *self);
void hp_item_make(item_t *self);
/* When much of what was reserved has arrived. */
void hp_item_reserve_more(item_t *self);
/* The part file is not the one any more that was written: begins again in a new one. */
void hp_item_part_lost(item_t *self, const char *why);
void hp_item_finish(item_t *self);
void hp_item_finish_small(item_t *self, hp_chunk_buffer_t *buffer, source_t *source); /* takes the buffer */
void hp_item_check(item_t *self);
/* same.c. What stands at its path and has its size may be it: hashed before anything is fetched. */
void hp_item_look(item_t *self);
/* All is here, with this root: commits that, then the file gets its name. */
void hp_item_commit_finishing(item_t *self, const char *root, bool verified);
/* late_root.c: asks a source that may know the root by now, and ends as one of the two above; root: of what
 * has arrived. false: there is none to ask. */
bool hp_item_ask_late_root(item_t *self, const char *root);
/* newer.c. All is here, and has another hash than its host listed: it fails; or, where it was ordered by its
 * place, it goes on with another source, or with what the host has now. */
void hp_item_fail_other_content(item_t *self);
void hp_item_got_other_content(item_t *self);
/* Whether the lists of hosts whose bytes were wrong are waited for: one may say that the file is another one
 * now. Then it starts over as that. */
bool hp_item_looks_for_newer(item_t *self);
/* The file stands under name, synced: commits that it is done, then it is. */
void hp_item_commit_done(item_t *self, const char *name);
/* A disk that is full or broken pauses the download; a name that cannot be made fails this file. */
void hp_item_step_failed(item_t *item, int status, const hp_err_t *err);

/* ---- manifest.c ---- */
/* Whether leases may start: false while a manifest is being fetched. */
bool hp_manifest_settled(item_t *item);
void hp_manifest_cancel(item_t *item);

/* ---- source.c ---- */
/* The source of item at host, made if there is none. host: the id of a host, or the origin of the URL that
 * was ordered; path: there, or the URL. */
source_t *hp_source_get(item_t *item, const char *host, const char *path);
/* Where a download stands with a host of this id. */
source_host_t *hp_source_host_get(download_t *download, const char *id);
void hp_source_free(source_t *source);
/* Whether it can be asked now. */
bool hp_source_usable(const source_t *source, uint64_t now_ms);
/* Whether it could be asked later: neither set aside nor banned. */
bool hp_source_is_eligible(const source_t *source);
void hp_source_set_aside(source_t *source, int code, const char *why);
/* A chunk from this source had a wrong digest. */
void hp_source_sent_wrong(source_t *source, uint64_t chunk);
bool hp_source_has_others(const source_t *source); /* its file could come from another one, now or later */
void hp_source_delivered(
    source_t *source); /* a chunk of it is on the disk: what failed before is forgotten */
void hp_source_save(source_t *source);
void hp_source_host_failed(source_host_t *host, const char *error, int retry_after_s);
hp_source_state_t hp_source_host_state(const source_host_t *host, uint64_t now_ms);
void hp_item_find_sources(item_t *item); /* what the order and the lists of other hosts say */

/* ---- plain.c ---- */
/* A reply of the host was accepted, which may offer content in plain. */
void hp_plain_heard(source_host_t *host, const hp_fetch_head_t *head);
/* Asks in plain what options ask for over TLS, if it may be; endpoint is what they point to then. */
bool hp_plain_ask(const item_t *item, const source_t *source, hp_fetch_options_t *options,
                  hp_endpoint_t *endpoint);
/* A request in plain came to nothing. */
void hp_plain_failed(source_host_t *host, const char *why);
/* A chunk that came in plain had a wrong digest. */
void hp_plain_sent_wrong(source_t *source, uint64_t chunk);
/* The host was away and is back. */
void hp_plain_is_back(source_host_t *host);
/* Nothing comes in plain any more: what is under way is asked again over TLS. */
void hp_plain_stop(hp_transfer_t *transfer);

/* ---- lease.c ---- */
void hp_lease_start(item_t *item, source_t *source, uint64_t first, uint64_t end, bool duplicate);
void hp_lease_weigh(lease_t *lease); /* what it fills is known better now */
void hp_lease_cancel(lease_t *lease);
void hp_lease_release_chunks(lease_t *lease); /* what it did not fill is free again */
void hp_lease_resume(lease_t *lease);

/* ---- refusal.c ---- */
/* Some servers allow a client a few connections and refuse what is beyond them. Whether the lease, which has
 * ended, was that; its host is asked over so many from now on. */
bool hp_lease_was_one_too_many(lease_t *lease);
/* Whether its source refused a part of a file that it may give as a whole. */
bool hp_lease_refuses_parts(const lease_t *lease);
/* Whether this machine has an address that others could reach. Without one no name is found. */
bool hp_lease_has_network(void);

/* ---- rename.c ---- */
/* The name that a web server's reply gives the file, which has no part file yet: reserved instead of the one
 * that the URL gave. item->naming until then, and no byte is taken. 0, or HP_E_WEB_PAGE. */
int hp_item_take_web_name(item_t *self, const hp_fetch_head_t *head, hp_err_t *err);

/* ---- kept.c ---- */
#define HP_KEPT_ALL UINT64_MAX
/* Keeps what the lease has of a chunk, when its rest can come later. Whether it did. */
bool hp_kept_put(lease_t *lease);
/* What is kept of the chunk from this source, the caller's now; NULL. */
hp_chunk_buffer_t *hp_kept_take(const source_t *source, uint64_t chunk);
bool hp_kept_has(const item_t *item, uint64_t chunk);
/* Of a file of one chunk, which is taken up: what is known of it from the request that the bytes are of. */
void hp_kept_go_on(item_t *item);
/* Bytes that are kept of chunks which no lease asks for at present. */
uint64_t hp_kept_bytes(const item_t *item);
/* Of the files of a download that are not in memory, as while it is paused. */
uint64_t hp_kept_bytes_unloaded(const download_t *download);
void hp_kept_drop(const item_t *item, uint64_t chunk);                 /* or HP_KEPT_ALL */
void hp_kept_drop_download(hp_transfer_t *transfer, int64_t download); /* by its id */
void hp_kept_drop_old(hp_transfer_t *transfer);
void hp_kept_drop_all(hp_transfer_t *transfer);

/* ---- reader.c ---- */
const hp_reader_t *hp_reader_next(const hp_reader_t *reader);
int64_t hp_reader_download(const hp_reader_t *reader);
void hp_reader_wake(hp_transfer_t *transfer); /* readers that wait may have what they wait for */

/* ---- schedule.c ---- */
/* What a lease of the item fills at a time: a chunk, or the whole of a smaller file, as far as it is known.
 */
uint64_t hp_item_lease_bytes(const item_t *item);
/* Whether one more lease of the item finds a buffer: those of all leases together stay within LEASED_MAX,
 * whatever the number of sources; each running download has its share, and one lease always. */
bool hp_item_has_budget(const item_t *item);
bool hp_download_has_budget(const download_t *self, uint64_t bytes);
/* Starts as many leases as sources, limits and free chunks allow. Whether the item has work going or can have
 * it at once. */
bool hp_item_schedule(item_t *item);
/* Whether a source can be asked for it now. */
bool hp_item_can_fetch(const item_t *item);

#endif
