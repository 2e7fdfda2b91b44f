/* What `nft -j list ruleset` prints (libnftables-json(5)). */
#include <arpa/inet.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "doctor/filter_tools.h"

typedef struct {
    const hp_packet_t *packet;
    const json_t *all; /* the array of objects */
    hp_chains_t *chains;
    const char *family, *table; /* of the rule that is looked at */
} nft_t;

static const char *text_of(const json_t *object, const char *name)
{
    const char *text = json_string_value(json_object_get(object, name));
    return text != NULL ? text : "";
}

/* ---- what a match compares: the packet's value, and values of the rule ---- */

typedef enum {
    SUBJECT_UNKNOWN,
    SUBJECT_NEVER,
    SUBJECT_NUMBER,
    SUBJECT_ADDRESS6,
    SUBJECT_WORD,
    SUBJECT_FLAGS,
    SUBJECT_WAY_BACK, /* whether there is one to the sender out of the interface */
} subject_kind_t;

typedef struct {
    subject_kind_t kind;
    unsigned long first, last;     /* of a number */
    const uint8_t *first6, *last6; /* of an address of IPv6 */
    const char *word;
} subject_t;

static subject_t number(unsigned long first, unsigned long last)
{
    return (subject_t){.kind = SUBJECT_NUMBER, .first = first, .last = last};
}

static subject_t word(const char *text)
{
    return (subject_t){.kind = SUBJECT_WORD, .word = text};
}

static subject_t ip_field(const hp_packet_t *packet, const char *field)
{
    if (strcmp(field, "saddr") == 0)
        return number(packet->first, packet->last);
    if (strcmp(field, "daddr") == 0)
        return number(packet->to, packet->to);
    if (strcmp(field, "protocol") == 0)
        return word(packet->udp ? "udp" : "tcp");
    return (subject_t){.kind = SUBJECT_UNKNOWN};
}

static subject_t ip6_field(const hp_packet_t *packet, const char *field)
{
    if (strcmp(field, "saddr") == 0)
        return (subject_t){.kind = SUBJECT_ADDRESS6, .first6 = packet->first6, .last6 = packet->last6};
    if (strcmp(field, "daddr") == 0 && !packet->udp) /* a beacon goes to a group */
        return (subject_t){.kind = SUBJECT_ADDRESS6, .first6 = packet->to6, .last6 = packet->to6};
    if (strcmp(field, "nexthdr") == 0)
        return word(packet->udp ? "udp" : "tcp");
    return (subject_t){.kind = SUBJECT_UNKNOWN};
}

static subject_t payload_of(const nft_t *self, const json_t *payload)
{
    const char *protocol = text_of(payload, "protocol"), *field = text_of(payload, "field");
    const char *own = self->packet->udp ? "udp" : "tcp";
    if (strcmp(protocol, own) == 0 || strcmp(protocol, "th") == 0) {
        if (strcmp(field, "dport") == 0)
            return number(self->packet->port, self->packet->port);
        if (strcmp(field, "sport") == 0)
            return number(1024, 65535);
        if (strcmp(field, "flags") == 0)
            return (subject_t){.kind = SUBJECT_FLAGS};
        return (subject_t){.kind = SUBJECT_UNKNOWN};
    }
    if (strcmp(protocol, self->packet->v6 ? "ip6" : "ip") == 0)
        return self->packet->v6 ? ip6_field(self->packet, field) : ip_field(self->packet, field);
    /* Another protocol: no packet of this kind has it. */
    bool link = strcmp(protocol, "ether") == 0 || strcmp(protocol, "vlan") == 0 || protocol[0] == '\0';
    return (subject_t){.kind = link ? SUBJECT_UNKNOWN : SUBJECT_NEVER};
}

static subject_t meta_of(const nft_t *self, const json_t *meta)
{
    const char *key = text_of(meta, "key");
    if (strcmp(key, "iifname") == 0 || strcmp(key, "iif") == 0)
        return word(self->packet->interface);
    if (strcmp(key, "l4proto") == 0)
        return word(self->packet->udp ? "udp" : "tcp");
    if (strcmp(key, "nfproto") == 0)
        return word(self->packet->v6 ? "ipv6" : "ipv4");
    if (strcmp(key, "protocol") == 0)
        return word(self->packet->v6 ? "ip6" : "ip");
    if (strcmp(key, "pkttype") == 0 && !self->packet->udp)
        return word("host");
    return (subject_t){.kind = SUBJECT_UNKNOWN};
}

/* The check of the reverse path: what the sender's address leads to. */
static bool is_way_back(const json_t *fib)
{
    const json_t *flags = json_object_get(fib, "flags");
    bool from = false;
    for (size_t i = 0; i < json_array_size(flags); i++) {
        const char *flag = json_string_value(json_array_get(flags, i));
        from |= flag != NULL && strcmp(flag, "saddr") == 0;
    }
    return from && strcmp(text_of(fib, "result"), "oif") == 0;
}

/* Of the first packet of a connection that no rule has turned elsewhere. */
static subject_t ct_of(const json_t *ct)
{
    if (strcmp(text_of(ct, "key"), "state") == 0)
        return word("new");
    if (strcmp(text_of(ct, "key"), "status") == 0)
        return word("none");
    return (subject_t){.kind = SUBJECT_UNKNOWN};
}

static subject_t subject_of(const nft_t *self, const json_t *left)
{
    const json_t *inner;
    if ((inner = json_object_get(left, "payload")) != NULL)
        return payload_of(self, inner);
    if ((inner = json_object_get(left, "meta")) != NULL)
        return meta_of(self, inner);
    if (json_object_get(left, "exthdr") != NULL)
        return (subject_t){.kind = SUBJECT_NEVER}; /* a header of IPv6 that no host sends first */
    if ((inner = json_object_get(left, "fib")) != NULL && is_way_back(inner))
        return (subject_t){.kind = SUBJECT_WAY_BACK};
    if ((inner = json_object_get(left, "ct")) != NULL)
        return ct_of(inner);
    if ((inner = json_object_get(left, "fib")) != NULL && strcmp(text_of(inner, "result"), "type") == 0 &&
        strcmp(json_string_value(json_array_get(json_object_get(inner, "flags"), 0)) != NULL
                   ? json_string_value(json_array_get(json_object_get(inner, "flags"), 0))
                   : "",
               "daddr") == 0 &&
        !self->packet->udp)
        return word("local");
    return (subject_t){.kind = SUBJECT_UNKNOWN};
}

static bool address_of(const char *text, unsigned long *address)
{
    struct in_addr parsed;
    if (inet_pton(AF_INET, text, &parsed) != 1)
        return false;
    *address = ntohl(parsed.s_addr);
    return true;
}

static bool number_of(const json_t *value, unsigned long *out)
{
    if (json_is_integer(value)) {
        *out = (unsigned long)json_integer_value(value);
        return true;
    }
    return json_is_string(value) && address_of(json_string_value(value), out);
}

static bool same_word(const char *own, const char *rule)
{
    size_t length = strlen(rule);
    if (length > 0 && rule[length - 1] == '*')
        return strncmp(own, rule, length - 1) == 0;
    return strcmp(own, rule) == 0;
}

static bool address6_of(const json_t *value, struct in6_addr *address)
{
    return json_is_string(value) && inet_pton(AF_INET6, json_string_value(value), address) == 1;
}

/* An address of IPv6, a prefix or a range of them. */
static hp_fit_t fit_value6(const subject_t *subject, const json_t *value)
{
    const json_t *prefix = json_object_get(value, "prefix"), *range = json_object_get(value, "range");
    struct in6_addr low, high;
    if (prefix != NULL)
        return address6_of(json_object_get(prefix, "addr"), &low)
                   ? hp_fit_prefix6(subject->first6, subject->last6, low.s6_addr,
                                    (int)json_integer_value(json_object_get(prefix, "len")))
                   : HP_FIT_MAYBE;
    if (!address6_of(range != NULL ? json_array_get(range, 0) : value, &low) ||
        !address6_of(range != NULL ? json_array_get(range, 1) : value, &high))
        return HP_FIT_MAYBE;
    return hp_fit_range6(subject->first6, subject->last6, low.s6_addr, high.s6_addr);
}

static hp_fit_t fit_prefix(const subject_t *subject, const json_t *prefix)
{
    unsigned long address;
    int length = (int)json_integer_value(json_object_get(prefix, "len"));
    if (!address_of(text_of(prefix, "addr"), &address) || length < 0 || length > 32)
        return HP_FIT_NO; /* of IPv6 */
    unsigned long host = length == 0 ? 0xffffffff : (1ul << (32 - length)) - 1;
    return hp_fit_range(subject->first, subject->last, address & ~host & 0xffffffff, address | host);
}

static hp_fit_t fit_value(const nft_t *self, const subject_t *subject, const json_t *value);

static hp_fit_t fit_any_of(const nft_t *self, const subject_t *subject, const json_t *list)
{
    hp_fit_t fit = HP_FIT_NO;
    for (size_t i = 0; i < json_array_size(list); i++)
        fit = hp_fit_or(fit, fit_value(self, subject, json_array_get(list, i)));
    return fit;
}

static const json_t *named_set(const nft_t *self, const char *name)
{
    for (size_t i = 0; i < json_array_size(self->all); i++) {
        const json_t *item = json_array_get(self->all, i), *set = json_object_get(item, "set");
        if (set == NULL)
            set = json_object_get(item, "map");
        if (set != NULL && strcmp(text_of(set, "name"), name) == 0 &&
            strcmp(text_of(set, "table"), self->table) == 0 &&
            strcmp(text_of(set, "family"), self->family) == 0)
            return json_object_get(set, "elem");
    }
    return NULL;
}

/* The packet's value, and one of the rule or several. */
static hp_fit_t fit_value(const nft_t *self, const subject_t *subject, const json_t *value)
{
    const json_t *inner;
    unsigned long low, high;
    if (json_is_array(value))
        return fit_any_of(self, subject, value);
    if ((inner = json_object_get(value, "set")) != NULL)
        return fit_any_of(self, subject, inner);
    if ((inner = json_object_get(value, "elem")) != NULL)
        return fit_value(self, subject, json_object_get(inner, "val"));
    if (json_is_string(value) && json_string_value(value)[0] == '@')
        return fit_any_of(self, subject, named_set(self, json_string_value(value) + 1));
    if (json_is_string(value) && strcmp(json_string_value(value), "*") == 0)
        return HP_FIT_YES;
    if (subject->kind == SUBJECT_WORD)
        return json_is_string(value)
                   ? (same_word(subject->word, json_string_value(value)) ? HP_FIT_YES : HP_FIT_NO)
                   : HP_FIT_MAYBE;
    if (subject->kind == SUBJECT_ADDRESS6)
        return fit_value6(subject, value);
    if (subject->kind == SUBJECT_WAY_BACK)
        return json_is_boolean(value) ? (json_is_true(value) ? HP_FIT_YES : HP_FIT_NO) : HP_FIT_MAYBE;
    if ((inner = json_object_get(value, "prefix")) != NULL)
        return fit_prefix(subject, inner);
    if ((inner = json_object_get(value, "range")) != NULL)
        return number_of(json_array_get(inner, 0), &low) && number_of(json_array_get(inner, 1), &high)
                   ? hp_fit_range(subject->first, subject->last, low, high)
                   : HP_FIT_MAYBE;
    if (number_of(value, &low))
        return hp_fit_range(subject->first, subject->last, low, low);
    return HP_FIT_MAYBE;
}

/* ---- flags of TCP: the packet has SYN alone ---- */

#define SYN 2u

static unsigned flags_of(const json_t *value)
{
    static const char *const names[] = {"fin", "syn", "rst", "psh", "ack", "urg", "ecn", "cwr"};
    unsigned flags = 0;
    const json_t *inner = json_object_get(value, "|");
    if (json_is_integer(value))
        return (unsigned)json_integer_value(value);
    if (inner == NULL && (inner = json_object_get(value, "set")) == NULL)
        inner = value;
    for (size_t i = 0; i < json_array_size(inner); i++)
        flags |= flags_of(json_array_get(inner, i));
    for (unsigned i = 0; json_is_string(value) && i < HP_COUNT(names); i++)
        if (strcmp(json_string_value(value), names[i]) == 0)
            flags |= 1u << i;
    return flags;
}

static hp_fit_t fit_flags(const json_t *mask, const json_t *right, bool is_in)
{
    unsigned own = SYN & (mask != NULL ? flags_of(mask) : 0xffu), wanted = flags_of(right);
    return (is_in ? (own & wanted) != 0 : own == wanted) ? HP_FIT_YES : HP_FIT_NO;
}

/* ---- rules ---- */

static hp_fit_t fit_match(const nft_t *self, const json_t *match)
{
    const json_t *left = json_object_get(match, "left"), *right = json_object_get(match, "right"),
                 *mask = NULL;
    const char *op = text_of(match, "op");
    bool differs = strcmp(op, "!=") == 0;
    if (!differs && op[0] != '\0' && strcmp(op, "==") != 0 && strcmp(op, "in") != 0)
        return HP_FIT_MAYBE; /* less, more */
    if (json_object_get(left, "&") != NULL) {
        mask = json_array_get(json_object_get(left, "&"), 1);
        left = json_array_get(json_object_get(left, "&"), 0);
    }
    subject_t subject = subject_of(self, left);
    if (subject.kind == SUBJECT_NEVER)
        return HP_FIT_NO; /* whatever is compared: the header is not there */
    hp_fit_t fit = subject.kind == SUBJECT_FLAGS     ? fit_flags(mask, right, strcmp(op, "in") == 0)
                   : mask != NULL                    ? HP_FIT_MAYBE
                   : subject.kind == SUBJECT_UNKNOWN ? HP_FIT_MAYBE
                                                     : fit_value(self, &subject, right);
    return differs ? hp_fit_not(fit) : fit;
}

/* "inet filter input" */
static char *chain_name(const nft_t *self, const char *chain)
{
    return hp_sprintf("%s %s %s", self->family, self->table, chain);
}

static bool read_verdict(const json_t *statement, hp_do_t *action, const char **target)
{
    static const struct {
        const char *name;
        hp_do_t action;
    } verdicts[] = {{"accept", HP_DO_ACCEPT}, {"drop", HP_DO_DROP}, {"reject", HP_DO_DROP},
                    {"return", HP_DO_RETURN}, {"jump", HP_DO_JUMP}, {"goto", HP_DO_GOTO}};
    for (size_t i = 0; i < HP_COUNT(verdicts); i++) {
        const json_t *inner = json_object_get(statement, verdicts[i].name);
        if (inner == NULL)
            continue;
        *action = verdicts[i].action;
        *target = json_is_object(inner) ? text_of(inner, "target") : NULL;
        return true;
    }
    return false;
}

static void add(const nft_t *self, const char *chain, hp_fit_t fit, hp_do_t action, const char *target)
{
    char *name = chain_name(self, chain), *to = target != NULL ? chain_name(self, target) : NULL;
    hp_chain_add(hp_chains_get(self->chains, name), fit, action, to);
    free(name);
    free(to);
}

/* Each element is a rule of its own. */
static void add_map(const nft_t *self, const char *chain, hp_fit_t fit, const json_t *vmap)
{
    const json_t *data = json_object_get(vmap, "data");
    subject_t subject = subject_of(self, json_object_get(vmap, "key"));
    if (json_is_string(data) && json_string_value(data)[0] == '@')
        data = named_set(self, json_string_value(data) + 1);
    else
        data = json_object_get(data, "set");
    for (size_t i = 0; i < json_array_size(data); i++) {
        const json_t *pair = json_array_get(data, i);
        hp_do_t action;
        const char *target;
        hp_fit_t same = subject.kind == SUBJECT_NEVER ? HP_FIT_NO
                        : subject.kind == SUBJECT_UNKNOWN || subject.kind == SUBJECT_FLAGS
                            ? HP_FIT_MAYBE
                            : fit_value(self, &subject, json_array_get(pair, 0));
        if (read_verdict(json_array_get(pair, 1), &action, &target))
            add(self, chain, hp_fit_and(fit, same), action, target);
    }
}

static void add_rule(const nft_t *self, const json_t *rule)
{
    const json_t *statements = json_object_get(rule, "expr"), *inner;
    const char *chain = text_of(rule, "chain");
    hp_fit_t fit = HP_FIT_YES;
    for (size_t i = 0; i < json_array_size(statements); i++) {
        const json_t *statement = json_array_get(statements, i);
        hp_do_t action;
        const char *target;
        if ((inner = json_object_get(statement, "match")) != NULL)
            fit = hp_fit_and(fit, fit_match(self, inner));
        else if ((inner = json_object_get(statement, "limit")) != NULL &&
                 json_is_true(json_object_get(inner, "inv")))
            fit = HP_FIT_NO; /* only what is too much */
        else if (json_object_get(statement, "xt") != NULL || json_object_get(statement, "queue") != NULL)
            fit = hp_fit_and(fit, HP_FIT_MAYBE);
        else if ((inner = json_object_get(statement, "vmap")) != NULL)
            add_map(self, chain, fit, inner);
        if (read_verdict(statement, &action, &target))
            add(self, chain, fit, action, target);
    }
}

static bool begins_here(const json_t *chain)
{
    const char *hook = text_of(chain, "hook"), *type = text_of(chain, "type");
    return (strcmp(hook, "input") == 0 || strcmp(hook, "prerouting") == 0) && strcmp(type, "filter") == 0;
}

/* Whether iptables, or ip6tables, has made this table. */
static bool is_shown_by(const char *iptables, const char *table)
{
    char head[40];
    snprintf(head, sizeof head, "*%.30s\n", table);
    return iptables != NULL && strstr(iptables, "(nf_tables)") != NULL && strstr(iptables, head) != NULL;
}

bool hp_filter_nft_chains(const char *text, const hp_packet_t *packet, const char *iptables,
                          hp_chains_t *chains)
{
    json_t *json = json_loads(text, 0, NULL);
    nft_t self = {.packet = packet, .all = json_object_get(json, "nftables"), .chains = chains};
    for (size_t i = 0; i < json_array_size(self.all); i++) {
        const json_t *item = json_array_get(self.all, i), *chain = json_object_get(item, "chain");
        const json_t *rule = json_object_get(item, "rule"), *thing = chain != NULL ? chain : rule;
        self.family = text_of(thing, "family");
        self.table = text_of(thing, "table");
        bool own = strcmp(self.family, packet->v6 ? "ip6" : "ip") == 0;
        if (thing == NULL || (!own && strcmp(self.family, "inet") != 0) ||
            (own && is_shown_by(iptables, self.table)))
            continue;
        if (rule != NULL) {
            add_rule(&self, rule);
            continue;
        }
        char *name = chain_name(&self, text_of(chain, "name"));
        hp_chain_t *made = hp_chains_get(chains, name);
        made->base = begins_here(chain);
        made->policy = strcmp(text_of(chain, "policy"), "drop") == 0 ? HP_DO_DROP : HP_DO_ACCEPT;
        free(name);
    }
    bool read = json_is_array(self.all);
    json_decref(json);
    return read;
}
