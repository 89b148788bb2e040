#include "tests/lib/logstore_fixture.h"

#include "exporter/base/clock.h"

#include <signal.h>
#include <sys/wait.h>

/*
 * Members' time-outs, and the time that offsets stay and segments take, while the clocks do what they like.
 * The clocks are this file's own, in place of those in exporter/base/clock.c: the wall clock is set, the
 * machine sleeps or boots, and only what it has run counts. So nothing here depends on how busy the machine
 * is.
 */

#define GROUP STR_LITERAL("billing")

enum { SESSION_MS = 10000, POLL_MS = 60000 };

static const struct str ORDERS = {"orders", 6};
static int64_t wall_ms, run_us;

int64_t clock_wall_ms(void)
{
    return wall_ms;
}

int64_t clock_monotonic_us(void)
{
    return run_us;
}

static struct fsio_fault machine = {.before = fixture_no_fault};

static int set_up(void **state)
{
    wall_ms = 1764000000000;
    run_us = 5000000;
    machine.boot = 1;
    fsio_fault = &machine;
    return fixture_setup(state);
}

static int tear_down(void **state)
{
    fsio_fault = NULL;
    return fixture_teardown(state);
}

/* Time passes: both clocks go on. */
static void pass(int64_t ms)
{
    wall_ms += ms;
    run_us += ms * 1000;
}

static struct logstore_consumer *join(struct logstore *store)
{
    struct error error = {0};
    struct logstore_consumer_options options = {.session_timeout_ms = SESSION_MS,
                                                .max_poll_interval_ms = POLL_MS};
    struct logstore_consumer *consumer = logstore_consumer_join(store, GROUP, &ORDERS, 1, &options, &error);
    MUST(consumer != NULL);
    return consumer;
}

static struct logstore *store_with_member(struct logstore_consumer **consumer)
{
    struct error error = {0};
    struct logstore *store = fixture_open(LOGSTORE_CREATE, LOGSTORE_FSYNC_NEVER);
    MUST(logstore_topic_create(store, ORDERS, 2, NULL, &error));
    *consumer = join(store);
    return store;
}

static enum logstore_poll poll_once(struct logstore_consumer *consumer)
{
    struct error error = {0};
    struct logstore_record record;
    struct logstore_source source;
    enum logstore_poll poll = logstore_consumer_poll(consumer, 0, &record, &source, &error);
    MUST(poll != LOGSTORE_POLL_FAILED);
    return poll;
}

/* Lets all members poll until they are in the generation. */
static void settle(struct logstore_consumer *const *consumers, size_t count, int64_t generation)
{
    for (int tries = 0; tries < 100; tries++) {
        size_t there = 0;
        for (size_t i = 0; i < count; i++) {
            poll_once(consumers[i]);
            there += logstore_consumer_generation(consumers[i]) == generation;
        }
        if (there == count)
            return;
        pass(SESSION_MS / 10);
    }
    fail_msg("generation %lld never came", (long long)generation);
}

static void append(struct logstore *store, int count)
{
    struct error error = {0};
    struct logstore_record record = fixture_record("k", "v");
    for (int i = 0; i < count; i++)
        MUST(logstore_append(store, ORDERS, 0, &record, 1, NULL, &error));
}

/* What somebody sees who only reads. */
static struct logstore_observed_group observe(void)
{
    struct error error = {0};
    const struct logstore_observed_topic *topics;
    const struct logstore_observed_group *groups;
    size_t count;
    struct logstore_observer *observer = logstore_observer_open(fixture_folder, &error);
    MUST(observer != NULL && logstore_observe_topics(observer, &topics, &count, &error));
    MUST(logstore_observe_groups(observer, &groups, &count, &error));
    assert_int_equal(count, 1);
    struct logstore_observed_group group = groups[0];
    logstore_observer_close(&observer);
    return group;
}

/* Whether a commit from outside finds the group without members, which also evicts those that are gone. */
static void check_empty(struct logstore *store, bool empty)
{
    struct error error = {0};
    struct logstore_commit commit = {ORDERS, 0, 0, STR_LITERAL("")};
    assert_int_equal(observe().member_count, empty ? 0 : 1);
    assert_int_equal(observe().state, empty ? LOGSTORE_GROUP_EMPTY : LOGSTORE_GROUP_STABLE);
    if (empty)
        MUST(logstore_commit(store, GROUP, &commit, 1, &error));
    else
        MUST_FAIL(logstore_commit(store, GROUP, &commit, 1, &error), ERROR_CONFLICT);
}

/* A year forward, and five years back: the members stay, in their generation. */
static void test_setting_the_wall_clock_evicts_nobody(void **state)
{
    (void)state;
    const int64_t year_ms = INT64_C(365) * 24 * 3600 * 1000;
    struct logstore_consumer *consumer;
    struct logstore *store = store_with_member(&consumer);
    for (int step = 0; step < 2; step++) {
        wall_ms += step == 0 ? year_ms : -5 * year_ms;
        check_empty(store, false);
        pass(SESSION_MS / 2);
        assert_int_equal(poll_once(consumer), LOGSTORE_POLL_NOTHING);
        assert_int_equal(logstore_consumer_generation(consumer), 1);
    }
    logstore_consumer_abandon(&consumer);
    logstore_close(&store);
}

/* The wall clock was set back, but the member is as dead as it would have been. */
static void test_setting_the_wall_clock_keeps_nobody(void **state)
{
    (void)state;
    struct logstore_consumer *consumer;
    struct logstore *store = store_with_member(&consumer);
    wall_ms -= 3600000;
    pass(SESSION_MS);
    check_empty(store, false);
    pass(1);
    assert_int_equal(observe().empty_since, wall_ms - 1);
    check_empty(store, true);
    logstore_consumer_abandon(&consumer);
    logstore_close(&store);
}

/* The machine sleeps for a night: the wall clock alone goes on. */
static void test_a_machine_that_slept_has_its_members_still(void **state)
{
    (void)state;
    struct logstore_consumer *consumer;
    struct logstore *store = store_with_member(&consumer);
    pass(SESSION_MS / 2);
    wall_ms += 8 * 3600000;
    check_empty(store, false);
    assert_int_equal(poll_once(consumer), LOGSTORE_POLL_NOTHING);
    assert_int_equal(logstore_consumer_generation(consumer), 1);
    logstore_consumer_abandon(&consumer);
    logstore_close(&store);
}

/* The machine boots while the clock that counts since then happens to show what the member's signs of life
 * do. No process outlives that. */
static void test_nobody_outlives_a_boot(void **state)
{
    (void)state;
    struct logstore_consumer *consumer;
    struct logstore *store = store_with_member(&consumer);
    machine.boot = 2;
    wall_ms += 30000;
    struct logstore_observed_group group = observe();
    assert_int_equal(group.member_count, 0);
    assert_int_equal(group.empty_since, wall_ms - run_us / 1000); /* the boot, at the latest */
    check_empty(store, true);
    assert_int_equal(observe().empty_since, wall_ms); /* offsets expire no earlier than from now on */
    logstore_consumer_abandon(&consumer);
    logstore_close(&store);
}

/* Without a boot id: signs of life from the future were given before the machine booted. */
static void test_a_boot_is_noticed_without_its_id(void **state)
{
    (void)state;
    struct logstore_consumer *consumer;
    fsio_fault = NULL; /* the kernel's own id, which stays */
    run_us = INT64_C(3600000000);
    struct logstore *store = store_with_member(&consumer);
    check_empty(store, false);
    run_us = 5000000;
    check_empty(store, true);
    logstore_consumer_abandon(&consumer);
    logstore_close(&store);
}

/* Signs of life keep it for as long as they come; then it is gone for who looks, and evicted by who acts. */
static void test_a_member_that_is_silent_counts_as_gone(void **state)
{
    (void)state;
    struct error error = {0};
    struct logstore_consumer *consumer;
    struct logstore *store = store_with_member(&consumer);
    for (int i = 0; i < 4; i++) {
        pass(SESSION_MS);
        MUST(logstore_consumer_heartbeat(consumer, &error));
    }
    check_empty(store, false);
    pass(SESSION_MS + 1);
    struct logstore_observed_group group = observe();
    assert_int_equal(group.member_count, 0);
    assert_int_equal(group.state, LOGSTORE_GROUP_EMPTY);
    assert_int_equal(group.empty_since, wall_ms - 1);
    assert_int_equal(group.generation, 1); /* nobody has evicted it yet */
    check_empty(store, true);
    assert_int_equal(observe().generation, 2);
    logstore_consumer_abandon(&consumer);
    logstore_close(&store);
}

/* A member may commit until it has agreed to the rebalance; afterwards its generation is over. */
static void test_a_commit_of_an_old_generation_is_refused(void **state)
{
    (void)state;
    struct error error = {0};
    struct logstore_consumer *one;
    struct logstore *store = store_with_member(&one);
    append(store, 10);
    for (int i = 0; i < 5; i++)
        assert_int_equal(poll_once(one), LOGSTORE_POLL_RECORD);
    struct logstore_consumer *other = join(store);
    pass(SESSION_MS / 2);
    assert_int_equal(poll_once(one), LOGSTORE_POLL_REBALANCE);
    MUST(logstore_consumer_commit(one, &error));
    assert_int_equal(poll_once(other), LOGSTORE_POLL_NOTHING);
    assert_int_equal(logstore_consumer_generation(other), 0);
    pass(SESSION_MS);
    MUST(logstore_consumer_heartbeat(other, &error));
    pass(1);
    settle(&other, 1, 2); /* without the one, who was silent */
    assert_int_equal(logstore_consumer_assigned(other), 2);
    MUST(logstore_consumer_seek(one, ORDERS, 0, 0, &error));
    MUST_FAIL(logstore_consumer_commit(one, &error), ERROR_CONFLICT);
    MUST_FAIL(logstore_consumer_heartbeat(one, &error), ERROR_CONFLICT);
    int64_t offset;
    MUST(logstore_committed(store, GROUP, ORDERS, 0, &offset, &error));
    assert_int_equal(offset, 5);
    settle((struct logstore_consumer *[]){one, other}, 2, 3); /* it has joined again by itself */
    MUST(logstore_consumer_leave(&one, &error) && logstore_consumer_leave(&other, &error));
    logstore_close(&store);
}

/* A process is killed while it is a member: nothing stays locked, and the others take over. */
static void test_a_killed_process_leaves_nothing_locked(void **state)
{
    (void)state;
    struct error error = {0};
    struct logstore *store = fixture_open(LOGSTORE_CREATE, LOGSTORE_FSYNC_NEVER);
    MUST(logstore_topic_create(store, ORDERS, 2, NULL, &error));
    append(store, 1);
    pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        (void)join(fixture_open(LOGSTORE_WRITE, LOGSTORE_FSYNC_NEVER));
        kill(getpid(), SIGKILL);
    }
    int status;
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFSIGNALED(status));
    struct logstore_consumer *consumer = join(store);
    settle(&consumer, 1, 2);
    assert_int_equal(logstore_consumer_assigned(consumer), 2);
    MUST(logstore_consumer_leave(&consumer, &error));
    logstore_close(&store);
}

/* Polls are judged by the same clock. */
static void test_the_poll_interval_goes_by_what_the_machine_ran(void **state)
{
    (void)state;
    struct error error = {0};
    struct logstore_consumer *consumer;
    struct logstore *store = store_with_member(&consumer);
    for (int i = 0; i < POLL_MS / 5000; i++) {
        pass(5000);
        wall_ms -= 7000;
        MUST(logstore_consumer_heartbeat(consumer, &error));
    }
    pass(1);
    MUST_FAIL(logstore_consumer_heartbeat(consumer, &error), ERROR_CONFLICT);
    logstore_consumer_abandon(&consumer);
    logstore_close(&store);
}

/* --- offsets ---------------------------------------------------------------------------------------------
 */

enum { RETENTION_MS = 3600000 };

static void commit(struct logstore *store, const char *group, uint32_t partition, int64_t offset)
{
    struct error error = {0};
    struct logstore_commit one = {ORDERS, partition, offset, STR_LITERAL("")};
    MUST(logstore_commit(store, str_of(group), &one, 1, &error));
}

/* -1: nothing. */
static int64_t committed(struct logstore *store, const char *group, uint32_t partition)
{
    struct error error = {0};
    int64_t offset;
    MUST(logstore_committed(store, str_of(group), ORDERS, partition, &offset, &error));
    return offset;
}

static void test_offsets_of_empty_groups_expire(void **state)
{
    (void)state;
    struct error error = {0};
    struct logstore_consumer *consumer;
    struct logstore *store = store_with_member(&consumer);
    MUST(logstore_set_offsets_retention(store, RETENTION_MS, &error));
    assert_int_equal(poll_once(consumer), LOGSTORE_POLL_NOTHING);
    MUST(logstore_consumer_commit(consumer, &error));
    commit(store, "empty", 0, 1);
    commit(store, "partly", 0, 1);
    pass(RETENTION_MS - 1);
    MUST(logstore_expire_offsets(store, &error));
    assert_int_equal(committed(store, "empty", 0), 1);
    assert_int_equal(committed(store, "partly", 0), 1);
    assert_int_equal(poll_once(consumer), LOGSTORE_POLL_NOTHING); /* it was away for long, and joins again */
    commit(store, "partly", 1, 2);
    pass(1);
    MUST(logstore_expire_offsets(store, &error));
    assert_int_equal(committed(store, "empty", 0), -1);
    assert_int_equal(committed(store, "partly", 0), -1);
    assert_int_equal(committed(store, "partly", 1), 2);
    assert_int_equal(committed(store, "billing", 0), 0);
    logstore_consumer_abandon(&consumer);
    logstore_close(&store);
}

/* Nobody calls for it: whoever fills a segment does it, once a minute. */
static void test_offsets_expire_where_records_are_appended(void **state)
{
    (void)state;
    struct error error = {0};
    struct logstore_config config = logstore_config_default();
    struct logstore *store = fixture_open(LOGSTORE_CREATE, LOGSTORE_FSYNC_NEVER);
    config.segment_bytes = 1024;
    MUST(logstore_topic_create(store, ORDERS, 2, &config, &error));
    MUST(logstore_set_offsets_retention(store, RETENTION_MS, &error));
    commit(store, "empty", 0, 1);
    pass(RETENTION_MS);
    for (int i = 0; i < 50; i++) {
        struct logstore_record record = fixture_record("key", "some forty bytes of value, or even some more");
        MUST(logstore_append(store, ORDERS, 0, &record, 1, NULL, &error));
    }
    assert_int_equal(committed(store, "empty", 0), -1);
    logstore_close(&store);
}

/* --- segments --------------------------------------------------------------------------------------------
 */

static int segments;

static int count_segment(const char *path, const struct stat *status, int type, struct FTW *walk)
{
    (void)status;
    (void)type;
    (void)walk;
    segments += strstr(path, ".log") != NULL;
    return 0;
}

/* A segment is full after segment.ms, too, however little is in it. */
static void test_a_segment_rolls_with_time(void **state)
{
    (void)state;
    struct error error = {0};
    struct logstore_config config = logstore_config_default();
    struct logstore *store = fixture_open(LOGSTORE_CREATE, LOGSTORE_FSYNC_NEVER);
    config.segment_ms = 50;
    MUST(logstore_topic_create(store, ORDERS, 1, &config, &error));
    for (int i = 1; i <= 3; i++) {
        append(store, 2);
        segments = 0;
        assert_int_equal(nftw(fixture_folder, count_segment, 16, FTW_PHYS), 0);
        assert_int_equal(segments, i);
        pass(60);
    }
    logstore_close(&store);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        TEST(test_setting_the_wall_clock_evicts_nobody),
        TEST(test_setting_the_wall_clock_keeps_nobody),
        TEST(test_a_machine_that_slept_has_its_members_still),
        TEST(test_nobody_outlives_a_boot),
        TEST(test_a_boot_is_noticed_without_its_id),
        TEST(test_a_member_that_is_silent_counts_as_gone),
        TEST(test_a_commit_of_an_old_generation_is_refused),
        TEST(test_a_killed_process_leaves_nothing_locked),
        TEST(test_the_poll_interval_goes_by_what_the_machine_ran),
        TEST(test_offsets_of_empty_groups_expire),
        TEST(test_offsets_expire_where_records_are_appended),
        TEST(test_a_segment_rolls_with_time),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
