#include "exporter/reason.h"

#include "exporter/base/human.h"
#include "exporter/reason_case.h"

#include <inttypes.h>

/* --- a sentence a condition ---------------------------------------------------------------------------- */

static void say_data_lost(struct buf *out, const struct case_at_hand *c)
{
    case_add_messages(out, c->inputs[1]);
    buf_add_text(out, " of ");
    case_add_topic(out, c);
    buf_add_text(out, c->inputs[1] == 1 ? " was" : " were");
    buf_add_text(out, " deleted before the group read them");
    if (c->partition != NULL)
        buf_add_format(out, ", last on partition %" PRId32, c->partition->number);
    case_add_known_time(out, " at ", c->inputs[0], "");
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
    case_add_where(out, c);
    if (!reached) {
        case_add_known_duration(out, " in about ", c->inputs[1], "");
        buf_add_text(out, " if both go on as now");
    }
    if (c->at_position != NULL)
        case_add_known_duration(out, ": the oldest unread message is ", c->at_position->lag_ms, " old");
    if (c->topic != NULL && c->topic->config.retention_ms > 0)
        case_add_known_setting(out, " and retention is ", c->topic->config.retention_ms, "");
    if (reached)
        buf_add_text(out, "; the first unread message may be deleted at any moment");
    else if (c->inputs[1] != c->inputs[0])
        case_add_known_duration(out, "; the first unread message may be deleted in ", c->inputs[0], "");
    buf_add_text(out, ".");
}

static void say_stopped(struct buf *out, const struct case_at_hand *c)
{
    buf_add_text(out, "Nobody reads: the group has had no member");
    case_add_known_duration(out, " for ", c->now - c->inputs[0], "");
    buf_add_text(out, ", ");
    case_add_waiting(out, c->total.lag_sum);
    case_add_known_duration(out, ", and nothing has been read for ", c->inputs[3], "");
    buf_add_text(out, ".");
}

static void say_stuck(struct buf *out, const struct case_at_hand *c)
{
    case_add_waiting(out, c->at_position->lag);
    buf_add_text(out, " on ");
    case_add_where(out, c);
    buf_add_text(out, ", and the bookmark has not moved from offset ");
    human_add_count(out, c->position->committed);
    case_add_known_duration(out, " for ", c->inputs[3], "");
    if (c->group->members != UNKNOWN && c->group->members > 0) {
        buf_add_text(out, " although ");
        human_add_counted(out, c->group->members, "member");
        buf_add_text(out, c->group->members == 1 ? " is there" : " are there");
    }
    if (c->inputs[2] > 0)
        case_add_known_duration(out, "; it usually moves within ", c->inputs[2], "");
    buf_add_text(out, ".");
}

static void say_death_spiral(struct buf *out, const struct case_at_hand *c)
{
    human_add_counted(out, c->inputs[0], "rebalance");
    case_add_known_duration(out, " in ", c->now - c->inputs[1], "");
    buf_add_text(out, ", and they keep coming. The group reads nothing while it rebalances: its time lag");
    case_add_known_duration(out, " has grown by ", c->inputs[3], "");
    case_add_known_duration(out, " to at least ", c->inputs[2], "");
    buf_add_text(out, ".");
}

static void say_beyond_end(struct buf *out, const struct case_at_hand *c)
{
    bool stands = c->position != NULL && c->partition != NULL &&
                  (c->inputs[1] != UNKNOWN || c->partition->end == UNKNOWN);
    buf_add_text(out, "The bookmark on ");
    case_add_where(out, c);
    if (!stands) {
        case_add_known_time(out, " stood beyond the end at ", c->inputs[0], "");
        buf_add_text(out, ": the topic was truncated or made again. It stands there no more.");
        return;
    }
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
    bool known = chart_rates(c->on_topic->chart, &rates);
    if (known)
        buf_add_format(out, "; %.1f a second are written and %.1f read", rates.written, rates.read);
    if (c->on_topic->catchup_ms != UNKNOWN)
        case_add_known_duration(out, ", so it will have caught up in ", c->on_topic->catchup_ms, "");
    else if (known && rates.read <= rates.written)
        buf_add_text(out, ", so at this pace it never catches up");
}

/* The age of the oldest unread message, or, where it isn't known, how old it is at least. */
static void add_age(struct buf *out, int64_t age_ms, int64_t least_ms)
{
    bool known = age_ms != UNKNOWN;
    case_add_known_duration(out, known ? " is " : " is at least ", known ? age_ms : least_ms, " old");
}

static void say_falling_behind(struct buf *out, const struct case_at_hand *c)
{
    buf_add_text(out, "The oldest unread message of ");
    case_add_topic(out, c);
    add_age(out, c->on_topic->lag_ms_max, c->inputs[0]);
    case_add_known_setting(out, " (objective ", c->inputs[3], ")");
    buf_add_text(out, " and ");
    case_add_waiting(out, c->on_topic->lag_sum);
    add_outlook(out, c);
    buf_add_text(out, ".");
}

static void say_rebalance_storm(struct buf *out, const struct case_at_hand *c)
{
    human_add_counted(out, c->inputs[0], "rebalance");
    case_add_known_duration(out, " in ", c->now - c->inputs[1], "");
    buf_add_text(out, ", and they keep coming. The group keeps up still, but it reads nothing while it "
                      "rebalances.");
}

static void say_compaction_risk(struct buf *out, const struct case_at_hand *c)
{
    buf_add_text(out, "The oldest unread message of ");
    case_add_where(out, c);
    add_age(out, c->at_position->lag_ms, c->inputs[0]);
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
    case_add_where(out, c);
    buf_add_text(out, " was moved forward over messages that were never read, ");
    human_add_count(out, c->inputs[1]);
    buf_add_text(out, " on this topic so far");
    case_add_known_time(out, ", last at ", c->inputs[0], "");
    buf_add_text(out, ".");
}

static void say_offsets_expiring(struct buf *out, const struct case_at_hand *c)
{
    buf_add_text(out, "The group has been empty");
    case_add_known_time(out, " since ", c->inputs[0], "");
    if (c->inputs[2] > 0)
        case_add_known_duration(out, ", and its bookmarks expire in ", c->inputs[2], "");
    else
        buf_add_text(out, ", and its bookmarks may expire at any moment");
    buf_add_text(out, ". Without them auto.offset.reset decides where it goes on.");
}

static void say_skewed(struct buf *out, const struct case_at_hand *c)
{
    case_add_where(out, c);
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
    case_add_topic(out, c);
    buf_add_text(out, " was moved back");
    case_add_known_time(out, " at ", c->inputs[0], "");
    buf_add_text(out, " and is catching up: ");
    human_add_counted(out, c->inputs[1], "message");
    buf_add_text(out, c->inputs[1] == 1 ? " is" : " are");
    buf_add_text(out, " read again");
    if (c->on_topic->catchup_ms != UNKNOWN)
        case_add_known_duration(out, ", done in about ", c->on_topic->catchup_ms, "");
    buf_add_text(out, ".");
}

/* --- the table ----------------------------------------------------------------------------------------- */

static const struct words {
    add_words *say, *advise;
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
                         "stuck_after, or 1.6 of the reader's usual cycle and 30 s; where that isn't "
                         "known yet, 14 minutes, or a minute more than its max.poll.interval.ms"},
    [CONDITION_DEATH_SPIRAL] =
        {say_death_spiral, advise_rebalances,
         "rebalances keep coming for spiral_after while the lowest time lag of the reader's "
         "cycles grows"},
    [CONDITION_COMMITTED_BEYOND_END] =
        {say_beyond_end, advise_beyond_end,
         "two polls saw the bookmark beyond the end of the partition; shown until "
         "clear_after has passed since then and it stands there no more"},
    [CONDITION_FALLING_BEHIND] =
        {say_falling_behind, advise_falling_behind,
         "the time lag, at its lowest of the reader's last cycle, is over the objective and not on its way "
         "back, or has grown for two objectives; where it isn't known, the oldest unread message has been "
         "there for longer than the objective and the lag gets no smaller"},
    [CONDITION_REBALANCE_STORM] = {say_rebalance_storm, advise_rebalances,
                                   "at least rebalance_count rebalances that keep coming for spiral_after"},
    [CONDITION_COMPACTION_RISK] =
        {say_compaction_risk, advise_compaction,
         "the topic is compacted and the time lag, at its lowest of the reader's last "
         "cycle, is over safe_for, the time for which the cleaner leaves a message "
         "alone"},
    [CONDITION_SKIPPED] = {say_skipped, advise_skipped,
                           "the bookmark jumped while the group had no member; shown for clear_after"},
    [CONDITION_OFFSETS_EXPIRING] = {say_offsets_expiring, advise_expiring,
                                    "the group is empty and time_left is within the horizon"},
    [CONDITION_SKEWED] = {say_skewed, advise_skewed,
                          "one partition has half of the lag or more while at least half of its siblings are "
                          "current, for skewed_after"},
    [CONDITION_IDLE_MEMBERS] = {say_idle_members, advise_idle,
                                "members to which no partition is assigned, for two minutes"},
    [CONDITION_REPLAYING] = {say_replaying, advise_replaying,
                             "the bookmark was moved back and the group has not caught up yet"},
};

void reason_add_sentence(struct buf *out, const struct reason *reason, const struct finding *finding)
{
    struct case_at_hand c = case_look_at(reason, finding);
    words[finding->condition].say(out, &c);
}

void reason_add_advice(struct buf *out, const struct reason *reason, const struct finding *finding)
{
    struct case_at_hand c = case_look_at(reason, finding);
    words[finding->condition].advise(out, &c);
}

const char *reason_rule(enum condition condition)
{
    return words[condition].rule;
}

void reason_add_place(struct buf *out, const struct reason *reason, const struct finding *finding)
{
    struct case_at_hand c = case_look_at(reason, finding);
    if (c.topic != NULL)
        case_add_where(out, &c);
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
