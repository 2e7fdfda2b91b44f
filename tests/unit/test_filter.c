// libs: doctor base
/* The packet filter as its tools print it: fixtures/doctor holds what nft 1.0.6 (alone, and with the table of
 * firewalld 1.3), iptables-save and ip6tables-save 1.8.9 (with the rules that ufw 0.36 has made), ufw,
 * firewall-cmd and firewall-offline-cmd 1.3 have printed. */
#include <arpa/inet.h>
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>

#include <cmocka.h>

#include "base/clock.h"
#include "base/mem.h"
#include "doctor/command.h"
#include "doctor/filter.h"

static char *fixture(const char *name)
{
    char *path = hp_sprintf("%s/tests/unit/fixtures/doctor/%s", HP_SOURCE_DIR, name),
         *text = hp_alloc(131072);
    FILE *file = fopen(path, "r");
    assert_non_null(file);
    assert_true(fread(text, 1, 131071, file) > 0);
    fclose(file);
    free(path);
    return text;
}

/* From any address of the interface's network. */
static hp_packet_t packet(const char *interface, const char *network, int prefix, const char *protocol,
                          uint16_t port)
{
    hp_packet_t made = {.udp = strcmp(protocol, "udp") == 0, .port = port};
    struct in_addr address;
    snprintf(made.interface, sizeof made.interface, "%s", interface);
    assert_int_equal(inet_pton(AF_INET, network, &address), 1);
    made.first = ntohl(address.s_addr);
    made.last = made.first | (uint32_t)((UINT64_C(1) << (32 - prefix)) - 1);
    made.to = made.first + 1;
    return made;
}

static hp_filter_verdict_t judge(const hp_filter_texts_t *texts, const char *interface, const char *network,
                                 int prefix, const char *protocol, uint16_t port)
{
    hp_filter_verdict_t verdict;
    hp_packet_t made = packet(interface, network, prefix, protocol, port);
    hp_filter_judge(texts, &made, &verdict);
    return verdict;
}

#define STATE(texts, interface, network, prefix, protocol, port)                                             \
    judge(&(texts), interface, network, prefix, protocol, port).state

static void nft_walks_chains_maps_and_sets(void **state)
{
    (void)state;
    hp_filter_texts_t texts = {.nft = fixture("nft.json"), .has_nft = true};
    assert_int_equal(STATE(texts, "eth0", "10.0.0.0", 24, "tcp", 9000),
                     HP_FILTER_OPEN); /* jump lan, a range */
    assert_int_equal(STATE(texts, "eth0", "10.0.0.0", 24, "udp", 9000), HP_FILTER_OPEN);
    assert_int_equal(STATE(texts, "eth0", "10.0.0.0", 24, "udp", 9050), HP_FILTER_CLOSED); /* of TCP */
    assert_int_equal(STATE(texts, "eth1", "10.0.0.0", 24, "tcp", 9000),
                     HP_FILTER_CLOSED); /* another interface */
    assert_int_equal(STATE(texts, "wlan3", "192.168.7.0", 24, "tcp", 9000),
                     HP_FILTER_CLOSED);                                                     /* wlan* : drop */
    assert_int_equal(STATE(texts, "eth1", "192.168.7.0", 24, "tcp", 9000), HP_FILTER_OPEN); /* @good */
    assert_int_equal(STATE(texts, "eth1", "192.168.7.128", 25, "tcp", 9000), HP_FILTER_OPEN);
    assert_int_equal(STATE(texts, "eth1", "192.168.0.0", 16, "tcp", 9000), HP_FILTER_SOME); /* a part of it */
    assert_int_equal(STATE(texts, "eth1", "10.0.0.0", 24, "tcp", 9100), HP_FILTER_OPEN);    /* with a limit */
    assert_int_equal(STATE(texts, "eth1", "10.0.0.0", 24, "tcp", 9200), HP_FILTER_SOME);    /* a mark */
    hp_filter_verdict_t closed = judge(&texts, "eth1", "10.0.0.0", 24, "tcp", 9000);
    assert_int_equal(closed.tool, HP_TOOL_NFT);
    assert_string_equal(closed.where, "inet filter input");
    assert_string_equal(closed.open, "sudo nft insert rule inet filter input tcp dport 9000 accept");
    assert_string_equal(closed.look, "sudo nft list ruleset");
    hp_filter_texts_dispose(&texts);
}

static void rules_of_ufw_are_followed_and_opened_by_ufw(void **state)
{
    (void)state;
    hp_filter_texts_t texts = {.iptables = fixture("ufw.iptables-save"),
                               .ufw = fixture("ufw.status"),
                               .ufw_conf = hp_strdup("# x\nENABLED=yes\n"),
                               .nft = hp_strdup("{\"nftables\": []}"),
                               .has_iptables = true,
                               .has_nft = true};
    assert_int_equal(STATE(texts, "eth0", "10.0.0.0", 24, "tcp", 22), HP_FILTER_OPEN);
    assert_int_equal(STATE(texts, "eth0", "192.168.1.0", 24, "tcp", 9000), HP_FILTER_OPEN);
    assert_int_equal(STATE(texts, "lo", "10.0.0.0", 24, "tcp", 9000), HP_FILTER_OPEN);
    hp_filter_verdict_t closed = judge(&texts, "eth0", "10.0.0.0", 24, "tcp", 9000);
    assert_int_equal(closed.state, HP_FILTER_CLOSED);
    assert_int_equal(closed.tool, HP_TOOL_UFW);
    assert_string_equal(closed.open, "sudo ufw allow 9000/tcp");
    assert_string_equal(closed.look, "sudo ufw status verbose");
    hp_filter_texts_dispose(&texts);
}

static void ufw_is_known_without_the_right_to_ask_it(void **state)
{
    (void)state;
    hp_filter_texts_t texts = {.ufw_conf = hp_strdup("LOGLEVEL=low\nENABLED=\"yes\"\n"), .has_nft = true};
    hp_filter_verdict_t verdict = judge(&texts, "eth0", "10.0.0.0", 24, "tcp", 9000);
    assert_int_equal(verdict.state, HP_FILTER_UNKNOWN);
    assert_int_equal(verdict.tool, HP_TOOL_UFW);
    assert_string_equal(verdict.open, "sudo ufw allow 9000/tcp");
    free(texts.ufw_conf);
    texts.ufw_conf = hp_strdup("ENABLED=no\n");
    assert_false(hp_filter_ufw_is_on(&texts));
    texts.ufw = hp_strdup("Status: inactive\n");
    assert_false(hp_filter_ufw_is_on(&texts));
    hp_filter_texts_dispose(&texts);
}

static void zones_of_firewalld_by_interface_source_and_default(void **state)
{
    (void)state;
    hp_filter_texts_t texts = {
        .zones = fixture("firewalld.zones"), .default_zone = hp_strdup("public\n"), .firewalld_runs = true};
    assert_int_equal(STATE(texts, "wlan0", "10.0.0.0", 24, "tcp", 9000), HP_FILTER_OPEN); /* home: 9000/tcp */
    assert_int_equal(STATE(texts, "wlan0", "10.0.0.0", 24, "udp", 9000),
                     HP_FILTER_CLOSED); /* and no 9000/udp */
    assert_int_equal(STATE(texts, "eth1", "10.0.0.0", 24, "tcp", 9000),
                     HP_FILTER_SOME); /* dmz: a rich rule */
    assert_int_equal(STATE(texts, "eth1", "10.77.3.0", 24, "tcp", 9000),
                     HP_FILTER_OPEN);                                                /* trusted: its source */
    hp_filter_verdict_t closed = judge(&texts, "eth9", "10.0.0.0", 24, "tcp", 9000); /* public, by default */
    assert_int_equal(closed.state, HP_FILTER_CLOSED);
    assert_int_equal(closed.tool, HP_TOOL_FIREWALLD);
    assert_string_equal(closed.where, "public");
    assert_string_equal(
        closed.open,
        "sudo firewall-cmd --permanent --zone=public --add-port=9000/tcp && sudo firewall-cmd --reload");
    hp_filter_texts_dispose(&texts);
}

/* From any address of the link. */
static hp_filter_verdict_t judge6(const hp_filter_texts_t *texts, const char *interface, uint16_t port)
{
    hp_packet_t made = {.v6 = true, .port = port};
    hp_filter_verdict_t verdict;
    snprintf(made.interface, sizeof made.interface, "%s", interface);
    assert_int_equal(inet_pton(AF_INET6, "fe80::", made.first6), 1);
    assert_int_equal(inet_pton(AF_INET6, "fe80::ffff:ffff:ffff:ffff", made.last6), 1);
    assert_int_equal(inet_pton(AF_INET6, "fe80::5", made.to6), 1);
    hp_filter_judge(texts, &made, &verdict);
    return verdict;
}

#define STATE6(texts, interface, port) judge6(&(texts), interface, port).state

static void nft_may_close_a_port_for_ipv6_only(void **state)
{
    (void)state;
    hp_filter_texts_t texts = {.nft = fixture("nft-v6-only.json"), .has_nft = true};
    assert_int_equal(STATE(texts, "eth0", "10.0.0.0", 24, "tcp", 9000), HP_FILTER_OPEN);
    hp_filter_verdict_t closed = judge6(&texts, "eth0", 9000);
    assert_int_equal(closed.state, HP_FILTER_CLOSED);
    assert_int_equal(closed.tool, HP_TOOL_NFT);
    assert_string_equal(closed.where, "inet filter input");
    assert_string_equal(closed.open, "sudo nft insert rule inet filter input tcp dport 9000 accept");
    assert_int_equal(STATE6(texts, "eth0", 9001), HP_FILTER_OPEN);
    hp_filter_texts_dispose(&texts);
}

static void nft_addresses_of_ipv6_are_compared(void **state)
{
    (void)state;
    hp_filter_texts_t texts = {.nft = fixture("nft-ip6.json"), .has_nft = true};
    assert_int_equal(STATE6(texts, "eth0", 9000), HP_FILTER_OPEN);   /* @near: fe80::/10 */
    assert_int_equal(STATE6(texts, "eth0", 9100), HP_FILTER_SOME);   /* fe80::1:0/112: a part of the link */
    assert_int_equal(STATE6(texts, "eth0", 9200), HP_FILTER_CLOSED); /* fd00::/8: none of it */
    assert_int_equal(STATE6(texts, "eth0", 9300), HP_FILTER_OPEN);   /* to our own address */
    assert_int_equal(STATE6(texts, "eth0", 9400), HP_FILTER_CLOSED);
    assert_string_equal(judge6(&texts, "eth0", 9400).where, "ip6 guard input");
    /* The family ip6 says nothing of IPv4. */
    assert_int_equal(STATE(texts, "eth0", "10.0.0.0", 24, "tcp", 9400), HP_FILTER_OPEN);
    hp_filter_texts_dispose(&texts);
}

static void ip6tables_is_read_for_ipv6_and_named_by_its_own_command(void **state)
{
    (void)state;
    hp_filter_texts_t texts = {.ip6tables = fixture("small.ip6tables-save"),
                               .iptables = hp_strdup(""),
                               .nft = hp_strdup("{\"nftables\": []}"),
                               .has_iptables = true,
                               .has_nft = true};
    assert_int_equal(STATE(texts, "eth0", "10.0.0.0", 24, "tcp", 9000), HP_FILTER_OPEN);
    hp_filter_verdict_t closed = judge6(&texts, "eth0", 9000); /* fd00::/8 alone is let in */
    assert_int_equal(closed.state, HP_FILTER_CLOSED);
    assert_int_equal(closed.tool, HP_TOOL_IPTABLES);
    assert_string_equal(closed.where, "INPUT");
    assert_string_equal(closed.open, "sudo ip6tables -I INPUT -p tcp --dport 9000 -j ACCEPT");
    assert_string_equal(closed.look, "sudo ip6tables-save");
    assert_int_equal(STATE6(texts, "eth0", 9100), HP_FILTER_OPEN); /* fe80::/10, before the drop */
    assert_int_equal(STATE6(texts, "eth0", 9300), HP_FILTER_SOME); /* fe80::a:0/112 */
    hp_filter_texts_dispose(&texts);
}

static void ufw_lets_a_network_of_ipv4_in_and_nobody_over_ipv6(void **state)
{
    (void)state;
    hp_filter_texts_t texts = {.iptables = fixture("ufw.iptables-save"),
                               .ip6tables = fixture("ufw.ip6tables-save"),
                               .ufw = fixture("ufw.status"),
                               .nft = hp_strdup("{\"nftables\": []}"),
                               .has_iptables = true,
                               .has_nft = true};
    assert_int_equal(STATE(texts, "eth0", "192.168.1.0", 24, "tcp", 9000), HP_FILTER_OPEN);
    assert_int_equal(STATE6(texts, "eth0", 22), HP_FILTER_OPEN);
    hp_filter_verdict_t closed = judge6(&texts, "eth0", 9000);
    assert_int_equal(closed.state, HP_FILTER_CLOSED);
    assert_int_equal(closed.tool, HP_TOOL_UFW);
    assert_string_equal(closed.open, "sudo ufw allow 9000/tcp");
    free(texts.ip6tables);
    texts.ip6tables = fixture("ufw-open.ip6tables-save"); /* after that command */
    assert_int_equal(STATE6(texts, "eth0", 9000), HP_FILTER_OPEN);
    hp_filter_texts_dispose(&texts);
}

static void the_rules_of_firewalld_are_followed_for_both_families(void **state)
{
    (void)state;
    hp_filter_texts_t texts = {.nft = fixture("firewalld.nft.json"), .has_nft = true, .firewalld_runs = true};
    assert_int_equal(STATE(texts, "eth0", "10.0.0.0", 24, "tcp", 22), HP_FILTER_OPEN);
    assert_int_equal(STATE6(texts, "eth0", 22), HP_FILTER_OPEN);
    hp_filter_verdict_t closed = judge(&texts, "eth0", "10.0.0.0", 24, "tcp", 9000);
    assert_int_equal(closed.state, HP_FILTER_CLOSED);
    assert_int_equal(closed.tool, HP_TOOL_FIREWALLD);
    assert_string_equal(closed.open,
                        "sudo firewall-cmd --permanent --add-port=9000/tcp && sudo firewall-cmd --reload");
    assert_int_equal(STATE6(texts, "eth0", 9000), HP_FILTER_CLOSED);
    free(texts.nft);
    texts.nft = fixture("firewalld-rich.nft.json"); /* family="ipv4" source address="10.0.0.0/8" */
    assert_int_equal(STATE(texts, "eth0", "10.0.0.0", 24, "tcp", 9000), HP_FILTER_OPEN);
    assert_int_equal(STATE(texts, "eth0", "192.168.1.0", 24, "tcp", 9000), HP_FILTER_CLOSED);
    assert_int_equal(STATE6(texts, "eth0", 9000), HP_FILTER_CLOSED);
    free(texts.nft);
    texts.nft = fixture("firewalld-service.nft.json"); /* of a person's own, with 9000/tcp */
    assert_int_equal(STATE(texts, "eth0", "10.0.0.0", 24, "tcp", 9000), HP_FILTER_OPEN);
    assert_int_equal(STATE6(texts, "eth0", 9000), HP_FILTER_OPEN);
    hp_filter_texts_dispose(&texts);
}

static void count_service(void *arg, const char *name)
{
    char *seen = arg;
    strcat(seen, name);
    strcat(seen, ",");
}

static void a_service_of_a_zone_of_firewalld_opens_its_ports(void **state)
{
    (void)state;
    char seen[400] = "";
    hp_filter_texts_t texts = {.zones = fixture("firewalld-service.zones"),
                               .default_zone = hp_strdup("public\n"),
                               .firewalld_runs = true};
    assert_int_equal(STATE(texts, "eth0", "10.0.0.0", 24, "tcp", 9000), HP_FILTER_CLOSED);
    texts.services = fixture("firewalld.services");
    assert_int_equal(STATE(texts, "eth0", "10.0.0.0", 24, "tcp", 9000), HP_FILTER_OPEN);
    assert_int_equal(STATE6(texts, "eth0", 9000), HP_FILTER_OPEN);
    assert_int_equal(STATE(texts, "eth0", "10.0.0.0", 24, "udp", 9000), HP_FILTER_CLOSED);
    hp_filter_each_service(texts.zones, count_service, seen);
    assert_string_equal(seen, "ssh,dhcpv6-client,mdns,samba-client,hostpair,");
    hp_filter_texts_dispose(&texts);
}

static void zones_of_firewalld_know_ipv6(void **state)
{
    (void)state;
    hp_filter_texts_t texts = {
        .zones = fixture("firewalld.zones"), .default_zone = hp_strdup("public\n"), .firewalld_runs = true};
    assert_int_equal(STATE6(texts, "wlan0", 9000), HP_FILTER_OPEN);  /* home: 9000/tcp, of both families */
    assert_int_equal(STATE6(texts, "eth1", 9000), HP_FILTER_CLOSED); /* dmz: a rich rule of IPv4 */
    assert_int_equal(STATE6(texts, "eth9", 9000), HP_FILTER_CLOSED);
    hp_filter_texts_dispose(&texts);
}

static hp_filter_state_t state_of(const char *rules, const char *protocol)
{
    hp_filter_texts_t texts = {.iptables =
                                   hp_sprintf("*filter\n:INPUT DROP [0:0]\n:own - [0:0]\n%sCOMMIT\n", rules),
                               .has_iptables = true};
    hp_filter_state_t state = STATE(texts, "eth0", "10.0.0.0", 24, protocol, 9000);
    hp_filter_texts_dispose(&texts);
    return state;
}

static void iptables_options_are_read(void **state)
{
    (void)state;
    assert_int_equal(state_of("", "tcp"), HP_FILTER_CLOSED);
    assert_int_equal(state_of("-A INPUT -p tcp -m tcp --dport 9000 -j ACCEPT\n", "tcp"), HP_FILTER_OPEN);
    assert_int_equal(state_of("-A INPUT -p tcp -m tcp --dport 9000 -j ACCEPT\n", "udp"), HP_FILTER_CLOSED);
    assert_int_equal(state_of("-A INPUT -p tcp -m multiport --dports 22,8999:9001 -j ACCEPT\n", "tcp"),
                     HP_FILTER_OPEN);
    assert_int_equal(state_of("-A INPUT ! -i eth0 -j ACCEPT\n", "tcp"), HP_FILTER_CLOSED);
    assert_int_equal(state_of("-A INPUT -i eth+ -j ACCEPT\n", "tcp"), HP_FILTER_OPEN);
    assert_int_equal(state_of("-A INPUT -s 10.0.0.0/8 -j ACCEPT\n", "tcp"), HP_FILTER_OPEN);
    assert_int_equal(state_of("-A INPUT -s 10.0.0.7/32 -j ACCEPT\n", "tcp"), HP_FILTER_SOME);
    assert_int_equal(state_of("-A INPUT ! -s 10.0.0.0/255.0.0.0 -j ACCEPT\n", "tcp"), HP_FILTER_CLOSED);
    assert_int_equal(state_of("-A INPUT -j own\n-A own -p tcp -j RETURN\n-A own -j ACCEPT\n", "tcp"),
                     HP_FILTER_CLOSED);
    assert_int_equal(state_of("-A INPUT -j own\n-A own -p tcp -j RETURN\n-A own -j ACCEPT\n", "udp"),
                     HP_FILTER_OPEN);
    assert_int_equal(state_of("-A INPUT -g own\n-A INPUT -j ACCEPT\n", "tcp"), HP_FILTER_CLOSED);
    assert_int_equal(state_of("-A INPUT -m comment --comment \"let -j DROP in\" -j ACCEPT\n", "tcp"),
                     HP_FILTER_OPEN);
    assert_int_equal(state_of("-A INPUT -m conntrack --ctstatus DNAT -j ACCEPT\n", "tcp"), HP_FILTER_CLOSED);
    assert_int_equal(state_of("-A INPUT -m set --match-set friends src -j ACCEPT\n", "tcp"), HP_FILTER_SOME);
    assert_int_equal(state_of("-A INPUT -j INPUT\n", "tcp"),
                     HP_FILTER_SOME); /* a loop, which no kernel has */
}

static void no_filter_at_all_is_open_and_nothing_readable_is_unknown(void **state)
{
    (void)state;
    hp_filter_texts_t none = {.nft = hp_strdup("{\"nftables\": [{\"metainfo\": {}}]}"), .has_nft = true};
    hp_filter_verdict_t verdict = judge(&none, "eth0", "10.0.0.0", 24, "tcp", 9000);
    assert_int_equal(verdict.state, HP_FILTER_OPEN);
    assert_int_equal(verdict.tool, HP_TOOL_NONE);
    assert_string_equal(verdict.open, "");
    free(none.nft);
    none.nft = hp_strdup("not what nft prints");
    assert_int_equal(STATE(none, "eth0", "10.0.0.0", 24, "tcp", 9000), HP_FILTER_UNKNOWN);
    hp_filter_texts_dispose(&none);
    assert_int_equal(STATE(none, "eth0", "10.0.0.0", 24, "tcp", 9000), HP_FILTER_UNKNOWN);
}

static void commands_print_fail_or_are_absent(void **state)
{
    (void)state;
    char *out, *errors;
    assert_int_equal(hp_command_run((const char *[]){"echo", "a; b", NULL}, &out, &errors), HP_COMMAND_DONE);
    assert_string_equal(out, "a; b\n");
    assert_string_equal(errors, "");
    free(out);
    free(errors);
    assert_int_equal(hp_command_run((const char *[]){"ls", "/nosuchfolder", NULL}, &out, &errors),
                     HP_COMMAND_FAILED);
    assert_non_null(strstr(errors, "nosuchfolder"));
    free(out);
    free(errors);
    assert_int_equal(hp_command_run((const char *[]){"nosuchprogram", NULL}, &out, NULL), HP_COMMAND_ABSENT);
    free(out);
    assert_int_equal(hp_command_run((const char *[]){"yes", NULL}, &out, NULL),
                     HP_COMMAND_FAILED); /* without end */
    free(out);
}

static void a_command_that_closes_its_output_and_hangs_is_killed(void **state)
{
    (void)state;
    char *out;
    uint64_t before = hp_clock_ms();
    const char *const words[] = {"sh", "-c", "echo said; exec >&- 2>&-; exec sleep 600", NULL};
    assert_int_equal(hp_command_run(words, &out, NULL), HP_COMMAND_FAILED);
    assert_string_equal(out, "said\n");
    free(out);
    uint64_t took = hp_clock_ms() - before;
    if (took < 4000 || took > 30000)
        fail_msg("it took %llu ms", (unsigned long long)took);
    assert_int_equal(waitpid(-1, NULL, WNOHANG), -1); /* and nothing is left of it */
    assert_int_equal(errno, ECHILD);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(nft_walks_chains_maps_and_sets),
        cmocka_unit_test(rules_of_ufw_are_followed_and_opened_by_ufw),
        cmocka_unit_test(ufw_is_known_without_the_right_to_ask_it),
        cmocka_unit_test(zones_of_firewalld_by_interface_source_and_default),
        cmocka_unit_test(nft_may_close_a_port_for_ipv6_only),
        cmocka_unit_test(nft_addresses_of_ipv6_are_compared),
        cmocka_unit_test(ip6tables_is_read_for_ipv6_and_named_by_its_own_command),
        cmocka_unit_test(ufw_lets_a_network_of_ipv4_in_and_nobody_over_ipv6),
        cmocka_unit_test(the_rules_of_firewalld_are_followed_for_both_families),
        cmocka_unit_test(a_service_of_a_zone_of_firewalld_opens_its_ports),
        cmocka_unit_test(zones_of_firewalld_know_ipv6),
        cmocka_unit_test(iptables_options_are_read),
        cmocka_unit_test(no_filter_at_all_is_open_and_nothing_readable_is_unknown),
        cmocka_unit_test(commands_print_fail_or_are_absent),
        cmocka_unit_test(a_command_that_closes_its_output_and_hangs_is_killed),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
