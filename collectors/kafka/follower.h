#ifndef TIDEMARK_KAFKA_FOLLOWER_H
#define TIDEMARK_KAFKA_FOLLOWER_H

#include "collectors/kafka/poll.h"
#include "collectors/kafka/replica.h"

#include <stdbool.h>
#include <stdint.h>

/*
 * Follows __consumer_offsets: a thread of its own reads it once from its beginning; from then on each poll
 * reads what was added. It reads committed records only, so that what a transaction takes back is never seen,
 * and joins no group. What it can't know at the moment (the topic isn't read up to its end, its leader is
 * away, an open transaction is in front) has to be asked of the cluster, group by group.
 */
struct kafka_follower;

/* How far it is. */
enum kafka_follower_state {
    KAFKA_FOLLOWER_ABSENT,  /* the topic isn't listed: nobody has committed yet, or it may not be described */
    KAFKA_FOLLOWER_DENIED,  /* it may not be read; that is tried again now and then */
    KAFKA_FOLLOWER_READING, /* on its way through the topic for the first time */
    KAFKA_FOLLOWER_FOLLOWS,
};

/* `config` outlives it. Doesn't wait for the cluster. */
struct kafka_follower *kafka_follower_new(const struct source_config *config);

/* Ends its thread within a second, frees it and sets *follower to NULL, which is accepted. */
void kafka_follower_free(struct kafka_follower **follower);

/* Brings its knowledge up to what has been committed when it is called. Nothing fails: where that doesn't
 * work in short time, kafka_follower_finds() says that it doesn't know. To be called after the metadata is
 * read. */
void kafka_follower_settle(struct kafka_follower *follower, struct kafka_poll *poll);

enum kafka_follower_state kafka_follower_state(const struct kafka_follower *follower);

/* Whether what it knows of the group is what was committed when it settled; *group is what it knows, or NULL
 * if the group has written nothing that it has read. Valid until the next poll. `follower` may be NULL. */
bool kafka_follower_finds(const struct kafka_follower *follower, struct str name,
                          struct kafka_replica_group **group);

/* What it has read; valid until the next poll. NULL: nothing yet. `follower` may be NULL. */
struct kafka_replica *kafka_follower_replica(const struct kafka_follower *follower);

/* Tries whether the topic may be read, for some seconds at most; the answer's code. */
rd_kafka_resp_err_t kafka_follower_probe(const struct source_config *config, struct error *error);

#endif
