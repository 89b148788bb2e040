#include "collectors/kafka/follower.h"

#include "exporter/base/clock.h"
#include "exporter/base/mem.h"

#include <malloc.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>

/*
 * 1. A partition is settled in a poll when all below its high watermark of that poll was read. The high
 *    watermark is what the coordinator itself answers from; an open transaction keeps the follower before it.
 * 2. What the last messages are is known by their offsets, or by the end of the partition where markers of
 *    transactions are the last.
 * 3. All records of a group are in one partition of the topic.
 */
enum {
    BATCH_MESSAGES = 512,
    GOALS_MS = 2000,
    AWAIT_MS = 200,   /* until the first reading looks whether it is to stop */
    WAKE_MS = 20,     /* without anything at all, until the client is woken */
    SETTLE_MS = 1000, /* without anything new of what is missing, until a poll goes on without it */
    PROBE_MS = 5000,
    RETRY_US = 5 * 60 * 1000000, /* until what was denied is tried again */
    BEHIND_US = 60 * 1000000,    /* until a partition that stays behind is read by a new client */
    TIMESTAMP_LATEST = -1,       /* of ListOffsets (KIP-79) */
};

/* A partition of the topic. */
struct followed {
    int64_t reached;   /* all below is read */
    int64_t target;    /* up to where it is to be read: its high watermark in this poll; -1: not known */
    int32_t leader;    /* -1: none */
    bool has_ended;    /* its end was reached, in the first reading */
    bool is_settled;   /* in this poll */
    bool is_blocked;   /* an open transaction is in front: there is no use in waiting */
    int64_t behind_us; /* since when it stays behind though it could go on; 0: it doesn't */
};

/* While the first reading goes on, all but the first group of members is its thread's. */
struct kafka_follower {
    const struct source_config *config;
    bool is_reading;
    pthread_t reader;
    atomic_bool has_ended; /* the first reading, by itself */
    atomic_bool has_to_end;
    int64_t retry_us; /* not before, after it was denied */
    bool was_denied;  /* and hasn't been read since */

    struct kafka_client *client; /* NULL: not following */
    rd_kafka_queue_t *queue;
    struct kafka_replica *replica;
    struct followed *partitions; /* owned */
    int32_t partition_count;
    bool is_denied, is_broken; /* what the client said */
};

static void end_reading(struct kafka_follower *follower)
{
    if (!follower->is_reading)
        return;
    atomic_store(&follower->has_to_end, true);
    pthread_join(follower->reader, NULL);
    follower->is_reading = false;
}

static void stop(struct kafka_follower *follower)
{
    if (follower->queue != NULL)
        rd_kafka_queue_destroy(follower->queue);
    follower->queue = NULL;
    kafka_client_free(&follower->client);
}

/* Forgets all that was read. */
static void forget(struct kafka_follower *follower)
{
    stop(follower);
    kafka_replica_free(&follower->replica);
    free(follower->partitions);
    follower->partitions = NULL;
    follower->partition_count = 0;
    follower->is_denied = follower->is_broken = false;
}

struct kafka_follower *kafka_follower_new(const struct source_config *config)
{
    struct kafka_follower *follower = MEM_NEW(struct kafka_follower);
    follower->config = config;
    return follower;
}

void kafka_follower_free(struct kafka_follower **follower)
{
    if (*follower == NULL)
        return;
    end_reading(*follower);
    forget(*follower);
    free(*follower);
    *follower = NULL;
}

/* --- reading ------------------------------------------------------------------------------------------- */

static void take_failure(struct kafka_follower *follower, rd_kafka_resp_err_t code)
{
    switch ((int)code) {
    case RD_KAFKA_RESP_ERR_TOPIC_AUTHORIZATION_FAILED:
        follower->is_denied = true;
        return;
    case RD_KAFKA_RESP_ERR_OFFSET_OUT_OF_RANGE: /* it was truncated, or made again */
    case RD_KAFKA_RESP_ERR__AUTO_OFFSET_RESET:
    case RD_KAFKA_RESP_ERR_UNKNOWN_TOPIC_OR_PART:
    case RD_KAFKA_RESP_ERR__UNKNOWN_PARTITION:
        follower->is_broken = true;
        return;
    default: /* the client tries again by itself, and what isn't settled is asked for */
        return;
    }
}

static void take_message(struct kafka_follower *follower, const rd_kafka_message_t *message)
{
    if (message->rkt == NULL || message->partition < 0 || message->partition >= follower->partition_count)
        return;
    struct followed *partition = &follower->partitions[message->partition];
    if (message->err == RD_KAFKA_RESP_ERR__PARTITION_EOF) {
        partition->reached = message->offset > partition->reached ? message->offset : partition->reached;
        partition->has_ended = true;
        return;
    }
    if (message->err != RD_KAFKA_RESP_ERR_NO_ERROR) {
        take_failure(follower, message->err);
        return;
    }
    kafka_replica_take(follower->replica, message->partition, (struct str){message->key, message->key_len},
                       (struct str){message->payload, message->len});
    partition->reached = message->offset + 1;
}

/* Takes what has come and, if that is nothing, what comes first within that time. False when nothing did. */
static bool take_messages(struct kafka_follower *follower, int wait_ms)
{
    rd_kafka_message_t *messages[BATCH_MESSAGES];
    /* A batch waits until it is full; the first message shouldn't. */
    ssize_t count = rd_kafka_consume_batch_queue(follower->queue, 0, messages, BATCH_MESSAGES);
    if (count <= 0 && wait_ms > 0)
        count = rd_kafka_consume_batch_queue(follower->queue, wait_ms, messages, 1);
    for (ssize_t i = 0; i < count; i++) {
        take_message(follower, messages[i]);
        rd_kafka_message_destroy(messages[i]);
    }
    return count > 0;
}

/* The ends of the partitions in `list`, as the client sees them. */
static bool list_ends(struct kafka_client *client, rd_kafka_topic_partition_list_t *list, int timeout_ms)
{
    for (int i = 0; i < list->cnt; i++)
        list->elems[i].offset = TIMESTAMP_LATEST;
    return rd_kafka_offsets_for_times(kafka_client_handle(client), list, timeout_ms) ==
           RD_KAFKA_RESP_ERR_NO_ERROR;
}

/* Up to where the first reading goes. A partition that is written all the time never says that it ends. */
static bool set_goals(struct kafka_follower *follower)
{
    rd_kafka_topic_partition_list_t *list = rd_kafka_topic_partition_list_new(follower->partition_count);
    rd_kafka_topic_partition_list_add_range(list, KAFKA_OFFSETS_TOPIC, 0, follower->partition_count - 1);
    bool listed = list_ends(follower->client, list, GOALS_MS);
    for (int i = 0; i < list->cnt && listed; i++)
        if (list->elems[i].err == RD_KAFKA_RESP_ERR_NO_ERROR)
            follower->partitions[list->elems[i].partition].target = list->elems[i].offset;
    rd_kafka_topic_partition_list_destroy(list);
    return listed;
}

static bool is_all_read(const struct kafka_follower *follower)
{
    bool all = follower->partition_count > 0;
    for (int32_t i = 0; i < follower->partition_count && all; i++) {
        const struct followed *partition = &follower->partitions[i];
        all = partition->has_ended || (partition->target >= 0 && partition->reached >= partition->target);
    }
    return all;
}

/* The thread of the first reading. */
static void *read_all(void *context)
{
    struct kafka_follower *follower = context;
    bool has_goals = false;
    while (!atomic_load(&follower->has_to_end) && !follower->is_denied && !follower->is_broken &&
           (!has_goals || !is_all_read(follower))) {
        has_goals = has_goals || set_goals(follower);
        take_messages(follower, AWAIT_MS);
    }
    kafka_replica_tidy(follower->replica);
    malloc_trim(0); /* of what was queued, and of the small runs of the sets */
    atomic_store(&follower->has_ended, true);
    return NULL;
}

/* --- following ----------------------------------------------------------------------------------------- */

/* Begins where the last client ended, or at the beginning of the topic. */
static void start(struct kafka_follower *follower)
{
    struct error error = {0};
    follower->client = kafka_client_new(follower->config, KAFKA_FOLLOWER, &error);
    error_clear(&error); /* what this client is refused, the others are too, and say so */
    if (follower->client == NULL)
        return;
    rd_kafka_t *handle = kafka_client_handle(follower->client);
    follower->queue = rd_kafka_queue_get_consumer(handle);
    rd_kafka_topic_partition_list_t *list = rd_kafka_topic_partition_list_new(follower->partition_count);
    for (int32_t i = 0; i < follower->partition_count; i++) {
        struct followed *partition = &follower->partitions[i];
        rd_kafka_topic_partition_list_add(list, KAFKA_OFFSETS_TOPIC, i)->offset =
            partition->reached > 0 ? partition->reached : RD_KAFKA_OFFSET_BEGINNING;
        partition->target = -1;
        partition->behind_us = 0;
    }
    if (rd_kafka_assign(handle, list) != RD_KAFKA_RESP_ERR_NO_ERROR)
        follower->is_broken = true;
    rd_kafka_topic_partition_list_destroy(list);
}

/* From the beginning, in a thread of its own. */
static void start_reading(struct kafka_follower *follower)
{
    follower->replica = kafka_replica_new(follower->config);
    follower->partitions = MEM_ARRAY((size_t)follower->partition_count, struct followed);
    start(follower);
    atomic_store(&follower->has_ended, false);
    atomic_store(&follower->has_to_end, false);
    follower->is_reading =
        follower->client != NULL && pthread_create(&follower->reader, NULL, read_all, follower) == 0;
    if (!follower->is_reading)
        forget(follower); /* the next poll tries again */
}

/* Makes it follow the topic as it is now, if that may be. False while there is nothing to be known. */
static bool keep_following(struct kafka_follower *follower, const struct kafka_poll *poll)
{
    if (follower->is_reading && !atomic_load(&follower->has_ended))
        return false;
    end_reading(follower);
    if (follower->is_denied) {
        follower->retry_us = clock_monotonic_us() + RETRY_US;
        follower->was_denied = true;
    }
    int32_t partitions = poll->offsets_topic.partitions; /* 0 also when the cluster is busy with itself */
    if (follower->is_denied || follower->is_broken ||
        (partitions > 0 && partitions != follower->partition_count))
        forget(follower);
    if (partitions == 0 || clock_monotonic_us() < follower->retry_us)
        return false;
    follower->partition_count = partitions;
    if (follower->partitions == NULL)
        start_reading(follower);
    else if (follower->client == NULL)
        start(follower);
    bool follows = !follower->is_reading && follower->client != NULL;
    follower->was_denied = follower->was_denied && !follows;
    return follows;
}

/* --- settling ------------------------------------------------------------------------------------------ */

/* Whether it is worth waiting for. */
static bool is_behind(const struct followed *partition)
{
    return partition->target >= 0 && !partition->is_blocked && partition->reached < partition->target;
}

static void list_high_watermarks(struct kafka_follower *follower, const struct kafka_poll *poll,
                                 rd_kafka_topic_partition_list_t *list)
{
    if (!list_ends(poll->client, list, kafka_poll_timeout_ms(poll)))
        return;
    for (int i = 0; i < list->cnt; i++) {
        struct followed *partition = &follower->partitions[list->elems[i].partition];
        if (list->elems[i].err != RD_KAFKA_RESP_ERR_NO_ERROR || list->elems[i].offset < 0)
            continue;
        partition->target = list->elems[i].offset;
        /* It was truncated, or made again. A leader that doesn't know yet how far it is says so (KIP-207). */
        if (partition->target < partition->reached)
            follower->is_broken = true;
    }
}

/* Finds those that an open transaction keeps from being read up to their end. */
static void list_last_stable(struct kafka_follower *follower, const struct kafka_poll *poll,
                             rd_kafka_topic_partition_list_t *list)
{
    if (!list_ends(follower->client, list, kafka_poll_timeout_ms(poll)))
        return;
    for (int i = 0; i < list->cnt; i++) {
        struct followed *partition = &follower->partitions[list->elems[i].partition];
        if (list->elems[i].err == RD_KAFKA_RESP_ERR_NO_ERROR && list->elems[i].offset < partition->target)
            partition->is_blocked = true;
    }
}

static bool is_any(const struct followed *partition)
{
    (void)partition;
    return true;
}

/* Asks each leader once about those of its partitions that fit: librdkafka gives no offset of a request in
 * which one partition fails, and one leader's silence shouldn't cost the others. */
static void ask_leaders(struct kafka_follower *follower, const struct kafka_poll *poll,
                        bool (*fits)(const struct followed *partition),
                        void (*ask)(struct kafka_follower *follower, const struct kafka_poll *poll,
                                    rd_kafka_topic_partition_list_t *list))
{
    for (uint32_t b = 0; b < poll->snapshot->broker_count; b++) {
        rd_kafka_topic_partition_list_t *list = rd_kafka_topic_partition_list_new(follower->partition_count);
        for (int32_t i = 0; i < follower->partition_count; i++)
            if (follower->partitions[i].leader == poll->snapshot->brokers[b].id &&
                fits(&follower->partitions[i]))
                rd_kafka_topic_partition_list_add(list, KAFKA_OFFSETS_TOPIC, i);
        if (list->cnt > 0)
            ask(follower, poll, list);
        rd_kafka_topic_partition_list_destroy(list);
    }
}

/* How many offsets are worth waiting for. */
static uint64_t count_missing(const struct kafka_follower *follower)
{
    uint64_t missing = 0;
    for (int32_t i = 0; i < follower->partition_count; i++)
        if (is_behind(&follower->partitions[i]))
            missing += (uint64_t)follower->partitions[i].target - (uint64_t)follower->partitions[i].reached;
    return missing;
}

/* Any request wakes librdkafka 2.0.2, which otherwise looks only once a second whether its queue has room
 * again; this one also tells whether there is something to wait for. */
static void wake(struct kafka_follower *follower, const struct kafka_poll *poll)
{
    ask_leaders(follower, poll, is_behind, list_last_stable);
}

/* Reads for as long as what is missing comes. What comes beyond the targets is no reason to wait for the
 * rest: a cluster is written all the time. */
static void read_missing(struct kafka_follower *follower, const struct kafka_poll *poll)
{
    uint64_t missing = count_missing(follower);
    int64_t now = clock_monotonic_us();
    int64_t end_us = now + (int64_t)kafka_poll_timeout_ms(poll) * 1000, pause_us = now + SETTLE_MS * 1000;
    int wait_ms = 0; /* the queue may have been full since the last poll */
    while (missing > 0 && now < end_us && now < pause_us) {
        if (!take_messages(follower, wait_ms)) {
            wake(follower, poll);
            wait_ms = WAKE_MS;
        }
        uint64_t left = count_missing(follower);
        now = clock_monotonic_us();
        if (left < missing)
            pause_us = now + SETTLE_MS * 1000;
        missing = left;
    }
}

/* While the first reading goes on, there is nothing that was settled. */
static void unsettle(struct kafka_follower *follower)
{
    for (int32_t i = 0; i < follower->partition_count && !follower->is_reading; i++)
        follower->partitions[i].is_settled = false;
}

static void begin_poll(struct kafka_follower *follower, const struct kafka_poll *poll)
{
    for (int32_t i = 0; i < follower->partition_count; i++) {
        struct followed *partition = &follower->partitions[i];
        partition->target = -1;
        partition->leader = poll->offsets_topic.leaders[i];
        partition->is_settled = partition->is_blocked = false;
    }
}

/* A client that stays behind though it could go on has lost its way: after a change of leaders, say. */
static void end_poll(struct kafka_follower *follower)
{
    int64_t now = clock_monotonic_us();
    bool is_lost = false;
    for (int32_t i = 0; i < follower->partition_count; i++) {
        struct followed *partition = &follower->partitions[i];
        partition->is_settled = partition->target >= 0 && partition->reached >= partition->target;
        if (!is_behind(partition))
            partition->behind_us = 0;
        else if (partition->behind_us == 0)
            partition->behind_us = now;
        is_lost = is_lost || (partition->behind_us > 0 && now - partition->behind_us > BEHIND_US);
    }
    if (is_lost)
        stop(follower);
}

void kafka_follower_settle(struct kafka_follower *follower, struct kafka_poll *poll)
{
    if (!keep_following(follower, poll)) {
        unsettle(follower);
        return;
    }
    begin_poll(follower, poll);
    ask_leaders(follower, poll, is_any, list_high_watermarks);
    read_missing(follower, poll);
    end_poll(follower);
}

/* --- what it knows ------------------------------------------------------------------------------------- */

enum kafka_follower_state kafka_follower_state(const struct kafka_follower *follower)
{
    if (follower->was_denied)
        return KAFKA_FOLLOWER_DENIED;
    if (follower->is_reading)
        return KAFKA_FOLLOWER_READING;
    return follower->replica != NULL ? KAFKA_FOLLOWER_FOLLOWS : KAFKA_FOLLOWER_ABSENT;
}

/* A group of which nothing was read may be in any partition. */
static bool are_all_settled(const struct kafka_follower *follower)
{
    bool settled = follower->partition_count > 0;
    for (int32_t i = 0; i < follower->partition_count && settled; i++)
        settled = follower->partitions[i].is_settled;
    return settled;
}

bool kafka_follower_finds(const struct kafka_follower *follower, struct str name,
                          struct kafka_replica_group **group)
{
    struct kafka_replica *replica = kafka_follower_replica(follower);
    *group = replica != NULL ? kafka_replica_find(replica, name) : NULL;
    if (replica == NULL || follower->client == NULL || follower->is_denied || follower->is_broken)
        return false;
    return *group != NULL && (*group)->log_partition >= 0
               ? follower->partitions[(*group)->log_partition].is_settled
               : are_all_settled(follower);
}

struct kafka_replica *kafka_follower_replica(const struct kafka_follower *follower)
{
    return follower == NULL || follower->is_reading ? NULL : follower->replica;
}

rd_kafka_resp_err_t kafka_follower_probe(const struct source_config *config, struct error *error)
{
    struct kafka_client *client = kafka_client_new(config, KAFKA_FOLLOWER, error);
    if (client == NULL)
        return RD_KAFKA_RESP_ERR__INVALID_ARG;
    rd_kafka_t *handle = kafka_client_handle(client);
    rd_kafka_topic_partition_list_t *list = rd_kafka_topic_partition_list_new(1);
    rd_kafka_topic_partition_list_add(list, KAFKA_OFFSETS_TOPIC, 0)->offset = RD_KAFKA_OFFSET_END;
    rd_kafka_resp_err_t code = rd_kafka_assign(handle, list);
    rd_kafka_topic_partition_list_destroy(list);
    int64_t deadline_us = clock_monotonic_us() + PROBE_MS * 1000;
    for (bool waits = code == RD_KAFKA_RESP_ERR_NO_ERROR; waits;) {
        int64_t left_us = deadline_us - clock_monotonic_us();
        rd_kafka_message_t *message = rd_kafka_consumer_poll(handle, left_us > 0 ? (int)(left_us / 1000) : 0);
        waits = message != NULL && message->rkt == NULL; /* of the client itself */
        code = message == NULL ? RD_KAFKA_RESP_ERR__TIMED_OUT : message->err;
        if (message != NULL)
            rd_kafka_message_destroy(message);
    }
    kafka_client_free(&client);
    return code == RD_KAFKA_RESP_ERR__PARTITION_EOF ? RD_KAFKA_RESP_ERR_NO_ERROR : code;
}
