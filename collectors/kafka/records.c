#include "collectors/kafka/records.h"

#include "exporter/base/clock.h"
#include "exporter/base/mem.h"

#include <stdlib.h>
#include <string.h>

/*
 * In rounds: many partitions are assigned at once, each at the first offset that is wanted of it; the first
 * record that comes of each answers that, and the ones behind it may answer more.
 */
enum {
    ROUND_PARTITIONS = 500,
    ROUND_MS = 2000, /* until a partition from which nothing comes is given up for this poll */
    BATCH_MESSAGES = 256,
    SAMPLE_RECORDS = 10000,
    BUDGET_MS = 2000,   /* of a poll, from the first answer on; what doesn't fit is for the next ones */
    INTERVAL_SHARE = 4, /* and at most this part of the poll interval */
};

/* How far a partition is in this poll. */
enum progress {
    IDLE,
    OPEN, /* assigned, and nothing has come yet */
    LOST, /* there is no use in trying again */
};

/* A round under way. */
struct round {
    struct kafka_poll *poll;
    struct kafka_layout *layout;
    struct kafka_reader *reader;
    enum progress *progress; /* of each partition of the snapshot */
    size_t open, answered;
    int64_t budget_us, deadline_us; /* of the poll; there is no deadline until something has come */
    uint32_t last_topic;            /* of the last message: the next one is likely of the same */
    bool is_broken;                 /* nothing comes any more */
};

void kafka_reader_free(struct kafka_reader *reader)
{
    kafka_client_free(&reader->client);
    kafka_marks_free(&reader->marks);
}

bool kafka_reader_open(struct kafka_reader *reader, const struct source_config *config, struct error *error)
{
    if (reader->client == NULL)
        reader->client = kafka_client_new(config, KAFKA_READER, error);
    return reader->client != NULL;
}

void kafka_reader_renew(struct kafka_reader *reader)
{
    kafka_client_free(&reader->client);
    reader->knows_topics = false;
}

void kafka_reader_move(struct kafka_reader *reader, const uint32_t *moved)
{
    kafka_marks_move(&reader->marks, moved);
    reader->knows_topics = false;
}

/* --- what comes ---------------------------------------------------------------------------------------- */

/* The partition's index in the snapshot; KAFKA_GONE: it isn't there. */
static uint32_t partition_of(struct round *round, const rd_kafka_message_t *message)
{
    const struct kafka_layout *layout = round->layout;
    const char *name = message->rkt != NULL ? rd_kafka_topic_name(message->rkt) : NULL;
    if (name == NULL || message->partition < 0)
        return KAFKA_GONE;
    if (strcmp(layout->topics[round->last_topic].name, name) != 0) {
        int64_t index = snapshot_find_topic(round->poll->snapshot, str_of(name));
        if (index == NO_INDEX)
            return KAFKA_GONE;
        round->last_topic = (uint32_t)index;
    }
    const struct kafka_laid_topic *topic = &layout->topics[round->last_topic];
    uint32_t number = (uint32_t)message->partition;
    return number < topic->partitions ? topic->first_partition + number : KAFKA_GONE;
}

/* What is old counts less and less: producers change. */
static void sample_key(struct kafka_laid_topic *topic, const rd_kafka_message_t *message)
{
    if (topic->sampled == SAMPLE_RECORDS) {
        topic->sampled /= 2;
        topic->unkeyed /= 2;
    }
    topic->sampled++;
    topic->unkeyed += message->key == NULL;
}

static void take_record(struct round *round, uint32_t partition, const rd_kafka_message_t *message)
{
    rd_kafka_timestamp_type_t type;
    int64_t timestamp = rd_kafka_message_timestamp(message, &type);
    bool has_one = type != RD_KAFKA_TIMESTAMP_NOT_AVAILABLE && timestamp >= 0;
    kafka_marks_settle(&round->reader->marks, partition, message->offset, has_one ? timestamp : UNDATED);
    sample_key(&round->layout->topics[round->last_topic], message);
}

/* Returns how far the partition is now. */
static enum progress take_answer(struct round *round, uint32_t partition, const rd_kafka_message_t *message)
{
    if (message->err == RD_KAFKA_RESP_ERR_NO_ERROR) {
        take_record(round, partition, message);
        return IDLE;
    }
    if (message->err == RD_KAFKA_RESP_ERR__PARTITION_EOF)
        kafka_marks_settle_end(&round->reader->marks, partition, message->offset);
    else
        kafka_poll_failed(round->poll, STAGE_TIMESTAMPS, message->err, "records of topic",
                          round->poll->snapshot->topics[round->last_topic].name);
    return LOST;
}

/* A poll whose time were over before the first answer would get nowhere, and so would the next ones, where
 * brokers take longer to answer than a short interval allows for. */
static void begin_budget(struct round *round)
{
    if (round->deadline_us == INT64_MAX)
        round->deadline_us = clock_monotonic_us() + round->budget_us;
}

static void take_message(struct round *round, const rd_kafka_message_t *message)
{
    uint32_t partition = partition_of(round, message);
    if (partition == KAFKA_GONE || round->progress[partition] == LOST)
        return;
    bool was_open = round->progress[partition] == OPEN;
    begin_budget(round);
    round->progress[partition] = take_answer(round, partition, message);
    round->open -= was_open;
    round->answered += was_open;
}

/* For how long the round may still wait. */
static int64_t time_left_us(const struct round *round, int64_t round_us)
{
    return (round_us < round->deadline_us ? round_us : round->deadline_us) - clock_monotonic_us();
}

static void take_messages(struct round *round, int64_t round_us)
{
    rd_kafka_message_t *messages[BATCH_MESSAGES];
    rd_kafka_t *handle = kafka_client_handle(round->reader->client);
    rd_kafka_queue_t *queue = rd_kafka_queue_get_consumer(handle);
    for (int64_t left_us = time_left_us(round, round_us); round->open > 0 && left_us > 0;
         left_us = time_left_us(round, round_us)) {
        /* A batch waits until it is full; the first message shouldn't. */
        rd_kafka_message_t *message = rd_kafka_consumer_poll(handle, (int)(left_us / 1000) + 1);
        if (message == NULL)
            break;
        take_message(round, message);
        rd_kafka_message_destroy(message);
        ssize_t count = rd_kafka_consume_batch_queue(queue, 0, messages, BATCH_MESSAGES);
        for (ssize_t i = 0; i < count; i++) {
            take_message(round, messages[i]);
            rd_kafka_message_destroy(messages[i]);
        }
    }
    rd_kafka_queue_destroy(queue);
}

/* --- a round ------------------------------------------------------------------------------------------- */

/* The next partitions of which something is wanted, each at its first wanted offset. `*left` is how many
 * partitions have not been considered yet in this poll. */
static rd_kafka_topic_partition_list_t *next_partitions(struct round *round, uint32_t *left)
{
    const struct snapshot *snapshot = round->poll->snapshot;
    struct kafka_reader *reader = round->reader;
    rd_kafka_topic_partition_list_t *list = rd_kafka_topic_partition_list_new(ROUND_PARTITIONS);
    uint32_t topic = 0;
    for (; *left > 0 && list->cnt < ROUND_PARTITIONS; --*left, reader->next++) {
        if (reader->next >= snapshot->partition_count)
            reader->next = topic = 0;
        uint32_t partition = reader->next;
        const struct kafka_mark *mark = kafka_marks_wanted(&reader->marks, partition);
        if (mark == NULL || round->progress[partition] == LOST || snapshot->partitions[partition].leader < 0)
            continue;
        while (partition >=
               round->layout->topics[topic].first_partition + round->layout->topics[topic].partitions)
            topic++;
        const struct kafka_laid_topic *laid = &round->layout->topics[topic];
        rd_kafka_topic_partition_list_add(list, laid->name, (int32_t)(partition - laid->first_partition))
            ->offset = mark->offset;
        round->progress[partition] = OPEN;
    }
    return list;
}

static void read_round(struct round *round, const rd_kafka_topic_partition_list_t *list)
{
    rd_kafka_t *handle = kafka_client_handle(round->reader->client);
    int64_t round_us = clock_monotonic_us() + (int64_t)ROUND_MS * 1000;
    rd_kafka_resp_err_t code = rd_kafka_assign(handle, list);
    round->open = (size_t)list->cnt;
    round->answered = 0;
    if (code == RD_KAFKA_RESP_ERR_NO_ERROR)
        take_messages(round, round_us);
    if (code == RD_KAFKA_RESP_ERR_NO_ERROR && round->answered == 0 && clock_monotonic_us() >= round_us)
        code = RD_KAFKA_RESP_ERR__TIMED_OUT;
    rd_kafka_resp_err_t ended = rd_kafka_assign(handle, NULL);
    if (code == RD_KAFKA_RESP_ERR_NO_ERROR)
        code = ended;
    round->is_broken = code != RD_KAFKA_RESP_ERR_NO_ERROR;
    if (round->is_broken)
        kafka_poll_failed(round->poll, STAGE_TIMESTAMPS, code, "records of", STR_LITERAL("topics"));
}

/* What nothing has come from isn't tried again in this poll. */
static void close_partitions(struct round *round)
{
    for (uint32_t i = 0; i < round->poll->snapshot->partition_count; i++)
        if (round->progress[i] == OPEN)
            round->progress[i] = LOST;
}

/* Goes through the partitions again and again, until nothing is wanted of any or time is up. */
static void look_up(struct round *round)
{
    uint32_t left = round->poll->snapshot->partition_count, idle = 0;
    while (!round->is_broken && clock_monotonic_us() < round->deadline_us && idle < 2) {
        rd_kafka_topic_partition_list_t *list = next_partitions(round, &left);
        if (list->cnt > 0)
            read_round(round, list);
        close_partitions(round);
        idle = list->cnt > 0 ? 0 : idle + 1;
        if (left == 0)
            left = round->poll->snapshot->partition_count;
        rd_kafka_topic_partition_list_destroy(list);
    }
}

static bool is_any_wanted(const struct kafka_marks *marks)
{
    for (size_t i = 0; i < marks->count; i++)
        if (marks->items[i].state == KAFKA_MARK_WANTED)
            return true;
    return false;
}

/* Brings what the client knows of the topics up to date: a topic that it meets for the first time it would
 * learn about a second later. */
static rd_kafka_resp_err_t learn_topics(struct kafka_poll *poll, struct kafka_reader *reader)
{
    const struct rd_kafka_metadata *metadata;
    if (reader->knows_topics)
        return RD_KAFKA_RESP_ERR_NO_ERROR;
    rd_kafka_resp_err_t code = rd_kafka_metadata(kafka_client_handle(reader->client), 1, NULL, &metadata,
                                                 kafka_poll_timeout_ms(poll));
    if (code != RD_KAFKA_RESP_ERR_NO_ERROR)
        return code;
    rd_kafka_metadata_destroy(metadata);
    reader->knows_topics = true;
    return RD_KAFKA_RESP_ERR_NO_ERROR;
}

static void look_up_wanted(struct kafka_poll *poll, struct kafka_layout *layout, struct kafka_reader *reader)
{
    int64_t budget_ms = poll->config->poll_interval_ms / INTERVAL_SHARE;
    struct round round = {
        .poll = poll,
        .layout = layout,
        .reader = reader,
        .budget_us = 1000 * (budget_ms < BUDGET_MS ? budget_ms : BUDGET_MS),
        .deadline_us = INT64_MAX,
    };
    rd_kafka_resp_err_t code = learn_topics(poll, reader);
    round.is_broken = code != RD_KAFKA_RESP_ERR_NO_ERROR;
    if (round.is_broken)
        kafka_poll_failed(poll, STAGE_TIMESTAMPS, code, "metadata for", STR_LITERAL("records"));
    round.progress = MEM_ARRAY(poll->snapshot->partition_count, enum progress);
    look_up(&round);
    free(round.progress);
    if (round.is_broken)
        kafka_reader_renew(reader);
}

void kafka_read_timestamps(struct kafka_poll *poll, struct kafka_layout *layout, struct kafka_reader *reader)
{
    kafka_marks_follow(&reader->marks, poll->snapshot);
    if (is_any_wanted(&reader->marks))
        look_up_wanted(poll, layout, reader);
    kafka_marks_fill(&reader->marks, poll->snapshot);
    for (uint32_t i = 0; i < layout->count; i++)
        if (layout->topics[i].sampled > 0)
            poll->snapshot->topics[i].unkeyed_ratio =
                (double)layout->topics[i].unkeyed / (double)layout->topics[i].sampled;
}
