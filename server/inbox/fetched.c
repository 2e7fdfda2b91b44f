/* What another host gives is not brought but fetched: each file and folder is a download like any other,
 * which the inbox only follows. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/mem.h"
#include "inbox/internal.h"

/* Over, one way or the other. */
static void check_over(hp_inbox_item_t *item)
{
    bool failed = false;
    for (size_t i = 0; i < item->files.count; i++) {
        const hp_inbox_file_t *file = &item->files.items[i];
        if (file->wanted && !file->done && !file->failed)
            return;
        failed |= file->failed;
    }
    if (item->state == HP_INCOMING_RECEIVING && !failed)
        hp_inbox_set_state(item, HP_INCOMING_DONE, "");
    else if (item->state == HP_INCOMING_RECEIVING)
        hp_inbox_set_state(item, HP_INCOMING_FAILED, item->reason);
}

static void fail(hp_inbox_item_t *item, hp_inbox_file_t *file, const char *reason)
{
    char *sentence = hp_sprintf("%s: %s", file->name, reason);
    file->failed = true;
    hp_inbox_set_reason(item, sentence);
    free(sentence);
}

/* ---- orders ---- */

typedef struct {
    hp_link_t link;
    hp_inbox_item_t *item; /* NULL: nobody waits any more */
    size_t index;
} order_t;

/* An order may take as long as another host does, and does not hold up the end of the inbox. */
void hp_inbox_forget_orders(hp_inbox_t *self)
{
    for (hp_link_t *link; (link = hp_list_take_first(&self->ordering)) != NULL;)
        HP_CONTAINER(link, order_t, link)->item = NULL;
}

static bool follows(const hp_inbox_item_t *item)
{
    return item->kind == HP_SENDER_HOSTPAIR && item->state == HP_INCOMING_RECEIVING;
}

static bool awaits(const hp_inbox_file_t *file, int64_t download)
{
    return file->download == download && file->wanted && !file->done && !file->failed;
}

/* Another file that waits for the download has it from now on. */
static bool hand_on(hp_inbox_t *self, const hp_inbox_file_t *from)
{
    HP_LIST_EACH (link, &self->items) {
        hp_inbox_item_t *item = HP_CONTAINER(link, hp_inbox_item_t, link);
        for (size_t i = 0; follows(item) && i < item->files.count; i++) {
            hp_inbox_file_t *file = &item->files.items[i];
            if (file == from || !awaits(file, from->download))
                continue;
            file->shared = false;
            hp_inbox_store_file(item, i, HP_STORE_WRITE, NULL, NULL);
            return true;
        }
    }
    return false;
}

/* The file's download is not wanted any more. One that was there before, or that a person ordered, too,
 * stays. */
static void give_up(hp_inbox_t *self, hp_inbox_file_t *file)
{
    bool own = file->download != 0 && !file->shared;
    file->shared = true;
    if (own && !hand_on(self, file) && self->orders.drop != NULL)
        self->orders.drop(self->orders.arg, file->download);
}

static void on_ordered(void *arg, int status, int64_t download, bool existing, const hp_err_t *err)
{
    order_t *order = arg;
    hp_inbox_item_t *item = order->item;
    if (item == NULL) {
        free(order);
        return;
    }
    hp_inbox_t *self = item->inbox;
    hp_inbox_file_t *file = &item->files.items[order->index];
    hp_link_remove(&order->link);
    file->busy = false;
    if (status != 0 && item->state == HP_INCOMING_RECEIVING) {
        fail(item, file, hp_err_text(err));
        check_over(item);
    } else if (status == 0) {
        file->download = download;
        file->shared = existing;
        hp_inbox_store_file(item, order->index, HP_STORE_WRITE, NULL, NULL);
        if (item->state != HP_INCOMING_RECEIVING)
            give_up(self, file);
        else
            self->orders.look(self->orders.arg, download);
    }
    free(order);
    hp_inbox_item_drop(item);
}

static void order_one(hp_inbox_item_t *item, size_t index)
{
    hp_inbox_t *self = item->inbox;
    hp_inbox_file_t *file = &item->files.items[index];
    order_t *order = hp_alloc(sizeof *order);
    *order = (order_t){.item = item, .index = index};
    hp_list_add(&self->ordering, &order->link);
    item->jobs++;
    file->busy = true;
    const hp_inbox_order_t wanted = {
        .host = item->host,
        .path = file->id,
        .to = item->folder,
        .folder = file->folder,
        .most = file->agreed,
        .may_run = self->deps.is_paired != NULL && self->deps.is_paired(self->deps.arg, item->host),
    };
    self->orders.order(self->orders.arg, &wanted, on_ordered, order);
}

void hp_inbox_fetch(hp_inbox_item_t *item)
{
    hp_inbox_t *self = item->inbox;
    if (self->orders.order == NULL || self->closing)
        return;
    for (size_t i = 0; i < item->files.count; i++) {
        hp_inbox_file_t *file = &item->files.items[i];
        if (!file->wanted || file->done || file->busy)
            continue;
        if (file->download == 0)
            order_one(item, i);
        else
            self->orders.look(self->orders.arg, file->download);
    }
}

void hp_inbox_drop_downloads(hp_inbox_item_t *item)
{
    hp_inbox_t *self = item->inbox;
    for (size_t i = 0; i < item->files.count; i++) {
        hp_inbox_file_t *file = &item->files.items[i];
        if (!file->done && !file->failed)
            give_up(self, file);
    }
}

/* ---- how they go ---- */

bool hp_inbox_follows(const hp_inbox_t *self, int64_t download)
{
    HP_LIST_EACH (link, &self->items) {
        const hp_inbox_item_t *item = HP_CONTAINER(link, hp_inbox_item_t, link);
        for (size_t i = 0; follows(item) && i < item->files.count; i++)
            if (item->files.items[i].download == download)
                return true;
    }
    return false;
}

void hp_inbox_download_wanted(hp_inbox_t *self, int64_t download)
{
    HP_LIST_EACH (link, &self->items) {
        hp_inbox_item_t *item = HP_CONTAINER(link, hp_inbox_item_t, link);
        for (size_t i = 0; follows(item) && i < item->files.count; i++) {
            hp_inbox_file_t *file = &item->files.items[i];
            if (file->download != download || file->shared)
                continue;
            file->shared = true;
            hp_inbox_store_file(item, i, HP_STORE_WRITE, NULL, NULL);
        }
    }
}

/* Where several wait for it, as many as any of them agreed to; the others fail for themselves. */
uint64_t hp_inbox_download_most(const hp_inbox_t *self, int64_t download)
{
    uint64_t most = 0;
    bool own = false;
    HP_LIST_EACH (link, &self->items) {
        const hp_inbox_item_t *item = HP_CONTAINER(link, hp_inbox_item_t, link);
        for (size_t i = 0; follows(item) && i < item->files.count; i++) {
            const hp_inbox_file_t *file = &item->files.items[i];
            if (!awaits(file, download))
                continue;
            own |= !file->shared;
            most = HP_MAX(most, file->agreed);
        }
    }
    return own ? most : UINT64_MAX;
}

static void take(hp_inbox_item_t *item, size_t index, const hp_inbox_download_t *now)
{
    hp_inbox_file_t *file = &item->files.items[index];
    if (file->done || file->failed)
        return;
    if (now->size_known && now->size > file->agreed) {
        char reason[120];
        snprintf(reason, sizeof reason, "The file has %llu bytes, and %llu were offered",
                 (unsigned long long)now->size, (unsigned long long)file->agreed);
        fail(item, file, reason);
        give_up(item->inbox, file);
        hp_inbox_changed(item);
        return;
    }
    file->received = file->synced = now->done_bytes;
    if (now->size_known)
        file->size = now->size;
    if (now->state == HP_FETCHED) {
        file->done = true;
        free(file->path);
        file->path = hp_strdup(now->path);
        hp_inbox_store_file(item, index, HP_STORE_WRITE, NULL, NULL);
    } else if (now->state == HP_FETCH_FAILED) {
        fail(item, file, now->reason);
    }
    item->moved_ms = hp_clock_ms();
    hp_inbox_changed(item);
}

void hp_inbox_download(hp_inbox_t *self, const hp_inbox_download_t *now)
{
    if (self->closing)
        return;
    /* An end may remove any of them from the list: they are held until all have been told. */
    HP_ARRAY(hp_inbox_item_t *) waiting = {0};
    HP_LIST_EACH (link, &self->items) {
        hp_inbox_item_t *item = HP_CONTAINER(link, hp_inbox_item_t, link);
        bool waits = false;
        for (size_t i = 0; follows(item) && i < item->files.count && !waits; i++)
            waits = item->files.items[i].download == now->id;
        if (!waits)
            continue;
        item->jobs++;
        *hp_array_add(&waiting) = item;
    }
    for (size_t n = 0; n < waiting.count; n++) {
        hp_inbox_item_t *item = waiting.items[n];
        for (size_t i = 0; follows(item) && i < item->files.count; i++)
            if (item->files.items[i].download == now->id)
                take(item, i, now);
        if (follows(item))
            check_over(item);
        hp_inbox_item_drop(item);
    }
    hp_array_dispose(&waiting);
}

void hp_inbox_start(hp_inbox_t *self, const hp_inbox_orders_t *orders)
{
    self->orders = *orders;
    HP_LIST_EACH (link, &self->items) {
        hp_inbox_item_t *item = HP_CONTAINER(link, hp_inbox_item_t, link);
        if (follows(item))
            hp_inbox_fetch(item);
    }
}
