#include "collectors/kafka/followed_groups.h"

static int64_t known(int64_t value)
{
    return value < 0 ? UNKNOWN : value;
}

/* What the coordinator writes of a group's members is written before the group is listed as Stable or Empty,
 * and the follower has settled after that. While a group rebalances, nothing is written of who is there. */
bool kafka_group_is_followed(const struct kafka_group *group, const struct kafka_follower *follower)
{
    struct kafka_replica_group *followed;
    if (!kafka_follower_finds(follower, str_of(group->name), &followed))
        return false;
    if (followed != NULL && followed->epoch >= 0)
        return true;
    bool has_members = followed != NULL && followed->is_classic && followed->classic.count > 0;
    return group->listed == (has_members ? GROUP_STATE_STABLE : GROUP_STATE_EMPTY);
}

static void fill_members(struct snap_group *group, enum group_state listed,
                         const struct kafka_classic_members *members)
{
    group->state = listed;
    group->members = members->count;
    group->static_members = members->with_instance;
    group->idle_members = members->idle;
}

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

static struct str list_consumers(struct snapshot *snapshot, const struct snap_group *group,
                                 const struct kafka_replica_group *followed)
{
    struct member_list list = {0};
    for (size_t i = 0; i < followed->member_count; i++) {
        struct str name = followed->members[i].name;
        struct member member;
        if (!member_list_next(&name, &member)) /* it isn't declared */
            continue;
        member.assigned = group_state_is_settled(group->state) ? followed->members[i].assigned : UNKNOWN;
        member_list_add(&list, &member);
    }
    return snapshot_take_list(snapshot, &list);
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
        idle += member->assigned == 0;
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
    if (group_state_is_settled(group->state))
        group->idle_members = idle;
}

static void complete_group(struct snapshot *snapshot, struct snap_group *group,
                           const struct kafka_group *known, const struct kafka_follower *follower)
{
    static const struct kafka_classic_members nobody = {0};
    struct kafka_replica_group *followed;
    /* What isn't of this very moment is still better than nothing: it doesn't change often. */
    (void)kafka_follower_finds(follower, group->name, &followed);
    bool is_consumer = followed != NULL && followed->epoch >= 0;
    bool is_classic = followed != NULL && followed->is_classic && !is_consumer;
    if (is_consumer) {
        complete_consumer(group, followed, known->listed);
        group->member_list = list_consumers(snapshot, group, followed);
    } else if (kafka_group_is_followed(known, follower)) {
        fill_members(group, known->listed, is_classic ? &followed->classic : &nobody);
        if (is_classic)
            group->member_list = snapshot_copy(snapshot, followed->classic_list);
    }
    if (is_classic)
        complete_classic(group, followed);
}

void kafka_complete_groups(struct kafka_poll *poll, const struct kafka_groups *groups,
                           const struct kafka_follower *follower)
{
    for (size_t i = 0; i < groups->count; i++)
        complete_group(poll->snapshot, &poll->snapshot->groups[i], &groups->items[i], follower);
}
