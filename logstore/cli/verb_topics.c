#include "logstore/cli/json.h"
#include "logstore/cli/progress.h"
#include "logstore/cli/verbs.h"

#include "exporter/base/number.h"

#include <stdio.h>
#include <string.h>

static struct str topic_of(const struct arguments *arguments)
{
    return str_of(arguments->positional[1]);
}

/* Applies each --config NAME=VALUE. */
static bool read_config(const struct arguments *arguments, struct logstore_config *config,
                        struct error *error)
{
    for (int i = 0; i < arguments->given_count; i++) {
        const char *value = arguments->given[i].value, *equals = strchr(value, '=');
        if (strcmp(arguments->given[i].option->name, "config") != 0)
            continue;
        if (equals == NULL) {
            error_set(error, ERROR_USAGE, "--config takes NAME=VALUE, e.g. retention.ms=3600000, not \"%s\"",
                      value);
            return false;
        }
        if (!logstore_config_set(config, (struct str){value, (size_t)(equals - value)}, str_of(equals + 1),
                                 error))
            return false;
    }
    return true;
}

static bool run_create(const struct arguments *arguments, struct error *error)
{
    int64_t partitions;
    struct logstore_config config = logstore_config_default();
    if (!argument_number(arguments, "partitions", 1, 1, 100000, &partitions, error) ||
        !read_config(arguments, &config, error))
        return false;
    struct logstore *store = verb_open(arguments, LOGSTORE_CREATE, error);
    bool done = store != NULL &&
                (arguments->positional_count < 2 ||
                 logstore_topic_create(store, topic_of(arguments), (uint32_t)partitions, &config, error));
    logstore_close(&store);
    return done;
}

static bool run_alter(const struct arguments *arguments, struct error *error)
{
    int64_t partitions;
    struct logstore_topic topic;
    struct logstore *store = verb_open(arguments, LOGSTORE_WRITE, error);
    bool done = store != NULL && logstore_topic_find(store, topic_of(arguments), &topic, error) &&
                argument_number(arguments, "partitions", topic.partitions, 1, 100000, &partitions, error) &&
                read_config(arguments, &topic.config, error) &&
                logstore_topic_alter(store, topic_of(arguments), &topic.config, error) &&
                logstore_topic_grow(store, topic_of(arguments), (uint32_t)partitions, error);
    logstore_close(&store);
    return done;
}

static bool run_delete(const struct arguments *arguments, struct error *error)
{
    struct logstore *store = verb_open(arguments, LOGSTORE_WRITE, error);
    bool done = store != NULL && logstore_topic_delete(store, topic_of(arguments), error);
    logstore_close(&store);
    return done;
}

/* How many records there are at most; of a partition that can't be read none. */
static int64_t count_offsets(const struct logstore_observed_topic *topics, size_t count)
{
    int64_t total = 0;
    for (size_t i = 0; i < count; i++)
        for (uint32_t p = 0; p < topics[i].partition_count; p++) {
            const struct logstore_observed_partition *partition = &topics[i].partitions[p];
            if (partition->start >= 0 && partition->start < partition->end)
                total = number_add(total, partition->end - partition->start);
        }
    return total;
}

/* Narrows the topics down to the one of that name; to none if it was only made since, and so is empty.
 * ERROR_NOT_FOUND. */
static bool choose(struct logstore *store, struct str name, const struct logstore_observed_topic **topics,
                   size_t *count, struct error *error)
{
    struct logstore_topic topic;
    size_t at = 0;
    while (at < *count && !str_equal((*topics)[at].name, name))
        at++;
    *topics += at;
    *count = at < *count;
    return *count == 1 || logstore_topic_find(store, name, &topic, error);
}

typedef bool topic_work(struct logstore *store, struct str topic, const struct logstore_watcher *watcher,
                        struct error *error);

static void tell(void *context, int64_t offsets)
{
    progress_add(context, offsets);
}

/* Whether a topic that was there is no more: then nothing is left to be done on it. */
static bool was_deleted(struct logstore *store, struct str name)
{
    struct logstore_topic topic;
    struct error error = {0};
    bool found = logstore_topic_find(store, name, &topic, &error);
    bool deleted = !found && error.code == ERROR_NOT_FOUND;
    error_clear(&error);
    return deleted;
}

static bool work_on(struct logstore *store, const struct logstore_observed_topic *topics, size_t count,
                    topic_work *work, struct error *error)
{
    bool done = true;
    struct progress records = progress_begin("records", count_offsets(topics, count));
    const struct logstore_watcher watcher = {tell, &records};
    for (size_t i = 0; done && i < count; i++) {
        done = work(store, topics[i].name, &watcher, error);
        if (!done && was_deleted(store, topics[i].name)) {
            error_clear(error);
            done = true;
        }
    }
    progress_end(&records);
    return done;
}

/* Does the work on one topic, or on all of them. */
static bool each_topic(const struct arguments *arguments, topic_work *work, struct error *error)
{
    const struct logstore_observed_topic *topics;
    size_t count = 0;
    struct error uncounted = {0}; /* the work itself will tell */
    struct logstore *store = verb_open(arguments, LOGSTORE_WRITE, error);
    struct logstore_observer *observer =
        store == NULL ? NULL : logstore_observer_open(arguments->positional[0], error);
    bool done = observer != NULL && logstore_observe_topics(observer, &topics, &count, error);
    if (done && !logstore_observe_ends(observer, &uncounted))
        error_clear(&uncounted);
    done = done &&
           (arguments->positional_count < 2 || choose(store, topic_of(arguments), &topics, &count, error)) &&
           work_on(store, topics, count, work, error);
    logstore_observer_close(&observer);
    logstore_close(&store);
    return done;
}

static bool run_retain(const struct arguments *arguments, struct error *error)
{
    if (!each_topic(arguments, logstore_retain, error))
        return false;
    struct logstore *store = verb_open(arguments, LOGSTORE_WRITE, error);
    bool done = store != NULL && logstore_expire_offsets(store, error);
    logstore_close(&store);
    return done;
}

static bool run_compact(const struct arguments *arguments, struct error *error)
{
    return each_topic(arguments, logstore_compact, error);
}

/* --- verify ----------------------------------------------------------------------------------------------
 */

/* Prints the damage that an error tells of, and counts it. */
static void tell_damage(struct error *error, int64_t *damages)
{
    printf("%s\n", error_text(error));
    error_clear(error);
    ++*damages;
}

/* What is to be done about a read that failed: goes on behind the damage, or behind what retention deletes
 * meanwhile, which is none; nor is a topic that goes. False: there is nothing more to be read here, or there
 * is an error. */
static bool go_on(struct logstore *store, struct str topic, uint32_t partition,
                  struct logstore_reader *reader, int64_t *damages, struct error *error)
{
    int64_t deleted;
    if (error->code == ERROR_CORRUPT) {
        tell_damage(error, damages);
        if (logstore_reader_skip_damage(reader, error))
            return true;
    }
    if (error->code == ERROR_NOT_FOUND && verb_pass_deleted(store, topic, partition, reader, &deleted, error))
        return true;
    if (error->code == ERROR_NOT_FOUND)
        error_clear(error);
    else if (error->code == ERROR_CORRUPT)
        tell_damage(error, damages);
    return false;
}

/* Reads a partition from start to end; each damage is printed, and what follows it is looked at too. */
static int64_t verify_partition(struct logstore *store, const struct logstore_observed_topic *topic,
                                uint32_t partition, struct progress *records, struct error *error)
{
    int64_t damages = 0, end = topic->partitions[partition].end;
    struct logstore_record record;
    bool goes_on = true;
    struct logstore_reader *reader =
        logstore_reader_open(store, topic->name, partition, topic->partitions[partition].start, error);
    while (reader != NULL && goes_on && logstore_reader_offset(reader) < end) {
        enum logstore_read read = logstore_read(reader, &record, error);
        progress_add(records, read == LOGSTORE_READ_RECORD);
        if (read == LOGSTORE_READ_FAILED)
            goes_on = go_on(store, topic->name, partition, reader, &damages, error);
        else
            goes_on = read == LOGSTORE_READ_RECORD;
    }
    if (reader == NULL && error->code == ERROR_NOT_FOUND)
        error_clear(error); /* the topic is gone */
    logstore_reader_close(&reader);
    return damages;
}

/* Reads what every group has committed; each damage is printed. */
static bool verify_groups(struct logstore_observer *observer, int64_t *damages, struct error *error)
{
    const struct logstore_observed_group *groups;
    size_t count;
    if (!logstore_observe_groups(observer, &groups, &count, error)) {
        if (error->code != ERROR_CORRUPT)
            return false;
        tell_damage(error, damages);
        return true;
    }
    for (size_t i = 0; i < count; i++) {
        const struct logstore_observed_commit *commits;
        size_t commit_count;
        if (groups[i].failure != NULL) {
            printf("%s\n", error_text(groups[i].failure));
            ++*damages;
        }
        if (logstore_observe_commits(observer, i, &commits, &commit_count, error))
            continue;
        if (error->code != ERROR_CORRUPT)
            return false;
        tell_damage(error, damages);
    }
    return true;
}

static bool run_verify(const struct arguments *arguments, struct error *error)
{
    const struct logstore_observed_topic *topics;
    size_t count = 0;
    int64_t damages = 0;
    struct logstore *store = verb_open(arguments, LOGSTORE_READ, error);
    struct logstore_observer *observer =
        store == NULL ? NULL : logstore_observer_open(arguments->positional[0], error);
    bool done = observer != NULL && logstore_observe_topics(observer, &topics, &count, error) &&
                logstore_observe_ends(observer, error);
    struct progress records = progress_begin("records", done ? count_offsets(topics, count) : 0);
    for (size_t i = 0; done && i < count; i++)
        for (uint32_t partition = 0; done && partition < topics[i].partition_count; partition++) {
            damages += verify_partition(store, &topics[i], partition, &records, error);
            done = error->code == ERROR_NONE;
        }
    progress_end(&records);
    done = done && verify_groups(observer, &damages, error);
    logstore_observer_close(&observer);
    logstore_close(&store);
    if (!done)
        return false;
    printf("%lld records are whole, %lld damages\n", (long long)records.done, (long long)damages);
    if (damages > 0)
        error_set(error, ERROR_CORRUPT, "the store is damaged at %lld places", (long long)damages);
    return damages == 0;
}

/* --- stat ------------------------------------------------------------------------------------------------
 */

static void print_topic(struct buf *line, const struct logstore_observed_topic *topic, bool json)
{
    for (uint32_t i = 0; i < topic->partition_count; i++) {
        const struct logstore_observed_partition *partition = &topic->partitions[i];
        buf_reset(line);
        if (json) {
            buf_add_text(line, "{\"topic\":");
            json_add_string(line, topic->name);
            buf_add_format(line, ",\"partition\":%u,\"start\":%lld,\"end\":%lld", i,
                           (long long)partition->start, (long long)partition->end);
            if (partition->start_timestamp >= 0)
                buf_add_format(line, ",\"start_timestamp\":%lld", (long long)partition->start_timestamp);
            buf_add_text(line, "}\n");
        } else {
            json_add_shown(line, topic->name);
            buf_add_format(line, "\t%u\t%lld\t%lld\n", i, (long long)partition->start,
                           (long long)partition->end);
        }
        fwrite(line->bytes, 1, line->length, stdout);
    }
}

static bool run_stat(const struct arguments *arguments, struct error *error)
{
    const struct logstore_observed_topic *topics;
    size_t count;
    struct buf line = buf_make(JSON_LINE_MOST);
    bool json = argument_value(arguments, "json") != NULL;
    struct logstore_observer *observer = logstore_observer_open(arguments->positional[0], error);
    bool done = observer != NULL && logstore_observe_topics(observer, &topics, &count, error) &&
                logstore_observe_ends(observer, error);
    if (done && !json)
        puts("TOPIC\tPARTITION\tSTART\tEND");
    for (size_t i = 0; done && i < count; i++)
        if (arguments->positional_count < 2 || str_equal(topics[i].name, topic_of(arguments)))
            print_topic(&line, &topics[i], json);
    buf_free(&line);
    logstore_observer_close(&observer);
    return done;
}

static const struct option TOPIC_OPTIONS[] = {
    {"partitions", "NUMBER", "how many partitions the topic has"},
    {"config", "NAME=VALUE", "a setting under Kafka's name, e.g. retention.ms, cleanup.policy; repeatable"},
    {NULL, NULL, NULL},
};

static const struct option STAT_OPTIONS[] = {
    {"json", NULL, "one JSON object a line"},
    {NULL, NULL, NULL},
};

const struct verb topic_verbs[] = {
    {"create", "DIR [TOPIC]", 1, 2, "Makes the store if there is none, and a topic in it.",
     "tidemark log create var/log orders --partitions 3 --config retention.ms=86400000", TOPIC_OPTIONS,
     run_create},
    {"alter", "DIR TOPIC", 2, 2, "Changes settings of a topic, or adds partitions.",
     "tidemark log alter var/log orders --config cleanup.policy=compact", TOPIC_OPTIONS, run_alter},
    {"delete", "DIR TOPIC", 2, 2, "Deletes a topic and all its records.",
     "tidemark log delete var/log orders", NULL, run_delete},
    {"stat", "DIR [TOPIC]", 1, 2, "Shows topics, partitions, and their start and end offsets.",
     "tidemark log stat var/log", STAT_OPTIONS, run_stat},
    {"retain", "DIR [TOPIC]", 1, 2, "Deletes what retention no longer keeps, and offsets that have expired.",
     "tidemark log retain var/log", NULL, run_retain},
    {"compact", "DIR [TOPIC]", 1, 2,
     "Keeps only the latest record of each key, where cleanup.policy says so.",
     "tidemark log compact var/log customers", NULL, run_compact},
    {"verify", "DIR", 1, 1, "Reads everything and checks it; exit code 1 when something is damaged.",
     "tidemark log verify var/log", NULL, run_verify},
    {NULL, NULL, 0, 0, NULL, NULL, NULL, NULL},
};
