#ifndef TIDEMARK_KAFKA_RECORDS_H
#define TIDEMARK_KAFKA_RECORDS_H

#include "collectors/kafka/layout.h"
#include "collectors/kafka/marks.h"
#include "collectors/kafka/poll.h"

/* What reads single records. It joins no group and commits nothing. All zero at first. */
struct kafka_reader {
    struct kafka_client *client; /* owned; NULL: kafka_reader_open() makes it */
    bool knows_topics;           /* the client has learnt of those of the last layout */
    uint32_t next;               /* the partition to begin with, so that none is always left out */
    struct kafka_marks marks;
};

void kafka_reader_free(struct kafka_reader *reader);

/* Makes the client, unless it is there; doesn't wait for the cluster. False: a property can't be used. */
bool kafka_reader_open(struct kafka_reader *reader, const struct source_config *config, struct error *error);

/* Ends the client. */
void kafka_reader_renew(struct kafka_reader *reader);

/* Topics have changed: makes what is known of the last poll's partitions fit this one's. moved[i] is the new
 * index of partition i. */
void kafka_reader_move(struct kafka_reader *reader, const uint32_t *moved);

/* The reader is open. Looks up the timestamps of the records that wait to be read, and of the first ones of
 * the partitions, as far as the poll's time allows; sets them in the sealed snapshot, and what share of the
 * records that were read has no key. */
void kafka_read_timestamps(struct kafka_poll *poll, struct kafka_layout *layout, struct kafka_reader *reader);

#endif
