#ifndef LOGSTORE_H
#define LOGSTORE_H

#include "exporter/base/error.h"
#include "exporter/base/str.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/*
 * An embedded log: topics, partitions and consumer groups in a folder of a local file system, opened by any
 * number of processes at once, without a server. It has Kafka's notions under Kafka's names.
 *
 * The library prints nothing, starts no thread and never ends the process. Functions that can fail return
 * bool (true: done), a pointer (NULL: failed) or an enumeration whose 0 means failed, and take a
 * `struct error *` that is never NULL, starts as {0}, and is left alone on success. Besides the codes that
 * are named with a function each may fail with ERROR_IO, ERROR_MEMORY, ERROR_CORRUPT (the text names file and
 * offset), and ERROR_UNAVAILABLE when the disk is full: nothing is harmed then, and the call works once there
 * is room again.
 *
 * Names of topics (1 to 249 bytes) and groups (1 to 32,768 bytes) are any bytes. Times are milliseconds since
 * 1970. Offsets are 0 to 2^63-1. What a function is given is only read during the call.
 *
 * Processes coordinate by locks on files, which the kernel drops when a process ends, however it ends. After
 * fork() the child must not use handles of its parent. logstore/FORMAT.md describes the files.
 */

/* --- stores -------------------------------------------------------------------------------------------- */

/* An open store. Any number of threads may use it at once. */
struct logstore;

/* When appended records and commits reach the disk. In each mode what was acknowledged survives the death
 * of the process at any moment. */
enum logstore_fsync {
    LOGSTORE_FSYNC_ALWAYS = 0, /* before the call returns: survives loss of power. Calls that run at once, in
                                  any thread or process, share the wait. Readers see records once synced. */
    LOGSTORE_FSYNC_INTERVAL,   /* by the first call that finds the interval over, and when closing */
    LOGSTORE_FSYNC_NEVER,      /* when the system likes, and when a segment is full */
};

enum logstore_access {
    LOGSTORE_WRITE = 0, /* the store must be there */
    LOGSTORE_CREATE,    /* made when it isn't there yet, the folder too */
    LOGSTORE_READ,      /* needs no write permission and takes no locks; what would write: ERROR_DENIED */
};

struct logstore_options {
    enum logstore_access access;
    enum logstore_fsync fsync;
    int64_t fsync_interval_ms; /* for LOGSTORE_FSYNC_INTERVAL; 0: 1,000 */
};

/* Opens the store in the folder `path`; `options` may be NULL for all zero. ERROR_NOT_FOUND: no store there;
 * ERROR_UNSUPPORTED: a newer format; ERROR_DENIED. Close it with logstore_close(). */
struct logstore *logstore_open(const char *path, const struct logstore_options *options, struct error *error);

/* Closes the store and sets *store to NULL; NULL is accepted. Close its readers first. In the mode
 * LOGSTORE_FSYNC_INTERVAL what is left is synced; call logstore_sync() before to learn of a failure. */
void logstore_close(struct logstore **store);

/* Waits until all that was appended and committed through this handle is on the disk. */
bool logstore_sync(struct logstore *store, struct error *error);

/* --- topics -------------------------------------------------------------------------------------------- */

enum logstore_cleanup { LOGSTORE_CLEANUP_DELETE = 1, LOGSTORE_CLEANUP_COMPACT = 2 };

/* A topic's configuration, under Kafka's names (https://kafka.apache.org/documentation/#topicconfigs) with
 * '_' for '.'. */
struct logstore_config {
    int64_t retention_ms;          /* 604,800,000 (a week); -1: no limit */
    int64_t retention_bytes;       /* per partition; -1: no limit */
    int64_t segment_ms;            /* 604,800,000; at least 1 */
    int64_t segment_bytes;         /* 1 GiB; 1,024 to 2,147,483,647 */
    int64_t min_compaction_lag_ms; /* 0 */
    int64_t delete_retention_ms;   /* 86,400,000 (a day): how long tombstones stay */
    int64_t max_message_bytes;     /* 1,048,588: the largest batch; 1,024 to 268,435,456 */
    unsigned cleanup_policy;       /* LOGSTORE_CLEANUP_DELETE; one or both of the two, or-ed */
};

/* The defaults: the numbers above. */
struct logstore_config logstore_config_default(void);

/* Sets one value by Kafka's name for it ("retention.ms") from text as Kafka takes it ("-1",
 * "compact,delete"). ERROR_USAGE: unknown name, or value out of range. */
bool logstore_config_set(struct logstore_config *config, struct str name, struct str value,
                         struct error *error);

/* The names that logstore_config_set() knows, one an index from 0; NULL after the last. */
const char *logstore_config_name(size_t index);

/* Makes a topic of 1 to 100,000 partitions. `config` may be NULL for the defaults. ERROR_EXISTS;
 * ERROR_USAGE: the name, number or configuration. */
bool logstore_topic_create(struct logstore *store, struct str topic, uint32_t partitions,
                           const struct logstore_config *config, struct error *error);

/* Replaces a topic's configuration. ERROR_NOT_FOUND, ERROR_USAGE. */
bool logstore_topic_alter(struct logstore *store, struct str topic, const struct logstore_config *config,
                          struct error *error);

/* Raises the number of partitions to `partitions`. Keys may fall onto other partitions from then on.
 * ERROR_NOT_FOUND; ERROR_USAGE: fewer than there are, or too many. */
bool logstore_topic_grow(struct logstore *store, struct str topic, uint32_t partitions, struct error *error);

/* Deletes a topic with all its records. One of the same name can be made again: it has another id.
 * ERROR_NOT_FOUND. */
bool logstore_topic_delete(struct logstore *store, struct str topic, struct error *error);

struct logstore_topic {
    uint8_t id[16]; /* tells a topic from one of the same name made before or later, or in another store */
    uint32_t partitions;
    struct logstore_config config;
};

/* ERROR_NOT_FOUND. */
bool logstore_topic_find(struct logstore *store, struct str topic, struct logstore_topic *found,
                         struct error *error);

/* --- records ------------------------------------------------------------------------------------------- */

struct logstore_header {
    struct str name;
    struct str value; /* bytes NULL: none */
};

struct logstore_record {
    struct str key;   /* bytes NULL: none */
    struct str value; /* bytes NULL: none, which in a compacted topic deletes the key */
    const struct logstore_header *headers;
    size_t header_count;
    int64_t timestamp; /* appending: 0 means now */
    int64_t offset;    /* reading only */
};

struct logstore_position {
    uint32_t partition;
    int64_t offset;
};

/* The partition of `partitions` that Kafka's Java client would choose for this key (murmur2). */
uint32_t logstore_partition_for(struct str key, uint32_t partitions);

/* Appends records to one partition, in order, all or none; they get the offsets from *first_offset, which may
 * be NULL, upwards. True means acknowledged. ERROR_NOT_FOUND: topic or partition; ERROR_USAGE: a record
 * larger than max.message.bytes, a negative timestamp, no key on a compacted topic. */
bool logstore_append(struct logstore *store, struct str topic, uint32_t partition,
                     const struct logstore_record *records, size_t count, int64_t *first_offset,
                     struct error *error);

/* Appends each record to the partition of its key; those without a key go to a partition that changes from
 * call to call. `positions`, which may be NULL, has room for `count` and tells where each went. Errors as of
 * logstore_append(); all or none a partition: after a failure positions[].offset is -1 for records that
 * weren't appended. */
bool logstore_produce(struct logstore *store, struct str topic, const struct logstore_record *records,
                      size_t count, struct logstore_position *positions, struct error *error);

/* The offsets of a partition's first record still there and of the next to be appended; equal when it is
 * empty. ERROR_NOT_FOUND. */
bool logstore_offsets(struct logstore *store, struct str topic, uint32_t partition, int64_t *start,
                      int64_t *end, struct error *error);

/* The offset of the first record whose timestamp is `time` or later; the end offset when there is none.
 * ERROR_NOT_FOUND. */
bool logstore_offset_for_time(struct logstore *store, struct str topic, uint32_t partition, int64_t time,
                              int64_t *offset, struct error *error);

/* Reads one partition in order. Used by one thread at a time. */
struct logstore_reader;

enum logstore_read {
    LOGSTORE_READ_FAILED = 0,
    LOGSTORE_READ_RECORD,
    LOGSTORE_READ_END, /* nothing more at present */
};

/* A reader that stands at `offset`, which needn't exist yet. ERROR_NOT_FOUND: topic or partition. */
struct logstore_reader *logstore_reader_open(struct logstore *store, struct str topic, uint32_t partition,
                                             int64_t offset, struct error *error);

/* Frees it and sets *reader to NULL; NULL is accepted. */
void logstore_reader_close(struct logstore_reader **reader);

/* The next record, its checksum verified. What it points to is valid until the next call for the reader.
 * Offsets that compaction removed are passed over. ERROR_NOT_FOUND: retention has deleted the record at the
 * reader's offset, or the topic is gone; ERROR_CORRUPT: a record is damaged; the reader stays where it is. */
enum logstore_read logstore_read(struct logstore_reader *reader, struct logstore_record *record,
                                 struct error *error);

/* After ERROR_CORRUPT: goes behind what is damaged, to the next records that may be found: of the following
 * batch, or of one that an index or a segment begins with, or to the end. False: what comes next can't be
 * told either. */
bool logstore_reader_skip_damage(struct logstore_reader *reader, struct error *error);

/* The offset of the record that the next logstore_read() looks for. */
int64_t logstore_reader_offset(const struct logstore_reader *reader);
void logstore_reader_seek(struct logstore_reader *reader, int64_t offset);

/* --- looking after the log ---------------------------------------------------------------------------------
 */

/* Without a server, appends that fill a segment also do what follows for their partition. */

/* Whom long work tells how far it is. */
struct logstore_watcher {
    /* So many more offsets (more than 0) are done with; in the caller's thread, which must not call the
     * library meanwhile. When the work ends well, each offset from a partition's start to its end has been
     * told of once, counted from what they were when its turn came. */
    void (*tell)(void *context, int64_t offsets);
    void *context;
};

/* Deletes the segments that retention.ms and retention.bytes no longer keep, where cleanup.policy has
 * `delete`; the active one as well when all of its records are older. `watcher` may be NULL.
 * ERROR_NOT_FOUND. */
bool logstore_retain(struct logstore *store, struct str topic, const struct logstore_watcher *watcher,
                     struct error *error);

/* Keeps only the latest record of each key in all segments but the active one, where cleanup.policy has
 * `compact` and min.compaction.lag.ms is over; tombstones stay for delete.retention.ms. Offsets don't change.
 * `watcher` may be NULL. ERROR_NOT_FOUND. */
bool logstore_compact(struct logstore *store, struct str topic, const struct logstore_watcher *watcher,
                      struct error *error);

/* --- groups -------------------------------------------------------------------------------------------- */

enum { LOGSTORE_METADATA_MAX = 4096 };

struct logstore_commit {
    struct str topic;
    uint32_t partition;
    int64_t offset;      /* of the next record that the group will read */
    struct str metadata; /* any bytes, up to LOGSTORE_METADATA_MAX */
};

/* Commits offsets for a group without members; the group is made when it isn't there. The commits are applied
 * in order, each whole or not at all. ERROR_CONFLICT: the group has members; ERROR_NOT_FOUND: topic or
 * partition; ERROR_USAGE. */
bool logstore_commit(struct logstore *store, struct str group, const struct logstore_commit *commits,
                     size_t count, struct error *error);

/* The group's committed offset, -1 when it has none. ERROR_NOT_FOUND: topic or partition. */
bool logstore_committed(struct logstore *store, struct str group, struct str topic, uint32_t partition,
                        int64_t *offset, struct error *error);

/* Where a reset leads. Beyond the log's start or end it stops there, as Kafka's tool does. */
enum logstore_target {
    LOGSTORE_TO_EARLIEST,
    LOGSTORE_TO_LATEST,
    LOGSTORE_TO_OFFSET, /* value: the offset */
    LOGSTORE_TO_TIME,   /* value: a time; to the first record of it or later */
    LOGSTORE_BY_SHIFT,  /* value: how far from what is committed; negative: back */
};

struct logstore_reset_result {
    int64_t before; /* -1: nothing was committed */
    int64_t after;
};

/* Sets the group's committed offset of one partition; with `dry_run` only tells what it would be.
 * ERROR_CONFLICT: the group has members; ERROR_NOT_FOUND: group, topic or partition; ERROR_USAGE: a shift of
 * nothing. */
bool logstore_reset_group(struct logstore *store, struct str group, struct str topic, uint32_t partition,
                          enum logstore_target target, int64_t value, bool dry_run,
                          struct logstore_reset_result *result, struct error *error);

/* Deletes a group with its offsets. ERROR_CONFLICT: it has members; ERROR_NOT_FOUND. */
bool logstore_delete_group(struct logstore *store, struct str group, struct error *error);

/* Deletes the offsets of groups that have been empty for longer than offsets stay, those on topics that were
 * deleted, and groups that have none left; also what processes that were killed have left of deleted topics
 * and groups. Appends that fill a segment do it too. */
bool logstore_expire_offsets(struct logstore *store, struct error *error);

/* Sets how long offsets of an empty group stay (Kafka's offsets.retention.minutes), in milliseconds; a week
 * at first. ERROR_USAGE: it is negative. */
bool logstore_set_offsets_retention(struct logstore *store, int64_t retention_ms, struct error *error);

/* --- members of groups ------------------------------------------------------------------------------------
 */

/*
 * A consumer is a member of a group: each partition of the topics that it subscribed to is read by one
 * member. When members come, go, or are gone without a word, and when partitions are added, the group
 * rebalances: every member has to poll, then the next generation begins with a new assignment.
 *
 * There is no thread in the background: polling is what keeps a member alive. Whoever works longer on a
 * record than the session timeout calls logstore_consumer_heartbeat() meanwhile.
 *
 * Read, process, commit: what was processed but not committed when a member dies is read once more by another
 * one.
 */
struct logstore_consumer;

enum logstore_assignor { LOGSTORE_ASSIGN_RANGE = 0, LOGSTORE_ASSIGN_ROUND_ROBIN };

/* Where a group begins that has committed nothing, or whose offset retention has overtaken. */
enum logstore_reset { LOGSTORE_RESET_EARLIEST = 0, LOGSTORE_RESET_LATEST };

struct logstore_consumer_options {
    struct str client_id;            /* for people to recognise it by; may be empty */
    enum logstore_assignor assignor; /* the member that has been there longest decides */
    enum logstore_reset reset;
    int64_t session_timeout_ms;   /* without a sign of life for so long it is gone; 0: 45,000. While the
                                     machine sleeps no time passes, nor does it matter how clocks are set */
    int64_t max_poll_interval_ms; /* likewise without a poll; 0: 300,000 */
};

enum logstore_poll {
    LOGSTORE_POLL_FAILED = 0,
    LOGSTORE_POLL_RECORD,
    LOGSTORE_POLL_NOTHING,   /* the time is over */
    LOGSTORE_POLL_REBALANCE, /* partitions are about to be taken away: the last moment to commit. The next
                                poll agrees to it */
};

/* A record's origin. */
struct logstore_source {
    struct str topic; /* valid as long as the record */
    uint32_t partition;
};

/* Joins the group, which is made when it isn't there. Topics need not exist yet. `options` may be NULL. Used
 * by one thread at a time, but for logstore_consumer_heartbeat(). ERROR_USAGE. */
struct logstore_consumer *logstore_consumer_join(struct logstore *store, struct str group,
                                                 const struct str *topics, size_t topic_count,
                                                 const struct logstore_consumer_options *options,
                                                 struct error *error);

/* The next record of the partitions assigned, waiting up to `timeout_ms`. The record is valid until the next
 * call for the consumer. A member that was evicted joins again by itself. */
enum logstore_poll logstore_consumer_poll(struct logstore_consumer *consumer, int64_t timeout_ms,
                                          struct logstore_record *record, struct logstore_source *source,
                                          struct error *error);

/* Commits what the polls have returned so far. ERROR_CONFLICT: the group has gone on to another generation
 * meanwhile, or has evicted the member: what wasn't committed is read again, maybe by another one. */
bool logstore_consumer_commit(struct logstore_consumer *consumer, struct error *error);

/* Goes back, or on, to an offset of a partition that is assigned. ERROR_NOT_FOUND: it isn't. */
bool logstore_consumer_seek(struct logstore_consumer *consumer, struct str topic, uint32_t partition,
                            int64_t offset, struct error *error);

/* A sign of life; from any thread. ERROR_CONFLICT: it is gone already, and the next poll will join again. */
bool logstore_consumer_heartbeat(struct logstore_consumer *consumer, struct error *error);

/* The generation that it is in, 0 while it waits for one, and the number of partitions assigned to it. */
int64_t logstore_consumer_generation(const struct logstore_consumer *consumer);
size_t logstore_consumer_assigned(const struct logstore_consumer *consumer);

/* Leaves the group, so that the others needn't wait for the timeout; frees the consumer and sets *consumer to
 * NULL, whether or not it succeeds. NULL is accepted. */
bool logstore_consumer_leave(struct logstore_consumer **consumer, struct error *error);

/* The same without leaving: for the others it looks as if the process had died. */
void logstore_consumer_abandon(struct logstore_consumer **consumer);

/* --- observing ----------------------------------------------------------------------------------------- */

/*
 * Watches a whole store from outside, at little cost: for monitors. It needs read permission only, takes no
 * locks and writes nothing. Used by one thread at a time. Call, in this order,
 *
 *     logstore_observe_topics()     topics, and the partitions' start offsets
 *     logstore_observe_groups()     groups and their members
 *     logstore_observe_commits()    for each group that matters
 *     logstore_observe_ends()       the partitions' end offsets
 *
 * so that a race can only overstate lag. What they return belongs to the observer.
 */
struct logstore_observer;

struct logstore_observed_partition {
    int64_t start;           /* offset of the first record still there */
    int64_t end;             /* offset of the next record; -1 before logstore_observe_ends(), or unreadable */
    int64_t start_timestamp; /* of the first record still there; -1: empty */
};

struct logstore_observed_topic {
    struct str name;
    uint8_t id[16];
    struct logstore_config config;
    const struct logstore_observed_partition *partitions; /* by number */
    uint32_t partition_count;
};

enum logstore_group_state {
    LOGSTORE_GROUP_EMPTY = 0,
    LOGSTORE_GROUP_PREPARING_REBALANCE,
    LOGSTORE_GROUP_STABLE,
};

struct logstore_observed_member {
    struct str id, client_id, host; /* valid until the next logstore_observe_groups() */
    int64_t session_timeout_ms, max_poll_interval_ms;
    uint32_t assigned; /* number of partitions */
};

struct logstore_observed_group {
    struct str name;
    enum logstore_group_state state; /* members past their session timeout count as gone */
    int64_t generation;              /* rises by one with each rebalance; 0: never had a member; -1: can't be
                                        read */
    int64_t empty_since;             /* since when it has had no members; -1: it has some */
    const struct logstore_observed_member *members;
    size_t member_count;
    const struct error *failure; /* why what is above can't be read; NULL: it could. Commits may be readable
                                    nevertheless. Valid until the next logstore_observe_groups() */
};

struct logstore_observed_commit {
    uint32_t topic; /* index into the observed topics */
    uint32_t partition;
    int64_t offset;
    int64_t time;      /* when it was committed */
    uint64_t metadata; /* for logstore_observe_metadata(); 0: none */
};

/* Watches the store in the folder `path`, which may not be there yet, or go and come back. */
struct logstore_observer *logstore_observer_open(const char *path, struct error *error);

/* Frees it and sets *observer to NULL; NULL is accepted. */
void logstore_observer_close(struct logstore_observer **observer);

/* Observes all topics. *topics is valid until the next call of this function. ERROR_NOT_FOUND: there is no
 * store now. */
bool logstore_observe_topics(struct logstore_observer *observer,
                             const struct logstore_observed_topic **topics, size_t *count,
                             struct error *error);

/* Observes all groups, without their commits. *groups is valid until the next call of this function. */
bool logstore_observe_groups(struct logstore_observer *observer,
                             const struct logstore_observed_group **groups, size_t *count,
                             struct error *error);

/* Observes the commits of the group of this index on topics last observed, in no particular order.
 * *commits is valid until the next call of this function. */
bool logstore_observe_commits(struct logstore_observer *observer, size_t group,
                              const struct logstore_observed_commit **commits, size_t *count,
                              struct error *error);

/* Fills in `end` of all partitions of the topics last observed. ERROR_CORRUPT: some couldn't be read; the
 * others are filled in. */
bool logstore_observe_ends(struct logstore_observer *observer, struct error *error);

/* The metadata of a commit of this group, valid until the next call of this function. ERROR_NOT_FOUND: it has
 * been replaced meanwhile. */
bool logstore_observe_metadata(struct logstore_observer *observer, size_t group,
                               const struct logstore_observed_commit *commit, struct str *metadata,
                               struct error *error);

/* The timestamp of the record at the offset, or of the first one still there after it; -1 when there is
 * none. `topic` is an index into the observed topics. */
bool logstore_observe_timestamp(struct logstore_observer *observer, uint32_t topic, uint32_t partition,
                                int64_t offset, int64_t *timestamp, struct error *error);

/* How long the offsets of an empty group stay (Kafka's offsets.retention.minutes), in milliseconds; as of the
 * last logstore_observe_topics(). */
int64_t logstore_observe_offsets_retention_ms(const struct logstore_observer *observer);

#endif
