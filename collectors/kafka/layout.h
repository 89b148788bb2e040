#ifndef TIDEMARK_KAFKA_LAYOUT_H
#define TIDEMARK_KAFKA_LAYOUT_H

#include "collectors/kafka/groups.h"

/* A poll's topics, by which the positions that it found are known in the next one; and their names as
 * librdkafka takes them. All zero at first. */
struct kafka_layout {
    struct kafka_laid_topic {
        char *name; /* owned */
        uint32_t first_partition, partitions;
    } * topics; /* owned; sorted by name */
    uint32_t count;
};

void kafka_layout_free(struct kafka_layout *layout);

/* Makes what the groups know of the last poll's partitions fit the topics of the snapshot, which are all
 * there and in order; afterwards the layout's topics are the snapshot's, index for index. Returns how many
 * topics have gone. */
uint32_t kafka_layout_follow(struct kafka_layout *layout, struct kafka_groups *groups,
                             const struct snapshot *snapshot);

#endif
