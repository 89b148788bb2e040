#ifndef TIDEMARK_KAFKA_CLIENT_H
#define TIDEMARK_KAFKA_CLIENT_H

#include "collectors/collector.h"

#include <librdkafka/rdkafka.h>
#include <stdbool.h>

/* A librdkafka client and what it last complained about. One thread at a time, but for librdkafka's own. */
struct kafka_client;

/* What a client is for. */
enum kafka_role {
    KAFKA_ADMIN,    /* lists, describes; the end of a partition is its high watermark */
    KAFKA_STABLE,   /* the same, but the end of a partition is its last stable offset (KIP-98) */
    KAFKA_READER,   /* reads single records here and there */
    KAFKA_FOLLOWER, /* reads __consumer_offsets, and of it what is committed */
};

/* Makes a client; doesn't wait for the cluster. NULL: a property can't be used; the error names it. */
struct kafka_client *kafka_client_new(const struct source_config *config, enum kafka_role role,
                                      struct error *error);

/* Ends the client without waiting for the cluster, and for a second at most; sets *client to NULL. NULL is
 * accepted. */
void kafka_client_free(struct kafka_client **client);

rd_kafka_t *kafka_client_handle(const struct kafka_client *client);

/* Sets the error to what a code of librdkafka or Kafka means and, where no broker can be reached, what the
 * client last complained about, which is nearer to the cause. The caller wraps it with what it was doing. */
void kafka_client_error(struct kafka_client *client, rd_kafka_resp_err_t code, struct error *error);

/* What the client, a KAFKA_ADMIN, complained about of itself (no name, no connection, a wrong password …),
 * the nearest to a cause, and the code of that; NULL and no error when it hasn't for that time. Valid until
 * the client is used again. */
const char *kafka_client_complaint(struct kafka_client *client, int wait_ms, rd_kafka_resp_err_t *code);

/* Forgets what the client has complained about: it works. */
void kafka_client_works(struct kafka_client *client);

/* Whether the code means that nobody answered: there is no use in asking the same broker again now. */
bool kafka_is_silence(rd_kafka_resp_err_t code);

/* Whether the code means that the client's view of the cluster is out of date, in a way that it doesn't
 * always notice by itself: it should be replaced before the next poll. */
bool kafka_is_stale(rd_kafka_resp_err_t code);

#endif
