#include "exporter/html.h"

#include "exporter/base/human.h"
#include "exporter/html_parts.h"

#include <inttypes.h>
#include <stdlib.h>

/*
 * The loss ledger: between the producer and the commit there are only so many places where a message can be
 * lost. Each has a cell that says what guards it here, or that nothing does.
 */

enum { ROWS_SHOWN = 2000 };

static const char *const TABLE =
    "<th scope=col>accepted by the log<th scope=col>deleted by age or size<th scope=col>taken by compaction"
    "<th scope=col>never committed<th scope=col>offsets expire<th scope=col>skipped by a "
    "reset</thead><tbody>\n";

void html_begin_ledger(struct buf *out, bool with_group)
{
    buf_add_format(out, "<table class=ledger><thead><tr>%s<th scope=col>topic",
                   with_group ? "<th scope=col>group" : "");
    buf_add_text(out, TABLE);
}

void html_end_ledger(struct buf *out)
{
    buf_add_text(out, "</tbody></table>\n");
}

static void begin_cell(struct buf *out, const char *label, enum grade grade)
{
    buf_add_format(out, "<td class=%s data-label=\"%s\">", grade_name(grade), label);
}

/* What was acknowledged can still be lost with the leader. */
static void add_accepted(struct buf *out, const struct snap_topic *topic)
{
    const struct topic_config *config = &topic->config;
    bool unclean = config->unclean_leader_election == 1;
    begin_cell(out, "accepted by the log", unclean ? GRADE_WARNING : GRADE_OK);
    if (unclean)
        buf_add_text(
            out, "unclean leader election is on: a replica that lags may lead, and what it lacks is lost");
    else if (config->min_insync_replicas != UNKNOWN)
        buf_add_format(out, "min.insync.replicas %" PRId64 "; with acks=all as many have it",
                       config->min_insync_replicas);
    buf_add_text(out, "</td>");
}

/* The conditions that are true of the group on this topic, or of all of it. */
static uint32_t conditions_on(const struct group_row *row, uint32_t subscription)
{
    uint32_t found = 0;
    for (uint32_t i = 0; i < row->findings->wheres; i++) {
        const struct finding *finding = &row->source->findings->wheres[row->findings->first_where + i];
        if (finding->subscription == NO_INDEX || finding->subscription == subscription)
            found |= 1u << finding->condition;
    }
    return found;
}

/* Whether the retention covers the time for which a group may be down. */
static void add_window(struct buf *out, int64_t retention_ms, int64_t shortfall_ms)
{
    if (shortfall_ms == UNKNOWN || retention_ms <= 0)
        return;
    buf_add_text(out, shortfall_ms > 0 ? ", <b>shorter</b> than the recovery window of "
                                       : ", which covers the recovery window");
    if (shortfall_ms > 0)
        human_add_duration(out, retention_ms + shortfall_ms);
}

/* What a cell says is parted by semicolons; `begun` is where it begins. */
static void begin_clause(struct buf *out, size_t begun)
{
    if (out->length > begun)
        buf_add_text(out, "; ");
}

static void add_retention(struct buf *out, const struct topic_config *config, int64_t shortfall_ms,
                          size_t begun)
{
    if (config->retention_ms > 0) {
        begin_clause(out, begun);
        buf_add_text(out, "kept for ");
        human_add_duration(out, config->retention_ms);
        add_window(out, config->retention_ms, shortfall_ms);
    } else if (config->retention_ms != UNKNOWN && config->retention_bytes <= 0) {
        begin_clause(out, begun);
        buf_add_text(out, "kept for ever");
    }
    if (config->retention_bytes > 0) {
        begin_clause(out, begun);
        buf_add_format(out, "%s%" PRId64 " bytes a partition",
                       config->retention_ms > 0 ? "at most " : "kept up to ", config->retention_bytes);
    }
}

static void add_deleted(struct buf *out, const struct group_row *row, uint32_t subscription)
{
    const struct snapshot *snapshot = row->source->snapshot;
    const struct subscription_findings *findings = &row->source->findings->subscriptions[subscription];
    uint32_t topic = snapshot->subscriptions[subscription].topic,
             risks = 1u << CONDITION_DATA_LOST | 1u << CONDITION_RETENTION_RISK;
    int64_t shortfall_ms = row->source->findings->topics[topic].shortfall_ms;
    enum grade grade = shortfall_ms > 0 ? GRADE_WARNING : GRADE_OK;
    if (conditions_on(row, subscription) & risks || findings->lost_total > 0)
        grade = GRADE_CRITICAL;
    begin_cell(out, "deleted by age or size", grade);
    size_t begun = out->length;
    if (findings->lost_total > 0) {
        buf_add_text(out, "<b>");
        human_add_counted(out, findings->lost_total, "message");
        buf_add_text(out, " lost</b>");
    }
    add_retention(out, &snapshot->topics[topic].config, shortfall_ms, begun);
    if (findings->headroom_ms == 0 && findings->lag_sum != 0) {
        begin_clause(out, begun);
        buf_add_text(out, "the next unread one may go at any moment");
    } else if (findings->headroom_ms != UNKNOWN && findings->lag_sum != 0) {
        begin_clause(out, begun);
        buf_add_text(out, "the next unread one stays for ");
        human_add_duration(out, findings->headroom_ms);
    }
    buf_add_text(out, "</td>");
}

static void add_compacted(struct buf *out, const struct snap_topic *topic,
                          const struct subscription_findings *findings)
{
    bool compacts = topic->config.cleanup_policy & CLEANUP_COMPACT;
    bool exposed = compacts && findings->compaction_exposed > 0;
    begin_cell(out, "taken by compaction", exposed ? GRADE_WARNING : GRADE_OK);
    if (exposed) {
        buf_add_text(out, "the cleaner may take ");
        human_add_counted(out, findings->compaction_exposed, "unread message");
        buf_add_text(out, " of which only each key's last one stays");
    } else if (compacts && topic->config.min_compaction_lag_ms > 0) {
        buf_add_text(out, "not before ");
        human_add_duration(out, topic->config.min_compaction_lag_ms);
    } else if (compacts) {
        buf_add_text(out, "at any time: min.compaction.lag.ms is 0");
    } else if (topic->config.cleanup_policy != CLEANUP_UNKNOWN) {
        buf_add_text(out, "not compacted");
    }
    buf_add_text(out, "</td>");
}

static void add_uncommitted(struct buf *out, const struct subscription_findings *findings)
{
    bool some = findings->uncommitted > 0;
    begin_cell(out, "never committed", some ? GRADE_INFO : GRADE_OK);
    if (some) {
        human_add_counted(out, findings->uncommitted, "partition");
        buf_add_text(out, ": auto.offset.reset decides where reading begins");
    } else if (findings->uncommitted == 0) {
        buf_add_text(out, "every partition has a bookmark");
    }
    buf_add_text(out, "</td>");
}

static void add_expiry(struct buf *out, const struct group_row *row)
{
    bool soon = row->findings->conditions & 1u << CONDITION_OFFSETS_EXPIRING;
    int64_t keep = row->source->snapshot->offsets_retention_ms, at = row->findings->offsets_expire;
    begin_cell(out, "offsets expire", soon ? GRADE_WARNING : GRADE_OK);
    if (at != UNKNOWN) {
        int64_t left = at - row->source->snapshot->time;
        buf_add_text(out, "no members: in ");
        human_add_duration(out, left > 0 ? left : 0);
    } else if (keep != UNKNOWN) {
        human_add_duration(out, keep);
        buf_add_text(out, " after the last member has left");
    }
    buf_add_text(out, "</td>");
}

static void add_skipped(struct buf *out, const struct subscription_findings *findings)
{
    begin_cell(out, "skipped by a reset", findings->skipped_total > 0 ? GRADE_WARNING : GRADE_OK);
    if (findings->skipped_total > 0) {
        buf_add_text(out, "<b>");
        human_add_counted(out, findings->skipped_total, "message");
        buf_add_text(out, "</b> skipped");
    } else {
        buf_add_text(out, "none seen");
    }
    if (findings->rewound_total > 0) {
        buf_add_text(out, "; ");
        human_add_counted(out, findings->rewound_total, "message");
        buf_add_text(out, " to be read again");
    }
    buf_add_text(out, "</td>");
}

void html_add_ledger_row(struct buf *out, const struct group_row *row, uint32_t subscription, bool with_group)
{
    const struct snapshot *snapshot = row->source->snapshot;
    const struct snap_topic *topic = &snapshot->topics[snapshot->subscriptions[subscription].topic];
    const struct subscription_findings *findings = &row->source->findings->subscriptions[subscription];
    buf_add_text(out, "<tr>");
    if (with_group) {
        buf_add_text(out, "<td data-label=group>");
        html_add_group_link(out, row);
        buf_add_text(out, "</td>");
    }
    buf_add_text(out, "<td data-label=topic>");
    html_add_name(out, "span", topic->name);
    buf_add_text(out, "</td>");
    add_accepted(out, topic);
    add_deleted(out, row, subscription);
    add_compacted(out, topic, findings);
    add_uncommitted(out, findings);
    add_expiry(out, row);
    add_skipped(out, findings);
    buf_add_text(out, "</tr>\n");
}

void html_add_ledger(struct buf *out, const struct view *view, int64_t now)
{
    size_t count, shown = 0;
    struct group_row *rows = group_rows(view, &count);
    html_begin(out, view, STR_LITERAL("Loss ledger"));
    buf_add_text(
        out,
        "<h1>Loss ledger</h1><p>Where a message can be lost between its producer and the commit that says "
        "it is done, and what guards it there.</p>\n");
    html_add_sources(out, view, now);
    html_begin_ledger(out, true);
    for (size_t i = 0; i < count; i++)
        for (uint32_t s = 0; s < rows[i].group->subscriptions && shown < ROWS_SHOWN; s++, shown++)
            html_add_ledger_row(out, &rows[i], rows[i].group->first_subscription + s, true);
    html_end_ledger(out);
    if (shown == ROWS_SHOWN)
        buf_add_format(out, "<p>The first %d rows.</p>", ROWS_SHOWN);
    html_end(out);
    free(rows);
}
