#include "collectors/kafka/commits.h"

#include "exporter/base/mem.h"

#include <stdlib.h>
#include <string.h>

/*
 * What is followed needn't be asked. A call asks about one group, so many are kept in flight. A call either
 * asks for all offsets of its group, or for a list of positions that earlier polls have found:
 * librdkafka 2.0.2 searches through each answer with each of its elements, so that a large group costs less
 * in several lists. What is new in a large group is found when it is its turn to be asked for all.
 */
enum {
    CALLS_IN_FLIGHT = 16, /* of each client */
    LIST_POSITIONS = 100,
    DISCOVERY_TURNS = 16, /* polls until a large group is asked for all of its offsets again */
    AUDIT_TURNS = 64,     /* polls until a group that is followed without a doubt is asked nevertheless */
};

struct found {
    uint32_t topic, partition; /* indexes of the snapshot */
    int64_t committed, time;
};

/* What the calls about a group have brought until now. */
struct answers {
    struct found *found; /* owned */
    size_t count, capacity;
    uint32_t open_calls;
    bool has_failed;
    bool is_audited; /* what is followed is compared with them */
};

/* A client that is asked. It reads its answers in a thread of its own, so that two take half the time. */
struct lane {
    rd_kafka_t *handle;
    rd_kafka_queue_t *queue;
    size_t open_calls;
};

enum { LANES = 2 };

struct fetch {
    struct kafka_poll *poll;
    const struct kafka_layout *layout;
    struct kafka_groups *groups;
    const struct kafka_follower *follower;
    struct kafka_audit *audit;
    int64_t *places;         /* of the follower's topics in the snapshot, as far as they were looked up */
    struct answers *answers; /* one a group */
    struct lane lanes[LANES];
    rd_kafka_AdminOptions_t *options;
    uint64_t turn;
    size_t asking, asked; /* the group that is asked about, and how many of its known positions have been */
    size_t added;         /* groups whose answers are in the snapshot: the first ones */
    size_t silent_calls;
    uint32_t last_topic; /* of the last answer: the next one is likely of the same */
};

/* --- following ----------------------------------------------------------------------------------------- */

static bool is_due_for_audit(const struct fetch *fetch, size_t index,
                             const struct kafka_replica_group *followed)
{
    bool is_doubted = followed != NULL && followed->is_doubted;
    return fetch->follower != NULL && (is_doubted || (index + fetch->turn) % AUDIT_TURNS == 0);
}

enum { PLACE_UNKNOWN = NO_INDEX - 1 };

/* Room for the places of the follower's topics; the caller frees it. */
static int64_t *unknown_places(const struct kafka_follower *follower)
{
    const struct kafka_replica *replica = kafka_follower_replica(follower);
    uint32_t topics = replica == NULL ? 0 : kafka_replica_topics(replica);
    int64_t *places = MEM_ARRAY(topics, int64_t);
    for (uint32_t i = 0; i < topics; i++)
        places[i] = PLACE_UNKNOWN;
    return places;
}

/* The index of the follower's topic in the snapshot, or NO_INDEX. */
static int64_t place_of(struct fetch *fetch, uint32_t topic)
{
    if (fetch->places[topic] == PLACE_UNKNOWN)
        fetch->places[topic] = snapshot_find_topic(
            fetch->poll->snapshot, kafka_replica_topic(kafka_follower_replica(fetch->follower), topic));
    return fetch->places[topic];
}

/* False if there is a commit on what the cluster doesn't list: whether that is gone or only not permitted,
 * the cluster has to tell. */
static bool take_set(struct fetch *fetch, const struct kafka_commit_set *set, struct answers *answers)
{
    answers->found = mem_grow(answers->found, &answers->capacity, set->count, sizeof *answers->found);
    for (size_t i = 0; i < set->count; i++) {
        const struct kafka_commit *commit = &set->items[i];
        int64_t place = place_of(fetch, commit->topic);
        if (place == NO_INDEX || (uint32_t)commit->partition >= fetch->layout->topics[place].partitions)
            return false;
        answers->found[i] = (struct found){
            .topic = (uint32_t)place,
            .partition = fetch->layout->topics[place].first_partition + (uint32_t)commit->partition,
            .committed = commit->offset,
            .time = commit->time,
        };
    }
    answers->count = set->count;
    return true;
}

/* Takes what is known without asking. False: the group has to be asked. */
static bool take_followed(struct fetch *fetch, size_t index)
{
    struct kafka_replica_group *group;
    bool known = kafka_follower_finds(fetch->follower, str_of(fetch->groups->items[index].name), &group);
    fetch->answers[index].is_audited = is_due_for_audit(fetch, index, group);
    if (!known || fetch->answers[index].is_audited)
        return false;
    if (group == NULL)
        return true;
    kafka_commit_set_tidy(&group->commits);
    fetch->groups->items[index].positions = group->commits.count;
    return take_set(fetch, &group->commits, &fetch->answers[index]);
}

/* --- asking -------------------------------------------------------------------------------------------- */

static bool asks_for_all(const struct fetch *fetch, size_t index)
{
    const struct kafka_group *group = &fetch->groups->items[index];
    return fetch->answers[index].is_audited || group->known_count == 0 ||
           group->positions <= LIST_POSITIONS || group->has_orphans ||
           (index + fetch->turn) % DISCOVERY_TURNS == 0;
}

static uint32_t topic_of(const struct kafka_layout *layout, uint32_t topic, uint32_t partition)
{
    while (partition >= layout->topics[topic].first_partition + layout->topics[topic].partitions)
        topic++;
    return topic;
}

/* The known positions from the `first` on as librdkafka takes them. */
static rd_kafka_topic_partition_list_t *list_known(const struct fetch *fetch, const struct kafka_group *group,
                                                   size_t first, size_t count)
{
    rd_kafka_topic_partition_list_t *list = rd_kafka_topic_partition_list_new((int)count);
    uint32_t topic = 0;
    for (size_t i = first; i < first + count; i++) {
        topic = topic_of(fetch->layout, topic, group->known[i]);
        const struct kafka_laid_topic *laid = &fetch->layout->topics[topic];
        rd_kafka_topic_partition_list_add(list, laid->name,
                                          (int32_t)(group->known[i] - laid->first_partition));
    }
    return list;
}

/* Always the same client for a group, since each has to find its coordinator. */
static struct lane *lane_of(struct fetch *fetch, size_t index)
{
    return &fetch->lanes[index % LANES];
}

/* Sends a call; NULL partitions: for all. */
static void call(struct fetch *fetch, size_t index, const rd_kafka_topic_partition_list_t *partitions)
{
    const struct kafka_group *group = &fetch->groups->items[index];
    struct lane *lane = lane_of(fetch, index);
    rd_kafka_ListConsumerGroupOffsets_t *request =
        rd_kafka_ListConsumerGroupOffsets_new(group->name, partitions);
    /* The answer tells which group it is about, but an error doesn't. */
    uintptr_t tag = (uintptr_t)index << 1 | (partitions == NULL);
    rd_kafka_AdminOptions_set_opaque(fetch->options, (void *)tag);
    rd_kafka_ListConsumerGroupOffsets(lane->handle, &request, 1, fetch->options, lane->queue);
    rd_kafka_ListConsumerGroupOffsets_destroy(request);
    fetch->answers[index].open_calls++;
    lane->open_calls++;
}

static void call_for_list(struct fetch *fetch, const struct kafka_group *group)
{
    size_t left = group->known_count - fetch->asked;
    size_t count = left < LIST_POSITIONS ? left : LIST_POSITIONS;
    rd_kafka_topic_partition_list_t *list = list_known(fetch, group, fetch->asked, count);
    call(fetch, fetch->asking, list);
    rd_kafka_topic_partition_list_destroy(list);
    fetch->asked += count;
}

/* Sends the next call, unless what it would tell is known. A group whose coordinator is silent isn't asked;
 * its failure was noted when it was found. */
static void call_next(struct fetch *fetch)
{
    struct kafka_group *group = &fetch->groups->items[fetch->asking];
    if (take_followed(fetch, fetch->asking)) {
        group->has_orphans = false;
    } else if (group->is_silent) {
        fetch->answers[fetch->asking].has_failed = true;
    } else if (fetch->silent_calls >= CALLS_IN_FLIGHT) {
        fetch->answers[fetch->asking].has_failed = true;
        kafka_poll_failed(fetch->poll, STAGE_COMMITS, RD_KAFKA_RESP_ERR__TIMED_OUT, "commits of group",
                          str_of(group->name));
    } else if (asks_for_all(fetch, fetch->asking)) {
        group->has_orphans = false;
        call(fetch, fetch->asking, NULL);
    } else {
        call_for_list(fetch, group);
        if (fetch->asked < group->known_count)
            return;
    }
    fetch->asking++;
    fetch->asked = 0;
}

/* --- answers ------------------------------------------------------------------------------------------- */

/* The topic's index, or NO_INDEX. */
static int64_t find_topic(struct fetch *fetch, const char *name)
{
    const struct kafka_layout *layout = fetch->layout;
    if (fetch->last_topic < layout->count && strcmp(layout->topics[fetch->last_topic].name, name) == 0)
        return fetch->last_topic;
    int64_t index = snapshot_find_topic(fetch->poll->snapshot, str_of(name));
    if (index != NO_INDEX)
        fetch->last_topic = (uint32_t)index;
    return index;
}

static void take_commit(struct fetch *fetch, size_t group, const rd_kafka_topic_partition_t *commit)
{
    const struct kafka_layout *layout = fetch->layout;
    struct answers *answers = &fetch->answers[group];
    int64_t topic = find_topic(fetch, commit->topic);
    if (topic == NO_INDEX && !name_filter_passes(&fetch->poll->config->topics, str_of(commit->topic)))
        return;
    if (topic == NO_INDEX || commit->partition < 0 ||
        (uint32_t)commit->partition >= layout->topics[topic].partitions) {
        snapshot_add_orphan(fetch->poll->snapshot, (uint32_t)group, str_of(commit->topic), commit->partition);
        fetch->groups->items[group].has_orphans = true;
        return;
    }
    answers->found = mem_grow(answers->found, &answers->capacity, answers->count + 1, sizeof *answers->found);
    answers->found[answers->count++] = (struct found){
        .topic = (uint32_t)topic,
        .partition = layout->topics[topic].first_partition + (uint32_t)commit->partition,
        .committed = commit->offset,
        .time = -1,
    };
}

/* An offset that is negative says that there is no commit. */
static rd_kafka_resp_err_t take_commits(struct fetch *fetch, size_t group,
                                        const rd_kafka_topic_partition_list_t *commits)
{
    rd_kafka_resp_err_t failure = RD_KAFKA_RESP_ERR_NO_ERROR;
    for (int i = 0; i < commits->cnt; i++) {
        const rd_kafka_topic_partition_t *commit = &commits->elems[i];
        if (commit->err != RD_KAFKA_RESP_ERR_NO_ERROR)
            failure = commit->err;
        else if (commit->offset >= 0)
            take_commit(fetch, group, commit);
    }
    return failure;
}

static rd_kafka_resp_err_t take_result(struct fetch *fetch, size_t group, bool is_all,
                                       rd_kafka_event_t *event)
{
    size_t count = 0;
    const rd_kafka_ListConsumerGroupOffsets_result_t *result =
        rd_kafka_event_ListConsumerGroupOffsets_result(event);
    if (rd_kafka_event_error(event) != RD_KAFKA_RESP_ERR_NO_ERROR)
        return rd_kafka_event_error(event);
    const rd_kafka_group_result_t **results = rd_kafka_ListConsumerGroupOffsets_result_groups(result, &count);
    if (count != 1)
        return RD_KAFKA_RESP_ERR__BAD_MSG;
    const rd_kafka_error_t *failure = rd_kafka_group_result_error(results[0]);
    const rd_kafka_topic_partition_list_t *commits = rd_kafka_group_result_partitions(results[0]);
    if (failure != NULL)
        return rd_kafka_error_code(failure);
    if (commits == NULL)
        return RD_KAFKA_RESP_ERR__BAD_MSG;
    if (is_all)
        fetch->groups->items[group].positions = (size_t)commits->cnt;
    if (is_all && fetch->answers[group].is_audited)
        kafka_audit_compare(fetch->audit, fetch->follower, fetch->poll->config,
                            str_of(fetch->groups->items[group].name), commits);
    return take_commits(fetch, group, commits);
}

static void take_answer(struct fetch *fetch, rd_kafka_event_t *event)
{
    uintptr_t tag = (uintptr_t)rd_kafka_event_opaque(event);
    size_t group = tag >> 1;
    rd_kafka_resp_err_t code = take_result(fetch, group, tag & 1, event);
    lane_of(fetch, group)->open_calls--;
    fetch->answers[group].open_calls--;
    if (code == RD_KAFKA_RESP_ERR_NO_ERROR)
        return;
    fetch->answers[group].has_failed = true;
    fetch->silent_calls += kafka_is_silence(code);
    kafka_poll_failed(fetch->poll, STAGE_COMMITS, code, "commits of group",
                      str_of(fetch->groups->items[group].name));
}

/* --- into the snapshot --------------------------------------------------------------------------------- */

static int found_order(const void *a, const void *b)
{
    const struct found *x = a, *y = b;
    return (x->partition > y->partition) - (x->partition < y->partition);
}

static void sort_found(struct answers *answers)
{
    for (size_t i = 1; i < answers->count; i++) {
        if (answers->found[i - 1].partition > answers->found[i].partition) {
            qsort(answers->found, answers->count, sizeof *answers->found, found_order);
            return;
        }
    }
}

static void remember(struct kafka_group *group, const struct answers *answers)
{
    if (answers->count > group->known_count || group->known == NULL) {
        free(group->known);
        group->known = MEM_ARRAY(answers->count, uint32_t);
    }
    for (size_t i = 0; i < answers->count; i++)
        group->known[i] = answers->found[i].partition;
    group->known_count = answers->count;
}

static void add_answers(struct fetch *fetch, size_t index)
{
    struct answers *answers = &fetch->answers[index];
    sort_found(answers);
    for (size_t i = 0; i < answers->count; i++) {
        const struct found *found = &answers->found[i];
        uint32_t first = fetch->layout->topics[found->topic].first_partition;
        struct snap_position *position =
            snapshot_add_position(fetch->poll->snapshot, (uint32_t)index, found->topic,
                                  (int32_t)(found->partition - first), found->committed);
        if (position != NULL && found->time >= 0)
            position->commit_ts = found->time;
    }
    fetch->poll->snapshot->groups[index].commits_unknown = answers->has_failed;
    if (!answers->has_failed)
        remember(&fetch->groups->items[index], answers);
    free(answers->found);
    *answers = (struct answers){0};
}

/* Groups go into the snapshot in their order, so that sealing it needn't sort: those that are answered early
 * wait. */
static void add_complete(struct fetch *fetch)
{
    while (fetch->added < fetch->asking && fetch->answers[fetch->added].open_calls == 0)
        add_answers(fetch, fetch->added++);
}

/* Takes an answer of each client that owes one. False: librdkafka has broken its promise to answer. */
static bool take_answers(struct fetch *fetch)
{
    for (size_t i = 0; i < LANES; i++) {
        if (fetch->lanes[i].open_calls == 0)
            continue;
        rd_kafka_event_t *event = kafka_poll_await(fetch->poll, fetch->lanes[i].queue);
        if (event == NULL)
            return false;
        take_answer(fetch, event);
        rd_kafka_event_destroy(event);
    }
    return true;
}

static void fetch_all(struct fetch *fetch)
{
    bool answered = true;
    while (fetch->added < fetch->groups->count && answered) {
        while (fetch->asking < fetch->groups->count &&
               lane_of(fetch, fetch->asking)->open_calls < CALLS_IN_FLIGHT) {
            call_next(fetch);
            add_complete(fetch); /* what is followed has its answers already */
        }
        answered = take_answers(fetch);
        add_complete(fetch);
    }
    for (; fetch->added < fetch->groups->count; fetch->added++) {
        kafka_poll_failed(fetch->poll, STAGE_COMMITS, RD_KAFKA_RESP_ERR__TIMED_OUT, "commits of group",
                          str_of(fetch->groups->items[fetch->added].name));
        fetch->answers[fetch->added].has_failed = true;
        add_answers(fetch, fetch->added);
    }
}

static struct lane open_lane(const struct kafka_client *client)
{
    rd_kafka_t *handle = kafka_client_handle(client);
    return (struct lane){.handle = handle, .queue = rd_kafka_queue_new(handle)};
}

void kafka_read_commits(struct kafka_poll *poll, const struct kafka_layout *layout,
                        struct kafka_groups *groups, const struct kafka_follower *follower,
                        struct kafka_audit *audit, uint64_t turn)
{
    struct fetch fetch = {
        .poll = poll,
        .layout = layout,
        .groups = groups,
        .follower = follower,
        .audit = audit,
        .places = unknown_places(follower),
        .answers = MEM_ARRAY(groups->count, struct answers),
        .lanes = {open_lane(poll->client), open_lane(poll->stable)},
        .options = kafka_poll_options(poll, RD_KAFKA_ADMIN_OP_LISTCONSUMERGROUPOFFSETS),
        .turn = turn,
    };
    fetch_all(&fetch);
    for (size_t i = 0; i < LANES; i++)
        rd_kafka_queue_destroy(fetch.lanes[i].queue);
    rd_kafka_AdminOptions_destroy(fetch.options);
    free(fetch.answers);
    free(fetch.places);
}
