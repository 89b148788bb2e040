#ifndef TIDEMARK_KAFKA_LAYOUT_H
#define TIDEMARK_KAFKA_LAYOUT_H

#include "exporter/snapshot.h"

struct kafka_laid_topic {
    char *name; /* owned */
    uint32_t first_partition, partitions;
    uint32_t sampled, unkeyed; /* records that were read, and those of them without a key */
};

/* A poll's topics, by which the positions that it found are known in the next one; and their names as
 * librdkafka takes them. All zero at first. */
struct kafka_layout {
    struct kafka_laid_topic *topics; /* owned; sorted by name */
    uint32_t count;
};

void kafka_layout_free(struct kafka_layout *layout);

/* Makes the layout's topics the snapshot's, index for index, which are all there and in order. Returns the
 * new index of each of the old partitions, KAFKA_GONE for those that are gone, still ascending; the caller
 * frees it. NULL: nothing has changed. `gone` is increased by the number of topics that are gone. */
uint32_t *kafka_layout_follow(struct kafka_layout *layout, const struct snapshot *snapshot, uint64_t *gone);

#define KAFKA_GONE UINT32_MAX

#endif
