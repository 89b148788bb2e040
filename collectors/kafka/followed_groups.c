#include "collectors/kafka/followed_groups.h"

static int64_t known(int64_t value)
{
    return value < 0 ? UNKNOWN : value;
}

/* The record is written when a rebalance is complete; how many members there are now, the description says.
 */
static void complete_classic(struct snap_group *group, const struct kafka_replica_group *followed)
{
    bool is_empty = group->state == GROUP_STATE_EMPTY && followed->classic.count == 0;
    group->generation = followed->generation;
    group->session_timeout_ms = known(followed->classic.session_timeout_ms);
    group->rebalance_timeout_ms = known(followed->classic.rebalance_timeout_ms);
    if (is_empty)
        group->empty_since = known(followed->state_since);
}

static int64_t greater(int64_t a, int64_t b)
{
    return a > b ? a : b;
}

static void complete_consumer(struct snap_group *group, const struct kafka_replica_group *followed,
                              enum group_state listed)
{
    int64_t members = 0, idle = 0, with_instance = 0, rebalance_timeout = -1, session_timeout = -1;
    for (size_t i = 0; i < followed->member_count; i++) {
        const struct kafka_replica_member *member = &followed->members[i];
        if (!member->is_declared)
            continue;
        members++;
        idle += !member->is_assigned;
        with_instance += member->has_instance;
        rebalance_timeout = greater(rebalance_timeout, member->rebalance_timeout_ms);
        session_timeout = greater(session_timeout, member->session_timeout_ms);
    }
    group->state = members == 0 ? GROUP_STATE_EMPTY : listed;
    group->members = members;
    group->static_members = with_instance;
    group->generation = followed->epoch;
    group->session_timeout_ms = known(session_timeout);
    group->rebalance_timeout_ms = known(rebalance_timeout);
    /* While a group rebalances, partitions are on their way. */
    if (group->state == GROUP_STATE_STABLE || group->state == GROUP_STATE_EMPTY)
        group->idle_members = idle;
}

void kafka_complete_groups(struct kafka_poll *poll, const struct kafka_groups *groups,
                           const struct kafka_follower *follower)
{
    for (size_t i = 0; i < groups->count; i++) {
        struct kafka_replica_group *followed;
        struct snap_group *group = &poll->snapshot->groups[i];
        /* What isn't of this very moment is still better than nothing: it doesn't change often. */
        (void)kafka_follower_finds(follower, group->name, &followed);
        if (followed == NULL)
            continue;
        if (followed->epoch >= 0)
            complete_consumer(group, followed, groups->items[i].listed);
        else if (followed->is_classic)
            complete_classic(group, followed);
    }
}
