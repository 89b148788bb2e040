#include "exporter/html.h"

#include "exporter/base/human.h"
#include "exporter/html_parts.h"
#include "exporter/reason.h"

#include <inttypes.h>

/* The page of one group. */

enum { PARTITIONS_OPEN = 16, PARTITIONS_SHOWN = 2000, TEXT_LIMIT = 1 << 20 };

/* --- facts --------------------------------------------------------------------------------------------- */

static void add_fact(struct buf *out, const char *name, int64_t value, void (*add)(struct buf *, int64_t))
{
    if (value == UNKNOWN)
        return;
    buf_add_format(out, "<div><dt>%s</dt><dd>", name);
    add(out, value);
    buf_add_text(out, "</dd></div>");
}

static void add_facts(struct buf *out, const struct group_row *row)
{
    const struct snap_group *group = row->group;
    const struct group_findings *findings = row->findings;
    buf_add_text(out, "<dl class=facts>");
    add_fact(out, "lag", row->total.lag_sum, human_add_count);
    add_fact(out, "time lag", row->total.lag_ms_max, human_add_duration);
    add_fact(out, "objective", findings->objective_ms, human_add_duration);
    add_fact(out, "caught up in", row->total.lag_sum == 0 ? UNKNOWN : row->total.catchup_ms,
             human_add_duration);
    add_fact(out, "retention overtakes in", row->total.overtake_ms, human_add_duration);
    add_fact(out, "messages lost", row->total.lost_total, human_add_count);
    add_fact(out, "members", group->members, human_add_count);
    add_fact(out, "members without work", group->idle_members, human_add_count);
    add_fact(out, "static members", group->static_members, human_add_count);
    add_fact(out, "rebalances", findings->rebalances_total, human_add_count);
    add_fact(out, "time rebalancing (sampled)", findings->rebalancing_ms_total, human_add_duration);
    add_fact(out, "session.timeout.ms", group->session_timeout_ms, human_add_duration);
    add_fact(out, "max.poll.interval.ms", group->rebalance_timeout_ms, human_add_duration);
    if (findings->slo_ms > 0)
        buf_add_format(out, "<div><dt>within the objective</dt><dd>%.2f %%</dd></div>",
                       100.0 * (double)findings->slo_good_ms / (double)findings->slo_ms);
    buf_add_text(out, "</dl>\n");
}

/* --- topics -------------------------------------------------------------------------------------------- */

static void add_partition(struct buf *out, const struct snap_partition *partition,
                          const struct snap_position *position, const struct position_findings *findings)
{
    buf_add_format(out, "<tr><td class=n data-label=partition>%" PRId32 "</td>", partition->number);
    html_add_cell(out, "start", partition->start, human_add_count);
    html_add_cell(out, "committed", position->committed, human_add_count);
    html_add_cell(out, "end", partition->end, human_add_count);
    html_add_cell(out, "lag", findings->lag, human_add_count);
    html_add_cell(out, "time lag", findings->lag_ms, human_add_duration);
    buf_add_text(out, "</tr>\n");
}

static void add_partitions(struct buf *out, const struct group_row *row, const struct snap_subscription *seen)
{
    const struct snapshot *snapshot = row->source->snapshot;
    buf_add_format(out, "<details id=partitions-%" PRIu32 "%s><summary>", seen->topic,
                   seen->positions <= PARTITIONS_OPEN ? " open" : "");
    human_add_counted(out, seen->positions, "partition");
    buf_add_text(out, "</summary>");
    buf_add_text(out, "<table><thead><tr><th scope=col class=n>partition<th scope=col class=n>start"
                      "<th scope=col class=n>committed<th scope=col class=n>end<th scope=col class=n>lag"
                      "<th scope=col class=n>time lag</thead><tbody>\n");
    for (uint32_t i = 0; i < seen->positions && i < PARTITIONS_SHOWN; i++) {
        const struct snap_position *position = &snapshot->positions[seen->first_position + i];
        add_partition(out, &snapshot->partitions[position->partition], position,
                      &row->source->findings->positions[seen->first_position + i]);
    }
    buf_add_text(out, "</tbody></table>");
    if (seen->positions > PARTITIONS_SHOWN)
        buf_add_format(out, "<p>The first %d.</p>", PARTITIONS_SHOWN);
    buf_add_text(out, "</details>\n");
}

static void add_topics(struct buf *out, const struct group_row *row)
{
    const struct snapshot *snapshot = row->source->snapshot;
    for (uint32_t i = 0; i < row->group->subscriptions; i++) {
        uint32_t index = row->group->first_subscription + i;
        buf_add_text(out, "<section><h2>Topic ");
        html_add_name(out, "span", snapshot->topics[snapshot->subscriptions[index].topic].name);
        buf_add_text(out, "</h2>");
        html_add_chart(out, row->source->findings->subscriptions[index].chart);
        add_partitions(out, row, &snapshot->subscriptions[index]);
        buf_add_text(out, "</section>\n");
    }
}

/* --- members ------------------------------------------------------------------------------------------- */

static void add_assigned(struct buf *out, int64_t partitions)
{
    if (partitions == 0)
        buf_add_text(out, "none: idle");
    else
        human_add_count(out, partitions);
}

static void add_member(struct buf *out, const struct member *member)
{
    buf_add_text(out, "<tr><td data-label=\"client id\">");
    html_add_name(out, "span", member->client_id);
    buf_add_text(out, "</td><td data-label=host>");
    html_add_name(out, "span", member->host);
    buf_add_text(out, "</td>");
    html_add_cell(out, "partitions", member->assigned, add_assigned);
    buf_add_text(out, "</tr>\n");
}

static void add_members(struct buf *out, const struct snap_group *group)
{
    struct str rest = group->member_list;
    struct member member;
    int64_t listed = 0;
    if (rest.length == 0)
        return;
    buf_add_text(out, "<section><h2>Members</h2><table class=members><thead><tr><th scope=col>client id"
                      "<th scope=col>host<th scope=col class=n>partitions</thead><tbody>\n");
    for (; member_list_next(&rest, &member); listed++)
        add_member(out, &member);
    buf_add_text(out, "</tbody></table>");
    if (group->members > listed)
        buf_add_format(out, "<p>… and %" PRId64 " more.</p>", group->members - listed);
    buf_add_text(out, "</section>\n");
}

/* --- what happened, and what may ----------------------------------------------------------------------- */

static void add_events(struct buf *out, const struct event_list *events)
{
    struct buf words = buf_make(TEXT_LIMIT);
    buf_add_text(out, "<section><h2>What happened</h2>");
    if (events == NULL)
        buf_add_text(out, "<p>Nothing since the group is known.</p>");
    else
        buf_add_text(out, "<ol class=events reversed>");
    for (uint32_t i = events != NULL ? events->count : 0; i-- > 0;) {
        buf_reset(&words);
        reason_add_event(&words, &events->events[i], events->topics[i]);
        buf_add_text(out, "<li><time>");
        human_add_time(out, events->events[i].time);
        buf_add_text(out, "</time> ");
        html_add_text(out, buf_str(&words));
        buf_add_text(out, "</li>\n");
    }
    buf_add_text(out, events != NULL ? "</ol></section>\n" : "</section>\n");
    out->failed |= words.failed;
    buf_free(&words);
}

static void add_ledger(struct buf *out, const struct group_row *row)
{
    buf_add_text(out, "<section><h2>Where messages can be lost</h2>");
    html_begin_ledger(out, false);
    for (uint32_t i = 0; i < row->group->subscriptions; i++)
        html_add_ledger_row(out, row, row->group->first_subscription + i, false);
    html_end_ledger(out);
    buf_add_text(out, "</section>\n");
}

/* --- the page ------------------------------------------------------------------------------------------ */

static void add_summary(struct buf *out, const struct group_row *row, int64_t now)
{
    const struct snapshot *snapshot = row->source->snapshot;
    buf_add_format(out, "<p class=%s><b class=v>%s</b>",
                   row->findings->unknown ? "unknown" : grade_name(group_row_grade(row)),
                   group_verdict(row->findings));
    if (row->group->state != GROUP_STATE_UNKNOWN)
        buf_add_format(out, ", state %s", group_state_name(row->group->state));
    if (row->group->members != UNKNOWN) {
        buf_add_text(out, ", ");
        human_add_counted(out, row->group->members, "member");
    }
    buf_add_text(out, ", seen ");
    human_add_duration(out, now > snapshot->time ? now - snapshot->time : 0);
    buf_add_text(out, " ago</p>\n");
}

bool html_add_group(struct buf *out, const struct view *view, int64_t now, struct str name,
                    const char *cluster)
{
    struct group_row row;
    if (!group_row_find(view, name, cluster, &row))
        return false;
    html_begin(out, view, name);
    buf_add_text(out, "<h1>");
    html_add_name(out, "span", row.group->name);
    buf_add_text(out, " <small>on ");
    html_add_name(out, "span", str_of(row.source->status.cluster));
    buf_add_text(out, "</small></h1>");
    add_summary(out, &row, now);
    html_add_conditions(out, &row, true);
    add_facts(out, &row);
    add_topics(out, &row);
    add_members(out, row.group);
    add_events(out, row.findings->events);
    add_ledger(out, &row);
    html_end(out);
    return true;
}
