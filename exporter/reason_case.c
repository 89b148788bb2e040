#include "exporter/reason_case.h"

#include "exporter/base/human.h"
#include "exporter/base/utf8.h"

#include <inttypes.h>

struct case_at_hand case_look_at(const struct reason *reason, const struct finding *finding)
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
void case_add_where(struct buf *out, const struct case_at_hand *c)
{
    if (c->topic == NULL) {
        buf_add_text(out, "its topics");
        return;
    }
    utf8_add_shown(out, c->topic->name);
    if (c->partition != NULL)
        buf_add_format(out, "/%" PRId32, c->partition->number);
}

void case_add_topic(struct buf *out, const struct case_at_hand *c)
{
    if (c->topic != NULL)
        utf8_add_shown(out, c->topic->name);
    else
        buf_add_text(out, "the topic");
}

/* `before`, the duration and `after`; nothing when it is unknown. */
void case_add_known_duration(struct buf *out, const char *before, int64_t ms, const char *after)
{
    if (ms == UNKNOWN)
        return;
    buf_add_text(out, before);
    human_add_duration(out, ms > 0 ? ms : 0);
    buf_add_text(out, after);
}

void case_add_known_time(struct buf *out, const char *before, int64_t time, const char *after)
{
    if (time == UNKNOWN)
        return;
    buf_add_text(out, before);
    human_add_time(out, time);
    buf_add_text(out, after);
}

void case_add_messages(struct buf *out, int64_t count)
{
    if (count == UNKNOWN)
        buf_add_text(out, "Messages");
    else
        human_add_counted(out, count, "message");
}

void case_add_waiting(struct buf *out, int64_t lag)
{
    case_add_messages(out, lag);
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

void case_add_known_setting(struct buf *out, const char *before, int64_t ms, const char *after)
{
    if (ms == UNKNOWN || ms < 0)
        return;
    buf_add_text(out, before);
    add_setting(out, ms);
    buf_add_text(out, after);
}
