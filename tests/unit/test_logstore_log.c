#include "logstore/batch.h"
#include "logstore/head.h"
#include "tests/lib/logstore_fixture.h"

#include <fcntl.h>
#include <sys/stat.h>

#define TOPIC STR_LITERAL("orders")

static struct logstore *store_with_topic(uint32_t partitions, int64_t segment_bytes)
{
    struct error error = {0};
    struct logstore *store = fixture_open(LOGSTORE_CREATE, LOGSTORE_FSYNC_NEVER);
    struct logstore_config config = logstore_config_default();
    config.segment_bytes = segment_bytes;
    config.retention_ms = -1; /* the timestamps are of 1970 */
    MUST(logstore_topic_create(store, TOPIC, partitions, &config, &error));
    return store;
}

/* Appends `count` records whose values are their numbers from `first` on. */
static void append_numbers(struct logstore *store, int64_t first, size_t count)
{
    struct error error = {0};
    char(*values)[32] = calloc(count, sizeof *values);
    struct logstore_record *records = calloc(count, sizeof *records);
    if (values == NULL || records == NULL)
        abort();
    for (size_t i = 0; i < count; i++) {
        snprintf(values[i], sizeof values[i], "value %lld", (long long)first + (long long)i);
        records[i] = fixture_record("key", values[i]);
        records[i].timestamp = 1000000 + first + (int64_t)i;
    }
    int64_t offset;
    MUST(logstore_append(store, TOPIC, 0, records, count, &offset, &error));
    assert_int_equal(offset, first);
    free(values);
    free(records);
}

/* Reads to the end, and checks that every record from `first` on is there in its place. */
static void check_numbers(struct logstore *store, int64_t first, int64_t end)
{
    struct error error = {0};
    struct logstore_record record;
    struct logstore_reader *reader = logstore_reader_open(store, TOPIC, 0, first, &error);
    MUST(reader != NULL);
    for (int64_t i = first; i < end; i++) {
        char value[32];
        MUST(logstore_read(reader, &record, &error) == LOGSTORE_READ_RECORD);
        snprintf(value, sizeof value, "value %lld", (long long)i);
        assert_int_equal(record.offset, i);
        assert_int_equal(record.timestamp, 1000000 + i);
        assert_true(str_equal(record.value, str_of(value)));
        assert_true(str_equal(record.key, STR_LITERAL("key")));
    }
    assert_int_equal(logstore_read(reader, &record, &error), LOGSTORE_READ_END);
    logstore_reader_close(&reader);
}

/* Nothing is something else than an empty string. */
static void check_str(struct str found, struct str expected)
{
    assert_int_equal(found.bytes == NULL, expected.bytes == NULL);
    assert_int_equal(found.length, expected.length);
    if (expected.bytes != NULL)
        assert_memory_equal(found.bytes, expected.bytes, expected.length);
}

static void test_records_come_back_as_they_were(void **state)
{
    (void)state;
    struct error error = {0};
    struct logstore *store = store_with_topic(1, 1 << 20);
    const struct logstore_header headers[] = {{STR_LITERAL("trace"), STR_LITERAL("a\0b")},
                                              {STR_LITERAL(""), {NULL, 0}}};
    struct logstore_record written[] = {
        {.key = STR_LITERAL("k\0\xff"),
         .value = STR_LITERAL(""),
         .headers = headers,
         .header_count = 2,
         .timestamp = 7},
        {.key = {NULL, 0}, .value = {NULL, 0}, .timestamp = 3},
        {.key = STR_LITERAL(""), .value = STR_LITERAL("v"), .timestamp = 9223372036854775807},
    };
    MUST(logstore_append(store, TOPIC, 0, written, 3, NULL, &error));
    struct logstore_reader *reader = logstore_reader_open(store, TOPIC, 0, 0, &error);
    MUST(reader != NULL);
    for (int i = 0; i < 3; i++) {
        struct logstore_record record;
        MUST(logstore_read(reader, &record, &error) == LOGSTORE_READ_RECORD);
        assert_int_equal(record.offset, i);
        assert_int_equal(record.timestamp, written[i].timestamp);
        check_str(record.key, written[i].key);
        check_str(record.value, written[i].value);
        assert_int_equal(record.header_count, written[i].header_count);
        for (size_t j = 0; j < record.header_count; j++) {
            assert_true(str_equal(record.headers[j].name, headers[j].name));
            check_str(record.headers[j].value, headers[j].value);
        }
    }
    logstore_reader_close(&reader);
    logstore_close(&store);
}

/* The log runs over many small segments, and is read from every offset, by the writer and by one who opens it
 * later. */
static void test_a_log_of_many_segments_is_read_from_any_offset(void **state)
{
    (void)state;
    struct logstore *store = store_with_topic(1, 2048);
    for (int64_t first = 0; first < 1000; first += 10)
        append_numbers(store, first, 10);
    for (int64_t first = 0; first <= 1000; first += 37)
        check_numbers(store, first, 1000);
    logstore_close(&store);
    store = fixture_open(LOGSTORE_READ, LOGSTORE_FSYNC_NEVER);
    check_numbers(store, 0, 1000);
    check_numbers(store, 999, 1000);
    logstore_close(&store);
    store = fixture_open(LOGSTORE_WRITE, LOGSTORE_FSYNC_ALWAYS);
    append_numbers(store, 1000, 3);
    check_numbers(store, 990, 1003);
    logstore_close(&store);
}

/* One call whose records need several batches and several segments. */
static void test_a_large_append_is_split(void **state)
{
    (void)state;
    struct error error = {0};
    struct logstore *store = store_with_topic(1, 65536);
    struct logstore_config config = logstore_config_default();
    config.segment_bytes = 65536;
    config.retention_ms = -1;
    config.max_message_bytes = 4096;
    MUST(logstore_topic_alter(store, TOPIC, &config, &error));
    append_numbers(store, 0, 20000);
    check_numbers(store, 0, 20000);
    check_numbers(store, 19999, 20000);
    logstore_close(&store);
}

static void test_a_reader_that_waits_at_the_end_sees_what_comes(void **state)
{
    (void)state;
    struct error error = {0};
    struct logstore *store = store_with_topic(1, 1024);
    struct logstore_reader *reader = logstore_reader_open(store, TOPIC, 0, 0, &error);
    MUST(reader != NULL);
    struct logstore_record record;
    for (int64_t i = 0; i < 100; i++) {
        assert_int_equal(logstore_read(reader, &record, &error), LOGSTORE_READ_END);
        append_numbers(store, i, 1);
        MUST(logstore_read(reader, &record, &error) == LOGSTORE_READ_RECORD);
        assert_int_equal(record.offset, i);
    }
    logstore_reader_close(&reader);
    logstore_close(&store);
}

/* Two handles append in turn, as two processes would. */
static void test_writers_see_each_other(void **state)
{
    (void)state;
    struct logstore *one = store_with_topic(1, 4096);
    struct logstore *other = fixture_open(LOGSTORE_WRITE, LOGSTORE_FSYNC_ALWAYS);
    for (int64_t i = 0; i < 300; i += 3) {
        append_numbers(one, i, 2);
        append_numbers(other, i + 2, 1);
    }
    check_numbers(one, 0, 300);
    check_numbers(other, 150, 300);
    logstore_close(&one);
    logstore_close(&other);
}

static void test_offsets_are_found_by_time(void **state)
{
    (void)state;
    struct error error = {0};
    int64_t offset;
    struct logstore *store = store_with_topic(1, 200000);
    for (int64_t first = 0; first < 20000; first += 50)
        append_numbers(store, first, 50);
    for (int64_t i = 0; i < 20000; i += 611) {
        MUST(logstore_offset_for_time(store, TOPIC, 0, 1000000 + i, &offset, &error));
        assert_int_equal(offset, i);
    }
    MUST(logstore_offset_for_time(store, TOPIC, 0, 0, &offset, &error));
    assert_int_equal(offset, 0);
    MUST(logstore_offset_for_time(store, TOPIC, 0, 1020000, &offset, &error));
    assert_int_equal(offset, 20000);
    logstore_close(&store);
}

static void test_keyed_records_go_where_kafka_puts_them(void **state)
{
    (void)state;
    struct error error = {0};
    struct logstore *store = store_with_topic(7, 1 << 20);
    struct logstore_record records[100];
    struct logstore_position positions[100];
    char keys[100][16];
    for (int i = 0; i < 100; i++) {
        snprintf(keys[i], sizeof keys[i], "%d", i);
        records[i] = fixture_record(i % 10 == 0 ? NULL : keys[i], keys[i]);
    }
    MUST(logstore_produce(store, TOPIC, records, 100, positions, &error));
    int64_t next[7] = {0};
    for (int i = 0; i < 100; i++) {
        if (i % 10 != 0)
            assert_int_equal(positions[i].partition, logstore_partition_for(str_of(keys[i]), 7));
        else
            assert_int_equal(positions[i].partition, positions[0].partition);
        assert_int_equal(positions[i].offset, next[positions[i].partition]++);
    }
    MUST(logstore_produce(store, TOPIC, records, 1, positions + 1, &error));
    assert_int_not_equal(positions[1].partition, positions[0].partition);
    logstore_close(&store);
}

static void test_what_cannot_be_appended_is_refused_and_leaves_nothing(void **state)
{
    (void)state;
    struct error error = {0};
    struct logstore *store = store_with_topic(1, 1 << 20);
    struct logstore_record good = fixture_record("k", "v"), early = good, large = good;
    early.timestamp = -5;
    char *value = calloc(1, 2000000);
    assert_non_null(value);
    large.value = (struct str){value, 2000000};
    const struct logstore_record both[] = {good, large};
    MUST_FAIL(logstore_append(store, TOPIC, 0, &early, 1, NULL, &error), ERROR_USAGE);
    MUST_FAIL(logstore_append(store, TOPIC, 0, both, 2, NULL, &error), ERROR_USAGE);
    MUST_FAIL(logstore_append(store, TOPIC, 1, &good, 1, NULL, &error), ERROR_NOT_FOUND);
    MUST_FAIL(logstore_append(store, STR_LITERAL("nobody's"), 0, &good, 1, NULL, &error), ERROR_NOT_FOUND);
    struct logstore_config config = logstore_config_default();
    config.cleanup_policy = LOGSTORE_CLEANUP_COMPACT;
    MUST(logstore_topic_create(store, STR_LITERAL("compacted"), 1, &config, &error));
    struct logstore_record keyless = fixture_record(NULL, "v");
    MUST_FAIL(logstore_append(store, STR_LITERAL("compacted"), 0, &keyless, 1, NULL, &error), ERROR_USAGE);
    int64_t start, end;
    MUST(logstore_offsets(store, TOPIC, 0, &start, &end, &error));
    assert_int_equal(end, 0);
    free(value);
    logstore_close(&store);
    store = fixture_open(LOGSTORE_READ, LOGSTORE_FSYNC_NEVER);
    MUST_FAIL(logstore_append(store, TOPIC, 0, &good, 1, NULL, &error), ERROR_DENIED);
    MUST_FAIL(logstore_topic_delete(store, TOPIC, &error), ERROR_DENIED);
    logstore_close(&store);
}

static void test_a_topic_made_again_is_another_one(void **state)
{
    (void)state;
    struct error error = {0};
    struct logstore_topic first, second;
    struct logstore *store = store_with_topic(3, 1024),
                    *other = fixture_open(LOGSTORE_WRITE, LOGSTORE_FSYNC_NEVER);
    append_numbers(store, 0, 50);
    check_numbers(other, 0, 50);
    struct logstore_reader *reader = logstore_reader_open(other, TOPIC, 0, 50, &error);
    MUST(reader != NULL);
    MUST(logstore_topic_find(store, TOPIC, &first, &error));
    MUST(logstore_topic_delete(store, TOPIC, &error));
    MUST_FAIL(logstore_topic_find(other, TOPIC, &second, &error), ERROR_NOT_FOUND);
    MUST_FAIL(logstore_topic_delete(other, TOPIC, &error), ERROR_NOT_FOUND);
    MUST(logstore_topic_create(other, TOPIC, 2, NULL, &error));
    MUST_FAIL(logstore_topic_create(store, TOPIC, 2, NULL, &error), ERROR_EXISTS);
    MUST(logstore_topic_find(store, TOPIC, &second, &error));
    assert_int_equal(second.partitions, 2);
    assert_memory_not_equal(first.id, second.id, sizeof first.id);
    append_numbers(store, 0, 5);
    check_numbers(store, 0, 5);
    struct logstore_record record;
    MUST_FAIL(logstore_read(reader, &record, &error) != LOGSTORE_READ_FAILED, ERROR_NOT_FOUND);
    logstore_reader_close(&reader);
    logstore_close(&store);
    logstore_close(&other);
}

static void test_partitions_can_be_added(void **state)
{
    (void)state;
    struct error error = {0};
    struct logstore_topic topic;
    struct logstore *store = store_with_topic(1, 1024);
    append_numbers(store, 0, 50);
    MUST(logstore_topic_create(store, STR_LITERAL("between"), 2, NULL, &error));
    MUST(logstore_topic_grow(store, TOPIC, 4, &error));
    MUST_FAIL(logstore_topic_grow(store, TOPIC, 3, &error), ERROR_USAGE);
    MUST(logstore_topic_find(store, TOPIC, &topic, &error));
    assert_int_equal(topic.partitions, 4);
    struct logstore_record record = fixture_record("a", "b");
    int64_t offset;
    MUST(logstore_append(store, TOPIC, 3, &record, 1, &offset, &error));
    assert_int_equal(offset, 0);
    check_numbers(store, 0, 50);
    logstore_close(&store);
}

/* More partitions than segments that are kept open. */
static void test_many_partitions_need_few_descriptors(void **state)
{
    (void)state;
    struct error error = {0};
    struct logstore *store = store_with_topic(300, 4096);
    struct logstore_record record = fixture_record("a", "b");
    for (int round = 0; round < 3; round++)
        for (uint32_t partition = 0; partition < 300; partition++) {
            int64_t offset;
            MUST(logstore_append(store, TOPIC, partition, &record, 1, &offset, &error));
            assert_int_equal(offset, round);
        }
    int next = dup(0);
    assert_true(next >= 0 && next < 300);
    close(next);
    logstore_close(&store);
}

static void test_opening_what_is_no_store(void **state)
{
    (void)state;
    struct error error = {0};
    char path[128];
    assert_null(logstore_open(fixture_folder, NULL, &error));
    assert_int_equal(error.code, ERROR_NOT_FOUND);
    error_clear(&error);
    struct logstore *store = fixture_open(LOGSTORE_CREATE, LOGSTORE_FSYNC_NEVER);
    logstore_close(&store);
    snprintf(path, sizeof path, "%s/store", fixture_folder);
    int fd = open(path, O_WRONLY);
    assert_true(fd >= 0);
    assert_int_equal(pwrite(fd, "\x02", 1, 8), 1);
    assert_null(logstore_open(fixture_folder, NULL, &error));
    assert_int_equal(error.code, ERROR_UNSUPPORTED);
    assert_non_null(strstr(error_text(&error), "version 2"));
    error_clear(&error);
    assert_int_equal(pwrite(fd, "X", 1, 0), 1);
    assert_null(logstore_open(fixture_folder, NULL, &error));
    assert_int_equal(error.code, ERROR_CORRUPT);
    error_clear(&error);
    close(fd);
}

/* One byte of a record in a full segment is damaged. */
static void test_damage_is_reported_with_file_and_position(void **state)
{
    (void)state;
    struct error error = {0};
    struct logstore *store = store_with_topic(1, 2048);
    for (int64_t first = 0; first < 200; first += 10)
        append_numbers(store, first, 10);
    char path[256];
    snprintf(path, sizeof path, "%s/topic/00000001/0/%020d.log", fixture_folder, 0);
    int fd = open(path, O_WRONLY);
    assert_true(fd >= 0);
    assert_int_equal(pwrite(fd, "#", 1, 200), 1);
    close(fd);
    struct logstore_reader *reader = logstore_reader_open(store, TOPIC, 0, 0, &error);
    MUST(reader != NULL);
    struct logstore_record record;
    for (int i = 0; i < 3; i++) {
        MUST_FAIL(logstore_read(reader, &record, &error) != LOGSTORE_READ_FAILED, ERROR_CORRUPT);
        assert_int_equal(logstore_reader_offset(reader), 0);
    }
    assert_int_equal(logstore_read(reader, &record, &error), LOGSTORE_READ_FAILED);
    assert_non_null(strstr(error_text(&error), "topic/00000001/0/00000000000000000000.log"));
    assert_non_null(strstr(error_text(&error), " at 64"));
    error_clear(&error);
    logstore_reader_seek(reader, 100);
    MUST(logstore_read(reader, &record, &error) == LOGSTORE_READ_RECORD);
    assert_int_equal(record.offset, 100);
    logstore_reader_close(&reader);
    logstore_close(&store);
}

/* A topic whose records, as many as that, are in segments of a kilobyte, each in a batch of its own. */
static struct logstore *store_with_segments(int records)
{
    struct error error = {0};
    struct logstore *store = store_with_topic(1, 1024);
    struct logstore_record record = fixture_record("k", "v");
    for (int i = 0; i < records; i++)
        MUST(logstore_append(store, TOPIC, 0, &record, 1, NULL, &error));
    return store;
}

/* There is none before it whose end would tell that it is missing. */
static void test_a_first_segment_that_is_missing_is_damage(void **state)
{
    (void)state;
    struct error error = {0};
    struct logstore_record record;
    struct logstore *store = store_with_segments(60);
    char path[128];
    snprintf(path, sizeof path, "%s/topic/00000001/0/%020d.log", fixture_folder, 0);
    assert_int_equal(unlink(path), 0);
    struct logstore_reader *reader = logstore_reader_open(store, TOPIC, 0, 0, &error);
    MUST(reader != NULL);
    for (int64_t offset = 0; offset < 3; offset++) {
        logstore_reader_seek(reader, offset);
        MUST_FAIL(logstore_read(reader, &record, &error) != LOGSTORE_READ_FAILED, ERROR_CORRUPT);
    }
    logstore_reader_seek(reader, 50);
    MUST(logstore_read(reader, &record, &error) == LOGSTORE_READ_RECORD);
    assert_int_equal(record.offset, 50);
    logstore_reader_close(&reader);
    logstore_close(&store);
}

/* Segments that others wrote, or nobody: an end that leads to its own segment, or back, would be followed for
 * ever. */
static void test_an_end_that_leads_back_is_damage(void **state)
{
    (void)state;
    struct error error = {0};
    struct logstore_record record;
    struct logstore *store = store_with_segments(40);
    char path[128];
    uint8_t end[BATCH_HEADER_SIZE];
    snprintf(path, sizeof path, "%s/topic/00000001/0/%020d.log", fixture_folder, 0);
    batch_encode_end(end, 0, 1, 0);
    int fd = open(path, O_WRONLY);
    assert_int_equal(pwrite(fd, end, sizeof end, HEAD_SIZE), (ssize_t)sizeof end);
    close(fd);
    int64_t offset;
    struct logstore_reader *reader = logstore_reader_open(store, TOPIC, 0, 0, &error);
    MUST(reader != NULL);
    alarm(60);
    MUST_FAIL(logstore_read(reader, &record, &error) != LOGSTORE_READ_FAILED, ERROR_CORRUPT);
    MUST_FAIL(logstore_offset_for_time(store, TOPIC, 0, 1, &offset, &error), ERROR_CORRUPT);
    alarm(0);
    logstore_reader_close(&reader);
    logstore_close(&store);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, fixture_setup, fixture_teardown)
    const struct CMUnitTest tests[] = {
        TEST(test_records_come_back_as_they_were),
        TEST(test_a_log_of_many_segments_is_read_from_any_offset),
        TEST(test_a_large_append_is_split),
        TEST(test_a_reader_that_waits_at_the_end_sees_what_comes),
        TEST(test_writers_see_each_other),
        TEST(test_offsets_are_found_by_time),
        TEST(test_keyed_records_go_where_kafka_puts_them),
        TEST(test_what_cannot_be_appended_is_refused_and_leaves_nothing),
        TEST(test_a_topic_made_again_is_another_one),
        TEST(test_partitions_can_be_added),
        TEST(test_many_partitions_need_few_descriptors),
        TEST(test_opening_what_is_no_store),
        TEST(test_damage_is_reported_with_file_and_position),
        TEST(test_a_first_segment_that_is_missing_is_damage),
        TEST(test_an_end_that_leads_back_is_damage),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
