#ifndef TIDEMARK_FINDINGS_H
#define TIDEMARK_FINDINGS_H

#include "exporter/chart.h"
#include "exporter/events.h"
#include "exporter/snapshot.h"

#include <stdbool.h>
#include <stdint.h>

/*
 * What a snapshot means: made by evaluate(), immutable, and parallel to the snapshot that it judges: element
 * i of topics, groups, subscriptions or positions belongs to element i there. Unknown values are UNKNOWN,
 * times and durations milliseconds.
 */

enum grade { GRADE_OK, GRADE_INFO, GRADE_WARNING, GRADE_CRITICAL };

/* The design's table of conditions, gravest first: the order breaks ties of the verdict. */
#define CONDITION_TABLE(CONDITION)                                                                           \
    CONDITION(DATA_LOST, "data_lost", GRADE_CRITICAL)                                                        \
    CONDITION(RETENTION_RISK, "retention_risk", GRADE_CRITICAL)                                              \
    CONDITION(STOPPED, "stopped", GRADE_CRITICAL)                                                            \
    CONDITION(STUCK, "stuck", GRADE_CRITICAL)                                                                \
    CONDITION(DEATH_SPIRAL, "death_spiral", GRADE_CRITICAL)                                                  \
    CONDITION(COMMITTED_BEYOND_END, "committed_beyond_end", GRADE_CRITICAL)                                  \
    CONDITION(FALLING_BEHIND, "falling_behind", GRADE_WARNING)                                               \
    CONDITION(REBALANCE_STORM, "rebalance_storm", GRADE_WARNING)                                             \
    CONDITION(COMPACTION_RISK, "compaction_risk", GRADE_WARNING)                                             \
    CONDITION(SKIPPED, "skipped", GRADE_WARNING)                                                             \
    CONDITION(OFFSETS_EXPIRING, "offsets_expiring", GRADE_WARNING)                                           \
    CONDITION(SKEWED, "skewed", GRADE_WARNING)                                                               \
    CONDITION(IDLE_MEMBERS, "idle_members", GRADE_INFO)                                                      \
    CONDITION(REPLAYING, "replaying", GRADE_INFO)

#define CONDITION_ENUMERATOR(id, name, grade) CONDITION_##id,
enum condition { CONDITION_TABLE(CONDITION_ENUMERATOR) CONDITIONS };
#undef CONDITION_ENUMERATOR

/* The condition's name as in labels and on the screen; static. */
const char *condition_name(enum condition condition);
enum grade condition_grade(enum condition condition);

/* "ok", "info", "warning" or "critical"; static. */
const char *grade_name(enum grade grade);

enum { FINDING_INPUTS = 5 };

/* A condition that is true now: where, since when, and the numbers that its rule went by. */
struct finding {
    enum condition condition;
    uint32_t group;       /* index */
    int64_t subscription; /* index, or NO_INDEX where the condition is wider than a topic */
    int64_t position;     /* index, or NO_INDEX where it is wider than a partition */
    int64_t since;
    int64_t inputs[FINDING_INPUTS]; /* finding_input() says what they are; UNKNOWN: there is none */
};

/* What an input of a rule is. */
enum input_kind { INPUT_NONE, INPUT_TIME, INPUT_DURATION, INPUT_MESSAGES, INPUT_COUNT };
struct input {
    const char *name; /* as in JSON; static */
    enum input_kind kind;
    bool limit; /* what another input, or how long it has lasted, was compared with */
};

/* The condition's input at `index`, of kind INPUT_NONE where it has none. */
struct input finding_input(enum condition condition, int index);

struct position_findings {
    int64_t lag;    /* messages still to be read; UNKNOWN: not known, or committed beyond the end */
    int64_t lag_ms; /* age of the oldest unread message; 0 when all is read */
};

/* A group on one topic. Sums and maxima leave out what is unknown; UNKNOWN when nothing was known. */
struct subscription_findings {
    int64_t committed_sum;
    int64_t lag_sum, lag_max;
    int64_t lag_ms_max;
    int64_t stable_lag;  /* to the last stable offset */
    int64_t headroom_ms; /* least time until an unread message may be deleted, >= 0 */
    int64_t overtake_ms; /* forecast: until retention catches up with the reader; UNKNOWN: not converging */
    int64_t catchup_ms;  /* forecast: until its backlog is gone; UNKNOWN: never, or not known */
    int64_t compaction_exposed; /* unread messages that the cleaner may take */
    int64_t uncommitted;        /* partitions of the topic without a committed offset */
    int64_t last_progress;      /* when a commit last moved forward; UNKNOWN: not seen yet */
    int64_t lost_total, skipped_total, rewound_total; /* messages, since the group is known */
    struct chart *chart;                              /* its past; a hold of the findings; NULL: none */
};

struct group_findings {
    uint32_t conditions;          /* bit 1 << condition for each that is true */
    uint32_t first_where, wheres; /* its run of findings.wheres */
    bool unknown;                 /* commits of the group could not be read in this poll: it isn't judged */
    bool idle;                    /* no condition, nothing written and nothing unread */
    int64_t rebalances_total;
    int64_t rebalancing_ms_total; /* sampled: polls that saw the group rebalancing */
    int64_t offsets_expire;       /* when the first of an empty group's commits expires */
    int64_t objective_ms;         /* of time lag */
    int64_t slo_good_ms, slo_ms;  /* time within the objective, and all time observed */
    struct event_list *events;    /* what happened to it; a hold of the findings; NULL: nothing yet */
};

struct topic_findings {
    int64_t shortfall_ms; /* by how much its retention is shorter than the recovery window; 0: it suffices */
};

/* What should not be, counted once an occurrence: the values of the label `kind`. */
enum anomaly {
    ANOMALY_COMMITTED_BEYOND_END,
    ANOMALY_ORPHAN_COMMIT,
    ANOMALY_DUPLICATE_NAME,
    ANOMALY_END_WENT_BACK,
    ANOMALY_UNKNOWN_RECORD,
    ANOMALY_OFFSET_REPAIRED,
    ANOMALIES,
};

const char *anomaly_name(enum anomaly anomaly);

struct findings {
    uint32_t group_count, subscription_count;
    struct topic_findings *topics;
    struct group_findings *groups;
    struct subscription_findings *subscriptions;
    struct position_findings *positions;
    struct finding *wheres; /* sorted by group, then gravity, then topic and partition */
    uint32_t where_count;
    int64_t anomalies[ANOMALIES]; /* totals */
};

/* Findings for a sealed snapshot with everything unknown, no condition true, counters 0. */
struct findings *findings_new(const struct snapshot *snapshot);

/* Frees the findings and sets *findings to NULL; NULL is accepted. */
void findings_free(struct findings **findings);

/* The group's topics taken together: sums of messages and the worst of times; UNKNOWN where nothing was
 * known. The whole is caught up when its last topic is, and has no such forecast when one of them hasn't. */
struct subscription_findings group_total(const struct findings *findings, const struct snap_group *group);

/* The group's gravest condition; CONDITIONS when none is true. */
enum condition group_gravest(const struct group_findings *group);

/* The group's verdict: the name of its gravest condition, "idle", "ok", or "unknown"; static. */
const char *group_verdict(const struct group_findings *group);

#endif
