/* GET /api/v1/traffic: bytes of file contents over time. */
#include "traffic/traffic.h"

#include "api/internal.h"
#include "base/buf.h"
#include "base/clock.h"
#include "base/mem.h"

#define SHOWN_MS ((int64_t)24 * 3600 * 1000) /* without "since" */

typedef struct {
    hp_api_op_t op;
    hp_buf_t json;
} read_op_t;

/* Store thread. */
static void add_minute(void *arg, const hp_traffic_minute_t *minute)
{
    read_op_t *op = arg;
    char at[HP_RFC3339_SIZE];
    hp_buf_printf(&op->json, "%s{\"at\":\"%s\",\"down_bytes\":%llu,\"up_bytes\":%llu}",
                  op->json.data[op->json.length - 1] == '[' ? "" : ",", hp_clock_rfc3339(minute->at, at),
                  (unsigned long long)minute->received, (unsigned long long)minute->sent);
}

static void on_minutes(void *arg, int status, const hp_err_t *err)
{
    read_op_t *op = arg;
    if (status == 0) {
        hp_buf_add_text(&op->json, "]}");
        hp_api_reply_text(op->op.request, 200, hp_buf_take(&op->json));
    } else {
        hp_http_reply_problem(op->op.request, status, err);
    }
    hp_buf_dispose(&op->json);
    hp_api_op_destroy(op);
}

void hp_api_get_traffic(hp_api_t *api, hp_http_request_t *request, const char *arg)
{
    (void)arg;
    hp_err_t err = {0};
    const char *text = NULL;
    int64_t since = hp_clock_wall_ms() - SHOWN_MS;
    int rc = hp_param_get_text(request, "since", &text, &err);
    if (rc == 0 && text != NULL && hp_clock_parse_rfc3339(text, &since) != 0)
        rc = hp_err_set(&err, HP_E_INVALID, "since: must be a time as in RFC 3339");
    if (rc != 0) {
        hp_http_reply_problem(request, rc, &err);
        return;
    }
    read_op_t *op = hp_api_op_create(sizeof *op, api, request);
    hp_buf_init(&op->json, (size_t)HP_TRAFFIC_MINUTES_MAX * 2 * 100);
    hp_buf_add_text(&op->json, "{\"minutes\":[");
    hp_traffic_read(api->deps.traffic, since, add_minute, on_minutes, op);
}
