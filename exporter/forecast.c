#include "exporter/judgement.h"

/* When retention reaches the position, if nothing changes. */
struct overtaking {
    int64_t headroom_ms; /* until an unread message may be deleted; UNKNOWN */
    int64_t overtake_ms; /* until the edge passes the reader; UNKNOWN: it doesn't, or not known */
    int64_t horizon_ms;  /* from when on that is a risk; UNKNOWN */
};

/* Shorter looks back than this say nothing about speed. */
static const int64_t look_back_ms = 3 * 60 * 1000;
/* The far end of forecasts: beyond it "never" is as good an answer. */
static const double far_ms = 10.0 * 365 * 86400 * 1000;
static const double standing_still = 0.02;

static int64_t forecast(double ms)
{
    return ms >= 0 && ms < far_ms ? (int64_t)ms : UNKNOWN;
}

static int64_t time_left(int64_t retention_ms, int64_t lag_ms)
{
    return retention_ms > lag_ms ? retention_ms - lag_ms : 0;
}

/* Retention by time: the edge moves a second a second through the timestamps, the reader by its time lag.
 * What is left is a fact, told at once; a forecast wants to know how the reader goes. */
static struct overtaking overtaking_by_time(const struct scene *scene, const struct rules *rules,
                                            int64_t retention_ms, const struct position_memory *memory)
{
    struct overtaking found = {UNKNOWN, UNKNOWN, UNKNOWN};
    const struct mark *mark = &memory->marks[0];
    int64_t elapsed = scene->now - mark->time, lag_ms = memory->steady_ms;
    found.headroom_ms = time_left(retention_ms, memory->lag_ms);
    found.horizon_ms = rules_horizon(rules, (double)retention_ms);
    if (position_stands_still(memory, scene->history)) {
        found.overtake_ms = found.headroom_ms;
        return found;
    }
    if (lag_ms == UNKNOWN || mark->lag_ms == UNKNOWN || elapsed < rules_pace(rules, look_back_ms))
        return found;
    double growth = (double)(lag_ms - mark->lag_ms) / (double)elapsed;
    if (growth > standing_still)
        found.overtake_ms = forecast((double)time_left(retention_ms, lag_ms) / growth);
    return found;
}

/* By the start offset, once it has begun to move: it follows the end at the speed of writing. Messages are
 * kept for retention_ms, or UNKNOWN, where it is their number that is limited. */
static struct overtaking overtaking_by_start(const struct scene *scene, const struct rules *rules,
                                             int64_t retention_ms, const struct position_memory *memory,
                                             const struct partition_memory *partition,
                                             const struct snap_partition *seen)
{
    struct overtaking found = {UNKNOWN, UNKNOWN, UNKNOWN};
    double written = partition->rate / 1000; /* a millisecond */
    int64_t elapsed = scene->now - memory->marks[0].time;
    if (!partition->start_moved || written <= 0 || elapsed < rules_pace(rules, look_back_ms))
        return found;
    double distance = memory->committed > seen->start ? (double)(memory->committed - seen->start) : 0;
    double held =
        retention_ms != UNKNOWN ? (double)retention_ms : (double)(seen->end - seen->start) / written;
    double read = position_speed(memory, scene->history);
    found.headroom_ms = forecast(distance / written);
    found.horizon_ms = rules_horizon(rules, held);
    bool behind = memory->steady_ms > 0 || memory->lag_ms == UNKNOWN;
    if (behind && written - read > standing_still * written)
        found.overtake_ms = forecast(distance / (written - read));
    return found;
}

/* Where the time lag isn't known, retention by time is seen by the start offset, too. */
static struct overtaking overtaking(const struct scene *scene, const struct rules *rules,
                                    const struct topic_config *config, const struct position_memory *memory,
                                    const struct partition_memory *partition,
                                    const struct snap_partition *seen)
{
    struct overtaking by_time = {UNKNOWN, UNKNOWN, UNKNOWN}, by_size = by_time;
    int64_t retention_ms = config->retention_ms;
    if (config->cleanup_policy == CLEANUP_COMPACT || memory->lag_ms == 0)
        return by_time;
    if (retention_ms > 0 && memory->lag_ms == UNKNOWN)
        by_time = overtaking_by_start(scene, rules, retention_ms, memory, partition, seen);
    else if (retention_ms > 0)
        by_time = overtaking_by_time(scene, rules, retention_ms, memory);
    if (config->retention_bytes > 0 && memory->lag_ms != UNKNOWN)
        by_size = overtaking_by_start(scene, rules, UNKNOWN, memory, partition, seen);
    if (by_time.headroom_ms == UNKNOWN)
        return by_size;
    if (by_size.headroom_ms == UNKNOWN)
        return by_time;
    return by_size.headroom_ms < by_time.headroom_ms ? by_size : by_time;
}

/* By how much faster it reads than is written since the mark. */
static int64_t catchup(const struct scene *scene, const struct rules *rules,
                       const struct position_memory *memory, const struct partition_memory *partition,
                       int64_t lag)
{
    int64_t since = memory->marks[0].time, elapsed = scene->now - since;
    if (lag == 0)
        return 0;
    if (elapsed < rules_pace(rules, look_back_ms))
        return UNKNOWN;
    double written = ((double)partition->end - partition_end_at(partition, since)) / (double)elapsed;
    double closing = position_speed(memory, scene->history) - written;
    return closing > 0 ? forecast((double)lag / closing) : UNKNOWN;
}

static bool is_compacted(const struct topic_config *config)
{
    return config->cleanup_policy == CLEANUP_COMPACT || config->cleanup_policy == CLEANUP_COMPACT_DELETE;
}

/* Unread messages that are old enough for the log cleaner; UNKNOWN where it isn't known how old they are. */
static int64_t exposed(const struct topic_config *config, int64_t lag, int64_t lag_ms)
{
    int64_t safe = config->min_compaction_lag_ms;
    if (!is_compacted(config))
        return UNKNOWN;
    if (lag == 0 || safe <= 0)
        return lag;
    if (lag_ms == UNKNOWN)
        return UNKNOWN;
    return lag_ms < safe ? 0 : lag;
}

static void note_risks(struct scene *scene, const struct rules *rules, const struct topic_config *config,
                       const struct position_memory *memory, const struct overtaking *ahead,
                       struct place place)
{
    /* A reader that is a moment behind is no news to the cleaner, which works on closed segments. */
    static const int64_t current_ms = 90 * 1000;
    struct gist *gist = &scene->gist;
    int64_t safe = config->min_compaction_lag_ms, behind = rules_pace(rules, current_ms);
    if (ahead->overtake_ms != UNKNOWN && ahead->overtake_ms <= ahead->horizon_ms &&
        ahead->overtake_ms < gist->overtake_ms) {
        gist->overtake_ms = ahead->overtake_ms;
        gist->overtaken = place;
        gist->headroom_ms = ahead->headroom_ms;
        gist->horizon_ms = ahead->horizon_ms;
    }
    int64_t after = safe > behind ? safe : behind;
    if (is_compacted(config) && memory->steady_ms >= after) {
        gist->compacted = place;
        gist->compacted_lag_ms = memory->steady_ms;
        gist->compacted_after_ms = after;
    }
}

/* Where times aren't told, how old the oldest unread message is isn't known; but it is at least as old as it
 * has been seen to be there. Of one that is read, and gets no closer to the end. */
static void note_undated(struct scene *scene, const struct rules *rules, const struct position_memory *memory,
                         const struct partition_memory *partition, struct place place)
{
    if (memory->lag_ms != UNKNOWN || position_moves(memory) < 2 ||
        scene->now - memory->marks[0].time < rules_pace(rules, look_back_ms))
        return;
    int64_t age = partition_age_at_least(partition, memory->committed, scene->now);
    if (age <= rules->objective_ms || age <= scene->gist.undated_ms)
        return;
    scene->gist.undated = place;
    scene->gist.undated_ms = age;
}

/* Whether deletion took something from it lately: who is pushed along by it reads no faster than that,
 * however fast it seems to move. */
static bool still_losing(const struct scene *scene, const struct subscription_memory *memory)
{
    static const int64_t lately_ms = 10 * 60 * 1000;
    return memory->lost_at != UNKNOWN && scene->now - memory->lost_at < lately_ms;
}

/* What the positions of a subscription have in common. */
struct outlook {
    const struct rules *rules;
    const struct topic_memory *topic;
    int64_t losing;         /* number of the partition on which deletion has reached the reader; NO_INDEX */
    bool converging;        /* none that is behind will stay so for ever */
    int64_t latest_catchup; /* UNKNOWN: none known */
};

/* One that is hardly behind may stay so for ever: it doesn't keep the others from catching up. */
static bool is_behind(const struct rules *rules, const struct position_memory *memory)
{
    return memory->lag_ms == UNKNOWN || memory->lag_ms >= rules->objective_ms / 5;
}

static void forecast_position(struct scene *scene, struct outlook *outlook,
                              const struct position_memory *memory, struct place place)
{
    const struct topic_config *config = &outlook->topic->config;
    const struct position_findings *position = &scene->findings->positions[place.position];
    const struct snap_partition *seen =
        &scene->snapshot->partitions[scene->snapshot->positions[place.position].partition];
    const struct partition_memory *partition = &outlook->topic->partitions[seen->number];
    struct subscription_findings *sub = &scene->findings->subscriptions[place.subscription];
    if (position->lag == UNKNOWN)
        return;
    struct overtaking ahead = overtaking(scene, outlook->rules, config, memory, partition, seen);
    if (seen->number == outlook->losing && ahead.headroom_ms != UNKNOWN &&
        ahead.headroom_ms <= ahead.horizon_ms)
        ahead.overtake_ms = ahead.headroom_ms;
    keep_smaller(&sub->headroom_ms, ahead.headroom_ms);
    keep_smaller(&sub->overtake_ms, ahead.overtake_ms);
    note_risks(scene, outlook->rules, config, memory, &ahead, place);
    add_known(&sub->compaction_exposed, exposed(config, position->lag, position->lag_ms));
    int64_t caught_up = catchup(scene, outlook->rules, memory, partition, position->lag);
    keep_larger(&outlook->latest_catchup, caught_up);
    if (caught_up == UNKNOWN)
        note_undated(scene, outlook->rules, memory, partition, place);
    if (caught_up == UNKNOWN && is_behind(outlook->rules, memory))
        outlook->converging = false;
}

void forecast_subscription(struct scene *scene, uint32_t s)
{
    const struct snap_subscription *seen = &scene->snapshot->subscriptions[s];
    const struct subscription_memory *memory = scene_subscription(scene, s);
    struct outlook outlook = {
        .rules = scene_rules(scene, s),
        .topic = &scene->history->topics[scene->history->topic_at[seen->topic]],
        .losing = still_losing(scene, memory) ? memory->lost_on : NO_INDEX,
        .converging = true,
        .latest_catchup = UNKNOWN,
    };
    for (uint32_t i = 0, at = 0; i < seen->positions; i++, at++) {
        at = scene_skip_absent(memory, at);
        forecast_position(scene, &outlook, &memory->positions[at],
                          (struct place){s, seen->first_position + i});
    }
    if (outlook.converging)
        scene->findings->subscriptions[s].catchup_ms = outlook.latest_catchup;
}
