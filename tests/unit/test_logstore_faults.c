#include "logstore/fsio.h"
#include "tests/lib/logstore_fixture.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>

/*
 * Every file operation of a scenario is made to fail, one after the other, in three ways:
 *
 *   death   the nth call and all that follow fail, as when the process dies there; a write is torn at some
 * place power   likewise, and then what was written since its file was last synced is forgotten, and the
 * machine counts as booted anew hiccup  only the nth call fails, and the process goes on
 *
 * Afterwards the store has to hold every record and commit that was acknowledged, in order and whole, and
 * nothing that was never tried, and to take new ones.
 */

#define TOPIC STR_LITERAL("t")
#define GROUP STR_LITERAL("g")

enum { PARTITIONS = 2, RECORDS_MOST = 4096 };

/* What a write replaced that was not synced yet. */
struct undo {
    dev_t device;
    ino_t inode;
    int fd; /* a duplicate */
    uint64_t position;
    size_t written; /* bytes */
    size_t count;   /* of bytes that were there before */
    uint64_t size;  /* of the file before */
    char *bytes;    /* owned */
};

enum way { DEATH, POWER, HICCUP, WAYS };

static struct faults {
    enum way way;
    long left;     /* calls until the fault; negative: it has been */
    unsigned tear; /* how many sevenths of a torn write are written */
    bool armed, hit;
    struct undo *undos; /* owned */
    size_t undo_count, undo_capacity;
} faults;

static void forget_undo(size_t index)
{
    close(faults.undos[index].fd);
    free(faults.undos[index].bytes);
    faults.undos[index] = faults.undos[--faults.undo_count];
}

static void note_write(int fd, uint64_t position, size_t count)
{
    struct stat status;
    if (fstat(fd, &status) != 0)
        abort();
    if (faults.undo_count == faults.undo_capacity) {
        faults.undo_capacity = 2 * faults.undo_capacity + 64;
        faults.undos = realloc(faults.undos, faults.undo_capacity * sizeof *faults.undos);
    }
    char *bytes = malloc(count + 1);
    if (faults.undos == NULL || bytes == NULL)
        abort();
    ssize_t before = pread(fd, bytes, count, (off_t)position);
    faults.undos[faults.undo_count++] = (struct undo){
        .device = status.st_dev,
        .inode = status.st_ino,
        .fd = dup(fd),
        .position = position,
        .written = count,
        .count = before < 0 ? 0 : (size_t)before,
        .size = (uint64_t)status.st_size,
        .bytes = bytes,
    };
}

/* What was synced stays; the others keep their order. */
static void note_sync(int fd)
{
    struct stat status;
    if (fstat(fd, &status) != 0)
        abort();
    size_t kept = 0;
    for (size_t i = 0; i < faults.undo_count; i++) {
        struct undo *undo = &faults.undos[i];
        if (undo->device == status.st_dev && undo->inode == status.st_ino) {
            close(undo->fd);
            free(undo->bytes);
        } else {
            faults.undos[kept++] = *undo;
        }
    }
    faults.undo_count = kept;
}

static bool same_file(const struct undo *a, const struct undo *b)
{
    return a->device == b->device && a->inode == b->inode;
}

/* Whether both touched the same sector, which a disk writes as a whole. */
static bool overlaps(const struct undo *a, const struct undo *b)
{
    enum { SECTOR = 512 };
    return same_file(a, b) && a->position / SECTOR <= (b->position + b->written - 1) / SECTOR &&
           b->position / SECTOR <= (a->position + a->written - 1) / SECTOR;
}

/* Takes back writes that were never synced, the last one first: all of them, or by the bits of `pattern`
 * some, since the disk may have got any of them. One before another in the same
 * sector that stays has to stay too. */
static void lose_power(unsigned pattern)
{
    struct undo kept[64];
    size_t kept_count = 0;
    while (faults.undo_count > 0) {
        struct undo *undo = &faults.undos[faults.undo_count - 1];
        bool keeps = pattern >> (faults.undo_count % 32) & 1, whole_file = true;
        for (size_t i = 0; i < kept_count; i++) {
            keeps = keeps || overlaps(undo, &kept[i]);
            whole_file = whole_file && !same_file(undo, &kept[i]);
        }
        if (keeps && kept_count < 64)
            kept[kept_count++] = *undo;
        else if (pwrite(undo->fd, undo->bytes, undo->count, (off_t)undo->position) < 0 ||
                 (whole_file && ftruncate(undo->fd, (off_t)undo->size) != 0))
            abort();
        forget_undo(faults.undo_count - 1);
    }
}

static int before(void *context, enum fsio_call call, int fd, const char *name, uint64_t position,
                  size_t *count)
{
    (void)context;
    (void)name;
    if (!faults.armed)
        return 0;
    bool now = faults.left-- == 0, fails = now || (faults.hit && faults.way != HICCUP);
    faults.hit = faults.hit || now;
    if (call == FSIO_WRITE && faults.way == POWER)
        note_write(fd, position, *count);
    if (call == FSIO_WRITE && fails)
        *count = now ? *count * faults.tear / 7 : 0;
    if (call == FSIO_SYNC && !fails && faults.way == POWER)
        note_sync(fd);
    return !fails ? 0 : faults.tear % 2 == 0 ? EIO : ENOSPC;
}

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
            done = logstore_consumer_commit(consumer, error);
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
    return append_some(store, 0, 3, error) &&
           logstore_topic_create(store, STR_LITERAL("other"), 3, NULL, error) &&
           logstore_append(store, STR_LITERAL("other"), 2, &record, 1, NULL, error) &&
           logstore_topic_grow(store, STR_LITERAL("other"), 5, error) &&
           logstore_topic_delete(store, STR_LITERAL("other"), error) &&
           logstore_topic_create(store, STR_LITERAL("other"), 1, NULL, error) &&
           append_some(store, 0, 3, error);
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
           logstore_compact(store, TOPIC, error) && append_some(store, 0, 7, error);
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
    return logstore_topic_alter(store, TOPIC, &topic.config, error) && logstore_retain(store, TOPIC, error) &&
           append_some(store, 0, 7, error);
}

struct scenario {
    const char *name;
    bool (*run)(struct logstore *store, struct error *error);
    bool gaps; /* records may be missing, but for the latest of each key (compaction), or the first ones
                  (retention) */
};

static const struct scenario SCENARIOS[] = {
    {"appends", run_appends, false},      {"members", run_members, false},    {"catalog", run_catalog, false},
    {"compaction", run_compaction, true}, {"retention", run_retention, true},
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

/* After the fault: what was acknowledged is there, and work goes on. */
static void check_store(struct logstore *store, const struct scenario *scenario)
{
    struct error error = {0};
    int64_t next, offset;
    if (!acknowledged.topic && !create_topic(store, &error)) {
        assert_int_equal(error.code, ERROR_EXISTS); /* it was done before the failure */
        error_clear(&error);
    }
    MUST(logstore_retain(store, TOPIC,
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
    if (!commit_one(store, 5000, &error)) {
        assert_int_equal(error.code, ERROR_CONFLICT); /* a member that died is still within its time */
        error_clear(&error);
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
    struct logstore_observer *observer = logstore_observer_open(fixture_folder, &error);
    MUST(observer != NULL && logstore_observe_topics(observer, &topics, &count, &error));
    MUST(logstore_observe_groups(observer, &groups, &count, &error));
    for (size_t group = 0, of_group; group < count; group++) {
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

static void begin_round(enum way way, long n)
{
    acknowledged = (struct acknowledged){.committed = -1, .tried = -1};
    faults.way = way;
    faults.left = n;
    faults.tear = (unsigned)(n % 8);
    faults.hit = false;
    faults.armed = true;
}

static struct logstore *open_always(enum logstore_access access, struct error *error)
{
    struct logstore_options options = {.access = access, .fsync = LOGSTORE_FSYNC_ALWAYS};
    return logstore_open(fixture_folder, &options, error);
}

/* Everything once, with the fault at the nth call; false: the scenario ended without meeting it. */
static bool run_round(const struct scenario *scenario, enum way way, long n)
{
    struct error error = {0};
    struct fsio_fault fault = {before, NULL, 1};
    assert_int_equal(fixture_setup_at("/dev/shm"), 0);
    begin_round(way, n);
    fsio_fault = &fault;
    struct logstore *store = open_always(LOGSTORE_CREATE, &error);
    bool done = store != NULL && create_topic(store, &error) && scenario->run(store, &error);
    bool hit = faults.hit;
    assert_true(done || hit); /* nothing fails without a cause */
    error_clear(&error);
    if (way != HICCUP)
        logstore_close(&store);
    faults.armed = false;
    if (way == POWER) {
        lose_power(n % 3 == 0 ? 0 : (unsigned)n * 2654435761u);
        fault.boot = 2;
    }
    if (store == NULL)
        store = open_always(LOGSTORE_CREATE, &error);
    MUST(store != NULL);
    check_observed();
    check_store(store, scenario);
    check_observed();
    logstore_close(&store);
    fsio_fault = NULL;
    assert_int_equal(fixture_teardown(NULL), 0);
    return hit;
}

static long points;

static void run_scenario(const struct scenario *scenario)
{
    const char *step = getenv("FAULT_STEP");
    long every = step == NULL ? 1 : strtol(step, NULL, 10);
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

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_appends),    cmocka_unit_test(test_members),   cmocka_unit_test(test_catalog),
        cmocka_unit_test(test_compaction), cmocka_unit_test(test_retention),
    };
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    printf("%ld points of failure\n", points);
    free(faults.undos);
    return failed;
}
