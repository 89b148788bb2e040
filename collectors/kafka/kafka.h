#ifndef TIDEMARK_KAFKA_H
#define TIDEMARK_KAFKA_H

#include "collectors/collector.h"

/*
 * The collector of a Kafka cluster (0.11 and later), through librdkafka. It asks with admin requests: topics
 * and brokers from metadata, start and end offsets (ListOffsets), the groups of consumers, their members and
 * their committed offsets. It follows __consumer_offsets, where it may, and then needs to ask
 * seldom; it reads single records for their timestamps. It writes nothing: it makes no
 * topic, joins no group and commits nothing.
 *
 * Permissions: Describe on the cluster, topics and groups gives lag; DescribeConfigs on topics and the
 * cluster gives retention; Read on topics gives the time lag, and on __consumer_offsets exact counts of
 * rebalances. A missing one costs only what it gives.
 *
 * `address` is the bootstrap servers; properties are librdkafka's
 * (https://github.com/confluentinc/librdkafka/blob/v2.0.2/CONFIGURATION.md). Internal topics such as
 * __consumer_offsets are observed like any other unless a filter leaves them out. librdkafka's own log is
 * heard if the property `debug` is set.
 */
extern const struct collector_kind kafka_collector;

/* The version of librdkafka that runs; static. */
const char *kafka_client_version(void);

#endif
