#include "exporter/html.h"

#include "exporter/base/human.h"
#include "exporter/base/utf8.h"
#include "exporter/group_row.h"
#include "exporter/reason.h"

#include <inttypes.h>
#include <stdlib.h>

enum { NAME_LIMIT = 1 << 20, GROUPS_SHOWN = 1000, SENTENCE_LIMIT = 1 << 20 };

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

/* --- one row a group ----------------------------------------------------------------------------------- */

/* A sentence a condition, at the first place where it is true. */
static void add_conditions(struct buf *out, const struct group_row *row)
{
    const struct reason reason = {row->source->snapshot, row->source->findings};
    struct buf sentence = buf_make(SENTENCE_LIMIT);
    uint32_t shown = 0;
    for (uint32_t i = 0; i < row->findings->wheres; i++) {
        const struct finding *finding = &reason.findings->wheres[row->findings->first_where + i];
        if (shown & 1u << finding->condition)
            continue;
        shown |= 1u << finding->condition;
        buf_reset(&sentence);
        reason_add_sentence(&sentence, &reason, finding);
        buf_add_format(out, "<div><b>%s</b> for ", condition_name(finding->condition));
        int64_t lasted = reason.snapshot->time - finding->since;
        human_add_duration(out, lasted > 0 ? lasted : 0);
        buf_add_text(out, ": ");
        add_escaped(out, buf_str(&sentence));
        buf_add_text(out, "</div>");
    }
    out->failed |= sentence.failed;
    buf_free(&sentence);
}

static void add_number_cell(struct buf *out, int64_t value, void (*add)(struct buf *, int64_t))
{
    buf_add_text(out, "<td class=n>");
    if (value != UNKNOWN)
        add(out, value);
    buf_add_text(out, "</td>");
}

static void add_row(struct buf *out, const struct group_row *row)
{
    const char *grade = grade_name(group_row_grade(row));
    buf_add_format(out, "<tr class=%s><td class=v>%s</td><td>", grade, group_verdict(row->findings));
    add_escaped(out, row->group->name);
    buf_add_text(out, "</td><td>");
    add_escaped(out, str_of(row->source->status.cluster));
    buf_add_text(out, "</td>");
    add_number_cell(out, row->total.lag_sum, buf_add_int);
    add_number_cell(out, row->total.lag_ms_max, human_add_duration);
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
        human_add_duration(out, now > status->last_success ? now - status->last_success : 0);
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
    struct group_row *rows = group_rows(view, &count);
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
