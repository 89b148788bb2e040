#include "exporter/findings.h"

#include "exporter/base/mem.h"

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
    free(f->groups);
    free(f->subscriptions);
    free(f->positions);
    free(f->wheres);
    free(f);
    *findings = NULL;
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
