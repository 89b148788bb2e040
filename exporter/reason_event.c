#include "exporter/base/human.h"
#include "exporter/base/utf8.h"
#include "exporter/reason.h"

#include <inttypes.h>

static void add_where(struct buf *out, const struct event *event, struct str topic)
{
    if (topic.bytes == NULL)
        return;
    buf_add_text(out, " on ");
    utf8_add_shown(out, topic);
    if (event->partition != NO_INDEX)
        buf_add_format(out, "/%" PRId32, event->partition);
}

static void add_range(struct buf *out, const struct event *event, const char *from, const char *to)
{
    if (event->from == UNKNOWN || event->to == UNKNOWN)
        return;
    buf_add_text(out, from);
    human_add_count(out, event->from);
    buf_add_text(out, to);
    human_add_count(out, event->to);
}

static void add_messages(struct buf *out, const struct event *event, const char *what)
{
    human_add_counted(out, event->count, "message");
    buf_add_format(out, " %s", what);
}

static void add_condition(struct buf *out, const struct event *event, struct str topic, const char *verb)
{
    buf_add_format(out, "%s %s", condition_name((enum condition)event->condition), verb);
    add_where(out, event, topic);
    if (event->count != UNKNOWN) {
        buf_add_text(out, ", with ");
        human_add_counted(out, event->count, "unread message");
    }
}

void reason_add_event(struct buf *out, const struct event *event, struct str topic)
{
    switch ((enum event_kind)event->kind) {
    case EVENT_LOST:
        add_messages(out, event, "deleted unread");
        add_where(out, event, topic);
        add_range(out, event, ", among offsets ", " to ");
        return;
    case EVENT_SKIPPED:
        add_messages(out, event, "skipped");
        add_where(out, event, topic);
        add_range(out, event, ", from offset ", " to ");
        return;
    case EVENT_REWOUND:
        add_messages(out, event, "to be read again");
        add_where(out, event, topic);
        add_range(out, event, ", moved back from offset ", " to ");
        return;
    case EVENT_BEYOND_END:
        buf_add_text(out, "bookmark beyond the end");
        add_where(out, event, topic);
        add_range(out, event, ": the end is ", ", the bookmark ");
        return;
    case EVENT_MADE_AGAIN:
        buf_add_text(out, "truncated or made again");
        add_where(out, event, topic);
        return;
    case EVENT_REBALANCED:
        human_add_counted(out, event->count, "rebalance");
        add_range(out, event, ", generation ", " to ");
        return;
    case EVENT_EMPTIED:
        buf_add_text(out, "the last member left");
        return;
    case EVENT_JOINED:
        buf_add_text(out, "members are there again");
        return;
    case EVENT_CONDITION_BEGAN:
        add_condition(out, event, topic, "began");
        return;
    case EVENT_CONDITION_ENDED:
        add_condition(out, event, topic, "ended");
        return;
    case EVENT_KINDS:
        return;
    }
}
