#ifndef TIDEMARK_KAFKA_GROUP_RECORD_H
#define TIDEMARK_KAFKA_GROUP_RECORD_H

#include "collectors/kafka/wire.h"
#include "exporter/base/str.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/*
 * The records that a group coordinator writes to __consumer_offsets, decoded. Their schemas lie in the
 * broker: group-coordinator/src/main/resources/common/message/ (OffsetCommit…, GroupMetadata…,
 * ConsumerGroup…), of which Kafka 2.8 to 4.3 write all versions that are read here. A key tells what the
 * record is about, and a record without a value says that it is no more. Nothing is copied: texts point into
 * the record.
 */

enum kafka_record_kind {
    KAFKA_RECORD_FOREIGN, /* of nothing that is followed here: share and streams groups, what is subscribed */
    KAFKA_RECORD_UNKNOWN, /* of a kind or version that is not known, or damaged */
    KAFKA_RECORD_UNKNOWN_COMMIT, /* the same, but its key tells whose commit it is: `group` is set */
    KAFKA_RECORD_COMMIT,         /* a group's committed offset */
    KAFKA_RECORD_CLASSIC,        /* a group of the classic protocol, after a rebalance */
    KAFKA_RECORD_EPOCH,          /* a group of the new protocol (KIP-848) */
    KAFKA_RECORD_MEMBER,         /* a member of such a group, as it declared itself */
    KAFKA_RECORD_ASSIGNMENT      /* … and what it is assigned */
};

/* What the members of a classic group declare, and are assigned. Times in milliseconds; -1: not known. */
struct kafka_classic_members {
    int64_t count, with_instance /* KIP-345 */, idle;
    int64_t session_timeout_ms;   /* the shortest */
    int64_t rebalance_timeout_ms; /* the longest: so long a rebalance waits */
};

/* The members of a classic group that are still to be read, one by one, out of its record. */
struct kafka_classic_list {
    struct wire wire;
    size_t left;
    int16_t version;
};

struct kafka_classic_member {
    struct str client_id, host;
    bool has_instance;
    int64_t assigned;                                 /* partitions; -1: not known */
    int64_t session_timeout_ms, rebalance_timeout_ms; /* -1: not known */
};

struct kafka_group_record {
    enum kafka_record_kind kind;
    bool is_gone; /* a tombstone: only the key's fields are set */
    struct str group;
    union {
        struct {
            struct str topic;
            int32_t partition;
            int64_t offset;
            int64_t time; /* milliseconds since 1970 */
        } commit;
        struct {
            int32_t generation;
            bool is_of_consumers; /* and not of Connect's workers or the like */
            int64_t state_since;  /* milliseconds since 1970; -1: not known */
            struct kafka_classic_members members;
            struct kafka_classic_list list;
        } classic;
        struct {
            int32_t epoch;
        } epoch;
        struct {
            struct str id, client_id, host;
            bool has_instance;
            int64_t rebalance_timeout_ms; /* -1: not known */
            int64_t session_timeout_ms;   /* of one that still speaks the classic protocol; -1: none */
        } member;
        struct {
            struct str id;
            int64_t assigned; /* partitions */
        } assignment;
    };
};

/* Decodes a record's key and value, whose `bytes` are NULL where the record has none. */
struct kafka_group_record kafka_group_record_read(struct str key, struct str value);

/* Takes the next member off the list of a record that was understood. False: there is none. */
bool kafka_classic_next(struct kafka_classic_list *list, struct kafka_classic_member *member);

#endif
