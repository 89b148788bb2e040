#include "tests/lib/logstore_fixture.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>

/* What the store does to its files, seen at the seam through which it does everything. */

#define TOPIC STR_LITERAL("t")
#define GROUP STR_LITERAL("g")

enum { FILES_MOST = 512 };

static long calls[FSIO_CALLS];
static bool disk_full;

/* A full disk has no room for new files and folders, and none to make others larger. */
static int watch(void *context, struct fsio_step *step)
{
    (void)context;
    bool needs_room =
        step->call == FSIO_ALLOCATE || step->call == FSIO_CREATE || step->call == FSIO_MAKE_FOLDER;
    calls[step->call]++;
    return disk_full && needs_room ? ENOSPC : 0;
}

static const struct fsio_fault watching = {.before = watch};

static int set_up(void **state)
{
    memset(calls, 0, sizeof calls);
    disk_full = false;
    return fixture_setup(state);
}

static int tear_down(void **state)
{
    fsio_fault = NULL;
    return fixture_teardown(state);
}

static struct logstore *small_store(unsigned cleanup, int64_t segment_ms)
{
    struct error error = {0};
    struct logstore_config config = logstore_config_default();
    struct logstore *store = fixture_open(LOGSTORE_CREATE, LOGSTORE_FSYNC_NEVER);
    config.segment_bytes = 4096;
    config.segment_ms = segment_ms;
    config.cleanup_policy = cleanup;
    MUST(logstore_topic_create(store, TOPIC, 1, &config, &error));
    return store;
}

static bool append(struct logstore *store, int64_t number, struct error *error)
{
    char key[16], value[200];
    snprintf(key, sizeof key, "%lld", (long long)number % 7);
    snprintf(value, sizeof value, "%0150lld", (long long)number);
    struct logstore_record record = fixture_record(key, value);
    return logstore_append(store, TOPIC, 0, &record, 1, NULL, error);
}

static void append_many(struct logstore *store, int64_t from, int64_t to)
{
    struct error error = {0};
    for (int64_t i = from; i < to; i++)
        MUST(append(store, i, &error));
}

/* Reads all; the records are those of the numbers from 0 on. */
static int64_t count_records(struct logstore *store)
{
    struct error error = {0};
    struct logstore_record record;
    enum logstore_read read;
    int64_t count = 0;
    struct logstore_reader *reader = logstore_reader_open(store, TOPIC, 0, 0, &error);
    MUST(reader != NULL);
    while ((read = logstore_read(reader, &record, &error)) == LOGSTORE_READ_RECORD) {
        char value[200];
        snprintf(value, sizeof value, "%0150lld", (long long)count++);
        assert_true(str_equal(record.value, str_of(value)));
    }
    MUST(read == LOGSTORE_READ_END);
    logstore_reader_close(&reader);
    return count;
}

/* A reader and an observer see everything that there is. */
static void test_who_reads_takes_no_locks_and_writes_nothing(void **state)
{
    (void)state;
    struct error error = {0};
    struct logstore *store = small_store(LOGSTORE_CLEANUP_DELETE, 3600000);
    struct logstore_commit commit = {TOPIC, 0, 3, STR_LITERAL("metadata")};
    append_many(store, 0, 100);
    MUST(logstore_commit(store, GROUP, &commit, 1, &error));
    fsio_fault = &watching;
    struct logstore *reading = fixture_open(LOGSTORE_READ, LOGSTORE_FSYNC_ALWAYS);
    struct logstore_observer *observer = logstore_observer_open(fixture_folder, &error);
    const struct logstore_observed_topic *topics;
    const struct logstore_observed_group *groups;
    const struct logstore_observed_commit *commits;
    size_t count;
    int64_t number;
    struct str metadata;
    assert_int_equal(count_records(reading), 100);
    MUST(logstore_offset_for_time(reading, TOPIC, 0, 1, &number, &error));
    MUST(logstore_committed(reading, GROUP, TOPIC, 0, &number, &error));
    MUST(logstore_observe_topics(observer, &topics, &count, &error));
    MUST(logstore_observe_groups(observer, &groups, &count, &error));
    MUST(logstore_observe_commits(observer, 0, &commits, &count, &error));
    MUST(logstore_observe_metadata(observer, 0, &commits[0], &metadata, &error));
    MUST(logstore_observe_ends(observer, &error));
    MUST(logstore_observe_timestamp(observer, 0, 0, 3, &number, &error));
    MUST_FAIL(append(reading, 0, &error), ERROR_DENIED);
    MUST_FAIL(logstore_commit(reading, GROUP, &commit, 1, &error), ERROR_DENIED);
    logstore_observer_close(&observer);
    logstore_close(&reading);
    assert_true(calls[FSIO_OPEN] > 0 && calls[FSIO_READ] > 0);
    const enum fsio_call writing[] = {FSIO_WRITE,  FSIO_ALLOCATE, FSIO_SYNC,
                                      FSIO_LOCK,   FSIO_CREATE,   FSIO_MAKE_FOLDER,
                                      FSIO_RENAME, FSIO_REMOVE,   FSIO_SYNC_FOLDER};
    for (size_t i = 0; i < sizeof writing / sizeof *writing; i++)
        assert_int_equal(calls[writing[i]], 0);
    logstore_close(&store);
}

static struct {
    int fd;
    off_t size;
} held[FILES_MOST];
static size_t held_count;

static int hold(const char *path, const struct stat *status, int type, struct FTW *walk)
{
    (void)walk;
    if (type != FTW_F || held_count == FILES_MOST)
        return 0;
    held[held_count].fd = open(path, O_RDONLY | O_CLOEXEC);
    held[held_count].size = status->st_size;
    return held[held_count++].fd < 0;
}

/* Whoever has them mapped may look at every byte that he mapped, also of files that have been replaced or
 * removed. */
static void check_held(void)
{
    for (size_t i = 0; i < held_count; i++) {
        struct stat status;
        assert_int_equal(fstat(held[i].fd, &status), 0);
        assert_true(status.st_size >= held[i].size);
        held[i].size = status.st_size;
    }
}

static void test_no_file_ever_shrinks(void **state)
{
    (void)state;
    struct error error = {0};
    const struct str topic = TOPIC;
    struct logstore *store = small_store(LOGSTORE_CLEANUP_DELETE | LOGSTORE_CLEANUP_COMPACT, 3600000);
    held_count = 0;
    for (int round = 0; round < 5; round++) {
        struct logstore_topic found;
        struct logstore_commit commit = {topic, 0, round, STR_LITERAL("metadata of the commit")};
        append_many(store, 100 * round, 100 * (round + 1));
        MUST(logstore_commit(store, GROUP, &commit, 1, &error));
        assert_int_equal(nftw(fixture_folder, hold, 16, FTW_PHYS), 0);
        MUST(logstore_compact(store, topic, NULL, &error));
        check_held();
        struct logstore_consumer *consumer = logstore_consumer_join(store, GROUP, &topic, 1, NULL, &error);
        MUST(consumer != NULL && logstore_consumer_leave(&consumer, &error));
        MUST(logstore_topic_find(store, topic, &found, &error));
        found.config.retention_bytes = 2000;
        MUST(logstore_topic_alter(store, topic, &found.config, &error));
        MUST(logstore_retain(store, topic, NULL, &error));
        check_held();
        MUST(logstore_set_offsets_retention(store, 0, &error));
        usleep(2000);
        MUST(logstore_expire_offsets(store, &error));
        check_held();
    }
    MUST(logstore_topic_delete(store, topic, &error));
    check_held();
    assert_true(held_count > 50);
    while (held_count > 0)
        close(held[--held_count].fd);
    logstore_close(&store);
}

/* The disk is full for a while: appends fail with an error that says so, all else is as before, and the same
 * handle goes on when there is room again. */
static void test_a_full_disk_fails_the_append_and_harms_nothing(void **state)
{
    (void)state;
    struct error error = {0};
    struct logstore_commit commit = {TOPIC, 0, 1, STR_LITERAL("")};
    struct logstore *store = small_store(LOGSTORE_CLEANUP_DELETE, 3600000);
    fsio_fault = &watching;
    int64_t number = 0;
    for (int round = 0; round < 5; round++) {
        append_many(store, number, number + 30);
        number += 30;
        disk_full = true;
        while (append(store, number, &error))
            number++; /* there is some room left that was made before */
        for (int i = 0; i < 3; i++) {
            assert_int_equal(error.code, ERROR_UNAVAILABLE);
            assert_non_null(strstr(error_text(&error), "No space left on device"));
            error_clear(&error);
            assert_false(append(store, number, &error));
            assert_int_equal(count_records(store), number);
        }
        error_clear(&error);
        disk_full = false;
        append_many(store, number, number + 1);
        number++;
        MUST(logstore_commit(store, GROUP, &commit, 1, &error));
    }
    logstore_close(&store);
    store = fixture_open(LOGSTORE_WRITE, LOGSTORE_FSYNC_NEVER);
    assert_int_equal(count_records(store), number);
    logstore_close(&store);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        TEST(test_who_reads_takes_no_locks_and_writes_nothing),
        TEST(test_no_file_ever_shrinks),
        TEST(test_a_full_disk_fails_the_append_and_harms_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
