#include "tests/lib/logstore_fixture.h"

#include <errno.h>
#include <sys/mman.h>

static struct logstore_observer *open_observer(void)
{
    struct error error = {0};
    struct logstore_observer *observer = logstore_observer_open(fixture_folder, &error);
    MUST(observer != NULL);
    return observer;
}

static void append(struct logstore *store, const char *topic, uint32_t partition, int64_t timestamp,
                   size_t count)
{
    struct error error = {0};
    for (size_t i = 0; i < count; i++) {
        struct logstore_record record = fixture_record("key", "value");
        record.timestamp = timestamp + (int64_t)i;
        MUST(logstore_append(store, str_of(topic), partition, &record, 1, NULL, &error));
    }
}

static void commit(struct logstore *store, struct str group, const char *topic, uint32_t partition,
                   int64_t offset, struct str metadata)
{
    struct error error = {0};
    struct logstore_commit one = {str_of(topic), partition, offset, metadata};
    MUST(logstore_commit(store, group, &one, 1, &error));
}

static void test_a_store_that_appears_later(void **state)
{
    (void)state;
    struct error error = {0};
    const struct logstore_observed_topic *topics;
    const struct logstore_observed_group *groups;
    size_t count;
    struct logstore_observer *observer = open_observer();
    MUST_FAIL(logstore_observe_topics(observer, &topics, &count, &error), ERROR_NOT_FOUND);
    MUST_FAIL(logstore_observe_groups(observer, &groups, &count, &error), ERROR_NOT_FOUND);
    MUST_FAIL(logstore_observe_ends(observer, &error), ERROR_NOT_FOUND);
    struct logstore *store = fixture_open(LOGSTORE_CREATE, LOGSTORE_FSYNC_NEVER);
    MUST(logstore_observe_topics(observer, &topics, &count, &error));
    assert_int_equal(count, 0);
    MUST(logstore_topic_create(store, STR_LITERAL("t"), 2, NULL, &error));
    MUST(logstore_observe_topics(observer, &topics, &count, &error));
    assert_int_equal(count, 1);
    assert_int_equal(logstore_observe_offsets_retention_ms(observer), 604800000);
    logstore_close(&store);

    /* It goes, and another one comes in its place. */
    assert_int_equal(fixture_teardown(NULL), 0);
    MUST_FAIL(logstore_observe_topics(observer, &topics, &count, &error), ERROR_NOT_FOUND);
    store = fixture_open(LOGSTORE_CREATE, LOGSTORE_FSYNC_NEVER);
    MUST(logstore_observe_topics(observer, &topics, &count, &error));
    assert_int_equal(count, 0);
    logstore_close(&store);
    logstore_observer_close(&observer);
}

static void test_topics_with_their_offsets_and_times(void **state)
{
    (void)state;
    struct error error = {0};
    const struct logstore_observed_topic *topics;
    size_t count;
    struct logstore *store = fixture_open(LOGSTORE_CREATE, LOGSTORE_FSYNC_ALWAYS);
    struct logstore_config config = logstore_config_default();
    MUST(logstore_config_set(&config, STR_LITERAL("retention.ms"), STR_LITERAL("60000"), &error));
    MUST(logstore_topic_create(store, STR_LITERAL("b\0\n\"\xff"), 2, &config, &error));
    MUST(logstore_topic_create(store, STR_LITERAL("a"), 1, NULL, &error));
    struct logstore_observer *observer = open_observer();
    append(store, "a", 0, 5000, 3);
    MUST(logstore_observe_topics(observer, &topics, &count, &error));
    append(store, "a", 0, 6000, 4);
    assert_int_equal(count, 2);
    assert_true(str_equal(topics[0].name, STR_LITERAL("a")));
    assert_true(str_equal(topics[1].name, STR_LITERAL("b\0\n\"\xff")));
    assert_int_equal(topics[1].config.retention_ms, 60000);
    assert_int_equal(topics[1].partition_count, 2);
    assert_int_equal(topics[0].partitions[0].start, 0);
    assert_int_equal(topics[0].partitions[0].start_timestamp, 5000);
    assert_int_equal(topics[0].partitions[0].end, -1);
    assert_int_equal(topics[1].partitions[1].start_timestamp, -1);
    MUST(logstore_observe_ends(observer, &error));
    assert_int_equal(topics[0].partitions[0].end, 7);
    assert_int_equal(topics[1].partitions[1].end, 0);
    static const int64_t TIMES[] = {5000, 5001, 5002, 6000, 6001, 6002, 6003, -1, -1};
    for (int offset = 8; offset >= 0; offset--) {
        int64_t timestamp;
        MUST(logstore_observe_timestamp(observer, 0, 0, offset, &timestamp, &error));
        assert_int_equal(timestamp, TIMES[offset]);
    }
    logstore_observer_close(&observer);
    logstore_close(&store);
}

static const struct logstore_observed_commit *find_commit(const struct logstore_observed_commit *commits,
                                                          size_t count, uint32_t topic, uint32_t partition)
{
    for (size_t i = 0; i < count; i++)
        if (commits[i].topic == topic && commits[i].partition == partition)
            return &commits[i];
    return NULL;
}

static void test_commits_with_metadata(void **state)
{
    (void)state;
    struct error error = {0};
    const struct logstore_observed_topic *topics;
    const struct logstore_observed_group *groups;
    const struct logstore_observed_commit *commits, *found;
    size_t count;
    struct str metadata;
    struct logstore *store = fixture_open(LOGSTORE_CREATE, LOGSTORE_FSYNC_ALWAYS);
    MUST(logstore_topic_create(store, STR_LITERAL("gone"), 1, NULL, &error));
    MUST(logstore_topic_create(store, STR_LITERAL("t"), 3, NULL, &error));
    char *long_name = malloc(32768);
    assert_non_null(long_name);
    memset(long_name, '\n', 32768);
    struct str group = {long_name, 32768};
    struct logstore_observer *observer = open_observer();
    commit(store, group, "gone", 0, 4, STR_LITERAL(""));
    commit(store, group, "t", 2, 7, STR_LITERAL("first"));
    commit(store, group, "t", 0, 1, STR_LITERAL(""));
    commit(store, STR_LITERAL("other"), "t", 0, 99, STR_LITERAL(""));
    commit(store, group, "t", 2, 9223372036854775807, STR_LITERAL("sec\0nd"));
    MUST(logstore_topic_delete(store, STR_LITERAL("gone"), &error));
    MUST(logstore_observe_topics(observer, &topics, &count, &error));
    MUST(logstore_observe_groups(observer, &groups, &count, &error));
    assert_int_equal(count, 2);
    assert_true(str_equal(groups[0].name, group));
    assert_int_equal(groups[0].state, LOGSTORE_GROUP_EMPTY);
    MUST(logstore_observe_commits(observer, 0, &commits, &count, &error));
    assert_int_equal(count, 2);
    found = find_commit(commits, count, 0, 2);
    assert_non_null(found);
    assert_int_equal(found->offset, 9223372036854775807);
    assert_true(found->time > 1500000000000);
    MUST(logstore_observe_metadata(observer, 0, found, &metadata, &error));
    assert_true(str_equal(metadata, STR_LITERAL("sec\0nd")));
    commit(store, group, "t", 2, 8, STR_LITERAL("third"));
    commit(store, group, "t", 2, 8, STR_LITERAL("fourth"));
    MUST_FAIL(logstore_observe_metadata(observer, 0, found, &metadata, &error), ERROR_NOT_FOUND);
    found = find_commit(commits, count, 0, 0);
    assert_non_null(found);
    assert_int_equal(found->offset, 1);
    MUST(logstore_observe_commits(observer, 1, &commits, &count, &error));
    assert_int_equal(count, 1);
    assert_int_equal(commits[0].offset, 99);
    int64_t offset;
    MUST(logstore_committed(store, group, STR_LITERAL("t"), 2, &offset, &error));
    assert_int_equal(offset, 8);
    MUST(logstore_committed(store, group, STR_LITERAL("t"), 1, &offset, &error));
    assert_int_equal(offset, -1);
    MUST(logstore_committed(store, STR_LITERAL("nobody"), STR_LITERAL("t"), 1, &offset, &error));
    assert_int_equal(offset, -1);
    logstore_observer_close(&observer);
    logstore_close(&store);
    free(long_name);
}

/* Two handles commit for one group in turn, many times around the circle of sequence numbers. */
static void test_commits_of_several_writers(void **state)
{
    (void)state;
    struct error error = {0};
    struct logstore *one = fixture_open(LOGSTORE_CREATE, LOGSTORE_FSYNC_NEVER);
    struct logstore *other = fixture_open(LOGSTORE_WRITE, LOGSTORE_FSYNC_NEVER);
    MUST(logstore_topic_create(one, STR_LITERAL("t"), 200, NULL, &error));
    for (int64_t offset = 0; offset < 70000; offset++)
        commit(offset % 3 == 0 ? one : other, STR_LITERAL("g"), "t", 0, offset, STR_LITERAL(""));
    for (uint32_t partition = 1; partition < 200; partition++)
        commit(partition % 3 == 0 ? one : other, STR_LITERAL("g"), "t", partition, partition,
               STR_LITERAL("m"));
    for (uint32_t partition = 0; partition < 200; partition++) {
        int64_t offset;
        MUST(logstore_committed(partition % 2 == 0 ? one : other, STR_LITERAL("g"), STR_LITERAL("t"),
                                partition, &offset, &error));
        assert_int_equal(offset, partition == 0 ? 69999 : partition);
    }
    logstore_close(&one);
    logstore_close(&other);
}

static void test_commits_that_are_refused(void **state)
{
    (void)state;
    struct error error = {0};
    struct logstore *store = fixture_open(LOGSTORE_CREATE, LOGSTORE_FSYNC_NEVER);
    MUST(logstore_topic_create(store, STR_LITERAL("t"), 1, NULL, &error));
    char *metadata = calloc(1, 4097);
    assert_non_null(metadata);
    struct logstore_commit negative = {STR_LITERAL("t"), 0, -1, STR_LITERAL("")},
                           missing = {STR_LITERAL("t"), 1, 1, STR_LITERAL("")},
                           chatty = {STR_LITERAL("t"), 0, 1, {metadata, 4097}};
    MUST_FAIL(logstore_commit(store, STR_LITERAL("g"), &negative, 1, &error), ERROR_USAGE);
    MUST_FAIL(logstore_commit(store, STR_LITERAL("g"), &missing, 1, &error), ERROR_NOT_FOUND);
    MUST_FAIL(logstore_commit(store, STR_LITERAL("g"), &chatty, 1, &error), ERROR_USAGE);
    MUST_FAIL(logstore_commit(store, STR_LITERAL(""), &missing, 1, &error), ERROR_USAGE);
    free(metadata);
    logstore_close(&store);
}

/* --- a file that gets shorter, as no writer makes it ------------------------------------------------------
 */

enum { CUT_PARTITIONS = 500, CUT_SIZE = 4096 };

static void cut_file(void)
{
    char path[128];
    snprintf(path, sizeof path, "%s/group/00000001/offsets", fixture_folder);
    assert_int_equal(truncate(path, CUT_SIZE), 0);
}

static struct logstore_observer *observe_before_the_cut(void)
{
    struct error error = {0};
    const struct logstore_observed_topic *topics;
    const struct logstore_observed_group *groups;
    size_t count;
    struct logstore *store = fixture_open(LOGSTORE_CREATE, LOGSTORE_FSYNC_NEVER);
    MUST(logstore_topic_create(store, STR_LITERAL("t"), CUT_PARTITIONS, NULL, &error));
    for (uint32_t partition = 0; partition < CUT_PARTITIONS; partition++)
        commit(store, STR_LITERAL("g"), "t", partition, 1, STR_LITERAL(""));
    logstore_close(&store);
    struct logstore_observer *observer = open_observer();
    MUST(logstore_observe_topics(observer, &topics, &count, &error));
    MUST(logstore_observe_groups(observer, &groups, &count, &error));
    return observer;
}

/* Half of the commits would be gone without a word. */
static void test_a_file_that_is_cut_between_two_polls_is_told(void **state)
{
    (void)state;
    struct error error = {0};
    const struct logstore_observed_commit *commits;
    size_t count;
    struct logstore_observer *observer = observe_before_the_cut();
    MUST(logstore_observe_commits(observer, 0, &commits, &count, &error));
    assert_int_equal(count, CUT_PARTITIONS);
    cut_file();
    MUST_FAIL(logstore_observe_commits(observer, 0, &commits, &count, &error), ERROR_CORRUPT);
    logstore_observer_close(&observer);
}

static int cut_before_mapping(void *context, struct fsio_step *step)
{
    bool *cut = context;
    if (!*cut && step->call == FSIO_READ && step->count > CUT_SIZE && strstr(step->name, "offsets") != NULL) {
        *cut = true;
        cut_file();
    }
    return 0;
}

/* A page that can't be had, here since it is cut off in the last moment: the process lives on. */
static void test_a_page_that_is_not_there_ends_nobody(void **state)
{
    (void)state;
    struct error error = {0};
    const struct logstore_observed_commit *commits;
    size_t count;
    bool cut = false;
    void *page = mmap(NULL, 4096, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    assert_true(page != MAP_FAILED);
    if (madvise(page, 4096, MADV_POPULATE_READ) != 0 && errno == EINVAL)
        skip(); /* Linux before 5.14 can't tell */
    munmap(page, 4096);
    struct logstore_observer *observer = observe_before_the_cut();
    const struct fsio_fault cutting = {.before = cut_before_mapping, .context = &cut};
    fsio_fault = &cutting;
    MUST_FAIL(logstore_observe_commits(observer, 0, &commits, &count, &error), ERROR_IO);
    fsio_fault = NULL;
    assert_true(cut);
    logstore_observer_close(&observer);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, fixture_setup, fixture_teardown)
    const struct CMUnitTest tests[] = {
        TEST(test_a_store_that_appears_later),
        TEST(test_topics_with_their_offsets_and_times),
        TEST(test_commits_with_metadata),
        TEST(test_commits_of_several_writers),
        TEST(test_commits_that_are_refused),
        TEST(test_a_file_that_is_cut_between_two_polls_is_told),
        TEST(test_a_page_that_is_not_there_ends_nobody),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
