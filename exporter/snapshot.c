#include "exporter/snapshot.h"

#include "exporter/base/mem.h"

#include <assert.h>
#include <stdlib.h>

/*
 * While it is built, positions lie in the order of their addition, in runs of those that were added one after
 * another for the same group and topic: there may be several of a subscription. Added in order they are what
 * is wanted already; otherwise sealing sorts them.
 */

/* Names are kept in blocks that never move, so that the strings borrowed from them hold. */
struct name_block {
    struct name_block *next;
    char bytes[];
};

/* Open addressing over indexes + 1; 0 is free. */
struct name_index {
    uint32_t *slots;
    size_t size; /* a power of two; at least twice the entries */
};

struct snapshot_memory {
    size_t brokers, topics, partitions, groups, subscriptions, positions, orphans; /* capacities */
    struct name_block *names;
    size_t block_used, block_size;
    struct name_index topic_index, group_index;
    bool sealed;
};

enum { NAME_BLOCK = 64 * 1024 };

struct snapshot *snapshot_new(void)
{
    struct snapshot *snapshot = MEM_NEW(struct snapshot);
    snapshot->memory = MEM_NEW(struct snapshot_memory);
    snapshot->time = UNKNOWN;
    snapshot->offsets_retention_ms = UNKNOWN;
    return snapshot;
}

static void free_names(struct name_block *block)
{
    while (block != NULL) {
        struct name_block *next = block->next;
        free(block);
        block = next;
    }
}

void snapshot_free(struct snapshot **snapshot)
{
    struct snapshot *s = *snapshot;
    if (s == NULL)
        return;
    free_names(s->memory->names);
    free(s->memory->topic_index.slots);
    free(s->memory->group_index.slots);
    free(s->memory);
    free(s->brokers);
    free(s->topics);
    free(s->partitions);
    free(s->groups);
    free(s->subscriptions);
    free(s->positions);
    free(s->orphans);
    free(s);
    *snapshot = NULL;
}

static struct str copy_name(struct snapshot_memory *memory, struct str name)
{
    if (memory->block_size - memory->block_used < name.length) {
        size_t size = name.length > NAME_BLOCK ? name.length : NAME_BLOCK;
        struct name_block *block = mem_array(sizeof *block + size, 1);
        block->next = memory->names;
        memory->names = block;
        memory->block_size = size;
        memory->block_used = 0;
    }
    if (name.length == 0)
        return (struct str){"", 0};
    char *copy = memory->names->bytes + memory->block_used;
    memcpy(copy, name.bytes, name.length);
    memory->block_used += name.length;
    return (struct str){copy, name.length};
}

struct str snapshot_copy(struct snapshot *snapshot, struct str bytes)
{
    assert(!snapshot->memory->sealed);
    return copy_name(snapshot->memory, bytes);
}

struct str snapshot_take_list(struct snapshot *snapshot, struct member_list *list)
{
    struct str copy = snapshot_copy(snapshot, member_list_str(list));
    member_list_free(list);
    return copy;
}

/* --- names -> indexes ---------------------------------------------------------------------------------- */

/* FNV-1a. Names come from the cluster's own administrators, so this need not withstand chosen collisions for
 * more than the time of a poll. */
static size_t hash_name(struct str name)
{
    uint64_t hash = 14695981039346656037u;
    for (size_t i = 0; i < name.length; i++)
        hash = (hash ^ (unsigned char)name.bytes[i]) * 1099511628211u;
    return (size_t)(hash ^ hash >> 32);
}

/* The name of entry `i`: topics and groups both start with it. */
typedef struct str name_of(const struct snapshot *snapshot, uint32_t i);

static struct str topic_name(const struct snapshot *snapshot, uint32_t i)
{
    return snapshot->topics[i].name;
}

static struct str group_name(const struct snapshot *snapshot, uint32_t i)
{
    return snapshot->groups[i].name;
}

/* The slot that holds `name`, or the free one where it would go. The index has a free slot. */
static uint32_t *find_slot(const struct name_index *index, const struct snapshot *snapshot, name_of *name_at,
                           struct str name)
{
    size_t i = hash_name(name) & (index->size - 1);
    while (index->slots[i] != 0 && !str_equal(name_at(snapshot, index->slots[i] - 1), name))
        i = (i + 1) & (index->size - 1);
    return &index->slots[i];
}

static int64_t find_name(const struct name_index *index, const struct snapshot *snapshot, name_of *name_at,
                         struct str name)
{
    if (index->size == 0)
        return NO_INDEX;
    return (int64_t)*find_slot(index, snapshot, name_at, name) - 1;
}

static void fill_index(struct name_index *index, const struct snapshot *snapshot, name_of *name_at,
                       uint32_t entries)
{
    memset(index->slots, 0, index->size * sizeof *index->slots);
    for (uint32_t i = 0; i < entries; i++)
        *find_slot(index, snapshot, name_at, name_at(snapshot, i)) = i + 1;
}

/* Notes that entry `entries - 1` is new; its name is not in the index yet. */
static void index_last(struct name_index *index, const struct snapshot *snapshot, name_of *name_at,
                       uint32_t entries)
{
    if ((size_t)entries * 2 > index->size) {
        index->size = index->size == 0 ? 64 : index->size * 2;
        free(index->slots);
        index->slots = MEM_ARRAY(index->size, uint32_t);
        fill_index(index, snapshot, name_at, entries);
        return;
    }
    *find_slot(index, snapshot, name_at, name_at(snapshot, entries - 1)) = entries;
}

int64_t snapshot_find_topic(const struct snapshot *snapshot, struct str name)
{
    return find_name(&snapshot->memory->topic_index, snapshot, topic_name, name);
}

int64_t snapshot_find_group(const struct snapshot *snapshot, struct str name)
{
    return find_name(&snapshot->memory->group_index, snapshot, group_name, name);
}

/* --- adding -------------------------------------------------------------------------------------------- */

void snapshot_add_broker(struct snapshot *snapshot, int32_t id, struct str address)
{
    struct snapshot_memory *memory = snapshot->memory;
    assert(!memory->sealed);
    uint32_t i = snapshot->broker_count++;
    snapshot->brokers = mem_grow(snapshot->brokers, &memory->brokers, i + 1u, sizeof *snapshot->brokers);
    snapshot->brokers[i] = (struct snap_broker){.id = id, .address = copy_name(memory, address)};
}

static const struct topic_config unknown_config = {
    .retention_ms = UNKNOWN,
    .retention_bytes = UNKNOWN,
    .segment_ms = UNKNOWN,
    .segment_bytes = UNKNOWN,
    .min_compaction_lag_ms = UNKNOWN,
    .delete_retention_ms = UNKNOWN,
    .min_insync_replicas = UNKNOWN,
    .unclean_leader_election = UNKNOWN,
    .cleanup_policy = CLEANUP_UNKNOWN,
};

static void add_partitions(struct snapshot *snapshot, uint32_t count)
{
    uint32_t first = snapshot->partition_count;
    snapshot->partition_count += count;
    snapshot->partitions = mem_grow(snapshot->partitions, &snapshot->memory->partitions,
                                    snapshot->partition_count, sizeof *snapshot->partitions);
    for (uint32_t i = 0; i < count; i++)
        snapshot->partitions[first + i] = (struct snap_partition){
            .start = UNKNOWN,
            .end = UNKNOWN,
            .last_stable = UNKNOWN,
            .start_ts = UNKNOWN,
            .open_txn_since = UNKNOWN,
            .number = (int32_t)i,
            .leader = -1,
            .preferred_leader = -1,
            .replicas = -1,
            .in_sync_replicas = -1,
        };
}

int64_t snapshot_add_topic(struct snapshot *snapshot, struct str name, uint32_t partitions)
{
    struct snapshot_memory *memory = snapshot->memory;
    assert(!memory->sealed);
    if (snapshot_find_topic(snapshot, name) != NO_INDEX || partitions > INT32_MAX) {
        snapshot->duplicate_names++;
        return NO_INDEX;
    }
    uint32_t i = snapshot->topic_count++;
    snapshot->topics = mem_grow(snapshot->topics, &memory->topics, i + 1u, sizeof *snapshot->topics);
    snapshot->topics[i] = (struct snap_topic){
        .name = copy_name(memory, name),
        .config = unknown_config,
        .unkeyed_ratio = -1,
        .first_partition = snapshot->partition_count,
        .partitions = partitions,
    };
    add_partitions(snapshot, partitions);
    index_last(&memory->topic_index, snapshot, topic_name, snapshot->topic_count);
    return i;
}

int64_t snapshot_add_group(struct snapshot *snapshot, struct str name)
{
    struct snapshot_memory *memory = snapshot->memory;
    assert(!memory->sealed);
    if (snapshot_find_group(snapshot, name) != NO_INDEX) {
        snapshot->duplicate_names++;
        return NO_INDEX;
    }
    uint32_t i = snapshot->group_count++;
    snapshot->groups = mem_grow(snapshot->groups, &memory->groups, i + 1u, sizeof *snapshot->groups);
    snapshot->groups[i] = (struct snap_group){
        .name = copy_name(memory, name),
        .members = UNKNOWN,
        .idle_members = UNKNOWN,
        .static_members = UNKNOWN,
        .generation = UNKNOWN,
        .session_timeout_ms = UNKNOWN,
        .rebalance_timeout_ms = UNKNOWN,
        .empty_since = UNKNOWN,
    };
    index_last(&memory->group_index, snapshot, group_name, snapshot->group_count);
    return i;
}

void snapshot_add_orphan(struct snapshot *snapshot, uint32_t group, struct str topic, int32_t partition)
{
    struct snapshot_memory *memory = snapshot->memory;
    assert(!memory->sealed && group < snapshot->group_count);
    uint32_t i = snapshot->orphan_count++;
    snapshot->orphans = mem_grow(snapshot->orphans, &memory->orphans, i + 1u, sizeof *snapshot->orphans);
    snapshot->orphans[i] = (struct snap_orphan){
        .group = group,
        .topic = copy_name(memory, topic),
        .partition = partition,
    };
}

/* The run that a position of the group on the topic is added to: the last one, or a new one. */
static struct snap_subscription *run_for(struct snapshot *s, uint32_t group, uint32_t topic)
{
    struct snap_subscription *last =
        s->subscription_count > 0 ? &s->subscriptions[s->subscription_count - 1] : NULL;
    if (last != NULL && last->group == group && last->topic == topic)
        return last;
    uint32_t i = s->subscription_count++;
    s->subscriptions =
        mem_grow(s->subscriptions, &s->memory->subscriptions, i + 1u, sizeof *s->subscriptions);
    s->subscriptions[i] =
        (struct snap_subscription){.group = group, .topic = topic, .first_position = s->position_count};
    return &s->subscriptions[i];
}

struct snap_position *snapshot_add_position(struct snapshot *snapshot, uint32_t group, uint32_t topic,
                                            int32_t partition, int64_t committed)
{
    struct snapshot_memory *memory = snapshot->memory;
    assert(!memory->sealed && group < snapshot->group_count && topic < snapshot->topic_count);
    assert(committed >= 0);
    if (partition < 0 || (uint32_t)partition >= snapshot->topics[topic].partitions)
        return NULL;
    run_for(snapshot, group, topic)->positions++;
    uint32_t i = snapshot->position_count++;
    snapshot->positions =
        mem_grow(snapshot->positions, &memory->positions, i + 1u, sizeof *snapshot->positions);
    snapshot->positions[i] = (struct snap_position){
        .partition = snapshot->topics[topic].first_partition + (uint32_t)partition,
        .committed = committed,
        .next_ts = UNKNOWN,
        .commit_ts = UNKNOWN,
    };
    return &snapshot->positions[i];
}

/* --- sealing ------------------------------------------------------------------------------------------- */

static int broker_order(const void *a, const void *b)
{
    int32_t x = ((const struct snap_broker *)a)->id, y = ((const struct snap_broker *)b)->id;
    return (x > y) - (x < y);
}

static int topic_order(const void *a, const void *b, void *topics)
{
    const struct snap_topic *all = topics;
    return str_compare(all[*(const uint32_t *)a].name, all[*(const uint32_t *)b].name);
}

static int group_order(const void *a, const void *b, void *groups)
{
    const struct snap_group *all = groups;
    return str_compare(all[*(const uint32_t *)a].name, all[*(const uint32_t *)b].name);
}

static int position_order(const void *a, const void *b)
{
    uint32_t x = ((const struct snap_position *)a)->partition,
             y = ((const struct snap_position *)b)->partition;
    return (x > y) - (x < y);
}

static int subscription_order(const void *a, const void *b)
{
    const struct snap_subscription *x = a, *y = b;
    if (x->group != y->group)
        return x->group < y->group ? -1 : 1;
    return (x->topic > y->topic) - (x->topic < y->topic);
}

/* The indexes 0 … count-1 in the order of what they stand for. */
static uint32_t *sorted_indexes(uint32_t count, void *context,
                                int (*order)(const void *, const void *, void *))
{
    uint32_t *indexes = MEM_ARRAY(count, uint32_t);
    for (uint32_t i = 0; i < count; i++)
        indexes[i] = i;
    qsort_r(indexes, count, sizeof *indexes, order, context);
    return indexes;
}

/* Topics have moved, and the partitions of each by as much. */
static void move_run(struct snapshot *s, struct snap_subscription *run, const struct snap_topic *topics,
                     const uint32_t *moved)
{
    uint32_t before = s->topics[run->topic].first_partition;
    run->topic = moved[run->topic];
    uint32_t after = topics[run->topic].first_partition;
    for (uint32_t i = 0; i < run->positions && before != after; i++) {
        struct snap_position *position = &s->positions[run->first_position + i];
        position->partition = position->partition - before + after;
    }
}

static void sort_topics(struct snapshot *s)
{
    uint32_t *order = sorted_indexes(s->topic_count, s->topics, topic_order);
    uint32_t *moved = MEM_ARRAY(s->topic_count, uint32_t);
    struct snap_topic *topics = MEM_ARRAY(s->topic_count, struct snap_topic);
    struct snap_partition *partitions = MEM_ARRAY(s->partition_count, struct snap_partition);
    uint32_t first = 0;
    for (uint32_t i = 0; i < s->topic_count; i++) {
        const struct snap_topic *old = &s->topics[order[i]];
        topics[i] = *old;
        topics[i].first_partition = first;
        if (old->partitions > 0)
            memcpy(&partitions[first], &s->partitions[old->first_partition],
                   old->partitions * sizeof *partitions);
        first += old->partitions;
        moved[order[i]] = i;
    }
    for (uint32_t i = 0; i < s->subscription_count; i++)
        move_run(s, &s->subscriptions[i], topics, moved);
    free(s->topics);
    free(s->partitions);
    s->topics = topics;
    s->partitions = partitions;
    free(order);
    free(moved);
}

static void sort_groups(struct snapshot *s)
{
    uint32_t *order = sorted_indexes(s->group_count, s->groups, group_order);
    uint32_t *moved = MEM_ARRAY(s->group_count, uint32_t);
    struct snap_group *groups = MEM_ARRAY(s->group_count, struct snap_group);
    for (uint32_t i = 0; i < s->group_count; i++) {
        groups[i] = s->groups[order[i]];
        moved[order[i]] = i;
    }
    for (uint32_t i = 0; i < s->subscription_count; i++)
        s->subscriptions[i].group = moved[s->subscriptions[i].group];
    for (uint32_t i = 0; i < s->orphan_count; i++)
        s->orphans[i].group = moved[s->orphans[i].group];
    free(s->groups);
    s->groups = groups;
    free(order);
    free(moved);
}

static bool are_runs_in_order(const struct snapshot *s)
{
    bool ordered = true;
    for (uint32_t i = 1; i < s->subscription_count && ordered; i++)
        ordered = subscription_order(&s->subscriptions[i - 1], &s->subscriptions[i]) < 0;
    return ordered;
}

/* Brings the runs into order, and makes one of those of the same group and topic. */
static void sort_runs(struct snapshot *s)
{
    struct snap_position *sorted = MEM_ARRAY(s->position_count, struct snap_position);
    uint32_t placed = 0, kept = 0;
    qsort(s->subscriptions, s->subscription_count, sizeof *s->subscriptions, subscription_order);
    for (uint32_t i = 0; i < s->subscription_count; i++) {
        struct snap_subscription run = s->subscriptions[i];
        memcpy(&sorted[placed], &s->positions[run.first_position], run.positions * sizeof *sorted);
        if (kept > 0 && subscription_order(&s->subscriptions[kept - 1], &run) == 0) {
            s->subscriptions[kept - 1].positions += run.positions;
        } else {
            s->subscriptions[kept] = run;
            s->subscriptions[kept++].first_position = placed;
        }
        placed += run.positions;
    }
    free(s->positions);
    s->positions = sorted;
    s->subscription_count = kept;
}

static void sort_positions(struct snap_position *positions, uint32_t count)
{
    for (uint32_t i = 1; i < count; i++) {
        if (position_order(&positions[i - 1], &positions[i]) > 0) {
            qsort(positions, count, sizeof *positions, position_order);
            return;
        }
    }
}

/* Sorts the run's positions and moves them down to `place`, one a partition. Returns the place behind. */
static uint32_t settle_run(struct snapshot *s, struct snap_subscription *run, uint32_t place)
{
    const struct snap_position *positions = &s->positions[run->first_position];
    sort_positions(&s->positions[run->first_position], run->positions);
    uint32_t first = place;
    for (uint32_t i = 0; i < run->positions; i++)
        if (i == 0 || positions[i].partition != s->positions[place - 1].partition)
            s->positions[place++] = positions[i];
    run->first_position = first;
    run->positions = place - first;
    return place;
}

/* Collectors ask in order, and sorting a million positions would cost more than asking for them. */
static void make_runs(struct snapshot *s)
{
    if (!are_runs_in_order(s))
        sort_runs(s);
    s->position_count = 0;
    for (uint32_t i = 0; i < s->subscription_count; i++) {
        struct snap_subscription *run = &s->subscriptions[i];
        s->position_count = settle_run(s, run, s->position_count);
        if (s->groups[run->group].subscriptions++ == 0)
            s->groups[run->group].first_subscription = i;
    }
}

void snapshot_seal(struct snapshot *snapshot, int64_t time)
{
    struct snapshot_memory *memory = snapshot->memory;
    assert(!memory->sealed);
    snapshot->time = time;
    if (snapshot->broker_count > 1)
        qsort(snapshot->brokers, snapshot->broker_count, sizeof *snapshot->brokers, broker_order);
    sort_topics(snapshot);
    sort_groups(snapshot);
    if (memory->topic_index.size > 0)
        fill_index(&memory->topic_index, snapshot, topic_name, snapshot->topic_count);
    if (memory->group_index.size > 0)
        fill_index(&memory->group_index, snapshot, group_name, snapshot->group_count);
    make_runs(snapshot);
    memory->sealed = true;
}

/* --- reading ------------------------------------------------------------------------------------------- */

static const char *const state_names[GROUP_STATES] = {
    [GROUP_STATE_UNKNOWN] = "Unknown",
    [GROUP_STATE_STABLE] = "Stable",
    [GROUP_STATE_PREPARING_REBALANCE] = "PreparingRebalance",
    [GROUP_STATE_COMPLETING_REBALANCE] = "CompletingRebalance",
    [GROUP_STATE_ASSIGNING] = "Assigning",
    [GROUP_STATE_RECONCILING] = "Reconciling",
    [GROUP_STATE_EMPTY] = "Empty",
    [GROUP_STATE_DEAD] = "Dead",
};

const char *group_state_name(enum group_state state)
{
    return state_names[state];
}

enum group_state group_state_parse(struct str name)
{
    for (int i = GROUP_STATE_UNKNOWN + 1; i < GROUP_STATES; i++)
        if (str_equal(name, str_of(state_names[i])))
            return (enum group_state)i;
    return GROUP_STATE_UNKNOWN;
}

const char *cleanup_policy_name(enum cleanup_policy policy)
{
    static const char *const names[] = {
        [CLEANUP_DELETE] = "delete",
        [CLEANUP_COMPACT] = "compact",
        [CLEANUP_COMPACT_DELETE] = "compact,delete",
    };
    return names[policy];
}

enum cleanup_policy cleanup_policy_parse(struct str name)
{
    if (str_equal(name, STR_LITERAL("delete,compact")))
        return CLEANUP_COMPACT_DELETE;
    for (int i = CLEANUP_DELETE; i <= CLEANUP_COMPACT_DELETE; i++)
        if (str_equal(name, str_of(cleanup_policy_name((enum cleanup_policy)i))))
            return (enum cleanup_policy)i;
    return CLEANUP_UNKNOWN;
}

int64_t position_lag(const struct snap_partition *partition, const struct snap_position *position)
{
    if (partition->end == UNKNOWN || partition->start == UNKNOWN || position->committed > partition->end)
        return UNKNOWN;
    int64_t from = position->committed > partition->start ? position->committed : partition->start;
    /* The start may be read after the end has been reached by retention: nothing is left, not less. */
    return partition->end > from ? partition->end - from : 0;
}
