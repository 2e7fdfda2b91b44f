// libs: discovery fetch secure identity store db path os base
/* Fetching file lists: what arrives whole is shown, what breaks leaves the old list. */
#include "test_hosts.h"

static void start_listed(net_t *net, fake_t *fake)
{
    fake_start(&net->loop, fake, "127.0.0.1", 0);
    assert_int_equal(add_host(net, "127.0.0.1", fake->port).status, 0);
    int before = net->events[HP_HOST_LISTED];
    (void)before;
    wait_until(net, !hp_hosts_find(net->hosts, ID_A)->listing && fake->lists > 0);
}

static const hp_host_t *host_a(net_t *net)
{
    return hp_hosts_find(net->hosts, ID_A);
}

static void a_list_is_fetched_when_a_host_is_found(void **state)
{
    net_t *net = *state;
    char out[1000];
    fake_t fake = {
        .id = ID_A,
        .list =
            "{\"path\":\"b/x\",\"size\":1}\n{\"path\":\"a\",\"size\":2}\n{\"path\":\"no end\",\"size\":2}"};
    start_listed(net, &fake);
    assert_string_equal(listed(net, ID_A, out), "b/ a no end");
    assert_true(host_a(net)->listed);
    assert_string_equal(host_a(net)->list_error, "");
    assert_int_equal(net->events[HP_HOST_LISTED], 1);
    fake_stop(&fake);
    assert_string_equal(listed(net, ID_A, out), "b/ a no end");
}

static void an_unchanged_list_is_not_sent_again(void **state)
{
    net_t *net = *state;
    char out[1000];
    fake_t fake = {.id = ID_A, .list = "{\"path\":\"a\",\"size\":2}\n", .list_etag = "\"rev-1\""};
    start_listed(net, &fake);
    assert_int_equal(refresh(net, ID_A, false).status, 0);
    assert_int_equal(fake.unchanged, 1);
    assert_string_equal(listed(net, ID_A, out), "a");
    assert_int_equal(refresh(net, ID_A, true).status, 0); /* forced */
    assert_int_equal(fake.unchanged, 1);
    fake.list_etag = "\"rev-2\"";
    fake.list = "{\"path\":\"b\",\"size\":2}\n";
    assert_int_equal(refresh(net, ID_A, false).status, 0);
    assert_int_equal(fake.unchanged, 1);
    assert_string_equal(listed(net, ID_A, out), "b");
    fake_stop(&fake);
}

static void a_broken_transfer_leaves_the_old_list(void **state)
{
    net_t *net = *state;
    char out[1000];
    fake_t fake = {.id = ID_A, .list = "{\"path\":\"old\",\"size\":2}\n"};
    start_listed(net, &fake);
    fake.list = "{\"path\":\"new\",\"size\":2}\n";
    fake.list_promised = 100000;
    refreshed_t broken = refresh(net, ID_A, false);
    assert_true(broken.status < 0);
    assert_string_equal(listed(net, ID_A, out), "old");
    assert_true(host_a(net)->listed);
    assert_string_not_equal(host_a(net)->list_error, "");
    assert_true(host_a(net)->online);
    fake.list_promised = 0;
    assert_int_equal(refresh(net, ID_A, false).status, 0);
    assert_string_equal(listed(net, ID_A, out), "new");
    assert_string_equal(host_a(net)->list_error, "");
    fake_stop(&fake);
}

static void slow_hosts_keep_no_other_list_from_coming(void **state)
{
    enum { SLOW = 12, SAME = 4 }; /* the last ones at one address */
    net_t *net = *state;
    fake_t slow[SLOW], fake = {.id = ID_A, .name = "z", .list = "{\"path\":\"a\",\"size\":2}\n"};
    char ids[SLOW][33], address[32], out[1000];
    uint64_t begun = hp_clock_ms();
    int asked = 0, same = 0;
    for (int i = 0; i < SLOW; i++) {
        snprintf(ids[i], sizeof ids[i], "%s", key_id(10 + (size_t)i));
        snprintf(address, sizeof address, "127.0.0.%d", 2 + HP_MIN(i, SLOW - SAME));
        slow[i] = (fake_t){.id = ids[i], .list_hangs = true};
        fake_start(&net->loop, &slow[i], address, 0);
        assert_int_equal(add_host(net, address, slow[i].port).status, 0);
    }
    fake_start(&net->loop, &fake, "127.0.0.1", 0);
    assert_int_equal(add_host(net, "127.0.0.1", fake.port).status, 0);
    wait_until(net, net->events[HP_HOST_LISTED] == 1);
    assert_string_equal(listed(net, ID_A, out), "a");
    assert_in_range(hp_clock_ms() - begun, 0, 10000); /* before any of the slow ones is given up */
    for (int i = 0; i < SLOW; i++) {
        asked += slow[i].lists;
        same += i >= SLOW - SAME ? slow[i].lists : 0;
        fake_stop(&slow[i]);
    }
    assert_true(asked >= 4);
    fake_stop(&fake);
    print_message("%d slow lists, %d of them at one address\n", asked, same);
}

static void a_refusal_is_told_in_words(void **state)
{
    net_t *net = *state;
    fake_t fake = {.id = ID_A};
    start_listed(net, &fake);
    assert_false(host_a(net)->listed);
    assert_non_null(strstr(host_a(net)->list_error, "404"));
    fake.list = "<html></html>";
    fake.list_type = "text/html";
    refreshed_t refused = refresh(net, ID_A, false);
    assert_int_equal(refused.status, HP_E_PROTOCOL);
    assert_non_null(strstr(refused.words, "text/html"));
    assert_int_equal(refresh(net, ID_B, false).status, HP_E_NOT_FOUND);
    fake_stop(&fake);
    assert_int_equal(refresh(net, ID_A, false).status, HP_E_UNREACHABLE);
}

static void the_list_of_an_old_host_is_names_without_sizes(void **state)
{
    net_t *net = *state;
    char id[64], out[1000];
    fake_t fake = {.raw = "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n",
                   .list = "b.txt\r\na name.txt\r\n../evil\r\nsub/file\r\n",
                   .list_type = "text/plain; charset=utf-8"};
    fake_start(&net->loop, &fake, "127.0.0.1", 0);
    snprintf(id, sizeof id, "addr-127.0.0.1-%u", fake.port);
    add_host(net, "127.0.0.1", fake.port);
    wait_until(net, net->events[HP_HOST_LISTED] == 1);
    assert_string_equal(listed(net, id, out), "a name.txt b.txt");
    fake_stop(&fake);
}

static void bad_lines_are_passed_over_and_the_rest_is_kept(void **state)
{
    net_t *net = *state;
    char out[1000];
    size_t size = 200000;
    char *list = hp_alloc(size + 1000);
    int used = sprintf(
        list, "{\"path\":\"first\",\"size\":1}\nnonsense\n{\"path\":\"../../etc/passwd\",\"size\":1}\n\n");
    memset(list + used, 'x', size); /* one endless line */
    sprintf(list + (size_t)used + size, "\n{\"path\":\"last\",\"size\":1}\n");
    fake_t fake = {.id = ID_A, .list = list};
    start_listed(net, &fake);
    assert_string_equal(listed(net, ID_A, out), "first last");
    fake_stop(&fake);
    free(list);
}

static void a_large_list_arrives_whole_while_the_store_lags(void **state)
{
    net_t *net = *state;
    enum { COUNT = 20500 };
    char *list = hp_alloc(COUNT * 80);
    size_t used = 0;
    for (int i = 0; i < COUNT; i++)
        used += (size_t)sprintf(list + used, "{\"path\":\"d%02d/file %06d\",\"size\":%d}\n", i / 1000, i, i);
    fake_t fake = {.id = ID_A, .list = list, .list_length = used};
    start_listed(net, &fake);
    page_job_t job = {.query = {.host = ID_A, .limit = 50, .q = "file"}};
    hp_store_post(net->store, HP_STORE_READ, work_page, on_page, &job);
    wait_until(net, job.done);
    assert_int_equal(job.status, 0);
    assert_int_equal(job.page.files_total, COUNT);
    hp_remote_page_dispose(&job.page);
    fake_stop(&fake);
    free(list);
}

static void a_change_of_the_numbers_fetches_the_list_again(void **state)
{
    net_t *net = *state;
    char out[1000];
    fake_t fake = {.id = ID_A, .files = 1, .bytes = 2, .list = "{\"path\":\"a\",\"size\":2}\n"};
    start_listed(net, &fake);
    int lists = fake.lists;
    run_for(net, 3 * quick.silent);
    assert_int_equal(fake.lists, lists); /* the same numbers */
    fake.list = "{\"path\":\"a\",\"size\":2}\n{\"path\":\"b\",\"size\":2}\n";
    fake.files = 2;
    wait_until(net, strcmp(listed(net, ID_A, out), "a b") == 0);
    fake_stop(&fake);
}

static void another_tag_fetches_the_list_again(void **state)
{
    net_t *net = *state;
    fake_t fake = {.id = ID_A,
                   .files = 1,
                   .bytes = 2,
                   .hashed_bytes = 2,
                   .tag = "a-1",
                   .list_etag = "\"a-1\"",
                   .list = "{\"path\":\"a\",\"size\":2,\"root\":null}\n"};
    start_listed(net, &fake);
    int lists = fake.lists, probes = fake.probes;
    wait_until(net, fake.probes >= probes + 3);
    assert_int_equal(fake.lists, lists); /* the same tag */
    fake.tag = "a-2";
    fake.list_etag = "\"a-2\"";
    wait_until(net, fake.lists == lists + 1);
    assert_int_equal(fake.unchanged, 0);
    probes = fake.probes;
    wait_until(net, fake.probes >= probes + 3);
    assert_int_equal(fake.lists, lists + 1);
    /* A host that carries a tag which its list does not have is no reason for more than a look each time. */
    fake.tag = "of something else";
    probes = fake.probes;
    wait_until(net, fake.probes >= probes + 3);
    assert_true(fake.lists - lists - 1 <= fake.probes - probes + 1);
    fake_stop(&fake);
}

/* A line of a list; a host with files that have no root is asked again by itself, it may be hashing. */
#define ROOT         "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"
#define HASHED(name) "{\"path\":\"" name "\",\"size\":2,\"root\":\"" ROOT "\"}\n"

static void a_look_and_news_of_a_list_ask_at_once(void **state)
{
    net_t *net = *state;
    char out[1000];
    hp_hosts_times_t times = quick;
    times.silent = times.list = times.hashing = 3600000; /* nothing by itself */
    hp_hosts_set_times(net->hosts, &times);
    fake_t fake = {.id = ID_A, .files = 1, .bytes = 2, .hashed_bytes = 2, .tag = "a-1"};
    fake.list_etag = "\"a-1\"";
    fake.list = HASHED("a");
    start_listed(net, &fake);
    run_for(net, 2 * times.again);
    int probes = fake.probes;
    hp_hosts_heard_list(net->hosts, ID_A, "a-1"); /* the one that it has */
    hp_hosts_heard_list(net->hosts, ID_B, "a-2"); /* nobody */
    run_for(net, 2 * times.again);
    assert_int_equal(fake.probes, probes);

    fake.tag = "a-2";
    fake.list_etag = "\"a-2\"";
    fake.list = HASHED("a") HASHED("b");
    fake.files = 2;
    hp_hosts_heard_list(net->hosts, ID_A, "a-2");
    wait_until(net, strcmp(listed(net, ID_A, out), "a b") == 0);

    fake.tag = "a-3";
    fake.list_etag = "\"a-3\"";
    fake.list = HASHED("c");
    fake.files = 1;
    hp_hosts_look(net->hosts, ID_A);
    wait_until(net, strcmp(listed(net, ID_A, out), "c") == 0);

    probes = fake.probes;
    uint64_t from = hp_clock_ms(), took = 0;
    while (took < 10 * times.again || (fake.probes < probes + 2 && took < WAIT_MS)) {
        hp_hosts_look(net->hosts, ID_A); /* however often a person looks */
        run_for(net, 1);
        took = hp_clock_ms() - from;
    }
    assert_in_range(fake.probes - probes, 2, took / times.again + 1);
    fake_stop(&fake);
}

static int wait_in_store(hp_db_t *db, void *arg, hp_err_t *err)
{
    (void)db, (void)err;
    uv_sem_wait(arg);
    return 0;
}

static void news_that_come_while_a_list_is_fetched_are_not_forgotten(void **state)
{
    net_t *net = *state;
    char out[1000];
    uv_sem_t held;
    hp_hosts_times_t times = quick;
    times.silent = times.list = 3600000; /* nothing by itself */
    hp_hosts_set_times(net->hosts, &times);
    fake_t fake = {.id = ID_A, .name = "x", .files = 1, .bytes = 2, .hashed_bytes = 2, .tag = "a-1"};
    fake.list_etag = "\"a-1\"";
    fake.list = HASHED("a");
    start_listed(net, &fake);
    int lists = fake.lists;

    fake.tag = "a-2";
    fake.list_etag = "\"a-2\"";
    fake.list = HASHED("b");
    hp_hosts_heard_list(net->hosts, ID_A, "a-2");
    wait_until(net, fake.lists == lists + 1);
    assert_int_equal(uv_sem_init(&held, 0), 0); /* the list cannot be stored from here on */
    hp_store_post(net->store, HP_STORE_READ, wait_in_store, NULL, &held);
    fake.tag = "a-3";
    fake.list_etag = "\"a-3\"";
    fake.list = HASHED("c");
    fake.name = "y";
    hp_hosts_look(net->hosts, ID_A);
    wait_until(net, strcmp(host_a(net)->name, "y") == 0);
    assert_true(host_a(net)->listing);
    uv_sem_post(&held);
    wait_until(net, strcmp(listed(net, ID_A, out), "c") == 0);
    uv_sem_destroy(&held);
    fake_stop(&fake);
}

static void a_host_that_is_hashing_is_asked_often_and_its_list_fetched_now_and_then(void **state)
{
    net_t *net = *state;
    hp_hosts_times_t times = quick;
    times.silent = 60000;
    times.hashing = 400;
    times.hashing_waiting = 50;
    hp_hosts_set_times(net->hosts, &times);
    char tag[20], etag[20];
    fake_t fake = {.id = ID_A,
                   .files = 1,
                   .bytes = 2,
                   .hashed_bytes = 1,
                   .tag = tag,
                   .list_etag = etag,
                   .list = "{\"path\":\"a\",\"size\":2,\"root\":null}\n"};
    strcpy(tag, "a-0");
    strcpy(etag, "\"a-0\"");
    start_listed(net, &fake);
    /* The list is another one at every look. */
    int lists = fake.lists, number = 0;
    uint64_t began = hp_clock_ms();
    for (int seen = fake.probes; fake.lists < lists + 3;) {
        wait_until(net, fake.probes > seen || fake.lists >= lists + 3);
        seen = fake.probes;
        snprintf(tag, sizeof tag, "a-%d", ++number);
        snprintf(etag, sizeof etag, "\"%s\"", tag);
    }
    uint64_t took = hp_clock_ms() - began;
    print_message("3 lists in %llu ms\n", (unsigned long long)took);
    assert_true(took >= 2 * times.hashing);
    /* Something waits for it: now it goes faster. */
    hp_hosts_set_waiting(net->hosts, ID_A, HP_WAIT_DOWNLOAD, true);
    int probes = fake.probes;
    for (int tries = 0; tries < 5; tries++) { /* the machine may be busy with other things */
        probes = fake.probes;
        began = hp_clock_ms();
        wait_until(net, fake.probes >= probes + 4);
        took = hp_clock_ms() - began;
        print_message("4 probes in %llu ms\n", (unsigned long long)took);
        if (took < 2 * times.hashing)
            break;
    }
    assert_true(took < 2 * times.hashing);
    /* When all is hashed, it is left in peace. */
    fake.hashed_bytes = 2;
    probes = fake.probes;
    wait_until(net, fake.probes > probes);
    probes = fake.probes;
    run_for(net, 300);
    assert_in_range(fake.probes, probes, probes + 1);
    fake_stop(&fake);
}

static void removing_a_host_ends_its_transfer(void **state)
{
    net_t *net = *state;
    char out[1000];
    fake_t fake = {.id = ID_A, .list = "{\"path\":\"a\",\"size\":2}\n"};
    fake_start(&net->loop, &fake, "127.0.0.1", 0);
    add_host(net, "127.0.0.1", fake.port);
    fake.mute = true; /* the list never comes */
    refreshed_t refreshed = {0};
    hp_hosts_refresh(net->hosts, ID_A, false, on_refreshed, &refreshed);
    run_for(net, 50);
    assert_int_equal(hp_hosts_remove(net->hosts, ID_A), 0);
    wait_until(net, refreshed.done);
    assert_int_equal(refreshed.status, UV_ECANCELED);
    assert_string_equal(listed(net, ID_A, out), "-");
    fake_stop(&fake);
}

int main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(name, net_set_up, net_tear_down)
    const struct CMUnitTest tests[] = {
        T(a_list_is_fetched_when_a_host_is_found),
        T(an_unchanged_list_is_not_sent_again),
        T(a_broken_transfer_leaves_the_old_list),
        T(slow_hosts_keep_no_other_list_from_coming),
        T(a_refusal_is_told_in_words),
        T(the_list_of_an_old_host_is_names_without_sizes),
        T(bad_lines_are_passed_over_and_the_rest_is_kept),
        T(a_large_list_arrives_whole_while_the_store_lags),
        T(a_change_of_the_numbers_fetches_the_list_again),
        T(another_tag_fetches_the_list_again),
        T(a_look_and_news_of_a_list_ask_at_once),
        T(news_that_come_while_a_list_is_fetched_are_not_forgotten),
        T(a_host_that_is_hashing_is_asked_often_and_its_list_fetched_now_and_then),
        T(removing_a_host_ends_its_transfer),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
