#include "exporter/metrics.h"

#include "exporter/base/mem.h"

#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const struct metric_row rows[METRICS] = {
#define METRIC(id, name, type, level, unit, help)                                                            \
    [METRIC_##id] = {#id, name, METRIC_TYPE_##type, METRIC_LEVEL_##level, METRIC_UNIT_##unit, help},
#include "exporter/metrics.def"
#undef METRIC
};

static const struct level_row {
    const char *labels, *meaning;
} levels[METRIC_LEVELS] = {
#define LEVEL(id, labels, meaning) [METRIC_LEVEL_##id] = {labels, meaning},
    LEVEL_TABLE(LEVEL)
#undef LEVEL
};

const struct metric_row *metric_row(enum metric metric)
{
    return &rows[metric];
}

const char *metric_type_name(enum metric_type type)
{
    return type == METRIC_TYPE_COUNTER ? "counter" : "gauge";
}

const char *metric_level_labels(enum metric_level level)
{
    return levels[level].labels;
}

const char *metric_level_meaning(enum metric_level level)
{
    return levels[level].meaning;
}

/* --- the command --------------------------------------------------------------------------------------- */

static void print_text(void)
{
    for (int i = 0; i < METRICS; i++) {
        const struct metric_row *row = &rows[i];
        printf("%s{%s}\n    %s, one a %s\n    %s\n", row->name, metric_level_labels(row->level),
               metric_type_name(row->type), metric_level_meaning(row->level), row->help);
    }
}

static void print_markdown(void)
{
    puts("| metric | type | labels | meaning |\n|---|---|---|---|");
    for (int i = 0; i < METRICS; i++) {
        const struct metric_row *row = &rows[i];
        const char *labels = metric_level_labels(row->level);
        printf("| `%s` | %s | %s | %s |\n", row->name, metric_type_name(row->type),
               *labels == '\0' ? "–" : labels, row->help);
    }
}

static json_t *row_json(const struct metric_row *row)
{
    json_t *labels = json_array();
    char *copy = mem_copy_text(metric_level_labels(row->level));
    char *rest = copy;
    for (char *label = strtok_r(rest, ", ", &rest); label != NULL; label = strtok_r(NULL, ", ", &rest))
        json_array_append_new(labels, json_string(label));
    free(copy);
    return json_pack("{s:s, s:s, s:o, s:s, s:s}", "name", row->name, "type", metric_type_name(row->type),
                     "labels", labels, "level", metric_level_meaning(row->level), "help", row->help);
}

static bool print_json(void)
{
    json_t *catalogue = json_array();
    for (int i = 0; i < METRICS; i++)
        json_array_append_new(catalogue, row_json(&rows[i]));
    bool printed = json_dumpf(catalogue, stdout, JSON_INDENT(2)) == 0;
    json_decref(catalogue);
    return printed && putchar('\n') != EOF;
}

int metrics_command(int argc, char **argv)
{
    const char *form = argc > 1 ? argv[1] : "";
    bool printed = true;
    if (argc == 1)
        print_text();
    else if (argc == 2 && strcmp(form, "--markdown") == 0)
        print_markdown();
    else if (argc == 2 && strcmp(form, "--json") == 0)
        printed = print_json();
    else if (argc == 2 && strcmp(form, "--help") == 0)
        fputs("tidemark metrics: the catalogue of metrics, as text\n\n"
              "  --json       as JSON\n"
              "  --markdown   as the table in README.md\n\n"
              "Example: tidemark metrics --json\n",
              stdout);
    else {
        fprintf(stderr, "tidemark metrics: %s: unknown; it takes --json, --markdown or nothing\n", form);
        return 2;
    }
    return printed && fflush(stdout) == 0 && !ferror(stdout) ? 0 : 1;
}
