#include "limits.h"

#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>

#include "base/mem.h"

struct hp_limits_entry {
    hp_limits_entry_t *next;
    hp_ip_t ip;
    unsigned count;
};

static const uint8_t mapped[12] = {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff};

hp_ip_t hp_ip_of(const struct sockaddr *address)
{
    hp_ip_t ip = {{0}};
    if (address->sa_family == AF_INET) {
        memcpy(ip.bytes, mapped, sizeof mapped);
        memcpy(ip.bytes + 12, &((const struct sockaddr_in *)address)->sin_addr, 4);
    } else if (address->sa_family == AF_INET6) {
        memcpy(ip.bytes, &((const struct sockaddr_in6 *)address)->sin6_addr, 16);
    }
    return ip;
}

bool hp_ip_is_loopback(const hp_ip_t *ip)
{
    static const uint8_t v6[16] = {[15] = 1};
    return memcmp(ip->bytes, v6, 16) == 0 || (memcmp(ip->bytes, mapped, 12) == 0 && ip->bytes[12] == 127);
}

static hp_limits_entry_t **find(hp_limits_t *self, const hp_ip_t *ip)
{
    uint32_t hash = 2166136261u;
    for (int i = 0; i < 16; i++)
        hash = (hash ^ ip->bytes[i]) * 16777619u;
    hp_limits_entry_t **at = &self->buckets[hash % HP_LIMITS_BUCKETS];
    while (*at != NULL && memcmp((*at)->ip.bytes, ip->bytes, 16) != 0)
        at = &(*at)->next;
    return at;
}

bool hp_limits_add(hp_limits_t *self, const hp_ip_t *ip, unsigned max)
{
    hp_limits_entry_t **at = find(self, ip);
    if (*at != NULL && max > 0 && (*at)->count >= max)
        return false;
    if (*at == NULL) {
        *at = hp_alloc(sizeof **at);
        (*at)->ip = *ip;
    }
    (*at)->count++;
    return true;
}

void hp_limits_remove(hp_limits_t *self, const hp_ip_t *ip)
{
    hp_limits_entry_t **at = find(self, ip), *entry = *at;
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
