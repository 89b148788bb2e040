#include "exporter/judgement.h"

#include "exporter/base/mem.h"

#include <string.h>

/*
 * One function a rule, each a cause with its evidence; the table at the end says which condition it stands
 * for. A cause that has to last is given its time by `held`: conditions are about time, never about polls.
 */

/* --- saying what was found ----------------------------------------------------------------------------- */

/* What a rule went by, in the order of finding_input(). */
#define INPUTS(...) ((const int64_t[FINDING_INPUTS]){__VA_ARGS__})

static void found(struct scene *scene, enum condition condition, struct place place, int64_t since,
                  const int64_t *inputs)
{
    struct findings *findings = scene->findings;
    findings->wheres = mem_grow(findings->wheres, &scene->where_capacity, findings->where_count + 1u,
                                sizeof *findings->wheres);
    struct finding *finding = &findings->wheres[findings->where_count++];
    *finding = (struct finding){
        .condition = condition,
        .group = scene->g,
        .subscription = place.subscription,
        .position = place.position,
        .since = since,
    };
    memcpy(finding->inputs, inputs, sizeof finding->inputs);
    findings->groups[scene->g].conditions |= 1u << condition;
}

static const struct place nowhere = {NO_INDEX, NO_INDEX};

static struct place on_topic(uint32_t s)
{
    return (struct place){s, NO_INDEX};
}

static bool is_found(const struct scene *scene, enum condition condition)
{
    return scene->findings->groups[scene->g].conditions & 1u << condition;
}

/* Whether the cause of a condition has been there for `duration`; remembers since when it has. */
static bool held(const struct scene *scene, enum condition condition, bool cause, int64_t duration)
{
    int64_t *since = &scene->memory->since[condition];
    if (!cause)
        *since = UNKNOWN;
    else if (*since == UNKNOWN)
        *since = scene->now;
    return cause && scene->now - *since >= duration;
}

static int64_t later(int64_t a, int64_t b)
{
    return a > b ? a : b;
}

/* --- walking a group's positions ----------------------------------------------------------------------- */

struct walk {
    uint32_t s, p, at; /* subscription, position; its place in the memory */
    uint32_t next_s, next_p;
    const struct subscription_memory *subscription;
    const struct position_memory *memory;
};

static bool walk_next(const struct scene *scene, struct walk *walk)
{
    const struct snapshot *snapshot = scene->snapshot;
    while (walk->subscription == NULL || walk->next_p == snapshot->subscriptions[walk->s].positions) {
        if (walk->next_s == scene->group->subscriptions)
            return false;
        walk->s = scene->group->first_subscription + walk->next_s++;
        walk->subscription = scene_subscription(scene, walk->s);
        walk->next_p = walk->at = 0;
    }
    const struct snap_subscription *sub = &snapshot->subscriptions[walk->s];
    walk->at = scene_skip_absent(walk->subscription, walk->at);
    walk->memory = &walk->subscription->positions[walk->at++];
    walk->p = sub->first_position + walk->next_p++;
    return true;
}

/* --- no progress --------------------------------------------------------------------------------------- */

static int64_t patience(const struct scene *scene, uint32_t s, const struct position_memory *memory)
{
    int64_t least = scene_rules(scene, s)->stuck_after_ms;
    if (least < rules_default().stuck_after_ms) /* who wants it sooner doesn't want to wait for habits */
        return least;
    return later(least, position_patience(memory, scene->history, scene->memory->may_take));
}

static void rule_stopped(struct scene *scene)
{
    const struct group_memory *memory = scene->memory;
    int64_t unread_since = UNKNOWN, progress = UNKNOWN, wait = scene->rules->stopped_after_ms;
    if (memory->empty_since == UNKNOWN || scene->now - memory->empty_since < wait * 2 / 3)
        return;
    for (struct walk walk = {0}; walk_next(scene, &walk);) {
        progress = later(progress, walk.subscription->last_progress);
        if (walk.memory->unread_since == UNKNOWN)
            continue;
        if (unread_since == UNKNOWN || walk.memory->unread_since < unread_since)
            unread_since = walk.memory->unread_since;
        if (memory->works_empty)
            wait = later(wait, patience(scene, walk.s, walk.memory));
    }
    int64_t since = later(progress, unread_since);
    if (unread_since != UNKNOWN && scene->now - since >= wait)
        found(scene, CONDITION_STOPPED, nowhere, since,
              INPUTS(memory->empty_since, unread_since, progress, scene->now - since, wait));
}

static void rule_stuck(struct scene *scene)
{
    if (scene->memory->empty_since != UNKNOWN || scene->gist.unread_since == UNKNOWN)
        return;
    if (scene->overrides->count == 0 && scene->now - scene->gist.unread_since < scene->rules->stuck_after_ms)
        return;
    for (struct walk walk = {0}; walk_next(scene, &walk);) {
        if (walk.memory->unread_since == UNKNOWN)
            continue;
        int64_t since = later(walk.memory->unread_since, scene->memory->alive_since);
        int64_t wait = patience(scene, walk.s, walk.memory),
                cycle = position_cycle(walk.memory, scene->history);
        if (scene->now - since >= wait)
            found(scene, CONDITION_STUCK, (struct place){walk.s, walk.p}, since,
                  INPUTS(walk.memory->unread_since, scene->memory->alive_since, cycle > 0 ? cycle : UNKNOWN,
                         scene->now - since, wait));
    }
}

/* --- rebalances ---------------------------------------------------------------------------------------- */

/* The worst time lag of the group's topics now, and how much it has grown since then. */
static int64_t worst_lag(const struct scene *scene, int64_t since, int64_t *grown)
{
    int64_t worst = UNKNOWN;
    *grown = 0;
    for (uint32_t i = 0; i < scene->group->subscriptions; i++) {
        uint32_t s = scene->group->first_subscription + i;
        int64_t lag = scene->findings->subscriptions[s].lag_ms_max;
        int64_t least = trend_least(scene_subscription(scene, s), since);
        worst = later(worst, lag);
        if (lag != UNKNOWN && least != UNKNOWN)
            *grown = later(*grown, lag - least);
    }
    return worst;
}

static bool rebalances_keep_coming(const struct scene *scene, struct rebalance_run *run)
{
    *run = group_rebalance_run(scene->memory, scene->now, scene->rules->rebalance_window_ms);
    return run->count >= scene->rules->rebalance_count &&
           scene->now - run->first >= scene->rules->spiral_after_ms;
}

static void rule_death_spiral(struct scene *scene)
{
    struct rebalance_run run;
    int64_t grown;
    if (!rebalances_keep_coming(scene, &run))
        return;
    int64_t lag = worst_lag(scene, run.first, &grown), much = scene->rules->objective_ms * 2 / 5;
    if (lag >= much && grown >= much / 2)
        found(scene, CONDITION_DEATH_SPIRAL, nowhere, run.first,
              INPUTS(run.count, run.first, lag, grown, scene->rules->spiral_after_ms));
}

static void rule_rebalance_storm(struct scene *scene)
{
    struct rebalance_run run;
    if (rebalances_keep_coming(scene, &run) && !is_found(scene, CONDITION_DEATH_SPIRAL))
        found(scene, CONDITION_REBALANCE_STORM, nowhere, run.first,
              INPUTS(run.count, run.first, scene->rules->rebalance_count, scene->rules->spiral_after_ms));
}

/* --- too slow ------------------------------------------------------------------------------------------ */

/* Beyond the objective, and not on its way back. */
static bool over_objective(const struct scene *scene, int64_t objective,
                           const struct subscription_memory *memory)
{
    int64_t since = trend_above(memory, objective);
    if (since == UNKNOWN || scene->now - since < objective / 8)
        return false;
    int64_t lag = memory->trend[memory->trends - 1].value, before = trend_ago(memory, scene->now, objective);
    return before != UNKNOWN && lag - before > -objective / 5;
}

/* Within it still, but away from its old level for so long that it is no peak, and no better than a while
 * ago. What has been told stays until it gets better. */
static bool growing(const struct scene *scene, int64_t objective, const struct subscription_memory *memory)
{
    bool told = scene->memory->conditions & 1u << CONDITION_FALLING_BEHIND;
    int64_t now = scene->now, high_since = trend_above(memory, objective / 5),
            away_since = trend_above(memory, objective / 15);
    if (high_since == UNKNOWN || now - high_since < objective / 2 || now - away_since < objective * 11 / 5)
        return false;
    int64_t lag = memory->trend[memory->trends - 1].value, middle = trend_ago(memory, now, objective);
    if (middle == UNKNOWN)
        return false;
    if (told)
        return lag > middle - objective / 10;
    return lag > middle + objective / 60 && lag - trend_least(memory, now - objective * 4) > lag * 2 / 5;
}

/* A replay is behind on purpose, unless it doesn't get ahead. */
static bool replays(const struct scene *scene, int64_t objective, const struct subscription_memory *memory)
{
    int64_t since = memory->replaying_since;
    if (since == UNKNOWN)
        return false;
    int64_t before = trend_ago(memory, scene->now, objective * 3);
    int64_t last = memory->trends > 0 ? memory->trend[memory->trends - 1].value : UNKNOWN;
    return scene->now - since < objective * 4 || before == UNKNOWN || last == UNKNOWN ||
           last - before < objective / 5;
}

/* Whether one that is that late has been seen to read. Of another nobody knows yet whether it is slow or
 * doesn't read at all, which is for `stopped` and `stuck` to say. */
static bool late_reader_moves(const struct subscription_memory *memory, int64_t lag)
{
    for (uint32_t i = 0; i < memory->position_count; i++) {
        const struct position_memory *position = &memory->positions[i];
        if (position->present && position->steady_ms >= lag && position_seen_moving(position))
            return true;
    }
    return false;
}

/* Where nobody is there, nobody is slow; but who has been told to be may be on the way to come back. */
static bool nobody_to_be_slow(const struct scene *scene)
{
    return scene->memory->empty_since != UNKNOWN && !scene->memory->works_empty &&
           !(scene->memory->conditions & 1u << CONDITION_FALLING_BEHIND);
}

static void find_late_ones(struct scene *scene)
{
    for (uint32_t i = 0; i < scene->group->subscriptions; i++) {
        uint32_t s = scene->group->first_subscription + i;
        const struct subscription_memory *memory = scene_subscription(scene, s);
        int64_t objective = scene_rules(scene, s)->objective_ms;
        if (replays(scene, objective, memory) || !late_reader_moves(memory, objective / 5) ||
            (!over_objective(scene, objective, memory) && !growing(scene, objective, memory)))
            continue;
        int64_t since = trend_above(memory, objective / 5);
        found(scene, CONDITION_FALLING_BEHIND, on_topic(s), since,
              INPUTS(memory->trend[memory->trends - 1].value, trend_ago(memory, scene->now, objective), since,
                     objective));
    }
}

/* Of unknown time lag, which is over the objective at least, and gets no closer for half as long. */
static void find_undated_one(struct scene *scene, bool can_be_slow)
{
    uint32_t s = (uint32_t)scene->gist.undated.subscription;
    bool cause = can_be_slow && scene->gist.undated.position != NO_INDEX &&
                 scene_subscription(scene, s)->replaying_since == UNKNOWN;
    int64_t objective = cause ? scene_rules(scene, s)->objective_ms : 0;
    if (!held(scene, CONDITION_FALLING_BEHIND, cause, objective / 2) ||
        is_found(scene, CONDITION_FALLING_BEHIND))
        return;
    int64_t since = scene->memory->since[CONDITION_FALLING_BEHIND];
    found(scene, CONDITION_FALLING_BEHIND, on_topic(s), since,
          INPUTS(scene->gist.undated_ms, UNKNOWN, since, objective));
}

static void rule_falling_behind(struct scene *scene)
{
    bool can_be_slow =
        !nobody_to_be_slow(scene) && !is_found(scene, CONDITION_STOPPED) && !is_found(scene, CONDITION_STUCK);
    if (can_be_slow)
        find_late_ones(scene);
    find_undated_one(scene, can_be_slow);
}

/* Where one partition carries most of the lag of a topic and at least half of the others are current. */
struct skew {
    struct place place;
    int64_t lag, lag_of_all, current, siblings;
};

static bool find_skew(const struct scene *scene, uint32_t s, struct skew *skew)
{
    const struct snap_subscription *sub = &scene->snapshot->subscriptions[s];
    const struct subscription_findings *sums = &scene->findings->subscriptions[s];
    const struct subscription_memory *memory = scene_subscription(scene, s);
    /* Next to one that is much later, who is a little late is current nevertheless. */
    const struct rules *rules = scene_rules(scene, s);
    int64_t behind_ms = rules_pace(rules, 45 * 1000),
            current_ms = later(rules_pace(rules, 22 * 1000), sums->lag_ms_max / 5);
    int64_t worst = NO_INDEX, current = 0;
    uint32_t at = 0;
    if (sub->positions < 3 || sums->lag_ms_max < behind_ms ||
        (double)sums->lag_max < 0.5 * (double)sums->lag_sum)
        return false;
    for (uint32_t p = sub->first_position; p < sub->first_position + sub->positions; p++) {
        const struct position_findings *position = &scene->findings->positions[p];
        at = scene_skip_absent(memory, at);
        int64_t lag_ms = position_lowest_lag(&memory->positions[at++]);
        if (position->lag == sums->lag_max && position->lag != UNKNOWN)
            worst = p;
        else
            current += lag_ms != UNKNOWN && lag_ms <= current_ms;
    }
    *skew = (struct skew){{s, worst}, sums->lag_max, sums->lag_sum, current, sub->positions - 1};
    return worst != NO_INDEX && current * 2 >= skew->siblings &&
           scene->findings->positions[worst].lag_ms >= behind_ms;
}

static void rule_skewed(struct scene *scene)
{
    struct skew skew;
    bool cause = false;
    int64_t wait = 0;
    if (!is_found(scene, CONDITION_STUCK) && !is_found(scene, CONDITION_STOPPED))
        for (uint32_t i = 0; i < scene->group->subscriptions && !cause; i++)
            cause = find_skew(scene, scene->group->first_subscription + i, &skew);
    if (cause)
        wait = scene_rules(scene, (uint32_t)skew.place.subscription)->skewed_after_ms;
    if (held(scene, CONDITION_SKEWED, cause, wait))
        found(scene, CONDITION_SKEWED, skew.place, scene->memory->since[CONDITION_SKEWED],
              INPUTS(skew.lag, skew.lag_of_all, skew.current, skew.siblings, wait));
}

/* --- losing -------------------------------------------------------------------------------------------- */

static void rule_retention_risk(struct scene *scene)
{
    static const int64_t lasting_ms = 4 * 60 * 1000;
    struct place place = scene->gist.overtaken;
    if (held(scene, CONDITION_RETENTION_RISK, place.position != NO_INDEX,
             rules_pace(scene->rules, lasting_ms)))
        found(scene, CONDITION_RETENTION_RISK, place, scene->memory->since[CONDITION_RETENTION_RISK],
              INPUTS(scene->gist.headroom_ms, scene->gist.overtake_ms, scene->gist.horizon_ms));
}

/* The index of the subscription's position on the partition of that number, NO_INDEX when it has none. */
static int64_t position_on(const struct scene *scene, uint32_t s, int32_t number)
{
    const struct snap_subscription *sub = &scene->snapshot->subscriptions[s];
    for (uint32_t p = sub->first_position; p < sub->first_position + sub->positions; p++)
        if (scene->snapshot->partitions[scene->snapshot->positions[p].partition].number == number)
            return p;
    return NO_INDEX;
}

static bool recent(const struct scene *scene, uint32_t s, int64_t event)
{
    return event != UNKNOWN && scene->now - event < scene_rules(scene, s)->clear_after_ms;
}

/* The first of the subscription's readers that stands before what is still there, and by how much. */
static int64_t before_start(const struct scene *scene, uint32_t s, int64_t *by)
{
    const struct snap_subscription *sub = &scene->snapshot->subscriptions[s];
    for (uint32_t p = sub->first_position; p < sub->first_position + sub->positions; p++) {
        const struct snap_position *position = &scene->snapshot->positions[p];
        int64_t start = scene->snapshot->partitions[position->partition].start;
        if (start == UNKNOWN || position->committed >= start)
            continue;
        *by = start - position->committed;
        return p;
    }
    *by = 0;
    return NO_INDEX;
}

/* As long as a reader stands before what is still there, the loss lies ahead of it, whenever it happened. */
static void rule_data_lost(struct scene *scene)
{
    for (uint32_t i = 0; i < scene->group->subscriptions; i++) {
        uint32_t s = scene->group->first_subscription + i;
        const struct subscription_memory *memory = scene_subscription(scene, s);
        int64_t by = 0, p = scene->gist.before_start ? before_start(scene, s, &by) : NO_INDEX;
        if (p == NO_INDEX && !recent(scene, s, memory->lost_at))
            continue;
        if (memory->lost_at != UNKNOWN)
            p = position_on(scene, s, memory->lost_on);
        found(scene, CONDITION_DATA_LOST, (struct place){s, p},
              memory->lost_at != UNKNOWN ? memory->lost_at : scene->now,
              INPUTS(memory->lost_at, memory->lost, by, scene_rules(scene, s)->clear_after_ms));
    }
}

static void rule_skipped(struct scene *scene)
{
    for (uint32_t i = 0; i < scene->group->subscriptions; i++) {
        uint32_t s = scene->group->first_subscription + i;
        const struct subscription_memory *memory = scene_subscription(scene, s);
        if (recent(scene, s, memory->skipped_at))
            found(scene, CONDITION_SKIPPED, (struct place){s, position_on(scene, s, memory->skipped_on)},
                  memory->skipped_at,
                  INPUTS(memory->skipped_at, memory->skipped, scene_rules(scene, s)->clear_after_ms));
    }
}

static int64_t beyond_by(const struct scene *scene, uint32_t p)
{
    const struct snap_position *position = &scene->snapshot->positions[p];
    int64_t end = scene->snapshot->partitions[position->partition].end;
    return end == UNKNOWN ? UNKNOWN : position->committed - end;
}

static bool stands_beyond(const struct subscription_memory *memory)
{
    for (uint32_t i = 0; i < memory->position_count; i++)
        if (memory->positions[i].present && memory->positions[i].beyond)
            return true;
    return false;
}

static void rule_committed_beyond_end(struct scene *scene)
{
    for (struct walk walk = {0}; scene->gist.beyond && walk_next(scene, &walk);)
        if (walk.memory->beyond)
            found(scene, CONDITION_COMMITTED_BEYOND_END, (struct place){walk.s, walk.p},
                  walk.memory->beyond_since,
                  INPUTS(walk.memory->beyond_since, beyond_by(scene, walk.p),
                         scene_rules(scene, walk.s)->clear_after_ms));
    for (uint32_t i = 0; i < scene->group->subscriptions; i++) {
        uint32_t s = scene->group->first_subscription + i;
        const struct subscription_memory *memory = scene_subscription(scene, s);
        if (recent(scene, s, memory->beyond_at) && !stands_beyond(memory))
            found(scene, CONDITION_COMMITTED_BEYOND_END,
                  (struct place){s, position_on(scene, s, memory->beyond_on)}, memory->beyond_at,
                  INPUTS(memory->beyond_at, UNKNOWN, scene_rules(scene, s)->clear_after_ms));
    }
}

static void rule_compaction_risk(struct scene *scene)
{
    static const int64_t lasting_ms = 60 * 1000;
    struct place place = scene->gist.compacted;
    if (held(scene, CONDITION_COMPACTION_RISK, place.position != NO_INDEX,
             rules_pace(scene->rules, lasting_ms)))
        found(scene, CONDITION_COMPACTION_RISK, place, scene->memory->since[CONDITION_COMPACTION_RISK],
              INPUTS(scene->gist.compacted_lag_ms, scene->gist.compacted_after_ms));
}

static void rule_offsets_expiring(struct scene *scene)
{
    int64_t retention = scene->snapshot->offsets_retention_ms, empty_since = scene->group->empty_since;
    if (retention == UNKNOWN || empty_since == UNKNOWN || retention <= 0)
        return;
    int64_t expire = empty_since + retention;
    int64_t horizon = rules_horizon(scene->rules, (double)retention);
    scene->findings->groups[scene->g].offsets_expire = expire;
    if (expire - scene->now <= horizon)
        found(scene, CONDITION_OFFSETS_EXPIRING, nowhere, empty_since,
              INPUTS(empty_since, expire, expire - scene->now, horizon));
}

/* --- to be known --------------------------------------------------------------------------------------- */

static void rule_idle_members(struct scene *scene)
{
    static const int64_t lasting_ms = 2 * 60 * 1000;
    const struct snap_group *group = scene->group;
    int64_t partitions = 0, idle = group->idle_members;
    for (uint32_t i = 0; i < group->subscriptions; i++)
        partitions +=
            scene->snapshot->topics[scene->snapshot->subscriptions[group->first_subscription + i].topic]
                .partitions;
    if (idle == UNKNOWN && scene->memory->members != UNKNOWN && partitions > 0)
        idle = scene->memory->members - partitions;
    if (held(scene, CONDITION_IDLE_MEMBERS, idle > 0, rules_pace(scene->rules, lasting_ms)))
        found(scene, CONDITION_IDLE_MEMBERS, nowhere, scene->memory->since[CONDITION_IDLE_MEMBERS],
              INPUTS(idle, scene->memory->members, partitions));
}

static void rule_replaying(struct scene *scene)
{
    for (uint32_t i = 0; i < scene->group->subscriptions; i++) {
        uint32_t s = scene->group->first_subscription + i;
        const struct subscription_memory *memory = scene_subscription(scene, s);
        if (memory->replaying_since != UNKNOWN)
            found(scene, CONDITION_REPLAYING, on_topic(s), memory->replaying_since,
                  INPUTS(memory->replaying_since, memory->rewound));
    }
}

/* In the order of gravity, which is that of the findings. */
static void (*const rule_table[CONDITIONS])(struct scene *scene) = {
    [CONDITION_DATA_LOST] = rule_data_lost,
    [CONDITION_RETENTION_RISK] = rule_retention_risk,
    [CONDITION_STOPPED] = rule_stopped,
    [CONDITION_STUCK] = rule_stuck,
    [CONDITION_DEATH_SPIRAL] = rule_death_spiral,
    [CONDITION_COMMITTED_BEYOND_END] = rule_committed_beyond_end,
    [CONDITION_FALLING_BEHIND] = rule_falling_behind,
    [CONDITION_REBALANCE_STORM] = rule_rebalance_storm,
    [CONDITION_COMPACTION_RISK] = rule_compaction_risk,
    [CONDITION_SKIPPED] = rule_skipped,
    [CONDITION_OFFSETS_EXPIRING] = rule_offsets_expiring,
    [CONDITION_SKEWED] = rule_skewed,
    [CONDITION_IDLE_MEMBERS] = rule_idle_members,
    [CONDITION_REPLAYING] = rule_replaying,
};

void judge_conditions(struct scene *scene)
{
    for (int condition = 0; condition < CONDITIONS; condition++)
        rule_table[condition](scene);
}
