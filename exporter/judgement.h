#ifndef TIDEMARK_JUDGEMENT_H
#define TIDEMARK_JUDGEMENT_H

#include "exporter/evaluate.h"
#include "exporter/memory.h"

/* What a rule sees, and where it says what it found: one group of one snapshot. Known to the evaluation
 * only. */
struct scene {
    const struct rules *rules;
    struct history *history;
    const struct snapshot *snapshot;
    int64_t now;
    struct findings *findings;
    size_t where_capacity;
    uint32_t g; /* index of the group */
    const struct snap_group *group;
    struct group_memory *memory;
};

/* The memory of the subscription with that index in the snapshot. */
static inline struct subscription_memory *scene_subscription(const struct scene *scene, uint32_t s)
{
    return &scene->memory->subscriptions[scene->history->subscription_at[s]];
}

/* The next position from `at` on that is in the snapshot. */
static inline uint32_t scene_skip_absent(const struct subscription_memory *memory, uint32_t at)
{
    while (!memory->positions[at].present)
        at++;
    return at;
}

/* Applies every rule to the scene's group (judgement.c). */
void judge_conditions(struct scene *scene);

/* Fills the forecasts of a subscription: headroom, overtake, catchup, compaction (forecast.c). */
void forecast_subscription(const struct scene *scene, uint32_t s);

/* When retention reaches the position, if nothing changes. */
struct overtaking {
    int64_t headroom_ms; /* until an unread message may be deleted; UNKNOWN */
    int64_t overtake_ms; /* until the edge passes the reader; UNKNOWN: it doesn't, or not known */
    int64_t horizon_ms;  /* from when on that is a risk; UNKNOWN */
};
struct overtaking forecast_overtaking(const struct scene *scene, const struct snap_topic *topic,
                                      const struct position_memory *memory,
                                      const struct partition_memory *partition,
                                      const struct snap_partition *seen);

#endif
