#ifndef TIDEMARK_METRICS_H
#define TIDEMARK_METRICS_H

#include "exporter/base/buf.h"

#include <stddef.h>

/* The catalogue: what metrics.def declares, as data. */

enum metric {
#define METRIC(id, name, type, level, unit, help) METRIC_##id,
#include "exporter/metrics.def"
#undef METRIC
    METRICS,
    /* What is of the process, and of no source, stands at the end of the page, from here on. */
    METRIC_FIRST_OF_PROCESS = METRIC_build_info,
};

enum metric_type { METRIC_TYPE_GAUGE, METRIC_TYPE_COUNTER };

/* What a value counts in; on the page it is divided by this (exactly, in decimal). */
enum metric_unit {
    METRIC_UNIT_COUNT = 1,
    METRIC_UNIT_MILLISECONDS = 1000,
    METRIC_UNIT_MICROSECONDS = 1000000,
    METRIC_UNIT_MILLIONTHS = 1000000,
};

/*
 * The levels: what has one series of a metric. LEVEL(id, labels, meaning); the labels in the page's order.
 * All but the process's own have `cluster`. Nearly all series are those of positions, which for that reason
 * are measured many at a time.
 */
#define LEVEL_TABLE(LEVEL)                                                                                   \
    SINGLE_LEVEL_TABLE(LEVEL)                                                                                \
    RUN_LEVEL_TABLE(LEVEL)
#define RUN_LEVEL_TABLE(LEVEL) LEVEL(position, "cluster, consumergroup, topic, partition", "position")
#define SINGLE_LEVEL_TABLE(LEVEL)                                                                            \
    LEVEL(process, "", "the process")                                                                        \
    LEVEL(build, "version, librdkafka_version", "the process")                                               \
    LEVEL(source, "cluster", "source")                                                                       \
    LEVEL(source_info, "cluster, kind, offsets, rebalances", "source")                                       \
    LEVEL(stage, "cluster, stage", "source")                                                                 \
    LEVEL(judged, "cluster", "source, while it is known")                                                    \
    LEVEL(cluster, "cluster", "Kafka cluster")                                                               \
    LEVEL(anomaly, "cluster, kind", "source")                                                                \
    LEVEL(broker, "cluster, id, address", "broker")                                                          \
    LEVEL(topic, "cluster, topic", "topic")                                                                  \
    LEVEL(topic_info, "cluster, topic, cleanup_policy", "topic")                                             \
    LEVEL(partition, "cluster, topic, partition", "partition")                                               \
    LEVEL(group, "cluster, consumergroup", "group")                                                          \
    LEVEL(group_state, "cluster, consumergroup, state", "group")                                             \
    LEVEL(group_condition, "cluster, consumergroup, condition", "group")                                     \
    LEVEL(where, "cluster, consumergroup, condition, topic, partition", "true condition")                    \
    LEVEL(subscription, "cluster, consumergroup, topic", "group and topic")

enum metric_level {
#define LEVEL(id, labels, meaning) METRIC_LEVEL_##id,
    LEVEL_TABLE(LEVEL)
#undef LEVEL
        METRIC_LEVELS,
};

/* A metric as it is declared; all texts are static. */
struct metric_row {
    const char *id, *name;
    enum metric_type type;
    enum metric_level level;
    enum metric_unit unit;
    const char *help;
};

const struct metric_row *metric_row(enum metric metric);

/* "gauge" or "counter". */
const char *metric_type_name(enum metric_type type);

/* The labels of a level, separated by ", "; and what has one series of it. */
const char *metric_level_labels(enum metric_level level);
const char *metric_level_meaning(enum metric_level level);

/* `tidemark metrics [--json|--markdown]`: prints the catalogue. Returns the exit code. */
int metrics_command(int argc, char **argv);

#endif
