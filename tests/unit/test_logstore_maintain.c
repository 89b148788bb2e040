
#include "exporter/base/clock.h"
#include "tests/lib/logstore_fixture.h"

#include <errno.h>

#define TOPIC STR_LITERAL("t")

static struct logstore *store_with(const char *const settings[][2], size_t count)
{
    struct error error = {0};
    struct logstore *store = fixture_open(LOGSTORE_CREATE, LOGSTORE_FSYNC_NEVER);
    struct logstore_config config = logstore_config_default();
    for (size_t i = 0; i < count; i++)
        MUST(logstore_config_set(&config, str_of(settings[i][0]), str_of(settings[i][1]), &error));
    MUST(logstore_topic_create(store, TOPIC, 1, &config, &error));
    return store;
}

static void append_at(struct logstore *store, const char *key, const char *value, int64_t timestamp)
{
    struct error error = {0};
    struct logstore_record record = fixture_record(key, value);
    record.timestamp = timestamp;
    MUST(logstore_append(store, TOPIC, 0, &record, 1, NULL, &error));
}

static void check_range(struct logstore *store, int64_t start, int64_t end)
{
    struct error error = {0};
    int64_t found_start, found_end;
    MUST(logstore_offsets(store, TOPIC, 0, &found_start, &found_end, &error));
    assert_int_equal(found_start, start);
    assert_int_equal(found_end, end);
}

static int64_t first_offset(struct logstore *store)
{
    struct error error = {0};
    int64_t start, end;
    MUST(logstore_offsets(store, TOPIC, 0, &start, &end, &error));
    return start;
}

static void test_settings_are_checked(void **state)
{
    (void)state;
    struct error error = {0};
    struct logstore_config config = logstore_config_default();
    static const char *const WRONG[][2] = {
        {"retention.ms", "-2"},
        {"retention.ms", "1h"},
        {"retention.ms", ""},
        {"segment.bytes", "10"},
        {"cleanup.policy", "archive"},
        {"retention", "1"},
        {"segment.ms", "99999999999999999999"},
        {"max.message.bytes", "1-"},
    };
    for (size_t i = 0; i < sizeof WRONG / sizeof WRONG[0]; i++)
        MUST_FAIL(logstore_config_set(&config, str_of(WRONG[i][0]), str_of(WRONG[i][1]), &error),
                  ERROR_USAGE);
    MUST(logstore_config_set(&config, STR_LITERAL("cleanup.policy"), STR_LITERAL("compact,delete"), &error));
    assert_int_equal(config.cleanup_policy, 3);
    for (size_t i = 0; i < 8; i++)
        assert_non_null(logstore_config_name(i));
    assert_null(logstore_config_name(8));
}

/* Records of a day ago in many segments, and a few of now. */
static void test_retention_by_time(void **state)
{
    (void)state;
    struct error error = {0};
    static const char *const SETTINGS[][2] = {{"retention.ms", "3600000"}, {"segment.bytes", "1024"}};
    struct logstore *store = store_with(SETTINGS, 1);
    int64_t now = clock_wall_ms();
    struct logstore_config config = logstore_config_default();
    config.segment_bytes = 1024;
    config.retention_ms = -1;
    MUST(logstore_topic_alter(store, TOPIC, &config, &error));
    for (int i = 0; i < 100; i++)
        append_at(store, "k", "value", i < 70 ? now - 86400000 : now);
    MUST(logstore_retain(store, TOPIC, NULL, &error));
    check_range(store, 0, 100);
    config.retention_ms = 3600000;
    MUST(logstore_topic_alter(store, TOPIC, &config, &error));
    struct logstore_reader *reader = logstore_reader_open(store, TOPIC, 0, 0, &error);
    MUST(reader != NULL);
    struct logstore_record record;
    MUST(logstore_read(reader, &record, &error) == LOGSTORE_READ_RECORD);
    MUST(logstore_retain(store, TOPIC, NULL, &error));
    int64_t start = first_offset(store);
    assert_true(start > 50 && start <= 70);
    /* A reader that stands in what was deleted is told so when it comes to the end of what it holds open. */
    enum logstore_read read;
    while ((read = logstore_read(reader, &record, &error)) == LOGSTORE_READ_RECORD)
        assert_true(record.offset < 70);
    assert_int_equal(read, LOGSTORE_READ_FAILED);
    assert_int_equal(error.code, ERROR_NOT_FOUND);
    error_clear(&error);
    logstore_reader_seek(reader, start);
    for (int64_t i = start; i < 100; i++) {
        MUST(logstore_read(reader, &record, &error) == LOGSTORE_READ_RECORD);
        assert_int_equal(record.offset, i);
    }
    logstore_reader_close(&reader);
    logstore_close(&store);
}

/* One that goes to another segment than the one it holds open is told too, as is one whose topic went. */
static void test_a_reader_that_seeks_is_told_of_retention(void **state)
{
    (void)state;
    struct error error = {0};
    static const char *const SETTINGS[][2] = {{"retention.ms", "-1"}, {"segment.bytes", "1024"}};
    struct logstore *store = store_with(SETTINGS, 2);
    struct logstore_record record;
    struct logstore_topic topic;
    for (int i = 0; i < 100; i++)
        append_at(store, "k", "value", 1 + i);
    struct logstore_reader *reader = logstore_reader_open(store, TOPIC, 0, 0, &error);
    MUST(reader != NULL && logstore_read(reader, &record, &error) == LOGSTORE_READ_RECORD);
    MUST(logstore_topic_find(store, TOPIC, &topic, &error));
    topic.config.retention_bytes = 1000;
    MUST(logstore_topic_alter(store, TOPIC, &topic.config, &error));
    MUST(logstore_retain(store, TOPIC, NULL, &error));
    assert_true(first_offset(store) > 60);
    logstore_reader_seek(reader, 40);
    MUST_FAIL(logstore_read(reader, &record, &error) != LOGSTORE_READ_FAILED, ERROR_NOT_FOUND);
    assert_int_equal(logstore_reader_offset(reader), 40);
    MUST(logstore_topic_delete(store, TOPIC, &error));
    MUST_FAIL(logstore_read(reader, &record, &error) != LOGSTORE_READ_FAILED, ERROR_NOT_FOUND);
    logstore_reader_close(&reader);
    logstore_close(&store);
}

/* All that there is, the active segment too, is too old; what comes then has the next offset. */
static void test_retention_of_everything(void **state)
{
    (void)state;
    struct error error = {0};
    static const char *const SETTINGS[][2] = {{"retention.ms", "1000"}, {"segment.bytes", "1024"}};
    struct logstore *store = store_with(SETTINGS, 2);
    for (int i = 0; i < 30; i++)
        append_at(store, "k", "value", 1000 + i);
    MUST(logstore_retain(store, TOPIC, NULL, &error));
    check_range(store, 30, 30);
    struct logstore_observer *observer = logstore_observer_open(fixture_folder, &error);
    const struct logstore_observed_topic *topics;
    size_t count;
    MUST(observer != NULL && logstore_observe_topics(observer, &topics, &count, &error));
    assert_int_equal(topics[0].partitions[0].start, 30);
    assert_int_equal(topics[0].partitions[0].start_timestamp, -1);
    append_at(store, "k", "value", 5000000);
    MUST(logstore_observe_topics(observer, &topics, &count, &error));
    assert_int_equal(topics[0].partitions[0].start_timestamp, 5000000);
    logstore_observer_close(&observer);
    check_range(store, 30, 31);
    logstore_close(&store);
}

/* Appends themselves keep the size in bounds. */
static void test_retention_by_size_happens_when_segments_roll(void **state)
{
    (void)state;
    static const char *const SETTINGS[][2] = {{"retention.bytes", "10000"}, {"segment.bytes", "2000"}};
    struct logstore *store = store_with(SETTINGS, 2);
    for (int i = 0; i < 1000; i++)
        append_at(store, "k", "value", clock_wall_ms());
    int64_t start = first_offset(store);
    assert_true(start > 820 && start < 940); /* some 77 bytes each: between 10,000 and 12,000 remain */
    logstore_close(&store);
}

/* The latest value of each of five keys by the log; "-" for a tombstone. */
static size_t read_latest(struct logstore *store, char latest[5][16], int64_t *last)
{
    struct error error = {0};
    struct logstore_record record;
    struct logstore_reader *reader = logstore_reader_open(store, TOPIC, 0, 0, &error);
    MUST(reader != NULL);
    size_t count = 0;
    *last = -1;
    enum logstore_read read;
    while ((read = logstore_read(reader, &record, &error)) == LOGSTORE_READ_RECORD) {
        assert_true(record.offset > *last);
        *last = record.offset;
        int key = record.key.bytes[0] - '0';
        memset(latest[key], 0, 16);
        snprintf(latest[key], 16, "%.*s", record.value.bytes == NULL ? 1 : (int)record.value.length,
                 record.value.bytes == NULL ? "-" : record.value.bytes);
        count++;
    }
    MUST(read == LOGSTORE_READ_END);
    logstore_reader_close(&reader);
    return count;
}

/* Nobody calls for it. */
static void test_compaction_happens_when_segments_roll(void **state)
{
    (void)state;
    static const char *const SETTINGS[][2] = {{"cleanup.policy", "compact"}, {"segment.bytes", "2000"}};
    char latest[5][16];
    int64_t last;
    struct logstore *store = store_with(SETTINGS, 2);
    for (int i = 0; i < 1000; i++) {
        const char key[] = {(char)('0' + i % 5), '\0'};
        append_at(store, key, "value", clock_wall_ms());
    }
    assert_true(read_latest(store, latest, &last) < 300);
    assert_int_equal(last, 999);
    logstore_close(&store);
}

static void test_compaction_keeps_the_latest_of_each_key(void **state)
{
    (void)state;
    struct error error = {0};
    static const char *const SETTINGS[][2] = {{"cleanup.policy", "compact"},
                                              {"segment.bytes", "2000"},
                                              {"delete.retention.ms", "300"},
                                              {"min.compaction.lag.ms", "36000000"}};
    struct logstore *store = store_with(SETTINGS, 4);
    struct logstore_topic topic;
    int64_t now = clock_wall_ms(), last, last_after;
    char before[5][16] = {{0}}, after[5][16] = {{0}};
    for (int i = 0; i < 500; i++) {
        char key[2] = {(char)('0' + i % 5), 0}, value[16];
        snprintf(value, sizeof value, "%d", i);
        if (i % 5 != 4 || i < 300) /* the last key is deleted on the way */
            append_at(store, key, i % 5 == 4 && i == 299 ? NULL : value, now - 7200000);
    }
    size_t all = read_latest(store, before, &last);
    assert_int_equal(all, 460);
    assert_string_equal(before[4], "-");
    MUST(logstore_compact(store, TOPIC, NULL, &error));
    assert_int_equal(read_latest(store, before, &last), 460); /* it was too young, until now */
    MUST(logstore_topic_find(store, TOPIC, &topic, &error));
    topic.config.min_compaction_lag_ms = 3600000;
    MUST(logstore_topic_alter(store, TOPIC, &topic.config, &error));
    MUST(logstore_compact(store, TOPIC, NULL, &error));
    size_t some = read_latest(store, after, &last_after);
    assert_true(some < 60); /* those of the active segment, and one a key */
    assert_int_equal(last, last_after);
    assert_memory_equal(before, after, sizeof before);
    check_range(store, 0, 460);
    usleep(350000);
    for (int i = 0; i < 2; i++)
        MUST(logstore_compact(store, TOPIC, NULL, &error));
    strcpy(after[4], "gone");
    read_latest(store, after, &last_after);
    assert_string_equal(after[4], "gone");
    /* Every offset can be asked for, though most are no more. */
    for (int64_t offset = 0; offset < 460; offset += 7) {
        struct logstore_record record;
        struct logstore_reader *reader = logstore_reader_open(store, TOPIC, 0, offset, &error);
        MUST(reader != NULL && logstore_read(reader, &record, &error) == LOGSTORE_READ_RECORD);
        assert_true(record.offset >= offset);
        logstore_reader_close(&reader);
    }
    int64_t offset;
    MUST(logstore_offset_for_time(store, TOPIC, 0, 1, &offset, &error));
    append_at(store, "0", "new", now);
    check_range(store, 0, 461);
    logstore_close(&store);
}

static void test_tombstones_may_stay_for_ever(void **state)
{
    (void)state;
    struct error error = {0};
    static const char *const SETTINGS[][2] = {{"cleanup.policy", "compact"},
                                              {"segment.bytes", "1024"},
                                              {"delete.retention.ms", "9223372036854775807"}};
    struct logstore *store = store_with(SETTINGS, 3);
    char latest[5][16] = {{0}};
    int64_t last;
    append_at(store, "1", NULL, clock_wall_ms());
    for (int i = 0; i < 50; i++)
        append_at(store, "0", "x", clock_wall_ms());
    for (int i = 0; i < 3; i++)
        MUST(logstore_compact(store, TOPIC, NULL, &error));
    read_latest(store, latest, &last);
    assert_string_equal(latest[1], "-");
    logstore_close(&store);
}

/* What is younger than min.compaction.lag.ms stays, as does all in the active segment. */
static void test_compaction_leaves_what_is_young(void **state)
{
    (void)state;
    struct error error = {0};
    static const char *const SETTINGS[][2] = {
        {"cleanup.policy", "compact"}, {"segment.bytes", "2000"}, {"min.compaction.lag.ms", "3600000"}};
    struct logstore *store = store_with(SETTINGS, 3);
    char latest[5][16];
    int64_t last;
    for (int i = 0; i < 200; i++)
        append_at(store, "0", "x", clock_wall_ms());
    MUST(logstore_compact(store, TOPIC, NULL, &error));
    assert_int_equal(read_latest(store, latest, &last), 200);
    logstore_close(&store);
}

struct told {
    int64_t offsets;
    int times;
};

static void tell(void *context, int64_t offsets)
{
    struct told *told = context;
    assert_true(offsets > 0);
    told->offsets += offsets;
    told->times++;
}

/* Each offset once, in many pieces where there is much to do; the second time there is nothing left to be
 * done. */
static void check_watched(struct logstore *store,
                          bool (*work)(struct logstore *store, struct str topic,
                                       const struct logstore_watcher *watcher, struct error *error),
                          int64_t records)
{
    struct error error = {0};
    for (int i = 0; i < 2; i++) {
        struct told told = {0};
        const struct logstore_watcher watcher = {tell, &told};
        int64_t start = first_offset(store);
        MUST(work(store, TOPIC, &watcher, &error));
        assert_int_equal(told.offsets, records - start);
        assert_true(i == 1 || told.times > 10);
    }
}

static void test_compaction_tells_how_far_it_is(void **state)
{
    (void)state;
    static const char *const SETTINGS[][2] = {
        {"cleanup.policy", "compact"}, {"segment.bytes", "2000"}, {"min.compaction.lag.ms", "36000000"}};
    struct error error = {0};
    struct logstore *store = store_with(SETTINGS, 3);
    struct logstore_topic topic;
    char key[2] = {0};
    for (int i = 0; i < 501; i++) {
        key[0] = (char)('0' + i % 5);
        append_at(store, key, "value", clock_wall_ms());
    }
    MUST(logstore_topic_find(store, TOPIC, &topic, &error));
    topic.config.min_compaction_lag_ms = 0;
    MUST(logstore_topic_alter(store, TOPIC, &topic.config, &error));
    check_watched(store, logstore_compact, 501);
    logstore_close(&store);
}

static void test_retention_tells_how_far_it_is(void **state)
{
    (void)state;
    static const char *const SETTINGS[][2] = {{"segment.bytes", "1024"}, {"retention.ms", "-1"}};
    struct error error = {0};
    struct logstore *store = store_with(SETTINGS, 2);
    struct logstore_topic topic;
    int64_t now = clock_wall_ms();
    for (int i = 0; i < 501; i++)
        append_at(store, "k", "value", i < 250 ? now - 86400000 : now);
    MUST(logstore_topic_find(store, TOPIC, &topic, &error));
    topic.config.retention_ms = 3600000;
    MUST(logstore_topic_alter(store, TOPIC, &topic.config, &error));
    check_watched(store, logstore_retain, 501);
    assert_true(first_offset(store) > 200);
    logstore_close(&store);
}

/* A reader is in the midst of a segment that compaction replaces. */
static void test_a_reader_goes_on_through_compaction(void **state)
{
    (void)state;
    struct error error = {0};
    static const char *const SETTINGS[][2] = {
        {"cleanup.policy", "compact"}, {"segment.bytes", "4000"}, {"min.compaction.lag.ms", "3600000"}};
    struct logstore *store = store_with(SETTINGS, 3);
    struct logstore_topic topic;
    for (int i = 0; i < 400; i++)
        append_at(store, "0", "value", clock_wall_ms());
    MUST(logstore_topic_find(store, TOPIC, &topic, &error));
    topic.config.min_compaction_lag_ms = 0;
    MUST(logstore_topic_alter(store, TOPIC, &topic.config, &error));
    struct logstore_reader *reader = logstore_reader_open(store, TOPIC, 0, 0, &error);
    MUST(reader != NULL);
    struct logstore_record record;
    for (int i = 0; i < 20; i++)
        MUST(logstore_read(reader, &record, &error) == LOGSTORE_READ_RECORD);
    MUST(logstore_compact(store, TOPIC, NULL, &error));
    enum logstore_read read;
    int64_t last = record.offset;
    while ((read = logstore_read(reader, &record, &error)) == LOGSTORE_READ_RECORD) {
        assert_true(record.offset > last);
        last = record.offset;
    }
    MUST(read == LOGSTORE_READ_END);
    assert_int_equal(last, 399);
    logstore_reader_close(&reader);
    logstore_close(&store);
}

/* A process dies before it writes the slot that tells of what it appended. */
static int die_at_the_slot(void *context, struct fsio_step *step)
{
    (void)context;
    if (step->call != FSIO_WRITE || strcmp(step->name, "partitions") != 0)
        return 0;
    step->count = 0;
    return EIO;
}

/* Batches that took three segments were never acknowledged; the log then goes on in the first of them with
 * smaller ones, past the offsets at which the others begin. */
static void test_segments_that_were_begun_in_vain_are_no_part_of_the_log(void **state)
{
    (void)state;
    enum { COUNT = 30, LATER = 60 };
    static const struct fsio_fault death = {die_at_the_slot, NULL, 0};
    static const char *const SETTINGS[][2] = {{"segment.bytes", "1024"},
                                              {"max.message.bytes", "1024"},
                                              {"retention.ms", "-1"},
                                              {"retention.bytes", "1000000"}};
    struct error error = {0};
    struct logstore *store = store_with(SETTINGS, 4);
    struct logstore_record records[COUNT], record;
    for (int i = 0; i < COUNT; i++)
        records[i] = fixture_record("key", "a value that takes many more bytes than one of a few letters");
    append_at(store, "k", "v", 1);
    fsio_fault = &death;
    MUST_FAIL(logstore_append(store, TOPIC, 0, records, COUNT, NULL, &error), ERROR_IO);
    fsio_fault = NULL;
    for (int i = 1; i < LATER; i++)
        append_at(store, "k", "v", 1 + i);
    for (int64_t offset = 0; offset < LATER; offset++) {
        struct logstore_reader *reader = logstore_reader_open(store, TOPIC, 0, offset, &error);
        MUST(reader != NULL && logstore_read(reader, &record, &error) == LOGSTORE_READ_RECORD);
        assert_int_equal(record.offset, offset);
        assert_int_equal(record.timestamp, 1 + offset);
        logstore_reader_close(&reader);
    }
    MUST(logstore_retain(store, TOPIC, NULL, &error));
    check_range(store, 0, LATER);
    logstore_close(&store);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, fixture_setup, fixture_teardown)
    const struct CMUnitTest tests[] = {
        TEST(test_settings_are_checked),
        TEST(test_retention_by_time),
        TEST(test_a_reader_that_seeks_is_told_of_retention),
        TEST(test_retention_of_everything),
        TEST(test_retention_by_size_happens_when_segments_roll),
        TEST(test_compaction_happens_when_segments_roll),
        TEST(test_compaction_keeps_the_latest_of_each_key),
        TEST(test_tombstones_may_stay_for_ever),
        TEST(test_compaction_leaves_what_is_young),
        TEST(test_compaction_tells_how_far_it_is),
        TEST(test_retention_tells_how_far_it_is),
        TEST(test_a_reader_goes_on_through_compaction),
        TEST(test_segments_that_were_begun_in_vain_are_no_part_of_the_log),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
