#ifndef TIDEMARK_KAFKA_CONFIGS_H
#define TIDEMARK_KAFKA_CONFIGS_H

#include "collectors/kafka/poll.h"

/* The configuration of topics, and how long the brokers keep offsets: asked for when a topic is new or was
 * made again, and now and then later, since it seldom changes. All zero at first. */
struct kafka_configs {
    struct kafka_topic_config {
        char *name; /* owned */
        struct topic_config config;
        int64_t due_us; /* monotonic; when to ask again */
        uint32_t partitions;
        int64_t written; /* messages, ever, when that was last known */
    } * topics;          /* owned; sorted by name */
    uint32_t count;
    int64_t offsets_retention_ms; /* 0: not known yet */
    int64_t broker_due_us;
};

void kafka_configs_free(struct kafka_configs *configs);

/* Sets the configuration of the snapshot's topics, which are in order, and its offsets_retention_ms. What may
 * not be read or isn't answered stays unknown. */
void kafka_read_configs(struct kafka_poll *poll, struct kafka_configs *configs);

#endif
