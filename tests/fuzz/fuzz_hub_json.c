// libs: hub rendezvous db tunnel path base
/* What members send to a hub: the bodies of its calls. What the hub takes and passes on to another member is
 * what that one reads. */
#include <jansson.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "base/path.h"
#include "base/utf8.h"
#include "hub/json.h"
#include "rendezvous/wire.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* The candidates that the hub lets through reach the other member whole, up to the number that it takes. */
static void check_candidates(json_t *candidates)
{
    hp_offer_t read;
    json_t *event = json_pack("{s:s,s:s,s:O}", "session", "00112233445566778899aabbccddeeff", "mapping",
                              "fixed", "candidates", candidates);
    size_t count = json_array_size(candidates);
    if (count > HP_HUB_CANDIDATES || hp_wire_offer(event, &read, NULL) != 0 ||
        read.count != HP_MIN(count, (size_t)HP_CANDIDATES_MAX))
        abort();
    json_decref(event);
}

/* A member as the hub tells of it. */
static void check_member(const char *name, const uint8_t proof[32])
{
    hp_db_hub_member_t row = {.list_size = 5, .list_etag = "00aa"};
    hp_wire_member_t read;
    memcpy(row.fingerprint, proof, sizeof row.fingerprint);
    memcpy(row.proof, proof, sizeof row.proof);
    hp_hex_encode(row.fingerprint, 16, row.host);
    memcpy(row.name, name, strlen(name) + 1);
    json_t *json = hp_hub_member_json(&row, true);
    if (hp_wire_member(json, &read, NULL) != 0 || strcmp(read.id, row.host) != 0 || !read.online ||
        memcmp(read.proof, proof, sizeof read.proof) != 0 || read.list_size != 5)
        abort();
    json_decref(json);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    uint8_t credential[32], proof[32];
    char name[HP_DB_HUB_NAME_SIZE];
    hp_err_t err = {0};
    json_t *json = json_loadb((const char *)data, size, JSON_REJECT_DUPLICATES, NULL);
    if (json == NULL)
        return 0;
    hp_hub_json_hex(json, "credential", credential, sizeof credential, &err);
    bool proven = hp_hub_json_hex(json, "proof", proof, sizeof proof, &err) == 0;
    if (hp_hub_json_text(json, "name", name, sizeof name, &err) == 0) {
        if (name[0] == '\0' || strlen(name) >= sizeof name || hp_utf8_has_control(name, strlen(name)))
            abort();
        if (proven)
            check_member(name, proof);
    } else if (err.detail[0] == '\0') {
        abort(); /* a refusal names what is wrong */
    }
    json_t *candidates = json_object_get(json, "candidates");
    if (hp_hub_check_candidates(candidates, &err) == 0)
        check_candidates(candidates);
    json_decref(json);
    return 0;
}
