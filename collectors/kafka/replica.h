#ifndef TIDEMARK_KAFKA_REPLICA_H
#define TIDEMARK_KAFKA_REPLICA_H

#include "collectors/collector.h"
#include "collectors/kafka/commit_set.h"
#include "collectors/kafka/group_record.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/*
 * What the group coordinators know, built from the records that they write to __consumer_offsets, as they
 * themselves build it when they start. Nothing here speaks with Kafka. One thread.
 */
struct kafka_replica;

/* A member of a group of the new protocol (KIP-848). */
struct kafka_replica_member {
    struct str id;   /* owned */
    struct str name; /* owned: a member_list of it alone; empty until it is declared */
    bool is_declared, has_instance;
    int64_t assigned;                                 /* partitions */
    int64_t session_timeout_ms, rebalance_timeout_ms; /* -1: none */
};

struct kafka_replica_group {
    struct str name;       /* owned */
    int32_t log_partition; /* of __consumer_offsets, where all of its records are; -1: not known */
    struct kafka_commit_set commits;
    size_t positions; /* commits that aren't taken away */
    bool is_doubted;  /* its commits may be others than these: its coordinator has to be asked */
    bool is_classic;
    int32_t generation; /* of a classic group */
    int64_t state_since;
    struct kafka_classic_members classic;
    struct str classic_list;              /* owned: the classic group's member_list */
    int32_t epoch;                        /* of a group of the new protocol; -1: it is none */
    struct kafka_replica_member *members; /* owned; of the new protocol; sorted by id */
    size_t member_count, member_capacity;
};

/* Takes only what the source's filters let through. `config` outlives it. */
struct kafka_replica *kafka_replica_new(const struct source_config *config);

/* Frees it and sets *replica to NULL, which is accepted. */
void kafka_replica_free(struct kafka_replica **replica);

/* Takes in a record of that partition of __consumer_offsets; `bytes` are NULL where there is no key or value.
 */
void kafka_replica_take(struct kafka_replica *replica, int32_t log_partition, struct str key,
                        struct str value);

/* The group, or NULL; valid until the next record. */
struct kafka_replica_group *kafka_replica_find(const struct kafka_replica *replica, struct str name);

/* The group, made if it isn't there, which the filter passes; valid until the next record. */
struct kafka_replica_group *kafka_replica_add(struct kafka_replica *replica, struct str name);

/* Ends the doubt about the group's commits. A group of which nothing else is known is gone with it. */
void kafka_replica_trust(struct kafka_replica *replica, struct kafka_replica_group *group);

/* The group's commit, or NULL; valid until the next record. */
const struct kafka_commit *kafka_replica_commit(const struct kafka_replica *replica,
                                                const struct kafka_replica_group *group, struct str topic,
                                                int32_t partition);

/* The name of the topic with that number, valid until the next record. Numbers are below
 * kafka_replica_topics(), and not all of them are taken: then it is empty. */
struct str kafka_replica_topic(const struct kafka_replica *replica, uint32_t topic);
uint32_t kafka_replica_topics(const struct kafka_replica *replica);

/* Sets a commit of the group as if a record said so; an offset of -1 takes it away. */
void kafka_replica_set(struct kafka_replica *replica, struct kafka_replica_group *group, struct str topic,
                       int32_t partition, int64_t offset, int64_t time);

/* Brings the commits of all groups into order: after many records, that takes less memory. */
void kafka_replica_tidy(struct kafka_replica *replica);

/* How many records were of unknown kind or version, or damaged, since this was last asked. */
int64_t kafka_replica_take_unknown(struct kafka_replica *replica);

#endif
