#include "gifts.h"

#include <stdlib.h>

#include "base/mem.h"

#define GIFT_LISTS 3 /* lists that are fetched until a folder that somebody gives is in one */

/* ---- what the inbox hears ---- */

static void tell_inbox(hp_app_t *app, int64_t id)
{
    hp_download_info_t info;
    if (hp_transfer_get(app->transfer, id, &info) != 0)
        return;
    bool over = info.state == HP_DOWNLOAD_FAILED || info.state == HP_DOWNLOAD_CANCELLED;
    hp_inbox_download_t now = {.id = id,
                               .state = info.state == HP_DOWNLOAD_DONE ? HP_FETCHED
                                        : over                         ? HP_FETCH_FAILED
                                                                       : HP_FETCHING,
                               .size_known = info.size_known,
                               .size = info.size,
                               .done_bytes = info.done_bytes,
                               .path = info.path,
                               .reason = info.error_detail[0] != '\0' ? info.error_detail
                                                                      : "the download was cancelled"};
    hp_inbox_download(app->inbox, &now);
}

void hp_gift_changed(hp_app_t *app, int64_t id)
{
    if (app->inbox != NULL && hp_inbox_follows(app->inbox, id))
        tell_inbox(app, id);
}

void hp_gift_wanted(hp_app_t *app, int64_t id)
{
    if (app->inbox != NULL)
        hp_inbox_download_wanted(app->inbox, id);
}

uint64_t hp_gift_most(const hp_app_t *app, int64_t id)
{
    return app->inbox != NULL ? hp_inbox_download_most(app->inbox, id) : UINT64_MAX;
}

void hp_gift_removed(hp_app_t *app, int64_t id)
{
    if (app->inbox != NULL)
        hp_inbox_download(
            app->inbox,
            &(hp_inbox_download_t){.id = id, .state = HP_FETCH_FAILED, .reason = "the download was removed"});
}

/* ---- orders ---- */

typedef struct {
    hp_app_t *app;
    char *host, *path, *to;
    bool folder, may_run;
    uint64_t most;
    unsigned lists; /* fetched for it */
    hp_inbox_ordered_fn done;
    void *arg;
} gift_t;

static void on_gift_listed(void *arg, int status, const hp_err_t *err);

/* What is in a folder is known from the host's list. The first fetch may be one that began before the folder
 * was there; the others begin now. */
static void list_gift(gift_t *gift)
{
    hp_hosts_refresh(gift->app->hosts, gift->host, gift->lists++ > 0, on_gift_listed, gift);
}

static void on_gift_ordered(void *arg, int status, int64_t id, bool existing, const hp_err_t *err)
{
    gift_t *gift = arg;
    if (status == HP_E_NOT_FOUND && gift->folder && gift->lists < GIFT_LISTS && gift->app->closed == NULL) {
        list_gift(gift);
        return;
    }
    gift->done(gift->arg, status, id, existing, err);
    free(gift->host);
    free(gift->path);
    free(gift->to);
    free(gift);
}

/* Also when the list could not be fetched: the one that is kept may do. */
static void on_gift_listed(void *arg, int status, const hp_err_t *err)
{
    gift_t *gift = arg;
    hp_download_order_t order = {.host = gift->host,
                                 .path = gift->folder ? NULL : gift->path,
                                 .folder = gift->folder ? gift->path : NULL,
                                 .to = gift->to,
                                 .given = true,
                                 .never_runs = !gift->may_run,
                                 .most = gift->most};
    (void)err;
    if (gift->app->transfer != NULL && status != UV_ECANCELED)
        hp_transfer_add(gift->app->transfer, &order, on_gift_ordered, gift);
    else
        on_gift_ordered(gift, UV_ECANCELED, 0, false, &(hp_err_t){.code = UV_ECANCELED});
}

static void order_gift(void *arg, const hp_inbox_order_t *order, hp_inbox_ordered_fn done, void *done_arg)
{
    gift_t *gift = hp_alloc(sizeof *gift);
    *gift = (gift_t){.app = arg,
                     .host = hp_strdup(order->host),
                     .path = hp_strdup(order->path),
                     .to = hp_strdup(order->to),
                     .folder = order->folder,
                     .may_run = order->may_run,
                     .most = order->most,
                     .done = done,
                     .arg = done_arg};
    if (order->folder)
        list_gift(gift);
    else
        on_gift_listed(gift, 0, NULL);
}

static void on_gift_loaded(void *arg, int status, int64_t id, bool existing, const hp_err_t *err)
{
    hp_app_t *app = arg;
    (void)existing;
    (void)err;
    if (app->inbox == NULL || app->transfer == NULL)
        return;
    if (status == 0)
        tell_inbox(app, id);
    else if (status == HP_E_NOT_FOUND)
        hp_gift_removed(app, id);
}

static void look_at_gift(void *arg, int64_t download)
{
    hp_transfer_load(((hp_app_t *)arg)->transfer, download, on_gift_loaded, arg);
}

static void on_gift_dropped(void *arg, int status, int64_t id, bool existing, const hp_err_t *err)
{
    (void)arg, (void)status, (void)id, (void)existing, (void)err;
}

static void drop_gift(void *arg, int64_t download)
{
    hp_app_t *app = arg;
    if (app->transfer != NULL)
        hp_transfer_remove(app->transfer, download, false, on_gift_dropped, NULL);
}

void hp_gifts_start(hp_app_t *app)
{
    hp_inbox_start(app->inbox, &(hp_inbox_orders_t){
                                   .order = order_gift, .look = look_at_gift, .drop = drop_gift, .arg = app});
}
