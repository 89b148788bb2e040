#include "exporter/chart.h"

#include "exporter/base/mem.h"

#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

/* Rates are of the last minutes, and no rates where they would be of less than a moment. */
static const int64_t rate_over_ms = 5 * 60 * 1000, rate_least_ms = 5 * 1000;

struct chart {
    atomic_size_t holders;
    uint32_t count, length;
    unsigned char bytes[]; /* of each sample its numbers' differences to the sample before */
};

/* --- packing ------------------------------------------------------------------------------------------- */

/* Small differences of either sign take few bytes: seven bits each, the lowest first, and the sign is the
 * very lowest bit (https://protobuf.dev/programming-guides/encoding/#signed-ints). */
enum { SAMPLE_MOST = 6 * 10 };

static unsigned char *put(unsigned char *next, int64_t value, int64_t before)
{
    uint64_t difference = (uint64_t)value - (uint64_t)before;
    uint64_t left = difference << 1 ^ (0 - (difference >> 63));
    for (; left > 0x7f; left >>= 7)
        *next++ = (unsigned char)(left | 0x80);
    *next++ = (unsigned char)left;
    return next;
}

static const unsigned char *take(const unsigned char *next, int64_t before, int64_t *value)
{
    uint64_t packed = *next & 0x7f;
    for (unsigned shift = 7; *next++ & 0x80; shift += 7)
        packed |= (uint64_t)(*next & 0x7f) << shift;
    *value = (int64_t)((uint64_t)before + (packed >> 1 ^ (0 - (packed & 1))));
    return next;
}

static unsigned char *put_sample(unsigned char *next, const struct chart_sample *sample,
                                 const struct chart_sample *before)
{
    next = put(next, sample->time, before->time);
    next = put(next, sample->committed, before->committed);
    next = put(next, sample->end, before->end);
    next = put(next, sample->lag, before->lag);
    next = put(next, sample->lag_ms, before->lag_ms);
    return put(next, sample->positions, before->positions);
}

static const unsigned char *take_sample(const unsigned char *next, struct chart_sample *sample,
                                        const struct chart_sample *before)
{
    next = take(next, before->time, &sample->time);
    next = take(next, before->committed, &sample->committed);
    next = take(next, before->end, &sample->end);
    next = take(next, before->lag, &sample->lag);
    next = take(next, before->lag_ms, &sample->lag_ms);
    return take(next, before->positions, &sample->positions);
}

static const struct chart_sample nothing = {0}; /* before the first one */

static struct chart *pack(const struct chart_past *past)
{
    unsigned char bytes[CHART_SAMPLES * SAMPLE_MOST], *end = bytes;
    for (uint32_t i = 0; i < past->count; i++)
        end = put_sample(end, &past->samples[i], i > 0 ? &past->samples[i - 1] : &nothing);
    size_t length = (size_t)(end - bytes);
    struct chart *chart = mem_array(1, sizeof *chart + length);
    atomic_init(&chart->holders, 1);
    chart->count = past->count;
    chart->length = (uint32_t)length;
    memcpy(chart->bytes, bytes, length);
    return chart;
}

size_t chart_read(const struct chart *chart, struct chart_past *past)
{
    past->count = chart == NULL ? 0 : chart->count;
    const unsigned char *next = chart == NULL ? NULL : chart->bytes;
    for (uint32_t i = 0; i < past->count; i++)
        next = take_sample(next, &past->samples[i], i > 0 ? &past->samples[i - 1] : &nothing);
    return chart == NULL ? 0 : chart->length;
}

/* --- a chart ------------------------------------------------------------------------------------------- */

/* The sample that is missed least: the one whose neighbours are closest for its age. The first and the last
 * stay. */
static uint32_t least_missed(const struct chart_past *past, int64_t now)
{
    const struct chart_sample *samples = past->samples;
    uint32_t least = 1;
    double least_gap = 0;
    for (uint32_t i = 1; i + 1 < past->count; i++) {
        double gap =
            (double)(samples[i + 1].time - samples[i - 1].time) / (double)(now - samples[i].time + 15000);
        if (i == 1 || gap < least_gap) {
            least_gap = gap;
            least = i;
        }
    }
    return least;
}

struct chart *chart_add(struct chart *chart, const struct chart_sample *sample)
{
    struct chart_past past;
    chart_read(chart, &past);
    chart_release(&chart);
    if (past.count == CHART_SAMPLES) {
        struct chart_sample *left_out = &past.samples[least_missed(&past, sample->time)];
        memmove(left_out, left_out + 1, (size_t)(&past.samples[--past.count] - left_out) * sizeof *left_out);
    }
    past.samples[past.count++] = *sample;
    return pack(&past);
}

struct chart *chart_hold(struct chart *chart)
{
    atomic_fetch_add(&chart->holders, 1);
    return chart;
}

void chart_release(struct chart **chart)
{
    struct chart *c = *chart;
    *chart = NULL;
    if (c != NULL && atomic_fetch_sub(&c->holders, 1) == 1)
        free(c);
}

bool chart_rates(const struct chart *chart, struct chart_rates *rates)
{
    struct chart_past past;
    chart_read(chart, &past);
    if (past.count < 2)
        return false;
    const struct chart_sample *last = &past.samples[past.count - 1], *first = last;
    while (first > past.samples && first[-1].positions == last->positions &&
           last->time - first->time < rate_over_ms)
        first--;
    int64_t elapsed = last->time - first->time;
    if (elapsed < rate_least_ms)
        return false;
    if (last->end < first->end || last->committed < first->committed) /* set back: no speed */
        return false;
    double seconds = (double)elapsed / 1000;
    *rates = (struct chart_rates){
        .written = ((double)last->end - (double)first->end) / seconds,
        .read = ((double)last->committed - (double)first->committed) / seconds,
    };
    return true;
}
