#include "exporter/json_value.h"

#include "exporter/findings.h"
#include "exporter/reason.h"

enum { TEXT_LIMIT = 1 << 20 };

void json_add_int(struct json_writer *json, const char *key, int64_t value)
{
    if (value == UNKNOWN)
        return;
    json_put_key(json, key);
    json_put_int(json, value);
}

void json_add_seconds(struct json_writer *json, const char *key, int64_t ms)
{
    if (ms == UNKNOWN || ms == NO_RECORD || ms == UNDATED)
        return;
    json_put_key(json, key);
    json_put_seconds(json, ms);
}

void json_add_text(struct json_writer *json, const char *key, const char *text)
{
    if (text == NULL)
        return;
    json_put_key(json, key);
    json_put_text(json, text);
}

void json_add_str(struct json_writer *json, const char *key, struct str text)
{
    json_put_key(json, key);
    json_put_str(json, text);
}

void json_add_bool(struct json_writer *json, const char *key, bool value)
{
    json_put_key(json, key);
    json_put_bool(json, value);
}

void json_add_event(struct json_writer *json, const struct event *event, struct str topic)
{
    struct buf words = buf_make(TEXT_LIMIT);
    reason_add_event(&words, event, topic);
    json_add_seconds(json, "time", event->time);
    if (event->until != event->time)
        json_add_seconds(json, "until", event->until);
    json_add_text(json, "event", event_name((enum event_kind)event->kind));
    if (event->condition >= 0)
        json_add_text(json, "condition", condition_name((enum condition)event->condition));
    if (topic.bytes != NULL)
        json_add_str(json, "topic", topic);
    if (event->partition != NO_INDEX)
        json_add_int(json, "partition", event->partition);
    json_add_int(json, "from", event->from);
    json_add_int(json, "to", event->to);
    json_add_int(json, "count", event->count);
    json_add_str(json, "text", buf_str(&words));
    json->out->failed |= words.failed;
    buf_free(&words);
}
