#include "exporter/memory.h"

#include <math.h>
#include <string.h>

/*
 * Whether a history that was read could have come about: so that no number in it, whoever wrote it, makes
 * arithmetic overflow, nor a walk through names and numbers lose its way.
 */

/* In milliseconds, with room for sums: later than any snapshot may be. */
static const int64_t latest_ms = INT64_C(200000000000000000);

/* --- of what kind a number is -------------------------------------------------------------------------- */

typedef bool of_a_kind(int64_t number);

static bool is_moment(int64_t ms)
{
    return ms >= 0 && ms <= latest_ms;
}

/* A point of time, or a duration, that may be unknown. */
static bool is_time(int64_t ms)
{
    return ms == UNKNOWN || is_moment(ms);
}

static bool is_total(int64_t count)
{
    return count >= 0;
}

static bool is_count(int64_t count)
{
    return count == UNKNOWN || count >= 0;
}

/* What brokers number with 32 bits. */
static bool is_generation(int64_t number)
{
    return number == UNKNOWN || number >= INT32_MIN;
}

static bool all(of_a_kind *are, const int64_t *numbers, size_t count)
{
    for (size_t i = 0; i < count; i++)
        if (!are(numbers[i]))
            return false;
    return true;
}

#define ALL(are, ...)                                                                                        \
    all(are, (const int64_t[]){__VA_ARGS__}, sizeof((const int64_t[]){__VA_ARGS__}) / sizeof(int64_t))

/* A bool that holds something else must not even be looked at. */
static bool is_flag(const bool *flag)
{
    unsigned char byte;
    memcpy(&byte, flag, sizeof byte);
    return byte <= 1;
}

static bool in_order(const char *name, size_t length, const char *next, size_t next_length)
{
    return str_compare((struct str){name, length}, (struct str){next, next_length}) < 0;
}

/* --- what it consists of ------------------------------------------------------------------------------- */

static bool partition_sound(const struct partition_memory *memory)
{
    if (!ALL(is_count, memory->start, memory->end) || !is_flag(&memory->start_moved) ||
        !isfinite(memory->rate) || memory->rate < 0 || memory->samples > END_SAMPLES)
        return false;
    for (uint32_t i = 0; i < memory->samples; i++)
        if (!is_moment(memory->ends[i].time) || memory->ends[i].value < 0 ||
            (i > 0 && memory->ends[i].value < memory->ends[i - 1].value))
            return false;
    return memory->samples == 0 || memory->ends[memory->samples - 1].value == memory->end;
}

static bool topic_sound(const struct topic_memory *topic)
{
    bool sound = ALL(is_time, topic->seen, topic->grown);
    for (uint32_t i = 0; i < topic->partition_count && sound; i++)
        sound = partition_sound(&topic->partitions[i]);
    return sound;
}

static bool position_sound(const struct position_memory *memory)
{
    const struct mark *marks = memory->marks;
    return ALL(is_total, memory->committed, memory->number, marks[0].committed, marks[1].committed) &&
           is_count(memory->start_seen) && ALL(is_moment, memory->low_turned, marks[0].time, marks[1].time) &&
           ALL(is_time, memory->lag_ms, memory->steady_ms, memory->unread_since, memory->beyond_since,
               marks[0].lag_ms, marks[1].lag_ms) &&
           is_flag(&memory->present) && is_flag(&memory->rests_before_end) && is_flag(&memory->dated_here) &&
           is_flag(&memory->beyond);
}

static bool chart_sound(const struct chart *chart)
{
    struct chart_past past;
    chart_read(chart, &past);
    for (uint32_t i = 0; i < past.count; i++) {
        const struct chart_sample *sample = &past.samples[i];
        if (!is_moment(sample->time) || !is_time(sample->lag_ms) ||
            !ALL(is_total, sample->committed, sample->end, sample->lag))
            return false;
    }
    return true;
}

static bool subscription_sound(const struct subscription_memory *memory)
{
    bool sound = ALL(is_time, memory->seen, memory->last_progress, memory->lost_at, memory->skipped_at,
                     memory->beyond_at, memory->replaying_since) &&
                 ALL(is_total, memory->lost, memory->skipped, memory->rewound) &&
                 memory->trends <= TREND_SAMPLES && chart_sound(memory->chart);
    for (uint32_t i = 0; sound && i < memory->trends; i++)
        sound = is_moment(memory->trend[i].time) && is_time(memory->trend[i].value);
    for (uint32_t i = 0; sound && i < memory->position_count; i++)
        sound = position_sound(&memory->positions[i]) &&
                (i == 0 || memory->positions[i - 1].number < memory->positions[i].number);
    return sound;
}

static bool event_sound(const struct event *event, uint32_t subscriptions)
{
    return ALL(is_moment, event->time, event->until) && ALL(is_generation, event->from, event->to) &&
           is_count(event->count) && event->kind < EVENT_KINDS && event->condition >= -1 &&
           event->condition < CONDITIONS && event->subscription >= NO_INDEX &&
           event->subscription < (int64_t)subscriptions;
}

static bool group_sound(const struct group_memory *group)
{
    bool sound = ALL(is_moment, group->seen, group->told, group->alive_since, group->rebalancing_ms,
                     group->slo_ms, group->slo_good_ms) &&
                 ALL(is_time, group->empty_since, group->judged, group->may_take) &&
                 all(is_time, group->since, CONDITIONS) && is_generation(group->generation) &&
                 is_count(group->members) && is_total(group->rebalances_total) &&
                 group->rebalance_count <= REBALANCES && group->conditions < 1u << CONDITIONS &&
                 is_flag(&group->rebalancing) && is_flag(&group->counted_ahead) &&
                 is_flag(&group->had_members) && is_flag(&group->works_empty);
    for (uint32_t i = 0; sound && i < group->rebalance_count; i++)
        sound = is_moment(group->rebalances[i].time) && is_total(group->rebalances[i].count);
    for (uint32_t i = 0; sound && i < group->events.count; i++)
        sound = event_sound(&group->events.events[i], group->subscription_count);
    const struct subscription_memory *all_of_it = group->subscriptions;
    for (uint32_t i = 0; sound && i < group->subscription_count; i++)
        sound = subscription_sound(&all_of_it[i]) &&
                (i == 0 || in_order(all_of_it[i - 1].topic, all_of_it[i - 1].topic_length, all_of_it[i].topic,
                                    all_of_it[i].topic_length));
    return sound;
}

bool history_sound(const struct history *history)
{
    bool begun = history->time != UNKNOWN;
    bool sound = (begun ? ALL(is_moment, history->began, history->time, history->before)
                        : history->topic_count == 0 && history->group_count == 0) &&
                 is_time(history->usual_gap) && is_flag(&history->tells_no_record) &&
                 is_flag(&history->dates) && all(is_total, history->anomalies, ANOMALIES) &&
                 ALL(is_total, history->orphans, history->duplicates);
    for (uint32_t i = 0; sound && i < history->topic_count; i++) {
        const struct topic_memory *topic = &history->topics[i];
        sound = topic_sound(topic) &&
                (i == 0 || in_order(topic[-1].name, topic[-1].name_length, topic->name, topic->name_length));
    }
    for (uint32_t i = 0; sound && i < history->group_count; i++) {
        const struct group_memory *group = &history->groups[i];
        sound = group_sound(group) &&
                (i == 0 || in_order(group[-1].name, group[-1].name_length, group->name, group->name_length));
    }
    return sound;
}
