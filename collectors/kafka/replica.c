#include "collectors/kafka/replica.h"

#include "exporter/base/mem.h"
#include "exporter/snapshot.h"

#include <search.h>
#include <stdlib.h>
#include <string.h>

struct topic_name {
    struct str name; /* owned; first, since the tree compares names */
    uint32_t number;
    size_t positions; /* that are on it */
};

struct kafka_replica {
    const struct source_config *config;
    void *group_tree, *topic_tree;           /* of tsearch(); own what they hold */
    struct kafka_replica_group *last_group;  /* of the last record: the next one is likely of the same */
    struct topic_name *last_topic, **topics; /* by number; NULL: free */
    size_t topic_count, topic_capacity;
    int64_t unknown;
};

/* What the trees hold begins with its name. */
static int name_order(const void *a, const void *b)
{
    return str_compare(*(const struct str *)a, *(const struct str *)b);
}

static struct str copy_name(struct str name)
{
    return (struct str){mem_copy_str(name), name.length};
}

/* What the tree holds of that name, or NULL. */
static void *find_name(void *const *tree, struct str name)
{
    void *const *node = tfind(&name, tree, name_order);
    return node == NULL ? NULL : *node;
}

static void add_name(void **tree, void *item)
{
    /* The tree has no other way to say that there is no memory. */
    if (tsearch(item, tree, name_order) == NULL)
        abort();
}

/* --- topics -------------------------------------------------------------------------------------------- */

static uint32_t free_number(struct kafka_replica *replica)
{
    for (size_t i = 0; i < replica->topic_count; i++)
        if (replica->topics[i] == NULL)
            return (uint32_t)i;
    replica->topics = mem_grow(replica->topics, &replica->topic_capacity, replica->topic_count + 1,
                               sizeof *replica->topics);
    return (uint32_t)replica->topic_count++;
}

static struct topic_name *find_topic(struct kafka_replica *replica, struct str name)
{
    if (replica->last_topic != NULL && str_equal(replica->last_topic->name, name))
        return replica->last_topic;
    struct topic_name *topic = find_name(&replica->topic_tree, name);
    if (topic != NULL)
        replica->last_topic = topic;
    return topic;
}

static struct topic_name *topic_of(struct kafka_replica *replica, struct str name)
{
    struct topic_name *topic = find_topic(replica, name);
    if (topic != NULL)
        return topic;
    topic = MEM_NEW(struct topic_name);
    *topic = (struct topic_name){.name = copy_name(name), .number = free_number(replica)};
    replica->topics[topic->number] = topic;
    add_name(&replica->topic_tree, topic);
    return replica->last_topic = topic;
}

static void free_topic(void *item)
{
    struct topic_name *topic = item;
    free((char *)topic->name.bytes);
    free(topic);
}

static void drop_topic(struct kafka_replica *replica, struct topic_name *topic)
{
    tdelete(topic, &replica->topic_tree, name_order);
    replica->topics[topic->number] = NULL;
    replica->last_topic = NULL;
    free_topic(topic);
}

/* --- groups -------------------------------------------------------------------------------------------- */

static void free_member(struct kafka_replica_member *member)
{
    free((char *)member->id.bytes);
    free((char *)member->name.bytes);
}

static void free_members(struct kafka_replica_group *group)
{
    for (size_t i = 0; i < group->member_count; i++)
        free_member(&group->members[i]);
    free(group->members);
    group->members = NULL;
    group->member_count = group->member_capacity = 0;
}

static void free_group(void *item)
{
    struct kafka_replica_group *group = item;
    free_members(group);
    free((char *)group->classic_list.bytes);
    kafka_commit_set_free(&group->commits);
    free((char *)group->name.bytes);
    free(group);
}

static struct kafka_replica_group *find_group(struct kafka_replica *replica, struct str name)
{
    if (replica->last_group != NULL && str_equal(replica->last_group->name, name))
        return replica->last_group;
    struct kafka_replica_group *group = find_name(&replica->group_tree, name);
    if (group != NULL)
        replica->last_group = group;
    return group;
}

struct kafka_replica_group *kafka_replica_add(struct kafka_replica *replica, struct str name)
{
    struct kafka_replica_group *group = find_group(replica, name);
    if (group != NULL)
        return group;
    group = MEM_NEW(struct kafka_replica_group);
    *group = (struct kafka_replica_group){.name = copy_name(name), .log_partition = -1, .epoch = -1};
    add_name(&replica->group_tree, group);
    return replica->last_group = group;
}

/* The group, made if need be; NULL when it is not wanted. */
static struct kafka_replica_group *group_of(struct kafka_replica *replica, struct str name)
{
    struct kafka_replica_group *group = find_group(replica, name);
    return group != NULL || !name_filter_passes(&replica->config->groups, name)
               ? group
               : kafka_replica_add(replica, name);
}

static void drop_if_bare(struct kafka_replica *replica, struct kafka_replica_group *group)
{
    if (group->positions > 0 || group->is_doubted || group->is_classic || group->epoch >= 0 ||
        group->member_count > 0)
        return;
    tdelete(group, &replica->group_tree, name_order);
    replica->last_group = NULL;
    free_group(group);
}

/* --- commits ------------------------------------------------------------------------------------------- */

static void remove_commit(struct kafka_replica *replica, struct kafka_replica_group *group, struct str topic,
                          int32_t partition)
{
    struct topic_name *known = find_topic(replica, topic);
    struct kafka_commit *commit =
        known == NULL ? NULL : kafka_commit_set_find(&group->commits, known->number, partition);
    if (commit == NULL || commit->offset < 0)
        return;
    commit->offset = -1;
    group->commits.is_untidy = true;
    group->positions--;
    if (--known->positions == 0)
        drop_topic(replica, known);
}

void kafka_replica_set(struct kafka_replica *replica, struct kafka_replica_group *group, struct str topic,
                       int32_t partition, int64_t offset, int64_t time)
{
    if (offset < 0) {
        remove_commit(replica, group, topic, partition);
        return;
    }
    if (find_topic(replica, topic) == NULL && !name_filter_passes(&replica->config->topics, topic))
        return;
    struct topic_name *known = topic_of(replica, topic);
    struct kafka_commit *commit = kafka_commit_set_at(&group->commits, known->number, partition);
    group->positions += commit->offset < 0;
    known->positions += commit->offset < 0;
    commit->offset = offset;
    commit->time = time;
}

/* --- members ------------------------------------------------------------------------------------------- */

/* The index of the member or, if it isn't there, of where it belongs. */
static size_t member_place(const struct kafka_replica_group *group, struct str id)
{
    size_t low = 0, high = group->member_count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (str_compare(group->members[middle].id, id) < 0)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

static bool is_member(const struct kafka_replica_group *group, size_t place, struct str id)
{
    return place < group->member_count && str_equal(group->members[place].id, id);
}

static struct kafka_replica_member *member_of(struct kafka_replica_group *group, struct str id)
{
    size_t place = member_place(group, id);
    if (is_member(group, place, id))
        return &group->members[place];
    group->members =
        mem_grow(group->members, &group->member_capacity, group->member_count + 1, sizeof *group->members);
    struct kafka_replica_member *member = &group->members[place];
    memmove(member + 1, member, (group->member_count++ - place) * sizeof *member);
    *member = (struct kafka_replica_member){
        .id = copy_name(id), .session_timeout_ms = -1, .rebalance_timeout_ms = -1};
    return member;
}

static void remove_member(struct kafka_replica_group *group, struct str id)
{
    size_t place = member_place(group, id);
    if (!is_member(group, place, id))
        return;
    struct kafka_replica_member *member = &group->members[place];
    free_member(member);
    memmove(member, member + 1, (--group->member_count - place) * sizeof *member);
}

/* Keeps what the list holds, without its spare room, instead of what was kept before. */
static void keep_list(struct str *kept, struct member_list *list)
{
    free((char *)kept->bytes);
    *kept = copy_name(member_list_str(list));
    member_list_free(list);
}

static void take_member(struct kafka_replica_group *group, const struct kafka_group_record *record)
{
    if (record->is_gone) {
        remove_member(group, record->member.id);
        return;
    }
    struct kafka_replica_member *member = member_of(group, record->member.id);
    member->is_declared = true;
    member->has_instance = record->member.has_instance;
    member->session_timeout_ms = record->member.session_timeout_ms;
    member->rebalance_timeout_ms = record->member.rebalance_timeout_ms;
    struct member_list list = {0};
    member_list_add(&list, &(struct member){record->member.client_id, record->member.host, UNKNOWN});
    keep_list(&member->name, &list);
}

/* Compaction may have left the assignment of a member that is no more without its declaration; its tombstone
 * follows. */
static void take_assignment(struct kafka_replica_group *group, const struct kafka_group_record *record)
{
    size_t place = member_place(group, record->assignment.id);
    if (!record->is_gone)
        member_of(group, record->assignment.id)->assigned = record->assignment.assigned;
    else if (is_member(group, place, record->assignment.id) && !group->members[place].is_declared)
        remove_member(group, record->assignment.id);
    else if (is_member(group, place, record->assignment.id))
        group->members[place].assigned = 0;
}

/* --- records ------------------------------------------------------------------------------------------- */

static void list_classic(struct kafka_replica_group *group, struct kafka_classic_list members)
{
    struct member_list list = {0};
    struct kafka_classic_member member;
    while (kafka_classic_next(&members, &member))
        member_list_add(&list, &(struct member){member.client_id, member.host,
                                                member.assigned >= 0 ? member.assigned : UNKNOWN});
    keep_list(&group->classic_list, &list);
}

static void take_classic(struct kafka_replica_group *group, const struct kafka_group_record *record)
{
    group->is_classic = !record->is_gone && record->classic.is_of_consumers;
    if (!group->is_classic)
        return;
    group->generation = record->classic.generation;
    group->state_since = record->classic.state_since;
    group->classic = record->classic.members;
    list_classic(group, record->classic.list);
}

static void take_epoch(struct kafka_replica_group *group, const struct kafka_group_record *record)
{
    group->epoch = record->is_gone ? -1 : record->epoch.epoch;
    if (record->is_gone)
        free_members(group);
}

static void apply(struct kafka_replica *replica, struct kafka_replica_group *group,
                  const struct kafka_group_record *record)
{
    switch (record->kind) {
    case KAFKA_RECORD_COMMIT:
        kafka_replica_set(replica, group, record->commit.topic, record->commit.partition,
                          record->is_gone ? -1 : record->commit.offset, record->commit.time);
        return;
    case KAFKA_RECORD_UNKNOWN_COMMIT:
        group->is_doubted = true;
        return;
    case KAFKA_RECORD_CLASSIC:
        take_classic(group, record);
        return;
    case KAFKA_RECORD_EPOCH:
        take_epoch(group, record);
        return;
    case KAFKA_RECORD_MEMBER:
        take_member(group, record);
        return;
    case KAFKA_RECORD_ASSIGNMENT:
        take_assignment(group, record);
        return;
    default:
        return;
    }
}

void kafka_replica_take(struct kafka_replica *replica, int32_t log_partition, struct str key,
                        struct str value)
{
    struct kafka_group_record record = kafka_group_record_read(key, value);
    replica->unknown += record.kind == KAFKA_RECORD_UNKNOWN || record.kind == KAFKA_RECORD_UNKNOWN_COMMIT;
    if (record.kind == KAFKA_RECORD_UNKNOWN || record.kind == KAFKA_RECORD_FOREIGN)
        return;
    struct kafka_replica_group *group =
        record.is_gone ? find_group(replica, record.group) : group_of(replica, record.group);
    if (group == NULL)
        return;
    group->log_partition = log_partition;
    apply(replica, group, &record);
    drop_if_bare(replica, group);
}

/* --- all ----------------------------------------------------------------------------------------------- */

struct kafka_replica *kafka_replica_new(const struct source_config *config)
{
    struct kafka_replica *replica = MEM_NEW(struct kafka_replica);
    replica->config = config;
    return replica;
}

void kafka_replica_free(struct kafka_replica **replica)
{
    if (*replica == NULL)
        return;
    tdestroy((*replica)->group_tree, free_group);
    tdestroy((*replica)->topic_tree, free_topic);
    free((*replica)->topics);
    free(*replica);
    *replica = NULL;
}

void kafka_replica_trust(struct kafka_replica *replica, struct kafka_replica_group *group)
{
    group->is_doubted = false;
    drop_if_bare(replica, group);
}

struct kafka_replica_group *kafka_replica_find(const struct kafka_replica *replica, struct str name)
{
    return find_name(&replica->group_tree, name);
}

const struct kafka_commit *kafka_replica_commit(const struct kafka_replica *replica,
                                                const struct kafka_replica_group *group, struct str topic,
                                                int32_t partition)
{
    const struct topic_name *known = find_name(&replica->topic_tree, topic);
    const struct kafka_commit *commit =
        known == NULL ? NULL : kafka_commit_set_find(&group->commits, known->number, partition);
    return commit == NULL || commit->offset < 0 ? NULL : commit;
}

struct str kafka_replica_topic(const struct kafka_replica *replica, uint32_t topic)
{
    return replica->topics[topic] == NULL ? (struct str){"", 0} : replica->topics[topic]->name;
}

uint32_t kafka_replica_topics(const struct kafka_replica *replica)
{
    return (uint32_t)replica->topic_count;
}

static void tidy_group(const void *node, VISIT visit, void *context)
{
    struct kafka_replica_group *const *group = node;
    (void)context;
    if (visit == postorder || visit == leaf)
        kafka_commit_set_tidy(&(*group)->commits);
}

void kafka_replica_tidy(struct kafka_replica *replica)
{
    twalk_r(replica->group_tree, tidy_group, NULL);
}

int64_t kafka_replica_take_unknown(struct kafka_replica *replica)
{
    int64_t unknown = replica->unknown;
    replica->unknown = 0;
    return unknown;
}
