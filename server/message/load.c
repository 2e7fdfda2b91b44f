/* Messages as they stand in the database, copied for the loop. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/array.h"
#include "base/mem.h"
#include "base/utf8.h"
#include "message/internal.h"

#define COPY(out, text) copy((out), sizeof(out), (text))

static void copy(char *out, size_t size, const char *text)
{
    snprintf(out, size, "%s", text != NULL ? text : "");
    hp_utf8_cut(out);
}

void hp_message_copy(hp_message_t *message, const hp_db_message_t *row)
{
    *message = (hp_message_t){.id = row->id,
                              .incoming = row->incoming,
                              .unread = row->unread,
                              .sent_at = row->sent_at,
                              .received_at = row->received_at,
                              .text = hp_strdup(row->text),
                              .has_offer = row->offer_path != NULL};
    COPY(message->uid, row->uid);
    COPY(message->from, row->host);
    COPY(message->from_name, row->name);
    COPY(message->to, row->recipient);
    if (message->has_offer) {
        message->offer.path = hp_strdup(row->offer_path);
        message->offer.size = row->offer_size;
        COPY(message->offer.root, row->offer_root);
    }
}

static void add_delivery(void *arg, const hp_db_delivery_t *row)
{
    hp_message_t *message = arg;
    size_t count = message->delivery_count++;
    if ((count & (count - 1)) == 0) /* a power of two, or none: full */
        message->deliveries =
            hp_realloc(message->deliveries, (count > 0 ? 2 * count : 1) * sizeof *message->deliveries);
    hp_message_delivery_t *delivery = &message->deliveries[count];
    *delivery = (hp_message_delivery_t){.state = row->state, .at = row->at};
    COPY(delivery->host, row->host);
    COPY(delivery->reason, row->reason);
}

int hp_message_load_deliveries(hp_db_t *db, hp_message_t *message, hp_err_t *err)
{
    return message->incoming ? 0 : hp_db_delivery_each(db, message->id, add_delivery, message, err);
}

static void copy_row(void *arg, const hp_db_message_t *row)
{
    hp_message_copy(arg, row);
}

int hp_message_load(hp_db_t *db, int64_t id, hp_message_t *message, hp_err_t *err)
{
    *message = (hp_message_t){.id = 0};
    int rc = hp_db_message_get(db, id, copy_row, message, err);
    if (rc == HP_E_NOT_FOUND)
        return hp_err_set(err, rc, "there is no message %lld", (long long)id);
    if (rc == 0)
        rc = hp_message_load_deliveries(db, message, err);
    return rc;
}

void hp_message_dispose(hp_message_t *message)
{
    free(message->text);
    free(message->offer.path);
    free(message->deliveries);
    *message = (hp_message_t){.id = 0};
}

/* ---- what is unread ---- */

static void add_unread(void *arg, const char *host, int64_t count)
{
    hp_unread_list_t *list = arg;
    hp_unread_t *item = hp_array_add(list);
    item->count = (uint64_t)count;
    COPY(item->host, host);
}

int hp_unread_load(hp_db_t *db, hp_unread_list_t *list, hp_err_t *err)
{
    return hp_db_message_each_unread(db, add_unread, list, err);
}

void hp_unread_take(hp_messages_t *self, hp_unread_list_t *list)
{
    bool same = self->unread.count == list->count;
    for (size_t i = 0; same && i < list->count; i++)
        same = self->unread.items[i].count == list->items[i].count &&
               strcmp(self->unread.items[i].host, list->items[i].host) == 0;
    free(self->unread.items);
    self->unread = *list;
    *list = (hp_unread_list_t){.items = NULL};
    if (!same)
        hp_messages_emit(self, HP_MESSAGE_UNREAD, 0);
}

uint64_t hp_messages_unread(const hp_messages_t *self)
{
    uint64_t count = 0;
    for (size_t i = 0; i < self->unread.count; i++)
        count += self->unread.items[i].count;
    return count;
}

const char *hp_messages_unread_of(const hp_messages_t *self, size_t index, uint64_t *count)
{
    if (index >= self->unread.count)
        return NULL;
    *count = self->unread.items[index].count;
    return self->unread.items[index].host;
}
