#include "exporter/evaluate.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

/* A group that reads the two partitions of two topics, as the next poll will see it. */
enum { TOPICS = 2, PARTITIONS = 2, NOWHERE = -1 };
struct world {
    struct history *history;
    struct rules rules;
    struct overrides overrides;
    struct snapshot *snapshot; /* of the last poll, with */
    struct findings *findings;
    int64_t now;
    int64_t start[TOPICS][PARTITIONS], end, committed[TOPICS][PARTITIONS]; /* NOWHERE: no commit is seen */
    int64_t members, generation, retention_ms, offsets_retention_ms, empty_since;
};

static const int64_t began = INT64_C(1764000000000);
static const char *const names[TOPICS] = {"orders", "payments"};

static int set_up(void **state)
{
    struct world *w = calloc(1, sizeof *w);
    assert_non_null(w);
    w->history = history_new();
    w->rules = rules_default();
    w->now = began;
    w->end = 10000;
    w->members = 1;
    w->generation = UNKNOWN;
    w->retention_ms = w->offsets_retention_ms = w->empty_since = UNKNOWN;
    *state = w;
    return 0;
}

static int tear_down(void **state)
{
    struct world *w = *state;
    findings_free(&w->findings);
    snapshot_free(&w->snapshot);
    history_free(&w->history);
    overrides_free(&w->overrides);
    free(w);
    return 0;
}

static void poll_after(struct world *w, int64_t seconds)
{
    struct snapshot *s = snapshot_new();
    findings_free(&w->findings);
    snapshot_free(&w->snapshot);
    w->now += seconds * 1000;
    uint32_t group = (uint32_t)snapshot_add_group(s, STR_LITERAL("billing"));
    s->groups[group].members = w->members;
    s->groups[group].generation = w->generation;
    s->groups[group].empty_since = w->empty_since;
    s->offsets_retention_ms = w->offsets_retention_ms;
    for (uint32_t t = 0; t < TOPICS; t++) {
        assert_int_equal(snapshot_add_topic(s, str_of(names[t]), PARTITIONS), t);
        s->topics[t].config.retention_ms = w->retention_ms;
        for (uint32_t p = 0; p < PARTITIONS; p++) {
            s->partitions[s->topics[t].first_partition + p].start = w->start[t][p];
            s->partitions[s->topics[t].first_partition + p].end = w->end;
            if (w->committed[t][p] != NOWHERE)
                assert_non_null(snapshot_add_position(s, group, t, (int32_t)p, w->committed[t][p]));
        }
    }
    snapshot_seal(s, w->now);
    history_observe(w->history, s);
    w->snapshot = s;
    w->findings = evaluate_with(w->history, s, w->now, &w->rules, &w->overrides, STR_LITERAL("here"));
}

static void polls(struct world *w, int count)
{
    for (int i = 0; i < count; i++)
        poll_after(w, 15);
}

static bool is(const struct world *w, enum condition condition)
{
    return w->findings->groups[0].conditions >> condition & 1u;
}

/* The number of the partition of that topic on which the condition is said to be true; NOWHERE: on none. */
static int32_t where(const struct world *w, enum condition condition, uint32_t topic)
{
    for (uint32_t i = 0; i < w->findings->where_count; i++) {
        const struct finding *finding = &w->findings->wheres[i];
        if (finding->condition != condition || finding->position == NO_INDEX ||
            w->snapshot->subscriptions[finding->subscription].topic != topic)
            continue;
        return w->snapshot->partitions[w->snapshot->positions[finding->position].partition].number;
    }
    return NOWHERE;
}

static const struct subscription_findings *on(const struct world *w, uint32_t topic)
{
    return &w->findings->subscriptions[topic];
}

/* Retention takes unread messages of one topic from partition 1 and, later, of the other from partition 0:
 * both are named, each with its own partition, long after the loss, since the reader still stands before the
 * start. */
static void test_both_topics_are_named(void **state)
{
    struct world *w = *state;
    polls(w, 3);
    w->start[0][1] = 500;
    polls(w, 1);
    w->start[1][0] = 70;
    polls(w, 1);
    for (int i = 0; i < 8; i++)
        poll_after(w, 180);
    assert_true(is(w, CONDITION_DATA_LOST));
    assert_int_equal(where(w, CONDITION_DATA_LOST, 0), 1);
    assert_int_equal(where(w, CONDITION_DATA_LOST, 1), 0);
    assert_int_equal(on(w, 0)->lost_total, 500);
    assert_int_equal(on(w, 1)->lost_total, 70);
}

/* While the commits of a group can't be read for some polls, retention goes on: what it took in that time is
 * counted in full when they are seen again. */
static void test_loss_while_commits_are_unseen(void **state)
{
    struct world *w = *state;
    polls(w, 3);
    w->committed[0][0] = w->committed[0][1] = NOWHERE;
    for (int i = 1; i <= 4; i++) {
        w->start[0][0] = i * 100;
        polls(w, 1);
    }
    assert_int_equal(on(w, 0)->lost_total, 0);
    w->committed[0][0] = w->committed[0][1] = 0;
    w->start[0][0] = 500;
    polls(w, 1);
    assert_int_equal(on(w, 0)->lost_total, 500);
    polls(w, 3);
    assert_int_equal(on(w, 0)->lost_total, 500);
}

/* The monitor was away for a weekend in which retention overtook a group that didn't move: the loss is
 * counted. */
static void test_loss_while_away(void **state)
{
    struct world *w = *state;
    polls(w, 10);
    w->start[0][0] = 4000;
    poll_after(w, 2 * 24 * 3600);
    assert_int_equal(on(w, 0)->lost_total, 4000);
    assert_true(is(w, CONDITION_DATA_LOST));
}

/* A group of which members were seen is empty, and has something unread. */
static void leave_unread(struct world *w)
{
    polls(w, 10);
    w->members = 0;
    polls(w, 10);
}

/* The offset is set forward while the group is empty, between two polls as usual: skipped. */
static void test_skipped(void **state)
{
    struct world *w = *state;
    leave_unread(w);
    w->committed[0][0] = 5000;
    polls(w, 1);
    assert_int_equal(on(w, 0)->skipped_total, 5000);
    assert_int_equal(where(w, CONDITION_SKIPPED, 0), 0);
}

/* The source could not be reached for some polls, in which members came, read, and left: the same picture,
 * but nobody knows, so nothing is called skipped. */
static void test_read_during_an_outage(void **state)
{
    struct world *w = *state;
    leave_unread(w);
    w->committed[0][0] = 5000;
    poll_after(w, 5 * 60);
    assert_int_equal(on(w, 0)->skipped_total, 0);
    assert_false(is(w, CONDITION_SKIPPED));
    polls(w, 10); /* and it isn't for later polls that were as usual */
    w->committed[0][0] = 6000;
    polls(w, 1);
    assert_int_equal(on(w, 0)->skipped_total, 1000);
}

/* A member came, read and left between two polls: the generation tells it from a tool that sets offsets. */
static void test_read_between_two_polls(void **state)
{
    struct world *w = *state;
    w->generation = 7;
    leave_unread(w);
    w->generation += 2;
    w->committed[0][0] = 5000;
    polls(w, 1);
    assert_int_equal(on(w, 0)->skipped_total, 0);
    polls(w, 4);
    w->committed[0][0] = 6000;
    polls(w, 1);
    assert_int_equal(on(w, 0)->skipped_total, 1000);
}

/* An empty group's commits expire a week after it became empty: that is said a day before, not earlier, and
 * no longer once there is a member. */
static void test_offsets_expiring(void **state)
{
    struct world *w = *state;
    const int64_t week = INT64_C(7) * 86400 * 1000;
    w->offsets_retention_ms = week;
    w->members = 0;
    w->empty_since = began;
    poll_after(w, 6 * 86400 - 60);
    assert_int_equal(w->findings->groups[0].offsets_expire, began + week);
    assert_false(is(w, CONDITION_OFFSETS_EXPIRING));
    poll_after(w, 120);
    assert_true(is(w, CONDITION_OFFSETS_EXPIRING));
    w->members = 1;
    w->empty_since = UNKNOWN;
    polls(w, 1);
    assert_false(is(w, CONDITION_OFFSETS_EXPIRING));
    assert_int_equal(w->findings->groups[0].offsets_expire, UNKNOWN);
}

static void override(struct world *w, const char *groups, const char *topics, const char *rule,
                     const char *value)
{
    struct error error = {0};
    struct override *added = overrides_add(&w->overrides);
    if (groups != NULL)
        assert_true(name_filter_add(&added->groups, FILTER_INCLUDE, groups, &error));
    if (topics != NULL)
        assert_true(name_filter_add(&added->topics, FILTER_INCLUDE, topics, &error));
    assert_true(rules_set_some(&added->rules, &added->set, rule, value, &error));
}

/* Retention of a day is two days short of the usual recovery window; for one topic a shorter window is
 * wanted, for another that keeps its messages for ever nothing is missing. */
static void test_retention_shortfall(void **state)
{
    struct world *w = *state;
    polls(w, 1);
    assert_int_equal(w->findings->topics[0].shortfall_ms, UNKNOWN);
    w->retention_ms = 86400 * 1000;
    polls(w, 1);
    assert_int_equal(w->findings->topics[0].shortfall_ms, 2 * 86400 * 1000);
    override(w, NULL, "pay.*", "recovery_window", "36h");
    override(w, "billing", NULL, "recovery_window", "500h"); /* about a group, not about the topic */
    polls(w, 1);
    assert_int_equal(w->findings->topics[0].shortfall_ms, 2 * 86400 * 1000);
    assert_int_equal(w->findings->topics[1].shortfall_ms, 12 * 3600 * 1000);
    w->retention_ms = -1;
    polls(w, 1);
    assert_int_equal(w->findings->topics[0].shortfall_ms, 0);
}

/* A group may be behind by an hour, on one topic by two minutes only: its objective is the hour, and falling
 * behind is said of that topic alone. Other numbers hold from the next poll on. */
static void test_overrides(void **state)
{
    struct world *w = *state;
    override(w, "bill.*", NULL, "objective", "1h");
    override(w, "bill.*", "payments", "objective", "2m");
    override(w, "search", NULL, "objective", "1s");
    for (int i = 0; i < 100; i++) { /* the reader gets ever further behind on both topics */
        w->end += 1500;
        for (int t = 0; t < TOPICS; t++)
            for (int p = 0; p < PARTITIONS; p++)
                w->committed[t][p] += 1000;
        polls(w, 1);
    }
    assert_int_equal(w->findings->groups[0].objective_ms, 3600 * 1000);
    assert_true(is(w, CONDITION_FALLING_BEHIND));
    for (uint32_t i = 0; i < w->findings->where_count; i++)
        if (w->findings->wheres[i].condition == CONDITION_FALLING_BEHIND)
            assert_int_equal(w->snapshot->subscriptions[w->findings->wheres[i].subscription].topic, 1);
    override(w, NULL, NULL, "objective", "3h");
    polls(w, 1);
    assert_int_equal(w->findings->groups[0].objective_ms, 3 * 3600 * 1000);
    assert_false(is(w, CONDITION_FALLING_BEHIND));
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        TEST(test_both_topics_are_named),
        TEST(test_loss_while_commits_are_unseen),
        TEST(test_loss_while_away),
        TEST(test_skipped),
        TEST(test_read_during_an_outage),
        TEST(test_read_between_two_polls),
        TEST(test_offsets_expiring),
        TEST(test_retention_shortfall),
        TEST(test_overrides),
    };
    return cmocka_run_group_tests_name("losses", tests, NULL, NULL);
}
