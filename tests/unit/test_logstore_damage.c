#include "tests/lib/logstore_dump.h"
#include "tests/lib/logstore_golden.h"

#include <fcntl.h>

/*
 * One byte after the other of a store that has every kind of file is changed, and the store read wholly.
 * Either all is as before; or an error names the file, and what else is read is right; or, where the format
 * has two places of which the older one counts when the newer one isn't whole, it is as if the last change
 * had not been. DAMAGE_STEP says that only each nth byte is changed.
 */

static const char BYTES[] = "tests/unit/golden/logstore-1.txt";

#ifdef __SANITIZE_ADDRESS__
enum { STEP = 509 }; /* ten times as slow, and it waits where a slot seems to be half-written */
#else
enum { STEP = 101 };
#endif
enum { FILES_MOST = 256, HALF_MOST = 128 };

static char *files[FILES_MOST]; /* owned */
static size_t file_count;
static struct buf sound, found, without;

static int note_file(const char *path, const struct stat *status, int type, struct FTW *walk)
{
    (void)walk;
    if (type == FTW_F && status->st_size > 0 && file_count < FILES_MOST)
        files[file_count++] = strdup(path + strlen(fixture_folder) + 1);
    return 0;
}

static int set_up(void **state)
{
    golden_now_ms = 1764000080000;
    fsio_fault = &golden_machine;
    sound = buf_make(1 << 24);
    found = buf_make(1 << 24);
    without = buf_make(1 << 24);
    if (fixture_setup(state) != 0)
        return -1;
    golden_restore(BYTES);
    dump_store(&sound);
    return nftw(fixture_folder, note_file, 16, FTW_PHYS);
}

static int tear_down(void **state)
{
    buf_free(&sound);
    buf_free(&found);
    buf_free(&without);
    while (file_count > 0)
        free(files[--file_count]);
    return fixture_teardown(state);
}

static int open_file(const char *name)
{
    char path[512];
    golden_path(path, name);
    int fd = open(path, O_RDWR);
    assert_true(fd >= 0);
    return fd;
}

static bool has_error(const struct buf *dump)
{
    return strncmp(dump->bytes, "error", 5) == 0 || strstr(dump->bytes, "\nerror") != NULL;
}

/* Whether an error names the file, and all lines but errors are among those of the sound store, in order. */
static bool is_told(const struct buf *dump, const char *name)
{
    const char *next = sound.bytes;
    bool named = false;
    for (const char *line = dump->bytes; *line != '\0';) {
        size_t length = strcspn(line, "\n") + 1;
        char *text = strndup(line, length);
        assert_non_null(text);
        if (strncmp(text, "error", 5) == 0) {
            named = named || strstr(text, name) != NULL;
        } else {
            next = strstr(next, text);
            if (next == NULL)
                print_message("not in the sound store: %s", text);
        }
        free(text);
        if (next == NULL)
            return false;
        line += length;
    }
    return named;
}

/* The half of a two-place structure that has the byte, or the whole; false: there is none. */
static bool half_around(const char *name, size_t at, size_t *start, size_t *size)
{
    static const struct {
        const char *name;
        size_t begin, distance, halves_at, half, end;
    } KINDS[] = {
        {"partitions", 256, 256, 0, 128, SIZE_MAX},
        {"/offsets", 64, 64, 8, 28, SIZE_MAX},
        {"catalog", 64, 64, 0, 32, 192},
        {"groups", 64, 64, 0, 32, 192},
        {"/members", 64, 64, 0, 32, 192},
    };
    for (size_t i = 0; i < sizeof KINDS / sizeof *KINDS; i++) {
        size_t length = strlen(KINDS[i].name);
        if (strlen(name) < length || strcmp(name + strlen(name) - length, KINDS[i].name) != 0 ||
            at < KINDS[i].begin || at >= KINDS[i].end)
            continue;
        size_t slot = KINDS[i].begin + (at - KINDS[i].begin) / KINDS[i].distance * KINDS[i].distance;
        if (at < slot + KINDS[i].halves_at) { /* the identity, which may be 0 now: the slot was never taken */
            *start = slot;
            *size = KINDS[i].distance;
            return true;
        }
        *start = slot + KINDS[i].halves_at + (at - slot - KINDS[i].halves_at) / KINDS[i].half * KINDS[i].half;
        *size = KINDS[i].half;
        return true;
    }
    return false;
}

/* What the store says when the half is all zeros. */
static void dump_without(int fd, size_t start, size_t size)
{
    static const char zeros[HALF_MOST];
    char before[HALF_MOST];
    assert_int_equal(pread(fd, before, size, (off_t)start), (ssize_t)size);
    assert_int_equal(pwrite(fd, zeros, size, (off_t)start), (ssize_t)size);
    dump_store(&without);
    assert_int_equal(pwrite(fd, before, size, (off_t)start), (ssize_t)size);
}

static void check_dump(const char *name, int fd, size_t at, const char *what)
{
    size_t start, size;
    if (str_equal(buf_str(&found), buf_str(&sound)) || (has_error(&found) && is_told(&found, name)))
        return;
    if (half_around(name, at, &start, &size)) {
        dump_without(fd, start, size);
        if (str_equal(buf_str(&found), buf_str(&without)))
            return;
    }
    fail_msg("%s %s at %zu goes unnoticed:\n%s", name, what, at, found.bytes);
}

static void damage_file(const char *name, size_t step)
{
    int fd = open_file(name);
    struct stat status;
    assert_int_equal(fstat(fd, &status), 0);
    for (size_t at = 0; at < (size_t)status.st_size; at += step) {
        char byte, other;
        assert_int_equal(pread(fd, &byte, 1, (off_t)at), 1);
        if (byte == 0 && at % 512 >= step && at % 61 >= step)
            continue; /* of the many zeros some will do */
        other = (char)(byte ^ (1 << at % 8));
        assert_int_equal(pwrite(fd, &other, 1, (off_t)at), 1);
        dump_store(&found);
        check_dump(name, fd, at, "changed");
        assert_int_equal(pwrite(fd, &byte, 1, (off_t)at), 1);
    }
    close(fd);
}

static void test_a_byte_that_changed_is_noticed_or_does_no_harm(void **state)
{
    (void)state;
    const char *asked = getenv("DAMAGE_STEP");
    for (size_t i = 0; i < file_count; i++)
        damage_file(files[i], asked == NULL ? STEP : strtoul(asked, NULL, 10));
}

/* Files lose their ends, against the rules of the format: a mapping that reaches beyond would be the end of
 * the process, so whoever looks checks how long the file is. */
static void test_a_file_that_got_shorter_is_noticed(void **state)
{
    (void)state;
    for (size_t i = 0; i < file_count; i++) {
        int fd = open_file(files[i]);
        struct stat status;
        assert_int_equal(fstat(fd, &status), 0);
        char *bytes = malloc((size_t)status.st_size);
        assert_non_null(bytes);
        assert_int_equal(pread(fd, bytes, (size_t)status.st_size, 0), status.st_size);
        for (off_t size = 0; size < status.st_size; size += 1 + status.st_size / 23) {
            assert_int_equal(ftruncate(fd, size), 0);
            dump_store(&found);
            assert_int_equal(pwrite(fd, bytes, (size_t)status.st_size, 0), status.st_size);
            if (!str_equal(buf_str(&found), buf_str(&sound)) && !is_told(&found, files[i]))
                fail_msg("%s of %lld bytes only goes unnoticed:\n%s", files[i], (long long)size, found.bytes);
        }
        free(bytes);
        close(fd);
    }
}

/* A slot in use whose identity is gone would pass for a free one; that of one value only does. */
static void test_a_commit_without_its_identity_is_noticed(void **state)
{
    (void)state;
    static const char zeros[8];
    int fd = open_file("group/00000001/offsets"); /* the first slot was committed to several times */
    assert_int_equal(pwrite(fd, zeros, sizeof zeros, 64), sizeof zeros);
    dump_store(&found);
    assert_true(has_error(&found) && is_told(&found, "group/00000001/offsets"));
    close(fd);
}

/* Appends to each partition that has records: behind all that were there. */
static void append_to_all(void)
{
    static const struct {
        struct str topic;
        uint32_t partition;
        int64_t end;
    } PARTITIONS[] = {{{"mixed \0\"\xff", 9}, 0, 7}, {{"mixed \0\"\xff", 9}, 1, 0},
                      {{"mixed \0\"\xff", 9}, 2, 1}, {{"compact", 7}, 0, 40},
                      {{"large", 5}, 0, 4},          {{"retained", 8}, 0, 30}};
    struct logstore *store = fixture_open(LOGSTORE_WRITE, LOGSTORE_FSYNC_NEVER);
    for (size_t i = 0; i < sizeof PARTITIONS / sizeof *PARTITIONS; i++) {
        struct error error = {0};
        struct logstore_record record = fixture_record("key of its own", "new");
        int64_t offset;
        MUST(logstore_append(store, PARTITIONS[i].topic, PARTITIONS[i].partition, &record, 1, &offset,
                             &error));
        if (offset != PARTITIONS[i].end)
            fail_msg("partition %zu goes on with %lld", i, (long long)offset);
    }
    logstore_close(&store);
}

/* The half of a slot that tells of the last appends is damaged: the older one tells of fewer, but a writer
 * finds the others in the segments before it writes anything over them. */
static void test_a_writer_loses_nothing_to_a_damaged_slot(void **state)
{
    (void)state;
    enum { FIRST = 256, LAST = 256 + 6 * 256 };
    append_to_all();
    dump_store(&sound);
    for (int at = FIRST; at < LAST; at += 13) {
        char byte;
        assert_int_equal(fixture_teardown(NULL), 0);
        assert_int_equal(fixture_setup(NULL), 0);
        golden_restore(BYTES);
        int fd = open_file("partitions");
        assert_int_equal(pread(fd, &byte, 1, at), 1);
        byte = (char)(byte ^ 0x10);
        assert_int_equal(pwrite(fd, &byte, 1, at), 1);
        close(fd);
        append_to_all();
        dump_store(&found);
        if (!str_equal(buf_str(&found), buf_str(&sound)))
            fail_msg("a slot damaged at %d:\n%s", at, found.bytes);
    }
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        TEST(test_a_byte_that_changed_is_noticed_or_does_no_harm),
        TEST(test_a_file_that_got_shorter_is_noticed),
        TEST(test_a_commit_without_its_identity_is_noticed),
        TEST(test_a_writer_loses_nothing_to_a_damaged_slot),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
