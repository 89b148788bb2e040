#include "tests/lib/group_world.h"

#include "exporter/base/human.h"
#include "exporter/reason.h"

#include <string.h>

/*
 * Each condition shows the numbers that led to it: offsets, times, and the rule's value that they were
 * compared with. A test a condition: it comes about, and its inputs and its sentence hold what the world
 * knows.
 */

/* The condition's first finding; the test fails where it isn't true. */
static const struct finding *found(const struct world *w, enum condition condition)
{
    for (uint32_t i = 0; i < w->findings->where_count; i++)
        if (w->findings->wheres[i].condition == condition)
            return &w->findings->wheres[i];
    fail_msg("%s isn't true", condition_name(condition));
    return NULL;
}

/* The value of the input of that name; the test fails where there is no such input. */
static int64_t input(const struct world *w, enum condition condition, const char *name)
{
    const struct finding *finding = found(w, condition);
    for (int i = 0; i < FINDING_INPUTS; i++) {
        const char *known = finding_input(condition, i).name;
        if (known != NULL && strcmp(known, name) == 0)
            return finding->inputs[i];
    }
    fail_msg("%s has no input %s", condition_name(condition), name);
    return UNKNOWN;
}

/* All inputs that the condition has are known and become text; its rule, sentence and advice do, too. */
static void all_is_said(const struct world *w, enum condition condition)
{
    const struct finding *finding = found(w, condition);
    const struct reason reason = {w->snapshot, w->findings};
    struct buf text = buf_make(1 << 16);
    for (int i = 0; i < FINDING_INPUTS && finding_input(condition, i).kind != INPUT_NONE; i++) {
        size_t before = text.length;
        reason_add_input(&text, finding_input(condition, i), finding->inputs[i]);
        if (text.length == before)
            fail_msg("%s says nothing of %s", condition_name(condition), finding_input(condition, i).name);
    }
    size_t before = text.length;
    reason_add_sentence(&text, &reason, finding);
    assert_true(text.length > before);
    before = text.length;
    reason_add_advice(&text, &reason, finding);
    assert_true(text.length > before && strlen(reason_rule(condition)) > 0);
    assert_true(buf_ok(&text));
    buf_free(&text);
}

/* The sentence holds each of these, up to NULL. */
static void says(const struct world *w, enum condition condition, ...)
{
    const struct reason reason = {w->snapshot, w->findings};
    struct buf text = buf_make(1 << 16);
    va_list parts;
    reason_add_sentence(&text, &reason, found(w, condition));
    buf_add_char(&text, '\0');
    assert_true(buf_ok(&text));
    va_start(parts, condition);
    for (const char *part = va_arg(parts, const char *); part != NULL; part = va_arg(parts, const char *))
        if (strstr(text.bytes, part) == NULL)
            fail_msg("\"%s\" isn't in \"%s\"", part, text.bytes);
    va_end(parts);
    buf_free(&text);
}

static void test_data_lost(void **state)
{
    struct world *w = *state;
    pass(w, 600, 10);
    w->members = 0;
    pass(w, 600, 0);
    w->start[2] = w->committed[2] + 77;
    pass(w, 15, 0);
    all_is_said(w, CONDITION_DATA_LOST);
    assert_int_equal(input(w, CONDITION_DATA_LOST, "lost_at"), w->now);
    assert_int_equal(input(w, CONDITION_DATA_LOST, "lost_messages"), 77);
    assert_int_equal(input(w, CONDITION_DATA_LOST, "still_before_start"), 77);
    assert_int_equal(input(w, CONDITION_DATA_LOST, "clear_after"), w->rules.clear_after_ms);
    says(w, CONDITION_DATA_LOST, "77 messages of orders", "partition 2", NULL);
}

/* The log keeps an hour, of which the horizon is a quarter; the reader has stopped. */
static void test_retention_risk(void **state)
{
    struct world *w = *state;
    w->retention_ms = 3600000;
    pass(w, 600, 10);
    w->members = 0;
    pass(w, 3300, 0);
    all_is_said(w, CONDITION_RETENTION_RISK);
    int64_t headroom = input(w, CONDITION_RETENTION_RISK, "retention_headroom");
    assert_in_range(headroom, 285000, 315000);
    assert_in_range(input(w, CONDITION_RETENTION_RISK, "retention_overtake"), headroom, headroom + 15000);
    assert_int_equal(input(w, CONDITION_RETENTION_RISK, "horizon"), 900000);
    says(w, CONDITION_RETENTION_RISK, "orders/", "retention is 1h", NULL);
}

/* The log keeps 36,000 messages, which at ten a second are an hour; the reader has stopped. Retention by size
 * has no time of its own: what is left is told by the speed of the start offset. */
static void test_retention_risk_by_size(void **state)
{
    struct world *w = *state;
    w->retention_ms = -1;
    w->retention_bytes = 36000 * 500;
    for (int p = 0; p < PARTITIONS; p++)
        w->end[p] = w->committed[p] = 36000;
    for (int i = 0; i < 40 + 200; i++) {
        for (int p = 0; p < PARTITIONS; p++)
            w->start[p] = w->end[p] + 150 - 36000;
        if (i == 40)
            w->members = 0;
        pass(w, 15, i < 40 ? 10 : 0);
    }
    all_is_said(w, CONDITION_RETENTION_RISK);
    /* 200 polls are 30,000 messages: 6,000 are between the start and the reader. */
    assert_int_equal(w->committed[0] - w->start[0], 6000);
    assert_in_range(w->findings->subscriptions[0].headroom_ms, 599000, 601000);
    assert_in_range(input(w, CONDITION_RETENTION_RISK, "retention_headroom"), 599000, 601000);
    assert_in_range(input(w, CONDITION_RETENTION_RISK, "horizon"), 899000, 901000);
}

static void test_stopped(void **state)
{
    struct world *w = *state;
    pass(w, 1200, 10);
    int64_t left = w->now;
    w->members = 0;
    pass(w, 600, 0);
    all_is_said(w, CONDITION_STOPPED);
    assert_int_equal(input(w, CONDITION_STOPPED, "no_member_since"), left + 15000);
    assert_int_equal(input(w, CONDITION_STOPPED, "unread_since"), left + 15000);
    assert_int_equal(input(w, CONDITION_STOPPED, "last_progress"), left);
    assert_int_equal(input(w, CONDITION_STOPPED, "without_progress"), 585000);
    assert_int_equal(input(w, CONDITION_STOPPED, "stopped_after"), w->rules.stopped_after_ms);
    says(w, CONDITION_STOPPED, "no member for 9m", "18,000 messages", NULL);
}

/* A reader that moves at every third poll does so no more: the sentence names the offset that isn't passed.
 */
static void test_stuck(void **state)
{
    struct world *w = *state;
    for (int i = 0; i < 30; i++) {
        pass(w, 30, 0);
        pass(w, 15, 30);
    }
    int64_t last = w->now;
    pass(w, 600, 0);
    assert_int_equal(w->committed[0], 14500);
    all_is_said(w, CONDITION_STUCK);
    assert_int_equal(input(w, CONDITION_STUCK, "unread_since"), last + 15000);
    assert_int_equal(input(w, CONDITION_STUCK, "usual_cycle"), 15000);
    assert_int_equal(input(w, CONDITION_STUCK, "without_progress"), 585000);
    assert_int_equal(input(w, CONDITION_STUCK, "patience"), w->rules.stuck_after_ms);
    says(w, CONDITION_STUCK, "orders/0", "offset 14,500", "2 members are there", "usually moves within 15",
         NULL);
}

/* Five rebalances two minutes apart. */
static int64_t rebalances(struct world *w, int64_t read)
{
    pass(w, 1200, 10);
    int64_t first = w->now + 15000;
    for (int i = 0; i < 5; i++) {
        w->generation++;
        pass(w, 120, read);
    }
    return first;
}

static void test_death_spiral(void **state)
{
    struct world *w = *state;
    int64_t first = rebalances(w, 6);
    all_is_said(w, CONDITION_DEATH_SPIRAL);
    assert_int_equal(input(w, CONDITION_DEATH_SPIRAL, "rebalances"), 5);
    assert_int_equal(input(w, CONDITION_DEATH_SPIRAL, "first_rebalance"), first);
    /* 40 % of 600 s */
    assert_in_range(input(w, CONDITION_DEATH_SPIRAL, "lowest_time_lag"), 225000, 255000);
    assert_in_range(input(w, CONDITION_DEATH_SPIRAL, "lowest_time_lag_grown"), 195000, 255000);
    assert_int_equal(input(w, CONDITION_DEATH_SPIRAL, "spiral_after"), w->rules.spiral_after_ms);
    says(w, CONDITION_DEATH_SPIRAL, "5 rebalances", NULL);
}

static void test_rebalance_storm(void **state)
{
    struct world *w = *state;
    int64_t first = rebalances(w, 10);
    all_is_said(w, CONDITION_REBALANCE_STORM);
    assert_int_equal(input(w, CONDITION_REBALANCE_STORM, "rebalances"), 5);
    assert_int_equal(input(w, CONDITION_REBALANCE_STORM, "first_rebalance"), first);
    assert_int_equal(input(w, CONDITION_REBALANCE_STORM, "rebalance_count"), 4);
    assert_int_equal(input(w, CONDITION_REBALANCE_STORM, "spiral_after"), w->rules.spiral_after_ms);
}

static void test_committed_beyond_end(void **state)
{
    struct world *w = *state;
    pass(w, 600, 10);
    int64_t since = w->now + 15000;
    w->committed[1] += 1000000;
    pass(w, 30, 0);
    all_is_said(w, CONDITION_COMMITTED_BEYOND_END);
    assert_int_equal(input(w, CONDITION_COMMITTED_BEYOND_END, "beyond_since"), since);
    assert_int_equal(input(w, CONDITION_COMMITTED_BEYOND_END, "beyond_by"), w->committed[1] - w->end[1]);
    assert_int_equal(input(w, CONDITION_COMMITTED_BEYOND_END, "clear_after"), w->rules.clear_after_ms);
    says(w, CONDITION_COMMITTED_BEYOND_END, "orders/1", "offset 1,007,000", "the end 7,300", NULL);
}

static void test_falling_behind(void **state)
{
    struct world *w = *state;
    pass(w, 1200, 10);
    int64_t began = w->now;
    pass(w, 840, 5);
    all_is_said(w, CONDITION_FALLING_BEHIND);
    assert_in_range(input(w, CONDITION_FALLING_BEHIND, "lowest_time_lag"), 405000, 435000);
    assert_in_range(input(w, CONDITION_FALLING_BEHIND, "lowest_one_objective_ago"), 240000, 285000);
    assert_in_range(input(w, CONDITION_FALLING_BEHIND, "behind_since"), began + 90000, began + 180000);
    assert_int_equal(input(w, CONDITION_FALLING_BEHIND, "objective"), w->rules.objective_ms);
    says(w, CONDITION_FALLING_BEHIND, "objective 5m", "12,600 messages",
         "30.0 a second are written and 15.0 read", NULL);
}

/* The reader commits every two minutes, and half of what is written. It is judged by its lag after a commit,
 * and is told by the lag that it has now. */
static void test_falling_behind_in_cycles(void **state)
{
    struct world *w = *state;
    struct buf age = buf_make(100);
    pass(w, 600, 10);
    for (int cycle = 0; cycle < 12; cycle++) {
        pass(w, 15, 40);
        pass(w, 105, 0);
    }
    int64_t now = w->findings->subscriptions[0].lag_ms_max;
    int64_t lowest = input(w, CONDITION_FALLING_BEHIND, "lowest_time_lag");
    assert_in_range(lowest, now - 135000, now - 90000);
    assert_in_range(input(w, CONDITION_FALLING_BEHIND, "lowest_one_objective_ago"), lowest - 240000,
                    lowest - 60000);
    buf_add_text(&age, "is ");
    human_add_duration(&age, now);
    buf_add(&age, " old", sizeof " old");
    says(w, CONDITION_FALLING_BEHIND, age.bytes, NULL);
    buf_free(&age);
}

static void test_compaction_risk(void **state)
{
    struct world *w = *state;
    w->cleanup_policy = CLEANUP_COMPACT;
    w->compaction_lag_ms = 300000;
    pass(w, 1200, 10);
    pass(w, 420, 0);
    all_is_said(w, CONDITION_COMPACTION_RISK);
    assert_in_range(input(w, CONDITION_COMPACTION_RISK, "lowest_time_lag"), 405000, 420000);
    assert_int_equal(input(w, CONDITION_COMPACTION_RISK, "safe_for"), 300000);
    says(w, CONDITION_COMPACTION_RISK, "orders/", "12,600 unread messages", NULL);
}

static void test_skipped(void **state)
{
    struct world *w = *state;
    pass(w, 1200, 10);
    w->members = 0;
    pass(w, 60, 0);
    w->committed[1] += 500;
    pass(w, 15, 0);
    all_is_said(w, CONDITION_SKIPPED);
    assert_int_equal(input(w, CONDITION_SKIPPED, "skipped_at"), w->now);
    assert_int_equal(input(w, CONDITION_SKIPPED, "skipped_messages"), 500);
    assert_int_equal(input(w, CONDITION_SKIPPED, "clear_after"), w->rules.clear_after_ms);
    says(w, CONDITION_SKIPPED, "orders/1", "500", NULL);
}

/* The group has been empty for six days and a half of seven; the horizon is a day. */
static void test_offsets_expiring(void **state)
{
    struct world *w = *state;
    static const int64_t day = INT64_C(86400) * 1000;
    w->offsets_retention_ms = 7 * day;
    w->members = 0;
    w->empty_since = w->now - 13 * day / 2;
    poll(w);
    all_is_said(w, CONDITION_OFFSETS_EXPIRING);
    assert_int_equal(input(w, CONDITION_OFFSETS_EXPIRING, "empty_since"), w->empty_since);
    assert_int_equal(input(w, CONDITION_OFFSETS_EXPIRING, "offsets_expire"), w->empty_since + 7 * day);
    assert_int_equal(input(w, CONDITION_OFFSETS_EXPIRING, "time_left"), day / 2);
    assert_int_equal(input(w, CONDITION_OFFSETS_EXPIRING, "horizon"), day);
}

/* One of three partitions is hardly read. */
static void test_skewed(void **state)
{
    struct world *w = *state;
    pass(w, 1200, 10);
    for (int i = 0; i < 60; i++) {
        w->committed[1] -= 120;
        pass(w, 15, 10);
    }
    all_is_said(w, CONDITION_SKEWED);
    int64_t unread = w->end[1] - w->committed[1];
    assert_true(unread > 0);
    assert_int_equal(input(w, CONDITION_SKEWED, "lag_there"), unread);
    assert_int_equal(input(w, CONDITION_SKEWED, "lag_of_all"), unread);
    assert_int_equal(input(w, CONDITION_SKEWED, "current_siblings"), 2);
    assert_int_equal(input(w, CONDITION_SKEWED, "siblings"), 2);
    assert_int_equal(input(w, CONDITION_SKEWED, "skewed_after"), w->rules.skewed_after_ms);
    says(w, CONDITION_SKEWED, "orders/1", "2 of the other 2 partitions are current", NULL);
}

static void test_idle_members(void **state)
{
    struct world *w = *state;
    w->members = PARTITIONS + 2;
    pass(w, 300, 10);
    all_is_said(w, CONDITION_IDLE_MEMBERS);
    assert_int_equal(input(w, CONDITION_IDLE_MEMBERS, "idle_members"), 2);
    assert_int_equal(input(w, CONDITION_IDLE_MEMBERS, "members"), PARTITIONS + 2);
    assert_int_equal(input(w, CONDITION_IDLE_MEMBERS, "partitions"), PARTITIONS);
}

static void test_replaying(void **state)
{
    struct world *w = *state;
    pass(w, 1200, 10);
    w->members = 0;
    w->committed[0] -= 6000;
    pass(w, 15, 0);
    all_is_said(w, CONDITION_REPLAYING);
    assert_int_equal(input(w, CONDITION_REPLAYING, "moved_back_at"), w->now);
    assert_int_equal(input(w, CONDITION_REPLAYING, "rewound_messages"), 6000);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        TEST(test_data_lost),
        TEST(test_retention_risk),
        TEST(test_retention_risk_by_size),
        TEST(test_stopped),
        TEST(test_stuck),
        TEST(test_death_spiral),
        TEST(test_committed_beyond_end),
        TEST(test_falling_behind),
        TEST(test_falling_behind_in_cycles),
        TEST(test_rebalance_storm),
        TEST(test_compaction_risk),
        TEST(test_skipped),
        TEST(test_offsets_expiring),
        TEST(test_skewed),
        TEST(test_idle_members),
        TEST(test_replaying),
    };
    _Static_assert(sizeof tests / sizeof *tests == CONDITIONS + 2,
                   "a test a condition, retention by size, and a reader in cycles");
    return cmocka_run_group_tests_name("inputs", tests, NULL, NULL);
}
