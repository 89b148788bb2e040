#include "logstore/cli/json.h"
#include "logstore/cli/verbs.h"

#include <stdio.h>
#include <string.h>

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

/* --- reset -----------------------------------------------------------------------------------------------
 */

/* "earliest", "latest", an offset, @TIME, or +N and -N from where the group stands. */
static bool parse_target(const char *text, enum logstore_target *target, int64_t *value, struct error *error)
{
    *value = 0;
    if (strcmp(text, "earliest") == 0 || strcmp(text, "latest") == 0) {
        *target = text[0] == 'e' ? LOGSTORE_TO_EARLIEST : LOGSTORE_TO_LATEST;
        return true;
    }
    if (text[0] == '@') {
        *target = LOGSTORE_TO_TIME;
        return parse_number("@TIME", text + 1, 0, INT64_MAX, value, error);
    }
    bool shift = text[0] == '+' || text[0] == '-';
    *target = shift ? LOGSTORE_BY_SHIFT : LOGSTORE_TO_OFFSET;
    return parse_number("--to", text, shift ? INT64_MIN : 0, INT64_MAX, value, error);
}

static bool reset_all(const struct arguments *arguments, struct logstore *store, enum logstore_target target,
                      int64_t value, int64_t only, struct error *error)
{
    struct str group = str_of(arguments->positional[1]), name = str_of(arguments->positional[2]);
    bool dry_run = argument_value(arguments, "dry-run") != NULL;
    struct logstore_topic topic;
    if (!logstore_topic_find(store, name, &topic, error))
        return false;
    puts("PARTITION\tBEFORE\tAFTER");
    for (uint32_t partition = 0; partition < topic.partitions; partition++) {
        struct logstore_reset_result result;
        if (only >= 0 && partition != only)
            continue;
        if (!logstore_reset_group(store, group, name, partition, target, value, dry_run, &result, error))
            return false;
        if (result.before < 0)
            printf("%u\t-\t%lld\n", partition, (long long)result.after);
        else
            printf("%u\t%lld\t%lld\n", partition, (long long)result.before, (long long)result.after);
    }
    return true;
}

static bool run_reset(const struct arguments *arguments, struct error *error)
{
    const char *to = argument_value(arguments, "to");
    enum logstore_target target;
    int64_t value, only;
    if (to == NULL) {
        error_set(error, ERROR_USAGE, "--to is missing: earliest, latest, an offset, @TIME, +N or -N");
        return false;
    }
    if (!parse_target(to, &target, &value, error) ||
        !argument_number(arguments, "partition", -1, 0, UINT32_MAX, &only, error))
        return false;
    struct logstore *store = verb_open(arguments, LOGSTORE_WRITE, error);
    bool done = store != NULL && reset_all(arguments, store, target, value, only, error);
    logstore_close(&store);
    return done;
}

static const struct option RESET_OPTIONS[] = {
    {"to", "WHERE",
     "earliest, latest, an offset, @ and a time in milliseconds, or +N and -N from where it stands"},
    {"partition", "NUMBER", "this partition only"},
    {"dry-run", NULL, "only print what would change"},
    {NULL, NULL, NULL},
};

/* --- consume ---------------------------------------------------------------------------------------------
 */

/* Reads as a member until there is nothing more, or so many records; commits after each batch that was
 * printed. */
static bool consume(struct logstore_consumer *consumer, int64_t left, bool follow, bool json,
                    struct error *error)
{
    enum { PATIENCE_MS = 1000, COMMIT_EVERY = 1000 };
    struct buf line = buf_make(JSON_LINE_MOST);
    bool done = true;
    for (int64_t since_commit = 0; done && left > 0;) {
        struct logstore_record record;
        struct logstore_source source;
        enum logstore_poll poll = logstore_consumer_poll(consumer, PATIENCE_MS, &record, &source, error);
        done = poll != LOGSTORE_POLL_FAILED;
        if (poll == LOGSTORE_POLL_RECORD) {
            buf_reset(&line);
            if (json) {
                json_add_record(&line, source.partition, &record);
            } else {
                buf_add_str(&line, record.value);
                buf_add_char(&line, '\n');
            }
            fwrite(line.bytes, 1, line.length, stdout);
            left--;
            since_commit++;
        }
        bool quiet = poll == LOGSTORE_POLL_NOTHING || poll == LOGSTORE_POLL_REBALANCE;
        if (done && since_commit > 0 && (quiet || left == 0 || since_commit >= COMMIT_EVERY)) {
            since_commit = 0;
            done = fflush(stdout) == 0 && logstore_consumer_commit(consumer, error);
            if (!done && error->code == ERROR_CONFLICT) {
                error_clear(error); /* another member has taken over, and reads them again */
                done = true;
            }
        }
        if (poll == LOGSTORE_POLL_NOTHING && !follow && logstore_consumer_generation(consumer) > 0)
            break;
    }
    buf_free(&line);
    return done;
}

static bool run_consume(const struct arguments *arguments, struct error *error)
{
    int64_t left;
    const struct str topic = str_of(arguments->positional[2]);
    const char *from = argument_value(arguments, "from");
    struct logstore_consumer_options options = {.client_id = STR_LITERAL("tidemark-log")};
    if (!argument_number(arguments, "count", INT64_MAX, 0, INT64_MAX, &left, error))
        return false;
    if (from != NULL && strcmp(from, "latest") == 0) {
        options.reset = LOGSTORE_RESET_LATEST;
    } else if (from != NULL && strcmp(from, "earliest") != 0) {
        error_set(error, ERROR_USAGE, "--from must be earliest or latest, not \"%s\"", from);
        return false;
    }
    struct logstore *store = verb_open(arguments, LOGSTORE_WRITE, error);
    struct logstore_consumer *consumer =
        store == NULL
            ? NULL
            : logstore_consumer_join(store, str_of(arguments->positional[1]), &topic, 1, &options, error);
    bool done = consumer != NULL && consume(consumer, left, argument_value(arguments, "follow") != NULL,
                                            argument_value(arguments, "json") != NULL, error);
    struct error ignored = {0}; /* the first one tells more */
    bool left_well = logstore_consumer_leave(&consumer, done ? error : &ignored);
    error_clear(&ignored);
    logstore_close(&store);
    return done && left_well;
}

static const struct option CONSUME_OPTIONS[] = {
    {"from", "WHERE", "where a group begins that has committed nothing: earliest (default) or latest"},
    {"count", "NUMBER", "stop after so many records"},
    {"follow", NULL, "wait for more at the end"},
    {"json", NULL, "one JSON object a line"},
    {"fsync", "MODE", "always (default), interval or never"},
    {NULL, NULL, NULL},
};

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
    {"consume", "DIR GROUP TOPIC", 3, 3, "Prints records as a member of a group, and commits them.",
     "tidemark log consume var/log billing orders --follow", CONSUME_OPTIONS, run_consume},
    {"reset", "DIR GROUP TOPIC", 3, 3, "Moves the committed offsets of a group without members.",
     "tidemark log reset var/log billing orders --to earliest --dry-run", RESET_OPTIONS, run_reset},
    {NULL, NULL, 0, 0, NULL, NULL, NULL, NULL},
};
