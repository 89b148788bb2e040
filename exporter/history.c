#include "exporter/history.h"

#include "exporter/base/mem.h"
#include "exporter/base/number.h"
#include "exporter/memory.h"

#include <stdlib.h>
#include <string.h>

/* A replay ends where the reader is as good as current. */
static const int64_t replayed_ms = 60 * 1000;

struct history *history_new(void)
{
    struct history *history = MEM_NEW(struct history);
    history->began = history->time = history->before = history->usual_gap = UNKNOWN;
    return history;
}

void topic_memory_free(struct topic_memory *topic)
{
    free(topic->name);
    free(topic->partitions);
}

void subscription_memory_free(struct subscription_memory *subscription)
{
    free(subscription->topic);
    free(subscription->positions);
    chart_release(&subscription->chart);
}

void group_memory_free(struct group_memory *group)
{
    for (uint32_t i = 0; i < group->subscription_count; i++)
        subscription_memory_free(&group->subscriptions[i]);
    events_free(&group->events);
    free(group->subscriptions);
    free(group->name);
}

void history_free(struct history **history)
{
    struct history *h = *history;
    if (h == NULL)
        return;
    for (uint32_t i = 0; i < h->topic_count; i++)
        topic_memory_free(&h->topics[i]);
    for (uint32_t i = 0; i < h->group_count; i++)
        group_memory_free(&h->groups[i]);
    free(h->topics);
    free(h->groups);
    free(h->topic_at);
    free(h->group_at);
    free(h->subscription_at);
    free(h);
    *history = NULL;
}

bool history_gap(const struct history *history, int64_t elapsed)
{
    static const int64_t least_ms = 20 * 1000;
    return elapsed > least_ms && (history->usual_gap == UNKNOWN || elapsed > history->usual_gap * 5 / 2);
}

bool history_away(const struct history *history, int64_t elapsed)
{
    return elapsed > AWAY_MS && history_gap(history, elapsed);
}

static char *copy_name(struct str name)
{
    char *copy = MEM_ARRAY(name.length + 1, char);
    if (name.length > 0)
        memcpy(copy, name.bytes, name.length);
    return copy;
}

/* Opens a gap for a new element at `at`: the rest moves up. The array has room. */
static void open_gap(void *array, uint32_t at, uint32_t *count, size_t size)
{
    char *place = (char *)array + at * size;
    memmove(place + size, place, (*count - at) * size);
    memset(place, 0, size);
    ++*count;
}

static void count_anomaly(struct history *history, enum anomaly kind, int64_t count)
{
    history->anomalies[kind] = number_add(history->anomalies[kind], count);
}

/* --- topics -------------------------------------------------------------------------------------------- */

static struct str name_of_topic(const struct topic_memory *topic)
{
    return (struct str){topic->name, topic->name_length};
}

static struct topic_memory *insert_topic(struct history *history, uint32_t at, const struct snap_topic *seen)
{
    history->topics = mem_grow(history->topics, &history->topic_capacity, history->topic_count + 1u,
                               sizeof *history->topics);
    open_gap(history->topics, at, &history->topic_count, sizeof *history->topics);
    struct topic_memory *topic = &history->topics[at];
    topic->name = copy_name(seen->name);
    topic->name_length = seen->name.length;
    topic->grown = UNKNOWN;
    topic->config = seen->config;
    return topic;
}

static void fit_partitions(struct topic_memory *topic, uint32_t count)
{
    if (count <= topic->partition_count)
        return;
    struct partition_memory *partitions = MEM_ARRAY(count, struct partition_memory);
    if (topic->partition_count > 0)
        memcpy(partitions, topic->partitions, topic->partition_count * sizeof *partitions);
    for (uint32_t i = topic->partition_count; i < count; i++)
        partitions[i].start = partitions[i].end = UNKNOWN;
    free(topic->partitions);
    topic->partitions = partitions;
    topic->partition_count = count;
}

static bool other_id(const uint8_t *known, const uint8_t *seen)
{
    static const uint8_t none[16];
    return memcmp(known, none, 16) != 0 && memcmp(seen, none, 16) != 0 && memcmp(known, seen, 16) != 0;
}

static bool is_told(const struct topic_config *config)
{
    return config->retention_ms != UNKNOWN || config->retention_bytes != UNKNOWN ||
           config->min_compaction_lag_ms != UNKNOWN || config->cleanup_policy != CLEANUP_UNKNOWN;
}

static void observe_topic(struct history *history, struct topic_memory *topic,
                          const struct snapshot *snapshot, const struct snap_topic *seen)
{
    bool made_again = other_id(topic->id, seen->id);
    fit_partitions(topic, seen->partitions);
    for (uint32_t i = 0; made_again && i < topic->partition_count; i++)
        partition_begin_again(&topic->partitions[i]);
    if (made_again || is_told(&seen->config))
        topic->config = seen->config;
    memcpy(topic->id, seen->id, sizeof topic->id);
    for (uint32_t i = 0; i < seen->partitions; i++) {
        const struct snap_partition *partition = &snapshot->partitions[seen->first_partition + i];
        if (partition->end != UNKNOWN && topic->partitions[i].end != UNKNOWN &&
            partition->end < topic->partitions[i].end)
            count_anomaly(history, ANOMALY_END_WENT_BACK, 1);
        if (partition->end != UNKNOWN && topic->partitions[i].end != UNKNOWN &&
            partition->end > topic->partitions[i].end)
            topic->grown = history->time;
        partition_observe(&topic->partitions[i], partition, history->time);
    }
    topic->seen = history->time;
}

static void observe_topics(struct history *history, const struct snapshot *snapshot)
{
    uint32_t at = 0;
    free(history->topic_at);
    history->topic_at = MEM_ARRAY(snapshot->topic_count, uint32_t);
    for (uint32_t i = 0; i < snapshot->topic_count; i++, at++) {
        const struct snap_topic *seen = &snapshot->topics[i];
        int order = -1;
        while (at < history->topic_count &&
               (order = str_compare(name_of_topic(&history->topics[at]), seen->name)) < 0)
            at++;
        struct topic_memory *topic =
            at < history->topic_count && order == 0 ? &history->topics[at] : insert_topic(history, at, seen);
        history->topic_at[i] = at;
        observe_topic(history, topic, snapshot, seen);
    }
}

/* --- groups -------------------------------------------------------------------------------------------- */

static struct str name_of_group(const struct group_memory *group)
{
    return (struct str){group->name, group->name_length};
}

static struct group_memory *insert_group(struct history *history, uint32_t at, const struct snap_group *seen)
{
    history->groups = mem_grow(history->groups, &history->group_capacity, history->group_count + 1u,
                               sizeof *history->groups);
    open_gap(history->groups, at, &history->group_count, sizeof *history->groups);
    struct group_memory *group = &history->groups[at];
    group->name = copy_name(seen->name);
    group->name_length = seen->name.length;
    group->seen = group->told = history->time;
    group->generation = group->members = group->empty_since = group->judged = group->may_take = UNKNOWN;
    group->alive_since = history->time;
    for (unsigned c = 0; c < CONDITIONS; c++)
        group->since[c] = UNKNOWN;
    return group;
}

static struct subscription_memory *insert_subscription(struct group_memory *group, uint32_t at,
                                                       struct str topic)
{
    struct subscription_memory *all = MEM_ARRAY(group->subscription_count + 1u, struct subscription_memory);
    if (group->subscription_count > 0)
        memcpy(all, group->subscriptions, group->subscription_count * sizeof *all);
    free(group->subscriptions);
    group->subscriptions = all;
    open_gap(all, at, &group->subscription_count, sizeof *all);
    events_make_room(&group->events, at);
    all[at] = (struct subscription_memory){
        .topic = copy_name(topic),
        .topic_length = topic.length,
        .seen = UNKNOWN,
        .last_progress = UNKNOWN,
        .lost_at = UNKNOWN,
        .skipped_at = UNKNOWN,
        .beyond_at = UNKNOWN,
        .replaying_since = UNKNOWN,
    };
    return &all[at];
}

static struct position_memory *insert_position(struct subscription_memory *subscription, uint32_t at)
{
    struct position_memory *all = MEM_ARRAY(subscription->position_count + 1u, struct position_memory);
    if (subscription->position_count > 0)
        memcpy(all, subscription->positions, subscription->position_count * sizeof *all);
    free(subscription->positions);
    subscription->positions = all;
    open_gap(all, at, &subscription->position_count, sizeof *all);
    return &all[at];
}

/* All positions of a subscription that is new, at once. */
static void fit_positions(struct subscription_memory *memory, const struct snapshot *snapshot,
                          const struct snap_subscription *seen)
{
    if (memory->position_count > 0)
        return;
    memory->positions = MEM_ARRAY(seen->positions, struct position_memory);
    memory->position_count = seen->positions;
    for (uint32_t i = 0; i < seen->positions; i++) {
        uint32_t partition = snapshot->positions[seen->first_position + i].partition;
        memory->positions[i].number = snapshot->partitions[partition].number;
        memory->positions[i].life = UINT32_MAX; /* of no partition: begin when it is observed */
    }
}

static void add_event(const struct history *history, const struct surroundings *around, enum event_kind kind,
                      int64_t from, int64_t to, int64_t count)
{
    bool whole_topic = kind == EVENT_MADE_AGAIN;
    events_add(around->events, (struct event){
                                   .time = history->time,
                                   .kind = (uint16_t)kind,
                                   .condition = -1,
                                   .subscription = around->subscription,
                                   .partition = whole_topic ? NO_INDEX : around->seen->number,
                                   .from = from,
                                   .to = to,
                                   .count = count,
                               });
}

static void add_lost(struct history *history, struct subscription_memory *memory,
                     const struct surroundings *around, const struct movement *movement)
{
    memory->lost = number_add(memory->lost, movement->lost);
    memory->lost_at = history->time;
    memory->lost_on = around->seen->number;
    add_event(history, around, EVENT_LOST, movement->lost_from, around->seen->start, movement->lost);
}

static void add_movement(struct history *history, struct subscription_memory *memory,
                         const struct surroundings *around, const struct movement *movement,
                         const struct position_memory *position)
{
    int64_t now = history->time;
    if (movement->read > 0 && movement->skipped == 0)
        memory->last_progress = now;
    if (movement->lost > 0)
        add_lost(history, memory, around, movement);
    if (movement->skipped > 0) {
        memory->skipped = number_add(memory->skipped, movement->skipped);
        memory->skipped_at = now;
        memory->skipped_on = around->seen->number;
        add_event(history, around, EVENT_SKIPPED, movement->from, position->committed, movement->skipped);
    }
    if (movement->rewound > 0) {
        memory->rewound = number_add(memory->rewound, movement->rewound);
        if (memory->replaying_since == UNKNOWN)
            memory->replaying_since = now;
        add_event(history, around, EVENT_REWOUND, movement->from, position->committed, movement->rewound);
    }
    if (movement->beyond) {
        memory->beyond_at = position->beyond_since;
        memory->beyond_on = around->seen->number;
        count_anomaly(history, ANOMALY_COMMITTED_BEYOND_END, 1);
        add_event(history, around, EVENT_BEYOND_END, around->seen->end, position->committed,
                  position->committed - around->seen->end);
    }
}

/* A position that is seen for the first time, or for the first time since its partition was made again. */
static void begin_position(struct history *history, struct subscription_memory *memory,
                           struct position_memory *position, const struct surroundings *around,
                           const struct snap_position *seen)
{
    struct movement movement = {0};
    if (position->life != UINT32_MAX) {
        position_begin_again(position, around, seen);
        add_event(history, around, EVENT_MADE_AGAIN, UNKNOWN, UNKNOWN, UNKNOWN);
    } else {
        position_begin(position, around, seen);
        if (around->seen->start != UNKNOWN && seen->committed < around->seen->start) {
            movement.lost_from = seen->committed;
            movement.lost = around->seen->start - seen->committed;
        }
    }
    add_movement(history, memory, around, &movement, position);
}

static void observe_position(struct history *history, struct subscription_memory *memory, uint32_t at,
                             const struct surroundings *around, const struct snap_position *seen, bool away)
{
    struct position_memory *position = &memory->positions[at];
    if (position->life != around->partition->life) {
        begin_position(history, memory, position, around, seen);
        return;
    }
    struct movement movement;
    if (away) {
        movement = position_resume(position, around, seen);
    } else {
        position->present = true;
        movement = position_observe(position, around, seen);
    }
    add_movement(history, memory, around, &movement, position);
}

/* How far behind the worst of its positions is, and whether a replay has come to its end. */
static void note_lag(const struct history *history, struct subscription_memory *memory)
{
    int64_t worst = UNKNOWN, steady = UNKNOWN;
    for (uint32_t i = 0; i < memory->position_count; i++) {
        const struct position_memory *position = &memory->positions[i];
        if (!position->present)
            continue;
        int64_t lag = position->steady_ms;
        worst = position->lag_ms > worst ? position->lag_ms : worst;
        steady = lag > steady ? lag : steady;
    }
    trend_add(memory, history->time, steady);
    if (worst != UNKNOWN && worst < replayed_ms)
        memory->replaying_since = UNKNOWN;
}

/* Adds a position to the sums that are charted. */
static void sum_up(struct chart_sample *sums, const struct snap_partition *partition,
                   const struct snap_position *position, const struct position_memory *memory)
{
    int64_t lag = position_lag(partition, position);
    if (lag == UNKNOWN)
        return;
    sums->positions++;
    sums->committed = number_add(sums->committed, position->committed);
    sums->end = number_add(sums->end, partition->end);
    sums->lag = number_add(sums->lag, lag);
    if (memory->lag_ms > sums->lag_ms)
        sums->lag_ms = memory->lag_ms;
}

static void observe_subscription(struct history *history, struct group_memory *group, uint32_t index,
                                 const struct snapshot *snapshot, const struct snap_subscription *seen,
                                 bool resettable)
{
    struct subscription_memory *memory = &group->subscriptions[index];
    struct chart_sample sums = {.time = history->time, .lag_ms = UNKNOWN};
    const struct topic_memory *topic = &history->topics[history->topic_at[seen->topic]];
    uint32_t first_partition = snapshot->topics[seen->topic].first_partition, at = 0;
    int64_t elapsed = memory->seen == UNKNOWN ? 0 : history->time - memory->seen;
    bool away = history_away(history, elapsed);
    memory->seen = history->time;
    fit_positions(memory, snapshot, seen);
    for (uint32_t i = 0; i < seen->positions; i++, at++) {
        const struct snap_position *position = &snapshot->positions[seen->first_position + i];
        struct surroundings around = {
            .history = history,
            .partition = &topic->partitions[position->partition - first_partition],
            .seen = &snapshot->partitions[position->partition],
            .elapsed = elapsed,
            .resettable = resettable && !history_gap(history, elapsed),
            .may_take_ms = group->may_take,
            .events = &group->events,
            .subscription = index,
        };
        while (at < memory->position_count && memory->positions[at].number < around.seen->number)
            memory->positions[at++].present = false;
        if (at == memory->position_count || memory->positions[at].number != around.seen->number)
            insert_position(memory, at)->life = UINT32_MAX;
        observe_position(history, memory, at, &around, position, away);
        sum_up(&sums, around.seen, position, &memory->positions[at]);
    }
    while (at < memory->position_count)
        memory->positions[at++].present = false;
    note_lag(history, memory);
    memory->chart = chart_add(memory->chart, &sums);
}

/* Returns whether the group has read something. */
static bool observe_subscriptions(struct history *history, struct group_memory *group,
                                  const struct snapshot *snapshot, const struct snap_group *seen,
                                  bool resettable)
{
    uint32_t at = 0;
    bool progressed = false;
    for (uint32_t i = 0; i < seen->subscriptions; i++, at++) {
        const struct snap_subscription *subscription = &snapshot->subscriptions[seen->first_subscription + i];
        struct str topic = snapshot->topics[subscription->topic].name;
        int order = -1;
        while (at < group->subscription_count &&
               (order = str_compare(
                    (struct str){group->subscriptions[at].topic, group->subscriptions[at].topic_length},
                    topic)) < 0)
            at++;
        if (at == group->subscription_count || order != 0)
            insert_subscription(group, at, topic);
        history->subscription_at[seen->first_subscription + i] = at;
        observe_subscription(history, group, at, snapshot, subscription, resettable);
        progressed |= group->subscriptions[at].last_progress == history->time;
    }
    return progressed;
}

static void observe_groups(struct history *history, const struct snapshot *snapshot)
{
    uint32_t at = 0;
    free(history->group_at);
    free(history->subscription_at);
    history->group_at = MEM_ARRAY(snapshot->group_count, uint32_t);
    history->subscription_at = MEM_ARRAY(snapshot->subscription_count, uint32_t);
    for (uint32_t i = 0; i < snapshot->group_count; i++, at++) {
        const struct snap_group *seen = &snapshot->groups[i];
        int order = -1;
        while (at < history->group_count &&
               (order = str_compare(name_of_group(&history->groups[at]), seen->name)) < 0)
            at++;
        struct group_memory *group =
            at < history->group_count && order == 0 ? &history->groups[at] : insert_group(history, at, seen);
        history->group_at[i] = at;
        /* Offsets are set while nobody is there. Who is there may have come after it, and who came and went
         * between two polls has changed the generation. */
        bool empty_before =
            group->empty_since != UNKNOWN && (seen->generation == UNKNOWN || group->generation == UNKNOWN ||
                                              seen->generation == group->generation);
        if (history_away(history, history->time - group->seen))
            group->alive_since = history->time;
        group_observe(group, seen, history);
        bool empty = empty_before && group->empty_since != UNKNOWN &&
                     !history_gap(history, history->time - group->seen);
        bool progressed = observe_subscriptions(history, group, snapshot, seen,
                                                empty && group->had_members && !group->works_empty);
        group->works_empty |= empty && progressed;
        group->seen = history->time;
        if (!seen->commits_unknown)
            group->told = history->time;
    }
}

/* What stays the same from poll to poll is one occurrence, so only more of it counts. */
static void count_rise(struct history *history, enum anomaly kind, int64_t *before, int64_t now)
{
    if (now > *before)
        count_anomaly(history, kind, now - *before);
    *before = now;
}

/* The shortest gap lately, so that an outage doesn't become usual soon. */
static void note_gap(struct history *history)
{
    int64_t gap = history->time - history->before;
    if (gap <= 0)
        return;
    if (history->usual_gap == UNKNOWN || gap < history->usual_gap)
        history->usual_gap = gap;
    else
        history->usual_gap += (gap - history->usual_gap) / 16;
}

static bool has_dates(const struct snapshot *snapshot)
{
    for (uint32_t i = 0; i < snapshot->position_count; i++)
        if (snapshot->positions[i].next_ts != UNKNOWN)
            return true;
    return false;
}

/* How long it was since the last snapshot can't be told then: as long as usual. But where two have recorded
 * to one file, lines may be out of order by a moment, which is not to make time pass twice. */
static void follow_clock(struct history *history, int64_t now)
{
    if (history->time == UNKNOWN || now >= history->time)
        return;
    int64_t since = history->time - now;
    if (since > history->usual_gap) /* or that is UNKNOWN */
        since = history->usual_gap != UNKNOWN ? history->usual_gap : 0;
    history_move_back(history, now > since ? now - since : 0);
}

void history_observe(struct history *history, const struct snapshot *snapshot)
{
    history_forget(history);
    follow_clock(history, snapshot->time);
    if (history->began == UNKNOWN)
        history->began = snapshot->time;
    history->before = history->time == UNKNOWN ? snapshot->time : history->time;
    history->time = snapshot->time;
    note_gap(history);
    history->tells_no_record = snapshot->tells_no_record;
    history->dates = !snapshot->tells_no_record && (history->dates || has_dates(snapshot));
    observe_topics(history, snapshot);
    observe_groups(history, snapshot);
    count_rise(history, ANOMALY_ORPHAN_COMMIT, &history->orphans, snapshot->orphan_count);
    count_rise(history, ANOMALY_DUPLICATE_NAME, &history->duplicates, snapshot->duplicate_names);
    count_anomaly(history, ANOMALY_UNKNOWN_RECORD, snapshot->unknown_records);
    count_anomaly(history, ANOMALY_OFFSET_REPAIRED, snapshot->offsets_repaired);
}
