#include "tests/lib/logstore_disk.h"
#include "tests/lib/logstore_fixture.h"

#include <sys/resource.h>

/*
 * A sync that fails, and one that succeeds after it: the kernel has taken what the first one left behind for
 * written, so the second one does nothing for it. (PostgreSQL learnt that in 2018.) Right after the moment at
 * which the store says that all is well, the power fails.
 */

#define TOPIC STR_LITERAL("t")
#define GROUP STR_LITERAL("g")

enum { PARTITIONS = 100, LARGE = 10000 };

static int sync_that_fails;   /* the first one from now, the second …; 0: none */
static bool dies_of_it, dead; /* whose sync fails does nothing more */
static const char *broken;    /* the file of this name can't be synced; NULL: none */
static char store_path[sizeof fixture_folder + 8];

/* What others do while a file is being synced; once. */
static struct {
    void (*act)(void); /* NULL: nothing */
    const char *name;  /* of the file */
    bool first;        /* before the disk begins on it; else when it is done */
} meanwhile;

static const char OFFSETS[] = "group/00000001/offsets";
static const char SEGMENT[] = "topic/00000001/0/00000000000000000000.log";

static bool is_met(const struct fsio_step *step, bool first)
{
    return meanwhile.act != NULL && meanwhile.first == first && step->call == FSIO_SYNC &&
           strcmp(step->name, meanwhile.name) == 0;
}

static void let_others_act(void)
{
    void (*act)(void) = meanwhile.act;
    meanwhile.act = NULL;
    act();
}

static int before(void *context, struct fsio_step *step)
{
    (void)context;
    if (dead)
        return EIO;
    bool fails = step->call == FSIO_SYNC && ((sync_that_fails > 0 && --sync_that_fails == 0) ||
                                             (broken != NULL && strcmp(step->name, broken) == 0));
    if (is_met(step, true))
        let_others_act();
    disk_note(step, fails);
    if (is_met(step, false))
        let_others_act();
    dead = fails && dies_of_it;
    return fails ? EIO : 0;
}

static struct fsio_fault machine = {.before = before};

static int set_up(void **state)
{
    sync_that_fails = 0;
    dies_of_it = dead = false;
    broken = NULL;
    memset(&meanwhile, 0, sizeof meanwhile);
    char attic[sizeof fixture_folder + 8];
    if (fixture_setup(state) != 0)
        return -1;
    snprintf(store_path, sizeof store_path, "%s/store", fixture_folder);
    snprintf(attic, sizeof attic, "%s/attic", fixture_folder);
    disk_begin(attic);
    machine.boot = 1;
    fsio_fault = &machine;
    return mkdir(attic, 0700);
}

static int tear_down(void **state)
{
    fsio_fault = NULL;
    disk_end();
    return fixture_teardown(state);
}

/* As where a process may have few descriptors, so that the store keeps few groups open; the disk needs many.
 */
static struct logstore *open_store(enum logstore_fsync mode)
{
    struct error error = {0};
    struct rlimit limit = {0}, few = {0};
    assert_int_equal(getrlimit(RLIMIT_NOFILE, &limit), 0);
    few = (struct rlimit){1024, limit.rlim_max};
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &few), 0);
    struct logstore_options options = {
        .access = LOGSTORE_CREATE, .fsync = mode, .fsync_interval_ms = 3600000};
    struct logstore *store = logstore_open(store_path, &options, &error);
    MUST(store != NULL);
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &limit), 0);
    return store;
}

static struct logstore *new_store(enum logstore_fsync mode, int64_t segment_bytes)
{
    struct error error = {0};
    struct logstore_config config = logstore_config_default();
    struct logstore *store = open_store(mode);
    config.segment_bytes = segment_bytes;
    MUST(logstore_topic_create(store, TOPIC, PARTITIONS, &config, &error));
    return store;
}

/* The power fails, and the machine boots. */
static struct logstore *lose_power(struct logstore **store)
{
    disk_lose_power(0);
    machine.boot++;
    logstore_close(store);
    return open_store(LOGSTORE_FSYNC_ALWAYS);
}

/* A record of several pages. */
static bool append(struct logstore *store, char fill, struct error *error)
{
    static char value[LARGE + 1];
    memset(value, fill, LARGE);
    struct logstore_record record = fixture_record(NULL, value);
    return logstore_append(store, TOPIC, 0, &record, 1, NULL, error);
}

/* The records of these values are there, and no others. */
static void check_records(struct logstore *store, const char *fills)
{
    struct error error = {0};
    struct logstore_record record;
    enum logstore_read read;
    MUST(logstore_retain(store, TOPIC, NULL, &error)); /* looks at each partition, which puts it right */
    struct logstore_reader *reader = logstore_reader_open(store, TOPIC, 0, 0, &error);
    MUST(reader != NULL);
    while ((read = logstore_read(reader, &record, &error)) == LOGSTORE_READ_RECORD) {
        assert_int_equal(record.value.length, LARGE);
        assert_int_equal(record.value.bytes[LARGE / 2], *fills++);
    }
    MUST(read == LOGSTORE_READ_END);
    assert_int_equal(*fills, '\0');
    logstore_reader_close(&reader);
}

/* The next append is acknowledged, and with it what is in front of it; also when that was left behind in a
 * segment which is full by then. */
static void append_after_a_failure(int64_t segment_bytes)
{
    struct error error = {0};
    struct logstore *store = new_store(LOGSTORE_FSYNC_ALWAYS, segment_bytes);
    MUST(append(store, 'a', &error));
    sync_that_fails = 1;
    MUST_FAIL(append(store, 'b', &error), ERROR_IO);
    MUST(append(store, 'c', &error));
    store = lose_power(&store);
    check_records(store, "abc");
    MUST(append(store, 'd', &error));
    store = lose_power(&store);
    check_records(store, "abcd");
    logstore_close(&store);
}

static void test_an_append_after_a_failed_sync_lasts(void **state)
{
    (void)state;
    append_after_a_failure(1 << 20);
}

static void test_an_append_in_the_next_segment_lasts(void **state)
{
    (void)state;
    append_after_a_failure(2 * LARGE + 5000);
}

/* Failing twice, in the middle of ending a segment. */
static void test_a_segment_whose_end_failed_to_be_synced_lasts(void **state)
{
    (void)state;
    struct error error = {0};
    struct logstore *store = new_store(LOGSTORE_FSYNC_NEVER, 3 * LARGE + 5000);
    MUST(append(store, 'a', &error) && append(store, 'b', &error) && append(store, 'c', &error));
    for (int i = 0; i < 2; i++) {
        sync_that_fails = 1;
        MUST_FAIL(append(store, 'd', &error), ERROR_IO);
    }
    MUST(append(store, 'd', &error) && logstore_sync(store, &error));
    store = lose_power(&store);
    check_records(store, "abcd");
    logstore_close(&store);
}

/* What can't be read back is gone: nothing more is acknowledged until the machine has booted, and then the
 * log ends in front of it. */
static void test_what_was_dropped_from_memory_is_not_acknowledged(void **state)
{
    (void)state;
    struct error error = {0};
    char name[] = "topic/00000001/0/00000000000000000000.log", path[128], zeros[LARGE] = {0};
    struct logstore *store = new_store(LOGSTORE_FSYNC_ALWAYS, 1 << 20);
    MUST(append(store, 'a', &error));
    sync_that_fails = 1;
    MUST_FAIL(append(store, 'b', &error), ERROR_IO);
    snprintf(path, sizeof path, "%s/%s", store_path, name);
    int fd = open(path, O_RDWR);
    assert_true(fd >= 0 && pwrite(fd, zeros, sizeof zeros, 64 + LARGE + 200) == sizeof zeros);
    close(fd);
    MUST_FAIL(append(store, 'c', &error), ERROR_CORRUPT);
    MUST_FAIL(append(store, 'd', &error), ERROR_CORRUPT);
    check_records(store, "a");
    store = lose_power(&store);
    check_records(store, "a");
    MUST(append(store, 'e', &error));
    check_records(store, "ae");
    logstore_close(&store);
}

static void test_syncing_once_more_helps_records(void **state)
{
    (void)state;
    struct error error = {0};
    struct logstore *store = new_store(LOGSTORE_FSYNC_NEVER, 1 << 20);
    MUST(append(store, 'a', &error) && append(store, 'b', &error));
    sync_that_fails = 1;
    MUST_FAIL(logstore_sync(store, &error), ERROR_IO);
    MUST(logstore_sync(store, &error));
    store = lose_power(&store);
    check_records(store, "ab");
    logstore_close(&store);
}

static void check_commits(struct logstore *store, int64_t expected)
{
    struct error error = {0};
    for (uint32_t partition = 0; partition < PARTITIONS; partition++) {
        int64_t offset;
        MUST(logstore_committed(store, GROUP, TOPIC, partition, &offset, &error));
        assert_int_equal(offset, expected);
    }
}

/* As many commits as take several pages. */
static void test_syncing_once_more_helps_commits(void **state)
{
    (void)state;
    struct error error = {0};
    struct logstore *store = new_store(LOGSTORE_FSYNC_INTERVAL, 1 << 20);
    for (uint32_t partition = 0; partition < PARTITIONS; partition++) {
        struct logstore_commit commit = {TOPIC, partition, 7, STR_LITERAL("with metadata")};
        MUST(logstore_commit(store, GROUP, &commit, 1, &error));
    }
    sync_that_fails = 2; /* that of the offsets, after that of the metadata */
    MUST_FAIL(logstore_sync(store, &error), ERROR_IO);
    MUST(logstore_sync(store, &error));
    store = lose_power(&store);
    check_commits(store, 7);
    logstore_close(&store);
}

/* A member whose commit failed commits the same once more. */
static void test_committing_once_more_lasts(void **state)
{
    (void)state;
    struct error error = {0};
    struct logstore_record record;
    struct logstore_source source;
    const struct str topic = TOPIC;
    struct logstore *store = new_store(LOGSTORE_FSYNC_ALWAYS, 1 << 20);
    MUST(append(store, 'a', &error));
    struct logstore_consumer *consumer = logstore_consumer_join(store, GROUP, &topic, 1, NULL, &error);
    MUST(consumer != NULL);
    MUST(logstore_consumer_poll(consumer, 1000, &record, &source, &error) == LOGSTORE_POLL_RECORD);
    sync_that_fails = 2; /* that of the offsets, after that of the metadata */
    MUST_FAIL(logstore_consumer_commit(consumer, &error), ERROR_IO);
    MUST(logstore_consumer_commit(consumer, &error));
    disk_lose_power(0);
    machine.boot++;
    logstore_consumer_abandon(&consumer);
    logstore_close(&store);
    store = open_store(LOGSTORE_FSYNC_ALWAYS);
    int64_t offset;
    MUST(logstore_committed(store, GROUP, TOPIC, 0, &offset, &error));
    assert_int_equal(offset, 1);
    logstore_close(&store);
}

static void test_resetting_once_more_lasts(void **state)
{
    (void)state;
    struct error error = {0};
    struct logstore_reset_result result;
    struct logstore_commit commit = {TOPIC, 0, 0, STR_LITERAL("")};
    struct logstore *store = new_store(LOGSTORE_FSYNC_ALWAYS, 1 << 20);
    MUST(append(store, 'a', &error) && logstore_commit(store, GROUP, &commit, 1, &error));
    sync_that_fails = 2;
    MUST_FAIL(logstore_reset_group(store, GROUP, TOPIC, 0, LOGSTORE_TO_LATEST, 0, false, &result, &error),
              ERROR_IO);
    MUST(logstore_reset_group(store, GROUP, TOPIC, 0, LOGSTORE_TO_LATEST, 0, false, &result, &error));
    store = lose_power(&store);
    int64_t offset;
    MUST(logstore_committed(store, GROUP, TOPIC, 0, &offset, &error));
    assert_int_equal(offset, 1);
    logstore_close(&store);
}

/* --- several who sync at the same time -------------------------------------------------------------------
 */

static struct logstore *shared; /* that which others use meanwhile */

static bool commit(struct str group, int64_t offset, struct error *error)
{
    struct logstore_commit commit = {TOPIC, 0, offset, STR_LITERAL("")};
    return logstore_commit(shared, group, &commit, 1, error);
}

static int64_t committed(struct str group)
{
    struct error error = {0};
    int64_t offset;
    MUST(logstore_committed(shared, group, TOPIC, 0, &offset, &error));
    return offset;
}

static void commit_2(void)
{
    struct error error = {0};
    MUST(commit(GROUP, 2, &error));
}

static void commit_2_and_fail_at_3(void)
{
    struct error error = {0};
    commit_2();
    sync_that_fails = 2; /* that of the offsets, after that of the metadata */
    MUST_FAIL(commit(GROUP, 3, &error), ERROR_IO);
}

/* A group's files are about to be closed, for another group's sake, when it is committed to once more. */
static void test_a_commit_while_its_group_is_closed_lasts(void **state)
{
    (void)state;
    struct error error = {0};
    shared = new_store(LOGSTORE_FSYNC_INTERVAL, 1 << 20);
    MUST(commit(GROUP, 1, &error));
    MUST(commit(GROUP, 1, &error)); /* the first may have synced at once */
    meanwhile.act = commit_2;
    meanwhile.name = OFFSETS;
    for (int i = 0; meanwhile.act != NULL && i < 1000; i++) {
        char name[32];
        snprintf(name, sizeof name, "group %d", i);
        MUST(commit(str_of(name), 1, &error));
    }
    assert_null(meanwhile.act);
    MUST(logstore_sync(shared, &error));
    shared = lose_power(&shared);
    assert_int_equal(committed(GROUP), 2);
    logstore_close(&shared);
}

static void begin_in_doubt(void)
{
    struct error error = {0};
    shared = new_store(LOGSTORE_FSYNC_ALWAYS, 1 << 20);
    MUST(commit(GROUP, 0, &error));
    sync_that_fails = 2;
    MUST_FAIL(commit(GROUP, 0, &error), ERROR_IO);
}

/* Two at the same time put right what a failed sync has left: both succeed. */
static void test_another_sync_that_helps_does_no_harm(void **state)
{
    (void)state;
    struct error error = {0};
    begin_in_doubt();
    meanwhile.act = commit_2;
    meanwhile.name = OFFSETS;
    MUST(commit(GROUP, 1, &error));
    assert_null(meanwhile.act);
    shared = lose_power(&shared);
    assert_int_equal(committed(GROUP), 2);
    logstore_close(&shared);
}

/* One that fails after it may be the one that is told of what this one couldn't write. */
static void test_another_sync_that_fails_after_one_that_helps_counts(void **state)
{
    (void)state;
    struct error error = {0};
    begin_in_doubt();
    meanwhile.act = commit_2_and_fail_at_3;
    meanwhile.name = OFFSETS;
    MUST_FAIL(commit(GROUP, 1, &error), ERROR_IO);
    assert_null(meanwhile.act);
    MUST(commit(GROUP, 4, &error));
    shared = lose_power(&shared);
    assert_int_equal(committed(GROUP), 4);
    logstore_close(&shared);
}

/* --- several processes -----------------------------------------------------------------------------------
 */

/* Whose sync fails dies before anybody is told; the next one is another process. */
static void test_a_failed_sync_whose_process_died_counts(void **state)
{
    (void)state;
    struct error error = {0};
    struct logstore *store = new_store(LOGSTORE_FSYNC_ALWAYS, 1 << 20);
    MUST(append(store, 'a', &error));
    sync_that_fails = 1;
    dies_of_it = true;
    MUST_FAIL(append(store, 'b', &error), ERROR_IO);
    logstore_close(&store);
    dies_of_it = dead = false;
    store = open_store(LOGSTORE_FSYNC_ALWAYS);
    MUST(append(store, 'c', &error));
    store = lose_power(&store);
    check_records(store, "abc");
    logstore_close(&store);
}

/* Another process, whose record doesn't fit into the segment any more. */
static void fail_to_end_the_segment(void)
{
    struct error error = {0};
    struct logstore *other = open_store(LOGSTORE_FSYNC_ALWAYS);
    sync_that_fails = 1;
    MUST_FAIL(append(other, 'x', &error), ERROR_IO);
    dead = false;
    logstore_close(&other);
}

/* A record is being synced while another process fails to sync the end of the same segment: it is
 * acknowledged, and lasts, whichever of the two the disk hears first, and whether or not that process lives
 * on to tell. */
static void append_while_an_end_fails(bool first, bool dies)
{
    struct error error = {0};
    struct logstore *store = new_store(LOGSTORE_FSYNC_ALWAYS, 2 * LARGE + 5000);
    MUST(append(store, 'a', &error));
    meanwhile.act = fail_to_end_the_segment;
    meanwhile.name = SEGMENT;
    meanwhile.first = first;
    dies_of_it = dies;
    MUST(append(store, 'b', &error));
    assert_null(meanwhile.act);
    store = lose_power(&store);
    check_records(store, "ab");
    logstore_close(&store);
}

static void test_an_end_that_fails_before_a_record_is_synced(void **state)
{
    (void)state;
    append_while_an_end_fails(true, false);
}

static void test_an_end_that_fails_and_dies_before_a_record_is_synced(void **state)
{
    (void)state;
    append_while_an_end_fails(true, true);
}

static void test_an_end_that_fails_after_a_record_was_synced(void **state)
{
    (void)state;
    append_while_an_end_fails(false, false);
}

/* --- recovery ------------------------------------------------------------------------------------------
 */

/* Changes the CRC of the newer half of the first partition's slot. */
static void damage_newer_half(void)
{
    uint64_t sequences[2];
    uint8_t crc;
    char path[sizeof store_path + 16];
    snprintf(path, sizeof path, "%s/partitions", store_path);
    int fd = open(path, O_RDWR);
    for (int half = 0; half < 2; half++)
        assert_int_equal(pread(fd, &sequences[half], 8, 256 + 128 * half), 8);
    off_t at = 256 + 128 * (sequences[1] > sequences[0]) + 124;
    assert_int_equal(pread(fd, &crc, 1, at), 1);
    crc ^= 1;
    assert_int_equal(pwrite(fd, &crc, 1, at), 1);
    close(fd);
}

/* A slot is damaged while the machine runs, and whoever finds where the log ends fails to sync it. */
static void test_a_recovery_whose_sync_failed_counts(void **state)
{
    (void)state;
    struct error error = {0};
    struct logstore *store = new_store(LOGSTORE_FSYNC_NEVER, 1 << 20);
    MUST(append(store, 'a', &error) && append(store, 'b', &error));
    damage_newer_half();
    struct logstore *other = open_store(LOGSTORE_FSYNC_ALWAYS);
    sync_that_fails = 1;
    MUST_FAIL(append(other, 'c', &error), ERROR_IO);
    MUST(append(other, 'c', &error));
    logstore_close(&store);
    other = lose_power(&other);
    check_records(other, "abc");
    logstore_close(&other);
}

/* --- several files ---------------------------------------------------------------------------------------
 */

/* What can't be synced keeps nothing else from it. */
static void test_what_is_broken_starves_nobody(void **state)
{
    (void)state;
    struct error error = {0};
    struct logstore_record record = fixture_record(NULL, "v");
    const char *const files[] = {OFFSETS, SEGMENT};
    shared = new_store(LOGSTORE_FSYNC_INTERVAL, 1 << 20);
    for (int i = 0; i < 2; i++) {
        int64_t offset, start;
        MUST(append(shared, 'a', &error) && commit(GROUP, i, &error));
        MUST(logstore_append(shared, TOPIC, 1, &record, 1, NULL, &error));
        MUST(commit(STR_LITERAL("another"), i, &error));
        broken = files[i];
        MUST_FAIL(logstore_sync(shared, &error), ERROR_IO);
        broken = NULL;
        shared = lose_power(&shared);
        assert_int_equal(committed(STR_LITERAL("another")), i);
        MUST(logstore_retain(shared, TOPIC, NULL, &error));
        MUST(logstore_offsets(shared, TOPIC, 1, &start, &offset, &error));
        assert_int_equal(offset, i + 1);
        logstore_close(&shared);
        shared = open_store(LOGSTORE_FSYNC_INTERVAL);
    }
    logstore_close(&shared);
}

/* More groups than may be open are used while one can't be closed, since it can't be synced. */
static void test_a_broken_group_keeps_no_other_from_being_opened(void **state)
{
    (void)state;
    enum { GROUPS = 300 };
    struct error error = {0};
    char name[32];
    shared = new_store(LOGSTORE_FSYNC_INTERVAL, 1 << 20);
    MUST(commit(GROUP, 0, &error)); /* made, which syncs it */
    broken = OFFSETS;
    MUST(commit(GROUP, 1, &error));
    for (int i = 0; i < GROUPS; i++) {
        snprintf(name, sizeof name, "group %d", i);
        MUST(commit(str_of(name), i, &error));
    }
    MUST_FAIL(logstore_sync(shared, &error), ERROR_IO);
    broken = NULL;
    MUST(logstore_sync(shared, &error));
    shared = lose_power(&shared);
    assert_int_equal(committed(GROUP), 1);
    for (int i = 0; i < GROUPS; i++) {
        snprintf(name, sizeof name, "group %d", i);
        assert_int_equal(committed(str_of(name)), i);
    }
    logstore_close(&shared);
}

/* --- lists -----------------------------------------------------------------------------------------------
 */

/* Whoever makes a topic fails to sync the catalog, and dies; others see the topic, and use it. */
static void test_a_topic_lasts_that_is_used(void **state)
{
    (void)state;
    struct error error = {0};
    struct logstore *store = open_store(LOGSTORE_FSYNC_ALWAYS), *other = open_store(LOGSTORE_FSYNC_ALWAYS);
    sync_that_fails = 3; /* after the slots' and the value's: that of the half that tells of it */
    dies_of_it = true;
    MUST_FAIL(logstore_topic_create(store, TOPIC, PARTITIONS, NULL, &error), ERROR_IO);
    dies_of_it = dead = false;
    logstore_close(&store);
    MUST(append(other, 'a', &error));
    other = lose_power(&other);
    check_records(other, "a");
    logstore_close(&other);
}

/* Of a topic whose deletion may not last, nothing is removed yet; or the deletion lasts. */
static void test_nothing_is_removed_before_its_deletion_lasts(void **state)
{
    (void)state;
    struct error error = {0};
    struct logstore_topic found;
    struct logstore *store = new_store(LOGSTORE_FSYNC_ALWAYS, 1 << 20);
    MUST(append(store, 'a', &error));
    sync_that_fails = 2; /* after that of the value */
    dies_of_it = true;
    MUST_FAIL(logstore_topic_delete(store, TOPIC, &error), ERROR_IO);
    dies_of_it = dead = false;
    logstore_close(&store);
    store = open_store(LOGSTORE_FSYNC_ALWAYS);
    MUST(logstore_expire_offsets(store, &error));
    disk_lose_names(UINT_MAX); /* these have all reached the disk */
    store = lose_power(&store);
    if (logstore_topic_find(store, TOPIC, &found, &error))
        check_records(store, "a");
    error_clear(&error);
    logstore_close(&store);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        TEST(test_an_append_after_a_failed_sync_lasts),
        TEST(test_an_append_in_the_next_segment_lasts),
        TEST(test_a_segment_whose_end_failed_to_be_synced_lasts),
        TEST(test_what_was_dropped_from_memory_is_not_acknowledged),
        TEST(test_syncing_once_more_helps_records),
        TEST(test_syncing_once_more_helps_commits),
        TEST(test_committing_once_more_lasts),
        TEST(test_resetting_once_more_lasts),
        TEST(test_a_commit_while_its_group_is_closed_lasts),
        TEST(test_another_sync_that_helps_does_no_harm),
        TEST(test_another_sync_that_fails_after_one_that_helps_counts),
        TEST(test_a_failed_sync_whose_process_died_counts),
        TEST(test_an_end_that_fails_before_a_record_is_synced),
        TEST(test_an_end_that_fails_and_dies_before_a_record_is_synced),
        TEST(test_an_end_that_fails_after_a_record_was_synced),
        TEST(test_a_recovery_whose_sync_failed_counts),
        TEST(test_what_is_broken_starves_nobody),
        TEST(test_a_broken_group_keeps_no_other_from_being_opened),
        TEST(test_a_topic_lasts_that_is_used),
        TEST(test_nothing_is_removed_before_its_deletion_lasts),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
