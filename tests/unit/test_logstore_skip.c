#include "logstore/batch.h"
#include "tests/lib/logstore_calls.h"
#include "tests/lib/logstore_fixture.h"

#include <fcntl.h>
#include <sys/stat.h>

/* Going over a damaged log: what is whole is found behind every damage, at the cost of reading it. */

#define TOPIC STR_LITERAL("t")

enum { SEGMENT_BYTES = 100000, BATCHES = 400, BATCH_RECORDS = 100, RECORDS = BATCHES * BATCH_RECORDS };

/* Owned by the test. */
static struct logstore *make_store(void)
{
    struct error error = {0};
    struct logstore_config config = logstore_config_default();
    struct logstore *store = fixture_open(LOGSTORE_CREATE, LOGSTORE_FSYNC_NEVER);
    struct logstore_record records[BATCH_RECORDS];
    config.segment_bytes = SEGMENT_BYTES;
    MUST(logstore_topic_create(store, TOPIC, 1, &config, &error));
    for (int i = 0; i < BATCH_RECORDS; i++)
        records[i] = fixture_record("key", "a value of some length");
    for (int i = 0; i < BATCHES; i++)
        MUST(logstore_append(store, TOPIC, 0, records, BATCH_RECORDS, NULL, &error));
    return store;
}

static void path_of_segment(char path[160], long long base)
{
    snprintf(path, 160, "%s/topic/00000001/0/%020lld.log", fixture_folder, base);
}

/* Changes a byte of every batch of the segment from the `first` on, `count` of them at most, at that place
 * behind its beginning, or before its end where it is negative. Returns the offset that follows the segment;
 * -1: it is the last one. */
static int64_t change_batches(int64_t base, int first, int count, int place)
{
    char path[160];
    uint8_t bytes[BATCH_HEADER_SIZE], byte;
    struct batch batch;
    int64_t next = -1;
    path_of_segment(path, base);
    int fd = open(path, O_RDWR);
    assert_true(fd >= 0);
    off_t at = 64;
    for (int i = 0; pread(fd, bytes, sizeof bytes, at) == sizeof bytes && batch_decode_header(bytes, &batch);
         i++) {
        off_t where = place < 0 ? at + batch.length + place : at + place;
        at += batch.length;
        if (batch.flags & BATCH_END_OF_SEGMENT) {
            next = batch.base_offset;
            break;
        }
        if (i < first || i >= first + count)
            continue;
        assert_int_equal(pread(fd, &byte, 1, where), 1);
        byte ^= 1;
        assert_int_equal(pwrite(fd, &byte, 1, where), 1);
    }
    close(fd);
    return next;
}

struct tour {
    int records, damages;
};

/* Reads all that there is; offsets only rise. */
static struct tour go_over(struct logstore *store)
{
    struct error error = {0};
    struct tour tour = {0};
    struct logstore_record record;
    enum logstore_read read;
    int64_t next = 0;
    struct logstore_reader *reader = logstore_reader_open(store, TOPIC, 0, 0, &error);
    MUST(reader != NULL);
    reads = 0;
    fsio_fault = &counting;
    while ((read = logstore_read(reader, &record, &error)) != LOGSTORE_READ_END) {
        if (read == LOGSTORE_READ_RECORD) {
            tour.records++;
            assert_true(record.offset >= next);
            next = record.offset + 1;
            continue;
        }
        tour.damages++;
        assert_int_equal(error.code, ERROR_CORRUPT);
        error_clear(&error);
        int64_t before = logstore_reader_offset(reader);
        MUST(logstore_reader_skip_damage(reader, &error));
        assert_true(logstore_reader_offset(reader) > before);
    }
    fsio_fault = NULL;
    assert_int_equal(logstore_reader_offset(reader), RECORDS);
    logstore_reader_close(&reader);
    return tour;
}

static void test_each_damaged_batch_is_told_and_read_once(void **state)
{
    (void)state;
    struct logstore *store = make_store();
    (void)go_over(store);
    long reads_of_sound = reads;
    for (int64_t base = 0; base >= 0;)
        base = change_batches(base, 0, BATCHES, -5);
    struct tour tour = go_over(store);
    assert_int_equal(tour.records, 0);
    assert_int_equal(tour.damages, BATCHES);
    assert_true(reads <= reads_of_sound + 4 * BATCHES); /* each skip looks at the slot */
    logstore_close(&store);
}

/* Where the next batch begins isn't known then, but where the next one begins that the index tells of. */
static void test_what_follows_a_damaged_header_is_found(void **state)
{
    (void)state;
    struct logstore *store = make_store();
    change_batches(0, 2, 1, 30);
    struct tour tour = go_over(store);
    assert_int_equal(tour.damages, 1);
    assert_true(tour.records < RECORDS && tour.records >= RECORDS - 32768 / 20);
    logstore_close(&store);
}

static void test_what_follows_many_damaged_headers_is_found(void **state)
{
    (void)state;
    struct logstore *store = make_store();
    for (int64_t base = 0; base >= 0;)
        base = change_batches(base, 1, 1, 30);
    struct tour tour = go_over(store);
    assert_true(tour.damages > 5 && tour.records > RECORDS / 2);
    assert_true(reads < 100 * tour.damages);
    logstore_close(&store);
}

static void spoil(const char *path, bool remove_it)
{
    int fd = open(path, O_WRONLY);
    assert_true(fd >= 0 && pwrite(fd, "x", 1, 3) == 1);
    close(fd);
    if (remove_it)
        assert_int_equal(unlink(path), 0);
}

/* A segment in the middle has a damaged head, or is gone. */
static void test_the_segment_after_a_lost_one_is_found(void **state)
{
    (void)state;
    for (int gone = 0; gone < 2; gone++) {
        char path[160];
        struct logstore *store = make_store();
        int64_t base = change_batches(0, 0, 0, 0), next = change_batches(base, 0, 0, 0);
        path_of_segment(path, base);
        spoil(path, gone);
        struct tour tour = go_over(store);
        assert_int_equal(tour.damages, 1);
        assert_int_equal(tour.records, RECORDS - (next - base));
        logstore_close(&store);
        assert_int_equal(fixture_teardown(state), 0);
        assert_int_equal(fixture_setup(state), 0);
    }
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, fixture_setup, fixture_teardown)
    const struct CMUnitTest tests[] = {
        TEST(test_each_damaged_batch_is_told_and_read_once),
        TEST(test_what_follows_a_damaged_header_is_found),
        TEST(test_what_follows_many_damaged_headers_is_found),
        TEST(test_the_segment_after_a_lost_one_is_found),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
