#include "limits.h"

#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>

#include "base/mem.h"

struct hp_limits_entry {
    hp_limits_entry_t *next;
    hp_limits_key_t key;
    unsigned count;
};

static const uint8_t mapped[12] = {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff};

static void full_bytes(const struct sockaddr *address, uint8_t out[16])
{
    memset(out, 0, 16);
    if (address->sa_family == AF_INET) {
        memcpy(out, mapped, sizeof mapped);
        memcpy(out + 12, &((const struct sockaddr_in *)address)->sin_addr, 4);
    } else if (address->sa_family == AF_INET6) {
        memcpy(out, &((const struct sockaddr_in6 *)address)->sin6_addr, 16);
    }
}

hp_limits_key_t hp_limits_address(hp_limits_kind_t kind, const struct sockaddr *address)
{
    hp_limits_key_t key = {.kind = kind};
    full_bytes(address, key.bytes);
    if (memcmp(key.bytes, mapped, sizeof mapped) != 0)
        memset(key.bytes + 8, 0, 8);
    return key;
}

hp_limits_key_t hp_limits_host(const uint8_t fingerprint[32])
{
    hp_limits_key_t key = {.kind = HP_LIMITS_HOST};
    memcpy(key.bytes, fingerprint, sizeof key.bytes);
    return key;
}

bool hp_limits_is_loopback(const struct sockaddr *address)
{
    static const uint8_t v6[16] = {[15] = 1};
    uint8_t bytes[16];
    full_bytes(address, bytes);
    return memcmp(bytes, v6, 16) == 0 || (memcmp(bytes, mapped, 12) == 0 && bytes[12] == 127);
}

static bool is_same(const hp_limits_key_t *a, const hp_limits_key_t *b)
{
    return a->kind == b->kind && memcmp(a->bytes, b->bytes, sizeof a->bytes) == 0;
}

static hp_limits_entry_t **find(hp_limits_t *self, const hp_limits_key_t *key)
{
    uint32_t hash = 2166136261u ^ (uint32_t)key->kind;
    for (int i = 0; i < 16; i++)
        hash = (hash ^ key->bytes[i]) * 16777619u;
    hp_limits_entry_t **at = &self->buckets[hash % HP_LIMITS_BUCKETS];
    while (*at != NULL && !is_same(&(*at)->key, key))
        at = &(*at)->next;
    return at;
}

bool hp_limits_add(hp_limits_t *self, const hp_limits_key_t *key, unsigned max)
{
    hp_limits_entry_t **at = find(self, key);
    if (*at != NULL && max > 0 && (*at)->count >= max)
        return false;
    if (*at == NULL) {
        *at = hp_alloc(sizeof **at);
        (*at)->key = *key;
    }
    (*at)->count++;
    return true;
}

void hp_limits_remove(hp_limits_t *self, const hp_limits_key_t *key)
{
    hp_limits_entry_t **at = find(self, key), *entry = *at;
    if (entry != NULL && --entry->count == 0) {
        *at = entry->next;
        free(entry);
    }
}

void hp_limits_dispose(hp_limits_t *self)
{
    for (size_t i = 0; i < HP_LIMITS_BUCKETS; i++) {
        while (self->buckets[i] != NULL) {
            hp_limits_entry_t *entry = self->buckets[i];
            self->buckets[i] = entry->next;
            free(entry);
        }
    }
}

size_t hp_limits_raise_descriptors(void)
{
    struct rlimit limit;
    if (getrlimit(RLIMIT_NOFILE, &limit) != 0)
        return 1024;
    if (limit.rlim_cur < limit.rlim_max) {
        struct rlimit raised = {limit.rlim_max, limit.rlim_max};
        if (setrlimit(RLIMIT_NOFILE, &raised) == 0)
            limit = raised;
    }
    return limit.rlim_cur == RLIM_INFINITY ? (size_t)1 << 20 : (size_t)limit.rlim_cur;
}
