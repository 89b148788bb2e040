#include "exporter/encode.h"
#include "exporter/encode_line.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

static const struct program_facts program = {
    .version = "1.2.3",
    .librdkafka_version = "2.0.2",
    .cluster_label = "cluster",
};

static const struct page_facts facts = {
    .now = 1764000000123,
    .process = {UNKNOWN, UNKNOWN, UNKNOWN, UNKNOWN, UNKNOWN, UNKNOWN},
    .last_reload_successful = UNKNOWN,
    .last_reload_success = UNKNOWN,
    .program = &program,
};

static struct source_status status_of(const char *cluster)
{
    return (struct source_status){
        .cluster = cluster,
        .kind = "kafka",
        .offsets = "admin",
        .rebalances = "sampled",
        .polled = true,
        .up = true,
        .last_success = 1764000000000,
        .poll_interval_ms = 15000,
    };
}

/* A cluster with one topic of two partitions and one group that has committed on both, one of them beyond the
 * end. */
static void publish_cluster(struct publish *publish, size_t index, const char *cluster, struct str topic,
                            struct str group)
{
    struct snapshot *s = snapshot_new();
    uint32_t t = (uint32_t)snapshot_add_topic(s, topic, 2);
    uint32_t g = (uint32_t)snapshot_add_group(s, group);
    for (uint32_t i = 0; i < 2; i++) {
        s->partitions[i].start = 0;
        s->partitions[i].end = INT64_MAX;
    }
    snapshot_add_position(s, g, t, 0, INT64_MAX - 7);
    snapshot_add_position(s, g, t, 1, 5);
    s->groups[g].members = 3;
    s->groups[g].state = GROUP_STATE_STABLE;
    snapshot_seal(s, 1764000000000);
    struct findings *f = findings_new(s);
    f->positions[0] = (struct position_findings){.lag = 7, .lag_ms = 1500};
    f->groups[0].conditions = 1u << CONDITION_STUCK;
    f->groups[0].wheres = f->where_count = 1;
    f->wheres = calloc(1, sizeof *f->wheres);
    assert_non_null(f->wheres);
    f->wheres[0] = (struct finding){
        .condition = CONDITION_STUCK, .subscription = 0, .position = 1, .since = 1763999000001};
    struct source_status status = status_of(cluster);
    publish_poll(publish, index, &status, s, f);
}

/* The whole page as a C string, rendered in pieces of at least `wanted` bytes; free() it. */
static char *render_as(enum page_format format, struct publish *publish, size_t wanted)
{
    struct page *page = page_new(publish_view(publish), &facts, format, NULL);
    struct buf all = buf_make(1 << 24);
    struct buf piece = buf_make(1 << 24);
    bool more = true;
    while (more) {
        buf_reset(&piece);
        more = page_render(page, &piece, wanted);
        buf_add_str(&all, buf_str(&piece));
    }
    buf_add_char(&all, '\0');
    assert_true(buf_ok(&all));
    buf_free(&piece);
    page_free(&page);
    return all.bytes;
}

static char *render(struct publish *publish, size_t wanted)
{
    return render_as(PAGE_TEXT, publish, wanted);
}

static void assert_line(const char *page, const char *line)
{
    const char *found = strstr(page, line);
    if (found == NULL)
        print_error("missing: %s\n%s", line, page);
    assert_non_null(found);
    assert_true(found == page || found[-1] == '\n');
    assert_int_equal(found[strlen(line)], '\n');
}

/* Two sources are published: values are exact to the last digit, families stay whole, and what is unknown is
 * absent. */
static void test_page(void **state)
{
    (void)state;
    struct source_status statuses[] = {status_of("east"), status_of("west")};
    struct publish *publish = publish_new(statuses, 2);
    publish_cluster(publish, 0, "east", STR_LITERAL("orders"), STR_LITERAL("billing"));
    publish_cluster(publish, 1, "west", STR_LITERAL("orders"), STR_LITERAL("billing"));
    char *page = render(publish, 1 << 20);
    assert_line(page,
                "kafka_topic_partition_current_offset{cluster=\"east\",topic=\"orders\",partition=\"1\"} "
                "9223372036854775807");
    assert_line(page, "kafka_consumergroup_current_offset{cluster=\"west\",consumergroup=\"billing\",topic="
                      "\"orders\",partition=\"0\"} 9223372036854775800");
    assert_line(page, "kafka_consumergroup_lag{cluster=\"east\",consumergroup=\"billing\",topic=\"orders\","
                      "partition=\"0\"} 7");
    assert_line(page, "kafka_consumergroup_lag_seconds{cluster=\"east\",consumergroup=\"billing\",topic="
                      "\"orders\",partition=\"0\"} 1.5");
    assert_null(strstr(page,
                       "kafka_consumergroup_lag{cluster=\"east\",consumergroup=\"billing\",topic=\"orders\","
                       "partition=\"1\"}"));
    assert_line(page, "kafka_consumergroup_members{cluster=\"east\",consumergroup=\"billing\"} 3");
    assert_line(page,
                "kafka_consumergroup_state{cluster=\"east\",consumergroup=\"billing\",state=\"Stable\"} 1");
    assert_line(page,
                "kafka_consumergroup_state{cluster=\"east\",consumergroup=\"billing\",state=\"Empty\"} 0");
    assert_line(page, "kafka_consumergroup_condition_since_timestamp_seconds{cluster=\"east\",consumergroup="
                      "\"billing\",condition=\"stuck\",topic=\"orders\",partition=\"1\"} 1763999000.001");
    assert_line(page, "tidemark_page_timestamp_seconds 1764000000.123");
    assert_line(page, "tidemark_build_info{version=\"1.2.3\",librdkafka_version=\"2.0.2\"} 1");
    assert_null(strstr(page, "kafka_consumergroup_lag_sum"));
    assert_null(strstr(page, "process_open_fds"));
    const char *first = strstr(page, "# TYPE kafka_consumergroup_lag gauge\n");
    assert_non_null(first);
    assert_null(strstr(first + 1, "# TYPE kafka_consumergroup_lag gauge\n"));
    free(page);
    publish_free(&publish);
}

/* The page is rendered a line, a hundred bytes, a thousand bytes at a time: it is the same page. */
static void test_pieces_make_the_same_page(void **state)
{
    (void)state;
    struct source_status statuses[] = {status_of("east"), status_of("west")};
    struct publish *publish = publish_new(statuses, 2);
    publish_cluster(publish, 0, "east", STR_LITERAL("orders"), STR_LITERAL("billing"));
    publish_cluster(publish, 1, "west", STR_LITERAL("audit"), STR_LITERAL("search"));
    char *whole = render(publish, 1 << 20);
    for (size_t wanted = 1; wanted < 5000; wanted = wanted * 3 + 1) {
        char *pieces = render(publish, wanted);
        assert_string_equal(pieces, whole);
        free(pieces);
    }
    free(whole);
    publish_free(&publish);
}

/* The page goes into buffers that can't grow: what doesn't fit any more comes in the next, and where nothing
 * fits the buffer fails and a larger one goes on. */
static void test_no_room(void **state)
{
    (void)state;
    struct source_status statuses[] = {status_of("east"), status_of("west")};
    struct publish *publish = publish_new(statuses, 2);
    publish_cluster(publish, 0, "east", STR_LITERAL("orders"), STR_LITERAL("billing"));
    publish_cluster(publish, 1, "west", STR_LITERAL("audit"), STR_LITERAL("search"));
    char *whole = render_as(PAGE_OPENMETRICS, publish, 1 << 20);
    for (size_t room = 1; room < 5000; room += 97) {
        struct page *page = page_new(publish_view(publish), &facts, PAGE_OPENMETRICS, NULL);
        struct buf all = buf_make(1 << 24);
        for (bool more = true; more;) {
            struct buf piece = buf_make(room);
            more = page_render(page, &piece, room);
            if (!buf_ok(&piece)) {
                assert_int_equal(piece.length, 0);
                buf_free(&piece);
                piece = buf_make(1 << 20);
                more = page_render(page, &piece, 1);
            }
            assert_true(buf_ok(&piece));
            buf_add_str(&all, buf_str(&piece));
            buf_free(&piece);
        }
        buf_add_char(&all, '\0');
        assert_string_equal(all.bytes, whole);
        buf_free(&all);
        page_free(&page);
    }
    free(whole);
    publish_free(&publish);
}

/* The same page in OpenMetrics: a counter's family is named without _total, a unit is declared where the name
 * ends in it, and the page says where it ends; once, however it is cut. */
static void test_openmetrics(void **state)
{
    (void)state;
    struct source_status statuses[] = {status_of("east")};
    struct publish *publish = publish_new(statuses, 1);
    publish_cluster(publish, 0, "east", STR_LITERAL("orders"), STR_LITERAL("billing"));
    for (size_t wanted = 1; wanted < 1 << 20; wanted = wanted * 3 + 1) {
        char *page = render_as(PAGE_OPENMETRICS, publish, wanted);
        assert_line(page, "# TYPE kafka_consumergroup_rebalances counter");
        assert_line(page,
                    "kafka_consumergroup_rebalances_total{cluster=\"east\",consumergroup=\"billing\"} 0");
        assert_line(page, "# TYPE kafka_consumergroup_rebalancing_seconds counter");
        assert_line(page, "# UNIT kafka_consumergroup_rebalancing_seconds seconds");
        assert_line(page, "# UNIT kafka_consumergroup_lag_seconds seconds");
        assert_line(page, "# TYPE kafka_consumergroup_lag gauge");
        assert_null(strstr(page, "# UNIT kafka_consumergroup_lag "));
        assert_null(strstr(page, "_created"));
        const char *end = strstr(page, "# EOF\n");
        assert_non_null(end);
        assert_string_equal(end, "# EOF\n");
        free(page);
    }
    publish_free(&publish);
}

/* What of a page is the process's stands at its end: what is found of one page's length serves for the next.
 */
static void test_the_process_comes_last(void **state)
{
    (void)state;
    for (int metric = 0; metric < METRICS; metric++) {
        enum metric_level level = metric_row((enum metric)metric)->level;
        bool of_process = level == METRIC_LEVEL_process || level == METRIC_LEVEL_build;
        assert_int_equal(of_process, metric >= METRIC_FIRST_OF_PROCESS);
    }
}

/* The page's length is asked for before it is rendered: first when nothing is known of it, then when there is
 * what was found for another page of the view. It is right, and the page is the same as ever. */
static void test_length(void **state)
{
    (void)state;
    struct source_status statuses[] = {status_of("east"), status_of("west")};
    struct publish *publish = publish_new(statuses, 2);
    publish_cluster(publish, 0, "east", STR_LITERAL("orders"), STR_LITERAL("billing"));
    publish_cluster(publish, 1, "west", STR_LITERAL("audit"), STR_LITERAL("search"));
    for (int format = 0; format < PAGE_FORMATS; format++) {
        struct page_extent of_view = {0};
        char *whole = render_as((enum page_format)format, publish, 1 << 20);
        for (int i = 0; i < 3; i++) {
            struct buf all = buf_make(1 << 24);
            struct page *page = page_new(publish_view(publish), &facts, (enum page_format)format, NULL);
            assert_int_equal(page_length(page, &of_view), strlen(whole));
            assert_in_range(of_view.bytes, strlen(whole) / 2, strlen(whole) - 1);
            assert_false(page_render(page, &all, 1 << 20));
            assert_true(str_equal(buf_str(&all), str_of(whole)));
            page_free(&page);
            buf_free(&all);
        }
        free(whole);
    }
    publish_free(&publish);
}

/* Many partitions: each number of digits that theirs have. */
static void test_many_partitions(void **state)
{
    (void)state;
    enum { PARTITIONS = 1100 };
    struct source_status statuses[] = {status_of("c")};
    struct publish *publish = publish_new(statuses, 1);
    struct snapshot *s = snapshot_new();
    snapshot_add_topic(s, STR_LITERAL("t"), PARTITIONS);
    for (int i = 0; i < PARTITIONS; i++)
        s->partitions[i].end = i * 3;
    snapshot_seal(s, 1);
    publish_poll(publish, 0, &statuses[0], s, findings_new(s));
    char *page = render(publish, 5000);
    const char *at = strstr(page, "\nkafka_topic_partition_current_offset{") + 1;
    for (int i = 0; i < PARTITIONS; i++) {
        char line[200];
        snprintf(line, sizeof line,
                 "kafka_topic_partition_current_offset{cluster=\"c\",topic=\"t\",partition=\"%d\"} %d\n", i,
                 i * 3);
        assert_memory_equal(at, line, strlen(line));
        at += strlen(line);
    }
    free(page);
    publish_free(&publish);
}

/* The end offset takes on every number of digits, the time lag every number of decimals. */
static void test_numbers(void **state)
{
    (void)state;
    struct source_status statuses[] = {status_of("c")};
    char line[200];
    uint64_t number = 0;
    for (int digits = 0; digits <= 19; digits++, number = number * 10 + (uint64_t)(digits % 10)) {
        for (uint64_t more = 0; more < 2; more++) {
            int64_t value = number + more > INT64_MAX ? INT64_MAX : (int64_t)(number + more);
            struct publish *publish = publish_new(statuses, 1);
            struct snapshot *s = snapshot_new();
            uint32_t t = (uint32_t)snapshot_add_topic(s, STR_LITERAL("t"), 1);
            s->partitions[0].end = value;
            s->topics[t].config.retention_ms = value;
            snapshot_seal(s, 1);
            publish_poll(publish, 0, &statuses[0], s, findings_new(s));
            char *page = render(publish, 1 << 20);
            snprintf(
                line, sizeof line,
                "kafka_topic_partition_current_offset{cluster=\"c\",topic=\"t\",partition=\"0\"} %" PRId64,
                value);
            assert_line(page, line);
            int length = snprintf(line, sizeof line,
                                  "kafka_topic_retention_seconds{cluster=\"c\",topic=\"t\"} %" PRId64 ".%03d",
                                  value / 1000, (int)(value % 1000));
            while (line[length - 1] == '0')
                line[--length] = '\0';
            if (line[length - 1] == '.')
                line[--length] = '\0';
            assert_line(page, line);
            free(page);
            publish_free(&publish);
        }
    }
}

/* Writes value / unit in the plain way. */
static void print_quotient(char *text, size_t size, int64_t value, uint64_t unit, int decimals)
{
    uint64_t magnitude = value < 0 ? 0 - (uint64_t)value : (uint64_t)value;
    int length = snprintf(text, size, "m %s%" PRIu64 ".%0*" PRIu64, value < 0 ? "-" : "", magnitude / unit,
                          decimals, magnitude % unit);
    while (text[length - 1] == '0')
        length--;
    snprintf(text + (text[length - 1] == '.' ? length - 1 : length), 2, "\n");
}

static void assert_quotient(struct line_writer *writer, int64_t value)
{
    static const struct unit {
        enum metric_unit unit;
        int decimals;
    } units[] = {{METRIC_UNIT_COUNT, 0}, {METRIC_UNIT_MILLISECONDS, 3}, {METRIC_UNIT_MICROSECONDS, 6}};
    char expected[64];
    for (size_t u = 0; u < sizeof units / sizeof *units; u++) {
        buf_reset(writer->out);
        writer->unit = units[u].unit;
        line_add(writer, value);
        print_quotient(expected, sizeof expected, value, (uint64_t)units[u].unit, units[u].decimals);
        if (!str_equal(buf_str(writer->out), str_of(expected)))
            fail_msg("%" PRId64 " / %d: expected %s", value, (int)units[u].unit, expected);
    }
}

/* Each number of digits, and each place where decimals may end. */
static void test_units(void **state)
{
    (void)state;
    struct buf out = buf_make(1 << 10);
    struct line_writer writer = line_writer_make();
    writer.out = &out;
    line_begin(&writer, STR_LITERAL("m"));
    for (int64_t value = -1100; value < 11000; value++)
        assert_quotient(&writer, value);
    for (int64_t power = 1000; power <= INT64_MAX / 10; power *= 10)
        for (int64_t factor = 1; factor < 10; factor++)
            for (int64_t more = -1; more <= 1; more++)
                assert_quotient(&writer, factor * power + more);
    assert_quotient(&writer, INT64_MAX);
    assert_quotient(&writer, -INT64_MAX);
    line_writer_free(&writer);
    buf_free(&out);
}

/* A topic and a group have names with quotes, backslashes, newlines, NUL and bytes that are no UTF-8. */
static void test_hostile_names(void **state)
{
    (void)state;
    struct source_status statuses[] = {status_of("c\"1\"")};
    struct publish *publish = publish_new(statuses, 1);
    publish_cluster(publish, 0, "c\"1\"", STR_LITERAL("a\nb\\\"c\xff"),
                    STR_LITERAL("\xf0\x9f\x8c\x8a\0\\x00"));
    char *page = render(publish, 1);
    assert_line(
        page,
        "kafka_consumergroup_lag{cluster=\"c\\\"1\\\"\",consumergroup=\"\xf0\x9f\x8c\x8a\\\\x00\\\\x5cx00\","
        "topic=\"a\\nb\\\\\\\"c\\\\xff\",partition=\"0\"} 7");
    free(page);
    publish_free(&publish);
}

/* A group's name is 32 KB long: it is shown whole. */
static void test_long_name(void **state)
{
    (void)state;
    enum { LONG = 32 * 1024 };
    char *name = malloc(LONG);
    assert_non_null(name);
    memset(name, '"', LONG);
    struct source_status statuses[] = {status_of("c")};
    struct publish *publish = publish_new(statuses, 1);
    publish_cluster(publish, 0, "c", STR_LITERAL("t"), (struct str){name, LONG});
    char *page = render(publish, 1000);
    const char *series = strstr(page, "\nkafka_consumergroup_members{");
    assert_non_null(series);
    const char *end = strchr(series + 1, '\n');
    assert_non_null(end);
    assert_int_equal(end - series - 1,
                     strlen("kafka_consumergroup_members{cluster=\"c\",consumergroup=\"\"} 3") + 2 * LONG);
    free(page);
    free(name);
    publish_free(&publish);
}

/* A source was never reached, another has been forgotten: their status is shown, and nothing else of them. */
static void test_unknown_sources(void **state)
{
    (void)state;
    struct source_status statuses[] = {status_of("new"), status_of("old")};
    statuses[0].polled = false;
    statuses[0].last_success = UNKNOWN;
    struct publish *publish = publish_new(statuses, 2);
    publish_cluster(publish, 1, "old", STR_LITERAL("t"), STR_LITERAL("g"));
    struct source_status down = status_of("old");
    down.up = false;
    publish_status(publish, 1, &down, false);
    char *page = render(publish, 1 << 20);
    assert_line(page, "tidemark_source_up{cluster=\"old\"} 0");
    assert_null(strstr(page, "tidemark_source_up{cluster=\"new\"}"));
    assert_line(page, "kafka_consumergroup_members{cluster=\"old\",consumergroup=\"g\"} 3");
    free(page);
    publish_status(publish, 1, &down, true);
    page = render(publish, 1 << 20);
    assert_line(page, "tidemark_source_up{cluster=\"old\"} 0");
    assert_null(strstr(page, "kafka_consumergroup_members"));
    free(page);
    publish_free(&publish);
}

/* A scrape holds a view while the source publishes anew and the publisher goes: the view still shows what it
 * did. */
static void test_view_outlives_publish(void **state)
{
    (void)state;
    struct source_status statuses[] = {status_of("c")};
    struct publish *publish = publish_new(statuses, 1);
    publish_cluster(publish, 0, "c", STR_LITERAL("first"), STR_LITERAL("g"));
    struct view *view = publish_view(publish);
    publish_cluster(publish, 0, "c", STR_LITERAL("second"), STR_LITERAL("g"));
    publish_free(&publish);
    assert_true(str_equal(view->sources[0].snapshot->topics[0].name, STR_LITERAL("first")));
    view_release(&view);
    assert_null(view);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_page),
        cmocka_unit_test(test_pieces_make_the_same_page),
        cmocka_unit_test(test_no_room),
        cmocka_unit_test(test_openmetrics),
        cmocka_unit_test(test_the_process_comes_last),
        cmocka_unit_test(test_length),
        cmocka_unit_test(test_many_partitions),
        cmocka_unit_test(test_numbers),
        cmocka_unit_test(test_units),
        cmocka_unit_test(test_hostile_names),
        cmocka_unit_test(test_long_name),
        cmocka_unit_test(test_unknown_sources),
        cmocka_unit_test(test_view_outlives_publish),
    };
    return cmocka_run_group_tests_name("encode", tests, NULL, NULL);
}
