#include "exporter/status.h"

#include "exporter/base/human.h"
#include "exporter/status_answer.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char help[] =
    "tidemark status: the consumer groups that a running daemon watches, the worst first\n\n"
    "  --url URL        where it serves (default http://127.0.0.1:9308)\n"
    "  --cacert FILE    certificates to verify https with\n"
    "  --cluster NAME   only the groups of this cluster\n"
    "  --json           the daemon's answer as it is\n\n"
    "Exit code: 0 all is well, 1 a warning, 2 something critical, 3 not known.\n\n"
    "Example: tidemark status --url http://monitor-1:9308\n";

enum { LINE_LIMIT = 256 * 1024 * 1024, GAP = 2, SENTENCE_INDENT = 4 };

/* --- columns ------------------------------------------------------------------------------------------- */

static void add_verdict(struct buf *cell, const json_t *group)
{
    buf_add_str(cell, status_text(group, "verdict"));
}

static void add_group(struct buf *cell, const json_t *group)
{
    buf_add_str(cell, status_text(group, "group"));
}

static void add_cluster(struct buf *cell, const json_t *group)
{
    buf_add_str(cell, status_text(group, "cluster"));
}

static void add_lag(struct buf *cell, const json_t *group)
{
    status_add_count(cell, group, "lag", "?");
}

static void add_time_lag(struct buf *cell, const json_t *group)
{
    status_add_duration(cell, group, "lag_seconds", "?");
}

static void add_members(struct buf *cell, const json_t *group)
{
    status_add_count(cell, group, "members", "?");
}

static void add_state(struct buf *cell, const json_t *group)
{
    buf_add_str(cell, status_text(group, "state"));
}

/* Group and cluster come from outside and may be of any length: they are cut where the width demands it. */
static const struct column {
    const char *title;
    void (*add)(struct buf *cell, const json_t *group);
    bool right, flexible;
} columns[] = {
    {"VERDICT", add_verdict, false, false},  {"GROUP", add_group, false, true},
    {"CLUSTER", add_cluster, false, true},   {"LAG", add_lag, true, false},
    {"TIME LAG", add_time_lag, true, false}, {"MEMBERS", add_members, true, false},
    {"STATE", add_state, false, false},
};

enum { COLUMNS = sizeof columns / sizeof *columns };

static bool is_wanted(const struct status_flags *flags, const json_t *object)
{
    return flags->cluster == NULL || str_equal(status_text(object, "cluster"), str_of(flags->cluster));
}

/* Where lines may be of any length, a cell that is longer than WIDEST sticks out, and doesn't pad all others.
 */
enum { WIDEST = 60 };

static void measure(const json_t *groups, const struct status_flags *flags, const struct terminal *terminal,
                    size_t *widths)
{
    size_t most = terminal->width == SIZE_MAX ? WIDEST : SIZE_MAX;
    const json_t *group;
    size_t i;
    struct buf cell = buf_make(LINE_LIMIT);
    for (int c = 0; c < COLUMNS; c++)
        widths[c] = strlen(columns[c].title);
    json_array_foreach(groups, i, group)
    {
        for (int c = 0; c < COLUMNS && is_wanted(flags, group); c++) {
            buf_reset(&cell);
            columns[c].add(&cell, group);
            size_t needed = terminal_columns(buf_str(&cell));
            if (needed > widths[c])
                widths[c] = needed < most ? needed : most;
        }
    }
    buf_free(&cell);
}

/* Makes the wider of the flexible columns narrower until the table fits, or they have become too narrow. */
static void fit(const struct terminal *terminal, size_t *widths)
{
    static const size_t narrowest = 8;
    for (;;) {
        size_t total = 0;
        int widest = -1;
        for (int c = 0; c < COLUMNS; c++) {
            total += widths[c] + (c > 0 ? GAP : 0);
            if (columns[c].flexible && (widest < 0 || widths[c] > widths[widest]))
                widest = c;
        }
        if (total <= terminal->width || widths[widest] <= narrowest)
            return;
        size_t excess = total - terminal->width, spare = widths[widest] - narrowest;
        /* One at a time once they are equal: slow, but there are few columns. */
        widths[widest] -= excess < spare ? (excess + 1) / 2 : (spare + 1) / 2;
    }
}

static void end_line(struct buf *out)
{
    while (out->length > 0 && out->bytes[out->length - 1] == ' ')
        out->length--;
    buf_add_char(out, '\n');
}

static void add_titles(struct buf *out, const struct terminal *terminal, const size_t *widths)
{
    terminal_begin(out, terminal, COLOUR_BOLD);
    for (int c = 0; c < COLUMNS; c++) {
        buf_add_text(out, c > 0 ? "  " : "");
        terminal_add_cell(out, str_of(columns[c].title), widths[c], columns[c].right);
    }
    terminal_end(out, terminal);
    end_line(out);
}

static void add_row(struct buf *out, const struct terminal *terminal, const size_t *widths,
                    const json_t *group)
{
    struct buf cell = buf_make(LINE_LIMIT);
    for (int c = 0; c < COLUMNS; c++) {
        buf_reset(&cell);
        columns[c].add(&cell, group);
        buf_add_text(out, c > 0 ? "  " : "");
        if (c == 0)
            terminal_begin(out, terminal, status_colour(group));
        size_t needed = terminal->width == SIZE_MAX ? terminal_columns(buf_str(&cell)) : 0;
        terminal_add_cell(out, buf_str(&cell), needed > widths[c] ? needed : widths[c], columns[c].right);
        if (c == 0)
            terminal_end(out, terminal);
    }
    end_line(out);
    out->failed |= cell.failed;
    buf_free(&cell);
}

/* --- the whole ----------------------------------------------------------------------------------------- */

/* What is said of a source that isn't well; nothing of one that is. */
static int add_source(struct buf *out, const struct terminal *terminal, const json_t *source, double now)
{
    double seen;
    bool polled = json_is_true(json_object_get(source, "polled"));
    if (polled && json_is_true(json_object_get(source, "up")))
        return STATUS_OK;
    terminal_begin(out, terminal, COLOUR_RED);
    terminal_add(out, status_text(source, "cluster"));
    buf_add_text(out, polled ? " can't be reached" : " has not been looked at yet");
    terminal_end(out, terminal);
    if (status_number(source, "last_success", &seen)) {
        buf_add_text(out, "; last seen ");
        human_add_duration(out, (int64_t)((now > seen ? now - seen : 0) * 1000));
        buf_add_text(out, " ago");
    }
    buf_add_text(out, "\n");
    struct str reason = status_text(source, "reason");
    if (reason.length > 0)
        terminal_add_wrapped(out, terminal, SENTENCE_INDENT, reason);
    return STATUS_UNKNOWN;
}

static void add_groups(struct buf *out, const struct terminal *terminal, const json_t *groups,
                       const struct status_flags *flags, size_t *counts)
{
    size_t widths[COLUMNS], i, k;
    const json_t *group, *condition;
    measure(groups, flags, terminal, widths);
    fit(terminal, widths);
    add_titles(out, terminal, widths);
    json_array_foreach(groups, i, group)
    {
        if (!is_wanted(flags, group))
            continue;
        counts[status_grade(group)]++;
        add_row(out, terminal, widths, group);
        json_array_foreach(json_object_get(group, "conditions"), k, condition)
        {
            terminal_add_wrapped(out, terminal, SENTENCE_INDENT, status_text(condition, "reason"));
        }
    }
}

static void add_summary(struct buf *out, const size_t *counts)
{
    static const struct {
        int grade;
        const char *name;
    } shown[] = {
        {STATUS_CRITICAL, "critical"}, {STATUS_WARNING, "with a warning"}, {STATUS_UNKNOWN, "unknown"}};
    size_t all =
        counts[STATUS_OK] + counts[STATUS_WARNING] + counts[STATUS_CRITICAL] + counts[STATUS_UNKNOWN];
    buf_add_text(out, "\n");
    human_add_counted(out, (int64_t)all, "group");
    for (size_t i = 0; i < sizeof shown / sizeof *shown; i++)
        if (counts[shown[i].grade] > 0)
            buf_add_format(out, ", %zu %s", counts[shown[i].grade], shown[i].name);
    buf_add_text(out, "\n");
}

/* The table, and how it is all in all: what is critical weighs more than what isn't known. */
static int add_table(struct buf *out, const struct terminal *terminal, const json_t *answer,
                     const struct status_flags *flags)
{
    size_t counts[STATUS_UNKNOWN + 1] = {0}, i;
    const json_t *source;
    double now = json_number_value(json_object_get(answer, "t"));
    int worst = STATUS_OK;
    json_array_foreach(json_object_get(answer, "sources"), i, source)
    {
        if (is_wanted(flags, source) && add_source(out, terminal, source, now) != STATUS_OK)
            worst = STATUS_UNKNOWN;
    }
    add_groups(out, terminal, json_object_get(answer, "groups"), flags, counts);
    add_summary(out, counts);
    if (counts[STATUS_CRITICAL] > 0)
        return STATUS_CRITICAL;
    if (worst == STATUS_UNKNOWN || counts[STATUS_UNKNOWN] > 0)
        return STATUS_UNKNOWN;
    return counts[STATUS_WARNING] > 0 ? STATUS_WARNING : STATUS_OK;
}

int status_command(int argc, char **argv)
{
    struct status_flags flags;
    struct error error = {0};
    if (!status_parse_flags(argc, argv, false, &flags, &error))
        return status_fail("status", &error);
    if (flags.help)
        return fputs(help, stdout) < 0 ? STATUS_UNKNOWN : STATUS_OK;
    struct buf text, out = buf_make(LINE_LIMIT);
    json_t *answer = status_ask(&flags, "/api/v1/groups", "groups", &text, &error);
    int code = STATUS_UNKNOWN;
    if (answer != NULL) {
        struct terminal terminal = terminal_of(stdout);
        code = add_table(&out, &terminal, answer, &flags);
        if (!status_print(flags.json ? &text : &out))
            error_set(&error, ERROR_IO, "standard output can't be written to");
    }
    if (error.code != ERROR_NONE)
        code = status_fail("status", &error);
    json_decref(answer);
    buf_free(&text);
    buf_free(&out);
    return code;
}
