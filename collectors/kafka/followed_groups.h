#ifndef TIDEMARK_KAFKA_FOLLOWED_GROUPS_H
#define TIDEMARK_KAFKA_FOLLOWED_GROUPS_H

#include "collectors/kafka/follower.h"
#include "collectors/kafka/groups.h"

/* Adds to the snapshot's groups what only their coordinators' records tell: generations, what the members
 * declared, and all of the groups of the new protocol (KIP-848), which describing them leaves unknown. */
void kafka_complete_groups(struct kafka_poll *poll, const struct kafka_groups *groups,
                           const struct kafka_follower *follower);

#endif
