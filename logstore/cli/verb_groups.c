#include "logstore/cli/json.h"
#include "logstore/cli/verbs.h"

#include <stdio.h>

/* --- commit ----------------------------------------------------------------------------------------------
 */

static bool run_commit(const struct arguments *arguments, struct error *error)
{
    const char *metadata = argument_value(arguments, "metadata");
    struct logstore_commit commit = {.topic = str_of(arguments->positional[2]),
                                     .metadata = str_of(metadata == NULL ? "" : metadata)};
    int64_t partition;
    if (!parse_number("PARTITION", arguments->positional[3], 0, UINT32_MAX, &partition, error) ||
        !parse_number("OFFSET", arguments->positional[4], 0, INT64_MAX, &commit.offset, error))
        return false;
    commit.partition = (uint32_t)partition;
    struct logstore *store = verb_open(arguments, LOGSTORE_WRITE, error);
    bool done = store != NULL && logstore_commit(store, str_of(arguments->positional[1]), &commit, 1, error);
    logstore_close(&store);
    return done;
}

/* --- groups ----------------------------------------------------------------------------------------------
 */

static const char *state_name(enum logstore_group_state state)
{
    static const char *const NAMES[] = {"Empty", "PreparingRebalance", "Stable"};
    return NAMES[state];
}

/* end − max(committed, start); -1 when it isn't known. */
static int64_t lag_of(const struct logstore_observed_partition *partition, int64_t committed)
{
    if (partition->start < 0 || partition->end < 0 || committed > partition->end)
        return -1;
    return partition->end - (committed > partition->start ? committed : partition->start);
}

static void add_text_line(struct buf *line, const struct logstore_observed_group *group,
                          const struct logstore_observed_topic *topic,
                          const struct logstore_observed_commit *commit, int64_t lag)
{
    json_add_shown(line, group->name);
    buf_add_format(line, "\t%s\t%zu\t", state_name(group->state), group->member_count);
    json_add_shown(line, topic->name);
    buf_add_format(line, "\t%u\t%lld\t%lld\t", commit->partition, (long long)commit->offset,
                   (long long)topic->partitions[commit->partition].end);
    if (lag >= 0)
        buf_add_int(line, lag);
    else
        buf_add_char(line, '-');
    buf_add_char(line, '\n');
}

static void add_json_line(struct buf *line, const struct logstore_observed_group *group,
                          const struct logstore_observed_topic *topic,
                          const struct logstore_observed_commit *commit, int64_t lag)
{
    buf_add_text(line, "{\"group\":");
    json_add_string(line, group->name);
    buf_add_format(line, ",\"state\":\"%s\",\"members\":%zu,\"generation\":%lld,\"topic\":",
                   state_name(group->state), group->member_count, (long long)group->generation);
    json_add_string(line, topic->name);
    buf_add_format(line, ",\"partition\":%u,\"committed\":%lld,\"end\":%lld,\"commit_time\":%lld",
                   commit->partition, (long long)commit->offset,
                   (long long)topic->partitions[commit->partition].end, (long long)commit->time);
    if (lag >= 0)
        buf_add_format(line, ",\"lag\":%lld", (long long)lag);
    buf_add_text(line, "}\n");
}

static bool print_group(struct logstore_observer *observer, size_t index,
                        const struct logstore_observed_group *group,
                        const struct logstore_observed_topic *topics, bool json, struct error *error)
{
    const struct logstore_observed_commit *commits;
    size_t count;
    struct buf line = buf_make(JSON_LINE_MOST);
    if (!logstore_observe_commits(observer, index, &commits, &count, error))
        return false;
    for (size_t i = 0; i < count; i++) {
        const struct logstore_observed_topic *topic = &topics[commits[i].topic];
        int64_t lag = lag_of(&topic->partitions[commits[i].partition], commits[i].offset);
        buf_reset(&line);
        (json ? add_json_line : add_text_line)(&line, group, topic, &commits[i], lag);
        fwrite(line.bytes, 1, line.length, stdout);
    }
    buf_free(&line);
    return true;
}

static bool run_groups(const struct arguments *arguments, struct error *error)
{
    const struct logstore_observed_topic *topics;
    const struct logstore_observed_group *groups;
    size_t count;
    bool json = argument_value(arguments, "json") != NULL;
    struct logstore_observer *observer = logstore_observer_open(arguments->positional[0], error);
    bool done = observer != NULL && logstore_observe_topics(observer, &topics, &count, error) &&
                logstore_observe_groups(observer, &groups, &count, error) &&
                logstore_observe_ends(observer, error);
    if (done && !json)
        puts("GROUP\tSTATE\tMEMBERS\tTOPIC\tPARTITION\tCOMMITTED\tEND\tLAG");
    for (size_t i = 0; done && i < count; i++)
        if (arguments->positional_count < 2 || str_equal(groups[i].name, str_of(arguments->positional[1])))
            done = print_group(observer, i, &groups[i], topics, json, error);
    logstore_observer_close(&observer);
    return done;
}

static const struct option COMMIT_OPTIONS[] = {
    {"metadata", "TEXT", "stored with the offset"},
    {"fsync", "MODE", "always (default), interval or never"},
    {NULL, NULL, NULL},
};

static const struct option GROUPS_OPTIONS[] = {
    {"json", NULL, "one JSON object a line"},
    {NULL, NULL, NULL},
};

const struct verb group_verbs[] = {
    {"commit", "DIR GROUP TOPIC PARTITION OFFSET", 5, 5, "Commits an offset for a group without members.",
     "tidemark log commit var/log billing orders 0 1200", COMMIT_OPTIONS, run_commit},
    {"groups", "DIR [GROUP]", 1, 2, "Shows groups, their committed offsets and lag.",
     "tidemark log groups var/log", GROUPS_OPTIONS, run_groups},
    {NULL, NULL, 0, 0, NULL, NULL, NULL, NULL},
};
