#include "tests/lib/logstore_dump.h"
#include "tests/lib/logstore_golden.h"

#include <dirent.h>

/*
 * The bytes of a store that has every kind of file and every feature of each. They may change together with
 * logstore/FORMAT.md only, by its checklist; then
 *
 *     GOLDEN_WRITE=1 build/tests/unit/test_logstore_golden
 *
 * writes them anew, and the old ones stay beside them as long as they must be readable.
 */

static const char BYTES[] = "tests/unit/golden/logstore-1.txt",
                  CONTENT[] = "tests/unit/golden/logstore-1-read.txt";

static const struct str MIXED = {"mixed \0\"\xff", 9}, COMPACT = {"compact", 7}, LARGE = {"large", 5};

enum { FILES_MOST = 256 };

static void pass(int64_t ms)
{
    golden_now_ms += ms;
}

static void append(struct logstore *store, struct str topic, uint32_t partition,
                   const struct logstore_record *records, size_t count)
{
    struct error error = {0};
    pass(1000);
    MUST(logstore_append(store, topic, partition, records, count, NULL, &error));
}

/* Everything that a record can have or lack. */
static void append_kinds(struct logstore *store)
{
    const struct logstore_header headers[] = {{STR_LITERAL("trace"), STR_LITERAL("1\0\xff")},
                                              {STR_LITERAL(""), STR_LITERAL("")},
                                              {STR_LITERAL("none"), {NULL, 0}}};
    char *long_value = calloc(1, 400);
    assert_non_null(long_value);
    const struct logstore_record records[] = {
        {.key = STR_LITERAL("key"), .value = STR_LITERAL("value"), .timestamp = 1763000000000},
        {.key = STR_LITERAL(""), .value = STR_LITERAL(""), .timestamp = 1},
        {.value = STR_LITERAL("no key"), .timestamp = 4000000000000},
        {.key = STR_LITERAL("no value")},
        {.key = {NULL, 0}, .value = {NULL, 0}},
        {.key = STR_LITERAL("headers"), .value = STR_LITERAL("v"), .headers = headers, .header_count = 3},
        {.key = STR_LITERAL("long"), .value = {long_value, 400}},
    };
    append(store, MIXED, 0, records, sizeof records / sizeof *records);
    append(store, MIXED, 2, records, 1);
    free(long_value);
}

static void append_numbers(struct logstore *store, struct str topic, int from, int to, int keys)
{
    for (int i = from; i < to; i++) {
        char key[16], value[48];
        snprintf(key, sizeof key, "k%d", i % keys);
        snprintf(value, sizeof value, "value %d ................", i);
        struct logstore_record record = {.key = str_of(key), .value = str_of(value)};
        append(store, topic, 0, &record, 1);
    }
}

static struct logstore_config small_segments(void)
{
    struct logstore_config config = logstore_config_default();
    config.segment_bytes = 1024;
    config.retention_ms = -1;
    return config;
}

/* Segments of which the first ones are compacted: holes, a tombstone with its horizon. */
static void make_compacted(struct logstore *store)
{
    struct error error = {0};
    struct logstore_config config = small_segments();
    config.cleanup_policy = LOGSTORE_CLEANUP_COMPACT;
    config.min_compaction_lag_ms = 5000;
    MUST(logstore_topic_create(store, COMPACT, 1, &config, &error));
    append_numbers(store, COMPACT, 0, 8, 8);
    append(store, COMPACT, 0, &(struct logstore_record){.key = STR_LITERAL("k3")}, 1);
    append_numbers(store, COMPACT, 9, 40, 3);
    MUST(logstore_compact(store, COMPACT, NULL, &error));
}

/* Batches that reach over several intervals of the index. */
static void make_large(struct logstore *store)
{
    struct error error = {0};
    enum { SIZE = 50000 };
    char *zeros = calloc(1, SIZE);
    assert_non_null(zeros);
    MUST(logstore_topic_create(store, LARGE, 1, NULL, &error));
    for (size_t i = 0; i < 4; i++)
        append(store, LARGE, 0, &(struct logstore_record){.value = {zeros, SIZE / (i + 1)}}, 1);
    free(zeros);
}

/* Topics: one that grew after another had taken the slots behind it, one whose first segments retention
 * removed, one that was deleted. */
static void make_topics(struct logstore *store)
{
    struct error error = {0};
    struct logstore_config config = small_segments();
    MUST(logstore_topic_create(store, MIXED, 2, NULL, &error));
    MUST(logstore_topic_create(store, STR_LITERAL("gone"), 1, NULL, &error));
    MUST(logstore_topic_create(store, STR_LITERAL("retained"), 1, &config, &error));
    MUST(logstore_topic_grow(store, MIXED, 3, &error));
    append_kinds(store);
    append_numbers(store, STR_LITERAL("gone"), 0, 1, 1);
    MUST(logstore_topic_delete(store, STR_LITERAL("gone"), &error));
    append_numbers(store, STR_LITERAL("retained"), 0, 30, 5);
    config.retention_bytes = 1500;
    MUST(logstore_topic_alter(store, STR_LITERAL("retained"), &config, &error));
    MUST(logstore_retain(store, STR_LITERAL("retained"), NULL, &error));
    make_compacted(store);
    make_large(store);
}

static void commit(struct logstore *store, struct str group, struct str topic, uint32_t partition,
                   int64_t offset, struct str metadata)
{
    struct error error = {0};
    struct logstore_commit one = {topic, partition, offset, metadata};
    pass(100);
    MUST(logstore_commit(store, group, &one, 1, &error));
}

/* Groups: commits with metadata in each half, that grew; one deleted; one with a member that reads; one whose
 * member left. */
static void make_groups(struct logstore *store)
{
    struct error error = {0};
    const struct str worker = STR_LITERAL("workers\n\xfe"), topics[] = {MIXED, COMPACT};
    struct logstore_record record;
    struct logstore_source source;
    struct logstore_consumer_options options = {.client_id = STR_LITERAL("client")};
    for (int i = 0; i < 3; i++)
        commit(store, STR_LITERAL("admins"), MIXED, 0, i, STR_LITERAL("short \xff\0"));
    commit(store, STR_LITERAL("admins"), MIXED, 0, 4,
           STR_LITERAL("longer than the region that the half had before, which stays where it is"));
    commit(store, STR_LITERAL("admins"), COMPACT, 0, 7, STR_LITERAL(""));
    commit(store, STR_LITERAL("gone"), MIXED, 0, 1, STR_LITERAL(""));
    MUST(logstore_delete_group(store, STR_LITERAL("gone"), &error));
    for (int round = 0; round < 2; round++) {
        struct logstore_consumer *consumer = logstore_consumer_join(
            store, round == 0 ? STR_LITERAL("left") : worker, topics, 2, &options, &error);
        MUST(consumer != NULL);
        pass(100);
        MUST(logstore_consumer_poll(consumer, 0, &record, &source, &error) == LOGSTORE_POLL_RECORD);
        MUST(logstore_consumer_commit(consumer, &error));
        if (round == 0)
            MUST(logstore_consumer_leave(&consumer, &error));
        else
            logstore_consumer_abandon(&consumer);
    }
    MUST(logstore_set_offsets_retention(store, 86400000, &error));
}

/* --- as text -------------------------------------------------------------------------------------------- */

static char *files[FILES_MOST]; /* owned */
static size_t file_count;

static int note_file(const char *path, const struct stat *status, int type, struct FTW *walk)
{
    (void)status;
    (void)walk;
    if (type == FTW_F && file_count < FILES_MOST)
        files[file_count++] = strdup(path + strlen(fixture_folder) + 1);
    return 0;
}

static int compare_names(const void *a, const void *b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

static void write_file(struct buf *out, const char *name)
{
    char path[512];
    unsigned char bytes[32];
    struct stat status;
    golden_path(path, name);
    FILE *file = fopen(path, "re");
    assert_non_null(file);
    assert_int_equal(fstat(fileno(file), &status), 0);
    buf_add_format(out, "file %s %ld\n", name, (long)status.st_size);
    size_t got;
    for (size_t position = 0; (got = fread(bytes, 1, sizeof bytes, file)) > 0; position += got) {
        while (got > 0 && bytes[got - 1] == 0)
            got--;
        if (got == 0) {
            got = sizeof bytes;
            continue;
        }
        buf_add_format(out, "%zu: ", position);
        for (size_t i = 0; i < got; i++)
            buf_add_format(out, "%02x", bytes[i]);
        buf_add_char(out, '\n');
        got = sizeof bytes;
    }
    fclose(file);
}

/* The store in fixture_folder as the text that golden_restore() reads. */
static void write_store(struct buf *out)
{
    assert_int_equal(nftw(fixture_folder, note_file, 16, FTW_PHYS), 0);
    qsort(files, file_count, sizeof *files, compare_names);
    for (size_t i = 0; i < file_count; i++) {
        write_file(out, files[i]);
        free(files[i]);
    }
    file_count = 0;
    assert_true(buf_ok(out));
}

/* Compares with a file, or makes it. */
static void check_file(const char *path, struct str text)
{
    if (getenv("GOLDEN_WRITE") != NULL) {
        FILE *file = fopen(path, "we");
        assert_non_null(file);
        assert_int_equal(fwrite(text.bytes, 1, text.length, file), text.length);
        assert_int_equal(fclose(file), 0);
        return;
    }
    FILE *file = fopen(path, "re");
    assert_non_null(file);
    size_t at = 0, line = 1;
    for (int c; (c = fgetc(file)) != EOF; at++) {
        if (at >= text.length || (char)c != text.bytes[at])
            fail_msg("%s differs in line %zu, from byte %zu on", path, line, at);
        line += c == '\n';
    }
    assert_int_equal(at, text.length);
    fclose(file);
}

/* --- tests ---------------------------------------------------------------------------------------------- */

static void test_the_same_calls_write_the_same_bytes(void **state)
{
    (void)state;
    struct buf text = buf_make(1 << 24);
    golden_chance = 1; /* a sanitizer has asked for some already */
    struct logstore *store = fixture_open(LOGSTORE_CREATE, LOGSTORE_FSYNC_ALWAYS);
    make_topics(store);
    make_groups(store);
    logstore_close(&store);
    write_store(&text);
    check_file(BYTES, buf_str(&text));
    buf_free(&text);
}

static void test_the_bytes_are_read_wholly(void **state)
{
    (void)state;
    struct buf content = buf_make(1 << 24);
    golden_restore(BYTES);
    golden_now_ms = 1764000080000; /* while the member lives */
    dump_store(&content);
    assert_null(strstr(content.bytes, "error"));
    check_file(CONTENT, buf_str(&content));
    buf_free(&content);
}

/* Whoever writes goes on where the bytes end. */
static void test_the_bytes_are_written_on(void **state)
{
    (void)state;
    struct error error = {0};
    int64_t start, end, offset;
    golden_restore(BYTES);
    struct logstore *store = fixture_open(LOGSTORE_WRITE, LOGSTORE_FSYNC_ALWAYS);
    const struct str topics[] = {MIXED, COMPACT, LARGE, STR_LITERAL("retained")};
    for (size_t i = 0; i < sizeof topics / sizeof *topics; i++) {
        struct logstore_record record = {.key = STR_LITERAL("new"), .value = STR_LITERAL("record")};
        MUST(logstore_offsets(store, topics[i], 0, &start, &end, &error));
        MUST(logstore_append(store, topics[i], 0, &record, 1, &offset, &error));
        assert_int_equal(offset, end);
        struct logstore_reader *reader = logstore_reader_open(store, topics[i], 0, offset, &error);
        MUST(reader != NULL && logstore_read(reader, &record, &error) == LOGSTORE_READ_RECORD);
        assert_true(str_equal(record.value, STR_LITERAL("record")));
        logstore_reader_close(&reader);
    }
    commit(store, STR_LITERAL("admins"), MIXED, 0, 5, STR_LITERAL("metadata"));
    MUST(logstore_committed(store, STR_LITERAL("admins"), MIXED, 0, &offset, &error));
    assert_int_equal(offset, 5);
    logstore_close(&store);
}

int main(void)
{
    fsio_fault = &golden_machine;
#define TEST(name) cmocka_unit_test_setup_teardown(name, fixture_setup, fixture_teardown)
    const struct CMUnitTest tests[] = {
        TEST(test_the_same_calls_write_the_same_bytes),
        TEST(test_the_bytes_are_read_wholly),
        TEST(test_the_bytes_are_written_on),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
