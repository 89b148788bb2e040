#ifndef TIDEMARK_COLLECTOR_H
#define TIDEMARK_COLLECTOR_H

#include "collectors/check_list.h"
#include "exporter/base/error.h"
#include "exporter/base/pattern.h"
#include "exporter/granularity.h"
#include "exporter/poll_report.h"
#include "exporter/snapshot.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/*
 * The interface between the daemon and a kind of source. A collector is used by one thread at a time: the
 * one that polls its source.
 */

/* A property that is passed through to the source's client library (Kafka: librdkafka's names). */
struct source_property {
    char *name, *value; /* owned */
};

/* How a collector learns commits, where it has a choice. */
enum offsets_from {
    OFFSETS_AUTO,  /* from the topic __consumer_offsets where it may be read, else by asking each group */
    OFFSETS_ADMIN, /* by asking each group */
    OFFSETS_TOPIC, /* from the topic; it is a failure if it can't be read */
};

/* One configured source. */
struct source_config {
    char *name;    /* owned; the value of the label `cluster` */
    char *kind;    /* owned; the name of its collector */
    char *address; /* owned; Kafka: bootstrap servers; log store: the folder */
    struct source_property *properties;
    size_t property_count;
    struct name_filter topics, groups; /* applied before anything is asked about a topic or group */
    enum offsets_from offsets;
    int64_t poll_interval_ms;
    int64_t timeout_ms; /* for each request to the source */
    enum granularity granularity;
    char *written; /* owned; all that a file says of it, in one form; NULL: nothing but the above */
};

struct collector; /* what a kind of source keeps between polls */

struct collector_kind {
    const char *name;       /* "kafka", "logstore" */
    const char *offsets;    /* how commits are learnt, for tidemark_source_info: "admin", "store" … */
    const char *rebalances; /* "exact" or "sampled"; both until a poll's report says otherwise */

    /* Makes a collector; doesn't wait for the source, which may be down. `config` outlives the collector.
     * NULL: the configuration can't work, whatever the source does. */
    struct collector *(*open)(const struct source_config *config, struct error *error);

    /* Observes the source once: start offsets before commits, commits before end offsets (the design's rule
     * 1). What fails for a part of the source only is left out of the snapshot and counted in the report.
     * NULL: the source as a whole could not be observed; the error says why, and the failed stage is counted.
     * The caller owns the snapshot, which is sealed. Returns within a few times the configured timeout,
     * whatever the source does. */
    struct snapshot *(*poll)(struct collector *collector, struct poll_report *report, struct error *error);

    /* Observes the source once and tells a person what works, what doesn't and how to mend it. */
    void (*check)(const struct source_config *config, struct check_list *list);

    /* Frees it and sets *collector to NULL. */
    void (*close)(struct collector **collector);
};

#endif
