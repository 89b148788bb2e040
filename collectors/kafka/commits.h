#ifndef TIDEMARK_KAFKA_COMMITS_H
#define TIDEMARK_KAFKA_COMMITS_H

#include "collectors/kafka/audit.h"
#include "collectors/kafka/follower.h"
#include "collectors/kafka/groups.h"
#include "collectors/kafka/layout.h"

/* Adds the committed offsets of the snapshot's groups: what the follower knows of them, and for the others
 * what the cluster answers. `layout` fits the snapshot. `turn` rises by 1 with each poll. A group whose
 * offsets can't be read is left without positions. Each group that is followed is also asked about now and
 * then, for the audit. */
void kafka_read_commits(struct kafka_poll *poll, const struct kafka_layout *layout,
                        struct kafka_groups *groups, const struct kafka_follower *follower,
                        struct kafka_audit *audit, uint64_t turn);

#endif
