#include "logstore/batch.h"
#include "logstore/catalog.h"
#include "logstore/membership.h"
#include "tests/lib/logstore_calls.h"
#include "tests/lib/logstore_fixture.h"

#include <fcntl.h>
#include <sys/stat.h>

/* Files that somebody has made to do harm: right in every checksum, and absurd. */

#define TOPIC STR_LITERAL("t")

static int set_up(void **state)
{
    (void)state;
    return fixture_setup_at("/dev/shm"); /* where a file may be of any size */
}

static void stretch(const char *name, off_t size)
{
    char path[160];
    snprintf(path, sizeof path, "%s/topic/00000001/0/%s", fixture_folder, name);
    int fd = open(path, O_RDWR);
    assert_true(fd >= 0);
    assert_int_equal(ftruncate(fd, size), 0);
    close(fd);
}

/* A full segment of 8 TB, nearly all of it a hole, and an index of that size: to look for an offset in it
 * costs no more than to look over the longest batch there may be, at each step. */
static void test_a_segment_of_holes_is_given_up_soon(void **state)
{
    (void)state;
    struct error error = {0};
    struct logstore_config config = logstore_config_default();
    struct logstore *store = fixture_open(LOGSTORE_CREATE, LOGSTORE_FSYNC_NEVER);
    config.segment_bytes = 4096;
    MUST(logstore_topic_create(store, TOPIC, 1, &config, &error));
    for (int i = 0; i < 200; i++) {
        struct logstore_record record = fixture_record(NULL, "a value of more than some bytes");
        MUST(logstore_append(store, TOPIC, 0, &record, 1, NULL, &error));
    }
    stretch("00000000000000000000.log", (off_t)8 << 40);
    stretch("00000000000000000000.index", (off_t)8 << 30);
    fsio_fault = &counting;
    reads = 0;
    struct logstore_record record;
    struct logstore_reader *reader = logstore_reader_open(store, TOPIC, 0, 20, &error);
    MUST(reader != NULL && logstore_read(reader, &record, &error) == LOGSTORE_READ_RECORD);
    assert_int_equal(record.offset, 20);
    int64_t offset;
    MUST(logstore_offset_for_time(store, TOPIC, 0, record.timestamp, &offset, &error));
    MUST_FAIL(logstore_offset_for_time(store, TOPIC, 1, 0, &offset, &error), ERROR_NOT_FOUND);
    fsio_fault = NULL;
    assert_true(reads < 100000);
    logstore_reader_close(&reader);
    logstore_close(&store);
}

/* As a time that offsets stay it would let the clock overflow. */
static void test_a_negative_time_in_the_catalog_is_refused(void **state)
{
    (void)state;
    struct error error = {0};
    struct catalog catalog = {0};
    struct buf bytes = buf_make(1000);
    catalog_encode(&(struct catalog){.next_number = 1, .offsets_retention_ms = INT64_MAX}, &bytes);
    MUST(catalog_decode(&catalog, buf_str(&bytes), &error));
    buf_reset(&bytes);
    catalog_encode(&(struct catalog){.next_number = 1, .offsets_retention_ms = INT64_MIN}, &bytes);
    MUST_FAIL(catalog_decode(&catalog, buf_str(&bytes), &error), ERROR_CORRUPT);
    catalog_free(&catalog);
    buf_free(&bytes);
}

/* After the last generation, or the last number, there is none. */
static void test_members_at_the_end_of_their_numbers_are_refused(void **state)
{
    (void)state;
    struct error error = {0};
    struct membership membership = {0};
    struct buf bytes = buf_make(1000);
    membership_encode(&(struct membership){.next_number = UINT32_MAX, .generation = INT64_MAX}, &bytes);
    MUST_FAIL(membership_decode(&membership, buf_str(&bytes), &error), ERROR_CORRUPT);
    buf_reset(&bytes);
    membership_encode(&(struct membership){.next_number = UINT32_MAX, .generation = 1}, &bytes);
    MUST(membership_decode(&membership, buf_str(&bytes), &error));
    assert_null(membership_add(&membership, &(struct member){.boot = 1}, 0));
    membership_free(&membership);
    buf_free(&bytes);
}

/* Gives the end of the first segment another largest timestamp. */
static void change_end(int64_t max_timestamp)
{
    char path[160];
    uint8_t bytes[BATCH_HEADER_SIZE];
    struct batch batch;
    off_t at = 64;
    snprintf(path, sizeof path, "%s/topic/00000001/0/00000000000000000000.log", fixture_folder);
    int fd = open(path, O_RDWR);
    for (;; at += batch.length) {
        assert_int_equal(pread(fd, bytes, sizeof bytes, at), sizeof bytes);
        assert_true(batch_decode_header(bytes, &batch));
        if (batch.flags & BATCH_END_OF_SEGMENT)
            break;
    }
    batch_encode_end(bytes, batch.base_offset, max_timestamp, batch.chain);
    assert_int_equal(pwrite(fd, bytes, sizeof bytes, at), sizeof bytes);
    close(fd);
}

/* A time as early as can be is long ago, and not to come. */
static void test_a_segment_from_the_beginning_of_time_is_compacted(void **state)
{
    (void)state;
    struct error error = {0};
    struct logstore_config config = logstore_config_default();
    struct logstore *store = fixture_open(LOGSTORE_CREATE, LOGSTORE_FSYNC_NEVER);
    config.segment_bytes = 4096;
    config.cleanup_policy = LOGSTORE_CLEANUP_COMPACT;
    config.min_compaction_lag_ms = 3600000; /* so that nothing is compacted before */
    MUST(logstore_topic_create(store, TOPIC, 1, &config, &error));
    for (int i = 0; i < 100; i++) {
        struct logstore_record record = fixture_record("key", "a value of more than some bytes");
        MUST(logstore_append(store, TOPIC, 0, &record, 1, NULL, &error));
    }
    change_end(INT64_MIN);
    MUST(logstore_compact(store, TOPIC, NULL, &error));
    struct logstore_record record;
    struct logstore_reader *reader = logstore_reader_open(store, TOPIC, 0, 0, &error);
    MUST(reader != NULL && logstore_read(reader, &record, &error) == LOGSTORE_READ_RECORD);
    assert_true(record.offset > 0);
    logstore_reader_close(&reader);
    logstore_close(&store);
}

/* Puts a FIFO that nobody writes to in a file's place: the store can't be opened, and that is said at once.
 */
static void try_fifo(const char *name)
{
    char path[160], aside[170];
    struct error error = {0};
    const struct logstore_options options = {.access = LOGSTORE_READ};
    snprintf(path, sizeof path, "%s/%s", fixture_folder, name);
    snprintf(aside, sizeof aside, "%s.aside", path);
    assert_int_equal(rename(path, aside), 0);
    assert_int_equal(mkfifo(path, 0600), 0);
    MUST_FAIL(logstore_open(fixture_folder, &options, &error) != NULL, ERROR_IO);
    assert_int_equal(rename(aside, path), 0);
}

static void test_a_fifo_among_the_files_holds_up_nobody(void **state)
{
    (void)state;
    const char *const names[] = {"store", "catalog", "partitions", "groups"};
    struct error error = {0};
    struct logstore_config config = logstore_config_default();
    struct logstore *store = fixture_open(LOGSTORE_CREATE, LOGSTORE_FSYNC_NEVER);
    MUST(logstore_topic_create(store, TOPIC, 1, &config, &error));
    logstore_close(&store);
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++)
        try_fifo(names[i]);
    store = fixture_open(LOGSTORE_READ, LOGSTORE_FSYNC_NEVER);
    logstore_close(&store);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, fixture_teardown)
    const struct CMUnitTest tests[] = {
        TEST(test_a_segment_of_holes_is_given_up_soon),
        TEST(test_a_negative_time_in_the_catalog_is_refused),
        TEST(test_members_at_the_end_of_their_numbers_are_refused),
        TEST(test_a_segment_from_the_beginning_of_time_is_compacted),
        TEST(test_a_fifo_among_the_files_holds_up_nobody),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
