#include "logstore/cli/cli.h"
#include "tests/lib/logstore_fixture.h"

#include <fcntl.h>
#include <sys/wait.h>

static char output[65536];

/* Runs `tidemark log …` in a process of its own, with the folder for "DIR"; what it prints is in `output`. */
static int run(const char *input, const char *const *words)
{
    char *argv[16] = {"log"}, in[128], out[128];
    int argc = 1, status;
    for (; words[argc - 1] != NULL; argc++)
        argv[argc] = strcmp(words[argc - 1], "DIR") == 0 ? fixture_folder : (char *)words[argc - 1];
    snprintf(in, sizeof in, "%s.in", fixture_folder);
    snprintf(out, sizeof out, "%s.out", fixture_folder);
    int fd = open(in, O_RDWR | O_CREAT | O_TRUNC, 0600);
    assert_true(fd >= 0 && write(fd, input, strlen(input)) == (ssize_t)strlen(input));
    close(fd);
    fflush(NULL);
    pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        if (freopen(in, "r", stdin) == NULL || freopen(out, "w", stdout) == NULL || dup2(1, 2) < 0)
            _exit(99);
        int code = logstore_command(argc, argv);
        fflush(stdout);
        _exit(code);
    }
    assert_int_equal(waitpid(child, &status, 0), child);
    fd = open(out, O_RDONLY);
    assert_true(fd >= 0);
    ssize_t length = read(fd, output, sizeof output - 1);
    assert_true(length >= 0);
    output[length] = '\0';
    close(fd);
    unlink(in);
    unlink(out);
    assert_true(WIFEXITED(status));
    return WEXITSTATUS(status);
}

#define RUN(input, ...) run(input, (const char *const[]){__VA_ARGS__, NULL})

static void test_lines_go_in_and_come_out(void **state)
{
    (void)state;
    assert_int_equal(RUN("", "create", "DIR", "t", "--partitions", "1"), 0);
    assert_int_equal(RUN("a\n\nlast", "append", "DIR", "t"), 0);
    assert_int_equal(RUN("", "read", "DIR", "t"), 0);
    assert_string_equal(output, "a\n\nlast\n");
    assert_int_equal(RUN("", "read", "DIR", "t", "--from", "1", "--count=1"), 0);
    assert_string_equal(output, "\n");
    assert_int_equal(RUN("", "read", "DIR", "t", "--from", "latest"), 0);
    assert_string_equal(output, "");
}

/* JSON with every kind of escape, and bytes that are no UTF-8. */
static void test_json_comes_back_as_it_went_in(void **state)
{
    (void)state;
    const char *line =
        "{\"key\":\"\\u00e4\\ud83d\\ude00\\n\\\\xff\\\\x00\",\"value\":null,\"timestamp\":7,"
        "\"headers\":{\"h\":\"\\\"\\\\x5cx41\",\"n\":null},\"more\":[1,{\"a\":[true,-1.5e3]}]}\n";
    assert_int_equal(RUN("", "create", "DIR", "t", "--config", "retention.ms=-1"), 0);
    assert_int_equal(RUN(line, "append", "DIR", "t", "--json"), 0);
    assert_int_equal(RUN("", "read", "DIR", "t", "--json"), 0);
    const char *expected =
        "{\"partition\":0,\"offset\":0,\"timestamp\":7,\"key\":\"ä😀\\u000a\\\\xff\\\\x00\","
        "\"value\":null,\"headers\":{\"h\":\"\\\"\\\\x5cx41\",\"n\":null}}\n";
    assert_string_equal(output, expected);
}

static void test_what_is_no_json_is_refused_with_its_place(void **state)
{
    (void)state;
    static const char *const WRONG[] = {
        "x",
        "{",
        "{\"value\":}",
        "{\"value\":\"a\"",
        "[]",
        "{\"value\":\"\\q\"}",
        "{\"value\":\"\\ud800\"}",
        "{\"a\":[1,]}",
        "{\"timestamp\":1.5}",
        "{} {}",
        "{\"value\":\"a\nb\"}",
    };
    assert_int_equal(RUN("", "create", "DIR", "t"), 0);
    for (size_t i = 0; i < sizeof WRONG / sizeof WRONG[0]; i++) {
        assert_int_equal(RUN(WRONG[i], "append", "DIR", "t", "--json"), 2);
        assert_non_null(strstr(output, "line 1"));
    }
}

static void test_groups_are_shown_consumed_and_reset(void **state)
{
    (void)state;
    assert_int_equal(RUN("", "create", "DIR", "t"), 0);
    assert_int_equal(RUN("1\n2\n3\n", "append", "DIR", "t"), 0);
    assert_int_equal(RUN("", "consume", "DIR", "g", "t", "--count", "2"), 0);
    assert_string_equal(output, "1\n2\n");
    assert_int_equal(RUN("", "groups", "DIR"), 0);
    assert_non_null(strstr(output, "g\tEmpty\t0\tt\t0\t2\t3\t1\n"));
    assert_int_equal(RUN("", "reset", "DIR", "g", "t", "--to", "-1", "--dry-run"), 0);
    assert_non_null(strstr(output, "0\t2\t1\n"));
    assert_int_equal(RUN("", "reset", "DIR", "g", "t", "--to", "earliest"), 0);
    assert_int_equal(RUN("", "consume", "DIR", "g", "t"), 0);
    assert_string_equal(output, "1\n2\n3\n");
    assert_int_equal(RUN("", "commit", "DIR", "g", "t", "0", "1"), 0);
    assert_int_equal(RUN("", "groups", "DIR", "g", "--json"), 0);
    assert_non_null(strstr(output, "\"committed\":1,\"end\":3,"));
}

static void test_wrong_words_end_with_2_and_missing_things_with_1(void **state)
{
    (void)state;
    assert_int_equal(RUN("", "fly", "DIR"), 2);
    assert_int_equal(RUN("", "read", "DIR"), 2);
    assert_int_equal(RUN("", "read", "DIR", "t", "--nope"), 2);
    assert_int_equal(RUN("", "create", "DIR", "t", "--partitions", "x"), 2);
    assert_int_equal(RUN("", "create", "DIR", "t", "--config", "retention.ms"), 2);
    assert_int_equal(RUN("", "stat", "DIR"), 1);
    assert_int_equal(RUN("", "create", "DIR", "t"), 0);
    assert_int_equal(RUN("", "create", "DIR", "t"), 1);
    assert_int_equal(RUN("", "append", "DIR", "nobody's"), 0); /* there was nothing to append */
    assert_int_equal(RUN("x\n", "append", "DIR", "nobody's"), 1);
    assert_int_equal(RUN("", "verify", "DIR"), 0);
    assert_int_equal(RUN("", "read", "--help"), 0);
    assert_non_null(strstr(output, "Example:"));
}

enum { LINES_SIZE = 4096 };

/* Forty lines, and one that has no end. */
static void forty_lines(char lines[LINES_SIZE])
{
    for (size_t i = 0; i + 1 < LINES_SIZE; i++)
        lines[i] = i % 100 == 99 ? '\n' : 'x';
    lines[LINES_SIZE - 1] = '\0';
}

/* A topic's life: settings and partitions change, what is superfluous goes, and in the end all of it. */
static void test_topics_are_altered_cleaned_and_deleted(void **state)
{
    (void)state;
    char lines[LINES_SIZE];
    forty_lines(lines);
    assert_int_equal(
        RUN("", "create", "DIR", "t", "--config=segment.bytes=1024", "--config=max.message.bytes=1024"), 0);
    assert_int_equal(RUN(lines, "append", "DIR", "t", "--key", "k"), 0);
    assert_int_equal(RUN("", "stat", "DIR"), 0);
    assert_string_equal(output, "TOPIC\tPARTITION\tSTART\tEND\nt\t0\t0\t41\n");
    assert_int_equal(RUN("", "alter", "DIR", "t", "--config=cleanup.policy=compact", "--partitions=2"), 0);
    assert_int_equal(RUN("", "compact", "DIR"), 0);
    assert_int_equal(RUN("", "read", "DIR", "t", "--partition=0"), 0);
    assert_true(strlen(output) < 1200); /* what the active segment holds, and nothing more */
    assert_int_equal(
        RUN("", "alter", "DIR", "t", "--config=cleanup.policy=delete", "--config=retention.bytes=1"), 0);
    assert_int_equal(RUN("", "retain", "DIR", "t"), 0);
    assert_int_equal(RUN("", "stat", "DIR", "t", "--json"), 0);
    assert_null(strstr(output, "\"start\":0,\"end\":41"));
    assert_non_null(strstr(output, "\"partition\":1,\"start\":0,\"end\":0}"));
    assert_int_equal(RUN("", "alter", "DIR", "t", "--partitions=1"), 2);
    assert_int_equal(RUN("", "delete", "DIR", "t"), 0);
    assert_int_equal(RUN("", "delete", "DIR", "t"), 1);
    assert_int_equal(RUN("", "stat", "DIR"), 0);
    assert_string_equal(output, "TOPIC\tPARTITION\tSTART\tEND\n");
}

/* What another process does at the moment at which `verify` opens its second segment. */
static struct meddling {
    void (*meddle)(struct logstore *store, struct error *error);
    int opened;
} meddling;

static int at_second_segment(void *context, struct fsio_step *step)
{
    (void)context;
    size_t length = strlen(step->name);
    if (step->call != FSIO_OPEN || length < 4 || strcmp(step->name + length - 4, ".log") != 0 ||
        ++meddling.opened != 2)
        return 0;
    struct error error = {0};
    struct logstore *store = fixture_open(LOGSTORE_WRITE, LOGSTORE_FSYNC_NEVER);
    meddling.meddle(store, &error);
    MUST(error.code == ERROR_NONE);
    logstore_close(&store);
    return 0;
}

static void retain_least(struct logstore *store, struct error *error)
{
    struct logstore_config config = logstore_config_default();
    config.retention_bytes = 1;
    if (logstore_topic_alter(store, STR_LITERAL("t"), &config, error))
        (void)logstore_retain(store, STR_LITERAL("t"), NULL, error);
}

static void delete_topic(struct logstore *store, struct error *error)
{
    (void)logstore_topic_delete(store, STR_LITERAL("t"), error);
}

static void test_what_goes_while_it_is_verified_is_no_damage(void **state)
{
    (void)state;
    static const struct fsio_fault seam = {at_second_segment, NULL, 0};
    char lines[LINES_SIZE];
    forty_lines(lines);
    RUN("", "create", "DIR", "t", "--config", "segment.bytes=1024", "--config", "max.message.bytes=1024");
    assert_int_equal(RUN(lines, "append", "DIR", "t"), 0);
    assert_int_equal(RUN("", "append", "DIR", "t"), 0);
    fsio_fault = &seam;
    meddling.meddle = retain_least;
    int code = RUN("", "verify", "DIR");
    if (code != 0 || strstr(output, " 0 damages") == NULL)
        fail_msg("%d: %s", code, output);
    assert_null(strstr(output, "41 records")); /* some of them were gone */
    fsio_fault = NULL;
    assert_int_equal(RUN(lines, "append", "DIR", "t"), 0);
    fsio_fault = &seam;
    meddling.meddle = delete_topic;
    code = RUN("", "verify", "DIR");
    if (code != 0 || strstr(output, " 0 damages") == NULL)
        fail_msg("%d: %s", code, output);
    fsio_fault = NULL;
}

/* The topics after one that is deleted meanwhile are compacted all the same. */
static void test_a_topic_that_goes_holds_up_no_other(void **state)
{
    (void)state;
    static const struct fsio_fault seam = {at_second_segment, NULL, 0};
    const char *const names[] = {"a", "t", "z"};
    char lines[LINES_SIZE];
    forty_lines(lines);
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        RUN("", "create", "DIR", names[i], "--config", "segment.bytes=1024", "--config",
            "max.message.bytes=1024", "--config", "cleanup.policy=compact");
        assert_int_equal(RUN(lines, "append", "DIR", names[i], "--key", "k"), 0);
        assert_int_equal(RUN("last\n", "append", "DIR", names[i], "--key", "k"), 0);
    }
    fsio_fault = &seam;
    meddling.meddle = delete_topic;
    int code = RUN("", "compact", "DIR");
    fsio_fault = NULL;
    if (code != 0)
        fail_msg("%d: %s", code, output);
    assert_int_equal(RUN("", "read", "DIR", "z"), 0);
    assert_true(strlen(output) < 1200); /* what the active segment holds, and nothing more */
    assert_int_equal(RUN("", "read", "DIR", "t"), 1);
    assert_int_equal(RUN("", "compact", "DIR", "t"), 1); /* who asks for it by name is told */
}

/* What is left is read, and it is told what isn't. */
static void test_reading_goes_on_after_what_retention_takes(void **state)
{
    (void)state;
    static const struct fsio_fault seam = {at_second_segment, NULL, 0};
    char lines[LINES_SIZE];
    forty_lines(lines);
    RUN("", "create", "DIR", "t", "--config", "segment.bytes=1024", "--config", "max.message.bytes=1024");
    assert_int_equal(RUN(lines, "append", "DIR", "t"), 0);
    assert_int_equal(RUN("last\n", "append", "DIR", "t"), 0);
    fsio_fault = &seam;
    meddling.meddle = retain_least;
    int code = RUN("", "read", "DIR", "t");
    fsio_fault = NULL;
    if (code != 1 || strstr(output, "were deleted before they were read\n") == NULL ||
        strstr(output, "\nlast\n") == NULL)
        fail_msg("%d: %s", code, output);
    assert_int_equal(RUN("", "read", "DIR", "t", "--from", "0"), 1);
    assert_non_null(strstr(output, "the log begins with"));
}

/* A byte of one batch: all records but those in it are counted, and they are one damage. */
static void test_records_before_and_after_damage_are_counted(void **state)
{
    (void)state;
    char path[128];
    assert_int_equal(RUN("", "create", "DIR", "t"), 0);
    assert_int_equal(RUN("first\nsecond\n", "append", "DIR", "t"), 0);
    assert_int_equal(RUN("a\nbumblebee\nc\n", "append", "DIR", "t"), 0);
    assert_int_equal(RUN("fourth\n", "append", "DIR", "t"), 0);
    snprintf(path, sizeof path, "%s/topic/00000001/0/00000000000000000000.log", fixture_folder);
    int fd = open(path, O_RDWR);
    char bytes[4096];
    ssize_t length = pread(fd, bytes, sizeof bytes, 0);
    assert_true(length > 0);
    char *at = memmem(bytes, (size_t)length, "bumblebee", 9);
    assert_non_null(at);
    assert_int_equal(pwrite(fd, "B", 1, at - bytes), 1);
    close(fd);
    assert_int_equal(RUN("", "verify", "DIR"), 1);
    if (strstr(output, "3 records are whole, 1 damages\n") == NULL)
        fail_msg("%s", output);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, fixture_setup, fixture_teardown)
    const struct CMUnitTest tests[] = {
        TEST(test_lines_go_in_and_come_out),
        TEST(test_json_comes_back_as_it_went_in),
        TEST(test_what_is_no_json_is_refused_with_its_place),
        TEST(test_groups_are_shown_consumed_and_reset),
        TEST(test_wrong_words_end_with_2_and_missing_things_with_1),
        TEST(test_topics_are_altered_cleaned_and_deleted),
        TEST(test_what_goes_while_it_is_verified_is_no_damage),
        TEST(test_a_topic_that_goes_holds_up_no_other),
        TEST(test_reading_goes_on_after_what_retention_takes),
        TEST(test_records_before_and_after_damage_are_counted),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
