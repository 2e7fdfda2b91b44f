/* Sends the pieces of a plan without ever waiting on the loop. */
#ifndef HP_HTTP_SEND_H
#define HP_HTTP_SEND_H

#include "internal.h"
#include "plan.h"

/* Takes the plan (of at least one byte) and file->fd. */
void hp_send_file(hp_http_request_t *request, int status, const char *content_type,
                  const hp_http_file_t *file, hp_plan_t *plan);

#endif
