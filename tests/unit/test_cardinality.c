#include "exporter/encode.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include <stdio.h>
#include <string.h>

/* Which series are on the page, and which the configuration or the request leaves off. */

enum { GROUPS = 6, PARTITIONS = 10, LIMIT = 1 << 24 };

static const struct program_facts program = {
    .version = "1.2.3", .librdkafka_version = "2.0.2", .cluster_label = "cluster"};
static const struct page_facts facts = {
    .now = 1764000000123,
    .process = {1, 2, 3, 4, 5, 6},
    .last_reload_successful = 1,
    .last_reload_success = 1764000000000,
    .program = &program,
};
/* As it is when there is no descriptor left to look with. */
static const struct page_facts unknown_facts = {
    .now = 1764000000123,
    .process = {UNKNOWN, UNKNOWN, UNKNOWN, UNKNOWN, UNKNOWN, UNKNOWN},
    .last_reload_successful = UNKNOWN,
    .last_reload_success = UNKNOWN,
    .program = &program,
};

/* Six groups read "orders", and the even ones "clicks" too; group-4 is stuck, group-1 is skewed. */
static struct publish *publish_groups(enum granularity granularity)
{
    struct source_status status = {.cluster = "east", .kind = "kafka", .offsets = "", .rebalances = ""};
    status.granularity = granularity;
    struct publish *publish = publish_new(&status, 1);
    struct snapshot *s = snapshot_new();
    uint32_t clicks = (uint32_t)snapshot_add_topic(s, STR_LITERAL("clicks"), PARTITIONS);
    uint32_t orders = (uint32_t)snapshot_add_topic(s, STR_LITERAL("orders"), PARTITIONS);
    snapshot_add_topic(s, STR_LITERAL("unread"), PARTITIONS);
    char name[32];
    for (int i = 0; i < GROUPS; i++) {
        snprintf(name, sizeof name, "group-%d", i);
        uint32_t group = (uint32_t)snapshot_add_group(s, str_of(name));
        for (int p = 0; p < PARTITIONS; p++) {
            snapshot_add_position(s, group, orders, p, 5);
            if (i % 2 == 0)
                snapshot_add_position(s, group, clicks, p, 7);
        }
    }
    snapshot_seal(s, 1764000000000);
    struct findings *f = findings_new(s);
    f->groups[4].conditions = 1u << CONDITION_STUCK;
    f->groups[1].conditions = 1u << CONDITION_SKEWED;
    for (uint32_t i = 0; i < s->subscription_count; i++)
        f->subscriptions[i].lag_sum = 100 + i;
    publish_poll(publish, 0, &status, s, f);
    return publish;
}

static char *render_with(struct publish *publish, const struct page_facts *of_process,
                         const struct page_filter *filter, int64_t *dropped)
{
    struct page *page = page_new(publish_view(publish), of_process, PAGE_TEXT, filter);
    struct buf all = buf_make(LIMIT), piece = buf_make(LIMIT);
    for (bool more = true; more;) {
        buf_reset(&piece);
        more = page_render(page, &piece, 1000);
        buf_add_str(&all, buf_str(&piece));
    }
    buf_add_char(&all, '\0');
    assert_true(buf_ok(&all));
    if (dropped != NULL)
        *dropped = page_dropped(page);
    buf_free(&piece);
    page_free(&page);
    return all.bytes;
}

static char *render(struct publish *publish, const struct page_filter *filter, int64_t *dropped)
{
    return render_with(publish, &facts, filter, dropped);
}

/* Lines that aren't comments and have the text in them. */
static int count(const char *page, const char *text)
{
    int found = 0;
    for (const char *line = page; *line != '\0'; line = strchr(line, '\n') + 1) {
        const char *at = *line == '#' ? NULL : strstr(line, text);
        found += at != NULL && at < strchr(line, '\n');
    }
    return found;
}

static void assert_says(const char *page, const char *name, int64_t value)
{
    char line[100];
    snprintf(line, sizeof line, "\n%s %lld\n", name, (long long)value);
    if (strstr(page, line) == NULL)
        fail_msg("missing:%s", line);
}

/* Nothing is configured: the page has it all, and counts it. */
static void test_everything(void **state)
{
    (void)state;
    struct publish *publish = publish_groups(GRANULARITY_PARTITION);
    char *page = render(publish, NULL, NULL);
    assert_int_equal(count(page, "kafka_consumergroup_current_offset{"), 9 * PARTITIONS);
    assert_int_equal(count(page, "kafka_consumergroup_lag_sum{"), 9);
    assert_int_equal(count(page, "kafka_topic_partitions{"), 3);
    assert_says(page, "tidemark_series", count(page, ""));
    assert_says(page, "tidemark_series_dropped", 0);
    assert_says(page, "tidemark_page_bytes", strstr(page, "# HELP tidemark_page_bytes ") - page);
    free(page);
    publish_free(&publish);
}

/* The source is to be told by topic: nothing of a partition is left, and everything else. */
static void test_granularity_topic(void **state)
{
    (void)state;
    struct publish *publish = publish_groups(GRANULARITY_TOPIC);
    char *page = render(publish, NULL, NULL);
    assert_int_equal(count(page, "partition=\""), 0);
    assert_int_equal(count(page, "kafka_consumergroup_lag_sum{"), 9);
    assert_int_equal(count(page, "kafka_topic_partitions{"), 3);
    free(page);
    publish_free(&publish);
}

/* The source is to be told by group: the numbers of its topics are taken together. */
static void test_granularity_group(void **state)
{
    (void)state;
    struct publish *publish = publish_groups(GRANULARITY_GROUP);
    char *page = render(publish, NULL, NULL);
    assert_int_equal(count(page, "topic=\""), 0);
    assert_int_equal(count(page, "kafka_consumergroup_lag_sum{"), GROUPS);
    assert_says(page, "kafka_consumergroup_lag_sum{cluster=\"east\",consumergroup=\"group-0\"}", 100 + 101);
    assert_int_equal(count(page, "kafka_consumergroup_rebalances_total{"), GROUPS);
    free(page);
    publish_free(&publish);
}

/* Some families are switched off: not even their names are there. */
static void test_families(void **state)
{
    (void)state;
    struct publish *publish = publish_groups(GRANULARITY_PARTITION);
    struct name_filter metrics = {0};
    struct error error = {0};
    assert_true(name_filter_add(&metrics, FILTER_INCLUDE, "kafka_consumergroup_.*|tidemark_series", &error));
    assert_true(name_filter_add(&metrics, FILTER_EXCLUDE, "kafka_consumergroup_lag", &error));
    publish_set_policy(publish, page_policy_new(&metrics, 0));
    name_filter_free(&metrics);
    char *page = render(publish, NULL, NULL);
    assert_null(strstr(page, "kafka_topic"));
    assert_null(strstr(page, "# TYPE kafka_consumergroup_lag gauge"));
    assert_int_equal(count(page, "kafka_consumergroup_lag_sum{"), 9);
    assert_says(page, "tidemark_series", count(page, ""));
    free(page);
    publish_free(&publish);
}

/* The page may have so many series: the gravest groups keep theirs, whatever the limit, and what is missing
 * is counted. */
static void test_max_series(void **state)
{
    (void)state;
    struct publish *publish = publish_groups(GRANULARITY_PARTITION);
    char *page = render(publish, NULL, NULL);
    int64_t all = count(page, "");
    free(page);
    int stuck_shown = 0;
    for (int64_t limit = 1; limit <= all + 1; limit++) {
        struct name_filter every = {0};
        publish_set_policy(publish, page_policy_new(&every, limit));
        int64_t dropped;
        page = render(publish, NULL, &dropped);
        int64_t shown = count(page, "");
        assert_int_equal(shown + dropped, all);
        assert_says(page, "tidemark_series_dropped", dropped);
        assert_says(page, "tidemark_series", shown);
        assert_true(dropped == 0 || limit < all);
        assert_true(shown <= limit || count(page, "consumergroup=\"") + count(page, "topic=\"") == 0);
        int stuck = count(page, "\"group-4\""), skewed = count(page, "\"group-1\""),
            others = count(page, "\"group-0\"");
        assert_true(stuck >= stuck_shown); /* never away again once there was room for it */
        stuck_shown = stuck;
        /* The largest of the grave groups has more topics than the second: that one may fit where it doesn't.
         */
        if (others > 0)
            assert_true(stuck > 0 && skewed > 0);
        free(page);
    }
    assert_true(stuck_shown > 0);
    publish_free(&publish);
}

/* The page has a limit, and what is known of the process changes between two pages of one view: both leave
 * out the same, so that the length that was found for one is that of the other. */
static void test_max_series_of_one_view(void **state)
{
    (void)state;
    struct publish *publish = publish_groups(GRANULARITY_PARTITION);
    char *page = render(publish, NULL, NULL);
    int64_t all = count(page, "");
    free(page);
    for (int64_t limit = 1; limit <= all + 1; limit++) {
        struct name_filter every = {0};
        publish_set_policy(publish, page_policy_new(&every, limit));
        char *known = render_with(publish, &facts, NULL, NULL),
             *unknown = render_with(publish, &unknown_facts, NULL, NULL);
        *strstr(known, "# HELP tidemark_build_info") = '\0';
        *strstr(unknown, "# HELP tidemark_build_info") = '\0';
        assert_string_equal(known, unknown);
        free(known);
        free(unknown);
    }
    publish_free(&publish);
}

/* Groups and clusters are asked for by name and by pattern: only these and the topics that they read are
 * shown. */
static void test_filter(void **state)
{
    (void)state;
    struct publish *publish = publish_groups(GRANULARITY_PARTITION);
    const struct {
        const char *cluster, *groups[2];
        int shown, topics;
    } cases[] = {
        {NULL, {"group-1", NULL}, 1, 1},
        {NULL, {"group-2", NULL}, 1, 2},
        {NULL, {"group-1", "group-2"}, 2, 2},
        {NULL, {"group-*", NULL}, 6, 2},
        {NULL, {"*-1", "*roup*3*"}, 2, 1},
        {NULL, {"group", NULL}, 0, 0},
        {NULL, {"", NULL}, 0, 0},
        {NULL, {"**", NULL}, 6, 2},
        {"east", {"group-1", NULL}, 1, 1},
        {"e*t", {NULL, NULL}, 6, 3},
        {"west", {NULL, NULL}, 0, 0},
        {NULL, {"group-1*1", NULL}, 0, 0},
        {NULL, {"group.1", NULL}, 0, 0},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct str cluster = str_of(cases[i].cluster != NULL ? cases[i].cluster : ""), groups[2];
        struct page_filter filter = {&cluster, groups, cases[i].cluster != NULL, 0};
        for (int g = 0; g < 2 && cases[i].groups[g] != NULL; g++)
            groups[filter.group_count++] = str_of(cases[i].groups[g]);
        char *page = render(publish, &filter, NULL);
        if (count(page, "kafka_consumergroup_rebalances_total{") != cases[i].shown ||
            count(page, "kafka_topic_partitions{") != cases[i].topics)
            fail_msg("case %zu:\n%s", i, page);
        assert_int_equal(count(page, "tidemark_build_info"), 1);
        free(page);
    }
    publish_free(&publish);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_everything),
        cmocka_unit_test(test_granularity_topic),
        cmocka_unit_test(test_granularity_group),
        cmocka_unit_test(test_families),
        cmocka_unit_test(test_max_series),
        cmocka_unit_test(test_max_series_of_one_view),
        cmocka_unit_test(test_filter),
    };
    return cmocka_run_group_tests_name("cardinality", tests, NULL, NULL);
}
