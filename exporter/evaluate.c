#include "exporter/evaluate.h"

#include "exporter/judgement.h"

/* --- numbers ------------------------------------------------------------------------------------------- */

static int64_t stable_lag(const struct snap_partition *partition, int64_t committed)
{
    if (partition->last_stable == UNKNOWN || partition->start == UNKNOWN)
        return UNKNOWN;
    int64_t from = committed > partition->start ? committed : partition->start;
    return partition->last_stable > from ? partition->last_stable - from : 0;
}

static void measure_position(struct scene *scene, uint32_t p, const struct position_memory *memory,
                             struct subscription_findings *sub)
{
    const struct snap_position *seen = &scene->snapshot->positions[p];
    const struct snap_partition *partition = &scene->snapshot->partitions[seen->partition];
    struct position_findings *position = &scene->findings->positions[p];
    position->lag = position_lag(partition, seen);
    position->lag_ms = memory->lag_ms;
    keep_smaller(&scene->gist.unread_since, memory->unread_since);
    scene->gist.beyond |= memory->beyond;
    scene->gist.before_start |= seen->committed < partition->start;
    add_known(&sub->committed_sum, seen->committed);
    add_known(&sub->lag_sum, position->lag);
    keep_larger(&sub->lag_max, position->lag);
    keep_larger(&sub->lag_ms_max, position->lag_ms);
    if (position->lag != UNKNOWN)
        add_known(&sub->stable_lag, stable_lag(partition, seen->committed));
}

static void measure_subscription(struct scene *scene, uint32_t s)
{
    const struct snap_subscription *seen = &scene->snapshot->subscriptions[s];
    struct subscription_memory *memory = scene_subscription(scene, s);
    struct subscription_findings *sub = &scene->findings->subscriptions[s];
    uint32_t at = 0;
    for (uint32_t i = 0; i < seen->positions; i++, at++) {
        at = scene_skip_absent(memory, at);
        measure_position(scene, seen->first_position + i, &memory->positions[at], sub);
    }
    if (!scene->group->commits_unknown)
        sub->uncommitted =
            (int64_t)scene->snapshot->topics[seen->topic].partitions - (int64_t)seen->positions;
    sub->last_progress = memory->last_progress;
    sub->lost_total = memory->lost;
    sub->skipped_total = memory->skipped;
    sub->rewound_total = memory->rewound;
    sub->chart = chart_hold(memory->chart);
    forecast_subscription(scene, s);
}

/* Time counts as good while the group's time lag is known and within the objective. Nobody knows what
 * happened while the source was away. */
static void measure_objective(const struct scene *scene)
{
    struct group_memory *memory = scene->memory;
    struct group_findings *group = &scene->findings->groups[scene->g];
    int64_t worst = UNKNOWN;
    for (uint32_t i = 0; i < scene->group->subscriptions; i++)
        keep_larger(&worst, scene->findings->subscriptions[scene->group->first_subscription + i].lag_ms_max);
    int64_t passed = memory->judged == UNKNOWN ? 0 : scene->history->time - memory->judged;
    if (worst != UNKNOWN && passed > 0 && passed <= AWAY_MS) {
        memory->slo_ms += passed;
        memory->slo_good_ms += worst <= scene->rules->objective_ms ? passed : 0;
    }
    memory->judged = worst != UNKNOWN ? scene->history->time : UNKNOWN;
    group->objective_ms = scene->rules->objective_ms;
    group->slo_ms = memory->slo_ms;
    group->slo_good_ms = memory->slo_good_ms;
}

/* --- a group ------------------------------------------------------------------------------------------- */

static bool nothing_to_do(const struct scene *scene)
{
    static const int64_t quiet_ms = 10 * 60 * 1000;
    for (uint32_t i = 0; i < scene->group->subscriptions; i++) {
        uint32_t s = scene->group->first_subscription + i;
        uint32_t topic = scene->history->topic_at[scene->snapshot->subscriptions[s].topic];
        int64_t grown = scene->history->topics[topic].grown;
        if (scene->gist.unread_since != UNKNOWN || (grown != UNKNOWN && scene->now - grown < quiet_ms))
            return false;
    }
    return true;
}

static struct event begin_or_end(const struct scene *scene, enum condition condition, bool began)
{
    const struct group_findings *group = &scene->findings->groups[scene->g];
    struct event event = {
        .time = scene->now,
        .kind = began ? EVENT_CONDITION_BEGAN : EVENT_CONDITION_ENDED,
        .condition = (int16_t)condition,
        .subscription = NO_INDEX,
        .partition = NO_INDEX,
        .from = UNKNOWN,
        .to = UNKNOWN,
        .count = UNKNOWN,
    };
    for (uint32_t i = 0; i < scene->group->subscriptions; i++)
        add_known(&event.count, scene->findings->subscriptions[scene->group->first_subscription + i].lag_sum);
    for (uint32_t i = group->wheres; i > 0; i--) {
        const struct finding *finding = &scene->findings->wheres[group->first_where + i - 1];
        if (finding->condition != condition)
            continue;
        if (finding->subscription != NO_INDEX)
            event.subscription = scene->history->subscription_at[finding->subscription];
        if (finding->position != NO_INDEX)
            event.partition =
                scene->snapshot->partitions[scene->snapshot->positions[finding->position].partition].number;
    }
    return event;
}

/* Conditions that have begun or ended since the group was judged before. */
static void note_changes(struct scene *scene)
{
    uint32_t now = scene->findings->groups[scene->g].conditions, before = scene->memory->conditions;
    scene->memory->conditions = now;
    for (unsigned c = 0; c < CONDITIONS && now != before; c++)
        if ((now ^ before) & 1u << c)
            events_add(&scene->memory->events, begin_or_end(scene, (enum condition)c, now & 1u << c));
}

static struct event_list *publish_events(struct group_memory *memory)
{
    struct str topics[EVENTS];
    for (uint32_t i = 0; i < memory->events.count; i++) {
        int64_t s = memory->events.events[i].subscription;
        topics[i] = s == NO_INDEX
                        ? (struct str){NULL, 0}
                        : (struct str){memory->subscriptions[s].topic, memory->subscriptions[s].topic_length};
    }
    return events_publish(&memory->events, topics);
}

/* Finds the rules of the group and of its subscriptions, where there are others than those for all. */
static void find_rules(struct scene *scene)
{
    const struct overrides *overrides = scene->overrides;
    struct rules_memory *ruled = &scene->memory->ruled;
    scene->rules = scene->everywhere;
    if (overrides->count == 0)
        return;
    if (ruled->edition != overrides->edition)
        ruled->rules =
            overrides_apply(overrides, scene->everywhere, &scene->cluster, &scene->group->name, NULL);
    ruled->edition = overrides->edition;
    scene->rules = &ruled->rules;
    for (uint32_t i = 0; i < scene->group->subscriptions; i++) {
        uint32_t s = scene->group->first_subscription + i;
        const struct str *topic = &scene->snapshot->topics[scene->snapshot->subscriptions[s].topic].name;
        ruled = &scene_subscription(scene, s)->ruled;
        if (ruled->edition != overrides->edition)
            ruled->rules =
                overrides_apply(overrides, scene->everywhere, &scene->cluster, &scene->group->name, topic);
        ruled->edition = overrides->edition;
    }
}

static void judge_group(struct scene *scene, uint32_t g)
{
    struct group_findings *group = &scene->findings->groups[g];
    scene->g = g;
    scene->group = &scene->snapshot->groups[g];
    scene->memory = &scene->history->groups[scene->history->group_at[g]];
    find_rules(scene);
    scene->gist = (struct gist){
        .unread_since = UNKNOWN,
        .overtake_ms = INT64_MAX,
        .overtaken = {NO_INDEX, NO_INDEX},
        .compacted = {NO_INDEX, NO_INDEX},
        .undated = {NO_INDEX, NO_INDEX},
    };
    for (uint32_t i = 0; i < scene->group->subscriptions; i++)
        measure_subscription(scene, scene->group->first_subscription + i);
    measure_objective(scene);
    group->rebalances_total = scene->memory->rebalances_total;
    group->rebalancing_ms_total = scene->memory->rebalancing_ms;
    group->first_where = scene->findings->where_count;
    group->unknown = scene->group->commits_unknown;
    if (!group->unknown) {
        judge_conditions(scene);
        group->wheres = scene->findings->where_count - group->first_where;
        group->idle = group->conditions == 0 && nothing_to_do(scene);
        note_changes(scene);
    }
    group->events = publish_events(scene->memory);
}

/* How much longer a group may have to be down than the topic keeps its messages. */
static void judge_topic(const struct scene *scene, uint32_t t)
{
    const struct snap_topic *topic = &scene->snapshot->topics[t];
    int64_t *shortfall = &scene->findings->topics[t].shortfall_ms, retention = topic->config.retention_ms;
    if (topic->config.cleanup_policy == CLEANUP_COMPACT || (retention != UNKNOWN && retention < 0))
        *shortfall = 0;
    if (*shortfall == 0 || retention == UNKNOWN)
        return;
    int64_t window = scene->everywhere->recovery_window_ms;
    if (scene->overrides->count > 0)
        window = overrides_apply(scene->overrides, scene->everywhere, &scene->cluster, NULL, &topic->name)
                     .recovery_window_ms;
    *shortfall = window > retention ? window - retention : 0;
}

struct findings *evaluate_with(struct history *history, const struct snapshot *snapshot, int64_t now,
                               const struct rules *rules, const struct overrides *overrides,
                               struct str cluster)
{
    struct scene scene = {
        .everywhere = rules,
        .overrides = overrides,
        .cluster = cluster,
        .history = history,
        .snapshot = snapshot,
        .now = now,
        .findings = findings_new(snapshot),
    };
    for (uint32_t t = 0; t < snapshot->topic_count; t++)
        judge_topic(&scene, t);
    for (uint32_t g = 0; g < snapshot->group_count; g++)
        judge_group(&scene, g);
    for (int kind = 0; kind < ANOMALIES; kind++)
        scene.findings->anomalies[kind] = history->anomalies[kind];
    return scene.findings;
}

struct findings *evaluate(struct history *history, const struct snapshot *snapshot, int64_t now,
                          const struct rules *rules)
{
    static const struct overrides none;
    return evaluate_with(history, snapshot, now, rules, &none, STR_LITERAL(""));
}
