#include "exporter/observations.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

static const char line[] =
    "{\"cluster\":\"demo\",\"t\":1764000000.125,\"offsets_retention_minutes\":10080,\"topics\":[{\"topic\":"
    "\"orders\",\"id\":\"000102030405060708090a0b0c0d0eff\",\"config\":{\"cleanup.policy\":\"delete\","
    "\"retention.ms\":86400000},\"partitions\":["
    "{\"partition\":0,\"start\":0,\"end\":1200,\"lso\":1190,\"start_ts\":1763990000.000}]}],\"groups\":["
    "{\"group\":\"bill\\\"ing\\u000a\",\"state\":\"Stable\",\"members\":2,\"generation\":7,\"offsets\":["
    "{\"topic\":\"orders\",\"partition\":0,\"committed\":1100,\"next_ts\":1763999980.000}]}]}\n";

static struct snapshot *parse(const char *text)
{
    struct error error = {0};
    struct snapshot *snapshot = observation_parse(str_of(text), NULL, &error);
    if (snapshot == NULL)
        fail_msg("%s: %s", text, error_text(&error));
    return snapshot;
}

/* A recorded line is read and written again: it is the same line. */
static void test_round_trip(void **state)
{
    (void)state;
    struct snapshot *snapshot = parse(line);
    assert_int_equal(snapshot->time, INT64_C(1764000000125));
    assert_int_equal(snapshot->positions[0].next_ts, INT64_C(1763999980000));
    assert_int_equal(snapshot->partitions[0].last_stable, 1190);
    struct buf out = buf_make(SIZE_MAX);
    observation_write(&out, STR_LITERAL("demo"), snapshot);
    assert_int_equal(out.length, strlen(line));
    assert_memory_equal(out.bytes, line, out.length);
    buf_free(&out);
    snapshot_free(&snapshot);
}

/* What is missing, null, or of an unknown kind is unknown; a commit on a topic that isn't there is an orphan.
 */
static void test_missing_is_unknown(void **state)
{
    (void)state;
    struct snapshot *snapshot =
        parse("{\"t\":5,\"more\":1,\"topics\":[{\"topic\":\"a\",\"partitions\":["
              "{\"partition\":1,\"end\":null}]}],\"groups\":[{\"group\":\"g\",\"offsets\":["
              "{\"topic\":\"gone\",\"partition\":0,\"committed\":3}]},{\"group\":\"h\"}]}");
    assert_int_equal(snapshot->partition_count, 2);
    assert_int_equal(snapshot->partitions[1].end, UNKNOWN);
    assert_int_equal(snapshot->groups[0].members, UNKNOWN);
    assert_int_equal(snapshot->groups[0].state, GROUP_STATE_UNKNOWN);
    assert_int_equal(snapshot->orphan_count, 1);
    assert_int_equal(snapshot->topics[0].config.retention_ms, UNKNOWN);
    snapshot_free(&snapshot);
}

/* Lines that tell no observation are refused with the reason. */
static void test_refused(void **state)
{
    (void)state;
    static const char *const bad[] = {
        "",
        "{",
        "[]",
        "{\"t\":\"now\"}",
        "{\"t\":-1}",
        "{\"t\":1e300}",
        "{\"t\":1,\"topics\":[{}]}",
        "{\"t\":1,\"topics\":[{\"topic\":\"a\",\"partitions\":[{\"partition\":99999999999}]}]}",
        "{\"t\":1,\"groups\":[{\"group\":7}]}",
        "{\"t\":1,\"groups\":[{\"group\":\"g\",\"offsets\":[{\"topic\":\"a\",\"partition\":0}]}]}",
    };
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        struct error error = {0};
        assert_null(observation_parse(str_of(bad[i]), NULL, &error));
        assert_int_equal(error.code, ERROR_CORRUPT);
        error_clear(&error);
    }
}

/* A short line could ask for any amount of memory: a topic has a place for each partition up to its highest.
 */
static void test_no_more_partitions_than_a_cluster_has(void **state)
{
    (void)state;
    struct error error = {0};
    struct buf text = buf_make(SIZE_MAX);
    buf_add_text(&text, "{\"t\":1,\"topics\":[");
    for (int i = 0; i < 5; i++)
        buf_add_format(&text, "%s{\"topic\":\"t%d\",\"partitions\":[{\"partition\":1048575}]}",
                       i > 0 ? "," : "", i);
    buf_add_text(&text, "]}");
    assert_null(observation_parse(buf_str(&text), NULL, &error));
    assert_int_equal(error.code, ERROR_CORRUPT);
    error_clear(&error);
    buf_free(&text);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_round_trip),
        cmocka_unit_test(test_missing_is_unknown),
        cmocka_unit_test(test_refused),
        cmocka_unit_test(test_no_more_partitions_than_a_cluster_has),
    };
    return cmocka_run_group_tests_name("observations", tests, NULL, NULL);
}
