#include "collectors/kafka/configs.h"

#include "exporter/base/clock.h"
#include "exporter/base/mem.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
    REFRESH_S = 300,
    RETRY_S = 60,         /* after a failure: most likely a permission is missing, and stays so */
    REQUEST_TOPICS = 500, /* each brings some forty settings */
};

void kafka_configs_free(struct kafka_configs *configs)
{
    for (uint32_t i = 0; i < configs->count; i++)
        free(configs->topics[i].name);
    free(configs->topics);
    *configs = (struct kafka_configs){0};
}

/* --- values -------------------------------------------------------------------------------------------- */

static int64_t parse_number(const char *value)
{
    char *end;
    errno = 0;
    long long number = strtoll(value, &end, 10);
    return errno != 0 || end == value || *end != '\0' ? UNKNOWN : number;
}

static int64_t parse_boolean(const char *value)
{
    return strcmp(value, "true") == 0 ? 1 : strcmp(value, "false") == 0 ? 0 : UNKNOWN;
}

static void set_entry(struct topic_config *config, const char *name, const char *value)
{
    const struct {
        const char *name;
        int64_t *number;
    } numbers[] = {
        {"retention.ms", &config->retention_ms},
        {"retention.bytes", &config->retention_bytes},
        {"segment.ms", &config->segment_ms},
        {"segment.bytes", &config->segment_bytes},
        {"min.compaction.lag.ms", &config->min_compaction_lag_ms},
        {"delete.retention.ms", &config->delete_retention_ms},
        {"min.insync.replicas", &config->min_insync_replicas},
    };
    for (size_t i = 0; i < sizeof numbers / sizeof *numbers; i++)
        if (strcmp(name, numbers[i].name) == 0)
            *numbers[i].number = parse_number(value);
    if (strcmp(name, "unclean.leader.election.enable") == 0)
        config->unclean_leader_election = parse_boolean(value);
    if (strcmp(name, "cleanup.policy") == 0)
        config->cleanup_policy = cleanup_policy_parse(str_of(value));
}

/* --- what is known, and what is to be asked for -------------------------------------------------------- */

static struct kafka_topic_config new_topic(const struct snap_topic *topic)
{
    /* A topic that was just added holds nothing but unknown settings. */
    return (struct kafka_topic_config){.name = mem_copy_str(topic->name), .config = topic->config};
}

/* How many messages were ever written to the topic; UNKNOWN where an end isn't known. */
static int64_t count_written(const struct snapshot *snapshot, const struct snap_topic *topic)
{
    int64_t written = 0;
    for (uint32_t i = 0; i < topic->partitions; i++) {
        int64_t end = snapshot->partitions[topic->first_partition + i].end;
        if (end < 0 || end > INT64_MAX - written)
            return UNKNOWN;
        written += end;
    }
    return written;
}

/* A topic that was made again under its name may have other settings. librdkafka 2.0.2 tells no ids of topics
 * (KIP-516), but a topic loses neither partitions nor what was written; an empty one can't be told apart. */
static void look_for_another(struct kafka_topic_config *known, const struct snapshot *snapshot,
                             const struct snap_topic *topic)
{
    int64_t written = count_written(snapshot, topic);
    if (topic->partitions < known->partitions || (written != UNKNOWN && written < known->written)) {
        known->config = topic->config;
        known->due_us = 0;
    }
    known->partitions = topic->partitions;
    if (written != UNKNOWN)
        known->written = written;
}

/* Makes the known topics those of the snapshot, index for index. */
static void follow(struct kafka_configs *configs, const struct snapshot *snapshot)
{
    struct kafka_topic_config *topics = MEM_ARRAY(snapshot->topic_count, struct kafka_topic_config);
    uint32_t old = 0;
    for (uint32_t i = 0; i < snapshot->topic_count; i++) {
        const struct snap_topic *topic = &snapshot->topics[i];
        while (old < configs->count && str_compare(str_of(configs->topics[old].name), topic->name) < 0)
            free(configs->topics[old++].name);
        bool known = old < configs->count && str_equal(str_of(configs->topics[old].name), topic->name);
        topics[i] = known ? configs->topics[old++] : new_topic(topic);
        look_for_another(&topics[i], snapshot, topic);
    }
    while (old < configs->count)
        free(configs->topics[old++].name);
    free(configs->topics);
    configs->topics = topics;
    configs->count = snapshot->topic_count;
}

/* --- asking -------------------------------------------------------------------------------------------- */

/* The calls under way. */
struct inquiry {
    struct kafka_poll *poll;
    struct kafka_configs *configs;
    rd_kafka_queue_t *queue;
    rd_kafka_AdminOptions_t *options;
    size_t open_calls;
};

static void call(struct inquiry *inquiry, rd_kafka_ConfigResource_t **resources, size_t count)
{
    rd_kafka_DescribeConfigs(kafka_client_handle(inquiry->poll->client), resources, count, inquiry->options,
                             inquiry->queue);
    rd_kafka_ConfigResource_destroy_array(resources, count);
    inquiry->open_calls++;
}

static void ask_topics(struct inquiry *inquiry, int64_t now_us)
{
    rd_kafka_ConfigResource_t *resources[REQUEST_TOPICS];
    size_t count = 0;
    for (uint32_t i = 0; i < inquiry->configs->count; i++) {
        struct kafka_topic_config *topic = &inquiry->configs->topics[i];
        if (topic->due_us > now_us)
            continue;
        topic->due_us = now_us + (int64_t)RETRY_S * 1000000;
        resources[count++] = rd_kafka_ConfigResource_new(RD_KAFKA_RESOURCE_TOPIC, topic->name);
        if (count == REQUEST_TOPICS) {
            call(inquiry, resources, count);
            count = 0;
        }
    }
    if (count > 0)
        call(inquiry, resources, count);
}

/* Any broker will do: that they keep offsets for different times would be a mistake of the cluster's owner.
 */
static void ask_broker(struct inquiry *inquiry, int64_t now_us)
{
    const struct snapshot *snapshot = inquiry->poll->snapshot;
    if (inquiry->configs->broker_due_us > now_us || snapshot->broker_count == 0)
        return;
    inquiry->configs->broker_due_us = now_us + (int64_t)RETRY_S * 1000000;
    char id[16];
    snprintf(id, sizeof id, "%d", snapshot->brokers[0].id);
    rd_kafka_ConfigResource_t *resource = rd_kafka_ConfigResource_new(RD_KAFKA_RESOURCE_BROKER, id);
    call(inquiry, &resource, 1);
}

/* --- answers ------------------------------------------------------------------------------------------- */

static void take_entry(struct kafka_configs *configs, struct topic_config *config,
                       const rd_kafka_ConfigEntry_t *entry)
{
    const char *name = rd_kafka_ConfigEntry_name(entry), *value = rd_kafka_ConfigEntry_value(entry);
    if (value == NULL)
        return; /* kept secret */
    if (config != NULL) {
        set_entry(config, name, value);
    } else if (strcmp(name, "offsets.retention.minutes") == 0) {
        int64_t minutes = parse_number(value);
        if (minutes > 0 && minutes <= INT32_MAX)
            configs->offsets_retention_ms = minutes * 60000;
    }
}

static void take_resource(struct inquiry *inquiry, const rd_kafka_ConfigResource_t *resource)
{
    bool is_topic = rd_kafka_ConfigResource_type(resource) == RD_KAFKA_RESOURCE_TOPIC;
    struct str name = str_of(rd_kafka_ConfigResource_name(resource));
    rd_kafka_resp_err_t code = rd_kafka_ConfigResource_error(resource);
    int64_t topic = is_topic ? snapshot_find_topic(inquiry->poll->snapshot, name) : NO_INDEX;
    if (code != RD_KAFKA_RESP_ERR_NO_ERROR) {
        kafka_poll_failed(inquiry->poll, STAGE_CONFIGS, code,
                          is_topic ? "configuration of topic" : "configuration of broker", name);
        return;
    }
    if (is_topic && topic == NO_INDEX)
        return;
    struct kafka_configs *configs = inquiry->configs;
    int64_t due_us = clock_monotonic_us() + (int64_t)REFRESH_S * 1000000;
    *(is_topic ? &configs->topics[topic].due_us : &configs->broker_due_us) = due_us;
    size_t count;
    const rd_kafka_ConfigEntry_t **entries = rd_kafka_ConfigResource_configs(resource, &count);
    for (size_t i = 0; i < count; i++)
        take_entry(configs, is_topic ? &configs->topics[topic].config : NULL, entries[i]);
}

/* False: librdkafka has broken its promise to answer each call. */
static bool take_answer(struct inquiry *inquiry)
{
    rd_kafka_event_t *event = kafka_poll_await(inquiry->poll, inquiry->queue);
    rd_kafka_resp_err_t code = event != NULL ? rd_kafka_event_error(event) : RD_KAFKA_RESP_ERR__TIMED_OUT;
    inquiry->open_calls--;
    if (code != RD_KAFKA_RESP_ERR_NO_ERROR) {
        kafka_poll_failed(inquiry->poll, STAGE_CONFIGS, code, "configuration of", STR_LITERAL("topics"));
    } else {
        size_t count;
        const rd_kafka_ConfigResource_t **resources =
            rd_kafka_DescribeConfigs_result_resources(rd_kafka_event_DescribeConfigs_result(event), &count);
        for (size_t i = 0; i < count; i++)
            take_resource(inquiry, resources[i]);
    }
    if (event == NULL)
        return false;
    rd_kafka_event_destroy(event);
    return true;
}

static void ask(struct kafka_poll *poll, struct kafka_configs *configs)
{
    int64_t now_us = clock_monotonic_us();
    struct inquiry inquiry = {
        .poll = poll,
        .configs = configs,
        .queue = rd_kafka_queue_new(kafka_client_handle(poll->client)),
        .options = kafka_poll_options(poll, RD_KAFKA_ADMIN_OP_DESCRIBECONFIGS),
    };
    ask_topics(&inquiry, now_us);
    ask_broker(&inquiry, now_us);
    while (inquiry.open_calls > 0 && take_answer(&inquiry))
        continue;
    rd_kafka_AdminOptions_destroy(inquiry.options);
    rd_kafka_queue_destroy(inquiry.queue);
}

void kafka_read_configs(struct kafka_poll *poll, struct kafka_configs *configs)
{
    follow(configs, poll->snapshot);
    ask(poll, configs);
    for (uint32_t i = 0; i < configs->count; i++)
        poll->snapshot->topics[i].config = configs->topics[i].config;
    if (configs->offsets_retention_ms > 0)
        poll->snapshot->offsets_retention_ms = configs->offsets_retention_ms;
}
