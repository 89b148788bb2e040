#include "collectors/logstore/logstore_collector.h"
#include "exporter/base/clock.h"
#include "exporter/config.h"
#include "tests/lib/logstore_fixture.h"

/* What the collector makes of a store, and what it asks the files for. */

enum { PARTITIONS = 50, GROUPS = 4, RECORDS = 10 };

#define TOPIC STR_LITERAL("orders")

static long segments_opened, calls;

static int count_calls(void *context, struct fsio_step *step)
{
    (void)context;
    calls++;
    segments_opened += step->call == FSIO_OPEN && strstr(step->name, ".log") != NULL;
    return 0;
}

static const struct fsio_fault counting = {.before = count_calls};

static void append_and_commit(struct logstore *store)
{
    struct error error = {0};
    MUST(logstore_topic_create(store, TOPIC, PARTITIONS, NULL, &error));
    for (uint32_t p = 0; p < PARTITIONS; p++)
        for (int i = 0; i < RECORDS; i++) {
            struct logstore_record record = fixture_record("k", "v");
            record.timestamp = 1000000 * (int64_t)(p + 1) + i;
            MUST(logstore_append(store, TOPIC, p, &record, 1, NULL, &error));
        }
}

static void commit_all(struct logstore *store, int64_t offset)
{
    struct error error = {0};
    for (int g = 0; g < GROUPS; g++) {
        char name[32];
        snprintf(name, sizeof name, "group-%d", g);
        for (uint32_t p = 0; p < PARTITIONS; p++) {
            struct logstore_commit commit = {TOPIC, p, offset, STR_LITERAL("")};
            MUST(logstore_commit(store, str_of(name), &commit, 1, &error));
        }
    }
}

/* One poll: every group's next record is at `offset`, with its own timestamp. */
static void poll(struct collector *collector, int64_t offset)
{
    struct error error = {0};
    struct poll_report report = {0};
    segments_opened = calls = 0;
    fsio_fault = &counting;
    struct snapshot *snapshot = logstore_collector.poll(collector, &report, &error);
    fsio_fault = NULL;
    MUST(snapshot != NULL);
    assert_int_equal(report.first_error.code, ERROR_NONE);
    assert_int_equal(snapshot->position_count, PARTITIONS * GROUPS);
    for (uint32_t i = 0; i < snapshot->position_count; i++) {
        const struct snap_position *position = &snapshot->positions[i];
        int64_t expected = offset < RECORDS ? 1000000 * (int64_t)(position->partition + 1) + offset : UNKNOWN;
        assert_int_equal(position->committed, offset);
        assert_int_equal(position->next_ts, expected);
    }
    snapshot_free(&snapshot);
}

static void test_a_time_is_looked_up_once(void **state)
{
    (void)state;
    struct error error = {0};
    struct config config = config_default();
    struct source_config *source = config_add_source(&config, "logstore", "store", fixture_folder);
    struct logstore *store = fixture_open(LOGSTORE_CREATE, LOGSTORE_FSYNC_NEVER);
    append_and_commit(store);
    struct collector *collector = logstore_collector.open(source, &error);
    MUST(collector != NULL);
    commit_all(store, 5);
    poll(collector, 5);
    assert_int_equal(segments_opened, PARTITIONS); /* once for all groups */
    poll(collector, 5);
    assert_int_equal(segments_opened, 0);
    assert_true(calls < PARTITIONS); /* the rest has no call a partition or position either */
    commit_all(store, 6);
    poll(collector, 6);
    assert_int_equal(segments_opened, PARTITIONS);
    commit_all(store, 0); /* the first record: its time stands beside the offsets */
    poll(collector, 0);
    assert_int_equal(segments_opened, 0);
    commit_all(store, RECORDS);
    poll(collector, RECORDS);
    assert_int_equal(segments_opened, 0);
    logstore_collector.close(&collector);
    logstore_close(&store);
    config_free(&config);
}

/* The topic is made again: what was known of its predecessor's records says nothing. */
static void test_a_topic_made_again_has_other_times(void **state)
{
    (void)state;
    struct error error = {0};
    struct config config = config_default();
    struct source_config *source = config_add_source(&config, "logstore", "store", fixture_folder);
    struct logstore *store = fixture_open(LOGSTORE_CREATE, LOGSTORE_FSYNC_NEVER);
    struct collector *collector = logstore_collector.open(source, &error);
    MUST(collector != NULL);
    for (int round = 0; round < 2; round++) {
        append_and_commit(store);
        commit_all(store, 5);
        poll(collector, 5);
        assert_int_equal(segments_opened, PARTITIONS);
        MUST(logstore_topic_delete(store, TOPIC, &error));
    }
    logstore_collector.close(&collector);
    logstore_close(&store);
    config_free(&config);
}

/* The timestamp of the first record at or after the offset. */
static int64_t time_in_store(struct logstore *store, int64_t offset)
{
    struct error error = {0};
    struct logstore_record record;
    struct logstore_reader *reader = logstore_reader_open(store, TOPIC, 0, offset, &error);
    MUST(reader != NULL);
    MUST(logstore_read(reader, &record, &error) == LOGSTORE_READ_RECORD);
    int64_t timestamp = record.timestamp;
    logstore_reader_close(&reader);
    return timestamp;
}

/* What the collector says of the only position there is. */
static int64_t next_time(struct collector *collector)
{
    struct error error = {0};
    struct poll_report report = {0};
    struct snapshot *snapshot = logstore_collector.poll(collector, &report, &error);
    MUST(snapshot != NULL);
    assert_int_equal(report.first_error.code, ERROR_NONE);
    assert_int_equal(snapshot->position_count, 1);
    int64_t timestamp = snapshot->positions[0].next_ts;
    snapshot_free(&snapshot);
    return timestamp;
}

/* Compaction takes the record that a commit leads to, so that it leads to a later one. */
static void test_a_time_that_compaction_changes(void **state)
{
    (void)state;
    struct error error = {0};
    struct config config = config_default();
    struct source_config *source = config_add_source(&config, "logstore", "store", fixture_folder);
    struct logstore *store = fixture_open(LOGSTORE_CREATE, LOGSTORE_FSYNC_NEVER);
    struct logstore_config compacted = logstore_config_default();
    MUST(logstore_config_set(&compacted, STR_LITERAL("cleanup.policy"), STR_LITERAL("compact"), &error));
    MUST(logstore_config_set(&compacted, STR_LITERAL("segment.bytes"), STR_LITERAL("4000"), &error));
    MUST(logstore_config_set(&compacted, STR_LITERAL("min.compaction.lag.ms"), STR_LITERAL("3600000"),
                             &error));
    MUST(logstore_topic_create(store, TOPIC, 1, &compacted, &error));
    int64_t begun = clock_wall_ms() - 60000; /* old enough, once the minimum lag is taken back */
    for (int i = 0; i < 400; i++) {
        struct logstore_record record = fixture_record("k", "v");
        record.timestamp = begun + i;
        MUST(logstore_append(store, TOPIC, 0, &record, 1, NULL, &error));
    }
    struct logstore_commit commit = {TOPIC, 0, 5, STR_LITERAL("")};
    MUST(logstore_commit(store, STR_LITERAL("group"), &commit, 1, &error));
    struct collector *collector = logstore_collector.open(source, &error);
    MUST(collector != NULL);
    assert_int_equal(next_time(collector), begun + 5);
    compacted.min_compaction_lag_ms = 0;
    MUST(logstore_topic_alter(store, TOPIC, &compacted, &error));
    MUST(logstore_compact(store, TOPIC, NULL, &error));
    int64_t expected = time_in_store(store, 5);
    assert_true(expected > begun + 5);
    assert_int_equal(next_time(collector), expected);
    logstore_collector.close(&collector);
    logstore_close(&store);
    config_free(&config);
}

/* One member says who it is, the other doesn't and is told from others by its id. */
static void test_members_are_listed(void **state)
{
    (void)state;
    struct error error = {0};
    struct config config = config_default();
    struct source_config *source = config_add_source(&config, "logstore", "store", fixture_folder);
    struct logstore *store = fixture_open(LOGSTORE_CREATE, LOGSTORE_FSYNC_NEVER);
    const struct str topic = TOPIC;
    const struct logstore_consumer_options named = {.client_id = STR_LITERAL("<b>worker")}, nameless = {0};
    MUST(logstore_topic_create(store, TOPIC, 1, NULL, &error));
    struct logstore_consumer *first =
        logstore_consumer_join(store, STR_LITERAL("group"), &topic, 1, &named, &error);
    MUST(first != NULL);
    struct logstore_consumer *second =
        logstore_consumer_join(store, STR_LITERAL("group"), &topic, 1, &nameless, &error);
    MUST(second != NULL);
    struct collector *collector = logstore_collector.open(source, &error);
    MUST(collector != NULL);
    struct poll_report report = {0};
    struct snapshot *snapshot = logstore_collector.poll(collector, &report, &error);
    MUST(snapshot != NULL);
    char host[256] = "";
    MUST(gethostname(host, sizeof host - 1) == 0);
    struct str rest = snapshot->groups[0].member_list;
    struct member member;
    assert_int_equal(snapshot->groups[0].members, 2);
    assert_true(member_list_next(&rest, &member));
    assert_true(str_equal(member.client_id, STR_LITERAL("<b>worker")));
    assert_true(member.assigned == UNKNOWN); /* the second came, and the first hasn't polled since */
    assert_true(str_equal(member.host, str_of(host)));
    assert_true(member_list_next(&rest, &member));
    assert_int_equal(member.client_id.length, strlen("-0123456789abcdef"));
    assert_true(str_equal(member.host, str_of(host)));
    assert_false(member_list_next(&rest, &member));
    snapshot_free(&snapshot);
    logstore_collector.close(&collector);
    MUST(logstore_consumer_leave(&second, &error));
    MUST(logstore_consumer_leave(&first, &error));
    logstore_close(&store);
    config_free(&config);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, fixture_setup, fixture_teardown)
    const struct CMUnitTest tests[] = {
        TEST(test_a_time_is_looked_up_once),
        TEST(test_a_topic_made_again_has_other_times),
        TEST(test_a_time_that_compaction_changes),
        TEST(test_members_are_listed),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
