#ifndef TIDEMARK_JUDGEMENT_H
#define TIDEMARK_JUDGEMENT_H

#include "exporter/evaluate.h"
#include "exporter/known.h"
#include "exporter/memory.h"

/* What the positions of a group have in common, so that a rule looks at each of them only where one matters.
 */
struct place {
    int64_t subscription, position; /* indexes, NO_INDEX */
};
struct gist {
    int64_t unread_since;                         /* the earliest; UNKNOWN: nothing is unread */
    int64_t overtake_ms;                          /* the soonest within its horizon, INT64_MAX: none */
    struct place overtaken;                       /* where that is, */
    int64_t headroom_ms, horizon_ms;              /* and what else is known of it */
    struct place compacted;                       /* a reader that the cleaner may overtake, */
    int64_t compacted_lag_ms, compacted_after_ms; /* its time lag, and from which on it may */
    struct place undated;                         /* a reader of unknown time lag that gets no closer, */
    int64_t undated_ms;                           /* how late it is at least */
    bool before_start;                            /* one stands before what is still there */
    bool beyond;                                  /* one stands beyond the end */
};

/* What a rule sees, and where it says what it found: one group of one snapshot. Known to the evaluation
 * only. */
struct scene {
    const struct rules *everywhere; /* without overrides */
    const struct overrides *overrides;
    struct str cluster;
    const struct rules *rules; /* of the group */
    struct history *history;
    const struct snapshot *snapshot;
    int64_t now;
    struct findings *findings;
    size_t where_capacity;
    uint32_t g; /* index of the group */
    const struct snap_group *group;
    struct group_memory *memory;
    struct gist gist;
};

/* The memory of the subscription with that index in the snapshot. */
static inline struct subscription_memory *scene_subscription(const struct scene *scene, uint32_t s)
{
    return &scene->memory->subscriptions[scene->history->subscription_at[s]];
}

/* The rules for that subscription. */
static inline const struct rules *scene_rules(const struct scene *scene, uint32_t s)
{
    return scene->overrides->count == 0 ? scene->rules : &scene_subscription(scene, s)->ruled.rules;
}

/* The next position from `at` on that is in the snapshot. */
static inline uint32_t scene_skip_absent(const struct subscription_memory *memory, uint32_t at)
{
    while (!memory->positions[at].present)
        at++;
    return at;
}

/* A time that makes sure of something, shortened for who has an objective shorter than the default and so
 * wants to know sooner; never lengthened. */
static inline int64_t rules_pace(const struct rules *rules, int64_t ms)
{
    int64_t usual = rules_default().objective_ms, objective = rules->objective_ms;
    return objective < usual ? ms * objective / usual : ms;
}

/* Applies every rule to the scene's group (judgement.c). */
void judge_conditions(struct scene *scene);

/* Fills the forecasts of a subscription: headroom, overtake, catchup, compaction (forecast.c). */
void forecast_subscription(struct scene *scene, uint32_t s);

#endif
