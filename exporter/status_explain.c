#include "exporter/base/human.h"
#include "exporter/base/mem.h"
#include "exporter/status.h"
#include "exporter/status_answer.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char help[] =
    "tidemark explain GROUP: why a group is judged so: the rules, their numbers, the offsets, what to do\n\n"
    "  --url URL        where the daemon serves (default http://127.0.0.1:9308)\n"
    "  --cacert FILE    certificates to verify https with\n"
    "  --cluster NAME   the group of this cluster, where several have one of the name\n"
    "  --json           the daemon's answer as it is\n\n"
    "A name is written as `tidemark status` shows it. Exit code: as of tidemark status, for this group.\n\n"
    "Example: tidemark explain billing\n";

enum { LIMIT = 64 * 1024 * 1024, MARGIN = 10, PARTITIONS_SHOWN = 20, SAMPLES_SHOWN = 8, EVENTS_SHOWN = 30 };

/* --- lines --------------------------------------------------------------------------------------------- */

static void add_title(struct buf *out, const struct terminal *terminal, const char *text)
{
    buf_add_char(out, '\n');
    terminal_begin(out, terminal, COLOUR_BOLD);
    buf_add_text(out, text);
    terminal_end(out, terminal);
    buf_add_char(out, '\n');
}

/* "  What    the text, wrapped under itself". */
static void add_labelled(struct buf *out, const struct terminal *terminal, const char *label, struct str text)
{
    struct buf wrapped = buf_make(LIMIT);
    terminal_add_wrapped(&wrapped, terminal, MARGIN, text);
    buf_add_format(out, "  %-*s", MARGIN - 2, label);
    if (wrapped.length > MARGIN)
        buf_add(out, wrapped.bytes + MARGIN, wrapped.length - MARGIN);
    else
        buf_add_char(out, '\n');
    out->failed |= wrapped.failed;
    buf_free(&wrapped);
}

/* --- conditions ---------------------------------------------------------------------------------------- */

static void add_inputs(struct buf *out, const json_t *condition)
{
    const json_t *input;
    size_t i;
    json_array_foreach(json_object_get(condition, "inputs"), i, input)
    {
        buf_add_format(out, "  %-*s", MARGIN - 2, "");
        terminal_add_cell(out, status_text(input, "name"), 28, false);
        terminal_add(out, status_text(input, "text"));
        buf_add_text(out, json_is_true(json_object_get(input, "limit")) ? "  (limit)\n" : "\n");
    }
}

static void add_condition(struct buf *out, const struct terminal *terminal, const json_t *condition,
                          double now)
{
    double since;
    buf_add_char(out, '\n');
    terminal_begin(out, terminal, status_colour(condition));
    terminal_add(out, status_text(condition, "condition"));
    terminal_end(out, terminal);
    if (status_text(condition, "topic").length > 0) {
        buf_add_text(out, " on ");
        terminal_add(out, status_text(condition, "topic"));
    }
    if (json_object_get(condition, "partition") != NULL) {
        buf_add_char(out, '/');
        status_add_count(out, condition, "partition", "");
    }
    if (status_number(condition, "since", &since)) {
        buf_add_text(out, " since ");
        status_add_time(out, condition, "since", "");
        buf_add_text(out, ", for ");
        human_add_duration(out, (int64_t)((now > since ? now - since : 0) * 1000));
    }
    buf_add_char(out, '\n');
    add_labelled(out, terminal, "What", status_text(condition, "reason"));
    add_labelled(out, terminal, "Rule", status_text(condition, "rule"));
    add_inputs(out, condition);
    add_labelled(out, terminal, "Do", status_text(condition, "advice"));
}

/* --- topics -------------------------------------------------------------------------------------------- */

static void add_fact(struct buf *out, const char *name, const json_t *object, const char *key,
                     void (*add)(struct buf *, const json_t *, const char *, const char *))
{
    if (json_object_get(object, key) == NULL)
        return;
    buf_add_format(out, ", %s ", name);
    add(out, object, key, "");
}

/* Offsets at times: what there is of the past, evenly picked, the last one always. */
static void add_past(struct buf *out, const json_t *past)
{
    static const struct {
        const char *title, *key;
    } shown[] = {{"committed", "committed"}, {"end", "end"}, {"lag", "lag"}};
    const json_t *times = json_object_get(past, "t");
    size_t count = json_array_size(times), step = (count + SAMPLES_SHOWN - 1) / SAMPLES_SHOWN;
    if (count < 2)
        return;
    buf_add_format(out, "    %-25s%15s%15s%15s\n", "then", shown[0].title, shown[1].title, shown[2].title);
    for (size_t i = (count - 1) % step; i < count; i += step) {
        struct buf cell = buf_make(LIMIT);
        human_add_time(&cell, (int64_t)(json_number_value(json_array_get(times, i)) * 1000));
        buf_add_text(out, "    ");
        terminal_add_cell(out, buf_str(&cell), 25, false);
        for (size_t k = 0; k < sizeof shown / sizeof *shown; k++) {
            buf_reset(&cell);
            human_add_count(&cell,
                            json_integer_value(json_array_get(json_object_get(past, shown[k].key), i)));
            terminal_add_cell(out, buf_str(&cell), 15, true);
        }
        buf_add_char(out, '\n');
        buf_free(&cell);
    }
}

static int most_lag_first(const void *a, const void *b)
{
    const json_t *x = *(json_t *const *)a, *y = *(json_t *const *)b;
    json_int_t lag_x = json_integer_value(json_object_get(x, "lag"));
    json_int_t lag_y = json_integer_value(json_object_get(y, "lag"));
    return (lag_x < lag_y) - (lag_x > lag_y);
}

static void add_partition(struct buf *out, const json_t *partition)
{
    static const char *const keys[] = {"partition", "start", "committed", "end", "lag"};
    struct buf cell = buf_make(LIMIT);
    buf_add_text(out, "  ");
    for (size_t k = 0; k < sizeof keys / sizeof *keys; k++) {
        buf_reset(&cell);
        status_add_count(&cell, partition, keys[k], "?");
        buf_add_text(out, "  ");
        terminal_add_cell(out, buf_str(&cell), k == 0 ? 9 : 14, true);
    }
    buf_reset(&cell);
    status_add_duration(&cell, partition, "lag_seconds", "?");
    buf_add_text(out, "  ");
    terminal_add_cell(out, buf_str(&cell), 9, true);
    buf_add_char(out, '\n');
    out->failed |= cell.failed;
    buf_free(&cell);
}

static void add_partitions(struct buf *out, const json_t *partitions)
{
    size_t count = json_array_size(partitions), i;
    json_t *partition, **sorted = calloc(count + 1, sizeof *sorted);
    if (sorted == NULL) {
        out->failed = true;
        return;
    }
    json_array_foreach(partitions, i, partition)
    {
        sorted[i] = partition;
    }
    qsort(sorted, count, sizeof *sorted, most_lag_first);
    buf_add_format(out, "    %9s  %14s  %14s  %14s  %14s  %9s\n", "partition", "start", "committed", "end",
                   "lag", "time lag");
    for (i = 0; i < count && i < PARTITIONS_SHOWN; i++)
        add_partition(out, sorted[i]);
    if (count > PARTITIONS_SHOWN)
        buf_add_format(out, "    … and %zu more with less lag\n", count - PARTITIONS_SHOWN);
    free(sorted);
}

static void add_topic(struct buf *out, const struct terminal *terminal, const json_t *topic)
{
    buf_add_char(out, '\n');
    terminal_begin(out, terminal, COLOUR_BOLD);
    terminal_add(out, status_text(topic, "topic"));
    terminal_end(out, terminal);
    buf_add_text(out, ": lag ");
    status_add_count(out, topic, "lag", "unknown");
    add_fact(out, "time lag", topic, "lag_seconds", status_add_duration);
    add_fact(out, "caught up in", topic, "catchup_seconds", status_add_duration);
    add_fact(out, "retention", topic, "retention_seconds", status_add_duration);
    add_fact(out, "first may be deleted in", topic, "retention_headroom_seconds", status_add_duration);
    buf_add_char(out, '\n');
    add_past(out, json_object_get(topic, "history"));
    add_partitions(out, json_object_get(topic, "partitions"));
}

/* --- events -------------------------------------------------------------------------------------------- */

static void add_events(struct buf *out, const struct terminal *terminal, const json_t *events)
{
    size_t count = json_array_size(events);
    if (count == 0)
        return;
    add_title(out, terminal, "What happened, the latest first");
    for (size_t i = count; i > 0 && count - i < EVENTS_SHOWN; i--) {
        const json_t *event = json_array_get(events, i - 1);
        struct buf text = buf_make(LIMIT);
        status_add_time(&text, event, "time", "");
        buf_add_text(&text, "  ");
        buf_add_str(&text, status_text(event, "text"));
        terminal_add_wrapped(out, terminal, 2, buf_str(&text));
        out->failed |= text.failed;
        buf_free(&text);
    }
    if (count > EVENTS_SHOWN)
        buf_add_format(out, "  … and %zu before them: --json has all\n", count - EVENTS_SHOWN);
}

/* --- the group ----------------------------------------------------------------------------------------- */

static void add_head(struct buf *out, const struct terminal *terminal, const json_t *group)
{
    terminal_begin(out, terminal, COLOUR_BOLD);
    terminal_add(out, status_text(group, "group"));
    terminal_end(out, terminal);
    buf_add_text(out, " on ");
    terminal_add(out, status_text(group, "cluster"));
    buf_add_text(out, ": ");
    terminal_begin(out, terminal, status_colour(group));
    terminal_add(out, status_text(group, "verdict"));
    terminal_end(out, terminal);
    buf_add_text(out, "\nlag ");
    status_add_count(out, group, "lag", "unknown");
    add_fact(out, "time lag", group, "lag_seconds", status_add_duration);
    add_fact(out, "objective", group, "objective_seconds", status_add_duration);
    add_fact(out, "caught up in", group, "catchup_seconds", status_add_duration);
    buf_add_text(out, "\nmembers ");
    status_add_count(out, group, "members", "unknown");
    if (status_text(group, "state").length > 0) {
        buf_add_text(out, ", ");
        terminal_add(out, status_text(group, "state"));
    }
    add_fact(out, "rebalances", group, "rebalances", status_add_count);
    add_fact(out, "session.timeout.ms", group, "session_timeout_seconds", status_add_duration);
    add_fact(out, "max.poll.interval.ms", group, "rebalance_timeout_seconds", status_add_duration);
    buf_add_text(out, "\nlost ");
    status_add_count(out, group, "lost", "?");
    add_fact(out, "skipped", group, "skipped", status_add_count);
    add_fact(out, "rewound", group, "rewound", status_add_count);
    buf_add_text(out, " since it is watched\n");
}

static void add_group(struct buf *out, const struct terminal *terminal, const json_t *group)
{
    const json_t *item;
    size_t i;
    double now = json_number_value(json_object_get(group, "t"));
    add_head(out, terminal, group);
    json_array_foreach(json_object_get(group, "conditions"), i, item)
    {
        add_condition(out, terminal, item, now);
    }
    if (i == 0)
        buf_add_text(out, "\nNothing is the matter with it.\n");
    json_array_foreach(json_object_get(group, "topics"), i, item)
    {
        add_topic(out, terminal, item);
    }
    add_events(out, terminal, json_object_get(group, "events"));
}

/* --- finding it ---------------------------------------------------------------------------------------- */

/* Whether the name is the argument, as it is or as `tidemark status` shows it. */
static bool is_named(struct str name, const char *argument)
{
    struct buf shown = buf_make(LIMIT);
    terminal_add(&shown, name);
    bool named = str_equal(name, str_of(argument)) || str_equal(buf_str(&shown), str_of(argument));
    buf_free(&shown);
    return named;
}

/* The group that is meant, of all: the worst where several clusters have it. NULL: none. */
static const json_t *find(const json_t *answer, const struct status_flags *flags)
{
    const json_t *group;
    size_t i;
    json_array_foreach(json_object_get(answer, "groups"), i, group)
    {
        bool here = flags->cluster == NULL || is_named(status_text(group, "cluster"), flags->cluster);
        if (here && is_named(status_text(group, "group"), flags->argument))
            return group;
    }
    return NULL;
}

/* Where to ask for it; NULL with the error when there is no such group. To be freed. */
static char *find_path(const struct status_flags *flags, struct error *error)
{
    struct buf text, path = buf_make(LIMIT);
    json_t *answer = status_ask(flags, "/api/v1/groups", "groups", &text, error);
    const json_t *group = answer != NULL ? find(answer, flags) : NULL;
    char *found = NULL;
    if (group != NULL) {
        buf_add_text(&path, "/api/v1/groups/");
        ask_add_encoded(&path, json_string_value(json_object_get(group, "group")));
        buf_add_text(&path, "?cluster=");
        ask_add_encoded(&path, json_string_value(json_object_get(group, "cluster")));
        found = buf_ok(&path) ? mem_copy_str(buf_str(&path)) : NULL;
    }
    if (group == NULL && answer != NULL)
        error_set(error, ERROR_NOT_FOUND, "there is no group \"%s\"%s%s; tidemark status lists them",
                  flags->argument, flags->cluster != NULL ? " on " : "",
                  flags->cluster != NULL ? flags->cluster : "");
    else if (found == NULL && answer != NULL)
        error_set(error, ERROR_MEMORY, "out of memory");
    json_decref(answer);
    buf_free(&text);
    buf_free(&path);
    return found;
}

int explain_command(int argc, char **argv)
{
    struct status_flags flags;
    struct error error = {0};
    if (!status_parse_flags(argc, argv, true, &flags, &error))
        return status_fail("explain", &error);
    if (flags.help)
        return fputs(help, stdout) < 0 ? STATUS_UNKNOWN : STATUS_OK;
    char *path = find_path(&flags, &error);
    if (path == NULL)
        return status_fail("explain", &error);
    struct buf text, out = buf_make(LIMIT);
    json_t *group = status_ask(&flags, path, "conditions", &text, &error);
    int code = STATUS_UNKNOWN;
    if (group != NULL) {
        struct terminal terminal = terminal_of(stdout);
        code = status_grade(group);
        add_group(&out, &terminal, group);
        if (!status_print(flags.json ? &text : &out))
            error_set(&error, ERROR_IO, "standard output can't be written to");
    }
    if (error.code != ERROR_NONE)
        code = status_fail("explain", &error);
    json_decref(group);
    buf_free(&text);
    buf_free(&out);
    free(path);
    return code;
}
