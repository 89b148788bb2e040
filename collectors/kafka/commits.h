#ifndef TIDEMARK_KAFKA_COMMITS_H
#define TIDEMARK_KAFKA_COMMITS_H

#include "collectors/kafka/groups.h"
#include "collectors/kafka/layout.h"

/* Adds the committed offsets of the snapshot's groups. `layout` fits the snapshot. `turn` rises by 1 with
 * each poll. A group whose offsets can't be read is left without positions. */
void kafka_read_commits(struct kafka_poll *poll, const struct kafka_layout *layout,
                        struct kafka_groups *groups, uint64_t turn);

#endif
