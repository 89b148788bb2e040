#include "tests/lib/logstore_fixture.h"

#define GROUP STR_LITERAL("billing")

static const struct str ORDERS = {"orders", 6}, RETURNS = {"returns", 7};

static struct logstore *store_with_topics(uint32_t orders, uint32_t returns)
{
    struct error error = {0};
    struct logstore *store = fixture_open(LOGSTORE_CREATE, LOGSTORE_FSYNC_NEVER);
    MUST(logstore_topic_create(store, ORDERS, orders, NULL, &error));
    if (returns > 0)
        MUST(logstore_topic_create(store, RETURNS, returns, NULL, &error));
    return store;
}

static struct logstore_consumer *join(struct logstore *store, const struct str *topics, size_t count,
                                      enum logstore_assignor assignor)
{
    struct error error = {0};
    struct logstore_consumer_options options = {.client_id = STR_LITERAL("test"), .assignor = assignor};
    struct logstore_consumer *consumer =
        logstore_consumer_join(store, GROUP, topics, count, &options, &error);
    MUST(consumer != NULL);
    return consumer;
}

/* Lets all members poll until they are in the generation. Records are passed over. */
static void settle(struct logstore_consumer **consumers, size_t count, int64_t generation)
{
    struct error error = {0};
    for (int tries = 0; tries < 2000; tries++) {
        size_t there = 0;
        for (size_t i = 0; i < count; i++) {
            struct logstore_record record;
            struct logstore_source source;
            MUST(logstore_consumer_poll(consumers[i], 1, &record, &source, &error) != LOGSTORE_POLL_FAILED);
            there += logstore_consumer_generation(consumers[i]) == generation;
        }
        if (there == count)
            return;
    }
    fail_msg("generation %lld never came", (long long)generation);
}

static void leave(struct logstore_consumer **consumer)
{
    struct error error = {0};
    MUST(logstore_consumer_leave(consumer, &error));
}

/* What an observer from outside sees of the only group. */
static struct logstore_observed_group observe(struct logstore_observer **observer, uint32_t *assigned)
{
    struct error error = {0};
    const struct logstore_observed_topic *topics;
    const struct logstore_observed_group *groups;
    size_t count;
    if (*observer == NULL)
        *observer = logstore_observer_open(fixture_folder, &error);
    MUST(*observer != NULL);
    MUST(logstore_observe_topics(*observer, &topics, &count, &error));
    MUST(logstore_observe_groups(*observer, &groups, &count, &error));
    assert_int_equal(count, 1);
    *assigned = 0;
    for (size_t i = 0; i < groups[0].member_count; i++)
        *assigned += groups[0].members[i].assigned;
    return groups[0];
}

static void append(struct logstore *store, struct str topic, uint32_t partition, int count)
{
    struct error error = {0};
    struct logstore_record record = fixture_record("k", "v");
    for (int i = 0; i < count; i++)
        MUST(logstore_append(store, topic, partition, &record, 1, NULL, &error));
}

static void test_members_share_the_partitions(void **state)
{
    (void)state;
    struct logstore *store = store_with_topics(7, 0);
    struct logstore_consumer *members[3];
    for (size_t i = 0; i < 3; i++) {
        members[i] = join(store, &ORDERS, 1, LOGSTORE_ASSIGN_RANGE);
        settle(members, i + 1, (int64_t)i + 1);
    }
    assert_int_equal(logstore_consumer_assigned(members[0]), 3);
    assert_int_equal(logstore_consumer_assigned(members[1]), 2);
    assert_int_equal(logstore_consumer_assigned(members[2]), 2);
    leave(&members[0]);
    settle(members + 1, 2, 4);
    assert_int_equal(logstore_consumer_assigned(members[1]), 4);
    struct logstore_observer *observer = NULL;
    uint32_t assigned;
    struct logstore_observed_group group = observe(&observer, &assigned);
    assert_int_equal(group.state, LOGSTORE_GROUP_STABLE);
    assert_int_equal(group.generation, 4);
    assert_int_equal(group.member_count, 2);
    assert_int_equal(group.empty_since, -1);
    assert_int_equal(assigned, 7);
    assert_true(str_equal(group.members[0].client_id, STR_LITERAL("test")));
    assert_int_equal(group.members[0].session_timeout_ms, 45000);
    leave(&members[1]);
    leave(&members[2]);
    group = observe(&observer, &assigned);
    assert_int_equal(group.state, LOGSTORE_GROUP_EMPTY);
    assert_int_equal(group.generation, 5); /* the last two left in one rebalance */
    assert_int_equal(group.member_count, 0);
    assert_true(group.empty_since > 1500000000000);
    logstore_observer_close(&observer);
    logstore_close(&store);
}

/* Two topics of three partitions and two members: range gives each topic's first two to one, round-robin
 * deals them out. */
static void test_the_assignors_are_kafkas(void **state)
{
    (void)state;
    const struct str topics[] = {ORDERS, RETURNS};
    struct logstore *store = store_with_topics(3, 3);
    for (int assignor = 0; assignor < 2; assignor++) {
        struct logstore_consumer *members[2];
        for (int i = 0; i < 2; i++)
            members[i] = join(store, topics, 2, (enum logstore_assignor)assignor);
        settle(members, 2, assignor == 0 ? 2 : 5);
        assert_int_equal(logstore_consumer_assigned(members[0]), assignor == 0 ? 4 : 3);
        leave(&members[0]);
        leave(&members[1]);
    }
    logstore_close(&store);
}

static void test_more_members_than_partitions(void **state)
{
    (void)state;
    struct logstore *store = store_with_topics(1, 0);
    struct logstore_consumer *members[2];
    for (int i = 0; i < 2; i++)
        members[i] = join(store, &ORDERS, 1, LOGSTORE_ASSIGN_ROUND_ROBIN);
    settle(members, 2, 2);
    assert_int_equal(logstore_consumer_assigned(members[0]), 1);
    assert_int_equal(logstore_consumer_assigned(members[1]), 0);
    leave(&members[0]);
    settle(members + 1, 1, 3);
    assert_int_equal(logstore_consumer_assigned(members[1]), 1);
    leave(&members[1]);
    logstore_close(&store);
}

/* Reads `count` records that must be there. */
static void read_some(struct logstore_consumer *consumer, int count)
{
    struct error error = {0};
    struct logstore_record record;
    struct logstore_source source;
    for (int i = 0; i < count; i++)
        MUST(logstore_consumer_poll(consumer, 1000, &record, &source, &error) == LOGSTORE_POLL_RECORD);
}

static void test_the_next_member_goes_on_where_the_last_commit_was(void **state)
{
    (void)state;
    struct error error = {0};
    struct logstore *store = store_with_topics(1, 0);
    append(store, ORDERS, 0, 10);
    struct logstore_consumer *consumer = join(store, &ORDERS, 1, LOGSTORE_ASSIGN_RANGE);
    read_some(consumer, 4);
    MUST(logstore_consumer_commit(consumer, &error));
    read_some(consumer, 3);
    leave(&consumer);
    consumer = join(store, &ORDERS, 1, LOGSTORE_ASSIGN_RANGE);
    struct logstore_record record;
    struct logstore_source source;
    MUST(logstore_consumer_poll(consumer, 1000, &record, &source, &error) == LOGSTORE_POLL_RECORD);
    assert_int_equal(record.offset, 4);
    assert_true(str_equal(source.topic, ORDERS));
    struct logstore_commit commit = {ORDERS, 0, 1, STR_LITERAL("")};
    MUST_FAIL(logstore_commit(store, GROUP, &commit, 1, &error), ERROR_CONFLICT);
    MUST(logstore_consumer_seek(consumer, ORDERS, 0, 9, &error));
    MUST(logstore_consumer_poll(consumer, 1000, &record, &source, &error) == LOGSTORE_POLL_RECORD);
    assert_int_equal(record.offset, 9);
    MUST_FAIL(logstore_consumer_seek(consumer, ORDERS, 1, 9, &error), ERROR_NOT_FOUND);
    leave(&consumer);
    MUST(logstore_commit(store, GROUP, &commit, 1, &error));
    logstore_close(&store);
}

static void test_partitions_and_topics_that_come_later_are_assigned(void **state)
{
    (void)state;
    struct error error = {0};
    const struct str topics[] = {ORDERS, RETURNS};
    struct logstore *store = store_with_topics(2, 0);
    struct logstore_consumer *consumer = join(store, topics, 2, LOGSTORE_ASSIGN_RANGE);
    settle(&consumer, 1, 1);
    MUST(logstore_topic_grow(store, ORDERS, 5, &error));
    settle(&consumer, 1, 2);
    assert_int_equal(logstore_consumer_assigned(consumer), 5);
    MUST(logstore_topic_create(store, RETURNS, 3, NULL, &error));
    settle(&consumer, 1, 3);
    assert_int_equal(logstore_consumer_assigned(consumer), 8);
    MUST(logstore_topic_delete(store, ORDERS, &error));
    settle(&consumer, 1, 4);
    assert_int_equal(logstore_consumer_assigned(consumer), 3);
    leave(&consumer);
    logstore_close(&store);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, fixture_setup, fixture_teardown)
    const struct CMUnitTest tests[] = {
        TEST(test_members_share_the_partitions),
        TEST(test_the_assignors_are_kafkas),
        TEST(test_more_members_than_partitions),
        TEST(test_the_next_member_goes_on_where_the_last_commit_was),
        TEST(test_partitions_and_topics_that_come_later_are_assigned),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
