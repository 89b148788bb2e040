#ifndef TIDEMARK_PUBLISH_H
#define TIDEMARK_PUBLISH_H

#include "exporter/findings.h"
#include "exporter/granularity.h"
#include "exporter/page_policy.h"
#include "exporter/poll_report.h"
#include "exporter/snapshot.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/*
 * The one object that threads share. Pollers put in what their source last said; scrapes take a view of all
 * of it. A view is immutable and refcounted, so a scrape holds no lock while it renders, however slow its
 * reader is, and what a view shows is freed when its last holder is done.
 */
struct publish;

/* How a source is doing. The texts outlive the publish object, except `cluster` and `reason`, which are
 * copied. */
struct source_status {
    const char *cluster;    /* the source's configured name */
    const char *kind;       /* "kafka", "logstore" */
    const char *offsets;    /* how its commits are learnt */
    const char *rebalances; /* "exact" or "sampled" */
    const char *because;    /* why so, in words; NULL: there is no choice */
    enum granularity granularity;
    bool polled;          /* a first poll has ended, well or not: `up` means something */
    bool up;              /* the last poll succeeded */
    const char *reason;   /* why it didn't; NULL: it did, or there was none */
    int64_t last_success; /* milliseconds since 1970; UNKNOWN: never */
    int64_t poll_interval_ms;
    int64_t duration_us[POLL_STAGES];  /* of the last poll */
    int64_t errors_total[POLL_STAGES]; /* since the start */
};

struct shown_text; /* of a source, shared by the views that show it */
struct judged;     /* a snapshot and its findings, shared by the views that show them */

struct source_view {
    struct source_status status;
    const struct snapshot *snapshot; /* NULL: nothing known, or too old to be shown */
    const struct findings *findings; /* of the snapshot */
    struct judged *judged;           /* what keeps them alive */
    struct shown_text *name;         /* what keeps status.cluster alive */
    struct shown_text *reason;       /* what keeps status.reason alive; NULL like it */
    size_t id;                       /* what its poller calls it */
};

struct view {
    uint64_t number;             /* rises with each publication, from 1 */
    struct source_view *sources; /* in the order of the configuration */
    size_t source_count;
    struct page_policy *policy; /* NULL: everything is shown */
    struct view_memory *memory;
};

/* Room for the sources with these first statuses, called 0, 1, 2 …; free it with publish_free(). */
struct publish *publish_new(const struct source_status *statuses, size_t sources);

/* Where a source stands in the views to come. */
struct publish_place {
    size_t id;                  /* what its poller calls it */
    struct source_status first; /* for one that isn't there yet */
};

/* From now on these are the sources, in this order. One that was there keeps its status and what it shows;
 * one that is no more goes, and what its poller still says of it is dropped. Any thread. */
void publish_arrange(struct publish *publish, const struct publish_place *places, size_t count);

/* From now on pages are made by this policy; takes it over. Any thread. */
void publish_set_policy(struct publish *publish, struct page_policy *policy);

/* Frees it and sets *publish to NULL, after the threads that use it have ended; views still held live on. */
void publish_free(struct publish **publish);

/* A new poll's result for source `id`; takes over snapshot and findings. Any thread. */
void publish_poll(struct publish *publish, size_t id, const struct source_status *status,
                  struct snapshot *snapshot, struct findings *findings);

/* A new status for source `id`; what it last showed stays, or goes if `forget`. Any thread. */
void publish_status(struct publish *publish, size_t id, const struct source_status *status, bool forget);

/* The current view, to be given back with view_release(). Never waits for a poll. Any thread. */
struct view *publish_view(struct publish *publish);

/* The number of the current view. Any thread. */
uint64_t publish_number(struct publish *publish);

/* From now on `watcher` is called after each publication, by the thread that publishes and under the lock: it
 * must not wait, nor use `publish`. There is one watcher; NULL ends it, and once that returns it isn't called
 * any more. Any thread. */
void publish_watch(struct publish *publish, void (*watcher)(void *context), void *context);

/* Gives a view back and sets *view to NULL; NULL is accepted. Any thread. */
void view_release(struct view **view);

#endif
