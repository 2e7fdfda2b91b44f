// libs: discovery fetch secure identity store db path os base
/* The registry: what is kept of a host over a restart, blocked or not, and what is removed with it. */
#include "test_hosts.h"

static void known_hosts_and_their_lists_are_kept_over_a_restart(void **state)
{
    net_t *net = *state;
    char out[1000];
    fake_t fake = {
        .id = ID_A, .name = "kept", .files = 1, .bytes = 5, .list = "{\"path\":\"a.txt\",\"size\":5}\n"};
    fake_start(&net->loop, &fake, "127.0.0.1", 0);
    add_host(net, "127.0.0.1", fake.port);
    wait_until(net, net->events[HP_HOST_LISTED] == 1);
    fake_stop(&fake);
    net_close(net);
    net->trace[0] = '\0';
    net_open(net);
    const hp_host_t *host = host_of(net, ID_A);
    assert_string_equal(host->name, "kept");
    assert_false(host->online);
    assert_true(host->listed);
    assert_int_equal(host->files, 1);
    assert_string_equal(hp_found_by_name(host->found_by), "hand");
    assert_int_equal(host->addresses[0].endpoint.port, fake.port);
    assert_true(host->last_seen > 0);
    assert_string_equal(listed(net, ID_A, out), "a.txt");
    fake_start(&net->loop, &fake, "127.0.0.1", fake.port);
    wait_until(net, is_online(net, ID_A));
    assert_non_null(strstr(net->trace, "online:aaaa"));
    fake_stop(&fake);
}

static void a_removed_host_is_gone_with_its_list(void **state)
{
    net_t *net = *state;
    char out[1000];
    fake_t fake = {.id = ID_A, .list = "{\"path\":\"a.txt\",\"size\":5}\n"};
    fake_start(&net->loop, &fake, "127.0.0.1", 0);
    add_host(net, "127.0.0.1", fake.port);
    wait_until(net, net->events[HP_HOST_LISTED] == 1);
    assert_int_equal(hp_hosts_remove(net->hosts, ID_A), 0);
    assert_null(hp_hosts_find(net->hosts, ID_A));
    assert_int_equal(hp_hosts_remove(net->hosts, ID_A), HP_E_NOT_FOUND);
    assert_int_equal(net->events[HP_HOST_REMOVED], 1);
    assert_string_equal(listed(net, ID_A, out), "-");
    net_close(net);
    net_open(net);
    assert_int_equal(hp_hosts_count(net->hosts), 0);
    fake_stop(&fake);
}

/* A client that has proven nothing, and one that has proven to be this host. */
static bool is_blocked(net_t *net, const char *address)
{
    hp_who_t who = {.way = HP_WAY_LAN};
    snprintf(who.address, sizeof who.address, "%s", address);
    return hp_hosts_is_blocked(net->hosts, &who);
}

static void a_blocked_host_stays_blocked_over_a_restart_and_is_not_forgotten(void **state)
{
    net_t *net = *state;
    fake_t fake = {.id = ID_A, .instance = INSTANCE_1}, other = {.id = ID_B, .instance = INSTANCE_2},
           elsewhere = {0};
    said_t said = {0};
    fake_start(&net->loop, &fake, "127.0.0.1", 0);
    fake_start(&net->loop, &other, "127.0.0.2", 0);
    add_host(net, fake.address, fake.port);
    add_host(net, other.address, other.port);
    assert_false(is_blocked(net, "127.0.0.1"));
    assert_int_equal(hp_hosts_set_blocked(net->hosts, "nobody", true, on_said, &said), HP_E_NOT_FOUND);
    assert_int_equal(hp_hosts_set_blocked(net->hosts, ID_A, true, on_said, &said), 0);
    assert_true(is_blocked(net, "127.0.0.1"));
    assert_false(is_blocked(net, "127.0.0.2"));
    assert_true(is_blocked_as(net, ID_A, "127.0.0.9"));  /* wherever it is */
    assert_false(is_blocked_as(net, ID_B, "127.0.0.1")); /* another host on the same machine */
    assert_int_equal(net->events[HP_HOST_BLOCKED], 1);
    wait_until(net, said.count == 1);
    assert_int_equal(said.status, 0);
    assert_int_equal(hp_hosts_remove(net->hosts, ID_A), HP_E_CONFLICT);
    add_host(net, fake.address, fake.port);
    assert_int_equal(net->events[HP_HOST_BLOCKED], 1);
    elsewhere.id = ID_A;
    elsewhere.instance = INSTANCE_1;
    fake_start(&net->loop, &elsewhere, "127.0.0.3", 0);
    add_host(net, elsewhere.address, elsewhere.port);
    assert_int_equal(net->events[HP_HOST_BLOCKED], 2);
    assert_true(is_blocked(net, "127.0.0.3"));

    net_close(net);
    net_open(net);
    assert_true(is_blocked(net, "127.0.0.1"));
    assert_false(hp_hosts_find(net->hosts, ID_B)->blocked);
    assert_int_equal(hp_hosts_set_blocked(net->hosts, ID_A, false, NULL, NULL), 0);
    assert_false(is_blocked(net, "127.0.0.1"));
    assert_int_equal(hp_hosts_remove(net->hosts, ID_A), 0);
    fake_stop(&fake);
    fake_stop(&other);
    fake_stop(&elsewhere);
}

static void a_host_is_as_it_was_when_blocking_it_cannot_be_stored(void **state)
{
    net_t *net = *state;
    fake_t fake = {.id = ID_A, .instance = INSTANCE_1};
    said_t said = {0};
    fake_start(&net->loop, &fake, "127.0.0.1", 0);
    add_host(net, fake.address, fake.port);
    run_sql(net, "CREATE TRIGGER refuse BEFORE INSERT ON host BEGIN SELECT RAISE(ABORT, 'no'); END");
    assert_int_equal(hp_hosts_set_blocked(net->hosts, ID_A, true, on_said, &said), 0);
    assert_true(is_blocked(net, "127.0.0.1"));
    wait_until(net, said.count == 1);
    assert_int_not_equal(said.status, 0);
    assert_false(host_of(net, ID_A)->blocked);
    assert_false(is_blocked(net, "127.0.0.1"));

    run_sql(net, "DROP TRIGGER refuse");
    assert_int_equal(hp_hosts_set_blocked(net->hosts, ID_A, true, on_said, &said), 0);
    wait_until(net, said.count == 2);
    assert_int_equal(said.status, 0);
    run_sql(net, "CREATE TRIGGER refuse BEFORE INSERT ON host BEGIN SELECT RAISE(ABORT, 'no'); END");
    assert_int_equal(hp_hosts_set_blocked(net->hosts, ID_A, false, on_said, &said), 0);
    assert_int_equal(hp_hosts_set_blocked(net->hosts, ID_A, true, on_said, &said), 0);
    assert_int_equal(hp_hosts_set_blocked(net->hosts, ID_A, false, on_said, &said), 0);
    wait_until(net, said.count == 5);
    assert_true(host_of(net, ID_A)->blocked); /* as it is stored */
    assert_true(is_blocked(net, "127.0.0.1"));
    run_sql(net, "DROP TRIGGER refuse");
    fake_stop(&fake);
}

int main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(name, net_set_up, net_tear_down)
    const struct CMUnitTest tests[] = {
        T(known_hosts_and_their_lists_are_kept_over_a_restart),
        T(a_removed_host_is_gone_with_its_list),
        T(a_blocked_host_stays_blocked_over_a_restart_and_is_not_forgotten),
        T(a_host_is_as_it_was_when_blocking_it_cannot_be_stored),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
