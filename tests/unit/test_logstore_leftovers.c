#include "tests/lib/logstore_fixture.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/stat.h>
#include <sys/wait.h>

/* What a process leaves behind that is killed at its work goes when others do theirs. */

#define TOPIC STR_LITERAL("t")
#define OTHER STR_LITERAL("other")
#define GROUP STR_LITERAL("g")

static long left; /* calls until the process dies; negative: it doesn't */

static int die(void *context, struct fsio_step *step)
{
    (void)context;
    (void)step;
    if (left >= 0 && left-- == 0)
        raise(SIGKILL);
    return 0;
}

static struct fsio_fault deadly = {.before = die};

static size_t files, bytes_of_files;

static int count_file(const char *path, const struct stat *status, int type, struct FTW *walk)
{
    (void)path;
    (void)walk;
    files++;
    bytes_of_files += type == FTW_F ? (size_t)status->st_size : 0;
    return 0;
}

static size_t count_files(void)
{
    files = 0;
    assert_int_equal(nftw(fixture_folder, count_file, 16, FTW_PHYS), 0);
    return files;
}

static void append_keys(struct logstore *store, int count)
{
    struct error error = {0};
    for (int i = 0; i < count; i++) {
        char key[16];
        snprintf(key, sizeof key, "key %d", i % 3);
        struct logstore_record record = fixture_record(key, "value of some length, to fill segments");
        MUST(logstore_append(store, TOPIC, 0, &record, 1, NULL, &error));
    }
}

static struct logstore *make_store(void)
{
    struct error error = {0};
    struct logstore_config config = logstore_config_default();
    struct logstore *store = fixture_open(LOGSTORE_CREATE, LOGSTORE_FSYNC_NEVER);
    config.segment_bytes = 1024;
    MUST(logstore_topic_create(store, TOPIC, 1, &config, &error));
    append_keys(store, 60);
    return store;
}

static void alter(struct logstore *store, unsigned policy, int64_t retention_bytes)
{
    struct error error = {0};
    struct logstore_topic topic;
    MUST(logstore_topic_find(store, TOPIC, &topic, &error));
    topic.config.cleanup_policy = policy;
    topic.config.retention_bytes = retention_bytes;
    MUST(logstore_topic_alter(store, TOPIC, &topic.config, &error));
}

static void compact(struct logstore *store)
{
    struct error error = {0};
    alter(store, LOGSTORE_CLEANUP_COMPACT, -1);
    MUST(logstore_compact(store, TOPIC, NULL, &error));
}

static void retain(struct logstore *store)
{
    struct error error = {0};
    alter(store, LOGSTORE_CLEANUP_DELETE, 1500);
    MUST(logstore_retain(store, TOPIC, NULL, &error));
}

static void make_and_delete(struct logstore *store)
{
    struct error error = {0};
    struct logstore_record record = fixture_record(NULL, "v");
    struct logstore_commit commit = {TOPIC, 0, 1, STR_LITERAL("")};
    struct logstore_topic found;
    if (!logstore_topic_find(store, OTHER, &found, &error)) {
        error_clear(&error);
        MUST(logstore_topic_create(store, OTHER, 3, NULL, &error));
    }
    for (uint32_t partition = 0; partition < 3; partition++)
        MUST(logstore_append(store, OTHER, partition, &record, 1, NULL, &error));
    MUST(logstore_topic_delete(store, OTHER, &error));
    MUST(logstore_commit(store, GROUP, &commit, 1, &error) && logstore_delete_group(store, GROUP, &error));
    MUST(logstore_expire_offsets(store, &error));
}

static bool work_until_death(void (*work)(struct logstore *store), long calls)
{
    fflush(NULL);
    pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        struct logstore *store = fixture_open(LOGSTORE_WRITE, LOGSTORE_FSYNC_NEVER);
        left = calls;
        fsio_fault = &deadly;
        work(store);
        _exit(0);
    }
    int status;
    assert_int_equal(waitpid(child, &status, 0), child);
    return WIFSIGNALED(status);
}

/* Whoever does the work to its end, after it was killed at every 3rd call, leaves as many files as if nobody
 * had been killed. */
static void check(void (*work)(struct logstore *store))
{
    assert_int_equal(fixture_setup_at("/dev/shm"), 0);
    struct logstore *store = make_store();
    work(store);
    size_t expected = count_files();
    logstore_close(&store);
    assert_int_equal(fixture_teardown(NULL), 0);
    bool died = true;
    for (long calls = 0; died; calls += 3) {
        assert_int_equal(fixture_setup_at("/dev/shm"), 0);
        store = make_store();
        logstore_close(&store);
        died = work_until_death(work, calls);
        store = fixture_open(LOGSTORE_WRITE, LOGSTORE_FSYNC_NEVER);
        work(store);
        size_t found = count_files();
        if (found != expected)
            fail_msg("%zu files, not %zu, after a death at call %ld", found, expected, calls);
        logstore_close(&store);
        assert_int_equal(fixture_teardown(NULL), 0);
    }
}

static void test_compaction_leaves_nothing(void **state)
{
    (void)state;
    check(compact);
}

static void test_retention_leaves_nothing(void **state)
{
    (void)state;
    check(retain);
}

static void test_topics_and_groups_leave_nothing(void **state)
{
    (void)state;
    check(make_and_delete);
}

/* A compaction that died, and then the topic is not compacted any more. */
static void test_what_a_compaction_left_goes_with_retention(void **state)
{
    (void)state;
    assert_int_equal(fixture_setup_at("/dev/shm"), 0);
    struct logstore *store = make_store();
    size_t before = count_files();
    for (int i = 0; i < 3; i++) {
        static const char *const names[] = {"00000000000000000000.log.new", "00000000000000000000.index.new",
                                            "00000000000000000001.index"};
        char path[160];
        snprintf(path, sizeof path, "%s/topic/00000001/0/%s", fixture_folder, names[i]);
        int fd = open(path, O_RDWR | O_CREAT | O_EXCL, 0666);
        assert_true(fd >= 0);
        close(fd);
    }
    struct error error = {0};
    MUST(logstore_retain(store, TOPIC, NULL, &error));
    assert_int_equal(count_files(), before);
    append_keys(store, 60);
    logstore_close(&store);
    assert_int_equal(fixture_teardown(NULL), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_compaction_leaves_nothing),
        cmocka_unit_test(test_retention_leaves_nothing),
        cmocka_unit_test(test_topics_and_groups_leave_nothing),
        cmocka_unit_test(test_what_a_compaction_left_goes_with_retention),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
