/* What `iptables-save` prints: a line a rule, in the words of its command (iptables-extensions(8)). */
#include <arpa/inet.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "doctor/filter_tools.h"

#define WORDS_MAX 64

typedef struct {
    const hp_packet_t *packet;
    char *words[WORDS_MAX];
    size_t count, at;
    hp_fit_t fit;
} line_t;

/* Splits the line in place; a word in quotes may hold blanks. */
static void split(line_t *self, char *text)
{
    self->count = 0;
    while (self->count < WORDS_MAX) {
        while (*text == ' ')
            text++;
        if (*text == '\0')
            return;
        char end = *text == '"' ? '"' : ' ';
        self->words[self->count++] = end == '"' ? ++text : text;
        while (*text != '\0' && *text != end)
            text += *text == '\\' && text[1] != '\0' ? 2 : 1;
        if (*text != '\0')
            *text++ = '\0';
    }
}

static bool is(const char *word, const char *a, const char *b)
{
    return strcmp(word, a) == 0 || (b != NULL && strcmp(word, b) == 0);
}

static const char *next(line_t *self)
{
    return self->at < self->count ? self->words[self->at++] : "";
}

static hp_fit_t fit_protocol(const line_t *self, const char *word)
{
    const char *own = self->packet->udp ? "udp" : "tcp", *number = self->packet->udp ? "17" : "6";
    return is(word, own, number) || is(word, "all", "0") ? HP_FIT_YES : HP_FIT_NO;
}

static hp_fit_t fit_interface(const line_t *self, const char *word)
{
    size_t length = strlen(word);
    bool same = length > 0 && word[length - 1] == '+'
                    ? strncmp(self->packet->interface, word, length - 1) == 0
                    : strcmp(self->packet->interface, word) == 0;
    return same ? HP_FIT_YES : HP_FIT_NO;
}

/* "10.0.0.0/8", "10.0.0.0/255.0.0.0", "10.0.0.1" */
static hp_fit_t fit_address(const char *word, uint32_t first, uint32_t last)
{
    char text[40];
    struct in_addr address, mask = {.s_addr = 0xffffffff};
    snprintf(text, sizeof text, "%.*s", (int)strcspn(word, "/"), word);
    const char *slash = strchr(word, '/');
    if (inet_pton(AF_INET, text, &address) != 1)
        return HP_FIT_MAYBE;
    if (slash != NULL && strchr(slash, '.') != NULL) {
        if (inet_pton(AF_INET, slash + 1, &mask) != 1)
            return HP_FIT_MAYBE;
    } else if (slash != NULL) {
        int length = atoi(slash + 1);
        mask.s_addr = length <= 0 ? 0 : htonl(0xffffffffu << (32 - HP_MIN(length, 32)));
    }
    uint32_t low = ntohl(address.s_addr) & ntohl(mask.s_addr);
    return hp_fit_range(first, last, low, low | ~ntohl(mask.s_addr));
}

/* "fe80::/10", "fe80::1/128", "fe80::/ffc0::" */
static hp_fit_t fit_address6(const char *word, const uint8_t first[16], const uint8_t last[16])
{
    char text[INET6_ADDRSTRLEN];
    struct in6_addr address;
    snprintf(text, sizeof text, "%.*s", (int)HP_MIN(strcspn(word, "/"), sizeof text - 1), word);
    const char *slash = strchr(word, '/');
    if (inet_pton(AF_INET6, text, &address) != 1 || (slash != NULL && strchr(slash, ':') != NULL))
        return HP_FIT_MAYBE;
    return hp_fit_prefix6(first, last, address.s6_addr, slash != NULL ? atoi(slash + 1) : 128);
}

static hp_fit_t fit_source(const hp_packet_t *packet, const char *word)
{
    return packet->v6 ? fit_address6(word, packet->first6, packet->last6)
                      : fit_address(word, packet->first, packet->last);
}

static hp_fit_t fit_destination(const hp_packet_t *packet, const char *word)
{
    return packet->v6 ? fit_address6(word, packet->to6, packet->to6)
                      : fit_address(word, packet->to, packet->to);
}

/* "22", "9000:9010", "22,80,9000:9010" */
static hp_fit_t fit_ports(const char *word, unsigned long first, unsigned long last)
{
    hp_fit_t fit = HP_FIT_NO;
    for (const char *p = word; *p != '\0'; p += strcspn(p, ","), p += *p == ',') {
        char *end;
        unsigned long low = *p == ':' ? 0 : strtoul(p, NULL, 10), high = low;
        const char *colon = memchr(p, ':', strcspn(p, ","));
        if (colon != NULL) {
            high = strtoul(colon + 1, &end, 10);
            high = end == colon + 1 ? 65535 : high;
        }
        fit = hp_fit_or(fit, hp_fit_range(first, last, low, high));
    }
    return fit;
}

/* A list between commas that may have the word in it. */
static bool lists(const char *list, const char *word)
{
    size_t length = strlen(word);
    for (const char *p = list; p != NULL; p = strchr(p, ','), p = p != NULL ? p + 1 : NULL)
        if (strncmp(p, word, length) == 0 && (p[length] == ',' || p[length] == '\0'))
            return true;
    return false;
}

static hp_fit_t yes_or_no(bool yes)
{
    return yes ? HP_FIT_YES : HP_FIT_NO;
}

/* Whether this option of a match is known, and what it says of the packet. */
static bool read_match(line_t *self, const char *word, hp_fit_t *fit)
{
    const hp_packet_t *packet = self->packet;
    if (is(word, "-p", "--protocol")) {
        *fit = fit_protocol(self, next(self));
    } else if (is(word, "-s", "--source")) {
        *fit = fit_source(packet, next(self));
    } else if (is(word, "-d", "--destination")) {
        *fit = fit_destination(packet, next(self));
        /* A beacon goes to a group or to all. */
        *fit = packet->udp && *fit == HP_FIT_NO ? HP_FIT_MAYBE : *fit;
    } else if (is(word, "-i", "--in-interface")) {
        *fit = fit_interface(self, next(self));
    } else if (is(word, "--dport", "--dports")) {
        *fit = fit_ports(next(self), packet->port, packet->port);
    } else if (is(word, "--ports", NULL)) {
        *fit = hp_fit_or(fit_ports(next(self), packet->port, packet->port), HP_FIT_NO);
    } else if (is(word, "--sport", "--sports")) {
        *fit = fit_ports(next(self), 1024, 65535);
    } else if (is(word, "--ctstate", "--state")) {
        *fit = yes_or_no(lists(next(self), "NEW"));
    } else if (is(word, "--ctstatus", NULL)) {
        *fit = yes_or_no(lists(next(self), "NONE"));
    } else if (is(word, "--syn", NULL)) {
        *fit = HP_FIT_YES;
    } else if (is(word, "--tcp-flags", NULL)) {
        const char *mask = next(self), *wanted = next(self);
        *fit = yes_or_no(lists(mask, "SYN") || is(mask, "ALL", NULL) ? is(wanted, "SYN", NULL)
                                                                     : is(wanted, "NONE", NULL));
    } else if (is(word, "--dst-type", NULL)) {
        *fit = packet->udp ? HP_FIT_MAYBE : yes_or_no(lists(next(self), "LOCAL"));
        self->at += packet->udp;
    } else if (is(word, "--icmp-type", "--icmpv6-type")) {
        next(self);
        *fit = HP_FIT_NO;
    } else if (is(word, "--rt-type", NULL)) {
        next(self);
        *fit = HP_FIT_NO; /* a header for routing, which no host sends */
    } else {
        return false;
    }
    return true;
}

/* Options that say nothing about whether the packet fits. Each takes a value. */
static bool says_nothing(const char *word)
{
    static const char *const words[] = {"-m",          "--match",       "--comment",
                                        "--limit",     "--limit-burst", "--log-prefix",
                                        "--log-level", "--name",        "--reject-with"};
    for (size_t i = 0; i < HP_COUNT(words); i++)
        if (strcmp(word, words[i]) == 0)
            return true;
    return false;
}

static hp_do_t action_of(const char *target, bool go, hp_fit_t *fit)
{
    static const char *const go_on[] = {"LOG", "NFLOG", "ULOG", "MARK", "CONNMARK", "TRACE",  "AUDIT",
                                        "CT",  "SET",   "TOS",  "DSCP", "TCPMSS",   "NOTRACK"};
    if (strcmp(target, "ACCEPT") == 0)
        return HP_DO_ACCEPT;
    if (strcmp(target, "DROP") == 0 || strcmp(target, "REJECT") == 0 || strcmp(target, "TARPIT") == 0)
        return HP_DO_DROP;
    if (strcmp(target, "RETURN") == 0)
        return HP_DO_RETURN;
    for (size_t i = 0; i < HP_COUNT(go_on); i++)
        if (strcmp(target, go_on[i]) == 0)
            return HP_DO_GO_ON;
    if (strcmp(target, "NFQUEUE") == 0 || strcmp(target, "QUEUE") == 0) {
        *fit = hp_fit_and(*fit, HP_FIT_MAYBE);
        return HP_DO_DROP;
    }
    return go ? HP_DO_GOTO : HP_DO_JUMP;
}

static void read_rule(line_t *self, hp_chains_t *chains)
{
    const char *chain = next(self), *target = NULL;
    bool go = false, differs = false;
    self->fit = HP_FIT_YES;
    while (self->at < self->count) {
        const char *word = next(self);
        hp_fit_t fit = HP_FIT_YES;
        if (strcmp(word, "!") == 0) {
            differs = true;
            continue;
        }
        if (is(word, "-j", "-g")) {
            go = strcmp(word, "-g") == 0;
            target = next(self);
            break; /* what follows belongs to the target */
        }
        if (read_match(self, word, &fit)) {
            self->fit = hp_fit_and(self->fit, differs ? hp_fit_not(fit) : fit);
        } else if (says_nothing(word)) {
            next(self);
        } else {
            self->fit = hp_fit_and(self->fit, HP_FIT_MAYBE);
        }
        differs = false;
    }
    if (target == NULL)
        return;
    hp_do_t action = action_of(target, go, &self->fit);
    hp_chain_add(hp_chains_get(chains, chain), self->fit, action,
                 action == HP_DO_JUMP || action == HP_DO_GOTO ? target : NULL);
}

/* ":INPUT DROP [0:0]"; "-" for a chain that a person made. */
static void read_chain(line_t *self, hp_chains_t *chains)
{
    hp_chain_t *chain = hp_chains_get(chains, self->words[0] + 1);
    const char *policy = self->count > 1 ? self->words[1] : "-";
    chain->base = strcmp(chain->name, "INPUT") == 0;
    chain->policy = strcmp(policy, "DROP") == 0 ? HP_DO_DROP : HP_DO_ACCEPT;
}

bool hp_filter_iptables_chains(const char *text, const hp_packet_t *packet, hp_chains_t *chains)
{
    char *copy = hp_strdup(text), *rest = NULL;
    bool in_filter = false, read = false;
    for (char *line = strtok_r(copy, "\n", &rest); line != NULL; line = strtok_r(NULL, "\n", &rest)) {
        line_t self = {.packet = packet};
        if (line[0] == '*') {
            in_filter = strcmp(line, "*filter") == 0;
            read = true;
            continue;
        }
        if (!in_filter || (line[0] != ':' && strncmp(line, "-A ", 3) != 0))
            continue;
        split(&self, line[0] == ':' ? line : line + 3);
        if (self.count == 0)
            continue;
        if (line[0] == ':')
            read_chain(&self, chains);
        else
            read_rule(&self, chains);
    }
    free(copy);
    return read;
}
