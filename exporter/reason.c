#include "exporter/reason.h"

#include "exporter/base/human.h"
#include "exporter/base/utf8.h"

#include <inttypes.h>

/* A finding with all that its sentence speaks of. What it has no part of is NULL. */
struct case_at_hand {
    const struct finding *finding;
    const int64_t *inputs;
    const struct snap_group *group;
    const struct snap_topic *topic;
    const struct snap_partition *partition;
    const struct snap_position *position;
    const struct position_findings *at_position;
    const struct subscription_findings *on_topic;
    struct subscription_findings total; /* of the group */
    int64_t now;
};

static struct case_at_hand look_at(const struct reason *reason, const struct finding *finding)
{
    const struct snapshot *snapshot = reason->snapshot;
    struct case_at_hand c = {
        .finding = finding,
        .inputs = finding->inputs,
        .group = &snapshot->groups[finding->group],
        .total = group_total(reason->findings, &snapshot->groups[finding->group]),
        .now = snapshot->time,
    };
    if (finding->subscription != NO_INDEX) {
        c.topic = &snapshot->topics[snapshot->subscriptions[finding->subscription].topic];
        c.on_topic = &reason->findings->subscriptions[finding->subscription];
    }
    if (finding->position != NO_INDEX) {
        c.position = &snapshot->positions[finding->position];
        c.partition = &snapshot->partitions[c.position->partition];
        c.at_position = &reason->findings->positions[finding->position];
    }
    return c;
}

/* --- pieces of sentences ------------------------------------------------------------------------------- */

/* "orders/3", "orders", or "its topics". */
static void add_where(struct buf *out, const struct case_at_hand *c)
{
    if (c->topic == NULL) {
        buf_add_text(out, "its topics");
        return;
    }
    utf8_add_shown(out, c->topic->name);
    if (c->partition != NULL)
        buf_add_format(out, "/%" PRId32, c->partition->number);
}

static void add_topic(struct buf *out, const struct case_at_hand *c)
{
    if (c->topic != NULL)
        utf8_add_shown(out, c->topic->name);
    else
        buf_add_text(out, "the topic");
}

/* `before`, the duration and `after`; nothing when it is unknown. */
static void add_known_duration(struct buf *out, const char *before, int64_t ms, const char *after)
{
    if (ms == UNKNOWN)
        return;
    buf_add_text(out, before);
    human_add_duration(out, ms > 0 ? ms : 0);
    buf_add_text(out, after);
}

static void add_known_time(struct buf *out, const char *before, int64_t time, const char *after)
{
    if (time == UNKNOWN)
        return;
    buf_add_text(out, before);
    human_add_time(out, time);
    buf_add_text(out, after);
}

static void add_messages(struct buf *out, int64_t count)
{
    if (count == UNKNOWN)
        buf_add_text(out, "Messages");
    else
        human_add_counted(out, count, "message");
}

static void add_waiting(struct buf *out, int64_t lag)
{
    add_messages(out, lag);
    buf_add_text(out, lag == 1 ? " waits" : " wait");
}

/* Configured durations are round: "24h", "5m", "30s". */
static void add_setting(struct buf *out, int64_t ms)
{
    if (ms % 3600000 == 0)
        buf_add_format(out, "%" PRId64 "h", ms / 3600000);
    else if (ms % 60000 == 0)
        buf_add_format(out, "%" PRId64 "m", ms / 60000);
    else if (ms % 1000 == 0)
        buf_add_format(out, "%" PRId64 "s", ms / 1000);
    else
        buf_add_format(out, "%" PRId64 "ms", ms);
}

static void add_known_setting(struct buf *out, const char *before, int64_t ms, const char *after)
{
    if (ms == UNKNOWN || ms < 0)
        return;
    buf_add_text(out, before);
    add_setting(out, ms);
    buf_add_text(out, after);
}

/* --- a sentence a condition ---------------------------------------------------------------------------- */

static void say_data_lost(struct buf *out, const struct case_at_hand *c)
{
    add_messages(out, c->inputs[1]);
    buf_add_text(out, " of ");
    add_topic(out, c);
    buf_add_text(out, c->inputs[1] == 1 ? " was" : " were");
    buf_add_text(out, " deleted before the group read them");
    if (c->partition != NULL)
        buf_add_format(out, ", last on partition %" PRId32, c->partition->number);
    add_known_time(out, " at ", c->inputs[0], "");
    buf_add_text(out, ".");
    if (c->inputs[2] > 0) {
        buf_add_text(out, " The bookmark still stands ");
        human_add_counted(out, c->inputs[2], "message");
        buf_add_text(out, " before the first one that is left.");
    }
}

static void say_retention_risk(struct buf *out, const struct case_at_hand *c)
{
    bool reached = c->inputs[0] == 0;
    buf_add_text(out, reached ? "Deletion has reached the reader of " : "Deletion overtakes the reader of ");
    add_where(out, c);
    if (!reached) {
        add_known_duration(out, " in about ", c->inputs[1], "");
        buf_add_text(out, " if both go on as now");
    }
    if (c->at_position != NULL)
        add_known_duration(out, ": the oldest unread message is ", c->at_position->lag_ms, " old");
    if (c->topic != NULL && c->topic->config.retention_ms > 0)
        add_known_setting(out, " and retention is ", c->topic->config.retention_ms, "");
    if (reached)
        buf_add_text(out, "; the first unread message may be deleted at any moment");
    else
        add_known_duration(out, "; the first unread message may be deleted in ", c->inputs[0], "");
    buf_add_text(out, ".");
}

static void say_stopped(struct buf *out, const struct case_at_hand *c)
{
    buf_add_text(out, "Nobody reads: the group has had no member");
    add_known_duration(out, " for ", c->now - c->inputs[0], "");
    buf_add_text(out, ", ");
    add_waiting(out, c->total.lag_sum);
    add_known_duration(out, ", and nothing has been read for ", c->inputs[3], "");
    buf_add_text(out, ".");
}

static void say_stuck(struct buf *out, const struct case_at_hand *c)
{
    add_waiting(out, c->at_position->lag);
    buf_add_text(out, " on ");
    add_where(out, c);
    buf_add_text(out, ", and the bookmark has not moved from offset ");
    human_add_count(out, c->position->committed);
    add_known_duration(out, " for ", c->inputs[3], "");
    if (c->group->members != UNKNOWN && c->group->members > 0) {
        buf_add_text(out, " although ");
        human_add_counted(out, c->group->members, "member");
        buf_add_text(out, c->group->members == 1 ? " is there" : " are there");
    }
    if (c->inputs[2] > 0)
        add_known_duration(out, "; it usually moves within ", c->inputs[2], "");
    buf_add_text(out, ".");
}

static void say_death_spiral(struct buf *out, const struct case_at_hand *c)
{
    human_add_counted(out, c->inputs[0], "rebalance");
    add_known_duration(out, " in ", c->now - c->inputs[1], "");
    buf_add_text(out, ", and they keep coming. The group reads nothing while it rebalances: its time lag");
    add_known_duration(out, " has grown by ", c->inputs[3], "");
    add_known_duration(out, " to ", c->inputs[2], "");
    buf_add_text(out, ".");
}

static void say_beyond_end(struct buf *out, const struct case_at_hand *c)
{
    buf_add_text(out, "The bookmark on ");
    add_where(out, c);
    buf_add_text(out, " stands at offset ");
    human_add_count(out, c->position->committed);
    if (c->partition->end != UNKNOWN) {
        buf_add_text(out, ", ");
        human_add_count(out, c->inputs[1]);
        buf_add_text(out, " beyond the end ");
        human_add_count(out, c->partition->end);
    }
    buf_add_text(out, ": the topic was truncated or made again, and the reader is going to jump.");
}

static void add_outlook(struct buf *out, const struct case_at_hand *c)
{
    struct chart_rates rates;
    if (chart_rates(c->on_topic->chart, &rates))
        buf_add_format(out, "; %.1f a second are written and %.1f read", rates.written, rates.read);
    if (c->on_topic->catchup_ms != UNKNOWN)
        add_known_duration(out, ", so it will have caught up in ", c->on_topic->catchup_ms, "");
    else
        buf_add_text(out, ", so at this pace it never catches up");
}

static void say_falling_behind(struct buf *out, const struct case_at_hand *c)
{
    buf_add_text(out, "The oldest unread message of ");
    add_topic(out, c);
    add_known_duration(out, " is ", c->on_topic->lag_ms_max, " old");
    add_known_setting(out, " (objective ", c->inputs[3], ")");
    buf_add_text(out, " and ");
    add_waiting(out, c->on_topic->lag_sum);
    add_outlook(out, c);
    buf_add_text(out, ".");
}

static void say_rebalance_storm(struct buf *out, const struct case_at_hand *c)
{
    human_add_counted(out, c->inputs[0], "rebalance");
    add_known_duration(out, " in ", c->now - c->inputs[1], "");
    buf_add_text(out, ", and they keep coming. The group keeps up still, but it reads nothing while it "
                      "rebalances.");
}

static void say_compaction_risk(struct buf *out, const struct case_at_hand *c)
{
    buf_add_text(out, "The oldest unread message of ");
    add_where(out, c);
    add_known_duration(out, " is ", c->inputs[0], " old");
    buf_add_text(out, ": the cleaner may take it before it is read, where its key has a newer one");
    if (c->on_topic->compaction_exposed > 0) {
        buf_add_text(out, "; ");
        human_add_counted(out, c->on_topic->compaction_exposed, "unread message");
        buf_add_text(out, " of the topic can go like that");
    }
    buf_add_text(out, ".");
}

static void say_skipped(struct buf *out, const struct case_at_hand *c)
{
    buf_add_text(out, "The bookmark on ");
    add_where(out, c);
    buf_add_text(out, " was moved forward over messages that were never read, ");
    human_add_count(out, c->inputs[1]);
    buf_add_text(out, " on this topic so far");
    add_known_time(out, ", last at ", c->inputs[0], "");
    buf_add_text(out, ".");
}

static void say_offsets_expiring(struct buf *out, const struct case_at_hand *c)
{
    buf_add_text(out, "The group has been empty");
    add_known_time(out, " since ", c->inputs[0], "");
    if (c->inputs[2] > 0)
        add_known_duration(out, ", and its bookmarks expire in ", c->inputs[2], "");
    else
        buf_add_text(out, ", and its bookmarks may expire at any moment");
    buf_add_text(out, ". Without them auto.offset.reset decides where it goes on.");
}

static void say_skewed(struct buf *out, const struct case_at_hand *c)
{
    add_where(out, c);
    buf_add_text(out, " has ");
    human_add_count(out, c->inputs[0]);
    buf_add_text(out, " of the topic's ");
    human_add_counted(out, c->inputs[1], "unread message");
    buf_add_format(out, ", while %" PRId64 " of the other %" PRId64 " partitions are current.", c->inputs[2],
                   c->inputs[3]);
}

static void say_idle_members(struct buf *out, const struct case_at_hand *c)
{
    human_add_count(out, c->inputs[0]);
    if (c->inputs[1] != UNKNOWN) {
        buf_add_text(out, " of ");
        human_add_count(out, c->inputs[1]);
    }
    buf_add_text(out, c->inputs[0] == 1 && c->inputs[1] == UNKNOWN ? " member has" : " members have");
    buf_add_text(out, " nothing to read: the group's topics have ");
    human_add_counted(out, c->inputs[2], "partition");
    buf_add_text(out, ".");
}

static void say_replaying(struct buf *out, const struct case_at_hand *c)
{
    buf_add_text(out, "The bookmark on ");
    add_topic(out, c);
    buf_add_text(out, " was moved back");
    add_known_time(out, " at ", c->inputs[0], "");
    buf_add_text(out, " and is catching up: ");
    human_add_counted(out, c->inputs[1], "message");
    buf_add_text(out, c->inputs[1] == 1 ? " is" : " are");
    buf_add_text(out, " read again");
    if (c->on_topic->catchup_ms != UNKNOWN)
        add_known_duration(out, ", done in about ", c->on_topic->catchup_ms, "");
    buf_add_text(out, ".");
}

/* --- what to do ---------------------------------------------------------------------------------------- */

static void advise_retention(struct buf *out, const struct case_at_hand *c)
{
    buf_add_text(out, "raise retention.ms of ");
    add_topic(out, c);
    if (c->topic != NULL)
        add_known_setting(out, " (now ", c->topic->config.retention_ms, ")");
}

static void advise_data_lost(struct buf *out, const struct case_at_hand *c)
{
    buf_add_text(out, "The events tell which offsets are gone: bring them back from where they came from. So "
                      "that it doesn't happen again, ");
    advise_retention(out, c);
    buf_add_text(out, " to cover the longest time that the group may be down.");
}

static void advise_retention_risk(struct buf *out, const struct case_at_hand *c)
{
    buf_add_text(out, "First win time: ");
    advise_retention(out, c);
    buf_add_text(out, ". Then make the group read faster than is written, or start it again.");
}

static void advise_stopped(struct buf *out, const struct case_at_hand *c)
{
    (void)c;
    buf_add_text(out, "Start its consumers, and look at the end of their logs for why they ended. If the "
                      "group is retired, delete it: kafka-consumer-groups.sh --delete, or tidemark log.");
}

static void advise_stuck(struct buf *out, const struct case_at_hand *c)
{
    buf_add_text(out, "Look at the log of the consumer of ");
    add_where(out, c);
    buf_add_text(out, ": a message at offset ");
    human_add_count(out, c->position->committed);
    buf_add_text(out, " that can't be processed and is tried again for ever, a hanging call, or commits that "
                      "fail. Put a message that never succeeds aside, commit, and go on.");
}

static void add_timeouts(struct buf *out, const struct case_at_hand *c)
{
    add_known_setting(out, "max.poll.interval.ms (the members declared ", c->group->rebalance_timeout_ms,
                      ")");
    if (c->group->rebalance_timeout_ms == UNKNOWN)
        buf_add_text(out, "max.poll.interval.ms");
    buf_add_text(out, " and max.poll.records: a batch has to be processed within the interval. ");
    buf_add_text(out, "A member that pauses or restarts for longer than session.timeout.ms");
    add_known_setting(out, " (declared: ", c->group->session_timeout_ms, ")");
    buf_add_text(out, " is thrown out, too; group.instance.id lets it restart within that time without a "
                      "rebalance.");
}

static void advise_rebalances(struct buf *out, const struct case_at_hand *c)
{
    buf_add_text(out, "Find out whether members die or are thrown out. If processing is too slow, look at ");
    add_timeouts(out, c);
}

static void advise_beyond_end(struct buf *out, const struct case_at_hand *c)
{
    buf_add_text(out, "Find out who made the topic again or lost its tail. Decide where the group goes on, "
                      "stop it, and set its offset on ");
    add_where(out, c);
    buf_add_text(out, " before auto.offset.reset decides.");
}

static void advise_falling_behind(struct buf *out, const struct case_at_hand *c)
{
    uint32_t partitions = c->topic != NULL ? c->topic->partitions : 0;
    if (c->group->members != UNKNOWN && partitions > 0 && c->group->members < (int64_t)partitions)
        buf_add_format(out,
                       "Add members: there are %" PRId64 " for the %" PRIu32 " partitions of this topic. ",
                       c->group->members, partitions);
    else if (partitions > 0)
        buf_add_format(out,
                       "Make processing faster, or add partitions: more members than the topic's %" PRIu32
                       " don't help. ",
                       partitions);
    buf_add_text(out, "Until it has caught up, what it handles is old: treat it as such.");
}

static void advise_compaction(struct buf *out, const struct case_at_hand *c)
{
    buf_add_text(out, "If the group needs every state and not only the last one a key, raise "
                      "min.compaction.lag.ms of ");
    add_topic(out, c);
    if (c->topic != NULL)
        add_known_setting(out, " (now ", c->topic->config.min_compaction_lag_ms, ")");
    buf_add_text(out, ", or read a topic that isn't compacted.");
}

static void advise_skipped(struct buf *out, const struct case_at_hand *c)
{
    (void)c;
    buf_add_text(out, "If it was not on purpose, set the offset back to where it was, which the events tell, "
                      "before retention takes the messages.");
}

static void advise_expiring(struct buf *out, const struct case_at_hand *c)
{
    (void)c;
    buf_add_text(out, "Start the group, which keeps its bookmarks, raise offsets.retention.minutes of the "
                      "brokers, or note the offsets down. If the group is retired, delete it.");
}

static void advise_skewed(struct buf *out, const struct case_at_hand *c)
{
    buf_add_text(out, "Look for a key that most messages have, or for a slow consumer of ");
    add_where(out, c);
    buf_add_text(out, ". More members don't help: a partition is read by one.");
}

static void advise_idle(struct buf *out, const struct case_at_hand *c)
{
    (void)c;
    buf_add_text(out, "Nothing is wrong. Add partitions if they should work, or stop them.");
}

static void advise_replaying(struct buf *out, const struct case_at_hand *c)
{
    (void)c;
    buf_add_text(out, "Nothing, if the offset was moved back on purpose. If not, find out who did it: every "
                      "message is handled again.");
}

/* --- the table ----------------------------------------------------------------------------------------- */

static const struct words {
    void (*say)(struct buf *out, const struct case_at_hand *c);
    void (*advise)(struct buf *out, const struct case_at_hand *c);
    const char *rule;
} words[CONDITIONS] = {
    [CONDITION_DATA_LOST] = {say_data_lost, advise_data_lost,
                             "the start of a partition passed a bookmark; shown until clear_after has passed "
                             "since the last loss and the reader is past it"},
    [CONDITION_RETENTION_RISK] = {say_retention_risk, advise_retention_risk,
                                  "retention_overtake is within the horizon, for four minutes"},
    [CONDITION_STOPPED] = {say_stopped, advise_stopped,
                           "unread messages, no member, and no progress for stopped_after"},
    [CONDITION_STUCK] = {say_stuck, advise_stuck,
                         "unread messages, live members, and no progress for longer than the patience: "
                         "stuck_after, or 1.6 of the reader's usual cycle and 30 s"},
    [CONDITION_DEATH_SPIRAL] = {say_death_spiral, advise_rebalances,
                                "rebalances keep coming for spiral_after while the time lag grows"},
    [CONDITION_COMMITTED_BEYOND_END] = {say_beyond_end, advise_beyond_end,
                                        "two polls saw the bookmark beyond the end of the partition"},
    [CONDITION_FALLING_BEHIND] = {say_falling_behind, advise_falling_behind,
                                  "the time lag is over the objective and not on its way back, or has grown "
                                  "for two objectives"},
    [CONDITION_REBALANCE_STORM] = {say_rebalance_storm, advise_rebalances,
                                   "at least rebalance_count rebalances that keep coming for spiral_after"},
    [CONDITION_COMPACTION_RISK] = {say_compaction_risk, advise_compaction,
                                   "the topic is compacted and the time lag is over safe_for, the time for "
                                   "which the cleaner leaves a message alone"},
    [CONDITION_SKIPPED] = {say_skipped, advise_skipped,
                           "the bookmark jumped while the group had no member; shown for clear_after"},
    [CONDITION_OFFSETS_EXPIRING] = {say_offsets_expiring, advise_expiring,
                                    "the group is empty and time_left is within the horizon"},
    [CONDITION_SKEWED] = {say_skewed, advise_skewed,
                          "one partition has 60 % of the lag or more while at least half of its siblings are "
                          "current, for skewed_after"},
    [CONDITION_IDLE_MEMBERS] = {say_idle_members, advise_idle,
                                "members to which no partition is assigned, for two minutes"},
    [CONDITION_REPLAYING] = {say_replaying, advise_replaying,
                             "the bookmark was moved back and the group has not caught up yet"},
};

void reason_add_sentence(struct buf *out, const struct reason *reason, const struct finding *finding)
{
    struct case_at_hand c = look_at(reason, finding);
    words[finding->condition].say(out, &c);
}

void reason_add_advice(struct buf *out, const struct reason *reason, const struct finding *finding)
{
    struct case_at_hand c = look_at(reason, finding);
    words[finding->condition].advise(out, &c);
}

const char *reason_rule(enum condition condition)
{
    return words[condition].rule;
}

void reason_add_place(struct buf *out, const struct reason *reason, const struct finding *finding)
{
    struct case_at_hand c = look_at(reason, finding);
    if (c.topic != NULL)
        add_where(out, &c);
}

void reason_add_input(struct buf *out, struct input input, int64_t value)
{
    if (value == UNKNOWN)
        return;
    if (input.kind == INPUT_TIME)
        human_add_time(out, value);
    else if (input.kind == INPUT_DURATION)
        human_add_duration(out, value > 0 ? value : 0);
    else
        human_add_count(out, value);
}
