#ifndef TIDEMARK_TESTS_TOPICS_WORLD_H
#define TIDEMARK_TESTS_TOPICS_WORLD_H

#include "exporter/evaluate.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

/* A group that reads the three partitions of two topics, as the next poll will see it. */
enum { TOPICS = 2, PARTITIONS = 3, NOWHERE = -1 };
struct world {
    struct history *history;
    struct rules rules;
    struct overrides overrides;
    struct snapshot *snapshot; /* of the last poll, with */
    struct findings *findings;
    int64_t now;
    int64_t start[TOPICS][PARTITIONS], end, committed[TOPICS][PARTITIONS]; /* NOWHERE: no commit is seen */
    int64_t members, generation, retention_ms, offsets_retention_ms, empty_since;
};

static const int64_t began = INT64_C(1764000000000);
static const char *const names[TOPICS] = {"orders", "payments"};

static inline int set_up(void **state)
{
    struct world *w = calloc(1, sizeof *w);
    assert_non_null(w);
    w->history = history_new();
    w->rules = rules_default();
    w->now = began;
    w->end = 10000;
    w->members = 1;
    w->generation = UNKNOWN;
    w->retention_ms = w->offsets_retention_ms = w->empty_since = UNKNOWN;
    *state = w;
    return 0;
}

static inline int tear_down(void **state)
{
    struct world *w = *state;
    findings_free(&w->findings);
    snapshot_free(&w->snapshot);
    history_free(&w->history);
    overrides_free(&w->overrides);
    free(w);
    return 0;
}

static inline void poll_after(struct world *w, int64_t seconds)
{
    struct snapshot *s = snapshot_new();
    findings_free(&w->findings);
    snapshot_free(&w->snapshot);
    w->now += seconds * 1000;
    uint32_t group = (uint32_t)snapshot_add_group(s, STR_LITERAL("billing"));
    s->groups[group].members = w->members;
    s->groups[group].generation = w->generation;
    s->groups[group].empty_since = w->empty_since;
    s->offsets_retention_ms = w->offsets_retention_ms;
    for (uint32_t t = 0; t < TOPICS; t++) {
        assert_int_equal(snapshot_add_topic(s, str_of(names[t]), PARTITIONS), t);
        s->topics[t].config.retention_ms = w->retention_ms;
        for (uint32_t p = 0; p < PARTITIONS; p++) {
            s->partitions[s->topics[t].first_partition + p].start = w->start[t][p];
            s->partitions[s->topics[t].first_partition + p].end = w->end;
            if (w->committed[t][p] != NOWHERE)
                assert_non_null(snapshot_add_position(s, group, t, (int32_t)p, w->committed[t][p]));
        }
    }
    snapshot_seal(s, w->now);
    history_observe(w->history, s);
    w->snapshot = s;
    w->findings = evaluate_with(w->history, s, w->now, &w->rules, &w->overrides, STR_LITERAL("here"));
}

static inline void polls(struct world *w, int count)
{
    for (int i = 0; i < count; i++)
        poll_after(w, 15);
}

static inline bool is(const struct world *w, enum condition condition)
{
    return w->findings->groups[0].conditions >> condition & 1u;
}

/* The number of the partition of that topic on which the condition is said to be true; NOWHERE: on none. */
static inline int32_t where(const struct world *w, enum condition condition, uint32_t topic)
{
    for (uint32_t i = 0; i < w->findings->where_count; i++) {
        const struct finding *finding = &w->findings->wheres[i];
        if (finding->condition != condition || finding->position == NO_INDEX ||
            w->snapshot->subscriptions[finding->subscription].topic != topic)
            continue;
        return w->snapshot->partitions[w->snapshot->positions[finding->position].partition].number;
    }
    return NOWHERE;
}

static inline const struct subscription_findings *on(const struct world *w, uint32_t topic)
{
    return &w->findings->subscriptions[topic];
}

#endif
