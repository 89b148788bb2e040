#include "exporter/html.h"

#include "exporter/base/human.h"
#include "exporter/base/utf8.h"
#include "exporter/html_parts.h"

#include <stdlib.h>
#include <string.h>

/* The first page: sources, and a table of groups. */

enum { GROUPS_SHOWN = 1000, NAME_LIMIT = 1 << 20 };

/* --- which ones ---------------------------------------------------------------------------------------- */

static bool contains(struct str text, struct str part)
{
    return part.length == 0 || memmem(text.bytes, text.length, part.bytes, part.length) != NULL;
}

static bool passes(const struct group_row *row, struct str filter)
{
    if (filter.length == 0 || contains(str_of(row->source->status.cluster), filter) ||
        contains(str_of(group_verdict(row->findings)), filter))
        return true;
    struct buf shown = buf_make(NAME_LIMIT);
    utf8_add_shown(&shown, row->group->name);
    bool found = contains(buf_str(&shown), filter);
    buf_free(&shown);
    return found;
}

/* --- a row --------------------------------------------------------------------------------------------- */

/* The chart of the topic that the group is furthest behind on. */
static const struct chart *worst_chart(const struct group_row *row)
{
    const struct subscription_findings *worst = NULL;
    for (uint32_t i = 0; i < row->group->subscriptions; i++) {
        const struct subscription_findings *one =
            &row->source->findings->subscriptions[row->group->first_subscription + i];
        if (worst == NULL || one->lag_sum > worst->lag_sum)
            worst = one;
    }
    return worst != NULL ? worst->chart : NULL;
}

static void add_trend(struct buf *out, const struct group_row *row)
{
    buf_add_text(out, "<td class=trend data-label=trend>");
    html_add_sparkline(out, worst_chart(row));
    if (row->rates_known)
        buf_add_format(out, "<small>written %.1f/s, <br>read %.1f/s</small>", row->rates.written,
                       row->rates.read);
    buf_add_text(out, "</td>");
}

/* Until the next unread message may be deleted, or deletion overtakes the reader. */
static int64_t time_to_loss(const struct subscription_findings *total)
{
    if (total->lag_sum == 0)
        return UNKNOWN;
    if (total->overtake_ms == UNKNOWN)
        return total->headroom_ms;
    return total->headroom_ms == UNKNOWN || total->overtake_ms < total->headroom_ms ? total->overtake_ms
                                                                                    : total->headroom_ms;
}

/* Who reads no faster than is written has no time to tell. */
static void add_catchup(struct buf *out, const struct group_row *row)
{
    bool late = row->total.lag_sum != UNKNOWN && row->total.lag_sum > 0;
    if (late && row->total.catchup_ms == UNKNOWN && row->rates_known && row->rates.read <= row->rates.written)
        buf_add_text(out, "<td class=n data-label=\"caught up in\">not in sight</td>");
    else
        html_add_cell(out, "caught up in", late ? row->total.catchup_ms : UNKNOWN, human_add_duration);
}

static void add_time_left(struct buf *out, int64_t ms)
{
    if (ms == 0)
        buf_add_text(out, "any moment");
    else
        human_add_duration(out, ms);
}

static void add_row(struct buf *out, const struct group_row *row)
{
    const char *grade = row->findings->unknown ? "unknown" : grade_name(group_row_grade(row));
    buf_add_format(out, "<tr class=%s><td class=v data-label=verdict>%s</td><td data-label=group>", grade,
                   group_verdict(row->findings));
    html_add_group_link(out, row);
    buf_add_text(out, "<br>");
    html_add_name(out, "small", str_of(row->source->status.cluster));
    buf_add_text(out, "</td><td class=why>");
    html_add_conditions(out, row, false);
    buf_add_text(out, "</td>");
    html_add_cell(out, "lag", row->total.lag_sum, human_add_count);
    html_add_cell(out, "time lag", row->total.lag_ms_max, human_add_duration);
    add_trend(out, row);
    add_catchup(out, row);
    html_add_cell(out, "loss in", time_to_loss(&row->total), add_time_left);
    html_add_cell(out, "members", row->group->members, human_add_count);
    buf_add_text(out, "</tr>\n");
}

/* --- the page ------------------------------------------------------------------------------------------ */

static void add_filter(struct buf *out, struct str filter)
{
    buf_add_text(out, "<form role=search><label for=filter>Show groups with</label> <input id=filter name=q "
                      "type=search autocomplete=off value=\"");
    html_add_text(out, filter);
    buf_add_text(out, "\"> <button>Show</button></form>\n");
}

static void add_counts(struct buf *out, const struct group_row *rows, size_t count)
{
    size_t counts[GRADE_CRITICAL + 1] = {0}, unknown = 0;
    for (size_t i = 0; i < count; i++)
        *(rows[i].findings->unknown ? &unknown : &counts[group_row_grade(&rows[i])]) += 1;
    buf_add_text(out, "<p class=counts>");
    if (unknown > 0)
        buf_add_format(out, "<span class=unknown><b class=v>%zu</b> unknown</span> ", unknown);
    for (int grade = GRADE_CRITICAL; grade >= GRADE_OK; grade--)
        if (counts[grade] > 0)
            buf_add_format(out, "<span class=%s><b class=v>%zu</b> %s</span> ", grade_name((enum grade)grade),
                           counts[grade], grade_name((enum grade)grade));
    buf_add_text(out, "</p>\n");
}

static const char TABLE[] = "<table class=groups><thead><tr><th scope=col>verdict<th scope=col>group"
                            "<th scope=col>why<th scope=col class=n>lag<th scope=col class=n>time lag"
                            "<th scope=col>trend<th scope=col class=n>caught up in"
                            "<th scope=col class=n>loss in<th scope=col class=n>members</thead><tbody>\n";

static bool any_is_shown(const struct view *view)
{
    for (size_t i = 0; i < view->source_count; i++)
        if (view->sources[i].snapshot != NULL)
            return true;
    return false;
}

/* Where there is less to see than somebody may expect. */
static void add_remark(struct buf *out, const struct view *view, size_t count, size_t passed)
{
    if (count == 0 && any_is_shown(view))
        buf_add_text(out,
                     "<p>No group is known yet. A group is there as soon as it has committed once.</p>\n");
    else if (count == 0)
        buf_add_text(out,
                     "<p>Nothing is known of any group: no source has answered yet, or not for long.</p>\n");
    else if (passed == 0)
        buf_add_text(out, "<p>No group like that.</p>\n");
    else if (passed > GROUPS_SHOWN)
        buf_add_format(out, "<p>The worst %d of %zu groups.</p>\n", GROUPS_SHOWN, passed);
}

void html_add_groups(struct buf *out, const struct view *view, int64_t now, struct str filter)
{
    size_t count, passed = 0;
    struct group_row *rows = group_rows(view, &count);
    html_begin(out, view, STR_LITERAL("Groups"));
    html_add_sources(out, view, now);
    if (count > 0) {
        add_counts(out, rows, count);
        add_filter(out, filter);
        buf_add_text(out, TABLE);
        for (size_t i = 0; i < count; i++)
            if (passes(&rows[i], filter) && ++passed <= GROUPS_SHOWN)
                add_row(out, &rows[i]);
        buf_add_text(out, "</tbody></table>\n");
    }
    add_remark(out, view, count, passed);
    html_end(out);
    free(rows);
}
