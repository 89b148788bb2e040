/*
 * What taking in and judging a poll costs, and what the memory of a position takes:
 *
 *     bench_evaluate [groups [partitions]]
 *
 * Each group has a position on every partition of ten topics. The first polls fill the history; the CPU time
 * of those that follow is printed as a median, a line a figure.
 */

#include "exporter/base/mem.h"
#include "exporter/evaluate.h"
#include "exporter/memory.h"

#include <stdio.h>
#include <stdlib.h>
#include <time.h>

enum { TOPICS = 10, WARM_UP = 40, MEASURED = 11 };

static double cpu_ms(void)
{
    struct timespec now;
    if (clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &now) != 0)
        abort();
    return (double)now.tv_sec * 1e3 + (double)now.tv_nsec / 1e6;
}

static struct str name(char *bytes, size_t size, const char *kind, uint32_t number)
{
    int length = snprintf(bytes, size, "%s-%05u", kind, number);
    return (struct str){bytes, length > 0 ? (size_t)length : 0};
}

static struct snapshot *observe(uint32_t groups, uint32_t partitions, int64_t poll)
{
    struct snapshot *snapshot = snapshot_new();
    char bytes[32];
    for (uint32_t t = 0; t < TOPICS; t++) {
        int64_t topic =
            snapshot_add_topic(snapshot, name(bytes, sizeof bytes, "topic", t), partitions / TOPICS);
        struct snap_topic *added = &snapshot->topics[topic];
        added->config.retention_ms = 86400000;
        added->config.cleanup_policy = CLEANUP_DELETE;
        for (uint32_t p = 0; p < added->partitions; p++) {
            snapshot->partitions[added->first_partition + p].start = 0;
            snapshot->partitions[added->first_partition + p].end = 1000 + poll * (100 + p % 7);
        }
    }
    for (uint32_t g = 0; g < groups; g++) {
        int64_t group = snapshot_add_group(snapshot, name(bytes, sizeof bytes, "group", g));
        snapshot->groups[group].state = GROUP_STATE_STABLE;
        snapshot->groups[group].members = 3;
        snapshot->groups[group].generation = 5;
        for (uint32_t t = 0; t < TOPICS; t++)
            for (uint32_t p = 0; p < partitions / TOPICS; p++)
                (void)snapshot_add_position(snapshot, (uint32_t)group, t, (int32_t)p,
                                            1000 + poll * (100 + p % 7) - (int64_t)((g + p) % 11) * 20);
    }
    snapshot_seal(snapshot, INT64_C(1764000000000) + poll * 15000);
    return snapshot;
}

static int ascending(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

int main(int argc, char **argv)
{
    uint32_t groups = argc > 1 ? (uint32_t)strtoul(argv[1], NULL, 10) : 100;
    uint32_t partitions = argc > 2 ? (uint32_t)strtoul(argv[2], NULL, 10) : 1000;
    struct rules rules = rules_default();
    struct history *history = history_new();
    double observed[MEASURED], judged[MEASURED];
    size_t past = 0;
    for (int poll = 0; poll < WARM_UP + MEASURED; poll++) {
        struct snapshot *snapshot = observe(groups, partitions, poll);
        double start = cpu_ms();
        history_observe(history, snapshot);
        double middle = cpu_ms();
        struct findings *findings = evaluate(history, snapshot, snapshot->time, &rules);
        double end = cpu_ms();
        if (poll >= WARM_UP) {
            observed[poll - WARM_UP] = middle - start;
            judged[poll - WARM_UP] = end - middle;
        }
        past = chart_read(findings->subscriptions[0].chart, &(struct chart_past){0});
        findings_free(&findings);
        snapshot_free(&snapshot);
    }
    qsort(observed, MEASURED, sizeof *observed, ascending);
    qsort(judged, MEASURED, sizeof *judged, ascending);
    printf("positions %lu\n", (unsigned long)groups * partitions);
    printf("observe_ms %.2f\nevaluate_ms %.2f\n", observed[MEASURED / 2], judged[MEASURED / 2]);
    printf("bytes_a_position %zu\nbytes_a_partition %zu\n", sizeof(struct position_memory),
           sizeof(struct partition_memory));
    printf("bytes_of_events_a_group %zu\nbytes_of_past_a_topic %zu\n", EVENTS * sizeof(struct event), past);
    history_free(&history);
    return 0;
}
