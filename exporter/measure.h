#ifndef TIDEMARK_MEASURE_H
#define TIDEMARK_MEASURE_H

#include "exporter/base/column.h"
#include "exporter/process.h"
#include "exporter/publish.h"
#include "exporter/reload_record.h"

#include <stdint.h>

/*
 * What each metric's value is. A metric of metrics.def has one function measure_<id>() here that takes the
 * subject of its level, so a metric cannot be measured on what it has no labels for. It returns the value in
 * the declared unit, or UNKNOWN: then there is no series. At a level whose subjects come in runs it tells
 * where those of a whole run stand. Pure, any thread.
 */

/* What stays the same as long as the program runs. The texts outlive every page. */
struct program_facts {
    const char *version, *librdkafka_version;
    const char *cluster_label;           /* name of the label `cluster` */
    const struct reload_record *reloads; /* of the configuration; NULL where there are none */
};

/* What a page says that no source does; taken once, so that all of the page says the same, and its length is
 * what it was found to be. */
struct page_facts {
    int64_t now; /* milliseconds since 1970 */
    struct process_stats process;
    int64_t last_reload_successful; /* 1 or 0; UNKNOWN: nothing is ever reloaded */
    int64_t last_reload_success;    /* milliseconds since 1970; UNKNOWN likewise */
    const struct program_facts *program;
};

/* The facts of a page that is made now: asks the clock and the operating system. */
struct page_facts page_facts_now(const struct program_facts *program);

/* What a page says of itself. */
struct page_so_far {
    int64_t series, dropped, bytes;
};

struct process_subject {
    const struct page_facts *facts;
    struct page_so_far so_far;
};
struct build_subject {
    const struct page_facts *facts;
};
struct source_subject {
    const struct source_status *status;
};
struct source_info_subject {
    const struct source_status *status;
};
struct stage_subject {
    const struct source_status *status;
    enum poll_stage stage;
};
struct judged_subject {
    const struct snapshot *snapshot;
};
struct cluster_subject {
    const struct snapshot *snapshot;
};
struct anomaly_subject {
    const struct findings *findings;
    enum anomaly anomaly;
};
struct broker_subject {
    const struct snap_broker *broker;
};
struct topic_subject {
    const struct snap_topic *topic;
    const struct topic_findings *findings;
};
struct topic_info_subject {
    const struct snap_topic *topic;
};
struct partition_subject {
    const struct snapshot *snapshot;
    const struct snap_partition *partition;
};
struct group_subject {
    const struct snap_group *group;
    const struct group_findings *findings;
};
struct group_state_subject {
    const struct snap_group *group;
    enum group_state state;
};
struct group_condition_subject {
    const struct group_findings *findings;
    enum condition condition;
};
struct where_subject {
    const struct finding *finding;
};
struct subscription_subject {
    const struct subscription_findings *findings;
};
struct position_subject {
    const struct snap_position *positions;
    const struct position_findings *findings;
};

/* How each level is measured. */
#define LEVEL(id, labels, meaning) typedef int64_t id##_measure(const struct id##_subject *subject);
SINGLE_LEVEL_TABLE(LEVEL)
#undef LEVEL
#define LEVEL(id, labels, meaning) typedef struct column id##_measure(const struct id##_subject *run);
RUN_LEVEL_TABLE(LEVEL)
#undef LEVEL

#define METRIC(id, name, type, level, unit, help) level##_measure measure_##id;
#include "exporter/metrics.def"
#undef METRIC

#endif
