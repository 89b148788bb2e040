#include "collectors/kafka/kafka.h"

#include "collectors/kafka/check.h"
#include "collectors/kafka/commits.h"
#include "collectors/kafka/configs.h"
#include "collectors/kafka/offsets.h"
#include "collectors/kafka/records.h"
#include "exporter/base/clock.h"
#include "exporter/base/mem.h"

#include <malloc.h>
#include <stdlib.h>

struct collector {
    const struct source_config *config;
    struct kafka_client *client, *stable; /* NULL: to be made by the next poll */
    struct kafka_layout layout;
    struct kafka_groups groups;
    struct kafka_follower *follower; /* NULL: groups are asked */
    struct kafka_audit audit;
    struct kafka_configs configs;
    struct kafka_reader reader;
    uint64_t polls;
    uint64_t topics_gone;            /* since the client was made */
    struct kafka_failures *failures; /* of the next poll; NULL: nobody wants them */
};

/* librdkafka keeps a handle of each topic that it was ever asked about. */
enum { TOPICS_GONE_MOST = 200 };

static void free_clients(struct collector *collector)
{
    kafka_client_free(&collector->client);
    kafka_client_free(&collector->stable);
    kafka_reader_renew(&collector->reader);
}

/* Makes the clients that are not there, all at once: each connects while others are waited for. */
static bool make_clients(struct collector *collector, struct error *error)
{
    if (collector->client == NULL)
        collector->client = kafka_client_new(collector->config, KAFKA_ADMIN, error);
    if (collector->client != NULL && collector->stable == NULL)
        collector->stable = kafka_client_new(collector->config, KAFKA_STABLE, error);
    return collector->stable != NULL && kafka_reader_open(&collector->reader, collector->config, error);
}

static void kafka_close(struct collector **collector)
{
    if (*collector == NULL)
        return;
    free_clients(*collector);
    kafka_layout_free(&(*collector)->layout);
    kafka_groups_free(&(*collector)->groups);
    kafka_follower_free(&(*collector)->follower);
    kafka_audit_free(&(*collector)->audit);
    kafka_configs_free(&(*collector)->configs);
    kafka_reader_free(&(*collector)->reader);
    free(*collector);
    *collector = NULL;
}

static struct collector *kafka_open(const struct source_config *config, struct error *error)
{
    struct collector *collector = MEM_NEW(struct collector);
    collector->config = config;
    if (!make_clients(collector, error))
        kafka_close(&collector);
    else if (config->offsets != OFFSETS_ADMIN)
        collector->follower = kafka_follower_new(config);
    return collector;
}

/* Notes how long the stage took that ends now, and begins the next. */
static void end_stage(struct kafka_poll *poll, enum poll_stage stage, int64_t *begun_us)
{
    int64_t now = clock_monotonic_us();
    poll->report->duration_us[stage] += now - *begun_us;
    *begun_us = now;
}

/* Counts the failure of the stage as a whole, unless it succeeded. */
static bool is_done(struct kafka_poll *poll, enum poll_stage stage, bool done)
{
    poll->report->errors[stage] += !done;
    return done;
}

/* What the follower knows is brought up to date. The first poll doesn't wait for what only further ones need.
 */
static void follow(struct collector *collector, struct kafka_poll *poll)
{
    if (collector->follower == NULL || collector->polls == 1)
        return;
    kafka_follower_settle(collector->follower, poll);
    poll->snapshot->offsets_repaired = kafka_audit_repair(&collector->audit, collector->follower);
    struct kafka_replica *replica = kafka_follower_replica(collector->follower);
    poll->snapshot->unknown_records = replica != NULL ? kafka_replica_take_unknown(replica) : 0;
}

/* The groups and their commits; `*begun` is when that began, and becomes when it ended. */
static bool read_groups(struct collector *collector, struct kafka_poll *poll, int64_t *begun,
                        struct error *error)
{
    bool done = is_done(poll, STAGE_GROUPS, kafka_list_groups(poll, &collector->groups, error));
    end_stage(poll, STAGE_GROUPS, begun);
    if (!done)
        return false;
    int64_t first_commit = *begun;
    follow(collector, poll);
    end_stage(poll, STAGE_COMMITS, begun);
    kafka_describe_groups(poll, &collector->groups, collector->follower);
    end_stage(poll, STAGE_GROUPS, begun);
    kafka_read_commits(poll, &collector->layout, &collector->groups, collector->follower, &collector->audit,
                       collector->polls);
    end_stage(poll, STAGE_COMMITS, begun);
    poll->first_commit_us = first_commit;
    return true;
}

static bool read_offsets(struct collector *collector, struct kafka_poll *poll, struct kafka_lister *lister,
                         struct error *error)
{
    int64_t begun = clock_monotonic_us();
    bool done = is_done(poll, STAGE_START_OFFSETS, kafka_list_starts(lister, error));
    end_stage(poll, STAGE_START_OFFSETS, &begun);
    if (!done || !read_groups(collector, poll, &begun, error))
        return false;
    done = is_done(poll, STAGE_END_OFFSETS, kafka_list_ends(lister, error));
    end_stage(poll, STAGE_END_OFFSETS, &begun);
    poll->snapshot->skew_ms = (begun - poll->first_commit_us + 999) / 1000;
    if (!done)
        return false;
    kafka_list_stable_ends(lister);
    end_stage(poll, STAGE_END_OFFSETS, &begun);
    return true;
}

/* Makes what is kept from poll to poll fit the topics that there are now. */
static void follow_topics(struct collector *collector, const struct snapshot *snapshot)
{
    uint32_t *moved = kafka_layout_follow(&collector->layout, snapshot, &collector->topics_gone);
    if (moved == NULL)
        return;
    kafka_groups_move(&collector->groups, moved);
    kafka_reader_move(&collector->reader, moved);
    free(moved);
}

/* What makes a snapshot: without it, the cluster was not observed. */
static bool observe(struct collector *collector, struct kafka_poll *poll, struct error *error)
{
    int64_t begun = clock_monotonic_us();
    bool done = is_done(poll, STAGE_METADATA, kafka_read_metadata(poll, error));
    end_stage(poll, STAGE_METADATA, &begun);
    if (!done)
        return false;
    follow_topics(collector, poll->snapshot);
    struct kafka_lister *lister = kafka_lister_new(poll, &collector->layout);
    done = read_offsets(collector, poll, lister, error);
    kafka_lister_free(&lister);
    return done;
}

/* What is added to the sealed snapshot before anybody else sees it. */
static void complete(struct collector *collector, struct kafka_poll *poll)
{
    int64_t begun = clock_monotonic_us();
    kafka_read_configs(poll, &collector->configs);
    end_stage(poll, STAGE_CONFIGS, &begun);
    kafka_read_timestamps(poll, &collector->layout, &collector->reader);
    end_stage(poll, STAGE_TIMESTAMPS, &begun);
}

/* How commits are learnt, for each state of the follower. */
static const struct choice {
    const char *offsets, *rebalances, *because;
    rd_kafka_resp_err_t failure; /* where the topic is insisted on */
} choices[] = {
    [KAFKA_FOLLOWER_ABSENT] = {"admin", "sampled",
                               "the cluster lists no topic " KAFKA_OFFSETS_TOPIC
                               ": nobody has committed yet, or it may not be described",
                               RD_KAFKA_RESP_ERR_UNKNOWN_TOPIC_OR_PART},
    [KAFKA_FOLLOWER_DENIED] = {"admin", "sampled",
                               "the topic " KAFKA_OFFSETS_TOPIC " may not be read: grant Read on it",
                               RD_KAFKA_RESP_ERR_TOPIC_AUTHORIZATION_FAILED},
    [KAFKA_FOLLOWER_READING] = {"admin", "sampled",
                                "the topic " KAFKA_OFFSETS_TOPIC " is being read from its beginning",
                                RD_KAFKA_RESP_ERR_NO_ERROR},
    [KAFKA_FOLLOWER_FOLLOWS] = {"topic", "exact", "the topic " KAFKA_OFFSETS_TOPIC " is followed",
                                RD_KAFKA_RESP_ERR_NO_ERROR},
};

static void tell_choice(const struct collector *collector, struct kafka_poll *poll)
{
    static const struct choice configured = {"admin", "sampled", "the configuration says so",
                                             RD_KAFKA_RESP_ERR_NO_ERROR};
    const struct choice *choice = &configured;
    if (collector->follower != NULL && collector->polls == 1)
        choice = &choices[KAFKA_FOLLOWER_READING];
    else if (collector->follower != NULL)
        choice = &choices[kafka_follower_state(collector->follower)];
    poll->report->offsets = choice->offsets;
    poll->report->rebalances = choice->rebalances;
    poll->report->because = choice->because;
    if (collector->config->offsets == OFFSETS_TOPIC && choice->failure != RD_KAFKA_RESP_ERR_NO_ERROR)
        kafka_poll_failed(poll, STAGE_COMMITS, choice->failure, "topic", STR_LITERAL(KAFKA_OFFSETS_TOPIC));
}

/* The next poll makes new ones. */
static void end_clients(struct collector *collector)
{
    free_clients(collector);
    if (collector->topics_gone > TOPICS_GONE_MOST)
        malloc_trim(0); /* of what the clients have kept of topics, in small pieces */
    collector->topics_gone = 0;
}

static struct snapshot *kafka_poll(struct collector *collector, struct poll_report *report,
                                   struct error *error)
{
    if (!make_clients(collector, error)) {
        report->errors[STAGE_CONNECT]++;
        return NULL;
    }
    struct kafka_poll poll = {
        .config = collector->config,
        .client = collector->client,
        .stable = collector->stable,
        .snapshot = snapshot_new(),
        .report = report,
        .failures = collector->failures,
    };
    poll.snapshot->tells_no_record = true;
    collector->polls++;
    if (observe(collector, &poll, error)) {
        snapshot_seal(poll.snapshot, clock_wall_ms());
        complete(collector, &poll);
        tell_choice(collector, &poll);
    } else {
        snapshot_free(&poll.snapshot);
    }
    free(poll.offsets_topic.leaders);
    if (poll.snapshot == NULL || poll.stale || collector->topics_gone > TOPICS_GONE_MOST)
        end_clients(collector);
    return poll.snapshot;
}

struct snapshot *kafka_poll_once(const struct source_config *config, struct poll_report *report,
                                 struct kafka_failures *failures, struct error *error)
{
    struct collector *collector = kafka_open(config, error);
    if (collector == NULL)
        return NULL;
    collector->failures = failures;
    struct snapshot *snapshot = kafka_poll(collector, report, error);
    kafka_close(&collector);
    return snapshot;
}

const char *kafka_client_version(void)
{
    return rd_kafka_version_str();
}

const struct collector_kind kafka_collector = {
    .name = "kafka",
    .offsets = "admin",
    .rebalances = "sampled",
    .open = kafka_open,
    .poll = kafka_poll,
    .check = kafka_check,
    .close = kafka_close,
};
