#include "exporter/html_parts.h"

#include "exporter/base/human.h"
#include "exporter/base/utf8.h"
#include "exporter/reason.h"

#include <inttypes.h>
#include <string.h>

enum { TEXT_LIMIT = 1 << 20, QUICKEST_MS = 1000, SLOWEST_MS = 60000 };

/* --- text ---------------------------------------------------------------------------------------------- */

static void add_escaped(struct buf *out, char c)
{
    switch (c) {
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
    case '\'':
        buf_add_text(out, "&#39;");
        break;
    default:
        buf_add_char(out, c);
    }
}

void html_add_text(struct buf *out, struct str text)
{
    struct buf shown = buf_make(TEXT_LIMIT);
    utf8_add_printable(&shown, text);
    for (size_t i = 0; i < shown.length; i++)
        add_escaped(out, shown.bytes[i]);
    out->failed |= shown.failed;
    buf_free(&shown);
}

void html_add_name(struct buf *out, const char *element, struct str name)
{
    buf_add_format(out, "<%s dir=auto>", element);
    html_add_text(out, name);
    buf_add_format(out, "</%s>", element);
}

/* A name as it is shown, as a part of an address (RFC 3986). */
static void add_address_part(struct buf *out, struct str text)
{
    static const char plain[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~";
    struct buf shown = buf_make(TEXT_LIMIT);
    utf8_add_shown(&shown, text);
    for (size_t i = 0; i < shown.length; i++) {
        if (memchr(plain, shown.bytes[i], sizeof plain - 1) != NULL)
            buf_add_char(out, shown.bytes[i]);
        else
            buf_add_format(out, "%%%02X", (unsigned)(unsigned char)shown.bytes[i]);
    }
    out->failed |= shown.failed;
    buf_free(&shown);
}

void html_add_group_link(struct buf *out, const struct group_row *row)
{
    buf_add_text(out, "<a href=\"/groups/");
    add_address_part(out, row->group->name);
    buf_add_text(out, "?cluster=");
    add_address_part(out, str_of(row->source->status.cluster));
    buf_add_text(out, "\" dir=auto>");
    html_add_text(out, row->group->name);
    buf_add_text(out, "</a>");
}

void html_add_cell(struct buf *out, const char *label, int64_t value, void (*add)(struct buf *, int64_t))
{
    buf_add_format(out, "<td class=n data-label=\"%s\">", label);
    if (value != UNKNOWN)
        add(out, value);
    buf_add_text(out, "</td>");
}

/* --- a page -------------------------------------------------------------------------------------------- */

static int64_t refresh_ms(const struct view *view)
{
    int64_t quickest = SLOWEST_MS;
    for (size_t i = 0; i < view->source_count; i++)
        if (view->sources[i].status.poll_interval_ms < quickest)
            quickest = view->sources[i].status.poll_interval_ms;
    return quickest < QUICKEST_MS ? QUICKEST_MS : quickest;
}

void html_begin(struct buf *out, const struct view *view, struct str title)
{
    int64_t refresh = refresh_ms(view);
    buf_add_text(out, "<!DOCTYPE html>\n<html lang=en><head><meta charset=utf-8><title>");
    html_add_text(out, title);
    buf_add_format(out,
                   " · Tidemark</title><meta name=viewport content=\"width=device-width, initial-scale=1\">"
                   "<link rel=stylesheet href=/assets/screen.css><link rel=icon href=\"data:,\">"
                   "<noscript><meta http-equiv=refresh content=%" PRId64
                   "></noscript><script src=/assets/screen.js defer></script></head>"
                   "<body data-refresh=%" PRId64 "><header><a class=brand href=/>Tidemark</a><nav>"
                   "<a href=/>Groups</a><a href=/ledger>Loss ledger</a><a href=/metrics>Metrics</a></nav>"
                   "<p id=notice role=status hidden></p></header>\n<main id=content>\n",
                   (refresh + 999) / 1000, refresh);
}

void html_end(struct buf *out)
{
    buf_add_text(out, "</main></body></html>\n");
}

static void add_source(struct buf *out, const struct source_view *source, int64_t now)
{
    const struct source_status *status = &source->status;
    bool down = status->polled && !status->up;
    buf_add_format(out, "<li class=%s>", down ? "critical" : "ok");
    html_add_name(out, "b", str_of(status->cluster));
    buf_add_format(out, " %s, ", status->kind);
    if (!status->polled)
        buf_add_text(out, "not polled yet");
    else
        buf_add_text(out, status->up ? "up" : "<b class=v>down</b>");
    if (status->last_success != UNKNOWN) {
        buf_add_text(out, ", seen ");
        human_add_duration(out, now > status->last_success ? now - status->last_success : 0);
        buf_add_text(out, " ago");
    }
    if (status->reason != NULL) {
        buf_add_text(out, ": ");
        html_add_text(out, str_of(status->reason));
    }
    if (down)
        buf_add_text(out, source->snapshot != NULL ? "<br>What is shown of it is as old as that."
                                                   : "<br>Nothing is shown of it.");
    buf_add_text(out, "</li>\n");
}

void html_add_sources(struct buf *out, const struct view *view, int64_t now)
{
    buf_add_text(out, "<ul class=sources>\n");
    for (size_t i = 0; i < view->source_count; i++)
        add_source(out, &view->sources[i], now);
    buf_add_text(out, "</ul>\n");
}

/* --- conditions ---------------------------------------------------------------------------------------- */

static void add_words(struct buf *out, const struct reason *reason, const struct finding *finding,
                      void (*add)(struct buf *, const struct reason *, const struct finding *))
{
    struct buf words = buf_make(TEXT_LIMIT);
    add(&words, reason, finding);
    html_add_text(out, buf_str(&words));
    out->failed |= words.failed;
    buf_free(&words);
}

static void add_inputs(struct buf *out, const struct finding *finding)
{
    struct buf shown = buf_make(TEXT_LIMIT);
    for (int i = 0; i < FINDING_INPUTS; i++) {
        struct input input = finding_input(finding->condition, i);
        if (input.kind == INPUT_NONE || finding->inputs[i] == UNKNOWN)
            continue;
        buf_reset(&shown);
        reason_add_input(&shown, input, finding->inputs[i]);
        buf_add_format(out, "<dt>%s%s</dt><dd>", input.name, input.limit ? " (limit)" : "");
        html_add_text(out, buf_str(&shown));
        buf_add_text(out, "</dd>");
    }
    out->failed |= shown.failed;
    buf_free(&shown);
}

static void add_condition(struct buf *out, const struct reason *reason, const struct finding *finding,
                          bool all)
{
    int64_t lasted = reason->snapshot->time - finding->since;
    buf_add_format(out, "<div class=\"condition %s\"><b class=v>%s</b> for ",
                   grade_name(condition_grade(finding->condition)), condition_name(finding->condition));
    human_add_duration(out, lasted > 0 ? lasted : 0);
    buf_add_text(out, ": ");
    add_words(out, reason, finding, reason_add_sentence);
    if (all) {
        buf_add_text(out, "<p><b>To do:</b> ");
        add_words(out, reason, finding, reason_add_advice);
        buf_add_format(out, "</p><details id=why-%s-%" PRId64 "-%" PRId64 "><summary>Why</summary><p>",
                       condition_name(finding->condition), finding->subscription, finding->position);
        html_add_text(out, str_of(reason_rule(finding->condition)));
        buf_add_text(out, "</p><dl><dt>since</dt><dd>");
        human_add_time(out, finding->since);
        buf_add_text(out, "</dd>");
        add_inputs(out, finding);
        buf_add_text(out, "</dl></details>");
    }
    buf_add_text(out, "</div>\n");
}

void html_add_conditions(struct buf *out, const struct group_row *row, bool all)
{
    enum { PLACES_SHOWN = 100 };
    const struct reason reason = {row->source->snapshot, row->source->findings};
    uint32_t shown = 0, places = row->findings->wheres;
    for (uint32_t i = 0; i < places && i < PLACES_SHOWN; i++) {
        const struct finding *finding = &reason.findings->wheres[row->findings->first_where + i];
        if (all || !(shown & 1u << finding->condition))
            add_condition(out, &reason, finding, all);
        shown |= 1u << finding->condition;
    }
    if (all && places > PLACES_SHOWN)
        buf_add_format(out, "<p>The first %d of %" PRIu32 " places.</p>", PLACES_SHOWN, places);
}
