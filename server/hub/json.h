/* JSON as the hub's API has it: binary values are lower-case hex. Pure functions. */
#ifndef HP_HUB_JSON_H
#define HP_HUB_JSON_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "db/hub.h"

json_t *hp_hub_hex_json(const uint8_t *bytes, size_t length);

/* A field that holds exactly length bytes in hex. HP_E_INVALID naming the field. */
int hp_hub_json_hex(const json_t *object, const char *field, uint8_t *out, size_t length, hp_err_t *err);

/* A field that holds text of 1 to size - 1 bytes, UTF-8 without control characters. HP_E_INVALID naming the
 * field. */
int hp_hub_json_text(const json_t *object, const char *field, char *out, size_t size, hp_err_t *err);

/* {"id","fingerprint","name","proof","online","list":{"etag","size"}|null} */
json_t *hp_hub_member_json(const hp_db_hub_member_t *member, bool online);

/* Candidates as a member offers them: [{"kind":"local"|"mapped"|"port","address","port"}], at most
 * HP_HUB_CANDIDATES. HP_E_INVALID naming what is wrong. */
#define HP_HUB_CANDIDATES 24
int hp_hub_check_candidates(const json_t *candidates, hp_err_t *err);

#endif
