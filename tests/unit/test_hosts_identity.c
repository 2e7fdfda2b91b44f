// libs: discovery fetch secure identity store db path os base
/* The registry: which answer belongs to which host, and what it takes to be the one that was known. */
#include "test_hosts.h"

static void a_host_that_moves_and_starts_again_is_no_copy(void **state)
{
    net_t *net = *state;
    fake_t old = {.id = ID_A, .instance = INSTANCE_1, .list = ""},
           moved = {.id = ID_A, .instance = INSTANCE_2, .list = ""};
    fake_start(&net->loop, &old, "127.0.0.1", 0);
    add_host(net, "127.0.0.1", old.port);
    fake_stop(&old);
    fake_start(&net->loop, &moved, "127.0.0.2", 0);
    assert_int_equal(add_host(net, "127.0.0.2", moved.port).status, 0);
    run_for(net, 3 * quick.silent);
    assert_true(is_online(net, ID_A));
    assert_string_equal(host_of(net, ID_A)->problem, "");
    assert_string_equal(host_of(net, ID_A)->instance, INSTANCE_2);
    assert_string_equal(host_of(net, ID_A)->addresses[0].endpoint.host, "127.0.0.2");
    fake_stop(&moved);
}

static void two_hosts_with_one_id_are_reported_and_not_mixed(void **state)
{
    net_t *net = *state;
    fake_t first = {.id = ID_A, .instance = INSTANCE_1, .list = ""},
           copy = {.id = ID_A, .instance = INSTANCE_2, .list = ""};
    fake_start(&net->loop, &first, "127.0.0.1", 0);
    add_host(net, "127.0.0.1", first.port);
    fake_start(&net->loop, &copy, "127.0.0.2", 0);
    hp_hosts_hint(net->hosts, at("127.0.0.2", copy.port), HP_FOUND_BEACON);
    wait_until(net, host_of(net, ID_A)->problem[0] != '\0');
    const hp_host_t *host = host_of(net, ID_A);
    assert_non_null(strstr(host->problem, "127.0.0.2"));
    assert_int_equal(host->address_count, 1);
    assert_string_equal(host->addresses[0].endpoint.host, "127.0.0.1");
    assert_string_equal(host->instance, INSTANCE_1);
    added_t added = add_host(net, "127.0.0.2", copy.port);
    assert_int_equal(added.status, HP_E_CONFLICT);
    run_for(net, 3 * quick.silent);
    assert_int_equal(host_of(net, ID_A)->address_count, 1);
    /* The first one goes: the copy is all there is. */
    fake_stop(&first);
    wait_until(net, is_online(net, ID_A) && strcmp(host_of(net, ID_A)->instance, INSTANCE_2) == 0);
    assert_string_equal(host_of(net, ID_A)->problem, "");
    fake_stop(&copy);
}

static void the_report_of_a_copy_ends_when_the_copy_is_gone(void **state)
{
    net_t *net = *state;
    fake_t first = {.id = ID_A, .instance = INSTANCE_1, .list = ""},
           copy = {.id = ID_A, .instance = INSTANCE_2, .list = ""};
    fake_start(&net->loop, &first, "127.0.0.1", 0);
    fake_start(&net->loop, &copy, "127.0.0.2", 0);
    add_host(net, "127.0.0.1", first.port);
    add_host(net, "127.0.0.2", copy.port);
    wait_until(net, host_of(net, ID_A)->problem[0] != '\0');
    fake_stop(&copy);
    wait_until(net, host_of(net, ID_A)->problem[0] == '\0');
    assert_true(is_online(net, ID_A));
    fake_stop(&first);
}

static void an_address_that_another_host_took_over_moves_to_it(void **state)
{
    net_t *net = *state;
    fake_t fake = {.id = ID_A, .list = ""};
    fake_start(&net->loop, &fake, "127.0.0.1", 0);
    add_host(net, "127.0.0.1", fake.port);
    fake.id = ID_B;
    fake.key = key_of(2);
    fake.name = "intruder";
    wait_until(net, is_online(net, ID_B) && !is_online(net, ID_A));
    assert_int_equal(host_of(net, ID_A)->address_count, 0);
    assert_int_equal(host_of(net, ID_B)->address_count, 1);
    assert_non_null(strstr(host_of(net, ID_A)->problem, "intruder"));
    assert_non_null(strstr(host_of(net, ID_A)->problem, "127.0.0.1"));
    assert_string_equal(host_of(net, ID_A)->name, "a host");
    assert_string_equal(host_of(net, ID_B)->problem, "");

    /* The first one is back, and nobody says so. */
    net_close(net);
    fake.id = ID_A;
    fake.key = key_of(1);
    net_open(net);
    wait_until(net, is_online(net, ID_A));
    assert_int_equal(host_of(net, ID_A)->address_count, 1);
    assert_int_equal(host_of(net, ID_B)->address_count, 0);
    assert_string_equal(host_of(net, ID_A)->problem, "");
    fake_stop(&fake);
}

/* ---- who a host is ---- */

static char *plain_id(const fake_t *fake)
{
    static char ids[4][80];
    static unsigned next;
    next = (next + 1) % HP_COUNT(ids);
    snprintf(ids[next], sizeof ids[next], "addr-%s-%u", fake->address, fake->port);
    return ids[next];
}

static void a_host_that_speaks_plain_alone_is_its_address_whatever_it_says(void **state)
{
    net_t *net = *state;
    fake_t victim = {.id = ID_A, .name = "attic", .instance = INSTANCE_1, .files = 3},
           claims = {.id = ID_A, .plain = true, .name = "liar", .instance = INSTANCE_2, .files = 99};
    fake_start(&net->loop, &victim, "127.0.0.1", 0);
    fake_start(&net->loop, &claims, "127.0.0.2", 0);
    add_host(net, "127.0.0.1", victim.port);
    added_t added = add_host(net, "127.0.0.2", claims.port);
    assert_string_equal(added.id, plain_id(&claims));
    const hp_host_t *host = host_of(net, added.id);
    assert_false(host->proven);
    assert_int_equal(host->protocol, 1);
    assert_string_equal(host->name, "liar");
    assert_int_equal(claims.greetings, 1); /* TLS came first */
    host = host_of(net, ID_A);
    assert_string_equal(host->name, "attic");
    assert_string_equal(host->instance, INSTANCE_1);
    assert_int_equal(host->files, 3);
    assert_int_equal(host->address_count, 1);
    /* It does not take the victim's place either. */
    fake_stop(&victim);
    wait_until(net, !is_online(net, ID_A));
    run_for(net, 3 * quick.silent);
    assert_false(is_online(net, ID_A));
    assert_true(is_online(net, plain_id(&claims)));
    fake_stop(&claims);
}

static void a_right_id_over_a_wrong_key_changes_nothing_and_is_told(void **state)
{
    net_t *net = *state;
    fake_t victim = {.id = ID_A, .name = "attic", .instance = INSTANCE_1},
           liar = {.id = ID_A, .name = "liar", .instance = INSTANCE_2, .clock_ahead_ms = 3600000};
    liar.key = key_of(2);
    fake_start(&net->loop, &victim, "127.0.0.1", 0);
    fake_start(&net->loop, &liar, "127.0.0.2", 0);
    add_host(net, "127.0.0.1", victim.port);
    added_t added = add_host(net, "127.0.0.2", liar.port);
    assert_int_equal(added.status, HP_E_WRONG_KEY);
    assert_non_null(strstr(added.words, "127.0.0.2"));
    assert_int_equal(hp_hosts_count(net->hosts), 1);
    const hp_host_t *host = host_of(net, ID_A);
    assert_string_equal(host->name, "attic");
    assert_true(llabs(host->clock_offset_ms) < 60000);
    assert_non_null(strstr(host->problem, "127.0.0.2"));
    assert_int_equal(liar.plain_requests, 0);
    /* Nobody says so any more. */
    fake_stop(&liar);
    wait_until(net, host_of(net, ID_A)->problem[0] == '\0');
    fake_stop(&victim);
}

static fake_t attic(bool plain)
{
    return (fake_t){.id = ID_A, .plain = plain, .name = "attic", .instance = INSTANCE_1, .list = ""};
}

/* A host is added, proves its key and goes. Gives the port that it had, for what comes in its place. */
static uint16_t prove_and_leave(net_t *net, fake_t *fake)
{
    fake_start(&net->loop, fake, "127.0.0.1", 0);
    add_host(net, "127.0.0.1", fake->port);
    fake_stop(fake);
    return fake->port;
}

static void a_host_once_proven_is_never_asked_in_plain_again(void **state)
{
    net_t *net = *state;
    fake_t fake = attic(false), plain = attic(true);
    uint16_t port = prove_and_leave(net, &fake);
    fake_start(&net->loop, &plain, "127.0.0.1", port);
    wait_until(net, !is_online(net, ID_A) && host_of(net, ID_A)->problem[0] != '\0');
    assert_non_null(strstr(host_of(net, ID_A)->problem, "plain HTTP"));
    added_t added = add_host(net, "127.0.0.1", port);
    assert_int_equal(added.status, HP_E_NOT_TLS);
    hp_hosts_hint_changed(net->hosts, at("127.0.0.1", port), HP_FOUND_BEACON);
    run_for(net, 2 * quick.silent);
    net_close(net); /* nor after a restart */
    net_open(net);
    wait_until(net, host_of(net, ID_A)->problem[0] != '\0');
    assert_true(host_of(net, ID_A)->proven);
    assert_int_equal(hp_hosts_count(net->hosts), 1);
    assert_true(plain.greetings > 0);
    assert_int_equal(plain.plain_requests, 0);
    fake_stop(&plain);
    fake_start(&net->loop, &fake, "127.0.0.1", port);
    wait_until(net, is_online(net, ID_A));
    assert_string_equal(host_of(net, ID_A)->problem, "");
    fake_stop(&fake);
    /* A person who forgets the host lets another program have the address. */
    assert_int_equal(hp_hosts_remove(net->hosts, ID_A), 0);
    fake_start(&net->loop, &plain, "127.0.0.1", port);
    assert_string_equal(add_host(net, "127.0.0.1", port).id, plain_id(&plain));
    fake_stop(&plain);
}

static void one_handshake_that_breaks_off_is_no_problem(void **state)
{
    net_t *net = *state;
    fake_t fake = attic(false), broken = attic(true);
    uint16_t port = prove_and_leave(net, &fake);
    fake_start(&net->loop, &broken, "127.0.0.1", port);
    wait_until(net, broken.greetings == 1);
    fake_stop(&broken);
    run_for(net, quick.retry);
    assert_string_equal(host_of(net, ID_A)->problem, "");
    fake_start(&net->loop, &fake, "127.0.0.1", port);
    wait_until(net, is_online(net, ID_A) && fake.probes > 1);
    /* What answered meanwhile makes the next one the first again. */
    fake_stop(&fake);
    broken.greetings = 0;
    fake_start(&net->loop, &broken, "127.0.0.1", port);
    wait_until(net, broken.greetings == 1);
    fake_stop(&broken);
    run_for(net, quick.retry);
    assert_string_equal(host_of(net, ID_A)->problem, "");
}

static void a_host_that_says_it_speaks_tls_and_does_not_is_none(void **state)
{
    net_t *net = *state;
    char raw[300], body[] = "{\"id\":\"" OLD_ID "\",\"protocol\":2}";
    snprintf(raw, sizeof raw, "HTTP/1.1 200 OK\r\nContent-Length: %zu\r\n\r\n%s", strlen(body), body);
    fake_t fake = {.raw = raw};
    fake_start(&net->loop, &fake, "127.0.0.1", 0);
    added_t added = add_host(net, "127.0.0.1", fake.port);
    assert_int_equal(added.status, HP_E_NOT_TLS);
    assert_int_equal(hp_hosts_count(net->hosts), 0);
    fake_stop(&fake);
}

/* What hostpair 0.1 left in the database: a host with an id that nobody proved. */
static void make_old_host(net_t *net, const char *name, uint16_t port)
{
    net_close(net);
    char *sql = hp_sprintf(
        "INSERT INTO host (id, name, protocol, found_by, instance, files, bytes, first_seen, last_seen) "
        "VALUES "
        "('" OLD_ID "', '%s', 1, 'beacon', '', 2, 7, 1000, 2000);"
        "INSERT INTO host_address VALUES ('" OLD_ID "', '127.0.0.1', %u, 2000), ('" OLD_ID
        "', '127.0.0.9', 1, 1);"
        "INSERT INTO message (uid, host, name, recipient, incoming, text, sent_at, received_at) VALUES"
        " ('1', '" OLD_ID "', 'x', '%s', 1, 'hello', 1, 1)",
        name, port, OWN_ID);
    run_sql(net, sql);
    free(sql);
    net_open(net);
}

static int64_t count_messages(net_t *net, const char *from)
{
    char *path = hp_sprintf("%s/hostpair.db", net->folder);
    char *sql = hp_sprintf("SELECT count(*) FROM message WHERE host = '%s'", from);
    sqlite3 *db;
    sqlite3_stmt *statement;
    assert_int_equal(sqlite3_open_v2(path, &db, SQLITE_OPEN_READONLY, NULL), SQLITE_OK);
    assert_int_equal(sqlite3_prepare_v2(db, sql, -1, &statement, NULL), SQLITE_OK);
    assert_int_equal(sqlite3_step(statement), SQLITE_ROW);
    int64_t count = sqlite3_column_int64(statement, 0);
    sqlite3_finalize(statement);
    sqlite3_close(db);
    free(path);
    free(sql);
    return count;
}

static void an_old_host_becomes_the_one_that_proves_a_key_in_its_place(void **state)
{
    net_t *net = *state;
    fake_t fake = {.id = ID_A, .name = "attic", .instance = INSTANCE_1, .list = ""};
    fake_start(&net->loop, &fake, "127.0.0.1", 0);
    make_old_host(net, "attic", fake.port);
    assert_non_null(hp_hosts_find(net->hosts, OLD_ID));
    hp_hosts_set_waiting(net->hosts, OLD_ID, HP_WAIT_DOWNLOAD, true);
    wait_until(net, is_online(net, ID_A));
    assert_null(hp_hosts_find(net->hosts, OLD_ID));
    assert_int_equal(net->events[HP_HOST_RENAMED], 1);
    assert_int_equal(net->events[HP_HOST_ADDED], 0);
    const hp_host_t *host = host_of(net, ID_A);
    assert_string_equal(host->former_id, OLD_ID);
    assert_string_equal(hp_found_by_name(host->found_by), "beacon");
    assert_true(host->proven);
    assert_string_equal(host->addresses[0].endpoint.id, ID_A);
    net_close(net);
    assert_int_equal(count_messages(net, ID_A), 1);
    assert_int_equal(count_messages(net, OLD_ID), 0);
    net_open(net);
    assert_int_equal(hp_hosts_count(net->hosts), 1);
    assert_true(host_of(net, ID_A)->proven);
    fake_stop(&fake);
}

static void a_host_with_another_name_at_its_place_is_not_the_old_one(void **state)
{
    net_t *net = *state;
    fake_t fake = {.id = ID_A, .name = "cellar", .instance = INSTANCE_1, .list = ""};
    fake_start(&net->loop, &fake, "127.0.0.1", 0);
    make_old_host(net, "attic", fake.port);
    wait_until(net, is_online(net, ID_A));
    assert_false(host_of(net, OLD_ID)->online);
    assert_int_equal(net->events[HP_HOST_RENAMED], 0);
    assert_non_null(strstr(host_of(net, OLD_ID)->problem, "cellar"));
    net_close(net);
    assert_int_equal(count_messages(net, OLD_ID), 1);
    net_open(net);
    fake_stop(&fake);
}

static void an_old_host_that_still_speaks_plain_is_its_address_with_all_that_is_kept(void **state)
{
    net_t *net = *state;
    fake_t fake = {.id = OLD_ID, .plain = true, .name = "attic", .instance = INSTANCE_1, .list = ""};
    fake_start(&net->loop, &fake, "127.0.0.1", 0);
    uint16_t port = fake.port;
    make_old_host(net, "attic", port);
    wait_until(net, is_online(net, plain_id(&fake)));
    assert_int_equal(net->events[HP_HOST_RENAMED], 1);
    assert_null(hp_hosts_find(net->hosts, OLD_ID));
    assert_int_equal(host_of(net, plain_id(&fake))->address_count, 1);
    /* Later it is upgraded. */
    fake_stop(&fake);
    fake_t upgraded = {.id = ID_A, .name = "attic", .instance = INSTANCE_2, .list = ""};
    fake_start(&net->loop, &upgraded, "127.0.0.1", port);
    wait_until(net, is_online(net, ID_A));
    assert_int_equal(net->events[HP_HOST_RENAMED], 2);
    assert_int_equal(hp_hosts_count(net->hosts), 1);
    net_close(net);
    assert_int_equal(count_messages(net, ID_A), 1);
    net_open(net);
    fake_stop(&upgraded);
}

static void another_old_host_does_not_take_the_old_ones_place(void **state)
{
    net_t *net = *state;
    fake_t fake = {.id = "dddddddddddddddddddddddddddddddd", .plain = true, .name = "attic", .list = ""};
    fake_start(&net->loop, &fake, "127.0.0.1", 0);
    make_old_host(net, "attic", fake.port);
    wait_until(net, is_online(net, plain_id(&fake)));
    assert_false(host_of(net, OLD_ID)->online);
    /* Nor does one that says its id somewhere else. */
    fake_t liar = {.id = OLD_ID, .plain = true, .name = "attic", .list = ""};
    fake_start(&net->loop, &liar, "127.0.0.2", 0);
    assert_string_equal(add_host(net, "127.0.0.2", liar.port).id, plain_id(&liar));
    assert_false(host_of(net, OLD_ID)->online);
    assert_int_equal(net->events[HP_HOST_RENAMED], 0);
    fake_stop(&fake);
    fake_stop(&liar);
}

static void two_that_turn_out_to_be_one_are_one(void **state)
{
    net_t *net = *state;
    fake_t fake = {.id = ID_A, .name = "attic", .instance = INSTANCE_1, .list = ""}, second = fake;
    fake_start(&net->loop, &fake, "127.0.0.1", 0);
    fake_start(&net->loop, &second, "127.0.0.2", 0);
    uint16_t port = fake.port;
    fake_stop(&fake);
    make_old_host(net, "attic", port);
    add_host(net, "127.0.0.2", second.port); /* its other address comes first */
    assert_int_equal(hp_hosts_count(net->hosts), 2);
    hp_hosts_set_blocked(net->hosts, OLD_ID, true, NULL, NULL);
    hp_hosts_set_waiting(net->hosts, OLD_ID, HP_WAIT_MESSAGE, true);
    fake_start(&net->loop, &fake, "127.0.0.1", port);
    wait_until(net, hp_hosts_count(net->hosts) == 1);
    assert_true(host_of(net, ID_A)->blocked);
    assert_true(is_blocked_as(net, ID_A, "127.0.0.7"));
    wait_until(net, host_of(net, ID_A)->address_count == 2);
    net_close(net);
    assert_int_equal(count_messages(net, ID_A), 1);
    net_open(net);
    assert_true(host_of(net, ID_A)->blocked);
    fake_stop(&fake);
    fake_stop(&second);
}

static void a_host_known_for_long_is_not_the_plain_one_whose_address_it_gets(void **state)
{
    net_t *net = *state;
    fake_t fake = {.id = ID_A, .name = "attic", .instance = INSTANCE_1, .list = ""},
           plain = {.plain = true, .id = OLD_ID, .name = "attic", .list = ""};
    fake_start(&net->loop, &fake, "127.0.0.1", 0);
    add_host(net, "127.0.0.1", fake.port);
    run_for(net, 5);
    fake_start(&net->loop, &plain, "127.0.0.2", 0);
    uint16_t port = plain.port;
    add_host(net, "127.0.0.2", port);
    fake_stop(&plain);
    fake_t moved = {.id = ID_A, .name = "attic", .instance = INSTANCE_1, .list = ""};
    fake_start(&net->loop, &moved, "127.0.0.2", port);
    wait_until(net, host_of(net, ID_A)->address_count == 2);
    assert_int_equal(hp_hosts_count(net->hosts), 2);
    assert_int_equal(net->events[HP_HOST_RENAMED], 0);
    fake_stop(&fake);
    fake_stop(&moved);
}

static void a_plain_host_that_lets_tls_wait_is_asked_in_plain_at_once_the_next_time(void **state)
{
    net_t *net = *state;
    fake_t fake = {.plain = true, .hangs_on_tls = true, .id = OLD_ID, .name = "slow", .list = ""};
    fake_start(&net->loop, &fake, "127.0.0.1", 0);
    assert_int_equal(add_host(net, "127.0.0.1", fake.port).status, 0);
    assert_int_equal(fake.greetings, 1);
    wait_until(net, fake.probes >= 4);
    assert_true(is_online(net, plain_id(&fake)));
    assert_int_equal(fake.greetings, 1);
    wait_until(net, fake.greetings == 2); /* it may have been upgraded */
    fake_stop(&fake);
}

int main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(name, net_set_up, net_tear_down)
    const struct CMUnitTest tests[] = {
        T(a_host_that_moves_and_starts_again_is_no_copy),
        T(two_hosts_with_one_id_are_reported_and_not_mixed),
        T(the_report_of_a_copy_ends_when_the_copy_is_gone),
        T(an_address_that_another_host_took_over_moves_to_it),
        T(a_host_that_speaks_plain_alone_is_its_address_whatever_it_says),
        T(a_right_id_over_a_wrong_key_changes_nothing_and_is_told),
        T(a_host_once_proven_is_never_asked_in_plain_again),
        T(one_handshake_that_breaks_off_is_no_problem),
        T(a_host_that_says_it_speaks_tls_and_does_not_is_none),
        T(an_old_host_becomes_the_one_that_proves_a_key_in_its_place),
        T(a_host_with_another_name_at_its_place_is_not_the_old_one),
        T(an_old_host_that_still_speaks_plain_is_its_address_with_all_that_is_kept),
        T(another_old_host_does_not_take_the_old_ones_place),
        T(two_that_turn_out_to_be_one_are_one),
        T(a_host_known_for_long_is_not_the_plain_one_whose_address_it_gets),
        T(a_plain_host_that_lets_tls_wait_is_asked_in_plain_at_once_the_next_time),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
