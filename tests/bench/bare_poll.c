/*
 * The yardstick for the daemon's polls: the same requests to the same broker through librdkafka, and nothing
 * done with the answers. What a monitor costs above this is its own doing.
 *
 *     bare_poll BOOTSTRAP POLLS INTERVAL_MS
 *
 * polls POLLS times after one to warm up and prints one line of JSON: CPU and wall time a poll, positions
 * seen.
 */

#include <librdkafka/rdkafka.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>

enum {
    TIMEOUT_MS = 30000,
    CALLS_IN_FLIGHT = 32,
    LIST_POSITIONS = 250,
    DISCOVERY_TURNS = 16,
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
    const char *settings[][2] = {
        {"bootstrap.servers", bootstrap}, {"isolation.level", "read_uncommitted"}, {"log_level", "0"}};
    for (size_t i = 0; i < sizeof settings / sizeof *settings; i++)
        if (rd_kafka_conf_set(conf, settings[i][0], settings[i][1], text, sizeof text) != RD_KAFKA_CONF_OK)
            die(settings[i][0], text);
    rd_kafka_t *client = rd_kafka_new(RD_KAFKA_PRODUCER, conf, text, sizeof text);
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

/* What a group is asked for: all that it has committed, in the first poll and every 16th; otherwise what that
 * brought, in lists of 250, which costs librdkafka 2.0.2 half as much. */
struct group {
    char *name;
    rd_kafka_topic_partition_list_t **lists;
    size_t list_count;
};

/* Sorted, because a request names a topic once for all partitions that follow one another. */
static void remember_lists(struct group *group, const rd_kafka_topic_partition_list_t *all)
{
    rd_kafka_topic_partition_list_t *sorted = rd_kafka_topic_partition_list_copy(all);
    rd_kafka_topic_partition_list_sort(sorted, NULL, NULL);
    group->list_count = ((size_t)sorted->cnt + LIST_POSITIONS - 1) / LIST_POSITIONS;
    group->lists = calloc(group->list_count + 1, sizeof(rd_kafka_topic_partition_list_t *));
    if (group->lists == NULL)
        die("positions", "no memory");
    for (int i = 0; i < sorted->cnt; i++) {
        rd_kafka_topic_partition_list_t **list = &group->lists[i / LIST_POSITIONS];
        if (*list == NULL)
            *list = rd_kafka_topic_partition_list_new(LIST_POSITIONS);
        rd_kafka_topic_partition_list_add(*list, sorted->elems[i].topic, sorted->elems[i].partition);
    }
    rd_kafka_topic_partition_list_destroy(sorted);
}

static void ask_commits(rd_kafka_t *client, rd_kafka_queue_t *queue, const struct group *group,
                        const rd_kafka_topic_partition_list_t *list)
{
    rd_kafka_ListConsumerGroupOffsets_t *request = rd_kafka_ListConsumerGroupOffsets_new(group->name, list);
    rd_kafka_ListConsumerGroupOffsets(client, &request, 1, NULL, queue);
    rd_kafka_ListConsumerGroupOffsets_destroy(request);
}

/* Takes an answer; returns the number of its positions. */
static int64_t take_commits(rd_kafka_queue_t *queue, struct group *groups, size_t count)
{
    size_t results = 0;
    rd_kafka_event_t *event = await(queue, "ListConsumerGroupOffsets");
    const rd_kafka_group_result_t **result = rd_kafka_ListConsumerGroupOffsets_result_groups(
        rd_kafka_event_ListConsumerGroupOffsets_result(event), &results);
    const rd_kafka_topic_partition_list_t *positions = rd_kafka_group_result_partitions(result[0]);
    const char *name = rd_kafka_group_result_name(result[0]);
    for (size_t i = 0; i < count; i++)
        if (groups[i].lists == NULL && strcmp(groups[i].name, name) == 0)
            remember_lists(&groups[i], positions);
    int64_t taken = positions->cnt;
    rd_kafka_event_destroy(event);
    return taken;
}

/* Several calls in flight. Returns the number of positions. */
static int64_t list_commits(rd_kafka_t *client, rd_kafka_queue_t *queue, struct group *groups, size_t count,
                            size_t turn)
{
    int64_t positions = 0;
    size_t in_flight = 0;
    for (size_t i = 0; i < count; i++) {
        bool all = groups[i].lists == NULL || (i + turn) % DISCOVERY_TURNS == 0;
        size_t calls = all ? 1 : groups[i].list_count;
        for (size_t c = 0; c < calls; c++) {
            if (in_flight == CALLS_IN_FLIGHT) {
                positions += take_commits(queue, groups, count);
                in_flight--;
            }
            ask_commits(client, queue, &groups[i], all ? NULL : groups[i].lists[c]);
            in_flight++;
        }
    }
    for (; in_flight > 0; in_flight--)
        positions += take_commits(queue, groups, count);
    return positions;
}

/* The groups of the first poll, which are those of all polls here. */
static struct group *first_groups(const char **names, size_t count)
{
    struct group *groups = calloc(count + 1, sizeof *groups);
    if (groups == NULL)
        die("groups", "no memory");
    for (size_t i = 0; i < count; i++)
        if ((groups[i].name = strdup(names[i])) == NULL)
            die("groups", "no memory");
    return groups;
}

/* The last one has no name. */
static void forget_groups(struct group *groups)
{
    for (struct group *group = groups; group->name != NULL; group++) {
        for (size_t i = 0; i < group->list_count; i++)
            rd_kafka_topic_partition_list_destroy(group->lists[i]);
        free(group->lists);
        free(group->name);
    }
    free(groups);
}

/* In the daemon's order: starts, groups and commits, ends. */
static int64_t poll_once(rd_kafka_t *client, rd_kafka_queue_t *queue, struct group **groups, size_t turn)
{
    rd_kafka_topic_partition_list_t *partitions = list_partitions(client);
    list_offsets(client, partitions, EARLIEST);
    rd_kafka_event_t *event;
    size_t count;
    const char **names = list_groups(client, queue, &event, &count);
    describe_groups(client, queue, names, count);
    if (*groups == NULL)
        *groups = first_groups(names, count);
    int64_t positions = list_commits(client, queue, *groups, count, turn);
    list_offsets(client, partitions, LATEST);
    free(names);
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
    if (polls <= 0 || interval_ms < 0)
        die("usage", "POLLS and INTERVAL_MS are numbers");
    rd_kafka_t *client = connect_to(argv[1]);
    rd_kafka_queue_t *queue = rd_kafka_queue_new(client);
    struct group *groups = NULL;
    int64_t positions = poll_once(client, queue, &groups, 0);
    double cpu = now(CLOCK_PROCESS_CPUTIME_ID), wall = 0;
    for (long i = 0; i < polls; i++) {
        nanosleep(&(struct timespec){interval_ms / 1000, interval_ms % 1000 * 1000000}, NULL);
        double start = now(CLOCK_MONOTONIC);
        positions = poll_once(client, queue, &groups, (size_t)i + 1);
        wall += now(CLOCK_MONOTONIC) - start;
    }
    cpu = now(CLOCK_PROCESS_CPUTIME_ID) - cpu;
    printf("{\"cpu_seconds\": %.6f, \"wall_seconds\": %.6f, \"positions\": %lld}\n", cpu / (double)polls,
           wall / (double)polls, (long long)positions);
    forget_groups(groups);
    rd_kafka_queue_destroy(queue);
    rd_kafka_destroy(client);
    return 0;
}
