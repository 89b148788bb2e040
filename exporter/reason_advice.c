#include "exporter/base/human.h"
#include "exporter/reason_case.h"

#include <inttypes.h>

static void advise_retention(struct buf *out, const struct case_at_hand *c)
{
    buf_add_text(out, "raise retention.ms of ");
    case_add_topic(out, c);
    if (c->topic != NULL)
        case_add_known_setting(out, " (now ", c->topic->config.retention_ms, ")");
}

void advise_data_lost(struct buf *out, const struct case_at_hand *c)
{
    buf_add_text(out, "The events tell which offsets are gone: bring them back from where they came from. So "
                      "that it doesn't happen again, ");
    advise_retention(out, c);
    buf_add_text(out, " to cover the longest time that the group may be down.");
}

void advise_retention_risk(struct buf *out, const struct case_at_hand *c)
{
    buf_add_text(out, "First win time: ");
    advise_retention(out, c);
    buf_add_text(out, ". Then make the group read faster than is written, or start it again.");
}

void advise_stopped(struct buf *out, const struct case_at_hand *c)
{
    (void)c;
    buf_add_text(out, "Start its consumers, and look at the end of their logs for why they ended. If the "
                      "group is retired, delete it: kafka-consumer-groups.sh --delete, or tidemark log.");
}

void advise_stuck(struct buf *out, const struct case_at_hand *c)
{
    buf_add_text(out, "Look at the log of the consumer of ");
    case_add_where(out, c);
    buf_add_text(out, ": a message at offset ");
    human_add_count(out, c->position->committed);
    buf_add_text(out, " that can't be processed and is tried again for ever, a hanging call, or commits that "
                      "fail. Put a message that never succeeds aside, commit, and go on.");
}

static void add_timeouts(struct buf *out, const struct case_at_hand *c)
{
    case_add_known_setting(out, "max.poll.interval.ms (the members declared ", c->group->rebalance_timeout_ms,
                           ")");
    if (c->group->rebalance_timeout_ms == UNKNOWN)
        buf_add_text(out, "max.poll.interval.ms");
    buf_add_text(out, " and max.poll.records: a batch has to be processed within the interval. ");
    buf_add_text(out, "A member that pauses or restarts for longer than session.timeout.ms");
    case_add_known_setting(out, " (declared: ", c->group->session_timeout_ms, ")");
    buf_add_text(out, " is thrown out, too; group.instance.id lets it restart within that time without a "
                      "rebalance.");
}

void advise_rebalances(struct buf *out, const struct case_at_hand *c)
{
    buf_add_text(out, "Find out whether members die or are thrown out. If processing is too slow, look at ");
    add_timeouts(out, c);
}

void advise_beyond_end(struct buf *out, const struct case_at_hand *c)
{
    buf_add_text(out, "Find out who made the topic again or lost its tail. Decide where the group goes on, "
                      "stop it, and set its offset on ");
    case_add_where(out, c);
    buf_add_text(out, " before auto.offset.reset decides.");
}

void advise_falling_behind(struct buf *out, const struct case_at_hand *c)
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

void advise_compaction(struct buf *out, const struct case_at_hand *c)
{
    buf_add_text(out, "If the group needs every state and not only the last one a key, raise "
                      "min.compaction.lag.ms of ");
    case_add_topic(out, c);
    if (c->topic != NULL)
        case_add_known_setting(out, " (now ", c->topic->config.min_compaction_lag_ms, ")");
    buf_add_text(out, ", or read a topic that isn't compacted.");
}

void advise_skipped(struct buf *out, const struct case_at_hand *c)
{
    (void)c;
    buf_add_text(out, "If it was not on purpose, set the offset back to where it was, which the events tell, "
                      "before retention takes the messages.");
}

void advise_expiring(struct buf *out, const struct case_at_hand *c)
{
    (void)c;
    buf_add_text(out, "Start the group, which keeps its bookmarks, raise offsets.retention.minutes of the "
                      "brokers, or note the offsets down. If the group is retired, delete it.");
}

void advise_skewed(struct buf *out, const struct case_at_hand *c)
{
    buf_add_text(out, "Look for a key that most messages have, or for a slow consumer of ");
    case_add_where(out, c);
    buf_add_text(out, ". More members don't help: a partition is read by one.");
}

void advise_idle(struct buf *out, const struct case_at_hand *c)
{
    (void)c;
    buf_add_text(out, "Nothing is wrong. Add partitions if they should work, or stop them.");
}

void advise_replaying(struct buf *out, const struct case_at_hand *c)
{
    (void)c;
    buf_add_text(out, "Nothing, if the offset was moved back on purpose. If not, find out who did it: every "
                      "message is handled again.");
}
