#include "tests/lib/logstore_disk.h"
#include "tests/lib/logstore_fixture.h"

/*
 * Every file operation of a scenario is made to fail, one after the other, in three ways:
 *
 *   death    the nth call and all that follow fail, as when the process dies there; a write is torn at some
 *            place, but not a word in its own place
 *   power    likewise, and then the disk forgets what wasn't synced, and the machine boots anew
 *   hiccup   only the nth call fails, and the process goes on
 *
 * Afterwards the store has to hold every record and commit that was acknowledged, in order and whole, and
 * nothing that was never tried, and to take new ones. Then the power fails again, and the same has to be
 * true: so whoever built on what another one left unsynced, or on a sync that had failed before, is found
 * out.
 */

#define TOPIC       STR_LITERAL("t")
#define GROUP       STR_LITERAL("g")
#define OTHER_TOPIC STR_LITERAL("other")
#define OTHER_GROUP STR_LITERAL("other group")

enum { PARTITIONS = 2, RECORDS_MOST = 4096 };

enum way { DEATH, POWER, HICCUP, WAYS };

static const char *const WAY_NAMES[WAYS] = {"death", "power", "hiccup"};

static struct faults {
    enum way way;
    long left;     /* calls until the fault; negative: it has been */
    unsigned tear; /* how many sevenths of a torn write are written */
    bool armed, hit;
} faults;

static char round_name[64]; /* for people */

/* How many bytes of a write are done that is torn. */
static size_t torn(const struct fsio_step *step)
{
    size_t count = step->count * faults.tear / 7;
    bool is_word = step->count == sizeof(uint64_t) && step->position % sizeof(uint64_t) == 0;
    return is_word && count < step->count ? 0 : count;
}

static int before(void *context, struct fsio_step *step)
{
    (void)context;
    bool now = faults.armed && faults.left-- == 0;
    bool fails = now || (faults.armed && faults.hit && faults.way != HICCUP);
    faults.hit = faults.hit || now;
    if (!fails || faults.way == HICCUP || (now && step->call == FSIO_WRITE)) /* the dead do nothing more */
        disk_note(step, fails);
    if (fails)
        step->count = now ? torn(step) : 0;
    return !fails ? 0 : faults.tear % 2 == 0 ? EIO : ENOSPC;
}

static struct fsio_fault machine = {.before = before};
static char store_path[sizeof fixture_folder + 8];

/* What the scenario was told to be done. */
static struct acknowledged {
    int64_t records[PARTITIONS]; /* all offsets below were acknowledged with the values that belong to them */
    int64_t
        written[PARTITIONS]; /* those that may be there: the last append may have failed after it was done */
    int64_t committed;       /* -1: none */
    int64_t tried;           /* the last commit that may have been done */
    bool topic;
} acknowledged;

static void make_value(char value[64], uint32_t partition, int64_t offset)
{
    snprintf(value, 64, "partition %u record %lld %.*s", partition, (long long)offset, (int)(offset % 20),
             "....................");
}

/* The first ten records have keys of their own, which compaction must leave; the others share three. */
static size_t key_length(int64_t offset)
{
    return offset < 10 ? 4 + (size_t)offset : 1 + (size_t)offset % 3;
}

static bool append_some(struct logstore *store, uint32_t partition, size_t count, struct error *error)
{
    char values[16][64];
    struct logstore_record records[16];
    int64_t first = acknowledged.records[partition], offset;
    for (size_t i = 0; i < count; i++) {
        make_value(values[i], partition, first + (int64_t)i);
        records[i] = fixture_record("key of which a part is used", values[i]);
        records[i].key.length = key_length(first + (int64_t)i);
        records[i].timestamp = 1000000 + first + (int64_t)i;
    }
    acknowledged.written[partition] = first + (int64_t)count;
    if (!logstore_append(store, TOPIC, partition, records, count, &offset, error))
        return false;
    assert_int_equal(offset, first);
    acknowledged.records[partition] = first + (int64_t)count;
    return true;
}

static bool commit_one(struct logstore *store, int64_t offset, struct error *error)
{
    char metadata[40];
    snprintf(metadata, sizeof metadata, "metadata of %lld", (long long)offset);
    struct logstore_commit commit = {TOPIC, 0, offset, str_of(metadata)};
    acknowledged.tried = offset;
    if (!logstore_commit(store, GROUP, &commit, 1, error))
        return false;
    acknowledged.committed = offset;
    return true;
}

static bool create_topic(struct logstore *store, struct error *error)
{
    struct logstore_config config = logstore_config_default();
    config.segment_bytes = 1024;
    config.retention_ms = -1;
    if (!logstore_topic_create(store, TOPIC, PARTITIONS, &config, error))
        return false;
    acknowledged.topic = true;
    return true;
}

/* Appends in batches over many segments, and commits. */
static bool run_appends(struct logstore *store, struct error *error)
{
    for (int round = 0; round < 12; round++)
        if (!append_some(store, 0, 1 + (size_t)round % 13, error) || !append_some(store, 1, 1, error) ||
            !commit_one(store, round, error))
            return false;
    return true;
}

/* What a failure has left in doubt mustn't be taken for committed. */
static bool commit_again(struct logstore_consumer *consumer, struct error *error)
{
    error_clear(error);
    return logstore_consumer_commit(consumer, error);
}

/* Members come, read, commit and go. */
static bool run_members(struct logstore *store, struct error *error)
{
    struct logstore_record record;
    struct logstore_source source;
    const struct str topic = TOPIC;
    if (!append_some(store, 0, 10, error))
        return false;
    for (int round = 0; round < 3; round++) {
        struct logstore_consumer *consumer = logstore_consumer_join(store, GROUP, &topic, 1, NULL, error);
        if (consumer == NULL)
            return false;
        bool done = true;
        for (int i = 0; done && i < 2; i++)
            done = logstore_consumer_poll(consumer, 1000, &record, &source, error) == LOGSTORE_POLL_RECORD;
        if (done) {
            acknowledged.tried = record.offset + 1;
            done = logstore_consumer_commit(consumer, error) || commit_again(consumer, error);
        }
        if (done)
            acknowledged.committed = record.offset + 1;
        if (!done) {
            logstore_consumer_abandon(&consumer);
            return false;
        }
        if (!logstore_consumer_leave(&consumer, error))
            return false;
    }
    return true;
}

/* Adds partitions, a topic that is deleted again, and another one of its name. */
static bool run_catalog(struct logstore *store, struct error *error)
{
    struct logstore_record record = fixture_record("k", "v");
    return append_some(store, 0, 3, error) && logstore_topic_create(store, OTHER_TOPIC, 3, NULL, error) &&
           logstore_append(store, OTHER_TOPIC, 2, &record, 1, NULL, error) &&
           logstore_topic_grow(store, OTHER_TOPIC, 5, error) &&
           logstore_topic_delete(store, OTHER_TOPIC, error) &&
           logstore_topic_create(store, OTHER_TOPIC, 1, NULL, error) && append_some(store, 0, 3, error);
}

/* Compacts: nothing of the latest of each key may go. */
static bool run_compaction(struct logstore *store, struct error *error)
{
    struct logstore_topic topic;
    for (int round = 0; round < 10; round++)
        if (!append_some(store, 0, 7, error))
            return false;
    if (!logstore_topic_find(store, TOPIC, &topic, error))
        return false;
    topic.config.cleanup_policy = LOGSTORE_CLEANUP_COMPACT;
    return logstore_topic_alter(store, TOPIC, &topic.config, error) &&
           logstore_compact(store, TOPIC, NULL, error) && append_some(store, 0, 7, error);
}

static bool run_retention(struct logstore *store, struct error *error)
{
    struct logstore_topic topic;
    for (int round = 0; round < 10; round++)
        if (!append_some(store, 0, 7, error))
            return false;
    if (!logstore_topic_find(store, TOPIC, &topic, error))
        return false;
    topic.config.retention_bytes = 2000;
    return logstore_topic_alter(store, TOPIC, &topic.config, error) &&
           logstore_retain(store, TOPIC, NULL, error) && append_some(store, 0, 7, error);
}

static bool reset(struct logstore *store, struct error *error)
{
    struct logstore_reset_result result;
    return logstore_reset_group(store, GROUP, TOPIC, 0, LOGSTORE_TO_OFFSET, 7, false, &result, error);
}

static bool reset_again(struct logstore *store, struct error *error)
{
    error_clear(error);
    return reset(store, error);
}

/* A group is deleted and comes back; another one is reset, and its commits expire. */
static bool run_groups(struct logstore *store, struct error *error)
{
    struct logstore_commit commit = {TOPIC, 0, 1, STR_LITERAL("")};
    if (!append_some(store, 0, 10, error) || !logstore_commit(store, OTHER_GROUP, &commit, 1, error) ||
        !logstore_delete_group(store, OTHER_GROUP, error) ||
        !logstore_commit(store, OTHER_GROUP, &commit, 1, error) || !commit_one(store, 3, error))
        return false;
    acknowledged.tried = 7;
    if (!reset(store, error) && !reset_again(store, error))
        return false;
    acknowledged.committed = 7;
    acknowledged.tried = -1;
    usleep(2000); /* so that they are older than none at all */
    return logstore_set_offsets_retention(store, 0, error) && logstore_expire_offsets(store, error);
}

struct scenario {
    const char *name;
    bool (*run)(struct logstore *store, struct error *error);
    bool gaps; /* records may be missing, but for the latest of each key (compaction), or the first ones
                  (retention) */
};

static const struct scenario SCENARIOS[] = {
    {"appends", run_appends, false},      {"members", run_members, false},    {"catalog", run_catalog, false},
    {"compaction", run_compaction, true}, {"retention", run_retention, true}, {"groups", run_groups, false},
};

/* Reads a partition to its end; what is there must be right. */
static void check_partition(struct logstore *store, uint32_t partition, bool gaps)
{
    struct error error = {0};
    int64_t start, end, next, own_keys = 0, latest[3] = {-1, -1, -1};
    MUST(logstore_offsets(store, TOPIC, partition, &start, &end, &error));
    assert_true(end >= acknowledged.records[partition] && end <= acknowledged.written[partition]);
    assert_true(gaps || start == 0);
    struct logstore_reader *reader = logstore_reader_open(store, TOPIC, partition, start, &error);
    MUST(reader != NULL);
    struct logstore_record record;
    enum logstore_read read;
    next = start;
    while ((read = logstore_read(reader, &record, &error)) == LOGSTORE_READ_RECORD) {
        char value[64];
        make_value(value, partition, record.offset);
        assert_true(gaps ? record.offset >= next : record.offset == next);
        assert_true(str_equal(record.value, str_of(value)));
        assert_int_equal(record.key.length, key_length(record.offset));
        if (record.offset < 10)
            own_keys++;
        else
            latest[record.key.length - 1] = record.offset;
        next = record.offset + 1;
    }
    MUST(read == LOGSTORE_READ_END);
    logstore_reader_close(&reader);
    assert_true(gaps || next == end);
    assert_true(start > 0 || own_keys == (end < 10 ? end : 10));
    for (int64_t offset = end - 3; offset < end; offset++)
        assert_true(offset < start || offset < 10 || latest[offset % 3] == offset);
}

/* Whatever of it there is can be read. */
static void check_other_topic(struct logstore *store)
{
    struct error error = {0};
    struct logstore_topic topic;
    if (!logstore_topic_find(store, OTHER_TOPIC, &topic, &error)) {
        assert_int_equal(error.code, ERROR_NOT_FOUND);
        error_clear(&error);
        return;
    }
    MUST(logstore_retain(store, OTHER_TOPIC, NULL, &error));
    for (uint32_t partition = 0; partition < topic.partitions; partition++) {
        struct logstore_record record;
        enum logstore_read read;
        struct logstore_reader *reader = logstore_reader_open(store, OTHER_TOPIC, partition, 0, &error);
        MUST(reader != NULL);
        do
            read = logstore_read(reader, &record, &error);
        while (read == LOGSTORE_READ_RECORD);
        MUST(read == LOGSTORE_READ_END);
        logstore_reader_close(&reader);
    }
}

/* After the fault: what was acknowledged is there, and work goes on. */
static void check_store(struct logstore *store, const struct scenario *scenario)
{
    struct error error = {0};
    int64_t next, offset;
    if (!acknowledged.topic && !create_topic(store, &error)) {
        assert_int_equal(error.code, ERROR_EXISTS); /* it was done before the failure */
        error_clear(&error);
        acknowledged.topic = true;
    }
    MUST(logstore_retain(store, TOPIC, NULL,
                         &error)); /* looks at each partition, which puts it right after a crash */
    for (uint32_t partition = 0; partition < PARTITIONS; partition++) {
        check_partition(store, partition, scenario->gaps);
        /* What was written but not synced in time has its offsets for good, and is shown with the next
         * append. */
        MUST(logstore_append(store, TOPIC, partition, NULL, 0, &next, &error));
        assert_true(next >= acknowledged.records[partition] && next <= acknowledged.written[partition]);
        acknowledged.records[partition] = next;
        MUST(append_some(store, partition, 3, &error));
        check_partition(store, partition, scenario->gaps);
    }
    MUST(logstore_committed(store, GROUP, TOPIC, 0, &offset, &error));
    assert_true(offset == acknowledged.committed || offset == acknowledged.tried);
    check_other_topic(store);
    struct logstore_commit other = {TOPIC, 0, 2, STR_LITERAL("")};
    MUST(logstore_commit(store, OTHER_GROUP, &other, 1, &error));
    int64_t tried = acknowledged.tried;
    if (!commit_one(store, 5000, &error)) {
        assert_int_equal(error.code, ERROR_CONFLICT); /* a member that died is still within its time */
        error_clear(&error);
        acknowledged.tried = tried;
        return;
    }
    MUST(logstore_committed(store, GROUP, TOPIC, 0, &offset, &error));
    assert_int_equal(offset, 5000);
}

/* The group's commit as an observer sees it, with its metadata. */
static void check_observed(void)
{
    struct error error = {0};
    const struct logstore_observed_topic *topics;
    const struct logstore_observed_group *groups;
    const struct logstore_observed_commit *commits;
    size_t count;
    struct str metadata;
    struct logstore_observer *observer = logstore_observer_open(store_path, &error);
    MUST(observer != NULL && logstore_observe_topics(observer, &topics, &count, &error));
    MUST(logstore_observe_groups(observer, &groups, &count, &error));
    for (size_t group = 0, of_group; group < count; group++) {
        if (groups[group].failure != NULL)
            fail_msg("%s: %s", round_name, error_text(groups[group].failure));
        MUST(logstore_observe_commits(observer, group, &commits, &of_group, &error));
        for (size_t i = 0; i < of_group; i++)
            if (commits[i].metadata != 0) {
                char expected[40];
                snprintf(expected, sizeof expected, "metadata of %lld", (long long)commits[i].offset);
                MUST(logstore_observe_metadata(observer, group, &commits[i], &metadata, &error));
                assert_true(str_equal(metadata, str_of(expected)));
            }
    }
    MUST(logstore_observe_ends(observer, &error));
    logstore_observer_close(&observer);
}

static struct logstore *open_always(enum logstore_access access, struct error *error)
{
    struct logstore_options options = {.access = access, .fsync = LOGSTORE_FSYNC_ALWAYS};
    return logstore_open(store_path, &options, error);
}

/* The machine boots on what the disk has. */
static void lose_power(unsigned pattern)
{
    disk_lose_power(pattern);
    machine.boot++;
}

/* Opens the store, if it isn't, and sees that all is well. */
static void check(struct logstore *store, const struct scenario *scenario)
{
    struct error error = {0};
    if (store == NULL)
        store = open_always(LOGSTORE_CREATE, &error);
    MUST(store != NULL);
    check_observed();
    check_store(store, scenario);
    check_observed();
    logstore_close(&store);
}

static void begin_round(enum way way, long n)
{
    char attic[sizeof fixture_folder + 8];
    assert_int_equal(fixture_setup_at("/dev/shm"), 0);
    snprintf(store_path, sizeof store_path, "%s/store", fixture_folder);
    snprintf(attic, sizeof attic, "%s/attic", fixture_folder);
    assert_int_equal(mkdir(attic, 0700), 0);
    disk_begin(attic);
    acknowledged = (struct acknowledged){.committed = -1, .tried = -1};
    faults.way = way;
    faults.left = n;
    faults.tear = (unsigned)(n % 8);
    faults.hit = false;
    faults.armed = true;
    machine.boot = 1;
    fsio_fault = &machine;
}

static void end_round(void)
{
    fsio_fault = NULL;
    disk_end();
    assert_int_equal(fixture_teardown(NULL), 0);
}

/* Everything once, with the fault at the nth call; false: the scenario ended without meeting it. */
static bool run_round(const struct scenario *scenario, enum way way, long n)
{
    struct error error = {0};
    unsigned pattern = n % 3 == 0 ? 0 : (unsigned)n * 2654435761u;
    begin_round(way, n);
    snprintf(round_name, sizeof round_name, "%s, %s at %ld", scenario->name, WAY_NAMES[way], n);
    struct logstore *store = open_always(LOGSTORE_CREATE, &error);
    bool done = store != NULL && create_topic(store, &error) && scenario->run(store, &error);
    bool hit = faults.hit;
    assert_true(done || hit); /* nothing fails without a cause */
    error_clear(&error);
    if (way != HICCUP)
        logstore_close(&store);
    faults.armed = false;
    if (way == POWER)
        lose_power(pattern);
    check(store, scenario);
    lose_power(pattern >> 1);
    check(NULL, scenario);
    end_round();
    return hit;
}

static long points;

#ifdef __SANITIZE_ADDRESS__
enum { STEP = 3 }; /* each costs several times as much */
#else
enum { STEP = 1 };
#endif

/* FAULT_STEP says that only at each nth call something is made to fail. */
static void run_scenario(const struct scenario *scenario)
{
    const char *asked = getenv("FAULT_STEP");
    long every = asked == NULL ? STEP : strtol(asked, NULL, 10);
    for (int way = 0; way < WAYS; way++)
        for (long n = way; run_round(scenario, (enum way)way, n); n += every)
            points++;
}

static void test_appends(void **state)
{
    (void)state;
    run_scenario(&SCENARIOS[0]);
}

static void test_members(void **state)
{
    (void)state;
    run_scenario(&SCENARIOS[1]);
}

static void test_catalog(void **state)
{
    (void)state;
    run_scenario(&SCENARIOS[2]);
}

static void test_compaction(void **state)
{
    (void)state;
    run_scenario(&SCENARIOS[3]);
}

static void test_retention(void **state)
{
    (void)state;
    run_scenario(&SCENARIOS[4]);
}

static void test_groups(void **state)
{
    (void)state;
    run_scenario(&SCENARIOS[5]);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_appends),    cmocka_unit_test(test_members),   cmocka_unit_test(test_catalog),
        cmocka_unit_test(test_compaction), cmocka_unit_test(test_retention), cmocka_unit_test(test_groups),
    };
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    printf("%ld points of failure, the last: %s\n", points, round_name);
    return failed;
}
