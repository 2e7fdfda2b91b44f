/* Questions of other modules to a host. */
#include <stdio.h>
#include <string.h>

#include "discovery/internal.h"

hp_fetch_t *hp_hosts_ask(hp_hosts_t *hosts, const hp_host_t *host, const hp_hosts_question_t *question,
                         hp_fetch_reply_fn done, void *arg)
{
    const char *body = question->body;
    char port[40];
    snprintf(port, sizeof port, HP_PROBE_PORT_HEADER ": %u", hp_hosts_port(hosts));
    const char *headers[] = {port, question->header, NULL};
    hp_fetch_options_t options = {.endpoint =
                                      &host->addresses[question->address % host->address_count].endpoint,
                                  .path = question->path,
                                  .method = question->method,
                                  .body = body,
                                  .body_length = body != NULL ? strlen(body) : 0,
                                  .content_type = body != NULL ? "application/json" : NULL,
                                  .body_max = question->reply_max,
                                  .connect_ms = question->connect_ms,
                                  .stall_ms = question->stall_ms,
                                  .total_ms = question->total_ms,
                                  .headers = headers};
    return hp_fetch_get(hosts->fetcher, &options, done, arg);
}
