#include "exporter/memory.h"

#include "exporter/base/number.h"

#include <string.h>

static const int64_t trend_every_ms = 29 * 1000;

static const int64_t burst_ms = 30 * 1000;

static void add_rebalances(struct group_memory *memory, int64_t count, int64_t now)
{
    uint32_t n = memory->rebalance_count;
    if (n > 0 && now - memory->rebalances[n - 1].time < burst_ms) {
        memory->rebalances[n - 1].count = number_add(memory->rebalances[n - 1].count, count);
        return;
    }
    if (memory->rebalance_count == REBALANCES) {
        memory->rebalance_count--;
        memmove(&memory->rebalances[0], &memory->rebalances[1],
                (REBALANCES - 1) * sizeof memory->rebalances[0]);
    }
    memory->rebalances[memory->rebalance_count++] = (struct burst){now, count};
}

static bool rebalancing_classic(enum group_state state)
{
    return state == GROUP_STATE_PREPARING_REBALANCE || state == GROUP_STATE_COMPLETING_REBALANCE;
}

static bool rebalancing(enum group_state state)
{
    return rebalancing_classic(state) || state == GROUP_STATE_ASSIGNING || state == GROUP_STATE_RECONCILING;
}

/* How many rebalances there were since the last poll: exact by the generation, at least one where the group
 * is seen to begin one or its members change. */
static int64_t new_rebalances(const struct group_memory *memory, const struct snap_group *seen)
{
    if (seen->generation != UNKNOWN && memory->generation != UNKNOWN)
        return seen->generation > memory->generation
                   ? seen->generation - memory->generation - memory->counted_ahead
                   : 0;
    if (seen->generation != UNKNOWN || memory->generation != UNKNOWN)
        return 0;
    if (rebalancing(seen->state))
        return !memory->rebalancing;
    return !memory->rebalancing && seen->members != UNKNOWN && memory->members != UNKNOWN &&
           seen->members != memory->members;
}

/* Whether the rebalance under way was counted by its state, until now that the generation is known: it ends
 * with the next one, which is not to be counted again. An epoch of KIP-848 rises before the group is seen to
 * follow. */
static bool counted_ahead(const struct group_memory *memory, const struct snap_group *seen)
{
    if (memory->generation != UNKNOWN)
        return memory->counted_ahead && seen->generation <= memory->generation;
    return rebalancing_classic(seen->state) && (seen->generation == UNKNOWN || memory->counted_ahead);
}

static void add_event(struct group_memory *memory, enum event_kind kind, int64_t now, int64_t from,
                      int64_t to, int64_t count)
{
    events_add(&memory->events, (struct event){
                                    .time = now,
                                    .kind = (uint16_t)kind,
                                    .condition = -1,
                                    .subscription = NO_INDEX,
                                    .partition = NO_INDEX,
                                    .from = from,
                                    .to = to,
                                    .count = count,
                                });
}

static void observe_members(struct group_memory *memory, const struct snap_group *seen, int64_t now)
{
    bool empty = seen->members == 0 || seen->state == GROUP_STATE_EMPTY || seen->state == GROUP_STATE_DEAD;
    bool known = seen->members != UNKNOWN || seen->state != GROUP_STATE_UNKNOWN;
    if (known && !empty) {
        if (memory->empty_since != UNKNOWN) {
            memory->alive_since = now;
            add_event(memory, EVENT_JOINED, now, UNKNOWN, UNKNOWN, seen->members);
        }
        memory->empty_since = UNKNOWN;
        memory->had_members = true;
        memory->works_empty = false;
    } else if (empty && memory->empty_since == UNKNOWN) {
        memory->empty_since = now;
        if (memory->had_members)
            add_event(memory, EVENT_EMPTIED, now, UNKNOWN, UNKNOWN, UNKNOWN);
    }
    if (seen->members != UNKNOWN)
        memory->members = seen->members;
}

void group_observe(struct group_memory *memory, const struct snap_group *seen, const struct history *history)
{
    int64_t rebalances = new_rebalances(memory, seen);
    if (rebalances > 0) {
        add_rebalances(memory, rebalances, history->time);
        add_event(memory, EVENT_REBALANCED, history->time, memory->generation, seen->generation, rebalances);
    }
    memory->rebalances_total = number_add(memory->rebalances_total, rebalances);
    if (memory->rebalancing && rebalancing(seen->state) && history->before != UNKNOWN &&
        history->time - history->before <= AWAY_MS)
        memory->rebalancing_ms += history->time - history->before;
    if (seen->state != GROUP_STATE_UNKNOWN)
        memory->rebalancing = rebalancing(seen->state);
    memory->counted_ahead = counted_ahead(memory, seen);
    if (seen->generation != UNKNOWN)
        memory->generation = seen->generation;
    if (seen->rebalance_timeout_ms != UNKNOWN)
        memory->may_take = seen->rebalance_timeout_ms;
    observe_members(memory, seen, history->time);
}

struct rebalance_run group_rebalance_run(const struct group_memory *memory, int64_t now, int64_t window)
{
    struct rebalance_run run = {0, now};
    for (uint32_t i = memory->rebalance_count; i > 0 && run.first - memory->rebalances[i - 1].time <= window;
         i--) {
        run.first = memory->rebalances[i - 1].time;
        run.count = number_add(run.count, memory->rebalances[i - 1].count);
    }
    return run;
}

void trend_add(struct subscription_memory *memory, int64_t now, int64_t lag_ms)
{
    uint32_t n = memory->trends;
    if (n >= 2 && memory->trend[n - 1].time - memory->trend[n - 2].time < trend_every_ms) {
        /* The least of those close together, or reading and polling in step would show one side of a saw. */
        int64_t least = memory->trend[n - 1].value;
        memory->trend[n - 1] = (struct sample){now, least == UNKNOWN || lag_ms < least ? lag_ms : least};
        return;
    }
    if (n == TREND_SAMPLES) {
        n--;
        memmove(&memory->trend[0], &memory->trend[1], n * sizeof memory->trend[0]);
    }
    memory->trend[n] = (struct sample){now, lag_ms};
    memory->trends = n + 1;
}

int64_t trend_ago(const struct subscription_memory *memory, int64_t now, int64_t age)
{
    for (uint32_t i = memory->trends; i > 0; i--)
        if (now - memory->trend[i - 1].time >= age)
            return memory->trend[i - 1].value;
    return UNKNOWN;
}

int64_t trend_least(const struct subscription_memory *memory, int64_t since)
{
    int64_t least = UNKNOWN;
    for (uint32_t i = memory->trends; i > 0 && memory->trend[i - 1].time >= since; i--)
        if (memory->trend[i - 1].value != UNKNOWN && (least == UNKNOWN || memory->trend[i - 1].value < least))
            least = memory->trend[i - 1].value;
    return least;
}

int64_t trend_above(const struct subscription_memory *memory, int64_t level)
{
    int64_t since = UNKNOWN;
    for (uint32_t i = memory->trends; i > 0 && memory->trend[i - 1].value >= level; i--)
        since = memory->trend[i - 1].time;
    return since;
}
