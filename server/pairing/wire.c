#include "pairing/wire.h"

#include <jansson.h>
#include <string.h>

#include "base/mem.h"
#include "base/path.h"

char *hp_pairing_wire_step(int step, const uint8_t value[HP_PAIRING_NONCE_SIZE])
{
    char hex[HP_PAIRING_HEX_SIZE];
    if (value == NULL)
        return hp_sprintf("{\"step\":%d}", step);
    hp_hex_encode(value, HP_PAIRING_NONCE_SIZE, hex);
    return hp_sprintf("{\"step\":%d,\"%s\":\"%s\"}", step, step == 1 ? "commitment" : "nonce", hex);
}

static int read_object(const void *data, size_t length, json_t **json, hp_err_t *err)
{
    json_error_t error;
    *json = json_loadb(data, length, JSON_REJECT_DUPLICATES, &error);
    if (*json == NULL)
        return hp_err_set(err, HP_E_BAD_JSON, "%s at byte %d", error.text, error.position);
    return json_is_object(*json) ? 0 : hp_err_set(err, HP_E_BAD_JSON, "the body is not an object");
}

static int read_hex(const json_t *json, const char *field, uint8_t out[HP_PAIRING_NONCE_SIZE], hp_err_t *err)
{
    const char *text = json_string_value(json_object_get(json, field));
    if (text == NULL || hp_hex_decode(text, out, HP_PAIRING_NONCE_SIZE) != 0)
        return hp_err_set(err, HP_E_INVALID, "%s: must be %d hex digits", field, 2 * HP_PAIRING_NONCE_SIZE);
    return 0;
}

int hp_pairing_wire_read_step(const void *data, size_t length, int *step,
                              uint8_t value[HP_PAIRING_NONCE_SIZE], hp_err_t *err)
{
    json_t *json = NULL;
    int rc = read_object(data, length, &json, err);
    const json_t *number = json_object_get(json, "step");
    if (rc == 0 &&
        (!json_is_integer(number) || json_integer_value(number) < 1 || json_integer_value(number) > 3))
        rc = hp_err_set(err, HP_E_INVALID, "step: must be 1, 2 or 3");
    if (rc == 0) {
        *step = (int)json_integer_value(number);
        rc = *step == 3 ? 0 : read_hex(json, *step == 1 ? "commitment" : "nonce", value, err);
    }
    json_decref(json);
    return rc;
}

int hp_pairing_wire_read_nonce(const void *data, size_t length, uint8_t nonce[HP_PAIRING_NONCE_SIZE],
                               hp_err_t *err)
{
    json_t *json = NULL;
    int rc = read_object(data, length, &json, err);
    if (rc == 0)
        rc = read_hex(json, "nonce", nonce, err);
    json_decref(json);
    return rc;
}
