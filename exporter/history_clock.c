#include "exporter/memory.h"

/*
 * The clock was set back. Had what is remembered stayed where it was, nothing would have lasted for any time
 * until the clock has caught up, and so nothing would be the matter. So it moves along: what lasted goes on
 * to last. Events stay, for they were told.
 */

static void move(int64_t *time, int64_t by)
{
    if (*time != UNKNOWN)
        *time = *time + by > 0 ? *time + by : 0;
}

static void move_topic(struct topic_memory *topic, int64_t by)
{
    move(&topic->seen, by);
    move(&topic->grown, by);
    for (uint32_t i = 0; i < topic->partition_count; i++)
        for (uint32_t j = 0; j < topic->partitions[i].samples; j++)
            move(&topic->partitions[i].ends[j].time, by);
}

static void move_position(struct position_memory *position, int64_t by)
{
    move(&position->unread_since, by);
    move(&position->beyond_since, by);
    move(&position->marks[0].time, by);
    move(&position->marks[1].time, by);
    move(&position->low_turned, by);
}

static struct chart *moved_chart(struct chart *chart, int64_t by)
{
    struct chart_past past;
    struct chart *moved = NULL;
    chart_read(chart, &past);
    for (uint32_t i = 0; i < past.count; i++) {
        move(&past.samples[i].time, by);
        moved = chart_add(moved, &past.samples[i]);
    }
    chart_release(&chart);
    return moved;
}

static void move_subscription(struct subscription_memory *subscription, int64_t by)
{
    move(&subscription->seen, by);
    move(&subscription->last_progress, by);
    move(&subscription->lost_at, by);
    move(&subscription->skipped_at, by);
    move(&subscription->beyond_at, by);
    move(&subscription->replaying_since, by);
    for (uint32_t i = 0; i < subscription->trends; i++)
        move(&subscription->trend[i].time, by);
    for (uint32_t i = 0; i < subscription->position_count; i++)
        move_position(&subscription->positions[i], by);
    subscription->chart = moved_chart(subscription->chart, by);
}

static void move_group(struct group_memory *group, int64_t by)
{
    move(&group->seen, by);
    move(&group->told, by);
    move(&group->empty_since, by);
    move(&group->alive_since, by);
    move(&group->judged, by);
    for (int i = 0; i < CONDITIONS; i++)
        move(&group->since[i], by);
    for (uint32_t i = 0; i < group->rebalance_count; i++)
        move(&group->rebalances[i].time, by);
    for (uint32_t i = 0; i < group->subscription_count; i++)
        move_subscription(&group->subscriptions[i], by);
}

void history_move_back(struct history *history, int64_t time)
{
    int64_t by = time - history->time;
    move(&history->began, by);
    move(&history->time, by);
    move(&history->before, by);
    for (uint32_t i = 0; i < history->topic_count; i++)
        move_topic(&history->topics[i], by);
    for (uint32_t i = 0; i < history->group_count; i++)
        move_group(&history->groups[i], by);
}
