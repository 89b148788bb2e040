#ifndef TIDEMARK_KAFKA_POLL_H
#define TIDEMARK_KAFKA_POLL_H

#include "collectors/collector.h"
#include "collectors/kafka/client.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* A kind of failure of items: what is asked for, and the answer. */
struct kafka_failure {
    enum poll_stage stage;
    rd_kafka_resp_err_t code;
    const char *kind; /* static: "topic", "group" … */
    char *name;       /* owned; of the first item that failed so */
    size_t count;
};

/* The failures of a poll, for whoever wants more than the first one. All zero at first. */
struct kafka_failures {
    struct kafka_failure *items;
    size_t count, capacity;
};

void kafka_failures_free(struct kafka_failures *failures);

/* Where group coordinators keep what they know. */
#define KAFKA_OFFSETS_TOPIC "__consumer_offsets"

/* It, as the cluster lists it. */
struct kafka_offsets_topic {
    int32_t *leaders;   /* owned; broker ids, -1: none */
    int32_t partitions; /* 0: it isn't listed */
};

/* One poll under way: what its stages share. A stage returns false when the source as a whole could not be
 * observed; what fails for a part only is noted with kafka_poll_failed(). */
struct kafka_poll {
    const struct source_config *config;
    struct kafka_client *client, *stable; /* in the roles KAFKA_ADMIN and KAFKA_STABLE */
    struct snapshot *snapshot;
    struct poll_report *report;
    struct kafka_failures *failures; /* NULL: nobody wants them */
    struct kafka_offsets_topic offsets_topic;
    int64_t first_commit_us; /* monotonic; when commits began to be read */
    bool stale;              /* something failed in a way that a new client may mend */
};

/* Notes that an item failed which costs only itself: `kind` ("topic", "group") and name say which. */
void kafka_poll_failed(struct kafka_poll *poll, enum poll_stage stage, rd_kafka_resp_err_t code,
                       const char *kind, struct str name);

/* Sets the error of a stage that failed as a whole. Always false. */
bool kafka_poll_broken(struct kafka_poll *poll, rd_kafka_resp_err_t code, const char *doing,
                       struct error *error);

/* The time that one request may take, as librdkafka takes it. */
int kafka_poll_timeout_ms(const struct kafka_poll *poll);

/* Options of an admin request, with its deadline; the caller destroys them. */
rd_kafka_AdminOptions_t *kafka_poll_options(const struct kafka_poll *poll, rd_kafka_admin_op_t operation);

/* The next answer to the admin requests on the queue; the caller destroys it. NULL only if librdkafka broke
 * its promise that each request is answered by its deadline, be it with an error. */
rd_kafka_event_t *kafka_poll_await(const struct kafka_poll *poll, rd_kafka_queue_t *queue);

/* --- the stages, in their order ------------------------------------------------------------------------ */

/* Adds brokers, topics (those that the filter passes, by name) and their partitions. */
bool kafka_read_metadata(struct kafka_poll *poll, struct error *error);

#endif
