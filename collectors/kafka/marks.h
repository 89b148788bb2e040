#ifndef TIDEMARK_KAFKA_MARKS_H
#define TIDEMARK_KAFKA_MARKS_H

#include "exporter/snapshot.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/*
 * The offsets whose records' timestamps are wanted: the first unread one of each position, the first one of
 * each partition on which there is a position, and the first one of the oldest open transaction. A record
 * doesn't change, so what was found stays known for as long as it is wanted. Nothing here speaks with Kafka.
 */

enum kafka_mark_state {
    KAFKA_MARK_WANTED,  /* not looked up yet */
    KAFKA_MARK_FOUND,   /* timestamp is that of the first record at or after offset */
    KAFKA_MARK_NOTHING, /* there is none: only markers of transactions, or what compaction took */
};

struct kafka_mark {
    int64_t offset;
    int64_t timestamp; /* UNDATED: the record has none; UNKNOWN: it was not found */
    int64_t end;       /* of the partition, in the last poll */
    uint32_t partition;
    enum kafka_mark_state state;
};

/* All zero at first. */
struct kafka_marks {
    struct kafka_mark *items; /* owned; by partition, then offset */
    size_t count;
    size_t *first; /* owned; of each partition, and behind the last one: the index of its first mark */
    uint32_t partitions;
};

void kafka_marks_free(struct kafka_marks *marks);

/* Makes what is known of the last poll's partitions fit this one's: moved[i] is the new index of partition i.
 */
void kafka_marks_move(struct kafka_marks *marks, const uint32_t *moved);

/* Makes the marks those that the sealed snapshot wants; what is known of them is kept. */
void kafka_marks_follow(struct kafka_marks *marks, const struct snapshot *snapshot);

/* The first mark of the partition that is not looked up yet, or NULL. */
struct kafka_mark *kafka_marks_wanted(const struct kafka_marks *marks, uint32_t partition);

/* A record of the partition, the first one at or after the partition's first wanted mark, or one that follows
 * without a gap in what was read. Settles the marks that it answers. */
void kafka_marks_settle(struct kafka_marks *marks, uint32_t partition, int64_t offset, int64_t timestamp);

/* Reading from the first wanted mark on reached `end` without a record: there is none before it. */
void kafka_marks_settle_end(struct kafka_marks *marks, uint32_t partition, int64_t end);

/* Sets next_ts, start_ts and open_txn_since in the snapshot that kafka_marks_follow() was given last. */
void kafka_marks_fill(const struct kafka_marks *marks, struct snapshot *snapshot);

#endif
