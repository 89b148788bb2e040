#include "tests/lib/logstore_calls.h"
#include "tests/lib/logstore_fixture.h"

#include <dirent.h>
#include <sys/resource.h>

#define TOPIC STR_LITERAL("t")
#define GROUP STR_LITERAL("g")

static struct logstore *store_with_records(int count)
{
    struct error error = {0};
    struct logstore *store = fixture_open(LOGSTORE_CREATE, LOGSTORE_FSYNC_NEVER);
    struct logstore_config config = logstore_config_default();
    config.retention_ms = -1;
    MUST(logstore_topic_create(store, TOPIC, 2, &config, &error));
    for (int i = 0; i < count; i++) {
        struct logstore_record record = fixture_record("k", "v");
        record.timestamp = 1000 + i;
        MUST(logstore_append(store, TOPIC, 0, &record, 1, NULL, &error));
    }
    return store;
}

static void commit(struct logstore *store, struct str group, uint32_t partition, int64_t offset)
{
    struct error error = {0};
    struct logstore_commit one = {TOPIC, partition, offset, STR_LITERAL("")};
    MUST(logstore_commit(store, group, &one, 1, &error));
}

static int64_t committed(struct logstore *store, struct str group, uint32_t partition)
{
    struct error error = {0};
    int64_t offset;
    MUST(logstore_committed(store, group, TOPIC, partition, &offset, &error));
    return offset;
}

static size_t count_groups(void)
{
    struct error error = {0};
    const struct logstore_observed_topic *topics;
    const struct logstore_observed_group *groups;
    size_t count;
    struct logstore_observer *observer = logstore_observer_open(fixture_folder, &error);
    MUST(observer != NULL && logstore_observe_topics(observer, &topics, &count, &error));
    MUST(logstore_observe_groups(observer, &groups, &count, &error));
    logstore_observer_close(&observer);
    return count;
}

static void test_resets_of_every_kind(void **state)
{
    (void)state;
    struct error error = {0};
    static const struct {
        enum logstore_target target;
        int64_t value, after;
    } CASES[] = {
        {LOGSTORE_TO_EARLIEST, 0, 0},        {LOGSTORE_TO_LATEST, 0, 100}, {LOGSTORE_TO_OFFSET, 7, 7},
        {LOGSTORE_TO_OFFSET, 900, 100},      {LOGSTORE_TO_TIME, 1033, 33}, {LOGSTORE_TO_TIME, 99999, 100},
        {LOGSTORE_BY_SHIFT, -5, 35},         {LOGSTORE_BY_SHIFT, 5, 45},   {LOGSTORE_BY_SHIFT, -500, 0},
        {LOGSTORE_BY_SHIFT, INT64_MAX, 100},
    };
    struct logstore *store = store_with_records(100);
    struct logstore_reset_result result;
    for (size_t i = 0; i < sizeof CASES / sizeof CASES[0]; i++)
        for (int dry_run = 1; dry_run >= 0; dry_run--) {
            commit(store, GROUP, 0, 40);
            MUST(logstore_reset_group(store, GROUP, TOPIC, 0, CASES[i].target, CASES[i].value, dry_run,
                                      &result, &error));
            assert_int_equal(result.before, 40);
            assert_int_equal(result.after, CASES[i].after);
            assert_int_equal(committed(store, GROUP, 0), dry_run ? 40 : CASES[i].after);
        }
    MUST_FAIL(logstore_reset_group(store, GROUP, TOPIC, 1, LOGSTORE_BY_SHIFT, 1, false, &result, &error),
              ERROR_USAGE);
    MUST_FAIL(logstore_reset_group(store, GROUP, TOPIC, 2, LOGSTORE_TO_LATEST, 0, false, &result, &error),
              ERROR_NOT_FOUND);
    MUST_FAIL(logstore_reset_group(store, STR_LITERAL("x"), TOPIC, 0, LOGSTORE_TO_LATEST, 0, false, &result,
                                   &error),
              ERROR_NOT_FOUND);
    logstore_close(&store);
}

static void test_a_group_with_members_is_neither_reset_nor_deleted(void **state)
{
    (void)state;
    struct error error = {0};
    const struct str topic = TOPIC;
    struct logstore_reset_result result;
    struct logstore *store = store_with_records(1);
    struct logstore_consumer *consumer = logstore_consumer_join(store, GROUP, &topic, 1, NULL, &error);
    MUST(consumer != NULL);
    MUST_FAIL(logstore_reset_group(store, GROUP, TOPIC, 0, LOGSTORE_TO_LATEST, 0, true, &result, &error),
              ERROR_CONFLICT);
    MUST_FAIL(logstore_delete_group(store, GROUP, &error), ERROR_CONFLICT);
    MUST(logstore_consumer_leave(&consumer, &error));
    MUST(logstore_reset_group(store, GROUP, TOPIC, 0, LOGSTORE_TO_LATEST, 0, false, &result, &error));
    assert_int_equal(result.before, -1);
    assert_int_equal(committed(store, GROUP, 0), 1);
    logstore_close(&store);
}

/* A second handle has the group open while it is deleted. */
static void test_a_group_that_was_deleted_starts_anew(void **state)
{
    (void)state;
    struct error error = {0};
    struct logstore *store = store_with_records(1),
                    *other = fixture_open(LOGSTORE_WRITE, LOGSTORE_FSYNC_NEVER);
    commit(store, GROUP, 0, 1);
    commit(other, GROUP, 1, 0);
    MUST(logstore_delete_group(store, GROUP, &error));
    MUST_FAIL(logstore_delete_group(store, GROUP, &error), ERROR_NOT_FOUND);
    assert_int_equal(count_groups(), 0);
    assert_int_equal(committed(other, GROUP, 0), -1);
    commit(other, GROUP, 1, 0);
    assert_int_equal(committed(store, GROUP, 1), 0);
    assert_int_equal(committed(store, GROUP, 0), -1);
    assert_int_equal(count_groups(), 1);
    logstore_close(&store);
    logstore_close(&other);
}

static int set_up_in_memory(void **state)
{
    (void)state;
    return fixture_setup_at("/dev/shm");
}

static int count_descriptors(void)
{
    int count = 0;
    DIR *folder = opendir("/proc/self/fd");
    assert_non_null(folder);
    while (readdir(folder) != NULL)
        count++;
    closedir(folder);
    return count;
}

static void name_of(char name[32], int number)
{
    snprintf(name, 32, "group %d", number);
}

/* Each group's commits and its member, who has gone, are seen by an observer that can't have all open. */
static void observe_all(struct logstore_observer *observer, int groups)
{
    struct error error = {0};
    const struct logstore_observed_topic *topics;
    const struct logstore_observed_group *observed;
    const struct logstore_observed_commit *commits;
    size_t count, of_group;
    MUST(logstore_observe_topics(observer, &topics, &count, &error));
    MUST(logstore_observe_groups(observer, &observed, &count, &error));
    assert_int_equal(count, groups);
    for (size_t i = 0; i < count; i++) {
        assert_null(observed[i].failure);
        MUST(logstore_observe_commits(observer, i, &commits, &of_group, &error));
        assert_int_equal(of_group, 1);
        char name[32];
        name_of(name, (int)commits[0].offset);
        assert_true(str_equal(observed[i].name, str_of(name)));
    }
}

/* Three files each, and 1,024 descriptors. GROUPS_OPEN says how many groups there are. */
static void test_more_groups_than_descriptors(void **state)
{
    (void)state;
    struct error error = {0};
    char name[32];
    const char *asked = getenv("GROUPS_OPEN");
    const struct str topic = TOPIC;
    int groups = asked == NULL ? 600 : atoi(asked), before;
    struct rlimit limit = {0}, small = {0};
    assert_int_equal(getrlimit(RLIMIT_NOFILE, &limit), 0);
    small = (struct rlimit){1024, limit.rlim_max};
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &small), 0);
    before = count_descriptors();
    struct logstore *store = store_with_records(1);
    for (int i = 0; i < groups; i++) {
        name_of(name, i);
        commit(store, str_of(name), 0, i);
    }
    for (int i = 0; i < groups; i += 7) {
        name_of(name, i);
        assert_int_equal(committed(store, str_of(name), 0), i);
        struct logstore_consumer *consumer =
            logstore_consumer_join(store, str_of(name), &topic, 1, NULL, &error);
        MUST(consumer != NULL && logstore_consumer_leave(&consumer, &error));
    }
    MUST(logstore_sync(store, &error));
    struct logstore_observer *observer = logstore_observer_open(fixture_folder, &error);
    MUST(observer != NULL);
    observe_all(observer, groups);
    logstore_observer_close(&observer);
    assert_true(count_descriptors() < before + 500);
    for (int i = 0; i < groups && i < 200; i++) {
        name_of(name, i);
        MUST(logstore_delete_group(store, str_of(name), &error));
    }
    assert_int_equal(count_groups(), groups < 200 ? 0 : groups - 200);
    logstore_close(&store);
    assert_int_equal(count_descriptors(), before);
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &limit), 0);
}

/* Where the process may have many descriptors, the groups of a store of some size stay open between polls. */
static void test_groups_stay_open_where_there_are_descriptors(void **state)
{
    (void)state;
    enum { GROUPS = 200, ENOUGH = 8 * 3 * GROUPS };
    struct rlimit limit = {0}, large = {0};
    char name[32];
    assert_int_equal(getrlimit(RLIMIT_NOFILE, &limit), 0);
    large = (struct rlimit){limit.rlim_cur < ENOUGH ? ENOUGH : limit.rlim_cur, limit.rlim_max};
    if (setrlimit(RLIMIT_NOFILE, &large) != 0)
        skip(); /* as many aren't to be had */
    struct error error = {0};
    struct logstore *store = store_with_records(1);
    for (int i = 0; i < GROUPS; i++) {
        name_of(name, i);
        commit(store, str_of(name), 0, i);
    }
    logstore_close(&store);
    struct logstore_observer *observer = logstore_observer_open(fixture_folder, &error);
    MUST(observer != NULL);
    observe_all(observer, GROUPS);
    opens = 0;
    fsio_fault = &counting;
    observe_all(observer, GROUPS);
    fsio_fault = NULL;
    assert_int_equal(opens, 0);
    logstore_observer_close(&observer);
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &limit), 0);
}

static off_t size_of(const char *name)
{
    struct stat status;
    char path[128];
    snprintf(path, sizeof path, "%s/group/00000001/%s", fixture_folder, name);
    assert_int_equal(stat(path, &status), 0);
    return status.st_size;
}

/* Commits on a topic that is gone are no use to anybody, and make place for others, with their metadata. */
static void test_commits_on_deleted_topics_go(void **state)
{
    (void)state;
    struct error error = {0};
    const struct str topic = TOPIC, other = STR_LITERAL("other");
    struct logstore *store = store_with_records(1);
    struct logstore_consumer *consumer = logstore_consumer_join(store, GROUP, &topic, 1, NULL, &error);
    MUST(consumer != NULL && logstore_consumer_commit(consumer, &error));
    MUST(logstore_consumer_leave(&consumer, &error));
    off_t size = size_of("offsets"), metadata_size = 0;
    for (int round = 0; round < 10; round++) {
        MUST(logstore_topic_create(store, other, 20, NULL, &error));
        for (uint32_t partition = 0; partition < 20; partition++) {
            struct logstore_commit one = {other, partition, 0, STR_LITERAL("metadata")};
            MUST(logstore_commit(store, GROUP, &one, 1, &error) &&
                 logstore_commit(store, GROUP, &one, 1, &error)); /* in both halves */
        }
        if (round == 0)
            metadata_size = size_of("metadata");
        MUST(logstore_topic_delete(store, other, &error));
        MUST(logstore_expire_offsets(store, &error));
    }
    assert_int_equal(size_of("offsets"), size);
    assert_int_equal(size_of("metadata"), metadata_size);
    assert_int_equal(committed(store, GROUP, 0), 0);
    logstore_close(&store);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, fixture_setup, fixture_teardown)
    const struct CMUnitTest tests[] = {
        TEST(test_resets_of_every_kind),
        TEST(test_a_group_with_members_is_neither_reset_nor_deleted),
        TEST(test_a_group_that_was_deleted_starts_anew),
        cmocka_unit_test_setup_teardown(test_more_groups_than_descriptors, set_up_in_memory,
                                        fixture_teardown),
        cmocka_unit_test_setup_teardown(test_groups_stay_open_where_there_are_descriptors, set_up_in_memory,
                                        fixture_teardown),
        TEST(test_commits_on_deleted_topics_go),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
