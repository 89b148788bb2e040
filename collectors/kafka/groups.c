#include "collectors/kafka/groups.h"

#include "collectors/kafka/followed_groups.h"
#include "collectors/kafka/layout.h"
#include "exporter/base/mem.h"

#include <stdlib.h>
#include <string.h>

static void free_group(struct kafka_group *group)
{
    free(group->name);
    free(group->known);
}

void kafka_groups_free(struct kafka_groups *groups)
{
    for (size_t i = 0; i < groups->count; i++)
        free_group(&groups->items[i]);
    free(groups->items);
    *groups = (struct kafka_groups){0};
}

static void move_known(struct kafka_group *group, const uint32_t *moved)
{
    size_t kept = 0;
    for (size_t i = 0; i < group->known_count; i++)
        if (moved[group->known[i]] != KAFKA_GONE)
            group->known[kept++] = moved[group->known[i]];
    group->known_count = kept;
}

void kafka_groups_move(struct kafka_groups *groups, const uint32_t *moved)
{
    for (size_t i = 0; i < groups->count; i++)
        move_known(&groups->items[i], moved);
}

static enum group_state state_of(rd_kafka_consumer_group_state_t state)
{
    switch (state) {
    case RD_KAFKA_CONSUMER_GROUP_STATE_STABLE:
        return GROUP_STATE_STABLE;
    case RD_KAFKA_CONSUMER_GROUP_STATE_PREPARING_REBALANCE:
        return GROUP_STATE_PREPARING_REBALANCE;
    case RD_KAFKA_CONSUMER_GROUP_STATE_COMPLETING_REBALANCE:
        return GROUP_STATE_COMPLETING_REBALANCE;
    case RD_KAFKA_CONSUMER_GROUP_STATE_EMPTY:
        return GROUP_STATE_EMPTY;
    case RD_KAFKA_CONSUMER_GROUP_STATE_DEAD:
        return GROUP_STATE_DEAD;
    default:
        return GROUP_STATE_UNKNOWN;
    }
}

/* --- listing ------------------------------------------------------------------------------------------- */

static int group_order(const void *a, const void *b)
{
    return strcmp(((const struct kafka_group *)a)->name, ((const struct kafka_group *)b)->name);
}

/* The listed groups that the filter passes, sorted. Only names are set; they are the event's. */
static struct kafka_groups wanted_groups(const struct kafka_poll *poll,
                                         const rd_kafka_ListConsumerGroups_result_t *result)
{
    size_t listed;
    const rd_kafka_ConsumerGroupListing_t **listings =
        rd_kafka_ListConsumerGroups_result_valid(result, &listed);
    struct kafka_groups wanted = {.items = MEM_ARRAY(listed, struct kafka_group)};
    for (size_t i = 0; i < listed; i++) {
        const char *name = rd_kafka_ConsumerGroupListing_group_id(listings[i]);
        if (name_filter_passes(&poll->config->groups, str_of(name)))
            wanted.items[wanted.count++] = (struct kafka_group){
                .name = (char *)name, .listed = state_of(rd_kafka_ConsumerGroupListing_state(listings[i]))};
    }
    qsort(wanted.items, wanted.count, sizeof *wanted.items, group_order);
    return wanted;
}

/* Moves the group that is to be kept to the end of `groups`. */
static void keep(struct kafka_poll *poll, struct kafka_groups *groups, struct kafka_group group)
{
    /* A name that ends at a NUL may be listed twice. */
    if (snapshot_add_group(poll->snapshot, str_of(group.name)) == NO_INDEX)
        free_group(&group);
    else
        groups->items[groups->count++] = group;
}

/* Replaces the groups of the last poll by the wanted ones, which take over what is known of them. If the list
 * is partial, those that it lacks are kept: they are unknown, not gone. */
static void merge(struct kafka_poll *poll, struct kafka_groups *groups, const struct kafka_groups *wanted,
                  bool is_partial)
{
    struct kafka_groups merged = {.items = MEM_ARRAY(groups->count + wanted->count, struct kafka_group)};
    for (size_t old = 0, i = 0; old < groups->count || i < wanted->count;) {
        int order = old == groups->count ? 1
                    : i == wanted->count ? -1
                                         : group_order(&groups->items[old], &wanted->items[i]);
        struct kafka_group group = {0};
        if (order > 0)
            group.name = mem_copy_text(wanted->items[i].name);
        else
            group = groups->items[old++];
        group.listed = order >= 0 ? wanted->items[i++].listed : GROUP_STATE_UNKNOWN;
        if (order >= 0 || is_partial)
            keep(poll, &merged, group);
        else
            free_group(&group);
    }
    free(groups->items);
    *groups = merged;
}

static void note_list_errors(struct kafka_poll *poll, const rd_kafka_error_t **errors, size_t count)
{
    for (size_t i = 0; i < count; i++)
        kafka_poll_failed(poll, STAGE_GROUPS, rd_kafka_error_code(errors[i]), "list of groups of",
                          STR_LITERAL("a broker"));
}

/* An error of librdkafka's own is below 0; a broker that refuses has answered. */
bool kafka_nobody_answered(const rd_kafka_error_t *const *errors, size_t count, size_t brokers)
{
    bool nobody = count >= brokers && count > 0;
    for (size_t i = 0; i < count && nobody; i++)
        nobody = rd_kafka_error_code(errors[i]) < 0;
    return nobody;
}

static bool take_list(struct kafka_poll *poll, struct kafka_groups *groups, rd_kafka_event_t *event,
                      struct error *error)
{
    const rd_kafka_ListConsumerGroups_result_t *result = rd_kafka_event_ListConsumerGroups_result(event);
    if (result == NULL || rd_kafka_event_error(event) != RD_KAFKA_RESP_ERR_NO_ERROR)
        return kafka_poll_broken(poll, rd_kafka_event_error(event), "list groups", error);
    size_t failures, listed;
    const rd_kafka_error_t **errors = rd_kafka_ListConsumerGroups_result_errors(result, &failures);
    rd_kafka_ListConsumerGroups_result_valid(result, &listed);
    if (listed == 0 && kafka_nobody_answered(errors, failures, poll->snapshot->broker_count))
        return kafka_poll_broken(poll, rd_kafka_error_code(errors[0]), "list groups", error);
    note_list_errors(poll, errors, failures);
    struct kafka_groups wanted = wanted_groups(poll, result);
    merge(poll, groups, &wanted, failures > 0);
    free(wanted.items);
    return true;
}

bool kafka_list_groups(struct kafka_poll *poll, struct kafka_groups *groups, struct error *error)
{
    rd_kafka_t *handle = kafka_client_handle(poll->client);
    rd_kafka_queue_t *queue = rd_kafka_queue_new(handle);
    rd_kafka_AdminOptions_t *options = kafka_poll_options(poll, RD_KAFKA_ADMIN_OP_LISTCONSUMERGROUPS);
    rd_kafka_ListConsumerGroups(handle, options, queue);
    rd_kafka_event_t *event = kafka_poll_await(poll, queue);
    bool done = event != NULL ? take_list(poll, groups, event, error)
                              : kafka_poll_broken(poll, RD_KAFKA_RESP_ERR__TIMED_OUT, "list groups", error);
    if (event != NULL)
        rd_kafka_event_destroy(event);
    rd_kafka_AdminOptions_destroy(options);
    rd_kafka_queue_destroy(queue);
    return done;
}

/* --- describing ---------------------------------------------------------------------------------------- */

static int64_t count_assigned(const rd_kafka_MemberDescription_t *member)
{
    const rd_kafka_MemberAssignment_t *assignment = rd_kafka_MemberDescription_assignment(member);
    const rd_kafka_topic_partition_list_t *partitions =
        assignment != NULL ? rd_kafka_MemberAssignment_partitions(assignment) : NULL;
    return partitions != NULL ? partitions->cnt : 0;
}

static bool is_settled(const rd_kafka_ConsumerGroupDescription_t *description)
{
    return group_state_is_settled(state_of(rd_kafka_ConsumerGroupDescription_state(description)));
}

/* A broker needn't say where a member is. */
static struct str text_of(const char *text)
{
    return str_of(text != NULL ? text : "");
}

static struct str list_members(struct snapshot *snapshot,
                               const rd_kafka_ConsumerGroupDescription_t *description)
{
    struct member_list list = {0};
    size_t members = rd_kafka_ConsumerGroupDescription_member_count(description);
    for (size_t i = 0; i < members; i++) {
        const rd_kafka_MemberDescription_t *member = rd_kafka_ConsumerGroupDescription_member(description, i);
        member_list_add(&list, &(struct member){
                                   .client_id = text_of(rd_kafka_MemberDescription_client_id(member)),
                                   .host = text_of(rd_kafka_MemberDescription_host(member)),
                                   .assigned = is_settled(description) ? count_assigned(member) : UNKNOWN,
                               });
    }
    return snapshot_take_list(snapshot, &list);
}

static void fill_group(struct snap_group *group, const rd_kafka_ConsumerGroupDescription_t *description)
{
    size_t members = rd_kafka_ConsumerGroupDescription_member_count(description);
    int64_t idle = 0, with_instance = 0;
    for (size_t i = 0; i < members; i++) {
        const rd_kafka_MemberDescription_t *member = rd_kafka_ConsumerGroupDescription_member(description, i);
        idle += count_assigned(member) == 0;
        with_instance += rd_kafka_MemberDescription_group_instance_id(member) != NULL;
    }
    group->state = state_of(rd_kafka_ConsumerGroupDescription_state(description));
    group->members = (int64_t)members;
    group->static_members = with_instance;
    if (is_settled(description))
        group->idle_members = idle;
}

static void take_description(struct kafka_poll *poll, struct kafka_groups *groups,
                             const rd_kafka_ConsumerGroupDescription_t *description)
{
    struct str name = str_of(rd_kafka_ConsumerGroupDescription_group_id(description));
    const rd_kafka_error_t *failure = rd_kafka_ConsumerGroupDescription_error(description);
    int64_t index = snapshot_find_group(poll->snapshot, name);
    if (index == NO_INDEX)
        return;
    struct kafka_group *group = &groups->items[index];
    rd_kafka_resp_err_t code = failure != NULL ? rd_kafka_error_code(failure) : RD_KAFKA_RESP_ERR_NO_ERROR;
    if (code != RD_KAFKA_RESP_ERR_NO_ERROR) {
        group->is_silent = kafka_is_silence(code);
        kafka_poll_failed(poll, STAGE_GROUPS, code, "group", name);
        return;
    }
    /* A group of the new protocol (KIP-848) is listed like any other; but this request, which is older, is
     * told that it is dead. So the members of what isn't listed as dead are unknown, not none. */
    if (rd_kafka_ConsumerGroupDescription_state(description) == RD_KAFKA_CONSUMER_GROUP_STATE_DEAD &&
        group->listed != GROUP_STATE_DEAD)
        return;
    poll->snapshot->groups[index].member_list = list_members(poll->snapshot, description);
    fill_group(&poll->snapshot->groups[index], description);
}

static void take_descriptions(struct kafka_poll *poll, struct kafka_groups *groups, rd_kafka_event_t *event)
{
    const rd_kafka_DescribeConsumerGroups_result_t *result =
        event != NULL ? rd_kafka_event_DescribeConsumerGroups_result(event) : NULL;
    if (result == NULL || rd_kafka_event_error(event) != RD_KAFKA_RESP_ERR_NO_ERROR) {
        kafka_poll_failed(poll, STAGE_GROUPS,
                          event != NULL ? rd_kafka_event_error(event) : RD_KAFKA_RESP_ERR__TIMED_OUT,
                          "description of", STR_LITERAL("groups"));
        return;
    }
    size_t count;
    const rd_kafka_ConsumerGroupDescription_t **descriptions =
        rd_kafka_DescribeConsumerGroups_result_groups(result, &count);
    for (size_t i = 0; i < count; i++)
        take_description(poll, groups, descriptions[i]);
}

/* The groups that have to be described, as librdkafka takes them; free the array. */
static const char **names_to_describe(struct kafka_groups *groups, const struct kafka_follower *follower,
                                      size_t *count)
{
    const char **names = MEM_ARRAY(groups->count, const char *);
    *count = 0;
    for (size_t i = 0; i < groups->count; i++) {
        groups->items[i].is_silent = false;
        if (!kafka_group_is_followed(&groups->items[i], follower))
            names[(*count)++] = groups->items[i].name;
    }
    return names;
}

static void describe(struct kafka_poll *poll, struct kafka_groups *groups, const char **names, size_t count)
{
    rd_kafka_t *handle = kafka_client_handle(poll->client);
    rd_kafka_queue_t *queue = rd_kafka_queue_new(handle);
    rd_kafka_AdminOptions_t *options = kafka_poll_options(poll, RD_KAFKA_ADMIN_OP_DESCRIBECONSUMERGROUPS);
    rd_kafka_DescribeConsumerGroups(handle, names, count, options, queue);
    rd_kafka_event_t *event = kafka_poll_await(poll, queue);
    take_descriptions(poll, groups, event);
    if (event != NULL)
        rd_kafka_event_destroy(event);
    rd_kafka_AdminOptions_destroy(options);
    rd_kafka_queue_destroy(queue);
}

void kafka_describe_groups(struct kafka_poll *poll, struct kafka_groups *groups,
                           const struct kafka_follower *follower)
{
    size_t count;
    const char **names = names_to_describe(groups, follower, &count);
    if (count > 0)
        describe(poll, groups, names, count);
    free(names);
    kafka_complete_groups(poll, groups, follower);
}
