#include "exporter/history.h"

#include "exporter/evaluate.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

static char folder[] = "/tmp/tidemark-history-XXXXXX";
static char path[64], damaged[64];

static int set_up(void **state)
{
    (void)state;
    assert_non_null(mkdtemp(folder));
    assert_true(snprintf(path, sizeof path, "%s/history", folder) > 0);
    assert_true(snprintf(damaged, sizeof damaged, "%s/history.damaged", folder) > 0);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    (void)unlink(path);
    (void)unlink(damaged);
    return rmdir(folder);
}

/* A poll of a group that fails to read what is written, after its offset was moved back once. */
static struct findings *poll(struct history *history, int minute)
{
    struct snapshot *s = snapshot_new();
    struct rules rules = rules_default();
    uint32_t topic = (uint32_t)snapshot_add_topic(s, STR_LITERAL("orders"), 1);
    uint32_t group = (uint32_t)snapshot_add_group(s, STR_LITERAL("bill\0ing"));
    s->partitions[0].start = 0;
    s->partitions[0].end = 1000 + minute * 100;
    s->groups[group].members = minute < 40 ? 1 : 0;
    s->groups[group].generation = minute < 40 ? 1 : 2;
    int64_t committed = minute < 40 ? 1000 + minute * 100 - (minute == 20 ? 300 : 0) : 4900;
    assert_non_null(snapshot_add_position(s, group, topic, 0, committed));
    snapshot_seal(s, INT64_C(1764000000000) + minute * 60000);
    history_observe(history, s);
    struct findings *findings = evaluate(history, s, s->time, &rules);
    snapshot_free(&s);
    return findings;
}

static void same_events(const struct event_list *a, const struct event_list *b)
{
    assert_non_null(a);
    assert_int_equal(a->count, b->count);
    for (uint32_t i = 0; i < a->count; i++) {
        assert_memory_equal(&a->events[i], &b->events[i], sizeof *a->events);
        assert_true(str_equal(a->topics[i], b->topics[i]));
    }
}

static void same(const struct findings *a, const struct findings *b)
{
    struct group_findings group_a = a->groups[0], group_b = b->groups[0];
    struct subscription_findings topic_a = a->subscriptions[0], topic_b = b->subscriptions[0];
    same_events(group_a.events, group_b.events);
    struct chart_past past_a = {0}, past_b = {0};
    chart_read(topic_a.chart, &past_a);
    chart_read(topic_b.chart, &past_b);
    assert_memory_equal(&past_a, &past_b, sizeof past_a);
    group_a.events = group_b.events = NULL;
    topic_a.chart = topic_b.chart = NULL;
    assert_memory_equal(&group_a, &group_b, sizeof group_a);
    assert_memory_equal(&topic_a, &topic_b, sizeof topic_a);
    assert_int_equal(a->where_count, b->where_count);
    for (uint32_t i = 0; i < a->where_count; i++)
        assert_int_equal(a->wheres[i].since, b->wheres[i].since);
}

/* What is known after 45 minutes, as it is in the file, too. */
static struct history *save_history(void)
{
    struct error error = {0};
    struct history *history = history_new();
    for (int minute = 0; minute < 45; minute++) {
        struct findings *findings = poll(history, minute);
        findings_free(&findings);
    }
    assert_true(history_save(history, path, &error));
    return history;
}

/* The monitor is restarted in the middle of an incident: it goes on as if it had not been. */
static void test_restart(void **state)
{
    (void)state;
    struct error error = {0};
    struct history *history = save_history();
    struct history *loaded = history_load(path, &error);
    assert_non_null(loaded);
    struct findings *a = poll(history, 45), *b = poll(loaded, 45);
    assert_true(a->groups[0].conditions & 1u << CONDITION_STOPPED);
    assert_int_equal(a->subscriptions[0].rewound_total, 200);
    same(a, b);
    findings_free(&a);
    findings_free(&b);
    history_free(&loaded);
    history_free(&history);
}

/* There is no file yet: that is told apart from a damaged one. */
static void test_no_file(void **state)
{
    (void)state;
    struct error error = {0};
    (void)unlink(path);
    assert_null(history_load(path, &error));
    assert_int_equal(error.code, ERROR_NOT_FOUND);
    error_clear(&error);
}

static void write_file(const char *bytes, size_t length)
{
    FILE *file = fopen(path, "we");
    assert_non_null(file);
    assert_int_equal(fwrite(bytes, 1, length, file), length);
    assert_int_equal(fclose(file), 0);
}

static size_t read_file(char *bytes, size_t size)
{
    FILE *file = fopen(path, "re");
    assert_non_null(file);
    size_t length = fread(bytes, 1, size, file);
    assert_int_equal(fclose(file), 0);
    assert_in_range(length, 1000, size - 1);
    return length;
}

/* The file was cut off anywhere, or a bit of it is wrong: it is set aside and the reason told. */
static void test_damaged(void **state)
{
    (void)state;
    struct error error = {0};
    struct history *history = history_new();
    struct findings *findings = poll(history, 0);
    findings_free(&findings);
    assert_true(history_save(history, path, &error));
    history_free(&history);
    static char bytes[1 << 16];
    size_t length = read_file(bytes, sizeof bytes);
    for (size_t at = 0; at < length; at += 7) {
        write_file(bytes, at);
        assert_null(history_load(path, &error));
        assert_int_equal(error.code, ERROR_CORRUPT);
        bytes[at] ^= 4;
        write_file(bytes, length);
        bytes[at] ^= 4;
        assert_null(history_load(path, &error));
        assert_true(error.code == ERROR_CORRUPT || error.code == ERROR_UNSUPPORTED);
        assert_int_equal(access(path, F_OK), -1);
        assert_int_equal(access(damaged, F_OK), 0);
    }
    error_clear(&error);
}

enum { HEAD = 32 }; /* whose last eight bytes are the FNV-1a checksum of what follows */

static void put_checksum_right(char *bytes, size_t length)
{
    uint64_t sum = UINT64_C(0xcbf29ce484222325);
    for (size_t i = HEAD; i < length; i++)
        sum = (sum ^ (unsigned char)bytes[i]) * UINT64_C(0x100000001b3);
    memcpy(bytes + HEAD - sizeof sum, &sum, sizeof sum);
}

/* Any eight bytes of the file hold nonsense, and the checksum is right: it is refused, or what it says is as
 * good as any other past. Nothing overflows, and no counter is below 0. */
static void test_nonsense(void **state)
{
    (void)state;
    static const int64_t nonsense[] = {INT64_MIN + 1, -2,        INT64_MAX,       INT64_MAX - 1,
                                       1 << 30,       INT64_MIN, INT64_C(1) << 60};
    struct error error = {0};
    struct history *history = save_history();
    history_free(&history);
    static char bytes[1 << 16];
    size_t length = read_file(bytes, sizeof bytes);
    int refused = 0, taken = 0;
    for (size_t at = HEAD; at + sizeof(int64_t) <= length; at += sizeof(int64_t)) {
        size_t i = at / sizeof(int64_t) % (sizeof nonsense / sizeof *nonsense);
        char good[sizeof(int64_t)];
        memcpy(good, bytes + at, sizeof good);
        memcpy(bytes + at, &nonsense[i], sizeof good);
        put_checksum_right(bytes, length);
        write_file(bytes, length);
        memcpy(bytes + at, good, sizeof good);
        history = history_load(path, &error);
        refused += history == NULL;
        taken += history != NULL;
        for (int minute = 45; history != NULL && minute < 50; minute++) {
            struct findings *findings = poll(history, minute);
            assert_true(findings->subscriptions[0].rewound_total >= 0);
            assert_true(findings->groups[0].slo_ms >= 0);
            findings_free(&findings);
        }
        history_free(&history);
    }
    assert_true(refused > 200 && taken > 200);
    error_clear(&error);
}

/* The time lag of a group that stands in the midst of what a log of an hour ago had before the first poll. */
static int64_t lag_in_the_midst(bool looks_up)
{
    struct history *history = history_new();
    struct snapshot *s = snapshot_new();
    struct rules rules = rules_default();
    uint32_t topic = (uint32_t)snapshot_add_topic(s, STR_LITERAL("orders"), 1);
    uint32_t group = (uint32_t)snapshot_add_group(s, STR_LITERAL("billing"));
    s->tells_no_record = looks_up;
    s->partitions[0].start = 0;
    s->partitions[0].end = 1000;
    s->partitions[0].start_ts = INT64_C(1764000000000) - 3600000;
    assert_non_null(snapshot_add_position(s, group, topic, 0, 500));
    snapshot_seal(s, INT64_C(1764000000000));
    history_observe(history, s);
    struct findings *findings = evaluate(history, s, s->time, &rules);
    int64_t lag = findings->positions[0].lag_ms;
    findings_free(&findings);
    snapshot_free(&s);
    history_free(&history);
    return lag;
}

/* It lies somewhere in that hour. A source that looks times up, and hasn't come to it, will tell: nothing is
 * guessed. Of another the middle is the best there is. */
static void test_a_time_that_is_not_looked_up_yet(void **state)
{
    (void)state;
    assert_int_equal(lag_in_the_midst(true), UNKNOWN);
    assert_int_equal(lag_in_the_midst(false), 1800000);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_restart),
        cmocka_unit_test(test_no_file),
        cmocka_unit_test(test_a_time_that_is_not_looked_up_yet),
        cmocka_unit_test(test_damaged),
        cmocka_unit_test(test_nonsense),
    };
    return cmocka_run_group_tests_name("history", tests, set_up, tear_down);
}
