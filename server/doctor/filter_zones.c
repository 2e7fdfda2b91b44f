/* What ufw and firewall-cmd print. */
#include <arpa/inet.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "doctor/filter_tools.h"

bool hp_filter_ufw_is_on(const hp_filter_texts_t *texts)
{
    if (texts->ufw != NULL && strncmp(texts->ufw, "Status: ", 8) == 0)
        return strncmp(texts->ufw + 8, "active", 6) == 0;
    for (const char *line = texts->ufw_conf; line != NULL; line = strchr(line, '\n'), line += line != NULL)
        if (strncmp(line, "ENABLED=", 8) == 0)
            return strncmp(line + 8 + (line[8] == '"'), "yes", 3) == 0;
    return false;
}

/* A word of a list between blanks (or commas) that ends at the line's end. */
static bool lists(const char *line, const char *word)
{
    size_t length = strlen(word), end = strcspn(line, "\n");
    for (size_t i = strspn(line, " "); i < end; i += strspn(line + i, " ,")) {
        size_t part = strcspn(line + i, " ,\n");
        if (part == length && strncmp(line + i, word, length) == 0)
            return true;
        i += part;
    }
    return false;
}

/* "9000/tcp", also within "8000-9100/tcp". */
static bool lists_port(const char *line, const hp_packet_t *packet)
{
    const char *protocol = packet->udp ? "udp" : "tcp";
    size_t end = strcspn(line, "\n");
    for (size_t i = 0; i < end; i += strcspn(line + i, " \n"), i += line[i] == ' ') {
        char *after;
        unsigned long low = strtoul(line + i, &after, 10), high = low;
        if (after == line + i)
            continue;
        if (*after == '-')
            high = strtoul(after + 1, &after, 10);
        if (*after == '/' && strncmp(after + 1, protocol, 3) == 0 && packet->port >= low &&
            packet->port <= high)
            return true;
    }
    return false;
}

typedef struct {
    char name[64];
    bool is_default, has_interface, has_source, accepts, has_port, is_rich;
} zone_t;

static bool is_in(const char *sources, const hp_packet_t *packet)
{
    size_t end = strcspn(sources, "\n");
    for (size_t i = 0; i < end; i += strcspn(sources + i, " \n"), i += sources[i] == ' ') {
        char text[20];
        struct in_addr address;
        snprintf(text, sizeof text, "%.*s", (int)strcspn(sources + i, "/ \n"), sources + i);
        if (inet_pton(AF_INET, text, &address) != 1)
            continue;
        const char *slash = sources + i + strlen(text);
        int length = *slash == '/' ? atoi(slash + 1) : 32;
        uint32_t mask = length <= 0 ? 0 : 0xffffffffu << (32 - HP_MIN(length, 32));
        uint32_t low = ntohl(address.s_addr) & mask;
        if (packet->first >= low && packet->last <= (low | ~mask))
            return true;
    }
    return false;
}

/* The same of IPv6. */
static bool is_in6(const char *sources, const hp_packet_t *packet)
{
    size_t end = strcspn(sources, "\n");
    for (size_t i = 0; i < end; i += strcspn(sources + i, " \n"), i += sources[i] == ' ') {
        char text[INET6_ADDRSTRLEN];
        struct in6_addr address;
        size_t length = strcspn(sources + i, "/ \n");
        snprintf(text, sizeof text, "%.*s", (int)HP_MIN(length, sizeof text - 1), sources + i);
        if (inet_pton(AF_INET6, text, &address) != 1)
            continue;
        int prefix = sources[i + length] == '/' ? atoi(sources + i + length + 1) : 128;
        if (hp_fit_prefix6(packet->first6, packet->last6, address.s6_addr, prefix) == HP_FIT_YES)
            return true;
    }
    return false;
}

/* Without a family it is of both. */
static bool is_rule_of(const char *rule, size_t length, const hp_packet_t *packet)
{
    const char *other = strstr(rule, packet->v6 ? "family=\"ipv4\"" : "family=\"ipv6\"");
    return other == NULL || other >= rule + length;
}

/* Whether one of the services in the line has the port. */
static bool lists_service(const char *line, const char *services, const hp_packet_t *packet)
{
    char name[64] = "";
    for (const char *p = services; p != NULL && *p != '\0'; p += strcspn(p, "\n"), p += *p == '\n') {
        size_t blanks = strspn(p, " "), length = strcspn(p, " \n");
        if (blanks == 0)
            snprintf(name, sizeof name, "%.*s", (int)HP_MIN(length, sizeof name - 1), p);
        else if (strncmp(p + blanks, "ports: ", 7) == 0 && name[0] != '\0' && lists(line, name) &&
                 lists_port(p + blanks + 7, packet))
            return true;
    }
    return false;
}

void hp_filter_each_service(const char *zones, void (*fn)(void *arg, const char *name), void *arg)
{
    char *told = hp_strdup(" ");
    for (const char *line = zones; *line != '\0'; line += strcspn(line, "\n"), line += *line == '\n') {
        const char *p = line + strspn(line, " ");
        if (strncmp(p, "services: ", 10) != 0)
            continue;
        for (p += 10; *p != '\n' && *p != '\0'; p += strspn(p, " ")) {
            char *name = hp_sprintf(" %.*s ", (int)strcspn(p, " \n"), p);
            if (strstr(told, name) == NULL) {
                char *more = hp_sprintf("%s%s", told, name);
                free(told);
                told = more;
                name[strlen(name) - 1] = '\0';
                fn(arg, name + 1);
            }
            p += strcspn(p, " \n");
            free(name);
        }
    }
    free(told);
}

static void read_line(zone_t *zone, const char *line, const char *services, const hp_packet_t *packet)
{
    char port[40];
    snprintf(port, sizeof port, "port port=\"%u\"", packet->port);
    line += strspn(line, " \t");
    if (strncmp(line, "target: ", 8) == 0)
        zone->accepts = strncmp(line + 8, "ACCEPT", 6) == 0;
    else if (strncmp(line, "interfaces: ", 12) == 0)
        zone->has_interface = lists(line + 12, packet->interface);
    else if (strncmp(line, "sources: ", 9) == 0)
        zone->has_source = packet->v6 ? is_in6(line + 9, packet) : is_in(line + 9, packet);
    else if (strncmp(line, "ports: ", 7) == 0)
        zone->has_port |= lists_port(line + 7, packet);
    else if (strncmp(line, "services: ", 10) == 0)
        zone->has_port |= lists_service(line + 10, services, packet);
    else if (strncmp(line, "rule ", 5) == 0) {
        const char *found = strstr(line, port);
        size_t length = strcspn(line, "\n");
        zone->is_rich |= found != NULL && found < line + length && is_rule_of(line, length, packet);
    }
}

/* The zone at the line, which begins with its name; sets *line to the one after it. */
static zone_t read_zone(const char **line, const char *default_zone, const char *services,
                        const hp_packet_t *packet)
{
    zone_t zone = {0};
    const char *p = *line;
    size_t length = strcspn(p, " \n");
    snprintf(zone.name, sizeof zone.name, "%.*s", (int)HP_MIN(length, sizeof zone.name - 1), p);
    size_t given = default_zone != NULL ? strcspn(default_zone, "\n") : 0;
    zone.is_default = given == length && given > 0 && strncmp(default_zone, p, length) == 0;
    for (p += strcspn(p, "\n"), p += *p == '\n'; *p == ' ' || *p == '\t';
         p += strcspn(p, "\n"), p += *p == '\n')
        read_line(&zone, p, services, packet);
    *line = p;
    return zone;
}

hp_filter_state_t hp_filter_zone(const char *zones, const char *default_zone, const char *services,
                                 const hp_packet_t *packet, char name[64])
{
    zone_t best = {0};
    for (const char *line = zones; *line != '\0';) {
        if (*line == '\n' || *line == ' ' || *line == '\t') {
            line += strcspn(line, "\n");
            line += *line == '\n';
            continue;
        }
        zone_t zone = read_zone(&line, default_zone, services, packet);
        int rank = zone.has_source ? 3 : zone.has_interface ? 2 : zone.is_default ? 1 : 0;
        int before = best.has_source ? 3 : best.has_interface ? 2 : best.is_default ? 1 : 0;
        if (rank > before)
            best = zone;
    }
    snprintf(name, 64, "%s", best.name);
    if (best.name[0] == '\0')
        return HP_FILTER_UNKNOWN;
    return best.accepts || best.has_port ? HP_FILTER_OPEN : best.is_rich ? HP_FILTER_SOME : HP_FILTER_CLOSED;
}
