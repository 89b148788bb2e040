#include "tests/lib/logstore_fixture.h"

#include <pthread.h>

/* Many threads use one handle, or several, at once. Also meant to be run under the thread sanitizer. */

#define TOPIC STR_LITERAL("t")

enum { THREADS = 4, ROUNDS = 60, PARTITIONS = 3 };

struct worker {
    struct logstore *store;
    int number;
    int failures;
    char *text; /* owned: of the first failure */
};

static void note(struct worker *worker, struct error *error)
{
    if (worker->failures++ == 0)
        worker->text = strdup(error_text(error));
    error_clear(error);
}

/* Appends, commits, reads what is there, and lists. */
static void *work(void *context)
{
    struct worker *worker = context;
    struct error error = {0};
    char group[16];
    snprintf(group, sizeof group, "group %d", worker->number % 2);
    for (int round = 0; round < ROUNDS; round++) {
        struct logstore_record record = fixture_record("k", "value"), read;
        uint32_t partition = (uint32_t)round % PARTITIONS;
        struct logstore_commit commit = {TOPIC, partition, round, STR_LITERAL("m")};
        int64_t first, offset;
        if (!logstore_append(worker->store, TOPIC, partition, &record, 1, &first, &error) ||
            !logstore_commit(worker->store, str_of(group), &commit, 1, &error) ||
            !logstore_committed(worker->store, str_of(group), TOPIC, partition, &offset, &error))
            note(worker, &error);
        struct logstore_reader *reader = logstore_reader_open(worker->store, TOPIC, partition, first, &error);
        if (reader == NULL || logstore_read(reader, &read, &error) != LOGSTORE_READ_RECORD ||
            read.offset != first)
            note(worker, &error);
        logstore_reader_close(&reader);
        if (round % 20 == 19 && !logstore_sync(worker->store, &error))
            note(worker, &error);
        char topic[16];
        snprintf(topic, sizeof topic, "%d-%d", worker->number, round);
        if (round % 10 == 0 && (!logstore_topic_create(worker->store, str_of(topic), 2, NULL, &error) ||
                                !logstore_topic_delete(worker->store, str_of(topic), &error)))
            note(worker, &error);
    }
    return NULL;
}

static void run_threads(struct logstore *const *stores, size_t store_count)
{
    struct worker workers[THREADS];
    pthread_t threads[THREADS];
    for (int i = 0; i < THREADS; i++) {
        workers[i] = (struct worker){.store = stores[(size_t)i % store_count], .number = i};
        assert_int_equal(pthread_create(&threads[i], NULL, work, &workers[i]), 0);
    }
    for (int i = 0; i < THREADS; i++) {
        assert_int_equal(pthread_join(threads[i], NULL), 0);
        if (workers[i].failures > 0)
            fail_msg("%d failures, first: %s", workers[i].failures, workers[i].text);
    }
}

static void check_count(struct logstore *store)
{
    struct error error = {0};
    int64_t total = 0;
    for (uint32_t partition = 0; partition < PARTITIONS; partition++) {
        int64_t start, end;
        MUST(logstore_offsets(store, TOPIC, partition, &start, &end, &error));
        total += end;
    }
    assert_int_equal(total, THREADS * ROUNDS);
}

static void make_topic(struct logstore *store)
{
    struct error error = {0};
    struct logstore_config config = logstore_config_default();
    config.segment_bytes = 2000;
    MUST(logstore_topic_create(store, TOPIC, PARTITIONS, &config, &error));
}

static void test_threads_share_a_handle_in_each_mode(void **state)
{
    (void)state;
    for (int mode = 0; mode < 3; mode++) {
        struct logstore *store = fixture_open(LOGSTORE_CREATE, (enum logstore_fsync)mode);
        make_topic(store);
        run_threads(&store, 1);
        check_count(store);
        logstore_close(&store);
        assert_int_equal(fixture_teardown(NULL), 0);
        assert_int_equal(fixture_setup(NULL), 0);
    }
}

static void test_threads_with_handles_of_their_own(void **state)
{
    (void)state;
    struct logstore *stores[] = {fixture_open(LOGSTORE_CREATE, LOGSTORE_FSYNC_ALWAYS),
                                 fixture_open(LOGSTORE_WRITE, LOGSTORE_FSYNC_INTERVAL)};
    make_topic(stores[0]);
    run_threads(stores, 2);
    logstore_close(&stores[1]);
    check_count(stores[0]);
    logstore_close(&stores[0]);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, fixture_setup, fixture_teardown)
    const struct CMUnitTest tests[] = {
        TEST(test_threads_share_a_handle_in_each_mode),
        TEST(test_threads_with_handles_of_their_own),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
