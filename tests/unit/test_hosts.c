// libs: discovery fetch secure identity store db path os base
/* The registry: what makes a host, who is online, and which hints are followed. */
#include "test_hosts.h"

static void a_host_added_by_hand_is_there_with_all_it_says(void **state)
{
    net_t *net = *state;
    fake_t fake = {.id = ID_A, .name = "Büro", .instance = INSTANCE_1, .files = 3, .bytes = 4096, .list = ""};
    fake_start(&net->loop, &fake, "127.0.0.1", 0);
    added_t added = add_host(net, "127.0.0.1", fake.port);
    assert_int_equal(added.status, 0);
    assert_true(added.is_new);
    assert_string_equal(added.id, ID_A);
    const hp_host_t *host = host_of(net, ID_A);
    assert_string_equal(host->name, "Büro");
    assert_string_equal(host->instance, INSTANCE_1);
    assert_true(host->online);
    assert_int_equal(host->files, 3);
    assert_int_equal(host->bytes, 4096);
    assert_int_equal(host->protocol, 2);
    assert_true(host->proven);
    assert_memory_equal(host->fingerprint, hp_identity_fingerprint(key_of(1)->identity), HP_FINGERPRINT_SIZE);
    assert_string_equal(host->addresses[0].endpoint.id, ID_A);
    assert_int_equal(fake.plain_requests, 0);
    assert_string_equal(hp_found_by_name(host->found_by), "hand");
    assert_int_equal(host->address_count, 1);
    assert_string_equal(host->addresses[0].endpoint.host, "127.0.0.1");
    assert_int_equal(host->addresses[0].endpoint.port, fake.port);
    assert_true(host->rtt_ms >= 0 && host->rtt_ms < 2000);
    assert_string_equal(net->trace, " added:aaaa online:aaaa");
    added = add_host(net, "::ffff:127.0.0.1", fake.port);
    assert_int_equal(added.status, 0);
    assert_false(added.is_new);
    assert_int_equal(hp_hosts_count(net->hosts), 1);
    fake_stop(&fake);
}

static void count_event(void *arg, hp_host_event_t event, const hp_host_t *host)
{
    (void)host;
    *(unsigned *)arg += event == HP_HOST_ADDED;
}

static void any_number_of_listeners_hear_of_a_host(void **state)
{
    net_t *net = *state;
    unsigned heard[20] = {0};
    for (size_t i = 0; i < HP_COUNT(heard); i++)
        hp_hosts_on_event(net->hosts, count_event, &heard[i]);
    hp_hosts_off_event(net->hosts, count_event, &heard[7]);
    fake_t fake = {.id = ID_A, .name = "attic", .instance = INSTANCE_1, .list = ""};
    fake_start(&net->loop, &fake, "127.0.0.1", 0);
    add_host(net, "127.0.0.1", fake.port);
    for (size_t i = 0; i < HP_COUNT(heard); i++) {
        assert_int_equal(heard[i], i != 7);
        hp_hosts_off_event(net->hosts, count_event, &heard[i]);
    }
    fake_stop(&fake);
}

static void an_old_host_without_json_has_its_address_as_id(void **state)
{
    net_t *net = *state;
    fake_t fake = {.raw = "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n",
                   .list = "a.txt\r\n",
                   .list_type = "text/plain"};
    fake_start(&net->loop, &fake, "127.0.0.1", 0);
    added_t added = add_host(net, "127.0.0.1", fake.port);
    char id[64];
    snprintf(id, sizeof id, "addr-127.0.0.1-%u", fake.port);
    assert_int_equal(added.status, 0);
    assert_string_equal(added.id, id);
    const hp_host_t *host = host_of(net, id);
    assert_int_equal(host->protocol, 0);
    assert_int_equal(host->files, -1);
    assert_int_equal(host->clock_uncertainty_ms, -1);
    fake_stop(&fake);
}

static void what_is_no_host_is_refused_with_words(void **state)
{
    static const struct {
        const char *raw, *words;
    } cases[] = {
        {"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n", "status 404"},
        {"HTTP/1.1 204 No Content\r\n\r\n", "status 204"},
        {"HTTP/1.1 302 Found\r\nLocation: /login\r\nContent-Length: 0\r\n\r\n", "status 302"},
        {"HTTP/1.1 200 OK\r\nContent-Length: 15\r\n\r\n<html>hi</html>", "neither empty nor JSON"},
        {"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n[]", "neither empty nor JSON"},
        {"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}", "no host id"},
        {"HTTP/1.1 200 OK\r\nContent-Length: 26\r\n\r\n{\"id\":\"../x\",\"protocol\":1}", "no host id"},
        {"HTTP/1.1 200 OK\r\nContent-Length: 41\r\n\r\n{\"id\":\"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa\"}",
         "no protocol"},
        {"HTTP/1.1 200 OK\r\nContent-Length: 99999\r\n\r\n{", "not hostpair"},
        {"SSH-2.0-OpenSSH_9.2p1\r\n", "not hostpair"},
    };
    net_t *net = *state;
    for (size_t i = 0; i < HP_COUNT(cases); i++) {
        fake_t fake = {.raw = cases[i].raw};
        fake_start(&net->loop, &fake, "127.0.0.1", 0);
        added_t added = add_host(net, "127.0.0.1", fake.port);
        if (added.status != HP_E_NOT_A_HOST || strstr(added.words, cases[i].words) == NULL)
            fail_msg("case %zu: %d %s", i, added.status, added.words);
        fake_stop(&fake);
    }
    assert_int_equal(hp_hosts_count(net->hosts), 0);
}

static void an_address_where_nobody_is_is_unreachable(void **state)
{
    net_t *net = *state;
    fake_t fake = {.id = ID_A};
    fake_start(&net->loop, &fake, "127.0.0.1", 0);
    fake_stop(&fake);
    added_t added = add_host(net, "127.0.0.1", fake.port);
    assert_int_equal(added.status, HP_E_UNREACHABLE);
    assert_non_null(strstr(added.words, "does not answer"));
    const char *address = strstr(added.words, "127.0.0.1");
    assert_non_null(address);
    assert_null(strstr(address + 1, "127.0.0.1")); /* it is said once */
}

static void our_own_address_is_no_host(void **state)
{
    net_t *net = *state;
    fake_t fake = {.id = OWN_ID, .instance = OWN_INSTANCE};
    fake_start(&net->loop, &fake, "127.0.0.1", 0);
    assert_int_equal(add_host(net, "127.0.0.1", fake.port).status, HP_E_INVALID);
    fake.instance = INSTANCE_1;
    added_t added = add_host(net, "127.0.0.1", fake.port);
    assert_int_equal(added.status, HP_E_CONFLICT);
    assert_non_null(strstr(added.words, "a copy"));
    assert_int_equal(hp_hosts_count(net->hosts), 0);
    fake_stop(&fake);
}

static void a_silent_host_is_offline_after_two_rounds_and_comes_back(void **state)
{
    net_t *net = *state;
    fake_t fake = {.id = ID_A, .list = ""};
    fake_start(&net->loop, &fake, "127.0.0.1", 0);
    add_host(net, "127.0.0.1", fake.port);
    int probes = fake.probes;
    wait_until(net, fake.probes >= probes + 2); /* it is looked after */
    assert_int_equal(net->events[HP_HOST_OFFLINE], 0);
    fake_stop(&fake);
    uint64_t from = hp_clock_ms();
    wait_until(net, net->events[HP_HOST_OFFLINE] == 1);
    assert_true(hp_clock_ms() - from >= quick.retry);
    assert_false(host_of(net, ID_A)->online);
    assert_int_equal(host_of(net, ID_A)->address_count, 1);
    fake_start(&net->loop, &fake, "127.0.0.1", fake.port);
    wait_until(net, is_online(net, ID_A));
    assert_int_equal(net->events[HP_HOST_ONLINE], 2);
    assert_int_equal(net->events[HP_HOST_ADDED], 1);
    fake_stop(&fake);
}

static void one_failed_probe_is_enough_when_a_person_asks(void **state)
{
    net_t *net = *state;
    fake_t fake = {.id = ID_A, .list = ""};
    hp_hosts_times_t slow = quick;
    slow.silent = slow.retry = 3600000;
    hp_hosts_set_times(net->hosts, &slow);
    fake_start(&net->loop, &fake, "127.0.0.1", 0);
    add_host(net, "127.0.0.1", fake.port);
    fake_stop(&fake);
    hp_hosts_probe_all(net->hosts, false);
    run_for(net, 200);
    assert_true(is_online(net, ID_A));
    hp_hosts_remove(net->hosts, ID_A);
    fake_start(&net->loop, &fake, "127.0.0.1", fake.port);
    add_host(net, "127.0.0.1", fake.port);
    fake_stop(&fake);
    hp_hosts_probe_all(net->hosts, true);
    wait_until(net, !is_online(net, ID_A));
}

static void an_offline_host_is_probed_faster_when_something_waits_for_it(void **state)
{
    net_t *net = *state;
    fake_t fake = {.id = ID_A, .list = ""};
    hp_hosts_times_t times = quick;
    times.offline = 3600000;
    hp_hosts_set_times(net->hosts, &times);
    fake_start(&net->loop, &fake, "127.0.0.1", 0);
    add_host(net, "127.0.0.1", fake.port);
    fake_stop(&fake);
    wait_until(net, !is_online(net, ID_A));
    fake_start(&net->loop, &fake, "127.0.0.1", fake.port);
    int probes = fake.probes;
    run_for(net, 300);
    assert_int_equal(fake.probes, probes);
    hp_hosts_set_waiting(net->hosts, ID_A, HP_WAIT_MESSAGE, true);
    wait_until(net, is_online(net, ID_A));
    fake_stop(&fake);
}

static void a_report_of_trouble_makes_a_probe_due_and_one_of_life_puts_it_off(void **state)
{
    net_t *net = *state;
    fake_t fake = {.id = ID_A, .list = ""};
    hp_hosts_times_t times = quick;
    times.silent = 3600000;
    times.again = 1;
    hp_hosts_set_times(net->hosts, &times);
    fake_start(&net->loop, &fake, "127.0.0.1", 0);
    add_host(net, "127.0.0.1", fake.port);
    int probes = fake.probes;
    run_for(net, 100);
    hp_hosts_report(net->hosts, ID_A, true);
    run_for(net, 100);
    assert_int_equal(fake.probes, probes);
    int changes = net->events[HP_HOST_CHANGED];
    hp_hosts_report(net->hosts, ID_A, false);
    wait_until(net, fake.probes == probes + 1 && net->events[HP_HOST_CHANGED] > changes);
    run_for(net, 20);
    assert_true(is_online(net, ID_A));
    fake_stop(&fake);
    hp_hosts_report(net->hosts, ID_A, false);
    wait_until(net, !is_online(net, ID_A));
}

static void two_addresses_are_one_host_and_the_other_takes_over_at_once(void **state)
{
    net_t *net = *state;
    fake_t first = {.id = ID_A, .instance = INSTANCE_1, .list = ""}, second = first;
    fake_start(&net->loop, &first, "127.0.0.1", 0);
    fake_start(&net->loop, &second, "127.0.0.2", 0);
    add_host(net, "127.0.0.1", first.port);
    added_t added = add_host(net, "127.0.0.2", second.port);
    assert_false(added.is_new);
    const hp_host_t *host = host_of(net, ID_A);
    assert_int_equal(host->address_count, 2);
    assert_string_equal(host->addresses[0].endpoint.host, "127.0.0.1");
    fake_stop(&first);
    wait_until(net, strcmp(host_of(net, ID_A)->addresses[0].endpoint.host, "127.0.0.2") == 0);
    assert_int_equal(net->events[HP_HOST_OFFLINE], 0);
    assert_true(is_online(net, ID_A));
    assert_string_equal(host->problem, "");
    fake_stop(&second);
    wait_until(net, !is_online(net, ID_A));
}

static void on_verified(void *arg, int status)
{
    on_said(arg, status, NULL);
}

static bool has_address(net_t *net, const char *id, const char *address)
{
    const hp_host_t *host = host_of(net, id);
    for (size_t i = 0; i < host->address_count; i++)
        if (strcmp(host->addresses[i].endpoint.host, address) == 0)
            return true;
    return false;
}

static void an_address_is_verified_whatever_was_known_of_it(void **state)
{
    net_t *net = *state;
    fake_t fake = {.id = ID_A, .instance = INSTANCE_1};
    said_t said = {0};
    fake_start(&net->loop, &fake, "127.0.0.1", 0);
    uint16_t port = fake.port;
    add_host(net, fake.address, port);
    assert_true(has_address(net, ID_A, "127.0.0.1"));
    int probes = fake.probes;
    hp_hosts_verify(net->hosts, at("127.0.0.1", port), HP_FOUND_MESSAGE, on_verified, &said);
    wait_until(net, said.count == 1);
    assert_int_equal(said.status, 0);
    assert_true(fake.probes > probes);
    fake.id = ID_B;
    fake.key = key_of(2);
    fake.instance = INSTANCE_2;
    hp_hosts_verify(net->hosts, at("127.0.0.1", port), HP_FOUND_MESSAGE, on_verified, &said);
    wait_until(net, said.count == 2);
    assert_false(has_address(net, ID_A, "127.0.0.1"));
    assert_true(has_address(net, ID_B, "127.0.0.1"));
    assert_int_equal(hp_hosts_find(net->hosts, ID_B)->found_by, HP_FOUND_MESSAGE);
    fake_stop(&fake);
}

static void the_clock_of_a_host_is_known_within_half_the_round_trip(void **state)
{
    net_t *net = *state;
    fake_t fake = {.id = ID_A, .list = "", .clock_ahead_ms = 7200000};
    fake_start(&net->loop, &fake, "127.0.0.1", 0);
    add_host(net, "127.0.0.1", fake.port);
    const hp_host_t *host = host_of(net, ID_A);
    assert_true(host->clock_uncertainty_ms >= 0);
    assert_in_range(host->clock_offset_ms, 7200000 - 50 - host->clock_uncertainty_ms,
                    7200000 + 50 + host->clock_uncertainty_ms);
    fake.clock_ahead_ms = -5000; /* somebody sets it */
    wait_until(net, llabs(host_of(net, ID_A)->clock_offset_ms + 5000) <= 50 + host->clock_uncertainty_ms);
    fake_stop(&fake);
}

/* ---- who a host is ---- */

static void hosts_are_sorted_by_name(void **state)
{
    net_t *net = *state;
    fake_t a = {.id = ID_A, .name = "zebra", .list = ""}, b = {.id = ID_B, .name = "Ant", .list = ""};
    fake_start(&net->loop, &a, "127.0.0.1", 0);
    fake_start(&net->loop, &b, "127.0.0.1", 0);
    add_host(net, "127.0.0.1", a.port);
    add_host(net, "127.0.0.1", b.port);
    assert_string_equal(hp_hosts_at(net->hosts, 0)->name, "Ant");
    assert_string_equal(hp_hosts_at(net->hosts, 1)->name, "zebra");
    assert_null(hp_hosts_at(net->hosts, 2));
    b.name = "zoo";
    wait_until(net, strcmp(hp_hosts_at(net->hosts, 1)->name, "zoo") == 0);
    fake_stop(&a);
    fake_stop(&b);
}

static void one_machine_cannot_fill_the_registry(void **state)
{
    net_t *net = *state;
    fake_t fakes[20];
    for (unsigned i = 0; i < HP_COUNT(fakes); i++) {
        fakes[i] = (fake_t){.id = key_id(10 + i), .list = ""};
        fake_start(&net->loop, &fakes[i], "127.0.0.1", 0);
        added_t added = add_host(net, "127.0.0.1", fakes[i].port);
        assert_int_equal(added.status, i < 16 ? 0 : HP_E_TOO_MANY);
        fake_stop(&fakes[i]);
    }
    assert_int_equal(hp_hosts_count(net->hosts), 16);
}

typedef struct checked {
    int count, status;
} checked_t;

static void on_checked(void *arg, int status)
{
    checked_t *checked = arg;
    checked->count++;
    checked->status = status;
}

static void hints_are_heeded_once_in_a_while(void **state)
{
    net_t *net = *state;
    fake_t fake = {.raw = "HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n"};
    hp_hosts_times_t times = quick;
    times.again = 200;
    hp_hosts_set_times(net->hosts, &times);
    fake_start(&net->loop, &fake, "127.0.0.1", 0);
    for (int i = 0; i < 100; i++)
        hp_hosts_hint(net->hosts, at("127.0.0.1", fake.port), HP_FOUND_BEACON);
    wait_until(net, fake.probes == 1);
    checked_t checked = {0};
    hp_hosts_check(net->hosts, at("127.0.0.1", fake.port), HP_FOUND_SCAN, on_checked, &checked);
    assert_int_equal(checked.count, 0);
    wait_until(net, checked.count == 1);
    assert_int_equal(fake.probes, 1);
    run_for(net, 250);
    hp_hosts_hint_changed(net->hosts, at("127.0.0.1", fake.port), HP_FOUND_BEACON);
    wait_until(net, fake.probes == 2);
    fake_stop(&fake);
}

static void who_sent_a_beacon_and_does_not_answer_is_asked_again(void **state)
{
    net_t *net = *state;
    fake_t fake = {.id = ID_A, .instance = INSTANCE_1};
    hp_hosts_times_t times = quick;
    times.again = 50;
    hp_hosts_set_times(net->hosts, &times);
    fake_start(&net->loop, &fake, "127.0.0.1", 0);
    fake_stop(&fake); /* now nobody listens at its port */
    run_for(net, 10);
    hp_hosts_hint(net->hosts, at("127.0.0.1", fake.port), HP_FOUND_BEACON);
    hp_hosts_hint(net->hosts, at("127.0.0.2", fake.port), HP_FOUND_SCAN);
    run_for(net, 100);
    fake_t late = {.id = ID_A, .instance = INSTANCE_1}, other = {.id = ID_B, .instance = INSTANCE_2};
    fake_start(&net->loop, &late, "127.0.0.1", fake.port);
    fake_start(&net->loop, &other, "127.0.0.2", fake.port);
    wait_until(net, hp_hosts_count(net->hosts) == 1);
    run_for(net, 300);
    assert_int_equal(other.probes, 0); /* the scan comes round again by itself */
    fake_stop(&late);
    fake_stop(&other);
}

static void hints_about_ports_that_do_not_answer_keep_nobody_waiting(void **state)
{
    net_t *net = *state;
    static fake_t mute[100];
    fake_t good = {.id = ID_A, .instance = INSTANCE_1};
    for (size_t i = 0; i < HP_COUNT(mute); i++) {
        mute[i] = (fake_t){.mute = true};
        fake_start(&net->loop, &mute[i], "127.0.0.9", 0);
        hp_hosts_hint(net->hosts, at("127.0.0.9", mute[i].port), HP_FOUND_SCAN);
    }
    fake_start(&net->loop, &good, "127.0.0.1", 0);
    uint64_t begun = hp_clock_ms();
    hp_hosts_hint(net->hosts, at("127.0.0.1", good.port), HP_FOUND_SCAN);
    wait_until(net, hp_hosts_find(net->hosts, ID_A) != NULL);
    assert_in_range(hp_clock_ms() - begun, 0, 2000);
    unsigned asked = 0;
    for (size_t i = 0; i < HP_COUNT(mute); i++) {
        asked += mute[i].open;
        fake_stop(&mute[i]);
    }
    assert_in_range(asked, 1, 16);
    fake_stop(&good);
}

static void stopping_ends_what_is_under_way(void **state)
{
    net_t *net = *state;
    fake_t fake = {.mute = true};
    fake_start(&net->loop, &fake, "127.0.0.1", 0);
    added_t added = {0}, waiting = {0};
    hp_hosts_add(net->hosts, at("127.0.0.1", fake.port), on_added, &added);
    run_for(net, 20);
    hp_hosts_add(net->hosts, at("127.0.0.1", fake.port), on_added, &waiting);
    net_close(net);
    assert_true(added.done);
    assert_int_equal(added.status, UV_ECANCELED);
    assert_true(waiting.done);
    net_open(net);
    fake_stop(&fake);
}

int main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(name, net_set_up, net_tear_down)
    const struct CMUnitTest tests[] = {
        T(a_host_added_by_hand_is_there_with_all_it_says),
        T(any_number_of_listeners_hear_of_a_host),
        T(an_old_host_without_json_has_its_address_as_id),
        T(what_is_no_host_is_refused_with_words),
        T(an_address_where_nobody_is_is_unreachable),
        T(our_own_address_is_no_host),
        T(a_silent_host_is_offline_after_two_rounds_and_comes_back),
        T(one_failed_probe_is_enough_when_a_person_asks),
        T(an_offline_host_is_probed_faster_when_something_waits_for_it),
        T(a_report_of_trouble_makes_a_probe_due_and_one_of_life_puts_it_off),
        T(two_addresses_are_one_host_and_the_other_takes_over_at_once),
        T(an_address_is_verified_whatever_was_known_of_it),
        T(the_clock_of_a_host_is_known_within_half_the_round_trip),
        T(hosts_are_sorted_by_name),
        T(one_machine_cannot_fill_the_registry),
        T(hints_are_heeded_once_in_a_while),
        T(who_sent_a_beacon_and_does_not_answer_is_asked_again),
        T(hints_about_ports_that_do_not_answer_keep_nobody_waiting),
        T(stopping_ends_what_is_under_way),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
