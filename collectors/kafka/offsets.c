#include "collectors/kafka/offsets.h"

#include "exporter/base/clock.h"
#include "exporter/base/mem.h"

#include <stdlib.h>

enum {
    /* librdkafka 2.0.2 searches its answers linearly, so a request's cost grows with its square. */
    REQUEST_PARTITIONS = 128,
    REQUESTS_TO_ISOLATE = 200, /* how many requests a stage spends on finding the partitions that fail */
    DEADLINE_TIMEOUTS = 3,     /* of a stage */
    /* Special timestamps of ListOffsets (KIP-79). */
    TIMESTAMP_LATEST = -1,
    TIMESTAMP_EARLIEST = -2,
};

struct place {
    int32_t leader;
    uint32_t topic, partition; /* indexes of the snapshot */
};

struct kafka_lister {
    struct kafka_poll *poll;
    const struct kafka_layout *layout;
    struct place *places; /* by leader, then in the snapshot's order */
    size_t count;
    /* of the stage under way: */
    struct kafka_client *client;
    enum poll_stage stage;
    void (*take)(struct snap_partition *partition, int64_t offset);
    int64_t timestamp, deadline_us;
    size_t answered, spent;
    rd_kafka_resp_err_t failure; /* the last one */
};

static int place_order(const void *a, const void *b)
{
    const struct place *x = a, *y = b;
    if (x->leader != y->leader)
        return x->leader < y->leader ? -1 : 1;
    return (x->partition > y->partition) - (x->partition < y->partition);
}

/* Notes where the partitions of a topic are to be asked for. */
static void add_places(struct kafka_lister *lister, uint32_t index)
{
    const struct snap_topic *topic = &lister->poll->snapshot->topics[index];
    for (uint32_t i = 0; i < topic->partitions; i++) {
        uint32_t partition = topic->first_partition + i;
        int32_t leader = lister->poll->snapshot->partitions[partition].leader;
        if (leader >= 0)
            lister->places[lister->count++] = (struct place){leader, index, partition};
        else
            kafka_poll_failed(lister->poll, STAGE_METADATA, RD_KAFKA_RESP_ERR_LEADER_NOT_AVAILABLE, "topic",
                              topic->name);
    }
}

struct kafka_lister *kafka_lister_new(struct kafka_poll *poll, const struct kafka_layout *layout)
{
    const struct snapshot *snapshot = poll->snapshot;
    struct kafka_lister *lister = MEM_NEW(struct kafka_lister);
    lister->poll = poll;
    lister->layout = layout;
    lister->places = MEM_ARRAY(snapshot->partition_count, struct place);
    for (uint32_t i = 0; i < snapshot->topic_count; i++)
        add_places(lister, i);
    qsort(lister->places, lister->count, sizeof *lister->places, place_order);
    return lister;
}

void kafka_lister_free(struct kafka_lister **lister)
{
    if (*lister == NULL)
        return;
    free((*lister)->places);
    free(*lister);
    *lister = NULL;
}

/* --- one request --------------------------------------------------------------------------------------- */

static rd_kafka_topic_partition_list_t *list_of(const struct kafka_lister *lister, const struct place *places,
                                                size_t count)
{
    rd_kafka_topic_partition_list_t *list = rd_kafka_topic_partition_list_new((int)count);
    for (size_t i = 0; i < count; i++) {
        const struct kafka_laid_topic *topic = &lister->layout->topics[places[i].topic];
        rd_kafka_topic_partition_list_add(list, topic->name,
                                          (int32_t)(places[i].partition - topic->first_partition))
            ->offset = lister->timestamp;
    }
    return list;
}

static struct str topic_name(const struct kafka_lister *lister, const struct place *place)
{
    return lister->poll->snapshot->topics[place->topic].name;
}

static void take_answers(struct kafka_lister *lister, const struct place *places, size_t count,
                         const rd_kafka_topic_partition_list_t *list)
{
    for (size_t i = 0; i < count; i++) {
        const rd_kafka_topic_partition_t *answer = &list->elems[i];
        /* What the broker left out still holds the special timestamp. */
        if (answer->err == RD_KAFKA_RESP_ERR_NO_ERROR && answer->offset >= 0) {
            lister->take(&lister->poll->snapshot->partitions[places[i].partition], answer->offset);
            lister->answered++;
        } else {
            lister->failure =
                answer->err != RD_KAFKA_RESP_ERR_NO_ERROR ? answer->err : RD_KAFKA_RESP_ERR__BAD_MSG;
            kafka_poll_failed(lister->poll, lister->stage, lister->failure, "topic",
                              topic_name(lister, &places[i]));
        }
    }
}

static rd_kafka_resp_err_t ask(struct kafka_lister *lister, const struct place *places, size_t count)
{
    rd_kafka_topic_partition_list_t *list = list_of(lister, places, count);
    rd_kafka_resp_err_t code = rd_kafka_offsets_for_times(kafka_client_handle(lister->client), list,
                                                          kafka_poll_timeout_ms(lister->poll));
    if (code == RD_KAFKA_RESP_ERR_NO_ERROR)
        take_answers(lister, places, count, list);
    rd_kafka_topic_partition_list_destroy(list);
    return code;
}

/* --- isolating what fails ------------------------------------------------------------------------------ */

static bool is_one_topic(const struct place *places, size_t count)
{
    return places[0].topic == places[count - 1].topic;
}

static bool fails_for_whole_topic(rd_kafka_resp_err_t code)
{
    return code == RD_KAFKA_RESP_ERR_UNKNOWN_TOPIC_OR_PART || code == RD_KAFKA_RESP_ERR__UNKNOWN_PARTITION ||
           code == RD_KAFKA_RESP_ERR_TOPIC_AUTHORIZATION_FAILED;
}

/* Where to cut: between two topics if there are several. */
static size_t middle(const struct place *places, size_t count)
{
    size_t cut = count / 2;
    if (is_one_topic(places, count))
        return cut;
    while (cut > 0 && places[cut - 1].topic == places[cut].topic)
        cut--;
    if (cut == 0)
        while (places[cut].topic == places[0].topic)
            cut++;
    return cut;
}

/* librdkafka gives no offset of any partition of a request in which one fails. So what fails is asked again
 * in halves. False: the broker doesn't answer. */
static bool ask_in_parts(struct kafka_lister *lister, const struct place *places, size_t count)
{
    rd_kafka_resp_err_t code = ask(lister, places, count);
    if (code == RD_KAFKA_RESP_ERR_NO_ERROR)
        return true;
    lister->failure = code;
    bool silent = kafka_is_silence(code);
    if (silent || count == 1 || lister->spent >= REQUESTS_TO_ISOLATE ||
        (is_one_topic(places, count) && fails_for_whole_topic(code))) {
        kafka_poll_failed(lister->poll, lister->stage, code, "topic", topic_name(lister, places));
        return !silent;
    }
    lister->spent += 2;
    size_t cut = middle(places, count);
    return ask_in_parts(lister, places, cut) && ask_in_parts(lister, places + cut, count - cut);
}

/* --- a stage ------------------------------------------------------------------------------------------- */

/* Asks for all partitions of the leader that `places` begin with. Returns how many these are. If it doesn't
 * answer, they are marked to be without a leader, so that the next stage doesn't ask again. */
static size_t ask_leader(struct kafka_lister *lister, struct place *places, size_t count)
{
    size_t own = 1;
    while (own < count && places[own].leader == places[0].leader)
        own++;
    bool answers = places[0].leader >= 0 && clock_monotonic_us() < lister->deadline_us;
    for (size_t i = 0; i < own && answers; i += REQUEST_PARTITIONS)
        answers =
            ask_in_parts(lister, places + i, own - i < REQUEST_PARTITIONS ? own - i : REQUEST_PARTITIONS);
    for (size_t i = 0; i < own && !answers; i++)
        places[i].leader = -1;
    return own;
}

/* Asks for the offsets of a special timestamp. False when none could be learnt. */
static bool list_offsets(struct kafka_lister *lister, int64_t timestamp)
{
    lister->timestamp = timestamp;
    lister->deadline_us =
        clock_monotonic_us() + (int64_t)kafka_poll_timeout_ms(lister->poll) * 1000 * DEADLINE_TIMEOUTS;
    lister->answered = lister->spent = 0;
    for (size_t i = 0; i < lister->count;)
        i += ask_leader(lister, lister->places + i, lister->count - i);
    return lister->count == 0 || lister->answered > 0;
}

static void take_start(struct snap_partition *partition, int64_t offset)
{
    partition->start = offset;
}

static void take_end(struct snap_partition *partition, int64_t offset)
{
    partition->end = offset;
}

/* It is asked for after the end, and never beyond it at the same moment. */
static void take_last_stable(struct snap_partition *partition, int64_t offset)
{
    if (partition->end != UNKNOWN)
        partition->last_stable = offset < partition->end ? offset : partition->end;
}

bool kafka_list_starts(struct kafka_lister *lister, struct error *error)
{
    lister->client = lister->poll->client;
    lister->stage = STAGE_START_OFFSETS;
    lister->take = take_start;
    return list_offsets(lister, TIMESTAMP_EARLIEST) ||
           kafka_poll_broken(lister->poll, lister->failure, "list start offsets", error);
}

bool kafka_list_ends(struct kafka_lister *lister, struct error *error)
{
    lister->client = lister->poll->client;
    lister->stage = STAGE_END_OFFSETS;
    lister->take = take_end;
    return list_offsets(lister, TIMESTAMP_LATEST) ||
           kafka_poll_broken(lister->poll, lister->failure, "list end offsets", error);
}

void kafka_list_stable_ends(struct kafka_lister *lister)
{
    lister->client = lister->poll->stable;
    lister->stage = STAGE_END_OFFSETS;
    lister->take = take_last_stable;
    list_offsets(lister, TIMESTAMP_LATEST);
}
