#ifndef TIDEMARK_TESTS_GROUP_WORLD_H
#define TIDEMARK_TESTS_GROUP_WORLD_H

#include "exporter/evaluate.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

/* A group with one position on each of the topic's partitions, as the next poll will see it. */
enum { PARTITIONS = 3 };
struct world {
    struct history *history;
    struct snapshot *snapshot; /* of the last poll, with */
    struct findings *findings;
    struct rules rules;
    int64_t now;
    int64_t start[PARTITIONS], end[PARTITIONS], committed[PARTITIONS];
    int64_t next_ts[PARTITIONS]; /* UNKNOWN: not told */
    enum group_state state;      /* 0: not told */
    int64_t members, generation, retention_ms, retention_bytes, compaction_lag_ms;
    int64_t offsets_retention_ms, empty_since, may_take_ms;
    enum cleanup_policy cleanup_policy;
    bool made_again, ends_unknown, commits_unknown, orphan;
};

static inline int set_up(void **state)
{
    struct world *w = calloc(1, sizeof *w);
    assert_non_null(w);
    w->history = history_new();
    w->rules = rules_default();
    w->now = INT64_C(1764000000000);
    w->members = 2;
    w->generation = 7;
    w->retention_ms = w->retention_bytes = w->compaction_lag_ms = UNKNOWN;
    w->offsets_retention_ms = w->empty_since = w->may_take_ms = UNKNOWN;
    w->cleanup_policy = CLEANUP_UNKNOWN;
    for (int p = 0; p < PARTITIONS; p++) {
        w->end[p] = w->committed[p] = 1000;
        w->next_ts[p] = UNKNOWN;
    }
    *state = w;
    return 0;
}

static inline int tear_down(void **state)
{
    struct world *w = *state;
    findings_free(&w->findings);
    snapshot_free(&w->snapshot);
    history_free(&w->history);
    free(w);
    return 0;
}

static inline void poll(struct world *w)
{
    struct snapshot *s = snapshot_new();
    uint32_t topic = (uint32_t)snapshot_add_topic(s, STR_LITERAL("orders"), PARTITIONS);
    s->topics[topic].config.retention_ms = w->retention_ms;
    s->topics[topic].config.retention_bytes = w->retention_bytes;
    s->topics[topic].config.min_compaction_lag_ms = w->compaction_lag_ms;
    s->topics[topic].config.cleanup_policy = w->cleanup_policy;
    s->topics[topic].id[0] = w->made_again ? 2 : 1;
    uint32_t group = (uint32_t)snapshot_add_group(s, STR_LITERAL("billing"));
    s->groups[group].members = w->members;
    s->groups[group].generation = w->generation;
    s->groups[group].state = w->state;
    s->groups[group].empty_since = w->empty_since;
    s->groups[group].rebalance_timeout_ms = w->may_take_ms;
    s->offsets_retention_ms = w->offsets_retention_ms;
    for (int p = 0; p < PARTITIONS; p++) {
        s->partitions[p].start = w->start[p];
        s->partitions[p].end = w->ends_unknown ? UNKNOWN : w->end[p];
        if (w->commits_unknown)
            continue;
        struct snap_position *position = snapshot_add_position(s, group, topic, p, w->committed[p]);
        assert_non_null(position);
        position->next_ts = w->next_ts[p];
    }
    s->groups[group].commits_unknown = w->commits_unknown;
    if (w->orphan)
        snapshot_add_orphan(s, group, STR_LITERAL("gone"), 0);
    snapshot_seal(s, w->now);
    findings_free(&w->findings);
    snapshot_free(&w->snapshot);
    history_observe(w->history, s);
    w->snapshot = s;
    w->findings = evaluate(w->history, s, w->now, &w->rules);
}

/* `seconds` pass, polled every 15 s; ten messages a second are written to each partition, and `read` of them
 * are read. */
static inline void pass(struct world *w, int64_t seconds, int64_t read)
{
    for (int64_t t = 0; t < seconds; t += 15) {
        w->now += 15000;
        for (int p = 0; p < PARTITIONS; p++) {
            w->end[p] += 150;
            w->committed[p] += read * 15;
            if (read > 0 && w->committed[p] > w->end[p])
                w->committed[p] = w->end[p];
        }
        poll(w);
    }
}

static inline bool is(const struct world *w, enum condition condition)
{
    return w->findings->groups[0].conditions >> condition & 1u;
}

#endif
