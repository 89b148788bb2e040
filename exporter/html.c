#include "exporter/html.h"

#include "exporter/base/mem.h"
#include "exporter/base/number.h"
#include "exporter/base/utf8.h"

#include <inttypes.h>
#include <stdlib.h>

enum { NAME_LIMIT = 1 << 20, GROUPS_SHOWN = 1000 };

static void add_escaped(struct buf *out, struct str text)
{
    struct buf shown = buf_make(NAME_LIMIT);
    utf8_add_shown(&shown, text);
    for (size_t i = 0; i < shown.length; i++) {
        switch (shown.bytes[i]) {
        case '&':
            buf_add_text(out, "&amp;");
            break;
        case '<':
            buf_add_text(out, "&lt;");
            break;
        case '>':
            buf_add_text(out, "&gt;");
            break;
        case '"':
            buf_add_text(out, "&quot;");
            break;
        default:
            buf_add_char(out, shown.bytes[i]);
        }
    }
    out->failed |= shown.failed;
    buf_free(&shown);
}

/* "1d 4h", "3h 20m", "5m 12s", "12.3s": as exact as a person needs it. */
static void add_duration(struct buf *out, int64_t ms)
{
    int64_t s = ms / 1000;
    if (ms < 60 * 1000)
        buf_add_format(out, "%" PRId64 ".%" PRId64 "s", s, ms % 1000 / 100);
    else if (s < 3600)
        buf_add_format(out, "%" PRId64 "m %" PRId64 "s", s / 60, s % 60);
    else if (s < 24 * 3600)
        buf_add_format(out, "%" PRId64 "h %" PRId64 "m", s / 3600, s % 3600 / 60);
    else
        buf_add_format(out, "%" PRId64 "d %" PRId64 "h", s / (24 * 3600), s % (24 * 3600) / 3600);
}

/* --- one row a group ----------------------------------------------------------------------------------- */

struct row {
    const struct source_view *source;
    const struct snap_group *group;
    const struct group_findings *findings;
    uint32_t index;      /* of the group */
    int64_t lag, lag_ms; /* over all topics; UNKNOWN if nothing is known */
};

static int64_t larger(int64_t a, int64_t b)
{
    return a > b ? a : b; /* UNKNOWN is smaller than anything */
}

static struct row make_row(const struct source_view *source, uint32_t index)
{
    const struct snap_group *group = &source->snapshot->groups[index];
    struct row row = {
        .source = source,
        .group = group,
        .findings = &source->findings->groups[index],
        .index = index,
        .lag = UNKNOWN,
        .lag_ms = UNKNOWN,
    };
    for (uint32_t i = 0; i < group->subscriptions; i++) {
        const struct subscription_findings *on_topic =
            &source->findings->subscriptions[group->first_subscription + i];
        if (on_topic->lag_sum != UNKNOWN)
            row.lag = number_add(larger(row.lag, 0), on_topic->lag_sum);
        row.lag_ms = larger(row.lag_ms, on_topic->lag_ms_max);
    }
    return row;
}

static int worst_first(const void *a, const void *b)
{
    const struct row *x = a, *y = b;
    enum condition gravest_x = group_gravest(x->findings), gravest_y = group_gravest(y->findings);
    if (gravest_x != gravest_y)
        return gravest_x < gravest_y ? -1 : 1;
    if (x->lag_ms != y->lag_ms)
        return x->lag_ms > y->lag_ms ? -1 : 1;
    if (x->lag != y->lag)
        return x->lag > y->lag ? -1 : 1;
    return str_compare(x->group->name, y->group->name);
}

/* All groups of all sources; the caller frees the array. */
static struct row *collect_rows(const struct view *view, size_t *count)
{
    *count = 0;
    for (size_t s = 0; s < view->source_count; s++)
        if (view->sources[s].snapshot != NULL)
            *count += view->sources[s].snapshot->group_count;
    struct row *rows = MEM_ARRAY(*count, struct row);
    size_t filled = 0;
    for (size_t s = 0; s < view->source_count; s++)
        for (uint32_t g = 0; view->sources[s].snapshot != NULL && g < view->sources[s].snapshot->group_count;
             g++)
            rows[filled++] = make_row(&view->sources[s], g);
    qsort(rows, *count, sizeof *rows, worst_first);
    return rows;
}

/* Every condition that is true, with the first place where it is and for how long. */
static void add_conditions(struct buf *out, const struct row *row)
{
    const struct snapshot *snapshot = row->source->snapshot;
    uint32_t shown = 0;
    for (uint32_t i = 0; i < row->findings->wheres; i++) {
        const struct finding *finding = &row->source->findings->wheres[row->findings->first_where + i];
        if (shown & 1u << finding->condition)
            continue;
        shown |= 1u << finding->condition;
        buf_add_format(out, "<div><b>%s</b>", condition_name(finding->condition));
        if (finding->subscription != NO_INDEX) {
            buf_add_text(out, " on ");
            add_escaped(out, snapshot->topics[snapshot->subscriptions[finding->subscription].topic].name);
        }
        if (finding->position != NO_INDEX)
            buf_add_format(out, "/%" PRId32,
                           snapshot->partitions[snapshot->positions[finding->position].partition].number);
        buf_add_text(out, " for ");
        add_duration(out, snapshot->time > finding->since ? snapshot->time - finding->since : 0);
        buf_add_text(out, "</div>");
    }
}

static void add_number_cell(struct buf *out, int64_t value, void (*add)(struct buf *, int64_t))
{
    buf_add_text(out, "<td class=n>");
    if (value != UNKNOWN)
        add(out, value);
    buf_add_text(out, "</td>");
}

static void add_row(struct buf *out, const struct row *row)
{
    enum condition gravest = group_gravest(row->findings);
    const char *grade = grade_name(gravest == CONDITIONS ? GRADE_OK : condition_grade(gravest));
    buf_add_format(out, "<tr class=%s><td class=v>%s</td><td>", grade, group_verdict(row->findings));
    add_escaped(out, row->group->name);
    buf_add_text(out, "</td><td>");
    add_escaped(out, str_of(row->source->status.cluster));
    buf_add_text(out, "</td>");
    add_number_cell(out, row->lag, buf_add_int);
    add_number_cell(out, row->lag_ms, add_duration);
    add_number_cell(out, row->group->members, buf_add_int);
    buf_add_format(out, "<td>%s</td>",
                   row->group->state == GROUP_STATE_UNKNOWN ? "" : group_state_name(row->group->state));
    add_number_cell(out, row->findings->rebalances_total, buf_add_int);
    buf_add_text(out, "<td>");
    add_conditions(out, row);
    buf_add_text(out, "</td></tr>\n");
}

/* --- the page ------------------------------------------------------------------------------------------ */

static const char HEAD[] =
    "<!DOCTYPE html>\n<html lang=en><head><meta charset=utf-8><title>Tidemark</title>"
    "<meta name=viewport content='width=device-width'><meta http-equiv=refresh content=5>"
    "<style>"
    ":root{color-scheme:light dark}"
    "body{font:15px/1.4 system-ui,sans-serif;margin:2em auto;max-width:75em;padding:0 1em}"
    "table{border-collapse:collapse;width:100%}"
    "th,td{text-align:left;padding:.35em .7em;border-bottom:1px solid #8884;vertical-align:top;"
    "overflow-wrap:anywhere}"
    "th{font-weight:600;overflow-wrap:normal}.n{text-align:right;font-variant-numeric:tabular-nums}"
    ".v{font-weight:600}.critical .v{color:#d33}.warning .v{color:#b70}.info .v{color:#48c}.ok .v{color:#395}"
    "</style></head><body><h1>Tidemark</h1>\n";

static void add_source(struct buf *out, const struct source_view *source, int64_t now)
{
    const struct source_status *status = &source->status;
    buf_add_text(out, "<p><b>");
    add_escaped(out, str_of(status->cluster));
    buf_add_format(out, "</b> (%s): ", status->kind);
    if (!status->polled)
        buf_add_text(out, "not polled yet");
    else
        buf_add_text(out, status->up ? "up" : "<b>down</b>");
    if (status->last_success != UNKNOWN) {
        buf_add_text(out, ", seen ");
        add_duration(out, now > status->last_success ? now - status->last_success : 0);
        buf_add_text(out, " ago");
    }
    buf_add_text(out, "</p>\n");
}

void html_render(const struct view *view, int64_t now, struct buf *out)
{
    buf_add_text(out, HEAD);
    for (size_t i = 0; i < view->source_count; i++)
        add_source(out, &view->sources[i], now);
    size_t count;
    struct row *rows = collect_rows(view, &count);
    buf_add_text(out, "<table><thead><tr><th>verdict<th>group<th>cluster<th class=n>lag<th class=n>time lag"
                      "<th class=n>members<th>state<th class=n>rebalances<th>what, where, for how long"
                      "</thead><tbody>\n");
    for (size_t i = 0; i < count && i < GROUPS_SHOWN; i++)
        add_row(out, &rows[i]);
    buf_add_text(out, "</tbody></table>\n");
    if (count > GROUPS_SHOWN)
        buf_add_format(out, "<p>The worst %d of %zu groups.</p>\n", GROUPS_SHOWN, count);
    buf_add_text(out, "<p><a href=/metrics>metrics</a></p></body></html>\n");
    free(rows);
}
