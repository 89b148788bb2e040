#include "tests/lib/logstore_fixture.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <signal.h>
#include <stdatomic.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <time.h>

/*
 * Producers and consumers, each a process of its own, are killed at random moments and started again. What a
 * process was told is noted in memory that outlives it. In the end each record that was acknowledged is there
 * once, those of a producer are in its order, and the members of the group have read them all. KILL_ROUNDS
 * says how often (20).
 */

#define TOPIC STR_LITERAL("t")
#define GROUP STR_LITERAL("g")

enum { PARTITIONS = 3, PRODUCERS = 2, CONSUMERS = 2, RECORDS_MOST = 1 << 20 };

/* Shared by all processes. Of a producer only its own process writes. */
struct notes {
    struct {
        _Atomic(uint64_t) tried;        /* the last number that it has begun to append */
        _Atomic(uint64_t) acknowledged; /* the last one that was acknowledged */
    } producers[PRODUCERS];
    _Atomic(unsigned char) appended[PRODUCERS][RECORDS_MOST]; /* 1: acknowledged */
    _Atomic(unsigned char) read[PRODUCERS][RECORDS_MOST];
    _Atomic(int) failures;
};

static struct notes *notes;

static void note_failure(const char *what, struct error *error)
{
    fprintf(stderr, "%s: %s\n", what, error_text(error));
    atomic_fetch_add(&notes->failures, 1);
    _exit(1);
}

/* A process's own handle. */
static struct logstore *open_own(int which)
{
    struct error error = {0};
    struct logstore_options options = {.access = LOGSTORE_WRITE, .fsync = (enum logstore_fsync)(which % 3)};
    struct logstore *store = logstore_open(fixture_folder, &options, &error);
    if (store == NULL)
        note_failure("open", &error);
    return store;
}

/* Appends numbers for ever, in batches, each to the partition of its number. */
static void produce(int which)
{
    struct error error = {0};
    struct logstore *store = open_own(which + 1);
    uint64_t next = atomic_load(&notes->producers[which].tried) + 1;
    for (;;) {
        char values[7][32];
        struct logstore_record records[7];
        size_t count = 1 + next % 7;
        for (size_t i = 0; i < count; i++) {
            uint64_t number = next + i;
            snprintf(values[i], sizeof values[i], "%d %" PRIu64, which, number);
            records[i] = fixture_record("k", values[i]);
        }
        if (next + count >= RECORDS_MOST)
            _exit(0);
        atomic_store(&notes->producers[which].tried, next + count - 1);
        if (!logstore_append(store, TOPIC, (uint32_t)(next / 100 % PARTITIONS), records, count, NULL, &error))
            note_failure("append", &error);
        for (size_t i = 0; i < count; i++)
            atomic_store(&notes->appended[which][next + i], 1);
        next += count;
    }
}

/* Splits "producer number". */
static bool parse(struct str value, int *which, uint64_t *number)
{
    char text[32];
    if (value.length >= sizeof text)
        return false;
    memcpy(text, value.bytes, value.length);
    text[value.length] = '\0';
    char *end;
    *which = (int)strtol(text, &end, 10);
    *number = strtoull(end, &end, 10);
    return *end == '\0' && *which >= 0 && *which < PRODUCERS && *number < RECORDS_MOST;
}

/* Reads for ever: notes what it has read, then commits. */
static void consume(int which)
{
    struct error error = {0};
    struct logstore *store = open_own(which);
    const struct str topic = TOPIC;
    struct logstore_consumer_options options = {.session_timeout_ms = 250};
    struct logstore_consumer *consumer = logstore_consumer_join(store, GROUP, &topic, 1, &options, &error);
    if (consumer == NULL)
        note_failure("join", &error);
    for (uint64_t reads = 0;; reads++) {
        struct logstore_record record;
        struct logstore_source source;
        int producer;
        uint64_t number;
        enum logstore_poll poll = logstore_consumer_poll(consumer, 50, &record, &source, &error);
        if (poll == LOGSTORE_POLL_FAILED)
            note_failure("poll", &error);
        if (poll == LOGSTORE_POLL_RECORD) {
            if (!parse(record.value, &producer, &number))
                note_failure("half a record", &error);
            atomic_store(&notes->read[producer][number], 1);
        }
        if ((reads % 50 == 49 || poll != LOGSTORE_POLL_RECORD) &&
            !logstore_consumer_commit(consumer, &error)) {
            if (error.code != ERROR_CONFLICT) /* others have taken over: it will be read again */
                note_failure("commit", &error);
            error_clear(&error);
        }
    }
}

static pid_t start(int which)
{
    pid_t child = fork();
    assert_true(child >= 0);
    if (child > 0)
        return child;
    if (which < PRODUCERS)
        produce(which);
    else
        consume(which - PRODUCERS);
    _exit(0);
}

static void check_log(struct logstore *store)
{
    struct error error = {0};
    static unsigned char found[PRODUCERS][RECORDS_MOST];
    size_t total = 0;
    memset(found, 0, sizeof found);
    for (uint32_t partition = 0; partition < PARTITIONS; partition++) {
        uint64_t last[PRODUCERS] = {0};
        struct logstore_record record;
        enum logstore_read read;
        struct logstore_reader *reader = logstore_reader_open(store, TOPIC, partition, 0, &error);
        MUST(reader != NULL);
        int64_t expected = 0;
        while ((read = logstore_read(reader, &record, &error)) == LOGSTORE_READ_RECORD) {
            int which = 0;
            uint64_t number = 0;
            assert_int_equal(record.offset, expected++);
            assert_true(parse(record.value, &which, &number));
            assert_true(number > last[which]);
            last[which] = number;
            found[which][number]++;
            total++;
        }
        MUST(read == LOGSTORE_READ_END);
        logstore_reader_close(&reader);
    }
    for (int which = 0; which < PRODUCERS; which++)
        for (uint64_t i = 0; i < RECORDS_MOST; i++) {
            assert_true(found[which][i] <= 1);
            assert_true(found[which][i] == 1 || !atomic_load(&notes->appended[which][i]));
            assert_true(found[which][i] == 0 || i <= atomic_load(&notes->producers[which].tried));
        }
    assert_true(total > 100);
    printf("%zu records\n", total);
}

/* The last member reads what is left; then nothing is unread. */
static void check_read(struct logstore *store)
{
    struct error error = {0};
    const struct str topic = TOPIC;
    struct logstore_record record;
    struct logstore_source source;
    struct logstore_consumer *consumer = logstore_consumer_join(store, GROUP, &topic, 1, NULL, &error);
    MUST(consumer != NULL);
    for (int quiet = 0; quiet < 20;) {
        int which = 0;
        uint64_t number = 0;
        enum logstore_poll poll = logstore_consumer_poll(consumer, 50, &record, &source, &error);
        MUST(poll != LOGSTORE_POLL_FAILED);
        quiet = poll == LOGSTORE_POLL_RECORD ? 0 : quiet + 1;
        if (poll != LOGSTORE_POLL_RECORD)
            continue;
        assert_true(parse(record.value, &which, &number));
        atomic_store(&notes->read[which][number], 1);
    }
    MUST(logstore_consumer_commit(consumer, &error));
    MUST(logstore_consumer_leave(&consumer, &error));
    for (int which = 0; which < PRODUCERS; which++)
        for (uint64_t i = 0; i < RECORDS_MOST; i++)
            assert_true(atomic_load(&notes->read[which][i]) || !atomic_load(&notes->appended[which][i]));
}

static void test_processes_are_killed_at_random_moments(void **state)
{
    (void)state;
    struct error error = {0};
    const char *asked = getenv("KILL_ROUNDS"), *seed_asked = getenv("KILL_SEED");
    long rounds = asked == NULL ? 20 : strtol(asked, NULL, 10);
    unsigned seed = seed_asked == NULL ? (unsigned)time(NULL) : (unsigned)strtoul(seed_asked, NULL, 10);
    printf("KILL_SEED=%u\n", seed);
    notes = mmap(NULL, sizeof *notes, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    assert_true(notes != MAP_FAILED);
    struct logstore_config config = logstore_config_default();
    config.segment_bytes = 20000;
    struct logstore *store = fixture_open(LOGSTORE_CREATE, LOGSTORE_FSYNC_NEVER);
    MUST(logstore_topic_create(store, TOPIC, PARTITIONS, &config, &error));
    logstore_close(&store);
    pid_t children[PRODUCERS + CONSUMERS];
    for (int i = 0; i < PRODUCERS + CONSUMERS; i++)
        children[i] = start(i);
    for (long round = 0; round < rounds; round++) {
        usleep(1000 + (useconds_t)(rand_r(&seed) % 60000));
        int which = rand_r(&seed) % (PRODUCERS + CONSUMERS), status;
        kill(children[which], SIGKILL);
        assert_int_equal(waitpid(children[which], &status, 0), children[which]);
        children[which] = start(which);
    }
    for (int i = 0; i < PRODUCERS + CONSUMERS; i++) {
        kill(children[i], SIGKILL);
        assert_int_equal(waitpid(children[i], NULL, 0), children[i]);
    }
    assert_int_equal(atomic_load(&notes->failures), 0);
    store = fixture_open(LOGSTORE_WRITE, LOGSTORE_FSYNC_NEVER);
    /* An append shows what was written and not yet synced when its process died. */
    check_log(store);
    check_read(store);
    logstore_close(&store);
    munmap(notes, sizeof *notes);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_processes_are_killed_at_random_moments, fixture_setup,
                                        fixture_teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
