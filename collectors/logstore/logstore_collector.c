#include "collectors/logstore/logstore_collector.h"

#include "collectors/logstore/known_times.h"

#include "exporter/base/clock.h"
#include "exporter/base/mem.h"
#include "logstore/logstore.h"

#include <stdlib.h>
#include <string.h>

struct collector {
    const struct source_config *config;
    struct logstore_observer *observer;
    struct known_times times; /* of the records that the last poll found to be unread next */
};

/* A poll under way. */
struct poll {
    const struct source_config *config;
    struct logstore_observer *observer;
    struct poll_report *report;
    struct snapshot *snapshot;
    const struct logstore_observed_topic *topics;
    size_t topic_count;
    int64_t *topic_indexes; /* of the observed topics, in the snapshot; NO_INDEX: not wanted */
};

static struct collector *open_collector(const struct source_config *config, struct error *error)
{
    if (config->property_count > 0) {
        error_set(error, ERROR_USAGE, "property \"%s\": a log store has no properties; take them out",
                  config->properties[0].name);
        return NULL;
    }
    struct logstore_observer *observer = logstore_observer_open(config->address, error);
    if (observer == NULL)
        return NULL;
    struct collector *collector = MEM_NEW(struct collector);
    *collector = (struct collector){.config = config, .observer = observer};
    return collector;
}

static void close_collector(struct collector **collector)
{
    if (*collector == NULL)
        return;
    logstore_observer_close(&(*collector)->observer);
    known_times_free(&(*collector)->times);
    free(*collector);
    *collector = NULL;
}

/* --- topics -------------------------------------------------------------------------------------------- */

static enum cleanup_policy cleanup_policy(unsigned policy)
{
    bool deletes = policy & LOGSTORE_CLEANUP_DELETE, compacts = policy & LOGSTORE_CLEANUP_COMPACT;
    if (deletes && compacts)
        return CLEANUP_COMPACT_DELETE;
    return deletes ? CLEANUP_DELETE : compacts ? CLEANUP_COMPACT : CLEANUP_UNKNOWN;
}

static void set_config(struct topic_config *config, const struct logstore_config *observed)
{
    config->retention_ms = observed->retention_ms;
    config->retention_bytes = observed->retention_bytes;
    config->segment_ms = observed->segment_ms;
    config->segment_bytes = observed->segment_bytes;
    config->min_compaction_lag_ms = observed->min_compaction_lag_ms;
    config->delete_retention_ms = observed->delete_retention_ms;
    config->cleanup_policy = cleanup_policy(observed->cleanup_policy);
}

/* The store's -1 for "there is none" is UNKNOWN here. */
static int64_t known(int64_t value)
{
    return value < 0 ? UNKNOWN : value;
}

static int64_t add_topic(struct poll *poll, const struct logstore_observed_topic *observed)
{
    struct snapshot *snapshot = poll->snapshot;
    if (!name_filter_passes(&poll->config->topics, observed->name))
        return NO_INDEX;
    int64_t index = snapshot_add_topic(snapshot, observed->name, observed->partition_count);
    if (index == NO_INDEX)
        return NO_INDEX;
    struct snap_topic *topic = &snapshot->topics[index];
    memcpy(topic->id, observed->id, sizeof topic->id);
    set_config(&topic->config, &observed->config);
    for (uint32_t i = 0; i < observed->partition_count; i++) {
        struct snap_partition *partition = &snapshot->partitions[topic->first_partition + i];
        partition->start = known(observed->partitions[i].start);
        partition->start_ts = known(observed->partitions[i].start_timestamp);
    }
    return index;
}

static bool observe_topics(struct poll *poll, struct error *error)
{
    if (!logstore_observe_topics(poll->observer, &poll->topics, &poll->topic_count, error))
        return false;
    poll->snapshot->offsets_retention_ms = logstore_observe_offsets_retention_ms(poll->observer);
    poll->topic_indexes = MEM_ARRAY(poll->topic_count, int64_t);
    for (size_t i = 0; i < poll->topic_count; i++)
        poll->topic_indexes[i] = add_topic(poll, &poll->topics[i]);
    return true;
}

static void take_ends(struct poll *poll)
{
    struct snapshot *snapshot = poll->snapshot;
    for (size_t t = 0; t < poll->topic_count; t++) {
        if (poll->topic_indexes[t] == NO_INDEX)
            continue;
        const struct snap_topic *topic = &snapshot->topics[poll->topic_indexes[t]];
        for (uint32_t i = 0; i < topic->partitions; i++) {
            struct snap_partition *partition = &snapshot->partitions[topic->first_partition + i];
            partition->end = known(poll->topics[t].partitions[i].end);
            partition->last_stable = partition->end; /* the store has no transactions */
        }
    }
}

/* --- groups -------------------------------------------------------------------------------------------- */

static enum group_state group_state(enum logstore_group_state state)
{
    switch (state) {
    case LOGSTORE_GROUP_EMPTY:
        return GROUP_STATE_EMPTY;
    case LOGSTORE_GROUP_PREPARING_REBALANCE:
        return GROUP_STATE_PREPARING_REBALANCE;
    case LOGSTORE_GROUP_STABLE:
        return GROUP_STATE_STABLE;
    }
    return GROUP_STATE_UNKNOWN;
}

static bool is_settled(const struct logstore_observed_group *observed)
{
    return group_state_is_settled(group_state(observed->state));
}

/* A member needn't have given itself a name; it always has an id. */
static struct str list_members(struct snapshot *snapshot, const struct logstore_observed_group *observed)
{
    struct member_list list = {0};
    for (size_t i = 0; i < observed->member_count; i++) {
        const struct logstore_observed_member *member = &observed->members[i];
        member_list_add(&list,
                        &(struct member){member->client_id.length > 0 ? member->client_id : member->id,
                                         member->host, is_settled(observed) ? member->assigned : UNKNOWN});
    }
    return snapshot_take_list(snapshot, &list);
}

/* Members may have joined with different timeouts: the shortest is the one that strikes first. */
static void set_members(struct snap_group *group, const struct logstore_observed_group *observed)
{
    int64_t idle = 0;
    for (size_t i = 0; i < observed->member_count; i++) {
        const struct logstore_observed_member *member = &observed->members[i];
        idle += member->assigned == 0;
        if (group->session_timeout_ms == UNKNOWN || member->session_timeout_ms < group->session_timeout_ms)
            group->session_timeout_ms = member->session_timeout_ms;
        if (group->rebalance_timeout_ms == UNKNOWN ||
            member->max_poll_interval_ms < group->rebalance_timeout_ms)
            group->rebalance_timeout_ms = member->max_poll_interval_ms;
    }
    group->members = (int64_t)observed->member_count;
    group->static_members = 0; /* the store has none */
    if (is_settled(observed))
        group->idle_members = idle;
}

static bool add_commits(struct poll *poll, uint32_t group, size_t observed_group, struct error *error)
{
    const struct logstore_observed_commit *commits;
    size_t count;
    if (!logstore_observe_commits(poll->observer, observed_group, &commits, &count, error))
        return false;
    for (size_t i = 0; i < count; i++) {
        const struct logstore_observed_commit *commit = &commits[i];
        int64_t topic = poll->topic_indexes[commit->topic];
        if (topic == NO_INDEX || commit->offset < 0)
            continue;
        struct snap_position *position = snapshot_add_position(poll->snapshot, group, (uint32_t)topic,
                                                               (int32_t)commit->partition, commit->offset);
        if (position != NULL)
            position->commit_ts = known(commit->time);
    }
    return true;
}

static void add_group(struct poll *poll, size_t index, const struct logstore_observed_group *observed)
{
    if (!name_filter_passes(&poll->config->groups, observed->name))
        return;
    int64_t group = snapshot_add_group(poll->snapshot, observed->name);
    if (group == NO_INDEX)
        return;
    struct error failure = {0};
    poll->snapshot->groups[group].commits_unknown = !add_commits(poll, (uint32_t)group, index, &failure);
    if (poll->snapshot->groups[group].commits_unknown)
        poll_report_item_failed(poll->report, STAGE_COMMITS, &failure);
    if (observed->failure != NULL) { /* then nothing else about it is known */
        error_set(&failure, observed->failure->code, "%s", error_text(observed->failure));
        poll_report_item_failed(poll->report, STAGE_GROUPS, &failure);
        return;
    }
    struct snap_group *added = &poll->snapshot->groups[group];
    added->state = group_state(observed->state);
    added->generation = observed->generation;
    added->empty_since = known(observed->empty_since);
    added->member_list = list_members(poll->snapshot, observed);
    set_members(added, observed);
}

/* --- times: once the snapshot is sealed ----------------------------------------------------------------- */

/* The timestamp of the first record still there at or after the offset, which is between start and end.
 * Looked up once for each offset of a topic that isn't compacted: those of the last poll are in `before`, and
 * all that are still of use go to `now`. */
static int64_t look_up_time(struct poll *poll, uint32_t observed, uint32_t partition, int64_t offset,
                            const struct known_times *before, struct known_times *now)
{
    const uint8_t *topic = poll->topics[observed].id;
    struct error failure = {0};
    int64_t timestamp = known_times_find(now, topic, partition, offset);
    if (timestamp >= 0)
        return timestamp; /* another group stands there, too */
    /* Compaction may take the record that an offset led to: then it leads to a later one. */
    if ((poll->topics[observed].config.cleanup_policy & LOGSTORE_CLEANUP_COMPACT) == 0)
        timestamp = known_times_find(before, topic, partition, offset);
    if (timestamp < 0 &&
        !logstore_observe_timestamp(poll->observer, observed, partition, offset, &timestamp, &failure))
        poll_report_item_failed(poll->report, STAGE_TIMESTAMPS, &failure);
    if (timestamp >= 0)
        known_times_add(now, topic, partition, offset, timestamp);
    return known(timestamp);
}

/* Where all is read, or the next record is the partition's first one, the offsets tell already. */
static void set_time(struct poll *poll, struct snap_position *position, uint32_t observed, uint32_t number,
                     const struct known_times *before, struct known_times *now)
{
    const struct snap_partition *partition = &poll->snapshot->partitions[position->partition];
    if (partition->end == UNKNOWN || position->committed >= partition->end)
        return;
    bool at_start = partition->start != UNKNOWN && position->committed <= partition->start;
    position->next_ts = at_start && partition->start_ts != UNKNOWN
                            ? partition->start_ts
                            : look_up_time(poll, observed, number, position->committed, before, now);
}

/* Which of the observed topics each of the snapshot's is; owned by the caller. */
static uint32_t *observed_topics(const struct poll *poll)
{
    uint32_t *observed = MEM_ARRAY(poll->snapshot->topic_count, uint32_t);
    for (size_t i = 0; i < poll->topic_count; i++) {
        int64_t topic = snapshot_find_topic(poll->snapshot, poll->topics[i].name);
        if (topic != NO_INDEX)
            observed[topic] = (uint32_t)i;
    }
    return observed;
}

static void set_times(struct poll *poll, struct known_times *known_before)
{
    struct snapshot *snapshot = poll->snapshot;
    struct known_times now = {0};
    uint32_t *observed = observed_topics(poll);
    for (uint32_t i = 0; i < snapshot->subscription_count; i++) {
        const struct snap_subscription *subscription = &snapshot->subscriptions[i];
        uint32_t topic = subscription->topic, first = snapshot->topics[topic].first_partition;
        for (uint32_t j = 0; j < subscription->positions; j++) {
            struct snap_position *position = &snapshot->positions[subscription->first_position + j];
            set_time(poll, position, observed[topic], position->partition - first, known_before, &now);
        }
    }
    free(observed);
    known_times_free(known_before);
    *known_before = now;
}

/* --- the poll ------------------------------------------------------------------------------------------ */

/* Ends the stage that began at *since. */
static void end_stage(struct poll *poll, enum poll_stage stage, int64_t *since)
{
    int64_t now = clock_monotonic_us();
    /* At least 1: 0 would mean that the stage was not reached. */
    poll->report->duration_us[stage] = now > *since ? now - *since : 1;
    *since = now;
}

/* In this order: start offsets, groups, commits, end offsets. */
static bool observe(struct poll *poll, struct error *error)
{
    int64_t since = clock_monotonic_us();
    if (!observe_topics(poll, error)) {
        poll->report->errors[STAGE_START_OFFSETS]++;
        return false;
    }
    end_stage(poll, STAGE_START_OFFSETS, &since);
    const struct logstore_observed_group *groups;
    size_t group_count;
    if (!logstore_observe_groups(poll->observer, &groups, &group_count, error)) {
        poll->report->errors[STAGE_GROUPS]++;
        return false;
    }
    end_stage(poll, STAGE_GROUPS, &since);
    int64_t first_commit = since;
    for (size_t i = 0; i < group_count; i++)
        add_group(poll, i, &groups[i]);
    end_stage(poll, STAGE_COMMITS, &since);
    struct error failure = {0};
    if (!logstore_observe_ends(poll->observer, &failure))
        poll_report_item_failed(poll->report, STAGE_END_OFFSETS, &failure);
    take_ends(poll);
    end_stage(poll, STAGE_END_OFFSETS, &since);
    poll->snapshot->skew_ms = (since - first_commit + 999) / 1000;
    return true;
}

static struct snapshot *poll_store(struct collector *collector, struct poll_report *report,
                                   struct error *error)
{
    struct poll poll = {
        .config = collector->config,
        .observer = collector->observer,
        .report = report,
        .snapshot = snapshot_new(),
    };
    if (observe(&poll, error)) {
        snapshot_seal(poll.snapshot, clock_wall_ms());
        int64_t since = clock_monotonic_us();
        set_times(&poll, &collector->times);
        end_stage(&poll, STAGE_TIMESTAMPS, &since);
    } else {
        snapshot_free(&poll.snapshot);
    }
    free(poll.topic_indexes);
    return poll.snapshot;
}

static void check_store(const struct source_config *config, struct check_list *list)
{
    struct poll_report report = {0};
    struct error error = {0};
    struct collector *collector = open_collector(config, &error);
    struct snapshot *snapshot = collector != NULL ? poll_store(collector, &report, &error) : NULL;
    if (snapshot != NULL)
        check_list_ok(list, "the store can be read: %u topics, %u groups", snapshot->topic_count,
                      snapshot->group_count);
    else
        check_list_problem(list, CHECK_FAILED,
                           "see the folder's name and that this user may read what is in it", "%s",
                           error_text(&error));
    if (report.first_error.code != ERROR_NONE)
        check_list_problem(list, CHECK_LIMITED, "see `tidemark log verify`", "%s",
                           error_text(&report.first_error));
    snapshot_free(&snapshot);
    close_collector(&collector);
    error_clear(&report.first_error);
    error_clear(&error);
}

const struct collector_kind logstore_collector = {
    .name = "logstore",
    .offsets = "store",
    .rebalances = "exact",
    .open = open_collector,
    .poll = poll_store,
    .check = check_store,
    .close = close_collector,
};
