#include "tests/lib/topics_world.h"

/* Other rules for some clusters, groups and topics. The cluster is called "here", the group "billing". */

/* NULL for a pattern: all. */
static void override(struct world *w, const char *clusters, const char *groups, const char *topics,
                     const char *rule, const char *value)
{
    struct error error = {0};
    struct override *added = overrides_add(&w->overrides);
    if (clusters != NULL)
        assert_true(name_filter_add(&added->clusters, FILTER_INCLUDE, clusters, &error));
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
    override(w, NULL, NULL, "pay.*", "recovery_window", "36h");
    override(w, NULL, "billing", NULL, "recovery_window", "500h"); /* about a group, not about the topic */
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
    override(w, NULL, "bill.*", NULL, "objective", "1h");
    override(w, NULL, "bill.*", "payments", "objective", "2m");
    override(w, NULL, "search", NULL, "objective", "1s");
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
    override(w, NULL, NULL, NULL, "objective", "3h");
    polls(w, 1);
    assert_int_equal(w->findings->groups[0].objective_ms, 3 * 3600 * 1000);
    assert_false(is(w, CONDITION_FALLING_BEHIND));
}

/* --- each rule ------------------------------------------------------------------------------------------ */

/* Stories, each of which comes out differently by its rule alone. */

/* On each partition as much is written in a poll's time as `read` of it is read. */
static void read_along(struct world *w, int count, int64_t read)
{
    for (int i = 0; i < count; i++) {
        w->end += 150;
        for (int t = 0; t < TOPICS; t++)
            for (int p = 0; p < PARTITIONS; p++)
                w->committed[t][p] += read;
        polls(w, 1);
    }
}

static void begin_current(struct world *w)
{
    for (int t = 0; t < TOPICS; t++)
        for (int p = 0; p < PARTITIONS; p++)
            w->committed[t][p] = w->end;
    read_along(w, 40, 150);
}

static bool is_late(struct world *w)
{
    begin_current(w);
    read_along(w, 40, 100);
    return is(w, CONDITION_FALLING_BEHIND);
}

/* An hour is kept, and nobody has read for so many polls. */
static bool is_at_risk_after(struct world *w, int polls_unread)
{
    w->retention_ms = 3600 * 1000;
    begin_current(w);
    w->members = 0;
    read_along(w, polls_unread, 0);
    return is(w, CONDITION_RETENTION_RISK);
}

/* The edge of retention is twenty minutes away. */
static bool is_at_risk_early(struct world *w)
{
    return is_at_risk_after(w, 160);
}

/* It is ten minutes away. */
static bool is_at_risk_late_only(struct world *w)
{
    return !is_at_risk_after(w, 200);
}

static bool is_short(struct world *w)
{
    w->retention_ms = INT64_C(80) * 3600 * 1000;
    polls(w, 1);
    return w->findings->topics[1].shortfall_ms > 0;
}

static bool has_stopped(struct world *w)
{
    begin_current(w);
    w->members = 0;
    read_along(w, 8, 0);
    return is(w, CONDITION_STOPPED);
}

static bool is_stuck(struct world *w)
{
    begin_current(w);
    read_along(w, 8, 0);
    return is(w, CONDITION_STUCK);
}

static bool storms(struct world *w, int rebalances, int polls_apart)
{
    w->generation = 7;
    begin_current(w);
    for (int i = 0; i < rebalances; i++) {
        w->generation++;
        read_along(w, polls_apart, 150);
    }
    return is(w, CONDITION_REBALANCE_STORM);
}

static bool storms_seldom(struct world *w)
{
    return storms(w, 6, 26);
}

static bool storms_little(struct world *w)
{
    return storms(w, 3, 20);
}

static bool storms_shortly(struct world *w)
{
    return storms(w, 4, 6);
}

static bool is_skewed(struct world *w)
{
    begin_current(w);
    for (int i = 0; i < 30; i++) {
        w->committed[1][2] -= 120;
        read_along(w, 1, 150);
    }
    return is(w, CONDITION_SKEWED);
}

/* Four minutes after something was skipped. */
static bool has_cleared(struct world *w)
{
    begin_current(w);
    w->members = 0;
    read_along(w, 4, 0);
    w->committed[1][0] += 300;
    polls(w, 1);
    assert_true(is(w, CONDITION_SKIPPED));
    polls(w, 16);
    return !is(w, CONDITION_SKIPPED);
}

static const struct trial {
    const char *rule, *value;
    bool (*comes)(struct world *w);
} trials[] = {
    {"objective", "1m", is_late},
    {"horizon", "1m", is_at_risk_late_only},
    {"horizon_share", "0.5", is_at_risk_early},
    {"recovery_window", "90h", is_short},
    {"stopped_after", "1m", has_stopped},
    {"stuck_after", "1m", is_stuck},
    {"spiral_after", "4m", storms_shortly},
    {"rebalance_window", "8m", storms_seldom},
    {"rebalance_count", "3", storms_little},
    {"skewed_after", "5m", is_skewed},
    {"clear_after", "2m", has_cleared},
};

#define COUNTED(...) +1
enum { RULES = 0 RULE_TABLE(COUNTED, COUNTED, COUNTED) };
_Static_assert(sizeof trials / sizeof *trials == RULES, "a trial a rule");

/* How the trial's story comes out where the rule differs for these; NULL: for none. */
static bool outcome(const struct trial *trial, const char *clusters, const char *groups, const char *topics)
{
    void *state = NULL;
    assert_int_equal(set_up(&state), 0);
    struct world *w = state;
    if (clusters != NULL || groups != NULL || topics != NULL)
        override(w, clusters, groups, topics, trial->rule, trial->value);
    bool comes = trial->comes(w);
    assert_int_equal(tear_down(&state), 0);
    return comes;
}

static void expect(const struct trial *trial, const char *clusters, const char *groups, const char *topics,
                   bool expected)
{
    if (outcome(trial, clusters, groups, topics) != expected)
        fail_msg("%s=%s for clusters %s, groups %s, topics %s: %s", trial->rule, trial->value,
                 clusters ? clusters : "-", groups ? groups : "-", topics ? topics : "-",
                 expected ? "without effect" : "has an effect");
}

static bool belongs_to(const struct trial *trial, enum rule_scope scope)
{
    struct error error = {0};
    struct rules rules = rules_default();
    rule_set set = 0;
    assert_true(rules_set_some(&rules, &set, trial->rule, trial->value, &error));
    return rules_find_scope(set, scope) != NULL;
}

/* Each rule differs for the cluster, and as far as it belongs to them for the group and the topic that is
 * named, and for no other; both patterns have to fit. */
static void test_each_rule(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof trials / sizeof *trials; i++) {
        const struct trial *trial = &trials[i];
        bool of_groups = !belongs_to(trial, RULE_OF_TOPIC), of_topics = !belongs_to(trial, RULE_OF_GROUP);
        expect(trial, NULL, NULL, NULL, false);
        expect(trial, "he.*", NULL, NULL, true);
        expect(trial, "there", NULL, NULL, false);
        expect(trial, NULL, "bill.*", NULL, of_groups);
        expect(trial, NULL, "search", NULL, false);
        expect(trial, NULL, NULL, "(orders|pay.*)", of_topics);
        expect(trial, NULL, NULL, "clicks", false);
        expect(trial, "here", "billing", NULL, of_groups);
        expect(trial, "there", "billing", NULL, false);
    }
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        TEST(test_retention_shortfall),
        TEST(test_overrides),
        cmocka_unit_test(test_each_rule),
    };
    return cmocka_run_group_tests_name("overrides", tests, NULL, NULL);
}
