#include "doctor/filter.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/mem.h"
#include "doctor/command.h"
#include "doctor/filter_tools.h"

#define CONF_MAX          65536
#define SERVICES_MAX      16 /* asked: each takes some 0.3 s */
#define SERVICES_TEXT_MAX ((size_t)1024 * 1024)

const char *hp_filter_tool_name(hp_filter_tool_t tool)
{
    static const char *const names[] = {[HP_TOOL_NONE] = "none",
                                        [HP_TOOL_NFT] = "nftables",
                                        [HP_TOOL_IPTABLES] = "iptables",
                                        [HP_TOOL_UFW] = "ufw",
                                        [HP_TOOL_FIREWALLD] = "firewalld"};
    return names[tool];
}

/* ---- reading ---- */

static char *printed(const char *const *words)
{
    char *out;
    if (hp_command_run(words, &out, NULL) == HP_COMMAND_DONE)
        return out;
    free(out);
    return NULL;
}

static char *read_small(const char *path)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    if (fd < 0)
        return NULL;
    char *text = hp_alloc(CONF_MAX);
    ssize_t length = read(fd, text, CONF_MAX - 1);
    close(fd);
    if (length >= 0)
        return text;
    free(text);
    return NULL;
}

/* What the kernel says of the older iptables. */
static bool has_tables(const char *path)
{
    char *names = read_small(path);
    bool has = names != NULL && names[0] != '\0';
    free(names);
    return has;
}

typedef struct {
    hp_buf_t text;
    unsigned asked;
} services_t;

static void ask_service(void *arg, const char *name)
{
    services_t *self = arg;
    char option[100];
    const char *const words[] = {"firewall-cmd", option, NULL};
    if (++self->asked > SERVICES_MAX)
        return;
    snprintf(option, sizeof option, "--info-service=%s", name);
    char *out = printed(words);
    if (out != NULL)
        hp_buf_add(&self->text, out, strlen(out));
    free(out);
}

static char *read_services(const char *zones)
{
    services_t self = {.asked = 0};
    hp_buf_init(&self.text, SERVICES_TEXT_MAX);
    hp_filter_each_service(zones, ask_service, &self);
    return hp_buf_take(&self.text);
}

void hp_filter_read(hp_filter_texts_t *texts)
{
    static const char *const nft[] = {"nft", "-j", "list", "ruleset", NULL};
    static const char *const save[] = {"iptables-save", NULL}, *const legacy[] = {"iptables-legacy-save",
                                                                                  NULL};
    static const char *const save6[] = {"ip6tables-save", NULL}, *const legacy6[] = {"ip6tables-legacy-save",
                                                                                     NULL};
    static const char *const ufw[] = {"ufw", "status", "verbose", NULL};
    static const char *const state[] = {"firewall-cmd", "--state", NULL};
    static const char *const zones[] = {"firewall-cmd", "--list-all-zones", NULL};
    static const char *const usual[] = {"firewall-cmd", "--get-default-zone", NULL};
    *texts = (hp_filter_texts_t){.has_nft = hp_command_is_there("nft"),
                                 .has_iptables = hp_command_is_there("iptables-save")};
    texts->nft = printed(nft);
    texts->iptables = printed(save);
    texts->ip6tables = printed(save6);
    /* The program of nftables knows nothing of what the older one has set up. */
    texts->iptables_legacy = has_tables("/proc/net/ip_tables_names") ? printed(legacy) : NULL;
    texts->ip6tables_legacy = has_tables("/proc/net/ip6_tables_names") ? printed(legacy6) : NULL;
    texts->ufw_conf = read_small("/etc/ufw/ufw.conf");
    if (texts->ufw_conf != NULL)
        texts->ufw = printed(ufw);
    char *answer = printed(state);
    texts->firewalld_runs = answer != NULL || access("/run/firewalld", F_OK) == 0;
    if (answer != NULL) {
        texts->zones = printed(zones);
        texts->default_zone = printed(usual);
        if (texts->nft == NULL && texts->zones != NULL)
            texts->services = read_services(texts->zones);
    }
    free(answer);
}

void hp_filter_texts_dispose(hp_filter_texts_t *texts)
{
    char *all[] = {
        texts->nft, texts->iptables, texts->iptables_legacy, texts->ip6tables,    texts->ip6tables_legacy,
        texts->ufw, texts->ufw_conf, texts->zones,           texts->default_zone, texts->services};
    for (size_t i = 0; i < HP_COUNT(all); i++)
        free(all[i]);
    *texts = (hp_filter_texts_t){0};
}

/* ---- judging ---- */

typedef struct {
    hp_filter_state_t state;
    bool understood, has_rules;
    char where[120];
    char open[HP_FILTER_COMMAND_SIZE]; /* by the tool itself */
} judged_t;

static hp_filter_state_t worse(hp_filter_state_t a, hp_filter_state_t b)
{
    return a > b ? a : b;
}

static bool is_plain_word(const char *text)
{
    return text[strspn(text, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_.- ")] == '\0';
}

/* A base chain keeps it out: remembers where, and the command that lets it in at its beginning. */
static void note_closed(judged_t *self, const hp_chain_t *chain, const hp_packet_t *packet, bool nft)
{
    const char *protocol = packet->udp ? "udp" : "tcp", *and = self->open[0] != '\0' ? " && " : "";
    size_t used = strlen(self->open);
    if (self->where[0] == '\0')
        snprintf(self->where, sizeof self->where, "%s", chain->name);
    if (!is_plain_word(chain->name))
        return;
    if (nft)
        snprintf(self->open + used, sizeof self->open - used, "%ssudo nft insert rule %s %s dport %u accept",
                 and, chain->name, protocol, packet->port);
    else
        snprintf(self->open + used, sizeof self->open - used, "%ssudo %s -I %s -p %s --dport %u -j ACCEPT",
                 and, packet->v6 ? "ip6tables" : "iptables", chain->name, protocol, packet->port);
}

static judged_t judge_chains(hp_chains_t *chains, bool understood, const hp_packet_t *packet, bool nft)
{
    judged_t judged = {.state = HP_FILTER_OPEN, .understood = understood};
    for (size_t i = 0; i < chains->count; i++) {
        const hp_chain_t *chain = &chains->items[i];
        if (!chain->base)
            continue;
        judged.has_rules |= chain->rules.count > 0 || chain->policy == HP_DO_DROP;
        hp_fit_t fit = hp_chains_walk(chains, chain);
        judged.state = worse(judged.state, fit == HP_FIT_YES  ? HP_FILTER_OPEN
                                           : fit == HP_FIT_NO ? HP_FILTER_CLOSED
                                                              : HP_FILTER_SOME);
        if (fit != HP_FIT_YES)
            note_closed(&judged, chain, packet, nft);
    }
    hp_chains_dispose(chains);
    return judged;
}

static judged_t judge_iptables(const char *text, const hp_packet_t *packet)
{
    hp_chains_t chains = {0};
    bool understood = text != NULL && hp_filter_iptables_chains(text, packet, &chains);
    /* Without any table it prints nothing. */
    return judge_chains(&chains, understood || (text != NULL && strchr(text, '*') == NULL), packet, false);
}

static judged_t judge_nft(const hp_filter_texts_t *texts, const hp_packet_t *packet)
{
    hp_chains_t chains = {0};
    bool understood =
        texts->nft != NULL &&
        hp_filter_nft_chains(texts->nft, packet, packet->v6 ? texts->ip6tables : texts->iptables, &chains);
    return judge_chains(&chains, understood, packet, true);
}

static void write_commands(const hp_filter_texts_t *texts, const hp_packet_t *packet, const char *zone,
                           hp_filter_verdict_t *out)
{
    const char *protocol = packet->udp ? "udp" : "tcp", *iptables = packet->v6 ? "ip6tables" : "iptables";
    switch (out->tool) {
    case HP_TOOL_UFW:
        snprintf(out->open, sizeof out->open, "sudo ufw allow %u/%s", packet->port, protocol);
        snprintf(out->look, sizeof out->look, "sudo ufw status verbose");
        break;
    case HP_TOOL_FIREWALLD:
        snprintf(out->open, sizeof out->open,
                 "sudo firewall-cmd --permanent%s%s --add-port=%u/%s && sudo firewall-cmd --reload",
                 zone[0] != '\0' ? " --zone=" : "", zone, packet->port, protocol);
        snprintf(out->look, sizeof out->look, "sudo firewall-cmd --list-all%s%s",
                 zone[0] != '\0' ? " --zone=" : "", zone);
        break;
    case HP_TOOL_NFT:
        if (out->open[0] == '\0')
            snprintf(out->open, sizeof out->open, "sudo nft insert rule inet filter input %s dport %u accept",
                     protocol, packet->port);
        snprintf(out->look, sizeof out->look, "sudo nft list ruleset");
        break;
    case HP_TOOL_IPTABLES:
        if (out->open[0] == '\0')
            snprintf(out->open, sizeof out->open, "sudo %s -I INPUT -p %s --dport %u -j ACCEPT", iptables,
                     protocol, packet->port);
        snprintf(out->look, sizeof out->look, "sudo %s-save", iptables);
        break;
    case HP_TOOL_NONE:
        snprintf(out->look, sizeof out->look, "%s", texts->has_nft ? "sudo nft list ruleset" : "");
        break;
    }
}

void hp_filter_judge(const hp_filter_texts_t *texts, const hp_packet_t *packet, hp_filter_verdict_t *out)
{
    char zone[64] = "";
    judged_t nft = judge_nft(texts, packet), *closed = &nft;
    judged_t iptables = judge_iptables(packet->v6 ? texts->ip6tables : texts->iptables, packet);
    judged_t legacy = judge_iptables(packet->v6 ? texts->ip6tables_legacy : texts->iptables_legacy, packet);
    hp_filter_state_t zones = texts->zones != NULL ? hp_filter_zone(texts->zones, texts->default_zone,
                                                                    texts->services, packet, zone)
                                                   : HP_FILTER_UNKNOWN;
    bool has_iptables = iptables.has_rules || legacy.has_rules;
    *out = (hp_filter_verdict_t){.state = HP_FILTER_OPEN};
    if (nft.state < iptables.state)
        closed = &iptables;
    if (closed->state < legacy.state)
        closed = &legacy;
    bool read = nft.understood || (iptables.understood && !texts->has_nft);
    out->state = read ? closed->state : zones;
    out->tool = hp_filter_ufw_is_on(texts)                     ? HP_TOOL_UFW
                : texts->firewalld_runs                        ? HP_TOOL_FIREWALLD
                : closed == &nft && nft.state > HP_FILTER_OPEN ? HP_TOOL_NFT
                : has_iptables                                 ? HP_TOOL_IPTABLES
                : nft.has_rules || (!read && texts->has_nft)   ? HP_TOOL_NFT
                : !read && texts->has_iptables                 ? HP_TOOL_IPTABLES
                                                               : HP_TOOL_NONE;
    if (out->state != HP_FILTER_OPEN) {
        snprintf(out->where, sizeof out->where, "%s", read ? closed->where : zone);
        snprintf(out->open, sizeof out->open, "%s", read ? closed->open : "");
    }
    write_commands(texts, packet, zone, out);
    if (out->state == HP_FILTER_OPEN)
        out->open[0] = '\0';
}
