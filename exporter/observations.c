#include "exporter/observations.h"

#include "exporter/base/json_writer.h"

#include <jansson.h>
#include <math.h>
#include <stdlib.h>

/* --- reading ------------------------------------------------------------------------------------------- */

/* More partitions than any topic, and any cluster, has: what is above is a mistake or an attack. Those that a
 * topic doesn't name take room as well, up to its highest number. */
enum { PARTITIONS_MAX = 1 << 20, PARTITIONS_IN_ALL_MAX = 1 << 22 };

/* Seconds since 1970 that an int64_t of milliseconds holds with room for sums. */
static const double farthest_seconds = 1e14;

static bool corrupt(struct error *error, const char *what)
{
    error_set(error, ERROR_CORRUPT, "%s", what);
    return false;
}

static struct str text_of(const json_t *value)
{
    return (struct str){json_string_value(value), json_string_length(value)};
}

/* A whole number >= 0, or UNKNOWN when it is missing or none. */
static int64_t get_count(const json_t *object, const char *key)
{
    const json_t *value = json_object_get(object, key);
    return json_is_integer(value) && json_integer_value(value) >= 0 ? json_integer_value(value) : UNKNOWN;
}

/* A setting, for which -1 is a value. */
static int64_t get_setting(const json_t *object, const char *key)
{
    const json_t *value = json_object_get(object, key);
    return json_is_integer(value) && json_integer_value(value) >= -1 ? json_integer_value(value) : UNKNOWN;
}

static int64_t get_time(const json_t *object, const char *key)
{
    const json_t *value = json_object_get(object, key);
    double seconds = json_is_number(value) ? json_number_value(value) : -1;
    return seconds >= 0 && seconds < farthest_seconds ? (int64_t)llround(seconds * 1000) : UNKNOWN;
}

static void read_config(struct topic_config *config, const json_t *object)
{
    const json_t *policy = json_object_get(object, "cleanup.policy");
    config->retention_ms = get_setting(object, "retention.ms");
    config->retention_bytes = get_setting(object, "retention.bytes");
    config->segment_ms = get_setting(object, "segment.ms");
    config->segment_bytes = get_setting(object, "segment.bytes");
    config->min_compaction_lag_ms = get_setting(object, "min.compaction.lag.ms");
    config->delete_retention_ms = get_setting(object, "delete.retention.ms");
    if (json_is_string(policy))
        config->cleanup_policy = cleanup_policy_parse(text_of(policy));
}

/* The number of a partition, -1 when it is missing or none. */
static int32_t partition_number(const json_t *object)
{
    int64_t number = get_count(object, "partition");
    return number >= 0 && number < PARTITIONS_MAX ? (int32_t)number : -1;
}

/* Leaves the id unknown when the text is none. */
static void read_id(uint8_t *id, const char *text)
{
    if (text == NULL || strlen(text) != 32 || strspn(text, "0123456789abcdef") != 32)
        return;
    for (size_t i = 0; i < 16; i++) {
        const char digits[] = {text[2 * i], text[2 * i + 1], '\0'};
        id[i] = (uint8_t)strtoul(digits, NULL, 16);
    }
}

static bool read_topic(struct snapshot *snapshot, const json_t *object, struct error *error)
{
    const json_t *name = json_object_get(object, "topic"), *partition;
    const json_t *partitions = json_object_get(object, "partitions");
    uint32_t count = 0;
    size_t i;
    if (!json_is_string(name))
        return corrupt(error, "a topic has no \"topic\"");
    json_array_foreach(partitions, i, partition)
    {
        int32_t number = partition_number(partition);
        if (number < 0)
            return corrupt(error, "a topic's partition has no \"partition\" from 0 to 1048575");
        if ((uint32_t)number >= count)
            count = (uint32_t)number + 1;
    }
    if (count > PARTITIONS_IN_ALL_MAX - snapshot->partition_count)
        return corrupt(error, "the topics have more than 4194304 partitions");
    int64_t topic = snapshot_add_topic(snapshot, text_of(name), count);
    if (topic == NO_INDEX)
        return true;
    read_id(snapshot->topics[topic].id, json_string_value(json_object_get(object, "id")));
    read_config(&snapshot->topics[topic].config, json_object_get(object, "config"));
    json_array_foreach(partitions, i, partition)
    {
        uint32_t at = snapshot->topics[topic].first_partition + (uint32_t)partition_number(partition);
        struct snap_partition *p = &snapshot->partitions[at];
        p->start = get_count(partition, "start");
        p->end = get_count(partition, "end");
        p->last_stable = get_count(partition, "lso");
        p->start_ts = get_time(partition, "start_ts");
    }
    return true;
}

static bool read_offset(struct snapshot *snapshot, uint32_t group, const json_t *object, struct error *error)
{
    const json_t *name = json_object_get(object, "topic");
    int32_t partition = partition_number(object);
    int64_t committed = get_count(object, "committed");
    if (!json_is_string(name) || partition < 0 || committed == UNKNOWN)
        return corrupt(error, "an offset lacks \"topic\", \"partition\" or \"committed\"");
    int64_t topic = snapshot_find_topic(snapshot, text_of(name));
    struct snap_position *position =
        topic == NO_INDEX ? NULL
                          : snapshot_add_position(snapshot, group, (uint32_t)topic, partition, committed);
    if (position == NULL) {
        snapshot_add_orphan(snapshot, group, text_of(name), partition);
        return true;
    }
    position->next_ts = json_is_true(json_object_get(object, "no_record")) ? NO_RECORD
                        : json_is_true(json_object_get(object, "undated")) ? UNDATED
                                                                           : get_time(object, "next_ts");
    position->commit_ts = get_time(object, "commit_ts");
    return true;
}

static bool read_group(struct snapshot *snapshot, const json_t *object, struct error *error)
{
    const json_t *name = json_object_get(object, "group"), *state = json_object_get(object, "state"), *offset;
    size_t i;
    if (!json_is_string(name))
        return corrupt(error, "a group has no \"group\"");
    int64_t index = snapshot_add_group(snapshot, text_of(name));
    if (index == NO_INDEX)
        return true;
    struct snap_group *group = &snapshot->groups[index];
    if (json_is_string(state))
        group->state = group_state_parse(text_of(state));
    group->members = get_count(object, "members");
    group->generation = get_count(object, "generation");
    group->idle_members = get_count(object, "idle_members");
    group->session_timeout_ms = get_count(object, "session_timeout_ms");
    group->rebalance_timeout_ms = get_count(object, "rebalance_timeout_ms");
    group->static_members = get_count(object, "static_members");
    group->empty_since = get_time(object, "empty_since");
    group->commits_unknown = json_is_true(json_object_get(object, "commits_unknown"));
    json_array_foreach(json_object_get(object, "offsets"), i, offset)
    {
        if (!read_offset(snapshot, (uint32_t)index, offset, error))
            return false;
    }
    return true;
}

static bool read_snapshot(struct snapshot *snapshot, const json_t *root, struct error *error)
{
    int64_t time = get_time(root, "t"), minutes = get_count(root, "offsets_retention_minutes");
    const json_t *item;
    size_t i;
    if (time == UNKNOWN)
        return corrupt(error, "there is no time \"t\" in Unix seconds");
    snapshot->tells_no_record = json_is_true(json_object_get(root, "tells_no_record"));
    snapshot->offsets_retention_ms = minutes != UNKNOWN && minutes < INT32_MAX ? minutes * 60000 : UNKNOWN;
    json_array_foreach(json_object_get(root, "topics"), i, item)
    {
        if (!read_topic(snapshot, item, error))
            return false;
    }
    json_array_foreach(json_object_get(root, "groups"), i, item)
    {
        if (!read_group(snapshot, item, error))
            return false;
    }
    snapshot_seal(snapshot, time);
    return true;
}

struct snapshot *observation_parse(struct str line, struct buf *cluster, struct error *error)
{
    json_error_t reason;
    json_t *root = json_loadb(line.bytes, line.length, JSON_ALLOW_NUL, &reason);
    if (root == NULL) {
        error_set(error, ERROR_CORRUPT, "no JSON at byte %d: %s", reason.position, reason.text);
        return NULL;
    }
    const json_t *name = json_object_get(root, "cluster");
    if (cluster != NULL)
        buf_reset(cluster);
    if (cluster != NULL && json_is_string(name))
        buf_add_str(cluster, text_of(name));
    struct snapshot *snapshot = snapshot_new();
    if (!read_snapshot(snapshot, root, error))
        snapshot_free(&snapshot);
    json_decref(root);
    return snapshot;
}

/* --- writing ------------------------------------------------------------------------------------------- */

static void add_count(struct buf *out, const char *key, int64_t value)
{
    if (value != UNKNOWN)
        buf_add_format(out, ",\"%s\":%lld", key, (long long)value);
}

static void add_time(struct buf *out, const char *key, int64_t time)
{
    if (time != UNKNOWN)
        buf_add_format(out, ",\"%s\":%lld.%03d", key, (long long)(time / 1000), (int)(time % 1000));
}

static void add_config(struct buf *out, const struct topic_config *config)
{
    const char *policy = cleanup_policy_name(config->cleanup_policy);
    struct buf inner = buf_make(1024);
    if (policy != NULL)
        buf_add_format(&inner, ",\"cleanup.policy\":\"%s\"", policy);
    add_count(&inner, "retention.ms", config->retention_ms);
    add_count(&inner, "retention.bytes", config->retention_bytes);
    add_count(&inner, "segment.ms", config->segment_ms);
    add_count(&inner, "segment.bytes", config->segment_bytes);
    add_count(&inner, "min.compaction.lag.ms", config->min_compaction_lag_ms);
    add_count(&inner, "delete.retention.ms", config->delete_retention_ms);
    if (inner.length > 0) {
        buf_add_text(out, ",\"config\":{");
        buf_add(out, inner.bytes + 1, inner.length - 1);
        buf_add_char(out, '}');
    }
    buf_free(&inner);
}

static const uint8_t no_id[16];

static void add_id(struct buf *out, const uint8_t *id)
{
    if (memcmp(id, no_id, sizeof no_id) == 0)
        return;
    buf_add_text(out, ",\"id\":\"");
    for (size_t i = 0; i < sizeof no_id; i++)
        buf_add_format(out, "%02x", id[i]);
    buf_add_char(out, '"');
}

static void add_topic(struct buf *out, const struct snapshot *snapshot, const struct snap_topic *topic)
{
    buf_add_text(out, "{\"topic\":");
    json_quote(out, topic->name);
    add_id(out, topic->id);
    add_config(out, &topic->config);
    buf_add_text(out, ",\"partitions\":[");
    for (uint32_t i = 0; i < topic->partitions; i++) {
        const struct snap_partition *p = &snapshot->partitions[topic->first_partition + i];
        buf_add_format(out, "%s{\"partition\":%d", i > 0 ? "," : "", p->number);
        add_count(out, "start", p->start);
        add_count(out, "end", p->end);
        add_count(out, "lso", p->last_stable);
        add_time(out, "start_ts", p->start_ts);
        buf_add_char(out, '}');
    }
    buf_add_text(out, "]}");
}

static void add_offsets(struct buf *out, const struct snapshot *snapshot, const struct snap_subscription *sub,
                        bool *first)
{
    for (uint32_t i = 0; i < sub->positions; i++) {
        const struct snap_position *position = &snapshot->positions[sub->first_position + i];
        buf_add_text(out, *first ? "{\"topic\":" : ",{\"topic\":");
        *first = false;
        json_quote(out, snapshot->topics[sub->topic].name);
        buf_add_format(out, ",\"partition\":%d", snapshot->partitions[position->partition].number);
        add_count(out, "committed", position->committed);
        if (position->next_ts == NO_RECORD)
            buf_add_text(out, ",\"no_record\":true");
        else if (position->next_ts == UNDATED)
            buf_add_text(out, ",\"undated\":true");
        else
            add_time(out, "next_ts", position->next_ts);
        add_time(out, "commit_ts", position->commit_ts);
        buf_add_char(out, '}');
    }
}

static void add_group(struct buf *out, const struct snapshot *snapshot, const struct snap_group *group)
{
    bool first = true;
    buf_add_text(out, "{\"group\":");
    json_quote(out, group->name);
    if (group->state != GROUP_STATE_UNKNOWN)
        buf_add_format(out, ",\"state\":\"%s\"", group_state_name(group->state));
    add_count(out, "members", group->members);
    add_count(out, "generation", group->generation);
    add_count(out, "idle_members", group->idle_members);
    add_count(out, "session_timeout_ms", group->session_timeout_ms);
    add_count(out, "rebalance_timeout_ms", group->rebalance_timeout_ms);
    add_count(out, "static_members", group->static_members);
    add_time(out, "empty_since", group->empty_since);
    if (group->commits_unknown)
        buf_add_text(out, ",\"commits_unknown\":true");
    buf_add_text(out, ",\"offsets\":[");
    for (uint32_t i = 0; i < group->subscriptions; i++)
        add_offsets(out, snapshot, &snapshot->subscriptions[group->first_subscription + i], &first);
    buf_add_text(out, "]}");
}

void observation_write(struct buf *out, struct str cluster, const struct snapshot *snapshot)
{
    buf_add_text(out, "{\"cluster\":");
    json_quote(out, cluster);
    add_time(out, "t", snapshot->time);
    if (snapshot->offsets_retention_ms != UNKNOWN)
        add_count(out, "offsets_retention_minutes", snapshot->offsets_retention_ms / 60000);
    if (snapshot->tells_no_record)
        buf_add_text(out, ",\"tells_no_record\":true");
    buf_add_text(out, ",\"topics\":[");
    for (uint32_t i = 0; i < snapshot->topic_count; i++) {
        if (i > 0)
            buf_add_char(out, ',');
        add_topic(out, snapshot, &snapshot->topics[i]);
    }
    buf_add_text(out, "],\"groups\":[");
    for (uint32_t i = 0; i < snapshot->group_count; i++) {
        if (i > 0)
            buf_add_char(out, ',');
        add_group(out, snapshot, &snapshot->groups[i]);
    }
    buf_add_text(out, "]}\n");
}
