#include "exporter/measure.h"

#include "exporter/base/clock.h"
#include "exporter/metrics.h"

struct page_facts page_facts_now(const struct program_facts *program)
{
    const struct reload_record *reloads = program->reloads;
    return (struct page_facts){
        .now = clock_wall_ms(),
        .process = process_read(),
        .last_reload_successful = reloads == NULL ? UNKNOWN : !atomic_load(&reloads->failed),
        .last_reload_success = reloads == NULL ? UNKNOWN : atomic_load(&reloads->last_success),
        .program = program,
    };
}

/* In the order of metrics.def. Where the value is a fact without a number, it is 1. */

/* Kafka's "no limit" is no number of seconds. */
static int64_t limit(int64_t configured)
{
    return configured < 0 ? UNKNOWN : configured;
}

static int64_t known(int32_t count)
{
    return count < 0 ? UNKNOWN : count;
}

/* --- the source ---------------------------------------------------------------------------------------- */

int64_t measure_source_up(const struct source_subject *subject)
{
    return subject->status->polled ? subject->status->up : UNKNOWN;
}

int64_t measure_source_info(const struct source_info_subject *subject)
{
    return subject->status != NULL ? 1 : UNKNOWN;
}

int64_t measure_source_last_success(const struct source_subject *subject)
{
    return subject->status->last_success;
}

int64_t measure_poll_interval(const struct source_subject *subject)
{
    return subject->status->poll_interval_ms;
}

int64_t measure_poll_duration(const struct stage_subject *subject)
{
    int64_t duration = subject->status->duration_us[subject->stage];
    return duration > 0 ? duration : UNKNOWN;
}

int64_t measure_poll_errors(const struct stage_subject *subject)
{
    return subject->status->errors_total[subject->stage];
}

int64_t measure_snapshot_skew(const struct judged_subject *subject)
{
    return subject->snapshot->skew_ms;
}

int64_t measure_anomalies(const struct anomaly_subject *subject)
{
    return subject->findings->anomalies[subject->anomaly];
}

int64_t measure_brokers(const struct cluster_subject *subject)
{
    return subject->snapshot->broker_count > 0 ? subject->snapshot->broker_count : UNKNOWN;
}

int64_t measure_broker_info(const struct broker_subject *subject)
{
    return subject->broker != NULL ? 1 : UNKNOWN;
}

/* --- topics -------------------------------------------------------------------------------------------- */

int64_t measure_topic_partitions(const struct topic_subject *subject)
{
    return subject->topic->partitions;
}

int64_t measure_topic_retention(const struct topic_subject *subject)
{
    const struct topic_config *config = &subject->topic->config;
    return config->cleanup_policy == CLEANUP_COMPACT ? UNKNOWN : limit(config->retention_ms);
}

int64_t measure_topic_retention_shortfall(const struct topic_subject *subject)
{
    return subject->findings->shortfall_ms;
}

int64_t measure_topic_unkeyed_ratio(const struct topic_subject *subject)
{
    double ratio = subject->topic->unkeyed_ratio;
    return ratio < 0 ? UNKNOWN : (int64_t)(ratio * METRIC_UNIT_MILLIONTHS + 0.5);
}

int64_t measure_topic_min_insync_replicas(const struct topic_subject *subject)
{
    return subject->topic->config.min_insync_replicas;
}

int64_t measure_topic_unclean_leader_election(const struct topic_subject *subject)
{
    return subject->topic->config.unclean_leader_election;
}

int64_t measure_topic_info(const struct topic_info_subject *subject)
{
    return subject->topic->config.cleanup_policy != CLEANUP_UNKNOWN ? 1 : UNKNOWN;
}

int64_t measure_partition_current_offset(const struct partition_subject *subject)
{
    return subject->partition->end;
}

int64_t measure_partition_oldest_offset(const struct partition_subject *subject)
{
    return subject->partition->start;
}

int64_t measure_partition_last_stable_offset(const struct partition_subject *subject)
{
    return subject->partition->last_stable;
}

int64_t measure_partition_open_transaction_age(const struct partition_subject *subject)
{
    int64_t since = subject->partition->open_txn_since, now = subject->snapshot->time;
    if (since == UNKNOWN || now == UNKNOWN)
        return UNKNOWN;
    return now > since ? now - since : 0;
}

int64_t measure_partition_leader(const struct partition_subject *subject)
{
    return known(subject->partition->leader);
}

int64_t measure_partition_replicas(const struct partition_subject *subject)
{
    return known(subject->partition->replicas);
}

int64_t measure_partition_in_sync_replica(const struct partition_subject *subject)
{
    return known(subject->partition->in_sync_replicas);
}

int64_t measure_partition_leader_is_preferred(const struct partition_subject *subject)
{
    const struct snap_partition *partition = subject->partition;
    return partition->preferred_leader < 0 ? UNKNOWN : partition->leader == partition->preferred_leader;
}

int64_t measure_partition_under_replicated(const struct partition_subject *subject)
{
    const struct snap_partition *partition = subject->partition;
    if (partition->replicas < 0 || partition->in_sync_replicas < 0)
        return UNKNOWN;
    return partition->in_sync_replicas < partition->replicas;
}

/* --- groups -------------------------------------------------------------------------------------------- */

int64_t measure_group_members(const struct group_subject *subject)
{
    return subject->group->members;
}

int64_t measure_group_idle_members(const struct group_subject *subject)
{
    return subject->group->idle_members;
}

int64_t measure_group_static_members(const struct group_subject *subject)
{
    return subject->group->static_members;
}

int64_t measure_group_state(const struct group_state_subject *subject)
{
    enum group_state state = subject->group->state;
    return state == GROUP_STATE_UNKNOWN ? UNKNOWN : state == subject->state;
}

int64_t measure_group_condition(const struct group_condition_subject *subject)
{
    const struct group_findings *findings = subject->findings;
    return findings->unknown ? UNKNOWN : findings->conditions >> subject->condition & 1u;
}

int64_t measure_condition_since(const struct where_subject *subject)
{
    return subject->finding->since;
}

int64_t measure_group_rebalances(const struct group_subject *subject)
{
    return subject->findings->rebalances_total;
}

int64_t measure_group_rebalancing_seconds(const struct group_subject *subject)
{
    return subject->findings->rebalancing_ms_total;
}

int64_t measure_group_session_timeout(const struct group_subject *subject)
{
    return subject->group->session_timeout_ms;
}

int64_t measure_group_rebalance_timeout(const struct group_subject *subject)
{
    return subject->group->rebalance_timeout_ms;
}

int64_t measure_group_offsets_expire(const struct group_subject *subject)
{
    return subject->findings->offsets_expire;
}

int64_t measure_group_objective(const struct group_subject *subject)
{
    return subject->findings->objective_ms;
}

int64_t measure_group_slo_good_seconds(const struct group_subject *subject)
{
    return subject->findings->slo_good_ms;
}

int64_t measure_group_slo_seconds(const struct group_subject *subject)
{
    return subject->findings->slo_ms;
}

/* --- a group on a topic -------------------------------------------------------------------------------- */

int64_t measure_current_offset_sum(const struct subscription_subject *subject)
{
    return subject->findings->committed_sum;
}

int64_t measure_lag_sum(const struct subscription_subject *subject)
{
    return subject->findings->lag_sum;
}

int64_t measure_lag_max(const struct subscription_subject *subject)
{
    return subject->findings->lag_max;
}

int64_t measure_lag_seconds_max(const struct subscription_subject *subject)
{
    return subject->findings->lag_ms_max;
}

int64_t measure_stable_lag(const struct subscription_subject *subject)
{
    return subject->findings->stable_lag;
}

int64_t measure_retention_headroom(const struct subscription_subject *subject)
{
    return subject->findings->headroom_ms;
}

int64_t measure_retention_overtake(const struct subscription_subject *subject)
{
    return subject->findings->overtake_ms;
}

int64_t measure_catchup(const struct subscription_subject *subject)
{
    return subject->findings->catchup_ms;
}

int64_t measure_lost_messages(const struct subscription_subject *subject)
{
    return subject->findings->lost_total;
}

int64_t measure_skipped_messages(const struct subscription_subject *subject)
{
    return subject->findings->skipped_total;
}

int64_t measure_rewound_messages(const struct subscription_subject *subject)
{
    return subject->findings->rewound_total;
}

int64_t measure_compaction_exposed(const struct subscription_subject *subject)
{
    return subject->findings->compaction_exposed;
}

int64_t measure_uncommitted_partitions(const struct subscription_subject *subject)
{
    return subject->findings->uncommitted;
}

int64_t measure_last_progress(const struct subscription_subject *subject)
{
    return subject->findings->last_progress;
}

/* --- a position ---------------------------------------------------------------------------------------- */

struct column measure_current_offset(const struct position_subject *run)
{
    return column_of(&run->positions->committed, sizeof *run->positions);
}

struct column measure_lag(const struct position_subject *run)
{
    return column_of(&run->findings->lag, sizeof *run->findings);
}

struct column measure_lag_seconds(const struct position_subject *run)
{
    return column_of(&run->findings->lag_ms, sizeof *run->findings);
}

/* --- the process --------------------------------------------------------------------------------------- */

int64_t measure_build_info(const struct build_subject *subject)
{
    return subject->facts->program->version != NULL ? 1 : UNKNOWN;
}

int64_t measure_config_last_reload_successful(const struct process_subject *subject)
{
    return subject->facts->last_reload_successful;
}

int64_t measure_config_last_reload_success(const struct process_subject *subject)
{
    return subject->facts->last_reload_success;
}

int64_t measure_page_timestamp(const struct process_subject *subject)
{
    return subject->facts->now;
}

int64_t measure_process_cpu_seconds(const struct process_subject *subject)
{
    return subject->facts->process.cpu_us;
}

int64_t measure_process_resident_memory(const struct process_subject *subject)
{
    return subject->facts->process.resident_bytes;
}

int64_t measure_process_virtual_memory(const struct process_subject *subject)
{
    return subject->facts->process.virtual_bytes;
}

int64_t measure_process_start_time(const struct process_subject *subject)
{
    return subject->facts->process.start_time;
}

int64_t measure_process_open_fds(const struct process_subject *subject)
{
    return subject->facts->process.open_fds;
}

int64_t measure_process_max_fds(const struct process_subject *subject)
{
    return subject->facts->process.max_fds;
}

int64_t measure_series_dropped(const struct process_subject *subject)
{
    return subject->so_far.dropped;
}

int64_t measure_page_bytes(const struct process_subject *subject)
{
    return subject->so_far.bytes;
}

int64_t measure_series(const struct process_subject *subject)
{
    return subject->so_far.series + 1; /* this one is on the page, too */
}
