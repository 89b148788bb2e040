#ifndef TIDEMARK_KAFKA_AUDIT_H
#define TIDEMARK_KAFKA_AUDIT_H

#include "collectors/kafka/follower.h"

/*
 * Whether what is followed is what the cluster says. The two are asked one after the other, and between them
 * a group may commit. So a commit that differs is only suspected. When the next poll has settled, all that
 * the answer could tell of must have been read: if the commit is then the same as before, the difference
 * stays. It is repaired, and the group doubted, so that it is asked at once whether that was right.
 */

/* A commit about which the two differ. */
struct kafka_suspect {
    char *group, *topic; /* owned */
    int32_t partition;
    int64_t asked;    /* the offset that the cluster says; -1: none */
    int64_t followed; /* the one that is followed; -1: none */
    int64_t time;     /* of that; negative: none */
};

/* All zero at first. */
struct kafka_audit {
    struct kafka_suspect *items; /* owned */
    size_t count, capacity;
};

void kafka_audit_free(struct kafka_audit *audit);

/* Compares what is followed of the group with the cluster's answer about all of its commits, which ends the
 * doubt about it. */
void kafka_audit_compare(struct kafka_audit *audit, const struct kafka_follower *follower,
                         const struct source_config *config, struct str name,
                         const rd_kafka_topic_partition_list_t *answer);

/* After the follower has settled: repairs those that still differ, and ends the others' suspicion; those
 * whose group hasn't settled wait for another poll. Returns how many were repaired. */
int64_t kafka_audit_repair(struct kafka_audit *audit, const struct kafka_follower *follower);

#endif
