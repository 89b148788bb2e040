#include "exporter/json_groups.h"

#include "exporter/group_row.h"
#include "exporter/json_value.h"
#include "exporter/reason.h"

#include <stdlib.h>

enum { TEXT_LIMIT = 1 << 20, PLACES_LIMIT = 1000 };

/* --- conditions ---------------------------------------------------------------------------------------- */

/* A text that one of the functions of reason.h makes. */
static void add_words(struct json_writer *json, const char *key, const struct reason *reason,
                      const struct finding *finding,
                      void (*add)(struct buf *, const struct reason *, const struct finding *))
{
    struct buf words = buf_make(TEXT_LIMIT);
    add(&words, reason, finding);
    json_add_str(json, key, buf_str(&words));
    json->out->failed |= words.failed;
    buf_free(&words);
}

static void add_inputs(struct json_writer *json, const struct finding *finding)
{
    json_put_key(json, "inputs");
    json_put_open(json, '[');
    for (int i = 0; i < FINDING_INPUTS; i++) {
        struct input input = finding_input(finding->condition, i);
        int64_t value = finding->inputs[i];
        if (input.kind == INPUT_NONE || value == UNKNOWN)
            continue;
        struct buf shown = buf_make(TEXT_LIMIT);
        reason_add_input(&shown, input, value);
        json_put_open(json, '{');
        json_add_text(json, "name", input.name);
        if (input.kind == INPUT_TIME || input.kind == INPUT_DURATION)
            json_add_seconds(json, input.kind == INPUT_TIME ? "time" : "seconds", value);
        else
            json_add_int(json, "count", value);
        if (input.limit) {
            json_put_key(json, "limit");
            json_put_bool(json, true);
        }
        json_add_str(json, "text", buf_str(&shown));
        json_put_close(json, '}');
        json->out->failed |= shown.failed;
        buf_free(&shown);
    }
    json_put_close(json, ']');
}

static void add_place(struct json_writer *json, const struct snapshot *snapshot,
                      const struct finding *finding)
{
    if (finding->subscription != NO_INDEX)
        json_add_str(json, "topic",
                     snapshot->topics[snapshot->subscriptions[finding->subscription].topic].name);
    if (finding->position != NO_INDEX)
        json_add_int(json, "partition",
                     snapshot->partitions[snapshot->positions[finding->position].partition].number);
}

static void add_condition(struct json_writer *json, const struct reason *reason,
                          const struct finding *finding, bool all)
{
    json_put_open(json, '{');
    json_add_text(json, "condition", condition_name(finding->condition));
    json_add_text(json, "grade", grade_name(condition_grade(finding->condition)));
    json_add_seconds(json, "since", finding->since);
    add_place(json, reason->snapshot, finding);
    add_words(json, "reason", reason, finding, reason_add_sentence);
    if (all) {
        json_add_text(json, "rule", reason_rule(finding->condition));
        add_inputs(json, finding);
        add_words(json, "advice", reason, finding, reason_add_advice);
    }
    json_put_close(json, '}');
}

/* In the list a condition stands once, at the first place where it is true. */
static void add_conditions(struct json_writer *json, const struct group_row *row, bool all)
{
    const struct reason reason = {row->source->snapshot, row->source->findings};
    uint32_t shown = 0;
    json_put_key(json, "conditions");
    json_put_open(json, '[');
    for (uint32_t i = 0; i < row->findings->wheres && (!all || i < PLACES_LIMIT); i++) {
        const struct finding *finding = &reason.findings->wheres[row->findings->first_where + i];
        if (all || !(shown & 1u << finding->condition))
            add_condition(json, &reason, finding, all);
        shown |= 1u << finding->condition;
    }
    json_put_close(json, ']');
    json_add_int(json, "places", row->findings->wheres);
}

/* --- a group in a row ---------------------------------------------------------------------------------- */

static void add_numbers(struct json_writer *json, const struct subscription_findings *numbers)
{
    json_add_int(json, "lag", numbers->lag_sum);
    json_add_seconds(json, "lag_seconds", numbers->lag_ms_max);
    json_add_seconds(json, "catchup_seconds", numbers->catchup_ms);
    json_add_seconds(json, "retention_headroom_seconds", numbers->headroom_ms);
    json_add_seconds(json, "retention_overtake_seconds", numbers->overtake_ms);
    json_add_int(json, "compaction_exposed", numbers->compaction_exposed);
    json_add_int(json, "uncommitted_partitions", numbers->uncommitted);
    json_add_seconds(json, "last_progress", numbers->last_progress);
    json_add_int(json, "lost", numbers->lost_total);
    json_add_int(json, "skipped", numbers->skipped_total);
    json_add_int(json, "rewound", numbers->rewound_total);
}

static void add_rates(struct json_writer *json, bool known, const struct chart_rates *rates)
{
    if (!known)
        return;
    json_put_key(json, "written_per_second");
    json_put_real(json, rates->written);
    json_put_key(json, "read_per_second");
    json_put_real(json, rates->read);
}

static void add_row(struct json_writer *json, const struct group_row *row, bool all)
{
    json_add_text(json, "cluster", row->source->status.cluster);
    json_add_str(json, "group", row->group->name);
    json_add_text(json, "verdict", group_verdict(row->findings));
    json_add_text(json, "grade", row->findings->unknown ? "unknown" : grade_name(group_row_grade(row)));
    if (row->group->state != GROUP_STATE_UNKNOWN)
        json_add_text(json, "state", group_state_name(row->group->state));
    json_add_int(json, "members", row->group->members);
    json_add_int(json, "idle_members", row->group->idle_members);
    add_numbers(json, &row->total);
    add_rates(json, row->rates_known, &row->rates);
    json_add_int(json, "rebalances", row->findings->rebalances_total);
    add_conditions(json, row, all);
}

static void add_source(struct json_writer *json, const struct source_view *source)
{
    const struct source_status *status = &source->status;
    json_put_open(json, '{');
    json_add_text(json, "cluster", status->cluster);
    json_add_text(json, "kind", status->kind);
    json_put_key(json, "polled");
    json_put_bool(json, status->polled);
    json_put_key(json, "up");
    json_put_bool(json, status->up);
    json_add_text(json, "reason", status->reason);
    json_put_key(json, "shown");
    json_put_bool(json, source->snapshot != NULL);
    json_add_seconds(json, "last_success", status->last_success);
    json_add_seconds(json, "poll_interval_seconds", status->poll_interval_ms);
    json_put_close(json, '}');
}

void json_add_groups(struct buf *out, const struct view *view, int64_t now, const char *cluster,
                     struct json_range range)
{
    struct json_list list = json_list_begin(out, now, range);
    json_put_key(&list.json, "sources");
    json_put_open(&list.json, '[');
    for (size_t i = 0; i < view->source_count; i++)
        if (json_is_asked_for(&view->sources[i], cluster))
            add_source(&list.json, &view->sources[i]);
    json_put_close(&list.json, ']');
    size_t count;
    struct group_row *rows = group_rows(view, &count);
    json_list_open(&list, "groups");
    for (size_t i = 0; i < count; i++) {
        if (!json_is_asked_for(rows[i].source, cluster) || !json_list_takes_next(&list))
            continue;
        json_put_open(&list.json, '{');
        add_row(&list.json, &rows[i], false);
        json_put_close(&list.json, '}');
    }
    json_list_end(&list);
    free(rows);
}

/* --- a topic of a group -------------------------------------------------------------------------------- */

static void add_column(struct json_writer *json, const char *key, const struct chart_past *past,
                       int64_t (*value)(const struct chart_sample *), bool seconds)
{
    json_put_key(json, key);
    json_put_open(json, '[');
    for (uint32_t i = 0; i < past->count; i++) {
        int64_t at = value(&past->samples[i]);
        if (at == UNKNOWN)
            json_put_null(json);
        else if (seconds)
            json_put_seconds(json, at);
        else
            json_put_int(json, at);
    }
    json_put_close(json, ']');
}

static int64_t time_of(const struct chart_sample *sample)
{
    return sample->time;
}

static int64_t committed_of(const struct chart_sample *sample)
{
    return sample->committed;
}

static int64_t end_of(const struct chart_sample *sample)
{
    return sample->end;
}

static int64_t lag_of(const struct chart_sample *sample)
{
    return sample->lag;
}

static int64_t lag_ms_of(const struct chart_sample *sample)
{
    return sample->lag_ms;
}

/* Columns of the same length, the oldest first. */
static void add_history(struct json_writer *json, const struct chart *chart)
{
    struct chart_past past;
    chart_read(chart, &past);
    if (past.count == 0)
        return;
    json_put_key(json, "history");
    json_put_open(json, '{');
    add_column(json, "t", &past, time_of, true);
    add_column(json, "committed", &past, committed_of, false);
    add_column(json, "end", &past, end_of, false);
    add_column(json, "lag", &past, lag_of, false);
    add_column(json, "lag_seconds", &past, lag_ms_of, true);
    json_put_close(json, '}');
}

static void add_partition(struct json_writer *json, const struct snap_partition *partition,
                          const struct snap_position *position, const struct position_findings *findings)
{
    json_put_open(json, '{');
    json_add_int(json, "partition", partition->number);
    json_add_int(json, "start", partition->start);
    json_add_int(json, "end", partition->end);
    json_add_int(json, "last_stable", partition->last_stable);
    json_add_int(json, "committed", position->committed);
    json_add_int(json, "lag", findings->lag);
    json_add_seconds(json, "lag_seconds", findings->lag_ms);
    json_add_seconds(json, "next_ts", position->next_ts);
    json_add_seconds(json, "commit_ts", position->commit_ts);
    json_put_close(json, '}');
}

static void add_topic(struct json_writer *json, const struct group_row *row, uint32_t s)
{
    const struct snapshot *snapshot = row->source->snapshot;
    const struct snap_subscription *seen = &snapshot->subscriptions[s];
    const struct snap_topic *topic = &snapshot->topics[seen->topic];
    const struct subscription_findings *findings = &row->source->findings->subscriptions[s];
    struct chart_rates rates;
    json_put_open(json, '{');
    json_add_str(json, "topic", topic->name);
    json_add_int(json, "partition_count", topic->partitions);
    json_add_seconds(json, "retention_seconds",
                     topic->config.retention_ms > 0 ? topic->config.retention_ms : UNKNOWN);
    json_add_int(json, "retention_bytes",
                 topic->config.retention_bytes > 0 ? topic->config.retention_bytes : UNKNOWN);
    json_add_text(json, "cleanup_policy", cleanup_policy_name(topic->config.cleanup_policy));
    add_numbers(json, findings);
    add_rates(json, group_row_rates(row, s, &rates), &rates);
    add_history(json, findings->chart);
    json_put_key(json, "partitions");
    json_put_open(json, '[');
    for (uint32_t p = seen->first_position; p < seen->first_position + seen->positions; p++)
        add_partition(json, &snapshot->partitions[snapshot->positions[p].partition], &snapshot->positions[p],
                      &row->source->findings->positions[p]);
    json_put_close(json, ']');
    json_put_close(json, '}');
}

/* --- events -------------------------------------------------------------------------------------------- */

static void add_events(struct json_writer *json, const struct event_list *events)
{
    json_put_key(json, "events");
    json_put_open(json, '[');
    for (uint32_t i = 0; events != NULL && i < events->count; i++) {
        json_put_open(json, '{');
        json_add_event(json, &events->events[i], events->topics[i]);
        json_put_close(json, '}');
    }
    json_put_close(json, ']');
}

/* --- members ------------------------------------------------------------------------------------------- */

/* How many there are is told by `members`: not all need be listed. */
static void add_members(struct json_writer *json, const struct snap_group *group)
{
    struct str rest = group->member_list;
    struct member member;
    if (rest.length == 0 && group->members != 0)
        return;
    json_put_key(json, "member_list");
    json_put_open(json, '[');
    while (member_list_next(&rest, &member)) {
        json_put_open(json, '{');
        json_add_str(json, "client_id", member.client_id);
        json_add_str(json, "host", member.host);
        json_add_int(json, "partitions", member.assigned);
        json_put_close(json, '}');
    }
    json_put_close(json, ']');
}

/* --- a group ------------------------------------------------------------------------------------------- */

static void add_details(struct json_writer *json, const struct group_row *row)
{
    const struct snap_group *group = row->group;
    json_add_seconds(json, "seen", row->source->snapshot->time);
    json_add_int(json, "generation", group->generation);
    json_add_int(json, "static_members", group->static_members);
    json_add_seconds(json, "session_timeout_seconds", group->session_timeout_ms);
    json_add_seconds(json, "rebalance_timeout_seconds", group->rebalance_timeout_ms);
    json_add_seconds(json, "empty_since", group->empty_since);
    json_add_seconds(json, "offsets_expire", row->findings->offsets_expire);
    json_add_seconds(json, "objective_seconds", row->findings->objective_ms);
    json_add_seconds(json, "slo_good_seconds", row->findings->slo_good_ms);
    json_add_seconds(json, "slo_seconds", row->findings->slo_ms);
    json_add_seconds(json, "rebalancing_seconds", row->findings->rebalancing_ms_total);
    add_members(json, group);
    json_put_key(json, "topics");
    json_put_open(json, '[');
    for (uint32_t i = 0; i < group->subscriptions; i++)
        add_topic(json, row, group->first_subscription + i);
    json_put_close(json, ']');
    add_events(json, row->findings->events);
}

bool json_add_group(struct buf *out, const struct view *view, int64_t now, struct str name,
                    const char *cluster)
{
    struct group_row row;
    if (!group_row_find(view, name, cluster, &row))
        return false;
    struct json_writer json = {.out = out};
    json_put_open(&json, '{');
    json_add_seconds(&json, "t", now);
    add_row(&json, &row, true);
    add_details(&json, &row);
    json_put_close(&json, '}');
    buf_add_char(out, '\n');
    return true;
}
