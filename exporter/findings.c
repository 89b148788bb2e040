#include "exporter/findings.h"

#include "exporter/base/mem.h"
#include "exporter/known.h"

#include <stdlib.h>

static const struct condition_row {
    const char *name;
    enum grade grade;
} condition_rows[CONDITIONS] = {
#define CONDITION_ROW(id, name, grade) [CONDITION_##id] = {name, grade},
    CONDITION_TABLE(CONDITION_ROW)
#undef CONDITION_ROW
};

_Static_assert(CONDITIONS <= 32, "group_findings.conditions has a bit for each condition");

const char *condition_name(enum condition condition)
{
    return condition_rows[condition].name;
}

enum grade condition_grade(enum condition condition)
{
    return condition_rows[condition].grade;
}

const char *grade_name(enum grade grade)
{
    static const char *const names[] = {
        [GRADE_OK] = "ok",
        [GRADE_INFO] = "info",
        [GRADE_WARNING] = "warning",
        [GRADE_CRITICAL] = "critical",
    };
    return names[grade];
}

const char *anomaly_name(enum anomaly anomaly)
{
    static const char *const names[ANOMALIES] = {
        [ANOMALY_COMMITTED_BEYOND_END] = "committed_beyond_end",
        [ANOMALY_ORPHAN_COMMIT] = "orphan_commit",
        [ANOMALY_DUPLICATE_NAME] = "duplicate_name",
        [ANOMALY_END_WENT_BACK] = "end_went_back",
        [ANOMALY_UNKNOWN_RECORD] = "unknown_record",
        [ANOMALY_OFFSET_REPAIRED] = "offset_repaired",
    };
    return names[anomaly];
}

static const struct subscription_findings unknown_subscription = {
    .committed_sum = UNKNOWN,
    .lag_sum = UNKNOWN,
    .lag_max = UNKNOWN,
    .lag_ms_max = UNKNOWN,
    .stable_lag = UNKNOWN,
    .headroom_ms = UNKNOWN,
    .overtake_ms = UNKNOWN,
    .catchup_ms = UNKNOWN,
    .compaction_exposed = UNKNOWN,
    .uncommitted = UNKNOWN,
    .last_progress = UNKNOWN,
};

struct findings *findings_new(const struct snapshot *snapshot)
{
    struct findings *findings = MEM_NEW(struct findings);
    findings->group_count = snapshot->group_count;
    findings->subscription_count = snapshot->subscription_count;
    findings->topics = MEM_ARRAY(snapshot->topic_count, struct topic_findings);
    for (uint32_t i = 0; i < snapshot->topic_count; i++)
        findings->topics[i].shortfall_ms = UNKNOWN;
    findings->groups = MEM_ARRAY(snapshot->group_count, struct group_findings);
    findings->subscriptions = MEM_ARRAY(snapshot->subscription_count, struct subscription_findings);
    findings->positions = MEM_ARRAY(snapshot->position_count, struct position_findings);
    for (uint32_t i = 0; i < snapshot->group_count; i++) {
        findings->groups[i].offsets_expire = UNKNOWN;
        findings->groups[i].objective_ms = UNKNOWN;
    }
    for (uint32_t i = 0; i < snapshot->subscription_count; i++)
        findings->subscriptions[i] = unknown_subscription;
    for (uint32_t i = 0; i < snapshot->position_count; i++)
        findings->positions[i] = (struct position_findings){.lag = UNKNOWN, .lag_ms = UNKNOWN};
    return findings;
}

void findings_free(struct findings **findings)
{
    struct findings *f = *findings;
    if (f == NULL)
        return;
    for (uint32_t i = 0; i < f->group_count; i++)
        event_list_release(&f->groups[i].events);
    for (uint32_t i = 0; i < f->subscription_count; i++)
        chart_release(&f->subscriptions[i].chart);
    free(f->topics);
    free(f->groups);
    free(f->subscriptions);
    free(f->positions);
    free(f->wheres);
    free(f);
    *findings = NULL;
}

/* In the order of enum condition. A time lag is judged by its lowest of the reader's last cycle, since it
 * isn't late by the time between two commits; where it isn't known, by the least that it can be. */
static const struct input inputs[CONDITIONS][FINDING_INPUTS] = {
    [CONDITION_DATA_LOST] = {{"lost_at", INPUT_TIME, false},
                             {"lost_messages", INPUT_MESSAGES, false},
                             {"still_before_start", INPUT_MESSAGES, false},
                             {"clear_after", INPUT_DURATION, true}},
    [CONDITION_RETENTION_RISK] = {{"retention_headroom", INPUT_DURATION, false},
                                  {"retention_overtake", INPUT_DURATION, false},
                                  {"horizon", INPUT_DURATION, true}},
    [CONDITION_STOPPED] = {{"no_member_since", INPUT_TIME, false},
                           {"unread_since", INPUT_TIME, false},
                           {"last_progress", INPUT_TIME, false},
                           {"without_progress", INPUT_DURATION, false},
                           {"stopped_after", INPUT_DURATION, true}},
    [CONDITION_STUCK] = {{"unread_since", INPUT_TIME, false},
                         {"members_since", INPUT_TIME, false},
                         {"usual_cycle", INPUT_DURATION, false},
                         {"without_progress", INPUT_DURATION, false},
                         {"patience", INPUT_DURATION, true}},
    [CONDITION_DEATH_SPIRAL] = {{"rebalances", INPUT_COUNT, false},
                                {"first_rebalance", INPUT_TIME, false},
                                {"lowest_time_lag", INPUT_DURATION, false},
                                {"lowest_time_lag_grown", INPUT_DURATION, false},
                                {"spiral_after", INPUT_DURATION, true}},
    [CONDITION_COMMITTED_BEYOND_END] = {{"beyond_since", INPUT_TIME, false},
                                        {"beyond_by", INPUT_MESSAGES, false},
                                        {"clear_after", INPUT_DURATION, true}},
    [CONDITION_FALLING_BEHIND] = {{"lowest_time_lag", INPUT_DURATION, false},
                                  {"lowest_one_objective_ago", INPUT_DURATION, false},
                                  {"behind_since", INPUT_TIME, false},
                                  {"objective", INPUT_DURATION, true}},
    [CONDITION_REBALANCE_STORM] = {{"rebalances", INPUT_COUNT, false},
                                   {"first_rebalance", INPUT_TIME, false},
                                   {"rebalance_count", INPUT_COUNT, true},
                                   {"spiral_after", INPUT_DURATION, true}},
    [CONDITION_COMPACTION_RISK] = {{"lowest_time_lag", INPUT_DURATION, false},
                                   {"safe_for", INPUT_DURATION, true}},
    [CONDITION_SKIPPED] = {{"skipped_at", INPUT_TIME, false},
                           {"skipped_messages", INPUT_MESSAGES, false},
                           {"clear_after", INPUT_DURATION, true}},
    [CONDITION_OFFSETS_EXPIRING] = {{"empty_since", INPUT_TIME, false},
                                    {"offsets_expire", INPUT_TIME, false},
                                    {"time_left", INPUT_DURATION, false},
                                    {"horizon", INPUT_DURATION, true}},
    [CONDITION_SKEWED] = {{"lag_there", INPUT_MESSAGES, false},
                          {"lag_of_all", INPUT_MESSAGES, false},
                          {"current_siblings", INPUT_COUNT, false},
                          {"siblings", INPUT_COUNT, false},
                          {"skewed_after", INPUT_DURATION, true}},
    [CONDITION_IDLE_MEMBERS] = {{"idle_members", INPUT_COUNT, false},
                                {"members", INPUT_COUNT, false},
                                {"partitions", INPUT_COUNT, false}},
    [CONDITION_REPLAYING] = {{"moved_back_at", INPUT_TIME, false},
                             {"rewound_messages", INPUT_MESSAGES, false}},
};

struct input finding_input(enum condition condition, int index)
{
    return inputs[condition][index];
}

struct subscription_findings group_total(const struct findings *findings, const struct snap_group *group)
{
    struct subscription_findings total = unknown_subscription;
    bool converging = true;
    for (uint32_t i = 0; i < group->subscriptions; i++) {
        const struct subscription_findings *sub = &findings->subscriptions[group->first_subscription + i];
        add_known(&total.committed_sum, sub->committed_sum);
        add_known(&total.lag_sum, sub->lag_sum);
        keep_larger(&total.lag_max, sub->lag_max);
        keep_larger(&total.lag_ms_max, sub->lag_ms_max);
        keep_larger(&total.catchup_ms, sub->catchup_ms);
        converging &= sub->catchup_ms != UNKNOWN || sub->lag_sum == UNKNOWN;
        keep_smaller(&total.overtake_ms, sub->overtake_ms);
        keep_smaller(&total.headroom_ms, sub->headroom_ms);
        add_known(&total.compaction_exposed, sub->compaction_exposed);
        add_known(&total.uncommitted, sub->uncommitted);
        keep_larger(&total.last_progress, sub->last_progress);
        total.lost_total = number_add(total.lost_total, sub->lost_total);
        total.skipped_total = number_add(total.skipped_total, sub->skipped_total);
        total.rewound_total = number_add(total.rewound_total, sub->rewound_total);
    }
    if (!converging)
        total.catchup_ms = UNKNOWN;
    return total;
}

enum condition group_gravest(const struct group_findings *group)
{
    unsigned condition = 0;
    while (condition < CONDITIONS && !(group->conditions & 1u << condition))
        condition++;
    return (enum condition)condition;
}

const char *group_verdict(const struct group_findings *group)
{
    enum condition gravest = group_gravest(group);
    if (group->unknown)
        return "unknown";
    if (gravest != CONDITIONS)
        return condition_name(gravest);
    return group->idle ? "idle" : "ok";
}
