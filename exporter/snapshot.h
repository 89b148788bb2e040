#ifndef TIDEMARK_SNAPSHOT_H
#define TIDEMARK_SNAPSHOT_H

#include "exporter/base/str.h"
#include "exporter/snapshot_members.h"

#include <stdbool.h>
#include <stdint.h>

/*
 * What one poll of one source observed: plain data, without judgement. A collector builds it, top down
 * (topics, then groups), and seals it; from then on it is immutable and any thread may read it.
 *
 * It is laid out as flat arrays, because a large cluster has a million positions and everything that follows
 * walks them in order:
 *
 *     topics[]  -> a run of partitions[]
 *     groups[]  -> a run of subscriptions[] (one a topic that the group has committed on)
 *                     -> a run of positions[] (one a partition with a committed offset)
 *
 * Runs are given as first and count. Topics, groups and a group's subscriptions are sorted by name (bytes),
 * partitions and positions by number: the same cluster gives the same order in each poll.
 *
 * Times are milliseconds since 1970. What wasn't observed is UNKNOWN.
 */

#define UNKNOWN INT64_MIN

/* Instead of a record's timestamp: the record was looked for, and there is none. */
#define NO_RECORD (INT64_MIN + 1)

/* Instead of a record's timestamp: there is a record, and it has none. */
#define UNDATED (INT64_MIN + 2)

enum { NO_INDEX = -1 };

/* A partition that the source listed. */
struct snap_partition {
    int64_t start;          /* offset of the first record still there */
    int64_t end;            /* offset of the next record to be written (Kafka: high watermark) */
    int64_t last_stable;    /* end as a read_committed consumer sees it; UNKNOWN: not asked */
    int64_t start_ts;       /* timestamp of the first record still there */
    int64_t open_txn_since; /* when the oldest open transaction began; UNKNOWN: none, or not known */
    int32_t number;
    int32_t leader;           /* broker id; -1: no leader, or not known */
    int32_t preferred_leader; /* broker id; -1: not known */
    int32_t replicas;         /* count; -1: not known */
    int32_t in_sync_replicas; /* count; -1: not known */
};

enum cleanup_policy {
    CLEANUP_UNKNOWN = 0,
    CLEANUP_DELETE = 1,
    CLEANUP_COMPACT = 2,
    CLEANUP_COMPACT_DELETE = 3,
};

/* Topic configuration under Kafka's names and units (https://kafka.apache.org/documentation/#topicconfigs);
 * UNKNOWN where not known. Kafka's "no limit" is -1, as there. */
struct topic_config {
    int64_t retention_ms;
    int64_t retention_bytes; /* per partition */
    int64_t segment_ms;
    int64_t segment_bytes;
    int64_t min_compaction_lag_ms;
    int64_t delete_retention_ms;
    int64_t min_insync_replicas;
    int64_t unclean_leader_election; /* 0 or 1 */
    enum cleanup_policy cleanup_policy;
};

struct snap_topic {
    struct str name;
    uint8_t id[16]; /* tells a topic from one of the same name made later; all zero: not known */
    struct topic_config config;
    double unkeyed_ratio; /* share of sampled records without a key, 0..1; negative: not known */
    uint32_t first_partition, partitions;
};

/* A committed offset. Positions whose partition the source doesn't list are orphans, not positions. */
struct snap_position {
    uint32_t partition; /* index into snapshot.partitions */
    int64_t committed;  /* offset of the next record that the group will read */
    int64_t next_ts;    /* timestamp of the first record still there at or after it; NO_RECORD: up to the end
                           there are only markers of transactions, or what compaction took; UNDATED: it has no
                           timestamp; UNKNOWN: not looked up */
    int64_t commit_ts;  /* when it was committed */
};

/* One group's positions on one topic. */
struct snap_subscription {
    uint32_t group, topic; /* indexes */
    uint32_t first_position, positions;
};

/* Kafka's group states (KIP-848 adds Assigning and Reconciling). */
enum group_state {
    GROUP_STATE_UNKNOWN = 0,
    GROUP_STATE_STABLE,
    GROUP_STATE_PREPARING_REBALANCE,
    GROUP_STATE_COMPLETING_REBALANCE,
    GROUP_STATE_ASSIGNING,
    GROUP_STATE_RECONCILING,
    GROUP_STATE_EMPTY,
    GROUP_STATE_DEAD,
    GROUP_STATES,
};

/* Whether its partitions are dealt out: while a group rebalances, that a member has none isn't idleness. */
static inline bool group_state_is_settled(enum group_state state)
{
    return state == GROUP_STATE_STABLE || state == GROUP_STATE_EMPTY;
}

struct snap_group {
    struct str name;
    enum group_state state;
    int64_t members;
    int64_t idle_members;   /* members that were assigned nothing */
    int64_t static_members; /* members with a group.instance.id (KIP-345) */
    struct str member_list; /* who they are (snapshot_members.h); empty: not known, or there are none */
    int64_t generation;     /* classic generation or KIP-848 group epoch: rises by 1 with each rebalance */
    int64_t session_timeout_ms;
    int64_t rebalance_timeout_ms; /* max.poll.interval.ms as the members declared it */
    int64_t empty_since;          /* since when it has had no members; UNKNOWN also while it has some */
    bool commits_unknown;         /* some could not be read: those that are missing aren't gone */
    uint32_t first_subscription, subscriptions;
};

/* A commit on a partition that doesn't exist. */
struct snap_orphan {
    uint32_t group; /* index */
    struct str topic;
    int32_t partition;
};

struct snap_broker {
    int32_t id;
    struct str address; /* host:port */
};

struct snapshot {
    int64_t time;                 /* when the end offsets had been read: the `now` that judges it */
    int64_t skew_ms;              /* from the first commit read to the last end offset read: 0 if unknown */
    int64_t offsets_retention_ms; /* the broker's offsets.retention.minutes */
    int64_t unknown_records;  /* read since the last poll in the source's own topics, and not understood */
    int64_t offsets_repaired; /* commits that were followed and, since the last poll, found to be others */
    bool tells_no_record;     /* next_ts is NO_RECORD where that is so; else it may be UNKNOWN there, too */
    int64_t duplicate_names;  /* groups or topics left out since another of the same name was there */
    struct snap_broker *brokers;
    struct snap_topic *topics;
    struct snap_partition *partitions;
    struct snap_group *groups;
    struct snap_subscription *subscriptions;
    struct snap_position *positions;
    struct snap_orphan *orphans;
    uint32_t broker_count, topic_count, partition_count, group_count, subscription_count, position_count,
        orphan_count;
    struct snapshot_memory *memory; /* capacities and the bytes of names */
};

/* --- building: one thread, before sealing -------------------------------------------------------------- */

/* An empty snapshot; free it with snapshot_free(). */
struct snapshot *snapshot_new(void);

/* Frees the snapshot and sets *snapshot to NULL; NULL is accepted. */
void snapshot_free(struct snapshot **snapshot);

/* Adds a broker; the address is copied. */
void snapshot_add_broker(struct snapshot *snapshot, int32_t id, struct str address);

/* Adds a topic with `partitions` partitions numbered from 0, all of whose values are unknown; the name is
 * copied. Returns its index, for the caller to fill in what it knows; the index holds until sealing. Add each
 * name once: a name that is there already gives NO_INDEX and is counted in duplicate_names. The pointers
 * into the snapshot's arrays move with each addition. */
int64_t snapshot_add_topic(struct snapshot *snapshot, struct str name, uint32_t partitions);

/* The index of a topic by name, or NO_INDEX. */
int64_t snapshot_find_topic(const struct snapshot *snapshot, struct str name);

/* Adds a group of which nothing is known yet; same rules as for topics. */
int64_t snapshot_add_group(struct snapshot *snapshot, struct str name);

/* The index of a group by name, or NO_INDEX. Also after sealing. */
int64_t snapshot_find_group(const struct snapshot *snapshot, struct str name);

/* Adds a commit of the group and on the topic that were added with these indexes. `committed` is at least 0.
 * NULL when the topic has no such partition: that is an orphan. Of several on one partition one is kept.
 * Otherwise the position, for next_ts and commit_ts to be set; valid until the next addition. */
struct snap_position *snapshot_add_position(struct snapshot *snapshot, uint32_t group, uint32_t topic,
                                            int32_t partition, int64_t committed);

/* Notes a commit on a partition that the source doesn't list; the name is copied. */
void snapshot_add_orphan(struct snapshot *snapshot, uint32_t group, struct str topic, int32_t partition);

/* A copy of bytes that lives as long as the snapshot. */
struct str snapshot_copy(struct snapshot *snapshot, struct str bytes);

/* The same of a list, which becomes empty. */
struct str snapshot_take_list(struct snapshot *snapshot, struct member_list *list);

/* Sorts everything and makes the runs; what was added in order costs no sorting. Nothing may be added
 * afterwards, and all indexes may have changed. Until the collector hands it over, it may still fill in
 * values that it looks up by the runs. */
void snapshot_seal(struct snapshot *snapshot, int64_t time);

/* --- reading: any thread, after sealing ---------------------------------------------------------------- */

/* "Stable", "PreparingRebalance" …: Kafka's own spelling. */
const char *group_state_name(enum group_state state);

/* The state of that name, GROUP_STATE_UNKNOWN for any other. */
enum group_state group_state_parse(struct str name);

/* "delete", "compact" or "compact,delete"; NULL when unknown. */
const char *cleanup_policy_name(enum cleanup_policy policy);

/* The policy of that name (the two may stand in either order), CLEANUP_UNKNOWN for any other. */
enum cleanup_policy cleanup_policy_parse(struct str name);

/* Messages that the group has still to read: end - max(committed, start). UNKNOWN when one of them is, and
 * when the commit stands beyond the end (the design's rule 2: that is no healthy 0). */
int64_t position_lag(const struct snap_partition *partition, const struct snap_position *position);

#endif
