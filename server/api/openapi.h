/* openapi.yaml as bytes; api.cmake generates them. */
#ifndef HP_API_OPENAPI_H
#define HP_API_OPENAPI_H

#include <stddef.h>

extern const unsigned char hp_openapi[];
extern const size_t hp_openapi_size;

#endif
