/* GET /api/v1/openapi.yaml: the description of this API, embedded in the binary. */
#include "api/internal.h"
#include "api/openapi.h"

void hp_api_get_openapi(hp_api_t *api, hp_http_request_t *request, const char *arg)
{
    (void)api, (void)arg;
    hp_http_reply(request, 200, "application/yaml", hp_openapi, hp_openapi_size);
}
