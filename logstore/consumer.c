#include "logstore/group.h"
#include "logstore/reader.h"

#include "exporter/base/clock.h"

#include <stdlib.h>
#include <time.h>
#include <unistd.h>

enum {
    SESSION_TIMEOUT_MS = 45000,
    MAX_POLL_INTERVAL_MS = 300000,
    CHECK_EVERY_MS = 100,    /* looks after the group, while it reads */
    CHECKS_A_SESSION = 5,    /* but at least so often */
    CHECK_WAITING_MS = 10,   /* while a rebalance goes on */
    RECORDS_IN_A_ROW = 1000, /* of one partition, when others have some too */
    SHORTEST_PAUSE_US = 500,
    LONGEST_PAUSE_US = 10000,
    HOST_SIZE = 256,
    CONSUMER_TOPICS_MOST = 1000,
};

/* A partition that is assigned. */
struct assigned {
    uint32_t topic, partition;
    struct str name;                /* of the topic: one of the consumer's */
    struct logstore_reader *reader; /* owned; NULL: the topic is gone */
    int64_t position;               /* after the records returned */
    int64_t committed;              /* -1: nothing */
};

struct logstore_consumer {
    struct logstore *store;
    struct group *group;
    struct logstore_consumer_options options; /* client_id is owned */
    struct str *topics;                       /* owned, each also */
    size_t topic_count;
    _Atomic(uint32_t) number;  /* of the member; 0: isn't one */
    int64_t generation;        /* that the assignment is of; 0: none */
    struct assigned *assigned; /* owned */
    size_t assigned_count;
    size_t current; /* the one that is being read */
    int in_a_row;
    bool warned;  /* has returned LOGSTORE_POLL_REBALANCE */
    bool waiting; /* for the next generation */
    int64_t checked_us;
};

/* --- assignment ------------------------------------------------------------------------------------------
 */

static void drop_assignment(struct logstore_consumer *consumer)
{
    for (size_t i = 0; i < consumer->assigned_count; i++)
        logstore_reader_close(&consumer->assigned[i].reader);
    free(consumer->assigned);
    consumer->assigned = NULL;
    consumer->assigned_count = 0;
    consumer->generation = 0;
    consumer->current = 0;
    consumer->warned = false;
}

/* The first offset that the group reads where it has committed none. */
static bool reset_offset(const struct logstore_consumer *consumer, const struct partition_view *view,
                         int64_t *offset, struct error *error)
{
    struct slot slot;
    if (!store_read_slot(consumer->store, &view->place, view->slot, &slot, error))
        return false;
    *offset = consumer->options.reset == LOGSTORE_RESET_LATEST ? slot.end : slot.start;
    return true;
}

static bool assign_partition(struct logstore_consumer *consumer, struct str name,
                             const struct partition_view *view, struct error *error)
{
    struct offsets_entry entry;
    bool found;
    struct assigned *assigned = &consumer->assigned[consumer->assigned_count];
    uint64_t identity = offsets_identity(view->place.topic, view->place.partition);
    if (!offsets_find(&consumer->group->offsets, identity, &entry, &found, error))
        return false;
    *assigned = (struct assigned){.topic = view->place.topic,
                                  .partition = view->place.partition,
                                  .name = name,
                                  .committed = found ? entry.offset : -1};
    if (found)
        assigned->position = entry.offset;
    else if (!reset_offset(consumer, view, &assigned->position, error))
        return false;
    assigned->reader = reader_new(consumer->store, view, assigned->position, error);
    consumer->assigned_count += assigned->reader != NULL;
    return assigned->reader != NULL;
}

/* The consumer's own copy of a topic's name. */
static struct str own_name(const struct logstore_consumer *consumer, struct str name)
{
    for (size_t i = 0; i < consumer->topic_count; i++)
        if (str_equal(consumer->topics[i], name))
            return consumer->topics[i];
    return STR_LITERAL("");
}

static bool assign_run(struct logstore_consumer *consumer, const struct assigned_run *run,
                       struct error *error)
{
    struct logstore *store = consumer->store;
    for (uint32_t i = 0; i < run->count; i++) {
        struct partition_view view;
        struct str name = {NULL, 0};
        pthread_mutex_lock(&store->mutex);
        const struct topic *topic = catalog_find_number(&store->catalog, run->topic);
        bool there = topic != NULL && run->first + i < topic->partitions;
        if (there) {
            store_view(store, topic, run->first + i, &view);
            name = own_name(consumer, topic->name);
        }
        pthread_mutex_unlock(&store->mutex);
        if (there && !assign_partition(consumer, name, &view, error) && error->code != ERROR_NOT_FOUND)
            return false;
        if (there)
            error_clear(error); /* deleted meanwhile: the next rebalance will take it away */
    }
    return true;
}

/* Takes up what the generation assigns to the member. The caller holds the group's lock. */
static bool adopt_assignment(struct logstore_consumer *consumer, const struct member *member,
                             struct error *error)
{
    drop_assignment(consumer);
    consumer->assigned = calloc(member_assigned(member) + (size_t)1, sizeof *consumer->assigned);
    if (consumer->assigned == NULL) {
        error_set(error, ERROR_MEMORY, "no memory for an assignment");
        return false;
    }
    for (uint32_t i = 0; i < member->run_count; i++)
        if (!assign_run(consumer, &member->runs[i], error)) {
            drop_assignment(consumer);
            return false;
        }
    consumer->generation = consumer->group->membership.generation;
    consumer->waiting = false;
    return true;
}

/* --- membership ------------------------------------------------------------------------------------------
 */

/* "client-0123456789abcdef"; owned by the caller; bytes NULL: no memory. */
static struct str make_id(struct str client_id, struct error *error)
{
    static const char hex[] = "0123456789abcdef";
    uint8_t random[8];
    if (!fsio_random(random, sizeof random, error))
        return (struct str){NULL, 0};
    char *id = malloc(client_id.length + 1 + 2 * sizeof random);
    if (id == NULL) {
        error_set(error, ERROR_MEMORY, "no memory for a member");
        return (struct str){NULL, 0};
    }
    if (client_id.length > 0)
        memcpy(id, client_id.bytes, client_id.length);
    size_t length = client_id.length;
    id[length++] = '-';
    for (size_t i = 0; i < sizeof random; i++) {
        id[length++] = hex[random[i] >> 4];
        id[length++] = hex[random[i] & 15];
    }
    return (struct str){id, length};
}

/* Adds the consumer to the members in memory, with a slot for its heartbeats; its number. 0: failed. */
static uint32_t add_member(struct logstore_consumer *consumer, struct str id, const char *host,
                           const struct moment *now, struct error *error)
{
    struct member member = {
        .assignor = consumer->options.assignor,
        .session_timeout_ms = consumer->options.session_timeout_ms,
        .max_poll_interval_ms = consumer->options.max_poll_interval_ms,
        .boot = now->boot,
        .id = id,
        .client_id = consumer->options.client_id,
        .host = str_of(host),
        .topics = calloc(consumer->topic_count, sizeof(struct str)),
        .topic_count = (uint32_t)consumer->topic_count,
    };
    if (member.topics != NULL)
        memcpy(member.topics, consumer->topics, consumer->topic_count * sizeof(struct str));
    struct member *added =
        member.topics == NULL ? NULL : membership_add(&consumer->group->membership, &member, now->wall);
    if (added == NULL) {
        free(member.topics);
        error_set(error, ERROR_MEMORY, "no memory, or no number, for another member");
        return 0;
    }
    return group_member_touch(consumer->group, added->number, now->run, now->run, error) ? added->number : 0;
}

/* Becomes a member; the caller holds the group's lock and has settled it. */
static bool become_member(struct logstore_consumer *consumer, const struct moment *now, struct error *error)
{
    char host[HOST_SIZE] = "";
    drop_assignment(consumer);
    (void)gethostname(host, sizeof host - 1); /* only for people to read */
    struct str id = make_id(consumer->options.client_id, error);
    if (id.bytes == NULL)
        return false;
    uint32_t number = add_member(consumer, id, host, now, error);
    bool done = number != 0 && group_members_save(consumer->group, error);
    free((char *)id.bytes);
    if (!done) {
        consumer->group->members_document.sequence = 0; /* what is in memory is not what is on the disk */
        return false;
    }
    atomic_store(&consumer->number, number);
    consumer->waiting = true;
    return group_members_settle(consumer->group, now, error);
}

/* Agrees to the rebalance that is going on. */
static bool join_again(struct logstore_consumer *consumer, struct member *member, const struct moment *now,
                       struct error *error)
{
    drop_assignment(consumer);
    consumer->waiting = true;
    member->joined = true;
    return group_members_save(consumer->group, error) && group_members_settle(consumer->group, now, error);
}

/* Looks after the group; the caller holds its lock. *warn: a rebalance has begun, and this is the moment to
 * commit. A member that missed its timeout is evicted even when nobody else has noticed, so that all agree on
 * what happened. */
static bool check_group(struct logstore_consumer *consumer, bool *warn, struct error *error)
{
    struct group *group = consumer->group;
    struct moment now = moment_now();
    if (!group_members_settle(group, &now, error))
        return false;
    uint32_t number = atomic_load(&consumer->number);
    struct member *member = membership_find(&group->membership, number);
    if (member != NULL ? !group_member_touch(group, number, now.run, now.run, error)
                       : !become_member(consumer, &now, error))
        return false;
    number = atomic_load(&consumer->number);
    member = membership_find(&group->membership, number);
    if (member != NULL && group->membership.state == LOGSTORE_GROUP_PREPARING_REBALANCE && !member->joined) {
        *warn = consumer->assigned_count > 0 && !consumer->warned;
        consumer->warned = true;
        if (*warn)
            return true;
        if (!join_again(consumer, member, &now, error))
            return false;
        member = membership_find(&group->membership, number);
    }
    if (member != NULL && group->membership.state == LOGSTORE_GROUP_STABLE &&
        group->membership.generation != consumer->generation)
        return adopt_assignment(consumer, member, error);
    return true;
}

static int64_t check_interval_us(const struct logstore_consumer *consumer)
{
    int64_t interval = consumer->options.session_timeout_ms / CHECKS_A_SESSION;
    if (interval > CHECK_EVERY_MS)
        interval = CHECK_EVERY_MS;
    return (consumer->waiting ? CHECK_WAITING_MS : interval) * INT64_C(1000);
}

static bool check_if_due(struct logstore_consumer *consumer, bool *warn, struct error *error)
{
    int64_t now_us = clock_monotonic_us();
    *warn = false;
    if (consumer->checked_us != 0 && now_us - consumer->checked_us < check_interval_us(consumer))
        return true;
    if (!group_lock(consumer->group, error))
        return false;
    bool done = check_group(consumer, warn, error);
    group_unlock(consumer->group);
    consumer->checked_us = *warn || !done ? 0 : now_us;
    return done;
}

/* --- joining and leaving ---------------------------------------------------------------------------------
 */

static void consumer_free(struct logstore_consumer *consumer)
{
    drop_assignment(consumer);
    group_release(consumer->group);
    for (size_t i = 0; consumer->topics != NULL && i < consumer->topic_count; i++)
        free((char *)consumer->topics[i].bytes);
    free(consumer->topics);
    free((char *)consumer->options.client_id.bytes);
    free(consumer);
}

/* An owned copy, also of an empty text; bytes NULL: no memory. */
static struct str copy(struct str text)
{
    char *bytes = malloc(text.length + 1);
    if (bytes != NULL && text.length > 0)
        memcpy(bytes, text.bytes, text.length);
    return (struct str){bytes, text.length};
}

static struct logstore_consumer *new_consumer(struct logstore *store, const struct str *topics,
                                              size_t topic_count,
                                              const struct logstore_consumer_options *options)
{
    struct logstore_consumer *consumer = calloc(1, sizeof *consumer);
    if (consumer == NULL)
        return NULL;
    consumer->store = store;
    if (options != NULL)
        consumer->options = *options;
    if (consumer->options.session_timeout_ms == 0)
        consumer->options.session_timeout_ms = SESSION_TIMEOUT_MS;
    if (consumer->options.max_poll_interval_ms == 0)
        consumer->options.max_poll_interval_ms = MAX_POLL_INTERVAL_MS;
    consumer->options.client_id = copy(consumer->options.client_id);
    consumer->topics = calloc(topic_count + 1, sizeof *consumer->topics);
    bool done = consumer->topics != NULL && consumer->options.client_id.bytes != NULL;
    for (; done && consumer->topic_count < topic_count; consumer->topic_count++) {
        consumer->topics[consumer->topic_count] = copy(topics[consumer->topic_count]);
        done = consumer->topics[consumer->topic_count].bytes != NULL;
    }
    if (done)
        return consumer;
    consumer_free(consumer);
    return NULL;
}

static bool check_options(size_t topic_count, const struct logstore_consumer_options *options,
                          struct error *error)
{
    bool sound = topic_count > 0 && topic_count <= CONSUMER_TOPICS_MOST;
    if (!sound)
        error_set(error, ERROR_USAGE, "a member subscribes to 1 to %d topics, not %zu", CONSUMER_TOPICS_MOST,
                  topic_count);
    if (sound && options != NULL && (options->session_timeout_ms < 0 || options->max_poll_interval_ms < 0)) {
        error_set(error, ERROR_USAGE, "a time-out must not be negative");
        return false;
    }
    return sound;
}

struct logstore_consumer *logstore_consumer_join(struct logstore *store, struct str group,
                                                 const struct str *topics, size_t topic_count,
                                                 const struct logstore_consumer_options *options,
                                                 struct error *error)
{
    struct group *found;
    bool warn;
    if (!store_check_writable(store, error) || !check_options(topic_count, options, error) ||
        !group_obtain(store, group, &found, error))
        return NULL;
    struct logstore_consumer *consumer = new_consumer(store, topics, topic_count, options);
    if (consumer == NULL) {
        group_release(found);
        error_set(error, ERROR_MEMORY, "no memory for a consumer");
        return NULL;
    }
    consumer->group = found;
    if (check_if_due(consumer, &warn, error))
        return consumer;
    consumer_free(consumer);
    return NULL;
}

static bool leave(struct logstore_consumer *consumer, struct error *error)
{
    struct group *group = consumer->group;
    struct moment now = moment_now();
    uint32_t number = atomic_load(&consumer->number);
    if (!group_members_settle(group, &now, error))
        return false;
    struct member *member = membership_find(&group->membership, number);
    if (member == NULL)
        return true;
    membership_remove(&group->membership, member, now.wall);
    return group_members_save(group, error) &&
           offsets_delete(&group->offsets, offsets_identity(0, number), error) &&
           group_members_settle(group, &now, error);
}

bool logstore_consumer_leave(struct logstore_consumer **consumer, struct error *error)
{
    struct logstore_consumer *leaving = *consumer;
    *consumer = NULL;
    if (leaving == NULL)
        return true;
    bool done = group_lock(leaving->group, error);
    if (done) {
        done = leave(leaving, error);
        group_unlock(leaving->group);
    }
    consumer_free(leaving);
    return done;
}

void logstore_consumer_abandon(struct logstore_consumer **consumer)
{
    if (*consumer != NULL)
        consumer_free(*consumer);
    *consumer = NULL;
}

bool logstore_consumer_heartbeat(struct logstore_consumer *consumer, struct error *error)
{
    struct group *group = consumer->group;
    uint32_t number = atomic_load(&consumer->number);
    if (!group_lock(group, error))
        return false;
    struct moment now = moment_now();
    bool done = group_members_settle(group, &now, error);
    const struct member *member = done ? membership_find(&group->membership, number) : NULL;
    if (member != NULL) {
        done = group_member_touch(group, number, member->last_poll, now.run, error);
    } else if (done) {
        error_set(error, ERROR_CONFLICT, "the member was evicted from its group");
        done = false;
    }
    group_unlock(group);
    return done;
}

int64_t logstore_consumer_generation(const struct logstore_consumer *consumer)
{
    return consumer->generation;
}

size_t logstore_consumer_assigned(const struct logstore_consumer *consumer)
{
    return consumer->assigned_count;
}

/* --- reading ---------------------------------------------------------------------------------------------
 */

/* After retention has deleted what was to be read next. */
static bool jump(struct logstore_consumer *consumer, struct assigned *assigned, struct error *error)
{
    struct partition_view view;
    if (!store_find(consumer->store, assigned->name, assigned->partition, &view, error) ||
        view.place.topic != assigned->topic) {
        if (error->code != ERROR_NONE && error->code != ERROR_NOT_FOUND)
            return false;
        error_clear(error); /* the topic was deleted: nothing more from here */
        logstore_reader_close(&assigned->reader);
        return true;
    }
    if (!reset_offset(consumer, &view, &assigned->position, error))
        return false;
    logstore_reader_seek(assigned->reader, assigned->position);
    return true;
}

/* Reads on where it stands; false with *read set to LOGSTORE_READ_FAILED. */
static enum logstore_read read_assigned(struct logstore_consumer *consumer, struct assigned *assigned,
                                        struct logstore_record *record, struct error *error)
{
    while (assigned->reader != NULL) {
        enum logstore_read read = logstore_read(assigned->reader, record, error);
        if (read != LOGSTORE_READ_FAILED || error->code != ERROR_NOT_FOUND)
            return read;
        error_clear(error);
        if (!jump(consumer, assigned, error))
            return LOGSTORE_READ_FAILED;
    }
    return LOGSTORE_READ_END;
}

/* One record of any of the partitions, which take turns. */
static enum logstore_read read_any(struct logstore_consumer *consumer, struct logstore_record *record,
                                   struct logstore_source *source, struct error *error)
{
    for (size_t tries = 0; tries < consumer->assigned_count; tries++) {
        struct assigned *assigned = &consumer->assigned[consumer->current % consumer->assigned_count];
        enum logstore_read read = read_assigned(consumer, assigned, record, error);
        if (read == LOGSTORE_READ_RECORD) {
            assigned->position = record->offset + 1;
            *source = (struct logstore_source){assigned->name, assigned->partition};
            if (++consumer->in_a_row >= RECORDS_IN_A_ROW) {
                consumer->in_a_row = 0;
                consumer->current++;
            }
            return read;
        }
        consumer->in_a_row = 0;
        consumer->current++;
        if (read == LOGSTORE_READ_FAILED)
            return read;
    }
    return LOGSTORE_READ_END;
}

static void pause_us(int64_t duration)
{
    const struct timespec pause = {.tv_sec = duration / 1000000, .tv_nsec = duration % 1000000 * 1000};
    nanosleep(&pause, NULL);
}

enum logstore_poll logstore_consumer_poll(struct logstore_consumer *consumer, int64_t timeout_ms,
                                          struct logstore_record *record, struct logstore_source *source,
                                          struct error *error)
{
    int64_t began = clock_monotonic_us(), pause = SHORTEST_PAUSE_US;
    for (;;) {
        bool warn;
        if (!check_if_due(consumer, &warn, error))
            return LOGSTORE_POLL_FAILED;
        if (warn)
            return LOGSTORE_POLL_REBALANCE;
        enum logstore_read read = read_any(consumer, record, source, error);
        if (read != LOGSTORE_READ_END)
            return read == LOGSTORE_READ_RECORD ? LOGSTORE_POLL_RECORD : LOGSTORE_POLL_FAILED;
        int64_t left = timeout_ms > INT32_MAX ? INT32_MAX : timeout_ms;
        left = left * 1000 - (clock_monotonic_us() - began);
        if (left <= 0)
            return LOGSTORE_POLL_NOTHING;
        pause_us(left < pause ? left : pause);
        pause = 2 * pause > LONGEST_PAUSE_US ? LONGEST_PAUSE_US : 2 * pause;
    }
}

static struct assigned *find_assigned(struct logstore_consumer *consumer, struct str topic,
                                      uint32_t partition)
{
    for (size_t i = 0; i < consumer->assigned_count; i++)
        if (consumer->assigned[i].partition == partition && str_equal(consumer->assigned[i].name, topic))
            return &consumer->assigned[i];
    return NULL;
}

bool logstore_consumer_seek(struct logstore_consumer *consumer, struct str topic, uint32_t partition,
                            int64_t offset, struct error *error)
{
    struct assigned *assigned = find_assigned(consumer, topic, partition);
    if (assigned == NULL || assigned->reader == NULL || offset < 0) {
        error_set(error, offset < 0 ? ERROR_USAGE : ERROR_NOT_FOUND,
                  offset < 0 ? "an offset is 0 or more" : "the partition isn't assigned to this member");
        return false;
    }
    assigned->position = offset;
    logstore_reader_seek(assigned->reader, offset);
    return true;
}

/* --- committing ------------------------------------------------------------------------------------------
 */

/* Whether the assignment still holds. */
static bool check_generation(const struct logstore_consumer *consumer, struct error *error)
{
    const struct membership *membership = &consumer->group->membership;
    const struct member *member = membership_find(membership, atomic_load(&consumer->number));
    if (member != NULL && membership->generation == consumer->generation)
        return true;
    error_set(error, ERROR_CONFLICT, "generation %lld of the group is over: it is at %lld%s",
              (long long)consumer->generation, (long long)membership->generation,
              member == NULL ? ", and this member was evicted" : "");
    return false;
}

static bool put_positions(struct logstore_consumer *consumer, int64_t now, struct error *error)
{
    for (size_t i = 0; i < consumer->assigned_count; i++) {
        struct assigned *assigned = &consumer->assigned[i];
        struct offsets_entry entry = {.identity = offsets_identity(assigned->topic, assigned->partition),
                                      .offset = assigned->position,
                                      .time = now};
        if (assigned->position == assigned->committed)
            continue;
        if (!offsets_put(&consumer->group->offsets, &entry, STR_LITERAL(""), error))
            return false;
        assigned->committed = assigned->position;
    }
    return true;
}

bool logstore_consumer_commit(struct logstore_consumer *consumer, struct error *error)
{
    struct group *group = consumer->group;
    if (consumer->assigned_count == 0)
        return true;
    if (!group_lock(group, error))
        return false;
    struct moment now = moment_now();
    bool done = group_members_settle(group, &now, error) && check_generation(consumer, error) &&
                put_positions(consumer, now.wall, error);
    group->unsynced = true;
    group_unlock(group);
    return done && group_commit_wait(group, error);
}
