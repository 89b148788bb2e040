#include "tests/lib/logstore_fixture.h"

#include <inttypes.h>
#include <time.h>

/*
 * Random operations against a model that is a list of records a partition and a number a commit. What the
 * store does by itself, it may do at any time: retention moves the start up, and compaction takes a record
 * whose key has a later one. So the model is told by what is read what has gone, and checks that it was
 * allowed to go and never comes back. MODEL_OPERATIONS and MODEL_SEED choose another length and another run.
 */

enum { TOPICS = 3, PARTITIONS_MOST = 4, GROUPS = 3, KEYS = 12, BATCH_MOST = 8, OPERATIONS = 20000 };

struct kept {
    int64_t offset;
    uint64_t stamp; /* tells one record from all others; its value derives from it */
    int key;        /* -1: none */
    bool tombstone;
};

struct model_partition {
    struct kept *records;
    size_t count, capacity;
    int64_t start, end;
    int64_t committed[GROUPS]; /* -1: none */
};

struct model_topic {
    const char *name, *policy;
    bool compacts, deletes;
    uint32_t partitions;
    struct model_partition partition[PARTITIONS_MOST];
};

static struct model_topic topics[TOPICS] = {
    {.name = "deleted", .policy = "delete", .deletes = true},
    {.name = "compacted", .policy = "compact", .compacts = true},
    {.name = "both", .policy = "compact,delete", .compacts = true, .deletes = true},
};
static const char *const groups[GROUPS] = {"billing", "search", "audit"};

static struct logstore *store;
static uint64_t state_of_chance, stamps;

/* --- chance (xorshift64*) ------------------------------------------------------------------------------ */

static uint64_t chance(void)
{
    state_of_chance ^= state_of_chance >> 12;
    state_of_chance ^= state_of_chance << 25;
    state_of_chance ^= state_of_chance >> 27;
    return state_of_chance * UINT64_C(2685821657736338717);
}

static uint32_t below(uint32_t limit)
{
    return (uint32_t)((chance() >> 33) % limit);
}

/* --- records ------------------------------------------------------------------------------------------- */

/* The value of a record: up to 60 bytes, any of them. */
static size_t value_of(const struct kept *record, char *value)
{
    size_t length = (size_t)(record->stamp * 7919 % 60);
    for (size_t i = 0; i < length; i++)
        value[i] = (char)(record->stamp * 31 + i * 17);
    return length;
}

static size_t key_of(int key, char *text)
{
    return (size_t)snprintf(text, 16, "key-%d", key);
}

static bool superseded(const struct model_partition *partition, size_t index)
{
    for (size_t i = index + 1; i < partition->count; i++)
        if (partition->records[i].key == partition->records[index].key)
            return true;
    return false;
}

static void remove_record(struct model_partition *partition, size_t index)
{
    memmove(&partition->records[index], &partition->records[index + 1],
            (partition->count - index - 1) * sizeof *partition->records);
    partition->count--;
}

static void move_start(struct model_topic *topic, struct model_partition *partition, int64_t start)
{
    assert_true(start >= partition->start && start <= partition->end);
    if (!topic->deletes)
        assert_int_equal(start, partition->start);
    partition->start = start;
    size_t gone = 0;
    while (gone < partition->count && partition->records[gone].offset < start)
        gone++;
    if (gone == 0)
        return;
    memmove(partition->records, partition->records + gone,
            (partition->count - gone) * sizeof *partition->records);
    partition->count -= gone;
}

static void check_offsets(struct model_topic *topic, uint32_t number)
{
    struct error error = {0};
    struct model_partition *partition = &topic->partition[number];
    int64_t start, end;
    MUST(logstore_offsets(store, str_of(topic->name), number, &start, &end, &error));
    assert_int_equal(end, partition->end);
    move_start(topic, partition, start);
}

static void check_record(const struct kept *expected, const struct logstore_record *record)
{
    char value[64], key[16];
    assert_int_equal(record->offset, expected->offset);
    assert_int_equal(record->timestamp, 1000 + (int64_t)expected->stamp);
    if (expected->key < 0)
        assert_null(record->key.bytes);
    else
        assert_true(str_equal(record->key, (struct str){key, key_of(expected->key, key)}));
    if (expected->tombstone)
        assert_null(record->value.bytes);
    else
        assert_true(str_equal(record->value, (struct str){value, value_of(expected, value)}));
}

/* Reads up to `most` records from `from` on. What is passed over must have been allowed to go, and goes from
 * the model, too. */
static void check_records(struct model_topic *topic, uint32_t number, int64_t from, size_t most)
{
    struct error error = {0};
    struct model_partition *partition = &topic->partition[number];
    check_offsets(topic, number);
    if (from < partition->start)
        from = partition->start;
    struct logstore_reader *reader = logstore_reader_open(store, str_of(topic->name), number, from, &error);
    MUST(reader != NULL);
    size_t at = 0;
    while (at < partition->count && partition->records[at].offset < from)
        at++;
    enum logstore_read got = LOGSTORE_READ_RECORD;
    for (size_t i = 0; i < most && got == LOGSTORE_READ_RECORD; i++) {
        struct logstore_record record;
        got = logstore_read(reader, &record, &error);
        MUST(got != LOGSTORE_READ_FAILED);
        int64_t reached = got == LOGSTORE_READ_RECORD ? record.offset : partition->end;
        while (at < partition->count && partition->records[at].offset < reached) {
            assert_true(topic->compacts && superseded(partition, at));
            remove_record(partition, at);
        }
        if (got == LOGSTORE_READ_RECORD) {
            assert_true(at < partition->count);
            check_record(&partition->records[at++], &record);
        }
    }
    logstore_reader_close(&reader);
}

/* --- operations ---------------------------------------------------------------------------------------- */

static void keep(struct model_partition *partition, struct kept record)
{
    if (partition->count == partition->capacity) {
        partition->capacity = partition->capacity == 0 ? 64 : partition->capacity * 2;
        partition->records = realloc(partition->records, partition->capacity * sizeof *partition->records);
        assert_non_null(partition->records);
    }
    partition->records[partition->count++] = record;
}

static void append(struct model_topic *topic, uint32_t number)
{
    struct error error = {0};
    struct model_partition *partition = &topic->partition[number];
    struct logstore_record records[BATCH_MOST] = {0};
    struct kept kept[BATCH_MOST];
    char keys[BATCH_MOST][16], values[BATCH_MOST][64];
    size_t count = 1 + below(BATCH_MOST);
    int64_t first;
    for (size_t i = 0; i < count; i++) {
        bool keyed = topic->compacts || below(4) != 0;
        kept[i] = (struct kept){partition->end + (int64_t)i, ++stamps, keyed ? (int)below(KEYS) : -1,
                                topic->compacts && below(10) == 0};
        if (keyed)
            records[i].key = (struct str){keys[i], key_of(kept[i].key, keys[i])};
        if (!kept[i].tombstone)
            records[i].value = (struct str){values[i], value_of(&kept[i], values[i])};
        records[i].timestamp = 1000 + (int64_t)kept[i].stamp;
    }
    MUST(logstore_append(store, str_of(topic->name), number, records, count, &first, &error));
    assert_int_equal(first, partition->end);
    for (size_t i = 0; i < count; i++)
        keep(partition, kept[i]);
    partition->end += (int64_t)count;
}

static void check_committed(struct model_topic *topic, uint32_t number, int group)
{
    struct error error = {0};
    int64_t offset;
    MUST(logstore_committed(store, str_of(groups[group]), str_of(topic->name), number, &offset, &error));
    assert_int_equal(offset, topic->partition[number].committed[group]);
}

static void commit(struct model_topic *topic, uint32_t number, int group)
{
    struct error error = {0};
    struct logstore_commit commit = {.topic = str_of(topic->name), .partition = number};
    commit.offset = below((uint32_t)topic->partition[number].end + 1);
    MUST(logstore_commit(store, str_of(groups[group]), &commit, 1, &error));
    topic->partition[number].committed[group] = commit.offset;
}

static bool group_is_there(int group)
{
    for (int t = 0; t < TOPICS; t++)
        for (uint32_t p = 0; p < topics[t].partitions; p++)
            if (topics[t].partition[p].committed[group] >= 0)
                return true;
    return false;
}

static void reset(struct model_topic *topic, uint32_t number, int group)
{
    struct error error = {0};
    struct model_partition *partition = &topic->partition[number];
    struct logstore_reset_result result;
    bool dry = below(3) == 0, to_start = below(2) == 0;
    if (!group_is_there(group))
        return;
    check_offsets(topic, number);
    MUST(logstore_reset_group(store, str_of(groups[group]), str_of(topic->name), number,
                              to_start ? LOGSTORE_TO_EARLIEST : LOGSTORE_TO_LATEST, 0, dry, &result, &error));
    assert_int_equal(result.before, partition->committed[group]);
    assert_int_equal(result.after, to_start ? partition->start : partition->end);
    if (!dry)
        partition->committed[group] = result.after;
}

static void maintain(struct model_topic *topic)
{
    struct error error = {0};
    if (below(2) == 0)
        MUST(logstore_retain(store, str_of(topic->name), NULL, &error));
    else
        MUST(logstore_compact(store, str_of(topic->name), NULL, &error));
    for (uint32_t p = 0; p < topic->partitions; p++)
        check_records(topic, p, 0, SIZE_MAX);
}

static void empty_partition(struct model_partition *partition)
{
    free(partition->records);
    *partition = (struct model_partition){0};
    for (int g = 0; g < GROUPS; g++)
        partition->committed[g] = -1;
}

static void make(struct model_topic *topic)
{
    struct error error = {0};
    struct logstore_config config = logstore_config_default();
    MUST(logstore_config_set(&config, STR_LITERAL("cleanup.policy"), str_of(topic->policy), &error));
    config.segment_bytes = 4096;
    config.retention_bytes = 32 * 1024;
    config.retention_ms = -1; /* the records' times are numbers of our own */
    config.delete_retention_ms = INT64_MAX / 2;
    topic->partitions = 1 + below(2);
    MUST(logstore_topic_create(store, str_of(topic->name), topic->partitions, &config, &error));
    for (uint32_t p = 0; p < PARTITIONS_MOST; p++)
        empty_partition(&topic->partition[p]);
}

static void make_again(struct model_topic *topic)
{
    struct error error = {0};
    MUST(logstore_topic_delete(store, str_of(topic->name), &error));
    make(topic);
}

static void grow(struct model_topic *topic)
{
    struct error error = {0};
    if (topic->partitions == PARTITIONS_MOST)
        return;
    MUST(logstore_topic_grow(store, str_of(topic->name), ++topic->partitions, &error));
}

static void reopen(void)
{
    logstore_close(&store);
    store = fixture_open(LOGSTORE_WRITE, LOGSTORE_FSYNC_NEVER);
}

static void operate(void)
{
    struct model_topic *topic = &topics[below(TOPICS)];
    uint32_t number = below(topic->partitions), what = below(1000);
    int group = (int)below(GROUPS);
    if (what < 600)
        append(topic, number);
    else if (what < 750)
        check_records(topic, number, below((uint32_t)topic->partition[number].end + 1), 64);
    else if (what < 850)
        commit(topic, number, group);
    else if (what < 940)
        check_committed(topic, number, group);
    else if (what < 980)
        reset(topic, number, group);
    else if (what < 990)
        maintain(topic);
    else if (what < 994)
        reopen();
    else if (what < 997)
        grow(topic);
    else if (what < 998)
        make_again(topic);
    else
        check_offsets(topic, number);
}

static void check_everything(void)
{
    for (int t = 0; t < TOPICS; t++)
        for (uint32_t p = 0; p < topics[t].partitions; p++) {
            check_records(&topics[t], p, 0, SIZE_MAX);
            for (int g = 0; g < GROUPS; g++)
                check_committed(&topics[t], p, g);
        }
}

static void test_the_store_does_as_the_model(void **state)
{
    (void)state;
    const char *operations = getenv("MODEL_OPERATIONS"), *seed = getenv("MODEL_SEED");
    long count = operations != NULL ? atol(operations) : OPERATIONS;
    unsigned long chosen = seed != NULL ? strtoul(seed, NULL, 10)
                                        : (unsigned long)time(NULL) * 1000003 + (unsigned long)getpid();
    printf("MODEL_SEED=%lu MODEL_OPERATIONS=%ld\n", chosen, count);
    fflush(stdout);
    state_of_chance = chosen | 1;
    store = fixture_open(LOGSTORE_CREATE, LOGSTORE_FSYNC_NEVER);
    for (int t = 0; t < TOPICS; t++)
        make(&topics[t]);
    for (long i = 0; i < count; i++)
        operate();
    reopen();
    check_everything();
    logstore_close(&store);
    for (int t = 0; t < TOPICS; t++)
        for (uint32_t p = 0; p < PARTITIONS_MOST; p++)
            free(topics[t].partition[p].records);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_the_store_does_as_the_model, fixture_setup, fixture_teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
