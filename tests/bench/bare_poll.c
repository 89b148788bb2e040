/*
 * The yardstick for the daemon's polls: the same requests to the same broker through librdkafka, and nothing
 * done with the answers. What a monitor costs above this is its own doing.
 *
 *     bare_poll BOOTSTRAP POLLS INTERVAL_MS
 *
 * polls POLLS times after a first one and prints one line of JSON: CPU and wall time a poll (0 where POLLS
 * is), the time from its start to the end of the first one, positions seen.
 */

#include <librdkafka/rdkafka.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <time.h>

enum {
    TIMEOUT_MS = 30000,
    CALLS_IN_FLIGHT = 32,
    EARLIEST = -2,
    LATEST = -1,
};

static void die(const char *doing, const char *why)
{
    fprintf(stderr, "bare_poll: %s: %s\n", doing, why);
    exit(1);
}

static rd_kafka_t *connect_to(const char *bootstrap)
{
    char text[512];
    rd_kafka_conf_t *conf = rd_kafka_conf_new();
    /* Without a group, librdkafka 2.0.2 crashes when a broker is no longer a group's coordinator. */
    const char *settings[][2] = {{"bootstrap.servers", bootstrap},
                                 {"isolation.level", "read_uncommitted"},
                                 {"group.id", "bare-poll"},
                                 {"log_level", "0"}};
    for (size_t i = 0; i < sizeof settings / sizeof *settings; i++)
        if (rd_kafka_conf_set(conf, settings[i][0], settings[i][1], text, sizeof text) != RD_KAFKA_CONF_OK)
            die(settings[i][0], text);
    rd_kafka_t *client = rd_kafka_new(RD_KAFKA_CONSUMER, conf, text, sizeof text);
    if (client == NULL)
        die("rd_kafka_new", text);
    return client;
}

/* Every partition of every topic, from one metadata request. */
static rd_kafka_topic_partition_list_t *list_partitions(rd_kafka_t *client)
{
    const struct rd_kafka_metadata *metadata;
    rd_kafka_resp_err_t code = rd_kafka_metadata(client, 1, NULL, &metadata, TIMEOUT_MS);
    if (code != RD_KAFKA_RESP_ERR_NO_ERROR)
        die("metadata", rd_kafka_err2str(code));
    rd_kafka_topic_partition_list_t *partitions = rd_kafka_topic_partition_list_new(1024);
    for (int t = 0; t < metadata->topic_cnt; t++)
        for (int p = 0; p < metadata->topics[t].partition_cnt; p++)
            rd_kafka_topic_partition_list_add(partitions, metadata->topics[t].topic, p);
    rd_kafka_metadata_destroy(metadata);
    return partitions;
}

static void list_offsets(rd_kafka_t *client, rd_kafka_topic_partition_list_t *partitions, int64_t which)
{
    for (int i = 0; i < partitions->cnt; i++)
        partitions->elems[i].offset = which;
    rd_kafka_resp_err_t code = rd_kafka_offsets_for_times(client, partitions, TIMEOUT_MS);
    if (code != RD_KAFKA_RESP_ERR_NO_ERROR)
        die("offsets_for_times", rd_kafka_err2str(code));
}

static rd_kafka_event_t *await(rd_kafka_queue_t *queue, const char *doing)
{
    rd_kafka_event_t *event = rd_kafka_queue_poll(queue, TIMEOUT_MS);
    if (event == NULL)
        die(doing, "no answer");
    if (rd_kafka_event_error(event) != RD_KAFKA_RESP_ERR_NO_ERROR)
        die(doing, rd_kafka_event_error_string(event));
    return event;
}

/* The names point into the event, which the caller destroys; free the array. */
static const char **list_groups(rd_kafka_t *client, rd_kafka_queue_t *queue, rd_kafka_event_t **event,
                                size_t *count)
{
    rd_kafka_ListConsumerGroups(client, NULL, queue);
    *event = await(queue, "ListConsumerGroups");
    const rd_kafka_ConsumerGroupListing_t **listed =
        rd_kafka_ListConsumerGroups_result_valid(rd_kafka_event_ListConsumerGroups_result(*event), count);
    const char **names = calloc(*count + 1, sizeof *names);
    if (names == NULL)
        die("groups", "no memory");
    for (size_t i = 0; i < *count; i++)
        names[i] = rd_kafka_ConsumerGroupListing_group_id(listed[i]);
    return names;
}

static void describe_groups(rd_kafka_t *client, rd_kafka_queue_t *queue, const char **names, size_t count)
{
    rd_kafka_DescribeConsumerGroups(client, names, count, NULL, queue);
    rd_kafka_event_destroy(await(queue, "DescribeConsumerGroups"));
}

/* All that the group has committed. */
static void ask_commits(rd_kafka_t *client, rd_kafka_queue_t *queue, const char *group)
{
    rd_kafka_ListConsumerGroupOffsets_t *request = rd_kafka_ListConsumerGroupOffsets_new(group, NULL);
    rd_kafka_ListConsumerGroupOffsets(client, &request, 1, NULL, queue);
    rd_kafka_ListConsumerGroupOffsets_destroy(request);
}

/* Takes an answer; returns the number of its positions. */
static int64_t take_commits(rd_kafka_queue_t *queue)
{
    size_t results = 0;
    rd_kafka_event_t *event = await(queue, "ListConsumerGroupOffsets");
    const rd_kafka_group_result_t **result = rd_kafka_ListConsumerGroupOffsets_result_groups(
        rd_kafka_event_ListConsumerGroupOffsets_result(event), &results);
    int64_t taken = rd_kafka_group_result_partitions(result[0])->cnt;
    rd_kafka_event_destroy(event);
    return taken;
}

/* Several calls in flight. Returns the number of positions. */
static int64_t list_commits(rd_kafka_t *client, rd_kafka_queue_t *queue, const char **groups, size_t count)
{
    int64_t positions = 0;
    for (size_t i = 0; i < count; i++) {
        if (i >= CALLS_IN_FLIGHT)
            positions += take_commits(queue);
        ask_commits(client, queue, groups[i]);
    }
    for (size_t i = 0; i < count && i < CALLS_IN_FLIGHT; i++)
        positions += take_commits(queue);
    return positions;
}

/* In the daemon's order: starts, groups and commits, ends. */
static int64_t poll_once(rd_kafka_t *client, rd_kafka_queue_t *queue)
{
    rd_kafka_topic_partition_list_t *partitions = list_partitions(client);
    list_offsets(client, partitions, EARLIEST);
    rd_kafka_event_t *event;
    size_t count;
    const char **groups = list_groups(client, queue, &event, &count);
    describe_groups(client, queue, groups, count);
    int64_t positions = list_commits(client, queue, groups, count);
    list_offsets(client, partitions, LATEST);
    free(groups);
    rd_kafka_event_destroy(event);
    rd_kafka_topic_partition_list_destroy(partitions);
    return positions;
}

static double seconds(struct timespec time)
{
    return (double)time.tv_sec + (double)time.tv_nsec / 1e9;
}

static double now(clockid_t clock)
{
    struct timespec time;
    if (clock_gettime(clock, &time) != 0)
        die("clock_gettime", "failed");
    return seconds(time);
}

int main(int argc, char **argv)
{
    if (argc != 4)
        die("usage", "bare_poll BOOTSTRAP POLLS INTERVAL_MS");
    long polls = strtol(argv[2], NULL, 10);
    long interval_ms = strtol(argv[3], NULL, 10);
    if (polls < 0 || interval_ms < 0)
        die("usage", "POLLS and INTERVAL_MS are numbers");
    double begun = now(CLOCK_MONOTONIC);
    rd_kafka_t *client = connect_to(argv[1]);
    rd_kafka_queue_t *queue = rd_kafka_queue_new(client);
    int64_t positions = poll_once(client, queue);
    double first = now(CLOCK_MONOTONIC) - begun;
    double cpu = now(CLOCK_PROCESS_CPUTIME_ID), wall = 0;
    for (long i = 0; i < polls; i++) {
        nanosleep(&(struct timespec){interval_ms / 1000, interval_ms % 1000 * 1000000}, NULL);
        double start = now(CLOCK_MONOTONIC);
        positions = poll_once(client, queue);
        wall += now(CLOCK_MONOTONIC) - start;
    }
    cpu = now(CLOCK_PROCESS_CPUTIME_ID) - cpu;
    printf("{\"cpu_seconds\": %.6f, \"wall_seconds\": %.6f, \"first_seconds\": %.6f, \"positions\": %lld}\n",
           polls > 0 ? cpu / (double)polls : 0, polls > 0 ? wall / (double)polls : 0, first,
           (long long)positions);
    rd_kafka_queue_destroy(queue);
    rd_kafka_destroy(client);
    return 0;
}
