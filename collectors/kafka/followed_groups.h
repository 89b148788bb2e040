#ifndef TIDEMARK_KAFKA_FOLLOWED_GROUPS_H
#define TIDEMARK_KAFKA_FOLLOWED_GROUPS_H

#include "collectors/kafka/follower.h"
#include "collectors/kafka/groups.h"

/* Whether the group's listed state, and the follower, tell all that its coordinator would of its state and
 * members. `follower` may be NULL. */
bool kafka_group_is_followed(const struct kafka_group *group, const struct kafka_follower *follower);

/* Adds to the snapshot's groups what only their coordinators' records tell: generations, what the members
 * declared, all of the groups of the new protocol (KIP-848), which describing them leaves unknown, and all of
 * those that needn't be described. */
void kafka_complete_groups(struct kafka_poll *poll, const struct kafka_groups *groups,
                           const struct kafka_follower *follower);

#endif
