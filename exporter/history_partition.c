#include "exporter/memory.h"

#include <string.h>

void partition_begin_again(struct partition_memory *memory)
{
    *memory = (struct partition_memory){.start = UNKNOWN, .end = UNKNOWN, .life = memory->life + 1};
}

/* Leaves out the sample that is missed least: the one whose neighbours are closest for its age. */
static void thin_out(struct partition_memory *memory, int64_t now)
{
    struct sample *ends = memory->ends;
    uint32_t least = 1;
    double least_gap = 1e300;
    for (uint32_t i = 1; i + 1 < memory->samples; i++) {
        double gap = (double)(ends[i + 1].time - ends[i - 1].time) / (double)(now - ends[i].time + 15000);
        if (gap < least_gap) {
            least_gap = gap;
            least = i;
        }
    }
    memory->samples--;
    memmove(&ends[least], &ends[least + 1], (memory->samples - least) * sizeof *ends);
}

static void add_end(struct partition_memory *memory, int64_t end, int64_t now)
{
    uint32_t n = memory->samples;
    /* While nothing is written the first and the last time of it are enough. */
    if (n >= 2 && memory->ends[n - 1].value == end && memory->ends[n - 2].value == end) {
        memory->ends[n - 1].time = now;
        return;
    }
    if (n == END_SAMPLES) {
        thin_out(memory, now);
        n--;
    }
    memory->ends[n] = (struct sample){now, end};
    memory->samples = n + 1;
}

/* Over the last half hour, or for as long as it took to see a number of messages that says something. */
static double rate(const struct partition_memory *memory)
{
    static const int64_t lately_ms = 30 * 60 * 1000, telling = 20;
    const struct sample *last = &memory->ends[memory->samples - 1], *first = last;
    while (first > memory->ends &&
           (last->time - first->time < lately_ms || last->value - first->value < telling))
        first--;
    int64_t time = last->time - first->time;
    return time > 0 ? (double)(last->value - first->value) * 1000 / (double)time : 0;
}

void partition_observe(struct partition_memory *memory, const struct snap_partition *seen, int64_t now)
{
    if (seen->end != UNKNOWN) {
        if (memory->end != UNKNOWN && seen->end < memory->end)
            partition_begin_again(memory);
        add_end(memory, seen->end, now);
        memory->end = seen->end;
        memory->rate = rate(memory);
    }
    if (seen->start != UNKNOWN) {
        if (memory->start != UNKNOWN && seen->start > memory->start)
            memory->start_moved = true;
        memory->start = seen->start;
    }
}

static int64_t between(struct sample a, struct sample b, int64_t offset)
{
    if (b.value <= a.value || b.time <= a.time)
        return b.time;
    double share = (double)(offset - a.value) / (double)(b.value - a.value);
    return a.time + (int64_t)(share * (double)(b.time - a.time));
}

/* The first sample whose end is beyond the offset, or how many there are. */
static uint32_t first_beyond(const struct partition_memory *memory, int64_t offset)
{
    uint32_t low = 0, high = memory->samples;
    while (low < high) {
        uint32_t middle = low + (high - low) / 2;
        if (memory->ends[middle].value > offset)
            high = middle;
        else
            low = middle + 1;
    }
    return low;
}

double partition_end_at(const struct partition_memory *memory, int64_t time)
{
    const struct sample *ends = memory->ends;
    uint32_t low = 0, high = memory->samples; /* the first that is not before `time` is in between */
    while (low < high) {
        uint32_t middle = low + (high - low) / 2;
        if (ends[middle].time < time)
            low = middle + 1;
        else
            high = middle;
    }
    if (low == 0 || low == memory->samples)
        return (double)ends[low == 0 ? 0 : low - 1].value;
    struct sample before = ends[low - 1], after = ends[low];
    double share = (double)(time - before.time) / (double)(after.time - before.time);
    return (double)before.value + share * (double)(after.value - before.value);
}

int64_t partition_seen(const struct partition_memory *memory, int64_t offset)
{
    uint32_t first = first_beyond(memory, offset);
    return first < memory->samples ? memory->ends[first].time : UNKNOWN;
}

int64_t partition_age_at_least(const struct partition_memory *memory, int64_t offset, int64_t now)
{
    int64_t seen = partition_seen(memory, offset);
    return seen != UNKNOWN && now > seen ? now - seen : 0;
}

int64_t partition_written(const struct partition_memory *memory, int64_t offset)
{
    uint32_t low = first_beyond(memory, offset);
    bool is_between = low > 0 && low < memory->samples;
    return is_between ? between(memory->ends[low - 1], memory->ends[low], offset) : UNKNOWN;
}

int64_t partition_written_before(const struct partition_memory *memory, const struct snap_partition *seen,
                                 int64_t offset)
{
    if (memory->samples == 0 || offset >= memory->ends[0].value || seen->start_ts == UNKNOWN ||
        seen->start == UNKNOWN || seen->start > offset || seen->start_ts > memory->ends[0].time)
        return UNKNOWN;
    return between((struct sample){seen->start_ts, seen->start}, memory->ends[0], offset);
}
