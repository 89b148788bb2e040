#ifndef TIDEMARK_KAFKA_GROUPS_H
#define TIDEMARK_KAFKA_GROUPS_H

#include "collectors/kafka/follower.h"
#include "collectors/kafka/poll.h"

/* What is kept of a group from one poll to the next. */
struct kafka_group {
    char *name;              /* owned */
    enum group_state listed; /* as this poll's list has it; unknown if that is partial and lacks it */
    bool is_silent;          /* its coordinator did not answer in this poll */
    bool has_orphans;        /* it has commits on partitions that don't exist */
    uint32_t *known;         /* owned; the partitions that it has committed on, as indexes, ascending */
    size_t known_count;
    size_t positions; /* how many the cluster told of when it was asked for all, unwanted ones too */
};

/* Sorted by name: the index here is the index in the snapshot. */
struct kafka_groups {
    struct kafka_group *items; /* owned */
    size_t count;
};

void kafka_groups_free(struct kafka_groups *groups);

/* Makes what is known of the last poll's partitions fit this one's: moved[i] is the new index of partition i.
 */
void kafka_groups_move(struct kafka_groups *groups, const uint32_t *moved);

/* Lists the cluster's groups, and adds those to the snapshot that the filter passes. `groups` is what the
 * last poll left there, and becomes what this one found; groups of brokers that refuse to list theirs, as
 * they do while they load them, are kept as they were known. False when no broker answered. */
bool kafka_list_groups(struct kafka_poll *poll, struct kafka_groups *groups, struct error *error);

/* Whether the errors of a request to all brokers say that none of them answered, if nothing else came.
 * Brokers that have left the cluster are asked too, so there may be more errors than brokers. */
bool kafka_nobody_answered(const rd_kafka_error_t *const *errors, size_t count, size_t brokers);

/* Adds the groups' states and members to the snapshot, asked for in one call: of those of which the list and
 * the follower don't tell as much. */
void kafka_describe_groups(struct kafka_poll *poll, struct kafka_groups *groups,
                           const struct kafka_follower *follower);

#endif
