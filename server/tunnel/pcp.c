#include "tunnel/pcp.h"

#include <arpa/inet.h>
#include <string.h>

#include "base/err.h"
#include "tunnel/bytes.h"

enum { VERSION = 2, MAP = 1, ANSWER = 0x80, UDP = 17, UNSUPPORTED_VERSION = 1, LIFETIME_MAX = 86400 };

static void write_mapped(uint8_t *at, struct in_addr address)
{
    memset(at, 0, 10);
    at[10] = at[11] = 0xff;
    memcpy(at + 12, &address, 4);
}

void hp_pcp_write(const hp_pcp_t *self, uint16_t suggested, uint8_t out[HP_PCP_MESSAGE])
{
    memset(out, 0, HP_PCP_MESSAGE);
    out[0] = VERSION;
    out[1] = MAP;
    hp_write32(out + 4, self->lifetime_s);
    write_mapped(out + 8, self->client);
    memcpy(out + 24, self->nonce, HP_PCP_NONCE);
    out[36] = UDP;
    hp_write16(out + 40, self->port);
    hp_write16(out + 42, suggested);
    write_mapped(out + 44, (struct in_addr){0}); /* any external address */
}

int hp_pcp_read(const hp_pcp_t *self, const uint8_t *data, size_t length, hp_pcp_answer_t *out)
{
    static const uint8_t v4_prefix[12] = {[10] = 0xff, [11] = 0xff};
    *out = (hp_pcp_answer_t){0};
    if (length < 4 || length > 1100 || length % 4 != 0 || (data[1] & ANSWER) == 0)
        return HP_E_INVALID;
    if (data[0] != VERSION) { /* NAT-PMP answers in its own version, with two bytes of result */
        out->result = UNSUPPORTED_VERSION;
        return 0;
    }
    out->result = data[3];
    if (out->result == UNSUPPORTED_VERSION)
        return 0;
    if (length < HP_PCP_MESSAGE || data[1] != (ANSWER | MAP) ||
        memcmp(data + 24, self->nonce, HP_PCP_NONCE) != 0 || data[36] != UDP ||
        hp_read16(data + 40) != self->port)
        return HP_E_INVALID;
    if (out->result != 0)
        return 0;
    if (memcmp(data + 44, v4_prefix, sizeof v4_prefix) != 0)
        return HP_E_INVALID;
    memcpy(&out->external, data + 56, 4);
    out->external_port = hp_read16(data + 42);
    uint32_t lifetime = hp_read32(data + 4);
    out->lifetime_s = lifetime < LIFETIME_MAX ? lifetime : LIFETIME_MAX;
    return 0;
}
