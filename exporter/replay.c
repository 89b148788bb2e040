#include "exporter/replay.h"

#include "exporter/base/json_writer.h"
#include "exporter/base/mem.h"
#include "exporter/evaluate.h"
#include "exporter/observations.h"

#include <errno.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>

static const char usage[] = "usage: tidemark replay [--rule NAME=VALUE]... FILE\n";
static const char help[] =
    "tidemark replay FILE: judge recorded observations, one JSON object a line, and print the verdicts\n\n"
    "  --rule NAME=VALUE   a number that the conditions depend on, such as objective=5m\n\n"
    "Example: tidemark replay observations.jsonl\n";

/* What is remembered of one cluster: a recording may tell of several. */
struct past {
    struct buf cluster; /* its name; empty when the recording has none */
    struct history *history;
};

struct replay {
    struct rules rules;
    struct past *pasts;
    size_t past_count, past_capacity;
};

/* --- one judged group as a line ------------------------------------------------------------------------ */

static void add_seconds(struct buf *out, const char *key, int64_t ms)
{
    if (ms != UNKNOWN)
        buf_add_format(out, ",\"%s\":%lld.%03d", key, (long long)(ms / 1000), (int)(ms % 1000));
}

static void add_conditions(struct buf *out, const struct group_findings *group)
{
    const char *separator = "";
    buf_add_text(out, ",\"conditions\":[");
    for (unsigned c = 0; c < CONDITIONS; c++) {
        if (!(group->conditions & 1u << c))
            continue;
        buf_add_format(out, "%s\"%s\"", separator, condition_name((enum condition)c));
        separator = ",";
    }
    buf_add_char(out, ']');
}

/* The numbers of a group are those of its topics: sums of messages, the worst of times. */
static void add_numbers(struct buf *out, const struct snapshot *snapshot, const struct findings *findings,
                        uint32_t g)
{
    struct subscription_findings all = group_total(findings, &snapshot->groups[g]);
    if (all.lag_sum != UNKNOWN)
        buf_add_format(out, ",\"lag\":%lld", (long long)all.lag_sum);
    add_seconds(out, "lag_seconds", all.lag_ms_max);
    add_seconds(out, "catchup_seconds", all.catchup_ms);
    add_seconds(out, "retention_overtake_seconds", all.overtake_ms);
    add_seconds(out, "retention_headroom_seconds", all.headroom_ms);
    buf_add_format(out, ",\"lost\":%lld,\"skipped\":%lld,\"rewound\":%lld,\"rebalances\":%lld",
                   (long long)all.lost_total, (long long)all.skipped_total, (long long)all.rewound_total,
                   (long long)findings->groups[g].rebalances_total);
}

static void add_judged(struct buf *out, const struct past *past, const struct snapshot *snapshot,
                       const struct findings *findings)
{
    for (uint32_t g = 0; g < snapshot->group_count; g++) {
        buf_add_format(out, "{\"t\":%lld.%03d", (long long)(snapshot->time / 1000),
                       (int)(snapshot->time % 1000));
        if (past->cluster.length > 0) {
            buf_add_text(out, ",\"cluster\":");
            json_quote(out, buf_str(&past->cluster));
        }
        buf_add_text(out, ",\"group\":");
        json_quote(out, snapshot->groups[g].name);
        buf_add_format(out, ",\"verdict\":\"%s\"", group_verdict(&findings->groups[g]));
        add_conditions(out, &findings->groups[g]);
        add_numbers(out, snapshot, findings, g);
        buf_add_text(out, "}\n");
    }
}

/* --- the file ------------------------------------------------------------------------------------------ */

static void free_replay(struct replay *replay)
{
    for (size_t i = 0; i < replay->past_count; i++) {
        history_free(&replay->pasts[i].history);
        buf_free(&replay->pasts[i].cluster);
    }
    free(replay->pasts);
}

/* The past of the cluster of that name; takes the name over or frees it. */
static struct past *find_past(struct replay *replay, struct buf *cluster)
{
    for (size_t i = 0; i < replay->past_count; i++) {
        if (str_equal(buf_str(&replay->pasts[i].cluster), buf_str(cluster))) {
            buf_free(cluster);
            return &replay->pasts[i];
        }
    }
    replay->pasts =
        mem_grow(replay->pasts, &replay->past_capacity, replay->past_count + 1, sizeof *replay->pasts);
    replay->pasts[replay->past_count] = (struct past){.cluster = *cluster, .history = history_new()};
    return &replay->pasts[replay->past_count++];
}

static bool replay_line(struct replay *replay, struct str line, struct error *error)
{
    struct buf cluster = buf_make(SIZE_MAX);
    struct snapshot *snapshot = observation_parse(line, &cluster, error);
    if (snapshot == NULL) {
        buf_free(&cluster);
        return false;
    }
    struct past *past = find_past(replay, &cluster);
    history_observe(past->history, snapshot);
    struct findings *findings = evaluate(past->history, snapshot, snapshot->time, &replay->rules);
    struct buf out = buf_make(SIZE_MAX);
    add_judged(&out, past, snapshot, findings);
    bool written =
        buf_ok(&out) && (out.length == 0 || fwrite(out.bytes, 1, out.length, stdout) == out.length);
    if (!written)
        error_set_errno(error, ERROR_IO, errno, "write to standard output");
    buf_free(&out);
    findings_free(&findings);
    snapshot_free(&snapshot);
    return written;
}

static bool replay_file(FILE *file, struct replay *replay, struct error *error)
{
    char *line = NULL;
    size_t capacity = 0;
    bool done = true;
    ssize_t length;
    for (unsigned long number = 1; done && (length = getline(&line, &capacity, file)) >= 0; number++) {
        if (length == 0 || line[0] == '\n')
            continue;
        done = replay_line(replay, (struct str){line, (size_t)length}, error);
        if (!done)
            error_wrap(error, "line %lu", number);
    }
    if (done && ferror(file)) {
        error_set_errno(error, ERROR_IO, errno, "read");
        done = false;
    }
    if (done && fflush(stdout) != 0) {
        error_set_errno(error, ERROR_IO, errno, "write to standard output");
        done = false;
    }
    free(line);
    return done;
}

static bool set_rule(struct rules *rules, char *assignment, struct error *error)
{
    char *equals = strchr(assignment, '=');
    if (equals == NULL) {
        error_set(error, ERROR_USAGE, "--rule \"%s\": write NAME=VALUE", assignment);
        return false;
    }
    *equals = '\0';
    return rules_set(rules, assignment, equals + 1, error);
}

static int fail(struct error *error, int code)
{
    fprintf(stderr, "tidemark replay: %s\n", error_text(error));
    error_clear(error);
    return code;
}

int replay_command(int argc, char **argv)
{
    static const struct option options[] = {
        {"rule", required_argument, NULL, 'r'}, {"help", no_argument, NULL, 'h'}, {0}};
    struct replay replay = {.rules = rules_default()};
    struct error error = {0};
    int option;
    optind = 1;
    while ((option = getopt_long(argc, argv, "", options, NULL)) != -1) {
        if (option == 'h') {
            fputs(help, stdout);
            return 0;
        }
        if (option != 'r') {
            fputs(usage, stderr);
            return 2;
        }
        if (!set_rule(&replay.rules, optarg, &error))
            return fail(&error, 2);
    }
    if (optind + 1 != argc) {
        fputs(usage, stderr);
        return 2;
    }
    const char *path = argv[optind];
    FILE *file = fopen(path, "re");
    if (file == NULL) {
        error_set_errno(&error, ERROR_IO, errno, "open \"%s\"", path);
        return fail(&error, 1);
    }
    bool done = replay_file(file, &replay, &error);
    free_replay(&replay);
    (void)fclose(file); /* only read from */
    if (done)
        return 0;
    error_wrap(&error, "\"%s\"", path);
    return fail(&error, 1);
}
