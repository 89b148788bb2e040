#include "exporter/chart.h"

#include "exporter/base/mem.h"

#include <stdlib.h>
#include <string.h>

/* Rates are of the last minutes, and no rates where they would be of less than a moment. */
static const int64_t rate_over_ms = 5 * 60 * 1000, rate_least_ms = 5 * 1000;

/* The sample that is missed least: the one whose neighbours are closest for its age. The first and the last
 * stay. */
static uint32_t least_missed(const struct chart *chart, int64_t now)
{
    const struct chart_sample *samples = chart->samples;
    uint32_t least = 1;
    double least_gap = 0;
    for (uint32_t i = 1; i + 1 < chart->count; i++) {
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
    uint32_t count = chart == NULL ? 0 : chart->count, left_out = count;
    uint32_t room = count < CHART_SAMPLES ? count + 1 : CHART_SAMPLES;
    struct chart *fresh = mem_array(1, sizeof *fresh + room * sizeof *fresh->samples);
    atomic_init(&fresh->holders, 1);
    if (chart != NULL) {
        if (count == CHART_SAMPLES)
            left_out = least_missed(chart, sample->time);
        memcpy(fresh->samples, chart->samples, left_out * sizeof *fresh->samples);
        if (left_out < count)
            memcpy(fresh->samples + left_out, chart->samples + left_out + 1,
                   (count - left_out - 1) * sizeof *fresh->samples);
        fresh->count = left_out < count ? count - 1 : count;
    }
    fresh->samples[fresh->count++] = *sample;
    chart_release(&chart);
    return fresh;
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
    if (chart == NULL || chart->count < 2)
        return false;
    const struct chart_sample *last = &chart->samples[chart->count - 1], *first = last;
    while (first > chart->samples && first[-1].positions == last->positions &&
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
