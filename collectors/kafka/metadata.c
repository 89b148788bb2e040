#include "collectors/kafka/poll.h"

#include "exporter/base/buf.h"
#include "exporter/base/mem.h"

#include <stdlib.h>
#include <string.h>

/* The topics and brokers of the cluster, by one metadata request. */

typedef struct rd_kafka_metadata cluster_metadata;
typedef struct rd_kafka_metadata_topic topic_metadata;
typedef struct rd_kafka_metadata_partition partition_metadata;

static void add_brokers(struct snapshot *snapshot, const cluster_metadata *metadata)
{
    struct buf address = buf_make(SIZE_MAX);
    for (int i = 0; i < metadata->broker_cnt; i++) {
        const struct rd_kafka_metadata_broker *broker = &metadata->brokers[i];
        buf_reset(&address);
        buf_add_format(&address, strchr(broker->host, ':') != NULL ? "[%s]:%d" : "%s:%d", broker->host,
                       broker->port);
        snapshot_add_broker(snapshot, broker->id, buf_str(&address));
    }
    buf_free(&address);
}

static void fill_partition(struct snap_partition *partition, const partition_metadata *metadata)
{
    partition->leader = metadata->leader;
    partition->preferred_leader = metadata->replica_cnt > 0 ? metadata->replicas[0] : -1;
    partition->replicas = metadata->replica_cnt;
    partition->in_sync_replicas = metadata->isr_cnt;
}

static void add_topic(struct kafka_poll *poll, const topic_metadata *metadata)
{
    struct str name = str_of(metadata->topic);
    if (metadata->err != RD_KAFKA_RESP_ERR_NO_ERROR)
        kafka_poll_failed(poll, STAGE_METADATA, metadata->err, "topic", name);
    if (metadata->partition_cnt <= 0)
        return; /* only after an error: every topic has a partition */
    int64_t index = snapshot_add_topic(poll->snapshot, name, (uint32_t)metadata->partition_cnt);
    if (index == NO_INDEX)
        return;
    const struct snap_topic *topic = &poll->snapshot->topics[index];
    for (int i = 0; i < metadata->partition_cnt; i++) {
        const partition_metadata *partition = &metadata->partitions[i];
        if (partition->id < 0 || partition->id >= metadata->partition_cnt)
            kafka_poll_failed(poll, STAGE_METADATA, RD_KAFKA_RESP_ERR__BAD_MSG, "topic", name);
        else
            fill_partition(&poll->snapshot->partitions[topic->first_partition + (uint32_t)partition->id],
                           partition);
    }
}

static int topic_order(const void *a, const void *b)
{
    return strcmp(((const topic_metadata *)a)->topic, ((const topic_metadata *)b)->topic);
}

/* In the order of their names, so that sealing the snapshot needn't move anything. */
static void add_topics(struct kafka_poll *poll, const cluster_metadata *metadata)
{
    size_t count = 0;
    topic_metadata *wanted = MEM_ARRAY((size_t)metadata->topic_cnt, topic_metadata);
    for (int i = 0; i < metadata->topic_cnt; i++)
        if (name_filter_passes(&poll->config->topics, str_of(metadata->topics[i].topic)))
            wanted[count++] = metadata->topics[i];
    qsort(wanted, count, sizeof *wanted, topic_order);
    for (size_t i = 0; i < count; i++)
        add_topic(poll, &wanted[i]);
    free(wanted);
}

/* Also if a filter keeps it out of the snapshot. */
static void note_offsets_topic(struct kafka_offsets_topic *noted, const cluster_metadata *metadata)
{
    const topic_metadata *topic = metadata->topics, *end = topic + metadata->topic_cnt;
    while (topic < end && strcmp(topic->topic, KAFKA_OFFSETS_TOPIC) != 0)
        topic++;
    if (topic == end || topic->partition_cnt <= 0)
        return;
    noted->partitions = topic->partition_cnt;
    noted->leaders = MEM_ARRAY((size_t)topic->partition_cnt, int32_t);
    for (int i = 0; i < topic->partition_cnt; i++)
        noted->leaders[i] = -1;
    for (int i = 0; i < topic->partition_cnt; i++)
        if (topic->partitions[i].id >= 0 && topic->partitions[i].id < topic->partition_cnt)
            noted->leaders[topic->partitions[i].id] = topic->partitions[i].leader;
}

bool kafka_read_metadata(struct kafka_poll *poll, struct error *error)
{
    const cluster_metadata *metadata;
    rd_kafka_resp_err_t code =
        rd_kafka_metadata(kafka_client_handle(poll->client), 1, NULL, &metadata, kafka_poll_timeout_ms(poll));
    if (code != RD_KAFKA_RESP_ERR_NO_ERROR)
        return kafka_poll_broken(poll, code, "read the cluster's metadata", error);
    kafka_client_works(poll->client);
    add_brokers(poll->snapshot, metadata);
    add_topics(poll, metadata);
    note_offsets_topic(&poll->offsets_topic, metadata);
    rd_kafka_metadata_destroy(metadata);
    return true;
}
