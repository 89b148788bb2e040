#ifndef TIDEMARK_KAFKA_COMMIT_SET_H
#define TIDEMARK_KAFKA_COMMIT_SET_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* A group's commit on one partition. */
struct kafka_commit {
    uint32_t topic; /* a number that the owner of the set gives out */
    int32_t partition;
    int64_t offset; /* -1: taken away; it goes when the set is tidied */
    int64_t time;   /* milliseconds since 1970; negative: not known */
};

/*
 * A group's commits, in the order of topic and partition. What is new goes into a small run beside the large
 * one, so that a group of a hundred thousand positions isn't moved for each of them when it is read for the
 * first time. All zero at first.
 */
struct kafka_commit_set {
    struct kafka_commit *items; /* owned */
    size_t count;
    struct kafka_commit *fresh; /* owned */
    size_t fresh_count, fresh_capacity;
    bool is_untidy;
};

void kafka_commit_set_free(struct kafka_commit_set *set);

/* The commit on that partition, to be changed in its offset and time; made with the offset -1 when there is
 * none yet. Valid until the next call. */
struct kafka_commit *kafka_commit_set_at(struct kafka_commit_set *set, uint32_t topic, int32_t partition);

/* The commit on that partition, or NULL. */
struct kafka_commit *kafka_commit_set_find(const struct kafka_commit_set *set, uint32_t topic,
                                           int32_t partition);

/* Brings all into `items`, without those that were taken away. */
void kafka_commit_set_tidy(struct kafka_commit_set *set);

#endif
